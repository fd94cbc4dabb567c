//! The parts into which a response time is split.

use std::fmt;

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
    /// The target waits for another service.
    Downstream,
    /// The request waits for a worker.
    WorkerWait,
    /// The request has arrived and the target has not read it.
    Unread,
    /// The connection waits to be accepted.
    AcceptQueue,
    /// The request waits for one of kneepoint's own connections.
    Generator,
    /// What no part explains.
    Unexplained,
}

impl PartKind {
    /// Every part, in the order in which a report stacks them.
    pub const ALL: [PartKind; 13] = [
        PartKind::AppCpu,
        PartKind::RunQueue,
        PartKind::Throttled,
        PartKind::DbExecuting,
        PartKind::DbLockWait,
        PartKind::DbHeld,
        PartKind::PoolWait,
        PartKind::Downstream,
        PartKind::WorkerWait,
        PartKind::Unread,
        PartKind::AcceptQueue,
        PartKind::Generator,
        PartKind::Unexplained,
    ];

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
            PartKind::Downstream => "downstream",
            PartKind::WorkerWait => "worker_wait",
            PartKind::Unread => "unread",
            PartKind::AcceptQueue => "accept_queue",
            PartKind::Generator => "generator",
            PartKind::Unexplained => "unexplained",
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
            PartKind::Downstream => "waiting for another service",
            PartKind::WorkerWait => "waiting for a worker",
            PartKind::Unread => "arrived, not read by the target",
            PartKind::AcceptQueue => "waiting to be accepted",
            PartKind::Generator => "waiting for a connection of kneepoint",
            PartKind::Unexplained => "unexplained",
        })
    }
}
