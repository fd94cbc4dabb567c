//! The rules that kneepoint ships. To add one: a file in `rules/` and its name here. Their order
//! decides between causes that are equally well confirmed.

macro_rules! rules {
    ($($id:literal),* $(,)?) => {
        /// File name and text of each rule.
        pub const FILES: &[(&str, &str)] = &[$((
            concat!($id, ".toml"),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/rules/", $id, ".toml")),
        )),*];
    };
}

rules![
    "generator-limited",
    "db-lock-wait",
    "db-internal-contention",
    "cpu-throttled",
    "gc-pauses",
    "cpu-stolen",
    "tls-handshakes",
    "single-thread-saturated",
    "cpu-saturated",
    "disk-bound",
    "network-bound",
    "ports-exhausted",
    "conntrack-full",
    "db-queries-slow",
    "db-connections-held",
    "db-connections-refused",
    "pooler-pool-too-small",
    "db-pool-too-small",
    "retry-amplification",
    "downstream-rate-limited",
    "downstream-admission-limit",
    "downstream-errors",
    "downstream-wait",
    "downstream-calls-limited",
    "file-lock-contention",
    "app-lock-contention",
    "rate-limited",
    "admission-limit",
    "worker-exhaustion",
    "pool-exhausted",
    "load-shedding",
    "queue-timeout",
    "internal-wait",
    "accept-queue-full",
    "fast-failures",
    "oom-killed",
    "crashed",
    "cache-illusion",
    "memory-leak",
    "pool-leak",
    "connection-leak",
    "fd-leak",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::diagnose::rules::case::Expect;
    use crate::diagnose::rules::ruleset::RuleSet;

    use super::*;

    #[test]
    fn every_file_is_listed_and_every_rule_is_sound() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/rules");
        let files: BTreeSet<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".toml"))
            .collect();
        let listed: BTreeSet<String> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(files, listed);
        let rules = RuleSet::parse(FILES).unwrap_or_else(|errors| panic!("{errors}"));
        for rule in rules.rules() {
            for other in &rule.consequence_of {
                assert!(rules.find(other).is_some(), "{}: no rule `{other}`", rule.id);
            }
            for expect in [Expect::Fires, Expect::Quiet, Expect::NoData] {
                let has = rule.cases.iter().any(|case| case.expect == expect);
                assert!(has, "{}: no case expects `{}`", rule.id, expect.key());
            }
            let symptom = rule.require.iter().any(|condition| condition.symptom);
            let possible = rule.cases.iter().any(|case| case.expect == Expect::Possible);
            assert_eq!(symptom, possible, "{}: a symptom and a case go together", rule.id);
        }
    }

    #[test]
    fn every_case_holds() {
        let failed: Vec<String> = RuleSet::parse(FILES)
            .unwrap_or_else(|errors| panic!("{errors}"))
            .run_cases()
            .iter()
            .filter(|outcome| !outcome.passed())
            .map(|outcome| {
                format!(
                    "{}: {} (on {} cores): wanted {}, got {}\n  {}",
                    outcome.rule,
                    outcome.case,
                    outcome.cores,
                    outcome.expect.key(),
                    outcome.got.key(),
                    outcome.measured.join("\n  ")
                )
            })
            .collect();
        assert!(failed.is_empty(), "{}", failed.join("\n"));
    }
}
