//! One CPython process: finds its structures and walks its threads and frames.

use std::collections::{HashMap, HashSet};
use std::fs;

use super::super::stack::Frame;
use super::line_table;
use super::memory::Memory;
use super::symbols;
use super::versions::{FrameAt, HolderAt, LAYOUTS, Layout, ThreadIdAt};
use crate::collect::proc::Text;

/// Bounds of what is followed: the target may change or lie.
const MOST_THREADS: usize = 4096;
const MOST_INTERPRETERS: usize = 16;
const MOST_FRAMES: usize = 160;
const MOST_CODES: usize = 20_000;
const LONGEST_TEXT: usize = 1024;
const LONGEST_TABLE: usize = 1 << 18;
/// Largest program whose symbols are read.
const LARGEST_FILE: u64 = 512 << 20;
/// Where the C libraries keep a thread's id in the structure that a `pthread_t` points to: glibc on
/// x86-64 and on ARM, musl.
const PTHREAD_IDS: [u64; 3] = [720, 208, 48];
/// Who owns a frame that stands for a call from C code.
const OWNED_BY_C: u8 = 3;

/// A thread, as one look found it.
#[derive(Debug)]
pub(super) struct PythonThread {
    pub pid: u32,
    /// Its id in `/proc`, if it can be told.
    pub tid: Option<u32>,
    pub holds_interpreter: bool,
    /// The innermost first.
    pub frames: Vec<Frame>,
}

/// The interpreter of one process.
#[derive(Debug)]
pub(super) struct Interpreter {
    pid: u32,
    memory: Memory,
    layout: &'static Layout,
    /// Address of `_PyRuntime`.
    runtime: u64,
    /// Address of `PyCode_Type`: what a frame points to must be of this type.
    code_type: u64,
    /// Working directory of the process: files below it are shown relative to it.
    directory: String,
    codes: HashMap<Code, Decoded>,
}

/// A code object: its address and those of its parts. Memory is used again, so all must match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Code {
    address: u64,
    file: u64,
    name: u64,
    lines: u64,
    first_line: i32,
}

#[derive(Clone, Debug)]
struct Decoded {
    file: String,
    name: String,
    is_own: bool,
    lines: Vec<u8>,
}

impl Interpreter {
    /// The interpreter of a process; `None` if it has none that can be read.
    pub fn find(text: &mut Text, pid: u32) -> Option<Interpreter> {
        let maps = text.read(&format!("/proc/{pid}/maps")).ok()?.into_owned();
        let mut tried = HashSet::new();
        for line in maps.lines() {
            let Some(path) = line.find('/').map(|at| &line[at..]) else { continue };
            let Some(minor) = minor_version(path).filter(|_| tried.insert(path)) else { continue };
            let Some(layout) = LAYOUTS.iter().find(|layout| layout.minor == minor) else {
                continue;
            };
            let begin =
                line.split('-').next().and_then(|begin| u64::from_str_radix(begin, 16).ok())?;
            let file = format!("/proc/{pid}/root{path}");
            if fs::metadata(&file)
                .map_or(true, |found| found.len() > LARGEST_FILE || !found.is_file())
            {
                continue;
            }
            let names = ["_PyRuntime", "PyCode_Type"];
            let Some(found) = fs::read(&file).ok().and_then(|file| symbols::find(&file, names))
            else {
                continue;
            };
            let directory = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
            let interpreter = Interpreter {
                pid,
                memory: Memory::new(pid)?,
                layout,
                runtime: begin + found[0],
                code_type: begin + found[1],
                directory: directory.to_string_lossy().into_owned(),
                codes: HashMap::new(),
            };
            // The right to read it is tried at once.
            return interpreter.interpreters().next().is_some().then_some(interpreter);
        }
        None
    }

    /// Every thread with its stack.
    pub fn threads(&mut self, text: &mut Text) -> Result<Vec<PythonThread>, String> {
        let ids = ids_in_proc(text, self.pid);
        let mut threads = Vec::new();
        let interpreters: Vec<u64> = self.interpreters().collect();
        if interpreters.is_empty() {
            return Err(format!("cannot read the memory of pid {}", self.pid));
        }
        for interpreter in interpreters {
            let holder = self.holder(interpreter);
            let mut next = self.memory.pointer(interpreter + self.layout.threads as u64);
            while let Some(thread) = next.filter(|_| threads.len() < MOST_THREADS) {
                let tid = self.thread_id(thread).and_then(|own| match &ids {
                    Some(ids) => ids.get(&own).copied(),
                    None => Some(own),
                });
                threads.push(PythonThread {
                    pid: self.pid,
                    tid,
                    holds_interpreter: holder == Some(thread),
                    frames: self.stack(thread),
                });
                next = self.memory.pointer(thread + self.layout.next_thread as u64);
            }
        }
        Ok(threads)
    }

    /// The stack of the thread that holds the interpreter lock, if one does.
    pub fn holder_stack(&mut self) -> Option<Vec<Frame>> {
        let interpreter = self.interpreters().next()?;
        let holder = self.holder(interpreter)?;
        Some(self.stack(holder)).filter(|frames| !frames.is_empty())
    }

    fn interpreters(&self) -> impl Iterator<Item = u64> + use<> {
        let (memory, next) = (self.memory, self.layout.next_interpreter as u64);
        let first = memory.pointer(self.runtime + self.layout.interpreters as u64);
        std::iter::successors(first, move |interpreter| memory.pointer(interpreter + next))
            .take(MOST_INTERPRETERS)
    }

    fn holder(&self, interpreter: u64) -> Option<u64> {
        match self.layout.holder {
            HolderAt::Runtime(offset) => self.memory.pointer(self.runtime + offset as u64),
            HolderAt::Interpreter(offset) => {
                let lock = self.memory.pointer(interpreter + offset as u64)?;
                let lock = self.memory.block::<24>(lock)?;
                lock.pointer(8).filter(|_| lock.int(16) == Some(1))
            }
        }
    }

    fn thread_id(&self, thread: u64) -> Option<u32> {
        let id = |block: u64| {
            let id = self.memory.block::<4>(block)?.int(0)?;
            u32::try_from(id).ok().filter(|id| *id > 0)
        };
        match self.layout.thread_id {
            ThreadIdAt::Native(offset) => id(thread + offset as u64),
            ThreadIdAt::Pthread(offset) => {
                let pthread = self.memory.pointer(thread + offset as u64)?;
                let is_thread =
                    |id: &u32| fs::exists(format!("/proc/{}/task/{id}", self.pid)).unwrap_or(false);
                PTHREAD_IDS
                    .iter()
                    .filter_map(|offset| id(pthread.checked_add(*offset)?))
                    .find(is_thread)
            }
        }
    }

    /// The frames of a thread, the innermost first.
    fn stack(&mut self, thread: u64) -> Vec<Frame> {
        let layout = self.layout;
        let mut next = match layout.frame {
            FrameAt::Thread(offset) => self.memory.pointer(thread + offset as u64),
            FrameAt::Through(offset, then) => self
                .memory
                .pointer(thread + offset as u64)
                .and_then(|through| self.memory.pointer(through + then as u64)),
        };
        // Since 3.11 frames are shorter and may end where readable memory does.
        let length = if layout.minor < 11 { 112 } else { 72 };
        let mut frames = Vec::new();
        for _ in 0..MOST_FRAMES {
            let Some(block) = next.and_then(|frame| self.memory.begin_of::<112>(frame, length))
            else {
                break;
            };
            let is_shim = layout.owner.and_then(|owner| block.byte(owner)) == Some(OWNED_BY_C);
            if !is_shim {
                let Some(frame) = self.frame(&block) else { break };
                frames.push(frame);
            }
            next = block.pointer(layout.caller);
        }
        frames
    }

    fn frame(&mut self, block: &super::memory::Block<112>) -> Option<Frame> {
        let layout = self.layout;
        let address = block.pointer(layout.code)?;
        let object = self.memory.block::<144>(address)?;
        // The second word of an object is its type.
        if object.pointer(8) != Some(self.code_type) {
            return None;
        }
        let code = Code {
            address,
            file: object.pointer(layout.file)?,
            name: object.pointer(layout.name)?,
            lines: object.pointer(layout.lines)?,
            first_line: object.int(layout.first_line)?,
        };
        let last = match layout.minor {
            ..=9 => i64::from(block.int(layout.last)?),
            10 => i64::from(block.int(layout.last)?) * 2,
            _ => {
                let begin = address.checked_add(layout.instructions as u64)?;
                block.long(layout.last)?.wrapping_sub(begin) as i64
            }
        };
        if self.codes.len() > MOST_CODES {
            self.codes.clear();
        }
        if !self.codes.contains_key(&code) {
            let decoded = self.decode(&code)?;
            self.codes.insert(code, decoded);
        }
        let decoded = self.codes.get(&code)?;
        let line = line_table::line(layout.minor, &decoded.lines, code.first_line, last);
        Some(Frame::new(&decoded.name, &decoded.file, line, decoded.is_own))
    }

    fn decode(&self, code: &Code) -> Option<Decoded> {
        let path = self.text(code.file)?;
        let length = self.memory.block::<8>(code.lines + 16)?.long(0)?;
        let length = usize::try_from(length).ok().filter(|length| *length <= LONGEST_TABLE)?;
        Some(Decoded {
            is_own: is_own(&path),
            file: shown(&path, &self.directory),
            name: self.text(code.name)?,
            lines: self.memory.bytes(code.lines + 32, length)?,
        })
    }

    /// A string. Characters beyond Latin-1 are replaced unless the string is ASCII or has a copy in
    /// that form: names of functions and files are nearly always ASCII.
    fn text(&self, address: u64) -> Option<String> {
        let head = self.memory.block::<40>(address)?;
        let length = usize::try_from(head.long(16)?).ok()?.min(LONGEST_TEXT);
        let state = head.int(32)?;
        let (kind, is_compact, is_ascii) = ((state >> 2) & 7, state & 32 != 0, state & 64 != 0);
        if !is_compact {
            return None;
        }
        let from = if is_ascii { self.layout.ascii } else { self.layout.compact };
        let width = usize::try_from(kind).ok().filter(|kind| matches!(kind, 1 | 2 | 4))?;
        let bytes = self.memory.bytes(address + from, length * width)?;
        let letter = |bytes: &[u8]| {
            let number = bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte));
            char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER)
        };
        Some(bytes.chunks_exact(width).map(letter).collect())
    }
}

/// The minor version in the name of a file such as `python3.11` or `libpython3.11.so.1.0`. Builds
/// without the interpreter lock (`python3.13t`) have other structures.
fn minor_version(path: &str) -> Option<u32> {
    let name = path.rsplit('/').next()?;
    let rest = name.strip_prefix("libpython3.").or_else(|| name.strip_prefix("python3."))?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let is_other_build = rest[digits..].starts_with(['t', 'd']);
    rest[..digits].parse().ok().filter(|_| !is_other_build)
}

/// Whether a file belongs to the application, not to the standard library or a package.
fn is_own(path: &str) -> bool {
    !path.starts_with('<')
        && !["/site-packages/", "/dist-packages/", "/lib/python3"]
            .iter()
            .any(|part| path.contains(part))
}

/// A path as it is shown: relative to the working directory, or its last two parts.
fn shown(path: &str, directory: &str) -> String {
    let below = path.strip_prefix(directory).and_then(|rest| rest.strip_prefix('/'));
    if let Some(below) = below.filter(|_| directory.len() > 1) {
        return below.to_owned();
    }
    let mut slashes = path.rmatch_indices('/').map(|(at, _)| at);
    slashes.nth(1).map_or(path, |at| &path[at + 1..]).to_owned()
}

/// The ids of a process's threads by their ids in its own namespace; `None` where they are the
/// same.
fn ids_in_proc(text: &mut Text, pid: u32) -> Option<HashMap<u32, u32>> {
    let nested = |text: &mut Text, path: &str| -> Option<(u32, bool)> {
        let status = text.read(path).ok()?;
        let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
        let mut ids = ids.split_whitespace();
        let first = ids.next()?.parse().ok()?;
        Some(
            ids.last()
                .and_then(|last| last.parse().ok())
                .map_or((first, false), |last| (last, true)),
        )
    };
    if !nested(text, &format!("/proc/{pid}/status"))?.1 {
        return None;
    }
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    let pairs = tasks.filter_map(|task| {
        let tid: u32 = task.file_name().to_str()?.parse().ok()?;
        Some((nested(text, &format!("/proc/{pid}/task/{tid}/status"))?.0, tid))
    });
    Some(pairs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_stand_in_the_names_of_programs_and_libraries() {
        assert_eq!(minor_version("/usr/bin/python3.11"), Some(11));
        assert_eq!(minor_version("/usr/lib/libpython3.8.so.1.0"), Some(8));
        assert_eq!(minor_version("/usr/local/bin/python3.13t"), None);
        assert_eq!(minor_version("/usr/bin/python3"), None);
    }

    #[test]
    fn own_files_are_shown_from_the_working_directory() {
        assert!(is_own("/srv/shop/views.py"));
        assert!(!is_own("/usr/lib/python3.11/threading.py"));
        assert!(!is_own("/srv/env/lib/python3.11/site-packages/flask/app.py"));
        assert!(!is_own("<frozen importlib._bootstrap>"));
        assert_eq!(shown("/srv/shop/views.py", "/srv"), "shop/views.py");
        assert_eq!(shown("/srv/shop/views.py", "/"), "shop/views.py");
        assert_eq!(shown("views.py", "/srv"), "views.py");
    }
}
