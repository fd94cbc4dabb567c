//! What generators carry: one that is too slow is named, two carry twice the load of one, and what
//! each costs.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use kneepoint::diagnose::GeneratorFault;
use kneepoint::timeline::Histogram;

use super::*;
use crate::program::program;
use crate::target::held;

/// A control group with a quota of CPU time, removed when dropped.
struct Quota(PathBuf);

impl Quota {
    /// `cores` in each period of 50 ms; `None`, with a message, where this machine makes none.
    #[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
    fn new(name: &str, cores: f64) -> Option<Self> {
        const PERIOD_MICROS: f64 = 50_000.0;
        let name = format!("kneepoint-test-{}-{name}", std::process::id());
        let micros = (cores * PERIOD_MICROS).round();
        let two =
            (PathBuf::from("/sys/fs/cgroup"), [("cpu.max", format!("{micros} {PERIOD_MICROS}"))]);
        let one = [
            ("cpu.cfs_period_us", PERIOD_MICROS.to_string()),
            ("cpu.cfs_quota_us", micros.to_string()),
        ];
        let one = (PathBuf::from("/sys/fs/cgroup/cpu"), one);
        let make = |mount: PathBuf, files: &[(&str, String)]| {
            let quota = Self(mount.join(&name));
            fs::create_dir(&quota.0).ok()?;
            let set = |(file, text): &(&str, String)| {
                let mut options = fs::OpenOptions::new();
                let opened = options.write(true).open(quota.0.join(file));
                opened.and_then(|mut it| it.write_all(text.as_bytes())).is_ok()
            };
            files.iter().all(set).then_some(quota)
        };
        let quota = make(two.0, &two.1).or_else(|| make(one.0, &one.1));
        if quota.is_none() {
            eprintln!("skipped: this machine makes no control groups with a quota");
        }
        quota
    }

    /// The command of a generator in it.
    fn generator(&self, program: &str) -> String {
        let group = self.0.display();
        format!("sh -c 'echo $$ > {group}/cgroup.procs; exec {program} generate'")
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // A group goes only once the last of its processes is gone, which may take a moment.
        let deadline = Instant::now() + Duration::from_secs(5);
        while fs::remove_dir(&self.0).is_err() && self.0.exists() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Why stages do not count, by generator.
fn faults(recording: &Recording) -> Vec<(String, GeneratorFault)> {
    let all = measured(recording).into_iter();
    all.filter_map(|stage| match stage.invalid {
        Some(Invalid::OneGenerator { name, fault }) => Some((name, fault)),
        _ => None,
    })
    .collect()
}

#[test]
fn a_generator_without_the_cpu_is_named_and_its_load_is_not_lowered() {
    let (server, directory) = (Server::start(), tempfile::tempdir().unwrap());
    let pid_file = directory.path().join("pid");
    let plain = format!("'{KNEEPOINT}' generate");
    let slow = format!("sh -c 'echo $$ > {}; exec {KNEEPOINT} generate'", pid_file.display());
    let run =
        start_with(directory.path(), &plan(&server, 90, 8, ""), &[plain.clone(), slow, plain]);
    wait_until("load", 20, || server.requests() > 30);
    let pid: u32 = fs::read_to_string(pid_file).unwrap().trim().parse().unwrap();
    let is_over = AtomicBool::new(false);
    let output = thread::scope(|scope| {
        // As on a machine whose cores are taken by others for a while, again and again.
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) && is_alive(pid) {
                // It may end at any time.
                for name in ["-STOP", "-CONT"] {
                    let _sent = Command::new("kill").args([name, &pid.to_string()]).output();
                    thread::sleep(Duration::from_millis(250));
                }
            }
        });
        let output = run.wait_with_output().unwrap();
        is_over.store(true, Ordering::Relaxed);
        output
    });
    let recording = read(directory.path());
    let named = &recording.environment.generators[1].name;
    let faults = faults(&recording);
    assert!(!faults.is_empty(), "{:?}", measured(&recording));
    for (name, fault) in &faults {
        assert_eq!(name, named, "{fault:?}");
    }
    assert!(measured(&recording).iter().all(|stage| stage.invalid.is_some()));
    // Whatever it could not send in time is still there.
    let (offered, sent, _) = counts(&recording);
    assert_eq!((offered, sent), (720, 720));
    let report = text(&output.stdout);
    let words: Vec<&str> = report.split_whitespace().collect();
    let words = words.join(" ");
    assert!(words.contains(&format!("the generator `{named}` ")), "{report}");
    assert!(!words.contains("Cause:"), "{report}");
}

/// A process that is killed with the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _killed = self.0.kill().is_ok();
        let _waited = self.0.wait().is_ok();
    }
}

#[test]
fn a_quota_that_stops_a_generator_is_told_as_its_limit() {
    // Enough for a generator that is alone in it.
    let (Some(quota), server) = (Quota::new("stopped", 0.2), Server::start()) else { return };
    let directory = tempfile::tempdir().unwrap();
    let plain = format!("'{KNEEPOINT}' generate");
    let generators = [plain, quota.generator(KNEEPOINT)];
    let run = start_with(directory.path(), &plan(&server, 60, 8, ""), &generators);
    wait_until("load", 30, || server.requests() > 20);
    // Another process of the container uses the quota up.
    let busy = format!("echo $$ > {}/cgroup.procs; while :; do :; done", quota.0.display());
    let busy = Killed(Command::new("sh").args(["-c", &busy]).spawn().unwrap());
    let output = run.wait_with_output().unwrap();
    drop(busy);
    let recording = read(directory.path());
    let named = &recording.environment.generators[1].name;
    let faults = faults(&recording);
    let [(name, GeneratorFault::Throttled { share })] = &faults[..] else {
        panic!("{faults:?} {:?}", measured(&recording));
    };
    assert_eq!(name, named);
    assert!((0.1..=1.0).contains(share), "{share}");
    let report = text(&output.stdout);
    assert!(!report.contains("Cause:"), "{report}");
}

/// Cores of each generator of the test below: two of them leave the machine idle.
const QUOTA: f64 = 0.05;

/// The highest of these rates, in requests per second, that generators with these quotas carry, before
/// the first that does not count.
#[expect(clippy::print_stderr, reason = "a table is for whoever runs it by hand")]
fn highest(quotas: &[&Quota], rates: impl Iterator<Item = f64>) -> f64 {
    let program = program().display().to_string();
    let (server, directory) = (Server::start(), tempfile::tempdir().unwrap());
    let request = "[[request]]\npath = \"/\"";
    let rates = rates.map(|rate| rate.round() as u32);
    let text = format!("[target]\nurl = \"{}\"\n{request}\n{}", server.url(), held(rates, 4));
    let generators: Vec<String> = quotas.iter().map(|quota| quota.generator(&program)).collect();
    start_with(directory.path(), &text, &generators).wait_with_output().unwrap();
    let stages = measured(&read(directory.path()));
    for stage in &stages {
        let why = stage.invalid.as_ref().map(ToString::to_string);
        eprintln!("{:>8.0}/s  {}", stage.offered, why.unwrap_or_else(|| "counts".to_owned()));
    }
    let highest = stages.iter().take_while(|stage| stage.invalid.is_none()).last();
    highest.map_or(0.0, |stage| stage.offered)
}

/// The load that they carry: in steps of a fifth, and then of a fiftieth.
fn carried(quotas: &[&Quota], from: f64) -> f64 {
    let coarse = highest(quotas, (0..12).map(|step| from * 1.2f64.powi(step)));
    let fine = highest(quotas, (0..14).map(|step| 0.92 * coarse * 1.02f64.powi(step)));
    if fine > 0.0 { fine } else { coarse }
}

/// Prints the highest load that one and two generators carry, each with a twentieth of a core. The first
/// stage is `KNEEPOINT_FROM`, a third of what one carries: it depends on the build.
#[test]
#[ignore = "it measures the machine: run it by hand"]
#[expect(clippy::print_stderr, reason = "a table is for whoever runs it by hand")]
fn two_generators_carry_twice_the_load_of_one() {
    let (Some(first), Some(second)) = (Quota::new("1", QUOTA), Quota::new("2", QUOTA)) else {
        return;
    };
    let from = std::env::var("KNEEPOINT_FROM").map_or(20.0, |rate| rate.parse().expect("a rate"));
    let one = carried(&[&first], from);
    let two = carried(&[&first, &second], 2.0 * from);
    let ratio = two / one;
    eprintln!("one: {one:.0}/s, two: {two:.0}/s, ratio {ratio:.2}");
    assert!(ratio >= 1.9, "{ratio}");
}

/// The response times of a load of 100 requests/s that this many generators make; the target takes 400 ms.
fn response_times(generators: usize) -> Histogram {
    let program = program().display().to_string();
    let (server, directory) = (Server::start(), tempfile::tempdir().unwrap());
    let text = plan(&server, 100, 20, "").replace("/item", "/slow");
    let commands = vec![format!("'{program}' generate"); generators];
    let output = start_with(directory.path(), &text, &commands).wait_with_output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 123)), "{output:?}");
    let mut times = Histogram::new();
    for endpoint in read(directory.path()).timeline.ticks.iter().flat_map(|tick| &tick.endpoints) {
        times.merge(&endpoint.response_time);
    }
    times
}

/// Prints the quantiles of one load that one and two generators make.
#[test]
#[ignore = "it measures the machine: run it by hand"]
#[expect(clippy::print_stderr, reason = "a table is for whoever runs it by hand")]
fn two_generators_measure_the_histogram_of_one() {
    let (one, two) = (response_times(1), response_times(2));
    eprintln!("requests: {} and {}", one.count(), two.count());
    assert_eq!((one.count(), two.count()), (2000, 2000));
    for quantile in [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99] {
        let at = |times: &Histogram| times.quantile(quantile).unwrap() * 1e3;
        eprintln!("p{:<4} {:>7.1} ms {:>7.1} ms", quantile * 100.0, at(&one), at(&two));
        // A bucket holds 1 % of its value.
        assert!((at(&one) / at(&two) - 1.0).abs() < 0.0101, "p{}", quantile * 100.0);
    }
}
