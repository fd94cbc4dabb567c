//! What a sample system consists of, as data: the shop, the payments service, the database, what
//! surrounds them, and the load.
//!
//! The processes read their traits and behave. Each field is one mechanism and is off in the
//! healthy system of [`super::faults`].

use std::time::Duration;

/// One system and the load that it meets.
pub(super) struct System {
    /// The shop.
    pub shop: ShopTraits,
    /// The service that the shop calls for each order.
    pub payments: PaymentsTraits,
    /// The shop's PostgreSQL.
    pub database: DatabaseTraits,
    /// What else there is.
    pub surroundings: Surroundings,
    /// How much is asked of it.
    pub load: Load,
}

/// How the shop is built.
pub(super) struct ShopTraits {
    /// What runs the request handlers.
    pub runtime: Handlers,
    /// How connections come in.
    pub listen: Listen,
    /// What is turned away before any work.
    pub admission: Admission,
    /// Whether the process may use one core only, as a cpuset would have it.
    pub one_core: bool,
    /// Processor time that pricing one product takes.
    pub pricing: Duration,
    /// How a product page waits for something that is neither the database nor another service.
    pub pause: Pause,
    /// Most connections of the pool to PostgreSQL.
    pub pool_size: usize,
    /// How a product is read.
    pub product_read: ProductRead,
    /// How long an order keeps the row of the invoice numbers locked; orders get no number where
    /// there is none.
    pub invoice_held: Option<Duration>,
    /// How an order is charged.
    pub charge: ChargeTraits,
    /// What is never released.
    pub keeps: Keeps,
}

/// What runs the request handlers of the shop.
pub(super) enum Handlers {
    /// This many threads named `shop-worker`.
    Workers(usize),
    /// One event loop, on the main thread.
    EventLoop,
}

/// How connections come in.
#[derive(Clone, Copy)]
pub(super) struct Listen {
    /// Connections that may wait to be accepted.
    pub backlog: u32,
    /// Time that the accepting loop takes for each connection.
    pub accept_time: Duration,
    /// Whether a connection serves more than one request.
    pub keep_alive: bool,
}

/// What the shop turns away.
pub(super) enum Admission {
    /// Nothing.
    All,
    /// What exceeds this many requests per second, with 429.
    Rate(f64),
    /// What would come on top of this many requests in flight, with 503.
    InWork(usize),
}

/// How a product page waits.
pub(super) enum Pause {
    /// Not at all.
    None,
    /// Without a thread: stands in for anything that takes its time and has no limit.
    Asleep(Duration),
    /// Blocks the thread of the handler: stands in for slow file access.
    Blocking(Duration),
    /// On a separate thread that holds a process-wide lock; the others queue for the lock.
    Locked(Duration),
}

/// How the shop reads a product.
pub(super) enum ProductRead {
    /// One indexed read.
    Indexed,
    /// One indexed read that the database takes this long to answer, without using processor
    /// time: `pg_sleep` stands in for storage that is slow to answer.
    SlowStorage(Duration),
    /// An indexed read in a transaction that stays open this long afterwards; the sleep stands in
    /// for a call to another service.
    HeldTransaction(Duration),
}

/// How an order is charged.
pub(super) struct ChargeTraits {
    /// Whether the transaction stays open meanwhile.
    pub in_transaction: bool,
    /// Whether the call blocks the thread of the handler.
    pub blocking: bool,
    /// Calls that may be under way at the same time; any number where there is none.
    pub most_calls: Option<usize>,
    /// How long one call may take; without it there is no limit.
    pub timeout: Option<Duration>,
    /// How often a failed call is made again, at once.
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
}

/// How the payments service is built.
pub(super) struct PaymentsTraits {
    /// Payments that are worked on at the same time; the others queue.
    pub slots: usize,
    /// How long one payment occupies a slot.
    pub service_time: Duration,
    /// What it refuses.
    pub refusal: Option<Refusal>,
}

/// What a service refuses at once.
#[derive(Clone, Copy)]
pub(super) struct Refusal {
    /// Requests per second that are not refused.
    pub beyond_rate: f64,
    /// The status of the others.
    pub status: u16,
    /// What one refusal takes of what could have been done instead, in requests: a limiter's cost
    /// nothing, an overloaded service's do.
    pub cost: f64,
}

/// How the database is built.
pub(super) struct DatabaseTraits {
    /// Whether the catalogue has an index on the category.
    pub category_index: bool,
    /// Whether it may use one core only.
    pub one_core: bool,
    /// Connections that it admits.
    pub max_connections: u32,
    /// Whether a commit waits until its log is on the disk, and how long the flush of the log is
    /// delayed in the hope of company (PostgreSQL's `commit_delay`).
    pub durable: Option<Duration>,
}

/// What stands around the services.
pub(super) struct Surroundings {
    /// Threads of another process that compute all the time.
    pub busy_neighbours: usize,
    /// Whether a proxy stands in front of the shop.
    pub proxy: bool,
    /// Cores that a control group's quota allows the shop.
    pub cpu_quota: Option<f64>,
}

/// The load that shows a fault.
pub(super) struct Load {
    /// The mix.
    pub requests: &'static [RequestShare],
    /// How much, and when.
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
}

/// How much load, and when; rates in requests per second, times in seconds.
pub(super) enum Shape {
    /// Upwards until the knee, or to `max_rate`.
    Breakpoint {
        /// Rate of the first stage.
        start_rate: u32,
        /// Highest rate.
        max_rate: u32,
        /// Seconds that each stage is held.
        hold_s: u32,
    },
    /// One rate.
    Constant {
        /// The rate.
        rate: u32,
        /// Seconds.
        duration_s: u32,
    },
}
