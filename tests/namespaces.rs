//! A target in a network namespace of its own, as in a container, gets the same diagnosis as one
//! beside kneepoint: directly, behind forwarders, and behind address translation.

#[allow(dead_code, reason = "other tests use more of it")]
mod space;
#[allow(dead_code, reason = "other tests use more of it")]
mod target;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kneepoint::collect::proc::Text;
use kneepoint::collect::proc::container;
use kneepoint::collect::{Located, Network, Opening, locate};
use kneepoint::demo::{self, Launcher};
use kneepoint::recording;
use serde_json::Value;
use space::{LISTEN, Process, SERVICE, Space, free_port, succeeds, wait_for};
use target::{KNEEPOINT, held, write_plan};

/// A user without rights.
const NOBODY: u32 = 65_534;
/// Forwards `from` to `to`; `None`, with a message, without `socat`.
#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
fn forward(mut command: Command, from: u16, to: &str) -> Option<Process> {
    if !succeeds("socat", &["-V"]) {
        eprintln!("skipped: `socat` is not installed");
        return None;
    }
    command.arg(format!("TCP-LISTEN:{from},fork,reuseaddr,backlog=256"));
    command.arg(format!("TCP:{to}")).stderr(Stdio::null());
    Some(Process(command.spawn().expect("socat starts")))
}

fn found(address: SocketAddr) -> (Located, Vec<u16>) {
    let located = locate(address, Opening::Http1);
    let ports = located.forwarders.iter().map(|it| it.address.port()).collect();
    (located, ports)
}

#[test]
fn the_target_is_found_directly_and_behind_forwarders() {
    let Some(space) = Space::new(1) else { return };
    let service = space.service(8080);
    let inside = format!("{}:8080", space.address());
    let (direct, none) = found(wait_for(&inside));
    assert!(direct.is_local && direct.port == 8080 && none.is_empty(), "{direct:?}");
    assert_eq!(Some(direct.network), Network::of(service.0.id()));
    assert!(!direct.network.is_own());

    let (first, second) = (free_port(), free_port());
    let Some(_one) = forward(Command::new("socat"), first, &inside) else { return };
    let (one, ports) = found(wait_for(&format!("127.0.0.1:{first}")));
    assert_eq!((one.network, one.port, ports), (direct.network, 8080, vec![first]));
    assert!(one.forwarders[0].network.is_own());

    let Some(_two) = forward(Command::new("socat"), second, &format!("127.0.0.1:{first}")) else {
        return;
    };
    let (two, ports) = found(wait_for(&format!("127.0.0.1:{second}")));
    assert_eq!((two.network, two.port, ports), (direct.network, 8080, vec![second, first]));

    // The last forwarder is in the namespace of the target.
    let Some(_inner) = forward(space.command("socat"), 8081, "127.0.0.1:8080") else { return };
    let (inner, ports) = found(wait_for(&format!("{}:8081", space.address())));
    assert_eq!((inner.network, inner.port, ports), (direct.network, 8080, vec![8081]));
    for opening in [Opening::Http2, Opening::Tls] {
        let again = locate(wait_for(&format!("127.0.0.1:{second}")), opening);
        assert_eq!((again.network, again.port), (direct.network, 8080), "{opening:?}");
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
fn the_target_is_found_behind_translated_addresses() {
    let Some(space) = Space::new(2) else { return };
    let service = space.service(8080);
    wait_for(&format!("{}:8080", space.address()));
    let table = format!("kneepoint_{}", std::process::id());
    let rules = format!(
        "table ip {table} {{ chain output {{ type nat hook output priority -100; \
         ip daddr {} tcp dport 8068 dnat to {}:8080; }}; }}",
        space.gateway(),
        space.address()
    );
    if !succeeds("nft", &[&rules]) {
        eprintln!("skipped: `nft` is not installed, or this kernel translates no addresses");
        return;
    }
    let address = format!("{}:8068", space.gateway()).parse().expect("an address");
    let (located, forwarders) = found(address);
    let _deleted = succeeds("nft", &["delete", "table", "ip", &table]);
    assert!(located.is_local && forwarders.is_empty(), "{located:?}");
    assert_eq!(Some(located.network), Network::of(service.0.id()));
    assert_eq!(located.port, 8080);
}

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
fn a_container_is_found_by_its_id() {
    let Some(space) = Space::new(3) else { return };
    let service = space.service(8080);
    let id = format!("{:064x}", u128::from(std::process::id()) << 64 | 0xfeed);
    let roots = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup"];
    let made =
        roots.iter().map(|root| PathBuf::from(format!("{root}/docker-{id}.scope"))).find(|group| {
            std::fs::create_dir(group).is_ok()
                && std::fs::write(group.join("cgroup.procs"), service.0.id().to_string()).is_ok()
        });
    let Some(group) = made else {
        eprintln!("skipped: this machine makes no control groups");
        return;
    };
    let mut text = Text::default();
    let found = container::processes(&mut text, &id[..]);
    let shown = container::of_process(&mut text, service.0.id());
    let none = container::processes(&mut text, "fedcba987654");
    let pid = service.0.id();
    drop(service);
    let _removed = std::fs::remove_dir(group).is_ok();
    assert!(found.contains(&pid), "{found:?}");
    assert_eq!(shown.as_deref(), Some(&id[..12]));
    assert!(none.is_empty());
}

/// The report of a run of this plan, which leaves its recording in `out` of the directory.
fn run(directory: &Path, plan: &str) -> Value {
    let output = Command::new(KNEEPOINT)
        .arg("run")
        .arg(write_plan(directory, plan))
        .args(["--format", "json", "--out"])
        .arg(directory.join("out"))
        .output()
        .expect("the program starts");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    })
}

/// A copy of a program that every user may run.
fn for_everybody(program: &Path, directory: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let open = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("own");
    };
    open(directory, 0o777);
    let copy = directory.join(program.file_name().expect("a name"));
    std::fs::copy(program, &copy).expect("a copy");
    open(&copy, 0o755);
    copy
}

/// What a very short run of another user says of itself.
fn run_as_nobody(program: &Path, directory: &Path, url: &str) -> String {
    let output = Command::new(program)
        .args(["run", url, "--start", "20/s", "--max", "20/s", "--hold", "1s"])
        .current_dir(directory)
        .uid(NOBODY)
        .output()
        .expect("the program starts");
    let texts = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&texts).into_owned()
}

#[test]
fn a_right_that_is_missing_is_named_with_what_it_adds() {
    let Some(space) = Space::new(5) else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let program = for_everybody(Path::new(KNEEPOINT), directory.path());
    let _service = space.service(8080);
    let address = format!("{}:8080", space.address());
    wait_for(&address);
    let said = run_as_nobody(&program, directory.path(), &format!("http://{address}/"));
    for part in ["another network namespace", "CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "accept queue"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
fn who_owns_a_namespace_needs_no_rights() {
    if Space::new(6).is_none() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let program = for_everybody(Path::new(KNEEPOINT), directory.path());
    let service = for_everybody(&std::env::current_exe().expect("own path"), directory.path());
    // Like a rootless engine: what comes in is carried over a UNIX socket into the namespace.
    let bridge = directory.path().join("bridge.sock");
    let script = format!(
        "ip link set lo up; setpriv --pdeathsig KILL socat UNIX-LISTEN:{0},fork TCP:127.0.0.1:8080 & \
         exec {1} --exact {SERVICE} --ignored --nocapture",
        bridge.display(),
        service.display()
    );
    let inside = Command::new("unshare")
        .args(["-U", "-r", "-n", "sh", "-c", &script])
        .env(LISTEN, "127.0.0.1:8080")
        .current_dir(directory.path())
        .uid(NOBODY)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut inside) = inside.map(Process) else { return };
    let mut lines = BufReader::new(inside.0.stdout.take().expect("a pipe")).lines();
    let port = free_port();
    if !lines.any(|line| line.is_ok_and(|line| line == "listens")) || !succeeds("socat", &["-V"]) {
        eprintln!("skipped: no `socat`, or this machine makes no namespaces for users");
        return;
    }
    let _outside = Process(
        Command::new("socat")
            .arg(format!("TCP-LISTEN:{port},fork,reuseaddr"))
            .arg(format!("UNIX-CONNECT:{}", bridge.display()))
            .uid(NOBODY)
            .spawn()
            .expect("socat starts"),
    );
    let url = format!("http://{}/", wait_for(&format!("127.0.0.1:{port}")));
    let said = run_as_nobody(&program, directory.path(), &url);
    let pid = inside.0.id();
    assert!(said.contains(&format!("watching  process    pid {pid} ")), "{said}");
    assert!(said.contains("watching  tcp        the sockets of"), "{said}");
    assert!(!said.contains("CAP_SYS_ADMIN"), "{said}");
}

fn rules_of(report: &Value) -> Vec<&str> {
    let findings = report["diagnosis"]["findings"].as_array().expect("findings");
    findings.iter().filter_map(|finding| finding["rule"].as_str()).collect()
}

#[test]
fn a_fault_of_the_shop_is_named_behind_two_forwarders() {
    let Some(space) = Space::new(4) else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let wrapper = directory.path().join("inside");
    let script = format!("#!/bin/sh\nexec ip netns exec {} {KNEEPOINT} \"$@\"\n", space.name);
    std::fs::write(&wrapper, script).expect("a file");
    assert!(succeeds("chmod", &["755", &wrapper.display().to_string()]));
    let fault = demo::find("behind-proxy-workers").expect("a fault");
    let launcher = Launcher::new().expect("own path").with_program(&wrapper);
    let shop = launcher.start(fault, Some(directory.path())).expect("the shop starts");
    let port = shop.url.rsplit(':').next().expect("a port").to_owned();
    let to = format!("127.0.0.1:{port}");
    let Some(_inner) = forward(space.command("socat"), 8080, &to) else { return };
    let first = free_port();
    let inside = format!("{}:8080", space.address());
    let Some(_outer) = forward(Command::new("socat"), first, &inside) else { return };
    wait_for(&inside);
    wait_for(&format!("127.0.0.1:{first}"));
    // Its knee is at 155 requests/s.
    let plan = format!(
        "[target]\nurl = \"http://127.0.0.1:{first}\"\n[[request]]\npath = \"/product/7\"\n{}",
        held([40, 80, 120, 175, 200, 230], 4)
    );
    let report = run(directory.path(), &plan);
    let rules = rules_of(&report);
    assert_eq!(rules.first(), Some(&"worker-exhaustion"), "{report:#}");
}

#[test]
fn a_container_that_starts_again_in_a_new_namespace_is_followed() {
    let Some(space) = Space::new(7) else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let service = space.service(8080);
    let (first, address) = (service.0.id(), format!("{}:8080", space.address()));
    wait_for(&address);
    // The requests in between fail, and the run goes on.
    let plan = format!(
        "[target]\nurl = \"http://{address}\"\n[[request]]\npath = \"/\"\n\
         [limits]\nerror_budget = \"100%\"\n{}",
        held([20], 12)
    );
    let path = write_plan(directory.path(), &plan);
    let out = directory.path().join("out");
    let mut command = Command::new(KNEEPOINT);
    command.arg("run").arg(path).arg("--out").arg(&out).stdout(Stdio::null());
    let mut run = Process(command.spawn().expect("the program starts"));
    let file = out.join("recording.jsonl.zst");
    let began = Instant::now();
    while !file.exists() {
        assert!(began.elapsed() < Duration::from_secs(30), "no load");
        thread::sleep(Duration::from_millis(20));
    }
    thread::sleep(Duration::from_secs(3));
    drop((service, space));
    // Long enough for a look at nothing.
    thread::sleep(Duration::from_millis(1_500));
    let again = Space::new(7).expect("as before");
    let service = again.service(8080);
    let second = service.0.id();
    assert!(run.0.wait().expect("own child").code().is_some());
    let bytes = std::fs::read(file).expect("a recording");
    let recording = recording::read(bytes.as_slice()).expect("it can be read").0;
    let events: Vec<&str> = recording.events.iter().map(|event| event.text.as_str()).collect();
    let follows = |event: &&str| {
        let told =
            event.split_once("target restarted: ").and_then(|(_, what)| what.split_once('→'));
        let is_of = |part: &str, pid: u32| part.contains(&format!("pid {pid} "));
        told.is_some_and(|(before, after)| is_of(before, first) && is_of(after, second))
    };
    assert!(events.iter().any(follows), "{events:?}");
    // The sockets are those of the new namespace, and that there was no target is a gap.
    let looks = &recording.timeline.readings["tcp"];
    let load = recording.timeline.stages[0].window;
    assert!(looks.iter().any(|at| *at + Duration::from_secs(2) > load.end), "{looks:?}");
    let gap = recording.timeline.gaps.iter().find(|gap| gap.collector == "process");
    assert!(gap.is_some(), "{:?}", recording.timeline.gaps);
}
