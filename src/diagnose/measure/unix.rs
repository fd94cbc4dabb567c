//! Calls over UNIX sockets. Of these the kernel tells that they are open, not whose turn it is.
//!
//! Where a client opens a connection for each call, every open one is a call under way, and seen from
//! the service a request. Whether it does is told from the whole run: many more connections were
//! opened than were ever open at once. So the calls of the first seconds count too, and those of a
//! service in which each takes half a minute. Where connections stay open, no call can be counted.

use std::collections::{BTreeMap, BTreeSet};

use crate::timeline::{
    Kind, Labels, MetricSpec, Moment, Point, Selector, Series, SeriesKey, Timeline, names,
};

use super::peers::UNIX;

/// A connection is opened for each call where this many times as many were opened as were ever open
/// at once: at least half were closed again;
const OPENED_PER_OPEN: f64 = 2.0;
/// and at least this many were. Fewer may be a pool that was started again.
const FEWEST_CLOSED: f64 = 5.0;

/// The two ends of a call: the label of its series, who counts what was opened, and what follows.
const ENDS: [(&str, &MetricSpec); 2] =
    [("peer", &names::TCP_CALLS_CONNECTIONS), ("port", &names::TCP_REQUESTS_CONNECTIONS)];
/// What is counted of calls and of requests.
const COUNTED: [(&str, &[&str]); 2] = [
    ("peer", &[names::TCP_CALLS.name, names::TCP_CALLS_SENT.name]),
    (
        "port",
        &[
            names::TCP_REQUESTS.name,
            names::TCP_REQUESTS_SERVED.name,
            names::TCP_REQUESTS_UNREAD.name,
        ],
    ),
];

/// The UNIX connections of a service.
#[derive(Clone, Debug, Default)]
pub struct Unix {
    /// The series of calls and requests, where they can be counted.
    pub counted: BTreeMap<SeriesKey, Series>,
    /// The labels of peers and ports whose connections stay open.
    kept: BTreeSet<Labels>,
}

/// The open connections of one peer or port.
#[derive(Default)]
struct Open {
    /// How many there are at each look that finds any.
    at: BTreeMap<Moment, f64>,
    collector: String,
}

impl Unix {
    /// What the sockets of `timeline` come to.
    pub fn of(timeline: &Timeline) -> Self {
        let mut unix = Self::default();
        for (end, connections) in ENDS {
            for (labels, open) in open_connections(timeline, end) {
                let key = SeriesKey::new(connections.name, labels.clone());
                match timeline.series.get(&key).filter(|opened| opens_for_each(opened, &open)) {
                    Some(opened) if end == "peer" => unix.add_calls(labels, &open, opened),
                    Some(_) => unix.add_requests(labels, &open, timeline),
                    None => {
                        unix.kept.insert(labels);
                    }
                }
            }
        }
        unix
    }

    /// The labels of the peers and ports over whose connections what `selector` selects cannot be
    /// counted, as far as `is_meant` says that they are meant.
    pub fn hides(&self, selector: &Selector, is_meant: impl Fn(&Labels) -> bool) -> bool {
        let end = COUNTED.iter().find(|(_, metrics)| metrics.contains(&selector.metric.as_str()));
        end.is_some_and(|(end, _)| {
            self.kept.iter().any(|labels| labels.get(end).is_some() && is_meant(labels))
        })
    }

    /// The peers to which calls cannot be counted.
    pub fn uncounted_peers(&self) -> impl Iterator<Item = &str> {
        self.kept.iter().filter_map(|labels| labels.get("peer"))
    }

    /// Whether requests cannot be counted that come in.
    pub fn has_uncounted_requests(&self) -> bool {
        self.kept.iter().any(|labels| labels.get("port").is_some())
    }

    fn add_calls(&mut self, labels: Labels, open: &Open, opened: &Series) {
        self.add(&names::TCP_CALLS, labels.clone(), open, |_, count| count);
        // A call is the one thing that such a connection carries.
        let sent = SeriesKey::new(names::TCP_CALLS_SENT.name, labels);
        self.counted.insert(sent, opened.clone());
    }

    fn add_requests(&mut self, labels: Labels, open: &Open, timeline: &Timeline) {
        let inbound =
            SeriesKey::new(names::TCP_UNREAD.name, labels.clone().with("role", "inbound"));
        let unread = timeline.series.get(&inbound).into_iter().flat_map(|series| &series.points);
        let unread: BTreeMap<Moment, f64> = unread.map(|point| (point.at, point.value)).collect();
        let unread = |at: &Moment| unread.get(at).copied().unwrap_or(0.0);
        self.add(&names::TCP_REQUESTS, labels.clone(), open, |_, count| count);
        self.add(&names::TCP_REQUESTS_UNREAD, labels.clone(), open, |at, _| unread(at));
        let served = |at: &Moment, count: f64| (count - unread(at)).max(0.0);
        self.add(&names::TCP_REQUESTS_SERVED, labels, open, served);
    }

    fn add(
        &mut self,
        spec: &MetricSpec,
        labels: Labels,
        open: &Open,
        value: impl Fn(&Moment, f64) -> f64,
    ) {
        let points = open.at.iter().map(|(at, count)| Point { at: *at, value: value(at, *count) });
        let series = Series {
            unit: spec.unit,
            kind: Kind::Census,
            collector: open.collector.clone(),
            points: points.collect(),
        };
        self.counted.insert(SeriesKey::new(spec.name, labels), series);
    }
}

/// The UNIX connections with the label `end`, by what tells them apart but their state.
fn open_connections(timeline: &Timeline, end: &str) -> BTreeMap<Labels, Open> {
    let mut all: BTreeMap<Labels, Open> = BTreeMap::new();
    for (key, series) in timeline.series_of(names::TCP_SOCKETS.name) {
        if !key.labels.get(end).is_some_and(|value| value.starts_with(UNIX)) {
            continue;
        }
        let own = key.labels.iter().filter(|(label, _)| !["role", "state"].contains(label));
        let labels = own.fold(Labels::none(), |labels, (label, value)| labels.with(label, value));
        let open = all.entry(labels).or_default();
        open.collector.clone_from(&series.collector);
        for point in &series.points {
            *open.at.entry(point.at).or_default() += point.value;
        }
    }
    all
}

/// Whether a connection was opened for each call: at some time far more had been opened than had
/// ever been open at once. At the end the queue of an overload may hold most of them.
fn opens_for_each(opened: &Series, open: &Open) -> bool {
    let mut open = open.at.iter().peekable();
    let (mut most, mut was_so, mut closed) = (0.0_f64, false, 0.0);
    for point in &opened.points {
        while let Some((_, count)) = open.next_if(|(at, _)| **at <= point.at) {
            most = most.max(*count);
        }
        closed = point.value - most;
        was_so |= closed >= FEWEST_CLOSED && point.value >= OPENED_PER_OPEN * most;
    }
    was_so && closed >= FEWEST_CLOSED
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::timeline::{Batch, BatchBuilder, Window};

    fn peer() -> Labels {
        Labels::none().with("peer", "unix:/run/a.sock (app)").with("service", "app")
    }

    /// Looks at how many connections to a peer and from clients are open, and were opened so far.
    fn looks(looks: &[(f64, f64)]) -> Timeline {
        let mut timeline = Timeline::default();
        let port = Labels::none().with("port", "unix:/run/own.sock");
        for (second, (open, opened)) in looks.iter().enumerate() {
            let mut batch = BatchBuilder::new();
            let in_state = |labels: &Labels, role: &str| {
                labels.clone().with("role", role).with("state", "established")
            };
            if *open > 0.0 {
                batch.push_labelled(&names::TCP_SOCKETS, in_state(&peer(), "outbound"), *open);
                batch.push_labelled(&names::TCP_SOCKETS, in_state(&port, "inbound"), *open);
                let unread = port.clone().with("role", "inbound");
                batch.push_labelled(&names::TCP_UNREAD, unread, 1.0);
            }
            batch.push_labelled(&names::TCP_CALLS_CONNECTIONS, peer(), *opened);
            batch.push_labelled(&names::TCP_REQUESTS_CONNECTIONS, port.clone(), *opened);
            let at = Moment::START + Duration::from_secs(second as u64);
            let (window, readings) = (Window::new(at, at), batch.finish());
            timeline.push_batch(Batch { collector: "tcp".into(), window, readings });
        }
        timeline
    }

    fn values(unix: &Unix, metric: &MetricSpec) -> Vec<f64> {
        let all = unix.counted.iter().filter(|(key, _)| key.metric == metric.name);
        all.flat_map(|(_, series)| &series.points).map(|point| point.value).collect()
    }

    #[test]
    fn where_each_call_opens_a_connection_all_that_are_open_are_calls() {
        let unix = Unix::of(&looks(&[(1.0, 1.0), (0.0, 4.0), (2.0, 9.0), (3.0, 12.0)]));
        assert_eq!(values(&unix, &names::TCP_CALLS), [1.0, 2.0, 3.0]);
        assert_eq!(values(&unix, &names::TCP_CALLS_SENT), [1.0, 4.0, 9.0, 12.0]);
        assert_eq!(values(&unix, &names::TCP_REQUESTS), [1.0, 2.0, 3.0]);
        assert_eq!(values(&unix, &names::TCP_REQUESTS_UNREAD), [1.0, 1.0, 1.0]);
        assert_eq!(values(&unix, &names::TCP_REQUESTS_SERVED), [0.0, 1.0, 2.0]);
        assert_eq!(unix.uncounted_peers().count(), 0);
        assert!(!unix.has_uncounted_requests());
        let calls = unix.counted.keys().find(|key| key.metric == names::TCP_CALLS.name).unwrap();
        assert_eq!(calls.labels, peer());
    }

    /// Calls that take long: few end in the run, and an overload holds more than ever ended.
    #[test]
    fn an_overload_at_the_end_hides_no_calls() {
        let begin = [(2.0, 2.0), (4.0, 6.0), (4.0, 10.0), (40.0, 48.0), (90.0, 99.0)];
        assert!(!values(&Unix::of(&looks(&begin)), &names::TCP_CALLS).is_empty());
    }

    #[test]
    fn where_connections_are_kept_nothing_is_counted() {
        let begun_again = [(3.0, 3.0), (0.0, 3.0), (4.0, 7.0)];
        let grown = [(1.0, 1.0), (10.0, 12.0), (20.0, 24.0)];
        // Readings of a long run are merged: the mean of what is open, and the last total.
        let merged = [(10.0, 20.0), (20.0, 20.0)];
        for kept in [&begun_again[..], &grown, &merged, &[(1.0, 1.0)]] {
            let unix = Unix::of(&looks(kept));
            assert!(unix.counted.is_empty(), "{kept:?}");
            assert_eq!(unix.uncounted_peers().collect::<Vec<_>>(), ["unix:/run/a.sock (app)"]);
            assert!(unix.has_uncounted_requests());
            let hides = |text: &str| {
                let selector: Selector = text.parse().unwrap();
                unix.hides(&selector, |labels| labels.matches(&selector.labels))
            };
            assert!(hides("tcp.calls") && hides("tcp.calls{service=app}"));
            assert!(hides("tcp.requests.served"));
            assert!(!hides("tcp.calls{service=other}") && !hides("tcp.connecting"));
        }
    }

    #[test]
    fn sockets_of_tcp_are_left_alone() {
        let mut timeline = looks(&[]);
        let mut batch = BatchBuilder::new();
        let labels = Labels::none().with("peer", "10.0.0.1:80").with("role", "outbound");
        batch.push_labelled(&names::TCP_SOCKETS, labels.with("state", "established"), 1.0);
        let window = Window::new(Moment::START, Moment::START);
        let readings = batch.finish();
        timeline.push_batch(Batch { collector: "tcp".into(), window, readings });
        let unix = Unix::of(&timeline);
        assert!(unix.counted.is_empty() && unix.kept.is_empty());
    }
}
