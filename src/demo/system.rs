//! The parts of a sample system, as data: the shop, the payments service, the database, their
//! surroundings, and the load.
//!
//! The processes read their traits and behave accordingly. Each field is one mechanism and is off
//! in the healthy system of [`super::faults`].

use std::time::Duration;

/// One system and its load.
pub(super) struct System {
    /// The shop.
    pub shop: ShopTraits,
    /// The service that the shop calls for each order.
    pub payments: PaymentsTraits,
    /// The shop's PostgreSQL.
    pub database: DatabaseTraits,
    /// Other processes and limits around the services.
    pub surroundings: Surroundings,
    /// The load on the system.
    pub load: Load,
}

impl System {
    /// Whether it keeps cores busy, so that another system beside it would take CPU from it.
    pub fn fills_cores(&self) -> bool {
        !self.shop.pricing.is_zero()
            || self.surroundings.busy_neighbours > 0
            || self.database.one_core
    }
}

/// How the shop is built.
pub(super) struct ShopTraits {
    /// What runs the request handlers.
    pub runtime: Handlers,
    /// How connections are accepted.
    pub listen: Listen,
    /// What is rejected before any work.
    pub admission: Admission,
    /// Whether the process may use only one core, as with a cpuset.
    pub one_core: bool,
    /// How many descriptors the process may have; the machine's usual limit if absent.
    pub most_descriptors: Option<u64>,
    /// Processor time that pricing one product takes.
    pub pricing: Duration,
    /// Rounds of hashing that a product page takes, whose time depends on the machine.
    pub rounds: u32,
    /// How a product page waits for something that is neither the database nor another service.
    pub pause: Pause,
    /// How long a report waits, in the way that product pages do.
    pub report: Duration,
    /// Whether a product that was read once is served from the shop's memory afterwards.
    pub remembers: bool,
    /// Most connections of the pool to PostgreSQL.
    pub pool_size: usize,
    /// What the gauges of this pool are called.
    pub pool_gauges: PoolGauges,
    /// How a product is read.
    pub product_read: ProductRead,
    /// How often a product page asks for its stock again.
    pub further_reads: u32,
    /// How long an order keeps the row of the invoice numbers locked; without a value, orders get
    /// no number.
    pub invoice_held: Option<Duration>,
    /// How an order is charged.
    pub charge: ChargeTraits,
    /// What the shop never releases.
    pub keeps: Keeps,
}

/// What runs the request handlers of the shop.
pub(super) enum Handlers {
    /// This many threads named `shop-worker`.
    Workers(usize),
    /// One event loop, on the main thread.
    EventLoop,
}

/// How connections are accepted.
#[derive(Clone, Copy)]
pub(super) struct Listen {
    /// Connections that may wait to be accepted.
    pub backlog: u32,
    /// Time that the accepting loop takes for each connection.
    pub accept_time: Duration,
    /// After every so many connections the accepting loop does nothing for this long, as if it wrote
    /// a log or looked up a name; never if absent.
    pub accept_pause: Option<(u64, Duration)>,
    /// Whether a connection serves more than one request.
    pub keep_alive: bool,
}

/// What the shop rejects.
pub(super) enum Admission {
    /// Nothing.
    All,
    /// Requests above this many per second, with 429.
    Rate(f64),
    /// Requests beyond this many in flight, with 503.
    InWork(usize),
    /// Requests that have waited for too long for one of a few places, with 503.
    Queue {
        /// How many are in work at a time.
        at_a_time: usize,
        /// How long the others wait.
        at_most: Duration,
    },
}

/// How a product page waits.
pub(super) enum Pause {
    /// Not at all.
    None,
    /// Without a thread. Simulates anything that takes time and has no limit.
    Asleep(Duration),
    /// Blocks the handler's thread. Simulates slow file access.
    Blocking(Duration),
    /// Blocks one of this many threads that exist for such work; the event loop reads every request,
    /// and those without a thread wait for one.
    OnThreads(usize, Duration),
    /// On a separate thread that holds a process-wide lock; the others queue for the lock.
    Locked(Duration),
    /// The same with the lock of a file, which it asks for again and again as SQLite does.
    FileLocked(Duration),
}

/// What the gauges of the pool of database connections are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PoolGauges {
    /// As OpenTelemetry's conventions name them.
    Conventional,
    /// By names that nobody else uses.
    OwnNames,
}

/// How the shop reads a product.
pub(super) enum ProductRead {
    /// One indexed read.
    Indexed,
    /// One indexed read that takes the database this long without using processor time: `pg_sleep`
    /// simulates slow storage.
    SlowStorage(Duration),
    /// An indexed read in a transaction that stays open this long afterwards. The sleep simulates a
    /// call to another service.
    HeldTransaction(Duration),
}

/// How an order is charged.
pub(super) struct ChargeTraits {
    /// Whether the transaction stays open during the call.
    pub in_transaction: bool,
    /// Whether the call blocks the handler's thread.
    pub blocking: bool,
    /// How many calls may be in flight at once; no limit if absent.
    pub most_calls: Option<usize>,
    /// Time limit of one call; no limit if absent.
    pub timeout: Option<Duration>,
    /// How often a failed call is retried, without a delay.
    pub retries: u32,
}

/// What the shop never releases.
pub(super) struct Keeps {
    /// Bytes that each product page keeps.
    pub bytes: usize,
    /// One of this many product pages leaves a file open.
    pub file_every: Option<u64>,
    /// One of this many orders leaves its connection to the payments service open.
    pub connection_every: Option<u64>,
    /// One of this many product pages never gives its database connection back to the pool.
    pub pooled_every: Option<u64>,
}

/// How the payments service is built.
pub(super) struct PaymentsTraits {
    /// Payments that are processed at the same time; the others queue.
    pub slots: usize,
    /// How long one payment occupies a slot.
    pub service_time: Duration,
    /// What it rejects.
    pub refusal: Option<Refusal>,
    /// Payments in progress from which on a further one fails. The failure takes as long as a
    /// success.
    pub fails_from: Option<usize>,
    /// Payments in progress above which a further one is refused at once with 503; no limit if
    /// absent.
    pub most_at_once: Option<usize>,
    /// The bank that it asks for each payment; without one, a payment only takes its time.
    pub bank: Option<BankTraits>,
}

/// How the payments service asks the bank.
#[derive(Clone, Copy)]
pub(super) struct BankTraits {
    /// Threads of the payments service. Each is blocked while the bank answers.
    pub workers: usize,
    /// How long the bank takes for one payment.
    pub takes: Duration,
}

/// What a service rejects at once.
#[derive(Clone, Copy)]
pub(super) struct Refusal {
    /// Requests per second that are accepted.
    pub beyond_rate: f64,
    /// The status of the rejected requests.
    pub status: u16,
    /// Cost of one rejection, in requests that could have been processed instead. A limiter's
    /// rejections cost nothing; those of an overloaded service do.
    pub cost: f64,
}

/// How the database is built.
pub(super) struct DatabaseTraits {
    /// Whether the catalogue has an index on the category.
    pub category_index: bool,
    /// Whether it may use only one core.
    pub one_core: bool,
    /// Connections that it admits.
    pub max_connections: u32,
    /// Whether a commit waits until its log is on the disk, and how long the flush of the log is
    /// delayed to include other commits (PostgreSQL's `commit_delay`).
    pub durable: Option<Duration>,
}

/// Other processes and limits around the services.
pub(super) struct Surroundings {
    /// Threads of another process that use CPU all the time.
    pub busy_neighbours: usize,
    /// How the proxy in front of the shop calls it, if there is one.
    pub proxy: Option<CallsOver>,
    /// What stands between the shop and its database.
    pub before_database: BeforeDatabase,
    /// Cores that a control group's quota allows the shop.
    pub cpu_quota: Option<f64>,
}

/// How a proxy calls what is behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallsOver {
    /// Bytes, over one TCP connection for each of its client's.
    Tcp,
    /// Requests, each over a UNIX connection of its own.
    Unix,
}

/// What stands between the shop and its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BeforeDatabase {
    /// Nothing.
    Nothing,
    /// A plain proxy, which forwards bytes.
    Proxy,
    /// PgBouncer, with this many connections to the database.
    Pooler(usize),
}

/// The load that shows a fault.
pub(super) struct Load {
    /// The mix.
    pub requests: &'static [RequestShare],
    /// How much load, and when.
    pub shape: Shape,
}

/// A request of the shop and its share of the load.
pub(super) struct RequestShare {
    /// Which one.
    pub request: ShopRequest,
    /// Its weight relative to the others.
    pub weight: u32,
}

/// The requests that the shop answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShopRequest {
    /// `GET /product/{id}`
    Product,
    /// `GET /search?category=…`
    Search,
    /// `POST /order`
    Order,
    /// `GET /product/1`, always the same one.
    OneProduct,
    /// `GET /report/{id}`
    Report,
}

/// How much load, and when; rates in requests per second, times in seconds.
pub(super) enum Shape {
    /// Rising until the knee, or up to `max_rate`.
    Breakpoint {
        /// Rate of the first stage.
        start_rate: u32,
        /// Highest rate.
        max_rate: u32,
        /// Seconds that each stage is held.
        hold_s: u32,
    },
    /// The rate of a gate, and for `--full` a search that rises from there.
    Gate {
        /// The rate.
        rate: u32,
        /// Highest rate of the search.
        max_rate: u32,
    },
    /// One rate.
    Constant {
        /// The rate.
        rate: u32,
        /// Seconds.
        duration_s: u32,
    },
}
