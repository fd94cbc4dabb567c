//! A test plan while it is being read: its texts, its losses, and the draft that grows out of it.

use super::texts::Texts;
use crate::convert::artifact::Artifact;
use crate::convert::draft::Draft;
use crate::convert::http::{Names, OneTarget};
use crate::convert::values::Values;
use crate::convert::xml::Element;

/// A test plan while it is being read.
pub(super) struct PlanReader<'p, 'a> {
    pub(super) artifact: &'p mut Artifact<'a>,
    pub(super) values: Values,
    pub(super) draft: Draft,
    pub(super) target: OneTarget,
    /// Of all requests.
    pub(super) names: Names,
    pub(super) journeys: Names,
    pub(super) follows_redirects: bool,
}

impl PlanReader<'_, '_> {
    pub(super) fn texts(&mut self) -> Texts<'_> {
        Texts { values: &mut self.values, notes: &mut self.artifact.notes }
    }

    /// Notes that an element is not in the plan.
    pub(super) fn lost(&mut self, element: &Element, what: &str) {
        let (class, named) = (element.class(), element.named());
        let named = match named {
            "" => String::new(),
            named => format!(" `{}`", named.escape_debug()),
        };
        let what = if what.is_empty() { String::new() } else { format!(": {what}") };
        self.artifact.notes.lost_at(element.line, format!("{class}{named}{what}"));
    }
}
