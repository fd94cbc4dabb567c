//! A product page computes more.

use super::{BEFORE_SHOP, Change, Named, ROUNDS, ShopTraits, Shows};

/// It is the number of rounds that grows and not their time, which depends on the machine: as with
/// any code, two runs of one build differ by what the machine does. The rounds are about two thirds
/// of a request's CPU time.
pub(super) static SPEC: Change =
    Named { name: "more-cpu", summary: "the shop needs a fifth more CPU time for a request" }
        .of_shop(
            ShopTraits { rounds: ROUNDS * 13 / 10, ..BEFORE_SHOP },
            Shows::Measures(&["cpu_per_request"]),
        );
