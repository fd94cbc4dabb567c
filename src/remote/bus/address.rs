//! Where a bus is, and as whom to connect.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use url::Url;

use crate::plan::Secret;
use crate::timeline::mask_secrets;

/// Longest name of a run: it is a part of each subject.
const LONGEST_NAME: usize = 64;

/// A bus, and how to log in. It prints without user and password.
#[derive(Clone)]
pub struct BusAddress {
    url: Secret,
    shown: String,
    host: String,
    is_tls: bool,
    /// File of credentials: a JWT and the key to it.
    pub credentials: Option<PathBuf>,
    /// File with the seed of an NKEY.
    pub nkey: Option<PathBuf>,
    /// File with the certificates of those who may sign the server's.
    pub ca: Option<PathBuf>,
}

impl BusAddress {
    /// Reads `nats://HOST:PORT`, or `tls://…` for a connection that must be encrypted.
    ///
    /// # Errors
    /// What is wrong with it, without its secrets.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{why}; write `nats://HOST:4222` or `tls://HOST:4222`");
        let url = Url::parse(text).map_err(|error| wrong(&format!("not a full URL ({error})")))?;
        if !matches!(url.scheme(), "nats" | "tls") {
            return Err(wrong(&format!("`{}` is not the scheme of a bus", url.scheme())));
        }
        let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
            return Err(wrong("the host is missing"));
        };
        let host = host.trim_matches(['[', ']']).to_owned();
        let port = url.port().map_or(String::new(), |port| format!(":{port}"));
        let shown = format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default());
        Ok(Self {
            is_tls: url.scheme() == "tls",
            url: Secret::new(text),
            shown: mask_secrets(&shown),
            host,
            credentials: None,
            nkey: None,
            ca: None,
        })
    }

    /// The URL with what is secret in it.
    pub(super) fn reveal(&self) -> &str {
        self.url.reveal()
    }

    /// Its host.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Whether the connection must be encrypted.
    pub(super) fn is_tls(&self) -> bool {
        self.is_tls || self.ca.is_some()
    }

    /// Whether what is sent stays on this machine.
    pub(super) fn is_this_machine(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }
}

impl fmt::Display for BusAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for BusAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// The name of a run on a bus: the coordinator and all nodes are given the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunName(String);

impl RunName {
    /// A name of letters, digits, `-` and `_`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_fine = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if text.is_empty() || text.len() > LONGEST_NAME || !text.chars().all(is_fine) {
            return Err(format!(
                "`{text}` is not a valid name of a run: write 1 to {LONGEST_NAME} letters, digits, \
                 `-` or `_`"
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_prints_without_its_secrets() {
        let bus = BusAddress::parse("nats://shop:hunter2@bus.example:4333").unwrap();
        assert_eq!(format!("{bus} {bus:?}"), "nats://bus.example:4333 nats://bus.example:4333");
        assert!(bus.reveal().contains("hunter2"));
        assert!(!bus.is_tls() && !bus.is_this_machine());
        assert!(BusAddress::parse("tls://[::1]:4222").unwrap().is_this_machine());
        assert!(BusAddress::parse("tls://[::1]:4222").unwrap().is_tls());
        for (wrong, why) in [
            ("bus:4222", "scheme"),
            ("http://bus:4222", "`http` is not"),
            ("shop:hunter2", "scheme"),
            ("nats:///x", "host is missing"),
        ] {
            let error = BusAddress::parse(wrong).unwrap_err();
            assert!(error.contains(why) && !error.contains("hunter2"), "{wrong}: {error}");
        }
    }

    #[test]
    fn the_name_of_a_run_is_a_part_of_a_subject() {
        assert_eq!(RunName::parse("night-42_a").unwrap().as_str(), "night-42_a");
        for wrong in ["", "a.b", "a b", ">", "*", "ü", &"x".repeat(65)] {
            assert!(RunName::parse(wrong).is_err(), "{wrong}");
        }
    }
}
