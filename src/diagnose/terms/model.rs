//! What a diagnosis says. Every part serialises; `reports/schema` publishes the shape.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::timeline::{Moment, StageRole, Unit, Window};

use super::account::{Attribution, Chain};
use super::invalid::Invalid;
use super::room::{Headroom, Interval};
use super::soak::Soak;
use super::stacks::Stacks;

/// All that kneepoint concludes from one recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// The answer, or the honest reason why there is none.
    pub outcome: Outcome,
    /// Each measured stage in the order it was held.
    pub stages: Vec<StageSummary>,
    /// Where the curve bent; `None` if it did not, or if that is unknown.
    pub knee: Option<Knee>,
    /// The result of every objective, and the offered load at which it first broke.
    pub objectives: Vec<ObjectiveResult>,
    /// Highest offered load in requests per second that met every objective, and the lowest that
    /// did not. Without objectives: the highest below the knee, and the lowest above it.
    pub capacity: Option<Capacity>,
    /// The spans in which signals were compared.
    pub windows: Windows,
    /// Fired rules: the cause first, then contributing findings, then consequences.
    pub findings: Vec<Finding>,
    /// Hypotheses that were measured and do not hold.
    pub ruled_out: Vec<RuledOut>,
    /// Hypotheses that could not be checked, each with what to add to the plan.
    pub not_checked: Vec<NotChecked>,
    /// Where the response time goes, as far as that can be measured from outside.
    pub attribution: Option<Attribution>,
    /// The services behind the target, hop by hop; `None` where none was looked into.
    #[serde(default)]
    pub chain: Option<Chain>,
    /// Which levels fell again after the load; `None` if the run has no time without load at its
    /// end.
    #[serde(default)]
    pub recovery: Option<Recovery>,
    /// How the system behaved under the highest load; `None` if it carried all of it on the way
    /// up, or if it carried no lower load before.
    #[serde(default)]
    pub overload: Option<Overload>,
    /// What the longest stage at one rate shows about leaks and drift; `None` if no stage was held
    /// for a minute.
    #[serde(default)]
    pub soak: Option<Soak>,
    /// How much each resource carries, by its use at the loads that were carried well; `None` where the
    /// numbers are not about the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headroom: Option<Headroom>,
    /// Where the target's threads stand and what uses its processor; `None` where nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stacks: Option<Stacks>,
    /// Whether the generator kept its schedule.
    pub generator: GeneratorHealth,
    /// What watching cost.
    pub overhead: Vec<CollectorOverhead>,
    /// Why a run without a knee, or one in which nothing leaks, is not an all-clear, most important
    /// first.
    #[serde(default)]
    pub contradictions: Vec<String>,
    /// What a reader has to know beside the findings: gaps, restarts, assumptions that do not hold.
    pub caveats: Vec<String>,
}

/// The answer of a diagnosis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Outcome {
    /// A knee was found; see [`Diagnosis::knee`].
    Knee,
    /// No knee up to the highest load that was held.
    NotReached {
        /// That load, in requests per second.
        proven_rate: f64,
    },
    /// kneepoint or its machine was the limit, so the run says nothing about the target.
    GeneratorLimited {
        /// Lowest offered load at which the schedule was not kept.
        from_rate: f64,
        /// The signs of it.
        why: String,
    },
    /// Too little was measured.
    InsufficientData {
        /// What is missing, each with what to do.
        missing: Vec<String>,
    },
    /// From some request on nearly everything fails, at loads too that were carried before.
    FailsForGood {
        /// How many requests succeeded before.
        after_requests: u64,
        /// When that was.
        at: Moment,
        /// Share of the requests due since then that did not succeed.
        failing: f64,
        /// The lowest load that fails since then although twice as much was carried before, in
        /// requests per second; `None` where none was held.
        also_at: Option<f64>,
        /// What ran out, each as a sentence fragment; empty where nothing was seen to.
        ran_out: Vec<String>,
    },
    /// The run ended before anything could be measured.
    Aborted {
        /// Why.
        why: String,
    },
}

/// One stage as numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageSummary {
    /// Why it was held.
    pub role: StageRole,
    /// The part of the stage that counts: its first seconds, in which the system settles, are
    /// left out.
    pub window: Window,
    /// Requests per second that were due. If all load comes from virtual users: the requests that
    /// they would make if the response time stayed as in the stage with the fewest users.
    pub offered: f64,
    /// Mean number of virtual users, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vus: Option<f64>,
    /// Responses and failures per second.
    pub throughput: f64,
    /// Successful responses per second.
    pub goodput: f64,
    /// Share of requests that failed.
    pub error_ratio: f64,
    /// Failed requests by class (`429`, `timeout` …), most frequent first.
    pub errors: Vec<(String, u64)>,
    /// Response times of successful requests in seconds; `None` without one.
    pub response: Option<Quantiles>,
    /// Service times (from the actual send) of successful requests in seconds.
    pub service: Option<Quantiles>,
    /// Response times of failed requests in seconds.
    pub failures: Option<Quantiles>,
    /// Mean requests in flight, including those that wait for a connection.
    pub in_flight: f64,
    /// Growth of the requests in flight per second, with the lower and upper end of its 95 %
    /// interval; a queue that is not stationary grows.
    pub in_flight_slope: (f64, f64, f64),
    /// Requests that were given up because too many were waiting.
    pub held_back: u64,
    /// Lateness of the generator: p99 in seconds.
    pub lateness_p99: f64,
    /// Objectives (by text) that this stage broke.
    pub broken_objectives: Vec<String>,
    /// Why this stage does not count; `None` if it counts.
    pub invalid: Option<Invalid>,
}

impl StageSummary {
    /// Whether it was held to measure the target, and counts.
    pub fn counts(&self) -> bool {
        self.role.is_measured() && self.invalid.is_none()
    }
}

/// Points of a distribution of durations, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 90 %.
    pub p90: f64,
    /// 95 %.
    pub p95: f64,
    /// 99 %.
    pub p99: f64,
    /// Longest.
    pub max: f64,
}

/// Where the curve bent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Knee {
    /// Offered load at the knee, in requests per second.
    pub rate: f64,
    /// Lower end of its 95 % interval.
    pub low: f64,
    /// Upper end of its 95 % interval.
    pub high: f64,
    /// Which sign came first.
    pub kind: KneeKind,
    /// The throughput knee, if there is one.
    pub throughput: Option<f64>,
    /// The latency take-off, if there is one.
    pub latency: Option<f64>,
    /// The error knee, if there is one.
    pub errors: Option<f64>,
    /// Highest goodput seen, in responses per second.
    pub peak_goodput: f64,
    /// Whether goodput fell by at least 5 % from its peak beyond the knee.
    pub retrograde: bool,
    /// Where the tail of the response time bends below the knee, or is the knee.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<TailBend>,
    /// What the curve alone says, where the prediction of the confirmed cause moved the estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_curve: Option<Interval>,
}

/// A bend of the response time's tail that the median does not show.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TailBend {
    /// Lowest offered load that shows it, in requests per second.
    pub rate: f64,
    /// Highest of the loads at which its times were taken.
    pub seen_at: f64,
    /// The quantile that bends (0 to 1).
    pub quantile: f64,
    /// Its seconds at lower loads.
    pub from: f64,
    /// Its seconds from the bend on.
    pub to: f64,
    /// Seconds of the median at low load.
    pub median_from: f64,
    /// Seconds of the median from the bend on.
    pub median_to: f64,
}

/// The first sign of a knee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KneeKind {
    /// Throughput stopped following the offered load.
    Throughput,
    /// The response time took off while the queue grew.
    Latency,
    /// Errors set in.
    Errors,
    /// One request in a hundred takes much longer; throughput and the median do not change.
    Tail,
}

/// How the system behaved under more load than it carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overload {
    /// The kind of behaviour.
    pub kind: OverloadKind,
    /// The highest load that was held, in requests per second.
    pub offered: f64,
    /// Successful responses per second under it.
    pub goodput: f64,
    /// The most successful responses per second under any load.
    pub peak_goodput: f64,
    /// Median response time of successful responses, in seconds.
    pub response_p50: Option<f64>,
    /// Median response time of failures, in seconds; `None` if nothing failed.
    pub failure_p50: Option<f64>,
    /// Share of requests that failed.
    pub error_ratio: f64,
    /// Growth of the requests in flight, per second.
    pub queue_growth: f64,
    /// Whether it came back under less load; `None` if there was no such stage, or not for long
    /// enough.
    pub back: Option<Return>,
}

/// How a system behaves under more load than it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverloadKind {
    /// It carries that load too.
    Carried,
    /// It serves as much as it can and fails the rest at once.
    Refuses,
    /// It serves as much as it can; the rest fails after a long time.
    FailsLate,
    /// It serves as much as it can; the rest waits.
    Queues,
    /// It serves less than nine tenths of what it can.
    Loses,
    /// It serves less than seven tenths of what it can.
    Collapses,
}

/// Whether a system came back when there was less load again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Return {
    /// The load then, in requests per second.
    pub offered: f64,
    /// Whether the run held the same load before, to compare with.
    pub same_load: bool,
    /// Seconds until it answered as before: a median of at most twice the earlier one, and no more
    /// failures. `None` if it did not.
    pub after_seconds: Option<f64>,
    /// Seconds for which it was watched.
    pub watched_seconds: f64,
}

/// The result of one objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectiveResult {
    /// The objective as the plan writes it.
    pub text: String,
    /// Offered load of the first stage that broke it; `None` if none did.
    pub broken_at: Option<f64>,
    /// The value in that stage, or the worst value seen.
    pub value: Option<f64>,
    /// The unit of the value and the bound.
    pub unit: Unit,
    /// The bound.
    pub bound: f64,
}

/// How much load the system carries.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// Highest offered load that met every objective.
    pub good: f64,
    /// Lowest offered load that did not; `None` if every load did.
    pub bad: Option<f64>,
}

/// The spans in which signals are compared, as far as the run has them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Windows {
    /// Low load: at most 30 % of the knee.
    pub baseline: Vec<Window>,
    /// 60 to 95 % of the knee.
    pub approach: Vec<Window>,
    /// Around the knee, 95 to 110 %; without a knee, the highest load held.
    pub knee: Vec<Window>,
    /// Past 110 % of the knee.
    pub beyond: Vec<Window>,
    /// After the load.
    pub recovery: Vec<Window>,
}

/// How sure a finding is. Derived by counting evidence, as `ARCHITECTURE.md` documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// A possibility worth a look.
    Low,
    /// Likely: the required evidence holds, some of the rest is missing.
    Medium,
    /// Confirmed by what it predicts.
    High,
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Confidence::High => "high",
            Confidence::Medium => "medium",
            Confidence::Low => "low",
        })
    }
}

/// How a finding relates to the knee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum FindingRole {
    /// It bent the curve.
    Cause,
    /// It holds too and does not follow from the cause.
    Contributing,
    /// It follows from another finding.
    Consequence {
        /// Rule id of that finding.
        of: String,
    },
    /// It has nothing to do with the knee, such as a leak.
    Apart,
}

/// One fired rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Id of the rule.
    pub rule: String,
    /// What is wrong, as a sentence fragment: `sessions wait on PostgreSQL locks`.
    pub title: String,
    /// What it is about, if the rule can hold for several things, such as the peer `10.0.3.7:8443`.
    pub subject: Option<String>,
    /// The service of the chain that it was found in, such as `php-fpm (127.0.0.1:9000)`; `None`
    /// for the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The request of the plan that it is about above all, if one stands out of the mix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// How it relates to the knee.
    pub role: FindingRole,
    /// How sure it is.
    pub confidence: Confidence,
    /// How the confidence was counted, in words.
    pub confidence_why: String,
    /// Why this limits throughput.
    pub why: String,
    /// What to do now.
    pub next: String,
    /// What would disprove it.
    pub disproved_by: String,
    /// The conditions that had to hold, each with its measured value.
    pub evidence: Vec<Evidence>,
    /// What was looked at to refute it and did not.
    pub refutations: Vec<Evidence>,
    /// Offered load that this limit predicts as the most the system can carry, where it can be
    /// computed (utilization law).
    pub predicted_capacity: Option<f64>,
    /// Share (0 to 1) of the response time's growth that it explains, where that can be told.
    pub explains_growth: Option<f64>,
    /// Where it shows in the code of the target, as file and line; empty where no stacks say so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub code: Vec<String>,
    /// What a fix would bring, as far as its inputs were measured.
    #[serde(default)]
    pub counterfactuals: Vec<Counterfactual>,
}

/// What would be if a limit were another, and on what that rests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Counterfactual {
    /// The limit is gone: what binds next.
    Gone {
        /// Requests per second at which that binds.
        carries: f64,
        /// What it is.
        next: NextLimit,
        /// On what the number rests.
        assumption: String,
    },
    /// A request needs half as much of what is limited.
    Halved {
        /// Requests per second that it carries at most then.
        carries: f64,
        /// What binds before the capacity is doubled, if anything does.
        next: Option<NextLimit>,
        /// On what the number rests.
        assumption: String,
    },
    /// How many it takes to carry a load.
    Needed {
        /// Of what: `connections` or `cores`.
        what: String,
        /// So many.
        count: u64,
        /// How many there are now.
        now: f64,
        /// The load, in requests per second: the highest that was offered in the run.
        rate: f64,
        /// Seconds that 99 % of the requests wait for one at most, where that was computed.
        wait_p99: Option<f64>,
        /// On what the number rests.
        assumption: String,
    },
    /// A fix that suggests itself and would not help.
    NoHelp {
        /// The fix: `a larger pool`.
        what: String,
        /// Why it would not.
        why: String,
    },
}

/// Something there is only so much of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NextLimit {
    /// What it is, in words: `the target's CPU`.
    pub name: String,
    /// Seconds of it that one request keeps busy.
    pub demand: f64,
    /// How much of it there is.
    pub limit: f64,
    /// What the limit counts.
    pub unit: Unit,
}

/// One condition and what was measured of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The condition in words, with its numbers: `4.0 of 4 pooled connections are busy`.
    pub text: String,
    /// The signal as the rule writes it.
    pub signal: String,
    /// The span it was taken in: `baseline`, `knee` …
    pub window: String,
    /// The measured value; `None` where there is no data.
    pub value: Option<f64>,
    /// The same at baseline, where that was measured.
    pub baseline: Option<f64>,
    /// The bound as the rule writes it, such as `over 0.9`.
    pub bound: String,
    /// Unit of the values.
    pub unit: Unit,
    /// Whether the condition holds; `None` without data.
    pub holds: Option<bool>,
    /// The recorded series it rests on.
    pub series: Vec<String>,
}

/// A hypothesis that was measured and does not hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuledOut {
    /// Id of the rule.
    pub rule: String,
    /// Its title.
    pub title: String,
    /// The conditions that decided, each with its measured value.
    pub because: Vec<Evidence>,
}

/// A hypothesis that could not be looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotChecked {
    /// Id of the rule.
    pub rule: String,
    /// Its title.
    pub title: String,
    /// The signals without data.
    pub missing: Vec<String>,
    /// The one thing to add to the plan to get them.
    pub add: String,
}

/// What drained and what stayed after the load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recovery {
    /// Seconds without load.
    pub seconds: f64,
    /// Each level that rose considerably under load.
    pub levels: Vec<AfterLoad>,
}

/// One level before, under and after load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AfterLoad {
    /// What it counts, in words: `open descriptors`.
    pub what: String,
    /// Unit of the values.
    pub unit: Unit,
    /// At the lowest load.
    pub before: f64,
    /// The highest of any stage.
    pub peak: f64,
    /// In the second half of the time without load.
    pub after: f64,
    /// Whether at most a quarter of the rise is left.
    pub returned: bool,
    /// What it means that it stays; `None` where it does not.
    pub staying: Option<String>,
}

/// Whether the generator kept its schedule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GeneratorHealth {
    /// Whether nothing speaks against it.
    pub healthy: bool,
    /// Worst p99 lateness of a stage at or below the knee, in seconds.
    pub lateness_p99: f64,
    /// Cores that kneepoint used at most.
    pub cpu_cores: Option<f64>,
    /// Remarks, such as a machine shared with the target.
    pub remarks: Vec<String>,
}

/// What one collector cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CollectorOverhead {
    /// Name of the collector.
    pub collector: String,
    /// Cores it used on average.
    pub cores: f64,
    /// How often it looked.
    pub looks: u64,
    /// How often it could not.
    pub gaps: u64,
    /// The most frequent reason for a gap.
    pub reason: Option<String>,
    /// From the first to the last look.
    pub from: Moment,
    /// The last look.
    pub to: Moment,
}
