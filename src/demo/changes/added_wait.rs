//! A product page waits for something that takes 3 ms and has no limit.

use super::{BEFORE_SHOP, Change, Duration, Named, Pause, ShopTraits, Shows};

/// It needs no CPU, no database and no other service.
pub(super) static SPEC: Change =
    Named { name: "added-wait", summary: "each product page waits 3 ms longer" }.of_shop(
        ShopTraits { pause: Pause::Asleep(Duration::from_millis(3)), ..BEFORE_SHOP },
        Shows::Part(&["in_target"]),
    );
