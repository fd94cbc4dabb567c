//! Nothing is wrong: a diagnosis that finds a cause here is mistaken.

use super::{Fault, HEALTHY_PAYMENTS, HEALTHY_SHOP, Load, MIXED, Shape};

/// The highest rate stays far below what two cores carry, so that there is no knee to find.
pub(super) static SPEC: Fault = Fault {
    name: "none",
    summary: "a healthy shop: no knee up to the highest rate of the plan",
    needs_postgres: false,
    expected_rule: None,
    shop: HEALTHY_SHOP,
    payments: HEALTHY_PAYMENTS,
    load: Load {
        requests: MIXED,
        shape: Shape::Breakpoint { start_rate: 20, max_rate: 200, hold_s: 8 },
    },
};
