//! Writes a recording file while the run goes on.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use zstd::Encoder;

use super::lines::{
    BatchLine, EndLine, FORMAT, FailureLine, GapLine, HeaderLine, MAJOR, MINOR, Number, PlanLine,
    QuoteLine, RecordingLine, RefillLine, SeriesLine, StageLine, TickLine,
};
use super::{Environment, Event, PlanSummary, Stop};
use crate::timeline::{
    Batch, FailureKind, Gap, LoadTick, Moment, Quote, Reading, SeriesKey, Stage,
};

/// Waiting lines are written when the first is this old. With one call a second, no line waits
/// longer than two seconds.
const WAIT: Duration = Duration::from_secs(1);
/// Waiting lines are written at this many bytes, however young.
const WAITING_BYTES: usize = 1 << 20;
/// Lines of another recording that make a frame, in bytes: larger frames compress no better.
const COPIED_BYTES: usize = 4 << 20;
/// A frame grows to this share of the run, so that damage costs no more than that. A long frame
/// takes half the space of many short ones, because repetitions compress.
const FRAME_SHARE: f64 = 0.01;
/// Longest frame. Longer ones would hardly be smaller.
const LONGEST_FRAME: Duration = Duration::from_secs(60);
/// Level of compression. It needs a twelfth less space than zstd's default, for 0.1 ms of CPU time
/// per second of load. Higher levels save as much again for several times that.
const LEVEL: i32 = 6;

/// Why a recording could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The storage failed, for example because a disk is full.
    #[error("cannot write the recording: {0}; what is already written can be read")]
    Storage(#[from] io::Error),
    /// The storage failed earlier in the run, which was reported then.
    #[error("the recording is incomplete: writing it failed during the run")]
    Incomplete,
}

/// Writes a recording line by line, in compressed frames that can each be read alone. What is
/// written of a frame can be read before the frame ends.
///
/// It reads no clock: the time comes with each line, and with [`Writer::flush_if_due`].
///
/// It reports a failure once. After that it accepts everything and writes nothing, so that a run
/// can continue without its file, and the torn end stays the last part of the file.
/// [`Writer::finish`] then reports that the recording is incomplete.
///
/// ```
/// use kneepoint::recording::{Environment, PlanSummary, Stop, StopReason, Writer, read};
/// use kneepoint::timeline::Moment;
///
/// let writer = Writer::create(Vec::new(), &PlanSummary::default(), &Environment::default())?;
/// let stop = Stop { at: Moment::from_secs_f64(1.0), reason: StopReason::Completed };
/// let file = writer.finish(&stop)?;
///
/// let (recording, notes) = read(file.as_slice())?;
/// assert_eq!(recording.stop, Some(stop));
/// assert!(notes.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Writer<W: Write> {
    out: W,
    /// The open frame, with its part that is not written yet.
    frame: Option<Encoder<'static, Vec<u8>>>,
    frame_begin: Moment,
    /// Lines that wait to be written.
    lines: Vec<u8>,
    /// Time of the first of them.
    waiting_since: Moment,
    /// Ids of the declared series.
    series: HashMap<SeriesKey, u32>,
    /// Ids of the declared kinds of failures.
    failures: HashMap<Arc<FailureKind>, u32>,
    failed: bool,
}

impl<W: Write> Writer<W> {
    /// Begins a recording with its plan and environment. Writes both at once.
    ///
    /// # Errors
    ///
    /// If they cannot be written.
    pub fn create(
        out: W,
        plan: &PlanSummary,
        environment: &Environment,
    ) -> Result<Self, WriteError> {
        let mut writer = Self::resume(out);
        let header = RecordingLine::Header(HeaderLine {
            format: Cow::Borrowed(FORMAT),
            version: Cow::Owned(format!("{MAJOR}.{MINOR}")),
            plan: Cow::Borrowed(plan),
            environment: Cow::Borrowed(environment),
        });
        writer.push(Moment::START, &header)?;
        writer.hand_over(true)?;
        Ok(writer)
    }

    /// Continues a recording that has ended: `out` stands at the end of its file. It may be given a
    /// load, and an end; series that it has already are declared once more.
    pub fn resume(out: W) -> Self {
        Self {
            out,
            frame: None,
            frame_begin: Moment::START,
            lines: Vec::new(),
            waiting_since: Moment::START,
            series: HashMap::new(),
            failures: HashMap::new(),
            failed: false,
        }
    }

    /// Replaces the plan, where the load became known only after the recording was begun.
    ///
    /// # Errors
    ///
    /// If the storage fails, the first time. The other methods that add lines do the same.
    pub fn plan(&mut self, at: Moment, plan: &PlanSummary) -> Result<(), WriteError> {
        self.add(at, &RecordingLine::Plan(PlanLine { plan: Cow::Borrowed(plan) }))
    }

    /// Adds what a generator reported.
    ///
    /// # Errors
    ///
    /// If the storage fails, the first time. The other methods that add lines do the same.
    pub fn tick(&mut self, tick: &LoadTick) -> Result<(), WriteError> {
        if self.failed {
            return Ok(());
        }
        let at = tick.window.end;
        let mut failures = Vec::with_capacity(tick.failures.len());
        for failure in &tick.failures {
            let id = match self.failures.get(&failure.kind) {
                Some(id) => *id,
                None => self.declare_failure(at, &failure.kind)?,
            };
            failures.push((id, failure.count));
        }
        self.add(at, &RecordingLine::Tick(TickLine::of(tick, failures)))
    }

    /// Adds the readings of a collector, without values that are not finite.
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
            &RecordingLine::Batch(BatchLine {
                collector: Cow::Borrowed(&batch.collector),
                begin: batch.window.begin,
                end: batch.window.end,
                values,
            }),
        )
    }

    /// Adds a reading that is missing.
    pub fn gap(&mut self, gap: &Gap) -> Result<(), WriteError> {
        self.add(gap.window.end, &RecordingLine::Gap(GapLine::of(gap)))
    }

    /// Adds the original words behind a series.
    pub fn quote(&mut self, quote: &Quote) -> Result<(), WriteError> {
        self.add(quote.at, &RecordingLine::Quote(QuoteLine::of(quote)))
    }

    /// Adds a stage.
    pub fn stage(&mut self, stage: &Stage) -> Result<(), WriteError> {
        // A stage is written when it begins. Its end can be far ahead, and the frame must not wait.
        self.add(stage.window.begin, &RecordingLine::Stage(StageLine::of(stage)))
    }

    /// Says that the other generators make the part of one that was `lost`, `from` then on.
    pub fn refill(&mut self, name: &str, lost: Moment, from: Moment) -> Result<(), WriteError> {
        let generator = Cow::Borrowed(name);
        self.add(lost, &RecordingLine::Refill(RefillLine { generator, lost, from }))
    }

    /// Adds something that happened.
    pub fn event(&mut self, event: &Event) -> Result<(), WriteError> {
        self.add(event.at, &RecordingLine::Event(Cow::Borrowed(event)))
    }

    /// Writes lines that have waited for a second. Call it about every second, so that a quiet run
    /// reaches the disk too.
    pub fn flush_if_due(&mut self, now: Moment) -> Result<(), WriteError> {
        let waited = now.since(self.waiting_since);
        if waited < WAIT && self.lines.len() < WAITING_BYTES {
            return Ok(());
        }
        let share = now.since(Moment::START).mul_f64(FRAME_SHARE);
        self.hand_over(now.since(self.frame_begin) >= share.clamp(WAIT, LONGEST_FRAME))
    }

    /// Writes what waits, without an end: what was continued may have had one.
    ///
    /// # Errors
    ///
    /// If it cannot be written, or an earlier write failed.
    pub fn close(mut self) -> Result<W, WriteError> {
        if self.failed {
            return Err(WriteError::Incomplete);
        }
        self.hand_over(true)?;
        Ok(self.out)
    }

    /// Ends the recording and returns the storage.
    ///
    /// # Errors
    ///
    /// If the end cannot be written, or an earlier write failed.
    pub fn finish(mut self, stop: &Stop) -> Result<W, WriteError> {
        if self.failed {
            return Err(WriteError::Incomplete);
        }
        self.push(stop.at, &RecordingLine::End(EndLine::of(stop)))?;
        self.hand_over(true)?;
        Ok(self.out)
    }

    /// Adds a line as another recording has it.
    pub(super) fn line(&mut self, line: &[u8]) -> Result<(), WriteError> {
        self.lines.extend_from_slice(line);
        self.lines.push(b'\n');
        match self.lines.len() < COPIED_BYTES {
            true => Ok(()),
            false => self.hand_over(true),
        }
    }

    /// Declares a series: writes its id, which its values refer to from here on.
    fn declare(
        &mut self,
        at: Moment,
        reading: &Reading,
        collector: &str,
    ) -> Result<u32, WriteError> {
        let id = u32::try_from(self.series.len()).unwrap_or(u32::MAX);
        self.push(
            at,
            &RecordingLine::Series(SeriesLine {
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

    /// Declares a kind of failure: writes its id, which ticks refer to from here on.
    fn declare_failure(&mut self, at: Moment, kind: &Arc<FailureKind>) -> Result<u32, WriteError> {
        let id = u32::try_from(self.failures.len()).unwrap_or(u32::MAX);
        self.push(at, &RecordingLine::Failure(FailureLine::of(id, kind)))?;
        self.failures.insert(Arc::clone(kind), id);
        Ok(id)
    }

    fn add(&mut self, at: Moment, line: &RecordingLine<'_>) -> Result<(), WriteError> {
        if self.failed {
            return Ok(());
        }
        self.push(at, line)?;
        self.flush_if_due(at)
    }

    /// Adds a line to those that wait.
    fn push(&mut self, at: Moment, line: &RecordingLine<'_>) -> Result<(), WriteError> {
        if self.lines.is_empty() {
            self.waiting_since = at;
        }
        // Writing to memory fails only for values that JSON does not have, and a line has none.
        serde_json::to_writer(&mut self.lines, line).map_err(io::Error::from)?;
        self.lines.push(b'\n');
        Ok(())
    }

    /// Writes the waiting lines with one call, so that a full disk cuts off at most these. Closes
    /// the frame if `closes`.
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
