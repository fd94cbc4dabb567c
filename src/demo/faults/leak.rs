//! Every product page leaves something in memory that is never given back.

use super::{Fault, HEALTHY_PAYMENTS, HEALTHY_SHOP, Load, PRODUCTS, Shape, ShopTraits};

/// 40 KiB a request at 100 requests/s: memory grows by 4 MB/s, and no knee is reached.
pub(super) static SPEC: Fault = Fault {
    name: "leak",
    summary: "each product page keeps 40 KiB of memory for ever: 4 MB/s at 100/s, no knee",
    needs_postgres: false,
    expected_rule: Some("memory-leak"),
    shop: ShopTraits { kept_bytes: 40 * 1024, ..HEALTHY_SHOP },
    payments: HEALTHY_PAYMENTS,
    load: Load { requests: PRODUCTS, shape: Shape::Constant { rate: 100, duration_s: 80 } },
};
