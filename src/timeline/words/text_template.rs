//! The form in which two texts count as the same: without numbers, ids, times, addresses and quoted
//! parts.

use std::fmt::Write as _;

/// Stands for numbers, ids, times and addresses.
const NUMBER: char = '#';
/// A quoted part is at most this long. A longer one is more likely two quotes apart.
const MAX_QUOTED: usize = 200;

/// `text` with whitespace collapsed and what varies taken out, at most `most` bytes of it. In JSON
/// the quoted parts stay, because they are all that it says.
///
/// ```
/// use kneepoint::timeline::text_template;
///
/// let line = "2026-11-28T18:00:01Z order 4711 of 'alice' failed after 12.5ms at 10.0.0.3:5432";
/// assert_eq!(text_template(line, 300), "# order # of '…' failed after # at #");
/// ```
pub fn text_template(text: &str, most: usize) -> String {
    let mut template = String::with_capacity(text.len().min(most) + 4);
    let is_json = text.trim_start().starts_with(['{', '[']);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if template.len() >= most {
            break;
        }
        let taken = if c.is_ascii_alphanumeric() || c == '_' {
            push_word(&mut template, rest)
        } else if c.is_whitespace() || c.is_control() {
            if !template.is_empty() && !template.ends_with(' ') {
                template.push(' ');
            }
            c.len_utf8()
        } else if let Some(length) = quoted(rest, c).filter(|_| !is_json && !in_word(&template)) {
            let _infallible = write!(template, "{c}…{c}");
            length
        } else {
            template.push(c);
            c.len_utf8()
        };
        rest = &rest[taken..];
    }
    template.truncate(template.trim_end().len());
    cut(&template, most).to_owned()
}

/// At most `most` bytes of `text`, at the boundary of a character.
pub fn cut(text: &str, most: usize) -> &str {
    match text.len() <= most {
        true => text,
        false => {
            let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
            &text[..end]
        }
    }
}

/// Adds the word at the begin of `rest`, and returns its length. A word with a digit is a number or
/// an id, and so are letters of hexadecimal digits that follow one.
fn push_word(template: &mut String, rest: &str) -> usize {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    let word = &rest[..length];
    let joint = template.trim_end_matches(['-', ':', '.', ',', '/', '+']);
    let joins = template.len() - joint.len() == 1 && joint.ends_with(NUMBER);
    let is_id = joins
        && template.ends_with('-')
        && [4, 8, 12].contains(&length)
        && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_id && !word.bytes().any(|byte| byte.is_ascii_digit()) {
        template.push_str(word);
    } else if joins {
        template.truncate(joint.len());
    } else if !template.ends_with(NUMBER) {
        template.push(NUMBER);
    }
    length
}

/// The length of the quoted part at the begin of `rest`, with its quotes. `None` if none begins.
fn quoted(rest: &str, quote: char) -> Option<usize> {
    if !matches!(quote, '"' | '\'' | '`') {
        return None;
    }
    let end = rest[1..].find([quote, '\n'])?;
    (end <= MAX_QUOTED && rest[1 + end..].starts_with(quote)).then_some(end + 2)
}

/// Whether the text so far ends in a word: the apostrophe of `didn't` quotes nothing.
fn in_word(template: &str) -> bool {
    template.ends_with(|c: char| c.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_differ_in_what_varies_are_the_same() {
        let same = [
            ["order 1 failed", "order 22 failed", "order 3a9f failed"],
            ["at 10.0.0.3:5432", "at 127.0.0.1:80", "at 1.5"],
            ["took 12ms", "took 1.75s", "took 3"],
            ["user 'bob' unknown", "user 'alice in chains' unknown", "user '' unknown"],
            [
                "id 550e8400-e29b-41d4-a716-446655440000 gone",
                "id 123e4567-abcd-12d3-beef-426614174000 gone",
                "id 7 gone",
            ],
            ["2026-11-28 18:00:01.123 up", "2025-01-02 03:04:05 up", "12 1 up"],
            [
                "{\"error\":\"full\",\"id\":17}",
                "{\"error\":\"full\",\"id\":18}",
                "{\"error\":\"full\",\"id\":x1}",
            ],
        ];
        for texts in same {
            let templates: Vec<String> =
                texts.iter().map(|text| text_template(text, 300)).collect();
            assert!(templates.iter().all(|one| *one == templates[0]), "{templates:?}");
        }
    }

    #[test]
    fn what_is_said_stays() {
        assert_eq!(
            text_template("the server didn't respond, it's down", 99),
            "the server didn't respond, it's down"
        );
        assert_eq!(text_template("  a\r\n\tb  ", 99), "a b");
        assert_eq!(text_template("{\"error\":\"pool full\"}", 99), "{\"error\":\"pool full\"}");
        assert_eq!(text_template("an 'open quote", 99), "an 'open quote");
        assert_eq!(text_template("503 Service Unavailable", 99), "# Service Unavailable");
        assert_eq!(text_template("", 99), "");
    }

    #[test]
    fn a_template_is_bounded_and_text() {
        let long = "é x9 ".repeat(5000);
        let template = text_template(&long, 300);
        assert!(template.len() <= 300 && template.starts_with("é # é"), "{template}");
        assert_eq!(cut("éé", 3), "é");
        assert_eq!(cut("abc", 0), "");
        for odd in ["\u{0}\u{1}", "''", "\"", "`a", "#-", "1-", "-1", "…1…"] {
            text_template(odd, 10);
        }
    }
}
