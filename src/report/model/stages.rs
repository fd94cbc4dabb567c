//! The table of stages and of objectives.

use serde::Serialize;

use super::super::wording::{self, NOTHING, clean, duration, number, percent};
use super::load_axis::LoadAxis;
use crate::diagnose::{Diagnosis, StageSummary};

/// The stages in order of offered load, so that the table reads like the curve.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct StageTable {
    /// What the loads are: `offered/s` or `users`; and in words.
    pub load: &'static str,
    pub by: &'static str,
    pub rows: Vec<StageRow>,
    /// The knee in words; empty where there is none.
    pub knee: String,
    /// Index of the first row beyond the knee; the knee is drawn before it.
    pub knee_before: Option<usize>,
}

/// One stage as text.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct StageRow {
    pub role: String,
    /// Seconds since the start of the run at which it counts from.
    pub at: String,
    pub offered: String,
    pub throughput: String,
    pub goodput: String,
    pub p50: String,
    pub p95: String,
    pub p99: String,
    pub max: String,
    pub errors: String,
    pub in_flight: String,
    /// Kinds of failure with their counts, objectives that broke, why it does not count.
    pub notes: Vec<String>,
    /// Whether it says something of the target.
    pub counts: bool,
    /// Whether it broke an objective.
    pub broken: bool,
}

/// What one objective came to, as text.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct ObjectiveRow {
    pub text: String,
    pub met: bool,
    pub value: String,
    pub bound: String,
    /// In words.
    pub result: String,
}

impl ObjectiveRow {
    /// Whether anything was measured that it could be held against.
    pub fn is_measured(&self) -> bool {
        self.value != NOTHING
    }
}

/// The stages that say something of the target, in order of offered load.
pub(super) fn counting(diagnosis: &Diagnosis) -> Vec<&StageSummary> {
    let mut stages: Vec<_> = diagnosis
        .stages
        .iter()
        .filter(|stage| stage.role.is_measured() && stage.invalid.is_none())
        .collect();
    stages.sort_by(|a, b| a.offered.total_cmp(&b.offered));
    stages
}

impl StageTable {
    pub(super) fn new(diagnosis: &Diagnosis) -> Self {
        let mut stages: Vec<_> =
            diagnosis.stages.iter().filter(|stage| stage.role.is_measured()).collect();
        stages.sort_by(|a, b| a.offered.total_cmp(&b.offered));
        let knee = diagnosis.knee.as_ref();
        let knee_before =
            knee.and_then(|knee| stages.iter().position(|stage| stage.offered > knee.rate));
        let axis = LoadAxis::of(diagnosis);
        let text = knee.map(|knee| {
            let ends = (axis.number(knee.low), axis.number(knee.high));
            format!("knee at {} ({} to {})", axis.short(knee.rate), ends.0, ends.1)
        });
        let rows = stages.into_iter().map(|stage| row(stage, axis)).collect();
        let (load, by) = (axis.label(), axis.name());
        StageTable { load, by, rows, knee: text.unwrap_or_default(), knee_before }
    }
}

fn row(stage: &StageSummary, axis: LoadAxis) -> StageRow {
    let time = |pick: fn(&crate::diagnose::Quantiles) -> f64| {
        stage.response.as_ref().map_or_else(|| NOTHING.to_owned(), |q| duration(pick(q)))
    };
    let mut notes = Vec::new();
    if let Some(why) = &stage.invalid {
        notes.push(format!("not counted: {}", clean(&why.to_string())));
    }
    if !stage.errors.is_empty() {
        let kinds = stage.errors.iter().take(4);
        let kinds: Vec<_> =
            kinds.map(|(class, count)| format!("{count} x {}", clean(class))).collect();
        notes.push(kinds.join(", "));
    }
    if let Some(failures) = stage.failures {
        notes.push(format!("failures take {} (p50)", duration(failures.p50)));
    }
    if stage.held_back > 0 {
        notes.push(format!("{} not sent: too many requests were waiting", stage.held_back));
    }
    notes.extend(stage.broken_objectives.iter().map(|text| format!("breaks `{}`", clean(text))));
    StageRow {
        role: stage.role.to_string(),
        at: duration(stage.window.begin.secs()),
        offered: match stage.vus.filter(|_| !axis.is_users()) {
            Some(vus) => format!("{} ({} users)", number(stage.offered), number(vus)),
            None => axis.number(stage.offered),
        },
        throughput: number(stage.throughput),
        goodput: number(stage.goodput),
        p50: time(|q| q.p50),
        p95: time(|q| q.p95),
        p99: time(|q| q.p99),
        max: time(|q| q.max),
        errors: percent(stage.error_ratio),
        in_flight: number(stage.in_flight),
        notes,
        counts: stage.invalid.is_none(),
        broken: !stage.broken_objectives.is_empty(),
    }
}

pub(super) fn objectives(diagnosis: &Diagnosis) -> Vec<ObjectiveRow> {
    let axis = LoadAxis::of(diagnosis);
    let row = |objective: &crate::diagnose::ObjectiveResult| {
        let result = match (objective.broken_at, objective.value) {
            (Some(rate), _) => format!("broken from {} on", axis.load(rate)),
            (None, Some(_)) => "met by every stage".to_owned(),
            (None, None) => "not measured".to_owned(),
        };
        ObjectiveRow {
            text: clean(&objective.text),
            met: objective.broken_at.is_none() && objective.value.is_some(),
            value: wording::optional(objective.value, objective.unit),
            bound: wording::value(objective.bound, objective.unit),
            result,
        }
    };
    diagnosis.objectives.iter().map(row).collect()
}
