//! What the logs said at the knee and not at low load, with the original lines.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::wording::{NOTHING, clean, duration, number, plural, sentence};
use crate::diagnose::Diagnosis;
use crate::recording::Recording;
use crate::timeline::{
    Moment, SentenceKind, Series, SeriesKey, Timeline, Window, names, sentence_kind,
};

/// At most this many kinds of lines are listed.
const MOST: usize = 10;
/// A kind of line has multiplied where there are so many times as many per request as at low load.
const MULTIPLIED: f64 = 3.0;
/// With 95 % confidence, what did not happen in n requests happens at most three times in n: the
/// rule of three (Hanley & Lippman-Hand 1983).
const RULE_OF_THREE: f64 = 3.0;
/// So many lines of a kind are worth a row, of errors and of other lines. One line is enough where
/// it says something well known.
const FEW_ERRORS: f64 = 2.0;
const FEW: f64 = 10.0;

/// The kinds of lines that appeared or multiplied.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct LogTable {
    /// What was read, in a sentence.
    pub headline: String,
    pub rows: Vec<LogRow>,
    /// What a reader has to know of the counts; empty if they are complete.
    pub note: String,
}

/// One kind of line.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct LogRow {
    /// The log.
    pub source: String,
    pub level: String,
    /// `new`, or how many times as many per request.
    pub change: String,
    pub low: String,
    pub knee: String,
    /// When it was first seen.
    pub first: String,
    /// What a well-known sentence in it means; empty without one.
    pub meaning: String,
    /// The first line of its kind, without secrets.
    pub line: String,
    /// The same in numbers, for programs.
    #[serde(skip)]
    pub numbers: LogNumbers,
}

/// One kind of line in numbers.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct LogNumbers {
    pub source: String,
    pub level: String,
    /// The line without what varies.
    pub template: String,
    /// The first line of its kind, without secrets.
    pub line: String,
    /// Name of the well-known sentence in it.
    pub kind: Option<&'static str>,
    pub lines: f64,
    pub low_per_second: f64,
    pub knee_per_second: f64,
    pub first_seconds: f64,
    pub last_seconds: f64,
}

/// Some windows, with what was served in them.
struct Span {
    windows: Vec<Window>,
    seconds: f64,
    requests: f64,
}

impl Span {
    fn new(timeline: &Timeline, windows: Vec<Window>) -> Self {
        let requests = windows.iter().flat_map(|window| timeline.ticks_within(*window));
        Self {
            seconds: windows.iter().map(|window| window.secs()).sum(),
            requests: requests.map(|tick| tick.completed() as f64).sum(),
            windows,
        }
    }

    fn lines(&self, series: &Series) -> f64 {
        let lines = self
            .windows
            .iter()
            .map(|window| (total_at(series, window.end) - total_at(series, window.begin)).max(0.0));
        lines.sum()
    }
}

/// A running total at a moment. It is written only when it grows, and begins at nothing.
fn total_at(series: &Series, at: Moment) -> f64 {
    let after = series.points.partition_point(|point| point.at <= at);
    after.checked_sub(1).map_or(0.0, |last| series.points[last].value)
}

/// The table; `None` where no log was followed, and where the logs have nothing to add.
pub(super) fn logs(recording: &Recording, diagnosis: &Diagnosis) -> Option<LogTable> {
    let timeline = &recording.timeline;
    let low = Span::new(timeline, diagnosis.windows.baseline.clone());
    let at_knee = [&diagnosis.windows.knee[..], &diagnosis.windows.beyond[..]].concat();
    let high = Span::new(timeline, at_knee);
    let quotes: BTreeMap<&SeriesKey, &str> =
        timeline.quotes.iter().map(|quote| (&quote.key, quote.text.as_str())).collect();
    let mut rows: Vec<(u8, LogRow)> = timeline
        .series_of(names::LOG_TEMPLATE_LINES.name)
        .filter_map(|(key, series)| row(key, series, quotes.get(key).copied(), &low, &high))
        .collect();
    rows.sort_by(|(a, left), (b, right)| {
        let knee = |row: &LogRow| row.numbers.knee_per_second;
        a.cmp(b).then(knee(right).total_cmp(&knee(left))).then(left.line.cmp(&right.line))
    });
    let unparsed: f64 = timeline
        .series_of(names::LOG_LINES.name)
        .filter(|(key, _)| key.labels.get("level") == Some("unparsed"))
        .filter_map(|(_, series)| series.points.last())
        .map(|point| point.value)
        .sum();
    if rows.is_empty() && unparsed == 0.0 {
        return None;
    }
    let note = match unparsed {
        0.0 => String::new(),
        lines => format!(
            "{} came too fast to be read word by word. They are counted, and missing here.",
            plural(lines as u64, "line", "lines")
        ),
    };
    let total: f64 = timeline
        .series_of(names::LOG_LINES.name)
        .filter_map(|(_, series)| series.points.last())
        .map(|point| point.value)
        .sum();
    let kinds = plural(rows.len() as u64, "kind of line is", "kinds of lines are");
    let headline = format!(
        "{kinds} new or at least {} times as frequent per request as at low load, among {} lines.",
        number(MULTIPLIED),
        number(total)
    );
    let rows = rows.into_iter().take(MOST).map(|(_, row)| row).collect();
    Some(LogTable { headline, rows, note })
}

/// A kind of line with its rank, if it appeared or multiplied.
fn row(
    key: &SeriesKey,
    series: &Series,
    quote: Option<&str>,
    low: &Span,
    high: &Span,
) -> Option<(u8, LogRow)> {
    let label = |name: &str| clean(key.labels.get(name).unwrap_or_default());
    let (first, last) = (series.points.first()?, series.points.last()?);
    let (level, template) = (label("level"), label("template"));
    let line = quote.map_or_else(|| template.clone(), clean);
    let kind = sentence_kind(&line);
    let (before, then) = (low.lines(series), high.lines(series));
    // What happened between the stages counts where it is well known: a process that was killed.
    let then_or_ever = if kind.is_some() { then.max(last.value - before) } else { then };
    let is_error = level == "error" || kind.is_some();
    let enough = match kind {
        Some(_) => 1.0,
        None if is_error => FEW_ERRORS,
        None => FEW,
    };
    let low_share = before / low.requests.max(1.0);
    let high_share = then / high.requests.max(1.0);
    let surely = (before + RULE_OF_THREE) / low.requests.max(1.0);
    let is_new = before == 0.0 && (kind.is_some() || high_share >= surely);
    let is_more = before > 0.0
        && high_share >= MULTIPLIED * low_share
        && high_share >= (before + RULE_OF_THREE * before.sqrt()) / low.requests.max(1.0);
    if then_or_ever < enough || !(is_new || is_more) {
        return None;
    }
    let per_second = |lines: f64, span: &Span| lines / span.seconds.max(1e-9);
    let (low_per_second, knee_per_second) = (per_second(before, low), per_second(then, high));
    let rank = match level.as_str() {
        _ if kind.is_some() => 0,
        "error" => 1,
        "warning" => 2,
        "unknown" => 3,
        _ => 4,
    };
    let shown = |per_second: f64| match per_second {
        0.0 => NOTHING.to_owned(),
        some => format!("{}/s", number(some)),
    };
    let change = match is_new {
        true => "new".to_owned(),
        false => format!("{} x", number(high_share / low_share)),
    };
    let row = LogRow {
        source: label("source"),
        level: level.clone(),
        change,
        low: shown(low_per_second),
        knee: shown(knee_per_second),
        first: duration(first.at.secs()),
        meaning: kind.map_or_else(String::new, |kind| sentence(kind.meaning())),
        line: line.clone(),
        numbers: LogNumbers {
            source: label("source"),
            level,
            template,
            line,
            kind: kind.map(SentenceKind::name),
            lines: last.value,
            low_per_second,
            knee_per_second,
            first_seconds: first.at.secs(),
            last_seconds: last.at.secs(),
        },
    };
    Some((rank, row))
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture;
    use super::*;
    use crate::timeline::{Batch, BatchBuilder, Labels, Quote};

    /// Adds a log to the sample: lines per second at each moment, by template.
    fn with_log(recording: &mut Recording, level: &str, line: &str, rate: impl Fn(f64) -> f64) {
        let labels =
            Labels::none().with("source", "app.log").with("level", level).with("template", line);
        let key = SeriesKey::new(names::LOG_TEMPLATE_LINES.name, labels.clone());
        let mut total = 0.0;
        for second in 0..recording.timeline.end().secs() as u64 {
            let at = Moment::from_nanos(second * 1_000_000_000);
            let lines = rate(second as f64);
            if lines > 0.0 {
                total += lines;
                let mut batch = BatchBuilder::new();
                batch.push_labelled(&names::LOG_TEMPLATE_LINES, labels.clone(), total);
                let (collector, window) = ("logs".to_owned(), Window::new(at, at));
                let readings = batch.finish();
                recording.timeline.push_batch(Batch { collector, window, readings });
            }
        }
        let (collector, text) = ("logs".to_owned(), line.to_owned());
        recording.timeline.quotes.push(Quote { at: Moment::START, collector, key, text });
    }

    fn told(add: impl Fn(&mut Recording)) -> Option<LogTable> {
        let mut recording = fixture::recording();
        let diagnosis = fixture::diagnosis(&recording);
        add(&mut recording);
        logs(&recording, &diagnosis)
    }

    /// The sample breaks at 212/s: its stage of 300/s lies between these seconds.
    const BROKEN: std::ops::Range<f64> = 65.0..75.0;

    #[test]
    fn without_logs_and_with_a_quiet_log_nothing_is_told() {
        assert!(told(|_| {}).is_none());
        // One line for each request and a heartbeat, whatever the load.
        let quiet = told(|recording| {
            let ticks = recording.timeline.ticks.clone();
            let served = move |second: f64| {
                let at = Moment::from_secs_f64(second + 0.5);
                let tick = ticks.iter().find(|tick| tick.window.contains(at));
                tick.map_or(0.0, |tick| tick.completed() as f64)
            };
            with_log(recording, "info", "INFO order created", served);
            with_log(recording, "info", "INFO alive", |_| 1.0);
            with_log(recording, "error", "ERROR once in a while", |second| {
                f64::from(u8::from(second % 40.0 == 7.0))
            });
        });
        assert!(quiet.is_none(), "{quiet:?}");
    }

    #[test]
    fn what_appears_at_the_knee_is_quoted_and_what_is_well_known_comes_first() {
        let table = told(|recording| {
            let at_knee = |second: f64| if BROKEN.contains(&second) { 40.0 } else { 0.0 };
            with_log(recording, "error", "ERROR something broke", at_knee);
            with_log(recording, "warning", "WARN pool timeout after 30 s", |second| {
                at_knee(second) / 40.0
            });
            with_log(recording, "info", "INFO order created", |_| 20.0);
        })
        .unwrap();
        let said: Vec<(&str, &str)> =
            table.rows.iter().map(|row| (row.change.as_str(), row.line.as_str())).collect();
        assert_eq!(
            said,
            [("new", "WARN pool timeout after 30 s"), ("new", "ERROR something broke")]
        );
        assert!(table.rows[0].meaning.contains("pool"), "{:?}", table.rows[0]);
        assert_eq!(table.rows[0].first, "65 s");
    }

    #[test]
    fn what_multiplies_is_told_with_its_factor() {
        let table = told(|recording| {
            with_log(recording, "error", "ERROR retry", |second| {
                if BROKEN.contains(&second) { 400.0 } else { 1.0 }
            });
        })
        .unwrap();
        assert!(table.rows[0].change.ends_with(" x"), "{:?}", table.rows[0]);
    }
}
