//! The coordinator's end of the bus: claims the run, and takes the nodes that dial in.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use tokio::sync::mpsc::error::TrySendError as Unsent;
use tokio::sync::mpsc::{Receiver as Outgoing, Sender as Outlet, channel};
use tokio::time::timeout;

use super::address::{BusAddress, RunName};
use super::connection::Connection;
use super::follow::{Assembler, Taken, follow};
use super::publish::{Stored, store, try_store};
use super::subject::{Sender, Subjects};
use crate::remote::carrier::{Arrival, Carrier, Keeping};
use crate::remote::link::LinkError;
use crate::remote::message::Role;

/// Lines of one node that may wait for their reader; and of one that nobody has taken yet.
const WAITING: usize = 1024;
/// How long a node may take to say that it is there.
const THERE: Duration = Duration::from_secs(2);
/// Messages to all nodes that may wait, each of at most 256 KiB; and stages, which are short.
const PASSING: usize = 256;
const STORING: usize = 4096;
/// How long a message may wait for room.
const ROOM: Duration = Duration::from_secs(5);
/// Between two looks for nodes.
const LOOK: Duration = Duration::from_millis(500);
/// How long the end of the run may take to be told.
const LEAVING: Duration = Duration::from_secs(3);
/// How long what was said last may take to leave.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// One run on a bus, as its coordinator sees it.
pub struct Bus {
    connection: Arc<Connection>,
    run: RunName,
    shared: Arc<Shared>,
    now: Outlet<(String, Bytes)>,
    kept: Outlet<Stored>,
    may_carry_secrets: bool,
    /// Whether anything of the run is worth keeping.
    has_begun: AtomicBool,
}

/// The run is over: nodes that still wait end. A run that never began leaves its name to another.
impl Drop for Bus {
    fn drop(&mut self) {
        let Connection { jetstream, subjects, .. } = &*self.connection;
        let end =
            Stored { subject: subjects.end(), id: "end".to_owned(), place: 1, bytes: Bytes::new() };
        let has_begun = self.has_begun.load(Ordering::Acquire);
        let leave = async {
            let told = try_store(jetstream, &end).await;
            if !has_begun && told.is_ok() {
                // The bus deletes it by itself, after a week.
                let _stays = jetstream.delete_stream(subjects.stream()).await.is_err();
            }
        };
        let _away = self.connection.wait(async { timeout(LEAVING, leave).await.is_err() });
    }
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    inboxes: HashMap<String, Inbox>,
    /// Nodes that nobody has taken yet, in the order in which they came.
    waiting: Vec<(Sender, Receiver<Arrival>)>,
}

/// Where the lines of one node go.
struct Inbox {
    /// `None` once nobody reads it.
    arrivals: Option<SyncSender<Arrival>>,
    lines: Assembler,
    is_taken: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes on a part of a line that came from a node.
    fn take(&self, subjects: &Subjects, subject: &str, part: &[u8]) -> Taken {
        let Some(sender) = subjects.sender(subject) else { return Taken::Yes };
        let mut state = self.lock();
        if !state.inboxes.contains_key(&sender.token) {
            let (arrivals, receiver) = sync_channel(WAITING);
            let arrivals = Some(arrivals);
            let inbox = Inbox { arrivals, lines: Assembler::default(), is_taken: false };
            state.inboxes.insert(sender.token.clone(), inbox);
            state.waiting.push((sender.clone(), receiver));
            self.changed.notify_all();
        }
        let Some(inbox) = state.inboxes.get_mut(&sender.token) else { return Taken::Yes };
        let Some(arrivals) = &inbox.arrivals else { return Taken::Yes };
        // Whether there is room is known only with the line, which must not be added twice.
        let Some(delivery) = inbox.lines.push(part) else { return Taken::Yes };
        match arrivals.try_send(Arrival { at: Instant::now(), delivery }) {
            Ok(()) => Taken::Yes,
            Err(TrySendError::Disconnected(_)) => {
                inbox.arrivals = None;
                Taken::Yes
            }
            Err(TrySendError::Full(Arrival { delivery, .. })) if inbox.is_taken => {
                inbox.lines.put_back(delivery, part);
                Taken::Later
            }
            Err(TrySendError::Full(_)) => Taken::Yes,
        }
    }
}

impl Bus {
    /// Connects, makes the stream of the run, and claims it. `may_carry_secrets` allows a plan's secrets
    /// on a connection that is not encrypted.
    ///
    /// # Errors
    /// What is wrong with the bus, or that the run exists already.
    pub fn open(
        address: &BusAddress,
        run: &RunName,
        may_carry_secrets: bool,
    ) -> Result<Arc<Self>, LinkError> {
        let connection = Connection::open(address, run)?;
        connection.make_stream()?;
        claim(&connection, run)?;
        let shared = Arc::new(Shared::default());
        let (subjects, reader) = (connection.subjects.clone(), Arc::clone(&shared));
        connection.spawn(follow(
            connection.jetstream.clone(),
            subjects.stream(),
            subjects.said_by_all(),
            connection.made.clone(),
            move |subject, part| reader.take(&subjects, subject, part),
        ));
        let (now, passing) = channel(PASSING);
        let (kept, storing) = channel(STORING);
        connection.spawn(pass_on(connection.client.clone(), passing));
        let jetstream = connection.jetstream.clone();
        connection.spawn(async move {
            let mut storing: Outgoing<Stored> = storing;
            while let Some(message) = storing.recv().await {
                store(&jetstream, &message).await;
            }
        });
        let run = run.clone();
        let has_begun = AtomicBool::new(false);
        Ok(Arc::new(Self { connection, run, shared, now, kept, may_carry_secrets, has_begun }))
    }

    /// Refuses to send secrets of a plan where others could read them.
    ///
    /// # Errors
    /// The connection leaves this machine, and is not encrypted.
    pub fn refuse_open_secrets(&self) -> Result<(), LinkError> {
        let address = &self.connection.address;
        if address.is_tls() || address.is_this_machine() || self.may_carry_secrets {
            return Ok(());
        }
        Err(LinkError {
            what: format!(
                "this plan has secrets that nodes need, and the connection to the bus {address} is \
                 not encrypted"
            ),
            hint: "use `tls://`, or write `--bus-may-carry-secrets` if nobody else can read that \
                   network"
                .to_owned(),
        })
    }

    /// The name of the run.
    pub fn run(&self) -> &RunName {
        &self.run
    }

    /// The bus, without secrets.
    pub fn address(&self) -> &BusAddress {
        &self.connection.address
    }

    /// The run is recorded from now on.
    pub(super) fn begin(&self) -> &Arc<Connection> {
        self.has_begun.store(true, Ordering::Release);
        &self.connection
    }

    /// Takes a node that has dialled in and is still there, and waits for one. `name` says which; any
    /// will do if it is empty.
    pub(in crate::remote) fn take(
        &self,
        role: Role,
        name: &str,
        patience: Duration,
    ) -> Option<Box<dyn Carrier>> {
        let deadline = Instant::now() + patience;
        loop {
            let (sender, arrivals) = self.next_waiting(role, name, deadline)?;
            if self.is_there(&sender.token) {
                if let Some(inbox) = self.shared.lock().inboxes.get_mut(&sender.token) {
                    inbox.is_taken = true;
                }
                return Some(Box::new(DialledIn {
                    connection: Arc::clone(&self.connection),
                    token: sender.token,
                    arrivals,
                    now: self.now.clone(),
                    kept: self.kept.clone(),
                    sent: 0,
                    is_closed: false,
                }));
            }
        }
    }

    fn next_waiting(
        &self,
        role: Role,
        name: &str,
        deadline: Instant,
    ) -> Option<(Sender, Receiver<Arrival>)> {
        let is_wanted =
            |sender: &Sender| sender.role == role && (name.is_empty() || sender.name == name);
        let mut state = self.shared.lock();
        loop {
            if let Some(index) = state.waiting.iter().position(|(sender, _)| is_wanted(sender)) {
                return Some(state.waiting.remove(index));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let waited = self.shared.changed.wait_timeout(state, left.min(LOOK));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whether the node still listens. One that has ended is known at once: nobody is there.
    fn is_there(&self, token: &str) -> bool {
        let asked =
            self.connection.client.request(self.connection.subjects.now(token), Bytes::new());
        let asked = async { timeout(THERE, asked).await };
        matches!(self.connection.wait(asked), Ok(Ok(_)))
    }
}

/// Says that this process conducts the run. Only one can.
fn claim(connection: &Connection, run: &RunName) -> Result<(), LinkError> {
    let claim = PublishMessage::build()
        .payload(Bytes::from_static(env!("CARGO_PKG_VERSION").as_bytes()))
        .expected_last_subject_sequence(0);
    let claimed = connection.wait(async {
        let sent = connection.jetstream.send_publish(connection.subjects.claim(), claim).await;
        sent.map_err(|error| error.to_string())?.await.map_err(|error| error.to_string())
    });
    let Err(why) = claimed else { return Ok(()) };
    let address = &connection.address;
    Err(match why.contains("wrong last") {
        true => LinkError {
            what: format!("the bus {address} has a run `{run}` already"),
            hint: format!(
                "choose another name with `--run`; read that one with `kneepoint diagnose --bus \
                 {address} {run}`"
            ),
        },
        false => LinkError {
            what: format!("the bus {address} does not store anything: {why}"),
            hint: "look at the server's log, and at the room that JetStream has left".to_owned(),
        },
    })
}

async fn pass_on(client: async_nats::Client, mut passing: Outgoing<(String, Bytes)>) {
    while let Some((subject, part)) = passing.recv().await {
        // What finds no connection is about a time that is over.
        let _lost = client.publish(subject, part).await.is_err();
    }
}

/// Hands over a message, and waits a while for room: files come faster than a bus takes them.
fn put<T>(outlet: &Outlet<T>, message: T) -> Result<(), String> {
    let deadline = Instant::now() + ROOM;
    let mut message = message;
    loop {
        message = match outlet.try_send(message) {
            Ok(()) => return Ok(()),
            Err(Unsent::Closed(_)) => {
                return Err("the connection to the bus was closed".to_owned());
            }
            Err(Unsent::Full(_)) if Instant::now() >= deadline => {
                return Err("the bus takes nothing any more".to_owned());
            }
            Err(Unsent::Full(message)) => message,
        };
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A node that has dialled in.
struct DialledIn {
    connection: Arc<Connection>,
    token: String,
    arrivals: Receiver<Arrival>,
    now: Outlet<(String, Bytes)>,
    kept: Outlet<Stored>,
    sent: u64,
    is_closed: bool,
}

impl Carrier for DialledIn {
    fn send(&mut self, line: Vec<u8>, keeping: Keeping) -> Result<(), String> {
        let subjects = &self.connection.subjects;
        let line = Bytes::from(line);
        for begin in (0..line.len()).step_by(self.connection.part()) {
            let part = line.slice(begin..line.len().min(begin + self.connection.part()));
            match keeping {
                Keeping::Now => {
                    put(&self.now, (subjects.now(&self.token), part))?;
                }
                Keeping::Stored => {
                    self.sent += 1;
                    let message = Stored {
                        subject: subjects.to(&self.token),
                        id: format!("to-{}-{}", self.token, self.sent),
                        place: self.sent,
                        bytes: part,
                    };
                    put(&self.kept, message)?;
                }
            }
        }
        Ok(())
    }

    fn receive(&mut self, wait: Duration) -> Option<Arrival> {
        match self.arrivals.recv_timeout(wait) {
            Ok(arrival) => Some(arrival),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(wait);
                None
            }
        }
    }

    fn said(&self) -> String {
        String::new()
    }

    fn close(&mut self, _patience: Duration) -> String {
        if !std::mem::replace(&mut self.is_closed, true) {
            // An empty message is the end of its input.
            let now = self.connection.subjects.now(&self.token);
            if self.now.try_send((now, Bytes::new())).is_ok() {
                self.connection.flush(LAST_WORDS);
            }
        }
        "it was let go of".to_owned()
    }
}

impl Drop for DialledIn {
    fn drop(&mut self) {
        self.close(Duration::ZERO);
    }
}
