//! Journeys: what one user does, one step after the other.

use std::time::Duration;

use serde::Serialize;

/// What one user does from the first request to the last. A request of the mix is a journey of
/// one step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Journey {
    /// Its name in plans and messages.
    pub name: String,
    /// Share of the users relative to the other weights; above zero.
    pub weight: f64,
    /// What is done.
    pub steps: Vec<Step>,
    /// Whether cookies that the target sets come back to it within one journey.
    pub cookies: bool,
    /// Whether a request that fails ends the journey.
    pub stop_on_failure: bool,
}

/// One step of a journey.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// The pause after it, each time.
    pub think: Option<Pause>,
    /// How many times.
    pub repeat: u32,
    /// Share of the journeys that do it at all.
    pub probability: f64,
    /// Everything that must be so; else it is left out.
    pub when: Vec<Condition>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// One request: its index among the plan's.
    Request(usize),
    /// Several steps as one.
    Group(Vec<Step>),
}

/// How long a user thinks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pause {
    /// Always as long.
    Fixed(Duration),
    /// Anything between the two, equally likely.
    Uniform(Duration, Duration),
    /// Normal with this mean and deviation, cut at zero.
    Normal(Duration, Duration),
    /// Lognormal with this mean and deviation (of the pause itself, not of its logarithm).
    Lognormal(Duration, Duration),
}

/// What must be so for a step to be done.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Condition {
    /// The value that is looked at: one of the data, or one that was captured.
    pub name: String,
    /// What it must be.
    pub test: Test,
}

/// What a value must be.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Test {
    /// Exactly this.
    Is(String),
    /// Captured, or not.
    Present(bool),
}

impl Journey {
    /// A request of the mix.
    pub fn of_one(name: impl Into<String>, weight: f64, request: usize) -> Self {
        Self {
            name: name.into(),
            weight,
            steps: vec![Step::of(Action::Request(request))],
            cookies: false,
            stop_on_failure: false,
        }
    }

    /// How often each request is sent in one journey, on average, by its index: probabilities and
    /// repetitions multiply. Steps with a condition count as if it held.
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

    /// Whether it is one request and nothing else.
    pub fn is_single(&self) -> bool {
        matches!(&self.steps[..], [step] if *step == Step::of(step.action.clone())
            && matches!(step.action, Action::Request(_)))
    }
}

impl Step {
    /// Once, always, with no pause.
    pub fn of(action: Action) -> Self {
        Self { action, think: None, repeat: 1, probability: 1.0, when: Vec::new() }
    }
}

impl Pause {
    /// Its mean.
    pub fn mean(&self) -> Duration {
        match self {
            Pause::Fixed(mean) | Pause::Normal(mean, _) | Pause::Lognormal(mean, _) => *mean,
            Pause::Uniform(low, high) => (*low + *high) / 2,
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
