//! What is written is read again, whatever happens to the file in between.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::timeline::{
    Batch, EndpointTick, FailureCount, FailureKind, Gap, Histogram, JourneyTick, Kind, Labels,
    LoadTick, Moment, Phases, Quote, Reading, ResponseClass, SeriesKey, Stage, StageRole, Timeline,
    Unit, Window,
};

fn window(second: u64) -> Window {
    let begin = Moment::from_nanos(second * 1_000_000_000);
    Window::new(begin, begin + Duration::from_secs(1))
}

fn failure(example: &str, count: u64) -> FailureCount {
    let kind = FailureKind {
        endpoint: "cart".to_owned(),
        class: ResponseClass::Status(503),
        template: example.to_lowercase(),
        example: example.to_owned(),
        headers: vec![("retry-after".to_owned(), "1".to_owned())],
        is_rest: example.is_empty(),
    };
    FailureCount { kind: Arc::new(kind), count }
}

fn tick(second: u64) -> LoadTick {
    let mut response_time = Histogram::new();
    for micros in 0..200 {
        response_time.record(Duration::from_micros(900 + micros * second));
    }
    LoadTick {
        journeys: JourneyTick::default(),
        window: window(second),
        generator: "here".to_owned(),
        offered: 200,
        sent: 200,
        held_back: second % 3,
        in_flight: 1.5 + second as f64,
        backlog: 0,
        lateness: Histogram::new(),
        connect_time: response_time.clone(),
        connects: 2,
        // An even second is like one of an older recording.
        phases: match second % 2 {
            0 => Phases::default(),
            _ => Phases {
                dns: response_time.clone(),
                wait: response_time.clone(),
                ..Phases::default()
            },
        },
        failures: match second % 2 {
            0 => Vec::new(),
            _ => vec![failure("shop \"é\" is full", 3), failure("shop is closed", second)],
        },
        endpoints: vec![
            EndpointTick {
                endpoint: "product \"é\"".to_owned(),
                class: ResponseClass::Status(200),
                response_time: response_time.clone(),
                service_time: response_time.clone(),
            },
            EndpointTick {
                endpoint: "cart".to_owned(),
                class: ResponseClass::Timeout,
                response_time: response_time.clone(),
                service_time: response_time,
            },
        ],
    }
}

fn batch(second: u64) -> Batch {
    let value = |name: &str, state: &str, value: f64| Reading {
        key: SeriesKey::new(name, Labels::none().with("state", state)),
        unit: Unit::Count,
        kind: Kind::Census,
        value,
    };
    let mut readings = vec![
        value("db.sessions", "active", second as f64),
        value("db.sessions", "idle", -0.125),
        value("db.huge", "x", 1e300),
    ];
    if second > 3 {
        readings.push(value("db.sessions", "idle in transaction", 3.25));
    }
    Batch { collector: "postgres".to_owned(), window: window(second), readings }
}

fn stop() -> Stop {
    let at = Moment::from_secs_f64(20.0);
    Stop { at, reason: StopReason::TargetGone("refused".to_owned()) }
}

/// Writes `seconds` of a run, calling `flush_if_due` each second as a run does.
fn fill<W: Write>(writer: &mut Writer<W>, seconds: u64) -> Result<(), WriteError> {
    for second in 0..seconds {
        writer.tick(&tick(second))?;
        writer.batch(&batch(second))?;
        if second % 5 == 4 {
            let window = window(second);
            let stage = StageRole::Ramp;
            writer.stage(&Stage {
                rate_from: 10.0,
                vus_to: 7.0,
                ..Stage::constant(stage, window, 20.5)
            })?;
            let reason = "timed out".to_owned();
            writer.gap(&Gap { collector: "postgres".to_owned(), window, reason })?;
            let key = batch(second).readings[0].key.clone();
            let (collector, text) = ("logs".to_owned(), "ERROR no room".to_owned());
            writer.quote(&Quote { at: window.end, collector, key, text })?;
            writer.event(&Event { at: window.begin, text: "line\nbreak".to_owned() })?;
        }
        writer.flush_if_due(window(second).end)?;
    }
    Ok(())
}

fn file(seconds: u64) -> Vec<u8> {
    let mut writer = begin(Vec::new()).unwrap();
    fill(&mut writer, seconds).unwrap();
    writer.finish(&stop()).unwrap()
}

fn begin<W: Write>(out: W) -> Result<Writer<W>, WriteError> {
    let environment = Environment { started_unix: 1.5e9, cores: 4, ..Environment::default() };
    Writer::create(
        out,
        &PlanSummary { name: "shop".to_owned(), ..PlanSummary::default() },
        &environment,
    )
}

/// The recording that a reader of all of [`file`] has.
fn expected(seconds: u64) -> Recording {
    let mut timeline = Timeline::default();
    for second in 0..seconds {
        timeline.ticks.push(tick(second));
        timeline.push_batch(batch(second));
    }
    let (recording, _) = read(file(seconds).as_slice()).unwrap();
    Recording {
        timeline: Timeline {
            stages: recording.timeline.stages.clone(),
            gaps: recording.timeline.gaps.clone(),
            quotes: recording.timeline.quotes.clone(),
            ..timeline
        },
        ..recording
    }
}

fn seconds_of(recording: &Recording) -> usize {
    recording.timeline.ticks.len()
}

#[test]
fn a_recording_comes_back_as_it_was() {
    let (recording, notes) = read(file(20).as_slice()).unwrap();
    assert_eq!(notes, []);
    assert_eq!(recording, expected(20));
    assert_eq!(recording.plan.name, "shop");
    assert_eq!(recording.environment.started_unix, 1.5e9);
    assert_eq!(recording.stop, Some(stop()));
    assert_eq!(recording.events.len(), 4);
    assert_eq!(recording.events[0].text, "line\nbreak");
    assert_eq!(recording.timeline.stages.len(), 4);
    assert_eq!(recording.timeline.stages[0].rate_to, 20.5);
    assert_eq!(recording.timeline.gaps[0].reason, "timed out");
    assert_eq!(recording.timeline.quotes.len(), 4);
    assert_eq!(recording.timeline.quotes[0].text, "ERROR no room");
    assert_eq!(recording.timeline.quotes[0].key, batch(0).readings[0].key);
}

#[test]
fn values_that_json_does_not_have_are_left_out() {
    let mut writer = begin(Vec::new()).unwrap();
    let mut odd = batch(0);
    odd.readings[0].value = f64::NAN;
    odd.readings[1].value = f64::INFINITY;
    writer.batch(&odd).unwrap();
    let (recording, notes) = read(writer.finish(&stop()).unwrap().as_slice()).unwrap();
    assert_eq!(notes, []);
    assert_eq!(recording.timeline.series.len(), 1);
}

#[test]
fn a_killed_run_loses_two_seconds_at_most() {
    let seconds = 20;
    // What has reached the storage after each second, whole and with a torn write behind it.
    for killed_after in 1..=seconds {
        let mut stored = Vec::new();
        let mut writer = begin(&mut stored).unwrap();
        fill(&mut writer, killed_after).unwrap();
        drop(writer);
        let (recording, notes) = read(stored.as_slice()).unwrap();
        assert!(seconds_of(&recording) + 2 >= killed_after as usize, "{killed_after}");
        assert_eq!(notes, [ReadNote::NoEnd]);
    }
}

#[test]
fn a_file_cut_anywhere_is_read_up_to_the_cut() {
    let whole = file(8);
    let boundaries: Vec<usize> =
        (0..whole.len()).filter(|at| whole[*at..].starts_with(&frames::ZSTD_MAGIC)).collect();
    assert!(boundaries.len() > 8, "one frame a second: {}", boundaries.len());
    let first_end = boundaries[1];
    let mut last = 0;
    for cut in 0..whole.len() {
        match read(&whole[..cut]) {
            Ok((recording, notes)) => {
                // All but its checksum is enough of the first frame.
                assert!(cut + 4 >= first_end);
                let seconds = seconds_of(&recording);
                assert!(seconds >= last, "a longer file has no less in it");
                last = seconds;
                let at_boundary = boundaries.contains(&cut);
                assert_eq!(!at_boundary, notes.contains(&ReadNote::TornEnd), "{cut}: {notes:?}");
                assert_eq!(notes.contains(&ReadNote::NoEnd), recording.stop.is_none());
            }
            Err(ReadError::NotARecording(_)) => assert!(cut < first_end, "{cut}"),
            Err(other) => panic!("{cut}: {other}"),
        }
    }
    assert_eq!(last, 8);
}

#[test]
fn a_damaged_frame_is_left_out_and_the_rest_is_read() {
    let whole = file(20);
    let boundaries: Vec<usize> =
        (0..whole.len()).filter(|at| whole[*at..].starts_with(&frames::ZSTD_MAGIC)).collect();
    let mut damaged = whole;
    // In the data of the fourth frame, where only the checksum can tell.
    let middle = boundaries[3].midpoint(boundaries[4]);
    damaged[middle] ^= 1;
    let (recording, notes) = read(damaged.as_slice()).unwrap();
    assert!(notes.contains(&ReadNote::DamagedFrame), "{notes:?}");
    assert!(seconds_of(&recording) >= 17, "{}", seconds_of(&recording));
    assert_eq!(recording.stop, Some(stop()));
}

/// Takes so many bytes, then none, as a full disk does.
struct Full(usize, Vec<u8>);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.0.saturating_sub(self.1.len()).min(bytes.len());
        if room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.1.extend_from_slice(&bytes[..room]);
        Ok(room)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_told_once_and_harms_nothing_before() {
    let mut disk = Full(3000, Vec::new());
    let mut writer = begin(&mut disk).unwrap();
    let mut failures = 0;
    for second in 0..20 {
        failures += usize::from(writer.tick(&tick(second)).is_err());
        failures += usize::from(writer.batch(&batch(second)).is_err());
        failures += usize::from(writer.flush_if_due(window(second).end).is_err());
    }
    assert_eq!(failures, 1);
    assert!(matches!(writer.finish(&stop()), Err(WriteError::Incomplete)));
    let (recording, notes) = read(disk.1.as_slice()).unwrap();
    assert!(seconds_of(&recording) >= 3, "{}", seconds_of(&recording));
    assert_eq!(notes, [ReadNote::TornEnd, ReadNote::NoEnd]);
}

fn compressed(text: &str) -> Vec<u8> {
    zstd::encode_all(text.as_bytes(), 3).unwrap()
}

/// The decompressed text of a small recording.
fn text(seconds: u64) -> String {
    String::from_utf8(zstd::decode_all(file(seconds).as_slice()).unwrap()).unwrap()
}

#[test]
fn what_a_newer_version_adds_is_skipped_and_another_major_version_refused() {
    let newer = text(2).replace("\"version\":\"1.3\"", "\"version\":\"1.7\",\"new\":true")
        + "{\"type\":\"hologram\",\"x\":1}\n{\"type\":\"hologram\"}\nnonsense\n";
    let (recording, notes) = read(compressed(&newer).as_slice()).unwrap();
    assert_eq!(seconds_of(&recording), 2);
    assert_eq!(notes[0], ReadNote::NewerMinor("1.7".to_owned()));
    assert!(
        matches!(&notes[1], ReadNote::BadLine { line, .. } if *line == newer.lines().count() as u64)
    );
    assert_eq!(notes[2], ReadNote::UnknownKind { kind: "hologram".to_owned(), lines: 2 });

    let other = text(2).replace("\"version\":\"1.3\"", "\"version\":\"2.0\"");
    let message = read(compressed(&other).as_slice()).unwrap_err().to_string();
    assert!(message.contains("2.0") && message.contains("1.x"), "{message}");
}

#[test]
fn what_is_no_recording_is_told_by_its_looks() {
    let plain = text(1);
    let cases: [(&[u8], &str); 8] = [
        (b"", "empty"),
        (&[0x1F, 0x8B, 8, 0], "gzip"),
        (b"{\"metrics\": {}}", "plain JSON"),
        (plain.as_bytes(), "decompressed recording"),
        (b"time,latency\n", "plain text"),
        (&[0x28, 0xB5], "cut off"),
        (
            &compressed("{\"type\":\"header\",\"format\":\"other\",\"version\":\"1.0\"}\n"),
            "another format",
        ),
        (&compressed("time,latency\n1,2\n"), "header line"),
    ];
    for (bytes, word) in cases {
        let message = read(bytes).unwrap_err().to_string();
        assert!(message.contains(word), "{word}: {message}");
    }
}

#[test]
fn a_line_without_end_is_refused_before_it_fills_the_memory() {
    let mut bomb = file(1);
    let zeros = io::Read::take(io::repeat(b'0'), 2 << 30);
    zstd::stream::copy_encode(zeros, &mut bomb, 1).unwrap();
    assert!(bomb.len() < 1 << 20);
    assert!(matches!(read(bomb.as_slice()), Err(ReadError::LineTooLong)));
}

#[test]
fn a_forged_histogram_asks_for_no_memory() {
    let mut bytes = Histogram::new().to_v2();
    bytes[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
    let mut forged = tick(0);
    forged.endpoints.clear();
    let line = serde_json::to_string(&lines::RecordingLine::Tick(lines::TickLine::of(
        &forged,
        Vec::new(),
    )))
    .unwrap();
    let good = line.split("\"connect_time\":\"").nth(1).unwrap().split('"').next().unwrap();
    let bad = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
    let file = compressed(&format!("{}{}\n", text(1), line.replace(good, &bad)));
    let (recording, notes) = read(file.as_slice()).unwrap();
    assert_eq!(seconds_of(&recording), 1);
    assert!(notes.iter().any(|note| note.to_string().contains("HDR V2")), "{notes:?}");
}

proptest! {
    #[test]
    fn reading_anything_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _either = read(bytes.as_slice()).is_ok();
        let mut behind = file(1);
        behind.extend(&bytes);
        let (recording, _) = read(behind.as_slice()).unwrap();
        prop_assert!(seconds_of(&recording) >= 1);
    }

    #[test]
    fn flipped_bits_do_not_panic(flips in proptest::collection::vec((any::<prop::sample::Index>(), 0..8u8), 1..8)) {
        let mut bytes = file(6);
        for (at, bit) in &flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        let _either = read(bytes.as_slice()).is_ok();
        // And the same inside the compression, where no checksum protects.
        let mut text = text(2).into_bytes();
        for (at, bit) in &flips {
            let at = at.index(text.len());
            text[at] ^= 1 << bit;
        }
        let _either = read(zstd::encode_all(text.as_slice(), 1).unwrap().as_slice()).is_ok();
    }
}

/// Hours of [`tick`] and of one level, as a writer leaves them that was never finished.
fn hours_unfinished(hours: u64) -> Vec<u8> {
    let mut stored = Vec::new();
    let mut writer = begin(&mut stored).unwrap();
    let whole = Window::new(Moment::START, Moment::from_secs_f64(hours as f64 * 3600.0));
    let stage = Stage::constant(StageRole::Ramp, whole, 9.0);
    writer.stage(&stage).unwrap();
    for second in 0..hours * 3600 {
        let mut times = Histogram::new();
        (0..9).for_each(|index| times.record(Duration::from_millis(3 + (second + index) % 7)));
        let endpoint = EndpointTick {
            endpoint: "cart".to_owned(),
            class: ResponseClass::Status(200),
            response_time: times.clone(),
            service_time: times,
        };
        let tick = LoadTick { endpoints: vec![endpoint], ..tick(1) };
        let tick = LoadTick {
            window: window(second),
            connect_time: Histogram::new(),
            phases: Default::default(),
            ..tick
        };
        writer.tick(&tick).unwrap();
        writer.batch(&batch(second)).unwrap();
        writer.flush_if_due(window(second).end).unwrap();
    }
    drop(writer);
    stored
}

#[test]
fn a_long_run_is_kept_in_bounds_and_loses_no_request() {
    let hours = 7;
    let (recording, notes) = read(hours_unfinished(hours).as_slice()).unwrap();
    assert_eq!(notes, [ReadNote::TornEnd, ReadNote::NoEnd]);
    let timeline = &recording.timeline;
    let until = timeline.end().secs();
    assert!(until >= hours as f64 * 3600.0 - 2.0, "{until}");
    // Both are told 25,200 times.
    let bounds = 10_000..=20_000;
    assert!(bounds.contains(&timeline.ticks.len()), "{}", timeline.ticks.len());
    let looks = timeline.readings["postgres"].len();
    assert!(bounds.contains(&looks), "{looks}");
    assert!(timeline.series.values().all(|series| series.points.len() <= looks));
    let completed: u64 = timeline.ticks.iter().map(LoadTick::completed).sum();
    assert_eq!(completed, 9 * until as u64);
    let values: usize = timeline.ticks.iter().map(LoadTick::values).sum();
    assert!(values < 1_000_000, "{values}");
}

#[test]
fn the_frames_of_a_long_run_are_long_and_none_is_longer_than_a_minute() {
    let mut damaged = hours_unfinished(2);
    let boundaries: Vec<usize> =
        (0..damaged.len()).filter(|at| damaged[*at..].starts_with(&frames::ZSTD_MAGIC)).collect();
    assert!((300..1000).contains(&boundaries.len()), "{} frames", boundaries.len());
    let last = boundaries[boundaries.len() - 2..].to_vec();
    damaged[last[0].midpoint(last[1])] ^= 1;
    let (recording, notes) = read(damaged.as_slice()).unwrap();
    assert!(notes.contains(&ReadNote::DamagedFrame), "{notes:?}");
    assert!(seconds_of(&recording) >= 7200 - 64, "{}", seconds_of(&recording));
}

/// How much room 90 s take: 300 series each second, 20 sessions 13 times a second, five endpoints.
/// `KNEEPOINT_KEEP=FILE` keeps the file, to open it with other tools.
#[test]
fn a_run_of_ninety_seconds_takes_little_room() {
    let mut writer = begin(Vec::new()).unwrap();
    let mut counts = vec![0.0; 300];
    let mut state = 7u64;
    let mut random = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1u64 << 31) as f64
    };
    let series = |name: String, kind: Kind, value: f64| Reading {
        key: SeriesKey::new("host.series", Labels::none().with("name", name)),
        unit: Unit::Count,
        kind,
        value,
    };
    for second in 0..90 {
        let mut tick = tick(second);
        for endpoint in ["a", "b", "c"] {
            let other = tick.endpoints[0].clone();
            tick.endpoints.push(EndpointTick { endpoint: endpoint.to_owned(), ..other });
        }
        writer.tick(&tick).unwrap();
        // A third constant, a third counters, a third gauges.
        for (index, count) in counts.iter_mut().enumerate() {
            *count = match index % 3 {
                0 => 5.0,
                1 => *count + (random() * 1000.0).round(),
                _ => (random() * 1e6).round() / 1e3,
            };
        }
        let values = counts.iter().enumerate();
        let readings = values.map(|(index, value)| series(index.to_string(), Kind::Gauge, *value));
        let host = Batch {
            collector: "host".to_owned(),
            window: window(second),
            readings: readings.collect(),
        };
        writer.batch(&host).unwrap();
        for look in 0..13 {
            let begin = window(second).begin + Duration::from_millis(77 * look);
            let present = (0..20).filter(|_| random() < 0.7).collect::<Vec<_>>();
            let readings = present
                .into_iter()
                .map(|index| {
                    series(format!("session {index}"), Kind::Census, (random() * 9.0).ceil())
                })
                .collect();
            let window = Window::new(begin, begin + Duration::from_micros(300));
            let batch = Batch { collector: "postgres".to_owned(), window, readings };
            writer.batch(&batch).unwrap();
        }
    }
    let file = writer.finish(&stop()).unwrap();
    if let Some(path) = std::env::var_os("KNEEPOINT_KEEP") {
        std::fs::write(path, &file).unwrap();
    }
    assert!(file.len() < 400_000, "{} bytes", file.len());
}

#[test]
fn the_ticks_of_several_generators_are_read_as_one_a_second() {
    let names = ["gen1", "gen2", "gen3"];
    let generators =
        names.map(|name| GeneratorNote { name: name.to_owned(), ..Default::default() });
    let environment = Environment { generators: generators.to_vec(), ..Environment::default() };
    let mut writer = Writer::create(Vec::new(), &PlanSummary::default(), &environment).unwrap();
    for second in 1..8 {
        for name in names {
            // The last one is lost on the way after five seconds.
            if name != "gen3" || second < 6 {
                let tick = LoadTick { generator: name.to_owned(), ..tick(second) };
                writer.tick(&tick).unwrap();
            }
        }
    }
    let (read, notes) = read(writer.finish(&stop()).unwrap().as_slice()).unwrap();
    assert!(notes.is_empty(), "{notes:?}");
    assert_eq!(read.timeline.generators, names);
    let ticks = &read.timeline.ticks;
    let offered: Vec<u64> = ticks.iter().map(|tick| tick.offered).collect();
    assert_eq!(offered, [600, 600, 600, 600, 600, 400, 400]);
    for (tick_of_all, second) in ticks.iter().zip(1..) {
        assert_eq!(tick_of_all.window, window(second));
        let (one, count) = (tick(second), if second < 6 { 3 } else { 2 });
        assert_eq!(tick_of_all.completed(), count * one.completed());
        assert!((tick_of_all.in_flight - count as f64 * one.in_flight).abs() < 1e-9);
        let p99 = |tick: &LoadTick| tick.endpoints[0].response_time.quantile(0.99);
        assert_eq!(p99(tick_of_all), p99(&one), "the histograms are merged, not averaged");
    }
    assert_eq!(read.timeline.parts.len(), 3 * 5 + 2 * 2);
    // One generator is read as before.
    let (alone, _) = super::read(file(5).as_slice()).unwrap();
    assert!(alone.timeline.generators.is_empty() && alone.timeline.parts.is_empty());
}
