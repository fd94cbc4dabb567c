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
    /// By name, in order of their use.
    pub(super) data: Vec<(String, Data)>,
    pub(super) load: LoadDraft,
}

/// One request, of the mix or of a journey.
#[derive(Clone, Debug, Default)]
pub(super) struct RequestDraft {
    /// What to know about it, one line each.
    pub(super) comments: Vec<String>,
    pub(super) name: String,
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
}

/// One step: a request, or a group of steps.
#[derive(Debug, Default)]
pub(super) struct StepDraft {
    /// `None` for a group.
    pub(super) request: Option<RequestDraft>,
    pub(super) steps: Vec<StepDraft>,
    /// Pause after it.
    pub(super) think: Option<Duration>,
    pub(super) repeat: Option<u64>,
    /// Name and where it is found: `json`, `regex`, `header` or `cookie`, with its pattern.
    pub(super) captures: Vec<(String, &'static str, String)>,
    pub(super) statuses: Vec<u16>,
    /// Headers that the response must have, and what they hold.
    pub(super) expected: Vec<(String, String)>,
    /// JSONPaths of the response, and the text, number or boolean that must be there.
    pub(super) found: Vec<(String, toml_edit::Value)>,
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
    /// Each request at its time.
    Replay { trace: String, speed: f64 },
}

impl Draft {
    /// The environment variables that the plan needs, each once.
    pub(super) fn variables(&self) -> Vec<String> {
        fn of_step<'d>(step: &'d StepDraft, requests: &mut Vec<&'d RequestDraft>) {
            requests.extend(&step.request);
            step.steps.iter().for_each(|inner| of_step(inner, requests));
        }
        let mut requests: Vec<&RequestDraft> =
            self.requests.iter().filter(|request| !request.off).collect();
        let steps = self.journeys.iter().flat_map(|journey| &journey.steps);
        steps.for_each(|step| of_step(step, &mut requests));
        let texts = requests.into_iter().flat_map(|request| {
            [&request.path]
                .into_iter()
                .chain(request.headers.iter().map(|(_, text)| text))
                .chain(&request.body)
        });
        let mut names: BTreeSet<String> =
            texts.flat_map(Template::variables).map(str::to_owned).collect();
        names.extend(self.data.iter().filter_map(|(_, data)| match data {
            Data::Variable(name) => Some(variable_name(name)),
            _ => None,
        }));
        names.into_iter().collect()
    }
}
