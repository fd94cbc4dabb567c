//! Which runs may be compared with each other.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::recording::{Environment, PlanSummary};

/// Bytes of a digest that stand in a name: enough that two plans of one name, or two runs of one
/// start, never share it by chance.
const DIGEST_BYTES: usize = 4;
/// Parts of a plan that decide what a response takes. Objectives, limits, what is watched and where
/// the target listens may change without making runs incomparable.
const DECISIVE: [&str; 7] =
    ["requests", "journeys", "setup", "data", "scenarios", "websockets", "target"];
/// Of the target, where it listens.
const PLACE: &str = "url";
/// What stands in the name of a directory as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// Runs with the same key may be compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// Name of the plan, with a digest of what it does: `shop-1a2b3c4d`.
    pub plan: String,
    /// The branch that was built.
    pub branch: String,
    /// The class of machine that made the load, such as `2-cores-24-gib-local`.
    pub machine: String,
}

impl Key {
    /// The key of a run. `machine` names the class where kneepoint's own division does not fit.
    pub fn of(
        plan: &PlanSummary,
        environment: &Environment,
        branch: &str,
        machine: Option<&str>,
    ) -> Self {
        Self {
            plan: Self::plan_name(plan),
            branch: branch.to_owned(),
            machine: machine.map_or_else(|| machine_class(environment), str::to_owned),
        }
    }

    /// The name of a plan with a digest of what it does.
    pub fn plan_name(plan: &PlanSummary) -> String {
        let mut decisive: Vec<(&str, Value)> = Vec::new();
        for key in DECISIVE {
            let mut value = plan.full.get(key).cloned().unwrap_or(Value::Null);
            if let Some(target) = value.as_object_mut().filter(|_| key == "target") {
                target.remove(PLACE);
            }
            decisive.push((key, value));
        }
        let text = serde_json::to_vec(&decisive).unwrap_or_default();
        format!("{}-{}", plan.name, digest(&text))
    }

    /// Its directories below that of a store.
    pub fn folders(&self) -> [String; 3] {
        [&self.plan, &self.branch, &self.machine].map(|part| folder(part))
    }
}

/// A name as that of a directory, which no `..` and no `/` leads out of.
pub(super) fn folder(name: &str) -> String {
    let encoded = utf8_percent_encode(name, PLAIN).to_string();
    match encoded.trim_matches('.').is_empty() {
        true => encoded.replace('.', "%2E"),
        false => encoded,
    }
}

/// The beginning of a digest, as it stands in names.
pub(super) fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().take(DIGEST_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

/// The class of the machine that made the load: its cores, its memory, and whether the target runs
/// there too.
fn machine_class(environment: &Environment) -> String {
    let gib = (environment.memory_bytes as f64 / f64::from(1u32 << 30)).round();
    let place = if environment.target_is_local { "local" } else { "remote" };
    format!("{}-cores-{gib}-gib-{place}", environment.cores)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plan(full: Value) -> PlanSummary {
        PlanSummary { name: "shop".into(), full, ..PlanSummary::default() }
    }

    #[test]
    fn what_a_response_takes_decides_and_where_the_target_listens_does_not() {
        let one = json!({"target": {"url": "http://a:1", "timeout": 10}, "requests": [1]});
        let moved = json!({"target": {"url": "http://b:2", "timeout": 10}, "requests": [1],
            "objectives": [2], "collectors": [3]});
        let other = json!({"target": {"url": "http://a:1", "timeout": 10}, "requests": [2]});
        let name = |full: &Value| Key::plan_name(&plan(full.clone()));
        assert_eq!(name(&one), name(&moved));
        assert_ne!(name(&one), name(&other));
        assert!(name(&one).starts_with("shop-") && name(&one).len() == 13, "{}", name(&one));
    }

    #[test]
    fn no_name_leads_out_of_the_store() {
        for (name, wanted) in [
            ("feature/new cart", "feature%2Fnew%20cart"),
            ("..", "%2E%2E"),
            ("../../etc", "..%2F..%2Fetc"),
            ("v1.2_x-y", "v1.2_x-y"),
        ] {
            assert_eq!(folder(name), wanted);
        }
    }

    #[test]
    fn machines_are_told_apart_by_what_makes_them_faster() {
        let environment = Environment {
            cores: 2,
            memory_bytes: 25_100_000_000,
            target_is_local: true,
            ..Environment::default()
        };
        assert_eq!(machine_class(&environment), "2-cores-23-gib-local");
    }
}
