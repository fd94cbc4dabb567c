//! Scripts of artillery (<https://www.artillery.io/docs/reference/test-script>): its virtual users
//! are journeys, its arrival rates the load.

mod config;
mod flow;
mod texts;

use self::flow::Flow;
use self::texts::Texts;
use super::artifact::Artifact;
use super::draft::{Draft, Journey};
use super::http::Names;
use super::told::{MOST_PROBLEMS, Problem};
use super::tree::{self, Node, Value};
use super::{ConvertError, ConverterSpec};

pub(super) static SPEC: ConverterSpec = ConverterSpec {
    name: "artillery",
    summary: "scripts of artillery, YAML or JSON: journeys and the load of their phases",
    options: &[],
    looks,
    convert,
};

fn looks(begin: &str) -> bool {
    let key = |name: &str| {
        begin.lines().any(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with(':'))
        })
    };
    if begin.trim_start().starts_with('{') {
        return begin.contains("\"scenarios\"");
    }
    key("scenarios") || (key("config") && begin.contains("phases:"))
}

/// A script while it is being read.
struct Script<'s, 'a> {
    artifact: &'s mut Artifact<'a>,
    problems: Vec<Problem>,
    texts: Texts,
    draft: Draft,
    /// Of every request of the script.
    headers: Vec<(String, Node)>,
}

fn convert(artifact: &mut Artifact<'_>) -> Result<Draft, ConvertError> {
    let text = artifact.text()?;
    let tree = tree::read(&text)?;
    drop(text);
    let mut script = Script {
        artifact,
        problems: Vec::new(),
        texts: Texts::default(),
        draft: Draft::default(),
        headers: Vec::new(),
    };
    if !matches!(tree.value, Value::Map(_)) {
        script.wrong(&tree, format!("expected `config` and `scenarios`, found {}", tree.kind()));
    } else {
        script.root(&tree);
    }
    script.problems.truncate(MOST_PROBLEMS);
    if !script.problems.is_empty() {
        return Err(ConvertError::Malformed(script.problems));
    }
    let Script { artifact, texts, mut draft, .. } = script;
    texts.finish(&mut draft, &mut artifact.told);
    let journeys = draft.journeys.len();
    if journeys == 0 {
        return Err(ConvertError::Empty("its scenarios hold no request over HTTP".to_owned()));
    }
    let phases = tree.get("config").and_then(|config| config.get("phases"));
    let phases = phases.map_or(0, |phases| phases.items().len());
    artifact.seen.push(format!("{journeys} scenarios, {phases} phases of load"));
    Ok(draft)
}

impl Script<'_, '_> {
    fn wrong(&mut self, node: &Node, text: impl Into<String>) {
        let (line, column) = (Some(node.line), Some(node.column));
        self.problems.push(Problem { line, column, text: text.into() });
    }

    /// Says that a key was not understood.
    fn unknown(&mut self, line: usize, key: &str, of: &str) {
        let text = format!("`{}` of {of} is not taken over", key.escape_debug());
        self.artifact.told.at(line, text);
    }

    fn root(&mut self, tree: &Node) {
        for (key, value) in tree.entries() {
            match key.text.as_str() {
                "config" => self.config(value),
                "scenarios" => {}
                _ => self.unknown(key.line, &key.text, "the script"),
            }
        }
        let Some(scenarios) = tree.get("scenarios") else {
            return self.wrong(tree, "`scenarios` is missing");
        };
        if !matches!(scenarios.value, Value::List(_)) {
            return self.wrong(scenarios, "expected a list of scenarios");
        }
        let (mut names, mut requests) = (Names::default(), Names::default());
        for scenario in scenarios.items() {
            if let Some(journey) = self.scenario(scenario, &mut names, &mut requests) {
                self.draft.journeys.push(journey);
            }
        }
        self.draft.comments.push(
            "Rates are of journeys that begin, as artillery's arrivalRate; each journey sends \
             several requests."
                .to_owned(),
        );
    }

    fn scenario(
        &mut self,
        node: &Node,
        names: &mut Names,
        requests: &mut Names,
    ) -> Option<Journey> {
        if !matches!(node.value, Value::Map(_)) {
            self.wrong(node, format!("expected a scenario with `flow`, found {}", node.kind()));
            return None;
        }
        for (key, _) in node.entries() {
            if !matches!(key.text.as_str(), "name" | "weight" | "flow" | "engine") {
                self.unknown(key.line, &key.text, "the scenario");
            }
        }
        let engine = node.get("engine").and_then(Node::text).unwrap_or("http");
        if engine != "http" {
            let text = format!("engine `{}`: the scenario is left out", engine.escape_debug());
            self.artifact.told.at(node.line, text);
            return None;
        }
        let weight = node.get("weight").and_then(|node| {
            let weight = node.number().filter(|weight| *weight >= 0.0);
            if weight.is_none() {
                self.wrong(node, "`weight` must be a number above zero");
            }
            weight
        });
        if weight == Some(0.0) {
            self.artifact.told.at(node.line, "the scenario has weight 0 and is left out");
            return None;
        }
        let Some(flow) = node.get("flow") else {
            self.wrong(node, "the scenario has no `flow`");
            return None;
        };
        let name = node.get("name").and_then(Node::text).unwrap_or("scenario");
        let mut journey = Journey { name: names.request(name), weight, steps: Vec::new() };
        let scope = self.texts.scope();
        journey.steps = Flow { script: self, names: requests }.steps(flow);
        self.texts.forget_to(scope);
        if journey.steps.is_empty() {
            self.artifact.told.at(node.line, "the scenario sends nothing and is left out");
            return None;
        }
        Some(journey)
    }
}
