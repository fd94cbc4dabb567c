//! The services behind the target, hop by hop, as a table.

use serde::Serialize;

use super::super::wording::{self, clean, duration, sentence};
use crate::diagnose::{Chain, Hop};
use crate::timeline::Unit;

/// The chain of services as a table.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct ChainTable {
    /// What the table shows, in one sentence.
    pub about: &'static str,
    /// What the column of the higher load is called.
    pub at: &'static str,
    /// The target first, each service after its caller.
    pub rows: Vec<ChainRow>,
    /// Where the search for the cause ended, and why; empty without a knee.
    pub ends: String,
}

/// One hop, as text.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct ChainRow {
    /// The service, indented by the calls that lie before it.
    pub service: String,
    pub baseline: String,
    pub knee: String,
    pub waits: String,
    pub cores: String,
    /// `most of the time leads here` where the search for the cause came this way.
    pub mark: &'static str,
}

impl ChainTable {
    /// The table; `None` where nothing is known but the target.
    pub(super) fn new(chain: &Chain) -> Option<Self> {
        (chain.hops.len() > 1).then(|| Self {
            about: "How long a request to the target is in each service, in what that service calls \
                    too.",
            at: if chain.ends.is_empty() { "at the highest load" } else { "at the knee" },
            rows: chain.hops.iter().map(row).collect(),
            ends: if chain.ends.is_empty() { String::new() } else { sentence(&chain.ends) },
        })
    }
}

fn row(hop: &Hop) -> ChainRow {
    let time = |seconds: Option<f64>| seconds.map_or(wording::NOTHING.to_owned(), duration);
    let arrow = if hop.depth > 0 { "> " } else { "" };
    ChainRow {
        service: format!("{}{}", arrow.repeat(hop.depth as usize), clean(&hop.service)),
        baseline: time(hop.baseline),
        knee: time(hop.knee),
        waits: time(hop.waits),
        cores: wording::optional(hop.cores, Unit::Cores),
        mark: if hop.is_followed && hop.depth > 0 { "followed" } else { "" },
    }
}
