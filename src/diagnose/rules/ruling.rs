//! Rule × facts → whether it fires, is quiet or has no data, with the measured value of every
//! condition. Logic has three values: what has no data neither holds nor fails.

use std::collections::BTreeSet;

use crate::diagnose::leaks::growth;
use crate::diagnose::measure::facts::{Facts, Narrow};
use crate::diagnose::measure::signal::{Measured, Signal};
use crate::diagnose::terms::growth::Growth;
use crate::diagnose::terms::measure::Measure;
use crate::diagnose::terms::model::Evidence;
use crate::diagnose::terms::span::Span;
use crate::diagnose::terms::wording;
use crate::timeline::Unit;

use super::rule::{Bound, Check, Condition, Predict, PredictLimit, Rule, RuleRole, Test};

/// What one rule comes to on one subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RulingKind {
    /// All that is required holds and nothing refutes it.
    Fires,
    /// Its symptom holds and nothing speaks against it; the rest has no data.
    Possible,
    /// Something required does not hold, or something refutes it.
    Quiet,
    /// Something required has no data.
    NoData,
}

/// What one rule comes to on one subject, with all that was measured for it.
#[derive(Clone, Debug)]
pub struct Ruling<'r> {
    /// The rule.
    pub rule: &'r Rule,
    /// The label value it is about.
    pub subject: Option<String>,
    /// What came out.
    pub kind: RulingKind,
    /// What had to hold.
    pub require: Vec<MeasuredCondition<'r>>,
    /// What adds evidence.
    pub support: Vec<MeasuredCondition<'r>>,
    /// What would rule it out.
    pub refute: Vec<MeasuredCondition<'r>>,
    /// What makes a fault apart one that bends the curve.
    pub bends: Vec<MeasuredCondition<'r>>,
    /// Highest throughput that follows from the conditions that hold.
    pub predicted: Option<f64>,
    /// Share of the growth of the response time that the fault accounts for.
    pub explains: Option<f64>,
    /// Share of that growth that no part explains; it may be the queue that this fault causes.
    pub unexplained: f64,
}

/// One condition as measured.
#[derive(Clone, Debug)]
pub struct MeasuredCondition<'r> {
    /// The condition.
    pub condition: &'r Condition,
    /// Whether it holds; `None` without data.
    pub holds: Option<bool>,
    /// Each test in it, those that decided.
    pub evidence: Vec<Evidence>,
    /// How many different witnesses say so, where several can.
    pub witnesses: usize,
    /// The label value that it was measured for, of the first test that was measured for one.
    pub of: Option<String>,
    /// The capacity that follows where it holds.
    predicted: Option<f64>,
}

/// Checks a rule: once, or once for each subject where it names a label.
pub fn rule_on<'r>(rule: &'r Rule, facts: &Facts) -> Vec<Ruling<'r>> {
    let subjects = rule.subject_by.as_deref().map_or_else(Vec::new, |label| {
        let selectors: Vec<_> =
            rule.tests().into_iter().flat_map(|(_, test)| test.signal.selectors()).collect();
        let mut subjects = facts.label_values(&selectors, label);
        // Rules of their own cover the wait for a database that is watched.
        subjects.retain(|peer| !(facts.database_is_watched() && facts.is_database(peer)));
        subjects
    });
    if subjects.is_empty() {
        let is_told_elsewhere = rule.subject_by.as_deref() == Some("peer")
            && facts.database_is_watched()
            && facts.knows_databases();
        // Not `None`: without a name the calls to the database itself would count.
        let nobody = is_told_elsewhere.then(|| "another service".to_owned());
        return vec![rule_on_one(rule, facts, nobody)];
    }
    subjects.into_iter().map(|subject| rule_on_one(rule, facts, Some(subject))).collect()
}

fn rule_on_one<'r>(rule: &'r Rule, facts: &Facts, subject: Option<String>) -> Ruling<'r> {
    let narrow: Vec<Narrow> = rule
        .subject_by
        .iter()
        .zip(&subject)
        .map(|(label, value)| Narrow { label: label.clone(), value: value.clone() })
        .collect();
    let all = |conditions: &'r [Condition]| -> Vec<MeasuredCondition<'r>> {
        conditions.iter().map(|condition| measure(condition, facts, &narrow)).collect()
    };
    let (require, support, refute) = (all(&rule.require), all(&rule.support), all(&rule.refute));
    let bends = all(&rule.bends);
    let kind = kind_of(&require, &refute);
    let predicted =
        require.iter().chain(&support).filter_map(|judged| judged.predicted).reduce(f64::min);
    let explains =
        if rule.explains.is_empty() { None } else { facts.share(&rule.explains, &narrow) };
    let unexplained = facts.growth().map_or(1.0, Growth::unexplained);
    Ruling {
        rule,
        subject,
        kind,
        require,
        support,
        refute,
        bends,
        predicted,
        explains,
        unexplained,
    }
}

fn kind_of(require: &[MeasuredCondition], refute: &[MeasuredCondition]) -> RulingKind {
    let refuted = refute.iter().any(|judged| judged.holds == Some(true));
    if refuted || require.iter().any(|judged| judged.holds == Some(false)) {
        return RulingKind::Quiet;
    }
    let missing = |judged: &MeasuredCondition| judged.holds.is_none() && !judged.condition.optional;
    if require.iter().any(missing) {
        let symptom =
            require.iter().any(|judged| judged.condition.symptom && judged.holds == Some(true));
        return if symptom { RulingKind::Possible } else { RulingKind::NoData };
    }
    // Nothing but optional conditions without data is no evidence at all.
    if require.iter().all(|judged| judged.holds.is_none()) {
        return RulingKind::NoData;
    }
    RulingKind::Fires
}

impl Ruling<'_> {
    /// Everything measured, in the order of the rule file.
    pub fn evidence(&self) -> Vec<Evidence> {
        let groups = [&self.require, &self.support, &self.refute];
        groups.into_iter().flatten().flat_map(|judged| judged.evidence.clone()).collect()
    }

    /// The conditions that decided against it.
    pub fn because(&self) -> Vec<Evidence> {
        let failed = self.require.iter().filter(|judged| judged.holds == Some(false));
        let refuted = self.refute.iter().filter(|judged| judged.holds == Some(true));
        failed.chain(refuted).flat_map(|judged| judged.evidence.clone()).collect()
    }

    /// The signals that have no data and are required.
    pub fn missing(&self) -> Vec<String> {
        let signals: BTreeSet<String> = self
            .require
            .iter()
            .filter(|judged| judged.holds.is_none() && !judged.condition.optional)
            .flat_map(|judged| &judged.evidence)
            .filter(|evidence| evidence.holds.is_none())
            .map(|evidence| evidence.signal.clone())
            .collect();
        signals.into_iter().collect()
    }

    /// Whether the fault may have bent the curve: its rule says so, or what it did to the load.
    pub fn may_bend(&self) -> bool {
        let all_hold = || self.bends.iter().all(|judged| judged.holds == Some(true));
        match self.rule.role {
            RuleRole::Limit => true,
            RuleRole::Apart => !self.bends.is_empty() && all_hold(),
            RuleRole::Gate => false,
        }
    }

    /// How many required conditions hold.
    pub fn met(&self) -> usize {
        self.require.iter().filter(|judged| judged.holds == Some(true)).count()
    }
}

fn measure<'r>(
    condition: &'r Condition,
    facts: &Facts,
    narrow: &[Narrow],
) -> MeasuredCondition<'r> {
    let of;
    let (holds, evidence, witnesses, mut predicted) = match &condition.check {
        Check::Test(test) => {
            let (evidence, measured_for) = measure_test(test, facts, narrow);
            of = measured_for;
            (evidence.holds, vec![evidence], 1, None)
        }
        Check::Any(inner) => {
            let judged: Vec<MeasuredCondition> =
                inner.iter().map(|condition| measure(condition, facts, narrow)).collect();
            let holds = if judged.iter().any(|judged| judged.holds == Some(true)) {
                Some(true)
            } else if judged.iter().any(|judged| judged.holds == Some(false)) {
                Some(false)
            } else {
                None
            };
            let deciding: Vec<&MeasuredCondition> =
                judged.iter().filter(|judged| judged.holds == holds).collect();
            let evidence = deciding.iter().flat_map(|judged| judged.evidence.clone()).collect();
            of = deciding.iter().find_map(|judged| judged.of.clone());
            // The first witness that holds is the most direct one: its capacity counts.
            let predicted = deciding.iter().find_map(|judged| judged.predicted);
            (holds, evidence, families(&deciding), predicted)
        }
        Check::All(inner) => {
            let judged: Vec<MeasuredCondition> =
                inner.iter().map(|condition| measure(condition, facts, narrow)).collect();
            let counts =
                |judged: &&MeasuredCondition| judged.holds.is_some() || !judged.condition.optional;
            let holds = if judged.iter().any(|judged| judged.holds == Some(false)) {
                Some(false)
            } else if judged.iter().filter(counts).any(|judged| judged.holds.is_none()) {
                None
            } else {
                Some(true)
            };
            let evidence = judged
                .iter()
                .filter(|judged| holds != Some(false) || judged.holds == Some(false))
                .filter(counts)
                .flat_map(|judged| judged.evidence.clone())
                .collect();
            of = judged.iter().find_map(|judged| judged.of.clone());
            let predicted = judged.iter().find_map(|judged| judged.predicted);
            (holds, evidence, 1, predicted)
        }
    };
    if holds == Some(true) {
        let own = condition.predict.as_ref().and_then(|rule| predict(rule, facts, narrow));
        predicted = own.or(predicted);
    } else {
        predicted = None;
    }
    MeasuredCondition { condition, holds, evidence, witnesses, of, predicted }
}

/// Witnesses count as different where they come from different families of metrics.
fn families(judged: &[&MeasuredCondition]) -> usize {
    let families: BTreeSet<&str> = judged
        .iter()
        .filter_map(|judged| judged.evidence.first())
        .map(|evidence| evidence.signal.split('.').next().unwrap_or_default())
        .collect();
    families.len()
}

/// What a signal comes to; `None` without data.
fn measure_signal(
    signal: &Signal,
    facts: &Facts,
    span: Span,
    narrow: &[Narrow],
) -> Option<Measured> {
    match signal {
        Signal::Leak(selector) => growth::fastest(facts, selector, narrow).map(Measured::plain),
        signal => signal.measure(facts, span, narrow),
    }
}

/// The evidence of a test, and the label value that it was measured for, where it is one.
fn measure_test(test: &Test, facts: &Facts, narrow: &[Narrow]) -> (Evidence, Option<String>) {
    let measured = measure_signal(&test.signal, facts, test.span, narrow);
    let comparable = !matches!(
        test.signal,
        Signal::Growth(_)
            | Signal::AtATime(_)
            | Signal::Pinned(_)
            | Signal::Rise(_)
            | Signal::Spread(_)
            | Signal::Fixed(..)
            | Signal::Burst(_)
            | Signal::Share(_)
            | Signal::HeldShare(_)
            | Signal::Changes(_)
            | Signal::Silent(_)
            | Signal::Leak(_)
    );
    let baseline = (comparable && test.span != Span::Baseline)
        .then(|| test.signal.measure(facts, Span::Baseline, narrow))
        .flatten();
    let holds = measured
        .as_ref()
        .map(|measured| test.bounds.iter().all(|bound| bound.holds(measured.value)));
    let windows = facts.windows(test.span);
    let series: BTreeSet<String> = test
        .signal
        .selectors()
        .into_iter()
        .flat_map(|selector| facts.series_names(selector, &windows, narrow))
        .collect();
    let of = measured.as_ref().and_then(|measured| measured.of.clone());
    let evidence = Evidence {
        text: sentence(test, measured.as_ref(), baseline.as_ref(), narrow),
        signal: test.signal.to_string(),
        window: test.span.key().to_owned(),
        value: measured.map(|measured| measured.value),
        baseline: baseline.map(|measured| measured.value),
        bound: test.bounds.iter().map(Bound::to_string).collect::<Vec<_>>().join(" and "),
        unit: test.signal.measure_unit().unit(),
        holds,
        series: series.into_iter().collect(),
    };
    (evidence, of)
}

/// How a condition says that one level is a part of another, so that it cannot be more.
const PART_OF_WHOLE: [&str; 3] = ["{a} of {b}", "{a} of the {b}", "{a} of all {b}"];

/// The sentence of a test with its numbers filled in. A part is never told as more than its whole.
fn sentence(
    test: &Test,
    measured: Option<&Measured>,
    baseline: Option<&Measured>,
    narrow: &[Narrow],
) -> String {
    let Some(measured) = measured else {
        return format!("no data for `{}`", test.signal);
    };
    let unit = test.signal.measure_unit();
    let (above, below) = test.signal.level_units();
    let of = measured
        .of
        .clone()
        .or_else(|| narrow.first().map(|narrow| narrow.value.clone()))
        .filter(|of| !of.is_empty())
        .unwrap_or_else(|| "it".to_owned());
    let (mut a, b) = measured.levels.unwrap_or((measured.value, measured.value));
    let is_part = PART_OF_WHOLE.iter().any(|words| test.says.contains(words));
    if is_part && above == below {
        // Two collectors look at two moments, and some things are counted that do not belong.
        a = a.min(b);
    }
    let value = match unit {
        Measure::In(Unit::Ratio) if measured.value > 1.0 && test.says.contains("{value} of") => {
            "all".to_owned()
        }
        _ => wording::measured(measured.value, unit),
    };
    let baseline = baseline
        .map_or_else(|| "unknown".to_owned(), |baseline| wording::measured(baseline.value, unit));
    test.says
        .replace("{value}", &value)
        .replace("{a}", &wording::measured(a, above))
        .replace("{b}", &wording::measured(b, below))
        .replace("{baseline}", &baseline)
        .replace("{of}", &of)
}

/// The utilization law: the limit divided by what one request keeps busy, taken where nothing is
/// saturated yet.
fn predict(rule: &Predict, facts: &Facts, narrow: &[Narrow]) -> Option<f64> {
    let demand = [Span::Approach, Span::Knee].into_iter().find_map(|span| {
        Signal::PerRequest(rule.busy.clone())
            .measure(facts, span, narrow)
            .filter(|measured| measured.value > 0.0)
    })?;
    let limit = match &rule.limit {
        PredictLimit::Fixed(limit) => *limit,
        PredictLimit::Measured(operand) => {
            Signal::Value(operand.clone()).measure(facts, Span::Knee, narrow)?.value
        }
        PredictLimit::Pinned => {
            Signal::Pinned(rule.busy.clone()).measure(facts, Span::Knee, narrow)?.value
        }
    };
    (limit > 0.0).then(|| limit / demand.value)
}
