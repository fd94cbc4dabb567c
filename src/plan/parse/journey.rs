//! The `[[journey]]` tables, and those of `[[setup]]` and `[[teardown]]`.

use std::time::Duration;

use toml::de::DeValue;

use super::names::KnownNames;
use super::request::{read_name, read_request, read_weight};
use super::walk::{Section, Value, Walk, optional};
use crate::plan::{Action, Journey, Request, Step, StepCondition, ThinkTime, ValueTest};

/// How deep groups of steps can be nested.
const DEEPEST: usize = 4;
/// How often one step can be repeated, at most.
const MOST_REPEATS: u64 = 10_000;

/// Reads the journeys and adds their requests to `requests`. Each journey starts with `names`.
pub(super) fn read(
    root: &mut Section<'_, '_>,
    names: &KnownNames<'_>,
    requests: &mut Vec<Request>,
) -> Vec<Journey> {
    let walk = root.walk;
    walk.named(
        root.tables("journey").unwrap_or_default(),
        |value| read_one(walk, value, names, requests),
        |journey| &journey.name,
        ("another journey is already", "give each journey its own `name`"),
    )
}

fn read_one<'t>(
    walk: &Walk<'t>,
    value: &Value<'t>,
    names: &KnownNames<'_>,
    requests: &mut Vec<Request>,
) -> Option<Journey> {
    let mut section = walk.section(value, "a table `[[journey]]`")?;
    let name = section.require("name", "name = \"buy\"").and_then(|value| read_name(walk, value));
    let weight = read_weight(&mut section);
    let cookies = section.take("cookies").map_or(Some(true), |value| walk.switch(value));
    let stop = section.take("stop_on_failure").map_or(Some(false), |value| walk.switch(value));
    let mut reader = Reader { walk, names: names.clone(), requests };
    let example = "[[journey.step]]` with `path = \"/\"";
    let steps = section.require("step", example).and_then(|value| reader.steps(value, 0));
    section.finish();
    Some(Journey {
        name: name?,
        weight: weight?,
        steps: steps?,
        cookies: cookies?,
        stop_on_failure: stop?,
    })
}

/// Reads `[[setup]]` or `[[teardown]]`: steps that run once. Adds what they capture to `names`.
pub(super) fn read_once(
    root: &mut Section<'_, '_>,
    key: &'static str,
    names: &mut KnownNames<'_>,
    requests: &mut Vec<Request>,
) -> Vec<Step> {
    let walk = root.walk;
    let Some(value) = root.take(key) else { return Vec::new() };
    let mut reader = Reader { walk, names: names.clone(), requests };
    let steps = reader.steps(value, 0).unwrap_or_default();
    *names = reader.names;
    steps
}

struct Reader<'w, 't, 'd> {
    walk: &'w Walk<'t>,
    /// Data, and what the steps so far have captured.
    names: KnownNames<'d>,
    requests: &'w mut Vec<Request>,
}

impl<'t> Reader<'_, 't, '_> {
    fn steps(&mut self, value: &Value<'t>, depth: usize) -> Option<Vec<Step>> {
        let tables = self.walk.list(value, "a list of steps")?;
        if tables.is_empty() {
            self.walk.wrong_with_help(
                value.span(),
                "there must be at least one step",
                "add a step such as `{ path = \"/\" }`",
            );
        }
        if depth > DEEPEST {
            self.walk.wrong_with_help(
                value.span(),
                format!("groups of steps are nested more than {DEEPEST} deep"),
                "move the inner steps one group up",
            );
            return None;
        }
        let steps: Vec<Option<Step>> =
            tables.into_iter().map(|value| self.step(value, depth)).collect();
        steps.into_iter().collect()
    }

    fn step(&mut self, value: &Value<'t>, depth: usize) -> Option<Step> {
        let walk = self.walk;
        let mut section = walk.section(value, "a step such as `{ path = \"/\" }`")?;
        let think = section.take("think").map(|value| self.pause(value));
        let repeat = section.take("repeat").map_or(Some(1), |value| self.repeat(value));
        let probability = section.take("probability").map_or(Some(1.0), |value| walk.share(value));
        let when = section.take("when").map_or_else(Vec::new, |value| self.conditions(value));
        let action = match section.take("steps") {
            Some(steps) => self.steps(steps, depth + 1).map(Action::Group),
            None => self.request(&mut section),
        };
        section.finish();
        Some(Step {
            action: action?,
            think: optional(think)?,
            repeat: repeat?,
            probability: probability?,
            when,
        })
    }

    fn request(&mut self, section: &mut Section<'_, 't>) -> Option<Action> {
        let (request, captures) = read_request(section, &self.names)?;
        for (name, span) in captures {
            if let Err(why) = self.names.capture(&name) {
                self.walk.wrong_with_help(span, why, "give the captured value another name");
            }
        }
        self.requests.push(request);
        Some(Action::Request(self.requests.len() - 1))
    }

    fn repeat(&self, value: &Value<'t>) -> Option<u32> {
        let count = self.walk.integer(value, "a number of repetitions such as `3`")?;
        if !(1..=MOST_REPEATS).contains(&count) {
            let message = format!("`repeat` must be between 1 and {MOST_REPEATS}, not {count}");
            self.walk.wrong_with_help(
                value.span(),
                message,
                "write `repeat = 3`; to skip a step at times, use `probability`",
            );
            return None;
        }
        u32::try_from(count).ok()
    }

    /// `{ token = true, kind = "book" }`.
    fn conditions(&self, value: &Value<'t>) -> Vec<StepCondition> {
        let walk = self.walk;
        let what = "a table such as `{ token = true, kind = \"book\" }`";
        let Some(section) = walk.section(value, what) else { return Vec::new() };
        let mut conditions = Vec::new();
        for (name, span, value) in section.entries() {
            if let Err((why, help)) = self.names.check(name) {
                walk.wrong_with_help(span, why, help);
            }
            let test = match value.get_ref() {
                DeValue::Boolean(switch) => Some(ValueTest::Present(*switch)),
                _ => walk
                    .text(value, "a string, `true` or `false`")
                    .map(|text| ValueTest::Is(text.value)),
            };
            conditions.extend(test.map(|test| StepCondition { name: name.to_owned(), test }));
        }
        conditions
    }

    /// `"1s"`, or `{ uniform = ["1s", "3s"] }` and the like.
    fn pause(&self, value: &Value<'t>) -> Option<ThinkTime> {
        let walk = self.walk;
        if let DeValue::String(_) = value.get_ref() {
            return walk.duration_or_zero(value).map(ThinkTime::Fixed);
        }
        let mut section = walk.section(value, PAUSE)?;
        let kinds: [(&str, TwoDurations); 3] = [
            ("uniform", ThinkTime::Uniform),
            ("normal", ThinkTime::Normal),
            ("lognormal", ThinkTime::Lognormal),
        ];
        let given: Vec<_> = kinds
            .into_iter()
            .filter_map(|(key, make)| section.take(key).map(|value| (key, value, make)))
            .collect();
        let span = section.span.clone();
        section.finish();
        let [(key, value, make)] = given[..] else {
            walk.wrong_with_help(
                span,
                "`think` takes exactly one kind of pause",
                format!("write {PAUSE}"),
            );
            return None;
        };
        let two = walk.list(value, "two durations")?;
        let &[first, second] = two.as_slice() else {
            let message = format!("expected two durations, found {}", two.len());
            walk.wrong_with_help(value.span(), message, format!("write {PAUSE}"));
            return None;
        };
        let (first, second) = (walk.duration_or_zero(first)?, walk.duration_or_zero(second)?);
        if key == "uniform" && first > second {
            walk.wrong(
                value.span(),
                "the shorter pause comes first: `{ uniform = [\"1s\", \"3s\"] }`",
            );
        }
        if key == "lognormal" && first.is_zero() {
            walk.wrong(
                value.span(),
                "the mean of a lognormal pause must be above zero, such as `2s`",
            );
        }
        Some(make(first, second))
    }
}

/// Makes a pause from its two durations.
type TwoDurations = fn(Duration, Duration) -> ThinkTime;

const PAUSE: &str = "`\"1s\"`, `{ uniform = [\"1s\", \"3s\"] }`, `{ normal = [\"2s\", \"500ms\"] }` or \
                     `{ lognormal = [\"2s\", \"1s\"] }` (mean and deviation)";
