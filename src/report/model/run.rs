//! What was run, where, and at what cost of watching.

use serde::Serialize;

use super::super::wording::{
    self, NOTHING, bytes, clean, cores, duration, percent, plural, sentence, value,
};
use super::agents;
use super::stages::counting;
use super::summary::{Summary, started};
use crate::diagnose::{CollectorOverhead, Diagnosis};
use crate::recording::{Recording, StopReason};
use crate::timeline::{Histogram, JourneyTick, Phases, Unit};

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

/// At most this many failed checks are listed, the most frequent first.
const CHECKS_SHOWN: usize = 5;

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
        parts.push(format!("{} completed, {} given up", sum.completed, sum.abandoned));
    }
    sum.failed_checks.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let shown = sum.failed_checks.iter().take(CHECKS_SHOWN);
    parts.extend(shown.map(|(check, count)| format!("{count} x failed check `{}`", clean(check))));
    if sum.retries > 0 {
        let offered: u64 = recording.timeline.ticks.iter().map(|tick| tick.offered).sum();
        let amplification = 1.0 + sum.retries as f64 / offered.max(1) as f64;
        parts.push(format!(
            "{} retries, {} attempts per request",
            sum.retries,
            wording::number(amplification)
        ));
    }
    if sum.capped > 0 {
        parts.push(format!("the plan's `max_rate` delayed {} requests", sum.capped));
    }
    (!parts.is_empty()).then(|| fact("Journeys", parts.join("; ")))
}

/// What was run.
pub(super) fn facts(recording: &Recording, diagnosis: &Diagnosis, summary: &Summary) -> Vec<Fact> {
    let plan = &recording.plan;
    let mut facts = vec![fact("Target", clean(&plan.target))];
    let load = match plan.max_rate > 0.0 {
        _ if plan.max_vus > 0 => {
            let users = plural(u64::from(plan.max_vus), "virtual user", "virtual users");
            format!("{}, at most {users}", clean(&plan.executor))
        }
        true => format!("{}, at most {}", clean(&plan.executor), wording::rate(plan.max_rate)),
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
    facts.push(fact("Client-side times", client_side));
    facts.retain(|fact| !fact.value.is_empty());
    facts
}

fn ended(recording: &Recording) -> String {
    let Some(stop) = &recording.stop else {
        return "unknown: the recording stops without a reason".to_owned();
    };
    ended_because(&stop.reason)
}

/// Why a run ended, in words.
pub(crate) fn ended_because(reason: &StopReason) -> String {
    match reason {
        StopReason::Completed => "as planned".to_owned(),
        StopReason::KneeFound => "knee found and measured on both sides".to_owned(),
        StopReason::MaxRate => "`max_rate` of the plan reached".to_owned(),
        StopReason::GeneratorLimited => "the load generator fell behind".to_owned(),
        StopReason::Objective(text) => format!("objective `{}` was not met", clean(text)),
        StopReason::ErrorBudget => "error budget used up".to_owned(),
        StopReason::MaxDuration => "`max_duration` of the plan reached".to_owned(),
        StopReason::TargetGone(why) => format!("the target went away: {}", clean(why)),
        StopReason::Interrupted => "interrupted".to_owned(),
        StopReason::Failed(why) => format!("kneepoint failed: {}", clean(why)),
    }
}

/// How the generator kept its schedule, in sentences.
pub(super) fn generator(diagnosis: &Diagnosis) -> Vec<String> {
    let health = &diagnosis.generator;
    let kept = match health.healthy {
        true => "The load generator kept its schedule",
        false => "The load generator did not keep its schedule",
    };
    let up_to = if diagnosis.knee.is_some() { "up to the knee, " } else { "" };
    let late = duration(health.lateness_p99);
    let mut said = vec![match health.lateness_p99 > 0.0 {
        true => format!("{kept}: {up_to}99 % of requests were sent at most {late} late."),
        // Results of other tools do not tell when a request was due.
        false if health.healthy => "How late requests were sent was not measured.".to_owned(),
        false => format!("{kept}."),
    }];
    if let Some(used) = health.cpu_cores {
        said.push(format!("It used at most {}.", cores(used)));
    }
    said.extend(health.remarks.iter().map(|remark| sentence(remark)));
    said
}

/// What watching cost in all, by collector, and how many looks failed.
pub(super) fn watching(recording: &Recording, diagnosis: &Diagnosis, summary: &Summary) -> String {
    let collectors = of_collectors(diagnosis, summary);
    let agents = agents::sentences(recording);
    [vec![collectors], agents].concat().join(" ").trim().to_owned()
}

fn of_collectors(diagnosis: &Diagnosis, summary: &Summary) -> String {
    let mut costs: Vec<_> = diagnosis.overhead.iter().collect();
    costs.sort_by(|a, b| b.cores.total_cmp(&a.cores));
    if costs.is_empty() {
        return String::new();
    }
    let each: Vec<_> = costs
        .iter()
        .map(|cost| format!("{} {}", clean(&cost.collector), value(cost.cores, Unit::Ratio)))
        .collect();
    let gaps: Vec<_> = costs
        .iter()
        .filter(|cost| cost.gaps > 0)
        .map(|cost| {
            let tries = cost.looks + cost.gaps;
            format!("{} {} of {tries}", clean(&cost.collector), cost.gaps)
        })
        .collect();
    let gaps = match gaps.is_empty() {
        true => "No reading is missing.".to_owned(),
        false => format!("Missing readings: {}.", gaps.join(", ")),
    };
    let all = match summary.watching_cores {
        all if all > 1.0 => wording::cores(all),
        all => format!("{} of one core", percent(all)),
    };
    format!("Watching cost {all} ({}). {gaps}", each.join(", "))
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
        fact("Load generator's machine", clean(&env.host)),
        fact("Kernel", clean(&env.kernel)),
    ];
    if env.cores > 0 {
        facts.push(fact("Cores", env.cores.to_string()));
    }
    if env.memory_bytes > 0 {
        facts.push(fact("Memory", bytes(env.memory_bytes as f64)));
    }
    facts.push(fact("Target answered", clean(&env.target)));
    let local = "on the same machine: load generator and target compete for its cores";
    facts.push(fact("Target runs", if env.target_is_local { local } else { "on another machine" }));
    facts.extend(agents::machines(recording).map(|(name, value)| Fact { name, value }));
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
