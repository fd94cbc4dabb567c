//! API descriptions: OpenAPI 3.0 and 3.1 and Swagger 2, in JSON or YAML. One request per
//! operation. Values without an example are made up from the schemas, and a note says so.

mod operation;
mod reader;
mod schema;
mod security;

use std::collections::BTreeMap;

use self::operation::Operation;
use self::reader::Reader;
use self::schema::Schemas;
use super::artifact::Artifact;
use super::draft::{Draft, RequestDraft};
use super::http::{self, Names};
use super::notes::Problem;
use super::tree::{self, Node, Value};
use super::{ConvertError, ConverterSpec};
use crate::plan::METHODS;

pub(super) static SPEC: ConverterSpec = ConverterSpec {
    name: "openapi",
    summary: "API descriptions, OpenAPI 3 or Swagger 2: one request per operation",
    options: &[],
    looks,
    convert,
};

/// Operations in one plan.
const MOST_REQUESTS: usize = 1000;
/// How many requests that only read are sent for one that changes something.
const READ_WEIGHT: f64 = 10.0;

fn looks(begin: &str) -> bool {
    ["openapi", "swagger"].iter().any(|key| {
        let json = begin.trim_start().starts_with('{') && begin.contains(&format!("\"{key}\""));
        let yaml = begin.lines().any(|line| {
            let line = line.trim_start_matches(['"', '\'']);
            line.strip_prefix(key)
                .is_some_and(|rest| rest.trim_start_matches(['"', '\'']).starts_with(':'))
        });
        json || yaml
    })
}

fn convert(artifact: &mut Artifact<'_>) -> Result<Draft, ConvertError> {
    let text = artifact.text()?;
    let root = tree::read(&text)?;
    drop(text);
    let version = |key| root.get(key).and_then(Node::text);
    let old = match (version("openapi"), version("swagger")) {
        (Some(version), _) if version.starts_with("3.") => false,
        (None, Some(version)) if version.starts_with('2') => true,
        _ => {
            let text = "expected `openapi: 3.0.x`, `openapi: 3.1.x` or `swagger: \"2.0\"`";
            return Err(ConvertError::at(root.line, Some(root.column), text));
        }
    };
    let mut reader = Reader {
        artifact,
        root: &root,
        schemas: Schemas { root: &root },
        old,
        names: Names::default(),
        data_names: Names::default(),
        data: BTreeMap::new(),
        draft: Draft::default(),
        problems: Vec::new(),
        made_up: Vec::new(),
    };
    reader.read();
    reader.finish()
}

impl<'r> Reader<'r, '_> {
    fn read(&mut self) {
        let root = self.root;
        let title = root.get("info").and_then(|info| info.get("title")).and_then(Node::text);
        self.draft.name = title.map(str::to_owned);
        self.draft.url = if self.old { self.old_server() } else { self.server() };
        let Some(paths) = root.get("paths").filter(|node| matches!(node.value, Value::Map(_)))
        else {
            let (line, column) = (Some(self.root.line), Some(self.root.column));
            let text = "`paths` is missing, or is not a table".to_owned();
            return self.problems.push(Problem { line, column, text });
        };
        for (path, item) in paths.entries() {
            if path.text.starts_with("x-") {
                continue;
            }
            if !path.text.starts_with('/') {
                let text = format!("`{}`: a path must begin with `/`", path.text.escape_debug());
                self.problems.push(Problem { line: Some(path.line), column: None, text });
                continue;
            }
            let item = self.schemas.resolve(item);
            for (method, operation) in item.entries() {
                let upper = method.text.to_ascii_uppercase();
                if METHODS.contains(&upper.as_str()) {
                    self.operation(&upper, &path.text, item, operation);
                } else if upper == "TRACE" {
                    self.artifact
                        .notes
                        .at(method.line, "left out TRACE: a plan does not support it");
                }
            }
        }
    }

    fn operation(&mut self, method: &str, path: &'r str, item: &'r Node, node: &'r Node) {
        if self.draft.requests.len() >= MOST_REQUESTS {
            let text = format!("the plan has only the first {MOST_REQUESTS} operations");
            return self.artifact.notes.add(text);
        }
        let shown = path.replace('{', ":").replace('}', "");
        let name = node.get("operationId").and_then(Node::text);
        let name = self.names.request(name.unwrap_or(&format!("{method} {shown}")));
        let mut request =
            RequestDraft { name, method: method.to_owned(), ..RequestDraft::default() };
        if let Some(summary) = node.get("summary").and_then(Node::text) {
            request.comments.push(summary.to_owned());
        }
        if node.get("deprecated").and_then(Node::switch) == Some(true) {
            request.comments.push("Deprecated.".to_owned());
        }
        match method {
            "GET" | "HEAD" | "OPTIONS" => request.weight = Some(READ_WEIGHT),
            "DELETE" => {
                request.weight = Some(1.0);
                request.off = true;
                request.comments.push(
                    "This request deletes data, so it is commented out: remove the `#` to send it."
                        .to_owned(),
                );
            }
            _ => {
                request.weight = Some(1.0);
                request.comments.push("This request changes data at the target.".to_owned());
            }
        }
        let request =
            Operation { reader: self, item, node, path, request, query: Vec::new() }.read();
        self.draft.requests.push(request);
    }

    /// The first server, with its variables' defaults.
    fn server(&mut self) -> Option<String> {
        let server = self.root.get("servers")?.items().first()?;
        let mut url = server.get("url")?.text()?.to_owned();
        for (key, variable) in server.get("variables").map_or(&[][..], Node::entries) {
            let value = variable.get("default").and_then(Node::text).unwrap_or_default();
            url = url.replace(&format!("{{{}}}", key.text), value);
        }
        self.base(&url)
    }

    fn old_server(&mut self) -> Option<String> {
        let host = self.root.get("host").and_then(Node::text);
        let base = self.root.get("basePath").and_then(Node::text).unwrap_or_default();
        let scheme = self.root.get("schemes").and_then(|list| list.items().first());
        let scheme = scheme.and_then(Node::text).unwrap_or("http");
        match host {
            Some(host) => self.base(&format!("{scheme}://{host}{base}")),
            None => self.base(base),
        }
    }

    /// The address before each path. A path alone leaves the host open.
    fn base(&mut self, url: &str) -> Option<String> {
        if url.starts_with('/') && url.len() > 1 {
            let text = format!(
                "the description has the base path `{}` but no host; set both with `--target \
                 http://host:port{}`",
                url.escape_debug(),
                url.trim_end_matches('/').escape_debug()
            );
            self.artifact.notes.add(text);
            return None;
        }
        let address = http::address(url).ok()?;
        if address.credentials {
            http::note_credentials(&mut self.artifact.notes, 0);
        }
        self.artifact.notes.add(format!(
            "the plan's target is `{}`, from the description: check that you may load-test it",
            address.base
        ));
        Some(address.before_paths())
    }

    fn finish(mut self) -> Result<Draft, ConvertError> {
        if !self.problems.is_empty() {
            return Err(ConvertError::Malformed(self.problems));
        }
        let on = self.draft.requests.iter().filter(|request| !request.off).count();
        if on == 0 {
            let text = "the description holds no operation that does not delete data";
            return Err(ConvertError::Empty(text.to_owned()));
        }
        if !self.made_up.is_empty() {
            let names = self.made_up.join("`, `");
            self.artifact.notes.add(format!(
                "the description has no example for `{names}`: the values are made up; replace them by \
                 values that the target knows"
            ));
            self.draft.comments.push(format!("These values are made up: `{names}`."));
        }
        let off = self.draft.requests.len() - on;
        if off > 0 {
            self.artifact
                .notes
                .add(format!("operations that delete data are in the plan as comments ({off})"));
        }
        self.draft
            .comments
            .push("Bodies are examples. Weights are a guess: ten reads for each write.".to_owned());
        self.artifact.seen.push(format!("{on} operations to send, {off} left out as comments"));
        Ok(self.draft)
    }
}
