//! Every commit waits for a flush of the write-ahead log.

use std::time::Duration;

use super::{
    DatabaseTraits, Fault, HEALTHY, HEALTHY_DATABASE, Load, ORDERS, System, Truth, ramp_to, up_to,
};

/// PostgreSQL's `commit_delay` simulates a disk that takes 100 ms to flush. The session that
/// flushes holds the lock of the log during that time, and the others wait for it, as with a slow
/// disk. The next flush covers all waiting sessions, so a commit takes one to two flushes. 16
/// connections therefore carry between 16 / 200 ms = 80 and 16 / 100 ms = 160 orders/s.
///
/// Two names are correct: the sessions wait for a lock inside PostgreSQL (`LWLock:WALWrite`), and
/// the lock is held because the disk is slow.
pub(super) static SPEC: Fault = Fault {
    name: "slow-commits",
    summary: "every commit waits for a 100 ms flush of the write-ahead log: knee near 110/s",
    needs_postgres: true,
    truth: Truth::knee(&["db-internal-contention", "disk-bound"], 70.0, 165.0),
    broken: System {
        database: DatabaseTraits { durable: Some(Duration::from_millis(100)), ..HEALTHY_DATABASE },
        load: Load { requests: ORDERS, shape: ramp_to(400) },
        ..HEALTHY
    },
    // A commit does not wait for the disk.
    healthy: Some(System { load: Load { requests: ORDERS, shape: up_to(200) }, ..HEALTHY }),
};
