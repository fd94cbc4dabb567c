//! Product pages leave files open, and the shop may have only a few.

use super::{
    Fault, HEALTHY, HEALTHY_KEEPS, HEALTHY_SHOP, Keeps, Load, PRODUCTS, ShopTraits, System, Truth,
    steady,
};

/// Every second page at 60 requests/s leaves a file open: 300 descriptors last about ten seconds.
/// From then on the shop cannot accept connections, which pile up in the kernel after their clients
/// have left.
pub(super) static SPEC: Fault = Fault {
    name: "fd-exhausted",
    summary: "every 2nd product page leaves a file open, 300 descriptors: none left after 10 s",
    needs_postgres: false,
    truth: Truth::apart(&["fd-leak"]),
    broken: System {
        shop: ShopTraits {
            most_descriptors: Some(MOST_DESCRIPTORS),
            keeps: Keeps { file_every: Some(2), ..HEALTHY_KEEPS },
            ..HEALTHY_SHOP
        },
        load: Load { requests: PRODUCTS, shape: steady(60) },
        ..HEALTHY
    },
    // The same limit, and nothing is left open.
    healthy: Some(System {
        shop: ShopTraits { most_descriptors: Some(MOST_DESCRIPTORS), ..HEALTHY_SHOP },
        load: Load { requests: PRODUCTS, shape: steady(60) },
        ..HEALTHY
    }),
};

const MOST_DESCRIPTORS: u64 = 300;
