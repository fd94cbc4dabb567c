//! The UNIX stream sockets of one network namespace, with the path that each leads to. The layouts
//! are those of `linux/unix_diag.h` (man 7 sock_diag).
//!
//! Only what was accepted under a path bears it. A client's end has no name, but the inode of its
//! peer; while it waits to be accepted, the listener tells the client's inode. So a connection is
//! told from both ends together.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::address::Address;
use super::diag::{Socket, TcpInfo, TcpState};
use super::netlink::{Netlink, attribute, u32_at};

/// Lengths of `unix_diag_req` and `unix_diag_msg`.
const REQUEST: usize = 24;
const MESSAGE: usize = 16;
/// What to show: `UDIAG_SHOW_NAME`, `UDIAG_SHOW_PEER`, `UDIAG_SHOW_ICONS`, `UDIAG_SHOW_RQLEN`.
const SHOW_NAME: u32 = 0x01;
const SHOW_PEER: u32 = 0x04;
const SHOW_WAITING: u32 = 0x08;
const SHOW_QUEUES: u32 = 0x10;
/// Attributes: `UNIX_DIAG_NAME`, `_PEER`, `_ICONS`, `_RQLEN` and `_SHUTDOWN`.
const NAME: u16 = 0;
const PEER: u16 = 2;
const WAITING: u16 = 3;
const QUEUES: u16 = 4;
const SHUTDOWN: u16 = 6;
/// What a socket can no longer do (`RCV_SHUTDOWN`, `SEND_SHUTDOWN` of include/net/sock.h).
const NO_RECEIVING: u8 = 1;
const NO_SENDING: u8 = 2;
/// Where the system itself listens: logs and buses, to which nearly every service is connected and
/// for which no request waits (file-hierarchy(7), D-Bus Specification: "Well-known Message Bus
/// Instances").
const SYSTEM: [&str; 5] =
    ["/run/systemd/", "/run/dbus/", "/var/run/dbus/", "@/tmp/dbus-", "@/tmp/.X11-unix/"];

/// Lists UNIX sockets, and remembers what one look needs of the last.
#[derive(Debug, Default)]
pub struct UnixSockets {
    /// How many listened at the last look.
    listened: usize,
}

/// What one message of the kernel says.
struct Entry<'m> {
    state: TcpState,
    inode: u32,
    cookie: u64,
    name: &'m [u8],
    peer: u32,
    /// Inodes of clients that wait to be accepted.
    waiting: &'m [u8],
    receive_queue: u32,
    send_queue: u32,
}

/// The paths on which anybody listens, by name; `None` for those of the system.
type Paths = HashMap<Vec<u8>, Option<Arc<str>>>;

impl UnixSockets {
    /// Appends the listeners and every connection that leads to one of them to `sockets`.
    pub fn list(&mut self, netlink: &mut Netlink, sockets: &mut Vec<Socket>) -> io::Result<()> {
        let mut begun = Vec::new();
        let mut found = listeners(netlink, SHOW_WAITING, &mut begun)?;
        // The kernel ends its answer early where the clients of one listener do not fit into a
        // message.
        if begun.len() < self.listened {
            begun.clear();
            found = listeners(netlink, 0, &mut begun)?;
        }
        self.listened = begun.len();
        let (paths, waiting) = found;
        sockets.extend(begun.into_iter().flatten());
        if paths.values().any(Option::is_some) {
            connections(netlink, &paths, &waiting, sockets)?;
        }
        Ok(())
    }
}

/// The paths of all listeners, and for each client that waits to be accepted where it does. Each
/// listener is added to `sockets`, one of the system as nothing.
fn listeners(
    netlink: &mut Netlink,
    show: u32,
    sockets: &mut Vec<Option<Socket>>,
) -> io::Result<(Paths, HashMap<u32, Arc<str>>)> {
    let (mut paths, mut waiting) = (Paths::new(), HashMap::new());
    let unnamed: Arc<str> = Arc::from("");
    netlink.dump(&request(TcpState::Listen, show), |message| {
        let Some(entry) = entry(message).filter(|entry| !entry.name.is_empty()) else { return };
        let path = paths.entry(entry.name.to_vec()).or_insert_with(|| path_of(entry.name));
        if let Some(path) = &*path {
            let clients = entry.waiting.chunks_exact(4).map(|inode| u32_at(inode, 0));
            waiting.extend(clients.map(|inode| (inode, Arc::clone(path))));
        }
        sockets.push(path.as_ref().map(|path| entry.socket(path, &unnamed)));
    })?;
    // A client that gave up while it waited has no inode any more.
    waiting.remove(&0);
    Ok((paths, waiting))
}

/// Adds both ends of each connection that leads to one of `paths`.
fn connections(
    netlink: &mut Netlink,
    paths: &Paths,
    waiting: &HashMap<u32, Arc<str>>,
    sockets: &mut Vec<Socket>,
) -> io::Result<()> {
    let unnamed: Arc<str> = Arc::from("");
    let mut accepted: HashMap<u32, Arc<str>> = HashMap::new();
    let mut clients: Vec<(u32, Socket)> = Vec::new();
    netlink.dump(&request(TcpState::Established, SHOW_PEER), |message| {
        let Some(entry) = entry(message) else { return };
        match paths.get(entry.name) {
            Some(Some(path)) => {
                accepted.insert(entry.inode, Arc::clone(path));
                sockets.push(entry.socket(path, &unnamed));
            }
            Some(None) => {}
            None => clients.push((entry.peer, entry.socket(&unnamed, &unnamed))),
        }
    })?;
    let called = clients.into_iter().filter_map(|(peer, socket)| {
        let path = accepted.get(&peer).or_else(|| waiting.get(&socket.inode))?;
        Some(Socket { remote: Address::Unix(Arc::clone(path)), ..socket })
    });
    sockets.extend(called);
    Ok(())
}

fn request(state: TcpState, show: u32) -> [u8; REQUEST] {
    let mut request = [0; REQUEST];
    request[0] = libc::AF_UNIX as u8;
    request[4..8].copy_from_slice(&(1u32 << (state as u8)).to_ne_bytes());
    request[12..16].copy_from_slice(&(SHOW_NAME | SHOW_QUEUES | show).to_ne_bytes());
    request
}

fn entry(message: &[u8]) -> Option<Entry<'_>> {
    let attributes = message.get(MESSAGE..)?;
    if i32::from(message[1]) != libc::SOCK_STREAM {
        return None;
    }
    let shutdown = attribute(attributes, SHUTDOWN).and_then(|it| it.first()).copied().unwrap_or(0);
    let queues = attribute(attributes, QUEUES).unwrap_or_default();
    Some(Entry {
        state: state(message[2], shutdown)?,
        inode: u32_at(message, 4),
        cookie: u64::from(u32_at(message, 8)) | u64::from(u32_at(message, 12)) << 32,
        name: attribute(attributes, NAME).map(trimmed).unwrap_or_default(),
        peer: attribute(attributes, PEER).map_or(0, |peer| u32_at(peer, 0)),
        waiting: attribute(attributes, WAITING).unwrap_or_default(),
        receive_queue: u32_at(queues, 0),
        send_queue: u32_at(queues, 4),
    })
}

/// The state as TCP would have it. The kernel has no state of its own for an end that is half
/// closed.
fn state(number: u8, shutdown: u8) -> Option<TcpState> {
    match number {
        number if number == TcpState::Listen as u8 => Some(TcpState::Listen),
        number if number != TcpState::Established as u8 => None,
        _ if shutdown & NO_RECEIVING != 0 => Some(TcpState::CloseWait),
        _ if shutdown & NO_SENDING != 0 => Some(TcpState::FinWait2),
        _ => Some(TcpState::Established),
    }
}

/// The name without the zero that ends a path. An abstract name begins with a zero and may hold
/// more.
fn trimmed(name: &[u8]) -> &[u8] {
    match name {
        [] | [0, ..] => name,
        path => path.split(|byte| *byte == 0).next().unwrap_or_default(),
    }
}

/// The name as text; `None` for one of the system.
fn path_of(name: &[u8]) -> Option<Arc<str>> {
    let is_abstract = name.first() == Some(&0);
    let shown: Vec<u8> =
        name.iter().map(|byte| if is_abstract && *byte == 0 { b'@' } else { *byte }).collect();
    let text = String::from_utf8_lossy(&shown).replace(char::is_control, "\u{fffd}");
    (!SYSTEM.iter().any(|system| text.starts_with(system))).then(|| text.into())
}

impl Entry<'_> {
    fn socket(&self, local: &Arc<str>, remote: &Arc<str>) -> Socket {
        Socket {
            state: self.state,
            local: Address::Unix(Arc::clone(local)),
            remote: Address::Unix(Arc::clone(remote)),
            cookie: self.cookie,
            inode: self.inode,
            receive_queue: self.receive_queue,
            send_queue: self.send_queue,
            info: TcpInfo::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

    use super::super::netlink::parse;
    use super::*;
    use crate::collect::proc::network::Network;

    fn listed() -> Vec<Socket> {
        let mut sockets = Vec::new();
        let mut netlink = Netlink::open(Network::OWN).unwrap();
        UnixSockets::default().list(&mut netlink, &mut sockets).unwrap();
        sockets
    }

    fn inode(socket: &impl AsRawFd) -> u32 {
        let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
        let link = link.to_str().unwrap();
        link.trim_start_matches("socket:[").trim_end_matches(']').parse().unwrap()
    }

    fn find<'s>(sockets: &'s [Socket], socket: &impl AsRawFd) -> Option<&'s Socket> {
        let inode = inode(socket);
        sockets.iter().find(|socket| socket.inode == inode)
    }

    #[test]
    fn both_ends_of_a_connection_lead_to_the_path_of_its_listener() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a b.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let mut client = UnixStream::connect(&path).unwrap();
        let mut server = listener.accept().unwrap().0;
        client.write_all(b"hello").unwrap();
        let waits = UnixStream::connect(&path).unwrap();
        let (pair, _other) = UnixStream::pair().unwrap();
        let sockets = listed();
        let address: Address = format!("unix:{}", path.display()).parse().unwrap();
        let listen = find(&sockets, &listener).unwrap();
        assert_eq!((listen.state, &listen.local), (TcpState::Listen, &address));
        assert_eq!(listen.receive_queue, 1, "one connection waits to be accepted");
        assert!(listen.send_queue > 1, "it has a limit");
        let accepted = find(&sockets, &server).unwrap();
        assert_eq!((accepted.state, &accepted.local), (TcpState::Established, &address));
        assert_eq!(accepted.unread_bytes(), 5);
        for calling in [&client, &waits] {
            let called = find(&sockets, calling).unwrap();
            assert_eq!((called.state, &called.remote), (TcpState::Established, &address));
        }
        assert_eq!(find(&sockets, &pair), None, "a pair leads nowhere");

        server.read_exact(&mut [0; 5]).unwrap();
        drop(client);
        let sockets = listed();
        let accepted = find(&sockets, &server).unwrap();
        assert_eq!((accepted.state, accepted.unread_bytes()), (TcpState::CloseWait, 0));
    }

    #[test]
    fn an_abstract_name_is_written_as_ss_writes_it() {
        let name = format!("kneepoint-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        let client = UnixStream::connect_addr(&address).unwrap();
        let sockets = listed();
        let shown: Address = format!("unix:@{name}").parse().unwrap();
        assert_eq!(find(&sockets, &listener).unwrap().local, shown);
        assert_eq!(find(&sockets, &client).unwrap().remote, shown, "it waits to be accepted");
        assert_eq!(path_of(b"\0a\0b").as_deref(), Some("@a@b"));
        assert_eq!(path_of(b"/run/a\nb").as_deref(), Some("/run/a\u{fffd}b"));
        assert_eq!(path_of(b"/run/systemd/journal/stdout"), None);
    }

    #[test]
    fn an_answer_that_ends_early_is_asked_for_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let _waits = UnixStream::connect(&path).unwrap();
        let mut netlink = Netlink::open(Network::OWN).unwrap();
        let mut all = UnixSockets { listened: usize::MAX };
        let mut sockets = Vec::new();
        all.list(&mut netlink, &mut sockets).unwrap();
        assert!(find(&sockets, &listener).is_some());
        assert!(all.listened < usize::MAX);
    }

    #[test]
    fn a_short_or_broken_datagram_is_no_socket_and_no_panic() {
        for length in 0..200 {
            for byte in [0, 1, 4, 10, 0x7f, 0xff] {
                let bytes = vec![byte; length];
                let mut names = 0;
                let mut each = |message: &[u8]| {
                    names += entry(message).map_or(0, |entry| entry.name.len());
                };
                let _outcome = parse(&bytes, &mut each).is_ok();
                each(&bytes);
                assert!(names <= 2 * length);
            }
            assert!(entry(&vec![0xff; length]).is_none());
        }
    }
}
