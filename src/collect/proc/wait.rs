//! What a thread does, read from `/proc/PID/task/TID/syscall`. If that is refused, its wait channel
//! and its state are used (proc(5); system call arguments as in syscall(2) and futex(2)). System
//! call numbers are those of kneepoint's own architecture, so a 32-bit program on a 64-bit kernel
//! is misread.

use std::fmt;

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Doing {
    /// On a core.
    Running,
    /// Ready, and waiting for a core.
    Runnable,
    /// Waiting on a futex without a time limit: a lock, a condition, a semaphore.
    Futex,
    /// Waiting on a futex with a time limit.
    FutexTimed,
    /// In poll, select, epoll or io_uring: an event loop, or a thread that watches several things.
    Poll,
    /// In poll on a single descriptor, as clients with a time limit wait for an answer.
    PollOne,
    /// Waiting for a connection to accept.
    Accept,
    /// Connecting to, reading from or writing to a socket.
    Socket,
    /// Reading or writing a pipe, a terminal or an event descriptor.
    Pipe,
    /// Sleeping for a set time.
    Sleep,
    /// Reading or writing a file, or waiting uninterruptibly for another reason.
    Disk,
    /// Waiting until data has reached the disk.
    Fsync,
    /// Waiting for the lock of a file.
    FileLock,
    /// Waiting for a child process.
    Child,
    /// Something else, or unknown.
    Other,
}

impl Doing {
    /// The value of the label `class`.
    pub fn key(self) -> &'static str {
        match self {
            Doing::Running => "running",
            Doing::Runnable => "runnable",
            Doing::Futex => "futex",
            Doing::FutexTimed => "futex_timed",
            Doing::Poll => "poll",
            Doing::PollOne => "poll_one",
            Doing::Accept => "accept",
            Doing::Socket => "socket",
            Doing::Pipe => "pipe",
            Doing::Sleep => "sleep",
            Doing::Disk => "disk",
            Doing::Fsync => "fsync",
            Doing::FileLock => "file_lock",
            Doing::Child => "child",
            Doing::Other => "other",
        }
    }
}

/// How a thread waits on a futex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FutexWait {
    /// A mutex: the expected value says that it is held and that others wait.
    Lock,
    /// Anything else without a time limit, such as a condition, a semaphore or a read–write lock.
    Plain,
    /// Any wait with a time limit.
    Timed,
}

impl FutexWait {
    /// The value of the label `wait`.
    pub fn key(self) -> &'static str {
        match self {
            FutexWait::Lock => "lock",
            FutexWait::Plain => "plain",
            FutexWait::Timed => "timed",
        }
    }
}

/// The word in memory that a thread waits on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Futex {
    /// The process that owns this memory; `None` if processes share it.
    pub pid: Option<u32>,
    /// Its address.
    pub address: u64,
}

impl fmt::Display for Futex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "{:#x} of pid {pid}", self.address),
            None => write!(f, "{:#x}", self.address),
        }
    }
}

/// A system call in which a thread waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    number: i64,
    arguments: [u64; 6],
}

/// The state that `/proc/PID/task/TID/syscall` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyscallState {
    /// The thread runs or is ready to run.
    Running,
    /// The thread waits, but not in a system call: for a page fault or a debugger.
    OutsideCall,
    /// The thread waits in this system call.
    InCall(Call),
}

/// What a system call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// The call number alone determines it.
    Known(Doing),
    /// A futex.
    Futex(Futex, FutexWait),
    /// It depends on what this descriptor is.
    Descriptor(u32),
    /// The call number does not determine it.
    Unknown,
}

/// Parses a `/proc/PID/task/TID/syscall`.
pub fn parse_syscall(text: &str) -> Option<SyscallState> {
    let mut fields = text.split_ascii_whitespace();
    let first = fields.next()?;
    if first == "running" {
        return Some(SyscallState::Running);
    }
    let number: i64 = first.parse().ok()?;
    if number < 0 {
        return Some(SyscallState::OutsideCall);
    }
    let mut arguments = [0; 6];
    for argument in &mut arguments {
        let field = fields.next()?;
        *argument = u64::from_str_radix(field.strip_prefix("0x").unwrap_or(field), 16).ok()?;
    }
    Some(SyscallState::InCall(Call { number, arguments }))
}

impl Call {
    /// What a thread of process `pid` waits for in this call.
    pub fn waits_for(&self, pid: u32) -> WaitsFor {
        match self.number {
            libc::SYS_futex => self.futex(pid),
            libc::SYS_read
            | libc::SYS_readv
            | libc::SYS_write
            | libc::SYS_writev
            | libc::SYS_sendfile => {
                u32::try_from(self.arguments[0]).map_or(WaitsFor::Unknown, WaitsFor::Descriptor)
            }
            libc::SYS_ppoll => WaitsFor::Known(polling(self.arguments[1])),
            libc::SYS_pselect6 if self.arguments[0] == 0 => WaitsFor::Known(Doing::Sleep),
            number => legacy(number, &self.arguments)
                .or_else(|| by_number(number))
                .map_or(WaitsFor::Unknown, WaitsFor::Known),
        }
    }

    /// Futex operations and flags, numbered as in `linux/futex.h`.
    fn futex(&self, pid: u32) -> WaitsFor {
        const PRIVATE: u64 = 128;
        const CLOCK_REALTIME: u64 = 256;
        const WAIT: u64 = 0;
        const LOCK_PI: u64 = 6;
        const WAIT_BITSET: u64 = 9;
        const WAIT_REQUEUE_PI: u64 = 11;
        const LOCK_PI2: u64 = 13;
        /// The bit beside the owner's thread id that says that others wait.
        const WAITERS: u64 = 0x8000_0000;
        let [address, operation, expected, timeout, ..] = self.arguments;
        let is_lock = match operation & !(PRIVATE | CLOCK_REALTIME) {
            LOCK_PI | LOCK_PI2 => true,
            // Mutexes of glibc, Rust and Go wait until the value is no longer 2. Those of musl wait
            // until it is no longer the owner's id with the waiters bit.
            WAIT => expected == 2 || (expected & WAITERS != 0 && expected != u64::from(u32::MAX)),
            // Conditions and semaphores of glibc set the clock flag; Rust's mutexes do not.
            WAIT_BITSET => expected == 2 && operation & CLOCK_REALTIME == 0,
            WAIT_REQUEUE_PI => false,
            _ => return WaitsFor::Known(Doing::Futex),
        };
        let wait = match (timeout, is_lock) {
            (0, true) => FutexWait::Lock,
            (0, false) => FutexWait::Plain,
            _ => FutexWait::Timed,
        };
        let pid = (operation & PRIVATE != 0).then_some(pid);
        WaitsFor::Futex(Futex { pid, address }, wait)
    }
}

/// What a call waits for, for calls that every architecture has.
fn by_number(number: i64) -> Option<Doing> {
    Some(match number {
        libc::SYS_futex_waitv => Doing::Futex,
        libc::SYS_epoll_pwait
        | libc::SYS_epoll_pwait2
        | libc::SYS_pselect6
        | libc::SYS_io_uring_enter
        | libc::SYS_io_getevents => Doing::Poll,
        libc::SYS_accept | libc::SYS_accept4 => Doing::Accept,
        libc::SYS_connect
        | libc::SYS_recvfrom
        | libc::SYS_recvmsg
        | libc::SYS_recvmmsg
        | libc::SYS_sendto
        | libc::SYS_sendmsg
        | libc::SYS_sendmmsg => Doing::Socket,
        libc::SYS_nanosleep | libc::SYS_clock_nanosleep => Doing::Sleep,
        libc::SYS_pread64
        | libc::SYS_preadv
        | libc::SYS_preadv2
        | libc::SYS_pwrite64
        | libc::SYS_pwritev
        | libc::SYS_pwritev2 => Doing::Disk,
        libc::SYS_fsync
        | libc::SYS_fdatasync
        | libc::SYS_sync_file_range
        | libc::SYS_syncfs
        | libc::SYS_sync
        | libc::SYS_msync => Doing::Fsync,
        // Of the commands of `fcntl`, only those wait that lock a file.
        libc::SYS_flock | libc::SYS_fcntl => Doing::FileLock,
        libc::SYS_wait4 | libc::SYS_waitid => Doing::Child,
        _ => return None,
    })
}

/// Calls that newer architectures no longer have.
#[cfg(target_arch = "x86_64")]
fn legacy(number: i64, arguments: &[u64; 6]) -> Option<Doing> {
    Some(match number {
        libc::SYS_poll => polling(arguments[1]),
        // Without descriptors it only sleeps.
        libc::SYS_select if arguments[0] == 0 => Doing::Sleep,
        libc::SYS_epoll_wait | libc::SYS_select => Doing::Poll,
        _ => return None,
    })
}

#[cfg(not(target_arch = "x86_64"))]
fn legacy(_: i64, _: &[u64; 6]) -> Option<Doing> {
    None
}

/// What a thread does that polls this number of descriptors.
fn polling(descriptors: u64) -> Doing {
    match descriptors {
        0 => Doing::Sleep,
        1 => Doing::PollOne,
        _ => Doing::Poll,
    }
}

/// What a thread waits for that reads or writes the descriptor with this link in `/proc/PID/fd`.
pub fn by_link(link: &str) -> Doing {
    match link.split_once(':').map_or(link, |(kind, _)| kind) {
        "socket" => Doing::Socket,
        "pipe" | "anon_inode" => Doing::Pipe,
        file if file.starts_with("/dev/") => Doing::Pipe,
        file if file.starts_with('/') => Doing::Disk,
        _ => Doing::Other,
    }
}

/// What a thread waits for, by the kernel function in which it waits; the kernel shows `0` if it
/// does not reveal it. Names change between versions, so prefixes and parts of names are compared.
pub fn by_wait_channel(name: &str) -> Option<Doing> {
    const BY_PART: [(&str, Doing); 23] = [
        ("futex", Doing::Futex),
        ("nanosleep", Doing::Sleep),
        ("ep_poll", Doing::Poll),
        ("epoll_wait", Doing::Poll),
        ("poll_schedule", Doing::Poll),
        ("do_poll", Doing::Poll),
        ("do_select", Doing::Poll),
        ("io_cqring", Doing::Poll),
        ("csk_accept", Doing::Accept),
        ("wait_for_connect", Doing::Accept),
        ("sk_wait", Doing::Socket),
        ("wait_woken", Doing::Socket),
        ("skb_wait", Doing::Socket),
        ("skb_recv", Doing::Socket),
        ("unix_stream", Doing::Socket),
        ("pipe_", Doing::Pipe),
        ("eventfd", Doing::Pipe),
        ("fsync", Doing::Fsync),
        ("jbd2_log_wait", Doing::Fsync),
        ("sync_file", Doing::Fsync),
        ("lock_inode_wait", Doing::FileLock),
        ("posix_lock", Doing::FileLock),
        ("do_wait", Doing::Child),
    ];
    BY_PART.iter().find(|(part, _)| name.contains(part)).map(|(_, doing)| *doing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(text: &str) -> WaitsFor {
        match parse_syscall(text) {
            Some(SyscallState::InCall(call)) => call.waits_for(7),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_the_kernel_writes_is_read() {
        assert_eq!(parse_syscall("running\n"), Some(SyscallState::Running));
        assert_eq!(parse_syscall("-1 0x7ffe0 0x7f00\n"), Some(SyscallState::OutsideCall));
        for broken in ["", "\n", "x", "202", "202 0x1 0x2", "202 0x1 zz 0x3 0x4 0x5 0x6"] {
            assert_eq!(parse_syscall(broken), None, "{broken}");
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn waits_on_a_futex_are_told_apart_by_their_arguments() {
        let futex = |address, private: bool, wait| {
            WaitsFor::Futex(Futex { pid: private.then_some(7), address }, wait)
        };
        // A glibc 2.36 mutex, and a glibc semaphore, condition and read–write lock.
        let mutex = "202 0x55ae0828f120 0x80 0x2 0x0 0x0 0x0 0x7f41 0x7f42\n";
        assert_eq!(waits(mutex), futex(0x55ae_0828_f120, true, FutexWait::Lock));
        let semaphore = "202 0x55e7 0x189 0x0 0x0 0x0 0xffffffff 0x7faa 0x7fab\n";
        assert_eq!(waits(semaphore), futex(0x55e7, true, FutexWait::Plain));
        let rwlock = "202 0x560c 0x189 0x3 0x0 0x0 0xffffffff 0x7f9b 0x7f9c\n";
        assert_eq!(waits(rwlock), futex(0x560c, true, FutexWait::Plain));
        // An interpreter that waits 5 ms for its lock.
        let timed = "202 0x7f31 0x89 0x0 0x7f314be7bae0 0x0 0xffffffff 0x7f31 0x7f32\n";
        assert_eq!(waits(timed), futex(0x7f31, true, FutexWait::Timed));
        // A Rust mutex; a parked Rust thread; a semaphore shared between processes.
        let rust = "202 0x55e7 0x89 0x2 0x0 0x0 0xffffffff 0x7faa 0x7fab\n";
        assert_eq!(waits(rust), futex(0x55e7, true, FutexWait::Lock));
        let parked = "202 0x55e7 0x89 0xffffffff 0x0 0x0 0xffffffff 0x7faa 0x7fab\n";
        assert_eq!(waits(parked), futex(0x55e7, true, FutexWait::Plain));
        let shared = "202 0x55e7 0x109 0x0 0x0 0x0 0xffffffff 0x7faa 0x7fab\n";
        assert_eq!(waits(shared), futex(0x55e7, false, FutexWait::Plain));
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn other_waits_are_told_by_their_call_or_their_descriptor() {
        let call = |number: u32| waits(&format!("{number} 0x5 0x0 0x0 0x0 0x0 0x0 0x1 0x2"));
        for (number, doing) in [
            (232, Doing::Poll),
            (230, Doing::Sleep),
            (288, Doing::Accept),
            (45, Doing::Socket),
            (74, Doing::Fsync),
            (17, Doing::Disk),
            (61, Doing::Child),
        ] {
            assert_eq!(call(number), WaitsFor::Known(doing), "{number}");
        }
        // poll, ppoll, select and pselect6, by how many descriptors they watch.
        for (text, doing) in [
            ("7 0x7f00 0x3 0xffffffff 0x0 0x0 0x0 0x1 0x2", Doing::Poll),
            ("7 0x7f00 0x1 0x7530 0x0 0x0 0x0 0x1 0x2", Doing::PollOne),
            ("271 0x7f00 0x1 0x0 0x0 0x8 0x0 0x1 0x2", Doing::PollOne),
            ("271 0x0 0x0 0x7f10 0x0 0x8 0x0 0x1 0x2", Doing::Sleep),
            ("23 0x0 0x0 0x0 0x0 0x7f10 0x0 0x1 0x2", Doing::Sleep),
            ("23 0x6 0x7f00 0x0 0x0 0x7f10 0x0 0x1 0x2", Doing::Poll),
            ("270 0x0 0x0 0x0 0x0 0x7f10 0x0 0x1 0x2", Doing::Sleep),
        ] {
            assert_eq!(waits(text), WaitsFor::Known(doing), "{text}");
        }
        assert_eq!(call(0), WaitsFor::Descriptor(5));
        assert_eq!(call(999), WaitsFor::Unknown);
        for (link, doing) in [
            ("socket:[123]", Doing::Socket),
            ("pipe:[9]", Doing::Pipe),
            ("anon_inode:[eventfd]", Doing::Pipe),
            ("/dev/pts/3", Doing::Pipe),
            ("/var/lib/data: 1", Doing::Disk),
        ] {
            assert_eq!(by_link(link), doing, "{link}");
        }
    }

    #[test]
    fn wait_channels_are_known_by_parts_of_their_names() {
        for (name, doing) in [
            ("futex_wait_queue_me", Doing::Futex),
            ("futex_do_wait", Doing::Futex),
            ("hrtimer_nanosleep", Doing::Sleep),
            ("do_epoll_wait", Doing::Poll),
            ("ep_poll", Doing::Poll),
            ("inet_csk_accept", Doing::Accept),
            ("wait_woken", Doing::Socket),
            ("anon_pipe_read", Doing::Pipe),
            ("jbd2_log_wait_commit", Doing::Fsync),
            ("do_wait", Doing::Child),
        ] {
            assert_eq!(by_wait_channel(name), Some(doing), "{name}");
        }
        assert_eq!(by_wait_channel("0"), None);
    }
}
