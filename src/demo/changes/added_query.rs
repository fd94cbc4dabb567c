//! A product page asks the database a second time, as a loop over what the first query found would.

use super::{BEFORE_SHOP, Change, ShopTraits, Shows, of_shop};

/// Seven of ten requests have two statements where they had one.
pub(super) static SPEC: Change = Change {
    shop: of_shop(
        "added-query",
        "each product page sends one more query",
        ShopTraits { further_reads: 1, ..BEFORE_SHOP },
    ),
    shows: Shows::Measures(&["statements_per_request"]),
};
