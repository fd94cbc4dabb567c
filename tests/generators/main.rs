//! `kneepoint run --generator`: several generators make one load, as processes of this machine.
//! Whatever dies or falls silent, what was recorded until then stays true.

#![allow(clippy::unwrap_used, reason = "tests")]

mod capacity;
mod costs;
#[path = "../program/mod.rs"]
mod program;
mod refill;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../target/mod.rs"]
mod target;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kneepoint::diagnose::{Invalid, StageSummary, stages};
use kneepoint::recording::{self, Recording, StopReason};
use target::{KNEEPOINT, Server, kneepoint, write_plan};

/// A constant rate of `GET /{id}`, each row once.
fn plan(server: &Server, rate: u32, secs: u32, more: &str) -> String {
    format!(
        "[target]\nurl = \"{}\"\n\
         [[request]]\nname = \"item\"\npath = \"/item?{{id}}\"\n\
         [data.id]\nrange = [1, 100000]\norder = \"sequential\"\nexhausted = \"stop\"\n\
         [load]\nexecutor = \"constant-arrival-rate\"\nrate = \"{rate}/s\"\nduration = \"{secs}s\"\n\
         {more}",
        server.url()
    )
}

/// A run with so many generators, that is started and ended by the test.
fn start(directory: &Path, text: &str, generators: usize) -> Child {
    start_with(directory, text, &vec![format!("'{KNEEPOINT}' generate"); generators])
}

/// The same with these commands of generators.
fn start_with(directory: &Path, text: &str, generators: &[String]) -> Child {
    let plan = write_plan(directory, text);
    let mut command = Command::new(KNEEPOINT);
    command.arg("run").arg(plan).arg("--quiet").arg("--out").arg(directory.join("out"));
    command.args(generators.iter().flat_map(|generator| ["--generator", generator]));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the program")
}

fn run(directory: &Path, plan: &str, generators: usize) -> Output {
    let output = start(directory, plan, generators).wait_with_output().expect("its end");
    let errors = text(&output.stderr);
    // Such a short run concludes nothing.
    assert!(matches!(output.status.code(), Some(0 | 123)), "{errors}{}", text(&output.stdout));
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn read(directory: &Path) -> Recording {
    let file = directory.join("out/recording.jsonl.zst");
    recording::read(fs::read(file).expect("a recording").as_slice()).expect("readable").0
}

/// What was due, sent and answered.
fn counts(recording: &Recording) -> (u64, u64, u64) {
    let ticks = &recording.timeline.ticks;
    let sum = |of: fn(&kneepoint::timeline::LoadTick) -> u64| ticks.iter().map(of).sum();
    (sum(|tick| tick.offered), sum(|tick| tick.sent), sum(|tick| tick.completed()))
}

fn measured(recording: &Recording) -> Vec<StageSummary> {
    let all = stages::summarize(recording).into_iter();
    all.filter(|stage| stage.role.is_measured()).collect()
}

/// The processes that this one has started and that still run.
fn children(of: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
    // Other threads start some of them.
    let tasks = fs::read_dir(format!("/proc/{of}/task")).into_iter().flatten().flatten();
    let of_tasks = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let all: BTreeSet<u32> = of_tasks
        .chain([text])
        .flat_map(|text| {
            text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()
        })
        .collect();
    all.into_iter().collect()
}

fn signal(pid: u32, signal: &str) {
    let sent = Command::new("kill").arg(format!("-{signal}")).arg(pid.to_string()).status();
    assert!(sent.expect("kill").success(), "{signal} to {pid}");
}

fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Whoever has ended and is not waited for is a zombie.
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim().starts_with('Z'))
}

fn wait_until(what: &str, secs: u64, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(secs);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} did not come within {secs} s");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn two_generators_do_what_one_does() {
    let measure = |generators: usize| {
        let (server, directory) = (Server::start(), tempfile::tempdir().unwrap());
        let text = plan(&server, 100, 4, "").replace("/item", "/slow");
        run(directory.path(), &text, generators);
        let paths = server.paths();
        let rows: BTreeSet<String> = paths.iter().cloned().collect();
        (read(directory.path()), paths.len(), rows)
    };
    let (alone, together) = thread::scope(|scope| {
        let alone = scope.spawn(|| measure(0));
        let together = measure(2);
        (alone.join().unwrap(), together)
    });
    let ((alone, _, rows_of_one), (together, sent, rows)) = (alone, together);
    assert_eq!(counts(&alone), (400, 400, 400));
    assert_eq!(counts(&together), counts(&alone));
    // Each row once, but for those of the requests that were tried before the load.
    assert_eq!((rows.len(), &rows), (400, &rows_of_one));
    assert!(sent < 410, "{sent} requests for 400 rows");
    // One tick a second, with everything in it.
    let (one, two) = (&alone.timeline.ticks, &together.timeline.ticks);
    assert!(one.len().abs_diff(two.len()) <= 3, "{} and {} ticks", one.len(), two.len());
    let names: Vec<&str> = together.timeline.generators.iter().map(String::as_str).collect();
    assert_eq!(names.len(), 2);
    for generator in 0..2 {
        let parts = together.timeline.parts.iter().filter(|part| part.generator == generator);
        assert!((parts.map(|part| part.account.offered).sum::<f64>() - 200.0).abs() < 1e-9);
    }
    let [first] = &measured(&alone)[..] else { panic!() };
    let [second] = &measured(&together)[..] else { panic!() };
    assert_eq!((&first.invalid, &second.invalid), (&None, &None));
    let p50 = |stage: &StageSummary| stage.response.as_ref().map(|it| it.p50).unwrap();
    let ratio = p50(first) / p50(second);
    assert!((0.97..1.03).contains(&ratio), "{} s and {} s", p50(first), p50(second));
    assert!((first.in_flight / second.in_flight - 1.0).abs() < 0.1);
}

#[test]
fn twenty_generators_carry_one_load() {
    let (server, directory) = (Server::start(), tempfile::tempdir().unwrap());
    run(directory.path(), &plan(&server, 200, 3, ""), 20);
    let recording = read(directory.path());
    assert_eq!(counts(&recording), (600, 600, 600));
    assert_eq!(recording.environment.generators.len(), 20);
    let rows: BTreeSet<String> = server.paths().into_iter().collect();
    assert_eq!(rows.len(), 600);
    for generator in 0..20 {
        let parts = recording.timeline.parts.iter().filter(|part| part.generator == generator);
        assert!((parts.map(|part| part.account.offered).sum::<f64>() - 30.0).abs() < 1e-9);
    }
}

#[test]
fn virtual_users_are_shared_and_their_iterations_add_up() {
    let (server, directory) = (Server::start(), tempfile::tempdir().unwrap());
    let text = format!(
        "[target]\nurl = \"{}\"\n[[request]]\npath = \"/\"\n[load]\n\
         executor = \"shared-iterations\"\nvus = 5\niterations = 101\nmax_duration = \"30s\"\n",
        server.url()
    );
    run(directory.path(), &text, 2);
    let recording = read(directory.path());
    assert_eq!(counts(&recording).2, 101);
    assert_eq!(recording.stop.map(|stop| stop.reason), Some(StopReason::Completed));
}

#[test]
fn a_search_chooses_its_stages_for_all_generators() {
    let (server, directory) = (Server::start(), tempfile::tempdir().unwrap());
    let text = format!(
        "[target]\nurl = \"{}\"\n[[request]]\npath = \"/\"\n[load]\n\
         executor = \"breakpoint\"\nstart = \"40/s\"\nmax = \"80/s\"\nfactor = 2.0\n\
         hold = \"3s\"\nrecovery = \"0s\"\nprobe = false\n",
        server.url()
    );
    run(directory.path(), &text, 2);
    let recording = read(directory.path());
    let summaries = measured(&recording);
    assert!(summaries.len() >= 2, "{summaries:?}");
    for stage in &summaries {
        assert_eq!(stage.invalid, None, "at {}/s", stage.offered);
    }
    let rates: Vec<f64> = recording.timeline.stages.iter().map(|stage| stage.rate()).collect();
    let highest = summaries.iter().map(|stage| stage.offered).fold(0.0, f64::max);
    assert!((highest - 80.0).abs() < 3.0, "{highest} of {rates:?}");
}

#[test]
fn a_stage_is_void_once_a_generator_is_killed() {
    let (server, directory) = (Server::start(), tempfile::tempdir().unwrap());
    let run = start(directory.path(), &plan(&server, 60, 30, ""), 3);
    wait_until("load", 20, || server.requests() > 200);
    let generators = children(run.id());
    assert_eq!(generators.len(), 3, "{generators:?}");
    signal(generators[1], "KILL");
    let output = run.wait_with_output().unwrap();
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("was lost"), "{errors}");
    let recording = read(directory.path());
    let reason = recording.stop.as_ref().map(|stop| stop.reason.clone());
    assert!(
        matches!(&reason, Some(StopReason::Failed(why)) if why.contains("was lost")),
        "{reason:?}"
    );
    let stages = measured(&recording);
    assert!(!stages.is_empty());
    for stage in stages {
        assert!(matches!(stage.invalid, Some(Invalid::OneGenerator { .. })), "{:?}", stage.invalid);
    }
    // Whatever was recorded, the target has seen; it may have seen the last second of the dead one.
    let (_, sent, completed) = counts(&recording);
    let seen = server.requests();
    assert!(completed <= seen && sent <= seen && seen <= sent + 60, "{sent} of {seen}");
    generators.iter().for_each(|pid| assert!(!is_alive(*pid), "{pid} is left"));
}

#[test]
fn a_killed_coordinator_ends_the_load_and_leaves_what_it_recorded() {
    let (server, directory) = (Server::start(), tempfile::tempdir().unwrap());
    let mut run = start(directory.path(), &plan(&server, 60, 60, ""), 2);
    wait_until("load", 20, || server.requests() > 300);
    let generators = children(run.id());
    assert_eq!(generators.len(), 2, "{generators:?}");
    run.kill().unwrap();
    run.wait().unwrap();
    wait_until("the end of the generators", 5, || !generators.iter().any(|pid| is_alive(*pid)));
    let seen = server.requests();
    thread::sleep(Duration::from_millis(500));
    assert_eq!(server.requests(), seen, "the load goes on");
    let recording = read(directory.path());
    assert_eq!(recording.stop, None);
    let (_, sent, _) = counts(&recording);
    assert!(sent <= seen && seen <= sent + 60 * 5, "{sent} recorded of {seen}");
    let out = directory.path().join("out");
    let diagnosis = kneepoint(&["diagnose", out.to_str().unwrap()]).output().unwrap();
    assert!(!diagnosis.stdout.is_empty(), "{diagnosis:?}");
}

#[test]
fn the_lease_ends_the_load_of_generators_that_are_cut_off() {
    let (server, directory) = (Server::start(), tempfile::tempdir().unwrap());
    let run = start(directory.path(), &plan(&server, 60, 60, ""), 2);
    wait_until("load", 20, || server.requests() > 100);
    let generators = children(run.id());
    // Its pipes stay open, as where a network is cut.
    signal(run.id(), "STOP");
    wait_until("the end of the lease", 9, || !generators.iter().any(|pid| is_alive(*pid)));
    let seen = server.requests();
    thread::sleep(Duration::from_millis(500));
    assert_eq!(server.requests(), seen, "the load goes on");
    signal(run.id(), "CONT");
    let output = run.wait_with_output().unwrap();
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("was lost"), "{errors}");
}

#[test]
fn a_generator_that_stands_still_is_lost() {
    let (server, directory) = (Server::start(), tempfile::tempdir().unwrap());
    let run = start(directory.path(), &plan(&server, 60, 60, ""), 2);
    wait_until("load", 20, || server.requests() > 100);
    let generators = children(run.id());
    signal(generators[0], "STOP");
    let output = run.wait_with_output().unwrap();
    let errors = text(&output.stderr);
    assert!(errors.contains("was silent for 5 s"), "{errors}");
    assert_eq!(output.status.code(), Some(1), "{errors}");
    let stages = measured(&read(directory.path()));
    assert!(stages.iter().all(|stage| stage.invalid.is_some()), "{stages:?}");
}

/// What a run with this generator's command refuses before any load, and how.
fn refused(more: &str, generator: &str) -> (Option<i32>, String, u64) {
    let (server, directory) = (Server::start(), tempfile::tempdir().expect("a directory"));
    let plan = write_plan(directory.path(), &plan(&server, 20, 2, more));
    let out = directory.path().join("out");
    let path = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
    let (plan, out) = (path(&plan), path(&out));
    let mut run = kneepoint(&["run", &plan, "--quiet", "--out", &out]);
    let output = run.args(["--generator", generator]).output().expect("its end");
    let errors = text(&output.stderr);
    (output.status.code(), errors, server.requests())
}

#[test]
fn what_cannot_make_the_load_is_refused_with_the_next_step() {
    let generate = format!("{KNEEPOINT} generate");
    let few = format!("sh -c 'ulimit -n 300; exec {generate}'");
    let other = format!("env KNEEPOINT_HOSTS=shop.example {generate}");
    let cases: &[(&str, &str, &[&str])] = &[
        ("", "echo hello", &["generator 1", "hello", "hint"]),
        ("", "/no/such/program generate", &["generator 1: cannot start", "--generator"]),
        ("", &few, &["file descriptors", "ulimit -n"]),
        ("", &other, &["is not an allowed target", "KNEEPOINT_HOSTS"]),
        ("[limits]\nmax_in_flight = 1\n", &generate, &[]),
    ];
    let all: Vec<_> = thread::scope(|scope| {
        let runs =
            cases.iter().map(|(more, generator, _)| scope.spawn(|| refused(more, generator)));
        let runs: Vec<_> = runs.collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    for ((_, generator, words), (code, errors, requests)) in cases.iter().zip(all) {
        if words.is_empty() {
            assert_eq!(code, Some(0), "{errors}");
            continue;
        }
        assert_eq!(code, Some(106), "{generator}: {errors}");
        for word in *words {
            assert!(errors.contains(word), "{generator}: no `{word}` in {errors}");
        }
        assert!(errors.contains("no load was sent") && requests < 10, "{errors}");
    }
    let (code, errors, _) = refused("", "echo 'hello");
    assert_eq!(code, Some(104), "{errors}");
}

#[test]
fn no_secret_travels_but_those_that_a_generator_sends() {
    let (server, directory) = (Server::start(), tempfile::tempdir().unwrap());
    let with_secrets = plan(
        &server,
        20,
        2,
        "[[canary]]\npath = \"/health\"\nheaders = { x-probe = \"${PROBE_TOKEN}\" }\n",
    )
    .replace("[data.id]", "headers = { authorization = \"Bearer ${LOAD_TOKEN}\" }\n[data.id]");
    let plan = write_plan(directory.path(), &with_secrets);
    let (wire, back) = (directory.path().join("wire"), directory.path().join("back"));
    let (wire_path, back_path) = (wire.display(), back.display());
    let generator = format!("sh -c 'tee {wire_path} | {KNEEPOINT} generate | tee {back_path}'");
    let out = directory.path().join("out");
    let output = kneepoint(&["run", plan.to_str().unwrap(), "--out", out.to_str().unwrap()])
        .args(["--generator", &generator])
        .env("PROBE_TOKEN", "hunter-canary")
        .env("LOAD_TOKEN", "hunter-load")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let wire = fs::read_to_string(wire).unwrap();
    assert!(wire.contains("hunter-load"), "the generator sends it");
    assert!(!wire.contains("hunter-canary") && !wire.contains("PROBE_TOKEN"), "{wire}");
    assert!(!fs::read_to_string(back).unwrap().contains("hunter"));
    let recording = fs::read(out.join("recording.jsonl.zst")).unwrap();
    let (read, _) = recording::read(recording.as_slice()).unwrap();
    assert!(!format!("{read:?}").contains("hunter"));
    for printed in [output.stdout, output.stderr] {
        assert!(!text(&printed).contains("hunter"));
    }
}
