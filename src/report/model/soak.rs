//! What a long stage says of leaks and drift: the answer in a sentence, and each resource as a row.

use serde::Serialize;

use super::super::wording::{clean, duration, rate, sentence, value};
use super::verdict::Tone;
use crate::diagnose::{Pace, ResourceKind, Soak, SoakVerdict, Trend, TrendVerdict};
use crate::timeline::Unit;

/// All resources of a long stage.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct SoakTable {
    /// For how long at which load they were watched.
    pub headline: String,
    pub rows: Vec<SoakRow>,
    pub not_watched: Vec<String>,
}

/// One resource.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct SoakRow {
    pub name: String,
    /// `leak`, `used up`, `undecided` or `no leak`; `drifts`, `open` and `steady` for what cannot
    /// run out by itself.
    pub verdict: &'static str,
    pub begin: String,
    pub end: String,
    /// What it comes to: the pace with its interval, or what would have been seen.
    pub note: String,
    /// The way to the verdict.
    pub steps: Vec<SoakStep>,
}

/// One step of a judgement.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct SoakStep {
    pub text: String,
    /// `for` a leak, `against` one, or empty.
    pub speaks: &'static str,
}

impl SoakTable {
    pub(super) fn new(soak: &Soak) -> SoakTable {
        let held = duration(soak.window.secs().round());
        SoakTable {
            headline: format!("Watched for {held} at {}.", rate(soak.rate)),
            rows: soak.trends.iter().map(row).collect(),
            not_watched: soak.not_watched.iter().map(|text| sentence(text)).collect(),
        }
    }
}

fn row(trend: &Trend) -> SoakRow {
    let verdict = match (&trend.verdict, trend.kind.can_run_out()) {
        (TrendVerdict::Leak, true) => "leak",
        (TrendVerdict::Leak, false) => "drifts",
        (TrendVerdict::Exhausted, _) => "used up",
        (TrendVerdict::Undecided { .. }, true) => "undecided",
        (TrendVerdict::Undecided { .. }, false) => "open",
        (TrendVerdict::NoLeak { .. }, true) => "no leak",
        (TrendVerdict::NoLeak { .. }, false) => "steady",
    };
    let steps = trend.steps.iter().map(|step| SoakStep {
        text: step.text.clone(),
        speaks: match step.holds {
            Some(true) => "for",
            Some(false) => "against",
            None => "",
        },
    });
    SoakRow {
        name: clean(&trend.name()),
        verdict,
        begin: value(trend.begin, trend.unit),
        end: value(trend.level, trend.unit),
        note: note(trend),
        steps: steps.collect(),
    }
}

/// A growth per second as one says it: per hour.
fn hourly(slope: f64, unit: Unit) -> String {
    format!("{}/h", value(slope * 3600.0, unit))
}

fn note(trend: &Trend) -> String {
    match &trend.verdict {
        TrendVerdict::Leak => trend.pace.as_ref().map_or_else(String::new, |it| grows(trend, it)),
        TrendVerdict::Exhausted => used_up(trend),
        TrendVerdict::Undecided { why, more_seconds } => {
            format!("{}; {} more would tell", clean(why), duration(rounded_up(*more_seconds)))
        }
        TrendVerdict::NoLeak { detectable } if *detectable > 0.0 => {
            format!("growth above {} would have been seen", hourly(*detectable, trend.unit))
        }
        TrendVerdict::NoLeak { .. } => String::new(),
    }
}

/// `+3.1 MiB/h (95 % 3 MiB/h to 3.2 MiB/h), at the limit of 2 GiB in 7 h`.
fn grows(trend: &Trend, pace: &Pace) -> String {
    let at = |slope: f64| hourly(slope, trend.unit);
    let mut text = format!("+{} (95 % {} to {})", at(pace.slope), at(pace.low), at(pace.high));
    if let (Some(out), Some(limit)) = (&pace.runs_out, trend.limit) {
        let latest = out.latest.map_or_else(|| "never".to_owned(), |it| duration(it.round()));
        text += &format!(
            ", at the limit of {} in {} ({} to {latest})",
            value(limit, trend.unit),
            duration(out.expected.round()),
            duration(out.soonest.round())
        );
    }
    if let Some(other) = &trend.confirmed_by {
        text += &format!("; so does {}", clean(other));
    }
    text
}

fn used_up(trend: &Trend) -> String {
    let limit = trend.limit.unwrap_or(trend.level);
    format!("at the limit of {}, and stays there", value(limit, trend.unit))
}

/// A trend as a sentence.
fn told(trend: &Trend) -> String {
    sentence(&format!("{}: {}", trend.name(), note(trend)))
}

/// Whole minutes, so that a wait is not told by the second.
fn rounded_up(seconds: f64) -> f64 {
    (seconds / 60.0).ceil() * 60.0
}

/// The answer where the plan asked for it: tone, headline, details.
pub(super) fn answer(soak: &Soak) -> (Tone, String, Vec<String>) {
    let held = format!("{} at {}", duration(soak.window.secs().round()), rate(soak.rate));
    let leaks = || soak.trends.iter().filter(|trend| trend.is_running_out());
    let (tone, headline) = match &soak.verdict {
        SoakVerdict::Leak => {
            let first = leaks().next();
            let said = first.map(told).unwrap_or_default();
            (Tone::Bad, format!("Leak, seen in {held}. {said}"))
        }
        SoakVerdict::NoLeak => {
            let watched = soak.trends.iter().filter(|trend| trend.kind.can_run_out()).count();
            (Tone::Good, format!("No leak in {held}: none of {watched} resources grows."))
        }
        SoakVerdict::Undecided { why, more_seconds } => {
            let more = more_seconds.map_or_else(String::new, |seconds| {
                format!("; run {} longer", duration(rounded_up(seconds)))
            });
            (Tone::Unknown, format!("Undecided after {held}: {}{more}.", clean(why)))
        }
    };
    let mut details: Vec<String> = leaks().skip(1).map(told).collect();
    let drifts = soak.trends.iter().filter(|trend| {
        !trend.kind.can_run_out()
            && !matches!(trend.kind, ResourceKind::Resident | ResourceKind::Written)
            && trend.verdict == TrendVerdict::Leak
    });
    details.extend(drifts.map(told));
    if soak.verdict == SoakVerdict::NoLeak {
        let seen = soak.trends.iter().filter(|trend| trend.kind == ResourceKind::Memory);
        details.extend(seen.map(told));
        details.extend(soak.not_watched.iter().map(|text| format!("Not watched: {text}.")));
    }
    (tone, headline, details)
}
