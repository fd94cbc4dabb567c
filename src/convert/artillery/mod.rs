//! artillery scripts (<https://www.artillery.io/docs/reference/test-script>): its virtual users
//! are journeys, its arrival rates the load.

mod config;
mod flow;
mod script;
mod texts;

use self::flow::FlowReader;
use self::script::Script;
use super::artifact::Artifact;
use super::draft::{Draft, JourneyDraft};
use super::http::Names;
use super::notes::MOST_PROBLEMS;
use super::tree::{self, Node, Value};
use super::values::Values;
use super::{ConvertError, ConverterSpec};

pub(super) static SPEC: ConverterSpec = ConverterSpec {
    name: "artillery",
    summary: "artillery scripts, YAML or JSON: journeys, and the load of the phases",
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

fn convert(artifact: &mut Artifact<'_>) -> Result<Draft, ConvertError> {
    let text = artifact.text()?;
    let tree = tree::read(&text)?;
    drop(text);
    let mut script = Script {
        artifact,
        problems: Vec::new(),
        values: Values::default(),
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
    let Script { artifact, values, mut draft, .. } = script;
    let shown = |name: &str| format!("{{{{ {name} }}}}");
    values.finish(&mut draft, &mut artifact.notes, shown);
    let journeys = draft.journeys.len();
    if journeys == 0 {
        return Err(ConvertError::Empty("the scenarios hold no HTTP request".to_owned()));
    }
    let phases = tree.get("config").and_then(|config| config.get("phases"));
    let phases = phases.map_or(0, |phases| phases.items().len());
    artifact.seen.push(format!("{journeys} scenarios, {phases} phases of load"));
    Ok(draft)
}

impl Script<'_, '_> {
    fn root(&mut self, tree: &Node) {
        for (key, value) in tree.entries() {
            match key.text.as_str() {
                "config" => self.config(value),
                "scenarios" => {}
                _ => self.unknown(key.line, &key.text, "the script"),
            }
        }
        let Some(scenarios) = tree.get("scenarios") else {
            return self.wrong(tree, "`scenarios` is missing; expected a list of scenarios");
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
            "Rates count journeys that start per second, as artillery's arrivalRate does; one \
             journey sends several requests."
                .to_owned(),
        );
    }

    fn scenario(
        &mut self,
        node: &Node,
        names: &mut Names,
        requests: &mut Names,
    ) -> Option<JourneyDraft> {
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
            let text = format!(
                "left out a scenario with the engine `{}`: a plan sends HTTP",
                engine.escape_debug()
            );
            self.artifact.notes.at(node.line, text);
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
            self.artifact.notes.at(node.line, "left out a scenario with weight 0");
            return None;
        }
        let Some(flow) = node.get("flow") else {
            self.wrong(node, "the scenario needs a `flow`, a list of steps");
            return None;
        };
        let name = node.get("name").and_then(Node::text).unwrap_or("scenario");
        let mut journey =
            JourneyDraft { name: names.request(name), weight, ..JourneyDraft::default() };
        let scope = self.values.scope();
        journey.steps = FlowReader { script: self, names: requests }.steps(flow);
        self.values.forget_to(scope);
        if journey.steps.is_empty() {
            self.artifact.notes.at(node.line, "left out a scenario that sends nothing");
            return None;
        }
        Some(journey)
    }
}
