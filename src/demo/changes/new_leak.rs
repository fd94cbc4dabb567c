//! A product page keeps memory that is never freed.

use super::{BEFORE_SHOP, Change, HEALTHY_KEEPS, Keeps, Named, ShopTraits, Shows};

/// 60 KiB at 105 pages/s: 6 MB more each second.
pub(super) static SPEC: Change =
    Named { name: "new-leak", summary: "each product page keeps 60 KiB of memory" }.of_shop(
        ShopTraits { keeps: Keeps { bytes: 60 * 1024, ..HEALTHY_KEEPS }, ..BEFORE_SHOP },
        Shows::Measures(&["memory_floor"]),
    );
