//! Nighthawk's result as JSON.

use std::collections::BTreeMap;

use serde_json::Value;

use super::summary::Summary;
use super::text::{malformed, seconds};
use super::{NOTHING_WITH_TIMES, SummarySpec, json};
use crate::import::error::ImportError;

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "nighthawk",
    summary: "Nighthawk's result as JSON: nighthawk_client --output-format json http://…",
    instead: NOTHING_WITH_TIMES,
    looks_like: |begin| {
        json::begins_with(begin, &["\"results\"", "\"statistics\"", "\"benchmark_http_client"])
    },
    read,
};

/// Name of the result of all workers together.
const ALL: &str = "global";
/// Name of the response times among the statistics.
const RESPONSE_TIMES: &str = "benchmark_http_client.request_to_response";
/// Requests that could not be sent when they were due.
const BLOCKED: &str = "sequencer.blocking";

fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let document = json::parse(text)?;
    let results = document["results"].as_array().map(Vec::as_slice).unwrap_or_default();
    let all = results.iter().find(|result| result["name"] == ALL);
    let workers = results.iter().filter(|result| result["name"] != ALL).count();
    let result = match (all, results) {
        (Some(all), _) => all,
        (None, [one]) => one,
        _ => return Err(malformed(format!("there is no result `{ALL}` of all workers together"))),
    };
    let mut run = Summary {
        duration_s: result["execution_duration"].as_str().and_then(|it| seconds(it).ok()),
        ..Summary::default()
    };
    let counters = counters(result)?;
    run.count("workers", Some(workers as u64).filter(|workers| *workers > 0));
    run.count("connections per worker", json::count(&document["options"]["connections"]));
    times(result, &mut run);
    let blocked = statistic(result, BLOCKED).and_then(|it| json::count(&it["count"])).unwrap_or(0);
    let is_open = document["options"]["open_loop"] == true;
    conclude(&counters, blocked, is_open, &mut run);
    if !is_open {
        run.warn_closed_loop();
    }
    Ok(vec![run])
}

/// Counters of a result by name; those that are zero are not among them.
fn counters(result: &Value) -> Result<BTreeMap<String, u64>, ImportError> {
    let list = result["counters"].as_array();
    let list = list.ok_or_else(|| malformed("there is no list `counters`"))?;
    let counter = |counter: &Value| {
        Some((counter["name"].as_str()?.to_owned(), json::count(&counter["value"])?))
    };
    Ok(list.iter().filter_map(counter).collect())
}

/// Takes over what was counted. `blocked` is how often a request that was due could not be sent.
pub(super) fn conclude(
    counters: &BTreeMap<String, u64>,
    blocked: u64,
    is_open: bool,
    run: &mut Summary,
) {
    let counter = |name: &str| counters.get(name).copied().unwrap_or(0);
    for class in ["1xx", "2xx", "3xx", "4xx", "5xx"] {
        run.answered(class, counter(&format!("benchmark.http_{class}")));
    }
    let lost = [
        ("stream reset", "benchmark.stream_resets"),
        ("connection failed", "benchmark.pool_connection_failure"),
    ];
    for (text, name) in lost {
        let count = counter(name);
        if count > 0 {
            run.error(text, Some(count));
        }
    }
    let unanswered = run.errors_counted();
    run.unanswered = Some(unanswered);
    run.failures = Some(run.bad_answers().saturating_add(unanswered));
    let requests = run.answers().saturating_add(unanswered);
    run.requests = Some(requests);
    run.requests_per_s = run.duration_s.filter(|it| *it > 0.0).map(|it| requests as f64 / it);
    let overflows = counter("benchmark.pool_overflow");
    run.count("pool overflows", Some(overflows).filter(|count| *count > 0));
    run.count("blocked sends", Some(blocked).filter(|count| *count > 0));
    if is_open && overflows > 0 {
        run.warn(format!(
            "{overflows} requests were not sent, because no connection was free: less load was \
             sent than was due"
        ));
    } else if !is_open && (overflows > 0 || blocked > 0) {
        run.warn(format!(
            "the load generator could not send {blocked} times when a request was due, and \
             {overflows} times no connection was free: it waited, and the response times do not \
             include that wait"
        ));
    }
}

/// One of the statistics.
fn statistic<'v>(result: &'v Value, id: &str) -> Option<&'v Value> {
    result["statistics"].as_array()?.iter().find(|statistic| statistic["id"] == id)
}

fn times(result: &Value, run: &mut Summary) {
    let Some(statistic) = statistic(result, RESPONSE_TIMES) else { return };
    let secs = |value: &Value| value.as_str().and_then(|text| seconds(text).ok());
    let times = &mut run.response_times;
    times.with_failures = true;
    (times.mean_s, times.min_s, times.max_s) =
        (secs(&statistic["mean"]), secs(&statistic["min"]), secs(&statistic["max"]));
    for percentile in statistic["percentiles"].as_array().into_iter().flatten() {
        // The shares 0 and 1 are the shortest and the longest; zero is left out of the file.
        let share = json::number(&percentile["percentile"]).filter(|it| *it > 0.0 && *it < 1.0);
        if let Some((share, seconds)) = share.zip(secs(&percentile["duration"])) {
            times.add(share * 100.0, seconds);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::assert_expected;

    #[test]
    fn all_workers_are_one_result() {
        let runs = assert_expected("nighthawk.sample.json", "nighthawk");
        assert_eq!(runs[0].counts["workers"], 2);
        assert!(runs[0].warnings.iter().any(|it| it.contains("could not send 31 times")));
    }
}
