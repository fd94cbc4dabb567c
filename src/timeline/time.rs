//! Time within a run: nanoseconds on one monotonic clock, counted from the start of the run.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// A point in a run: nanoseconds since its start on the monotonic clock.
///
/// The recording's environment keeps the wall-clock time of moment zero. No other moment depends on
/// the wall clock, so setting that clock cannot distort a series.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Moment(u64);

impl Moment {
    /// The start of the run.
    pub const START: Moment = Moment(0);

    /// The moment `nanos` nanoseconds after the start.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The moment `seconds` after the start; negative and non-finite values become the start.
    pub fn from_secs_f64(seconds: f64) -> Self {
        // `as` saturates, and turns NaN into 0: both are what this asks for.
        Self((seconds * 1e9).round() as u64)
    }

    /// Nanoseconds since the start.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// Seconds since the start.
    pub fn secs(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Time since `earlier`; zero if `earlier` is later.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;
    fn add(self, span: Duration) -> Moment {
        Moment(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Moment {
    type Output = Moment;
    fn sub(self, span: Duration) -> Moment {
        Moment(self.0.saturating_sub(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1}s", self.secs())
    }
}

/// A half-open span of a run: `begin` belongs to it, `end` does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// First moment inside.
    pub begin: Moment,
    /// First moment after it.
    pub end: Moment,
}

impl Window {
    /// The span from `begin` to `end`; empty if `end` is not later.
    pub fn new(begin: Moment, end: Moment) -> Self {
        Self { begin, end: end.max(begin) }
    }

    /// Length in seconds.
    pub fn secs(&self) -> f64 {
        self.end.secs() - self.begin.secs()
    }

    /// The moment half-way between its beginning and its end.
    pub fn middle(&self) -> Moment {
        self.begin + self.end.since(self.begin) / 2
    }

    /// Whether `moment` lies inside.
    pub fn contains(&self, moment: Moment) -> bool {
        self.begin <= moment && moment < self.end
    }

    /// Whether the two windows share a moment.
    pub fn overlaps(&self, other: &Window) -> bool {
        self.begin < other.end && other.begin < self.end
    }
}

/// The start of a run on the monotonic clock. It converts between an [`Instant`] and a [`Moment`].
#[derive(Clone, Copy, Debug)]
pub struct Epoch(Instant);

impl Epoch {
    /// A run that started at `instant`.
    pub fn new(instant: Instant) -> Self {
        Self(instant)
    }

    /// The moment of `instant`; the start for an instant before it.
    pub fn moment(&self, instant: Instant) -> Moment {
        Moment::START + instant.saturating_duration_since(self.0)
    }

    /// The instant of `moment`.
    pub fn instant(&self, moment: Moment) -> Instant {
        self.0 + Duration::from_nanos(moment.nanos())
    }
}
