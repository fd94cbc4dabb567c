//! `diagnose` and `report`: the diagnosis of an existing recording.

use std::path::{Path, PathBuf};

use super::args::{DiagnoseArgs, ReportArgs};
use super::bus;
use super::console::print;
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use super::results::{self, format_named, load_rules};
use crate::diagnose::diagnose as diagnose_recording;
use crate::report::Report;

/// Where a run that comes from a bus is left.
const FETCHED: &str = "kneepoint-out";

pub(super) fn diagnose(args: &DiagnoseArgs) -> CommandResult {
    let rules = load_rules(args.rules.as_deref())?;
    let out = args.out.as_deref();
    let path = match bus::address(&args.bus)? {
        None => recording_path(&args.recording),
        Some(address) => {
            let run = args.recording.to_string_lossy();
            let out = out.unwrap_or(Path::new(FETCHED));
            bus::fetch(&address, &run, &args.spool, out)?
        }
    };
    let recording = results::read(&path)?;
    let diagnosis = results::conclude(&recording, &rules, &path, args.format, out)?;
    Ok(results::status_of(&diagnosis, &rules, None))
}

pub(super) fn report(args: &ReportArgs) -> CommandResult {
    let mut wanted = Vec::new();
    for text in &args.format {
        let Some((name, file)) = text.split_once('=') else {
            return Err(CliError::usage(format!("`--format {text}` does not name a file"))
                .with_hint("write FORMAT=FILE, such as html=report.html, or json=- for stdout"));
        };
        wanted.push((format_named(name)?, file));
    }
    let rules = load_rules(args.rules.as_deref())?;
    let recording = results::read(&recording_path(&args.recording))?;
    let diagnosis = diagnose_recording(&recording, &rules);
    let report = Report::new(&recording, &diagnosis);
    let report = match wanted.iter().any(|(format, _)| format.needs_seconds) {
        true => report.with_seconds(&recording),
        false => report,
    };
    for (format, file) in wanted {
        if file == "-" {
            let mut bytes = Vec::new();
            (format.render)(&report, &mut bytes)?;
            print(&bytes)?;
        } else {
            results::write_file(Path::new(file), |out| {
                (format.render)(&report, out).map_err(Into::into)
            })?;
        }
    }
    Ok(ExitStatus::Done)
}

/// A directory means the recording in it.
pub(super) fn recording_path(path: &Path) -> PathBuf {
    if path.is_dir() { results::recording_in(path) } else { path.to_owned() }
}
