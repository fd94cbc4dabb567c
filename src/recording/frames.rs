//! Decodes the zstd frames of a recording, as far as they can be decoded.

use std::io::{self, BufRead, Read};
use std::sync::mpsc;
use std::{mem, panic, thread};

use super::ReadNote;

/// Longest line to read. A real line is a thousand times shorter, but a few bytes of compressed
/// zeros could decode to more.
pub(super) const MAX_LINE: usize = 64 << 20;

/// First bytes of a zstd frame (RFC 8878, section 3.1.1).
pub(super) const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// Blocks of decoded lines that can wait.
const AHEAD: usize = 2;

/// Passes every decoded line to `take`, while another thread decodes the next.
///
/// The lines of a frame are passed on once its checksum is verified, except that a frame of more
/// than [`MAX_LINE`] bytes is passed on in parts. A frame that is cut off at the end of the file is
/// passed on as far as it decodes. A damaged frame is skipped, and reading continues at the next
/// one.
///
/// # Errors
///
/// Those of the reader and of `take`, and a line beyond [`MAX_LINE`].
pub(super) fn for_each_line<E: From<FrameError>>(
    reader: impl BufRead + Send,
    mut take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<Vec<ReadNote>, E> {
    let (give, blocks) = mpsc::sync_channel(AHEAD);
    thread::scope(|scope| {
        let decoding = scope.spawn(move || {
            let mut notes = Vec::new();
            // If `take` failed, nobody receives blocks any more, and its error is the result.
            decode(reader, &mut notes, |block| give.send(block).is_ok()).map(|()| notes)
        });
        for block in blocks {
            let lines = block.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            lines.into_iter().try_for_each(&mut take)?;
        }
        let decoded = decoding.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked));
        Ok(decoded?)
    })
}

/// Decodes frame by frame, and passes on blocks of whole lines until nobody receives them.
fn decode(
    mut reader: impl BufRead,
    notes: &mut Vec<ReadNote>,
    mut give: impl FnMut(Vec<u8>) -> bool,
) -> Result<(), FrameError> {
    let mut text = Vec::new();
    // The magic number of the next frame, where looking for it has read past it.
    let mut magic: &[u8] = &[];
    while !magic.is_empty() || !reader.fill_buf()?.is_empty() {
        // What an earlier frame left is the begin of a line that this one may end.
        let carried = text.len();
        let input = magic.chain(&mut reader);
        let mut decoder = zstd::Decoder::with_buffer(input)?.single_frame();
        magic = &[];
        match decode_frame(&mut decoder, &mut text, &mut give)? {
            FrameEnd::Whole => {
                if !give_lines(&mut text, &mut give) {
                    return Ok(());
                }
            }
            FrameEnd::Torn => {
                give_lines(&mut text, &mut give);
                notes.push(ReadNote::TornEnd);
                return Ok(());
            }
            FrameEnd::Unwanted => return Ok(()),
            FrameEnd::Damaged => {
                text.truncate(carried);
                notes.push(ReadNote::DamagedFrame);
                if !skip_past_magic(&mut reader)? {
                    break;
                }
                magic = &ZSTD_MAGIC;
            }
        }
    }
    if !text.is_empty() {
        notes.push(ReadNote::TornEnd);
    }
    Ok(())
}

/// Why decoding failed.
#[derive(Debug)]
pub(super) enum FrameError {
    Io(io::Error),
    LineTooLong,
}

impl From<io::Error> for FrameError {
    fn from(why: io::Error) -> Self {
        FrameError::Io(why)
    }
}

enum FrameEnd {
    Whole,
    Torn,
    Damaged,
    /// Nobody receives its lines.
    Unwanted,
}

fn decode_frame(
    decoder: &mut impl Read,
    text: &mut Vec<u8>,
    give: &mut impl FnMut(Vec<u8>) -> bool,
) -> Result<FrameEnd, FrameError> {
    let mut chunk = vec![0; 64 << 10];
    loop {
        match decoder.read(&mut chunk) {
            Ok(0) => return Ok(FrameEnd::Whole),
            Ok(length) => text.extend_from_slice(&chunk[..length]),
            Err(why) => match why.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::UnexpectedEof => return Ok(FrameEnd::Torn),
                // The decoder's own errors have no kind; those of a disk have one.
                io::ErrorKind::Other => return Ok(FrameEnd::Damaged),
                _ => return Err(why.into()),
            },
        }
        if text.len() > MAX_LINE {
            if !give_lines(text, give) {
                return Ok(FrameEnd::Unwanted);
            }
            if text.len() > MAX_LINE {
                return Err(FrameError::LineTooLong);
            }
        }
    }
}

/// Passes on all whole lines and keeps the beginning of the next; false if nobody receives them.
fn give_lines(text: &mut Vec<u8>, give: &mut impl FnMut(Vec<u8>) -> bool) -> bool {
    let Some(last) = text.iter().rposition(|byte| *byte == b'\n') else { return true };
    let next = text.split_off(last + 1);
    give(mem::replace(text, next))
}

/// Reads past the next four bytes that look like the begin of a frame, and says whether there
/// were any.
fn skip_past_magic(reader: &mut impl BufRead) -> io::Result<bool> {
    let mut matched = 0;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(false);
        }
        // Byte by byte, because a magic number may straddle two buffers. Its first byte does not
        // come again in it, so a mismatch can begin a match with this byte only.
        let mut used = 0;
        for byte in buffer {
            used += 1;
            let begins = usize::from(*byte == ZSTD_MAGIC[0]);
            matched = if *byte == ZSTD_MAGIC[matched] { matched + 1 } else { begins };
            if matched == ZSTD_MAGIC.len() {
                break;
            }
        }
        reader.consume(used);
        if matched == ZSTD_MAGIC.len() {
            return Ok(true);
        }
    }
}
