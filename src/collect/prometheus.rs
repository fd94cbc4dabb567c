//! What a service reports on its Prometheus endpoint. Every series is recorded under its own name.
//! Series of well-known pools, workers and runtimes are also recorded under the shared names. Pools
//! with other names, and the metrics `slots.…`, are recognised by the diagnosis, which has the whole
//! run before it.
//!
//! # Errors
//! A scrape that fails as a whole is a gap. A line that cannot be parsed is skipped and reported
//! once, with its number; the rest of the scrape counts.

mod admission;
mod families;
mod fetch;
mod recognise;
pub(super) mod stored;
#[cfg(test)]
mod tests;
mod text;

use std::time::Duration;

use admission::{Admission, MOST_SERIES};
use fetch::Endpoint;
use text::Exposition;

use crate::collect::{Collector, CollectorSpec, OpenError, Opens, SampleError, TargetHint};
use crate::plan::{CollectorConfig, OptionKind, OptionSpec};
use crate::timeline::{BatchBuilder, names};

/// The collector `prometheus`.
pub static SPEC: CollectorSpec = CollectorSpec {
    name: "prometheus",
    summary: "a service's own metrics, from its Prometheus endpoint",
    hint: "[collect.prometheus] with the target's metrics endpoint",
    opens: Opens::WhenAsked,
    options: &[
        OptionSpec {
            name: "url",
            kind: OptionKind::Secret,
            required: true,
            about: "http://host:port/metrics; may hold user and password",
        },
        OptionSpec {
            name: "bearer_token",
            kind: OptionKind::Secret,
            required: false,
            about: "token for the header `Authorization: Bearer`",
        },
        OptionSpec {
            name: "ca_file",
            kind: OptionKind::Text,
            required: false,
            about: "PEM file of the authority that signed the endpoint's certificate",
        },
    ],
    metrics: &[
        names::POOL_CONNECTIONS,
        names::POOL_LIMIT,
        names::POOL_PENDING,
        names::POOL_WAIT_TIME,
        names::POOL_ACQUIRES,
        names::POOL_USE_TIME,
        names::POOL_TIMEOUTS,
        names::SLOTS_USED,
        names::SLOTS_LIMIT,
        names::SLOTS_WAITING,
        names::WORKERS_BUSY,
        names::WORKERS_LIMIT,
        names::WORKERS_QUEUE,
        names::RUNTIME_GC_TIME,
        names::RUNTIME_GC_COUNT,
        names::RUNTIME_HEAP_USED,
        names::RUNTIME_HEAP_LIMIT,
        names::RUNTIME_LOOP_LAG,
        names::CLIENT_CALLS,
        names::CLIENT_CALL_TIME,
    ],
    interval: INTERVAL,
    open,
};

const INTERVAL: Duration = Duration::from_secs(1);

/// When the process behind the endpoint started; all client libraries use this name.
const START_TIME: &str = "process_start_time_seconds";

fn open(config: &CollectorConfig, _: &TargetHint) -> Result<Box<dyn Collector>, OpenError> {
    let mut collector = Prometheus {
        endpoint: Endpoint::open(config, config.interval.unwrap_or(INTERVAL))?,
        admission: Admission::new(&config.instance),
        started: None,
        has_told_unread: false,
        has_told_refused: false,
        events: Vec::new(),
    };
    let body = collector.endpoint.fetch().map_err(|error| collector.endpoint.open_error(&error))?;
    let exposition = text::parse(&body);
    if exposition.samples.is_empty() {
        return Err(collector.endpoint.no_metrics(&body));
    }
    // Which series are recorded is fixed for the whole run: this first scrape decides it.
    collector.take(&exposition, &mut BatchBuilder::new());
    Ok(Box::new(collector))
}

struct Prometheus {
    endpoint: Endpoint,
    /// Which of its series are recorded.
    admission: Admission,
    started: Option<f64>,
    has_told_unread: bool,
    has_told_refused: bool,
    events: Vec<String>,
}

impl Collector for Prometheus {
    fn watches(&self) -> String {
        let mut text = format!("{} series of `{}`", self.admission.len(), self.endpoint);
        let systems = self.admission.systems();
        if !systems.is_empty() {
            text += &format!(", with metrics of {}", systems.join(", "));
        }
        text
    }

    fn sample(&mut self, batch: &mut BatchBuilder) -> Result<(), SampleError> {
        let body = self.endpoint.fetch().map_err(|error| SampleError(error.to_string()))?;
        let exposition = text::parse(&body);
        if exposition.samples.is_empty() {
            return Err(SampleError(self.endpoint.no_metrics(&body).what));
        }
        self.take(&exposition, batch);
        Ok(())
    }

    fn events(&mut self) -> Vec<String> {
        std::mem::take(&mut self.events)
    }
}

impl Prometheus {
    /// Adds a scrape to `batch`, and anything worth reporting to the events.
    fn take(&mut self, exposition: &Exposition, batch: &mut BatchBuilder) {
        let refused = self.admission.record(exposition, batch);
        self.tell(exposition, refused);
    }

    fn tell(&mut self, exposition: &Exposition, refused: usize) {
        let endpoint = &self.endpoint;
        if let Some((number, why)) = exposition.first_unread
            && !self.has_told_unread
        {
            self.has_told_unread = true;
            let (unread, all) = (exposition.unread, exposition.unread + exposition.samples.len());
            self.events.push(format!(
                "{unread} of {all} lines of `{endpoint}` cannot be read and are left out, the \
                 first is line {number}: {why}"
            ));
        }
        if refused > 0 && !self.has_told_refused {
            self.has_told_refused = true;
            self.events.push(format!(
                "`{endpoint}` has more than {MOST_SERIES} series: {refused} of them are not \
                 recorded"
            ));
        }
        let started = exposition.samples.iter().find(|sample| sample.name == START_TIME);
        if let Some(started) = started.map(|sample| sample.value) {
            if self.started.is_some_and(|before| started > before + 1.0) {
                self.events.push(format!("the process behind `{endpoint}` was restarted"));
            }
            self.started = Some(started);
        }
    }
}
