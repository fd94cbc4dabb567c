//! Hides secrets in the text of a plan, so that no printed line shows one.

use std::ops::Range;

use crate::plan::is_secret_name;

/// `text` with `secrets` hidden, and also everything that looks like a secret by its name or place:
/// in a broken text nobody knows what was meant. Every byte keeps its position.
pub(super) fn mask(text: &str, secrets: &[Range<usize>]) -> String {
    let mut hidden = vec![false; text.len()];
    let mut hide = |range: Range<usize>| {
        if let Some(bytes) = hidden.get_mut(range) {
            bytes.fill(true);
        }
    };
    secrets.iter().cloned().for_each(&mut hide);
    let mut begin = 0;
    for line in text.split_inclusive('\n') {
        by_name(line).chain(by_place(line)).for_each(|range| {
            hide(begin + range.start..begin + range.end);
        });
        begin += line.len();
    }
    let mut masked = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        if hidden[at] && !c.is_whitespace() {
            masked.extend(std::iter::repeat_n('*', c.len_utf8()));
        } else {
            masked.push(c);
        }
    }
    masked
}

/// Values of keys whose name says that they are secret: the quoted text, or the rest of the line if
/// the quotes are not closed.
fn by_name(line: &str) -> impl Iterator<Item = Range<usize>> {
    line.match_indices('=').filter_map(move |(at, _)| {
        let before = line[..at].trim_end().trim_end_matches(['"', '\'']);
        let is_part = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
        let name = before.rsplit(|c: char| !is_part(c)).next().unwrap_or_default();
        if !is_secret_name(name) {
            return None;
        }
        let value = at + 1 + (line[at + 1..].len() - line[at + 1..].trim_start().len());
        let quote = line[value..].chars().next().filter(|c| matches!(c, '"' | '\''));
        let closed = quote.and_then(|quote| line[value + 1..].find(quote));
        Some(value..closed.map_or(line.len(), |length| value + 1 + length + 1))
    })
}

/// What stands between `://` and `@`.
fn by_place(line: &str) -> impl Iterator<Item = Range<usize>> {
    line.match_indices("://").filter_map(move |(at, scheme_end)| {
        let begin = at + scheme_end.len();
        let address = line[begin..].split(['"', '\'', ' ']).next().unwrap_or_default();
        address.rfind('@').map(|length| begin..begin + length)
    })
}
