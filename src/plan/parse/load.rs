//! The `[load]` and `[limits]` tables.

use std::ops::Range;
use std::time::Duration;

use super::walk::{Section, Value, Walk};
use crate::plan::{
    Arrivals, Breakpoint, Capacity, Executor, Limits, RampStage, Shape, Soak, VuStage,
};

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
            Some(0) => walk.wrong(value.span(), "`max_in_flight` must be at least 1"),
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
    if let Some(value) = section.take("hosts") {
        let list =
            walk.list(value, "a list of hosts such as `[\"127.0.0.1\", \"*.test.example\"]`");
        let hosts = list.unwrap_or_default().into_iter();
        let text = |value| walk.text(value, "the name of a host, or `*.domain`");
        limits.hosts = hosts.filter_map(text).map(|text| text.value).collect();
    }
    if let Some(value) = section.take("kill_switch") {
        limits.kill_switch = walk.text(value, "a file path or a URL").map(|text| text.value);
    }
    section.finish();
    limits
}

#[derive(Clone, Copy)]
enum ExecutorKind {
    Breakpoint,
    Capacity,
    Constant,
    ConstantVus,
    PerVuIterations,
    Ramping,
    RampingVus,
    Replay,
    SharedIterations,
    Soak,
    Steps,
}

const KINDS: [(&str, ExecutorKind); 11] = [
    ("breakpoint", ExecutorKind::Breakpoint),
    ("capacity", ExecutorKind::Capacity),
    ("constant-arrival-rate", ExecutorKind::Constant),
    ("constant-vus", ExecutorKind::ConstantVus),
    ("per-vu-iterations", ExecutorKind::PerVuIterations),
    ("ramping-arrival-rate", ExecutorKind::Ramping),
    ("ramping-vus", ExecutorKind::RampingVus),
    ("replay", ExecutorKind::Replay),
    ("shared-iterations", ExecutorKind::SharedIterations),
    ("soak", ExecutorKind::Soak),
    ("steps", ExecutorKind::Steps),
];

/// Reads the table of one load: its executor and the spacing of its arrivals.
pub(super) fn read_executor<'t>(
    section: &mut Section<'_, 't>,
    limits: &Limits,
) -> Option<(Executor, Arrivals)> {
    let walk = section.walk;
    let load = Reader { walk, limits };
    let rhythms = [("even", Arrivals::Even), ("poisson", Arrivals::Poisson)];
    let arrivals = section.take("arrivals");
    let executor = match (section.take("executor"), section.take("shape")) {
        (Some(_), Some(shape)) => {
            walk.wrong_with_help(
                shape.span(),
                "a load has an `executor` or a `shape`, not both",
                "remove one of the two: a shape sets the executor itself",
            );
            return None;
        }
        (None, Some(shape)) => load.shape(shape, section),
        (None, None) => load.breakpoint(section),
        // Without the executor nobody knows which keys are right.
        (Some(name), None) => load.kind(walk.choice(name, &KINDS)?, section),
    };
    let executor = executor?;
    if let Some(value) = arrivals.filter(|_| executor.most_vus() > 0) {
        walk.wrong_with_help(
            value.span(),
            "`arrivals` does not work with virtual users: each starts a journey when its last one ends",
            "remove `arrivals`, or use an executor with a rate such as `constant-arrival-rate`",
        );
    }
    load.check_length(&executor, section.span.clone());
    let arrivals = arrivals.map_or(Some(Arrivals::Even), |value| walk.choice(value, &rhythms))?;
    Some((executor, arrivals))
}

struct Reader<'w, 't> {
    walk: &'w Walk<'t>,
    limits: &'w Limits,
}

impl<'t> Reader<'_, 't> {
    /// A rate, within the limits.
    fn rate(&self, value: &Value<'t>) -> Option<f64> {
        let rate = self.walk.rate(value)?;
        if rate > self.limits.max_rate {
            self.walk.wrong_with_help(
                value.span(),
                format!("{rate}/s is above the limit of {}/s", self.limits.max_rate),
                "raise `max_rate` in `[limits]` to allow this rate",
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
        let stages = self.stages(section, "\"100/s\"", |value| self.rate(value));
        let stage = |(target, duration)| RampStage { target, duration };
        let stages = stages?.into_iter().map(stage).collect();
        Some(Executor::RampingArrivalRate { start_rate: start_rate??, stages })
    }

    /// The stages of a ramp. `read` reads the target of one; `target` is an example of it. A stage
    /// can be a jump of no duration, but not every stage.
    fn stages<T>(
        &self,
        section: &mut Section<'_, 't>,
        target: &str,
        read: impl Fn(&Value<'t>) -> Option<T>,
    ) -> Option<Vec<(T, Duration)>> {
        let example = format!("{{ target = {target}, duration = \"30s\" }}");
        let target = format!("target = {target}");
        let value = section.require("stages", &format!("stages = [{example}]"))?;
        let list = self.walk.list(value, "a list of stages")?;
        if list.is_empty() {
            let help = format!("write `stages = [{example}]`");
            self.walk.wrong_with_help(value.span(), "there must be at least one stage", help);
            return None;
        }
        let stage = |value: &Value<'t>| {
            let mut section = self.walk.section(value, &format!("a stage such as `{example}`"))?;
            let target = section.require("target", &target).map(&read);
            let duration = section.require("duration", "duration = \"30s\"");
            let duration = duration.map(|value| self.walk.duration_or_zero(value));
            section.finish();
            Some((target??, duration??))
        };
        let read: Vec<Option<_>> = list.into_iter().map(stage).collect();
        let stages: Vec<(T, Duration)> = read.into_iter().collect::<Option<_>>()?;
        if stages.iter().all(|(_, duration)| duration.is_zero()) {
            self.walk.wrong(
                value.span(),
                "at least one stage needs a duration above zero, such as `30s`",
            );
        }
        Some(stages)
    }

    fn steps(&self, section: &mut Section<'_, 't>) -> Option<Executor> {
        let example = "rates = [\"10/s\", \"20/s\"]";
        let value = section.require("rates", example);
        let rates = value.and_then(|value| {
            let list = self.walk.list(value, "a list of rates")?;
            if list.is_empty() {
                self.walk.wrong_with_help(
                    value.span(),
                    "there must be at least one rate",
                    format!("write `{example}`"),
                );
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
        // Without a highest rate, the limit is the highest rate.
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
        let probe = section.take("probe").map_or(Some(usual.probe), |value| walk.switch(value));
        let (start_rate, max_rate) = (start_rate?, max_rate?);
        if max_rate < start_rate {
            let span = max.or(start).map_or(section.span.clone(), |value| value.span());
            walk.wrong_with_help(
                span,
                format!("`max` is {max_rate}/s, below `start` of {start_rate}/s"),
                "raise `max` or lower `start`",
            );
        }
        let (factor, hold, recovery, probe) = (factor?, hold?, recovery?, probe?);
        let search = Breakpoint { start_rate, max_rate, factor, hold, recovery, probe };
        Some(Executor::Breakpoint(search))
    }

    fn kind(&self, kind: ExecutorKind, section: &mut Section<'_, 't>) -> Option<Executor> {
        match kind {
            ExecutorKind::Breakpoint => self.breakpoint(section),
            ExecutorKind::Capacity => self.capacity(section),
            ExecutorKind::Constant => self.constant(section),
            ExecutorKind::ConstantVus => self.constant_vus(section),
            ExecutorKind::PerVuIterations => self.per_vu_iterations(section),
            ExecutorKind::Ramping => self.ramping(section),
            ExecutorKind::RampingVus => self.ramping_vus(section),
            ExecutorKind::Replay => self.replay(section),
            ExecutorKind::SharedIterations => self.shared_iterations(section),
            ExecutorKind::Soak => self.soak(section),
            ExecutorKind::Steps => self.steps(section),
        }
    }

    /// A load by the name of its shape; two of the shapes are executors.
    fn shape(&self, value: &Value<'t>, section: &mut Section<'_, 't>) -> Option<Executor> {
        let executors =
            [("breakpoint", Err(ExecutorKind::Breakpoint)), ("soak", Err(ExecutorKind::Soak))];
        let shapes = Shape::ALL.map(|(name, shape)| (name, Ok(shape)));
        let choices: Vec<_> = executors.into_iter().chain(shapes).collect();
        let shape = match self.walk.choice(value, &choices)? {
            Ok(shape) => shape,
            Err(kind) => return self.kind(kind, section),
        };
        let duration = section.take("duration");
        let duration =
            duration.map_or(Some(shape.usual_duration()), |value| self.walk.duration(value));
        let rate = match shape {
            Shape::Smoke => section.take("rate").map_or(Some(1.0), |value| self.rate(value)),
            _ => section.require("rate", "rate = \"50/s\"").and_then(|value| self.rate(value)),
        };
        let executor = shape.executor(rate?, duration?);
        if executor.highest_rate() > self.limits.max_rate {
            self.walk.wrong_with_help(
                value.span(),
                format!(
                    "the shape goes up to {}/s, above the limit of {}/s",
                    executor.highest_rate(),
                    self.limits.max_rate
                ),
                "raise `max_rate` in `[limits]` to allow this rate",
            );
        }
        Some(executor)
    }

    fn capacity(&self, section: &mut Section<'_, 't>) -> Option<Executor> {
        let walk = self.walk;
        let usual = Capacity::usual();
        let start = section.take("start").map_or(Some(usual.start_rate), |value| self.rate(value));
        let usual_max = usual.max_rate.min(self.limits.max_rate);
        let max = section.take("max").map_or(Some(usual_max), |value| self.rate(value));
        let hold = section.take("hold").map_or(Some(usual.hold), |value| walk.duration(value));
        let precision =
            section.take("precision").map_or(Some(usual.precision), |value| walk.share(value));
        let (start_rate, max_rate, precision) = (start?, max?, precision?);
        if max_rate < start_rate {
            walk.wrong_with_help(
                section.span.clone(),
                format!("`max` is {max_rate}/s, below `start` of {start_rate}/s"),
                "raise `max` or lower `start`",
            );
        }
        let precision = precision.max(Capacity::FINEST);
        Some(Executor::Capacity(Capacity { start_rate, max_rate, hold: hold?, precision }))
    }

    /// Virtual users, within the limits.
    fn vus(&self, value: &Value<'t>) -> Option<u32> {
        let count = self.walk.integer(value, "a number of virtual users")?;
        let most = self.limits.max_in_flight as u64;
        if count > most {
            self.walk.wrong_with_help(
                value.span(),
                format!(
                    "{count} virtual users are more than the limit of {most} requests in flight"
                ),
                "raise `max_in_flight` in `[limits]` to allow them",
            );
        }
        Some(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// The same, at least one.
    fn some_vus(&self, section: &mut Section<'_, 't>) -> Option<u32> {
        let value = section.require("vus", "vus = 10")?;
        let vus = self.vus(value)?;
        if vus == 0 {
            self.walk
                .wrong(value.span(), "there must be at least one virtual user, such as `vus = 10`");
        }
        Some(vus)
    }

    fn constant_vus(&self, section: &mut Section<'_, 't>) -> Option<Executor> {
        let vus = self.some_vus(section);
        let duration = section.require("duration", "duration = \"1m\"");
        let duration = duration.map(|value| self.walk.duration(value));
        Some(Executor::ConstantVus { vus: vus?, duration: duration?? })
    }

    fn ramping_vus(&self, section: &mut Section<'_, 't>) -> Option<Executor> {
        let start_vus = section.take("start_vus").map_or(Some(1), |value| self.vus(value));
        let stages = self.stages(section, "100", |value| self.vus(value));
        let stage = |(target, duration)| VuStage { target, duration };
        let stages = stages?.into_iter().map(stage).collect();
        Some(Executor::RampingVus { start_vus: start_vus?, stages })
    }

    /// Virtual users, iterations and the longest duration.
    fn iterations(&self, section: &mut Section<'_, 't>) -> Option<(u32, u64, Duration)> {
        let vus = self.some_vus(section);
        let iterations = section.require("iterations", "iterations = 100").and_then(|value| {
            let count = self.walk.integer(value, "a whole number such as `100`")?;
            if count == 0 {
                self.walk.wrong(
                    value.span(),
                    "there must be at least one iteration, such as `iterations = 100`",
                );
            }
            Some(count)
        });
        // k6's default.
        let usual = Duration::from_secs(600).min(self.limits.max_duration);
        let longest =
            section.take("max_duration").map_or(Some(usual), |value| self.walk.duration(value));
        Some((vus?, iterations?, longest?))
    }

    fn per_vu_iterations(&self, section: &mut Section<'_, 't>) -> Option<Executor> {
        let (vus, iterations, max_duration) = self.iterations(section)?;
        Some(Executor::PerVuIterations { vus, iterations, max_duration })
    }

    fn shared_iterations(&self, section: &mut Section<'_, 't>) -> Option<Executor> {
        let (vus, iterations, max_duration) = self.iterations(section)?;
        Some(Executor::SharedIterations { vus, iterations, max_duration })
    }

    fn replay(&self, section: &mut Section<'_, 't>) -> Option<Executor> {
        let trace = section.require("trace", "trace = \"trace.csv\"");
        let trace = trace.and_then(|value| self.walk.text(value, "the path of a CSV file"));
        let speed = section.take("speed").map_or(Some(1.0), |value| {
            let speed = self.walk.number(value, "a factor above zero such as `2.0`")?;
            if speed <= 0.0 {
                self.walk.wrong(value.span(), "the speed must be above zero, such as `2.0`");
            }
            Some(speed)
        });
        Some(Executor::Replay { trace: trace?.value, speed: speed? })
    }

    /// Notes a load that the limits would cut off: better now than after half an hour.
    fn check_length(&self, executor: &Executor, span: Range<usize>) {
        let Some(length) = executor.length() else { return };
        if length > self.limits.max_duration {
            self.walk.wrong_with_help(
                span,
                format!(
                    "the load takes {length:?}, longer than the limit of {:?}",
                    self.limits.max_duration
                ),
                "raise `max_duration` in `[limits]`, or shorten the load",
            );
        }
    }
}
