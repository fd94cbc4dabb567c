//! The report as a value: every number and sentence that a format shows, computed here and
//! nowhere else. Texts from outside are cleaned of control characters on the way in.

mod agents;
mod answer;
mod attribution;
mod canaries_and_sessions;
mod capacity;
mod chain;
mod explorer;
mod failures;
mod findings;
mod grid;
mod key_numbers;
mod load_axis;
mod load_curve;
mod logs;
mod overload;
mod panel;
mod recovery;
mod requests;
mod run;
mod seconds;
mod soak;
mod stacks;
mod stages;
mod summary;
mod time_charts;
mod tone;
mod trends;

use serde::Serialize;

pub(super) use answer::{Answer, OutcomeKind};
pub(super) use attribution::{AttributionView, GrowthRow, LayerChart, LayerPoint};
pub(super) use capacity::{CapacityChart, CapacityRow, CapacityView, WantedView};
pub(super) use chain::ChainTable;
pub(super) use explorer::{Explorer, RawLine};
pub(super) use failures::{FailureNumbers, FailureRow};
pub(super) use findings::{
    EvidenceRow, FindingKind, FindingView, Holds, NotCheckedRow, RuledOutRow,
};
pub(super) use key_numbers::KeyNumber;
pub(super) use load_axis::LoadAxis;
pub(super) use load_curve::{CurvePoint, LoadCurve};
pub(super) use logs::{LogNumbers, LogTable};
pub(super) use panel::{Ahead, Line, LineStyle, Panel, Quantity, spreads};
pub(super) use recovery::RecoveryTable;
pub(super) use requests::{RequestNumbers, RequestRow};
pub(crate) use run::ended_because;
pub(super) use run::{CollectorRow, EventRow, Fact};
pub(super) use seconds::{BOUNDS, EndpointTotal, SecondRow, Seconds, Times};
pub(super) use soak::{SoakTable, Speaks, TrendKind};
pub(super) use stacks::{Flame, FlameBox, FlameChange, StacksView};
pub(super) use stages::{ObjectiveRow, StageTable};
pub(super) use summary::{Summary, started};
pub(super) use time_charts::{SpanKind, TimeCharts};
pub(super) use tone::Tone;

use super::wording::clean;
use crate::diagnose::Diagnosis;
use crate::recording::{Environment, Recording};

/// All that a report says.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Name of the plan.
    pub(super) title: String,
    pub(super) answer: Answer,
    /// The few numbers worth remembering.
    pub(super) key_numbers: Vec<KeyNumber>,
    /// What was run.
    pub(super) run: Vec<Fact>,
    /// Fired rules, the cause first.
    pub(super) findings: Vec<FindingView>,
    pub(super) attribution: Option<AttributionView>,
    /// The services behind the target.
    pub(super) chain: Option<ChainTable>,
    /// How much each resource carries.
    pub(super) capacity: Option<CapacityView>,
    /// What became of the levels that load had raised, once it was off.
    pub(super) recovery: Option<RecoveryTable>,
    /// Where threads stand in the code, and what uses the processor.
    pub(super) stacks: Option<StacksView>,
    /// What a long stage says of leaks and drift.
    pub(super) soak: Option<SoakTable>,
    pub(super) stages: StageTable,
    /// What each request and each tag came to; told where there are several.
    pub(super) requests: Vec<RequestRow>,
    /// What failed requests got, in the words of who answered.
    pub(super) failures: Vec<FailureRow>,
    /// What the logs said at the knee and not at low load.
    pub(super) logs: Option<LogTable>,
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
    pub(super) explorer: Explorer,
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
    /// The run second by second, where a format asks for it.
    #[serde(skip)]
    pub(super) seconds: Option<Seconds>,
}

impl Report {
    /// Computes every number and sentence of the report.
    pub fn new(recording: &Recording, diagnosis: &Diagnosis) -> Report {
        let summary = Summary::new(recording, diagnosis);
        let title = match clean(&recording.plan.name) {
            name if name.is_empty() => "a run without a name".to_owned(),
            name => name,
        };
        let curve = LoadCurve::new(diagnosis);
        Report {
            title,
            capacity: CapacityView::of_run(diagnosis.headroom.as_ref(), curve.as_ref()),
            answer: Answer::new(diagnosis),
            key_numbers: key_numbers::key_numbers(diagnosis, &summary),
            run: run::facts(recording, diagnosis, &summary),
            findings: findings::findings(diagnosis),
            attribution: attribution::attribution(diagnosis),
            chain: diagnosis.chain.as_ref().and_then(ChainTable::new),
            recovery: diagnosis.recovery.as_ref().and_then(RecoveryTable::new),
            stacks: StacksView::new(diagnosis),
            soak: diagnosis.soak.as_ref().map(SoakTable::new),
            stages: StageTable::new(diagnosis),
            requests: requests::requests(recording, diagnosis),
            failures: failures::failures(recording, diagnosis),
            logs: logs::logs(recording, diagnosis),
            objectives: stages::objectives(diagnosis),
            ruled_out: findings::ruled_out(diagnosis),
            not_checked: findings::not_checked(diagnosis),
            caveats: diagnosis.caveats.iter().map(|text| super::wording::sentence(text)).collect(),
            generator: run::generator(diagnosis),
            collectors: run::collectors(recording, diagnosis),
            watching: run::watching(recording, diagnosis, &summary),
            environment: run::environment(recording),
            events: run::events(recording),
            time: TimeCharts::new(recording, diagnosis),
            explorer: Explorer::new(recording, diagnosis),
            curve,
            layers: attribution::layers(diagnosis),
            summary,
            diagnosis: diagnosis.clone(),
            machine: recording.environment.clone(),
            seconds: None,
        }
    }

    /// The answer in one sentence.
    pub fn headline(&self) -> &str {
        &self.answer.headline
    }

    /// The findings in short, the most important first: what, what it is to the knee, how sure.
    pub fn findings_in_short(&self) -> impl Iterator<Item = (&str, &str, String)> {
        let short = |finding: &FindingView| finding.confidence.to_string();
        self.findings.iter().map(move |it| (it.title.as_str(), it.role.as_str(), short(it)))
    }

    /// The same with the run second by second.
    pub fn with_seconds(self, recording: &Recording) -> Report {
        Report { seconds: Some(Seconds::new(recording)), ..self }
    }
}
