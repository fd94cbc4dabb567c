//! What failed requests got in place of a good response: the words, and how often.

use std::sync::Arc;

use super::{ResponseClass, SentenceKind, sentence_kind};

/// One kind of failure of one endpoint: the same status or error, and the same words apart from
/// what varies. Every text in it is masked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FailureKind {
    /// Name of the request in the plan.
    pub endpoint: String,
    /// How the request ended.
    pub class: ResponseClass,
    /// What all of them say: the body of the response or the error, without numbers, ids and times.
    pub template: String,
    /// What the first of them said.
    pub example: String,
    /// Headers of the first of them that say something about a limit or about who answered.
    pub headers: Vec<(String, String)>,
    /// Whether it stands for all failures of this endpoint and class beyond the first distinct ones.
    pub is_rest: bool,
}

impl FailureKind {
    /// The well-known sentence in it, if there is one.
    pub fn sentence(&self) -> Option<SentenceKind> {
        sentence_kind(&self.example)
    }
}

/// How often a kind of failure came within a tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureCount {
    /// The kind. Ticks share it.
    pub kind: Arc<FailureKind>,
    /// How many requests ended this way.
    pub count: u64,
}

impl FailureCount {
    /// Adds other counts to `counts`.
    pub(super) fn absorb(counts: &mut Vec<FailureCount>, others: Vec<FailureCount>) {
        for other in others {
            let is_same = |known: &&mut FailureCount| {
                Arc::ptr_eq(&known.kind, &other.kind) || known.kind == other.kind
            };
            match counts.iter_mut().find(is_same) {
                Some(known) => known.count = known.count.saturating_add(other.count),
                None => counts.push(other),
            }
        }
    }
}
