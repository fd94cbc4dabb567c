//! What to do: target, requests, load, collectors, objectives and limits.
//!
//! A [`Plan`] is pure data. [`parse()`] reads it from text and reports every mistake at once with
//! its place; files, environment and network belong to those who use a plan.
//!
//! # The form of a plan
//!
//! TOML. `examples/shop.toml` and `examples/journeys.toml` show every table; only `[target]` and one
//! `[[request]]` or `[[journey]]` are needed.
//!
//! | table | keys |
//! |---|---|
//! | at the top | `name`, `seed` |
//! | `[target]` | `url`, `timeout`, `connections` (`keep-alive`, `per-request`), `max_connections`, `reuse` (`{ requests, idle }`), `retries` (`{ most, backoff, budget }`), `drop` (`{ share, at, every }`) with `backoff` (`{ from, to }`), `dns` (`once`, `per-connection`, or a time to live such as `30s`), `unix_socket`, `proxy`, `version` (`http/1.1`, `http/2`, `auto`) with `streams`, `tls` (`ca_file` or `insecure`; `cert_file` with `key_file`; `resumption`, `server_name`) |
//! | `[[request]]` | `name`, `weight`, `method`, `path`, `headers`, `body`, `tags`, `check`, `stream` (`{ events }`, `{ for }`) |
//! | `[[journey]]` | `name`, `weight`, `cookies`, `stop_on_failure`, and `[[journey.step]]`: the keys of a request but `weight`, `capture`, and `think`, `repeat`, `probability`, `when`; or `steps` for a group |
//! | `[[setup]]`, `[[teardown]]` | steps that are done once, before and after the load |
//! | `[data.NAME]` | one of `range`, `list`, `csv` (with `column`, or rows), `jsonl`, `uuid`, `dates`; `order` (`random`, `sequential`), `popularity` (`{ zipf }`, `{ hot, share }`), `per` (`iteration`, `vu`), `exhausted` (`wrap`, `stop`) |
//! | `[load]` | `executor` or `shape` and its own keys, see [`Executor`] and [`Shape`]; `arrivals` |
//! | `[[scenario]]` | in place of `[load]`, several: the same keys, `name`, `start_time`, `journeys` |
//! | `[objectives]` | `http_req_duration`, `http_req_failed`, each also as `"metric{request}"` or `"metric{tag:value}"`, or any series: a condition, a table `{ condition, abort, delay }`, or a list of them |
//! | `[limits]` | `max_rate`, `max_in_flight`, `max_duration`, `error_budget`, `hosts`, `kill_switch` |
//! | `[[canary]]` | `path`, `name`, `rate` (at most `20/s`), `method`, `headers` |
//! | `[[websocket]]` | `path`, `sessions`, `name`, `headers`, `open_rate`, `message` with `interval` and `expect`, `drop` and `backoff` as of `[target]` |
//! | `[collect.NAME]` | `interval`, `as`, and the collector's own options; `[[collect.NAME]]` for several |
//!
//! Rates are `50/s`, `3000/m` or a bare number per second; durations Go's (`1m30s`, `500ms`);
//! shares `1%` or `0.01`; conditions k6's (`p(95) < 300ms`, `avg < 200ms`, `rate < 1%`), and with a
//! window (`p(99) < 500ms for 10s`) they have to hold in every window of that length and not in
//! every stage.
//!
//! `{name}` in a path, header or body is a value of `[data.name]`; `{{` and `}}` are braces.
//! `${NAME}` in any text is a variable of the environment, and secret: it stands as it is, braces
//! included; `$${` is the text `${`. Headers, query parameters, data and options whose name says so
//! are secret too. A secret is in no message, no recording and no report. What a reader has to see
//! is none: names take no variables, and the target's address and the paths of files are shown
//! wherever they come from.
//!
//! `error_budget` is the share of failed requests in one stage that ends the run. There is none
//! unless the plan sets one: a search for the breakpoint has to look beyond it.

mod canary;
mod check;
mod client;
mod collector;
mod data;
mod journey;
mod load;
mod model;
mod nearest;
mod objective;
mod parse;
mod quick;
mod request;
mod scenario;
mod secret;
mod shape;
mod target;
mod units;
mod variety;
mod websocket;

pub use canary::Canary;
pub use check::{Capture, CaptureSource, Check};
pub use client::{Backoff, Disconnect, Retries, Reuse, Storm};
pub use collector::{CollectorConfig, CollectorShape, OptionKind, OptionSpec, OptionValue};
pub use data::{DataOrder, DataSource, DataValues, DrawnPer, Exhausted, RowFormat};
pub use journey::{Action, Condition, Journey, Pause, Step, Test};
pub use load::{
    Arrivals, Breakpoint, Capacity, Executor, Limits, RampStage, Soak, VuStage, is_allowed_host,
};
pub use model::Plan;
pub use nearest::nearest;
pub use objective::{Comparison, Measure, Objective, Reduction};
pub use parse::{Mistake, PlanErrors, parse};
pub use request::{Body, Header, METHODS, Request, Segment, Streaming, Template};
pub use scenario::Scenario;
pub use secret::{Secret, is_secret_name, redact_url};
pub use shape::Shape;
pub use target::{Connections, Dns, HttpVersion, Identity, Proxy, Target, TargetUrl, Tls, Trust};
pub use units::{parse_duration, parse_rate, parse_target_url};
pub use websocket::{Message, WebSocket};
