//! The answer: one sentence that says whether the target breaks and why, and what belongs to it.

use serde::Serialize;

use super::super::wording::{self, clean, duration, list, percent, plural, rate, sentence};
use super::findings::{causes, titled};
use super::load_axis::LoadAxis;
use super::overload;
use super::soak;
use super::stages::counting;
use super::tone::Tone;
use crate::diagnose::{Diagnosis, FindingRole, Knee, KneeKind, Outcome, StageSummary, TailBend};

/// The outcome of a diagnosis by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::report) enum OutcomeKind {
    Knee,
    NotReached,
    GeneratorLimited,
    InsufficientData,
    FailsForGood,
    Aborted,
}

impl From<&Outcome> for OutcomeKind {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Knee => OutcomeKind::Knee,
            Outcome::NotReached { .. } => OutcomeKind::NotReached,
            Outcome::GeneratorLimited { .. } => OutcomeKind::GeneratorLimited,
            Outcome::InsufficientData { .. } => OutcomeKind::InsufficientData,
            Outcome::FailsForGood { .. } => OutcomeKind::FailsForGood,
            Outcome::Aborted { .. } => OutcomeKind::Aborted,
        }
    }
}

/// What the run says of the target.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct Answer {
    pub tone: Tone,
    pub outcome: OutcomeKind,
    /// One sentence that a tired person understands.
    pub headline: String,
    /// What else belongs to the answer, most important first.
    pub details: Vec<String>,
}

impl Answer {
    pub(super) fn new(diagnosis: &Diagnosis) -> Answer {
        let outcome = OutcomeKind::from(&diagnosis.outcome);
        let (tone, headline, mut details) = match &diagnosis.outcome {
            Outcome::Knee => knee(diagnosis),
            Outcome::NotReached { proven_rate } => not_reached(diagnosis, *proven_rate),
            Outcome::GeneratorLimited { from_rate, why } => (
                Tone::Unknown,
                format!(
                    "The load generator was the limit from {} on: this run says nothing about the \
                     target.",
                    LoadAxis::of(diagnosis).load(*from_rate)
                ),
                vec![sentence(why)],
            ),
            Outcome::InsufficientData { missing } => insufficient(missing),
            Outcome::FailsForGood { .. } => fails_for_good(&diagnosis.outcome),
            Outcome::Aborted { why } => (
                Tone::Unknown,
                format!("The run ended before anything could be measured: {}", ended(why)),
                Vec::new(),
            ),
        };
        let (tone, headline) = match &diagnosis.overload {
            // Load that went up and came back asks how it is borne, which takes no knee.
            Some(overload)
                if outcome == OutcomeKind::InsufficientData && overload::is_asked(overload) =>
            {
                details.insert(0, headline);
                (overload::tone(overload), overload::sentence(overload))
            }
            _ => (tone, headline),
        };
        let asked =
            diagnosis.soak.as_ref().filter(|soak| soak.asked && outcome != OutcomeKind::Knee);
        let (tone, headline) = match asked {
            // That nothing is served any more comes before what grew meanwhile.
            Some(soak) if outcome == OutcomeKind::FailsForGood => {
                let (_, answer, more) = soak::answer(soak, &diagnosis.contradictions);
                details.extend(apart(diagnosis));
                details.extend(std::iter::once(answer).chain(more));
                (tone, headline)
            }
            // What was asked for comes first; that there was no knee is beside the point.
            Some(soak) => {
                let (tone, answer, more) = soak::answer(soak, &diagnosis.contradictions);
                let beside =
                    if outcome == OutcomeKind::NotReached { Vec::new() } else { vec![headline] };
                details = more.into_iter().chain(beside).collect();
                (tone, answer)
            }
            None => {
                details.extend(apart(diagnosis));
                (tone, headline)
            }
        };
        details.retain(|detail| !detail.is_empty());
        Answer { tone, outcome, headline, details }
    }
}

/// From which request on everything fails, and what ran out.
fn fails_for_good(outcome: &Outcome) -> Parts {
    let Outcome::FailsForGood { after_requests, at, failing, also_at, ran_out } = outcome else {
        return (Tone::Bad, String::new(), Vec::new());
    };
    let count = about(*after_requests);
    let moment = duration(at.secs().round());
    let also = also_at.map(|load| format!("also at {}, which it carried before", rate(load)));
    let mut details = Vec::new();
    let headline = match ran_out.first() {
        Some(what) => {
            format!("Fails for good after about {count} requests, at any rate: {}.", clean(what))
        }
        None => format!(
            "Fails for good from {moment} on, after about {count} requests{}.",
            also.as_ref().map_or_else(String::new, |also| format!(": {also}"))
        ),
    };
    details.extend(ran_out.iter().skip(1).map(|what| sentence(what)));
    let since = format!("From {moment} on, {} of the requests do not succeed", percent(*failing));
    details.push(match (also, ran_out.is_empty()) {
        (Some(also), false) => format!("{since}, {also}."),
        _ => format!("{since}."),
    });
    if !ran_out.is_empty() {
        details.push(
            "The number of requests decides, not their rate: less load only postpones it."
                .to_owned(),
        );
    }
    (Tone::Bad, headline, details)
}

/// A count in two digits, with its thousands apart: `1,900`.
fn about(count: u64) -> String {
    let digits = count.max(1).ilog10();
    let unit = 10_u64.pow(digits.saturating_sub(1));
    let rounded = (count + unit / 2) / unit * unit;
    let text = rounded.to_string();
    let mut out = String::new();
    for (index, digit) in text.chars().enumerate() {
        if index > 0 && (text.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Tone, headline and details.
type Parts = (Tone, String, Vec<String>);

fn ended(text: &str) -> String {
    let text = clean(text);
    if text.ends_with(['.', '!', '?']) { text } else { format!("{text}.") }
}

fn knee(diagnosis: &Diagnosis) -> Parts {
    let place = match &diagnosis.knee {
        Some(knee) => {
            let axis = LoadAxis::of(diagnosis);
            let what = if knee.kind == KneeKind::Tail { "The tail bends" } else { "Breaks" };
            let (low, high) = (axis.number(knee.low), axis.number(knee.high));
            format!("{what} at {} (95 % interval {low} to {high})", axis.load(knee.rate))
        }
        None => "Breaks, but it is not known at which load".to_owned(),
    };
    let mut causes = causes(diagnosis);
    let first = causes.next();
    let is_unknown = first.is_none();
    let headline = match first {
        Some(cause) => {
            format!("{place}: {} (confidence: {}).", titled(cause), cause.confidence)
        }
        None => format!("{place}. Cause unknown: the measurements do not single one out."),
    };
    let axis = LoadAxis::of(diagnosis);
    let mut details = Vec::new();
    let others: Vec<_> = causes.map(titled).collect();
    if !others.is_empty() {
        let noun = if others.len() == 1 { "Another cause" } else { "Other causes" };
        details.push(format!("{noun}: {}.", list(&others)));
    }
    if let Some(knee) = &diagnosis.knee {
        details.push(how_it_bends(diagnosis, knee));
        if is_unknown {
            details.extend(at_a_time(diagnosis, knee));
        }
        details.extend(knee.by_curve.map(|curve| {
            format!(
                "The curve alone puts the knee at {} ({} to {}); the prediction of the cause \
                 narrows that.",
                axis.load(curve.rate),
                axis.number(curve.low),
                axis.number(curve.high)
            )
        }));
        let earlier = knee.tail.as_ref().filter(|_| knee.kind != KneeKind::Tail);
        details.extend(earlier.map(|tail| {
            let bends = tail_bends(tail, axis);
            format!("The tail bends earlier, at {}: {bends}.", axis.load(tail.rate))
        }));
    }
    details.extend(diagnosis.overload.as_ref().map(overload::sentence));
    details.push(capacity(diagnosis));
    (Tone::Bad, headline, details)
}

/// By which sign the knee shows, with the numbers on both sides of it.
fn how_it_bends(diagnosis: &Diagnosis, knee: &Knee) -> String {
    let axis = LoadAxis::of(diagnosis);
    let sign = match knee.kind {
        KneeKind::Throughput if axis.is_users() => "Knee: throughput stops following the users",
        KneeKind::Throughput => "Knee: throughput stops following the offered load",
        KneeKind::Latency => "Knee: the response time takes off",
        KneeKind::Errors => "Knee: requests begin to fail",
        KneeKind::Tail => {
            let bends = knee.tail.as_ref().map(|tail| tail_bends(tail, axis));
            return format!("Knee of the tail: {}.", bends.unwrap_or_default());
        }
    };
    let stages = counting(diagnosis);
    let first = stages.first();
    let beyond = stages.iter().find(|stage| stage.offered > knee.high);
    let numbers = match (first, beyond) {
        (Some(first), Some(beyond)) if first.offered < beyond.offered => {
            between(knee, (first, beyond), axis)
        }
        _ => String::new(),
    };
    let fall = match knee.retrograde && diagnosis.overload.is_none() {
        true => format!(
            " Beyond it goodput (successful responses) falls below its peak of {}.",
            wording::short_rate(knee.peak_goodput)
        ),
        false => String::new(),
    };
    format!("{sign}{numbers}.{fall}")
}

/// How many requests the limit lets through at a time, where nothing else tells what it is: by Little's
/// law (1961), throughput times the time of a request that does not wait. What is limited may be a
/// part of the request, so that it is no more than that.
fn at_a_time(diagnosis: &Diagnosis, knee: &Knee) -> Option<String> {
    let axis = LoadAxis::of(diagnosis);
    if knee.kind != KneeKind::Throughput || axis.is_users() {
        return None;
    }
    let stages = counting(diagnosis);
    let low = stages.first().filter(|stage| stage.offered < knee.low)?;
    let beyond = stages.iter().find(|stage| stage.offered > knee.high)?;
    let takes = low.in_flight / low.throughput;
    let count = beyond.throughput * takes;
    (count.is_finite() && count > 0.0).then(|| {
        format!(
            "At most about {} requests are served at a time: {} of {} each, the time at {}. About 1 \
             would be a lock or one thread; more is a number of workers, connections or cores.",
            wording::number(count),
            rate(beyond.throughput),
            duration(takes),
            axis.load(low.offered)
        )
    })
}

/// What the tail does, and that the median does not.
fn tail_bends(tail: &TailBend, axis: LoadAxis) -> String {
    format!(
        "p{:.0} goes from {} at lower loads to {} up to {}; the median does not ({}, then {})",
        100.0 * tail.quantile,
        duration(tail.from),
        duration(tail.to),
        axis.load(tail.seen_at),
        duration(tail.median_from),
        duration(tail.median_to)
    )
}

fn between(knee: &Knee, (low, high): (&StageSummary, &StageSummary), axis: LoadAxis) -> String {
    let at = (axis.load(low.offered), axis.load(high.offered));
    match (knee.kind, low.response, high.response) {
        (KneeKind::Latency, Some(from), Some(to)) => format!(
            "; half of the responses take {} at {}, and {} at {}",
            duration(from.p50),
            at.0,
            duration(to.p50),
            at.1
        ),
        (KneeKind::Throughput, ..) if axis.is_users() => format!(
            "; at most {} are answered, however many users there are, and {} would send {} if the \
             target answered as fast as at the lowest load",
            rate(knee.rate),
            at.1,
            rate(high.offered)
        ),
        (KneeKind::Throughput, ..) => {
            format!("; of {} offered, {} are answered", at.1, wording::number(high.throughput))
        }
        _ => format!(
            "; {} of the requests fail at {}, and {} at {}",
            percent(low.error_ratio),
            at.0,
            percent(high.error_ratio),
            at.1
        ),
    }
}

fn capacity(diagnosis: &Diagnosis) -> String {
    let Some(capacity) = diagnosis.capacity else { return String::new() };
    let axis = LoadAxis::of(diagnosis);
    let (met, not_met) = match (diagnosis.objectives.is_empty(), &diagnosis.knee) {
        (false, _) => ("meets every objective", "does not"),
        (true, Some(_)) => ("is below the knee", "is above it"),
        (true, None) => ("is the highest load of this run", "is above it"),
    };
    let bad = match capacity.bad {
        Some(bad) => format!("; {} {not_met}", axis.number(bad)),
        None => String::new(),
    };
    if capacity.good <= 0.0 {
        return format!("Capacity: no load of this run {met}.");
    }
    format!("Capacity: {} {met}{bad}.", axis.load(capacity.good))
}

fn not_reached(diagnosis: &Diagnosis, proven_rate: f64) -> Parts {
    let broken: Vec<_> = diagnosis.objectives.iter().filter(|o| o.broken_at.is_some()).collect();
    let axis = LoadAxis::of(diagnosis);
    let place = format!("No limit found up to {}", axis.load(proven_rate));
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
                "Breaks the objective `{}` at {}; no other limit found up to {}.",
                clean(&first.text),
                axis.load(first.broken_at.unwrap_or(proven_rate)),
                axis.load(proven_rate)
            ),
        ),
        _ if !diagnosis.contradictions.is_empty() => {
            let first = wording::clean(&diagnosis.contradictions[0]);
            (Tone::Bad, format!("No knee up to {}, but {first}.", axis.load(proven_rate)))
        }
        (None, 0) => (Tone::Good, format!("{place}: throughput follows the load all the way.")),
        (None, _) => (Tone::Good, format!("{place}: every objective is met.")),
    };
    let more = diagnosis.contradictions.iter().skip(usize::from(first.is_none()));
    let mut details: Vec<String> = more.map(|text| sentence(text)).collect();
    details.extend(diagnosis.overload.as_ref().map(overload::sentence));
    details.push(capacity(diagnosis));
    if first.is_none() && diagnosis.contradictions.is_empty() {
        let more = match axis.is_users() {
            true => "To find the limit, offer more load: more users.",
            false => {
                "To find the limit, offer more load: raise `max_rate`, or the rates of the plan."
            }
        };
        details.push(more.to_owned());
    }
    (tone, headline, details)
}

fn insufficient(missing: &[String]) -> Parts {
    let headline = match missing {
        [] => "Not enough data for a diagnosis.".to_owned(),
        [one] => format!("Not enough data: {}", ended(one)),
        [first, rest @ ..] => format!(
            "Not enough data: {} ({}).",
            ended(first).trim_end_matches('.'),
            plural(rest.len() as u64, "more reason below", "more reasons below")
        ),
    };
    let rest = missing.iter().skip(1).map(|text| sentence(text)).collect();
    (Tone::Unknown, headline, rest)
}

/// What was found beside the knee and deserves a place in the answer, such as a leak.
fn apart(diagnosis: &Diagnosis) -> Option<String> {
    let is_knee = diagnosis.outcome == Outcome::Knee;
    let found: Vec<_> = diagnosis
        .findings
        .iter()
        .filter(|finding| finding.role == FindingRole::Apart || !is_knee)
        .filter(|finding| !diagnosis.contradictions.contains(&finding.title))
        .map(titled)
        .collect();
    let place = match diagnosis.outcome {
        Outcome::Knee => "Also found, apart from the knee",
        Outcome::FailsForGood { .. } => "Found",
        _ => "Also found",
    };
    (!found.is_empty()).then(|| format!("{place}: {}.", list(&found)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn without_a_cause_the_number_of_requests_at_a_time_is_told() {
        let recording = fixture::recording();
        let mut diagnosis = fixture::diagnosis(&recording);
        let is_told = |diagnosis: &Diagnosis| {
            let details = Answer::new(diagnosis).details;
            details.iter().any(|it| it.contains("requests are served at a time"))
        };
        assert!(!is_told(&diagnosis), "the cause says more");
        diagnosis.findings.clear();
        diagnosis.knee.as_mut().unwrap().kind = KneeKind::Throughput;
        assert!(is_told(&diagnosis));
        diagnosis.knee.as_mut().unwrap().kind = KneeKind::Errors;
        assert!(!is_told(&diagnosis), "what is refused does not queue");
    }

    #[test]
    fn a_count_is_told_in_two_digits() {
        let told = [3, 12, 145, 1_934, 19_340, 1_234_567].map(about);
        assert_eq!(told, ["3", "12", "150", "1,900", "19,000", "1,200,000"]);
    }
}
