//! `kneepoint run --bus`: nodes dial in to a NATS server with JetStream. Whatever is killed, what the
//! bus has acknowledged can be diagnosed, and is what the target has seen.

#![allow(clippy::unwrap_used, reason = "tests")]

mod kubernetes;
mod server;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../target/mod.rs"]
mod target;

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kneepoint::recording::{self, Recording, StopReason};
use server::{Bus, files, greet_by_hand, introduce};
use target::{KNEEPOINT, Server, write_plan};

/// A seed that is no secret, and its public key.
const SEED: &str = "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y";
const PUBLIC: &str = "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK";

/// A constant rate of `GET /{id}`, each row once.
fn plan(server: &Server, rate: u32, secs: u32) -> String {
    format!(
        "[target]\nurl = \"{}\"\n\
         [[request]]\nname = \"item\"\npath = \"/item?{{id}}\"\n\
         headers = {{ x-key = \"${{BUS_TEST_KEY}}\" }}\n\
         [data.id]\nrange = [1, 100000]\norder = \"sequential\"\nexhausted = \"stop\"\n\
         [load]\nexecutor = \"constant-arrival-rate\"\nrate = \"{rate}/s\"\nduration = \"{secs}s\"\n",
        server.url()
    )
}

/// The secret that a plan sends.
const KEY: &str = "hunter2-of-the-bus";

/// A coordinator, and the nodes of its run.
struct Fleet {
    coordinator: Child,
    nodes: Vec<Child>,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for child in self.nodes.iter_mut().chain([&mut self.coordinator]) {
            let _gone = child.kill().is_err();
            let _reaped = child.wait().is_err();
        }
    }
}

fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(KNEEPOINT);
    command.args(arguments).current_dir(directory).env("TMPDIR", directory);
    command.env("BUS_TEST_KEY", KEY).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn start(directory: &Path, url: &str, text: &str, nodes: usize, more: &[&str]) -> Fleet {
    write_plan(directory, text);
    let count = nodes.to_string();
    let run = ["run", "plan.toml", "--quiet", "--out", "out", "--bus", url, "--run", "r"];
    let run = [&run, more, &["--generators", &count]].concat();
    let node = [&["generate", "--bus", url, "--run", "r"], more].concat();
    let nodes = (0..nodes).map(|_| command(directory, &node).spawn().unwrap()).collect();
    Fleet { coordinator: command(directory, &run).spawn().unwrap(), nodes }
}

fn end(child: &mut Child) -> Output {
    let status = child.wait().unwrap();
    let mut output = Output { status, stdout: Vec::new(), stderr: Vec::new() };
    let read = |from: Option<&mut dyn std::io::Read>, to: &mut Vec<u8>| {
        from.unwrap().read_to_end(to).unwrap();
    };
    read(child.stdout.as_mut().map(|it| it as &mut dyn std::io::Read), &mut output.stdout);
    read(child.stderr.as_mut().map(|it| it as &mut dyn std::io::Read), &mut output.stderr);
    output
}

fn text(output: &Output) -> String {
    let (out, errors) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(errors), String::from_utf8_lossy(out))
}

fn read(file: &Path) -> Recording {
    recording::read(fs::read(file).expect("a recording").as_slice()).expect("readable").0
}

/// What the bus has of the run.
fn fetched(directory: &Path, url: &str) -> Recording {
    let arguments = ["diagnose", "--bus", url, "r", "--out", "fetched"];
    let output = command(directory, &arguments).output().unwrap();
    assert!(!output.stdout.is_empty(), "{}", text(&output));
    read(&directory.join("fetched/recording.jsonl.zst"))
}

/// What was due, sent and answered.
fn counts(recording: &Recording) -> (u64, u64, u64) {
    let ticks = &recording.timeline.ticks;
    let sum = |of: fn(&kneepoint::timeline::LoadTick) -> u64| ticks.iter().map(of).sum();
    (sum(|tick| tick.offered), sum(|tick| tick.sent), sum(|tick| tick.completed()))
}

/// The rows that the target was asked for. Those of the requests before the load are among them.
fn rows(server: &Server) -> u64 {
    server.paths().into_iter().collect::<BTreeSet<String>>().len() as u64
}

fn wait_until(what: &str, secs: u64, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(secs);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} did not come within {secs} s");
        thread::sleep(Duration::from_millis(20));
    }
}

fn has_spools(directory: &Path) -> bool {
    files(directory).iter().any(|path| path.to_string_lossy().contains(".spool"))
}

#[test]
fn a_run_over_a_bus_is_the_run_that_it_would_be_and_stays_there() {
    let Some(bus) = Bus::start() else { return };
    let (server, directory) = (Server::start(), tempfile::tempdir().unwrap());
    let here = directory.path();
    let mut fleet = start(here, &bus.url(), &plan(&server, 100, 3), 2, &[]);
    let output = end(&mut fleet.coordinator);
    assert!(matches!(output.status.code(), Some(0 | 123)), "{}", text(&output));
    for node in &mut fleet.nodes {
        let output = end(node);
        assert!(output.status.success(), "{}", text(&output));
    }
    let recording = read(&here.join("out/recording.jsonl.zst"));
    assert_eq!(counts(&recording), (300, 300, 300));
    assert_eq!(rows(&server), 300);
    let kept = fetched(here, &bus.url());
    assert_eq!(counts(&kept), (300, 300, 300));
    assert_eq!(kept.stop.map(|stop| stop.reason), Some(StopReason::Completed));
    let file = |name: &str| fs::read(here.join(name).join("recording.jsonl.zst")).unwrap();
    assert!(file("out") == file("fetched"), "the same bytes");
    assert!(!has_spools(here), "spools are left");
    // The secret went to the nodes, and stays nowhere.
    assert!(!bus.keeps(KEY) && bus.keeps("kneepoint"));
    // The name is taken, and its nodes are not wanted any more.
    let again = ["run", "plan.toml", "--bus", &bus.url(), "--run", "r", "--generators", "1"];
    let output = command(here, &again).output().unwrap();
    assert_eq!(output.status.code(), Some(106), "{}", text(&output));
    assert!(text(&output).contains("has a run `r` already"), "{}", text(&output));
    let late = ["generate", "--bus", &bus.url(), "--run", "r"];
    let output = command(here, &late).output().unwrap();
    assert_eq!(output.status.code(), Some(106), "{}", text(&output));
    assert!(text(&output).contains("is over"), "{}", text(&output));
    let output = command(here, &["diagnose", "--bus", &bus.url(), "other"]).output().unwrap();
    assert!(text(&output).contains("it has `r`"), "{}", text(&output));
}

#[test]
fn a_killed_coordinator_leaves_what_its_generators_did_until_their_lease_ended() {
    let Some(bus) = Bus::start() else { return };
    let (server, directory) = (Server::start(), tempfile::tempdir().unwrap());
    let here = directory.path();
    let mut fleet = start(here, &bus.url(), &plan(&server, 60, 60), 2, &[]);
    wait_until("load", 30, || server.requests() > 200);
    fleet.coordinator.kill().unwrap();
    fleet.coordinator.wait().unwrap();
    // Its file is lost with its machine.
    fs::remove_dir_all(here.join("out")).unwrap();
    for node in &mut fleet.nodes {
        end(node);
    }
    let kept = fetched(here, &bus.url());
    assert_eq!(kept.stop, None);
    let (_, sent, completed) = counts(&kept);
    // Those in flight when the lease ended were sent, and not answered.
    assert!(sent == rows(&server) && sent - completed <= 2, "{sent}, {completed}");
    // More than it had recorded itself: the lease is five seconds.
    assert!(completed > 200 + 60 * 3, "{completed}");
    assert!(!has_spools(here), "spools are left");
}

#[test]
fn a_killed_generator_ends_the_run_and_both_records_of_it_are_equal() {
    let Some(bus) = Bus::start() else { return };
    let (server, directory) = (Server::start(), tempfile::tempdir().unwrap());
    let here = directory.path();
    let mut fleet = start(here, &bus.url(), &plan(&server, 60, 60), 2, &[]);
    wait_until("load", 30, || server.requests() > 200);
    fleet.nodes[0].kill().unwrap();
    let output = end(&mut fleet.coordinator);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("was lost"), "{}", text(&output));
    let recording = read(&here.join("out/recording.jsonl.zst"));
    let (_, sent, completed) = counts(&recording);
    assert_eq!(counts(&fetched(here, &bus.url())), counts(&recording));
    // The target may have seen the last second of the dead one.
    let seen = rows(&server);
    assert!(completed <= seen && sent <= seen && seen <= sent + 40, "{sent} of {seen}");
}

#[test]
fn others_take_over_from_a_killed_generator_over_a_bus_too() {
    let Some(bus) = Bus::start() else { return };
    let (server, directory) = (Server::start(), tempfile::tempdir().unwrap());
    let here = directory.path();
    write_plan(here, &plan(&server, 60, 16));
    let run = ["run", "plan.toml", "--quiet", "--out", "out", "--bus", &bus.url(), "--run", "r"];
    let run = [&run[..], &["--generators", "3", "--on-generator-loss", "refill"]].concat();
    let url = bus.url();
    let node = ["generate", "--bus", &url, "--run", "r"];
    let nodes = (0..3).map(|_| command(here, &node).spawn().unwrap()).collect();
    let mut fleet = Fleet { coordinator: command(here, &run).spawn().unwrap(), nodes };
    wait_until("load", 30, || server.requests() > 120);
    fleet.nodes[0].kill().unwrap();
    let output = end(&mut fleet.coordinator);
    assert!(matches!(output.status.code(), Some(0 | 123)), "{}", text(&output));
    for node in &mut fleet.nodes[1..] {
        let output = end(node);
        assert!(output.status.success(), "{}", text(&output));
    }
    let recording = read(&here.join("out/recording.jsonl.zst"));
    let [refill] = recording.timeline.refills[..] else { panic!("{}", text(&output)) };
    let whole = recording.timeline.ticks.iter().filter(|tick| {
        let end = recording.timeline.stages.last().unwrap().window.end;
        tick.window.begin >= refill.from && tick.window.end <= end
    });
    let offered: Vec<u64> = whole.map(|tick| tick.offered).collect();
    assert!(offered.len() >= 2 && offered.iter().all(|count| (59..=61).contains(count)));
    assert_eq!(counts(&fetched(here, &bus.url())), counts(&recording));
    // The target may have seen the last second of the dead one.
    let (_, sent, completed) = counts(&recording);
    let (seen, all) = (rows(&server), server.requests());
    assert!(completed <= seen && sent <= seen && seen <= sent + 45, "{sent} of {seen}");
    // No row twice, but for those of the requests before the load.
    assert!(all - seen < 10, "{all} requests for {seen} rows");
}

#[test]
fn a_killed_bus_that_comes_back_within_the_lease_costs_nothing() {
    let Some(mut bus) = Bus::start() else { return };
    let (server, directory) = (Server::start(), tempfile::tempdir().unwrap());
    let here = directory.path();
    let mut fleet = start(here, &bus.url(), &plan(&server, 60, 7), 2, &[]);
    wait_until("load", 30, || server.requests() > 120);
    bus.kill();
    thread::sleep(Duration::from_secs(1));
    bus.start_again();
    let output = end(&mut fleet.coordinator);
    assert!(matches!(output.status.code(), Some(0 | 123)), "{}", text(&output));
    for node in &mut fleet.nodes {
        end(node);
    }
    let recording = read(&here.join("out/recording.jsonl.zst"));
    assert_eq!(counts(&recording), (420, 420, 420));
    assert_eq!(counts(&fetched(here, &bus.url())), (420, 420, 420));
    assert_eq!(rows(&server), 420);
}

#[test]
fn what_a_bus_that_was_away_for_long_has_missed_comes_from_the_spools() {
    let Some(mut bus) = Bus::start() else { return };
    let (server, directory) = (Server::start(), tempfile::tempdir().unwrap());
    let here = directory.path();
    let mut fleet = start(here, &bus.url(), &plan(&server, 60, 60), 2, &[]);
    wait_until("load", 30, || server.requests() > 120);
    bus.kill();
    let output = end(&mut fleet.coordinator);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let seen = server.requests();
    thread::sleep(Duration::from_millis(500));
    assert_eq!(server.requests(), seen, "the load goes on");
    assert!(has_spools(here));
    bus.start_again();
    for node in &mut fleet.nodes {
        let output = end(node);
        assert!(output.status.success(), "{}", text(&output));
    }
    let (_, sent, completed) = counts(&fetched(here, &bus.url()));
    assert!(sent == rows(&server) && sent - completed <= 2, "{sent}, {completed}");
    assert!(!has_spools(here), "spools are left");
}

#[test]
fn an_agent_dials_in_and_a_key_and_a_certificate_let_it() {
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let config = format!(
        "authorization {{ users: [ {{ nkey: {PUBLIC} }} ] }}\n\
         tls {{ cert_file: 'DIR/cert.pem', key_file: 'DIR/key.pem' }}\n"
    );
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    fs::write(here.join("cert.pem"), certified.cert.pem()).unwrap();
    fs::write(here.join("key.pem"), certified.signing_key.serialize_pem()).unwrap();
    fs::write(here.join("nkey"), SEED).unwrap();
    let config = config.replace("DIR", here.to_str().unwrap());
    let Some(bus) = Bus::with(&config, true) else { return };
    let url = format!("tls://localhost:{}", bus.port);
    let server = Server::start();
    let text_of_plan = format!("{}[[agent]]\nname = \"box\"\nbus = true\n", plan(&server, 20, 2));
    let more = ["--bus-ca", "cert.pem", "--bus-nkey", "nkey"];
    let agent = ["agent", "--bus", &url, "--run", "r", "--name", "box"];
    let mut agent = command(here, &[&agent, &more[..]].concat()).spawn().unwrap();
    let mut fleet = start(here, &url, &text_of_plan, 1, &more);
    let output = end(&mut fleet.coordinator);
    assert!(matches!(output.status.code(), Some(0 | 123)), "{}", text(&output));
    let output = end(&mut agent);
    assert!(output.status.success(), "{}", text(&output));
    let recording = read(&here.join("out/recording.jsonl.zst"));
    assert_eq!(counts(&recording), (40, 40, 40));
    let names: Vec<&str> =
        recording.environment.agents.iter().map(|note| note.name.as_str()).collect();
    assert_eq!(names, ["box"]);
    let of_agent = |key: &&kneepoint::timeline::SeriesKey| key.metric.starts_with("agent.");
    assert!(recording.timeline.series.keys().filter(of_agent).count() > 2);
    // Without the key nobody gets in.
    let plain = ["run", "plan.toml", "--bus", &url, "--bus-ca", "cert.pem"];
    let output = command(here, &plain).output().unwrap();
    assert_eq!(output.status.code(), Some(106), "{}", text(&output));
    assert!(text(&output).contains("--bus-nkey"), "{}", text(&output));
}

/// What a run over this bus says, which refuses it before any load.
fn refusal(url: &str) -> String {
    let (server, directory) = (Server::start(), tempfile::tempdir().unwrap());
    write_plan(directory.path(), &plan(&server, 10, 1));
    let run = ["run", "plan.toml", "--bus", url, "--run", "r", "--generators", "1"];
    let output = command(directory.path(), &run).output().unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(106), "{said}");
    assert!(said.contains("hint: ") && !said.contains("hunter2"), "{said}");
    assert_eq!(server.requests(), 0, "load was sent");
    said
}

#[test]
fn a_bus_that_cannot_carry_a_run_is_refused_with_the_next_step() {
    let said = refusal("nats://shop:hunter2@kneepoint.invalid:4222");
    assert!(said.contains("`kneepoint.invalid` has no address"), "{said}");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let said = refusal(&format!("nats://127.0.0.1:{free}"));
    assert!(said.contains("nobody listens") && said.contains("nats-server -js"), "{said}");
    let old = introduce(
        r#"{"server_id":"x","server_name":"x","version":"2.1.9","proto":1,"go":"go1","host":"x","port":1,"max_payload":1048576,"headers":false}"#,
    );
    let said = refusal(&format!("nats://127.0.0.1:{old}"));
    assert!(said.contains("is NATS 2.1.9") && said.contains("2.9"), "{said}");

    let users = "authorization { user: shop, password: correct }\n";
    let Some(bus) = Bus::with(users, true) else { return };
    let said = refusal(&format!("nats://shop:hunter2@127.0.0.1:{}", bus.port));
    assert!(said.contains("refuses this user, password or key"), "{said}");
    let Some(bus) = Bus::with("", false) else { return };
    let said = refusal(&bus.url());
    assert!(said.contains("has no JetStream") && said.contains("-js"), "{said}");
    let small = "jetstream { store_dir: 'DIR/store', max_file_store: 1MB }\n";
    let Some(bus) = Bus::with(small, true) else { return };
    let said = refusal(&bus.url());
    assert!(said.contains("has no room for a run") && said.contains("max_file_store"), "{said}");
}

#[test]
fn a_generator_of_another_version_is_refused() {
    let Some(bus) = Bus::start() else { return };
    let (server, directory) = (Server::start(), tempfile::tempdir().unwrap());
    write_plan(directory.path(), &plan(&server, 10, 1));
    let run = ["run", "plan.toml", "--bus", &bus.url(), "--run", "r", "--generators", "1"];
    let mut run = command(directory.path(), &run).spawn().unwrap();
    wait_until("the stream", 20, || bus.has("r"));
    let port = bus.port;
    let hello = r#"{"hello":{"protocol":"9.0","version":"9.8.7","role":"generator"}}"#;
    thread::spawn(move || greet_by_hand(port, "r", hello));
    let output = end(&mut run);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(106), "{said}");
    assert!(said.contains("kneepoint 9.8.7 with protocol 9.0"), "{said}");
    assert!(said.contains("install the same version"), "{said}");
}
