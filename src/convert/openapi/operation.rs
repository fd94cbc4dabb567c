//! One operation → one request.

use super::reader::Reader;
use crate::convert::draft::RequestDraft;
use crate::convert::http;
use crate::convert::template::Template;
use crate::convert::tree::{Node, Value};
use crate::plan::is_secret_name;

/// An operation while it becomes a request.
pub(super) struct Operation<'o, 'r, 'a> {
    pub(super) reader: &'o mut Reader<'r, 'a>,
    /// The path's own table, whose parameters hold for each operation.
    pub(super) item: &'r Node,
    pub(super) node: &'r Node,
    pub(super) path: &'r str,
    pub(super) request: RequestDraft,
    pub(super) query: Vec<(String, Template)>,
}

/// A parameter: where it stands, what it is called.
struct Parameter<'r> {
    place: &'r str,
    name: &'r str,
    required: bool,
    node: &'r Node,
}

impl<'r> Operation<'_, 'r, '_> {
    pub(super) fn read(mut self) -> RequestDraft {
        let parameters = self.parameters();
        self.fill_path(&parameters);
        for parameter in &parameters {
            self.parameter(parameter);
        }
        if self.reader.old {
            self.old_body(&parameters);
        } else if let Some(body) = self.node.get("requestBody") {
            self.body(self.reader.schemas.resolve(body));
        }
        self.reader.secure(self.node, &mut self.request, &mut self.query);
        for (index, (name, value)) in std::mem::take(&mut self.query).into_iter().enumerate() {
            self.request.path.text(if index == 0 { "?" } else { "&" });
            self.request.path.text(&format!("{}=", http::sendable(&name)));
            self.request.path.append(value);
        }
        self.request
    }

    /// The operation's own parameters, and those of its path that it does not replace.
    fn parameters(&self) -> Vec<Parameter<'r>> {
        let mut parameters: Vec<Parameter<'r>> = Vec::new();
        for owner in [self.node, self.item] {
            for node in owner.get("parameters").map_or(&[][..], Node::items) {
                let node = self.reader.schemas.resolve(node);
                let text = |key| node.get(key).and_then(Node::text);
                let (Some(place), Some(name)) = (text("in"), text("name")) else { continue };
                let required = node.get("required").and_then(Node::switch).unwrap_or(false);
                let same = |known: &Parameter<'_>| known.place == place && known.name == name;
                if !parameters.iter().any(same) {
                    parameters.push(Parameter { place, name, required, node });
                }
            }
        }
        parameters
    }

    /// `/pets/{petId}` with a value for each name, also for those that no parameter describes.
    fn fill_path(&mut self, parameters: &[Parameter<'r>]) {
        let mut rest = self.path.split(['?', '#']).next().unwrap_or_default();
        while let Some((before, behind)) = rest.split_once('{') {
            let Some((name, behind)) = behind.split_once('}') else { break };
            self.request.path.text(&http::sendable(before));
            let described = parameters.iter().find(|it| it.place == "path" && it.name == name);
            let value = self.value(name, described.map(|it| it.node));
            self.request.path.append(value);
            rest = behind;
        }
        self.request.path.text(&http::sendable(rest));
    }

    /// A value for a parameter, drawn from data of its name.
    fn value(&mut self, name: &str, node: Option<&'r Node>) -> Template {
        let (data, made_up) = self.reader.schemas.data(node);
        let name = self.reader.value(name, data, made_up);
        let mut template = Template::default();
        template.value(&name);
        template
    }

    fn parameter(&mut self, parameter: &Parameter<'r>) {
        let &Parameter { place, name, required, node } = parameter;
        match place {
            "query" | "header" if required => {
                let value = match is_secret_name(name) {
                    true => Template::secret(name),
                    false => self.value(name, Some(node)),
                };
                match place {
                    "query" => self.query.push((name.to_owned(), value)),
                    _ => self.request.headers.extend(http::header(name, value)),
                }
            }
            "cookie" if required => {
                let text = format!("left out the cookie `{}`", name.escape_debug());
                self.reader.artifact.notes.at(node.line, text);
            }
            "query" => self.request.comments.push(format!("Optional parameter: `{name}`.")),
            _ => {}
        }
    }

    fn body(&mut self, body: &'r Node) {
        let content = body.get("content").map_or(&[][..], Node::entries);
        let kind = |wanted: &str| content.iter().find(|(key, _)| key.text.contains(wanted));
        let found = kind("json").or_else(|| kind("x-www-form-urlencoded")).or(content.first());
        let Some((key, media)) = found else { return };
        let example = self.reader.schemas.media_example(media);
        let made = example.cloned().or_else(|| {
            let schema = media.get("schema")?;
            Some(self.reader.schemas.make(schema))
        });
        self.fill_body(&key.text, made.as_ref(), media.line);
    }

    /// Swagger 2 has the body among the parameters.
    fn old_body(&mut self, parameters: &[Parameter<'r>]) {
        let consumes = self.node.get("consumes").or_else(|| self.reader.root.get("consumes"));
        let consumes = consumes.and_then(|list| list.items().first()).and_then(Node::text);
        if let Some(body) = parameters.iter().find(|it| it.place == "body") {
            let made = body.node.get("schema").map(|it| self.reader.schemas.make(it));
            self.fill_body(consumes.unwrap_or("application/json"), made.as_ref(), body.node.line);
            return;
        }
        let form: Vec<_> = parameters.iter().filter(|it| it.place == "formData").collect();
        if form.is_empty() {
            return;
        }
        let mut entries = Vec::new();
        for field in &form {
            let made = self.reader.schemas.make(field.node);
            entries.push((super::schema::key(field.name), made));
        }
        let made = super::schema::node(Value::Map(entries));
        let kind = consumes.unwrap_or("application/x-www-form-urlencoded");
        self.fill_body(kind, Some(&made), form[0].node.line);
    }

    fn fill_body(&mut self, kind: &str, made: Option<&Node>, line: usize) {
        let Some(made) = made else {
            let text = "a body has no example and no schema: it is empty in the plan".to_owned();
            return self.reader.artifact.notes.at(line, text);
        };
        let body = if kind.contains("json") {
            http::json_body(made, &Template::plain)
        } else if kind.contains("x-www-form-urlencoded") {
            http::form(made, &Template::plain)
        } else if let Some(text) = made.text().filter(|_| !kind.contains("multipart")) {
            http::body(text, kind, &Template::plain).0
        } else {
            let kind = kind.escape_debug();
            self.request.comments.push(format!("Write the body ({kind}) by hand."));
            let text = format!("cannot make up a body of type `{kind}`: it is empty in the plan");
            return self.reader.artifact.notes.at(line, text);
        };
        self.request.body = Some(body);
        // `*/*` and `application/*` are ranges and no type.
        let kind = if kind.contains('*') { "application/json" } else { kind };
        self.request.headers.extend(http::header("content-type", Template::plain(kind)));
    }
}
