//! From a recording to report files and a printed verdict. `run`, `demo`, `diagnose` and `report`
//! share this path.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::args::StdoutFormat;
use super::console::{colour_wanted, print, say, width};
use super::error::CliError;
use super::exit::ExitStatus;
use super::reading::Reading;
use crate::diagnose::{Diagnosis, FindingRole, Outcome, Rule, RuleSet, SoakVerdict, diagnose};
use crate::recording::{self, Recording};
use crate::report::{self, FormatSpec, Report, TerminalStyle};
use crate::run;

/// Name of the recording inside an output directory.
pub(super) const RECORDING: &str = "recording.jsonl.zst";
/// Directory of the results of another tool, inside an output directory.
pub(super) const TOOL_FILES: &str = "load";
/// Directory of the charts that are separate files.
const CHARTS: &str = "charts";

/// The built-in rules and the rules in a directory.
pub(super) fn load_rules(directory: Option<&Path>) -> Result<RuleSet, CliError> {
    let Some(directory) = directory else { return Ok(run::rules()) };
    let unreadable = |error: std::io::Error| {
        CliError::usage(format!("cannot read rules from `{}`: {error}", directory.display()))
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = fs::read_to_string(&path).map_err(unreadable)?;
            files.push((path.display().to_string(), text));
        }
    }
    files.sort();
    let files: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    Ok(run::rules().with(RuleSet::parse(&files).map_err(CliError::usage)?))
}

/// Reads a recording, and prints which parts could not be read.
pub(super) fn read(path: &Path) -> Result<Recording, CliError> {
    let file = Reading::open(path).map_err(|error| {
        CliError::usage(format!("cannot open the recording `{}`: {error}", path.display()))
    })?;
    let (recording, notes) = recording::read(BufReader::new(file)).map_err(|error| {
        CliError::usage(format!("`{}`: {error}", path.display())).with_hint(format!(
            "a run writes its recording to `{RECORDING}` in the directory of `--out`"
        ))
    })?;
    for note in notes {
        say(format_args!("kneepoint: {}: {note}", path.display()));
    }
    Ok(recording)
}

/// The formats that every run writes next to its recording.
fn left_by_every_run() -> impl Iterator<Item = &'static FormatSpec> {
    report::FORMATS.iter().copied().filter(|format| format.left_by_every_run)
}

/// The report format with this name.
pub(super) fn format_named(name: &str) -> Result<&'static FormatSpec, CliError> {
    report::FORMATS.iter().copied().find(|format| format.name == name).ok_or_else(|| {
        let names: Vec<_> = report::FORMATS.iter().map(|format| format.name).collect();
        CliError::unknown("report format", name, &names)
    })
}

/// Prepares the output directory. Files of an earlier run move to `earlier-N`, so that no recording
/// is lost.
pub(super) fn prepare(directory: &Path) -> Result<(), CliError> {
    let cannot = |error: std::io::Error| {
        CliError::failed(format!("cannot use `{}` for the results: {error}", directory.display()))
            .with_hint("choose another directory with `--out`")
    };
    fs::create_dir_all(directory).map_err(cannot)?;
    let reports = left_by_every_run().map(FormatSpec::file_name);
    let names = reports.chain([RECORDING, CHARTS, TOOL_FILES].map(str::to_owned));
    let left: Vec<_> = names.filter(|name| directory.join(name).exists()).collect();
    if left.is_empty() {
        return Ok(());
    }
    let earlier = make_earlier(directory).map_err(cannot)?;
    for name in left {
        fs::rename(directory.join(&name), earlier.join(&name)).map_err(cannot)?;
    }
    Ok(())
}

/// Begins a recording in the output directory, after files of an earlier run were moved away.
pub(super) fn begin(directory: &Path) -> Result<(PathBuf, File), CliError> {
    prepare(directory)?;
    let path = recording_in(directory);
    let file = File::create(&path).map_err(|error| {
        CliError::failed(format!("cannot write the recording `{}`: {error}", path.display()))
            .with_hint("choose another directory with `--out`")
    })?;
    Ok((path, file))
}

/// Creates the first `earlier-N` that does not exist yet.
fn make_earlier(directory: &Path) -> std::io::Result<PathBuf> {
    let mut number = 1_u64;
    loop {
        let path = directory.join(format!("earlier-{number}"));
        match fs::create_dir(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            made => return made.map(|()| path),
        }
    }
}

/// Diagnoses `recording`, writes the reports into the directory `out` if there is one, and prints
/// the verdict.
pub(super) fn conclude(
    recording: &Recording,
    rules: &RuleSet,
    recorded_at: &Path,
    format: StdoutFormat,
    out: Option<&Path>,
) -> Result<Diagnosis, CliError> {
    let diagnosis = diagnose(recording, rules);
    let report = Report::new(recording, &diagnosis);
    let mut files = vec![recorded_at.display().to_string()];
    // The verdict is printed even if the reports cannot be written.
    let written = out.map_or(Ok(()), |out| write_reports(&report, out, &mut files));
    let mut bytes = Vec::new();
    match format {
        StdoutFormat::Terminal => {
            let style = TerminalStyle { colour: colour_wanted(), width: width(), files: &files };
            report::render_terminal(&report, &style, &mut bytes)?;
        }
        StdoutFormat::Json | StdoutFormat::Markdown => {
            (format_named(format.name())?.render)(&report, &mut bytes)?;
        }
    }
    print(&bytes)?;
    written?;
    Ok(diagnosis)
}

/// The report as a page.
pub(super) fn html(recording: &Recording, diagnosis: &Diagnosis) -> Result<Vec<u8>, CliError> {
    let mut page = Vec::new();
    (format_named("html")?.render)(&Report::new(recording, diagnosis), &mut page)?;
    Ok(page)
}

fn write_reports(
    report: &Report,
    directory: &Path,
    files: &mut Vec<String>,
) -> Result<(), CliError> {
    make_directory(directory)?;
    for format in left_by_every_run() {
        let path = directory.join(format.file_name());
        write_file(&path, |out| (format.render)(report, out).map_err(Into::into))?;
        files.push(path.display().to_string());
    }
    write_charts(directory, report::charts(report), files)
}

/// Writes charts, each with the stem of its name, as files of their own.
pub(super) fn write_charts(
    directory: &Path,
    drawn: Vec<(String, String)>,
    files: &mut Vec<String>,
) -> Result<(), CliError> {
    let charts = directory.join(CHARTS);
    make_directory(&charts)?;
    for (stem, svg) in drawn {
        let path = charts.join(format!("{stem}.svg"));
        write_file(&path, |out| out.write_all(svg.as_bytes()).map_err(Into::into))?;
    }
    files.push(format!("{}{}", charts.display(), std::path::MAIN_SEPARATOR));
    Ok(())
}

pub(super) fn make_directory(path: &Path) -> Result<(), CliError> {
    fs::create_dir_all(path).map_err(|error| {
        CliError::failed(format!("cannot create `{}`: {error}", path.display()))
            .with_hint("choose another directory with `--out`")
    })
}

/// Writes a file through a buffer. On failure, names the file in the error and removes it, because
/// it could be mistaken for a complete file.
pub(super) fn write_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let cannot = |why: String| {
        CliError::failed(format!("cannot write `{}`: {why}", path.display())).with_hint(
            "free some space or choose another place; `kneepoint report` writes it again",
        )
    };
    let file = File::create(path).map_err(|error| cannot(error.to_string()))?;
    let is_plain = file.metadata().is_ok_and(|metadata| metadata.is_file());
    let mut out = BufWriter::new(file);
    let written = write(&mut out)
        .and_then(|()| out.flush().map_err(CliError::from))
        .map_err(|refusal| cannot(refusal.message));
    // A device or a pipe must not be removed.
    if written.is_err() && is_plain {
        let _left_behind = fs::remove_file(path).is_err();
    }
    written
}

/// The exit code of a diagnosis. If several apply, a code that invalidates the others has priority.
pub(super) fn status_of(
    diagnosis: &Diagnosis,
    rules: &RuleSet,
    expected_rate: Option<f64>,
) -> ExitStatus {
    // An undecided soak makes the result inconclusive only if the user asked for a soak. A run that
    // merely happened to hold one rate is unaffected.
    let soak = diagnosis.soak.as_ref().filter(|soak| soak.asked).map(|soak| &soak.verdict);
    match diagnosis.outcome {
        // One rate is not enough for a knee, but it is enough for a soak.
        Outcome::InsufficientData { .. } if soak.is_some() => {}
        Outcome::GeneratorLimited { .. }
        | Outcome::InsufficientData { .. }
        | Outcome::Aborted { .. } => return ExitStatus::Inconclusive,
        Outcome::Knee | Outcome::NotReached { .. } | Outcome::FailsForGood { .. } => {}
    }
    let fails_for_good = matches!(diagnosis.outcome, Outcome::FailsForGood { .. });
    let below = diagnosis
        .knee
        .as_ref()
        .is_some_and(|knee| expected_rate.is_some_and(|expected| knee.rate < expected));
    let leak = diagnosis.findings.iter().any(|finding| {
        finding.role == FindingRole::Apart && rules.find(&finding.rule).is_some_and(Rule::is_leak)
    });
    if diagnosis.objectives.iter().any(|objective| objective.broken_at.is_some()) {
        ExitStatus::ObjectiveFailed
    } else if below {
        ExitStatus::KneeBelowExpected
    } else if leak || fails_for_good || soak == Some(&SoakVerdict::Leak) {
        ExitStatus::Leak
    } else if matches!(soak, Some(SoakVerdict::Undecided { .. })) {
        ExitStatus::Inconclusive
    } else {
        ExitStatus::Done
    }
}

/// The recording inside an output directory.
pub(super) fn recording_in(directory: &Path) -> PathBuf {
    directory.join(RECORDING)
}
