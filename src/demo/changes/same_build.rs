//! Nothing changed: a gate that calls this worse is wrong.

use super::{BEFORE_SHOP, Change, Named, Shows};

pub(super) static SPEC: Change = Named { name: "same-build", summary: "nothing is different" }
    .of_shop(BEFORE_SHOP, Shows::Nothing);
