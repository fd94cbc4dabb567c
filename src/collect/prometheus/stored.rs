//! Records what a Prometheus server has stored of an endpoint as a scrape of that endpoint is
//! recorded, so that the same rules know it.

use super::admission::Admission;
use super::families::SYSTEMS;
use super::recognise;
use super::text::{self, Exposition};
use crate::timeline::BatchBuilder;

/// One stored value.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredSample {
    /// Name of the metric.
    pub name: String,
    /// Labels of the service itself, ordered by name.
    pub labels: Vec<(String, String)>,
    /// The value.
    pub value: f64,
}

/// The scrapes of one endpoint, as a server stored them.
#[derive(Debug)]
pub struct StoredEndpoint {
    admission: Admission,
    exposition: Exposition,
}

impl StoredEndpoint {
    /// The endpoint called `instance`; `types` are its metrics with their types, in the words of
    /// the text format. Where a metric has none, its name decides.
    pub fn new<'t>(
        instance: &str,
        types: impl IntoIterator<Item = (&'t String, &'t String)>,
    ) -> Self {
        let mut exposition = Exposition::default();
        for (name, word) in types {
            exposition.declare(name, word);
        }
        Self { admission: Admission::new(instance), exposition }
    }

    /// Adds the values of one scrape to `batch`. Returns how many of its series are not recorded,
    /// because the endpoint has too many.
    pub fn record(&mut self, samples: Vec<StoredSample>, batch: &mut BatchBuilder) -> usize {
        let samples = samples.into_iter();
        self.exposition.samples = samples
            .map(|StoredSample { name, labels, value }| text::Sample { name, labels, value })
            .collect();
        self.admission.record(&self.exposition, batch)
    }

    /// The pools, servers and runtimes that were recognised.
    pub fn systems(&self) -> Vec<&'static str> {
        self.admission.systems()
    }
}

/// The metrics that become the shared metric `metric`, each with the library or server that has it.
pub fn families_of(metric: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let all = SYSTEMS
        .iter()
        .flat_map(|system| system.families.iter().map(move |family| (system.name, family)));
    let wanted = all.filter(move |(_, family)| family.metric.name == metric);
    wanted.map(|(system, family)| (system, family.name))
}

/// Whether a shared metric is made of the metric `name`.
pub fn is_recognised(name: &str) -> bool {
    recognise::is_known(name)
}
