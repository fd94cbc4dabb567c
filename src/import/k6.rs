//! k6's results as `k6 run --out json=FILE` writes them: one object a line, of which those of the
//! metric `http_req_duration` are requests. Their time is that of the response's end.

use jiff::Timestamp;
use serde::Deserialize;

use super::ImporterSpec;
use super::lines::each_line;
use super::requests::{Request, Requests, path_of};
use crate::timeline::ResponseClass;

pub(super) static SPEC: ImporterSpec = ImporterSpec {
    name: "k6",
    summary: "k6 results, one JSON object per line: k6 run --out json=FILE script.js",
    read: |input, requests| each_line(input, |line| take(line, requests)),
};

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    metric: String,
    data: serde_json::Value,
}

/// One sample; its value is in milliseconds.
#[derive(Deserialize)]
struct Sample {
    time: Timestamp,
    value: f64,
    tags: Tags,
}

#[derive(Deserialize)]
struct Tags {
    #[serde(default)]
    method: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    error_code: String,
}

fn take(line: &str, requests: &mut Requests) -> Result<(), String> {
    let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
    if line.kind != "Point" || line.metric != "http_req_duration" {
        return Ok(());
    }
    let sample: Sample = serde_json::from_value(line.data).map_err(|error| error.to_string())?;
    let took = sample.value / 1e3;
    requests.add(Request {
        sent_unix: sample.time.as_nanosecond() as f64 / 1e9 - took,
        took,
        endpoint: endpoint(&sample.tags),
        class: class(&sample.tags),
    })
}

/// The name that the script gave it, or the path of its URL.
fn endpoint(tags: &Tags) -> String {
    let name = path_of(&tags.name).unwrap_or_else(|| tags.name.clone());
    format!("{} {name}", tags.method).trim().to_owned()
}

/// By status, or by k6's error codes (its manual, "Error codes"): 1050 is a timeout, 1100 and 1200
/// are DNS and TCP, 1220 a reset, 1300 TLS.
fn class(tags: &Tags) -> ResponseClass {
    match tags.status.parse() {
        Ok(0) | Err(_) => match tags.error_code.parse().unwrap_or(0) {
            1050 | 1211 => ResponseClass::Timeout,
            1220 => ResponseClass::Reset,
            1100..1300 => ResponseClass::Connect,
            1300..1400 => ResponseClass::Tls,
            1400.. => ResponseClass::Protocol,
            _ => ResponseClass::Reset,
        },
        Ok(status) => ResponseClass::Status(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{find, import};

    #[test]
    fn only_samples_of_requests_count() {
        let text = r#"
{"type":"Metric","data":{"name":"http_req_duration","type":"trend"},"metric":"http_req_duration"}
{"metric":"http_reqs","type":"Point","data":{"time":"2026-03-01T10:00:00.3Z","value":1,"tags":{"status":"200"}}}
{"metric":"http_req_duration","type":"Point","data":{"time":"2026-03-01T10:00:00.3Z","value":250.5,"tags":{"method":"GET","name":"http://127.0.0.1/cart?token=hush","status":"200"}}}
{"metric":"http_req_duration","type":"Point","data":{"time":"2026-03-01T10:00:00.4Z","value":0,"tags":{"method":"GET","name":"cart","status":"0","error_code":"1212"}}}
"#;
        let recording = import(find("k6").unwrap(), "it", &mut text.as_bytes()).unwrap();
        let ticks = &recording.timeline.ticks;
        assert_eq!(ticks.iter().map(|tick| tick.offered).sum::<u64>(), 2);
        let names: Vec<_> = recording.plan.requests.iter().map(|it| it.0.as_str()).collect();
        assert_eq!(names, ["GET /cart", "GET cart"]);
        let classes: Vec<_> = ticks[0].endpoints.iter().map(|endpoint| endpoint.class).collect();
        assert_eq!(classes, [ResponseClass::Status(200), ResponseClass::Connect]);
    }
}
