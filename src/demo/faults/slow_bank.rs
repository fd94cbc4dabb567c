//! The limit is two hops away: all workers of the payments service wait for the bank.

use std::time::Duration;

use super::{
    BankTraits, Fault, HEALTHY, HEALTHY_PAYMENTS, Load, ORDERS, PaymentsTraits, System, Truth,
    ramp_to, up_to,
};

/// 4 workers of the payments service of about 26 ms each: the knee is near 150 orders/s.
///
/// The shop waits for payments, whose workers wait for the bank. The bank answers as fast as ever:
/// the limit is the number of workers in between.
pub(super) static SPEC: Fault = Fault {
    name: "slow-bank",
    summary: "4 workers of the payments service, each blocked 25 ms by the bank: knee near 150/s",
    needs_postgres: false,
    truth: Truth::knee(&["worker-exhaustion"], 125.0, 160.0),
    broken: System {
        payments: asks_bank(4),
        load: Load { requests: ORDERS, shape: ramp_to(400) },
        ..HEALTHY
    },
    // Enough workers for all waiting payments.
    healthy: Some(System {
        payments: asks_bank(32),
        load: Load { requests: ORDERS, shape: up_to(200) },
        ..HEALTHY
    }),
};

const fn asks_bank(workers: usize) -> PaymentsTraits {
    let bank = BankTraits { workers, takes: Duration::from_millis(25) };
    PaymentsTraits { bank: Some(bank), ..HEALTHY_PAYMENTS }
}
