//! Which sockets belong to the target and to the services behind it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use super::address::Port;
use super::callers::Callers;
use super::diag::{Socket, TcpState};
use crate::collect::proc::network::Network;
use crate::collect::proc::tree::Tree;
use crate::collect::proc::{CpuWatch, socket_inodes};

/// Share of one core that the search for new processes may use.
const MOST_FOR_PROCESSES: f64 = 0.002;

/// How much a search may cost.
#[derive(Clone, Copy)]
pub(in crate::collect) struct Pace {
    /// Share of one core that the search for the owners of new sockets may use.
    pub owners: f64,
    /// New processes are searched for at most this often.
    pub processes_every: Duration,
}

/// The processes of the target, then those of the services behind it, and their sockets.
pub(in crate::collect) struct Owners {
    pace: Pace,
    trees: Vec<Tree>,
    /// The owner that the first of `trees` is: 0 if it is the target, 1 if there is none.
    first: usize,
    /// For each known inode the index of the tree that owns it; `None` if none does.
    inodes: HashMap<u32, Option<usize>>,
    /// Sockets that no known process owned at the last scan. A new one may: they are looked for again
    /// once processes are.
    undecided: HashSet<u32>,
    callers: Callers<Option<usize>>,
    /// Descriptors are not read again before this time.
    next_scan: Instant,
    next_refresh: Instant,
}

impl Owners {
    /// The sockets of the target alone.
    pub fn of_target(tree: Tree, pace: Pace) -> Self {
        Self { trees: vec![tree], first: 0, ..Self::without_target(pace) }
    }

    /// The sockets of services alone, where the target is on another host.
    pub fn without_target(pace: Pace) -> Self {
        let now = Instant::now();
        Self {
            pace,
            trees: Vec::new(),
            first: 1,
            inodes: HashMap::new(),
            undecided: HashSet::new(),
            callers: Callers::default(),
            next_scan: now,
            next_refresh: now,
        }
    }

    /// Adds the processes of one more service.
    pub fn add(&mut self, tree: Tree) {
        self.trees.push(tree);
        // Sockets that nobody owned may be its own.
        self.inodes.retain(|_, owner| owner.is_some());
        self.undecided.clear();
        self.callers = Callers::default();
    }

    /// The owner of a socket: 0 is the target.
    pub fn of(&self, socket: &Socket) -> Option<usize> {
        self.inodes.get(&socket.inode).copied().or_else(|| self.callers.of(socket)).flatten()
    }

    /// The processes of the target, if it is on this host.
    pub fn target(&self) -> Option<&Tree> {
        self.trees.first().filter(|_| self.first == 0)
    }

    /// The network namespace of the target, or kneepoint's own.
    pub fn network(&self) -> Network {
        self.target().map_or(Network::OWN, Tree::network)
    }

    /// Where processes of the target are known to listen.
    pub fn target_ports(&self, sockets: &[Socket]) -> BTreeSet<Port> {
        let listening = sockets.iter().filter(|socket| socket.state == TcpState::Listen);
        let own = listening.filter(|socket| self.inodes.get(&socket.inode) == Some(&Some(0)));
        own.map(|socket| socket.local.port()).collect()
    }

    /// The owner of any of these processes.
    pub fn of_process(&self, pids: &[u32]) -> Option<usize> {
        let found = self.trees.iter().position(|tree| tree.pids().any(|pid| pids.contains(&pid)));
        found.map(|index| index + self.first)
    }

    /// Finds out who owns the sockets that are new, unless that was done only just now. A socket
    /// whose owner does not matter is no reason to search.
    ///
    /// # Errors
    /// If no process of the target is left.
    pub fn find(
        &mut self,
        sockets: &[Socket],
        matters: impl Fn(&Socket) -> bool,
    ) -> Result<(), String> {
        let now = Instant::now();
        let is_in_vain = |inode: &u32| now < self.next_refresh && self.undecided.contains(inode);
        let unknown = |socket: &Socket| {
            socket.inode != 0
                && matters(socket)
                && !self.inodes.contains_key(&socket.inode)
                && !is_in_vain(&socket.inode)
        };
        if now < self.next_scan || !sockets.iter().any(unknown) {
            return Ok(());
        }
        self.find_now(sockets)
    }

    /// The same, for a caller that lets go of the target's network namespace once the target is gone:
    /// a target that does not listen any more is looked for at once. In kneepoint's own namespace that
    /// does not matter.
    ///
    /// # Errors
    /// If no process of the target is left.
    pub fn find_or_lose(
        &mut self,
        sockets: &[Socket],
        matters: impl Fn(&Socket) -> bool,
    ) -> Result<(), String> {
        let is_elsewhere = !self.network().is_own();
        if is_elsewhere && !self.inodes.is_empty() && self.target_ports(sockets).is_empty() {
            return self.find_now(sockets);
        }
        self.find(sockets, matters)
    }

    /// Finds out who owns the sockets.
    ///
    /// # Errors
    /// If no process of the target is left.
    pub fn find_now(&mut self, sockets: &[Socket]) -> Result<(), String> {
        let refreshes = Instant::now() >= self.next_refresh;
        if refreshes {
            let cpu = CpuWatch::start();
            for (index, tree) in self.trees.iter_mut().enumerate() {
                let refreshed = tree.refresh();
                // A service that has ended has no sockets. Its caller's series go on.
                if index + self.first == 0 {
                    refreshed?;
                }
            }
            let pause = cpu.used().div_f64(MOST_FOR_PROCESSES);
            self.next_refresh = Instant::now() + pause.max(self.pace.processes_every);
        }
        let cpu = CpuWatch::start();
        let mut owned = HashMap::new();
        for (index, tree) in self.trees.iter().enumerate() {
            for pid in tree.pids() {
                // The kernel lists sockets with inodes of 32 bits (struct inet_diag_msg).
                for inode in socket_inodes(pid).filter_map(|inode| u32::try_from(inode).ok()) {
                    owned.entry(inode).or_insert(index + self.first);
                }
            }
        }
        // A socket that no known process owns may belong to a new process. It stays undecided until
        // the next search for processes.
        let known = std::mem::take(&mut self.inodes);
        self.inodes = sockets
            .iter()
            .filter(|socket| socket.inode != 0)
            .filter_map(|socket| {
                let owner = owned.get(&socket.inode).copied();
                let is_decided = owner.is_some() || refreshes || known.contains_key(&socket.inode);
                is_decided.then_some((socket.inode, owner))
            })
            .collect();
        let of_sockets = sockets.iter().map(|socket| socket.inode).filter(|inode| *inode != 0);
        self.undecided = of_sockets.filter(|inode| !self.inodes.contains_key(inode)).collect();
        // A new socket without an owner may only have closed before the descriptors were read.
        let inodes = &self.inodes;
        self.callers.learn(sockets.iter(), |socket| {
            let owner = inodes.get(&socket.inode).copied()?;
            (owner.is_some() || known.get(&socket.inode) == Some(&owner)).then_some(owner)
        });
        self.next_scan = Instant::now() + cpu.used().div_f64(self.pace.owners);
        Ok(())
    }
}
