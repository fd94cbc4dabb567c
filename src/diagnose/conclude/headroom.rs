//! How much a system can carry, from a time in which nobody searched for its limit.
//!
//! The utilization law (Denning and Buzen 1978): of a resource of which there are `m`, and of which a
//! request keeps `D` seconds busy, at most `m / D` requests per second can be served. `D` is the slope
//! of what is busy against the requests that end, through the minutes of the recording (Theil 1950, Sen
//! 1968), so that work in the background does not count as work for requests. It is an extrapolation,
//! and says from which loads.
//!
//! A resource can be run up to a share of `ρ = (m + 1)^(-1/m)` of it without queues that matter: there
//! a line through the origin touches the curve of the response time (Schwartz after Millsap, on queues
//! of `m` servers).

use serde::{Deserialize, Serialize};

use super::predict::resources_within;
use crate::diagnose::measure::facts::Facts;
use crate::diagnose::measure::pools;
use crate::diagnose::rules::ruleset::RuleSet;
use crate::diagnose::terms::model::{Interval, Windows};
use crate::diagnose::terms::stats::{self, Random};
use crate::diagnose::terms::{bounds, wording};
use crate::recording::Recording;
use crate::timeline::{LoadTick, Timeline, Unit, Window, names};

/// Most bins that a recording is cut into, and ticks of one at least: with fewer a mean says little.
const MOST_BINS: usize = 120;
const USUAL_TICKS: usize = 4;
/// A short recording is cut into shorter bins, so that there are this many: what a mean of few ticks
/// says less, more bins say more, as long as a counter is read twice in each.
const SHORT_RECORDING: usize = 16;
const FEWEST_TICKS: usize = 2;
/// Fewest bins that tell a demand.
const FEWEST_BINS: usize = 8;
/// The load varied where its bins differ by this share of their mean.
const VARIED: f64 = 0.2;
/// A bin was carried well where at most this share of its requests failed beyond what always does,
const FAILED: f64 = 0.01;
/// and its mean response time is at most this many times the usual one of the least loaded half.
const SLOWER: f64 = 1.5;
/// Resampled bins for one interval, and the share of them that lies outside it.
const RESAMPLED: usize = 400;
const OUTSIDE: f64 = 0.05;
/// A demand that is less sure than this share of it predicts nothing.
const UNSURE: f64 = 0.5;

/// How much can be carried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Headroom {
    /// Lowest and highest load of a bin, in requests per second.
    pub seen: Option<(f64, f64)>,
    /// Highest load that was carried well, in requests per second.
    pub carried_well: Option<f64>,
    /// Instances of the target, where that is known.
    pub instances: Option<usize>,
    /// Resources with a limit, the first that is used up first.
    pub resources: Vec<ResourceRoom>,
    /// What a wanted load needs.
    pub wanted: Option<Wanted>,
    /// What a reader has to know.
    pub caveats: Vec<String>,
}

/// How much one resource allows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResourceRoom {
    /// What it is, such as `the target's CPU`.
    pub name: String,
    /// How much of it there is.
    pub limit: f64,
    /// Unit of the limit.
    pub unit: Unit,
    /// Seconds of it that a request keeps busy, with the interval (`rate`, `low`, `high`).
    pub demand: Interval,
    /// How much of it is busy without requests.
    pub background: f64,
    /// Requests per second at which it is used up, with the interval.
    pub carries: Interval,
    /// Requests per second up to which it has no queue that matters.
    pub safe: f64,
    /// Whether more instances bring more of it.
    pub per_instance: bool,
}

/// What a wanted load needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    /// Requests per second.
    pub rate: f64,
    /// What each resource needs.
    pub needs: Vec<Need>,
    /// Instances that all resources of an instance need, where their number today is known.
    pub instances: Option<u64>,
    /// The first resource that more instances do not bring, and that binds before the wanted load.
    pub shared: Option<String>,
}

/// How much of a resource a wanted load needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Need {
    /// Which one.
    pub name: String,
    /// How much of it, without queues that matter.
    pub amount: f64,
    /// Its unit.
    pub unit: Unit,
}

/// One bin of the load.
struct Bin {
    window: Window,
    /// Requests per second that ended.
    rate: f64,
    /// Share of them that failed.
    errors: f64,
    /// Their mean response time in seconds.
    time: f64,
    is_good: bool,
}

/// How much `recording` says that its target can carry, and what `wanted` requests per second need.
pub fn headroom(recording: &Recording, rules: &RuleSet, wanted: Option<f64>) -> Headroom {
    let timeline = &recording.timeline;
    let bins = bins(timeline);
    let good: Vec<&Bin> = bins.iter().filter(|bin| bin.is_good).collect();
    let rates: Vec<f64> = bins.iter().map(|bin| bin.rate).collect();
    let seen = rates.iter().copied().reduce(f64::min).zip(rates.iter().copied().reduce(f64::max));
    let mut room = Headroom {
        seen,
        carried_well: good.iter().map(|bin| bin.rate).reduce(f64::max),
        instances: instances(timeline),
        resources: Vec::new(),
        wanted: None,
        caveats: Vec::new(),
    };
    if good.len() < FEWEST_BINS {
        room.caveats.push(format!(
            "only {} of load were carried well, at least {FEWEST_BINS} are needed to tell a demand: \
             read a longer time",
            wording::plural(good.len() as u64, "bin", "bins")
        ));
        return room;
    }
    let windows = Windows {
        baseline: good.iter().map(|bin| bin.window).collect(),
        knee: good.iter().map(|bin| bin.window).collect(),
        ..Windows::default()
    };
    let facts = pools::with_pools(Facts::of_target(recording, timeline, &windows));
    room.resources = resources(&facts, rules, &good, &mut room.caveats);
    if room.resources.is_empty() {
        room.caveats.push(
            "no resource has both a use and a limit here: record the CPU of the target with its \
             limit, or pools with their sizes"
                .to_owned(),
        );
    }
    room.wanted = wanted.map(|rate| needed(rate, &room));
    let (low, high) = seen.unwrap_or_default();
    let beyond = room.resources.first().is_some_and(|first| first.carries.rate > 1.2 * high);
    if beyond {
        room.caveats.push(format!(
            "this is an extrapolation: loads of {} to {} were seen, and a limit that was not \
             measured may bind before",
            wording::number(low),
            wording::rate(high)
        ));
    }
    room
}

/// The recording in bins of equal length.
fn bins(timeline: &Timeline) -> Vec<Bin> {
    let count = timeline.ticks.len();
    let usual = (count / SHORT_RECORDING).clamp(FEWEST_TICKS, USUAL_TICKS);
    let each = usual.max(count.div_ceil(MOST_BINS));
    let parts = timeline.ticks.chunks(each).filter(|part| part.len() == each);
    let mut bins: Vec<Bin> = parts.filter_map(bin).collect();
    let rates: Vec<f64> = bins.iter().map(|bin| bin.rate).collect();
    let middle = stats::median(&rates).unwrap_or(0.0);
    let usual = |of: &dyn Fn(&Bin) -> f64| {
        let quiet = bins.iter().filter(|bin| bin.rate <= middle);
        stats::median(&quiet.map(of).collect::<Vec<_>>()).unwrap_or(0.0)
    };
    let (failing, slow) = (usual(&|bin| bin.errors), usual(&|bin| bin.time));
    for bin in &mut bins {
        bin.is_good = bin.errors <= failing + FAILED && bin.time <= SLOWER * slow;
    }
    bins
}

/// The ticks of a bin together; `None` without requests.
fn bin(ticks: &[LoadTick]) -> Option<Bin> {
    let (first, last) = (ticks.first()?, ticks.last()?);
    let window = Window::new(first.window.begin, last.window.end);
    let all: u64 = ticks.iter().map(LoadTick::completed).sum();
    let good: u64 = ticks.iter().map(LoadTick::succeeded).sum();
    let times = ticks.iter().flat_map(|tick| &tick.endpoints);
    let time: f64 = times.map(|endpoint| endpoint.response_time.sum()).sum();
    let count = all as f64;
    (all > 0 && window.secs() > 0.0).then(|| Bin {
        window,
        rate: count / window.secs(),
        errors: (all - good) as f64 / count,
        time: time / count,
        is_good: false,
    })
}

/// What each resource allows, by its use in the bins that were carried well.
fn resources(
    facts: &Facts,
    rules: &RuleSet,
    bins: &[&Bin],
    caveats: &mut Vec<String>,
) -> Vec<ResourceRoom> {
    let mut uses: Vec<(ResourceRoom, Vec<(f64, f64)>)> = Vec::new();
    for bin in bins {
        for resource in resources_within(facts, rules, bin.window) {
            let point = (bin.rate, resource.demand * bin.rate);
            match uses.iter_mut().find(|(known, _)| known.name == resource.name) {
                Some((_, points)) => points.push(point),
                None => {
                    let nothing = Interval { rate: 0.0, low: 0.0, high: 0.0 };
                    let room = ResourceRoom {
                        per_instance: resource.is_of_an_instance(),
                        name: resource.name,
                        limit: resource.limit,
                        unit: resource.unit,
                        demand: nothing,
                        background: 0.0,
                        carries: nothing,
                        safe: 0.0,
                    };
                    uses.push((room, vec![point]));
                }
            }
        }
    }
    let mut rooms = Vec::new();
    for (room, points) in uses {
        match told(room, &points) {
            Ok(room) => rooms.push(room),
            Err(why) => caveats.push(why),
        }
    }
    rooms.sort_by(|a, b| a.carries.rate.total_cmp(&b.carries.rate));
    rooms
}

fn told(room: ResourceRoom, points: &[(f64, f64)]) -> Result<ResourceRoom, String> {
    let name = &room.name;
    if points.len() < FEWEST_BINS {
        return Err(format!("{name}: its use is known in too few bins"));
    }
    let Some((demand, background)) = fit(points) else {
        return Err(format!("{name}: its use does not rise with the load"));
    };
    let mut random = Random::new(1);
    let mut slopes: Vec<f64> = (0..RESAMPLED)
        .filter_map(|_| {
            let draw = || points.get(random.below(points.len())).copied();
            let drawn: Vec<(f64, f64)> =
                std::iter::repeat_with(draw).take(points.len()).flatten().collect();
            fit(&drawn).map(|(demand, _)| demand)
        })
        .collect();
    slopes.sort_by(f64::total_cmp);
    let quantile = |share: f64| stats::quantile(&slopes, share).unwrap_or(demand);
    let (low, high) =
        (quantile(OUTSIDE / 2.0).min(demand), quantile(1.0 - OUTSIDE / 2.0).max(demand));
    if high - low > 2.0 * UNSURE * demand {
        return Err(format!(
            "{name}: its use does not follow the load closely enough to tell a limit"
        ));
    }
    let left = (room.limit - background).max(0.0);
    let share = safe_share(room.limit);
    Ok(ResourceRoom {
        demand: Interval { rate: demand, low, high },
        background,
        carries: Interval { rate: left / demand, low: left / high, high: left / low },
        safe: (share * room.limit - background).max(0.0) / demand,
        ..room
    })
}

/// Slope and intercept of what is busy against the load, neither below zero. Where the load hardly
/// varied, all of it is taken to be for requests.
fn fit(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let (x, y): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    let each: Vec<f64> = points.iter().filter(|(x, _)| *x > 0.0).map(|(x, y)| y / x).collect();
    let whole = stats::median(&each)?;
    let varied = stats::relative_spread(&x).is_some_and(|spread| spread >= VARIED);
    let (slope, background) = match stats::theil_sen(&x, &y).filter(|_| varied) {
        None => (whole, 0.0),
        Some(slope) => {
            let rest: Vec<f64> = points.iter().map(|(x, y)| y - slope * x).collect();
            match stats::median(&rest)? {
                // A line that meets the axis below zero bends upwards: what a request needs grows.
                rest if rest < 0.0 => (slope.max(whole), 0.0),
                rest => (slope, rest),
            }
        }
    };
    (slope > 0.0 && slope.is_finite()).then_some((slope, background))
}

/// Share of a resource of `m` servers up to which its queue does not matter.
fn safe_share(m: f64) -> f64 {
    let m = m.max(1.0);
    (m + 1.0).powf(-1.0 / m).min(bounds::FULL_TARGET.value)
}

/// How many instances the recording has of the target.
fn instances(timeline: &Timeline) -> Option<usize> {
    let count = timeline.series_of(names::PROCESS_START_TIME.name).count();
    (count > 0).then_some(count)
}

fn needed(rate: f64, room: &Headroom) -> Wanted {
    let need = |resource: &ResourceRoom| Need {
        name: resource.name.clone(),
        amount: (rate * resource.demand.rate + resource.background) / safe_share(resource.limit),
        unit: resource.unit,
    };
    let now = room.instances.map(|count| count as f64);
    let of_instances = room.resources.iter().filter(|resource| resource.per_instance);
    let most = of_instances
        .filter(|resource| resource.safe > 0.0)
        .map(|resource| rate / resource.safe)
        .reduce(f64::max);
    let shared =
        room.resources.iter().find(|resource| !resource.per_instance && resource.safe < rate);
    Wanted {
        rate,
        needs: room.resources.iter().map(need).collect(),
        instances: now.zip(most).map(|(now, times)| (now * times).ceil().max(1.0) as u64),
        shared: shared.map(|resource| resource.name.clone()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::recording::{Environment, PlanSummary};
    use crate::timeline::{
        Batch, BatchBuilder, EndpointTick, Histogram, Labels, MetricSpec, Moment, ResponseClass,
    };

    /// A day of 15 s scrapes: each request needs 20 ms of 4 cores, beside 0.3 cores for nothing.
    fn day(noise: f64) -> Recording {
        let mut random = Random::new(7);
        let mut timeline = Timeline::default();
        let mut cpu = 0.0;
        for scrape in 0..960_u32 {
            let wave = (f64::from(scrape) / 960.0 * std::f64::consts::TAU).sin();
            let rate = 50.0 + 30.0 * wave;
            let begin = Moment::START + Duration::from_secs(15) * scrape;
            let window = Window::new(begin, begin + Duration::from_secs(15));
            let count = (rate * 15.0).round() as u64;
            let mut times = Histogram::new();
            times.record_many(Duration::from_millis(25), count);
            timeline.ticks.push(LoadTick {
                offered: count,
                sent: count,
                endpoints: vec![EndpointTick {
                    endpoint: "GET /".to_owned(),
                    class: ResponseClass::Status(200),
                    response_time: times.clone(),
                    service_time: times,
                }],
                ..LoadTick::empty(window, "observed")
            });
            cpu += 15.0 * (0.02 * rate * (1.0 + noise * random.normal()) + 0.3);
            let mut batch = BatchBuilder::new();
            let mut push = |metric: &MetricSpec, value| {
                batch.push_labelled(metric, Labels::none().with("process", "a"), value);
            };
            push(&names::PROCESS_CPU_TIME, cpu);
            push(&names::PROCESS_CPU_ALLOWED, 4.0);
            push(&names::PROCESS_START_TIME, 1.7e9);
            let at = Window::new(window.end, window.end);
            let readings = batch.finish();
            timeline.push_batch(Batch { collector: "process".into(), window: at, readings });
        }
        Recording {
            plan: PlanSummary::default(),
            environment: Environment::default(),
            timeline,
            events: Vec::new(),
            stop: None,
        }
    }

    #[test]
    fn a_limit_is_predicted_from_a_day_below_it() {
        let room = headroom(&day(0.05), RuleSet::builtin(), Some(370.0));
        let cpu = room.resources.first().expect("a resource");
        // (4 - 0.3) / 0.02
        let right = 185.0;
        assert!(cpu.carries.low <= right && right <= cpu.carries.high, "{cpu:?}");
        assert!((cpu.carries.rate / right - 1.0).abs() < 0.1, "{cpu:?}");
        assert!((cpu.background - 0.3).abs() < 0.15, "{cpu:?}");
        assert!(cpu.per_instance);
        assert!((room.carried_well.unwrap() - 80.0).abs() < 1.0);
        assert!(room.caveats.iter().any(|caveat| caveat.contains("extrapolation")));
        let wanted = room.wanted.unwrap();
        // Each instance is run up to 0.669 of its four cores.
        assert_eq!(wanted.instances, Some(4), "{wanted:?}");
        assert_eq!(wanted.shared, None);
    }

    #[test]
    fn what_is_run_up_to_is_that_of_the_tangent() {
        for (m, share) in [(1.0, 0.5), (4.0, 0.669), (8.0, 0.7598)] {
            assert!((safe_share(m) - share).abs() < 0.001, "{m}");
        }
    }

    #[test]
    fn too_little_says_so_and_predicts_nothing() {
        let mut short = day(0.05);
        short.timeline.ticks.truncate(12);
        let room = headroom(&short, RuleSet::builtin(), None);
        assert!(room.resources.is_empty());
        assert!(room.caveats[0].contains("read a longer time"), "{:?}", room.caveats);
    }
}
