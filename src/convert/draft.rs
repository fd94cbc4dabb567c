//! The plan that a converter makes, and how it is written: with comments, and in an order for
//! people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use super::Options;
use super::template::{Template, variable_name};
use super::told::Told;

/// Where requests go when nobody says where.
pub(super) const NOWHERE: &str = "http://127.0.0.1:8080";

/// A plan in the making.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// What to look at before it is run, one sentence each.
    pub(super) comments: Vec<String>,
    /// The plan's name; the file's where it has none.
    pub(super) name: Option<String>,
    /// `http://host:port`; where it is missing, the input did not say.
    pub(super) url: Option<String>,
    pub(super) timeout: Option<Duration>,
    pub(super) requests: Vec<Ask>,
    pub(super) journeys: Vec<Journey>,
    /// By name, in order of their use.
    pub(super) data: Vec<(String, Data)>,
    pub(super) load: Load,
}

/// One request, of the mix or of a journey.
#[derive(Clone, Debug, Default)]
pub(super) struct Ask {
    /// What to know of it, one line each.
    pub(super) comments: Vec<String>,
    pub(super) name: String,
    pub(super) weight: Option<f64>,
    pub(super) method: String,
    pub(super) path: Template,
    pub(super) headers: Vec<(String, Template)>,
    pub(super) body: Option<Template>,
    /// Stands in the plan as a comment only.
    pub(super) off: bool,
}

/// Steps that one user does after each other.
#[derive(Debug, Default)]
pub(super) struct Journey {
    pub(super) name: String,
    pub(super) weight: Option<f64>,
    pub(super) steps: Vec<Step>,
}

/// One step: a request, or a group of steps.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// `None` for a group.
    pub(super) ask: Option<Ask>,
    pub(super) steps: Vec<Step>,
    /// Pause behind it.
    pub(super) think: Option<Duration>,
    pub(super) repeat: Option<u64>,
    /// Name and where it is found: `json`, `regex`, `header` or `cookie`, with its pattern.
    pub(super) captures: Vec<(String, &'static str, String)>,
    pub(super) statuses: Vec<u16>,
    /// Headers that the response must have, and what they hold.
    pub(super) expected: Vec<(String, String)>,
    /// JSONPaths of the response, and the text, number or switch that must be there.
    pub(super) found: Vec<(String, toml::Value)>,
}

/// Where the values of a name come from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    /// Whole numbers, both ends included.
    Range(i64, i64),
    /// These texts.
    List(Vec<String>),
    /// A new UUID each time.
    Uuid,
    /// A variable of the environment.
    Variable(String),
    /// A file; its rows where no column is named.
    Csv { file: String, column: Option<String>, sequential: bool },
}

/// The load.
#[derive(Debug, Default)]
pub(super) enum Load {
    /// The plan's default: a search for the breakpoint.
    #[default]
    Usual,
    /// The same, around rates that were seen.
    Search { start: f64, max: f64, comment: String },
    /// One rate.
    Constant { rate: f64, duration: Duration },
    /// Rates with a ramp to each: the target and how long the way there takes.
    Ramp { start: f64, stages: Vec<(f64, Duration, Option<String>)> },
    /// Each request at its time.
    Replay { trace: String, speed: f64 },
}

/// The rate that a plan may have without saying more.
const USUAL_MAX_RATE: f64 = 5000.0;
/// What a limit leaves over the length of the load.
const SLACK: Duration = Duration::from_secs(60);
/// The length that a run may have without saying more.
const USUAL_MAX_DURATION: Duration = Duration::from_secs(30 * 60);

impl Draft {
    /// The text of the plan.
    pub(super) fn write(mut self, from: &str, options: &Options, told: &mut Told) -> String {
        let mut out = Paper::default();
        out.comment(&format!("Made from {} ({from}) by kneepoint convert.", options.origin));
        if self.url.is_none() && options.target.is_none() {
            let text = format!(
                "the input does not say where the requests go: `{NOWHERE}` stands in the plan, \
                 choose with `--target`"
            );
            told.say(text);
            self.comments.insert(0, "Set the `url` of the target: the input names none.".into());
        }
        let variables = self.variables();
        if !variables.is_empty() {
            let text = format!("variables of the environment to set: {}", variables.join(", "));
            self.comments.push(format!("V{}.", &text[1..]));
            told.say(text);
        }
        if !self.comments.is_empty() {
            out.comment("To look at before it is run:");
            self.comments.iter().for_each(|text| out.comment(&format!("- {text}")));
        }
        out.line("");
        out.pair("name", &value(&plan_name(self.name.as_deref().unwrap_or(&options.origin))));
        out.line("");
        out.line("[target]");
        let url = options.target.as_deref().or(self.url.as_deref()).unwrap_or(NOWHERE);
        out.pair("url", &value(url));
        if let Some(timeout) = self.timeout {
            out.pair("timeout", &value(&duration(timeout)));
        }
        self.requests.iter().for_each(|ask| out.request(ask));
        self.journeys.iter().for_each(|journey| out.journey(journey));
        let mut written = BTreeSet::new();
        for (name, data) in self.data.iter().filter(|(name, _)| written.insert(name.clone())) {
            out.data(name, data);
        }
        out.load(&self.load);
        out.limits(&self.load);
        out.0
    }

    /// What `${…}` stands for, each once.
    fn variables(&self) -> Vec<String> {
        fn of_step<'d>(step: &'d Step, asks: &mut Vec<&'d Ask>) {
            asks.extend(&step.ask);
            step.steps.iter().for_each(|inner| of_step(inner, asks));
        }
        let mut asks: Vec<&Ask> = self.requests.iter().filter(|ask| !ask.off).collect();
        let steps = self.journeys.iter().flat_map(|journey| &journey.steps);
        steps.for_each(|step| of_step(step, &mut asks));
        let texts = asks.into_iter().flat_map(|ask| {
            [&ask.path].into_iter().chain(ask.headers.iter().map(|(_, text)| text)).chain(&ask.body)
        });
        let mut names: BTreeSet<String> =
            texts.flat_map(Template::variables).map(str::to_owned).collect();
        names.extend(self.data.iter().filter_map(|(_, data)| match data {
            Data::Variable(name) => Some(variable_name(name)),
            _ => None,
        }));
        names.into_iter().collect()
    }

    /// The rate and the length that the load comes to, for the plan's limits.
    fn reach(load: &Load) -> (f64, Duration) {
        match load {
            Load::Usual | Load::Replay { .. } => (0.0, Duration::ZERO),
            Load::Search { max, .. } => (*max, Duration::ZERO),
            Load::Constant { rate, duration } => (*rate, *duration),
            Load::Ramp { start, stages } => (
                stages.iter().map(|(rate, _, _)| *rate).fold(*start, f64::max),
                stages
                    .iter()
                    .fold(Duration::ZERO, |sum, (_, length, _)| sum.saturating_add(*length)),
            ),
        }
    }
}

/// The text of a plan as it grows.
#[derive(Default)]
struct Paper(String);

impl Paper {
    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    /// A comment of one line, broken where it gets long.
    fn comment(&mut self, text: &str) {
        let mut line = String::from("#");
        for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
            if line.chars().count() + word.chars().count() > 98 && line.len() > 2 {
                self.line(&line);
                line = "#  ".to_owned();
            }
            line.push(' ');
            line.push_str(word);
        }
        self.line(&line);
    }

    fn pair(&mut self, name: &str, value: &str) {
        self.line(&format!("{} = {value}", key(name)));
    }

    fn request(&mut self, ask: &Ask) {
        self.line("");
        ask.comments.iter().for_each(|text| self.comment(text));
        let mut block = Paper::default();
        block.line("[[request]]");
        block.ask(ask);
        if ask.off {
            for line in block.0.lines() {
                self.line(format!("# {line}").trim_end());
            }
        } else {
            self.0.push_str(&block.0);
        }
    }

    fn ask(&mut self, ask: &Ask) {
        self.pair("name", &value(&ask.name));
        if let Some(weight) = ask.weight {
            self.pair("weight", &number(weight.clamp(0.001, 1e9)));
        }
        self.pair("method", &value(&ask.method));
        self.pair("path", &value(&ask.path.written()));
        if !ask.headers.is_empty() {
            // HTTP reads two headers of one name as a list of both.
            let mut headers: Vec<(&str, Template)> = Vec::new();
            for (name, text) in &ask.headers {
                match headers.iter_mut().find(|(known, _)| known == name) {
                    Some((_, known)) => {
                        known.text(", ");
                        known.append(text.clone());
                    }
                    None => headers.push((name, text.clone())),
                }
            }
            let header = |(name, text): &(&str, Template)| {
                format!("{} = {}", key(name), value(&text.written()))
            };
            let headers: Vec<_> = headers.iter().map(header).collect();
            self.pair("headers", &format!("{{ {} }}", headers.join(", ")));
        }
        if let Some(body) = &ask.body {
            self.pair("body", &value(&body.written()));
        }
    }

    fn journey(&mut self, journey: &Journey) {
        self.line("");
        self.line("[[journey]]");
        self.pair("name", &value(&journey.name));
        if let Some(weight) = journey.weight {
            self.pair("weight", &number(weight.clamp(0.001, 1e9)));
        }
        journey.steps.iter().for_each(|step| self.step("journey.step", step));
    }

    fn step(&mut self, table: &str, step: &Step) {
        self.line("");
        if let Some(ask) = &step.ask {
            ask.comments.iter().for_each(|text| self.comment(text));
        }
        self.line(&format!("[[{table}]]"));
        if let Some(ask) = &step.ask {
            self.ask(ask);
        }
        if let Some(repeat) = step.repeat {
            self.pair("repeat", &repeat.to_string());
        }
        if let Some(think) = step.think {
            self.pair("think", &value(&duration(think)));
        }
        if !step.captures.is_empty() {
            // The last one of a name counts.
            let captures: BTreeMap<&str, (&str, &str)> = step
                .captures
                .iter()
                .map(|(name, kind, it)| (name.as_str(), (*kind, it.as_str())))
                .collect();
            let capture = |(name, (kind, pattern)): (&&str, &(&str, &str))| {
                format!("{} = {{ {kind} = {} }}", key(name), literal(pattern))
            };
            let captures: Vec<_> = captures.iter().map(capture).collect();
            self.pair("capture", &format!("{{ {} }}", captures.join(", ")));
        }
        let mut checks = Vec::new();
        match step.statuses.as_slice() {
            [] => {}
            [status] => checks.push(format!("status = {status}")),
            several => checks.push(format!("status = {several:?}")),
        }
        if !step.expected.is_empty() {
            let headers: BTreeMap<&String, &String> =
                step.expected.iter().map(|(name, text)| (name, text)).collect();
            let headers: Vec<_> = headers
                .into_iter()
                .map(|(name, text)| format!("{} = {}", key(name), literal(text)))
                .collect();
            checks.push(format!("headers = {{ {} }}", headers.join(", ")));
        }
        if !step.found.is_empty() {
            let found: BTreeMap<&String, &toml::Value> =
                step.found.iter().map(|(path, value)| (path, value)).collect();
            let found: Vec<_> =
                found.into_iter().map(|(path, value)| format!("{} = {value}", key(path))).collect();
            checks.push(format!("json = {{ {} }}", found.join(", ")));
        }
        if !checks.is_empty() {
            self.pair("check", &format!("{{ {} }}", checks.join(", ")));
        }
        step.steps.iter().for_each(|inner| self.step(&format!("{table}.steps"), inner));
    }

    fn data(&mut self, name: &str, data: &Data) {
        self.line("");
        self.line(&format!("[data.{}]", key(name)));
        match data {
            Data::Range(first, last) => self.pair("range", &format!("[{first}, {last}]")),
            Data::List(texts) => {
                let texts: Vec<_> = texts.iter().map(|text| literal(text)).collect();
                self.pair("list", &format!("[{}]", texts.join(", ")));
            }
            Data::Uuid => self.pair("uuid", "true"),
            Data::Variable(name) => {
                self.pair("list", &format!("[{}]", value(&Template::secret(name).written())));
            }
            Data::Csv { file, column, sequential } => {
                self.pair("csv", &value(file));
                if let Some(column) = column {
                    self.pair("column", &value(column));
                }
                if *sequential {
                    self.pair("order", "\"sequential\"");
                }
            }
        }
    }

    fn load(&mut self, load: &Load) {
        if matches!(load, Load::Usual) {
            return;
        }
        self.line("");
        self.line("[load]");
        match load {
            Load::Usual => {}
            Load::Search { start, max, comment } => {
                self.comment(comment);
                self.pair("executor", "\"breakpoint\"");
                self.pair("start", &value(&rate(*start)));
                self.pair("max", &value(&rate(*max)));
            }
            Load::Constant { rate: each, duration: length } => {
                self.pair("executor", "\"constant-arrival-rate\"");
                self.pair("rate", &value(&rate(*each)));
                self.pair("duration", &value(&duration(*length)));
            }
            Load::Ramp { start, stages } => {
                self.pair("executor", "\"ramping-arrival-rate\"");
                self.pair("start_rate", &value(&rate(*start)));
                self.line("stages = [");
                for (target, length, name) in stages {
                    let name = name.as_ref().map_or_else(String::new, |name| {
                        format!("  # {}", name.replace(char::is_control, " "))
                    });
                    let (target, length) = (value(&rate(*target)), value(&duration(*length)));
                    self.line(&format!("    {{ target = {target}, duration = {length} }},{name}"));
                }
                self.line("]");
            }
            Load::Replay { trace, speed } => {
                self.pair("executor", "\"replay\"");
                self.pair("trace", &value(trace));
                self.pair("speed", &number(*speed));
            }
        }
    }

    fn limits(&mut self, load: &Load) {
        let (most, length) = Draft::reach(load);
        if most <= USUAL_MAX_RATE && length <= USUAL_MAX_DURATION {
            return;
        }
        self.line("");
        self.line("[limits]");
        if most > USUAL_MAX_RATE {
            self.pair("max_rate", &value(&rate(most)));
        }
        if length > USUAL_MAX_DURATION {
            self.pair("max_duration", &value(&duration(length.saturating_add(SLACK))));
        }
    }
}

/// A name as plans allow it: no variable and nothing that looks like one.
fn plan_name(name: &str) -> String {
    let odd = |c: char| c.is_control() || "{}$".contains(c);
    let name: String = name.chars().map(|c| if odd(c) { '_' } else { c }).take(100).collect();
    if name.trim().is_empty() { "plan".to_owned() } else { name }
}

/// A text as TOML has it.
fn value(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// A text that takes variables and no values.
fn literal(text: &str) -> String {
    value(&text.replace("${", "$${"))
}

/// A key as TOML has it.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { value(name) }
}

/// A number with a point where it has a fraction.
fn number(number: f64) -> String {
    let mut text = String::new();
    // Writing into a text cannot fail.
    let _written = write!(text, "{}", (number * 1e6).round() / 1e6).is_ok();
    text
}

/// A rate as plans have it: above zero, three digits behind the point.
fn rate(rate: f64) -> String {
    format!("{}/s", number((rate.clamp(0.001, 1e9) * 1e3).round() / 1e3))
}

/// A duration as plans have it: above zero, in milliseconds or longer.
pub(super) fn duration(duration: Duration) -> String {
    let millis = duration.as_millis().max(1);
    match millis {
        _ if millis.is_multiple_of(3_600_000) => format!("{}h", millis / 3_600_000),
        _ if millis.is_multiple_of(60_000) => format!("{}m", millis / 60_000),
        _ if millis.is_multiple_of(1000) => format!("{}s", millis / 1000),
        _ if millis < 1000 => format!("{millis}ms"),
        _ => format!("{}s", millis as f64 / 1e3),
    }
}
