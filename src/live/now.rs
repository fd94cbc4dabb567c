//! What a viewer sees at one moment. Numbers come with their texts, so that no viewer formats one.

use serde::Serialize;

use super::PointNow;

/// A number, and how it reads.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Shown {
    /// The number in its base unit (seconds, requests per second, cores); absent where nothing was
    /// measured.
    pub value: Option<f64>,
    /// How it reads, with its unit.
    pub text: String,
}

/// How far the run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// No stage has begun: the system is watched at rest.
    #[default]
    Starting,
    /// Load is made.
    Running,
    /// Load is made, and the stage is held until somebody lets the rise go on.
    Paused,
    /// The load is over, and the run is diagnosed.
    Over,
    /// The report can be read.
    Reported,
}

/// Everything that a viewer sees now.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Now {
    /// Name of the plan.
    pub title: String,
    /// What is loaded.
    pub target: String,
    /// How far the run is.
    pub state: State,
    /// The same in words.
    pub state_text: String,
    /// Seconds since the start of the run.
    pub at: Shown,
    /// The stage that is held.
    pub stage: Option<StageNow>,
    /// All stages, those that were held first.
    pub stages: Vec<StageMark>,
    /// The last second: begin and end in seconds since the start.
    pub second: Option<(f64, f64)>,
    /// The numbers of that second.
    pub numbers: Vec<NumberRow>,
    /// Failed requests by kind, the most frequent first.
    pub errors: Vec<ErrorRow>,
    /// CPU, then pools.
    pub levels: Vec<LevelRow>,
    /// What the diagnosis says of the run so far.
    pub suspects: Option<Suspects>,
    /// What was said lately, the newest last.
    pub lines: Vec<LogLine>,
    /// The newest point of the charts.
    pub point: Option<PointNow>,
    /// How many points the charts have, and the seconds of each.
    pub points: (usize, f64),
    /// How much could not be taken in. The recording has it all.
    pub lost: u64,
}

impl Now {
    /// The number of this id.
    pub fn number(&self, id: &str) -> Option<&NumberRow> {
        self.numbers.iter().find(|row| row.id == id)
    }
}

/// The stage that is held.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StageNow {
    /// Its purpose.
    pub role: String,
    /// Its load.
    pub load: String,
    /// Share of it that is over, from 0 to 1.
    pub share: f64,
    /// How much is left, in words.
    pub left: String,
    /// Which stage it is, counted from 1.
    pub number: usize,
    /// How many there will be, where that is known.
    pub of: Option<usize>,
}

/// Whether a stage was held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StageState {
    /// It was.
    Done,
    /// It is held now.
    Now,
    /// It is planned.
    Ahead,
}

/// A stage in the plan of all stages.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageMark {
    /// Its purpose.
    pub role: String,
    /// Its load.
    pub load: String,
    /// Its load as a bare number.
    pub short: String,
    /// How long it was or will be held, in seconds.
    pub seconds: f64,
    /// Whether it was held.
    pub state: StageState,
}

/// One number of the last second.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NumberRow {
    /// By which a viewer finds it.
    pub id: &'static str,
    /// What it is.
    pub name: &'static str,
    /// The number.
    pub shown: Shown,
}

/// One kind of failed requests.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ErrorRow {
    /// Status code or kind of failure.
    pub class: String,
    /// How many there were in the run so far.
    pub total: u64,
    /// How many in the last second, per second.
    pub rate: Shown,
}

/// What a level tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LevelGroup {
    /// Cores in use.
    Cpu,
    /// Places in use of something that has so many.
    Pool,
}

/// How much of something is in use.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LevelRow {
    /// What it tells of.
    pub group: LevelGroup,
    /// What it is.
    pub name: String,
    /// How much is in use.
    pub used: Shown,
    /// How much there is, where that is known.
    pub limit: Option<Shown>,
    /// Share in use, from 0 to 1.
    pub share: Option<f64>,
    /// Who waits for it, in words; empty if nobody does.
    pub waiting: String,
}

/// What the diagnosis says of the run so far. It is preliminary: later stages can change it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Suspects {
    /// Up to which second of the run.
    pub until: Shown,
    /// The answer, as a report would give it now.
    pub headline: String,
    /// The findings, the most important first: title, what it is to the knee, how sure.
    pub findings: Vec<(String, String, String)>,
}

/// What a line tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// What failed requests got.
    Failure,
    /// A line of a log.
    Log,
    /// Something that happened.
    Event,
    /// A reading that is missing.
    Gap,
}

impl LineKind {
    /// The kind as a word.
    pub fn name(self) -> &'static str {
        match self {
            LineKind::Failure => "failed",
            LineKind::Log => "log",
            LineKind::Event => "event",
            LineKind::Gap => "gap",
        }
    }
}

/// Something that was said, and how often.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LogLine {
    /// When it was said last.
    pub at: Shown,
    /// What it tells of.
    pub kind: LineKind,
    /// What was said.
    pub text: String,
    /// How often.
    pub count: u64,
}
