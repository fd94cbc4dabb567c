//! A script while it is being read: its mistakes, and the draft that grows out of it.

use crate::convert::artifact::Artifact;
use crate::convert::draft::Draft;
use crate::convert::notes::Problem;
use crate::convert::tree::Node;
use crate::convert::values::Values;

/// A script while it is being read.
pub(super) struct Script<'s, 'a> {
    pub(super) artifact: &'s mut Artifact<'a>,
    pub(super) problems: Vec<Problem>,
    pub(super) values: Values,
    pub(super) draft: Draft,
    /// Of every request of the script.
    pub(super) headers: Vec<(String, Node)>,
}

impl Script<'_, '_> {
    /// Adds a mistake at a node.
    pub(super) fn wrong(&mut self, node: &Node, text: impl Into<String>) {
        let (line, column) = (Some(node.line), Some(node.column));
        self.problems.push(Problem { line, column, text: text.into() });
    }

    /// Notes that a key is left out, because plans have nothing like it.
    pub(super) fn unknown(&mut self, line: usize, key: &str, of: &str) {
        let text = format!("left out `{}` of {of}: a plan has nothing like it", key.escape_debug());
        self.artifact.notes.at(line, text);
    }
}
