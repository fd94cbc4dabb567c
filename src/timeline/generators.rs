//! Several generators of one load: their ticks become one tick a second for the whole load, and
//! what each did is kept beside it.
//!
//! Whoever counts seconds, compares requests in flight with the rate, or takes a percentile needs
//! the whole load. Histograms are merged, counts and requests in flight are added. A percentile of
//! the load is never made from percentiles of generators.

use std::collections::VecDeque;
use std::time::Duration;

use super::{LoadTick, Moment, Window};

/// The label of series that one of several generators read of itself.
pub const GENERATOR_LABEL: &str = "generator";
/// How metrics begin that a process which makes load reads of itself.
const ITSELF: &str = "generator.";
/// The name of the generator in ticks of the whole load.
const ALL: &str = "all generators";
/// Ticks wait this long for those of the other generators. Then the load goes on without them: a
/// generator that was lost must not hide what the others measured.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The name under which several generators report a metric `generator.…` of their own, each with its
/// [`GENERATOR_LABEL`]: they run on other machines, so that no rule may take it for this one's.
/// `None` for any other metric.
pub fn metric_of_generators(metric: &str) -> Option<String> {
    metric.strip_prefix(ITSELF).map(|rest| format!("generators.{rest}"))
}

/// The requests of one tick: what was due, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Account {
    /// Requests that the schedule asked for.
    pub offered: f64,
    /// Requests that were sent.
    pub sent: f64,
    /// Due requests that were never sent, because too many were already waiting.
    pub held_back: f64,
    /// Due requests that wait for a free connection at the end of the tick.
    pub backlog: f64,
    /// Responses and failures.
    pub completed: f64,
    /// Mean number of requests in flight.
    pub in_flight: f64,
}

impl Account {
    /// That of a tick.
    pub fn of(tick: &LoadTick) -> Self {
        Self {
            offered: tick.offered as f64,
            sent: tick.sent as f64,
            held_back: tick.held_back as f64,
            backlog: tick.backlog as f64,
            completed: tick.completed() as f64,
            in_flight: tick.in_flight,
        }
    }
}

/// What one of several generators did within one window, without its histograms.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneratorTick {
    /// The window.
    pub window: Window,
    /// Index of the generator in [`Timeline::generators`](super::Timeline::generators).
    pub generator: usize,
    /// What was due, and what became of it.
    pub account: Account,
    /// Sum of its lateness in seconds, over the requests counted in `late_count`.
    pub late_seconds: f64,
    /// Requests whose lateness was measured.
    pub late_count: u64,
    /// p99 of its lateness in seconds, in this window.
    pub late_p99: f64,
}

impl GeneratorTick {
    fn of(tick: &LoadTick, generator: usize) -> Self {
        Self {
            window: tick.window,
            generator,
            account: Account::of(tick),
            late_seconds: tick.lateness.sum(),
            late_count: tick.lateness.count(),
            late_p99: tick.lateness.quantile(0.99).unwrap_or(0.0),
        }
    }
}

/// Others make the part of a generator that was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refill {
    /// Index of the lost one in [`Timeline::generators`](super::Timeline::generators).
    pub generator: usize,
    /// When it was lost.
    pub lost: Moment,
    /// From when on the others make its part.
    pub from: Moment,
}

/// Makes one tick a second of the ticks of several generators.
///
/// A tick of the whole load ends where ticks of all generators end. A generator that sent one tick
/// for several seconds takes the others' ticks of these seconds with it.
#[derive(Clone, Debug)]
pub struct TickMerger {
    names: Vec<String>,
    /// By generator: its ticks that wait for those of the others, in order of time.
    waiting: Vec<VecDeque<LoadTick>>,
    /// By generator: whether nothing more will come from it.
    lost: Vec<bool>,
}

impl TickMerger {
    /// Merges the ticks of the generators with these names.
    pub fn new(names: &[String]) -> Self {
        let waiting = names.iter().map(|_| VecDeque::new()).collect();
        Self { names: names.to_vec(), waiting, lost: vec![false; names.len()] }
    }

    /// Another generator reports from now on.
    pub fn join(&mut self, name: &str) {
        self.names.push(name.to_owned());
        self.waiting.push(VecDeque::new());
        self.lost.push(false);
    }

    /// Waits no longer for a generator that was lost. Returns its index; `None` for an unknown one.
    pub fn lose(&mut self, name: &str) -> Option<usize> {
        let index = self.names.iter().position(|known| *known == name)?;
        self.lost[index] = true;
        Some(index)
    }

    /// Takes in a tick. Returns what it says of its generator, and the ticks of the whole load that
    /// are complete now. The tick of an unknown generator comes back as it is.
    pub fn push(&mut self, tick: LoadTick) -> (Option<GeneratorTick>, Vec<LoadTick>) {
        let Some(index) = self.names.iter().position(|name| *name == tick.generator) else {
            return (None, vec![tick]);
        };
        let part = GeneratorTick::of(&tick, index);
        self.waiting[index].push_back(tick);
        let mut whole = Vec::new();
        while let Some(tick) = self.complete().or_else(|| self.overdue()) {
            whole.push(tick);
        }
        (Some(part), whole)
    }

    /// The rest, as far as it came.
    pub fn finish(&mut self) -> Vec<LoadTick> {
        let mut whole = Vec::new();
        while let Some(tick) = self.complete().or_else(|| self.earliest()) {
            whole.push(tick);
        }
        whole
    }

    /// The next second of all generators, if all of it is there.
    fn complete(&mut self) -> Option<LoadTick> {
        loop {
            let mut end = None;
            for (waiting, is_lost) in self.waiting.iter().zip(&self.lost) {
                match waiting.front() {
                    None if *is_lost => {}
                    front => end = end.max(Some(front?.window.end)),
                }
            }
            let end = end?;
            let mut caught_up = true;
            for (waiting, is_lost) in self.waiting.iter_mut().zip(&self.lost) {
                if waiting.front().is_some_and(|front| front.window.end < end) {
                    // Without a later tick there is nothing to wait for yet.
                    if waiting.len() < 2 && *is_lost {
                        continue;
                    }
                    waiting.get(1)?;
                    let later = waiting.remove(1)?;
                    waiting.front_mut()?.append(later);
                    caught_up = false;
                }
            }
            if caught_up {
                return join(self.waiting.iter_mut().filter_map(VecDeque::pop_front));
            }
        }
    }

    /// The earliest second, if ticks of much later ones have come.
    fn overdue(&mut self) -> Option<LoadTick> {
        let ends = || self.waiting.iter().flatten().map(|tick| tick.window.end);
        let (first, last) = (ends().min()?, ends().max()?);
        if last.since(first) > LONGEST_WAIT { self.earliest() } else { None }
    }

    /// The earliest second, of those generators that have one. Ticks that end within half of it
    /// belong to it: the last ticks of a run end at slightly different times.
    fn earliest(&mut self) -> Option<LoadTick> {
        let first = self.waiting.iter().flatten().min_by_key(|tick| tick.window.end)?.window;
        let until = first.end + first.end.since(first.begin) / 2;
        let of_it = |waiting: &mut VecDeque<LoadTick>| {
            waiting.pop_front_if(|tick| tick.window.end <= until)
        };
        join(self.waiting.iter_mut().filter_map(of_it))
    }
}

/// What several generators did at the same time.
fn join(ticks: impl Iterator<Item = LoadTick>) -> Option<LoadTick> {
    let mut whole = ticks.reduce(|mut whole, part| {
        whole.join(part);
        whole
    })?;
    ALL.clone_into(&mut whole.generator);
    Some(whole)
}

/// The lateness of some ticks of one generator.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lateness {
    /// Mean in seconds.
    pub mean: f64,
    /// The highest p99 of a window, in seconds.
    pub p99: f64,
}

impl Lateness {
    /// That of these ticks.
    pub fn of<'a>(ticks: impl Iterator<Item = &'a GeneratorTick>) -> Self {
        let (mut seconds, mut count, mut p99) = (0.0, 0, 0.0_f64);
        for tick in ticks {
            seconds += tick.late_seconds;
            count += tick.late_count;
            p99 = p99.max(tick.late_p99);
        }
        Self { mean: seconds / count.max(1) as f64, p99 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::{EndpointTick, Histogram, Moment, ResponseClass};

    /// Whether two histograms say the same.
    fn same(a: &Histogram, b: &Histogram) -> bool {
        let quantiles = [0.01, 0.5, 0.9, 0.99, 1.0];
        a.count() == b.count() && quantiles.iter().all(|at| a.quantile(*at) == b.quantile(*at))
    }

    const SECOND: u64 = 1_000_000_000;

    fn names(count: usize) -> Vec<String> {
        (1..=count).map(|number| format!("gen{number}")).collect()
    }

    /// Ends of requests in `millis`, within the window from `begin` to `end` in seconds.
    fn tick(generator: usize, begin: f64, end: f64, millis: &[u64]) -> LoadTick {
        let mut times = Histogram::new();
        millis.iter().for_each(|millis| times.record(Duration::from_millis(*millis)));
        let window = Window::new(Moment::from_secs_f64(begin), Moment::from_secs_f64(end));
        let endpoint = EndpointTick {
            endpoint: "GET /".to_owned(),
            class: ResponseClass::Status(200),
            response_time: times.clone(),
            service_time: times.clone(),
        };
        LoadTick {
            offered: millis.len() as u64,
            sent: millis.len() as u64,
            in_flight: 2.0,
            backlog: 3,
            lateness: times,
            endpoints: vec![endpoint],
            ..LoadTick::empty(window, format!("gen{generator}"))
        }
    }

    fn push(merger: &mut TickMerger, tick: LoadTick) -> Vec<LoadTick> {
        merger.push(tick).1
    }

    #[test]
    fn two_generators_make_one_tick_a_second_with_the_histogram_of_one() {
        let mut merger = TickMerger::new(&names(2));
        let (all, halves): (Vec<u64>, [Vec<u64>; 2]) =
            ((1..=200).collect(), [(1..=200).step_by(2).collect(), (2..=200).step_by(2).collect()]);
        let mut merged = Vec::new();
        for second in 0..5 {
            let (begin, end) = (f64::from(second), f64::from(second + 1));
            merged.extend(push(&mut merger, tick(2, begin, end, &halves[1])));
            assert_eq!(merged.len(), second as usize, "one is missing");
            merged.extend(push(&mut merger, tick(1, begin, end, &halves[0])));
        }
        assert_eq!(merged.len(), 5);
        let whole = tick(1, 0.0, 1.0, &all);
        for (second, merged) in merged.iter().enumerate() {
            assert_eq!(merged.window.end.nanos(), (second as u64 + 1) * SECOND);
            assert_eq!((merged.offered, merged.sent, merged.backlog), (200, 200, 6));
            assert_eq!(merged.generator, ALL);
            assert!((merged.in_flight - 4.0).abs() < 1e-9);
            assert_eq!(merged.endpoints.len(), 1);
            let (times, expected) = (&merged.endpoints[0], &whole.endpoints[0]);
            assert!(same(&times.response_time, &expected.response_time));
            assert!(same(&merged.lateness, &whole.lateness));
        }
    }

    #[test]
    fn a_long_tick_of_one_takes_the_seconds_of_the_other_with_it() {
        let mut merger = TickMerger::new(&names(2));
        assert_eq!(push(&mut merger, tick(1, 0.0, 3.0, &[1; 30])), []);
        assert_eq!(push(&mut merger, tick(2, 0.0, 1.0, &[1; 10])), []);
        assert_eq!(push(&mut merger, tick(2, 1.0, 2.0, &[1; 10])), []);
        let merged = push(&mut merger, tick(2, 2.0, 3.0, &[1; 10]));
        assert_eq!(merged.iter().map(|tick| tick.offered).collect::<Vec<_>>(), [60]);
        assert!((merged[0].in_flight - 4.0).abs() < 1e-9, "{}", merged[0].in_flight);
    }

    #[test]
    fn a_lost_generator_does_not_hide_the_others() {
        let mut merger = TickMerger::new(&names(3));
        let mut merged = Vec::new();
        for second in 0..30 {
            let (begin, end) = (f64::from(second), f64::from(second + 1));
            merged.extend(push(&mut merger, tick(1, begin, end, &[1; 4])));
            merged.extend(push(&mut merger, tick(2, begin, end, &[1; 4])));
            if second < 5 {
                merged.extend(push(&mut merger, tick(3, begin, end, &[1; 4])));
            }
        }
        merged.extend(merger.finish());
        let offered: Vec<u64> = merged.iter().map(|tick| tick.offered).collect();
        assert_eq!(offered, [vec![12; 5], vec![8; 25]].concat());
        assert!(merged.iter().all(|tick| (tick.window.secs() - 1.0).abs() < 1e-9));
    }

    #[test]
    fn nobody_waits_for_one_that_is_known_to_be_lost() {
        let mut merger = TickMerger::new(&names(3));
        let mut offered = Vec::new();
        for second in 0..8 {
            let (begin, end) = (f64::from(second), f64::from(second + 1));
            if second < 3 {
                push(&mut merger, tick(3, begin, end, &[1; 4]));
            } else if second == 3 {
                assert_eq!(merger.lose("gen3"), Some(2));
            }
            // Two make the work of three from then on.
            let requests = if second < 5 { 4 } else { 6 };
            push(&mut merger, tick(1, begin, end, &vec![1; requests]));
            let whole = push(&mut merger, tick(2, begin, end, &vec![1; requests]));
            offered.extend(whole.iter().map(|tick| tick.offered));
        }
        assert_eq!(offered, [12, 12, 12, 8, 8, 12, 12, 12]);
        assert_eq!(merger.lose("another"), None);
    }

    #[test]
    fn one_that_joins_is_waited_for() {
        let mut merger = TickMerger::new(&names(1));
        assert_eq!(push(&mut merger, tick(1, 0.0, 1.0, &[1; 4])).len(), 1);
        merger.join("gen2");
        assert_eq!(push(&mut merger, tick(1, 1.0, 2.0, &[1; 4])), []);
        let whole = push(&mut merger, tick(2, 1.4, 2.0, &[1; 2]));
        assert_eq!(whole.iter().map(|tick| tick.offered).collect::<Vec<_>>(), [6]);
    }

    #[test]
    fn the_last_ticks_end_when_each_has_drained() {
        let mut merger = TickMerger::new(&names(2));
        assert_eq!(push(&mut merger, tick(1, 7.0, 7.34, &[1; 4])), []);
        assert_eq!(push(&mut merger, tick(2, 7.0, 7.36, &[1; 5])), []);
        let rest = merger.finish();
        assert_eq!(rest.iter().map(|tick| tick.offered).collect::<Vec<_>>(), [9]);
        assert_eq!(merger.finish(), []);
    }

    fn account(count: f64) -> Account {
        let (held_back, backlog, in_flight) = (0.0, 0.0, 2.0);
        Account { offered: count, sent: count, held_back, backlog, completed: count, in_flight }
    }

    #[test]
    fn what_each_did_is_kept_and_a_stranger_passes() {
        let mut merger = TickMerger::new(&names(2));
        let (part, _) = merger.push(tick(2, 0.0, 1.0, &[10, 10, 10, 30]));
        let part = part.unwrap();
        assert_eq!((part.generator, part.account), (1, Account { backlog: 3.0, ..account(4.0) }));
        assert!((part.late_seconds - 0.060).abs() < 1e-3, "{}", part.late_seconds);
        let late = Lateness::of([part.clone(), part].iter());
        assert!((late.mean - 0.015).abs() < 5e-4 && (late.p99 - 0.030).abs() < 1e-3, "{late:?}");
        let (part, whole) = merger.push(tick(9, 0.0, 1.0, &[1]));
        assert!(part.is_none() && whole.len() == 1);
    }
}
