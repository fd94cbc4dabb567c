//! The kernel's own log, `/dev/kmsg` (Documentation/ABI/testing/dev-kmsg of the kernel).

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

use super::split::Lines;
use crate::collect::OpenError;

const PATH: &str = "/dev/kmsg";
/// The longest record.
const MOST_RECORD: usize = 8 << 10;
/// Records of one look; the rest waits for the next.
const MOST_PER_LOOK: usize = 10_000;

/// The kernel's log from now on.
pub(super) struct KernelLog {
    file: File,
    buffer: Vec<u8>,
}

impl KernelLog {
    /// Opens the log and goes to its end.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn open() -> Result<Self, OpenError> {
        let opened = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(PATH);
        let opened = opened.and_then(|mut file| {
            file.seek(SeekFrom::End(0))?;
            // Reading needs a right of its own.
            match file.read(&mut [0; MOST_RECORD]) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
                _ => Ok(file),
            }
        });
        let file = opened.map_err(|error| {
            OpenError::new(
                format!("cannot read the kernel's log `{PATH}`: {error}"),
                "run kneepoint as root (or with CAP_SYSLOG) outside of a container, or take \
                 `kernel` out of [collect.logs]",
            )
        })?;
        Ok(Self { file, buffer: vec![0; MOST_RECORD] })
    }

    /// Reads what is new. Returns what a reader should know.
    pub(super) fn read(&mut self, lines: &mut Lines<impl FnMut(&[u8])>) -> Option<String> {
        let mut news = None;
        for _ in 0..MOST_PER_LOOK {
            match self.file.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(length) => {
                    if let Some(line) = message(&self.buffer[..length]) {
                        lines.line(&line);
                    }
                }
                Err(error) => match (error.kind(), error.raw_os_error()) {
                    // Records were overwritten before they were read.
                    (_, Some(libc::EPIPE)) => {
                        news = Some("some records came too fast and are lost".to_owned());
                    }
                    (io::ErrorKind::Interrupted, _) => {}
                    (io::ErrorKind::WouldBlock, _) => break,
                    _ => return Some(format!("cannot be read any more: {error}")),
                },
            }
        }
        news
    }
}

/// The message of a record with its level as a word: `6,1234,5678,-;text`, then lines of fields.
fn message(record: &[u8]) -> Option<Vec<u8>> {
    let at = record.iter().position(|byte| *byte == b';')?;
    let priority =
        std::str::from_utf8(&record[..at]).ok()?.split(',').next()?.parse::<u32>().ok()?;
    let text = record[at + 1..].split(|byte| *byte == b'\n').next()?;
    // The lowest three bits are the level of syslog(3), the rest its facility.
    let level = match priority & 7 {
        0..=3 => "error",
        4 => "warning",
        5 | 6 => "info",
        _ => "debug",
    };
    Some([b"[", level.as_bytes(), b"] ", text].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_becomes_a_line_with_its_level() {
        let record = b"3,2061,98765,-;Out of memory: Killed process 42 (shop)\n SUBSYSTEM=x\n";
        assert_eq!(message(record).unwrap(), b"[error] Out of memory: Killed process 42 (shop)");
        let flood = b"14,7,9,c;TCP: Possible SYN flooding on port 80. Sending cookies.\n";
        assert!(message(flood).unwrap().starts_with(b"[info] TCP: Possible"));
        assert_eq!(message(b"garbage"), None);
        assert_eq!(message(b"x,1;text"), None);
    }
}
