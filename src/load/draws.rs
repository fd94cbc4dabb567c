//! Values for templates: which are drawn, and in which order.

use std::fmt;

use rand::RngExt;
use rand::rngs::SmallRng;
use rand_distr::{Distribution, Zipf};

use super::config::LoadConfig;
use super::data::{ResolvedData, ResolvedValues};
use super::session::Session;
use crate::plan::{self, DataOrder, DrawnPer};

/// The value that replaces a name in a template.
pub(super) enum Value<'a> {
    Text(&'a str),
    Number(i64),
    /// 128 random bits.
    Uuid(u128),
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => f.write_str(text),
            Value::Number(number) => number.fmt(f),
            Value::Uuid(bits) => uuid(*bits).fmt(f),
        }
    }
}

/// A sequence that may not start again has no value left.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exhausted;

/// The data sources of one worker, and its position in each.
pub(super) struct Sources {
    /// In the order of the configuration.
    sources: Vec<Source>,
    worker: u64,
    of: u64,
}

struct Source {
    data: ResolvedData,
    count: u64,
    drawn: u64,
    zipf: Option<Zipf<f64>>,
}

impl Sources {
    pub(super) fn new(config: &LoadConfig, worker: usize, of: usize) -> Self {
        let (worker, of) = (worker as u64, of.max(1) as u64);
        let used = config.takeover.first_row.saturating_sub(worker).div_ceil(of);
        let source = |data: &ResolvedData| {
            let count = data.count();
            // Users keep their numbers, so each keeps the row that it had.
            let drawn = if data.per == DrawnPer::Iteration { used } else { 0 };
            let zipf = match data.order {
                DataOrder::Zipf(exponent) => Zipf::new(count.max(1) as f64, exponent).ok(),
                _ => None,
            };
            Source { data: data.clone(), count, drawn, zipf }
        };
        let sources = config.data.values().map(source).collect();
        Self { sources, worker, of }
    }

    /// The first row that no journey of this worker has used, and none before it, where each takes the
    /// next one.
    pub(super) fn rows_used(&self) -> u64 {
        let is_used_up = |source: &&Source| {
            source.data.order == DataOrder::Sequential
                && source.data.per == DrawnPer::Iteration
                && source.drawn > 0
        };
        let last = |source: &Source| self.worker + self.of * (source.drawn - 1);
        self.sources.iter().filter(is_used_up).map(|source| last(source) + 1).max().unwrap_or(0)
    }

    /// Whether a user keeps the value drawn from a source from journey to journey.
    pub(super) fn is_kept(&self, source: usize) -> bool {
        self.sources[source].data.per == DrawnPer::Vu
    }

    /// Draws a value, unless the session already has one.
    ///
    /// # Errors
    ///
    /// When there are no values left.
    pub(super) fn draw(
        &mut self,
        source: usize,
        session: &mut Session,
        random: &mut SmallRng,
    ) -> Result<(), Exhausted> {
        if session.drawn(source).is_some() {
            return Ok(());
        }
        let (worker, of) = (self.worker, self.of);
        let source_at = source;
        let source = &mut self.sources[source];
        let drawn = match (session.row.filter(|_| source.data.is_trace), source.data.order) {
            (Some(row), _) => row % source.count,
            (None, _) if source.data.values == ResolvedValues::Uuid => random.random(),
            (None, DataOrder::Sequential) => {
                let nth = worker + of * source.drawn;
                if nth >= source.count && source.data.exhausted == plan::WhenExhausted::Stop {
                    return Err(Exhausted);
                }
                source.drawn += 1;
                nth % source.count
            }
            (None, DataOrder::Random) => random.random_range(0..source.count),
            (None, DataOrder::Zipf(_)) => match &source.zipf {
                Some(zipf) => (zipf.sample(random) as u64).clamp(1, source.count) - 1,
                None => random.random_range(0..source.count),
            },
            (None, DataOrder::Hot { keys, share }) => {
                let hot = ((source.count as f64 * keys).ceil() as u64).clamp(1, source.count);
                match random.random::<f64>() < share || hot == source.count {
                    true => random.random_range(0..hot),
                    false => random.random_range(hot..source.count),
                }
            }
        };
        session.keep_drawn(source_at, drawn);
        Ok(())
    }

    /// The value that a session has drawn.
    pub(super) fn value(&self, source: usize, column: usize, session: &Session) -> Value<'_> {
        let drawn = session.drawn(source).unwrap_or_default();
        match &self.sources[source].data.values {
            ResolvedValues::Range(first, _) => Value::Number(first.wrapping_add_unsigned(drawn)),
            ResolvedValues::List(list) => Value::Text(&list[drawn as usize]),
            ResolvedValues::Rows { columns, cells } => {
                Value::Text(&cells[drawn as usize * columns.len() + column])
            }
            ResolvedValues::Uuid => Value::Uuid(spread(drawn)),
        }
    }
}

/// Makes 128 bits from 64 random ones with the finaliser of SplitMix64 (Steele et al. 2014).
/// Different inputs give different outputs.
fn spread(drawn: u64) -> u128 {
    let mix = |mut bits: u64| {
        bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ bits >> 31
    };
    u128::from(mix(drawn)) << 64 | u128::from(mix(drawn.wrapping_add(0x9E37_79B9_7F4A_7C15)))
}

/// A UUID of version 4 (RFC 9562, section 5.4). Its bits come from the seed of the plan, so that a
/// run can be repeated.
fn uuid(bits: u128) -> uuid::Uuid {
    uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_keeps_its_random_bits_and_is_of_version_4() {
        let text = |bits| Value::Uuid(bits).to_string();
        assert_eq!(text(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(text(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        let bits = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef;
        assert_eq!(text(bits), "01234567-89ab-4def-8123-456789abcdef");
    }
}
