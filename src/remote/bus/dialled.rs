//! A node's end of the bus: it dials out, sends what it has to say until the server has acknowledged
//! it, and keeps it in a spool until then and longer.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use async_nats::Client;
use async_nats::jetstream::Context;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::{Notify, watch};

use super::address::{BusAddress, RunName};
use super::connection::Connection;
use super::follow::{Assembler, Taken, follow, place};
use super::publish::{Stored, try_store};
use super::spool::Spool;
use super::subject::Sender;
use crate::remote::carrier::{Delivery, NodeCarrier};
use crate::remote::link::LinkError;
use crate::remote::message::Role;

/// How long a node waits for its coordinator: it may have been started long before.
const OPENED_WITHIN: Duration = Duration::from_secs(3600);
/// Pause before a message is sent again that was not acknowledged.
const PAUSE: Duration = Duration::from_millis(200);
/// How the client says that the stream of a run is gone.
const NO_STREAM: &str = "no stream found";
/// Lines of the coordinator that may wait to be read.
const LINES: usize = 256;
/// Between two looks whether everything was acknowledged.
const LOOK: Duration = Duration::from_millis(20);

/// A node that has dialled in.
pub struct DialledNode {
    // Ends what uses the others.
    connection: Arc<Connection>,
    outgoing: Arc<Outgoing>,
}

/// What a node could not get rid of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsent {
    /// Messages.
    pub messages: u64,
    /// Why, in words; empty if the bus is just away.
    pub why: String,
    /// The files that hold them.
    pub files: Vec<PathBuf>,
}

/// What waits to be acknowledged.
struct Outgoing {
    state: Mutex<Waiting>,
    added: Notify,
    /// Whether the coordinator has said that the run is over.
    is_over: AtomicBool,
    subject: String,
    token: String,
    part: usize,
}

struct Waiting {
    spool: Spool,
    acknowledged: u64,
    error: String,
}

impl Outgoing {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, line: &[u8]) -> io::Result<()> {
        let mut waiting = self.lock();
        for part in line.chunks(self.part) {
            waiting.spool.push(part)?;
        }
        drop(waiting);
        self.added.notify_one();
        Ok(())
    }
}

impl DialledNode {
    /// Dials in as a part of `run`. What it sends is kept in `folder`, too.
    ///
    /// # Errors
    /// What is wrong with the bus or the folder, or that the run is over.
    pub fn dial(
        address: &BusAddress,
        run: &RunName,
        (role, name): (Role, &str),
        folder: &Path,
    ) -> Result<(Self, NodeCarrier), LinkError> {
        let connection = Connection::open(address, run)?;
        connection.make_stream()?;
        refuse_if_over(&connection, run)?;
        let token = format!("{:016x}", rand::random::<u64>());
        let sender = Sender { role, name: name.to_owned(), token: token.clone() };
        let subjects = connection.subjects.clone();
        let spool = Spool::create(folder, &subjects, &sender).map_err(|error| LinkError {
            what: format!("cannot keep what is sent in `{}`: {error}", folder.display()),
            hint: "name a directory with room for 64 MiB: `--spool DIR`".to_owned(),
        })?;
        let (input, lines) = sync_channel(LINES);
        let outgoing = Arc::new(Outgoing {
            state: Mutex::new(Waiting { spool, acknowledged: 0, error: String::new() }),
            added: Notify::new(),
            is_over: AtomicBool::new(false),
            subject: subjects.from(&sender),
            token,
            part: connection.part(),
        });
        listen(&connection, &outgoing, &input)?;
        connection.spawn(send_all(
            connection.jetstream.clone(),
            subjects.stream(),
            connection.made.clone(),
            Arc::clone(&outgoing),
        ));
        let carrier = NodeCarrier {
            input: Box::new(Input { lines, current: Vec::new(), read: 0 }),
            output: Box::new(Output { line: Vec::new(), outgoing: Arc::clone(&outgoing) }),
            opened_within: OPENED_WITHIN,
        };
        Ok((Self { connection, outgoing }, carrier))
    }

    /// Waits until everything was acknowledged. The spool is deleted then, and stays otherwise.
    pub fn finish(self, patience: Duration) -> Option<Unsent> {
        let deadline = Instant::now() + patience;
        loop {
            let waiting = self.outgoing.lock();
            let left = waiting.spool.count().saturating_sub(waiting.acknowledged);
            // A run that never began is withdrawn with its stream.
            let is_withdrawn =
                self.outgoing.is_over.load(Ordering::Acquire) && waiting.error.contains(NO_STREAM);
            if left == 0 || is_withdrawn {
                waiting.spool.delete();
                drop(waiting);
                self.connection.flush(LOOK);
                return None;
            }
            if Instant::now() >= deadline {
                let files = waiting.spool.paths().to_vec();
                return Some(Unsent { messages: left, why: waiting.error.clone(), files });
            }
            drop(waiting);
            thread::sleep(LOOK);
        }
    }
}

/// A run that is over needs no nodes.
fn refuse_if_over(connection: &Connection, run: &RunName) -> Result<(), LinkError> {
    let subjects = &connection.subjects;
    let is_over = connection.wait(async {
        let stream = connection.jetstream.get_stream(subjects.stream()).await.ok()?;
        stream.get_last_raw_message_by_subject(&subjects.end()).await.ok()
    });
    match is_over {
        None => Ok(()),
        Some(_) => Err(LinkError {
            what: format!("the run `{run}` on the bus {} is over", connection.address),
            hint: "give a new run another name with `--run`".to_owned(),
        }),
    }
}

/// Takes in what the coordinator says: what it says now, what the stream keeps, and that it is over.
fn listen(
    connection: &Connection,
    outgoing: &Arc<Outgoing>,
    input: &SyncSender<Vec<u8>>,
) -> Result<(), LinkError> {
    let token = outgoing.token.as_str();
    let (client, subjects) = (connection.client.clone(), connection.subjects.clone());
    let subscribed = connection.wait(async {
        let now = client.subscribe(subjects.now(token)).await?;
        let end = client.subscribe(subjects.end()).await?;
        client.flush().await.ok();
        Ok::<_, async_nats::SubscribeError>((now, end))
    });
    let (now, end) = subscribed.map_err(|error| LinkError {
        what: format!("the bus {} does not let this node listen: {error}", connection.address),
        hint: "allow this user to subscribe to `kneepoint-now.>` and `kneepoint.>`".to_owned(),
    })?;
    connection.spawn(hear_now(client, now, input.clone()));
    let (over, ending) = (input.clone(), Arc::clone(outgoing));
    connection.spawn(async move {
        let mut end = end;
        if end.next().await.is_some() {
            ending.is_over.store(true, Ordering::Release);
            // The reader may have ended.
            let _gone = over.send(Vec::new()).is_err();
        }
    });
    let (stages, mut lines) = (input.clone(), Assembler::default());
    connection.spawn(follow(
        connection.jetstream.clone(),
        subjects.stream(),
        subjects.to(token),
        connection.made.clone(),
        move |_, part| {
            let Some(Delivery::Line(line)) = lines.push(part) else { return Taken::Yes };
            if stages.send(ended(line)).is_err() { Taken::Enough } else { Taken::Yes }
        },
    ));
    Ok(())
}

fn ended(mut line: Vec<u8>) -> Vec<u8> {
    line.push(b'\n');
    line
}

async fn hear_now(client: Client, mut now: async_nats::Subscriber, input: SyncSender<Vec<u8>>) {
    let mut lines = Assembler::default();
    while let Some(message) = now.next().await {
        if let Some(reply) = message.reply {
            // The coordinator asks whether somebody is there.
            let _lost = client.publish(reply, Bytes::from_static(b"here")).await.is_err();
            continue;
        }
        if message.payload.is_empty() {
            let _gone = input.send(Vec::new()).is_err();
            return;
        }
        if let Some(Delivery::Line(line)) = lines.push(&message.payload)
            && input.send(ended(line)).is_err()
        {
            return;
        }
    }
}

/// Sends what waits, in order, and again from where the server's memory ends once it is back.
async fn send_all(
    jetstream: Context,
    stream: String,
    mut made: watch::Receiver<u64>,
    outgoing: Arc<Outgoing>,
) {
    let mut next = 1;
    loop {
        if made.has_changed().unwrap_or(false) {
            let _since = *made.borrow_and_update();
            if let Some(stored) = last_place(&jetstream, &stream, &outgoing.subject).await {
                next = next.min(stored + 1);
                let mut waiting = outgoing.lock();
                waiting.acknowledged = waiting.acknowledged.min(stored);
            }
        }
        let found = outgoing.lock().spool.at(next);
        let Some((number, bytes)) = found else {
            tokio::select! {
                () = outgoing.added.notified() => {}
                changed = made.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    made.mark_changed();
                }
            }
            continue;
        };
        let message = Stored {
            subject: outgoing.subject.clone(),
            id: format!("{}-{number}", outgoing.token),
            place: number,
            bytes: bytes.into(),
        };
        match try_store(&jetstream, &message).await {
            Ok(()) => {
                next = number + 1;
                outgoing.lock().acknowledged = number;
            }
            Err(why) => {
                outgoing.lock().error = why;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// The place of the last message that a stream holds of a subject; `None` if it does not say.
pub(super) async fn last_place(jetstream: &Context, stream: &str, subject: &str) -> Option<u64> {
    let stream = jetstream.get_stream(stream).await.ok()?;
    match stream.get_last_raw_message_by_subject(subject).await {
        Ok(message) => place(Some(&message.headers)),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Some(0),
        Err(_) => None,
    }
}

/// What the coordinator says, as a stream of bytes. An empty line ends it.
struct Input {
    lines: Receiver<Vec<u8>>,
    current: Vec<u8>,
    read: usize,
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read >= self.current.len() {
            (self.current, self.read) = (self.lines.recv().unwrap_or_default(), 0);
        }
        let rest = self.current.get(self.read..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.read += length;
        Ok(length)
    }
}

/// What the node says. Each line becomes a message, or several if it is long.
struct Output {
    line: Vec<u8>,
    outgoing: Arc<Outgoing>,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        while let Some(end) = self.line.iter().position(|byte| *byte == b'\n') {
            let rest = self.line.split_off(end + 1);
            let line = std::mem::replace(&mut self.line, rest);
            // What keeps a shell's words apart from the first message is not needed here.
            if line.len() > 1 {
                self.outgoing.add(&line)?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::subject::Subjects;
    use super::*;

    #[test]
    fn lines_are_read_in_order_until_an_empty_one() {
        let (sender, lines) = sync_channel(8);
        for line in ["a\n", "bc\n", "", "d\n"] {
            sender.send(line.as_bytes().to_vec()).unwrap();
        }
        let mut input = Input { lines, current: Vec::new(), read: 0 };
        let mut text = String::new();
        input.read_to_string(&mut text).unwrap();
        assert_eq!(text, "a\nbc\n");
    }

    #[test]
    fn each_line_becomes_a_message_of_bounded_length() {
        let folder = tempfile::tempdir().unwrap();
        let subjects = Subjects::of(&RunName::parse("r").unwrap());
        let sender = Sender { role: Role::Agent, name: String::new(), token: "0f".to_owned() };
        let spool = Spool::create(folder.path(), &subjects, &sender).unwrap();
        let outgoing = Arc::new(Outgoing {
            state: Mutex::new(Waiting { spool, acknowledged: 0, error: String::new() }),
            added: Notify::new(),
            is_over: AtomicBool::new(false),
            subject: subjects.from(&sender),
            token: sender.token,
            part: 4,
        });
        let mut output = Output { line: Vec::new(), outgoing: Arc::clone(&outgoing) };
        output.write_all(b"\nabc").unwrap();
        assert_eq!(outgoing.lock().spool.count(), 0);
        output.write_all(b"def\ngh\ni").unwrap();
        let waiting = outgoing.lock();
        let parts: Vec<Vec<u8>> =
            (1..=3).map(|number| waiting.spool.at(number).unwrap().1).collect();
        assert_eq!(parts, [b"abcd".to_vec(), b"ef\n".to_vec(), b"gh\n".to_vec()]);
        assert_eq!(waiting.spool.count(), 3);
    }
}
