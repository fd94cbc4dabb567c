//! The spans of a run between which signals are compared.

/// The span of a run in which a signal is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// Low load.
    Baseline,
    /// Below the knee.
    Approach,
    /// At the knee and beyond it: what saturates must be saturated there.
    Knee,
    /// Past the knee only.
    Beyond,
    /// After the load.
    Recovery,
    /// All of it.
    Run,
}

impl Span {
    /// Every span.
    pub const ALL: [Span; 6] =
        [Span::Baseline, Span::Approach, Span::Knee, Span::Beyond, Span::Recovery, Span::Run];

    /// The name in rule files and reports.
    pub fn key(self) -> &'static str {
        match self {
            Span::Baseline => "baseline",
            Span::Approach => "approach",
            Span::Knee => "knee",
            Span::Beyond => "beyond",
            Span::Recovery => "recovery",
            Span::Run => "run",
        }
    }
}
