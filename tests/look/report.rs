//! What the page of a report can do with script.

use std::path::Path;
use std::time::Duration;

use kneepoint::diagnose::diagnose;
use kneepoint::recording::{Environment, PlanSummary, Recording};
use kneepoint::timeline::{
    Batch, BatchBuilder, EndpointTick, Histogram, Kind, Labels, LoadTick, Moment, ResponseClass,
    SeriesKey, Stage, StageRole, Timeline, Unit, Window, names,
};

use serde_json::json;

use super::Run;
use super::browser::Browser;

/// Bytes of a page at most, for an hour of ten endpoints.
const MOST_BYTES: usize = 1_500_000;

/// An hour of ten endpoints, in stages of five minutes, with everything that panels show.
fn hour() -> Recording {
    let mut timeline = Timeline::default();
    let window = |from: u64, to: u64| {
        Window::new(Moment::from_secs_f64(from as f64), Moment::from_secs_f64(to as f64))
    };
    for stage in 0..12 {
        let window = window(stage * 300, (stage + 1) * 300);
        let role = if stage == 0 { StageRole::Baseline } else { StageRole::Ramp };
        timeline.stages.push(Stage::constant(role, window, 100.0 + 20.0 * stage as f64));
    }
    for second in 0..3600 {
        let rate = 10 + 2 * (second / 300);
        let endpoint = |number: u64| {
            let mut times = Histogram::new();
            for request in 0..rate {
                let micros = 5000 + 137 * number + 11 * (request * second % 97);
                times.record(Duration::from_micros(micros));
            }
            EndpointTick {
                endpoint: format!("endpoint {number}"),
                class: ResponseClass::Status(if second % 60 == number { 503 } else { 200 }),
                response_time: times.clone(),
                service_time: times,
            }
        };
        timeline.ticks.push(LoadTick {
            offered: 10 * rate,
            sent: 10 * rate,
            in_flight: rate as f64 / 7.0,
            endpoints: (0..10).map(endpoint).collect(),
            ..LoadTick::empty(window(second, second + 1), "here")
        });
        let mut batch = BatchBuilder::new();
        let process = || Labels::none().with("process", "target");
        let mode = || Labels::none().with("mode", "user");
        let wave = (second % 83) as f64 / 83.0;
        batch.push_labelled(&names::PROCESS_CPU_TIME, process(), second as f64 * 0.7 + wave);
        batch.push(&names::GENERATOR_CPU_TIME, second as f64 * 0.1 + wave / 9.0);
        // The target's host, and the one of an agent.
        batch.push_labelled(&names::SYSTEM_CPU_TIME, mode(), second as f64 * 0.9);
        let apart = format!("agent.{}", names::SYSTEM_CPU_TIME.name);
        let agent = SeriesKey::new(&apart, mode().with("agent", "db-1"));
        batch.push_foreign(agent, Unit::Seconds, Kind::Counter, second as f64 * 0.3);
        for state in ["active", "idle", "idle in transaction"] {
            let labels = Labels::none().with("state", state).with("wait_type", "none");
            batch.push_labelled(&names::DB_SESSIONS, labels, 3.0 + 2.0 * wave);
        }
        timeline.push_batch(Batch {
            collector: "all".to_owned(),
            window: window(second, second + 1),
            readings: batch.finish(),
        });
    }
    Recording {
        plan: PlanSummary { name: "an hour".to_owned(), ..PlanSummary::default() },
        environment: Environment { cores: 2, ..Environment::default() },
        timeline,
        events: Vec::new(),
        stop: None,
    }
}

#[test]
fn an_hour_of_ten_endpoints_is_one_small_file() {
    let recording = hour();
    let report =
        kneepoint::report::Report::new(&recording, &diagnose(&recording, &kneepoint::run::rules()));
    let mut page = Vec::new();
    (kneepoint::report::find("html").unwrap().render)(&report, &mut page).unwrap();
    assert!(page.len() <= MOST_BYTES, "{} bytes", page.len());
    super::browser::keep("hour.html", &page);
    let Some(mut browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.html");
    std::fs::write(&file, &page).unwrap();
    browser.size(1280, 900);
    browser.open(&format!("file://{}", file.display()));
    // What the choice shows, by the title of its last chart.
    let choose = |what: &str, value: &str| {
        format!(
            "(function () {{ var labels = document.querySelectorAll('#tools label');\
             var it = [].find.call(labels, function (it) {{ return it.textContent.startsWith('{what}'); }});\
             it = it.querySelector('select'); it.value = '{value}';\
             it.dispatchEvent(new Event('change'));\
             var charts = document.querySelectorAll('.extra');\
             return charts[charts.length - 1].textContent; }})()"
        )
    };
    let title = browser.eval(&choose("Endpoint", "3"));
    assert!(title.as_str().unwrap().starts_with("endpoint 3: "), "{title}");
    let title = browser.eval(&choose("Host", "1"));
    assert!(title.as_str().unwrap().starts_with("db-1: cores in use"), "{title}");
    assert!(title.as_str().unwrap().ends_with("at most 0.3 cores"), "{title}");
    browser.eval("document.getElementById('time').scrollIntoView()");
    browser.picture("report-endpoint");
    browser.fits("hour");
    assert_eq!(browser.errors, [""; 0]);
}

fn view() -> (Run, tempfile::TempDir) {
    let recording =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/pool-small.jsonl.zst");
    let out = tempfile::tempdir().unwrap();
    let run = Run::view(&recording);
    (run, out)
}

#[test]
fn a_reader_zooms_looks_into_evidence_and_searches() {
    let Some(mut browser) = Browser::start() else { return };
    let (run, _out) = view();
    browser.size(1280, 900);
    browser.open(&run.url);
    browser.wait("!document.getElementById('hint').hidden");
    browser.picture("report-top");

    // The crosshair has every panel's values at one time.
    let box_of = "(function () { var it = document.querySelector('#time-load .plot');\
                  it.scrollIntoView({ block: 'center' }); var box = it.getBoundingClientRect();\
                  return [box.left, box.top, box.width, box.height]; })()";
    let corners = browser.eval(box_of);
    let [left, top, width, height] = [0, 1, 2, 3].map(|at| corners[at].as_f64().unwrap());
    let (x, y) = (left + width / 2.0, top + height / 2.0);
    browser.mouse("mouseMoved", x, y, 0);
    browser.wait("document.querySelector('#time-load .now').textContent.startsWith('at ')");
    let empty = "[].filter.call(document.querySelectorAll('.time .legend output'),\
                 function (it) { return !it.textContent; }).length";
    assert_eq!(browser.eval(empty), 0);
    browser.picture("report-crosshair");

    // Dragging zooms all panels, and the address keeps it.
    browser.mouse("mousePressed", x, y, 1);
    browser.mouse("mouseMoved", x + width / 4.0, y, 1);
    browser.mouse("mouseReleased", x + width / 4.0, y, 0);
    browser.wait("/^#time=[\\d.]+-[\\d.]+$/.test(location.hash)");
    browser.picture("report-zoomed");
    let hash = browser.eval("location.hash").as_str().unwrap().to_owned();
    let shown = "document.querySelector('#tools').lastChild.textContent";
    let before = browser.eval(shown);
    assert!(before.as_str().unwrap().starts_with("shown: "), "{before}");
    browser.open("about:blank");
    browser.open(&format!("{}{hash}", run.url));
    assert_eq!(browser.eval(shown), before);

    // A piece of evidence shows its series and the window that was judged, on every panel.
    browser.eval("document.querySelector('tr[data-window] button').click()");
    assert_eq!(browser.eval("document.querySelectorAll('tr.looked-into').length"), 1);
    assert_eq!(
        browser.eval("document.querySelectorAll('tr.looked-into svg path[d^=M]').length > 1"),
        true
    );
    let panels = browser.eval("document.querySelectorAll('.time').length").as_u64().unwrap();
    let marked = "document.querySelectorAll('.judged').length";
    assert!(browser.eval(marked).as_u64().unwrap() >= panels);
    browser.eval("document.querySelector('tr.looked-into').scrollIntoView({ block: 'center' })");
    browser.picture("report-evidence");
    browser.eval("document.querySelector('tr[data-window] button').click()");
    assert_eq!(browser.eval(marked), 0);

    // A legend dims the other lines of its panel.
    let legend = "document.querySelector('#time-load .legend button')";
    browser.eval(&format!("{legend}.click()"));
    assert_eq!(browser.eval("document.querySelectorAll('#time-load .dim').length > 0"), true);
    assert_eq!(browser.eval("document.querySelectorAll('#time-cpu .dim').length"), 0);
    browser.eval(&format!("{legend}.click()"));
    assert_eq!(browser.eval("document.querySelectorAll('.dim').length"), 0);

    search(&mut browser);
    browser.fits("report");
    assert_eq!(browser.errors, [""; 0]);
    run.interrupt();
    let (said, code) = run.end();
    assert_eq!(code, Some(0), "{said}");
}

fn search(browser: &mut Browser) {
    let kept = "[].filter.call(document.querySelectorAll('#evidence article, .rows > li'),\
                function (it) { return !it.hidden; }).length";
    let all = browser.eval(kept).as_u64().unwrap();
    let write = |text: &str| {
        format!(
            "(function () {{ var it = document.getElementById('search'); it.value = {};\
             it.dispatchEvent(new Event('input')); }})()",
            json!(text)
        )
    };
    browser.eval(&write("POOL wait"));
    let some = browser.eval(kept).as_u64().unwrap();
    assert!(some > 0 && some < all, "{some} of {all}");
    browser.eval(&write("no such words"));
    assert_eq!(browser.eval(kept), 0);
    browser.eval(&write(""));
    assert_eq!(browser.eval(kept), all);
}

#[test]
fn the_keyboard_reads_zooms_and_downloads() {
    let Some(mut browser) = Browser::start() else { return };
    let (run, _out) = view();
    let downloads = tempfile::tempdir().unwrap();
    browser.call(
        "Page.setDownloadBehavior",
        &json!({ "behavior": "allow", "downloadPath": downloads.path() }),
    );
    browser.open(&run.url);
    browser.eval("document.querySelector('#time-load .cover').focus()");
    let press = |browser: &mut Browser, key: &str| {
        for kind in ["keyDown", "keyUp"] {
            browser.call("Input.dispatchKeyEvent", &json!({ "type": kind, "key": key }));
        }
    };
    press(&mut browser, "ArrowRight");
    press(&mut browser, "ArrowRight");
    let said = "document.querySelector('#time-load .cover').getAttribute('aria-valuetext')";
    let text = browser.eval(said);
    assert!(text.as_str().unwrap().contains("offered "), "{text}");
    press(&mut browser, "+");
    browser.wait("/^#time=[\\d.]+-[\\d.]+$/.test(location.hash)");
    press(&mut browser, "0");
    browser.wait("location.hash === '#time'");
    browser.eval(
        "[].find.call(document.querySelectorAll('#tools button'),\
         function (it) { return it.textContent.startsWith('Download'); }).click()",
    );
    let file = downloads.path().join("series.csv");
    let since = std::time::Instant::now();
    while !file.exists() && since.elapsed() < std::time::Duration::from_secs(10) {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let mut rows = csv::Reader::from_path(&file).unwrap();
    let head = rows.headers().unwrap().clone();
    assert!(head.iter().any(|name| name == "load: offered"), "{head:?}");
    assert!(rows.records().all(|row| row.is_ok_and(|row| row.len() == head.len())));
    assert_eq!(browser.errors, [""; 0]);
    run.interrupt();
    run.end();
}
