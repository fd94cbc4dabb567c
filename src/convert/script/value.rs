//! What is known of a value without running the program.

use std::rc::Rc;

use super::syntax::Function;
use crate::convert::draft::{Data, Think, seconds};
use crate::convert::template::Template;

/// What is known of a value.
#[derive(Clone, Debug)]
pub(in crate::convert) enum Known {
    /// A text, which may hold values of the plan.
    Text(Template),
    Number(f64),
    Switch(bool),
    Nothing,
    List(Rc<Vec<Known>>),
    Map(Rc<Vec<(String, Known)>>),
    Function(Rc<Function>),
    /// A file of the script, by its path.
    File(String),
    /// A random number: from the first to before the second.
    Uniform(f64, f64),
    /// A random whole number, both ends included.
    Range(i64, i64),
    /// A number that counts up: users, iterations.
    Counter,
    /// The response to the request of this name.
    Response(String),
    /// A part of a response.
    Part(String, Part),
    /// Data for a call, by how the script has it and a name for it.
    Made(String, String, Data),
    Unknown,
}

/// A part of a response.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::convert) enum Part {
    Status,
    Body,
    /// All headers, or one.
    Headers,
    Header(String),
    /// What stands at a JSONPath.
    Json(String),
    /// All cookies that it sets, or one.
    Cookies,
    Cookie(String),
}

impl Known {
    pub(in crate::convert) fn text(text: &str) -> Self {
        Known::Text(Template::plain(text))
    }

    /// The value of a key.
    pub(in crate::convert) fn get(&self, key: &str) -> Option<&Known> {
        self.entries().iter().rev().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// The entries of a table; none where it is something else.
    pub(in crate::convert) fn entries(&self) -> &[(String, Known)] {
        match self {
            Known::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The values of a list; none where it is something else.
    pub(in crate::convert) fn items(&self) -> &[Known] {
        match self {
            Known::List(items) => items,
            _ => &[],
        }
    }

    /// A text in which nothing varies.
    pub(in crate::convert) fn fixed(&self) -> Option<String> {
        match self {
            Known::Text(text) => text.fixed(),
            Known::Number(number) => Some(number_text(*number)),
            Known::Switch(switch) => Some(switch.to_string()),
            _ => None,
        }
    }

    pub(in crate::convert) fn number(&self) -> Option<f64> {
        match self {
            Known::Number(number) => Some(*number),
            Known::Text(text) => {
                text.fixed()?.trim().parse().ok().filter(|it: &f64| it.is_finite())
            }
            _ => None,
        }
    }

    /// A pause of as many seconds.
    pub(in crate::convert) fn pause(&self) -> Option<Think> {
        match self {
            Known::Uniform(low, high) => {
                Some(Think::Uniform(seconds(low.min(*high))?, seconds(high.max(*low))?))
            }
            Known::Range(low, high) => {
                Some(Think::Uniform(seconds(*low as f64)?, seconds(*high as f64)?))
            }
            time => seconds(time.number()?).map(Think::Fixed),
        }
    }

    pub(in crate::convert) fn is_unknown(&self) -> bool {
        matches!(self, Known::Unknown)
    }

    /// JSON as a value.
    pub(in crate::convert) fn of_json(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Known::Nothing,
            serde_json::Value::Bool(switch) => Known::Switch(switch),
            serde_json::Value::Number(number) => {
                number.as_f64().map_or(Known::Unknown, Known::Number)
            }
            serde_json::Value::String(text) => Known::text(&text),
            serde_json::Value::Array(items) => {
                Known::List(Rc::new(items.into_iter().map(Known::of_json).collect()))
            }
            serde_json::Value::Object(entries) => Known::Map(Rc::new(
                entries.into_iter().map(|(key, value)| (key, Known::of_json(value))).collect(),
            )),
        }
    }
}

/// A number as both languages write it: without a fraction where it has none.
pub(in crate::convert) fn number_text(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        format!("{}", number as i64)
    } else {
        number.to_string()
    }
}
