//! How requests come: the mean, the most in 1 s, 10 s and 60 s, and how uneven seconds are.

use std::collections::BTreeMap;

/// Lengths over which a peak is told, in seconds.
pub(super) const LENGTHS: [i64; 3] = [1, 10, 60];
/// Seconds with requests that are kept: four weeks. Older ones are left out.
const MOST_SECONDS: usize = 28 * 86_400;
/// Length within which seconds are compared: over longer ones the load itself changes.
const MINUTE: i64 = 60;

/// Requests by second.
#[derive(Clone, Debug, Default)]
pub(super) struct Bursts {
    seconds: BTreeMap<i64, u64>,
    /// The second of the last lines, not yet among the others: most lines are of the same second.
    open: Option<(i64, u64)>,
}

/// What the seconds come to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rates {
    /// Requests per second from the first to the last.
    pub(super) mean: f64,
    /// Requests per second in the busiest time of each of [`LENGTHS`].
    pub(super) peaks: [f64; LENGTHS.len()],
    /// Index of dispersion of the counts by second within a minute (variance by mean; Cox and Lewis
    /// 1966): 0 for evenly spaced requests, 1 for independent ones (Poisson). Minutes count by their
    /// requests; `None` without a minute that has two seconds.
    pub(super) dispersion: Option<f64>,
}

impl Bursts {
    pub(super) fn count(&mut self, second: i64) {
        match &mut self.open {
            Some((open, count)) if *open == second => *count += 1,
            _ => {
                self.close();
                self.open = Some((second, 1));
            }
        }
    }

    fn close(&mut self) {
        if let Some((second, count)) = self.open.take() {
            *self.seconds.entry(second).or_default() += count;
            if self.seconds.len() > MOST_SECONDS {
                self.seconds.pop_first();
            }
        }
    }

    pub(super) fn rates(mut self) -> Rates {
        self.close();
        let ends = self.seconds.first_key_value().zip(self.seconds.last_key_value());
        let Some(((first, _), (last, _))) = ends else { return Rates::default() };
        let total: u64 = self.seconds.values().sum();
        let mean = total as f64 / (last.saturating_sub(*first) as f64 + 1.0);
        Rates {
            mean,
            peaks: LENGTHS.map(|length| self.peak(length)),
            dispersion: self.dispersion(),
        }
    }

    /// Requests per second in the busiest `length` seconds.
    fn peak(&self, length: i64) -> f64 {
        let (mut within, mut most) = (0, 0);
        let mut oldest = self.seconds.iter();
        let mut next = oldest.next();
        for (second, count) in &self.seconds {
            within += count;
            while let Some((old, gone)) = next.filter(|(old, _)| *old + length <= *second) {
                debug_assert!(old < second);
                within -= gone;
                next = oldest.next();
            }
            most = most.max(within);
        }
        most as f64 / length as f64
    }

    fn dispersion(&self) -> Option<f64> {
        let mut minutes: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
        for (second, count) in &self.seconds {
            let (sum, squares) = minutes.entry(second.div_euclid(MINUTE)).or_default();
            *sum += *count as f64;
            *squares += (*count as f64).powi(2);
        }
        // The first and the last minute may be cut.
        let whole = minutes.len().saturating_sub(2).max(1);
        let skipped = usize::from(minutes.len() > 2);
        let (mut weighted, mut weight) = (0.0, 0.0);
        for (sum, squares) in minutes.values().skip(skipped).take(whole) {
            let seconds = MINUTE as f64;
            let mean = sum / seconds;
            let variance = (squares - sum * mean) / (seconds - 1.0);
            weighted += variance / mean * sum;
            weight += sum;
        }
        (weight > 0.0 && minutes.len() > 2).then(|| weighted / weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_and_dispersion_are_those_of_the_seconds() {
        let mut bursts = Bursts::default();
        // Five minutes of 2 a second, with one second of 62 in the third.
        for second in 0..300 {
            let count = if second == 150 { 62 } else { 2 };
            (0..count).for_each(|_| bursts.count(second));
        }
        // One line comes late.
        bursts.count(10);
        let rates = bursts.rates();
        assert!((rates.mean - 661.0 / 300.0).abs() < 1e-9);
        assert_eq!(rates.peaks, [62.0, 8.0, 3.0]);
        // Three whole minutes: two even ones, one with 180 requests of mean 3, variance 60.
        let expected = 60.0 / 3.0 * 180.0 / (180.0 + 240.0);
        assert!((rates.dispersion.unwrap() - expected).abs() < 0.01, "{rates:?}");
        assert_eq!(Bursts::default().rates(), Rates::default());
    }

    #[test]
    fn gaps_count_as_seconds_without_requests() {
        let mut bursts = Bursts::default();
        [100, 100, 109, 2000].into_iter().for_each(|second| bursts.count(second));
        let rates = bursts.rates();
        assert_eq!(rates.peaks, [2.0, 0.3, 3.0 / 60.0]);
        assert!((rates.mean - 4.0 / 1901.0).abs() < 1e-12);
    }
}
