//! What an incident comes to.

use serde::{Deserialize, Serialize};

use crate::diagnose::{Finding, NotChecked, RuledOut};
use crate::timeline::{Moment, Unit, Window};

/// What happened, as far as a recording tells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// What users felt, the strongest first; empty if nothing changed for the worse.
    pub symptoms: Vec<Symptom>,
    /// When it began.
    pub onset: Option<Onset>,
    /// When it was over; `None` if the recording ends before.
    pub end: Option<Moment>,
    /// The good time before it, of at most an hour.
    pub baseline: Option<Window>,
    /// The bad time.
    pub bad: Option<Window>,
    /// Seconds within which two moments cannot be put in order: one scrape.
    pub resolution: f64,
    /// What the rules find, the most likely cause first.
    pub findings: Vec<TimedFinding>,
    /// What was changed, in order of time.
    pub changes: Vec<Change>,
    /// The series that moved, apart from what the load explains; the strongest first.
    pub shifts: Vec<Shift>,
    /// What was measured and does not hold.
    pub ruled_out: Vec<RuledOut>,
    /// Which causes could be examined.
    pub coverage: Coverage,
    /// Bad times that are no incident, with what explains them.
    pub passed: Vec<Passed>,
    /// What a reader has to know.
    pub caveats: Vec<String>,
}

/// A bad time that is no incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Passed {
    /// What was worse.
    pub kind: SymptomKind,
    /// Its begin.
    pub at: Moment,
    /// Its end.
    pub end: Moment,
    /// Median before it.
    pub before: f64,
    /// Median during it.
    pub during: f64,
    /// Why it does not count.
    pub why: String,
}

/// A moment with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Onset {
    /// The most likely moment.
    pub at: Moment,
    /// Not before.
    pub low: Moment,
    /// Not after.
    pub high: Moment,
}

impl Onset {
    /// Whether it is later than another one, by more than both intervals.
    pub fn is_after(&self, other: &Onset) -> bool {
        self.low > other.high
    }
}

/// What is measured of the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SymptomKind {
    /// Share of requests that failed.
    Errors,
    /// Mean response time.
    MeanTime,
    /// Response time that 99 % of the successful requests do not exceed.
    P99,
    /// Requests per second that ended.
    Throughput,
}

impl SymptomKind {
    /// Every kind.
    pub const ALL: [SymptomKind; 4] =
        [SymptomKind::Errors, SymptomKind::MeanTime, SymptomKind::P99, SymptomKind::Throughput];

    /// What it is, in words.
    pub fn name(self) -> &'static str {
        match self {
            SymptomKind::Errors => "failed requests",
            SymptomKind::MeanTime => "mean response time",
            SymptomKind::P99 => "p99 response time",
            SymptomKind::Throughput => "requests answered",
        }
    }
}

/// Something that users felt.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Symptom {
    /// What.
    pub kind: SymptomKind,
    /// Median while all was well.
    pub before: f64,
    /// Median while it was bad.
    pub during: f64,
    /// When it began.
    pub onset: Onset,
}

/// A finding and when its signals moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimedFinding {
    /// The finding.
    pub finding: Finding,
    /// When the first of its signals moved; `None` if none moved clearly.
    pub onset: Option<Onset>,
    /// How that lies to the symptom.
    pub order: Order,
}

/// How a moment lies to the beginning of the symptom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Earlier by more than both intervals.
    Before,
    /// Too close to tell.
    Together,
    /// Later by more than both intervals: a consequence.
    After,
    /// No moment is known.
    Unknown,
}

/// One series that moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shift {
    /// The series.
    pub series: String,
    /// Unit of its values.
    pub unit: Unit,
    /// Whether the values are changes per second of a running total.
    pub per_second: bool,
    /// Median while all was well.
    pub before: f64,
    /// Median while it was bad.
    pub during: f64,
    /// How far it moved from what the load explains, in robust standard deviations, with its sign.
    pub z: f64,
    /// When.
    pub onset: Onset,
    /// How that lies to the symptom.
    pub order: Order,
}

/// Something that was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When.
    pub at: Moment,
    /// What, in words.
    pub what: String,
    /// How that lies to the symptom.
    pub order: Order,
}

/// Which causes could be examined.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// Rules with data.
    pub examined: usize,
    /// All rules.
    pub rules: usize,
    /// Those without, with what to add.
    pub open: Vec<NotChecked>,
}
