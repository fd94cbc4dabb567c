//! Walks the tree of a TOML text and notes every mistake with its place.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mask::mask;
use super::mistake::{PlanErrors, UnplacedMistake};
use crate::plan::nearest;
use crate::plan::units::{parse_duration, parse_rate, parse_share};

/// A value in the tree.
pub(super) type Value<'t> = Spanned<DeValue<'t>>;

/// The text under examination, and what was found wrong with it.
pub(super) struct Walk<'t> {
    pub(super) text: &'t str,
    environment: &'t dyn Fn(&str) -> Option<String>,
    found: RefCell<Vec<UnplacedMistake>>,
    secrets: RefCell<Vec<Range<usize>>>,
}

/// A text of the plan.
#[derive(Clone, Debug)]
pub(super) struct StringValue {
    /// With `${NAME}` filled in.
    pub(super) value: String,
    /// As the plan has it.
    pub(super) raw: String,
    /// Whether anything of it came from the environment, so that no message may show it.
    pub(super) from_environment: bool,
    pub(super) span: Range<usize>,
}

/// A part of a text.
pub(super) enum TextPart {
    /// As the plan has it, with its offset there.
    Plain(usize, String),
    /// The value of a variable of the environment.
    Variable(String),
}

impl<'t> Walk<'t> {
    pub(super) fn new(text: &'t str, environment: &'t dyn Fn(&str) -> Option<String>) -> Self {
        Self { text, environment, found: RefCell::default(), secrets: RefCell::default() }
    }

    /// Notes a mistake.
    pub(super) fn wrong(&self, span: Range<usize>, message: impl Into<String>) {
        self.note(span, message.into(), None);
    }

    /// Notes a mistake, and what to write instead.
    pub(super) fn wrong_with_help(
        &self,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.note(span, message.into(), Some(help.into()));
    }

    fn note(&self, span: Range<usize>, message: String, help: Option<String>) {
        self.found.borrow_mut().push(UnplacedMistake { span, message, help });
    }

    /// Keeps this part of the text out of every message.
    pub(super) fn hide(&self, span: Range<usize>) {
        self.secrets.borrow_mut().push(span);
    }

    /// The parts of the text that no message may show.
    pub(super) fn secrets(self) -> Vec<Range<usize>> {
        self.secrets.into_inner()
    }

    /// The mistakes, if there are any.
    pub(super) fn errors(self, origin: &str) -> Option<PlanErrors> {
        let found = self.found.into_inner();
        let masked = || mask(self.text, &self.secrets.borrow());
        (!found.is_empty()).then(|| PlanErrors::new(masked(), origin, found))
    }

    /// A string; `what` says what is expected, with an example.
    pub(super) fn text(&self, value: &Value<'_>, what: &str) -> Option<StringValue> {
        let DeValue::String(raw) = value.get_ref() else {
            self.wrong_kind(value, what);
            return None;
        };
        let mut filled = String::new();
        let mut from_environment = false;
        for piece in self.pieces(raw, value.span()) {
            match piece {
                TextPart::Plain(_, plain) => filled.push_str(&plain),
                TextPart::Variable(secret) => {
                    from_environment = true;
                    filled.push_str(&secret);
                }
            }
        }
        let raw = raw.clone().into_owned();
        Some(StringValue { value: filled, raw, from_environment, span: value.span() })
    }

    /// A name. Reports show it, so it cannot contain a secret.
    pub(super) fn name(&self, value: &Value<'_>) -> Option<String> {
        let name = self.text(value, "a name")?;
        if name.value.trim().is_empty() || name.from_environment {
            self.wrong_with_help(
                name.span,
                "a name cannot be empty and cannot contain `${…}` variables",
                "write it out, such as `checkout`",
            );
            return None;
        }
        Some(name.value)
    }

    /// Parts a text at its `${NAME}`; a variable that is not set is a mistake. `$${` stands for
    /// `${`.
    pub(super) fn pieces(&self, raw: &str, span: Range<usize>) -> Vec<TextPart> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut plain_begin = 0;
        let mut rest = raw;
        while let Some(at) = rest.find("${") {
            let offset = raw.len() - rest.len();
            if rest[..at].ends_with('$') {
                plain.push_str(&rest[..at - 1]);
                plain.push_str("${");
                rest = &rest[at + 2..];
                continue;
            }
            plain.push_str(&rest[..at]);
            let name = rest[at + 2..].split('}').next().unwrap_or_default();
            let closed = rest[at + 2..].len() > name.len();
            rest = &rest[at + 2..];
            if !closed || !is_variable(name) {
                plain.push_str("${");
                continue;
            }
            rest = &rest[name.len() + 1..];
            pieces.push(TextPart::Plain(plain_begin, std::mem::take(&mut plain)));
            plain_begin = raw.len() - rest.len();
            match (self.environment)(name) {
                Some(value) => pieces.push(TextPart::Variable(value)),
                None => self.wrong_with_help(
                    self.inside(raw, &span, offset + at..offset + at + name.len() + 3),
                    format!("the environment variable `{name}` is not set"),
                    format!("set it, or write `$${{{name}}}` for the literal text"),
                ),
            }
        }
        plain.push_str(rest);
        pieces.push(TextPart::Plain(plain_begin, plain));
        pieces
    }

    /// The place of a part of a text: exact where the text stands in the plan as it is, the whole
    /// text where escapes have moved it.
    pub(super) fn inside(
        &self,
        raw: &str,
        span: &Range<usize>,
        part: Range<usize>,
    ) -> Range<usize> {
        let quoted = self.text.get(span.start + 1..span.end.saturating_sub(1));
        if quoted == Some(raw) {
            span.start + 1 + part.start..span.start + 1 + part.end
        } else {
            span.clone()
        }
    }

    /// A text that `parse` understands.
    pub(super) fn parsed<T, E: Display>(
        &self,
        value: &Value<'_>,
        what: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(value, what)?;
        match parse(&text.value) {
            Ok(parsed) => Some(parsed),
            Err(_) if text.from_environment => {
                self.wrong(
                    text.span,
                    format!("`{}` is not {what} once its variables are filled in", text.raw),
                );
                None
            }
            Err(why) => {
                self.wrong(text.span, why.to_string());
                None
            }
        }
    }

    /// Requests per second, above zero.
    pub(super) fn rate(&self, value: &Value<'_>) -> Option<f64> {
        const WHAT: &str = "a rate such as `50/s`";
        let rate = match number(value.get_ref()) {
            Some(number) => number,
            None => self.parsed(value, WHAT, parse_rate)?,
        };
        if rate > 0.0 && rate.is_finite() {
            return Some(rate);
        }
        self.wrong(value.span(), "the rate must be above zero, such as `50/s`");
        None
    }

    /// A duration, above zero.
    pub(super) fn duration(&self, value: &Value<'_>) -> Option<Duration> {
        let duration = self.duration_or_zero(value)?;
        if duration.is_zero() {
            self.wrong(value.span(), "the duration must be above zero, such as `10s`");
            return None;
        }
        Some(duration)
    }

    /// A duration, zero included.
    pub(super) fn duration_or_zero(&self, value: &Value<'_>) -> Option<Duration> {
        self.parsed(value, "a duration with its unit such as `10s`", parse_duration)
    }

    /// A share from 0 to 1, as a number or in percent.
    pub(super) fn share(&self, value: &Value<'_>) -> Option<f64> {
        const WHAT: &str = "a share such as `50%` or `0.5`";
        let share = match number(value.get_ref()) {
            Some(number) => (0.0..=1.0).contains(&number).then_some(number),
            None => {
                return self.parsed(value, WHAT, |text| {
                    parse_share(text)
                        .ok_or_else(|| format!("`{text}` is not a share; write `50%` or `0.5`"))
                });
            }
        };
        if share.is_none() {
            self.wrong(value.span(), format!("expected {WHAT}, from 0 to 1"));
        }
        share
    }

    /// A finite number.
    pub(super) fn number(&self, value: &Value<'_>, what: &str) -> Option<f64> {
        let number = number(value.get_ref()).filter(|number| number.is_finite());
        if number.is_none() {
            self.wrong_kind(value, what);
        }
        number
    }

    /// A whole number of any sign.
    pub(super) fn signed(&self, value: &Value<'_>, what: &str) -> Option<i64> {
        let integer = value.get_ref().as_integer();
        let number =
            integer.and_then(|integer| i64::from_str_radix(integer.as_str(), integer.radix()).ok());
        if number.is_none() {
            self.wrong_kind(value, what);
        }
        number
    }

    /// A whole number, zero or more.
    pub(super) fn integer(&self, value: &Value<'_>, what: &str) -> Option<u64> {
        let integer = value.get_ref().as_integer();
        let number =
            integer.and_then(|integer| u64::from_str_radix(integer.as_str(), integer.radix()).ok());
        if number.is_none() {
            self.wrong_kind(value, what);
        }
        number
    }

    /// `true` or `false`.
    pub(super) fn switch(&self, value: &Value<'_>) -> Option<bool> {
        let switch = value.get_ref().as_bool();
        if switch.is_none() {
            self.wrong_kind(value, "`true` or `false`");
        }
        switch
    }

    /// The values of a list.
    pub(super) fn list<'v>(&self, value: &'v Value<'t>, what: &str) -> Option<Vec<&'v Value<'t>>> {
        match value.get_ref() {
            DeValue::Array(array) => Some(array.iter().collect()),
            _ => {
                self.wrong_kind(value, what);
                None
            }
        }
    }

    /// Reads each of `tables` and leaves out those that `read` refuses. KnownNames must be unique;
    /// `clash` says what else has the name, and what to do.
    pub(super) fn named<'v, T>(
        &self,
        tables: Vec<&'v Value<'t>>,
        mut read: impl FnMut(&'v Value<'t>) -> Option<T>,
        name: impl Fn(&T) -> &str,
        clash: (&str, &str),
    ) -> Vec<T> {
        let mut named: Vec<T> = Vec::new();
        for value in tables {
            let Some(one) = read(value) else { continue };
            if named.iter().any(|other| name(other) == name(&one)) {
                let (others, help) = clash;
                self.wrong_with_help(
                    value.span(),
                    format!("{others} named `{}`", name(&one)),
                    help,
                );
            }
            named.push(one);
        }
        named
    }

    /// One of several words.
    pub(super) fn choice<T: Copy>(&self, value: &Value<'_>, choices: &[(&str, T)]) -> Option<T> {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let what = format!("one of `{}`", names.join("`, `"));
        let text = self.text(value, &what)?;
        let chosen = choices.iter().find(|(name, _)| *name == text.value);
        if chosen.is_none() {
            let message = format!("`{}` is not {what}", text.raw);
            self.note(text.span, message, nearest(&text.raw, names));
        }
        chosen.map(|(_, choice)| *choice)
    }

    /// The table that `value` is.
    pub(super) fn section<'w>(
        &'w self,
        value: &'w Value<'t>,
        what: &str,
    ) -> Option<Section<'w, 't>> {
        match value.get_ref() {
            DeValue::Table(table) => Some(self.table(table, value.span())),
            _ => {
                self.wrong_kind(value, what);
                None
            }
        }
    }

    pub(super) fn table<'w>(
        &'w self,
        table: &'w DeTable<'t>,
        span: Range<usize>,
    ) -> Section<'w, 't> {
        Section { walk: self, table, span, known: Vec::new() }
    }

    fn wrong_kind(&self, value: &Value<'_>, what: &str) {
        let is = match value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.wrong(value.span(), format!("expected {what}, found {is}"));
    }
}

/// One table of the plan. Keys are taken out of it; what is left is unknown.
pub(super) struct Section<'w, 't> {
    pub(super) walk: &'w Walk<'t>,
    table: &'w DeTable<'t>,
    pub(super) span: Range<usize>,
    known: Vec<&'static str>,
}

impl<'w, 't> Section<'w, 't> {
    /// The value of `key`, which is known from now on.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'w Value<'t>> {
        self.known.push(key);
        self.table.get(key)
    }

    /// The place of the value of `key` in a table of this one, which may have been read.
    pub(super) fn place_in(&self, table: &str, key: &str) -> Range<usize> {
        let value = match self.table.get(table).map(Spanned::get_ref) {
            Some(DeValue::Table(inner)) => inner.get(key),
            _ => None,
        };
        value.map_or(self.span.clone(), Spanned::span)
    }

    /// The tables `[[key]]`; `None` where there is no such list.
    pub(super) fn tables(&mut self, key: &'static str) -> Option<Vec<&'w Value<'t>>> {
        let walk = self.walk;
        self.take(key).and_then(|value| walk.list(value, &format!("a list of `[[{key}]]` tables")))
    }

    /// Whether the table has `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The value of `key`, without which the table is incomplete.
    pub(super) fn require(&mut self, key: &'static str, example: &str) -> Option<&'w Value<'t>> {
        let value = self.take(key);
        if value.is_none() {
            self.missing(key, format!("add `{example}`"));
        }
        value
    }

    /// Notes that the table is incomplete without `key`.
    pub(super) fn missing(&self, key: &str, help: impl Into<String>) {
        self.walk.wrong_with_help(self.span.clone(), format!("`{key}` is missing"), help);
    }

    /// All keys with their values, for tables whose keys the plan chooses, in the plan's order.
    pub(super) fn entries(&self) -> Vec<(&'w str, Range<usize>, &'w Value<'t>)> {
        let mut entries: Vec<_> = self
            .table
            .iter()
            .map(|(key, value)| (key.get_ref().as_ref(), key.span(), value))
            .collect();
        entries.sort_by_key(|(_, span, _)| span.start);
        entries
    }

    /// Notes every key that nothing took.
    pub(super) fn finish(self) {
        for (key, span, value) in self.entries() {
            if self.known.contains(&key) {
                continue;
            }
            // It may be the misspelt name of a secret.
            self.walk.hide(value.span());
            let help = nearest(key, self.known.iter().copied())
                .unwrap_or_else(|| format!("known keys: `{}`", self.known.join("`, `")));
            self.walk.wrong_with_help(span, format!("unknown key `{key}`"), help);
        }
    }
}

/// The value of a key that may be left out and must not be wrong: `None` where it is wrong.
pub(super) fn optional<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    read.map_or(Some(None), |value| value.map(Some))
}

fn number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .map(|integer| integer as f64),
        DeValue::Float(float) => float.as_str().parse().ok(),
        _ => None,
    }
}

fn is_variable(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(word) && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}
