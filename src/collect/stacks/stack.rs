//! What every runtime gives: threads with their frames, and who waits for whom.

/// Longest name of a function, in characters. A target may choose any name.
const LONGEST_FUNCTION: usize = 120;
/// Longest name of a file.
const LONGEST_FILE: usize = 80;
/// Frames of one stack that are kept, the innermost first.
pub(super) const MOST_FRAMES: usize = 200;

/// One call on a stack.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Frame {
    pub function: String,
    pub file: String,
    /// 0 if unknown.
    pub line: u32,
    /// Whether it is the application's code, not that of the runtime, a library or a framework.
    pub is_own: bool,
}

impl Frame {
    pub fn new(function: &str, file: &str, line: u32, is_own: bool) -> Self {
        let function = bounded(function, LONGEST_FUNCTION);
        Self { function, file: bounded(file, LONGEST_FILE), line, is_own }
    }

    /// Where in the code, such as `ledger.go:57`.
    pub fn place(&self) -> String {
        match (self.file.as_str(), self.line) {
            ("", _) => "unknown file".to_owned(),
            (file, 0) => file.to_owned(),
            (file, line) => format!("{file}:{line}"),
        }
    }
}

/// The text without control characters, and at most `most` characters of it: the last ones, because
/// they tell more than the first ones of a path or a qualified name.
fn bounded(text: &str, most: usize) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let length = text.chars().count();
    if length <= most {
        return text.chars().map(clean).collect();
    }
    "...".chars().chain(text.chars().skip(length - most + 3).map(clean)).collect()
}

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// It computes, or could.
    Running,
    /// It waits for a lock.
    Lock,
    /// It waits for the lock of the interpreter.
    Interpreter,
    /// It waits for another thread: a queue, a condition, a channel, a permit.
    Wait,
    /// It waits for a socket or a file.
    Io,
    /// It sleeps for a set time.
    Sleep,
}

impl State {
    /// The value of the label `state`.
    pub fn key(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Lock => "lock",
            State::Interpreter => "interpreter",
            State::Wait => "wait",
            State::Io => "io",
            State::Sleep => "sleep",
        }
    }
}

/// Threads with one stack.
#[derive(Clone, Debug)]
pub(super) struct Thread {
    /// How many threads stand like this.
    pub count: u64,
    pub state: State,
    /// The innermost first.
    pub frames: Vec<Frame>,
    /// The lock that it waits for, where the runtime names it.
    pub waits_for: Option<String>,
    /// The locks that it holds, each with the index of the frame that holds it.
    pub holds: Vec<(String, usize)>,
}

impl Thread {
    pub fn new(state: State, frames: Vec<Frame>) -> Self {
        Self { count: 1, state, frames, waits_for: None, holds: Vec::new() }
    }

    /// The innermost frame of the application.
    pub fn own(&self) -> Option<&Frame> {
        self.frames.iter().find(|frame| frame.is_own)
    }
}

/// Where the holder of a lock stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holder {
    /// The runtime says so.
    Known(String),
    /// A thread inside the function in which the others wait, which does not wait for a lock itself.
    Likely(String),
}

/// What one look at one process found.
#[derive(Clone, Debug, Default)]
pub(super) struct Dump {
    pub threads: Vec<Thread>,
    /// Stacks that used the processor, the innermost frame first, with the cores that each used.
    pub cpu: Vec<(Vec<Frame>, f64)>,
    /// Seconds that the target may have been stopped for, at most.
    pub pause: f64,
}

impl Dump {
    /// Who holds the lock that `waiter` waits for.
    pub fn holder(&self, waiter: &Thread) -> Option<Holder> {
        if waiter.state != State::Lock {
            return None;
        }
        self.known_holder(waiter).or_else(|| self.likely_holder(waiter))
    }

    fn known_holder(&self, waiter: &Thread) -> Option<Holder> {
        let lock = waiter.waits_for.as_ref()?;
        self.threads.iter().find_map(|thread| {
            let (_, index) = thread.holds.iter().find(|(held, _)| held == lock)?;
            let outside = thread.frames.get(*index..)?;
            let frame = outside.iter().find(|frame| frame.is_own).or(outside.first())?;
            Some(Holder::Known(frame.place()))
        })
    }

    fn likely_holder(&self, waiter: &Thread) -> Option<Holder> {
        let own = waiter.own()?;
        let inside = |thread: &&Thread| !matches!(thread.state, State::Lock);
        self.threads.iter().filter(inside).find_map(|thread| {
            let same = |frame: &&Frame| frame.function == own.function;
            // One that stands where the others wait is about to wait itself.
            let frame = thread.frames.iter().find(same).filter(|frame| frame.line != own.line)?;
            Some(Holder::Likely(frame.place()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_target_are_bounded_and_cannot_drive_a_terminal() {
        let frame = Frame::new(&"x".repeat(500), "a\u{1b}[31m\nb.py", 7, true);
        assert_eq!(frame.function.chars().count(), LONGEST_FUNCTION);
        assert_eq!(frame.place(), "a [31m b.py:7");
        assert_eq!(Frame::new("f", "", 7, true).place(), "unknown file");
    }

    #[test]
    fn a_holder_is_known_by_its_lock_and_otherwise_likely_by_its_function() {
        let at = |line| Frame::new("Ledger.add", "Ledger.java", line, true);
        let mut waiter = Thread::new(State::Lock, vec![at(57)]);
        let mut holder =
            Thread::new(State::Sleep, vec![Frame::new("sleep", "Thread.java", 1, false), at(60)]);
        let mut dump = Dump { threads: vec![waiter.clone(), holder.clone()], ..Dump::default() };
        assert_eq!(dump.holder(&waiter), Some(Holder::Likely("Ledger.java:60".to_owned())));
        waiter.waits_for = Some("0x1".to_owned());
        holder.holds = vec![("0x1".to_owned(), 0)];
        dump.threads[1] = holder.clone();
        assert_eq!(dump.holder(&waiter), Some(Holder::Known("Ledger.java:60".to_owned())));
        assert_eq!(dump.holder(&holder), None, "it waits for no lock");
    }
}
