//! Who may call an operation: headers with variables of the environment.

use super::reader::Reader;
use crate::convert::draft::RequestDraft;
use crate::convert::template::Template;
use crate::convert::tree::Node;

/// The variable that most schemes take their secret from.
const TOKEN: &str = "API_TOKEN";
/// The same for a name with a password, in base64.
const BASIC: &str = "API_BASIC_AUTH";

impl<'r> Reader<'r, '_> {
    /// Adds what the first way to be let in asks for.
    pub(super) fn secure(
        &mut self,
        operation: &'r Node,
        request: &mut RequestDraft,
        query: &mut Vec<(String, Template)>,
    ) {
        let ways = operation.get("security").or_else(|| self.root.get("security"));
        let Some(way) = ways.and_then(|ways| ways.items().first()) else { return };
        let schemes = if self.old {
            self.root.get("securityDefinitions")
        } else {
            self.root.get("components").and_then(|node| node.get("securitySchemes"))
        };
        for (index, (name, _)) in way.entries().iter().enumerate() {
            let scheme = schemes.and_then(|schemes| schemes.get(&name.text));
            let Some(scheme) = scheme.map(|scheme| self.schemas.resolve(scheme)) else {
                let text = format!(
                    "left out security: there is no scheme named `{}`",
                    name.text.escape_debug()
                );
                self.artifact.notes.at(name.line, text);
                continue;
            };
            // Two schemes at once have two secrets.
            let variable = if index == 0 { TOKEN } else { name.text.as_str() };
            self.scheme(scheme, variable, request, query);
        }
    }

    fn scheme(
        &mut self,
        scheme: &Node,
        variable: &str,
        request: &mut RequestDraft,
        query: &mut Vec<(String, Template)>,
    ) {
        let text = |key: &str| scheme.get(key).and_then(Node::text).unwrap_or_default();
        let with = |begin: &str, variable: &str| {
            let mut value = Template::plain(begin);
            value.variable(variable);
            value
        };
        let mut header = |name: &str, value: Template| {
            if !request.headers.iter().any(|(known, _)| known == name) {
                request.headers.push((name.to_owned(), value));
            }
        };
        let kind = (text("type"), text("scheme").to_ascii_lowercase());
        match (kind.0, kind.1.as_str()) {
            ("basic", _) | ("http", "basic") => header("authorization", with("Basic ", BASIC)),
            ("http" | "oauth2" | "openIdConnect", _) => {
                header("authorization", with("Bearer ", variable));
            }
            ("apiKey", _) => {
                let name = text("name").to_owned();
                let token = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
                if name.is_empty() || !name.chars().all(token) {
                    self.artifact.notes.at(scheme.line, "left out a security scheme: its `name` is not a valid header or parameter name");
                    return;
                }
                match text("in") {
                    "query" => query.push((name, Template::secret(variable))),
                    "cookie" => header("cookie", with(&format!("{name}="), variable)),
                    _ => header(&name.to_ascii_lowercase(), Template::secret(variable)),
                }
            }
            (kind, _) => {
                let text = format!("left out security of type `{}`", kind.escape_debug());
                self.artifact.notes.at(scheme.line, text);
            }
        }
    }
}
