//! Whether one series (memory, descriptors, connections) grows without an end: a leak.
//!
//! Growth alone is no leak: warm-up, a cache that fills, a collector's sawtooth and load that
//! rises all grow. The verdict is cautious on purpose, and says `Undecided` with what would
//! decide it.

mod models;
mod prepare;
mod trend;

use crate::timeline::{Moment, Point};

use self::models::Shape;
use self::prepare::{Floors, Track};
use super::stats;

/// Fewest points and seconds of a series that is judged.
const POINTS: usize = 40;
const SECONDS: f64 = 60.0;
/// How far ahead growth is looked at, in seconds: a day.
const HORIZON: f64 = 86_400.0;
/// Share of the room below the limit that growth must take within the horizon to matter.
const ROOM: f64 = 0.1;
/// Share of its level by which a series grows while it is watched to matter without a limit near.
const LEVEL: f64 = 0.2;
/// Share of its level below which growth while it is watched never matters.
const LEVEL_LEAST: f64 = 0.01;
/// Normal quantiles: one-sided 99.5 % to believe in growth, 95 % for its last part, two-sided 95 %
/// for the interval that is told.
const SURE: f64 = 2.576;
/// The same with few floors, whose autocorrelation is not known well, and how many that is.
const SURE_OF_FEW: f64 = 3.3;
const FEW_FLOORS: usize = 24;
const PERSISTS: f64 = 1.645;
const INTERVAL: f64 = 1.96;
/// The last part of a series, over which growth has to persist.
const LAST_PART: f64 = 0.55;
/// From here on the slope that is told is taken: start-up bends lie before it.
const STEADY_PART: f64 = 0.4;
/// The end of a series, whose slope shows whether growth has stopped, and the share of the whole
/// slope that its upper bound must stay below for that.
const END_PART: f64 = 0.75;
const STOPPED: f64 = 0.25;
/// Share of the rise that one step may carry.
const CONCENTRATION: f64 = 0.5;
/// Share by which the load may vary and still count as steady, and its correlation with time from
/// which on it counts as rising.
const STEADY_LOAD: f64 = 0.3;
const RISING_LOAD: f64 = 0.5;

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

/// Judges one series: memory without page cache, descriptors, connections.
///
/// The series is split at restarts, its start-up is left out, and what follows the load is taken
/// off. Its floors then have to rise with certainty, by an amount that matters, to the end, in
/// more than one step, and in a way that no curve with a bound tells as well.
pub fn verdict(points: &[Point], context: &Context) -> LeakVerdict {
    let life = prepare::longest_life(points, context);
    if life.len() < POINTS || life.seconds() < SECONDS {
        let pace = life.seconds() / life.len().max(2) as f64;
        let wanted = SECONDS.max(POINTS as f64 * pace);
        return LeakVerdict::Undecided {
            why: format!(
                "{} readings over {:.0} s of one life of the process are too few",
                life.len(),
                life.seconds()
            ),
            more_seconds: (wanted - life.seconds()).max(1.0),
        };
    }
    let origin = life.at[0];
    let settled = prepare::without_startup(&life);
    let load = prepare::load_at(&settled, context.load);
    if !rises_with_time(&settled, &load) {
        return judge(&prepare::without_load(&settled, &load), origin, context);
    }
    // What depends on the load in a bent line would leave a rise behind: only a part with a steady
    // load can decide.
    let steady = settled.tail(0.5);
    let load = prepare::load_at(&steady, context.load);
    if steady.len() >= POINTS / 2 && !rises_with_time(&steady, &load) {
        return judge(&prepare::without_load(&steady, &load), origin, context);
    }
    match judge(&settled, origin, context) {
        LeakVerdict::NoLeak { minimum_detectable_slope } => {
            LeakVerdict::NoLeak { minimum_detectable_slope }
        }
        _ => undecided("it grew while the load rose; hold one load".into(), &life),
    }
}

fn rises_with_time(track: &Track, load: &[f64]) -> bool {
    let highest = load.iter().copied().fold(0.0, f64::max);
    let lowest = load.iter().copied().fold(f64::INFINITY, f64::min);
    highest - lowest > STEADY_LOAD * highest && stats::correlation(&track.at, load) > RISING_LOAD
}

fn undecided(why: String, track: &Track) -> LeakVerdict {
    LeakVerdict::Undecided { why, more_seconds: track.seconds() }
}

/// Judges a settled series whose load is steady or taken off.
fn judge(track: &Track, origin: f64, context: &Context) -> LeakVerdict {
    let floors = prepare::floors(track);
    let few = floors.track.len() < FEW_FLOORS && !floors.after_resets;
    let sure = trend::rise(&floors.track, if few { SURE_OF_FEW } else { SURE });
    let none = LeakVerdict::NoLeak { minimum_detectable_slope: (sure.high - sure.slope).max(0.0) };
    if (2..5).contains(&floors.resets) {
        return few_resets(&floors, track, none);
    }
    if sure.low <= 0.0 || sure.slope <= 0.0 {
        return none;
    }
    // What goes on is what the last part shows: the bend of a start-up may hide or feign growth.
    let last = trend::rise(&floors.track.tail(LAST_PART), PERSISTS);
    if !matters(sure.low.max(last.low), &floors.track, context) {
        return none;
    }
    let end = trend::rise(&floors.track.tail(END_PART), PERSISTS);
    let concentration = trend::concentration(&floors.track);
    if concentration > CONCENTRATION || end.high < STOPPED * sure.slope {
        return none;
    }
    if last.low <= 0.0 {
        return undecided("its growth is not certain in the last part".into(), track);
    }
    match models::shape(&floors.track, origin) {
        Shape::Bounded => return none,
        Shape::MayFlatten => {
            let why = "a curve that flattens out fits as well as endless growth".into();
            return undecided(why, track);
        }
        Shape::Unbounded => {}
    }
    if context.uncollected {
        let why = "the runtime has not collected its old generation yet".into();
        return undecided(why, track);
    }
    leak(&floors.track, context)
}

/// Two to four falls are too few floors to tell a rise of them from chance.
fn few_resets(floors: &Floors, track: &Track, none: LeakVerdict) -> LeakVerdict {
    let slope = stats::theil_sen(&floors.track.at, &floors.track.value).unwrap_or(0.0);
    let low = |part: Track| stats::quantile(&part.value, 0.05).unwrap_or(0.0);
    let half = track.at[0] + track.seconds() / 2.0;
    let middle = track.at.partition_point(|at| *at < half);
    let first = Track { at: track.at[..middle].to_vec(), value: track.value[..middle].to_vec() };
    let range = stats::quantile(&track.value, 0.95).unwrap_or(0.0) - low(track.clone());
    let rose = low(track.tail(0.5)) - low(first);
    if slope > 0.0 && rose > 0.1 * range {
        let why = format!("it fell back only {} times", floors.resets);
        return undecided(why, track);
    }
    none
}

/// Whether growth by `slope` per second is worth a finding: it takes a tenth of the room below the limit within a
/// day, or grew by a fifth of its level while it was watched.
fn matters(slope: f64, floors: &Track, context: &Context) -> bool {
    let level = stats::median(&floors.value).unwrap_or(0.0).abs();
    let grown = slope * floors.seconds();
    let room = context.limit.zip(floors.value.last()).map(|(limit, last)| limit - last);
    let fills = room.is_some_and(|room| slope * HORIZON > ROOM * room);
    grown > LEVEL_LEAST * level && (fills || grown > LEVEL * level)
}

/// The verdict with the slope of the steady part.
fn leak(floors: &Track, context: &Context) -> LeakVerdict {
    let steady = trend::rise(&floors.tail(STEADY_PART), INTERVAL);
    let spread = (steady.high - steady.slope).max(steady.slope - steady.low);
    let (low, high) = (steady.slope - spread, steady.slope + spread);
    let room = context.limit.zip(floors.value.last()).map(|(limit, last)| (limit - last).max(0.0));
    let until = |room: f64, slope: f64| if slope > 0.0 { room / slope } else { f64::INFINITY };
    LeakVerdict::Leak {
        slope: steady.slope,
        low,
        high,
        exhaustion: room.map(|room| Exhaustion {
            expected: until(room, steady.slope),
            soonest: until(room, high),
            latest: until(room, low),
        }),
    }
}

#[cfg(test)]
mod tests;
