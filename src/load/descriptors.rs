//! Makes room for all sockets that may be in flight.

use super::error::LoadError;
use super::worker::MAX_CLOSING;

/// Other files: those of the collectors, the recording, and the event queues of the threads.
const BESIDE: u64 = 256;

/// Raises the soft limit of this process. The `sockets` of requests in flight must fit, and the
/// sockets that `workers` are closing.
///
/// # Errors
///
/// When the hard limit is too low. At full load a lack of descriptors would look like an error of
/// the target.
#[cfg(unix)]
pub(super) fn make_room(sockets: usize, workers: usize) -> Result<(), LoadError> {
    let sockets = sockets.saturating_add(workers.saturating_mul(MAX_CLOSING));
    let needed = (sockets as u64).saturating_add(BESIDE);
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one `rlimit` to `limit`.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Ok(());
    }
    if limit.rlim_cur >= needed {
        return Ok(());
    }
    let refused = LoadError::Descriptors { needed, allowed: limit.rlim_max };
    if limit.rlim_max < needed {
        return Err(refused);
    }
    limit.rlim_cur = needed;
    // SAFETY: the kernel reads one `rlimit` from `limit`.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    if set == 0 { Ok(()) } else { Err(refused) }
}

/// Nothing to raise here.
#[cfg(not(unix))]
pub(super) fn make_room(_sockets: usize, _workers: usize) -> Result<(), LoadError> {
    let _ = (BESIDE, MAX_CLOSING);
    Ok(())
}
