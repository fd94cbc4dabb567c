//! What looks at a run yields to what makes its load.

/// The lowest of the usual priorities, for where the kernel has no lower one.
const NICE: libc::c_int = 19;

/// Lets the calling thread run only where no other wants to: as soon as a thread that makes load
/// wakes, the kernel takes the core from this one. It still gets about 0.3 % of a core that is full.
/// Threads that it starts inherit it.
pub fn yield_to_load() {
    let param = libc::sched_param { sched_priority: 0 };
    // SAFETY: `param` outlives the call. 0 is the calling thread. Everybody may lower a priority.
    let is_idle = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const param) } == 0;
    if !is_idle {
        // SAFETY: takes no pointers. On Linux, 0 is the calling thread. Without it the thread only
        // competes with the others.
        let _lowered = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
    }
}
