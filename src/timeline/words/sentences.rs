//! Well-known sentences: what servers, pools, proxies, databases and the kernel say when a limit is
//! reached.
//!
//! A pattern is text in lower case. `…` stands for anything of at most [`MAX_GAP`] bytes. The table
//! is searched from the top, and the first match counts, so the narrower kinds come first.

use std::fmt;
use std::sync::LazyLock;

use regex::Regex;

/// Longest text that `…` stands for.
const MAX_GAP: usize = 120;

macro_rules! sentence_kinds {
    ($($(#[doc = $about:literal])+ $kind:ident = $name:literal, $meaning:literal, [$($pattern:literal),+ $(,)?];)*) => {
        /// What a well-known sentence says.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum SentenceKind {
            $($(#[doc = $about])+ $kind,)*
        }

        impl SentenceKind {
            /// Every kind, in the order in which the table is searched.
            pub const ALL: &[SentenceKind] = &[$(SentenceKind::$kind),*];

            /// The kind as a label value, such as `pool_timeout`.
            pub const fn name(self) -> &'static str {
                match self { $(SentenceKind::$kind => $name,)* }
            }

            /// What such a sentence means, such as `a connection pool had no free connection in time`.
            pub const fn meaning(self) -> &'static str {
                match self { $(SentenceKind::$kind => $meaning,)* }
            }

            const fn patterns(self) -> &'static [&'static str] {
                match self { $(SentenceKind::$kind => &[$($pattern),+],)* }
            }
        }
    };
}

sentence_kinds! {
    /// nginx has no free connection slot.
    WorkerConnections = "worker_connections", "nginx has no free worker connection", [
        "worker_connections are not enough",
    ];
    /// A breaker rejects calls, because earlier calls failed.
    CircuitOpen = "circuit_open", "a circuit breaker is open", [
        "circuit breaker… is open",
        "circuit breaker open",
        "circuitbreaker… is open",
        "circuit breaker: open",
        "circuit is open",
        "circuit is now open",
        "circuit open",
        "breaker is open",
        "brokencircuitexception",
        "circuitbreakeropen",
        "circuitbreakererror",
        "short-circuited and is open",
    ];
    /// Nobody gave a pooled connection back in time.
    PoolTimeout = "pool_timeout", "a connection pool had no free connection in time", [
        "queuepool limit of size",
        "connection is not available, request timed out",
        "pool timed out",
        "pool timeout",
        "pooltimeout",
        "pool: timeout",
        "connection pool… timed out",
        "connection pool… timeout",
        "connection pool exhausted",
        "connection pool is exhausted",
        "connection pool is full",
        "connection pool is probably full",
        "pool is probably full",
        "pool is exhausted",
        "pool exhausted",
        "pool empty",
        "pool error timeout",
        "timed out… connection from… pool",
        "timed out… connection pool",
        "timeout… connection from… pool",
        "timeout… connection pool",
        "timed out waiting for connection",
        "timed out while waiting for an open connection",
        "timeout waiting for idle object",
        "timeout waiting for a connection",
        "timeout acquiring a connection",
        "timeout period elapsed prior to obtaining a connection",
        "timeout exceeded when trying to connect",
        "timeout occurred while waiting for a slot",
        "couldn't get a connection after",
        "could not obtain a connection from the pool",
        "could not get a connection from… pool",
        "could not get a resource from the pool",
        "couldn't get a resource from the pool",
        "unable to acquire a connection",
        "attempt by a client to checkout a connection has timed out",
        "connectionacquiretimeout",
        "waitqueuetimeout",
        "pool#acquire",
        "query_wait_timeout",
    ];
    /// A server accepts no more connections or sessions.
    TooManyConnections = "too_many_connections", "a server accepts no more connections", [
        "too many clients",
        "too many connections",
        "remaining connection slots are reserved",
        "max number of clients reached",
        "no more connections allowed",
        "connection limit exceeded",
        "maximum number of sessions exceeded",
        "maximum number of processes exceeded",
        "maximum connections reached",
        "max_user_connections",
        "maxconn reached",
    ];
    /// A process may not open more descriptors.
    TooManyFiles = "too_many_files", "a process may open no more files or sockets", [
        "too many open files",
        "emfile",
        "enfile",
        "file table overflow",
        "file-max limit",
    ];
    /// No local port is left for a new connection.
    PortsExhausted = "ports_exhausted", "no local port is left for a new connection", [
        "cannot assign requested address",
        "can't assign requested address",
        "eaddrnotavail",
    ];
    /// The kernel's table of connections is full.
    ConntrackFull = "conntrack_full", "the kernel's table of tracked connections is full", [
        "conntrack: table full",
        "conntrack table full",
    ];
    /// The listen queue of a port is full.
    ListenQueueFull = "listen_queue_full", "the listen queue of a port is full", [
        "possible syn flooding",
        "listen queue… full",
        "listen backlog… full",
        "resource temporarily unavailable… while connecting to upstream",
    ];
    /// A cycle of locks.
    Deadlock = "deadlock", "a deadlock", [
        "deadlock",
        "40p01",
    ];
    /// A lock was not free in time.
    LockTimeout = "lock_timeout", "a lock was not free in time", [
        "lock wait timeout",
        "due to lock timeout",
        "could not obtain lock",
        // PostgreSQL with `log_lock_waits`.
        "still waiting for… lock on",
        "lock acquisition timeout",
        "database is locked",
        "database table is locked",
    ];
    /// A statement ran for too long.
    StatementTimeout = "statement_timeout", "a statement was cancelled because it took too long", [
        "due to statement timeout",
        "maximum statement execution time exceeded",
        "query execution was interrupted, maximum",
    ];
    /// Memory ran out.
    OutOfMemory = "out_of_memory", "memory ran out", [
        "out of memory",
        "outofmemory",
        "out-of-memory",
        "oom-kill",
        "oom command not allowed",
        "oom_reaper",
        "cannot allocate memory",
        "can't allocate memory",
        "enomem",
        "allowed memory size of",
        "bad_alloc",
        "memoryerror",
    ];
    /// A disk is full.
    DiskFull = "disk_full", "a disk is full", [
        "no space left on device",
        "enospc",
        "disk is full",
        "disk full",
        "disk quota exceeded",
    ];
    /// At most so many requests or calls at a time.
    ConcurrencyLimit = "concurrency_limit", "a limit on requests at a time is reached", [
        "concurrency limit",
        "concurrent request",
        "concurrent call",
        "concurrent connection",
        "max concurrency",
        "maximum concurrency",
        "limiting connections by zone",
        "bulkhead",
        "requests in flight",
        "requests in progress",
        "reset reason: overflow",
        "pool overflow",
        "pending overflow",
        "upstream_overflow",
        "semaphore… exhausted",
        "semaphore… rejected",
        "could not acquire a semaphore",
    ];
    /// A caller asks more often than allowed.
    RateLimited = "rate_limited", "a rate limit is reached", [
        "rate limit",
        "rate-limit",
        "rate_limit",
        "ratelimit",
        "rate exceeded",
        "limiting requests, excess",
        "request limit exceeded",
        "requests per second",
        "requests per minute",
        "quota exceeded",
        "throttled",
        "throttling",
    ];
    /// The text of status 429, which says neither what is counted nor over what time.
    TooManyRequests = "too_many_requests", "a limit on requests is reached", [
        "too many requests",
    ];
    /// Every worker or thread is busy.
    WorkersBusy = "workers_busy", "every worker is busy", [
        "max_children",
        "maxrequestworkers",
        "maxclients",
        "all workers are busy",
        "all threads are busy",
        "no worker available",
        "no workers available",
        "thread pool is exhausted",
        "threadpool is exhausted",
        "thread pool exhausted",
        "rejectedexecution",
        "can't start new thread",
        "unable to create native thread",
        "unable to create new native thread",
        "pthread_create failed",
    ];
    /// A queue of waiting work is full.
    QueueFull = "queue_full", "a queue of waiting work is full", [
        "queue full",
        "queue is full",
        "queuefull",
        "queue overflow",
        "queue limit",
        "queue capacity",
        "queue size exceeded",
        "backlog is full",
        "task queue depth",
        "too many pending",
        "too many queued",
    ];
    /// Waited too long for a permit or in a queue.
    QueueTimeout = "queue_timeout", "a request waited too long for its turn", [
        "timed out… in queue",
        "timed out… queue",
        "timeout… in queue",
        "queue timeout",
        "queue timed out",
        "timed out waiting for a permit",
        "timed out waiting for a slot",
        "timed out waiting for a worker",
        "waited too long",
    ];
    /// A peer did not answer in time.
    UpstreamTimeout = "upstream_timeout", "a peer did not answer in time", [
        "upstream timed out",
        "upstream request timeout",
        "upstream response timeout",
        "gateway timeout",
        "gateway time-out",
        "the server didn't respond in time",
        "proxy server did not receive a timely response",
        "read timed out",
        "readtimeout",
        "read timeout",
        "deadline exceeded",
        "context deadline",
        "etimedout",
        "connection timed out",
        "connect timed out",
        "connect timeout",
        "operation timed out",
    ];
    /// A peer cannot be reached, or ended the connection.
    UpstreamUnavailable = "upstream_unavailable", "a peer cannot be reached", [
        "no live upstreams",
        "no healthy upstream",
        "upstream prematurely closed",
        "upstream connect error",
        "no server is available to handle",
        "bad gateway",
        "connection refused",
        "econnrefused",
        "connection reset",
        "econnreset",
        "broken pipe",
        "epipe",
        "socket hang up",
        "no route to host",
    ];
    /// A name has no address.
    NameResolution = "name_resolution", "a name could not be resolved", [
        "failure in name resolution",
        "could not resolve host",
        "eai_again",
        "enotfound",
        "no such host",
        "name or service not known",
    ];
    /// The server says that it has too much to do.
    Overloaded = "overloaded", "a server says that it is overloaded", [
        "overloaded",
        "server overload",
        "too busy",
        "server is busy",
        "server busy",
        "load shed",
        "shedding",
        "over capacity",
        "no capacity",
    ];
}

impl fmt::Display for SentenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The kind of the first well-known sentence in `text`. `None` if it has none.
///
/// ```
/// use kneepoint::timeline::{SentenceKind, sentence_kind};
///
/// let line = "FATAL:  sorry, too many clients already";
/// assert_eq!(sentence_kind(line), Some(SentenceKind::TooManyConnections));
/// ```
pub fn sentence_kind(text: &str) -> Option<SentenceKind> {
    let text = text.to_ascii_lowercase();
    // Nearly all texts have none: one pass over the text says so.
    if ANY.as_ref().is_some_and(|any| !any.is_match(&text)) {
        return None;
    }
    let says = |kind: &&SentenceKind| kind.patterns().iter().any(|pattern| matches(&text, pattern));
    SentenceKind::ALL.iter().find(says).copied()
}

/// The begin of every pattern.
static ANY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let patterns = SentenceKind::ALL.iter().flat_map(|kind| kind.patterns());
    let begins = patterns.filter_map(|pattern| pattern.split('…').next()).map(regex::escape);
    Regex::new(&begins.collect::<Vec<_>>().join("|")).ok()
});

/// Whether the parts of `pattern` stand in `text` in their order, each near the one before.
fn matches(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(first) = parts.next() else { return false };
    let rest: Vec<&str> = parts.map(str::trim_start).collect();
    text.match_indices(first).filter(|(at, _)| begins_word(text, *at)).any(|(at, _)| {
        let mut end = at + first.len();
        rest.iter().all(|part| {
            let gap = text[end..].find(part).filter(|gap| *gap <= MAX_GAP);
            end += gap.unwrap_or_default() + part.len();
            gap.is_some()
        })
    })
}

/// Whether a word begins at `at`: `epipe` is not said by `recipepipe`.
fn begins_word(text: &str, at: usize) -> bool {
    !text[..at].ends_with(|c: char| c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::SentenceKind as K;
    use super::*;

    /// What servers and libraries really say.
    const SENTENCES: &[(K, &str)] = &[
        (
            K::PoolTimeout,
            "HikariPool-1 - Connection is not available, request timed out after 30000ms",
        ),
        (
            K::PoolTimeout,
            "QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30.00",
        ),
        (K::PoolTimeout, "couldn't get a connection after 5.00 sec"),
        (K::PoolTimeout, "pool timed out while waiting for an open connection"),
        (K::PoolTimeout, "Timed out fetching a new connection from the connection pool."),
        (K::PoolTimeout, "Knex: Timeout acquiring a connection. The pool is probably full."),
        (
            K::PoolTimeout,
            "could not obtain a connection from the pool within 5.000 seconds; all pooled connections were in use",
        ),
        (K::PoolTimeout, "Timeout waiting for connection from pool"),
        (
            K::PoolTimeout,
            "The timeout period elapsed prior to obtaining a connection from the pool.",
        ),
        (K::PoolTimeout, "FATAL: query_wait_timeout"),
        (
            K::TooManyConnections,
            "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
        ),
        (K::TooManyConnections, "ERROR 1040 (HY000): Too many connections"),
        (K::TooManyConnections, "-ERR max number of clients reached"),
        (K::TooManyFiles, "accept4() failed (24: Too many open files)"),
        (K::Deadlock, "Deadlock found when trying to get lock; try restarting transaction"),
        (K::LockTimeout, "ERROR: canceling statement due to lock timeout"),
        (K::StatementTimeout, "ERROR: canceling statement due to statement timeout"),
        (K::OutOfMemory, "java.lang.OutOfMemoryError: Java heap space"),
        (K::OutOfMemory, "Out of memory: Killed process 4711 (shop) total-vm:1234kB"),
        (K::OutOfMemory, "PHP Fatal error:  Allowed memory size of 134217728 bytes exhausted"),
        (
            K::UpstreamTimeout,
            "upstream timed out (110: Connection timed out) while reading response header",
        ),
        (K::UpstreamTimeout, "504 Gateway Time-out"),
        (
            K::WorkerConnections,
            "768 worker_connections are not enough while connecting to upstream",
        ),
        (
            K::WorkersBusy,
            "WARNING: [pool www] server reached pm.max_children setting (5), consider raising it",
        ),
        (
            K::WorkersBusy,
            "AH00484: server reached MaxRequestWorkers setting, consider raising the MaxRequestWorkers setting",
        ),
        (K::CircuitOpen, "CircuitBreaker 'payments' is OPEN and does not permit further calls"),
        (K::CircuitOpen, "circuit breaker is open"),
        (K::ConcurrencyLimit, "Bulkhead 'payments' is full and does not permit further calls"),
        (
            K::ConcurrencyLimit,
            "upstream connect error or disconnect/reset before headers. reset reason: overflow",
        ),
        (K::ConcurrencyLimit, "limiting connections by zone \"perip\""),
        (K::ConcurrencyLimit, "{\"error\":\"Too many concurrent requests\"}"),
        (K::TooManyRequests, "429 Too Many Requests"),
        (K::RateLimited, "limiting requests, excess: 10.250 by zone \"one\""),
        (K::RateLimited, "{\"message\":\"API rate limit exceeded\"}"),
        (K::QueueFull, "worker queue is full"),
        (K::QueueTimeout, "timed out after 200 ms in the queue"),
        (
            K::ListenQueueFull,
            "TCP: request_sock_TCP: Possible SYN flooding on port 8080. Sending cookies.",
        ),
        (
            K::ListenQueueFull,
            "*** uWSGI listen queue of socket \":8000\" (fd: 3) full !!! (101/100) ***",
        ),
        (K::ConntrackFull, "nf_conntrack: nf_conntrack: table full, dropping packet"),
        (K::DiskFull, "could not extend file \"base/5/1\": No space left on device"),
        (
            K::PortsExhausted,
            "connect() failed (99: Cannot assign requested address) while connecting to upstream",
        ),
        (
            K::UpstreamUnavailable,
            "connect() failed (111: Connection refused) while connecting to upstream",
        ),
        (K::UpstreamUnavailable, "<title>502 Bad Gateway</title>"),
        (K::NameResolution, "Temporary failure in name resolution"),
        (K::Overloaded, "Server is too busy"),
    ];

    #[test]
    fn servers_and_libraries_are_understood() {
        for (kind, text) in SENTENCES {
            assert_eq!(sentence_kind(text), Some(*kind), "{text}");
        }
    }

    #[test]
    fn everyday_sentences_say_nothing() {
        for text in [
            "",
            "order 17 created",
            "GET /orders 200 12ms",
            "connection received: host=10.0.0.3 port=5432",
            "checkpoint complete: wrote 44 buffers",
            "pool opened with 10 connections",
            "user not found",
            "Internal Server Error",
            "503 Service Temporarily Unavailable",
            "recipepipe",
        ] {
            assert_eq!(sentence_kind(text), None, "{text}");
        }
    }

    #[test]
    fn the_table_is_in_form() {
        let mut names: Vec<_> = SentenceKind::ALL.iter().map(|kind| kind.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SentenceKind::ALL.len(), "a name is used twice");
        for kind in SentenceKind::ALL {
            for pattern in kind.patterns() {
                assert_eq!(*pattern, pattern.to_ascii_lowercase(), "{kind}");
                assert!(!pattern.starts_with('…') && !pattern.ends_with('…'), "{pattern}");
            }
        }
    }

    #[test]
    fn a_gap_is_bounded() {
        let far = format!("connection pool {} timed out", "x".repeat(2 * MAX_GAP));
        assert_eq!(sentence_kind(&far), None);
        assert_eq!(sentence_kind("connection pool of shop timed out"), Some(K::PoolTimeout));
        assert_eq!(sentence_kind("circuit breaker für é is open"), Some(K::CircuitOpen));
    }
}
