//! The run in the shape of k6's end-of-test summary (`handleSummary`), for dashboards and CI steps
//! that read one.

use std::io;

use serde_json::{Map, Value, json};

use super::format::FormatSpec;
use super::model::{Report, Times};

pub(super) static SPEC: FormatSpec = FormatSpec {
    name: "k6-summary",
    summary: "the shape of k6's end-of-test summary, for what reads that",
    extension: "json",
    left_by_every_run: false,
    needs_seconds: true,
    render,
};

fn render(report: &Report, w: &mut dyn io::Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *w, &summary(report))?;
    writeln!(w)
}

fn summary(report: &Report) -> Value {
    let numbers = &report.summary;
    let seconds = numbers.duration_seconds;
    let rate = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
    let counter = |count: u64| {
        let values = json!({ "count": count, "rate": rate(count) });
        json!({ "type": "counter", "contains": "default", "values": values })
    };
    let failed = numbers.requests_failed;
    let completed = numbers.requests_completed;
    let mut metrics = Map::new();
    let mut add = |name: &str, metric: Value| metrics.insert(name.to_owned(), metric);
    add("http_reqs", counter(completed));
    // k6 counts what its rate is of: `passes` of the failed requests are those that failed.
    let failures = json!({
        "rate": numbers.error_ratio.unwrap_or(0.0),
        "passes": failed,
        "fails": completed - failed,
    });
    add("http_req_failed", json!({ "type": "rate", "contains": "default", "values": failures }));
    let unsent = numbers.requests_offered.saturating_sub(numbers.requests_sent);
    add("dropped_iterations", counter(unsent));
    if let Some(seconds) = &report.seconds {
        let mut duration = trend(&seconds.all);
        let thresholds = thresholds(report);
        if !thresholds.is_empty() {
            duration["thresholds"] = Value::Object(thresholds);
        }
        add("http_req_duration", duration);
        add("http_req_duration{expected_response:true}", trend(&seconds.succeeded));
        if let Some((fewest, most, last)) = seconds.users {
            let values = json!({ "min": fewest, "max": most, "value": last });
            add("vus", json!({ "type": "gauge", "contains": "default", "values": values }));
        }
    }
    json!({
        "state": { "testRunDurationMs": seconds * 1e3, "isStdOutTTY": false, "isStdErrTTY": false },
        "options": { "summaryTrendStats": ["avg", "min", "med", "max", "p(90)", "p(95)", "p(99)"] },
        "root_group": { "name": "", "path": "", "groups": [], "checks": [] },
        "metrics": metrics,
    })
}

/// The objectives, each with whether it was met.
fn thresholds(report: &Report) -> Map<String, Value> {
    let objectives = report.objectives.iter();
    objectives.map(|row| (row.text.clone(), json!({ "ok": row.met }))).collect()
}

/// Response times in milliseconds.
fn trend(times: &Times) -> Value {
    let millis = |seconds: Option<f64>| seconds.unwrap_or(0.0) * 1e3;
    let values = json!({
        "avg": millis(times.mean),
        "min": millis(times.min),
        "med": millis(times.p50),
        "max": millis(times.max),
        "p(90)": millis(times.p90),
        "p(95)": millis(times.p95),
        "p(99)": millis(times.p99),
    });
    json!({ "type": "trend", "contains": "time", "values": values })
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn counts_and_times_are_those_of_the_run() {
        let (recording, report) = fixture::with_seconds();
        let summary = summary(&report);
        let ticks = || recording.timeline.ticks.iter();
        let completed: u64 = ticks().map(|tick| tick.completed()).sum();
        let failed = completed - ticks().map(|tick| tick.succeeded()).sum::<u64>();
        let values = |name: &str| summary["metrics"][name]["values"].clone();
        assert_eq!(values("http_reqs")["count"], completed);
        assert_eq!(values("http_req_failed")["passes"], failed);
        let duration = values("http_req_duration");
        let of = |name: &str| duration[name].as_f64().unwrap();
        assert!(of("min") <= of("med") && of("med") <= of("p(95)") && of("p(95)") <= of("max"));
        assert!(of("avg") > 0.0);
    }
}
