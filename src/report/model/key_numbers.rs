//! The few numbers worth remembering.

use serde::Serialize;

use super::super::wording::{self, clean, duration, percent};
use super::load_axis::LoadAxis;
use super::stages::counting;
use super::summary::Summary;
use crate::diagnose::{Diagnosis, Outcome, StageSummary};

/// One number worth remembering.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct KeyNumber {
    pub label: String,
    pub value: String,
    /// What qualifies it.
    pub note: String,
}

/// The few numbers worth remembering.
pub(super) fn key_numbers(diagnosis: &Diagnosis, summary: &Summary) -> Vec<KeyNumber> {
    let axis = LoadAxis::of(diagnosis);
    let mut numbers = Vec::new();
    let mut add = |label: &str, value: String, note: String| {
        numbers.push(KeyNumber { label: label.to_owned(), value, note });
    };
    if let Some(knee) = &diagnosis.knee {
        let interval =
            format!("95 % interval {} to {}", axis.number(knee.low), axis.number(knee.high));
        add("Knee", axis.short(knee.rate), interval);
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
            (true, _) if diagnosis.knee.is_some() => "highest load below the knee".to_owned(),
            (true, _) => "highest load of this run".to_owned(),
            (false, None) => "highest load of this run".to_owned(),
            (false, Some(bad)) => format!("{} breaks an objective", axis.short(bad)),
        };
        add("Capacity", axis.short(capacity.good), note);
    }
    if let Some(peak) = summary.peak_goodput.filter(|_| soak.is_none()) {
        add("Peak goodput", wording::short_rate(peak), "successful responses".to_owned());
    }
    let stages = counting(diagnosis);
    let mut add_p50 = |stage: &StageSummary, which: &str| {
        let Some(response) = stage.response else { return };
        let note = format!("p99 {}{which}", duration(response.p99));
        add(&format!("p50 at {}", axis.short(stage.offered)), duration(response.p50), note);
    };
    if let Some(low) = stages.first() {
        add_p50(low, if soak.is_some() { "" } else { ", low load" });
    }
    if let Some(high) = stages.last().filter(|_| stages.len() > 1) {
        let is_beyond = diagnosis.outcome == Outcome::Knee;
        add_p50(high, if is_beyond { ", past the knee" } else { ", highest load" });
    }
    if summary.requests_completed > 0 {
        numbers.push(KeyNumber {
            label: "Requests".to_owned(),
            value: summary.requests_completed.to_string(),
            note: format!("{} failed", percent(summary.error_ratio.unwrap_or(0.0))),
        });
    }
    numbers
}
