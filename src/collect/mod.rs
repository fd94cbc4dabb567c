//! Reads systems while they are under load: one file a collector, one loop that drives them all.
//!
//! A collector's [`Collector::sample`] only reads. The sampler stamps the window around it, turns
//! an error into a [`Gap`](crate::timeline::Gap) and gives each collector a thread of its own, so
//! that a slow one cannot delay another: missing beats wrong.

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use crate::plan::{CollectorConfig, CollectorShape, OptionSpec};
use crate::registry::registry;
use crate::timeline::{BatchBuilder, MetricSpec};

pub mod proc;
mod sampler;
mod tls;

pub use sampler::{Observation, Opened, Sampler, open_all};

/// What kneepoint knows of a collector before it is opened.
pub struct CollectorSpec {
    /// Name in plans, messages and reports; equals the file stem.
    pub name: &'static str,
    /// One line for `kneepoint list collectors`: what it reads and what it needs.
    pub summary: &'static str,
    /// Options of its `[collect.<name>]` table.
    pub options: &'static [OptionSpec],
    /// Every metric it may emit, apart from what a scraped endpoint names itself.
    pub metrics: &'static [MetricSpec],
    /// Time between two looks where the plan sets none.
    pub interval: Duration,
    /// Checks rights and connects. Must return within a few seconds.
    pub open: fn(&CollectorConfig, &TargetHint) -> OpenResult,
}

impl CollectorSpec {
    /// What a plan needs to know to check this collector's table.
    pub fn shape(&self) -> CollectorShape {
        CollectorShape { name: self.name, options: self.options }
    }
}

/// A connected collector, or why there is none.
pub type OpenResult = Result<Box<dyn Collector>, OpenError>;

/// What the rest of the plan tells a collector of the system under test.
#[derive(Clone, Debug, Default)]
pub struct TargetHint {
    /// TCP port of the target.
    pub port: u16,
    /// Path of the UNIX socket that the target listens on instead of a port.
    pub socket: Option<String>,
    /// Whether its connections carry something other than one request after the other (WebSocket
    /// sessions, streams of HTTP/2), so that a socket does not tell how many are being served.
    pub is_shared: bool,
    /// Whether the target's address is one of this machine.
    pub is_local: bool,
    /// Name of the process group that series of the target carry as label `process`.
    pub process: String,
    /// Options of the plan's first `process` collector (`pid`, `name`, `port`), for those that
    /// have to find the same processes.
    pub process_config: Option<CollectorConfig>,
}

/// A connected collector. It has a thread of its own and may block.
pub trait Collector: Send {
    /// What it found to watch, in words for reports, such as `pid 4242 (shop) and 3 children`.
    fn watches(&self) -> String;

    /// Takes one reading. Values pushed before an `Err` are discarded with it.
    fn sample(&mut self, batch: &mut BatchBuilder) -> Result<(), SampleError>;

    /// Things worth a line in the report that happened since the last call, such as a restart.
    fn events(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// Why a collector cannot be opened. Shown before any load is sent.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct OpenError {
    /// What failed, on what, why; lower case, no full stop, no secret.
    pub what: String,
    /// What to do about it.
    pub hint: String,
    /// Whether there just is nothing of the kind to watch: not worth a word where nobody asked.
    pub is_absent: bool,
}

impl OpenError {
    /// An error with the step that mends it.
    pub fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: hint.into(), is_absent: false }
    }

    /// There is nothing of the kind to watch.
    pub fn absent(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { is_absent: true, ..Self::new(what, hint) }
    }
}

/// Why one reading is missing; becomes the gap's reason. No secret in it.
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
        jvm,
        disk,
        generator,
        postgres,
        prometheus,
    ]
}

/// The collector of this name.
pub fn find(name: &str) -> Option<&'static CollectorSpec> {
    COLLECTORS.iter().copied().find(|spec| spec.name == name)
}

/// Whether `ip` is an address of this machine: only such a one can be bound to.
pub fn is_own_address(ip: IpAddr) -> bool {
    ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::names;

    #[test]
    fn the_family_of_a_metric_tells_its_collector() {
        for spec in COLLECTORS.iter().filter(|spec| spec.name != "generator") {
            let own = |metric: &&MetricSpec| metric.name != names::COLLECTOR_CPU_TIME.name;
            for metric in spec.metrics.iter().filter(own) {
                assert_eq!(names::collector(metric.name), Some(spec.name), "{}", metric.name);
            }
        }
    }
}
