//! A product page computes more.

use super::{BEFORE_SHOP, Change, ROUNDS, ShopTraits, Shows, of_shop};

/// It is the number of rounds that grows and not their time, which depends on the machine: as with
/// any code, two runs of one build differ by what the machine does.
pub(super) static SPEC: Change = Change {
    shop: of_shop(
        "more-cpu",
        "the shop needs a fifth more CPU time for a request",
        ShopTraits { rounds: ROUNDS * 3 / 2, ..BEFORE_SHOP },
    ),
    shows: Shows::Measures(&["cpu_per_request"]),
};
