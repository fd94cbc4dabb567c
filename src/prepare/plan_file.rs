//! Reads a plan with the collectors that there are and this process's environment.

use std::path::{Path, PathBuf};

use crate::collect::COLLECTORS;
use crate::plan::{self, CollectorShape, Plan, PlanErrors};

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The file cannot be read.
    #[error("cannot read the plan `{}`: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The text has mistakes.
    #[error("`{origin}` has {}; nothing was sent\n{errors}", counted(errors))]
    Mistakes {
        /// The plan's name in messages.
        origin: String,
        /// All of them.
        errors: PlanErrors,
    },
}

fn counted(errors: &PlanErrors) -> String {
    match errors.iter().count() {
        1 => "1 mistake".to_owned(),
        count => format!("{count} mistakes"),
    }
}

/// Reads a plan file.
///
/// # Errors
/// A file that cannot be read, or every mistake in it.
pub fn read_plan(path: &Path) -> Result<Plan, PlanError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| PlanError::Unreadable { path: path.to_owned(), error })?;
    parse_plan(&text, &path.display().to_string())
}

/// Reads a plan from text; `origin` is its name in messages.
///
/// # Errors
/// Every mistake in it.
pub fn parse_plan(text: &str, origin: &str) -> Result<Plan, PlanError> {
    let shapes: Vec<CollectorShape> = COLLECTORS.iter().map(|spec| spec.shape()).collect();
    plan::parse(text, origin, &shapes, &|name| std::env::var(name).ok())
        .map_err(|errors| PlanError::Mistakes { origin: origin.to_owned(), errors })
}
