//! Limits of the target's pools that differ between the builds. A limit costs nothing until it is
//! reached, so a smaller pool shows in no response time at a load that does not use it up.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::model::LimitChange;
use crate::diagnose::stats;
use crate::timeline::{MetricSpec, SeriesKey, Timeline, names};

/// A pool as its gauges tell it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    /// Its places, as the median of the run.
    limit: f64,
    /// Places in use, at most.
    most: f64,
}

/// A kind of pool: what its places are, how many there are, and how many are in use.
struct Kind {
    places: &'static str,
    limit: &'static MetricSpec,
    used: &'static MetricSpec,
    /// The value of `state` of those in use, where there are others.
    state: Option<&'static str>,
}

const KINDS: [Kind; 4] = [
    Kind {
        places: "connections",
        limit: &names::POOL_LIMIT,
        used: &names::POOL_CONNECTIONS,
        state: Some("used"),
    },
    Kind {
        places: "connections",
        limit: &names::POOLER_LIMIT,
        used: &names::POOLER_SERVERS,
        state: Some("active"),
    },
    Kind { places: "places", limit: &names::SLOTS_LIMIT, used: &names::SLOTS_USED, state: None },
    Kind {
        places: "workers",
        limit: &names::WORKERS_LIMIT,
        used: &names::WORKERS_BUSY,
        state: None,
    },
];

/// Pools by what their places are and by their names.
pub type Pools = BTreeMap<(String, String), Pool>;

/// Every pool of a run by what its places are and by its name.
pub fn pools(timeline: &Timeline) -> Pools {
    let mut pools = BTreeMap::new();
    for kind in &KINDS {
        for (key, series) in timeline.series_of(kind.limit.name) {
            let name = name(key);
            let values: Vec<f64> = series.points.iter().map(|point| point.value).collect();
            let Some(limit) = stats::quantile(&values, 0.5) else { continue };
            let is_its = |key: &SeriesKey| {
                self::name(key) == name
                    && kind.state.is_none_or(|state| key.labels.get("state") == Some(state))
            };
            let used = timeline.series_of(kind.used.name).filter(|(key, _)| is_its(key));
            let used = used.flat_map(|(_, series)| series.points.iter().map(|point| point.value));
            let most = used.fold(0.0, f64::max);
            let places = (kind.places.to_owned(), name.to_owned());
            // Several processes have a pool of one name each.
            let pool = pools.entry(places).or_insert(Pool { limit, most: 0.0 });
            pool.most = pool.most.max(most);
        }
    }
    pools
}

fn name(key: &SeriesKey) -> &str {
    key.labels.get("pool").unwrap_or_default()
}

/// The pools whose limits differ between the runs of the base and those of the candidate.
pub fn changes(base: &[&Pools], candidate: &[&Pools]) -> Vec<LimitChange> {
    let of = |runs: &[&Pools], pool: &(String, String)| -> Option<Pool> {
        let pools: Option<Vec<Pool>> = runs.iter().map(|pools| pools.get(pool).copied()).collect();
        let pools = pools?;
        let limits: Vec<f64> = pools.iter().map(|pool| pool.limit).collect();
        let most = pools.iter().map(|pool| pool.most).fold(0.0, f64::max);
        Some(Pool { limit: stats::quantile(&limits, 0.5)?, most })
    };
    let names: BTreeSet<&(String, String)> =
        candidate.iter().flat_map(|pools| pools.keys()).collect();
    let change = |pool: &(String, String)| {
        let (base, candidate) = (of(base, pool)?, of(candidate, pool)?);
        (base.limit != candidate.limit).then(|| LimitChange {
            places: pool.0.clone(),
            pool: pool.1.clone(),
            base: base.limit,
            candidate: candidate.limit,
            most_in_base: base.most,
            most_in_candidate: candidate.most,
        })
    };
    names.into_iter().filter_map(change).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::timeline::{Batch, BatchBuilder, Labels, Moment, Window};

    #[test]
    fn a_pool_is_read_with_its_limit_and_its_busiest_moment() {
        let mut timeline = Timeline::default();
        for (second, used) in [(0, 1.0), (1, 3.0), (2, 2.0)] {
            let at = Moment::START + Duration::from_secs(second);
            let labels = |state: &str| Labels::none().with("pool", "db").with("state", state);
            let mut batch = BatchBuilder::new();
            let limit = Labels::none().with("pool", "db");
            batch.push_labelled(&names::POOL_LIMIT, limit, 4.0);
            batch.push_labelled(&names::POOL_CONNECTIONS, labels("used"), used);
            batch.push_labelled(&names::POOL_CONNECTIONS, labels("idle"), 9.0);
            let readings = batch.finish();
            let window = Window::new(at, at);
            timeline.push_batch(Batch { collector: "prometheus".into(), window, readings });
        }
        let key = ("connections".to_owned(), "db".to_owned());
        assert_eq!(pools(&timeline), BTreeMap::from([(key, Pool { limit: 4.0, most: 3.0 })]));
    }

    #[test]
    fn only_a_limit_that_every_run_tells_and_that_differs_is_a_change() {
        let run = |limit: f64| -> Pools {
            let pool = |name: &str, limit| {
                (("connections".to_owned(), name.to_owned()), Pool { limit, most: 2.0 })
            };
            [pool("db", limit), pool("same", 8.0)].into()
        };
        let (base, candidate) = (run(16.0), run(3.0));
        let found = changes(&[&base, &base], &[&candidate, &candidate]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].base, found[0].candidate), (16.0, 3.0));
        assert!(changes(&[&base, &base], &[&candidate, &Pools::new()]).is_empty());
    }
}
