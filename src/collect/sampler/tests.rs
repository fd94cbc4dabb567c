//! Tests of the sampler with scripted collectors.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::timeline::Reading;

use super::super::{Collector, SampleError};
use super::*;

/// A collector whose looks follow a script, by the number of the look.
struct Scripted<F>(u32, F);

impl<F: FnMut(u32) -> Result<(), SampleError> + Send> Collector for Scripted<F> {
    fn watches(&self) -> String {
        "a script".to_owned()
    }

    fn sample(&mut self, batch: &mut BatchBuilder) -> Result<(), SampleError> {
        self.0 += 1;
        batch.push(&names::SYSTEM_CPU_CORES, f64::from(self.0));
        (self.1)(self.0)
    }

    fn events(&mut self) -> Vec<String> {
        if self.0 == 1 { vec!["saw something".to_owned()] } else { Vec::new() }
    }
}

fn opened<F>(instance: &str, interval: u64, script: F) -> Opened
where
    F: FnMut(u32) -> Result<(), SampleError> + Send + 'static,
{
    let mut config = CollectorConfig::new("host");
    config.instance = instance.to_owned();
    config.interval = Some(Duration::from_millis(interval));
    let spec = super::super::find("host").unwrap();
    Opened { spec, config, collector: Box::new(Scripted(0, script)) }
}

/// Runs the collectors until `enough` returns true, at most 20 s; returns all observations.
fn run_until(
    opened: Vec<Opened>,
    room: usize,
    enough: impl Fn(&[Observation]) -> bool,
) -> Vec<Observation> {
    let (sink, seen) = mpsc::sync_channel(room);
    let epoch = Epoch::new(Instant::now());
    let sampler = Sampler::start(opened, epoch, sink);
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut all = Vec::new();
    while !enough(&all) && Instant::now() < deadline {
        all.extend(seen.recv_timeout(Duration::from_millis(50)));
    }
    let stopping = thread::spawn(move || sampler.stop());
    all.extend(seen);
    stopping.join().unwrap();
    all
}

fn gaps<'a>(seen: &'a [Observation], instance: &'a str) -> impl Iterator<Item = &'a Gap> {
    seen.iter().filter_map(move |one| match one {
        Observation::Gap(gap) if gap.collector == instance => Some(gap),
        _ => None,
    })
}

fn batches<'a>(seen: &'a [Observation], instance: &'a str) -> impl Iterator<Item = &'a Batch> {
    seen.iter().filter_map(move |one| match one {
        Observation::Batch(batch) if batch.collector == instance => Some(batch),
        _ => None,
    })
}

#[test]
fn readings_carry_their_window_and_what_they_cost() {
    let seen = run_until(vec![opened("web", 20, |_| Ok(()))], 1000, |seen| {
        batches(seen, "web").count() >= 5
    });
    let windows: Vec<Window> = batches(&seen, "web").map(|batch| batch.window).collect();
    assert!(windows.windows(2).all(|pair| pair[0].end <= pair[1].begin), "{windows:?}");
    for batch in batches(&seen, "web") {
        let own = |reading: &&Reading| reading.key.metric == names::COLLECTOR_CPU_TIME.name;
        let cost = batch.readings.iter().find(own).unwrap();
        assert_eq!(cost.key.labels.get("collector"), Some("web"));
    }
    let event = seen.iter().find_map(|one| match one {
        Observation::Event { text, .. } => Some(text.as_str()),
        _ => None,
    });
    assert_eq!(event, Some("web: saw something"));
}

#[test]
fn a_failed_reading_is_a_gap_and_the_next_one_may_succeed() {
    let script = |look| match look {
        2 | 3 => Err(SampleError("the database restarts".to_owned())),
        _ => Ok(()),
    };
    let seen =
        run_until(vec![opened("db", 20, script)], 1000, |seen| batches(seen, "db").count() >= 3);
    let failed = gaps(&seen, "db").filter(|gap| gap.reason == "the database restarts");
    assert_eq!(failed.count(), 2);
    // Readings pushed before the failure are discarded with it.
    let looks: Vec<f64> = batches(&seen, "db").map(|batch| batch.readings[0].value).collect();
    assert_eq!(looks[..3], [1.0, 4.0, 5.0]);
}

#[test]
fn missed_slots_become_one_gap_and_are_not_made_up() {
    let script = |look| {
        if look == 1 {
            thread::sleep(Duration::from_millis(500));
        }
        Ok(())
    };
    let seen = run_until(vec![opened("slow", 50, script)], 1000, |seen| {
        batches(seen, "slow").count() >= 2
    });
    let told: Vec<&Gap> =
        gaps(&seen, "slow").filter(|gap| gap.reason.starts_with("the previous reading")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].window.secs() > 0.35, "{told:?}");
    let second = batches(&seen, "slow").nth(1).unwrap();
    assert!(second.window.begin >= told[0].window.end);
}

#[test]
fn a_panic_ends_its_collector_and_no_other() {
    let panics = |look| if look == 2 { panic!("no such index") } else { Ok(()) };
    let both = vec![opened("bad", 20, panics), opened("good", 20, |_| Ok(()))];
    let seen = run_until(both, 1000, |seen| {
        gaps(seen, "bad").any(|gap| gap.reason.contains("panicked"))
            && batches(seen, "good").count() >= 10
    });
    assert_eq!(batches(&seen, "bad").count(), 1);
    // On a busy machine, one more look may have been late.
    let reasons = gaps(&seen, "bad").map(|gap| gap.reason.as_str());
    let panics: Vec<&str> = reasons.filter(|reason| !reason.starts_with("woke")).collect();
    assert_eq!(panics, ["the collector panicked: no such index"]);
    let ended = |one: &Observation| matches!(one, Observation::Event { text, .. } if text.starts_with("bad: is no longer read"));
    assert!(seen.iter().any(ended));
}

#[test]
fn what_finds_no_room_is_counted_and_told() {
    let looks = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&looks);
    let script = move |look| {
        counted.store(look, Ordering::SeqCst);
        Ok(())
    };
    // Nothing is received until there were fifty looks, and the channel has room for three.
    let (sink, seen) = mpsc::sync_channel(3);
    let sampler = Sampler::start(vec![opened("fast", 5, script)], Epoch::new(Instant::now()), sink);
    let deadline = Instant::now() + Duration::from_secs(20);
    while looks.load(Ordering::SeqCst) < 50 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
    let taken: Vec<Observation> = seen.iter().take(12).collect();
    let lost = gaps(&taken, "fast").find_map(|gap| {
        gap.reason.strip_suffix(" readings are lost: they came faster than they were written")
    });
    assert!(lost.unwrap().parse::<u32>().unwrap() >= 40, "{taken:?}");
    drop(seen);
    sampler.stop();
}

#[test]
fn a_stuck_collector_is_left_behind() {
    let (release, held) = mpsc::sync_channel::<()>(0);
    let script = move |_| {
        let _released = held.recv().is_ok();
        Ok(())
    };
    let (sink, seen) = mpsc::sync_channel(10);
    let sampler =
        Sampler::start(vec![opened("stuck", 20, script)], Epoch::new(Instant::now()), sink);
    thread::sleep(Duration::from_millis(50));
    sampler.stop();
    // `stop` returned although the collector still waits.
    assert!(seen.try_recv().is_err());
    drop(release);
}

#[test]
fn opening_reports_all_that_fails_in_the_order_of_the_plan() {
    let unknown = CollectorConfig::new("no-such");
    let remote = CollectorConfig::new("process");
    let configs = [unknown, CollectorConfig::new("host"), remote];
    let (opened, failed) = open_all(&configs, &TargetHint::default());
    let names: Vec<&str> = opened.iter().map(|one| one.spec.name).collect();
    assert_eq!(names, ["host"]);
    let failed: Vec<&str> = failed.iter().map(|(config, _)| config.name.as_str()).collect();
    assert_eq!(failed, ["no-such", "process"]);
}

#[test]
fn a_collector_that_hangs_or_panics_while_it_opens_holds_up_no_other() {
    const fn spec(
        name: &'static str,
        open: fn(&CollectorConfig, &TargetHint) -> OpenResult,
    ) -> CollectorSpec {
        let interval = Duration::from_secs(1);
        CollectorSpec {
            name,
            summary: "",
            hint: "",
            opens: crate::collect::Opens::WhenAsked,
            options: &[],
            metrics: &[],
            interval,
            open,
        }
    }
    static HANGS: CollectorSpec = spec("hangs", |_, _| {
        thread::sleep(Duration::from_secs(20));
        Err(OpenError::new("too late", ""))
    });
    static PANICS: CollectorSpec = spec("panics", |_, _| panic!("on purpose"));
    let find = |name: &str| match name {
        "hangs" => Some(&HANGS),
        "panics" => Some(&PANICS),
        _ => super::super::find(name),
    };
    let configs = ["hangs", "panics", "host"].map(CollectorConfig::new);
    let begin = Instant::now();
    let (opened, failed) =
        open_within(Duration::from_secs(5), find, &configs, &TargetHint::default());
    assert!(begin.elapsed() < Duration::from_secs(15), "waited for the one that hangs");
    assert_eq!(opened.len(), 1);
    let failed: Vec<String> = failed.iter().map(|(_, error)| error.to_string()).collect();
    assert_eq!(failed, ["`hangs` did not open within 5 s", "`panics` panicked while it opened"]);
}

#[test]
fn short_slots_are_read_somewhere_inside_and_long_ones_at_their_begin() {
    let short = SampleTimes { interval: Duration::from_millis(50) };
    for random in [0.0, 0.3, 0.9999, 1.0] {
        assert_eq!(short.slot(short.due(7, random)), 7);
    }
    let long = SampleTimes { interval: Duration::from_secs(1) };
    assert_eq!(long.due(3, 0.7), long.begin(3));
}

#[test]
fn a_cadence_that_nobody_asked_for_gives_way_to_its_cost() {
    let interval = Duration::from_millis(100);
    assert_eq!(stretched(interval, 0.0), interval);
    assert_eq!(stretched(interval, 0.001), interval);
    assert_eq!(stretched(interval, 0.0025), 3 * interval);
    assert_eq!(stretched(interval, 1e3), 50 * interval);
    let adapts = |asked: Option<Duration>| {
        let mut one = opened("costly", 100, |_| Ok(()));
        let (sink, seen) = mpsc::sync_channel(9);
        one.config.interval = asked;
        let own = one.interval();
        let mut looks = CollectorLoop::new(
            one,
            Epoch::new(Instant::now()),
            ObservationSink::new("it".into(), sink),
        );
        looks.cost = 2.5 * MOST_CPU * own.as_secs_f64();
        assert_eq!(looks.adapt(), asked.is_none());
        assert!(!looks.adapt(), "it stays as it is");
        (looks.grid.interval.div_duration_f64(own), seen.try_iter().count())
    };
    assert_eq!(adapts(None), (3.0, 1));
    assert_eq!(adapts(Some(interval)), (1.0, 0));
}
