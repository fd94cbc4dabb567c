//! What is laid beside a history: access logs whose clock is checked, the log of a real PostgreSQL, a
//! CSV file, and the options in a file.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use kneepoint::recording::{
    CollectorNote, Environment, PlanSummary, Recording, Stop, StopReason, Writer,
};
use kneepoint::timeline::{LoadTick, Moment, Window};

use super::postgres::{SECRET, Server};
use super::prometheus::Prometheus;
use super::service::Service;
use super::{completed, kneepoint, now, read, told};

/// Seconds of load that the counters and the log both have.
const SECONDS: u64 = 40;
/// The clock of the machine that writes the log is an hour behind.
const AHEAD: f64 = -3600.0;

#[test]
fn an_access_log_that_is_off_by_an_hour_is_laid_beside_a_real_prometheus() {
    let service = Service::start_uneven();
    let Some(prometheus) = Prometheus::start(service.port) else { return };
    sleep(Duration::from_secs(SECONDS));
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("access.log");
    fs::write(&log, service.access_log(AHEAD)).unwrap();
    let to = now() - 2.0;
    let from = to - SECONDS as f64 + 6.0;
    let options = directory.path().join("night.toml");
    let text = format!(
        "url = \"{}\"\nmatch = '{{job=\"shop\"}}'\ndatabase = ['{{job=\"db\"}}']\nfrom = \"{from:.3}\"\n\
         to = \"{to:.3}\"\naccess_log = \"{}\"\nbearer = \"${{TOKEN}}\"\n",
        prometheus.url(),
        log.display()
    );
    fs::write(&options, &text).unwrap();
    let out = directory.path().join("night");
    let (options, out) = (options.to_str().unwrap(), out.to_str().unwrap());
    let imported = kneepoint(&["import", "prometheus", options, "--out", out]);
    let said = told(&imported);
    assert!(imported.status.success(), "{said}");
    assert!(said.contains("is 1 h behind the server's own counters"), "{said}");

    let recording = read(Path::new(out));
    let ticks = &recording.timeline.ticks;
    assert!(ticks.iter().all(|tick| tick.generator == "access-log"), "{}", ticks[0].generator);
    // A log's times are whole seconds, and so are the cells.
    let zero = recording.environment.started_unix;
    let (first, last) = (ticks.first().unwrap(), ticks.last().unwrap());
    let begin = (zero + first.window.begin.secs()).round();
    let end = (zero + last.window.end.secs()).round();
    let of_service = service.ended_between(begin, end);
    let of_log = completed(&recording);
    // One second more or less where the search is off by one; never an hour.
    let one_second = of_service.div_ceil(SECONDS - 10) * 2;
    assert!(of_log.abs_diff(of_service) <= one_second, "{of_log} in the log, {of_service} ended");
    let endpoints: Vec<&str> =
        ticks.iter().flat_map(|tick| &tick.endpoints).map(|it| it.endpoint.as_str()).collect();
    assert!(endpoints.iter().all(|name| *name == "GET /cart"), "{endpoints:?}");
    // Little's law, which the sweep does not use: 40 requests a second of 60 ms each.
    let busy: f64 = ticks.iter().map(|tick| tick.in_flight * tick.window.secs()).sum();
    let spent: f64 =
        ticks.iter().flat_map(|tick| &tick.endpoints).map(|it| it.response_time.sum()).sum();
    assert!((busy / spent - 1.0).abs() < 0.05, "{busy} s in flight, {spent} s spent");
    let has_series = recording.timeline.series.keys().any(|key| key.metric.starts_with("db."));
    assert!(has_series, "the series of Prometheus are still there");

    let shifted = kneepoint(&[
        "import",
        log.to_str().unwrap(),
        "--into",
        out,
        "--shift-log",
        "0s",
        "--out",
        out,
    ]);
    assert!(!shifted.status.success(), "{}", told(&shifted));
    assert!(told(&shifted).contains("nothing of the recorded time"), "{}", told(&shifted));

    let wrong =
        fs::read_to_string(options).unwrap().replace("match", "mach").replace("from", "form");
    fs::write(options, wrong).unwrap();
    let refused = told(&kneepoint(&["coverage", "--prometheus", options]));
    for part in
        ["night.toml:2:1", "night.toml:4:1", "did you mean `match`?", "did you mean `from`?"]
    {
        assert!(refused.contains(part), "no `{part}` in\n{refused}");
    }
}

/// A history of a minute up to now that has nothing but a load.
fn history(directory: &Path) -> String {
    let path = directory.join("base.jsonl.zst");
    let environment = Environment {
        started_unix: now() - 60.0,
        collectors: vec![CollectorNote {
            name: "prometheus".to_owned(),
            instance: String::new(),
            watches: "the shop".to_owned(),
            interval_secs: 1.0,
        }],
        ..Environment::default()
    };
    let plan = PlanSummary { executor: "observed".to_owned(), ..PlanSummary::default() };
    let mut writer = Writer::create(Vec::new(), &plan, &environment).unwrap();
    for second in 0..60 {
        let at = |second: u32| Moment::from_secs_f64(f64::from(second));
        let tick = LoadTick::empty(Window::new(at(second), at(second + 1)), "observed");
        writer.tick(&tick).unwrap();
    }
    let stop = Stop { at: Moment::from_secs_f64(60.0), reason: StopReason::Completed };
    fs::write(&path, writer.finish(&stop).unwrap()).unwrap();
    path.to_str().unwrap().to_owned()
}

fn words(recording: &Recording, kind: &str) -> f64 {
    let series = recording.timeline.series_of("words.seen");
    let meant = series.filter(|(key, _)| key.labels.get("kind") == Some(kind));
    meant.flat_map(|(_, series)| &series.points).map(|point| point.value).sum()
}

#[test]
fn the_log_of_a_real_postgresql_becomes_evidence_without_a_value() {
    let directory = tempfile::tempdir().unwrap();
    let Some(server) = Server::start() else { return };
    server.go_wrong();
    for (form, file) in server.logs() {
        let base = history(directory.path());
        let out = directory.path().join(form);
        let out = out.to_str().unwrap();
        let added = kneepoint(&["import", file.to_str().unwrap(), "--into", &base, "--out", out]);
        assert!(added.status.success(), "{form}: {}", told(&added));
        let recording = read(Path::new(out));
        assert_eq!(recording.timeline.ticks.len(), 60, "{form}: the load is still there");
        assert!(words(&recording, "too_many_connections") >= 1.0, "{form}: {}", told(&added));
        assert!(words(&recording, "lock_timeout") >= 1.0, "{form}");
        assert!(words(&recording, "deadlock") >= 1.0, "{form}");
        let quotes: Vec<&str> =
            recording.timeline.quotes.iter().map(|quote| quote.text.as_str()).collect();
        for part in ["statement: SELECT pg_sleep(?)", "checkpoint", "temporary file"] {
            let is_there = quotes.iter().any(|quote| quote.contains(part));
            assert!(is_there, "{form}: no `{part}` in {quotes:#?}");
        }
        let bytes = fs::read(Path::new(out).join("recording.jsonl.zst")).unwrap();
        let text = zstd::stream::decode_all(bytes.as_slice()).unwrap();
        let log = fs::read(&file).unwrap();
        let has = |text: &[u8]| text.windows(SECRET.len()).any(|part| part == SECRET.as_bytes());
        assert!(has(&log), "{form}: the log itself has the value");
        assert!(!has(&text), "{form}: a value of a statement stands in the recording");
    }
}
