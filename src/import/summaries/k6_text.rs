//! k6's summary as it prints it at the end of a test, in a terminal or a CI log.

use super::SummarySpec;
use super::summary::Summary;
use super::text::{after, count, each_line, has_line, malformed, number, seconds};
use crate::import::error::ImportError;
use crate::import::table::shown;

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "k6-text",
    summary: "k6's summary as it prints it: k6 run script.js",
    instead: "run `k6 run --out json=FILE script.js` and import FILE",
    looks_like: |begin| {
        let is_metric = |line: &str| {
            metric(line).is_some_and(|(name, _)| matches!(name, "http_reqs" | "http_req_duration"))
        };
        let is_begin = has_line(begin, "execution: ") && has_line(begin, "scenarios: (");
        is_begin || begin.lines().any(is_metric)
    },
    read,
};

/// Marks of what was met and what was not.
const MARKS: [char; 2] = ['✓', '✗'];

/// A line of a metric: its name, and what follows the dots.
fn metric(line: &str) -> Option<(&str, &str)> {
    let (name, values) =
        line.trim_start_matches(|c: char| c == ' ' || MARKS.contains(&c)).split_once(": ")?;
    let short = name.trim_end_matches('.');
    (short.len() < name.len() && !short.is_empty()).then_some((short, values.trim()))
}

fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let mut runs: Vec<Summary> = Vec::new();
    let mut threshold = None;
    each_line(text, |line| {
        if after(line, "execution:").is_some() || runs.is_empty() {
            runs.push(Summary::default());
        }
        let Some(run) = runs.last_mut() else { return Ok(()) };
        let trimmed = line.trim();
        if let Some((name, values)) = metric(line) {
            if trimmed.starts_with('✗') {
                run.warn(format!("a threshold of `{}` was crossed in k6", shown(name)));
            }
            threshold = None;
            return take(name, values, run);
        }
        match (trimmed.strip_prefix('✗'), &threshold) {
            (Some(condition), Some(name)) if condition.trim_start().starts_with('\'') => {
                let condition = condition.split('\'').nth(1).unwrap_or_default();
                run.warn(format!("k6's threshold `{}` of `{name}` was crossed", shown(condition)));
            }
            _ if trimmed.starts_with(MARKS) || trimmed.is_empty() => {}
            _ => threshold = Some(shown(trimmed)),
        }
        if let Some(rest) = after(line, "running (") {
            run.duration_s = rest.split(')').next().and_then(|time| seconds(time).ok());
        }
        if trimmed.contains("looping VUs") {
            run.warn_closed_loop();
        }
        if let Some((_, error)) = trimmed.split_once("Request Failed") {
            run.error(&error_of(error), Some(1));
        }
        Ok(())
    })?;
    runs.retain(|run| run.requests.is_some() || run.duration_s.is_some());
    runs.iter_mut().try_for_each(conclude)?;
    Ok(runs)
}

fn take(name: &str, values: &str, run: &mut Summary) -> Result<(), String> {
    match name {
        "http_reqs" => {
            run.requests = Some(count(values)?);
            run.requests_per_s = rate(values)?;
        }
        "http_req_failed" => run.failures = failed(values)?,
        "http_req_duration" => times(values, run)?,
        "iterations" => run.count("iterations", Some(count(values)?)),
        "dropped_iterations" => {
            let dropped = count(values)?;
            run.count("dropped iterations", Some(dropped));
            run.warn(format!(
                "k6 dropped {dropped} iterations that its schedule asked for, because no virtual \
                 user was free: more load was due than was sent"
            ));
        }
        "vus" | "vus_max" => {
            let max = values.split_whitespace().find_map(|part| part.strip_prefix("max="));
            let what = if name == "vus" { "most virtual users" } else { "virtual users allocated" };
            run.count(what, max.map(count).transpose()?);
        }
        _ => {}
    }
    Ok(())
}

/// `3000   99.82/s`.
fn rate(values: &str) -> Result<Option<f64>, String> {
    let rate = values.split_whitespace().find_map(|part| part.strip_suffix("/s"));
    rate.map(number).transpose()
}

/// `1.20% ✓ 36 ✗ 2964`, and since 1.0 `1.20% 36 out of 3000`. What "passed" here is the condition that
/// a request failed.
fn failed(values: &str) -> Result<Option<u64>, String> {
    let rest = values.split_once('%').map_or("", |(_, rest)| rest).trim();
    let rest = rest.strip_prefix('✓').unwrap_or(rest);
    if rest.is_empty() { Ok(None) } else { count(rest).map(Some) }
}

/// `avg=98.96ms min=2.11ms med=87.33ms max=1.2s p(90)=180.1ms p(95)=232.5ms`.
fn times(values: &str, run: &mut Summary) -> Result<(), String> {
    let times = &mut run.response_times;
    times.with_failures = true;
    for part in values.split_whitespace() {
        let Some((name, value)) = part.split_once('=') else { continue };
        if name == "count" {
            continue;
        }
        let took = seconds(value)?;
        match name {
            "avg" => times.mean_s = Some(took),
            "min" => times.min_s = Some(took),
            "max" => times.max_s = Some(took),
            "med" => times.add(50.0, took),
            name => {
                let percent = name.strip_prefix("p(").and_then(|rest| rest.strip_suffix(')'));
                let percent = percent.and_then(|percent| percent.parse().ok());
                // `p(50)` may stand beside `med`.
                let is_new = |it: &f64| times.quantiles.iter().all(|known| known.percent != *it);
                if let Some(percent) = percent.filter(is_new) {
                    times.add(percent, took);
                }
            }
        }
    }
    Ok(())
}

/// `error="Get \"http://…\": dial tcp …: connection refused"` of a line of k6's log.
fn error_of(rest: &str) -> String {
    let text = rest.split_once("error=\"").map_or(rest, |(_, text)| text);
    let text = text.trim_start_matches(['"', ' ']).replace("\\\"", "\"");
    text.trim_end().trim_end_matches('"').to_owned()
}

fn conclude(run: &mut Summary) -> Result<(), ImportError> {
    if run.requests.is_none() {
        return Err(malformed(
            "there is no line `http_reqs`: the run sent nothing, or was cut off",
        ));
    }
    run.duration_s = run.duration_s.or(run.duration_by_rate());
    if run.response_times.min_s == Some(0.0) {
        run.warn(
            "the shortest response time is 0: requests that never left, such as those whose \
             connection failed, are among the response times",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::{assert_expected, read};

    #[test]
    fn both_layouts_are_read() {
        let runs = assert_expected("k6-text.sample.txt", "k6-text");
        let has = |words: &str| runs[0].warnings.iter().any(|it| it.contains(words));
        assert!(has("a threshold of `http_req_duration` was crossed"), "{runs:?}");
        assert!(has("closed loop") && has("ran out of ports"), "{runs:?}");
        assert_eq!(runs[0].errors_counted(), 2);
        let runs = assert_expected("k6-text-v1.sample.txt", "k6-text-v1");
        let warned = &runs[0].warnings;
        let crossed = "k6's threshold `p(95)<200` of `http_req_duration` was crossed";
        assert!(warned.iter().any(|it| it == crossed), "{warned:?}");
        assert!(!warned.iter().any(|it| it.contains("rate<0.05")), "{warned:?}");
        assert_eq!(runs[0].counts["dropped iterations"], 40);
    }

    #[test]
    fn a_run_that_was_cut_off_is_refused() {
        let text =
            "  execution: local\n  scenarios: (100.00%) 1 scenario\nrunning (0m01.0s), 10/10 VUs\n";
        let why = read(text).unwrap_err().to_string();
        assert!(why.contains("no line `http_reqs`"), "{why}");
    }
}
