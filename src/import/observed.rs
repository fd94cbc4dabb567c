//! Load that nobody made for a test, as servers wrote it down: no runs to tell apart, no stages, and
//! cells as long as the scrape interval of what is recorded beside it.

use std::collections::BTreeMap;

use super::error::ImportError;
use super::requests::Requests;
use crate::timeline::{EndpointTick, FailureCount, LoadTick, Moment, Window};

/// What the logs of servers say, by the times of their own clock.
#[derive(Debug)]
pub struct Observed {
    /// Length of a cell in seconds.
    cell: i64,
    requests: Requests,
    /// Requests that ended in each second since 1970.
    pub ended: BTreeMap<i64, u32>,
    /// What a reader of the report has to know.
    pub notes: Vec<String>,
    /// Name of the format.
    pub format: &'static str,
}

impl Observed {
    /// What was read of files of this format.
    ///
    /// # Errors
    /// When there is no request.
    pub(super) fn of(mut requests: Requests, format: &'static str) -> Result<Self, ImportError> {
        let notes = requests.close();
        let ended = requests.take_ended();
        if ended.is_empty() {
            return Err(ImportError::Empty);
        }
        Ok(Self { cell: requests.cell(), requests, ended, notes, format })
    }

    /// Ticks of the cells that lie between moment zero, which is `zero_unix`, and `end`; `later` is
    /// added to the log's times. All times in seconds.
    pub fn ticks(self, zero_unix: f64, end: f64, later: f64) -> Vec<LoadTick> {
        let (mut cells, endpoints) = self.requests.into_parts();
        let (Some((first, _)), Some((last, _))) = (cells.first_key_value(), cells.last_key_value())
        else {
            return Vec::new();
        };
        let (first, last, mut throughout) = (*first, *last, 0);
        let mut ticks = Vec::new();
        for place in first..=last {
            let mut cell = cells.remove(&place).unwrap_or_default();
            throughout += cell.throughout;
            let begin = (place * self.cell) as f64 + later - zero_unix;
            // A cell that reaches over an end of the time is not whole.
            if begin < 0.0 || begin + self.cell as f64 > end {
                continue;
            }
            cell.in_flight += throughout as f64;
            cell.compact();
            let at = Moment::from_secs_f64;
            let window = Window::new(at(begin), at(begin + self.cell as f64));
            let ended = cell.ended.into_iter().map(|((endpoint, class), times)| EndpointTick {
                endpoint: endpoints.get(endpoint).cloned().unwrap_or_default(),
                class,
                service_time: times.clone(),
                response_time: times,
            });
            let failures = cell.failures.into_iter();
            ticks.push(LoadTick {
                offered: cell.offered,
                sent: cell.sent,
                in_flight: cell.in_flight,
                endpoints: ended.collect(),
                failures: failures.map(|(kind, count)| FailureCount { kind, count }).collect(),
                ..LoadTick::empty(window, self.format)
            });
        }
        ticks
    }
}
