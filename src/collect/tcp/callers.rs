//! Who calls an address, for sockets whose owner is not known yet.
//!
//! A service that opens a connection for each call has always some that are younger than the last
//! look at the descriptors of its processes. Where only one owner was ever seen to call an address,
//! such a socket is its own too.

use std::collections::{BTreeMap, BTreeSet};

use super::address::{Address, Port};
use super::diag::{Socket, TcpState};

/// Addresses beyond this number are not remembered.
const MOST_ADDRESSES: usize = 1_000;

/// The owners that were seen to call each address.
pub(in crate::collect) struct Callers<Owner> {
    /// `None` where there are several.
    seen: BTreeMap<Address, Option<Owner>>,
    /// Where somebody listens: a connection from there is a client's at its other end.
    listening: BTreeSet<Port>,
}

impl<Owner> Default for Callers<Owner> {
    fn default() -> Self {
        Self { seen: BTreeMap::new(), listening: BTreeSet::new() }
    }
}

impl<Owner: Copy + PartialEq> Callers<Owner> {
    /// Records the owners of sockets, as far as `owner_of` knows them.
    pub fn learn<'s>(
        &mut self,
        sockets: impl Iterator<Item = &'s Socket> + Clone,
        owner_of: impl Fn(&Socket) -> Option<Owner>,
    ) {
        let listeners = sockets.clone().filter(|socket| socket.state == TcpState::Listen);
        self.listening = listeners.map(|socket| socket.local.port()).collect();
        for socket in sockets.filter(|socket| socket.state != TcpState::Listen) {
            if let Some(owner) = owner_of(socket)
                && !self.listening.contains(&socket.local.port())
            {
                self.learn_one(socket, owner);
            }
        }
    }

    fn learn_one(&mut self, socket: &Socket, owner: Owner) {
        let has_room = self.seen.len() < MOST_ADDRESSES;
        match self.seen.get_mut(&socket.remote) {
            Some(seen) if *seen != Some(owner) => *seen = None,
            Some(_) => {}
            None if has_room => {
                self.seen.insert(socket.remote.clone(), Some(owner));
            }
            None => {}
        }
    }

    /// The only owner that was seen to call where this socket leads.
    pub fn of(&self, socket: &Socket) -> Option<Owner> {
        let has_owner = socket.inode != 0 && socket.state != TcpState::Listen;
        let has_owner = has_owner && !self.listening.contains(&socket.local.port());
        self.seen.get(&socket.remote).copied().flatten().filter(|_| has_owner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::diag::TcpInfo;
    use super::*;

    fn socket(inode: u32, remote: &str) -> Socket {
        Socket {
            state: TcpState::Established,
            local: "127.0.0.1:50000".parse().unwrap(),
            remote: remote.parse().unwrap(),
            cookie: 1,
            inode,
            receive_queue: 0,
            send_queue: 0,
            info: TcpInfo::default(),
        }
    }

    #[test]
    fn the_only_caller_of_an_address_owns_what_calls_it() {
        let mut callers = Callers::default();
        let (first, second) = (socket(1, "127.0.0.1:9000"), socket(2, "127.0.0.1:9000"));
        assert_eq!(callers.of(&second), None);
        callers.learn([&first].into_iter(), |_| Some(7));
        assert_eq!(callers.of(&second), Some(7));
        assert_eq!(callers.of(&socket(3, "127.0.0.1:9001")), None, "nobody was seen to call it");
        assert_eq!(callers.of(&socket(0, "127.0.0.1:9000")), None, "it waits to be accepted");
        callers.learn([&second].into_iter(), |_| Some(8));
        assert_eq!(callers.of(&first), None, "two call it");
        callers.learn([&first].into_iter(), |_| Some(7));
        assert_eq!(callers.of(&first), None);
    }

    #[test]
    fn the_server_end_of_a_connection_is_no_call_to_its_client() {
        let mut callers = Callers::default();
        let listener = Socket {
            state: TcpState::Listen,
            local: "127.0.0.1:9000".parse().unwrap(),
            ..socket(1, "0.0.0.0:0")
        };
        let accepted =
            |inode| Socket { local: listener.local.clone(), ..socket(inode, "127.0.0.1:50000") };
        callers.learn([&listener, &accepted(2)].into_iter(), |_| Some(7));
        assert_eq!(callers.of(&accepted(3)), None);
        let other = Socket { local: "127.0.0.1:8000".parse().unwrap(), ..accepted(4) };
        assert_eq!(callers.of(&other), None, "a port of a client is not an address");
    }
}
