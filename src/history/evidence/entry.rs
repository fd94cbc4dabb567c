//! One line of a log.

/// Longest line that is read, in bytes; what is longer is cut.
pub(super) const LONGEST: u64 = 1 << 20;

/// One line that says something.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// When, in seconds since 1970.
    pub(super) at: f64,
    /// Which log.
    pub(super) source: String,
    pub(super) text: String,
    /// How bad, as syslog counts, where the text does not say it.
    pub(super) priority: Option<String>,
}
