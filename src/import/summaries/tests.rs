//! What each sample holds, compared with what it should be read as, and formats against formats.

use serde_json::Value;

use super::*;
use crate::import::tests::{SAMPLES, sample};

/// The runs in a text whose format has to be told.
pub(super) fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let mut told = SUMMARIES.iter().filter(|spec| spec.looks_like(text));
    let spec = told.next().unwrap();
    assert!(told.next().is_none(), "two formats");
    super::read(spec, text)
}

/// Reads a sample and compares each figure that is expected of it: counts exactly, times within
/// half a per cent.
pub(super) fn assert_expected(name: &str, expected: &str) -> Vec<Summary> {
    let text = String::from_utf8(sample(name)).unwrap();
    let runs = read(text.trim_start_matches('\u{feff}')).unwrap();
    let expected = sample(&format!("{expected}.expected.json"));
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    let each = match expected["runs"].as_array() {
        Some(runs) => runs.clone(),
        None => vec![expected],
    };
    assert_eq!(runs.len(), each.len(), "{name}");
    for (run, expected) in runs.iter().zip(&each) {
        assert_figures(name, run, expected);
        assert!(!run.warnings.is_empty() && !run.instead.is_empty(), "{name}");
    }
    runs
}

fn assert_figures(name: &str, run: &Summary, expected: &Value) {
    let counts = [("requests", run.requests), ("failures", run.failures)];
    for (field, got) in counts {
        if let Some(right) = expected[field].as_u64() {
            assert_eq!(got, Some(right), "{name}: {field}");
        }
    }
    let near = |what: &str, got: Option<f64>, right: f64| {
        let is_near = got.is_some_and(|got| (got - right).abs() <= 0.005 * right);
        assert!(is_near, "{name}: {what} is {got:?}, expected {right}");
    };
    let numbers = [
        ("duration_s", run.duration_s),
        ("requests_per_s", run.requests_per_s),
        ("throughput_per_s", run.requests_per_s),
        ("first_unix", run.started.map(|it| it.as_millisecond() as f64 / 1e3)),
    ];
    for (field, got) in numbers {
        if let Some(right) = expected[field].as_f64() {
            near(field, got, right);
        }
    }
    let times = &run.response_times;
    for (field, right) in expected["response_ms"].as_object().into_iter().flatten() {
        let got = match field.as_str() {
            "mean" => times.mean_s,
            "min" => times.min_s,
            "max" => times.max_s,
            percent => {
                let percent: f64 = percent[1..].parse().unwrap();
                let same = |it: &&Quantile| (it.percent - percent).abs() < 1e-6;
                times.quantiles.iter().find(same).map(|it| it.seconds)
            }
        };
        near(field, got.map(|seconds| seconds * 1e3), right.as_f64().unwrap());
    }
    for (status, right) in expected["by_status"].as_object().into_iter().flatten() {
        assert_eq!(run.by_status.get(status), right.as_u64().as_ref(), "{name}: {status}");
    }
    for (text, right) in expected["errors"].as_object().into_iter().flatten() {
        let got = run.errors.iter().find(|error| error.text == *text);
        assert_eq!(got.and_then(|it| it.count), right.as_u64(), "{name}: {text}: {:?}", run.errors);
    }
    if let Some(right) = expected["endpoints"].as_u64() {
        assert_eq!(run.endpoints.len() as u64, right, "{name}");
    }
    for (endpoint, right) in expected["by_endpoint"].as_object().into_iter().flatten() {
        let got = run.endpoints.iter().find(|it| it.name == *endpoint).unwrap();
        assert_eq!(Some(got.requests), right["requests"].as_u64(), "{name}: {endpoint}");
        assert_eq!(Some(got.failures), right["failures"].as_u64(), "{name}: {endpoint}");
    }
}

#[test]
fn a_damaged_summary_is_read_or_refused_and_never_a_panic() {
    for (name, format) in SAMPLES {
        let Some(spec) = SUMMARIES.iter().find(|spec| spec.name == *format) else { continue };
        let bytes = sample(name);
        for cut in 0..bytes.len() {
            let text = String::from_utf8_lossy(&bytes[..cut]);
            if let Err(why) = super::read(spec, &text) {
                assert!(!why.to_string().is_empty(), "{name}");
            }
        }
    }
}
