//! The response time of a span in parts, told from outside by Little's law (Little 1961): the mean
//! number of requests in a part, divided by the throughput, is the seconds that a request spends
//! there.
//!
//! The whole is taken the same way, requests in flight divided by throughput, so that the parts
//! and the whole agree even while a queue grows. Parts may overlap, as an asynchronous service
//! computes for one request while another waits; then they rank and do not stack.
//!
//! What the target has read and does nothing for that was looked at is told from the requests that
//! its sockets owe an answer to: it is located, not explained.

use crate::diagnose::terms::bounds;
use crate::diagnose::terms::growth::{Gain, Growth};
use crate::diagnose::terms::operand::{Over, bare, labelled};
use crate::diagnose::terms::part::PartKind;
use crate::diagnose::terms::span::Span;
use crate::timeline::{Labels, LoadTick, MetricSpec, Selector, Window, names};

use super::facts::{DATABASE, Facts, Narrow};
use super::level::level;
use super::mean::MeanLevel;

/// Completions and arrivals differ by no more than this where flow is balanced.
pub const FLOW_BALANCE: f64 = 0.02;

/// The response time of one span in parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// Requests per second that the schedule asked for in the span.
    pub arrivals: f64,
    /// Responses and failures per second.
    pub completions: f64,
    /// Requests in flight by throughput, in seconds.
    pub response: f64,
    /// Parts that have data, in order of [`PartKind::ALL`].
    pub parts: Vec<PartTime>,
}

/// One part of a split.
#[derive(Clone, Debug, PartialEq)]
pub struct PartTime {
    /// Which part.
    pub kind: PartKind,
    /// The service that is waited for, where it is one.
    pub peer: Option<String>,
    /// Seconds per request, never more than the response time.
    pub seconds: f64,
    /// The same as it was counted. Connections of a pool that wait for nothing, or work for no
    /// request, can make that more.
    pub counted: f64,
    /// Standard error of that.
    pub error: f64,
}

/// `facts` that know what the response time gained from baseline to the knee.
pub fn with_growth(facts: Facts) -> Facts {
    let growth = growth(&facts);
    facts.with_growth(growth)
}

/// Compares baseline and knee; `None` without load at one of them.
fn growth(facts: &Facts) -> Option<Growth> {
    let baseline = split(facts, &facts.windows(Span::Baseline))?;
    let knee = split(facts, &facts.windows(Span::Knee))?;
    let mut parts: Vec<Gain> = knee
        .parts
        .iter()
        .map(|part| Gain {
            kind: part.kind,
            peer: part.peer.clone(),
            baseline: baseline.seconds(part.kind, part.peer.as_deref()),
            knee: part.seconds,
        })
        .collect();
    let own = |split: &Split| split.seconds(PartKind::Generator, None);
    let total = (knee.response - own(&knee)) - (baseline.response - own(&baseline));
    // The rest of the growth, not the growth of the rests: parts that overlap at one end only
    // would leave more unexplained than there is.
    let rests = [PartKind::Generator, PartKind::InTarget, PartKind::Unexplained];
    let explained: f64 = parts
        .iter()
        .filter(|gain| !rests.contains(&gain.kind))
        .map(|gain| (gain.knee - gain.baseline).max(0.0))
        .sum();
    let mut rest = (total - explained).max(0.0);
    for kind in [PartKind::InTarget, PartKind::Unexplained] {
        let is_last = kind == PartKind::Unexplained;
        if let Some(gain) = parts.iter_mut().find(|gain| gain.kind == kind) {
            let own = if is_last { rest } else { (gain.knee - gain.baseline).clamp(0.0, rest) };
            gain.knee = gain.baseline + own;
            rest -= own;
        }
    }
    Some(Growth { total, parts })
}

impl Split {
    fn seconds(&self, kind: PartKind, peer: Option<&str>) -> f64 {
        let same = |part: &&PartTime| part.kind == kind && part.peer.as_deref() == peer;
        self.parts.iter().find(same).map_or(0.0, |part| part.seconds)
    }

    /// Whether as many requests ended as arrived, so that no queue grew.
    pub fn is_balanced(&self) -> bool {
        (self.arrivals - self.completions).abs() <= FLOW_BALANCE * self.arrivals
    }
}

/// More than the whole was counted for a part where it is this many of its standard errors more,
const EXCESS_ERRORS: f64 = 2.0;
/// and by this share of the whole.
const EXCESS: f64 = 0.05;

impl PartTime {
    /// Whether more was counted for it than the whole of `response`, beyond its error.
    pub fn exceeds(&self, response: f64) -> bool {
        self.counted > response * (1.0 + EXCESS) + EXCESS_ERRORS * self.error
    }

    /// What it is, in words for reports.
    pub fn name(&self) -> String {
        self.kind.name(self.peer.as_deref())
    }
}

/// Collects parts as levels, which divided by the throughput are seconds per request.
struct Parts<'f> {
    facts: &'f Facts<'f>,
    windows: &'f [Window],
    throughput: f64,
    response: f64,
    parts: Vec<PartTime>,
}

impl Parts<'_> {
    fn level(&self, metric: &MetricSpec) -> Option<MeanLevel> {
        level(self.facts, &bare(metric), self.windows)
    }

    fn selected(&self, selector: &Selector) -> Option<MeanLevel> {
        level(self.facts, selector, self.windows)
    }

    fn add(&mut self, kind: PartKind, level: Option<MeanLevel>) {
        self.add_peer(kind, None, level);
    }

    fn add_peer(&mut self, kind: PartKind, peer: Option<String>, level: Option<MeanLevel>) {
        if let Some(level) = level {
            let counted = level.value.max(0.0) / self.throughput;
            let seconds = counted.min(self.response);
            let error = level.error / self.throughput;
            self.parts.push(PartTime { kind, peer, seconds, counted, error });
        }
    }

    fn sum(&self) -> f64 {
        self.parts.iter().map(|part| part.seconds).sum()
    }

    /// Calls to the database for which no session is busy: they wait in a pooler, or on the way.
    /// Where most calls have their session, the rest is what two collectors count differently.
    fn in_front_of_database(&self) -> Option<MeanLevel> {
        if !self.facts.database_is_watched() {
            return self.level(&names::POOLER_CLIENTS).and_then(|_| {
                self.selected(&labelled(&names::POOLER_CLIENTS, &[("state", "waiting")]))
            });
        }
        let calls = self.selected(&labelled(&names::TCP_CALLS, &[("peer", DATABASE)]))?;
        let busy = ["active", "idle in transaction*"]
            .map(|state| self.selected(&labelled(&names::DB_SESSIONS, &[("state", state)])));
        let busy: f64 = busy.into_iter().flatten().map(|level| level.value).sum();
        // An answer that has arrived waits for the target.
        let arrived = [("peer", DATABASE), ("role", "outbound")];
        let arrived = self.selected(&labelled(&names::TCP_UNREAD, &arrived));
        let rest = calls.value - busy - arrived.map_or(0.0, |level| level.value);
        (rest >= bounds::MOST.value * calls.value && rest >= bounds::SEVERAL.value)
            .then_some(MeanLevel { value: rest, ..calls })
    }

    /// Callers that wait for a connection, or for a place of another pool: the running total misses none, but counts a wait when
    /// it ends; where a queue grows, the number that waits is right.
    fn pool_wait(&self, is_balanced: bool) -> Option<MeanLevel> {
        let total = || self.level(&names::POOL_WAIT_TIME);
        let pending = || self.level(&names::POOL_PENDING);
        let slots = || self.level(&names::SLOTS_WAITING);
        let connections =
            if is_balanced { total().or_else(pending) } else { pending().or_else(total) };
        match (connections, slots()) {
            (Some(one), Some(other)) => Some(MeanLevel {
                value: one.value + other.value,
                error: one.error.hypot(other.error),
            }),
            (one, other) => one.or(other),
        }
    }

    /// Threads that wait on a futex which others wait on too, beyond those that wait there at low
    /// load: those are workers without work. No more of them than there are requests in work hold
    /// one, and callers that wait for a connection are counted as such where a pool tells of them.
    fn in_line(&self, is_balanced: bool) -> Option<MeanLevel> {
        self.level(&names::THREADS_FUTEX_SAME)?;
        let untimed = labelled(&names::THREADS_ON_FUTEX, &[("wait", "!timed")]);
        let baseline = self.facts.windows(Span::Baseline);
        let rise = |futex: String| {
            let one = [Narrow { label: "futex".to_owned(), value: futex }];
            let on = |windows: &[Window]| self.facts.level_of(&untimed, Over::Sum, windows, &one);
            Some((on(self.windows)? - on(&baseline).unwrap_or(0.0)).max(0.0))
        };
        let futexes = self.facts.label_values(&[&untimed], "futex");
        let threads: f64 = futexes.into_iter().filter_map(rise).sum();
        let served = self.level(&names::TCP_REQUESTS_SERVED).map_or(f64::MAX, |level| level.value);
        let pooled = self.pool_wait(is_balanced).map_or(0.0, |level| level.value);
        Some(MeanLevel { value: (threads.min(served) - pooled).max(0.0), error: 0.0 })
    }
}

/// The parts of the response time in `windows`, the unexplained rest last; `None` without load.
pub fn split(facts: &Facts, windows: &[Window]) -> Option<Split> {
    let of = |metric: &MetricSpec| level(facts, &bare(metric), windows).map(|level| level.value);
    let throughput = of(&names::LOAD_THROUGHPUT).filter(|throughput| *throughput > 0.0)?;
    let response = match of(&names::LOAD_IN_FLIGHT) {
        Some(in_flight) => (in_flight + of(&names::LOAD_BACKLOG).unwrap_or(0.0)) / throughput,
        None => of(&names::LOAD_RESPONSE_TIME)?,
    };
    let arrivals = of(&names::LOAD_OFFERED).unwrap_or(throughput);
    let mut split = Split { arrivals, completions: throughput, response, parts: Vec::new() };
    let is_balanced = split.is_balanced();
    let mut parts = Parts { facts, windows, throughput, response, parts: Vec::new() };
    parts.add(PartKind::AppCpu, parts.level(&names::PROCESS_CPU_TIME));
    parts.add(PartKind::RunQueue, parts.level(&names::PROCESS_RUN_QUEUE_TIME));
    parts.add(PartKind::Throttled, parts.level(&names::CGROUP_CPU_THROTTLED_TIME));
    for kind in PartKind::ALL {
        if let Some(selector) = kind.sessions() {
            parts.add(kind, parts.selected(&selector));
        }
    }
    parts.add(PartKind::PoolWait, parts.pool_wait(is_balanced));
    parts.add(PartKind::PoolerWait, parts.in_front_of_database());
    let called = peers(facts, windows, &names::TCP_CALLS);
    let called =
        if called.is_empty() { peers(facts, windows, &names::CLIENT_CALL_TIME) } else { called };
    for (peer, level) in called {
        parts.add_peer(PartKind::Downstream, Some(peer), Some(level));
    }
    for (peer, level) in peers(facts, windows, &names::TCP_CONNECTING) {
        parts.add_peer(PartKind::PeerConnect, Some(peer), Some(level));
    }
    parts.add(PartKind::DiskWait, parts.level(&names::THREADS_BLOCKED_IO));
    parts.add(PartKind::LockWait, parts.in_line(is_balanced));
    parts.add(PartKind::WorkerWait, parts.level(&names::WORKERS_QUEUE));
    let inside = parts.sum();
    let unread = parts.selected(&labelled(&names::TCP_UNREAD, &[("role", "inbound")]));
    let arrived = parts.level(&names::TCP_REQUESTS);
    parts.add(PartKind::Unread, unread);
    parts.add(PartKind::AcceptQueue, parts.level(&names::TCP_ACCEPT_QUEUE));
    parts.add(PartKind::Connect, on_average(facts, windows, |tick| tick.connect_time.sum()));
    let resolving = on_average(facts, windows, |tick| tick.phases.dns.sum());
    let resolving = resolving.map_or(0.0, |level| level.value);
    let own = parts.level(&names::LOAD_BACKLOG);
    let own = own.map(|level| MeanLevel { value: level.value + resolving, ..level });
    parts.add(PartKind::Generator, own);
    let mut rest = (response - parts.sum()).max(0.0);
    if let Some(arrived) = arrived {
        let read = (arrived.value - unread.map_or(0.0, |unread| unread.value)) / throughput;
        let seconds = (read - inside).clamp(0.0, rest);
        let error = arrived.error / throughput;
        rest -= seconds;
        let kind = PartKind::InTarget;
        parts.parts.push(PartTime { kind, peer: None, seconds, counted: seconds, error });
        parts.parts.sort_by_key(|part| part.kind);
    }
    let kind = PartKind::Unexplained;
    parts.parts.push(PartTime { kind, peer: None, seconds: rest, counted: rest, error: 0.0 });
    split.parts = parts.parts;
    Some(split)
}

/// How many requests do something at a time, of which each tick tells how many seconds it took.
fn on_average(
    facts: &Facts,
    windows: &[Window],
    seconds_of: impl Fn(&LoadTick) -> f64,
) -> Option<MeanLevel> {
    let (mut spent, mut seconds) = (0.0, 0.0);
    for tick in facts.ticks(windows) {
        spent += seconds_of(tick);
        seconds += tick.window.secs();
    }
    (seconds > 0.0).then(|| MeanLevel { value: spent / seconds, error: 0.0 })
}

/// The level of a metric for each peer; not for the database where its sessions tell more.
fn peers(facts: &Facts, windows: &[Window], metric: &MetricSpec) -> Vec<(String, MeanLevel)> {
    let is_told = |peer: &String| !(facts.database_is_watched() && facts.is_database(peer));
    let peers = facts.label_values(&[&bare(metric)], "peer").into_iter().filter(is_told);
    peers
        .filter_map(|peer| {
            let labels = Labels::none().with("peer", peer.as_str());
            let selector = Selector { metric: metric.name.to_owned(), labels };
            level(facts, &selector, windows).map(|level| (peer, level))
        })
        .collect()
}
