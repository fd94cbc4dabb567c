//! What to do about a rule without data. A collector that ran is never asked for.

use std::collections::BTreeSet;

use crate::diagnose::rules::rule::{Check, Condition};
use crate::diagnose::rules::ruling::Ruling;
use crate::timeline::names;

/// The one thing that would get a rule its data. `watched` names the collectors that ran.
pub fn advice(ruling: &Ruling, watched: &BTreeSet<String>) -> String {
    let rule = ruling.rule;
    let mut needs: BTreeSet<&'static str> = BTreeSet::new();
    let open = ruling.require.iter().filter(|judged| judged.holds.is_none());
    let (choices, fixed): (Vec<_>, Vec<_>) = open
        .map(|judged| judged.condition)
        .filter(|condition| !condition.optional)
        .partition(|condition| matches!(condition.check, Check::Any(_)));
    // What leaves no choice first, so that a choice takes what is needed anyway.
    for condition in fixed.into_iter().chain(choices) {
        if let Some(more) = collectors(condition, &needs, watched) {
            needs.extend(more);
        }
    }
    if needs.is_empty() {
        return rule.lacking.clone().unwrap_or_else(|| nothing_read(ruling, watched));
    }
    if !watched.iter().any(|name| rule.add.contains(&format!("[collect.{name}]"))) {
        return rule.add.clone();
    }
    let wanted: Vec<&str> = needs.into_iter().map(table).collect();
    format!("add {}", wanted.join(", and "))
}

/// The collectors that did not run and without which a condition has no data; `None` where
/// another collector would not help.
fn collectors(
    condition: &Condition,
    needs: &BTreeSet<&'static str>,
    watched: &BTreeSet<String>,
) -> Option<BTreeSet<&'static str>> {
    match &condition.check {
        Check::Test(test) => {
            let of = test.signal.selectors().into_iter().filter_map(|selector| {
                names::collector(&selector.metric).filter(|name| !watched.contains(*name))
            });
            Some(of.collect()).filter(|absent: &BTreeSet<_>| !absent.is_empty())
        }
        Check::Any(inner) => inner
            .iter()
            .filter_map(|condition| collectors(condition, needs, watched))
            .min_by_key(|absent| absent.difference(needs).count()),
        Check::All(inner) => {
            let required = inner.iter().filter(|condition| !condition.optional);
            let absent: BTreeSet<_> = required
                .filter_map(|condition| collectors(condition, needs, watched))
                .flatten()
                .collect();
            Some(absent).filter(|absent| !absent.is_empty())
        }
    }
}

/// The table of a collector in a plan, with what it needs.
fn table(collector: &str) -> &'static str {
    match collector {
        "host" => "[collect.host] on the machine the target runs on",
        "process" => "[collect.process] with the target's pid, name or port",
        "disk" => "[collect.disk] on the machine the target runs on",
        "tcp" => "[collect.tcp] on the machine the target runs on",
        "threads" => {
            "[collect.threads] on the machine the target runs on, with the right to trace it"
        }
        "postgres" => "[collect.postgres] with the database's url (a role in pg_monitor)",
        names::WEBSOCKET => "[[websocket]] with the path of the sessions and how many",
        names::CANARY => "[[canary]] with the path of a cheap route",
        _ => "[collect.prometheus] with the target's metrics endpoint",
    }
}

/// Everything ran, and the signals have no data all the same.
fn nothing_read(ruling: &Ruling, watched: &BTreeSet<String>) -> String {
    let missing = ruling.missing();
    let of: BTreeSet<&str> = ruling
        .rule
        .tests()
        .into_iter()
        .filter(|(_, test)| missing.contains(&test.signal.to_string()))
        .flat_map(|(_, test)| test.signal.selectors())
        .filter_map(|selector| names::collector(&selector.metric))
        .filter(|name| watched.contains(*name))
        .collect();
    let names: Vec<String> = of.iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() {
        return ruling.rule.add.clone();
    }
    let ran = names.join(" and ");
    if of.contains("prometheus") {
        return format!("{ran} ran but read nothing of it: let the target export these metrics");
    }
    format!("{ran} ran but read nothing of it: hold the stages longer, and look at the gaps")
}
