//! What keeps a run from starting, each with the step that mends it.

use std::fmt;

use crate::load::LoadError;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong; no secret in it.
    pub what: String,
    /// What to do about it, where `what` does not say it itself.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong, so that a person mends it in one go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Each of them, in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, what: impl Into<String>, hint: impl Into<String>) {
        self.0.push(Problem { what: what.into(), hint: Some(hint.into()) });
    }

    /// Adds an error that says itself what to do.
    pub(super) fn add_error(&mut self, error: impl fmt::Display) {
        self.0.push(Problem { what: error.to_string(), hint: None });
    }

    /// Adds the errors of several requests; those that failed in the same way become one problem.
    pub(super) fn add_load_errors(&mut self, errors: Vec<LoadError>) {
        let mut groups: Vec<(String, &'static str, Vec<String>)> = Vec::new();
        for error in errors {
            let LoadError::NoResponse { endpoint, address, class, reason, hint } = error else {
                self.add_error(error);
                continue;
            };
            let how = format!("no response from `{address}` ({class}): {reason}");
            match groups.iter_mut().find(|(known, ..)| *known == how) {
                Some((.., endpoints)) => endpoints.push(endpoint),
                None => groups.push((how, hint, vec![endpoint])),
            }
        }
        for (how, hint, endpoints) in groups {
            let requests = if endpoints.len() == 1 { "request" } else { "requests" };
            self.add(format!("{requests} `{}` got {how}", endpoints.join("`, `")), hint);
        }
    }

    /// `value`, unless something is wrong.
    pub(super) fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl From<Vec<LoadError>> for Problems {
    fn from(errors: Vec<LoadError>) -> Self {
        let mut problems = Self::default();
        errors.into_iter().for_each(|error| problems.add_error(error));
        problems
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let between = if index > 0 { "\n" } else { "" };
            write!(f, "{between}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
