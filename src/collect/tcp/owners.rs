//! Which service of the chain owns which socket.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::collect::proc::tree::Tree;
use crate::collect::tcp::{Callers, Socket, socket_inodes};

/// Share of one core that the search for the owners of new sockets may use.
const MOST_FOR_OWNERS: f64 = 0.005;
/// Share of one core that the search for new processes may use.
const MOST_FOR_PROCESSES: f64 = 0.002;
/// New processes are searched for at most this often.
const PROCESSES_EVERY: Duration = Duration::from_millis(900);

/// The processes of the chain, the target's first, and their sockets.
pub struct Owners {
    trees: Vec<Tree>,
    /// For each known inode the index of the tree that owns it; `None` if none does.
    inodes: HashMap<u32, Option<usize>>,
    callers: Callers<Option<usize>>,
    /// Descriptors are not read again before this time.
    next_scan: Instant,
    next_refresh: Instant,
}

impl Owners {
    pub fn of_target(tree: Tree) -> Self {
        let now = Instant::now();
        Self {
            trees: vec![tree],
            inodes: HashMap::new(),
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
        self.callers = Callers::default();
    }

    /// The owner of a socket: 0 is the target.
    pub fn of(&self, socket: &Socket) -> Option<usize> {
        self.inodes.get(&socket.inode).copied().or_else(|| self.callers.of(socket)).flatten()
    }

    /// The owner of any of these processes.
    pub fn of_process(&self, pids: &[u32]) -> Option<usize> {
        self.trees.iter().position(|tree| tree.pids().any(|pid| pids.contains(&pid)))
    }

    /// Finds out who owns the sockets that are new, unless that was done only just now.
    ///
    /// # Errors
    /// If no process of the target is left.
    pub fn find(&mut self, sockets: &[Socket]) -> Result<(), String> {
        let unknown =
            |socket: &Socket| socket.inode != 0 && !self.inodes.contains_key(&socket.inode);
        if Instant::now() < self.next_scan || !sockets.iter().any(unknown) {
            return Ok(());
        }
        self.find_now(sockets)
    }

    /// Finds out who owns the sockets.
    ///
    /// # Errors
    /// If no process of the target is left.
    pub fn find_now(&mut self, sockets: &[Socket]) -> Result<(), String> {
        let begin = Instant::now();
        let refreshes = begin >= self.next_refresh;
        if refreshes {
            for (index, tree) in self.trees.iter_mut().enumerate() {
                let refreshed = tree.refresh();
                // A service that has ended has no sockets. Its caller's series go on.
                if index == 0 {
                    refreshed?;
                }
            }
            let pause = begin.elapsed().div_f64(MOST_FOR_PROCESSES);
            self.next_refresh = Instant::now() + pause.max(PROCESSES_EVERY);
        }
        let began = Instant::now();
        let mut owned = HashMap::new();
        for (index, tree) in self.trees.iter().enumerate() {
            for pid in tree.pids() {
                for inode in socket_inodes(pid) {
                    owned.entry(inode).or_insert(index);
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
        // A new socket without an owner may only have closed before the descriptors were read.
        let inodes = &self.inodes;
        self.callers.learn(sockets.iter(), |socket| {
            let owner = inodes.get(&socket.inode).copied()?;
            (owner.is_some() || known.get(&socket.inode) == Some(&owner)).then_some(owner)
        });
        self.next_scan = Instant::now() + began.elapsed().div_f64(MOST_FOR_OWNERS);
        Ok(())
    }
}
