//! Requests at their own times, as `trace.csv` has them.
//!
//! A log has whole seconds and is in the order of the responses. The requests of one second are
//! spread evenly over it, each begins as much earlier as it took, and rows wait until no earlier
//! one can come. The memory for both is bounded.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Write;

use super::pattern::COLUMNS;
use crate::access_log::Line;
use crate::convert::ConvertError;
use crate::convert::artifact::Artifact;

/// Name of the file.
pub(super) const FILE: &str = "trace.csv";
/// Name of the values in it.
pub(super) const DATA: &str = "log";

/// Seconds that a row waits for an earlier one: as long as a slow request may take.
const PATIENCE: i64 = 120;
/// Rows that wait at once.
const MOST_WAITING: usize = 300_000;
/// Rows of one second that are spread over it.
const MOST_IN_SECOND: usize = 100_000;

/// Microseconds since the first second of the log, then the order in the log.
type Position = (i64, u64);

/// The file while it is being written.
pub(super) struct Trace {
    csv: csv::Writer<Box<dyn Write>>,
    /// The second that the lines are in now.
    second: Option<i64>,
    /// The rows of that second: what they took in microseconds.
    now: Vec<(i64, Row)>,
    waiting: BinaryHeap<Reverse<(Position, Row)>>,
    first: Option<i64>,
    written: i64,
    order: u64,
    late: u64,
}

type Row = (String, [String; COLUMNS.len()]);

fn unwritable(source: impl Into<std::io::Error>) -> ConvertError {
    ConvertError::Unwritable { name: FILE.to_owned(), source: source.into() }
}

impl Trace {
    /// Makes the file and writes its header.
    pub(super) fn begin(artifact: &mut Artifact<'_>) -> Result<Self, ConvertError> {
        let mut csv = csv::Writer::from_writer(artifact.files.create(FILE).map_err(unwritable)?);
        let header = ["at", "request"].into_iter().chain(COLUMNS);
        csv.write_record(header).map_err(unwritable)?;
        Ok(Self {
            csv,
            second: None,
            now: Vec::new(),
            waiting: BinaryHeap::new(),
            first: None,
            written: i64::MIN,
            order: 0,
            late: 0,
        })
    }

    /// Adds a request.
    pub(super) fn add(
        &mut self,
        line: &Line<'_>,
        name: &str,
        values: [String; COLUMNS.len()],
    ) -> Result<(), ConvertError> {
        if self.second != Some(line.second) || self.now.len() >= MOST_IN_SECOND {
            self.close_second()?;
            self.second = Some(line.second);
        }
        let took = (line.took().unwrap_or(0.0) * 1e6) as i64;
        self.now.push((took, (name.to_owned(), values)));
        Ok(())
    }

    /// Spreads the rows of the second over it, and writes those that no row can precede.
    fn close_second(&mut self) -> Result<(), ConvertError> {
        let Some(second) = self.second else { return Ok(()) };
        let count = self.now.len() as i64;
        for (index, (took, row)) in self.now.drain(..).enumerate() {
            let within = index as i64 * 1_000_000 / count.max(1);
            let at = second.saturating_mul(1_000_000).saturating_add(within - took);
            self.waiting.push(Reverse(((at, self.order), row)));
            self.order += 1;
        }
        let settled = second.saturating_sub(PATIENCE).saturating_mul(1_000_000);
        while let Some(Reverse(((at, _), _))) = self.waiting.peek()
            && (*at < settled || self.waiting.len() > MOST_WAITING)
        {
            self.write_next()?;
        }
        Ok(())
    }

    fn write_next(&mut self) -> Result<(), ConvertError> {
        let Some(Reverse(((at, _), (name, values)))) = self.waiting.pop() else { return Ok(()) };
        let first = *self.first.get_or_insert(at);
        if at < self.written {
            self.late += 1;
        }
        self.written = self.written.max(at);
        let at = format!("{:.6}", self.written.saturating_sub(first) as f64 / 1e6);
        let record = [at.as_str(), name.as_str()].into_iter();
        let record = record.chain(values.iter().map(String::as_str));
        self.csv.write_record(record).map_err(unwritable)
    }

    /// Writes the rest; gives the number of rows that came too late to be put in order.
    pub(super) fn finish(mut self) -> Result<u64, ConvertError> {
        self.close_second()?;
        while !self.waiting.is_empty() {
            self.write_next()?;
        }
        self.csv.flush().map_err(unwritable)?;
        Ok(self.late)
    }
}
