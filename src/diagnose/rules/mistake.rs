//! What is wrong with a rule file, and where.

use std::fmt;

/// One mistake in a rule file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleMistake {
    /// The file's name.
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// What is wrong and what to write; lower case, no full stop.
    pub message: String,
}

/// Every mistake of all rule files, in order of the files and their text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleErrors(pub Vec<RuleMistake>);

impl fmt::Display for RuleErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            let RuleMistake { file, line, column, message } = mistake;
            let line_end = if index == 0 { "" } else { "\n" };
            write!(f, "{line_end}{file}:{line}:{column}: {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for RuleErrors {}
