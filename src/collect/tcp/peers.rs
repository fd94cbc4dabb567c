//! Names for the target's peers: from the plan, from the program that listens there on this
//! machine, or from the well-known port.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::diag::{Socket, TcpState};
use crate::collect::proc::tree::Tree;
use crate::collect::proc::wanted::Wanted;
use crate::collect::{OpenError, is_own_address};
use crate::timeline::Labels;

/// Well-known ports and the service behind each.
const KNOWN_PORTS: [(u16, &str); 12] = [
    (3306, "mysql"),
    (5432, "postgres"),
    (5672, "amqp"),
    (6379, "redis"),
    (6432, "pgbouncer"),
    (8200, "vault"),
    (8500, "consul"),
    (9042, "cassandra"),
    (9092, "kafka"),
    (9200, "elasticsearch"),
    (11211, "memcached"),
    (27017, "mongodb"),
];

/// Peers beyond this number are counted together, so that a service that calls the whole internet
/// does not fill the recording with names.
const MOST_PEERS: usize = 200;

/// Peers and what is known about them.
pub struct Peers {
    named: BTreeMap<SocketAddr, String>,
    /// Addresses on which a program on this machine listens.
    local: BTreeSet<SocketAddr>,
    labels: BTreeMap<SocketAddr, Labels>,
}

/// Reads names from the plan, each of the form `address:port=name`.
pub(in crate::collect) fn parse_names(
    names: &[String],
) -> Result<BTreeMap<SocketAddr, String>, OpenError> {
    let mut named = BTreeMap::new();
    for text in names {
        let parsed = text
            .split_once('=')
            .and_then(|(address, name)| Some((address.parse().ok()?, name.to_owned())));
        let Some((address, name)) = parsed else {
            return Err(OpenError::new(
                format!("`{text}` is not a valid name of a peer"),
                "write `address:port=name`, such as `10.0.3.7:8443=payments`",
            ));
        };
        named.insert(address, name);
    }
    Ok(named)
}

impl Peers {
    /// Takes names from the plan, each of the form `address:port=name`.
    pub fn new(names: &[String]) -> Result<Self, OpenError> {
        Ok(Self { named: parse_names(names)?, local: BTreeSet::new(), labels: BTreeMap::new() })
    }

    /// Records which addresses have a listener on this machine.
    pub fn learn<'s>(&mut self, sockets: impl Iterator<Item = &'s Socket>) {
        for socket in sockets.filter(|socket| socket.state == TcpState::Listen) {
            self.local.insert(socket.local);
        }
    }

    /// The labels of series about this peer: `peer` (its address and name) and `service` (what kind
    /// of service it is).
    pub fn labels(&mut self, peer: SocketAddr) -> Labels {
        if let Some(labels) = self.labels.get(&peer) {
            return labels.clone();
        }
        if self.labels.len() >= MOST_PEERS {
            return Labels::none().with("peer", "other");
        }
        let service = self.named.get(&peer).cloned().or_else(|| self.program(peer)).or_else(|| {
            KNOWN_PORTS
                .iter()
                .find(|(port, _)| *port == peer.port())
                .map(|(_, name)| (*name).into())
        });
        let labels = match service {
            Some(service) => {
                Labels::none().with("peer", format!("{peer} ({service})")).with("service", service)
            }
            None => Labels::none().with("peer", peer.to_string()),
        };
        self.labels.insert(peer, labels.clone());
        labels
    }

    /// Whether kneepoint may open a connection of its own to this peer: the plan names it, or it is
    /// a program on this machine.
    pub fn may_be_asked(&self, peer: SocketAddr) -> bool {
        self.named.contains_key(&peer) || self.is_here(peer)
    }

    /// Whether a program on this machine listens there.
    fn is_here(&self, peer: SocketAddr) -> bool {
        let is_listening = self.local.iter().any(|address| {
            let is_same = address.ip().to_canonical() == peer.ip().to_canonical();
            address.port() == peer.port() && (is_same || address.ip().is_unspecified())
        });
        // Another machine may have a listener on the same port.
        is_listening && is_own_address(peer.ip())
    }

    /// The name of the program that listens there, if it runs on this machine.
    fn program(&self, peer: SocketAddr) -> Option<String> {
        if !self.is_here(peer) {
            return None;
        }
        let tree = Tree::open(Wanted::Port(peer.port())).ok()?;
        let pid = tree.pids().next()?;
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        Some(name.trim().to_owned())
    }
}
