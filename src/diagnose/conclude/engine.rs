//! The diagnosis as a whole: the gates in their order, then the cause.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnose::curve::knee::{self, KneeVerdict};
use crate::diagnose::curve::stages::{by_load, summarize};
use crate::diagnose::curve::windows::windows;
use crate::diagnose::curve::{objectives, overload};
use crate::diagnose::leaks::soak;
use crate::diagnose::measure::facts::{Facts, ShapedPool};
use crate::diagnose::measure::services::Services;
use crate::diagnose::measure::{pools, split};
use crate::diagnose::rules::rule::RuleRole;
use crate::diagnose::rules::ruleset::RuleSet;
use crate::diagnose::rules::ruling::{self, Ruling};
use crate::diagnose::terms::invalid::Invalid;
use crate::diagnose::terms::model::{
    Capacity, CollectorOverhead, Diagnosis, Finding, FindingRole, Knee, KneeKind, Outcome,
    StageSummary,
};
use crate::diagnose::terms::room::Headroom;
use crate::diagnose::terms::wording;
use crate::recording::{Recording, StopReason};
use crate::timeline::{Labels, SeriesKey, Timeline, names};

use super::chain::Walk;
use super::contradictions::contradictions;
use super::headroom::headroom;
use super::lacking::{self, Sources};
use super::rank::{self, Ranked};
use super::{
    attribution, endpoints, estimate, for_good, generator, predict, recovery, repetition, stacks,
};

/// Concludes from one recording all that `rules` allow.
///
/// The gates come in order, and each can end the matter: the generator was the limit, too little
/// was measured, there is no knee. Only then is a cause named.
pub fn diagnose(recording: &Recording, rules: &RuleSet) -> Diagnosis {
    let diagnosis = diagnose_without_headroom(recording, rules);
    Diagnosis { headroom: room(&diagnosis.outcome, recording, rules), ..diagnosis }
}

/// The same without how much the system carries, which takes as long as the rest: for whoever
/// compares many runs.
pub fn diagnose_without_headroom(recording: &Recording, rules: &RuleSet) -> Diagnosis {
    let mut stages = summarize(recording);
    knee::leave_out_passed(&mut stages, &recording.timeline);
    let found = knee::find(&stages, &recording.timeline);
    let generator = generator::health(recording, &stages, &found);
    let services = Services::of(recording);
    let timeline = services.target.as_ref().unwrap_or(&recording.timeline);
    let concluded = outcome(recording, &stages, found);
    let (outcome, knee) = for_good(recording, timeline, &stages, concluded);
    let windows = windows(&stages, knee.as_ref());
    let facts =
        split::with_growth(pools::with_pools(Facts::of_target(recording, timeline, &windows)));
    let walk = Walk::new(recording, &services, &windows, &facts);
    let rulings: Vec<Ruling> =
        rules.rules().iter().flat_map(|rule| ruling::rule_on(rule, &facts)).collect();
    let uncounted = facts.uncounted_peers().into_iter().map(str::to_owned).collect();
    let sources = Sources { known: rules.sources(), ran: watched(recording), uncounted };
    let mut caveats = run_caveats(recording, &stages, &facts, &sources);
    let mut ranked = ranked(&outcome, &rulings, knee.as_ref(), &sources);
    if let Some(knee) = &knee {
        predict::foresee(&mut ranked.findings, rules, &facts, &stages, knee);
        walk.accuse(&mut ranked, rules, &stages, knee, &sources);
    }
    name_endpoint(&mut ranked, rules, &facts);
    caveats.append(&mut ranked.caveats);
    caveats.extend(shaped_pools(&facts, &ranked.findings));
    caveats.extend(repetition::caveat(&recording.plan, &facts, &ranked.findings));
    caveats.extend(lacking::offers(&facts, &sources));
    if outcome == Outcome::Knee {
        let (findings, open) = (&ranked.findings, &ranked.not_checked);
        caveats.extend(lacking::for_a_cause(&facts, rules, findings, open, &sources));
        let gates = rank::measured(&rulings, RuleRole::Gate).into_iter();
        caveats.extend(gates.map(|sign| format!("kneepoint itself: {}", sign.text)));
    }
    let attribution = match outcome {
        Outcome::GeneratorLimited { .. } | Outcome::Aborted { .. } => None,
        _ => attribution::attribute(&facts, &stages, knee.is_some()),
    };
    caveats.extend(attribution.iter().flat_map(|it| it.broken_assumptions.clone()));
    let is_told = attribution.is_some() && !walk.is_empty();
    let chain = is_told.then(|| walk.chain(&facts, rules, knee.is_some(), ranked.findings.first()));
    let (recovery, stays) = recovery::recovery(&facts, &stages).unzip();
    caveats.extend(stays.flatten());
    let (soak, overload) = match outcome {
        Outcome::GeneratorLimited { .. } | Outcome::Aborted { .. } => (None, None),
        // What fails at any load says nothing of how overload is borne.
        Outcome::FailsForGood { .. } => (soak::soak(recording, &facts), None),
        _ => (
            soak::soak(recording, &facts),
            overload::overload(&recording.timeline, &stages, carries_less(knee.as_ref())),
        ),
    };
    let knee = knee.map(|knee| with_prediction(&knee, &mut ranked, &mut caveats));
    let capacity = match outcome {
        Outcome::FailsForGood { .. } => None,
        _ => capacity(recording, &stages, knee.as_ref()),
    };
    let mut diagnosis = Diagnosis {
        headroom: None,
        outcome,
        soak,
        overload,
        stacks: stacks::name_lines(&mut ranked.findings, rules, &facts, &walk),
        objectives: objectives::results(recording, &stages),
        capacity,
        findings: ranked.findings,
        ruled_out: ranked.ruled_out,
        not_checked: ranked.not_checked,
        attribution,
        chain,
        recovery,
        generator,
        overhead: overhead(recording),
        contradictions: Vec::new(),
        caveats,
        knee,
        windows: windows.clone(),
        stages,
    };
    diagnosis.contradictions = contradictions(recording, &diagnosis, &facts);
    diagnosis
}

/// Tells the cause with the endpoint that it is about.
fn name_endpoint(ranked: &mut Ranked, rules: &RuleSet, facts: &Facts) {
    let cause = ranked.findings.first_mut().filter(|first| first.role == FindingRole::Cause);
    if let Some((cause, rule)) = cause.and_then(|it| rules.find(&it.rule).map(|rule| (it, rule))) {
        endpoints::name_endpoint(cause, rule, facts);
    }
}

/// How much the system carries, where the numbers are about it.
fn room(outcome: &Outcome, recording: &Recording, rules: &RuleSet) -> Option<Headroom> {
    match outcome {
        Outcome::GeneratorLimited { .. }
        | Outcome::Aborted { .. }
        | Outcome::FailsForGood { .. } => None,
        _ => Some(headroom(recording, rules, None)),
    }
}

/// The knee as it is told, with what the cause predicts. Nothing that confirms a cause looks at the
/// knee after this.
fn with_prediction(knee: &Knee, ranked: &mut Ranked, caveats: &mut Vec<String>) -> Knee {
    let cause = ranked.findings.iter().find(|finding| finding.role == FindingRole::Cause);
    let capacity = cause.and_then(|cause| cause.predicted_capacity);
    // The cause may have been found further down the chain in the meantime.
    let prediction = ranked.prediction.filter(|it| Some(it.capacity) == capacity);
    caveats.extend(estimate::disagreement(knee, prediction));
    estimate::reconciled(knee, prediction)
}

/// The knee beyond which less is carried than is offered: not so where only the tail bends.
fn carries_less(knee: Option<&Knee>) -> Option<&Knee> {
    knee.filter(|knee| knee.kind != KneeKind::Tail)
}

/// The rulings in order of what they mean.
fn ranked(outcome: &Outcome, rulings: &[Ruling], knee: Option<&Knee>, sources: &Sources) -> Ranked {
    match outcome {
        // Without a knee, the report names only faults that have nothing to do with one: a leak
        // shows at a steady rate too.
        Outcome::Knee
        | Outcome::NotReached { .. }
        | Outcome::InsufficientData { .. }
        | Outcome::FailsForGood { .. } => rank::rank(rulings, knee, sources),
        // The numbers describe the generator, so they accuse nothing in the target.
        Outcome::GeneratorLimited { .. } | Outcome::Aborted { .. } => Ranked::default(),
    }
}

/// How the pools were recognised that a finding names and that no table of names knows.
pub(super) fn shaped_pools(facts: &Facts, findings: &[Finding]) -> Vec<String> {
    let names = |series: &str, pool: &ShapedPool| {
        series.starts_with(pool.metric)
            && [",", "}"].iter().any(|end| series.contains(&format!("pool={}{end}", pool.pool)))
    };
    let named = |pool: &&ShapedPool| {
        let evidence = findings.iter().flat_map(|finding| &finding.evidence);
        evidence.flat_map(|evidence| &evidence.series).any(|series| names(series, pool))
    };
    facts.shaped_pools().iter().filter(named).map(|pool| pool.how.clone()).collect()
}

fn outcome(
    recording: &Recording,
    stages: &[StageSummary],
    found: KneeVerdict,
) -> (Outcome, Option<Knee>) {
    if recording.timeline.ticks.is_empty() {
        let why = match recording.stop.as_ref().map(|stop| &stop.reason) {
            Some(StopReason::TargetGone(why) | StopReason::Failed(why)) => why.clone(),
            Some(StopReason::Interrupted) => "it was interrupted before any load".to_owned(),
            _ => "the recording contains no load".to_owned(),
        };
        return (Outcome::Aborted { why }, None);
    }
    if let Some(limited) = generator::limited(stages, &found) {
        let (from_rate, why) = (limited.from_rate, limited.why);
        return (Outcome::GeneratorLimited { from_rate, why }, None);
    }
    let gone = recording.stop.as_ref().and_then(|stop| match &stop.reason {
        StopReason::TargetGone(why) => Some(why),
        _ => None,
    });
    match (found, gone) {
        (KneeVerdict::NotReached { .. } | KneeVerdict::Inconclusive { .. }, Some(why)) => {
            let missing = vec![format!("a target that keeps running to the end: {why}")];
            (Outcome::InsufficientData { missing }, None)
        }
        (verdict, _) => concluded(verdict),
    }
}

/// The same, unless the target stopped serving for good: then no load tells what it carries.
fn for_good(
    recording: &Recording,
    timeline: &Timeline,
    stages: &[StageSummary],
    (outcome, knee): (Outcome, Option<Knee>),
) -> (Outcome, Option<Knee>) {
    if matches!(outcome, Outcome::GeneratorLimited { .. } | Outcome::Aborted { .. }) {
        return (outcome, knee);
    }
    let windows = windows(stages, None);
    let facts = pools::with_pools(Facts::of_target(recording, timeline, &windows));
    match for_good::find(&recording.timeline, stages, &facts, knee.is_some()) {
        Some(failed) => (failed, None),
        None => (outcome, knee),
    }
}

fn concluded(verdict: KneeVerdict) -> (Outcome, Option<Knee>) {
    match verdict {
        KneeVerdict::Found(knee) => (Outcome::Knee, Some(knee)),
        KneeVerdict::NotReached { proven_rate } => (Outcome::NotReached { proven_rate }, None),
        KneeVerdict::Inconclusive { missing } => (Outcome::InsufficientData { missing }, None),
    }
}

/// The highest load that met every objective and lies below the knee.
fn capacity(
    recording: &Recording,
    stages: &[StageSummary],
    knee: Option<&Knee>,
) -> Option<Capacity> {
    let stages = by_load(stages);
    let is_bad = |stage: &StageSummary| {
        if recording.plan.objectives.is_empty() {
            knee.is_some_and(|knee| stage.offered > knee.rate)
        } else {
            !stage.broken_objectives.is_empty()
        }
    };
    let bad = stages.iter().find(|stage| is_bad(stage)).map(|stage| stage.offered);
    let below = |stage: &&&StageSummary| bad.is_none_or(|bad| stage.offered < bad);
    let good = stages.iter().filter(below).rfind(|stage| !is_bad(stage))?;
    Some(Capacity { good: good.offered, bad })
}

/// The collectors that ran, whether they read something or not.
pub(super) fn watched(recording: &Recording) -> BTreeSet<String> {
    let opened = recording.environment.collectors.iter().map(|note| note.name.clone());
    opened.chain(recording.timeline.readings.keys().cloned()).collect()
}

/// What watching cost, by collector.
fn overhead(recording: &Recording) -> Vec<CollectorOverhead> {
    let timeline = &recording.timeline;
    let mut collectors: Vec<&str> = timeline.readings.keys().map(String::as_str).collect();
    collectors.extend(timeline.gaps.iter().map(|gap| gap.collector.as_str()));
    collectors.sort_unstable();
    collectors.dedup();
    collectors
        .into_iter()
        .map(|collector| {
            let moments = timeline.readings.get(collector).map_or(&[][..], Vec::as_slice);
            let gaps: Vec<&str> = timeline
                .gaps
                .iter()
                .filter(|gap| gap.collector == collector)
                .map(|gap| gap.reason.as_str())
                .collect();
            let key = SeriesKey::new(
                names::COLLECTOR_CPU_TIME.name,
                Labels::none().with("collector", collector),
            );
            let whole =
                crate::timeline::Window::new(crate::timeline::Moment::START, timeline.end());
            CollectorOverhead {
                collector: collector.to_owned(),
                cores: timeline.series.get(&key).and_then(|it| it.rate(whole)).unwrap_or(0.0),
                looks: moments.len() as u64,
                gaps: gaps.len() as u64,
                reason: most_frequent(&gaps),
                from: moments.first().copied().unwrap_or_default(),
                to: moments.last().copied().unwrap_or_default(),
            }
        })
        .collect()
}

fn most_frequent(reasons: &[&str]) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in reasons {
        *counts.entry(reason).or_default() += 1;
    }
    counts
        .into_iter()
        .max_by(|a, b| a.1.cmp(&b.1).then_with(|| b.0.cmp(a.0)))
        .map(|(reason, _)| reason.to_owned())
}

/// What a careful reader must know about the run.
fn run_caveats(
    recording: &Recording,
    stages: &[StageSummary],
    facts: &Facts,
    sources: &Sources<'_>,
) -> Vec<String> {
    let mut caveats = Vec::from_iter(lacking::of_elsewhere(recording, sources));
    caveats.extend(recording.plan.realism.clone());
    for restart in facts.restarts() {
        caveats.push(format!("the target's process restarted at {restart}"));
    }
    let invalid: Vec<&StageSummary> =
        stages.iter().filter(|stage| stage.role.is_measured() && stage.invalid.is_some()).collect();
    if let Some(first) = invalid.first() {
        let why = first.invalid.as_ref().map(Invalid::to_string).unwrap_or_default();
        caveats.push(format!(
            "{} of {} stages do not count; the first, at {}: {why}",
            invalid.len(),
            stages.iter().filter(|stage| stage.role.is_measured()).count(),
            wording::rate(first.offered)
        ));
    }
    caveats.extend(always_failing(stages));
    for cost in overhead(recording) {
        let tries = cost.gaps + cost.looks;
        if cost.gaps * 10 > tries {
            let reason = cost.reason.unwrap_or_default();
            caveats.push(format!(
                "`{}` failed in {} of {tries} readings: {reason}",
                cost.collector, cost.gaps
            ));
        }
    }
    if matches!(
        recording.stop.as_ref().map(|stop| &stop.reason),
        None | Some(StopReason::Interrupted | StopReason::MaxDuration)
    ) {
        caveats.push("the run ended before its plan was complete".to_owned());
    }
    caveats
}

/// Share of the requests from which failures at any load are worth a word: what common objectives
/// allow.
const ALWAYS_FAILING: f64 = 0.01;

/// That requests fail at any load, which says nothing of a limit.
fn always_failing(stages: &[StageSummary]) -> Option<String> {
    let counted = by_load(stages);
    let lowest = counted.first()?;
    let least = counted.iter().map(|stage| stage.error_ratio).reduce(f64::min)?;
    let failed: u64 = lowest.errors.iter().map(|(_, count)| count).sum();
    (least >= ALWAYS_FAILING && failed >= 3).then(|| {
        format!(
            "{} of the requests fail even at {}: this target fails at any load",
            wording::percent(lowest.error_ratio),
            wording::rate(lowest.offered)
        )
    })
}
