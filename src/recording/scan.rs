//! Reads batch lines in exactly the form that the writer gives them. They are most of the text of a
//! long recording, and this takes a third of the time of a JSON parser. Any other form goes to the
//! JSON parser.

use crate::timeline::{Moment, Window};

/// Digits of a whole number that a float always holds exactly.
const EXACT_DIGITS: usize = 15;

/// The part of a batch line before its values.
pub(super) struct BatchHead<'a> {
    pub(super) collector: &'a str,
    pub(super) window: Window,
}

/// Splits a batch line. Puts its values, with the ids of their series, into `values`; `None` if it
/// does not have the writer's form.
pub(super) fn batch<'a>(line: &'a [u8], values: &mut Vec<(u32, f64)>) -> Option<BatchHead<'a>> {
    values.clear();
    let rest = line.strip_prefix(br#"{"type":"batch","collector":""#)?;
    let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    let (collector, rest) = rest.split_at(end);
    let (begin, rest) = whole(rest.strip_prefix(br#"","begin":"#)?)?;
    let (end, mut rest) = whole(rest.strip_prefix(br#","end":"#)?)?;
    rest = rest.strip_prefix(br#","values":["#)?;
    while let Some(pair) = rest.strip_prefix(b"[") {
        let (id, value) = whole(pair)?;
        let (value, behind) = number(value.strip_prefix(b",")?)?;
        values.push((u32::try_from(id).ok()?, value));
        rest = behind.strip_prefix(b"]")?;
        match rest.split_first()? {
            (b',', next) if next.first() == Some(&b'[') => rest = next,
            (b']', _) => break,
            _ => return None,
        }
    }
    let collector = std::str::from_utf8(collector).ok()?;
    // A control character is an error in JSON.
    let clean = !collector.contains(|c: char| c.is_control());
    let window = Window::new(Moment::from_nanos(begin), Moment::from_nanos(end));
    (clean && rest == b"]}").then_some(BatchHead { collector, window })
}

/// A whole number, zero or more, and the text after it.
fn whole(text: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0u64;
    let mut digits = 0;
    while let Some(digit @ b'0'..=b'9') = text.get(digits) {
        number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        digits += 1;
    }
    (digits > 0).then(|| (number, &text[digits..]))
}

/// A number, and the text after it.
fn number(text: &[u8]) -> Option<(f64, &[u8])> {
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let mut digits = 0;
    let mut number = 0u64;
    while let (Some(digit @ b'0'..=b'9'), 0..EXACT_DIGITS) = (unsigned.get(digits), digits) {
        number = number * 10 + u64::from(digit - b'0');
        digits += 1;
    }
    if digits == 0 {
        return None;
    }
    if let Some(b']') = unsigned.get(digits) {
        let value = number as f64;
        let value = if unsigned.len() < text.len() { -value } else { value };
        return Some((value, &unsigned[digits..]));
    }
    let end = text.iter().position(|byte| *byte == b']')?;
    let (number, rest) = text.split_at(end);
    let in_form =
        number.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E'));
    let value = std::str::from_utf8(number).ok().filter(|_| in_form)?.parse::<f64>().ok()?;
    value.is_finite().then_some((value, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(line: &str) -> Option<(String, Vec<(u32, f64)>)> {
        let mut values = Vec::new();
        let head = batch(line.as_bytes(), &mut values)?;
        assert_eq!(head.window.begin.nanos(), 5);
        Some((head.collector.to_owned(), values))
    }

    fn line(collector: &str, values: &str) -> String {
        format!(
            r#"{{"type":"batch","collector":"{collector}","begin":5,"end":18,"values":[{values}]}}"#
        )
    }

    #[test]
    fn the_writers_form_is_read_and_any_other_left() {
        let (name, values) = read(&line("tcp é", "[0,1],[7,-2.5],[3,1e300]")).unwrap();
        assert_eq!((name.as_str(), values), ("tcp é", vec![(0, 1.0), (7, -2.5), (3, 1e300)]));
        assert_eq!(read(&line("host", "")).unwrap().1, []);
        let others = [
            "[0,1],",
            "[0,1]]",
            "[0,]",
            "[0,1e999]",
            "[0,nan]",
            "[-1,2]",
            "[0,1][1,2]",
            "[4294967296,1]",
            " [0,1]",
        ];
        for other in others {
            assert_eq!(read(&line("host", other)), None, "{other}");
        }
        assert_eq!(read(&line("a\\n", "[0,1]")), None);
        assert_eq!(read(&format!("{} ", line("host", "[0,1]"))), None);
        assert_eq!(read(r#"{"collector":"host","type":"batch"}"#), None);
    }

    proptest! {
        #[test]
        fn a_number_is_what_json_makes_of_it(value: f64, whole: i64) {
            prop_assume!(value.is_finite());
            for value in [value, whole as f64, (whole % 1_000_000) as f64 / 64.0] {
                let text = serde_json::to_string(&value).unwrap() + "]";
                let (got, rest) = number(text.as_bytes()).unwrap();
                prop_assert_eq!(got.to_bits(), value.to_bits());
                prop_assert_eq!(rest, b"]");
            }
            let text = format!("{whole}]");
            let expected: f64 = serde_json::from_str(&whole.to_string()).unwrap();
            prop_assert_eq!(number(text.as_bytes()).map(|it| it.0), Some(expected));
        }
    }
}
