//! From text to a [`Plan`], with every mistake at once.

mod mistake;

pub use mistake::{Mistake, PlanErrors};

use super::{CollectorShape, Plan};

/// Reads a plan. `origin` is the file's name for messages, `shapes` are the collectors that there
/// are, and `environment` looks up the variables that `${NAME}` stands for.
///
/// # Errors
///
/// Every mistake of the text with its place, in order of the text.
pub fn parse(
    text: &str,
    origin: &str,
    _shapes: &[CollectorShape],
    _environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Plan, PlanErrors> {
    Err(PlanErrors::new(text, origin, Vec::new()))
}
