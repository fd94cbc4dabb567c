//! How a command ends: with an exit code, or with a message and its exit code.

use std::{fmt, io};

use super::exit::ExitStatus;
use crate::history::HistoryError;
use crate::plan::nearest;
use crate::prepare::{PlanError, Problems};
use crate::recording::WriteError;

/// A message for the user at the terminal, with its exit code.
#[derive(Debug)]
pub(super) struct CliError {
    pub(super) status: ExitStatus,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

pub(super) type CommandResult = Result<ExitStatus, CliError>;

impl CliError {
    pub(super) fn new(status: ExitStatus, message: impl fmt::Display) -> Self {
        Self { status, message: message.to_string(), hint: None }
    }

    pub(super) fn usage(message: impl fmt::Display) -> Self {
        Self::new(ExitStatus::Usage, message)
    }

    pub(super) fn failed(message: impl fmt::Display) -> Self {
        Self::new(ExitStatus::Failed, message)
    }

    /// Nothing has the given name. The hint is the closest valid name, or all of them.
    pub(super) fn unknown(what: &str, name: &str, right: &[&str]) -> Self {
        let hint = nearest(name, right.iter().copied())
            .unwrap_or_else(|| format!("there are {}", right.join(", ")));
        Self::usage(format!("there is no {what} `{name}`")).with_hint(hint)
    }

    /// The run cannot start.
    pub(super) fn problems(status: ExitStatus, problems: &Problems) -> Self {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let what = lines.join("\nkneepoint: ");
        Self::new(status, format!("{what}\nkneepoint: no load was sent"))
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        Self::failed(error)
    }
}

impl From<PlanError> for CliError {
    fn from(error: PlanError) -> Self {
        let is_unreadable = matches!(error, PlanError::Unreadable { .. });
        let refusal = Self::usage(error);
        match is_unreadable {
            true => {
                refusal.with_hint("name a plan file, or a URL such as `http://127.0.0.1:8080/`")
            }
            false => refusal,
        }
    }
}

/// What the server or the question does not allow, with what to do.
impl From<&HistoryError> for CliError {
    fn from(error: &HistoryError) -> Self {
        let refusal = match error {
            HistoryError::Selector { .. } | HistoryError::File { .. } => CliError::usage(error),
            HistoryError::Write(WriteError::Storage(_) | WriteError::Incomplete)
            | HistoryError::Unusable { .. }
            | HistoryError::Answer { .. } => CliError::failed(error),
        };
        match error.hint() {
            Some(hint) => refusal.with_hint(hint),
            None => refusal,
        }
    }
}
