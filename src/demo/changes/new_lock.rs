//! A product page does something slow under a process-wide lock.

use super::{BEFORE_SHOP, Change, Duration, Named, Pause, ShopTraits, Shows};

/// The lock is held for a third of the time at the load of the gate.
pub(super) static SPEC: Change =
    Named { name: "new-lock", summary: "each product page holds a process-wide lock for 3 ms" }
        .of_shop(
            ShopTraits { pause: Pause::Locked(Duration::from_millis(3)), ..BEFORE_SHOP },
            Shows::Part(&["in_target", "lock_wait"]),
        );
