//! Looks for the sockets that have received or sent a fingerprint, in every network namespace of this
//! machine.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::collect::proc::network::{Forwarder, Network};
use crate::collect::proc::{all_pids, socket_inodes};
use crate::collect::tcp::{Address, Lister, Socket, TcpState};

/// What was sent arrives everywhere within this time, or there is no more to find.
const ARRIVES: Duration = Duration::from_millis(500);
/// A forwarder passes on what it got within this time.
const PASSED_ON: Duration = Duration::from_millis(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// Where the target runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Located {
    /// Whether on this machine.
    pub is_local: bool,
    /// In which network namespace.
    pub network: Network,
    /// The port on which it listens there.
    pub port: u16,
    /// What passes the load on to it, from the load on; empty where all of it is in kneepoint's own
    /// namespace, whose services the collector `chain` follows.
    pub forwarders: Vec<Forwarder>,
    /// Whether kneepoint lacks the rights to list the sockets of that namespace.
    pub is_hidden: bool,
}

/// The sockets of one namespace.
struct View {
    network: Network,
    lister: Lister,
    sockets: Vec<Socket>,
}

/// A socket that has received or sent the fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    network: Network,
    cookie: u64,
    inode: u32,
    local: SocketAddr,
    remote: SocketAddr,
}

/// The sockets that the fingerprint was seen on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Marks {
    /// Accepted ones that have received it.
    inbound: Vec<Mark>,
    /// Those that have sent it, kneepoint's own left out.
    outbound: Vec<Mark>,
}

/// The search for one fingerprint.
pub struct SocketSearch {
    views: Vec<View>,
    hidden: BTreeSet<Network>,
    /// Whether the fingerprint is sent from kneepoint's own namespace.
    is_sent_here: bool,
    /// What was seen at each look.
    seen: Option<Marks>,
}

impl SocketSearch {
    /// In every network namespace of this machine. `is_sent_here` tells whether the fingerprint comes
    /// from kneepoint's own namespace.
    pub fn new(is_sent_here: bool) -> Self {
        Self::within(Network::all(), is_sent_here)
    }

    /// In these namespaces.
    pub fn within(networks: BTreeSet<Network>, is_sent_here: bool) -> Self {
        let mut search =
            Self { views: Vec::new(), hidden: BTreeSet::new(), is_sent_here, seen: None };
        for network in networks {
            match Lister::open(network) {
                Ok(lister) => search.views.push(View { network, lister, sockets: Vec::new() }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(_) => {
                    search.hidden.insert(network);
                }
            }
        }
        search
    }

    /// Whether kneepoint lacks the rights to list the sockets of a namespace.
    pub fn is_hidden(&self, network: Network) -> bool {
        self.hidden.contains(&network)
    }

    /// Looks for the sockets that have `bytes` by now and had what was looked for before. `client` is
    /// the end that sends. Returns whether any has received them.
    ///
    /// # Errors
    /// If the kernel does not list the sockets.
    pub fn look(&mut self, client: SocketAddr, bytes: u64) -> io::Result<bool> {
        let now = self.settle(client, bytes)?;
        let had = |marks: &[Mark], mark: &Mark| marks.iter().any(|it| it.cookie == mark.cookie);
        let marks = match &self.seen {
            None => now,
            Some(seen) => Marks {
                inbound: kept(now.inbound, |mark| had(&seen.inbound, mark)),
                outbound: kept(now.outbound, |mark| had(&seen.outbound, mark)),
            },
        };
        let is_found = !marks.inbound.is_empty();
        self.seen = Some(marks);
        Ok(is_found)
    }

    /// Where the fingerprint went: the forwarders, then the target. Empty if that cannot be told.
    pub fn hops(&self, client: SocketAddr) -> Vec<Forwarder> {
        let Some(marks) = &self.seen else { return Vec::new() };
        let owners = owners_of(marks);
        order(marks, client, |one, other| {
            let of = |mark: &Mark| owners.get(&mark.inode);
            of(one).zip(of(other)).is_some_and(|(one, other)| !one.is_disjoint(other))
        })
    }

    /// Where the target is, for a sender on another host; `None` if it is not here.
    pub fn located(&self, client: SocketAddr) -> Option<Located> {
        let hops = self.hops(client);
        let (last, before) = hops.split_last()?;
        let (target, forwarders) = match hops.first() {
            // The collector `chain` follows what is behind it.
            Some(first) if last.network.is_own() => (first, Vec::new()),
            _ => (last, before.to_vec()),
        };
        Some(Located {
            is_local: true,
            network: target.network,
            port: target.address.port(),
            forwarders,
            is_hidden: self.is_hidden(target.network),
        })
    }

    /// The sockets with exactly `bytes`, once no more of them appear.
    fn settle(&mut self, client: SocketAddr, bytes: u64) -> io::Result<Marks> {
        let began = Instant::now();
        let (mut marks, mut since) = (Marks::default(), began);
        loop {
            thread::sleep(LOOK);
            let now = self.marks(client, bytes)?;
            if now != marks {
                (marks, since) = (now, Instant::now());
            }
            let is_settled = !marks.inbound.is_empty() && since.elapsed() >= PASSED_ON;
            if is_settled || began.elapsed() >= ARRIVES {
                return Ok(marks);
            }
        }
    }

    /// The sockets that have received or sent exactly `bytes` so far.
    fn marks(&mut self, client: SocketAddr, bytes: u64) -> io::Result<Marks> {
        let mut marks = Marks::default();
        for view in &mut self.views {
            view.sockets.clear();
            view.lister.list(&mut view.sockets)?;
            let is_clients = !self.is_sent_here || view.network.is_own();
            let client = is_clients.then(|| canonical(client));
            mark(view.network, &view.sockets, client, bytes, &mut marks);
        }
        Ok(marks)
    }
}

fn kept(marks: Vec<Mark>, keep: impl Fn(&Mark) -> bool) -> Vec<Mark> {
    marks.into_iter().filter(|mark| keep(mark)).collect()
}

/// Adds the sockets with exactly `bytes`. That of the client, if it may be among them, is not one.
fn mark(
    network: Network,
    sockets: &[Socket],
    client: Option<SocketAddr>,
    bytes: u64,
    marks: &mut Marks,
) {
    let listening: BTreeSet<u16> = sockets
        .iter()
        .filter(|socket| socket.state == TcpState::Listen)
        .filter_map(|socket| ip(&socket.local))
        .map(|address| address.port())
        .collect();
    for socket in sockets.iter().filter(|socket| socket.state != TcpState::Listen) {
        let Some((local, remote)) = ip(&socket.local).zip(ip(&socket.remote)) else { continue };
        let mark = Mark { network, cookie: socket.cookie, inode: socket.inode, local, remote };
        let is_clients = client == Some(local);
        if socket.info.bytes_received == bytes && listening.contains(&local.port()) {
            marks.inbound.push(mark);
        } else if socket.info.bytes_sent == bytes && !is_clients {
            marks.outbound.push(mark);
        }
    }
}

fn ip(address: &Address) -> Option<SocketAddr> {
    if let Address::Ip(address) = address { Some(canonical(*address)) } else { None }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The processes that hold each of the sockets, by inode.
fn owners_of(marks: &Marks) -> BTreeMap<u32, BTreeSet<u32>> {
    let all = marks.inbound.iter().chain(&marks.outbound).map(|mark| mark.inode);
    let wanted: BTreeSet<u32> = all.filter(|inode| *inode != 0).collect();
    let mut owners: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    for pid in all_pids() {
        let inodes = socket_inodes(pid).filter_map(|inode| u32::try_from(inode).ok());
        for inode in inodes.filter(|inode| wanted.contains(inode)) {
            owners.entry(inode).or_default().insert(pid);
        }
    }
    owners
}

/// The way of the fingerprint: from the client on over what has sent it on to the one that has not.
/// Empty if not exactly one has kept it. `is_same` tells whether one process holds both sockets.
fn order(
    marks: &Marks,
    client: SocketAddr,
    is_same: impl Fn(&Mark, &Mark) -> bool,
) -> Vec<Forwarder> {
    let sent_on = |mark: &Mark| marks.outbound.iter().find(|sent| is_same(mark, sent));
    let (mut passing, mut ends): (Vec<&Mark>, Vec<&Mark>) =
        marks.inbound.iter().partition(|mark| sent_on(mark).is_some());
    // What was reached first has passed the bytes on in a way that no TCP socket shows, such as a UNIX
    // socket, or kneepoint may not read who owns its sockets.
    let door = ends.iter().position(|mark| mark.remote == canonical(client));
    if let Some(door) = door.filter(|_| ends.len() > 1) {
        passing.push(ends.remove(door));
    }
    let [end] = ends[..] else { return Vec::new() };
    let (mut hops, mut from) = (Vec::new(), Some(canonical(client)));
    while !passing.is_empty() {
        // Where the source is rewritten on the way, nothing tells the order of the rest.
        let next = passing.iter().position(|mark| Some(mark.remote) == from).unwrap_or(0);
        let mark = passing.remove(next);
        from = sent_on(mark).map(|sent| sent.local);
        hops.push(mark);
    }
    hops.push(end);
    hops.iter().map(|mark| Forwarder { network: mark.network, address: mark.local }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(inode: u32, local: &str, remote: &str) -> Mark {
        Mark {
            network: Network::OWN,
            cookie: u64::from(inode),
            inode,
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
        }
    }

    fn ports(hops: &[Forwarder]) -> Vec<u16> {
        hops.iter().map(|hop| hop.address.port()).collect()
    }

    #[test]
    fn the_way_leads_over_the_forwarders_to_the_one_that_keeps_the_bytes() {
        let marks = Marks {
            inbound: vec![
                mark(30, "10.0.0.2:82", "10.0.0.1:5002"),
                mark(20, "127.0.0.1:81", "127.0.0.1:5001"),
                mark(10, "127.0.0.1:80", "127.0.0.1:5000"),
            ],
            outbound: vec![
                mark(11, "127.0.0.1:5001", "127.0.0.1:81"),
                mark(21, "10.0.0.1:5002", "10.0.0.2:82"),
            ],
        };
        let client = "127.0.0.1:5000".parse().unwrap();
        let is_same = |one: &Mark, other: &Mark| one.inode / 10 == other.inode / 10;
        assert_eq!(ports(&order(&marks, client, is_same)), [80, 81, 82]);
        // Nobody may say who owns the sockets: three have got the bytes, and any may be the target.
        assert!(order(&marks, client, |_, _| false).is_empty());
        let two = Marks { inbound: marks.inbound[1..].to_vec(), outbound: Vec::new() };
        assert_eq!(ports(&order(&two, client, |_, _| false)), [80, 81]);
        let direct = Marks { inbound: vec![marks.inbound[2].clone()], outbound: Vec::new() };
        assert_eq!(ports(&order(&direct, client, |_, _| false)), [80]);
        assert!(order(&Marks::default(), client, is_same).is_empty());
    }
}
