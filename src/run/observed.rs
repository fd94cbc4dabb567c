//! What collectors reported, on its way into the recording.

use std::io::Write;

use crate::collect::Observation;
use crate::recording::{Event, WriteError, Writer};

/// Writes down what a collector reported.
///
/// # Errors
///
/// If the storage fails, the first time.
pub fn record<W: Write>(
    writer: &mut Writer<W>,
    observation: &Observation,
) -> Result<(), WriteError> {
    match observation {
        Observation::Batch(batch) => writer.batch(batch),
        Observation::Gap(gap) => writer.gap(gap),
        Observation::Quote(quote) => writer.quote(quote),
        Observation::Event { at, text } => writer.event(&Event { at: *at, text: text.clone() }),
    }
}
