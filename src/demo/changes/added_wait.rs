//! A product page waits for something that takes 3 ms and has no limit.

use super::{BEFORE_SHOP, Change, Duration, Pause, ShopTraits, Shows, of_shop};

/// It needs no CPU, no database and no other service.
pub(super) static SPEC: Change = Change {
    shop: of_shop(
        "added-wait",
        "each product page waits 3 ms longer",
        ShopTraits { pause: Pause::Asleep(Duration::from_millis(3)), ..BEFORE_SHOP },
    ),
    shows: Shows::Part(&["in_target"]),
};
