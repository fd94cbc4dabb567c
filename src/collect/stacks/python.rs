//! Stacks of CPython 3.8 to 3.13, read from the memory of the process while it goes on running.
//!
//! Nothing is stopped and nothing is loaded into the target: kneepoint follows the interpreter's
//! own structures with `process_vm_readv`, which needs the right to trace the target. A thread may
//! return from a call while it is read. What no longer looks like a frame ends a stack, so a stack
//! can be cut short, and rarely two moments are mixed.
//!
//! What uses the processor is the thread that holds the interpreter lock, looked at several times
//! within one look. Native code that runs without this lock is not attributed. CPython does not
//! record who holds a `threading.Lock`. Builds without the interpreter lock are not supported.

mod interpreter;
mod line_table;
mod memory;
mod symbols;
mod versions;

use std::collections::HashMap;
use std::time::Duration;

use super::RuntimeSpec;
use super::stack::{Dump, Frame, State, Thread};
use crate::collect::proc::Text;
use crate::collect::proc::wait::{
    Doing, FutexWait, SyscallState, WaitsFor, by_link, parse_syscall,
};
use interpreter::{Interpreter, PythonThread};

pub(super) static SPEC: RuntimeSpec = RuntimeSpec {
    name: "python",
    thing: "threads",
    open: |_| Ok(Some(Box::new(Python::default()))),
};

/// How often the holder of the interpreter lock is looked at within one look, and how far apart.
const HOLDER_LOOKS: u32 = 20;
const HOLDER_PAUSE: Duration = Duration::from_millis(15);

/// Functions of the standard library that wait for work or for another thread.
const WAITING: &[&str] = &[
    "threading.py",
    "queue.py",
    "selectors.py",
    "socketserver.py",
    "thread.py",
    "process.py",
    "connection.py",
    "synchronize.py",
    "queues.py",
    "base_events.py",
    "popen_fork.py",
];

#[derive(Default)]
struct Python {
    /// The interpreter of each process; `None` if it is not one that can be read.
    known: HashMap<u32, Option<Interpreter>>,
    text: Text,
}

impl super::Runtime for Python {
    fn runs_in(&mut self, pid: u32) -> bool {
        if self.known.len() > super::MOST_KNOWN {
            self.known.clear();
        }
        let text = &mut self.text;
        self.known.entry(pid).or_insert_with(|| Interpreter::find(text, pid)).is_some()
    }

    fn look(&mut self, pids: &[u32]) -> Vec<Result<Dump, String>> {
        let mut dumps: Vec<Result<Dump, String>> = Vec::new();
        for pid in pids {
            let dump = match self.known.get_mut(pid) {
                Some(Some(interpreter)) => interpreter.threads(&mut self.text),
                _ => Err("the process is not a CPython that can be read".to_owned()),
            };
            let threads = dump.map(|threads| {
                threads.iter().filter_map(|thread| self::thread(&mut self.text, thread)).collect()
            });
            dumps.push(threads.map(|threads| Dump { threads, ..Dump::default() }));
        }
        for _ in 0..HOLDER_LOOKS {
            std::thread::sleep(HOLDER_PAUSE);
            for (pid, dump) in pids.iter().zip(&mut dumps) {
                let Ok(dump) = dump else { continue };
                let Some(Some(interpreter)) = self.known.get_mut(pid) else { continue };
                if let Some(frames) = interpreter.holder_stack() {
                    dump.cpu.push((frames, 1.0 / f64::from(HOLDER_LOOKS)));
                }
            }
        }
        dumps
    }
}

/// What a thread does, by its system call and its innermost frames.
fn thread(text: &mut Text, found: &PythonThread) -> Option<Thread> {
    let innermost = found.frames.first()?;
    let in_library = |frame: &Frame| !frame.is_own && WAITING.contains(&basename(&frame.file));
    let state = if found.holds_interpreter {
        State::Running
    } else {
        match doing(text, found.pid, found.tid?) {
            Waiting::Not => State::Running,
            // The interpreter hands over its lock with a time limit of some milliseconds.
            Waiting::Timed if !in_library(innermost) => State::Interpreter,
            Waiting::Untimed if !in_library(innermost) => State::Lock,
            Waiting::Timed | Waiting::Untimed => State::Wait,
            Waiting::Sleep => State::Sleep,
            Waiting::Io => State::Io,
        }
    };
    Some(Thread::new(state, found.frames.clone()))
}

fn basename(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or_default()
}

/// How a thread waits.
enum Waiting {
    Not,
    /// On a futex with a time limit …
    Timed,
    /// … or without one.
    Untimed,
    Sleep,
    Io,
}

fn doing(text: &mut Text, pid: u32, tid: u32) -> Waiting {
    let call = text.read_short(&format!("/proc/{pid}/task/{tid}/syscall")).ok();
    let call = match call.and_then(|call| parse_syscall(&call)) {
        Some(SyscallState::InCall(call)) => call,
        _ => return Waiting::Not,
    };
    match call.waits_for(pid) {
        WaitsFor::Futex(_, FutexWait::Timed) | WaitsFor::Known(Doing::FutexTimed) => Waiting::Timed,
        WaitsFor::Futex(..) | WaitsFor::Known(Doing::Futex) => Waiting::Untimed,
        // `time.sleep` of versions before 3.11 is a select without descriptors.
        WaitsFor::Known(Doing::Sleep) => Waiting::Sleep,
        WaitsFor::Known(_) => Waiting::Io,
        WaitsFor::Descriptor(number) => {
            let link = std::fs::read_link(format!("/proc/{pid}/fd/{number}"));
            match link.map(|link| by_link(&link.to_string_lossy())) {
                Ok(Doing::Other) | Err(_) => Waiting::Not,
                Ok(_) => Waiting::Io,
            }
        }
        WaitsFor::Unknown => Waiting::Io,
    }
}
