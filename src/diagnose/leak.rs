//! Whether one series (memory, descriptors, connections) grows without an end: a leak.
//!
//! Growth alone is no leak: warm-up, a cache that fills, a collector's sawtooth and load that
//! rises all grow. The verdict is cautious on purpose, and says `Undecided` with what would
//! decide it.

use crate::timeline::{Moment, Point};

/// What is known beside the series itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// Requests per second over time, so that growth with the load is not taken for a leak.
    pub load: &'a [Point],
    /// Value at which the resource is exhausted, in the series' unit.
    pub limit: Option<f64>,
    /// Moments at which the process started anew.
    pub restarts: &'a [Moment],
    /// Whether a managed runtime owns the memory and no major collection was seen in the series.
    pub uncollected: bool,
}

/// What a series says.
#[derive(Clone, Debug, PartialEq)]
pub enum LeakVerdict {
    /// It grows without an end.
    Leak {
        /// Growth per second, in the series' unit.
        slope: f64,
        /// Lower end of its 95 % interval.
        low: f64,
        /// Upper end of its 95 % interval.
        high: f64,
        /// Seconds from the end of the series until the limit is reached, at the slope and at the
        /// two ends of its interval (soonest, latest); `None` without a limit.
        exhaustion: Option<Exhaustion>,
    },
    /// It may.
    Undecided {
        /// Why that cannot be told.
        why: String,
        /// How many more seconds under the same load would tell.
        more_seconds: f64,
    },
    /// It does not.
    NoLeak {
        /// Smallest growth per second that would have been found.
        minimum_detectable_slope: f64,
    },
}

/// When a leaking resource runs out, in seconds after the end of the series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exhaustion {
    /// At the estimated slope.
    pub expected: f64,
    /// At the upper end of the slope's interval.
    pub soonest: f64,
    /// At the lower end of the slope's interval; infinite where that is no growth.
    pub latest: f64,
}

/// Judges one series.
pub fn verdict(_points: &[Point], _context: &Context) -> LeakVerdict {
    LeakVerdict::Undecided { why: "the series was not judged".into(), more_seconds: 60.0 }
}
