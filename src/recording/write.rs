//! Writes a recording file while the run goes on.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

use zstd::Encoder;

use super::lines::{
    BatchLine, EndLine, FORMAT, GapLine, HeaderLine, Line, MAJOR, MINOR, Number, SeriesLine,
    StageLine, TickLine,
};
use super::{Environment, Event, PlanSummary, Stop};
use crate::timeline::{Batch, Gap, LoadTick, Moment, Reading, SeriesKey, Stage};

/// What waits is handed over when its first line is this old. With a call a second, no line waits
/// for longer than two.
const WAIT: Duration = Duration::from_secs(1);
/// It is handed over at this many bytes of text, however young.
const WAITING_BYTES: usize = 1 << 20;
/// A frame grows until this share of the run is in it, so that damage costs no more than that; a
/// long frame takes half the room of many short ones, because what comes again is named by where
/// it came before.
const FRAME_SHARE: f64 = 0.01;
/// No frame is longer: behind this there is little left to gain.
const LONGEST_FRAME: Duration = Duration::from_secs(60);
/// A twelfth less room than zstd's own default, for a tenth of a millisecond of processor time a
/// second of load; higher levels save as much again for several times that.
const LEVEL: i32 = 6;

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

/// Writes a recording line by line, in compressed frames that are each readable alone. What is
/// handed over of a frame can be read before its end has come.
///
/// It reads no clock: time comes with what is written and with [`Writer::flush_if_due`].
///
/// A failure is told once. After it the writer takes everything and writes nothing, so that a run
/// can go on without its file and the torn end stays the last thing in it; [`Writer::finish`]
/// then tells that the recording is incomplete.
pub struct Writer<W: Write> {
    out: W,
    /// The frame that is not closed yet, and what of it is not handed over.
    frame: Option<Encoder<'static, Vec<u8>>>,
    frame_begin: Moment,
    /// Lines that wait.
    lines: Vec<u8>,
    /// Time of the first of them.
    waiting_since: Moment,
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
        let mut writer = Self {
            out,
            frame: None,
            frame_begin: Moment::START,
            lines: Vec::new(),
            waiting_since: Moment::START,
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
        writer.hand_over(true)?;
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
        let waited = now.since(self.waiting_since);
        if waited < WAIT && self.lines.len() < WAITING_BYTES {
            return Ok(());
        }
        let share = now.since(Moment::START).mul_f64(FRAME_SHARE);
        self.hand_over(now.since(self.frame_begin) >= share.clamp(WAIT, LONGEST_FRAME))
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
        self.hand_over(true)?;
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
            self.waiting_since = at;
        }
        // To memory: fails only for values that JSON cannot hold, and a line has none.
        serde_json::to_writer(&mut self.lines, line).map_err(io::Error::from)?;
        self.lines.push(b'\n');
        Ok(())
    }

    /// Writes what waits in one piece, so that a full disk tears at most this, and closes the
    /// frame with it or leaves it open for more.
    fn hand_over(&mut self, closes: bool) -> Result<(), WriteError> {
        if self.failed || self.lines.is_empty() {
            return Ok(());
        }
        let written = self.compress(closes).and_then(|bytes| {
            self.out.write_all(&bytes)?;
            self.out.flush()
        });
        self.lines.clear();
        written.map_err(|why| {
            self.failed = true;
            WriteError::Storage(why)
        })
    }

    fn compress(&mut self, closes: bool) -> io::Result<Vec<u8>> {
        let mut frame = match self.frame.take() {
            Some(frame) => frame,
            None => {
                self.frame_begin = self.waiting_since;
                let mut frame = Encoder::new(Vec::new(), LEVEL)?;
                frame.include_checksum(true)?;
                frame
            }
        };
        frame.write_all(&self.lines)?;
        if closes {
            return frame.finish();
        }
        frame.flush()?;
        let bytes = std::mem::take(frame.get_mut());
        self.frame = Some(frame);
        Ok(bytes)
    }
}
