//! Lists the sockets of one network namespace: TCP at each look, UNIX sockets as often as they may
//! cost.

use std::io;
use std::time::{Duration, Instant};

use super::diag::{self, Socket};
use super::netlink::Netlink;
use super::own_page::OwnPage;
use super::unix::UnixSockets;
use crate::collect::proc::CpuWatch;
use crate::collect::proc::network::Network;

/// Share of one core that listing UNIX sockets may use. Every service of the machine has some, and
/// a desktop has thousands: between two lists the last one stays. Some hundred sockets are listed
/// at each look, and ten thousand about once a second.
const MOST_FOR_UNIX: f64 = 0.005;
/// A list stays for at most this long, whatever it costs.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A kernel that does not list UNIX sockets (without the module `unix_diag`) is asked again after
/// this time.
const ASKED_AGAIN: Duration = Duration::from_secs(10);

/// Lists sockets.
pub(in crate::collect) struct Lister {
    network: Network,
    netlink: Netlink,
    own_page: OwnPage,
    unix: UnixSockets,
    /// The UNIX sockets as they were last listed.
    unix_sockets: Vec<Socket>,
    next_unix: Instant,
}

impl Lister {
    /// Opens what lists the sockets of `network`. Needs rights only for another than kneepoint's own.
    ///
    /// # Errors
    /// If the system has no netlink socket of this kind, or the namespace cannot be entered.
    pub fn open(network: Network) -> io::Result<Self> {
        Ok(Self {
            network,
            netlink: Netlink::open(network)?,
            own_page: OwnPage::default(),
            unix: UnixSockets::default(),
            unix_sockets: Vec::new(),
            next_unix: Instant::now(),
        })
    }

    /// The same, without the connections of kneepoint's own page.
    pub fn without(self, own_page: OwnPage) -> Self {
        Self { own_page, ..self }
    }

    /// Lists the sockets of `network` from now on: a container that starts again gets a new one.
    ///
    /// # Errors
    /// Those of [`Lister::open`].
    pub fn follow(&mut self, network: Network) -> io::Result<()> {
        if network != self.network {
            *self = Self::open(network)?.without(self.own_page.clone());
        }
        Ok(())
    }

    /// Whose sockets it lists.
    pub fn network(&self) -> Network {
        self.network
    }

    /// Appends all TCP sockets to `sockets`, and the UNIX sockets that lead to a path.
    ///
    /// # Errors
    /// If the kernel does not list TCP sockets.
    pub fn list(&mut self, sockets: &mut Vec<Socket>) -> io::Result<()> {
        // In another namespace the same port is somebody else's.
        let own_page = self.own_page.port().filter(|_| self.network.is_own());
        diag::list(&mut self.netlink, own_page, sockets)?;
        if Instant::now() >= self.next_unix {
            self.list_unix();
        }
        sockets.extend(self.unix_sockets.iter().cloned());
        Ok(())
    }

    fn list_unix(&mut self) {
        let cpu = CpuWatch::start();
        self.unix_sockets.clear();
        let is_listed = self.unix.list(&mut self.netlink, &mut self.unix_sockets).is_ok();
        let pause = match is_listed {
            true => cpu.used().div_f64(MOST_FOR_UNIX).min(LONGEST_PAUSE),
            false => ASKED_AGAIN,
        };
        if !is_listed {
            self.unix_sockets.clear();
        }
        self.next_unix = Instant::now() + pause;
    }
}
