//! The services that the chain has found, for other collectors that read them too.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::collect::proc::network::Network;
use crate::plan::CollectorConfig;
use crate::timeline::{BatchBuilder, SeriesKey, names};

/// How the processes of a service are found.
#[derive(Clone, Debug)]
pub struct FoundService {
    /// Options of a `process` collector that leads to them.
    pub process: CollectorConfig,
    /// The namespace in which it listens.
    pub network: Network,
    /// Path of the UNIX socket on which it listens instead of a port.
    pub socket: Option<String>,
}

/// The services that have had requests, by name. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct FoundServices(Arc<Mutex<BTreeMap<String, FoundService>>>);

impl FoundServices {
    /// Adds a service.
    pub fn add(&self, name: &str, service: FoundService) {
        let mut services = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        services.insert(name.to_owned(), service);
    }

    /// Those found so far.
    pub fn all(&self) -> BTreeMap<String, FoundService> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Adds readings of the service `name`, under names that no selector of the target's series meets.
pub fn push_of(name: &str, readings: BatchBuilder, batch: &mut BatchBuilder) {
    for reading in readings.finish() {
        let metric = format!("{}{}", names::CHAIN, reading.key.metric);
        let key = SeriesKey { metric, labels: reading.key.labels.with("hop", name) };
        batch.push_foreign(key, reading.unit, reading.kind, reading.value);
    }
}
