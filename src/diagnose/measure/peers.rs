//! Which peers of the target are databases, and which names mean the same peer.

use std::collections::{BTreeMap, BTreeSet};

use crate::recording::Environment;
use crate::timeline::{Labels, Selector, SeriesKey, Timeline, names};

/// How the metrics begin that clients of other services export.
pub const CLIENT: &str = "client.";
/// A selector's value that stands for every peer that is a database which is watched too.
pub const DATABASE: &str = "$database";
/// Ports on which PostgreSQL and its poolers listen where nothing else is known.
const DATABASE_PORTS: [&str; 2] = ["5432", "6432"];
/// What stands before the path of a UNIX socket.
pub const UNIX: &str = "unix:";
/// How the names of services start that speak PostgreSQL's protocol.
const DATABASE_SERVICES: [&str; 4] = ["postgres", "pgbouncer", "pgcat", "odyssey"];

fn has_database_port(peer: &str) -> bool {
    address(peer).rsplit_once(':').is_some_and(|(_, port)| DATABASE_PORTS.contains(&port))
}

/// The peers that are PostgreSQL or lead to it: by their own answer, by the name of their service,
/// by what a `postgres` collector says it watches, or by their port.
pub fn databases(timeline: &Timeline, environment: &Environment) -> BTreeSet<String> {
    let watched: Vec<&str> = environment
        .collectors
        .iter()
        .filter(|note| note.name == "postgres")
        .map(|note| note.watches.as_str())
        .collect();
    let is_watched = |peer: &str| {
        let peer = address(peer);
        let port = peer.rsplit_once(':').map(|(_, port)| port);
        watched
            .iter()
            .any(|text| text.contains(peer) || port.is_some_and(|port| has_word(text, port)))
    };
    let sockets = timeline.series.keys().filter(|key| key.metric.starts_with("tcp."));
    sockets
        .filter_map(|key| {
            let peer = key.labels.get("peer")?;
            let known = is_database_key(key) || is_watched(peer);
            known.then(|| peer.to_owned())
        })
        .collect()
}

/// Peers that client metrics name by host alone, or by address without a service, and the name of
/// the one peer among the target's sockets that it can be: no other socket goes to that host, but
/// for those to databases, which client metrics of HTTP do not count.
pub fn names(timeline: &Timeline, databases: &BTreeSet<String>) -> BTreeMap<String, String> {
    let peers = |prefix: &'static str| -> BTreeSet<&str> {
        let keys = timeline.series.keys().filter(|key| key.metric.starts_with(prefix));
        keys.filter_map(|key| key.labels.get("peer")).collect()
    };
    let sockets = peers("tcp.");
    let host = |peer: &str| {
        let host = address(peer).rsplit_once(':').map_or(peer, |(host, _)| host);
        host.trim_matches(['[', ']']).to_owned()
    };
    let mut names = BTreeMap::new();
    for client in peers(CLIENT).into_iter().filter(|peer| !sockets.contains(peer)) {
        let same = |peer: &&&str| address(peer) == client || host(peer) == client;
        let services = sockets.iter().filter(|peer| !databases.contains(**peer));
        let found: Vec<&&str> = services.filter(same).collect();
        if let [one] = found.as_slice() {
            names.insert(client.to_owned(), (**one).to_owned());
        }
    }
    names
}

/// The address in `10.0.3.7:8443 (payments)`. A UNIX socket's path may hold spaces.
pub fn address(peer: &str) -> &str {
    if peer.starts_with(UNIX) {
        let named = peer.strip_suffix(')').and_then(|peer| peer.rsplit_once(" ("));
        return named.map_or(peer, |(address, _)| address);
    }
    peer.split_once(' ').map_or(peer, |(address, _)| address)
}

/// How to connect to a `database` of the server at an address, as PostgreSQL's clients write it.
pub fn postgres_url(user: &str, address: &str, database: &str) -> String {
    let path = address.strip_prefix(UNIX).and_then(|path| path.rsplit_once("/.s.PGSQL."));
    match path {
        Some((directory, port)) => {
            format!("postgres://{user}@/{database}?host={directory}&port={port}")
        }
        None => format!("postgres://{user}@{address}/{database}"),
    }
}

/// The labels that a selector wants, and the one that stands for databases or for all others.
pub fn wanted(selector: &Selector) -> (Labels, Option<(&str, bool)>) {
    let (mut wanted, mut database) = (Labels::none(), None);
    for (name, value) in selector.labels.iter() {
        if value.trim_start_matches('!') == DATABASE {
            database = Some((name, !value.starts_with('!')));
        } else {
            wanted = wanted.with(name, value);
        }
    }
    (wanted, database)
}

/// Whether a series of sockets is about PostgreSQL or a pooler.
pub fn is_database_key(key: &SeriesKey) -> bool {
    if key.metric == names::TCP_PEER_POSTGRES.name {
        return true;
    }
    let service = key.labels.get("service").unwrap_or_default().to_ascii_lowercase();
    DATABASE_SERVICES.iter().any(|name| service.starts_with(name))
        || key.labels.get("peer").is_some_and(has_database_port)
}

/// Whether `word` stands in `text` with no letter or digit beside it.
fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| part == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_peer_stands_before_its_name() {
        assert_eq!(address("10.0.3.7:8443 (payments)"), "10.0.3.7:8443");
        assert_eq!(address("10.0.3.7:8443"), "10.0.3.7:8443");
        assert_eq!(address("unix:/run/my app.sock (php-fpm8.2)"), "unix:/run/my app.sock");
        assert_eq!(address("unix:/run/my app.sock"), "unix:/run/my app.sock");
        assert_eq!(address("unix:@a (b) (php)"), "unix:@a (b)");
    }

    #[test]
    fn a_database_is_reached_by_its_port_or_by_its_directory() {
        let url = |address| postgres_url("USER", address, "DATABASE");
        assert_eq!(url("10.0.0.5:5432"), "postgres://USER@10.0.0.5:5432/DATABASE");
        assert_eq!(
            url("unix:/run/postgresql/.s.PGSQL.5433"),
            "postgres://USER@/DATABASE?host=/run/postgresql&port=5433"
        );
    }
}
