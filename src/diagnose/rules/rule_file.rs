//! From the text of a rule file to a [`Rule`], with every mistake at once.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnose::measure::facts::DATABASE;
use crate::diagnose::measure::signal::Signal;
use crate::diagnose::terms::bounds;
use crate::diagnose::terms::operand::{Operand, Over};
use crate::diagnose::terms::part::PartKind;
use crate::diagnose::terms::span::Span;
use crate::plan::nearest;
use crate::timeline::{Selector, names};

use super::layer::{Layer, Resource};
use super::mistake::RuleMistake;
use super::rule::{
    Bound, Check, Condition, Predict, PredictLimit, Rule, RuleRole, Test, Threshold,
};

mod cases;

/// Every signal that a condition can draw on.
const SIGNALS: [&str; 19] = [
    "value",
    "ratio",
    "per_request",
    "per_call",
    "at_a_time",
    "rest",
    "pinned",
    "rise",
    "spread",
    "fixed",
    "burst",
    "share",
    "held_share",
    "count",
    "changes",
    "silent",
    "leak",
    "growth",
    "typical",
];

/// Places in a sentence of evidence.
const PLACES: [&str; 5] = ["value", "a", "b", "baseline", "of"];

/// Reads one rule file. Whether it is in keeping with the others, [`super::ruleset::RuleSet`] checks.
pub(super) fn parse(file: &str, text: &str) -> Result<Rule, Vec<RuleMistake>> {
    let mut reader = Reader { file, text, mistakes: Vec::new() };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        reader.mistake(error.span().unwrap_or(0..0), error.message().to_owned());
    }
    if !reader.mistakes.is_empty() {
        return Err(reader.mistakes);
    }
    let span = table.span();
    let rule = reader.rule(Fields::new(table.get_ref(), span));
    reader.mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
    if reader.mistakes.is_empty() { Ok(rule) } else { Err(reader.mistakes) }
}

struct Reader<'t> {
    file: &'t str,
    text: &'t str,
    mistakes: Vec<RuleMistake>,
}

/// A table whose fields are taken one by one; what is left over is unknown.
struct Fields<'t> {
    table: &'t DeTable<'t>,
    span: Range<usize>,
    asked: Vec<&'static str>,
}

/// A field and what is made of its value.
type Named<A, B> = (&'static str, fn(A) -> B);

type Value<'t> = &'t Spanned<DeValue<'t>>;

impl<'t> Fields<'t> {
    fn new(table: &'t DeTable<'t>, span: Range<usize>) -> Self {
        Self { table, span, asked: Vec::new() }
    }

    fn take(&mut self, name: &'static str) -> Option<Value<'t>> {
        self.asked.push(name);
        self.table.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| value)
    }
}

impl<'t> Reader<'t> {
    fn mistake(&mut self, span: Range<usize>, message: String) {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        self.mistakes.push(RuleMistake { file: self.file.to_owned(), line, column, message });
    }

    fn finish(&mut self, fields: &Fields) {
        for (key, _) in fields.table {
            let name = key.get_ref();
            if fields.asked.iter().any(|asked| asked == name) {
                continue;
            }
            let hint = nearest(name, fields.asked.iter().copied())
                .unwrap_or_else(|| format!("it may hold {}", fields.asked.join(", ")));
            self.mistake(key.span(), format!("unknown field `{name}`; {hint}"));
        }
    }

    fn rule(&mut self, mut fields: Fields<'t>) -> Rule {
        let role = match self.optional_text(&mut fields, "role").as_deref() {
            None | Some("limit") => RuleRole::Limit,
            Some("apart") => RuleRole::Apart,
            Some("gate") => RuleRole::Gate,
            Some(other) => {
                let message = format!("`{other}` is not a role; write `limit`, `apart` or `gate`");
                self.at(&mut fields, "role", message);
                RuleRole::Limit
            }
        };
        let explains = self.parts(&mut fields, "explains");
        let rule = Rule {
            id: self.text(&mut fields, "id"),
            title: self.text(&mut fields, "title"),
            what: self.text(&mut fields, "what"),
            why: self.text(&mut fields, "why"),
            next: self.text(&mut fields, "next"),
            disproved_by: self.text(&mut fields, "disproved_by"),
            references: self.texts(&mut fields, "references"),
            add: self.text(&mut fields, "add"),
            lacking: self.optional_text(&mut fields, "lacking"),
            role,
            resource: self.resource(&mut fields),
            layer: self.layer(&mut fields),
            subject_by: self.optional_text(&mut fields, "subject_by"),
            explains,
            consequence_of: self.texts(&mut fields, "consequence_of"),
            require: self.conditions(&mut fields, "require"),
            support: self.conditions(&mut fields, "support"),
            refute: self.conditions(&mut fields, "refute"),
            bends: self.conditions(&mut fields, "bends"),
            cases: self.cases(&mut fields),
        };
        let stem = self.file.rsplit(['/', '\\']).next().and_then(|name| name.strip_suffix(".toml"));
        if stem.is_some_and(|stem| stem != rule.id) && !rule.id.is_empty() {
            let message =
                format!("the id `{}` differs from the file's name; make them equal", rule.id);
            self.at(&mut fields, "id", message);
        }
        if rule.require.is_empty() {
            self.mistake(
                fields.span.clone(),
                "a rule needs at least one [[require]]; add what must hold".to_owned(),
            );
        }
        self.finish(&fields);
        rule
    }

    /// What the fault exhausts: a known name, or `{ own = "…" }`.
    fn resource(&mut self, fields: &mut Fields<'t>) -> Resource {
        let Some(value) = fields.take("resource") else {
            self.mistake(fields.span.clone(), "`resource` is missing".to_owned());
            return Resource::Unknown;
        };
        if value.get_ref().is_table() {
            let own = self.table(value).map(|mut fields| {
                let name = self.text(&mut fields, "own");
                self.finish(&fields);
                name
            });
            return Resource::Own(own.unwrap_or_default());
        }
        let Some(text) = self.as_text(value, "resource") else { return Resource::Unknown };
        Resource::find(text).unwrap_or_else(|| {
            let names = Resource::names().collect::<Vec<_>>();
            let known = nearest(text, names.iter().copied())
                .unwrap_or_else(|| format!("write one of {}.", names.join(", ")));
            let message = format!(
                "`{text}` is not a known resource; {known} Or `resource = {{ own = \"{text}\" }}` \
                 for one that only this rule knows"
            );
            self.mistake(value.span(), message);
            Resource::Unknown
        })
    }

    fn layer(&mut self, fields: &mut Fields<'t>) -> Layer {
        let Some(value) = fields.take("layer") else {
            self.mistake(fields.span.clone(), "`layer` is missing".to_owned());
            return Layer::Door;
        };
        let Some(text) = self.as_text(value, "layer") else { return Layer::Door };
        Layer::find(text).unwrap_or_else(|| {
            let names = Layer::ALL.map(Layer::key);
            let known = nearest(text, names)
                .unwrap_or_else(|| format!("write one of {}", names.join(", ")));
            self.mistake(value.span(), format!("`{text}` is not a layer; {known}"));
            Layer::Door
        })
    }

    /// A mistake at the value of a field.
    fn at(&mut self, fields: &mut Fields<'t>, name: &'static str, message: String) {
        let span = fields.take(name).map_or(fields.span.clone(), Spanned::span);
        self.mistake(span, message);
    }

    fn text(&mut self, fields: &mut Fields<'t>, name: &'static str) -> String {
        if let Some(text) = self.optional_text(fields, name) {
            return text;
        }
        if fields.take(name).is_none() {
            self.mistake(fields.span.clone(), format!("`{name}` is missing"));
        }
        String::new()
    }

    fn optional_text(&mut self, fields: &mut Fields<'t>, name: &'static str) -> Option<String> {
        let value = fields.take(name)?;
        let text = self.as_text(value, name)?.trim().to_owned();
        if text.is_empty() {
            self.mistake(
                value.span(),
                format!("`{name}` is empty; write something, or take the line out"),
            );
        }
        Some(text)
    }

    fn as_text(&mut self, value: Value<'t>, name: &str) -> Option<&'t str> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.mistake(value.span(), format!("`{name}` is not a text; put it in quotes"));
        }
        text
    }

    fn texts(&mut self, fields: &mut Fields<'t>, name: &'static str) -> Vec<String> {
        let values = self.items(fields, name);
        values
            .into_iter()
            .filter_map(|value| self.as_text(value, name).map(str::to_owned))
            .collect()
    }

    /// The values of an array; one value stands for an array of one.
    fn items(&mut self, fields: &mut Fields<'t>, name: &'static str) -> Vec<Value<'t>> {
        fields.take(name).map_or_else(Vec::new, items_of)
    }

    fn switch(&mut self, fields: &mut Fields<'t>, name: &'static str) -> bool {
        let Some(value) = fields.take(name) else { return false };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.mistake(value.span(), format!("`{name}` must be `true` or `false`"));
            false
        })
    }

    fn number(&mut self, value: Value<'t>, name: &str) -> Option<f64> {
        let number = match value.get_ref() {
            DeValue::Float(float) => float.as_str().parse().ok(),
            DeValue::Integer(integer) => integer.as_str().parse().ok(),
            _ => None,
        };
        let number = number.filter(|number: &f64| number.is_finite());
        if number.is_none() {
            self.mistake(value.span(), format!("`{name}` is not a number; write one such as 0.9"));
        }
        number
    }

    fn parts(&mut self, fields: &mut Fields<'t>, name: &'static str) -> Vec<PartKind> {
        let values = self.items(fields, name);
        self.parts_of(&values, name)
    }

    fn parts_of(&mut self, values: &[Value<'t>], name: &str) -> Vec<PartKind> {
        let mut parts = Vec::new();
        for value in values {
            let Some(text) = self.as_text(value, name) else { continue };
            match PartKind::find(text) {
                Some(part) => parts.push(part),
                None => {
                    let all = PartKind::ALL.map(PartKind::key).join(", ");
                    let message =
                        format!("`{text}` is not a part of the response time; write one of {all}");
                    self.mistake(value.span(), message);
                }
            }
        }
        parts
    }

    fn conditions(&mut self, fields: &mut Fields<'t>, name: &'static str) -> Vec<Condition> {
        let values = self.items(fields, name);
        self.conditions_of(values)
    }

    fn conditions_of(&mut self, values: Vec<Value<'t>>) -> Vec<Condition> {
        values.into_iter().filter_map(|value| self.condition(value)).collect()
    }

    fn table(&mut self, value: Value<'t>) -> Option<Fields<'t>> {
        let Some(table) = value.get_ref().as_table() else {
            self.mistake(value.span(), "this is not a table; write `{ … }`".to_owned());
            return None;
        };
        Some(Fields::new(table, value.span()))
    }

    fn condition(&mut self, value: Value<'t>) -> Option<Condition> {
        let mut fields = self.table(value)?;
        let groups = (fields.take("any"), fields.take("all"));
        let check = match groups {
            (Some(any), None) => Some(Check::Any(self.conditions_of(items_of(any)))),
            (None, Some(all)) => Some(Check::All(self.conditions_of(items_of(all)))),
            (None, None) => self.test(&mut fields).map(Check::Test),
            (Some(_), Some(all)) => {
                self.mistake(
                    all.span(),
                    "a condition has either `any` or `all`; put one inside the other".to_owned(),
                );
                None
            }
        };
        let predict = fields.take("predict").and_then(|value| self.predict(value));
        let condition = Condition {
            check: check.clone().unwrap_or(Check::All(Vec::new())),
            symptom: self.switch(&mut fields, "symptom"),
            optional: self.switch(&mut fields, "optional"),
            advice: self.optional_text(&mut fields, "advice"),
            title: self.optional_text(&mut fields, "title"),
            predict,
        };
        self.finish(&fields);
        check.is_some().then_some(condition)
    }

    fn test(&mut self, fields: &mut Fields<'t>) -> Option<Test> {
        let says = self.text(fields, "says");
        for place in places(&says) {
            if !PLACES.contains(&place) {
                let all = PLACES.map(|place| format!("{{{place}}}")).join(" ");
                let message =
                    format!("`{{{place}}}` is not a known placeholder; write one of {all}");
                self.at(fields, "says", message);
            }
        }
        let span = match self.optional_text(fields, "window") {
            None => Span::Knee,
            Some(text) => match Span::ALL.into_iter().find(|span| span.key() == text) {
                Some(span) => span,
                None => {
                    let all = Span::ALL.map(Span::key).join(", ");
                    self.at(
                        fields,
                        "window",
                        format!("`{text}` is not a window; write one of {all}"),
                    );
                    Span::Knee
                }
            },
        };
        let bounds = self.bounds(fields);
        let Some(signal) = fields.take("signal") else {
            let message = "a condition needs one of `signal`, `any` and `all`".to_owned();
            self.mistake(fields.span.clone(), message);
            return None;
        };
        let signal = self.signal(signal)?;
        Some(Test { says, signal, span, bounds })
    }

    fn bounds(&mut self, fields: &mut Fields<'t>) -> Vec<Bound> {
        let kinds: [Named<Threshold, Bound>; 3] =
            [("over", Bound::Over), ("at_least", Bound::AtLeast), ("under", Bound::Under)];
        let mut bounds = Vec::new();
        for (name, bound) in kinds {
            let Some(value) = fields.take(name) else { continue };
            bounds.extend(self.threshold(value, name).map(bound));
        }
        if bounds.is_empty() && !kinds.iter().any(|(name, _)| fields.take(name).is_some()) {
            let message = "a signal needs a bound; add `over`, `at_least` or `under`".to_owned();
            self.mistake(fields.span.clone(), message);
        }
        bounds
    }

    /// A number, or the name of a bound that rules share.
    fn threshold(&mut self, value: Value<'t>, name: &str) -> Option<Threshold> {
        let Some(text) = value.get_ref().as_str() else {
            return self.number(value, name).map(|value| Threshold { value, name: None });
        };
        let found = bounds::find(text);
        if found.is_none() {
            let names = bounds::ALL.iter().map(|bound| bound.name);
            let known =
                nearest(text, names).unwrap_or_else(|| "write a number in its place".to_owned());
            self.mistake(value.span(), format!("`{text}` is not a named bound; {known}"));
        }
        found.map(|bound| Threshold { value: bound.value, name: Some(bound.name) })
    }

    fn signal(&mut self, value: Value<'t>) -> Option<Signal> {
        let mut fields = self.table(value)?;
        let over = match self.optional_text(&mut fields, "series").as_deref() {
            None | Some("sum") => Over::Sum,
            Some("max") => Over::Max,
            Some("min") => Over::Min,
            Some("mean") => Over::Mean,
            Some(other) => {
                let message = format!(
                    "`{other}` is not a valid `series`; write `sum`, `max`, `min` or `mean`"
                );
                self.at(&mut fields, "series", message);
                Over::Sum
            }
        };
        let by = self.optional_text(&mut fields, "by");
        let signal = self.named_signal(&mut fields, over, by);
        if signal.is_none() && self.mistakes.is_empty() {
            let message = format!("a signal is one of {}", SIGNALS.join(", "));
            self.mistake(fields.span.clone(), message);
        }
        self.finish(&fields);
        signal
    }

    fn named_signal(
        &mut self,
        fields: &mut Fields<'t>,
        over: Over,
        by: Option<String>,
    ) -> Option<Signal> {
        let plain: [Named<Operand, Signal>; 8] = [
            ("value", Signal::Value),
            ("per_request", Signal::PerRequest),
            ("per_call", Signal::PerCall),
            ("at_a_time", Signal::AtATime),
            ("pinned", Signal::Pinned),
            ("rise", Signal::Rise),
            ("spread", Signal::Spread),
            ("burst", Signal::Burst),
        ];
        for (name, signal) in plain {
            if let Some(value) = fields.take(name) {
                let selectors = self.selectors(value)?;
                return Some(signal(Operand { selectors, over, by }));
            }
        }
        type Pair = (&'static str, &'static str, fn(Operand, Operand) -> Signal);
        let pairs: [Pair; 2] =
            [("ratio", "[above, below]", Signal::Ratio), ("fixed", "[count, rate]", Signal::Fixed)];
        for (name, form, signal) in pairs {
            let Some(value) = fields.take(name) else { continue };
            let [first, second] = items_of(value)[..] else {
                let message = format!("`{name}` needs two operands; write `{form}`");
                self.mistake(value.span(), message);
                return None;
            };
            let first = Operand { selectors: self.selectors(first)?, over, by };
            let second = Operand { selectors: self.selectors(second)?, over, by: None };
            return Some(signal(first, second));
        }
        if let Some(value) = fields.take("rest") {
            let of = Operand { selectors: self.selectors(value)?, over, by };
            let less = fields.take("less").map(|value| self.selectors(value));
            return Some(Signal::Rest(of, less.flatten().unwrap_or_default()));
        }
        if let Some(value) = fields.take("share") {
            return Some(Signal::Share(self.parts_of(&items_of(value), "share")));
        }
        if let Some(value) = fields.take("held_share") {
            return Some(Signal::HeldShare(self.parts_of(&items_of(value), "held_share")));
        }
        if let Some(value) = fields.take("count") {
            let selector = self.selector(value)?;
            let reach = fields.take("reaching").and_then(|value| self.number(value, "reaching"));
            return Some(Signal::Count(selector, reach.unwrap_or(f64::MIN_POSITIVE)));
        }
        let of_series: [Named<Selector, Signal>; 3] =
            [("changes", Signal::Changes), ("silent", Signal::Silent), ("leak", Signal::Leak)];
        for (name, signal) in of_series {
            if let Some(value) = fields.take(name) {
                return Some(signal(self.selector(value)?));
            }
        }
        let of_signal: [Named<Box<Signal>, Signal>; 2] =
            [("growth", Signal::Growth), ("typical", Signal::Typical)];
        for (name, signal) in of_signal {
            if let Some(inner) = fields.take(name) {
                return Some(signal(Box::new(self.signal(inner)?)));
            }
        }
        None
    }

    fn selectors(&mut self, value: Value<'t>) -> Option<Vec<Selector>> {
        let all: Vec<Selector> =
            items_of(value).into_iter().filter_map(|value| self.selector(value)).collect();
        (!all.is_empty()).then_some(all)
    }

    fn selector(&mut self, value: Value<'t>) -> Option<Selector> {
        let text = self.as_text(value, "the selector")?;
        let selector: Selector = match text.parse() {
            Ok(selector) => selector,
            Err(error) => {
                let error: crate::timeline::ParseSelectorError = error;
                self.mistake(value.span(), error.to_string());
                return None;
            }
        };
        if names::find(&selector.metric).is_none() {
            let hint = nearest(&selector.metric, names::ALL.iter().map(|spec| spec.name));
            let hint = hint.map_or(String::new(), |hint| format!("; {hint}"));
            let message = format!("no collector emits `{}`{hint}", selector.metric);
            self.mistake(value.span(), message);
            return None;
        }
        let placeholder = selector.labels.iter().find(|(_, value)| value.starts_with('$'));
        if let Some((_, name)) = placeholder.filter(|(_, name)| *name != DATABASE) {
            let message =
                format!("`{name}` is not a known placeholder; write `{DATABASE}` for the database");
            self.mistake(value.span(), message);
        }
        Some(selector)
    }

    fn predict(&mut self, value: Value<'t>) -> Option<Predict> {
        let mut fields = self.table(value)?;
        let busy = fields.take("busy").and_then(|value| self.selectors(value));
        let by = self.optional_text(&mut fields, "by");
        let operand = |selectors| Operand { selectors, over: Over::Sum, by: by.clone() };
        let limit = match fields.take("limit") {
            None => None,
            Some(value) => match value.get_ref() {
                DeValue::String(text) if text == "pinned" => Some(PredictLimit::Pinned),
                DeValue::String(_) | DeValue::Array(_) => self
                    .selectors(value)
                    .map(|selectors| PredictLimit::Measured(operand(selectors))),
                _ => self.number(value, "limit").map(PredictLimit::Fixed),
            },
        };
        if busy.is_none() || limit.is_none() {
            let message = "`predict` needs both `busy` and `limit`".to_owned();
            self.mistake(fields.span.clone(), message);
        }
        self.finish(&fields);
        Some(Predict { busy: operand(busy?), limit: limit? })
    }
}

fn items_of<'t>(value: Value<'t>) -> Vec<Value<'t>> {
    match value.get_ref().as_array() {
        Some(array) => array.iter().collect(),
        None => vec![value],
    }
}

/// The names between braces.
fn places(text: &str) -> Vec<&str> {
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests;
