//! Why generators elsewhere cannot make a load.

/// Why a generator cannot make its part, with the next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetProblem {
    /// What is wrong, with the generator that it concerns. No secret.
    pub what: String,
    /// What to do about it. Empty if `what` says it.
    pub hint: String,
}

impl FleetProblem {
    pub(super) fn of_generator(index: usize, what: &str, hint: &str) -> Vec<Self> {
        let what = format!("generator {}: {what}", index + 1);
        vec![Self { what, hint: hint.to_owned() }]
    }
}
