//! Where a socket leads, or where a service listens: an IP address with a port, or a UNIX socket.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use crate::collect::proc::wanted::Wanted;

/// What a UNIX socket's path stands behind in texts.
const UNIX: &str = "unix:";

/// One end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::collect) enum Address {
    /// An IP address with its port.
    Ip(SocketAddr),
    /// The path of a UNIX socket as it was bound. The name of an abstract one begins with `@`, as
    /// `ss` writes it. Empty for a client's end, which has no name.
    Unix(Arc<str>),
}

/// What a listener accepts connections to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::collect) enum Port {
    /// A TCP port, of one of the machine's addresses or of all.
    Tcp(u16),
    /// The path of a UNIX socket.
    Unix(Arc<str>),
}

impl Address {
    /// What a listener at this address accepts connections to.
    pub fn port(&self) -> Port {
        match self {
            Address::Ip(address) => Port::Tcp(address.port()),
            Address::Unix(path) => Port::Unix(Arc::clone(path)),
        }
    }

    /// The IP address, if it has one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Address::Ip(address) => Some(address.ip()),
            Address::Unix(_) => None,
        }
    }
}

impl Port {
    /// What finds the process that listens there.
    pub fn wanted(&self) -> Wanted {
        match self {
            Port::Tcp(port) => Wanted::Port(*port),
            Port::Unix(path) => Wanted::Socket(path.to_string()),
        }
    }

    /// Its address on this machine, where it has none of its own: that at `ip`.
    pub fn at(self, ip: IpAddr) -> Address {
        match self {
            Port::Tcp(port) => Address::Ip(SocketAddr::new(ip, port)),
            Port::Unix(path) => Address::Unix(path),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Address::Ip(address)
    }
}

impl FromStr for Address {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix(UNIX).filter(|path| !path.is_empty()) {
            Some(path) => Ok(Address::Unix(path.into())),
            None => Ok(Address::Ip(text.parse()?)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(address) => address.fmt(f),
            Address::Unix(path) => write!(f, "{UNIX}{path}"),
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Port::Tcp(port) => port.fmt(f),
            Port::Unix(path) => write!(f, "{UNIX}{path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for text in ["127.0.0.1:9000", "[::1]:80", "unix:/run/php/php-fpm.sock", "unix:@bus"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for text in ["", "unix:", "/run/a.sock", "localhost:80"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_listener_is_found_by_its_port_or_its_path() {
        let port = |text: &str| text.parse::<Address>().unwrap().port();
        assert_eq!(port("10.0.0.1:80"), port("127.0.0.1:80"));
        assert_ne!(port("unix:/run/a.sock"), port("unix:/run/b.sock"));
        assert_eq!(port("127.0.0.1:80").wanted(), Wanted::Port(80));
        assert_eq!(port("unix:/run/a").wanted(), Wanted::Socket("/run/a".to_owned()));
    }
}
