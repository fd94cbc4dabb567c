//! Runs the tests that a rule file carries: makes a recording of the series of a case, and puts the
//! rule before it.

use std::time::Duration;

use crate::diagnose::measure::facts::Facts;
use crate::diagnose::measure::split;
use crate::diagnose::terms::model::Windows;
use crate::diagnose::terms::operand::bare;
use crate::timeline::{
    Kind, Labels, Moment, Point, Selector, Series, SeriesKey, Timeline, Window, names,
};

use super::case::{Amount, Case, Expect};
use super::rule::{Rule, RuleRole};
use super::ruling::{self, RulingKind};

/// Length of one stage of a case.
const STAGE_SECS: f64 = 10.0;
/// Looks in one stage.
const LOOKS: usize = 20;
/// Requests per second of the first stage; the second has twice as many, and so on.
const RATE_STEP: f64 = 100.0;

/// How one case came out.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseOutcome {
    /// Id of the rule.
    pub rule: String,
    /// The situation, in words.
    pub case: String,
    /// Cores of the machine on which it was tried: where it failed, of the first that failed.
    pub cores: u32,
    /// What was expected.
    pub expect: Expect,
    /// What the rule said.
    pub got: Expect,
    /// The conditions as measured, for the message of a failed case.
    pub measured: Vec<String>,
}

impl CaseOutcome {
    /// Whether the rule said what it had to.
    pub fn passed(&self) -> bool {
        self.expect == self.got
    }
}

impl Case {
    /// Puts the case before its rule, on a machine of each number of cores that it names.
    pub fn run(&self, rule: &Rule) -> CaseOutcome {
        let mut outcome = self.run_on(rule, self.cores.first().copied().unwrap_or(1));
        for cores in self.cores.iter().skip(1) {
            if !outcome.passed() {
                break;
            }
            outcome = self.run_on(rule, *cores);
        }
        outcome
    }

    fn run_on(&self, rule: &Rule, cores: u32) -> CaseOutcome {
        let timeline = self.timeline(cores);
        let windows = self.windows();
        let facts = split::with_growth(Facts::of_timeline(&timeline, &windows));
        let rulings = ruling::rule_on(rule, &facts);
        let got = rulings
            .iter()
            .map(|ruling| match ruling.kind {
                RulingKind::Fires if rule.role == RuleRole::Apart && ruling.may_bend() => {
                    Expect::Bends
                }
                RulingKind::Fires => Expect::Fires,
                RulingKind::Possible => Expect::Possible,
                RulingKind::Quiet => Expect::Quiet,
                RulingKind::NoData => Expect::NoData,
            })
            .min_by_key(|expect| match expect {
                Expect::Fires | Expect::Bends => 0,
                Expect::Possible => 1,
                Expect::NoData => 2,
                Expect::Quiet => 3,
            })
            .unwrap_or(Expect::NoData);
        let measured = rulings
            .iter()
            .flat_map(|ruling| ruling.evidence())
            .map(|evidence| {
                let holds = match evidence.holds {
                    Some(true) => "holds",
                    Some(false) => "does not hold",
                    None => "no data",
                };
                format!("{} ({}): {holds}", evidence.text, evidence.bound)
            })
            .collect();
        CaseOutcome {
            rule: rule.id.clone(),
            case: self.name.clone(),
            cores,
            expect: self.expect,
            got,
            measured,
        }
    }

    fn stages(&self) -> usize {
        self.series.iter().map(|(_, values)| values.len()).max().unwrap_or(0)
    }

    fn window(stage: usize) -> Window {
        let begin = Moment::START + Duration::from_secs_f64(STAGE_SECS * stage as f64);
        Window::new(begin, begin + Duration::from_secs_f64(STAGE_SECS))
    }

    fn windows(&self) -> Windows {
        let knee = self.knee.saturating_sub(1);
        Windows {
            baseline: vec![Self::window(0)],
            approach: (1..knee).map(Self::window).collect(),
            knee: vec![Self::window(knee)],
            beyond: (knee + 1..self.stages()).map(Self::window).collect(),
            recovery: Vec::new(),
        }
    }

    /// The series, and an offered load that rises from stage to stage and a throughput that
    /// follows it up to the knee, where the case does not give its own.
    fn timeline(&self, cores: u32) -> Timeline {
        let mut timeline = Timeline::default();
        for (selector, values) in &self.series {
            add(&mut timeline, selector, values, cores);
        }
        let rate = |stage: usize| RATE_STEP * (stage + 1) as f64;
        for (metric, most) in
            [(&names::LOAD_OFFERED, self.stages()), (&names::LOAD_THROUGHPUT, self.knee)]
        {
            let selector = bare(metric);
            if self.series.iter().all(|(given, _)| given.metric != metric.name) {
                let values: Vec<Option<Amount>> = (0..self.stages())
                    .map(|stage| Some(Amount::Plain(rate(stage.min(most - 1)))))
                    .collect();
                add(&mut timeline, &selector, &values, cores);
            }
        }
        timeline
    }
}

/// Adds one series: as it stands for levels, summed up for counters.
fn add(timeline: &mut Timeline, selector: &Selector, values: &[Option<Amount>], cores: u32) {
    let Some(spec) = names::find(&selector.metric) else { return };
    let family = spec.name.split('.').next().unwrap_or(spec.name);
    let step = STAGE_SECS / LOOKS as f64;
    let mut points = Vec::new();
    let mut total = 0.0;
    for (stage, value) in values.iter().enumerate() {
        let Some(value) = value.map(|amount| amount.on(cores)) else { continue };
        for look in 0..LOOKS {
            let begin = Case::window(stage).begin;
            let at = begin + Duration::from_secs_f64(step * (look as f64 + 0.5));
            total += value * step;
            let counter = spec.kind == Kind::Counter;
            points.push(Point { at, value: if counter { total } else { value } });
        }
    }
    let readings = timeline.readings.entry(family.to_owned()).or_default();
    readings.extend(points.iter().map(|point| point.at));
    readings.sort();
    readings.dedup();
    let mut labels = Labels::none();
    for (name, value) in selector.labels.iter() {
        labels = labels.with(name, value);
    }
    let key = SeriesKey::new(spec.name, labels);
    let (unit, kind, collector) = (spec.unit, spec.kind, family.to_owned());
    timeline.series.insert(key, Series { unit, kind, collector, points });
}
