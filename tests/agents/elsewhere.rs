//! A target on another host, and a cause on another one than the target's: hosts are namespaces here.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;

use serde_json::Value;

use crate::space::{LISTEN, Process, SERVICE, Space, wait_for};
use crate::target::KNEEPOINT;
use crate::wait_until;

/// The report of a short search for the knee of a service with one lock, which is at 125 requests/s.
fn report(url: &str, agents: &[&str]) -> Value {
    let place = tempfile::tempdir().expect("a directory");
    let output = Command::new(KNEEPOINT)
        .args(["run", url, "--start", "40/s", "--max", "170/s", "--hold", "3s"])
        .args(["--format", "json", "--out"])
        .arg(place.path().join("out"))
        .args(agents.iter().flat_map(|agent| ["--agent", agent]))
        .output()
        .expect("the program starts");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    })
}

fn rules_of(report: &Value) -> Vec<&str> {
    let findings = report["diagnosis"]["findings"].as_array().expect("findings");
    findings.iter().filter_map(|finding| finding["rule"].as_str()).collect()
}

// One test for both: they leave the CPU idle, so they run side by side.
#[test]
fn the_cause_is_named_on_the_host_that_it_is_on() {
    thread::scope(|scope| {
        scope.spawn(a_target_in_another_namespace_gets_the_diagnosis_of_a_local_one);
        scope.spawn(the_cause_is_named_on_another_host_than_the_targets);
    });
}

fn a_target_in_another_namespace_gets_the_diagnosis_of_a_local_one() {
    let Some(space) = Space::new(21) else { return };
    let service = space.service(8080);
    let url = format!("http://{}:8080/", space.address());
    wait_for(&format!("{}:8080", space.address()));
    let agent = format!("ip netns exec {} {KNEEPOINT} agent", space.name);
    let there = report(&url, &[&agent]);
    let agents = there["environment"]["agents"].as_array().expect("agents");
    assert_eq!(agents[0]["is_target"], true, "{agents:?}");
    let collectors = there["environment"]["collectors"].as_array().expect("collectors");
    let watches = |name: &str| {
        let found = collectors.iter().find(|note| note["name"] == name);
        found.and_then(|note| note["watches"].as_str()).unwrap_or_default().to_owned()
    };
    let process = watches("process");
    assert!(process.starts_with(&format!("pid {} ", service.0.id())), "{process}");
    assert!(process.ends_with("(agent `agent`)"), "{process}");
    assert_eq!(rules_of(&there).first(), Some(&"app-lock-contention"), "{there:#}");
}

/// The path of the door below among the tests, and what tells it which service it calls.
const DOOR: &str = "elsewhere::a_door";
const BACKEND: &str = "KNEEPOINT_TEST_BACKEND";

/// Not a test: a service that asks another one for each answer, over a connection for each client.
#[test]
#[ignore = "the process that another test watches"]
fn a_door() {
    let (Ok(address), Ok(backend)) = (std::env::var(LISTEN), std::env::var(BACKEND)) else {
        return;
    };
    let listener = TcpListener::bind(address).expect("a free port");
    for client in listener.incoming().map_while(Result::ok) {
        let Ok(mut called) = TcpStream::connect(&backend) else { continue };
        thread::spawn(move || {
            let mut client = client;
            let mut bytes = [0; 4096];
            let mut request = Vec::new();
            while let Ok(length @ 1..) = client.read(&mut bytes) {
                request.extend_from_slice(&bytes[..length]);
                if !request.ends_with(b"\r\n\r\n") {
                    continue;
                }
                request.clear();
                let asked = called.write_all(b"GET / HTTP/1.1\r\nHost: it\r\n\r\n");
                // The answer is short and comes in one piece.
                let answer = asked.and_then(|()| called.read(&mut bytes));
                let passed = answer.and_then(|length| client.write_all(&bytes[..length]));
                if passed.is_err() {
                    return;
                }
            }
        });
    }
}

/// A host of its own: a network namespace, and a namespace of processes in it.
struct Host {
    space: Space,
    service: Process,
}

impl Host {
    /// Starts a test of this file as its only service; `None` if this machine has no such namespaces.
    fn start(space: Space, test: &str, variables: &[(&str, String)]) -> Option<Self> {
        let mut command = space.command("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
        command.arg(std::env::current_exe().expect("own path"));
        command.args([test, "--exact", "--ignored", "--nocapture"]);
        command.envs(variables.iter().cloned()).stdin(Stdio::piped());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let service = Process(command.spawn().ok()?);
        Some(Self { space, service })
    }

    /// The command of an agent there.
    fn agent(&self) -> String {
        let parent = self.service.0.id();
        let children = format!("/proc/{parent}/task/{parent}/children");
        wait_until("the host starts", || {
            fs::read_to_string(&children).is_ok_and(|text| !text.trim().is_empty())
        });
        let text = fs::read_to_string(&children).expect("it runs");
        let pid = text.split_whitespace().next().expect("a child");
        format!("nsenter -t {pid} -n -p -m {KNEEPOINT} agent")
    }
}

fn the_cause_is_named_on_another_host_than_the_targets() {
    let (Some(near), Some(far)) = (Space::new(22), Space::new(23)) else { return };
    assert!(near.join(&far), "a link between the two");
    let listen = |port: u16| (LISTEN, format!("0.0.0.0:{port}"));
    let far_address = format!("{}:8080", far.address());
    let Some(far) = Host::start(far, SERVICE, &[listen(8080)]) else { return };
    wait_for(&far_address);
    let called = (BACKEND, format!("{}:8080", far.space.link_address()));
    let Some(near) = Host::start(near, DOOR, &[listen(8000), called]) else { return };
    let near_address = format!("{}:8000", near.space.address());
    wait_for(&near_address);
    let url = format!("http://{near_address}/");
    let report = report(&url, &[&near.agent(), &far.agent()]);
    let agents = report["environment"]["agents"].as_array().expect("agents");
    let is_target: Vec<bool> = agents.iter().map(|agent| agent["is_target"] == true).collect();
    assert_eq!(is_target, [true, false], "{agents:?}");
    assert_eq!(rules_of(&report).first(), Some(&"app-lock-contention"), "{report:#}");
    let finding = &report["diagnosis"]["findings"][0];
    let title = finding["title"].as_str().unwrap_or_default();
    assert!(title.contains(&format!("({}:8080)", far.space.link_address())), "{title}");
}
