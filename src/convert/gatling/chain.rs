//! Chains: what a user does one after the other, with loops, conditions and switches.

use std::rc::Rc;

use super::simulation::{Simulation, Stay};
use super::time;
use crate::convert::draft::{Data, RowOrder, StepDraft, Think, pause_after};
use crate::convert::script::value::{Known, Link};
use crate::convert::template::identifier;

/// How deep chains may stand in each other.
const DEEPEST_CHAINS: usize = 60;
/// Most chains that are followed: each may stand in others many times.
const MOST_CHAINS: usize = 8_000;
/// Rounds of a loop that become steps of their own, where they differ.
const MOST_ROUNDS: usize = 20;
/// How often a plan can repeat a step.
const MOST_REPEATS: f64 = 10_000.0;
/// What begins requests of other kinds.
const OTHER_PROTOCOLS: [&str; 6] = ["ws", "sse", "jms", "grpc", "mqtt", "polling"];

/// A part of a chain: `repeat(4).on(…)`, `doIfOrElse(…)(…)(…)`.
struct Block<'l> {
    link: &'l Rc<Link>,
    bodies: Vec<Known>,
    /// What is done where a condition does not hold.
    otherwise: Vec<Known>,
    /// How many calls it consists of.
    length: usize,
}

impl<'l> Block<'l> {
    fn of(links: &'l [Rc<Link>]) -> Option<Self> {
        let (link, rest) = links.split_first()?;
        let mut block = Self { link, bodies: Vec::new(), otherwise: Vec::new(), length: 1 };
        for next in rest {
            let is_other = next.name == "orElse"
                || (next.name.is_empty()
                    && !block.bodies.is_empty()
                    && link.name.ends_with("Else"));
            match next.name.as_str() {
                _ if is_other => block.otherwise.extend(next.arguments.iter().cloned()),
                "on" | "then" | "" => block.bodies.extend(next.arguments.iter().cloned()),
                _ => break,
            }
            block.length += 1;
        }
        Some(block)
    }

    fn name(&self) -> &str {
        &self.link.name
    }

    /// What it is done to: `forever(…)` has it where `repeat(4).on(…)` has the number.
    fn inside(&self) -> &[Known] {
        if self.bodies.is_empty() { &self.link.arguments } else { &self.bodies }
    }
}

/// The parts of a chain.
fn blocks(links: &[Rc<Link>]) -> Vec<Block<'_>> {
    let (mut blocks, mut at) = (Vec::new(), 0);
    while let Some(block) = Block::of(links.get(at..).unwrap_or_default()) {
        at += block.length;
        blocks.push(block);
    }
    blocks
}

/// The loop that a scenario ends with.
pub(super) fn last_loop(links: &[Rc<Link>], depth: usize) -> Option<Rc<Link>> {
    let last = blocks(links).pop().filter(|_| depth < DEEPEST_CHAINS)?;
    match last.name() {
        "forever" | "during" => Some(Rc::clone(last.link)),
        "exec" => {
            let mut step = last.link.arguments.last()?;
            while let Known::List(items) = step {
                step = items.last()?;
            }
            last_loop(step.links(), depth + 1)
        }
        _ => None,
    }
}

impl Simulation<'_, '_> {
    /// Adds the steps of a chain.
    pub(super) fn chain(&mut self, known: &Known, line: usize) {
        self.depth += 1;
        self.followed += 1;
        match known {
            _ if self.depth > DEEPEST_CHAINS => self.lost(line, "chains nested too deep"),
            _ if self.followed > MOST_CHAINS => {
                self.lost(line, format!("steps beyond {MOST_CHAINS} chains"));
            }
            Known::List(items) => items.iter().for_each(|item| self.chain(item, line)),
            Known::Nothing => {}
            known if known.links().is_empty() => {
                self.lost(line, "steps that this file does not define");
            }
            known => self.links(known.links()),
        }
        self.depth -= 1;
    }

    fn chains(&mut self, of: &[Known], line: usize) {
        of.iter().for_each(|chain| self.chain(chain, line));
    }

    pub(super) fn links(&mut self, links: &[Rc<Link>]) {
        let Some(first) = links.first() else { return };
        match first.name.as_str() {
            "http" => self.request(links),
            "session" => self.session(links.get(1..).unwrap_or_default()),
            "function" => self.lost(first.line, "a function of the session"),
            name if OTHER_PROTOCOLS.contains(&name) => {
                self.lost(first.line, format!("`{name}`: a plan sends HTTP"));
            }
            _ => blocks(links).iter().for_each(|block| self.block(block)),
        }
    }

    fn block(&mut self, block: &Block<'_>) {
        let (line, arguments) = (block.link.line, block.link.arguments.as_slice());
        match block.name() {
            "scenario" => {}
            "exec" => self.chains(arguments, line),
            "pause" => self.pause(arguments, line),
            "pace" => self.pace(arguments, line),
            "feed" => self.feed(arguments, line),
            "group" => self.group(block),
            "repeat" => self.repeat(block),
            "foreach" => self.foreach(block),
            "during" | "forever" => self.endless(block),
            "asLongAs" | "asLongAsDuring" | "doWhile" | "doWhileDuring" => {
                self.once(block, "the plan takes its steps once");
            }
            "tryMax" => self.once(block, "the plan tries once"),
            "doIf" | "doIfOrElse" | "doIfEquals" | "doIfEqualsOrElse" => self.condition(block),
            "doSwitch" | "doSwitchOrElse" => self.switch(block),
            "randomSwitch" | "randomSwitchOrElse" | "uniformRandomSwitch" | "roundRobinSwitch" => {
                self.random_switch(block);
            }
            "exitBlockOnFail" => {
                self.stop_on_failure(block, "a failure ends the whole journey, not only its steps");
                self.chains(block.inside(), line);
            }
            "exitHereIfFailed" => {
                self.stop_on_failure(block, "a failure ends the journey wherever it happens");
            }
            "flushHttpCache" | "stopLoadGenerator" | "crashLoadGenerator" => {}
            name => {
                let text = format!("`{}` of a chain", name.escape_debug());
                self.lost(line, text);
            }
        }
    }

    fn stop_on_failure(&mut self, block: &Block<'_>, how: &str) {
        self.stops_on_failure = true;
        let name = block.name().escape_debug();
        self.note(block.link.line, format!("`{name}` is `stop_on_failure` in the plan: {how}"));
    }

    /// Steps that the plan takes once, where the simulation may take them more often.
    fn once(&mut self, block: &Block<'_>, how: &str) {
        let line = block.link.line;
        self.lost(line, format!("`{}`: {how}", block.name().escape_debug()));
        self.chains(block.inside(), line);
    }

    fn pause(&mut self, arguments: &[Known], line: usize) {
        let Some(think) = time::pause(arguments) else {
            return self.lost(line, "a pause whose length only a run knows");
        };
        if !self.has_pauses {
            return;
        }
        let is_empty = self.machine.groups.last().is_none_or(Vec::is_empty);
        let depth = self.machine.groups.len();
        match self.leading.last_mut() {
            Some((of, leading)) if is_empty && *of == depth => add(leading, think),
            _ => self.machine.pause(think, line),
        }
    }

    /// The time between the beginnings of two rounds: a pause in each, as a plan has no other.
    fn pace(&mut self, arguments: &[Known], line: usize) {
        let Some(think) = time::pause(arguments) else {
            return self.lost(line, "a pace that only a run knows");
        };
        let text = "`pace`: the plan pauses as long in each round, so that rounds begin less often \
                    by their own time";
        self.lost(line, text);
        match self.leading.last_mut() {
            Some((_, leading)) => add(leading, think),
            None => self.machine.pause(think, line),
        }
    }

    /// The steps of a round of a loop. A pause before the first of them comes after the last.
    fn round(&mut self, bodies: &[Known], line: usize) -> Vec<StepDraft> {
        self.machine.groups.push(Vec::new());
        let depth = self.machine.groups.len();
        self.leading.push((depth, None));
        self.chains(bodies, line);
        let leading = self.leading.pop().and_then(|(_, leading)| leading);
        let mut steps = self.machine.groups.pop().unwrap_or_default();
        if let Some(think) = leading {
            pause_after(&mut steps, think, depth.saturating_sub(2));
        }
        steps
    }

    /// The steps of a part that is not always taken.
    fn part(&mut self, bodies: &[Known], line: usize) -> Vec<StepDraft> {
        self.machine.groups.push(Vec::new());
        self.chains(bodies, line);
        self.machine.groups.pop().unwrap_or_default()
    }

    fn add_all(&mut self, steps: Vec<StepDraft>) {
        if let Some(group) = self.machine.groups.last_mut() {
            group.extend(steps);
        }
    }

    fn group(&mut self, block: &Block<'_>) {
        let line = block.link.line;
        let name = match block.link.arguments.first() {
            Some(name) => self.text(name, line).shown(),
            None => String::new(),
        };
        let before = self.machine.tags.clone();
        let outer = before.iter().find(|(tag, _)| tag == "group").map(|(_, text)| text.as_str());
        let name = outer.map_or_else(|| name.clone(), |outer| format!("{outer} / {name}"));
        self.machine.tags.retain(|(tag, _)| tag != "group");
        self.machine.tags.push(("group".to_owned(), name));
        self.chains(&block.bodies, line);
        self.machine.tags = before;
    }

    fn repeat(&mut self, block: &Block<'_>) {
        let (line, arguments) = (block.link.line, block.link.arguments.as_slice());
        let Some(count) = arguments.first().and_then(Known::number) else {
            return self
                .once(block, "the plan takes its steps once, as only a run knows how often");
        };
        if count > MOST_REPEATS {
            self.lost(line, format!("rounds of `repeat` beyond {MOST_REPEATS}"));
        }
        let count = count.clamp(0.0, MOST_REPEATS) as usize;
        let counter = arguments.get(1).and_then(Known::fixed);
        let counter = counter.filter(|name| mentions(&block.bodies, name, &mut { MOST_CHAINS }));
        match counter {
            Some(name) if count <= MOST_ROUNDS => {
                for round in 0..count {
                    self.set(&name, &Known::Number(round as f64), line);
                    self.chains(&block.bodies, line);
                }
            }
            counter => {
                if let Some(name) = counter {
                    let last = i64::try_from(count).unwrap_or(i64::MAX).saturating_sub(1);
                    let data = Data::Sequence(0, last.max(0));
                    let made = Known::Made(format!("{name} of {line}"), identifier(&name), data);
                    self.set(&name, &made, line);
                }
                let steps = self.round(&block.bodies, line);
                match count {
                    0 => {}
                    1 => self.add_all(steps),
                    count => self.machine.group(steps, |it| it.repeat = Some(count as u64)),
                }
            }
        }
    }

    fn foreach(&mut self, block: &Block<'_>) {
        let (line, arguments) = (block.link.line, block.link.arguments.as_slice());
        let name = arguments.get(1).and_then(Known::fixed);
        match (arguments.first(), name) {
            (Some(Known::List(items)), Some(name)) if items.len() <= MOST_ROUNDS => {
                for item in items.iter() {
                    match item {
                        Known::Map(entries) => {
                            for (key, value) in entries.iter() {
                                self.set(&format!("{name}.{key}"), value, line);
                            }
                        }
                        item => self.set(&name, item, line),
                    }
                    self.chains(&block.bodies, line);
                }
            }
            _ => self.once(block, "the plan takes its steps once, as only a run knows the list"),
        }
    }

    /// A loop for a time, or without an end: a scenario that ends with it has users that stay.
    fn endless(&mut self, block: &Block<'_>) {
        let line = block.link.line;
        let is_last = self.last.as_ref().is_some_and(|last| Rc::ptr_eq(last, block.link));
        let stay = match block.name() {
            "forever" => Some(Stay::Forever),
            _ => block.link.arguments.first().and_then(time::in_seconds).map(Stay::For),
        };
        let (true, Some(stay)) = (is_last, stay.filter(|_| self.machine.groups.len() == 2)) else {
            return self.once(block, "the plan takes its steps once");
        };
        self.endless = Some(stay);
        if self.machine.groups.last().is_some_and(|steps| !steps.is_empty()) {
            let text = format!(
                "`{}`: the plan takes the steps before it in each round too",
                block.name().escape_debug()
            );
            self.lost(line, text);
        }
        let bodies = block.inside().to_vec();
        let steps = self.round(&bodies, line);
        self.add_all(steps);
    }

    fn condition(&mut self, block: &Block<'_>) {
        let (line, arguments) = (block.link.line, block.link.arguments.as_slice());
        let name = block.name().to_owned();
        let is_equal = name.starts_with("doIfEquals");
        let when = match arguments {
            [Known::Switch(holds), ..] if !is_equal => {
                let bodies = if *holds { &block.bodies } else { &block.otherwise };
                return self.chains(bodies, line);
            }
            [a, b, ..] if is_equal => self.when(a, b, line),
            [only] if !is_equal => match only.links() {
                [link] if link.name == "equals" => match link.arguments.as_slice() {
                    [a, b] => self.when(a, b, line),
                    _ => None,
                },
                [] => self.when(only, &Known::text("true"), line),
                _ => None,
            },
            _ => None,
        };
        let steps = self.part(&block.bodies, line);
        let others = self.part(&block.otherwise, line);
        match (when, others.is_empty()) {
            (Some(when), is_alone) => {
                self.when_group(steps, when);
                if !is_alone {
                    self.lost(line, format!("the other steps of `{name}`"));
                }
            }
            (None, true) => {
                self.lost(
                    line,
                    format!("the condition of `{name}`: the plan always takes its steps"),
                );
                self.add_all(steps);
            }
            (None, false) => {
                let text = format!(
                    "the condition of `{name}` and its other steps: the plan takes the first"
                );
                self.lost(line, text);
                self.add_all(steps);
            }
        }
    }

    /// A value of the plan, and the text that it must be; `None` where no plan can tell.
    fn when(&mut self, a: &Known, b: &Known, line: usize) -> Option<(String, String)> {
        let (value, text) = match (self.value_of(a), self.value_of(b)) {
            (Some(value), None) => (value, b),
            (None, Some(value)) => (value, a),
            _ => return None,
        };
        let is_plain = matches!(text, Known::Text(_) | Known::Number(_) | Known::Switch(_));
        let text = is_plain.then(|| self.text(text, line).fixed()).flatten()?;
        Some((value, text))
    }

    /// The value of the plan that a text such as `#{name}` stands for.
    fn value_of(&self, known: &Known) -> Option<String> {
        let Known::Text(text) = known else { return None };
        let fixed = text.fixed();
        let name = match (text.only_value(), fixed.as_deref()) {
            (Some(value), _) => value.strip_prefix(' ')?,
            (None, text) => {
                let text = text?;
                let inside = text.strip_prefix("#{").or_else(|| text.strip_prefix("${"));
                inside?.strip_suffix('}')?.trim()
            }
        };
        self.machine.values.get(name)?.only_value().map(str::to_owned)
    }

    fn when_group(&mut self, mut steps: Vec<StepDraft>, when: (String, String)) {
        if steps.len() == 1 && steps.iter().all(|step| step.when.is_some()) {
            steps = vec![StepDraft { steps, ..StepDraft::default() }];
        }
        self.machine.group(steps, |group| group.when = Some(when));
    }

    fn switch(&mut self, block: &Block<'_>) {
        let line = block.link.line;
        let Some(value) = block.link.arguments.first() else { return };
        let mut is_known = true;
        for case in parts_of(&block.bodies) {
            let Some((key, chains)) = case_of(&case) else {
                is_known = false;
                continue;
            };
            let when = self.when(value, &key, line);
            let steps = self.part(&chains, line);
            match when {
                Some(when) => self.when_group(steps, when),
                None => is_known = false,
            }
        }
        let others = self.part(&block.otherwise, line);
        if !is_known || !others.is_empty() {
            self.lost(line, format!("some of the cases of `{}`", block.name().escape_debug()));
        }
    }

    fn random_switch(&mut self, block: &Block<'_>) {
        let line = block.link.line;
        let parts = parts_of(block.inside());
        let is_even = matches!(block.name(), "uniformRandomSwitch" | "roundRobinSwitch");
        let count = parts.len().max(1);
        let text = format!(
            "`{}` takes one of its parts each time; the plan takes each in its share of the journeys",
            block.name().escape_debug()
        );
        self.note(line, text);
        let mut rest = 1.0;
        for part in parts {
            let (share, chains) = match case_of(&part) {
                _ if is_even => (1.0 / count as f64, vec![part]),
                Some((share, chains)) => match share.number() {
                    Some(share) => (share / 100.0, chains),
                    None => {
                        self.lost(line, "a share that only a run knows");
                        continue;
                    }
                },
                None => {
                    self.lost(line, "a part of a switch that this file does not define");
                    continue;
                }
            };
            rest -= share;
            let steps = self.part(&chains, line);
            self.machine.group(steps, |group| group.probability = Some(rounded(share)));
        }
        let others = self.part(&block.otherwise, line);
        self.machine.group(others, |group| group.probability = Some(rounded(rest)));
    }

    /// Each user gets a row of a file.
    fn feed(&mut self, arguments: &[Known], line: usize) {
        let Some(feeder) = arguments.first() else { return };
        if arguments.get(1).and_then(Known::number).is_some_and(|count| count > 1.0) {
            self.lost(line, "rows of a feeder beyond the first");
        }
        for (field, column) in self.feeder(feeder, line) {
            self.machine.values.define(&field, &column);
        }
    }
}

fn add(sum: &mut Option<Think>, think: Think) {
    *sum = Some(sum.map_or(think, |before| before.and(think)));
}

/// A share with six digits.
fn rounded(share: f64) -> f64 {
    (share.clamp(0.0, 1.0) * 1e6).round() / 1e6
}

/// Arguments one by one, also those that stand in a list. A pair such as `60.0 -> a` stays one.
fn parts_of(arguments: &[Known]) -> Vec<Known> {
    let is_case = |item: &Known| match item {
        Known::List(items) => {
            items.first().is_some_and(|it| matches!(it, Known::List(_)))
                || items.first().is_some_and(|it| !it.links().is_empty())
        }
        _ => false,
    };
    arguments
        .iter()
        .flat_map(|argument| {
            if is_case(argument) { argument.items().to_vec() } else { vec![argument.clone()] }
        })
        .collect()
}

/// The key or the share of a part of a switch, and its chains.
fn case_of(part: &Known) -> Option<(Known, Vec<Known>)> {
    if let [key, chains @ ..] = part.items() {
        return Some((key.clone(), chains.to_vec()));
    }
    let (first, rest) = part.links().split_first()?;
    let key = first.arguments.first().cloned()?;
    let chains = rest.iter().filter(|link| link.name == "then");
    let chains = chains.flat_map(|link| link.arguments.iter().cloned()).collect();
    matches!(first.name.as_str(), "onCase" | "percent").then_some((key, chains))
}

/// Whether texts of chains use a name of the session; yes, where there are more than `left` of them.
fn mentions(of: &[Known], name: &str, left: &mut usize) -> bool {
    let is_in = |text: &str| {
        let forms = [format!("#{{{name}}}"), format!("${{{name}}}"), format!("#{{{name}.")];
        forms.iter().any(|it| text.contains(it))
    };
    of.iter().any(|known| {
        if *left == 0 {
            return true;
        }
        *left -= 1;
        match known {
            Known::Text(text) => {
                is_in(&text.shown()) || text.values().any(|it| it.trim_start() == name)
            }
            Known::List(items) => mentions(items, name, left),
            Known::Map(entries) => {
                let values: Vec<Known> = entries.iter().map(|(_, value)| value.clone()).collect();
                mentions(&values, name, left)
            }
            Known::Fluent(links) => links.iter().any(|link| mentions(&link.arguments, name, left)),
            _ => false,
        }
    })
}

/// The order of the rows that a feeder's strategy draws.
pub(super) fn order(strategy: &str) -> Option<RowOrder> {
    Some(match strategy {
        "random" => RowOrder::Random,
        "circular" => RowOrder::Sequential,
        "queue" | "shuffle" => RowOrder::Once,
        _ => return None,
    })
}
