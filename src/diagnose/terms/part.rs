//! The parts into which a response time is split.

use std::fmt;

use crate::timeline::{Selector, names};

use super::operand::labelled;

/// One part of the response time, as a rule file names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartKind {
    /// Processor time of the target.
    AppCpu,
    /// The target's threads are ready and wait for a core.
    RunQueue,
    /// The target is stopped by its CPU quota.
    Throttled,
    /// PostgreSQL executes.
    DbExecuting,
    /// PostgreSQL waits for a lock.
    DbLockWait,
    /// A connection is held idle in a transaction.
    DbHeld,
    /// The target waits for a pooled connection.
    PoolWait,
    /// A call to the database is under way and no session is busy for it: it waits in a pooler.
    PoolerWait,
    /// The target waits for another service.
    Downstream,
    /// The target connects to another service.
    PeerConnect,
    /// A thread of the target waits for a file or the disk.
    DiskWait,
    /// A thread of the target queues for something inside it: a lock, or one of a few.
    LockWait,
    /// The request waits for a worker.
    WorkerWait,
    /// The target has read the request, and does nothing for it that is measured.
    InTarget,
    /// The request has arrived and the target has not read it.
    Unread,
    /// The connection waits to be accepted.
    AcceptQueue,
    /// kneepoint connects to the target.
    Connect,
    /// The request waits for one of kneepoint's own connections.
    Generator,
    /// What no part explains.
    Unexplained,
}

impl PartKind {
    /// Every part, in the order in which a report stacks them.
    pub const ALL: [PartKind; 19] = [
        PartKind::AppCpu,
        PartKind::RunQueue,
        PartKind::Throttled,
        PartKind::DbExecuting,
        PartKind::DbLockWait,
        PartKind::DbHeld,
        PartKind::PoolWait,
        PartKind::PoolerWait,
        PartKind::Downstream,
        PartKind::PeerConnect,
        PartKind::DiskWait,
        PartKind::LockWait,
        PartKind::WorkerWait,
        PartKind::InTarget,
        PartKind::Unread,
        PartKind::AcceptQueue,
        PartKind::Connect,
        PartKind::Generator,
        PartKind::Unexplained,
    ];

    /// The queues in front of the target, of requests that it does not work on yet.
    pub const IN_FRONT: [PartKind; 3] =
        [PartKind::WorkerWait, PartKind::Unread, PartKind::AcceptQueue];

    /// The name in rule files.
    pub fn key(self) -> &'static str {
        match self {
            PartKind::AppCpu => "app_cpu",
            PartKind::RunQueue => "run_queue",
            PartKind::Throttled => "throttled",
            PartKind::DbExecuting => "db_executing",
            PartKind::DbLockWait => "db_lock_wait",
            PartKind::DbHeld => "db_held",
            PartKind::PoolWait => "pool_wait",
            PartKind::PoolerWait => "pooler_wait",
            PartKind::Downstream => "downstream",
            PartKind::PeerConnect => "peer_connect",
            PartKind::DiskWait => "disk_wait",
            PartKind::LockWait => "lock_wait",
            PartKind::WorkerWait => "worker_wait",
            PartKind::InTarget => "in_target",
            PartKind::Unread => "unread",
            PartKind::AcceptQueue => "accept_queue",
            PartKind::Connect => "connect",
            PartKind::Generator => "generator",
            PartKind::Unexplained => "unexplained",
        }
    }

    /// The database sessions that are in this part; `None` for parts that are measured otherwise.
    pub fn sessions(self) -> Option<Selector> {
        let labels: &[(&str, &str)] = match self {
            PartKind::DbExecuting => &[("state", "active"), ("wait_type", "!Lock")],
            PartKind::DbLockWait => &[("state", "active"), ("wait_type", "Lock")],
            PartKind::DbHeld => &[("state", "idle in transaction*")],
            _ => return None,
        };
        Some(labelled(&names::DB_SESSIONS, labels))
    }

    /// Whether a rule that names this part means `other` too. Time inside the target in which
    /// nothing measured happens is as unexplained as the rest, and a request that cannot connect
    /// to a service waits for that service.
    pub fn covers(self, other: PartKind) -> bool {
        self == other
            || (self == PartKind::Unexplained && other == PartKind::InTarget)
            || (self == PartKind::Downstream && other == PartKind::PeerConnect)
    }

    /// What it is, in words for reports: `waiting for 10.0.3.7:8443`.
    pub fn name(self, peer: Option<&str>) -> String {
        match (self, peer) {
            (PartKind::Downstream, Some(peer)) => format!("waiting for {peer}"),
            (PartKind::PeerConnect, Some(peer)) => format!("connecting to {peer}"),
            _ => self.to_string(),
        }
    }

    /// The part of this name in rule files.
    pub fn find(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.key() == key)
    }
}

impl fmt::Display for PartKind {
    /// In words for reports.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PartKind::AppCpu => "app CPU",
            PartKind::RunQueue => "waiting for a core",
            PartKind::Throttled => "stopped by the CPU quota",
            PartKind::DbExecuting => "PostgreSQL executing",
            PartKind::DbLockWait => "PostgreSQL lock wait",
            PartKind::DbHeld => "connection idle in a transaction",
            PartKind::PoolWait => "waiting for a pooled connection",
            PartKind::PoolerWait => "waiting between the target and PostgreSQL",
            PartKind::Downstream => "waiting for another service",
            PartKind::PeerConnect => "connecting to another service",
            PartKind::DiskWait => "waiting for the disk",
            PartKind::LockWait => "waiting for a lock inside the target",
            PartKind::WorkerWait => "waiting for a worker",
            PartKind::InTarget => "waiting inside the target",
            PartKind::Unread => "arrived, not yet read by the target",
            PartKind::AcceptQueue => "waiting to be accepted",
            PartKind::Connect => "connecting to the target",
            PartKind::Generator => "waiting for a free connection of kneepoint",
            PartKind::Unexplained => "unexplained",
        })
    }
}
