//! What the columns of a CSV file mean: what other systems export, as series of a recording.

use std::collections::BTreeMap;

use crate::timeline::{Kind, Unit};

/// How the times of a CSV file are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeForm {
    /// `2026-11-28T18:03:15Z`, or with an offset.
    Rfc3339,
    /// Seconds since 1970.
    Unix,
    /// Milliseconds since 1970.
    UnixMillis,
    /// As `strftime` would write it.
    Pattern(String),
}

/// One column of values.
#[derive(Clone, Debug, PartialEq)]
pub struct CsvSeries {
    /// Name of the column.
    pub column: String,
    /// Name of the metric.
    pub metric: String,
    /// Unit of the recorded values.
    pub unit: Unit,
    /// Factor from the column's values to the recorded ones.
    pub scale: f64,
    /// How the values behave.
    pub kind: Kind,
    /// Labels of the series.
    pub labels: BTreeMap<String, String>,
    /// Labels whose values stand in other columns.
    pub labels_from: BTreeMap<String, String>,
}

/// The meaning of the columns.
#[derive(Clone, Debug, PartialEq)]
pub struct CsvMap {
    /// The column of the times.
    pub time_column: String,
    /// Their form.
    pub time_form: TimeForm,
    /// Name of the zone of times that have none.
    pub zone: Option<String>,
    /// The columns of values.
    pub series: Vec<CsvSeries>,
}
