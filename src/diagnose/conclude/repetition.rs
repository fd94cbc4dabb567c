//! What a plan whose reads are all alike cannot show: the first request fills every cache on the way,
//! and the others are answered from them.

use crate::diagnose::measure::facts::Facts;
use crate::diagnose::terms::model::Finding;
use crate::diagnose::terms::operand::bare;
use crate::diagnose::terms::span::Span;
use crate::diagnose::terms::{bounds, wording};
use crate::recording::PlanSummary;
use crate::timeline::names;

/// The rule that proves a cache where its collectors saw one.
const PROVEN_BY: &str = "cache-illusion";
/// How the names of services start that cache.
const CACHES: [&str; 6] = ["redis", "valkey", "memcached", "keydb", "dragonfly", "varnish"];

/// What to know of a plan that repeats a few reads; `None` where it does not, where that is unknown,
/// or where a finding says it.
pub fn caveat(plan: &PlanSummary, facts: &Facts, findings: &[Finding]) -> Option<String> {
    let read_share = plan.read_share.filter(|share| *share >= bounds::MOST.value)?;
    let variety = plan.read_variety.filter(|variety| *variety < bounds::FEW_REQUESTS.value)?;
    if findings.iter().any(|finding| finding.rule == PROVEN_BY) {
        return None;
    }
    let reads = match read_share {
        share if share > 0.999 => String::new(),
        share => {
            format!(" (its other requests, {} of the load, write)", wording::percent(1.0 - share))
        }
    };
    let what = match variety.round() as u64 {
        0 | 1 => "the plan reads the same thing every time".to_owned(),
        few => format!("the plan reads only {few} different things"),
    };
    Some(format!(
        "{what}{reads}: caches can answer all but the first{}. This run says nothing about varied \
         traffic. Draw ids, users and search words from [data], from as many values as production has",
        asked(facts)
    ))
}

/// The caches that the target was seen to ask.
fn asked(facts: &Facts) -> String {
    let run = facts.windows(Span::Run);
    let Some(throughput) = facts.throughput(&run).filter(|it| *it > 0.0) else {
        return String::new();
    };
    let is_cache = |service: &str| CACHES.iter().any(|name| service.starts_with(name));
    let calls = facts.levels(&bare(&names::TCP_CALLS_SENT), &run, &[]);
    let caches = calls
        .into_iter()
        .filter(|(key, _)| key.labels.get("service").is_some_and(is_cache))
        .filter_map(|(key, level)| {
            let each = wording::number(level / throughput);
            Some(format!("{} was asked {each} times for each request", key.labels.get("peer")?))
        });
    let caches: Vec<String> = caches.collect();
    if caches.is_empty() { String::new() } else { format!(" ({})", caches.join("; ")) }
}

#[cfg(test)]
mod tests {
    use crate::diagnose::conclude::engine::diagnose;
    use crate::diagnose::rules::ruleset::RuleSet;
    use crate::diagnose::simulated::{Picture, record};

    /// The caveat on repetition of a run whose plan has this share and variety of reads, and what
    /// its findings are.
    fn told(share: f64, variety: Option<f64>, levels: &[(&'static str, f64)]) -> (String, String) {
        let mut recording = record(&[20.0, 40.0, 80.0], &|rate| Picture {
            goodput: rate,
            failures: Vec::new(),
            response: 0.02,
            levels: levels.iter().map(|(name, each)| (*name, each * rate)).collect(),
        });
        recording.plan.read_share = Some(share);
        recording.plan.read_variety = variety;
        let diagnosis = diagnose(&recording, RuleSet::builtin());
        let caveat = diagnosis.caveats.iter().find(|text| text.contains("varied traffic"));
        let rules: Vec<String> = diagnosis.findings.into_iter().map(|it| it.rule).collect();
        (caveat.cloned().unwrap_or_default(), rules.join(" "))
    }

    #[test]
    fn a_plan_that_repeats_itself_is_told_so_with_or_without_a_database() {
        let (caveat, rules) = told(1.0, Some(1.0), &[]);
        assert!(caveat.starts_with("the plan reads the same thing every time: "), "{caveat}");
        assert_eq!(rules, "");
        let (few, _) = told(0.8, Some(7.0), &[]);
        assert!(
            few.contains("only 7 different things (its other requests, 20 % of the load"),
            "{few}"
        );
    }

    #[test]
    fn a_cache_that_answers_alone_is_a_finding_and_one_of_several_services_a_remark() {
        let redis = ("tcp.calls.sent{peer=127.0.0.1:6379 (redis),service=redis}", 1.0);
        let (caveat, rules) = told(1.0, Some(1.0), &[redis]);
        assert_eq!((caveat.as_str(), rules.as_str()), ("", "cache-illusion"));
        let other = ("tcp.calls.sent{peer=10.0.3.7:8443}", 1.0);
        let (caveat, rules) = told(1.0, Some(1.0), &[redis, other]);
        assert!(caveat.contains("(127.0.0.1:6379 (redis) was asked 1 times for"), "{caveat}");
        assert_eq!(rules, "");
    }

    #[test]
    fn varied_reads_and_writes_are_not() {
        for (share, variety) in
            [(1.0, Some(5000.0)), (1.0, None), (0.0, Some(0.0)), (0.2, Some(1.0))]
        {
            assert_eq!(told(share, variety, &[]), (String::new(), String::new()));
        }
    }
}
