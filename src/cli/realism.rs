//! `realism`, and `check --against`: whether a plan is like what users do, and the test's database
//! like production's.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::args::{PageFormat, RealismArgs};
use super::console::{print, say, width, wrapped};
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use super::history::secret;
use super::init::refused;
use super::reading::Reading;
use crate::collect::inventory;
use crate::import;
use crate::load::{Rehearsed, rehearse};
use crate::plan::Plan;
use crate::prepare;
use crate::realism::{Planned, REQUESTS_DRAWN, Realism, Traffic, compare, compare_databases};
use crate::report::wording;

/// Bytes of a log that are read at once.
const PIECE: usize = 256 << 10;
/// Longest line that is read as one, in bytes; a longer one is cut there.
const LONGEST_LINE: u64 = 1 << 20;

pub(super) fn main(args: &RealismArgs) -> CommandResult {
    if args.access_log.is_empty() && args.production.is_none() {
        return Err(CliError::usage("nothing to hold the plan against")
            .with_hint("add `--access-log FILE`, `--production postgres://…`, or both"));
    }
    let plan = prepare::read_plan(&args.plan)?;
    let mut realism = Realism::default();
    if !args.access_log.is_empty() {
        realism = against_logs(&plan, &args.plan, &args.access_log)?;
    }
    if let Some(production) = &args.production {
        let databases = against_database(&plan, production, args.test.as_deref())?;
        realism.gaps.extend(databases.gaps);
        realism.notes.extend(databases.notes);
    }
    let text = match args.format {
        PageFormat::Terminal => page(&realism, width()),
        PageFormat::Json => {
            serde_json::to_string_pretty(&realism).map_err(CliError::failed)? + "\n"
        }
    };
    print(text.as_bytes())?;
    Ok(if realism.gaps.is_empty() { ExitStatus::Done } else { ExitStatus::Unlike })
}

/// Holds a plan against access logs.
///
/// # Errors
/// If a log cannot be read, holds no request, or the plan's data cannot be read.
pub(super) fn against_logs(
    plan: &Plan,
    path: &Path,
    logs: &[PathBuf],
) -> Result<Realism, CliError> {
    let planned = planned(plan, path)?;
    let mut traffic = Traffic::default();
    for log in logs {
        read_lines(log, &mut traffic)?;
    }
    if traffic.requests() == 0 {
        let (lines, unread) = traffic.lines();
        return Err(CliError::usage(format!(
            "the access logs hold no request that a plan could send: {unread} of {lines} lines are not \
             requests"
        ))
        .with_hint(
            "expected the common or the combined format, `host - user [10/Oct/2026:13:55:36 +0000] \
             \"GET / HTTP/1.1\" 200 12`, or a log of Caddy, Traefik, HAProxy, ALB, CloudFront or IIS",
        ));
    }
    Ok(compare(&traffic, &planned))
}

/// What the plan would send, drawn from it.
fn planned(plan: &Plan, path: &Path) -> Result<Planned, CliError> {
    let refuse = |problems| CliError::problems(ExitStatus::Usage, &problems);
    let folder = path.parent().unwrap_or(Path::new("."));
    let load = prepare::load_config(plan, folder).map_err(refuse)?;
    let mut planned = Planned::of(plan);
    let count = REQUESTS_DRAWN / load.flows.len().max(1);
    rehearse(&load, count, &mut |drawn| match drawn {
        Rehearsed::Begin => planned.begin(),
        Rehearsed::Think(time) => planned.think(time),
        Rehearsed::Request { method, target } => planned.request(method, target),
    })
    .map_err(|errors| refuse(errors.into()))?;
    Ok(planned)
}

fn read_lines(path: &Path, traffic: &mut Traffic) -> Result<(), CliError> {
    let unreadable = |error: io::Error| {
        CliError::usage(format!("cannot read the access log `{}`: {error}", path.display()))
    };
    let raw: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(io::stdin()),
        false => Box::new(Reading::open(path).map_err(unreadable)?),
    };
    let mut raw = BufReader::with_capacity(PIECE, raw);
    let mut input = import::unpacked(&mut raw).map_err(unreadable)?;
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        match (&mut input).take(LONGEST_LINE).read_until(b'\n', &mut bytes) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            // The last line of a compressed log that is still being written.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                say(format_args!("kneepoint: `{}` is cut off", path.display()));
                return Ok(());
            }
            Err(error) => return Err(unreadable(error)),
        }
        while bytes.pop_if(|last| matches!(*last, b'\r' | b'\n')).is_some() {}
        traffic.line(&String::from_utf8_lossy(&bytes));
    }
}

fn against_database(
    plan: &Plan,
    production: &str,
    test: Option<&str>,
) -> Result<Realism, CliError> {
    let planned = plan.collectors.iter().find(|config| config.name == "postgres");
    let test = match (test, planned) {
        (Some(url), _) => secret("--test", url)?.reveal().to_owned(),
        (None, Some(config)) => config.text("url").unwrap_or_default().to_owned(),
        (None, None) => {
            return Err(CliError::usage("the plan does not name the test's database")
                .with_hint("add [collect.postgres] with its `url` to the plan, or `--test URL`"));
        }
    };
    let ca_file = planned.and_then(|config| config.text("ca_file"));
    let production = secret("--production", production)?;
    let theirs = inventory(production.reveal(), None).map_err(refused)?;
    let ours = inventory(&test, ca_file).map_err(refused)?;
    if theirs == ours {
        say(format_args!(
            "kneepoint: `--production` and the test's database are the same: `{}`",
            theirs.shown
        ));
    }
    Ok(compare_databases(&theirs, &ours))
}

/// One line for the end of a check, such as `covers 71 % of production's requests and none of its
/// bursts`.
pub(super) fn summary(realism: &Realism) -> String {
    let mut text = match realism.covered {
        Some(covered) => {
            format!("this plan covers {} of production's requests", wording::percent(covered))
        }
        None => "no access log was given".to_owned(),
    };
    text.push_str(match realism.reaches_peak {
        Some(true) => ", and reaches its peak of 1 s",
        Some(false) => ", and none of its bursts",
        None => "",
    });
    text
}

fn page(realism: &Realism, width: usize) -> String {
    let mut text = format!("{}\n", capital(&summary(realism)));
    let count = wording::plural(realism.gaps.len() as u64, "gap", "gaps");
    text.push_str(&match realism.gaps.len() {
        0 => "No gap was found.\n".to_owned(),
        _ => format!("{count} between the test and production\n"),
    });
    let width = width.saturating_sub(4).max(40);
    let indented = |text: &str| wrapped(text, width).replace('\n', "\n    ");
    for (place, gap) in realism.gaps.iter().enumerate() {
        let seen = indented(&wording::clean(&gap.seen));
        text.push_str(&format!("\n{:>2}. {seen}\n", place + 1));
        text.push_str(&format!("    Hides: {}\n", indented(&gap.hides)));
        text.push_str("    To close it:\n");
        for line in gap.close.lines() {
            let indent = " ".repeat(line.len() - line.trim_start().len());
            text.push_str(&format!("      {indent}{}\n", wording::clean(line)));
        }
    }
    if !realism.notes.is_empty() {
        text.push_str("\nNotes\n");
    }
    for note in &realism.notes {
        text.push_str(&format!("  - {}\n", indented(&wording::clean(note))));
    }
    text
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_uppercase().collect::<String>());
    first.unwrap_or_default() + chars.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::realism::{Gap, GapKind};

    #[test]
    fn a_gap_has_what_it_hides_and_what_closes_it() {
        let gap = Gap {
            kind: GapKind::Bursts,
            seen: "a\u{1b}b".to_owned(),
            hides: "queues".to_owned(),
            close: "[load]\nmax = \"9/s\"".to_owned(),
        };
        let realism = Realism {
            covered: Some(0.71),
            reaches_peak: Some(false),
            gaps: vec![gap],
            notes: vec!["n".to_owned()],
        };
        let text = page(&realism, 80);
        let begin =
            "This plan covers 71 % of production's requests, and none of its bursts\n1 gap ";
        assert!(text.starts_with(begin), "{text}");
        assert!(text.contains("    Hides: queues\n    To close it:\n      [load]\n"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
        let nothing = Realism { covered: Some(1.0), ..Realism::default() };
        assert!(page(&nothing, 80).ends_with("No gap was found.\n"));
    }
}
