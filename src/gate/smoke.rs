//! A plan's load made short: one rate, held for some seconds, so that both builds get the same.

use crate::plan::{Arrivals, Executor, Gate, Plan, Scenario};

/// The same plan with the load of its gate.
///
/// # Errors
///
/// A sentence with what the plan has to say, where its load begins with no rate.
pub fn smoke(plan: &Plan) -> Result<Plan, String> {
    let Gate { rate, duration, .. } = plan.gate;
    let first = rate.map(|rate| Executor::ConstantArrivalRate { rate, duration });
    let executor = match first.or_else(|| beginning(plan, duration)) {
        Some(executor) => executor,
        None => {
            return Err("the load of this plan has no rate to begin with; say which one both \
                        builds carry well: `[gate]` with `rate = \"50/s\"`"
                .to_owned());
        }
    };
    let mut smoke = plan.clone();
    let journeys = plan.journeys.len();
    // Even arrivals: bursts of chance would be noise between the builds.
    smoke.scenarios = vec![Scenario::only(executor, Arrivals::Even, journeys)];
    Ok(smoke)
}

/// Requests of one run of a plan that holds one rate, as far as they are known beforehand.
pub fn requests(plan: &Plan) -> Option<f64> {
    let scenario = plan.scenarios.first()?;
    match &scenario.executor {
        Executor::ConstantArrivalRate { rate, duration } => {
            Some(rate * duration.as_secs_f64() * plan.requests_per_journey(scenario))
        }
        _ => None,
    }
}

/// What the first scenario begins with.
fn beginning(plan: &Plan, duration: std::time::Duration) -> Option<Executor> {
    let constant =
        |rate: f64| (rate > 0.0).then_some(Executor::ConstantArrivalRate { rate, duration });
    let users = |vus: u32| (vus > 0).then_some(Executor::ConstantVus { vus, duration });
    match &plan.scenarios.first()?.executor {
        Executor::ConstantArrivalRate { rate, .. } => constant(*rate),
        Executor::RampingArrivalRate { start_rate, stages } => {
            let first = stages.iter().map(|stage| stage.target).find(|rate| *rate > 0.0);
            constant(*start_rate).or_else(|| constant(first?))
        }
        Executor::Steps { rates, .. } => constant(*rates.first()?),
        Executor::ConstantVus { vus, .. }
        | Executor::PerVuIterations { vus, .. }
        | Executor::SharedIterations { vus, .. } => users(*vus),
        Executor::RampingVus { start_vus, stages } => {
            let first = stages.iter().map(|stage| stage.target).find(|vus| *vus > 0);
            users(*start_vus).or_else(|| users(first?))
        }
        Executor::Replay { .. } => None,
        Executor::Soak(soak) => constant(soak.rate),
        Executor::Breakpoint(search) => constant(search.start_rate),
        Executor::Capacity(search) => constant(search.start_rate),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn plan() -> Plan {
        Plan::for_url("http://127.0.0.1:8080/", Vec::new()).unwrap()
    }

    #[test]
    fn a_search_becomes_its_first_rate_and_the_gate_may_say_another() {
        let mut plan = plan();
        let held = |plan: &Plan| smoke(plan).unwrap().scenarios[0].executor.clone();
        let duration = Duration::from_secs(8);
        assert_eq!(held(&plan), Executor::ConstantArrivalRate { rate: 10.0, duration });
        plan.gate.rate = Some(80.0);
        assert_eq!(held(&plan), Executor::ConstantArrivalRate { rate: 80.0, duration });
        assert_eq!(requests(&smoke(&plan).unwrap()), Some(640.0));
    }

    #[test]
    fn a_replay_has_to_say_its_rate() {
        let mut plan = plan();
        plan.scenarios[0].executor = Executor::Replay { trace: "trace.csv".into(), speed: 1.0 };
        assert!(smoke(&plan).unwrap_err().contains("[gate]"));
    }
}
