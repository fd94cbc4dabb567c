//! Network namespaces of this machine: which there are, which addresses they have, and how to look
//! into one (man 7 network_namespaces).
//!
//! A namespace is known by the inode of its `/proc/PID/net/tcp`: the kernel makes one such file for
//! each namespace, and it may be looked at without the rights that `/proc/PID/ns/net` needs. So the
//! tables of every visible process can be read, and only listing sockets over netlink needs rights.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::thread;

use super::owned::open_as_owner;
use super::{Text, all_pids};

/// A network namespace: kneepoint's own, or another one of this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    /// The inode of its table of sockets; `None` for kneepoint's own.
    id: Option<u64>,
}

impl Network {
    /// Kneepoint's own.
    pub const OWN: Network = Network { id: None };

    /// That of a process; `None` if the process is gone.
    pub fn of(pid: u32) -> Option<Network> {
        let id = id_of(&pid.to_string())?;
        Some(Network { id: Some(id).filter(|id| Some(*id) != id_of("self")) })
    }

    /// All that a visible process is in, kneepoint's own first.
    pub fn all() -> BTreeSet<Network> {
        let own = id_of("self");
        let others = all_pids().filter_map(|pid| id_of(&pid.to_string()));
        let others = others.map(|id| Network { id: Some(id).filter(|id| Some(*id) != own) });
        std::iter::once(Network::OWN).chain(others).collect()
    }

    /// All in which `ip` is an address that is not a loopback address.
    pub fn with_address(ip: IpAddr) -> Vec<Network> {
        let ip = ip.to_canonical();
        if ip.is_loopback() {
            return Vec::new();
        }
        Network::all().into_iter().filter(|network| network.has(ip)).collect()
    }

    /// Whether it is kneepoint's own.
    pub fn is_own(self) -> bool {
        self.id.is_none()
    }

    /// Whether what is sent to `ip` inside of it stays there.
    pub fn has(self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        match self.is_own() {
            true => is_own_address(ip),
            false => ip.is_loopback() || self.addresses().contains(&ip),
        }
    }

    /// Its addresses except those of the loopback device; empty if they cannot be read.
    pub fn addresses(self) -> BTreeSet<IpAddr> {
        let four = self.table("fib_trie").map(|table| parse_fib_trie(BufReader::new(table)));
        let six = self.table("if_inet6").map(|table| parse_if_inet6(BufReader::new(table)));
        let (four, six) = (four.unwrap_or_default(), six.unwrap_or_default());
        four.into_iter().map(IpAddr::from).chain(six.into_iter().map(IpAddr::from)).collect()
    }

    /// A file of its `/proc/net`.
    ///
    /// # Errors
    /// If the kernel has no such table, or no process is left in the namespace.
    pub fn table(self, name: &str) -> io::Result<File> {
        match self.id {
            None => File::open(format!("/proc/net/{name}")),
            Some(_) => File::open(format!("/proc/{}/net/{name}", self.a_process()?)),
        }
    }

    /// Runs `work` on a thread inside of it. Descriptors that are opened there work anywhere.
    ///
    /// # Errors
    /// Those of `work`; or why the namespace cannot be entered, with the right that is missing.
    pub fn within<T: Send>(self, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        if self.is_own() {
            return work();
        }
        let entered = thread::scope(|scope| {
            scope
                .spawn(|| {
                    self.enter()?;
                    work()
                })
                .join()
        });
        entered.unwrap_or_else(|_| Err(io::Error::other("the thread in the namespace failed")))
    }

    /// Opens a descriptor inside of it, which then works anywhere. Where a thread may not enter the
    /// namespace, the user may still own it, as that of a rootless container. `make` may do no more
    /// than a signal handler may (see `open_as_owner`).
    ///
    /// # Errors
    /// Those of `make`; or why the namespace cannot be entered, with the right that is missing.
    pub fn open(self, make: impl Fn() -> io::Result<OwnedFd> + Sync) -> io::Result<OwnedFd> {
        let refused = match self.within(&make) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => error,
            other => return other,
        };
        let pid = self.a_process()?;
        let namespace = |kind| File::open(format!("/proc/{pid}/ns/{kind}"));
        let (Ok(user), Ok(net)) = (namespace("user"), namespace("net")) else {
            return Err(refused);
        };
        open_as_owner(&user, &net, make).map_err(|_| refused)
    }

    /// Moves the calling thread into it, for good.
    ///
    /// # Errors
    /// Why it cannot be entered, with the right that is missing.
    pub fn enter(self) -> io::Result<()> {
        if self.is_own() {
            return Ok(());
        }
        let pid = self.a_process()?;
        let refused = |error: io::Error, right: &str| match error.kind() {
            io::ErrorKind::PermissionDenied => io::Error::new(
                error.kind(),
                format!("to enter the network namespace of process {pid} needs {right}"),
            ),
            _ => error,
        };
        let file = File::open(format!("/proc/{pid}/ns/net"))
            .map_err(|error| refused(error, "CAP_SYS_PTRACE"))?;
        // Between the two calls the process may have ended, and its id may be another's.
        if Network::of(pid) != Some(self) {
            return Err(gone());
        }
        // SAFETY: the descriptor is open, and only the calling thread changes its namespace.
        let done = unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) };
        if done == 0 {
            return Ok(());
        }
        Err(refused(io::Error::last_os_error(), "CAP_SYS_ADMIN"))
    }

    /// A process that is in it.
    fn a_process(self) -> io::Result<u32> {
        all_pids().find(|pid| id_of(&pid.to_string()) == self.id).ok_or_else(gone)
    }
}

/// Whether `ip` is an address of kneepoint's own namespace. Only such an address can be bound.
pub fn is_own_address(ip: IpAddr) -> bool {
    ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok()
}

/// Whether `ip` is an address of any network namespace of this machine.
pub fn is_on_machine(ip: IpAddr) -> bool {
    is_own_address(ip) || !Network::with_address(ip).is_empty()
}

/// The addresses of all network namespaces of this machine, except loopback addresses.
pub fn machine_addresses() -> BTreeSet<IpAddr> {
    Network::all().into_iter().flat_map(Network::addresses).collect()
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "no process is left in the network namespace")
}

fn id_of(process: &str) -> Option<u64> {
    std::fs::metadata(format!("/proc/{process}/net/tcp")).ok().map(|table| table.ino())
}

/// A process that passes on every byte of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarder {
    /// The namespace in which it listens.
    pub network: Network,
    /// Where it was reached.
    pub address: SocketAddr,
}

/// Where a service listens, and how the same place is found again after its container has got a new
/// network namespace: by an address that it had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Home {
    network: Network,
    addresses: BTreeSet<IpAddr>,
}

impl Home {
    /// The home in `network`.
    pub fn new(network: Network) -> Self {
        let addresses = if network.is_own() { BTreeSet::new() } else { network.addresses() };
        Self { network, addresses }
    }

    /// What is looked for has been found in `network`.
    pub fn move_to(&mut self, network: Network) {
        if network != self.network {
            *self = Home::new(network);
        }
    }

    /// The namespaces to look into: the known one, or, where it is gone, those with its addresses.
    pub fn networks(&self) -> Vec<Network> {
        if self.network.is_own() || self.network.a_process().is_ok() {
            return vec![self.network];
        }
        let others = Network::all().into_iter().filter(|network| !network.is_own());
        others.filter(|network| !network.addresses().is_disjoint(&self.addresses)).collect()
    }
}

/// Reads the counters of a namespace again and again.
#[derive(Debug)]
pub struct Counters {
    network: Network,
    /// A process that was in it at the last look.
    process: u32,
}

impl Counters {
    /// Those of `network`.
    pub fn new(network: Network) -> Self {
        Self { network, process: 0 }
    }

    /// A file of its `/proc/net`.
    ///
    /// # Errors
    /// If the kernel has no such table, or no process is left in the namespace.
    pub fn read<'t>(&mut self, text: &'t mut Text, name: &str) -> io::Result<Cow<'t, str>> {
        if self.network.is_own() {
            return text.read(&format!("/proc/net/{name}"));
        }
        if Network::of(self.process) != Some(self.network) {
            self.process = self.network.a_process()?;
        }
        text.read(&format!("/proc/{}/net/{name}", self.process))
    }
}

/// The addresses of all network namespaces of this machine, for connections that do not leave it.
#[derive(Debug, Default)]
pub struct Addresses(BTreeMap<Network, BTreeSet<IpAddr>>);

impl Addresses {
    /// Those of now.
    pub fn read() -> Self {
        Self(Network::all().into_iter().map(|network| (network, network.addresses())).collect())
    }

    /// Whether `ip` is one of them.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_loopback() || self.0.values().any(|addresses| addresses.contains(&ip))
    }

    /// The namespace with this address; `None` if there is none, or more than one.
    pub fn only(&self, ip: IpAddr) -> Option<Network> {
        let ip = ip.to_canonical();
        let mut found = self.0.iter().filter(|(_, addresses)| addresses.contains(&ip));
        match (found.next(), found.next()) {
            (Some((network, _)), None) => Some(*network),
            _ => None,
        }
    }
}

/// The local addresses in `/proc/net/fib_trie`: an address stands on a line of its own, and below it
/// what it is.
fn parse_fib_trie(rows: impl BufRead) -> BTreeSet<Ipv4Addr> {
    let mut found = BTreeSet::new();
    let mut last = None;
    for row in rows.lines().map_while(Result::ok) {
        let row = row.trim();
        if let Some(address) = row.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if row.starts_with("/32 host LOCAL") {
            found.extend(last.filter(|address| !address.is_loopback()));
        }
    }
    found
}

/// The addresses in `/proc/net/if_inet6`: 32 hexadecimal digits begin each line.
fn parse_if_inet6(rows: impl Read) -> BTreeSet<Ipv6Addr> {
    let rows = BufReader::new(rows).lines().map_while(Result::ok);
    let addresses = rows.filter_map(|row| {
        let digits = row.split_ascii_whitespace().next().filter(|digits| digits.len() == 32)?;
        u128::from_str_radix(digits, 16).ok().map(Ipv6Addr::from)
    });
    addresses.filter(|address| !address.is_loopback()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIE: &str = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n\
        Local:\n     +-- 10.99.0.0/24 2 0 2\n        |-- 10.99.0.0\n           /24 link UNICAST\n\
        |-- 10.99.0.2\n           /32 host LOCAL\n        |-- 10.99.0.255\n           /32 link BROADCAST\n\
        |-- 127.0.0.1\n           /32 host LOCAL\n";

    #[test]
    fn only_local_addresses_are_a_namespaces_own() {
        let found = parse_fib_trie(TRIE.as_bytes());
        assert_eq!(found, BTreeSet::from([Ipv4Addr::new(10, 99, 0, 2)]));
        let six = "00000000000000000000000000000001 01 80 10 80       lo\n\
                   fd000000000000000000000000000002 02 40 00 80     eth0\nno\n";
        let found = parse_if_inet6(six.as_bytes());
        assert_eq!(found, BTreeSet::from(["fd00::2".parse().unwrap()]));
    }

    #[test]
    fn the_own_namespace_is_entered_without_rights() {
        assert_eq!(Network::of(std::process::id()), Some(Network::OWN));
        assert!(Network::all().contains(&Network::OWN));
        assert_eq!(Network::OWN.within(|| Ok(7)).unwrap(), 7);
        assert!(Network::OWN.has(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(Home::new(Network::OWN).networks(), [Network::OWN]);
    }

    #[test]
    fn a_namespace_without_a_process_is_gone() {
        let gone = Network { id: Some(u64::MAX) };
        assert_eq!(gone.within(|| Ok(())).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(gone.addresses().is_empty());
        assert!(Home::new(gone).networks().is_empty());
    }
}
