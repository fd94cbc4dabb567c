//! A product page keeps memory that is never freed.

use super::{BEFORE_SHOP, Change, HEALTHY_KEEPS, Keeps, ShopTraits, Shows, of_shop};

/// 60 KiB at 105 pages/s: 6 MB more each second.
pub(super) static SPEC: Change = Change {
    shop: of_shop(
        "new-leak",
        "each product page keeps 60 KiB of memory",
        ShopTraits { keeps: Keeps { bytes: 60 * 1024, ..HEALTHY_KEEPS }, ..BEFORE_SHOP },
    ),
    shows: Shows::Measures(&["memory_floor"]),
};
