//! Counts what is allocated: of a thread, and of the whole process.

#![allow(dead_code, reason = "each test uses a part")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicIsize, Ordering};

/// The system's allocator with counters.
pub struct Counted;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

static ALL_HELD: AtomicIsize = AtomicIsize::new(0);
static ALL_PEAK: AtomicIsize = AtomicIsize::new(0);

fn count(bytes: isize) {
    let all = ALL_HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
    ALL_PEAK.fetch_max(all, Ordering::Relaxed);
    let held = HELD.get() + bytes;
    HELD.set(held);
    PEAK.set(PEAK.get().max(held));
}

// SAFETY: hands everything to the system's allocator, and counts in cells that need none.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller keeps to the contract of the same method.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // While it is moved, both are there.
        count(size as isize);
        // SAFETY: as above.
        let moved = unsafe { System.realloc(at, layout, size) };
        count(-(layout.size() as isize));
        moved
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) };
    }
}

/// What `work` comes to, and how many bytes this thread held at the most while at it.
pub fn peak_of_thread<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get();
    PEAK.set(before);
    let done = work();
    (done, (PEAK.get() - before).unsigned_abs())
}

/// What `work` comes to, and how many bytes the process held at the most while at it.
pub fn peak_of_process<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ALL_HELD.load(Ordering::SeqCst);
    ALL_PEAK.store(before, Ordering::SeqCst);
    let done = work();
    (done, (ALL_PEAK.load(Ordering::SeqCst) - before).unsigned_abs())
}
