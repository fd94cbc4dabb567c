//! The command of another tool, as a child process: it keeps the terminal, gets the signals that
//! kneepoint gets, and its exit code is kept.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{self, Child, ExitStatus, Stdio};

/// A command that is to be run.
#[derive(Clone, Debug)]
pub struct Command {
    /// The program and its arguments.
    pub(super) words: Vec<OsString>,
    /// Environment variables that are set for it.
    pub(super) variables: Vec<(&'static str, &'static str)>,
    /// Where what it prints goes, if not to kneepoint's own output.
    pub(super) stdout: Option<PathBuf>,
    /// Whether what it prints goes to stderr: kneepoint's stdout is for a program.
    pub(super) is_apart: bool,
}

impl Command {
    /// These words and nothing else.
    pub fn new(words: Vec<OsString>) -> Self {
        Self { words, variables: Vec::new(), stdout: None, is_apart: false }
    }

    /// The same; what it prints goes to stderr, so that nothing but the diagnosis is on stdout.
    pub fn apart(self) -> Self {
        Self { is_apart: true, ..self }
    }

    /// Its first word.
    pub(super) fn program(&self) -> String {
        self.words.first().map_or_else(String::new, |word| word.to_string_lossy().into_owned())
    }

    /// Starts it.
    ///
    /// # Errors
    /// The program cannot be started, or the file for its output not be made.
    pub(super) fn start(&self) -> io::Result<Running> {
        let Some((program, arguments)) = self.words.split_first() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is no program"));
        };
        let mut command = process::Command::new(program);
        command.args(arguments).envs(self.variables.iter().copied());
        if let Some(path) = &self.stdout {
            command.stdout(Stdio::from(File::create(path)?));
        } else if self.is_apart {
            command.stdout(Stdio::from(io::stderr().as_fd().try_clone_to_owned()?));
        }
        // SAFETY: prctl is async-signal-safe. If kneepoint is killed, the load must end too.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
                Ok(())
            });
        }
        Ok(Running { child: command.spawn()?, signals: 0 })
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, word) in self.words.iter().enumerate() {
            let space = if place == 0 { "" } else { " " };
            write!(f, "{space}{}", word.to_string_lossy())?;
        }
        Ok(())
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code.
    Code(u8),
    /// By this signal.
    Signal(i32),
}

impl Ended {
    fn of(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (None, Some(signal)) => Self::Signal(signal),
            (code, _) => Self::Code(code.unwrap_or(1).clamp(0, 255) as u8),
        }
    }

    /// The exit code that a shell gives it.
    pub fn code(self) -> u8 {
        match self {
            Ended::Code(code) => code,
            // POSIX shells: 128 and the number of the signal.
            Ended::Signal(signal) => (128 + signal).clamp(1, 255) as u8,
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Code(code) => write!(f, "with exit code {code}"),
            Ended::Signal(signal) => write!(f, "by signal {signal}"),
        }
    }
}

/// A command that runs.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    signals: u32,
}

impl Running {
    /// How it ended; `None` while it runs.
    pub(super) fn ended(&mut self) -> io::Result<Option<Ended>> {
        Ok(self.child.try_wait()?.map(Ended::of))
    }

    /// Passes on a signal that kneepoint got. Ctrl-C at a terminal reaches the command by itself:
    /// many tools take a second one as an order to stop at once.
    pub(super) fn pass_on(&mut self, signal: i32) {
        self.signals += 1;
        let has_got_it = signal == libc::SIGINT && self.signals == 1 && is_in_foreground();
        if !has_got_it && let Ok(pid) = libc::pid_t::try_from(self.child.id()) {
            // SAFETY: kill has no other effect than the signal; the child is not yet waited for.
            unsafe { libc::kill(pid, signal) };
        }
    }
}

/// Whether the terminal sends its signals to kneepoint, and so to what it started.
fn is_in_foreground() -> bool {
    let Ok(terminal) = File::open("/dev/tty") else { return false };
    // SAFETY: both only ask, and the descriptor is open.
    unsafe { libc::tcgetpgrp(std::os::fd::AsRawFd::as_raw_fd(&terminal)) == libc::getpgrp() }
}
