//! The address of a page as it was typed.

use std::net::{Ipv4Addr, SocketAddr};

use super::super::error::CliError;

/// An address with its port, or only a port of the loopback address; 0 is any free one.
pub(super) fn of(text: &str) -> Result<SocketAddr, CliError> {
    let text = text.trim();
    let port = text.strip_prefix(':').unwrap_or(text).parse::<u16>();
    let host_less = port.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let named = text.strip_prefix("localhost:").and_then(|port| port.parse::<u16>().ok());
    let named = named.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    host_less.ok().or(named).or_else(|| text.parse().ok()).ok_or_else(|| {
        CliError::usage(format!("`{text}` is not an address to serve a page at"))
            .with_hint("write an IP address with a port, such as `127.0.0.1:8089`, or only a port")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_one_of_this_machine() {
        for (text, expected) in [
            ("8089", "127.0.0.1:8089"),
            (":8089", "127.0.0.1:8089"),
            ("localhost:8089", "127.0.0.1:8089"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("[::1]:8089", "[::1]:8089"),
            ("0.0.0.0:8089", "0.0.0.0:8089"),
        ] {
            assert_eq!(of(text).unwrap().to_string(), expected, "{text}");
        }
        for wrong in ["", "plan.toml", "127.0.0.1", "70000", "host:80"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
