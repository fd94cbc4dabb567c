//! What was said lately: lines of logs, what failed requests got, events, gaps. The same words
//! count up and move to the end.

use std::collections::BTreeMap;

use super::{LineKind, LogLine, Shown};
use crate::report::wording;
use crate::timeline::{Batch, FailureCount, Gap, Moment, Quote, SeriesKey, names};

/// Lines that are kept. A screen shows fewer.
const MOST_LINES: usize = 100;
/// Templates of logs whose counts are remembered.
const MOST_TEMPLATES: usize = 2000;
/// Longest line in characters.
const LONGEST: usize = 300;

#[derive(Debug, Default)]
pub(super) struct Log {
    lines: Vec<(LineKind, String, u64, Moment)>,
    /// The counters of log templates at the last reading.
    counted: BTreeMap<SeriesKey, f64>,
    /// The words of a template as they were first written.
    quotes: BTreeMap<SeriesKey, String>,
}

impl Log {
    pub(super) fn add(&mut self, at: Moment, kind: LineKind, text: &str, count: u64) {
        let text: String = wording::clean(text).chars().take(LONGEST).collect();
        let known = self.lines.iter().position(|line| line.0 == kind && line.1 == text);
        let before = known.map_or(0, |place| self.lines.remove(place).2);
        if self.lines.len() >= MOST_LINES {
            self.lines.remove(0);
        }
        self.lines.push((kind, text, before.saturating_add(count), at));
    }

    pub(super) fn failure(&mut self, at: Moment, failure: &FailureCount) {
        let kind = &failure.kind;
        let said = match (kind.is_rest, kind.example.is_empty()) {
            (true, _) => "other texts",
            (false, true) => "no body",
            (false, false) => &kind.example,
        };
        let text = format!("{} {}: {said}", kind.endpoint, kind.class);
        self.add(at, LineKind::Failure, &text, failure.count);
    }

    pub(super) fn gap(&mut self, gap: &Gap) {
        let text = format!("{}: {}", gap.collector, gap.reason);
        self.add(gap.window.end, LineKind::Gap, &text, 1);
    }

    pub(super) fn quote(&mut self, quote: Quote) {
        if self.quotes.len() < MOST_TEMPLATES {
            self.quotes.insert(quote.key, quote.text);
        }
    }

    /// Adds the lines of logs that came since the last reading.
    pub(super) fn batch(&mut self, batch: &Batch) {
        let metric = names::LOG_TEMPLATE_LINES.name;
        for reading in batch.readings.iter().filter(|reading| reading.key.metric == metric) {
            let before = self.counted.get(&reading.key).copied();
            if before.is_some() || self.counted.len() < MOST_TEMPLATES {
                self.counted.insert(reading.key.clone(), reading.value);
            }
            // What was there before the run was not said in it. A template that is new begins at 0.
            let more = reading.value - before.unwrap_or(0.0);
            let level = reading.key.labels.get("level").unwrap_or_default();
            if more < 1.0 || matches!(level, "debug" | "info") {
                continue;
            }
            let template = reading.key.labels.get("template").unwrap_or_default();
            let words = self.quotes.get(&reading.key).map_or(template, String::as_str);
            let text = format!("{level}: {words}");
            self.add(batch.at(), LineKind::Log, &text, more as u64);
        }
    }

    pub(super) fn lines(&self) -> Vec<LogLine> {
        let line = |(kind, text, count, at): &(LineKind, String, u64, Moment)| LogLine {
            at: Shown { value: Some(at.secs()), text: wording::duration(at.secs().floor()) },
            kind: *kind,
            text: text.clone(),
            count: *count,
        };
        self.lines.iter().map(line).collect()
    }
}
