//! What is wrong with a plan, and where.

use std::fmt;

/// One mistake in a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// What is wrong; lower case, no full stop, no secret.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// Every mistake of one plan, in order of the text. Displays as rustc shows its errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanErrors {
    origin: String,
    text: String,
    mistakes: Vec<Mistake>,
}

impl PlanErrors {
    pub(super) fn new(text: &str, origin: &str, mistakes: Vec<Mistake>) -> Self {
        Self { origin: origin.to_owned(), text: text.to_owned(), mistakes }
    }

    /// The mistakes in order of the text.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.mistakes.iter()
    }
}

impl std::error::Error for PlanErrors {}

impl fmt::Display for PlanErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.text.len())
    }
}
