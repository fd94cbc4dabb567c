//! `.check(…)`: what a response must be, and what is taken from it.

use super::simulation::{Simulation, flat};
use crate::convert::draft::{is_pattern, path_of_jmes};
use crate::convert::script::checks::{Test, Wanted, listable};
use crate::convert::script::value::{Known, Link};

/// What a check looks at, and what it asks.
struct Check<'k> {
    line: usize,
    /// The word that it begins with: `jsonPath`.
    kind: &'k str,
    pattern: Option<String>,
    /// Whether it looks at more than the first match, or at something made of it.
    is_odd: bool,
    /// `is`, `exists` and the like.
    asks: Option<&'k Link>,
    saved: Option<&'k Link>,
}

impl Simulation<'_, '_> {
    /// Adds a check to the step of a request.
    pub(super) fn check(&mut self, request: &str, known: &Known, line: usize) {
        for known in &flat(std::slice::from_ref(known)) {
            let [first, rest @ ..] = known.links() else {
                self.lost(line, "a check that this file does not define");
                continue;
            };
            let mut check = Check {
                line: rest.first().map_or(line, |link| link.line.max(line)),
                kind: &first.name,
                pattern: None,
                is_odd: false,
                asks: None,
                saved: None,
            };
            check.pattern = self.pattern(first, check.line);
            rest.iter().for_each(|link| check.read(link));
            self.take(request, &check);
            self.ask(request, &check);
        }
    }

    /// The pattern of a check as a plan has it: JSONPath, regular expression, header, text.
    fn pattern(&mut self, first: &Link, line: usize) -> Option<String> {
        let text = self.fixed(first.arguments.first(), line)?;
        match first.name.as_str() {
            "jmesPath" => path_of_jmes(&text),
            "header" => Some(text.to_ascii_lowercase()),
            _ => Some(text),
        }
    }

    /// The value that a check saves.
    fn take(&mut self, request: &str, check: &Check<'_>) {
        let Some(saved) = check.saved else { return };
        let Some(name) = saved.arguments.first().and_then(Known::fixed) else { return };
        let kind = match check.kind {
            "jsonPath" | "jmesPath" => "json",
            "regex" => "regex",
            "header" => "header",
            _ => "",
        };
        let pattern = check.pattern.as_deref();
        let pattern =
            pattern.filter(|it| !kind.is_empty() && !check.is_odd && is_pattern(kind, it));
        let Some(pattern) = pattern else {
            let (name, kind) = (name.escape_debug(), check.kind.escape_debug());
            return self.lost(saved.line, format!("the value `{name}` that `{kind}` saves"));
        };
        let capture = self.machine.values.capture(&name);
        if let Some(step) = self.machine.step_of(request) {
            step.capture(&capture, kind, pattern);
        }
    }

    fn ask(&mut self, request: &str, check: &Check<'_>) {
        let asks = check.asks.map_or("exists", |link| link.name.as_str());
        let is_saved = check.saved.is_some();
        // What is saved must be there, and the body always is.
        let is_nothing = asks == "optional" || asks == "dontValidate";
        if is_nothing || (asks == "exists" && (is_saved || check.kind == "bodyString")) {
            return;
        }
        let test = if check.is_odd { None } else { self.test(check, asks) };
        match test {
            Some(Asked::Test(test)) => self.machine.check((request.to_owned(), vec![test])),
            Some(Asked::Match(pattern)) => {
                if let Some(step) = self.machine.step_of(request) {
                    step.matches.push(pattern);
                }
            }
            None => {
                let (kind, asks) = (check.kind.escape_debug(), asks.escape_debug());
                self.lost(check.line, format!("the check `{kind}` with `{asks}`"));
            }
        }
    }

    /// What a plan can check of it.
    fn test(&mut self, check: &Check<'_>, asks: &str) -> Option<Asked> {
        let arguments = check.asks.map_or(&[][..], |link| link.arguments.as_slice());
        let pattern = check.pattern.clone();
        match (check.kind, asks) {
            ("status", "is" | "in" | "not" | "shouldBe") => {
                let codes = statuses(asks == "not", arguments)?;
                Some(Asked::Test(Test::Status(codes)))
            }
            ("jsonPath" | "jmesPath", "is" | "shouldBe") => {
                let path = pattern.filter(|path| is_pattern("json", path))?;
                let wanted = match arguments.first()? {
                    Known::Number(number) => Wanted::Number(*number),
                    Known::Switch(switch) => Wanted::Switch(*switch),
                    text @ Known::Text(_) => wanted(&self.fixed(Some(text), check.line)?),
                    _ => return None,
                };
                Some(Asked::Test(Test::Json(path, wanted)))
            }
            ("regex", "exists") => pattern.filter(|it| is_pattern("regex", it)).map(Asked::Match),
            ("substring", "exists") => {
                let text = pattern.filter(|text| !text.is_empty())?;
                Some(Asked::Test(Test::Contains(text)))
            }
            ("header", "is" | "shouldBe") => {
                let text = self.fixed(arguments.first(), check.line)?;
                Some(Asked::Test(Test::Header(pattern?, text)))
            }
            ("bodyString", "is" | "shouldBe") => {
                let text = self.fixed(arguments.first(), check.line)?;
                Some(Asked::Match(format!("^(?s:{})$", regex::escape(&text))))
            }
            _ => None,
        }
    }
}

/// What a plan checks.
enum Asked {
    Test(Test),
    /// A regular expression of the body.
    Match(String),
}

impl<'k> Check<'k> {
    fn read(&mut self, link: &'k Link) {
        let is_first = |link: &Link| {
            link.arguments.first().is_none_or(|it| it.number().is_some_and(|it| it == 0.0))
        };
        match link.name.as_str() {
            "saveAs" => self.saved = Some(link),
            "find" if is_first(link) => {}
            "find"
            | "findAll"
            | "findRandom"
            | "count"
            | "transform"
            | "transformWithSession"
            | "transformOption"
            | "captureGroups"
            | "withDefault" => self.is_odd = true,
            "name" => {}
            name if name.starts_with("of") => {}
            _ => self.asks = Some(link),
        }
    }
}

/// The statuses that a check allows.
fn statuses(is_not: bool, arguments: &[Known]) -> Option<Vec<u16>> {
    let mut codes = Vec::new();
    for argument in arguments {
        match argument {
            Known::List(items) => {
                codes.extend(items.iter().map(Known::number).collect::<Option<Vec<f64>>>()?);
            }
            one => codes.push(one.number()?),
        }
    }
    let is_it = |code: &u16| codes.contains(&f64::from(*code)) != is_not;
    let codes: Vec<u16> = (100..600).filter(is_it).collect();
    listable(codes)
}

/// A text of a check as JSON has it: Gatling compares the texts of both.
fn wanted(text: &str) -> Wanted {
    match (text.parse::<f64>(), text) {
        (Ok(number), _) if number.is_finite() => Wanted::Number(number),
        (_, "true") => Wanted::Switch(true),
        (_, "false") => Wanted::Switch(false),
        _ => Wanted::Text(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_listed() {
        let numbers = |codes: &[f64]| codes.iter().map(|it| Known::Number(*it)).collect::<Vec<_>>();
        assert_eq!(statuses(false, &numbers(&[200.0, 304.0])), Some(vec![200, 304]));
        assert_eq!(statuses(true, &numbers(&[404.0])), None);
        assert_eq!(statuses(false, &[Known::Unknown]), None);
        assert_eq!(statuses(false, &[]), None);
    }
}
