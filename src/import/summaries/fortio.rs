//! Fortio's result as JSON, and Nighthawk's in Fortio's form.

use serde_json::Value;

use super::summary::Summary;
use super::text::malformed;
use super::{NOTHING_WITH_TIMES, SummarySpec, json};
use crate::import::error::ImportError;

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "fortio",
    summary: "Fortio's result as JSON: fortio load -json FILE http://…",
    instead: NOTHING_WITH_TIMES,
    looks_like: |begin| {
        begin.trim_start().starts_with(['{', '['])
            && begin.contains("\"DurationHistogram\"")
            && (begin.contains("\"RetCodes\"") || begin.contains("\"ActualQPS\""))
    },
    read,
};

/// Statuses that are a success; the others, and `-1` for no answer, are failures.
const SUCCESSES: std::ops::Range<u64> = 200..400;
/// `ActualDuration` is in nanoseconds, and Nighthawk's in seconds: nobody runs for so many seconds.
const LEAST_NANOS: f64 = 1e6;
/// Percentiles that are read from the buckets where the file gives none.
const FROM_BUCKETS: [f64; 4] = [50.0, 90.0, 95.0, 99.0];
/// Deepest place of a result inside what wraps it.
const DEEPEST: usize = 8;
/// Rates that differ by at most this share are the same.
const SAME_RATE: f64 = 0.1;

fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let (document, mut results) = (json::parse(text)?, Vec::new());
    find(&document, DEEPEST, &mut results);
    if results.is_empty() {
        return Err(malformed("there is no object with `DurationHistogram` and `RetCodes`"));
    }
    results.into_iter().map(result).collect()
}

/// Results inside what others wrap around them.
fn find<'v>(value: &'v Value, deep: usize, results: &mut Vec<&'v Value>) {
    if value["DurationHistogram"].is_object() && value["RetCodes"].is_object() {
        results.push(value);
    } else if deep > 0 {
        let members = value.as_object().into_iter().flat_map(|object| object.values());
        let items = value.as_array().into_iter().flatten();
        members.chain(items).for_each(|inner| find(inner, deep - 1, results));
    }
}

fn result(value: &Value) -> Result<Summary, ImportError> {
    let histogram = &value["DurationHistogram"];
    let actual = json::number(&value["ActualDuration"]);
    let mut run = Summary {
        started: value["StartTime"].as_str().and_then(|start| start.parse().ok()),
        duration_s: actual.map(|it| if it > LEAST_NANOS { it / 1e9 } else { it }),
        requests_per_s: json::number(&value["ActualQPS"]),
        ..Summary::default()
    };
    run.target(value["URL"].as_str().unwrap_or_default());
    for (code, count) in value["RetCodes"].as_object().into_iter().flatten() {
        let count = json::count(count)
            .ok_or_else(|| malformed("`RetCodes` has a code without its count"))?;
        run.by_status.insert(code.clone(), count);
    }
    let is_success = |code: &str| match code.parse::<i64>() {
        Ok(code) => u64::try_from(code).is_ok_and(|code| SUCCESSES.contains(&code)),
        // gRPC's health check.
        Err(_) => matches!(code, "SERVING" | "OK"),
    };
    let failed = run.by_status.iter().filter(|(code, _)| !is_success(code)).map(|it| *it.1);
    run.failures = Some(failed.fold(0, u64::saturating_add));
    run.requests = Some(run.answers());
    run.count("connections", json::count(&value["NumThreads"]));
    run.count("sockets opened", json::count(&value["SocketCount"]));
    let times = &mut run.response_times;
    times.with_failures = true;
    times.mean_s = json::number(&histogram["Avg"]);
    times.min_s = json::number(&histogram["Min"]);
    times.max_s = json::number(&histogram["Max"]);
    for percentile in histogram["Percentiles"].as_array().into_iter().flatten() {
        let percent = json::number(&percentile["Percentile"]);
        if let Some((percent, seconds)) = percent.zip(json::number(&percentile["Value"])) {
            times.add(percent, seconds);
        }
    }
    if times.quantiles.is_empty() {
        from_buckets(histogram, &mut run);
    }
    warn(value, &mut run);
    Ok(run)
}

/// Percentiles where the file has only a histogram: the end of the bucket that reaches each.
fn from_buckets(histogram: &Value, run: &mut Summary) {
    let buckets: Vec<_> = histogram["Data"].as_array().into_iter().flatten().collect();
    let times = &mut run.response_times;
    let filled = || buckets.iter().filter(|it| json::count(&it["Count"]) != Some(0));
    times.min_s = times.min_s.or(filled().next().and_then(|it| json::number(&it["Start"])));
    times.max_s = times.max_s.or(filled().next_back().and_then(|it| json::number(&it["End"])));
    for percent in FROM_BUCKETS {
        let reaches = |it: &&&Value| json::number(&it["Percent"]).is_some_and(|it| it >= percent);
        let end = buckets.iter().find(reaches).and_then(|it| json::number(&it["End"]));
        if let Some(end) = end {
            times.add(percent, end);
        }
    }
    if !times.quantiles.is_empty() {
        run.warn(
            "the file has no percentiles: these are the ends of the histogram's buckets that reach \
             them, so the times are at most these",
        );
    }
}

fn warn(value: &Value, run: &mut Summary) {
    let requests = run.requests.unwrap_or(0);
    if let Some(none) = run.by_status.get("-1").copied().filter(|count| *count > 0) {
        run.warn(format!(
            "{none} requests got no answer (code -1) and are among the response times"
        ));
    }
    if let Some(timed) = json::count(&value["DurationHistogram"]["Count"])
        && timed != requests
    {
        run.warn(format!(
            "{requests} requests have a code, and {timed} are in the histogram of response times: \
             some were not timed, such as those of a warm-up"
        ));
    }
    let asked = json::number(&value["RequestedQPS"]);
    let counted = run.duration_s.filter(|it| *it > 0.0).map(|it| requests as f64 / it);
    if let Some((counted, said)) = counted.zip(run.requests_per_s)
        && said > 0.0
    {
        let times = (counted / said).round();
        if times >= 2.0 && (counted / said - times).abs() <= SAME_RATE {
            run.warn(format!(
                "the file says {said} requests per second, and its counts {counted:.1}: its rates \
                 are those of one worker of {times}"
            ));
        } else if asked.is_some_and(|asked| said < (1.0 - SAME_RATE) * asked) {
            run.warn(format!(
                "{} requests per second were asked for and {said} were sent: each thread waits for \
                 its answer, so the target or the number of threads limited the rate",
                asked.unwrap_or(0.0)
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::{assert_expected, read};

    #[test]
    fn units_are_those_of_the_tool_that_wrote_it() {
        let runs = assert_expected("fortio.sample.json", "fortio");
        assert!(runs[0].warnings.iter().any(|it| it.contains("were asked for")), "{runs:?}");
        let runs = assert_expected("fortio-nighthawk.sample.json", "fortio-nighthawk");
        assert!(runs[0].warnings.iter().any(|it| it.contains("395 are in")), "{runs:?}");
        assert_eq!(runs[0].response_times.quantiles[0].seconds, 0.02);
    }

    #[test]
    fn results_inside_others_are_found() {
        let one = r#"{"DurationHistogram":{"Count":1},"RetCodes":{"200":1},"ActualQPS":1}"#;
        let runs = read(&format!("{{\"EndpointResults\":[{one},{one}]}}")).unwrap();
        assert_eq!(runs.len(), 2);
    }
}
