//! Connections are accepted slowly, and the accept queue is short.

use std::time::Duration;

use super::{
    Fault, HEALTHY, HEALTHY_LISTEN, HEALTHY_SHOP, Listen, Load, PRODUCTS, ShopTraits, System,
    Truth, ramp_to, up_to,
};

/// Every request opens a connection, and the accepting loop takes 8 ms for each: the knee is near 1
/// / 9 ms = 110 requests/s. 16 connections may wait. The kernel drops the others, and their clients
/// try again after one second and after three.
pub(super) static SPEC: Fault = Fault {
    name: "small-backlog",
    summary: "8 ms to accept a connection, a connection per request, backlog 16: knee near 110/s",
    needs_postgres: false,
    truth: Truth::knee(&["accept-queue-full"], 85.0, 125.0),
    broken: System {
        shop: ShopTraits {
            listen: Listen {
                backlog: 16,
                accept_time: Duration::from_millis(8),
                accept_pause: None,
                keep_alive: false,
            },
            ..HEALTHY_SHOP
        },
        load: Load { requests: PRODUCTS, shape: ramp_to(300) },
        ..HEALTHY
    },
    // Connections are accepted at once.
    healthy: Some(System {
        shop: ShopTraits { listen: Listen { keep_alive: false, ..HEALTHY_LISTEN }, ..HEALTHY_SHOP },
        load: Load { requests: PRODUCTS, shape: up_to(180) },
        ..HEALTHY
    }),
};
