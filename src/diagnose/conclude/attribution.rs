//! What is said of where the response time goes: the parts of each stage, what grew, and where the
//! account does not add up. [`crate::diagnose::measure::split`] measures the parts.

mod overlap;

use std::collections::BTreeMap;

use crate::diagnose::curve::stages::by_load;
use crate::diagnose::measure::facts::Facts;
use crate::diagnose::measure::split::{FLOW_BALANCE, PartTime, Split, split};
use crate::diagnose::terms::account::{Attribution, Part, StageParts};
use crate::diagnose::terms::growth::Growth;
use crate::diagnose::terms::model::StageSummary;
use crate::diagnose::terms::span::Span;
use crate::diagnose::terms::{stats, wording};
use crate::timeline::Window;

/// The part of the growth that may stay unexplained before it has to be said.
const UNEXPLAINED: f64 = 0.3;

/// The whole attribution, without a growth where the curve does not bend; `None` without load.
pub fn attribute(facts: &Facts, stages: &[StageSummary], bends: bool) -> Option<Attribution> {
    let growth = facts.growth().filter(|_| bends);
    let valid = by_load(stages);
    let splits: Vec<(f64, Split)> = valid
        .iter()
        .filter_map(|stage| Some((stage.offered, split(facts, &[stage.window])?)))
        .collect();
    if splits.is_empty() {
        return None;
    }
    let overlaps = overlap::overlaps(&splits);
    let mut broken: Vec<String> = growth.and_then(unexplained).into_iter().collect();
    broken.extend(overlaps.iter().map(|overlap| overlap.text.clone()));
    broken.extend(exceeding(&splits));
    broken.extend(unbalanced(&splits));
    if bends && facts.database_is_watched() && facts.windows(Span::Knee).len() == 1 {
        broken.push(
            "only one stage lies at or beyond the knee, so its parts may be chance".to_owned(),
        );
    }
    Some(Attribution {
        broken_assumptions: broken,
        baseline: pooled(facts, &valid, &facts.windows(Span::Baseline)),
        knee: pooled(facts, &valid, &facts.nearest_the_knee()).filter(|_| bends),
        stages: splits.iter().map(|(offered, split)| stage_parts(split, *offered)).collect(),
        growth: growth.map_or_else(Vec::new, Growth::by_share),
        unexplained: growth.map_or(0.0, |it| (it.unexplained() - it.in_target()).max(0.0)),
        overlaps,
    })
}

/// The parts of several stages taken together, under the mean of what was offered in them.
fn pooled(facts: &Facts, stages: &[&StageSummary], windows: &[Window]) -> Option<StageParts> {
    let within = stages.iter().filter(|stage| windows.contains(&stage.window));
    let offered: Vec<f64> = within.map(|stage| stage.offered).collect();
    let offered = stats::mean(&offered)?;
    Some(stage_parts(&split(facts, windows)?, offered))
}

/// A split as a report shows it, under the load that was offered in it.
fn stage_parts(split: &Split, offered: f64) -> StageParts {
    let part = |part: &PartTime| Part {
        name: part.name(),
        kind: part.kind.key().to_owned(),
        peer: part.peer.clone(),
        seconds: part.seconds,
        is_all: part.exceeds(split.response),
        error: part.error,
    };
    StageParts {
        offered,
        arrivals: split.arrivals,
        completions: split.completions,
        balanced: split.is_balanced(),
        response: split.response,
        overlap: overlap::seconds(split),
        parts: split.parts.iter().map(part).collect(),
    }
}

/// Says how much of the growth nothing explains, where that is much.
fn unexplained(growth: &Growth) -> Option<String> {
    let (all, inside) = (growth.unexplained(), growth.in_target());
    if growth.total <= 0.0 || all <= UNEXPLAINED {
        return None;
    }
    Some(if inside > 0.5 * all {
        format!(
            "{} of the growth is time inside the target that no collector explains: look for a \
             queue, a lock or a concurrency limit",
            wording::percent(all)
        )
    } else {
        format!("no collector explains {} of the growth", wording::percent(all))
    })
}

/// Says for which parts more was counted than there is, once for each, where it is worst.
fn exceeding(splits: &[(f64, Split)]) -> Vec<String> {
    let mut worst: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for (offered, split) in splits.iter().filter(|(_, split)| split.response > 0.0) {
        for part in split.parts.iter().filter(|part| part.exceeds(split.response)) {
            let times = part.counted / split.response;
            let have = worst.entry(part.name()).or_insert((times, *offered));
            if times > have.0 {
                *have = (times, *offered);
            }
        }
    }
    let say = |(name, (times, offered)): (String, (f64, f64))| {
        format!(
            "more was counted for `{name}` than a request takes, at worst {} as much at {}: what \
             works or waits for no request is counted too, so it is reported as all of the time",
            wording::times(times),
            wording::rate(offered)
        )
    };
    worst.into_iter().map(say).collect()
}

/// Says where fewer requests ended than arrived.
fn unbalanced(splits: &[(f64, Split)]) -> Option<String> {
    let behind = |split: &Split| split.completions < split.arrivals * (1.0 - FLOW_BALANCE);
    let growing: Vec<_> = splits.iter().filter(|(_, split)| behind(split)).collect();
    let lag = |split: &Split| split.arrivals - split.completions;
    let (offered, worst) = growing.iter().max_by(|a, b| lag(&a.1).total_cmp(&lag(&b.1)))?;
    Some(format!(
        "a queue grew in {} of {} stages: fewer requests ended than arrived (at worst {} of {}), so \
         their parts describe the growing queue",
        growing.len(),
        splits.len(),
        wording::number(worst.completions),
        wording::rate(*offered)
    ))
}
