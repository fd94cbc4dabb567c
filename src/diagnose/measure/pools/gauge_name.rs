//! What the name and the labels of a scraped gauge say: which part of a pool it counts, and what
//! the pool holds. Words alone prove nothing: [`super`] asks the values whether they behave like a
//! pool.

use crate::timeline::SeriesKey;

/// What a gauge of a pool counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Places that are in use.
    Used,
    /// Places that are free.
    Idle,
    /// Places that there are.
    Limit,
    /// Callers that wait for a place.
    Waiting,
}

/// What a name says that a pool holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Connections to a database.
    DatabaseConnections,
    /// Connections to another service, or calls to it.
    Calls,
    /// Workers or threads.
    Workers,
}

/// A gauge whose name fits a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GaugeName {
    /// What it counts.
    pub role: Role,
    /// What is left of the name and the labels without the words of the role. The gauges of one
    /// pool have the same.
    pub stem: Vec<String>,
    /// The pool as reports name it.
    pub pool: String,
    /// What the pool holds, if the name says so.
    pub holds: Option<Holds>,
    /// Whether the name speaks of something that is borrowed and given back.
    pub is_called_pool: bool,
    /// Whether the name of a limit says that it is one. A `size` may also be what is open now.
    pub is_called_limit: bool,
}

const USED: &[&str] = &[
    "used",
    "busy",
    "active",
    "acquired",
    "leased",
    "borrowed",
    "occupied",
    "taken",
    "running",
    "inuse",
    "checkedout",
    "inflight",
];
const IDLE: &[&str] = &["idle", "available", "free", "spare", "checkedin"];
const CALLED_LIMIT: &[&str] = &["max", "maximum", "maxsize", "limit", "capacity", "cap"];
const LIMIT: &[&str] = &["size", "total", "configured"];
const WAITING: &[&str] = &["waiting", "waiters", "pending", "queued", "queue", "awaiting"];
/// Words that say how many of those that wait, and nothing else.
const OF_A_QUEUE: &[&str] =
    &["wait", "size", "length", "len", "depth", "requests", "threads", "callers", "acquires"];

/// Words that a name may have or lack without meaning another pool.
const NOISE: &[&str] =
    &["count", "num", "number", "current", "connections", "connection", "conns", "conn", "pool"];

/// Words of what is measured in amounts or kept, not borrowed and given back: memory, disks, caches,
/// processors, quotas, queues and their like also have a level that stays below a constant.
const NO_POOL: &[&str] = &[
    "bytes",
    "byte",
    "kb",
    "mb",
    "gb",
    "kib",
    "mib",
    "gib",
    "seconds",
    "millis",
    "ms",
    "us",
    "ns",
    "time",
    "duration",
    "percent",
    "ratio",
    "memory",
    "mem",
    "heap",
    "arena",
    "disk",
    "disks",
    "cache",
    "caches",
    "buffer",
    "buffers",
    "fd",
    "fds",
    "file",
    "files",
    "descriptor",
    "descriptors",
    "cpu",
    "cpus",
    "core",
    "cores",
    "gpu",
    "swap",
    "inode",
    "inodes",
    "page",
    "pages",
    "storage",
    "space",
    "volume",
    "filesystem",
    "gc",
    "rate",
    "quota",
    "budget",
    "credit",
    "credits",
    "token",
    "tokens",
    "bandwidth",
    "channel",
    "ring",
    "mailbox",
    "entries",
    "items",
    "keys",
    "rows",
];

const DATABASE: &[&str] = &[
    "db",
    "database",
    "databases",
    "datasource",
    "sql",
    "jdbc",
    "odbc",
    "postgres",
    "postgresql",
    "pg",
    "pgx",
    "pgsql",
    "mysql",
    "mariadb",
    "sqlalchemy",
    "ecto",
    "sequelize",
    "knex",
    "r2dbc",
    "dbpool",
];
const CALLS: &[&str] = &[
    "http",
    "https",
    "grpc",
    "client",
    "clients",
    "upstream",
    "downstream",
    "rest",
    "redis",
    "amqp",
    "smtp",
    "ldap",
];
const WORKERS: &[&str] = &["worker", "workers", "thread", "threads", "executor", "handlers"];
const POOL: &[&str] = &[
    "pool",
    "conn",
    "conns",
    "connection",
    "connections",
    "slots",
    "permits",
    "semaphore",
    "workers",
    "threads",
    "checkedout",
];

/// Labels that may hold what a gauge counts: `connections{state="in_use"}`.
const ROLE_LABELS: &[&str] = &["state", "status", "type", "kind", "stat"];
/// Labels that say where a series comes from, not what it is about.
const ORIGIN_LABELS: &[&str] = &["endpoint", "instance", "job", "host", "hostname", "pod", "pid"];

/// What the name of a series says; `None` if it does not fit a pool.
pub fn read(key: &SeriesKey) -> Option<GaugeName> {
    let mut words = words(&key.metric);
    let about: Vec<(&str, &str)> =
        key.labels.iter().filter(|(name, _)| !ORIGIN_LABELS.contains(name)).collect();
    let said = |list: &[&str]| -> bool {
        let of_labels = about.iter().flat_map(|(name, value)| [*name, *value]);
        words.iter().any(|word| list.contains(&word.as_str()))
            || of_labels.flat_map(self::words).any(|word| list.contains(&word.as_str()))
    };
    if said(NO_POOL) {
        return None;
    }
    let holds = match () {
        () if said(DATABASE) => Some(Holds::DatabaseConnections),
        () if said(WORKERS) => Some(Holds::Workers),
        () if said(CALLS) => Some(Holds::Calls),
        () => None,
    };
    let is_called_pool = said(POOL);
    let is_called_limit = said(CALLED_LIMIT);
    let by_label = about.iter().find_map(|(name, value)| {
        let role = ROLE_LABELS.contains(name).then(|| role(&self::words(value))).flatten();
        role.map(|role| (*name, role))
    });
    let role = by_label.map(|(_, role)| role).or_else(|| role(&words))?;
    let is_of_role = |word: &str| {
        let lists = [USED, IDLE, CALLED_LIMIT, LIMIT, WAITING];
        let of_queue = role == Role::Waiting && OF_A_QUEUE.contains(&word);
        of_queue || lists.iter().any(|list| list.contains(&word))
    };
    words.retain(|word| !is_of_role(word));
    let is_other = |label: &&(&str, &str)| by_label.is_none_or(|(of_role, _)| of_role != label.0);
    let others: Vec<(&str, &str)> = about.iter().filter(is_other).copied().collect();
    let named = Some(words.join("_")).filter(|name| !name.is_empty());
    let parts: Vec<String> =
        named.into_iter().chain(others.iter().map(|label| label.1.to_owned())).collect();
    let pool = if parts.is_empty() { "pool".to_owned() } else { parts.join(" ") };
    words.retain(|word| !NOISE.contains(&word.as_str()));
    words.extend(others.iter().map(|(name, value)| format!("{name}={value}")));
    words.extend(key.labels.get("endpoint").map(|endpoint| format!("endpoint={endpoint}")));
    Some(GaugeName { role, stem: words, pool, holds, is_called_pool, is_called_limit })
}

/// The words of a name in lower case: `dbPoolInUse` and `db_pool_in_use` have the same.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut starts = true;
    let mut before_is_lower = false;
    for c in text.chars() {
        if !c.is_alphanumeric() {
            starts = true;
            continue;
        }
        if starts || c.is_uppercase() && before_is_lower {
            words.push(String::new());
        }
        starts = false;
        before_is_lower = c.is_lowercase();
        if let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase());
        }
    }
    joined(words)
}

/// Joins the two words of `in use`, `checked out` and their like.
fn joined(words: Vec<String>) -> Vec<String> {
    const PAIRS: &[(&str, &str)] =
        &[("in", "use"), ("in", "flight"), ("checked", "out"), ("checked", "in")];
    let mut joined: Vec<String> = Vec::with_capacity(words.len());
    for word in words {
        match joined.last_mut() {
            Some(last) if PAIRS.contains(&(last.as_str(), word.as_str())) => last.push_str(&word),
            _ => joined.push(word),
        }
    }
    joined
}

/// What these words count; `None` where they say nothing, or several things at once, as the peak
/// `max_active` and the setting `max_idle` do.
fn role(words: &[String]) -> Option<Role> {
    let said = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    if said(WAITING) {
        let rest = [USED, IDLE, CALLED_LIMIT];
        return (!rest.into_iter().any(said)).then_some(Role::Waiting);
    }
    let roles = [
        (Role::Used, said(USED)),
        (Role::Idle, said(IDLE)),
        (Role::Limit, said(CALLED_LIMIT) || said(LIMIT)),
    ];
    let mut said = roles.into_iter().filter(|(_, said)| *said);
    let role = said.next()?.0;
    said.next().is_none().then_some(role)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::{Labels, Selector};

    fn name(text: &str) -> Option<GaugeName> {
        let selector: Selector = text.parse().unwrap();
        let labels = selector.labels.iter().fold(Labels::none(), |all, (k, v)| all.with(k, v));
        read(&SeriesKey::new(&selector.metric, labels))
    }

    #[test]
    fn the_gauges_of_one_pool_differ_in_the_words_of_their_role() {
        for pool in [
            ["store_handles_checked_out", "store_handles_size", "store_handles_waiting"],
            ["db_pool_in_use", "db_pool_max_connections", "db_pool_wait_queue_length"],
            ["app_active_connections", "app_connections_limit", "app_connections_pending"],
            ["x{state=busy,name=a}", "x_capacity{name=a}", "x_queue_depth{name=a}"],
            ["renderSlotsInUse", "renderSlotsTotal", "renderSlotsQueued"],
        ] {
            let [used, limit, waiting] = pool.map(|text| name(text).expect(text));
            assert_eq!(
                [used.role, limit.role, waiting.role],
                [Role::Used, Role::Limit, Role::Waiting]
            );
            assert_eq!(used.stem, limit.stem, "{pool:?}");
            assert_eq!(waiting.stem, limit.stem, "{pool:?}");
        }
    }

    #[test]
    fn what_a_pool_holds_follows_from_its_name_where_that_says_so() {
        let holds = |text| name(text).unwrap().holds;
        assert_eq!(holds("orders_db_checked_out"), Some(Holds::DatabaseConnections));
        assert_eq!(holds("pool_in_use{datasource=main}"), Some(Holds::DatabaseConnections));
        assert_eq!(holds("http_client_in_use"), Some(Holds::Calls));
        assert_eq!(holds("worker_threads_busy"), Some(Holds::Workers));
        assert_eq!(holds("store_handles_checked_out"), None);
    }

    #[test]
    fn amounts_peaks_and_settings_fit_no_pool() {
        for text in [
            "process_open_fds",
            "process_max_fds",
            "jvm_memory_used_bytes{area=heap}",
            "cache_entries_used",
            "disk_used",
            "cpu_active",
            "pool_max_active",
            "pool_max_idle",
            "queue_capacity",
            "http_requests_seconds_max",
            "area_used{area=heap}",
        ] {
            assert_eq!(name(text), None, "{text}");
        }
    }
}
