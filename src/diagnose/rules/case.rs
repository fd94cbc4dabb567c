//! The tests that a rule file carries: a few series in a compact notation, and what the rule has
//! to say of them.

use std::time::Duration;

use crate::diagnose::measure::facts::{Facts, bare};
use crate::diagnose::terms::model::Windows;
use crate::timeline::{
    Kind, Labels, Moment, Point, Selector, Series, SeriesKey, Timeline, Window, names,
};

use super::rule::Rule;
use super::ruling::{self, Verdict};

/// Length of one stage of a case.
const STAGE_SECS: f64 = 10.0;
/// Looks in one stage.
const LOOKS: usize = 20;
/// Requests per second of the first stage; the second has twice as many, and so on.
const RATE_STEP: f64 = 100.0;

/// One test of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The situation, in words.
    pub name: String,
    /// What the rule has to say.
    pub expect: Expect,
    /// Number of the stage, from 1, in which the curve bends.
    pub knee: usize,
    /// Series with a value for each stage; `None` where nothing was read.
    pub series: Vec<(Selector, Vec<Option<f64>>)>,
}

/// What a rule has to say in a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It holds.
    Fires,
    /// It was looked at and does not hold.
    Quiet,
    /// It could not be looked at.
    NoData,
}

impl Expect {
    const ALL: [(Expect, &'static str); 3] =
        [(Expect::Fires, "fires"), (Expect::Quiet, "quiet"), (Expect::NoData, "no-data")];

    /// The one of this name in rule files.
    pub fn find(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, name)| *name == text).map(|(expect, _)| expect)
    }

    /// The name in rule files.
    pub fn key(self) -> &'static str {
        match self {
            Expect::Fires => "fires",
            Expect::Quiet => "quiet",
            Expect::NoData => "no-data",
        }
    }
}

/// How one case came out.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseOutcome {
    /// Id of the rule.
    pub rule: String,
    /// The situation, in words.
    pub case: String,
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

/// Reads promtool's notation: `0.5x3` is a value and three more of it, `1+2x3` is 1 3 5 7,
/// `1-2x3` falls, `_` is nothing and `_x3` nothing three times.
pub(super) fn parse_series(text: &str) -> Result<Vec<Option<f64>>, String> {
    let mut values = Vec::new();
    for item in text.split_whitespace() {
        let fail = || format!("`{item}` is no series; write `0.5`, `0.5x3`, `1+2x3`, `_` or `_x3`");
        let (value, times) = match item.split_once('x') {
            Some((value, times)) => (value, Some(times.parse::<usize>().map_err(|_| fail())?)),
            None => (item, None),
        };
        if value == "_" {
            values.extend(std::iter::repeat_n(None, times.unwrap_or(1)));
            continue;
        }
        let (start, step) = split_step(value).ok_or_else(fail)?;
        values.extend((0..=times.unwrap_or(0)).map(|index| Some(start + step * index as f64)));
    }
    if values.len() > 1000 {
        return Err(format!("{} values are more than a case can need", values.len()));
    }
    Ok(values)
}

/// `1+2` is a start and a step, `1` has the step 0.
fn split_step(text: &str) -> Option<(f64, f64)> {
    if let Ok(value) = text.parse::<f64>() {
        return value.is_finite().then_some((value, 0.0));
    }
    let at = text.char_indices().skip(1).find(|(_, c)| matches!(c, '+' | '-')).map(|(at, _)| at)?;
    let (start, step) = text.split_at(at);
    let step = step.strip_prefix('+').unwrap_or(step);
    Some((start.parse().ok()?, step.parse().ok()?))
}

impl Case {
    /// Puts the case before its rule.
    pub fn run(&self, rule: &Rule) -> CaseOutcome {
        let timeline = self.timeline();
        let windows = self.windows();
        let facts = Facts::of_timeline(&timeline, &windows);
        let rulings = ruling::judge(rule, &facts);
        let got = rulings
            .iter()
            .map(|ruling| match ruling.verdict {
                Verdict::Fires => Expect::Fires,
                Verdict::Quiet => Expect::Quiet,
                Verdict::Possible | Verdict::NoData => Expect::NoData,
            })
            .min_by_key(|expect| match expect {
                Expect::Fires => 0,
                Expect::NoData => 1,
                Expect::Quiet => 2,
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
    fn timeline(&self) -> Timeline {
        let mut timeline = Timeline::default();
        for (selector, values) in &self.series {
            add(&mut timeline, selector, values);
        }
        let rate = |stage: usize| RATE_STEP * (stage + 1) as f64;
        for (metric, most) in
            [(&names::LOAD_OFFERED, self.stages()), (&names::LOAD_THROUGHPUT, self.knee)]
        {
            let selector = bare(metric);
            if self.series.iter().all(|(given, _)| given.metric != metric.name) {
                let values: Vec<Option<f64>> =
                    (0..self.stages()).map(|stage| Some(rate(stage.min(most - 1)))).collect();
                add(&mut timeline, &selector, &values);
            }
        }
        timeline
    }
}

/// Adds one series: as it stands for levels, summed up for counters.
fn add(timeline: &mut Timeline, selector: &Selector, values: &[Option<f64>]) {
    let Some(spec) = names::find(&selector.metric) else { return };
    let family = spec.name.split('.').next().unwrap_or(spec.name);
    let step = STAGE_SECS / LOOKS as f64;
    let mut points = Vec::new();
    let mut total = 0.0;
    for (stage, value) in values.iter().enumerate() {
        let Some(value) = value else { continue };
        for look in 0..LOOKS {
            let begin = Case::window(stage).begin;
            let at = begin + Duration::from_secs_f64(step * (look as f64 + 0.5));
            total += value * step;
            let counter = spec.kind == Kind::Counter;
            points.push(Point { at, value: if counter { total } else { *value } });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notation_is_promtools() {
        let parse = |text: &str| parse_series(text).unwrap();
        assert_eq!(parse("1+2x3"), [1.0, 3.0, 5.0, 7.0].map(Some).to_vec());
        assert_eq!(parse("4-1.5x1 _ 2"), vec![Some(4.0), Some(2.5), None, Some(2.0)]);
        assert_eq!(parse("-1x1 _x2"), vec![Some(-1.0), Some(-1.0), None, None]);
        assert_eq!(parse("1e-3"), vec![Some(0.001)]);
        for bad in ["a", "1x", "1+x2", "1xx2", "nan", "0x5000"] {
            assert!(parse_series(bad).is_err(), "{bad}");
        }
    }
}
