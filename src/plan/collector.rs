//! What a plan says about a collector. The collectors themselves are in another module. Each
//! describes its options as a [`CollectorShape`], so that the parser can check the whole plan in
//! one pass.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::Secret;

/// The name and options of one collector, for checking a plan.
#[derive(Clone, Copy, Debug)]
pub struct CollectorShape {
    /// Name in plans: `[collect.<name>]`, or `[[collect.<name>]]` for several.
    pub name: &'static str,
    /// Its options, besides `interval` and `as`, which every collector has.
    pub options: &'static [OptionSpec],
}

/// One option of a collector.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// Key in the plan.
    pub name: &'static str,
    /// The type of the value.
    pub kind: OptionKind,
    /// Whether a plan has to set it.
    pub required: bool,
    /// One line for `list` and for messages.
    pub about: &'static str,
}

/// The type of an option's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// Any text.
    Text,
    /// Text that must never be printed, such as a URL with a password.
    Secret,
    /// A whole number, zero or more.
    Integer,
    /// `true` or `false`.
    Switch,
    /// Several texts.
    Texts,
}

/// The value of an option.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum OptionValue {
    /// A text.
    Text(String),
    /// A text that is never printed.
    Secret(Secret),
    /// A whole number.
    Integer(u64),
    /// A switch.
    Switch(bool),
    /// Several texts.
    Texts(Vec<String>),
}

/// One collector, as a plan asks for it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CollectorConfig {
    /// Name of the collector.
    pub name: String,
    /// Distinguishes several collectors of one name, in messages and labels: the option `as`, or
    /// the name.
    pub instance: String,
    /// Time between two readings; the collector's default if `None`.
    pub interval: Option<Duration>,
    /// Its options, checked against its [`CollectorShape`].
    pub options: BTreeMap<String, OptionValue>,
}

impl CollectorConfig {
    /// A collector without options.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            instance: name.to_owned(),
            interval: None,
            options: BTreeMap::new(),
        }
    }

    /// The same collector with one option set.
    #[must_use]
    pub fn with(mut self, option: &str, value: OptionValue) -> Self {
        self.options.insert(option.to_owned(), value);
        self
    }

    /// A text option, secret or not.
    pub fn text(&self, option: &str) -> Option<&str> {
        match self.options.get(option)? {
            OptionValue::Text(text) => Some(text),
            OptionValue::Secret(secret) => Some(secret.reveal()),
            _ => None,
        }
    }

    /// A whole number option.
    pub fn integer(&self, option: &str) -> Option<u64> {
        match self.options.get(option)? {
            OptionValue::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// A switch option; off if it is not set.
    pub fn switch(&self, option: &str) -> bool {
        matches!(self.options.get(option), Some(OptionValue::Switch(true)))
    }

    /// A list option; empty if it is not set.
    pub fn texts(&self, option: &str) -> &[String] {
        match self.options.get(option) {
            Some(OptionValue::Texts(texts)) => texts,
            _ => &[],
        }
    }
}
