//! What else differs between the runs: a difference of the builds may be a difference of these.

use std::collections::BTreeSet;

use serde_json::Value;

use super::model::Measure;
use super::resources::peer_name;
use super::sample::{Runs, Sample};
use super::verdict::Draft;
use crate::diagnose::wording;

/// Settings of the plan that are told apart one by one.
const MOST_SETTINGS: usize = 6;
/// Settings whose difference means nothing: where the target listens, and who reads what there.
const NO_MATTER: [&str; 3] = ["target.url", "collectors", "name"];
/// Longer values of settings are not quoted.
const LONGEST_VALUE: usize = 40;

/// Everything worth knowing, each in words.
pub fn between(runs: Runs<'_>) -> Vec<String> {
    let mut told = Vec::new();
    let Some(first) = runs.base.first() else { return told };
    told.extend(troubles(runs));
    told.extend(same_recording(runs));
    for sample in runs.all().skip(1) {
        for text in plans_apart(first, sample).into_iter().chain(machines_apart(first, sample)) {
            if !told.contains(&text) {
                told.push(text);
            }
        }
    }
    told.extend(collectors_apart(runs));
    told.extend(calls_apart(runs));
    told
}

/// The runs that something else disturbed, which some quantities are told without.
pub fn disturbed(runs: Runs<'_>, drafts: &[Draft]) -> Vec<String> {
    let tell = |(index, sample): (usize, &Sample)| {
        let without = drafts.iter().filter(|draft| draft.left_out.contains(&index)).count();
        let counted = wording::plural(without as u64, "quantity is", "quantities are");
        (without > 0).then(|| {
            format!(
                "`{}` was disturbed: {counted} compared without it, as it departs from the other \
                 runs by far more than they differ",
                sample.name
            )
        })
    };
    runs.all().enumerate().filter_map(tell).collect()
}

fn troubles(runs: Runs<'_>) -> impl Iterator<Item = String> {
    runs.all().filter_map(|sample| {
        let trouble = sample.trouble.as_ref()?;
        Some(format!("`{}`: {trouble}", sample.name))
    })
}

/// That one run is on both sides.
fn same_recording(runs: Runs<'_>) -> Option<String> {
    let started = |sample: &Sample| {
        (sample.environment.started_unix > 0.0).then(|| sample.environment.started_unix.to_bits())
    };
    let base: BTreeSet<u64> = runs.base.iter().filter_map(started).collect();
    let both = runs
        .candidate
        .iter()
        .find(|sample| started(sample).is_some_and(|at| base.contains(&at)))?;
    Some(format!("`{}` is on both sides: it is compared with itself", both.name))
}

fn plans_apart(first: &Sample, other: &Sample) -> Vec<String> {
    let mut told = Vec::new();
    let (one, two) = (&first.plan, &other.plan);
    if one.executor != two.executor {
        told.push(format!(
            "the plans make load differently: `{}` and `{}`",
            one.executor, two.executor
        ));
    }
    let mix = |sample: &Sample| {
        let shares = sample.plan.requests.iter();
        let shares = shares.map(|(name, share)| format!("{name} {}", wording::percent(*share)));
        shares.collect::<Vec<String>>().join(", ")
    };
    if mix(first) != mix(other) {
        told.push(format!(
            "the plans mix requests differently: {}; and {}",
            mix(first),
            mix(other)
        ));
    }
    let mut settings = Vec::new();
    settings_apart("", &one.full, &two.full, &mut settings);
    // The mix and the executor are told in words.
    settings.retain(|(path, _)| !path.starts_with("requests") && path != "load.executor");
    if !settings.is_empty() {
        let rest = settings.len().saturating_sub(MOST_SETTINGS);
        let shown = settings.into_iter().take(MOST_SETTINGS);
        let shown: Vec<String> = shown.map(|(path, values)| format!("`{path}`{values}")).collect();
        let more = if rest > 0 { format!(" and {rest} more settings") } else { String::new() };
        told.push(format!("the plans differ in {}{more}", shown.join(", ")));
    }
    told
}

/// The settings that differ, with both values where they are short.
fn settings_apart(path: &str, one: &Value, two: &Value, told: &mut Vec<(String, String)>) {
    match (one, two) {
        (Value::Object(first), Value::Object(second)) => {
            let keys: BTreeSet<&String> = first.keys().chain(second.keys()).collect();
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                if NO_MATTER.contains(&path.as_str()) {
                    continue;
                }
                let of = |map: &serde_json::Map<String, Value>| {
                    map.get(key.as_str()).cloned().unwrap_or(Value::Null)
                };
                settings_apart(&path, &of(first), &of(second), told);
            }
        }
        _ if one == two => {}
        _ => {
            let (one, two) = (one.to_string(), two.to_string());
            let is_short = one.len().max(two.len()) <= LONGEST_VALUE;
            let values = if is_short { format!(" ({one} and {two})") } else { String::new() };
            told.push((path.to_owned(), values));
        }
    }
}

fn machines_apart(first: &Sample, other: &Sample) -> Vec<String> {
    let (one, two) = (&first.environment, &other.environment);
    let mut told = Vec::new();
    let mut tell = |what: &str, a: String, b: String| {
        if a != b {
            told.push(format!("{what} differs: {a} and {b}"));
        }
    };
    tell("the machine that makes the load", quoted(&one.host), quoted(&two.host));
    tell("its number of cores", one.cores.to_string(), two.cores.to_string());
    let memory = |bytes: u64| wording::bytes(bytes as f64);
    tell("its memory", memory(one.memory_bytes), memory(two.memory_bytes));
    tell("its kernel", quoted(&one.kernel), quoted(&two.kernel));
    tell("the version of kneepoint", quoted(&one.kneepoint), quoted(&two.kneepoint));
    let place = |is_local: bool| if is_local { "the same machine" } else { "another machine" };
    tell(
        "where the target runs",
        place(one.target_is_local).to_owned(),
        place(two.target_is_local).to_owned(),
    );
    told
}

fn quoted(text: &str) -> String {
    format!("`{text}`")
}

/// Collectors that only some runs have: what they cost, and what they show, differs.
fn collectors_apart(runs: Runs<'_>) -> Vec<String> {
    let of = |samples: &[Sample]| -> BTreeSet<String> {
        let notes = samples.iter().flat_map(|sample| &sample.environment.collectors);
        notes.map(|note| note.name.clone()).collect()
    };
    let (base, candidate) = (of(runs.base), of(runs.candidate));
    let only = |names: Vec<&String>, side: &str| {
        let names: Vec<String> = names.into_iter().map(|name| quoted(name)).collect();
        (!names.is_empty())
            .then(|| format!("only the {side} was watched by {}", wording::list(&names)))
    };
    let before = only(base.difference(&candidate).collect(), "base");
    before.into_iter().chain(only(candidate.difference(&base).collect(), "candidate")).collect()
}

/// Services that only one build calls.
fn calls_apart(runs: Runs<'_>) -> Vec<String> {
    let of = |samples: &[Sample]| -> BTreeSet<String> {
        let stages = samples.iter().flat_map(|sample| &sample.stages);
        let calls = stages.flat_map(|stage| stage.resources.iter());
        calls
            .filter_map(|(measure, measured)| match measure {
                Measure::CallsPerRequest(service) if measured.value > 0.0 => {
                    Some(peer_name(service).to_owned())
                }
                _ => None,
            })
            .collect()
    };
    let (base, candidate) = (of(runs.base), of(runs.candidate));
    let is_named = |name: &&String| !name.contains(':');
    let only = |name: &String, side: &str| format!("only the {side} calls `{name}`");
    let before = base.difference(&candidate).filter(is_named).map(|name| only(name, "base"));
    let after = candidate.difference(&base).filter(is_named).map(|name| only(name, "candidate"));
    before.chain(after).collect()
}
