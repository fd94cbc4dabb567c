//! The services of the chain: the series of each as if it were the target, so that the same rules and
//! the same split of the time answer for it.
//!
//! The load of a service is that of the target: a share of the time of *one request to the target*,
//! and capacities in requests to the target. In flight in it are the requests that its sockets owe an
//! answer to, with those that wait to be accepted.

use std::collections::{BTreeMap, BTreeSet};

use crate::recording::Recording;
use crate::timeline::{Labels, MetricSpec, Moment, Point, Series, SeriesKey, Timeline, names};

use super::derived;
use super::peers::{self, address};
use super::unix::Unix;

/// The collectors that read a service, by the beginnings of the names of their series.
const FAMILIES: [(&str, &str); 7] = [
    ("process.", "process"),
    ("cgroup.", "process"),
    ("tcp.", "tcp"),
    ("threads.", "threads"),
    ("futex.", "threads"),
    ("stacks.", "stacks"),
    ("file_locks.", "file_locks"),
];
/// Gauges that each look of one of these collectors gives.
const LOOKS: [&str; 3] =
    [names::PROCESS_COUNT.name, names::THREADS_TOTAL.name, names::STACKS_PAUSE.name];
/// What is read once and is true for every service of the machine.
const SHARED: [&str; 5] =
    ["system.cpu.", "system.memory.", "system.pressure", "system.disk.", "generator."];

/// One service of the chain.
#[derive(Clone, Debug)]
pub struct Service {
    /// Name and address, such as `php-fpm (127.0.0.1:9000)`.
    pub name: String,
    /// Where it listens.
    pub addresses: BTreeSet<String>,
    /// Whether it is a database, whose inner life other collectors tell.
    pub is_database: bool,
    /// The agent that reads it, if it is on another host than the target.
    pub agent: Option<String>,
    /// Whether it stands before the target and passes the load on.
    pub is_forwarder: bool,
    /// Its series, under the names that those of the target have.
    pub timeline: Timeline,
}

/// The services of the chain of a recording.
#[derive(Clone, Debug, Default)]
pub struct Services {
    /// All of them, in order of their names.
    pub all: Vec<Service>,
    /// Why peers on the target's machine cannot be looked into, by address.
    pub closed: BTreeMap<String, String>,
    /// The timeline of the target, where some of its series are a service's.
    pub target: Option<Timeline>,
}

impl Services {
    /// The services that `recording` knows.
    pub fn of(recording: &Recording) -> Self {
        let timeline = &recording.timeline;
        let mut services =
            Services { all: named(timeline), closed: closed(timeline), target: None };
        if services.all.is_empty() {
            return services;
        }
        let load = derived::series(timeline, &Unix::default());
        for service in &mut services.all {
            own_series(timeline, service);
            shared_series(timeline, service);
            load_series(&load, service);
        }
        for index in 0..services.all.len() {
            let others = cpu_of_others(timeline, &services.all[index]);
            services.all[index].timeline.series.extend(others);
        }
        give_to_owners(recording, &mut services);
        services
    }

    /// The service that a peer is.
    pub fn called(&self, peer: &str) -> Option<&Service> {
        self.all.iter().find(|service| service.is_called(peer))
    }

    /// Why a peer cannot be looked into, where it is on the target's machine.
    pub fn why_closed(&self, peer: &str) -> Option<&str> {
        self.closed.get(address(peer)).map(String::as_str)
    }
}

impl Service {
    /// The name without the address.
    pub fn short_name(&self) -> &str {
        self.name.split_once(" (").map_or(&self.name, |(name, _)| name)
    }

    /// Whether a peer is this service.
    pub fn is_called(&self, peer: &str) -> bool {
        self.addresses.contains(address(peer))
    }

    /// Whether it serves the metrics of which a collector says that it watches them.
    fn serves(&self, watches: &str) -> bool {
        let Some((_, rest)) = watches.split_once("://") else { return false };
        let endpoint = rest.split(['/', '`', '?']).next().unwrap_or_default();
        let local = ["localhost", "[::1]"].iter().find_map(|host| endpoint.strip_prefix(host));
        let endpoint = local.map_or_else(|| endpoint.to_owned(), |port| format!("127.0.0.1{port}"));
        self.addresses.contains(&endpoint)
    }

    /// Whether it is a PostgreSQL server.
    pub fn is_postgres(&self) -> bool {
        self.short_name() == "postgres"
    }
}

/// The services by name, without their series; when each was looked at is kept as its readings.
fn named(timeline: &Timeline) -> Vec<Service> {
    let mut services: BTreeMap<String, Service> = BTreeMap::new();
    for (key, series) in timeline.series_of(names::CHAIN_SERVICE.name) {
        let Some(name) = key.labels.get("hop") else { continue };
        let service = services.entry(name.to_owned()).or_insert_with(|| Service {
            name: name.to_owned(),
            addresses: BTreeSet::new(),
            is_database: key.labels.get("kind") == Some("database"),
            is_forwarder: key.labels.get("kind") == Some("forwarder"),
            agent: agent_of(series).map(str::to_owned),
            timeline: Timeline::default(),
        });
        service.addresses.extend(key.labels.get("address").map(str::to_owned));
        let looks = service.timeline.readings.entry("tcp".to_owned()).or_default();
        looks.extend(series.points.iter().map(|point| point.at));
        looks.sort_unstable();
        looks.dedup();
    }
    services.into_values().collect()
}

/// The agent whose collector has read a series on another host than the target's.
fn agent_of(series: &Series) -> Option<&str> {
    series.collector.rsplit_once('/').map(|(agent, _)| agent)
}

fn closed(timeline: &Timeline) -> BTreeMap<String, String> {
    timeline
        .series_of(names::CHAIN_CLOSED.name)
        .filter_map(|(key, _)| {
            Some((key.labels.get("address")?.to_owned(), key.labels.get("why")?.to_owned()))
        })
        .collect()
}

/// Adds the series that were read of a service itself.
fn own_series(timeline: &Timeline, service: &mut Service) {
    let from = SeriesKey::bare(names::CHAIN);
    let all =
        timeline.series.range(from..).take_while(|(key, _)| key.metric.starts_with(names::CHAIN));
    let own = all.filter(|(key, _)| key.labels.get("hop") == Some(service.name.as_str()));
    for (key, series) in own {
        let metric = &key.metric[names::CHAIN.len()..];
        let family = FAMILIES.iter().find(|(family, _)| metric.starts_with(family));
        let Some((_, collector)) = family else { continue };
        let labels = without(&key.labels, "hop");
        let series = Series { collector: (*collector).to_owned(), ..series.clone() };
        if LOOKS.contains(&metric) {
            let looks = series.points.iter().map(|point| point.at).collect();
            service.timeline.readings.insert((*collector).to_owned(), looks);
        }
        service.timeline.series.insert(SeriesKey::new(metric, labels), series);
    }
}

fn without(labels: &Labels, name: &str) -> Labels {
    let others = labels.iter().filter(|(label, _)| *label != name);
    others.fold(Labels::none(), |labels, (label, value)| labels.with(label, value))
}

/// Adds what is true for the whole machine: the target's, or that of the agent.
fn shared_series(timeline: &Timeline, service: &mut Service) {
    let is_shared = |metric: &str| SHARED.iter().any(|family| metric.starts_with(family));
    if let Some(agent) = service.agent.clone() {
        for (key, series) in &timeline.series {
            let metric = key.metric.strip_prefix(names::AGENT).and_then(|it| it.strip_prefix('.'));
            let Some(metric) = metric.filter(|metric| is_shared(metric)) else { continue };
            if key.labels.get("agent") == Some(agent.as_str()) {
                let key = SeriesKey::new(metric, without(&key.labels, "agent"));
                copy(timeline, &key, series, &mut service.timeline);
            }
        }
        return;
    }
    let is_shared = |key: &SeriesKey| is_shared(&key.metric);
    for (key, series) in timeline.series.iter().filter(|(key, _)| is_shared(key)) {
        copy(timeline, key, series, &mut service.timeline);
    }
}

fn copy(from: &Timeline, key: &SeriesKey, series: &Series, to: &mut Timeline) {
    if let Some(looks) = from.readings.get(&series.collector) {
        to.readings.entry(series.collector.clone()).or_insert_with(|| looks.clone());
    }
    to.series.insert(key.clone(), series.clone());
}

/// Adds the load: that of the target, with the requests in flight in this service.
fn load_series(load: &Timeline, service: &mut Service) {
    for metric in
        [&names::LOAD_OFFERED, &names::LOAD_THROUGHPUT, &names::LOAD_GOODPUT, &names::LOAD_ERRORS]
    {
        for (key, series) in load.series_of(metric.name) {
            copy(load, key, series, &mut service.timeline);
        }
    }
    let mut in_flight: BTreeMap<Moment, f64> = BTreeMap::new();
    for at in service.timeline.readings.get("tcp").into_iter().flatten() {
        in_flight.insert(*at, 0.0);
    }
    let unix = Unix::of(&service.timeline);
    let of = |metric: &'static MetricSpec| service.timeline.series_of(metric.name);
    if unix.has_uncounted_requests() && of(&names::TCP_REQUESTS).next().is_none() {
        // Not to know how many there are is not to know that there are none.
        return;
    }
    let counted = unix.counted.iter().filter(|(key, _)| key.metric == names::TCP_REQUESTS.name);
    let counted = counted.chain(of(&names::TCP_REQUESTS)).chain(of(&names::TCP_ACCEPT_QUEUE));
    for point in counted.flat_map(|(_, series)| &series.points) {
        *in_flight.entry(point.at).or_default() += point.value;
    }
    let points = in_flight.into_iter().map(|(at, value)| Point { at, value }).collect();
    let spec = &names::LOAD_IN_FLIGHT;
    let series = Series { unit: spec.unit, kind: spec.kind, collector: "tcp".to_owned(), points };
    service.timeline.series.insert(SeriesKey::bare(spec.name), series);
}

/// Processor time of the target and of the other services of the chain on the same host, as a service
/// sees them: their work is the chain's, not a neighbour's.
fn cpu_of_others(timeline: &Timeline, service: &Service) -> BTreeMap<SeriesKey, Series> {
    let agent = service.agent.as_deref();
    let mut others = cpu_of_services(timeline, Some(&service.name), agent);
    if agent.is_some() {
        return others;
    }
    for (_, series) in timeline.series_of(names::PROCESS_CPU_TIME.name) {
        let labels = Labels::none().with("hop", "the target");
        others.insert(SeriesKey::new(names::CHAIN_CPU_TIME.name, labels), series.clone());
    }
    others
}

/// Processor time of the services of the chain but one, on the target's host or that of an agent. What the collector of PostgreSQL tells of a
/// server is not counted twice.
pub fn cpu_of_services(
    timeline: &Timeline,
    but: Option<&str>,
    agent: Option<&str>,
) -> BTreeMap<SeriesKey, Series> {
    let metric = format!("{}{}", names::CHAIN, names::PROCESS_CPU_TIME.name);
    let is_told = timeline.series_of(names::DB_CPU_TIME.name).next().is_some();
    let counts = |hop: &&str| Some(*hop) != but && !(is_told && hop.starts_with("postgres "));
    timeline
        .series_of(&metric)
        .filter(|(_, series)| agent_of(series) == agent)
        .filter_map(|(key, series)| {
            let hop = key.labels.get("hop").filter(counts)?;
            let labels = Labels::none().with("hop", hop);
            Some((SeriesKey::new(names::CHAIN_CPU_TIME.name, labels), series.clone()))
        })
        .collect()
}

/// Gives what a service or its database says of itself to the service that it is about: metrics to
/// the one that serves them, the database and its pool to those that are connected to it. What
/// nothing tells stays with the target.
fn give_to_owners(recording: &Recording, services: &mut Services) {
    let timeline = &recording.timeline;
    let is_connected = |timeline: &Timeline| {
        let databases = peers::databases(timeline, &recording.environment);
        timeline
            .series_of(names::TCP_SOCKETS.name)
            .any(|(key, _)| key.labels.get("peer").is_some_and(|peer| databases.contains(peer)))
    };
    let target_is_connected = is_connected(timeline);
    let mut owners: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut given: BTreeSet<&str> = BTreeSet::new();
    for note in &recording.environment.collectors {
        let owns = |service: &Service| match note.name.as_str() {
            "prometheus" => service.serves(&note.watches),
            "postgres" => is_connected(&service.timeline),
            _ => false,
        };
        let all = services.all.iter().enumerate();
        let found: Vec<usize> =
            all.filter(|(_, service)| owns(service)).map(|(index, _)| index).collect();
        if !found.is_empty() && (note.name == "prometheus" || !target_is_connected) {
            given.insert(&note.instance);
        }
        owners.insert(&note.instance, found);
    }
    for (key, series) in &timeline.series {
        for index in owners.get(series.collector.as_str()).into_iter().flatten() {
            copy(timeline, key, series, &mut services.all[*index].timeline);
        }
    }
    if !given.is_empty() {
        let mut target = timeline.clone();
        target.series.retain(|_, series| !given.contains(series.collector.as_str()));
        services.target = Some(target);
    }
}
