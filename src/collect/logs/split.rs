//! Splits bytes that arrive in pieces into lines.

/// Longest line; what follows of a longer one is left out.
const MOST_LINE: usize = 16 << 10;

/// Gives whole lines to a function.
pub(super) struct Lines<F> {
    take: F,
}

/// The begin of a line whose end has not arrived.
#[derive(Debug, Default)]
pub(super) struct Rest {
    bytes: Vec<u8>,
    /// Whether more than [`MOST_LINE`] of it have arrived.
    is_cut: bool,
}

impl Rest {
    /// Forgets the line.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.is_cut = false;
    }
}

impl<F: FnMut(&[u8])> Lines<F> {
    pub(super) fn new(take: F) -> Self {
        Self { take }
    }

    /// One whole line, without its end.
    pub(super) fn line(&mut self, line: &[u8]) {
        if !line.is_empty() {
            (self.take)(&line[..line.len().min(MOST_LINE)]);
        }
    }

    /// A piece of a text: `rest` holds what has no end yet.
    pub(super) fn piece(&mut self, rest: &mut Rest, piece: &[u8]) {
        let mut left = piece;
        while let Some(end) = left.iter().position(|byte| *byte == b'\n') {
            let line = &left[..end];
            left = &left[end + 1..];
            if rest.bytes.is_empty() && !rest.is_cut {
                self.line(line);
                continue;
            }
            rest.append(line);
            let whole = std::mem::take(&mut rest.bytes);
            self.line(&whole);
            rest.bytes = whole;
            rest.clear();
        }
        rest.append(left);
    }
}

impl Rest {
    fn append(&mut self, bytes: &[u8]) {
        let room = MOST_LINE - self.bytes.len().min(MOST_LINE);
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.is_cut |= bytes.len() > room;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        let mut rest = Rest::default();
        let mut splits = Lines::new(|line: &[u8]| lines.push(line.to_vec()));
        pieces.iter().for_each(|piece| splits.piece(&mut rest, piece));
        lines
    }

    #[test]
    fn lines_come_whole_however_they_arrive() {
        let expected = vec![b"one".to_vec(), b"two".to_vec(), b"three".to_vec()];
        assert_eq!(split(&[b"one\ntwo\n\nthree\nfou"]), expected);
        assert_eq!(split(&[b"o", b"ne\ntw", b"o", b"\n", b"three\n"]), expected);
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let long = vec![b'x'; 3 * MOST_LINE];
        let mut rest = Rest::default();
        let mut lines = Vec::new();
        let mut splits = Lines::new(|line: &[u8]| lines.push(line.len()));
        for _ in 0..100 {
            splits.piece(&mut rest, &long);
        }
        assert!(rest.bytes.capacity() <= 2 * MOST_LINE);
        splits.piece(&mut rest, b"end\nnext\n");
        assert_eq!(lines, [MOST_LINE, 4]);
    }
}
