//! Opens a descriptor in a network namespace that the user owns without being root, as those of
//! rootless containers.
//!
//! Whoever has made a user namespace may enter it and what belongs to it (man 7 user_namespaces), but
//! only with a process of one thread. So a child enters both, opens the descriptor and passes it back
//! (man 7 unix, `SCM_RIGHTS`). A descriptor works in any process once it is open.

use std::fs::File;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::ptr;

/// Room for the control message with one descriptor, aligned as its header needs.
type Control = [u64; 8];

/// Runs `make` in a child in the namespaces `user` and `net`, and returns the descriptor that it opens.
/// After the fork of a process with several threads, `make` may do no more than a signal handler may:
/// call the kernel, and allocate nothing.
///
/// # Errors
/// `PermissionDenied` if the user does not own the namespaces, or those of the system.
pub fn open_as_owner(
    user: &File,
    net: &File,
    make: impl Fn() -> io::Result<OwnedFd>,
) -> io::Result<OwnedFd> {
    // A stream ends for its reader when the child has, which a datagram socket does not.
    let (ours, theirs) = UnixStream::pair()?;
    // SAFETY: the child calls only what is safe in a signal handler, and ends without unwinding.
    let child = unsafe { libc::fork() };
    if child < 0 {
        return Err(io::Error::last_os_error());
    }
    if child == 0 {
        let sent = enter(user, net).and_then(|()| make()).and_then(|made| {
            // SAFETY: both descriptors are open.
            unsafe { send(theirs.as_raw_fd(), made.as_raw_fd()) }
        });
        // SAFETY: ends the child at once, without the handlers of the parent.
        unsafe { libc::_exit(i32::from(sent.is_err())) }
    }
    // So that receiving ends when the child has.
    drop(theirs);
    // SAFETY: the descriptor is open.
    let received = unsafe { receive(ours.as_raw_fd()) };
    // SAFETY: waits for the own child; the status is not needed.
    unsafe { libc::waitpid(child, ptr::null_mut(), 0) };
    received
}

/// Moves the only thread of a process into both.
fn enter(user: &File, net: &File) -> io::Result<()> {
    for (file, kind) in [(user, libc::CLONE_NEWUSER), (net, libc::CLONE_NEWNET)] {
        // SAFETY: the descriptor is open, and the child has no other thread.
        if unsafe { libc::setns(file.as_raw_fd(), kind) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Sends one byte with a descriptor.
///
/// # Safety
/// Both descriptors must be open.
unsafe fn send(over: RawFd, descriptor: RawFd) -> io::Result<()> {
    let (mut byte, mut control) = ([0u8], Control::default());
    let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: byte.len() };
    // SAFETY: the message points to live buffers, and the control buffer has room for its header and
    // one descriptor.
    unsafe {
        let message = message(&mut part, &mut control);
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as u32) as _;
        ptr::write_unaligned(libc::CMSG_DATA(header).cast::<RawFd>(), descriptor);
        if libc::sendmsg(over, &raw const message, 0) < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Receives a descriptor.
///
/// # Safety
/// The descriptor must be an open socket.
unsafe fn receive(over: RawFd) -> io::Result<OwnedFd> {
    let refused = || io::Error::from(io::ErrorKind::PermissionDenied);
    let (mut byte, mut control) = ([0u8], Control::default());
    let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: byte.len() };
    // SAFETY: the message points to live buffers; the kernel fills in the header before it is read.
    unsafe {
        let mut message = message(&mut part, &mut control);
        let length = libc::recvmsg(over, &raw mut message, libc::MSG_CMSG_CLOEXEC);
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        if length <= 0 || header.is_null() || (*header).cmsg_type != libc::SCM_RIGHTS {
            return Err(refused());
        }
        let descriptor = ptr::read_unaligned(libc::CMSG_DATA(header).cast::<RawFd>());
        Ok(OwnedFd::from_raw_fd(descriptor))
    }
}

fn message(part: &mut libc::iovec, control: &mut Control) -> libc::msghdr {
    // SAFETY: all zeros is a valid message without buffers.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = ptr::from_mut(part);
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    // SAFETY: computes a size from a size.
    message.msg_controllen = unsafe { libc::CMSG_SPACE(size_of::<RawFd>() as u32) } as _;
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_is_passed_on() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (mut one, other) = UnixStream::pair().unwrap();
        // SAFETY: all descriptors are open.
        let passed = unsafe {
            send(theirs.as_raw_fd(), other.as_raw_fd()).unwrap();
            receive(ours.as_raw_fd()).unwrap()
        };
        drop(other);
        io::Write::write_all(&mut one, b"?").unwrap();
        let mut byte = [0];
        io::Read::read_exact(&mut UnixStream::from(passed), &mut byte).unwrap();
        assert_eq!(&byte, b"?");
        drop(theirs);
        // SAFETY: the descriptor is open.
        assert!(unsafe { receive(ours.as_raw_fd()) }.is_err(), "nobody sends any more");
    }

    #[test]
    fn who_is_refused_is_told_so() {
        // One's own user namespace cannot be entered again.
        let user = File::open("/proc/self/ns/user").unwrap();
        let net = File::open("/proc/self/ns/net").unwrap();
        let made = open_as_owner(&user, &net, || Ok(UnixStream::pair()?.0.into()));
        assert_eq!(made.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}
