//! The quantiles that Locust keeps of about the last ten seconds, and what they say of the response
//! times of one interval: their spread. The mean of an interval is exact, so the spread is scaled to it.

use crate::import::table::Row;

/// Most groups of requests with the same time.
const GROUPS: u64 = 100;

/// The response times of a window, by rising share of the requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    /// Shares of the requests, and the seconds that they took at most.
    points: Vec<(f64, f64)>,
}

impl Window {
    /// That of a row; which percentiles it has is a setting. Empty before the first answer.
    pub(super) fn of(row: &Row<'_>) -> Self {
        let percentile = |(name, cell): (&str, &str)| {
            let percent: f64 = name.strip_suffix('%')?.parse().ok()?;
            let millis: f64 = cell.trim().parse().ok()?;
            let is_time = millis.is_finite() && millis >= 0.0 && (0.0..=100.0).contains(&percent);
            is_time.then_some((percent / 1e2, millis / 1e3))
        };
        let mut points: Vec<(f64, f64)> = Vec::new();
        row.each(|name, cell| points.extend(percentile((name, cell))));
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let lowest = row.number("Total Min Response Time").unwrap_or(0.0).max(0.0) / 1e3;
        if let Some((_, first)) = points.first().filter(|(share, _)| *share > 0.0).copied() {
            points.insert(0, (0.0, lowest.min(first)));
        }
        Self { points }
    }

    /// So many response times with this mean, as seconds and how many have them; `None` where the
    /// window shows no spread.
    pub(super) fn times(&self, count: u64, mean: f64) -> Option<Vec<(f64, u64)>> {
        let groups = count.min(GROUPS);
        let times: Vec<(f64, u64)> = (0..groups)
            .map(|group| {
                let members = count * (group + 1) / groups - count * group / groups;
                (self.at((group as f64 + 0.5) / groups as f64), members)
            })
            .collect();
        let sum: f64 = times.iter().map(|(time, members)| time * *members as f64).sum();
        let scale = mean * count as f64 / sum;
        (sum > 0.0 && scale.is_finite())
            .then(|| times.into_iter().map(|(time, members)| (time * scale, members)).collect())
    }

    /// The time that this share of the requests took at most.
    fn at(&self, share: f64) -> f64 {
        let above = self.points.partition_point(|(known, _)| *known < share);
        let last = self.points.last().map_or(0.0, |(_, time)| *time);
        let (Some(low), Some(high)) = (above.checked_sub(1), self.points.get(above)) else {
            return last;
        };
        let low = self.points[low];
        let part = (share - low.0) / (high.0 - low.0).max(f64::MIN_POSITIVE);
        low.1 + part * (high.1 - low.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_that_of_the_window_and_the_mean_that_of_the_interval() {
        let points = vec![(0.0, 0.01), (0.5, 0.02), (0.9, 0.04), (1.0, 0.2)];
        let window = Window { points };
        let times = window.times(1000, 0.06).unwrap();
        let count: u64 = times.iter().map(|(_, members)| members).sum();
        let sum: f64 = times.iter().map(|(time, members)| time * *members as f64).sum();
        assert_eq!(count, 1000);
        assert!((sum / 1000.0 - 0.06).abs() < 1e-9);
        // p90 is twice the median, whatever the mean.
        let ratio = times[88].0 / times[49].0;
        assert!((1.8..2.3).contains(&ratio), "{ratio}");
        assert_eq!(window.times(3, 0.06).unwrap().len(), 3);
        assert_eq!(Window::default().times(10, 0.06), None);
    }
}
