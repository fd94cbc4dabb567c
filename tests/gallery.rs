//! `reports/gallery` is what kneepoint makes of the recordings in `tests/recordings`, in every
//! format, byte for byte. `KNEEPOINT_BLESS=1 cargo test --test gallery` writes it anew.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use kneepoint::diagnose::diagnose;
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
    let rules = run::rules();
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
        // Those second by second are long tables.
        for format in FORMATS.iter().filter(|format| !format.needs_seconds) {
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

/// Three significant digits, as every rate is told.
fn told(rate: f64) -> String {
    let decimals = match rate {
        _ if rate >= 99.95 => 0,
        _ if rate >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{rate:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Every rate in a JSON value: what stands under a key that names one.
fn rates(value: &serde_json::Value, found: &mut BTreeSet<String>) {
    const KEYS: [&str; 17] = [
        "offered",
        "throughput",
        "goodput",
        "peak_goodput",
        "rate",
        "low",
        "high",
        "good",
        "bad",
        "carries",
        "predicted_capacity",
        "proven_rate",
        "broken_at",
        "arrivals",
        "max_rate",
        "queue_growth",
        "from_rate",
    ];
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                if let Some(rate) = value.as_f64().filter(|_| KEYS.contains(&key.as_str())) {
                    found.insert(told(rate));
                }
                rates(value, found);
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| rates(item, found)),
        _ => {}
    }
}

/// One stage has one number: a rate is told with the same digits in the answer, in the sentences
/// of the cause, in the table of stages and in the numbers for programs.
#[test]
fn a_rate_is_told_with_the_same_digits_everywhere() {
    for name in recordings() {
        let report = report(&name);
        let text = |format: &str| {
            let mut bytes = Vec::new();
            let format = FORMATS.iter().find(|known| known.name == format).unwrap();
            (format.render)(&report, &mut bytes).unwrap();
            String::from_utf8(bytes).unwrap()
        };
        let json: serde_json::Value = serde_json::from_str(&text("json")).unwrap();
        let mut known = BTreeSet::new();
        rates(&json["diagnosis"], &mut known);
        // What a rule predicted that the knee contradicts, as a multiple of the knee of the curve.
        let knee = &json["diagnosis"]["knee"];
        let by_curve = knee["by_curve"]["rate"].as_f64();
        let knee = by_curve.or_else(|| knee["rate"].as_f64()).unwrap_or(0.0);
        for ruled_out in json["diagnosis"]["ruled_out"].as_array().unwrap() {
            for because in ruled_out["because"].as_array().unwrap() {
                if because["signal"] == "predicted capacity by the knee" {
                    known.insert(told(because["value"].as_f64().unwrap() * knee));
                }
            }
        }
        // The load that the plan asked for.
        for fact in json["run"].as_array().unwrap() {
            let words = fact["value"].as_str().unwrap().split_whitespace();
            known.extend(words.filter(|word| word.parse::<f64>().is_ok()).map(str::to_owned));
        }
        let page = text("html").replace("&#x2f;", "/");
        // The glossary has examples with rates of no run.
        let (page, _) = page.split_once("<section id=\"words\">").unwrap();
        let page = page.split("<svg").map(|piece| piece.split("</svg>").last().unwrap());
        let page = page.collect::<String>();
        for text in [text("terminal"), text("markdown"), page] {
            let words = text.split_whitespace().collect::<Vec<_>>();
            for pair in words.windows(2) {
                let is_rate = pair[1].starts_with("requests/s");
                let number = pair[0].trim_start_matches(['(', '*']);
                if is_rate && number.parse::<f64>().is_ok() {
                    assert!(known.contains(number), "{name}: {number} requests/s");
                }
            }
        }
        let table = text("markdown");
        for stage in json["diagnosis"]["stages"].as_array().unwrap() {
            let [offered, throughput] =
                ["offered", "throughput"].map(|key| told(stage[key].as_f64().unwrap()));
            let row = format!("| {offered} | {throughput} |");
            let measured = !["drain", "recovery"].iter().any(|role| stage["role"] == **role);
            assert!(!measured || table.contains(&row), "{name}: {row}");
        }
    }
}

/// A value brings its unit along, so a sentence that names it as well says it twice.
#[test]
fn no_word_stands_twice_in_a_row() {
    let terminal = FORMATS.iter().find(|known| known.name == "terminal").unwrap();
    for name in recordings() {
        let mut bytes = Vec::new();
        (terminal.render)(&report(&name), &mut bytes).unwrap();
        let page = String::from_utf8(bytes).unwrap();
        let words: Vec<&str> = page.split_whitespace().collect();
        let is_word = |word: &str| word.len() > 2 && word.chars().all(char::is_alphabetic);
        let twice = words.windows(2).find(|pair| pair[0] == pair[1] && is_word(pair[0]));
        assert_eq!(twice, None, "{name}");
    }
}

/// An all-clear stands alone: the last load was carried, and nothing else in the report says that
/// something is wrong.
#[test]
fn no_all_clear_stands_beside_a_failure() {
    for name in recordings() {
        let report = report(&name);
        let text = |format: &str| {
            let mut bytes = Vec::new();
            let format = FORMATS.iter().find(|known| known.name == format).unwrap();
            (format.render)(&report, &mut bytes).unwrap();
            String::from_utf8(bytes).unwrap()
        };
        let json: serde_json::Value = serde_json::from_str(&text("json")).unwrap();
        let headline = json["verdict"]["headline"].as_str().unwrap();
        if !["No limit found", "No leak in"].iter().any(|clear| headline.starts_with(clear)) {
            continue;
        }
        let stages = json["diagnosis"]["stages"].as_array().unwrap();
        let of = |stage: &serde_json::Value, key: &str| stage[key].as_f64().unwrap();
        let measured = stages
            .iter()
            .filter(|stage| !["drain", "recovery"].iter().any(|role| stage["role"] == **role));
        let top = measured.max_by(|a, b| of(a, "offered").total_cmp(&of(b, "offered"))).unwrap();
        assert!(top["invalid"].is_null(), "{name}: {headline}");
        assert!(of(top, "goodput") >= 0.95 * of(top, "offered"), "{name}: {headline}");
        assert!(of(top, "error_ratio") <= 0.02, "{name}: {headline}");
        let page = text("terminal");
        for wrong in ["collapses", "does not recover", "Also found", "Leak found", "crashed"] {
            assert!(!page.contains(wrong), "{name}: {headline} beside `{wrong}`\n{page}");
        }
    }
}

#[test]
fn a_report_fits_a_screen_and_a_half() {
    for name in recordings() {
        let mut bytes = Vec::new();
        let format = FORMATS.iter().find(|format| format.name == "terminal").unwrap();
        (format.render)(&report(&name), &mut bytes).unwrap();
        let lines = String::from_utf8(bytes).unwrap().lines().count();
        assert!(lines <= 90, "{name}: {lines} lines");
    }
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
        let shown = FORMATS.iter().filter(|format| !format.needs_seconds);
        let expected: BTreeSet<_> =
            shown.map(|format| format!("report.{}", format.extension)).collect();
        assert_eq!(files, expected, "{folder}");
    }
}
