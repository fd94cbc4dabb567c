//! `soak`: one rate held for hours, from a plan or a URL.

use std::time::Duration;

use super::args::SoakArgs;
use super::error::{CliError, CommandResult};
use super::run::{live, plan_for_probing, plan_of, rate};
use crate::plan::{Executor, Plan, Scenario, Soak, parse_duration};
use crate::report::wording;

/// Default length of a soak.
const USUAL: Duration = Duration::from_secs(3600);
/// Time that a run may need beyond its load: the collectors start earlier, and requests end late.
const SLACK: Duration = Duration::from_secs(60);

pub(super) fn main(args: &SoakArgs) -> CommandResult {
    let mut plan =
        plan_of(&args.live, &args.probe.given(), |url| plan_for_probing(url, &args.probe))?;
    let soak = soak(args, &plan)?;
    if soak.rate > plan.limits.max_rate {
        let (asked, limit) = (wording::rate(soak.rate), wording::rate(plan.limits.max_rate));
        return Err(CliError::usage(format!("{asked} is above the limit of {limit}"))
            .with_hint("raise `max_rate` in `[limits]` to allow this rate"));
    }
    // A time given on the command line also raises the plan's limit.
    plan.limits.max_duration = plan.limits.max_duration.max(soak.length().saturating_add(SLACK));
    let arrivals = plan.scenarios.first().map(|scenario| scenario.arrivals).unwrap_or_default();
    let journeys = plan.journeys.len();
    plan.scenarios = vec![Scenario::only(Executor::Soak(soak), arrivals, journeys)];
    live(plan, &args.live, None, None)
}

/// The soak that results from the plan and the command line together.
fn soak(args: &SoakArgs, plan: &Plan) -> Result<Soak, CliError> {
    let planned = match &plan.scenarios[..] {
        [Scenario { executor: Executor::Soak(soak), .. }] => Some(*soak),
        [Scenario { executor: Executor::ConstantArrivalRate { rate, duration }, .. }] => {
            Some(Soak::usual(*rate, *duration))
        }
        _ => None,
    };
    let asked = args.rate.as_deref().map(|text| rate("--rate", text)).transpose()?;
    let Some(rate) = asked.or(planned.map(|soak| soak.rate)) else {
        return Err(CliError::usage("a soak needs a rate to hold")
            .with_hint("set it with `--rate 50/s`; half of the capacity is a good start"));
    };
    let wrong = |why: String| CliError::usage(format!("`--duration`: {why}"));
    let duration = args.duration.as_deref().map(parse_duration).transpose().map_err(wrong)?;
    if duration.is_some_and(|duration| duration.is_zero()) {
        return Err(wrong("the time must be above zero, such as `2h`".to_owned()));
    }
    let planned_duration = planned.map(|soak| soak.duration);
    let duration = duration.or(planned_duration).unwrap_or(USUAL);
    let mut soak = planned.unwrap_or_else(|| Soak::usual(rate, duration));
    (soak.rate, soak.duration) = (rate, duration);
    soak.until_settled |= args.until_settled;
    Ok(soak)
}
