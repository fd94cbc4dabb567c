//! Texts of a plan with values in them: everything that a plan would read as more than a text is
//! escaped here and nowhere else.

use crate::plan::is_secret_name;

/// A text of a plan as it stands there: `{name}` are values, `${NAME}` variables of the
/// environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Template {
    pieces: Vec<Piece>,
}

/// The first of the characters that stand for values while a text is taken apart: Unicode gives
/// this plane, and the next one, no meaning.
const FIRST_MARK: u32 = 0xf_0000;

/// Whether a character stands for a value while a text is taken apart.
pub(super) fn is_mark(c: char) -> bool {
    u32::from(c) >= FIRST_MARK
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

    /// How long it is, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let bytes = |piece: &Piece| match piece {
            Piece::Text(text) | Piece::Value(text) | Piece::Variable(text) => text.len(),
        };
        self.pieces.iter().map(bytes).sum()
    }

    /// Whether it holds nothing at all.
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The text, where nothing in it varies.
    pub(super) fn fixed(&self) -> Option<String> {
        (!self.varies()).then(|| self.shown())
    }

    /// The value of the plan that it consists of.
    pub(super) fn only_value(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Value(name)] => Some(name),
            _ => None,
        }
    }

    /// Whether it is one variable of the environment.
    pub(super) fn is_variable(&self) -> bool {
        matches!(self.pieces.as_slice(), [Piece::Variable(_)])
    }

    /// The text before the first value.
    pub(super) fn leading(&self) -> &str {
        match self.pieces.first() {
            Some(Piece::Text(text)) => text,
            _ => "",
        }
    }

    /// Without the first `bytes` of the text that it begins with.
    pub(super) fn without_first(&self, bytes: usize) -> Template {
        let mut template = Self::plain(self.leading().get(bytes..).unwrap_or_default());
        let rest = usize::from(!self.leading().is_empty());
        template.append(Self { pieces: self.pieces.get(rest..).unwrap_or_default().to_vec() });
        template
    }

    /// Without its first value, where it begins with one.
    pub(super) fn behind_value(&self) -> Option<Template> {
        match self.pieces.split_first() {
            Some((Piece::Value(_) | Piece::Variable(_), rest)) => {
                Some(Self { pieces: rest.to_vec() })
            }
            _ => None,
        }
    }

    /// Takes it apart at the first `at` in its texts, which is in neither part.
    pub(super) fn split_once(&self, at: char) -> Option<(Template, Template)> {
        let is_there = |piece: &Piece| matches!(piece, Piece::Text(text) if text.contains(at));
        let index = self.pieces.iter().position(is_there)?;
        let (before, rest) = self.pieces.split_at(index);
        let (Piece::Text(text), rest) = rest.split_first()? else { return None };
        let (left, right) = text.split_once(at)?;
        let mut first = Self { pieces: before.to_vec() };
        first.text(left);
        let mut second = Self::plain(right);
        second.append(Self { pieces: rest.to_vec() });
        Some((first, second))
    }

    /// The parts between each `at` of its texts.
    pub(super) fn split(self, at: char) -> Vec<Template> {
        let (mut parts, mut rest) = (Vec::new(), self);
        while let Some((part, behind)) = rest.split_once(at) {
            parts.push(part);
            rest = behind;
        }
        parts.push(rest);
        parts
    }

    /// One text with a mark for each value, and the function that reads parts of it back.
    pub(super) fn marked(&self) -> (String, impl Fn(&str) -> Template) {
        let values: Vec<Piece> =
            self.pieces.iter().filter(|piece| !matches!(piece, Piece::Text(_))).cloned().collect();
        let (mut text, mut marks) = (String::new(), FIRST_MARK..);
        for piece in &self.pieces {
            match piece {
                Piece::Text(plain) => {
                    let clean = |c: char| if is_mark(c) { '\u{fffd}' } else { c };
                    text.extend(plain.chars().map(clean));
                }
                Piece::Value(_) | Piece::Variable(_) => {
                    text.extend(marks.next().and_then(char::from_u32));
                }
            }
        }
        let read = move |part: &str| {
            let mut template = Template::default();
            for c in part.chars() {
                let mark = u32::from(c).checked_sub(FIRST_MARK);
                match mark.and_then(|mark| values.get(usize::try_from(mark).ok()?)) {
                    Some(piece) => template.pieces.push(piece.clone()),
                    None => template.text(c.encode_utf8(&mut [0; 4])),
                }
            }
            template
        };
        (text, read)
    }

    /// The variables of the environment in it.
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Variable(name) => Some(name.as_str()),
            Piece::Text(_) | Piece::Value(_) => None,
        })
    }

    /// Gives values another name, where `rename` has one.
    pub(super) fn rename_values(&mut self, mut rename: impl FnMut(&str) -> Option<String>) {
        for piece in &mut self.pieces {
            if let Piece::Value(name) = piece
                && let Some(other) = rename(name)
            {
                *name = other;
            }
        }
    }

    /// The values of the plan in it.
    pub(super) fn values(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Value(name) => Some(name.as_str()),
            Piece::Text(_) | Piece::Variable(_) => None,
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
    fn a_text_with_values_can_be_taken_apart() {
        let mut template = Template::plain("/a?b=");
        template.value("id");
        template.text("&c\u{f0000}=1");
        let parts: Vec<String> = template.clone().split('&').iter().map(Template::shown).collect();
        assert_eq!(parts, ["/a?b=:id", "c\u{f0000}=1"]);
        let (text, read) = template.marked();
        assert_eq!(read(&text).written(), "/a?b={id}&c\u{fffd}=1");
        assert!(!read("&c").varies());
    }

    #[test]
    fn secrets_become_variables() {
        let hidden = without_secret("authorization", Template::plain("Bearer abc"));
        assert_eq!(hidden.written(), "Bearer ${AUTHORIZATION}");
        let kept = without_secret("accept", Template::plain("text/html"));
        assert_eq!(kept.written(), "text/html");
    }
}
