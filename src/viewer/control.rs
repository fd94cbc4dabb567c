//! What viewers may do to a run.

/// What a viewer may ask of a run.
pub trait Control: Send + Sync {
    /// Whether the run can be paused.
    fn can_pause(&self) -> bool;
    /// Ends the run.
    fn end(&self);
    /// Holds the load as it is, or lets the search go on.
    fn pause(&self, is_paused: bool);
    /// Marks this moment.
    fn mark(&self, text: &str);
}
