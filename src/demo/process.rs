//! Process functions that the standard library lacks: start a session, end together with the
//! parent, drop rights, use one core, and set a name.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// A user and group by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub uid: u32,
    pub gid: u32,
}

/// The account that a process that runs as root must switch to for PostgreSQL, which refuses to run
/// as root; `None` if this process is not root.
pub(super) fn unprivileged_account() -> Option<Account> {
    // SAFETY: geteuid has no preconditions and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return None;
    }
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    find_account(&accounts, "postgres")
        .or_else(|| find_account(&accounts, "nobody"))
        .or(Some(Account { uid: 65534, gid: 65534 }))
}

/// The account with this name in the text of `/etc/passwd`.
fn find_account(passwd: &str, name: &str) -> Option<Account> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    let uid = fields.next()?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(Account { uid, gid })
}

/// Puts the process into a new session, so that Ctrl-C on the terminal does not reach it.
pub(super) fn in_own_session(command: &mut Command) -> &mut Command {
    // SAFETY: setsid is async-signal-safe and allocates nothing.
    unsafe {
        command.pre_exec(|| match libc::setsid() {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        })
    }
}

/// Sends `signal` to the process when the thread that starts it ends, for any reason. If the system
/// cannot do that, only the guard stops the process.
pub(super) fn ending_with_parent(command: &mut Command, signal: i32) -> &mut Command {
    #[cfg(target_os = "linux")]
    {
        let parent = std::process::id();
        // SAFETY: prctl and getppid are async-signal-safe and allocate nothing. The closure runs
        // after the change of user, which would clear the setting.
        unsafe {
            command.pre_exec(move || {
                if libc::prctl(libc::PR_SET_PDEATHSIG, signal) == -1 {
                    return Err(io::Error::last_os_error());
                }
                // The parent may have died before the setting took effect.
                if libc::getppid().cast_unsigned() != parent {
                    return Err(io::Error::from(io::ErrorKind::NotConnected));
                }
                Ok(())
            });
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _unsupported = signal;
    command
}

/// Restricts the number of descriptors that this process may have.
pub(super) fn limit_descriptors(most: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: the structure lives on this stack frame, and the call only reads it.
    match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Restricts this process to the last of the cores that it may use.
pub(super) fn confine_to_one_core() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    // SAFETY: both calls get a set of the stated size, on this stack frame; the CPU_* macros index
    // within CPU_SETSIZE.
    unsafe {
        let mut allowed: libc::cpu_set_t = std::mem::zeroed();
        let size = std::mem::size_of::<libc::cpu_set_t>();
        if libc::sched_getaffinity(0, size, &mut allowed) == -1 {
            return Err(io::Error::last_os_error());
        }
        let cores = 0..usize::try_from(libc::CPU_SETSIZE).unwrap_or(0);
        if let Some(last) = cores.rev().find(|&core| libc::CPU_ISSET(core, &allowed)) {
            libc::CPU_ZERO(&mut allowed);
            libc::CPU_SET(last, &mut allowed);
            if libc::sched_setaffinity(0, size, &allowed) == -1 {
                return Err(io::Error::last_os_error());
            }
        }
    }
    Ok(())
}

/// The same for a child process at its start.
pub(super) fn on_one_core(command: &mut Command) -> &mut Command {
    // SAFETY: the closure makes system calls that are async-signal-safe and allocates nothing.
    unsafe { command.pre_exec(confine_to_one_core) }
}

/// Names this process in process lists, which would otherwise show one program three times.
pub(super) fn set_name(name: &str) {
    #[cfg(target_os = "linux")]
    if let Ok(name) = std::ffi::CString::new(name) {
        // SAFETY: the argument is a string that ends with a zero byte; the kernel copies it.
        unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
    }
    #[cfg(not(target_os = "linux"))]
    let _unsupported = name;
}

/// Processor time that this thread has used.
pub(super) fn thread_cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec on this stack frame.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// Whether the other end of the pipe on standard input is closed.
pub(super) fn stdin_is_closed() -> bool {
    let mut stdin = libc::pollfd { fd: 0, events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd, on this stack frame.
    let ready = unsafe { libc::poll(&mut stdin, 1, 0) };
    ready > 0 && stdin.revents & (libc::POLLHUP | libc::POLLERR | libc::POLLNVAL) != 0
}

/// Stops a child: sends `signal`, waits, and kills it if it takes longer than `patience`.
pub(super) fn stop(child: &mut Child, signal: i32, patience: Duration) {
    if let Ok(None) = child.try_wait() {
        if let Ok(pid) = i32::try_from(child.id()) {
            // SAFETY: the child has not been waited for, so its process id is still valid.
            unsafe { libc::kill(pid, signal) };
        }
        let deadline = Instant::now() + patience;
        while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        // Fails only if it has ended in the meantime.
        let _ended = child.kill().is_err();
    }
    let _reaped = child.wait().is_ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_by_their_whole_name() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nnobody2:x:1:2::/:/x\nnobody:x:65534:65533::/:/x\nbad:x\n";
        assert_eq!(find_account(passwd, "nobody"), Some(Account { uid: 65534, gid: 65533 }));
        assert_eq!(find_account(passwd, "bad"), None);
        assert_eq!(find_account(passwd, "postgres"), None);
    }

    #[test]
    fn stop_ends_a_child_that_ignores_the_signal() {
        let mut child = Command::new("sh")
            .args(["-c", "trap '' INT; while :; do sleep 1; done"])
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(100));
        stop(&mut child, libc::SIGINT, Duration::from_millis(100));
        assert!(child.try_wait().unwrap().is_some());
    }

    #[test]
    fn thread_time_counts_work_and_not_sleep() {
        let start = thread_cpu_time();
        std::thread::sleep(Duration::from_millis(30));
        let slept = thread_cpu_time().saturating_sub(start);
        while thread_cpu_time().saturating_sub(start) < slept + Duration::from_millis(5) {}
        assert!(slept < Duration::from_millis(30), "{slept:?}");
    }
}
