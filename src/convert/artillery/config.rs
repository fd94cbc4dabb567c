//! `config`: the target, the phases of the load, and where values come from.

use std::time::Duration;

use jiff::SignedDuration;

use super::script::Script;
use crate::convert::draft::{self, Data, LoadDraft, RowOrder};
use crate::convert::http;
use crate::convert::table::ValueFile;
use crate::convert::template::identifier;
use crate::convert::tree::{Node, Value};
use crate::plan::{is_secret_name, parse_duration};

/// How long a jump from one rate to the next takes: plans have only ramps.
const STEP: Duration = Duration::from_millis(1);

/// One phase: the rate at its start and at its end, in journeys per second.
struct Phase {
    from: f64,
    to: f64,
    length: Duration,
    name: Option<String>,
}

/// `10`, `"10s"`, `"2m"` or `"2 minutes"`.
pub(super) fn time(node: &Node) -> Option<Duration> {
    let text = node.text()?.trim();
    let time = match node.number() {
        Some(seconds) => return draft::seconds(seconds),
        None => parse_duration(text).ok().or_else(|| {
            let time = text.parse::<SignedDuration>().ok()?;
            Duration::try_from(time).ok()
        })?,
    };
    draft::plan_time(time)
}

impl Script<'_, '_> {
    pub(super) fn config(&mut self, config: &Node) {
        for (key, node) in config.entries() {
            match key.text.as_str() {
                "target" => self.target(node),
                "phases" => self.phases(node),
                "http" => self.http(node),
                "payload" => match &node.value {
                    Value::List(items) => items.iter().for_each(|item| self.payload(item)),
                    _ => self.payload(node),
                },
                "variables" => self.variables(node),
                "defaults" => self.defaults(node),
                _ => self.unknown(key.line, &key.text, "`config`"),
            }
        }
    }

    fn target(&mut self, node: &Node) {
        let text = node.text().unwrap_or_default();
        if text.contains("{{") {
            self.artifact
                .notes
                .at(node.line, "`target` contains a variable; set the target with `--target URL`");
            return;
        }
        match http::address(text) {
            Ok(address) => {
                if address.credentials {
                    http::note_credentials(&mut self.artifact.notes, node.line);
                }
                self.draft.url = Some(address.before_paths());
            }
            Err(why) => self.wrong(node, why),
        }
    }

    fn http(&mut self, node: &Node) {
        for (key, value) in node.entries() {
            match key.text.as_str() {
                "timeout" => {
                    self.draft.timeout = time(value).filter(|timeout| !timeout.is_zero());
                    if self.draft.timeout.is_none() {
                        self.wrong(value, "`timeout` must be a number of seconds above zero");
                    }
                }
                "defaults" => self.defaults(value),
                _ => self.unknown(key.line, &key.text, "`http`"),
            }
        }
    }

    fn defaults(&mut self, node: &Node) {
        for (key, value) in node.entries() {
            match key.text.as_str() {
                "headers" => {
                    let headers = value.entries().iter();
                    self.headers
                        .extend(headers.map(|(key, node)| (key.text.clone(), node.clone())));
                }
                _ => self.unknown(key.line, &key.text, "`defaults`"),
            }
        }
    }

    fn variables(&mut self, node: &Node) {
        for (key, value) in node.entries() {
            let name = self.values.data_name(&identifier(&key.text));
            let texts: Vec<String> = match &value.value {
                Value::List(items) => {
                    items.iter().filter_map(Node::text).map(str::to_owned).collect()
                }
                _ => value.text().map(str::to_owned).into_iter().collect(),
            };
            if texts.is_empty() {
                self.unknown(key.line, &key.text, "`variables`");
                continue;
            }
            let environment = texts.iter().any(|text| text.contains("{{"));
            let data = if is_secret_name(&name) || environment {
                let text = format!("the plan takes `{name}` from an environment variable");
                self.artifact.notes.at(key.line, text);
                Data::Variable(name.clone())
            } else {
                Data::List(texts)
            };
            self.values.define(&key.text, &name);
            self.draft.data.push((name, data));
        }
    }

    /// A file of values. It gets a header line, which plans need and artillery does not.
    fn payload(&mut self, node: &Node) {
        let Some(path) = node.get("path").and_then(Node::text) else {
            return self.wrong(node, "`payload` must name a file, such as `path: users.csv`");
        };
        for (key, _) in node.entries() {
            let known =
                ["path", "fields", "order", "skipHeader", "delimiter", "cast", "skipEmptyLines"];
            if !known.contains(&key.text.as_str()) {
                self.unknown(key.line, &key.text, "`payload`");
            }
        }
        let fields: Vec<String> = match node.get("fields") {
            Some(Node { value: Value::List(items), .. }) => {
                items.iter().filter_map(Node::text).map(str::to_owned).collect()
            }
            Some(one) => one.text().map(str::to_owned).into_iter().collect(),
            None => Vec::new(),
        };
        let delimiter = node.get("delimiter").and_then(Node::text).unwrap_or(",");
        let is_sequence = node.get("order").and_then(Node::text) == Some("sequence");
        let file = ValueFile {
            path,
            delimiter: delimiter.bytes().next().unwrap_or(b','),
            fields,
            has_header: node.get("skipHeader").and_then(Node::switch).unwrap_or(false),
            order: if is_sequence { RowOrder::Sequential } else { RowOrder::Random },
        };
        match file.copy(self.artifact, &self.values) {
            Ok((data, columns)) => {
                columns.iter().for_each(|(field, value)| self.values.define(field, value));
                self.draft.data.push(data);
            }
            Err(why) => self.wrong(node, format!("`payload`: {why}")),
        }
    }

    fn phases(&mut self, node: &Node) {
        if !matches!(node.value, Value::List(_)) {
            return self.wrong(node, "expected a list of phases");
        }
        let phases: Vec<Phase> = node.items().iter().filter_map(|item| self.phase(item)).collect();
        self.draft.load = match phases.as_slice() {
            [] => LoadDraft::Unset,
            [one] if one.from == one.to => {
                LoadDraft::Constant { rate: one.from, duration: one.length }
            }
            [first, ..] => {
                let mut stages = Vec::new();
                let mut now = first.from;
                for phase in &phases {
                    if phase.from != now {
                        stages.push((phase.from, STEP, None));
                    }
                    stages.push((phase.to, phase.length, phase.name.clone()));
                    now = phase.to;
                }
                LoadDraft::Ramp { start: first.from, stages }
            }
        };
    }

    fn phase(&mut self, node: &Node) -> Option<Phase> {
        for (key, _) in node.entries() {
            let known = ["duration", "arrivalRate", "rampTo", "arrivalCount", "name", "pause"];
            if !known.contains(&key.text.as_str()) {
                self.unknown(key.line, &key.text, "the phase");
            }
        }
        let name = node.get("name").and_then(Node::text).map(str::to_owned);
        let pause = node.get("pause");
        let length = node.get("duration").or(pause).and_then(time);
        let Some(length) = length.filter(|length| !length.is_zero()) else {
            self.wrong(node, "the phase needs a `duration` above zero, such as `60` or `\"1m\"`");
            return None;
        };
        let mut number = |key: &str| {
            let node = node.get(key)?;
            let number = node.number().filter(|number| *number >= 0.0);
            if number.is_none() {
                self.wrong(node, format!("`{key}` must be a number, zero or more"));
            }
            number
        };
        let (rate, to, count) = (number("arrivalRate"), number("rampTo"), number("arrivalCount"));
        let from = match (rate, count) {
            (Some(rate), _) => rate,
            (None, Some(count)) => count / length.as_secs_f64(),
            (None, None) if to.is_some() || pause.is_some() => 0.0,
            (None, None) => {
                self.wrong(node, "the phase needs `arrivalRate` or `arrivalCount`");
                return None;
            }
        };
        if from == 0.0 {
            let text = "a plan cannot have a rate of 0: it has 0.001/s instead";
            self.artifact.notes.at(node.line, text);
        }
        Some(Phase { from, to: to.unwrap_or(from), length, name })
    }
}
