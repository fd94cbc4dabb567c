//! The metric names that several modules share. Collectors emit them; rules and reports refer to
//! them.
//!
//! Every constant is also in [`ALL`], which the tables of metrics, the rule checks and the
//! documentation iterate.

use super::{Kind, MetricSpec, Unit};

macro_rules! metrics {
    ($($(#[doc = $about:literal])+ $ident:ident = $name:literal, $unit:ident, $kind:ident;)*) => {
        $($(#[doc = $about])+
        pub const $ident: MetricSpec = MetricSpec {
            name: $name,
            unit: Unit::$unit,
            kind: Kind::$kind,
            about: concat!($($about),+).trim_ascii(),
        };)*
        /// Every shared metric, in the order of this file.
        pub const ALL: &[MetricSpec] = &[$($ident),*];
    };
}

metrics! {
    // The load itself, derived from ticks, so that rules can name it like any other series.
    /// Requests per second that the schedule asked for.
    LOAD_OFFERED = "load.offered", Count, Gauge;
    /// Responses and failures per second.
    LOAD_THROUGHPUT = "load.throughput", Count, Gauge;
    /// Successful responses per second.
    LOAD_GOODPUT = "load.goodput", Count, Gauge;
    /// Share of requests that failed; label `class` (429, 5xx code, timeout, connect …) where one class is meant.
    LOAD_ERRORS = "load.errors", Ratio, Census;
    /// Mean response time of all requests, from the intended start.
    LOAD_RESPONSE_TIME = "load.response_time", Seconds, Gauge;
    /// Response time that half of the successful requests do not exceed.
    LOAD_RESPONSE_TIME_P50 = "load.response_time.p50", Seconds, Gauge;
    /// Response time that half of the failed requests do not exceed.
    LOAD_FAILURE_TIME_P50 = "load.failure_time.p50", Seconds, Gauge;
    /// Mean number of requests in flight that end well: goodput times their service time.
    LOAD_ADMITTED = "load.admitted", Count, Gauge;
    /// Mean requests in flight.
    LOAD_IN_FLIGHT = "load.in_flight", Count, Gauge;
    /// Requests that are due and wait for a free connection of kneepoint.
    LOAD_BACKLOG = "load.backlog", Count, Gauge;
    /// New connections per second.
    LOAD_CONNECTS = "load.connects", Count, Gauge;
    /// Mean time to make a new connection, TLS included.
    LOAD_CONNECT_TIME = "load.connect_time", Seconds, Gauge;
    /// New TLS connections per second; none where the target is spoken to without TLS.
    LOAD_TLS_HANDSHAKES = "load.tls_handshakes", Count, Gauge;
    /// How many different requests the plan can make; absent where that is not known.
    LOAD_VARIETY = "load.variety", Count, Gauge;
    /// Share of the plan's requests that only read, by their method.
    LOAD_READ_SHARE = "load.read_share", Ratio, Gauge;
    /// How many different reads the plan can make; absent where that is not known.
    LOAD_READ_VARIETY = "load.read_variety", Count, Gauge;

    /// Well-known sentences in failing responses and log lines, per second; labels `kind` (`pool_timeout`, `rate_limited` …), `source` (responses, logs).
    WORDS_SEEN = "words.seen", Count, Census;

    /// Mean response time of a canary's successful requests within a second, from the intended start; label `canary`.
    CANARY_RESPONSE_TIME = "canary.response_time", Seconds, Gauge;
    /// Response time that half of them do not exceed; label `canary`.
    CANARY_RESPONSE_TIME_P50 = "canary.response_time.p50", Seconds, Gauge;
    /// Longest response time of them; label `canary`.
    CANARY_RESPONSE_TIME_MAX = "canary.response_time.max", Seconds, Gauge;
    /// Requests of a canary that have ended; label `canary`.
    CANARY_REQUESTS = "canary.requests", Count, Counter;
    /// Requests of a canary that have failed; label `canary`.
    CANARY_FAILURES = "canary.failures", Count, Counter;

    /// WebSocket sessions that are open; label `websocket`.
    WEBSOCKET_SESSIONS = "websocket.sessions", Count, Gauge;
    /// WebSocket sessions opened; label `websocket`.
    WEBSOCKET_OPENS = "websocket.opens", Count, Counter;
    /// Attempts to open one that failed; label `websocket`.
    WEBSOCKET_OPEN_FAILURES = "websocket.open_failures", Count, Counter;
    /// Sessions that kneepoint let go of, as the plan asked; label `websocket`.
    WEBSOCKET_DROPS = "websocket.drops", Count, Counter;
    /// Sessions that ended otherwise; label `websocket`.
    WEBSOCKET_BREAKS = "websocket.breaks", Count, Counter;
    /// Messages sent; label `websocket`.
    WEBSOCKET_SENT = "websocket.sent", Count, Counter;
    /// Messages received; label `websocket`.
    WEBSOCKET_RECEIVED = "websocket.received", Count, Counter;
    /// Messages that had no answer within the timeout; label `websocket`.
    WEBSOCKET_UNANSWERED = "websocket.unanswered", Count, Counter;
    /// Time from a message to its answer that half of a second's answers do not exceed; label `websocket`.
    WEBSOCKET_ROUND_TRIP_P50 = "websocket.round_trip.p50", Seconds, Gauge;
    /// Longest of them; label `websocket`.
    WEBSOCKET_ROUND_TRIP_MAX = "websocket.round_trip.max", Seconds, Gauge;
    /// Time to open a session, from the connection to the upgrade, that half of a second's do not exceed; label `websocket`.
    WEBSOCKET_OPEN_TIME_P50 = "websocket.open_time.p50", Seconds, Gauge;
    /// Longest of them; label `websocket`.
    WEBSOCKET_OPEN_TIME_MAX = "websocket.open_time.max", Seconds, Gauge;

    /// Seconds of processor time of the whole machine; label `mode` (user, system, iowait, irq, steal, idle).
    SYSTEM_CPU_TIME = "system.cpu.time", Seconds, Counter;
    /// Share of the machine's processor time that is not idle.
    SYSTEM_CPU_UTILIZATION = "system.cpu.utilization", Ratio, Gauge;
    /// Processor cores of the machine.
    SYSTEM_CPU_CORES = "system.cpu.cores", Cores, Gauge;
    /// Memory that can be had without swapping.
    SYSTEM_MEMORY_AVAILABLE = "system.memory.available", Bytes, Gauge;
    /// All memory of the machine.
    SYSTEM_MEMORY_TOTAL = "system.memory.total", Bytes, Gauge;
    /// Processes that the kernel of the machine killed for want of memory, in whatever control group.
    SYSTEM_OOM_KILLS = "system.oom_kills", Count, Counter;
    /// Swap in use.
    SYSTEM_SWAP_USED = "system.swap.used", Bytes, Gauge;
    /// Seconds in which some task waited for a resource (pressure stall information); label `resource` (cpu, memory, io).
    SYSTEM_PRESSURE = "system.pressure", Seconds, Counter;
    /// Seconds in which a block device was busy; label `device`.
    SYSTEM_DISK_BUSY = "system.disk.busy", Seconds, Counter;
    /// Bytes through a network interface; labels `interface`, `direction`.
    SYSTEM_NETWORK_BYTES = "system.network.bytes", Bytes, Counter;
    /// Bytes per second that the link of a network interface carries, where its driver tells; label `interface`.
    SYSTEM_NETWORK_LINK = "system.network.link", Bytes, Gauge;
    /// TCP segments sent again.
    SYSTEM_TCP_RETRANSMITS = "system.tcp.retransmits", Count, Counter;
    /// TCP segments sent.
    SYSTEM_TCP_SEGMENTS = "system.tcp.segments", Count, Counter;
    /// Connections dropped because a listen queue was full.
    SYSTEM_TCP_LISTEN_DROPS = "system.tcp.listen_drops", Count, Counter;
    /// TCP sockets in TIME_WAIT on the machine.
    SYSTEM_TCP_TIME_WAIT = "system.tcp.time_wait", Count, Gauge;
    /// Local ports that new connections of the machine may take.
    SYSTEM_TCP_LOCAL_PORTS = "system.tcp.local_ports", Count, Gauge;
    /// Connections that the machine's firewall tracks.
    SYSTEM_CONNTRACK_ENTRIES = "system.conntrack.entries", Count, Gauge;
    /// Most connections that it may track.
    SYSTEM_CONNTRACK_LIMIT = "system.conntrack.limit", Count, Gauge;

    /// Seconds of processor time of the target's process tree; label `process`.
    PROCESS_CPU_TIME = "process.cpu.time", Seconds, Counter;
    /// Cores the target may use: its affinity, or its quota where that is less; label `process`.
    PROCESS_CPU_ALLOWED = "process.cpu.allowed", Cores, Gauge;
    /// Seconds in which threads of the target were ready and waited for a core (schedstat); label `process`.
    PROCESS_RUN_QUEUE_TIME = "process.run_queue.time", Seconds, Counter;
    /// Seconds of processor time of one thread; labels `process`, `thread` (name and id).
    PROCESS_THREAD_CPU_TIME = "process.thread.cpu.time", Seconds, Counter;
    /// Cores used by the busiest thread over the last interval; label `process`.
    PROCESS_THREAD_BUSIEST = "process.thread.busiest", Cores, Gauge;
    /// Cores used by the busiest single process of the tree over the last interval; label `process`.
    PROCESS_CPU_BUSIEST = "process.cpu.busiest", Cores, Gauge;
    /// Resident memory; label `process`.
    PROCESS_MEMORY_RSS = "process.memory.rss", Bytes, Gauge;
    /// Anonymous resident memory, without page cache and mapped files; label `process`.
    PROCESS_MEMORY_ANONYMOUS = "process.memory.anonymous", Bytes, Gauge;
    /// Threads; label `process`.
    PROCESS_THREADS = "process.threads", Count, Gauge;
    /// Processes in the tree; label `process`.
    PROCESS_COUNT = "process.count", Count, Gauge;
    /// Open descriptors of the one process of the tree that is closest to its limit; label `process`.
    PROCESS_OPEN_FDS = "process.open_fds", Count, Gauge;
    /// Open descriptors by what they are, of the process of `process.open_fds`; labels `process`,
    /// `type` (`socket`, `file`, `pipe`, `other`).
    PROCESS_FDS = "process.fds", Count, Gauge;
    /// Descriptors that this process may open; label `process`.
    PROCESS_OPEN_FDS_LIMIT = "process.open_fds.limit", Count, Gauge;
    /// Start of the root process in unix seconds; a change is a restart; label `process`.
    PROCESS_START_TIME = "process.start_time", Seconds, Gauge;
    /// Context switches; labels `process`, `kind` (voluntary, involuntary).
    PROCESS_CONTEXT_SWITCHES = "process.context_switches", Count, Counter;
    /// Major page faults; label `process`.
    PROCESS_MAJOR_FAULTS = "process.major_faults", Count, Counter;
    /// Cores that the control group's quota allows; absent without a quota; label `process`.
    CGROUP_CPU_QUOTA = "cgroup.cpu.quota", Cores, Gauge;
    /// Quota periods that passed; label `process`.
    CGROUP_CPU_PERIODS = "cgroup.cpu.periods", Count, Counter;
    /// Quota periods in which the group was throttled; label `process`.
    CGROUP_CPU_THROTTLED_PERIODS = "cgroup.cpu.throttled_periods", Count, Counter;
    /// Seconds in which the group was throttled; label `process`.
    CGROUP_CPU_THROTTLED_TIME = "cgroup.cpu.throttled_time", Seconds, Counter;
    /// Memory limit of the control group; absent without one; label `process`.
    CGROUP_MEMORY_LIMIT = "cgroup.memory.limit", Bytes, Gauge;
    /// Processes of the control group killed for want of memory; label `process`.
    CGROUP_OOM_KILLS = "cgroup.oom_kills", Count, Counter;

    /// Bytes used on a file system that the target writes to; labels `process`, `mount` (where it sees it).
    DISK_USED = "disk.used", Bytes, Gauge;
    /// Bytes that can be used there by ordinary users; labels `process`, `mount`.
    DISK_USED_LIMIT = "disk.used.limit", Bytes, Gauge;
    /// Inodes used on a file system that the target writes to; labels `process`, `mount`.
    DISK_INODES = "disk.inodes", Count, Gauge;
    /// Inodes that can be used there; absent where they are made as needed; labels `process`, `mount`.
    DISK_INODES_LIMIT = "disk.inodes.limit", Count, Gauge;
    /// Bytes on the disk of the files that the target has open for writing; label `process`.
    DISK_WRITTEN = "disk.written", Bytes, Gauge;
    /// Bytes on the disk of files that are deleted and that the target still has open; label `process`.
    DISK_DELETED = "disk.deleted", Bytes, Gauge;
    /// How many such files there are; label `process`.
    DISK_DELETED_FILES = "disk.deleted.files", Count, Gauge;

    /// Lines of the logs that are followed; labels `source`, `level` (error, warning, unknown, info, debug, and unparsed where lines came too fast).
    LOG_LINES = "log.lines", Count, Counter;
    /// Lines by what they say without numbers, ids, times, addresses and quoted parts; labels `source`, `level`, `template`.
    LOG_TEMPLATE_LINES = "log.template.lines", Count, Counter;

    /// PostgreSQL client sessions; labels `app`, `state`, `wait_type`, `wait_event` (`none` where it waits for nothing).
    DB_SESSIONS = "db.sessions", Count, Census;
    /// Sessions that are idle, or idle in a transaction, and were for a minute or longer; labels `app`, `state`.
    DB_SESSIONS_UNUSED = "db.sessions.unused", Count, Census;
    /// Sessions that hold a lock which others wait for and wait for none themselves; label `state`.
    DB_ROOT_BLOCKERS = "db.root_blockers", Count, Census;
    /// Sessions that wait for a lock.
    DB_BLOCKED = "db.blocked", Count, Census;
    /// Mean age of the open transactions; label `state`.
    DB_TRANSACTION_AGE = "db.transaction.age", Seconds, Gauge;
    /// Mean time since the last change of state of sessions that are idle in a transaction.
    DB_IDLE_IN_TRANSACTION_AGE = "db.idle_in_transaction.age", Seconds, Gauge;
    /// Mean age of the running statements.
    DB_QUERY_AGE = "db.query.age", Seconds, Gauge;
    /// Client connections to the whole server, whatever their database: what the limit is about.
    DB_CONNECTIONS = "db.connections", Count, Gauge;
    /// Connections that PostgreSQL admits from ordinary users.
    DB_CONNECTIONS_LIMIT = "db.connections.limit", Count, Gauge;
    /// Transactions committed or rolled back in the database.
    DB_TRANSACTIONS = "db.transactions", Count, Counter;
    /// Blocks read from outside the buffer cache.
    DB_BLOCKS_READ = "db.blocks.read", Count, Counter;
    /// Blocks found in the buffer cache.
    DB_BLOCKS_HIT = "db.blocks.hit", Count, Counter;
    /// Rows fetched or scanned.
    DB_ROWS_READ = "db.rows.read", Count, Counter;
    /// Bytes written to temporary files.
    DB_TEMP_BYTES = "db.temp.bytes", Bytes, Counter;
    /// Temporary files made.
    DB_TEMP_FILES = "db.temp.files", Count, Counter;
    /// Deadlocks.
    DB_DEADLOCKS = "db.deadlocks", Count, Counter;
    /// Statement executions (pg_stat_statements).
    DB_STATEMENT_CALLS = "db.statement.calls", Count, Counter;
    /// Seconds spent executing statements (pg_stat_statements).
    DB_STATEMENT_TIME = "db.statement.time", Seconds, Counter;
    /// Seconds of processor time of PostgreSQL's processes where they run on this machine.
    DB_CPU_TIME = "db.cpu.time", Seconds, Counter;
    /// Cores that PostgreSQL's processes may use where they run on this machine.
    DB_CPU_ALLOWED = "db.cpu.allowed", Cores, Gauge;

    /// Connections of a client-side pool, as the service reports them; labels `pool`, `state` (used, idle).
    POOL_CONNECTIONS = "pool.connections", Count, Gauge;
    /// Most connections that a client-side pool may open; label `pool`.
    POOL_LIMIT = "pool.limit", Count, Gauge;
    /// Callers that wait for a pooled connection; label `pool`.
    POOL_PENDING = "pool.pending", Count, Gauge;
    /// Seconds that callers waited for a pooled connection; label `pool`.
    POOL_WAIT_TIME = "pool.wait_time", Seconds, Counter;
    /// Acquisitions of a pooled connection; label `pool`.
    POOL_ACQUIRES = "pool.acquires", Count, Counter;
    /// Seconds that pooled connections were held; label `pool`.
    POOL_USE_TIME = "pool.use_time", Seconds, Counter;
    /// Acquisitions that timed out; label `pool`.
    POOL_TIMEOUTS = "pool.timeouts", Count, Counter;

    /// Places in use of a pool that holds no connections to a database: calls to another service, or something unknown; label `pool`.
    SLOTS_USED = "slots.used", Count, Gauge;
    /// Places of such a pool; label `pool`.
    SLOTS_LIMIT = "slots.limit", Count, Gauge;
    /// Callers that wait for a place of such a pool; label `pool`.
    SLOTS_WAITING = "slots.waiting", Count, Gauge;

    /// Clients of a connection pooler; labels `pool` (database and user), `state` (active, waiting).
    POOLER_CLIENTS = "pooler.clients", Count, Gauge;
    /// Connections of a pooler to the database; labels `pool`, `state` (active, idle, other).
    POOLER_SERVERS = "pooler.servers", Count, Gauge;
    /// Most connections of a pooler to the database; label `pool`.
    POOLER_LIMIT = "pooler.limit", Count, Gauge;
    /// How long the client that has waited longest for a connection has waited; label `pool`.
    POOLER_MAX_WAIT = "pooler.max_wait", Seconds, Gauge;
    /// Seconds that clients of a pooler waited for a connection; label `database`.
    POOLER_WAIT_TIME = "pooler.wait_time", Seconds, Counter;
    /// Queries that a pooler passed on; label `database`.
    POOLER_QUERIES = "pooler.queries", Count, Counter;
    /// Seconds that these queries took in the database, without the wait for a connection; label `database`.
    POOLER_QUERY_TIME = "pooler.query_time", Seconds, Counter;
    /// Seconds that clients of a pooler were in a transaction and executed nothing; label `database`.
    POOLER_IDLE_IN_TRANSACTION = "pooler.idle_in_transaction", Seconds, Counter;

    /// Workers or threads of a request pool that are busy; label `pool`.
    WORKERS_BUSY = "workers.busy", Count, Gauge;
    /// Workers or threads a request pool may have; label `pool`.
    WORKERS_LIMIT = "workers.limit", Count, Gauge;
    /// Requests that wait for a worker; label `pool`.
    WORKERS_QUEUE = "workers.queue", Count, Gauge;
    /// Seconds that a runtime spent in garbage collection; label `runtime`.
    RUNTIME_GC_TIME = "runtime.gc.time", Seconds, Counter;
    /// Collections of garbage; label `runtime`.
    RUNTIME_GC_COUNT = "runtime.gc.count", Count, Counter;
    /// Seconds that a JVM spent in collections; labels `pid`, `kind` (`minor`, `major`).
    JVM_GC_TIME = "jvm.gc.time", Seconds, Counter;
    /// Collections of a JVM; labels `pid`, `kind` (`minor`, `major`).
    JVM_GC_COUNT = "jvm.gc.count", Count, Counter;
    /// Old generation of a JVM in use, as of its last collection; label `pid`.
    JVM_OLD_USED = "jvm.old.used", Bytes, Gauge;
    /// What the old generation of a JVM may grow to; label `pid`.
    JVM_OLD_LIMIT = "jvm.old.limit", Bytes, Gauge;
    /// Heap in use; label `runtime`.
    RUNTIME_HEAP_USED = "runtime.heap.used", Bytes, Gauge;
    /// Heap the runtime may grow to; label `runtime`.
    RUNTIME_HEAP_LIMIT = "runtime.heap.limit", Bytes, Gauge;
    /// Lag of an event loop; label `runtime`.
    RUNTIME_LOOP_LAG = "runtime.loop_lag", Seconds, Gauge;
    /// Calls to another service; labels `peer`, `class` (the status, where it is told).
    CLIENT_CALLS = "client.calls", Count, Counter;
    /// Seconds of calls to another service; label `peer`.
    CLIENT_CALL_TIME = "client.call_time", Seconds, Counter;

    /// Sockets of the target; labels `role` (inbound, outbound), `state` (`established`, `syn_sent`,
    /// `syn_recv`, `fin_wait_2`, `close_wait`), outbound `peer` (address and name; `unix:` and the path of a UNIX socket), inbound `port`.
    TCP_SOCKETS = "tcp.sockets", Count, Census;
    /// Calls under way to a peer: outbound sockets that wait for an answer; label `peer`.
    TCP_CALLS = "tcp.calls", Count, Census;
    /// Requests in the target: inbound sockets that owe an answer, whether the request is read or not; label `port`.
    TCP_REQUESTS = "tcp.requests", Count, Census;
    /// Requests that the target has read and not answered yet; label `port`.
    TCP_REQUESTS_SERVED = "tcp.requests.served", Count, Census;
    /// Requests that have arrived in a socket's buffer and of which nothing is read yet; label `port`.
    TCP_REQUESTS_UNREAD = "tcp.requests.unread", Count, Census;
    /// Sockets with bytes that the target has not read yet; inbound, nothing of the request is read; label `role`.
    TCP_UNREAD = "tcp.unread", Count, Census;
    /// Connections under way to a peer (SYN sent); label `peer`.
    TCP_CONNECTING = "tcp.connecting", Count, Census;
    /// Requests sent to a peer, counted as data segments; label `peer`.
    TCP_CALLS_SENT = "tcp.calls.sent", Count, Counter;
    /// Connections on which such requests were sent, each counted at its first one; label `peer`.
    TCP_CALLS_CONNECTIONS = "tcp.calls.connections", Count, Counter;
    /// Connections to the target that were seen: one that opens and closes between two looks is not; label `port`.
    TCP_REQUESTS_CONNECTIONS = "tcp.requests.connections", Count, Counter;
    /// Requests that the target has answered, counted as data segments on connections to it: the fewer of those that came
    /// and those that went, on each connection; label `port`.
    TCP_REQUESTS_ANSWERED = "tcp.requests.answered", Count, Counter;
    /// Connections that wait to be accepted; label `port`.
    TCP_ACCEPT_QUEUE = "tcp.accept_queue", Count, Gauge;
    /// Most connections that may wait to be accepted; label `port`.
    TCP_ACCEPT_QUEUE_LIMIT = "tcp.accept_queue.limit", Count, Gauge;
    /// 1 for a peer that was found to be PostgreSQL; labels `peer`, `by` (`answer`: it speaks PostgreSQL's protocol, `forward`: a forwarder to it).
    TCP_PEER_POSTGRES = "tcp.peer.postgres", Count, Gauge;
    /// Segments of data that the target has sent on connections that leave the machine; label `role` (inbound, outbound).
    TCP_SEGMENTS_SENT = "tcp.segments.sent", Count, Counter;
    /// Segments that it has sent again on these; label `role`.
    TCP_RETRANSMITS = "tcp.retransmits", Count, Counter;
    /// Mean of the smoothed round trips of these; label `role`.
    TCP_ROUND_TRIP = "tcp.round_trip", Seconds, Gauge;
    /// Sockets of the target that the peer has closed and the target has not (CLOSE_WAIT); outbound label `peer`, inbound `port`.
    TCP_CLOSE_WAIT = "tcp.close_wait", Count, Census;

    /// A service that the target's requests reach, 1 at each look at its sockets; labels `hop` (its name and
    /// address), `address` (where it is called), `kind` (service, database).
    CHAIN_SERVICE = "chain.service", Count, Gauge;
    /// A peer on this machine that cannot be looked into; labels `address`, `why`.
    CHAIN_CLOSED = "chain.closed", Count, Gauge;
    /// Seconds of processor time of a service that the target's requests reach; label `hop`.
    CHAIN_CPU_TIME = "chain.cpu.time", Seconds, Counter;

    /// Threads of the target by what they do; label `class` (running, runnable, futex, futex_timed, poll, poll_one, accept, socket, pipe, sleep, disk, fsync, file_lock, child, other).
    THREADS_IN = "threads.in", Count, Census;
    /// Threads that wait on one futex which two or more wait on; labels `futex` (address and process), `wait` (lock, plain, timed).
    THREADS_ON_FUTEX = "futex.threads", Count, Census;
    /// How often per second the threads that wait on one futex have run, all of them together, by a sample; labels `futex`, `wait`.
    THREADS_FUTEX_WAKES = "futex.wakes", Count, Gauge;
    /// Most threads that wait on the same futex without a time limit.
    THREADS_FUTEX_SAME = "futex.threads.most", Count, Gauge;
    /// Threads that wait for a file or the disk: uninterruptibly, or until data has reached it.
    THREADS_BLOCKED_IO = "threads.blocked_io", Count, Gauge;
    /// All threads of the target, as `threads.in` counts them.
    THREADS_TOTAL = "threads.total", Count, Gauge;

    /// 1 while a process of the target holds a file locked for writing, else 0; label `file`.
    FILE_LOCKS_HELD = "file_locks.held", Ratio, Gauge;
    /// Processes of the target that wait for the lock of a file; label `file`.
    FILE_LOCKS_WAITING = "file_locks.waiting", Count, Gauge;

    /// Threads (or goroutines) by where they stand; labels `runtime`, `state` (running, lock,
    /// interpreter, wait, io, sleep, idle), `function` and `at` (its innermost frame of the
    /// application), `held_at` (where the holder of the lock stands) or `near_at` (where a thread
    /// in the same function stands that does not wait).
    STACKS_THREADS = "stacks.threads", Count, Census;
    /// Cores that a stack used; labels `runtime`, `function` and `at` (its innermost frame of the
    /// application), `stack` (its functions from the outside inwards, separated by `;`).
    STACKS_CPU = "stacks.cpu", Cores, Census;
    /// Seconds for which a look at the stacks may have stopped the target, at most; label `runtime`.
    STACKS_PAUSE = "stacks.pause", Seconds, Gauge;

    /// Seconds of processor time of kneepoint itself.
    GENERATOR_CPU_TIME = "generator.cpu.time", Seconds, Counter;
    /// Resident memory of kneepoint itself.
    GENERATOR_MEMORY_RSS = "generator.memory.rss", Bytes, Gauge;
    /// Open descriptors of kneepoint itself.
    GENERATOR_OPEN_FDS = "generator.open_fds", Count, Gauge;
    /// Descriptors that kneepoint may open.
    GENERATOR_OPEN_FDS_LIMIT = "generator.open_fds.limit", Count, Gauge;
    /// Seconds in which kneepoint's threads were ready and waited for a core.
    GENERATOR_RUN_QUEUE_TIME = "generator.run_queue.time", Seconds, Counter;
    /// Cores used by the busiest thread of kneepoint over the last interval.
    GENERATOR_THREAD_BUSIEST = "generator.thread.busiest", Cores, Gauge;
    /// Seconds in which the CPU quota of its control group stopped kneepoint; only with a quota.
    GENERATOR_THROTTLED_TIME = "generator.throttled_time", Seconds, Counter;
    /// Seconds of processor time of one collector's thread; label `collector`.
    COLLECTOR_CPU_TIME = "collector.cpu.time", Seconds, Counter;

    /// Seconds of processor time of an agent; label `agent`.
    AGENT_CPU_TIME = "agent.cpu.time", Seconds, Counter;
    /// Memory of an agent that is not swapped out; label `agent`.
    AGENT_MEMORY = "agent.memory", Bytes, Gauge;
    /// How far the clock of an agent is ahead, since its start and that of the run; label `agent`.
    AGENT_CLOCK_OFFSET = "agent.clock.offset", Seconds, Gauge;
    /// The offset is off by at most this much, either way; label `agent`.
    AGENT_CLOCK_ERROR = "agent.clock.error", Seconds, Gauge;
    /// Time on the way to an agent and back; label `agent`.
    AGENT_ROUND_TRIP = "agent.round_trip", Seconds, Gauge;
    /// The four stamps of an exchange with an agent, each on its own side's clock; labels `agent`, `stamp` (sent, received, replied, returned).
    AGENT_CLOCK_STAMP = "agent.clock.stamp", Seconds, Gauge;
}

/// The name of the agents in places where collectors are named, and the beginning of the names of
/// what is read on the host of an agent that is not the target's: `agent.system.cpu.time`, with the
/// label `agent`.
pub const AGENT: &str = "agent";

/// The name of the canaries in places where collectors are named.
pub const CANARY: &str = "canary";

/// The name of the WebSocket sessions in places where collectors are named.
pub const WEBSOCKET: &str = "websocket";

/// How the names of the series begin that tell of a service of the chain what the rest of the name
/// tells of the target: `chain.process.cpu.time`.
pub const CHAIN: &str = "chain.";

/// The spec of a shared metric.
pub fn find(name: &str) -> Option<&'static MetricSpec> {
    ALL.iter().find(|spec| spec.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_in_form() {
        let mut names: Vec<_> = ALL.iter().map(|spec| spec.name).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all, "a name is used twice");
        for spec in ALL {
            assert!(spec.name.contains('.'), "{}: no prefix", spec.name);
            let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._".contains(c);
            assert!(spec.name.chars().all(good), "{}: not dotted lower case", spec.name);
            assert!(spec.about.ends_with('.'), "{}: `{}`", spec.name, spec.about);
        }
    }
}
