//! What a long stage says of leaks and drift: the answer in a sentence, and each resource as a row.

use std::fmt;

use serde::{Serialize, Serializer};

use super::super::wording::{clean, duration, rate, sentence, value};
use super::tone::Tone;
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
    pub verdict: TrendKind,
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
    pub speaks: Speaks,
}

/// The verdict on one resource. A resource that cannot run out by itself drifts, is unclear, or is
/// steady.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) enum TrendKind {
    Leak,
    UsedUp,
    Undecided,
    NoLeak,
    Drifts,
    Open,
    Steady,
}

impl TrendKind {
    fn of(trend: &Trend) -> Self {
        match (&trend.verdict, trend.kind.can_run_out()) {
            (TrendVerdict::Leak, true) => TrendKind::Leak,
            (TrendVerdict::Leak, false) => TrendKind::Drifts,
            (TrendVerdict::Exhausted, _) => TrendKind::UsedUp,
            (TrendVerdict::Undecided { .. }, true) => TrendKind::Undecided,
            (TrendVerdict::Undecided { .. }, false) => TrendKind::Open,
            (TrendVerdict::NoLeak { .. }, true) => TrendKind::NoLeak,
            (TrendVerdict::NoLeak { .. }, false) => TrendKind::Steady,
        }
    }

    /// Whether it asks for nothing: the row in the table says all.
    pub fn is_quiet(self) -> bool {
        matches!(self, TrendKind::NoLeak | TrendKind::Steady | TrendKind::Open)
    }
}

impl fmt::Display for TrendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            TrendKind::Leak => "leak",
            TrendKind::UsedUp => "used up",
            TrendKind::Undecided => "undecided",
            TrendKind::NoLeak => "no leak",
            TrendKind::Drifts => "drifts",
            TrendKind::Open => "unclear",
            TrendKind::Steady => "steady",
        })
    }
}

impl Serialize for TrendKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Which way one step of a judgement points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(in crate::report) enum Speaks {
    #[serde(rename = "for")]
    ForLeak,
    #[serde(rename = "against")]
    AgainstLeak,
    #[serde(rename = "")]
    Neither,
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
    let steps = trend.steps.iter().map(|step| SoakStep {
        text: step.text.clone(),
        speaks: match step.holds {
            Some(true) => Speaks::ForLeak,
            Some(false) => Speaks::AgainstLeak,
            None => Speaks::Neither,
        },
    });
    SoakRow {
        name: clean(&trend.name()),
        verdict: TrendKind::of(trend),
        begin: value(trend.begin, trend.unit),
        end: value(trend.level, trend.unit),
        note: note(trend),
        steps: steps.collect(),
    }
}

/// A growth per second in words, per hour.
fn hourly(slope: f64, unit: Unit) -> String {
    format!("{}/h", value(slope * 3600.0, unit))
}

fn note(trend: &Trend) -> String {
    match &trend.verdict {
        TrendVerdict::Leak => trend.pace.as_ref().map_or_else(String::new, |it| grows(trend, it)),
        TrendVerdict::Exhausted => used_up(trend),
        TrendVerdict::Undecided { why, more_seconds } if *more_seconds > 0.0 => {
            format!("{}; run {} longer to know", clean(why), duration(rounded_up(*more_seconds)))
        }
        TrendVerdict::Undecided { why, .. } => clean(why),
        TrendVerdict::NoLeak { detectable } if *detectable > 0.0 => {
            format!("a growth above {} would have been seen", hourly(*detectable, trend.unit))
        }
        TrendVerdict::NoLeak { .. } => String::new(),
    }
}

/// `+3.1 MiB/h (95 % interval 3 MiB/h to 3.2 MiB/h); reaches its limit of 2 GiB in 7 h`.
fn grows(trend: &Trend, pace: &Pace) -> String {
    let at = |slope: f64| hourly(slope, trend.unit);
    let mut text =
        format!("+{} (95 % interval {} to {})", at(pace.slope), at(pace.low), at(pace.high));
    if let (Some(out), Some(limit)) = (&pace.runs_out, trend.limit) {
        let latest = out.latest.map_or_else(|| "never".to_owned(), |it| duration(it.round()));
        text += &format!(
            "; reaches its limit of {} in {} ({} to {latest})",
            value(limit, trend.unit),
            duration(out.expected.round()),
            duration(out.soonest.round())
        );
    }
    if let Some(other) = &trend.confirmed_by {
        text += &format!("; {} grows too", clean(other));
    }
    text
}

fn used_up(trend: &Trend) -> String {
    let limit = trend.limit.unwrap_or(trend.level);
    format!("has reached its limit of {}", value(limit, trend.unit))
}

/// A trend as a sentence.
fn told(trend: &Trend) -> String {
    sentence(&format!("{}: {}", trend.name(), note(trend)))
}

/// Whole minutes, so that a wait is not told by the second.
fn rounded_up(seconds: f64) -> f64 {
    (seconds / 60.0).ceil() * 60.0
}

/// The answer where the plan asked for it: tone, headline, details. What contradicts an all-clear
/// takes its place.
pub(super) fn answer(soak: &Soak, contradictions: &[String]) -> (Tone, String, Vec<String>) {
    let held = format!("{} at {}", duration(soak.window.secs().round()), rate(soak.rate));
    let leaks = || soak.trends.iter().filter(|trend| trend.is_running_out());
    let (tone, headline) = match &soak.verdict {
        SoakVerdict::Leak => {
            let first = leaks().next();
            let said = first.map(told).unwrap_or_default();
            (Tone::Bad, format!("Leak found in {held}. {said}"))
        }
        SoakVerdict::NoLeak => {
            let watched = soak.trends.iter().filter(|trend| trend.kind.can_run_out()).count();
            match contradictions.first() {
                None => {
                    (Tone::Good, format!("No leak in {held}: none of {watched} resources grows."))
                }
                Some(first) => (
                    Tone::Bad,
                    format!("None of {watched} resources grows in {held}, but {}.", clean(first)),
                ),
            }
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
