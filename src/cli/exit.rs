//! Exit codes: one enum, never renumbered. Scripts rely on them.

use std::process::ExitCode;

/// How a call of `kneepoint` ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// Done. Finding a knee is not a failure.
    Done = 0,
    /// kneepoint could not do what was asked, such as write a file.
    Failed = 1,
    /// An objective was not met, or the error budget ended the run (k6's code for thresholds).
    ObjectiveFailed = 99,
    /// The plan, a rule file or the command line is wrong; nothing was sent.
    Usage = 104,
    /// The run was interrupted. What was recorded is kept and diagnosed.
    Interrupted = 105,
    /// Preflight failed: the target or a watched system does not match the plan. At most one
    /// request of each kind was sent.
    Preflight = 106,
    /// The knee is below the rate given by `--expect`.
    KneeBelowExpected = 120,
    /// A leak was found.
    Leak = 121,
    /// A comparison found that the candidate is worse than allowed.
    Worse = 122,
    /// The measurement does not allow an answer: too little data, the generator was the limit, or
    /// the target went away before a knee was seen; a comparison needs more runs; or an imported
    /// summary has no times.
    Inconclusive = 123,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        ExitCode::from(status as u8)
    }
}
