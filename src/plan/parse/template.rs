//! Texts with values in them: `/product/{id}`.

use std::ops::Range;

use super::names::KnownNames;
use super::walk::{TextPart, Value, Walk};
use crate::plan::{Secret, Segment, Template};

/// Reads a template whose names must be among `names`.
pub(super) fn read(
    walk: &Walk<'_>,
    value: &Value<'_>,
    what: &str,
    names: &KnownNames<'_>,
) -> Option<Template> {
    let Some(raw) = value.get_ref().as_str() else {
        // Only for its message.
        walk.text(value, what);
        return None;
    };
    let mut segments = Vec::new();
    let mut whole = true;
    for piece in walk.pieces(raw, value.span()) {
        match piece {
            TextPart::Variable(secret) => segments.push(Segment::Hidden(Secret::new(secret))),
            TextPart::Plain(begin, plain) => {
                let place = |part: Range<usize>| {
                    walk.inside(raw, &value.span(), begin + part.start..begin + part.end)
                };
                whole &= read_plain(walk, &plain, place, names, &mut segments);
            }
        }
    }
    whole.then_some(Template(segments))
}

/// Whether a text contains a `{name}`, known or not. A secret may contain braces, so only what
/// looks like a name makes it a template.
pub(super) fn has_names(raw: &str) -> bool {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    raw.match_indices('{').any(|(at, _)| {
        let name = raw[at + 1..].split_once('}').map_or("", |(name, _)| name);
        !raw[..at].ends_with('$') && !name.is_empty() && name.chars().all(is_of_name)
    })
}

/// Adds the segments of one part; false if it is not well formed.
fn read_plain(
    walk: &Walk<'_>,
    plain: &str,
    place: impl Fn(Range<usize>) -> Range<usize>,
    names: &KnownNames<'_>,
    segments: &mut Vec<Segment>,
) -> bool {
    let mut text = String::new();
    let mut whole = true;
    let mut rest = plain;
    while let Some(at) = rest.find(['{', '}']) {
        let offset = plain.len() - rest.len() + at;
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with("{{") || rest.starts_with("}}") {
            text.push_str(&rest[..1]);
            rest = &rest[2..];
            continue;
        }
        let name = rest.strip_prefix('{').and_then(|inside| inside.split_once('}'));
        let Some((name, behind)) = name else {
            walk.wrong_with_help(
                place(offset..offset + 1),
                match rest.starts_with('{') {
                    true => "`{` has no closing `}`",
                    false => "`}` has no opening `{`",
                },
                "write `{name}` for a value of `[data.name]`, and `{{` or `}}` for a literal brace",
            );
            return false;
        };
        if let Err((why, help)) = names.check(name) {
            walk.wrong_with_help(place(offset..offset + name.len() + 2), why, help);
            whole = false;
        }
        if !text.is_empty() {
            segments.push(Segment::Text(std::mem::take(&mut text)));
        }
        segments.push(Segment::Value(name.to_owned()));
        rest = behind;
    }
    text.push_str(rest);
    if !text.is_empty() {
        segments.push(Segment::Text(text));
    }
    whole
}
