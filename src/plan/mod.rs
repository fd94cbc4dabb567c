//! What to do: target, requests, load, collectors, objectives and limits.
//!
//! A [`Plan`] is pure data. [`parse()`] reads it from text, and reports every mistake at once with
//! its place. It opens no file and no connection; the caller does.
//!
//! # The form of a plan
//!
//! TOML. `examples/shop.toml` and `examples/journeys.toml` show every table. A plan needs only
//! `[target]` and one `[[request]]` or `[[journey]]`.
//!
//! | table | keys |
//! |---|---|
//! | at the top | `name`, `seed` |
//! | `[target]` | `url`, `timeout`, `connections` (`keep-alive`, `per-request`), `max_connections`, `reuse` (`{ requests, idle }`), `retries` (`{ most, backoff, budget }`), `drop` (`{ share, at, every }`) with `backoff` (`{ from, to }`), `dns` (`once`, `per-connection`, or a time to live such as `30s`), `unix_socket`, `proxy`, `version` (`http/1.1`, `http/2`, `auto`) with `streams`, `tls` (`ca_file` or `insecure`; `cert_file` with `key_file`; `resumption`, `server_name`) |
//! | `[[request]]` | `name`, `weight`, `method`, `path`, `headers`, `body`, `tags`, `check`, `stream` (`{ events }`, `{ for }`) |
//! | `[[journey]]` | `name`, `weight`, `cookies`, `stop_on_failure`, and `[[journey.step]]`: the keys of a request without `weight`; also `capture`, `think`, `repeat`, `probability` and `when`; or `steps` for a group |
//! | `[[setup]]`, `[[teardown]]` | steps that run once, before and after the load |
//! | `[data.NAME]` | one of `range`, `list`, `csv` (with `column`, or rows), `jsonl`, `uuid`, `dates`; `order` (`random`, `sequential`), `popularity` (`{ zipf }`, `{ hot, share }`), `per` (`iteration`, `vu`), `exhausted` (`wrap`, `stop`) |
//! | `[load]` | `executor` or `shape` and its own keys, see [`Executor`] and [`Shape`]; `arrivals` |
//! | `[[scenario]]` | several loads instead of `[load]`: its keys, and `name`, `start_time`, `journeys` |
//! | `[objectives]` | `http_req_duration`, `http_req_failed`, each also as `"metric{request}"` or `"metric{tag:value}"`, or any series: a condition, a table `{ condition, abort, delay, max_worse }`, or a list of them |
//! | `[gate]` | `rate`, `duration`, `runs`, `max_worse`: how `kneepoint gate` compares two builds |
//! | `[limits]` | `max_rate`, `max_in_flight`, `max_duration`, `error_budget`, `hosts`, `kill_switch` |
//! | `[[canary]]` | `path`, `name`, `rate` (at most `20/s`), `method`, `headers` |
//! | `[[websocket]]` | `path`, `sessions`, `name`, `headers`, `open_rate`, `message` with `interval` and `expect`, `drop` and `backoff` as in `[target]` |
//! | `[collect.NAME]` | `interval`, `as`, and the collector's own options; `[[collect.NAME]]` for several |
//! | `[[agent]]` | `name`, `command` (such as `["ssh", "db1", "kneepoint", "agent"]`) or `bus = true` if it dials in, `target` (whether the target runs there; found out if it is absent), and `[agent.collect.NAME]` for what to collect there |
//!
//! A rate is `50/s`, `3000/m` or a bare number per second. A duration has Go's form (`1m30s`,
//! `500ms`). A share is `1%` or `0.01`. A condition has k6's form (`p(95) < 300ms`, `avg < 200ms`,
//! `rate < 1%`) and must hold in every stage; with a window (`p(99) < 500ms for 10s`), it must hold
//! in every window of that length.
//!
//! `{name}` in a path, header or body is a value of `[data.name]`; `{{` and `}}` are literal
//! braces. `${NAME}` in any text is an environment variable. Its value is secret, and braces in it
//! are literal; `$${` is a literal `${`. Headers, query parameters, data and options with a secret
//! name, such as `authorization`, are secret too. No message, recording or report contains a
//! secret. Names cannot contain variables, and the target's URL and the paths of files are always
//! shown.
//!
//! `error_budget` is the share of failed requests in one stage that ends the run. By default there
//! is none, because a search for the breakpoint has to go beyond it.

mod agent;
mod canary;
mod check;
mod client;
mod collector;
mod csv_map;
mod data;
mod gate;
mod history_file;
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

pub use agent::{Agent, NodeCommand};
pub use canary::Canary;
pub use check::{Capture, CaptureSource, Check};
pub use client::{Backoff, Disconnect, ReconnectStorm, Retries, Reuse};
pub use collector::{CollectorConfig, CollectorShape, OptionKind, OptionSpec, OptionValue};
pub use csv_map::{CsvMap, CsvSeries, TimeForm};
pub use data::{DataOrder, DataSource, DataValues, DrawnPer, RowFormat, WhenExhausted};
pub use gate::Gate;
pub use history_file::HistoryFile;
pub use journey::{Action, Journey, Step, StepCondition, ThinkTime, ValueTest};
pub use load::{
    Arrivals, Breakpoint, Capacity, Executor, Limits, RampStage, Soak, VuStage, is_allowed_host,
};
pub use model::Plan;
pub use nearest::nearest;
pub use objective::{Comparison, Objective, ObjectiveMeasure, Reduction};
pub use parse::{Mistake, PlanErrors, parse, parse_csv_map, parse_history_file, time_zone};
pub use request::{Body, Header, METHODS, Request, Segment, Streaming, Template};
pub use scenario::Scenario;
pub use secret::{Secret, is_secret_name, redact_url};
pub use shape::Shape;
pub use target::{Connections, Dns, HttpVersion, Identity, Proxy, Target, TargetUrl, Tls, Trust};
pub use units::{parse_duration, parse_rate, parse_share, parse_target_url};
pub use websocket::{Message, WebSocket};
