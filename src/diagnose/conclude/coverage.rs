//! Which causes the rules could name from what is measured, and which metrics the others lack. It
//! asks the rules themselves: what they require, and not what they would conclude.

use std::collections::BTreeSet;

use crate::diagnose::measure::signal::Signal;
use crate::diagnose::rules::rule::{Check, Condition, Rule, RuleRole};
use crate::diagnose::rules::ruleset::RuleSet;
use crate::diagnose::terms::part::PartKind;
use crate::recording::Recording;
use crate::timeline::{Kind, Source, names};

/// Metrics that follow from others where the first is not measured (`measure::derived`).
const DERIVED: [(&str, &str); 5] = [
    (names::RUNTIME_GC_TIME.name, names::JVM_GC_TIME.name),
    (names::RUNTIME_GC_COUNT.name, names::JVM_GC_COUNT.name),
    (names::RUNTIME_HEAP_USED.name, names::JVM_OLD_USED.name),
    (names::RUNTIME_HEAP_LIMIT.name, names::JVM_OLD_LIMIT.name),
    (names::TCP_REQUESTS_SERVED.name, names::TCP_REQUESTS.name),
];
/// What only a load of kneepoint's own has: the mix of its plan, connections, times of failures.
const OF_OWN_LOAD: [&str; 6] = [
    names::LOAD_READ_VARIETY.name,
    names::LOAD_READ_SHARE.name,
    names::LOAD_VARIETY.name,
    names::LOAD_TLS_HANDSHAKES.name,
    names::LOAD_CONNECT_TIME.name,
    names::LOAD_FAILURE_TIME_P50.name,
];
/// How the names of metrics of the load begin.
const LOAD: &str = "load.";
/// How the names of metrics of kneepoint itself begin.
const GENERATOR: &str = "generator.";

/// Who makes the load, as far as the rules are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadSeen {
    /// kneepoint: everything about each request is known.
    Own,
    /// Somebody else: requests were counted.
    Counted,
    /// Nothing tells how many requests there are.
    Nothing,
}

/// What is measured.
#[derive(Clone, Debug)]
pub struct Measurable {
    /// Names of metrics.
    pub metrics: BTreeSet<String>,
    /// Names of the collectors that run.
    pub ran: BTreeSet<String>,
    /// What is known of the load.
    pub load: LoadSeen,
}

/// One cause, and what is missing to name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosable {
    /// The rule's id.
    pub rule: String,
    /// Its title.
    pub title: String,
    /// The metrics that it lacks, of each choice the one with the fewest; empty if it can be named.
    pub missing: BTreeSet<String>,
}

impl Measurable {
    /// What a recording has. `sources` says what each collector emits: what a collector counts is
    /// zero where it looked and found nothing.
    pub fn of_recording(recording: &Recording, sources: &[Source]) -> Self {
        let timeline = &recording.timeline;
        let mut metrics: BTreeSet<String> =
            timeline.series.keys().map(|key| key.metric.clone()).collect();
        let opened = recording.environment.collectors.iter().map(|note| note.name.clone());
        let ran: BTreeSet<String> = opened.chain(timeline.readings.keys().cloned()).collect();
        let looked = |source: &&Source| {
            timeline.readings.get(source.name).is_some_and(|looks| !looks.is_empty())
        };
        // Of a server that stored metrics, only what it stored counts.
        let is_own = ran.contains(GENERATOR.trim_end_matches('.'));
        for source in sources.iter().filter(|_| is_own).filter(looked) {
            let counted = source.metrics.iter().filter(|metric| metric.kind == Kind::Census);
            metrics.extend(counted.map(|metric| metric.name.to_owned()));
        }
        let load =
            match (timeline.ticks.is_empty(), is_own && recording.plan.executor != "observed") {
                (true, _) => LoadSeen::Nothing,
                (false, true) => LoadSeen::Own,
                (false, false) => LoadSeen::Counted,
            };
        Self { metrics, ran, load }
    }

    fn has(&self, metric: &str) -> bool {
        if self.metrics.contains(metric) {
            return true;
        }
        if metric.starts_with(GENERATOR) || OF_OWN_LOAD.contains(&metric) {
            return self.load == LoadSeen::Own;
        }
        if metric.starts_with(LOAD) {
            return self.load != LoadSeen::Nothing;
        }
        DERIVED.iter().any(|(of, from)| *of == metric && self.metrics.contains(*from))
    }

    /// The metrics that a condition lacks; none if it can be judged.
    fn lacks(&self, condition: &Condition) -> BTreeSet<String> {
        match &condition.check {
            Check::Test(test) => {
                needs(&test.signal).into_iter().filter(|metric| !self.has(metric)).collect()
            }
            Check::Any(inner) => inner
                .iter()
                .map(|condition| self.lacks(condition))
                .min_by_key(BTreeSet::len)
                .unwrap_or_default(),
            Check::All(inner) => self.lacks_of_all(inner),
        }
    }

    fn lacks_of_all(&self, conditions: &[Condition]) -> BTreeSet<String> {
        let required = conditions.iter().filter(|condition| !condition.optional);
        required.flat_map(|condition| self.lacks(condition)).collect()
    }
}

/// The metrics without which a signal has no data.
fn needs(signal: &Signal) -> Vec<String> {
    // Levels that have no data are passed over in what is taken off.
    let selectors = match signal {
        Signal::Rest(of, _) => of.selectors.iter().collect(),
        other => other.selectors(),
    };
    let mut needs: Vec<String> = selectors.into_iter().map(|it| it.metric.clone()).collect();
    if let Signal::Share(parts) | Signal::HeldShare(parts) = signal {
        // The response time is split by whatever was measured: only these two parts have one source.
        needs.push(names::LOAD_RESPONSE_TIME.name.to_owned());
        let of = |part: &PartKind| match part {
            PartKind::Downstream => Some(names::TCP_CALLS.name),
            part => part.sessions().map(|_| names::DB_SESSIONS.name),
        };
        needs.extend(parts.iter().filter_map(of).map(str::to_owned));
    }
    needs
}

/// What each rule lacks that may name a cause, in the order of the rules.
pub fn diagnosable(rules: &RuleSet, measured: &Measurable) -> Vec<Diagnosable> {
    let causes = rules.rules().iter().filter(|rule| rule.role != RuleRole::Gate);
    let of = |rule: &Rule| Diagnosable {
        rule: rule.id.clone(),
        title: rule.title.clone(),
        missing: measured.lacks_of_all(&rule.require),
    };
    causes.map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacking(measured: &Measurable, rule: &str) -> Vec<String> {
        let all = diagnosable(RuleSet::builtin(), measured);
        let found = all.into_iter().find(|one| one.rule == rule).unwrap();
        found.missing.into_iter().collect()
    }

    fn nothing(load: LoadSeen) -> Measurable {
        Measurable { metrics: BTreeSet::new(), ran: BTreeSet::new(), load }
    }

    #[test]
    fn rules_lack_what_they_require_and_nothing_else() {
        let own = nothing(LoadSeen::Own);
        assert_eq!(lacking(&own, "db-lock-wait"), ["db.sessions"]);
        assert_eq!(lacking(&own, "rate-limited"), [""; 0]);
        assert_eq!(lacking(&own, "gc-pauses"), ["runtime.gc.time"]);
        assert_eq!(lacking(&nothing(LoadSeen::Nothing), "rate-limited"), ["load.errors"]);
        assert_eq!(
            lacking(&nothing(LoadSeen::Counted), "fast-failures"),
            ["load.failure_time.p50"]
        );
        let mut with = own;
        with.metrics.extend(["jvm.gc.time", "db.sessions"].map(str::to_owned));
        assert_eq!(lacking(&with, "gc-pauses"), [""; 0]);
        assert_eq!(lacking(&with, "db-lock-wait"), [""; 0]);
        // Of the three ways to see a full pool, the sessions are the nearest.
        assert_eq!(lacking(&with, "db-pool-too-small"), [""; 0]);
    }

    #[test]
    fn with_every_metric_every_cause_can_be_named() {
        let all = names::ALL.iter().map(|metric| metric.name.to_owned()).collect();
        let measured = Measurable { metrics: all, ran: BTreeSet::new(), load: LoadSeen::Own };
        let all = diagnosable(RuleSet::builtin(), &measured);
        assert!(all.iter().all(|one| one.missing.is_empty()), "{all:?}");
        assert!(all.len() > 30);
        let none = diagnosable(RuleSet::builtin(), &nothing(LoadSeen::Nothing));
        assert!(none.iter().all(|one| !one.missing.is_empty()), "{none:?}");
    }
}
