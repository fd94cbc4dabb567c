//! Gatling's figures of the whole run, `js/stats.json` and `js/global_stats.json` of its report.

use serde_json::Value;

use super::summary::{EndpointSummary, ResponseTimes, Summary};
use super::text::malformed;
use super::{SummarySpec, json};
use crate::import::error::ImportError;

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "gatling-stats",
    summary: "Gatling's figures of the whole run: js/stats.json or js/global_stats.json of its report",
    instead: "import the run's `simulation.log`, which is in the folder of its report",
    looks_like: |begin| json::begins_with(begin, &["\"numberOfRequests\"", "\"minResponseTime\""]),
    read,
};

/// The percentiles of a report where its settings do not say otherwise, and their names.
const PERCENTILES: [(&str, f64); 4] = [
    ("percentiles1", 50.0),
    ("percentiles2", 75.0),
    ("percentiles3", 95.0),
    ("percentiles4", 99.0),
];
/// How deep groups may stand in each other.
const DEEPEST: usize = 32;

fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let document = json::parse(text)?;
    let all = if document["stats"].is_object() { &document["stats"] } else { &document };
    let mut run = Summary {
        requests: Some(json::need(&all["numberOfRequests"], "total")?),
        failures: Some(json::need(&all["numberOfRequests"], "ko")?),
        response_times: times(all)?,
        requests_per_s: json::number(&all["meanNumberOfRequestsPerSecond"]["total"]),
        ..Summary::default()
    };
    run.duration_s = run.duration_by_rate();
    endpoints(&document, &mut Vec::new(), &mut run)?;
    run.warn(
        "the file does not name its percentiles: they are taken for Gatling's usual 50, 75, 95 and 99",
    );
    run.warn("Gatling's figures have no status codes");
    Ok(vec![run])
}

/// Times in milliseconds.
fn times(stats: &Value) -> Result<ResponseTimes, ImportError> {
    let names = ["meanResponseTime", "minResponseTime", "maxResponseTime"];
    let percents: Vec<_> = PERCENTILES.to_vec();
    ResponseTimes::of_all(names, &percents, |name| {
        let total = &stats[name]["total"];
        match (json::number(total), total) {
            (Some(millis), _) => Ok(Some(millis / 1e3)),
            // Where nothing was sent, Gatling writes `-`.
            (None, Value::Null | Value::String(_)) => Ok(None),
            (None, _) => Err(malformed(format!("`{name}` is not a time"))),
        }
    })
}

/// The requests in a group, by their groups and names.
fn endpoints<'v>(
    of: &'v Value,
    groups: &mut Vec<&'v str>,
    run: &mut Summary,
) -> Result<(), ImportError> {
    for inner in of["contents"].as_object().into_iter().flat_map(|contents| contents.values()) {
        let name = inner["name"].as_str().unwrap_or_default();
        groups.push(name);
        if inner["type"] == "GROUP" && groups.len() < DEEPEST {
            endpoints(inner, groups, run)?;
        } else if inner["type"] == "REQUEST" {
            let stats = &inner["stats"];
            run.endpoint(EndpointSummary {
                name: groups.join(" / "),
                requests: json::need(&stats["numberOfRequests"], "total")?,
                failures: json::need(&stats["numberOfRequests"], "ko")?,
                response_times: times(stats)?,
            });
        }
        groups.pop();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::assert_expected;

    #[test]
    fn groups_and_requests_are_apart() {
        let runs = assert_expected("gatling-stats.sample.json", "gatling-stats");
        let names: Vec<_> = runs[0].endpoints.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["Checkout / Pay", "Home"]);
    }
}
