//! What open requests hold of a resource: a queue is not a leak. Descriptors that are the sockets of
//! requests that wait, of streams or of sessions come back with their end, and so do the connections
//! of a pool.

use crate::diagnose::measure::facts::Facts;
use crate::diagnose::terms::operand::{Operand, Over, bare, labelled};
use crate::timeline::{Moment, Point, Selector, Window, names};

use super::leak::{self, Context, LeakAnalysis, LeakVerdict};

/// Most descriptors that one open request may hold: its socket, one of a call, a file and a pipe.
const DESCRIPTORS_EACH: f64 = 4.0;
/// Most threads, or connections to others, that it may hold.
const CONNECTIONS_EACH: f64 = 2.0;
/// Most bytes of memory that it may hold: buffers, parsed bodies and a stack.
const BYTES_EACH: f64 = 4_194_304.0;

/// What open requests hold of one series.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// How many requests, sessions and connections of the load are open over time.
    open: Vec<Point>,
    /// How much of the series one of them may hold, at most.
    each: f64,
    /// How much of the series they hold for certain, where that was measured.
    known: Vec<Point>,
}

impl Held {
    /// What is held of the series of `metric` in `window`; `process` is the one it belongs to.
    pub fn of(facts: &Facts, metric: &str, process: Option<&str>, window: Window) -> Self {
        let each = each(metric);
        if each == 0.0 {
            return Self::default();
        }
        let open = open(facts, window);
        let known = if metric == names::POOL_CONNECTIONS.name {
            open.clone()
        } else if counts_sockets(metric) {
            clients_sockets(facts, process, window)
        } else {
            Vec::new()
        };
        Self { open, each, known }
    }

    /// The analysis of a series. One that seems to grow is analysed again without what is known to
    /// be held.
    pub fn analyse(&self, points: &[Point], context: &Context) -> LeakAnalysis {
        let context = Context { held: &self.open, each: self.each, ..*context };
        let whole = leak::analyse(points, &context);
        if matches!(whole.verdict, LeakVerdict::NoLeak { .. }) || self.known.is_empty() {
            return whole;
        }
        leak::analyse(&self.rest(points), &context)
    }

    /// A series without what is known to be held of it.
    pub fn rest(&self, points: &[Point]) -> Vec<Point> {
        let rest = |point: &Point| {
            let held = value_at(&self.known, point.at);
            Point { value: (point.value - held).max(0.0), ..*point }
        };
        points.iter().map(rest).collect()
    }
}

fn each(metric: &str) -> f64 {
    if counts_sockets(metric) {
        DESCRIPTORS_EACH
    } else if [&names::POOL_CONNECTIONS, &names::DB_SESSIONS, &names::PROCESS_THREADS]
        .iter()
        .any(|it| it.name == metric)
    {
        CONNECTIONS_EACH
    } else if metric.starts_with("process.memory.") || metric == names::RUNTIME_HEAP_USED.name {
        BYTES_EACH
    } else {
        0.0
    }
}

/// Whether the connections of clients are part of what `metric` counts.
fn counts_sockets(metric: &str) -> bool {
    [&names::PROCESS_OPEN_FDS, &names::PROCESS_FDS, &names::TCP_SOCKETS]
        .iter()
        .any(|it| it.name == metric)
}

/// How many requests and sessions are open over time, or how many connections kneepoint has more
/// than at least, where those are more.
fn open(facts: &Facts, window: Window) -> Vec<Point> {
    let of = |metric| looks(facts, bare(metric), window);
    let (sessions, own) = (of(&names::WEBSOCKET_SESSIONS), of(&names::GENERATOR_OPEN_FDS));
    let least = own.iter().map(|point| point.value).fold(f64::INFINITY, f64::min);
    let open = |point: &Point| {
        let requests = point.value + value_at(&sessions, point.at);
        let connections = if own.is_empty() { 0.0 } else { value_at(&own, point.at) - least };
        Point { value: requests.max(connections), ..*point }
    };
    of(&names::LOAD_IN_FLIGHT).iter().map(open).collect()
}

/// The sockets that clients hold open, as far as the target has accepted them: none that a client
/// has closed. Never more than a process has sockets.
fn clients_sockets(facts: &Facts, process: Option<&str>, window: Window) -> Vec<Point> {
    let inbound = labelled(&names::TCP_SOCKETS, &[("role", "inbound"), ("state", "!close_wait")]);
    let waiting = looks(facts, bare(&names::TCP_ACCEPT_QUEUE), window);
    let mut labels = vec![("type", "socket")];
    labels.extend(process.map(|process| ("process", process)));
    let own = looks(facts, labelled(&names::PROCESS_FDS, &labels), window);
    let held = |point: &Point| {
        let accepted = point.value - value_at(&waiting, point.at);
        let most = if own.is_empty() { accepted } else { value_at(&own, point.at) };
        Point { value: accepted.min(most).max(0.0), ..*point }
    };
    looks(facts, inbound, window).iter().map(held).collect()
}

/// The sum over the series of a selector at each look inside `window`.
pub fn looks(facts: &Facts, selector: Selector, window: Window) -> Vec<Point> {
    let operand = Operand { over: Over::Sum, selectors: vec![selector], by: None };
    let looks = facts.looks_at(&operand, window, &[]);
    let looks = looks.into_values().flatten();
    let mut points: Vec<Point> = looks.map(|(at, value)| Point { at, value }).collect();
    points.sort_by_key(|point| point.at);
    points
}

/// The value of a series at a moment, by linear interpolation; 0 where it has no points.
pub fn value_at(points: &[Point], at: Moment) -> f64 {
    let next = points.partition_point(|point| point.at < at);
    let (Some(left), Some(right)) =
        (points.get(next.saturating_sub(1)), points.get(next.min(points.len().saturating_sub(1))))
    else {
        return 0.0;
    };
    let apart = right.at.secs() - left.at.secs();
    let share = if apart > 0.0 { (at.secs() - left.at.secs()) / apart } else { 0.0 };
    left.value + (right.value - left.value) * share.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests;
