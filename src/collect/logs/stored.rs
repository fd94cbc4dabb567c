//! Counts lines that stand in a file as the collector counts those that are being written, so that
//! the same rules know them.

use super::level::{Level, ReadLine};
use super::templates::Templates;
use crate::timeline::{BatchBuilder, SeriesKey};

/// Most logs that are told apart: a journal may hold hundreds of units.
const MOST_SOURCES: usize = 40;
/// Stands for the others.
const OTHERS: &str = "other logs";

/// The lines of stored logs.
pub struct StoredLogs {
    templates: Templates,
    /// Each log's name, and whether its last line belongs to a private key that has not ended.
    sources: Vec<(String, bool)>,
}

impl Default for StoredLogs {
    fn default() -> Self {
        Self { templates: Templates::new(Vec::new()), sources: Vec::new() }
    }
}

impl StoredLogs {
    /// Counts a line of the log called `source`. `priority` is how bad it is, as syslog counts (RFC
    /// 5424), where the line itself does not say it.
    pub fn line(&mut self, source: &str, line: &str, priority: Option<&str>) {
        let index = self.index(source);
        let Some((_, in_key)) = self.sources.get_mut(index) else { return };
        let mut read = ReadLine::of(line, in_key);
        if read.level == Level::Unknown {
            read.level = priority.and_then(Level::of_number).unwrap_or(Level::Unknown);
        }
        self.templates.count(index, &read, 1);
    }

    fn index(&mut self, source: &str) -> usize {
        let known = |sources: &[(String, bool)], name: &str| {
            sources.iter().position(|(known, _)| known == name)
        };
        if let Some(index) = known(&self.sources, source) {
            return index;
        }
        let name = if self.sources.len() < MOST_SOURCES { source } else { OTHERS };
        known(&self.sources, name).unwrap_or_else(|| {
            self.sources.push((name.to_owned(), false));
            self.templates.add_source(name)
        })
    }

    /// The logs that have lines.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().map(|(name, _)| name.as_str())
    }

    /// Reports what was counted, `seconds` after the last time.
    pub fn push(&mut self, batch: &mut BatchBuilder, seconds: f64) {
        self.templates.push(batch, seconds);
    }

    /// The first lines of the templates that are new since the last call, without secrets.
    pub fn take_quotes(&mut self) -> Vec<(SeriesKey, String)> {
        self.templates.take_quotes()
    }
}
