//! Journeys: what one user does, one step after the other.

use std::time::Duration;

use serde::Serialize;

/// What one user does, from the first request to the last. A `[[request]]` is a journey of one
/// step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Journey {
    /// Its name in plans and messages.
    pub name: String,
    /// Share of the users relative to the other weights; above zero.
    pub weight: f64,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// Whether the user keeps and returns the cookies that the target sets, within one journey.
    pub cookies: bool,
    /// Whether a failed request ends the journey.
    pub stop_on_failure: bool,
}

/// One step of a journey.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// What it does.
    pub action: Action,
    /// The think time after it, each time.
    pub think: Option<ThinkTime>,
    /// How many times.
    pub repeat: u32,
    /// Share of the journeys that take this step, from 0 to 1.
    pub probability: f64,
    /// Conditions that all have to hold; otherwise the step is skipped.
    pub when: Vec<StepCondition>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// One request: its index in the plan's requests.
    Request(usize),
    /// A group of steps.
    Group(Vec<Step>),
}

/// How long a user pauses after a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThinkTime {
    /// Always the same.
    Fixed(Duration),
    /// Uniform between the two.
    Uniform(Duration, Duration),
    /// Normal, with this mean and standard deviation; negative values become zero.
    Normal(Duration, Duration),
    /// Lognormal, with this mean and standard deviation of the pause itself, not of its logarithm.
    Lognormal(Duration, Duration),
}

/// A condition of a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepCondition {
    /// Name of a data source, or of a captured value.
    pub name: String,
    /// What it must be.
    pub test: ValueTest,
}

/// What a value must be.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValueTest {
    /// Exactly this.
    Is(String),
    /// Captured, or not.
    Present(bool),
}

impl Journey {
    /// A journey of one request.
    pub fn of_one(name: impl Into<String>, weight: f64, request: usize) -> Self {
        Self {
            name: name.into(),
            weight,
            steps: vec![Step::of(Action::Request(request))],
            cookies: false,
            stop_on_failure: false,
        }
    }

    /// How often one journey sends each request, on average, by index: probabilities and
    /// repetitions multiply. A step with a condition counts as if the condition held.
    pub fn requests(&self) -> Vec<(usize, f64)> {
        fn walk(steps: &[Step], times: f64, found: &mut Vec<(usize, f64)>) {
            for step in steps {
                let times = times * step.probability * f64::from(step.repeat);
                match &step.action {
                    Action::Request(request) => found.push((*request, times)),
                    Action::Group(steps) => walk(steps, times, found),
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.steps, 1.0, &mut found);
        found
    }

    /// Whether it is a single request without any option.
    pub fn is_single(&self) -> bool {
        matches!(&self.steps[..], [step] if *step == Step::of(step.action.clone())
            && matches!(step.action, Action::Request(_)))
    }
}

impl Step {
    /// A step that runs once, always, without a pause.
    pub fn of(action: Action) -> Self {
        Self { action, think: None, repeat: 1, probability: 1.0, when: Vec::new() }
    }
}

impl ThinkTime {
    /// The mean.
    pub fn mean(&self) -> Duration {
        match self {
            ThinkTime::Fixed(mean) | ThinkTime::Normal(mean, _) | ThinkTime::Lognormal(mean, _) => {
                *mean
            }
            ThinkTime::Uniform(low, high) => (*low + *high) / 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_and_repetitions_multiply() {
        let browse = Step { repeat: 3, ..Step::of(Action::Request(1)) };
        let pay = Step { probability: 0.5, ..Step::of(Action::Request(2)) };
        let group = Step { repeat: 2, ..Step::of(Action::Group(vec![browse, pay])) };
        let steps = vec![Step::of(Action::Request(0)), group];
        let journey = Journey { steps, ..Journey::of_one("buy", 1.0, 0) };
        assert_eq!(journey.requests(), [(0, 1.0), (1, 6.0), (2, 1.0)]);
        assert!(!journey.is_single());
        assert!(Journey::of_one("home", 1.0, 0).is_single());
    }
}
