//! The pool of database connections is made too small for the load.

use super::{BEFORE, BEFORE_SHOP, Change, Duration, Named, ProductRead, ShopTraits, Shows, System};

/// Product pages keep 105/s x 15 ms = 1.6 connections busy at the load of the gate, so both of two are
/// often taken. At half that load nothing would wait, and no response time could tell.
pub(super) static SPEC: Change = Named {
    name: "smaller-pool",
    summary: "a pool of 2 connections instead of 16, with 15 ms per read",
}
.of_system(
    System { shop: pooled(2), ..BEFORE },
    System { shop: pooled(16), ..BEFORE },
    Shows::Pool,
);

const fn pooled(pool_size: usize) -> ShopTraits {
    ShopTraits {
        pool_size,
        product_read: ProductRead::SlowStorage(Duration::from_millis(15)),
        ..BEFORE_SHOP
    }
}
