//! Finds the processes of the target and follows them through forks, exits and restarts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use crate::collect::{OpenError, TargetHint};
use crate::plan::CollectorConfig;

use super::account::Used;
use super::container;
use super::find::{self, NotFound, Trail};
use super::listen::{Listeners, listeners, unix_listeners};
use super::network::{Home, Network};
use super::pid::Stat;
use super::wanted::Wanted;
use super::{Text, all_pids, is_gone, ticks_per_second};

/// New children are searched for at most this often.
const SEEK_EVERY: Duration = Duration::from_millis(900);
/// A process that was not a child of the target in this many looks is not read again …
const SETTLED_AFTER: u8 = 2;
/// … until all are read again after this many looks, because names and parents may change.
const FORGET_AFTER: u32 = 30;
/// After this many looks the listeners of the port are compared again.
const LISTENERS_AFTER: u32 = 10;
/// The end of a child that lived this long is worth an event …
const WORKER_AGE: Duration = Duration::from_secs(5);
/// … up to this many in a run.
const MOST_ENDS_TOLD: u32 = 20;

/// One process of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name (comm), at most 15 bytes.
    pub name: String,
    /// Its numbers at the last look.
    pub stat: Stat,
    /// Whether it started during the watch.
    pub is_fresh: bool,
}

impl Member {
    /// Its part of a total over the tree: what it used itself, and what its children had used that
    /// have ended and were waited for.
    pub fn used(&self, own: u64, waited: u64) -> Used {
        let Stat { pid, ppid, start_ticks, .. } = self.stat;
        Used { pid, ppid, start_ticks, is_fresh: self.is_fresh, own, waited }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {} ({})", self.stat.pid, self.name)
    }
}

/// Follows the processes of the target: its roots and all their descendants. A descendant stays in
/// the tree even if its parent ends.
#[derive(Debug)]
pub struct Tree {
    wanted: Wanted,
    /// Where listeners are looked for.
    home: Home,
    /// The network namespace in which the roots listen, or else that of the first.
    network: Network,
    roots: BTreeSet<u32>,
    members: BTreeMap<u32, Member>,
    /// Description of the roots when last seen, to report what was restarted.
    described: String,
    /// When the tree was opened, in clock ticks since boot; the largest value until then.
    opened_ticks: u64,
    /// In how many looks a process was seen that does not belong to the target.
    strangers: HashMap<u32, u8>,
    sought: Instant,
    seeks: u32,
    listeners: BTreeSet<u64>,
    /// What finds the next process where the plan gave the id of the first.
    trail: Trail,
    /// When the trail was last seen, in clock ticks since boot.
    seen_ticks: u64,
    ends_told: u32,
    events: Vec<String>,
    text: Text,
}

impl Tree {
    /// Finds the processes of the target: those that `config` asks for.
    ///
    /// # Errors
    /// Those of [`Wanted::from_config`] and [`Tree::open`].
    pub fn of_target(
        config: Option<&CollectorConfig>,
        hint: &TargetHint,
    ) -> Result<Tree, OpenError> {
        Tree::open(Wanted::from_config(config, hint)?, hint.network)
    }

    /// Finds the processes; what listens is looked for in `network`.
    ///
    /// # Errors
    /// If there is none, or it cannot be read. The error includes the step that fixes it.
    pub fn open(wanted: Wanted, network: Network) -> Result<Tree, OpenError> {
        let mut tree = Tree {
            wanted,
            home: Home::new(network),
            network,
            roots: BTreeSet::new(),
            members: BTreeMap::new(),
            described: String::new(),
            opened_ticks: u64::MAX,
            strangers: HashMap::new(),
            sought: Instant::now(),
            seeks: 0,
            listeners: BTreeSet::new(),
            trail: Trail::default(),
            seen_ticks: 0,
            ends_told: 0,
            events: Vec::new(),
            text: Text::default(),
        };
        tree.find_roots().map_err(|error| error.into_open_error(&tree.wanted))?;
        tree.seek();
        tree.keep_trail();
        tree.opened_ticks = find::now_ticks(&mut tree.text);
        Ok(tree)
    }

    /// Reads the numbers of all its processes. Looks for children, exits and restarts about once a
    /// second.
    ///
    /// # Errors
    /// If no process of the target is left. The error is the text for a gap.
    pub fn refresh(&mut self) -> Result<(), String> {
        let mut ended = Vec::new();
        for (pid, member) in &mut self.members {
            match find::read_stat(&mut self.text, *pid) {
                Ok((name, stat)) if is_same(&stat, &member.stat) => {
                    // A child has its parent's name until it executes its own program.
                    member.name = name;
                    member.stat = stat;
                }
                Err(error) if !is_gone(&error) => {}
                _ => ended.push(*pid),
            }
        }
        for pid in ended {
            let Some(member) = self.members.remove(&pid) else { continue };
            let was_root = self.roots.remove(&pid);
            if !self.roots.is_empty() {
                self.tell_end(&member, was_root);
            }
        }
        if self.roots.is_empty() {
            self.find_again()?;
            self.seek();
        } else if self.sought.elapsed() >= SEEK_EVERY {
            self.seek();
        }
        Ok(())
    }

    /// The ids of all its processes.
    pub fn pids(&self) -> impl Iterator<Item = u32> + '_ {
        self.members.keys().copied()
    }

    /// All its processes, ordered by id.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// The processes that all others descend from.
    pub fn roots(&self) -> impl Iterator<Item = &Member> {
        self.roots.iter().filter_map(|pid| self.members.get(pid))
    }

    /// The network namespace of their sockets.
    pub fn network(&self) -> Network {
        self.network
    }

    /// Events since the last call: restarts and ends.
    pub fn events(&mut self) -> Vec<String> {
        std::mem::take(&mut self.events)
    }

    /// A description of what is followed, such as `pid 4242 (shop) and 3 children`.
    pub fn describe(&self) -> String {
        let mut text = self.described.clone();
        match self.members.len().saturating_sub(self.roots.len()) {
            0 => {}
            1 => text.push_str(" and 1 child"),
            children => text.push_str(&format!(" and {children} children")),
        }
        text
    }

    /// Reports that a process ended while the target continues: a root, or a child that was not a
    /// short-lived helper, such as a worker that crashed or was recycled.
    fn tell_end(&mut self, member: &Member, was_root: bool) {
        let ticks = find::now_ticks(&mut self.text).saturating_sub(member.stat.start_ticks);
        let age = Duration::from_secs_f64(ticks as f64 / ticks_per_second());
        if (was_root || age >= WORKER_AGE) && self.ends_told < MOST_ENDS_TOLD {
            self.ends_told += 1;
            let seconds = age.as_secs();
            self.events.push(format!(
                "{member} ended after {seconds} s; the target's other processes keep running"
            ));
        }
    }

    /// Finds the roots that the plan asks for, and adds them.
    fn find_roots(&mut self) -> Result<(), NotFound> {
        let found = match &self.wanted {
            Wanted::Pid(pid) => find::by_pid(&mut self.text, *pid)?,
            Wanted::Name(name) => find::by_name(&mut self.text, name)?,
            Wanted::Container(container) => find::by_container(&mut self.text, container)?,
            Wanted::Port(_) | Wanted::Forwarder(_) | Wanted::Socket(_) => {
                let (network, listeners) =
                    self.look_for_listeners().map_err(NotFound::Unreadable)?;
                let found = find::by_listeners(&mut self.text, &self.wanted, &listeners)?;
                // What was handed the socket of another namespace still listens there.
                self.network = network;
                self.home.move_to(network);
                self.listeners = listeners.inodes;
                found
            }
        };
        self.take(found);
        Ok(())
    }

    /// Makes these processes the roots.
    fn take(&mut self, found: find::Found) {
        if !self.wanted.listens() {
            let networks = found.iter().filter_map(|(_, stat)| Network::of(stat.pid));
            self.network = networks.take(1).fold(self.network, |_, network| network);
        }
        self.roots.clear();
        for (name, stat) in found {
            self.roots.insert(stat.pid);
            self.adopt(name, stat);
        }
        self.strangers.clear();
        self.describe_roots();
    }

    /// Remembers what leads to the next process, where the plan gave the id of this one.
    fn keep_trail(&mut self) {
        if matches!(self.wanted, Wanted::Pid(_)) {
            self.seen_ticks = find::now_ticks(&mut self.text);
            for pid in &self.roots {
                self.trail.follow(*pid);
            }
        }
    }

    /// The sockets that listen on the requested port or path, and the namespace that they are in.
    fn look_for_listeners(&self) -> io::Result<(Network, Listeners)> {
        let mut found = (self.network, Listeners::default());
        for network in self.home.networks() {
            let listeners = match &self.wanted {
                Wanted::Port(port) | Wanted::Forwarder(port) => listeners(network, *port)?,
                Wanted::Socket(path) => unix_listeners(network, path)?,
                Wanted::Pid(_) | Wanted::Name(_) | Wanted::Container(_) => break,
            };
            if !listeners.inodes.is_empty() {
                found = (network, listeners);
                break;
            }
        }
        Ok(found)
    }

    fn adopt(&mut self, name: String, stat: Stat) {
        let is_fresh = stat.start_ticks > self.opened_ticks;
        self.members.entry(stat.pid).or_insert(Member { name, stat, is_fresh });
    }

    fn describe_roots(&mut self) {
        const NAMED: usize = 4;
        let named: Vec<String> = self.roots().take(NAMED).map(Member::to_string).collect();
        self.described = named.join(", ");
        if self.roots.len() > NAMED {
            self.described.push_str(&format!(" and {} more", self.roots.len() - NAMED));
        }
        let first = self.roots.first().and_then(|pid| container::of_process(&mut self.text, *pid));
        let own = container::of_process(&mut self.text, std::process::id());
        if let Some(container) = first.filter(|first| Some(first) != own.as_ref()) {
            self.described.push_str(&format!(" in container {container}"));
        }
    }

    /// Called when every root has ended: finds the target again, or continues with what is left of
    /// it.
    fn find_again(&mut self) -> Result<(), String> {
        let was = self.described.clone();
        let survivors: BTreeSet<u32> = self.members.keys().copied().collect();
        // A process id identifies one process. Another process that got the same id is not the
        // target; the one that a supervisor starts in its place is.
        let found = match self.wanted {
            Wanted::Pid(_) => {
                self.trail.successor(&mut self.text, self.seen_ticks).map(|found| self.take(found))
            }
            _ => self.find_roots(),
        };
        match found {
            Ok(()) if self.roots.iter().any(|root| survivors.contains(root)) => {
                self.events.push(format!("{was} ended; its other processes keep running"));
            }
            Ok(()) => {
                // What is left of the old target no longer serves requests.
                self.members.retain(|pid, _| self.roots.contains(pid));
                self.events.push(format!("target restarted: {was} → {}", self.described));
            }
            Err(_) if !survivors.is_empty() => {
                let members = &self.members;
                let is_top = |member: &&Member| !members.contains_key(&member.stat.ppid);
                self.roots = members.values().filter(is_top).map(|top| top.stat.pid).collect();
                self.describe_roots();
                self.events.push(format!("{was} ended; its other processes keep running"));
            }
            Err(_) => return Err(format!("the target is gone: {was} has ended")),
        }
        Ok(())
    }

    /// Searches all processes of the machine for new ones of the target.
    fn seek(&mut self) {
        self.sought = Instant::now();
        self.seeks += 1;
        if self.seeks.is_multiple_of(FORGET_AFTER) {
            self.strangers.clear();
        }
        if self.seeks.is_multiple_of(LISTENERS_AFTER) {
            self.add_listeners();
            self.keep_trail();
        }
        let mut unknown = Vec::new();
        for pid in all_pids() {
            if self.members.contains_key(&pid)
                || self.strangers.get(&pid).is_some_and(|seen| *seen >= SETTLED_AFTER)
            {
                continue;
            }
            match find::read_stat(&mut self.text, pid) {
                Ok((name, stat)) if !stat.has_ended() => unknown.push((name, stat)),
                _ => {}
            }
        }
        self.adopt_named(&mut unknown);
        // A child may come before its parent in this list, because ids wrap around.
        loop {
            let is_child = |(_, stat): &(String, Stat)| {
                self.members.contains_key(&stat.ppid) && stat.pid != std::process::id()
            };
            let (children, others): (Vec<_>, Vec<_>) = unknown.into_iter().partition(is_child);
            unknown = others;
            if children.is_empty() {
                break;
            }
            children.into_iter().for_each(|(name, stat)| self.adopt(name, stat));
        }
        for (_, stat) in unknown {
            *self.strangers.entry(stat.pid).or_default() += 1;
        }
    }

    /// Other processes of the wanted name, started in addition to the known ones, are roots as
    /// well.
    fn adopt_named(&mut self, unknown: &mut Vec<(String, Stat)>) {
        let Wanted::Name(wanted) = &self.wanted else { return };
        let wanted = wanted.clone();
        let mut index = 0;
        while index < unknown.len() {
            let (name, stat) = &unknown[index];
            let is_child = self.members.contains_key(&stat.ppid);
            if is_child || !find::is_named(&mut self.text, name, stat, &wanted) {
                index += 1;
                continue;
            }
            let (name, stat) = unknown.swap_remove(index);
            self.roots.insert(stat.pid);
            self.adopt(name, stat);
            self.describe_roots();
        }
    }

    /// Other processes that now listen on the requested port or path are roots as well.
    fn add_listeners(&mut self) {
        let Ok((_, now)) = self.look_for_listeners() else { return };
        if now.inodes == self.listeners || now.inodes.is_empty() {
            return;
        }
        if let Ok(found) = find::by_listeners(&mut self.text, &self.wanted, &now) {
            for (name, stat) in found {
                if !self.members.contains_key(&stat.pid) {
                    self.roots.insert(stat.pid);
                    self.adopt(name, stat);
                }
            }
            self.describe_roots();
        }
        self.listeners = now.inodes;
    }
}

/// Whether `now` is the same process as `before` and has not ended.
fn is_same(now: &Stat, before: &Stat) -> bool {
    now.start_ticks == before.start_ticks && !now.has_ended()
}
