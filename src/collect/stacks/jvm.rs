//! Thread dumps of JVMs by the attach protocol of HotSpot, as `jstack` takes them. The application
//! needs no change and no agent is loaded.
//!
//! The JVM opens a socket for this when it gets SIGQUIT while a file `.attach_pidPID` exists in its
//! working directory or `/tmp`. A process that does not handle SIGQUIT would die of it, so the
//! signal is sent only where the kernel says that it is handled. A dump stops all threads, so none
//! is taken while the garbage collector has stopped them anyway.
//!
//! Threads in native code count as running: a few well-known calls that wait are recognised by
//! name. The processor time of each thread stands in the dump since JDK 11; older versions show
//! where threads stand, but not what uses the processor.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, fchown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::RuntimeSpec;
use super::dump_text::parse;
use super::stack::Dump;
use crate::collect::proc::Text;
use crate::collect::proc::hsperf;
use crate::collect::proc::pid::parse_status;

pub(super) static SPEC: RuntimeSpec =
    RuntimeSpec { name: "jvm", thing: "threads", open: |_| Ok(Some(Box::new(Jvm::default()))) };

/// The command for a thread dump: version, name and three empty arguments.
const COMMAND: &[u8] = b"1\0threaddump\0\0\0\0";
/// How long a JVM may take to open its socket, and then to send a dump.
const LIMIT: Duration = Duration::from_secs(2);
const OPENED_AFTER: Duration = Duration::from_millis(20);
/// Largest dump that is read.
const MOST_BYTES: u64 = 16 << 20;
/// Bit of SIGQUIT in the masks of `/proc/PID/status`.
const SIGQUIT_BIT: u64 = 1 << (libc::SIGQUIT - 1);

#[derive(Default)]
struct Jvm {
    text: Text,
    /// Whether a process is a JVM, by its id.
    known: HashMap<u32, bool>,
    /// Processor seconds of each thread at the last dump, and when that was.
    before: HashMap<u32, (Instant, HashMap<String, f64>)>,
}

impl super::Runtime for Jvm {
    fn runs_in(&mut self, pid: u32) -> bool {
        if self.known.len() > super::MOST_KNOWN {
            self.known.clear();
        }
        let text = &mut self.text;
        *self.known.entry(pid).or_insert_with(|| {
            let maps = text.read(&format!("/proc/{pid}/maps"));
            maps.is_ok_and(|maps| maps.lines().any(|line| line.ends_with("/libjvm.so")))
        })
    }

    fn look(&mut self, pids: &[u32]) -> Vec<Result<Dump, String>> {
        pids.iter().map(|pid| self.dump(*pid)).collect()
    }
}

impl Jvm {
    fn dump(&mut self, pid: u32) -> Result<Dump, String> {
        let process = Process::new(&mut self.text, pid)?;
        if process.is_collecting(&mut self.text) {
            return Err(format!("the JVM with pid {pid} is collecting garbage"));
        }
        let begin = Instant::now();
        let text = process.thread_dump()?;
        let took = begin.elapsed();
        let mut parsed = parse(&text);
        let now = (Instant::now(), std::mem::take(&mut parsed.cpu_seconds));
        let before = self.before.insert(pid, now.clone());
        let mut dump = Dump { pause: took.as_secs_f64(), ..Dump::default() };
        if let Some((at, before)) = before {
            let seconds = now.0.duration_since(at).as_secs_f64().max(1e-3);
            for (name, index) in &parsed.running {
                let used =
                    now.1.get(name).zip(before.get(name)).map_or(0.0, |(now, old)| now - old);
                let frames = parsed.threads.get(*index).map(|thread| thread.frames.clone());
                if let Some(frames) = frames.filter(|_| used > 0.0) {
                    dump.cpu.push((frames, used / seconds));
                }
            }
        }
        dump.threads = parsed.threads;
        Ok(dump)
    }
}

/// A JVM, as it looks from outside of its containers.
struct Process {
    pid: u32,
    /// Its id in its own namespace, which its files carry.
    own_pid: String,
    uid: u32,
    handles_quit: bool,
}

impl Process {
    fn new(text: &mut Text, pid: u32) -> Result<Process, String> {
        let status = text
            .read(&format!("/proc/{pid}/status"))
            .map_err(|error| format!("the JVM with pid {pid} has ended ({error})"))?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        let own = field("NSpid:").and_then(|ids| ids.split_whitespace().last());
        let caught = field("SigCgt:").and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        Ok(Process {
            pid,
            own_pid: own.map_or_else(|| pid.to_string(), str::to_owned),
            uid: parse_status(&status).uid.unwrap_or(0),
            handles_quit: caught.is_some_and(|mask| mask & SIGQUIT_BIT != 0),
        })
    }

    fn is_collecting(&self, text: &mut Text) -> bool {
        let counters = hsperf::of_process(text, self.pid);
        counters.is_some_and(|counters| hsperf::is_collecting(&counters))
    }

    /// The JVM's own `/tmp`. A link there could lead anywhere outside of its container.
    fn temporary(&self) -> Result<PathBuf, String> {
        let path = PathBuf::from(format!("/proc/{}/root/tmp", self.pid));
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => Ok(path),
            Ok(_) => Err(format!("`{}` is not a directory", path.display())),
            Err(error) => Err(format!("cannot read `{}`: {error}", path.display())),
        }
    }

    fn thread_dump(&self) -> Result<String, String> {
        let socket = self.temporary()?.join(format!(".java_pid{}", self.own_pid));
        if !is_socket(&socket) {
            self.ask_for_socket(&socket)?;
        }
        let fail = |error: io::Error| {
            format!("no thread dump from the JVM with pid {}: {error}", self.pid)
        };
        let mut stream = UnixStream::connect(&socket).map_err(fail)?;
        stream.set_read_timeout(Some(LIMIT)).map_err(fail)?;
        stream.set_write_timeout(Some(LIMIT)).map_err(fail)?;
        stream.write_all(COMMAND).map_err(fail)?;
        let deadline = Instant::now() + LIMIT;
        let (mut answer, mut part) = (Vec::new(), vec![0; 1 << 16]);
        loop {
            let length = stream.read(&mut part).map_err(fail)?;
            if length == 0 {
                break;
            }
            answer.extend_from_slice(&part[..length]);
            if answer.len() as u64 > MOST_BYTES || Instant::now() > deadline {
                return Err(format!("the thread dump of pid {} is too long", self.pid));
            }
        }
        let answer = String::from_utf8_lossy(&answer);
        match answer.split_once('\n') {
            Some(("0", dump)) => Ok(dump.to_owned()),
            _ => Err(format!("the JVM with pid {} refused a thread dump", self.pid)),
        }
    }

    /// Makes the JVM open its socket.
    fn ask_for_socket(&self, socket: &Path) -> Result<(), String> {
        let pid = self.pid;
        if !self.handles_quit {
            return Err(format!("the JVM with pid {pid} takes no SIGQUIT (started with -Xrs?)"));
        }
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if command.split(|byte| *byte == 0).any(|word| word == b"-XX:+DisableAttachMechanism") {
            return Err(format!("the JVM with pid {pid} was started with DisableAttachMechanism"));
        }
        let name = format!(".attach_pid{}", self.own_pid);
        let places = [PathBuf::from(format!("/proc/{pid}/cwd")), self.temporary()?];
        let made = places.iter().find_map(|place| self.make_file(&place.join(&name)).ok());
        let file = made.ok_or_else(|| {
            format!("cannot write to the working directory or /tmp of the JVM with pid {pid}")
        })?;
        let asked = signal_quit(pid).and_then(|()| wait_for(socket));
        // The JVM does not need the file any more; a leftover is harmless.
        let _removed = fs::remove_file(&file).is_ok();
        asked.map_err(|error| format!("the JVM with pid {pid} does not let us attach: {error}"))
    }

    /// The file that tells the JVM that SIGQUIT means an attachment. It must belong to its user.
    fn make_file(&self, path: &Path) -> io::Result<PathBuf> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        match options.open(path) {
            Ok(file) => fchown(&file, Some(self.uid), None)?,
            // Left over from another attachment to this very process.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        Ok(path.to_owned())
    }
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket())
}

fn signal_quit(pid: u32) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: no pointers are involved.
    match unsafe { libc::kill(pid, libc::SIGQUIT) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn wait_for(socket: &Path) -> io::Result<()> {
    let deadline = Instant::now() + LIMIT;
    while !is_socket(socket) {
        if Instant::now() > deadline {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it opened no socket"));
        }
        std::thread::sleep(OPENED_AFTER);
    }
    Ok(())
}
