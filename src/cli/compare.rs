//! `compare`: the recordings of two builds.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;

use serde::Deserialize;

use super::args::{CompareArgs, ComparisonStdout};
use super::console::{colour_wanted, print, width};
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use super::results::{self, RECORDING, load_rules, recording_in};
use crate::compare::{Comparison, Noise, Options, Sample, Verdict, compare};
use crate::diagnose::{RuleSet, diagnose};
use crate::plan::parse_share;
use crate::report::{self, ComparisonReport, TerminalStyle};

/// How the name of a recording ends.
const ENDING: &str = ".jsonl.zst";

pub(super) fn main(args: &CompareArgs) -> CommandResult {
    let mut mistakes = Mistakes::default();
    let rules = mistakes.keep(load_rules(args.rules.as_deref()));
    let options = options(args, &mut mistakes);
    let (base, candidate) = sides(args, &mut mistakes);
    let samples = rules.map(|rules| {
        let files = [base.as_slice(), candidate.as_slice()].concat();
        samples(&files, &rules, &mut mistakes)
    });
    mistakes.refuse()?;
    let mut base_samples = samples.unwrap_or_default();
    let candidate_samples = base_samples.split_off(base.len());
    let comparison = compare(&base_samples, &candidate_samples, &options);
    conclude(&comparison, args)?;
    Ok(match comparison.verdict {
        Verdict::Worse => ExitStatus::Worse,
        Verdict::Better | Verdict::Same => ExitStatus::Done,
        Verdict::CannotTell => ExitStatus::Inconclusive,
    })
}

/// What is wrong with a call, all of it.
#[derive(Default)]
struct Mistakes(Vec<CliError>);

impl Mistakes {
    fn tell(&mut self, message: String, hint: &str) {
        self.0.push(CliError::usage(message).with_hint(hint));
    }

    fn keep<T>(&mut self, result: Result<T, CliError>) -> Option<T> {
        result.map_err(|error| self.0.push(error)).ok()
    }

    fn refuse(self) -> Result<(), CliError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let tell = |error: CliError| match error.hint {
            Some(hint) => format!("{}\n  hint: {hint}", error.message),
            None => error.message,
        };
        let lines: Vec<String> = self.0.into_iter().map(tell).collect();
        Err(CliError::usage(lines.join("\nkneepoint: ")))
    }
}

fn options(args: &CompareArgs, mistakes: &mut Mistakes) -> Options {
    let mut options = Options::default();
    match parse_share(&args.max_worse).filter(|share| *share > 0.0) {
        Some(share) => options.budget = share,
        None => mistakes.tell(
            format!("`--max-worse`: `{}` is not a share above zero", args.max_worse),
            "write a percentage such as `10%`",
        ),
    }
    if let Some(text) = &args.noise {
        let noise = match parse_share(text) {
            Some(share) => Some(Noise::Share(share)),
            None => mistakes.keep(measured(Path::new(text))),
        };
        options.noise = noise.unwrap_or(Noise::Unknown);
    }
    options
}

/// The part of the JSON of a comparison that holds it.
#[derive(Deserialize)]
struct Document {
    comparison: Comparison,
}

/// The noise that an earlier comparison measured.
fn measured(file: &Path) -> Result<Noise, CliError> {
    let hint = "give a percentage such as `3%`, or the file of `kneepoint compare --format json` \
                with several runs of one build";
    let wrong = |why: String| {
        CliError::usage(format!("`--noise`: `{}`: {why}", file.display())).with_hint(hint)
    };
    let text = fs::read(file).map_err(|error| wrong(error.to_string()))?;
    let document: Document = serde_json::from_slice(&text)
        .map_err(|error| wrong(format!("it is not the JSON of a comparison: {error}")))?;
    let comparison = document.comparison;
    if comparison.quantities.iter().all(|quantity| quantity.run_to_run.is_none()) {
        return Err(wrong("it compared one run of each build, which shows no noise".to_owned()));
    }
    Ok(Noise::Measured(Box::new(comparison)))
}

/// The recordings of both builds.
fn sides(args: &CompareArgs, mistakes: &mut Mistakes) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let mut of = |paths: &[PathBuf]| -> Vec<PathBuf> {
        let found = paths.iter().filter_map(|path| mistakes.keep(recordings(path)));
        found.flatten().collect()
    };
    if !args.with.is_empty() {
        return (of(&args.runs), of(&args.with));
    }
    let [base, candidate] = args.runs.as_slice() else {
        let runs = of(&args.runs);
        mistakes.tell(
            "cannot tell which of the runs belong to the build before".to_owned(),
            "write `kneepoint compare BASE... --with CANDIDATE...`; two runs alone need no `--with`",
        );
        return (runs, Vec::new());
    };
    (of(std::slice::from_ref(base)), of(std::slice::from_ref(candidate)))
}

/// The recordings that a path means: a file, the recording of one run, or all those in a directory
/// and in the directories of runs inside it.
fn recordings(path: &Path) -> Result<Vec<PathBuf>, CliError> {
    if !path.is_dir() {
        return match path.exists() {
            true => Ok(vec![path.to_owned()]),
            false => Err(CliError::usage(format!("there is no `{}`", path.display()))
                .with_hint("give a recording, or a directory that holds recordings")),
        };
    }
    if recording_in(path).exists() {
        return Ok(vec![recording_in(path)]);
    }
    let unreadable = |error| CliError::usage(format!("cannot read `{}`: {error}", path.display()));
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?.path();
        if entry.is_dir() {
            found.extend(Some(recording_in(&entry)).filter(|inside| inside.exists()));
        } else if entry.to_string_lossy().ends_with(ENDING) {
            found.push(entry);
        }
    }
    found.sort();
    if found.is_empty() {
        return Err(CliError::usage(format!("`{}` holds no recording", path.display())).with_hint(
            format!("a run writes `{RECORDING}` into the directory of `--out`; give that directory, or the one above"),
        ));
    }
    Ok(found)
}

/// Reads and diagnoses the recordings, several at a time.
fn samples(files: &[PathBuf], rules: &RuleSet, mistakes: &mut Mistakes) -> Vec<Sample> {
    let at_once = thread::available_parallelism().map_or(1, usize::from);
    let sample = |file: &PathBuf| -> Result<Sample, CliError> {
        let recording = results::read(file)?;
        let diagnosis = diagnose(&recording, rules);
        Ok(Sample::of(&file.display().to_string(), &recording, &diagnosis))
    };
    let mut samples = Vec::new();
    for files in files.chunks(at_once) {
        let done: Vec<_> = thread::scope(|scope| {
            let running: Vec<_> =
                files.iter().map(|file| scope.spawn(move || sample(file))).collect();
            running.into_iter().map(thread::ScopedJoinHandle::join).collect()
        });
        for result in done {
            let died = || Err(CliError::failed("a thread that reads recordings has died"));
            samples.extend(mistakes.keep(result.unwrap_or_else(|_| died())));
        }
    }
    samples
}

fn conclude(comparison: &Comparison, args: &CompareArgs) -> Result<(), CliError> {
    let report = ComparisonReport::new(comparison);
    let mut files = Vec::new();
    // The answer is printed even if the files cannot be written.
    let written = args.out.as_deref().map_or(Ok(()), |out| write(&report, out, &mut files));
    let mut bytes = Vec::new();
    match args.format {
        ComparisonStdout::Terminal => {
            let style = TerminalStyle { colour: colour_wanted(), width: width(), files: &files };
            report::render_comparison(&report, &style, &mut bytes)?;
        }
        ComparisonStdout::Format(format) => (format.render)(&report, &mut bytes)?,
    }
    print(&bytes)?;
    written
}

fn write(
    report: &ComparisonReport,
    directory: &Path,
    files: &mut Vec<String>,
) -> Result<(), CliError> {
    results::make_directory(directory)?;
    for format in report::COMPARISON_FORMATS.iter().filter(|format| format.is_left_as_file) {
        let path = directory.join(format.file_name);
        results::write_file(&path, |mut out: &mut dyn Write| {
            (format.render)(report, &mut out).map_err(Into::into)
        })?;
        files.push(path.display().to_string());
    }
    match report::comparison_charts(report) {
        charts if charts.is_empty() => Ok(()),
        charts => results::write_charts(directory, charts, files),
    }
}
