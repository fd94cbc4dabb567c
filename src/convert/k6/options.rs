//! `options`: scenarios and their executors, stages, thresholds.

use std::time::Duration;

use crate::convert::draft::{LoadDraft, ObjectiveDraft, plan_time, seconds};
use crate::convert::script::machine::Machine;
use crate::convert::script::syntax::{Expr, ExprKind};
use crate::convert::script::value::Known;
use crate::plan::parse_duration;

/// k6's own default for executors with iterations.
const LONGEST_ITERATIONS: Duration = Duration::from_secs(600);
/// Options that change nothing about what is sent.
const HARMLESS: [&str; 9] = [
    "summaryTrendStats",
    "summaryTimeUnit",
    "cloud",
    "ext",
    "discardResponseBodies",
    "setupTimeout",
    "teardownTimeout",
    "systemTags",
    "noUsageReport",
];

/// One scenario of the script.
pub(super) struct ScenarioOptions {
    pub(super) name: String,
    /// The function that its users call.
    pub(super) exec: String,
    pub(super) start: Duration,
    pub(super) load: LoadDraft,
    pub(super) tags: Vec<(String, String)>,
    pub(super) env: Vec<(String, Known)>,
    pub(super) line: usize,
}

/// What `options` says.
#[derive(Default)]
pub(super) struct Options {
    pub(super) scenarios: Vec<ScenarioOptions>,
    /// Metrics with their conditions, and the lines.
    pub(super) thresholds: Vec<(usize, String, Vec<Known>)>,
}

/// Reads the value of `options`.
pub(super) fn read(machine: &mut Machine<'_, '_>, expr: &Expr) -> Options {
    let mut options = Options::default();
    let whole = machine.eval(expr);
    let ExprKind::Map(entries) = &expr.kind else {
        machine.lost(expr.line, "options that are not written where they are exported");
        return options;
    };
    for (key, value) in entries {
        let ExprKind::Text(name) = &key.kind else { continue };
        match name.as_str() {
            "vus" | "duration" | "iterations" | "stages" => {}
            "scenarios" => scenarios(machine, value, &mut options),
            "thresholds" => {
                let known = machine.eval(value);
                for (metric, conditions) in known.entries() {
                    let conditions = match conditions {
                        Known::List(items) => items.to_vec(),
                        one => vec![one.clone()],
                    };
                    let line = line_of(value, metric);
                    options.thresholds.push((line, metric.clone(), conditions));
                }
            }
            name if HARMLESS.contains(&name) => {}
            name => machine.lost(key.line, format!("the option `{}`", name.escape_debug())),
        }
    }
    if options.scenarios.is_empty()
        && let Some(load) = short_form(&whole)
    {
        options.scenarios.push(ScenarioOptions {
            name: "default".to_owned(),
            exec: "default".to_owned(),
            start: Duration::ZERO,
            load,
            tags: Vec::new(),
            env: Vec::new(),
            line: expr.line,
        });
    }
    options
}

/// The line of a key of a table.
fn line_of(table: &Expr, wanted: &str) -> usize {
    let ExprKind::Map(entries) = &table.kind else { return table.line };
    let is_it = |key: &Expr| matches!(&key.kind, ExprKind::Text(text) if text == wanted);
    entries.iter().find(|(key, _)| is_it(key)).map_or(table.line, |(key, _)| key.line)
}

/// `vus`, `duration`, `iterations` and `stages` without scenarios.
fn short_form(options: &Known) -> Option<LoadDraft> {
    let vus = options.get("vus").and_then(Known::number);
    let iterations = options.get("iterations").and_then(Known::number);
    let duration = options.get("duration").and_then(time);
    if let Some(stages) = options.get("stages") {
        return ramping_users(vus.unwrap_or(1.0), stages);
    }
    let vus = count(vus.unwrap_or(1.0));
    match (iterations, duration) {
        (Some(iterations), longest) => Some(LoadDraft::Iterations {
            vus,
            iterations: iterations.max(1.0) as u64,
            shared: true,
            longest: longest.unwrap_or(LONGEST_ITERATIONS),
        }),
        (None, Some(duration)) => Some(LoadDraft::Users { vus, duration }),
        (None, None) => None,
    }
}

fn scenarios(machine: &mut Machine<'_, '_>, expr: &Expr, options: &mut Options) {
    let known = machine.eval(expr);
    for (name, scenario) in known.entries() {
        let line = line_of(expr, name);
        let executor = scenario.get("executor").and_then(Known::fixed).unwrap_or_default();
        let Some(load) = load(&executor, scenario) else {
            let text = format!(
                "the scenario `{}`: its executor or one of its numbers is not known",
                name.escape_debug()
            );
            machine.lost(line, text);
            continue;
        };
        let text = |key: &str| scenario.get(key).and_then(Known::fixed);
        let tags = scenario.get("tags").map_or(&[][..], Known::entries);
        let tags = tags.iter().filter_map(|(tag, text)| Some((tag.clone(), text.fixed()?)));
        let env = scenario.get("env").map_or(&[][..], Known::entries);
        options.scenarios.push(ScenarioOptions {
            name: name.clone(),
            exec: text("exec").unwrap_or_else(|| "default".to_owned()),
            start: scenario.get("startTime").and_then(time).unwrap_or_default(),
            load,
            tags: tags.collect(),
            env: env.to_vec(),
            line,
        });
    }
}

/// The load of an executor; `None` where one of its numbers is not known.
fn load(executor: &str, of: &Known) -> Option<LoadDraft> {
    let number = |key: &str| of.get(key).and_then(Known::number);
    let duration = |key: &str| of.get(key).and_then(time).filter(|time| !time.is_zero());
    let vus = count(number("vus").unwrap_or(1.0));
    let unit = of.get("timeUnit").and_then(time).unwrap_or(Duration::from_secs(1));
    let unit = unit.as_secs_f64().max(1e-9);
    match executor {
        "shared-iterations" | "per-vu-iterations" => Some(LoadDraft::Iterations {
            vus,
            iterations: number("iterations").unwrap_or(1.0).max(1.0) as u64,
            shared: executor == "shared-iterations",
            longest: duration("maxDuration").unwrap_or(LONGEST_ITERATIONS),
        }),
        "constant-vus" | "externally-controlled" => {
            Some(LoadDraft::Users { vus, duration: duration("duration")? })
        }
        "ramping-vus" => ramping_users(number("startVUs").unwrap_or(1.0), of.get("stages")?),
        "constant-arrival-rate" => Some(LoadDraft::Constant {
            rate: number("rate")? / unit,
            duration: duration("duration")?,
        }),
        "ramping-arrival-rate" => {
            let stages = stages(of.get("stages")?)?;
            let stages = stages.into_iter().map(|(rate, length)| (rate / unit, length, None));
            let start = number("startRate").unwrap_or(0.0) / unit;
            Some(LoadDraft::Ramp { start, stages: stages.collect() })
        }
        _ => None,
    }
}

fn ramping_users(start: f64, of: &Known) -> Option<LoadDraft> {
    let stages = stages(of)?;
    let stages = stages.into_iter().map(|(vus, length)| (whole(vus), length)).collect();
    Some(LoadDraft::RampUsers { start: whole(start), stages })
}

/// Targets with the time that each takes; `None` where one is not known, or none takes time.
fn stages(of: &Known) -> Option<Vec<(f64, Duration)>> {
    let stage = |stage: &Known| {
        Some((stage.get("target")?.number()?.max(0.0), time(stage.get("duration")?)?))
    };
    let stages: Vec<(f64, Duration)> = of.items().iter().map(stage).collect::<Option<_>>()?;
    stages.iter().any(|(_, length)| !length.is_zero()).then_some(stages)
}

fn whole(number: f64) -> u32 {
    number.clamp(0.0, f64::from(u32::MAX)) as u32
}

fn count(number: f64) -> u32 {
    whole(number).max(1)
}

/// `"1m30s"`, or a number of milliseconds.
fn time(of: &Known) -> Option<Duration> {
    match of {
        Known::Number(millis) => seconds(millis / 1e3),
        of => parse_duration(of.fixed()?.trim()).ok().and_then(plan_time),
    }
}

/// A threshold as an objective; `None` where a plan has nothing like it.
pub(super) fn objective(metric: &str, of: &Known) -> Option<ObjectiveDraft> {
    let text = of.get("threshold").unwrap_or(of).fixed()?;
    let is_abort = matches!(of.get("abortOnFail"), Some(Known::Switch(true)));
    let delay = of.get("delayAbortEval").and_then(time).unwrap_or_default();
    let at = text.find(['<', '>'])?;
    let (what, rest) = text.split_at(at);
    let bound = rest.trim_start_matches(['<', '>', '=']).trim();
    let sign = rest.get(..rest.len() - rest.trim_start_matches(['<', '>', '=']).len())?;
    let what = what.trim();
    let number: f64 = bound.parse().ok()?;
    let metric = metric.split('{').next().unwrap_or_default().trim();
    let is_quantile = what.strip_prefix("p(").and_then(|it| it.strip_suffix(')'));
    let is_quantile = is_quantile.and_then(|it| it.trim().parse::<f64>().ok());
    let condition = match metric {
        "http_req_duration"
            if number > 0.0
                && (is_quantile.is_some_and(|it| (0.0..=100.0).contains(&it))
                    || matches!(what, "avg" | "med" | "max")) =>
        {
            format!("{} {sign} {bound}ms", what.replace(' ', ""))
        }
        "http_req_failed" if what == "rate" && (0.0..=1.0).contains(&number) => {
            format!("rate {sign} {bound}")
        }
        _ => return None,
    };
    // Plans read numbers without sign and exponent.
    let is_plain = bound.chars().all(|c| c.is_ascii_digit() || c == '.');
    is_plain.then_some(ObjectiveDraft { condition, abort: is_abort.then_some(delay) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_become_objectives() {
        for (metric, text, condition) in [
            ("http_req_duration", "p(95)<500", Some("p(95) < 500ms")),
            ("http_req_duration{name:a}", "avg <= 200.5", Some("avg <= 200.5ms")),
            ("http_req_failed", "rate<0.01", Some("rate < 0.01")),
            ("http_req_duration", "min<5", None),
            ("checks", "rate>0.9", None),
            ("http_req_duration", "p(95)<1e3", None),
        ] {
            let made = objective(metric, &Known::text(text));
            assert_eq!(made.map(|it| it.condition).as_deref(), condition, "{metric} {text}");
        }
    }
}
