//! Texts with `${name}` and `${__function(a,b)}` in them.

use crate::convert::draft::Data;
use crate::convert::notes::Notes;
use crate::convert::template::Template;
use crate::convert::values::Values;
use crate::plan::is_secret_name;

/// How deep functions may stand in each other.
const DEEPEST: usize = 8;
/// The largest number that JMeter counts to.
const MOST_COUNTED: i64 = i32::MAX as i64;

/// What a text of the test plan may refer to.
pub(super) struct Texts<'t> {
    pub(super) values: &'t mut Values,
    pub(super) notes: &'t mut Notes,
}

/// A text taken apart: what stands around a reference, and what is in it.
enum Part<'t> {
    Text(&'t str),
    /// Without `${` and `}`.
    Reference(&'t str),
}

impl Texts<'_> {
    /// The text with its values; what nothing defines gets a value to be replaced.
    pub(super) fn read(&mut self, text: &str, line: usize) -> Template {
        let mut template = Template::default();
        for part in parts(text) {
            match part {
                Part::Text(text) => template.text(text),
                Part::Reference(inside) => match self.resolve(inside, line, 0) {
                    Some(value) => template.append(value),
                    None => {
                        let name = inside.split('(').next().unwrap_or_default();
                        let name = name.trim_start_matches('_');
                        template.value(&self.values.unknown(inside, name, line));
                    }
                },
            }
        }
        template
    }

    /// The text, where every value in it is known now.
    pub(super) fn fixed(&mut self, text: &str, line: usize) -> Option<String> {
        self.known(text, line, 0)?.fixed()
    }

    /// The number that a text comes to; `None` where it is empty or not known now.
    pub(super) fn number(&mut self, text: &str, line: usize) -> Option<f64> {
        self.fixed(text, line)?.trim().parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// The text, where everything in it is defined.
    fn known(&mut self, text: &str, line: usize, depth: usize) -> Option<Template> {
        let mut template = Template::default();
        for part in parts(text) {
            match part {
                Part::Text(text) => template.text(text),
                Part::Reference(inside) => {
                    template.append(self.resolve(inside, line, depth + 1)?);
                }
            }
        }
        Some(template)
    }

    fn resolve(&mut self, inside: &str, line: usize, depth: usize) -> Option<Template> {
        if depth > DEEPEST {
            return None;
        }
        let Some(call) = inside.strip_prefix("__") else {
            return self.values.get(inside).cloned();
        };
        let (name, arguments) = call.split_once('(').unwrap_or((call, ")"));
        let arguments = arguments.strip_suffix(')').unwrap_or(arguments);
        let arguments = split_arguments(arguments);
        let argument = |index: usize| arguments.get(index).map(|it| it.trim()).unwrap_or_default();
        match name {
            "P" => self.property(argument(0), arguments.get(1), line, depth),
            "property" => self.property(argument(0), arguments.get(2), line, depth),
            "env" | "envVar" if !argument(0).is_empty() => Some(Template::secret(argument(0))),
            "V" | "eval" | "urlencode" | "urldecode" | "escapeHtml" | "unescapeHtml" => {
                self.known(argument(0), line, depth)
            }
            "Random" | "intSum" | "counter" | "UUID" => self.made(name, inside, &arguments, line),
            _ => None,
        }
    }

    /// A property of the command line: its default, as the plan has no command line.
    fn property(
        &mut self,
        name: &str,
        default: Option<&String>,
        line: usize,
        depth: usize,
    ) -> Option<Template> {
        let default = default.map(|text| text.trim()).filter(|text| !text.is_empty());
        let Some(default) = default.filter(|_| !is_secret_name(name)) else {
            return (!name.is_empty()).then(|| Template::secret(name));
        };
        let value = self.known(default, line, depth)?;
        let name = name.escape_debug();
        let text = format!("the property `{name}` of the command line has its default in the plan");
        self.notes.at(line, text);
        Some(value)
    }

    /// Data for a function.
    fn made(
        &mut self,
        name: &str,
        inside: &str,
        arguments: &[String],
        line: usize,
    ) -> Option<Template> {
        let numbers: Vec<Option<f64>> =
            arguments.iter().map(|text| self.number(text, line)).collect();
        let whole = |index: usize| {
            let number = numbers.get(index).copied().flatten()?;
            (number.abs() < 1e15).then_some(number as i64)
        };
        let value = match name {
            "Random" => {
                let (first, last) = (whole(0)?, whole(1)?);
                let (first, last) = (first.min(last), first.max(last));
                let wanted = format!("random_{first}_{last}");
                let value = self.values.made(inside, &wanted, Data::Range(first, last));
                if let Some(name) = arguments.get(2).filter(|name| !name.trim().is_empty()) {
                    self.values.define(name.trim(), &value);
                }
                value
            }
            "intSum" => {
                let sum: i64 = (0..arguments.len()).map_while(whole).fold(0, i64::saturating_add);
                return Some(Template::plain(&sum.to_string()));
            }
            "counter" => self.values.made(inside, "counter", Data::Sequence(1, MOST_COUNTED)),
            _ => self.values.made("__UUID", "uuid", Data::Uuid),
        };
        let mut template = Template::default();
        template.value(&value);
        Some(template)
    }
}

/// Takes a text apart at its references; what has no end is a text.
fn parts(text: &str) -> Vec<Part<'_>> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find("${") {
        let (before, reference) = rest.split_at(at);
        let Some(end) = end_of(reference) else { break };
        parts.push(Part::Text(before));
        parts.push(Part::Reference(reference[2..end].trim()));
        rest = &reference[end + 1..];
    }
    parts.push(Part::Text(rest));
    parts
}

/// Where the reference that a text begins with has its `}`.
fn end_of(reference: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in reference.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// The arguments of a function; `\,` is a comma in one.
fn split_arguments(text: &str) -> Vec<String> {
    let (mut arguments, mut depth) = (vec![String::new()], 0_usize);
    let mut escaped = false;
    for c in text.chars() {
        if c == ',' && depth == 0 && !escaped {
            arguments.push(String::new());
            continue;
        }
        let is_escape = c == '\\' && !escaped;
        escaped = is_escape;
        match c {
            '{' | '(' => depth += 1,
            '}' | ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if let Some(last) = arguments.last_mut().filter(|_| !is_escape) {
            last.push(c);
        }
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_with_their_functions() {
        let (mut values, mut notes) = (Values::default(), Notes::default());
        values.define("user", "users.name");
        values.stand_for("path", Template::plain("/a"));
        let mut texts = Texts { values: &mut values, notes: &mut notes };
        for (text, written) in [
            ("${path}/${user}?x=${", "/a/{users.name}?x=$${{"),
            ("${__P(host,shop.example)}:${__property(port,,80)}", "shop.example:80"),
            ("${__P(n,${path})}${__P(api_key,hush)}", "/a${API_KEY}"),
            ("${__Random(9,3,r)}-${r}", "{random_3_9}-{random_3_9}"),
            ("${__UUID}${__UUID()}", "{uuid}{uuid}"),
            ("${__intSum(1,2)}", "3"),
            ("${nowhere}", "{nowhere}"),
        ] {
            assert_eq!(texts.read(text, 1).written(), written, "{text}");
        }
        assert_eq!(texts.number("${__P(threads, 20)}", 1), Some(20.0));
        assert_eq!(texts.number("${user}", 1), None);
        assert_eq!(split_arguments("a\\,b,c"), ["a,b", "c"]);
    }
}
