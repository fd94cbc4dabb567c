//! Which series a signal reads, and how several of them become one level.

use std::fmt;

use crate::timeline::{Kind, Labels, MetricSpec, Selector, Unit, names};

use super::measure::Measure;

/// The series a signal reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Operand {
    /// Sets of series whose levels are added.
    pub selectors: Vec<Selector>,
    /// How several series of one set become one level.
    pub over: Over,
    /// The signal is measured for each value of this label; the largest counts, or the smallest if
    /// `over` asks for that.
    pub by: Option<String>,
}

/// How several series become one level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Their sum.
    Sum,
    /// The largest.
    Max,
    /// The smallest.
    Min,
    /// Their mean.
    Mean,
}

impl Operand {
    /// The measure of its level: that of its first selector.
    pub fn unit(&self) -> Measure {
        self.selectors.first().map_or(Measure::In(Unit::Unknown), unit_of)
    }
}

/// The measure of the level of a set of series.
pub fn unit_of(selector: &Selector) -> Measure {
    match names::find(&selector.metric) {
        // Seconds of time, not of work: per second they are a share.
        Some(spec)
            if [names::SYSTEM_DISK_BUSY.name, names::SYSTEM_PRESSURE.name].contains(&spec.name) =>
        {
            Measure::In(Unit::Ratio)
        }
        Some(spec) if spec.kind == Kind::Counter => Measure::PerSecond(spec.unit),
        Some(spec) => Measure::In(spec.unit),
        None => Measure::In(Unit::Unknown),
    }
}

/// The selector of all series of a metric.
pub fn bare(metric: &MetricSpec) -> Selector {
    Selector { metric: metric.name.to_owned(), labels: Labels::none() }
}

/// The selector of the series of a metric with these labels, each with the value that a rule file
/// would give it: `!Lock` is anything else, `idle*` whatever begins like that.
pub fn labelled(metric: &MetricSpec, labels: &[(&str, &str)]) -> Selector {
    let with = |labels: Labels, (name, value): &(&str, &str)| labels.with(name, *value);
    Selector { labels: labels.iter().fold(Labels::none(), with), ..bare(metric) }
}

/// Whether a metric counts what was found, so that finding nothing means none.
pub fn is_census(metric: &str) -> bool {
    names::find(metric).is_some_and(|spec| spec.kind == Kind::Census)
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.over {
            Over::Sum => {}
            Over::Max => f.write_str("largest ")?,
            Over::Min => f.write_str("least ")?,
            Over::Mean => f.write_str("mean ")?,
        }
        for (index, selector) in self.selectors.iter().enumerate() {
            write!(f, "{}{selector}", if index == 0 { "" } else { " + " })?;
        }
        match &self.by {
            Some(label) => write!(f, " by {label}"),
            None => Ok(()),
        }
    }
}
