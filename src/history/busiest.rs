//! How many cores the busiest process of the target uses: one that uses a whole core and never more,
//! while it may use several, does its work in one thread.

use std::collections::BTreeMap;

use super::catalogue::Catalogue;

/// The metric of client libraries. That of a container counts all of its processes.
const OF_ONE_PROCESS: &str = "process_cpu_seconds_total";

/// The processor time of each process when it was last looked at.
#[derive(Debug, Default)]
pub(super) struct Busiest {
    /// Time in milliseconds and seconds of processor time, by endpoint.
    last: BTreeMap<String, (i64, f64)>,
    /// Cores that each used since.
    used: BTreeMap<String, f64>,
}

impl Busiest {
    /// Looks at one scrape of an endpoint.
    pub(super) fn look(
        &mut self,
        catalogue: &Catalogue,
        instance: &str,
        at: i64,
        values: &BTreeMap<usize, f64>,
    ) {
        let is_cpu = |index: usize| {
            catalogue.series.get(index).is_some_and(|series| series.name == OF_ONE_PROCESS)
        };
        let Some((_, now)) = values.iter().find(|(index, _)| is_cpu(**index)) else { return };
        let last = self.last.insert(instance.to_owned(), (at, *now));
        // A running total that falls is that of a new process.
        if let Some((before, seconds)) = last.filter(|(before, last)| at > *before && now >= last) {
            let cores = (now - seconds) * 1e3 / (at - before) as f64;
            self.used.insert(instance.to_owned(), cores);
        }
    }

    /// What the busiest one used since this was last asked.
    pub(super) fn take(&mut self) -> Option<f64> {
        std::mem::take(&mut self.used).into_values().reduce(f64::max)
    }
}
