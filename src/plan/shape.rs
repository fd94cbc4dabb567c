//! Load shapes that go by a name: a rate and a time make a whole load of them.

use std::time::Duration;

use super::{Executor, RampStage};

/// A ready shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One request a second for a minute: does it work at all?
    Smoke,
    /// Up to the rate, held, and down: an ordinary day.
    Load,
    /// Half the rate, the rate, half as much again, twice as much.
    Stress,
    /// A tenth of the rate, at once the rate, and back: does it survive, and does it come back?
    Spike,
    /// The rate, half as much again, and the rate once more: does it degrade gracefully?
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

    /// How long it takes where nobody says otherwise.
    pub fn usual_duration(self) -> Duration {
        Duration::from_secs(match self {
            Shape::Smoke => 60,
            Shape::Load => 600,
            Shape::Stress => 480,
            Shape::Spike => 240,
            Shape::Degradation => 360,
        })
    }

    /// The load in full: `rate` in journeys per second, over `duration` in all.
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
