//! Loads that follow a line: points in time, and the stages of a plan between them.

use std::time::Duration;

use super::draft::seconds;

/// A level at a time, in seconds.
pub(super) type Point = (f64, f64);

/// Points in order of time as a start and the stages from there. Points that change nothing are
/// left out.
pub(super) fn stages<T: Copy + PartialEq>(
    points: &[Point],
    level: impl Fn(f64) -> T,
) -> (T, Vec<(T, Duration)>) {
    let first = points.first().map_or(0.0, |(_, level)| *level);
    let (mut start, mut now, mut before) = (level(first), 0.0, level(first));
    let mut stages: Vec<(T, Duration)> = Vec::new();
    // Whether the last stage holds its level.
    let mut is_held = false;
    for (time, wanted) in points {
        let target = level(*wanted);
        let length = seconds((time - now).max(0.0)).unwrap_or_default();
        now = *time;
        match stages.last_mut() {
            None if length.is_zero() => start = target,
            _ if length.is_zero() && target == before => {}
            Some((_, held)) if is_held && target == before => *held = held.saturating_add(length),
            _ => {
                is_held = target == before;
                stages.push((target, length));
            }
        }
        before = target;
    }
    (start, stages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_become_stages() {
        let s = Duration::from_secs;
        let points = [(0.0, 0.0), (0.0, 5.0), (10.0, 5.0), (20.0, 5.0), (20.0, 8.0), (30.0, 0.0)];
        let (start, stages) = stages(&points, |level| level as u32);
        assert_eq!(start, 5);
        assert_eq!(stages, [(5, s(20)), (8, s(0)), (0, s(10))]);
        let (start, stages) = super::stages(&[(0.0, 0.0), (10.0, 5.0), (30.0, 5.0)], |level| level);
        assert_eq!((start, stages), (0.0, vec![(5.0, s(10)), (5.0, s(20))]));
    }
}
