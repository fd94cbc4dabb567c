//! Splits a line into its fields.

/// The fields of a text, apart by blanks. Those in double quotes may hold blanks, and are given
/// without their quotes. A list such as `0.008, 0.007 : 0.001` is one field.
pub(crate) fn fields(text: &str) -> Vec<&str> {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    let mut from = 0;
    while let Some(begin) = text[from..].find(|char| char != ' ').map(|skip| from + skip) {
        let end = end_of(text, begin);
        let part = &text[begin..end];
        match spans.last_mut() {
            Some(last) if goes_on(&text[last.0..last.1], part) => last.1 = end,
            _ => spans.push((begin, end)),
        }
        from = end;
    }
    spans.into_iter().map(|(begin, end)| unquoted(&text[begin..end])).collect()
}

/// Where the field that begins here ends. A quote ends one only before a blank: not all servers
/// escape the quotes of what clients sent.
fn end_of(text: &str, begin: usize) -> usize {
    let field = &text[begin..];
    if !field.starts_with('"') {
        return field.find(' ').map_or(text.len(), |length| begin + length);
    }
    let bytes = field.as_bytes();
    let mut is_escaped = false;
    for (place, byte) in bytes.iter().enumerate().skip(1) {
        if is_escaped {
            is_escaped = false;
        } else if *byte == b'\\' {
            is_escaped = true;
        } else if *byte == b'"' && bytes.get(place + 1).is_none_or(|next| *next == b' ') {
            return begin + place + 1;
        }
    }
    text.len()
}

/// Whether a part belongs to the list before it.
fn goes_on(before: &str, part: &str) -> bool {
    let is_list = before.starts_with(|first: char| first.is_ascii_digit() || first == '-');
    let is_part =
        part == ":" || part.starts_with(|first: char| first.is_ascii_digit() || first == '-');
    is_list && is_part && (before.ends_with([',', ':']) || part == ":")
}

fn unquoted(field: &str) -> &str {
    let inner = field.strip_prefix('"').and_then(|field| field.strip_suffix('"'));
    inner.unwrap_or(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_lists_are_one_field() {
        assert_eq!(
            fields(r#" "-" "a \"b\" c" 0.060 0.030, 0.029 : 0.001 rt=0.1 "x"#),
            ["-", r#"a \"b\" c"#, "0.060", "0.030, 0.029 : 0.001", "rt=0.1", "\"x"]
        );
        assert_eq!(fields(r#""an o"dd agent" 1 - 2"#), [r#"an o"dd agent"#, "1", "-", "2"]);
        assert_eq!(fields("  "), Vec::<&str>::new());
        assert_eq!(fields("\""), ["\""]);
    }
}
