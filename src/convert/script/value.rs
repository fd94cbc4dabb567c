//! What is known of a value without running the program.

use std::rc::Rc;

use super::syntax::Function;
use crate::convert::draft::{Data, Think, seconds};
use crate::convert::template::Template;

/// Most calls on one value: assignments in a row can make a short program immense.
const MOST_LINKS: usize = 2000;

/// How many calls may stand in each other.
const MOST_HEIGHT: usize = 60;
/// Lists in lists in which calls are looked for.
const DEEPEST_LISTS: usize = 2;

/// Most values in one value, in each other and in all, and most bytes of its texts.
const DEEPEST_VALUES: usize = 128;
const MOST_VALUES: usize = 1_000_000;
const MOST_TEXT: usize = 4 * 1024 * 1024;

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
    /// What a library makes by calls one after the other, in their order.
    Fluent(Rc<Vec<Rc<Link>>>),
    Unknown,
}

/// One call of several on the same value: `.get("/")`.
#[derive(Debug)]
pub(in crate::convert) struct Link {
    /// Empty for a second list of arguments: `repeat(3)(…)`.
    pub(in crate::convert) name: String,
    pub(in crate::convert) arguments: Vec<Known>,
    pub(in crate::convert) line: usize,
    /// How many calls stand in each other here, itself included.
    height: usize,
}

impl Link {
    /// A call. Arguments that stand too deep in each other are left out: what is built by
    /// assignments in a row may have no end.
    pub(in crate::convert) fn new(name: &str, arguments: Vec<Known>, line: usize) -> Self {
        let height = 1 + arguments.iter().map(|it| it.height(DEEPEST_LISTS)).max().unwrap_or(0);
        let is_fine = height <= MOST_HEIGHT;
        Self {
            name: name.to_owned(),
            arguments: if is_fine { arguments } else { Vec::new() },
            line,
            height: if is_fine { height } else { 1 },
        }
    }
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

    /// Whether it is as large and as deep as a script of a person makes it: what assignments in a row
    /// build of themselves, `x = [x, x]`, may have no end.
    pub(in crate::convert) fn is_within_bounds(&self) -> bool {
        let (mut values, mut bytes) = (MOST_VALUES, MOST_TEXT);
        self.fits(DEEPEST_VALUES, &mut values, &mut bytes)
    }

    fn fits(&self, depth: usize, values: &mut usize, bytes: &mut usize) -> bool {
        if depth == 0 || *values == 0 {
            return false;
        }
        *values -= 1;
        match self {
            Known::Text(text) => match bytes.checked_sub(text.bytes()) {
                Some(left) => {
                    *bytes = left;
                    true
                }
                None => false,
            },
            Known::List(items) => items.iter().all(|item| item.fits(depth - 1, values, bytes)),
            Known::Map(entries) => {
                entries.iter().all(|(_, item)| item.fits(depth - 1, values, bytes))
            }
            _ => true,
        }
    }

    /// How many calls stand in each other in it; lists in lists are looked at down to `depth`.
    fn height(&self, depth: usize) -> usize {
        let most = |heights: &mut dyn Iterator<Item = usize>| heights.max().unwrap_or(0);
        match self {
            Known::Fluent(links) => most(&mut links.iter().map(|link| link.height)),
            Known::List(items) if depth > 0 => {
                most(&mut items.iter().map(|item| item.height(depth - 1)))
            }
            _ => 0,
        }
    }

    /// The calls that made it; none where it is something else.
    pub(in crate::convert) fn links(&self) -> &[Rc<Link>] {
        match self {
            Known::Fluent(links) => links,
            _ => &[],
        }
    }

    /// The same with one call more.
    pub(in crate::convert) fn linked(self, link: Link) -> Self {
        let mut links = match self {
            Known::Fluent(links) => links,
            _ => Rc::default(),
        };
        if links.len() < MOST_LINKS {
            Rc::make_mut(&mut links).push(Rc::new(link));
        }
        Known::Fluent(links)
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
