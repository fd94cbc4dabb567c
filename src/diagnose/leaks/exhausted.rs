//! Whether a resource has reached its limit and stays there: a quick leak is over before a trend can
//! be seen, and what is never given back is gone after so many requests, at whatever rate they come.

use crate::diagnose::measure::facts::Facts;
use crate::diagnose::terms::bounds::{FULL_POOL, MOST};
use crate::diagnose::terms::operand::{Over, bare, labelled};
use crate::diagnose::terms::span::Span;
use crate::diagnose::terms::{stats, wording};
use crate::timeline::{MetricSpec, Moment, Point, Selector, Window, names};

use super::held::{Held, looks};
use super::leak::AT_LIMIT;

/// Share of its last level below which a series must have begun to have grown to its limit.
const BEGAN: f64 = 0.7;
/// Fewest readings that tell where a series stands.
const READINGS: usize = 2;
/// The end of the load that is looked at, as a share of the load and in seconds, at least.
const END_SHARE: f64 = 0.1;
const END_SECONDS: f64 = 5.0;
/// Share of the offered load up to which nothing succeeds, and from which on all of it does.
const NOTHING_SUCCEEDS: f64 = 0.05;
const ALL_SUCCEEDS: f64 = 0.9;

/// A resource that ran out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UsedUp {
    /// When it reached its limit.
    pub at: Moment,
    /// Its lowest level before.
    pub begin: f64,
    /// Growth per second until then.
    pub pace: f64,
}

/// How a series came to its limit, where it did and stays there to its end although what open
/// requests hold of it is taken off.
pub fn used_up(points: &[Point], limit: f64, held: &Held) -> Option<UsedUp> {
    let tenth = points.len().div_ceil(10).max(READINGS);
    let last = points.get(points.len().checked_sub(tenth)?..)?;
    let rest = level(&held.rest(last))?;
    if rest < MOST.value * limit {
        return None;
    }
    filled(points, level(last)?, AT_LIMIT * limit)
}

/// How a series came to `full`, where its last `level` is that much.
fn filled(points: &[Point], level: f64, full: f64) -> Option<UsedUp> {
    if level < full {
        return None;
    }
    let reached = points.iter().position(|point| point.value >= full)?;
    let lowest = points[..reached].iter().min_by(|a, b| a.value.total_cmp(&b.value))?;
    let at = points[reached].at;
    let seconds = at.since(lowest.at).as_secs_f64();
    (lowest.value <= BEGAN * level && seconds > 0.0).then(|| UsedUp {
        at,
        begin: lowest.value,
        pace: (level - lowest.value) / seconds,
    })
}

/// The median of some points.
fn level(points: &[Point]) -> Option<f64> {
    let values: Vec<f64> = points.iter().map(|point| point.value).collect();
    stats::median(&values).filter(|_| values.len() >= READINGS)
}

fn within(points: &[Point], window: Window) -> &[Point] {
    let at = |moment| points.partition_point(|point| point.at < moment);
    &points[at(window.begin)..at(window.end)]
}

/// The first of all readings to the last, as descriptors are watched: up to the end of the load, or
/// of a stage.
pub fn from_start(until: Moment) -> Window {
    Window::new(Moment::START, until)
}

/// When the load ended: the beginning of the time without load, or the end of the recording.
pub fn load_end(facts: &Facts) -> Moment {
    let end = whole(facts).end;
    facts.windows(Span::Recovery).first().map_or(end, |window| window.begin)
}

fn whole(facts: &Facts) -> Window {
    let run = facts.windows(Span::Run);
    run.first().copied().unwrap_or(Window::new(Moment::START, Moment::START))
}

/// When the target ran out of descriptors, and how many it had opened until then.
pub fn descriptors_ran_out(facts: &Facts) -> Option<(Moment, f64)> {
    let window = from_start(load_end(facts));
    let of_process = |metric: &MetricSpec, process: Option<&str>| {
        let labels: Vec<_> = process.map(|process| ("process", process)).into_iter().collect();
        looks(facts, labelled(metric, &labels), window)
    };
    let all = facts.named_series(&bare(&names::PROCESS_OPEN_FDS), &[]);
    let ran_out = all.iter().filter_map(|(key, _)| {
        let process = key.labels.get("process");
        let limit = of_process(&names::PROCESS_OPEN_FDS_LIMIT, process).last()?.value;
        let held = Held::of(facts, names::PROCESS_OPEN_FDS.name, process, window);
        let used_up = used_up(&of_process(&names::PROCESS_OPEN_FDS, process), limit, &held)?;
        Some((used_up.at, limit - used_up.begin))
    });
    ran_out.min_by_key(|it| it.0)
}

/// How the connections of a pool were used up and not given back, where they were.
///
/// A pool at its limit is the rule under overload, and then its connections work. Here they do not:
/// they stay in use when nothing is asked any more, or while nothing succeeds and none of them is at
/// work, or while far fewer requests are open and all succeed.
pub fn never_given_back(facts: &Facts, pool: Option<&str>) -> Option<UsedUp> {
    let whole = whole(facts);
    let labels: Vec<_> = pool.map(|pool| ("pool", pool)).into_iter().collect();
    let used = labelled(&names::POOL_CONNECTIONS, &[&[("state", "used")], &labels[..]].concat());
    let of = |labels: &[(&str, &str)]| {
        let limit = labelled(&names::POOL_LIMIT, labels);
        facts.level_of(&limit, Over::Sum, &[whole], &[])
    };
    let limit = of(&labels).or_else(|| of(&[])).filter(|limit| *limit > 0.0)?;
    let points = looks(facts, used, whole);
    let held = Held::of(facts, names::POOL_CONNECTIONS.name, None, whole);
    let full = FULL_POOL.value * limit;
    let used_in = |window| level(within(&points, window)).filter(|level| *level >= full);
    let unheld = |window| {
        level(&held.rest(within(&points, window))).is_some_and(|rest| rest >= MOST.value * limit)
    };
    let idles = |window| busy(facts, window).is_some_and(|busy| busy < MOST.value * limit);
    let end = end_of_load(facts);
    let succeeds = succeeding(facts, end);
    let after = facts.windows(Span::Recovery).last().map(|it| Window::new(it.middle(), it.end));
    let without_load =
        after.and_then(|after| used_in(after).filter(|_| unheld(after) && idles(after)));
    let under_load = || {
        let fails = succeeds.is_some_and(|share| share <= NOTHING_SUCCEEDS);
        let succeeds = succeeds.is_some_and(|share| share >= ALL_SUCCEEDS);
        used_in(end).filter(|_| (fails && idles(end)) || (succeeds && unheld(end)))
    };
    let level = without_load.or_else(under_load)?;
    filled(&points, level, full)
}

/// The last part of the load.
fn end_of_load(facts: &Facts) -> Window {
    let end = load_end(facts);
    let seconds = (END_SHARE * end.secs()).max(END_SECONDS);
    Window::new(Moment::from_secs_f64((end.secs() - seconds).max(0.0)), end)
}

/// Share of the offered load that succeeds in a window; `None` where none is offered.
fn succeeding(facts: &Facts, window: Window) -> Option<f64> {
    let offered = facts.metric(&names::LOAD_OFFERED, &[window]).filter(|offered| *offered > 0.0)?;
    Some(facts.metric(&names::LOAD_GOODPUT, &[window])? / offered)
}

/// How many connections are at work in a window: sessions that execute or wait for a lock, and calls
/// to other services. `None` where neither the database nor the sockets were watched.
fn busy(facts: &Facts, window: Window) -> Option<f64> {
    let level = |selector: &Selector| facts.level_of(selector, Over::Sum, &[window], &[]);
    let calls = |peer: &[(&str, &str)]| level(&labelled(&names::TCP_CALLS, peer));
    let sessions = level(&labelled(&names::DB_SESSIONS, &[("state", "active")]));
    match sessions.filter(|_| facts.database_is_watched()) {
        Some(sessions) => Some(sessions + calls(&[("peer", "!$database")]).unwrap_or(0.0)),
        None => calls(&[]),
    }
}

/// Something that ran out for good.
#[derive(Clone, Debug, PartialEq)]
pub struct RanOut {
    /// What it means, as the second half of a sentence.
    pub what: String,
    /// When it reached its limit.
    pub at: Moment,
}

/// All that ran out and was not given back by the end of the load.
pub fn ran_out(facts: &Facts) -> Vec<RanOut> {
    let mut found = Vec::new();
    let used = labelled(&names::POOL_CONNECTIONS, &[("state", "used")]);
    let mut pools: Vec<Option<String>> =
        facts.label_values(&[&used], "pool").into_iter().map(Some).collect();
    if pools.is_empty() {
        pools.push(None);
    }
    for pool in pools {
        if let Some(used_up) = never_given_back(facts, pool.as_deref()) {
            let name = pool.map_or_else(String::new, |pool| format!(" `{pool}`"));
            let what = format!("connections of the pool{name} are taken and never given back");
            found.push(RanOut { what, at: used_up.at });
        }
    }
    if let Some((at, _)) = descriptors_ran_out(facts) {
        let what = "the target opens descriptors and never closes them; none is left".to_owned();
        found.push(RanOut { what, at });
    }
    found.extend(sessions_ran_out(facts));
    found.sort_by_key(|it| it.at);
    found
}

/// Connections to the database that are opened and neither used nor closed, up to what it admits.
fn sessions_ran_out(facts: &Facts) -> Option<RanOut> {
    let whole = whole(facts);
    let limit = facts.metric(&names::DB_CONNECTIONS_LIMIT, &[whole]).filter(|it| *it > 0.0)?;
    let points = looks(facts, bare(&names::DB_CONNECTIONS), whole);
    let end = end_of_load(facts);
    let level = level(within(&points, end))?;
    let fails = succeeding(facts, end).is_some_and(|share| share <= NOTHING_SUCCEEDS);
    let idles = busy(facts, end).is_some_and(|busy| busy < MOST.value * limit);
    let used_up = filled(&points, level, AT_LIMIT * limit).filter(|_| fails && idles)?;
    let what = format!(
        "all {} connections that the database admits are taken, and most are idle",
        wording::number(limit)
    );
    Some(RanOut { what, at: used_up.at })
}
