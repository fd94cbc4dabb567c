//! What drained and what stayed after the load, as a table.

use serde::Serialize;

use super::super::wording::{duration, sentence, value};
use crate::diagnose::Recovery;

/// The levels that load had raised.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct RecoveryTable {
    pub headline: String,
    pub rows: Vec<RecoveryRow>,
}

/// One level.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct RecoveryRow {
    pub what: String,
    pub before: String,
    pub peak: String,
    pub after: String,
    pub returned: bool,
    /// What it means.
    pub note: String,
}

impl RecoveryTable {
    /// The table; `None` where no level had risen.
    pub(super) fn new(recovery: &Recovery) -> Option<RecoveryTable> {
        if recovery.levels.is_empty() {
            return None;
        }
        let stayed = recovery.levels.iter().filter(|level| !level.returned).count();
        let all = recovery.levels.len();
        let headline = match stayed {
            0 => "Everything that the load had raised is back to normal".to_owned(),
            _ => format!(
                "{stayed} of the {all} values that the load had raised are not back to normal"
            ),
        };
        let rows = recovery.levels.iter().map(|level| RecoveryRow {
            what: level.what.clone(),
            before: value(level.before, level.unit),
            peak: value(level.peak, level.unit),
            after: value(level.after, level.unit),
            returned: level.returned,
            note: level.staying.as_deref().map_or_else(String::new, sentence),
        });
        let headline = format!("{headline} {} after the load ended.", duration(recovery.seconds));
        Some(RecoveryTable { headline, rows: rows.collect() })
    }
}
