//! The load of a night: an ordinary day far below the limit of the fault, then more than it carries.

use kneepoint::demo::{BuiltInKnee, Fault};

/// Seconds of the good time, of the bad one, and of what comes after.
const GOOD: u64 = 75;
const BAD: u64 = 50;
const AFTER: u64 = 15;
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
pub fn plan(plan: &str, limit: f64) -> String {
    let (requests, _) = plan.split_once("[load]").unwrap();
    let rate = |share: f64| format!("{}/s", (share * limit).round().max(2.0));
    let mut stages = Vec::new();
    let mut stage = |share: f64, seconds: u64| {
        stages.push(format!("  {{ target = \"{}\", duration = \"{seconds}s\" }},", rate(share)));
    };
    for share in DAY {
        stage(share, GOOD / DAY.len() as u64);
    }
    stage(TOO_MUCH, 1);
    stage(TOO_MUCH, BAD);
    stage(DAY[0], 1);
    stage(DAY[0], AFTER);
    format!(
        "{requests}[load]\nexecutor = \"ramping-arrival-rate\"\nstart_rate = \"{}\"\nstages = \
         [\n{}\n]\n",
        rate(DAY[0]),
        stages.join("\n")
    )
}
