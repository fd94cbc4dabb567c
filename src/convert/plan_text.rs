//! Writes a draft as the text of a plan, with comments and in the order in which people read it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value, value};

use super::artifact::Options;
use super::draft::{
    Data, Draft, JourneyDraft, LoadDraft, ObjectiveDraft, RequestDraft, RowOrder, ScenarioDraft,
    StepDraft, Think,
};
use super::load_text::{Extent, fill_load};
use super::notes::Notes;
use super::template::Template;
use super::toml_text::{comment, comment_on, duration, literal, number, zero_or_longer};

/// The target of a plan where neither the input nor the command line names one.
const DEFAULT_TARGET: &str = "http://127.0.0.1:8080";

/// The text of the plan.
pub(super) fn write(mut draft: Draft, from: &str, options: &Options, notes: &mut Notes) -> String {
    if draft.url.is_none() && options.target.is_none() {
        notes.add(format!(
            "the input does not name a target, so the plan has `{DEFAULT_TARGET}`; set it with \
             `--target URL`"
        ));
        let text = "Set `url` in [target]: the input does not name a target.";
        draft.comments.insert(0, text.to_owned());
    }
    let variables = draft.variables().join(", ");
    if !variables.is_empty() {
        draft.comments.push(format!("Set these environment variables: {variables}."));
        notes.add(format!("set these environment variables before the run: {variables}"));
    }
    let mut header =
        comment(&format!("Made from {} ({from}) by kneepoint convert.", options.origin));
    if !draft.comments.is_empty() {
        header.push_str(&comment("Check before you run it:"));
        draft.comments.iter().for_each(|text| header.push_str(&comment(&format!("- {text}"))));
    }
    let lost: Vec<String> = notes.lost().collect();
    if !lost.is_empty() {
        header.push_str(&comment("What is not in this plan, by line of the input:"));
        lost.iter().for_each(|text| header.push_str(&comment(&format!("- {text}"))));
    }
    header.push('\n');
    let name = plan_name(draft.name.as_deref().unwrap_or(&options.origin));
    let target = options.target.as_deref().or(draft.url.as_deref()).unwrap_or(DEFAULT_TARGET);

    let mut writer = Writer::default();
    writer.head(&header, &name, target, draft.timeout);
    writer.once("setup", &draft.setup);
    writer.requests(&draft.requests);
    writer.journeys(&draft.journeys);
    writer.once("teardown", &draft.teardown);
    writer.data(&draft.data);
    writer.load(&draft.load);
    writer.scenarios(&draft.scenarios);
    writer.objectives(&draft.objectives);
    writer.limits(&Extent::of(&draft));
    writer.finish()
}

/// The text of a plan as it grows.
#[derive(Default)]
struct Writer {
    document: DocumentMut,
    /// Comments that stand before the next table.
    comments: String,
}

impl Writer {
    /// A table after an empty line and its comments.
    fn table(&mut self, comments: &[String]) -> Table {
        let mut prefix = std::mem::take(&mut self.comments);
        prefix.push('\n');
        comments.iter().for_each(|text| prefix.push_str(&comment(text)));
        let mut table = Table::new();
        table.decor_mut().set_prefix(prefix);
        table
    }

    fn head(&mut self, header: &str, name: &str, target: &str, timeout: Option<Duration>) {
        self.document.insert("name", value(name));
        comment_on(&mut self.document, "name", header);
        let mut table = self.table(&[]);
        table.insert("url", value(target));
        if let Some(timeout) = timeout {
            table.insert("timeout", value(duration(timeout)));
        }
        self.document.insert("target", Item::Table(table));
    }

    fn requests(&mut self, requests: &[RequestDraft]) {
        let mut tables = ArrayOfTables::new();
        for request in requests {
            if request.off {
                self.comments.push('\n');
                request.comments.iter().for_each(|text| self.comments.push_str(&comment(text)));
                self.comments.push_str(&commented_out(request));
            } else {
                let mut table = self.table(&request.comments);
                fill_request(&mut table, request);
                tables.push(table);
            }
        }
        self.insert("request", tables);
    }

    fn journeys(&mut self, journeys: &[JourneyDraft]) {
        let mut tables = ArrayOfTables::new();
        for journey in journeys {
            let mut table = self.table(&[]);
            table.insert("name", value(&journey.name));
            if let Some(weight) = journey.weight {
                table.insert("weight", value(number(weight.clamp(0.001, 1e9))));
            }
            if journey.no_cookies {
                table.insert("cookies", value(false));
            }
            if journey.stop_on_failure {
                table.insert("stop_on_failure", value(true));
            }
            table.insert("step", Item::ArrayOfTables(self.steps(&journey.steps)));
            tables.push(table);
        }
        self.insert("journey", tables);
    }

    /// `[[setup]]` or `[[teardown]]`.
    fn once(&mut self, key: &str, steps: &[StepDraft]) {
        let tables = self.steps(steps);
        self.insert(key, tables);
    }

    fn steps(&mut self, steps: &[StepDraft]) -> ArrayOfTables {
        let mut tables = ArrayOfTables::new();
        for step in steps {
            let comments =
                step.request.as_ref().map_or(&step.comments, |request| &request.comments);
            let mut table = self.table(comments);
            fill_step(&mut table, step);
            if !step.steps.is_empty() {
                table.insert("steps", Item::ArrayOfTables(self.steps(&step.steps)));
            }
            tables.push(table);
        }
        tables
    }

    fn insert(&mut self, key: &str, tables: ArrayOfTables) {
        if !tables.is_empty() {
            self.document.insert(key, Item::ArrayOfTables(tables));
        }
    }

    fn data(&mut self, data: &[(String, Data)]) {
        let mut tables = Table::new();
        // `[data]` itself has nothing in it.
        tables.set_implicit(true);
        let mut written = BTreeSet::new();
        for (name, data) in data.iter().filter(|(name, _)| written.insert(name)) {
            let mut table = self.table(&[]);
            fill_data(&mut table, data);
            tables.insert(name, Item::Table(table));
        }
        if !tables.is_empty() {
            self.document.insert("data", Item::Table(tables));
        }
    }

    fn load(&mut self, load: &LoadDraft) {
        if matches!(load, LoadDraft::Unset) {
            return;
        }
        let mut table = self.table(&[]);
        fill_load(&mut table, load);
        self.document.insert("load", Item::Table(table));
    }

    fn scenarios(&mut self, scenarios: &[ScenarioDraft]) {
        let mut tables = ArrayOfTables::new();
        for scenario in scenarios {
            let mut table = self.table(&[]);
            table.insert("name", value(&scenario.name));
            let journeys: Array = scenario.journeys.iter().map(|name| literal(name)).collect();
            table.insert("journeys", value(journeys));
            if !scenario.start.is_zero() {
                table.insert("start_time", value(duration(scenario.start)));
            }
            fill_load(&mut table, &scenario.load);
            tables.push(table);
        }
        self.insert("scenario", tables);
    }

    fn objectives(&mut self, objectives: &[(String, Vec<ObjectiveDraft>)]) {
        if objectives.is_empty() {
            return;
        }
        let mut table = self.table(&[]);
        for (metric, conditions) in objectives {
            let conditions: Vec<Value> = conditions.iter().map(condition).collect();
            table.insert(
                metric,
                value(match <[Value; 1]>::try_from(conditions) {
                    Ok([only]) => only,
                    Err(several) => Array::from_iter(several).into(),
                }),
            );
        }
        self.document.insert("objectives", Item::Table(table));
    }

    /// Raises the limits of the plan where its load would exceed them.
    fn limits(&mut self, extent: &Extent) {
        if extent.is_usual() {
            return;
        }
        let mut table = self.table(&[]);
        extent.fill_limits(&mut table);
        self.document.insert("limits", Item::Table(table));
    }

    fn finish(mut self) -> String {
        self.document.set_trailing(self.comments);
        self.document.to_string()
    }
}

fn fill_request(table: &mut Table, request: &RequestDraft) {
    table.insert("name", value(&request.name));
    if !request.tags.is_empty() {
        let tags: BTreeMap<&str, String> =
            request.tags.iter().map(|(name, text)| (name.as_str(), literal(text))).collect();
        table.insert("tags", value(InlineTable::from_iter(tags)));
    }
    if let Some(weight) = request.weight {
        table.insert("weight", value(number(weight.clamp(0.001, 1e9))));
    }
    table.insert("method", value(&request.method));
    table.insert("path", value(request.path.written()));
    if !request.headers.is_empty() {
        // HTTP reads two headers of one name as a list of both.
        let mut headers: Vec<(&str, Template)> = Vec::new();
        for (name, text) in &request.headers {
            match headers.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => {
                    known.text(", ");
                    known.append(text.clone());
                }
                None => headers.push((name, text.clone())),
            }
        }
        let headers = headers.iter().map(|(name, text)| (*name, text.written()));
        table.insert("headers", value(InlineTable::from_iter(headers)));
    }
    if let Some(body) = &request.body {
        table.insert("body", value(body.written()));
    }
}

/// A request that stands in the plan as a comment.
fn commented_out(request: &RequestDraft) -> String {
    let mut table = Table::new();
    fill_request(&mut table, request);
    let mut tables = ArrayOfTables::new();
    tables.push(table);
    let mut document = DocumentMut::new();
    document.insert("request", Item::ArrayOfTables(tables));
    let text = document.to_string();
    text.lines().map(|line| format!("{}\n", format!("# {line}").trim_end())).collect()
}

fn fill_step(table: &mut Table, step: &StepDraft) {
    if let Some(request) = &step.request {
        fill_request(table, request);
    }
    if let Some(repeat) = step.repeat {
        table.insert("repeat", value(repeat.cast_signed()));
    }
    if let Some(share) = step.probability {
        table.insert("probability", value(number(share.clamp(0.0, 1.0))));
    }
    if let Some((name, text)) = &step.when {
        table.insert("when", value(InlineTable::from_iter([(name, literal(text))])));
    }
    match step.think {
        None => {}
        Some(Think::Fixed(time)) => drop(table.insert("think", value(duration(time)))),
        Some(Think::Uniform(low, high)) => two_pauses(table, "uniform", low, high),
        Some(Think::Normal(mean, deviation)) => two_pauses(table, "normal", mean, deviation),
    }
    if !step.captures.is_empty() {
        // The last one of a name counts.
        let captures: BTreeMap<&str, InlineTable> = step
            .captures
            .iter()
            .map(|(name, kind, pattern)| {
                (name.as_str(), InlineTable::from_iter([(*kind, literal(pattern))]))
            })
            .collect();
        table.insert("capture", value(InlineTable::from_iter(captures)));
    }
    let mut checks: Vec<InlineTable> = Vec::new();
    checks.extend(first_check(step));
    // A table has room for one text.
    let texts = step.contains.iter().map(|text| ("contains", text));
    let patterns = step.matches.iter().map(|pattern| ("matches", pattern));
    for (key, text) in texts.chain(patterns) {
        match checks.iter_mut().find(|check| !check.contains_key(key)) {
            Some(check) => drop(check.insert(key, literal(text).into())),
            None => checks.push(InlineTable::from_iter([(key, literal(text))])),
        }
    }
    if checks.len() > 1 {
        table.insert("check", value(Array::from_iter(checks)));
    } else if let Some(only) = checks.pop() {
        table.insert("check", value(only));
    }
}

/// What is checked apart from the body's text; none where nothing is.
fn first_check(step: &StepDraft) -> Option<InlineTable> {
    let mut checks = InlineTable::new();
    match step.statuses.as_slice() {
        [] => {}
        [status] => drop(checks.insert("status", i64::from(*status).into())),
        several => drop(checks.insert("status", statuses(several))),
    }
    if !step.expected.is_empty() {
        let headers: BTreeMap<&String, String> =
            step.expected.iter().map(|(name, text)| (name, literal(text))).collect();
        checks.insert("headers", InlineTable::from_iter(headers).into());
    }
    if !step.found.is_empty() {
        let found: BTreeMap<&String, Value> =
            step.found.iter().map(|(path, value)| (path, value.clone())).collect();
        checks.insert("json", InlineTable::from_iter(found).into());
    }
    (!checks.is_empty()).then_some(checks)
}

/// Several statuses; `"2xx"` for every one that begins with 2.
fn statuses(codes: &[u16]) -> Value {
    let codes: BTreeSet<u16> = codes.iter().copied().collect();
    let is_whole = |class: u16| (class * 100..(class + 1) * 100).all(|code| codes.contains(&code));
    let whole: Vec<u16> = (1..=5).filter(|class| is_whole(*class)).collect();
    let mut written: Array = whole.iter().map(|class| format!("{class}xx")).collect();
    let single = codes.iter().filter(|code| !whole.contains(&(**code / 100)));
    written.extend(single.map(|code| i64::from(*code)));
    match (written.len(), written.get(0)) {
        (1, Some(only)) => only.clone(),
        _ => written.into(),
    }
}

/// A pause that varies, by its two durations.
fn two_pauses(table: &mut Table, kind: &str, first: Duration, second: Duration) {
    let times: Array = [first, second].map(zero_or_longer).into_iter().collect();
    table.insert("think", value(InlineTable::from_iter([(kind, times)])));
}

fn fill_data(table: &mut Table, data: &Data) {
    match data {
        Data::Range(first, last) => {
            table.insert("range", value(Array::from_iter([*first, *last])));
        }
        Data::Sequence(first, last) => {
            table.insert("range", value(Array::from_iter([*first, *last])));
            table.insert("order", value("sequential"));
        }
        Data::List(texts) => {
            let texts: Array = texts.iter().map(|text| literal(text)).collect();
            table.insert("list", value(texts));
        }
        Data::Uuid => {
            table.insert("uuid", value(true));
        }
        Data::Variable(name) => {
            table.insert("list", value(Array::from_iter([Template::secret(name).written()])));
        }
        Data::Csv { file, column, order } => {
            table.insert("csv", value(file));
            if let Some(column) = column {
                table.insert("column", value(column));
            }
            if *order != RowOrder::Random {
                table.insert("order", value("sequential"));
            }
            if *order == RowOrder::Once {
                table.insert("exhausted", value("stop"));
            }
        }
    }
}

/// One condition: its text alone, where it does not end the run.
fn condition(objective: &ObjectiveDraft) -> Value {
    let condition = literal(&objective.condition);
    let Some(delay) = objective.abort else { return condition.into() };
    let mut table = InlineTable::new();
    table.insert("condition", condition.into());
    table.insert("abort", true.into());
    if !delay.is_zero() {
        table.insert("delay", duration(delay).into());
    }
    table.into()
}

/// A name as plans allow it: no variable and nothing that looks like one.
fn plan_name(name: &str) -> String {
    let odd = |c: char| c.is_control() || "{}$".contains(c);
    let name: String = name.chars().map(|c| if odd(c) { '_' } else { c }).take(100).collect();
    if name.trim().is_empty() { "plan".to_owned() } else { name }
}
