//! Builds the timeline of a recording from its lines, in bounded memory: it finds a series by the
//! id that a line declared, and condenses long stages as it reads.

use std::collections::BTreeMap;

use super::lines::{BatchLine, RefillLine, SeriesLine};
use super::scan::{self, BatchHead};
use crate::timeline::{
    Condenser, Kind, LoadTick, Moment, Point, Refill, Series, SeriesKey, TickMerger, Timeline,
    Unit, Window,
};

/// Readings of a collector, and ticks, to keep of long stages. Up to twice as many stay unchanged.
const KEPT: usize = 10_000;
/// Values of a series that wait for the timeline.
const WAITING: usize = 512;

/// A declared series, with the values read since it was last added to the timeline. Finding it
/// there by name would take longer than everything else that is done with a value.
struct DeclaredSeries {
    id: u32,
    key: SeriesKey,
    unit: Unit,
    kind: Kind,
    collector: String,
    waiting: Vec<Point>,
}

impl DeclaredSeries {
    fn settle(&mut self, timeline: &mut Timeline) {
        if self.waiting.is_empty() {
            return;
        }
        let series = timeline.series.entry(self.key.clone()).or_insert_with(|| Series {
            unit: self.unit,
            kind: self.kind,
            collector: self.collector.clone(),
            points: Vec::new(),
        });
        series.points.append(&mut self.waiting);
    }
}

/// What one second of one of several generators takes, in values of eight bytes.
const VALUES_OF_PART: usize = 12;

/// Adds readings and ticks to a timeline.
pub(super) struct TimelineBuilder {
    condenser: Condenser,
    /// Makes one tick a second if several generators made the load.
    merger: Option<TickMerger>,
    /// Values of what each of several generators did.
    parts: usize,
    declared: Vec<DeclaredSeries>,
    /// Places in `declared` of series whose id is not their place.
    displaced: BTreeMap<u32, usize>,
    /// The values of one line.
    values: Vec<(u32, f64)>,
    /// Values and moments of readings in the timeline.
    readings: usize,
}

impl TimelineBuilder {
    pub(super) fn new() -> Self {
        Self {
            condenser: Condenser::new(KEPT),
            merger: None,
            parts: 0,
            declared: Vec::new(),
            displaced: BTreeMap::new(),
            values: Vec::new(),
            readings: 0,
        }
    }

    /// Values in the timeline; each cell of a histogram is one.
    pub(super) fn kept(&self) -> u64 {
        (self.readings + self.parts + self.condenser.tick_values()) as u64
    }

    pub(super) fn declare(&mut self, timeline: &mut Timeline, line: SeriesLine<'_>) {
        let declared = DeclaredSeries {
            id: line.id,
            key: SeriesKey::new(&line.metric, line.labels.into_owned()),
            unit: line.unit,
            kind: line.kind,
            collector: line.collector.into_owned(),
            waiting: Vec::new(),
        };
        if let Some(place) = self.place(line.id) {
            self.declared[place].settle(timeline);
            self.declared[place] = declared;
            return;
        }
        if self.declared.len() != line.id as usize {
            self.displaced.insert(line.id, self.declared.len());
        }
        self.declared.push(declared);
    }

    fn place(&self, id: u32) -> Option<usize> {
        let own = id as usize;
        match self.declared.get(own) {
            Some(declared) if declared.id == id => Some(own),
            _ => self.displaced.get(&id).copied(),
        }
    }

    /// Takes a batch line in the writer's form; `false` for any other line.
    pub(super) fn scan(&mut self, timeline: &mut Timeline, line: &[u8]) -> Result<bool, String> {
        match scan::batch(line, &mut self.values) {
            Some(head) => self.take(timeline, &head).map(|()| true),
            None => Ok(false),
        }
    }

    pub(super) fn batch(
        &mut self,
        timeline: &mut Timeline,
        line: &BatchLine<'_>,
    ) -> Result<(), String> {
        self.values.clear();
        self.values.extend(line.values.iter().map(|(id, number)| (*id, number.0)));
        let window = Window::new(line.begin, line.end);
        self.take(timeline, &BatchHead { collector: &line.collector, window })
    }

    fn take(&mut self, timeline: &mut Timeline, head: &BatchHead<'_>) -> Result<(), String> {
        if let Some((id, _)) = self.values.iter().find(|(id, _)| self.place(*id).is_none()) {
            return Err(format!("series {id} is not declared"));
        }
        let window = head.window;
        let at = window.middle();
        for index in 0..self.values.len() {
            let (id, value) = self.values[index];
            let Some(place) = self.place(id) else { continue };
            let declared = &mut self.declared[place];
            declared.waiting.push(Point { at, value });
            if declared.waiting.len() >= WAITING {
                declared.settle(timeline);
            }
        }
        self.readings += self.values.len() + 1;
        self.look(timeline, head.collector, at);
        Ok(())
    }

    fn look(&mut self, timeline: &mut Timeline, collector: &str, at: Moment) {
        match timeline.readings.get_mut(collector) {
            Some(looks) => looks.push(at),
            None => {
                timeline.readings.insert(collector.to_owned(), vec![at]);
            }
        }
        if self.condenser.is_due(timeline, collector) {
            self.settle(timeline);
            self.condenser.condense(timeline, collector);
            self.count(timeline);
        }
    }

    /// Merges the ticks of these generators from now on. No name means that there is one generator.
    pub(super) fn merge(&mut self, timeline: &mut Timeline, generators: Vec<String>) {
        self.merger = (!generators.is_empty()).then(|| TickMerger::new(&generators));
        timeline.generators = generators;
    }

    pub(super) fn tick(&mut self, timeline: &mut Timeline, tick: LoadTick) {
        let Some(merger) = &mut self.merger else {
            self.condenser.push_tick(timeline, tick);
            return;
        };
        let (part, whole) = merger.push(tick);
        self.parts += VALUES_OF_PART;
        timeline.parts.extend(part);
        for tick in whole {
            self.condenser.push_tick(timeline, tick);
        }
    }

    /// A generator was lost, and others make its part.
    pub(super) fn refill(
        &mut self,
        timeline: &mut Timeline,
        line: &RefillLine<'_>,
    ) -> Result<(), String> {
        let generator = self.merger.as_mut().and_then(|merger| merger.lose(&line.generator));
        let generator = generator.ok_or("it is about a generator that the run does not have")?;
        timeline.refills.push(Refill { generator, lost: line.lost, from: line.from });
        Ok(())
    }

    /// Adds the last values.
    pub(super) fn finish(&mut self, timeline: &mut Timeline) {
        for tick in self.merger.iter_mut().flat_map(TickMerger::finish) {
            self.condenser.push_tick(timeline, tick);
        }
        self.settle(timeline);
        self.condenser.finish(timeline);
    }

    fn settle(&mut self, timeline: &mut Timeline) {
        for declared in &mut self.declared {
            declared.settle(timeline);
        }
    }

    fn count(&mut self, timeline: &Timeline) {
        let points = timeline.series.values().map(|series| series.points.len());
        let waiting = self.declared.iter().map(|declared| declared.waiting.len());
        let looks = timeline.readings.values().map(Vec::len);
        self.readings = points.chain(waiting).chain(looks).sum();
    }
}
