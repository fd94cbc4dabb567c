//! Assertions: what a simulation must hold, as objectives.

use super::simulation::{Simulation, flat};
use crate::convert::draft::ObjectiveDraft;
use crate::convert::script::value::{Known, number_text};

/// Most requests that an assertion for all of them names one by one.
const MOST_REQUESTS: usize = 50;

impl Simulation<'_, '_> {
    /// Adds the objectives of assertions.
    pub(super) fn assertions(&mut self, given: &[Known], line: usize) {
        for known in &flat(given) {
            let calls: Vec<(&str, Option<f64>)> = known
                .links()
                .iter()
                .map(|link| (link.name.as_str(), link.arguments.first().and_then(Known::number)))
                .collect();
            let line = known.links().last().map_or(line, |link| link.line.max(line));
            let condition = calls.split_first().and_then(|(_, calls)| condition(calls));
            let parts = self.parts(known);
            match (condition, parts) {
                (Some((metric, condition)), Some(parts)) => {
                    for part in parts {
                        let metric = format!("{metric}{part}");
                        let objective =
                            ObjectiveDraft { condition: condition.clone(), abort: None };
                        self.machine.draft.objective(&metric, objective);
                    }
                }
                _ => {
                    let names: Vec<String> =
                        calls.iter().map(|(name, _)| name.escape_debug().to_string()).collect();
                    self.lost(line, format!("the assertion `{}`", names.join(".")));
                }
            }
        }
    }

    /// What an assertion is about, as metrics name it; `None` where the plan has no such part.
    fn parts(&mut self, known: &Known) -> Option<Vec<String>> {
        let first = known.links().first()?;
        match first.name.as_str() {
            "global" => Some(vec![String::new()]),
            "forAll" => {
                let names = self.machine.draft.sent().map(|it| format!("{{{}}}", it.name));
                let names: Vec<String> = names.collect();
                (names.len() <= MOST_REQUESTS).then_some(names)
            }
            "details" => {
                let path: Option<Vec<String>> = first.arguments.iter().map(Known::fixed).collect();
                let path = path.filter(|path| !path.is_empty())?;
                let wanted = path.last()?;
                let sent = self.sent.iter().filter(|(name, _)| name == wanted);
                let names: Vec<String> = sent.map(|(_, name)| format!("{{{name}}}")).collect();
                if !names.is_empty() {
                    return Some(names);
                }
                let group = path.join(" / ");
                let is_group = self.machine.draft.sent().any(|request| {
                    request.tags.iter().any(|(tag, text)| tag == "group" && *text == group)
                });
                is_group.then(|| {
                    let text = "an assertion of a group: the objective is about its requests one \
                                by one, not about their sum";
                    self.machine.artifact.notes.at(first.line, text);
                    vec![format!("{{group:{group}}}")]
                })
            }
            _ => None,
        }
    }
}

/// The metric and the condition of an assertion's calls behind `global()`.
fn condition(calls: &[(&str, Option<f64>)]) -> Option<(&'static str, String)> {
    // Scala has calls without parentheses; all have the same names.
    match calls {
        [("responseTime", _), what @ .., (operator, Some(bound))] => {
            let what = match what {
                [("max", _)] => "max".to_owned(),
                [("mean", _)] => "avg".to_owned(),
                [("percentile1", _)] => "p(50)".to_owned(),
                [("percentile2", _)] => "p(75)".to_owned(),
                [("percentile3", _)] => "p(95)".to_owned(),
                [("percentile4", _)] => "p(99)".to_owned(),
                [("percentile", Some(percent))] if (0.0..=100.0).contains(percent) => {
                    format!("p({})", number_text(*percent))
                }
                _ => return None,
            };
            let sign = match *operator {
                "lt" | "lessThan" => "<",
                "lte" | "lessThanOrEqual" => "<=",
                _ => return None,
            };
            // A plan compares with a time above zero.
            let is_time = (0.001..=1e9).contains(bound);
            is_time.then(|| ("http_req_duration", format!("{what} {sign} {}ms", plain(*bound))))
        }
        [
            (requests @ ("failedRequests" | "successfulRequests"), _),
            ("percent", _),
            (operator, Some(bound)),
        ] => {
            let is_failed = *requests == "failedRequests";
            let sign = match (*operator, is_failed) {
                ("lt" | "lessThan", true) | ("gt" | "greaterThan", false) => "<",
                ("lte" | "lessThanOrEqual", true) | ("gte" | "greaterThanOrEqual", false) => "<=",
                ("is", _) if *bound == if is_failed { 0.0 } else { 100.0 } => "<=",
                _ => return None,
            };
            let percent = if is_failed { *bound } else { 100.0 - *bound };
            let is_share = (0.0..=100.0).contains(&percent);
            // A plan compares with a share above zero.
            match percent > 0.0 {
                true => is_share.then(|| {
                    ("http_req_failed", format!("rate {sign} {}", plain(percent / 100.0)))
                }),
                false => is_share.then(no_failure),
            }
        }
        // No failure at all.
        [("failedRequests", _), ("count", _), ("is" | "lte" | "lessThanOrEqual", Some(0.0))]
        | [("failedRequests", _), ("count", _), ("lt" | "lessThan", Some(1.0))] => {
            Some(no_failure())
        }
        _ => None,
    }
}

/// A plan compares with a share above zero: less than one failure of a hundred thousand requests.
fn no_failure() -> (&'static str, String) {
    ("http_req_failed", "rate < 0.00001".to_owned())
}

/// A number with at most six digits behind the point.
fn plain(number: f64) -> String {
    number_text((number * 1e6).round() / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assertions_become_objectives() {
        for (calls, wanted) in [
            (
                vec![("responseTime", None), ("percentile3", None), ("lt", Some(800.0))],
                Some(("http_req_duration", "p(95) < 800ms")),
            ),
            (
                vec![("responseTime", None), ("percentile", Some(99.9)), ("lte", Some(1500.0))],
                Some(("http_req_duration", "p(99.9) <= 1500ms")),
            ),
            (
                vec![("responseTime", None), ("mean", None), ("lt", Some(200.0))],
                Some(("http_req_duration", "avg < 200ms")),
            ),
            (vec![("responseTime", None), ("stdDev", None), ("lt", Some(200.0))], None),
            (vec![("responseTime", None), ("max", None), ("lt", None)], None),
            (
                vec![("failedRequests", None), ("percent", None), ("lt", Some(5.0))],
                Some(("http_req_failed", "rate < 0.05")),
            ),
            (
                vec![("successfulRequests", None), ("percent", None), ("gt", Some(99.9))],
                Some(("http_req_failed", "rate < 0.001")),
            ),
            (
                vec![("successfulRequests", None), ("percent", None), ("is", Some(100.0))],
                Some(("http_req_failed", "rate < 0.00001")),
            ),
            (
                vec![("failedRequests", None), ("count", None), ("is", Some(0.0))],
                Some(("http_req_failed", "rate < 0.00001")),
            ),
            (vec![("requestsPerSec", None), ("gt", Some(100.0))], None),
            (vec![], None),
        ] {
            let made = condition(&calls);
            let made = made.as_ref().map(|(metric, condition)| (*metric, condition.as_str()));
            assert_eq!(made, wanted, "{calls:?}");
        }
    }
}
