//! Reads a recording file, also one that ends in the middle.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead};

use serde::Deserialize;

use super::frames::{self, FrameError, ZSTD_MAGIC};
use super::lines::{
    AnyLine, BatchLine, EndLine, FORMAT, FormatLine, GapLine, HeaderLine, MAJOR, MINOR, SeriesLine,
    StageLine, TickLine,
};
use super::{Event, Recording};
use crate::timeline::{Batch, Histogram, Kind, Reading, SeriesKey, Timeline, Unit, Window};

/// Something that a reader of a recording should know although it could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadNote {
    /// There is no end line: the run was killed, or its disk was full.
    NoEnd,
    /// The last frame is cut off; what decodes of it was taken.
    TornEnd,
    /// A frame inside is damaged and was left out.
    DamagedFrame,
    /// A line is not what it should be and was left out.
    BadLine {
        /// Which line of the decompressed file, counted from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// So many more bad lines were left out.
    MoreBadLines(u64),
    /// Lines of a kind that this version does not know were left out.
    UnknownKind {
        /// The kind.
        kind: String,
        /// How many lines.
        lines: u64,
    },
    /// The recording was written by a later version of the format.
    NewerMinor(String),
}

impl fmt::Display for ReadNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadNote::NoEnd => f.write_str(
                "the recording ends without saying why: the run was killed or could not write on",
            ),
            ReadNote::TornEnd => {
                f.write_str("the recording breaks off in the middle of a frame; up to the last two seconds of it are missing")
            }
            ReadNote::DamagedFrame => {
                f.write_str("a part of the recording is damaged and was left out")
            }
            ReadNote::BadLine { line, why } => {
                write!(f, "line {line} of the recording was left out: {why}")
            }
            ReadNote::MoreBadLines(count) => write!(f, "{count} more lines were left out"),
            ReadNote::UnknownKind { kind, lines } => {
                write!(f, "{lines} lines of the unknown kind `{kind}` were left out")
            }
            ReadNote::NewerMinor(version) => write!(
                f,
                "the recording has format version {version}, later than {MAJOR}.{MINOR}; what is new in it was left out"
            ),
        }
    }
}

/// Why a file cannot be read as a recording.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file itself cannot be read.
    #[error("cannot read the recording: {0}")]
    Io(#[from] io::Error),
    /// The file is something else.
    #[error("this is no recording: it {0}")]
    NotARecording(&'static str),
    /// The file has another major version of the format.
    #[error(
        "the recording has format version {0}, this kneepoint reads {MAJOR}.x; \
         use the version of kneepoint that wrote it"
    )]
    OtherVersion(String),
    /// A line is longer than any recording has.
    #[error("the recording has a line of more than {limit} MiB; no kneepoint wrote that", limit = frames::MAX_LINE >> 20)]
    LineTooLong,
    /// The measured values would take more memory than a recording may.
    #[error(
        "the recording holds more than {MAX_VALUES} values, which is more than kneepoint keeps in memory; record shorter runs"
    )]
    TooLarge,
}

impl From<FrameError> for ReadError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Io(why) => ReadError::Io(why),
            FrameError::LineTooLong => ReadError::LineTooLong,
        }
    }
}

/// Values that are read at most, each cell of a histogram being one: a day of a thousand series a
/// second fits, and a file made to fill the memory does not.
const MAX_VALUES: u64 = 200_000_000;
/// Bad lines that are told one by one.
const TOLD_BAD_LINES: usize = 10;
/// Unknown kinds that are told one by one.
const TOLD_KINDS: usize = 10;

/// Reads a recording, with what there is to know about its condition.
///
/// # Errors
///
/// When it is not a recording, or one of another major version. Damage inside is a note, and so
/// is a missing end.
pub fn read(mut reader: impl BufRead) -> Result<(Recording, Vec<ReadNote>), ReadError> {
    if let Some(what) = foreign(reader.fill_buf()?) {
        return Err(ReadError::NotARecording(what));
    }
    let mut notes = Vec::new();
    let mut lines = Lines::default();
    frames::for_each_line(reader, &mut notes, |line| lines.take(line))?;
    lines.finish(notes)
}

/// What a file is that cannot be a recording, from its first bytes; `None` where it may be one.
fn foreign(begin: &[u8]) -> Option<&'static str> {
    let text = begin.trim_ascii_start();
    match begin {
        [] => Some("is empty"),
        _ if begin.starts_with(&ZSTD_MAGIC) => None,
        // What a kill in the middle of the very first write leaves.
        _ if ZSTD_MAGIC.starts_with(begin) => Some("breaks off before the first line"),
        [0x1F, 0x8B, ..] => Some("is compressed with gzip, which no recording is"),
        [b'P', b'K', 3, 4, ..] => Some("is a zip archive"),
        _ if begin.starts_with(b"PAR1") => Some("is a Parquet file"),
        _ if begin.starts_with(b"SQLite format 3") => Some("is an SQLite database"),
        _ if text.starts_with(b"{\"type\":\"header\"") => {
            Some("is a decompressed recording; compress it with `zstd` first")
        }
        _ if text.starts_with(b"{") || text.starts_with(b"[") => {
            Some("is plain JSON; results of other tools are read with `kneepoint import`")
        }
        _ if std::str::from_utf8(&begin[..begin.len().min(64)]).is_ok() => Some("is plain text"),
        _ => Some("does not begin as a zstd file does"),
    }
}

/// A series that was declared.
struct Declared {
    key: SeriesKey,
    unit: Unit,
    kind: Kind,
}

/// Puts the lines of a recording together.
#[derive(Default)]
struct Lines {
    recording: Option<Recording>,
    series: BTreeMap<u32, Declared>,
    newer: Option<String>,
    unknown: BTreeMap<String, u64>,
    bad: Vec<ReadNote>,
    bad_lines: u64,
    line: u64,
    values: u64,
}

impl Lines {
    fn take(&mut self, line: &[u8]) -> Result<(), ReadError> {
        self.line += 1;
        if self.recording.is_none() {
            return self.header(line);
        }
        match self.measured(line) {
            // Texts take memory too.
            Ok(values) => self.values += values + line.len() as u64 / 64,
            Err(why) => {
                self.bad_lines += 1;
                if self.bad.len() < TOLD_BAD_LINES {
                    self.bad.push(ReadNote::BadLine { line: self.line, why });
                }
            }
        }
        if self.values > MAX_VALUES { Err(ReadError::TooLarge) } else { Ok(()) }
    }

    fn header(&mut self, line: &[u8]) -> Result<(), ReadError> {
        let format: FormatLine<'_> = serde_json::from_slice(line)
            .map_err(|_| ReadError::NotARecording("does not begin with a header line"))?;
        if format.format != FORMAT {
            return Err(ReadError::NotARecording("names another format in its header"));
        }
        let mut numbers = format.version.split('.').map(str::parse::<u32>);
        let (major, minor) = (numbers.next(), numbers.next());
        if !matches!(major, Some(Ok(MAJOR))) {
            return Err(ReadError::OtherVersion(shown(&format.version)));
        }
        if !matches!(minor, Some(Ok(minor)) if (0..=MINOR).contains(&minor)) {
            self.newer = Some(shown(&format.version));
        }
        let header: HeaderLine<'_> = serde_json::from_slice(line)
            .map_err(|_| ReadError::NotARecording("has a header without plan and environment"))?;
        self.recording = Some(Recording {
            plan: header.plan.into_owned(),
            environment: header.environment.into_owned(),
            timeline: Timeline::default(),
            events: Vec::new(),
            stop: None,
        });
        Ok(())
    }

    /// Takes a line behind the header; gives how many values it holds, or what is wrong with it.
    fn measured(&mut self, line: &[u8]) -> Result<u64, String> {
        fn parsed<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, String> {
            serde_json::from_slice(line).map_err(|why| why.to_string())
        }
        let Some(recording) = self.recording.as_mut() else { return Ok(0) };
        let timeline = &mut recording.timeline;
        let AnyLine { kind } = parsed(line)?;
        match kind.as_ref() {
            "series" => {
                let SeriesLine { id, metric, labels, unit, kind, .. } = parsed(line)?;
                let key = SeriesKey::new(&metric, labels.into_owned());
                self.series.insert(id, Declared { key, unit, kind });
                Ok(1)
            }
            "batch" => {
                let batch = self.series_values(parsed(line)?)?;
                let values = batch.readings.len() as u64 + 1;
                // `self` was needed whole for the names.
                if let Some(recording) = self.recording.as_mut() {
                    recording.timeline.push_batch(batch);
                }
                Ok(values)
            }
            "tick" => {
                let tick = parsed::<TickLine<'_>>(line)?.into_tick();
                let endpoints = tick.endpoints.iter();
                let cells: usize = endpoints
                    .flat_map(|endpoint| [&endpoint.response_time, &endpoint.service_time])
                    .chain([&tick.lateness, &tick.connect_time])
                    .map(Histogram::cells)
                    .sum();
                timeline.ticks.push(tick);
                Ok(cells as u64)
            }
            "stage" => {
                let stage = parsed::<StageLine>(line)?.into_stage();
                match timeline.stages.last_mut() {
                    // Told when it began, and again when it ended otherwise than planned.
                    Some(last) if last.window.begin == stage.window.begin => *last = stage,
                    _ => timeline.stages.push(stage),
                }
                Ok(1)
            }
            "gap" => {
                timeline.gaps.push(parsed::<GapLine<'_>>(line)?.into_gap());
                Ok(1)
            }
            "event" => {
                recording.events.push(parsed::<Event>(line)?);
                Ok(1)
            }
            "end" => {
                recording.stop = Some(parsed::<EndLine<'_>>(line)?.into_stop());
                Ok(1)
            }
            other => {
                let known = self.unknown.contains_key(other);
                if known || self.unknown.len() < TOLD_KINDS {
                    *self.unknown.entry(shown(other)).or_default() += 1;
                }
                Ok(1)
            }
        }
    }

    /// A batch with its values under the names of their series.
    fn series_values(&self, line: BatchLine<'_>) -> Result<Batch, String> {
        let readings = line
            .values
            .into_iter()
            .map(|(id, number)| {
                let series =
                    self.series.get(&id).ok_or_else(|| format!("series {id} is not declared"))?;
                let Declared { key, unit, kind } = series;
                Ok(Reading { key: key.clone(), unit: *unit, kind: *kind, value: number.0 })
            })
            .collect::<Result<_, String>>()?;
        let window = Window::new(line.begin, line.end);
        Ok(Batch { collector: line.collector.into_owned(), window, readings })
    }

    fn finish(self, mut notes: Vec<ReadNote>) -> Result<(Recording, Vec<ReadNote>), ReadError> {
        let mut recording =
            self.recording.ok_or(ReadError::NotARecording("breaks off before the first line"))?;
        if recording.stop.is_none() {
            cut_last_stage(&mut recording.timeline);
        }
        let told = self.bad.len() as u64;
        notes.extend(self.newer.map(ReadNote::NewerMinor));
        notes.extend(self.bad);
        if self.bad_lines > told {
            notes.push(ReadNote::MoreBadLines(self.bad_lines - told));
        }
        let unknown = self.unknown.into_iter();
        notes.extend(unknown.map(|(kind, lines)| ReadNote::UnknownKind { kind, lines }));
        if recording.stop.is_none() {
            notes.push(ReadNote::NoEnd);
        }
        Ok((recording, notes))
    }
}

/// A run that was killed did not hold its last stage to the end that it had announced.
fn cut_last_stage(timeline: &mut Timeline) {
    let Some(told) = timeline.ticks.last().map(|tick| tick.window.end) else { return };
    if let Some(stage) = timeline.stages.last_mut() {
        stage.window = Window::new(stage.window.begin, stage.window.end.min(told));
    }
}

/// A text from the file, short enough and clean enough for a message.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}
