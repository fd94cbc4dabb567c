//! Reads JSON in which numbers may stand as texts.

use serde_json::Value;

use super::text::malformed;
use crate::import::error::ImportError;

/// The document.
///
/// # Errors
/// When it is not one, with line and column.
pub(super) fn parse(text: &str) -> Result<Value, ImportError> {
    serde_json::from_str(text).map_err(|error| malformed(error.to_string()))
}

/// A number that is finite and not below zero, also as a text.
pub(super) fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite() && *number >= 0.0)
}

/// A count, also as a text.
pub(super) fn count(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A count that has to be there.
///
/// # Errors
/// When it is not.
pub(super) fn need(object: &Value, name: &str) -> Result<u64, ImportError> {
    count(&object[name]).ok_or_else(|| malformed(format!("there is no count `{name}`")))
}

/// Whether a document that begins like this is an object with all these words in it.
pub(super) fn begins_with(begin: &str, words: &[&str]) -> bool {
    begin.trim_start().starts_with('{') && words.iter().all(|word| begin.contains(word))
}
