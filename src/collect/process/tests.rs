//! Tests of the process collector on real processes.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use crate::plan::OptionValue;

use super::*;

/// A child process that is ended with the test, even if the test fails.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ended = self.0.kill().is_ok();
        let _reaped = self.0.wait().is_ok();
    }
}

fn spawn(program: &str, arguments: &[&str]) -> Guard {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    Guard(command.spawn().unwrap())
}

/// Waits until a `sleep` sleeps: before that, it still maps its pages.
fn await_sleep(child: &Guard) {
    let path = format!("/proc/{}/stat", child.0.id());
    let mut asleep = 0;
    for _ in 0..400 {
        let stat = std::fs::read_to_string(&path).unwrap();
        asleep = if stat.contains("(sleep) S ") { asleep + 1 } else { 0 };
        if asleep == 5 {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("not asleep within 20 s");
}

fn by(option: &str, value: OptionValue) -> CollectorConfig {
    CollectorConfig::new("process").with(option, value)
}

fn by_pid(child: &Guard) -> CollectorConfig {
    by("pid", OptionValue::Integer(child.0.id().into()))
}

fn hint() -> TargetHint {
    TargetHint { process: "shop".to_owned(), ..TargetHint::default() }
}

fn look(collector: &mut dyn Collector) -> Result<HashMap<String, f64>, String> {
    let mut batch = BatchBuilder::new();
    collector.sample(&mut batch).map_err(|error| error.to_string())?;
    let readings = batch.finish().into_iter();
    Ok(readings.map(|reading| (reading.key.to_string(), reading.value)).collect())
}

/// Looks every 0.2 s until the result is as wanted; fails after 20 s.
fn look_until(
    collector: &mut dyn Collector,
    wanted: impl Fn(&HashMap<String, f64>) -> bool,
) -> HashMap<String, f64> {
    let mut last = Err("never looked".to_owned());
    for _ in 0..100 {
        last = look(collector);
        if let Ok(seen) = &last
            && wanted(seen)
        {
            return last.unwrap();
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("not seen within 20 s; last: {last:?}");
}

const CPU: &str = "process.cpu.time{process=shop}";
const COUNT: &str = "process.count{process=shop}";

#[test]
fn the_cpu_of_a_busy_process_and_of_its_short_lived_children_counts() {
    // The shell itself uses almost nothing: each child lives only for a moment.
    let child = spawn("sh", &["-c", "while :; do head -c 20000000 /dev/zero | md5sum; done"]);
    let mut process = open(&by_pid(&child), &hint()).unwrap();
    assert_eq!(look(process.as_mut()).unwrap()[CPU], 0.0);
    let begin = Instant::now();
    let seen = look_until(process.as_mut(), |seen| seen[CPU] > 0.5);
    assert!(seen[CPU] < 4.0 * begin.elapsed().as_secs_f64(), "{} s are too many", seen[CPU]);
}

#[test]
fn one_busy_thread_is_told_apart() {
    let child = spawn("sh", &["-c", "while :; do :; done"]);
    let mut process = open(&by_pid(&child), &hint()).unwrap();
    look(process.as_mut()).unwrap();
    let thread = format!("process.thread.cpu.time{{process=shop,thread=sh/{}}}", child.0.id());
    let busiest = "process.thread.busiest{process=shop}";
    let seen = look_until(process.as_mut(), |seen| {
        seen.get(&thread).is_some_and(|seconds| *seconds > 0.1)
            && seen.get(busiest).is_some_and(|cores| *cores > 0.01)
    });
    assert!(seen[busiest] < 1.2, "one thread has no more than one core: {}", seen[busiest]);
    assert!(seen["process.run_queue.time{process=shop}"] >= 0.0);
}

#[test]
fn the_fixed_facts_of_a_process_are_told() {
    let child = spawn("sleep", &["60"]);
    await_sleep(&child);
    let mut process = open(&by_pid(&child), &hint()).unwrap();
    assert_eq!(process.watches(), format!("pid {} (sleep)", child.0.id()));
    let seen = look(process.as_mut()).unwrap();
    let value = |name: &str| seen[&format!("{name}{{process=shop}}")];
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let age = now.as_secs_f64() - value("process.start_time");
    assert!((-3.0..90.0).contains(&age), "started {age} s ago");
    assert_eq!((value("process.threads"), value("process.count")), (1.0, 1.0));
    assert!(value("process.cpu.allowed") > 0.0);
    assert!(value("process.open_fds") >= 3.0);
    assert!(value("process.open_fds.limit") >= value("process.open_fds"));
    assert!(value("process.memory.anonymous") < value("process.memory.rss"));
    assert!((0.0..0.5).contains(&value("process.cpu.time")));
    assert!(seen.contains_key("process.context_switches{kind=voluntary,process=shop}"));
}

#[test]
fn children_are_followed_and_stay_after_their_parent() {
    let child = spawn("sh", &["-c", "sleep 0.4; sleep 61 & sleep 62 & wait"]);
    let mut process = open(&by_pid(&child), &hint()).unwrap();
    look_until(process.as_mut(), |seen| seen[COUNT] == 3.0);
    assert!(process.watches().ends_with("and 2 children"), "{}", process.watches());
    drop(child);
    let seen = look_until(process.as_mut(), |seen| seen[COUNT] == 2.0);
    assert!(seen[CPU] >= 0.0);
    let events = process.events();
    assert!(events[0].contains("its other processes keep running"), "{events:?}");
    for pid in process.watches().split(' ').filter_map(|word| word.parse().ok()) {
        // SAFETY: a signal to a process of this test.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
}

#[test]
fn a_target_that_was_killed_is_a_gap_and_not_zero() {
    let child = spawn("sleep", &["63"]);
    let mut process = open(&by_pid(&child), &hint()).unwrap();
    look(process.as_mut()).unwrap();
    drop(child);
    let error = look(process.as_mut()).unwrap_err();
    assert!(error.starts_with("the target is gone: pid "), "{error}");
}

#[test]
fn a_killed_target_that_nobody_has_waited_for_is_gone_too() {
    let mut child = spawn("sleep", &["64"]);
    let mut process = open(&by_pid(&child), &hint()).unwrap();
    child.0.kill().unwrap();
    for _ in 0..100 {
        if look(process.as_mut()).is_err() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("a zombie passes for a living process");
}

/// A copy of `sleep` under a name that nothing else on the machine has.
fn own_program(name: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    std::fs::copy("/bin/sleep", &path).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}

#[test]
fn a_restart_is_noticed_and_counters_do_not_fall() {
    let (_directory, program) = own_program("kp-restart-of-a-long-name");
    let first = spawn(&program, &["60"]);
    let config = by("name", OptionValue::Text("kp-restart-of-a-long-name".to_owned()));
    let mut process = open(&config, &hint()).unwrap();
    let before = look(process.as_mut()).unwrap();
    let pid = first.0.id();
    drop(first);
    assert!(look(process.as_mut()).is_err());
    // Start times have a resolution of a clock tick.
    std::thread::sleep(Duration::from_millis(20));
    let second = spawn(&program, &["60"]);
    let start = "process.start_time{process=shop}";
    let after = look_until(process.as_mut(), |seen| seen[start] > before[start]);
    assert!(after[CPU] >= before[CPU]);
    let comm = "kp-restart-of-a";
    let wanted = format!("target restarted: pid {pid} ({comm}) → pid {} ({comm})", second.0.id());
    assert_eq!(process.events(), [wanted]);
}

#[test]
fn a_process_named_by_its_id_is_followed_to_the_next_by_its_port() {
    let script = |port: u32| {
        format!(
            "import socket, time\n\
             s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n\
             s.bind(('127.0.0.1', {port})); s.listen()\n\
             print(s.getsockname()[1], flush=True)\n\
             time.sleep(60)\n"
        )
    };
    let (first, config) = server(&["-c", &script(0)]);
    let port = config.integer("port").unwrap() as u32;
    let pid = first.0.id();
    let mut process = open(&by_pid(&first), &hint()).unwrap();
    let before = look(process.as_mut()).unwrap();
    drop(first);
    assert!(look(process.as_mut()).is_err(), "nobody listens there yet");
    // Start times have a resolution of a clock tick.
    std::thread::sleep(Duration::from_millis(20));
    let (_second, _) = server(&["-c", &script(port)]);
    let start = "process.start_time{process=shop}";
    look_until(process.as_mut(), |seen| seen[start] > before[start]);
    let events = process.events();
    assert!(events[0].starts_with(&format!("target restarted: pid {pid} (")), "{events:?}");
}

#[test]
fn a_process_named_by_its_id_that_listens_nowhere_is_followed_by_its_program() {
    let (_directory, program) = own_program("kp-worker");
    let first = spawn(&program, &["61"]);
    let mut process = open(&by_pid(&first), &hint()).unwrap();
    drop(first);
    let _other = spawn(&program, &["62"]);
    assert!(look(process.as_mut()).is_err(), "that one runs something else");
    std::thread::sleep(Duration::from_millis(20));
    let second = spawn(&program, &["61"]);
    look_until(process.as_mut(), |seen| seen[COUNT] == 1.0);
    assert!(process.watches().contains(&format!("pid {} ", second.0.id())));
}

#[test]
fn several_of_one_name_are_all_watched() {
    let (_directory, program) = own_program("kp-several");
    let _first = spawn(&program, &["60"]);
    let _second = spawn(&program, &["60"]);
    let config = by("name", OptionValue::Text("kp-several".to_owned()));
    let mut process = open(&config, &hint()).unwrap();
    assert_eq!(process.watches().matches("(kp-several)").count(), 2, "{}", process.watches());
    let _third = spawn(&program, &["60"]);
    look_until(process.as_mut(), |seen| seen[COUNT] == 3.0);
}

#[test]
fn the_port_of_the_target_finds_the_process_that_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let local = TargetHint { port, is_local: true, ..hint() };
    let config = CollectorConfig { instance: "web".to_owned(), ..CollectorConfig::new("process") };
    let mut process = open(&config, &local).unwrap();
    let own = format!("pid {} (", std::process::id());
    assert!(process.watches().starts_with(&own), "{}", process.watches());
    assert!(look(process.as_mut()).unwrap().contains_key("process.cpu.time{process=web}"));
    drop(listener);
    let error = open(&config, &local).err().unwrap();
    assert_eq!(error.what, format!("nobody listens on TCP port {port} of this machine"));
}

/// Starts a Python program that prints the port it listens on.
fn server(arguments: &[&str]) -> (Guard, CollectorConfig) {
    let mut command = Command::new("python3");
    command.args(arguments).stdout(Stdio::piped()).stdin(Stdio::null());
    let mut child = Guard(command.spawn().unwrap());
    let mut line = String::new();
    let mut output = std::io::BufReader::new(child.0.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut output, &mut line).unwrap();
    let port = OptionValue::Integer(line.trim().parse().unwrap());
    (child, by("port", port))
}

/// Asserts one root with two children, even if a wrapper process runs between this test and the
/// interpreter.
fn assert_one_root_and_two_workers(config: &CollectorConfig) {
    let mut process = open(config, &hint()).unwrap();
    look_until(process.as_mut(), |seen| seen[COUNT] == 3.0);
    let watches = process.watches();
    assert!(!watches.contains(',') && watches.ends_with(" and 2 children"), "{watches}");
}

#[test]
fn the_master_of_workers_that_inherit_its_socket_is_the_root() {
    let script = "import os, socket, time\n\
                  s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()\n\
                  print(s.getsockname()[1], flush=True)\n\
                  master = os.getpid()\n\
                  os.fork() and os.fork()\n\
                  while os.getpid() == master or os.getppid() == master: time.sleep(0.05)\n";
    let (_master, config) = server(&["-c", script]);
    assert_one_root_and_two_workers(&config);
}

#[test]
fn the_master_of_workers_with_sockets_of_their_own_is_the_root() {
    let script = "import os, socket, subprocess, sys, time\n\
                  s = socket.socket()\n\
                  s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)\n\
                  s.bind(('127.0.0.1', int(os.environ.get('KP_PORT', '0'))))\n\
                  port = str(s.getsockname()[1])\n\
                  if 'KP_PORT' in os.environ:\n\
                  \x20   s.listen(); print('up', flush=True); master = os.getppid()\n\
                  \x20   while os.getppid() == master: time.sleep(0.05)\n\
                  \x20   sys.exit()\n\
                  for _ in range(2):\n\
                  \x20   w = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE,\n\
                  \x20       env={**os.environ, 'KP_PORT': port})\n\
                  \x20   w.stdout.readline()\n\
                  print(port, flush=True)\n\
                  time.sleep(60)\n";
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("server.py");
    std::fs::write(&path, script).unwrap();
    let (_master, config) = server(&[path.to_str().unwrap()]);
    assert_one_root_and_two_workers(&config);
}

#[test]
fn what_cannot_be_opened_says_what_to_do() {
    let cases = [
        (by("pid", OptionValue::Integer(u64::MAX)), "is out of range"),
        (by("pid", OptionValue::Integer(4_194_304)), "there is no process 4194304"),
        (by("name", OptionValue::Text("kp-nobody".to_owned())), "is named `kp-nobody`"),
        (by("port", OptionValue::Integer(70_000)), "is out of range"),
        (CollectorConfig::new("process"), "not on this machine"),
        (
            by("pid", OptionValue::Integer(1)).with("port", OptionValue::Integer(1)),
            "do not say which",
        ),
        (
            by("pid", OptionValue::Integer(1)).with("container", OptionValue::Text("a".to_owned())),
            "do not say which",
        ),
        (by("container", OptionValue::Text(String::new())), "`container` is empty"),
        (
            by("container", OptionValue::Text("0123456789abcdef".to_owned())),
            "runs in a container `0123456789abcdef`",
        ),
    ];
    for (config, wanted) in cases {
        let error = open(&config, &hint()).err().unwrap();
        assert!(error.what.contains(wanted), "{}", error.what);
        assert!(!error.hint.is_empty());
    }
}

#[test]
fn descriptors_are_told_by_what_they_are() {
    for (link, is) in [
        ("socket:[4242]", "socket"),
        ("pipe:[4243]", "pipe"),
        ("/var/log/shop: a.log (deleted)", "file"),
        ("anon_inode:[eventpoll]", "other"),
    ] {
        assert_eq!(descriptor_type(link), is, "{link}");
    }
    // Standard input is inherited, output and errors go to /dev/null.
    let child = spawn("sleep", &["60"]);
    await_sleep(&child);
    let mut collector = open(&by_pid(&child), &hint()).unwrap();
    let seen = look_until(&mut *collector, |seen| {
        seen.contains_key("process.fds{process=shop,type=file}")
    });
    let all: f64 = DESCRIPTOR_TYPES
        .iter()
        .map(|name| seen[&format!("process.fds{{process=shop,type={name}}}")])
        .sum();
    assert!(seen["process.fds{process=shop,type=file}"] >= 2.0, "{seen:?}");
    assert!((all - seen["process.open_fds{process=shop}"]).abs() < 0.5, "{seen:?}");
}

#[test]
fn cores_are_those_allowed_and_online() {
    let status = |cpus_allowed| Status { cpus_allowed, ..Status::default() };
    let pinned = [status(vec![0b0001]), status(vec![0b0100, 1])];
    assert_eq!(allowed_cores(pinned.iter(), &[]), Some(3.0));
    assert_eq!(allowed_cores(pinned.iter(), &[0b0111]), Some(2.0));
    assert_eq!(allowed_cores([].into_iter(), &[1]), None);
}

#[test]
fn the_end_of_a_worker_is_told_and_that_of_a_passing_child_is_not() {
    let child = spawn("sh", &["-c", "sleep 12 & sleep 3; wait; sleep 60"]);
    let mut process = open(&by_pid(&child), &hint()).unwrap();
    look_until(process.as_mut(), |seen| seen[COUNT] == 3.0);
    look_until(process.as_mut(), |seen| seen[COUNT] == 2.0);
    assert_eq!(process.events(), Vec::<String>::new(), "the passing child");
    let mut events = Vec::new();
    for _ in 0..100 {
        look(process.as_mut()).unwrap();
        events = process.events();
        if !events.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(events[0].contains("(sleep) ended after"), "{events:?}");
}
