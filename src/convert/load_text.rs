//! Loads as the text of a plan, and the limits that they need.

use std::time::Duration;

use toml_edit::{Array, InlineTable, Table, Value, value};

use super::draft::{Draft, LoadDraft};
use super::toml_text::{comment, comment_on, duration, number, rate, zero_or_longer};

/// The highest rate that a plan may have without `max_rate`.
const USUAL_MAX_RATE: f64 = 5000.0;
/// The longest run that a plan may have without `max_duration`.
const USUAL_MAX_DURATION: Duration = Duration::from_secs(30 * 60);
/// The most requests in flight that a plan may have without `max_in_flight`.
const USUAL_MAX_IN_FLIGHT: u64 = 2000;
/// How much longer than its load a run may take.
const SLACK: Duration = Duration::from_secs(60);

/// The largest whole number that TOML has.
const MOST_ITERATIONS: u64 = i64::MAX.cast_unsigned();

/// One stage a line, with its name behind it.
fn stages<'n>(stages: impl Iterator<Item = (Value, Duration, Option<&'n str>)>) -> Array {
    let mut array = Array::new();
    // What stands behind a comma belongs to the next value.
    let mut behind = String::new();
    for (target, length, name) in stages {
        let stage = [("target", target), ("duration", zero_or_longer(length).into())];
        let mut stage = Value::from(InlineTable::from_iter(stage));
        stage.decor_mut().set_prefix(format!("{behind}\n    "));
        array.push_formatted(stage);
        behind = name.map_or_else(String::new, |name| {
            format!("  # {}", name.replace(char::is_control, " "))
        });
    }
    array.set_trailing_comma(true);
    array.set_trailing(format!("{behind}\n"));
    array
}

/// How far the load of a plan goes.
pub(super) struct Extent {
    /// Journeys per second, of the scenario with the most.
    rate: f64,
    /// Virtual users of all scenarios together.
    vus: u64,
    length: Duration,
}

impl Extent {
    pub(super) fn of(draft: &Draft) -> Self {
        let mut extent = Self { rate: 0.0, vus: 0, length: Duration::ZERO };
        extent.add(&draft.load, Duration::ZERO);
        for scenario in &draft.scenarios {
            extent.add(&scenario.load, scenario.start);
        }
        extent
    }

    fn add(&mut self, load: &LoadDraft, start: Duration) {
        let sum = |sum: Duration, length: Duration| sum.saturating_add(length);
        let (rate, vus, length) = match load {
            LoadDraft::Unset | LoadDraft::Replay { .. } => (0.0, 0, Duration::ZERO),
            LoadDraft::Search { max, .. } => (*max, 0, Duration::ZERO),
            LoadDraft::Constant { rate, duration } => (*rate, 0, *duration),
            LoadDraft::Ramp { start, stages } => (
                stages.iter().map(|(rate, _, _)| *rate).fold(*start, f64::max),
                0,
                stages.iter().map(|(_, length, _)| *length).fold(Duration::ZERO, sum),
            ),
            LoadDraft::Users { vus, duration } => (0.0, *vus, *duration),
            LoadDraft::RampUsers { start, stages } => (
                0.0,
                stages.iter().map(|(vus, _)| *vus).fold(*start, u32::max),
                stages.iter().map(|(_, length)| *length).fold(Duration::ZERO, sum),
            ),
            LoadDraft::Iterations { vus, longest, .. } => (0.0, *vus, *longest),
        };
        self.rate = self.rate.max(rate);
        self.vus += u64::from(vus);
        self.length = self.length.max(start.saturating_add(length));
    }

    /// Raises what is above the usual limits.
    pub(super) fn fill_limits(&self, table: &mut Table) {
        if self.rate > USUAL_MAX_RATE {
            table.insert("max_rate", value(rate(self.rate)));
        }
        if self.vus > USUAL_MAX_IN_FLIGHT {
            table.insert("max_in_flight", value(self.vus.cast_signed()));
        }
        if self.length > USUAL_MAX_DURATION {
            table.insert("max_duration", value(duration(self.length.saturating_add(SLACK))));
        }
    }

    /// Whether a plan needs no `[limits]` for it.
    pub(super) fn is_usual(&self) -> bool {
        self.rate <= USUAL_MAX_RATE
            && self.vus <= USUAL_MAX_IN_FLIGHT
            && self.length <= USUAL_MAX_DURATION
    }
}

/// The keys of one load.
pub(super) fn fill_load(table: &mut Table, load: &LoadDraft) {
    match load {
        LoadDraft::Unset => {}
        LoadDraft::Search { start, max, comment: text } => {
            table.insert("executor", value("breakpoint"));
            comment_on(table, "executor", &comment(text));
            table.insert("start", value(rate(*start)));
            table.insert("max", value(rate(*max)));
        }
        LoadDraft::Constant { rate: constant, duration: length } => {
            table.insert("executor", value("constant-arrival-rate"));
            table.insert("rate", value(rate(*constant)));
            table.insert("duration", value(duration(*length)));
        }
        LoadDraft::Ramp { start, stages: ramps } => {
            table.insert("executor", value("ramping-arrival-rate"));
            table.insert("start_rate", value(rate(*start)));
            let ramps = ramps.iter().map(|(target, length, name)| {
                (Value::from(rate(*target)), *length, name.as_deref())
            });
            table.insert("stages", value(stages(ramps)));
        }
        LoadDraft::Users { vus, duration: length } => {
            table.insert("executor", value("constant-vus"));
            table.insert("vus", value(i64::from((*vus).max(1))));
            table.insert("duration", value(duration(*length)));
        }
        LoadDraft::RampUsers { start, stages: ramps } => {
            table.insert("executor", value("ramping-vus"));
            table.insert("start_vus", value(i64::from(*start)));
            let ramps =
                ramps.iter().map(|(vus, length)| (i64::from(*vus).into(), *length, None::<&str>));
            table.insert("stages", value(stages(ramps)));
        }
        LoadDraft::Iterations { vus, iterations, shared, longest } => {
            let executor = if *shared { "shared-iterations" } else { "per-vu-iterations" };
            table.insert("executor", value(executor));
            table.insert("vus", value(i64::from((*vus).max(1))));
            table
                .insert("iterations", value((*iterations).clamp(1, MOST_ITERATIONS).cast_signed()));
            table.insert("max_duration", value(duration(*longest)));
        }
        LoadDraft::Replay { trace, speed } => {
            table.insert("executor", value("replay"));
            table.insert("trace", value(trace));
            table.insert("speed", value(number(*speed)));
        }
    }
}
