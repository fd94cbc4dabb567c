//! Pools that no table of known names has, recognised by the shape of their gauges: a level that
//! never exceeds a constant sibling and follows the load.
//!
//! One scrape cannot tell a pool from a cache or a heap, so this looks at the whole run. A pool is
//! given back what it lent: its level falls again and again, and it is low while the load is low.
//! What a pool holds follows from its name, and otherwise from what moves with it.
//!
//! The recognised gauges are added under the shared names: connections to a database as `pool.…`,
//! workers as `workers.…`, and everything else as `slots.…`, which no rule takes for a database's.

mod gauge_name;

use std::collections::BTreeMap;

use gauge_name::{GaugeName, Holds, Role};

use crate::diagnose::terms::operand::{Over, labelled};
use crate::diagnose::terms::span::Span;
use crate::diagnose::terms::stats;
use crate::timeline::{
    Kind, Labels, MetricSpec, Point, Selector, Series, SeriesKey, Unit, Window, names,
};

use super::facts::{DATABASE, Facts, ShapedPool};

/// Fewer looks than this show no behaviour.
const FEW_LOOKS: usize = 5;
/// No process has more connections, workers or permits: larger numbers are bytes.
const MOST_PLACES: f64 = 1e6;
/// A name that says nothing of a pool needs this many falls of its level, and this share of the
/// steps in which it changes at all. What is kept, such as a cache, only grows.
const FALLS: usize = 3;
const SHARE_OF_FALLS: f64 = 0.25;
/// At low load at most this share of the places is in use: what is full without load is not full
/// because of it.
const ROOM_AT_LOW_LOAD: f64 = 0.75;
/// Two counts are of the same things where they differ by at most this share, or by this number.
const SAME_SHARE: f64 = 0.25;
const SAME_COUNT: f64 = 0.5;
/// Fewer in use than this do not show what moves with them.
const LEAST_IN_USE: f64 = 0.7;

/// The facts with the pools that are recognised by shape.
pub fn with_pools(facts: Facts<'_>) -> Facts<'_> {
    let mut found = Vec::new();
    for gauges in candidates(&facts).values() {
        if let Some(pool) = recognise(&facts, gauges) {
            found.push(shared(&facts, &pool));
        }
    }
    found.into_iter().fold(facts, |facts, (pool, series)| facts.with_pool(pool, series))
}

/// A gauge with what its name says.
struct Gauge<'f> {
    name: GaugeName,
    key: &'f SeriesKey,
    series: &'f Series,
}

impl Gauge<'_> {
    fn quoted(&self) -> String {
        format!("`{}`", self.key.metric)
    }

    /// The number of places, if it is a whole number that stays the same.
    fn constant(&self) -> Option<f64> {
        let first = self.series.points.first()?.value;
        let is_count = first.fract() == 0.0 && (1.0..=MOST_PLACES).contains(&first);
        let stays = self.series.points.iter().all(|point| point.value == first);
        (is_count && stays).then_some(first)
    }
}

/// Gauges that may belong together, by the stem of their names.
fn candidates<'f>(facts: &'f Facts) -> BTreeMap<Vec<String>, Vec<Gauge<'f>>> {
    let mut by_stem: BTreeMap<Vec<String>, Vec<Gauge>> = BTreeMap::new();
    for (key, series) in facts.scraped() {
        let is_level = series.kind == Kind::Gauge
            && matches!(series.unit, Unit::Unknown | Unit::Count)
            && series.points.len() >= FEW_LOOKS;
        if let Some(name) = is_level.then(|| gauge_name::read(key)).flatten() {
            by_stem.entry(name.stem.clone()).or_default().push(Gauge { name, key, series });
        }
    }
    by_stem
}

/// A pool as its gauges show it.
struct Recognised<'g> {
    used: Vec<Point>,
    /// Where the level comes from: one gauge, or the difference of two.
    level: String,
    limit: &'g Gauge<'g>,
    most: f64,
    waiting: Option<&'g Gauge<'g>>,
    holds: Option<Holds>,
}

/// The pool among gauges of one stem, where they behave like one.
fn recognise<'g>(facts: &Facts, gauges: &'g [Gauge<'g>]) -> Option<Recognised<'g>> {
    let of = |role| gauges.iter().filter(move |gauge| gauge.name.role == role);
    let mut limits: Vec<(&Gauge, f64)> =
        of(Role::Limit).filter_map(|gauge| Some((gauge, gauge.constant()?))).collect();
    // The smallest limit binds, but a `size` may be what is open now.
    limits.sort_by(|(a, least), (b, most)| {
        let called = b.name.is_called_limit.cmp(&a.name.is_called_limit);
        called.then(least.total_cmp(most))
    });
    let levels = levels(gauges);
    for (limit, most) in limits {
        let found = levels.iter().find(|(used, _)| behaves(facts, used, most, &limit.name));
        let Some((used, level)) = found else { continue };
        if is_known(facts, used) {
            return None;
        }
        return Some(Recognised {
            used: used.clone(),
            level: level.clone(),
            limit,
            most,
            waiting: of(Role::Waiting).next(),
            holds: gauges.iter().find_map(|gauge| gauge.name.holds),
        });
    }
    None
}

/// The levels that may be what is in use, each with where it comes from.
fn levels(gauges: &[Gauge]) -> Vec<(Vec<Point>, String)> {
    let of = |role| gauges.iter().filter(move |gauge| gauge.name.role == role);
    let told: Vec<_> =
        of(Role::Used).map(|gauge| (gauge.series.points.clone(), gauge.quoted())).collect();
    if !told.is_empty() {
        return told;
    }
    // Only the free places are exported: the others are in use.
    let mut less = Vec::new();
    for open in of(Role::Limit) {
        for idle in of(Role::Idle) {
            let points = difference(open.series, idle.series);
            less.push((points, format!("{} less {}", open.quoted(), idle.quoted())));
        }
    }
    less
}

/// The points of one series less those of another at the same moments.
fn difference(open: &Series, idle: &Series) -> Vec<Point> {
    let idle: BTreeMap<_, f64> = idle.points.iter().map(|point| (point.at, point.value)).collect();
    let less = |point: &Point| {
        let idle = idle.get(&point.at)?;
        Some(Point { at: point.at, value: point.value - idle })
    };
    open.points.iter().filter_map(less).collect()
}

/// Whether a level behaves like what is in use of `limit` places that are lent and given back.
fn behaves(facts: &Facts, used: &[Point], limit: f64, name: &GaugeName) -> bool {
    let fits = used.iter().all(|point| (0.0..=limit).contains(&point.value));
    if used.len() < FEW_LOOKS || !fits {
        return false;
    }
    let steps = || used.windows(2).map(|pair| pair[1].value - pair[0].value);
    let falls = steps().filter(|step| *step < 0.0).count();
    let changes = steps().filter(|step| *step != 0.0).count();
    let is_lent = match (name.is_called_pool, name.holds.is_some()) {
        (true, true) => changes > 0,
        (true, false) | (false, true) => falls > 0,
        (false, false) => {
            let is_count = used.iter().all(|point| point.value.fract() == 0.0);
            is_count && falls >= FALLS && falls as f64 >= SHARE_OF_FALLS * changes as f64
        }
    };
    let low = mean_within(used, &facts.windows(Span::Baseline));
    let has_knee = mean_within(used, &facts.windows(Span::Knee)).is_some();
    let follows = low.is_none_or(|low| !has_knee || low <= ROOM_AT_LOW_LOAD * limit);
    is_lent && follows
}

/// Whether a table of known names has recorded this level already.
fn is_known(facts: &Facts, used: &[Point]) -> bool {
    let known = [
        labelled(&names::POOL_CONNECTIONS, &[("state", "used")]),
        labelled(&names::WORKERS_BUSY, &[]),
    ];
    known.iter().flat_map(|known| facts.series(known, &[])).any(|series| series.points == used)
}

fn mean_within(points: &[Point], windows: &[Window]) -> Option<f64> {
    let within = points.iter().filter(|point| windows.iter().any(|it| it.contains(point.at)));
    stats::mean(&within.map(|point| point.value).collect::<Vec<f64>>())
}

/// What a pool holds, and how that is known.
enum Content {
    Database(String),
    Calls(String),
    Workers,
    Unknown,
}

/// What the pool holds: by its name, otherwise by what moves with it.
fn content(facts: &Facts, pool: &Recognised) -> Content {
    let by_name = || "by its name".to_owned();
    match pool.holds {
        Some(Holds::DatabaseConnections) => return Content::Database(by_name()),
        Some(Holds::Calls) => return Content::Calls(by_name()),
        Some(Holds::Workers) => return Content::Workers,
        None => {}
    }
    let moves = |what: &Selector| {
        let same = |span| {
            let windows = facts.windows(span);
            let used = mean_within(&pool.used, &windows)?;
            let other = facts.level_of(what, Over::Sum, &windows, &[])?;
            Some((used, (used - other).abs() <= SAME_COUNT.max(SAME_SHARE * used)))
        };
        let knee = same(Span::Knee).is_some_and(|(used, same)| same && used >= LEAST_IN_USE);
        knee && same(Span::Baseline).is_none_or(|(_, same)| same)
    };
    let database = labelled(&names::TCP_CALLS, &[("peer", DATABASE)]);
    let calls = labelled(&names::TCP_CALLS, &[]);
    let mut peers = facts.label_values(&[&calls], "peer");
    peers.retain(|peer| !facts.is_database(peer));
    let to = |metric: &MetricSpec, peer: &str| labelled(metric, &[("peer", peer)]);
    let mut called: Vec<&String> =
        peers.iter().filter(|peer| moves(&to(&names::TCP_CALLS, peer))).collect();
    if facts.knows_databases() && moves(&database) && called.is_empty() {
        return Content::Database("as many calls to the database are in flight".to_owned());
    }
    if let (Some(peer), true) = (called.pop(), called.is_empty()) {
        return Content::Calls(format!("as many calls to {peer} are in flight"));
    }
    // A pool keeps its connections: at the knee there are as many sockets as it has places.
    let at_knee = facts.windows(Span::Knee);
    let has_sockets = |peer: &str| {
        let outbound = &[("peer", peer), ("role", "outbound"), ("state", "established")];
        let sockets = labelled(&names::TCP_SOCKETS, outbound);
        let level = facts.level_of(&sockets, Over::Sum, &at_knee, &[]);
        level.is_some_and(|level| (level - pool.most).abs() <= SAME_COUNT)
    };
    let connected: Vec<&String> = peers.iter().filter(|peer| has_sockets(peer)).collect();
    if facts.knows_databases() && has_sockets(DATABASE) && connected.is_empty() {
        return Content::Database(format!("the target has {:.0} connections to it", pool.most));
    }
    match connected.as_slice() {
        [peer] if !has_sockets(DATABASE) => {
            Content::Calls(format!("the target has {:.0} connections to {peer}", pool.most))
        }
        _ => Content::Unknown,
    }
}

/// The pool and its series under the shared names.
fn shared(facts: &Facts, pool: &Recognised) -> (ShapedPool, Vec<(SeriesKey, Series)>) {
    let name = &pool.limit.name.pool;
    let (used, limit, waiting, what) = match content(facts, pool) {
        Content::Database(how) => (
            &names::POOL_CONNECTIONS,
            &names::POOL_LIMIT,
            &names::POOL_PENDING,
            format!("a pool of connections to the database ({how})"),
        ),
        Content::Workers => (
            &names::WORKERS_BUSY,
            &names::WORKERS_LIMIT,
            &names::WORKERS_QUEUE,
            "a pool of workers (by its name)".to_owned(),
        ),
        Content::Calls(how) => (
            &names::SLOTS_USED,
            &names::SLOTS_LIMIT,
            &names::SLOTS_WAITING,
            format!("a pool of connections to another service ({how})"),
        ),
        Content::Unknown => (
            &names::SLOTS_USED,
            &names::SLOTS_LIMIT,
            &names::SLOTS_WAITING,
            "a pool; what it holds is unknown".to_owned(),
        ),
    };
    let own = Labels::none().with("pool", name.as_str());
    let endpoint = pool.limit.key.labels.get("endpoint");
    let own = endpoint.map_or(own.clone(), |endpoint| own.with("endpoint", endpoint));
    let state = match used.name == names::POOL_CONNECTIONS.name {
        true => own.clone().with("state", "used"),
        false => own.clone(),
    };
    let series = |metric: &MetricSpec, labels: Labels, points: &[Point]| {
        let (unit, kind) = (metric.unit, metric.kind);
        let collector = pool.limit.series.collector.clone();
        let series = Series { unit, kind, collector, points: points.to_vec() };
        (SeriesKey::new(metric.name, labels), series)
    };
    let mut all = vec![
        series(used, state, &pool.used),
        series(limit, own.clone(), &pool.limit.series.points),
    ];
    all.extend(pool.waiting.map(|gauge| series(waiting, own, &gauge.series.points)));
    let how = format!(
        "`{name}` is read as {what}: {} never exceeds {}, which stays at {:.0}, and follows the load",
        pool.level,
        pool.limit.quoted(),
        pool.most
    );
    (ShapedPool { pool: name.clone(), metric: used.name, how }, all)
}

#[cfg(test)]
mod tests;
