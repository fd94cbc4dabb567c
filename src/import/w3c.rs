//! Logs in the W3C's extended format, whose `#Fields` name their columns, anew after each restart
//! of the server. Times are UTC, in whole seconds.

use jiff::Timestamp;

use super::server_log::{Served, ServerLog, status};
use crate::access_log::Stamp;

/// The columns as the last `#Fields` named them.
pub(super) struct W3cFields(Vec<String>);

/// One line.
pub(super) struct W3cRow<'c, 'l> {
    columns: &'c [String],
    cells: Vec<&'l str>,
}

/// The names in the first `#Fields` of a text; empty where it has none.
pub(super) fn names(begin: &str) -> Vec<&str> {
    let fields = begin.lines().find_map(|line| line.strip_prefix("#Fields:"));
    fields.map_or_else(Vec::new, |names| names.split_whitespace().collect())
}

impl W3cFields {
    /// Those of a file that does not name them.
    pub(super) fn new(names: &[&str]) -> Self {
        Self(names.iter().map(|name| (*name).to_owned()).collect())
    }

    /// The row of a line; `None` for a line that is not one of a request.
    ///
    /// # Errors
    /// When the line does not have these columns.
    pub(super) fn row<'l>(&mut self, line: &'l str) -> Result<Option<W3cRow<'_, 'l>>, String> {
        if let Some(directive) = line.strip_prefix('#') {
            if let Some(names) = directive.strip_prefix("Fields:") {
                self.0 = names.split_whitespace().map(str::to_owned).collect();
            }
            return Ok(None);
        }
        let delimiter = if line.contains('\t') { '\t' } else { ' ' };
        let cells: Vec<&str> = line.trim_end().split(delimiter).collect();
        match cells.len() == self.0.len() {
            true => Ok(Some(W3cRow { columns: &self.0, cells })),
            false => Err(format!("{} fields, and `#Fields` has {}", cells.len(), self.0.len())),
        }
    }
}

impl<'l> W3cRow<'_, 'l> {
    /// The cell of a column.
    ///
    /// # Errors
    /// When there is no such column.
    pub(super) fn cell(&self, column: &str) -> Result<&'l str, String> {
        let place = self.columns.iter().position(|name| name == column);
        let cell = place.and_then(|place| self.cells.get(place)).copied();
        cell.ok_or_else(|| format!("there is no field `{column}`: add it to those of the log"))
    }

    /// Adds the request; `unit` is that of `time-taken` in seconds.
    ///
    /// # Errors
    /// When a field is missing or impossible.
    pub(super) fn add(&self, unit: f64, log: &mut ServerLog<'_>) -> Result<(), String> {
        let at = format!("{}T{}Z", self.cell("date")?, self.cell("time")?);
        let at: Timestamp = at.parse().map_err(|_| "`date` and `time` are not a time")?;
        let took = self.cell("time-taken")?.parse::<f64>();
        log.add(Served {
            at: at.as_second() as f64,
            stamp: Stamp::End,
            is_whole_second: true,
            took: took.map_err(|_| "`time-taken` is not a number")? * unit,
            request: Some((self.cell("cs-method")?, self.cell("cs-uri-stem")?)),
            status: status(self.cell("sc-status")?)?,
            said: String::new(),
        })
    }
}
