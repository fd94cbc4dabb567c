//! The systems of a made week, and the faults that are planted in them.

use kneepoint::timeline::{BatchBuilder, Kind, Labels, SeriesKey, Unit, names};

use super::weeks::{DAY, STEP};

/// Places of the pool of workers, and seconds for which a request holds one.
const PLACES: f64 = 10.0;
const HOLDS: f64 = 0.04;
/// Connections of the pool to the database, and seconds for which a request holds one.
const CONNECTIONS: f64 = 20.0;
const HOLDS_CONNECTION: f64 = 0.02;
/// Statements of a request, and the seconds of one.
const STATEMENTS: f64 = 2.0;
const STATEMENT: f64 = 0.005;
/// Calls to the payments service for each request, and the seconds of one.
const CALLS: f64 = 0.2;
const CALL: f64 = 0.03;
/// Bytes of a process, and the most that it may take.
const MEMORY: f64 = 4e8;
const MOST_MEMORY: f64 = 2e9;

/// One minute of the shop and of what is behind it.
pub struct Minute {
    pub rate: f64,
    /// Seconds of the two kinds of requests, and the share of the heavy one.
    pub light: f64,
    pub heavy: f64,
    pub share: f64,
    pub errors: f64,
    pub is_scraped: bool,
    /// Which of the two processes started anew in a fault.
    pub restarted: [bool; 2],
    places: f64,
    places_used: f64,
    places_waiting: f64,
    connections_used: f64,
    connections_waiting: f64,
    /// Sessions that execute, and that hold a transaction open.
    active: f64,
    idle_in_transaction: f64,
    statement: f64,
    call: f64,
    memory: f64,
    killed: bool,
    version: &'static str,
}

impl Minute {
    pub fn healthy(rate: f64, slow: f64, light: f64, heavy: f64, share: f64) -> Self {
        Self {
            rate,
            light,
            heavy,
            share,
            errors: 0.0005,
            is_scraped: true,
            restarted: [false; 2],
            places: PLACES,
            places_used: (rate * HOLDS * slow).min(PLACES),
            places_waiting: 0.0,
            connections_used: (rate * HOLDS_CONNECTION * slow).min(CONNECTIONS),
            connections_waiting: 0.0,
            active: (rate * STATEMENTS * STATEMENT * slow).min(CONNECTIONS),
            idle_in_transaction: rate * 0.002,
            statement: STATEMENT * slow,
            call: CALL * slow,
            memory: MEMORY + rate * 1e6,
            killed: false,
            version: "1.41",
        }
    }

    fn slower(&mut self, seconds: f64) {
        self.light += seconds;
        self.heavy += seconds;
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Planted {
    /// Somebody sets the pool of workers to one place.
    OnePlace,
    /// Memory grows for a day, until a process is killed; the other one cannot carry the load.
    Leak,
    /// A new version reads a table without an index.
    SlowQuery,
    /// A report holds most connections in open transactions.
    HeldConnections,
    /// The payments service becomes slow.
    SlowPeer,
}

pub const PLANTED: [Planted; 5] = [
    Planted::OnePlace,
    Planted::Leak,
    Planted::SlowQuery,
    Planted::HeldConnections,
    Planted::SlowPeer,
];

impl Planted {
    /// The rules that are right.
    pub fn rules(self) -> &'static [&'static str] {
        match self {
            Planted::OnePlace => &["pool-exhausted"],
            Planted::Leak => &["memory-leak", "oom-killed"],
            Planted::SlowQuery => &["db-queries-slow"],
            Planted::HeldConnections => &["db-connections-held"],
            Planted::SlowPeer => &["downstream-wait"],
        }
    }

    /// Whether stored metrics tell the cause. Connections that are kept longer while the requests go on
    /// to nothing else may be held by a process that lacks the CPU to go on: an honest "unknown" is right.
    pub fn can_be_told(self) -> bool {
        self != Planted::HeldConnections
    }

    /// A part of the change that has to be told.
    pub fn change(self) -> Option<&'static str> {
        match self {
            Planted::OnePlace => Some("slots.limit"),
            Planted::Leak => Some("restarted"),
            Planted::SlowQuery => Some("version 1.41 -> 1.42"),
            Planted::HeldConnections | Planted::SlowPeer => None,
        }
    }

    /// What it does to the minute `scrape`, if it lasts from `from` for so many minutes.
    pub fn befall(self, now: &mut Minute, scrape: u64, (from, lasts): (u64, u64), noise: f64) {
        let is_on = (from..from + lasts).contains(&scrape);
        match self {
            Planted::OnePlace if is_on => {
                // Which lets through what it is held for.
                now.places = 1.0;
                now.rate = now.rate.min(now.places / HOLDS);
                (now.places_used, now.places_waiting) = (now.places, 15.0 * noise);
                now.slower(0.6 * noise);
            }
            Planted::Leak if scrape >= from => {
                now.restarted[0] = true;
                now.killed = true;
                // It starts slowly, and a proxy still sends its half of the requests to it.
                if scrape < from + lasts.min(9) {
                    now.errors = 0.5;
                }
            }
            Planted::Leak => {
                let grown = (scrape + DAY).saturating_sub(from) as f64 / DAY as f64;
                now.memory += grown * (0.98 * MOST_MEMORY - now.memory);
            }
            Planted::SlowQuery if is_on => {
                now.version = "1.42";
                now.restarted = [true; 2];
                now.statement = 0.15 * noise;
                let held = STATEMENTS * now.statement;
                now.active = (now.rate * held).min(CONNECTIONS);
                now.connections_used = now.active;
                now.slower(held);
            }
            Planted::SlowQuery if scrape >= from => now.restarted = [true; 2],
            Planted::HeldConnections if is_on => {
                now.idle_in_transaction = CONNECTIONS - 1.0;
                now.active = 1.0;
                now.connections_used = CONNECTIONS;
                now.connections_waiting = 12.0 * noise;
                now.slower(0.5 * noise);
            }
            Planted::SlowPeer if is_on => {
                now.call = 1.2 * noise;
                now.slower(CALLS * now.call);
            }
            _ => {}
        }
    }
}

/// The running totals of what is behind the shop.
#[derive(Default)]
pub struct Systems {
    statements: f64,
    statement_time: f64,
    calls: f64,
    call_time: f64,
}

impl Systems {
    /// Counts a minute with so many requests.
    pub fn pass(&mut self, now: &Minute, requests: f64) {
        self.statements += requests * STATEMENTS;
        self.statement_time += requests * STATEMENTS * now.statement;
        self.calls += requests * CALLS;
        self.call_time += requests * CALLS * now.call;
    }

    /// What a scrape of that minute reads.
    pub fn read(&self, now: &Minute, batch: &mut BatchBuilder) {
        let none = Labels::none;
        let places = || none().with("pool", "render").with("endpoint", "shop:80");
        batch.push_labelled(&names::SLOTS_USED, places(), now.places_used);
        batch.push_labelled(&names::SLOTS_LIMIT, places(), now.places);
        batch.push_labelled(&names::SLOTS_WAITING, places(), now.places_waiting);
        let pool = || none().with("pool", "catalogue").with("endpoint", "shop:80");
        let used = |state: &str| pool().with("state", state);
        batch.push_labelled(&names::POOL_CONNECTIONS, used("used"), now.connections_used);
        let idle = CONNECTIONS - now.connections_used;
        batch.push_labelled(&names::POOL_CONNECTIONS, used("idle"), idle);
        batch.push_labelled(&names::POOL_LIMIT, pool(), CONNECTIONS);
        batch.push_labelled(&names::POOL_PENDING, pool(), now.connections_waiting);
        let session = |state: &str, wait: &str| {
            none()
                .with("app", "shop")
                .with("state", state)
                .with("wait_type", wait)
                .with("wait_event", "none")
        };
        let open = session("idle in transaction", "Client");
        batch.push_labelled(&names::DB_SESSIONS, session("active", "none"), now.active);
        batch.push_labelled(&names::DB_SESSIONS, open, now.idle_in_transaction);
        batch.push_labelled(&names::DB_SESSIONS, session("idle", "Client"), idle);
        batch.push_labelled(&names::DB_CONNECTIONS, none(), CONNECTIONS);
        batch.push_labelled(&names::DB_CONNECTIONS_LIMIT, none(), 97.0);
        batch.push_labelled(&names::DB_STATEMENT_CALLS, none(), self.statements);
        batch.push_labelled(&names::DB_STATEMENT_TIME, none(), self.statement_time);
        let peer = none().with("peer", "payments").with("class", "200");
        batch.push_labelled(&names::CLIENT_CALLS, peer, self.calls);
        let peer = none().with("peer", "payments");
        batch.push_labelled(&names::CLIENT_CALL_TIME, peer, self.call_time);
        for place in 0..2 {
            let process = || none().with("process", format!("shop-{place}"));
            let memory = if place == 0 { now.memory } else { MEMORY };
            batch.push_labelled(&names::PROCESS_MEMORY_RSS, process(), memory);
            batch.push_labelled(&names::PROCESS_MEMORY_ANONYMOUS, process(), 0.9 * memory);
            batch.push_labelled(&names::CGROUP_MEMORY_LIMIT, process(), MOST_MEMORY);
            let kills = f64::from(now.killed && place == 0);
            batch.push_labelled(&names::CGROUP_OOM_KILLS, process(), kills);
        }
        let busy = (now.rate * 0.008 + 0.2) / 4.0;
        batch.push(&names::SYSTEM_CPU_UTILIZATION, busy.min(1.0));
        batch.push(&names::SYSTEM_CPU_CORES, 4.0);
        let build = none().with("version", now.version).with("endpoint", "shop:80");
        let build = SeriesKey::new("shop_build_info", build);
        batch.push_foreign(build, Unit::Count, Kind::Gauge, 1.0);
    }
}

/// Seconds between two scrapes, so that the units above are right.
const _: () = assert!(STEP == 60);
