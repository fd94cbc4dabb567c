//! Puts the terminal back as it was if the program is killed while a screen is shown. A process of
//! its own, because a killed one can do nothing any more.
//!
//! Its standard input is a pipe from the program. If that pipe closes without a word, the program
//! was killed.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};

use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::LeaveAlternateScreen;

use super::super::exit::ExitStatus;

/// First argument of the guard.
pub(in crate::cli) const ENTRY: &str = "__terminal-guard";
/// What the guard says when it knows how the terminal was.
const READY: u8 = b'r';
/// What the program says when it has put the terminal back itself.
const DONE: u8 = b'd';

/// A guard that runs.
pub(super) struct Guard {
    child: Child,
    words: ChildStdin,
}

impl Guard {
    /// Starts a guard that knows the terminal as it is now.
    pub(super) fn start() -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(ENTRY).stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn()?;
        let (Some(words), Some(mut said)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("the guard of the terminal has no pipes"));
        };
        let mut word = [0];
        said.read_exact(&mut word)?;
        Ok(Self { child, words })
    }

    /// The terminal is as it was.
    pub(super) fn end(mut self) {
        // If it is gone already, there is nobody to tell.
        let _told = self.words.write_all(&[DONE]).is_ok();
        drop(self.words);
        let _ended = self.child.wait().is_ok();
    }
}

/// The guard process.
pub(in crate::cli) fn main() -> ExitStatus {
    let terminal = io::stderr();
    // SAFETY: sets the disposition of one signal of this process, which has one thread. A process
    // in the background may then change the terminal too.
    unsafe { libc::signal(libc::SIGTTOU, libc::SIG_IGN) };
    let Some(original) = settings(terminal.as_raw_fd()) else { return ExitStatus::Failed };
    let mut said = io::stdout();
    if said.write_all(&[READY]).and_then(|()| said.flush()).is_err() {
        return ExitStatus::Failed;
    }
    let mut words = Vec::new();
    let _closed = io::stdin().read_to_end(&mut words).is_ok();
    if !words.is_empty() {
        return ExitStatus::Done;
    }
    // Whoever has the terminal now may have set it up for itself: only what the screen left behind
    // is put back.
    if settings(terminal.as_raw_fd()).is_some_and(|now| is_raw(&now)) {
        // SAFETY: the pointer is to a live termios that the call only reads.
        unsafe { libc::tcsetattr(terminal.as_raw_fd(), libc::TCSANOW, &raw const original) };
    }
    let _left = execute!(io::stderr(), LeaveAlternateScreen, Show).is_ok();
    ExitStatus::Done
}

/// The settings of a terminal; `None` for anything else.
fn settings(descriptor: i32) -> Option<libc::termios> {
    let mut settings = std::mem::MaybeUninit::<libc::termios>::uninit();
    // SAFETY: the call writes a whole termios if it returns zero, and only then is it read.
    unsafe {
        let done = libc::tcgetattr(descriptor, settings.as_mut_ptr());
        (done == 0).then(|| settings.assume_init())
    }
}

/// Whether the terminal hands over every key and prints every byte as it is. A shell that reads a
/// line leaves Ctrl-C and the printing to the terminal.
fn is_raw(settings: &libc::termios) -> bool {
    settings.c_lflag & (libc::ISIG | libc::ICANON) == 0 && settings.c_oflag & libc::OPOST == 0
}
