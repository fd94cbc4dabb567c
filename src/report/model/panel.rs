//! One chart over time: its lines, what its axis counts, and how a line goes on after the run.

use super::super::wording;

/// One chart over time.
#[derive(Clone, Debug, Default)]
pub(in crate::report) struct Panel {
    pub id: &'static str,
    pub title: &'static str,
    pub quantity: Quantity,
    /// Whether the lines are layers that add up.
    pub stacked: bool,
    pub log: bool,
    pub lines: Vec<Line>,
    /// What it shows, in a sentence.
    pub about: String,
    /// Moments that are marked, in seconds: at its foot, or with a word over its whole height.
    pub marks: Vec<(f64, Option<&'static str>)>,
    /// How it goes on once the run is over.
    pub ahead: Option<Ahead>,
}

/// How a line goes on beyond the end of the run, to where it reaches its limit.
#[derive(Clone, Debug)]
pub(in crate::report) struct Ahead {
    /// Seconds since the start at which the axis of the panel ends.
    pub end: f64,
    /// From the end of what was measured, each as far as the limit or the end of the axis.
    pub lines: Vec<AheadLine>,
    /// When the limit is reached, in words.
    pub label: String,
    /// That moment in seconds since the start; `None` where it lies beyond the axis.
    pub at: Option<f64>,
}

/// One straight line of an [`Ahead`]: points of seconds since the start and value.
#[derive(Clone, Debug)]
pub(in crate::report) struct AheadLine {
    pub ink: usize,
    pub style: LineStyle,
    pub from: (f64, f64),
    pub to: (f64, f64),
}

/// What an axis counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::report) enum Quantity {
    /// Requests per second.
    Rate,
    /// Messages per second.
    Messages,
    Seconds,
    Cores,
    Bytes,
    /// Shares of all, 0 to 1.
    Share,
    #[default]
    Count,
}

impl Quantity {
    /// The title of an axis, short enough to stand above its labels.
    pub fn axis(self) -> &'static str {
        match self {
            Quantity::Rate => "req/s",
            Quantity::Messages => "msg/s",
            Quantity::Seconds => "time",
            Quantity::Cores => "cores",
            Quantity::Bytes => "bytes",
            Quantity::Share => "share",
            Quantity::Count => "count",
        }
    }

    /// A value as text.
    pub fn text(self, value: f64) -> String {
        match self {
            Quantity::Rate | Quantity::Messages => wording::short_rate(value),
            Quantity::Seconds => wording::duration(value),
            Quantity::Cores => wording::cores(value),
            Quantity::Bytes => wording::bytes(value),
            Quantity::Share => wording::percent(value),
            Quantity::Count => wording::number(value),
        }
    }

    /// A value as the label of a tick, where the axis title has the unit if the label has none.
    pub fn tick(self, value: f64) -> String {
        match self {
            Quantity::Rate | Quantity::Messages | Quantity::Cores | Quantity::Count => {
                wording::number(value)
            }
            Quantity::Seconds if value == 0.0 => "0".to_owned(),
            Quantity::Bytes | Quantity::Share if value == 0.0 => "0".to_owned(),
            Quantity::Seconds | Quantity::Bytes | Quantity::Share => self.text(value),
        }
    }
}

/// One line, or one layer.
#[derive(Clone, Debug)]
pub(in crate::report) struct Line {
    pub name: String,
    /// Which colour of the palette.
    pub ink: usize,
    pub style: LineStyle,
    /// One value for each time; `None` where nothing was measured.
    pub values: Vec<Option<f64>>,
}

impl Line {
    /// The value at each time as text.
    pub fn texts(&self, quantity: Quantity) -> Vec<String> {
        let text = |value: &Option<f64>| {
            value.map_or_else(|| wording::NOTHING.to_owned(), |value| quantity.text(value))
        };
        self.values.iter().map(text).collect()
    }
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) enum LineStyle {
    Solid,
    Dashed,
    Dotted,
    /// A bound rather than a measurement.
    Limit,
}

/// One value for each time.
pub(super) type Values = Vec<Option<f64>>;

/// A line or a layer.
pub(super) fn line(name: impl Into<String>, ink: usize, style: LineStyle, values: Values) -> Line {
    Line { name: name.into(), ink, style, values }
}

/// Whether any value was measured.
pub(super) fn has_values(values: &[Option<f64>]) -> bool {
    values.iter().any(Option::is_some)
}

/// Whether values spread so far that only a logarithmic axis shows the small ones.
pub(in crate::report) fn spreads(least: f64, most: f64) -> bool {
    least > 0.0 && most > 20.0 * least
}
