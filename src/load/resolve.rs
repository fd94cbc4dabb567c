//! From a host name to its addresses: when it is resolved, and how long that takes.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::net::lookup_host;
use tokio::sync::Mutex;

use super::error::LoadError;
use crate::plan::Dns;

/// A host, and its addresses at the start, at least one.
#[derive(Clone, Debug)]
pub(super) struct Host {
    name: String,
    port: u16,
    dns: Dns,
    addresses: Vec<SocketAddr>,
}

impl Host {
    /// Resolves `name`, which the plan has under `key`. If it is already an address, it is never
    /// resolved again.
    ///
    /// # Errors
    ///
    /// When it has no address.
    pub(super) fn resolve(
        name: &str,
        port: u16,
        dns: Dns,
        key: &'static str,
    ) -> Result<Self, LoadError> {
        let failed = |reason: String| LoadError::Resolve { host: name.to_owned(), key, reason };
        let addresses: Vec<SocketAddr> =
            (name, port).to_socket_addrs().map_err(|error| failed(error.to_string()))?.collect();
        if addresses.is_empty() {
            return Err(failed(NO_ADDRESS.to_owned()));
        }
        let dns = if name.parse::<IpAddr>().is_ok() { Dns::Once } else { dns };
        Ok(Self { name: name.to_owned(), port, dns, addresses })
    }

    /// The first of its addresses at the start.
    pub(super) fn first_address(&self) -> Option<SocketAddr> {
        self.addresses.first().copied()
    }
}

const NO_ADDRESS: &str = "it has no address";

/// The addresses of a host, for the connections of one worker.
pub(super) struct Resolver {
    host: Host,
    /// The last answer, and when it came.
    known: RefCell<(Rc<[SocketAddr]>, Instant)>,
    /// Held by the task that asks. The others wait for the same answer.
    asking: Mutex<()>,
}

impl Resolver {
    /// Starts with the addresses known at the start, which are valid from now on.
    pub(super) fn new(host: Host) -> Self {
        let known = (host.addresses.clone().into(), Instant::now());
        Self { host, known: RefCell::new(known), asking: Mutex::new(()) }
    }

    /// The addresses for a new connection, at least one, and how long the resolution took, if there
    /// was one.
    ///
    /// # Errors
    ///
    /// The error of the system's resolver.
    pub(super) async fn addresses(&self) -> io::Result<(Rc<[SocketAddr]>, Option<Duration>)> {
        if let Some(addresses) = self.fresh() {
            return Ok((addresses, None));
        }
        let begun = Instant::now();
        let addresses = match self.host.dns {
            Dns::Every(_) => {
                let _asking = self.asking.lock().await;
                match self.fresh() {
                    Some(addresses) => addresses,
                    None => self.ask().await?,
                }
            }
            Dns::Once | Dns::PerConnection => self.ask().await?,
        };
        Ok((addresses, Some(begun.elapsed())))
    }

    /// The known addresses, if they are still valid.
    fn fresh(&self) -> Option<Rc<[SocketAddr]>> {
        let (addresses, since) = &*self.known.borrow();
        let is_fresh = match self.host.dns {
            Dns::Once => true,
            Dns::PerConnection => false,
            Dns::Every(most) => since.elapsed() < most,
        };
        is_fresh.then(|| Rc::clone(addresses))
    }

    async fn ask(&self) -> io::Result<Rc<[SocketAddr]>> {
        let Host { name, port, .. } = &self.host;
        let told =
            |kind, why: &str| io::Error::new(kind, format!("cannot resolve `{name}`: {why}"));
        let found = lookup_host((name.as_str(), *port)).await;
        let found = found.map_err(|error| told(error.kind(), &error.to_string()))?;
        let addresses: Rc<[SocketAddr]> = found.collect();
        if addresses.is_empty() {
            return Err(told(io::ErrorKind::NotFound, NO_ADDRESS));
        }
        *self.known.borrow_mut() = (Rc::clone(&addresses), Instant::now());
        Ok(addresses)
    }
}
