//! Thread groups, JMeter's own and those of its plugins: who comes when.

use std::time::Duration;

use super::reader::PlanReader;
use crate::convert::draft::{LoadDraft, seconds};
use crate::convert::stages::{Point, stages};
use crate::convert::xml::Element;

/// How long a thread group without an end runs in the plan.
const ENDLESS: Duration = Duration::from_secs(600);
/// The longest that a plan waits for a number of journeys without a time.
const LONGEST_ITERATIONS: Duration = Duration::from_secs(1800);
/// Threads that are taken for a mistake.
const MOST_THREADS: f64 = 1_000_000.0;

/// What a thread group comes to.
pub(super) struct Group {
    pub(super) load: LoadDraft,
    pub(super) start: Duration,
    /// Threads at the most.
    pub(super) threads: u32,
    /// How long, where that is known.
    pub(super) length: Option<Duration>,
}

impl PlanReader<'_, '_> {
    /// The load of a thread group; `None` where it has no threads, or is of an unknown kind.
    pub(super) fn group(&mut self, element: &Element) -> Option<Group> {
        match element.class() {
            "ThreadGroup" | "SetupThreadGroup" | "PostThreadGroup" => self.classic(element),
            "UltimateThreadGroup" => {
                let points = self.schedule(element);
                self.by_points(element, &points)
            }
            "ConcurrencyThreadGroup" => {
                let unit = unit(element);
                let (target, ramp, hold) = self.levels(element)?;
                let steps = self.number_of(element, "Steps").unwrap_or(0.0);
                let mut points = vec![(0.0, 0.0)];
                if steps >= 1.0 {
                    steps_of(steps, (0.0, target), (0.0, ramp * unit), &mut points);
                } else {
                    points.push((ramp * unit, target));
                }
                points.push(((ramp + hold) * unit, target));
                self.by_points(element, &points)
            }
            "SteppingThreadGroup" => {
                let points = self.stepping(element)?;
                self.by_points(element, &points)
            }
            "ArrivalsThreadGroup" => self.arrivals(element),
            "FreeFormArrivalsThreadGroup" => self.free_arrivals(element),
            _ => {
                self.lost(element, "an unknown kind of thread group");
                None
            }
        }
    }

    fn number_of(&mut self, element: &Element, name: &str) -> Option<f64> {
        self.texts().number(element.prop(name), element.line)
    }

    /// The number of threads; `None`, with a note, where there are none.
    fn threads(&mut self, element: &Element, count: Option<f64>) -> Option<u32> {
        let Some(count) = count else {
            let text = "the number of threads is not known: the plan has 1";
            self.artifact.notes.at(element.line, text);
            return Some(1);
        };
        if count < 1.0 {
            self.lost(element, "a thread group without threads");
            return None;
        }
        Some(count.min(MOST_THREADS) as u32)
    }

    fn classic(&mut self, element: &Element) -> Option<Group> {
        let count = self.number_of(element, "ThreadGroup.num_threads");
        let threads = self.threads(element, count)?;
        let ramp = self.number_of(element, "ThreadGroup.ramp_time").and_then(seconds);
        let ramp = ramp.unwrap_or_default();
        let is_scheduled = element.is_set("ThreadGroup.scheduler");
        let mut scheduled = |name| {
            let time = self.number_of(element, name).filter(|_| is_scheduled);
            time.and_then(seconds).filter(|time| !time.is_zero())
        };
        let (length, delay) = (scheduled("ThreadGroup.duration"), scheduled("ThreadGroup.delay"));
        let controller = element.property("ThreadGroup.main_controller");
        let loops = controller.and_then(|it| self.number_of(it, "LoopController.loops"));
        let is_endless = controller.is_some_and(|it| it.is_set("LoopController.continue_forever"));
        let loops = loops.filter(|loops| *loops >= 1.0 && !is_endless);
        let load = match (loops, length) {
            (Some(loops), _) => {
                if ramp > Duration::from_secs(1) {
                    let text = "the ramp-up of a thread group with a number of loops: all users \
                                start at once";
                    self.lost(element, text);
                }
                LoadDraft::Iterations {
                    vus: threads,
                    iterations: loops as u64,
                    shared: false,
                    longest: length.unwrap_or(LONGEST_ITERATIONS),
                }
            }
            (None, None) => {
                let text = format!(
                    "the thread group never ends: the plan ends after {} minutes",
                    ENDLESS.as_secs() / 60
                );
                self.artifact.notes.at(element.line, text);
                users(threads, ramp, ENDLESS)
            }
            (None, Some(length)) => users(threads, ramp, length),
        };
        let length = match (&load, length) {
            (LoadDraft::Iterations { .. }, None) => None,
            (_, length) => Some(length.unwrap_or(ENDLESS)),
        };
        Some(Group { load, start: delay.unwrap_or_default(), threads, length })
    }

    /// The rows of the Ultimate Thread Group: threads, delay, start-up, hold and shut-down. Each
    /// adds its own threads.
    fn schedule(&mut self, element: &Element) -> Vec<Point> {
        let mut rows: Vec<[f64; 5]> = Vec::new();
        for row in element.collection("ultimatethreadgroupdata") {
            let mut numbers = [0.0; 5];
            for (number, cell) in numbers.iter_mut().zip(&row.children) {
                *number = self.texts().number(&cell.text, cell.line).unwrap_or(0.0).max(0.0);
            }
            rows.push(numbers);
        }
        let ends = |row: &[f64; 5]| {
            let [_, delay, startup, hold, shutdown] = *row;
            let full = delay + startup;
            [delay, full, full + hold, full + hold + shutdown]
        };
        let mut times: Vec<f64> = rows.iter().flat_map(ends).chain([0.0]).collect();
        times.sort_by(f64::total_cmp);
        times.dedup();
        // Two values at each time: where a row starts or ends at once, the number jumps.
        let at = |time: f64, before: bool| -> f64 {
            let one = |row: &[f64; 5]| {
                let [begin, full, hold, end] = ends(row);
                let is_in = |from: f64, to: f64| match before {
                    true => from < time && time <= to,
                    false => from <= time && time < to,
                };
                let share = match () {
                    () if is_in(begin, full) => (time - begin) / (full - begin),
                    () if is_in(full, hold) => 1.0,
                    () if is_in(hold, end) => (end - time) / (end - hold),
                    () => 0.0,
                };
                row[0] * share
            };
            rows.iter().map(one).sum()
        };
        times
            .iter()
            .flat_map(|time| [(*time, at(*time, true)), (*time, at(*time, false))])
            .collect()
    }

    /// Target, ramp-up and hold of the thread groups with a level.
    fn levels(&mut self, element: &Element) -> Option<(f64, f64, f64)> {
        let Some(target) = self.number_of(element, "TargetLevel").filter(|level| *level > 0.0)
        else {
            self.lost(element, "a thread group without a target level");
            return None;
        };
        let ramp = self.number_of(element, "RampUp").unwrap_or(0.0).max(0.0);
        let hold = self.number_of(element, "Hold").unwrap_or(0.0).max(0.0);
        Some((target, ramp, hold))
    }

    /// The Stepping Thread Group: some threads more each period, a hold, and some less each period.
    fn stepping(&mut self, element: &Element) -> Option<Vec<Point>> {
        let mut number = |name| self.number_of(element, name).unwrap_or(0.0).max(0.0);
        let delay = number("Threads initial delay");
        let burst = number("Start users count burst");
        let (more, period) = (number("Start users count"), number("Start users period"));
        let (fewer, pause) = (number("Stop users count"), number("Stop users period"));
        let (hold, ramp) = (number("flighttime"), number("rampUp"));
        let threads = number("ThreadGroup.num_threads");
        if threads < 1.0 {
            self.lost(element, "a thread group without threads");
            return None;
        }
        let first = if burst > 0.0 { burst.min(threads) } else { more.min(threads) };
        let mut points = vec![(0.0, 0.0), (delay, 0.0), (delay + ramp, first)];
        let mut now = delay + ramp;
        let steps = if more > 0.0 { ((threads - first) / more).ceil().min(1000.0) } else { 0.0 };
        for step in 1..=steps as u32 {
            let before = points.last().map_or(0.0, |(_, level)| *level);
            points.push((now + period, before));
            now += period + ramp;
            points.push((now, (first + more * f64::from(step)).min(threads)));
        }
        let level = points.last().map_or(threads, |(_, level)| *level);
        now += hold;
        points.push((now, level));
        let steps = if fewer > 0.0 { (level / fewer).ceil().min(1000.0) } else { 1.0 };
        for step in 1..=steps as u32 {
            let before = points.last().map_or(0.0, |(_, level)| *level);
            let after = if fewer > 0.0 { (level - fewer * f64::from(step)).max(0.0) } else { 0.0 };
            points.push((now, after.min(before)));
            now += pause;
            points.push((now, after.min(before)));
        }
        Some(points)
    }

    /// The load whose number of threads goes through these points.
    fn by_points(&mut self, element: &Element, points: &[Point]) -> Option<Group> {
        let most = points.iter().map(|(_, level)| *level).fold(0.0, f64::max);
        let threads = self.threads(element, Some(most))?;
        let (start, stages) = stages(points, |level| level.min(MOST_THREADS).round() as u32);
        let length = stages.iter().map(|(_, length)| *length).sum::<Duration>();
        if length.is_zero() {
            self.lost(element, "a thread group that takes no time");
            return None;
        }
        let load = LoadDraft::RampUsers { start, stages };
        Some(Group { load, start: Duration::ZERO, threads, length: Some(length) })
    }

    fn arrivals(&mut self, element: &Element) -> Option<Group> {
        let unit = unit(element);
        let (target, ramp, hold) = self.levels(element)?;
        let (rate, ramp, hold) = (target / unit, ramp * unit, hold * unit);
        let load = match (seconds(ramp)?, seconds(hold)?) {
            (ramp, hold) if ramp.is_zero() => LoadDraft::Constant { rate, duration: hold },
            (ramp, hold) => {
                LoadDraft::Ramp { start: 0.0, stages: vec![(rate, ramp, None), (rate, hold, None)] }
            }
        };
        Some(Group { load, start: Duration::ZERO, threads: 0, length: seconds(ramp + hold) })
    }

    /// The rows of the Free-Form Arrivals Thread Group: rates at begin and end, and the time
    /// between them.
    fn free_arrivals(&mut self, element: &Element) -> Option<Group> {
        let unit = unit(element);
        let mut points: Vec<Point> = Vec::new();
        let mut now = 0.0;
        for row in element.collection("Schedule") {
            let mut numbers = [0.0; 3];
            for (number, cell) in numbers.iter_mut().zip(&row.children) {
                *number = self.texts().number(&cell.text, cell.line).unwrap_or(0.0).max(0.0);
            }
            let [from, to, length] = numbers;
            points.push((now, from / unit));
            now += length * unit;
            points.push((now, to / unit));
        }
        let (start, stages) = stages(&points, |rate| rate);
        let length = stages.iter().map(|(_, length)| *length).sum::<Duration>();
        if length.is_zero() {
            self.lost(element, "a thread group that takes no time");
            return None;
        }
        let stages = stages.into_iter().map(|(rate, length)| (rate, length, None)).collect();
        let load = LoadDraft::Ramp { start, stages };
        Some(Group { load, start: Duration::ZERO, threads: 0, length: Some(length) })
    }
}

/// Seconds of the unit of the thread groups with a level: minutes, unless it says seconds.
fn unit(element: &Element) -> f64 {
    if element.prop("Unit") == "S" { 1.0 } else { 60.0 }
}

/// A climb in equal steps: each is held for its share of the time.
fn steps_of(count: f64, levels: (f64, f64), times: (f64, f64), points: &mut Vec<Point>) {
    let count = count.clamp(1.0, 1000.0).floor();
    for step in 1..=count as u32 {
        let level = levels.0 + (levels.1 - levels.0) * f64::from(step) / count;
        let begin = times.0 + (times.1 - times.0) * f64::from(step - 1) / count;
        let end = times.0 + (times.1 - times.0) * f64::from(step) / count;
        points.extend([(begin, level), (end, level)]);
    }
}

/// All threads from the beginning, or one after the other during the ramp-up.
fn users(threads: u32, ramp: Duration, length: Duration) -> LoadDraft {
    // JMeter's default of one second is not meant as a ramp.
    if ramp <= Duration::from_secs(1) || threads == 1 {
        return LoadDraft::Users { vus: threads, duration: length };
    }
    let ramp = ramp.min(length);
    let mut stages = vec![(threads, ramp)];
    stages.extend((length > ramp).then(|| (threads, length - ramp)));
    LoadDraft::RampUsers { start: 1, stages }
}
