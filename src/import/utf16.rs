//! Text of Windows: PowerShell before version 7 redirects what a tool prints as UTF-16.

use std::io::{self, Read};

/// Bytes that are asked for at a time.
const CHUNK: usize = 8192;

/// Whether bytes begin as UTF-16 with a byte order mark and a character of ASCII, and whether it is
/// big-endian. Binary formats may begin with the mark's bytes too.
pub(super) fn is_big_endian(begin: &[u8]) -> Option<bool> {
    match *begin {
        [0xff, 0xfe, 1..=0x7f, 0, ..] => Some(false),
        [0xfe, 0xff, 0, 1..=0x7f, ..] => Some(true),
        _ => None,
    }
}

/// UTF-16 read as UTF-8, with its byte order mark. What is not a character becomes U+FFFD.
pub(super) struct Utf16<R> {
    inner: R,
    is_big_endian: bool,
    /// A byte without its other half, and a unit without its other half.
    byte: Option<u8>,
    unit: Option<u16>,
    text: Vec<u8>,
    /// How much of `text` was given out.
    taken: usize,
    has_ended: bool,
}

impl<R: Read> Utf16<R> {
    pub(super) fn new(inner: R, is_big_endian: bool) -> Self {
        let (byte, unit, text) = (None, None, Vec::new());
        Self { inner, is_big_endian, byte, unit, text, taken: 0, has_ended: false }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.text.clear();
        self.taken = 0;
        while self.text.is_empty() && !self.has_ended {
            let mut chunk = [0; CHUNK];
            let count = self.inner.read(&mut chunk)?;
            self.has_ended = count == 0;
            let bytes = self.byte.take().into_iter().chain(chunk.into_iter().take(count));
            let mut units: Vec<u16> = self.unit.take().into_iter().collect();
            for byte in bytes {
                match self.byte.take() {
                    None => self.byte = Some(byte),
                    Some(first) if self.is_big_endian => {
                        units.push(u16::from_be_bytes([first, byte]));
                    }
                    Some(first) => units.push(u16::from_le_bytes([first, byte])),
                }
            }
            // The first half of a character above U+FFFF waits for the second.
            if !self.has_ended && units.last().is_some_and(|unit| (0xd800..0xdc00).contains(unit)) {
                self.unit = units.pop();
            }
            let characters = char::decode_utf16(units);
            let text: String =
                characters.map(|it| it.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
            self.text.extend_from_slice(text.as_bytes());
        }
        Ok(())
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.text.len() {
            self.fill()?;
        }
        let count = (&self.text[self.taken..]).read(buffer)?;
        self.taken += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_both_byte_orders_is_read_in_pieces_of_any_size() {
        let text = "\u{feff}購物車 𝄞,1\r\n".repeat(2000);
        for big in [false, true] {
            let order = if big { u16::to_be_bytes } else { u16::to_le_bytes };
            let bytes: Vec<u8> = text.encode_utf16().flat_map(order).collect();
            let whole = io::read_to_string(Utf16::new(&bytes[..], big)).unwrap();
            assert_eq!(whole, text);
            let first = bytes.len() / 2 - bytes.len() / 2 % 2 + 1;
            let halves = bytes[..first].chain(&bytes[first..]);
            assert_eq!(io::read_to_string(Utf16::new(halves, big)).unwrap(), text);
        }
        let half = [b'a', 0, 0x00, 0xd8];
        assert_eq!(io::read_to_string(Utf16::new(&half[..], false)).unwrap(), "a\u{fffd}");
        assert_eq!(is_big_endian(&[0xff, 0xfe, b'a', 0]), Some(false));
        assert_eq!(is_big_endian(&[0xff, 0xfe, 0x03, 0x81]), None);
    }
}
