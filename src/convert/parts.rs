//! A request while it is put together from its parts.

use super::draft::{RequestDraft, StepDraft};
use super::http::{self, Names};
use super::template::{Template, without_secret};

/// A request as it grows.
#[derive(Default)]
pub(super) struct RequestParts {
    pub(super) step: StepDraft,
    pub(super) request: RequestDraft,
    pub(super) query: Vec<(String, Template)>,
    /// The body, and its type where no header says it.
    pub(super) body: Option<(Template, Option<&'static str>)>,
}

impl RequestParts {
    /// The step that sends it. `defaults` are headers of every request, where it has none of that
    /// name.
    pub(super) fn finish(
        mut self,
        path: Template,
        name: Option<&str>,
        defaults: impl IntoIterator<Item = (String, Template)>,
        names: &mut Names,
    ) -> StepDraft {
        let shown = path.shown();
        let wanted =
            format!("{} {}", self.request.method, shown.split('?').next().unwrap_or_default());
        let name = name.filter(|name| !name.trim().is_empty());
        self.request.name = names.request(name.unwrap_or(&wanted));
        self.request.path = with_query(path, self.query, shown.contains('?'));
        for (name, text) in defaults {
            if !self.request.has_header(&name) {
                self.request.headers.push((name, text));
            }
        }
        if let Some((body, kind)) = self.body {
            let kind = kind.filter(|_| !self.request.has_header("content-type"));
            let kind = kind.map(|kind| ("content-type".to_owned(), Template::plain(kind)));
            self.request.headers.extend(kind);
            self.request.body = Some(body);
        }
        StepDraft { request: Some(self.request), ..self.step }
    }
}

/// What separates the parts of a form with files.
const BOUNDARY: &str = "kneepoint-part";

/// A form with files while it is put together.
#[derive(Default)]
pub(super) struct Multipart(Template);

impl Multipart {
    /// Adds a field; a secret by its name is a variable.
    pub(super) fn field(&mut self, name: &str, value: Template) {
        let name_text = quoted(name);
        self.part(&format!("name=\"{name_text}\"\r\n\r\n"), without_secret(name, value));
    }

    /// Adds a file with its text.
    pub(super) fn file(&mut self, name: &str, path: &str, kind: &str, text: &str) {
        let base = path.rsplit(['/', '\\']).next().unwrap_or(path);
        let kind = if kind.is_empty() { "application/octet-stream" } else { kind };
        let (name, base, kind) = (quoted(name), quoted(base), quoted(kind));
        let head = format!("name=\"{name}\"; filename=\"{base}\"\r\nContent-Type: {kind}\r\n\r\n");
        self.part(&head, Template::plain(text));
    }

    fn part(&mut self, head: &str, text: Template) {
        self.0.text(&format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {head}"));
        self.0.append(text);
        self.0.text("\r\n");
    }

    /// Makes it the body of a request.
    pub(super) fn finish(mut self, parts: &mut RequestParts) {
        self.0.text(&format!("--{BOUNDARY}--\r\n"));
        let kind = Template::plain(&format!("multipart/form-data; boundary={BOUNDARY}"));
        parts.request.headers.retain(|(name, _)| name != "content-type");
        parts.request.headers.push(("content-type".to_owned(), kind));
        parts.body = Some((self.0, None));
    }
}

/// A text that may stand between quotes in a line.
fn quoted(text: &str) -> String {
    text.replace(['"', '\r', '\n'], "_")
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
