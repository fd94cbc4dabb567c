//! Reads a recording file, even if it is cut off or damaged.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::sync::Arc;

use serde::Deserialize;

use super::frames::{self, FrameError, ZSTD_MAGIC};
use super::lines::{
    AnyLine, EndLine, FORMAT, FailureKinds, FailureLine, FormatLine, GapLine, HeaderLine, MAJOR,
    MINOR, PlanLine, QuoteLine, StageLine, TickLine,
};
use super::timeline_builder::TimelineBuilder;
use super::{Event, ReadNote, Recording};
use crate::timeline::{Timeline, Window};

/// Why a file cannot be read as a recording.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file itself cannot be read.
    #[error("cannot read the recording: {0}")]
    Io(#[from] io::Error),
    /// The file is something else.
    #[error("this is not a recording: it {0}")]
    NotARecording(&'static str),
    /// The file has another major version of the format.
    #[error(
        "the recording has format version {0}, and this kneepoint reads {MAJOR}.x; \
         use the version of kneepoint that wrote it"
    )]
    OtherVersion(String),
    /// A line is longer than any recording has.
    #[error("the recording has a line of more than {limit} MiB; kneepoint never writes such a line", limit = frames::MAX_LINE >> 20)]
    LineTooLong,
    /// The measured values would take more memory than a recording may.
    #[error(
        "the recording has more than {MAX_VALUES} values, more than kneepoint keeps in memory; record a shorter run"
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

/// Values to keep, at most; each cell of a histogram is one. A thousand series fit, however long
/// the run. A file that was made to fill the memory does not.
const MAX_VALUES: u64 = 200_000_000;
/// Invalid lines that are reported one by one.
const TOLD_BAD_LINES: usize = 10;
/// Unknown kinds that are reported one by one.
const TOLD_KINDS: usize = 10;

/// Reads a recording, with notes on its condition.
///
/// # Errors
///
/// If it is not a recording, or has another major version. Damage inside is a note, and so is a
/// missing end.
pub fn read(mut reader: impl BufRead + Send) -> Result<(Recording, Vec<ReadNote>), ReadError> {
    if let Some(what) = foreign(reader.fill_buf()?) {
        return Err(ReadError::NotARecording(what));
    }
    let mut lines = LineReader::new();
    let notes = frames::for_each_line(reader, |line| lines.take(line))?;
    lines.finish(notes)
}

/// What a file is instead of a recording, from its first bytes; `None` if it may be a recording.
fn foreign(begin: &[u8]) -> Option<&'static str> {
    let text = begin.trim_ascii_start();
    match begin {
        [] => Some("is empty"),
        _ if begin.starts_with(&ZSTD_MAGIC) => None,
        // The run was killed during the very first write.
        _ if ZSTD_MAGIC.starts_with(begin) => Some("is cut off before the first line"),
        [0x1F, 0x8B, ..] => {
            Some("is compressed with gzip, and a recording is compressed with zstd")
        }
        [b'P', b'K', 3, 4, ..] => Some("is a zip archive"),
        _ if begin.starts_with(b"PAR1") => Some("is a Parquet file"),
        _ if begin.starts_with(b"SQLite format 3") => Some("is an SQLite database"),
        _ if text.starts_with(b"{\"type\":\"header\"") => {
            Some("is a decompressed recording; compress it with `zstd` first")
        }
        _ if text.starts_with(b"{") || text.starts_with(b"[") => {
            Some("is plain JSON; for results of another load tool, use `kneepoint import`")
        }
        _ if std::str::from_utf8(&begin[..begin.len().min(64)]).is_ok() => Some("is plain text"),
        _ => Some("does not begin like a zstd file"),
    }
}

/// How the writer begins the line of a tick. Such a line needs no parsing to know its kind.
const TICK_BEGINS: &[u8] = br#"{"type":"tick","#;

/// Builds a recording from its lines.
struct LineReader {
    recording: Option<Recording>,
    gather: TimelineBuilder,
    failures: FailureKinds,
    newer: Option<String>,
    unknown: BTreeMap<String, u64>,
    bad: Vec<ReadNote>,
    bad_lines: u64,
    line: u64,
    /// Memory for the text of the other lines, in values of eight bytes.
    texts: u64,
}

impl LineReader {
    fn new() -> Self {
        Self {
            recording: None,
            gather: TimelineBuilder::new(),
            failures: FailureKinds::new(),
            newer: None,
            unknown: BTreeMap::new(),
            bad: Vec::new(),
            bad_lines: 0,
            line: 0,
            texts: 0,
        }
    }

    fn take(&mut self, line: &[u8]) -> Result<(), ReadError> {
        self.line += 1;
        if self.recording.is_none() {
            return self.header(line);
        }
        if let Err(why) = self.measured(line) {
            self.bad_lines += 1;
            if self.bad.len() < TOLD_BAD_LINES {
                self.bad.push(ReadNote::BadLine { line: self.line, why });
            }
        }
        let kept = self.gather.kept() + self.texts;
        if kept > MAX_VALUES { Err(ReadError::TooLarge) } else { Ok(()) }
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
        let environment = header.environment.into_owned();
        let mut timeline = Timeline::default();
        self.gather.merge(&mut timeline, environment.generator_names());
        self.recording = Some(Recording {
            plan: header.plan.into_owned(),
            environment,
            timeline,
            events: Vec::new(),
            stop: None,
        });
        Ok(())
    }

    /// Takes a line after the header.
    ///
    /// # Errors
    ///
    /// What is wrong with the line.
    fn measured(&mut self, line: &[u8]) -> Result<(), String> {
        fn parsed<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, String> {
            serde_json::from_slice(line).map_err(|why| why.to_string())
        }
        let Some(recording) = self.recording.as_mut() else { return Ok(()) };
        let timeline = &mut recording.timeline;
        if self.gather.scan(timeline, line)? {
            return Ok(());
        }
        let kind = match line.starts_with(TICK_BEGINS) {
            true => Cow::Borrowed("tick"),
            false => parsed::<AnyLine<'_>>(line)?.kind,
        };
        match kind.as_ref() {
            "batch" => return self.gather.batch(timeline, &parsed(line)?),
            "tick" => {
                let tick = parsed::<TickLine<'_>>(line)?.into_tick(&self.failures)?;
                self.gather.tick(timeline, tick);
                return Ok(());
            }
            "failure" => {
                let line = parsed::<FailureLine<'_>>(line)?;
                self.failures.insert(line.id, Arc::new(line.into_kind()));
            }
            "plan" => recording.plan = parsed::<PlanLine<'_>>(line)?.plan.into_owned(),
            "series" => self.gather.declare(timeline, parsed(line)?),
            "stage" => {
                let stage = parsed::<StageLine>(line)?.into_stage();
                match timeline.stages.last_mut() {
                    // Written when it began, and again when it ended.
                    Some(last) if last.window.begin == stage.window.begin => *last = stage,
                    _ => timeline.stages.push(stage),
                }
            }
            "refill" => self.gather.refill(timeline, &parsed(line)?)?,
            "gap" => timeline.gaps.push(parsed::<GapLine<'_>>(line)?.into_gap()),
            "quote" => timeline.quotes.push(parsed::<QuoteLine<'_>>(line)?.into_quote()),
            "event" => recording.events.push(parsed::<Event>(line)?),
            "end" => recording.stop = Some(parsed::<EndLine<'_>>(line)?.into_stop()),
            other => {
                let known = self.unknown.contains_key(other);
                if known || self.unknown.len() < TOLD_KINDS {
                    *self.unknown.entry(shown(other)).or_default() += 1;
                }
            }
        }
        self.texts += 1 + line.len() as u64 / 8;
        Ok(())
    }

    fn finish(mut self, mut notes: Vec<ReadNote>) -> Result<(Recording, Vec<ReadNote>), ReadError> {
        let mut recording =
            self.recording.ok_or(ReadError::NotARecording("is cut off before the first line"))?;
        self.gather.finish(&mut recording.timeline);
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

/// A killed run did not hold its last stage to its planned end.
fn cut_last_stage(timeline: &mut Timeline) {
    let Some(told) = timeline.ticks.last().map(|tick| tick.window.end) else { return };
    if let Some(stage) = timeline.stages.last_mut() {
        stage.window = Window::new(stage.window.begin, stage.window.end.min(told));
    }
}

/// A text from the file, shortened and without control characters, for a message.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}
