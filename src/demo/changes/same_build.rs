//! Nothing changed: a gate that calls this worse is wrong.

use super::{BEFORE_SHOP, Change, Shows, of_shop};

pub(super) static SPEC: Change = Change {
    shop: of_shop("same-build", "nothing is different", BEFORE_SHOP),
    shows: Shows::Nothing,
};
