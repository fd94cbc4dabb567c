//! Finds where the target runs, although its address may be that of a forwarder, of another network
//! namespace, or of nobody at all (DNAT).
//!
//! A number of bytes is a fingerprint. Kneepoint opens one connection and sends the beginning of a
//! request, of a length that it draws, and never its end: no application gets to see it. Then it
//! looks in each network namespace of the machine for the socket that has received exactly so many
//! bytes, and sends some more to be sure. What has sent them on is a forwarder; what has not is the
//! target. A proxy that reads HTTP keeps the beginning to itself, so the trail ends there.
//!
//! Where kneepoint may not list the sockets of a namespace, the addresses and listeners of its
//! processes remain (`proc/network`).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rand::RngExt;

use super::proc::listen::listeners;
use super::proc::network::{Forwarder, Network, is_own_address};
use super::proc::{all_pids, socket_inodes};
use super::tcp::{Address, Lister, Socket, TcpState};

/// How long the connection to the target may take.
const CONNECT: Duration = Duration::from_secs(1);
/// What was sent arrives everywhere within this time, or there is no more to find.
const ARRIVES: Duration = Duration::from_millis(500);
/// A forwarder passes on what it got within this time.
const PASSED_ON: Duration = Duration::from_millis(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);
/// Lengths of the two parts in bytes. Servers refuse heads of more than 8 KiB (nginx
/// `large_client_header_buffers`, Tomcat `maxHttpHeaderSize`), and one line of 4 KiB is fine.
const FIRST: std::ops::Range<usize> = 1_000..3_500;
const SECOND: std::ops::Range<usize> = 100..500;
/// Bytes that the headers announce where a protocol announces a length, more than is ever sent.
const ANNOUNCED: u16 = 16_000;

/// How a connection to the target begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// With the head of a request.
    Http1,
    /// With the preface of HTTP/2.
    Http2,
    /// With a handshake of TLS.
    Tls,
}

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

/// Finds where what answers at `address` runs. Connects there where the machine has more than one
/// network namespace, or nobody listens on an address of its own.
pub fn locate(address: SocketAddr, opening: Opening) -> Located {
    let networks = Network::all();
    let is_own = is_own_address(address.ip());
    let simple = Located {
        is_local: is_own,
        network: Network::OWN,
        port: address.port(),
        forwarders: Vec::new(),
        is_hidden: false,
    };
    let listens =
        |network| listeners(network, address.port()).is_ok_and(|found| !found.inodes.is_empty());
    if networks.len() == 1 && (!is_own || listens(Network::OWN)) {
        return simple;
    }
    let mut hidden = BTreeSet::new();
    let mut views: Vec<View> = Vec::new();
    for network in networks {
        match Lister::open(network) {
            Ok(lister) => views.push(View { network, lister, sockets: Vec::new() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => {
                hidden.insert(network);
            }
        }
    }
    let hops = follow(address, opening, &mut views).unwrap_or_default();
    match hops.split_last() {
        Some((last, before)) if !last.network.is_own() || before.is_empty() => Located {
            is_local: true,
            network: last.network,
            port: last.address.port(),
            forwarders: before.to_vec(),
            ..simple
        },
        None if !is_own => {
            let with_address = Network::with_address(address.ip()).into_iter();
            let found: Vec<Network> = with_address.filter(|network| listens(*network)).collect();
            let [network] = found[..] else { return simple };
            Located { is_local: true, network, is_hidden: hidden.contains(&network), ..simple }
        }
        _ => simple,
    }
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

/// Sends the fingerprint and says where it went: the forwarders, then the target. Empty if that
/// cannot be told.
fn follow(address: SocketAddr, opening: Opening, views: &mut [View]) -> io::Result<Vec<Forwarder>> {
    let mut stream = TcpStream::connect_timeout(&address, CONNECT)?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(ARRIVES))?;
    let client = stream.local_addr()?;
    let mut random = rand::rng();
    let first = random.random_range(FIRST);
    stream.write_all(&beginning(opening, first))?;
    let seen = settle(views, client, first as u64)?;
    if seen.inbound.is_empty() {
        return Ok(Vec::new());
    }
    let second = random.random_range(SECOND);
    stream.write_all(&vec![b'a'; second])?;
    let confirmed = settle(views, client, (first + second) as u64)?;
    let is_confirmed =
        |marks: &[Mark], mark: &Mark| marks.iter().any(|it| it.cookie == mark.cookie);
    let marks = Marks {
        inbound: kept(confirmed.inbound, |mark| is_confirmed(&seen.inbound, mark)),
        outbound: kept(confirmed.outbound, |mark| is_confirmed(&seen.outbound, mark)),
    };
    let owners = owners_of(&marks);
    Ok(order(&marks, client, |one, other| {
        let of = |mark: &Mark| owners.get(&mark.inode);
        of(one).zip(of(other)).is_some_and(|(one, other)| !one.is_disjoint(other))
    }))
}

fn kept(marks: Vec<Mark>, keep: impl Fn(&Mark) -> bool) -> Vec<Mark> {
    marks.into_iter().filter(|mark| keep(mark)).collect()
}

/// The sockets with exactly `bytes`, once no more of them appear.
fn settle(views: &mut [View], client: SocketAddr, bytes: u64) -> io::Result<Marks> {
    let began = Instant::now();
    let (mut marks, mut since) = (Marks::default(), began);
    loop {
        thread::sleep(LOOK);
        let now = look(views, client, bytes)?;
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
fn look(views: &mut [View], client: SocketAddr, bytes: u64) -> io::Result<Marks> {
    let mut marks = Marks::default();
    for view in views {
        view.sockets.clear();
        view.lister.list(&mut view.sockets)?;
        mark(view.network, &view.sockets, client, bytes, &mut marks);
    }
    Ok(marks)
}

fn mark(network: Network, sockets: &[Socket], client: SocketAddr, bytes: u64, marks: &mut Marks) {
    let listening: BTreeSet<u16> = sockets
        .iter()
        .filter(|socket| socket.state == TcpState::Listen)
        .filter_map(|socket| ip(&socket.local))
        .map(|address| address.port())
        .collect();
    for socket in sockets.iter().filter(|socket| socket.state != TcpState::Listen) {
        let Some((local, remote)) = ip(&socket.local).zip(ip(&socket.remote)) else { continue };
        let mark = Mark { network, cookie: socket.cookie, inode: socket.inode, local, remote };
        let is_clients = network.is_own() && local == canonical(client);
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

/// The first `length` bytes of a connection, which no server answers before more has come.
fn beginning(opening: Opening, length: usize) -> Vec<u8> {
    let [high, low] = ANNOUNCED.to_be_bytes();
    let mut bytes = match opening {
        Opening::Http1 => {
            b"GET / HTTP/1.1\r\nHost: localhost\r\nx-kneepoint: synthetic\r\nx-padding: ".to_vec()
        }
        // The preface, empty settings, and a frame of an unknown type, which is ignored (RFC 9113,
        // 3.4 and 4.1).
        Opening::Http2 => [
            &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
            &[0, 0, 0, 4, 0, 0, 0, 0, 0],
            &[0, high, low, 0xf0, 0, 0, 0, 0, 0],
        ]
        .concat(),
        // A record of a handshake with a ClientHello (RFC 8446, 4 and 5.1).
        Opening::Tls => {
            let [inner_high, inner_low] = (ANNOUNCED - 4).to_be_bytes();
            vec![22, 3, 1, high, low, 1, 0, inner_high, inner_low, 3, 3]
        }
    };
    bytes.resize(length, b'a');
    bytes
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;

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

    #[test]
    fn a_forwarder_of_this_process_is_followed_to_the_end() {
        let end = TcpListener::bind("127.0.0.1:0").unwrap();
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let (last, first) = (end.local_addr().unwrap(), door.local_addr().unwrap());
        thread::spawn(move || {
            let (mut client, _) = door.accept().unwrap();
            let mut server = TcpStream::connect(last).unwrap();
            let _passed = io::copy(&mut client, &mut server).is_ok();
        });
        let reader = thread::spawn(move || {
            let mut bytes = Vec::new();
            end.accept().unwrap().0.read_to_end(&mut bytes).unwrap();
            bytes.len()
        });
        let lister = Lister::open(Network::OWN).unwrap();
        let mut views = [View { network: Network::OWN, lister, sockets: Vec::new() }];
        // One process holds all sockets here, so all of them look like a forwarder's.
        assert!(follow(first, Opening::Http1, &mut views).unwrap().is_empty());
        let length = reader.join().unwrap();
        assert!((FIRST.start + SECOND.start..FIRST.end + SECOND.end).contains(&length), "{length}");
    }

    #[test]
    fn a_listener_of_this_machine_is_the_target_itself() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let lister = Lister::open(Network::OWN).unwrap();
        let mut views = [View { network: Network::OWN, lister, sockets: Vec::new() }];
        let hops = follow(address, Opening::Tls, &mut views).unwrap();
        assert_eq!(hops, [Forwarder { network: Network::OWN, address }]);
        let located = locate(address, Opening::Http1);
        assert!(located.is_local && located.network.is_own() && located.forwarders.is_empty());
        assert_eq!(located.port, address.port());
    }

    #[test]
    fn a_beginning_has_the_length_that_was_drawn_and_no_end() {
        for opening in [Opening::Http1, Opening::Http2, Opening::Tls] {
            let bytes = beginning(opening, 1_234);
            assert_eq!(bytes.len(), 1_234);
        }
        let head = beginning(Opening::Http1, 1_000);
        assert!(!head.windows(4).any(|part| part == b"\r\n\r\n"));
        assert!(usize::from(ANNOUNCED) > FIRST.end + SECOND.end);
    }
}
