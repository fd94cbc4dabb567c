//! Which levels that rose under load fall again after the load, and which stay high. Three faults
//! show here first: work for requests that nobody waits for any more, connections that are not
//! given back, and memory that is not freed.

use std::fmt;

use crate::diagnose::curve::stages::by_load;
use crate::diagnose::measure::facts::Facts;
use crate::diagnose::terms::model::{AfterLoad, Recovery, StageSummary};
use crate::diagnose::terms::operand::Over;
use crate::diagnose::terms::span::Span;
use crate::diagnose::terms::wording;
use crate::timeline::{Labels, MetricSpec, Selector, Unit, Window, names};

/// A level rose under load if its peak is at least this multiple of the baseline.
const ROSE: f64 = 1.5;
/// It came back if at most this share of the rise is left.
const LEFT: f64 = 0.25;
/// Shortest time without load that is judged, in seconds.
const LEAST_SECS: f64 = 2.0;

/// A level to compare.
struct WatchedLevel {
    metric: &'static MetricSpec,
    label: Option<(&'static str, &'static str)>,
    /// What it is, as the subject of a sentence.
    what: &'static str,
    /// Smallest rise that counts.
    floor: f64,
    /// What it means if it stays high.
    staying: Staying,
}

/// What it means that a level stays high.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Staying {
    /// The target still works.
    Work,
    /// Memory was not given back to the machine, as in healthy systems too.
    Memory,
    /// Something else was not released.
    Kept,
}

impl fmt::Display for Staying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Staying::Work => "the target still works on requests that nobody waits for any more",
            Staying::Memory => {
                "allocators keep memory for the next load: only growth from one load to the next \
                 is a leak"
            }
            Staying::Kept => "something is not released, or only after a timeout",
        })
    }
}

#[rustfmt::skip]
const LEVELS: [WatchedLevel; 8] = [
    WatchedLevel { metric: &names::TCP_REQUESTS, label: None, what: "requests that the target has not answered", floor: 2.0, staying: Staying::Work },
    WatchedLevel { metric: &names::TCP_ACCEPT_QUEUE, label: None, what: "connections waiting to be accepted", floor: 2.0, staying: Staying::Work },
    WatchedLevel { metric: &names::PROCESS_CPU_TIME, label: None, what: "cores that the target uses", floor: 0.2, staying: Staying::Work },
    WatchedLevel { metric: &names::DB_SESSIONS, label: Some(("state", "active")), what: "executing database sessions", floor: 2.0, staying: Staying::Work },
    WatchedLevel { metric: &names::DB_SESSIONS, label: Some(("state", "idle in transaction")), what: "database sessions idle in a transaction", floor: 2.0, staying: Staying::Kept },
    WatchedLevel { metric: &names::PROCESS_OPEN_FDS, label: None, what: "open descriptors", floor: 16.0, staying: Staying::Kept },
    WatchedLevel { metric: &names::PROCESS_THREADS, label: None, what: "threads", floor: 4.0, staying: Staying::Kept },
    WatchedLevel { metric: &names::PROCESS_MEMORY_ANONYMOUS, label: None, what: "anonymous memory", floor: 16e6, staying: Staying::Memory },
];

/// Compares each level in its highest stage with the levels before and after, and reports what
/// stayed high in a caveat; `None` if the run has no time without load at its end.
pub fn recovery(facts: &Facts, stages: &[StageSummary]) -> Option<(Recovery, Option<String>)> {
    let windows = facts.windows(Span::Recovery);
    let seconds = windows.iter().map(Window::secs).sum();
    let last = windows.last().filter(|_| seconds >= LEAST_SECS)?;
    let half = Window::new(last.middle(), last.end);
    let stages = by_load(stages);
    let of = |level: &WatchedLevel| Some((level.staying, after_load(level, facts, &stages, half)?));
    let levels: Vec<(Staying, AfterLoad)> = LEVELS.iter().filter_map(of).collect();
    let caveat = caveat(seconds, &levels);
    let levels = levels.into_iter().map(|(_, level)| level).collect();
    Some((Recovery { seconds, levels }, caveat))
}

fn after_load(
    level: &WatchedLevel,
    facts: &Facts,
    stages: &[&StageSummary],
    end: Window,
) -> Option<AfterLoad> {
    let labels =
        level.label.map_or_else(Labels::none, |(name, value)| Labels::none().with(name, value));
    let selector = Selector { metric: level.metric.name.to_owned(), labels };
    let at = |windows: &[Window]| facts.level_of(&selector, Over::Sum, windows, &[]);
    let before = at(&[stages.first()?.window])?;
    let peak = stages.iter().filter_map(|stage| at(&[stage.window])).reduce(f64::max)?;
    let after = at(&[end])?;
    let rise = peak - before;
    if rise < level.floor || peak < before * ROSE {
        return None;
    }
    let returned = after - before <= rise * LEFT;
    // A counter of seconds is a level of cores.
    let unit = match level.metric.name == names::PROCESS_CPU_TIME.name {
        true => Unit::Cores,
        false => level.metric.unit,
    };
    let staying = (!returned).then(|| level.staying.to_string());
    Some(AfterLoad { what: level.what.to_owned(), unit, before, peak, after, returned, staying })
}

/// What stayed high, as a part of a sentence. Memory is left out, because it stays high in healthy
/// systems too. So is what requests hold, while the target still works on requests.
fn caveat(seconds: f64, levels: &[(Staying, AfterLoad)]) -> Option<String> {
    let stays = |why: Staying| -> Vec<&AfterLoad> {
        let stayed = |(staying, level): &&(Staying, AfterLoad)| *staying == why && !level.returned;
        levels.iter().filter(stayed).map(|(_, level)| level).collect()
    };
    let (working, kept) = (stays(Staying::Work), stays(Staying::Kept));
    let (levels, why) =
        if working.is_empty() { (kept, Staying::Kept) } else { (working, Staying::Work) };
    let say = |level: &&AfterLoad| {
        let say = |value| wording::value(value, level.unit);
        let (after, before, peak) = (say(level.after), say(level.before), say(level.peak));
        format!("{} stay at {after} ({before} at the lowest load, {peak} at most)", level.what)
    };
    (!levels.is_empty()).then(|| {
        let levels: Vec<String> = levels.iter().map(say).collect();
        format!("{seconds:.0} s after the load, {}: {why}", levels.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::diagnose::simulated;
    use crate::diagnose::terms::model::Windows;
    use crate::timeline::{Kind, Moment, Point, Series, SeriesKey, StageRole, Timeline};

    fn window(from: u64, to: u64) -> Window {
        let at = |second| Moment::START + Duration::from_secs(second);
        Window::new(at(from), at(to))
    }

    fn stage(from: u64, to: u64, offered: f64) -> StageSummary {
        simulated::held(StageRole::Ramp, window(from, to), offered)
    }

    /// Open descriptors: 20 at the lowest load, 220 at the highest, then `after`.
    fn judged(after: f64, seconds: u64) -> Option<(Recovery, Option<String>)> {
        let end = 20 + seconds;
        let points = (0..end).map(|second| Point {
            at: Moment::START + Duration::from_secs(second),
            value: match second {
                0..10 => 20.0,
                10..20 => 220.0,
                _ => after,
            },
        });
        let mut timeline = Timeline::default();
        let series = Series {
            unit: Unit::Count,
            kind: Kind::Gauge,
            collector: "process".to_owned(),
            points: points.collect(),
        };
        timeline.series.insert(SeriesKey::bare(names::PROCESS_OPEN_FDS.name), series);
        let windows = Windows { recovery: vec![window(20, end)], ..Windows::default() };
        let facts = Facts::of_timeline(&timeline, &windows);
        recovery(&facts, &[stage(0, 10, 10.0), stage(10, 20, 90.0)])
    }

    #[test]
    fn what_comes_back_is_told_apart_from_what_stays() {
        let (back, caveat) = judged(30.0, 10).unwrap();
        assert!(back.levels[0].returned);
        assert_eq!(caveat, None);
        let (stays, caveat) = judged(215.0, 10).unwrap();
        assert!(!stays.levels[0].returned);
        let caveat = caveat.unwrap();
        assert!(caveat.contains("open descriptors stay at 215 (20 at the"), "{caveat}");
    }

    #[test]
    fn nothing_is_said_of_a_moment_or_of_no_recovery() {
        assert!(judged(215.0, 1).is_none());
        assert!(judged(215.0, 0).is_none());
    }
}
