//! `chain_stacks`: where the threads of the services behind the target stand, read as `stacks` reads
//! those of the target. The collector `chain` finds the services.
//!
//! Its series are those of `stacks` behind `chain.`, with the label `hop`. A look costs a service
//! what it costs the target (see `stacks`); what turns `stacks` off turns this off too.
//!
//! What it cannot see:
//! - Go programs: their stacks are read by an endpoint that the plan names, and it names the target's.
//! - What `chain` and `stacks` cannot see.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::chain::{FoundService, FoundServices, push_of};
use super::{Collector, CollectorSpec, OpenResult, Opens, SampleError, TargetHint, stacks};
use crate::plan::CollectorConfig;
use crate::timeline::BatchBuilder;

pub(super) static SPEC: CollectorSpec = CollectorSpec {
    name: "chain_stacks",
    summary: "where threads stand and what uses the processor, as file and line, in the services \
              behind the target that are JVMs or CPython (needs the right to trace them)",
    hint: "[collect.chain_stacks] on the machine the target runs on, with the right to trace its \
           services",
    opens: Opens::With(&["chain", "stacks"]),
    options: &[],
    // Those of `stacks`, as series of a service.
    metrics: &[],
    interval: stacks::SPEC.interval,
    open,
};

/// A service whose stacks could not be read is tried again after this time: a worker may start late.
const TRIED_AGAIN: Duration = Duration::from_secs(20);

struct ChainStacks {
    found: FoundServices,
    services: BTreeMap<String, Reader>,
    events: Vec<String>,
}

/// What reads the stacks of one service.
enum Reader {
    Open(Box<dyn Collector>),
    /// It cannot be read, as of this moment.
    Closed(Instant),
}

fn open(_config: &CollectorConfig, hint: &TargetHint) -> OpenResult {
    Ok(Box::new(ChainStacks {
        found: hint.services.clone(),
        services: BTreeMap::new(),
        events: Vec::new(),
    }))
}

impl Collector for ChainStacks {
    fn watches(&self) -> String {
        "stacks of the services that the target calls, as it calls them".to_owned()
    }

    fn sample(&mut self, batch: &mut BatchBuilder) -> Result<(), SampleError> {
        for (name, service) in self.found.all() {
            let is_due = match self.services.get(&name) {
                None => true,
                Some(Reader::Closed(tried)) => tried.elapsed() >= TRIED_AGAIN,
                Some(Reader::Open(_)) => false,
            };
            if is_due {
                self.services.insert(name, Reader::of(service));
            }
        }
        for (name, reader) in &mut self.services {
            let Reader::Open(reader) = reader else { continue };
            let mut own = BatchBuilder::new();
            // What one service does not tell is missing; the others are read all the same.
            if reader.sample(&mut own).is_ok() {
                push_of(name, own, batch);
            }
            self.events.extend(reader.events().into_iter().map(|told| format!("{name}: {told}")));
        }
        Ok(())
    }

    fn events(&mut self) -> Vec<String> {
        std::mem::take(&mut self.events)
    }
}

impl Reader {
    fn of(service: FoundService) -> Self {
        let hint = TargetHint {
            is_local: true,
            network: service.network,
            socket: service.socket,
            process_config: Some(service.process),
            ..TargetHint::default()
        };
        match (stacks::SPEC.open)(&CollectorConfig::new(stacks::SPEC.name), &hint) {
            Ok(reader) => Reader::Open(reader),
            // Most services are neither a JVM nor a CPython, which need not be told.
            Err(_) => Reader::Closed(Instant::now()),
        }
    }
}
