//! Comments, texts, numbers and times as a plan has them.

use std::time::Duration;

use toml_edit::{Table, Value};

/// Longest line of a comment, in characters.
const COMMENT_WIDTH: usize = 98;

/// A comment, with as many lines as it needs.
pub(super) fn comment(text: &str) -> String {
    let (mut comment, mut line) = (String::new(), String::from("#"));
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if line.chars().count() + word.chars().count() > COMMENT_WIDTH && line.len() > 2 {
            comment.push_str(&line);
            comment.push('\n');
            line = "#  ".to_owned();
        }
        line.push(' ');
        line.push_str(word);
    }
    comment.push_str(&line);
    comment.push('\n');
    comment
}

/// Puts a comment before a key.
pub(super) fn comment_on(table: &mut Table, key: &str, comment: &str) {
    if let Some(mut key) = table.key_mut(key) {
        key.leaf_decor_mut().set_prefix(comment);
    }
}

/// A text for a place in which plans replace variables: none stands in it.
pub(super) fn literal(text: &str) -> String {
    text.replace("${", "$${")
}

/// A number with a point only where it has a fraction.
pub(super) fn number(number: f64) -> Value {
    let rounded = (number * 1e6).round() / 1e6;
    if rounded.fract() == 0.0 && rounded.abs() < 1e15 {
        (rounded as i64).into()
    } else {
        rounded.into()
    }
}

/// A rate as plans have it: above zero, with at most three digits after the point.
pub(super) fn rate(rate: f64) -> String {
    format!("{}/s", (rate.clamp(0.001, 1e9) * 1e3).round() / 1e3)
}

/// A duration as plans have it, where none is allowed.
pub(super) fn zero_or_longer(length: Duration) -> String {
    if length.is_zero() { "0s".to_owned() } else { duration(length) }
}

/// A duration as plans have it: above zero, in milliseconds or longer.
pub(super) fn duration(duration: Duration) -> String {
    let millis = duration.as_millis().max(1);
    match millis {
        _ if millis.is_multiple_of(3_600_000) => format!("{}h", millis / 3_600_000),
        _ if millis.is_multiple_of(60_000) => format!("{}m", millis / 60_000),
        _ if millis.is_multiple_of(1000) => format!("{}s", millis / 1000),
        _ if millis < 1000 => format!("{millis}ms"),
        _ => format!("{}s", millis as f64 / 1e3),
    }
}
