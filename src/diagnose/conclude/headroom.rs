//! How much a system can carry, from a time in which nobody searched for its limit.
//!
//! The utilization law (Denning and Buzen 1978): of a resource of which there are `m`, and of which a
//! request keeps `D` seconds busy, at most `m / D` requests per second can be served. `D` is the slope
//! of what is busy against the requests that end, through the minutes of the recording, so that work
//! in the background does not count as work for requests. It is an extrapolation, and says from
//! which loads.
//!
//! A test of the load finds its knee where the rules call a resource full, or a little later where it
//! is used up: the interval of a limit reaches from the one to the other.
//!
//! A resource can be run up to a share of `ρ = (m + 1)^(-1/m)` of it without queues that matter: there
//! a line through the origin touches the curve of the response time (Schwartz after Millsap, on queues
//! of `m` servers).

mod bins;
mod demand;

use bins::Bin;
use demand::Demand;

use super::predict::{Resource, resources_within};
use super::scaling;
use crate::diagnose::measure::facts::Facts;
use crate::diagnose::measure::pools;
use crate::diagnose::rules::ruleset::RuleSet;
use crate::diagnose::terms::model::Windows;
use crate::diagnose::terms::room::{Headroom, Interval, Need, ResourceRoom, Wanted};
use crate::diagnose::terms::span::Span;
use crate::diagnose::terms::{bounds, wording};
use crate::recording::Recording;
use crate::timeline::{Timeline, Unit, names};

/// A limit at more than so many times the highest load seen is none: less than a quarter of the resource
/// was ever in use, and something that was not measured is likely to be full before.
const FAR: f64 = 4.0;
/// Fewest bins that tell a demand.
const FEWEST_BINS: usize = 8;
/// A resource is one of these requests where it is known in this share of the bins: a thread that does
/// nearly all of the work in some bins only can pass it on to others.
const KNOWN: f64 = 0.8;
/// A limit that is known only to lie between two loads of which one is more than so many times the
/// other is not known.
const WIDEST: f64 = 2.0;
/// A search finds a knee to within this share of the true limit (simulated queues of 1 to 64 servers,
/// ramps that end at 1.1 to 2 times the limit: knees at 0.97 to 1.02 of it).
const SEARCHED: f64 = 0.03;
/// Beyond this many times the highest load seen, an answer is an extrapolation.
const BEYOND: f64 = 1.2;

/// How much `recording` says that its target can carry, and what `wanted` requests per second need.
pub fn headroom(recording: &Recording, rules: &RuleSet, wanted: Option<f64>) -> Headroom {
    let timeline = &recording.timeline;
    let bins = bins::bins(timeline);
    let good: Vec<&Bin> = bins.iter().filter(|bin| bin.is_good).collect();
    let rates = || bins.iter().map(|bin| bin.rate);
    let seen = rates().reduce(f64::min).zip(rates().reduce(f64::max));
    let mut room = Headroom {
        seen,
        carried_well: good.iter().map(|bin| bin.rate).reduce(f64::max),
        instances: instances(timeline),
        ..Headroom::default()
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
    let open = resources(&facts, rules, &good, &mut room);
    let highest = seen.map_or(0.0, |(_, highest)| highest);
    // What is full somewhere, and nobody knows where, may be full before all that is known.
    let is_open = |limit: &Interval| open.iter().filter_map(|it| it.at).any(|at| at < limit.rate);
    room.limit =
        first(&room.resources).filter(|limit| limit.rate <= FAR * highest && !is_open(limit));
    let is_far = |untold: &Untold| untold.at.is_some_and(|at| at > FAR * highest);
    let open: Vec<&str> = open.iter().filter(|it| !is_far(it)).map(|it| it.why.as_str()).collect();
    if !open.is_empty() {
        room.caveats.push(format!("no limit can be told for {}", open.join("; ")));
    }
    if room.resources.is_empty() {
        room.caveats.push(
            "no resource has both a use and a limit here: record the CPU of the target with its \
             limit, or pools with their sizes"
                .to_owned(),
        );
    }
    room.caveats.extend(full_machine(&facts));
    room.wanted = wanted.map(|rate| needed(rate, &room));
    let (low, high) = seen.unwrap_or_default();
    let loads = format!("loads of {} to {} were seen", wording::number(low), wording::rate(high));
    match room.limit {
        Some(limit) if limit.rate > BEYOND * high => room.caveats.push(format!(
            "this is an extrapolation: {loads}, and a limit that was not measured may bind before"
        )),
        None if !room.resources.is_empty() => room.caveats.push(format!(
            "{loads}, which is too little to tell what is full first: it may also be a lock, a pool that \
             is not measured or a limit of a called service; search for it with a load test"
        )),
        _ => {}
    }
    room
}

/// What a machine that is full of other work says of the target's CPU.
fn full_machine(facts: &Facts) -> Option<String> {
    let run = facts.windows(Span::Run);
    let cores = facts.metric(&names::SYSTEM_CPU_CORES, &run)?;
    let busy = facts.metric(&names::SYSTEM_CPU_UTILIZATION, &run)?;
    let target = facts.metric(&names::PROCESS_CPU_TIME, &run)?;
    let is_other = busy >= bounds::FULL_MACHINE.value && target < bounds::MOST.value * busy * cores;
    is_other.then(|| {
        format!(
            "the machine's cores were {} busy, mostly with other processes: while they are, the \
             target gets less CPU than it may use, and reaches its limit earlier",
            wording::percent(busy)
        )
    })
}

/// Where the first of these is full. Of several that are nearly equal, nobody knows which comes first.
fn first(resources: &[ResourceRoom]) -> Option<Interval> {
    let least = |of: fn(&Interval) -> f64| {
        resources.iter().map(|resource| of(&resource.carries)).reduce(f64::min)
    };
    Some(Interval {
        rate: least(|carries| carries.rate)?,
        low: least(|carries| carries.low)?,
        high: least(|carries| carries.high)?,
    })
}

/// A resource with what was busy of it in each bin.
struct Used {
    resource: Resource,
    points: Vec<(f64, f64)>,
}

/// A resource whose limit cannot be told.
struct Untold {
    /// Which one, and why not.
    why: String,
    /// Requests per second at which it is full by the one line that fits best, where its use is that of
    /// these requests.
    at: Option<f64>,
}

/// Adds what each resource allows, by its use in the bins that were carried well. Returns those of which
/// that cannot be told.
fn resources(facts: &Facts, rules: &RuleSet, bins: &[&Bin], room: &mut Headroom) -> Vec<Untold> {
    let mut uses: Vec<Used> = Vec::new();
    for bin in bins {
        for resource in resources_within(facts, rules, bin.window) {
            let point = (bin.rate, resource.demand * bin.rate);
            match uses.iter_mut().find(|known| known.resource.name == resource.name) {
                Some(known) => known.points.push(point),
                None => uses.push(Used { resource, points: vec![point] }),
            }
        }
    }
    let mut open = Vec::new();
    // What nothing uses is no limit of these requests.
    uses.retain(|used| used.points.iter().any(|point| point.1 > 0.0));
    for used in uses {
        match told(used, bins.len(), room.instances) {
            Ok(resource) => room.resources.push(resource),
            Err(untold) => open.push(untold),
        }
    }
    room.resources.sort_by(|a, b| a.carries.rate.total_cmp(&b.carries.rate));
    open
}

fn told(used: Used, bins: usize, instances: Option<usize>) -> Result<ResourceRoom, Untold> {
    let Used { resource, points } = used;
    let name = &resource.name;
    if points.len() < FEWEST_BINS || (points.len() as f64) < KNOWN * bins as f64 {
        let why = format!("{name} (its use is known in too few bins)");
        return Err(Untold { why, at: None });
    }
    let Some(demand) = Demand::of(&points) else {
        let why = format!("{name} (its use does not rise with the load)");
        return Err(Untold { why, at: None });
    };
    let (full, empty) =
        (demand.reaches(resource.full() * resource.limit), demand.reaches(resource.limit));
    let carries = Interval {
        rate: empty.rate,
        low: (1.0 - SEARCHED) * full.low,
        high: (1.0 + SEARCHED) * empty.high,
    };
    // Also not: one that would be in use up already at the loads that were carried.
    if carries.high > WIDEST * carries.low {
        let why = format!(
            "{name} (its use does not follow the load closely: full somewhere between {} and {})",
            wording::short_rate(carries.low),
            wording::rate(carries.high)
        );
        let is_theirs = demand.background() < bounds::MOST.value * resource.limit;
        return Err(Untold { why, at: is_theirs.then_some(carries.rate) });
    }
    let each = resource.is_of_an_instance().then_some(instances).flatten().unwrap_or(1).max(1);
    let share = safe_share(resource.limit / each as f64);
    Ok(ResourceRoom {
        demand: demand.per_request(),
        background: demand.background(),
        carries,
        safe: demand.reaches(share * resource.limit).rate,
        per_instance: resource.is_of_an_instance(),
        name: resource.name,
        limit: resource.limit,
        unit: resource.unit,
        points,
    })
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
        amount: amount(rate, resource),
        now: resource.limit,
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

/// How much of a resource carries `rate` without queues that matter. Of places that are counted there
/// are so many that 99 of 100 requests wait for one at most as long as they keep it (Erlang C).
fn amount(rate: f64, resource: &ResourceRoom) -> f64 {
    let demand = resource.demand.rate;
    let places = match resource.unit {
        Unit::Cores => None,
        _ => scaling::pool_size(rate, demand, demand),
    };
    match places {
        Some(places) => f64::from(places) + resource.background,
        None => (rate * demand + resource.background) / safe_share(resource.limit),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::diagnose::terms::stats::Random;
    use crate::recording::{Environment, PlanSummary};
    use crate::timeline::{
        Batch, BatchBuilder, EndpointTick, Histogram, Labels, LoadTick, MetricSpec, Moment,
        ResponseClass, Window,
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
