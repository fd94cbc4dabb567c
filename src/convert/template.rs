//! Texts of a plan with values in them: everything that a plan would read as more than a text is
//! escaped here and nowhere else.

use crate::plan::is_secret_name;

/// A text of a plan as it stands there: `{name}` are values, `${NAME}` variables of the
/// environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(String),
    Variable(String),
}

impl Template {
    /// A text as it is.
    pub(super) fn plain(text: &str) -> Self {
        let mut template = Self::default();
        template.text(text);
        template
    }

    /// A secret that stands in the environment.
    pub(super) fn secret(name: &str) -> Self {
        let mut template = Self::default();
        template.variable(name);
        template
    }

    /// Adds a text as it is.
    pub(super) fn text(&mut self, text: &str) {
        match self.pieces.last_mut() {
            Some(Piece::Text(last)) => last.push_str(text),
            _ if text.is_empty() => {}
            _ => self.pieces.push(Piece::Text(text.to_owned())),
        }
    }

    /// Adds a value of the plan's data or of a capture.
    pub(super) fn value(&mut self, name: &str) {
        self.pieces.push(Piece::Value(name.to_owned()));
    }

    /// Adds a variable of the environment.
    pub(super) fn variable(&mut self, name: &str) {
        self.pieces.push(Piece::Variable(variable_name(name)));
    }

    /// Adds another one.
    pub(super) fn append(&mut self, other: Template) {
        for piece in other.pieces {
            match piece {
                Piece::Text(text) => self.text(&text),
                other => self.pieces.push(other),
            }
        }
    }

    /// Whether it holds a value or a variable.
    pub(super) fn varies(&self) -> bool {
        self.pieces.iter().any(|piece| !matches!(piece, Piece::Text(_)))
    }

    /// Whether it holds nothing at all.
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The variables of the environment in it.
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Variable(name) => Some(name.as_str()),
            Piece::Text(_) | Piece::Value(_) => None,
        })
    }

    /// The same with each text changed by `change`.
    pub(super) fn map_text(self, change: impl Fn(&str) -> String) -> Self {
        let pieces = self.pieces.into_iter().map(|piece| match piece {
            Piece::Text(text) => Piece::Text(change(&text)),
            other => other,
        });
        Self { pieces: pieces.collect() }
    }

    /// The texts alone; what varies is shown as `:name`, as routers write it.
    pub(super) fn shown(&self) -> String {
        let show = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Value(name) => format!(":{name}"),
            Piece::Variable(name) => name.clone(),
        };
        self.pieces.iter().map(show).collect()
    }

    /// As the plan has it, not yet quoted.
    pub(super) fn written(&self) -> String {
        // A `$` right before a brace of a text or a value would make a variable of it.
        let escaped = |run: &str| run.replace("${", "$${");
        let (mut out, mut run) = (String::new(), String::new());
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => run.push_str(&text.replace('{', "{{").replace('}', "}}")),
                Piece::Value(name) => run.push_str(&format!("{{{name}}}")),
                Piece::Variable(name) => {
                    // `$` before a variable would escape it, and a plan has no other way to
                    // write it.
                    let bare = run.trim_end_matches('$');
                    out.push_str(&escaped(bare));
                    out.push_str(&"%24".repeat(run.len() - bare.len()));
                    out.push_str(&format!("${{{name}}}"));
                    run.clear();
                }
            }
        }
        out + &escaped(&run)
    }
}

/// A name for a variable of the environment: `x-api-key` is `X_API_KEY`.
pub(super) fn variable_name(name: &str) -> String {
    let name = identifier(name).to_ascii_uppercase().replace('-', "_");
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// A name for data and captures: letters, digits, `_` and `-`.
pub(super) fn identifier(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let name: String = name.chars().map(|c| if allowed(c) { c } else { '_' }).collect();
    if name.is_empty() { "value".to_owned() } else { name }
}

/// What stands in a plan for the value of a secret: its scheme, where it has one, and a variable.
/// A value that is drawn or captured is none that this text could give away.
pub(super) fn without_secret(name: &str, value: Template) -> Template {
    if value.varies() || value.is_empty() || !is_secret_name(name) {
        return value;
    }
    let text = value.shown();
    let mut hidden = Template::default();
    if let Some((scheme @ ("Bearer" | "Basic" | "Token" | "bearer"), _)) = text.split_once(' ') {
        hidden.text(&format!("{scheme} "));
    }
    hidden.variable(name);
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_plan_would_read_is_escaped() {
        let mut template = Template::plain("{\"a\": \"${B}$");
        template.value("id");
        template.text("\"}");
        assert_eq!(template.written(), "{{\"a\": \"$${{B}}$${id}\"}}");
        let mut template = Template::plain("cost $");
        template.variable("x-api-key");
        assert_eq!(template.written(), "cost %24${X_API_KEY}");
        assert_eq!(template.shown(), "cost $X_API_KEY");
    }

    #[test]
    fn secrets_become_variables() {
        let hidden = without_secret("authorization", Template::plain("Bearer abc"));
        assert_eq!(hidden.written(), "Bearer ${AUTHORIZATION}");
        let kept = without_secret("accept", Template::plain("text/html"));
        assert_eq!(kept.written(), "text/html");
    }
}
