//! Notices what the run's monotonic clock cannot show: that the machine was suspended, while that
//! clock stands still, and that the wall clock was set. The run reads the wall clock only at its
//! start.

/// Smaller differences come from reading three clocks one after the other.
const LEAST_SECONDS: f64 = 0.5;

/// What three clocks showed at one time, in seconds.
#[derive(Clone, Copy, Debug)]
struct ClockReading {
    /// `CLOCK_MONOTONIC`: stands still while the machine is suspended.
    monotonic: f64,
    /// `CLOCK_BOOTTIME`: goes on while the machine is suspended.
    boot: f64,
    /// `CLOCK_REALTIME`: can be set.
    wall: f64,
}

/// Compares the clocks with what they showed before.
#[derive(Debug, Default)]
pub struct Clocks {
    before: Option<ClockReading>,
}

impl Clocks {
    /// Reads the clocks. Returns what happened to them since the last call, in words for the
    /// report.
    ///
    /// Call it often: it ignores slow drift, such as that of a clock under NTP.
    pub fn look(&mut self) -> Option<String> {
        self.see(ClockReading {
            monotonic: seconds(libc::CLOCK_MONOTONIC)?,
            boot: seconds(libc::CLOCK_BOOTTIME)?,
            wall: seconds(libc::CLOCK_REALTIME)?,
        })
    }

    fn see(&mut self, now: ClockReading) -> Option<String> {
        let before = self.before.replace(now)?;
        let passed = now.boot - before.boot;
        let suspended = passed - (now.monotonic - before.monotonic);
        let set = (now.wall - before.wall) - passed;
        let suspended = (suspended > LEAST_SECONDS).then(|| {
            format!(
                "the machine was suspended for {suspended:.0} s; the times of the run leave that out"
            )
        });
        let set = (set.abs() > LEAST_SECONDS).then(|| {
            let direction = if set > 0.0 { "forward" } else { "back" };
            format!(
                "the wall clock was set {direction} by {:.0} s; the times of the run are not affected",
                set.abs()
            )
        });
        match (suspended, set) {
            (Some(suspended), Some(set)) => Some(format!("{suspended}; {set}")),
            (one, other) => one.or(other),
        }
    }
}

fn seconds(clock: libc::clockid_t) -> Option<f64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec that the call only writes to.
    let done = unsafe { libc::clock_gettime(clock, &raw mut time) };
    (done == 0).then(|| time.tv_sec as f64 + time.tv_nsec as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(readings: &[(f64, f64, f64)]) -> Vec<String> {
        let mut clocks = Clocks::default();
        let see = |(monotonic, boot, wall): &(f64, f64, f64)| {
            clocks.see(ClockReading { monotonic: *monotonic, boot: *boot, wall: *wall })
        };
        readings.iter().filter_map(see).collect()
    }

    #[test]
    fn a_suspension_and_a_set_clock_are_told_once_and_apart() {
        let none: [String; 0] = [];
        // A clock that is slewed gains half a millisecond a second.
        assert_eq!(
            told(&[(5.0, 9.0, 1e9), (6.0, 10.0, 1e9 + 1.0005), (7.0, 11.0, 1e9 + 2.001)]),
            none
        );
        let suspended =
            told(&[(5.0, 9.0, 1e9), (5.1, 3609.1, 1e9 + 3600.1), (6.1, 3610.1, 1e9 + 3601.1)]);
        let text = "the machine was suspended for 3600 s; the times of the run leave that out";
        assert_eq!(suspended, [text]);
        assert_eq!(
            told(&[(5.0, 9.0, 1e9), (6.0, 10.0, 1e9 - 119.0), (7.0, 11.0, 1e9 - 118.0)]),
            ["the wall clock was set back by 120 s; the times of the run are not affected"]
        );
        let both = told(&[(5.0, 9.0, 1e9), (5.1, 69.1, 1e9 + 90.1)]);
        assert!(
            both[0].contains("suspended for 60 s") && both[0].contains("forward by 30 s"),
            "{both:?}"
        );
    }

    #[test]
    fn nothing_is_told_of_clocks_that_run() {
        let mut clocks = Clocks::default();
        assert_eq!(clocks.look(), None);
        assert!(clocks.before.is_some(), "this system has all three");
        assert_eq!(clocks.look(), None);
    }
}
