//! The line of an instruction, from the table that CPython keeps with each code object
//! (`Objects/lnotab_notes.txt` and, since 3.11, `Objects/locations.md`).

/// The line of the instruction at `last`, in bytes from the begin of the code. Damaged tables give
/// the line that they have led to.
pub(super) fn line(minor: u32, table: &[u8], first: i32, last: i64) -> u32 {
    let line = match minor {
        ..=9 => before_3_10(table, first, last),
        10 => of_3_10(table, first, last),
        _ => since_3_11(table, first, last),
    };
    u32::try_from(line).unwrap_or(0)
}

/// Pairs: how far the code goes on, then how far the line.
fn before_3_10(table: &[u8], first: i32, last: i64) -> i32 {
    let (mut address, mut line) = (0, first);
    for pair in table.chunks_exact(2) {
        address += i64::from(pair[0]);
        if address > last {
            break;
        }
        line = line.saturating_add(i32::from(pair[1] as i8));
    }
    line
}

/// Pairs: the length of the code, and the line less the one before; -128 is no line.
fn of_3_10(table: &[u8], first: i32, last: i64) -> i32 {
    let (mut end, mut line) = (0, first);
    for pair in table.chunks_exact(2) {
        end += i64::from(pair[0]);
        let step = pair[1] as i8;
        if step != i8::MIN {
            line = line.saturating_add(i32::from(step));
        }
        if end > last {
            break;
        }
    }
    line
}

/// Entries of different lengths, each of which begins with a byte that has the highest bit set.
fn since_3_11(table: &[u8], first: i32, last: i64) -> i32 {
    let (mut end, mut line, mut at) = (0, first, 0);
    while let Some(byte) = table.get(at) {
        let step = match (byte >> 3) & 15 {
            code @ 10..=12 => i32::from(code) - 10,
            13 | 14 => signed(&table[at + 1..]),
            _ => 0,
        };
        line = line.saturating_add(step);
        end += (i64::from(byte & 7) + 1) * 2;
        if end > last {
            break;
        }
        let rest = table[at + 1..].iter().position(|byte| byte & 0x80 != 0);
        match rest {
            Some(length) => at += 1 + length,
            None => break,
        }
    }
    line
}

/// A number in groups of six bits, the lowest first; its lowest bit is the sign.
fn signed(bytes: &[u8]) -> i32 {
    let mut number: u32 = 0;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        number |= u32::from(byte & 63) << (6 * index);
        if byte & 64 == 0 {
            break;
        }
    }
    let value = (number >> 1) as i32;
    if number & 1 == 0 { value } else { -value }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tables of `def f(a):\n  x = g(a)\n  return (x +\n    1)` and of a loop, whose lines
    /// `dis` of each version shows.
    #[test]
    fn lines_follow_the_tables_of_each_version() {
        assert_eq!(line(8, &[0, 1, 8, 1, 4, 1, 254, 255], 1, 9), 3);
        assert_eq!(line(9, &[0, 1, 8, 1], 1, 7), 2);
        assert_eq!(line(10, &[8, 1, 4, 1, 6, 128, 2, 255], 1, 8), 3);
        assert_eq!(line(10, &[8, 1, 4, 1, 6, 128, 2, 255], 1, 19), 2);
        // Two units on line 1 without columns, three on line 2 (short form), two on line 3.
        let table =
            [0x80 | (15 << 3), 0x80 | (11 << 3) | 2, 0, 4, 0x80 | (14 << 3) | 1, 2, 0, 1, 1];
        assert_eq!(line(11, &table, 1, 0), 1);
        assert_eq!(line(11, &table, 1, 2), 2);
        assert_eq!(line(12, &table, 1, 9), 3);
        assert_eq!(line(13, &table, 1, -2), 1);
        assert_eq!(signed(&[0x43, 0x01]), -33);
    }

    #[test]
    fn damaged_tables_are_read_to_their_end_and_no_further() {
        for minor in [8, 10, 11] {
            for byte in 0..=255 {
                let _line = line(minor, &[byte; 7], i32::MAX, i64::MAX);
                let _line = line(minor, &[byte], 1, 0);
            }
        }
    }
}
