//! The grid of a recording's time.

/// Where lines go: moment zero, the end, and the length of a cell, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cells {
    pub(super) zero_unix: f64,
    pub(super) end: f64,
    pub(super) step: f64,
}
