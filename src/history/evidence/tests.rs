use std::io::Cursor;

use super::*;
use crate::history::HistoryError;
use crate::history::cells::Cells;
use crate::recording::Writer;
use crate::recording::{self, Environment, PlanSummary, Recording, Stop, StopReason};
use crate::timeline::{Moment, names};

const AT: f64 = 1_795_888_800.0;

fn log(name: &str, text: &str) -> Result<Log<'static>, HistoryError> {
    Log::open(name, Box::new(Cursor::new(text.as_bytes().to_vec())), None)
}

/// The recording of ten minutes in cells of 15 s.
fn recorded(logs: &mut [Log<'_>]) -> (Recording, Tally, String) {
    let mut writer =
        Writer::create(Vec::new(), &PlanSummary::default(), &Environment::default()).unwrap();
    let cells = Cells { zero_unix: AT, end: 600.0, step: 15.0 };
    let read = write(logs, cells, &mut writer).unwrap();
    let stop = Stop { at: Moment::from_secs_f64(600.0), reason: StopReason::Completed };
    let bytes = writer.finish(&stop).unwrap();
    let text = String::from_utf8(zstd::decode_all(bytes.as_slice()).unwrap()).unwrap();
    (recording::read(bytes.as_slice()).unwrap().0, read, text)
}

const STDERR: &str = "\
2026-11-28 17:59:59.000 UTC [1] LOG:  starting PostgreSQL 15.4
2026-11-28 18:00:31.500 UTC [9] LOG:  duration: 1520.100 ms  statement: SELECT * FROM users
\tWHERE mail = 'hunter2@example.com'
2026-11-28 18:00:32.000 UTC [9] LOG:  process 9 still waiting for ShareLock on transaction 77 after 1000.1 ms
2026-11-28 18:00:32.000 UTC [9] DETAIL:  Process holding the lock: 10.
2026-11-28 18:00:32.000 UTC [9] STATEMENT:  UPDATE t SET a = 'hunter2'
2026-11-28 18:00:33.000 UTC [12] FATAL:  sorry, too many clients already
2026-11-28 18:00:50.000 UTC [13] FATAL:  sorry, too many clients already
";

#[test]
fn lines_become_the_series_of_the_collector_and_values_stay_out() {
    let journal = "__CURSOR=1\n__REALTIME_TIMESTAMP=1795888845000000\nMESSAGE=shop: QueuePool limit of size 5 reached\nPRIORITY=3\n_SYSTEMD_UNIT=shop.service\n\n";
    let mut logs = [log("journal", journal).unwrap(), log("pg.log", STDERR).unwrap()];
    let (recording, read, text) = recorded(&mut logs);
    assert_eq!((read.inside, read.outside), (5, 1));
    let sources: Vec<&str> = read.sources.iter().map(String::as_str).collect();
    assert_eq!(sources, [postgres::SOURCE, "journal of shop.service"]);
    assert!(!text.contains("hunter2"), "a value stands in the recording");
    let kind = |kind: &str| -> f64 {
        let series = recording.timeline.series_of(names::WORDS_SEEN.name);
        let meant = series.filter(|(key, _)| key.labels.get("kind") == Some(kind));
        meant.flat_map(|(_, series)| &series.points).map(|point| point.value * 15.0).sum()
    };
    assert_eq!(kind("too_many_connections").round(), 2.0);
    assert_eq!(kind("lock_timeout").round(), 1.0);
    assert_eq!(kind("pool_timeout").round(), 1.0);
    let quotes: Vec<&str> =
        recording.timeline.quotes.iter().map(|quote| quote.text.as_str()).collect();
    assert!(
        quotes.iter().any(|text| text.contains("statement: SELECT * FROM users")),
        "{quotes:?}"
    );
}

#[test]
fn csvlog_and_jsonlog_say_the_same_as_stderr() {
    let csv = "2026-11-28 18:00:33.000 UTC,\"shop\",\"shop\",12,\"10.0.0.1:5\",6a,1,\"startup\",2026-11-28 18:00:33 UTC,3/1,0,FATAL,53300,\"sorry, too many clients already\",\"hunter2\nmore\",,,,,,,,\"psql\",\"client backend\",,0\n";
    let json = "{\"timestamp\":\"2026-11-28 18:00:33.000 UTC\",\"pid\":12,\"error_severity\":\"FATAL\",\"message\":\"sorry, too many clients already\",\"detail\":\"hunter2\"}\n";
    for (name, text) in [("pg.csv", csv), ("pg.json", json)] {
        let (recording, read, text) = recorded(&mut [log(name, text).unwrap()]);
        assert_eq!(read.inside, 1, "{name}");
        assert!(!text.contains("hunter2"), "{name}");
        assert_eq!(recording.timeline.quotes[0].text, "FATAL:  sorry, too many clients already");
    }
}

#[test]
fn what_is_not_such_a_log_is_refused_with_the_next_step() {
    for (text, part) in [
        ("hello\nworld\n", "expected PostgreSQL's log"),
        ("[12] LOG:  checkpoint starting: time\n", "`%m`"),
        ("2026-11-28 18:00:00 XST [1] LOG:  checkpoint starting: time\n", "--log-zone"),
    ] {
        let Err(error) = log("a.log", text) else { panic!("{text} was taken for a log") };
        assert!(error.hint().is_some_and(|hint| hint.contains(part)), "{text}: {error}");
    }
}
