//! Response times between the percentiles that are known of them.

/// Most points of a distribution: finer than a histogram's buckets would show.
const MOST_POINTS: u64 = 2_000;

/// What is known of response times, in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Times {
    /// Shares from 0 to 1 and the time at each, both rising.
    points: Vec<(f64, f64)>,
    /// Whether every response time is a point.
    is_exact: bool,
}

impl Times {
    /// From percentiles, in any order. What is not a time is left out.
    pub(super) fn of_percentiles(known: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let is_time = |point: &(f64, f64)| point.1.is_finite() && point.1 >= 0.0;
        let mut points: Vec<_> = known.into_iter().filter(is_time).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        // A sketch of 1 % may give a percentile above the maximum, which is exact.
        let longest = points.last().filter(|it| it.0 >= 1.0).map_or(f64::INFINITY, |it| it.1);
        let mut before = 0.0_f64;
        for point in &mut points {
            point.1 = point.1.min(longest).max(before);
            before = point.1;
        }
        Self { points, is_exact: false }
    }

    /// From every response time.
    pub(super) fn of_all(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        let count = times.len() as f64;
        let share = |place: usize| (place + 1) as f64 / count;
        let points = times.into_iter().enumerate().map(|(place, took)| (share(place), took));
        Self { points: points.collect(), is_exact: true }
    }

    /// The longest.
    pub(super) fn longest(&self) -> Option<f64> {
        self.points.last().map(|point| point.1)
    }

    /// The median.
    pub(super) fn middle(&self) -> Option<f64> {
        (!self.points.is_empty()).then(|| self.at(0.5))
    }

    /// The time that a share of the requests took at most.
    fn at(&self, share: f64) -> f64 {
        // A share of requests is a quotient: it may miss a point by the last bit.
        let next = self.points.partition_point(|point| point.0 < share - 1e-9);
        let Some(above) = self.points.get(next).or(self.points.last()) else { return 0.0 };
        let before = next.checked_sub(1).and_then(|before| self.points.get(before));
        match before {
            Some(below) if !self.is_exact && above.0 > below.0 => {
                let part = ((share - below.0) / (above.0 - below.0)).clamp(0.0, 1.0);
                below.1 + part * (above.1 - below.1)
            }
            _ => above.1,
        }
    }

    /// Response times for as many requests as each of these counts, with how many took each. Every
    /// count has the same distribution, and all of them together have the known one.
    pub(super) fn deal(&self, counts: &[u64]) -> Vec<Vec<(f64, u64)>> {
        let all: u128 = counts.iter().map(|count| u128::from(*count)).sum();
        let most = if self.is_exact { self.points.len() as u64 } else { 0 }.max(MOST_POINTS);
        let points = all.min(u128::from(most));
        let mut dealt = vec![(0_u128, Vec::new()); counts.len()];
        for point in 1..=points {
            let until = all * point / points;
            let took = self.at(until as f64 / all as f64);
            for ((given, times), count) in dealt.iter_mut().zip(counts) {
                let due = (2 * u128::from(*count) * until + all) / (2 * all);
                let more = u64::try_from(due.saturating_sub(*given)).unwrap_or(u64::MAX);
                if more > 0 {
                    times.push((took, more));
                    *given = due;
                }
            }
        }
        dealt.into_iter().map(|(_, times)| times).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_exact_and_percentiles_are_met() {
        let times = Times::of_percentiles([(0.5, 0.07), (0.0, 0.01), (0.95, 0.24), (1.0, 0.4)]);
        for counts in [&[235, 5][..], &[1], &[100_000, 7, 0], &[0]] {
            let dealt = times.deal(counts);
            let got: Vec<u64> =
                dealt.iter().map(|times| times.iter().map(|it| it.1).sum()).collect();
            assert_eq!(got, counts);
            let all: u64 = counts.iter().sum();
            let mut both: Vec<_> = dealt.concat();
            both.sort_by(|a, b| a.0.total_cmp(&b.0));
            let mut before = 0;
            let rank = all.saturating_mul(95).div_ceil(100);
            let at_rank = both.iter().find(|it| {
                before += it.1;
                before >= rank
            });
            if all >= 100 {
                let got = at_rank.unwrap().0;
                assert!((got - 0.24).abs() < 0.0024, "{counts:?}: {got}");
            }
        }
    }

    #[test]
    fn a_percentile_above_the_longest_is_the_longest() {
        let times = Times::of_percentiles([(0.5, 0.1), (0.999, 0.44), (1.0, 0.43)]);
        assert_eq!((times.at(1.0), times.longest()), (0.43, Some(0.43)));
        assert!((times.at(0.999) - 0.43).abs() < 1e-9);
        assert_eq!(Times::default().deal(&[3]), [[(0.0, 1), (0.0, 1), (0.0, 1)]]);
    }

    #[test]
    fn every_response_time_that_is_listed_is_met() {
        let times = Times::of_all(vec![3.0, 1.0, 2.0]);
        assert_eq!(times.deal(&[3]), [[(1.0, 1), (2.0, 1), (3.0, 1)]]);
    }
}
