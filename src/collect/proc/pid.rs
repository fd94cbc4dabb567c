//! Parsers of the files under `/proc/PID` (proc(5), Documentation/filesystems/proc.rst).

/// The numbers in `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Process id.
    pub pid: u32,
    /// Process id of the parent.
    pub ppid: u32,
    /// State letter, such as `R`, `S` or `Z`.
    pub state: u8,
    /// Whether it is a kernel thread.
    pub is_kernel_thread: bool,
    /// Major page faults of the process.
    pub major_faults: u64,
    /// Major page faults of children that have ended and were waited for.
    pub waited_major_faults: u64,
    /// Processor time of the process, user and system, in clock ticks.
    pub cpu_ticks: u64,
    /// Processor time of children that have ended and were waited for, in clock ticks.
    pub waited_cpu_ticks: u64,
    /// Number of threads.
    pub threads: u64,
    /// Start in clock ticks since boot. Together with the id, it identifies the process.
    pub start_ticks: u64,
}

impl Stat {
    /// Whether it has ended and only waits for its parent to reap it. A process whose first thread
    /// has ended while others run also reads as `Z`, but with those threads counted.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X') && self.threads <= 1
    }
}

/// Flag of kernel threads in field 9 (PF_KTHREAD of include/linux/sched.h).
const KERNEL_THREAD: u64 = 0x0020_0000;

/// Parses the name and the numbers of a `/proc/PID/stat`, or of a thread's.
pub fn parse_stat(text: &str) -> Option<(&str, Stat)> {
    // The name is in parentheses and may itself contain spaces and parentheses.
    let (open, close) = (text.find('(')?, text.rfind(')')?);
    let name = text.get(open + 1..close)?;
    let pid = text.get(..open)?.trim().parse().ok()?;
    let fields: Vec<&str> = text.get(close + 1..)?.split_ascii_whitespace().collect();
    // `fields[0]` is field 3 of the manual. The times of waited-for children are signed.
    let number = |field: usize| -> Option<u64> {
        fields.get(field - 3)?.parse::<i64>().ok().map(|value| value.max(0).unsigned_abs())
    };
    let stat = Stat {
        pid,
        ppid: u32::try_from(number(4)?).ok()?,
        state: *fields.first()?.as_bytes().first()?,
        is_kernel_thread: number(9)? & KERNEL_THREAD != 0,
        major_faults: number(12)?,
        waited_major_faults: number(13)?,
        cpu_ticks: number(14)? + number(15)?,
        waited_cpu_ticks: number(16)? + number(17)?,
        threads: number(20)?,
        start_ticks: number(22)?,
    };
    Some((name, stat))
}

/// The contents of `/proc/PID/status`. Absent fields are `None` (kernel threads have no memory).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Resident memory in bytes.
    pub rss_bytes: Option<u64>,
    /// Anonymous resident memory in bytes; Linux 4.5 and later.
    pub anonymous_bytes: Option<u64>,
    /// The cores it may run on, 32 per word, lowest first.
    pub cpus_allowed: Vec<u32>,
    /// Number of times that the (first) thread gave up the core voluntarily.
    pub voluntary_switches: Option<u64>,
    /// Number of times that the (first) thread was preempted.
    pub involuntary_switches: Option<u64>,
    /// Effective user id.
    pub uid: Option<u32>,
}

/// Reads a `/proc/PID/status`, or a thread's.
pub fn parse_status(text: &str) -> Status {
    let mut status = Status::default();
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        let kilobytes =
            || value.strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024);
        match key {
            "VmRSS" => status.rss_bytes = kilobytes(),
            "RssAnon" => status.anonymous_bytes = kilobytes(),
            "Cpus_allowed" => status.cpus_allowed = parse_cpu_mask(value),
            "voluntary_ctxt_switches" => status.voluntary_switches = value.parse().ok(),
            "nonvoluntary_ctxt_switches" => status.involuntary_switches = value.parse().ok(),
            "Uid" => {
                let mut ids = value.split_ascii_whitespace();
                status.uid = ids.nth(1).and_then(|uid| uid.parse().ok());
            }
            _ => {}
        }
    }
    status
}

/// A mask of cores such as `ff,ffffffff`: 32 bits per word, returned lowest first.
fn parse_cpu_mask(text: &str) -> Vec<u32> {
    text.rsplit(',').map_while(|word| u32::from_str_radix(word, 16).ok()).collect()
}

/// A list of cores such as `0-3,8`, in the form of [`Status::cpus_allowed`].
pub fn parse_cpu_list(text: &str) -> Vec<u32> {
    let mut mask = Vec::new();
    for part in text.trim().split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (Ok(from), Ok(to)) = (from.parse::<usize>(), to.parse::<usize>()) else { continue };
        for core in from..=to.min(from.saturating_add(65_536)) {
            if mask.len() <= core / 32 {
                mask.resize(core / 32 + 1, 0);
            }
            mask[core / 32] |= 1 << (core % 32);
        }
    }
    mask
}

/// Online cores that at least one of the processes may run on; `None` if no process reports them.
pub fn allowed_cores<'a>(
    statuses: impl Iterator<Item = &'a Status>,
    online: &[u32],
) -> Option<f64> {
    let mut union: Vec<u32> = Vec::new();
    for status in statuses {
        union.resize(union.len().max(status.cpus_allowed.len()), 0);
        union.iter_mut().zip(&status.cpus_allowed).for_each(|(all, own)| *all |= own);
    }
    if !online.is_empty() {
        union.truncate(online.len());
        union.iter_mut().zip(online).for_each(|(all, online)| *all &= online);
    }
    let cores: u32 = union.iter().map(|word| word.count_ones()).sum();
    (cores > 0).then_some(f64::from(cores))
}

/// Processor time and waiting time of one thread (`/proc/PID/task/TID/schedstat`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedstat {
    /// Nanoseconds on a core.
    pub run_nanos: u64,
    /// Nanoseconds ready to run, waiting for a core.
    pub wait_nanos: u64,
    /// How often it was put on a core.
    pub turns: u64,
}

/// Parses a `schedstat` (Documentation/scheduler/sched-stats.rst). A kernel that does not keep
/// these statistics shows three zeros.
pub fn parse_schedstat(text: &str) -> Option<Schedstat> {
    let mut fields = text.split_ascii_whitespace().map(str::parse);
    let mut next = || fields.next()?.ok();
    Some(Schedstat { run_nanos: next()?, wait_nanos: next()?, turns: next()? })
}

/// The soft limit of open descriptors from `/proc/PID/limits`; `None` if there is no limit.
pub fn parse_open_files_limit(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// Anonymous memory in bytes from `/proc/PID/smaps_rollup`.
pub fn parse_smaps_anonymous(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// The boot time of the machine in seconds since 1970, from `/proc/stat`.
pub fn parse_boot_time(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_blanks_and_parentheses() {
        let text = "4242 (a) R (b c) S 7 4242 9725 0 -1 4194304 100 5 3 2 21 13 8 4 20 0 9 0 142045 \
                    3133440 418 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0\n";
        let (name, stat) = parse_stat(text).unwrap();
        assert_eq!(name, "a) R (b c");
        assert_eq!((stat.pid, stat.ppid, stat.state, stat.threads), (4242, 7, b'S', 9));
        assert_eq!((stat.cpu_ticks, stat.waited_cpu_ticks), (34, 12));
        assert_eq!((stat.major_faults, stat.waited_major_faults), (3, 2));
        assert_eq!(stat.start_ticks, 142_045);
        assert!(!stat.is_kernel_thread && !stat.has_ended());
    }

    #[test]
    fn kernel_threads_and_zombies_are_told() {
        let kernel = "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 1 0 0 20 0 1 0 3 0 0 \
                      18446744073709551615 0 0 0 0 0 0 0 2147483647 0 0 0 0 0 1 0 0 0 0 0\n";
        assert!(parse_stat(kernel).unwrap().1.is_kernel_thread);
        let zombie = "9 (sh) Z 8 8 8 0 -1 4228364 93 0 0 0 0 0 0 0 20 0 1 0 9000 0 0 0 0 0 0 0 0 0";
        assert!(parse_stat(zombie).unwrap().1.has_ended());
        let leader_gone = zombie.replace("20 0 1 0 9000", "20 0 4 0 9000");
        assert!(!parse_stat(&leader_gone).unwrap().1.has_ended());
    }

    #[test]
    fn texts_that_are_cut_short_are_refused() {
        for bad in ["", "12", "12 (sh", "12 (sh)", "12 (sh) S 1 2", ") 12 (", "x (sh) S 1"] {
            assert_eq!(parse_stat(bad), None, "{bad}");
        }
        assert_eq!(parse_schedstat("12\n"), None);
        assert_eq!(parse_schedstat("a b c\n"), None);
    }

    #[test]
    fn a_status_gives_memory_cores_and_switches() {
        let text = "Name:\tshop\nUid:\t33\t34\t33\t33\nVmRSS:\t    1616 kB\nRssAnon:\t     112 kB\n\
                    Cpus_allowed:\tff,00000003\nCpus_allowed_list:\t0-1,32-39\n\
                    voluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t2\n";
        let status = parse_status(text);
        assert_eq!(status.rss_bytes, Some(1616 * 1024));
        assert_eq!(status.anonymous_bytes, Some(112 * 1024));
        assert_eq!(status.cpus_allowed, [3, 0xff]);
        assert_eq!(parse_cpu_list("0-1,32-39\n"), [3, 0xff]);
        assert_eq!((status.voluntary_switches, status.involuntary_switches), (Some(7), Some(2)));
        assert_eq!(status.uid, Some(34));
        // A kernel thread has no memory of its own.
        assert_eq!(parse_status("Name:\tkthreadd\nThreads:\t1\n").rss_bytes, None);
    }

    #[test]
    fn small_files_are_read() {
        let schedstat = parse_schedstat("399638 84027 3\n").unwrap();
        assert_eq!((schedstat.run_nanos, schedstat.wait_nanos), (399_638, 84_027));
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max processes             96365                96365                processes \n\
                      Max open files            1024                 524288               files     \n";
        assert_eq!(parse_open_files_limit(limits), Some(1024));
        assert_eq!(parse_open_files_limit("Max open files  unlimited unlimited files"), None);
        let rollup =
            "55d0-7ffc ---p 00000000 00:00 0 [rollup]\nRss:    2 kB\nAnonymous:      96 kB\n";
        assert_eq!(parse_smaps_anonymous(rollup), Some(96 * 1024));
        assert_eq!(
            parse_boot_time("cpu 1 2\nbtime 1795251600\nprocesses 9\n"),
            Some(1_795_251_600)
        );
    }
}
