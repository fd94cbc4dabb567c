//! Agents: collectors that run elsewhere, over the standard input and output of a child process. The
//! target that they find gets the diagnosis of a local one; what is lost is a gap; nothing stays.

#[allow(dead_code, reason = "other tests use more of it")]
mod space;
#[allow(dead_code, reason = "other tests use more of it")]
mod target;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kneepoint::recording::{self, Recording};
use kneepoint::remote::{Envelope, Message};
use kneepoint::timeline::{Kind, Moment};
use serde_json::Value;
use space::{Space, wait_for};
use target::{KNEEPOINT, Server, kneepoint, write_plan};

/// A directory with a script that starts an agent. While there is one, no other test makes load.
struct Place {
    directory: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

/// Keeps other tests of this file from making load.
fn alone() -> MutexGuard<'static, ()> {
    static LOAD: Mutex<()> = Mutex::new(());
    LOAD.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Place {
    fn new() -> Self {
        Self { _alone: alone(), directory: tempfile::tempdir().expect("a directory") }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A script in it; gives its path.
    fn script(&self, body: &str) -> PathBuf {
        let path = self.path().join("start-agent");
        let body = body.replace("@agent@", &format!("{KNEEPOINT} agent"));
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).expect("own directory");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("own file");
        path
    }

    fn recording(&self) -> Recording {
        let file = fs::read(self.path().join("out/recording.jsonl.zst")).expect("a recording");
        recording::read(file.as_slice()).expect("it can be read").0
    }
}

/// A plan of a constant rate, with an agent that this command starts.
fn plan(place: &Place, server: &Server, seconds: u32, agent: &str) -> PathBuf {
    let text = format!(
        "[target]\nurl = \"{}\"\n[[request]]\npath = \"/\"\n\
         [load]\nexecutor = \"constant-arrival-rate\"\nrate = \"50/s\"\nduration = \"{seconds}s\"\n\
         [[agent]]\nname = \"app1\"\ncommand = [\"{agent}\"]\n",
        server.url()
    );
    write_plan(place.path(), &text)
}

/// Runs the plan to its end.
fn run(place: &Place, plan: &Path) -> Output {
    let out = place.path().join("out");
    kneepoint(&["run", &plan.display().to_string(), "--out", &out.display().to_string()])
        .output()
        .expect("the program starts")
}

/// Everything that was printed, on one line.
fn said(output: &Output) -> String {
    let texts = [output.stdout.clone(), output.stderr.clone()].concat();
    let words: Vec<String> =
        String::from_utf8_lossy(&texts).split_whitespace().map(str::to_owned).collect();
    words.join(" ")
}

fn is_alive(pid: u32) -> bool {
    // A zombie is dead, and its parent has not looked yet.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// Waits for the process id that the script wrote.
fn pid_in(path: &Path, but: Option<u32>) -> u32 {
    let began = Instant::now();
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        match text.trim().parse() {
            Ok(pid) if Some(pid) != but => return pid,
            _ => assert!(began.elapsed() < Duration::from_secs(30), "no agent has started"),
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn kill(pid: u32) {
    let pid = libc::pid_t::try_from(pid).expect("a process id");
    // SAFETY: it only sends a signal, to a process that this test has started.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGKILL) }, 0);
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Starts a run of the plan.
fn start(place: &Place, plan: &Path) -> Child {
    Command::new(KNEEPOINT)
        .arg("run")
        .arg(plan)
        .arg("--out")
        .arg(place.path().join("out"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

#[test]
fn the_target_of_an_agent_is_read_as_if_it_were_here_and_a_banner_does_no_harm() {
    let (place, server) = (Place::new(), Server::start());
    let script =
        place.script("echo 'Welcome to app1!'; echo '{\"a\": 1}'; printf 'no end'; exec @agent@");
    let output = run(&place, &plan(&place, &server, 4, &script.display().to_string()));
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("its clock was known to within"), "{said}");
    let recording = place.recording();
    let [agent] = &recording.environment.agents[..] else { panic!("{:?}", recording.environment) };
    assert!(agent.is_target && agent.is_same_machine, "{agent:?}");
    let own = format!("pid {} ", std::process::id());
    let process = recording.environment.collectors.iter().find(|note| note.name == "process");
    let watches = &process.expect("the agent has found the process").watches;
    assert!(watches.starts_with(&own) && watches.ends_with("(agent `app1`)"), "{watches}");
    // Under the names that the target's series have everywhere.
    let timeline = &recording.timeline;
    for metric in ["process.cpu.time", "tcp.sockets", "threads.total", "system.cpu.utilization"] {
        assert!(timeline.series_of(metric).next().is_some(), "{metric} is missing");
    }
    for metric in ["agent.cpu.time", "agent.clock.offset", "agent.clock.error"] {
        let (key, series) = timeline.series_of(metric).next().expect(metric);
        assert_eq!(key.labels.get("agent"), Some("app1"));
        assert!(series.points.len() >= 4, "{metric}: {}", series.points.len());
    }
    assert_eq!(timeline.series_of("agent.clock.stamp").count(), 4);
    let gaps: Vec<_> = timeline.gaps.iter().filter(|gap| gap.reason.contains("agent")).collect();
    assert!(gaps.is_empty(), "{gaps:?}");
    // Its readings lie where the load was: it began before the first request and went on to the end.
    let looks = &timeline.readings["process"];
    let load = timeline.stages[0].window;
    assert!(looks.iter().any(|at| *at < load.begin + Duration::from_secs(1)), "{looks:?}");
    assert!(looks.iter().any(|at| *at + Duration::from_secs(1) > load.end), "{looks:?}");
}

#[test]
fn a_killed_agent_is_a_gap_and_comes_back_without_duplicates_or_resets() {
    let (place, server) = (Place::new(), Server::start());
    let pid_file = place.path().join("pid");
    let script = place.script(&format!("echo $$ > {}; exec @agent@", pid_file.display()));
    let plan = plan(&place, &server, 10, &script.display().to_string());
    let mut child = start(&place, &plan);
    wait_until("it records", || place.path().join("out/recording.jsonl.zst").exists());
    thread::sleep(Duration::from_secs(4));
    let first = pid_in(&pid_file, None);
    kill(first);
    let second = pid_in(&pid_file, Some(first));
    assert!(child.wait().expect("own child").success());
    wait_until("the agent ends with the run", || !is_alive(second));
    let recording = place.recording();
    let timeline = &recording.timeline;
    let lost: Vec<_> =
        timeline.gaps.iter().filter(|gap| gap.reason.contains("it was lost")).collect();
    let gap = lost.iter().find(|gap| gap.collector == "process").expect("a gap");
    assert!(gap.window.secs() > 0.5, "{gap:?}");
    assert!(gap.reason.starts_with("agent `app1`: it was lost: it ended (signal: 9"), "{gap:?}");
    let events: Vec<&str> = recording.events.iter().map(|event| event.text.as_str()).collect();
    assert!(events.iter().any(|event| event.contains("it is back after")), "{events:?}");
    // Nothing was made up for the time in between.
    let inside =
        |at: &Moment| *at > gap.window.begin + Duration::from_millis(50) && *at < gap.window.end;
    let looks = &timeline.readings["process"];
    assert!(!looks.iter().any(inside), "{:?} {looks:?}", gap.window);
    assert!(looks.iter().any(|at| *at >= gap.window.end), "it reads again");
    assert!(looks.is_sorted(), "{looks:?}");
    assert!(looks.windows(2).all(|pair| pair[0] < pair[1]), "each look is there once");
    // What the kernel counts goes on where it was.
    for metric in ["process.cpu.time", "system.network.bytes"] {
        for (key, series) in timeline.series_of(metric) {
            assert_eq!(series.kind, Kind::Counter);
            let values: Vec<f64> = series.points.iter().map(|point| point.value).collect();
            assert!(values.is_sorted(), "{key} falls: {values:?}");
        }
    }
}

#[test]
fn nothing_stays_when_the_coordinator_is_killed() {
    let (place, server) = (Place::new(), Server::start());
    let pid_file = place.path().join("pid");
    let script = place.script(&format!("echo $$ > {}; exec @agent@", pid_file.display()));
    let plan = plan(&place, &server, 60, &script.display().to_string());
    let mut child = start(&place, &plan);
    wait_until("it records", || place.path().join("out/recording.jsonl.zst").exists());
    let agent = pid_in(&pid_file, None);
    thread::sleep(Duration::from_millis(500));
    assert!(is_alive(agent));
    child.kill().expect("own child");
    child.wait().expect("own child");
    wait_until("the agent ends", || !is_alive(agent));
}

#[test]
fn garbage_and_torn_lines_are_gaps() {
    let (place, server) = (Place::new(), Server::start());
    // One line too many, and one line whose beginning is lost.
    let script = place.script("@agent@ | sed -u -e '30i not a message' -e '40s/^.\\{30\\}//'");
    let output = run(&place, &plan(&place, &server, 6, &script.display().to_string()));
    assert!(output.status.success(), "{}", said(&output));
    let recording = place.recording();
    let events: Vec<&str> = recording.events.iter().map(|event| event.text.as_str()).collect();
    let told = |what: &str| events.iter().any(|event| event.contains(what));
    assert!(told("it printed `not a message`, which is not a message"), "{events:?}");
    assert!(!told("it is lost"), "{events:?}");
    let missing = |gap: &kneepoint::timeline::Gap| gap.reason.contains("1 message is missing");
    assert!(recording.timeline.gaps.iter().any(missing), "{:?}", recording.timeline.gaps);
}

/// Says to the agent below that it is one.
const FAKE: &str = "KNEEPOINT_TEST_FAKE_AGENT";
/// Its clock is so far ahead, and jumps once by so much, in seconds.
const AHEAD: f64 = 3.0 * 3600.0;
const JUMP: f64 = 60.0;

/// Not a test: an agent whose clock is hours ahead and jumps during the run. What it reads is the wall
/// clock.
#[test]
#[ignore = "the agent of another test"]
fn an_agent_whose_clock_jumps() {
    if std::env::var_os(FAKE).is_none() {
        return;
    }
    let began = Instant::now();
    let (mut run, mut epoch, mut seq, mut pings, mut ahead) = (String::new(), 0, 0, 0, AHEAD);
    let mut is_open = false;
    let mut say = |run: &str, epoch: u32, message: String| {
        seq += 1;
        let place = format!("\"run\":\"{run}\",\"from\":\"app1\",\"epoch\":{epoch},\"seq\":{seq}");
        let mut stdout = std::io::stdout();
        writeln!(stdout, "{{{place},\"message\":{message}}}").expect("the coordinator reads");
    };
    let hello = r#"{"hello":{"protocol":"1.0","version":"0.1.0","role":"agent"}}"#;
    say("", 0, hello.to_owned());
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let envelope = Envelope::of_line(line.as_bytes()).expect("a message");
        let now = ((began.elapsed().as_secs_f64() + ahead) * 1e9) as i64;
        match envelope.message {
            Message::Seek(_) => {
                say(&run, epoch, r#"{"sought":{"found":true,"port":1}}"#.to_owned());
            }
            Message::Open(_) => {
                (run, epoch, is_open) = (envelope.run, envelope.epoch, true);
                let watched =
                    r#"{"name":"process","instance":"process","watches":"x","interval_secs":1.0}"#;
                say(&run, epoch, format!(r#"{{"ready":{{"watched":[{watched}]}}}}"#));
            }
            Message::Ping(ping) if is_open => {
                pings += 1;
                ahead += if pings == 4 { JUMP } else { 0.0 };
                let unix = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
                let series = r#"{"type":"series","id":0,"metric":"process.count","labels":{},"unit":"count","kind":"gauge","collector":"process"}"#;
                let (at, value) = (now, unix.as_secs_f64());
                let batch = format!(
                    r#"{{"type":"batch","collector":"process","begin":{at},"end":{at},"values":[[0,{value}]]}}"#
                );
                say(&run, epoch, format!(r#"{{"lines":{{"lines":[{series},{batch}]}}}}"#));
                let sent = ping.sent;
                let now = ((began.elapsed().as_secs_f64() + ahead) * 1e9) as i64;
                say(
                    &run,
                    epoch,
                    format!(r#"{{"pong":{{"sent":{sent},"received":{now},"replied":{now}}}}}"#),
                );
            }
            Message::Ping(ping) => {
                let sent = ping.sent;
                say(
                    &run,
                    epoch,
                    format!(r#"{{"pong":{{"sent":{sent},"received":{now},"replied":{now}}}}}"#),
                );
            }
            Message::Stop(_) => {
                say(&run, epoch, r#"{"bye":{"reason":"done"}}"#.to_owned());
                return;
            }
            _ => {}
        }
    }
}

#[test]
fn a_clock_that_is_hours_off_is_set_right_and_a_jump_is_a_gap() {
    let (place, server) = (Place::new(), Server::start());
    let own = std::env::current_exe().expect("own path");
    let script = place.script(&format!(
        "{FAKE}=1 exec '{}' --exact an_agent_whose_clock_jumps --ignored --nocapture",
        own.display()
    ));
    let output = run(&place, &plan(&place, &server, 6, &script.display().to_string()));
    assert!(output.status.success(), "{}", said(&output));
    let recording = place.recording();
    let (_, series) = recording.timeline.series_of("process.count").next().expect("a series");
    assert!(series.points.len() >= 4, "{series:?}");
    for point in &series.points {
        let true_time = point.value - recording.environment.started_unix;
        assert!((point.at.secs() - true_time).abs() < 0.1, "{} {true_time}", point.at.secs());
    }
    let events: Vec<&str> = recording.events.iter().map(|event| event.text.as_str()).collect();
    assert!(events.iter().any(|event| event.contains("its clock jumped by +60.0")), "{events:?}");
    let jumps = |gap: &&kneepoint::timeline::Gap| gap.reason.contains("its clock jumped");
    let gap = recording.timeline.gaps.iter().find(jumps).expect("a gap");
    assert_eq!(gap.collector, "process");
    assert!((0.5..2.0).contains(&gap.window.secs()), "{gap:?}");
}

/// What a run says that an agent of this script keeps from starting.
fn refusal(body: &str) -> String {
    let (place, server) = (Place::new(), Server::start());
    let script = place.script(body);
    let output = run(&place, &plan(&place, &server, 4, &script.display().to_string()));
    let said = said(&output);
    assert_eq!(output.status.code(), Some(106), "{said}");
    assert!(!place.path().join("out/recording.jsonl.zst").exists());
    said
}

#[test]
fn what_is_not_an_agent_is_refused_with_the_next_step() {
    let other = refusal(
        "echo '{\"run\":\"\",\"from\":\"\",\"epoch\":0,\"seq\":1,\"message\":{\"hello\":\
         {\"protocol\":\"7.1\",\"version\":\"9.9.9\",\"role\":\"agent\"}}}'; sleep 60",
    );
    for part in ["kneepoint 9.9.9", "protocol 7.1", env!("CARGO_PKG_VERSION"), "same version"] {
        assert!(other.contains(part), "{part}: {other}");
    }
    let password = refusal("echo 'me@app1: Permission denied (publickey,password).' >&2; exit 255");
    for part in ["exit status: 255", "Permission denied", "ssh-copy-id"] {
        assert!(password.contains(part), "{part}: {password}");
    }
    let unknown = refusal("echo 'ssh: Could not resolve hostname app9' >&2; exit 255");
    assert!(unknown.contains("check the name of the host"), "{unknown}");
    let absent = refusal("kneepoint-that-is-not-there agent");
    assert!(absent.contains("install kneepoint there"), "{absent}");
    let generator = refusal(
        "echo '{\"run\":\"\",\"from\":\"\",\"epoch\":0,\"seq\":1,\"message\":{\"hello\":\
         {\"protocol\":\"1.0\",\"version\":\"0.1.0\",\"role\":\"generator\"}}}'; sleep 60",
    );
    assert!(generator.contains("must end in `kneepoint agent`"), "{generator}");
}

#[test]
fn a_shell_prompt_is_refused_with_what_it_printed() {
    let prompt = refusal("printf 'me@app1:~$ '; exec sleep 60");
    for part in ["did not greet", "it printed: me@app1:~$", "kneepoint agent"] {
        assert!(prompt.contains(part), "{part}: {prompt}");
    }
}

#[test]
fn an_agent_on_another_host_keeps_its_series_apart() {
    let (place, server) = (Place::new(), Server::start());
    let script = place.script("exec @agent@");
    let path = plan(&place, &server, 4, &script.display().to_string());
    let text = fs::read_to_string(&path).expect("own file");
    fs::write(&path, format!("{text}target = false\n")).expect("own file");
    let output = run(&place, &path);
    assert!(output.status.success(), "{}", said(&output));
    let recording = place.recording();
    assert!(!recording.environment.agents[0].is_target);
    let timeline = &recording.timeline;
    let of_agent: Vec<_> = timeline.series_of("agent.system.cpu.cores").collect();
    assert_eq!(of_agent.len(), 1, "{of_agent:?}");
    assert_eq!(of_agent[0].0.labels.get("agent"), Some("app1"));
    // The target's own come from this machine, and only from there.
    let (_, own) = timeline.series_of("system.cpu.cores").next().expect("the target's");
    assert_eq!(own.collector, "host");
    let note = recording.environment.collectors.iter().find(|note| note.instance == "app1/host");
    assert_eq!(note.expect("a note").name, "agent");
}

/// The report of a short search for the knee of a service with one lock.
fn search(url: &str, more: &[&str]) -> Value {
    let out = tempfile::tempdir().expect("a directory");
    let output = Command::new(KNEEPOINT)
        .args(["run", url, "--start", "40/s", "--max", "170/s", "--hold", "3s"])
        .args(["--format", "json", "--out"])
        .arg(out.path())
        .args(more)
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

#[test]
fn a_target_in_another_namespace_gets_the_diagnosis_of_a_local_one() {
    let _alone = alone();
    let Some(space) = Space::new(21) else { return };
    let service = space.service(8080);
    let url = format!("http://{}:8080/", space.address());
    wait_for(&format!("{}:8080", space.address()));
    let agent = format!("ip netns exec {} {KNEEPOINT} agent", space.name);
    let there = search(&url, &["--agent", &agent]);
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

/// Tells the door below which service it calls.
const BACKEND: &str = "KNEEPOINT_TEST_BACKEND";

/// Not a test: a service that asks another one for each answer, over a connection for each client.
#[test]
#[ignore = "the process that another test watches"]
fn a_door() {
    let (Ok(address), Ok(backend)) = (std::env::var(space::LISTEN), std::env::var(BACKEND)) else {
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
    service: space::Process,
}

impl Host {
    /// Starts a test of this file as its only service; `None` if this machine has no such namespaces.
    fn start(space: Space, test: &str, variables: &[(&str, String)]) -> Option<Self> {
        let mut command = space.command("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
        command.arg(std::env::current_exe().expect("own path"));
        command.args(["--exact", test, "--ignored", "--nocapture"]);
        command.envs(variables.iter().cloned()).stdin(Stdio::piped());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let service = space::Process(command.spawn().ok()?);
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

#[test]
fn the_cause_is_named_on_another_host_than_the_targets() {
    let _alone = alone();
    let (Some(near), Some(far)) = (Space::new(22), Space::new(23)) else { return };
    assert!(near.join(&far), "a link between the two");
    let listen = |port: u16| (space::LISTEN, format!("0.0.0.0:{port}"));
    let far_address = format!("{}:8080", far.address());
    let Some(far) = Host::start(far, space::SERVICE, &[listen(8080)]) else { return };
    wait_for(&far_address);
    let called = (BACKEND, format!("{}:8080", far.space.link_address()));
    let Some(near) = Host::start(near, "a_door", &[listen(8000), called]) else { return };
    let near_address = format!("{}:8000", near.space.address());
    wait_for(&near_address);
    let url = format!("http://{near_address}/");
    let report = search(&url, &["--agent", &near.agent(), "--agent", &far.agent()]);
    let agents = report["environment"]["agents"].as_array().expect("agents");
    let is_target: Vec<bool> = agents.iter().map(|agent| agent["is_target"] == true).collect();
    assert_eq!(is_target, [true, false], "{agents:?}");
    assert_eq!(rules_of(&report).first(), Some(&"app-lock-contention"), "{report:#}");
    let finding = &report["diagnosis"]["findings"][0];
    let title = finding["title"].as_str().unwrap_or_default();
    assert!(title.contains(&format!("({}:8080)", far.space.link_address())), "{title}");
}
