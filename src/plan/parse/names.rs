//! The names that a template may use.

use std::collections::BTreeMap;

use crate::plan::{DataSource, nearest};

/// Data, and what was captured by the steps so far.
#[derive(Clone)]
pub(super) struct Names<'d> {
    data: &'d BTreeMap<String, DataSource>,
    captured: Vec<String>,
}

impl<'d> Names<'d> {
    /// Data alone.
    pub(super) fn of(data: &'d BTreeMap<String, DataSource>) -> Self {
        Self { data, captured: Vec::new() }
    }

    /// From here on `name` is known too.
    ///
    /// # Errors
    ///
    /// Where data have that name.
    pub(super) fn capture(&mut self, name: &str) -> Result<(), String> {
        if self.data.contains_key(name) {
            return Err(format!("there are data `{name}` already"));
        }
        if !self.captured.iter().any(|known| known == name) {
            self.captured.push(name.to_owned());
        }
        Ok(())
    }

    /// Whether `{name}` means something.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and what to do about it.
    pub(super) fn check(&self, name: &str) -> Result<(), (String, String)> {
        if self.captured.iter().any(|known| known == name) {
            return Ok(());
        }
        let (source, column) = match name.split_once('.') {
            Some((source, column)) if !self.data.contains_key(name) => (source, Some(column)),
            _ => (name, None),
        };
        match (self.data.get(source), column) {
            (Some(data), None) if data.has_columns() => Err((
                format!("the data `{source}` have columns"),
                format!("name one: `{{{source}.column}}`"),
            )),
            (Some(data), Some(_)) if !data.has_columns() => Err((
                format!("the data `{source}` have no columns"),
                format!("write `{{{source}}}`"),
            )),
            (Some(_), _) => Ok(()),
            (None, _) => Err((format!("there are no data `{name}`"), self.help(name))),
        }
    }

    fn help(&self, name: &str) -> String {
        let known = self.data.keys().chain(&self.captured).map(String::as_str);
        nearest(name, known).unwrap_or_else(|| {
            "describe its values in a table of `data`, capture it in a step before, or double the \
             braces"
                .to_owned()
        })
    }
}
