//! Where the values of templates come from.

use jiff::civil::Date;
use serde::Serialize;

use super::Secret;

/// A data source: where the values of one template name come from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DataSource {
    /// The values.
    pub values: DataValues,
    /// The order in which they are drawn.
    pub order: DataOrder,
    /// How often a value is drawn.
    pub per: DrawnPer,
    /// What happens after the last one of a sequence.
    pub exhausted: WhenExhausted,
}

/// The values of a data source.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataValues {
    /// Every integer from the first to the last, both included.
    Range(i64, i64),
    /// These texts.
    List(Vec<String>),
    /// These texts, which are secret: by the name of the source, or because they come from the
    /// environment.
    Hidden(Vec<Secret>),
    /// One column of a CSV file with a header line.
    Csv {
        /// Path of the file, relative to the plan.
        path: String,
        /// Name of the column.
        column: String,
    },
    /// The rows of a file. Templates use a column as `{name.column}`.
    Rows {
        /// Path of the file, relative to the plan.
        path: String,
        /// What is in it.
        format: RowFormat,
    },
    /// A random UUID (version 4, RFC 9562) each time.
    Uuid,
    /// Every day from the first to the last, both included.
    Dates {
        /// The first day.
        first: Date,
        /// The last day, not earlier than the first.
        last: Date,
        /// Format of the text, as for strftime.
        format: String,
    },
}

/// What is in a file of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowFormat {
    /// Comma-separated values with a header line.
    Csv,
    /// A JSON object in each line.
    JsonLines,
}

/// The order in which values are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataOrder {
    /// Each draw is independent and uniform, from the plan's seed.
    Random,
    /// One after the other.
    Sequential,
    /// Each draw independent; the value of rank `k` with a probability in proportion to
    /// `1 / k^exponent` (Zipf's law), as keys of real traffic are.
    Zipf(f64),
    /// Each draw independent: this share of the draws goes to the first values, the hot ones.
    Hot {
        /// Share of the values that are hot.
        keys: f64,
        /// Share of the draws that go to them.
        share: f64,
    },
}

/// How often a value is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DrawnPer {
    /// A new value for each journey (k6's iteration).
    #[default]
    Iteration,
    /// One value for each virtual user, who keeps it.
    Vu,
}

/// What happens after the last value of a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenExhausted {
    /// Begin again with the first value.
    #[default]
    Wrap,
    /// Start no more journeys that need a value.
    Stop,
}

impl DataSource {
    /// A source of values that are drawn at random for each journey.
    pub fn of(values: DataValues) -> Self {
        let (per, exhausted) = (DrawnPer::default(), WhenExhausted::default());
        Self { values, order: DataOrder::Random, per, exhausted }
    }

    /// Whether it has columns. Templates then use `{name.column}` and never `{name}`.
    pub fn has_columns(&self) -> bool {
        matches!(self.values, DataValues::Rows { .. })
    }
}
