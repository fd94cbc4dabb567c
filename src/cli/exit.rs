//! Exit codes: one enum, never renumbered. Scripts rely on them.

use std::process::ExitCode;

/// How a call of `kneepoint` ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// Done; a knee that was looked for and found is no failure.
    Done = 0,
    /// kneepoint itself could not do what was asked, such as write a file.
    Failed = 1,
    /// An objective was not met, or the error budget ended the run (k6's code for thresholds).
    ObjectiveFailed = 99,
    /// The plan, a rule file or the command line is wrong; nothing was sent.
    Usage = 104,
    /// Someone interrupted the run; what was recorded is kept and diagnosed.
    Interrupted = 105,
    /// Preflight refused: the target or something to be watched is not as the plan has it;
    /// nothing but one request of each kind was sent.
    Preflight = 106,
    /// The knee lies below the rate given by `--expect`.
    KneeBelowExpected = 120,
    /// A leak was found.
    Leak = 121,
    /// The measurement does not allow an answer: too little data, the generator was the limit, or
    /// the target went away before a knee was seen.
    Inconclusive = 123,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        ExitCode::from(status as u8)
    }
}
