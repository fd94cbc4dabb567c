//! The `[objectives]` table, in the form of k6's thresholds.

use std::ops::Range;
use std::time::Duration;

use super::walk::{Section, StringValue, Value, Walk, optional};
use crate::plan::units::{decimal, parse_amount, parse_duration, parse_share};
use crate::plan::{
    CollectorConfig, Comparison, Objective, ObjectiveMeasure, Reduction, Request, nearest,
};
use crate::timeline::{Selector, names};

const METRICS: [&str; 2] = ["http_req_duration", "http_req_failed"];
/// The quantiles of the response time by which two builds are compared.
const COMPARED: [f64; 3] = [0.5, 0.95, 0.99];
const FORM: &str = "write `p(95) < 300ms` or `avg < 200ms` for `http_req_duration`, `rate < 1%` for \
                    `http_req_failed`, `avg`, `min`, `max` or `rate` for every other series";

pub(super) fn read(
    root: &mut Section<'_, '_>,
    requests: &[Request],
    collectors: &[&CollectorConfig],
) -> Vec<Objective> {
    let walk = root.walk;
    let section =
        root.take("objectives").and_then(|value| walk.section(value, "a table `[objectives]`"));
    // Only the names of series from Prometheus endpoints are unknown until the run.
    let has_foreign = collectors.iter().any(|collector| collector.name == "prometheus");
    let mut objectives = Vec::new();
    for (key, span, value) in section.iter().flat_map(Section::entries) {
        let subject = match subject(key, requests, has_foreign) {
            Ok(subject) => subject,
            Err((why, help)) => {
                walk.wrong_with_help(span, why, help);
                continue;
            }
        };
        for Written { text, abort_after, max_worse } in conditions(walk, value) {
            match condition(&subject, &text.value) {
                Ok((measure, comparison, bound, window)) => objectives.push(Objective {
                    text: format!("{key}: {}", text.value),
                    max_worse: max_worse
                        .and_then(|(share, at)| is_compared(walk, &measure, at).then_some(share)),
                    measure,
                    comparison,
                    bound,
                    endpoints: subject.endpoints.clone(),
                    window,
                    abort_after,
                }),
                Err(why) => {
                    walk.wrong_with_help(text.span, format!("`{}` {why}", text.raw), FORM);
                }
            }
        }
    }
    objectives
}

/// What an objective judges.
struct Subject<'k> {
    /// One of the load's own metrics, or the selector of any other.
    metric: &'k str,
    endpoints: Vec<String>,
}

/// Reads `metric{endpoint}`, `metric{tag:value}` or `metric{label=value}`. k6's `{name:endpoint}`
/// is an endpoint too.
///
/// # Errors
///
/// What is wrong with it, and what to write instead.
fn subject<'k>(
    key: &'k str,
    requests: &[Request],
    has_foreign: bool,
) -> Result<Subject<'k>, (String, String)> {
    let (metric, part) = match key.split_once('{') {
        None => (key, None),
        Some((metric, rest)) => (metric.trim_end(), Some(rest.strip_suffix('}').unwrap_or(rest))),
    };
    if !METRICS.contains(&metric) {
        let Ok(selector) = key.parse::<Selector>() else {
            return Err((format!("`{key}` is not a valid metric"), FORM.to_owned()));
        };
        let own = || names::ALL.iter().map(|spec| spec.name).chain(METRICS);
        return match has_foreign || own().any(|name| name == selector.metric) {
            true => Ok(Subject { metric: key, endpoints: Vec::new() }),
            false => Err((
                format!("`{}` is not a known metric", selector.metric),
                nearest(&selector.metric, own()).unwrap_or_else(|| {
                    "run `kneepoint list metrics` to see them all; `[collect.prometheus]` adds \
                     those of an endpoint"
                        .to_owned()
                }),
            )),
        };
    }
    let Some(part) = part else { return Ok(Subject { metric, endpoints: Vec::new() }) };
    let part = part.strip_prefix("name:").unwrap_or(part);
    let is_meant = |request: &&Request| match part.split_once(':') {
        _ if request.name == part => true,
        Some((tag, value)) => request.tags.get(tag).is_some_and(|own| own == value),
        None => false,
    };
    let mut endpoints: Vec<String> = Vec::new();
    for request in requests.iter().filter(is_meant) {
        if !endpoints.contains(&request.name) {
            endpoints.push(request.name.clone());
        }
    }
    if endpoints.is_empty() {
        let tags = requests.iter().flat_map(|request| &request.tags);
        let tags: Vec<String> = tags.map(|(tag, value)| format!("{tag}:{value}")).collect();
        let names = requests.iter().map(|request| request.name.as_str());
        let help = nearest(part, names.chain(tags.iter().map(String::as_str)))
            .unwrap_or_else(|| "write the `name` of a request, or a tag as `tag:value`".to_owned());
        return Err((format!("there is no request or tag `{part}`"), help));
    }
    Ok(Subject { metric, endpoints })
}

/// One condition as the plan writes it.
struct Written {
    text: StringValue,
    /// Whether and when it ends the run.
    abort_after: Option<Duration>,
    /// The rise that is allowed from one build to the next, and where that stands.
    max_worse: Option<(f64, Range<usize>)>,
}

/// The conditions of one key.
fn conditions<'t>(walk: &Walk<'t>, value: &Value<'t>) -> Vec<Written> {
    match value.get_ref().as_array() {
        Some(list) => list.iter().filter_map(|value| one_condition(walk, value)).collect(),
        None => one_condition(walk, value).into_iter().collect(),
    }
}

fn one_condition<'t>(walk: &Walk<'t>, value: &Value<'t>) -> Option<Written> {
    const WHAT: &str = "a condition such as `\"p(95) < 300ms\"`, or a list of them";
    if value.get_ref().as_table().is_none() {
        return Some(Written { text: walk.text(value, WHAT)?, abort_after: None, max_worse: None });
    }
    let mut section = walk.section(value, WHAT)?;
    let condition = section.require("condition", "condition = \"p(95) < 300ms\"");
    let condition = condition.and_then(|value| walk.text(value, WHAT));
    let abort = section.take("abort").map_or(Some(false), |value| walk.switch(value));
    let delay =
        section.take("delay").map_or(Some(Duration::ZERO), |value| walk.duration_or_zero(value));
    let max_worse = section.take("max_worse").map(|value| Some((walk.share(value)?, value.span())));
    section.finish();
    let (abort, delay, max_worse) = (abort?, delay?, optional(max_worse)?);
    Some(Written { text: condition?, abort_after: abort.then_some(delay), max_worse })
}

/// Whether two builds are compared by what a condition measures.
fn is_compared(walk: &Walk<'_>, measure: &ObjectiveMeasure, at: Range<usize>) -> bool {
    let is_compared = match measure {
        ObjectiveMeasure::ResponseTimeQuantile(share) => COMPARED.contains(share),
        ObjectiveMeasure::FailureRatio => true,
        ObjectiveMeasure::ResponseTimeMean | ObjectiveMeasure::Series(..) => false,
    };
    if !is_compared {
        walk.wrong_with_help(
            at,
            "`max_worse` does not go with this condition",
            "builds are compared by `p(50)`, `p(95)`, `p(99)` and the `rate` of failures; write \
             a condition with one of these",
        );
    }
    is_compared
}

/// What a condition measures, on which side its bound is, the bound, and the window it holds for.
type ParsedCondition = (ObjectiveMeasure, Comparison, f64, Option<Duration>);

/// Reads `p(95) < 300ms for 10s`. The error continues a sentence that begins with the condition.
fn condition(subject: &Subject<'_>, text: &str) -> Result<ParsedCondition, String> {
    let (text, window) = match text.rsplit_once(" for ") {
        None => (text, None),
        Some((text, window)) => {
            let window = parse_duration(window.trim()).ok().filter(|window| !window.is_zero());
            (text, Some(window.ok_or("needs a duration such as `10s` after `for`")?))
        }
    };
    let at = text.find(['<', '>']).ok_or("is not a condition")?;
    let comparison = if text[at..].starts_with('<') { Comparison::Under } else { Comparison::Over };
    let what = text[..at].trim();
    let bound = text[at + 1..].trim_start_matches('=').trim();
    let (measure, bound) = match subject.metric {
        "http_req_failed" => failures(what, bound)?,
        "http_req_duration" => durations(what, bound)?,
        selector => series(selector, what, bound)?,
    };
    Ok((measure, comparison, bound, window))
}

fn failures(what: &str, bound: &str) -> Result<(ObjectiveMeasure, f64), String> {
    if what != "rate" {
        return Err(format!("asks for `{what}`, but failures have only a `rate`"));
    }
    let share = parse_share(bound).ok_or("needs a share such as `1%` after the sign")?;
    Ok((ObjectiveMeasure::FailureRatio, share))
}

fn durations(what: &str, bound: &str) -> Result<(ObjectiveMeasure, f64), String> {
    let quantile = what
        .strip_prefix("p(")
        .and_then(|rest| rest.strip_suffix(')'))
        .and_then(|percent| decimal(percent.trim()))
        .filter(|percent| (0.0..=100.0).contains(percent));
    let measure = match (what, quantile) {
        (_, Some(percent)) => ObjectiveMeasure::ResponseTimeQuantile(percent / 100.0),
        ("avg", _) => ObjectiveMeasure::ResponseTimeMean,
        ("med", _) => ObjectiveMeasure::ResponseTimeQuantile(0.5),
        ("max", _) => ObjectiveMeasure::ResponseTimeQuantile(1.0),
        _ => {
            return Err(format!(
                "asks for `{what}`, which is not one of `p(N)`, `avg`, `med` and `max`"
            ));
        }
    };
    let duration = parse_duration(bound)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or("needs a duration with its unit after the sign, such as `300ms`")?;
    Ok((measure, duration.as_secs_f64()))
}

/// `avg < 2GiB`: any collected series, in its own unit.
fn series(selector: &str, what: &str, bound: &str) -> Result<(ObjectiveMeasure, f64), String> {
    let reduction = match what {
        "avg" | "value" => Reduction::Mean,
        "min" => Reduction::Min,
        "max" => Reduction::Max,
        "rate" => Reduction::Rate,
        _ => {
            return Err(format!(
                "asks for `{what}`, but a series has only `avg`, `min`, `max` and `rate`"
            ));
        }
    };
    let number = parse_amount(bound)
        .ok_or("needs a number after the sign, such as `80`, `2GiB`, `75%` or `300ms`")?;
    Ok((ObjectiveMeasure::Series(selector.to_owned(), reduction), number))
}
