//! How the runs of both builds are set against each other, and what that makes of their values.

use std::collections::BTreeMap;

use super::bootstrap::DRAWS;
use super::budgets;
use super::disturbed;
use super::estimate::{self, Estimate, RunValue};
use super::model::{Change, Measure, Method, Quantity, Subject};
use super::options::Options;
use super::sample::{Runs, Sample};
use super::sessions::{self, Sessions};
use super::verdict::{Draft, Judged, RUNS_OF_A_GATE, State};
use super::yardstick::Yardstick;

/// From this many alternating runs of each build on, pairs are compared. Fewer pairs lose more by
/// their degrees of freedom than they gain where the machine does not drift.
const PAIRS_FROM: usize = 8;
/// The allowed rise is at least this many times what runs of one build differ by,
pub const TIMES_NOISE: f64 = 1.5;
/// in 95 % of the comparisons of as many runs.
const Z: f64 = 1.96;
/// Standard deviation of what rounds to a step of width one.
const ROUNDING: f64 = 0.288_675_134_594_812_9;

/// How the runs are set against each other.
pub struct Design<'a> {
    pub runs: Runs<'a>,
    pub options: &'a Options,
    pub method: Method,
    /// Draws of a bootstrap.
    pub draws: usize,
    /// Pairs of runs by index, where they alternated.
    pairs: Vec<(usize, usize)>,
    /// The rises that objectives of the plan allow, as shares.
    budgets: BTreeMap<(Subject, Measure), f64>,
    /// Which runs count as one.
    pub sessions: Sessions,
}

/// The values of a quantity in the runs of both builds.
#[derive(Clone, Debug, Default)]
pub struct Values {
    pub base: Vec<RunValue>,
    pub candidate: Vec<RunValue>,
    /// Error and degrees of the ratio of two single runs, where it is known only of both together.
    pub joint: Option<(f64, f64)>,
    /// Width in logs of the steps to which values are rounded.
    pub step: f64,
    /// Difference in logs that is nobody's concern, however sure.
    pub least: f64,
    /// How fast the machine was in each run, where the quantity depends on that alone.
    pub yardstick: Option<Yardstick>,
}

/// Values without those of runs that were disturbed.
struct Undisturbed {
    values: Values,
    /// Index of the runs that are left out, those of the base first.
    left_out: Vec<usize>,
}

impl Values {
    /// Without the run of this index, those of the base first.
    fn without(&self, run: usize) -> Self {
        let mut rest = self.clone();
        rest.yardstick = self.yardstick.as_ref().map(|yardstick| yardstick.without(run));
        match run.checked_sub(self.base.len()) {
            Some(run) => drop(rest.candidate.remove(run)),
            None => drop(rest.base.remove(run)),
        }
        rest
    }
}

impl<'a> Design<'a> {
    pub fn of(runs: Runs<'a>, options: &'a Options) -> Self {
        let sessions = Sessions::of(runs);
        let pairs = if sessions.are_grouped() { Vec::new() } else { pairs(runs) };
        let (n, m) = (sessions.base.len(), sessions.candidate.len());
        let method = match n.min(m) {
            _ if !pairs.is_empty() => Method::Pairs,
            fewest if options.noise.is_known() && fewest < RUNS_OF_A_GATE => Method::KnownNoise,
            1 if n.max(m) == 1 => Method::OneRunEach,
            _ => Method::Runs,
        };
        let budgets = budgets::of(runs.candidate);
        Self { runs, options, method, draws: DRAWS, pairs, budgets, sessions }
    }

    /// Sittings of each build, where the runs of one count as one.
    pub fn sittings(&self) -> Option<(u64, u64)> {
        let Sessions { base, candidate } = &self.sessions;
        self.sessions.are_grouped().then_some((base.len() as u64, candidate.len() as u64))
    }

    /// Runs of each build, at least; sessions where these count.
    pub fn fewest_runs(&self) -> usize {
        self.sessions.base.len().min(self.sessions.candidate.len())
    }

    /// Whether both builds have a single run, or a single session.
    pub fn is_one_each(&self) -> bool {
        self.sessions.base.len() == 1 && self.sessions.candidate.len() == 1
    }

    /// Whether the noise within each run is asked for.
    pub fn needs_noise_within(&self) -> bool {
        matches!(self.method, Method::OneRunEach | Method::KnownNoise)
    }

    /// The standard deviation of a quantity from run to run in logs, where the user knows it.
    pub fn sigma(&self, subject: &Subject, measure: &Measure) -> Option<f64> {
        self.options.noise.sigma(subject, measure)
    }

    /// The rise that the user allows, as a share: that of an objective, or the one for all.
    pub fn budget(&self, subject: &Subject, measure: &Measure) -> f64 {
        let of = |subject: &Subject| self.budgets.get(&(subject.clone(), measure.clone())).copied();
        of(subject).or_else(|| of(&Subject::All)).unwrap_or(self.options.budget)
    }

    /// The rise that is allowed, as a ratio: the budget, or what noise makes of runs of one build
    /// where that is more.
    pub fn allowed(&self, budget: f64, sigma: Option<f64>) -> f64 {
        let floor = TIMES_NOISE * Z * sigma.unwrap_or(0.0) * self.count().sqrt();
        budget.max(floor.exp_m1())
    }

    /// One by the runs of the base, and one by those of the candidate.
    fn count(&self) -> f64 {
        1.0 / self.sessions.base.len() as f64 + 1.0 / self.sessions.candidate.len() as f64
    }

    /// The values as they count: one for each session where there are several.
    fn by_session(&self, values: &Values) -> Values {
        Values {
            base: sessions::together(&values.base, &self.sessions.base),
            candidate: sessions::together(&values.candidate, &self.sessions.candidate),
            ..values.clone()
        }
    }

    /// Judges a quantity that is positive in every run.
    pub fn draft(&self, subject: Subject, measure: Measure, values: &Values) -> Draft {
        let all = &self.by_session(values);
        let known = self.sigma(&subject, &measure);
        let budget = self.budget(&subject, &measure);
        // With those that were disturbed: that is what runs of this machine differ by.
        let own = estimate::run_to_run(&all.base, &all.candidate);
        // What differs by a step may be equal.
        let least = all.step.max(all.least).exp_m1();
        let mut quantity = Quantity::new(subject, measure, self.allowed(budget, known).max(least));
        quantity.is_raised_by_noise = self.allowed(budget, known) > budget;
        let Undisturbed { values, left_out } = &self.undisturbed(all, quantity.allowed.ln_1p());
        quantity.base = middle(&values.base);
        quantity.candidate = middle(&values.candidate);
        quantity.run_to_run = own;
        let at_equal_speed = self.at_equal_speed(values);
        quantity.is_at_equal_speed = at_equal_speed.is_some();
        let rounding = values.step * ROUNDING;
        let estimate = at_equal_speed.or_else(|| match self.method {
            Method::Pairs => self.of_pairs(all, left_out),
            _ => self.estimate(values, known),
        });
        let Some(estimate) = estimate else {
            let why = "the loads that the runs have in common are too short to show the noise \
                       within a run; hold one rate for a minute or longer, or record more runs";
            let further_runs =
                Some(RUNS_OF_A_GATE.saturating_sub(self.fewest_runs()).max(1) as u64);
            return Draft::new(quantity, State::Untold { why: why.to_owned(), further_runs });
        };
        let estimate = estimate.at_least(rounding * self.count().sqrt());
        let (low, high) = estimate.interval();
        quantity.change = Some(Change {
            estimate: estimate.change.exp_m1(),
            low: Some(low.exp_m1()),
            high: Some(high.exp_m1()).filter(|high| high.is_finite()),
            is_difference: false,
        });
        let sign = if quantity.measure.is_better_high() { -1.0 } else { 1.0 };
        let judged = Judged {
            tested: estimate.tested(quantity.allowed.ln_1p(), sign),
            same_within: budget.max(least).ln_1p(),
            is_noise_unknown: own.is_none() && known.is_none(),
            can_reject: true,
            // What a single run of each build varies by, within it and from run to run.
            sigma: Some(estimate.error / self.count().sqrt()),
        };
        Draft { quantity, state: State::Measured(judged), left_out: left_out.clone() }
    }

    /// The values without those of runs that were disturbed: they depart from the others by more than
    /// is `allowed`, and by far more than the others differ.
    fn undisturbed(&self, values: &Values, allowed: f64) -> Undisturbed {
        let mut rest = Undisturbed { values: values.clone(), left_out: Vec::new() };
        let is_told = matches!(self.method, Method::Runs | Method::Pairs);
        if !is_told || self.sessions.are_grouped() {
            return rest;
        }
        let (n, m) = (values.base.len(), values.candidate.len());
        let mut runs: Vec<usize> = (0..n + m).collect();
        for _ in 0..disturbed::most(n + m) {
            let Values { base, candidate, yardstick, .. } = &rest.values;
            let at_equal_speed = yardstick.as_ref().and_then(|it| it.residuals(base, candidate));
            let parameters = if at_equal_speed.is_some() { 3 } else { 2 };
            let residuals =
                at_equal_speed.unwrap_or_else(|| disturbed::from_means(base, candidate));
            let Some(found) = disturbed::find(&residuals, parameters, allowed) else { break };
            rest.values = rest.values.without(found);
            rest.left_out.push(runs.remove(found));
        }
        rest
    }

    fn estimate(&self, values: &Values, known: Option<f64>) -> Option<Estimate> {
        let Values { base, candidate, joint, .. } = values;
        match (self.method, known) {
            (Method::KnownNoise, Some(sigma)) => self
                .of_one_each(values, sigma)
                .or_else(|| estimate::with_known_noise(base, candidate, sigma))
                .or_else(|| estimate::of_runs(base, candidate)),
            _ if self.is_one_each() => {
                let within = estimate::with_known_noise(base, candidate, 0.0);
                self.of_one_each(values, 0.0).or(within.filter(|_| joint.is_none()))
            }
            _ => estimate::of_runs(base, candidate),
        }
    }

    /// Of all values, in pairs, without those of which a run is left out.
    fn of_pairs(&self, values: &Values, left_out: &[usize]) -> Option<Estimate> {
        let n = values.base.len();
        let is_whole = |(one, other): &&(usize, usize)| {
            !left_out.contains(one) && !left_out.contains(&(n + other))
        };
        let (first, second): (Vec<_>, Vec<_>) = self
            .pairs
            .iter()
            .filter(is_whole)
            .filter_map(|(one, other)| values.base.get(*one).zip(values.candidate.get(*other)))
            .map(|(one, other)| (*one, *other))
            .unzip();
        estimate::of_pairs(&first, &second)
    }

    fn at_equal_speed(&self, values: &Values) -> Option<Estimate> {
        // Pairs share the speed of the machine too, and lose half of the degrees of freedom. Known
        // noise has it in it.
        let is_told =
            matches!(self.method, Method::Runs | Method::Pairs) && !self.sessions.are_grouped();
        let yardstick = values.yardstick.as_ref().filter(|_| is_told)?;
        yardstick.estimate(&values.base, &values.candidate)
    }

    fn of_one_each(&self, values: &Values, sigma: f64) -> Option<Estimate> {
        let (error, degrees) = values.joint.filter(|_| self.is_one_each())?;
        let (base, candidate) = (values.base.first()?, values.candidate.first()?);
        Some(estimate::of_pair(*base, *candidate, error, degrees, sigma))
    }
}

/// The geometric mean.
fn middle(runs: &[RunValue]) -> Option<f64> {
    let logs: Vec<f64> = runs.iter().map(|run| run.ln).collect();
    crate::diagnose::stats::mean(&logs).map(f64::exp)
}

/// The runs in pairs where the builds alternated, by their start: each pair has one of both.
fn pairs(runs: Runs<'_>) -> Vec<(usize, usize)> {
    let (n, m) = (runs.base.len(), runs.candidate.len());
    if n != m || n < PAIRS_FROM {
        return Vec::new();
    }
    let of = |samples: &[Sample], is_base: bool| -> Vec<(f64, bool, usize)> {
        let starts = samples.iter().map(|sample| sample.environment.started_unix);
        starts.enumerate().map(|(index, at)| (at, is_base, index)).collect()
    };
    let mut all = [of(runs.base, true), of(runs.candidate, false)].concat();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let pair = |pair: &[(f64, bool, usize)]| match pair {
        [(first, true, base), (second, false, candidate)]
        | [(first, false, candidate), (second, true, base)]
            if first < second =>
        {
            Some((*base, *candidate))
        }
        _ => None,
    };
    all.chunks(2).map(pair).collect::<Option<Vec<_>>>().unwrap_or_default()
}
