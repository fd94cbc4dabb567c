//! What expressions come to, and values as texts of a plan.

use std::rc::Rc;

use super::machine::{Machine, compare_values};
use super::syntax::{Call, Expr, ExprKind, Operator};
use super::value::{Known, Part, number_text};
use crate::convert::draft::{Data, RowOrder};
use crate::convert::table::Table;
use crate::convert::template::Template;
use crate::plan::is_secret_name;

/// Most texts of a list that stands in the plan itself.
const MOST_LISTED: usize = 50;
/// The largest number that a counter of a plan goes to.
const MOST_COUNTED: i64 = i32::MAX as i64;
/// Names that both tools count up: users and their iterations.
const COUNTERS: [&str; 2] = ["__VU", "__ITER"];

impl Machine<'_, '_> {
    /// What an expression comes to.
    pub(in crate::convert) fn eval(&mut self, expr: &Expr) -> Known {
        let known = self.come_to(expr);
        let is_built = matches!(
            expr.kind,
            ExprKind::Joined(_) | ExprKind::List(_) | ExprKind::Map(_) | ExprKind::Binary(..)
        );
        if is_built && !known.is_within_bounds() {
            self.lost(expr.line, "a value that is too large, or too deep in itself");
            return Known::Unknown;
        }
        known
    }

    fn come_to(&mut self, expr: &Expr) -> Known {
        match &expr.kind {
            ExprKind::Text(text) => Known::text(text),
            ExprKind::Number(number) => Known::Number(*number),
            ExprKind::Switch(switch) => Known::Switch(*switch),
            ExprKind::Nothing => Known::Nothing,
            ExprKind::Joined(parts) => {
                let mut text = Template::default();
                for part in parts {
                    text.append(self.text_of(part));
                }
                Known::Text(text)
            }
            ExprKind::Name(name) if COUNTERS.contains(&name.as_str()) => Known::Counter,
            ExprKind::Name(name) => self.lookup(name).cloned().unwrap_or(Known::Unknown),
            ExprKind::Member(of, name) => self.member_of(expr, of, name),
            ExprKind::Index(of, index) => {
                let (list, index) = (self.eval(of), self.eval(index));
                self.index(&list, &index, of, expr)
            }
            ExprKind::Call(call) => self.call(call, expr),
            ExprKind::List(items) => {
                Known::List(Rc::new(items.iter().map(|item| self.eval(item)).collect()))
            }
            ExprKind::Map(entries) => self.map(entries),
            ExprKind::Function(function) => Known::Function(Rc::clone(function)),
            ExprKind::Binary(operator, left, right) => self.binary(*operator, left, right),
            ExprKind::Not(inner) => match self.eval(inner) {
                Known::Switch(switch) => Known::Switch(!switch),
                _ => Known::Unknown,
            },
            ExprKind::Choice(parts) => {
                let [test, yes, no] = parts.as_ref();
                match self.eval(test) {
                    Known::Switch(true) => self.eval(yes),
                    Known::Switch(false) | Known::Nothing => self.eval(no),
                    // `__ENV.HOST ? __ENV.HOST : "http://…"`.
                    Known::Text(text) if text.is_variable() => {
                        let (yes, no) = (self.eval(yes), self.eval(no));
                        match no.fixed() {
                            Some(_) => self.default_of(&text, no, test.line),
                            None => yes,
                        }
                    }
                    _ => Known::Unknown,
                }
            }
            ExprKind::Other => Known::Unknown,
        }
    }

    fn member_of(&mut self, expr: &Expr, of: &Expr, name: &str) -> Known {
        let path = expr.path();
        if !path.is_empty()
            && let Some(known) = self.lookup(&path.join("."))
        {
            return known.clone();
        }
        match path.as_slice() {
            ["__ENV", name] | ["os", "environ", name] => {
                return Known::Text(Template::secret(name));
            }
            // k6's own counters of users and iterations.
            ["exec", .., last] if last.starts_with("iteration") || last.starts_with("id") => {
                return Known::Counter;
            }
            _ => {}
        }
        let of = self.eval(of);
        self.member(&of, name).unwrap_or(Known::Unknown)
    }

    fn index(&mut self, list: &Known, index: &Known, of: &Expr, expr: &Expr) -> Known {
        match (list, index) {
            (Known::List(items), Known::Number(index)) if *index >= 0.0 => {
                items.get(*index as usize).cloned().unwrap_or(Known::Unknown)
            }
            (Known::List(_), Known::Range(..) | Known::Uniform(..)) => {
                self.pick(list, RowOrder::Random, of, expr)
            }
            (Known::List(_), Known::Counter | Known::Made(_, _, Data::Sequence(..))) => {
                self.pick(list, RowOrder::Sequential, of, expr)
            }
            (Known::Part(request, Part::Json(path)), Known::Number(index)) => {
                Known::Part(request.clone(), Part::Json(format!("{path}[{}]", number_text(*index))))
            }
            (of, index) => match index.fixed() {
                Some(name) => self.member(of, &name).unwrap_or(Known::Unknown),
                None => Known::Unknown,
            },
        }
    }

    /// One value of a list, drawn anew for each journey.
    pub(in crate::convert) fn pick(
        &mut self,
        list: &Known,
        order: RowOrder,
        of: &Expr,
        expr: &Expr,
    ) -> Known {
        let call = self.source_of(expr);
        if let Some(known) = self.lookup(&format!(" {call}")) {
            return known.clone();
        }
        let stem = of.path().last().map_or_else(|| "value".to_owned(), |name| (*name).to_owned());
        let items = list.items();
        let texts: Option<Vec<String>> = items.iter().map(Known::fixed).collect();
        let picked = match texts {
            _ if items.is_empty() => Known::Unknown,
            Some(_) if is_secret_name(&stem) => Known::Text(Template::secret(&stem)),
            Some(texts) if texts.len() <= MOST_LISTED && order == RowOrder::Random => {
                Known::Made(call.clone(), stem, Data::List(texts))
            }
            Some(texts) => {
                let rows = texts.into_iter().map(|text| vec![text]).collect();
                self.table(&stem, vec![stem.clone()], rows, order, expr.line)
                    .and_then(|columns| columns.into_iter().next())
                    .map_or(Known::Unknown, |(_, value)| value)
            }
            None => self.pick_row(items, &stem, order, expr.line),
        };
        // For the whole program, whatever function draws it.
        if let Some(frame) = self.frames.first_mut() {
            frame.insert(format!(" {call}"), picked.clone());
        }
        picked
    }

    /// One of several tables: its fields are the columns of a file.
    fn pick_row(&mut self, items: &[Known], stem: &str, order: RowOrder, line: usize) -> Known {
        let Some(first) = items.first() else { return Known::Unknown };
        let fields: Vec<String> = first
            .entries()
            .iter()
            .filter(|(_, value)| value.fixed().is_some())
            .map(|(key, _)| key.clone())
            .collect();
        if fields.is_empty() {
            return Known::Unknown;
        }
        let cell = |item: &Known, field: &String| {
            item.get(field).and_then(Known::fixed).unwrap_or_default()
        };
        let row = |item: &Known| fields.iter().map(|field| cell(item, field)).collect();
        let rows = items.iter().map(row).collect();
        match self.table(stem, fields, rows, order, line) {
            Some(columns) => Known::Map(Rc::new(columns)),
            None => Known::Unknown,
        }
    }

    /// Writes a file of values; gives what its columns stand for.
    fn table(
        &mut self,
        stem: &str,
        fields: Vec<String>,
        rows: Vec<Vec<String>>,
        order: RowOrder,
        line: usize,
    ) -> Option<Vec<(String, Known)>> {
        let table = Table { stem, fields, order };
        match table.write(self.artifact, &self.values, rows.into_iter()) {
            Ok((data, columns)) => {
                if columns.iter().any(|(field, _)| is_secret_name(field)) {
                    let text = format!(
                        "`{}.csv` holds secrets of the script, such as passwords: keep it where \
                         the script is kept",
                        data.0
                    );
                    self.artifact.notes.at(line, text);
                }
                self.draft.data.push(data);
                let value = |(field, name): (String, String)| {
                    let mut text = Template::default();
                    text.value(&name);
                    (field, Known::Text(text))
                };
                Some(columns.into_iter().map(value).collect())
            }
            Err(why) => {
                self.lost(line, format!("a list of values: {why}"));
                None
            }
        }
    }

    fn call(&mut self, call: &Call, expr: &Expr) -> Known {
        if let Some(known) = (self.library)(self, call, expr) {
            return known;
        }
        let callee = match &call.callee.kind {
            ExprKind::Member(list, name) if name == "forEach" => return self.for_each(list, call),
            _ => self.eval(&call.callee),
        };
        let mut arguments: Vec<Known> = call.arguments.iter().map(|it| self.eval(it)).collect();
        match callee {
            Known::Function(function) => {
                // A method of Python gets its object first.
                let is_method = matches!(call.callee.kind, ExprKind::Member(..));
                if is_method && function.parameters.first().is_some_and(|name| name == "self") {
                    arguments.insert(0, Known::Unknown);
                }
                self.enter(&function, arguments)
            }
            _ => {
                if let ExprKind::Name(name) = &call.callee.kind {
                    let text = format!("a call of `{name}`, which the script does not define");
                    self.lost(expr.line, text);
                }
                Known::Unknown
            }
        }
    }

    fn for_each(&mut self, list: &Expr, call: &Call) -> Known {
        let (list, function) = (self.eval(list), call.arguments.first().map(|it| self.eval(it)));
        match (list, function) {
            (Known::List(items), Some(Known::Function(function))) => {
                for item in items.iter() {
                    self.enter(&function, vec![item.clone()]);
                }
            }
            _ => self.lost(call.callee.line, "a loop over a list that only a run knows"),
        }
        Known::Nothing
    }

    fn map(&mut self, entries: &[(Expr, Expr)]) -> Known {
        let mut map: Vec<(String, Known)> = Vec::new();
        for (key, value) in entries {
            let value = self.eval(value);
            match &key.kind {
                // `...other`.
                ExprKind::Other => map.extend(value.entries().iter().cloned()),
                _ => {
                    if let Some(key) = self.eval(key).fixed() {
                        map.retain(|(known, _)| *known != key);
                        map.push((key, value));
                    }
                }
            }
        }
        Known::Map(Rc::new(map))
    }

    fn binary(&mut self, operator: Operator, left: &Expr, right: &Expr) -> Known {
        let (a, b) = (self.eval(left), self.eval(right));
        match operator {
            Operator::Or => self.or(a, b, left),
            Operator::And => b,
            Operator::Add => match (&a, &b) {
                (Known::Number(a), Known::Number(b)) => Known::Number(a + b),
                (Known::Text(_), _) | (_, Known::Text(_)) => {
                    let mut text = self.render(a, left);
                    text.append(self.render(b, right));
                    Known::Text(text)
                }
                _ => shifted(&a, b.number().or(a.number())),
            },
            Operator::Subtract => match (&a, &b) {
                (Known::Number(a), Known::Number(b)) => Known::Number(a - b),
                _ => shifted(&a, b.number().map(|number| -number)),
            },
            Operator::Multiply => match (&a, &b) {
                (Known::Number(a), Known::Number(b)) => Known::Number(a * b),
                (Known::Uniform(low, high), Known::Number(by))
                | (Known::Number(by), Known::Uniform(low, high)) => {
                    Known::Uniform(low * by, high * by)
                }
                _ => Known::Unknown,
            },
            Operator::Divide => match (&a, &b) {
                (Known::Number(a), Known::Number(b)) if *b != 0.0 => Known::Number(a / b),
                (Known::Uniform(low, high), Known::Number(by)) if *by != 0.0 => {
                    Known::Uniform(low / by, high / by)
                }
                _ => Known::Unknown,
            },
            Operator::Remainder => match (&a, &b) {
                (Known::Number(a), Known::Number(b)) if *b != 0.0 => Known::Number(a % b),
                (Known::Counter, Known::Number(by)) if (1.0..1e9).contains(by) => {
                    let last = *by as i64 - 1;
                    let name = format!("counter_{}", last + 1);
                    Known::Made(format!("a counter to {last}"), name, Data::Sequence(0, last))
                }
                (Known::Counter | Known::Unknown, _) => Known::Counter,
                _ => Known::Unknown,
            },
            _ => compare_values(operator, &a, &b).map_or(Known::Unknown, Known::Switch),
        }
    }

    /// `__ENV.HOST || "http://…"`: the default, as the plan has no other place for it.
    fn or(&mut self, a: Known, b: Known, left: &Expr) -> Known {
        match a {
            Known::Text(text) if text.is_variable() && b.fixed().is_some() => {
                self.default_of(&text, b, left.line)
            }
            Known::Nothing | Known::Switch(false) | Known::Unknown => b,
            a => a,
        }
    }

    /// A variable of the environment that has a default: the default, unless it is a secret.
    pub(in crate::convert) fn default_of(
        &mut self,
        variable: &Template,
        default: Known,
        line: usize,
    ) -> Known {
        let name = variable.shown();
        if is_secret_name(&name) {
            return Known::Text(variable.clone());
        }
        let text = format!("the variable `{name}` of the environment has its default in the plan");
        self.artifact.notes.at(line, text);
        default
    }

    /// The text that an expression comes to.
    pub(in crate::convert) fn text_of(&mut self, expr: &Expr) -> Template {
        let value = self.eval(expr);
        self.render(value, expr)
    }

    /// A value as a text; `expr` is where it comes from.
    pub(in crate::convert) fn render(&mut self, value: Known, expr: &Expr) -> Template {
        let name = match value {
            Known::Text(text) => return text,
            Known::Number(number) => return Template::plain(&number_text(number)),
            Known::Switch(switch) => return Template::plain(&switch.to_string()),
            Known::Nothing => return Template::plain("null"),
            value @ (Known::List(_) | Known::Map(_)) => return self.json(&value, expr),
            Known::Range(first, last) => {
                let call = self.source_of(expr);
                self.values.made(&call, &format!("random_{first}_{last}"), Data::Range(first, last))
            }
            Known::Counter => {
                self.values.made("a counter", "counter", Data::Sequence(1, MOST_COUNTED))
            }
            Known::Made(call, wanted, data) => self.values.made(&call, &wanted, data),
            Known::Part(request, part) => match self.captured(&request, &part) {
                Some(name) => name,
                None => self.unknown(expr),
            },
            Known::Uniform(..)
            | Known::Function(_)
            | Known::File(_)
            | Known::Response(_)
            | Known::Fluent(_)
            | Known::Unknown => self.unknown(expr),
        };
        let mut text = Template::default();
        text.value(&name);
        text
    }

    fn unknown(&mut self, expr: &Expr) -> String {
        let wanted = match &expr.kind {
            ExprKind::Call(call) => call.callee.path().last().copied().unwrap_or("value"),
            _ => expr.path().last().copied().unwrap_or("value"),
        };
        self.values.unknown(&self.source_of(expr), wanted, expr.line)
    }

    /// The name of a part of a response that the plan captures.
    fn captured(&mut self, request: &str, part: &Part) -> Option<String> {
        let (kind, pattern) = match part {
            Part::Json(path) => ("json", path.clone()),
            Part::Header(name) => ("header", name.clone()),
            Part::Cookie(name) => ("cookie", name.clone()),
            Part::Status | Part::Body | Part::Headers | Part::Cookies => return None,
        };
        let step = self.step_of(request)?;
        let is_same =
            |(_, known, text): &&(String, &str, String)| *known == kind && *text == pattern;
        if let Some((name, _, _)) = step.captures.iter().find(is_same) {
            return Some(name.clone());
        }
        let ends = |c: char| ".[]'\"$".contains(c);
        let wanted = pattern.rsplit(ends).find(|it| !it.is_empty() && it.parse::<u64>().is_err());
        let wanted = crate::convert::template::identifier(wanted.unwrap_or(kind));
        let name = self.values.data_name(&wanted);
        self.step_of(request)?.capture(&name, kind, &pattern);
        Some(name)
    }

    /// A value as JSON.
    pub(in crate::convert) fn json(&mut self, value: &Known, expr: &Expr) -> Template {
        let mut text = Template::default();
        match value {
            Known::Number(number) => text.text(&number_text(*number)),
            Known::Switch(switch) => text.text(&switch.to_string()),
            Known::Nothing => text.text("null"),
            Known::List(items) => {
                text.text("[");
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        text.text(&format!(",{}", self.json_space));
                    }
                    text.append(self.json(item, expr));
                }
                text.text("]");
            }
            Known::Map(entries) => {
                text.text("{");
                for (index, (key, value)) in entries.iter().enumerate() {
                    if index > 0 {
                        text.text(&format!(",{}", self.json_space));
                    }
                    let key_text = serde_json::Value::from(key.as_str());
                    text.text(&format!("{key_text}:{}", self.json_space));
                    let is_told = value.fixed().is_some_and(|it| !it.is_empty());
                    if is_secret_name(key) && is_told && !matches!(value, Known::Switch(_)) {
                        text.text("\"");
                        text.variable(key);
                        text.text("\"");
                    } else {
                        text.append(self.json(value, expr));
                    }
                }
                text.text("}");
            }
            Known::Range(..) | Known::Counter => text.append(self.render(value.clone(), expr)),
            value => {
                let inside = self.render(value.clone(), expr);
                text.text("\"");
                text.append(inside.map_text(|text| {
                    let quoted = serde_json::Value::from(text).to_string();
                    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
                }));
                text.text("\"");
            }
        }
        text
    }
}

/// A random number with something added.
fn shifted(value: &Known, by: Option<f64>) -> Known {
    match (value, by) {
        (Known::Uniform(low, high), Some(by)) => Known::Uniform(low + by, high + by),
        (Known::Range(first, last), Some(by)) if by.fract() == 0.0 && by.abs() < 1e12 => {
            Known::Range(first.saturating_add(by as i64), last.saturating_add(by as i64))
        }
        (Known::Counter, Some(_)) => Known::Counter,
        _ => Known::Unknown,
    }
}
