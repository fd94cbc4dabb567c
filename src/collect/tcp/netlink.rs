//! Asks the kernel for sockets over netlink `SOCK_DIAG` (man 7 sock_diag), whatever their family.
//! Fields that an older kernel lacks read as zero.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::collect::proc::network::Network;

/// Asks for the sockets of one family …
const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// … and, in an older form, for TCP sockets of all families at once.
pub const TCPDIAG_GETSOCK: u16 = 18;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
/// Length of `nlmsghdr`.
const HEADER: usize = 16;
/// A kernel with 64 KiB pages sends datagrams of 8 KiB or more.
const BUFFER: usize = 64 * 1024;

/// A netlink socket that lists sockets.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
    buffer: Vec<u8>,
    /// How it lists TCP sockets.
    pub families: Families,
    /// Whether the kernel takes programs that leave sockets out; `true` until it has refused one.
    pub can_leave_out: bool,
}

/// How the families of TCP sockets are listed: the kernel walks through a table of all of its sockets
/// for each list, which is long on a large machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Families {
    /// It was not tried yet what the kernel can.
    #[default]
    Untried,
    /// One after the other.
    Apart,
    /// Both at once.
    Together,
}

impl Netlink {
    /// Opens the netlink socket of a network namespace. Needs rights only for another than kneepoint's
    /// own.
    pub fn open(network: Network) -> io::Result<Self> {
        let families = Families::default();
        let socket = network.open(socket)?;
        Ok(Self { socket, buffer: vec![0; BUFFER], families, can_leave_out: true })
    }

    /// Gives `each` the message about every socket that `request` asks for.
    pub fn dump(&mut self, request: &[u8], each: impl FnMut(&[u8])) -> io::Result<()> {
        self.dump_of(SOCK_DIAG_BY_FAMILY, request, each)
    }

    /// The same for a request of this kind.
    pub fn dump_of(
        &mut self,
        kind: u16,
        request: &[u8],
        mut each: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        self.send(kind, request)?;
        while self.receive(&mut each)? {}
        Ok(())
    }

    fn send(&self, kind: u16, request: &[u8]) -> io::Result<()> {
        let mut message = vec![0; HEADER];
        message[0..4].copy_from_slice(&((HEADER + request.len()) as u32).to_ne_bytes());
        message[4..6].copy_from_slice(&kind.to_ne_bytes());
        message[6..8].copy_from_slice(&NLM_F_REQUEST_DUMP.to_ne_bytes());
        message.extend_from_slice(request);
        // SAFETY: the pointer and length are those of `message`.
        let sent = unsafe {
            libc::send(self.socket.as_raw_fd(), message.as_ptr().cast(), message.len(), 0)
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Reads one datagram; returns whether more will follow.
    fn receive(&mut self, each: &mut impl FnMut(&[u8])) -> io::Result<bool> {
        // SAFETY: the pointer and length are those of the buffer.
        let received = unsafe {
            libc::recv(
                self.socket.as_raw_fd(),
                self.buffer.as_mut_ptr().cast(),
                self.buffer.len(),
                0,
            )
        };
        let length = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        parse(&self.buffer[..length], each)
    }
}

/// A netlink socket of the calling thread's network namespace.
fn socket() -> io::Result<OwnedFd> {
    // SAFETY: a plain socket call; its result is checked before it is owned.
    unsafe {
        let raw = libc::socket(
            libc::AF_NETLINK,
            libc::SOCK_DGRAM | libc::SOCK_CLOEXEC,
            libc::NETLINK_SOCK_DIAG,
        );
        if raw < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(raw)) }
    }
}

/// Parses the messages of one datagram; returns whether the dump continues.
pub fn parse(mut bytes: &[u8], each: &mut impl FnMut(&[u8])) -> io::Result<bool> {
    while bytes.len() >= HEADER {
        let length = (u32_at(bytes, 0) as usize).clamp(HEADER, bytes.len());
        match u16_at(bytes, 4) {
            NLMSG_DONE => return Ok(false),
            NLMSG_ERROR => {
                let errno = u32_at(bytes, HEADER).cast_signed();
                return Err(io::Error::from_raw_os_error(errno.wrapping_neg()));
            }
            _ => each(&bytes[HEADER..length]),
        }
        bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
    }
    Ok(true)
}

/// The payload of the first attribute of this type.
pub fn attribute(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    while bytes.len() >= 4 {
        let length = usize::from(u16_at(bytes, 0)).clamp(4, bytes.len());
        if u16_at(bytes, 2) == wanted {
            return Some(&bytes[4..length]);
        }
        bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
    }
    None
}

pub fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |part| u16::from_ne_bytes([part[0], part[1]]))
}

pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |part| u32::from_ne_bytes([part[0], part[1], part[2], part[3]]))
}
