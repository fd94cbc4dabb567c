//! `reports/gallery` is what kneepoint makes of the recordings in `tests/recordings`, in every
//! format, byte for byte. `KNEEPOINT_BLESS=1 cargo test --test gallery` writes it anew.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use kneepoint::diagnose::{RuleSet, diagnose};
use kneepoint::recording;
use kneepoint::report::{FORMATS, Report};
use kneepoint::run;

const ENDING: &str = ".jsonl.zst";

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn entries(directory: &str) -> Vec<(String, bool)> {
    let entries = fs::read_dir(at(directory)).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, entry.file_type().unwrap().is_dir())
        })
        .collect()
}

fn is_blessing() -> bool {
    std::env::var_os("KNEEPOINT_BLESS").is_some()
}

/// Names of the recordings.
fn recordings() -> BTreeSet<String> {
    let names = entries("tests/recordings").into_iter();
    names.filter_map(|(name, _)| Some(name.strip_suffix(ENDING)?.to_owned())).collect()
}

fn report(name: &str) -> Report {
    let file = File::open(at("tests/recordings").join(format!("{name}{ENDING}"))).unwrap();
    let (recording, notes) = recording::read(BufReader::new(file)).unwrap();
    assert!(notes.is_empty(), "{name} was read in part");
    let rules = RuleSet::builtin().clone().with_sources(run::sources());
    Report::new(&recording, &diagnose(&recording, &rules))
}

#[test]
fn the_gallery_is_what_the_recordings_give() {
    let bless = is_blessing();
    let mut differing = Vec::new();
    for name in recordings() {
        let folder = at("reports/gallery").join(&name);
        if bless {
            fs::create_dir_all(&folder).unwrap();
        }
        let report = report(&name);
        for format in FORMATS {
            let mut bytes = Vec::new();
            (format.render)(&report, &mut bytes).unwrap();
            let file = folder.join(format!("report.{}", format.extension));
            if bless {
                fs::write(&file, &bytes).unwrap();
            } else if fs::read(&file).unwrap_or_default() != bytes {
                differing.push(file.display().to_string());
            }
        }
    }
    assert_eq!(
        differing, [""; 0],
        "look at what changes, then write it anew with `KNEEPOINT_BLESS=1 cargo test --test gallery`"
    );
}

#[test]
fn every_recording_has_its_folder_and_every_folder_its_recording() {
    // The other test is just writing them.
    if is_blessing() {
        return;
    }
    let folders = entries("reports/gallery").into_iter().filter(|(_, is_dir)| *is_dir);
    let folders: BTreeSet<_> = folders.map(|(name, _)| name).collect();
    assert_eq!(folders, recordings());
    for folder in &folders {
        let files: BTreeSet<_> = entries(&format!("reports/gallery/{folder}"))
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        let expected: BTreeSet<_> =
            FORMATS.iter().map(|format| format!("report.{}", format.extension)).collect();
        assert_eq!(files, expected, "{folder}");
    }
}
