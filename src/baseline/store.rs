//! The directory that holds baselines: `PLAN/BRANCH/MACHINE/START-DIGEST.json`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

use super::entry::{Entry, FORMAT};
use super::key::{digest, folder};
use super::stored_noise::{self, StoredNoise};

/// Ending of the files of runs.
const ENDING: &str = "json";
/// Ending of the files of calibrations.
const NOISE_ENDING: &str = "noise";

/// A directory that holds baselines.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
}

/// A run of a store.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its file.
    pub path: PathBuf,
    /// What the file says.
    pub entry: Entry,
}

/// A file that could not be read. The others stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

/// A store cannot be read or written.
#[derive(Debug, Error)]
#[error("the baselines in `{}`: {error}", path.display())]
pub struct StoreError {
    path: PathBuf,
    error: io::Error,
}

/// What every version of the form of a run has.
#[derive(Deserialize)]
struct Version {
    kneepoint_baseline: u32,
}

/// What every version of the form of a calibration has.
#[derive(Deserialize)]
struct NoiseVersion {
    kneepoint_noise: u32,
}

impl Store {
    /// The store in this directory, which need not exist yet.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Every run in it by key and start, and the files that are none.
    ///
    /// # Errors
    /// A directory cannot be read. A store that does not exist holds nothing.
    pub fn read(&self) -> Result<(Vec<Kept>, Vec<Damaged>), StoreError> {
        let mut files = Vec::new();
        collect(&self.directory, ENDING, &mut files)?;
        files.sort();
        let (mut kept, mut damaged) = (Vec::new(), Vec::new());
        for path in files {
            match read(&path) {
                Ok(entry) => kept.push(Kept { path, entry }),
                Err(why) => damaged.push(Damaged { path, why }),
            }
        }
        kept.sort_by(|a, b| {
            let at = |kept: &Kept| kept.entry.started_unix();
            let by_time = at(a).total_cmp(&at(b));
            let by_time = by_time.then(a.entry.origin.session.cmp(&b.entry.origin.session));
            a.entry.key.cmp(&b.entry.key).then(by_time).then(a.path.cmp(&b.path))
        });
        Ok((kept, damaged))
    }

    /// Adds a run, and says where it is; one that is there already stays as it is.
    ///
    /// # Errors
    /// The file cannot be written. Nothing half written is left.
    pub fn add(&self, entry: &Entry) -> Result<PathBuf, StoreError> {
        let mut folder = self.directory.clone();
        folder.extend(entry.key.folders());
        let text = serde_json::to_vec(entry)
            .map_err(|error| StoreError { path: folder.clone(), error: error.into() })?;
        write(&folder, &file_name(entry.started_unix(), &text, ENDING), &text)
    }

    /// Adds what a calibration measured, and says where it is.
    ///
    /// # Errors
    /// The file cannot be written. Nothing half written is left.
    pub fn add_noise(&self, noise: &StoredNoise) -> Result<PathBuf, StoreError> {
        let folder = self.directory.join(folder(&noise.plan));
        let text = serde_json::to_vec_pretty(noise)
            .map_err(|error| StoreError { path: folder.clone(), error: error.into() })?;
        write(&folder, &file_name(noise.measured_unix, &text, NOISE_ENDING), &text)
    }

    /// The newest calibration for this plan and class of machine, and the files that are none.
    ///
    /// # Errors
    /// A directory cannot be read. A store that does not exist holds nothing.
    pub fn noise(
        &self,
        plan: &str,
        machine: &str,
    ) -> Result<(Option<StoredNoise>, Vec<Damaged>), StoreError> {
        let mut files = Vec::new();
        collect(&self.directory.join(folder(plan)), NOISE_ENDING, &mut files)?;
        let (mut newest, mut damaged): (Option<StoredNoise>, Vec<Damaged>) = (None, Vec::new());
        for path in files {
            match read_noise(&path) {
                Ok(noise) if noise.plan != plan || noise.machine != machine => {}
                Ok(noise) => {
                    let is_newer = |known: &StoredNoise| known.measured_unix < noise.measured_unix;
                    if newest.as_ref().is_none_or(is_newer) {
                        newest = Some(noise);
                    }
                }
                Err(why) => damaged.push(Damaged { path, why }),
            }
        }
        Ok((newest, damaged))
    }

    /// Removes a run.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn remove(&self, kept: &Kept) -> Result<(), StoreError> {
        let path = kept.path.clone();
        fs::remove_file(&path).map_err(|error| StoreError { path, error })
    }
}

/// Its start, so that a directory lists runs in their order, and a digest of what it came to.
fn file_name(started_unix: f64, text: &[u8], ending: &str) -> String {
    let start = jiff::Timestamp::from_second(started_unix as i64)
        .map_or_else(|_| "unknown".to_owned(), |at| at.strftime("%Y%m%dT%H%M%SZ").to_string());
    format!("{start}-{}.{ending}", digest(text))
}

/// Writes a file that no other has written yet, and says where it is.
fn write(folder: &Path, name: &str, text: &[u8]) -> Result<PathBuf, StoreError> {
    let wrong = |error| StoreError { path: folder.to_owned(), error };
    fs::create_dir_all(folder).map_err(wrong)?;
    let path = folder.join(name);
    if path.exists() {
        return Ok(path);
    }
    // Whoever lists the directory meanwhile sees a whole file or none.
    let unfinished = path.with_extension("unfinished");
    let written = fs::File::create(&unfinished)
        .and_then(|mut file| file.write_all(text).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&unfinished, &path));
    if let Err(error) = written {
        let _left_behind = fs::remove_file(&unfinished).is_err();
        return Err(StoreError { path, error });
    }
    Ok(path)
}

/// Every file below `directory` with this ending.
fn collect(directory: &Path, wanted: &str, files: &mut Vec<PathBuf>) -> Result<(), StoreError> {
    let wrong = |error| StoreError { path: directory.to_owned(), error };
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(wrong)?,
    };
    for entry in entries {
        let entry = entry.map_err(wrong)?;
        // Links are not followed: one that leads back up would never end.
        let kind = entry.file_type().map_err(wrong)?;
        let path = entry.path();
        if kind.is_dir() {
            collect(&path, wanted, files)?;
        } else if path.extension().is_some_and(|ending| ending == wanted) {
            files.push(path);
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Entry, String> {
    let text = fs::read(path).map_err(|error| error.to_string())?;
    let version: Version = serde_json::from_slice(&text)
        .map_err(|error| format!("it is not a run that `kneepoint baseline` keeps: {error}"))?;
    refuse_other(version.kneepoint_baseline, FORMAT, "record the run again")?;
    let entry: Entry =
        serde_json::from_slice(&text).map_err(|error| format!("it is damaged: {error}"))?;
    match entry.sample.flaw() {
        Some(flaw) => Err(format!("it is damaged: {flaw}")),
        None => Ok(entry),
    }
}

fn read_noise(path: &Path) -> Result<StoredNoise, String> {
    let text = fs::read(path).map_err(|error| error.to_string())?;
    let version: NoiseVersion = serde_json::from_slice(&text)
        .map_err(|error| format!("it is not what `kneepoint calibrate` keeps: {error}"))?;
    refuse_other(version.kneepoint_noise, stored_noise::FORMAT, "calibrate again")?;
    let noise: StoredNoise =
        serde_json::from_slice(&text).map_err(|error| format!("it is damaged: {error}"))?;
    let is_sigma = |sigma: f64| sigma.is_finite() && sigma >= 0.0;
    match noise.calibration.quantities.iter().all(|it| is_sigma(it.sigma)) {
        true => Ok(noise),
        false => Err("it is damaged: a standard deviation is not a number above zero".to_owned()),
    }
}

/// Refuses a form that this kneepoint does not read.
fn refuse_other(form: u32, known: u32, again: &str) -> Result<(), String> {
    match form {
        form if form == known => Ok(()),
        newer if newer > known => Err(format!(
            "it has form {newer}, and this kneepoint reads forms up to {known}; use a newer \
             kneepoint"
        )),
        older => Err(format!("it has form {older}, which this kneepoint no longer reads; {again}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::Calibration;

    fn noise(plan: &str, machine: &str, measured_unix: f64) -> StoredNoise {
        let calibration =
            Calibration { runs: 10, gate_runs: 5, budget: 0.1, quantities: Vec::new() };
        StoredNoise {
            kneepoint_noise: stored_noise::FORMAT,
            plan: plan.to_owned(),
            machine: machine.to_owned(),
            measured_unix,
            calibration,
        }
    }

    #[test]
    fn the_newest_noise_of_the_plan_and_the_machine_counts() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path().join("new"));
        assert_eq!(store.noise("shop-1", "small").unwrap(), (None, Vec::new()));
        for (plan, machine, at) in
            [("shop-1", "small", 5e8), ("shop-1", "small", 7e8), ("shop-1", "large", 9e8)]
        {
            store.add_noise(&noise(plan, machine, at)).unwrap();
        }
        store.add_noise(&noise("../up", "small", 9e8)).unwrap();
        let found = |plan: &str| store.noise(plan, "small").unwrap().0.map(|it| it.measured_unix);
        assert_eq!(
            (found("shop-1"), found("../up"), found("shop-2")),
            (Some(7e8), Some(9e8), None)
        );
        assert!(!directory.path().join("up").exists(), "a name leads out of the store");
        // Runs and noise do not meet.
        assert!(store.read().unwrap().0.is_empty() && store.read().unwrap().1.is_empty());
        fs::write(store.directory().join("shop-1/half.noise"), "{\"kneepoint_noise\": 1").unwrap();
        let (found, damaged) = store.noise("shop-1", "small").unwrap();
        assert_eq!((found.map(|it| it.measured_unix), damaged.len()), (Some(7e8), 1));
    }
}
