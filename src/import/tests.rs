//! All importers: how formats are told, and what several files, compressed and damaged ones come to.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use super::*;
use crate::timeline::Histogram;

/// A sample of `tests/data/formats`.
pub(super) fn sample(name: &str) -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/formats/");
    std::fs::read(format!("{path}{name}")).unwrap()
}

/// Why a file whose format is to be told is refused.
pub(super) fn refusal(bytes: &[u8]) -> String {
    let mut files = Files::new(None);
    let read = files.add(&mut &*bytes).and_then(|()| files.into_recording("it"));
    read.unwrap_err().to_string()
}

/// A recording that was read.
pub(super) struct Read {
    pub(super) recording: Recording,
    pub(super) notes: String,
}

impl Read {
    /// Reads with an importer.
    pub(super) fn of(name: &str, bytes: &[u8]) -> Self {
        Self::with(Files::new(find(name)), &[bytes])
    }

    /// Reads a file whose format has to be told.
    pub(super) fn told(bytes: &[u8]) -> Self {
        Self::with(Files::new(None), &[bytes])
    }

    fn with(mut files: Files, inputs: &[&[u8]]) -> Self {
        inputs.iter().for_each(|input| files.add(&mut &**input).unwrap());
        let recording = files.into_recording("it").unwrap();
        let notes: Vec<_> = recording.events.iter().map(|event| event.text.as_str()).collect();
        Self { notes: notes.join("\n"), recording }
    }

    /// Checks all requests and failures, and those of some endpoints.
    pub(super) fn assert_counts(&self, all: u64, failed: u64, some: &[(&str, u64, u64)]) {
        let count = |name: Option<&str>| {
            let ticks = self.recording.timeline.ticks.iter();
            let ended = ticks
                .flat_map(|tick| &tick.endpoints)
                .filter(|it| name.is_none_or(|name| it.endpoint == name));
            ended.fold((0, 0), |(all, failed), it| {
                let count = it.response_time.count();
                (all + count, failed + if it.class.is_success() { 0 } else { count })
            })
        };
        assert_eq!(count(None), (all, failed));
        for (name, all, failed) in some {
            assert_eq!(count(Some(name)), (*all, *failed), "{name}");
        }
    }

    /// Checks the requests of each endpoint, and those of each class.
    pub(super) fn assert_served(&self, endpoints: &[(&str, u64)], classes: &[(&str, u64)]) {
        let mut found: [BTreeMap<String, u64>; 2] = Default::default();
        for it in self.recording.timeline.ticks.iter().flat_map(|tick| &tick.endpoints) {
            let count = it.response_time.count();
            *found[0].entry(it.endpoint.clone()).or_default() += count;
            *found[1].entry(it.class.to_string()).or_default() += count;
        }
        let expected = |counts: &[(&str, u64)]| -> BTreeMap<String, u64> {
            counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
        };
        assert_eq!(found, [expected(endpoints), expected(classes)]);
    }

    /// What failed requests said, and how often.
    pub(super) fn said(&self) -> Vec<(String, u64)> {
        let mut said: BTreeMap<String, u64> = BTreeMap::new();
        for failure in self.recording.timeline.ticks.iter().flat_map(|tick| &tick.failures) {
            *said.entry(failure.kind.example.clone()).or_default() += failure.count;
        }
        said.into_iter().collect()
    }

    /// Checks a quantile of the successes, in milliseconds: one bucket is 1 % of its value.
    pub(super) fn assert_ms(&self, share: f64, expected: f64) {
        let mut times = Histogram::new();
        let ticks = self.recording.timeline.ticks.iter();
        ticks.flat_map(|tick| tick.successes()).for_each(|it| times.merge(it));
        let got = times.quantile(share).unwrap() * 1e3;
        assert!((got - expected).abs() <= 0.011 * expected, "{got} ms, expected {expected} ms");
    }
}

/// Each sample, and the importer that has to know it.
pub(super) const SAMPLES: &[(&str, &str)] = &[
    ("accesslog-alb.sample.log", "alb"),
    ("accesslog-apache-d.sample.log", "access-log"),
    ("accesslog-caddy.sample.log", "caddy"),
    ("accesslog-cloudfront.sample.log", "cloudfront"),
    ("accesslog-combined.sample.log", "access-log-rates"),
    ("accesslog-haproxy.sample.log", "haproxy"),
    ("accesslog-iis.sample.log", "iis"),
    ("accesslog-nginx-timed-keyed.sample.log", "access-log"),
    ("accesslog-nginx-timed.sample.log", "access-log"),
    ("accesslog-traefik-clf.sample.log", "access-log"),
    ("accesslog-traefik-json.sample.log", "traefik"),
    ("ab-gnuplot.sample.tsv", "ab-gnuplot"),
    ("gatling-binary-cut.sample.log", "gatling-binary"),
    ("gatling-binary.sample.log", "gatling-binary"),
    ("ab.sample.txt", "ab"),
    ("taurus.sample.csv", "taurus-csv"),
    ("taurus.sample.xml", "taurus"),
    ("artillery-v1.sample.json", "artillery"),
    ("artillery-v2-early.sample.json", "artillery"),
    ("artillery-v2.sample.json", "artillery"),
    ("autocannon.sample.json", "autocannon"),
    ("fortio-nighthawk.sample.json", "fortio"),
    ("fortio.sample.json", "fortio"),
    ("ghz.sample.txt", "ghz-text"),
    ("hey-few.sample.txt", "hey-text"),
    ("hey.sample.txt", "hey-text"),
    ("jmeter-aggregate-comma.sample.csv", "jmeter-aggregate"),
    ("jmeter-aggregate-statistics.sample.json", "jmeter-statistics"),
    ("jmeter-aggregate-summariser.sample.log", "jmeter-summariser"),
    ("jmeter-aggregate.sample.csv", "jmeter-aggregate"),
    ("k6-summary-export.sample.json", "k6-summary"),
    ("k6-summary-v1.sample.json", "k6-summary"),
    ("k6-summary.sample.json", "k6-summary"),
    ("locust-exceptions.sample.csv", "locust-exceptions"),
    ("locust-failures.sample.csv", "locust-failures"),
    ("locust-stats.sample.csv", "locust-stats"),
    ("nighthawk.sample.json", "nighthawk"),
    ("oha.sample.json", "oha"),
    ("oha.sample.txt", "oha-text"),
    ("vegeta-text.sample.txt", "vegeta-text"),
    ("wrk.sample.txt", "wrk"),
    ("wrk2.sample.txt", "wrk"),
    ("artillery-text.sample.txt", "artillery-text"),
    ("autocannon-text.sample.txt", "autocannon-text"),
    ("bombardier.sample.txt", "bombardier"),
    ("drill.sample.txt", "drill"),
    ("h2load.sample.txt", "h2load"),
    ("httperf.sample.txt", "httperf"),
    ("siege.sample.txt", "siege"),
    ("gatling-console-v312.sample.txt", "gatling-text"),
    ("gatling-console.sample.txt", "gatling-text"),
    ("gatling-stats.sample.json", "gatling-stats"),
    ("k6-text-v1.sample.txt", "k6-text"),
    ("k6-text.sample.txt", "k6-text"),
    ("locust-text.sample.txt", "locust-text"),
    ("nighthawk-text.sample.txt", "nighthawk-text"),
    ("gatling-text-31.sample.log", "gatling"),
    ("gatling-text.sample.log", "gatling"),
    ("hey-csv.sample.csv", "hey"),
    ("jmeter-jtl-csv-appended.sample.jtl", "jtl"),
    ("jmeter-jtl-csv-dates.sample.csv", "jtl"),
    ("jmeter-jtl-csv-endstamps.sample.jtl", "jtl"),
    ("jmeter-jtl-csv-multiline.sample.jtl", "jtl"),
    ("jmeter-jtl-csv-noheader.sample.jtl", "jtl"),
    ("jmeter-jtl-csv-notimes.sample.csv", "jtl"),
    ("jmeter-jtl-csv-tabs.sample.jtl", "jtl"),
    ("jmeter-jtl-csv.sample.jtl", "jtl"),
    ("jmeter-jtl-xml-cut.sample.jtl", "jtl-xml"),
    ("jmeter-jtl-xml.sample.jtl", "jtl-xml"),
    ("k6-csv-nano.sample.csv", "k6-csv"),
    ("k6-csv.sample.csv", "k6-csv"),
    ("k6-json-old.sample.json", "k6"),
    ("k6-json.sample.json", "k6"),
    ("locust-stats-history-1x.sample.csv", "locust"),
    ("locust-stats-history-full.sample.csv", "locust"),
    ("locust-stats-history.sample.csv", "locust"),
    ("phout.sample.log", "phout"),
    ("vegeta-csv.sample.csv", "vegeta-csv"),
    ("vegeta-gob-cut.sample.bin", "vegeta-gob"),
    ("vegeta-gob-old.sample.bin", "vegeta-gob"),
    ("vegeta-gob.sample.bin", "vegeta-gob"),
    ("vegeta-json.sample.json", "vegeta"),
];

#[test]
fn text_of_windows_is_read() {
    let text = String::from_utf8(sample("locust-stats-history.sample.csv")).unwrap();
    for order in [u16::to_le_bytes, u16::to_be_bytes] {
        let marked = format!("\u{feff}{}", text.replace('\n', "\r\n"));
        let bytes: Vec<u8> = marked.encode_utf16().flat_map(order).collect();
        Read::told(&bytes).assert_counts(731, 82, &[]);
    }
}

#[test]
fn each_sample_is_told_by_one_importer() {
    for (name, right) in SAMPLES {
        let begin = String::from_utf8_lossy(&sample(name)).into_owned();
        let begin = begin.trim_start_matches('\u{feff}');
        let told: Vec<_> =
            Format::all().filter(|format| format.looks_like(begin)).map(Format::name).collect();
        assert_eq!(told, [*right], "{name}");
    }
    let tested: BTreeSet<_> = SAMPLES.iter().map(|(_, name)| *name).collect();
    assert!(Format::all().all(|format| tested.contains(format.name())));
}

#[test]
fn every_importer_has_a_different_name() {
    let names: BTreeSet<_> = Format::all().map(Format::name).collect();
    assert_eq!(names.len(), IMPORTERS.len() + SUMMARIES.len());
}

#[test]
fn mistakes_are_told_with_their_line() {
    let refusal = |text: &str| {
        import(find("vegeta").unwrap(), "it", &mut text.as_bytes()).unwrap_err().to_string()
    };
    assert_eq!(refusal("\n \n"), "the file holds no request");
    let text = refusal("\n{\"code\": 200}\nnonsense\n");
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("line 2: ") && lines[0].contains("timestamp"), "{text}");
    assert!(lines[1].starts_with("line 3: "), "{text}");
    assert_eq!(refusal(&"nonsense\n".repeat(40)).lines().count(), error::MOST_MISTAKES);
}

#[test]
fn a_line_without_end_is_not_read_to_its_end() {
    let mut endless = io::BufReader::new(io::repeat(b'x'));
    let why = import(find("k6").unwrap(), "it", &mut endless).unwrap_err();
    assert_eq!(why.to_string(), "line 1 is longer than 16 MB");
    let begin = &b"timeStamp,elapsed,label\n\""[..];
    let quote = io::Read::chain(begin, io::repeat(b'x'));
    let why = Files::new(None).add(&mut io::BufReader::new(quote)).unwrap_err();
    assert_eq!(why.to_string(), "line 2 is longer than 16 MB");
}

#[test]
fn a_file_of_no_known_format_is_refused_with_what_was_seen() {
    assert_eq!(refusal(b"time;what\n1;2\n"), "cannot tell the format: it begins with `time;what`");
    assert_eq!(refusal(b"\n"), "the file holds no request");
    for (begin, instead) in
        [(&b"\0\x01\x02"[..], "simulation.log"), (b"{\"metrics\":{}}", "--out json")]
    {
        let why = refusal(begin);
        assert!(why.starts_with("this is ") && why.contains(instead), "{why}");
    }
}

#[test]
fn compressed_files_are_told_by_their_first_bytes() {
    let plain = sample("k6-csv-nano.sample.csv");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(&*plain, 1).unwrap();
    for bytes in [&gzip, &zstd] {
        Read::told(bytes).assert_counts(16, 2, &[]);
    }
    let cut = Read::told(&gzip[..gzip.len() - 20]);
    assert!(cut.notes.contains("cut off"), "{}", cut.notes);
    let marked = [&b"\xef\xbb\xbf"[..], &plain].concat();
    Read::told(&marked).assert_counts(16, 2, &[]);
}

#[test]
fn several_files_are_one_run_and_their_users_run_beside_each_other() {
    let file = |thread: &str| {
        let header = "timeStamp,elapsed,label,responseCode,threadName,success,allThreads\n";
        let row = |second: u64| {
            format!("{},10,Home,200,{thread},true,5\n", 1_777_885_500_000 + 1000 * second)
        };
        header.to_owned() + &(0..20).map(row).collect::<String>()
    };
    let (one, two) = (file("a"), file("b"));
    let read = Read::with(Files::new(None), &[one.as_bytes(), two.as_bytes()]);
    read.assert_counts(40, 0, &[("Home", 40, 0)]);
    let stages = &read.recording.timeline.stages;
    assert_eq!(stages.iter().map(|stage| stage.vus()).collect::<Vec<_>>(), [10.0]);
    let mut files = Files::new(None);
    files.add(&mut one.as_bytes()).unwrap();
    let why = files.add(&mut &*sample("hey-csv.sample.csv")).unwrap_err().to_string();
    assert!(why.contains("like hey") && why.contains("like jtl"), "{why}");
}

/// Users who think for half a second, of a server that carries 100 requests per second.
fn closed_loop(levels: &[u64], throughput: impl Fn(u64) -> u64) -> Vec<u8> {
    let mut text = String::from("metric_name,timestamp,metric_value,name,status\n");
    for second in 0..levels.len() as u64 * 10 {
        let (at, users) = (1_777_885_500_000 + second * 1000, levels[second as usize / 10]);
        text.push_str(&format!("vus,{at},{users},,\n"));
        let rate = throughput(users);
        let took = 1000.0 * users as f64 / rate as f64 - 500.0;
        for place in 0..rate {
            let end = at + 1000 * place / rate;
            text.push_str(&format!("http_req_duration,{end},{took},home,200\n"));
        }
    }
    text.into_bytes()
}

#[test]
fn levels_of_users_are_stages_and_nobody_offers_a_rate() {
    let levels = [5, 10, 20, 40, 50, 80, 120];
    let read = Read::told(&closed_loop(&levels, |users| (users * 19 / 10).min(100)));
    let stages = &read.recording.timeline.stages;
    assert!(stages.iter().all(|stage| stage.is_closed()));
    let held = levels.map(|level| stages.iter().any(|it| it.vus() == level as f64));
    assert_eq!(held, [true; 7], "{stages:?}");
    assert_eq!(read.recording.plan.max_vus, 120);
    assert!(read.notes.contains("virtual users"), "{}", read.notes);
}

#[test]
fn a_constant_number_of_users_at_ever_higher_rates_is_an_open_load() {
    let mut text = String::from("metric_name,timestamp,metric_value,name,status\n");
    for second in 0..40_u64 {
        let at = 1_777_885_500_000 + second * 1000;
        text.push_str(&format!("vus,{at},50,,\n"));
        let rate = 20 * (1 + second / 10);
        for place in 0..rate {
            text.push_str(&format!("http_req_duration,{},5,home,200\n", at + 1000 * place / rate));
        }
    }
    let stages = Read::told(text.as_bytes()).recording.timeline.stages;
    assert!(stages.len() >= 4 && stages.iter().all(|stage| stage.rate() > 0.0), "{stages:?}");
}

#[test]
fn a_summary_is_kept_beside_a_recording_and_is_none() {
    let mut files = Files::new(None);
    files.add(&mut &*sample("locust-failures.sample.csv")).unwrap();
    assert!(!files.have_times());
    files.add(&mut &*sample("locust-stats-history.sample.csv")).unwrap();
    files.add(&mut &*sample("locust-stats.sample.csv")).unwrap();
    assert!(files.have_times());
    let formats: Vec<_> = files.summaries().iter().map(|summary| summary.format).collect();
    assert_eq!(formats, ["locust-failures", "locust-stats"]);
    assert_eq!(files.into_recording("it").unwrap().timeline.ticks.len(), 9);
    let why = refusal(&sample("k6-summary.sample.json"));
    assert!(why.contains("a summary, which has no times: run `k6 run --out json"), "{why}");
}
