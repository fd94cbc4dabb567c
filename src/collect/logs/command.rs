//! Follows the output of a command: `journalctl -f`, `docker logs -f`. Only these are started, and
//! only where the plan asks for them.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::split::Lines;
use crate::collect::OpenError;

/// Bytes that may wait for the next look. Lines beyond that are only counted.
const MOST_WAITING: usize = 8 << 20;
/// Longest line that is kept.
const MOST_LINE: u64 = 16 << 10;
/// Bytes of output that are read at once.
const OUTPUT_BUFFER: usize = 64 << 10;
/// How long a command that cannot work takes to end.
const TRIAL: Duration = Duration::from_millis(700);
/// Pauses before an ended command is started again: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Lines of a running command that wait for the next look.
#[derive(Default)]
struct Waiting {
    /// Whole lines, each with its end.
    lines: Vec<u8>,
    /// Lines that found no room.
    beyond: u64,
}

/// A command whose output is followed. It is ended with this value.
pub(super) struct FollowedCommand {
    program: &'static str,
    arguments: Vec<String>,
    child: Option<Child>,
    waiting: Arc<Mutex<Waiting>>,
    /// When it is started again, and the pause after that.
    again: Option<Instant>,
    pause: Duration,
}

impl FollowedCommand {
    /// The journal of a unit.
    ///
    /// # Errors
    /// If `journalctl` cannot be started, or ends at once.
    pub(super) fn journal(unit: &str) -> Result<Self, OpenError> {
        let unit = format!("--unit={}", named("journal", unit)?);
        let fixed = ["--follow", "--lines=0", "--output=cat", "--quiet"];
        let arguments = fixed.iter().map(|text| (*text).to_owned()).chain([unit]).collect();
        Self::start("journalctl", arguments)
    }

    /// The output of a container.
    ///
    /// # Errors
    /// If `docker` cannot be started, or ends at once.
    pub(super) fn docker(container: &str) -> Result<Self, OpenError> {
        let container = named("docker", container)?.to_owned();
        let fixed = ["logs", "--follow", "--tail=0"];
        let arguments = fixed.iter().map(|text| (*text).to_owned()).chain([container]).collect();
        Self::start("docker", arguments)
    }

    fn start(program: &'static str, arguments: Vec<String>) -> Result<Self, OpenError> {
        let mut command = Self {
            program,
            arguments,
            child: None,
            waiting: Arc::default(),
            again: None,
            pause: PAUSES.0,
        };
        let fail = |why: String| {
            OpenError::new(
                format!("cannot follow `{program} {}`: {why}", command_line(&command.arguments)),
                "check the name, and that this user may run the command; or follow the log as a \
                 file with `files` in [collect.logs]",
            )
        };
        let waiting = Arc::default();
        let mut child = launch(program, &command.arguments, &waiting)
            .map_err(|error| fail(error.to_string()))?;
        let end = Instant::now() + TRIAL;
        while Instant::now() < end {
            match child.try_wait() {
                Ok(None) => thread::sleep(Duration::from_millis(20)),
                Ok(Some(status)) => {
                    // Its readers may still be at its last words.
                    thread::sleep(Duration::from_millis(50));
                    let said = first_line(&waiting);
                    return Err(fail(said.unwrap_or_else(|| format!("it ended with {status}"))));
                }
                Err(error) => return Err(fail(error.to_string())),
            }
        }
        command.child = Some(child);
        command.waiting = waiting;
        Ok(command)
    }

    /// Takes what has come. Returns what a reader should know: that it ended, or runs again.
    pub(super) fn read(&mut self, lines: &mut Lines<impl FnMut(&[u8])>) -> Option<String> {
        let Waiting { lines: text, beyond } =
            std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        text.split(|byte| *byte == b'\n').for_each(|line| lines.line(line));
        let lost = (beyond > 0).then(|| format!("{beyond} lines came too fast and were left out"));
        let ended = match self.child.as_mut().map(Child::try_wait) {
            Some(Ok(Some(status))) => Some(status),
            _ => None,
        };
        if let Some(status) = ended {
            self.child = None;
            self.again = Some(Instant::now() + self.pause);
            self.pause = (self.pause * 2).min(PAUSES.1);
            return Some(format!("`{}` ended ({status}); it is started again", self.program));
        }
        if self.again.is_some_and(|again| again <= Instant::now()) {
            self.again = None;
            match launch(self.program, &self.arguments, &self.waiting) {
                Ok(child) => self.child = Some(child),
                Err(error) => {
                    self.again = Some(Instant::now() + self.pause);
                    self.pause = (self.pause * 2).min(PAUSES.1);
                    return Some(format!("`{}` cannot be started: {error}", self.program));
                }
            }
        }
        lost
    }
}

impl Drop for FollowedCommand {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It fails only if the child has ended.
            let _ended = child.kill().is_err();
            let _reaped = child.wait().is_err();
        }
    }
}

/// A name that the command cannot take for an option.
fn named<'n>(option: &str, name: &'n str) -> Result<&'n str, OpenError> {
    if name.is_empty() || name.starts_with('-') {
        return Err(OpenError::new(
            format!("`{option} = \"{name}\"` is not a valid name"),
            "give the name of a unit (`journal`) or of a container (`docker`)",
        ));
    }
    Ok(name)
}

fn command_line(arguments: &[String]) -> String {
    arguments.join(" ")
}

/// Starts a command, with a thread for each of its outputs.
fn launch(program: &str, arguments: &[String], waiting: &Arc<Mutex<Waiting>>) -> io::Result<Child> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (sender, started) = mpsc::sync_channel(1);
    let kept = Arc::clone(waiting);
    // The kernel ends the command with the thread that started it. This one lives as long as the
    // command's output; the one that asks for it may end at once.
    spawn_reader(move || {
        let mut child = match ending_with_its_thread(&mut command).spawn() {
            Ok(child) => child,
            Err(error) => {
                let _gone = sender.send(Err(error)).is_err();
                return;
            }
        };
        let output = child.stdout.take();
        if sender.send(Ok(child)).is_ok()
            && let Some(output) = output
        {
            keep_lines(BufReader::with_capacity(OUTPUT_BUFFER, output), &kept);
        }
    })?;
    let no_answer = |_| Err(io::Error::other("the thread that starts it ended"));
    let mut child = started.recv().unwrap_or_else(no_answer)?;
    if let Some(errors) = child.stderr.take() {
        let waiting = Arc::clone(waiting);
        spawn_reader(move || {
            keep_lines(BufReader::with_capacity(OUTPUT_BUFFER, errors), &waiting);
        })?;
    }
    Ok(child)
}

/// Starts a thread. It ends with the command, which closes the pipe.
fn spawn_reader(body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name("kp-logs-command".to_owned()).spawn(body).map(drop)
}

/// Has the kernel kill the command when the thread that starts it ends, so that nothing stays where
/// kneepoint is killed: such a command notices that nobody reads only when it writes its next line.
fn ending_with_its_thread(command: &mut Command) -> &mut Command {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::process::CommandExt;
        let parent = std::process::id();
        // SAFETY: prctl and getppid are async-signal-safe and allocate nothing.
        unsafe {
            command.pre_exec(move || {
                if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == -1 {
                    return Err(io::Error::last_os_error());
                }
                // Kneepoint may have ended before the setting took effect.
                if libc::getppid().cast_unsigned() != parent {
                    return Err(io::Error::from(io::ErrorKind::NotConnected));
                }
                Ok(())
            });
        }
    }
    command
}

fn keep_lines(mut output: impl BufRead, waiting: &Mutex<Waiting>) {
    let mut line = Vec::new();
    loop {
        line.clear();
        match output.by_ref().take(MOST_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        if !line.ends_with(b"\n") {
            line.push(b'\n');
            // The rest of a line that is too long, or the end of the output.
            if output.skip_until(b'\n').is_err() {
                return;
            }
        }
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match waiting.lines.len() + line.len() <= MOST_WAITING {
            true => waiting.lines.extend_from_slice(&line),
            false => waiting.beyond += 1,
        }
    }
}

/// The first line that a command said, for a message.
fn first_line(waiting: &Mutex<Waiting>) -> Option<String> {
    let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    let text = String::from_utf8_lossy(&waiting.lines);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(crate::timeline::mask_secrets(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Result<FollowedCommand, OpenError> {
        FollowedCommand::start("sh", vec!["-c".to_owned(), script.to_owned()])
    }

    /// Looks until `enough` lines have come.
    fn lines(command: &mut FollowedCommand, enough: usize) -> (Vec<String>, Vec<String>) {
        let (mut seen, mut news) = (Vec::new(), Vec::new());
        let end = Instant::now() + Duration::from_secs(20);
        while seen.len() < enough && Instant::now() < end {
            news.extend(command.read(&mut Lines::new(|line: &[u8]| {
                seen.push(String::from_utf8_lossy(line).into_owned());
            })));
            thread::sleep(Duration::from_millis(10));
        }
        seen.sort_unstable();
        (seen, news)
    }

    #[test]
    fn both_outputs_of_a_command_are_followed_and_it_is_started_again() {
        let script = "sleep 1; echo out; echo err >&2; exit 3";
        let mut command = shell(script).unwrap();
        let (seen, news) = lines(&mut command, 4);
        assert_eq!(seen, ["err", "err", "out", "out"]);
        assert!(news.iter().any(|news| news.contains("ended") && news.contains('3')), "{news:?}");
    }

    /// Collectors are opened on a thread that ends at once, and then the command goes on.
    #[test]
    fn a_command_outlives_the_thread_that_asked_for_it() {
        let script = "sleep 2; echo late; exec sleep 60";
        let mut command = thread::spawn(|| shell(script)).join().unwrap().unwrap();
        let (seen, news) = lines(&mut command, 1);
        assert_eq!((seen, news), (vec!["late".to_owned()], Vec::new()));
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_one_is_whole() {
        let script = "sleep 1; head -c 100000 /dev/zero | tr '\\0' x; echo; echo next; sleep 60";
        let mut command = shell(script).unwrap();
        let (seen, _) = lines(&mut command, 2);
        assert_eq!(seen[0], "next");
        assert!(seen[1].len() as u64 <= MOST_LINE);
    }

    #[test]
    fn what_cannot_be_followed_is_refused_with_its_own_words() {
        let Err(error) = shell("echo 'no such container' >&2; exit 1") else { panic!() };
        assert!(error.what.contains("no such container"), "{error}");
        assert!(FollowedCommand::docker("--help").is_err());
        assert!(FollowedCommand::journal("").is_err());
    }
}
