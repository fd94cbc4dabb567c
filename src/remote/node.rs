//! The node's end: it greets, answers pings, and sends what waits, over what carries its lines.
//! It ends when the coordinator is gone: when its input closes, or nothing has come for some seconds.

use std::io::{self, BufReader, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::carrier::NodeCarrier;
use super::lines::{Line, read_line};
use super::message::{
    ByeMessage, Envelope, Hello, MAX_LINE, Message, OpenMessage, PROTOCOL, PongMessage, Role,
};
use super::outbox::{Outbox, Outgoing};
use crate::collect::machine_addresses;
use crate::timeline::Epoch;

/// A coordinator sends something each second. After this time it is gone: the connection may be cut
/// in a way that closes nothing.
const SILENT: Duration = Duration::from_secs(10);
/// Messages of the coordinator that may wait.
const WAITING: usize = 256;
/// How long the last lines may take to leave.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Addresses that a node tells of its machine, at most: a host of containers has hundreds.
const MOST_ADDRESSES: usize = 256;
/// Between two looks whether they have left.
const LOOK: Duration = Duration::from_millis(5);

/// What a node hears.
#[derive(Debug)]
pub enum FromCoordinator {
    /// A message. Pings are answered already.
    Message(Message),
    /// It is gone, and why.
    Gone(String),
}

/// Who this node is to the coordinator: told by `open`, and named in all that it sends from then on.
#[derive(Debug, Default)]
struct Identity {
    run: String,
    name: String,
    epoch: u32,
}

/// The node's end of the connection.
pub struct NodeEnd {
    clock: Epoch,
    outbox: Arc<Outbox>,
    identity: Arc<Mutex<Identity>>,
    incoming: Receiver<(Instant, Heard)>,
    sender: JoinHandle<()>,
    last: Instant,
    is_open: bool,
    opened_within: Duration,
}

enum Heard {
    Envelope(Box<Envelope>),
    Ping,
    End(String),
}

impl NodeEnd {
    /// Greets over a carrier, and listens to it.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn start(carrier: NodeCarrier, role: Role) -> io::Result<Self> {
        let NodeCarrier { input, output, opened_within } = carrier;
        let clock = Epoch::new(Instant::now());
        let outbox = Arc::new(Outbox::default());
        let identity = Arc::new(Mutex::new(Identity::default()));
        let (sender, incoming) = sync_channel(WAITING);
        outbox.send(Message::Hello(Hello::of_this_machine(role)));
        let (to_send, names, gone) = (Arc::clone(&outbox), Arc::clone(&identity), sender.clone());
        let sending = spawn("kp-node-send", move || {
            if let Err(error) = send_all(output, &to_send, &names, clock) {
                // Nobody listens if the node has ended.
                let why = format!("its output is closed: {error}");
                let _unheard = gone.try_send((Instant::now(), Heard::End(why))).is_err();
            }
        })?;
        let answers = Arc::clone(&outbox);
        spawn("kp-node-hear", move || hear_all(input, &answers, &sender, clock))?;
        Ok(Self {
            clock,
            outbox,
            identity,
            incoming,
            sender: sending,
            last: Instant::now(),
            is_open: false,
            opened_within,
        })
    }

    /// Its clock: what it sends is stamped in nanoseconds since this.
    pub fn clock(&self) -> Epoch {
        self.clock
    }

    /// Where to put what it measures.
    pub fn outbox(&self) -> Arc<Outbox> {
        Arc::clone(&self.outbox)
    }

    /// Sends a message.
    pub fn send(&self, message: Message) {
        self.outbox.send(message);
    }

    /// What the coordinator says next; `None` if nothing within `wait`.
    pub fn next(&mut self, wait: Duration) -> Option<FromCoordinator> {
        let deadline = Instant::now() + wait;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.incoming.recv_timeout(left) {
                Ok((at, heard)) => {
                    self.last = at;
                    match heard {
                        Heard::Envelope(envelope) => return Some(self.take(*envelope)),
                        Heard::Ping => {}
                        Heard::End(why) => return Some(FromCoordinator::Gone(why)),
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Some(FromCoordinator::Gone("its input is closed".to_owned()));
                }
                Err(RecvTimeoutError::Timeout) => {
                    let most = if self.is_open { SILENT } else { self.opened_within };
                    if self.last.elapsed() < most {
                        return None;
                    }
                    let silent = format!("the coordinator was silent for {} s", most.as_secs());
                    return Some(FromCoordinator::Gone(silent));
                }
            }
        }
    }

    fn take(&mut self, envelope: Envelope) -> FromCoordinator {
        if let Message::Open(open) = &envelope.message {
            let OpenMessage { name, .. } = &**open;
            let mut identity = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
            *identity = Identity { run: envelope.run, name: name.clone(), epoch: envelope.epoch };
            self.is_open = true;
        }
        FromCoordinator::Message(envelope.message)
    }

    /// Sends what waits, says that it has ended, and waits a moment until that has left.
    pub fn finish(self, reason: &str) {
        self.outbox.close(Some(Message::Bye(ByeMessage { reason: reason.to_owned() })));
        let deadline = Instant::now() + LAST_WORDS;
        while !self.sender.is_finished() && Instant::now() < deadline {
            thread::sleep(LOOK);
        }
    }
}

impl Hello {
    /// What this machine says of itself.
    pub fn of_this_machine(role: Role) -> Self {
        let memory_bytes = sysinfo::System::new().map_or(0, |mut system| {
            system.refresh_memory();
            system.total_memory()
        });
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        let (major, minor) = PROTOCOL;
        Self {
            protocol: format!("{major}.{minor}"),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            role,
            host: sysinfo::System::host_name().unwrap_or_default(),
            kernel: sysinfo::System::kernel_long_version().unwrap_or_default(),
            cores: thread::available_parallelism().map_or(1, |cores| cores.get() as u32),
            memory_bytes,
            boot_id: boot_id.map(|id| id.trim().to_owned()).unwrap_or_default(),
            pid: std::process::id(),
            addresses: machine_addresses().into_iter().take(MOST_ADDRESSES).collect(),
            // SAFETY: it only asks.
            is_root: unsafe { libc::geteuid() } == 0,
        }
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(body)
}

fn nanos(clock: Epoch, at: Instant) -> i64 {
    i64::try_from(clock.moment(at).nanos()).unwrap_or(i64::MAX)
}

/// Sends what waits until the outbox is closed.
fn send_all(
    mut stdout: impl Write,
    outbox: &Outbox,
    identity: &Mutex<Identity>,
    clock: Epoch,
) -> io::Result<()> {
    // A shell may have begun a line of its own.
    stdout.write_all(b"\n")?;
    let mut seq = 0;
    while let Some(outgoing) = outbox.next() {
        let message = match outgoing {
            Outgoing::Message(message) => message,
            Outgoing::Pong(ping, received) => Message::Pong(PongMessage {
                sent: ping.sent,
                received,
                replied: nanos(clock, Instant::now()),
            }),
        };
        seq += 1;
        let envelope = {
            let identity = identity.lock().unwrap_or_else(PoisonError::into_inner);
            let Identity { run, name, epoch } = &*identity;
            Envelope { run: run.clone(), from: name.clone(), epoch: *epoch, seq, message }
        };
        stdout.write_all(&envelope.to_line()?)?;
        stdout.flush()?;
    }
    Ok(())
}

/// Passes on what the coordinator says, and answers pings at once.
fn hear_all(stdin: impl Read, outbox: &Outbox, heard: &SyncSender<(Instant, Heard)>, clock: Epoch) {
    let mut stdin = BufReader::with_capacity(64 << 10, stdin);
    loop {
        let line = read_line(&mut stdin, MAX_LINE, |_| {});
        let at = Instant::now();
        let said = match line {
            Ok(Line::Whole(line)) => match Envelope::of_line(&line) {
                Ok(Envelope { message: Message::Ping(ping), .. }) => {
                    outbox.pong(ping, nanos(clock, at));
                    Heard::Ping
                }
                Ok(envelope) => Heard::Envelope(Box::new(envelope)),
                // A newer coordinator may say what this version does not know.
                Err(_) => continue,
            },
            Ok(Line::TooLong) => continue,
            Ok(Line::End) => Heard::End("its input is closed".to_owned()),
            Err(error) => Heard::End(format!("its input cannot be read: {error}")),
        };
        let is_last = matches!(said, Heard::End(_));
        if heard.send((at, said)).is_err() || is_last {
            return;
        }
    }
}
