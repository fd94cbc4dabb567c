//! What a comparison says. Every part serialises.

use serde::{Deserialize, Serialize};

use crate::timeline::Unit;

/// All that kneepoint concludes from the runs of two builds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The answer for the whole: worse where any quantity is worse.
    pub verdict: Verdict,
    /// The rise that is allowed, as a ratio: 0.1 is 10 %.
    pub budget: f64,
    /// How the intervals were made.
    pub method: Method,
    /// Where the noise from run to run is known from, in words, if it was known beforehand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<String>,
    /// Runs of the build that was there before, in the order they were given.
    pub base: Vec<RunFacts>,
    /// Runs of the build that is judged.
    pub candidate: Vec<RunFacts>,
    /// Sittings of the base and of the candidate, where the runs of one sitting count as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sittings: Option<(u64, u64)>,
    /// The loads at which both builds were measured below their knee.
    pub loads: Vec<MatchedLoad>,
    /// What else differs between the runs, in words, most important first.
    pub differences: Vec<String>,
    /// Every quantity that was compared, those of all requests first.
    pub quantities: Vec<Quantity>,
    /// Where a difference of the response time lies.
    pub why: Why,
    /// What each build does at each load that it held.
    #[serde(default)]
    pub curves: Curves,
    /// The objectives of the plans, in the order in which they are written there.
    #[serde(default)]
    pub objectives: Vec<ObjectiveChange>,
}

impl Comparison {
    /// The quantities with this answer.
    pub fn answered(&self, wanted: Verdict) -> impl Iterator<Item = &Quantity> {
        self.quantities.iter().filter(move |quantity| quantity.answer.verdict() == wanted)
    }

    /// The standard deviations from run to run in logs, as this comparison measured them.
    pub fn run_to_run(&self) -> Vec<(Subject, Measure, f64)> {
        let of = |quantity: &Quantity| {
            Some((quantity.subject.clone(), quantity.measure.clone(), quantity.run_to_run?))
        };
        self.quantities.iter().filter_map(of).collect()
    }
}

/// One of the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The candidate is worse, beyond what is allowed and beyond chance.
    Worse,
    /// It is better by as much.
    Better,
    /// It differs by no more than the budget.
    Same,
    /// The runs do not decide.
    CannotTell,
}

/// How the intervals were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// One run of each build, and nothing is known of the noise from run to run.
    OneRunEach,
    /// Few runs, whose noise from run to run was given.
    KnownNoise,
    /// Several runs: Welch's t test on the logarithm of each run's value.
    Runs,
    /// Runs that alternated between the builds: a paired t test.
    Pairs,
}

/// One run that was compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunFacts {
    /// How the user named it.
    pub name: String,
    /// Wall-clock time of its start, in seconds since 1970 (UTC).
    pub started_unix: f64,
    /// Offered load at its knee, in requests per second; `None` if it found none.
    pub knee: Option<f64>,
    /// Rules of the causes that its diagnosis names.
    pub causes: Vec<String>,
}

/// A load at which both builds were measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatchedLoad {
    /// Offered load in requests per second, the mean over the runs.
    pub offered: f64,
    /// Requests per second that the runs of the base answered.
    pub base: f64,
    /// The same of the candidate.
    pub candidate: f64,
    /// Seconds of each run that are compared.
    pub seconds: f64,
}

/// What a quantity is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "name")]
pub enum Subject {
    /// All requests, or the whole run.
    All,
    /// The requests of one name.
    Request(String),
    /// The requests with one tag, as `tag:value`.
    Tag(String),
}

/// What is compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "of")]
pub enum Measure {
    /// Response time that half of the successful requests do not exceed.
    P50,
    /// That 95 % do not exceed.
    P95,
    /// That 99 % do not exceed.
    P99,
    /// Share of requests that failed.
    ErrorRatio,
    /// Successful responses per second at the same offered load.
    Throughput,
    /// Offered load at the knee.
    Knee,
    /// Highest offered load that meets every objective.
    Capacity,
    /// Processor seconds of the target for a request.
    CpuPerRequest,
    /// Seconds that PostgreSQL executes or waits for locks for a request.
    DatabasePerRequest,
    /// Statements for a request.
    StatementsPerRequest,
    /// Rows that PostgreSQL reads for a request.
    RowsPerRequest,
    /// Calls to another service for a request; the name of the service.
    CallsPerRequest(String),
    /// Bytes that the machine sends for a request, over all its interfaces.
    BytesPerRequest,
    /// Memory that the target does not give back between requests.
    MemoryFloor,
    /// Restarts of the target's process in a run.
    Restarts,
}

impl Measure {
    /// Unit of its values; a count may be a rate per second, see [`Measure::is_rate`].
    pub fn unit(&self) -> Unit {
        match self {
            Measure::P50 | Measure::P95 | Measure::P99 => Unit::Seconds,
            Measure::CpuPerRequest | Measure::DatabasePerRequest => Unit::Seconds,
            Measure::ErrorRatio => Unit::Ratio,
            Measure::BytesPerRequest | Measure::MemoryFloor => Unit::Bytes,
            _ => Unit::Count,
        }
    }

    /// Whether its values are requests per second.
    pub fn is_rate(&self) -> bool {
        self.is_better_high()
    }

    /// Whether a higher value is better.
    pub fn is_better_high(&self) -> bool {
        matches!(self, Measure::Throughput | Measure::Knee | Measure::Capacity)
    }

    /// The quantile (0 to 1) of the response time that it is.
    pub fn quantile(&self) -> Option<f64> {
        match self {
            Measure::P50 => Some(0.5),
            Measure::P95 => Some(0.95),
            Measure::P99 => Some(0.99),
            _ => None,
        }
    }
}

/// One quantity of both builds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantity {
    /// What it is about.
    pub subject: Subject,
    /// What was measured.
    pub measure: Measure,
    /// The value of the base: of several runs the geometric mean, of counts and ratios the mean.
    pub base: Option<f64>,
    /// The value of the candidate.
    pub candidate: Option<f64>,
    /// The difference with its interval; `None` where it could not be estimated.
    pub change: Option<Change>,
    /// The rise (for rates: the fall) beyond which it is worse, on the scale of `change`: 0.1 is
    /// 10 %, or 0.1 of all requests for a difference of error ratios.
    pub allowed: f64,
    /// Whether `allowed` is more than the budget, because runs of one build are known to differ by as
    /// much.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_raised_by_noise: bool,
    /// Standard deviation from run to run in logs, where several runs of a build were there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_to_run: Option<f64>,
    /// Whether `change` is that at equal speed of the machine, which kneepoint's own processor time
    /// tells; `base` and `candidate` are as measured.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_at_equal_speed: bool,
    /// The answer.
    pub answer: Answer,
}

impl Quantity {
    /// A quantity of which nothing is known but the rise that is allowed.
    pub(super) fn new(subject: Subject, measure: Measure, allowed: f64) -> Self {
        let answer = Answer::Same;
        Self {
            subject,
            measure,
            base: None,
            candidate: None,
            change: None,
            allowed,
            is_raised_by_noise: false,
            run_to_run: None,
            is_at_equal_speed: false,
            answer,
        }
    }

    /// Whether it is the share of requests that failed.
    pub fn is_error_ratio(&self) -> bool {
        self.measure == Measure::ErrorRatio
    }

    /// What is allowed on the scale on which it is judged: logs, or the difference of shares.
    pub(super) fn change_allowed(&self) -> f64 {
        if self.is_error_ratio() { self.allowed } else { self.allowed.ln_1p() }
    }
}

/// A difference with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Candidate by base, less one: 0.3 is 30 % more. Where `is_difference`, candidate less base.
    pub estimate: f64,
    /// Lower end; `None` where there is none.
    pub low: Option<f64>,
    /// Upper end; `None` where there is none.
    pub high: Option<f64>,
    /// Whether it is a difference and not a ratio.
    #[serde(default)]
    pub is_difference: bool,
}

/// The answer for one quantity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Answer {
    /// Worse than allowed.
    Worse,
    /// Better by more than is allowed in the other direction.
    Better,
    /// Within the budget.
    Same,
    /// Not decided.
    CannotTell {
        /// Why, as a sentence fragment.
        why: String,
        /// How many more runs of each build would decide; `None` where runs like these do not.
        further_runs: Option<u64>,
        /// Whether the difference exceeds what is allowed and the noise within the runs, so that
        /// only the noise from run to run is in doubt.
        exceeds_noise: bool,
    },
}

impl Answer {
    /// The answer without its reasons.
    pub fn verdict(&self) -> Verdict {
        match self {
            Answer::Worse => Verdict::Worse,
            Answer::Better => Verdict::Better,
            Answer::Same => Verdict::Same,
            Answer::CannotTell { .. } => Verdict::CannotTell,
        }
    }
}

/// Where a difference of the response time lies. Parts are means, as Little's law gives no more.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// Mean seconds of a request at the matched loads: base and candidate.
    pub response: Option<(f64, f64)>,
    /// What each part of the response time gained or lost, the largest first.
    pub parts: Vec<PartChange>,
    /// What the requests of each name gained or lost, the largest first.
    pub endpoints: Vec<EndpointChange>,
    /// Causes that came, went or stayed.
    pub causes: Vec<CauseChange>,
    /// Limits of the target's pools that differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitChange>,
}

/// One part of the response time in both builds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartChange {
    /// What it is, in words.
    pub name: String,
    /// The part as a rule file names it.
    pub kind: String,
    /// Seconds per request in the base.
    pub base: f64,
    /// Seconds per request in the candidate.
    pub candidate: f64,
    /// Standard error of the difference, as far as it is known.
    pub error: f64,
}

impl PartChange {
    /// What it gained.
    pub fn gain(&self) -> f64 {
        self.candidate - self.base
    }
}

/// Mean response time of the requests of one name in both builds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndpointChange {
    /// Its name.
    pub name: String,
    /// Mean seconds in the base.
    pub base: f64,
    /// Mean seconds in the candidate.
    pub candidate: f64,
    /// Seconds that it adds to the mean of all requests: its gain times its share of them.
    pub adds: f64,
}

/// A limit of a pool that differs between the builds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LimitChange {
    /// What its places are: connections, workers, places.
    pub places: String,
    /// Name of the pool.
    pub pool: String,
    /// Places in the base.
    pub base: f64,
    /// Places in the candidate.
    pub candidate: f64,
    /// Places that were in use in the base, at most.
    pub most_in_base: f64,
    /// The same in the candidate.
    pub most_in_candidate: f64,
}

/// A cause that one build has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CauseChange {
    /// What became of it.
    pub fate: Fate,
    /// Id of the rule.
    pub rule: String,
    /// What is wrong, as a sentence fragment.
    pub title: String,
    /// Runs of the base that have it.
    pub in_base: u64,
    /// Runs of the candidate that have it.
    pub in_candidate: u64,
    /// Where it shows in the code, as file and line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub code: Vec<String>,
}

/// What became of a cause from the base to the candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Most runs of the candidate have it, and at most half of the base's.
    Came,
    /// The other way round.
    Went,
    /// Most runs of both have it.
    Stayed,
}

/// What both builds do at each load.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Curves {
    /// Of the build that was there before.
    pub base: BuildCurve,
    /// Of the build that is judged.
    pub candidate: BuildCurve,
}

/// What one build does at each load that any of its runs held, on either side of the knee.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BuildCurve {
    /// By offered load.
    pub points: Vec<CurvePoint>,
    /// Where it bends; `None` unless every run tells.
    pub knee: Option<KneeRange>,
}

/// What one build does at one load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Offered load in requests per second, the mean of the runs.
    pub offered: f64,
    /// Number of virtual users, where they made the load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<f64>,
    /// Runs that held this load.
    pub runs: u64,
    /// Requests per second that were answered, failures included.
    pub answered: Spread,
    /// Share of the answers that were failures.
    pub error_ratio: Spread,
    /// Response time in seconds that half of the successful requests do not exceed.
    pub p50: Option<Spread>,
    /// That 95 % do not exceed.
    pub p95: Option<Spread>,
    /// That 99 % do not exceed.
    pub p99: Option<Spread>,
}

/// A value of several runs; of a single run all three are equal.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The median of the runs.
    pub median: f64,
    /// The lowest of them.
    pub low: f64,
    /// The highest.
    pub high: f64,
}

/// The knee of a build.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct KneeRange {
    /// Offered load in requests per second; without an upper end the highest load that was tried.
    pub rate: f64,
    /// Lower end of its interval, over all runs.
    pub low: f64,
    /// Upper end; `None` where a run did not reach its knee.
    pub high: Option<f64>,
}

/// An objective of the plans in both builds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectiveChange {
    /// The condition as the plan writes it.
    pub text: String,
    /// Runs of the base that met it at the compared loads; without such loads, below their knee.
    pub base_met: Met,
    /// Runs of the candidate that did.
    pub candidate_met: Met,
    /// Highest load up to which the base met it, as the median of its runs; `None` if most broke it
    /// at their lowest load.
    #[serde(default)]
    pub base_up_to: Option<f64>,
    /// The same of the candidate.
    #[serde(default)]
    pub candidate_up_to: Option<f64>,
}

/// How many runs met an objective.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Met {
    /// Runs that met it.
    pub met: u64,
    /// Runs in which it was measured.
    pub of: u64,
}

impl Met {
    /// Whether most runs broke it.
    pub fn is_mostly_broken(self) -> bool {
        2 * self.met < self.of
    }
}
