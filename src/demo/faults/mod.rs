//! The faults of the sample shop, one file each: what it does to the healthy shop, and the load
//! that shows it.
//!
//! A fault is data. The shop and the payments service read their [`ShopTraits`] and
//! [`PaymentsTraits`] and behave; each field is one mechanism, off in [`HEALTHY_SHOP`].

use std::time::Duration;

use crate::registry::registry;

registry! {
    /// Every fault, in the order of `kneepoint demo --list`.
    pub static FAULTS: [Fault] = [
        none,
        compute,
        single_thread,
        pool_small,
        slow_query,
        held_connections,
        row_lock,
        downstream,
        rate_limit,
        leak,
    ]
}

/// A way in which the sample shop can be broken.
pub struct Fault {
    /// Name on the command line; equals the file stem, with `-` for `_`.
    pub name: &'static str,
    /// One line: what is wrong and where the knee lies.
    pub summary: &'static str,
    /// Whether it cannot be shown without PostgreSQL. The others use one where there is one.
    pub needs_postgres: bool,
    /// Id of the rule that a right diagnosis names first; none where nothing is to be found.
    pub expected_rule: Option<&'static str>,
    pub(super) shop: ShopTraits,
    pub(super) payments: PaymentsTraits,
    pub(super) load: Load,
}

/// The fault of this name.
pub fn find(name: &str) -> Option<&'static Fault> {
    FAULTS.iter().copied().find(|fault| fault.name == name)
}

/// How the shop is built.
pub(super) struct ShopTraits {
    /// What runs the request handlers.
    pub runtime: Handlers,
    /// Whether the process may use one core only, as a cpuset would have it.
    pub one_core: bool,
    /// Processor time that pricing one product takes.
    pub pricing: Duration,
    /// Most connections of the pool to PostgreSQL.
    pub pool_size: usize,
    /// How a product is read.
    pub product_read: ProductRead,
    /// Whether the catalogue has an index on the category.
    pub category_index: bool,
    /// Whether the database may use one core only.
    pub database_on_one_core: bool,
    /// How long an order keeps the row of the invoice numbers locked; orders get no number where
    /// there is none.
    pub invoice_held: Option<Duration>,
    /// Requests per second that are admitted; all where there is none.
    pub admitted_rate: Option<f64>,
    /// Bytes that each product request keeps for ever.
    pub kept_bytes: usize,
}

/// What runs the request handlers of the shop.
pub(super) enum Handlers {
    /// This many threads named `shop-worker`.
    Workers(usize),
    /// One event loop, on the main thread.
    EventLoop,
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

/// How the payments service is built.
pub(super) struct PaymentsTraits {
    /// Payments that are worked on at the same time; the others queue.
    pub slots: usize,
    /// How long one payment occupies a slot.
    pub service_time: Duration,
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

/// The shop as it should be.
const HEALTHY_SHOP: ShopTraits = ShopTraits {
    runtime: Handlers::Workers(4),
    one_core: false,
    pricing: Duration::ZERO,
    pool_size: 16,
    product_read: ProductRead::Indexed,
    category_index: true,
    database_on_one_core: false,
    invoice_held: None,
    admitted_rate: None,
    kept_bytes: 0,
};

/// The payments service as it should be.
const HEALTHY_PAYMENTS: PaymentsTraits =
    PaymentsTraits { slots: 256, service_time: Duration::from_millis(15) };

/// Product pages only.
const PRODUCTS: &[RequestShare] = &[RequestShare { request: ShopRequest::Product, weight: 1 }];

/// Searches only.
const SEARCHES: &[RequestShare] = &[RequestShare { request: ShopRequest::Search, weight: 1 }];

/// Orders only.
const ORDERS: &[RequestShare] = &[RequestShare { request: ShopRequest::Order, weight: 1 }];

/// What a shop meets on an ordinary day.
const MIXED: &[RequestShare] = &[
    RequestShare { request: ShopRequest::Product, weight: 7 },
    RequestShare { request: ShopRequest::Search, weight: 2 },
    RequestShare { request: ShopRequest::Order, weight: 1 },
];

/// A ramp up to a knee that lies below `max_rate`.
const fn ramp_to(max_rate: u32) -> Shape {
    Shape::Breakpoint { start_rate: 20, max_rate, hold_s: 5 }
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
            let about_postgres = fault.expected_rule.is_some_and(|rule| rule.starts_with("db-"));
            assert_eq!(fault.needs_postgres, about_postgres, "{}", fault.name);
        }
    }
}
