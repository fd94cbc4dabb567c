//! The coordinator's end of the connection to one node: greets it, refuses another version, counts
//! what is missing, and drops what came twice or from an older start.

use std::time::{Duration, Instant};

use super::carrier::{Arrival, Carrier, Delivery};
use super::lines::shown;
use super::message::{AnyHello, Envelope, Hello, Message, PROTOCOL, Role};

/// Characters of foreign text in a message.
const SHOWN: usize = 120;
/// How long a node that cannot greet may take to say why.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// How the coordinator names itself.
const COORDINATOR: &str = "";

/// Why there is no connection to a node, with the next step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct LinkError {
    /// What happened. No secret.
    pub what: String,
    /// What to do about it.
    pub hint: String,
}

/// What came from a node.
#[derive(Debug)]
pub enum News {
    /// A message.
    Message {
        /// What it says.
        message: Message,
        /// When it came.
        at: Instant,
        /// How many messages before it are missing.
        missing: u64,
    },
    /// A line that is no message, such as what a shell prints; its beginning.
    Unreadable(String),
    /// Nothing more will come.
    Closed,
}

/// The connection to one node that has greeted.
pub struct Link {
    carrier: Box<dyn Carrier>,
    run: String,
    epoch: u32,
    hello: Hello,
    sent: u64,
    heard: u64,
}

impl Link {
    /// Waits until the node greets. Text before that is skipped: a banner, or what a profile prints.
    /// `epoch` says how often the node was started in this run.
    ///
    /// # Errors
    /// It does not greet within `patience`, ends, or is another version or something else.
    pub fn greet(
        mut carrier: Box<dyn Carrier>,
        run: &str,
        epoch: u32,
        role: Role,
        patience: Duration,
    ) -> Result<Self, LinkError> {
        let deadline = Instant::now() + patience;
        let mut banner = String::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(Arrival { delivery, .. }) = carrier.receive(left) else {
                if Instant::now() < deadline {
                    continue;
                }
                let said = join(&banner, &carrier.said());
                let ended = carrier.close(Duration::ZERO);
                drop(ended);
                return Err(silent(patience, &said, role));
            };
            match delivery {
                Delivery::Line(line) => match hello(&line, role)? {
                    Some(hello) => {
                        let run = run.to_owned();
                        return Ok(Self { carrier, run, epoch, hello, sent: 0, heard: 1 });
                    }
                    None => {
                        let text = shown(&line, SHOWN);
                        if !text.is_empty() {
                            banner = text;
                        }
                    }
                },
                Delivery::TooLong => {}
                Delivery::Closed => {
                    let how = carrier.close(LAST_WORDS);
                    return Err(ended(&how, &join(&banner, &carrier.said())));
                }
            }
        }
    }

    /// What the node said of itself.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Sends a message.
    ///
    /// # Errors
    /// Why it cannot be sent, in words.
    pub fn send(&mut self, message: Message) -> Result<(), String> {
        self.sent += 1;
        let envelope = Envelope {
            run: self.run.clone(),
            from: COORDINATOR.to_owned(),
            epoch: self.epoch,
            seq: self.sent,
            message,
        };
        self.carrier.send(envelope.to_line().map_err(|error| error.to_string())?)
    }

    /// What comes next, within `wait`. What came twice, or from another start, is left out.
    pub fn next(&mut self, wait: Duration) -> Option<News> {
        let deadline = Instant::now() + wait;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Arrival { at, delivery } = self.carrier.receive(left)?;
            let line = match delivery {
                Delivery::Closed => return Some(News::Closed),
                Delivery::TooLong => {
                    return Some(News::Unreadable("a line of more than 4 MiB".to_owned()));
                }
                Delivery::Line(line) if line.trim_ascii().is_empty() => continue,
                Delivery::Line(line) => line,
            };
            let Ok(Envelope { run, epoch, seq, message, .. }) = Envelope::of_line(&line) else {
                return Some(News::Unreadable(format!("`{}`", shown(&line, SHOWN))));
            };
            let is_of_this = run.is_empty() || (run == self.run && epoch == self.epoch);
            if !is_of_this || seq <= self.heard {
                continue;
            }
            let missing = seq - self.heard - 1;
            self.heard = seq;
            return Some(News::Message { message, at, missing });
        }
    }

    /// The highest number of a message that came.
    pub fn heard(&self) -> u64 {
        self.heard
    }

    /// What the node printed that is no message; see [`Carrier::said`].
    pub fn said(&self) -> String {
        self.carrier.said()
    }

    /// Lets go of the node, and waits at most `patience` for its end. Returns how it ended.
    pub fn close(&mut self, patience: Duration) -> String {
        self.carrier.close(patience)
    }
}

/// The greeting in a line; `None` if it is something else.
fn hello(line: &[u8], role: Role) -> Result<Option<Hello>, LinkError> {
    let Ok(any) = serde_json::from_slice::<AnyHello>(line) else { return Ok(None) };
    let theirs = any.message.hello;
    let (major, minor) = PROTOCOL;
    let their_major = theirs.protocol.split('.').next().and_then(|major| major.parse().ok());
    if their_major != Some(major) {
        return Err(LinkError {
            what: format!(
                "it runs kneepoint {} with protocol {}, and this is kneepoint {} with protocol \
                 {major}.{minor}",
                shown(theirs.version.as_bytes(), SHOWN),
                shown(theirs.protocol.as_bytes(), SHOWN),
                env!("CARGO_PKG_VERSION"),
            ),
            hint: "install the same version of kneepoint on both".to_owned(),
        });
    }
    let hello = match Envelope::of_line(line).map(|envelope| envelope.message) {
        Ok(Message::Hello(hello)) => hello,
        _ => {
            return Err(LinkError {
                what: format!(
                    "its greeting cannot be read (kneepoint {}, protocol {})",
                    shown(theirs.version.as_bytes(), SHOWN),
                    shown(theirs.protocol.as_bytes(), SHOWN)
                ),
                hint: "install the same version of kneepoint on both".to_owned(),
            });
        }
    };
    if hello.role != role {
        let wanted = command_of(role);
        return Err(LinkError {
            what: format!("it was started as `{}`", shown(theirs.role.as_bytes(), SHOWN)),
            hint: format!("the command must end in `{wanted}`"),
        });
    }
    Ok(Some(hello))
}

fn join(stdout: &str, stderr: &str) -> String {
    match (stdout.is_empty(), stderr.is_empty()) {
        (false, false) => format!("{stdout} / {stderr}"),
        _ => format!("{stdout}{stderr}"),
    }
}

/// How a node of this role is started.
fn command_of(role: Role) -> &'static str {
    match role {
        Role::Agent => "kneepoint agent",
        Role::Generator => "kneepoint generate",
    }
}

/// It runs, and does not greet.
fn silent(patience: Duration, said: &str, role: Role) -> LinkError {
    let secs = patience.as_secs();
    match said {
        "" => LinkError {
            what: format!("it did not greet within {secs} s and printed nothing"),
            hint: "run the command by hand: it must print a line that begins with `{\"run\":`; a \
                   command that waits for a password cannot work, so log in with a key"
                .to_owned(),
        },
        said => LinkError {
            what: format!("it did not greet within {secs} s; it printed: {said}"),
            hint: format!(
                "this is perhaps a shell prompt or a question: the command must end in `{}` and work \
                 without typing anything",
                command_of(role)
            ),
        },
    }
}

/// What is told about words that well-known programs print: what they contain, and what to do.
const KNOWN_WORDS: [(&str, &str); 12] = [
    (
        "command not found",
        "install kneepoint there (one file), or give its full path in the command",
    ),
    (
        "executable file not found",
        "install kneepoint in the container (one file), or give its full path in the command",
    ),
    (
        "No such file or directory",
        "install kneepoint there (one file), or give its full path in the command",
    ),
    (
        "Permission denied",
        "log in with a key: `ssh-copy-id HOST`, and try `ssh -o BatchMode=yes HOST true`; if that \
         works, check that this user may run kneepoint there",
    ),
    ("Host key verification failed", "connect once by hand and accept the key: `ssh HOST true`"),
    ("Could not resolve hostname", "check the name of the host"),
    ("Name or service not known", "check the name of the host"),
    ("Connection refused", "check that sshd runs there, and its port"),
    ("Connection timed out", "check the address of the host, and the firewalls on the way"),
    ("No route to host", "check the address of the host, and the network"),
    ("No such container", "check the name of the container: `docker ps`"),
    ("unrecognized subcommand", "kneepoint is older there: install the same version on both"),
];

/// It ended before it greeted.
fn ended(how: &str, said: &str) -> LinkError {
    let known = KNOWN_WORDS.iter().find(|(words, _)| said.contains(words));
    let hint = known.map_or(
        "run the command by hand: it must print a line that begins with `{\"run\":`",
        |(_, hint)| hint,
    );
    let words = if said.is_empty() { "it printed nothing".to_owned() } else { said.to_owned() };
    LinkError {
        what: format!("it ended before it greeted ({how}): {words}"),
        hint: hint.to_owned(),
    }
}
