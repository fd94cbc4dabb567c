//! Which fault follows from which, derived from what each exhausts and where it lies.
//!
//! A request passes the door of the target, gets a worker, a place in a pool, and calls the database or
//! another service; for all of that the target needs its runtime, the kernel and the host. The queue
//! for something that is full forms outside of it, so a fault follows from one that lies further in.

use super::layer::{Layer, Resource};
use super::rule::{Rule, RuleRole};

/// Whether a finding of `rule` follows from one of `other` where both fire. What `consequence_of`
/// says comes first; the layers decide the rest.
pub fn follows(rule: &Rule, other: &Rule) -> bool {
    if rule.id == other.id {
        return false;
    }
    if rule.consequence_of.contains(&other.id) {
        return true;
    }
    let limits = rule.role == RuleRole::Limit && other.role == RuleRole::Limit;
    limits && !other.consequence_of.contains(&rule.id) && queues_for(rule, other)
}

/// Whether a queue for what `inner` exhausts shows as what `outer` exhausts.
fn queues_for(outer: &Rule, inner: &Rule) -> bool {
    // Only so many requests get in, so what they share further in is never needed more often.
    if (inner.layer, &inner.resource) == (Layer::Door, &Resource::Admissions) {
        return is_shared_by_requests(&outer.resource);
    }
    match (outer.layer, &outer.resource) {
        // A limiter counts requests, and a transaction holds its locks: nothing further in fills them.
        (Layer::Door, Resource::Rate | Resource::Admissions)
        | (Layer::Database, Resource::Lock) => false,
        // The database has a runtime and a quota of its own; the machine it may share with the target.
        (Layer::Database, _) => {
            inner.layer == Layer::Host
                || (inner.layer == Layer::Database && inner.resource == Resource::Lock)
        }
        // Whoever holds the lock may wait for a core or for the database. A line for a connection is the
        // pool's, and a call that only the holder makes is the lock's own fault.
        (Layer::Runtime, Resource::Lock) => {
            matches!(inner.layer, Layer::Database | Layer::Runtime | Layer::Kernel | Layer::Host)
        }
        _ => depth(inner) > depth(outer),
    }
}

/// Whether a number of these that never grows may follow from the number of requests.
fn is_shared_by_requests(resource: &Resource) -> bool {
    matches!(
        resource,
        Resource::Workers | Resource::Pool | Resource::Pooler | Resource::Slots | Resource::Unknown
    )
}

/// How far in a fault lies.
fn depth(rule: &Rule) -> u8 {
    match (rule.layer, &rule.resource) {
        (Layer::Door, _) => 0,
        (Layer::Workers, _) => 1,
        // A line for a lock holds up what is outside of it, and relieves what is inside.
        (Layer::Runtime, Resource::Lock) => 2,
        (Layer::Pool, _) => 3,
        (Layer::Database, Resource::Lock) => 5,
        // Two ways out of the target that do not lead through each other.
        (Layer::Peer | Layer::Database, _) => 4,
        (Layer::Runtime | Layer::Kernel | Layer::Host, _) => 5,
    }
}
