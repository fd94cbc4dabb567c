//! What to do about a rule without data. A collector that ran is never asked for.

use std::collections::BTreeSet;

use crate::diagnose::measure::facts::Facts;
use crate::diagnose::measure::peers;
use crate::diagnose::rules::layer::Layer;
use crate::diagnose::rules::rule::{Check, Condition};
use crate::diagnose::rules::ruleset::RuleSet;
use crate::diagnose::rules::ruling::Ruling;
use crate::diagnose::terms::bounds;
use crate::diagnose::terms::model::{Finding, FindingRole, NotChecked};
use crate::diagnose::terms::part::PartKind;
use crate::diagnose::terms::span::Span;
use crate::diagnose::terms::wording;
use crate::recording::Recording;
use crate::timeline::{Source, names};

/// Where metrics can come from, and which of it a run had.
#[derive(Default)]
pub struct Sources<'a> {
    /// What a plan can ask for; none where nobody said.
    pub known: &'a [Source],
    /// The names of those that ran.
    pub ran: BTreeSet<String>,
    /// The peers to which calls cannot be counted, whatever runs.
    pub uncounted: Vec<String>,
}

impl Sources<'_> {
    fn of(&self, metric: &str) -> Option<&Source> {
        self.known.iter().find(|source| source.emits(metric))
    }

    fn has_run(&self, source: &Source) -> bool {
        self.ran.contains(source.name)
    }

    fn hint(&self, name: &str) -> &'static str {
        self.known.iter().find(|source| source.name == name).map_or("", |source| source.hint)
    }
}

/// The names of services that are connection poolers.
const POOLERS: [&str; 3] = ["pgbouncer", "pgcat", "odyssey"];

/// What to add to see into the databases and poolers that the target's sockets show and that no
/// collector watches; nothing for a run without load.
pub fn offers(facts: &Facts, sources: &Sources<'_>) -> Vec<String> {
    let mut offers = Vec::new();
    if facts.ticks(&facts.windows(Span::Run)).next().is_none() {
        return offers;
    }
    for peer in facts.databases() {
        let address = peers::address(peer);
        let url = |database| peers::postgres_url("USER:PASSWORD", address, database);
        let is_pooler = POOLERS.iter().any(|name| peer.contains(name));
        if is_pooler && !sources.ran.contains("pgbouncer") {
            offers.push(format!(
                "{peer} is a connection pooler: add [collect.pgbouncer] with \
                 `url = \"{}\"` to see its pools",
                url("pgbouncer")
            ));
        } else if !is_pooler && !sources.ran.contains("postgres") {
            let is = if facts.answers_as_database(peer) { "is" } else { "seems to be" };
            offers.push(format!(
                "{address} {is} PostgreSQL: add `--postgres {}` to see its sessions",
                url("DATABASE")
            ));
        }
    }
    for peer in facts.uncounted_peers().into_iter().filter(|peer| !facts.is_database(peer)) {
        offers.push(format!(
            "calls to {peer} cannot be counted, because the UNIX connections to it stay open: add \
             [collect.prometheus] where the target exports how long its calls take, or let it call \
             over TCP"
        ));
    }
    offers
}

/// What cannot be seen of a target on another machine, and what would change that. A recording of
/// another tool has no generator that was watched, and says nothing of where its target ran.
pub fn of_elsewhere(recording: &Recording, sources: &Sources<'_>) -> Option<String> {
    let ran = |name: &str| sources.ran.contains(name);
    if recording.environment.target_is_local || ran("process") || !ran("generator") {
        return None;
    }
    let metrics = match ran("prometheus") {
        true => "",
        false => ", or add `--metrics URL` where it exports metrics",
    };
    Some(format!(
        "the target runs on another machine, or where kneepoint may not look: its CPU, memory, \
         sockets, threads and calls were not seen; add `--agent 'ssh HOST kneepoint agent'` for its \
         host, or run kneepoint there, as root if the target is in a container{metrics}"
    ))
}

/// The collector that tells where the target's threads stand.
const STACKS: &str = "stacks";
/// Parts of a response time in which the target has the request, or takes no further ones.
const IN_TARGET: [PartKind; 6] = [
    PartKind::LockWait,
    PartKind::WorkerWait,
    PartKind::InTarget,
    PartKind::Unread,
    PartKind::AcceptQueue,
    PartKind::Unexplained,
];

/// What is missing for a knee without a cause, and the one thing that would most likely tell it.
pub fn for_a_cause(
    facts: &Facts,
    rules: &RuleSet,
    findings: &[Finding],
    not_checked: &[NotChecked],
    sources: &Sources<'_>,
) -> Option<String> {
    if findings.iter().any(|finding| finding.role == FindingRole::Cause) {
        return None;
    }
    let inside = facts.growth().and_then(|growth| growth.share(&IN_TARGET, None)).unwrap_or(0.0);
    if inside >= bounds::EXPLAINS_MOST.value && !sources.ran.contains(STACKS) {
        let hint = sources.hint(STACKS);
        if !hint.is_empty() {
            return Some(format!(
                "not enough evidence to name a cause: {} of the growth lies in the target, and \
                 nothing measured there holds it; add {hint}: it tells where its threads stand",
                wording::percent(inside)
            ));
        }
    }
    let has_database = facts.databases().next().is_some();
    let concerns = |rule: &str| {
        has_database || rules.find(rule).is_none_or(|rule| rule.layer != Layer::Database)
    };
    let mut open = not_checked.iter().filter(|entry| concerns(&entry.rule)).peekable();
    Some(match open.peek().map(|first| first.add.clone()) {
        None => "every rule was checked and none holds: the cause is something that no rule covers"
            .to_owned(),
        Some(add) => format!(
            "not enough evidence to name a cause: {} possible causes have no data; {add}",
            open.count()
        ),
    })
}

/// The one thing that would get a rule its data.
pub fn advice(ruling: &Ruling, sources: &Sources<'_>) -> String {
    let rule = ruling.rule;
    if sources.known.is_empty() {
        return rule.add.clone();
    }
    let mut needs: BTreeSet<&'static str> = BTreeSet::new();
    let open = ruling.require.iter().filter(|judged| judged.holds.is_none());
    let (choices, fixed): (Vec<_>, Vec<_>) = open
        .map(|judged| judged.condition)
        .filter(|condition| !condition.optional)
        .partition(|condition| matches!(condition.check, Check::Any(_)));
    // What leaves no choice first, so that a choice takes what is needed anyway.
    for condition in fixed.into_iter().chain(choices) {
        if let Some(more) = collectors(condition, &needs, sources) {
            needs.extend(more);
        }
    }
    if needs.is_empty() {
        return rule.lacking.clone().unwrap_or_else(|| nothing_read(ruling, sources));
    }
    if !sources.ran.iter().any(|name| rule.add.contains(&format!("[collect.{name}]"))) {
        return rule.add.clone();
    }
    let wanted: Vec<&str> = needs.into_iter().map(|name| sources.hint(name)).collect();
    format!("add {}", wanted.join(", and "))
}

/// The collectors that did not run and without which a condition has no data; `None` where
/// another collector would not help.
fn collectors(
    condition: &Condition,
    needs: &BTreeSet<&'static str>,
    sources: &Sources<'_>,
) -> Option<BTreeSet<&'static str>> {
    match &condition.check {
        Check::Test(test) => {
            let of = test.signal.selectors().into_iter().filter_map(|selector| {
                sources.of(&selector.metric).filter(|source| !sources.has_run(source))
            });
            Some(of.map(|source| source.name).collect())
                .filter(|absent: &BTreeSet<_>| !absent.is_empty())
        }
        Check::Any(inner) => inner
            .iter()
            .filter_map(|condition| collectors(condition, needs, sources))
            .min_by_key(|absent| absent.difference(needs).count()),
        Check::All(inner) => {
            let required = inner.iter().filter(|condition| !condition.optional);
            let absent: BTreeSet<_> = required
                .filter_map(|condition| collectors(condition, needs, sources))
                .flatten()
                .collect();
            Some(absent).filter(|absent| !absent.is_empty())
        }
    }
}

/// Everything ran, and the signals have no data all the same.
fn nothing_read(ruling: &Ruling, sources: &Sources<'_>) -> String {
    let missing = ruling.missing();
    let selectors: Vec<_> = ruling
        .rule
        .tests()
        .into_iter()
        .filter(|(_, test)| missing.contains(&test.signal.to_string()))
        .flat_map(|(_, test)| test.signal.selectors())
        .collect();
    let is_calls = selectors.iter().any(|selector| selector.metric == names::TCP_CALLS.name);
    if is_calls && !sources.uncounted.is_empty() {
        let peers = sources.uncounted.join(", ");
        return format!("calls to {peers} cannot be counted: their UNIX connections stay open");
    }
    let of: BTreeSet<&str> = selectors
        .into_iter()
        .filter_map(|selector| sources.of(&selector.metric))
        .filter(|source| sources.has_run(source))
        .map(|source| source.name)
        .collect();
    let names: Vec<String> = of.iter().map(|name| format!("`{name}`")).collect();
    let silent = match names.as_slice() {
        [one] => format!("{one} ran, but did not report this"),
        [one, other] => format!("{one} and {other} ran, but neither reported this"),
        [all @ .., last] => {
            format!("{} and {last} ran, but none of them reported this", all.join(", "))
        }
        [] => return ruling.rule.add.clone(),
    };
    if of.contains("prometheus") {
        return format!("{silent}: let the target export these metrics");
    }
    format!("{silent}: hold the stages longer, and look at the gaps")
}
