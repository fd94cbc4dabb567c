//! Reads the threads of processes: time on a core and time waiting for one, per thread. The cost is
//! bounded, however many threads there are.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::time::Instant;

use super::account::Busiest;
use super::pid::{parse_schedstat, parse_stat};
use super::{CpuWatch, Text, ticks_per_second};

/// A thread's series begins when it is among this many busiest threads and uses at least …
const BEGIN_AMONG: usize = 12;
/// … this many cores …
const BEGIN_AT_CORES: f64 = 0.01;
/// … and continues while it is among this many.
const KEEP_AMONG: usize = 24;
/// Maximum number of threads with their own series in one run. Pools that replace their threads
/// would otherwise create more and more series.
const MOST_SERIES: usize = 256;
/// Processor seconds per look that reading threads may cost, on average.
const COST_OF_A_LOOK: f64 = 0.005;
/// Threads are read at least once in this many looks, however much it costs.
const MOST_PASSED_OVER: f64 = 20.0;

/// One of the busiest threads.
#[derive(Clone, Debug, PartialEq)]
pub struct Busy {
    /// Name and id, such as `worker-3/4711`.
    pub label: String,
    /// Processor seconds since it started.
    pub cpu_seconds: f64,
}

/// The result of one reading of all threads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ThreadLook {
    /// Seconds in which threads waited for a core, since the first reading; `None` if the kernel
    /// does not keep it.
    pub wait_seconds: Option<f64>,
    /// Cores used by the busiest thread since the previous reading; `None` if too little time has
    /// passed.
    pub busiest_cores: Option<f64>,
    /// The threads with their own series.
    pub busy: Vec<Busy>,
}

/// Accounts for the threads of several processes.
#[derive(Debug, Default)]
pub struct Threads {
    pids: HashSet<u32>,
    last: HashMap<u32, Seen>,
    wait_nanos: u64,
    has_schedstat: Option<bool>,
    busiest: Busiest,
    /// Labels of threads that already have a series, by thread id.
    labels: HashMap<u32, String>,
    begun: usize,
    /// Looks to skip before threads are read again.
    pass_over: u32,
    text: Text,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    pid: u32,
    run_nanos: u64,
    wait_nanos: u64,
}

impl Threads {
    /// Reads the threads of the processes (id, and whether it started during the watch); `None` if
    /// this look is skipped because earlier readings cost too much.
    pub fn look(&mut self, processes: impl Iterator<Item = (u32, bool)>) -> Option<ThreadLook> {
        if self.pass_over > 0 {
            self.pass_over -= 1;
            return None;
        }
        let cpu = CpuWatch::start();
        let mut now = HashMap::with_capacity(self.last.len());
        let mut pids = HashSet::with_capacity(self.pids.len());
        for (pid, is_fresh) in processes {
            pids.insert(pid);
            // For a process that existed before the watch, the time before the watch does not
            // count.
            let counts = is_fresh || self.pids.contains(&pid);
            self.read_process(pid, counts, &mut now);
        }
        self.pids = pids;
        self.last = now;
        let look = self.tell();
        let used = cpu.used().as_secs_f64();
        self.pass_over = (used / COST_OF_A_LOOK).min(MOST_PASSED_OVER) as u32;
        Some(look)
    }

    fn read_process(&mut self, pid: u32, counts: bool, now: &mut HashMap<u32, Seen>) {
        // A process that has just ended has no threads. Its end is reported elsewhere.
        let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return };
        for tid in tasks.flatten().filter_map(|task| task.file_name().to_str()?.parse().ok()) {
            let Some(seen) = self.read_thread(pid, tid) else { continue };
            let before = self.last.get(&tid).filter(|before| {
                // A reused id belongs to another thread, whose time starts at zero.
                before.pid == pid && before.run_nanos <= seen.run_nanos
            });
            self.wait_nanos += match before {
                Some(before) => seen.wait_nanos.saturating_sub(before.wait_nanos),
                None if counts => seen.wait_nanos,
                None => 0,
            };
            if before.is_none() {
                self.labels.remove(&tid);
            }
            now.insert(tid, seen);
        }
    }

    fn read_thread(&mut self, pid: u32, tid: u32) -> Option<Seen> {
        if self.has_schedstat != Some(false) {
            let path = format!("/proc/{pid}/task/{tid}/schedstat");
            let read = self.text.read_short(&path).ok().and_then(|text| parse_schedstat(&text));
            match read {
                Some(read) if read.run_nanos > 0 => {
                    self.has_schedstat = Some(true);
                    let (run_nanos, wait_nanos) = (read.run_nanos, read.wait_nanos);
                    return Some(Seen { pid, run_nanos, wait_nanos });
                }
                // If any thread has shown time, zeros mean a thread that has just started.
                read if self.has_schedstat == Some(true) => {
                    return read.map(|_| Seen { pid, run_nanos: 0, wait_nanos: 0 });
                }
                _ => {}
            }
        }
        let path = format!("/proc/{pid}/task/{tid}/stat");
        let ticks = parse_stat(&self.text.read_short(&path).ok()?)?.1.cpu_ticks;
        if ticks > 0 {
            self.has_schedstat = Some(false);
        }
        let run_nanos = (ticks as f64 / ticks_per_second() * 1e9) as u64;
        Some(Seen { pid, run_nanos, wait_nanos: 0 })
    }

    fn tell(&mut self) -> ThreadLook {
        let used = self.last.iter().map(|(tid, seen)| (*tid, seen.run_nanos));
        let ranking = self.busiest.rank(Instant::now(), used);
        let known = self.has_schedstat == Some(true);
        let wait_seconds = known.then_some(self.wait_nanos as f64 / 1e9);
        let Some(ranking) = ranking else {
            return ThreadLook { wait_seconds, ..ThreadLook::default() };
        };
        let busiest_cores = Some(ranking.first().map_or(0.0, |(_, nanos)| nanos / 1e9));
        let mut busy = Vec::new();
        for (place, (tid, nanos)) in ranking.iter().take(KEEP_AMONG).enumerate() {
            let Some(seen) = self.last.get(tid).copied() else { continue };
            if !self.labels.contains_key(tid) {
                let is_busy = place < BEGIN_AMONG && nanos / 1e9 >= BEGIN_AT_CORES;
                if !is_busy || self.begun >= MOST_SERIES {
                    continue;
                }
                let Some(label) = self.name(seen.pid, *tid) else { continue };
                self.labels.insert(*tid, label);
                self.begun += 1;
            }
            let cpu_seconds = seen.run_nanos as f64 / 1e9;
            busy.push(Busy { label: self.labels[tid].clone(), cpu_seconds });
        }
        ThreadLook { wait_seconds, busiest_cores, busy }
    }

    fn name(&mut self, pid: u32, tid: u32) -> Option<String> {
        let name = self.text.read_short(&format!("/proc/{pid}/task/{tid}/comm")).ok()?;
        Some(format!("{}/{tid}", name.trim_end()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_busy_thread_of_this_process_is_the_busiest_and_is_named() {
        let (finish, finished) = std::sync::mpsc::sync_channel::<()>(0);
        let busy = std::thread::Builder::new().name("kp-busy-test".to_owned());
        let busy = busy.spawn(move || {
            let mut sum = 0u64;
            while finished.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                sum = std::hint::black_box(sum.wrapping_add(1));
            }
        });
        let mut threads = Threads::default();
        let own = [(std::process::id(), false)];
        let first = threads.look(own.into_iter()).unwrap();
        assert_eq!((first.wait_seconds, first.busiest_cores), (Some(0.0), None));
        // Other tests run in parallel, so it may take a while until the thread gets its share of a
        // core.
        let mut told = Vec::new();
        for _ in 0..100 {
            std::thread::sleep(Duration::from_millis(200));
            let Some(look) = threads.look(own.into_iter()) else { continue };
            told = look.busy;
            if told.iter().any(|busy| busy.label.starts_with("kp-busy-test/")) {
                assert!(look.busiest_cores.unwrap() > 0.0);
                break;
            }
        }
        drop(finish);
        busy.unwrap().join().unwrap();
        let named = told.iter().find(|busy| busy.label.starts_with("kp-busy-test/"));
        assert!(named.is_some_and(|busy| busy.cpu_seconds > 0.0), "{told:?}");
    }
}
