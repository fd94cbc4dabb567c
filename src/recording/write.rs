//! Writes a recording file while the run goes on.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use super::lines::{
    BatchLine, EndLine, FORMAT, GapLine, HeaderLine, Line, MAJOR, MINOR, Number, SeriesLine,
    StageLine, TickLine,
};
use super::{Environment, Event, PlanSummary, Stop};
use crate::timeline::{Batch, Gap, LoadTick, Moment, Reading, SeriesKey, Stage};

/// A frame is closed when its first line is this old. With a call a second, no line waits for
/// longer than two.
const FRAME_SPAN: Duration = Duration::from_secs(1);
/// A frame is closed at this many bytes of text, however young.
const FRAME_BYTES: usize = 1 << 20;
/// zstd's own default: higher levels save a tenth and cost several times the processor time,
/// which on the generator's machine is load of our own making.
const LEVEL: i32 = 3;

/// Why a recording could not be written on.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The storage failed, as when a disk is full.
    #[error("cannot write the recording: {0}; what was written before stays readable")]
    Storage(#[from] io::Error),
    /// The storage failed earlier in the run, which was told then.
    #[error("the recording is incomplete: writing it failed during the run")]
    Incomplete,
}

/// Writes a recording line by line, in compressed frames that are each readable alone.
///
/// It reads no clock: time comes with what is written and with [`Writer::flush_if_due`].
///
/// A failure is told once. After it the writer takes everything and writes nothing, so that a run
/// can go on without its file and the torn end stays the last thing in it; [`Writer::finish`]
/// then tells that the recording is incomplete.
pub struct Writer<W: Write> {
    out: W,
    compressor: Compressor<'static>,
    /// Lines of the frame that is not closed yet.
    lines: Vec<u8>,
    /// Time of the first of them.
    frame_begin: Moment,
    /// Ids of the series that were declared.
    series: HashMap<SeriesKey, u32>,
    failed: bool,
}

impl<W: Write> Writer<W> {
    /// Begins a recording with what was asked for and where it runs. Both are written at once.
    ///
    /// # Errors
    ///
    /// When the begin cannot be written.
    pub fn create(
        out: W,
        plan: &PlanSummary,
        environment: &Environment,
    ) -> Result<Self, WriteError> {
        let mut compressor = Compressor::new(LEVEL)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        let mut writer = Self {
            out,
            compressor,
            lines: Vec::new(),
            frame_begin: Moment::START,
            series: HashMap::new(),
            failed: false,
        };
        let header = Line::Header(HeaderLine {
            format: Cow::Borrowed(FORMAT),
            version: Cow::Owned(format!("{MAJOR}.{MINOR}")),
            plan: Cow::Borrowed(plan),
            environment: Cow::Borrowed(environment),
        });
        writer.push(Moment::START, &header)?;
        writer.close_frame()?;
        Ok(writer)
    }

    /// Adds what a generator reported.
    ///
    /// # Errors
    ///
    /// As all that add: when the storage fails, the first time.
    pub fn tick(&mut self, tick: &LoadTick) -> Result<(), WriteError> {
        self.add(tick.window.end, &Line::Tick(TickLine::of(tick)))
    }

    /// Adds what a collector read. Values that are not finite are left out.
    pub fn batch(&mut self, batch: &Batch) -> Result<(), WriteError> {
        if self.failed {
            return Ok(());
        }
        let at = batch.window.end;
        let mut values = Vec::with_capacity(batch.readings.len());
        for reading in batch.readings.iter().filter(|reading| reading.value.is_finite()) {
            let id = match self.series.get(&reading.key) {
                Some(id) => *id,
                None => self.declare(at, reading, &batch.collector)?,
            };
            values.push((id, Number(reading.value)));
        }
        self.add(
            at,
            &Line::Batch(BatchLine {
                collector: Cow::Borrowed(&batch.collector),
                begin: batch.window.begin,
                end: batch.window.end,
                values,
            }),
        )
    }

    /// Adds a reading that is missing.
    pub fn gap(&mut self, gap: &Gap) -> Result<(), WriteError> {
        self.add(gap.window.end, &Line::Gap(GapLine::of(gap)))
    }

    /// Adds a stage that was held.
    pub fn stage(&mut self, stage: &Stage) -> Result<(), WriteError> {
        // A stage is told when it begins: its end may lie far ahead, and the frame must not wait.
        self.add(stage.window.begin, &Line::Stage(StageLine::of(stage)))
    }

    /// Adds something that happened.
    pub fn event(&mut self, event: &Event) -> Result<(), WriteError> {
        self.add(event.at, &Line::Event(Cow::Borrowed(event)))
    }

    /// Hands over what has waited for a second. Call it about every second of run time, so that a
    /// quiet run reaches the disk too.
    pub fn flush_if_due(&mut self, now: Moment) -> Result<(), WriteError> {
        let due = now.since(self.frame_begin) >= FRAME_SPAN || self.lines.len() >= FRAME_BYTES;
        if due { self.close_frame() } else { Ok(()) }
    }

    /// Ends the recording and gives the storage back.
    ///
    /// # Errors
    ///
    /// When the end cannot be written, or something could not be written before.
    pub fn finish(mut self, stop: &Stop) -> Result<W, WriteError> {
        if self.failed {
            return Err(WriteError::Incomplete);
        }
        self.push(stop.at, &Line::End(EndLine::of(stop)))?;
        self.close_frame()?;
        Ok(self.out)
    }

    /// Tells readers what the id stands for that the values of a series carry from here on.
    fn declare(
        &mut self,
        at: Moment,
        reading: &Reading,
        collector: &str,
    ) -> Result<u32, WriteError> {
        let id = u32::try_from(self.series.len()).unwrap_or(u32::MAX);
        self.push(
            at,
            &Line::Series(SeriesLine {
                id,
                metric: Cow::Borrowed(&reading.key.metric),
                labels: Cow::Borrowed(&reading.key.labels),
                unit: reading.unit,
                kind: reading.kind,
                collector: Cow::Borrowed(collector),
            }),
        )?;
        self.series.insert(reading.key.clone(), id);
        Ok(id)
    }

    fn add(&mut self, at: Moment, line: &Line<'_>) -> Result<(), WriteError> {
        if self.failed {
            return Ok(());
        }
        self.push(at, line)?;
        self.flush_if_due(at)
    }

    /// Puts a line into the open frame.
    fn push(&mut self, at: Moment, line: &Line<'_>) -> Result<(), WriteError> {
        if self.lines.is_empty() {
            self.frame_begin = at;
        }
        // To memory: fails only for values that JSON cannot hold, and a line has none.
        serde_json::to_writer(&mut self.lines, line).map_err(io::Error::from)?;
        self.lines.push(b'\n');
        Ok(())
    }

    /// Writes the open frame in one piece, so that a full disk tears at most this one.
    fn close_frame(&mut self) -> Result<(), WriteError> {
        if self.failed || self.lines.is_empty() {
            return Ok(());
        }
        let written = self
            .compressor
            .compress(&self.lines)
            .and_then(|frame| self.out.write_all(&frame))
            .and_then(|()| self.out.flush());
        self.lines.clear();
        written.map_err(|why| {
            self.failed = true;
            WriteError::Storage(why)
        })
    }
}
