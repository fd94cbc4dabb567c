//! How clients behave: the keys that `[target]` and `[[websocket]]` share.

use std::time::Duration;

use super::walk::{Value, Walk, optional};
use crate::plan::{Backoff, Disconnect, ReconnectStorm, Retries, Reuse};

/// `{ requests = 100, idle = "30s" }`.
pub(super) fn read_reuse<'t>(walk: &Walk<'t>, value: &Value<'t>) -> Option<Reuse> {
    let mut section =
        walk.section(value, "a table such as `{ requests = 100, idle = \"30s\" }`")?;
    let requests = section.take("requests").map(|value| {
        let requests = walk.integer(value, "a number of requests such as `100`")?;
        if requests == 0 {
            walk.wrong_with_help(
                value.span(),
                "`requests` must be at least 1",
                "for a new connection each time, write `connections = \"per-request\"`",
            );
        }
        Some(requests)
    });
    let idle = section.take("idle").map(|value| walk.duration(value));
    section.finish();
    Some(Reuse { requests: optional(requests)?, idle: optional(idle)? })
}

/// `{ most = 2, backoff = { from = "100ms", to = "2s" }, budget = "10%" }`.
pub(super) fn read_retries<'t>(walk: &Walk<'t>, value: &Value<'t>) -> Option<Retries> {
    const WHAT: &str =
        "a table such as `{ most = 2, backoff = { from = \"100ms\", to = \"2s\" } }`";
    let mut section = walk.section(value, WHAT)?;
    let most = section.require("most", "most = 2").and_then(|value| {
        let most = walk.integer(value, "a number of retries such as `2`")?;
        if !(1..=100).contains(&most) {
            walk.wrong(value.span(), "`most` must be between 1 and 100 retries");
        }
        u32::try_from(most).ok()
    });
    let backoff =
        section.take("backoff").map_or(Some(Backoff::usual()), |value| read_backoff(walk, value));
    let budget =
        section.take("budget").map_or(Some(Retries::USUAL_BUDGET), |value| walk.share(value));
    section.finish();
    Some(Retries { most: most?, backoff: backoff?, budget: budget? })
}

/// `drop` and `backoff` together; `None` if one of them is wrong.
pub(super) fn read_storm<'t>(
    walk: &Walk<'t>,
    drop: Option<&Value<'t>>,
    backoff: Option<&Value<'t>>,
) -> Option<Option<ReconnectStorm>> {
    if let (None, Some(backoff)) = (drop, backoff) {
        walk.wrong_with_help(
            backoff.span(),
            "`backoff` has no effect without `drop`",
            "add `drop = { share = \"50%\", at = \"60s\" }`, or put `backoff` into `retries` if it is for retries",
        );
    }
    let backoff = backoff.map_or(Some(Backoff::usual()), |value| read_backoff(walk, value));
    let drop = optional(drop.map(|value| read_drop(walk, value)))?;
    Some(drop.zip(backoff).map(|(drop, backoff)| ReconnectStorm { drop, backoff }))
}

/// `{ share = "50%", at = "60s", every = "5m" }`.
pub(super) fn read_drop<'t>(walk: &Walk<'t>, value: &Value<'t>) -> Option<Disconnect> {
    let mut section = walk.section(value, "a table such as `{ share = \"50%\", at = \"60s\" }`")?;
    let share = section.require("share", "share = \"50%\"").and_then(|value| walk.share(value));
    let at = section.require("at", "at = \"60s\"").and_then(|value| walk.duration(value));
    let every = section.take("every").map(|value| {
        let every = walk.duration(value)?;
        if every < Disconnect::MOST_OFTEN {
            walk.wrong(
                value.span(),
                "connections can be dropped at most once a second; write `every = \"1s\"` or more",
            );
        }
        Some(every)
    });
    section.finish();
    Some(Disconnect { share: share?, at: at?, every: optional(every)? })
}

/// `{ from = "100ms", to = "5s" }`.
pub(super) fn read_backoff<'t>(walk: &Walk<'t>, value: &Value<'t>) -> Option<Backoff> {
    /// A client that reconnects at once, again and again, is an attack.
    const LEAST: Duration = Duration::from_millis(1);
    let usual = Backoff::usual();
    let mut section = walk.section(value, "a table such as `{ from = \"100ms\", to = \"5s\" }`")?;
    let from = section.take("from").map_or(Some(usual.from), |value| walk.duration(value));
    let to = section.take("to").map_or(Some(usual.to.max(from?)), |value| walk.duration(value));
    section.finish();
    let backoff = Backoff { from: from?, to: to? };
    if backoff.from > backoff.to || backoff.from < LEAST {
        walk.wrong_with_help(
            value.span(),
            "`from` must be at least 1 ms, and `to` at least as long as `from`",
            "write `backoff = { from = \"100ms\", to = \"5s\" }`",
        );
        return None;
    }
    Some(backoff)
}
