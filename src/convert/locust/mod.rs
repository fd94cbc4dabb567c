//! locustfiles (<https://docs.locust.io/en/stable/writing-a-locustfile.html>), read and never run:
//! the tasks of its users are journeys, and the stages of its shape the load.

mod library;
mod shape;

use std::collections::BTreeMap;
use std::rc::Rc;

use super::artifact::Artifact;
use super::draft::{Draft, JourneyDraft, LoadDraft, StepDraft, Think, pause_after, seconds};
use super::http::{self, Names};
use super::script::machine::{Machine, without_texts};
use super::script::python;
use super::script::sources::{self, Sources};
use super::script::syntax::{Class, Expr, ExprKind, Function, StatementKind};
use super::script::value::Known;
use super::{ConvertError, ConverterSpec};

pub(super) static SPEC: ConverterSpec = ConverterSpec {
    name: "locust",
    summary: "locustfiles, Python: a journey for each task, and the stages of a shape",
    options: &[],
    looks,
    convert,
};

fn looks(begin: &str) -> bool {
    begin.lines().map(str::trim_start).any(|line| {
        let module = line.strip_prefix("from ").or_else(|| line.strip_prefix("import "));
        module.is_some_and(|module| module.split([' ', '.', ',']).next() == Some("locust"))
    })
}

fn convert(artifact: &mut Artifact<'_>) -> Result<Draft, ConvertError> {
    let text = artifact.text()?;
    let Sources { text, program } = sources::read(artifact, text, &python::LANGUAGE)?;
    let mut machine = Machine::new(artifact, &text, library::call);
    machine.json_space = " ";
    machine.block(&program.statements, &mut Known::Nothing);
    let mut file = Locustfile { machine, classes: BTreeMap::new(), names: Names::default() };
    let mut order = Vec::new();
    for statement in &program.statements {
        match &statement.kind {
            StatementKind::Class(class) => {
                order.push(Rc::clone(class));
                file.classes.insert(class.name.clone(), Rc::clone(class));
            }
            StatementKind::Function(function) if !function.decorators.is_empty() => {
                let name = function.name.escape_debug();
                let text = format!("the function `{name}`, which locust calls at an event");
                file.machine.lost(function.line, text);
            }
            _ => {}
        }
    }
    file.users(&order);
    file.finish()
}

/// A locustfile while it is being read.
struct Locustfile<'s, 'a> {
    machine: Machine<'s, 'a>,
    classes: BTreeMap<String, Rc<Class>>,
    /// Of journeys.
    names: Names,
}

/// A task with its weight and the object whose method it is.
struct Task {
    name: String,
    weight: f64,
    body: TaskBody,
}

enum TaskBody {
    Function(Rc<Function>),
    Class(Rc<Class>),
}

impl Locustfile<'_, '_> {
    fn users(&mut self, order: &[Rc<Class>]) {
        let mut users = Vec::new();
        let mut load = None;
        for class in order {
            if self.is_a(class, "LoadTestShape", 0) {
                match shape::load(&mut self.machine, class) {
                    Some(shape) => load = Some(shape),
                    None => {
                        let name = class.name.escape_debug();
                        let text = format!("the shape `{name}`, whose stages the program makes");
                        self.machine.lost(class.line, text);
                    }
                }
            } else if self.is_user(class) {
                // Of the class alone: what is made of it is not abstract.
                let is_abstract = class.body.iter().any(|statement| match &statement.kind {
                    StatementKind::Assign(target, value) => {
                        target.path() == ["abstract"]
                            && matches!(value.kind, ExprKind::Switch(true))
                    }
                    _ => false,
                });
                if !is_abstract {
                    users.push(Rc::clone(class));
                }
            }
        }
        let several = users.len() > 1;
        for class in users {
            self.user(&class, several);
        }
        self.machine.draft.load = load.unwrap_or(LoadDraft::Unset);
    }

    fn is_user(&self, class: &Class) -> bool {
        ["HttpUser", "FastHttpUser", "HttpLocust", "User"]
            .iter()
            .any(|base| self.is_a(class, base, 0))
    }

    /// Whether a class is of this kind, itself or by the classes that it is made of.
    fn is_a(&self, class: &Class, kind: &str, depth: usize) -> bool {
        depth < 8
            && class.bases.iter().any(|base| {
                let path = base.path();
                path.last() == Some(&kind)
                    || path
                        .last()
                        .and_then(|name| self.classes.get(*name))
                        .is_some_and(|base| self.is_a(base, kind, depth + 1))
            })
    }

    /// The class and those that it is made of, itself first.
    fn lineage(&self, class: &Rc<Class>) -> Vec<Rc<Class>> {
        let mut lineage = vec![Rc::clone(class)];
        let mut at = 0;
        while at < lineage.len() && lineage.len() < 8 {
            let bases: Vec<Rc<Class>> = lineage
                .get(at)
                .into_iter()
                .flat_map(|class| &class.bases)
                .filter_map(|base| self.classes.get(*base.path().last()?).cloned())
                .collect();
            lineage.extend(bases);
            at += 1;
        }
        lineage
    }

    /// The expression that an attribute of a class is set to.
    fn set_to(&self, class: &Rc<Class>, wanted: &str) -> Option<Expr> {
        let lineage = self.lineage(class);
        let statements = lineage.iter().flat_map(|class| &class.body);
        statements.into_iter().find_map(|statement| match &statement.kind {
            StatementKind::Assign(target, value) if target.path() == [wanted] => {
                Some(value.clone())
            }
            _ => None,
        })
    }

    fn attribute(&mut self, class: &Rc<Class>, wanted: &str) -> Option<Known> {
        let value = self.set_to(class, wanted)?;
        Some(self.machine.eval(&value))
    }

    /// Makes what a class defines known as `self.name`.
    fn enter_class(&mut self, class: &Rc<Class>) {
        for class in self.lineage(class).iter().rev() {
            for statement in &class.body {
                match &statement.kind {
                    StatementKind::Assign(target, value) => {
                        if let ([name], true) = (target.path().as_slice(), is_plain_value(value)) {
                            let value = self.machine.eval(value);
                            self.machine.define(&format!("self.{name}"), value);
                        }
                    }
                    StatementKind::Function(function) => {
                        let value = Known::Function(Rc::clone(function));
                        self.machine.define(&format!("self.{}", function.name), value);
                    }
                    _ => {}
                }
            }
        }
    }

    fn user(&mut self, class: &Rc<Class>, several: bool) {
        let globals = self.machine.frames.first().cloned();
        self.host(class);
        self.enter_class(class);
        let think = self.wait(class);
        let weight = self.attribute(class, "weight").and_then(|it| it.number()).unwrap_or(1.0);
        self.once(class, "on_start");
        let tasks = self.tasks(class);
        let total: f64 = tasks.iter().map(|task| task.weight).sum();
        let share = if several && total > 0.0 { weight / total } else { 1.0 };
        let prefix = if several { format!("{}.", class.name) } else { String::new() };
        for task in tasks {
            let weight = task.weight * share;
            self.task(task, &prefix, weight, think, true);
        }
        self.once(class, "on_stop");
        if let (Some(frame), Some(globals)) = (self.machine.frames.first_mut(), globals) {
            *frame = globals;
        }
    }

    fn host(&mut self, class: &Rc<Class>) {
        let Some(host) = self.attribute(class, "host").and_then(|host| host.fixed()) else {
            return;
        };
        match http::address(&host) {
            Ok(address) => {
                if address.credentials {
                    http::note_credentials(&mut self.machine.artifact.notes, class.line);
                }
                self.machine.target.base.get_or_insert_with(|| address.before_paths());
            }
            Err(why) => self.machine.lost(class.line, format!("the host: {why}")),
        }
    }

    /// What runs once for each user: the plan takes it once.
    fn once(&mut self, class: &Rc<Class>, name: &str) {
        let lineage = self.lineage(class);
        let statements = lineage.iter().flat_map(|class| &class.body);
        let function = statements.into_iter().find_map(|statement| match &statement.kind {
            StatementKind::Function(function) if function.name == name => Some(Rc::clone(function)),
            _ => None,
        });
        let Some(function) = function else { return };
        let steps = self.machine.collect(|machine| {
            machine.enter(&function, vec![Known::Unknown]);
        });
        if steps.is_empty() {
            return;
        }
        let text = format!("`{name}`: the plan takes its steps once, not once for each user");
        self.machine.artifact.notes.at(function.line, text);
        match name {
            "on_start" => self.machine.draft.setup.extend(steps),
            _ => self.machine.draft.teardown.extend(steps),
        }
    }

    /// The pause after each task.
    fn wait(&mut self, class: &Rc<Class>) -> Option<Think> {
        let wait = self.set_to(class, "wait_time")?;
        let ExprKind::Call(call) = &wait.kind else {
            self.machine.lost(wait.line, "a `wait_time` of the program's own");
            return None;
        };
        let number = |index: usize| {
            let value = call.arguments.get(index).map(|it| self.machine.eval(it));
            value.and_then(|value| value.number()).filter(|number| *number >= 0.0)
        };
        let numbers: Vec<f64> = [0, 1].into_iter().map_while(number).collect();
        let (name, line) = (call.callee.path().last().copied().unwrap_or_default(), wait.line);
        let think = match (name, numbers.as_slice()) {
            ("between", [low, high]) => {
                Some(Think::Uniform(seconds(*low)?, seconds(high.max(*low))?))
            }
            ("constant", [time]) => Some(Think::Fixed(seconds(*time)?)),
            ("constant_pacing", [time]) => {
                let text = "`constant_pacing`: the plan pauses as long after each task, so that \
                            tasks start less often by their own time";
                self.machine.artifact.notes.at(line, text);
                Some(Think::Fixed(seconds(*time)?))
            }
            ("constant_throughput", [rate]) if *rate > 0.0 => {
                let text = "`constant_throughput`: the plan pauses between tasks, so that they \
                            start less often by their own time";
                self.machine.artifact.notes.at(line, text);
                Some(Think::Fixed(seconds(1.0 / rate)?))
            }
            _ => {
                self.machine.lost(line, "a `wait_time` that is not known");
                None
            }
        };
        think.filter(|think| !think.is_zero())
    }

    /// The tasks of a class: methods with `@task`, nested classes with it, and `tasks`.
    fn tasks(&mut self, class: &Rc<Class>) -> Vec<Task> {
        let mut tasks: Vec<Task> = Vec::new();
        for class in self.lineage(class) {
            for statement in &class.body {
                let (name, decorators, body) = match &statement.kind {
                    StatementKind::Function(it) => {
                        (&it.name, &it.decorators, TaskBody::Function(Rc::clone(it)))
                    }
                    StatementKind::Class(it) => {
                        (&it.name, &it.decorators, TaskBody::Class(Rc::clone(it)))
                    }
                    _ => continue,
                };
                let weight = decorators.iter().find_map(|decorator| self.task_weight(decorator));
                if let Some(weight) = weight
                    && !tasks.iter().any(|task| task.name == *name)
                {
                    tasks.push(Task { name: name.clone(), weight, body });
                }
            }
        }
        if let Some(listed) = self.set_to(class, "tasks") {
            tasks.extend(self.listed(&listed));
        }
        tasks
    }

    /// The weight that `@task` or `@task(3)` gives.
    fn task_weight(&mut self, decorator: &Expr) -> Option<f64> {
        let path = |expr: &Expr| expr.path().last().is_some_and(|name| *name == "task");
        match &decorator.kind {
            ExprKind::Call(call) if path(&call.callee) => {
                let weight = call.arguments.first().map(|it| self.machine.eval(it));
                Some(weight.and_then(|weight| weight.number()).unwrap_or(1.0))
            }
            _ if path(decorator) => Some(1.0),
            _ => None,
        }
    }

    /// `tasks = [a, b]` and `tasks = {a: 3, b: 1}`.
    fn listed(&mut self, of: &Expr) -> Vec<Task> {
        let entries: Vec<(&Expr, f64)> = match &of.kind {
            ExprKind::List(items) => items.iter().map(|item| (item, 1.0)).collect(),
            ExprKind::Map(entries) => entries
                .iter()
                .map(|(key, value)| (key, self.machine.eval(value).number().unwrap_or(1.0)))
                .collect(),
            _ => Vec::new(),
        };
        let mut tasks = Vec::new();
        for (expr, weight) in entries {
            let name = expr.path().last().map(|name| (*name).to_owned()).unwrap_or_default();
            let body = match (self.machine.eval(expr), self.classes.get(&name)) {
                (Known::Function(function), _) => TaskBody::Function(function),
                (_, Some(class)) => TaskBody::Class(Rc::clone(class)),
                _ => {
                    self.machine.lost(expr.line, format!("the task `{}`", name.escape_debug()));
                    continue;
                }
            };
            tasks.push(Task { name, weight, body });
        }
        tasks
    }

    fn task(&mut self, task: Task, prefix: &str, weight: f64, think: Option<Think>, is_top: bool) {
        if weight <= 0.0 {
            return;
        }
        let (name, weight) = (format!("{prefix}{}", task.name), Some(weight));
        match task.body {
            TaskBody::Function(function) => {
                let mut steps = self.machine.collect(|machine| {
                    machine.enter(&function, vec![Known::Unknown]);
                });
                if steps.is_empty() {
                    let name = name.escape_debug();
                    let text = format!("the task `{name}`, which sends nothing that can be read");
                    return self.machine.lost(function.line, text);
                }
                pause(&mut steps, think);
                self.journey(&name, weight, steps);
            }
            TaskBody::Class(class) if is_top => self.task_set(&class, &name, weight, think),
            TaskBody::Class(class) => {
                self.machine.lost(class.line, "a task set in a task set");
            }
        }
    }

    /// The tasks of a class in a class; those of a `SequentialTaskSet` follow each other.
    fn task_set(
        &mut self,
        class: &Rc<Class>,
        name: &str,
        weight: Option<f64>,
        outer: Option<Think>,
    ) {
        let globals = self.machine.frames.first().cloned();
        self.enter_class(class);
        let think = match self.set_to(class, "wait_time") {
            Some(_) => self.wait(class),
            None => outer,
        };
        self.once(class, "on_start");
        let tasks = self.tasks(class);
        let weight = weight.unwrap_or(1.0);
        if self.is_a(class, "SequentialTaskSet", 0) {
            let mut steps = Vec::new();
            for task in tasks {
                if let TaskBody::Function(function) = task.body {
                    let mut made = self.machine.collect(|machine| {
                        machine.enter(&function, vec![Known::Unknown]);
                    });
                    pause(&mut made, think);
                    steps.append(&mut made);
                }
            }
            if !steps.is_empty() {
                self.journey(name, Some(weight), steps);
            }
        } else {
            let text = "a task set: the plan takes one of its tasks each time, and does not stay \
                        in it";
            self.machine.artifact.notes.at(class.line, text);
            let total: f64 = tasks.iter().map(|task| task.weight).sum();
            for task in tasks {
                let weight = weight * task.weight / total.max(1e-9);
                self.task(task, &format!("{name}."), weight, think, false);
            }
        }
        if let (Some(frame), Some(globals)) = (self.machine.frames.first_mut(), globals) {
            *frame = globals;
        }
    }

    fn journey(&mut self, name: &str, weight: Option<f64>, steps: Vec<StepDraft>) {
        let weight = weight.filter(|weight| *weight != 1.0);
        let name = self.names.request(name);
        let journey = JourneyDraft { name, weight, steps, ..JourneyDraft::default() };
        self.machine.draft.journeys.push(journey);
    }

    fn finish(self) -> Result<Draft, ConvertError> {
        let Machine { artifact, values, mut draft, target, .. } = self.machine;
        values.finish(&mut draft, &mut artifact.notes, without_texts);
        if draft.journeys.is_empty() {
            let text = "no task of a user sends an HTTP request that can be read";
            return Err(ConvertError::Empty(text.to_owned()));
        }
        artifact.seen.push(format!("{} tasks with requests", draft.journeys.len()));
        draft.url = target.base;
        let comments = [
            "The file was read, not run: compare its requests with these.",
            "locust follows redirects and sends a request to where they lead; a plan does not.",
        ];
        draft.comments.extend(comments.map(str::to_owned));
        if matches!(draft.load, LoadDraft::Unset) {
            let text = "locust takes its number of users from the command line: set [load], such \
                        as executor = \"constant-vus\". Without it, kneepoint searches for the \
                        breakpoint.";
            draft.comments.push(text.to_owned());
        }
        Ok(draft)
    }
}

/// Whether an attribute of a class is a value, and not a call such as `between(1, 2)`.
fn is_plain_value(value: &Expr) -> bool {
    match &value.kind {
        ExprKind::Call(call) => !matches!(call.callee.kind, ExprKind::Name(_)),
        _ => true,
    }
}

/// The `wait_time` after a task.
fn pause(steps: &mut Vec<StepDraft>, think: Option<Think>) {
    if let Some(think) = think {
        pause_after(steps, think, 0);
    }
}
