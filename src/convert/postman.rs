//! Postman collections 2.0 and 2.1 (<https://schema.postman.com/>): one journey, whose steps are
//! the requests in the order in which a run of the collection sends them.

use std::sync::LazyLock;

use regex::Regex;

use super::artifact::Artifact;
use super::draft::{Data, Draft, JourneyDraft, is_pattern};
use super::http::{self, Names, OneTarget};
use super::parts::{Multipart, RequestParts};
use super::template::{Template, without_secret};
use super::tree::{self, Node, Value};
use super::values::{Values, read_between};
use super::{ConvertError, ConverterSpec};
use crate::plan::{METHODS, is_secret_name};

pub(super) static SPEC: ConverterSpec = ConverterSpec {
    name: "postman",
    summary: "Postman collections 2.1: one journey of their requests, in order",
    options: &[],
    looks: |begin| {
        begin.trim_start().starts_with('{')
            && begin.contains("\"info\"")
            && (begin.contains("_postman_id") || begin.contains("schema.getpostman.com"))
    },
    convert,
};

/// Most steps of the journey.
const MOST_STEPS: usize = 500;
/// How deep folders may stand in each other.
const DEEPEST: usize = 30;

/// What a folder gives to the requests in it.
#[derive(Clone, Copy, Default)]
struct Folder<'n> {
    auth: Option<&'n Node>,
    name: &'n str,
}

struct Reader<'r, 'a> {
    artifact: &'r mut Artifact<'a>,
    values: Values,
    target: OneTarget,
    names: Names,
    journey: JourneyDraft,
    left_off: usize,
}

fn convert(artifact: &mut Artifact<'_>) -> Result<Draft, ConvertError> {
    let text = artifact.text()?;
    let collection = tree::json(&text)?;
    drop(text);
    // As the API gives it.
    let collection = collection.get("collection").unwrap_or(&collection);
    let Some(items) = collection.get("item").map(Node::items).filter(|items| !items.is_empty())
    else {
        return Err(ConvertError::Empty("the collection holds no request".to_owned()));
    };
    let mut reader = Reader {
        artifact,
        values: Values::default(),
        target: OneTarget::default(),
        names: Names::default(),
        journey: JourneyDraft::default(),
        left_off: 0,
    };
    reader.variables(collection);
    let folder = Folder { auth: collection.get("auth"), name: "" };
    reader.scripts(collection, None);
    reader.items(items, folder, 0);
    let name = collection.get("info").and_then(|info| info.get("name")).and_then(Node::text);
    reader.finish(name.unwrap_or("collection"))
}

impl Reader<'_, '_> {
    fn variables(&mut self, collection: &Node) {
        for variable in collection.get("variable").map_or(&[][..], Node::items) {
            let Some(name) = text_of(variable, "key").or_else(|| text_of(variable, "id")) else {
                continue;
            };
            let text = text_of(variable, "value").unwrap_or_default();
            let is_secret = is_secret_name(name) || text_of(variable, "type") == Some("secret");
            if text.is_empty() {
                // Such as one that a script or an environment sets.
                continue;
            }
            if is_secret && !text.contains("{{") {
                let text = format!("the plan takes `{name}` from an environment variable");
                self.artifact.notes.at(variable.line, text);
                self.values.stand_for(name, Template::secret(name));
            } else {
                let value = self.read(text, variable.line);
                self.values.stand_for(name, value);
            }
        }
    }

    /// Reads a text of the collection.
    fn read(&self, text: &str, line: usize) -> Template {
        read_between(text, ("{{", "}}"), |inside, template| {
            if let Some(value) = self.values.get(inside) {
                return template.append(value.clone());
            }
            template.value(&match inside {
                "$guid" | "$randomUUID" => self.values.made(inside, "uuid", Data::Uuid),
                "$randomInt" => self.values.made(inside, "random_0_1000", Data::Range(0, 1000)),
                _ => self.values.unknown(inside, inside.trim_start_matches('$'), line),
            });
        })
    }

    fn items(&mut self, items: &[Node], folder: Folder<'_>, depth: usize) {
        for item in items {
            let name = text_of(item, "name").unwrap_or_default();
            if let Some(inner) = item.get("item") {
                if depth >= DEEPEST {
                    self.artifact.notes.lost_at(item.line, "folders too deep in each other");
                    continue;
                }
                self.scripts(item, None);
                let auth = item.get("auth").or(folder.auth);
                self.items(inner.items(), Folder { auth, name }, depth + 1);
            } else if let Some(request) = item.get("request") {
                if self.journey.steps.len() >= MOST_STEPS {
                    self.left_off += 1;
                } else {
                    self.request(item, request, folder);
                }
            }
        }
    }

    fn request(&mut self, item: &Node, request: &Node, folder: Folder<'_>) {
        let method = text_of(request, "method").unwrap_or("GET").to_ascii_uppercase();
        if !METHODS.contains(&method.as_str()) {
            let text = "a request with a method that a plan does not have";
            return self.artifact.notes.lost_at(item.line, text);
        }
        let url = if request.text().is_some() { Some(request) } else { request.get("url") };
        let Some(url) = url.and_then(|url| self.url(url)) else {
            return self.artifact.notes.lost_at(item.line, "a request without a URL");
        };
        let path = self.target.path(&url, item.line, &mut self.artifact.notes);
        let Some(path) = path else { return };
        let mut parts = RequestParts::default();
        parts.request.method = method;
        if !folder.name.is_empty() {
            parts.request.tag("folder", folder.name);
        }
        for header in request.get("header").map_or(&[][..], Node::items) {
            if is_on(header) {
                let value = self.read(text_of(header, "value").unwrap_or_default(), header.line);
                self.header(text_of(header, "key").unwrap_or_default(), value, header, &mut parts);
            }
        }
        if let Some(auth) = request.get("auth").or(folder.auth) {
            self.auth(auth, &mut parts);
        }
        if let Some(body) = request.get("body") {
            self.body(body, &mut parts);
        }
        let step = parts.finish(path, text_of(item, "name"), [], &mut self.names);
        self.journey.steps.push(step);
        let last = self.journey.steps.len() - 1;
        self.scripts(item, Some(last));
    }

    fn header(&mut self, name: &str, value: Template, node: &Node, parts: &mut RequestParts) {
        match http::header(name, value) {
            Some((name, value)) => {
                parts.request.headers.retain(|(known, _)| *known != name);
                parts.request.headers.push((name, value));
            }
            None => {
                let text = format!("left out the header `{}`", name.escape_debug());
                self.artifact.notes.at(node.line, text);
            }
        }
    }

    /// The address of a request, with the values of its `:name` parts.
    fn url(&mut self, url: &Node) -> Option<Template> {
        let raw = match url.text() {
            Some(text) => text.to_owned(),
            None => match text_of(url, "raw") {
                Some(raw) => raw.to_owned(),
                None => joined(url)?,
            },
        };
        let mut text = raw.trim().to_owned();
        for variable in url.get("variable").map_or(&[][..], Node::items) {
            let Some(name) = text_of(variable, "key").filter(|name| !name.is_empty()) else {
                continue;
            };
            let value = text_of(variable, "value").unwrap_or_default();
            let parts = text.split('/').map(|part| {
                let (own, query) = part.split_at(part.find('?').unwrap_or(part.len()));
                match own.strip_prefix(':') == Some(name) {
                    true => format!("{value}{query}"),
                    false => part.to_owned(),
                }
            });
            text = parts.collect::<Vec<_>>().join("/");
        }
        if text.is_empty() {
            return None;
        }
        // Postman adds the scheme where there is none.
        let is_whole = text.contains("://") || text.starts_with("{{") || text.starts_with('/');
        let text = if is_whole { text } else { format!("http://{text}") };
        Some(self.read(&text, url.line))
    }

    fn auth(&mut self, auth: &Node, parts: &mut RequestParts) {
        let kind = text_of(auth, "type").unwrap_or("noauth");
        let value = |name: &str| -> Option<&str> {
            let of = auth.get(kind)?;
            // A list in 2.1, a table in 2.0.
            let in_list = of.items().iter().find(|entry| text_of(entry, "key") == Some(name));
            in_list.and_then(|entry| text_of(entry, "value")).or_else(|| text_of(of, name))
        };
        match kind {
            "noauth" => {}
            "bearer" => {
                let mut text = Template::plain("Bearer ");
                let token = value("token").unwrap_or_default();
                text.append(self.read(token, auth.line));
                self.header("authorization", text, auth, parts);
            }
            "basic" => {
                let mut text = Template::plain("Basic ");
                text.variable("BASIC_AUTH");
                let note = "the plan takes `user:password` in base64 from `BASIC_AUTH`";
                self.artifact.notes.at(auth.line, note);
                self.header("authorization", text, auth, parts);
            }
            "apikey" => {
                let name = value("key").unwrap_or("x-api-key");
                let text = self.read(value("value").unwrap_or_default(), auth.line);
                let text = if text.varies() { text } else { Template::secret(name) };
                match value("in") {
                    Some("query") => {
                        parts.query.push((name.to_owned(), text.map_text(http::encoded)));
                    }
                    _ => self.header(name, text, auth, parts),
                }
            }
            other => {
                let text = format!("a login of the kind `{}`", other.escape_debug());
                self.artifact.notes.lost_at(auth.line, text);
            }
        }
    }

    fn body(&mut self, body: &Node, parts: &mut RequestParts) {
        let pairs = |name: &str| {
            let items = body.get(name).map_or(&[][..], Node::items);
            items.iter().filter(|entry| is_on(entry))
        };
        match text_of(body, "mode").unwrap_or_default() {
            "raw" => {
                let text = self.read(text_of(body, "raw").unwrap_or_default(), body.line);
                let language = body.get("options").and_then(|it| it.get("raw")?.get("language"));
                let kind = match language.and_then(Node::text) {
                    Some("json") => Some("application/json"),
                    Some("xml") => Some("application/xml"),
                    Some("html") => Some("text/html"),
                    Some("javascript") => Some("application/javascript"),
                    _ => Some("text/plain"),
                };
                self.text_body(&text, kind, body, parts);
            }
            "urlencoded" => {
                let mut form = Template::default();
                for entry in pairs("urlencoded") {
                    let name = text_of(entry, "key").unwrap_or_default();
                    let value = self.read(text_of(entry, "value").unwrap_or_default(), entry.line);
                    form.text(if form.is_empty() { "" } else { "&" });
                    form.text(&format!("{}=", http::encoded(name)));
                    form.append(without_secret(name, value.map_text(http::encoded)));
                }
                parts.body = Some((form, Some("application/x-www-form-urlencoded")));
            }
            "graphql" => {
                let of = body.get("graphql");
                let text = |key: &str| of.and_then(|of| text_of(of, key)).unwrap_or_default();
                let variables = text("variables").trim();
                let variables = if variables.is_empty() { "{}" } else { variables };
                let query = serde_json::Value::from(text("query"));
                let text = format!("{{\"query\": {query}, \"variables\": {variables}}}");
                let text = self.read(&text, body.line);
                self.text_body(&text, Some("application/json"), body, parts);
            }
            "formdata" => {
                let mut form = Multipart::default();
                for entry in pairs("formdata") {
                    let name = text_of(entry, "key").unwrap_or_default();
                    if text_of(entry, "type") == Some("file") {
                        self.artifact.notes.lost_at(entry.line, "a file of a form");
                        continue;
                    }
                    let value = self.read(text_of(entry, "value").unwrap_or_default(), entry.line);
                    form.field(name, value);
                }
                form.finish(parts);
            }
            "" => {}
            _ => self.artifact.notes.lost_at(body.line, "a body of another kind"),
        }
    }

    fn text_body(
        &mut self,
        text: &Template,
        kind: Option<&'static str>,
        node: &Node,
        parts: &mut RequestParts,
    ) {
        if text.is_empty() {
            return;
        }
        let (text, secrets) = http::body_of(text, kind.unwrap_or_default());
        if !secrets.is_empty() {
            let text = "replaced a secret in the body by an environment variable";
            self.artifact.notes.at(node.line, text);
        }
        parts.body = Some((text, kind));
    }

    /// What scripts check, and the values that they take from a response; the rest is told.
    fn scripts(&mut self, item: &Node, step: Option<usize>) {
        for event in item.get("event").map_or(&[][..], Node::items) {
            let Some(script) = event.get("script").and_then(|script| script.get("exec")) else {
                continue;
            };
            let lines = match &script.value {
                Value::List(lines) => lines.iter().map(Node::scalar).collect::<Vec<_>>(),
                _ => script.scalar().lines().collect(),
            };
            let text = lines.join("\n");
            let rest = match step.filter(|_| text_of(event, "listen") == Some("test")) {
                Some(step) => self.tests(&text, step),
                None => text.contains("pm."),
            };
            if rest {
                let kind = match text_of(event, "listen") {
                    Some("prerequest") => "a script before the request",
                    _ => "a part of a script after the request",
                };
                self.artifact.notes.lost_at(script.line, kind);
            }
        }
    }

    /// Reads the usual lines of a test; whether there are others.
    fn tests(&mut self, text: &str, step: usize) -> bool {
        static STATUS: LazyLock<Regex> = LazyLock::new(|| {
            form(
                r"pm\.response\.to\.have\.status\((\d{3})\)|pm\.response\.code\)\.to\.(?:eql|equal|be\.oneOf)\(\[?([\d, ]+)\]?\)",
            )
        });
        static TAKEN: LazyLock<Regex> = LazyLock::new(|| {
            form(
                r#"pm\.(?:environment|collectionVariables|globals|variables)\.set\(\s*["']([^"']+)["']\s*,\s*(?:pm\.response\.json\(\)|\w+)((?:\.\w+|\[\d+\]|\[["']\w+["']\])+)\s*\)"#,
            )
        });
        let Some(place) = self.journey.steps.get_mut(step) else { return false };
        let mut read = 0;
        for found in STATUS.captures_iter(text) {
            read += 1;
            let codes = found.get(1).or_else(|| found.get(2)).map_or("", |codes| codes.as_str());
            let codes = codes.split(',').filter_map(|code| code.trim().parse().ok());
            place.statuses.extend(codes.filter(|code: &u16| (100..600).contains(code)));
        }
        for found in TAKEN.captures_iter(text) {
            let path = format!("${}", &found[2]);
            if is_pattern("json", &path) {
                read += 1;
                let name = self.values.capture(&found[1]);
                place.capture(&name, "json", &path);
            }
        }
        let lines = text.lines().filter(|line| {
            line.contains("pm.expect")
                || line.contains("pm.response.to")
                || line.contains(".set(")
                || line.contains("pm.sendRequest")
        });
        lines.count() > read
    }

    fn finish(self, name: &str) -> Result<Draft, ConvertError> {
        let Self { artifact, values, target, mut names, mut journey, left_off, .. } = self;
        if journey.steps.is_empty() {
            let text = "none of the requests of the collection can be sent";
            return Err(ConvertError::Empty(text.to_owned()));
        }
        if left_off > 0 {
            artifact.notes.add(format!(
                "left out {left_off} requests: a journey has at most {MOST_STEPS} steps"
            ));
        }
        artifact.seen.push(format!("{} requests", journey.steps.len()));
        journey.name = names.request(name);
        let mut draft = Draft { url: target.base, journeys: vec![journey], ..Draft::default() };
        values.finish(&mut draft, &mut artifact.notes, |name| format!("{{{{{name}}}}}"));
        let text = "Set [load]. Without it, kneepoint searches for the breakpoint.";
        draft.comments.push(text.to_owned());
        Ok(draft)
    }
}

/// A pattern of this file.
fn form(pattern: &str) -> Regex {
    // Checked by every test of this format.
    Regex::new(pattern).unwrap_or_else(|why| unreachable!("{why}"))
}

fn text_of<'n>(node: &'n Node, key: &str) -> Option<&'n str> {
    node.get(key).and_then(Node::text)
}

fn is_on(entry: &Node) -> bool {
    entry.get("disabled").and_then(Node::switch) != Some(true)
}

/// An address of its parts.
fn joined(url: &Node) -> Option<String> {
    let list = |key: &str, between: &str| {
        let node = url.get(key)?;
        match node.text() {
            Some(text) => Some(text.to_owned()),
            None => {
                let parts: Vec<&str> = node.items().iter().map(Node::scalar).collect();
                Some(parts.join(between))
            }
        }
    };
    let host = list("host", ".")?;
    let scheme = match text_of(url, "protocol") {
        Some(scheme) => format!("{scheme}://"),
        None => String::new(),
    };
    let port = text_of(url, "port").map_or_else(String::new, |port| format!(":{port}"));
    let path = list("path", "/").unwrap_or_default();
    let pairs = url.get("query").map_or(&[][..], Node::items).iter().filter(|pair| is_on(pair));
    let pairs = pairs.map(|pair| {
        let part = |key: &str| text_of(pair, key).unwrap_or_default();
        format!("{}={}", part("key"), part("value"))
    });
    let query = pairs.collect::<Vec<_>>().join("&");
    let query = if query.is_empty() { query } else { format!("?{query}") };
    Some(format!("{scheme}{host}{port}/{}{query}", path.trim_start_matches('/')))
}
