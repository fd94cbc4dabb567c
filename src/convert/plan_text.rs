//! Writes a draft as the text of a plan, with comments and in the order in which people read it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value, value};

use super::artifact::Options;
use super::draft::{Data, Draft, JourneyDraft, LoadDraft, RequestDraft, StepDraft};
use super::notes::Notes;
use super::template::Template;

/// The target of a plan where neither the input nor the command line names one.
const DEFAULT_TARGET: &str = "http://127.0.0.1:8080";

/// The highest rate that a plan may have without `max_rate`.
const USUAL_MAX_RATE: f64 = 5000.0;
/// The longest run that a plan may have without `max_duration`.
const USUAL_MAX_DURATION: Duration = Duration::from_secs(30 * 60);
/// How much longer than its load a run may take.
const SLACK: Duration = Duration::from_secs(60);

/// Longest line of a comment, in characters.
const COMMENT_WIDTH: usize = 98;

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
    header.push('\n');
    let name = plan_name(draft.name.as_deref().unwrap_or(&options.origin));
    let target = options.target.as_deref().or(draft.url.as_deref()).unwrap_or(DEFAULT_TARGET);

    let mut writer = Writer::default();
    writer.head(&header, &name, target, draft.timeout);
    writer.requests(&draft.requests);
    writer.journeys(&draft.journeys);
    writer.data(&draft.data);
    writer.load(&draft.load);
    writer.limits(&draft.load);
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
            table.insert("step", Item::ArrayOfTables(self.steps(&journey.steps)));
            tables.push(table);
        }
        self.insert("journey", tables);
    }

    fn steps(&mut self, steps: &[StepDraft]) -> ArrayOfTables {
        let mut tables = ArrayOfTables::new();
        for step in steps {
            let comments = step.request.as_ref().map_or(&[][..], |request| &request.comments);
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
        match load {
            LoadDraft::Unset => {}
            LoadDraft::Search { start, max, comment: text } => {
                table.insert("executor", value("breakpoint"));
                comment_on(&mut table, "executor", &comment(text));
                table.insert("start", value(rate(*start)));
                table.insert("max", value(rate(*max)));
            }
            LoadDraft::Constant { rate: constant, duration: length } => {
                table.insert("executor", value("constant-arrival-rate"));
                table.insert("rate", value(rate(*constant)));
                table.insert("duration", value(duration(*length)));
            }
            LoadDraft::Ramp { start, stages: ramps } => {
                table.insert("executor", value("ramping-arrival-rate"));
                table.insert("start_rate", value(rate(*start)));
                table.insert("stages", value(stages(ramps)));
            }
            LoadDraft::Replay { trace, speed } => {
                table.insert("executor", value("replay"));
                table.insert("trace", value(trace));
                table.insert("speed", value(number(*speed)));
            }
        }
        self.document.insert("load", Item::Table(table));
    }

    /// Raises the limits of the plan where its load would exceed them.
    fn limits(&mut self, load: &LoadDraft) {
        let (max_rate, length) = highest_rate_and_length(load);
        if max_rate <= USUAL_MAX_RATE && length <= USUAL_MAX_DURATION {
            return;
        }
        let mut table = self.table(&[]);
        if max_rate > USUAL_MAX_RATE {
            table.insert("max_rate", value(rate(max_rate)));
        }
        if length > USUAL_MAX_DURATION {
            table.insert("max_duration", value(duration(length.saturating_add(SLACK))));
        }
        self.document.insert("limits", Item::Table(table));
    }

    fn finish(mut self) -> String {
        self.document.set_trailing(self.comments);
        self.document.to_string()
    }
}

fn fill_request(table: &mut Table, request: &RequestDraft) {
    table.insert("name", value(&request.name));
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
    if let Some(think) = step.think {
        table.insert("think", value(duration(think)));
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
    let mut checks = InlineTable::new();
    match step.statuses.as_slice() {
        [] => {}
        [status] => drop(checks.insert("status", i64::from(*status).into())),
        several => {
            let several: Array = several.iter().map(|status| i64::from(*status)).collect();
            checks.insert("status", several.into());
        }
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
    if !checks.is_empty() {
        table.insert("check", value(checks));
    }
}

fn fill_data(table: &mut Table, data: &Data) {
    match data {
        Data::Range(first, last) => {
            table.insert("range", value(Array::from_iter([*first, *last])));
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
        Data::Csv { file, column, sequential } => {
            table.insert("csv", value(file));
            if let Some(column) = column {
                table.insert("column", value(column));
            }
            if *sequential {
                table.insert("order", value("sequential"));
            }
        }
    }
}

/// One stage a line, with its name behind it.
fn stages(stages: &[(f64, Duration, Option<String>)]) -> Array {
    let mut array = Array::new();
    // What stands behind a comma belongs to the next value.
    let mut behind = String::new();
    for (target, length, name) in stages {
        let stage = [("target", rate(*target)), ("duration", duration(*length))];
        let mut stage = Value::from(InlineTable::from_iter(stage));
        stage.decor_mut().set_prefix(format!("{behind}\n    "));
        array.push_formatted(stage);
        behind = name.as_ref().map_or_else(String::new, |name| {
            format!("  # {}", name.replace(char::is_control, " "))
        });
    }
    array.set_trailing_comma(true);
    array.set_trailing(format!("{behind}\n"));
    array
}

/// The highest rate of a load, and how long it takes.
fn highest_rate_and_length(load: &LoadDraft) -> (f64, Duration) {
    match load {
        LoadDraft::Unset | LoadDraft::Replay { .. } => (0.0, Duration::ZERO),
        LoadDraft::Search { max, .. } => (*max, Duration::ZERO),
        LoadDraft::Constant { rate, duration } => (*rate, *duration),
        LoadDraft::Ramp { start, stages } => (
            stages.iter().map(|(rate, _, _)| *rate).fold(*start, f64::max),
            stages.iter().fold(Duration::ZERO, |sum, (_, length, _)| sum.saturating_add(*length)),
        ),
    }
}

/// A comment, with as many lines as it needs.
fn comment(text: &str) -> String {
    let (mut comment, mut line) = (String::new(), String::from("#"));
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if line.chars().count() + word.chars().count() > COMMENT_WIDTH && line.len() > 2 {
            comment.push_str(&line);
            comment.push('\n');
            line = "#  ".to_owned();
        }
        line.push(' ');
        line.push_str(word);
    }
    comment.push_str(&line);
    comment.push('\n');
    comment
}

/// Puts a comment before a key.
fn comment_on(table: &mut Table, key: &str, comment: &str) {
    if let Some(mut key) = table.key_mut(key) {
        key.leaf_decor_mut().set_prefix(comment);
    }
}

/// A name as plans allow it: no variable and nothing that looks like one.
fn plan_name(name: &str) -> String {
    let odd = |c: char| c.is_control() || "{}$".contains(c);
    let name: String = name.chars().map(|c| if odd(c) { '_' } else { c }).take(100).collect();
    if name.trim().is_empty() { "plan".to_owned() } else { name }
}

/// A text for a place in which plans replace variables: none stands in it.
fn literal(text: &str) -> String {
    text.replace("${", "$${")
}

/// A number with a point only where it has a fraction.
fn number(number: f64) -> Value {
    let rounded = (number * 1e6).round() / 1e6;
    if rounded.fract() == 0.0 && rounded.abs() < 1e15 {
        (rounded as i64).into()
    } else {
        rounded.into()
    }
}

/// A rate as plans have it: above zero, with at most three digits after the point.
fn rate(rate: f64) -> String {
    format!("{}/s", (rate.clamp(0.001, 1e9) * 1e3).round() / 1e3)
}

/// A duration as plans have it: above zero, in milliseconds or longer.
fn duration(duration: Duration) -> String {
    let millis = duration.as_millis().max(1);
    match millis {
        _ if millis.is_multiple_of(3_600_000) => format!("{}h", millis / 3_600_000),
        _ if millis.is_multiple_of(60_000) => format!("{}m", millis / 60_000),
        _ if millis.is_multiple_of(1000) => format!("{}s", millis / 1000),
        _ if millis < 1000 => format!("{millis}ms"),
        _ => format!("{}s", millis as f64 / 1e3),
    }
}
