//! Accepting connections pauses now and then, and the accept queue is short: only the tail suffers.

use std::time::Duration;

use super::{
    Fault, HEALTHY, HEALTHY_LISTEN, HEALTHY_SHOP, Listen, Load, PRODUCTS, Shape, ShopTraits,
    System, Truth,
};

/// After every 100 connections nothing is accepted for 80 ms, and 9 connections may wait: above 110
/// requests/s more arrive than that. The kernel drops the others, and their clients try again after
/// one second. Throughput follows the load, and half of the requests are as quick as ever.
pub(super) static SPEC: Fault = Fault {
    name: "accept-pauses",
    summary: "80 ms without accepting after every 100 connections, backlog 8: the tail bends near 125/s",
    needs_postgres: false,
    truth: Truth::knee(&["accept-queue-full"], 100.0, 165.0),
    broken: System {
        shop: ShopTraits {
            listen: Listen { backlog: 8, keep_alive: false, ..PAUSES },
            ..HEALTHY_SHOP
        },
        load: Load { requests: PRODUCTS, shape: RISE },
        ..HEALTHY
    },
    // The same pauses, with room for all that arrive in one.
    healthy: Some(System {
        shop: ShopTraits { listen: Listen { keep_alive: false, ..PAUSES }, ..HEALTHY_SHOP },
        load: Load { requests: PRODUCTS, shape: RISE },
        ..HEALTHY
    }),
};

const PAUSES: Listen =
    Listen { accept_pause: Some((100, Duration::from_millis(80))), ..HEALTHY_LISTEN };

/// Stages of 6 s hold enough requests to tell a tail.
const RISE: Shape = Shape::Breakpoint { start_rate: 20, max_rate: 200, hold_s: 6 };
