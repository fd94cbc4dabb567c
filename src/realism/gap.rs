//! What a plan does not test that production has, as plain data.

use serde::Serialize;

/// What a gap is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapKind {
    /// Production asks for something that the plan does not ask for, or hardly.
    MissingRequests,
    /// The plan asks for something that production does not ask for, or hardly.
    ForeignRequests,
    /// The plan never reaches production's peaks.
    Bursts,
    /// Users do one thing after another in another order.
    Order,
    /// Users pause for longer or shorter.
    ThinkTimes,
    /// The plan asks for fewer or more different keys.
    Keys,
    /// Some keys are far more popular in production.
    Popularity,
    /// Production has more clients than the plan allows connections.
    Connections,
    /// Clients retry, and the plan does not.
    Retries,
    /// A table of the database is of another size.
    TableSize,
    /// An index is missing on one side.
    Index,
    /// A setting of the database differs.
    Setting,
    /// The database has another version.
    Version,
}

/// One difference between a plan and production.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gap {
    /// What it is about.
    pub kind: GapKind,
    /// What was measured on both sides.
    pub seen: String,
    /// What the test cannot show because of it.
    pub hides: String,
    /// Lines of a plan, or what to do, that would close it.
    pub close: String,
}

/// What came out of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Realism {
    /// Share of production's requests whose kind the plan sends, from 0 to 1; `None` without a log.
    pub covered: Option<f64>,
    /// Whether the plan reaches production's peak of one second; `None` if that is not known.
    pub reaches_peak: Option<bool>,
    /// The differences that hide something.
    pub gaps: Vec<Gap>,
    /// What else a reader has to know.
    pub notes: Vec<String>,
}
