//! Reads systems under load: one file per collector, and one loop that drives them all.
//!
//! A collector's [`Collector::sample`] only reads. The sampler sets the window of each reading and
//! turns an error into a [`Gap`](crate::timeline::Gap). Each collector has its own thread, so that
//! a slow one cannot delay another. A missing value is better than a wrong one.

use std::time::Duration;

use crate::plan::{CollectorConfig, CollectorShape, OptionSpec};
use crate::registry::registry;
use crate::timeline::{BatchBuilder, MetricSpec, SeriesKey, Source};

pub(crate) mod http;
mod locate;
pub mod proc;
mod sampler;
mod tls;

pub use chain::{FROM, FoundServices};
pub use generator::CHILDREN;
pub use locate::{Fingerprint, Located, Opening, SocketSearch, locate, locate_listener};
pub use logs::stored::StoredLogs;
pub use postgres::inventory::{Inventory, StoredTable, inventory};
pub use proc::network::{Forwarder, Network, is_own_address, machine_addresses};
pub use prometheus::stored::{StoredEndpoint, StoredSample, families_of, is_recognised};
pub use sampler::{Observation, Opened, Sampler, open_all};
pub use tcp::{OwnPage, can_list_sockets, speaks_postgres};

/// What kneepoint knows about a collector before it opens it.
pub struct CollectorSpec {
    /// Name in plans, messages and reports; equals the file stem.
    pub name: &'static str,
    /// One line for `kneepoint list collectors`: what it reads and what it needs.
    pub summary: &'static str,
    /// What to add to a plan to get this collector, for a user who lacks its metrics.
    pub hint: &'static str,
    /// When it is opened although the plan does not name it.
    pub opens: Opens,
    /// Options of its `[collect.<name>]` table.
    pub options: &'static [OptionSpec],
    /// Every metric it may emit, except those that a scraped endpoint names itself and the cost of
    /// its thread, which the sampler adds.
    pub metrics: &'static [MetricSpec],
    /// Time between two looks if the plan sets none.
    pub interval: Duration,
    /// Checks permissions and connects. Must return within a few seconds.
    pub open: fn(&CollectorConfig, &TargetHint) -> OpenResult,
}

impl CollectorSpec {
    /// What a plan needs to know to check this collector's table.
    pub fn shape(&self) -> CollectorShape {
        CollectorShape { name: self.name, options: self.options }
    }

    /// Whether it reads the host, or a process there, rather than something that has a name of its
    /// own wherever it is read.
    pub fn is_of_host(&self) -> bool {
        matches!(self.opens, Opens::ForLocalTarget | Opens::With(_))
    }

    /// What a diagnosis needs to know to report it as missing.
    pub fn source(&self) -> Source {
        Source { name: self.name, metrics: self.metrics, hint: self.hint }
    }
}

/// The option that keeps a collector closed which opens by itself, where it has one.
const OFF: &str = "off";

/// When a collector that the plan does not name is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opens {
    /// In every run.
    Always,
    /// If the target runs on this machine.
    ForLocalTarget,
    /// The same, unless the plan turns one of these collectors off.
    With(&'static [&'static str]),
    /// Never: it needs an option.
    WhenAsked,
}

/// A connected collector, or why there is none.
pub type OpenResult = Result<Box<dyn Collector>, OpenError>;

/// What the rest of the plan tells a collector about the system under test.
#[derive(Clone, Debug, Default)]
pub struct TargetHint {
    /// TCP port of the target.
    pub port: u16,
    /// Path of the UNIX socket that the target listens on instead of a port.
    pub socket: Option<String>,
    /// Whether its connections carry more than one request at a time (WebSocket sessions, HTTP/2
    /// streams). A socket then does not show how many requests are being served.
    pub is_shared: bool,
    /// Whether the target's address belongs to this machine.
    pub is_local: bool,
    /// Name of the process group, used as label `process` in the target's series.
    pub process: String,
    /// The network namespace that the target is in.
    pub network: Network,
    /// What passes on every byte of the load to the target, from the load on.
    pub forwarders: Vec<Forwarder>,
    /// Options of the plan's first `process` collector (`pid`, `name`, `port`), for collectors that
    /// must find the same processes.
    pub process_config: Option<CollectorConfig>,
    /// The services behind the target that the collector `chain` finds, for those that read them too.
    pub services: FoundServices,
    /// The page that kneepoint itself serves beside the run.
    pub own_page: OwnPage,
}

/// A connected collector. It has its own thread and may block.
pub trait Collector: Send {
    /// What it found to watch, as text for reports, such as `pid 4242 (shop) and 3 children`.
    fn watches(&self) -> String;

    /// Takes one reading. Values pushed before an `Err` are discarded with it.
    fn sample(&mut self, batch: &mut BatchBuilder) -> Result<(), SampleError>;

    /// Events since the last call that are worth a line in the report, such as a restart.
    fn events(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Original words behind series that were pushed since the last call, each once, without a
    /// secret.
    fn quotes(&mut self) -> Vec<(SeriesKey, String)> {
        Vec::new()
    }

    /// Whether looking less often makes it cheaper. If so, an expensive collector is read less
    /// often.
    fn costs_by_look(&self) -> bool {
        true
    }
}

/// Why a collector cannot be opened. Shown before any load is sent.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct OpenError {
    /// What failed, on what, and why. Lower case, no full stop, no secret.
    pub what: String,
    /// What to do about it.
    pub hint: String,
    /// Whether there is simply nothing to watch. Then it is not reported, unless the plan asked for
    /// it.
    pub is_absent: bool,
}

impl OpenError {
    /// An error with the step that fixes it.
    pub fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: hint.into(), is_absent: false }
    }

    /// There is nothing to watch.
    pub fn absent(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { is_absent: true, ..Self::new(what, hint) }
    }
}

/// Why one reading is missing; becomes the gap's reason. Contains no secret.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SampleError(pub String);

registry! {
    /// Every collector, in the order that lists and reports show them.
    pub static COLLECTORS: [CollectorSpec] = [
        host,
        process,
        tcp,
        threads,
        chain,
        chain_stacks,
        jvm,
        stacks,
        disk,
        file_locks,
        logs,
        generator,
        postgres,
        pgbouncer,
        prometheus,
    ]
}

/// The collector with this name.
pub fn find(name: &str) -> Option<&'static CollectorSpec> {
    COLLECTORS.iter().copied().find(|spec| spec.name == name)
}

/// The collectors of `planned`, plus those that open by default, without those that are `off`.
pub fn with_defaults(
    mut planned: Vec<CollectorConfig>,
    target_is_local: bool,
) -> Vec<CollectorConfig> {
    let off: Vec<String> =
        planned.iter().filter(|it| it.switch(OFF)).map(|it| it.name.clone()).collect();
    let is_off = |name: &&str| off.iter().any(|off| off == *name);
    let by_themselves = COLLECTORS.iter().filter(|spec| match spec.opens {
        Opens::Always => true,
        Opens::ForLocalTarget => target_is_local,
        Opens::With(others) => target_is_local && !others.iter().any(is_off),
        Opens::WhenAsked => false,
    });
    for spec in by_themselves {
        if !planned.iter().any(|config| config.name == spec.name) {
            planned.push(CollectorConfig::new(spec.name));
        }
    }
    planned.retain(|config| !config.switch(OFF));
    planned
}

/// The sources of all metrics that a plan can ask for.
pub fn sources() -> Vec<Source> {
    let asked = COLLECTORS.iter().filter(|spec| spec.opens != Opens::Always);
    asked.map(|spec| spec.source()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::OptionValue;

    /// A missing metric must be traceable to one collector.
    #[test]
    fn no_two_collectors_emit_the_same_metric() {
        let sources = sources();
        for source in &sources {
            for metric in source.metrics {
                let emitters = sources.iter().filter(|source| source.emits(metric.name));
                assert_eq!(emitters.count(), 1, "{}", metric.name);
            }
        }
    }

    #[test]
    fn what_to_add_to_a_plan_names_the_collector() {
        for spec in COLLECTORS.iter().filter(|spec| spec.opens != Opens::Always) {
            let table = format!("[collect.{}]", spec.name);
            assert!(spec.hint.starts_with(&table), "{}", spec.hint);
        }
    }

    #[test]
    fn a_distant_target_has_nothing_here_to_look_into() {
        let names = |is_local| -> Vec<String> {
            with_defaults(Vec::new(), is_local).into_iter().map(|config| config.name).collect()
        };
        assert_eq!(names(false), ["generator"]);
        let local = names(true);
        for name in ["host", "process", "tcp", "threads", "generator"] {
            assert!(local.iter().any(|opened| opened == name), "{name} is not in {local:?}");
        }
        assert!(!local.iter().any(|opened| opened == "postgres"), "it needs a url");
        let planned = vec![CollectorConfig::new("tcp")];
        assert_eq!(with_defaults(planned, true).len(), local.len());
        let off = CollectorConfig::new("stacks").with(OFF, OptionValue::Switch(true));
        let without = with_defaults(vec![off], true).len();
        assert_eq!(without, local.len() - 2, "those of the services are off too");
    }
}
