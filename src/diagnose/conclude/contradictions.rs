//! What contradicts an all-clear.
//!
//! `No limit found` and `no leak` are answers that people stop reading at. Each is given only where
//! nothing else that the run shows speaks against it. [`TABLE`] has a row for each thing that does.

use std::fmt;

use crate::diagnose::measure::facts::Facts;
use crate::diagnose::terms::bounds;
use crate::diagnose::terms::invalid::Invalid;
use crate::diagnose::terms::model::{Diagnosis, FindingRole, Outcome, OverloadKind, StageSummary};
use crate::diagnose::terms::operand::{Over, bare};
use crate::diagnose::terms::soak::{ResourceKind, TrendVerdict};
use crate::diagnose::terms::span::Span;
use crate::diagnose::terms::{stats, wording};
use crate::recording::{Recording, StopReason};
use crate::timeline::{Labels, MetricSpec, Selector, Window, names};

/// Share of the offered load from which on it is carried.
const CARRIED: f64 = 0.95;
/// Share of the requests that fail from which on a load is not carried, and how many times what
/// failed at the lowest load.
const FAIL: f64 = bounds::SOME_FAIL.value;
const FAIL_MORE: f64 = 2.0;
/// Share of a canary's requests that may fail, and times and seconds by which it may be slower.
const CANARY_FAILS: f64 = 0.1;
const CANARY_SLOWER: f64 = bounds::STUCK_CANARY.value;
const CANARY_SECONDS: f64 = bounds::STUCK_CANARY_SECONDS.value;
/// Multiple of the response time at low load from which on answers are slow although all arrive. At
/// 90 % of its capacity the queue of an M/M/1 station multiplies every quantile by ten (Kleinrock
/// 1975, section 5.6): at most a tenth more fits in.
const SLOWER: f64 = 10.0;
/// Stages that show what low load is like: as for the knee.
const LOW_STAGES: usize = 3;

/// An answer that says that all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllClear {
    /// The load was carried up to its highest rate.
    NoKnee,
    /// Nothing grows without end.
    NoLeak,
}

/// What a row of the table looks at.
struct Seen<'s> {
    recording: &'s Recording,
    diagnosis: &'s Diagnosis,
    facts: &'s Facts<'s>,
}

/// One row: a name, the answers that it contradicts, and what it saw in words.
struct Row {
    name: &'static str,
    against: &'static [AllClear],
    seen: fn(&Seen) -> Option<String>,
}

const KNEE: &[AllClear] = &[AllClear::NoKnee];
const BOTH: &[AllClear] = &[AllClear::NoKnee, AllClear::NoLeak];

#[rustfmt::skip]
static TABLE: [Row; 11] = [
    Row { name: "the last load", against: KNEE, seen: not_carried },
    Row { name: "failures", against: BOTH, seen: failures },
    Row { name: "slow answers", against: KNEE, seen: slow_answers },
    Row { name: "the end of the run", against: BOTH, seen: ended_early },
    Row { name: "overload", against: KNEE, seen: overload },
    Row { name: "return from overload", against: KNEE, seen: stays_away },
    Row { name: "stages above", against: KNEE, seen: uncounted },
    Row { name: "canaries", against: KNEE, seen: canaries },
    Row { name: "resources", against: KNEE, seen: resources },
    Row { name: "findings", against: KNEE, seen: findings },
    Row { name: "after the load", against: KNEE, seen: still_works },
];

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What contradicts the all-clear that `diagnosis` gives, the most direct first; nothing where it
/// gives none.
pub fn contradictions(recording: &Recording, diagnosis: &Diagnosis, facts: &Facts) -> Vec<String> {
    let given = given(diagnosis);
    let seen = Seen { recording, diagnosis, facts };
    let applies = |row: &&Row| row.against.iter().any(|against| given.contains(against));
    TABLE.iter().filter(applies).filter_map(|row| (row.seen)(&seen)).collect()
}

/// The all-clears that a diagnosis gives.
pub fn given(diagnosis: &Diagnosis) -> Vec<AllClear> {
    let mut given = Vec::new();
    if matches!(diagnosis.outcome, Outcome::NotReached { .. }) {
        given.push(AllClear::NoKnee);
    }
    let is_quiet = |soak: &crate::diagnose::terms::soak::Soak| {
        soak.asked && soak.verdict == crate::diagnose::terms::soak::SoakVerdict::NoLeak
    };
    if diagnosis.soak.as_ref().is_some_and(is_quiet) {
        given.push(AllClear::NoLeak);
    }
    given
}

fn lowest<'s>(seen: &Seen<'s>) -> Option<&'s StageSummary> {
    counted(seen).min_by(|a, b| a.offered.total_cmp(&b.offered))
}

fn highest<'s>(seen: &Seen<'s>) -> Option<&'s StageSummary> {
    counted(seen).max_by(|a, b| a.offered.total_cmp(&b.offered))
}

fn counted<'s>(seen: &Seen<'s>) -> impl Iterator<Item = &'s StageSummary> {
    seen.diagnosis.stages.iter().filter(|stage| stage.counts())
}

/// Whether the load of a stage was answered. In a closed model it is what is answered.
fn is_carried(stage: &StageSummary) -> bool {
    stage.vus.is_some() || stage.goodput >= CARRIED * stage.offered
}

fn not_carried(seen: &Seen) -> Option<String> {
    let top = highest(seen).filter(|stage| !is_carried(stage))?;
    Some(format!(
        "of {} only {} are answered with success",
        wording::rate(top.offered),
        wording::number(top.goodput)
    ))
}

fn failures(seen: &Seen) -> Option<String> {
    let usual = lowest(seen).map_or(0.0, |stage| stage.error_ratio);
    let top = highest(seen)?;
    let is_alone = counted(seen).count() < 2;
    let fails = top.error_ratio > FAIL && (is_alone || top.error_ratio > FAIL_MORE * usual);
    (fails || top.error_ratio > bounds::MOST.value).then(|| {
        format!(
            "{} of the requests fail at {}",
            wording::percent(top.error_ratio),
            wording::rate(top.offered)
        )
    })
}

/// All requests are answered, and half of them far later than at low load: throughput has found no
/// limit, and whoever waits has.
fn slow_answers(seen: &Seen) -> Option<String> {
    let top = highest(seen)?;
    let mut below: Vec<_> = counted(seen).filter(|stage| stage.offered < top.offered).collect();
    below.sort_by(|a, b| a.offered.total_cmp(&b.offered));
    let low = below.iter().filter_map(|stage| stage.response).take(LOW_STAGES);
    let low = stats::median(&low.map(|response| response.p50).collect::<Vec<_>>())?;
    let high = top.response?.p50;
    // What the generator sends late is late by its own doing.
    (low > 0.0 && high > SLOWER * (low + top.lateness_p99)).then(|| {
        format!(
            "half of the responses take {} there, {:.0} times as long as at low load ({})",
            wording::duration(high),
            high / low,
            wording::duration(low)
        )
    })
}

fn ended_early(seen: &Seen) -> Option<String> {
    match &seen.recording.stop.as_ref()?.reason {
        StopReason::ErrorBudget => Some("too many requests failed, and the run ended".to_owned()),
        StopReason::TargetGone(why) => Some(format!("the target went away: {why}")),
        _ => None,
    }
}

fn overload(seen: &Seen) -> Option<String> {
    let overload = seen.diagnosis.overload.as_ref()?;
    let does = match overload.kind {
        OverloadKind::Collapses => "collapses",
        OverloadKind::Loses => "loses throughput",
        _ => return None,
    };
    Some(format!("it {does} under overload, at {}", wording::rate(overload.offered)))
}

fn stays_away(seen: &Seen) -> Option<String> {
    let back = seen.diagnosis.overload.as_ref()?.back.as_ref()?;
    back.after_seconds.is_none().then(|| {
        format!(
            "it does not recover by itself when the load is {} again",
            wording::rate(back.offered)
        )
    })
}

fn uncounted(seen: &Seen) -> Option<String> {
    let top = highest(seen)?.offered;
    let stages = seen.diagnosis.stages.iter();
    // A load that was carried whenever it was held again is as good as the highest that counts.
    let has_passed = |stage: &&StageSummary| matches!(stage.invalid, Some(Invalid::Passed { .. }));
    let above = stages
        .filter(|stage| stage.role.is_measured() && stage.offered > top)
        .filter(|stage| !has_passed(stage));
    let first = above.min_by(|a, b| a.offered.total_cmp(&b.offered))?;
    let why = first.invalid.as_ref()?;
    Some(format!("{} was offered too and does not count: {why}", wording::rate(first.offered)))
}

fn canaries(seen: &Seen) -> Option<String> {
    let level = |metric: &MetricSpec, canary: &str, windows: &[Window]| {
        let labels = Labels::none().with("canary", canary);
        let selector = Selector { labels, ..bare(metric) };
        seen.facts.level_of(&selector, Over::Sum, windows, &[])
    };
    let (low, high) = (seen.facts.windows(Span::Baseline), seen.facts.windows(Span::Knee));
    let all = seen.facts.label_values(&[&bare(&names::CANARY_REQUESTS)], "canary");
    all.iter().find_map(|canary| {
        let requests = level(&names::CANARY_REQUESTS, canary, &high)?;
        let failures = level(&names::CANARY_FAILURES, canary, &high).unwrap_or(0.0);
        let share = failures / requests.max(f64::MIN_POSITIVE);
        if share.is_finite() && share > CANARY_FAILS {
            let share = wording::percent(share.min(1.0));
            return Some(format!("{share} of the requests of the canary `{canary}` fail"));
        }
        let before = level(&names::CANARY_RESPONSE_TIME, canary, &low)?;
        let after = level(&names::CANARY_RESPONSE_TIME, canary, &high)?;
        let is_stuck = after > CANARY_SLOWER * before && after - before > CANARY_SECONDS;
        is_stuck.then(|| {
            let (before, after) = (wording::duration(before), wording::duration(after));
            format!("the canary `{canary}` takes {after} ({before} at low load)")
        })
    })
}

fn resources(seen: &Seen) -> Option<String> {
    let soak = seen.diagnosis.soak.as_ref()?;
    let runs_out = |kind: ResourceKind, verdict: &TrendVerdict| {
        kind.can_run_out() && matches!(verdict, TrendVerdict::Leak | TrendVerdict::Exhausted)
    };
    let trend = soak.trends.iter().find(|trend| runs_out(trend.kind, &trend.verdict))?;
    Some(match trend.verdict {
        TrendVerdict::Exhausted => format!("a resource ran out: {}", trend.name()),
        _ => format!("there is a leak: {}", trend.name()),
    })
}

/// A fault that needs no knee, such as a crash.
fn findings(seen: &Seen) -> Option<String> {
    let apart = seen.diagnosis.findings.iter();
    let mut found = apart.filter(|finding| finding.role == FindingRole::Apart);
    Some(found.next()?.title.clone())
}

/// Work that goes on although nobody waits for it.
fn still_works(seen: &Seen) -> Option<String> {
    let levels = &seen.diagnosis.recovery.as_ref()?.levels;
    let unanswered =
        levels.iter().find(|level| !level.returned && level.what.contains("requests"))?;
    Some(format!("after the load {} stay", unanswered.what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::rules::ruleset::RuleSet;
    use crate::diagnose::simulated::{self, Picture};
    use crate::diagnose::terms::invalid::Invalid;
    use crate::diagnose::terms::model::{
        AfterLoad, Confidence, Finding, Overload, Quantiles, Recovery, Return,
    };
    use crate::diagnose::terms::soak::{Soak, SoakVerdict, Trend};
    use crate::recording::Stop;
    use crate::timeline::{Moment, StageRole, Unit};

    const RATES: [f64; 5] = [20.0, 40.0, 80.0, 120.0, 160.0];

    /// A system that carries all of [`RATES`], with a canary that takes so long at 160.
    fn recorded(canary: f64) -> Recording {
        simulated::record(&RATES, &|rate| Picture {
            goodput: rate,
            failures: Vec::new(),
            response: 0.02,
            levels: vec![
                ("canary.requests{canary=/health}", 2.0),
                ("canary.failures{canary=/health}", 0.0),
                ("canary.response_time{canary=/health}", if rate < 150.0 { 0.001 } else { canary }),
            ],
        })
    }

    fn apart() -> Finding {
        Finding {
            rule: "crashed".to_owned(),
            title: "the target's process crashed".to_owned(),
            subject: None,
            role: FindingRole::Apart,
            confidence: Confidence::High,
            confidence_why: String::new(),
            why: String::new(),
            next: String::new(),
            disproved_by: String::new(),
            evidence: Vec::new(),
            refutations: Vec::new(),
            predicted_capacity: None,
            explains_growth: None,
            counterfactuals: Vec::new(),
            endpoint: None,
            service: None,
            code: Vec::new(),
        }
    }

    fn borne(kind: OverloadKind, back: Option<f64>) -> Overload {
        Overload {
            kind,
            offered: 160.0,
            goodput: 100.0,
            peak_goodput: 160.0,
            response_p50: None,
            failure_p50: None,
            error_ratio: 0.0,
            queue_growth: 0.0,
            back: Some(Return {
                offered: 20.0,
                same_load: true,
                after_seconds: back,
                watched_seconds: 30.0,
            }),
        }
    }

    fn leaking() -> Soak {
        let trend = Trend {
            kind: ResourceKind::Memory,
            verdict: TrendVerdict::Leak,
            resource: "memory".to_owned(),
            subject: None,
            series: "process.memory.anonymous".to_owned(),
            unit: Unit::Bytes,
            window: Window::new(Moment::START, Moment::START),
            readings: 100,
            begin: 1e6,
            level: 9e6,
            limit: None,
            pace: None,
            confirmed_by: None,
            restarts: Vec::new(),
            collections: Vec::new(),
            steps: Vec::new(),
            floors: Vec::new(),
        };
        Soak {
            asked: true,
            verdict: SoakVerdict::Leak,
            rate: 160.0,
            window: Window::new(Moment::START, Moment::START),
            trends: vec![trend],
            not_watched: Vec::new(),
        }
    }

    /// Makes that true which a row of the table looks at.
    fn spoil(row: &str, recording: &mut Recording, diagnosis: &mut Diagnosis) {
        let last = diagnosis.stages.len() - 1;
        let top = &mut diagnosis.stages[last];
        match row {
            "the last load" => top.goodput = 0.6 * top.offered,
            "failures" => top.error_ratio = 0.3,
            "slow answers" => {
                top.response = top.response.map(|it| Quantiles { p50: 16.0 * it.p50, ..it });
            }
            "the end of the run" => {
                let at = recording.timeline.end();
                recording.stop = Some(Stop { at, reason: StopReason::ErrorBudget });
            }
            "overload" => diagnosis.overload = Some(borne(OverloadKind::Collapses, Some(0.0))),
            "return from overload" => {
                diagnosis.overload = Some(borne(OverloadKind::Carried, None));
            }
            "stages above" => {
                let above = simulated::held(StageRole::Ramp, top.window, 240.0);
                let invalid = Some(Invalid::WorkedOff { surplus: 99.0 });
                diagnosis.stages.push(StageSummary { invalid, ..above });
            }
            "canaries" => *recording = recorded(1.0),
            "resources" => diagnosis.soak = Some(leaking()),
            "findings" => diagnosis.findings.push(apart()),
            "after the load" => {
                let level = AfterLoad {
                    what: "requests that the target has not answered".to_owned(),
                    unit: Unit::Count,
                    before: 1.0,
                    peak: 90.0,
                    after: 90.0,
                    returned: false,
                    staying: None,
                };
                diagnosis.recovery = Some(Recovery { seconds: 9.0, levels: vec![level] });
            }
            other => panic!("nothing makes the row `{other}` true"),
        }
    }

    #[test]
    fn each_row_of_the_table_takes_an_all_clear_back() {
        let clean = recorded(0.001);
        let diagnosis = crate::diagnose::diagnose(&clean, RuleSet::builtin());
        assert_eq!(given(&diagnosis), [AllClear::NoKnee], "{diagnosis:#?}");
        assert_eq!(diagnosis.contradictions, [""; 0]);
        for row in &TABLE {
            let (mut recording, mut diagnosis) = (clean.clone(), diagnosis.clone());
            spoil(row.name, &mut recording, &mut diagnosis);
            let facts = Facts::new(&recording, &diagnosis.windows);
            let told = contradictions(&recording, &diagnosis, &facts);
            assert_eq!(told.len(), 1, "{row}: {told:?}");
        }
    }

    #[test]
    fn responses_of_a_busy_but_healthy_system_are_no_contradiction() {
        let recording = recorded(0.001);
        let diagnosis = crate::diagnose::diagnose(&recording, RuleSet::builtin());
        let facts = Facts::new(&recording, &diagnosis.windows);
        let told = |times: f64, late: f64| {
            let mut diagnosis = diagnosis.clone();
            let top = diagnosis.stages.last_mut().unwrap();
            top.response = top.response.map(|it| Quantiles { p50: times * it.p50, ..it });
            top.lateness_p99 = late;
            contradictions(&recording, &diagnosis, &facts)
        };
        assert_eq!(told(8.0, 0.0), [""; 0], "80 % to 90 % of the capacity");
        assert_eq!(told(16.0, 0.02), [""; 0], "the generator was late itself");
        let said = told(16.0, 0.0);
        assert!(said[0].contains("there, 16 times as long as at low load"), "{said:?}");
    }

    #[test]
    fn where_no_all_clear_is_given_nothing_contradicts_one() {
        let recording = recorded(0.001);
        let mut diagnosis = crate::diagnose::diagnose(&recording, RuleSet::builtin());
        diagnosis.outcome = Outcome::Knee;
        diagnosis.findings.push(apart());
        let facts = Facts::new(&recording, &diagnosis.windows);
        assert_eq!(contradictions(&recording, &diagnosis, &facts), [""; 0]);
    }
}
