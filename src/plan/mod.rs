//! What to do: target, requests, load, collectors, objectives and limits.
//!
//! A [`Plan`] is pure data. [`parse()`] reads it from text and reports every mistake at once with
//! its place; files, environment and network belong to those who use a plan.
//!
//! # The form of a plan
//!
//! TOML. `examples/shop.toml` shows every table; only `[target]` and one `[[request]]` are needed.
//!
//! | table | keys |
//! |---|---|
//! | at the top | `name`, `seed` |
//! | `[target]` | `url`, `timeout`, `connections` (`keep-alive`, `per-request`), `unix_socket`, `proxy`, `version` (`http/1.1`, `http/2`, `auto`) with `streams`, `tls` (`ca_file` or `insecure`; `cert_file` with `key_file`; `resumption`, `server_name`) |
//! | `[[request]]` | `name`, `weight`, `method`, `path`, `headers`, `body`, `stream` (`{ events }`, `{ for }`) |
//! | `[data.NAME]` | one of `range`, `list`, `csv` with `column`; `order` (`random`, `sequential`) |
//! | `[load]` | `executor` and its own keys, see [`Executor`] |
//! | `[objectives]` | `http_req_duration`, `http_req_failed`, each also as `"metric{request}"`: a condition or a list of them |
//! | `[limits]` | `max_rate`, `max_in_flight`, `max_duration`, `error_budget` |
//! | `[[canary]]` | `path`, `name`, `rate` (at most `20/s`), `method`, `headers` |
//! | `[[websocket]]` | `path`, `sessions`, `name`, `headers`, `open_rate`, `message` with `interval` and `expect`, `drop` (`{ share, at }`), `backoff` (`{ from, to }`) |
//! | `[collect.NAME]` | `interval`, `as`, and the collector's own options; `[[collect.NAME]]` for several |
//!
//! Rates are `50/s`, `3000/m` or a bare number per second; durations Go's (`1m30s`, `500ms`);
//! shares `1%` or `0.01`; conditions k6's (`p(95) < 300ms`, `avg < 200ms`, `rate < 1%`).
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
mod collector;
mod load;
mod nearest;
mod objective;
mod parse;
mod quick;
mod request;
mod secret;
mod target;
mod units;
mod variety;
mod websocket;

use std::collections::BTreeMap;

use serde::Serialize;

pub use canary::Canary;
pub use collector::{CollectorConfig, CollectorShape, OptionKind, OptionSpec, OptionValue};
pub use load::{Arrivals, Breakpoint, Executor, Limits, RampStage, Soak};
pub use nearest::nearest;
pub use objective::{Comparison, Measure, Objective};
pub use parse::{Mistake, PlanErrors, parse};
pub use request::{
    Body, DataOrder, DataSource, DataValues, Header, Request, Segment, Streaming, Template,
};
pub use secret::{Secret, is_secret_name, redact_url};
pub use target::{Connections, HttpVersion, Identity, Proxy, Target, TargetUrl, Tls, Trust};
pub use units::{parse_duration, parse_rate, parse_target_url};
pub use websocket::{Backoff, Disconnect, Message, WebSocket};

/// One run, as it was asked for. Serialising it leaves every secret out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// A name for reports; the target's address where the plan has none.
    pub name: String,
    /// Where the requests go.
    pub target: Target,
    /// The weighted mix of requests, at least one.
    pub requests: Vec<Request>,
    /// Values for templates, by the name they have in `{…}`.
    pub data: BTreeMap<String, DataSource>,
    /// How much load, and when.
    pub load: Executor,
    /// How requests follow each other.
    pub arrivals: Arrivals,
    /// What the system has to meet.
    pub objectives: Vec<Objective>,
    /// What the run may never exceed.
    pub limits: Limits,
    /// Cheap routes that are probed beside the load, in addition to what `limits` allow it.
    pub canaries: Vec<Canary>,
    /// WebSocket sessions that are held beside the load, in addition to what `limits` allow it.
    pub websockets: Vec<WebSocket>,
    /// What is watched beside the load.
    pub collectors: Vec<CollectorConfig>,
    /// Seed of every random choice.
    pub seed: u64,
}
