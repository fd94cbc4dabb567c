//! One service of the chain: its processes, sockets and threads, read by the collectors that read
//! those of the target.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use super::found::{FoundService, push_of};
use crate::collect::proc::network::Network;
use crate::collect::proc::tree::Tree;
use crate::collect::tcp::{Address, Census, Peers, Port, Socket};
use crate::collect::{Collector, CollectorSpec, TargetHint, file_locks, process, threads};
use crate::plan::{CollectorConfig, OptionValue};
use crate::timeline::{BatchBuilder, Labels, names};

/// Services in a row, from the target on, that are looked into.
pub const MOST_DEEP: usize = 5;
/// Processes are read at most this often; sockets and threads at each look.
const PROCESSES_EVERY: Duration = Duration::from_millis(450);
/// What a service is to the chain, in the label `kind`.
pub const SERVICE: &str = "service";
const DATABASE: &str = "database";
pub const FORWARDER: &str = "forwarder";
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Programs that are databases. What happens inside of them, other collectors tell.
const DATABASES: [&str; 13] = [
    "postgres",
    "mysqld",
    "mariadbd",
    "redis-server",
    "valkey-server",
    "mongod",
    "memcached",
    "etcd",
    "clickhouse",
    "clickhouse-serv",
    "cockroach",
    "influxd",
    "beam.smp",
];

/// Where a service is called.
pub struct Place {
    pub address: Address,
    pub network: Network,
    /// Whether that is the namespace of the target.
    pub is_near: bool,
}

/// One service of the chain.
pub struct Service {
    /// Name and address, such as `php-fpm (127.0.0.1:9000)`.
    pub name: String,
    /// How many calls lie between the target and it, at least one.
    pub depth: usize,
    /// The namespace in which it listens.
    pub network: Network,
    addresses: BTreeSet<Address>,
    /// The IP address of what it serves on other ports.
    ip: IpAddr,
    kind: &'static str,
    census: Census,
    process: Box<dyn Collector>,
    threads: Option<Box<dyn Collector>>,
    /// `None` where the kernel does not list the locks of files.
    file_locks: Option<Box<dyn Collector>>,
    /// Whether any request has been seen in it: only then its threads are worth a look.
    was_asked: bool,
    /// How others find it, until they are told.
    found: Option<FoundService>,
    next_process: Instant,
}

impl Service {
    /// Opens the service of `tree` that is called at `place`.
    ///
    /// # Errors
    /// Why it cannot be read, with what to do about it.
    pub fn open(
        place: Place,
        name: Option<String>,
        depth: usize,
        tree: &Tree,
    ) -> Result<Self, String> {
        let program = tree.roots().next().map_or("", |root| root.name.as_str()).to_owned();
        let kind = if DATABASES.contains(&program.as_str()) { DATABASE } else { SERVICE };
        let name = format!("{} ({})", name.unwrap_or(program), place.address);
        let config = CollectorConfig::new("process");
        let (config, socket) = match place.address.port() {
            Port::Tcp(port) => (config.with("port", OptionValue::Integer(port.into())), None),
            Port::Unix(path) => (config, Some(path.to_string())),
        };
        Self::read_by(place, name, depth, (kind, config, socket))
    }

    /// Opens the processes of `tree` by their root, because its port alone leads to a forwarder, which
    /// is refused as a target.
    ///
    /// # Errors
    /// Why they cannot be read, with what to do about it.
    pub fn open_root(
        place: Place,
        depth: usize,
        kind: &'static str,
        tree: &Tree,
    ) -> Result<Self, String> {
        let root = tree.roots().next().ok_or_else(|| "it has ended".to_owned())?;
        let name = format!("{} ({})", root.name, place.address);
        let pid = OptionValue::Integer(root.stat.pid.into());
        let config = CollectorConfig::new("process").with("pid", pid);
        Self::read_by(place, name, depth, (kind, config, None))
    }

    /// Opens what reads a service.
    fn read_by(
        place: Place,
        name: String,
        depth: usize,
        (kind, config, socket): (&'static str, CollectorConfig, Option<String>),
    ) -> Result<Self, String> {
        let Place { address, network, is_near } = place;
        let hint = TargetHint {
            is_local: true,
            network,
            socket,
            process: name.clone(),
            process_config: Some(config.clone()),
            ..TargetHint::default()
        };
        let found = FoundService { process: config.clone(), network, socket: hint.socket.clone() };
        let opened = |spec: &CollectorSpec, config: &CollectorConfig| {
            (spec.open)(config, &hint).map_err(|error| format!("{}: {}", error.what, error.hint))
        };
        let process = opened(&process::SPEC, &config)?;
        let threads = match kind {
            DATABASE => None,
            _ => Some(opened(&threads::SPEC, &CollectorConfig::new("threads"))?),
        };
        let file_locks = opened(&file_locks::SPEC, &CollectorConfig::new("file_locks")).ok();
        let peers = Peers::new(&[], network).map_err(|error| error.what)?;
        Ok(Self {
            name,
            depth,
            network,
            // The loopback address of another namespace is not that of the target.
            ip: address.ip().filter(|_| !is_near).unwrap_or(LOOPBACK),
            addresses: BTreeSet::from([address]),
            kind,
            census: Census::new(peers, None),
            process,
            threads,
            file_locks: file_locks.filter(|_| kind != DATABASE),
            was_asked: false,
            found: Some(found).filter(|_| kind == SERVICE),
            next_process: Instant::now(),
        })
    }

    /// Whether it is called at this address.
    pub fn is_called(&self, address: &Address) -> bool {
        self.addresses.contains(address)
    }

    /// The service is called at this address too.
    pub fn add_address(&mut self, address: Address) {
        self.addresses.insert(address);
    }

    /// Reads it, given all sockets that may be its own, those that listen, and which it owns.
    pub fn look<'s>(
        &mut self,
        sockets: impl Iterator<Item = &'s Socket> + Clone,
        is_own: impl Fn(&Socket) -> bool,
        batch: &mut BatchBuilder,
    ) {
        self.census.count(sockets, is_own);
        self.was_asked |= self.census.is_asked();
        let mut own = BatchBuilder::new();
        self.census.push(&mut own);
        if self.was_asked {
            let inside = self.threads.iter_mut().chain(&mut self.file_locks);
            inside.for_each(|collector| sample(collector, &mut own));
        }
        if Instant::now() >= self.next_process {
            self.next_process = Instant::now() + PROCESSES_EVERY;
            sample(&mut self.process, &mut own);
        }
        push_of(&self.name, own, batch);
        // What it serves on other ports, such as its metrics, is its own too.
        let ports = self.census.ports().map(|port| port.at(self.ip));
        let addresses: BTreeSet<Address> = self.addresses.iter().cloned().chain(ports).collect();
        for address in addresses {
            let labels = Labels::none().with("hop", self.name.as_str()).with("kind", self.kind);
            let labels = labels.with("address", address.to_string());
            batch.push_labelled(&names::CHAIN_SERVICE, labels, 1.0);
        }
    }

    /// How others find it, once it has had a request and only once.
    pub fn take_found(&mut self) -> Option<FoundService> {
        self.found.take_if(|_| self.was_asked)
    }

    /// What happened to it that is worth a line in the report.
    pub fn events(&mut self) -> Vec<String> {
        let told = self.process.events().into_iter();
        let told = told.chain(self.threads.iter_mut().flat_map(|threads| threads.events()));
        // Many forwarders have a process for each connection, which ends with it.
        let is_told = |_: &String| self.kind != FORWARDER;
        told.filter(is_told).map(|event| format!("{}: {event}", self.name)).collect()
    }
}

/// Adds a reading of `collector`. One that fails is missing: what it holds is of this moment only.
fn sample(collector: &mut Box<dyn Collector>, batch: &mut BatchBuilder) {
    let mut own = BatchBuilder::new();
    if collector.sample(&mut own).is_ok() {
        for reading in own.finish() {
            batch.push_foreign(reading.key, reading.unit, reading.kind, reading.value);
        }
    }
}
