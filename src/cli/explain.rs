//! `explain`: the meaning of a term in a report.

use super::args::ExplainArgs;
use super::console::{print, width, wrapped};
use super::error::{CliError, CommandResult};
use crate::diagnose::RuleSet;
use crate::plan::nearest;
use crate::report::glossary::{self, Term};

pub(super) fn main(args: &ExplainArgs) -> CommandResult {
    let word = args.word.join(" ");
    if word.is_empty() {
        return print(list().as_bytes());
    }
    match glossary::find(&word) {
        Some(term) => print(page(term, width()).as_bytes()),
        None => Err(unknown(&word)),
    }
}

fn list() -> String {
    let terms = glossary::all();
    let width = terms.iter().map(|term| term.id.len()).max().unwrap_or(0);
    terms.iter().map(|term| format!("{:width$}  {}\n", term.id, term.short)).collect()
}

fn page(term: &Term, width: usize) -> String {
    let mut text = format!("{}: {}\n\n{}\n", term.name, term.short, wrapped(term.text, width));
    if !term.aliases.is_empty() {
        text.push_str(&format!("\nalso called: {}\n", term.aliases.join(", ")));
    }
    if let Some(source) = term.source {
        text.push_str(&format!("\nsource: {source}\n"));
    }
    if !term.see.is_empty() {
        text.push_str(&format!("\nsee also: kneepoint explain {}\n", term.see.join(" | ")));
    }
    text
}

fn unknown(word: &str) -> CliError {
    let error = CliError::usage(format!("the glossary has no term `{word}`"));
    if RuleSet::builtin().find(word).is_some() {
        return error.with_hint(format!("it is a rule: `kneepoint rules explain {word}`"));
    }
    let words = glossary::all().iter().flat_map(|term| term.words().chain([term.id]));
    let list = "`kneepoint explain` lists all terms";
    match nearest(word, words) {
        Some(near) => error.with_hint(format!("{near} {list}")),
        None => error.with_hint(list),
    }
}
