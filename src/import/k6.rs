//! k6's results as `k6 run --out json=FILE` writes them: one object a line, of which those of the
//! metric `http_req_duration` are requests. Their time is that of the response's end.

use jiff::Timestamp;
use serde::Deserialize;

use super::ImporterSpec;
use super::lines::each_line;
use super::requests::{ALL_REQUESTS, Request, Requests, path_of};
use super::waiting::LoadModel;
use crate::timeline::ResponseClass;

pub(super) static SPEC: ImporterSpec = ImporterSpec {
    name: "k6",
    summary: "k6 results, one JSON object per line: k6 run --out json=FILE script.js",
    looks_like,
    read: |input, requests| {
        let cut = each_line(input, |line| take(line, requests))?;
        cut.into_iter().for_each(|note| requests.note(note));
        Ok(())
    },
};

fn looks_like(begin: &str) -> bool {
    let line = begin.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let line = serde_json::from_str::<Line>(line);
    line.is_ok_and(|line| matches!(line.kind.as_str(), "Metric" | "Point"))
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    metric: String,
    data: serde_json::Value,
}

/// One sample. Those of times are in milliseconds.
#[derive(Deserialize)]
struct Sample {
    time: Timestamp,
    value: f64,
    #[serde(default)]
    tags: Option<Tags>,
}

/// What k6 says of a request.
#[derive(Default, Deserialize)]
pub(super) struct Tags {
    #[serde(default)]
    pub(super) method: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) error: String,
    #[serde(default)]
    pub(super) error_code: String,
    /// `false` where the script takes the answer for a failure.
    #[serde(default)]
    pub(super) expected_response: String,
}

fn take(line: &str, requests: &mut Requests) -> Result<(), String> {
    let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
    if line.kind != "Point" || !is_read(&line.metric) {
        return Ok(());
    }
    let sample: Sample = serde_json::from_value(line.data).map_err(|error| error.to_string())?;
    let at = sample.time.as_nanosecond() as f64 / 1e9;
    let tags = sample.tags.unwrap_or_default();
    take_sample(&line.metric, at, sample.value, &tags, requests)
}

/// Whether samples of this metric say something of the load.
pub(super) fn is_read(metric: &str) -> bool {
    matches!(metric, "http_req_duration" | "vus" | "dropped_iterations")
}

/// Adds what one sample of a metric says.
///
/// # Errors
/// When its numbers are impossible.
pub(super) fn take_sample(
    metric: &str,
    at: f64,
    value: f64,
    tags: &Tags,
    requests: &mut Requests,
) -> Result<(), String> {
    match metric {
        "vus" => requests.add_users(at, value),
        "dropped_iterations" => {
            if value > 0.0 {
                requests.set_model(LoadModel::Open);
                requests.note(
                    "k6 dropped iterations that its schedule asked for, because no virtual user \
                     was free: more load was due than was sent",
                );
            }
            Ok(())
        }
        _ => {
            let took = value / 1e3;
            let said = match tags.error.is_empty() {
                true => String::new(),
                false => tags.error.clone(),
            };
            let (endpoint, class) = (endpoint(tags), class(tags));
            if took == 0.0 && !matches!(class, ResponseClass::Status(_)) {
                requests.note(
                    "some requests were never sent, because there was no connection for them: k6 \
                     gives them 0 ms, and they count as failures",
                );
            }
            requests.add(Request { sent_unix: at - took, took, endpoint, class, said })
        }
    }
}

/// The name that the script gave it, or the path of its URL.
fn endpoint(tags: &Tags) -> String {
    let name = path_of(&tags.name).unwrap_or_else(|| tags.name.clone());
    match format!("{} {name}", tags.method).trim() {
        // Which tags samples have is a setting.
        "" => ALL_REQUESTS.to_owned(),
        name => name.to_owned(),
    }
}

/// By status, or by k6's error codes (its manual, "Error codes"): 1050 is a timeout, 1100 and 1200
/// are DNS and TCP, 1220 a reset, 1300 TLS; 1400 to 1599 are 1000 and the status. Which tags samples
/// have is a setting (`systemTags`): one without a status or an error code was answered.
fn class(tags: &Tags) -> ResponseClass {
    let code = tags.error_code.parse().unwrap_or(0_u16);
    match tags.status.parse() {
        Err(_) if tags.status.is_empty() && code == 0 => match tags.expected_response.as_str() {
            "false" => ResponseClass::Check,
            _ => ResponseClass::Status(200),
        },
        Ok(0) | Err(_) => match code {
            1050 | 1211 => ResponseClass::Timeout,
            1220 => ResponseClass::Reset,
            1100..1300 => ResponseClass::Connect,
            1300..1400 => ResponseClass::Tls,
            1400..1600 => ResponseClass::Status(code - 1000),
            1600.. => ResponseClass::Protocol,
            _ => ResponseClass::Reset,
        },
        Ok(status) if status < 400 && tags.expected_response == "false" => ResponseClass::Check,
        Ok(status) => ResponseClass::Status(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::tests::{Read, sample};
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

    #[test]
    fn samples_without_the_tag_of_a_status_are_told_by_the_others() {
        let class = |error_code: &str, expected: &str| {
            let (error_code, expected_response) = (error_code.to_owned(), expected.to_owned());
            class(&Tags { error_code, expected_response, ..Tags::default() })
        };
        assert_eq!(class("", "true"), ResponseClass::Status(200));
        assert_eq!(class("", ""), ResponseClass::Status(200));
        assert_eq!(class("", "false"), ResponseClass::Check);
        assert_eq!(class("1503", "false"), ResponseClass::Status(503));
        assert_eq!(class("1212", "false"), ResponseClass::Connect);
    }

    #[test]
    fn samples_of_both_orders_of_keys_are_read() {
        let read = Read::of("k6", &sample("k6-json.sample.json"));
        read.assert_counts(3, 2, &[("GET /books", 1, 0), ("POST /cart", 1, 1)]);
        assert!(read.notes.contains("dropped iterations"), "{}", read.notes);
        assert!(read.notes.contains("never sent"), "{}", read.notes);
        let read = Read::of("k6", &sample("k6-json-old.sample.json"));
        read.assert_counts(12, 2, &[("GET /books", 4, 1), ("GET /cart", 4, 1)]);
        read.assert_ms(0.5, 81.737);
    }
}
