//! What was run, where, at what cost of watching, and the numbers of the whole.

use jiff::Timestamp;
use serde::Serialize;

use super::super::wording::{
    self, NOTHING, bytes, clean, cores, duration, percent, plural, sentence,
};
use super::stages::counting;
use crate::diagnose::{CollectorOverhead, Diagnosis};
use crate::recording::{Recording, StopReason};
use crate::timeline::{Histogram, JourneyTick, Phases};

/// A name and a value.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct Fact {
    pub name: String,
    pub value: String,
}

/// What one collector saw and cost.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct CollectorRow {
    pub name: String,
    pub watches: String,
    pub interval: String,
    pub cores: String,
    pub looks: String,
    /// Number of gaps with the most frequent reason, or `none`.
    pub gaps: String,
    pub has_gaps: bool,
}

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct EventRow {
    pub at: String,
    pub text: String,
}

/// The numbers of the whole run, for programs. Rates per second, times in seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(in crate::report) struct Summary {
    pub started: Option<String>,
    pub duration_seconds: f64,
    pub requests_offered: u64,
    pub requests_sent: u64,
    pub requests_completed: u64,
    pub requests_failed: u64,
    pub error_ratio: Option<f64>,
    pub knee_rate: Option<f64>,
    pub knee_low: Option<f64>,
    pub knee_high: Option<f64>,
    pub capacity_good: Option<f64>,
    pub capacity_bad: Option<f64>,
    pub peak_goodput: Option<f64>,
    /// Cores that all collectors used together.
    pub watching_cores: f64,
    pub unloaded_p50_seconds: Option<f64>,
    pub unloaded_p99_seconds: Option<f64>,
    pub cause: Option<String>,
    pub confidence: Option<&'static str>,
}

impl Summary {
    pub(super) fn new(recording: &Recording, diagnosis: &Diagnosis) -> Self {
        let ticks = &recording.timeline.ticks;
        let completed: u64 = ticks.iter().map(|tick| tick.completed()).sum();
        let succeeded: u64 = ticks.iter().map(|tick| tick.succeeded()).sum();
        let stages = counting(diagnosis);
        let unloaded = stages.first().and_then(|stage| stage.response);
        let knee = diagnosis.knee.as_ref();
        let peak = stages.iter().map(|stage| stage.goodput).max_by(f64::total_cmp);
        let cause = super::verdict::causes(diagnosis).next();
        Summary {
            started: started(recording.environment.started_unix)
                .map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
            duration_seconds: recording.timeline.end().secs(),
            requests_offered: ticks.iter().map(|tick| tick.offered).sum(),
            requests_sent: ticks.iter().map(|tick| tick.sent).sum(),
            requests_completed: completed,
            requests_failed: completed - succeeded,
            error_ratio: (completed > 0).then(|| (completed - succeeded) as f64 / completed as f64),
            knee_rate: knee.map(|knee| knee.rate),
            knee_low: knee.map(|knee| knee.low),
            knee_high: knee.map(|knee| knee.high),
            capacity_good: diagnosis.capacity.map(|capacity| capacity.good),
            capacity_bad: diagnosis.capacity.and_then(|capacity| capacity.bad),
            watching_cores: watching_cores(diagnosis),
            peak_goodput: knee.map(|knee| knee.peak_goodput).or(peak),
            unloaded_p50_seconds: unloaded.map(|response| response.p50),
            unloaded_p99_seconds: unloaded.map(|response| response.p99),
            cause: cause.map(|cause| cause.rule.clone()),
            confidence: cause.map(|cause| super::findings::confidence(cause.confidence)),
        }
    }
}

/// Failed checks that are told, the most frequent first.
const CHECKS_SHOWN: usize = 5;

/// The start, where the recording knows it.
fn started(unix: f64) -> Option<Timestamp> {
    (unix > 0.0).then(|| Timestamp::from_second(unix as i64).ok()).flatten()
}

fn fact(name: &str, value: impl Into<String>) -> Fact {
    Fact { name: name.to_owned(), value: value.into() }
}

/// Where the time of a request went, as its client saw it at or below the knee: p50, p95 and p99
/// of each part. Nothing where the recording does not have the parts.
fn client_side(recording: &Recording, diagnosis: &Diagnosis) -> String {
    let knee = diagnosis.knee.as_ref().map_or(f64::INFINITY, |knee| knee.high);
    let (mut connect, mut phases) = (Histogram::new(), Phases::default());
    for stage in counting(diagnosis).into_iter().filter(|stage| stage.offered <= knee) {
        for tick in recording.timeline.ticks_within(stage.window) {
            connect.merge(&tick.connect_time);
            phases.merge(&tick.phases);
        }
    }
    if phases.wait.is_empty() {
        return String::new();
    }
    let parts = [
        ("DNS", &phases.dns),
        (if phases.tls.is_empty() { "connect" } else { "connect with TLS" }, &connect),
        ("TLS", &phases.tls),
        ("send", &phases.send),
        ("wait", &phases.wait),
        ("receive", &phases.receive),
    ];
    let said = parts.iter().filter_map(|(name, part)| {
        let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|share| part.quantile(share));
        Some(format!("{name} {} / {} / {}", duration(p50?), duration(p95?), duration(p99?)))
    });
    format!("p50 / p95 / p99 at the client: {}", said.collect::<Vec<_>>().join(", "))
}

/// What became of journeys, and which checks failed; nothing where there was neither.
fn journeys(recording: &Recording) -> Option<Fact> {
    let mut sum = JourneyTick::default();
    for tick in &recording.timeline.ticks {
        sum.absorb(tick.journeys.clone());
    }
    let mut parts = Vec::new();
    if sum.completed + sum.abandoned > 0 {
        parts.push(format!("{} done, {} given up", sum.completed, sum.abandoned));
    }
    sum.failed_checks.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let shown = sum.failed_checks.iter().take(CHECKS_SHOWN);
    parts.extend(shown.map(|(check, count)| format!("{count} x not so: {}", clean(check))));
    if sum.retries > 0 {
        let offered: u64 = recording.timeline.ticks.iter().map(|tick| tick.offered).sum();
        let amplification = 1.0 + sum.retries as f64 / offered.max(1) as f64;
        parts.push(format!(
            "{} attempts were made again: {} for each request",
            sum.retries,
            wording::number(amplification)
        ));
    }
    if sum.capped > 0 {
        parts.push(format!("{} requests waited for the plan's own `max_rate`", sum.capped));
    }
    (!parts.is_empty()).then(|| fact("Users", parts.join("; ")))
}

/// What was run.
pub(super) fn facts(recording: &Recording, diagnosis: &Diagnosis, summary: &Summary) -> Vec<Fact> {
    let plan = &recording.plan;
    let mut facts = vec![fact("Target", clean(&plan.target))];
    let load = match plan.max_rate > 0.0 {
        _ if plan.max_vus > 0 => {
            let users = plural(u64::from(plan.max_vus), "virtual user", "virtual users");
            format!("{}, {users} at the most", clean(&plan.executor))
        }
        true => format!("{}, {} at the most", clean(&plan.executor), wording::rate(plan.max_rate)),
        false => clean(&plan.executor),
    };
    facts.push(fact("Load", load));
    let requests: Vec<_> = plan
        .requests
        .iter()
        .map(|(name, share)| format!("{} ({})", clean(name), percent(*share)))
        .collect();
    facts.extend(journeys(recording));
    if !requests.is_empty() {
        facts.push(fact("Requests", requests.join(", ")));
    }
    if let Some(at) = started(recording.environment.started_unix) {
        facts.push(fact("Started", at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()));
    }
    facts.push(fact("Length", duration(summary.duration_seconds)));
    facts.push(fact("Ended", ended(recording)));
    let client_side = client_side(recording, diagnosis);
    facts.push(fact("Where a request's client-side time goes", client_side));
    facts.retain(|fact| !fact.value.is_empty());
    facts
}

fn ended(recording: &Recording) -> String {
    let Some(stop) = &recording.stop else {
        return "without saying why: the recording breaks off".to_owned();
    };
    match &stop.reason {
        StopReason::Completed => "as planned".to_owned(),
        StopReason::KneeFound => "with the knee found and seen from both sides".to_owned(),
        StopReason::MaxRate => "at the plan's highest rate".to_owned(),
        StopReason::GeneratorLimited => "because the generator fell behind".to_owned(),
        StopReason::Objective(text) => format!("because `{}` was not met", clean(text)),
        StopReason::ErrorBudget => "because the error budget was used up".to_owned(),
        StopReason::MaxDuration => "at the plan's longest duration".to_owned(),
        StopReason::TargetGone(why) => format!("because the target was gone: {}", clean(why)),
        StopReason::Interrupted => "because someone interrupted it".to_owned(),
        StopReason::Failed(why) => format!("because kneepoint failed: {}", clean(why)),
    }
}

/// How the generator kept its schedule, in sentences.
pub(super) fn generator(diagnosis: &Diagnosis) -> Vec<String> {
    let health = &diagnosis.generator;
    let kept = match health.healthy {
        true => "The generator kept its schedule",
        false => "The generator did not keep its schedule",
    };
    let mut said = vec![format!(
        "{kept}: at or below the knee, 99 % of the requests that had a connection left within \
         {} of their time.",
        duration(health.lateness_p99)
    )];
    if let Some(used) = health.cpu_cores {
        said.push(format!("It used {} at the most.", cores(used)));
    }
    said.extend(health.remarks.iter().map(|remark| sentence(remark)));
    said
}

fn watching_cores(diagnosis: &Diagnosis) -> f64 {
    diagnosis.overhead.iter().map(|cost| cost.cores).sum()
}

/// What watching cost in all, by collector, and how many looks failed.
pub(super) fn watching(diagnosis: &Diagnosis) -> String {
    let mut costs: Vec<_> = diagnosis.overhead.iter().collect();
    costs.sort_by(|a, b| b.cores.total_cmp(&a.cores));
    if costs.is_empty() {
        return String::new();
    }
    let each: Vec<_> = costs
        .iter()
        .map(|cost| format!("{} {}", clean(&cost.collector), percent(cost.cores)))
        .collect();
    let gaps: Vec<_> = costs
        .iter()
        .filter(|cost| cost.gaps > 0)
        .map(|cost| {
            let tries = cost.looks + cost.gaps;
            format!("{} {} of {tries} looks", clean(&cost.collector), cost.gaps)
        })
        .collect();
    let gaps = if gaps.is_empty() { "none".to_owned() } else { gaps.join(", ") };
    let all = percent(watching_cores(diagnosis));
    format!("Watching cost {all} of one core ({}); gaps: {gaps}.", each.join(", "))
}

pub(super) fn collectors(recording: &Recording, diagnosis: &Diagnosis) -> Vec<CollectorRow> {
    let row = |overhead: &CollectorOverhead| {
        let note = recording.environment.collectors.iter().find(|note| {
            note.name == overhead.collector
                || note.instance == overhead.collector
                || format!("{}.{}", note.name, note.instance) == overhead.collector
        });
        let gaps = match (overhead.gaps, &overhead.reason) {
            (0, _) => "none".to_owned(),
            (count, Some(reason)) => format!("{count}: {}", clean(reason)),
            (count, None) => plural(count, "gap", "gaps"),
        };
        CollectorRow {
            name: clean(&overhead.collector),
            watches: note.map(|note| clean(&note.watches)).unwrap_or_default(),
            interval: note.map_or_else(|| NOTHING.to_owned(), |note| duration(note.interval_secs)),
            cores: cores(overhead.cores),
            looks: overhead.looks.to_string(),
            gaps,
            has_gaps: overhead.gaps > 0,
        }
    };
    diagnosis.overhead.iter().map(row).collect()
}

pub(super) fn environment(recording: &Recording) -> Vec<Fact> {
    let env = &recording.environment;
    let mut facts = vec![
        fact("kneepoint", clean(&env.kneepoint)),
        fact("Machine that made the load", clean(&env.host)),
        fact("Kernel", clean(&env.kernel)),
    ];
    if env.cores > 0 {
        facts.push(fact("Cores", env.cores.to_string()));
    }
    if env.memory_bytes > 0 {
        facts.push(fact("Memory", bytes(env.memory_bytes as f64)));
    }
    facts.push(fact("Target said", clean(&env.target)));
    let local = "on this same machine: load and target compete for it";
    facts.push(fact("Target runs", if env.target_is_local { local } else { "elsewhere" }));
    facts.retain(|fact| !fact.value.is_empty());
    facts
}

pub(super) fn events(recording: &Recording) -> Vec<EventRow> {
    let row = |event: &crate::recording::Event| EventRow {
        at: duration(event.at.secs()),
        text: sentence(&event.text),
    };
    recording.events.iter().map(row).collect()
}
