//! The TCP sockets of one network namespace with their kernel state. The layouts are those of
//! `linux/inet_diag.h` and `linux/tcp.h`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;

use super::address::Address;
use super::netlink::{Families, Netlink, TCPDIAG_GETSOCK, attribute, u32_at};
use super::own_page::without;

const INET_DIAG_INFO: u16 = 2;
/// Lengths of `inet_diag_req_v2`, of the older `inet_diag_req` and of `inet_diag_msg`.
const REQUEST: usize = 56;
const OLD_REQUEST: usize = 60;
const MESSAGE: usize = 72;
/// The lower and the upper half of `tcpi_bytes_received`.
const BYTES_RECEIVED: (usize, usize) = halves(128);
/// The same of `tcpi_bytes_sent` and `tcpi_bytes_retrans` (Linux 4.19 and later).
const BYTES_SENT: (usize, usize) = halves(200);
const BYTES_RETRANSMITTED: (usize, usize) = halves(208);

/// Where the lower and the upper half of the 64 bits at `offset` are.
const fn halves(offset: usize) -> (usize, usize) {
    if cfg!(target_endian = "little") { (offset, offset + 4) } else { (offset + 4, offset) }
}

/// State of a socket, as `include/net/tcp_states.h` numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TcpState {
    Established = 1,
    SynSent = 2,
    SynRecv = 3,
    FinWait2 = 5,
    CloseWait = 8,
    Listen = 10,
}

impl TcpState {
    const ALL: [TcpState; 6] = [
        TcpState::Established,
        TcpState::SynSent,
        TcpState::SynRecv,
        TcpState::FinWait2,
        TcpState::CloseWait,
        TcpState::Listen,
    ];

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| *state as u8 == number)
    }

    /// The name of the state in labels: the name that `ss` prints, in other letters.
    pub fn name(self) -> &'static str {
        match self {
            TcpState::Established => "established",
            TcpState::SynSent => "syn_sent",
            TcpState::SynRecv => "syn_recv",
            TcpState::FinWait2 => "fin_wait_2",
            TcpState::CloseWait => "close_wait",
            TcpState::Listen => "listen",
        }
    }

    /// The bits of all states that the collector needs.
    fn mask() -> u32 {
        Self::ALL.iter().fold(0, |mask, state| mask | 1 << (*state as u8))
    }
}

/// One socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    pub state: TcpState,
    pub local: Address,
    pub remote: Address,
    /// Identifies the socket until the machine reboots.
    pub cookie: u64,
    /// Zero while the socket waits to be accepted.
    pub inode: u32,
    /// Unread bytes, see [`Socket::unread_bytes`]. For a listening socket: connections that wait to
    /// be accepted.
    pub receive_queue: u32,
    /// Unacknowledged bytes. For a listening socket: its backlog limit.
    pub send_queue: u32,
    pub info: TcpInfo,
}

impl Socket {
    /// Bytes that have arrived and are not read. The kernel counts the end of a TCP connection as one
    /// more byte.
    pub fn unread_bytes(&self) -> u32 {
        let has_end = self.state == TcpState::CloseWait && self.local.ip().is_some();
        self.receive_queue.saturating_sub(u32::from(has_end))
    }
}

/// The fields of `tcp_info` that show whose turn it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpInfo {
    pub unacked: u32,
    /// Milliseconds since data was sent, data was received, and an ACK was received.
    pub last_data_sent: u32,
    pub last_data_received: u32,
    pub last_ack_received: u32,
    pub segments_in: u32,
    pub data_segments_in: u32,
    pub data_segments_out: u32,
    /// Segments retransmitted.
    pub retransmitted: u32,
    /// Smoothed round trip in microseconds.
    pub round_trip: u32,
    /// Bytes received, those that are not read yet included.
    pub bytes_received: u64,
    /// Bytes sent, each counted once.
    pub bytes_sent: u64,
}

/// Appends every TCP socket of the namespace to `sockets`, but those with the port of kneepoint's own
/// page, where the kernel can leave them out.
pub fn list(
    netlink: &mut Netlink,
    own_page: Option<NonZeroU16>,
    sockets: &mut Vec<Socket>,
) -> io::Result<()> {
    let before = sockets.len();
    if let Some(port) = own_page.filter(|_| netlink.can_leave_out) {
        if list_all(netlink, &without(port), sockets).is_ok() {
            return Ok(());
        }
        netlink.can_leave_out = false;
        sockets.truncate(before);
    }
    list_all(netlink, &[], sockets)
}

/// Those that `program` does not leave out.
fn list_all(netlink: &mut Netlink, program: &[u8], sockets: &mut Vec<Socket>) -> io::Result<()> {
    match netlink.families {
        Families::Apart => list_apart(netlink, program, sockets),
        Families::Together => list_together(netlink, program, sockets),
        Families::Untried => {
            let others = sockets.len();
            list_apart(netlink, program, sockets)?;
            let listed = sockets.len() - others;
            let mut together = Vec::new();
            let is_listed = list_together(netlink, program, &mut together).is_ok();
            // A sandbox may accept the older request and list nothing, or one family. Sockets come and go
            // between the two.
            let is_complete = is_listed && together.len() * 2 >= listed;
            netlink.families = if is_complete { Families::Together } else { Families::Apart };
            Ok(())
        }
    }
}

/// With one walk through the kernel's table.
fn list_together(
    netlink: &mut Netlink,
    program: &[u8],
    sockets: &mut Vec<Socket>,
) -> io::Result<()> {
    let mut request = [0u8; OLD_REQUEST];
    request[3] = 1 << (INET_DIAG_INFO - 1);
    request[52..56].copy_from_slice(&TcpState::mask().to_ne_bytes());
    let request = [&request, program].concat();
    netlink.dump_of(TCPDIAG_GETSOCK, &request, |message| sockets.extend(socket(message)))
}

/// With one for each family.
fn list_apart(netlink: &mut Netlink, program: &[u8], sockets: &mut Vec<Socket>) -> io::Result<()> {
    for family in [libc::AF_INET, libc::AF_INET6] {
        let mut request = [0u8; REQUEST];
        request[0] = family as u8;
        request[1] = libc::IPPROTO_TCP as u8;
        request[2] = 1 << (INET_DIAG_INFO - 1);
        request[4..8].copy_from_slice(&TcpState::mask().to_ne_bytes());
        let request = [&request, program].concat();
        netlink.dump(&request, |message| sockets.extend(socket(message)))?;
    }
    Ok(())
}

fn socket(message: &[u8]) -> Option<Socket> {
    if message.len() < MESSAGE {
        return None;
    }
    let address = |at: usize| -> IpAddr {
        if i32::from(message[0]) == libc::AF_INET {
            let mut octets = [0; 4];
            octets.copy_from_slice(&message[at..at + 4]);
            Ipv4Addr::from(octets).into()
        } else {
            let mut octets = [0; 16];
            octets.copy_from_slice(&message[at..at + 16]);
            // An IPv4 connection of an IPv6 socket is the same peer.
            Ipv6Addr::from(octets).to_canonical()
        }
    };
    let port = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
    Some(Socket {
        state: TcpState::from_number(message[1])?,
        local: SocketAddr::new(address(8), port(4)).into(),
        remote: SocketAddr::new(address(24), port(6)).into(),
        cookie: u64::from(u32_at(message, 44)) | u64::from(u32_at(message, 48)) << 32,
        receive_queue: u32_at(message, 56),
        send_queue: u32_at(message, 60),
        inode: u32_at(message, 68),
        info: attribute(&message[MESSAGE..], INET_DIAG_INFO).map(tcp_info).unwrap_or_default(),
    })
}

fn tcp_info(bytes: &[u8]) -> TcpInfo {
    let u64_at = |(lower, upper): (usize, usize)| {
        u64::from(u32_at(bytes, lower)) | u64::from(u32_at(bytes, upper)) << 32
    };
    TcpInfo {
        unacked: u32_at(bytes, 24),
        last_data_sent: u32_at(bytes, 44),
        last_data_received: u32_at(bytes, 52),
        last_ack_received: u32_at(bytes, 56),
        segments_in: u32_at(bytes, 140),
        data_segments_in: u32_at(bytes, 152),
        data_segments_out: u32_at(bytes, 156),
        retransmitted: u32_at(bytes, 100),
        round_trip: u32_at(bytes, 68),
        bytes_received: u64_at(BYTES_RECEIVED),
        bytes_sent: u64_at(BYTES_SENT).saturating_sub(u64_at(BYTES_RETRANSMITTED)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::super::address::Port;
    use super::super::netlink::parse;
    use super::*;
    use crate::collect::proc::network::Network;

    #[test]
    fn finds_both_ends_of_a_connection_and_its_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"hello").unwrap();
        let address = Address::Ip(address);
        let mut sockets = Vec::new();
        list(&mut Netlink::open(Network::OWN).unwrap(), None, &mut sockets).unwrap();
        let listen = sockets.iter().find(|s| s.state == TcpState::Listen && s.local == address);
        assert_eq!(listen.unwrap().receive_queue, 1, "one connection waits to be accepted");
        let inbound =
            sockets.iter().find(|s| s.local == address && s.remote.port() != Port::Tcp(0)).unwrap();
        assert_eq!(inbound.inode, 0, "it has no owner yet");
        assert_eq!(inbound.receive_queue, 5, "and five unread bytes");
        let outbound = sockets.iter().find(|s| s.remote == address).unwrap();
        assert_eq!(outbound.local, client.local_addr().unwrap().into());
        assert_eq!(outbound.info.data_segments_out, 1);
        assert_eq!((outbound.info.bytes_sent, inbound.info.bytes_received), (5, 5));
        assert_eq!(outbound.info.retransmitted, 0);
        assert!((1..1_000_000).contains(&outbound.info.round_trip), "{outbound:?}");
    }

    #[test]
    fn both_families_are_listed_at_once_and_apart() {
        let listeners = ["127.0.0.1:0", "[::1]:0"].map(TcpListener::bind);
        let ports: Vec<Port> = (listeners.iter().flatten())
            .map(|listener| Port::Tcp(listener.local_addr().unwrap().port()))
            .collect();
        let found = |families: Families| -> Vec<bool> {
            let mut netlink = Netlink::open(Network::OWN).unwrap();
            netlink.families = families;
            let mut sockets = Vec::new();
            list(&mut netlink, None, &mut sockets).unwrap();
            let listens = |port: &Port| {
                let is_it = |socket: &&Socket| {
                    socket.state == TcpState::Listen && socket.local.port() == *port
                };
                sockets.iter().filter(is_it).count() == 1
            };
            ports.iter().map(listens).collect()
        };
        for families in [Families::Untried, Families::Apart, Families::Together] {
            assert_eq!(found(families), vec![true; ports.len()], "{families:?}");
        }
    }

    #[test]
    fn the_connections_of_the_own_page_are_left_out_and_no_others() {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = listeners.each_ref().map(|listener| listener.local_addr().unwrap().port());
        let _clients = ports.map(|port| TcpStream::connect(("127.0.0.1", port)).unwrap());
        let page = NonZeroU16::new(ports[0]);
        for families in [Families::Untried, Families::Apart, Families::Together] {
            let listed = |own_page: Option<NonZeroU16>| {
                let mut netlink = Netlink::open(Network::OWN).unwrap();
                netlink.families = families;
                let mut sockets = Vec::new();
                list(&mut netlink, own_page, &mut sockets).unwrap();
                ports.map(|port| {
                    let has = |socket: &&Socket| {
                        let ends = [socket.local.port(), socket.remote.port()];
                        ends.contains(&Port::Tcp(port))
                    };
                    sockets.iter().filter(has).count()
                })
            };
            // The listener and both ends of a connection.
            assert_eq!(listed(None), [3, 3], "{families:?}");
            assert_eq!(listed(page), [0, 3], "{families:?}");
        }
    }

    #[test]
    fn a_short_or_broken_datagram_is_no_socket_and_no_panic() {
        let mut sockets = Vec::new();
        for length in 0..200 {
            let bytes = vec![0xff; length];
            let _outcome = parse(&bytes, &mut |message| sockets.extend(socket(message))).is_ok();
        }
        assert!(sockets.is_empty());
    }
}
