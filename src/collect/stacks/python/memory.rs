//! The memory of another process.

use std::io;

/// Reads memory of a process without stopping it. Every read is one system call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    pid: libc::pid_t,
}

impl Memory {
    pub fn new(pid: u32) -> Option<Self> {
        Some(Self { pid: libc::pid_t::try_from(pid).ok()? })
    }

    /// Fills `buffer` from `address` on.
    pub fn read(&self, address: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(address).map_err(io::Error::other)?;
        let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        let remote = libc::iovec { iov_base: start as *mut libc::c_void, iov_len: buffer.len() };
        // SAFETY: the call writes at most `iov_len` bytes into the live buffer. The kernel checks
        // the address of the other process.
        let read = unsafe { libc::process_vm_readv(self.pid, &local, 1, &remote, 1, 0) };
        match usize::try_from(read) {
            Ok(length) if length == buffer.len() => Ok(()),
            Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(_) => Err(io::Error::last_os_error()),
        }
    }

    /// A block of bytes.
    pub fn block<const N: usize>(&self, address: u64) -> Option<Block<N>> {
        let mut bytes = [0; N];
        self.read(address, &mut bytes).ok()?;
        Some(Block(bytes))
    }

    /// A block of which only the first `length` bytes are read; the others are zero.
    pub fn begin_of<const N: usize>(&self, address: u64, length: usize) -> Option<Block<N>> {
        let mut bytes = [0; N];
        self.read(address, bytes.get_mut(..length)?).ok()?;
        Some(Block(bytes))
    }

    /// A pointer; `None` if it cannot be read or is null.
    pub fn pointer(&self, address: u64) -> Option<u64> {
        self.block::<8>(address)?.pointer(0)
    }

    /// `length` bytes.
    pub fn bytes(&self, address: u64, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.read(address, &mut bytes).ok()?;
        Some(bytes)
    }
}

/// Bytes that were read together.
pub(super) struct Block<const N: usize>([u8; N]);

impl<const N: usize> Block<N> {
    /// The number at `offset`.
    pub fn long(&self, offset: usize) -> Option<u64> {
        Some(u64::from_ne_bytes(self.0.get(offset..offset.checked_add(8)?)?.try_into().ok()?))
    }

    /// The pointer at `offset`; `None` if it is null.
    pub fn pointer(&self, offset: usize) -> Option<u64> {
        self.long(offset).filter(|pointer| *pointer != 0)
    }

    /// The 32-bit number at `offset`.
    pub fn int(&self, offset: usize) -> Option<i32> {
        Some(i32::from_ne_bytes(self.0.get(offset..offset.checked_add(4)?)?.try_into().ok()?))
    }

    /// The byte at `offset`.
    pub fn byte(&self, offset: usize) -> Option<u8> {
        self.0.get(offset).copied()
    }
}
