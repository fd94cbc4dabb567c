//! The walk through a test plan: thread groups, controllers, samplers.

use std::time::Duration;

use super::groups::Group;
use super::props::{Item, items};
use super::reader::PlanReader;
use super::scope::Scope;
use crate::convert::draft::{
    JourneyDraft, LoadDraft, ScenarioDraft, StepDraft, Think, pause_after, seconds,
};
use crate::convert::xml::Element;

/// How deep a plan can nest groups of steps.
const DEEPEST: usize = 4;
/// How often a plan can repeat a step.
const MOST_REPEATS: f64 = 10_000.0;

impl PlanReader<'_, '_> {
    /// The thread groups of a level, and of the levels below it that are no thread groups.
    pub(super) fn thread_groups<'x>(&mut self, tree: &'x [Element], outer: &Scope<'x>) {
        let scope = self.scope(tree, outer, 0);
        for item in items(tree) {
            if item.element.class().ends_with("ThreadGroup") {
                self.thread_group(item, &scope);
            } else if item.element.class() == "TestPlan" {
                if item.element.is_set("TestPlan.serialize_threadgroups") {
                    self.lost(item.element, "thread groups run side by side, not in turn");
                }
                self.thread_groups(item.below, &scope);
            } else if item.element.class() != "WorkBench" {
                self.note_rest(item.element);
            }
        }
    }

    fn thread_group<'x>(&mut self, item: Item<'x>, outer: &Scope<'x>) {
        let element = item.element;
        let class = element.class();
        let Some(group) = self.group(element) else { return };
        let known = self.values.scope();
        let scope = self.scope(item.below, outer, 1);
        let steps = self.steps(item.below, &scope, 0);
        self.values.forget_to(known);
        if steps.is_empty() {
            return self.lost(element, "a thread group that sends nothing");
        }
        if class == "SetupThreadGroup" || class == "PostThreadGroup" {
            if group.threads > 1 {
                let text = "the plan takes the steps of this thread group once";
                self.artifact.notes.at(element.line, text);
            }
            let once = match class {
                "SetupThreadGroup" => &mut self.draft.setup,
                _ => &mut self.draft.teardown,
            };
            once.extend(steps);
            return;
        }
        let start = group.start;
        let load = self.at_throughput(element, group, &scope, &steps);
        let stop_on_failure = match element.prop("ThreadGroup.on_sample_error") {
            "" | "continue" => false,
            "startnextloop" => true,
            _ => {
                self.lost(element, "an error does not end the thread or the test");
                false
            }
        };
        let name = self.journeys.request(element.named());
        self.draft.journeys.push(JourneyDraft {
            name: name.clone(),
            steps,
            no_cookies: !scope.has_cookies,
            stop_on_failure,
            ..JourneyDraft::default()
        });
        let journeys = vec![name.clone()];
        self.draft.scenarios.push(ScenarioDraft { name, journeys, start, load });
    }

    /// The load of a group: that of its threads, or the rate of a throughput timer.
    fn at_throughput(
        &mut self,
        element: &Element,
        group: Group,
        scope: &Scope<'_>,
        steps: &[StepDraft],
    ) -> LoadDraft {
        let Some(throughput) = scope.throughput.filter(|_| group.threads > 0) else {
            return group.load;
        };
        let threads = if throughput.is_per_thread { f64::from(group.threads) } else { 1.0 };
        let requests = requests(steps).max(1e-6);
        let rate = throughput.rate * threads / requests;
        let duration = match (&group.load, group.length) {
            (_, Some(length)) => length,
            (LoadDraft::Iterations { vus, iterations, .. }, None) => {
                let journeys = f64::from(*vus) * *iterations as f64;
                seconds(journeys / rate).unwrap_or(Duration::from_secs(600))
            }
            _ => Duration::from_secs(600),
        };
        let text = "the throughput timer gives the plan its rate, whatever the response times: \
                    JMeter sends less when its threads are busy";
        self.artifact.notes.at(element.line, text);
        LoadDraft::Constant { rate, duration }
    }

    /// The steps of what stands at one level, whose scope is `scope`.
    fn steps<'x>(
        &mut self,
        below: &'x [Element],
        scope: &Scope<'x>,
        depth: usize,
    ) -> Vec<StepDraft> {
        let mut steps = Vec::new();
        for item in items(below) {
            self.step(item, scope, depth, &mut steps);
        }
        steps
    }

    fn step<'x>(
        &mut self,
        item: Item<'x>,
        scope: &Scope<'x>,
        depth: usize,
        steps: &mut Vec<StepDraft>,
    ) {
        let element = item.element;
        match element.class() {
            "HTTPSamplerProxy" | "HTTPSampler" | "HTTPSampler2" => {
                let scope = self.scope(item.below, scope, 2);
                items(item.below).for_each(|inner| self.note_rest(inner.element));
                steps.extend(self.sampler(element, &scope));
            }
            "TestAction" => self.action(element, depth, steps),
            "TransactionController" => {
                let mut scope = self.scope(item.below, scope, 2);
                let tag = ("transaction".to_owned(), element.named().to_owned());
                scope.tags.retain(|(name, _)| name != "transaction");
                scope.tags.push(tag);
                steps.extend(self.steps(item.below, &scope, depth));
            }
            "GenericController" | "RecordingController" | "CriticalSectionController" => {
                let scope = self.scope(item.below, scope, 2);
                steps.extend(self.steps(item.below, &scope, depth));
            }
            class if class.ends_with("Controller") || class.ends_with("Control") => {
                self.controller(item, scope, depth, steps);
            }
            "RunTime" | "ParallelSampler" => self.controller(item, scope, depth, steps),
            _ => self.note_rest(element),
        }
    }

    /// A controller that repeats, chooses or leaves out what stands below it.
    fn controller<'x>(
        &mut self,
        item: Item<'x>,
        scope: &Scope<'x>,
        depth: usize,
        steps: &mut Vec<StepDraft>,
    ) {
        let element = item.element;
        if matches!(
            element.class(),
            "IncludeController" | "ModuleController" | "TestFragmentController"
        ) {
            return self.lost(element, "steps of another place");
        }
        let scope = self.scope(item.below, scope, 2);
        if matches!(element.class(), "RandomController" | "InterleaveControl") {
            return self.one_of(item, &scope, depth, steps);
        }
        let is_deep = depth >= DEEPEST;
        let inner = self.steps(item.below, &scope, if is_deep { depth } else { depth + 1 });
        if inner.is_empty() {
            return;
        }
        let mut group = StepDraft::default();
        match element.class() {
            "LoopController" => {
                let loops = self.texts().number(element.prop("LoopController.loops"), element.line);
                match loops.filter(|loops| (1.0..=MOST_REPEATS).contains(loops)) {
                    Some(loops) => group.repeat = (loops > 1.0).then_some(loops as u64),
                    None => {
                        self.lost(element, "its number of loops: the plan takes its steps once");
                    }
                }
            }
            "IfController" => match self.condition(element.prop("IfController.condition")) {
                Some(when) => group.when = Some(when),
                None => self.lost(element, "its condition: the plan always takes its steps"),
            },
            "ThroughputController" => self.share(element, &mut group),
            "OnceOnlyController" => {
                let text =
                    "the plan takes these steps once at the beginning, not once for each user";
                self.artifact.notes.at(element.line, text);
                self.draft.setup.extend(inner);
                return;
            }
            _ => self.lost(element, "the plan takes its steps once, in their order"),
        }
        let is_plain =
            group.repeat.is_none() && group.when.is_none() && group.probability.is_none();
        if is_plain || is_deep {
            if is_deep && !is_plain {
                self.lost(element, "controllers nested too deep: the plan takes its steps once");
            }
            return steps.extend(inner);
        }
        steps.push(StepDraft { steps: inner, ..group });
    }

    /// A controller that takes one of what stands below it each time.
    fn one_of<'x>(
        &mut self,
        item: Item<'x>,
        scope: &Scope<'x>,
        depth: usize,
        steps: &mut Vec<StepDraft>,
    ) {
        let mut choices: Vec<Vec<StepDraft>> = Vec::new();
        for inner in items(item.below) {
            let mut choice = Vec::new();
            self.step(inner, scope, (depth + 1).min(DEEPEST), &mut choice);
            choices.extend((!choice.is_empty()).then_some(choice));
        }
        let share = 1.0 / choices.len().max(1) as f64;
        let text = format!(
            "{} takes one of its {} parts each time; the plan takes each in {:.0} % of the journeys",
            item.element.class(),
            choices.len(),
            share * 100.0
        );
        self.artifact.notes.at(item.element.line, text);
        for mut choice in choices {
            let mut step = match (choice.pop(), choice.is_empty() || depth >= DEEPEST) {
                (Some(last), true) => {
                    steps.append(&mut choice);
                    last
                }
                (last, _) => {
                    choice.extend(last);
                    StepDraft { steps: choice, ..StepDraft::default() }
                }
            };
            step.probability = Some(step.probability.unwrap_or(1.0) * share);
            steps.push(step);
        }
    }

    /// A share of the users, or a number of times.
    fn share(&mut self, element: &Element, group: &mut StepDraft) {
        let percent = element.prop("ThroughputController.percentThroughput");
        let percent = self.texts().number(percent, element.line);
        match percent.filter(|_| element.prop("ThroughputController.style") == "1") {
            Some(percent) => group.probability = Some((percent / 100.0).clamp(0.0, 1.0)),
            None => self.lost(element, "its number of executions: the plan always takes its steps"),
        }
    }

    /// `"${kind}" == "book"` of a value that the plan has.
    fn condition(&mut self, text: &str) -> Option<(String, String)> {
        let text = text.trim();
        let inside = ["${__jexl3(", "${__jexl2(", "${__groovy(", "${__javaScript("]
            .iter()
            .find_map(|begin| text.strip_prefix(begin)?.strip_suffix(")}"));
        let inside = inside.map(|inside| inside.trim().trim_end_matches(','));
        let (left, right) = inside.unwrap_or(text).split_once("==")?;
        let bare = |text: &str| text.trim().trim_matches(['"', '\'']).to_owned();
        let (name, text) = (bare(left), bare(right.trim_start_matches('=')));
        let name = name.strip_prefix("${")?.strip_suffix('}')?;
        let value = self.values.get(name)?.only_value()?.to_owned();
        let is_plain = !text.contains(['"', '\'', '$', '&', '|']);
        is_plain.then_some((value, text))
    }

    /// A Flow Control Action: a pause, or something that a plan has not.
    fn action(&mut self, element: &Element, depth: usize, steps: &mut Vec<StepDraft>) {
        const PAUSE: &str = "1";
        let millis = self.texts().number(element.prop("ActionProcessor.duration"), element.line);
        let pause = millis.and_then(|millis| seconds(millis / 1e3));
        match (element.prop("ActionProcessor.action"), pause) {
            // An anchor for timers.
            (PAUSE, Some(Duration::ZERO)) => {}
            (PAUSE, Some(pause)) => {
                if !pause_after(steps, Think::Fixed(pause), depth) {
                    self.lost(element, "a pause before the first request");
                }
            }
            _ => self.lost(element, ""),
        }
    }
}

/// How many requests one journey sends, on average.
fn requests(steps: &[StepDraft]) -> f64 {
    let one = |step: &StepDraft| {
        let times = step.repeat.unwrap_or(1) as f64 * step.probability.unwrap_or(1.0);
        let inner = requests(&step.steps);
        times * (inner + f64::from(u8::from(step.request.is_some())))
    };
    steps.iter().map(one).sum()
}
