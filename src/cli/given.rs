//! What a command line names: recordings, directories of them, and baselines. Every mistake is told
//! at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use super::console::say;
use super::error::CliError;
use super::results::{self, RECORDING, recording_in};
use crate::baseline::{Damaged, Kept, Store};
use crate::compare::Sample;
use crate::diagnose::{RuleSet, diagnose_without_headroom};
use crate::plan::parse_share;

/// How the name of a recording ends.
const ENDING: &str = ".jsonl.zst";

/// What is wrong with a call, all of it.
#[derive(Default)]
pub(super) struct Mistakes(Vec<CliError>);

impl Mistakes {
    pub(super) fn tell(&mut self, message: String, hint: &str) {
        self.0.push(CliError::usage(message).with_hint(hint));
    }

    pub(super) fn keep<T>(&mut self, result: Result<T, CliError>) -> Option<T> {
        result.map_err(|error| self.0.push(error)).ok()
    }

    pub(super) fn refuse(self) -> Result<(), CliError> {
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

/// The recordings that a path means: a file, the recording of one run, or all those in a directory
/// and in the directories of runs inside it.
pub(super) fn recordings(path: &Path) -> Result<Vec<PathBuf>, CliError> {
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
pub(super) fn samples(files: &[PathBuf], rules: &RuleSet, mistakes: &mut Mistakes) -> Vec<Sample> {
    let at_once = thread::available_parallelism().map_or(1, usize::from);
    let sample = |file: &PathBuf| -> Result<Sample, CliError> {
        let recording = results::read(file)?;
        let diagnosis = diagnose_without_headroom(&recording, rules);
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

/// The rise that `--max-worse` allows.
pub(super) fn max_worse(text: &str) -> Result<f64, CliError> {
    parse_share(text).filter(|share| *share > 0.0).ok_or_else(|| {
        CliError::usage(format!("`--max-worse`: `{text}` is not a share above zero"))
            .with_hint("write a percentage such as `10%`")
    })
}

/// What a store holds. Damaged files are told, and the others stand.
pub(super) fn read_store(store: &Store) -> Result<Vec<Kept>, CliError> {
    let (kept, damaged) = store.read().map_err(CliError::failed)?;
    for Damaged { path, why } in damaged {
        say(format_args!("kneepoint: `{}` is left out: {why}", path.display()));
    }
    Ok(kept)
}
