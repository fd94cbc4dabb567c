//! What the sockets of one service come to at a look: its calls, its requests, its accept queue.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::address::{Address, Port};
use super::diag::{Socket, TcpState};
use super::path::Paths;
use super::peers::Peers;
use super::postgres::Asker;
use super::turn::{Memory, Role, Turn};
use crate::collect::proc::network::Network;
use crate::timeline::{BatchBuilder, Labels, MetricSpec, names};

/// Bytes of the empty record that ends a FastCGI request (FastCGI Specification 1.0, 3.3 and 5.3).
/// PHP-FPM leaves it unread while it works on the request, and no request is that short.
const EMPTY_RECORD: u32 = 8;

/// Counts the sockets of one service, and remembers what the next look needs.
pub(in crate::collect) struct Census {
    peers: Peers,
    /// Asks peers whether they are PostgreSQL.
    asker: Option<Asker>,
    memories: HashMap<u64, Connection>,
    look: u64,
    /// What was sent to each peer so far.
    calls_sent: BTreeMap<Labels, Sent>,
    /// UNIX connections that were opened to each peer so far.
    opened: BTreeMap<Labels, u64>,
    /// Connections of clients that were seen so far, by port or path.
    accepted: BTreeMap<Port, u64>,
    /// Requests that clients of each port got an answer to so far.
    answered: BTreeMap<Port, u64>,
    paths: Paths,
    /// The port on whose connections the turn does not show requests.
    shared: Option<Port>,
    /// What the last look counted.
    counts: BTreeMap<(&'static str, Labels), (&'static MetricSpec, u64)>,
    /// Accept queue length and its limit, by port.
    listening: BTreeMap<Port, (u32, u32)>,
    /// Whether the last look found a connection that a client has opened to a UNIX socket.
    has_clients: bool,
}

/// What was sent to a peer.
#[derive(Clone, Copy, Default)]
struct Sent {
    /// Data segments.
    segments: u64,
    /// Connections that carried them. A connection that opens and closes between two looks is
    /// missed, and so are its segments.
    connections: u64,
}

#[derive(Default)]
struct Connection {
    memory: Memory,
    /// Bytes that the service had read when it last answered.
    read_before: u64,
    segments_out: u32,
    /// The fewer of the data segments that came and those that went: a long request or response has
    /// several, and an exchange at least one of each.
    exchanges: u32,
    retransmitted: u32,
    /// Unread bytes of a UNIX socket at the last look, and whether a part of them was read before.
    unread: u32,
    is_begun: bool,
    /// The last look at it; 0 before the first.
    look: u64,
}

impl Census {
    pub fn new(peers: Peers, shared: Option<Port>) -> Self {
        Self {
            peers,
            asker: None,
            memories: HashMap::new(),
            look: 0,
            calls_sent: BTreeMap::new(),
            opened: BTreeMap::new(),
            accepted: BTreeMap::new(),
            answered: BTreeMap::new(),
            paths: Paths::default(),
            shared,
            counts: BTreeMap::new(),
            listening: BTreeMap::new(),
            has_clients: false,
        }
    }

    /// The same, which asks the peers whether they are PostgreSQL.
    pub(super) fn asking(self, asker: Asker) -> Self {
        Self { asker: Some(asker), ..self }
    }

    /// The service is in `network` from now on.
    pub fn move_to(&mut self, network: Network) {
        self.peers.move_to(network);
    }

    /// Counts the service's sockets among those of its network namespace.
    pub fn count<'s>(
        &mut self,
        sockets: impl Iterator<Item = &'s Socket> + Clone,
        is_own: impl Fn(&Socket) -> bool,
    ) {
        self.counts.clear();
        self.look += 1;
        self.has_clients = false;
        self.listening = sockets
            .clone()
            .filter(|socket| socket.state == TcpState::Listen && is_own(socket))
            .map(|socket| (socket.local.port(), (socket.receive_queue, socket.send_queue)))
            .collect();
        let own_addresses: BTreeSet<Address> = sockets
            .clone()
            .filter(|socket| self.listening.contains_key(&socket.local.port()))
            .map(|socket| socket.local.clone())
            .collect();
        self.peers.learn(sockets.clone());
        for socket in sockets.filter(|socket| socket.state != TcpState::Listen) {
            let inbound = own_addresses.contains(&socket.local);
            // After the service closes a socket, the kernel keeps it for a while.
            let is_let_go = socket.state == TcpState::FinWait2 && socket.inode == 0;
            if is_let_go || !inbound && !is_own(socket) {
                continue;
            }
            let role = if inbound { Role::Inbound } else { Role::Outbound };
            self.count_one(role, socket);
        }
        let look = self.look;
        self.memories.retain(|_, known| known.look == look);
        let listening = &self.listening;
        self.accepted.retain(|port, _| listening.contains_key(port));
        self.answered.retain(|port, _| listening.contains_key(port));
    }

    fn count_one(&mut self, role: Role, socket: &Socket) {
        let labels = match role {
            Role::Inbound => Labels::none().with("port", socket.local.port().to_string()),
            Role::Outbound => {
                self.ask(socket);
                self.peers.labels(&socket.remote)
            }
        };
        let role_name = if role == Role::Inbound { "inbound" } else { "outbound" };
        let in_state = labels.clone().with("role", role_name).with("state", socket.state.name());
        self.add(&names::TCP_SOCKETS, in_state);
        if let Address::Unix(_) = socket.local {
            self.count_unix(role, socket, labels);
            return;
        }
        if socket.state == TcpState::FinWait2 {
            // The service has closed its side, so nobody owes an answer.
            return;
        }
        let known = self.memories.entry(socket.cookie).or_default();
        let is_new = known.look == 0;
        known.look = self.look;
        let turn = known.memory.turn(role, socket);
        let read = socket.info.bytes_received.saturating_sub(u64::from(socket.receive_queue));
        if socket.info.data_segments_out != known.segments_out {
            known.read_before = read;
        }
        // Some servers leave the end of a request unread while they work on it.
        let is_taken_up = role == Role::Inbound && read > known.read_before;
        let unread = socket.unread_bytes() > 0 && turn != Turn::Queued && !is_taken_up;
        let sent = socket.info.data_segments_out.wrapping_sub(known.segments_out);
        let again = socket.info.retransmitted.wrapping_sub(known.retransmitted);
        let is_first = known.segments_out == 0 && sent > 0;
        known.segments_out = socket.info.data_segments_out;
        known.retransmitted = socket.info.retransmitted;
        self.paths.add(role, socket, sent, again);
        let exchanges = socket.info.data_segments_in.min(socket.info.data_segments_out);
        let answered = exchanges.saturating_sub(known.exchanges);
        known.exchanges = exchanges;
        if role == Role::Inbound {
            *self.answered.entry(socket.local.port()).or_default() += u64::from(answered);
            *self.accepted.entry(socket.local.port()).or_default() += u64::from(is_new);
        }
        if role == Role::Outbound {
            let total = self.calls_sent.entry(labels.clone()).or_default();
            total.segments += u64::from(sent);
            total.connections += u64::from(is_first);
        }
        if unread {
            self.add(&names::TCP_UNREAD, labels.clone().with("role", role_name));
        }
        if socket.state == TcpState::CloseWait {
            self.add(&names::TCP_CLOSE_WAIT, labels.clone());
        }
        match (role, turn) {
            (Role::Inbound, _) if self.shared.as_ref() == Some(&socket.local.port()) => {}
            (Role::Outbound, Turn::Connecting) => self.add(&names::TCP_CONNECTING, labels),
            // An answer that has arrived but is not read yet has not ended the call.
            (Role::Outbound, Turn::Busy) => self.add(&names::TCP_CALLS, labels),
            (Role::Outbound, _) if unread => self.add(&names::TCP_CALLS, labels),
            (Role::Inbound, Turn::Busy | Turn::Idle | Turn::Unknown) if unread => {
                self.add(&names::TCP_REQUESTS, labels.clone());
                self.add(&names::TCP_REQUESTS_UNREAD, labels);
            }
            (Role::Inbound, Turn::Busy | Turn::Unknown)
                if is_taken_up && socket.unread_bytes() > 0 =>
            {
                self.add(&names::TCP_REQUESTS, labels.clone());
                self.add(&names::TCP_REQUESTS_SERVED, labels);
            }
            (Role::Inbound, Turn::Busy) => {
                self.add(&names::TCP_REQUESTS, labels.clone());
                self.add(&names::TCP_REQUESTS_SERVED, labels);
            }
            _ => {}
        }
    }

    /// Counts a UNIX connection. The kernel does not tell whose turn it is. Whether it is a call is
    /// told by the diagnosis, from how many were opened and how many stayed open.
    fn count_unix(&mut self, role: Role, socket: &Socket, labels: Labels) {
        let known = self.memories.entry(socket.cookie).or_default();
        let is_first = known.look == 0;
        known.look = self.look;
        let unread = socket.unread_bytes();
        let is_rest = unread <= EMPTY_RECORD || unread < known.unread;
        known.is_begun = unread > 0 && (known.is_begun || is_rest);
        known.unread = unread;
        let is_unread = unread > 0 && (role == Role::Outbound || !known.is_begun);
        if socket.state == TcpState::CloseWait {
            self.add(&names::TCP_CLOSE_WAIT, labels.clone());
        }
        let role_name = match role {
            Role::Inbound => {
                self.has_clients = true;
                *self.accepted.entry(socket.local.port()).or_default() += u64::from(is_first);
                "inbound"
            }
            Role::Outbound => {
                *self.opened.entry(labels.clone()).or_default() += u64::from(is_first);
                "outbound"
            }
        };
        if is_unread {
            self.add(&names::TCP_UNREAD, labels.with("role", role_name));
        }
    }

    /// Has the peer of a connection asked, once: who has answered the service's handshake is there.
    fn ask(&mut self, socket: &Socket) {
        let Some(asker) = &mut self.asker else { return };
        let Address::Ip(peer) = socket.remote else { return };
        let is_open = socket.state == TcpState::Established;
        if is_open && !asker.knows(&peer) && self.peers.may_be_asked(peer) {
            asker.consider(peer);
        }
    }

    fn add(&mut self, metric: &'static MetricSpec, labels: Labels) {
        self.counts.entry((metric.name, labels)).or_insert((metric, 0)).1 += 1;
    }

    /// Whether a request was in the service, or waited to be accepted, at the last look.
    pub fn is_asked(&self) -> bool {
        self.counts.keys().any(|(metric, _)| *metric == names::TCP_REQUESTS.name)
            || self.has_clients
            || self.listening.values().any(|(queue, _)| *queue > 0)
    }

    /// Where the service listened at the last look.
    pub fn ports(&self) -> impl Iterator<Item = Port> + '_ {
        self.listening.keys().cloned()
    }

    /// Adds what the last look counted.
    pub fn push(&mut self, batch: &mut BatchBuilder) {
        for ((_, labels), (metric, count)) in &self.counts {
            batch.push_labelled(metric, labels.clone(), *count as f64);
        }
        for (port, (queue, limit)) in &self.listening {
            let labels = Labels::none().with("port", port.to_string());
            batch.push_labelled(&names::TCP_ACCEPT_QUEUE, labels.clone(), f64::from(*queue));
            batch.push_labelled(&names::TCP_ACCEPT_QUEUE_LIMIT, labels, f64::from(*limit));
        }
        self.paths.push(batch);
        if let Some(asker) = &mut self.asker {
            asker.push(batch, |peer| self.peers.labels(&Address::Ip(peer)));
        }
        for (labels, sent) in &self.calls_sent {
            batch.push_labelled(&names::TCP_CALLS_SENT, labels.clone(), sent.segments as f64);
            let connections = sent.connections as f64;
            batch.push_labelled(&names::TCP_CALLS_CONNECTIONS, labels.clone(), connections);
        }
        for (labels, opened) in &self.opened {
            batch.push_labelled(&names::TCP_CALLS_CONNECTIONS, labels.clone(), *opened as f64);
        }
        for (port, answered) in &self.answered {
            let labels = Labels::none().with("port", port.to_string());
            batch.push_labelled(&names::TCP_REQUESTS_ANSWERED, labels, *answered as f64);
        }
        for (port, accepted) in &self.accepted {
            let labels = Labels::none().with("port", port.to_string());
            batch.push_labelled(&names::TCP_REQUESTS_CONNECTIONS, labels, *accepted as f64);
        }
    }
}
