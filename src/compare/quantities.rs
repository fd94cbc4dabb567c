//! Every quantity of both builds, before its answer.

mod tracks;

use std::collections::BTreeSet;

use super::bootstrap::SHORTEST_BLOCK;
use super::design::{Design, TIMES_NOISE, Values};
use super::estimate::RunValue;
use super::levels::{Level, Levels};
use super::model::{Change, Measure, Quantity, Subject};
use super::proportion::{self, Failures};
use super::resources::Measured;
use super::sample::{Bracket, Requests, Sample, Slot, StageSample};
use super::sessions::Sessions;
use super::tally::{self, Counts, Tally};
use super::verdict::{Draft, Judged, State};
use super::yardstick::Yardstick;
use super::{bootstrap, bracket};
use crate::diagnose::stats::{self, Random};
use crate::diagnose::wording;

pub use tracks::{Track, tracks};

/// The quantiles that are compared, in rising order.
const QUANTILES: [Measure; 3] = [Measure::P50, Measure::P95, Measure::P99];
/// A quantile is refused where fewer requests than this lie above it.
const FEWEST_ABOVE: f64 = 20.0;
/// Width of a counter of a histogram by its value, at most: two significant digits, see
/// `timeline::Histogram`.
const COUNTER_WIDTH: f64 = 1.0 / 128.0;
/// An error ratio may rise by this much at least: a tenth of what common objectives allow,
const ERROR_FLOOR: f64 = 0.001;
/// and up to half of it where so few requests without a failure show no less.
const ERROR_CEILING: f64 = 0.005;
/// A share of zero in n requests is known to this by n: the square of the normal quantile (Wilson
/// 1927, J. Am. Stat. Assoc. 22:209).
const NONE_FAILED: f64 = 1.96 * 1.96;
/// Memory that a runtime keeps or returns as it likes: the smallest heap that Go's collector aims at
/// is 4 MiB (the Go project's guide to its collector, "GOGC").
const MEMORY_STEP: f64 = 4.0 * 1024.0 * 1024.0;
/// Loads that two runs have in common show how much their ratios scatter from so many on.
const FEWEST_LEVELS: usize = 4;

/// Judges every quantity that was measured in both builds.
pub struct Quantities<'a> {
    design: &'a Design<'a>,
    levels: &'a Levels,
    samples: Vec<&'a Sample>,
    /// Slots of a block of each run.
    blocks: Vec<usize>,
    random: Random,
}

impl<'a> Quantities<'a> {
    pub fn new(design: &'a Design<'a>, levels: &'a Levels, seed: u64) -> Self {
        let samples: Vec<&Sample> = design.runs.all().collect();
        let mut quantities =
            Self { design, levels, samples, blocks: Vec::new(), random: Random::new(seed) };
        quantities.blocks =
            (0..quantities.samples.len()).map(|run| quantities.block(run)).collect();
        quantities
    }

    /// All of them, those of all requests first.
    pub fn drafts(&mut self) -> Vec<Draft> {
        if self.design.fewest_runs() == 0 {
            return Vec::new();
        }
        let mut drafts = self.of_subject(&Subject::All);
        drafts.extend(self.throughput());
        drafts.extend(self.brackets(Measure::Knee, |sample| sample.knee));
        drafts.extend(self.brackets(Measure::Capacity, |sample| sample.capacity));
        drafts.extend(self.resources());
        drafts.extend(self.memory_floor());
        drafts.extend(self.restarts());
        for subject in self.subjects() {
            drafts.extend(self.of_subject(&subject));
        }
        drafts
    }

    fn of_subject(&mut self, subject: &Subject) -> Vec<Draft> {
        if self.levels.matched.is_empty() {
            return Vec::new();
        }
        let mut drafts = self.response_times(subject);
        drafts.extend(self.errors(subject));
        drafts
    }

    /// The requests and tags that every run has, where there are several.
    fn subjects(&self) -> Vec<Subject> {
        let names = |sample: &Sample| sample.endpoints.iter().cloned().collect::<BTreeSet<_>>();
        let mut common = self.samples.iter().map(|sample| names(sample));
        let first = common.next().unwrap_or_default();
        let common = common.fold(first, |all, names| all.intersection(&names).cloned().collect());
        let several = self.samples.iter().any(|sample| sample.endpoints.len() > 1);
        let tags = |sample: &Sample| {
            sample.plan.tags.iter().map(|(tag, _)| tag.clone()).collect::<BTreeSet<_>>()
        };
        let mut tagged = self.samples.iter().map(|sample| tags(sample));
        let first = tagged.next().unwrap_or_default();
        let tagged = tagged.fold(first, |all, tags| all.intersection(&tags).cloned().collect());
        let requests = common.into_iter().map(Subject::Request).filter(|_| several);
        requests.chain(tagged.into_iter().map(Subject::Tag)).collect()
    }

    /// The values of every run, those of the base apart.
    fn split(&self, values: Vec<RunValue>) -> Values {
        let mut base = values;
        let candidate = base.split_off(self.design.runs.base.len());
        Values { base, candidate, ..Values::default() }
    }

    /// The compared slots of a run, by level.
    fn slots(&self, run: usize) -> Vec<Vec<&'a Slot>> {
        let sample = self.samples[run];
        self.levels.matched.iter().map(|level| level.slots_of(run, sample)).collect()
    }

    /// Slots of a block of a run, from its mean response times.
    fn block(&self, run: usize) -> usize {
        let sample = self.samples[run];
        let longest = self.levels.matched.iter().max_by(|a, b| a.seconds.total_cmp(&b.seconds));
        let Some(level) = longest else { return 1 };
        let means: Vec<f64> =
            level.slots_of(run, sample).iter().filter_map(|slot| slot.mean()).collect();
        let seconds = level.stages_of(run, sample).next().map_or(1.0, |stage| stage.slot_seconds);
        bootstrap::block_slots(&means, seconds)
    }

    fn tally(&self, run: usize, subject: &Subject) -> Tally {
        let wanted = self.samples[run].indices(subject);
        let levels: Vec<Vec<Vec<&Counts>>> = self
            .slots(run)
            .iter()
            .map(|slots| slots.iter().map(|slot| slot.times(&wanted)).collect())
            .collect();
        if self.levels.are_long {
            return Tally::of(&levels);
        }
        let units = self.levels.units().into_iter();
        Tally::of(&units.map(|unit| levels[unit].concat()).collect::<Vec<_>>())
    }

    fn response_times(&mut self, subject: &Subject) -> Vec<Draft> {
        let tallies: Vec<Tally> =
            (0..self.samples.len()).map(|run| self.tally(run, subject)).collect();
        let shares = QUANTILES.each_ref().map(|measure| measure.quantile().unwrap_or(0.5));
        let fewest = tallies.iter().map(Tally::count).min().unwrap_or(0);
        let quantiles: Vec<Vec<Option<f64>>> =
            tallies.iter().map(|tally| tally.quantiles(&shares)).collect();
        let noise = self.noise_within(&tallies, &shares);
        let is_any = fewest as f64 * (1.0 - shares[0]) >= FEWEST_ABOVE;
        let mut drafts = Vec::new();
        for (index, (measure, share)) in QUANTILES.into_iter().zip(shares).enumerate() {
            let of = |run: usize| {
                let ln = quantiles[run][index].filter(|value| *value > 0.0)?.ln();
                let (error, degrees) = noise.of_run(run, index);
                Some(RunValue { ln, error, degrees })
            };
            let Some(values) = (0..self.samples.len()).map(of).collect::<Option<Vec<_>>>() else {
                continue;
            };
            let mut values = self.split(values);
            values.joint = noise.joint(index);
            values.step = COUNTER_WIDTH.ln_1p();
            let mut draft = self.design.draft(subject.clone(), measure, &values);
            if (fewest as f64) * (1.0 - share) < FEWEST_ABOVE {
                draft.state = State::Untold { why: too_few(fewest, share), further_runs: None };
            }
            // One refusal speaks for all quantiles.
            if is_any || index == 0 {
                drafts.push(draft);
            }
        }
        drafts
    }

    fn noise_within(&mut self, tallies: &[Tally], shares: &[f64]) -> NoiseWithin {
        let draws = self.design.draws;
        if !self.design.needs_noise_within() {
            return NoiseWithin::default();
        }
        if self.levels.are_long {
            let runs = tallies.iter().zip(&self.blocks);
            let random = &mut self.random;
            let runs = runs
                .map(|(tally, block)| bootstrap::within(tally, *block, shares, draws, random))
                .collect();
            return NoiseWithin { runs, joint: None };
        }
        let joint = match tallies {
            [base, candidate] => {
                Some(bootstrap::paired(base, candidate, shares, draws, &mut self.random))
            }
            _ => None,
        };
        NoiseWithin { runs: Vec::new(), joint }
    }

    /// Share of the requests that failed.
    fn errors(&self, subject: &Subject) -> Option<Draft> {
        let clusters = |run: usize| -> Vec<Failures> {
            let wanted = self.samples[run].indices(subject);
            let mut blocks = Vec::new();
            for (level, slots) in self.levels.matched.iter().zip(self.slots(run)) {
                let block = (slots.len() as f64 * SHORTEST_BLOCK / level.seconds).ceil() as usize;
                blocks.extend(slots.chunks(block.max(1)).map(|slots| failures(slots, &wanted)));
            }
            blocks
        };
        let side = |first: usize, groups: &[Vec<usize>]| -> Option<proportion::Share> {
            let of_group = |group: &Vec<usize>| -> Vec<Failures> {
                group.iter().flat_map(|run| clusters(first + run)).collect()
            };
            let runs: Vec<Vec<Failures>> = groups.iter().map(of_group).collect();
            // Runs are what varies; of a single one, its blocks.
            match &runs[..] {
                [blocks] => proportion::share(blocks),
                _ => proportion::share(&runs.iter().map(|run| total(run)).collect::<Vec<_>>()),
            }
        };
        let Sessions { base, candidate } = &self.design.sessions;
        let (base, candidate) = (side(0, base)?, side(self.design.runs.base.len(), candidate)?);
        let known = self.design.sigma(subject, &Measure::ErrorRatio);
        let budget = self.design.budget(subject, &Measure::ErrorRatio);
        let fewest = base.effective.min(candidate.effective);
        let floor = (TIMES_NOISE * NONE_FAILED / fewest).clamp(ERROR_FLOOR, ERROR_CEILING);
        let allowed = floor.max(budget * base.share);
        let apart = proportion::apart(base, candidate, known.unwrap_or(0.0), allowed);
        let mut quantity = Quantity::new(subject.clone(), Measure::ErrorRatio, allowed);
        quantity.base = Some(base.share);
        quantity.candidate = Some(candidate.share);
        quantity.change = Some(Change {
            estimate: apart.change,
            low: Some(apart.tested.low),
            high: Some(apart.tested.high),
            is_difference: true,
        });
        let judged = Judged {
            tested: apart.tested,
            same_within: allowed,
            is_noise_unknown: self.design.is_one_each() && !self.design.options.noise.is_known(),
            can_reject: apart.can_reject,
            sigma: None,
        };
        Some(Draft::new(quantity, State::Measured(judged)))
    }

    /// What virtual users got answered: with a schedule, that is the schedule's.
    fn throughput(&self) -> Option<Draft> {
        let levels = &self.levels.closed;
        if levels.is_empty() {
            return None;
        }
        let of = |run: usize| {
            let sample = self.samples[run];
            let rates: Vec<f64> = levels
                .iter()
                .flat_map(|level| level.stages_of(run, sample))
                .flat_map(|stage| {
                    stage.slots.iter().map(|slot| slot.succeeded() / stage.slot_seconds)
                })
                .collect();
            let mean = stats::mean(&rates).filter(|mean| *mean > 0.0)?;
            let alike = stats::autocorrelation(&rates).clamp(0.0, 0.99);
            let count = rates.len() as f64 * (1.0 - alike) / (1.0 + alike);
            let error = (stats::variance(&rates) / count.max(1.0)).sqrt() / mean;
            // Several loads scatter on purpose.
            let error = (levels.len() == 1).then_some(error);
            Some(RunValue { ln: mean.ln(), error, degrees: (count - 1.0).max(1.0) })
        };
        let values = (0..self.samples.len()).map(of).collect::<Option<Vec<_>>>()?;
        Some(self.design.draft(Subject::All, Measure::Throughput, &self.split(values)))
    }

    /// Knees and capacities, which lie between two loads.
    fn brackets(&self, measure: Measure, of: impl Fn(&Sample) -> Option<Bracket>) -> Option<Draft> {
        let all = self.samples.iter().map(|sample| of(sample)).collect::<Option<Vec<_>>>()?;
        // One load has no knee to find, and so none that was not reached.
        if all.iter().all(|bracket| bracket.high.is_none())
            && self.samples.iter().all(|sample| sample.stages.len() <= 1)
        {
            return None;
        }
        let (base, candidate) = all.split_at(self.design.runs.base.len());
        let (first, second) = (bracket::together(base)?, bracket::together(candidate)?);
        let known = self.design.sigma(&Subject::All, &measure);
        let sigma = known.unwrap_or(bracket::USUAL_SIGMA);
        let budget = self.design.budget(&Subject::All, &measure);
        let mut quantity = Quantity::new(Subject::All, measure, self.design.allowed(budget, known));
        let allowed = quantity.change_allowed();
        let apart = bracket::of_runs(base, candidate, allowed)
            .unwrap_or_else(|| bracket::apart(first, second, sigma, allowed));
        // A fall of everything is a fall without an end.
        let bounded =
            |ratio: f64| Some(ratio.exp_m1()).filter(|it| it.is_finite() && ratio.is_finite());
        quantity.base = Some(first.rate);
        quantity.candidate = Some(second.rate);
        quantity.run_to_run = bracket::values(base)
            .zip(bracket::values(candidate))
            .and_then(|((base, _), (other, _))| super::estimate::run_to_run(&base, &other));
        // The test has falls as positive.
        quantity.change = Some(Change {
            estimate: apart.change.exp_m1(),
            low: bounded(-apart.tested.high),
            high: bounded(-apart.tested.low),
            is_difference: false,
        });
        if first.high.is_none() && second.high.is_none() {
            let why = "neither build reached it; offer more load".to_owned();
            return Some(Draft::new(quantity, State::Untold { why, further_runs: None }));
        }
        let judged = Judged {
            tested: apart.tested,
            same_within: budget.ln_1p(),
            is_noise_unknown: false,
            can_reject: true,
            sigma: Some(sigma),
        };
        Some(Draft::new(quantity, State::Measured(judged)))
    }

    /// What a request needs of each resource that every run measured.
    fn resources(&self) -> Vec<Draft> {
        let mut measures: Option<BTreeSet<Measure>> = None;
        for run in 0..self.samples.len() {
            let own: BTreeSet<Measure> =
                self.stages(run).flat_map(|(_, stage)| stage.resources.keys().cloned()).collect();
            measures = Some(match measures {
                Some(common) => common.intersection(&own).cloned().collect(),
                None => own,
            });
        }
        let measures = measures.unwrap_or_default();
        measures.into_iter().filter_map(|measure| self.resource(measure)).collect()
    }

    fn resource(&self, measure: Measure) -> Option<Draft> {
        let by_level: Vec<Vec<(f64, Measured)>> = (0..self.samples.len())
            .map(|run| {
                let levels = self.levels.matched.iter();
                levels.filter_map(|level| self.resource_at(run, level, &measure)).collect()
            })
            .collect();
        let values: Vec<RunValue> = by_level.iter().map(|levels| pooled(levels)).collect();
        if values.iter().all(|value| value.ln == f64::NEG_INFINITY) {
            return None;
        }
        let mut values = self.split(values);
        if let [base, candidate] = &by_level[..]
            && self.levels.units().len() >= FEWEST_LEVELS
        {
            values.joint = ratios_apart(base, candidate);
        }
        if measure == Measure::CpuPerRequest {
            values.yardstick = self.yardstick();
        }
        Some(self.positive(measure, &values))
    }

    /// kneepoint's own processor time for a request, in every run.
    fn yardstick(&self) -> Option<Yardstick> {
        let of = |run: usize| {
            let stages: Option<Vec<(f64, Measured)>> = self
                .stages(run)
                .map(|(_, stage)| {
                    let own = Measured { value: stage.own_cpu?, error: None };
                    Some((stage.throughput * stage.slots.len() as f64 * stage.slot_seconds, own))
                })
                .collect();
            Some(pooled(&stages?).ln).filter(|ln| ln.is_finite())
        };
        let mut base = (0..self.samples.len()).map(of).collect::<Option<Vec<f64>>>()?;
        let candidate = base.split_off(self.design.runs.base.len());
        Some(Yardstick { base, candidate })
    }

    /// The mean of the stages of a run at one load, with its weight.
    fn resource_at(&self, run: usize, level: &Level, measure: &Measure) -> Option<(f64, Measured)> {
        let stages: Vec<(f64, Measured)> = level
            .stages_of(run, self.samples[run])
            .filter_map(|stage| Some((stage.throughput, *stage.resources.get(measure)?)))
            .collect();
        let mean = pooled(&stages);
        let weight =
            level.seconds * stats::mean(&stages.iter().map(|it| it.0).collect::<Vec<_>>())?;
        Some((weight, Measured { value: mean.ln.exp(), error: mean.error }))
    }

    fn memory_floor(&self) -> Option<Draft> {
        let of = |run: usize| {
            let floors: Vec<f64> =
                self.stages(run).filter_map(|(_, stage)| stage.memory_floor).collect();
            let mean = stats::mean(&floors).filter(|mean| *mean > 0.0)?;
            // A floor hardly moves within a run.
            Some(RunValue { ln: mean.ln(), error: Some(0.0), degrees: f64::INFINITY })
        };
        let values = (0..self.samples.len()).map(of).collect::<Option<Vec<_>>>()?;
        let mut values = self.split(values);
        let least = values.base.iter().map(|run| run.ln.exp()).reduce(f64::min)?;
        values.least = (MEMORY_STEP / least).ln_1p();
        Some(self.positive(Measure::MemoryFloor, &values))
    }

    /// A quantity that has no ratio where it is zero.
    fn positive(&self, measure: Measure, values: &Values) -> Draft {
        let is_zero = |runs: &[RunValue]| runs.iter().any(|run| run.ln == f64::NEG_INFINITY);
        let zero = is_zero(&values.base) || is_zero(&values.candidate);
        let mut draft = self.design.draft(Subject::All, measure, values);
        if zero {
            draft.quantity.change = None;
            draft.quantity.run_to_run = None;
            let why = "it is zero in at least one run, and zero has no ratio".to_owned();
            draft.state = State::Untold { why, further_runs: None };
        }
        draft
    }

    fn restarts(&self) -> Option<Draft> {
        let (base, candidate) = (self.design.runs.base, self.design.runs.candidate);
        let count = |samples: &[Sample]| samples.iter().map(|sample| sample.restarts).sum::<u64>();
        let seconds = |samples: &[Sample]| samples.iter().map(|sample| sample.seconds).sum::<f64>();
        let (before, after) = (count(base), count(candidate));
        if before + after == 0 {
            return None;
        }
        let (at_least, at_most) =
            proportion::events_apart(before, after, (seconds(base), seconds(candidate)));
        let mean = |count: u64, samples: &[Sample]| Some(count as f64 / samples.len() as f64);
        let mut quantity = Quantity::new(Subject::All, Measure::Restarts, 0.0);
        quantity.base = mean(before, base);
        quantity.candidate = mean(after, candidate);
        let tested = super::estimate::Tested {
            low: f64::NEG_INFINITY,
            high: f64::INFINITY,
            p_worse: at_least,
            p_better: at_most,
        };
        let judged = Judged {
            tested,
            same_within: 0.0,
            is_noise_unknown: self.design.is_one_each(),
            can_reject: true,
            sigma: None,
        };
        Some(Draft::new(quantity, State::Measured(judged)))
    }

    /// The stages of a run at the matched loads.
    fn stages(&self, run: usize) -> impl Iterator<Item = (&'a Level, &'a StageSample)> {
        let sample = self.samples[run];
        let levels = self.levels.matched.iter();
        levels.flat_map(move |level| level.stages_of(run, sample).map(move |stage| (level, stage)))
    }
}

/// How much the quantiles vary within the runs.
#[derive(Default)]
struct NoiseWithin {
    runs: Vec<bootstrap::Scatter>,
    joint: Option<bootstrap::Scatter>,
}

impl NoiseWithin {
    fn of_run(&self, run: usize, index: usize) -> (Option<f64>, f64) {
        let scatter = self.runs.get(run);
        scatter.map_or((None, 0.0), |scatter| (scatter.errors[index], scatter.degrees))
    }

    fn joint(&self, index: usize) -> Option<(f64, f64)> {
        let scatter = self.joint.as_ref()?;
        Some((scatter.errors[index]?, scatter.degrees))
    }
}

impl Sample {
    /// The requests of a subject, by index.
    fn indices(&self, subject: &Subject) -> Vec<usize> {
        let is_wanted = |name: &String| match subject {
            Subject::All => true,
            Subject::Request(wanted) => wanted == name,
            Subject::Tag(wanted) => {
                let mut tags = self.plan.tags.iter();
                tags.any(|(tag, names)| tag == wanted && names.contains(name))
            }
        };
        (0..self.endpoints.len()).filter(|index| is_wanted(&self.endpoints[*index])).collect()
    }
}

impl Slot {
    fn of(&self, wanted: &[usize]) -> impl Iterator<Item = &Requests> {
        wanted.iter().filter_map(|index| self.requests.get(*index))
    }

    fn times(&self, wanted: &[usize]) -> Vec<&Counts> {
        self.of(wanted).map(|requests| &requests.times).collect()
    }

    fn succeeded(&self) -> f64 {
        self.requests.iter().map(|requests| (requests.completed - requests.failed) as f64).sum()
    }

    fn mean(&self) -> Option<f64> {
        tally::mean(self.requests.iter().flat_map(|requests| &requests.times))
    }
}

fn failures(slots: &[&Slot], wanted: &[usize]) -> Failures {
    let mut sum = Failures::default();
    for requests in slots.iter().flat_map(|slot| slot.of(wanted)) {
        sum.failed += requests.failed as f64;
        sum.completed += requests.completed as f64;
    }
    sum
}

fn total(blocks: &[Failures]) -> Failures {
    let mut sum = Failures::default();
    for block in blocks {
        sum.failed += block.failed;
        sum.completed += block.completed;
    }
    sum
}

/// The mean of the levels of a run, weighed by their requests.
fn pooled(levels: &[(f64, Measured)]) -> RunValue {
    let weight: f64 = levels.iter().map(|(weight, _)| weight).sum();
    let sum: f64 = levels.iter().map(|(weight, measured)| weight * measured.value).sum();
    let error = |(weight, measured): &(f64, Measured)| {
        Some((weight * measured.value * measured.error?).powi(2))
    };
    let errors: Option<Vec<f64>> = levels.iter().map(error).collect();
    let error = errors.map(|errors| errors.iter().sum::<f64>().sqrt() / sum);
    let ln = (sum / weight).ln();
    RunValue { ln, error: error.filter(|error| error.is_finite()), degrees: 3.0 }
}

/// How much the ratios of two runs scatter over their common loads: error and degrees.
fn ratios_apart(base: &[(f64, Measured)], candidate: &[(f64, Measured)]) -> Option<(f64, f64)> {
    // What only some levels have is no pair.
    if base.len() != candidate.len() {
        return None;
    }
    let ratios: Vec<f64> = base
        .iter()
        .zip(candidate)
        .map(|((_, base), (_, candidate))| (candidate.value / base.value).ln())
        .filter(|ratio| ratio.is_finite())
        .collect();
    let count = ratios.len() as f64;
    let error = (stats::variance(&ratios) / count).sqrt();
    (ratios.len() >= FEWEST_LEVELS).then_some((error, count - 1.0))
}

/// Requests that a run needs for this quantile.
pub fn requests_for(share: f64) -> f64 {
    (FEWEST_ABOVE / (1.0 - share)).round()
}

fn too_few(requests: u64, share: f64) -> String {
    let needed = requests_for(share);
    format!(
        "a run has only {} at the compared loads; p{} needs {} at least",
        wording::plural(requests, "request", "requests"),
        wording::number(share * 100.0),
        wording::number(needed)
    )
}
