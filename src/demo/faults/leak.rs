//! Every product page allocates memory that is never freed.

use super::{
    Fault, HEALTHY, HEALTHY_KEEPS, HEALTHY_SHOP, Keeps, Load, PRODUCTS, ShopTraits, System, Truth,
    steady,
};

/// 40 KiB per request at 100 requests/s: memory grows by 4 MB/s, and there is no knee.
pub(super) static SPEC: Fault = Fault {
    name: "leak",
    summary: "each product page leaks 40 KiB of memory: 4 MB/s at 100/s, no knee",
    needs_postgres: false,
    truth: Truth::apart(&["memory-leak"]),
    broken: System {
        shop: ShopTraits { keeps: Keeps { bytes: 40 * 1024, ..HEALTHY_KEEPS }, ..HEALTHY_SHOP },
        load: Load { requests: PRODUCTS, shape: steady(100) },
        ..HEALTHY
    },
    healthy: Some(System { load: Load { requests: PRODUCTS, shape: steady(100) }, ..HEALTHY }),
};
