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
        let keeping = message.keeping();
        let envelope = Envelope {
            run: self.run.clone(),
            from: COORDINATOR.to_owned(),
            epoch: self.epoch,
            seq: self.sent,
            message,
        };
        self.carrier.send(envelope.to_line().map_err(|error| error.to_string())?, keeping)
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
const KNOWN_WORDS: [(&str, &str); 13] = [
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
    ("(NotFound)", "check the name and the namespace: `kubectl get pods`"),
    ("not found", "install kneepoint there (one file), or give its full path in the command"),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::child::ChildProcess;
    use crate::remote::message::PongMessage;

    fn greet(script: &str, patience: Duration) -> Result<Link, LinkError> {
        let words = ["sh", "-c", script].map(str::to_owned);
        let carrier = ChildProcess::start(&words).unwrap();
        Link::greet(Box::new(carrier), "r", 2, Role::Agent, patience)
    }

    fn line(run: &str, epoch: u32, seq: u64, message: &str) -> String {
        let place = r#""run":"RUN","from":"db1","epoch":EPOCH,"seq":SEQ"#.replace("RUN", run);
        let place = place.replace("EPOCH", &epoch.to_string()).replace("SEQ", &seq.to_string());
        format!("{{{place},\"message\":{message}}}")
    }

    fn hello(protocol: &str, role: &str) -> String {
        let hello = format!(
            r#"{{"hello":{{"protocol":"{protocol}","version":"9.8.7","role":"{role}","new":1}}}}"#
        );
        line("", 0, 1, &hello)
    }

    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(300);

    #[test]
    fn text_around_the_greeting_is_skipped_and_what_came_twice_is_left_out() {
        let pong = |run: &str, epoch, seq| {
            line(run, epoch, seq, r#"{"pong":{"sent":5,"received":6,"replied":7}}"#)
        };
        let lines = [
            "Welcome!".to_owned(),
            r#"{"motd":"a line of JSON"}"#.to_owned(),
            hello("1.9", "agent"),
            pong("r", 2, 2),
            pong("r", 2, 2),
            pong("r", 1, 3),
            pong("of another run", 2, 3),
            String::new(),
            "not a message".to_owned(),
            pong("r", 2, 5),
        ];
        let script = format!("cat <<'END'\n{}\nEND", lines.join("\n"));
        let mut link = greet(&script, LONG).unwrap();
        assert_eq!(link.hello().version, "9.8.7");
        let mut seen = Vec::new();
        loop {
            match link.next(LONG).unwrap() {
                News::Message {
                    message: Message::Pong(PongMessage { sent: 5, .. }),
                    missing,
                    ..
                } => {
                    seen.push(format!("pong after {missing}"));
                }
                News::Message { message, .. } => panic!("{message:?}"),
                News::Unreadable(what) => seen.push(what),
                News::Closed => break,
            }
        }
        assert_eq!(seen, ["pong after 0", "`not a message`", "pong after 2"]);
        assert_eq!(link.heard(), 5);
    }

    #[test]
    fn another_version_or_role_is_refused_with_both() {
        let error =
            greet(&format!("echo '{}'; sleep 60", hello("2.0", "agent")), LONG).err().unwrap();
        for part in ["kneepoint 9.8.7 with protocol 2.0", "with protocol 1.1"] {
            assert!(error.what.contains(part), "{error}");
        }
        let error =
            greet(&format!("echo '{}'; sleep 60", hello("1.0", "cook")), LONG).err().unwrap();
        assert!(error.what.contains("cannot be read"), "{error}");
        let other = greet(&format!("echo '{}'; sleep 60", hello("1.0", "generator")), LONG);
        assert!(other.err().unwrap().hint.contains("kneepoint agent"));
    }

    #[test]
    fn who_does_not_greet_is_told_with_what_it_printed() {
        let silent = greet("exec sleep 60", SHORT).err().unwrap();
        assert!(silent.what.contains("printed nothing"), "{silent}");
        let prompt = greet("printf 'db1:~$ '; exec sleep 60", SHORT).err().unwrap();
        assert!(prompt.what.ends_with("it printed: db1:~$"), "{prompt}");
        assert!(prompt.hint.contains("kneepoint agent"), "{}", prompt.hint);
        let denied =
            greet("echo 'Permission denied (publickey).' >&2; exit 255", LONG).err().unwrap();
        assert!(denied.what.contains("exit status: 255"), "{denied}");
        assert!(denied.hint.contains("ssh-copy-id"), "{}", denied.hint);
        let secret =
            greet("echo 'login failed: password=hunter2' >&2; exit 1", LONG).err().unwrap();
        assert!(!secret.what.contains("hunter2"), "{secret}");
        assert!(ChildProcess::start(&["kneepoint-is-not-here".to_owned()]).is_err());
        assert!(ChildProcess::start(&[]).is_err());
    }
}
