//! Reads a run back from the bus: the coordinator's recording as far as it was acknowledged, and what
//! each node said.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::push::OrderedConfig;
use async_nats::jetstream::stream::Stream;
use bytes::Bytes;
use futures_util::StreamExt as _;

use super::address::{BusAddress, RunName};
use super::connection::Connection;
use super::follow::{Assembler, place};
use super::spool;
use crate::recording::{Entry, EntryDecoder};
use crate::remote::carrier::Delivery;
use crate::remote::link::LinkError;
use crate::remote::message::{Envelope, Message, Role};

/// How long the bus may take for the next message.
const PATIENCE: Duration = Duration::from_secs(10);
/// Runs to name, at most.
const NAMED: usize = 8;

/// A run that a bus holds.
pub struct PastRun {
    /// The file of the recording, which may be torn at its end.
    pub recording: Vec<u8>,
    /// What each node said.
    pub nodes: Vec<PastLines>,
    /// What is missing, in words.
    pub notes: Vec<String>,
}

/// What one node said.
#[derive(Debug)]
pub struct PastLines {
    /// What it was.
    pub role: Role,
    /// The name that the coordinator gave it.
    pub name: String,
    /// What it reported, on its clock if it is an agent, and on the run's if it makes load.
    pub entries: Vec<Entry>,
}

/// Messages by subject and place.
type Messages = BTreeMap<String, BTreeMap<u64, Bytes>>;

impl PastRun {
    /// Reads a run, and adds what nodes have left in these files.
    ///
    /// # Errors
    /// What is wrong with the bus or a file, or that there is no such run.
    pub fn read(
        address: &BusAddress,
        run: &RunName,
        spools: &[PathBuf],
    ) -> Result<Self, LinkError> {
        let connection = Connection::open(address, run)?;
        let mut messages = connection.wait(read_all(&connection, run))?;
        for path in spools {
            let (subject, spooled) = spool::read(path).map_err(|error| LinkError {
                what: format!("cannot read the spool `{}`: {error}", path.display()),
                hint: "name the files that the node named when it ended".to_owned(),
            })?;
            let of_subject = messages.entry(subject).or_default();
            for (number, bytes) in spooled {
                of_subject.entry(number).or_insert_with(|| bytes.into());
            }
        }
        let (mut nodes, mut notes) = (Vec::new(), Vec::new());
        let recording = messages.remove(&connection.subjects.recording()).unwrap_or_default();
        for (subject, parts) in &messages {
            if let Some(sender) = connection.subjects.sender(subject) {
                nodes.push(lines_of(sender.role, parts, &mut notes));
            }
        }
        let recording = joined(&recording, &mut notes);
        if recording.is_empty() {
            return Err(LinkError {
                what: format!("the run `{run}` on the bus {address} has no recording"),
                hint: "its coordinator ended before the load began".to_owned(),
            });
        }
        Ok(Self { recording, nodes, notes })
    }
}

async fn read_all(connection: &Connection, run: &RunName) -> Result<Messages, LinkError> {
    let subjects = &connection.subjects;
    let unreadable = |why: String| LinkError {
        what: format!("cannot read the run `{run}` from the bus {}: {why}", connection.address),
        hint: "try again; if it stays so, look at the server's log".to_owned(),
    };
    let Ok(stream) = connection.jetstream.get_stream(subjects.stream()).await else {
        return Err(unknown(connection, run).await);
    };
    let state = &stream.cached_info().state;
    let (mut messages, last) = (Messages::new(), state.last_sequence);
    if state.messages == 0 {
        return Ok(messages);
    }
    let mut coming = replay(connection, &stream).await.map_err(unreadable)?;
    loop {
        let message = match tokio::time::timeout(PATIENCE, coming.next()).await {
            Ok(Some(Ok(message))) => message,
            Ok(Some(Err(error))) => return Err(unreadable(error.to_string())),
            Ok(None) => return Ok(messages),
            Err(_) => return Err(unreadable("it stopped answering".to_owned())),
        };
        let (sequence, pending) = match message.info() {
            Ok(info) => (info.stream_sequence, info.pending),
            Err(error) => return Err(unreadable(error.to_string())),
        };
        if let Some(place) = place(message.headers.as_ref()) {
            let of_subject = messages.entry(message.subject.to_string()).or_default();
            of_subject.entry(place).or_insert_with(|| message.payload.clone());
        }
        if pending == 0 || sequence >= last {
            return Ok(messages);
        }
    }
}

async fn replay(
    connection: &Connection,
    stream: &Stream,
) -> Result<async_nats::jetstream::consumer::push::Ordered, String> {
    let config = OrderedConfig {
        deliver_subject: connection.client.new_inbox(),
        deliver_policy: DeliverPolicy::All,
        ..OrderedConfig::default()
    };
    let consumer = stream.create_consumer(config).await.map_err(|error| error.to_string())?;
    consumer.messages().await.map_err(|error| error.to_string())
}

/// The bus has no such run; others that it has.
async fn unknown(connection: &Connection, run: &RunName) -> LinkError {
    let mut names = connection.jetstream.stream_names();
    let mut known = Vec::new();
    while let Ok(Some(Ok(name))) = tokio::time::timeout(PATIENCE, names.next()).await {
        if let Some(name) = name.strip_prefix("kneepoint-") {
            known.push(format!("`{name}`"));
        }
        if known.len() >= NAMED {
            break;
        }
    }
    let hint = match known.as_slice() {
        [] => "it holds no run; check the address of the bus, and the account".to_owned(),
        known => format!("it has {}", known.join(", ")),
    };
    LinkError { what: format!("the bus {} has no run `{run}`", connection.address), hint }
}

/// The bytes of the recording up to the first that is missing.
fn joined(parts: &BTreeMap<u64, Bytes>, notes: &mut Vec<String>) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    for (place, part) in parts {
        let offset = usize::try_from(place.saturating_sub(1)).unwrap_or(usize::MAX);
        if offset > bytes.len() {
            notes.push(format!("the bus lacks the recording from byte {} on", bytes.len()));
            break;
        }
        bytes.truncate(offset);
        bytes.extend_from_slice(part);
    }
    bytes
}

/// What a node said, up to the first message that is missing.
fn lines_of(role: Role, parts: &BTreeMap<u64, Bytes>, notes: &mut Vec<String>) -> PastLines {
    let mut said = PastLines { role, name: String::new(), entries: Vec::new() };
    let (mut lines, mut decoder) = (Assembler::default(), EntryDecoder::default());
    let (mut last, mut missing, mut unreadable) = (0, 0, 0_u64);
    for (place, part) in parts {
        missing += place - last - 1;
        last = *place;
        let Some(Delivery::Line(line)) = lines.push(part) else { continue };
        let Ok(envelope) = Envelope::of_line(&line) else {
            unreadable += 1;
            continue;
        };
        if !envelope.from.is_empty() {
            said.name = envelope.from;
        }
        let Message::Lines(message) = envelope.message else { continue };
        for line in &message.lines {
            match decoder.decode(line) {
                Ok(entry) => said.entries.extend(entry),
                Err(_) => unreadable += 1,
            }
        }
    }
    if missing + unreadable > 0 {
        let name = if said.name.is_empty() { "a node" } else { said.name.as_str() };
        notes.push(format!(
            "of {name}, {missing} messages are missing and {unreadable} lines cannot be read"
        ));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_joined_up_to_what_is_missing() {
        let parts = |all: &[(u64, &'static str)]| -> BTreeMap<u64, Bytes> {
            all.iter().map(|(place, text)| (*place, Bytes::from_static(text.as_bytes()))).collect()
        };
        let mut notes = Vec::new();
        assert_eq!(joined(&parts(&[(1, "abc"), (4, "de")]), &mut notes), b"abcde");
        // Sent again after a loss, cut at another place.
        assert_eq!(joined(&parts(&[(1, "abc"), (3, "cde")]), &mut notes), b"abcde");
        assert!(notes.is_empty());
        assert_eq!(joined(&parts(&[(1, "abc"), (6, "f")]), &mut notes), b"abc");
        assert_eq!(notes, ["the bus lacks the recording from byte 3 on"]);
    }
}
