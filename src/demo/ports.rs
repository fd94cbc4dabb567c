//! Where the sample shop listens.

use std::fmt;
use std::str::FromStr;

/// Ports of the sample shop on the loopback address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ports {
    /// Whatever is free.
    #[default]
    Any,
    /// This one for requests, and the next three for payments, for the database, and for the shop
    /// itself where a proxy stands in front of it.
    From(u16),
}

impl Ports {
    /// Ports after the first one.
    pub const FURTHER: u16 = 3;

    /// Where requests go.
    pub(super) fn front(self) -> Option<u16> {
        self.after(0)
    }

    pub(super) fn payments(self) -> Option<u16> {
        self.after(1)
    }

    pub(super) fn database(self) -> Option<u16> {
        self.after(2)
    }

    pub(super) fn behind_proxy(self) -> Option<u16> {
        self.after(Self::FURTHER)
    }

    fn after(self, offset: u16) -> Option<u16> {
        match self {
            Ports::Any => None,
            Ports::From(first) => first.checked_add(offset),
        }
    }
}

/// The first port; 0 for any.
impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ports::Any => f.write_str("0"),
            Ports::From(first) => first.fmt(f),
        }
    }
}

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(0) => Ok(Ports::Any),
            Ok(first) if first <= u16::MAX - Self::FURTHER => Ok(Ports::From(first)),
            _ => Err(format!("not a port from 1 to {}", u16::MAX - Self::FURTHER)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ports_follow_one_another_and_end_in_time() {
        let ports: Ports = "8080".parse().unwrap();
        assert_eq!((ports.front(), ports.database()), (Some(8080), Some(8082)));
        assert_eq!(ports.to_string().parse(), Ok(ports));
        assert_eq!("0".parse(), Ok(Ports::Any));
        assert!("65533".parse::<Ports>().is_err() && "x".parse::<Ports>().is_err());
    }
}
