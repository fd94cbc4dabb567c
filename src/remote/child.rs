//! A node as a child process: `ssh db1 kneepoint agent`, `docker exec -i shop kneepoint agent`. Lines
//! go through its standard input and output.
//!
//! The child gets a session of its own. Ctrl-C at the terminal is for kneepoint, which ends its nodes
//! itself; and without a terminal `ssh` cannot wait for a password that nobody will type.

use std::io::{BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::carrier::{Arrival, Carrier, Delivery, Keeping};
use super::lines::{Line, read_line, shown};
use super::message::MAX_LINE;
use crate::timeline::mask_secrets;

/// Lines to the node that may wait. A node that does not take so many is stuck.
const WAITING_OUT: usize = 256;
/// Lines from the node that may wait. Then its pipe fills, and it keeps what it has.
const WAITING_IN: usize = 1024;
/// Lines of foreign text to keep, and characters of each, for a message.
const KEPT_LINES: usize = 4;
const KEPT_CHARACTERS: usize = 160;
/// How long the last words of a child may take to be read once it has ended.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// Between two looks at a child that ends.
const LOOK: Duration = Duration::from_millis(5);

/// A child process that carries lines. It is ended with this value.
pub struct ChildProcess {
    child: Child,
    to_child: Option<SyncSender<Vec<u8>>>,
    arrivals: Receiver<Arrival>,
    said: Arc<Mutex<Said>>,
    errors: Option<JoinHandle<()>>,
    ended: Option<ExitStatus>,
}

/// What a child printed that is no line of the protocol.
#[derive(Default)]
struct Said {
    /// The latest whole lines of its standard error.
    errors: Vec<String>,
    /// What stands on its standard output without the end of a line, such as a prompt.
    begun: String,
}

impl ChildProcess {
    /// Starts `command`: a program and its arguments.
    ///
    /// # Errors
    /// Why it cannot be started, in words.
    pub fn start(command: &[String]) -> Result<Self, String> {
        let (program, arguments) = command.split_first().ok_or("the command is empty")?;
        let mut process = Command::new(program);
        process.args(arguments);
        process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // SAFETY: setsid is async-signal-safe and allocates nothing.
        unsafe {
            process.pre_exec(|| match libc::setsid() {
                -1 => Err(std::io::Error::last_os_error()),
                _ => Ok(()),
            });
        }
        let mut child =
            process.spawn().map_err(|error| format!("cannot start `{program}`: {error}"))?;
        let said = Arc::new(Mutex::new(Said::default()));
        let (sender, arrivals) = sync_channel(WAITING_IN);
        let (to_child, from_here) = sync_channel::<Vec<u8>>(WAITING_OUT);
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let started = (|| {
            let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
                return Err(std::io::Error::other("it has no pipes"));
            };
            spawn("kp-node-in", move || write_lines(stdin, &from_here))?;
            let begun = Arc::clone(&said);
            spawn("kp-node-out", move || read_lines(stdout, &sender, &begun))?;
            let errors = Arc::clone(&said);
            spawn("kp-node-err", move || keep_errors(stderr, &errors))
        })();
        let mut carrier =
            Self { child, to_child: Some(to_child), arrivals, said, errors: None, ended: None };
        match started {
            Ok(errors) => {
                carrier.errors = Some(errors);
                Ok(carrier)
            }
            Err(error) => {
                carrier.end(Duration::ZERO);
                Err(format!("cannot start a thread for `{program}`: {error}"))
            }
        }
    }

    fn end(&mut self, patience: Duration) {
        // Closes its standard input, which is how a node is told that nobody is there any more.
        self.to_child = None;
        let deadline = Instant::now() + patience;
        while self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
            if self.ended.is_some() || Instant::now() >= deadline {
                break;
            }
            thread::sleep(LOOK);
        }
        if self.ended.is_none() {
            if let Ok(group) = libc::pid_t::try_from(self.child.id()) {
                // SAFETY: the child made this group and is not yet waited for, so it is its own.
                unsafe { libc::kill(-group, libc::SIGKILL) };
            }
            self.ended = self.child.wait().ok();
        }
        // What it said last may not be read yet. A grandchild may keep the pipe open.
        let deadline = Instant::now() + patience.min(LAST_WORDS);
        let is_reading = |errors: &JoinHandle<()>| !errors.is_finished();
        while self.errors.as_ref().is_some_and(is_reading) && Instant::now() < deadline {
            thread::sleep(LOOK);
        }
    }
}

impl Carrier for ChildProcess {
    fn send(&mut self, line: Vec<u8>, _keeping: Keeping) -> Result<(), String> {
        let to_child = self.to_child.as_ref().ok_or("it was closed")?;
        to_child.try_send(line).map_err(|error| match error {
            TrySendError::Full(_) => "it takes nothing any more".to_owned(),
            TrySendError::Disconnected(_) => "it has closed its input".to_owned(),
        })
    }

    fn receive(&mut self, wait: Duration) -> Option<Arrival> {
        match self.arrivals.recv_timeout(wait) {
            Ok(arrival) => Some(arrival),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                thread::sleep(wait);
                None
            }
        }
    }

    fn said(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = shown(said.begun.as_bytes(), KEPT_CHARACTERS);
        let parts = said.errors.iter().cloned().chain((!begun.is_empty()).then_some(begun));
        mask_secrets(&parts.collect::<Vec<_>>().join(" / "))
    }

    fn close(&mut self, patience: Duration) -> String {
        self.end(patience);
        match self.ended {
            Some(status) => status.to_string(),
            None => "it cannot be waited for".to_owned(),
        }
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    // A thread ends with its pipe.
    thread::Builder::new().name(name.to_owned()).spawn(body)
}

/// Writes what is sent until the sender or the child is gone; then closes the pipe.
fn write_lines(mut stdin: ChildStdin, lines: &Receiver<Vec<u8>>) {
    while let Ok(line) = lines.recv() {
        if stdin.write_all(&line).and_then(|()| stdin.flush()).is_err() {
            return;
        }
    }
}

fn read_lines(stdout: impl Read, arrivals: &SyncSender<Arrival>, said: &Mutex<Said>) {
    let mut stdout = BufReader::with_capacity(64 << 10, stdout);
    loop {
        let begun = |line: &[u8]| {
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            said.begun = shown(line, KEPT_CHARACTERS);
        };
        let line = read_line(&mut stdout, MAX_LINE, begun);
        let at = Instant::now();
        let delivery = match line {
            Ok(Line::Whole(line)) => Delivery::Line(line),
            Ok(Line::TooLong) => Delivery::TooLong,
            Ok(Line::End) | Err(_) => Delivery::Closed,
        };
        let is_last = matches!(delivery, Delivery::Closed);
        if !is_last {
            said.lock().unwrap_or_else(PoisonError::into_inner).begun.clear();
        }
        if arrivals.send(Arrival { at, delivery }).is_err() || is_last {
            return;
        }
    }
}

/// Keeps the latest lines of the standard error.
fn keep_errors(stderr: impl Read, said: &Mutex<Said>) {
    let mut stderr = BufReader::new(stderr);
    let mut torn = String::new();
    loop {
        let line = read_line(&mut stderr, MAX_LINE, |begun| torn = shown(begun, KEPT_CHARACTERS));
        let (text, is_last) = match line {
            Ok(Line::Whole(line)) => (shown(&line, KEPT_CHARACTERS), false),
            Ok(Line::TooLong) => (String::new(), false),
            Ok(Line::End) | Err(_) => (std::mem::take(&mut torn), true),
        };
        torn.clear();
        if !text.is_empty() {
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            if said.errors.len() >= KEPT_LINES {
                said.errors.remove(0);
            }
            said.errors.push(text);
        }
        if is_last {
            return;
        }
    }
}
