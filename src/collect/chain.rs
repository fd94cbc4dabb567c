//! `chain`: the services behind the target, found along its sockets, each read as the target is.
//!
//! The process behind the port is often only the door. What it calls on this machine is a service
//! of the chain: its processes, sockets and threads are read by the code that reads the target's,
//! and so are those of what it calls in turn. Which process belongs to which service follows from
//! the sockets alone; the plan may give names.
//!
//! A series of a service has the name of the target's series behind `chain.`, such as
//! `chain.process.cpu.time`, and the label `hop`, so that no selector of the target's series meets
//! it. `chain.service` tells when a service was looked at and under which addresses it is called.
//! Who calls whom is in `chain.tcp.calls` and, for the target, in `tcp.calls`.
//!
//! What it cannot see:
//! - Calls over UNIX connections that are kept (see `tcp`). The services behind them are read all the
//!   same.
//! - Peers on other machines, and in network namespaces that kneepoint may not enter (see `tcp`).
//! - Processes whose descriptors kneepoint may not read. `chain.closed` says so.
//! - What `process`, `tcp` and `threads` cannot see of the target.

mod found;
mod service;
mod views;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

pub use self::found::{FoundService, FoundServices, push_of};
use self::service::{FORWARDER, MOST_DEEP, Place, SERVICE, Service};
use self::views::Views;
use super::proc::network::Network;
use super::proc::tree::Tree;
use super::proc::wanted::Wanted;
use super::tcp::{Address, Owners, Pace, Port, Socket, TcpState, parse_names};
use super::{
    Collector, CollectorSpec, Forwarder, OFF, OpenError, OpenResult, Opens, SampleError, TargetHint,
};
use crate::plan::{CollectorConfig, OptionKind, OptionSpec};
use crate::timeline::{BatchBuilder, Labels, names};

/// The collector's entry for lists and plans.
pub(super) static SPEC: CollectorSpec = CollectorSpec {
    name: "chain",
    summary: "the services behind the target on this machine, found along its sockets: CPU, calls, \
              requests, threads of each; Linux",
    hint: "[collect.chain] on the machine the target runs on",
    opens: Opens::ForLocalTarget,
    options: &[
        OptionSpec {
            name: "names",
            kind: OptionKind::Texts,
            required: false,
            about: "names of services, such as [\"127.0.0.1:9000=render\", \"unix:/run/a.sock=pay\"]",
        },
        OptionSpec {
            name: FROM,
            kind: OptionKind::Texts,
            required: false,
            about: "on a host without the target: look into what these addresses call; an agent sets it",
        },
        OptionSpec {
            name: OFF,
            kind: OptionKind::Switch,
            required: false,
            about: "do not look into the services behind the target",
        },
    ],
    metrics: &[names::CHAIN_SERVICE, names::CHAIN_CLOSED, names::CHAIN_CPU_TIME],
    interval: Duration::from_millis(100),
    open,
};

/// The option that names the hosts whose calls lead here.
pub const FROM: &str = "from";
/// Programs that are called from other hosts and serve no request: they carry the agent itself.
const CARRIERS: [&str; 2] = ["sshd", "sshd-session"];

/// What the search for owners of sockets may cost.
const PACE: Pace = Pace { owners: 0.005, processes_every: Duration::from_millis(900) };
/// Services that are looked into. More would cost more than they tell.
const MOST_SERVICES: usize = 12;
/// Addresses beyond this number are not looked into: a service may make up paths without end.
const MOST_CALLEES: usize = 200;
/// A peer that could not be looked into is tried again after this time.
const TRIED_AGAIN: Duration = Duration::from_secs(10);
/// What cannot be looked into is told at most this often.
const CLOSED_EVERY: Duration = Duration::from_secs(1);
/// New services are opened at most this often. Opening one reads the descriptors of all processes,
/// and there are few to open: a late one has no low load to compare with.
const OPENING_EVERY: Duration = Duration::from_millis(200);

/// What is known of a local address that the chain calls.
enum Callee {
    /// A service that is read, the target, or kneepoint.
    Known,
    /// It cannot be looked into, for this reason.
    Closed(String, Instant),
}

struct Chain {
    views: Views,
    owners: Owners,
    /// The hosts whose calls lead here, where the target is on another host.
    callers: BTreeSet<IpAddr>,
    services: Vec<Service>,
    /// Where other collectors learn of them.
    found: FoundServices,
    callees: BTreeMap<(Network, Address), Callee>,
    names: BTreeMap<Address, String>,
    next_opening: Instant,
    next_closed: Instant,
}

fn open(config: &CollectorConfig, hint: &TargetHint) -> OpenResult {
    let names = parse_names(config.texts("names"))?;
    let callers = parse_callers(config.texts(FROM))?;
    // `process` and `tcp` say why the target cannot be found, so this need not be said again.
    let absent = |error: OpenError| OpenError::absent(error.what, error.hint);
    let owners = match callers.is_empty() {
        true => {
            let tree = Tree::of_target(hint.process_config.as_ref(), hint).map_err(absent)?;
            Owners::of_target(tree, PACE)
        }
        false => Owners::without_target(PACE),
    };
    let own_page = hint.own_page.clone();
    let mut views = Views::new(owners.network(), own_page).map_err(|error| no_sockets(&error))?;
    if !callers.is_empty() {
        for network in Network::all() {
            // One that cannot be looked into has nothing to tell.
            let _opened = views.open(network).is_ok();
        }
    }
    views.list().map_err(|error| no_sockets(&error))?;
    let mut chain = Chain {
        views,
        owners,
        callers,
        services: Vec::new(),
        found: hint.services.clone(),
        callees: BTreeMap::new(),
        names,
        next_opening: Instant::now(),
        next_closed: Instant::now(),
    };
    for forwarder in &hint.forwarders {
        chain.open_forwarder(forwarder);
    }
    let sockets = chain.views.sockets();
    chain.owners.find(sockets, |_| true).map_err(|error| OpenError::absent(error, ""))?;
    chain.discover();
    Ok(Box::new(chain))
}

fn no_sockets(error: &std::io::Error) -> OpenError {
    OpenError::absent(
        format!("the kernel does not list TCP sockets: {error}"),
        "load the module tcp_diag (`modprobe tcp_diag`), or write `off = true` in [collect.chain]",
    )
}

impl Collector for Chain {
    fn watches(&self) -> String {
        let names: Vec<&str> = self.services.iter().map(|service| service.name.as_str()).collect();
        match names.as_slice() {
            [] => "services on this machine that the target calls, as it calls them".to_owned(),
            names => names.join(", "),
        }
    }

    fn sample(&mut self, batch: &mut BatchBuilder) -> Result<(), SampleError> {
        if self.views.is_closed() {
            self.reopen()?;
        }
        self.views
            .list()
            .map_err(|error| SampleError(format!("the kernel does not list sockets: {error}")))?;
        if let Err(gone) = self.owners.find_or_lose(self.views.sockets(), |_| true) {
            self.views.close();
            return Err(SampleError(gone));
        }
        if Instant::now() >= self.next_opening {
            self.discover();
        }
        let networks: Vec<Network> = self.services.iter().map(|service| service.network).collect();
        let owned = by_service(&self.views, &self.owners, &networks);
        let owners = &self.owners;
        for ((index, service), sockets) in self.services.iter_mut().enumerate().zip(&owned) {
            let is_own = |socket: &Socket| owners.of(socket) == Some(index + 1);
            service.look(sockets.iter().copied(), is_own, batch);
            if let Some(found) = service.take_found() {
                self.found.add(&service.name, found);
            }
        }
        self.tell_closed(batch);
        Ok(())
    }

    fn events(&mut self) -> Vec<String> {
        self.services.iter_mut().flat_map(Service::events).collect()
    }
}

/// For each service the sockets that are its own by their owner or by the port that it listens on,
/// and all that listen in its namespace.
fn by_service<'s>(views: &'s Views, owners: &Owners, networks: &[Network]) -> Vec<Vec<&'s Socket>> {
    let mut owned: Vec<Vec<&Socket>> = vec![Vec::new(); networks.len()];
    for (network, sockets) in views.all() {
        let mut ports: HashMap<Port, usize> = HashMap::new();
        for socket in sockets.iter().filter(|socket| socket.state == TcpState::Listen) {
            let here = owned.iter_mut().zip(networks).filter(|(_, it)| **it == network);
            here.for_each(|(own, _)| own.push(socket));
            let service = owners.of(socket).and_then(|owner| owner.checked_sub(1));
            ports.extend(service.map(|service| (socket.local.port(), service)));
        }
        for socket in sockets.iter().filter(|socket| socket.state != TcpState::Listen) {
            let inbound = ports.get(&socket.local.port()).copied();
            let service =
                inbound.or_else(|| owners.of(socket).and_then(|owner| owner.checked_sub(1)));
            if let Some(own) = service.and_then(|service| owned.get_mut(service)) {
                own.push(socket);
            }
        }
    }
    owned
}

/// A service (the target is 0) that calls an address of a network namespace.
type Call = (usize, Network, Address);

impl Chain {
    /// Looks again once the target is back: into its namespace and those of the services.
    fn reopen(&mut self) -> Result<(), SampleError> {
        self.owners.find_now(&[]).map_err(SampleError)?;
        self.views.open(self.owners.network()).map_err(SampleError)?;
        for service in &self.services {
            // One that has ended has no namespace any more.
            let _opened = self.views.open(service.network).is_ok();
        }
        Ok(())
    }

    /// Opens the services that the chain calls and that are not known yet.
    fn discover(&mut self) {
        // What is found may call more that its sockets show at once.
        let mut found = true;
        while found {
            found = false;
            let mut calls = self.new_callees_from_outside();
            calls.extend(self.new_callees());
            calls.extend(self.new_callees_elsewhere());
            for (caller, network, address) in calls {
                found |= self.open_service(caller, network, address);
            }
            if found && self.owners.find_now(self.views.sockets()).is_err() {
                break;
            }
        }
        // The target may have started again in another namespace. That it cannot be looked into is
        // told by `tcp`.
        let _opened = self.views.open(self.owners.network()).is_ok();
        self.next_opening = Instant::now() + OPENING_EVERY;
    }

    fn is_new(&self, network: Network, address: &Address) -> bool {
        match self.callees.get(&(network, address.clone())) {
            None => self.callees.len() < MOST_CALLEES,
            Some(Callee::Closed(_, tried)) => tried.elapsed() >= TRIED_AGAIN,
            Some(_) => false,
        }
    }

    /// Addresses here that are called from the hosts of callers, and of which nothing is known.
    fn new_callees_from_outside(&self) -> BTreeSet<Call> {
        let mut calls = BTreeSet::new();
        if self.callers.is_empty() {
            return calls;
        }
        let is_caller = |socket: &Socket| {
            socket.remote.ip().is_some_and(|ip| self.callers.contains(&ip.to_canonical()))
        };
        for (network, sockets) in self.views.all() {
            let ports: BTreeSet<Port> = listeners(sockets).map(|it| it.local.port()).collect();
            let called = sockets
                .iter()
                .filter(|socket| socket.state == TcpState::Established && is_caller(socket))
                .filter(|socket| ports.contains(&socket.local.port()))
                .filter(|socket| self.is_new(network, &socket.local));
            calls.extend(called.map(|socket| (0, network, socket.local.clone())));
        }
        calls
    }

    /// Addresses in the caller's own namespace that a service of the chain is connected to and of
    /// which nothing is known.
    fn new_callees(&self) -> BTreeSet<Call> {
        let mut calls = BTreeSet::new();
        for (network, sockets) in self.views.all() {
            let is_listening = listening(sockets);
            let candidates: BTreeSet<(usize, &Address, &Address)> = sockets
                .iter()
                .filter(|socket| socket.state != TcpState::Listen)
                .filter(|socket| is_listening(&socket.remote))
                .filter(|socket| self.is_new(network, &socket.remote))
                .filter_map(|socket| Some((self.owners.of(socket)?, &socket.remote, &socket.local)))
                .collect();
            if candidates.is_empty() {
                continue;
            }
            // Another machine may listen on the same port: a peer in this namespace shows its end
            // as well.
            let ends: BTreeSet<(&Address, &Address)> =
                sockets.iter().map(|socket| (&socket.local, &socket.remote)).collect();
            let is_here = |remote: &Address, local: &Address| match remote {
                Address::Ip(_) => ends.contains(&(remote, local)),
                Address::Unix(_) => true,
            };
            let here = candidates.into_iter().filter(|(_, remote, local)| is_here(remote, local));
            calls.extend(here.map(|(caller, remote, _)| (caller, network, remote.clone())));
        }
        calls
    }

    /// The same, of addresses in other namespaces than the caller's.
    fn new_callees_elsewhere(&mut self) -> BTreeSet<Call> {
        let mut calls: BTreeSet<(usize, Network, &Address)> = BTreeSet::new();
        for (network, sockets) in self.views.all() {
            let is_listening = listening(sockets);
            let ports: BTreeSet<Port> = listeners(sockets).map(|it| it.local.port()).collect();
            let outbound = sockets
                .iter()
                .filter(|socket| socket.state == TcpState::Established)
                .filter(|socket| !ports.contains(&socket.local.port()))
                .filter(|socket| !is_listening(&socket.remote));
            calls.extend(
                outbound
                    .filter_map(|socket| Some((self.owners.of(socket)?, network, &socket.remote))),
            );
        }
        let calls: Vec<Call> = calls
            .into_iter()
            .map(|(caller, from, address)| (caller, from, address.clone()))
            .collect();
        let mut found = BTreeSet::new();
        for (caller, from, address) in calls {
            let network = address.ip().and_then(|ip| self.views.with_address(ip));
            let network = network.filter(|network| *network != from);
            found.extend(
                network
                    .filter(|network| self.is_new(*network, &address))
                    .map(|network| (caller, network, address)),
            );
        }
        found
    }

    /// Opens what listens on `address` of `network`; returns whether it is a service that was not
    /// known.
    fn open_service(&mut self, caller: usize, network: Network, address: Address) -> bool {
        let opened = self.try_service(caller, network, &address);
        let is_service = matches!(opened, Ok(true));
        let callee = match opened {
            Ok(_) => Callee::Known,
            Err(why) => Callee::Closed(why, Instant::now()),
        };
        self.callees.insert((network, address), callee);
        is_service
    }

    /// The same, or why it cannot be looked into.
    fn try_service(
        &mut self,
        caller: usize,
        network: Network,
        address: &Address,
    ) -> Result<bool, String> {
        let depth = caller.checked_sub(1).map_or(1, |caller| self.services[caller].depth + 1);
        if self.services.len() >= MOST_SERVICES || depth > MOST_DEEP {
            return Err(format!(
                "at most {MOST_SERVICES} services and {MOST_DEEP} of them in a row are looked into"
            ));
        }
        let others = self.services.iter().filter(|service| service.network != network);
        if others.into_iter().any(|service| service.is_called(address)) {
            return Err("a service in another network namespace has the same address".to_owned());
        }
        let (tree, forwards) = open_tree(address, network)?;
        let roots: Vec<u32> = tree.roots().map(|root| root.stat.pid).collect();
        let carries = |name: &str| CARRIERS.contains(&name);
        if roots.contains(&std::process::id()) || tree.roots().any(|root| carries(&root.name)) {
            return Ok(false);
        }
        if let Some(owner) = self.owners.of_process(&roots) {
            if let Some(index) = owner.checked_sub(1) {
                self.services[index].add_address(address.clone());
            }
            return Ok(false);
        }
        self.views.open(network)?;
        let name = self.names.get(address).cloned();
        let place = Place { address: address.clone(), network, is_near: self.is_near(network) };
        self.services.push(match forwards {
            true => Service::open_root(place, depth, SERVICE, &tree)?,
            false => Service::open(place, name, depth, &tree)?,
        });
        self.owners.add(tree);
        Ok(true)
    }

    /// Opens what passes the load on to the target. What cannot be opened is not told: the target
    /// was found behind it.
    fn open_forwarder(&mut self, forwarder: &Forwarder) {
        let network = forwarder.network;
        let wanted = Wanted::Forwarder(forwarder.address.port());
        let Ok(tree) = Tree::open(wanted, network) else { return };
        let address = Address::Ip(forwarder.address);
        let place = Place { address: address.clone(), network, is_near: self.is_near(network) };
        if self.views.open(network).is_err() {
            return;
        }
        if let Ok(service) = Service::open_root(place, 0, FORWARDER, &tree) {
            self.services.push(service);
            self.owners.add(tree);
            self.callees.insert((network, address), Callee::Known);
        }
    }

    /// Whether `network` is the target's.
    fn is_near(&self, network: Network) -> bool {
        self.callers.is_empty() && network == self.owners.network()
    }

    /// Tells which peers on this machine cannot be looked into, and why.
    fn tell_closed(&mut self, batch: &mut BatchBuilder) {
        if Instant::now() < self.next_closed {
            return;
        }
        self.next_closed = Instant::now() + CLOSED_EVERY;
        for ((_, address), callee) in &self.callees {
            if let Callee::Closed(why, _) = callee {
                let labels = Labels::none().with("address", address.to_string());
                batch.push_labelled(&names::CHAIN_CLOSED, labels.with("why", why.as_str()), 1.0);
            }
        }
    }
}

fn parse_callers(texts: &[String]) -> Result<BTreeSet<IpAddr>, OpenError> {
    let parse = |text: &String| {
        text.parse::<IpAddr>().map(|ip| ip.to_canonical()).map_err(|_| {
            OpenError::new(
                format!("`{text}` is not an IP address"),
                "write addresses such as `from = [\"10.0.0.5\"]`",
            )
        })
    };
    texts.iter().map(parse).collect()
}

/// The processes that listen on `address`, and whether they do so for a container, whose service is
/// then found behind them.
fn open_tree(address: &Address, network: Network) -> Result<(Tree, bool), String> {
    let port = address.port();
    let forwarder = |why: OpenError| match &port {
        Port::Tcp(port) => Tree::open(Wanted::Forwarder(*port), network).map_err(|_| why),
        Port::Unix(_) => Err(why),
    };
    Tree::open(port.wanted(), network)
        .map(|tree| (tree, false))
        .or_else(|why| forwarder(why).map(|tree| (tree, true)))
        .map_err(|error| format!("{}: {}", error.what, error.hint))
}

fn listeners(sockets: &[Socket]) -> impl Iterator<Item = &Socket> {
    sockets.iter().filter(|socket| socket.state == TcpState::Listen)
}

/// Tells whether anybody listens at an address of the namespace of these sockets.
fn listening(sockets: &[Socket]) -> impl Fn(&Address) -> bool {
    let listening: BTreeSet<&Address> = listeners(sockets).map(|socket| &socket.local).collect();
    move |address| {
        let anywhere = |ip: IpAddr| listening.contains(&address.port().at(ip));
        listening.contains(address)
            || anywhere(Ipv4Addr::UNSPECIFIED.into())
            || anywhere(Ipv6Addr::UNSPECIFIED.into())
    }
}

#[cfg(test)]
mod tests;
