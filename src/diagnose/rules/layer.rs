//! What a fault exhausts, and where on the way of a request it lies.

use std::fmt;

/// What a fault exhausts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// The cores that the target may use.
    Cpu,
    /// The CPU time that a control group allows.
    Quota,
    /// The one core that one thread can use.
    Thread,
    /// The memory that a garbage collector manages.
    Heap,
    /// The memory of a process, a control group or the machine.
    Memory,
    /// A disk.
    Disk,
    /// A link, or what lies between two links.
    Network,
    /// Open files and sockets.
    Descriptors,
    /// A lock: one holder at a time, however much there is of everything else.
    Lock,
    /// Workers that serve one request each.
    Workers,
    /// Connections of a pool.
    Pool,
    /// Connections of a pooler to the database.
    Pooler,
    /// Places of a pool that holds no connections to a database.
    Slots,
    /// Calls to another service that the target may have in flight.
    Calls,
    /// The database's work per query.
    Database,
    /// The connections that the database allows.
    Sessions,
    /// Another service.
    Peer,
    /// Requests or calls that somebody allows at a time.
    Admissions,
    /// A rate that somebody set.
    Rate,
    /// The queue of connections to be accepted.
    Backlog,
    /// kneepoint itself.
    Generator,
    /// Something is exhausted that no collector sees.
    Unknown,
    /// Nothing is: the fault has another cause, or shows another limit.
    Nothing,
    /// Something that only a rule of the user's own knows, by its name.
    Own(String),
}

/// Every resource with its name in rule files.
const RESOURCES: [(&str, Resource); 23] = [
    ("cpu", Resource::Cpu),
    ("quota", Resource::Quota),
    ("thread", Resource::Thread),
    ("heap", Resource::Heap),
    ("memory", Resource::Memory),
    ("disk", Resource::Disk),
    ("network", Resource::Network),
    ("descriptors", Resource::Descriptors),
    ("lock", Resource::Lock),
    ("workers", Resource::Workers),
    ("pool", Resource::Pool),
    ("pooler", Resource::Pooler),
    ("slots", Resource::Slots),
    ("calls", Resource::Calls),
    ("database", Resource::Database),
    ("sessions", Resource::Sessions),
    ("peer", Resource::Peer),
    ("admissions", Resource::Admissions),
    ("rate", Resource::Rate),
    ("backlog", Resource::Backlog),
    ("generator", Resource::Generator),
    ("unknown", Resource::Unknown),
    ("nothing", Resource::Nothing),
];

impl Resource {
    /// The one of this name in rule files.
    pub fn find(text: &str) -> Option<Self> {
        RESOURCES.into_iter().find(|(name, _)| *name == text).map(|(_, resource)| resource)
    }

    /// The names in rule files.
    pub fn names() -> impl Iterator<Item = &'static str> {
        RESOURCES.into_iter().map(|(name, _)| name)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resource::Own(name) => f.write_str(name),
            known => {
                let name = RESOURCES.iter().find(|(_, resource)| resource == known);
                f.write_str(name.map_or("", |(name, _)| *name))
            }
        }
    }
}

/// Where on the way of a request a fault lies, from the outside inwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Where requests enter: the listen queue, limits and refusals.
    Door,
    /// What serves a request from its begin to its end.
    Workers,
    /// Connections that requests share.
    Pool,
    /// Another service that the target calls, and the network in between.
    Peer,
    /// The database.
    Database,
    /// The target's runtime: threads, garbage collector, its own locks.
    Runtime,
    /// Limits that the kernel keeps for the target: quota, memory, descriptors.
    Kernel,
    /// The machine: cores and disks.
    Host,
}

impl Layer {
    /// Every layer, from the outside inwards.
    pub const ALL: [Layer; 8] = [
        Layer::Door,
        Layer::Workers,
        Layer::Pool,
        Layer::Peer,
        Layer::Database,
        Layer::Runtime,
        Layer::Kernel,
        Layer::Host,
    ];

    /// The name in rule files.
    pub fn key(self) -> &'static str {
        match self {
            Layer::Door => "door",
            Layer::Workers => "workers",
            Layer::Pool => "pool",
            Layer::Peer => "peer",
            Layer::Database => "database",
            Layer::Runtime => "runtime",
            Layer::Kernel => "kernel",
            Layer::Host => "host",
        }
    }

    /// The one of this name in rule files.
    pub fn find(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|layer| layer.key() == text)
    }
}
