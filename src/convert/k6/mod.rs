//! k6 scripts (<https://grafana.com/docs/k6/latest/javascript-api/>), read and never run: the
//! functions of its scenarios are journeys, its executors the load, its thresholds the objectives.

mod library;
mod options;

use std::rc::Rc;

use self::options::{Options, ScenarioOptions};
use super::artifact::Artifact;
use super::draft::{Draft, JourneyDraft, LoadDraft, RequestDraft, ScenarioDraft, StepDraft};
use super::http::Names;
use super::script::javascript;
use super::script::machine::{Machine, without_texts};
use super::script::sources::{self, Sources};
use super::script::syntax::{Expr, Function, Program, StatementKind};
use super::script::value::Known;
use super::{ConvertError, ConverterSpec};

pub(super) static SPEC: ConverterSpec = ConverterSpec {
    name: "k6",
    summary: "k6 scripts, JavaScript: journeys, scenarios and thresholds",
    options: &[],
    looks,
    convert,
};

fn looks(begin: &str) -> bool {
    begin.lines().map(str::trim_start).any(|line| {
        let is_import = line.starts_with("import ") || line.contains("require(");
        is_import && ["'k6", "\"k6"].iter().any(|module| line.contains(module))
    })
}

fn convert(artifact: &mut Artifact<'_>) -> Result<Draft, ConvertError> {
    let text = artifact.text()?;
    let Sources { text, program } = sources::read(artifact, text, &javascript::LANGUAGE)?;
    let mut machine = Machine::new(artifact, &text, library::call);
    let script = Script::of(&program);
    machine.block(&program.statements, &mut Known::Nothing);
    let options = match script.options {
        Some(expr) => options::read(&mut machine, expr),
        None => Options::default(),
    };
    let data = script.once("setup", &mut machine, Known::Nothing);
    let made = machine.groups.first_mut().map(std::mem::take).unwrap_or_default();
    machine.draft.setup = made;
    script.scenarios(&options, &mut machine, &data);
    script.once("teardown", &mut machine, data);
    let made = machine.groups.first_mut().map(std::mem::take).unwrap_or_default();
    machine.draft.teardown = made;
    thresholds(&options, &mut machine);
    finish(machine)
}

/// What a script exports.
struct Script<'p> {
    options: Option<&'p Expr>,
    default: Option<&'p Expr>,
}

impl<'p> Script<'p> {
    fn of(program: &'p Program) -> Self {
        let mut script = Self { options: None, default: None };
        for statement in &program.statements {
            match &statement.kind {
                StatementKind::Assign(target, value) if target.path() == ["options"] => {
                    script.options = Some(value);
                }
                StatementKind::Default(expr) => script.default = Some(expr),
                _ => {}
            }
        }
        script
    }

    /// The function that users of a scenario call.
    fn function(&self, name: &str, machine: &mut Machine<'_, '_>) -> Option<Rc<Function>> {
        let known = match name {
            "default" => self.default.map(|expr| machine.eval(expr)),
            name => machine.lookup(name).cloned(),
        };
        match known {
            Some(Known::Function(function)) => Some(function),
            _ => None,
        }
    }

    /// Follows a function that k6 calls once; gives what it returns.
    fn once(&self, name: &str, machine: &mut Machine<'_, '_>, data: Known) -> Known {
        match self.function(name, machine) {
            Some(function) => machine.enter(&function, vec![data]),
            None => Known::Nothing,
        }
    }

    fn scenarios(&self, options: &Options, machine: &mut Machine<'_, '_>, data: &Known) {
        let (mut names, mut scenario_names) = (Names::default(), Names::default());
        let only = ScenarioOptions {
            name: "default".to_owned(),
            exec: "default".to_owned(),
            start: std::time::Duration::ZERO,
            load: LoadDraft::Unset,
            tags: Vec::new(),
            env: Vec::new(),
            line: 1,
        };
        let scenarios = match options.scenarios.as_slice() {
            [] => std::slice::from_ref(&only),
            several => several,
        };
        // Scenarios that differ in nothing but their load share a journey.
        let mut journeys: Vec<(String, String)> = Vec::new();
        for scenario in scenarios {
            let is_plain = scenario.tags.is_empty() && scenario.env.is_empty();
            let known = journeys.iter().find(|(exec, _)| is_plain && *exec == scenario.exec);
            let name = match known {
                Some((_, name)) => name.clone(),
                None => {
                    let steps = self.journey(scenario, machine, data);
                    if steps.is_empty() {
                        let exec = scenario.exec.escape_debug();
                        let text = format!("the function `{exec}`, which sends nothing");
                        machine.lost(scenario.line, text);
                        continue;
                    }
                    let name = names.request(&scenario.exec);
                    let journey =
                        JourneyDraft { name: name.clone(), steps, ..JourneyDraft::default() };
                    machine.draft.journeys.push(journey);
                    if is_plain {
                        journeys.push((scenario.exec.clone(), name.clone()));
                    }
                    name
                }
            };
            machine.draft.scenarios.push(ScenarioDraft {
                name: scenario_names.request(&scenario.name),
                journeys: vec![name],
                start: scenario.start,
                load: scenario.load.clone(),
            });
        }
    }

    fn journey(
        &self,
        scenario: &ScenarioOptions,
        machine: &mut Machine<'_, '_>,
        data: &Known,
    ) -> Vec<StepDraft> {
        let Some(function) = self.function(&scenario.exec, machine) else { return Vec::new() };
        machine.tags = scenario.tags.clone();
        let globals = machine.frames.first().cloned();
        for (name, value) in &scenario.env {
            machine.define(&format!("__ENV.{name}"), value.clone());
        }
        let steps = machine.collect(|machine| {
            machine.enter(&function, vec![data.clone()]);
        });
        if let (Some(frame), Some(globals)) = (machine.frames.first_mut(), globals) {
            *frame = globals;
        }
        machine.tags.clear();
        steps
    }
}

fn thresholds(options: &Options, machine: &mut Machine<'_, '_>) {
    for (line, metric, conditions) in &options.thresholds {
        let (base, part) = match metric.split_once('{') {
            Some((base, part)) => (base.trim(), Some(part.strip_suffix('}').unwrap_or(part))),
            None => (metric.trim(), None),
        };
        let is_known = part.is_none_or(|part| has_part(&machine.draft, part));
        let whole = part.map_or_else(|| base.to_owned(), |part| format!("{base}{{{part}}}"));
        for condition in conditions {
            match options::objective(metric, condition).filter(|_| is_known) {
                Some(objective) => machine.draft.objective(&whole, objective),
                None => {
                    let metric = metric.escape_debug();
                    machine.lost(*line, format!("a threshold of `{metric}`"));
                }
            }
        }
    }
}

/// Whether a request has this name or tag.
fn has_part(draft: &Draft, part: &str) -> bool {
    let is_it = |request: &RequestDraft| match part.split_once(':') {
        Some(("name", name)) => request.name == name,
        Some((tag, text)) => request.tags.iter().any(|(name, own)| name == tag && own == text),
        None => request.name == part,
    };
    draft.sent().any(is_it)
}

fn finish(machine: Machine<'_, '_>) -> Result<Draft, ConvertError> {
    let Machine { artifact, values, mut draft, target, .. } = machine;
    values.finish(&mut draft, &mut artifact.notes, without_texts);
    if draft.journeys.is_empty() {
        let text = "no function of the script sends an HTTP request that can be read";
        return Err(ConvertError::Empty(text.to_owned()));
    }
    let (journeys, scenarios) = (draft.journeys.len(), draft.scenarios.len());
    artifact.seen.push(format!("{journeys} functions with requests, {scenarios} scenarios"));
    draft.url = target.base;
    let comments = [
        "The script was read, not run: compare its requests with these.",
        "k6 follows redirects and sends a request to where they lead; a plan does not.",
        "A check of k6 only counts; a check of the plan makes its request a failure.",
    ];
    draft.comments.extend(comments.map(str::to_owned));
    draft.settle_scenarios();
    if draft.scenarios.is_empty() && matches!(draft.load, LoadDraft::Unset) {
        let text = "The script has no load: set [load]. Without it, kneepoint searches for the \
                    breakpoint.";
        draft.comments.push(text.to_owned());
    }
    Ok(draft)
}
