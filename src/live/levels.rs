//! CPU and pools as they were read last. A counter is shown as its growth per second between its
//! last two readings.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{LevelGroup, LevelRow, Shown};
use crate::diagnose::wording as terms;
use crate::report::wording;
use crate::timeline::{Batch, Kind, Moment, Selector, SeriesKey, names};

/// A reading older than this says nothing of now.
const FRESH: Duration = Duration::from_secs(15);
/// Most pools that are shown.
const MOST_POOLS: usize = 12;
/// Most series that are remembered.
const MOST_SERIES: usize = 2000;

/// Modes in which a core of the host is in use.
const BUSY: [&str; 6] = ["user", "nice", "system", "irq", "softirq", "steal"];

/// CPU: name, what is summed, how much there is.
const CPU: [(&str, &str, Option<&str>); 4] = [
    ("host", "system.cpu.time", Some("system.cpu.cores")),
    ("target", "process.cpu.time", Some("process.cpu.allowed")),
    ("database", "db.cpu.time", None),
    ("generator", "generator.cpu.time", None),
];

/// Pools: name, what is in use, how much there is, who waits. Each has a row for each label `pool`.
const POOLS: [(&str, &str, &str, &str); 4] = [
    ("pool", "pool.connections{state=used}", "pool.limit", "pool.pending"),
    ("slots", "slots.used", "slots.limit", "slots.waiting"),
    ("workers", "workers.busy", "workers.limit", "workers.queue"),
    ("pooler", "pooler.servers{state=active}", "pooler.limit", "pooler.clients{state=waiting}"),
];

/// The label that tells pools apart.
const POOL: &str = "pool";

/// Whether a viewer is shown anything of this metric. The rest need not be handed to the model.
pub fn is_wanted(metric: &str) -> bool {
    let is = |selector: &str| selector.split('{').next() == Some(metric);
    metric == names::LOG_TEMPLATE_LINES.name
        || CPU.iter().any(|(_, used, limit)| is(used) || limit.is_some_and(is))
        || POOLS.iter().any(|(_, used, limit, waiting)| is(used) || is(limit) || is(waiting))
        || metric == names::DB_SESSIONS.name
        || metric == names::DB_BLOCKED.name
}

#[derive(Debug)]
struct Held {
    at: Moment,
    value: f64,
    kind: Kind,
    collector: String,
    /// Growth per second of a counter.
    rate: Option<f64>,
}

#[derive(Debug, Default)]
pub(super) struct Levels {
    series: BTreeMap<SeriesKey, Held>,
}

impl Levels {
    pub(super) fn take(&mut self, batch: &Batch) {
        let at = batch.at();
        for reading in batch.readings.iter().filter(|reading| is_wanted(&reading.key.metric)) {
            if reading.key.metric == names::LOG_TEMPLATE_LINES.name {
                continue;
            }
            let has_room = self.series.len() < MOST_SERIES;
            match self.series.get_mut(&reading.key) {
                Some(held) => held.read(at, reading.value),
                None if has_room => {
                    let held = Held {
                        at,
                        value: reading.value,
                        kind: reading.kind,
                        collector: batch.collector.clone(),
                        rate: None,
                    };
                    self.series.insert(reading.key.clone(), held);
                }
                None => {}
            }
        }
        // In a census, what is absent is none.
        for held in self.series.values_mut() {
            if held.kind == Kind::Census && held.collector == batch.collector && held.at < at {
                (held.at, held.value) = (at, 0.0);
            }
        }
    }

    /// Cores in use, in the order of the lines of the CPU panel.
    pub(super) fn cores(&self, now: Moment) -> Vec<Option<f64>> {
        CPU.iter().map(|(name, used, _)| self.cpu(name, used, now)).collect()
    }

    fn cpu(&self, name: &str, used: &str, now: Moment) -> Option<f64> {
        if name != "host" {
            return self.sum(used, now, |_| true);
        }
        let is_busy = |key: &SeriesKey| key.labels.get("mode").is_some_and(|it| BUSY.contains(&it));
        self.sum(used, now, is_busy)
    }

    pub(super) fn rows(&self, now: Moment) -> Vec<LevelRow> {
        let cpu = CPU.iter().filter_map(|(name, used, limit)| {
            let used = self.cpu(name, used, now)?;
            let limit = limit.and_then(|limit| self.sum(limit, now, |_| true));
            let (group, text) = (LevelGroup::Cpu, terms::cores as fn(f64) -> String);
            Some(row(group, (*name).to_owned(), used, limit, String::new(), text))
        });
        let mut rows: Vec<LevelRow> = cpu.collect();
        rows.extend(self.sessions(now));
        rows.extend(self.pools(now).into_iter().take(MOST_POOLS));
        rows
    }

    fn sessions(&self, now: Moment) -> Option<LevelRow> {
        let active = self.sum("db.sessions{state=active}", now, |_| true).or_else(|| {
            // Sessions were counted, and none of them was active.
            self.sum("db.sessions", now, |_| true).map(|_| 0.0)
        })?;
        let blocked = self.sum("db.blocked", now, |_| true).filter(|count| *count >= 1.0);
        let waiting = blocked.map(|count| format!("{} wait for a lock", wording::number(count)));
        let name = "active database sessions".to_owned();
        let text = wording::number as fn(f64) -> String;
        Some(row(LevelGroup::Pool, name, active, None, waiting.unwrap_or_default(), text))
    }

    fn pools(&self, now: Moment) -> Vec<LevelRow> {
        let mut rows = Vec::new();
        for (kind, used, limit, waiting) in POOLS {
            for pool in self.pools_of(used, now) {
                let of = |selector| {
                    self.sum(selector, now, |key| key.labels.get(POOL) == pool.as_deref())
                };
                let Some(value) = of(used) else { continue };
                let waits = of(waiting).filter(|count| *count >= 1.0);
                let waits = waits.map(|count| format!("{} wait", wording::number(count)));
                let name = match &pool {
                    Some(pool) => format!("{kind} {}", wording::clean(pool)),
                    None => kind.to_owned(),
                };
                let text = wording::number as fn(f64) -> String;
                let waits = waits.unwrap_or_default();
                rows.push(row(LevelGroup::Pool, name, value, of(limit), waits, text));
            }
        }
        rows
    }

    /// The pools that a selector finds.
    fn pools_of(&self, selector: &str, now: Moment) -> Vec<Option<String>> {
        let mut pools: Vec<Option<String>> = self
            .fresh(selector, now)
            .map(|(key, _)| key.labels.get(POOL).map(str::to_owned))
            .collect();
        pools.sort();
        pools.dedup();
        pools
    }

    /// Sum of what was read last; growth per second for counters.
    fn sum(&self, selector: &str, now: Moment, is: impl Fn(&SeriesKey) -> bool) -> Option<f64> {
        let each = self.fresh(selector, now).filter(|(key, _)| is(key));
        each.filter_map(|(_, held)| match held.kind {
            Kind::Counter => held.rate,
            Kind::Gauge | Kind::Census => Some(held.value),
        })
        .fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
    }

    fn fresh(&self, selector: &str, now: Moment) -> impl Iterator<Item = (&SeriesKey, &Held)> {
        let selector: Option<Selector> = selector.parse().ok();
        let from = selector.as_ref().map(|selector| SeriesKey::bare(&selector.metric));
        let metric = from.clone();
        from.into_iter()
            .flat_map(move |from| self.series.range(from..))
            .take_while(move |(key, _)| {
                metric.as_ref().is_some_and(|wanted| wanted.metric == key.metric)
            })
            .filter(move |(key, held)| {
                selector.as_ref().is_some_and(|selector| selector.matches(key))
                    && now.since(held.at) <= FRESH
            })
    }
}

impl Held {
    fn read(&mut self, at: Moment, value: f64) {
        let seconds = at.since(self.at).as_secs_f64();
        if self.kind == Kind::Counter && seconds > 0.0 {
            let step = value - self.value;
            // A fall is a restart of the source, which counts from zero.
            self.rate = Some(if step >= 0.0 { step } else { value } / seconds);
        }
        (self.at, self.value) = (at, value);
    }
}

fn row(
    group: LevelGroup,
    name: String,
    used: f64,
    limit: Option<f64>,
    waiting: String,
    text: fn(f64) -> String,
) -> LevelRow {
    let shown = |value: f64| Shown { value: Some(value), text: text(value) };
    let share = limit.filter(|limit| *limit > 0.0).map(|limit| used / limit);
    LevelRow { group, name, used: shown(used), limit: limit.map(shown), share, waiting }
}
