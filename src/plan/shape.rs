//! Named load shapes: a rate and a duration make a whole load.

use std::time::Duration;

use super::{Executor, RampStage};

/// A named load shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One journey a second for a minute: does it work at all?
    Smoke,
    /// Up to the rate, hold, and down: an ordinary day.
    Load,
    /// 0.5, 1, 1.5 and 2 times the rate.
    Stress,
    /// A tenth of the rate, suddenly the full rate, and back: does it survive and recover?
    Spike,
    /// 1, 1.5 and again 1 times the rate: does it degrade gracefully?
    Degradation,
}

impl Shape {
    /// Every shape with its name in plans.
    pub const ALL: [(&'static str, Shape); 5] = [
        ("smoke", Shape::Smoke),
        ("load", Shape::Load),
        ("stress", Shape::Stress),
        ("spike", Shape::Spike),
        ("degradation", Shape::Degradation),
    ];

    /// How long it takes, unless the plan says otherwise.
    pub fn usual_duration(self) -> Duration {
        Duration::from_secs(match self {
            Shape::Smoke => 60,
            Shape::Load => 600,
            Shape::Stress => 480,
            Shape::Spike => 240,
            Shape::Degradation => 360,
        })
    }

    /// The executor of the shape: `rate` in journeys per second, `duration` in total.
    pub fn executor(self, rate: f64, duration: Duration) -> Executor {
        let part = |share: f64| duration.mul_f64(share);
        let stage = |share: f64, duration| RampStage { target: rate * share, duration };
        match self {
            Shape::Smoke => Executor::ConstantArrivalRate { rate, duration },
            Shape::Load => Executor::RampingArrivalRate {
                start_rate: 0.0,
                stages: vec![stage(1.0, part(0.1)), stage(1.0, part(0.8)), stage(0.0, part(0.1))],
            },
            Shape::Stress => {
                let rates = [0.5, 1.0, 1.5, 2.0].map(|share| rate * share).to_vec();
                Executor::Steps { rates, hold: part(0.25) }
            }
            Shape::Spike => Executor::RampingArrivalRate {
                start_rate: rate / 10.0,
                stages: vec![
                    stage(0.1, part(0.24)),
                    stage(1.0, part(0.01)),
                    stage(1.0, part(0.25)),
                    stage(0.1, part(0.01)),
                    stage(0.1, part(0.49)),
                ],
            },
            Shape::Degradation => {
                let rates = [1.0, 1.5, 1.0].map(|share| rate * share).to_vec();
                Executor::Steps { rates, hold: part(1.0 / 3.0) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_takes_its_time_and_knows_its_highest_rate() {
        for (name, shape) in Shape::ALL {
            let duration = shape.usual_duration();
            let executor = shape.executor(100.0, duration);
            let length = executor.length().map(|length| length.as_secs_f64().round());
            assert_eq!(length, Some(duration.as_secs_f64()), "{name}");
            let highest = match shape {
                Shape::Smoke | Shape::Load | Shape::Spike => 100.0,
                Shape::Stress => 200.0,
                Shape::Degradation => 150.0,
            };
            assert_eq!(executor.highest_rate(), highest, "{name}");
        }
    }
}
