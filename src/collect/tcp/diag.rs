//! Lists the TCP sockets of one network namespace with their kernel state, over netlink `SOCK_DIAG`
//! (man 7 sock_diag). The layouts are those of `linux/inet_diag.h` and `linux/tcp.h`. Fields that
//! an older kernel lacks read as zero.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const INET_DIAG_INFO: u16 = 2;
/// Lengths of `nlmsghdr`, `inet_diag_req_v2` and `inet_diag_msg`.
const HEADER: usize = 16;
const REQUEST: usize = 56;
const MESSAGE: usize = 72;
/// The lower and the upper half of `tcpi_bytes_received`.
const BYTES_RECEIVED: (usize, usize) =
    if cfg!(target_endian = "little") { (128, 132) } else { (132, 128) };
/// A kernel with 64 KiB pages sends datagrams of 8 KiB or more.
const BUFFER: usize = 64 * 1024;

/// State of a TCP socket, as `include/net/tcp_states.h` numbers them.
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
    pub local: SocketAddr,
    pub remote: SocketAddr,
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
    /// Bytes that have arrived and are not read. The kernel counts a close by the peer as one more
    /// byte.
    pub fn unread_bytes(&self) -> u32 {
        self.receive_queue.saturating_sub(u32::from(self.state == TcpState::CloseWait))
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
}

/// A netlink socket that lists TCP sockets.
#[derive(Debug)]
pub struct SockDiag {
    netlink: OwnedFd,
    buffer: Vec<u8>,
}

impl SockDiag {
    /// Opens the netlink socket. Needs no rights.
    pub fn open() -> io::Result<Self> {
        // SAFETY: a plain socket call; its result is checked before it is owned.
        let netlink = unsafe {
            let raw = libc::socket(
                libc::AF_NETLINK,
                libc::SOCK_DGRAM | libc::SOCK_CLOEXEC,
                libc::NETLINK_SOCK_DIAG,
            );
            if raw < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(raw)
        };
        Ok(Self { netlink, buffer: vec![0; BUFFER] })
    }

    /// Appends every TCP socket of the namespace to `sockets`.
    pub fn list(&mut self, sockets: &mut Vec<Socket>) -> io::Result<()> {
        for family in [libc::AF_INET, libc::AF_INET6] {
            self.request(family as u8)?;
            while self.receive(sockets)? {}
        }
        Ok(())
    }

    fn request(&self, family: u8) -> io::Result<()> {
        let mut message = [0u8; HEADER + REQUEST];
        message[0..4].copy_from_slice(&((HEADER + REQUEST) as u32).to_ne_bytes());
        message[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        message[6..8].copy_from_slice(&NLM_F_REQUEST_DUMP.to_ne_bytes());
        message[HEADER] = family;
        message[HEADER + 1] = libc::IPPROTO_TCP as u8;
        message[HEADER + 2] = 1 << (INET_DIAG_INFO - 1);
        message[HEADER + 4..HEADER + 8].copy_from_slice(&TcpState::mask().to_ne_bytes());
        // SAFETY: the pointer and length are those of `message`.
        let sent = unsafe {
            libc::send(self.netlink.as_raw_fd(), message.as_ptr().cast(), message.len(), 0)
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Reads one datagram; returns whether more will follow.
    fn receive(&mut self, sockets: &mut Vec<Socket>) -> io::Result<bool> {
        // SAFETY: the pointer and length are those of the buffer.
        let received = unsafe {
            libc::recv(
                self.netlink.as_raw_fd(),
                self.buffer.as_mut_ptr().cast(),
                self.buffer.len(),
                0,
            )
        };
        let length = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        parse(&self.buffer[..length], sockets)
    }
}

/// Parses the messages of one datagram; returns whether the dump continues.
fn parse(mut bytes: &[u8], sockets: &mut Vec<Socket>) -> io::Result<bool> {
    while bytes.len() >= HEADER {
        let length = (u32_at(bytes, 0) as usize).clamp(HEADER, bytes.len());
        match u16_at(bytes, 4) {
            NLMSG_DONE => return Ok(false),
            NLMSG_ERROR => {
                let errno = u32_at(bytes, HEADER).cast_signed();
                return Err(io::Error::from_raw_os_error(-errno));
            }
            _ => sockets.extend(socket(&bytes[HEADER..length])),
        }
        bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
    }
    Ok(true)
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
        local: SocketAddr::new(address(8), port(4)),
        remote: SocketAddr::new(address(24), port(6)),
        cookie: u64::from(u32_at(message, 44)) | u64::from(u32_at(message, 48)) << 32,
        receive_queue: u32_at(message, 56),
        send_queue: u32_at(message, 60),
        inode: u32_at(message, 68),
        info: attribute(&message[MESSAGE..], INET_DIAG_INFO).map(tcp_info).unwrap_or_default(),
    })
}

/// The payload of the first attribute of this type.
fn attribute(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    while bytes.len() >= 4 {
        let length = usize::from(u16_at(bytes, 0)).clamp(4, bytes.len());
        if u16_at(bytes, 2) == wanted {
            return Some(&bytes[4..length]);
        }
        bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
    }
    None
}

fn tcp_info(bytes: &[u8]) -> TcpInfo {
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
        bytes_received: u64::from(u32_at(bytes, BYTES_RECEIVED.0))
            | u64::from(u32_at(bytes, BYTES_RECEIVED.1)) << 32,
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |part| u16::from_ne_bytes([part[0], part[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |part| u32::from_ne_bytes([part[0], part[1], part[2], part[3]]))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn finds_both_ends_of_a_connection_and_its_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"hello").unwrap();
        let mut sockets = Vec::new();
        SockDiag::open().unwrap().list(&mut sockets).unwrap();
        let listen = sockets.iter().find(|s| s.state == TcpState::Listen && s.local == address);
        assert_eq!(listen.unwrap().receive_queue, 1, "one connection waits to be accepted");
        let inbound = sockets.iter().find(|s| s.local == address && s.remote.port() != 0).unwrap();
        assert_eq!(inbound.inode, 0, "it has no owner yet");
        assert_eq!(inbound.receive_queue, 5, "and five unread bytes");
        let outbound = sockets.iter().find(|s| s.remote == address).unwrap();
        assert_eq!(outbound.local, client.local_addr().unwrap());
        assert_eq!(outbound.info.data_segments_out, 1);
        assert_eq!(outbound.info.retransmitted, 0);
        assert!((1..1_000_000).contains(&outbound.info.round_trip), "{outbound:?}");
    }

    #[test]
    fn a_short_or_broken_datagram_is_no_socket_and_no_panic() {
        let mut sockets = Vec::new();
        for length in 0..200 {
            let bytes = vec![0xff; length];
            let _outcome = parse(&bytes, &mut sockets).is_ok();
        }
        assert!(sockets.is_empty());
    }
}
