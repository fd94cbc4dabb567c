//! The plan that a converter makes, before it is text.

use std::collections::BTreeSet;
use std::time::Duration;

use super::template::{Template, variable_name};

/// A plan in the making.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// What to check before the plan is run, one sentence each.
    pub(super) comments: Vec<String>,
    /// The plan's name; without one, that of the file.
    pub(super) name: Option<String>,
    /// `http://host:port`; none where the input does not name a target.
    pub(super) url: Option<String>,
    pub(super) timeout: Option<Duration>,
    pub(super) requests: Vec<RequestDraft>,
    pub(super) journeys: Vec<JourneyDraft>,
    /// Steps that run once, before the load and after it.
    pub(super) setup: Vec<StepDraft>,
    pub(super) teardown: Vec<StepDraft>,
    /// By name, in order of their use.
    pub(super) data: Vec<(String, Data)>,
    pub(super) load: LoadDraft,
    /// Several loads side by side, instead of `load`.
    pub(super) scenarios: Vec<ScenarioDraft>,
    /// Metrics, and the conditions of each.
    pub(super) objectives: Vec<(String, Vec<ObjectiveDraft>)>,
}

/// One condition of an objective.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ObjectiveDraft {
    /// Such as `p(95) < 300ms`.
    pub(super) condition: String,
    /// Whether the run ends when it is broken, and not before this time.
    pub(super) abort: Option<Duration>,
}

/// One load of several.
#[derive(Debug)]
pub(super) struct ScenarioDraft {
    pub(super) name: String,
    /// The names of its journeys.
    pub(super) journeys: Vec<String>,
    pub(super) start: Duration,
    pub(super) load: LoadDraft,
}

/// One request, of the mix or of a journey.
#[derive(Clone, Debug, Default)]
pub(super) struct RequestDraft {
    /// What to know about it, one line each.
    pub(super) comments: Vec<String>,
    pub(super) name: String,
    /// For objectives.
    pub(super) tags: Vec<(String, String)>,
    pub(super) weight: Option<f64>,
    pub(super) method: String,
    pub(super) path: Template,
    pub(super) headers: Vec<(String, Template)>,
    pub(super) body: Option<Template>,
    /// Whether it is in the plan only as a comment.
    pub(super) off: bool,
}

/// Steps that one user takes one after the other.
#[derive(Debug, Default)]
pub(super) struct JourneyDraft {
    pub(super) name: String,
    pub(super) weight: Option<f64>,
    pub(super) steps: Vec<StepDraft>,
    /// Whether its users send no cookies back.
    pub(super) no_cookies: bool,
    pub(super) stop_on_failure: bool,
}

/// One step: a request, or a group of steps.
#[derive(Clone, Debug, Default)]
pub(super) struct StepDraft {
    /// `None` for a group.
    pub(super) request: Option<RequestDraft>,
    pub(super) steps: Vec<StepDraft>,
    /// What to know about a group, one line each.
    pub(super) comments: Vec<String>,
    /// Pause after it.
    pub(super) think: Option<Think>,
    pub(super) repeat: Option<u64>,
    /// Share of the journeys that take it.
    pub(super) probability: Option<f64>,
    /// A value of the plan, and the text that it must be.
    pub(super) when: Option<(String, String)>,
    /// Name and where it is found: `json`, `regex`, `header` or `cookie`, with its pattern.
    pub(super) captures: Vec<(String, &'static str, String)>,
    pub(super) statuses: Vec<u16>,
    /// Texts that the body must contain, and regular expressions that it must match.
    pub(super) contains: Vec<String>,
    pub(super) matches: Vec<String>,
    /// Headers that the response must have, and what they hold.
    pub(super) expected: Vec<(String, String)>,
    /// JSONPaths of the response, and the text, number or boolean that must be there.
    pub(super) found: Vec<(String, toml_edit::Value)>,
}

/// How long a user pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Think {
    /// Always the same.
    Fixed(Duration),
    /// Uniform between the two.
    Uniform(Duration, Duration),
    /// Normal, with this mean and standard deviation.
    Normal(Duration, Duration),
}

impl Think {
    /// Two pauses in a row as one: what varies keeps its kind, and two that vary become their mean.
    pub(super) fn and(self, other: Think) -> Think {
        let sum = Duration::saturating_add;
        match (self, other) {
            (Think::Fixed(a), Think::Fixed(b)) => Think::Fixed(sum(a, b)),
            (Think::Fixed(a), Think::Uniform(b, c)) | (Think::Uniform(b, c), Think::Fixed(a)) => {
                Think::Uniform(sum(a, b), sum(a, c))
            }
            (Think::Fixed(a), Think::Normal(b, c)) | (Think::Normal(b, c), Think::Fixed(a)) => {
                Think::Normal(sum(a, b), c)
            }
            (a, b) => Think::Fixed(sum(a.mean(), b.mean())),
        }
    }

    fn mean(self) -> Duration {
        match self {
            Think::Fixed(mean) | Think::Normal(mean, _) => mean,
            Think::Uniform(low, high) => low.saturating_add(high) / 2,
        }
    }

    /// Whether it pauses at all.
    pub(super) fn is_zero(self) -> bool {
        self == Think::Fixed(Duration::ZERO)
    }
}

/// Where the values of a name come from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    /// Whole numbers, both ends included.
    Range(i64, i64),
    /// Whole numbers one after the other, both ends included.
    Sequence(i64, i64),
    /// These texts.
    List(Vec<String>),
    /// A new UUID each time.
    Uuid,
    /// A variable of the environment.
    Variable(String),
    /// A file; its rows where no column is named.
    Csv { file: String, column: Option<String>, order: RowOrder },
}

/// The order in which rows of a file are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum RowOrder {
    #[default]
    Random,
    /// One after the other, from the first again after the last.
    Sequential,
    /// One after the other; the run ends after the last.
    Once,
}

/// The load.
#[derive(Clone, Debug, Default)]
pub(super) enum LoadDraft {
    /// No `[load]`: the plan's default, a search for the breakpoint.
    #[default]
    Unset,
    /// A search for the breakpoint, around rates that the input shows.
    Search { start: f64, max: f64, comment: String },
    /// One rate.
    Constant { rate: f64, duration: Duration },
    /// Rates with a ramp to each: the target and how long the way there takes.
    Ramp { start: f64, stages: Vec<(f64, Duration, Option<String>)> },
    /// One number of virtual users.
    Users { vus: u32, duration: Duration },
    /// Numbers of virtual users with a ramp to each: the target and how long the way there takes.
    RampUsers { start: u32, stages: Vec<(u32, Duration)> },
    /// A number of journeys of each virtual user, or of all together.
    Iterations { vus: u32, iterations: u64, shared: bool, longest: Duration },
    /// Each request at its time.
    Replay { trace: String, speed: f64 },
}

/// Longest time that is accepted.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
/// Shortest time that a plan can have, apart from none.
const SHORTEST: Duration = Duration::from_millis(1);

/// A time as a plan can have it; `None` where it is longer.
pub(super) fn plan_time(time: Duration) -> Option<Duration> {
    (time <= LONGEST).then(|| if time.is_zero() { time } else { time.max(SHORTEST) })
}

/// The same of a number of seconds.
pub(super) fn seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok().and_then(plan_time)
}

impl RequestDraft {
    /// Gives it a tag; one without a text has no place in a plan.
    pub(super) fn tag(&mut self, name: &str, text: &str) {
        let (name, text) =
            (name.replace(char::is_control, " "), text.replace(char::is_control, " "));
        self.tags.retain(|(known, _)| *known != name);
        if !name.trim().is_empty() && !text.trim().is_empty() {
            self.tags.push((name, text));
        }
    }

    /// Whether it has a header of this name, in small letters.
    pub(super) fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, _)| known == name)
    }
}

/// How deep a plan can nest groups of steps.
const DEEPEST: usize = 4;

/// Pauses once after the last of these steps, which stand in `depth` groups; false where there is
/// none. A step that is repeated or left out at times becomes a group, which pauses always and once.
pub(super) fn pause_after(steps: &mut Vec<StepDraft>, think: Think, depth: usize) -> bool {
    let Some(mut last) = steps.pop() else { return false };
    let is_plain = last.repeat.is_none() && last.probability.is_none() && last.when.is_none();
    if !is_plain && depth + last.height() < DEEPEST {
        last = StepDraft { steps: vec![last], ..StepDraft::default() };
    }
    last.pause(think);
    steps.push(last);
    true
}

impl StepDraft {
    /// How many groups stand in each other here.
    fn height(&self) -> usize {
        let inner = self.steps.iter().map(StepDraft::height).max();
        inner.map_or(0, |inner| inner + 1)
    }

    /// Adds a pause after it.
    pub(super) fn pause(&mut self, think: Think) {
        let sum = self.think.map_or(think, |before| before.and(think));
        self.think = (!sum.is_zero()).then_some(sum);
    }

    /// Takes a value from the response, if a plan can find it by this pattern.
    pub(super) fn capture(&mut self, name: &str, kind: &'static str, pattern: &str) {
        self.captures.push((name.to_owned(), kind, pattern.to_owned()));
    }
}

/// Whether a plan can find a value by this pattern: `json`, `regex`, `header` or `cookie`.
pub(super) fn is_pattern(kind: &str, pattern: &str) -> bool {
    match kind {
        "json" => jsonpath_rust::parser::parse_json_path(pattern).is_ok(),
        "regex" => regex::bytes::Regex::new(pattern).is_ok(),
        _ => !pattern.trim().is_empty(),
    }
}

/// A JMESPath as a JSONPath, where it only names fields and places in lists.
pub(super) fn path_of_jmes(path: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.[]".contains(c);
    let is_path = !path.is_empty() && path.chars().all(is_plain);
    let separator = if path.starts_with('[') { "" } else { "." };
    is_path.then(|| format!("${separator}{path}"))
}

impl Draft {
    /// A plan with one scenario that begins at once, and has every journey, needs only a load.
    pub(super) fn settle_scenarios(&mut self) {
        let is_whole = |scenario: &ScenarioDraft| {
            scenario.start.is_zero() && scenario.journeys.len() == self.journeys.len()
        };
        if self.scenarios.len() == 1 && self.scenarios.iter().all(is_whole) {
            self.load = self.scenarios.pop().map_or(LoadDraft::Unset, |scenario| scenario.load);
        }
    }

    /// Adds an objective to those of its metric.
    pub(super) fn objective(&mut self, metric: &str, objective: ObjectiveDraft) {
        match self.objectives.iter_mut().find(|(known, _)| known == metric) {
            Some((_, conditions)) => conditions.push(objective),
            None => self.objectives.push((metric.to_owned(), vec![objective])),
        }
    }

    /// Every request that the plan sends.
    pub(super) fn sent(&self) -> impl Iterator<Item = &RequestDraft> {
        fn of_step<'d>(step: &'d StepDraft, requests: &mut Vec<&'d RequestDraft>) {
            requests.extend(&step.request);
            step.steps.iter().for_each(|inner| of_step(inner, requests));
        }
        let mut requests: Vec<&RequestDraft> =
            self.requests.iter().filter(|request| !request.off).collect();
        let steps = self.journeys.iter().flat_map(|journey| &journey.steps);
        let once = self.setup.iter().chain(&self.teardown);
        once.chain(steps).for_each(|step| of_step(step, &mut requests));
        requests.into_iter()
    }

    /// The texts of every request that may hold values.
    fn texts(&self) -> impl Iterator<Item = &Template> {
        self.sent().flat_map(|request| {
            [&request.path]
                .into_iter()
                .chain(request.headers.iter().map(|(_, text)| text))
                .chain(&request.body)
        })
    }

    /// The names of the values in its texts.
    pub(super) fn used_values(&self) -> BTreeSet<String> {
        self.texts().flat_map(Template::values).map(str::to_owned).collect()
    }

    /// The environment variables that the plan needs, each once.
    pub(super) fn variables(&self) -> Vec<String> {
        let texts = self.texts();
        let mut names: BTreeSet<String> =
            texts.flat_map(Template::variables).map(str::to_owned).collect();
        names.extend(self.data.iter().filter_map(|(_, data)| match data {
            Data::Variable(name) => Some(variable_name(name)),
            _ => None,
        }));
        names.into_iter().collect()
    }
}
