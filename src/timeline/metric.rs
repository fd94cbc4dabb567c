//! Metrics, their units, and the labels that distinguish series.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The unit of a metric's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Seconds, of time or of work.
    Seconds,
    /// Bytes.
    Bytes,
    /// A share from 0 to 1.
    Ratio,
    /// A multiple of another value: 1 means equal.
    Times,
    /// Processor cores.
    Cores,
    /// A number of things.
    Count,
    /// A scraped value; at most its name tells the unit.
    Unknown,
}

/// How the values of a metric behave over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A value that can rise and fall.
    Gauge,
    /// A running total; it falls only when its source restarts.
    Counter,
    /// The number of things with these labels at one moment. If a series is absent from a batch of
    /// its collector, there were none; the value is not unknown.
    Census,
}

/// One metric that a collector can emit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricSpec {
    /// Dotted lower-case name, after OpenTelemetry where it has one.
    pub name: &'static str,
    /// Unit of the values.
    pub unit: Unit,
    /// How the values behave over time.
    pub kind: Kind,
    /// One line: what it counts, and where it is read.
    pub about: &'static str,
}

/// Labels of a series, ordered by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// No labels.
    pub fn none() -> Self {
        Self::default()
    }

    /// These labels with one more. It replaces a label of the same name.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// The value of a label.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All labels in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there are no labels.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether these labels match every label of `wanted`. A wanted value that ends in `*` matches
    /// by prefix; one that starts with `!` matches every other value, and an absent label.
    pub fn matches(&self, wanted: &Labels) -> bool {
        wanted.iter().all(|(name, value)| {
            let have = self.get(name);
            if let Some(other) = value.strip_prefix('!') {
                return have != Some(other);
            }
            match value.strip_suffix('*') {
                Some(prefix) => have.is_some_and(|have| have.starts_with(prefix)),
                None => have == Some(value),
            }
        })
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{name}={value}")?;
        }
        Ok(())
    }
}

/// The identity of a series: metric and labels, shown as `db.sessions{state=active}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SeriesKey {
    /// Metric name.
    pub metric: String,
    /// Labels.
    pub labels: Labels,
}

impl SeriesKey {
    /// The series of `metric` without labels.
    pub fn bare(metric: &str) -> Self {
        Self { metric: metric.to_owned(), labels: Labels::none() }
    }

    /// The series of `metric` with `labels`.
    pub fn new(metric: &str, labels: Labels) -> Self {
        Self { metric: metric.to_owned(), labels }
    }
}

impl fmt::Display for SeriesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.metric)?;
        if !self.labels.is_empty() {
            write!(f, "{{{}}}", self.labels)?;
        }
        Ok(())
    }
}

/// Selects series: one metric, and the labels that they must have.
///
/// Written `metric` or `metric{label=value,other=prefix*,third=!not-this}`.
///
/// ```
/// use kneepoint::timeline::{Labels, Selector, SeriesKey};
///
/// let busy: Selector = "db.sessions{state=!idle}".parse()?;
/// assert!(busy.matches(&SeriesKey::new("db.sessions", Labels::none().with("state", "active"))));
/// assert!(!busy.matches(&SeriesKey::new("db.sessions", Labels::none().with("state", "idle"))));
/// # Ok::<(), kneepoint::timeline::ParseSelectorError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selector {
    /// Metric name, matched exactly.
    pub metric: String,
    /// Labels that a series must match, see [`Labels::matches`].
    pub labels: Labels,
}

/// A selector that is not of the form `metric{label=value,…}`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a valid selector: {why}; write `metric` or `metric{{label=value,other=prefix*}}`"
)]
pub struct ParseSelectorError {
    text: String,
    why: &'static str,
}

impl Selector {
    /// Whether the series `key` belongs to the set.
    pub fn matches(&self, key: &SeriesKey) -> bool {
        self.metric == key.metric && key.labels.matches(&self.labels)
    }
}

impl std::str::FromStr for Selector {
    type Err = ParseSelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = |why| Err(ParseSelectorError { text: text.to_owned(), why });
        let (metric, inside) = match text.split_once('{') {
            None => (text, None),
            Some((metric, rest)) => match rest.strip_suffix('}') {
                Some(inside) => (metric, Some(inside)),
                None => return fail("the `{` is not closed"),
            },
        };
        if metric.is_empty() || metric.contains(char::is_whitespace) {
            return fail("the metric name is empty or contains spaces");
        }
        let mut labels = Labels::none();
        for pair in inside.into_iter().flat_map(|inside| inside.split(',')) {
            match pair.split_once('=') {
                Some((name, value)) if !name.trim().is_empty() => {
                    labels = labels.with(name.trim(), value.trim());
                }
                _ => return fail("a label is not `name=value`"),
            }
        }
        Ok(Self { metric: metric.to_owned(), labels })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.metric)?;
        if !self.labels.is_empty() {
            write!(f, "{{{}}}", self.labels)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> SeriesKey {
        let selector: Selector = text.parse().unwrap();
        SeriesKey::new(&selector.metric, selector.labels)
    }

    #[test]
    fn selectors_match_by_value_prefix_and_exclusion() {
        let active = key("db.sessions{state=active,wait_type=Lock}");
        let matches = |text: &str| text.parse::<Selector>().unwrap().matches(&active);
        assert!(matches("db.sessions"));
        assert!(matches("db.sessions{state=active}"));
        assert!(matches("db.sessions{wait_type=L*}"));
        assert!(matches("db.sessions{state=!idle}"));
        assert!(!matches("db.sessions{state=!active}"));
        assert!(!matches("db.sessions{state=idle}"));
        assert!(!matches("db.sessions{missing=x}"));
        assert!(!matches("db.other"));
    }

    #[test]
    fn a_bad_selector_says_what_it_should_look_like() {
        for bad in ["", "a{", "a b", "a{b}", "a{=x}"] {
            let message = bad.parse::<Selector>().unwrap_err().to_string();
            assert!(message.contains("write `metric`"), "{message}");
        }
    }

    #[test]
    fn a_selector_prints_as_it_is_written() {
        for text in ["a.b", "a.b{c=d}", "a.b{c=d,e=f*}"] {
            assert_eq!(text.parse::<Selector>().unwrap().to_string(), text);
        }
    }
}
