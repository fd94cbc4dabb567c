//! Every commit waits for the flush of the write-ahead log.

use std::time::Duration;

use super::{
    DatabaseTraits, Fault, HEALTHY, HEALTHY_DATABASE, Load, ORDERS, System, Truth, ramp_to, up_to,
};

/// PostgreSQL's `commit_delay` stands in for a disk that takes 100 ms to flush: the session that
/// flushes holds the lock of the log meanwhile, and the others wait for it, as they do with a slow
/// disk. Whoever waits is flushed by the next one, so that a commit takes one to two flushes, and
/// 16 connections carry between 16 / 200 ms = 80 and 16 / 100 ms = 160 orders/s.
///
/// The sessions wait for a lock inside PostgreSQL (`LWLock:WALWrite`): to say so is right. To say
/// that the disk is slow is right as well, for that is what the lock is held for.
pub(super) static SPEC: Fault = Fault {
    name: "slow-commits",
    summary: "every commit waits for a flush of the log that takes 100 ms: knee near 110/s",
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
