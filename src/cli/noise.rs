//! How much runs of one build differ, as `compare` and `gate` know it: what the user says, else what
//! `calibrate` stored for the plan and the class of machine.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::console::say;
use super::error::CliError;
use crate::baseline::{Damaged, Key, Store};
use crate::compare::{Comparison, MeasuredNoise, Noise, Sample};
use crate::plan::parse_share;

/// What switches it off.
const NONE: &str = "none";
/// A calibration is made in one sitting. Runs that lie further apart than this differ by what became
/// of the machine meanwhile too, which it does not know.
const SITTING_HOURS: f64 = 12.0;

/// Where noise comes from.
pub(super) enum Source {
    /// What the user says.
    Given(Noise),
    /// What `calibrate` stored.
    Stored,
}

/// What `--noise` says.
pub(super) fn source(given: Option<&str>) -> Result<Source, CliError> {
    let Some(text) = given else { return Ok(Source::Stored) };
    if text == NONE {
        return Ok(Source::Given(Noise::Unknown));
    }
    match parse_share(text) {
        Some(share) => Ok(Source::Given(Noise::Share(share))),
        None => measured(Path::new(text)).map(Source::Given),
    }
}

impl Source {
    /// Whether the user says it.
    pub(super) fn is_given(&self) -> bool {
        matches!(self, Source::Given(_))
    }

    /// The noise between these runs. `machine` names their class where kneepoint's own division does
    /// not fit.
    pub(super) fn noise(
        self,
        store: &Store,
        machine: Option<&str>,
        (base, candidate): (&[Sample], &[Sample]),
    ) -> Result<Noise, CliError> {
        match self {
            Source::Given(noise) => Ok(noise),
            Source::Stored => stored(store, machine, &[base, candidate].concat()),
        }
    }
}

/// What `calibrate` stored for these runs, where they are all of one plan and class of machine.
fn stored(store: &Store, machine: Option<&str>, runs: &[Sample]) -> Result<Noise, CliError> {
    let keys = runs.iter().map(|run| Key::of(run.plan(), run.environment(), "", machine));
    let mut keys = keys.collect::<Vec<Key>>();
    keys.dedup();
    let [key] = &keys[..] else { return Ok(Noise::Unknown) };
    let (found, damaged) = store.noise(&key.plan, &key.machine).map_err(CliError::failed)?;
    for Damaged { path, why } in damaged {
        say(format_args!("kneepoint: `{}` is left out: {why}", path.display()));
    }
    let Some(found) = found else { return Ok(Noise::Unknown) };
    if hours_between(runs) > SITTING_HOURS {
        say(format_args!(
            "kneepoint: the noise that `kneepoint calibrate` stored is not used: it is that of one \
             sitting, and these runs lie more than {SITTING_HOURS} hours apart; `--noise` sets it"
        ));
        return Ok(Noise::Unknown);
    }
    Ok(Noise::Measured(Box::new(found.measured())))
}

/// Hours from the first start to the last.
fn hours_between(runs: &[Sample]) -> f64 {
    let starts = runs.iter().map(|run| run.environment().started_unix);
    let (first, last) = starts
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), at| (low.min(at), high.max(at)));
    (last - first) / 3600.0
}

/// The part of the JSON of a comparison that holds it.
#[derive(Deserialize)]
struct Document {
    comparison: Comparison,
}

/// The noise that an earlier comparison measured.
fn measured(file: &Path) -> Result<Noise, CliError> {
    let hint = "give a percentage such as `3%`, the file of `kneepoint compare --format json` \
                with several runs of one build, or `none`";
    let wrong = |why: String| {
        CliError::usage(format!("`--noise`: `{}`: {why}", file.display())).with_hint(hint)
    };
    let text = fs::read(file).map_err(|error| wrong(error.to_string()))?;
    let document: Document = serde_json::from_slice(&text)
        .map_err(|error| wrong(format!("it is not the JSON of a comparison: {error}")))?;
    let sigmas = document.comparison.run_to_run();
    if sigmas.is_empty() {
        return Err(wrong("it compared one run of each build, which shows no noise".to_owned()));
    }
    let from = format!("`{}` measured it", file.display());
    Ok(Noise::Measured(Box::new(MeasuredNoise { from, sigmas })))
}
