use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use super::*;
use crate::plan::OptionValue;
use crate::timeline::{Reading, Selector};

/// Tells the process below that a test is watching it.
const WATCHED: &str = "KNEEPOINT_TEST_THREADS";

/// Not a test: the process that the tests watch. It ends when its standard input does.
#[test]
#[ignore = "the process that other tests watch"]
fn a_process_with_threads_that_wait() {
    if std::env::var_os(WATCHED).is_none() {
        return;
    }
    let lock = Arc::new(Mutex::new(()));
    for _ in 0..6 {
        let lock = Arc::clone(&lock);
        thread::spawn(move || {
            loop {
                let _held = lock.lock();
                thread::sleep(Duration::from_millis(20));
            }
        });
    }
    let work = Arc::new((Mutex::new(()), Condvar::new()));
    for _ in 0..3 {
        let work = Arc::clone(&work);
        thread::spawn(move || {
            let mut guard = work.0.lock().unwrap();
            loop {
                guard = work.1.wait(guard).unwrap();
            }
        });
    }
    let timed = Arc::new((Mutex::new(()), Condvar::new()));
    for _ in 0..2 {
        let timed = Arc::clone(&timed);
        thread::spawn(move || {
            let mut guard = timed.0.lock().unwrap();
            loop {
                guard = timed.1.wait_timeout(guard, Duration::from_secs(60)).unwrap().0;
            }
        });
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let silent: Vec<_> = (0..2)
        .map(|_| (TcpStream::connect(address).unwrap(), listener.accept().unwrap()))
        .collect();
    for (client, _) in &silent {
        let mut client = client.try_clone().unwrap();
        thread::spawn(move || client.read(&mut [0]));
    }
    thread::spawn(move || listener.accept());
    for count in [1, 2] {
        thread::spawn(move || {
            let mut none = [libc::pollfd { fd: -1, events: 0, revents: 0 }; 2];
            // SAFETY: the array outlives the call and has at least `count` entries. The kernel
            // ignores negative descriptors, so that the call never returns.
            unsafe { libc::poll(none.as_mut_ptr(), count, -1) }
        });
    }
    thread::spawn(|| while std::hint::black_box(true) {});
    // The pipe from the watching test: it closes when that test ends.
    let _ended = std::io::stdin().read(&mut [0]);
}

struct Watched(Child);

impl Drop for Watched {
    fn drop(&mut self) {
        let _gone = self.0.kill().is_err();
        let _waited = self.0.wait().is_ok();
    }
}

fn watched() -> Watched {
    let own = std::env::current_exe().unwrap();
    let child = Command::new(own)
        .args(["--ignored", "--exact", "collect::threads::tests::a_process_with_threads_that_wait"])
        .env(WATCHED, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn();
    Watched(child.unwrap())
}

fn open_on(process: &Watched, budget: f64) -> Threads {
    let own = OptionValue::Integer(u64::from(process.0.id()));
    let config = CollectorConfig::new("process").with("pid", own);
    Threads::new(Tree::of_target(Some(&config), &TargetHint::default()).unwrap(), budget)
}

fn read(collector: &mut Threads) -> Vec<Reading> {
    let mut batch = BatchBuilder::new();
    collector.sample(&mut batch).unwrap();
    batch.finish()
}

fn value(readings: &[Reading], selector: &str) -> f64 {
    let selector: Selector = selector.parse().unwrap();
    readings.iter().filter(|r| selector.matches(&r.key)).map(|r| r.value).sum()
}

/// Looks until one look satisfies `good`.
fn wait_for(collector: &mut Threads, what: &str, good: impl Fn(&[Reading]) -> bool) {
    let start = Instant::now();
    loop {
        let readings = read(collector);
        if good(&readings) {
            return;
        }
        if start.elapsed() > Duration::from_secs(60) {
            let seen: Vec<_> = readings.iter().map(|r| format!("{} {}", r.key, r.value)).collect();
            panic!("{what} was never seen: {seen:#?}");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_threads_wait_for_is_told_apart() {
    let process = watched();
    let mut collector = open_on(&process, 1.0);
    wait_for(&mut collector, "every kind of wait", |readings| {
        let class = |class: &str| value(readings, &format!("threads.in{{class={class}}}"));
        let on_futex = |wait: &str| value(readings, &format!("futex.threads{{wait={wait}}}"));
        // The holder of the lock sleeps. The threads of the test harness are counted in addition.
        on_futex("lock") == 5.0
            && on_futex("plain") == 3.0
            && on_futex("timed") == 2.0
            && value(readings, "futex.threads.most") == 5.0
            && class("sleep") >= 1.0
            && class("socket") == 2.0
            && class("accept") == 1.0
            && class("poll") >= 1.0
            && class("poll_one") == 1.0
            && class("pipe") >= 1.0
            && class("running") + class("runnable") >= 1.0
            && (value(readings, "threads.in") - value(readings, "threads.total")).abs() < 1e-6
    });
    assert_eq!(collector.events(), Vec::<String>::new());
}

#[test]
fn those_who_wait_for_a_lock_run_now_and_then_and_those_without_work_do_not() {
    let process = watched();
    let mut collector = open_on(&process, 1.0);
    wait_for(&mut collector, "the lock that changes hands", |readings| {
        let of = |metric: &str, wait: &str| value(readings, &format!("{metric}{{wait={wait}}}"));
        of("futex.wakes", "lock") > 10.0 && of("futex.threads", "plain") == 3.0
    });
    for _ in 0..10 {
        thread::sleep(Duration::from_millis(30));
        let readings = read(&mut collector);
        assert!(readings.iter().any(|it| it.key.to_string().starts_with("futex.wakes")));
        assert_eq!(value(&readings, "futex.wakes{wait=plain}"), 0.0, "nobody wakes them");
    }
}

#[test]
fn threads_take_turns_where_reading_all_is_too_dear() {
    let process = watched();
    let mut collector = open_on(&process, 1.0);
    wait_for(&mut collector, "all its threads", |readings| {
        value(readings, "threads.in{class=accept}") == 1.0
            && value(readings, "threads.total") >= 17.0
    });
    let total = value(&read(&mut collector), "threads.total");
    collector.budget = 0.0;
    let mut accepting = 0.0;
    for _ in 0..total as usize {
        let readings = read(&mut collector);
        // Counts stand for all threads, not only for those that were read.
        assert!((value(&readings, "threads.total") - total).abs() < 1.5, "{total}");
        accepting += value(&readings, "threads.in{class=accept}");
    }
    // Each thread was read equally often, so the mean count equals that over all looks.
    let mean = accepting / total;
    assert!((0.5..=1.5).contains(&mean), "{mean}");
}

#[test]
fn without_the_right_to_trace_futexes_are_not_told_and_that_is_said_once() {
    let process = watched();
    let mut collector = open_on(&process, 1.0);
    collector.refuse(process.0.id(), &io::Error::from_raw_os_error(libc::EPERM));
    wait_for(&mut collector, "a thread that runs", |readings| {
        value(readings, "threads.in{class=running}") + value(readings, "threads.in{class=runnable}")
            >= 1.0
    });
    let readings = read(&mut collector);
    for metric in ["futex.threads.most", "futex.threads"] {
        assert!(readings.iter().all(|r| r.key.metric != metric), "{metric} cannot be known");
    }
    assert!(value(&readings, "threads.total") >= 1.0);
    let events = collector.events();
    assert!(events.len() == 1 && events[0].contains("CAP_SYS_PTRACE"), "{events:?}");
    assert_eq!(collector.events(), Vec::<String>::new());
    assert!(collector.watches().contains("by state and wait channel only"));
}

#[test]
fn a_target_that_ends_is_a_gap() {
    let mut process = watched();
    let mut collector = open_on(&process, 1.0);
    wait_for(&mut collector, "a thread", |readings| value(readings, "threads.total") >= 1.0);
    process.0.kill().unwrap();
    process.0.wait().unwrap();
    let mut batch = BatchBuilder::new();
    assert!(collector.sample(&mut batch).is_err());
    assert!(collector.sample(&mut batch).unwrap_err().to_string().contains("has ended"));
}

#[test]
fn new_threads_are_seen_however_long_it_takes_to_look_for_processes() {
    let own = OptionValue::Integer(u64::from(std::process::id()));
    let config = CollectorConfig::new("process").with("pid", own);
    let tree = Tree::of_target(Some(&config), &TargetHint::default()).unwrap();
    let mut collector = Threads::new(tree, 1.0);
    read(&mut collector);
    // On a machine with many processes.
    collector.next_search = Instant::now() + Duration::from_secs(3600);
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    let (end, ends) = std::sync::mpsc::sync_channel::<()>(1);
    let late = thread::spawn(move || {
        // SAFETY: reads a number.
        sender.send(unsafe { libc::gettid() }.cast_unsigned()).unwrap();
        // Until the other end is dropped.
        let _ended = ends.recv().is_err();
    });
    let tid = receiver.recv().unwrap();
    let begin = Instant::now();
    while !collector.tasks.iter().any(|task| task.tid == tid) {
        assert!(begin.elapsed() < Duration::from_secs(20), "thread {tid} was never listed");
        thread::sleep(Duration::from_millis(10));
        read(&mut collector);
    }
    drop(end);
    late.join().unwrap();
}
