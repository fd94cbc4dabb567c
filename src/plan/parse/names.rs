//! The names that a template can use.

use std::collections::BTreeMap;

use crate::plan::{DataSource, nearest};

/// The data, and what the steps so far have captured.
#[derive(Clone)]
pub(super) struct KnownNames<'d> {
    data: &'d BTreeMap<String, DataSource>,
    captured: Vec<String>,
}

impl<'d> KnownNames<'d> {
    /// Data alone.
    pub(super) fn of(data: &'d BTreeMap<String, DataSource>) -> Self {
        Self { data, captured: Vec::new() }
    }

    /// Makes `name` known from here on.
    ///
    /// # Errors
    ///
    /// If a data source already has that name.
    pub(super) fn capture(&mut self, name: &str) -> Result<(), String> {
        if self.data.contains_key(name) {
            return Err(format!("`[data.{name}]` already has this name"));
        }
        if !self.captured.iter().any(|known| known == name) {
            self.captured.push(name.to_owned());
        }
        Ok(())
    }

    /// Whether `{name}` has values.
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
                format!("`[data.{source}]` has columns"),
                format!("write `{{{source}.COLUMN}}` with the name of one"),
            )),
            (Some(data), Some(_)) if !data.has_columns() => {
                Err((format!("`[data.{source}]` has no columns"), format!("write `{{{source}}}`")))
            }
            (Some(_), _) => Ok(()),
            (None, _) => Err((format!("`{{{name}}}` has no values"), self.help(name))),
        }
    }

    fn help(&self, name: &str) -> String {
        let known = self.data.keys().chain(&self.captured).map(String::as_str);
        nearest(name, known).unwrap_or_else(|| {
            let source = name.split_once('.').map_or(name, |(source, _)| source);
            format!(
                "add `[data.{source}]`, capture `{name}` in an earlier step, or write \
                 `{{{{{name}}}}}` for literal braces"
            )
        })
    }
}
