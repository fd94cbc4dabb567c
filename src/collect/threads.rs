//! `threads`: samples what the target's threads do: compute, wait on a futex, a socket or the disk,
//! or sleep.
//!
//! Each look reads `/proc/PID/task/TID/syscall` of a rotating subset of the threads, as many as a
//! small share of a core allows, and extrapolates to all threads. If that file is refused (it needs
//! the right to trace the target), the collector reads state and wait channel instead and reports
//! no single futexes.
//!
//! **Many threads on one futex** mean one of three things: a contended lock, a pool of idle
//! workers, or callers that wait for something scarce such as a pooled connection. One look cannot
//! tell them apart, but their change with load can. Each futex that two or more threads wait on
//! therefore has its own series, `futex.threads`:
//! - Idle workers wait at low load, and fewer wait as load grows.
//! - Threads that wait for a lock are as many as the requests that arrived while it was held: none
//!   at low load, and at the limit all serving threads except the holder. They hold requests, so
//!   `tcp.requests.served` grows with them.
//! - Threads that wait for a pooled connection look the same. But there are as many calls in flight
//!   to a peer (`tcp.calls`) as the pool has connections, while the holder of a lock has at most
//!   one.
//!
//! `futex.wakes` tells how often these threads run at all: each time a lock is released that others
//! wait for, one of them does, but a thread without work never does.
//!
//! The arguments of the call sometimes say more. A mutex of glibc, musl, Rust or Go waits for a
//! value that means "held, and others wait" (label `wait` = `lock`). A wait with a time limit is
//! `timed` (pools that retire idle threads, interpreters that hand over their lock). Everything
//! else is `plain`.
//!
//! What it cannot see: runtimes that park every waiting thread on a separate word (the JVM, .NET,
//! parking_lot) show many futexes with one thread each. Tasks of an event loop are not threads.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io;
use std::time::{Duration, Instant};

use super::proc::pid::{parse_schedstat, parse_stat};
use super::proc::tree::Tree;
use super::proc::wait::{
    Doing, Futex, FutexWait, SyscallState, WaitsFor, by_link, by_wait_channel, parse_syscall,
};
use super::proc::{CpuWatch, Text, is_gone, thread_cpu_seconds};
use super::{Collector, CollectorSpec, OpenResult, Opens, SampleError, TargetHint};
use crate::plan::CollectorConfig;
use crate::timeline::{BatchBuilder, Labels, names};

pub(super) static SPEC: CollectorSpec = CollectorSpec {
    name: "threads",
    summary: "what the target's threads do, sampled: compute, wait on a lock, a socket or the disk, \
              sleep; needs Linux, and the right to trace the target for locks",
    hint: "[collect.threads] on the machine the target runs on, with the right to trace it",
    opens: Opens::ForLocalTarget,
    options: &[],
    metrics: &[
        names::THREADS_IN,
        names::THREADS_ON_FUTEX,
        names::THREADS_FUTEX_WAKES,
        names::THREADS_FUTEX_SAME,
        names::THREADS_BLOCKED_IO,
        names::THREADS_TOTAL,
    ],
    interval: Duration::from_millis(100),
    open,
};

/// Share of one core that reading threads may use …
const MOST_FOR_READING: f64 = 0.004;
/// … listing them, and looking for new processes, each.
const MOST_FOR_LISTING: f64 = 0.002;
/// At least this many threads are read at every look, whatever it costs.
const FEWEST_READ: usize = 8;
/// Assumed cost of reading one thread until it is measured, in seconds.
const FIRST_COST: f64 = 20e-6;
/// Futexes reported in one look, those with the most waiting threads …
const MOST_FUTEXES: usize = 8;
/// … and in one run.
const MOST_FUTEXES_OF_A_RUN: usize = 64;
/// Threads on one futex of which a look asks how often they have run.
const MOST_ASKED: usize = 4;
/// What a descriptor refers to is read again after this time, because numbers are reused.
const DESCRIPTOR_KNOWN_FOR: Duration = Duration::from_secs(1);

fn open(config: &CollectorConfig, hint: &TargetHint) -> OpenResult {
    let tree = Tree::of_target(hint.process_config.as_ref(), hint)?;
    let interval = config.interval.unwrap_or(SPEC.interval);
    let mut threads = Threads::new(tree, interval.as_secs_f64() * MOST_FOR_READING);
    threads.try_rights();
    Ok(Box::new(threads))
}

/// One thread.
#[derive(Clone, Copy, Debug)]
struct Task {
    pid: u32,
    tid: u32,
}

struct Threads {
    tree: Tree,
    tasks: Vec<Task>,
    /// Threads are not listed again before this time …
    next_listing: Instant,
    /// … and processes not looked for before this one. To look at all of a machine takes a hundred times
    /// as long as to list the threads of one, and must not keep new threads from being seen.
    next_search: Instant,
    /// The thread that the next look starts with.
    turn: usize,
    /// Processor seconds that one look may use.
    budget: f64,
    /// Processor seconds that reading one thread takes.
    cost: f64,
    /// For threads that were seen running or ready, by thread id: nanoseconds on a core and
    /// nanoseconds of waiting for one.
    times: HashMap<u32, (u64, u64)>,
    /// For threads that were seen on a crowded futex, by thread id: how often they had run by when.
    turns: HashMap<u32, (u64, Instant)>,
    descriptors: HashMap<(u32, u32), (Doing, Instant)>,
    /// Processes whose system calls kneepoint may not read.
    refused: BTreeSet<u32>,
    /// Why not, as text for a report.
    refusal: Option<String>,
    told_refusal: bool,
    futexes: BTreeSet<String>,
    text: Text,
}

/// What one thread was seen to do.
enum Activity {
    In(Doing),
    On(Futex, FutexWait),
    /// It runs or is ready; holds the share of that time in which it waited for a core.
    Core(f64),
}

/// When to do again what has cost so much.
fn next_time(cost: &CpuWatch) -> Instant {
    Instant::now() + cost.used().div_f64(MOST_FOR_LISTING)
}

impl Collector for Threads {
    fn watches(&self) -> String {
        let how = if self.refused.is_empty() { "" } else { ", by state and wait channel only" };
        match self.tree.pids().count() {
            1 => format!("the threads of 1 process{how}"),
            count => format!("the threads of {count} processes{how}"),
        }
    }

    fn sample(&mut self, batch: &mut BatchBuilder) -> Result<(), SampleError> {
        if self.tasks.is_empty() || Instant::now() >= self.next_listing {
            self.list()?;
        }
        let look = self.look();
        if look.alive == 0 {
            self.tasks.clear();
            return Err(SampleError("all threads that were known have ended".to_owned()));
        }
        self.push(&look, batch);
        Ok(())
    }

    fn events(&mut self) -> Vec<String> {
        let refusal = self.refusal.as_ref().filter(|_| !self.told_refusal);
        let Some(why) = refusal else { return Vec::new() };
        let event = format!(
            "what threads wait for is told by state and wait channel only, locks are not seen: {why}; \
             run kneepoint as the target's user or as root, with CAP_SYS_PTRACE"
        );
        self.told_refusal = true;
        vec![event]
    }
}

impl Threads {
    fn new(tree: Tree, budget: f64) -> Self {
        Self {
            tree,
            tasks: Vec::new(),
            next_listing: Instant::now(),
            next_search: Instant::now(),
            turn: 0,
            budget,
            cost: FIRST_COST,
            times: HashMap::new(),
            turns: HashMap::new(),
            descriptors: HashMap::new(),
            refused: BTreeSet::new(),
            refusal: None,
            told_refusal: false,
            futexes: BTreeSet::new(),
            text: Text::default(),
        }
    }

    /// Finds out which processes may be read, so that this can be reported before the load starts.
    fn try_rights(&mut self) {
        for pid in self.tree.pids().collect::<Vec<_>>() {
            self.syscall(Task { pid, tid: pid });
        }
    }

    /// Lists the threads, and before that looks for processes. The longer each takes, the less often it
    /// is done.
    fn list(&mut self) -> Result<(), SampleError> {
        if self.tasks.is_empty() || Instant::now() >= self.next_search {
            let cost = CpuWatch::start();
            self.tree.refresh().map_err(SampleError)?;
            self.next_search = next_time(&cost);
        }
        let cost = CpuWatch::start();
        self.tasks.clear();
        for pid in self.tree.pids() {
            // A process that has just ended has no threads. Its end is reported elsewhere.
            let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
            let tids = tasks.flatten().filter_map(|task| task.file_name().to_str()?.parse().ok());
            self.tasks.extend(tids.map(|tid| Task { pid, tid }));
        }
        let live: BTreeSet<u32> = self.tasks.iter().map(|task| task.tid).collect();
        self.times.retain(|tid, _| live.contains(tid));
        self.turns.retain(|tid, _| live.contains(tid));
        self.descriptors.retain(|_, (_, read)| read.elapsed() < DESCRIPTOR_KNOWN_FOR);
        self.refused.retain(|pid| live.contains(pid));
        self.next_listing = next_time(&cost);
        Ok(())
    }

    /// Reads as many threads as the budget allows, starting where the last look ended.
    fn look(&mut self) -> Look {
        let begin = thread_cpu_seconds();
        let affordable = (self.budget / self.cost) as usize;
        let number = affordable.max(FEWEST_READ).min(self.tasks.len());
        let mut look = Look { listed: self.tasks.len(), tried: number, ..Look::default() };
        for index in 0..number {
            let task = self.tasks[(self.turn + index) % self.tasks.len()];
            if let Some(seen) = self.see(task) {
                look.add(task, &seen);
            }
        }
        self.turn = (self.turn + number) % self.tasks.len().max(1);
        if let (Some(begin), Some(end), 1..) = (begin, thread_cpu_seconds(), number) {
            // Smoothed: a single look may meet a page fault or an interrupt.
            let now = (end - begin) / number as f64;
            self.cost += (now - self.cost) * 0.2;
        }
        look
    }

    /// What a thread does; `None` where it has ended.
    fn see(&mut self, task: Task) -> Option<Activity> {
        let Task { pid, tid } = task;
        let place = if self.refused.contains(&pid) { None } else { self.syscall(task)? };
        let doing = match place {
            None => return self.see_by_state(task),
            Some(SyscallState::Running) => return Some(Activity::Core(self.waiting_share(task))),
            Some(SyscallState::OutsideCall) => None,
            Some(SyscallState::InCall(call)) => match call.waits_for(pid) {
                WaitsFor::Futex(futex, wait) => return Some(Activity::On(futex, wait)),
                WaitsFor::Known(doing) => Some(doing),
                WaitsFor::Descriptor(number) => self.descriptor(pid, number),
                WaitsFor::Unknown => None,
            },
        };
        if let Some(doing) = doing {
            return Some(Activity::In(doing));
        }
        let stat = self.text.read_short(&format!("/proc/{pid}/task/{tid}/stat")).ok()?;
        Some(Activity::In(match parse_stat(&stat)?.1.state {
            b'D' => Doing::Disk,
            b'Z' | b'X' => return None,
            _ => Doing::Other,
        }))
    }

    /// Where a thread waits: `None` if it has ended, `Some(None)` if that may not be read.
    #[expect(clippy::option_option, reason = "ended and refused are not the same")]
    fn syscall(&mut self, Task { pid, tid }: Task) -> Option<Option<SyscallState>> {
        match self.text.read_short(&format!("/proc/{pid}/task/{tid}/syscall")) {
            Ok(text) => Some(parse_syscall(&text)),
            Err(error) if is_gone(&error) && fs::exists("/proc/self/syscall").unwrap_or(false) => {
                None
            }
            Err(error) => {
                self.refuse(pid, &error);
                Some(None)
            }
        }
    }

    fn refuse(&mut self, pid: u32, error: &io::Error) {
        self.refused.insert(pid);
        let why = || format!("`/proc/{pid}/task/…/syscall` cannot be read: {error}");
        self.refusal.get_or_insert_with(why);
    }

    fn see_by_state(&mut self, task: Task) -> Option<Activity> {
        let Task { pid, tid } = task;
        let stat = self.text.read_short(&format!("/proc/{pid}/task/{tid}/stat")).ok()?;
        match parse_stat(&stat)?.1.state {
            b'R' => Some(Activity::Core(self.waiting_share(task))),
            b'Z' | b'X' => None,
            state => {
                let path = format!("/proc/{pid}/task/{tid}/wchan");
                let name = self.text.read_short(&path).unwrap_or_default();
                let otherwise = if state == b'D' { Doing::Disk } else { Doing::Other };
                Some(Activity::In(by_wait_channel(&name).unwrap_or(otherwise)))
            }
        }
    }

    /// The share of its running or ready time in which this thread waited for a core. It covers the
    /// time since the thread was last seen running or ready, or since it started.
    fn waiting_share(&mut self, Task { pid, tid }: Task) -> f64 {
        let path = format!("/proc/{pid}/task/{tid}/schedstat");
        let text = self.text.read_short(&path).unwrap_or_default();
        let Some(now) = parse_schedstat(&text) else { return 0.0 };
        let now = (now.run_nanos, now.wait_nanos);
        let before = self.times.insert(tid, now).filter(|last| last.0 <= now.0);
        let (ran, waited) = before.map_or(now, |last| (now.0 - last.0, now.1 - last.1.min(now.1)));
        if ran + waited == 0 { 0.0 } else { waited as f64 / (ran + waited) as f64 }
    }

    fn descriptor(&mut self, pid: u32, number: u32) -> Option<Doing> {
        let known = self.descriptors.get(&(pid, number));
        if let Some((doing, _)) = known.filter(|(_, at)| at.elapsed() < DESCRIPTOR_KNOWN_FOR) {
            return Some(*doing);
        }
        let link = fs::read_link(format!("/proc/{pid}/fd/{number}")).ok()?;
        let doing = by_link(&link.to_string_lossy());
        self.descriptors.insert((pid, number), (doing, Instant::now()));
        Some(doing)
    }

    fn push(&mut self, look: &Look, batch: &mut BatchBuilder) {
        let scale = look.listed as f64 / look.tried.max(1) as f64;
        for (doing, count) in &look.doing {
            let labels = Labels::none().with("class", doing.key());
            batch.push_labelled(&names::THREADS_IN, labels, count * scale);
        }
        let blocked = [Doing::Disk, Doing::Fsync].iter().filter_map(|doing| look.doing.get(doing));
        batch.push(&names::THREADS_BLOCKED_IO, blocked.sum::<f64>() * scale);
        batch.push(&names::THREADS_TOTAL, look.alive as f64 * scale);
        if !self.refused.is_empty() {
            return;
        }
        let mut same: BTreeMap<Futex, usize> = BTreeMap::new();
        for ((futex, wait), tids) in &look.futexes {
            if *wait != FutexWait::Timed {
                *same.entry(*futex).or_default() += tids.len();
            }
        }
        let most = same.into_values().max().unwrap_or(0);
        batch.push(&names::THREADS_FUTEX_SAME, most as f64 * scale);
        let mut crowded: Vec<_> = look.futexes.iter().filter(|(_, tids)| tids.len() > 1).collect();
        crowded.sort_by_key(|(futex, tids)| (std::cmp::Reverse(tids.len()), **futex));
        for ((futex, wait), tids) in crowded.into_iter().take(MOST_FUTEXES) {
            let name = futex.to_string();
            if self.futexes.len() >= MOST_FUTEXES_OF_A_RUN && !self.futexes.contains(&name) {
                continue;
            }
            let labels = Labels::none().with("futex", name.as_str()).with("wait", wait.key());
            let count = tids.len() as f64 * scale;
            batch.push_labelled(&names::THREADS_ON_FUTEX, labels.clone(), count);
            if let Some(each) = self.wakes_of_each(tids) {
                batch.push_labelled(&names::THREADS_FUTEX_WAKES, labels, each * count);
            }
            self.futexes.insert(name);
        }
    }

    /// How often per second each of these threads has run since it was last asked, on average over
    /// some of them. Those that were asked before come first: they can answer.
    fn wakes_of_each(&mut self, tasks: &[Task]) -> Option<f64> {
        let mut tasks = tasks.to_vec();
        tasks.sort_by_key(|task| (!self.turns.contains_key(&task.tid), task.tid));
        let asked = tasks.iter().take(MOST_ASKED);
        let rates: Vec<f64> = asked.filter_map(|task| self.wakes(*task)).collect();
        (!rates.is_empty()).then(|| rates.iter().sum::<f64>() / rates.len() as f64)
    }

    fn wakes(&mut self, Task { pid, tid }: Task) -> Option<f64> {
        let text = self.text.read_short(&format!("/proc/{pid}/task/{tid}/schedstat")).ok()?;
        // A kernel that keeps no such statistics shows zeros, but whoever waits has run before.
        let turns = parse_schedstat(&text).map(|stat| stat.turns).filter(|turns| *turns > 0)?;
        let now = Instant::now();
        let (before, at) = self.turns.insert(tid, (turns, now))?;
        let seconds = now.duration_since(at).as_secs_f64();
        (seconds > 0.0).then(|| turns.saturating_sub(before) as f64 / seconds)
    }
}

/// What one look counted.
#[derive(Default)]
struct Look {
    listed: usize,
    tried: usize,
    alive: usize,
    doing: BTreeMap<Doing, f64>,
    futexes: BTreeMap<(Futex, FutexWait), Vec<Task>>,
}

impl Look {
    fn add(&mut self, task: Task, seen: &Activity) {
        self.alive += 1;
        match *seen {
            Activity::In(doing) => self.count(doing, 1.0),
            Activity::On(futex, wait) => {
                let timed = wait == FutexWait::Timed;
                self.count(if timed { Doing::FutexTimed } else { Doing::Futex }, 1.0);
                self.futexes.entry((futex, wait)).or_default().push(task);
            }
            Activity::Core(waiting) => {
                self.count(Doing::Running, 1.0 - waiting);
                self.count(Doing::Runnable, waiting);
            }
        }
    }

    fn count(&mut self, doing: Doing, number: f64) {
        *self.doing.entry(doing).or_default() += number;
    }
}

#[cfg(test)]
mod tests;
