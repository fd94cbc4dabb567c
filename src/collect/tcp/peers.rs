//! Names for the target's peers: from the plan, from the program that listens there on this
//! machine, or from the well-known port.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use super::address::Address;
use super::diag::{Socket, TcpState};
use crate::collect::OpenError;
use crate::collect::proc::network::{Network, is_own_address};
use crate::collect::proc::tree::Tree;
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

/// How PostgreSQL and its poolers name their sockets, before the number of the port
/// (`unix_socket_directories` in PostgreSQL's manual).
const POSTGRES_SOCKET: &str = "/.s.PGSQL.";

/// Peers beyond this number are counted together, so that a service that calls the whole internet
/// does not fill the recording with names.
const MOST_PEERS: usize = 200;

/// Peers and what is known about them.
pub struct Peers {
    /// The namespace from which they are called.
    network: Network,
    /// Its addresses, where it is another than kneepoint's own.
    addresses: BTreeSet<IpAddr>,
    named: BTreeMap<Address, String>,
    /// Addresses on which a program in this namespace listens.
    local: BTreeSet<SocketAddr>,
    /// The other namespaces in which peers are.
    elsewhere: BTreeMap<IpAddr, Option<Network>>,
    labels: BTreeMap<Address, Labels>,
}

/// Reads names from the plan, each of the form `address:port=name` or `unix:path=name`.
pub(in crate::collect) fn parse_names(
    names: &[String],
) -> Result<BTreeMap<Address, String>, OpenError> {
    let mut named = BTreeMap::new();
    for text in names {
        let parsed = text
            .split_once('=')
            .and_then(|(address, name)| Some((address.parse().ok()?, name.to_owned())));
        let Some((address, name)) = parsed else {
            return Err(OpenError::new(
                format!("`{text}` is not a valid name of a peer"),
                "write `address:port=name`, such as `10.0.3.7:8443=payments`, or `unix:path=name`",
            ));
        };
        named.insert(address, name);
    }
    Ok(named)
}

impl Peers {
    /// The peers of a service in `network`. Takes names from the plan, see [`parse_names`].
    pub fn new(names: &[String], network: Network) -> Result<Self, OpenError> {
        Ok(Self {
            network,
            addresses: addresses_of(network),
            named: parse_names(names)?,
            local: BTreeSet::new(),
            elsewhere: BTreeMap::new(),
            labels: BTreeMap::new(),
        })
    }

    /// The service is in `network` from now on.
    pub fn move_to(&mut self, network: Network) {
        if network != self.network {
            self.network = network;
            self.addresses = addresses_of(network);
            self.local.clear();
            self.elsewhere.clear();
            self.labels.clear();
        }
    }

    /// Records which addresses have a listener in the service's namespace.
    pub fn learn<'s>(&mut self, sockets: impl Iterator<Item = &'s Socket>) {
        for socket in sockets.filter(|socket| socket.state == TcpState::Listen) {
            if let Address::Ip(address) = socket.local {
                self.local.insert(address);
            }
        }
    }

    /// The labels of series about this peer: `peer` (its address and name) and `service` (what kind
    /// of service it is).
    pub fn labels(&mut self, peer: &Address) -> Labels {
        if let Some(labels) = self.labels.get(peer) {
            return labels.clone();
        }
        if self.labels.len() >= MOST_PEERS {
            return Labels::none().with("peer", "other");
        }
        let named = self.named.get(peer).cloned();
        let service = named.or_else(|| self.program(peer));
        let service = service.or_else(|| known_service(peer).map(str::to_owned));
        let labels = match service {
            Some(service) => {
                Labels::none().with("peer", format!("{peer} ({service})")).with("service", service)
            }
            None => Labels::none().with("peer", peer.to_string()),
        };
        self.labels.insert(peer.clone(), labels.clone());
        labels
    }

    /// Whether kneepoint may open a connection of its own to this peer: the plan names it, or it is
    /// a program on this machine.
    pub fn may_be_asked(&mut self, peer: SocketAddr) -> bool {
        let is_named = self.named.contains_key(&Address::Ip(peer));
        is_named || self.is_here(peer) || self.elsewhere(peer.ip()).is_some()
    }

    /// Whether a program in the service's own namespace listens there.
    fn is_here(&self, peer: SocketAddr) -> bool {
        let is_listening = self.local.iter().any(|address| {
            let is_same = address.ip().to_canonical() == peer.ip().to_canonical();
            address.port() == peer.port() && (is_same || address.ip().is_unspecified())
        });
        // Another machine may have a listener on the same port.
        is_listening && self.is_own(peer.ip())
    }

    fn is_own(&self, ip: IpAddr) -> bool {
        match self.network.is_own() {
            true => is_own_address(ip),
            false => ip.is_loopback() || self.addresses.contains(&ip.to_canonical()),
        }
    }

    /// The other namespace of this machine that has the peer's address, if only one has it.
    fn elsewhere(&mut self, ip: IpAddr) -> Option<Network> {
        if let Some(known) = self.elsewhere.get(&ip) {
            return *known;
        }
        if self.elsewhere.len() >= MOST_PEERS {
            return None;
        }
        let found = match self.is_own(ip) {
            true => Vec::new(),
            false => Network::with_address(ip),
        };
        let only = if let [network] = found.as_slice() { Some(*network) } else { None };
        self.elsewhere.insert(ip, only);
        only
    }

    /// The name of the program that listens there, if it runs on this machine.
    fn program(&mut self, peer: &Address) -> Option<String> {
        let network = match peer {
            Address::Ip(address) if !self.is_here(*address) => self.elsewhere(address.ip())?,
            _ => self.network,
        };
        let tree = Tree::open(peer.port().wanted(), network).ok()?;
        let pid = tree.pids().next()?;
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        Some(name.trim().to_owned())
    }
}

/// The addresses of a namespace, where kneepoint cannot try them itself.
fn addresses_of(network: Network) -> BTreeSet<IpAddr> {
    if network.is_own() { BTreeSet::new() } else { network.addresses() }
}

/// The service that is well known to listen there.
fn known_service(peer: &Address) -> Option<&'static str> {
    let of_port = |port: u16| KNOWN_PORTS.iter().find(|known| known.0 == port).map(|known| known.1);
    match peer {
        Address::Ip(address) => of_port(address.port()),
        Address::Unix(path) => {
            let (_, port) = path.rsplit_once(POSTGRES_SOCKET)?;
            let pooler = port.parse().ok().and_then(of_port).filter(|name| *name == "pgbouncer");
            Some(pooler.unwrap_or("postgres"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_of_postgres_is_known_by_its_name() {
        let known = |peer: &str| known_service(&peer.parse().unwrap());
        assert_eq!(known("10.0.0.1:6379"), Some("redis"));
        assert_eq!(known("unix:/var/run/postgresql/.s.PGSQL.5432"), Some("postgres"));
        assert_eq!(known("unix:/tmp/.s.PGSQL.39753"), Some("postgres"));
        assert_eq!(known("unix:/tmp/.s.PGSQL.6432"), Some("pgbouncer"));
        assert_eq!(known("unix:/run/php.sock"), None);
    }

    #[test]
    fn a_path_may_have_a_name() {
        let names = parse_names(&["unix:/run/a.sock=pay".to_owned()]).unwrap();
        assert_eq!(names.get(&"unix:/run/a.sock".parse().unwrap()).unwrap(), "pay");
        assert!(parse_names(&["unix:=pay".to_owned()]).is_err());
    }
}
