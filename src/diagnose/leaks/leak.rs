//! Whether one series (memory, descriptors, connections) grows without an end: a leak.
//!
//! Growth alone is not a leak: warm-up, a cache that fills, a collector's sawtooth, load that rises
//! and requests that wait all grow. The verdict is cautious in both directions. `NoLeak` needs an
//! upper bound of the growth that is small; where a step of the analysis fails and the bound is
//! large, the verdict is `Undecided`, with the reason and what would decide.

mod lives;
mod models;
mod prepare;
mod trend;

use crate::diagnose::terms::bounds::{EXPLAINS_MOST, FULL_LIMIT};
use crate::diagnose::terms::stats;
use crate::timeline::{Moment, Point};

use self::models::Shape;
use self::prepare::{Floors, Track};

/// Fewest points and seconds of a series that is analysed.
const POINTS: usize = 40;
const SECONDS: f64 = 60.0;
/// How far ahead growth is looked at, in seconds: ten times as long as it was watched, at
/// least a day and at most a week.
const DAY: f64 = 86_400.0;
const AHEAD: f64 = 10.0;
const WEEK: f64 = 7.0 * DAY;
/// Share of the room below the limit that growth must take within the horizon to matter.
const ROOM: f64 = 0.1;
/// Share of its level by which a series grows while it is watched to matter without a limit near.
const LEVEL: f64 = 0.2;
/// Share of its level below which growth while it is watched never matters.
const LEVEL_LEAST: f64 = 0.01;
/// Normal quantiles: one-sided 99.5 % to believe in growth, 95 % for its last part, two-sided 95 %
/// for the interval in the report.
const SURE: f64 = 2.576;
/// The same with few floors, whose autocorrelation is not known well, and how many that is.
const SURE_OF_FEW: f64 = 3.3;
const FEW_FLOORS: usize = 24;
const PERSISTS: f64 = 1.645;
/// One-sided 99 %: growth that is so certain and no more leaves the verdict open.
const LIKELY: f64 = 2.326;
const INTERVAL: f64 = 1.96;
/// The last part of a series, over which growth has to persist.
const LAST_PART: f64 = 0.55;
/// The reported slope is taken from here on: start-up bends lie before it.
const STEADY_PART: f64 = 0.5;
/// The end of a series, whose slope shows whether growth has stopped, and the share of the whole
/// slope that its upper bound must stay below for that.
const END_PART: f64 = 0.75;
const STOPPED: f64 = 0.25;
/// Share of its level by which a series may have grown unseen while it was watched, so that there
/// is still no leak in it.
const UNSEEN: f64 = 0.5;
/// The same in steps of its resolution: fewer cannot be told from none.
const UNSEEN_STEPS: f64 = 2.0;
/// Share of the limit from which on a series is at its limit.
pub const AT_LIMIT: f64 = FULL_LIMIT.value;
/// Share by which the load may vary and still count as steady, and its correlation with time from
/// which on it counts as rising.
const STEADY_LOAD: f64 = 0.3;
const RISING_LOAD: f64 = 0.5;

/// What is known beside the series itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// Requests per second over time, so that growth with the load is not taken for a leak.
    pub load: &'a [Point],
    /// Requests and sessions that are open over time: each may hold some of the resource.
    pub held: &'a [Point],
    /// How much of the resource one of them may hold, at most, in the series' unit.
    pub each: f64,
    /// Value at which the resource is exhausted, in the series' unit.
    pub limit: Option<f64>,
    /// Moments at which the process restarted.
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
        /// How many more seconds under the same load would tell; 0 where more of the same would not.
        more_seconds: f64,
    },
    /// It does not.
    NoLeak {
        /// Most growth per second that the series still allows (95 %): more would have been seen.
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

/// One step of the judgement, with what was measured and what it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// What was looked at.
    pub kind: GateKind,
    /// What was measured, in the unit that the step names; `None` where it is no number.
    pub value: Option<f64>,
    /// Whether the step speaks for a leak; `None` for a step that only prepares.
    pub passed: Option<bool>,
}

/// The steps of the judgement, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateKind {
    /// One life of the process was taken: its seconds.
    Life,
    /// Lives too short to judge were laid over each other, from their starts: how many.
    Lives,
    /// Its start-up was left out: the seconds of it.
    StartUp,
    /// What follows the load was taken off: growth per request per second.
    Load,
    /// The lower edge was taken: how many floors.
    Floors,
    /// How often it fell back sharply.
    Resets,
    /// The floors rise with certainty: lower bound of the growth per second.
    Certain,
    /// The growth is large enough to matter: seconds until the limit at its lower bound, or where
    /// there is no limit, its share of the level while it was watched.
    Matters,
    /// No single step carries most of the rise: the share of the largest.
    Spread,
    /// What the series still allows, where it shows no leak: upper bound of the growth per second.
    Small,
    /// The growth has not stopped: upper bound of the last part's slope as a share of the whole.
    GoesOn,
    /// The growth is certain in the last part too: its lower bound per second.
    Persists,
    /// No curve with a bound tells the rise as well.
    Unbounded,
    /// The runtime has collected its old generation.
    Collected,
}

/// Growth per second, in the series' unit, with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// The estimate.
    pub slope: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// A verdict with the way to it.
#[derive(Clone, Debug, PartialEq)]
pub struct LeakAnalysis {
    /// What the series says.
    pub verdict: LeakVerdict,
    /// Each step that was taken, in order.
    pub gates: Vec<Gate>,
    /// The lower edge that was analysed, without what follows the load.
    pub floors: Vec<Point>,
    /// How fast that edge grows, whatever the verdict; `None` where too few were found.
    pub pace: Option<Pace>,
}

/// Judges one series: memory without page cache, descriptors, connections.
///
/// The series is split at restarts, its start-up is left out, and what follows the load is taken
/// off. Its floors then have to rise with certainty, by an amount that matters, to the end, in
/// more than one step, and in a way that no curve with a bound fits as well. Where they do not, the
/// growth that they still allow decides between no leak and undecided.
pub fn analyse(points: &[Point], context: &Context) -> LeakAnalysis {
    let mut analysis =
        Analysis { context, gates: Vec::new(), floors: Track::default(), resolution: 0.0 };
    let verdict = analysis.series(points);
    let at = analysis.floors.at.iter().zip(&analysis.floors.value);
    let floors = at.map(|(at, value)| Point { at: Moment::from_secs_f64(*at), value: *value });
    let pace =
        Some(steady_pace(&analysis.floors)).filter(|pace| (pace.high - pace.low).is_finite());
    LeakAnalysis { verdict, floors: floors.collect(), gates: analysis.gates, pace }
}

/// The verdict alone.
pub fn verdict(points: &[Point], context: &Context) -> LeakVerdict {
    analyse(points, context).verdict
}

fn rises_with_time(track: &Track, load: &[f64]) -> bool {
    let highest = load.iter().copied().fold(0.0, f64::max);
    let lowest = load.iter().copied().fold(f64::INFINITY, f64::min);
    highest - lowest > STEADY_LOAD * highest && stats::correlation(&track.at, load) > RISING_LOAD
}

fn undecided(why: &str, more_seconds: f64) -> LeakVerdict {
    LeakVerdict::Undecided { why: why.to_owned(), more_seconds: more_seconds.max(1.0) }
}

/// A judgement under way.
struct Analysis<'c> {
    context: &'c Context<'c>,
    gates: Vec<Gate>,
    floors: Track,
    /// The smallest change that the readings show.
    resolution: f64,
}

impl Analysis<'_> {
    fn note(&mut self, kind: GateKind, value: f64) {
        self.gates.push(Gate { kind, value: Some(value), passed: None });
    }

    /// Notes a step that decides, and whether it speaks for a leak.
    fn passes(&mut self, kind: GateKind, value: Option<f64>, passed: bool) -> bool {
        self.gates.push(Gate { kind, value, passed: Some(passed) });
        passed
    }

    fn series(&mut self, points: &[Point]) -> LeakVerdict {
        self.resolution = prepare::resolution(points);
        let lives = prepare::lives(points, self.context.restarts);
        if let Some(leak) = self.short_lives(&lives) {
            return leak;
        }
        let life = prepare::longest(lives);
        self.note(GateKind::Life, life.seconds());
        if life.len() < POINTS || life.seconds() < SECONDS {
            let pace = life.seconds() / life.len().max(2) as f64;
            let wanted = SECONDS.max(POINTS as f64 * pace);
            let (readings, seconds) = (life.len(), life.seconds());
            let why =
                format!("{readings} readings over {seconds:.0} s without a restart are too few");
            return undecided(&why, wanted - seconds);
        }
        let origin = life.at[0];
        let settled = prepare::without_startup(&life);
        self.note(GateKind::StartUp, settled.at.first().map_or(0.0, |at| at - origin));
        let Some(why) = self.confounded(&settled) else {
            return self.under_load(&settled, origin);
        };
        // What depends on the load in a bent line would leave a rise behind: only a part with a
        // steady load can decide.
        let steady = settled.tail(0.5);
        if steady.len() >= POINTS / 2 && self.confounded(&steady).is_none() {
            return self.under_load(&steady, origin);
        }
        match self.settled(&settled, origin) {
            none @ LeakVerdict::NoLeak { .. } => none,
            _ => undecided(why, life.seconds()),
        }
    }

    /// The leak that many short lives show together; `None` where they do not.
    fn short_lives(&mut self, lives: &[Track]) -> Option<LeakVerdict> {
        let (count, laid, origin) = lives::overlay(lives)?;
        self.note(GateKind::Lives, count as f64);
        self.note(GateKind::Life, laid.seconds());
        let settled = prepare::without_startup(&laid);
        let verdict = self.settled(&settled, origin);
        if matches!(verdict, LeakVerdict::Leak { .. }) {
            return Some(verdict);
        }
        // The longest life is judged by itself.
        self.gates.clear();
        self.floors = Track::default();
        None
    }

    /// What rose along with a series and may explain its growth.
    fn confounded(&self, track: &Track) -> Option<&'static str> {
        if rises_with_time(track, &prepare::value_at(track, self.context.load)) {
            return Some("it grew while the load rose; hold the load constant");
        }
        self.is_held(track).then_some(
            "it grew while the number of open requests rose, which may hold it; hold a load at \
             which no requests queue",
        )
    }

    /// Whether the requests and sessions that were opened meanwhile can hold most of what the
    /// series rose by.
    fn is_held(&self, track: &Track) -> bool {
        let held = prepare::value_at(track, self.context.held);
        if held.len() != track.len() || held.is_empty() {
            return false;
        }
        let third = track.len().div_ceil(3);
        let level = |part: &[f64]| stats::median(part).unwrap_or(0.0);
        let rise = |all: &[f64]| level(&all[all.len() - third..]) - level(&all[..third]);
        let (rose, opened) = (rise(&track.value), rise(&held));
        rose > 0.0 && opened * self.context.each >= EXPLAINS_MOST.value * rose
    }

    /// Judges a settled series once what follows the load is taken off.
    fn under_load(&mut self, track: &Track, origin: f64) -> LeakVerdict {
        let load = prepare::value_at(track, self.context.load);
        let (track, share) = prepare::without_load(track, &load);
        if let Some(share) = share {
            self.note(GateKind::Load, share);
        }
        self.settled(&track, origin)
    }

    /// Judges a settled series whose load is steady or taken off.
    fn settled(&mut self, track: &Track, origin: f64) -> LeakVerdict {
        let floors = prepare::floors(track);
        self.floors = floors.track.clone();
        self.note(GateKind::Floors, floors.track.len() as f64);
        self.note(GateKind::Resets, floors.resets as f64);
        let few = floors.track.len() < FEW_FLOORS && !floors.after_resets;
        let sure = trend::rise(&floors.track, if few { SURE_OF_FEW } else { SURE });
        let high = trend::rise(&floors.track, PERSISTS).high;
        if (2..prepare::MANY_RESETS).contains(&floors.resets) {
            return few_resets(&floors, track, high);
        }
        let is_certain = sure.low > 0.0 && sure.slope > 0.0;
        if !self.passes(GateKind::Certain, Some(sure.low), is_certain) {
            return self.uncertain(&floors.track, high);
        }
        // What goes on is what the last part shows: the bend of a start-up may hide or feign
        // growth.
        let last = trend::rise(&floors.track.tail(LAST_PART), PERSISTS);
        let (weight, matters) = matters(sure.low.max(last.low), &floors.track, self.context);
        if !self.passes(GateKind::Matters, Some(weight), matters) {
            // As told, and as the last part does not exclude.
            let possible = sure.slope.min(last.high);
            return if matters_at(possible, &floors.track, self.context) {
                let why = "it grows, but its pace is too uncertain to tell whether it matters";
                undecided(why, until_certain(&sure, track.seconds()))
            } else {
                self.none_if_small(high.min(last.high), &floors.track, "it may grow faster")
            };
        }
        let step = trend::largest_step(&floors.track);
        if !self.passes(GateKind::Spread, Some(step.share), !step.carries_the_rise()) {
            let after = floors.track.starting_at(step.to);
            let why = "one step is most of its rise, and it was watched too briefly after that \
                       step to tell whether another follows";
            return self.none_if_small(trend::rise(&after, PERSISTS).high, &floors.track, why);
        }
        let end = trend::rise(&floors.track.tail(END_PART), PERSISTS);
        let goes_on = end.high >= STOPPED * sure.slope;
        if !self.passes(GateKind::GoesOn, Some(end.high / sure.slope), goes_on) {
            let why = "it has slowed down, but may still grow";
            return self.none_if_small(end.high, &floors.track, why);
        }
        if !self.passes(GateKind::Persists, Some(last.low), last.low > 0.0) {
            let why = "its growth is uncertain in the last part of the run";
            return undecided(why, until_certain(&last, track.seconds()));
        }
        match models::shape(&floors.track, origin) {
            Shape::Bounded => {
                self.passes(GateKind::Unbounded, None, false);
                let why = "it flattens out, but may still grow";
                return self.none_if_small(end.high, &floors.track, why);
            }
            Shape::MayFlatten => {
                self.passes(GateKind::Unbounded, None, false);
                let why = "a curve that flattens out fits as well as endless growth";
                return undecided(why, track.seconds());
            }
            Shape::Unbounded => self.passes(GateKind::Unbounded, None, true),
        };
        if self.context.uncollected {
            self.passes(GateKind::Collected, None, false);
            let why = "the runtime has not yet collected its old generation";
            return undecided(why, track.seconds());
        }
        leak(&floors.track, self.context)
    }

    /// The verdict on floors whose rise is not certain: undecided where it is likely, and where a
    /// leak could hide.
    fn uncertain(&mut self, floors: &Track, high: f64) -> LeakVerdict {
        let likely = trend::rise(floors, LIKELY);
        if likely.low > 0.0 && matters_at(likely.slope, floors, self.context) {
            let why = "it seems to grow, but too little was seen to be sure";
            return undecided(why, until_certain(&likely, floors.seconds()));
        }
        // One large step leaves the trend uncertain; what follows the step need not be.
        let step = trend::largest_step(floors);
        let level = stats::median(&floors.value).unwrap_or(0.0).abs();
        let high = match step.carries_the_rise() && step.height > LEVEL * level {
            true => trend::rise(&floors.starting_at(step.to), PERSISTS).high,
            false => high,
        };
        let why = match self.context.limit {
            Some(_) => "a leak that exhausts it within a day would not be visible yet",
            None => "it scatters so much that it may grow by half without being noticed",
        };
        self.none_if_small(high, floors, why)
    }

    /// No leak where the growth that the series still allows is small, else undecided: against the
    /// room below the limit, and against its own level.
    fn none_if_small(&mut self, high: f64, floors: &Track, why: &str) -> LeakVerdict {
        let (high, seconds) = (high.max(0.0), floors.seconds());
        let level = stats::median(&floors.value).unwrap_or(0.0).abs();
        let last = floors.value.last().copied().unwrap_or(0.0);
        let at_limit = self.context.limit.is_some_and(|limit| last >= AT_LIMIT * limit);
        if at_limit {
            let why = "it is at its limit, where it cannot grow; start the target anew and watch it \
                       from its start";
            return LeakVerdict::Undecided { why: why.to_owned(), more_seconds: 0.0 };
        }
        let unseen = (UNSEEN * level).max(UNSEEN_STEPS * self.resolution);
        let by_level =
            if high > 0.0 { high * seconds / unseen.max(f64::MIN_POSITIVE) } else { 0.0 };
        let by_limit = self.context.limit.map_or(0.0, |limit| high * DAY / (limit - last));
        let excess = by_level.max(by_limit);
        let is_small = excess <= 1.0;
        // A small bound speaks against a leak; a large one says nothing.
        let passed = is_small.then_some(false);
        self.gates.push(Gate { kind: GateKind::Small, value: Some(high), passed });
        if is_small {
            return LeakVerdict::NoLeak { minimum_detectable_slope: high };
        }
        let more =
            if excess.is_finite() { longer(seconds, excess).min(3.0 * DAY) } else { seconds };
        undecided(why, more)
    }
}

/// Seconds more than `seconds` until the error of a slope is smaller by this factor: it falls with
/// the 3/2th power of the time it is taken over.
fn longer(seconds: f64, times: f64) -> f64 {
    seconds * (times.powf(2.0 / 3.0) - 1.0)
}

/// Seconds more until the growth of the last part would be certain if it goes on like this.
fn until_certain(last: &trend::Rise, seconds: f64) -> f64 {
    let spread = last.slope - last.low;
    if last.slope <= 0.0 || !spread.is_finite() {
        return seconds;
    }
    longer(seconds, spread / last.slope).clamp(0.1 * seconds, 3.0 * seconds)
}

/// Whether growth at that slope would matter.
fn matters_at(slope: f64, floors: &Track, context: &Context) -> bool {
    slope > 0.0 && matters(slope, floors, context).1
}

/// Two to four falls are too few floors to tell a rise of them from chance.
fn few_resets(floors: &Floors, track: &Track, high: f64) -> LeakVerdict {
    let slope = stats::theil_sen(&floors.track.at, &floors.track.value).unwrap_or(0.0);
    let low = |part: &Track| stats::quantile(&part.value, 0.05).unwrap_or(0.0);
    let half = track.at[0] + track.seconds() / 2.0;
    let middle = track.at.partition_point(|at| *at < half);
    let first = Track { at: track.at[..middle].to_vec(), value: track.value[..middle].to_vec() };
    let range = stats::quantile(&track.value, 0.95).unwrap_or(0.0) - low(track);
    let rose = low(&track.tail(0.5)) - low(&first);
    if slope > 0.0 && rose > 0.1 * range {
        let why = format!("it dropped back only {} times", floors.resets);
        let each = track.seconds() / floors.resets as f64;
        return undecided(&why, each * (prepare::MANY_RESETS - floors.resets) as f64);
    }
    LeakVerdict::NoLeak { minimum_detectable_slope: high.max(0.0) }
}

/// Whether growth by `slope` per second is worth a finding: it takes a tenth of the room below the
/// limit within the time that is looked ahead, or grew by a fifth of its level while it was
/// watched. And by what that was told: seconds until the limit, or without one the share of its
/// level.
fn matters(slope: f64, floors: &Track, context: &Context) -> (f64, bool) {
    let level = stats::median(&floors.value).unwrap_or(0.0).abs();
    let grown = slope * floors.seconds();
    let room = context.limit.zip(floors.value.last()).map(|(limit, last)| limit - last);
    let ahead = (AHEAD * floors.seconds()).clamp(DAY, WEEK);
    let fills = room.is_some_and(|room| slope * ahead > ROOM * room);
    let weight = match room {
        Some(room) => room.max(0.0) / slope,
        None => grown / level.max(f64::MIN_POSITIVE),
    };
    (weight, grown > LEVEL_LEAST * level && (fills || grown > LEVEL * level))
}

/// How fast the floors rise in their steady part.
fn steady_pace(floors: &Track) -> Pace {
    let steady = trend::rise(&floors.tail(STEADY_PART), INTERVAL);
    let spread = (steady.high - steady.slope).max(steady.slope - steady.low);
    Pace { slope: steady.slope, low: steady.slope - spread, high: steady.slope + spread }
}

/// The verdict with the slope of the steady part.
fn leak(floors: &Track, context: &Context) -> LeakVerdict {
    let Pace { slope, low, high } = steady_pace(floors);
    let room = context.limit.zip(floors.value.last()).map(|(limit, last)| (limit - last).max(0.0));
    let until = |room: f64, slope: f64| if slope > 0.0 { room / slope } else { f64::INFINITY };
    LeakVerdict::Leak {
        slope,
        low,
        high,
        exhaustion: room.map(|room| Exhaustion {
            expected: until(room, slope),
            soonest: until(room, high),
            latest: until(room, low),
        }),
    }
}

#[cfg(test)]
mod tests;
