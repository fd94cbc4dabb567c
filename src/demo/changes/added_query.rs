//! A product page asks the database a second time, as a loop over what the first query found would.

use super::{BEFORE_SHOP, Change, Named, ShopTraits, Shows};

/// Seven of ten requests have two statements where they had one.
pub(super) static SPEC: Change =
    Named { name: "added-query", summary: "each product page sends one more query" }.of_shop(
        ShopTraits { further_reads: 1, ..BEFORE_SHOP },
        Shows::Measures(&["statements_per_request"]),
    );
