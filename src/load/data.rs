//! The values that templates draw from, after they were read.

use std::sync::Arc;

use crate::plan::{self, DataOrder, DrawnPer};

/// The values of a data source, read from their origin. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub enum ResolvedValues {
    /// Every integer from the first to the last, both included.
    Range(i64, i64),
    /// These texts, at least one.
    List(Arc<[String]>),
    /// Rows of a file.
    Rows {
        /// Names of the columns.
        columns: Arc<[String]>,
        /// The cells, row by row.
        cells: Arc<[String]>,
    },
    /// A random UUID each time.
    Uuid,
}

/// A data source whose values are loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedData {
    /// The values.
    pub values: ResolvedValues,
    /// The order in which they are used.
    pub order: plan::DataOrder,
    /// How often one is drawn.
    pub per: plan::DrawnPer,
    /// What happens after the last value of a sequence.
    pub exhausted: plan::WhenExhausted,
    /// Whether its rows are those of the replayed trace, each with its own request.
    pub is_trace: bool,
}

impl ResolvedData {
    /// Values drawn at random for each journey.
    pub fn of(values: ResolvedValues) -> Self {
        let (per, exhausted) = (DrawnPer::default(), plan::WhenExhausted::default());
        Self { values, order: DataOrder::Random, per, exhausted, is_trace: false }
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        match &self.values {
            ResolvedValues::Range(first, last) if first > last => 0,
            ResolvedValues::Range(first, last) => last.abs_diff(*first).saturating_add(1),
            ResolvedValues::List(list) => list.len() as u64,
            ResolvedValues::Rows { columns, cells } => (cells.len() / columns.len().max(1)) as u64,
            ResolvedValues::Uuid => u64::MAX,
        }
    }

    /// Names of its columns. Empty if it has none.
    pub(super) fn columns(&self) -> &[String] {
        match &self.values {
            ResolvedValues::Rows { columns, .. } => columns,
            _ => &[],
        }
    }

    /// Index of a column. A source without columns has one, with index zero and an empty name.
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        match &self.values {
            ResolvedValues::Rows { columns, .. } => columns.iter().position(|known| known == name),
            _ => name.is_empty().then_some(0),
        }
    }

    /// Whether `is_so` holds for all its texts.
    pub(super) fn all(&self, is_so: impl Fn(&str) -> bool) -> bool {
        match &self.values {
            ResolvedValues::Range(..) | ResolvedValues::Uuid => true,
            ResolvedValues::List(texts) | ResolvedValues::Rows { cells: texts, .. } => {
                texts.iter().all(|text| is_so(text))
            }
        }
    }
}
