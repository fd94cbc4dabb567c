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
use crate::collect::Observation;
use crate::recording::Entry;
use crate::timeline::{Batch, Moment, Reading, SeriesKey, Window, names};

/// Collectors that read the host, or a process that they take for the target.
const OF_THE_HOST: [&str; 8] =
    ["host", "process", "tcp", "threads", "chain", "jvm", "stacks", "disk"];
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
            let is_apart = !is_target && OF_THE_HOST.contains(&watched.name.as_str());
            (own.clone(), Place { instance, is_apart })
        };
        Self {
            agent: agent.to_owned(),
            collectors: watched.iter().map(named).collect(),
            last: BTreeMap::new(),
        }
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
        let key =
            |reading: Reading| Reading { key: self.key(reading.key, &batch.collector), ..reading };
        let readings = batch.readings.into_iter().map(key).collect();
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
