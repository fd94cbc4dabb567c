//! Rules that belong together: the built-in ones, or those of a directory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use super::builtin;
use super::mistake::{RuleErrors, RuleMistake};
use super::order::follows;
use super::rule::Rule;
use super::rule_file;
use super::trial::CaseOutcome;
use crate::timeline::Source;

/// Checked rules, in the order that decides between equals.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSet {
    rules: Vec<Rule>,
    /// Where the metrics come from that the rules name.
    sources: Vec<Source>,
}

impl RuleSet {
    /// The rules that kneepoint ships.
    pub fn builtin() -> &'static RuleSet {
        static BUILTIN: OnceLock<RuleSet> = OnceLock::new();
        BUILTIN.get_or_init(|| {
            Self::parse(builtin::FILES).expect("the shipped rules are parsed by a test")
        })
    }

    /// Reads rule files, each a name for messages and its text.
    ///
    /// # Errors
    ///
    /// Every mistake of every file with its place: what is not a rule, an id given twice, a
    /// `consequence_of` that goes round in a circle.
    pub fn parse(files: &[(&str, &str)]) -> Result<RuleSet, RuleErrors> {
        let mut rules = Vec::new();
        let mut mistakes = Vec::new();
        let mut origins: BTreeMap<String, &str> = BTreeMap::new();
        for (file, text) in files {
            match rule_file::parse(file, text) {
                Err(more) => mistakes.extend(more),
                Ok(rule) => {
                    if let Some(first) = origins.insert(rule.id.clone(), file) {
                        mistakes.push(whole(
                            file,
                            format!(
                                "the id `{}` is already in use in {first}; choose another",
                                rule.id
                            ),
                        ));
                    }
                    rules.push(rule);
                }
            }
        }
        if mistakes.is_empty() {
            mistakes.extend(broken_relations(&rules, &origins));
        }
        if mistakes.is_empty() {
            Ok(RuleSet { rules, sources: Vec::new() })
        } else {
            Err(RuleErrors(mistakes))
        }
    }

    /// The rules in their order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// These rules with where the metrics come from that a plan can ask for: a rule without data
    /// then says what to add to the plan that was run. Without it, a rule gives its advice for an
    /// empty plan.
    #[must_use]
    pub fn with_sources(self, sources: Vec<Source>) -> RuleSet {
        RuleSet { sources, ..self }
    }

    /// Where the metrics come from that the rules name; empty where nobody said.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The rule of this id.
    pub fn find(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == id)
    }

    /// These rules and `more`; a rule of `more` replaces one of the same id.
    #[must_use]
    pub fn with(&self, more: RuleSet) -> RuleSet {
        let replaced: BTreeSet<&str> = more.rules.iter().map(|rule| rule.id.as_str()).collect();
        let mut rules: Vec<Rule> = self
            .rules
            .iter()
            .filter(|rule| !replaced.contains(rule.id.as_str()))
            .cloned()
            .collect();
        rules.extend(more.rules);
        RuleSet { rules, sources: self.sources.clone() }
    }

    /// Runs the test cases of every rule.
    pub fn run_cases(&self) -> Vec<CaseOutcome> {
        self.rules
            .iter()
            .flat_map(|rule| rule.cases.iter().map(move |case| case.run(rule)))
            .collect()
    }
}

/// A mistake that concerns a file as a whole.
fn whole(file: &str, message: String) -> RuleMistake {
    RuleMistake { file: file.to_owned(), line: 1, column: 1, message }
}

/// Consequences that come back to themselves would leave no cause.
fn broken_relations(rules: &[Rule], origins: &BTreeMap<String, &str>) -> Vec<RuleMistake> {
    let sources_of = |rule: &Rule| {
        let sources: Vec<&Rule> = rules.iter().filter(|other| follows(rule, other)).collect();
        sources
    };
    let mut mistakes = Vec::new();
    for rule in rules {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut open = sources_of(rule);
        while let Some(source) = open.pop() {
            if source.id == rule.id {
                let message = format!(
                    "`{}` would follow from itself; take a rule out of `consequence_of`, here or \
                     where it is named",
                    rule.id
                );
                let file = origins.get(&rule.id).copied().unwrap_or_default();
                mistakes.push(whole(file, message));
                break;
            }
            if seen.insert(source.id.as_str()) {
                open.extend(sources_of(source));
            }
        }
    }
    mistakes
}
