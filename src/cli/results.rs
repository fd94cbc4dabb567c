//! From a recording to files and a verdict: the one path that `run`, `demo`, `diagnose` and
//! `report` share.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::args::{OutputArgs, StdoutFormat};
use super::{ExitStatus, Refusal, colour_wanted, print, say};
use crate::diagnose::{Diagnosis, FindingRole, Outcome, RuleSet, diagnose};
use crate::recording::{self, Recording, StopReason};
use crate::report::{self, FormatSpec, Report, TerminalStyle};

/// Name of the recording inside an output directory.
pub(super) const RECORDING: &str = "recording.jsonl.zst";
/// Formats that every run leaves beside its recording.
const FILES: [(&str, &str); 3] =
    [("html", "report.html"), ("json", "report.json"), ("markdown", "report.md")];
/// Directory of the charts as files of their own.
const CHARTS: &str = "charts";

/// The built-in rules and those of a directory.
pub(super) fn load_rules(directory: Option<&Path>) -> Result<RuleSet, Refusal> {
    let Some(directory) = directory else {
        return Ok(RuleSet::builtin().clone());
    };
    let unreadable = |error: std::io::Error| {
        Refusal::usage(format!("cannot read rules from `{}`: {error}", directory.display()))
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
    Ok(RuleSet::builtin().with(RuleSet::parse(&files).map_err(Refusal::usage)?))
}

/// Reads a recording and tells what could not be read of it.
pub(super) fn read(path: &Path) -> Result<Recording, Refusal> {
    let file = File::open(path).map_err(|error| {
        Refusal::usage(format!("cannot open the recording `{}`: {error}", path.display()))
    })?;
    let (recording, notes) = recording::read(BufReader::new(file)).map_err(|error| {
        Refusal::usage(format!("cannot read the recording `{}`: {error}", path.display()))
    })?;
    for note in notes {
        say(format_args!("kneepoint: {}: {note}", path.display()));
    }
    Ok(recording)
}

/// The report format of this name.
pub(super) fn format_named(name: &str) -> Result<&'static FormatSpec, Refusal> {
    report::FORMATS.iter().copied().find(|format| format.name == name).ok_or_else(|| {
        let names: Vec<_> = report::FORMATS.iter().map(|format| format.name).collect();
        Refusal::usage(format!("there is no report format `{name}`"))
            .with_hint(format!("the formats are {}", names.join(", ")))
    })
}

/// Prepares the output directory. What an earlier run left there moves to `earlier-N`, so that
/// nothing recorded is lost.
pub(super) fn prepare(directory: &Path) -> Result<(), Refusal> {
    let cannot = |error: std::io::Error| {
        Refusal::failed(format!("cannot use `{}` for the results: {error}", directory.display()))
            .with_hint("choose another directory with `--out`")
    };
    fs::create_dir_all(directory).map_err(cannot)?;
    if !directory.join(RECORDING).exists() {
        return Ok(());
    }
    let earlier = (1..)
        .map(|number| directory.join(format!("earlier-{number}")))
        .find(|path| !path.exists())
        .unwrap_or_else(|| directory.join("earlier"));
    fs::create_dir(&earlier).map_err(cannot)?;
    let names = FILES.iter().map(|(_, name)| *name).chain([RECORDING, CHARTS]);
    for name in names.filter(|name| directory.join(name).exists()) {
        fs::rename(directory.join(name), earlier.join(name)).map_err(cannot)?;
    }
    Ok(())
}

/// Diagnoses `recording`, writes the reports into the output directory and prints the verdict.
pub(super) fn conclude(
    recording: &Recording,
    rules: &RuleSet,
    recorded_at: &Path,
    output: &OutputArgs,
) -> Result<Diagnosis, Refusal> {
    let diagnosis = diagnose(recording, rules);
    let report = Report::new(recording, &diagnosis);
    let mut files = vec![recorded_at.display().to_string()];
    // The verdict is printed even where the disk takes no reports.
    let written = write_reports(&report, &output.out, &mut files);
    let mut bytes = Vec::new();
    match output.format {
        StdoutFormat::Terminal => {
            let style =
                TerminalStyle { colour: colour_wanted(), width: terminal_width(), files: &files };
            report::render_terminal(&report, &style, &mut bytes)?;
        }
        StdoutFormat::Json | StdoutFormat::Markdown => {
            (format_named(output.format.name())?.render)(&report, &mut bytes)?;
        }
    }
    print(&bytes)?;
    written?;
    Ok(diagnosis)
}

fn write_reports(
    report: &Report,
    directory: &Path,
    files: &mut Vec<String>,
) -> Result<(), Refusal> {
    for (format, name) in FILES {
        let path = directory.join(name);
        write_file(&path, |out| (format_named(format)?.render)(report, out).map_err(Into::into))?;
        files.push(path.display().to_string());
    }
    let charts = directory.join(CHARTS);
    fs::create_dir_all(&charts)
        .map_err(|error| Refusal::failed(format!("cannot make `{}`: {error}", charts.display())))?;
    for (stem, svg) in report::charts(report) {
        let path = charts.join(format!("{stem}.svg"));
        write_file(&path, |out| out.write_all(svg.as_bytes()).map_err(Into::into))?;
    }
    files.push(format!("{}{}", charts.display(), std::path::MAIN_SEPARATOR));
    Ok(())
}

/// Writes a file through a buffer, and names it where that fails.
pub(super) fn write_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let cannot = |error: std::io::Error| {
        Refusal::failed(format!("cannot write `{}`: {error}", path.display()))
    };
    let mut out = BufWriter::new(File::create(path).map_err(cannot)?);
    write(&mut out).map_err(|refusal| {
        Refusal::failed(format!("cannot write `{}`: {}", path.display(), refusal.message))
    })?;
    out.flush().map_err(cannot)
}

/// Columns of the terminal that stdout is, or a width that fits on paper.
fn terminal_width() -> usize {
    // SAFETY: the call fills the struct that it is given, and its result is checked.
    let columns = unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        match libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &mut size) {
            0 => usize::from(size.ws_col),
            _ => 0,
        }
    };
    if columns == 0 { 100 } else { columns.clamp(60, 140) }
}

/// The exit code of a diagnosis. Where several apply, what invalidates the rest comes first.
pub(super) fn status_of(
    recording: &Recording,
    diagnosis: &Diagnosis,
    expected_rate: Option<f64>,
) -> ExitStatus {
    let interrupted =
        recording.stop.as_ref().is_some_and(|stop| stop.reason == StopReason::Interrupted);
    if interrupted {
        return ExitStatus::Interrupted;
    }
    match diagnosis.outcome {
        Outcome::GeneratorLimited { .. }
        | Outcome::InsufficientData { .. }
        | Outcome::Aborted { .. } => return ExitStatus::Inconclusive,
        Outcome::Knee | Outcome::NotReached { .. } => {}
    }
    let below = diagnosis
        .knee
        .as_ref()
        .is_some_and(|knee| expected_rate.is_some_and(|expected| knee.rate < expected));
    let leak = diagnosis
        .findings
        .iter()
        .any(|finding| finding.rule.ends_with("-leak") && finding.role == FindingRole::Apart);
    if diagnosis.objectives.iter().any(|objective| objective.broken_at.is_some()) {
        ExitStatus::ObjectiveFailed
    } else if below {
        ExitStatus::KneeBelowExpected
    } else if leak {
        ExitStatus::Leak
    } else {
        ExitStatus::Done
    }
}

/// The recording inside an output directory.
pub(super) fn recording_in(directory: &Path) -> PathBuf {
    directory.join(RECORDING)
}
