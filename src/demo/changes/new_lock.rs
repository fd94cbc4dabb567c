//! A product page does something slow under a process-wide lock.

use super::{BEFORE_SHOP, Change, Duration, Pause, ShopTraits, Shows, of_shop};

/// The lock is held for a third of the time at the load of the gate.
pub(super) static SPEC: Change = Change {
    shop: of_shop(
        "new-lock",
        "each product page holds a process-wide lock for 3 ms",
        ShopTraits { pause: Pause::Locked(Duration::from_millis(3)), ..BEFORE_SHOP },
    ),
    shows: Shows::Part(&["in_target", "lock_wait"]),
};
