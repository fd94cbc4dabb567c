//! Lays what other sources hold of the same time beside a recording, on one clock: the requests of
//! access logs, lines of databases' and machines' logs, and what other systems export as CSV.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, Write};

use super::cells::Cells;
use super::clock::{self, Counted, Shift};
use super::csv_file::{self, CsvFile};
use super::error::HistoryError;
use super::evidence::{self, Log};
use crate::import::Observed;
use crate::plan::CsvMap;
use crate::recording::{
    self, CollectorNote, Event, Overview, SpliceError, Stop, StopReason, Writer,
};
use crate::timeline::{LoadTick, Moment};

/// The executor of a recording that was read from a server: nobody made the load.
pub const EXECUTOR: &str = "observed";
/// How the remark on the load of counters begins.
pub(super) const OF_LOAD: &str = "response times are the target's own";
/// Length of a cell in seconds where nothing tells the scrape interval.
const USUAL_CELL: f64 = 15.0;
/// Clocks that differ by at most this many seconds agree: times of logs are often whole seconds.
const SAME_CLOCK: i64 = 1;
/// Share of the recorded time that a log has to cover to be the load of all of it.
const WHOLE: f64 = 0.95;
/// The log has all requests of the counters where it has this share of them.
const ALL: std::ops::RangeInclusive<f64> = 0.95..=1.05;

/// What is laid beside a recording.
#[derive(Default)]
pub struct Beside<'r> {
    /// The requests of access logs.
    pub requests: Option<Observed>,
    /// Seconds to add to their times, where they are not to be compared with the counters.
    pub later: Option<f64>,
    /// Logs of databases and machines.
    pub logs: Vec<Log<'r>>,
    /// CSV files, and what their columns mean.
    pub csv: Vec<CsvFile<'r>>,
    /// What the columns mean.
    pub map: Option<CsvMap>,
}

/// Whether a recording holds a time in which nobody made load.
pub fn is_history(overview: &Overview) -> bool {
    overview.plan.executor == EXECUTOR
}

/// Seconds of the cells in which what is laid beside a recording is gathered: its scrape interval.
pub fn cell(overview: &Overview) -> i64 {
    (interval(overview).round() as i64).max(1)
}

/// How far outside of the recording requests have to be read, in seconds, so that a log whose clock
/// is wrong can be told.
pub const MARGIN: f64 = clock::WIDEST as f64;

fn interval(overview: &Overview) -> f64 {
    let intervals = overview.environment.collectors.iter().map(|note| note.interval_secs);
    intervals.filter(|interval| *interval > 0.0).reduce(f64::min).unwrap_or(USUAL_CELL)
}

/// Copies the recording that `before` reads to `out`, with what is beside it. Returns what a reader
/// has to know.
///
/// # Errors
/// When a source cannot be read or does not fit, or the recording cannot be written.
pub fn join(
    before: impl BufRead + Send,
    overview: &Overview,
    beside: Beside<'_>,
    out: &mut dyn Write,
) -> Result<Vec<String>, HistoryError> {
    let cells = Cells {
        zero_unix: overview.environment.started_unix,
        end: overview.end.secs(),
        step: interval(overview),
    };
    let Beside { requests, later, mut logs, csv, map } = beside;
    let mut notes = Vec::new();
    let mut plan = overview.plan.clone();
    let has_requests = requests.is_some();
    let ticks = match requests {
        Some(requests) => load(requests, later, overview, cells, &mut notes)?,
        None => Vec::new(),
    };
    if has_requests {
        plan.requests = shares(&ticks);
        plan.executor = EXECUTOR.to_owned();
    }
    let mut environment = overview.environment.clone();
    let mut watch = |name: &str, watches: String| {
        environment.collectors.push(CollectorNote {
            name: name.to_owned(),
            instance: String::new(),
            watches,
            interval_secs: cells.step,
        });
    };
    if !logs.is_empty() {
        watch(evidence::COLLECTOR, "lines of stored logs".to_owned());
    }
    if !csv.is_empty() {
        let columns = map.as_ref().map_or(0, |map| map.series.len());
        watch(csv_file::COLLECTOR, format!("{columns} columns of CSV files"));
    }
    let mut writer = Writer::create(out, &plan, &environment)?;
    copy(before, &mut writer, !has_requests)?;
    for tick in &ticks {
        writer.tick(tick)?;
    }
    if !logs.is_empty() {
        let read = evidence::write(&mut logs, cells, &mut writer)?;
        tell_logs(&read, cells, &mut notes)?;
    }
    if let Some(map) = &map {
        let read = csv_file::write(csv, map, &overview.series, cells, &mut writer)?;
        tell_csv(&read, cells, &mut notes)?;
    }
    for text in &notes {
        writer.event(&Event { at: Moment::START, text: text.clone() })?;
    }
    let end = Stop { at: overview.end, reason: StopReason::Completed };
    writer.finish(overview.stop.as_ref().unwrap_or(&end))?;
    Ok(notes)
}

fn copy<W: Write>(
    before: impl BufRead + Send,
    writer: &mut Writer<W>,
    with_load: bool,
) -> Result<(), HistoryError> {
    // What was said of the load that is not copied.
    let keeps = |event: &Event| with_load || !event.text.starts_with(OF_LOAD);
    recording::copy(before, writer, with_load, &keeps).map_err(|error| match error {
        SpliceError::Write(error) => HistoryError::Write(error),
        SpliceError::Read(error) => HistoryError::File {
            what: format!("the recording cannot be read: {error}"),
            hint: "import the history again".to_owned(),
        },
    })
}

/// The ticks of access logs, by the clock of the recording.
fn load(
    mut requests: Observed,
    later: Option<f64>,
    overview: &Overview,
    cells: Cells,
    notes: &mut Vec<String>,
) -> Result<Vec<LoadTick>, HistoryError> {
    notes.push(format!(
        "the load is that of access logs ({}): its counts and times are exact, and those in flight \
         are counted from the begin and end of each request",
        requests.format
    ));
    notes.append(&mut requests.notes);
    let span = ends(&requests.ended);
    let later = match later {
        Some(later) => later,
        None => {
            let moved = |at: Moment| at.secs() + cells.zero_unix;
            let counted = overview.completed.iter().map(|(window, count)| Counted {
                from: moved(window.begin),
                to: moved(window.end),
                count: *count as f64,
            });
            let counted: Vec<Counted> = counted.collect();
            shift(clock::compare(&requests.ended, &counted, cells.step), notes)?
        }
    };
    let ticks = requests.ticks(cells.zero_unix, cells.end, later);
    let covered: f64 = ticks.iter().map(|tick| tick.window.secs()).sum();
    if ticks.is_empty() {
        return Err(beside_the_time("the access log", span, cells));
    }
    if covered < WHOLE * cells.end {
        notes.push(format!(
            "the access log covers {:.0} % of the recorded time: the load of the rest is not known; \
             give its rotated files too, or import a shorter time",
            100.0 * covered / cells.end
        ));
    }
    Ok(ticks)
}

fn ends(ended: &BTreeMap<i64, u32>) -> Option<(f64, f64)> {
    let (first, _) = ended.first_key_value()?;
    let (last, _) = ended.last_key_value()?;
    Some((*first as f64, *last as f64))
}

/// The seconds to add to a log's times.
fn shift(found: Shift, notes: &mut Vec<String>) -> Result<f64, HistoryError> {
    match found {
        Shift::Found { seconds, correlation, share } => {
            let agree = seconds.abs() <= SAME_CLOCK;
            let percent = correlation * 100.0;
            notes.push(match agree {
                true => format!(
                    "the access log's clock agrees with the server's own counters of requests \
                     (their changes correlate to {percent:.0} %)"
                ),
                false => format!(
                    "the access log's clock is {} {} the server's own counters of requests (their \
                     changes correlate to {percent:.0} % then): its times were moved by that; if \
                     this is a wrong time zone, mend it where the log is written",
                    spoken(seconds.abs()),
                    if seconds > 0 { "behind" } else { "ahead of" }
                ),
            });
            if !ALL.contains(&share) {
                notes.push(format!(
                    "the access log has {:.0} % of the requests that the counters have: they are \
                     not counted at the same place",
                    share * 100.0
                ));
            }
            Ok(if agree { 0.0 } else { seconds as f64 })
        }
        Shift::Ambiguous(one, other) => Err(HistoryError::File {
            what: format!(
                "it cannot be told whether the access log's clock is right: its requests fit the \
                 server's own counters when moved by {} and by {}",
                signed(one),
                signed(other)
            ),
            hint: format!(
                "say by how much its times are to be moved: `--shift-log {}`, or `--shift-log 0s` \
                 if its clock is right",
                signed(one)
            ),
        }),
        Shift::Unrelated(correlation) => {
            notes.push(format!(
                "the access log's requests do not rise and fall with the server's own counters, at \
                 any shift of its clock (their changes correlate to {:.0} % at most): it may be the \
                 log of another service, or its clock may be wrong; its times were taken as they \
                 stand",
                100.0 * correlation.max(0.0)
            ));
            Ok(0.0)
        }
        Shift::TooFew => {
            notes.push(
                "the access log's clock could not be checked: the recording has too few counted \
                 requests of the same time; its times were taken as they stand"
                    .to_owned(),
            );
            Ok(0.0)
        }
    }
}

/// A duration as people say it: `1 h`, `5 h 30 min`, `7 s`.
fn spoken(seconds: i64) -> String {
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    parts.map(|(count, unit)| format!("{count} {unit}")).collect::<Vec<_>>().join(" ")
}

/// A shift as the command line takes it.
fn signed(seconds: i64) -> String {
    format!("{seconds}s")
}

/// Each request with its share of all.
fn shares(ticks: &[LoadTick]) -> Vec<(String, f64)> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for endpoint in ticks.iter().flat_map(|tick| &tick.endpoints) {
        *counts.entry(&endpoint.endpoint).or_default() += endpoint.response_time.count();
    }
    let all = counts.values().sum::<u64>().max(1) as f64;
    counts.into_iter().map(|(name, count)| (name.to_owned(), count as f64 / all)).collect()
}

fn tell_logs(
    read: &evidence::Tally,
    cells: Cells,
    notes: &mut Vec<String>,
) -> Result<(), HistoryError> {
    if read.inside == 0 {
        return Err(beside_the_time("the log", read.span, cells));
    }
    let sources: Vec<&str> = read.sources.iter().map(String::as_str).take(5).collect();
    notes.push(format!(
        "{} lines of logs stand beside it ({}{}), without the values of statements",
        read.inside,
        sources.join(", "),
        if read.sources.len() > sources.len() { " and others" } else { "" }
    ));
    Ok(())
}

fn tell_csv(
    read: &csv_file::Imported,
    cells: Cells,
    notes: &mut Vec<String>,
) -> Result<(), HistoryError> {
    if read.series.is_empty() && read.known.is_empty() {
        return Err(beside_the_time("the CSV file", read.span, cells));
    }
    notes.push(format!(
        "{} series of CSV files stand beside it; {} cells have no value",
        read.series.len(),
        read.empty
    ));
    if !read.known.is_empty() {
        let names: BTreeSet<&str> = read.known.iter().map(String::as_str).take(5).collect();
        notes.push(format!(
            "columns were left out whose series the recording has already: `{}`; give them a label \
             (`labels` in the map)",
            names.into_iter().collect::<Vec<_>>().join("`, `")
        ));
    }
    Ok(())
}

/// That nothing lies within the time, and what to do.
fn beside_the_time(what: &str, span: Option<(f64, f64)>, cells: Cells) -> HistoryError {
    let shown =
        |seconds: f64| jiff::Timestamp::from_second(seconds as i64).unwrap_or_default().to_string();
    let of_it = span.map_or_else(
        || "it has no times".to_owned(),
        |(first, last)| format!("it reaches from {} to {}", shown(first), shown(last)),
    );
    HistoryError::File {
        what: format!("{what} has nothing of the recorded time: {of_it}"),
        hint: format!(
            "the recording reaches from {} to {}: import that time, or name the zone of the file's \
             times (`--log-zone`, `zone` in a map of columns, `--shift-log` for an access log)",
            shown(cells.zero_unix),
            shown(cells.zero_unix + cells.end)
        ),
    }
}
