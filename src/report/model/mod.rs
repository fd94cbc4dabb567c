//! The report as a value: every number and sentence that a format shows, computed here and
//! nowhere else. Texts from outside are cleaned of control characters on the way in.

mod beside;
mod curves;
mod findings;
mod grid;
mod overload;
mod panels;
mod recovery;
mod requests;
mod run;
mod soak;
mod stages;
mod trends;
mod verdict;

use serde::Serialize;

pub(super) use curves::{CurvePoint, LayerChart, LayerPoint, LoadCurve};
pub(super) use findings::{EvidenceRow, FindingView, NotCheckedRow, RuledOutRow};
pub(super) use panels::{Ahead, Line, LineStyle, Panel, Quantity, TimeCharts};
pub(super) use recovery::RecoveryTable;
pub(super) use requests::{RequestNumbers, RequestRow};
pub(super) use run::{CollectorRow, EventRow, Fact, Summary};
pub(super) use soak::SoakTable;
pub(super) use stages::{ObjectiveRow, StageTable};
pub(super) use verdict::{Figure, Tone, Verdict};

use super::wording::clean;
use crate::diagnose::Diagnosis;
use crate::recording::{Environment, Recording};

/// All that a report says.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Name of the plan.
    pub(super) title: String,
    pub(super) verdict: Verdict,
    /// The few numbers worth remembering.
    pub(super) figures: Vec<Figure>,
    /// What was run.
    pub(super) run: Vec<Fact>,
    /// Fired rules, the cause first.
    pub(super) findings: Vec<FindingView>,
    pub(super) attribution: Option<AttributionView>,
    /// What became of the levels that load had raised, once it was off.
    pub(super) recovery: Option<RecoveryTable>,
    /// What a long stage says of leaks and drift.
    pub(super) soak: Option<SoakTable>,
    pub(super) stages: StageTable,
    /// What each request and each tag came to; told where there are several.
    pub(super) requests: Vec<RequestRow>,
    pub(super) objectives: Vec<ObjectiveRow>,
    pub(super) ruled_out: Vec<RuledOutRow>,
    pub(super) not_checked: Vec<NotCheckedRow>,
    pub(super) caveats: Vec<String>,
    /// How the generator kept its schedule.
    pub(super) generator: Vec<String>,
    pub(super) collectors: Vec<CollectorRow>,
    /// What all of watching cost, in one sentence; empty where nothing watched.
    pub(super) watching: String,
    pub(super) environment: Vec<Fact>,
    pub(super) events: Vec<EventRow>,
    #[serde(skip)]
    pub(super) time: TimeCharts,
    #[serde(skip)]
    pub(super) curve: Option<LoadCurve>,
    #[serde(skip)]
    pub(super) layers: Vec<LayerChart>,
    #[serde(skip)]
    pub(super) summary: Summary,
    #[serde(skip)]
    pub(super) diagnosis: Diagnosis,
    #[serde(skip)]
    pub(super) machine: Environment,
}

/// Where the response time goes, as a table.
#[derive(Clone, Debug, Serialize)]
pub(super) struct AttributionView {
    /// One sentence on the whole.
    pub headline: String,
    /// The response time at the knee in its parts, in one sentence; empty where it has none.
    pub at_knee: String,
    /// What each part adds, largest first.
    pub growth: Vec<GrowthRow>,
    /// Names of the parts, in the order in which they are stacked.
    pub parts: Vec<String>,
    /// Seconds per request at each offered load, as text; one cell for each of `parts`.
    pub rows: Vec<LoadRow>,
    /// Assumptions that do not hold.
    pub broken_assumptions: Vec<String>,
}

/// One part of the growth of the response time.
#[derive(Clone, Debug, Serialize)]
pub(super) struct GrowthRow {
    pub name: String,
    pub baseline: String,
    pub knee: String,
    pub share: String,
    /// Whether it was measured as nothing at both loads.
    pub is_zero: bool,
    /// Share of the growth in whole percents, 0 to 100, for a bar.
    pub bar: u32,
}

/// The parts of the response time at one offered load, as text.
#[derive(Clone, Debug, Serialize)]
pub(super) struct LoadRow {
    pub offered: String,
    pub response: String,
    pub cells: Vec<String>,
}

impl Report {
    /// Computes every number and sentence of the report.
    pub fn new(recording: &Recording, diagnosis: &Diagnosis) -> Report {
        let summary = Summary::new(recording, diagnosis);
        let title = match clean(&recording.plan.name) {
            name if name.is_empty() => "a run without a name".to_owned(),
            name => name,
        };
        Report {
            title,
            verdict: Verdict::new(diagnosis),
            figures: verdict::figures(diagnosis, &summary),
            run: run::facts(recording, diagnosis, &summary),
            findings: findings::findings(diagnosis),
            attribution: curves::attribution(diagnosis),
            recovery: diagnosis.recovery.as_ref().and_then(RecoveryTable::new),
            soak: diagnosis.soak.as_ref().map(SoakTable::new),
            stages: StageTable::new(diagnosis),
            requests: requests::requests(recording, diagnosis),
            objectives: stages::objectives(diagnosis),
            ruled_out: findings::ruled_out(diagnosis),
            not_checked: findings::not_checked(diagnosis),
            caveats: diagnosis.caveats.iter().map(|text| super::wording::sentence(text)).collect(),
            generator: run::generator(diagnosis),
            collectors: run::collectors(recording, diagnosis),
            watching: run::watching(diagnosis),
            environment: run::environment(recording),
            events: run::events(recording),
            time: TimeCharts::new(recording, diagnosis),
            curve: LoadCurve::new(diagnosis),
            layers: curves::layers(diagnosis),
            summary,
            diagnosis: diagnosis.clone(),
            machine: recording.environment.clone(),
        }
    }
}
