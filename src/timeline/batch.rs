//! What a collector reports: a batch of readings, or a gap with its reason.

use serde::{Deserialize, Serialize};

use super::{Kind, Labels, MetricSpec, Moment, SeriesKey, Unit, Window};

/// One value of one series, as a collector read it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Which series.
    pub key: SeriesKey,
    /// Unit of the value.
    pub unit: Unit,
    /// How the values behave over time.
    pub kind: Kind,
    /// The value.
    pub value: f64,
}

/// The readings that a collector took together.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Name of the collector.
    pub collector: String,
    /// From just before to just after the readings; the sampler sets it.
    pub window: Window,
    /// The values.
    pub readings: Vec<Reading>,
}

impl Batch {
    /// The moment of the values: the middle of the window.
    pub fn at(&self) -> Moment {
        self.window.middle()
    }
}

/// A reading that is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Name of the collector.
    pub collector: String,
    /// When the collector tried.
    pub window: Window,
    /// Why there is no reading, in words for the report, without a secret.
    pub reason: String,
}

/// The original words behind a series, such as the first line of a log that counts into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// When they were seen.
    pub at: Moment,
    /// Name of the collector.
    pub collector: String,
    /// The series.
    pub key: SeriesKey,
    /// The words, without a secret.
    pub text: String,
}

/// Collects the readings of one batch. It leaves out values that are not finite: a missing value is
/// an absent reading.
#[derive(Debug, Default)]
pub struct BatchBuilder {
    readings: Vec<Reading>,
}

impl BatchBuilder {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value of a metric without labels.
    pub fn push(&mut self, metric: &MetricSpec, value: f64) {
        self.push_labelled(metric, Labels::none(), value);
    }

    /// Adds a value of a metric with labels.
    pub fn push_labelled(&mut self, metric: &MetricSpec, labels: Labels, value: f64) {
        self.push_foreign(SeriesKey::new(metric.name, labels), metric.unit, metric.kind, value);
    }

    /// Adds a value whose metric is known only at run time, such as a scraped one.
    pub fn push_foreign(&mut self, key: SeriesKey, unit: Unit, kind: Kind, value: f64) {
        if value.is_finite() {
            self.readings.push(Reading { key, unit, kind, value });
        }
    }

    /// How many values were added.
    pub fn len(&self) -> usize {
        self.readings.len()
    }

    /// Whether no value was added.
    pub fn is_empty(&self) -> bool {
        self.readings.is_empty()
    }

    /// The readings; the sampler adds their window.
    pub fn finish(self) -> Vec<Reading> {
        self.readings
    }
}
