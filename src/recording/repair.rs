//! Makes a recording that was cut off whole again, so that something can be added to it.

use std::io::{BufRead, Write as _};

use zstd::stream::write::Encoder;

use super::frames;
use super::read::ReadError;

/// Level of compression: the file is written once, and soon.
const LEVEL: i32 = 3;

/// The lines of a recording that can be read, as a file that ends with a whole frame.
/// [`Writer::resume`](super::Writer::resume) continues it.
///
/// # Errors
/// If it cannot be read, or has a line that is too long.
pub fn whole_lines(reader: impl BufRead + Send) -> Result<Vec<u8>, ReadError> {
    let mut encoder = Encoder::new(Vec::new(), LEVEL)?;
    encoder.include_checksum(true)?;
    frames::for_each_line(reader, |line| -> Result<(), ReadError> {
        encoder.write_all(line)?;
        encoder.write_all(b"\n")?;
        Ok(())
    })?;
    Ok(encoder.finish()?)
}
