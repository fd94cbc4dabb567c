//! How the network treats the target's segments: how many are retransmitted, and how long a round
//! trip takes. Only connections that leave the machine count, because neither the loopback device nor
//! the pair of devices between two network namespaces of one machine loses anything.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::diag::Socket;
use super::turn::Role;
use crate::collect::proc::network::Addresses;
use crate::timeline::{BatchBuilder, Labels, names};

/// The addresses of the machine are read again for a new peer at most this often.
const ADDRESSES_EVERY: Duration = Duration::from_secs(10);
/// Peers beyond this number are forgotten, and looked up again.
const MOST_PEERS: usize = 10_000;

/// The connections of one role that leave the machine.
#[derive(Clone, Copy, Debug, Default)]
struct Traffic {
    segments: u64,
    again: u64,
    /// For the current look: the sum of round trips in seconds, and the number of connections.
    round_trips: f64,
    connections: u32,
}

/// The connections of the target that leave the machine, by role.
#[derive(Debug, Default)]
pub struct Paths {
    inbound: Traffic,
    outbound: Traffic,
    machine: Machine,
}

/// Which peers are in another network namespace of this machine.
#[derive(Debug, Default)]
struct Machine {
    peers: HashMap<IpAddr, bool>,
    addresses: Addresses,
    /// When the addresses were read; `None` before the first peer.
    read: Option<Instant>,
}

impl Machine {
    fn has(&mut self, peer: IpAddr) -> bool {
        if let Some(is_here) = self.peers.get(&peer) {
            return *is_here;
        }
        if self.read.is_none_or(|read| read.elapsed() >= ADDRESSES_EVERY) {
            self.read = Some(Instant::now());
            self.addresses = Addresses::read();
        }
        if self.peers.len() >= MOST_PEERS {
            self.peers.clear();
        }
        let is_here = self.addresses.contains(peer);
        self.peers.insert(peer, is_here);
        is_here
    }
}

impl Paths {
    /// Adds what `socket` has sent since the last look: `segments` of data, of which `again` were
    /// retransmitted.
    pub fn add(&mut self, role: Role, socket: &Socket, segments: u32, again: u32) {
        let ends = socket.local.ip().zip(socket.remote.ip());
        let machine = &mut self.machine;
        if !ends
            .is_some_and(|(local, remote)| leaves_machine(local, remote) && !machine.has(remote))
        {
            return;
        }
        let traffic = match role {
            Role::Inbound => &mut self.inbound,
            Role::Outbound => &mut self.outbound,
        };
        traffic.segments += u64::from(segments);
        traffic.again += u64::from(again);
        if socket.info.round_trip > 0 {
            traffic.round_trips += f64::from(socket.info.round_trip) * 1e-6;
            traffic.connections += 1;
        }
    }

    /// Ends a look.
    pub fn push(&mut self, batch: &mut BatchBuilder) {
        for (role, traffic) in [("inbound", &mut self.inbound), ("outbound", &mut self.outbound)] {
            let labels = Labels::none().with("role", role);
            let mut push = |metric, value| batch.push_labelled(metric, labels.clone(), value);
            push(&names::TCP_SEGMENTS_SENT, traffic.segments as f64);
            push(&names::TCP_RETRANSMITS, traffic.again as f64);
            if traffic.connections > 0 {
                push(&names::TCP_ROUND_TRIP, traffic.round_trips / f64::from(traffic.connections));
            }
            (traffic.round_trips, traffic.connections) = (0.0, 0);
        }
    }
}

/// Whether a connection leaves the machine. A machine reaches its own addresses over loopback.
fn leaves_machine(local: IpAddr, remote: IpAddr) -> bool {
    let (local, remote) = (local.to_canonical(), remote.to_canonical());
    !remote.is_loopback() && local != remote
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_leaves_the_machine_goes_over_a_link() {
        let leaves = |local: &str, remote: &str| {
            leaves_machine(local.parse().unwrap(), remote.parse().unwrap())
        };
        assert!(leaves("10.0.0.1", "10.0.0.2"));
        assert!(leaves("::ffff:10.0.0.1", "::ffff:10.0.0.2"));
        assert!(!leaves("127.0.0.1", "127.0.0.1"));
        assert!(!leaves("::ffff:127.0.0.1", "::ffff:127.0.0.2"));
        assert!(!leaves("10.0.0.1", "10.0.0.1"));
    }
}
