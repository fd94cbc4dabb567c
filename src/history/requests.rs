//! Requests of stored counters and histograms, as ticks of load on a grid of scrape intervals.
//!
//! The increment between two samples of one endpoint is exact; when within that time the requests
//! ended is not known, and they are taken to be spread evenly over it. Where the grid lies on the
//! scrapes, as it does for one endpoint, nothing is spread.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::timeline::{EndpointTick, Histogram, LoadTick, Moment, ResponseClass, Window};

/// Places in a bucket over which its requests are laid. Their quantiles are exact to the bucket.
const PLACES: u64 = 8;
/// Most endpoints that are told apart, and what the others are called.
const MOST_ENDPOINTS: usize = 500;
const OTHER_ENDPOINTS: &str = "other requests";
/// Steps of the search for the skew inside the buckets: halves an interval to a millionth.
const SKEW_STEPS: usize = 20;
/// Range of the skew: with the largest, all requests lie at the lower end of their buckets.
const SKEWS: (f64, f64) = (0.02, 50.0);
/// A count this close to a whole number is that number: sums of parts lose the last digits.
const ALMOST: f64 = 1e-6;

/// The requests of one endpoint and class in one interval.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Increment {
    /// Requests by the bounds of their bucket in seconds; the upper one of the last is infinite.
    pub(super) buckets: Vec<(f64, f64, f64)>,
    /// Seconds of all of them, where that is known.
    pub(super) sum: Option<f64>,
}

impl Increment {
    /// How many requests.
    pub(super) fn count(&self) -> f64 {
        self.buckets.iter().map(|(_, _, count)| count).sum()
    }

    /// A share of it.
    pub(super) fn share(&self, share: f64) -> Self {
        let buckets = self.buckets.iter().map(|(low, high, count)| (*low, *high, count * share));
        Self { buckets: buckets.collect(), sum: self.sum.map(|sum| sum * share) }
    }
}

/// What one cell of the grid holds of one endpoint and class.
#[derive(Debug, Default)]
struct Cell {
    /// By the bits of the bounds, which are never negative, so that they are in order.
    buckets: BTreeMap<(u64, u64), f64>,
    sum: f64,
    /// Whether a part of it has no sum.
    is_partial: bool,
}

type Key = (usize, ResponseClass);

/// Ticks that are being gathered.
#[derive(Debug)]
pub(super) struct Grid {
    /// Name of the generator in the ticks.
    generator: String,
    /// Begin of cell 0, and the length of a cell, in milliseconds.
    origin: i64,
    step: i64,
    cells: BTreeMap<i64, BTreeMap<Key, Cell>>,
    names: Vec<String>,
    places: BTreeMap<String, usize>,
    /// Fractions of requests that earlier ticks did not count.
    carried: BTreeMap<(Key, (u64, u64)), f64>,
    /// Requests that ticks counted, by endpoint.
    counts: BTreeMap<usize, u64>,
}

impl Grid {
    /// An empty grid with cells of `step` milliseconds that begin at `origin` and every step from it.
    pub(super) fn new(generator: &str, origin: i64, step: i64) -> Self {
        Self {
            generator: generator.to_owned(),
            origin,
            step: step.max(1),
            cells: BTreeMap::new(),
            names: Vec::new(),
            places: BTreeMap::new(),
            carried: BTreeMap::new(),
            counts: BTreeMap::new(),
        }
    }

    /// The place of an endpoint.
    pub(super) fn endpoint(&mut self, name: &str) -> usize {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        if self.names.len() >= MOST_ENDPOINTS && name != OTHER_ENDPOINTS {
            return self.endpoint(OTHER_ENDPOINTS);
        }
        self.names.push(name.to_owned());
        self.places.insert(name.to_owned(), self.names.len() - 1);
        self.names.len() - 1
    }

    /// Adds requests that ended between two moments in milliseconds.
    pub(super) fn add(&mut self, (from, to): (i64, i64), key: Key, increment: &Increment) {
        let length = (to - from) as f64;
        if length <= 0.0 || increment.count() <= 0.0 {
            return;
        }
        let (first, last) = (self.cell_of(from), self.cell_of(to - 1));
        for cell in first..=last {
            let (begin, end) = self.span(cell);
            let share = (end.min(to) - begin.max(from)) as f64 / length;
            let entry = self.cells.entry(cell).or_default().entry(key).or_default();
            for (low, high, count) in &increment.buckets {
                *entry.buckets.entry((low.to_bits(), high.to_bits())).or_default() += count * share;
            }
            match increment.sum {
                Some(sum) => entry.sum += sum * share,
                None => entry.is_partial = true,
            }
        }
    }

    /// Notes that an endpoint was looked at between two moments, so that there are ticks without
    /// requests too.
    pub(super) fn look(&mut self, (from, to): (i64, i64)) {
        if to > from {
            for cell in self.cell_of(from)..=self.cell_of(to - 1) {
                self.cells.entry(cell).or_default();
            }
        }
    }

    /// The border of a cell that is nearest to a moment.
    pub(super) fn nearest(&self, at: i64) -> i64 {
        self.span(self.cell_of(at + self.step / 2)).0
    }

    fn cell_of(&self, at: i64) -> i64 {
        (at - self.origin).div_euclid(self.step)
    }

    fn span(&self, cell: i64) -> (i64, i64) {
        (self.origin + cell * self.step, self.origin + (cell + 1) * self.step)
    }

    /// The ticks that end at `until` or before, in order; times are milliseconds since moment zero.
    pub(super) fn take(&mut self, until: i64) -> Vec<LoadTick> {
        let later = self.cells.split_off(&self.cell_of(until));
        let done = std::mem::replace(&mut self.cells, later);
        done.into_iter().map(|(cell, keys)| self.tick(cell, keys)).collect()
    }

    fn tick(&mut self, cell: i64, keys: BTreeMap<Key, Cell>) -> LoadTick {
        let at = |millis: i64| Moment::from_secs_f64(millis as f64 / 1e3);
        let (begin, end) = self.span(cell);
        let window = Window::new(at(begin), at(end));
        let mut endpoints = Vec::new();
        let (mut all, mut seconds) = (0, 0.0);
        for (key, cell) in keys {
            let counts = self.whole_counts(key, &cell);
            let count: u64 = counts.iter().map(|(_, _, count)| count).sum();
            if count == 0 {
                continue;
            }
            let exact: f64 = cell.buckets.values().sum();
            let mean = (!cell.is_partial && exact > 0.0).then(|| cell.sum / exact);
            let times = histogram(&counts, mean);
            *self.counts.entry(key.0).or_default() += count;
            all += count;
            seconds += times.sum();
            endpoints.push(EndpointTick {
                endpoint: self.names.get(key.0).cloned().unwrap_or_default(),
                class: key.1,
                service_time: times.clone(),
                response_time: times,
            });
        }
        let length = window.secs();
        LoadTick {
            offered: all,
            sent: all,
            // Little's law: requests in flight are completions per second times their mean time.
            in_flight: if length > 0.0 { seconds / length } else { 0.0 },
            endpoints,
            ..LoadTick::empty(window, self.generator.as_str())
        }
    }

    /// Whole numbers of requests. What is left over counts in a later tick.
    fn whole_counts(&mut self, key: Key, cell: &Cell) -> Vec<(f64, f64, u64)> {
        let mut counts = Vec::new();
        for (bounds, count) in &cell.buckets {
            let carried = self.carried.entry((key, *bounds)).or_default();
            let exact = count + *carried;
            let whole = (exact + ALMOST).floor().max(0.0);
            *carried = exact - whole;
            if whole > 0.0 {
                counts.push((f64::from_bits(bounds.0), f64::from_bits(bounds.1), whole as u64));
            }
        }
        counts
    }

    /// Each request with its share of all, in order of the names.
    pub(super) fn shares(&self) -> Vec<(String, f64)> {
        let all: u64 = self.counts.values().sum();
        let name = |place: &usize| self.names.get(*place).cloned().unwrap_or_default();
        let mut shares: Vec<(String, f64)> = self
            .counts
            .iter()
            .map(|(place, count)| (name(place), *count as f64 / all.max(1) as f64))
            .collect();
        shares.sort_by(|a, b| a.0.cmp(&b.0));
        shares
    }
}

/// Response times of requests of which their buckets and their mean are known. Each lies in its
/// bucket, and together they have the mean, as far as the buckets allow that.
fn histogram(counts: &[(f64, f64, u64)], mean: Option<f64>) -> Histogram {
    let all: u64 = counts.iter().map(|(_, _, count)| count).sum();
    let bounded = bounded(counts, mean.map(|mean| mean * all as f64));
    let total = |skew: f64| -> f64 {
        let sum = |(low, high, count): &(f64, f64, u64)| -> f64 {
            places(*low, *high, *count, skew).map(|(time, count)| time * count as f64).sum()
        };
        bounded.iter().map(sum).sum()
    };
    let mut skew = 1.0;
    if let Some(wanted) = mean.map(|mean| mean * all as f64) {
        let (mut low, mut high) = (SKEWS.0.ln(), SKEWS.1.ln());
        for _ in 0..SKEW_STEPS {
            let middle = f64::midpoint(low, high);
            // The larger the skew, the closer to the lower ends.
            if total(middle.exp()) > wanted { low = middle } else { high = middle }
        }
        skew = f64::midpoint(low, high).exp();
    }
    let mut times = Histogram::new();
    for (low, high, count) in &bounded {
        for (time, count) in places(*low, *high, *count, skew) {
            times.record_many(Duration::from_secs_f64(time.clamp(0.0, 1e6)), count);
        }
    }
    times.compact();
    times
}

/// The same with an upper bound of the bucket that has none: as far above its lower bound as its
/// mean lies, by what the others leave of the sum; otherwise twice the lower bound.
fn bounded(counts: &[(f64, f64, u64)], sum: Option<f64>) -> Vec<(f64, f64, u64)> {
    let middle = |(low, high, count): &(f64, f64, u64)| f64::midpoint(*low, *high) * *count as f64;
    let finite: f64 = counts.iter().filter(|(_, high, _)| high.is_finite()).map(middle).sum();
    let close = |(low, high, count): &(f64, f64, u64)| {
        if high.is_finite() {
            return (*low, *high, *count);
        }
        let mean = sum.map(|sum| (sum - finite) / *count as f64);
        let high = mean.map_or(2.0 * low, |mean| low + 2.0 * (mean - low).max(0.0));
        (*low, high, *count)
    };
    counts.iter().map(close).collect()
}

/// The times of `count` requests inside a bucket, with how many have each.
fn places(low: f64, high: f64, count: u64, skew: f64) -> impl Iterator<Item = (f64, u64)> {
    let places = count.clamp(1, PLACES);
    (0..places).map(move |place| {
        let until = count * (place + 1) / places;
        let before = count * place / places;
        let share = (place as f64 + 0.5) / places as f64;
        (low + (high - low) * share.powf(skew), until - before)
    })
}

/// The counts of buckets, from running totals: how many lie between each bound and the one before.
/// `totals` are bounds in seconds and running totals, in any order; `count` is that of all requests.
pub(super) fn apart(totals: &BTreeMap<u64, f64>, count: f64) -> Vec<(f64, f64, f64)> {
    let mut buckets = Vec::new();
    let (mut low, mut below) = (0.0, 0.0);
    let bounds: BTreeSet<u64> = totals.keys().copied().collect();
    for bits in bounds {
        let high = f64::from_bits(bits);
        let total = totals.get(&bits).copied().unwrap_or(0.0);
        if high.is_infinite() {
            continue;
        }
        if total > below {
            buckets.push((low, high, total - below));
            below = total;
        }
        low = high;
    }
    let all = totals.get(&f64::INFINITY.to_bits()).copied().unwrap_or(0.0).max(count);
    if all > below {
        buckets.push((low, f64::INFINITY, all - below));
    }
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: ResponseClass = ResponseClass::Status(200);

    fn of(buckets: &[(f64, f64, f64)], sum: f64) -> Increment {
        Increment { buckets: buckets.to_vec(), sum: Some(sum) }
    }

    #[test]
    fn requests_keep_their_bucket_and_their_mean() {
        type Case<'c> = (&'c [(f64, f64, u64)], f64);
        let cases: [Case<'_>; 4] = [
            (&[(0.0, 0.1, 100)], 0.02),
            (&[(0.05, 0.1, 90), (0.1, 0.25, 9), (0.25, 0.5, 1)], 0.09),
            (&[(0.0, 0.005, 50), (1.0, 2.5, 50)], 1.1),
            (&[(0.0, 0.1, 10), (10.0, f64::INFINITY, 10)], 10.0),
        ];
        for (counts, mean) in cases {
            let times = histogram(counts, Some(mean));
            let all: u64 = counts.iter().map(|(_, _, count)| count).sum();
            assert_eq!(times.count(), all);
            let measured = times.mean().unwrap();
            assert!((measured / mean - 1.0).abs() < 0.02, "{counts:?}: {measured} for {mean}");
            let mut below = 0;
            for (_, high, count) in counts.iter().filter(|(_, high, _)| high.is_finite()) {
                below += count;
                let above = times.count_above(high * 1.01);
                assert_eq!(above, all - below, "{counts:?}: above {high}");
            }
        }
    }

    #[test]
    fn a_grid_on_the_scrapes_spreads_nothing() {
        let mut grid = Grid::new("observed", 15_000, 15_000);
        let key = (grid.endpoint("GET /"), OK);
        grid.add((15_000, 30_000), key, &of(&[(0.0, 0.1, 30.0)], 1.5));
        grid.add((30_000, 45_000), key, &of(&[(0.0, 0.1, 7.0)], 0.7));
        grid.look((45_000, 60_000));
        let ticks = grid.take(60_000);
        let counts: Vec<u64> = ticks.iter().map(LoadTick::completed).collect();
        assert_eq!(counts, [30, 7, 0]);
        assert_eq!(ticks[1].window.begin, Moment::from_secs_f64(30.0));
        assert!((ticks[0].in_flight - 0.1).abs() < 0.005, "{}", ticks[0].in_flight);
        assert_eq!(grid.shares(), [("GET /".to_owned(), 1.0)]);
    }

    #[test]
    fn spread_requests_are_counted_once() {
        let mut grid = Grid::new("observed", 0, 10_000);
        let key = (grid.endpoint("a"), OK);
        for scrape in 0..60 {
            let from = 3_000 + scrape * 7_000;
            grid.add((from, from + 7_000), key, &of(&[(0.0, 0.1, 11.0), (0.1, 0.2, 2.0)], 0.8));
        }
        let ticks = grid.take(i64::MAX / 4);
        let all: u64 = ticks.iter().map(LoadTick::completed).sum();
        assert_eq!(all, 60 * 13);
        let middle: Vec<u64> = ticks[1..ticks.len() - 1].iter().map(LoadTick::completed).collect();
        assert!(middle.iter().all(|count| (17..=20).contains(count)), "{middle:?}");
    }

    #[test]
    fn running_totals_become_buckets() {
        let totals = |pairs: &[(f64, f64)]| -> BTreeMap<u64, f64> {
            pairs.iter().map(|(bound, total)| (bound.to_bits(), *total)).collect()
        };
        let inf = f64::INFINITY;
        let buckets = apart(&totals(&[(0.1, 3.0), (0.5, 3.0), (1.0, 8.0), (inf, 9.0)]), 9.0);
        assert_eq!(buckets, [(0.0, 0.1, 3.0), (0.5, 1.0, 5.0), (1.0, inf, 1.0)]);
        assert_eq!(apart(&totals(&[]), 4.0), [(0.0, inf, 4.0)], "a summary has no buckets");
        assert_eq!(apart(&totals(&[(0.1, 5.0), (0.5, 3.0)]), 0.0), [(0.0, 0.1, 5.0)]);
    }
}
