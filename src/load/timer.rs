//! Waking up on time. tokio's timers round up to whole milliseconds. On Linux a timerfd in the
//! event queue wakes the thread within tens of microseconds and needs no second thread.

use std::io;
use std::time::Duration;

/// Wakes one task, accurate to tens of microseconds.
#[cfg(target_os = "linux")]
pub(super) struct Timer {
    fd: tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>,
}

#[cfg(target_os = "linux")]
impl Timer {
    /// A timer that is not armed. Needs a runtime with I/O.
    pub(super) fn new() -> io::Result<Self> {
        let fd = create(libc::TFD_NONBLOCK)?;
        let interest = tokio::io::Interest::READABLE;
        // SAFETY: an `OwnedFd` names the same open descriptor for as long as it lives.
        let fd = unsafe { tokio::io::unix::AsyncFd::register_with_interest(fd, interest) };
        Ok(Self { fd: fd? })
    }

    /// Waits for `after`, or slightly less: the caller looks at the clock anyway.
    pub(super) async fn sleep(&mut self, after: Duration) {
        // The expiry count is left unread, which saves a system call: arming resets it, and the
        // event queue is edge-triggered, so the next expiry is an event all the same.
        match set(self.fd.get_ref(), after) {
            Ok(()) => {
                if let Ok(mut ready) = self.fd.readable().await {
                    ready.clear_ready();
                }
            }
            // Cannot happen to an open timerfd. If it did, waking late is better than never.
            Err(_) => tokio::time::sleep(after).await,
        }
    }
}

/// A timer that is not set, with these flags in addition to the usual ones.
#[cfg(target_os = "linux")]
pub(super) fn create(flags: libc::c_int) -> io::Result<std::os::fd::OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: no memory is handed over; the result is checked below.
    let raw = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags | libc::TFD_CLOEXEC) };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open and owned by no one else.
    Ok(unsafe { std::os::fd::OwnedFd::from_raw_fd(raw) })
}

/// Makes a timer fire once, `after` from now. This replaces any time set before.
#[cfg(target_os = "linux")]
pub(super) fn set(timer: &std::os::fd::OwnedFd, after: Duration) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    // Zero would disarm it.
    let after = after.max(Duration::from_nanos(1));
    let value = libc::timespec {
        tv_sec: after.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: after.subsec_nanos().into(),
    };
    let interval = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let spec = libc::itimerspec { it_interval: interval, it_value: value };
    // SAFETY: `spec` outlives the call, the old value is not asked for.
    let set = unsafe {
        libc::timerfd_settime(timer.as_raw_fd(), 0, &raw const spec, std::ptr::null_mut())
    };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Blocks this thread until a timer fires. The timer was made without `TFD_NONBLOCK`.
#[cfg(target_os = "linux")]
pub(super) fn wait(timer: &std::os::fd::OwnedFd) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let mut count = 0_u64;
    // SAFETY: the kernel writes up to eight bytes to `count`.
    let read = unsafe { libc::read(timer.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>()) };
    if read < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Wakes one task, accurate to the millisecond.
#[cfg(not(target_os = "linux"))]
pub(super) struct Timer;

#[cfg(not(target_os = "linux"))]
impl Timer {
    /// Needs a runtime with time.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    /// Waits for `after`.
    pub(super) async fn sleep(&mut self, after: Duration) {
        tokio::time::sleep(after).await;
    }
}

/// Asks the scheduler for short slices, so that this thread waits less behind busy neighbours
/// (EEVDF, Linux 6.12 and later). Needs no privileges. Without support nothing changes.
#[cfg(target_os = "linux")]
pub(super) fn shorten_slice() {
    const SLICE_NANOS: u64 = 100_000;
    /// `struct sched_attr` of sched_setattr(2), in its first published size.
    #[repr(C)]
    #[derive(Default)]
    struct SchedAttr {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        runtime: u64,
        deadline: u64,
        period: u64,
    }
    let size = size_of::<SchedAttr>() as u32;
    let mut attr = SchedAttr::default();
    // SAFETY: the kernel writes `size` bytes to `attr`, which is that large. What it has now is
    // read first because setting it also sets the niceness.
    let got = unsafe {
        libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attr, size, 0 as libc::c_uint)
    };
    if got != 0 || attr.policy != libc::SCHED_OTHER as u32 {
        return;
    }
    attr.size = size;
    attr.runtime = SLICE_NANOS;
    // SAFETY: the kernel reads `attr.size` bytes of `attr`. A refusal leaves all as it was.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0 as libc::c_uint) };
}

/// Asks the scheduler for short slices. This system does not support them.
#[cfg(not(target_os = "linux"))]
pub(super) fn shorten_slice() {}
