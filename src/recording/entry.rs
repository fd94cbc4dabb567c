//! The lines of a recording one by one, for what travels before it is written: from an agent or a
//! load generator to the one that keeps the file.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use super::Event;
use super::lines::{
    AnyLine, BatchLine, FailureKinds, FailureLine, GapLine, Number, QuoteLine, RecordingLine,
    SeriesLine, TickLine,
};
use crate::timeline::{
    Batch, FailureKind, Gap, Kind, LoadTick, Quote, Reading, SeriesKey, Unit, Window,
};

/// Series and kinds of failures that one sender may declare. A run has hundreds.
const MOST_DECLARED: u32 = 100_000;

/// Something that a recording holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A reading of a collector.
    Batch(Batch),
    /// A reading that is missing.
    Gap(Gap),
    /// The original words behind a series.
    Quote(Quote),
    /// Something that happened.
    Event(Event),
    /// What a generator did.
    Tick(Box<LoadTick>),
}

/// An entry as lines.
#[derive(Debug)]
pub struct EncodedEntry {
    /// What the line refers to and was not declared before. It must arrive, also where the line itself
    /// is left out.
    pub declarations: Vec<Box<RawValue>>,
    /// The line.
    pub line: Box<RawValue>,
}

/// Turns entries into lines. It remembers what it has declared.
#[derive(Debug, Default)]
pub struct EntryEncoder {
    series: HashMap<SeriesKey, u32>,
    failures: HashMap<Arc<FailureKind>, u32>,
}

impl EntryEncoder {
    /// The lines of an entry.
    ///
    /// # Errors
    /// Never for values that JSON has; readings that are not finite are left out.
    pub fn encode(&mut self, entry: &Entry) -> Result<EncodedEntry, serde_json::Error> {
        let mut declarations = Vec::new();
        let line = match entry {
            Entry::Batch(batch) => {
                let values = self.values(batch, &mut declarations)?;
                to_raw_value(&RecordingLine::Batch(BatchLine {
                    collector: Cow::Borrowed(&batch.collector),
                    begin: batch.window.begin,
                    end: batch.window.end,
                    values,
                }))?
            }
            Entry::Gap(gap) => to_raw_value(&RecordingLine::Gap(GapLine::of(gap)))?,
            Entry::Quote(quote) => to_raw_value(&RecordingLine::Quote(QuoteLine::of(quote)))?,
            Entry::Event(event) => to_raw_value(&RecordingLine::Event(Cow::Borrowed(event)))?,
            Entry::Tick(tick) => {
                let failures = self.failures(tick, &mut declarations)?;
                to_raw_value(&RecordingLine::Tick(TickLine::of(tick, failures)))?
            }
        };
        Ok(EncodedEntry { declarations, line })
    }

    fn values(
        &mut self,
        batch: &Batch,
        declarations: &mut Vec<Box<RawValue>>,
    ) -> Result<Vec<(u32, Number)>, serde_json::Error> {
        let mut values = Vec::with_capacity(batch.readings.len());
        for reading in batch.readings.iter().filter(|reading| reading.value.is_finite()) {
            let next = u32::try_from(self.series.len()).unwrap_or(u32::MAX);
            let id = match self.series.get(&reading.key) {
                Some(id) => *id,
                None => {
                    declarations.push(to_raw_value(&RecordingLine::Series(SeriesLine {
                        id: next,
                        metric: Cow::Borrowed(&reading.key.metric),
                        labels: Cow::Borrowed(&reading.key.labels),
                        unit: reading.unit,
                        kind: reading.kind,
                        collector: Cow::Borrowed(&batch.collector),
                    }))?);
                    self.series.insert(reading.key.clone(), next);
                    next
                }
            };
            values.push((id, Number(reading.value)));
        }
        Ok(values)
    }

    fn failures(
        &mut self,
        tick: &LoadTick,
        declarations: &mut Vec<Box<RawValue>>,
    ) -> Result<Vec<(u32, u64)>, serde_json::Error> {
        let mut failures = Vec::with_capacity(tick.failures.len());
        for failure in &tick.failures {
            let next = u32::try_from(self.failures.len()).unwrap_or(u32::MAX);
            let id = match self.failures.get(&failure.kind) {
                Some(id) => *id,
                None => {
                    let line = RecordingLine::Failure(FailureLine::of(next, &failure.kind));
                    declarations.push(to_raw_value(&line)?);
                    self.failures.insert(Arc::clone(&failure.kind), next);
                    next
                }
            };
            failures.push((id, failure.count));
        }
        Ok(failures)
    }
}

/// What a line declared of a series.
#[derive(Debug)]
struct Declared {
    key: SeriesKey,
    unit: Unit,
    kind: Kind,
}

/// Turns lines into entries. It remembers what they have declared.
#[derive(Debug, Default)]
pub struct EntryDecoder {
    series: BTreeMap<u32, Declared>,
    failures: FailureKinds,
}

impl EntryDecoder {
    /// The entry of a line; `None` if the line only declares, or is of a kind that has no entry.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub fn decode(&mut self, line: &RawValue) -> Result<Option<Entry>, String> {
        fn parsed<'a, T: Deserialize<'a>>(line: &'a RawValue) -> Result<T, String> {
            serde_json::from_str(line.get()).map_err(|why| why.to_string())
        }
        Ok(match parsed::<AnyLine<'_>>(line)?.kind.as_ref() {
            "series" => {
                let line: SeriesLine<'_> = parsed(line)?;
                in_bounds(line.id)?;
                let key = SeriesKey::new(&line.metric, line.labels.into_owned());
                let declared = Declared { key, unit: line.unit, kind: line.kind };
                self.series.insert(line.id, declared);
                None
            }
            "failure" => {
                let line: FailureLine<'_> = parsed(line)?;
                in_bounds(line.id)?;
                self.failures.insert(line.id, Arc::new(line.into_kind()));
                None
            }
            "batch" => Some(Entry::Batch(self.batch(parsed(line)?)?)),
            "tick" => {
                let tick = parsed::<TickLine<'_>>(line)?.into_tick(&self.failures)?;
                Some(Entry::Tick(Box::new(tick)))
            }
            "gap" => Some(Entry::Gap(parsed::<GapLine<'_>>(line)?.into_gap())),
            "quote" => Some(Entry::Quote(parsed::<QuoteLine<'_>>(line)?.into_quote())),
            "event" => Some(Entry::Event(parsed(line)?)),
            _ => None,
        })
    }

    fn batch(&self, line: BatchLine<'_>) -> Result<Batch, String> {
        let reading = |(id, value): (u32, Number)| {
            let declared =
                self.series.get(&id).ok_or_else(|| format!("series {id} is not declared"))?;
            let Declared { key, unit, kind } = declared;
            Ok(Reading { key: key.clone(), unit: *unit, kind: *kind, value: value.0 })
        };
        let readings = line.values.into_iter().map(reading).collect::<Result<_, String>>()?;
        Ok(Batch {
            collector: line.collector.into_owned(),
            window: Window::new(line.begin, line.end),
            readings,
        })
    }
}

fn in_bounds(id: u32) -> Result<(), String> {
    match id < MOST_DECLARED {
        true => Ok(()),
        false => Err(format!("it declares more than {MOST_DECLARED} series or failures")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::{BatchBuilder, FailureCount, Labels, Moment, ResponseClass, names};

    fn window(from: u64) -> Window {
        Window::new(Moment::from_nanos(from), Moment::from_nanos(from + 9))
    }

    fn batch(from: u64, value: f64) -> Entry {
        let mut builder = BatchBuilder::new();
        builder.push(&names::CANARY_REQUESTS, value);
        let labels = Labels::none().with("peer", "a \"quoted\" one");
        builder.push_labelled(&names::TCP_SOCKETS, labels, 3.5);
        let readings = builder.finish();
        Entry::Batch(Batch { collector: "tcp".to_owned(), window: window(from), readings })
    }

    fn tick() -> LoadTick {
        let kind = FailureKind {
            endpoint: "GET /".to_owned(),
            class: ResponseClass::Status(503),
            template: "busy".to_owned(),
            example: "busy".to_owned(),
            headers: Vec::new(),
            is_rest: false,
        };
        let failures = vec![FailureCount { kind: Arc::new(kind), count: 4 }];
        LoadTick { offered: 9, failures, ..LoadTick::empty(window(5), "gen-1") }
    }

    #[test]
    fn entries_come_back_as_they_were_and_are_declared_once() {
        let gap = Gap { collector: "tcp".to_owned(), window: window(7), reason: "busy".to_owned() };
        let quote = Quote {
            at: Moment::from_nanos(3),
            collector: "logs".to_owned(),
            key: SeriesKey::bare("words.seen"),
            text: "out of memory".to_owned(),
        };
        let event = Event { at: Moment::from_nanos(4), text: "tcp: restarted".to_owned() };
        let entries = [
            batch(10, 1.0),
            Entry::Tick(Box::new(tick())),
            Entry::Gap(gap),
            Entry::Quote(quote),
            Entry::Event(event),
            batch(20, 2.0),
            Entry::Tick(Box::new(tick())),
        ];
        let (mut encoder, mut decoder) = (EntryEncoder::default(), EntryDecoder::default());
        let mut declared = Vec::new();
        for entry in &entries {
            let encoded = encoder.encode(entry).unwrap();
            for line in &encoded.declarations {
                assert_eq!(decoder.decode(line).unwrap(), None);
            }
            declared.push(encoded.declarations.len());
            assert_eq!(decoder.decode(&encoded.line).unwrap().as_ref(), Some(entry));
        }
        assert_eq!(declared, [2, 1, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn what_was_not_declared_is_an_error_and_unknown_kinds_are_skipped() {
        let mut encoder = EntryEncoder::default();
        let encoded = encoder.encode(&batch(1, 1.0)).unwrap();
        let why = EntryDecoder::default().decode(&encoded.line).unwrap_err();
        assert_eq!(why, "series 0 is not declared");
        let decode = |text: &str| {
            let line = RawValue::from_string(text.to_owned()).unwrap();
            EntryDecoder::default().decode(&line)
        };
        assert_eq!(decode(r#"{"type":"of another year"}"#).unwrap(), None);
        assert!(decode("[1]").is_err());
        let many = r#"{"type":"series","id":4000000000,"metric":"a","labels":{},"unit":"count",
            "kind":"gauge","collector":"x"}"#;
        assert!(decode(many).unwrap_err().contains("more than"), "{:?}", decode(many));
    }
}
