//! The stages of a run in words.

use super::{StageMark, StageNow, StageState};
use crate::report::wording;
use crate::timeline::{Moment, Stage};

/// Most stages that are shown before and after the one that is held.
const MOST_SHOWN: usize = 60;

/// The load of a stage: `120 requests/s`, `10-50 users`.
pub fn load_of(stage: &Stage) -> String {
    if stage.is_closed() {
        let number = |vus: f64| vus.round().to_string();
        return match stage.is_ramping() {
            true => format!("{}-{} users", number(stage.vus_from), number(stage.vus_to)),
            false => format!("{} users", number(stage.vus_to)),
        };
    }
    if stage.is_ramping() {
        format!("{}-{}", wording::rate(stage.rate_from), wording::rate(stage.rate_to))
    } else {
        wording::rate(stage.rate_from)
    }
}

/// The stages that were held, and those that are planned after them.
#[derive(Debug, Default)]
pub(super) struct Stages {
    held: Vec<Stage>,
    /// Whether the last one that was held is over.
    is_between: bool,
    /// All that were planned, where that is known before the run.
    planned: Vec<Stage>,
}

impl Stages {
    pub(super) fn planned(planned: Vec<Stage>) -> Self {
        Self { planned, ..Self::default() }
    }

    pub(super) fn begin(&mut self, stage: Stage) {
        // A stage that is prolonged begins where it began.
        match self.held.last_mut() {
            Some(last) if last.window.begin == stage.window.begin => *last = stage,
            _ => self.held.push(stage),
        }
        self.is_between = false;
    }

    pub(super) fn end(&mut self, stage: Stage) {
        self.begin(stage);
        self.is_between = true;
    }

    /// The stage that is held, if one is.
    pub(super) fn current(&self) -> Option<&Stage> {
        self.held.last().filter(|_| !self.is_between)
    }

    /// The load at a moment, for the axis: `ramp, 120 requests/s`.
    pub(super) fn label_at(&self, at: Moment) -> String {
        let stage = self.held.iter().rev().find(|stage| stage.window.contains(at));
        stage.map(|stage| format!("{}, {}", stage.role, load_of(stage))).unwrap_or_default()
    }

    pub(super) fn now(&self, at: Moment) -> Option<StageNow> {
        let stage = self.current()?;
        let whole = stage.window.secs();
        let passed = at.since(stage.window.begin).as_secs_f64();
        let left = stage.window.end.since(at).as_secs_f64();
        Some(StageNow {
            role: stage.role.to_string(),
            load: load_of(stage),
            share: if whole > 0.0 { (passed / whole).clamp(0.0, 1.0) } else { 1.0 },
            left: format!("{} left", wording::duration(left.round())),
            number: self.held.len(),
            of: (self.planned.len() >= self.held.len()).then_some(self.planned.len()),
        })
    }

    pub(super) fn marks(&self) -> Vec<StageMark> {
        let current = self.current().map(|_| self.held.len() - 1);
        let held = self.held.iter().enumerate().map(|(place, stage)| {
            let state = if current == Some(place) { StageState::Now } else { StageState::Done };
            mark(stage, state)
        });
        let ahead = self.planned.iter().skip(self.held.len());
        let skip = self.held.len().saturating_sub(MOST_SHOWN);
        held.skip(skip)
            .chain(ahead.take(MOST_SHOWN).map(|stage| mark(stage, StageState::Ahead)))
            .collect()
    }
}

fn mark(stage: &Stage, state: StageState) -> StageMark {
    let level = if stage.is_closed() { stage.vus() } else { stage.rate() };
    StageMark {
        role: stage.role.to_string(),
        load: load_of(stage),
        short: wording::number(level),
        seconds: stage.window.secs(),
        state,
    }
}
