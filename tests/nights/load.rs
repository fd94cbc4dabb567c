//! The load of a night: an ordinary day far below the limit of the fault, then more than it carries.

use kneepoint::demo::{BuiltInKnee, Fault};

/// Seconds of the good time, of the bad one, and of what comes after.
#[derive(Clone, Copy)]
pub struct Length {
    good: u64,
    bad: u64,
    after: u64,
}

/// A night of the table: on its fast clock twenty minutes, a quarter of an hour, four minutes.
pub const LONG: Length = Length { good: 75, bad: 50, after: 15 };
/// As short as an answer allows, for a run of all tests.
pub const SHORT: Length = Length { good: 25, bad: 18, after: 4 };

/// The day, as shares of the limit.
const DAY: [f64; 5] = [0.35, 0.5, 0.6, 0.5, 0.4];
/// The bad time, as a share of the limit.
const TOO_MUCH: f64 = 1.3;
/// Limit of a fault that the machine decides, in requests per second.
const USUAL_OF_ONE: f64 = 70.0;

/// Requests per second at which the fault sets in.
pub fn limit(fault: &Fault) -> f64 {
    match fault.truth.knee {
        Some(BuiltInKnee::Between(low, high)) => f64::midpoint(low, high),
        Some(BuiltInKnee::OneAtATime) => USUAL_OF_ONE,
        None => panic!("`{}` has no limit that a load can pass", fault.name),
    }
}

/// The plan with the load of a night in place of its own.
pub fn plan(plan: &str, limit: f64, length: Length) -> String {
    let (requests, _) = plan.split_once("[load]").unwrap();
    let rate = |share: f64| format!("{}/s", (share * limit).round().max(2.0));
    let mut stages = Vec::new();
    let mut stage = |share: f64, seconds: u64| {
        stages.push(format!("  {{ target = \"{}\", duration = \"{seconds}s\" }},", rate(share)));
    };
    for share in DAY {
        stage(share, length.good / DAY.len() as u64);
    }
    stage(TOO_MUCH, 1);
    stage(TOO_MUCH, length.bad);
    stage(DAY[0], 1);
    stage(DAY[0], length.after);
    format!(
        "{requests}[load]\nexecutor = \"ramping-arrival-rate\"\nstart_rate = \"{}\"\nstages = \
         [\n{}\n]\n",
        rate(DAY[0]),
        stages.join("\n")
    )
}
