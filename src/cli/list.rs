//! `list` and `rules`: prints the registries.

use std::path::Path;

use super::args::{Listing, RulesArgs, RulesCommand};
use super::console::print;
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use super::results::load_rules;
use crate::collect::COLLECTORS;
use crate::convert::CONVERTERS;
use crate::diagnose::{ConditionRole, Rule, RuleSet};
use crate::import::{Format, IMPORTERS, SUMMARIES};
use crate::report::FORMATS;
use crate::timeline::names;
use crate::watch::TOOLS;

pub(super) fn main(what: Listing) -> CommandResult {
    let text = match what {
        Listing::Collectors => collectors(),
        Listing::Formats => {
            table(FORMATS.iter().map(|format| (format.name, format.summary.to_owned())))
        }
        Listing::Importers => importers(),
        Listing::Tools => table(TOOLS.iter().map(|tool| (tool.name, tool.summary.to_owned()))),
        Listing::Converters => {
            table(CONVERTERS.iter().map(|converter| (converter.name, converter.summary.to_owned())))
        }
        Listing::Rules => table(
            RuleSet::builtin().rules().iter().map(|rule| (rule.id.as_str(), rule.title.clone())),
        ),
        Listing::Metrics => {
            table(names::ALL.iter().map(|metric| (metric.name, metric.about.to_owned())))
        }
    };
    print(text.as_bytes())
}

fn table<'a>(rows: impl Iterator<Item = (&'a str, String)> + Clone) -> String {
    let width = rows.clone().map(|(name, _)| name.len()).max().unwrap_or(0);
    rows.fold(String::new(), |mut text, (name, about)| {
        text.push_str(&format!("{name:width$}  {about}\n"));
        text
    })
}

/// Formats with times, and those that only sum up a run.
fn importers() -> String {
    let rows = Format::all().map(|format| (format.name(), format.summary().to_owned()));
    let rows: Vec<_> = rows.collect();
    let all = table(rows.iter().cloned());
    let lines: Vec<&str> = all.lines().collect();
    let (times, summaries) = lines.split_at(IMPORTERS.len().min(lines.len()));
    format!(
        "{}\n\n{} formats sum up a whole run: kneepoint shows their figures and cannot find a knee\n\
         {}\n",
        times.join("\n"),
        SUMMARIES.len(),
        summaries.join("\n")
    )
}

fn collectors() -> String {
    let mut text = String::new();
    for spec in COLLECTORS {
        text.push_str(&format!("{}\n  {}\n", spec.name, spec.summary));
        for option in spec.options {
            let must = if option.required { " (required)" } else { "" };
            text.push_str(&format!("  {} = {}{must}\n", option.name, option.about));
        }
        let every = crate::report::wording::duration(spec.interval.as_secs_f64());
        text.push_str(&format!("  interval = time between two readings, {every} by default\n\n"));
    }
    text
}

pub(super) fn rules(args: &RulesArgs) -> CommandResult {
    match &args.command {
        RulesCommand::Explain { id, rules } => explain(id, rules.as_deref()),
        RulesCommand::Test { rules } => test(rules.as_deref()),
    }
}

fn explain(id: &str, directory: Option<&Path>) -> CommandResult {
    let rules = load_rules(directory)?;
    match rules.rules().iter().find(|rule| rule.id == id) {
        Some(rule) => print(page(rule).as_bytes()),
        None => {
            let ids: Vec<_> = rules.rules().iter().map(|rule| rule.id.as_str()).collect();
            Err(CliError::unknown("rule", id, &ids))
        }
    }
}

fn page(rule: &Rule) -> String {
    let mut text = format!("{}: {}\n", rule.id, rule.title);
    let sections = [
        ("What it checks", &rule.what),
        ("Why this limits throughput", &rule.why),
        ("What to do now", &rule.next),
        ("What would disprove it", &rule.disproved_by),
    ];
    for (heading, body) in sections {
        text.push_str(&format!("\n{heading}\n  {}\n", body.trim().replace('\n', "\n  ")));
    }
    let groups = [
        (ConditionRole::Require, "What must hold"),
        (ConditionRole::Support, "What adds evidence"),
        (ConditionRole::Refute, "What rules it out"),
        (ConditionRole::Bends, "What makes it the cause of a knee"),
    ];
    for (role, heading) in groups {
        let mut tests =
            rule.tests().into_iter().filter(|(of, _)| *of == role).map(|(_, test)| test).peekable();
        if tests.peek().is_some() {
            text.push_str(&format!("\n{heading}\n"));
        }
        for test in tests {
            let bounds: Vec<String> = test.bounds.iter().map(|bound| bound.with_name()).collect();
            text.push_str(&format!("  - {} {}\n", test.signal, bounds.join(" and ")));
        }
    }
    if !rule.references.is_empty() {
        text.push_str("\nReferences\n");
        for reference in &rule.references {
            text.push_str(&format!("  {reference}\n"));
        }
    }
    text
}

fn test(directory: Option<&Path>) -> CommandResult {
    let outcomes = load_rules(directory)?.run_cases();
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.passed()).collect();
    let mut text = String::new();
    for outcome in &failed {
        let (expected, got) = (outcome.expect.key(), outcome.got.key());
        text.push_str(&format!(
            "{}: case `{}` on {} cores: expected `{expected}`, got `{got}`\n",
            outcome.rule, outcome.case, outcome.cores
        ));
        for measured in &outcome.measured {
            text.push_str(&format!("    {measured}\n"));
        }
    }
    text.push_str(&format!(
        "{} cases pass, {} fail\n",
        outcomes.len() - failed.len(),
        failed.len()
    ));
    print(text.as_bytes())?;
    Ok(if failed.is_empty() { ExitStatus::Done } else { ExitStatus::Usage })
}
