//! Injection profiles: how many users come when, and the load that this is in a plan.

use std::time::Duration;

use super::simulation::Stay;
use super::time;
use crate::convert::draft::{LoadDraft, seconds};
use crate::convert::script::value::{Known, Link};
use crate::convert::stages::{Point, stages};

/// How long a load without an end runs in the plan, in seconds.
pub(super) const ENDLESS: f64 = 600.0;
/// The longest that a plan waits for the journeys of users that come at once.
const LONGEST_ITERATIONS: Duration = Duration::from_secs(600);
/// Users that are taken for a mistake.
const MOST_USERS: f64 = 1_000_000.0;
/// The largest rate or number of users that is looked at.
const MOST_COUNTED: f64 = 1e9;
/// Users that come in a shorter time, in seconds, come at once.
const SHORTEST: f64 = 1e-3;
/// Most levels of a staircase.
const MOST_LEVELS: f64 = 1000.0;
/// The rates of `stressPeakUsers` at the quarters of its time, where the mean is 1: a bell whose
/// integral is the error function between -2 and 2.
const BELL: [f64; 5] = [0.041, 0.830, 2.257, 0.830, 0.041];

/// One step of an injection profile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Injection {
    /// So many users at once.
    Burst(f64),
    /// Users per second, from one rate to another, for some seconds.
    Rate(f64, f64, f64),
    /// Users at the same time, from one number to another, for some seconds.
    Users(f64, f64, f64),
}

/// A load, and when it begins.
#[derive(Clone, Debug)]
pub(super) struct TimedLoad {
    pub(super) start: Duration,
    pub(super) load: LoadDraft,
}

/// The steps of one call such as `rampUsers(10).during(60)`; `None` where a number is not known.
pub(super) fn steps(known: &Known) -> Option<Vec<Injection>> {
    let links: Vec<&Link> = known.links().iter().map(AsRef::as_ref).collect();
    let (first, rest) = links.split_first()?;
    let is_count = |number: &f64| (0.0..=MOST_COUNTED).contains(number);
    let number = |wanted: &str| {
        let link = rest.iter().find(|link| link.name == wanted)?;
        link.arguments.first()?.number().filter(is_count)
    };
    let length = |wanted: &str| {
        let link = rest.iter().find(|link| link.name == wanted)?;
        time::in_seconds(link.arguments.first()?)
    };
    // Older versions have `over`; an empty name is a second list of arguments.
    let during = || length("during").or_else(|| length("over")).or_else(|| length(""));
    let argument = first.arguments.first()?;
    let count = argument.number().filter(is_count);
    let step = match first.name.as_str() {
        "nothingFor" => Injection::Rate(0.0, 0.0, time::in_seconds(argument)?),
        "atOnceUsers" => Injection::Burst(count?),
        "rampUsers" => match (count?, during()?) {
            (count, length) if length < SHORTEST => Injection::Burst(count),
            (count, length) => Injection::Rate(count / length, count / length, length),
        },
        "constantUsersPerSec" => Injection::Rate(count?, count?, during()?),
        "rampUsersPerSec" => Injection::Rate(count?, number("to")?, during()?),
        "constantConcurrentUsers" => Injection::Users(count?, count?, during()?),
        "rampConcurrentUsers" => Injection::Users(count?, number("to")?, during()?),
        "stressPeakUsers" | "heavisideUsers" => return Some(bell(count?, during()?)),
        "incrementUsersPerSec" | "incrementConcurrentUsers" => {
            let stairs = Stairs {
                increment: count?,
                levels: number("times")?.min(MOST_LEVELS),
                length: length("eachLevelLasting")?,
                ramp: length("separatedByRampsLasting").unwrap_or(0.0),
                start: number("startingFrom").unwrap_or(0.0),
                is_closed: first.name == "incrementConcurrentUsers",
            };
            return Some(stairs.steps());
        }
        _ => return None,
    };
    Some(vec![step])
}

/// Users of a peak as four ramps of their rate.
fn bell(count: f64, length: f64) -> Vec<Injection> {
    if length < SHORTEST {
        return vec![Injection::Burst(count)];
    }
    let rate = count / length;
    let ramp = |pair: &[f64]| match pair {
        [from, to] => Some(Injection::Rate(from * rate, to * rate, length / 4.0)),
        _ => None,
    };
    BELL.windows(2).filter_map(ramp).collect()
}

/// A staircase of rates or users.
struct Stairs {
    increment: f64,
    levels: f64,
    /// Of each level.
    length: f64,
    /// Between levels.
    ramp: f64,
    start: f64,
    is_closed: bool,
}

impl Stairs {
    /// As Gatling climbs it: with ramps and from nothing, a ramp leads to the first level too.
    fn steps(&self) -> Vec<Injection> {
        let make = |from: f64, to: f64, length: f64| match self.is_closed {
            true => Injection::Users(from, to, length),
            false => Injection::Rate(from, to, length),
        };
        let is_from_nothing = self.start == 0.0 && self.ramp > 0.0;
        let mut steps = Vec::new();
        for level in 0..self.levels as u32 {
            let now = self.start + self.increment * f64::from(level);
            let next = now + self.increment;
            if is_from_nothing {
                steps.extend([make(now, next, self.ramp), make(next, next, self.length)]);
                continue;
            }
            steps.push(make(now, now, self.length));
            if self.ramp > 0.0 && f64::from(level + 1) < self.levels {
                steps.push(make(now, next, self.ramp));
            }
        }
        steps
    }
}

/// Whether a profile says how many users there are at the same time.
fn is_closed(steps: &[Injection]) -> bool {
    steps.iter().any(|step| matches!(step, Injection::Users(..)))
}

/// The seconds that a profile takes.
pub(super) fn length(steps: &[Injection]) -> f64 {
    let length = |step: &Injection| match step {
        Injection::Burst(_) => 0.0,
        Injection::Rate(_, _, length) | Injection::Users(_, _, length) => *length,
    };
    steps.iter().map(length).sum()
}

/// The loads of a profile. Users that stay are counted, and not their arrivals; a plan ends at
/// `limit` seconds.
pub(super) fn loads(steps: &[Injection], stay: Option<Stay>, limit: Option<f64>) -> Vec<TimedLoad> {
    let mut loads = Vec::new();
    let line = match (is_closed(steps), stay) {
        (true, _) => of_users(&points(steps, true), limit),
        (false, Some(stay)) => of_users(&staying(steps, stay, limit), limit),
        (false, None) => {
            loads.extend(bursts(steps, limit));
            of_rates(&points(steps, false), limit)
        }
    };
    loads.extend(line);
    loads
}

/// Users that come at once, each for one journey.
fn bursts(steps: &[Injection], limit: Option<f64>) -> Vec<TimedLoad> {
    let (mut now, mut loads) = (0.0, Vec::new());
    for step in steps {
        match step {
            Injection::Burst(count) if *count >= 1.0 && limit.is_none_or(|limit| now < limit) => {
                let left = limit.and_then(|limit| seconds(limit - now));
                let load = LoadDraft::Iterations {
                    vus: count.min(MOST_USERS) as u32,
                    iterations: 1,
                    shared: false,
                    longest: left.unwrap_or(LONGEST_ITERATIONS),
                };
                loads.extend(seconds(now).map(|start| TimedLoad { start, load }));
            }
            Injection::Burst(_) => {}
            Injection::Rate(_, _, length) | Injection::Users(_, _, length) => now += length,
        }
    }
    loads
}

/// The line that the rates or the numbers of users of a profile follow.
fn points(steps: &[Injection], is_closed: bool) -> Vec<Point> {
    let (mut now, mut points) = (0.0, Vec::new());
    for step in steps {
        let (from, to, length) = match step {
            Injection::Burst(_) => continue,
            Injection::Rate(from, to, length) if !is_closed => (*from, *to, *length),
            Injection::Users(from, to, length) if is_closed => (*from, *to, *length),
            Injection::Rate(_, _, length) | Injection::Users(_, _, length) => (0.0, 0.0, *length),
        };
        points.push((now, from));
        now += length;
        points.push((now, to));
    }
    points
}

/// The users that have arrived by a time, with or without those of this very moment.
fn arrived(steps: &[Injection], at: f64, with_now: bool) -> f64 {
    let (mut now, mut sum) = (0.0, 0.0);
    for step in steps {
        if at < now {
            break;
        }
        match step {
            Injection::Burst(count) if at > now || with_now => sum += count,
            Injection::Burst(_) => {}
            Injection::Rate(from, to, length) | Injection::Users(from, to, length) => {
                let part = (at - now).min(*length);
                if *length > 0.0 {
                    sum += from * part + (to - from) * part * part / (2.0 * length);
                }
                now += length;
            }
        }
    }
    sum
}

/// The users that are there, where each stays for some time.
fn staying(steps: &[Injection], stay: Stay, limit: Option<f64>) -> Vec<Point> {
    let end = match stay {
        Stay::For(stay) => length(steps) + stay,
        Stay::Forever => limit.unwrap_or(ENDLESS).max(length(steps)),
    };
    let mut times = vec![0.0, end];
    let mut now = 0.0;
    for step in steps {
        if let Injection::Rate(from, to, length) = step {
            // The number follows a curve where the rate does not stay the same.
            let parts = if from == to { 1 } else { 4 };
            let part = |part: i32| now + length * f64::from(part) / f64::from(parts);
            times.extend((1..=parts).map(part));
            now += length;
        }
        times.push(now);
    }
    if let Stay::For(stay) = stay {
        times.extend(times.clone().iter().map(|time| time + stay));
    }
    times.retain(|time| *time <= end);
    times.sort_by(f64::total_cmp);
    times.dedup();
    let there = |time: f64, with_now: bool| {
        let gone = match stay {
            Stay::For(stay) if time >= stay => arrived(steps, time - stay, with_now),
            _ => 0.0,
        };
        (arrived(steps, time, with_now) - gone).max(0.0)
    };
    let both = |time: &f64| [(*time, there(*time, false)), (*time, there(*time, true))];
    times.iter().flat_map(both).collect()
}

/// The part of a line that is not behind a limit.
fn clipped(points: &[Point], limit: Option<f64>) -> Vec<Point> {
    let Some(limit) = limit else { return points.to_vec() };
    let mut clipped: Vec<Point> = Vec::new();
    for (time, level) in points {
        if *time > limit {
            if let Some((before, from)) = clipped.last().copied() {
                let share = (limit - before) / (time - before);
                clipped.push((limit, from + (level - from) * share));
            }
            break;
        }
        clipped.push((*time, *level));
    }
    clipped
}

fn of_users(points: &[Point], limit: Option<f64>) -> Option<TimedLoad> {
    let points = clipped(points, limit);
    let level = |level: f64| level.clamp(0.0, MOST_USERS).round() as u32;
    let (start, mut stages) = stages(&points, level);
    // What changes at the very end changes nothing.
    while stages.last().is_some_and(|(_, length)| length.is_zero()) {
        stages.pop();
    }
    let most = stages.iter().map(|(level, _)| *level).fold(start, u32::max);
    let length: Duration = stages.iter().map(|(_, length)| *length).sum();
    if most == 0 || length.is_zero() {
        return None;
    }
    let load = match stages.as_slice() {
        [(level, duration)] if *level == start => {
            LoadDraft::Users { vus: start, duration: *duration }
        }
        _ => LoadDraft::RampUsers { start, stages },
    };
    Some(TimedLoad { start: Duration::ZERO, load })
}

/// Arrivals per second. What begins or ends without any is a later start or an earlier end.
fn of_rates(points: &[Point], limit: Option<f64>) -> Option<TimedLoad> {
    let points = clipped(points, limit);
    let is_none = |(_, rate): &Point| *rate <= 0.0;
    // A line that is at nothing up to a time begins at the last of these times.
    let idle = points.iter().take_while(|point| is_none(point)).count();
    let begin = points.get(idle.saturating_sub(1)).filter(|_| idle > 0).map_or(0.0, |it| it.0);
    let mut last = points.len() - points.iter().rev().take_while(|point| is_none(point)).count();
    // A ramp to nothing ends there; what falls to nothing at once ends before it.
    let is_ramp = |pair: &[Point]| matches!(pair, [(before, _), (after, _)] if after > before);
    if last > 0 && points.get(last - 1..=last).is_some_and(is_ramp) {
        last += 1;
    }
    let line: Vec<Point> = points
        .get(idle.saturating_sub(1)..last)?
        .iter()
        .map(|(time, rate)| (time - begin, *rate))
        .collect();
    let (start, stages) = stages(&line, |rate| rate);
    let length: Duration = stages.iter().map(|(_, length)| *length).sum();
    if length.is_zero() {
        return None;
    }
    let load = match stages.as_slice() {
        [(rate, duration)] if *rate == start => {
            LoadDraft::Constant { rate: *rate, duration: *duration }
        }
        _ => LoadDraft::Ramp {
            start,
            stages: stages.into_iter().map(|(rate, length)| (rate, length, None)).collect(),
        },
    };
    Some(TimedLoad { start: seconds(begin)?, load })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::gatling::words::word;

    fn call(name: &str, first: f64, rest: &[(&str, f64)]) -> Known {
        let mut known = word(name, vec![Known::Number(first)], 1);
        for (name, number) in rest {
            let arguments = vec![Known::Number(*number)];
            known = known.linked(Link::new(name, arguments, 1));
        }
        known
    }

    fn shown(loads: &[TimedLoad]) -> Vec<String> {
        let secs = |length: &Duration| length.as_secs_f64();
        let one = |timed: &TimedLoad| {
            let load = match &timed.load {
                LoadDraft::Constant { rate, duration } => format!("{rate}/s {}s", secs(duration)),
                LoadDraft::Ramp { start, stages } => {
                    let stages = stages.iter().map(|(rate, it, _)| format!(" {rate}@{}", secs(it)));
                    format!("rates {start}{}", stages.collect::<String>())
                }
                LoadDraft::Users { vus, duration } => format!("{vus} users {}s", secs(duration)),
                LoadDraft::RampUsers { start, stages } => {
                    let stages = stages.iter().map(|(vus, it)| format!(" {vus}@{}", secs(it)));
                    format!("users {start}{}", stages.collect::<String>())
                }
                LoadDraft::Iterations { vus, iterations, .. } => format!("{vus}x{iterations}"),
                other => format!("{other:?}"),
            };
            format!("{}s: {load}", timed.start.as_secs_f64())
        };
        loads.iter().map(one).collect()
    }

    #[test]
    fn profiles_become_loads() {
        let stairs = |name: &str, from: f64| {
            call(
                name,
                5.0,
                &[
                    ("times", 3.0),
                    ("eachLevelLasting", 10.0),
                    ("separatedByRampsLasting", 2.0),
                    ("startingFrom", from),
                ],
            )
        };
        for (calls, stay, limit, wanted) in [
            (vec![call("atOnceUsers", 10.0, &[])], None, None, vec!["0s: 10x1"]),
            (vec![call("rampUsers", 120.0, &[("during", 60.0)])], None, None, vec!["0s: 2/s 60s"]),
            (
                vec![
                    call("nothingFor", 5.0, &[]),
                    call("atOnceUsers", 10.0, &[]),
                    call("constantUsersPerSec", 4.0, &[("during", 20.0)]),
                    call("rampUsersPerSec", 4.0, &[("to", 8.0), ("during", 30.0)]),
                ],
                None,
                None,
                vec!["5s: 10x1", "5s: rates 4 4@20 8@30"],
            ),
            (
                vec![stairs("incrementUsersPerSec", 10.0)],
                None,
                None,
                vec!["0s: rates 10 10@10 15@2 15@10 20@2 20@10"],
            ),
            (
                vec![stairs("incrementConcurrentUsers", 0.0)],
                None,
                None,
                vec!["0s: users 0 5@2 5@10 10@2 10@10 15@2 15@10"],
            ),
            (
                vec![
                    call("rampConcurrentUsers", 0.0, &[("to", 20.0), ("during", 10.0)]),
                    call("constantConcurrentUsers", 20.0, &[("during", 60.0)]),
                ],
                None,
                Some(30.0),
                vec!["0s: users 0 20@10 20@20"],
            ),
            // Users that stay are virtual users.
            (
                vec![call("atOnceUsers", 10.0, &[])],
                Some(Stay::Forever),
                Some(60.0),
                vec!["0s: 10 users 60s"],
            ),
            (
                vec![call("rampUsers", 40.0, &[("during", 20.0)])],
                Some(Stay::For(60.0)),
                None,
                vec!["0s: users 0 40@20 40@40 0@20"],
            ),
        ] {
            let steps: Vec<Injection> =
                calls.iter().flat_map(|call| steps(call).expect("numbers")).collect();
            assert_eq!(shown(&loads(&steps, stay, limit)), wanted, "{calls:?}");
        }
        assert_eq!(steps(&call("rampUsers", 5.0, &[])), None);
        assert_eq!(steps(&Known::Unknown), None);
    }

    #[test]
    fn a_peak_has_as_many_users() {
        let steps = steps(&call("stressPeakUsers", 1000.0, &[("during", 20.0)])).expect("numbers");
        let users = arrived(&steps, 20.0, true);
        assert!((users - 1000.0).abs() < 20.0, "{users}");
    }

    #[test]
    fn odd_numbers_are_no_load() {
        for number in [0.0, 1e300, f64::MAX] {
            let steps = steps(&call("rampUsers", number, &[("during", number)]));
            let steps = steps.unwrap_or_default();
            for stay in [None, Some(Stay::Forever), Some(Stay::For(number))] {
                loads(&steps, stay, Some(number));
                loads(&steps, stay, None);
            }
        }
    }
}
