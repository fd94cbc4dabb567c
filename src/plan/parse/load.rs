//! The `[load]` and `[limits]` tables.

use std::ops::Range;
use std::time::Duration;

use super::walk::{Section, Value, Walk};
use crate::plan::{Arrivals, Breakpoint, Executor, Limits, RampStage, Soak};

pub(super) fn read_limits(root: &mut Section<'_, '_>) -> Limits {
    let walk = root.walk;
    let mut limits = Limits::usual();
    let section = root.take("limits").and_then(|value| walk.section(value, "a table `[limits]`"));
    let Some(mut section) = section else { return limits };
    if let Some(rate) = section.take("max_rate").and_then(|value| walk.rate(value)) {
        limits.max_rate = rate;
    }
    if let Some(value) = section.take("max_in_flight") {
        match walk.integer(value, "a whole number above zero") {
            Some(0) => walk.wrong(value.span(), "at least one request must be allowed in flight"),
            Some(number) => limits.max_in_flight = usize::try_from(number).unwrap_or(usize::MAX),
            None => {}
        }
    }
    if let Some(duration) = section.take("max_duration").and_then(|value| walk.duration(value)) {
        limits.max_duration = duration;
    }
    if let Some(share) = section.take("error_budget").and_then(|value| walk.share(value)) {
        limits.error_budget = share;
    }
    section.finish();
    limits
}

#[derive(Clone, Copy)]
enum Shape {
    Constant,
    Ramping,
    Steps,
    Soak,
    Breakpoint,
}

pub(super) fn read(root: &mut Section<'_, '_>, limits: &Limits) -> Option<(Executor, Arrivals)> {
    let walk = root.walk;
    let Some(value) = root.take("load") else {
        return Some((Executor::Breakpoint(Breakpoint::usual()), Arrivals::Even));
    };
    let mut section = walk.section(value, "a table `[load]`")?;
    let choices = [
        ("breakpoint", Shape::Breakpoint),
        ("constant-arrival-rate", Shape::Constant),
        ("ramping-arrival-rate", Shape::Ramping),
        ("soak", Shape::Soak),
        ("steps", Shape::Steps),
    ];
    let shape = match section.take("executor") {
        None => Shape::Breakpoint,
        // Without it no one knows which keys are right.
        Some(value) => walk.choice(value, &choices)?,
    };
    let rhythms = [("even", Arrivals::Even), ("poisson", Arrivals::Poisson)];
    let arrivals =
        section.take("arrivals").map_or(Some(Arrivals::Even), |value| walk.choice(value, &rhythms));
    let load = Reader { walk, limits };
    let executor = match shape {
        Shape::Constant => load.constant(&mut section),
        Shape::Ramping => load.ramping(&mut section),
        Shape::Steps => load.steps(&mut section),
        Shape::Soak => load.soak(&mut section),
        Shape::Breakpoint => load.breakpoint(&mut section),
    };
    let span = section.span.clone();
    section.finish();
    if let Some(executor) = &executor {
        load.check_length(executor, span);
    }
    Some((executor?, arrivals?))
}

struct Reader<'w, 't> {
    walk: &'w Walk<'t>,
    limits: &'w Limits,
}

impl<'t> Reader<'_, 't> {
    /// A rate that the limits allow.
    fn rate(&self, value: &Value<'t>) -> Option<f64> {
        let rate = self.walk.rate(value)?;
        if rate > self.limits.max_rate {
            self.walk.wrong_with_help(
                value.span(),
                format!("{rate}/s is above the limit of {}/s", self.limits.max_rate),
                "raise `max_rate` in `[limits]` if the target may have that much",
            );
        }
        Some(rate)
    }

    fn constant(&self, section: &mut Section<'_, 't>) -> Option<Executor> {
        let rate = section.require("rate", "rate = \"50/s\"").map(|value| self.rate(value));
        let duration = section.require("duration", "duration = \"1m\"");
        let duration = duration.map(|value| self.walk.duration(value));
        Some(Executor::ConstantArrivalRate { rate: rate??, duration: duration?? })
    }

    fn ramping(&self, section: &mut Section<'_, 't>) -> Option<Executor> {
        let start = section.require("start_rate", "start_rate = \"10/s\"");
        let start_rate = start.map(|value| self.rate(value));
        let example = "stages = [{ target = \"100/s\", duration = \"30s\" }]";
        let value = section.require("stages", example);
        let stages = value.and_then(|value| {
            let list = self.walk.list(value, "a list of stages")?;
            if list.is_empty() {
                self.walk.wrong_with_help(
                    value.span(),
                    "there must be at least one stage",
                    example,
                );
            }
            list.into_iter().map(|value| self.ramp_stage(value)).collect::<Option<Vec<_>>>()
        });
        Some(Executor::RampingArrivalRate { start_rate: start_rate??, stages: stages? })
    }

    fn ramp_stage(&self, value: &Value<'t>) -> Option<RampStage> {
        let what = "a stage such as `{ target = \"100/s\", duration = \"30s\" }`";
        let mut section = self.walk.section(value, what)?;
        let target = section.require("target", "target = \"100/s\"");
        let target = target.map(|value| self.rate(value));
        let duration = section.require("duration", "duration = \"30s\"");
        let duration = duration.map(|value| self.walk.duration(value));
        section.finish();
        Some(RampStage { target: target??, duration: duration?? })
    }

    fn steps(&self, section: &mut Section<'_, 't>) -> Option<Executor> {
        let example = "rates = [\"10/s\", \"20/s\"]";
        let value = section.require("rates", example);
        let rates = value.and_then(|value| {
            let list = self.walk.list(value, "a list of rates")?;
            if list.is_empty() {
                self.walk.wrong_with_help(value.span(), "there must be at least one rate", example);
            }
            list.into_iter().map(|value| self.rate(value)).collect::<Option<Vec<_>>>()
        });
        let hold = section.require("hold", "hold = \"10s\"").map(|value| self.walk.duration(value));
        Some(Executor::Steps { rates: rates?, hold: hold?? })
    }

    fn soak(&self, section: &mut Section<'_, 't>) -> Option<Executor> {
        let walk = self.walk;
        let rate = section.require("rate", "rate = \"50/s\"").map(|value| self.rate(value));
        let duration = section.require("duration", "duration = \"2h\"");
        let duration = duration.map(|value| walk.duration(value));
        let until_settled = section.take("until_settled").map(|value| walk.switch(value));
        let recovery = section.take("recovery").map(|value| walk.duration_or_zero(value));
        let mut soak = Soak::usual(rate??, duration??);
        if let Some(until_settled) = until_settled {
            soak.until_settled = until_settled?;
        }
        if let Some(recovery) = recovery {
            soak.recovery = recovery?;
        }
        Some(Executor::Soak(soak))
    }

    fn breakpoint(&self, section: &mut Section<'_, 't>) -> Option<Executor> {
        let walk = self.walk;
        let usual = Breakpoint::usual();
        let start = section.take("start");
        let start_rate = start.map_or(Some(usual.start_rate), |value| self.rate(value));
        let max = section.take("max");
        // Where the plan has limits and no highest rate, the limit is the highest rate.
        let usual_max = usual.max_rate.min(self.limits.max_rate);
        let max_rate = max.map_or(Some(usual_max), |value| self.rate(value));
        let factor = section.take("factor").map_or(Some(usual.factor), |value| {
            let factor = walk.number(value, "a factor above 1 such as `1.5`")?;
            if factor <= 1.0 {
                walk.wrong(value.span(), "the factor must be above 1, such as `1.5`");
            }
            Some(factor)
        });
        let hold = section.take("hold").map_or(Some(usual.hold), |value| walk.duration(value));
        let recovery = section
            .take("recovery")
            .map_or(Some(usual.recovery), |value| walk.duration_or_zero(value));
        let (start_rate, max_rate) = (start_rate?, max_rate?);
        if max_rate < start_rate {
            let span = max.or(start).map_or(section.span.clone(), |value| value.span());
            walk.wrong_with_help(
                span,
                format!("the highest rate {max_rate}/s is below the first one, {start_rate}/s"),
                "`max` must be above `start`",
            );
        }
        let (factor, hold, recovery) = (factor?, hold?, recovery?);
        Some(Executor::Breakpoint(Breakpoint { start_rate, max_rate, factor, hold, recovery }))
    }

    /// A load that would be cut off by the limits is a mistake, not a surprise after half an hour.
    fn check_length(&self, executor: &Executor, span: Range<usize>) {
        let length = match executor {
            Executor::ConstantArrivalRate { duration, .. } => *duration,
            Executor::RampingArrivalRate { stages, .. } => {
                stages.iter().fold(Duration::ZERO, |sum, stage| sum.saturating_add(stage.duration))
            }
            Executor::Steps { rates, hold } => {
                hold.saturating_mul(u32::try_from(rates.len()).unwrap_or(u32::MAX))
            }
            Executor::Soak(soak) => soak.length(),
            // Its length is not known before.
            Executor::Breakpoint(_) => return,
        };
        if length > self.limits.max_duration {
            self.walk.wrong_with_help(
                span,
                format!(
                    "the load takes {length:?}, longer than the limit of {:?}",
                    self.limits.max_duration
                ),
                "raise `max_duration` in `[limits]`",
            );
        }
    }
}
