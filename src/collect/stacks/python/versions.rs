//! Where the fields of CPython's structures lie, by version: `offsetof` of the headers of each
//! version, on 64-bit machines. They are the same in all releases of one version.

/// Offsets in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Minor version, such as 11 for 3.11.
    pub minor: u32,
    /// `_PyRuntimeState`: the first interpreter.
    pub interpreters: usize,
    /// How to find the thread that holds the interpreter lock.
    pub holder: HolderAt,
    /// `PyInterpreterState`: the next one, and its first thread.
    pub next_interpreter: usize,
    pub threads: usize,
    /// `PyThreadState`: the next one.
    pub next_thread: usize,
    pub thread_id: ThreadIdAt,
    /// `PyThreadState`: its innermost frame, or what points to it.
    pub frame: FrameAt,
    /// The frame: its caller, its code, its last instruction, and who owns it since 3.11.
    pub caller: usize,
    pub code: usize,
    pub last: usize,
    pub owner: Option<usize>,
    /// `PyCodeObject`.
    pub file: usize,
    /// The qualified name, or before 3.11 the name.
    pub name: usize,
    pub first_line: usize,
    pub lines: usize,
    /// Where its instructions begin, since 3.11.
    pub instructions: usize,
    /// Where the characters of an ASCII string begin, and of another compact string.
    pub ascii: u64,
    pub compact: u64,
}

/// How to find the thread that holds the interpreter lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HolderAt {
    /// `_PyRuntimeState`: the thread, null while no thread holds it.
    Runtime(usize),
    /// `PyInterpreterState`: pointer to the lock, which has its last holder at 8 and whether it is
    /// held at 16.
    Interpreter(usize),
}

/// How to find the system's id of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ThreadIdAt {
    /// It stands in `PyThreadState`.
    Native(usize),
    /// `PyThreadState` has the address of the C library's structure, which holds it.
    Pthread(usize),
}

/// How to find the innermost frame of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameAt {
    /// `PyThreadState` points to it.
    Thread(usize),
    /// `PyThreadState` points to a `_PyCFrame`, which has it at the second offset.
    Through(usize, usize),
}

const V3_9: Layout = Layout {
    minor: 9,
    interpreters: 32,
    holder: HolderAt::Runtime(568),
    next_interpreter: 0,
    threads: 8,
    next_thread: 8,
    thread_id: ThreadIdAt::Pthread(176),
    frame: FrameAt::Thread(24),
    caller: 24,
    code: 32,
    last: 104,
    owner: None,
    file: 104,
    name: 112,
    first_line: 40,
    lines: 120,
    instructions: 0,
    ascii: 48,
    compact: 72,
};

const V3_12: Layout = Layout {
    minor: 12,
    interpreters: 40,
    holder: HolderAt::Interpreter(384),
    next_interpreter: 0,
    threads: 72,
    next_thread: 8,
    thread_id: ThreadIdAt::Native(144),
    frame: FrameAt::Through(56, 0),
    caller: 8,
    code: 0,
    last: 56,
    owner: Some(70),
    file: 112,
    name: 128,
    first_line: 68,
    lines: 136,
    instructions: 192,
    ascii: 40,
    compact: 56,
};

/// Every version that can be read.
pub(super) const LAYOUTS: [Layout; 6] = [
    Layout { minor: 8, holder: HolderAt::Runtime(1368), ..V3_9 },
    V3_9,
    Layout { minor: 10, last: 96, ..V3_9 },
    Layout {
        minor: 11,
        holder: HolderAt::Runtime(576),
        threads: 16,
        thread_id: ThreadIdAt::Native(160),
        frame: FrameAt::Through(56, 8),
        caller: 48,
        code: 32,
        owner: Some(69),
        first_line: 72,
        instructions: 184,
        ascii: 48,
        compact: 72,
        ..V3_12
    },
    V3_12,
    Layout {
        minor: 13,
        interpreters: 632,
        holder: HolderAt::Interpreter(16),
        next_interpreter: 7264,
        threads: 7344,
        thread_id: ThreadIdAt::Native(160),
        frame: FrameAt::Thread(72),
        instructions: 200,
        ..V3_12
    },
];
