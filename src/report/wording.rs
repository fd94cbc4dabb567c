//! How texts read. Numbers read as in the sentences of the diagnosis, so that one stage has one
//! number everywhere in a report.

pub(super) use crate::diagnose::wording::{NOTHING, bytes, cores, list, short_rate, value};
pub(crate) use crate::diagnose::wording::{duration, number, percent, plural, rate};
use crate::timeline::Unit;

/// A value with its unit, or a dash.
pub(super) fn optional(measured: Option<f64>, unit: Unit) -> String {
    measured.map_or_else(|| NOTHING.to_owned(), |measured| value(measured, unit))
}

/// A text from outside, fit for a terminal and for XML: a control character (an escape sequence,
/// a line break) becomes a blank, and so do the marks that turn the direction of writing.
pub(crate) fn clean(text: &str) -> String {
    let unfit = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            || matches!(c, '\u{fffe}' | '\u{ffff}')
    };
    let text: String = text.chars().map(|c| if unfit(c) { ' ' } else { c }).collect();
    text.trim().to_owned()
}

/// The text with a capital at its begin and a full stop at its end, as a sentence stands alone.
pub(super) fn sentence(text: &str) -> String {
    let text = clean(text);
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return String::new() };
    // A name in backticks, a metric or a number keeps its case by not being a lower-case letter
    // followed by a dot or an underscore.
    let mut words = text.split_whitespace();
    let word = words.next().unwrap_or_default();
    // So does the name of a program, which has its address behind it.
    let has_address =
        words.next().is_some_and(|next| next.starts_with('(') && next.contains([':', '/']));
    let is_name =
        has_address || word.trim_end_matches(['.', ',', ':']).contains(['.', '_', '/', '=']);
    let head = if is_name { first.to_string() } else { first.to_uppercase().collect::<String>() };
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{head}{}{end}", chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_from_outside_cannot_drive_a_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\nc\u{202e}d"), "a [31mb c d");
        assert_eq!(sentence("the pool is too small"), "The pool is too small.");
        assert_eq!(sentence("db.sessions is flat"), "db.sessions is flat.");
        let of_service = "mariadbd (127.0.0.1:3306): its CPU is full";
        assert_eq!(sentence(of_service), format!("{of_service}."));
    }
}
