//! The faults of the sample shop, one per file. Each has the broken system with the load that shows
//! the fault, its healthy twin, and what a correct diagnosis says.
//!
//! A fault is data: a [`System`] that differs from the healthy one only in what is wrong. In its
//! twin, the fault is off or the limit is large enough, and the load is one that the twin can
//! carry. A diagnosis that blames the twin as well has not found the fault, but something else in
//! the shop.

use std::time::Duration;

use super::system::{
    Admission, BankTraits, BeforeDatabase, CallsOver, ChargeTraits, DatabaseTraits, Handlers,
    Keeps, Listen, Load, Pause, PaymentsTraits, PoolGauges, ProductRead, Refusal, RequestShare,
    Shape, ShopRequest, ShopTraits, Surroundings, System,
};
use crate::registry::registry;

registry! {
    /// Every fault, in the order of `kneepoint demo --list`.
    pub static FAULTS: [Fault] = [
        none,
        compute,
        single_thread,
        cpu_quota,
        neighbour,
        pool_small,
        unnamed_pool,
        pooler_small,
        slow_query,
        slow_query_small_pool,
        held_connections,
        downstream_in_transaction,
        row_lock,
        slow_commits,
        too_many_clients,
        downstream,
        client_pool,
        call_limit,
        worker_pool,
        blocked_threads,
        heavy_report,
        blocked_loop,
        app_lock,
        file_lock,
        downstream_errors,
        downstream_limit,
        retry_storm,
        quick_retries,
        small_backlog,
        accept_pauses,
        rate_limit,
        shedding,
        few_at_a_time,
        queue_timeout,
        peer_few_at_a_time,
        behind_proxy,
        behind_proxy_workers,
        behind_socket_workers,
        behind_proxy_pool,
        slow_bank,
        two_limits,
        slow_from_start,
        one_product,
        leak,
        fd_leak,
        fd_exhausted,
        connection_leak,
        pool_leak,
        long_polls,
    ]
}

/// A way to break the sample shop.
pub struct Fault {
    /// Name on the command line; equals the file stem, with `-` instead of `_`.
    pub name: &'static str,
    /// One line: what is wrong, and where the knee is.
    pub summary: &'static str,
    /// Whether the fault needs PostgreSQL. The others use it if it is installed.
    pub needs_postgres: bool,
    /// What a correct diagnosis says.
    pub truth: Truth,
    pub(super) broken: System,
    pub(super) healthy: Option<System>,
}

/// The built-in, and therefore known, properties of a system.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truth {
    /// Ids of the rules that are correct as the first cause; empty if nothing is wrong. There are
    /// several if one fault has two correct names.
    pub rules: &'static [&'static str],
    /// Where the knee is; `None` if the system has no knee.
    pub knee: Option<BuiltInKnee>,
    /// The request of the mix that the first cause must name, if there is one.
    pub endpoint: Option<&'static str>,
}

/// Where the knee of a system must be, in requests per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BuiltInKnee {
    /// Between two rates. The times and counts that decide it are the same on every machine.
    Between(f64, f64),
    /// One resource handles one request at a time, and its time per request depends on the machine.
    /// Its capacity is 1 / (busy time of the resource for a single request without other load).
    OneAtATime,
}

/// Allowed range of the knee, as a multiple of 1 / (time of a single request). It may be lower,
/// because under load a request also costs switches between sessions. It may be higher, because
/// single requests with pauses between them find colder caches and a slower clock than a core that
/// is always busy.
const SHARE_OF_ONE_AT_A_TIME: (f64, f64) = (0.7, 1.25);

impl BuiltInKnee {
    /// The lowest and the highest correct rate. `alone` gives the seconds for which a single
    /// request keeps the limiting resource busy.
    pub fn range(self, alone: impl FnOnce() -> f64) -> (f64, f64) {
        match self {
            BuiltInKnee::Between(low, high) => (low, high),
            BuiltInKnee::OneAtATime => {
                let capacity = 1.0 / alone();
                (SHARE_OF_ONE_AT_A_TIME.0 * capacity, SHARE_OF_ONE_AT_A_TIME.1 * capacity)
            }
        }
    }
}

impl Truth {
    /// Nothing is wrong.
    pub const HEALTHY: Truth = Truth { rules: &[], knee: None, endpoint: None };

    /// This is the cause, and the knee is between two rates.
    const fn knee(rules: &'static [&'static str], low: f64, high: f64) -> Truth {
        Truth { rules, knee: Some(BuiltInKnee::Between(low, high)), endpoint: None }
    }

    /// This is the cause, and one resource handles one request at a time.
    const fn one_at_a_time(rules: &'static [&'static str]) -> Truth {
        Truth { rules, knee: Some(BuiltInKnee::OneAtATime), endpoint: None }
    }

    /// This is wrong, but it causes no knee.
    const fn apart(rules: &'static [&'static str]) -> Truth {
        Truth { rules, knee: None, endpoint: None }
    }

    /// The same, about one request of the mix.
    const fn in_endpoint(self, endpoint: &'static str) -> Truth {
        Truth { endpoint: Some(endpoint), ..self }
    }
}

impl Fault {
    /// Whether it has a healthy twin. A fault without one is itself healthy.
    pub fn has_twin(&self) -> bool {
        self.healthy.is_some()
    }

    /// Whether it is about CPU. Such a system needs the machine for itself; the others leave most
    /// of it idle and can run side by side.
    pub fn fills_cores(&self) -> bool {
        self.broken.fills_cores()
    }

    /// The system with the fault, or its healthy twin.
    pub(super) fn system(&self, healthy: bool) -> &System {
        self.healthy.as_ref().filter(|_| healthy).unwrap_or(&self.broken)
    }
}

/// The fault with this name.
pub fn find(name: &str) -> Option<&'static Fault> {
    FAULTS.iter().copied().find(|fault| fault.name == name)
}

/// The healthy shop.
pub(super) const HEALTHY_SHOP: ShopTraits = ShopTraits {
    runtime: Handlers::Workers(4),
    listen: HEALTHY_LISTEN,
    admission: Admission::All,
    one_core: false,
    most_descriptors: None,
    pricing: Duration::ZERO,
    rounds: 0,
    pause: Pause::None,
    report: Duration::ZERO,
    remembers: false,
    pool_size: 16,
    pool_gauges: PoolGauges::Conventional,
    product_read: ProductRead::Indexed,
    further_reads: 0,
    invoice_held: None,
    charge: HEALTHY_CHARGE,
    keeps: HEALTHY_KEEPS,
};

const HEALTHY_LISTEN: Listen =
    Listen { backlog: 1024, accept_time: Duration::ZERO, accept_pause: None, keep_alive: true };

const HEALTHY_CHARGE: ChargeTraits = ChargeTraits {
    in_transaction: false,
    blocking: false,
    most_calls: None,
    timeout: None,
    retries: 0,
};

pub(super) const HEALTHY_KEEPS: Keeps =
    Keeps { bytes: 0, file_every: None, connection_every: None, pooled_every: None };

/// The healthy payments service.
const HEALTHY_PAYMENTS: PaymentsTraits = PaymentsTraits {
    slots: 256,
    service_time: Duration::from_millis(15),
    refusal: None,
    fails_from: None,
    bank: None,
    most_at_once: None,
};

/// The healthy database. Its data has no value, so commits need not be durable.
pub(super) const HEALTHY_DATABASE: DatabaseTraits =
    DatabaseTraits { category_index: true, one_core: false, max_connections: 60, durable: None };

const HEALTHY_SURROUNDINGS: Surroundings = Surroundings {
    busy_neighbours: 0,
    proxy: None,
    before_database: BeforeDatabase::Nothing,
    cpu_quota: None,
};

/// The healthy system on an ordinary day. The highest rate stays far below what two cores carry, so
/// there is no knee to find.
pub(super) const HEALTHY: System = System {
    shop: HEALTHY_SHOP,
    payments: HEALTHY_PAYMENTS,
    database: HEALTHY_DATABASE,
    surroundings: HEALTHY_SURROUNDINGS,
    load: Load { requests: MIXED, shape: up_to(200) },
};

/// Product pages only.
const PRODUCTS: &[RequestShare] = &[RequestShare { request: ShopRequest::Product, weight: 1 }];

/// Searches only.
const SEARCHES: &[RequestShare] = &[RequestShare { request: ShopRequest::Search, weight: 1 }];

/// Orders only.
const ORDERS: &[RequestShare] = &[RequestShare { request: ShopRequest::Order, weight: 1 }];

/// The requests of an ordinary day.
pub(super) const MIXED: &[RequestShare] = &[
    RequestShare { request: ShopRequest::Product, weight: 7 },
    RequestShare { request: ShopRequest::Search, weight: 2 },
    RequestShare { request: ShopRequest::Order, weight: 1 },
];

/// A ramp up to a knee, which must be below `max_rate`.
const fn ramp_to(max_rate: u32) -> Shape {
    Shape::Breakpoint { start_rate: 20, max_rate, hold_s: 5 }
}

/// A ramp that ends before any knee.
const fn up_to(max_rate: u32) -> Shape {
    Shape::Breakpoint { start_rate: 20, max_rate, hold_s: 4 }
}

/// One rate, held long enough to distinguish growth from noise.
const fn steady(rate: u32) -> Shape {
    Shape::Constant { rate, duration_s: 80 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for fault in FAULTS {
            let found = find(fault.name).expect("listed");
            assert!(std::ptr::eq(found, *fault), "{}: the name is used twice", fault.name);
            let file = format!("src/demo/faults/{}.rs", fault.name.replace('-', "_"));
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(&file);
            assert!(path.exists(), "{}: no {file}", fault.name);
        }
        assert!(find("earthquake").is_none());
    }

    #[test]
    fn faults_of_the_database_need_one() {
        for fault in FAULTS {
            let names = fault.truth.rules.iter();
            let about_postgres =
                names.clone().any(|rule| rule.starts_with("db-") || rule.starts_with("pooler-"));
            assert!(!about_postgres || fault.needs_postgres, "{}", fault.name);
        }
    }

    #[test]
    fn what_is_broken_has_a_twin_and_what_is_healthy_has_none() {
        for fault in FAULTS {
            assert_eq!(fault.has_twin(), fault.truth != Truth::HEALTHY, "{}", fault.name);
        }
    }
}
