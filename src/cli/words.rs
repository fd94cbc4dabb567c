//! A plan as text, for `check` and `--dry-run`.

use std::time::Duration;

use crate::plan::{Canary, Executor, Plan, ReconnectStorm};
use crate::report::wording;

/// The number of canaries, as the end of a sentence; empty if there are none.
pub(super) fn canaries(canaries: &[Canary]) -> String {
    match canaries.len() as u64 {
        0 => String::new(),
        count => format!(", with {}", wording::plural(count, "canary", "canaries")),
    }
}

/// Which connections are dropped, and how they reconnect.
pub(super) fn storm(storm: &ReconnectStorm) -> String {
    let time = |duration: Duration| wording::duration(duration.as_secs_f64());
    let ReconnectStorm { drop, backoff } = storm;
    let every = drop.every.map(|every| format!(" and every {} after that", time(every)));
    format!(
        "{} of the connections are dropped at {}{}, each back after {} to {}",
        wording::percent(drop.share),
        time(drop.at),
        every.unwrap_or_default(),
        time(backoff.from / 2),
        time(backoff.to)
    )
}

/// Every load of a plan.
pub(super) fn loads(plan: &Plan) -> String {
    let several = plan.scenarios.len() > 1;
    let scenarios = plan.scenarios.iter().map(|scenario| {
        let name = if several { format!("{}: ", scenario.name) } else { String::new() };
        let start = match scenario.start.is_zero() {
            true => String::new(),
            false => format!(" from {} on", wording::duration(scenario.start.as_secs_f64())),
        };
        format!("{name}{}{start}", load(&scenario.executor))
    });
    scenarios.collect::<Vec<_>>().join("; ")
}

/// One load.
pub(super) fn load(executor: &Executor) -> String {
    let time = |duration: &Duration| wording::duration(duration.as_secs_f64());
    let users = |vus: u32| wording::plural(u64::from(vus), "virtual user", "virtual users");
    match executor {
        Executor::ConstantArrivalRate { rate, duration } => {
            format!("{} for {}", wording::rate(*rate), time(duration))
        }
        Executor::RampingArrivalRate { .. } => {
            let total = executor.length().unwrap_or_default();
            format!("ramping to {} within {}", wording::rate(executor.highest_rate()), time(&total))
        }
        Executor::Steps { rates, hold } => format!(
            "{}, each held {}",
            wording::plural(rates.len() as u64, "step", "steps"),
            time(hold)
        ),
        Executor::ConstantVus { vus, duration } => {
            format!("{} for {}", users(*vus), time(duration))
        }
        Executor::RampingVus { .. } => {
            let total = executor.length().unwrap_or_default();
            format!("ramping to {} within {}", users(executor.most_vus()), time(&total))
        }
        Executor::PerVuIterations { vus, iterations, .. } => format!(
            "{}, each {}",
            users(*vus),
            wording::plural(*iterations, "iteration", "iterations")
        ),
        Executor::SharedIterations { vus, iterations, .. } => format!(
            "{} by {}",
            wording::plural(*iterations, "iteration", "iterations"),
            users(*vus)
        ),
        Executor::Replay { trace, speed } if *speed == 1.0 => format!("replaying `{trace}`"),
        Executor::Replay { trace, speed } => {
            format!("replaying `{trace}` {speed} times as fast")
        }
        Executor::Soak(soak) => format!(
            "soaking at {} for {}{}",
            wording::rate(soak.rate),
            time(&soak.duration),
            if soak.until_settled { ", or until it is clear what leaks" } else { "" }
        ),
        Executor::Breakpoint(search) => format!(
            "searching for the breakpoint from {} up to {}",
            wording::rate(search.start_rate),
            wording::rate(search.max_rate)
        ),
        Executor::Capacity(search) => format!(
            "searching for the highest rate that meets the objectives, from {} up to {}",
            wording::rate(search.start_rate),
            wording::rate(search.max_rate)
        ),
    }
}
