//! Requests of a script as steps of a plan.

use super::machine::Machine;
use super::value::Known;
use crate::convert::http;
use crate::convert::parts::RequestParts;
use crate::convert::template::{Template, without_secret};
use crate::plan::METHODS;

/// A request as a script sends it.
#[derive(Default)]
pub(in crate::convert) struct Sending {
    pub(in crate::convert) method: String,
    pub(in crate::convert) url: Template,
    pub(in crate::convert) headers: Vec<(String, Template)>,
    pub(in crate::convert) query: Vec<(String, Template)>,
    /// The body, and its type where no header says it.
    pub(in crate::convert) body: Option<(Template, Option<&'static str>)>,
    pub(in crate::convert) name: Option<String>,
    pub(in crate::convert) tags: Vec<(String, String)>,
}

impl Machine<'_, '_> {
    /// Adds the step of a request; gives its response.
    pub(in crate::convert) fn send(&mut self, sending: Sending, line: usize) -> Known {
        let method = sending.method.to_ascii_uppercase();
        if !METHODS.contains(&method.as_str()) {
            self.lost(line, "a request with a method that a plan does not have");
            return Known::Unknown;
        }
        let path = self.target.path(&sending.url, line, &mut self.artifact.notes);
        let Some(path) = path else { return Known::Unknown };
        let mut parts = RequestParts::default();
        parts.request.method = method;
        parts.query = sending.query;
        for (name, value) in sending.headers {
            match http::header(&name, value) {
                Some((name, value)) => {
                    parts.request.headers.retain(|(known, _)| *known != name);
                    parts.request.headers.push((name, value));
                }
                None => {
                    let text = format!("left out the header `{}`", name.escape_debug());
                    self.artifact.notes.at(line, text);
                }
            }
        }
        parts.body = sending.body.map(|(body, kind)| {
            let header = parts.request.headers.iter().find(|(name, _)| name == "content-type");
            let header = header.map_or_else(String::new, |(_, kind)| kind.shown());
            let (body, secrets) = http::body_of(&body, kind.unwrap_or(&header));
            if !secrets.is_empty() {
                let text = "replaced a secret in the body by an environment variable";
                self.artifact.notes.at(line, text);
            }
            (body, kind)
        });
        for (name, text) in self.tags.iter().chain(&sending.tags) {
            parts.request.tag(name, text);
        }
        let step = parts.finish(path, sending.name.as_deref(), [], &mut self.names);
        let name = step.request.as_ref().map_or_else(String::new, |request| request.name.clone());
        self.add(step);
        Known::Response(name)
    }

    /// Texts by name, such as headers; secrets by their name are variables.
    pub(in crate::convert) fn texts(
        &mut self,
        of: &Known,
        expr: &super::syntax::Expr,
    ) -> Vec<(String, Template)> {
        let entries = of.entries().iter();
        entries.map(|(name, value)| (name.clone(), self.render(value.clone(), expr))).collect()
    }

    /// A table as a form.
    pub(in crate::convert) fn form(&mut self, of: &Known, expr: &super::syntax::Expr) -> Template {
        let mut form = Template::default();
        for (name, value) in self.texts(of, expr) {
            form.text(if form.is_empty() { "" } else { "&" });
            form.text(&format!("{}=", http::encoded(&name)));
            form.append(without_secret(&name, value.map_text(http::encoded)));
        }
        form
    }
}
