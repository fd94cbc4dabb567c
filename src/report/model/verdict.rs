//! The verdict in one sentence, and the few numbers worth remembering.

use serde::Serialize;

use super::super::wording::{self, clean, duration, list, percent, plural, rate, sentence};
use super::findings::confidence;
use super::overload;
use super::run::Summary;
use super::soak;
use super::stages::counting;
use crate::diagnose::{Diagnosis, Finding, FindingRole, Knee, KneeKind, Outcome, StageSummary};

/// How the news is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::report) enum Tone {
    /// The system carried all of it.
    Good,
    /// It breaks.
    Bad,
    /// Nothing can be said.
    Unknown,
}

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct Verdict {
    pub tone: Tone,
    /// Name of the outcome, as the JSON report has it.
    pub outcome: &'static str,
    /// One sentence that a tired person understands.
    pub headline: String,
    /// What else belongs to the answer, most important first.
    pub details: Vec<String>,
}

/// One number worth remembering.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct Figure {
    pub label: String,
    pub value: String,
    /// What qualifies it.
    pub note: String,
}

impl Verdict {
    pub(super) fn new(diagnosis: &Diagnosis) -> Verdict {
        let (tone, outcome, headline, mut details) = match &diagnosis.outcome {
            Outcome::Knee => knee(diagnosis),
            Outcome::NotReached { proven_rate } => not_reached(diagnosis, *proven_rate),
            Outcome::GeneratorLimited { from_rate, why } => (
                Tone::Unknown,
                "generator_limited",
                format!(
                    "The generator was the limit from {} on: nothing can be said about the \
                     target.",
                    rate(*from_rate)
                ),
                vec![sentence(why)],
            ),
            Outcome::InsufficientData { missing } => insufficient(missing),
            Outcome::Aborted { why } => (
                Tone::Unknown,
                "aborted",
                format!("The run ended before anything could be measured: {}", ended(why)),
                Vec::new(),
            ),
        };
        let (tone, headline) = match &diagnosis.overload {
            // Load that went up and came back asks how it is borne, which takes no knee.
            Some(overload) if outcome == "insufficient_data" && overload::is_asked(overload) => {
                details.insert(0, headline);
                (overload::tone(overload), overload::sentence(overload))
            }
            _ => (tone, headline),
        };
        let asked = diagnosis.soak.as_ref().filter(|soak| soak.asked && outcome != "knee");
        let (tone, headline) = match asked {
            // What was asked for comes first; that there was no knee is beside the point.
            Some(soak) => {
                let (tone, answer, more) = soak::answer(soak);
                let beside = if outcome == "not_reached" { Vec::new() } else { vec![headline] };
                details = more.into_iter().chain(beside).collect();
                (tone, answer)
            }
            None => {
                details.extend(apart(diagnosis));
                (tone, headline)
            }
        };
        details.retain(|detail| !detail.is_empty());
        Verdict { tone, outcome, headline, details }
    }
}

type Answer = (Tone, &'static str, String, Vec<String>);

fn ended(text: &str) -> String {
    let text = clean(text);
    if text.ends_with(['.', '!', '?']) { text } else { format!("{text}.") }
}

/// The title of a finding with its subject.
pub(super) fn titled(finding: &Finding) -> String {
    match &finding.subject {
        Some(subject) if !finding.title.contains(subject.as_str()) => {
            format!("{} ({})", clean(&finding.title), clean(subject))
        }
        _ => clean(&finding.title),
    }
}

/// The findings that bent the curve.
pub(super) fn causes(diagnosis: &Diagnosis) -> impl Iterator<Item = &Finding> {
    diagnosis.findings.iter().filter(|finding| finding.role == FindingRole::Cause)
}

fn knee(diagnosis: &Diagnosis) -> Answer {
    let place = match &diagnosis.knee {
        Some(knee) => format!(
            "Breaks at {} (95 % interval {} to {})",
            rate(knee.rate),
            wording::number(knee.low),
            wording::number(knee.high)
        ),
        None => "Breaks, at a load that cannot be told".to_owned(),
    };
    let mut causes = causes(diagnosis);
    let headline = match causes.next() {
        Some(cause) => {
            format!("{place}: {} (confidence: {}).", titled(cause), confidence(cause.confidence))
        }
        None => format!("{place}: what was measured names no cause."),
    };
    let mut details = Vec::new();
    let others: Vec<_> = causes.map(titled).collect();
    if !others.is_empty() {
        details.push(format!("A cause beside it: {}.", list(&others)));
    }
    if let Some(knee) = &diagnosis.knee {
        details.push(how_it_bends(diagnosis, knee));
    }
    details.extend(diagnosis.overload.as_ref().map(overload::sentence));
    details.push(capacity(diagnosis));
    (Tone::Bad, "knee", headline, details)
}

/// By which sign the knee shows, with the numbers on both sides of it.
fn how_it_bends(diagnosis: &Diagnosis, knee: &Knee) -> String {
    let sign = match knee.kind {
        KneeKind::Throughput => "Throughput stops following the offered load there",
        KneeKind::Latency => "The response time takes off there",
        KneeKind::Errors => "Errors set in there",
    };
    let stages = counting(diagnosis);
    let first = stages.first();
    let beyond = stages.iter().find(|stage| stage.offered > knee.high);
    let numbers = match (first, beyond) {
        (Some(first), Some(beyond)) if first.offered < beyond.offered => {
            between(knee.kind, first, beyond)
        }
        _ => String::new(),
    };
    let fall = match knee.retrograde && diagnosis.overload.is_none() {
        true => format!(
            " Beyond it goodput falls below its peak of {}.",
            wording::short_rate(knee.peak_goodput)
        ),
        false => String::new(),
    };
    format!("{sign}{numbers}.{fall}")
}

fn between(kind: KneeKind, low: &StageSummary, high: &StageSummary) -> String {
    let at = (rate(low.offered), rate(high.offered));
    match (kind, low.response, high.response) {
        (KneeKind::Latency, Some(from), Some(to)) => format!(
            ": half of the responses take {} at {}, and {} at {}",
            duration(from.p50),
            at.0,
            duration(to.p50),
            at.1
        ),
        (KneeKind::Throughput, ..) => match high.vus {
            Some(vus) => format!(
                ": {} virtual users would make {} if the answers came as at the fewest of them, \
                 and {} are answered",
                wording::number(vus),
                rate(high.offered),
                wording::number(high.throughput)
            ),
            None => format!(
                ": of {} offered, {} are answered",
                rate(high.offered),
                wording::number(high.throughput)
            ),
        },
        _ => format!(
            ": {} of the requests fail at {}, and {} at {}",
            percent(low.error_ratio),
            at.0,
            percent(high.error_ratio),
            at.1
        ),
    }
}

/// How many virtual users there were where so much was offered; `None` in the open model.
fn users_at(diagnosis: &Diagnosis, offered: f64) -> Option<f64> {
    let mut stages = counting(diagnosis).into_iter();
    stages.find(|stage| stage.offered == offered).and_then(|stage| stage.vus)
}

fn capacity(diagnosis: &Diagnosis) -> String {
    let Some(capacity) = diagnosis.capacity else { return String::new() };
    let met = match diagnosis.objectives.is_empty() {
        true => "lies below the knee",
        false => "meets every objective",
    };
    if let Some(good) = users_at(diagnosis, capacity.good) {
        let bad = capacity.bad.and_then(|bad| users_at(diagnosis, bad));
        let bad = bad.map_or(String::new(), |bad| format!("; {} do not", wording::number(bad)));
        let met = if diagnosis.objectives.is_empty() {
            "lie below the knee"
        } else {
            "meet every objective"
        };
        return format!("Capacity: {} virtual users {met}{bad}.", wording::number(good));
    }
    let bad = match capacity.bad {
        Some(bad) => format!("; {} does not", wording::number(bad)),
        None => String::new(),
    };
    if capacity.good <= 0.0 {
        return format!("No load that was tried {met}.");
    }
    format!("Capacity: {} {met}{bad}.", rate(capacity.good))
}

fn not_reached(diagnosis: &Diagnosis, proven_rate: f64) -> Answer {
    let broken: Vec<_> = diagnosis.objectives.iter().filter(|o| o.broken_at.is_some()).collect();
    let place = format!("No knee up to {}", rate(proven_rate));
    let first = broken.iter().min_by(|a, b| {
        a.broken_at.partial_cmp(&b.broken_at).unwrap_or(
            // Loads are finite; an order that cannot be told changes no more than who is named.
            std::cmp::Ordering::Equal,
        )
    });
    let (tone, headline) = match (first, diagnosis.objectives.len()) {
        (Some(first), _) => (
            Tone::Bad,
            format!(
                "{place}, but `{}` breaks at {}.",
                clean(&first.text),
                rate(first.broken_at.unwrap_or(proven_rate))
            ),
        ),
        (None, 0) => (Tone::Good, format!("{place}: throughput followed the load all the way.")),
        (None, _) => (Tone::Good, format!("{place}: every objective was met all the way.")),
    };
    let mut details: Vec<String> = diagnosis.overload.iter().map(overload::sentence).collect();
    details.push(capacity(diagnosis));
    if first.is_none() {
        details.push("Where it breaks lies higher: raise max_rate to find it.".to_owned());
    }
    (tone, "not_reached", headline, details)
}

fn insufficient(missing: &[String]) -> Answer {
    let headline = match missing {
        [] => "Not enough data for a diagnosis.".to_owned(),
        [one] => format!("Not enough data: {}", ended(one)),
        [first, rest @ ..] => format!(
            "Not enough data: {} (and {}).",
            ended(first).trim_end_matches('.'),
            plural(rest.len() as u64, "more thing", "more things")
        ),
    };
    let rest = missing.iter().skip(1).map(|text| sentence(text)).collect();
    (Tone::Unknown, "insufficient_data", headline, rest)
}

/// What was found beside the knee and deserves a place in the answer, such as a leak.
fn apart(diagnosis: &Diagnosis) -> Option<String> {
    let is_knee = diagnosis.outcome == Outcome::Knee;
    let found: Vec<_> = diagnosis
        .findings
        .iter()
        .filter(|finding| finding.role == FindingRole::Apart || !is_knee)
        .map(titled)
        .collect();
    let place = if is_knee { "Apart from the knee" } else { "Found on the way" };
    (!found.is_empty()).then(|| format!("{place}: {}.", list(&found)))
}

/// The few numbers worth remembering.
pub(super) fn figures(diagnosis: &Diagnosis, summary: &Summary) -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut add = |label: &str, value: String, note: String| {
        figures.push(Figure { label: label.to_owned(), value, note });
    };
    if let Some(knee) = &diagnosis.knee {
        let interval =
            format!("95 %: {} to {}", wording::number(knee.low), wording::number(knee.high));
        add("Knee", wording::short_rate(knee.rate), interval);
    }
    let soak = diagnosis.soak.as_ref().filter(|soak| soak.asked && diagnosis.knee.is_none());
    if let Some(soak) = soak {
        let first = soak.trends.iter().find(|trend| trend.seconds_left().is_some());
        if let Some((trend, left)) = first.and_then(|it| Some((it, it.seconds_left()?))) {
            add("Time left", duration(left.round()), clean(&trend.name()));
        }
        let held = duration(soak.window.secs().round());
        add("Held", held, wording::short_rate(soak.rate));
    }
    if let Some(capacity) = diagnosis.capacity.as_ref().filter(|_| soak.is_none()) {
        let note = match (diagnosis.objectives.is_empty(), capacity.bad) {
            (true, _) => "highest load below the knee".to_owned(),
            (false, None) => "highest load tried".to_owned(),
            (false, Some(bad)) => format!("{} breaks an objective", wording::short_rate(bad)),
        };
        let good = match users_at(diagnosis, capacity.good) {
            Some(vus) => format!("{} VUs", wording::number(vus)),
            None => wording::short_rate(capacity.good),
        };
        add("Capacity", good, note);
    }
    if let Some(peak) = summary.peak_goodput.filter(|_| soak.is_none()) {
        add("Peak goodput", wording::short_rate(peak), "successful responses".to_owned());
    }
    let stages = counting(diagnosis);
    if let Some((stage, low)) = stages.first().and_then(|s| s.response.map(|r| (s, r))) {
        let note = format!("p99 {} at {}", duration(low.p99), wording::short_rate(stage.offered));
        let label = if soak.is_some() { "p50" } else { "Unloaded p50" };
        add(label, duration(low.p50), note);
    }
    let highest = stages.last().filter(|_| stages.len() > 1);
    if let Some((stage, high)) = highest.and_then(|s| s.response.map(|r| (s, r))) {
        let note = format!("p99 {} at {}", duration(high.p99), wording::short_rate(stage.offered));
        let label = match diagnosis.outcome {
            Outcome::Knee => "Overloaded p50",
            _ => "Loaded p50",
        };
        add(label, duration(high.p50), note);
    }
    if summary.requests_completed > 0 {
        figures.push(Figure {
            label: "Requests".to_owned(),
            value: summary.requests_completed.to_string(),
            note: format!("{} failed", percent(summary.error_ratio.unwrap_or(0.0))),
        });
    }
    figures
}
