//! A TCP connection that knows when the data it reads had arrived.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::nap::Patience;

/// A TCP connection.
pub(super) struct Tcp {
    stream: TcpStream,
    /// Receives the arrival times of data. `None` if nobody asks for them.
    patience: Option<Rc<Patience>>,
}

impl Tcp {
    /// Makes the kernel record when data arrive, if `patience` may ask for it.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub(super) fn new(stream: TcpStream, patience: Option<Rc<Patience>>) -> io::Result<Self> {
        if patience.is_some() {
            stamp::ask_for(&stream)?;
        }
        Ok(Self { stream, patience })
    }

    pub(super) fn peer_addr(&self) -> io::Result<std::net::SocketAddr> {
        self.stream.peer_addr()
    }

    fn poll_stamped(
        &self,
        patience: &Patience,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        const READABLE: tokio::io::Interest = tokio::io::Interest::READABLE;
        loop {
            std::task::ready!(self.stream.poll_read_ready(cx))?;
            let room = buffer.initialize_unfilled();
            match self.stream.try_io(READABLE, || stamp::receive(&self.stream, room)) {
                Ok((count, stamp)) => {
                    // There are no more data, and it would cost a system call to find that out.
                    if 0 < count && count < room.len() {
                        let nothing = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
                        drop(self.stream.try_io(READABLE, nothing));
                    }
                    patience.keep_stamp(stamp);
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncRead for Tcp {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let tcp = self.get_mut();
        match &tcp.patience {
            Some(patience) if patience.wants_stamps() => tcp.poll_stamped(patience, cx, buffer),
            _ => Pin::new(&mut tcp.stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// The kernel's stamps: when a packet arrived, by the system clock (socket(7), `SO_TIMESTAMPNS`).
#[cfg(target_os = "linux")]
mod stamp {
    use std::io;
    use std::mem::{size_of, zeroed};
    use std::os::fd::AsRawFd;
    use std::time::Duration;

    use tokio::net::TcpStream;

    /// Room for one control message with a stamp, with the alignment it needs.
    type Control = [u64; 8];

    pub(super) fn ask_for(stream: &TcpStream) -> io::Result<()> {
        let on: libc::c_int = 1;
        // SAFETY: the kernel reads one `c_int`, which outlives the call.
        let set = unsafe {
            libc::setsockopt(
                stream.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_TIMESTAMPNS,
                (&raw const on).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Reads into the start of `room`. Returns how many bytes, and when the last of them arrived.
    pub(super) fn receive(
        stream: &TcpStream,
        room: &mut [u8],
    ) -> io::Result<(usize, Option<Duration>)> {
        let mut control: Control = [0; 8];
        let mut piece = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
        // SAFETY: zero is a valid value of every field.
        let mut message: libc::msghdr = unsafe { zeroed() };
        message.msg_iov = &raw mut piece;
        message.msg_iovlen = 1;
        message.msg_control = (&raw mut control).cast();
        message.msg_controllen = size_of::<Control>() as _;
        // SAFETY: all that `message` points to outlives the call, with the sizes that it says.
        let count = unsafe { libc::recvmsg(stream.as_raw_fd(), &raw mut message, 0) };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        // SAFETY: the kernel has filled in `message`, whose control messages lie in `control`.
        let stamp = unsafe {
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            let is_stamp = !header.is_null()
                && (*header).cmsg_level == libc::SOL_SOCKET
                && (*header).cmsg_type == libc::SCM_TIMESTAMPNS;
            is_stamp.then(|| libc::CMSG_DATA(header).cast::<libc::timespec>().read_unaligned())
        };
        let stamp = stamp.and_then(|stamp| {
            let secs = u64::try_from(stamp.tv_sec).ok()?;
            Some(Duration::new(secs, u32::try_from(stamp.tv_nsec).ok()?))
        });
        Ok((count, stamp))
    }
}

/// No stamps: nobody asks for them.
#[cfg(not(target_os = "linux"))]
mod stamp {
    use std::io;
    use std::time::Duration;

    use tokio::net::TcpStream;

    pub(super) fn ask_for(_stream: &TcpStream) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn receive(
        _stream: &TcpStream,
        _room: &mut [u8],
    ) -> io::Result<(usize, Option<Duration>)> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
