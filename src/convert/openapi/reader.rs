//! A description while it is being read: its mistakes, and the draft that grows out of it.

use std::collections::BTreeMap;

use super::schema::Schemas;
use crate::convert::artifact::Artifact;
use crate::convert::draft::{Data, Draft};
use crate::convert::http::Names;
use crate::convert::notes::Problem;
use crate::convert::tree::Node;

/// A description while it is being read.
pub(super) struct Reader<'r, 'a> {
    pub(super) artifact: &'r mut Artifact<'a>,
    pub(super) root: &'r Node,
    pub(super) schemas: Schemas<'r>,
    /// Swagger 2.
    pub(super) old: bool,
    pub(super) names: Names,
    pub(super) data_names: Names,
    /// Values by the parameter they are for.
    pub(super) data: BTreeMap<String, Vec<(String, Data)>>,
    pub(super) draft: Draft,
    pub(super) problems: Vec<Problem>,
    pub(super) made_up: Vec<String>,
}

impl Reader<'_, '_> {
    /// The name of data for a parameter: the same values have one name.
    pub(super) fn value(&mut self, parameter: &str, data: Data, made_up: bool) -> String {
        let known = self.data.entry(parameter.to_owned()).or_default();
        if let Some((name, _)) = known.iter().find(|(_, same)| *same == data) {
            return name.clone();
        }
        let name = self.data_names.data(parameter);
        known.push((name.clone(), data.clone()));
        if made_up {
            self.made_up.push(name.clone());
        }
        self.draft.data.push((name.clone(), data));
        name
    }
}
