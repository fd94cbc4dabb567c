//! What one run came to: its stages second by second, and what its diagnosis says. The recording
//! is not needed after this.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::limits::{self, Pool};
use super::model::{Measure, RunFacts};
use super::resources::{self, Measured};
use super::tally::Counts;
use crate::diagnose::{Diagnosis, FindingRole, Outcome, StageParts, StageSummary, wording};
use crate::recording::{Environment, PlanSummary, Recording};
use crate::timeline::{LoadTick, Window};

/// A stage that answers less than this share of what is offered lies beyond the knee, wherever the
/// knee was found: the share with which `diagnose` tells the same.
const FOLLOWS: f64 = 0.95;

/// Places on the grid of the histograms, at most: 128 for each power of two of microseconds.
const PLACES: u32 = 128 * u64::BITS;

/// What one run came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    pub(super) name: String,
    /// The sitting in which it was made, if somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<String>,
    pub(super) plan: PlanSummary,
    pub(super) environment: Environment,
    /// Why its numbers may say nothing of the target.
    pub(super) trouble: Option<String>,
    pub(super) knee: Option<Bracket>,
    pub(super) capacity: Option<Bracket>,
    /// Names of the requests; slots refer to them by index.
    pub(super) endpoints: Vec<String>,
    pub(super) stages: Vec<StageSample>,
    pub(super) causes: Vec<Cause>,
    /// The target's pools by what their places are and by their name.
    #[serde(default, with = "pairs")]
    pub(super) pools: BTreeMap<(String, String), Pool>,
    /// The plan's objectives that something was measured of, by their text.
    #[serde(default)]
    pub(super) objectives: Vec<String>,
    pub(super) restarts: u64,
    pub(super) seconds: f64,
}

/// A rate that lies between two others.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Bracket {
    pub(super) rate: f64,
    pub(super) low: f64,
    /// `None` where the run did not reach it.
    pub(super) high: Option<f64>,
}

/// On which side of the knee a stage lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Regime {
    Below,
    /// Within the interval of the knee.
    At,
    Beyond,
}

/// A stage that counts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StageSample {
    /// Offered load in requests per second; of virtual users their number.
    pub(super) load: f64,
    pub(super) is_closed: bool,
    pub(super) offered: f64,
    pub(super) throughput: f64,
    pub(super) regime: Regime,
    pub(super) slot_seconds: f64,
    pub(super) slots: Vec<Slot>,
    #[serde(with = "pairs")]
    pub(super) resources: BTreeMap<Measure, Measured>,
    pub(super) memory_floor: Option<f64>,
    /// Seconds of processor time that kneepoint itself took for a request.
    #[serde(default)]
    pub(super) own_cpu: Option<f64>,
    pub(super) parts: Option<StageParts>,
    /// The objectives that it breaks, by their text.
    #[serde(default)]
    pub(super) broken: Vec<String>,
}

/// One tick, usually a second, of all generators; the requests by index of their name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Slot {
    pub(super) requests: Vec<Requests>,
}

/// What the requests of one name came to in a slot.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Requests {
    pub(super) completed: u64,
    pub(super) failed: u64,
    /// Response times of those that succeeded.
    pub(super) times: Counts,
}

/// A rule that the diagnosis names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Cause {
    pub(super) rule: String,
    pub(super) title: String,
    pub(super) code: Vec<String>,
}

impl Sample {
    /// Whether no load of the run counts, so that it says nothing of its build.
    pub fn is_void(&self) -> bool {
        self.stages.is_empty()
    }

    /// Why its numbers may say nothing of the target.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Takes from a recording and its diagnosis what a comparison needs.
    pub fn of(name: &str, recording: &Recording, diagnosis: &Diagnosis) -> Self {
        let timeline = &recording.timeline;
        let knee = match (&diagnosis.knee, &diagnosis.outcome) {
            (Some(knee), _) => {
                Some(Bracket { rate: knee.rate, low: knee.low, high: Some(knee.high) })
            }
            (None, Outcome::NotReached { proven_rate: rate }) => {
                Some(Bracket { rate: *rate, low: *rate, high: None })
            }
            _ => None,
        };
        let capacity = diagnosis.capacity.map(|capacity| Bracket {
            rate: capacity.bad.map_or(capacity.good, |bad| (capacity.good * bad).sqrt()),
            low: capacity.good,
            high: capacity.bad,
        });
        let mut sample = Self {
            name: name.to_owned(),
            session: None,
            plan: recording.plan.clone(),
            environment: recording.environment.clone(),
            trouble: trouble(&diagnosis.outcome),
            knee,
            capacity,
            endpoints: Vec::new(),
            stages: Vec::new(),
            causes: causes(diagnosis),
            pools: limits::pools(timeline),
            objectives: objectives(diagnosis),
            restarts: resources::restarts(timeline),
            seconds: timeline.end().secs(),
        };
        let counted = diagnosis.stages.iter().filter(|stage| stage.counts());
        for stage in counted.filter(|stage| stage.offered > 0.0) {
            let taken = sample.stage(recording, diagnosis, stage);
            sample.stages.extend(taken);
        }
        sample
    }

    /// The same, made in this sitting. Runs of several sittings count as one for each.
    pub fn in_session(self, session: &str) -> Self {
        Self { session: Some(session.to_owned()), ..self }
    }

    /// The same under another name.
    pub fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// The plan of the run.
    pub fn plan(&self) -> &PlanSummary {
        &self.plan
    }

    /// Where and when the run was made.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The same with at most so many slots, each of several of those before: a summary to keep.
    pub fn condensed(mut self, most: usize) -> Self {
        let all: usize = self.stages.iter().map(|stage| stage.slots.len()).sum();
        let each = all.div_ceil(most.max(1)).max(1);
        for stage in &mut self.stages {
            stage.condense(each);
        }
        self
    }

    /// What no run can have come to, of a sample that was read from a file; `None` where all is
    /// well.
    pub fn flaw(&self) -> Option<&'static str> {
        let slots = || self.stages.iter().flat_map(|stage| &stage.slots);
        let requests = || slots().flat_map(|slot| &slot.requests);
        let is_rate = |rate: f64| rate.is_finite() && rate >= 0.0;
        let has_rates = |stage: &StageSample| {
            [stage.load, stage.offered, stage.throughput].into_iter().all(is_rate)
        };
        let is_bracket = |bracket: &Bracket| bracket.low > 0.0 && bracket.rate >= bracket.low;
        match () {
            () if self.stages.iter().any(|stage| stage.slot_seconds <= 0.0) => {
                Some("a slot lasts no time")
            }
            () if !self.stages.iter().all(has_rates) => Some("a rate is below zero"),
            () if slots().any(|slot| slot.requests.len() > self.endpoints.len()) => {
                Some("requests have no name")
            }
            () if requests().any(|it| it.failed > it.completed) => {
                Some("more requests failed than there were")
            }
            () if requests().flat_map(|it| &it.times).any(|(place, _)| *place >= PLACES) => {
                Some("a response time is longer than any")
            }
            () if !self.knee.iter().chain(&self.capacity).all(is_bracket) => {
                Some("a knee lies outside its interval")
            }
            () => None,
        }
    }

    /// What a report says of the run.
    pub(super) fn facts(&self) -> RunFacts {
        RunFacts {
            name: self.name.clone(),
            started_unix: self.environment.started_unix,
            knee: self.knee.filter(|knee| knee.high.is_some()).map(|knee| knee.rate),
            causes: self.causes.iter().map(|cause| cause.rule.clone()).collect(),
        }
    }

    fn stage(
        &mut self,
        recording: &Recording,
        diagnosis: &Diagnosis,
        stage: &StageSummary,
    ) -> Option<StageSample> {
        let timeline = &recording.timeline;
        let slots = self.slots(timeline.ticks_within(stage.window));
        if slots.is_empty() {
            return None;
        }
        let held = timeline.stages.iter().find(|held| held.window.contains(stage.window.middle()));
        let closed = stage.vus.filter(|_| held.is_some_and(|held| held.is_closed()));
        let parts = diagnosis.attribution.iter().flat_map(|attribution| &attribution.stages);
        let parts = parts.into_iter().find(|parts| parts.offered == stage.offered).cloned();
        let mut resources = resources::per_request(timeline, stage.window);
        if let Some(database) = parts.as_ref().and_then(database) {
            resources.insert(Measure::DatabasePerRequest, database);
        }
        Some(StageSample {
            load: closed.unwrap_or(stage.offered),
            is_closed: closed.is_some(),
            offered: stage.offered,
            throughput: stage.throughput,
            regime: self.regime(stage),
            slot_seconds: seconds_of(stage.window) / slots.len() as f64,
            slots,
            resources,
            memory_floor: resources::memory_floor(timeline, stage.window),
            own_cpu: resources::own_cpu(timeline, stage.window)
                .filter(|_| recording.environment.target_is_local),
            parts,
            broken: stage.broken_objectives.clone(),
        })
    }

    fn regime(&self, stage: &StageSummary) -> Regime {
        let knee = self.knee.and_then(|knee| Some((knee.low, knee.high?)));
        match knee {
            _ if stage.throughput < FOLLOWS * stage.offered => Regime::Beyond,
            Some((_, high)) if stage.offered > high => Regime::Beyond,
            Some((low, _)) if stage.offered >= low => Regime::At,
            _ => Regime::Below,
        }
    }

    fn slots<'t>(&mut self, ticks: impl Iterator<Item = &'t LoadTick>) -> Vec<Slot> {
        let mut slots: BTreeMap<u64, Slot> = BTreeMap::new();
        for tick in ticks {
            // Ticks of several generators share a second, not its exact begin.
            let slot = slots.entry(tick.window.begin.secs().round() as u64).or_default();
            for endpoint in &tick.endpoints {
                let index = self.index_of(&endpoint.endpoint);
                if slot.requests.len() <= index {
                    slot.requests.resize_with(index + 1, Requests::default);
                }
                let requests = &mut slot.requests[index];
                let count = endpoint.response_time.count();
                requests.completed += count;
                if endpoint.class.is_success() {
                    endpoint.response_time.counters(|place, count| {
                        requests.times.push((place, u32::try_from(count).unwrap_or(u32::MAX)));
                    });
                } else {
                    requests.failed += count;
                }
            }
        }
        slots.into_values().collect()
    }

    fn index_of(&mut self, endpoint: &str) -> usize {
        let known = self.endpoints.iter().position(|known| known == endpoint);
        known.unwrap_or_else(|| {
            self.endpoints.push(endpoint.to_owned());
            self.endpoints.len() - 1
        })
    }
}

impl StageSample {
    /// Puts about so many slots into one. All become equally long.
    fn condense(&mut self, each: usize) {
        let (before, after) = (self.slots.len(), self.slots.len().div_ceil(each));
        if after == before {
            return;
        }
        let edge = |slot: usize| slot * before / after;
        let merged = (0..after).map(|slot| Slot::merged(&self.slots[edge(slot)..edge(slot + 1)]));
        self.slots = merged.collect();
        self.slot_seconds *= before as f64 / after as f64;
    }
}

impl Slot {
    fn merged(slots: &[Slot]) -> Self {
        let names = slots.iter().map(|slot| slot.requests.len()).max().unwrap_or(0);
        let of = |index: usize| {
            let mut times: BTreeMap<u32, u32> = BTreeMap::new();
            let (mut completed, mut failed) = (0, 0);
            for requests in slots.iter().filter_map(|slot| slot.requests.get(index)) {
                completed += requests.completed;
                failed += requests.failed;
                for (place, count) in &requests.times {
                    let sum = times.entry(*place).or_default();
                    *sum = sum.saturating_add(*count);
                }
            }
            Requests { completed, failed, times: times.into_iter().collect() }
        };
        Self { requests: (0..names).map(of).collect() }
    }
}

/// A map whose keys are no text, as a list of pairs.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub fn deserialize<'d, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'d> + Ord,
        V: Deserialize<'d>,
        D: Deserializer<'d>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}

fn seconds_of(window: Window) -> f64 {
    window.secs().max(f64::MIN_POSITIVE)
}

/// Why a run says nothing, or less, of its target.
fn trouble(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::GeneratorLimited { from_rate, .. } => Some(format!(
            "kneepoint itself was the limit from {} on, so higher loads do not count",
            wording::rate(*from_rate)
        )),
        Outcome::Aborted { why } => Some(format!("the run ended before it measured: {why}")),
        Outcome::FailsForGood { after_requests, .. } => {
            let after = wording::plural(*after_requests, "request", "requests");
            Some(format!("the target stopped serving for good after {after}"))
        }
        Outcome::Knee | Outcome::NotReached { .. } | Outcome::InsufficientData { .. } => None,
    }
}

/// The seconds that the database works or waits for locks for a request.
fn database(parts: &StageParts) -> Option<Measured> {
    let of = |kind: &str| parts.parts.iter().find(|part| part.kind == kind);
    let executing = of("db_executing")?;
    let locked = of("db_lock_wait");
    let value = executing.seconds + locked.map_or(0.0, |part| part.seconds);
    let error = executing.error.hypot(locked.map_or(0.0, |part| part.error));
    Some(Measured { value, error: (value > 0.0 && error > 0.0).then(|| error / value) })
}

/// What the diagnosis names, except what follows from something else.
fn causes(diagnosis: &Diagnosis) -> Vec<Cause> {
    let named = diagnosis
        .findings
        .iter()
        .filter(|finding| !matches!(finding.role, FindingRole::Consequence { .. }));
    named
        .map(|finding| Cause {
            rule: finding.rule.clone(),
            title: finding.title.clone(),
            code: finding.code.clone(),
        })
        .collect()
}

/// The objectives that were measured or broken, each once.
fn objectives(diagnosis: &Diagnosis) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for objective in &diagnosis.objectives {
        let is_known = objective.value.is_some() || objective.broken_at.is_some();
        if is_known && !texts.contains(&objective.text) {
            texts.push(objective.text.clone());
        }
    }
    texts
}

/// The runs of both builds.
#[derive(Clone, Copy)]
pub(super) struct Runs<'a> {
    pub(super) base: &'a [Sample],
    pub(super) candidate: &'a [Sample],
}

impl<'a> Runs<'a> {
    /// Those of the base, then those of the candidate.
    pub(super) fn all(self) -> impl Iterator<Item = &'a Sample> {
        self.base.iter().chain(self.candidate)
    }
}
