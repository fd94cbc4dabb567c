//! What an agent reports, as it enters the recording: on the run's clock, and under names that say
//! whose it is.
//!
//! Where the target runs on the agent's host, its series are the target's, under the names that they
//! have everywhere. On another host, what is read of the host itself stands behind the prefix
//! `agent.` with the label `agent`, so that no selector of the target's series meets it. What has a
//! name of its own wherever it is read (a database, a pooler, scraped metrics, services of the
//! chain) keeps it.

use std::collections::BTreeMap;

use super::clock::ClockEstimate;
use super::message::Watched;
use crate::collect::{CollectorSpec, Observation, find};
use crate::recording::Entry;
use crate::timeline::{Batch, Kind, Moment, SeriesKey, Window, names};

/// The label that names the agent.
pub(super) const LABEL: &str = "agent";

/// Where the run's clock stands on the node's, at some moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shift {
    /// The node's clock is ahead of the coordinator's by this many nanoseconds, give or take.
    pub estimate: ClockEstimate,
    /// When the run began, in nanoseconds on the coordinator's clock.
    pub began: i64,
}

impl Shift {
    /// A moment of the node in nanoseconds of the run, which may be before its beginning.
    fn nanos(&self, at: Moment) -> f64 {
        at.nanos() as f64 - self.estimate.offset - self.began as f64
    }

    fn moment(&self, at: Moment) -> Moment {
        Moment::from_nanos(self.nanos(at).max(0.0) as u64)
    }

    /// The window in which a reading was taken, as wide as the error makes it; `None` if that was
    /// before the run.
    fn window(&self, window: Window) -> Option<Window> {
        let error = self.estimate.error;
        let (begin, end) = (self.nanos(window.begin) - error, self.nanos(window.end) + error);
        let at = |nanos: f64| Moment::from_nanos(nanos.max(0.0) as u64);
        (begin >= 0.0).then(|| Window::new(at(begin), at(end)))
    }
}

/// What a collector of an agent is to the recording.
#[derive(Debug)]
struct Place {
    /// What it is called there.
    instance: String,
    /// Whether it reads a host that is not the target's.
    is_apart: bool,
}

/// Gives the entries of one agent their place.
#[derive(Debug)]
pub(super) struct Translator {
    agent: String,
    /// Its collectors, by what the agent calls each instance.
    collectors: BTreeMap<String, Place>,
    /// The middle of the last reading of each: readings stay in their order when the estimate moves.
    last: BTreeMap<String, Moment>,
    counters: BTreeMap<SeriesKey, Total>,
    /// How often the agent was started again.
    lives: u32,
}

/// A counter over all lives of an agent. Some collectors count from their own start: they go on where
/// they were, because that they begin anew is no restart of what they count.
#[derive(Clone, Copy, Debug, Default)]
struct Total {
    /// What the lives before have counted.
    before: f64,
    /// The last value.
    last: f64,
    life: u32,
}

impl Total {
    /// The value of `counted`, read in this life.
    fn at(&mut self, counted: f64, life: u32) -> f64 {
        if self.life != life {
            self.life = life;
            // What the kernel counts has gone on.
            if self.before + counted < self.last {
                self.before = self.last;
            }
        }
        self.last = self.before + counted;
        self.last
    }
}

impl Translator {
    /// For the agent of this name. `taken` tells which names of collectors are in use already.
    pub fn new(
        agent: &str,
        is_target: bool,
        watched: &[Watched],
        taken: impl Fn(&str) -> bool,
    ) -> Self {
        let named = |watched: &Watched| {
            let own = &watched.instance;
            let is_free = is_target && !taken(own);
            let instance = if is_free { own.clone() } else { format!("{agent}/{own}") };
            let is_apart = !is_target && find(&watched.name).is_some_and(CollectorSpec::is_of_host);
            (own.clone(), Place { instance, is_apart })
        };
        Self {
            agent: agent.to_owned(),
            collectors: watched.iter().map(named).collect(),
            last: BTreeMap::new(),
            counters: BTreeMap::new(),
            lives: 0,
        }
    }

    /// The agent was started again.
    pub fn begin_again(&mut self) {
        self.lives += 1;
    }

    /// What the collectors are called in the recording.
    pub fn instances(&self) -> impl Iterator<Item = &str> {
        self.collectors.values().map(|place| place.instance.as_str())
    }

    /// What a collector of the agent is called in the recording.
    pub fn instance(&self, own: &str) -> String {
        self.collectors.get(own).map_or_else(|| self.agent.clone(), |place| place.instance.clone())
    }

    /// Whether a collector of the agent reads a host that is not the target's.
    pub fn is_apart(&self, own: &str) -> bool {
        self.collectors.get(own).is_some_and(|place| place.is_apart)
    }

    /// The entry as an observation of the run; `None` if it is from before the run.
    pub fn observe(&mut self, entry: Entry, shift: &Shift) -> Option<Observation> {
        Some(match entry {
            Entry::Batch(batch) => Observation::Batch(self.batch(batch, shift)?),
            Entry::Gap(mut gap) => {
                gap.window = shift.window(gap.window)?;
                gap.collector = self.instance(&gap.collector);
                Observation::Gap(gap)
            }
            Entry::Quote(mut quote) => {
                quote.at = shift.moment(quote.at);
                quote.key = self.key(quote.key, &quote.collector);
                quote.collector = self.instance(&quote.collector);
                Observation::Quote(quote)
            }
            Entry::Event(event) => Observation::Event {
                at: shift.moment(event.at),
                text: format!("{} (agent `{}`)", event.text, self.agent),
            },
            // An agent makes no load.
            Entry::Tick(_) => return None,
        })
    }

    fn batch(&mut self, batch: Batch, shift: &Shift) -> Option<Batch> {
        let window = shift.window(batch.window)?;
        let collector = self.instance(&batch.collector);
        let last = self.last.entry(collector.clone()).or_default();
        let late = last.since(window.middle());
        let window = Window::new(window.begin + late, window.end + late);
        *last = window.middle();
        let mut readings = batch.readings;
        for reading in &mut readings {
            let key = std::mem::replace(&mut reading.key, SeriesKey::bare(""));
            reading.key = self.key(key, &batch.collector);
            if reading.kind == Kind::Counter {
                let total = self.counters.entry(reading.key.clone()).or_default();
                reading.value = total.at(reading.value, self.lives);
            }
        }
        Some(Batch { collector, window, readings })
    }

    /// The name of a series that the agent's collector `own` has read.
    fn key(&self, key: SeriesKey, own: &str) -> SeriesKey {
        let SeriesKey { metric, labels } = key;
        if metric == names::COLLECTOR_CPU_TIME.name {
            let labels = labels.with("collector", self.instance(own));
            return SeriesKey { metric, labels };
        }
        if metric.starts_with(names::AGENT) && own == names::AGENT {
            let labels = labels.with(LABEL, self.agent.as_str());
            return SeriesKey { metric, labels };
        }
        if !self.is_apart(own) || metric.starts_with(names::CHAIN) {
            return SeriesKey { metric, labels };
        }
        let metric = format!("{}.{metric}", names::AGENT);
        SeriesKey { metric, labels: labels.with(LABEL, self.agent.as_str()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::{BatchBuilder, Gap, Labels, Unit};

    fn watched(name: &str) -> Watched {
        Watched {
            name: name.to_owned(),
            instance: name.to_owned(),
            watches: String::new(),
            interval_secs: 1.0,
        }
    }

    fn translator(is_target: bool) -> Translator {
        let watched = ["process", "chain", "postgres", "host"].map(watched);
        Translator::new("db1", is_target, &watched, |name| name == "postgres")
    }

    fn shift(offset_secs: f64, error_secs: f64) -> Shift {
        let estimate = ClockEstimate { offset: offset_secs * 1e9, error: error_secs * 1e9 };
        Shift { estimate, began: 2_000_000_000 }
    }

    fn batch(collector: &str, metric: &str, begin: f64, end: f64) -> Entry {
        let window = Window::new(Moment::from_secs_f64(begin), Moment::from_secs_f64(end));
        let mut builder = BatchBuilder::new();
        let key = SeriesKey::new(metric, Labels::none().with("process", "shop"));
        builder.push_foreign(key, Unit::Count, Kind::Gauge, 1.0);
        Entry::Batch(Batch { collector: collector.to_owned(), window, readings: builder.finish() })
    }

    fn placed(translator: &mut Translator, entry: Entry, shift: &Shift) -> Option<Batch> {
        match translator.observe(entry, shift)? {
            Observation::Batch(batch) => Some(batch),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_targets_series_keep_their_names_and_those_of_another_host_stand_apart() {
        let shift = shift(0.0, 0.0);
        for (is_target, collector, metric, expected) in [
            (true, "process", "process.count", ("process", "process.count{process=shop}")),
            (true, "postgres", "db.sessions", ("db1/postgres", "db.sessions{process=shop}")),
            (
                false,
                "process",
                "process.count",
                ("db1/process", "agent.process.count{agent=db1,process=shop}"),
            ),
            (false, "chain", "chain.service", ("db1/chain", "chain.service{process=shop}")),
            (false, "postgres", "db.sessions", ("db1/postgres", "db.sessions{process=shop}")),
            (
                false,
                "host",
                "collector.cpu.time",
                ("db1/host", "collector.cpu.time{collector=db1/host,process=shop}"),
            ),
            (true, "agent", "agent.memory", ("db1", "agent.memory{agent=db1,process=shop}")),
        ] {
            let entry = batch(collector, metric, 5.0, 5.1);
            let placed = placed(&mut translator(is_target), entry, &shift).unwrap();
            let key = placed.readings[0].key.to_string();
            assert_eq!((placed.collector.as_str(), key.as_str()), expected);
        }
    }

    #[test]
    fn times_move_to_the_clock_of_the_run_and_windows_widen_by_the_error() {
        let shift = shift(-10_800.0, 0.02);
        let mut translator = translator(true);
        let entry = batch("process", "process.count", 5.0, 5.1);
        let placed = placed(&mut translator, entry, &shift).unwrap();
        let secs = |at: Moment| (at.secs() * 1e3).round() / 1e3;
        assert_eq!(secs(placed.window.begin), 5.0 + 10_800.0 - 2.0 - 0.02);
        assert_eq!(secs(placed.window.end), 5.1 + 10_800.0 - 2.0 + 0.02);
        let gap = Gap {
            collector: "process".to_owned(),
            window: Window::new(Moment::START, Moment::from_secs_f64(1.0)),
            reason: "busy".to_owned(),
        };
        let Some(Observation::Gap(gap)) = translator.observe(Entry::Gap(gap), &shift) else {
            panic!()
        };
        assert_eq!(secs(gap.window.end), 10_800.0 + 1.0 - 2.0 + 0.02);
    }

    #[test]
    fn counters_go_on_when_the_agent_was_started_again() {
        let (mut own, mut kernels, mut restarted) = <(Total, Total, Total)>::default();
        for (life, counts, expected) in [
            (0, (0.0, 100.0, 50.0), (0.0, 100.0, 50.0)),
            (0, (7.0, 130.0, 3.0), (7.0, 130.0, 3.0)),
            (1, (0.0, 190.0, 1.0), (7.0, 190.0, 4.0)),
            (1, (2.0, 191.0, 2.0), (9.0, 191.0, 5.0)),
            (2, (1.0, 200.0, 0.0), (10.0, 200.0, 5.0)),
        ] {
            let (one, two, three) = counts;
            let now = (own.at(one, life), kernels.at(two, life), restarted.at(three, life));
            assert_eq!(now, expected, "in life {life}");
        }
    }

    #[test]
    fn what_was_read_before_the_run_is_left_out_and_readings_keep_their_order() {
        let mut translator = translator(true);
        let early = batch("process", "process.count", 1.0, 1.1);
        assert!(placed(&mut translator, early, &shift(0.0, 0.0)).is_none());
        let one = batch("process", "process.count", 5.0, 5.0);
        let one = placed(&mut translator, one, &shift(0.0, 0.0)).unwrap();
        // The estimate has moved by more than the time between the two.
        let two = batch("process", "process.count", 5.01, 5.01);
        let two = placed(&mut translator, two, &shift(0.05, 0.0)).unwrap();
        assert!(two.at() >= one.at(), "{:?} {:?}", one.window, two.window);
    }
}
