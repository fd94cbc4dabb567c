//! `flow`: what a virtual user does, step by step.

use super::config::time;
use super::script::Script;
use crate::convert::draft::{RequestDraft, StepDraft};
use crate::convert::http::{self, Names};
use crate::convert::template::{Template, without_secret};
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

/// A request as it grows.
#[derive(Default)]
struct RequestParts {
    step: StepDraft,
    request: RequestDraft,
    query: Vec<(String, Template)>,
    body: Option<(Template, Option<&'static str>)>,
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
            // Two pauses in a row are one.
            Some(before) => {
                let sum = before.think.unwrap_or_default().saturating_add(pause);
                before.think = (!sum.is_zero()).then_some(sum);
            }
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
        let shown = path.shown();
        let named = node.get("name").and_then(Node::text);
        let wanted = format!("{method} {}", shown.split('?').next().unwrap_or_default());
        parts.request.name = self.names.request(named.unwrap_or(&wanted));
        parts.request.path = with_query(path, parts.query, shown.contains('?'));
        self.default_headers(&mut parts.request);
        // Last: the request itself does not know yet what its response holds.
        for (_, value) in node.entries().iter().filter(|(key, _)| key.text == "capture") {
            each(value, |item| self.capture(item, &mut parts.step));
        }
        if let Some((body, kind)) = parts.body {
            let has_type = parts.request.headers.iter().any(|(name, _)| name == "content-type");
            let kind = kind.filter(|_| !has_type);
            parts
                .request
                .headers
                .extend(kind.map(|kind| ("content-type".to_owned(), Template::plain(kind))));
            parts.request.body = Some(body);
        }
        Some(StepDraft { request: Some(parts.request), ..parts.step })
    }

    /// The path of a request to the target; `None` where it goes elsewhere.
    fn path(&mut self, node: &Node) -> Option<Template> {
        let text = node.scalar().trim();
        if !text.contains("://") {
            let (path, query) = text.split_once('?').map_or((text, None), |(a, b)| (a, Some(b)));
            let mut template = self.script.texts.read(path, node.line).map_text(http::sendable);
            if !path.starts_with('/') {
                let mut whole = Template::plain("/");
                // A path that begins with a value may bring its own `/`.
                whole.append(template);
                template = whole;
            }
            for (index, pair) in query.into_iter().flat_map(|it| it.split('&')).enumerate() {
                template.text(if index == 0 { "?" } else { "&" });
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                template.append(self.script.texts.read(name, node.line).map_text(http::sendable));
                if pair.contains('=') {
                    let value = self.script.texts.read(value, node.line).map_text(http::sendable);
                    template.text("=");
                    template.append(without_secret(name, value));
                }
            }
            return Some(template);
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
        let texts = &self.script.texts;
        match key {
            "url" | "uri" | "name" => {}
            "headers" => {
                for (key, value) in value.entries() {
                    let text = texts.read(value.scalar(), value.line);
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
                let body = http::json_body(value, &|text| texts.read(text, value.line));
                parts.body = Some((body, Some("application/json")));
            }
            "body" => {
                let (body, _) =
                    http::body(value.scalar(), "", &|text| texts.read(text, value.line));
                parts.body = Some((body, None));
            }
            "form" => {
                let form = http::form(value, &|text| texts.read(text, value.line));
                parts.body = Some((form, Some("application/x-www-form-urlencoded")));
            }
            "qs" => {
                for (key, value) in value.entries() {
                    let text = texts.read(value.scalar(), value.line).map_text(http::encoded);
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
        let is_good = |kind: &str, pattern: &str| match kind {
            "json" => jsonpath_rust::parser::parse_json_path(pattern).is_ok(),
            "regex" => regex::bytes::Regex::new(pattern).is_ok(),
            _ => !pattern.trim().is_empty(),
        };
        match (kind, name) {
            (Some((kind, pattern)), Some(name)) if is_good(kind, pattern) => {
                let name = self.script.texts.capture(name);
                step.captures.push((name, kind, pattern.to_owned()));
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

    /// The headers of every request, where it has none of that name.
    fn default_headers(&mut self, request: &mut RequestDraft) {
        for (name, node) in &self.script.headers {
            let text = self.script.texts.read(node.scalar(), node.line);
            let Some((name, text)) = http::header(name, text) else { continue };
            if !request.headers.iter().any(|(known, _)| *known == name) {
                request.headers.push((name, text));
            }
        }
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

fn with_query(mut path: Template, query: Vec<(String, Template)>, mut any: bool) -> Template {
    for (name, value) in query {
        path.text(if any { "&" } else { "?" });
        any = true;
        path.text(&format!("{}=", http::encoded(&name)));
        path.append(without_secret(&name, value));
    }
    path
}
