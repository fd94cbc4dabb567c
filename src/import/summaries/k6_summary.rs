//! k6's summary at the end of a test, in the three shapes that it writes.

use serde_json::Value;

use super::summary::Summary;
use super::text::malformed;
use super::{SummarySpec, json};
use crate::import::error::ImportError;
use crate::import::table::shown;

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "k6-summary",
    summary: "k6's summary: k6 run --summary-export FILE, or what handleSummary stores",
    instead: "run `k6 run --out json=FILE script.js` and import FILE",
    looks_like: |begin| {
        let words = ["\"http_reqs\"", "\"http_req_duration", "\"root_group\"", "\"iterations\""];
        json::begins_with(begin, &["\"metrics\""]) && words.iter().any(|it| begin.contains(it))
            || json::begins_with(begin, &["\"root_group\""])
    },
    read,
};

/// Most names of metrics that a message lists.
const MOST_NAMES: usize = 8;

/// How the metrics are written.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    /// `--summary-export`: a metric has its numbers directly, and a threshold is true if it was
    /// crossed.
    Export,
    /// `handleSummary`: the numbers are in `values`, and a threshold is `ok` if it was not crossed.
    Handle,
    /// `--new-machine-readable-summary`: the metrics are a list.
    List,
}

/// The metrics of a document.
struct Metrics<'v> {
    shape: Shape,
    document: &'v Value,
}

impl<'v> Metrics<'v> {
    /// The shape is told from where the metrics stand.
    fn of(document: &'v Value) -> Result<Self, ImportError> {
        let metrics = document["metrics"].as_object();
        let shape = match metrics {
            _ if document["results"]["metrics"].is_array() => Shape::List,
            Some(metrics) if metrics.values().any(|it| it["values"].is_object()) => Shape::Handle,
            Some(_) => Shape::Export,
            None => return Err(malformed("there are no `metrics`: the script stored other parts")),
        };
        Ok(Self { shape, document })
    }

    /// Each metric with its name and its numbers.
    fn each(&self) -> impl Iterator<Item = (&'v str, &'v Value)> {
        let list = self.document["results"]["metrics"].as_array().into_iter().flatten();
        let list = list.filter_map(|metric| Some((metric["name"].as_str()?, metric)));
        let map = self.document["metrics"].as_object().into_iter().flatten();
        let is_list = self.shape == Shape::List;
        let map = map.map(|(name, metric)| (name.as_str(), metric));
        list.filter(move |_| is_list).chain(map.filter(move |_| !is_list))
    }

    /// The numbers of a metric; null where there is none.
    fn values(&self, name: &str) -> &'v Value {
        let metric = self.each().find(|(known, _)| *known == name).map(|(_, metric)| metric);
        let inner =
            if self.shape == Shape::Export { metric } else { metric.map(|it| &it["values"]) };
        inner.unwrap_or(&Value::Null)
    }
}

fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let document = json::parse(text)?;
    let metrics = Metrics::of(&document)?;
    let all = metrics.values("http_reqs");
    let Some(requests) = json::count(&all["count"]) else {
        let names = metrics.each().take(MOST_NAMES).map(|(name, _)| format!("`{}`", shown(name)));
        let names: Vec<_> = names.collect();
        let found = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(malformed(format!("there is no metric `http_reqs`; the metrics are {found}")));
    };
    let mut run = Summary { requests: Some(requests), ..Summary::default() };
    let failed = metrics.values("http_req_failed");
    // What "passed" here is the condition that a request failed.
    let name = if metrics.shape == Shape::List { "matches" } else { "passes" };
    run.failures = json::count(&failed[name]);
    let rate = json::number(&all["rate"]).filter(|rate| *rate > 0.0);
    run.duration_s = match metrics.shape {
        Shape::Export => rate.map(|rate| requests as f64 / rate),
        Shape::Handle => {
            json::number(&document["state"]["testRunDurationMs"]).map(|millis| millis / 1e3)
        }
        Shape::List => json::number(&document["config"]["duration"]),
    };
    let counted = run.duration_s.filter(|it| *it > 0.0).map(|it| requests as f64 / it);
    run.requests_per_s = rate.or(counted);
    times(metrics.values("http_req_duration"), &mut run);
    run.count("most virtual users", json::count(&metrics.values("vus")["max"]));
    let allocated = metrics.values("vus_max");
    let allocated = json::count(&allocated["max"]).or(json::count(&allocated["value"]));
    run.count("virtual users allocated", allocated);
    run.count("iterations", json::count(&metrics.values("iterations")["count"]));
    let dropped = json::count(&metrics.values("dropped_iterations")["count"]);
    run.count("dropped iterations", dropped.filter(|count| *count > 0));
    warn(&document, &metrics, &mut run);
    Ok(vec![run])
}

/// Times are in milliseconds; which of them are there is a setting (`summaryTrendStats`).
fn times(values: &Value, run: &mut Summary) {
    let millis = |name: &str| json::number(&values[name]).map(|millis| millis / 1e3);
    let times = &mut run.response_times;
    times.with_failures = true;
    (times.mean_s, times.min_s, times.max_s) = (millis("avg"), millis("min"), millis("max"));
    for (name, value) in values.as_object().into_iter().flatten() {
        let percent = name.strip_prefix("p(").and_then(|rest| rest.strip_suffix(')'));
        let percent = match name.as_str() {
            // The same as `p(50)`, which may stand beside it.
            "med" if values.get("p(50)").is_none() => Some(50.0),
            _ => percent.and_then(|percent| percent.parse().ok()),
        };
        if let Some((percent, millis)) = percent.zip(json::number(value)) {
            times.add(percent, millis / 1e3);
        }
    }
}

fn warn(document: &Value, metrics: &Metrics<'_>, run: &mut Summary) {
    if let Some(count) = run.counts.get("dropped iterations").copied() {
        run.warn(format!(
            "k6 dropped {count} iterations that its schedule asked for, because no virtual user \
             was free: more load was due than was sent"
        ));
    }
    if run.response_times.min_s == Some(0.0) {
        run.warn(
            "the shortest response time is 0: requests that never left, such as those whose \
             connection failed, are among the response times",
        );
    }
    if !document["setup_data"].is_null() {
        run.warn(
            "the file holds `setup_data`, which the script's setup returned and which may have \
             passwords and tokens in it: kneepoint did not keep it; do not pass the file on",
        );
    }
    for (name, metric) in metrics.each() {
        for (threshold, met) in metric["thresholds"].as_object().into_iter().flatten() {
            let is_crossed = match metrics.shape {
                Shape::Export => met == true,
                Shape::Handle | Shape::List => met["ok"] == false,
            };
            if is_crossed {
                let (name, threshold) = (shown(name), shown(threshold));
                run.warn(format!("k6's threshold `{threshold}` of `{name}` was crossed"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::{assert_expected, read};

    #[test]
    fn the_three_shapes_are_read() {
        let samples = ["k6-summary", "k6-summary-v1", "k6-summary-export"];
        for name in samples {
            let runs = assert_expected(&format!("{name}.sample.json"), name);
            let has = |words: &str| runs[0].warnings.iter().any(|it| it.contains(words));
            assert!(has("the shortest response time is 0"), "{runs:?}");
            assert_eq!(has("dropped 7 iterations"), name == "k6-summary-export", "{runs:?}");
            assert_eq!(has("`setup_data`"), name == "k6-summary", "{runs:?}");
            let is_crossed = has("`p(95)<300` of `http_req_duration` was crossed");
            assert_eq!(is_crossed, name != "k6-summary-v1", "{runs:?}");
            assert!(!has("rate<0.1"), "{runs:?}");
            assert!(!format!("{runs:?}").contains("made-up-secret"), "{runs:?}");
        }
    }

    #[test]
    fn a_part_of_a_summary_is_refused_with_what_is_missing() {
        let why = read(r#"{"root_group":{},"metrics":{"vus":{"value":1}}}"#).unwrap_err();
        assert!(why.to_string().contains("no metric `http_reqs`; the metrics are `vus`"), "{why}");
        let why = read(r#"{"root_group":{}}"#).unwrap_err();
        assert!(why.to_string().contains("there are no `metrics`"), "{why}");
    }
}
