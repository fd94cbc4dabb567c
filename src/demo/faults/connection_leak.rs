//! Some orders never close their connection to the payments service, although the service has
//! closed its end.

use super::{
    Fault, HEALTHY, HEALTHY_KEEPS, HEALTHY_SHOP, Keeps, Load, ORDERS, ShopTraits, System, Truth,
    steady,
};

/// Every 20th order at 60 orders/s: three more sockets each second, and no knee. Each socket uses a
/// descriptor, so the descriptors leak as well; the sockets are the cause.
pub(super) static SPEC: Fault = Fault {
    name: "connection-leak",
    summary: "every 20th order leaves a connection half closed: 3 sockets/s at 60/s, no knee",
    needs_postgres: false,
    truth: Truth::apart(&["connection-leak"]),
    broken: System {
        shop: ShopTraits {
            keeps: Keeps { connection_every: Some(20), ..HEALTHY_KEEPS },
            ..HEALTHY_SHOP
        },
        load: Load { requests: ORDERS, shape: steady(60) },
        ..HEALTHY
    },
    healthy: Some(System { load: Load { requests: ORDERS, shape: steady(60) }, ..HEALTHY }),
};
