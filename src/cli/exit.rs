//! Exit codes: one enum, never renumbered. Scripts rely on them.

use std::process::ExitCode;

/// How a call of `kneepoint` ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// Done. Finding a knee is not a failure.
    Done,
    /// kneepoint could not do what was asked, such as write a file.
    Failed,
    /// An objective was not met, or the error budget ended the run (k6's code for thresholds).
    ObjectiveFailed,
    /// The plan, a rule file or the command line is wrong; nothing was sent.
    Usage,
    /// The run was interrupted. What was recorded is kept and diagnosed.
    Interrupted,
    /// Preflight failed: the target or a watched system does not match the plan. At most one
    /// request of each kind was sent.
    Preflight,
    /// A plan is not like production: its requests, its bursts or its database.
    Unlike,
    /// The knee is below the rate given by `--expect`.
    KneeBelowExpected,
    /// A leak was found.
    Leak,
    /// A comparison found that the candidate is worse than allowed.
    Worse,
    /// The measurement does not allow an answer: too little data, the generator was the limit, or
    /// the target went away before a knee was seen; a comparison needs more runs; or an imported
    /// summary has no times.
    Inconclusive,
    /// The command that `watch` ran did not end with 0: its own code.
    Command(u8),
}

impl ExitStatus {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            ExitStatus::Done => 0,
            ExitStatus::Failed => 1,
            ExitStatus::ObjectiveFailed => 99,
            ExitStatus::Usage => 104,
            ExitStatus::Interrupted => 105,
            ExitStatus::Preflight => 106,
            ExitStatus::Unlike => 119,
            ExitStatus::KneeBelowExpected => 120,
            ExitStatus::Leak => 121,
            ExitStatus::Worse => 122,
            ExitStatus::Inconclusive => 123,
            ExitStatus::Command(code) => code,
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        ExitCode::from(status.code())
    }
}
