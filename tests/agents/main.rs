//! Agents: collectors that run elsewhere, over the standard input and output of a child process. The
//! target that they find gets the diagnosis of a local one; what is lost is a gap; nothing stays.
//!
//! What can go wrong where a run has several processes, and where it is tested:
//!
//! | case | tests |
//! |---|---|
//! | an agent is killed | `a_killed_agent_is_a_gap_…` |
//! | it connects again | the same; `remote::translate` `counters_go_on_…` |
//! | a partition | `generators` `the_lease_ends_the_load_…`, `a_generator_that_stands_still_is_lost`; `clock` `messages_that_are_slow_or_lost_…` |
//! | a generator is lost in a stage | `generators` `a_stage_is_void_once_…` |
//! | a slow generator | `generators` `a_generator_without_the_cpu_is_named_…` |
//! | the coordinator is killed | `nothing_stays_…`; `generators` `a_killed_coordinator_…` |
//! | clocks: off, stepped, drifting, asymmetric ways | `clock`; `remote::clock` plants −3 h to +3 h and 50 ppm |
//! | one that joins late, or is started twice | `remote::link` `text_around_the_greeting_…` |
//! | another version, another plan | `refused`; `remote::link` `another_version_or_role_…` |
//! | a slow reader | `remote::outbox` `what_does_not_fit_becomes_a_gap_…` |
//! | garbage, torn and huge lines, a banner | `garbage_and_torn_lines_are_gaps`, `the_target_of_an_agent_…`; `remote::lines` |
//! | namespaces: hops, translated addresses, without rights, a restart | `namespaces`, and the lab with `KNEEPOINT_LAB_WAYS`; secrets: `generators` `no_secret_travels_…`, `remote::message` |

mod clock;
mod elsewhere;
mod refused;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../space/mod.rs"]
mod space;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../target/mod.rs"]
mod target;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kneepoint::recording::{self, Recording};
use kneepoint::timeline::{Kind, Moment};
use target::{KNEEPOINT, Server, kneepoint, write_plan};

/// A directory with a script that starts an agent.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory") }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A script in it that starts an agent; gives its path.
    fn script(&self, body: &str) -> PathBuf {
        self.program("start-agent", &body.replace("@agent@", &format!("{KNEEPOINT} agent")))
    }

    /// A script in it; gives its path.
    fn program(&self, name: &str, body: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).expect("own directory");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("own file");
        path
    }

    /// A script that starts an agent whose `journalctl` says nothing, and goes on until it is killed.
    /// Each writes its process id, into `pid` and `journal`.
    fn script_with_a_journal(&self) -> PathBuf {
        let place = self.path().display();
        self.program("journalctl", &format!("echo $$ > {place}/journal; exec sleep 1000"));
        self.script(&format!("echo $$ > {place}/pid; PATH={place}:$PATH exec @agent@"))
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

/// The same, whose agent follows a journal.
fn plan_with_a_journal(place: &Place, server: &Server, seconds: u32, script: &Path) -> PathBuf {
    let path = plan(place, server, seconds, &script.display().to_string());
    let text = fs::read_to_string(&path).expect("own file");
    fs::write(&path, format!("{text}[agent.collect.logs]\njournal = \"shop\"\n"))
        .expect("own file");
    path
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
    let (pid_file, journal) = (place.path().join("pid"), place.path().join("journal"));
    let script = place.script_with_a_journal();
    let plan = plan_with_a_journal(&place, &server, 8, &script);
    let mut child = start(&place, &plan);
    wait_until("load", || server.requests() > 100);
    let (first, first_journal) = (pid_in(&pid_file, None), pid_in(&journal, None));
    kill(first);
    wait_until("its `journalctl` ends with it", || !is_alive(first_journal));
    let second = pid_in(&pid_file, Some(first));
    let second_journal = pid_in(&journal, Some(first_journal));
    assert!(child.wait().expect("own child").success());
    wait_until("the agent ends with the run", || !is_alive(second) && !is_alive(second_journal));
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
    let script = place.script_with_a_journal();
    let plan = plan_with_a_journal(&place, &server, 60, &script);
    let mut child = start(&place, &plan);
    wait_until("load", || server.requests() > 20);
    let agent = pid_in(&place.path().join("pid"), None);
    let journal = pid_in(&place.path().join("journal"), None);
    assert!(is_alive(agent) && is_alive(journal));
    child.kill().expect("own child");
    child.wait().expect("own child");
    wait_until("the agent ends, with what it started", || !is_alive(agent) && !is_alive(journal));
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
