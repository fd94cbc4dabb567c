//! Keeps long runs small: merges neighbouring readings of a collector that has very many, and
//! neighbouring ticks.
//!
//! It changes only stages that are long compared with the coarser cadence. A short stage never
//! loses resolution, and each stage has one cadence throughout.

use std::collections::BTreeMap;
use std::iter;

use super::{
    Batch, Kind, LoadTick, MetricSpec, Moment, Point, Series, SeriesKey, Stage, Timeline, Window,
    names,
};

/// The minimum number of readings of a collector that a stage keeps. The diagnosis compares no
/// window shorter than a tenth of a stage, and thirty readings are enough for its median and
/// spread.
const KEPT_OF_STAGE: u64 = 300;
/// The finest cadence of merging, in nanoseconds. Each coarser cadence is twice the previous one,
/// so that merged readings never have to be split.
const FINEST: u64 = 125_000_000;
/// Memory limit for ticks, in values of eight bytes per allowed tick. A tick with many endpoints at
/// a high rate has thousands of values, so such ticks are merged sooner.
const VALUES_OF_TICK: usize = 1200;

/// Adds to a timeline, and keeps the readings of each collector and the ticks below a limit, as far
/// as they belong to long stages. A timeline that never reaches the limit stays unchanged.
///
/// It needs the stages: add each stage to the timeline when it begins.
#[derive(Clone, Debug)]
pub struct Condenser {
    most: usize,
    looks: BTreeMap<String, Cadence>,
    ticks: Cadence,
    tick_values: usize,
    /// Ticks are condensed again when they hold this many values.
    tick_values_due: usize,
}

/// How far the looks of a collector, or the ticks, have been merged.
#[derive(Clone, Copy, Debug)]
struct Cadence {
    /// Cadence in long stages, in nanoseconds.
    nanos: u64,
    /// Merging runs again at this many looks.
    due: usize,
}

impl Cadence {
    fn new(most: usize) -> Self {
        Self { nanos: FINEST, due: 2 * most }
    }

    /// Merges at one cadence after the other, from the finest up to the current one. Then continues
    /// with coarser ones until that is enough, or until no stage allows a coarser one.
    fn coarsen(&mut self, longest: u64, mut is_enough: impl FnMut(u64) -> bool) {
        // The finest first: only items of equal weight are merged, and items added since the last
        // time weigh least.
        let mut nanos = FINEST;
        loop {
            let enough = is_enough(nanos) || nanos > longest / KEPT_OF_STAGE / 2;
            if nanos >= self.nanos && enough {
                self.nanos = nanos;
                return;
            }
            nanos *= 2;
        }
    }

    /// All cadences from the finest to the current one, each twice the previous.
    fn each(self) -> impl Iterator<Item = u64> {
        iter::successors(Some(FINEST), |nanos| nanos.checked_mul(2))
            .take_while(move |nanos| *nanos <= self.nanos)
    }
}

impl Condenser {
    /// Keeps up to twice `most` readings of a collector, and as many ticks. More are reduced to
    /// about `most`.
    pub fn new(most: usize) -> Self {
        let most = most.max(2);
        Self {
            most,
            looks: BTreeMap::new(),
            ticks: Cadence::new(most),
            tick_values: 0,
            tick_values_due: 2 * most * VALUES_OF_TICK,
        }
    }

    /// Adds a tick.
    pub fn push_tick(&mut self, timeline: &mut Timeline, mut tick: LoadTick) {
        tick.compact();
        // Merges immediately if it will have to be merged anyway. Later its neighbour is far away
        // in memory, and fetching it takes longer than all other work on it.
        let slots = Slots { stages: &timeline.stages, nanos: self.ticks.nanos };
        self.tick_values += place(&mut timeline.ticks, tick, slots);
        let have = timeline.ticks.len();
        if have <= self.ticks.due && self.tick_values <= self.tick_values_due {
            return;
        }
        let longest = longest(&timeline.stages);
        let most_values = self.most * VALUES_OF_TICK;
        let tick_values = &mut self.tick_values;
        self.ticks.coarsen(longest, |nanos| {
            if condense_ticks(timeline, nanos) {
                *tick_values = values(&timeline.ticks);
            }
            timeline.ticks.len() <= have / 4 * 3 && *tick_values <= most_values / 2 * 3
        });
        self.ticks.due = due(timeline.ticks.len(), self.most);
        self.tick_values_due = due(self.tick_values, most_values);
    }

    /// Memory of the ticks, in values of eight bytes; each counter of a histogram is one.
    pub fn tick_values(&self) -> usize {
        self.tick_values
    }

    /// Adds one reading of a collector.
    pub fn push_batch(&mut self, timeline: &mut Timeline, batch: Batch) {
        let collector = batch.collector.clone();
        timeline.push_batch(batch);
        if self.is_due(timeline, &collector) {
            self.condense(timeline, &collector);
        }
    }

    /// Whether `collector` has more readings than it should keep. For code that adds readings to
    /// the timeline itself, and then calls [`Condenser::condense`].
    pub fn is_due(&self, timeline: &Timeline, collector: &str) -> bool {
        let due = self.looks.get(collector).map_or(2 * self.most, |cadence| cadence.due);
        timeline.readings.get(collector).is_some_and(|looks| looks.len() > due)
    }

    /// Merges the readings of `collector`, as far as its stages allow.
    pub fn condense(&mut self, timeline: &mut Timeline, collector: &str) {
        let Some(looks) = timeline.readings.get(collector) else { return };
        let most = self.most;
        let cadence = self.looks.entry(collector.to_owned()).or_insert_with(|| Cadence::new(most));
        let (have, longest) = (looks.len(), longest(&timeline.stages));
        let mut left = have;
        cadence.coarsen(longest, |nanos| {
            left = condense_looks(timeline, collector, nanos, true);
            left <= have / 4 * 3
        });
        cadence.due = due(left, most);
    }

    /// Merges the last readings and ticks, which were still open, at the current cadence.
    pub fn finish(&mut self, timeline: &mut Timeline) {
        for (collector, cadence) in &self.looks {
            for nanos in cadence.each() {
                condense_looks(timeline, collector, nanos, false);
            }
        }
        for nanos in self.ticks.each().filter(|_| self.ticks.nanos > FINEST) {
            condense_ticks(timeline, nanos);
        }
        self.tick_values = values(&timeline.ticks);
    }
}

fn values(ticks: &[LoadTick]) -> usize {
    ticks.iter().map(LoadTick::values).sum()
}

fn longest(stages: &[Stage]) -> u64 {
    stages.iter().map(|stage| length(stage.window)).max().unwrap_or(0)
}

/// The number of items at which merging runs again. If the stages allow no further reduction, that
/// is when the number has grown by a third.
fn due(left: usize, most: usize) -> usize {
    if left < most / 4 * 7 { 2 * most } else { left / 3 * 4 }
}

/// Looks and ticks in the same slot are merged. A slot is the start of its stage and an index in
/// the stage.
type Slot = (Moment, u64);

/// The grid of one cadence: it restarts with each stage.
#[derive(Clone, Copy)]
struct Slots<'a> {
    stages: &'a [Stage],
    nanos: u64,
}

impl Slots<'_> {
    /// The stage that contains `at`, if it is long enough to be condensed.
    fn stage(&self, at: Moment) -> Option<&Stage> {
        let next = self.stages.partition_point(|stage| stage.window.begin <= at);
        let stage = self.stages.get(next.checked_sub(1)?)?;
        let long = length(stage.window) / KEPT_OF_STAGE >= self.nanos;
        (long && stage.window.contains(at)).then_some(stage)
    }

    fn of(&self, at: Moment) -> Option<Slot> {
        let begin = self.stage(at)?.window.begin;
        Some((begin, (at.nanos() - begin.nanos()) / self.nanos))
    }

    /// The slot of a tick; `None` if the tick reaches into another stage.
    fn of_tick(&self, tick: &LoadTick) -> Option<Slot> {
        let window = tick.window;
        let middle = between(window.begin, window.end);
        let stage = self.stage(middle)?.window;
        let inside = stage.begin <= window.begin && window.end <= stage.end;
        if inside { self.of(middle) } else { None }
    }
}

fn length(window: Window) -> u64 {
    window.end.nanos() - window.begin.nanos()
}

fn between(first: Moment, last: Moment) -> Moment {
    first + last.since(first) / 2
}

/// Merges neighbouring ticks of each generator; returns whether there may be fewer now.
fn condense_ticks(timeline: &mut Timeline, nanos: u64) -> bool {
    let shortest = timeline.ticks.iter().map(|tick| length(tick.window)).min();
    if shortest.is_none_or(|shortest| nanos <= shortest) {
        return false;
    }
    let slots = Slots { stages: &timeline.stages, nanos };
    let mut kept: Vec<LoadTick> = Vec::with_capacity(timeline.ticks.len());
    for tick in timeline.ticks.drain(..) {
        place(&mut kept, tick, slots);
    }
    timeline.ticks = kept;
    true
}

/// Merges `tick` into the last tick of its generator if both lie in one slot, and otherwise appends
/// it. Returns by how many values the memory grew.
fn place(ticks: &mut Vec<LoadTick>, tick: LoadTick, slots: Slots<'_>) -> usize {
    if let Some(slot) = slots.of_tick(&tick) {
        let mut in_slot = ticks.iter_mut().rev().take_while(|it| slots.of_tick(it) == Some(slot));
        let before = in_slot.find(|before| before.generator == tick.generator);
        if let Some(before) = before.filter(|before| follows(before, &tick)) {
            let had = before.values();
            before.append(tick);
            return before.values().saturating_sub(had);
        }
    }
    let values = tick.values();
    ticks.push(tick);
    values
}

/// Whether `tick` starts where `before` ended. Ticks with a gap between them are not merged,
/// because nothing was measured in the gap.
fn follows(before: &LoadTick, tick: &LoadTick) -> bool {
    let hole = tick.window.begin.since(before.window.end);
    let shorter = before.window.secs().min(tick.window.secs());
    before.window.end <= tick.window.begin && hole.as_secs_f64() <= 0.1 * shorter
}

/// Looks that are merged into one.
#[derive(Clone, Copy, Debug)]
struct Group {
    first: Moment,
    last: Moment,
    looks: u32,
}

/// Groups looks, ordered by time, by slot. If more looks may come (`open`), the looks of the last
/// slot stay unmerged, so that all looks of a slot weigh the same when it is merged.
fn groups(looks: &[Moment], slots: Slots<'_>, open: bool) -> Vec<Group> {
    let last = looks.last().and_then(|at| slots.of(*at)).filter(|_| open);
    let mut groups: Vec<Group> = Vec::new();
    let mut before = None;
    for at in looks {
        let slot = slots.of(*at).filter(|slot| Some(*slot) != last);
        match groups.last_mut() {
            Some(group) if slot.is_some() && slot == before => {
                group.last = *at;
                group.looks += 1;
            }
            _ => groups.push(Group { first: *at, last: *at, looks: 1 }),
        }
        before = slot;
    }
    groups
}

/// Merges the looks of `collector`; returns how many are left.
fn condense_looks(timeline: &mut Timeline, collector: &str, nanos: u64, open: bool) -> usize {
    let slots = Slots { stages: &timeline.stages, nanos };
    let Some(looks) = timeline.readings.get_mut(collector) else { return 0 };
    let groups = groups(looks, slots, open);
    if groups.len() == looks.len() {
        return looks.len();
    }
    for (key, series) in timeline.series.iter_mut().filter(|(_, it)| it.collector == collector) {
        condense_series(series, Merging::of(key, series.kind), &groups);
    }
    looks.clear();
    looks.extend(groups.iter().map(|group| between(group.first, group.last)));
    looks.len()
}

fn condense_series(series: &mut Series, merging: Merging, groups: &[Group]) {
    let points = &mut series.points;
    let (mut kept, mut next) = (0, 0);
    for group in groups {
        let from = next;
        next += points[from..].iter().take_while(|point| point.at <= group.last).count();
        if next - from == 1 && group.looks == 1 {
            points[kept] = points[from];
            kept += 1;
        } else if from < next {
            let before = kept.checked_sub(1).map(|at| points[at].value);
            for point in merging.merge(before, &points[from..next], *group).into_iter().flatten() {
                points[kept] = point;
                kept += 1;
            }
        }
    }
    points.drain(kept..next);
}

/// How several values of a series are merged into one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Merging {
    /// Keeps the last value, plus the points that show a fall. Reading a counter less often loses
    /// nothing.
    Counter,
    /// The mean over all looks; an absent series counts as zero.
    Census,
    /// The mean over the looks that have the series.
    Level,
    /// The last value: the mean of two moments means nothing.
    Stamp,
    /// The highest value.
    Highest,
}

/// Name suffixes of gauges whose value is a moment.
const STAMPS: [&str; 4] = ["start_time", "start_time_seconds", "timestamp_seconds", "_created"];

/// Gauges that hold the longest duration within a second.
const HIGHEST: [&MetricSpec; 3] = [
    &names::CANARY_RESPONSE_TIME_MAX,
    &names::WEBSOCKET_ROUND_TRIP_MAX,
    &names::WEBSOCKET_OPEN_TIME_MAX,
];

impl Merging {
    fn of(key: &SeriesKey, kind: Kind) -> Self {
        match kind {
            Kind::Counter => Merging::Counter,
            Kind::Census => Merging::Census,
            Kind::Gauge if STAMPS.iter().any(|end| key.metric.ends_with(end)) => Merging::Stamp,
            Kind::Gauge if HIGHEST.iter().any(|metric| key.metric == metric.name) => {
                Merging::Highest
            }
            Kind::Gauge => Merging::Level,
        }
    }

    /// The result of merging `points`: at least one point, and not more than there were. `before`
    /// is the value before them.
    fn merge(self, before: Option<f64>, points: &[Point], group: Group) -> [Option<Point>; 3] {
        let at = between(group.first, group.last);
        let last = points.last().copied();
        let values = || points.iter().map(|point| point.value);
        let mean = |count: usize| {
            let equal = values().all(|value| value.to_bits() == points[0].value.to_bits());
            // A constant limit keeps its value exactly, to the last bit.
            let whole = equal && count == points.len();
            if whole { points[0].value } else { values().sum::<f64>() / count as f64 }
        };
        let value = match self {
            Merging::Counter => return counter(before, points),
            Merging::Stamp => return [None, None, last],
            Merging::Census => mean(points.len().max(group.looks as usize)),
            Merging::Level => mean(points.len()),
            Merging::Highest => values().fold(f64::NEG_INFINITY, f64::max),
        };
        [None, None, Some(Point { at, value })]
    }
}

/// The last point of a counter, preceded by the points that make a fall visible: the point before
/// the first fall and, if the last value has grown beyond that again, the point after the last
/// fall.
fn counter(before: Option<f64>, points: &[Point]) -> [Option<Point>; 3] {
    let value_before = |index: usize| match index {
        0 => before,
        _ => Some(points[index - 1].value),
    };
    let falls = |index: &usize| value_before(*index).is_some_and(|it| points[*index].value < it);
    let last = points.last().copied();
    let Some(first_fall) = (0..points.len()).find(falls) else { return [None, None, last] };
    let last_fall = (0..points.len()).rfind(falls).unwrap_or(first_fall);
    let high = first_fall.checked_sub(1).map(|index| points[index]);
    let hidden =
        last_fall + 1 < points.len() && last.map(|point| point.value) >= value_before(first_fall);
    [high, hidden.then(|| points[last_fall]), last]
}

#[cfg(test)]
mod tests;
