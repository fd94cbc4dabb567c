//! `flow`: what a virtual user does, step by step.

use super::config::time;
use super::script::Script;
use super::texts;
use crate::convert::draft::{StepDraft, Think, is_pattern};
use crate::convert::http::{self, Names};
use crate::convert::parts::RequestParts;
use crate::convert::template::Template;
use crate::convert::tree::{Node, Value};

/// Actions that send a request, with their methods.
const VERBS: [(&str, &str); 7] = [
    ("get", "GET"),
    ("post", "POST"),
    ("put", "PUT"),
    ("patch", "PATCH"),
    ("delete", "DELETE"),
    ("head", "HEAD"),
    ("options", "OPTIONS"),
];
/// How deep a plan can nest loops.
const DEEPEST: usize = 4;
/// How often a plan can repeat a step.
const MOST_REPEATS: f64 = 10_000.0;

/// The steps of one scenario.
pub(super) struct FlowReader<'f, 's, 'a> {
    pub(super) script: &'f mut Script<'s, 'a>,
    /// Of all requests of the script.
    pub(super) names: &'f mut Names,
}

impl FlowReader<'_, '_, '_> {
    pub(super) fn steps(&mut self, flow: &Node) -> Vec<StepDraft> {
        self.steps_within(flow, 0)
    }

    fn steps_within(&mut self, flow: &Node, depth: usize) -> Vec<StepDraft> {
        let mut steps = Vec::new();
        if depth > DEEPEST {
            self.script.wrong(flow, format!("a plan can nest at most {DEEPEST} loops"));
            return steps;
        }
        if !matches!(flow.value, Value::List(_)) {
            self.script.wrong(flow, "expected a list of steps such as `- get: {url: \"/\"}`");
            return steps;
        }
        for item in flow.items() {
            self.item(item, depth, &mut steps);
        }
        steps
    }

    fn item(&mut self, item: &Node, depth: usize, steps: &mut Vec<StepDraft>) {
        let Some((action, _)) = item.entries().first() else {
            return self.script.wrong(item, format!("expected a step, found {}", item.kind()));
        };
        if let Some(inner) = item.get("loop") {
            return self.group(item, inner, depth, steps);
        }
        for (key, value) in item.entries() {
            let verb = VERBS.iter().find(|(verb, _)| *verb == key.text);
            match key.text.as_str() {
                _ if let Some((_, method)) = verb => steps.extend(self.request(method, value)),
                "think" => self.think(value, steps),
                "parallel" => {
                    let text = "`parallel`: the plan sends these requests one after the other";
                    self.script.artifact.notes.at(key.line, text);
                    steps.extend(self.steps_within(value, depth + 1));
                }
                "log" => {
                    let text = "left out `log`: a journey writes nothing";
                    self.script.artifact.notes.at(key.line, text);
                }
                _ => self.script.unknown(action.line, &key.text, "the flow"),
            }
        }
    }

    fn think(&mut self, value: &Node, steps: &mut [StepDraft]) {
        let Some(pause) = time(value) else {
            let text = "`think` must be a number of seconds, or a time such as `\"500ms\"`";
            return self.script.wrong(value, text);
        };
        match steps.last_mut() {
            Some(before) => before.pause(Think::Fixed(pause)),
            None => {
                let text = "left out a pause before the first request";
                self.script.artifact.notes.at(value.line, text);
            }
        }
    }

    fn group(&mut self, item: &Node, inner: &Node, depth: usize, steps: &mut Vec<StepDraft>) {
        let mut repeat = None;
        for (key, value) in item.entries() {
            match key.text.as_str() {
                "loop" => {}
                "count" => {
                    let count = value.number().filter(|count| *count >= 1.0);
                    repeat = count.map(|count| count.min(MOST_REPEATS) as u64);
                    if count.is_some_and(|count| count > MOST_REPEATS) {
                        let text = format!("a plan can repeat a step at most {MOST_REPEATS} times");
                        self.script.artifact.notes.at(value.line, text);
                    }
                    if count.is_none() {
                        let text = "`count` must be a whole number above zero";
                        self.script.wrong(value, text);
                    }
                }
                "over" | "whileTrue" => {
                    let text = format!("`{}`: the plan takes these steps once", key.text);
                    self.script.artifact.notes.at(key.line, text);
                }
                _ => self.script.unknown(key.line, &key.text, "the loop"),
            }
        }
        let inner = self.steps_within(inner, depth + 1);
        if !inner.is_empty() {
            steps.push(StepDraft { steps: inner, repeat, ..StepDraft::default() });
        }
    }

    fn request(&mut self, method: &str, node: &Node) -> Option<StepDraft> {
        let url = match &node.value {
            Value::Scalar { .. } => Some(node),
            _ => node.get("url").or_else(|| node.get("uri")),
        };
        let Some(url) = url.filter(|url| url.text().is_some()) else {
            self.script.wrong(node, "the request needs a `url`, such as `url: \"/\"`");
            return None;
        };
        let path = self.path(url)?;
        let mut parts = RequestParts::default();
        parts.request.method = method.to_owned();
        for (key, value) in node.entries().iter().filter(|(key, _)| key.text != "capture") {
            self.part(&key.text, key.line, value, &mut parts);
        }
        let defaults = self.default_headers();
        // Last: the request itself does not know yet what its response holds.
        for (_, value) in node.entries().iter().filter(|(key, _)| key.text == "capture") {
            each(value, |item| self.capture(item, &mut parts.step));
        }
        let named = node.get("name").and_then(Node::text);
        Some(parts.finish(path, named, defaults, self.names))
    }

    /// The path of a request to the target; `None` where it goes elsewhere.
    fn path(&mut self, node: &Node) -> Option<Template> {
        let text = node.scalar().trim();
        if !text.contains("://") {
            return Some(http::path_of(texts::read(&self.script.values, text, node.line)));
        }
        let address = match http::address(text) {
            Ok(address) if !text.contains("{{") => address,
            _ => {
                let text = "left out a request: its `url` is not a valid URL, or has variables and a host; write `/path`";
                self.script.artifact.notes.at(node.line, text);
                return None;
            }
        };
        let target = self.script.draft.url.get_or_insert_with(|| address.base.clone());
        if !target.starts_with(&address.base) {
            let text = format!("left out a request to `{}`: a plan has one target", address.base);
            self.script.artifact.notes.at(node.line, text);
            return None;
        }
        Some(address.path)
    }

    fn part(&mut self, key: &str, line: usize, value: &Node, parts: &mut RequestParts) {
        let values = &self.script.values;
        match key {
            "url" | "uri" | "name" => {}
            "headers" => {
                for (key, value) in value.entries() {
                    let text = texts::read(values, value.scalar(), value.line);
                    match http::header(&key.text, text) {
                        Some(header) => parts.request.headers.push(header),
                        None => {
                            let text = format!("left out the header `{}`", key.text.escape_debug());
                            self.script.artifact.notes.at(key.line, text);
                        }
                    }
                }
            }
            "json" => {
                let body = http::json_body(value, &|text| texts::read(values, text, value.line));
                parts.body = Some((body, Some("application/json")));
            }
            "body" => {
                let (body, _) =
                    http::body(value.scalar(), "", &|text| texts::read(values, text, value.line));
                parts.body = Some((body, None));
            }
            "form" => {
                let form = http::form(value, &|text| texts::read(values, text, value.line));
                parts.body = Some((form, Some("application/x-www-form-urlencoded")));
            }
            "qs" => {
                for (key, value) in value.entries() {
                    let text =
                        texts::read(values, value.scalar(), value.line).map_text(http::encoded);
                    parts.query.push((key.text.clone(), text));
                }
            }
            "expect" | "match" => each(value, |item| self.expect(key, item, &mut parts.step)),
            _ => self.script.unknown(line, key, "the request"),
        }
    }

    fn capture(&mut self, node: &Node, step: &mut StepDraft) {
        let kinds = [("json", "json"), ("regexp", "regex"), ("header", "header")];
        let kind = kinds.iter().find_map(|(theirs, ours)| Some((*ours, node.get(theirs)?.text()?)));
        let name = node.get("as").and_then(Node::text);
        let known = ["json", "regexp", "header", "as", "strict"];
        for (key, _) in node.entries().iter().filter(|(key, _)| !known.contains(&key.text.as_str()))
        {
            self.script.unknown(key.line, &key.text, "`capture`");
        }
        match (kind, name) {
            (Some((kind, pattern)), Some(name)) if is_pattern(kind, pattern) => {
                let name = self.script.values.capture(name);
                step.capture(&name, kind, pattern);
            }
            _ => {
                let text =
                    "left out a `capture`: it needs a valid `json`, `regexp` or `header`, and `as`";
                self.script.artifact.notes.at(node.line, text);
            }
        }
    }

    fn expect(&mut self, of: &str, node: &Node, step: &mut StepDraft) {
        if let (Some(path), Some(value)) = (node.get("json"), node.get("value"))
            && let Some(found) = found(path.scalar(), value)
        {
            step.found.push(found);
            return;
        }
        for (key, value) in node.entries() {
            let status = |node: &Node| {
                let status = node.number().filter(|status| (100.0..600.0).contains(status));
                status.map(|status| status as u16)
            };
            match key.text.as_str() {
                "statusCode" => {
                    let list = value.items().iter().filter_map(status);
                    step.statuses.extend(status(value).into_iter().chain(list));
                }
                "contentType" if value.scalar() == "json" => {
                    let kind = ("content-type".to_owned(), "application/json".to_owned());
                    step.expected.push(kind);
                }
                "contentType" if value.scalar().contains('/') => {
                    step.expected.push(("content-type".to_owned(), value.scalar().to_owned()));
                }
                "hasHeader" if value.text().is_some_and(is_token) => {
                    step.expected.push((value.scalar().to_ascii_lowercase(), String::new()));
                }
                "headerEquals" if value.items().len() == 2 => {
                    let pair = [&value.items()[0], &value.items()[1]].map(Node::scalar);
                    step.expected.push((pair[0].to_ascii_lowercase(), pair[1].to_owned()));
                }
                _ => self.script.unknown(key.line, &key.text, &format!("`{of}`")),
            }
        }
    }

    /// The headers of every request of the script.
    fn default_headers(&self) -> Vec<(String, Template)> {
        let read = |(name, node): &(String, Node)| {
            http::header(name, texts::read(&self.script.values, node.scalar(), node.line))
        };
        self.script.headers.iter().filter_map(read).collect()
    }
}

/// `{ json: "$.ok", value: true }` as a plan has it; `None` where it is more than that.
fn found(path: &str, value: &Node) -> Option<(String, toml_edit::Value)> {
    let text = value.text().filter(|text| !text.contains("{{"))?;
    jsonpath_rust::parser::parse_json_path(path).ok()?;
    let whole = || text.parse::<i64>().ok().map(toml_edit::Value::from);
    let wanted = match value.switch() {
        Some(switch) => switch.into(),
        None if value.is_text() => text.replace("${", "$${").into(),
        None => whole().or_else(|| value.number().map(toml_edit::Value::from))?,
    };
    Some((path.to_owned(), wanted))
}

/// Whether a text can be the name of a header.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}

/// One table, or a list of them.
fn each(node: &Node, mut take: impl FnMut(&Node)) {
    match &node.value {
        Value::List(items) => items.iter().for_each(take),
        _ => take(node),
    }
}
