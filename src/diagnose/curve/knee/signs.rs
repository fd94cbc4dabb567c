//! What a single stage shows of a bend: a queue that grows, a response time that took off, errors.

use crate::diagnose::curve::tally::{Bin, bins};
use crate::diagnose::terms::model::{Quantiles, StageSummary};
use crate::diagnose::terms::stats;
use crate::timeline::{Timeline, Window};

use super::accept_queue;
use super::fit::Sample;

/// Normal quantile of the two-sided 95 % intervals.
pub const Z: f64 = 1.96;
/// Growth of the queue, as a share of the offered load, below which it is never material.
const GROWTH_SHARE: f64 = 0.02;
/// Smallest relative error of a goodput: no real system is steadier.
const ERROR_FLOOR: f64 = 0.01;
/// Blocks of other saturated stages that a stage's own scatter is moderated by.
const PRIOR: f64 = 4.0;
/// Fewer ticks than this are too few to tell a stage's own scatter, and the multiple of the growth
/// by chance (two standard errors) that is certain even so.
const FEW_TICKS: usize = 6;
const CERTAIN_OF_FEW: f64 = 1.5;
/// Share of requests given up for want of room in flight that counts as a queue that grows.
const HELD_BACK_SHARE: f64 = 0.01;
/// Error ratio below which errors never make a knee, and how far above the baseline they must be.
const ERROR_RATIO: f64 = 0.01;
const ERROR_FACTOR: f64 = 5.0;
/// Error ratio that belongs to a knee of errors where the stages above have plainly more: the first
/// stage beyond a limit rejects few.
const ONSET_RATIO: f64 = 0.002;
/// Multiple of the unloaded 95 % point that one response in ten must exceed for the tail alone to
/// show a bend. Every quantile of the response time of an M/M/1 queue (Kleinrock 1975, section
/// 5.6) grows by 1 / (1 − utilization): at 95 % of the capacity it is twenty times as long, and in
/// a stage of a few seconds chance may double that.
const TAIL: f64 = 40.0;
/// Multiple of the unloaded median from which on a queue that certainly grows needs no other bound:
/// by the same law half of the responses take that long only within a twentieth of the capacity,
/// where a stage of a few seconds cannot tell a growing queue from a critical one.
const CRITICAL: f64 = 20.0;

/// One stage that counts, as a point of the curve.
#[derive(Clone, Debug)]
pub struct CurvePoint {
    /// The part of the stage that counts, and how many seconds of it were seen.
    pub window: Window,
    pub seconds: f64,
    pub offered: f64,
    /// Virtual users that made this load, if they did.
    pub users: Option<f64>,
    pub throughput: f64,
    pub goodput: f64,
    /// Standard error of the goodput, from the ticks of the stage.
    pub error: f64,
    pub completed: u64,
    pub failed: u64,
    /// Requests that were given up because too many were in flight.
    pub held_back: u64,
    /// The generator's lateness: p99 in seconds.
    pub lateness_p99: f64,
    /// Response times of the successful requests.
    pub response: Option<Quantiles>,
    /// The queue grows by more than chance, or the accept queue overflows.
    pub grows: bool,
    /// How the accept queue overflows, in words; `None` where it does not.
    pub overflow: Option<String>,
}

/// What a system shows at low load.
#[derive(Clone, Copy, Debug)]
pub struct Base {
    /// Median response time in seconds.
    pub p50: f64,
    /// The 95 % point of the response time in seconds.
    pub p95: f64,
    /// Share of requests that fail.
    pub errors: f64,
}

impl CurvePoint {
    pub fn sample(&self) -> Sample {
        Sample { offered: self.offered, goodput: self.goodput, error: self.error }
    }

    /// Lower end of the error ratio's 95 % interval.
    pub fn error_ratio_low(&self) -> f64 {
        stats::wilson(self.failed, self.completed, Z).0
    }

    /// Requests due and not answered, per second.
    pub fn shortfall(&self) -> f64 {
        self.offered - self.throughput
    }

    /// Whether half of the responses take more than `times` as long as at low load, or a tenth of
    /// them much longer; also where nothing succeeded.
    pub fn is_slow(&self, base: &Base, times: f64) -> bool {
        self.response.is_none_or(|it| it.p50 > times * base.p50 || self.has_long_tail(base))
    }

    fn has_long_tail(&self, base: &Base) -> bool {
        self.response.is_some_and(|it| it.p90 > TAIL * base.p95)
    }

    /// What keeps the stage from being proven good although it is no bend yet, in words.
    pub fn strains(&self, base: &Base) -> Vec<String> {
        let mut strains: Vec<String> = self.overflow.iter().cloned().collect();
        if let Some(response) = self.response.filter(|_| self.has_long_tail(base)) {
            strains.push(format!(
                "10 % of the responses take more than {:.0} ms (at low load, 95 % take less than \
                 {:.0} ms)",
                response.p90 * 1e3,
                base.p95 * 1e3
            ));
        }
        if self.held_back > 0 {
            strains.push(format!(
                "{} requests were given up because too many were in flight",
                self.held_back
            ));
        }
        strains
    }
}

/// The stages that count, in the order they were held.
pub fn points(stages: &[StageSummary], timeline: &Timeline) -> Vec<CurvePoint> {
    let counted = || stages.iter().filter(|stage| stage.counts() && stage.offered > 0.0);
    let base = counted()
        .filter_map(|stage| stage.response)
        .map(|response| response.p50)
        .reduce(f64::min)
        .unwrap_or(0.0);
    let mut points = Vec::new();
    let mut scatters = Vec::new();
    for stage in counted() {
        let (point, scatter) = point(stage, timeline, base);
        points.push(point);
        scatters.push(scatter);
    }
    moderate(&mut points, &scatters);
    points
}

/// How much the blocks of a stage differ.
#[derive(Clone, Copy)]
struct Scatter {
    blocks: f64,
    /// Variance of the goodput of one block.
    variance: f64,
    /// What the standard error of the stage's goodput is at least.
    least: f64,
}

impl Scatter {
    fn error(&self) -> f64 {
        (self.variance / self.blocks.max(1.0)).sqrt().max(self.least)
    }

    fn degrees(&self) -> f64 {
        (self.blocks - 1.0).max(0.0)
    }
}

/// Gives the saturated stages a scatter that is partly that of all of them. A stage has a few
/// blocks, and by chance they can be nearly the same, whatever the mix of requests makes of the
/// next stage (a variance moderated by that of its group: Smyth 2004).
fn moderate(points: &mut [CurvePoint], scatters: &[Scatter]) {
    let saturated = || points.iter().zip(scatters).filter(|(point, _)| point.grows);
    let degrees: f64 = saturated().map(|(_, scatter)| scatter.degrees()).sum();
    let squares: f64 = saturated().map(|(_, it)| it.degrees() * it.variance).sum();
    if degrees == 0.0 {
        return;
    }
    let common = squares / degrees;
    for (point, scatter) in points.iter_mut().zip(scatters).filter(|(point, _)| point.grows) {
        let own = scatter.degrees();
        let variance = (own * scatter.variance + PRIOR * common) / (own + PRIOR);
        point.error = Scatter { variance, ..*scatter }.error();
    }
}

fn point(stage: &StageSummary, timeline: &Timeline, base: f64) -> (CurvePoint, Scatter) {
    let bins = &bins(timeline, stage.window);
    let overflow = accept_queue::overflow(timeline, stage);
    let seconds: f64 = bins.iter().map(|bin| bin.seconds).sum::<f64>().max(f64::MIN_POSITIVE);
    let completed: f64 = bins.iter().map(|bin| bin.completed).sum();
    let succeeded: f64 = bins.iter().map(|bin| bin.succeeded).sum();
    // Requests cross the edges of a stage: one, and by chance a root of those in flight.
    let edges = (1.0 + (stage.offered * base).sqrt()) / seconds;
    let (blocks, variance) = scatter_of_blocks(bins, stage.vus.is_some());
    let scatter = Scatter { blocks, variance, least: edges.max(ERROR_FLOOR * stage.goodput) };
    let point = CurvePoint {
        window: stage.window,
        seconds,
        offered: stage.offered,
        users: stage.vus,
        throughput: stage.throughput,
        goodput: stage.goodput,
        error: scatter.error(),
        completed: completed as u64,
        failed: (completed - succeeded) as u64,
        held_back: stage.held_back,
        lateness_p99: stage.lateness_p99,
        response: stage.response,
        grows: overflow.is_some() || grows(stage, bins.len(), seconds, base),
        overflow,
    };
    (point, scatter)
}

/// The number of blocks of two ticks, and the variance of their goodput; blocks, because neighbouring
/// ticks depend on each other (Carlstein 1986). It is taken against what was offered in them, so
/// that the schedule's own scatter does not count. Users who wait for their answers have no
/// schedule (`is_closed`): what they offer is what they were answered.
fn scatter_of_blocks(bins: &[Bin], is_closed: bool) -> (f64, f64) {
    let blocks: Vec<f64> = bins
        .chunks_exact(2)
        .map(|pair| {
            let seconds: f64 = pair.iter().map(|bin| bin.seconds).sum();
            let due = |bin: &Bin| if is_closed { 0.0 } else { bin.offered };
            pair.iter().map(|bin| bin.succeeded - due(bin)).sum::<f64>() / seconds
        })
        .collect();
    (blocks.len() as f64, stats::variance(&blocks))
}

/// Whether the queue is not stationary: it grows with certainty, and by more than twice what
/// Poisson arrivals and departures (variance 2λT over a stage of T seconds) make of one at its
/// critical load. Without that bound every busy but stable queue looks like a growing one in a
/// short stage.
///
/// A stage of few ticks shows too little of its own scatter to be certain by: a growth that
/// Poisson arrivals and departures make once in a thousand stages counts there as well.
fn grows(stage: &StageSummary, ticks: usize, seconds: f64, base: f64) -> bool {
    let (slope, low, _) = stage.in_flight_slope;
    let is_critical = stage.response.is_some_and(|it| it.p50 > CRITICAL * base);
    let chance = 2.0 * (2.0 * stage.offered / seconds).sqrt();
    let bound = if is_critical { 0.0 } else { chance }.max(GROWTH_SHARE * stage.offered);
    let due = stage.offered * seconds;
    stage.held_back as f64 > HELD_BACK_SHARE * due
        || (low > 0.0 && slope > bound)
        || (ticks < FEW_TICKS && slope > CERTAIN_OF_FEW * chance)
}

/// What `sorted` shows at low load: response times as the medians over the lowest three stages
/// that have some, failures over up to a quarter of the ramp, at least two stages.
pub fn base(sorted: &[CurvePoint]) -> Base {
    let lowest: Vec<Quantiles> = sorted.iter().filter_map(|point| point.response).take(3).collect();
    let median = |of: fn(&Quantiles) -> f64| {
        stats::median(&lowest.iter().map(of).collect::<Vec<_>>()).unwrap_or(0.0)
    };
    let count = (sorted.len() / 4).max(2).min(sorted.len());
    let (failed, completed) = sorted[..count].iter().fold((0, 0), |(failed, completed), point| {
        (failed + point.failed, completed + point.completed)
    });
    Base {
        p50: median(|it| it.p50),
        p95: median(|it| it.p95),
        errors: failed as f64 / completed.max(1) as f64,
    }
}

/// Index of the first stage from which on the response time stays twice as long as `base` while
/// the queue grows: three stages running, or all that there are, at least two.
pub fn takeoff(sorted: &[CurvePoint], base: &Base) -> Option<usize> {
    (0..sorted.len()).find(|&at| {
        let run = &sorted[at..(at + 3).min(sorted.len())];
        let grown = run.iter().filter(|point| point.grows).count();
        let slow = run.iter().all(|point| point.is_slow(base, 2.0));
        run.len() >= 2 && slow && sorted[at].grows && 2 * grown > run.len()
    })
}

/// Index of the first stage from which on errors are certain: above 1 % and five times the
/// `baseline`, there and in most of the stages above.
pub fn errors_from(sorted: &[CurvePoint], baseline: f64) -> Option<usize> {
    let bound = ERROR_RATIO.max(ERROR_FACTOR * baseline);
    let failing = |point: &CurvePoint| point.error_ratio_low() > bound;
    (0..sorted.len()).find(|&at| {
        let rest = &sorted[at..];
        failing(&rest[0]) && 2 * rest.iter().filter(|point| failing(point)).count() > rest.len()
    })
}

/// Index of the stage at which the errors set in that are certain from the stage `at` on: the lowest
/// of those next to it that have some, beyond the `baseline` and chance.
pub fn onset(sorted: &[CurvePoint], baseline: f64, at: usize) -> usize {
    let bound = ONSET_RATIO.max(ERROR_FACTOR * baseline);
    let below = sorted[..at].iter().rev();
    at - below.take_while(|point| point.error_ratio_low() > bound).count()
}

#[cfg(test)]
mod tests {
    use crate::diagnose::simulated::held;
    use crate::timeline::{Moment, StageRole, Window};

    use super::*;

    #[test]
    fn certain_growth_of_a_critical_queue_counts_below_the_bound_of_chance() {
        let window = Window::new(Moment::START, Moment::START + std::time::Duration::from_secs(6));
        let mut stage = held(StageRole::Ramp, window, 100.0);
        // Chance makes up to 2·√(2·100/6) = 11.5 a second of a critical queue.
        stage.in_flight_slope = (11.0, 8.0, 14.0);
        let grows_at = |p50: f64, stage: &mut StageSummary| {
            let quantiles = Quantiles { mean: p50, p50, p90: p50, p95: p50, p99: p50, max: p50 };
            stage.response = Some(quantiles);
            grows(stage, 12, 6.0, 0.012)
        };
        assert!(!grows_at(0.2, &mut stage));
        assert!(grows_at(0.3, &mut stage));
        stage.in_flight_slope = (11.0, -1.0, 23.0);
        assert!(!grows_at(0.3, &mut stage));
    }
}
