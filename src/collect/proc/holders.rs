//! Which processes hold a socket. The kernel tells it only by the descriptors of all processes, so
//! one look at them answers for every question of the next moments: opening a collector for each of
//! a row of services asks a dozen times.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{all_pids, socket_inodes};

/// How long a look is used. A process that has taken over a socket since then is found by the next
/// look; those that have ended, or let go of it, are left out at once.
const FRESH: Duration = Duration::from_secs(1);

/// The descriptors of all processes at one time.
struct Look {
    taken: Instant,
    /// Inodes of sockets and the processes that hold them, sorted.
    held: Vec<(u64, u32)>,
}

impl Look {
    fn take() -> Self {
        let taken = Instant::now();
        let of_process = |pid| socket_inodes(pid).map(move |inode| (inode, pid));
        let mut held: Vec<(u64, u32)> = all_pids().flat_map(of_process).collect();
        held.sort_unstable();
        Self { taken, held }
    }

    fn holders(&self, inodes: &BTreeSet<u64>) -> BTreeSet<u32> {
        let of = |inode: u64| {
            let first = self.held.partition_point(|(held, _)| *held < inode);
            self.held[first..].iter().take_while(move |(held, _)| *held == inode)
        };
        inodes.iter().flat_map(|inode| of(*inode)).map(|(_, pid)| *pid).collect()
    }
}

/// The processes that have a descriptor of one of these sockets, without those that kneepoint may not
/// read.
pub fn holders(inodes: &BTreeSet<u64>) -> BTreeSet<u32> {
    static LAST: Mutex<Option<Look>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(look) = last.as_ref().filter(|look| look.taken.elapsed() < FRESH) {
        let mut found = look.holders(inodes);
        found.retain(|pid| socket_inodes(*pid).any(|inode| inodes.contains(&inode)));
        if !found.is_empty() {
            return found;
        }
    }
    last.insert(Look::take()).holders(inodes)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::net::TcpListener;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_socket_is_found_as_soon_as_it_is_there_and_no_longer_than_it_is() {
        let own = BTreeSet::from([std::process::id()]);
        // The first look may be the answer to the second question, which it does not know.
        for _ in 0..2 {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let descriptor = std::os::fd::AsRawFd::as_raw_fd(&listener);
            let socket = File::open("/proc/self/fd").map(|_| format!("/proc/self/fd/{descriptor}"));
            let inode = std::fs::metadata(socket.unwrap()).unwrap().ino();
            assert_eq!(holders(&BTreeSet::from([inode])), own);
            drop(listener);
            assert!(holders(&BTreeSet::from([inode])).is_empty());
        }
    }
}
