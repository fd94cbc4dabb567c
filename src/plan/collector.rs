//! What a plan says of a collector. The collectors themselves live elsewhere: they tell the plan
//! their options as a [`CollectorShape`], so that a plan is checked whole, in one pass.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::Secret;

/// The name and options of one collector, for checking a plan.
#[derive(Clone, Copy, Debug)]
pub struct CollectorShape {
    /// Name in plans: `[collect.<name>]`, or `[[collect.<name>]]` for several.
    pub name: &'static str,
    /// Options it takes besides `interval`, which all take.
    pub options: &'static [OptionSpec],
}

/// One option of a collector.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// Key in the plan.
    pub name: &'static str,
    /// What the value looks like.
    pub kind: OptionKind,
    /// Whether the collector cannot do without it.
    pub required: bool,
    /// One line for `list` and for messages.
    pub about: &'static str,
}

/// What the value of an option looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// Any text.
    Text,
    /// Text that no one may print, such as a URL with a password in it.
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
    /// A text that is hidden.
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
    /// What tells several of one name apart in messages and labels: the option `as`, or the name.
    pub instance: String,
    /// Time between two looks; the collector's own default where there is none.
    pub interval: Option<Duration>,
    /// Its options, checked against its [`CollectorShape`].
    pub options: BTreeMap<String, OptionValue>,
}

impl CollectorConfig {
    /// A collector with no options set.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            instance: name.to_owned(),
            interval: None,
            options: BTreeMap::new(),
        }
    }

    /// The same with one option set.
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

    /// A switch; off where it is not set.
    pub fn switch(&self, option: &str) -> bool {
        matches!(self.options.get(option), Some(OptionValue::Switch(true)))
    }

    /// A list of texts; empty where it is not set.
    pub fn texts(&self, option: &str) -> &[String] {
        match self.options.get(option) {
            Some(OptionValue::Texts(texts)) => texts,
            _ => &[],
        }
    }
}
