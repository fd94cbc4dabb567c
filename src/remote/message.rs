//! What a coordinator and its nodes say to each other: one envelope a line, in JSON.
//!
//! | from | message | meaning |
//! |---|---|---|
//! | node | `hello` | who it is; the first line, and the only one that every version can read |
//! | coordinator | `open` | what to do |
//! | node | `ready` or `refuse` | it can, or why it cannot |
//! | coordinator | `file` | a part of a file of the plan, to a generator, before `open` |
//! | coordinator | `start`, `stage` | when the load begins, and what is to be offered, to a generator |
//! | coordinator | `refill` | to a generator: it makes a piece of the part of one that was lost, or refuses |
//! | node | `rows` | which rows of sequential data a generator has used |
//! | node | `done` | a load with a number of iterations has done its work |
//! | coordinator, node | `ping`, `pong` | four stamps for the clock, see [`NodeClock`](super::NodeClock) |
//! | coordinator | `seek` | which socket has received so many bytes: finds the target |
//! | node | `sought` | whether one has |
//! | node | `lines` | lines of a recording |
//! | coordinator | `ack` | the highest number that was stored, and that it is still there |
//! | coordinator | `stop` | end, and say so |
//! | node | `bye` | it has ended, nothing follows |
//!
//! A reader skips the fields that it does not know. A new kind of message is a new minor version, and
//! is only sent to a node whose `hello` names that version. Another major version is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::carrier::Keeping;
use super::generate::{
    DoneMessage, FileMessage, GenerateTask, RefillMessage, RowsMessage, StageMessage, StartMessage,
};
use super::revealed::Revealed;
use crate::plan::{CollectorConfig, OptionValue};

/// Version of the protocol, as `hello` names it: major and minor.
pub const PROTOCOL: (u32, u32) = (1, 1);
/// No line is longer. A tick of fifty endpoints takes 60 kB; a plan with inline data may take more.
pub const MAX_LINE: usize = 4 << 20;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
pub struct Envelope {
    /// The run that it belongs to, drawn by the coordinator; empty in `hello`.
    pub run: String,
    /// Who sends it: the name that the plan gives the node, empty in `hello`; the coordinator has none.
    pub from: String,
    /// How often the node was started in this run, from 1 on. What comes from an older one is dropped.
    pub epoch: u32,
    /// Number of the message, from 1 on, without a hole.
    pub seq: u64,
    /// What it says.
    pub message: Message,
}

/// What a line says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// Node: here I am.
    Hello(Hello),
    /// Coordinator: this is to be done.
    Open(Box<OpenMessage>),
    /// Node: it can begin.
    Ready(ReadyMessage),
    /// Node: it cannot.
    Refuse(RefuseMessage),
    /// Coordinator, to a generator: a part of a file of the plan.
    File(FileMessage),
    /// Coordinator, to a generator: the load begins.
    Start(StartMessage),
    /// Coordinator, to a generator: this is to be offered.
    Stage(StageMessage),
    /// Coordinator, to a generator: it makes a piece of a lost one's part, too.
    Refill(RefillMessage),
    /// Generator: which rows it has used.
    Rows(RowsMessage),
    /// Generator: a load has done all its work.
    Done(DoneMessage),
    /// Coordinator: what time is it?
    Ping(PingMessage),
    /// Node: this.
    Pong(PongMessage),
    /// Coordinator: which of your sockets has received so many bytes?
    Seek(SeekMessage),
    /// Node: whether one has.
    Sought(SoughtMessage),
    /// Node: lines of a recording.
    Lines(LinesMessage),
    /// Coordinator: they are stored; it is still there.
    Ack(AckMessage),
    /// Coordinator: end.
    Stop(StopMessage),
    /// Node: it has ended.
    Bye(ByeMessage),
}

impl Message {
    /// Whether a bus may keep it on its way. The plan and its files hold secrets; leases and pings mean
    /// something only now.
    pub(super) fn keeping(&self) -> Keeping {
        match self {
            Message::Start(_) | Message::Stage(_) | Message::Refill(_) | Message::Stop(_) => {
                Keeping::Stored
            }
            _ => Keeping::Now,
        }
    }

    /// Its name on the wire, for messages to a person.
    pub fn name(&self) -> &'static str {
        match self {
            Message::Hello(_) => "hello",
            Message::Open(_) => "open",
            Message::Ready(_) => "ready",
            Message::Refuse(_) => "refuse",
            Message::File(_) => "file",
            Message::Start(_) => "start",
            Message::Stage(_) => "stage",
            Message::Refill(_) => "refill",
            Message::Rows(_) => "rows",
            Message::Done(_) => "done",
            Message::Ping(_) => "ping",
            Message::Pong(_) => "pong",
            Message::Seek(_) => "seek",
            Message::Sought(_) => "sought",
            Message::Lines(_) => "lines",
            Message::Ack(_) => "ack",
            Message::Stop(_) => "stop",
            Message::Bye(_) => "bye",
        }
    }
}

/// What a node is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It collects.
    Agent,
    /// It makes load.
    Generator,
}

/// A node says who it is. The fields `protocol`, `version` and `role` keep their names and forms in
/// every version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// Version of the protocol, such as `1.1`.
    pub protocol: String,
    /// Version of kneepoint.
    pub version: String,
    /// What it was started as.
    pub role: Role,
    /// Name of its machine.
    #[serde(default)]
    pub host: String,
    /// Kernel name and release.
    #[serde(default)]
    pub kernel: String,
    /// Cores of its machine.
    #[serde(default)]
    pub cores: u32,
    /// Memory of its machine in bytes.
    #[serde(default)]
    pub memory_bytes: u64,
    /// Changes when its machine starts again, and is the same in each container of a machine: two
    /// nodes with the same one share a kernel. Empty if it is unknown.
    #[serde(default)]
    pub boot_id: String,
    /// Its process id, as it sees it.
    #[serde(default)]
    pub pid: u32,
    /// Addresses of its host, without loopback addresses.
    #[serde(default)]
    pub addresses: BTreeSet<IpAddr>,
    /// Whether it runs as root.
    #[serde(default)]
    pub is_root: bool,
}

/// What a node has to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OpenMessage {
    /// The name that the plan gives the node.
    pub name: String,
    /// Its task.
    pub task: Task,
}

/// The task of a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Of an agent.
    Collect(CollectTask),
    /// Of a load generator.
    Generate(GenerateTask),
}

/// What an agent has to watch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CollectTask {
    /// The collectors that the plan names for this agent. Only these contain what the plan gave for
    /// them, such as the URL of a database with its password.
    pub collectors: Vec<SentCollector>,
    /// Whether the target is on the agent's host, so that its series are the target's.
    pub is_target: bool,
    /// Port of the target in the URL. No path, no query: the agent sends no request.
    pub port: u16,
    /// Addresses of the target's host and of other agents' hosts: an agent on another host looks into
    /// what is called from there.
    #[serde(default)]
    pub callers: BTreeSet<IpAddr>,
    /// Whether connections to the target carry more than one request at a time.
    pub is_shared: bool,
    /// Whether to go on without a collector that cannot be opened.
    pub lenient: bool,
    /// The label that the target's series carry as `process` where the plan gives no other.
    pub process: String,
}

/// A collector as it is sent to the node that runs it: with the secrets that it needs, which neither
/// print nor enter a recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SentCollector {
    name: String,
    instance: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    interval_secs: Option<f64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    options: BTreeMap<String, SentValue>,
}

/// The value of an option.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SentValue {
    Text(String),
    Secret(Revealed),
    Integer(u64),
    Switch(bool),
    Texts(Vec<String>),
}

impl From<&CollectorConfig> for SentCollector {
    fn from(config: &CollectorConfig) -> Self {
        let sent = |value: &OptionValue| match value {
            OptionValue::Text(text) => SentValue::Text(text.clone()),
            OptionValue::Secret(secret) => SentValue::Secret(Revealed(secret.clone())),
            OptionValue::Integer(number) => SentValue::Integer(*number),
            OptionValue::Switch(on) => SentValue::Switch(*on),
            OptionValue::Texts(texts) => SentValue::Texts(texts.clone()),
        };
        Self {
            name: config.name.clone(),
            instance: config.instance.clone(),
            interval_secs: config.interval.map(|interval| interval.as_secs_f64()),
            options: config
                .options
                .iter()
                .map(|(name, value)| (name.clone(), sent(value)))
                .collect(),
        }
    }
}

impl From<SentCollector> for CollectorConfig {
    fn from(sent: SentCollector) -> Self {
        let value = |value: SentValue| match value {
            SentValue::Text(text) => OptionValue::Text(text),
            SentValue::Secret(Revealed(secret)) => OptionValue::Secret(secret),
            SentValue::Integer(number) => OptionValue::Integer(number),
            SentValue::Switch(on) => OptionValue::Switch(on),
            SentValue::Texts(texts) => OptionValue::Texts(texts),
        };
        let interval = sent.interval_secs.map(Duration::try_from_secs_f64);
        Self {
            name: sent.name,
            instance: sent.instance,
            interval: interval.and_then(Result::ok),
            options: sent.options.into_iter().map(|(name, it)| (name, value(it))).collect(),
        }
    }
}

/// A node can begin.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ReadyMessage {
    /// What an agent watches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub watched: Vec<Watched>,
    /// What a person should know, such as a collector that was left out and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A collector that a node has opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Watched {
    /// Name of the collector.
    pub name: String,
    /// Distinguishes several of that name.
    pub instance: String,
    /// What it watches, in words.
    pub watches: String,
    /// Seconds between two readings.
    pub interval_secs: f64,
}

/// A node cannot do what it should.
#[derive(Debug, Serialize, Deserialize)]
pub struct RefuseMessage {
    /// Each reason, with what to do about it (may be empty). No secret.
    pub problems: Vec<(String, String)>,
}

/// The coordinator asks for the time.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct PingMessage {
    /// When it was sent, in nanoseconds on the coordinator's clock; comes back as it is.
    pub sent: i64,
}

/// A node tells the time.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct PongMessage {
    /// What the ping said.
    pub sent: i64,
    /// When the ping arrived, in nanoseconds on the node's clock.
    pub received: i64,
    /// When this was sent, on the node's clock.
    pub replied: i64,
}

/// The coordinator has sent the beginning of a request to the target, of a length that it drew, and
/// looks for the socket that has received it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SeekMessage {
    /// Bytes that were sent so far.
    pub bytes: u64,
    /// The coordinator's end of the connection, as it sees it: a socket with this address is its own.
    pub client: SocketAddr,
    /// Whether these are the last; the answer then says where the target is.
    pub is_last: bool,
}

/// What a search has found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SoughtMessage {
    /// Whether a socket has received exactly so many bytes.
    pub found: bool,
    /// After the last search: the port of the target on this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// Lines of a recording, as its format describes them, with times on the node's clock.
#[derive(Debug, Serialize, Deserialize)]
pub struct LinesMessage {
    /// One object each; declarations stand before what refers to them.
    pub lines: Vec<Box<RawValue>>,
}

/// What has arrived. Sent once a second, so that a node knows that somebody listens.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct AckMessage {
    /// The highest number of a message of the node that is stored.
    pub seq: u64,
}

/// The node has to end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StopMessage {
    /// Why, in words.
    #[serde(default)]
    pub reason: String,
}

/// The node has ended, and nothing follows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ByeMessage {
    /// Why, in words.
    #[serde(default)]
    pub reason: String,
}

/// Versions in a `hello` of any version of the protocol.
#[derive(Deserialize)]
pub(super) struct AnyHello {
    pub(super) message: AnyHelloMessage,
}

/// The part that holds the `hello`.
#[derive(Deserialize)]
pub(super) struct AnyHelloMessage {
    pub(super) hello: AnyVersions,
}

/// What every version says.
#[derive(Deserialize)]
pub(super) struct AnyVersions {
    pub(super) protocol: String,
    pub(super) version: String,
    pub(super) role: String,
}

impl Envelope {
    /// The line, with its end.
    ///
    /// # Errors
    /// Never for a message of this module: all of them are plain data.
    pub fn to_line(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        Ok(line)
    }

    /// What a line says.
    ///
    /// # Errors
    /// If it is no envelope.
    pub fn of_line(line: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Secret;

    #[test]
    fn only_the_node_that_needs_a_secret_gets_it_and_nothing_prints_it() {
        let url = OptionValue::Secret(Secret::new("postgres://shop:hunter2@db1/shop"));
        let mut config = CollectorConfig::new("postgres").with("url", url);
        config.interval = Some(Duration::from_millis(250));
        let sent = SentCollector::from(&config);
        assert!(!format!("{sent:?}").contains("hunter2"), "{sent:?}");
        let line = serde_json::to_string(&sent).unwrap();
        assert!(line.contains("hunter2"));
        let received: SentCollector = serde_json::from_str(&line).unwrap();
        assert_eq!(CollectorConfig::from(received), config);
    }

    #[test]
    fn a_line_says_what_was_said_and_lines_of_a_recording_stay_as_they_are() {
        let inner = r#"{"type":"event","at":5,"text":"a  \u00e9"}"#.to_owned();
        let lines = vec![RawValue::from_string(inner.clone()).unwrap()];
        let message = Message::Lines(LinesMessage { lines });
        let envelope = Envelope { run: "r".into(), from: "db1".into(), epoch: 1, seq: 7, message };
        let line = envelope.to_line().unwrap();
        assert_eq!(line.last(), Some(&b'\n'));
        let back = Envelope::of_line(&line).unwrap();
        assert_eq!((back.epoch, back.seq), (1, 7));
        let Message::Lines(LinesMessage { lines }) = back.message else { panic!() };
        assert_eq!(lines[0].get(), inner);
        // Fields of a later minor version are skipped.
        let later =
            r#"{"run":"r","from":"","epoch":1,"seq":8,"more":1,"message":{"ack":{"seq":4,"b":2}}}"#;
        assert!(Envelope::of_line(later.as_bytes()).is_ok());
        assert!(Envelope::of_line(br#"{"run":"r"}"#).is_err());
    }
}
