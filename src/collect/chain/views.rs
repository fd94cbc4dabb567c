//! The sockets of each network namespace that the chain leads through.

use std::io;
use std::net::IpAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::collect::proc::network::{Addresses, Network};
use crate::collect::tcp::{Lister, OwnPage, Socket};

/// Namespaces beyond this number are not looked into.
const MOST_VIEWS: usize = 16;
/// The addresses of the machine's namespaces are read at most this often.
const ADDRESSES_EVERY: Duration = Duration::from_secs(10);

/// Lists the sockets of some namespaces.
pub struct Views {
    own_page: OwnPage,
    listers: Vec<Lister>,
    /// For each lister where its sockets stand.
    ranges: Vec<Range<usize>>,
    sockets: Vec<Socket>,
    addresses: Addresses,
    /// When the addresses were read; `None` before they were asked for.
    read: Option<Instant>,
}

impl Views {
    /// Begins with `network`; the connections of `own_page` are in no list.
    ///
    /// # Errors
    /// Those of [`Lister::open`].
    pub fn new(network: Network, own_page: OwnPage) -> io::Result<Self> {
        Ok(Self {
            listers: vec![Lister::open(network)?.without(own_page.clone())],
            own_page,
            ranges: Vec::new(),
            sockets: Vec::new(),
            addresses: Addresses::default(),
            read: None,
        })
    }

    /// Looks into no namespace any more, so that the one of a container that has ended can end too.
    pub fn close(&mut self) {
        self.listers.clear();
        self.ranges.clear();
        self.sockets.clear();
    }

    /// Whether it looks into none.
    pub fn is_closed(&self) -> bool {
        self.listers.is_empty()
    }

    /// Looks into `network` too; its sockets are among those of the next list.
    ///
    /// # Errors
    /// Why it cannot be looked into.
    pub fn open(&mut self, network: Network) -> Result<(), String> {
        if self.listers.iter().any(|lister| lister.network() == network) {
            return Ok(());
        }
        if self.listers.len() >= MOST_VIEWS {
            return Err(format!("at most {MOST_VIEWS} network namespaces are looked into"));
        }
        let lister = Lister::open(network).map_err(|error| error.to_string())?;
        self.listers.push(lister.without(self.own_page.clone()));
        Ok(())
    }

    /// Lists all sockets. A namespace that is gone has none.
    ///
    /// # Errors
    /// If those of the first namespace cannot be listed.
    pub fn list(&mut self) -> io::Result<()> {
        self.sockets.clear();
        self.ranges.clear();
        for (index, lister) in self.listers.iter_mut().enumerate() {
            let begin = self.sockets.len();
            let listed = lister.list(&mut self.sockets);
            if index == 0 {
                listed?;
            }
            self.ranges.push(begin..self.sockets.len());
        }
        Ok(())
    }

    /// The sockets of all namespaces.
    pub fn sockets(&self) -> &[Socket] {
        &self.sockets
    }

    /// The sockets of each namespace.
    pub fn all(&self) -> impl Iterator<Item = (Network, &[Socket])> {
        let listed = self.listers.iter().zip(&self.ranges);
        listed.filter_map(|(lister, range)| {
            Some((lister.network(), self.sockets.get(range.clone())?))
        })
    }

    /// The only namespace of this machine with the address `ip`.
    pub fn with_address(&mut self, ip: IpAddr) -> Option<Network> {
        if self.read.is_none_or(|read| read.elapsed() >= ADDRESSES_EVERY) {
            self.read = Some(Instant::now());
            self.addresses = Addresses::read();
        }
        self.addresses.only(ip)
    }
}
