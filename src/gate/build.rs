//! A build that a command of the user starts: waited for, and ended with all its children.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::order::Side;
use crate::plan::Target;

/// How often a starting or ending build is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How long one look at the target may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long a build that was told to end may take before it is killed.
const END_WITHIN: Duration = Duration::from_secs(10);
/// Lines of a build's output that an error shows.
const LINES_SHOWN: usize = 8;
/// How much of the end of a build's output is read for them.
const TAIL_BYTES: usize = 8 * 1024;

/// Where a build listens, as far as it has to be known that it does.
#[derive(Clone, Debug)]
pub enum Place {
    /// A host and port; a plain HTTP server is asked for its root.
    Port {
        /// Host and port.
        authority: String,
        /// Whether it speaks HTTP without TLS.
        is_plain: bool,
    },
    /// A UNIX socket.
    Socket(PathBuf),
}

/// A build that runs. It ends when this is dropped.
#[derive(Debug)]
pub struct Build {
    child: Child,
    /// Ends the build where kneepoint cannot do it any more.
    guard: Child,
    place: Place,
}

/// A build that cannot be measured.
#[derive(Debug, Error)]
pub enum BuildError {
    /// Somebody else has its port.
    #[error("something already answers at `{0}`, so the build cannot listen there")]
    Taken(String),
    /// The shell does not start.
    #[error("the {side} does not start: {error}")]
    Start {
        /// Which build.
        side: Side,
        /// What the system says.
        error: io::Error,
    },
    /// It ended before it answered.
    #[error("the {side} ended before it answered ({status}){output}")]
    Ended {
        /// Which build.
        side: Side,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its output, each on a line of its own.
        output: String,
    },
    /// It does not answer.
    #[error("the {side} does not answer at `{place}` within {} s{output}", within.as_secs())]
    Silent {
        /// Which build.
        side: Side,
        /// Where it should.
        place: String,
        /// How long it had.
        within: Duration,
        /// The last lines of its output.
        output: String,
    },
    /// The user ended it.
    #[error("interrupted while the {0} was starting")]
    Interrupted(Side),
}

/// What a build needs to start.
pub struct Start<'a> {
    /// Which build it is.
    pub side: Side,
    /// A line for the shell.
    pub command: &'a str,
    /// Where what it prints goes.
    pub log: &'a Path,
    /// How long it may take to answer.
    pub within: Duration,
    /// Set to give up.
    pub interrupt: &'a AtomicBool,
}

impl Place {
    /// Where a target listens.
    pub fn of(target: &Target) -> Self {
        match &target.unix_socket {
            Some(path) => Self::Socket(path.into()),
            None => Self::Port { authority: target.url.with_port(), is_plain: !target.url.https },
        }
    }

    /// Whether somebody takes connections there.
    fn is_taken(&self) -> bool {
        match self {
            Place::Socket(path) => UnixStream::connect(path).is_ok(),
            Place::Port { authority, .. } => connect(authority).is_ok(),
        }
    }

    /// Whether a server is ready: it answers, and not with an error of its own.
    fn is_ready(&self) -> bool {
        match self {
            Place::Port { authority, is_plain: true } => is_answered(authority).unwrap_or(false),
            other => other.is_taken(),
        }
    }

    fn told(&self) -> String {
        match self {
            Place::Port { authority, .. } => authority.clone(),
            Place::Socket(path) => path.display().to_string(),
        }
    }
}

impl Build {
    /// Starts a build and waits until it answers.
    ///
    /// # Errors
    /// It cannot be measured; nothing of it runs any more.
    pub fn start(place: &Place, start: &Start<'_>) -> Result<Self, BuildError> {
        if place.is_taken() {
            return Err(BuildError::Taken(place.told()));
        }
        let side = start.side;
        let failed = |error| BuildError::Start { side, error };
        let log = File::create(start.log).map_err(failed)?;
        let child = Command::new("sh")
            .args(["-c", start.command])
            .env("KNEEPOINT_BUILD", side.to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log)
            // Its children end with it, and Ctrl-C reaches kneepoint alone.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let guard = guard(child.id());
        let mut build = match guard {
            Ok(guard) => Self { child, guard, place: place.clone() },
            Err(error) => {
                signal(child.id(), libc::SIGKILL);
                return Err(failed(error));
            }
        };
        build.wait(start)?;
        Ok(build)
    }

    fn wait(&mut self, start: &Start<'_>) -> Result<(), BuildError> {
        let Start { side, within, .. } = *start;
        let begun = Instant::now();
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                let output = last_lines(start.log);
                return Err(BuildError::Ended { side, status, output });
            }
            if self.place.is_ready() {
                return Ok(());
            }
            if start.interrupt.load(Ordering::Relaxed) {
                return Err(BuildError::Interrupted(side));
            }
            // One that listens and answers with errors is for the preflight to judge.
            if begun.elapsed() > within {
                let (place, output) = (self.place.told(), last_lines(start.log));
                return match self.place.is_taken() {
                    true => Ok(()),
                    false => Err(BuildError::Silent { side, place, within, output }),
                };
            }
            thread::sleep(LOOK);
        }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Build {
    /// Ends it, so that the next build finds its port free.
    fn drop(&mut self) {
        // It must not meet another group of this number later.
        let _is_over = self.guard.kill().is_ok() && self.guard.wait().is_ok();
        signal(self.child.id(), libc::SIGTERM);
        let begun = Instant::now();
        let mut is_over = false;
        while begun.elapsed() < END_WITHIN {
            is_over = is_over || !self.is_running();
            if is_over && !self.place.is_taken() {
                break;
            }
            thread::sleep(LOOK);
        }
        signal(self.child.id(), libc::SIGKILL);
        let _waited_for = self.child.wait().is_ok();
    }
}

/// A process that ends the group of a build once kneepoint is gone, however it went: it waits for
/// the end of a pipe that only kneepoint holds open.
fn guard(group: u32) -> io::Result<Child> {
    let script = format!("read -r _; kill -s TERM -- -{group}; sleep 2; kill -s KILL -- -{group}");
    Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

/// Sends a signal to the group of a build.
fn signal(group: u32, signal: libc::c_int) {
    let Ok(group) = libc::pid_t::try_from(group) else { return };
    // SAFETY: sending a signal touches no memory, and to a group that is gone it does nothing.
    unsafe {
        libc::kill(-group, signal);
    }
}

fn connect(authority: &str) -> io::Result<TcpStream> {
    let mut refusal = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in authority.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, ANSWER_WITHIN) {
            Ok(stream) => return Ok(stream),
            Err(error) => refusal = error,
        }
    }
    Err(refusal)
}

/// Whether a server gives an answer to `GET /` that is not an error of the server.
fn is_answered(authority: &str) -> io::Result<bool> {
    let mut stream = connect(authority)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.set_write_timeout(Some(ANSWER_WITHIN))?;
    let request = format!("GET / HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut status = [0; "HTTP/1.1 200".len()];
    stream.read_exact(&mut status)?;
    let is_error = status.get(9) == Some(&b'5');
    Ok(status.starts_with(b"HTTP/") && !is_error)
}

/// The last lines of a file, each on a line of its own with an indent.
fn last_lines(path: &Path) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let tail = &text[text.len().saturating_sub(TAIL_BYTES)..];
    let tail = String::from_utf8_lossy(tail);
    let lines: Vec<&str> = tail.lines().filter(|line| !line.trim().is_empty()).collect();
    let shown = lines.iter().skip(lines.len().saturating_sub(LINES_SHOWN));
    let shown: Vec<String> = shown.map(|line| format!("\n    {line}")).collect();
    match shown.is_empty() {
        true => format!("; it printed nothing into `{}`", path.display()),
        false => format!("; the end of `{}`:{}", path.display(), shown.concat()),
    }
}
