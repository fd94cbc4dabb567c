//! The load as the target's sockets show it, where the tool that makes it tells nothing: requests
//! answered, requests in progress, and connections, which stand for users.
//!
//! The mean response time is that of the requests in the target, by Little's law (1961): requests in
//! progress divided by those answered per second. There are no quantiles, no statuses and no
//! endpoints. HTTP/2 and connections that end between two looks are not seen.
//!
//! Connections stand for users only where their number is held: a load that opens one for each
//! request, at a rate, has as many as requests happen to be in progress.

use std::collections::BTreeMap;

use super::LoadError;
use crate::import::{Interval, Requests, ToolLoad};
use crate::timeline::{Batch, Reading, ResponseClass, names};

/// What reports call this source.
const NAME: &str = "sockets";

/// Index of dispersion (variance by mean) of the connections within a second above which their
/// number is not held: it is 1 where requests come at random and each has one of its own (Poisson).
const SCATTERED: f64 = 0.5;
/// Share of the connections that always wait for an answer, where users do not think,
const WAITING: f64 = 0.8;
/// share of the seconds in which that must be so,
const MOSTLY: f64 = 0.8;
/// and fewest seconds that a number of connections is held, on average: a queue that grows has
/// another in each.
const HELD: usize = 4;
/// Fewest answers for each connection that was seen: fewer, and connections close with answers that
/// nobody saw.
const ANSWERS: f64 = 0.9;
/// Fewest connections that show it.
const CONNECTIONS: f64 = 10.0;

/// What the sockets of the target showed in one second.
#[derive(Clone, Copy, Debug, Default)]
struct Second {
    looks: f64,
    requests: f64,
    /// Most connections at a look: within the second in which users come or go, they are those of the
    /// level that is held.
    connections: f64,
    /// Sum of the connections over the looks, and that of their squares.
    sum: f64,
    squares: f64,
    /// Requests answered so far, at the last look.
    answered: f64,
    /// Connections seen so far, at the last look.
    opened: f64,
    /// Those of kneepoint's own collectors.
    scrapes: f64,
}

impl Second {
    /// Connections of the load; `own` are kneepoint's.
    fn held(&self, own: f64) -> f64 {
        (self.connections - own).max(0.0)
    }

    /// Mean number of requests in progress.
    fn in_flight(&self) -> f64 {
        self.requests / self.looks
    }
}

/// Adds up the looks at the target's sockets.
#[derive(Debug)]
pub(super) struct Sockets {
    /// Label of the port that the load reaches.
    port: String,
    /// Instances of the collectors that ask the target itself.
    scrapers: Vec<String>,
    seconds: BTreeMap<i64, Second>,
}

impl Sockets {
    /// Those at a port, or at a UNIX socket (`unix:` and its path).
    pub(super) fn at(port: String, scrapers: Vec<String>) -> Self {
        Self { port, scrapers, seconds: BTreeMap::new() }
    }

    /// Takes one look; others are passed over. Moment zero is at `zero_unix`.
    pub(super) fn see(&mut self, batch: &Batch, zero_unix: f64) {
        let second = (zero_unix + batch.window.middle().secs()).floor() as i64;
        if self.scrapers.contains(&batch.collector) {
            self.seconds.entry(second).or_default().scrapes += 1.0;
            return;
        }
        let is_here = |reading: &&Reading| reading.key.labels.get("port") == Some(&self.port);
        let here: Vec<&Reading> = batch.readings.iter().filter(is_here).collect();
        let of = |name: &'static str| here.iter().filter(move |it| it.key.metric == name);
        let Some(answered) = of(names::TCP_REQUESTS_ANSWERED.name).next() else { return };
        let sum = |name: &'static str| of(name).map(|reading| reading.value).sum::<f64>();
        let established = of(names::TCP_SOCKETS.name)
            .filter(|reading| reading.key.labels.get("state") == Some("established"))
            .map(|reading| reading.value)
            .sum::<f64>();
        let seen = self.seconds.entry(second).or_default();
        seen.looks += 1.0;
        seen.requests += sum(names::TCP_REQUESTS.name);
        seen.connections = seen.connections.max(established);
        seen.sum += established;
        seen.squares += established * established;
        seen.answered = answered.value;
        seen.opened = sum(names::TCP_REQUESTS_CONNECTIONS.name);
    }

    /// The seconds in which somebody looked.
    fn looked_at(&self) -> impl Iterator<Item = (i64, &Second)> + Clone {
        self.seconds.iter().filter(|(_, seen)| seen.looks > 0.0).map(|(at, seen)| (*at, seen))
    }

    /// Connections of kneepoint's own collectors.
    fn own(&self) -> f64 {
        self.scrapers.len() as f64
    }

    /// Whether the number of connections is held, and is not that of the requests that happen to be
    /// in progress.
    fn are_held(&self) -> bool {
        let dispersion = |(_, seen): (i64, &Second)| {
            let mean = seen.sum / seen.looks;
            (mean > 0.0).then(|| (seen.squares / seen.looks - mean * mean) / mean)
        };
        let mut seconds: Vec<f64> = self.looked_at().filter_map(dispersion).collect();
        seconds.sort_by(f64::total_cmp);
        // The seconds in which a level ends scatter too, and are few.
        seconds.get(seconds.len() / 2).is_none_or(|middle| *middle <= SCATTERED)
    }

    /// The connections in each second, where all of them always wait for an answer: a closed loop
    /// without think time.
    pub(super) fn waiting(&self) -> Option<BTreeMap<i64, f64>> {
        let own = self.own();
        let loaded = self.looked_at().filter(|(_, seen)| seen.held(own) > 0.0);
        let count = loaded.clone().count();
        let waits = |(_, seen): &(i64, &Second)| seen.in_flight() >= WAITING * seen.held(own);
        let waiting = loaded.clone().filter(waits).count();
        let mut levels: Vec<u64> = loaded.clone().map(|(_, seen)| seen.held(own) as u64).collect();
        levels.sort_unstable();
        levels.dedup();
        let is_closed = count > 0
            && waiting as f64 >= MOSTLY * count as f64
            && HELD * levels.len() <= count
            && self.are_held();
        is_closed.then(|| loaded.map(|(second, seen)| (second, seen.held(own))).collect())
    }

    /// Whether connections close before the answer on them is seen.
    fn misses_answers(&self) -> bool {
        let ends = self.looked_at().next().zip(self.looked_at().last());
        let Some(((_, first), (_, last))) = ends else { return false };
        let scrapes: f64 = self.seconds.values().map(|seen| seen.scrapes).sum();
        let opened = last.opened - first.opened;
        let answered = last.answered - first.answered - scrapes;
        opened >= CONNECTIONS && answered < ANSWERS * opened
    }

    /// The load.
    ///
    /// # Errors
    /// The target's sockets were not seen, or no request was answered.
    pub(super) fn into_load(self, name: &str) -> Result<ToolLoad, LoadError> {
        let nothing = || {
            LoadError::Nothing(
                "the target's sockets show no request that was answered; connections that last less than \
                 0.1 s, one for each request, are not seen",
            )
        };
        if self.misses_answers() {
            return Err(LoadError::Nothing(
                "the load opens a connection for each request, and most of them close before their \
                 answer is seen at the target's sockets: requests cannot be counted there",
            ));
        }
        let are_held = self.are_held();
        let mut requests = Requests::default();
        requests.users_are_connections();
        let mut before: Option<(i64, f64)> = None;
        let own = self.own();
        // A second in which nobody looked leaves its requests to the next.
        for (second, seen) in self.seconds.into_iter().filter(|(_, seen)| seen.looks > 0.0) {
            let last = before.replace((second, seen.answered));
            let Some((from, answered)) = last else { continue };
            let count = (seen.answered - answered - seen.scrapes).max(0.0);
            let in_flight = seen.in_flight();
            let seconds = (from + 1, second + 1);
            let length = (seconds.1 - seconds.0) as f64;
            let mean = if count > 0.0 { in_flight * length / count } else { 0.0 };
            let interval = Interval {
                seconds,
                endpoint: "all requests",
                class: ResponseClass::Status(200),
                count: count as u64,
                mean,
            };
            let _counted = requests.add_interval(&interval).is_ok();
            if are_held {
                let _noted = requests.add_users(second as f64, seen.held(own)).is_ok();
            }
        }
        requests.note(
            "the load is what the target's sockets show: every answer counts as a success, times are \
             means within the target, and connections stand for users where their number is held. \
             For statuses, endpoints and percentiles, name the tool's results with `--results` or the \
             target's access log with `--access-log`",
        );
        requests.into_load(NAME, name).map_err(|_| nothing())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::{BatchBuilder, Labels, Moment, Window};

    /// A look at 10 connections, with so many requests in progress and answered.
    fn look(at: f64, port: &str, requests: f64, answered: f64) -> Batch {
        look_at(at, port, 10.0, (requests, answered), 10.0)
    }

    fn look_at(
        at: f64,
        port: &str,
        connections: f64,
        (requests, answered): (f64, f64),
        opened: f64,
    ) -> Batch {
        let mut batch = BatchBuilder::new();
        let labels = Labels::none().with("port", port);
        batch.push_labelled(&names::TCP_REQUESTS, labels.clone(), requests);
        batch.push_labelled(&names::TCP_REQUESTS_ANSWERED, labels.clone(), answered);
        let inbound = labels.with("role", "inbound").with("state", "established");
        batch.push_labelled(&names::TCP_SOCKETS, inbound, connections);
        let port = Labels::none().with("port", port);
        batch.push_labelled(&names::TCP_REQUESTS_CONNECTIONS, port, opened);
        let at = Moment::from_secs_f64(at);
        Batch { collector: "tcp".into(), window: Window::new(at, at), readings: batch.finish() }
    }

    #[test]
    fn rate_users_and_mean_time_come_from_the_sockets() {
        let mut sockets = Sockets::at("80".into(), Vec::new());
        for tenth in 0..200 {
            let at = f64::from(tenth) / 10.0;
            // 50 requests a second, 2 of them in progress: 40 ms each.
            sockets.see(&look(at, "80", 2.0, 1000.0 + (at * 50.0).floor()), 1.7e9);
            sockets.see(&look(at, "81", 9.0, at * 900.0), 1.7e9);
        }
        let load = sockets.into_load("it").unwrap();
        let counts: Vec<u64> =
            load.ticks.iter().map(crate::timeline::LoadTick::completed).collect();
        assert!(counts.iter().all(|count| count.abs_diff(50) <= 1), "{counts:?}");
        assert_eq!(counts.len(), 19);
        let mean = load.ticks[5].endpoints[0].response_time.mean().unwrap();
        assert!((mean - 0.040).abs() < 0.001, "{mean}");
        assert_eq!(load.stages.len(), 1);
        assert!((load.stages[0].vus() - 10.0).abs() < 1e-9);
    }

    #[test]
    fn connections_that_always_wait_are_users_however_the_rate_changes() {
        let mut sockets = Sockets::at("80".into(), Vec::new());
        let mut answered = 0.0;
        for tenth in 0..200 {
            // 4 connections; the service becomes twice as slow.
            answered += if tenth < 100 { 40.0 } else { 20.0 };
            sockets.see(&look_at(f64::from(tenth) / 10.0, "80", 4.0, (4.0, answered), 4.0), 1.7e9);
        }
        let waiting = sockets.waiting().unwrap();
        assert!(waiting.len() == 20 && waiting.values().all(|users| *users == 4.0), "{waiting:?}");
        let load = sockets.into_load("it").unwrap();
        assert!(load.stages.len() == 1 && load.stages[0].is_closed(), "{:?}", load.stages);
    }

    #[test]
    fn connections_of_a_schedule_are_not_users() {
        let mut sockets = Sockets::at("80".into(), Vec::new());
        let mut answered = 0.0;
        for tenth in 0..400 {
            // As many as requests are in progress, twice as many in the second half.
            let rate = if tenth < 200 { 1.0 } else { 2.0 };
            let now = rate * [1.0, 4.0, 2.0, 7.0, 3.0, 1.0, 5.0][tenth % 7];
            answered += 10.0 * rate;
            sockets.see(&look_at(tenth as f64 / 10.0, "80", now, (now, answered), 4.0), 1.7e9);
        }
        assert_eq!(sockets.waiting(), None);
        let load = sockets.into_load("it").unwrap();
        assert!(load.stages.iter().all(|stage| !stage.is_closed()), "{:?}", load.stages);
    }

    #[test]
    fn a_pool_of_connections_that_a_schedule_uses_is_not_users() {
        let mut sockets = Sockets::at("80".into(), Vec::new());
        let mut answered = 0.0;
        for tenth in 0..400 {
            let rate = f64::from(1 + tenth / 100);
            answered += rate;
            let at = f64::from(tenth) / 10.0;
            sockets.see(&look_at(at, "80", 8.0 * rate, (0.2 * rate, answered), 8.0), 1.7e9);
        }
        assert_eq!(sockets.waiting(), None);
    }

    #[test]
    fn a_connection_for_each_request_is_not_counted() {
        let mut sockets = Sockets::at("80".into(), Vec::new());
        for tenth in 0..100 {
            let seen = f64::from(tenth);
            sockets.see(&look_at(seen / 10.0, "80", 4.0, (3.0, seen), 4.0 * seen), 1.7e9);
        }
        let why = sockets.into_load("it").unwrap_err().to_string();
        assert!(why.contains("a connection for each request"), "{why}");
    }

    #[test]
    fn sockets_that_carry_nothing_are_no_load() {
        let mut sockets = Sockets::at("80".into(), Vec::new());
        (0..9).for_each(|second| sockets.see(&look(f64::from(second), "80", 0.0, 7.0), 1.7e9));
        assert!(sockets.into_load("it").is_err());
    }
}
