//! The collector on real files, and what becomes of planted secrets.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::*;
use crate::plan::OptionValue;
use crate::timeline::Reading;

/// A log file and the collector that follows it.
struct Watched {
    path: PathBuf,
    collector: Box<dyn Collector>,
    _directory: tempfile::TempDir,
}

fn watched() -> Watched {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.log");
    append(&path, "ERROR of yesterday\n");
    let files = OptionValue::Texts(vec![path.display().to_string()]);
    let config = CollectorConfig::new("logs").with("files", files);
    let collector = open(&config, &TargetHint::default()).unwrap();
    Watched { path, collector, _directory: directory }
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

impl Watched {
    fn look(&mut self, text: &str) -> Vec<Reading> {
        append(&self.path, text);
        let mut batch = BatchBuilder::new();
        self.collector.sample(&mut batch).unwrap();
        batch.finish()
    }
}

fn value(readings: &[Reading], metric: &str, label: &str, value: &str) -> Option<f64> {
    let found = readings.iter().find(|reading| {
        reading.key.metric == metric && reading.key.labels.get(label) == Some(value)
    });
    found.map(|reading| reading.value)
}

#[test]
fn lines_are_counted_by_level_template_and_sentence() {
    let mut watched = watched();
    let first = watched.look(
        "2026-11-28 18:00:01 INFO order 17 created\n\
         2026-11-28 18:00:02 INFO order 18 created\n\
         2026-11-28 18:00:03 ERROR pool timeout after 30 s for user 'joe'\n",
    );
    let level = |readings: &[Reading], level| value(readings, "log.lines", "level", level).unwrap();
    assert_eq!(level(&first, "info"), 2.0);
    assert_eq!(level(&first, "error"), 1.0, "what was there before does not count");
    let template = "# # INFO order # created";
    assert_eq!(value(&first, "log.template.lines", "template", template), Some(2.0));
    assert!(value(&first, "words.seen", "kind", "pool_timeout").unwrap() > 0.0);
    let quotes = watched.collector.quotes();
    assert_eq!(quotes.len(), 2);
    assert_eq!(quotes[0].1, "2026-11-28 18:00:01 INFO order 17 created");

    let second = watched.look("2026-11-28 18:00:03 ERROR pool timeout after 31 s for user 'ann'\n");
    assert_eq!(level(&second, "error"), 2.0);
    assert_eq!(value(&second, "log.template.lines", "template", template), None, "nothing new");
    assert!(watched.collector.quotes().is_empty());
    assert!(value(&watched.look(""), "words.seen", "kind", "pool_timeout").is_none());
}

/// Secrets in the forms in which they get into logs, each with the text around it.
const PLANTED: &[(&str, &str)] = &[
    ("ERROR auth failed: Authorization: Bearer hunter2.tok-1", "hunter2"),
    ("WARN connect postgres://shop:hunter2@db:5432/shop refused", "hunter2"),
    ("{\"level\":\"error\",\"msg\":\"login\",\"password\":\"hunter2\"}", "hunter2"),
    ("{\"level\":\"error\",\"msg\":\"login password=hunter2\"}", "hunter2"),
    ("level=error msg=\"call failed\" api_key=hunter2", "hunter2"),
    ("level=error msg=\"call with api_key=hunter2 failed\"", "hunter2"),
    ("ERROR Cookie: sid=hunter2; theme=dark", "hunter2"),
    ("ERROR jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.hunter2 expired", "hunter2"),
    ("ERROR AKIAIOSFODNN7EXAMPLE denied", "AKIAIOSFODNN7EXAMPLE"),
    ("ERROR wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY denied", "K7MDENG"),
    (
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEhunter2\nhunter2==\n-----END RSA PRIVATE KEY-----",
        "hunter2",
    ),
    ("ERROR no such user: joe.hunter2@example.com", "hunter2"),
    ("1.2.3.4 - - [t] \"GET /pay?token=hunter2&x=1 HTTP/1.1\" 502 0", "hunter2"),
    ("2026-11-28 18:00:01 UTC [7] STATEMENT:  ALTER USER joe PASSWORD 'hunter2'", "hunter2"),
    ("ERROR client_secret: \"hunter2 and more\"", "hunter2"),
];

#[test]
fn no_planted_secret_is_kept() {
    let mut watched = watched();
    for (line, secret) in PLANTED {
        let readings = watched.look(&format!("{line}\n"));
        let mut kept = format!("{readings:?} {:?}", watched.collector.events());
        for (key, text) in watched.collector.quotes() {
            kept.push_str(&format!("{key} {text}"));
        }
        assert!(!kept.contains(secret), "{line}: {kept}");
    }
}

#[test]
fn a_plan_that_names_no_log_is_refused() {
    let Err(error) = open(&CollectorConfig::new("logs"), &TargetHint::default()) else { panic!() };
    assert!(error.hint.contains("files"), "{error}");
}
