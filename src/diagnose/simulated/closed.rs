//! A closed system, simulated event by event: users who think, and a queue with several servers
//! (M/M/m with a finite population, Kleinrock 1975, section 3.8).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use crate::diagnose::terms::stats::Random;
use crate::timeline::{LoadTick, Moment, Stage, StageRole, Timeline, Window};

use super::answered;

/// Users, what they ask for, and what serves them; times in seconds.
#[derive(Clone, Copy)]
pub struct ClosedSystem {
    pub servers: usize,
    /// Mean time of a service.
    pub service: f64,
    /// Mean time between an answer and the next request.
    pub think: f64,
}

/// What happens next, ordered by time in nanoseconds.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Happens {
    Asks,
    /// An answer to a request that came at this time.
    Answer(u64),
}

/// One second of a simulation.
#[derive(Default)]
struct Second {
    times: Vec<f64>,
    waiting: f64,
}

impl ClosedSystem {
    /// Holds each number of users for so many seconds.
    pub fn run(&self, levels: &[usize], seconds: u64, seed: u64) -> Timeline {
        let mut random = Random::new(seed);
        let mut draw = |mean: f64| (-mean * (1.0 - random.uniform()).ln() * 1e9) as u64;
        let total = seconds * levels.len() as u64;
        let mut log: Vec<Second> = (0..total).map(|_| Second::default()).collect();
        let mut events = BinaryHeap::new();
        let (mut queue, mut busy, mut users) = (VecDeque::new(), 0, 0);
        for (place, level) in levels.iter().enumerate() {
            let begin = place as u64 * seconds * SECOND;
            let end = begin + seconds * SECOND;
            for _ in users..*level {
                events.push(Reverse((begin + draw(self.think), Happens::Asks)));
            }
            users = users.max(*level);
            while events.peek().is_some_and(|Reverse((at, _))| *at < end) {
                let Some(Reverse((at, event))) = events.pop() else { break };
                match event {
                    Happens::Asks => queue.push_back(at),
                    Happens::Answer(since) => {
                        busy -= 1;
                        wait(&mut log, since, at);
                        answer(&mut log, since, at);
                        events.push(Reverse((at + draw(self.think), Happens::Asks)));
                    }
                }
                while busy < self.servers
                    && let Some(since) = queue.pop_front()
                {
                    busy += 1;
                    events.push(Reverse((at + draw(self.service), Happens::Answer(since))));
                }
            }
        }
        let served = events.into_iter().filter_map(|Reverse((_, event))| match event {
            Happens::Answer(since) => Some(since),
            Happens::Asks => None,
        });
        let end = total * SECOND;
        queue.into_iter().chain(served).for_each(|since| wait(&mut log, since, end));
        timeline(levels, seconds, log)
    }
}

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// Notes that a request waited from one moment to another, in nanoseconds.
fn wait(log: &mut [Second], since: u64, until: u64) {
    for (place, second) in log.iter_mut().enumerate().skip((since / SECOND) as usize) {
        let begin = place as u64 * SECOND;
        if begin > until {
            break;
        }
        second.waiting += (until.min(begin + SECOND) - since.max(begin)) as f64 / 1e9;
    }
}

/// Notes an answer.
fn answer(log: &mut [Second], since: u64, at: u64) {
    if let Some(second) = log.get_mut((at / SECOND) as usize) {
        second.times.push((at - since) as f64 / 1e9);
    }
}

fn timeline(levels: &[usize], seconds: u64, log: Vec<Second>) -> Timeline {
    let window = |from: u64, length: u64| {
        let begin = Moment::START + Duration::from_secs(from);
        Window::new(begin, begin + Duration::from_secs(length))
    };
    let stages = levels.iter().enumerate().map(|(place, users)| {
        let held = window(place as u64 * seconds, seconds);
        let (vus_from, vus_to) = (*users as f64, *users as f64);
        Stage { vus_from, vus_to, ..Stage::constant(StageRole::Ramp, held, 0.0) }
    });
    let ticks = log.into_iter().enumerate().map(|(place, second)| {
        let count = second.times.len() as u64;
        LoadTick {
            offered: count,
            sent: count,
            in_flight: second.waiting,
            endpoints: vec![answered(200, count, |index| second.times[index as usize])],
            ..LoadTick::empty(window(place as u64, 1), "tool")
        }
    });
    Timeline { stages: stages.collect(), ticks: ticks.collect(), ..Timeline::default() }
}
