//! Values that must never appear in a recording, a report or a log.

use std::fmt;

use serde::{Serialize, Serializer};

pub use crate::timeline::is_secret_name;

/// What is printed instead of a secret.
const HIDDEN: &str = "***";

/// A value that prints and serialises as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `value`.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the code that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

/// A URL without its password and without the values of secret query parameters. In a text that is
/// not a URL, everything between `://` and the last `@` is hidden.
///
/// ```
/// use kneepoint::plan::redact_url;
///
/// assert_eq!(redact_url("postgres://shop:pw@db/shop"), "postgres://shop:***@db/shop");
/// ```
pub fn redact_url(text: &str) -> String {
    let Ok(mut url) = url::Url::parse(text) else {
        return match (text.find("://"), text.rfind('@')) {
            (Some(from), Some(to)) if from + 3 < to => {
                format!("{}{HIDDEN}{}", &text[..from + 3], &text[to..])
            }
            _ => text.to_owned(),
        };
    };
    if url.password().is_some() {
        // Fails only for URLs that cannot have a password, and this one has.
        let _unchanged = url.set_password(Some(HIDDEN)).is_err();
    }
    if url.query_pairs().any(|(name, _)| is_secret_name(&name)) {
        let pairs: Vec<(String, String)> = url
            .query_pairs()
            .map(|(name, value)| {
                let value = if is_secret_name(&name) { HIDDEN.into() } else { value };
                (name.into_owned(), value.into_owned())
            })
            .collect();
        url.query_pairs_mut().clear().extend_pairs(pairs);
    }
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_print_or_serialise() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"***\"");
        assert_eq!(secret.reveal(), "hunter2");
    }

    #[test]
    fn urls_lose_passwords_and_secret_parameters() {
        assert_eq!(redact_url("postgres://shop:hunter2@db/shop"), "postgres://shop:***@db/shop");
        assert!(!redact_url("http://a/?x=1&api_key=hunter2").contains("hunter2"));
        assert!(!redact_url("postgres://u:hun ter2@[bad").contains("hun ter2"));
        assert_eq!(redact_url("http://a/?x=1"), "http://a/?x=1");
    }
}
