//! Another program on the machine uses CPU all the time.

use std::time::Duration;

use super::{
    Fault, HEALTHY, HEALTHY_SHOP, HEALTHY_SURROUNDINGS, Load, PRODUCTS, ShopTraits, Surroundings,
    System, Truth, ramp_to, up_to,
};

/// 9 ms of CPU time per page, and four threads of a neighbour that compete for the cores. On two
/// cores the shop gets about half of the time, which allows about 110 requests/s. Where the knee is
/// depends on the machine.
pub(super) static SPEC: Fault = Fault {
    name: "neighbour",
    summary: "another program keeps 4 threads busy beside a shop that needs CPU: knee near 110/s \
              on two cores",
    needs_postgres: false,
    truth: Truth::knee(&["cpu-stolen"], 40.0, 400.0),
    broken: System {
        shop: PRICED,
        surroundings: Surroundings { busy_neighbours: 4, ..HEALTHY_SURROUNDINGS },
        load: Load { requests: PRODUCTS, shape: ramp_to(400) },
        ..HEALTHY
    },
    // The same shop alone, up to the rate that half a core carries.
    healthy: Some(System {
        shop: PRICED,
        load: Load { requests: PRODUCTS, shape: up_to(60) },
        ..HEALTHY
    }),
};

const PRICED: ShopTraits = ShopTraits { pricing: Duration::from_millis(9), ..HEALTHY_SHOP };
