//! Lines of bounded length from a stream that may carry anything.

use std::io::{self, BufRead};

/// One line of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// The bytes, without their end.
    Whole(Vec<u8>),
    /// It was longer than allowed, and is left out.
    TooLong,
    /// The stream has ended. What it had begun to write is left out.
    End,
}

/// Reads up to the next end of a line, and keeps at most `limit` bytes of it. `begun` sees what has
/// come of a line that has not ended yet: a prompt never ends its line.
pub(super) fn read_line(
    stream: &mut impl BufRead,
    limit: usize,
    mut begun: impl FnMut(&[u8]),
) -> io::Result<Line> {
    let mut line = Vec::new();
    let mut too_long = false;
    loop {
        let buffer = match stream.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if buffer.is_empty() {
            return Ok(Line::End);
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let part = &buffer[..end.unwrap_or(buffer.len())];
        too_long |= line.len() + part.len() > limit;
        if too_long {
            line = Vec::new();
        } else {
            line.extend_from_slice(part);
        }
        let taken = part.len() + usize::from(end.is_some());
        stream.consume(taken);
        if end.is_some() {
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            return Ok(if too_long { Line::TooLong } else { Line::Whole(line) });
        }
        begun(&line);
    }
}

/// The beginning of a text that somebody else wrote, without control characters, for a message.
pub(super) fn shown(text: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(text);
    let clean: String = text.chars().filter(|c| !c.is_control()).collect();
    let clean = clean.trim();
    match clean.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &clean[..at]),
        None => clean.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    #[test]
    fn lines_are_bounded_and_a_torn_one_is_left_out() {
        let text = b"one\r\n\n123456789\ntwo\nhalf".as_slice();
        // However the stream comes in parts.
        for capacity in [1, 3, 64] {
            let mut stream = BufReader::with_capacity(capacity, text);
            let mut lines = Vec::new();
            loop {
                match read_line(&mut stream, 8, |_| {}).unwrap() {
                    Line::End => break,
                    line => lines.push(line),
                }
            }
            let whole = |text: &str| Line::Whole(text.as_bytes().to_vec());
            assert_eq!(lines, [whole("one"), whole(""), Line::TooLong, whole("two")]);
        }
    }

    #[test]
    fn the_beginning_of_a_line_is_seen_before_its_end() {
        let mut seen = Vec::new();
        let mut stream = BufReader::new(b"$ ".as_slice());
        let line = read_line(&mut stream, 8, |begun| seen.push(begun.to_vec())).unwrap();
        assert_eq!((line, seen), (Line::End, vec![b"$ ".to_vec()]));
    }

    #[test]
    fn foreign_text_is_shown_short_and_without_control_characters() {
        assert_eq!(shown(b"\x1b[31mhello\xff", 20), "[31mhello\u{fffd}");
        assert_eq!(shown("äöü and more".as_bytes(), 5), "äöü a…");
    }
}
