//! What looks at a run yields to what makes its load.

/// The kernel's lowest priority that still gets some processor time.
const NICE: libc::c_int = 19;

/// Gives the calling thread the lowest priority. Threads that it starts inherit it.
pub fn yield_to_load() {
    // SAFETY: takes no pointers. On Linux, 0 is the calling thread. It cannot fail: everybody may
    // lower a priority, and without it the thread only competes with the others.
    let _lowered = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
}
