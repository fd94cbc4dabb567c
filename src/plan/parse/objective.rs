//! The `[objectives]` table, in k6's words.

use super::walk::{Section, Text, Value, Walk};
use crate::plan::units::{decimal, parse_duration, parse_share};
use crate::plan::{Comparison, Measure, Objective, Request, nearest};

const METRICS: [&str; 2] = ["http_req_duration", "http_req_failed"];
const FORM: &str = "write `p(95) < 300ms` or `avg < 200ms` for `http_req_duration`, \
                    `rate < 1%` for `http_req_failed`";

pub(super) fn read(root: &mut Section<'_, '_>, requests: &[Request]) -> Vec<Objective> {
    let walk = root.walk;
    let section =
        root.take("objectives").and_then(|value| walk.section(value, "a table `[objectives]`"));
    let mut objectives = Vec::new();
    for (key, span, value) in section.iter().flat_map(Section::entries) {
        let (metric, endpoint) = split_key(key);
        if !METRICS.contains(&metric) {
            let help = nearest(metric, METRICS).unwrap_or_else(|| FORM.to_owned());
            walk.wrong_with_help(span, format!("`{metric}` is not measured"), help);
            continue;
        }
        if let Some(endpoint) = endpoint
            && !requests.iter().any(|request| request.name == endpoint)
        {
            let names = requests.iter().map(|request| request.name.as_str());
            let help = nearest(endpoint, names)
                .unwrap_or_else(|| "name a request as its `name` has it".to_owned());
            walk.wrong_with_help(span, format!("there is no request `{endpoint}`"), help);
        }
        for text in conditions(walk, value) {
            match condition(metric, &text.value) {
                Ok((measure, comparison, bound)) => objectives.push(Objective {
                    text: format!("{key}: {}", text.value),
                    measure,
                    comparison,
                    bound,
                    endpoint: endpoint.map(str::to_owned),
                }),
                Err(why) => {
                    walk.wrong_with_help(text.span, format!("`{}` {why}", text.raw), FORM);
                }
            }
        }
    }
    objectives
}

/// The metric and the endpoint of `metric{endpoint}`, where k6's `{name:endpoint}` is one too.
fn split_key(key: &str) -> (&str, Option<&str>) {
    match key.split_once('{') {
        None => (key, None),
        Some((metric, rest)) => {
            let endpoint = rest.strip_suffix('}').unwrap_or(rest);
            (metric.trim_end(), Some(endpoint.strip_prefix("name:").unwrap_or(endpoint)))
        }
    }
}

fn conditions<'t>(walk: &Walk<'t>, value: &Value<'t>) -> Vec<Text> {
    const WHAT: &str = "a condition such as `\"p(95) < 300ms\"`, or a list of them";
    match value.get_ref().as_array() {
        Some(list) => list.iter().filter_map(|value| walk.text(value, WHAT)).collect(),
        None => walk.text(value, WHAT).into_iter().collect(),
    }
}

/// Reads `p(95) < 300ms`; the error goes on after the condition's text.
fn condition(metric: &str, text: &str) -> Result<(Measure, Comparison, f64), String> {
    let at = text.find(['<', '>']).ok_or("is no condition")?;
    let comparison = if text[at..].starts_with('<') { Comparison::Under } else { Comparison::Over };
    let what = text[..at].trim();
    let bound = text[at + 1..].trim_start_matches('=').trim();
    if metric == "http_req_failed" {
        if what != "rate" {
            return Err(format!("asks for `{what}`, failures have a `rate` only"));
        }
        let share = parse_share(bound).ok_or("needs a share such as `1%` on its right side")?;
        return Ok((Measure::FailureRatio, comparison, share));
    }
    let quantile = what
        .strip_prefix("p(")
        .and_then(|rest| rest.strip_suffix(')'))
        .and_then(|percent| decimal(percent.trim()))
        .filter(|percent| (0.0..=100.0).contains(percent));
    let measure = match (what, quantile) {
        (_, Some(percent)) => Measure::ResponseTimeQuantile(percent / 100.0),
        ("avg", _) => Measure::ResponseTimeMean,
        ("med", _) => Measure::ResponseTimeQuantile(0.5),
        ("max", _) => Measure::ResponseTimeQuantile(1.0),
        _ => return Err(format!("asks for `{what}`, which is not measured")),
    };
    let duration = parse_duration(bound)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or("needs a duration with its unit such as `300ms` on its right side")?;
    Ok((measure, comparison, duration.as_secs_f64()))
}
