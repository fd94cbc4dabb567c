//! Some product pages leave a file open.

use super::{
    Fault, HEALTHY, HEALTHY_KEEPS, HEALTHY_SHOP, Keeps, Load, PRODUCTS, ShopTraits, System, Truth,
    steady,
};

/// Every 25th page at 100 requests/s: four more descriptors each second, and no knee.
pub(super) static SPEC: Fault = Fault {
    name: "fd-leak",
    summary: "every 25th product page leaves a file open: 4 descriptors/s at 100/s, no knee",
    needs_postgres: false,
    truth: Truth::apart(&["fd-leak"]),
    broken: System {
        shop: ShopTraits { keeps: Keeps { file_every: Some(25), ..HEALTHY_KEEPS }, ..HEALTHY_SHOP },
        load: Load { requests: PRODUCTS, shape: steady(100) },
        ..HEALTHY
    },
    healthy: Some(System { load: Load { requests: PRODUCTS, shape: steady(100) }, ..HEALTHY }),
};
