//! What each request, and each tag, came to.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::wording::{NOTHING, clean, duration, number, percent};
use super::stages::counting;
use crate::diagnose::Diagnosis;
use crate::recording::Recording;
use crate::timeline::{Histogram, LoadTick};

/// At most this many requests are listed: a plan made from an API description has hundreds.
const MOST: usize = 200;

/// The requests of one name, or with one tag.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct RequestRow {
    /// In numbers, for programs.
    pub numbers: RequestNumbers,
    /// As text.
    pub cells: RequestCells,
}

/// The requests of one name, or with one tag, in numbers.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct RequestNumbers {
    /// Its name, or the tag as `tag:value`.
    pub name: String,
    /// Whether it is a tag: such rows count again what others count.
    pub is_tag: bool,
    /// Responses and failures in the stages that count.
    pub completed: u64,
    pub error_ratio: f64,
    /// Response times of the successful ones in seconds, at or below the knee.
    pub p50_seconds: Option<f64>,
    pub p95_seconds: Option<f64>,
    pub p99_seconds: Option<f64>,
    /// The same beyond the knee: p99.
    pub beyond_p99_seconds: Option<f64>,
}

/// The same as text.
#[derive(Clone, Debug, Default, Serialize)]
pub(in crate::report) struct RequestCells {
    pub name: String,
    pub completed: String,
    pub p50: String,
    pub p95: String,
    pub p99: String,
    pub beyond_p99: String,
    pub errors: String,
}

#[derive(Default)]
struct Sum {
    completed: u64,
    failed: u64,
    below: Histogram,
    beyond: Histogram,
}

impl Sum {
    fn add(&mut self, other: &Sum) {
        self.completed += other.completed;
        self.failed += other.failed;
        self.below.merge(&other.below);
        self.beyond.merge(&other.beyond);
    }

    fn row(&self, name: &str, is_tag: bool) -> RequestRow {
        let seconds = |times: &Histogram, share| times.quantile(share);
        let text = |value: Option<f64>| value.map_or_else(|| NOTHING.to_owned(), duration);
        let error_ratio = self.failed as f64 / self.completed.max(1) as f64;
        let (p50, p95, p99) =
            (seconds(&self.below, 0.5), seconds(&self.below, 0.95), seconds(&self.below, 0.99));
        let beyond_p99 = seconds(&self.beyond, 0.99);
        RequestRow {
            numbers: RequestNumbers {
                name: clean(name),
                is_tag,
                completed: self.completed,
                error_ratio,
                p50_seconds: p50,
                p95_seconds: p95,
                p99_seconds: p99,
                beyond_p99_seconds: beyond_p99,
            },
            cells: RequestCells {
                name: clean(name),
                completed: number(self.completed as f64),
                p50: text(p50),
                p95: text(p95),
                p99: text(p99),
                beyond_p99: text(beyond_p99),
                errors: percent(error_ratio),
            },
        }
    }
}

/// Each request by its name, then each tag, over the stages that count.
pub(super) fn requests(recording: &Recording, diagnosis: &Diagnosis) -> Vec<RequestRow> {
    let knee = diagnosis.knee.as_ref().map_or(f64::INFINITY, |knee| knee.high);
    let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
    for stage in counting(diagnosis) {
        let is_below = stage.offered <= knee;
        for tick in recording.timeline.ticks_within(stage.window) {
            add(&mut sums, tick, is_below);
        }
    }
    let mut rows: Vec<RequestRow> =
        sums.iter().take(MOST).map(|(name, sum)| sum.row(name, false)).collect();
    for (tag, names) in &recording.plan.tags {
        let mut whole = Sum::default();
        for sum in names.iter().filter_map(|name| sums.get(name.as_str())) {
            whole.add(sum);
        }
        rows.push(whole.row(tag, true));
    }
    rows
}

fn add<'t>(sums: &mut BTreeMap<&'t str, Sum>, tick: &'t LoadTick, is_below: bool) {
    for endpoint in &tick.endpoints {
        let sum = sums.entry(&endpoint.endpoint).or_default();
        let count = endpoint.response_time.count();
        sum.completed += count;
        if !endpoint.class.is_success() {
            sum.failed += count;
        } else if is_below {
            sum.below.merge(&endpoint.response_time);
        } else {
            sum.beyond.merge(&endpoint.response_time);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture;
    use super::*;

    #[test]
    fn a_tag_is_the_sum_of_its_requests() {
        let mut recording = fixture::recording();
        let diagnosis = fixture::diagnosis(&recording);
        let tag = ("kind:write".to_owned(), vec!["page".to_owned(), "nothing".to_owned()]);
        recording.plan.tags = vec![tag];
        let rows: Vec<RequestNumbers> =
            requests(&recording, &diagnosis).into_iter().map(|row| row.numbers).collect();
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].name.as_str(), rows[1].name.as_str()), ("page", "kind:write"));
        assert_eq!((rows[0].is_tag, rows[1].is_tag), (false, true));
        assert_eq!(rows[0].completed, rows[1].completed);
        assert!(rows[0].p50_seconds.is_some_and(|p50| rows[0].p99_seconds >= Some(p50)));
        assert!(rows[0].beyond_p99_seconds > rows[0].p99_seconds, "it queues beyond the knee");
        assert_eq!(rows[0].p99_seconds, rows[1].p99_seconds);
    }
}
