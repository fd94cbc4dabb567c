//! `tcp`: the target's sockets by role and peer, calls in flight, requests in progress, and the
//! accept queue. All come from the kernel's socket state.
//!
//! By Little's law (1961), the mean number of calls in flight to a peer divided by the throughput
//! is the time that each request waits for that peer. This needs no instrumentation.
//!
//! Most series are a census: each look counts anew, and the mean of the looks is the number that
//! the law needs. `tcp.calls.sent` and `tcp.calls.connections` are running totals. The accept queue
//! and its limit are gauges.
//! `tcp.requests.unread` counts requests that have arrived and are still in the socket's buffer.
//! `tcp.requests.served` counts those that the target has read. `tcp.requests` is their sum. Keep
//! the two apart where workers limit the work: the served requests stop at the number of workers,
//! while the unread ones grow without bound.
//!
//! What it cannot see:
//! - Calls multiplexed on one connection (HTTP/2, pipelining) count as one.
//! - Requests are not counted if the load itself is multiplexed or holds sessions.
//! - Sockets in another network namespace than kneepoint's own are visible only with the rights to
//!   enter it (CAP_SYS_PTRACE and CAP_SYS_ADMIN).
//! - Of a UNIX socket the kernel tells that it is open and what is unread, not whose turn it is. Where
//!   each call opens a connection, every open one is a call, and the diagnosis counts it. Where
//!   connections are kept, calls cannot be counted, and the report says so. The few that a client
//!   keeps beside many that it closes count as calls.
//! - A client that waits for room in the full accept queue of a UNIX socket is not listed.
//! - UNIX sockets are listed at each look, or less often where a machine has so many that listing them
//!   would use more than 0.5 % of a core. Those of logs and buses (systemd, D-Bus, X11) are left out.
//! - Without the right to read the target's descriptors, only its inbound side is visible.
//! - A request counts as unread until the target has read a part of it.

mod address;
mod callers;
mod census;
mod diag;
mod lister;
mod netlink;
mod own_page;
mod owners;
mod path;
mod peers;
mod postgres;
mod turn;
mod unix;

use std::io;
use std::time::Duration;

pub(super) use self::address::{Address, Port};
pub(super) use self::census::Census;
pub(super) use self::diag::{Socket, TcpState};
pub(super) use self::lister::Lister;
pub use self::own_page::OwnPage;
pub(super) use self::owners::{Owners, Pace};
pub(super) use self::peers::{Peers, parse_names};
use self::postgres::Asker;
pub use self::postgres::speaks_postgres;
use super::proc::network::Network;
use super::proc::tree::Tree;
use super::{Collector, CollectorSpec, OpenError, Opens, SampleError, TargetHint};
use crate::plan::{CollectorConfig, OptionKind, OptionSpec, OptionValue};
use crate::timeline::{BatchBuilder, names};

/// Whether kneepoint may list the sockets of a network namespace.
///
/// # Errors
/// Why not, with the right that is missing.
pub fn can_list_sockets(network: Network) -> io::Result<()> {
    Lister::open(network).map(drop)
}

/// The collector's entry for lists and plans.
pub static SPEC: CollectorSpec = CollectorSpec {
    name: "tcp",
    summary: "the target's TCP and UNIX sockets by sock_diag: calls in progress to each peer, requests being \
              processed, accept queue; Linux, same machine",
    hint: "[collect.tcp] on the machine the target runs on",
    opens: Opens::ForLocalTarget,
    options: &[
        OptionSpec {
            name: "names",
            kind: OptionKind::Texts,
            required: false,
            about: "names of peers, such as [\"10.0.3.7:8443=payments\", \"unix:/run/a.sock=pay\"]",
        },
        OptionSpec {
            name: PROBE,
            kind: OptionKind::Switch,
            required: false,
            about: "false: do not ask peers on this machine, and named ones, once whether they are \
                    PostgreSQL",
        },
    ],
    metrics: &[
        names::TCP_SOCKETS,
        names::TCP_CALLS,
        names::TCP_REQUESTS,
        names::TCP_REQUESTS_SERVED,
        names::TCP_REQUESTS_UNREAD,
        names::TCP_UNREAD,
        names::TCP_CONNECTING,
        names::TCP_CALLS_SENT,
        names::TCP_CALLS_CONNECTIONS,
        names::TCP_REQUESTS_CONNECTIONS,
        names::TCP_REQUESTS_ANSWERED,
        names::TCP_ACCEPT_QUEUE,
        names::TCP_ACCEPT_QUEUE_LIMIT,
        names::TCP_CLOSE_WAIT,
        names::TCP_PEER_POSTGRES,
        names::TCP_SEGMENTS_SENT,
        names::TCP_RETRANSMITS,
        names::TCP_ROUND_TRIP,
    ],
    interval: Duration::from_millis(100),
    open,
};

/// The option that forbids to ask peers whether they are PostgreSQL.
const PROBE: &str = "probe";
/// What the search for the target's sockets may cost.
const PACE: Pace = Pace { owners: 0.008, processes_every: Duration::ZERO };

struct Tcp {
    /// Absent while the target is gone: it would keep the namespace of a container that has ended.
    lister: Option<Lister>,
    own_page: OwnPage,
    owners: Owners,
    census: Census,
    /// The sockets of the last look, kept to reuse their memory.
    sockets: Vec<Socket>,
}

fn open(config: &CollectorConfig, hint: &TargetHint) -> Result<Box<dyn Collector>, OpenError> {
    let tree = Tree::of_target(hint.process_config.as_ref(), hint)?;
    let network = tree.network();
    let peers = Peers::new(config.texts("names"), network)?;
    let asks = config.options.get(PROBE) != Some(&OptionValue::Switch(false));
    let asker = Asker::new(asks, network);
    let lister = Lister::open(network).map_err(|error| cannot_list(&error, network))?;
    let mut lister = lister.without(hint.own_page.clone());
    let mut sockets = Vec::new();
    lister.list(&mut sockets).map_err(|error| {
        OpenError::new(
            format!("the kernel does not list TCP sockets: {error}"),
            "load the module tcp_diag (`modprobe tcp_diag`), or leave [collect.tcp] out",
        )
    })?;
    Ok(Box::new(Tcp {
        lister: Some(lister),
        own_page: hint.own_page.clone(),
        owners: Owners::of_target(tree, PACE),
        census: Census::new(peers, hint.is_shared.then(|| port_of(hint))).asking(asker),
        sockets,
    }))
}

fn cannot_list(error: &io::Error, network: Network) -> OpenError {
    match network.is_own() {
        true => OpenError::new(
            format!("cannot open a netlink socket: {error}"),
            "leave [collect.tcp] out; a sandbox that forbids AF_NETLINK cannot see sockets",
        ),
        false => OpenError::new(
            format!("the sockets in the target's network namespace cannot be listed: {error}"),
            "run kneepoint as root, or with CAP_SYS_PTRACE and CAP_SYS_ADMIN, to see the target's \
             connections, calls and accept queue",
        ),
    }
}

/// Where the load reaches the target.
fn port_of(hint: &TargetHint) -> Port {
    match &hint.socket {
        Some(path) => Port::Unix(path.as_str().into()),
        None => Port::Tcp(hint.port),
    }
}

impl Collector for Tcp {
    fn watches(&self) -> String {
        let count = self.owners.target().map_or(0, |target| target.pids().count());
        let plural = if count == 1 { "process" } else { "processes" };
        format!("the sockets of {count} {plural}")
    }

    fn sample(&mut self, batch: &mut BatchBuilder) -> Result<(), SampleError> {
        let cannot = |error: io::Error| {
            SampleError(format!("the kernel does not list the target's sockets: {error}"))
        };
        if self.lister.is_none() {
            self.owners.find_now(&[]).map_err(SampleError)?;
        }
        let network = self.owners.network();
        let lister = match &mut self.lister {
            Some(lister) => lister,
            none => {
                let lister = Lister::open(network).map_err(cannot)?;
                none.insert(lister.without(self.own_page.clone()))
            }
        };
        lister.follow(network).map_err(cannot)?;
        self.census.move_to(network);
        self.sockets.clear();
        lister.list(&mut self.sockets).map_err(cannot)?;
        // A socket connected to the target's port belongs to a client. Which program that is does
        // not matter. The other end is the target's by its port.
        let ports = self.owners.target_ports(&self.sockets);
        let matters = |socket: &Socket| {
            let is_accepted =
                socket.state != TcpState::Listen && ports.contains(&socket.local.port());
            !is_accepted && !ports.contains(&socket.remote.port())
        };
        if let Err(gone) = self.owners.find_or_lose(&self.sockets, matters) {
            self.lister = None;
            return Err(SampleError(gone));
        }
        let owners = &self.owners;
        self.census.count(self.sockets.iter(), |socket| owners.of(socket) == Some(0));
        self.census.push(batch);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::time::Instant;

    use super::*;
    use crate::timeline::Selector;

    /// A collector that watches the test's own process.
    fn of_this_process() -> Box<dyn Collector> {
        told(TargetHint::default())
    }

    /// The same, with a given hint about the target.
    fn told(hint: TargetHint) -> Box<dyn Collector> {
        let own = OptionValue::Integer(u64::from(std::process::id()));
        let process_config = Some(CollectorConfig::new("process").with("pid", own));
        // The process that asks is the one that is watched: it would see its own question.
        let silent = CollectorConfig::new("tcp").with(PROBE, OptionValue::Switch(false));
        open(&silent, &TargetHint { process_config, ..hint }).unwrap()
    }

    /// Both ends of a connection, the client's first, and the listener that shows which end is
    /// which.
    fn connection() -> (TcpStream, TcpStream, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap().0;
        (client, server, listener)
    }

    /// The values of the series that the selectors name; zero for a series that is absent.
    fn look(collector: &mut dyn Collector, selectors: &[String]) -> Vec<f64> {
        let mut batch = BatchBuilder::new();
        collector.sample(&mut batch).unwrap();
        let readings = batch.finish();
        let value = |selector: &String| {
            let selector: Selector = selector.parse().unwrap();
            readings.iter().filter(|r| selector.matches(&r.key)).map(|r| r.value).sum()
        };
        selectors.iter().map(value).collect()
    }

    #[test]
    fn a_call_is_under_way_from_the_request_to_the_answer() {
        let (mut client, mut server, _listener) = connection();
        let address = client.peer_addr().unwrap();
        let mut collector = of_this_process();
        let port = address.port();
        let wanted = [
            format!("tcp.calls{{peer={address}*}}"),
            format!("tcp.requests{{port={port}}}"),
            format!("tcp.sockets{{peer={address}*,role=outbound}}"),
            format!("tcp.calls.sent{{peer={address}*}}"),
            format!("tcp.calls.connections{{peer={address}*}}"),
        ];
        let mut byte = [0];
        for round in 0..5 {
            let seen = look(&mut *collector, &wanted);
            assert_eq!(seen[..3], [0.0, 0.0, 1.0], "before call {round}");
            let connections = if round == 0 { 0.0 } else { 1.0 };
            assert_eq!(seen[3..], [f64::from(round), connections], "before call {round}");
            client.write_all(b"?").unwrap();
            server.read_exact(&mut byte).unwrap();
            // Longer than a jiffy, so that the ages differ.
            std::thread::sleep(Duration::from_millis(30));
            assert_eq!(look(&mut *collector, &wanted)[..3], [1.0, 1.0, 1.0], "in call {round}");
            server.write_all(b"!").unwrap();
            client.read_exact(&mut byte).unwrap();
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    #[test]
    fn what_holds_a_connection_is_no_request() {
        let (mut client, mut server, _listener) = connection();
        let port = client.peer_addr().unwrap().port();
        let mut shared = told(TargetHint { port, is_shared: true, ..TargetHint::default() });
        let mut other = told(TargetHint { port: 1, is_shared: true, ..TargetHint::default() });
        let wanted = ["requests", "requests.served", "sockets"]
            .map(|metric| format!("tcp.{metric}{{port={port}}}"));
        client.write_all(b"?").unwrap();
        server.read_exact(&mut [0]).unwrap();
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(look(&mut *other, &wanted), [1.0, 1.0, 1.0]);
        assert_eq!(look(&mut *shared, &wanted), [0.0, 0.0, 1.0]);
    }

    #[test]
    fn a_request_is_served_once_it_is_read_and_an_end_is_no_request() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut collector = of_this_process();
        let port = address.port();
        let wanted =
            ["", ".served", ".unread"].map(|which| format!("tcp.requests{which}{{port={port}}}"));
        let mut connections: Vec<_> = (0..3)
            .map(|_| {
                let client = TcpStream::connect(address).unwrap();
                (client, listener.accept().unwrap().0)
            })
            .collect();
        let mut byte = [0];
        for (client, server) in &mut connections {
            client.write_all(b"?").unwrap();
            server.peek(&mut byte).unwrap();
        }
        assert_eq!(look(&mut *collector, &wanted), [3.0, 0.0, 3.0], "all have only arrived");
        connections[0].1.read_exact(&mut byte).unwrap();
        assert_eq!(look(&mut *collector, &wanted), [3.0, 1.0, 2.0], "one is taken up");
        for (client, server) in &mut connections {
            server.write_all(b"!").unwrap();
            client.read_exact(&mut byte).unwrap();
        }
        for (_, server) in &mut connections[1..] {
            server.read_exact(&mut byte).unwrap();
        }
        std::thread::sleep(Duration::from_millis(30));
        // The client has closed and the server has not noticed: no request is open.
        let (client, server) = connections.remove(0);
        drop(client);
        let closed = format!("tcp.close_wait{{port={port}}}");
        let waited = Instant::now();
        while look(&mut *collector, std::slice::from_ref(&closed)) != [1.0] {
            assert!(waited.elapsed() < Duration::from_secs(20), "the end never came");
        }
        let unread = format!("tcp.unread{{port={port}}}");
        assert_eq!(look(&mut *collector, &[unread]), [0.0]);
        drop(server);
    }

    #[test]
    fn an_answer_that_is_not_read_yet_has_not_ended_the_call() {
        let (mut client, mut server, _listener) = connection();
        let address = client.peer_addr().unwrap();
        client.write_all(b"?").unwrap();
        server.read_exact(&mut [0]).unwrap();
        std::thread::sleep(Duration::from_millis(30));
        server.write_all(b"!").unwrap();
        let mut collector = of_this_process();
        let wanted =
            [format!("tcp.calls{{peer={address}*}}"), format!("tcp.unread{{peer={address}*}}")];
        assert_eq!(look(&mut *collector, &wanted), [1.0, 1.0]);
    }

    #[test]
    fn sockets_are_told_by_their_state() {
        let (client, server, _listener) = connection();
        let address = client.peer_addr().unwrap();
        let mut collector = of_this_process();
        let port = address.port();
        let wanted = [
            format!("tcp.sockets{{peer={address}*,state=established}}"),
            format!("tcp.sockets{{peer={address}*,state=fin_wait_2}}"),
            format!("tcp.sockets{{port={port},state=close_wait}}"),
        ];
        assert_eq!(look(&mut *collector, &wanted), [1.0, 0.0, 0.0]);
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let waited = Instant::now();
        while look(&mut *collector, &wanted) != [0.0, 1.0, 1.0] {
            assert!(waited.elapsed() < Duration::from_secs(20), "half of it never closed");
        }
        drop((client, server));
    }

    /// Looks until the selectors have these values: UNIX sockets are not listed at each look.
    fn until(collector: &mut dyn Collector, selectors: &[String], expected: &[f64]) {
        let waited = Instant::now();
        loop {
            let seen = look(collector, selectors);
            if seen == expected {
                return;
            }
            assert!(waited.elapsed() < Duration::from_secs(20), "{seen:?} is not {expected:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn unix_connections_are_counted_at_both_ends_as_they_are_opened() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let address = format!("unix:{}", path.display());
        let wanted = [
            format!("tcp.sockets{{peer={address}*,role=outbound}}"),
            format!("tcp.calls.connections{{peer={address}*}}"),
            format!("tcp.sockets{{port={address},role=inbound}}"),
            format!("tcp.requests.connections{{port={address}}}"),
            format!("tcp.unread{{port={address},role=inbound}}"),
            format!("tcp.accept_queue{{port={address}}}"),
        ];
        let mut collector = of_this_process();
        let mut kept = Vec::new();
        for call in 0..3 {
            kept.clear();
            let before = f64::from(call);
            let mut client = UnixStream::connect(&path).unwrap();
            client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
            until(&mut *collector, &wanted, &[1.0, before + 1.0, 0.0, before, 0.0, 1.0]);
            let mut server = listener.accept().unwrap().0;
            until(&mut *collector, &wanted, &[1.0, before + 1.0, 1.0, before + 1.0, 1.0, 0.0]);
            // What is begun is not unread, though a part of it may be.
            server.read_exact(&mut [0]).unwrap();
            until(&mut *collector, &wanted, &[1.0, before + 1.0, 1.0, before + 1.0, 0.0, 0.0]);
            kept = vec![client, server];
        }
        // The empty record with which FastCGI ends a request may be left.
        kept[1].read_exact(&mut [0; 17]).unwrap();
        kept[0].write_all(&[1, 5, 0, 1, 0, 0, 0, 0]).unwrap();
        until(&mut *collector, &wanted, &[1.0, 3.0, 1.0, 3.0, 0.0, 0.0]);
        let limit = format!("tcp.accept_queue.limit{{port={address}}}");
        assert!(look(&mut *collector, &[limit])[0] > 1.0);
        drop(kept);
    }
}
