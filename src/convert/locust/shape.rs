//! `LoadTestShape` classes whose stages are written out.

use std::time::Duration;

use crate::convert::draft::{LoadDraft, seconds};
use crate::convert::script::machine::Machine;
use crate::convert::script::syntax::{Class, StatementKind};
use crate::convert::script::value::Known;

/// Most steps of a staircase.
const MOST_STEPS: f64 = 1000.0;

/// A number of users from here on, how fast they come, and how long they stay.
struct Stage {
    users: f64,
    /// Users that start or stop per second.
    rate: f64,
    /// Seconds.
    length: f64,
}

/// The load of a shape; `None` where its stages are made by the program.
pub(super) fn load(machine: &mut Machine<'_, '_>, class: &Class) -> Option<LoadDraft> {
    let mut number = |wanted: &str| {
        class.body.iter().find_map(|statement| match &statement.kind {
            StatementKind::Assign(target, value) if target.path() == [wanted] => {
                Some(machine.eval(value))
            }
            _ => None,
        })
    };
    let stages = match number("stages") {
        Some(stages) => listed(&stages)?,
        None => {
            // The staircase of locust's own examples.
            let time = number("step_time")?.number().filter(|time| *time > 0.0)?;
            let (users, rate) = (number("step_load")?.number()?, number("spawn_rate")?.number()?);
            let limit = number("time_limit")?.number()?;
            let count = (limit / time).ceil().clamp(1.0, MOST_STEPS) as u32;
            let step = |step: u32| Stage {
                users: users * f64::from(step),
                rate,
                length: time.min(limit - time * f64::from(step - 1)),
            };
            (1..=count).map(step).collect()
        }
    };
    ramps(&stages)
}

/// `[{"duration": 60, "users": 10, "spawn_rate": 10}, …]`, in which a duration is the time since
/// the start of the test.
fn listed(of: &Known) -> Option<Vec<Stage>> {
    let mut before = 0.0;
    let mut stages = Vec::new();
    for stage in of.items() {
        let number = |key: &str| stage.get(key).and_then(Known::number);
        let end = number("duration").or_else(|| number("time"))?;
        let users = number("users")?;
        // Where the ends do not rise, they are lengths.
        let length = if end > before { end - before } else { end };
        before += length;
        stages.push(Stage { users, rate: number("spawn_rate").unwrap_or(users).max(1e-3), length });
    }
    Some(stages)
}

fn ramps(stages: &[Stage]) -> Option<LoadDraft> {
    let mut ramps: Vec<(u32, Duration)> = Vec::new();
    let mut now = 0.0;
    for stage in stages {
        let users = stage.users.clamp(0.0, f64::from(u32::MAX)) as u32;
        let ramp = ((stage.users - now).abs() / stage.rate.max(1e-3)).min(stage.length);
        if ramp > 0.0 {
            ramps.push((users, seconds(ramp)?));
        }
        if stage.length > ramp {
            ramps.push((users, seconds(stage.length - ramp)?));
        }
        now = stage.users;
    }
    let is_empty = ramps.iter().all(|(_, length)| length.is_zero());
    (!is_empty).then_some(LoadDraft::RampUsers { start: 0, stages: ramps })
}
