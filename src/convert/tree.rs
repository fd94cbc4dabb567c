//! YAML and JSON as one tree, in which each value knows its line.

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::ConvertError;
use super::notes::Problem;

/// How many values a text may come to. Aliases of YAML can make a short text immense.
const MOST_NODES: usize = 1_000_000;
/// How deep they may stand in each other.
const DEEPEST: usize = 100;

/// A value with its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// Line, from 1.
    pub(super) line: usize,
    /// Column in characters, from 1.
    pub(super) column: usize,
    pub(super) value: Value,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// A text, a number, a boolean or null; `plain` where it was not in quotes.
    Scalar { text: String, plain: bool },
    /// A list.
    List(Vec<Node>),
    /// A table in order of the text.
    Map(Vec<(Key, Node)>),
}

/// A key with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// Line, from 1.
    pub(super) line: usize,
    /// The key.
    pub(super) text: String,
}

impl Node {
    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(found, _)| found.text == key).map(|(_, value)| value)
    }

    /// The entries of a table; none where it is something else.
    pub(super) fn entries(&self) -> &[(Key, Node)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The values of a list; none where it is something else.
    pub(super) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The text of a scalar, empty where it is none.
    pub(super) fn scalar(&self) -> &str {
        match &self.value {
            Value::Scalar { text, .. } => text,
            _ => "",
        }
    }

    /// The text of a scalar that is not nothing.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// A number, also one in quotes: environments fill those in.
    pub(super) fn number(&self) -> Option<f64> {
        self.scalar().trim().parse().ok().filter(|number: &f64| number.is_finite())
    }

    pub(super) fn switch(&self) -> Option<bool> {
        match &self.value {
            Value::Scalar { text, plain: true } => text.to_lowercase().parse().ok(),
            _ => None,
        }
    }

    /// Whether a scalar is a text, and not a number, a switch or nothing.
    pub(super) fn is_text(&self) -> bool {
        match &self.value {
            Value::Scalar { plain: false, .. } => true,
            Value::Scalar { text, plain: true } => {
                !self.is_null()
                    && self.switch().is_none()
                    && serde_json::from_str::<serde_json::Number>(text).is_err()
            }
            _ => false,
        }
    }

    /// A scalar that is not a text, as JSON has it.
    pub(super) fn json_scalar(&self) -> String {
        if self.is_null() { "null".to_owned() } else { self.scalar().to_lowercase() }
    }

    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::List(_) => "a list",
            Value::Map(_) => "a table",
            Value::Scalar { .. } if self.is_null() => "nothing",
            Value::Scalar { .. } => "a single value",
        }
    }
}

/// Reads JSON where the text begins like it, YAML otherwise.
pub(super) fn read(text: &str) -> Result<Node, ConvertError> {
    if text.trim_start().starts_with('{') {
        // YAML in braces begins like JSON and is none.
        json(text).or_else(|error| yaml(text).map_err(|_| error))
    } else {
        yaml(text)
    }
}

/// Reads JSON.
pub(super) fn json(text: &str) -> Result<Node, ConvertError> {
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| {
        ConvertError::at(error.line(), Some(error.column()), format!("not valid JSON: {error}"))
    })?;
    let breaks = text.match_indices('\n').map(|(at, _)| at).collect();
    Json { text, breaks, nodes: 0 }.node(raw, 0)
}

struct Json<'t> {
    text: &'t str,
    breaks: Vec<usize>,
    nodes: usize,
}

/// The entries of an object, in order and with those that are there twice.
struct Entries<'t>(Vec<(String, &'t RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a table")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        from.deserialize_map(Visitor)
    }
}

impl<'t> Json<'t> {
    fn node(&mut self, raw: &'t RawValue, depth: usize) -> Result<Node, ConvertError> {
        let part = raw.get();
        let (line, column) = self.place(part);
        self.nodes += 1;
        check_size(self.nodes, depth, line)?;
        let wrong =
            |error: serde_json::Error| ConvertError::at(line, Some(column), error.to_string());
        let value = match part.as_bytes().first() {
            Some(b'{') => {
                let Entries(entries) = serde_json::from_str(part).map_err(wrong)?;
                let mut nodes = Vec::new();
                for (text, raw) in entries {
                    let node = self.node(raw, depth + 1)?;
                    nodes.push((Key { line: node.line, text }, node));
                }
                Value::Map(nodes)
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(part).map_err(wrong)?;
                let nodes = items.into_iter().map(|raw| self.node(raw, depth + 1));
                Value::List(nodes.collect::<Result<_, _>>()?)
            }
            Some(b'"') => {
                Value::Scalar { text: serde_json::from_str(part).map_err(wrong)?, plain: false }
            }
            _ => Value::Scalar { text: part.to_owned(), plain: true },
        };
        Ok(Node { line, column, value })
    }

    /// Line and column of a part of the text.
    fn place(&self, part: &str) -> (usize, usize) {
        let at = (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        let line = self.breaks.partition_point(|end| *end < at);
        let begin = line.checked_sub(1).and_then(|it| self.breaks.get(it)).map_or(0, |at| at + 1);
        let before = self.text.get(begin..at).unwrap_or_default();
        (line + 1, before.chars().count() + 1)
    }
}

fn check_size(nodes: usize, depth: usize, line: usize) -> Result<(), ConvertError> {
    if nodes > MOST_NODES {
        return Err(ConvertError::at(
            line,
            None,
            format!("there are more than {MOST_NODES} values"),
        ));
    }
    if depth > DEEPEST {
        return Err(ConvertError::at(line, None, "the values stand too deep in each other"));
    }
    Ok(())
}

/// Reads the first document of a YAML text.
pub(super) fn yaml(text: &str) -> Result<Node, ConvertError> {
    let mut reader = Yaml { parser: Parser::new_from_str(text), anchors: Vec::new(), nodes: 0 };
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
            Event::StreamEnd => return Err(ConvertError::Empty("the file is empty".to_owned())),
            event => return reader.node(event, span, 0),
        }
    }
}

struct Yaml<'t> {
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    /// What has a name, with its number of values.
    anchors: Vec<(usize, Node, usize)>,
    nodes: usize,
}

impl<'t> Yaml<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), ConvertError> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(malformed(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, ConvertError> {
        let (line, column) = (span.start.line(), span.start.col() + 1);
        let before = self.nodes;
        self.nodes += 1;
        check_size(self.nodes, depth, line)?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                (Value::Scalar { text: text.into_owned(), plain }, anchor)
            }
            Event::SequenceStart(anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.map(depth)?, anchor),
            Event::Alias(anchor) => return self.alias(anchor, line),
            _ => return Err(ConvertError::at(line, Some(column), "expected a value")),
        };
        let node = Node { line, column, value };
        if anchor > 0 {
            self.anchors.push((anchor, node.clone(), self.nodes - before));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Value, ConvertError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd | Event::StreamEnd, _) => return Ok(Value::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, ConvertError> {
        let mut entries = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd | Event::StreamEnd) {
                return Ok(Value::Map(entries));
            }
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            if !matches!(key.value, Value::Scalar { .. }) {
                let text = "a key must be a single value";
                return Err(ConvertError::at(key.line, Some(key.column), text));
            }
            entries.push((Key { line: key.line, text: key.scalar().to_owned() }, value));
        }
    }

    fn alias(&mut self, anchor: usize, line: usize) -> Result<Node, ConvertError> {
        // The same name may be given again; the last one counts.
        let found = self.anchors.iter().rev().find(|(id, _, _)| *id == anchor);
        let Some((_, node, nodes)) = found else {
            return Err(ConvertError::at(line, None, "this alias stands within what it names"));
        };
        self.nodes += nodes;
        check_size(self.nodes, 0, line)?;
        Ok(node.clone())
    }
}

fn malformed(error: &ScanError) -> ConvertError {
    let marker = error.marker();
    let text = format!("not valid YAML: {}", error.info());
    ConvertError::Malformed(vec![Problem {
        line: Some(marker.line()),
        column: Some(marker.col() + 1),
        text,
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_their_lines_in_both_languages() {
        for text in ["a:\n  b: [1, 'two']\n", "{\"a\":\n  {\"b\": [1, \"two\"]}}"] {
            let tree = read(text).unwrap();
            let list = tree.get("a").and_then(|a| a.get("b")).unwrap();
            assert_eq!(list.line, 2, "{text}");
            assert_eq!(list.items()[0].number(), Some(1.0));
            assert!(list.items()[1].is_text() && !list.items()[0].is_text());
        }
    }

    #[test]
    fn aliases_cannot_make_it_immense() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..20 {
            let list = vec![format!("*a{}", level - 1); 9].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{list}]\n"));
        }
        assert!(read(&text).is_err());
        assert!(read(&"[".repeat(10_000)).is_err());
        assert!(read(&"{\"a\":".repeat(10_000)).is_err());
    }
}
