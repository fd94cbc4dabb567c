//! Values from schemas: an example where there is one, otherwise something of the right shape.

use crate::convert::draft::Data;
use crate::convert::tree::{Key, Node, Value};

/// How deep a value is made up; schemas may name themselves.
const DEEPEST: usize = 8;
/// How many values one body is made up of.
const MOST_VALUES: usize = 500;
/// How many references are followed to one place.
const MOST_STEPS: usize = 20;
/// Ends of a range that has none.
const USUAL_RANGE: (i64, i64) = (1, 100);

/// The schemas of one description.
#[derive(Clone, Copy)]
pub(super) struct Schemas<'r> {
    pub(super) root: &'r Node,
}

/// A made up value; it has no place.
pub(super) fn node(value: Value) -> Node {
    Node { line: 0, column: 0, value }
}

pub(super) fn key(text: &str) -> Key {
    Key { line: 0, text: text.to_owned() }
}

fn text(text: &str) -> Node {
    node(Value::Scalar { text: text.to_owned(), plain: false })
}

fn plain(text: &str) -> Node {
    node(Value::Scalar { text: text.to_owned(), plain: true })
}

/// What a schema allows, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Whole,
    Number,
    Switch,
    List,
    Table,
    Nothing,
}

impl<'r> Schemas<'r> {
    /// What a `$ref` leads to; the node itself where it has none, or leads nowhere in this file.
    pub(super) fn resolve(self, node: &'r Node) -> &'r Node {
        let mut node = node;
        for _ in 0..MOST_STEPS {
            let Some(reference) = node.get("$ref").and_then(Node::text) else { return node };
            let Some(pointer) = reference.strip_prefix("#/") else { return node };
            let part = |node: &'r Node, part: &str| {
                let part = percent_encoding::percent_decode_str(part).decode_utf8_lossy();
                node.get(&part.replace("~1", "/").replace("~0", "~"))
            };
            let Some(found) = pointer.split('/').try_fold(self.root, part) else { return node };
            node = found;
        }
        node
    }

    /// The example of a body.
    pub(super) fn media_example(self, media: &'r Node) -> Option<&'r Node> {
        let examples = media.get("examples").map_or(&[][..], Node::entries);
        let first = examples.first().and_then(|(_, node)| self.resolve(node).get("value"));
        media.get("example").or(first)
    }

    /// Data for a parameter, and whether they are made up.
    pub(super) fn data(self, parameter: Option<&'r Node>) -> (Data, bool) {
        let Some(parameter) = parameter else { return (list(&["example"]), true) };
        // In Swagger 2 the parameter is its own schema.
        let schema = parameter.get("schema").map_or(parameter, |schema| self.resolve(schema));
        let examples = parameter.get("examples").map_or(&[][..], Node::entries);
        let mut values: Vec<String> = examples
            .iter()
            .filter_map(|(_, node)| self.resolve(node).get("value").and_then(scalar))
            .collect();
        values.extend(parameter.get("example").and_then(scalar));
        let schema = match kind(schema) {
            Some(Kind::List) => schema.get("items").map_or(schema, |items| self.resolve(items)),
            _ => schema,
        };
        if values.is_empty() {
            let of = |key| schema.get(key).map_or(&[][..], Node::items);
            values.extend(of("enum").iter().chain(of("examples")).filter_map(scalar));
        }
        if values.is_empty() {
            let of = |key| schema.get(key).and_then(scalar);
            values.extend(of("example").or_else(|| of("const")).or_else(|| of("default")));
        }
        values.dedup();
        if !values.is_empty() {
            return (Data::List(values), false);
        }
        match kind(schema) {
            Some(Kind::Whole | Kind::Number) => {
                let (range, given) = range(schema);
                (Data::Range(range.0, range.1), !given)
            }
            Some(Kind::Switch) => (list(&["true", "false"]), false),
            _ => (list(&[&sample(schema)]), true),
        }
    }

    /// A value of the shape that a schema asks for.
    pub(super) fn make(self, schema: &'r Node) -> Node {
        let mut maker = Maker { schemas: self, within: Vec::new(), made: 0 };
        maker.make(schema).unwrap_or_else(|| node(Value::Map(Vec::new())))
    }
}

/// Makes up one value.
struct Maker<'r> {
    schemas: Schemas<'r>,
    /// The schemas that are being made up: one that comes again would have no end.
    within: Vec<*const Node>,
    made: usize,
}

impl<'r> Maker<'r> {
    /// A value; `None` where there would be no end of it.
    fn make(&mut self, schema: &'r Node) -> Option<Node> {
        let schema = self.schemas.resolve(schema);
        self.made += 1;
        let again = self.within.contains(&std::ptr::from_ref(schema));
        if again || self.within.len() > DEEPEST || self.made > MOST_VALUES {
            return None;
        }
        let example = schema.get("examples").and_then(|list| list.items().first());
        let example = schema.get("example").or(example).or_else(|| schema.get("const"));
        let chosen = schema.get("enum").and_then(|list| list.items().first());
        if let Some(given) = example.or_else(|| schema.get("default")).or(chosen) {
            return Some(given.clone());
        }
        self.within.push(schema);
        let made = self.make_up(schema);
        self.within.pop();
        made
    }

    fn make_up(&mut self, schema: &'r Node) -> Option<Node> {
        if let Some(parts) = schema.get("allOf").map(Node::items) {
            return Some(self.together(schema, parts));
        }
        for choice in ["oneOf", "anyOf"] {
            let options = schema.get(choice).map_or(&[][..], Node::items);
            // `null` is a choice, and no example.
            let some = |it: &&Node| kind(self.schemas.resolve(it)) != Some(Kind::Nothing);
            if let Some(option) = options.iter().find(some) {
                return self.make(option);
            }
        }
        Some(match kind(schema) {
            Some(Kind::Table) => node(Value::Map(self.table(schema))),
            Some(Kind::List) => {
                let item = schema.get("items").and_then(|item| self.make(item));
                node(Value::List(item.into_iter().collect()))
            }
            Some(Kind::Whole | Kind::Number) => plain(&range(schema).0.0.to_string()),
            Some(Kind::Switch) => plain("true"),
            Some(Kind::Text) => text(&sample(schema)),
            Some(Kind::Nothing) => plain("null"),
            None => node(Value::Map(Vec::new())),
        })
    }

    /// The properties that must be there, all where none must.
    fn table(&mut self, schema: &'r Node) -> Vec<(Key, Node)> {
        let required = schema.get("required").map_or(&[][..], Node::items);
        let mut entries = Vec::new();
        for (name, property) in schema.get("properties").map_or(&[][..], Node::entries) {
            let resolved = self.schemas.resolve(property);
            let read_only = resolved.get("readOnly").and_then(Node::switch) == Some(true);
            let wanted = required.is_empty() || required.iter().any(|it| it.scalar() == name.text);
            if !read_only && wanted {
                entries.extend(self.make(property).map(|made| (key(&name.text), made)));
            }
        }
        entries
    }

    fn together(&mut self, schema: &'r Node, parts: &'r [Node]) -> Node {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut other = None;
        let mut all: Vec<Node> = parts.iter().filter_map(|part| self.make(part)).collect();
        all.push(node(Value::Map(self.table(schema))));
        for part in all {
            match part.value {
                Value::Map(found) => {
                    for (name, value) in found {
                        if !entries.iter().any(|(known, _)| known.text == name.text) {
                            entries.push((name, value));
                        }
                    }
                }
                _ => other = Some(part),
            }
        }
        match other {
            Some(other) if entries.is_empty() => other,
            _ => node(Value::Map(entries)),
        }
    }
}

fn list(texts: &[&str]) -> Data {
    Data::List(texts.iter().map(|text| (*text).to_owned()).collect())
}

fn scalar(node: &Node) -> Option<String> {
    node.text().map(str::to_owned)
}

fn kind(schema: &Node) -> Option<Kind> {
    let named = |name: &str| match name {
        "string" | "file" => Some(Kind::Text),
        "integer" => Some(Kind::Whole),
        "number" => Some(Kind::Number),
        "boolean" => Some(Kind::Switch),
        "array" => Some(Kind::List),
        "object" => Some(Kind::Table),
        "null" => Some(Kind::Nothing),
        _ => None,
    };
    let given = schema.get("type").and_then(|kind| match &kind.value {
        // OpenAPI 3.1: `type: [string, "null"]`.
        Value::List(kinds) => kinds.iter().filter_map(|kind| named(kind.scalar())).next(),
        _ => named(kind.scalar()),
    });
    let implied = || {
        let has = |key| schema.get(key).is_some();
        let table = (has("properties") || has("additionalProperties")).then_some(Kind::Table);
        table.or_else(|| has("items").then_some(Kind::List))
    };
    given.or_else(implied)
}

/// The whole numbers that a schema allows, and whether it says so itself.
fn range(schema: &Node) -> ((i64, i64), bool) {
    let number = |key: &str| schema.get(key).and_then(Node::number);
    // OpenAPI 3.0 has a boolean next to the limit, 3.1 has a second limit.
    let excludes = |key: &str| schema.get(key).and_then(Node::switch) == Some(true);
    let step = |key: &str| if excludes(key) { 1 } else { 0 };
    let within = |number: f64| number.clamp(-1e15, 1e15) as i64;
    let first = number("minimum")
        .map(|it| within(it.ceil()) + step("exclusiveMinimum"))
        .or_else(|| number("exclusiveMinimum").map(|it| within(it.floor()) + 1));
    let last = number("maximum")
        .map(|it| within(it.floor()) - step("exclusiveMaximum"))
        .or_else(|| number("exclusiveMaximum").map(|it| within(it.ceil()) - 1));
    let given = first.is_some() && last.is_some();
    let (usual_first, usual_last) = USUAL_RANGE;
    let first = first.unwrap_or_else(|| last.map_or(usual_first, |last| usual_first.min(last)));
    let last = last.unwrap_or_else(|| first.saturating_add(usual_last - usual_first));
    ((first, last.max(first)), given)
}

/// A text of the form that a schema names.
fn sample(schema: &Node) -> String {
    let text = match schema.get("format").map_or("", Node::scalar) {
        "uuid" => "00000000-0000-4000-8000-000000000001",
        "date" => "2026-01-31",
        "date-time" => "2026-01-31T12:00:00Z",
        "email" => "user@example.com",
        "uri" | "url" => "http://example.com/",
        "ipv4" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        "hostname" => "example.com",
        "byte" => "ZXhhbXBsZQ==",
        _ => "example",
    };
    let length = |key: &str| schema.get(key).and_then(Node::number);
    let mut text = text.to_owned();
    let least = length("minLength").map_or(0, |least| least.clamp(0.0, 1000.0) as usize);
    while text.len() < least {
        text.push('x');
    }
    if let Some(most) = length("maxLength") {
        text.truncate(most.max(0.0) as usize);
    }
    text
}
