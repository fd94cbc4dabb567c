//! Decides which series of an endpoint are recorded, and records them.

use std::collections::{BTreeSet, HashSet};

use super::recognise::{is_known, recognise};
use super::text::{self, Exposition, Sample};
use crate::timeline::{BatchBuilder, Labels, SeriesKey};

/// Maximum number of series recorded under their own names for one endpoint.
pub(super) const MOST_SERIES: usize = 3000;

/// The series of one endpoint that are recorded.
#[derive(Debug)]
pub(super) struct Admission {
    /// Value of the label `endpoint`, which distinguishes several endpoints.
    instance: String,
    /// The series that are recorded under their own names.
    admitted: HashSet<SeriesKey>,
    /// The systems recognised so far.
    systems: BTreeSet<&'static str>,
}

impl Admission {
    /// No series yet of the endpoint called `instance`.
    pub(super) fn new(instance: &str) -> Self {
        Self { instance: instance.to_owned(), admitted: HashSet::new(), systems: BTreeSet::new() }
    }

    /// Number of series that are recorded under their own names.
    pub(super) fn len(&self) -> usize {
        self.admitted.len()
    }

    /// The systems recognised so far.
    pub(super) fn systems(&self) -> Vec<&'static str> {
        self.systems.iter().copied().collect()
    }

    /// Adds a scrape to `batch`. Returns how many of its series are not recorded, because there are
    /// too many.
    pub(super) fn record(&mut self, exposition: &Exposition, batch: &mut BatchBuilder) -> usize {
        self.systems.extend(recognise(&exposition.samples, &self.instance, batch));
        let mut keyed: Vec<(SeriesKey, &Sample)> =
            exposition.samples.iter().map(|sample| (self.key(sample), sample)).collect();
        // If not all fit: known families first, and the many histogram buckets last.
        if self.admitted.len() + keyed.len() > MOST_SERIES {
            keyed.sort_by_key(|(_, sample)| {
                (!is_known(&sample.name), sample.name.ends_with("_bucket"))
            });
        }
        let mut refused = 0;
        for (key, sample) in keyed {
            if !self.admitted.contains(&key) {
                if self.admitted.len() >= MOST_SERIES {
                    refused += 1;
                    continue;
                }
                self.admitted.insert(key.clone());
            }
            let kind = exposition.kind(&sample.name);
            batch.push_foreign(key, text::unit(&sample.name), kind, sample.value);
        }
        refused
    }

    /// The series of a sample. If the service already has a label `endpoint`, that label is renamed
    /// as Prometheus would do.
    fn key(&self, sample: &Sample) -> SeriesKey {
        let labels = sample.labels.iter().fold(Labels::none(), |labels, (name, value)| {
            let name = if name == "endpoint" { "exported_endpoint" } else { name };
            labels.with(name, value.as_str())
        });
        SeriesKey::new(&sample.name, labels.with("endpoint", self.instance.as_str()))
    }
}
