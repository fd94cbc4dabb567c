//! What of PostgreSQL's messages may be recorded: the words of the server, and the form of a
//! statement. Literals, parameters and quoted values never are.

/// Longest form of a statement, in bytes.
const LONGEST: usize = 160;
/// Words before a quoted name that is a part of the schema, and so is not a value.
const NAMED: &[&str] = &[
    "relation",
    "table",
    "constraint",
    "index",
    "column",
    "database",
    "schema",
    "function",
    "sequence",
    "view",
    "parameter",
    "tablespace",
];

/// A message without values: its first line, in which a statement keeps only its form.
pub(super) fn cleaned(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default().trim();
    match split(line) {
        Some((head, statement)) => format!("{head} {}", form(statement)),
        None => unquoted(line),
    }
}

/// What stands before a statement, and the statement: `duration: 3 ms  statement: SELECT 1`, `execute
/// NAME: SELECT 1`.
fn split(line: &str) -> Option<(String, &str)> {
    let (duration, rest) = match line.strip_prefix("duration: ") {
        Some(rest) => {
            let (millis, rest) = rest.split_once(" ms")?;
            (format!("duration: {millis} ms  "), rest.trim_start())
        }
        None => (String::new(), line),
    };
    if let Some(statement) = rest.strip_prefix("statement: ") {
        return Some((format!("{duration}statement:"), statement));
    }
    let step = ["execute ", "bind ", "parse "].into_iter().find(|step| rest.starts_with(step))?;
    // A name of a prepared statement is the client's own, and may be anything.
    let (_, statement) = rest.split_once(": ")?;
    Some((format!("{duration}{}:", step.trim_end()), statement))
}

/// The form of a statement: `SELECT * FROM items WHERE id = ?`.
pub(super) fn form(statement: &str) -> String {
    let mut form = String::new();
    let mut rest = statement.trim_start();
    // What is set may be a secret that is not quoted.
    if let Some(name) = setting(rest) {
        return format!("SET {name} = ?");
    }
    while let Some(first) = rest.chars().next().filter(|_| form.len() < LONGEST) {
        let (taken, shown) = token(rest, first);
        let is_list = shown == "?" && form.ends_with("?, ");
        match is_list {
            true => form.truncate(form.len() - 2),
            false => form.push_str(shown),
        }
        match rest.get(taken..) {
            Some(next) if taken > 0 => rest = next,
            _ => break,
        }
    }
    form.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The name in `SET [SESSION|LOCAL] name = value`.
fn setting(statement: &str) -> Option<&str> {
    let mut words = statement.split([' ', '=']).filter(|word| !word.is_empty());
    if !words.next()?.eq_ignore_ascii_case("set") {
        return None;
    }
    words.find(|word| !["session", "local"].contains(&word.to_lowercase().as_str()))
}

/// Bytes of the first token, and what is shown of it.
fn token(rest: &str, first: char) -> (usize, &str) {
    let end_of = |close: &str, from: usize| {
        rest.get(from..).and_then(|after| after.find(close)).map(|at| from + at + close.len())
    };
    match first {
        '\'' => (string_end(rest, 1, false), "?"),
        'e' | 'E' if rest.get(1..2) == Some("'") => (string_end(rest, 2, true), "?"),
        '$' => match rest.get(1..).and_then(|after| after.find('$')) {
            // A parameter such as `$1` has no second `$` right behind a name.
            Some(at) if is_tag(rest.get(1..=at).unwrap_or_default()) => {
                let tag = rest.get(..at + 2).unwrap_or("$$");
                (end_of(tag, tag.len()).unwrap_or(rest.len()), "?")
            }
            _ => (1 + digits(rest.get(1..).unwrap_or_default()), "?"),
        },
        '"' => {
            let end = end_of("\"", 1).unwrap_or(rest.len());
            let name = rest.get(..end).unwrap_or("?");
            (end, if is_identifier(name.trim_matches('"')) { name } else { "?" })
        }
        '-' if rest.starts_with("--") => (rest.len(), ""),
        '/' if rest.starts_with("/*") => (end_of("*/", 2).unwrap_or(rest.len()), " "),
        c if c.is_ascii_digit() => (number(rest), "?"),
        c if c.is_alphanumeric() || c == '_' => {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            (end, rest.get(..end).unwrap_or_default())
        }
        c => (c.len_utf8(), rest.get(..c.len_utf8()).unwrap_or_default()),
    }
}

/// Where a string ends whose text begins at `from`; the end of the text if it is cut off.
fn string_end(text: &str, from: usize, has_escapes: bool) -> usize {
    let bytes = text.as_bytes();
    let mut at = from;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if has_escapes => at += 1,
            b'\'' if bytes.get(at + 1) == Some(&b'\'') => at += 1,
            b'\'' => return at + 1,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// Bytes of a number: `12`, `1.5e3`, `0xff`, also what a client glued to it.
fn number(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric() && c != '.' && c != '_').unwrap_or(text.len())
}

fn is_tag(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !text.starts_with(|c: char| c.is_ascii_digit())
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 63
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))
}

/// A message without its quoted parts, except names of the schema.
fn unquoted(line: &str) -> String {
    let mut clean = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('"') {
        let (before, quoted) = rest.split_at(at);
        clean.push_str(before);
        let Some(end) = quoted.get(1..).and_then(|text| text.find('"')) else {
            // A cut-off value.
            clean.push('…');
            return clean;
        };
        let name = quoted.get(1..=end).unwrap_or_default();
        let word = before.split_whitespace().next_back().unwrap_or_default();
        match NAMED.contains(&word) && is_identifier(name) {
            true => clean.push_str(name),
            false => clean.push('…'),
        }
        rest = quoted.get(end + 2..).unwrap_or_default();
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_keeps_its_form_and_loses_its_values() {
        for (statement, expected) in [
            (
                "SELECT * FROM users WHERE mail = 'a''b@c' AND id IN (1, 2,3)",
                "SELECT * FROM users WHERE mail = ? AND id IN (?,?)",
            ),
            (
                "UPDATE t SET a = E'it\\'s', b = $tag$x $ y$tag$ WHERE c = $12",
                "UPDATE t SET a = ?, b = ? WHERE c = ?",
            ),
            ("ALTER ROLE bob PASSWORD 'hunter2", "ALTER ROLE bob PASSWORD ?"),
            ("SET LOCAL app.token = abc123", "SET app.token = ?"),
            ("SELECT 1.5e3, \"Name\" -- hunter2", "SELECT ?, \"Name\""),
            ("SELECT /* hunter2 */ x FROM t2", "SELECT x FROM t2"),
            ("SELECT \"it is hunter2\"", "SELECT ?"),
            ("SELECT 'é', ü", "SELECT ?, ü"),
        ] {
            assert_eq!(form(statement), expected, "{statement}");
        }
        assert!(form(&"a,".repeat(1000)).len() <= LONGEST + 8);
    }

    #[test]
    fn a_message_keeps_names_of_the_schema_only() {
        for (message, expected) in [
            (
                "duration: 1500.250 ms  statement: SELECT 'hunter2'\nFROM t",
                "duration: 1500.250 ms  statement: SELECT ?",
            ),
            (
                "duration: 2.1 ms  execute S_hunter2: SELECT $1",
                "duration: 2.1 ms  execute: SELECT ?",
            ),
            (
                "invalid input syntax for type integer: \"hunter2\"",
                "invalid input syntax for type integer: …",
            ),
            (
                "duplicate key value violates unique constraint \"items_pkey\"",
                "duplicate key value violates unique constraint items_pkey",
            ),
            ("syntax error at or near \"hunter2", "syntax error at or near …"),
            ("sorry, too many clients already", "sorry, too many clients already"),
            (
                "temporary file: path \"base/pgsql_tmp/pgsql_tmp1.0\", size 14000000",
                "temporary file: path …, size 14000000",
            ),
        ] {
            assert_eq!(cleaned(message), expected);
        }
    }
}
