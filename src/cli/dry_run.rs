//! `run --dry-run`: shows what a run would do, without doing it.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::console::print;
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use super::words;
use crate::load;
use crate::plan::{Breakpoint, Capacity, Executor, Plan};
use crate::prepare::{self, RunConfig};
use crate::report::wording;
use crate::run::{self, PlannedStage};

/// Number of requests shown per load.
const REQUESTS: usize = 5;
/// Number of stages shown.
const STAGES: usize = 40;
/// Number of characters shown of a body.
const BODY: usize = 300;

/// Prints the schedule, the first requests and the number of requests.
pub(super) fn show(plan: Plan, folder: &Path) -> CommandResult {
    let refuse = |problems| CliError::problems(ExitStatus::Usage, &problems);
    let load = prepare::load_config(&plan, folder).map_err(refuse)?;
    let previews = load::preview(&load, REQUESTS).map_err(|errors| refuse(errors.into()))?;
    let shares: Vec<(String, f64)> = plan
        .shares()
        .into_iter()
        .map(|(index, share)| (plan.requests[index].name.clone(), share))
        .collect();
    let config = prepare::run_config(plan, load, Arc::new(AtomicBool::new(false)));
    let mut text = format!("target    {}\n", config.plan.target);
    describe(&mut text, &config);
    let levels = run::schedule(&config);
    let volume = match levels.is_empty() {
        false => table(&mut text, &levels),
        true => search_volume(&config),
    };
    match volume {
        Some(volume) => {
            line(&mut text, format_args!("\nexpected  {} requests", whole(volume)));
            for (name, share) in &shares {
                let count = whole(volume * share);
                line(&mut text, format_args!("  {count:>12}  {name}"));
            }
        }
        None => line(
            &mut text,
            format_args!(
                "\nexpected  unknown: each virtual user waits for an answer before its next request"
            ),
        ),
    }
    line(&mut text, format_args!("\nfirst requests (not sent)"));
    for preview in previews {
        line(&mut text, format_args!("\n--- {} ({})", preview.request, preview.journey));
        let shown: String = preview.text.chars().take(2000).collect();
        let (head, body) = shown.split_once("\r\n\r\n").unwrap_or((&shown, ""));
        line(&mut text, format_args!("{}", head.replace("\r\n", "\n")));
        if !body.is_empty() {
            let cut: String = body.chars().take(BODY).collect();
            let rest = if cut.len() < body.len() { " …" } else { "" };
            line(&mut text, format_args!("\n{cut}{rest}"));
        }
    }
    print(text.as_bytes())
}

fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    let written = writeln!(text, "{words}");
    debug_assert!(written.is_ok(), "writing to memory cannot fail");
}

fn describe(text: &mut String, config: &RunConfig) {
    if let Some(most) = config.load.target.max_connections {
        let most = wording::plural(most as u64, "connection", "connections");
        line(text, format_args!("pool      at most {most}"));
    }
    if let Some(storm) = &config.load.target.storm {
        line(text, format_args!("storm     {}", words::storm(storm)));
    }
    for scenario in &config.scenarios {
        let load = words::load(&scenario.executor);
        line(text, format_args!("load      {load} ({})", scenario.name));
    }
    let limits = &config.limits;
    line(
        text,
        format_args!(
            "limits    {}, {} in flight, {}",
            wording::rate(limits.max_rate),
            limits.max_in_flight,
            wording::duration(limits.max_duration.as_secs_f64())
        ),
    );
}

/// Writes the table of stages; returns the number of requests, if it is known.
fn table(text: &mut String, levels: &[PlannedStage]) -> Option<f64> {
    line(text, format_args!("\n{:>10}  {:>10}  load", "at", "for"));
    let mut at = 0.0;
    for level in levels.iter().take(STAGES) {
        let secs = level.duration.as_secs_f64();
        let between = |from: f64, to: f64| match (from - to).abs() < 1e-9 {
            true => whole(from),
            false => format!("{} to {}", whole(from), whole(to)),
        };
        let mut parts = Vec::new();
        if level.rate_from + level.rate_to > 0.0 {
            parts.push(format!("{} requests/s", between(level.rate_from, level.rate_to)));
        }
        if level.vus_from + level.vus_to > 0.0 {
            parts.push(format!("{} virtual users", between(level.vus_from, level.vus_to)));
        }
        if parts.is_empty() {
            parts.push("nothing".to_owned());
        }
        let (begin, length) = (wording::duration(at), wording::duration(secs));
        line(text, format_args!("{begin:>10}  {length:>10}  {}", parts.join(" and ")));
        at += secs;
    }
    if levels.len() > STAGES {
        line(text, format_args!("{:>10}  {} more", "", levels.len() - STAGES));
    }
    let is_closed = levels.iter().any(|level| level.vus_from + level.vus_to > 0.0);
    let requests = |level: &PlannedStage| {
        (level.rate_from + level.rate_to) / 2.0 * level.duration.as_secs_f64()
    };
    (!is_closed).then(|| levels.iter().map(requests).sum())
}

/// The maximum number of requests of a search: up to its highest rate, and once around it.
fn search_volume(config: &RunConfig) -> Option<f64> {
    let (index, scenario) = config
        .scenarios
        .iter()
        .enumerate()
        .find(|(_, scenario)| scenario.executor.is_adaptive())?;
    let journeys = match &scenario.executor {
        Executor::Soak(soak) => soak.rate * soak.duration.as_secs_f64(),
        Executor::Breakpoint(Breakpoint { max_rate, factor, hold, .. }) => {
            // A geometric sum up to the highest rate, plus three descents and stages beyond it.
            (max_rate * factor / (factor - 1.0) + 15.0 * max_rate) * hold.as_secs_f64()
        }
        Executor::Capacity(Capacity { max_rate, hold, precision, .. }) => {
            (2.0 * max_rate + max_rate * (1.0 / precision).log2().ceil()) * hold.as_secs_f64()
        }
        _ => return None,
    };
    Some(journeys * config.requests_per_journey[index])
}

fn whole(number: f64) -> String {
    match number < 10.0 && number.fract() > 0.05 {
        true => format!("{number:.1}"),
        false => format!("{:.0}", number),
    }
}
