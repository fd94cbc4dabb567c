//! What signals are measured on: the timeline, what follows from it beside it, and the windows.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::diagnose::terms::growth::Growth;
use crate::diagnose::terms::model::Windows;
use crate::diagnose::terms::operand::{Operand, Over, bare, is_census, labelled};
use crate::diagnose::terms::part::PartKind;
use crate::diagnose::terms::span::Span;
use crate::diagnose::terms::stats;
use crate::recording::Recording;
use crate::timeline::{
    Kind, Labels, LoadTick, MetricSpec, Moment, Point, Selector, Series, SeriesKey, Stage,
    Timeline, Window, names,
};

pub use super::peers::DATABASE;
use super::peers::wanted;
use super::unix::Unix;
use super::{derived, mean, peers, services};

/// Runtimes that let their heap grow far before they first collect all of it, by the name of the
/// process.
const LAZY_RUNTIMES: [&str; 2] = ["java", "dotnet"];
/// Requests queue while at least this many are in flight, and this many times as many as in the
/// least busy fifth of the run;
const QUEUED: f64 = 50.0;
const QUEUES: f64 = 10.0;
/// they do for much of a run from this share of it on.
const MUCH: f64 = 0.1;

/// A pool that was recognised by the shape of its gauges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapedPool {
    /// The label `pool` of its series.
    pub pool: String,
    /// The shared metric of what is in use.
    pub metric: &'static str,
    /// One sentence: which gauges, how they were recognised, and what the pool holds.
    pub how: String,
}

/// One value of one label, to which every series that carries the label is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Narrow {
    /// The label.
    pub label: String,
    /// Its value.
    pub value: String,
}

/// A recording as rules see it.
pub struct Facts<'a> {
    timeline: &'a Timeline,
    derived: Timeline,
    windows: &'a Windows,
    database_peers: BTreeSet<String>,
    /// What client metrics call a peer, and what its sockets call it.
    peer_names: BTreeMap<String, String>,
    /// The pools that were recognised by the shape of their gauges, and how.
    pools: Vec<ShapedPool>,
    growth: Option<Growth>,
    /// Whether the target runs on a runtime of [`LAZY_RUNTIMES`].
    is_lazy_runtime: bool,
    /// When requests began to queue, where they did for much of the run.
    queued_from: Option<Moment>,
    /// What is known of calls over UNIX sockets.
    unix: Unix,
}

impl<'a> Facts<'a> {
    /// The facts of `recording`, compared between `windows`.
    pub fn new(recording: &'a Recording, windows: &'a Windows) -> Self {
        Self::of_target(recording, &recording.timeline, windows)
    }

    /// The facts of the target of `recording`, whose series are those of `timeline`.
    pub fn of_target(recording: &Recording, timeline: &'a Timeline, windows: &'a Windows) -> Self {
        let mut facts = Self::of_service(recording, timeline, windows);
        derived::add_plan(&mut facts.derived, &recording.plan);
        facts.derived.series.extend(services::cpu_of_services(timeline, None, None));
        facts.is_lazy_runtime = is_lazy_runtime(recording);
        facts
    }

    /// The facts of one service of `recording`, whose series are those of `timeline`.
    pub fn of_service(recording: &Recording, timeline: &'a Timeline, windows: &'a Windows) -> Self {
        let mut facts = Self::of_timeline(timeline, windows);
        facts.database_peers = peers::databases(timeline, &recording.environment);
        facts.peer_names = peers::names(timeline, &facts.database_peers);
        facts
    }

    /// The facts of a timeline about whose machine nothing is known.
    pub fn of_timeline(timeline: &'a Timeline, windows: &'a Windows) -> Self {
        let unix = Unix::of(timeline);
        let mut facts = Self {
            timeline,
            derived: derived::series(timeline, &unix),
            windows,
            database_peers: BTreeSet::new(),
            peer_names: BTreeMap::new(),
            pools: Vec::new(),
            growth: None,
            is_lazy_runtime: false,
            queued_from: None,
            unix,
        };
        facts.queued_from = facts.first_queue();
        facts.database_peers = timeline
            .series
            .keys()
            .filter(|key| key.metric.starts_with("tcp.") && peers::is_database_key(key))
            .filter_map(|key| key.labels.get("peer").map(str::to_owned))
            .collect();
        facts.peer_names = peers::names(timeline, &facts.database_peers);
        facts
    }

    /// The same with what the response time gained from baseline to the knee.
    pub fn with_growth(self, growth: Option<Growth>) -> Self {
        Self { growth, ..self }
    }

    /// The same with a pool that was recognised by the shape of its gauges.
    pub fn with_pool(mut self, pool: ShapedPool, series: Vec<(SeriesKey, Series)>) -> Self {
        self.derived.series.extend(series);
        self.pools.push(pool);
        self
    }

    /// The pools that were recognised by the shape of their gauges.
    pub fn shaped_pools(&self) -> &[ShapedPool] {
        &self.pools
    }

    /// The series that an endpoint named itself, in order of their names.
    pub fn scraped(&self) -> impl Iterator<Item = (&'a SeriesKey, &'a Series)> + use<'a> {
        self.timeline.series.iter().filter(|(key, _)| !key.metric.contains('.'))
    }

    /// What the response time gained from baseline to the knee, by part; `None` before it was
    /// given, and where it cannot be told.
    pub fn growth(&self) -> Option<&Growth> {
        self.growth.as_ref()
    }

    /// Whether PostgreSQL itself was watched, so that its sessions show what waits for it.
    pub fn database_is_watched(&self) -> bool {
        self.collectors_of(names::DB_SESSIONS.name).next().is_some()
    }

    /// Whether any peer is known to be a PostgreSQL server.
    pub fn knows_databases(&self) -> bool {
        !self.database_peers.is_empty()
    }

    /// The peers that are PostgreSQL servers or lead to one, in order.
    pub fn databases(&self) -> impl Iterator<Item = &str> {
        self.database_peers.iter().map(String::as_str)
    }

    /// Whether `peer` answered as PostgreSQL does.
    pub fn answers_as_database(&self, peer: &str) -> bool {
        let found = labelled(&names::TCP_PEER_POSTGRES, &[("peer", peer)]);
        self.is_read(&found, &[])
    }

    /// Whether `peer` is a PostgreSQL server.
    pub fn is_database(&self, peer: &str) -> bool {
        self.database_peers.contains(peer)
    }

    /// The peers to which calls cannot be counted, and about which nothing else tells.
    pub fn uncounted_peers(&self) -> Vec<&str> {
        let is_told = |peer: &str| self.is_database(peer) && self.database_is_watched();
        self.unix.uncounted_peers().filter(|peer| !is_told(peer)).collect()
    }

    /// The windows of a span, in order of time.
    pub fn windows(&self, span: Span) -> Vec<Window> {
        let windows = self.windows;
        let mut chosen = match span {
            Span::Baseline => windows.baseline.clone(),
            Span::Approach => windows.approach.clone(),
            Span::Knee => [windows.knee.as_slice(), &windows.beyond].concat(),
            Span::Beyond => windows.beyond.clone(),
            Span::Recovery => windows.recovery.clone(),
            Span::Run => vec![Window::new(Moment::START, self.timeline.end())],
        };
        chosen.sort_by_key(|window| window.begin);
        chosen
    }

    /// The windows of the stages nearest to the knee in which what saturates is saturated.
    pub fn nearest_the_knee(&self) -> Vec<Window> {
        if self.windows.knee.is_empty() {
            return self.windows(Span::Knee);
        }
        self.windows.knee.clone()
    }

    /// Responses per second in `windows`.
    pub fn throughput(&self, windows: &[Window]) -> Option<f64> {
        self.metric(&names::LOAD_THROUGHPUT, windows)
    }

    /// The summed level of a metric.
    pub fn metric(&self, metric: &MetricSpec, windows: &[Window]) -> Option<f64> {
        self.level_of(&bare(metric), Over::Sum, windows, &[])
    }

    /// The level of an operand; `None` where one of its sets has no data.
    pub fn level(&self, operand: &Operand, windows: &[Window], narrow: &[Narrow]) -> Option<f64> {
        let levels = operand
            .selectors
            .iter()
            .map(|selector| self.level_of(selector, operand.over, windows, narrow))
            .collect::<Option<Vec<f64>>>()?;
        match operand.over {
            Over::Sum => Some(levels.iter().sum()),
            Over::Max => levels.into_iter().reduce(f64::max),
            Over::Min => levels.into_iter().reduce(f64::min),
            Over::Mean => stats::mean(&levels),
        }
    }

    /// The level of one set of series.
    pub fn level_of(
        &self,
        selector: &Selector,
        over: Over,
        windows: &[Window],
        narrow: &[Narrow],
    ) -> Option<f64> {
        if self.is_hidden(selector, narrow) {
            return None;
        }
        let levels: Vec<f64> =
            self.levels(selector, windows, narrow).into_iter().map(|(_, level)| level).collect();
        if levels.is_empty() {
            let none = is_census(&selector.metric)
                && self.is_answerable(selector)
                && self.looks(&selector.metric, windows) > 0;
            return none.then_some(0.0);
        }
        match over {
            Over::Sum => Some(levels.iter().sum()),
            Over::Max => levels.into_iter().reduce(f64::max),
            Over::Min => levels.into_iter().reduce(f64::min),
            Over::Mean => stats::mean(&levels),
        }
    }

    /// The level of each series of a set that has data in `windows`.
    pub fn levels(
        &self,
        selector: &Selector,
        windows: &[Window],
        narrow: &[Narrow],
    ) -> Vec<(SeriesKey, f64)> {
        self.matching(selector, narrow)
            .into_iter()
            .filter_map(|(timeline, key, series)| {
                Some((key.clone(), mean::of_series(timeline, series, windows)?))
            })
            .collect()
    }

    /// Names of the series of a set that have data in `windows`.
    pub fn series_names(
        &self,
        selector: &Selector,
        windows: &[Window],
        narrow: &[Narrow],
    ) -> Vec<String> {
        self.levels(selector, windows, narrow).into_iter().map(|(key, _)| key.to_string()).collect()
    }

    /// What an operand came to at each look inside `window`; empty for counters.
    pub fn samples(&self, operand: &Operand, window: Window, narrow: &[Narrow]) -> Vec<f64> {
        let looks = self.looks_at(operand, window, narrow).into_values();
        looks.flatten().map(|(_, value)| value).collect()
    }

    /// The same by collector, with the moments, in their order.
    pub fn looks_at(
        &self,
        operand: &Operand,
        window: Window,
        narrow: &[Narrow],
    ) -> BTreeMap<&str, Vec<(Moment, f64)>> {
        let mut all: BTreeMap<&str, Vec<(Moment, f64)>> = BTreeMap::new();
        for selector in &operand.selectors {
            let counts = self.is_answerable(selector) && !self.is_hidden(selector, narrow);
            if is_census(&selector.metric) && counts {
                for (timeline, collector) in self.collectors_of(&selector.metric) {
                    let looks = timeline.looks_within(collector, window);
                    all.entry(collector).or_default().extend(looks.iter().map(|at| (*at, 0.0)));
                }
            }
            for (_, _, series) in self.matching(selector, narrow) {
                if series.kind == Kind::Counter {
                    continue;
                }
                let points = series.within(window).iter().map(|point| (point.at, point.value));
                all.entry(series.collector.as_str()).or_default().extend(points);
            }
        }
        for looks in all.values_mut() {
            // Each series is in order: this merges them, and keeps the order of what is added up.
            looks.sort_by_key(|(at, _)| *at);
            looks.dedup_by(|next, kept| {
                let is_same = next.0 == kept.0;
                if is_same {
                    kept.1 += next.1;
                }
                is_same
            });
        }
        all.retain(|_, looks| !looks.is_empty());
        all
    }

    /// The stages of the load, in order of time.
    pub fn stages(&self) -> &[Stage] {
        &self.timeline.stages
    }

    /// Every tick of the load, in order of time.
    pub fn all_ticks(&self) -> &[LoadTick] {
        &self.timeline.ticks
    }

    /// The ticks of the load whose middle lies in one of `windows`.
    pub fn ticks(&self, windows: &[Window]) -> impl Iterator<Item = &LoadTick> {
        self.timeline.ticks.iter().filter(move |tick| {
            let length = tick.window.end.since(tick.window.begin);
            windows.iter().any(|window| window.contains(tick.window.begin + length / 2))
        })
    }

    /// The values of `label` on the series of these sets, in order.
    pub fn label_values(&self, selectors: &[&Selector], label: &str) -> Vec<String> {
        let values: BTreeSet<String> = selectors
            .iter()
            .flat_map(|selector| self.matching(selector, &[]))
            .filter_map(|(_, key, _)| self.known_labels(key).get(label).map(str::to_owned))
            .collect();
        values.into_iter().collect()
    }

    /// What tells the series of a set apart: the values of `labels`, as far as a series has
    /// them; without those that lack the first. In order.
    pub fn label_groups<'l>(
        &self,
        selector: &Selector,
        labels: &[&'l str],
    ) -> Vec<Vec<(&'l str, String)>> {
        let matching = self.matching(selector, &[]);
        let groups: BTreeSet<Vec<(&str, String)>> = matching
            .iter()
            .map(|(_, key, _)| {
                let own = self.known_labels(key);
                let value = |label: &&'l str| Some((*label, own.get(label)?.to_owned()));
                labels.iter().filter_map(value).collect()
            })
            .filter(|group: &Vec<(&str, String)>| {
                group.first().map(|it| it.0) == labels.first().copied()
            })
            .collect();
        groups.into_iter().collect()
    }

    /// Share of the growth of the response time that `parts` explain together.
    pub fn share(&self, parts: &[PartKind], narrow: &[Narrow]) -> Option<f64> {
        let peer = narrow.iter().find(|narrow| narrow.label == "peer");
        self.growth.as_ref()?.share(parts, peer.map(|peer| peer.value.as_str()))
    }

    /// Share of the growth of the time for which the target holds a request that `parts` explain.
    pub fn held_share(&self, parts: &[PartKind], narrow: &[Narrow]) -> Option<f64> {
        let peer = narrow.iter().find(|narrow| narrow.label == "peer");
        self.growth.as_ref()?.held_share(parts, peer.map(|peer| peer.value.as_str()))
    }

    /// Seconds from the last reading of a series to the end of `windows`.
    pub fn silent_secs(
        &self,
        selector: &Selector,
        windows: &[Window],
        narrow: &[Narrow],
    ) -> Option<f64> {
        let series = self.matching(selector, narrow);
        let last = series.iter().filter_map(|(_, _, series)| series.points.last()).map(|it| it.at);
        Some(windows.last()?.end.since(last.max()?).as_secs_f64())
    }

    /// The series of a set, in order of their labels.
    pub fn series(&self, selector: &Selector, narrow: &[Narrow]) -> Vec<&Series> {
        self.matching(selector, narrow).into_iter().map(|(_, _, series)| series).collect()
    }

    /// The same with the names of the series.
    pub fn named_series(
        &self,
        selector: &Selector,
        narrow: &[Narrow],
    ) -> Vec<(&SeriesKey, &Series)> {
        self.matching(selector, narrow).into_iter().map(|(_, key, series)| (key, series)).collect()
    }

    /// Whether a set has any series at all.
    pub fn is_read(&self, selector: &Selector, narrow: &[Narrow]) -> bool {
        !self.matching(selector, narrow).is_empty()
    }

    /// Moments at which the target's process restarted.
    pub fn restarts(&self) -> Vec<Moment> {
        self.changed_at(&bare(&names::PROCESS_START_TIME), &[])
    }

    /// Moments at which a series had another value than at the look before, by more than rounding.
    pub fn changed_at(&self, selector: &Selector, narrow: &[Narrow]) -> Vec<Moment> {
        self.matching(selector, narrow)
            .into_iter()
            .flat_map(|(_, _, series)| series.points.windows(2))
            .filter(|pair| (pair[1].value - pair[0].value).abs() > 0.5)
            .map(|pair| pair[1].at)
            .collect()
    }

    /// How often a series had another value than at the look before, in all of `windows`.
    pub fn changes(
        &self,
        selector: &Selector,
        windows: &[Window],
        narrow: &[Narrow],
    ) -> Option<f64> {
        let within = |at: &Moment| windows.iter().any(|window| window.contains(*at));
        let changes = self.changed_at(selector, narrow).into_iter().filter(within).count();
        self.is_read(selector, narrow).then_some(changes as f64)
    }

    /// The points up to the first moment at which requests queued, where they did for much of the
    /// run: each that waits takes memory, and allocators keep it for the next.
    pub fn before_queue<'p>(&self, points: &'p [Point]) -> &'p [Point] {
        match self.queued_from {
            Some(first) => &points[..points.partition_point(|point| point.at < first)],
            None => points,
        }
    }

    /// When requests began to queue; `None` where they did not for much of the run.
    fn first_queue(&self) -> Option<Moment> {
        let in_flight = self.series(&bare(&names::LOAD_IN_FLIGHT), &[]);
        let points = &in_flight.first()?.points;
        let mut sorted: Vec<f64> = points.iter().map(|point| point.value).collect();
        sorted.sort_by(f64::total_cmp);
        let usual = sorted.get(sorted.len() / 5).copied().unwrap_or(0.0);
        let bound = (QUEUES * usual).max(QUEUED);
        let mut queued = points.iter().filter(|point| point.value >= bound);
        let first = queued.next()?.at;
        let is_much = (queued.count() + 1) as f64 >= MUCH * sorted.len() as f64;
        is_much.then_some(first)
    }

    /// Whether the target runs on a runtime that lets its heap grow far before it first collects
    /// all of it.
    pub fn is_lazy_runtime(&self) -> bool {
        self.is_lazy_runtime
    }

    /// How often the collectors that emit `metric` looked in `windows`.
    pub fn looks(&self, metric: &str, windows: &[Window]) -> usize {
        self.collectors_of(metric)
            .map(|(timeline, collector)| looks(timeline, collector, windows))
            .sum()
    }

    /// The collectors that emit `metric`, or would: those that emit another of its family. A
    /// census that never found one thing has no series of its own.
    fn collectors_of<'s>(
        &'s self,
        metric: &str,
    ) -> impl Iterator<Item = (&'s Timeline, &'s str)> + use<'s> {
        let family = metric.split_once('.').map_or(metric, |(family, _)| family).to_owned() + ".";
        let mut collectors: BTreeMap<&str, &Timeline> = BTreeMap::new();
        for timeline in [self.timeline, &self.derived] {
            let all = timeline.series.range(SeriesKey::bare(&family)..);
            for (_, series) in all.take_while(|(key, _)| key.metric.starts_with(&family)) {
                // What was derived of a collector's series has the same looks.
                collectors.entry(&series.collector).or_insert(timeline);
            }
        }
        collectors.into_iter().map(|(name, timeline)| (timeline, name))
    }

    /// Whether a census that finds nothing for `selector` means none: not so for the peers that
    /// are databases where it is not known which are.
    fn is_answerable(&self, selector: &Selector) -> bool {
        !self.database_peers.is_empty()
            || selector.labels.iter().all(|(_, value)| value != DATABASE)
    }

    /// Whether a set has a part that cannot be counted, so that the rest is not the whole.
    fn is_hidden(&self, selector: &Selector, narrow: &[Narrow]) -> bool {
        self.unix.hides(selector, |labels| self.is_meant(labels, selector, narrow))
    }

    /// Whether a peer or port with these labels is among those of a set, but for databases whose
    /// sessions tell more.
    fn is_meant(&self, labels: &Labels, selector: &Selector, narrow: &[Narrow]) -> bool {
        let (wanted, database) = wanted(selector);
        let is_other = |it: &Narrow| labels.get(&it.label).is_some_and(|value| value != it.value);
        let is_database = labels.get("peer").is_some_and(|peer| self.is_database(peer));
        let is_told = is_database && database.is_none() && self.database_is_watched();
        let is_one = database.is_none_or(|(_, is_one)| is_one == is_database);
        is_one && !is_told && labels.matches(&wanted) && !narrow.iter().any(is_other)
    }

    /// The labels of a series, a peer by the name that its sockets have.
    fn known_labels<'k>(&self, key: &'k SeriesKey) -> Cow<'k, Labels> {
        let known = key.labels.get("peer").and_then(|peer| self.peer_names.get(peer));
        match known.filter(|_| key.metric.starts_with(peers::CLIENT)) {
            Some(name) => Cow::Owned(key.labels.clone().with("peer", name.as_str())),
            None => Cow::Borrowed(&key.labels),
        }
    }

    fn matching<'s>(
        &'s self,
        selector: &Selector,
        narrow: &[Narrow],
    ) -> Vec<(&'s Timeline, &'s SeriesKey, &'s Series)> {
        let (wanted, database) = wanted(selector);
        let of_metric: Vec<_> = [self.timeline, &self.derived]
            .into_iter()
            .flat_map(|timeline| {
                let series = timeline.series_of(&selector.metric);
                series.map(move |(key, series)| (timeline, key, series))
            })
            .collect();
        // Beside what is wanted: `peer=127.*` of one peer is that peer where it begins so, or none.
        let mut one = Labels::none();
        for narrow in narrow {
            let carried =
                of_metric.iter().any(|(_, key, _)| key.labels.get(&narrow.label).is_some());
            if carried && database != Some((narrow.label.as_str(), true)) {
                one = one.with(&narrow.label, narrow.value.clone());
            }
        }
        of_metric
            .into_iter()
            .filter(|(_, key, _)| {
                let labels = self.known_labels(key);
                labels.matches(&wanted) && labels.matches(&one)
            })
            .filter(|(_, key, _)| {
                database.is_none_or(|(label, is_one)| {
                    let peer = key.labels.get(label);
                    peer.is_some_and(|peer| self.database_peers.contains(peer) == is_one)
                })
            })
            .collect()
    }
}

/// Whether the watched processes run on a runtime that collects late, by their names.
fn is_lazy_runtime(recording: &Recording) -> bool {
    let processes = recording.environment.collectors.iter().filter(|it| it.name == "process");
    let mut words = processes.flat_map(|it| it.watches.split(|c: char| !c.is_alphanumeric()));
    words.any(|word| LAZY_RUNTIMES.contains(&word))
}

fn looks(timeline: &Timeline, collector: &str, windows: &[Window]) -> usize {
    windows.iter().map(|window| timeline.looks(collector, *window)).sum()
}
