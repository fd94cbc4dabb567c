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

mod fingerprint;
mod search;

use std::io;
use std::net::SocketAddr;

pub use fingerprint::{Fingerprint, Opening};
pub use search::{Located, SocketSearch};

use super::proc::listen::listeners;
use super::proc::network::{Forwarder, Network, is_own_address};

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
    let mut search = SocketSearch::within(networks, true);
    let hops = follow(address, opening, &mut search).unwrap_or_default();
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
            Located { is_local: true, network, is_hidden: search.is_hidden(network), ..simple }
        }
        _ => simple,
    }
}

/// Where something on this machine listens on `port`: in kneepoint's own network namespace, or else in
/// the only other one.
pub fn locate_listener(port: u16) -> Located {
    let listens =
        |network: &Network| listeners(*network, port).is_ok_and(|found| !found.inodes.is_empty());
    let found: Vec<Network> = Network::all().into_iter().filter(listens).collect();
    let network = match found[..] {
        [network] => network,
        _ => Network::OWN,
    };
    Located { is_local: true, network, port, ..Located::default() }
}

/// Sends the fingerprint and says where it went: the forwarders, then the target. Empty if that
/// cannot be told.
fn follow(
    address: SocketAddr,
    opening: Opening,
    search: &mut SocketSearch,
) -> io::Result<Vec<Forwarder>> {
    let mut fingerprint = Fingerprint::open(address, opening)?;
    let client = fingerprint.client();
    // Twice, to be sure.
    for _ in 0..2 {
        let bytes = fingerprint.send_more()?;
        if !search.look(client, bytes)? {
            return Ok(Vec::new());
        }
    }
    Ok(search.hops(client))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    use super::*;

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
        let mut search = SocketSearch::within([Network::OWN].into(), true);
        // One process holds all sockets here, so all of them look like a forwarder's.
        assert!(follow(first, Opening::Http1, &mut search).unwrap().is_empty());
        let length = reader.join().unwrap();
        assert!(length > 1_000, "{length}");
    }

    #[test]
    fn a_listener_of_this_machine_is_the_target_itself() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut search = SocketSearch::within([Network::OWN].into(), true);
        let hops = follow(address, Opening::Tls, &mut search).unwrap();
        assert_eq!(hops, [Forwarder { network: Network::OWN, address }]);
        let located = locate(address, Opening::Http1);
        assert!(located.is_local && located.network.is_own() && located.forwarders.is_empty());
        assert_eq!(located.port, address.port());
    }
}
