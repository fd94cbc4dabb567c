//! Why: where a difference of the response time lies, and which causes came or went.
//!
//! The parts are those of the attribution of each diagnosis, at the matched loads. They are means,
//! as Little's law tells no quantiles of a part.

use std::collections::{BTreeMap, BTreeSet};

use super::levels::Levels;
use super::limits::{self, Pools};
use super::model::{CauseChange, EndpointChange, Fate, PartChange, Why};
use super::resources::peer_name;
use super::sample::{Cause, Runs, Sample};
use super::tally;
use crate::diagnose::stats;

/// The parts of one run at the matched loads.
#[derive(Default)]
struct Split {
    response: f64,
    /// Name, seconds and squared error by kind and peer.
    parts: BTreeMap<(String, String), (String, f64, f64)>,
}

/// Where the difference lies.
pub fn why(runs: Runs<'_>, levels: &Levels) -> Why {
    let split = runs.base.len();
    let splits: Vec<Option<Split>> =
        runs.all().enumerate().map(|(run, sample)| of_run(run, sample, levels)).collect();
    let (base, candidate) = splits.split_at(split);
    let (base, candidate) = (together(base), together(candidate));
    let mut why = Why {
        endpoints: endpoints(runs, levels),
        causes: causes(runs),
        limits: limits::changes(&pools(runs.base), &pools(runs.candidate)),
        ..Why::default()
    };
    let (Some(base), Some(candidate)) = (base, candidate) else { return why };
    why.response = Some((base.response, candidate.response));
    let keys: BTreeSet<_> = base.parts.keys().chain(candidate.parts.keys()).cloned().collect();
    for key in keys {
        let of = |split: &Split| split.parts.get(&key).cloned();
        let (before, after) = (of(&base), of(&candidate));
        // A part that one build did not measure is unknown there, not zero; except a wait for a
        // service that only one of them calls.
        if key.1.is_empty() && (before.is_none() || after.is_none()) {
            continue;
        }
        let name = before.as_ref().or(after.as_ref()).map(|part| part.0.clone());
        let seconds = |part: &Option<(String, f64, f64)>| part.as_ref().map_or(0.0, |it| it.1);
        let error = |part: &Option<(String, f64, f64)>| part.as_ref().map_or(0.0, |it| it.2);
        why.parts.push(PartChange {
            name: name.unwrap_or_default(),
            kind: key.0,
            base: seconds(&before),
            candidate: seconds(&after),
            error: (error(&before) + error(&after)).sqrt(),
        });
    }
    why.parts.sort_by(|a, b| b.gain().abs().total_cmp(&a.gain().abs()).then(a.name.cmp(&b.name)));
    why
}

/// The parts of one run, each load weighed by its requests; `None` where nothing was told.
fn of_run(run: usize, sample: &Sample, levels: &Levels) -> Option<Split> {
    let mut whole = Split::default();
    let mut weight = 0.0;
    for level in &levels.matched {
        for stage in level.stages_of(run, sample) {
            let Some(parts) = &stage.parts else { continue };
            let own = level.seconds * stage.throughput;
            weight += own;
            whole.response += own * parts.response;
            for part in &parts.parts {
                let peer = part.peer.as_deref().map(peer_name).unwrap_or_default();
                let name = match &part.peer {
                    Some(full) => part.name.replace(full.as_str(), peer),
                    None => part.name.clone(),
                };
                let key = (part.kind.clone(), peer.to_owned());
                let sum = whole.parts.entry(key).or_insert((name, 0.0, 0.0));
                sum.1 += own * part.seconds;
                sum.2 += (own * part.error).powi(2);
            }
        }
    }
    if weight <= 0.0 {
        return None;
    }
    whole.response /= weight;
    for sum in whole.parts.values_mut() {
        sum.1 /= weight;
        sum.2 /= weight * weight;
    }
    Some(whole)
}

/// The mean of the runs of a build. Its errors are those within the runs, or what the runs scatter by
/// where that is more.
fn together(runs: &[Option<Split>]) -> Option<Split> {
    let told: Vec<&Split> = runs.iter().flatten().collect();
    let count = told.len() as f64;
    if told.is_empty() {
        return None;
    }
    let mut mean = Split::default();
    for split in &told {
        mean.response += split.response / count;
        for (key, (name, seconds, error)) in &split.parts {
            let sum = mean.parts.entry(key.clone()).or_insert((name.clone(), 0.0, 0.0));
            sum.1 += seconds / count;
            sum.2 += error / (count * count);
        }
    }
    // Runs of one build differ by more than each of them knows.
    for (key, (_, _, error)) in &mut mean.parts {
        let seconds = told.iter().map(|split| split.parts.get(key).map_or(0.0, |part| part.1));
        let between = stats::variance(&seconds.collect::<Vec<f64>>()) / count;
        *error = error.max(between);
    }
    Some(mean)
}

/// What the requests of each name gained, where there are several.
fn endpoints(runs: Runs<'_>, levels: &Levels) -> Vec<EndpointChange> {
    let names: BTreeSet<&String> = runs.all().flat_map(|sample| &sample.endpoints).collect();
    if names.len() < 2 {
        return Vec::new();
    }
    let split = runs.base.len();
    let of = |name: &str, from: usize, to: usize| {
        let mut means = Vec::new();
        let (mut own, mut all) = (0u64, 0u64);
        for (run, sample) in runs.all().enumerate().skip(from).take(to - from) {
            let index = sample.endpoints.iter().position(|known| known == name);
            let mut counts = Vec::new();
            for slot in levels.matched.iter().flat_map(|level| level.slots_of(run, sample)) {
                all += slot.requests.iter().map(|requests| requests.completed).sum::<u64>();
                if let Some(requests) = index.and_then(|index| slot.requests.get(index)) {
                    own += requests.completed;
                    counts.push(&requests.times);
                }
            }
            means.extend(tally::mean(counts.into_iter().flatten()));
        }
        Some((stats::mean(&means)?, own as f64 / all.max(1) as f64))
    };
    let count = runs.all().count();
    let mut changes: Vec<EndpointChange> = names
        .into_iter()
        .filter_map(|name| {
            let (base, first) = of(name, 0, split)?;
            let (candidate, second) = of(name, split, count)?;
            let adds = (candidate - base) * (first + second) / 2.0;
            Some(EndpointChange { name: name.clone(), base, candidate, adds })
        })
        .collect();
    changes.sort_by(|a, b| b.adds.abs().total_cmp(&a.adds.abs()).then(a.name.cmp(&b.name)));
    changes
}

/// Causes that most runs of a build have.
fn causes(runs: Runs<'_>) -> Vec<CauseChange> {
    let all: Vec<&Cause> = runs.all().flat_map(|sample| &sample.causes).collect();
    let rules: BTreeSet<&str> = all.iter().map(|cause| cause.rule.as_str()).collect();
    let mut changes = Vec::new();
    for rule in rules {
        let has = |sample: &&Sample| sample.causes.iter().any(|cause| cause.rule == rule);
        let (in_base, in_candidate) =
            (runs.base.iter().filter(has).count(), runs.candidate.iter().filter(has).count());
        let most = |count: usize, of: usize| 2 * count > of;
        let fate = match (most(in_base, runs.base.len()), most(in_candidate, runs.candidate.len()))
        {
            (false, true) => Fate::Came,
            (true, false) => Fate::Went,
            (true, true) => Fate::Stayed,
            (false, false) => continue,
        };
        // The candidate's words, where it has some.
        let newest = all.iter().rev().find(|cause| cause.rule == rule);
        changes.extend(newest.map(|cause| CauseChange {
            fate,
            rule: rule.to_owned(),
            title: cause.title.clone(),
            in_base: in_base as u64,
            in_candidate: in_candidate as u64,
            code: cause.code.clone(),
        }));
    }
    changes.sort_by(|a, b| a.fate.cmp(&b.fate).then(a.rule.cmp(&b.rule)));
    changes
}
/// The pools of each run.
fn pools(samples: &[Sample]) -> Vec<&Pools> {
    samples.iter().map(|sample| &sample.pools).collect()
}
