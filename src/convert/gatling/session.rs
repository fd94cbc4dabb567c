//! Texts with Gatling's expressions in them, `#{name}`, and what a user's session holds.

use super::simulation::Simulation;
use crate::convert::draft::Data;
use crate::convert::script::syntax::{Expr, ExprKind};
use crate::convert::script::value::{Known, Link};
use crate::convert::template::{Template, is_mark};
use crate::plan::is_secret_name;

/// The largest number that `randomInt()` gives.
const MOST_RANDOM: i64 = i32::MAX as i64;

impl Simulation<'_, '_> {
    /// A value as a text of the plan.
    pub(super) fn text(&mut self, known: &Known, line: usize) -> Template {
        let name = match known {
            Known::Text(text) => return self.expressions(text, line),
            Known::Range(first, last) => {
                let wanted = format!("random_{first}_{last}");
                self.machine.values.made(&wanted, &wanted, Data::Range(*first, *last))
            }
            Known::Made(call, wanted, data) => self.machine.values.made(call, wanted, data.clone()),
            Known::Fluent(_) | Known::Unknown | Known::Uniform(..) | Known::Function(_) => {
                self.only_a_run_knows(line)
            }
            known => {
                let place = Expr { line, span: 0..0, kind: ExprKind::Other };
                let text = self.machine.render(known.clone(), &place);
                return self.expressions(&text, line);
            }
        };
        let mut text = Template::default();
        text.value(&name);
        text
    }

    /// The name of data that stand for a value that a function makes.
    fn only_a_run_knows(&mut self, line: usize) -> String {
        let name = self.machine.values.data_name("value");
        let text = format!(
            "a value that the program makes while it runs: replace the value in `[data.{name}]`"
        );
        self.note(line, text);
        self.machine.draft.data.push((name.clone(), Data::List(vec!["replace-me".to_owned()])));
        name
    }

    /// A text without values.
    pub(super) fn fixed(&mut self, known: Option<&Known>, line: usize) -> Option<String> {
        self.text(known?, line).fixed()
    }

    /// A text whose expressions become values of the plan.
    fn expressions(&mut self, text: &Template, line: usize) -> Template {
        let (text, read) = text.marked();
        let (mut out, mut rest) = (Template::default(), text.as_str());
        while let Some(at) = rest.find(|c: char| c == '#' || c == '$' || is_mark(c)) {
            let (before, behind) = rest.split_at(at);
            out.text(before);
            let length = behind.chars().next().map_or(0, char::len_utf8);
            let (first, after) = behind.split_at(length);
            let inside = after.strip_prefix('{').and_then(|it| it.split_once('}'));
            if first.chars().all(is_mark) {
                let piece = read(first);
                let own = piece.only_value().and_then(|it| it.strip_prefix(' '));
                match own.map(str::to_owned) {
                    Some(name) => out.append(self.attribute(&name, line)),
                    None => out.append(piece),
                }
                rest = after;
            } else if after.starts_with(first)
                && after.get(1..).is_some_and(|it| it.starts_with('{'))
            {
                // `##{` and `$${` are no expressions.
                out.text(first);
                out.text("{");
                rest = after.get(2..).unwrap_or_default();
            } else if let Some((inside, after)) = inside {
                let name = read(inside).shown();
                out.append(self.attribute(&name, line));
                rest = after;
            } else {
                out.text(first);
                rest = after;
            }
        }
        out.text(rest);
        out
    }

    /// What an expression stands for: `id`, `id(0)`, `user.name`, `randomInt(1,7)`.
    fn attribute(&mut self, expression: &str, line: usize) -> Template {
        let expression = expression.trim();
        if let Some(text) = self.machine.values.get(expression) {
            return text.clone();
        }
        let name = match function(expression) {
            Some((call, wanted, data)) => self.machine.values.made(&call, wanted, data),
            None => {
                let bare = expression.strip_suffix("()").and_then(|it| it.rsplit_once('.'));
                if let Some((name, "htmlUnescape" | "jsonStringify")) = bare
                    && let Some(text) = self.machine.values.get(name)
                {
                    return text.clone();
                }
                let wanted = expression.split(['(', '.']).next().unwrap_or(expression);
                self.machine.values.unknown(&format!("#{{{expression}}}"), wanted, line)
            }
        };
        let mut text = Template::default();
        text.value(&name);
        text
    }

    /// What a function does to a session, as far as it says what it sets.
    pub(super) fn session(&mut self, links: &[std::rc::Rc<Link>]) {
        for link in links {
            match (link.name.as_str(), link.arguments.as_slice()) {
                ("set", [name, value, ..]) => match name.fixed() {
                    Some(name) => self.set(&name, value, link.line),
                    None => self.lost(link.line, "a value that the session is given"),
                },
                ("setAll", [values, ..]) => {
                    for (name, value) in values.entries() {
                        self.set(name, value, link.line);
                    }
                }
                ("remove" | "removeAll" | "reset", _) => {}
                (name, _) => {
                    let text = format!("`{}` of a session", name.escape_debug());
                    self.lost(link.line, text);
                }
            }
        }
    }

    /// From here on a name of the session stands for a value.
    pub(super) fn set(&mut self, name: &str, value: &Known, line: usize) {
        if matches!(value, Known::Unknown | Known::Fluent(_) | Known::Function(_)) {
            let name = name.escape_debug();
            return self
                .lost(line, format!("the value `{name}` of the session, which a function makes"));
        }
        let is_told = value.fixed().is_some_and(|text| !text.is_empty());
        let text = match is_secret_name(name) && is_told {
            true => Template::secret(name),
            false => self.text(value, line),
        };
        self.machine.values.stand_for(name, text);
    }
}

/// A function of Gatling's expressions: how it is called, a name for its data, and these.
fn function(expression: &str) -> Option<(String, &'static str, Data)> {
    let (name, rest) = expression.split_once('(')?;
    let arguments = rest.strip_suffix(')')?;
    let numbers: Vec<i64> =
        arguments.split(',').map_while(|number| number.trim().parse().ok()).collect();
    let call = expression.replace(' ', "");
    match (name, numbers.as_slice()) {
        ("randomUuid" | "randomSecureUuid" | "randomAlphanumeric", _) => {
            Some((call, "uuid", Data::Uuid))
        }
        ("randomInt" | "randomLong", []) => Some((call, "random", Data::Range(0, MOST_RANDOM))),
        ("randomInt" | "randomLong", [first, end]) if end > first => {
            Some((call, "random", Data::Range(*first, end - 1)))
        }
        _ => None,
    }
}
