//! vegeta's results as `vegeta encode --to json` writes them: one object a line.

use jiff::Timestamp;
use serde::Deserialize;

use super::ImporterSpec;
use super::lines::each_line;
use super::requests::{ALL_REQUESTS, Request, Requests, path_of};
use crate::timeline::ResponseClass;

pub(super) static SPEC: ImporterSpec = ImporterSpec {
    name: "vegeta",
    summary: "vegeta results, one JSON object per line: vegeta encode --to json results.bin",
    looks_like: |begin| {
        let line = begin.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        serde_json::from_str::<Line>(line).is_ok()
    },
    read: |input, requests| {
        let cut = each_line(input, |line| take(line, requests))?;
        cut.into_iter().for_each(|note| requests.note(note));
        Ok(())
    },
};

/// The fields that are of interest here; durations in nanoseconds.
#[derive(Deserialize)]
struct Line {
    timestamp: Timestamp,
    latency: u64,
    code: u16,
    #[serde(default)]
    error: String,
    #[serde(default)]
    method: String,
    #[serde(default)]
    url: String,
}

fn take(line: &str, requests: &mut Requests) -> Result<(), String> {
    let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let hit = Hit {
        sent_unix: line.timestamp.as_nanosecond() as f64 / 1e9,
        took: line.latency as f64 / 1e9,
        code: line.code,
        error: &line.error,
        method: &line.method,
        url: &line.url,
    };
    add(&hit, requests)
}

/// Remark on the files of old versions.
pub(super) const WITHOUT_NAMES: &str = "the file has no methods and no URLs, as those of vegeta \
                                        before 12.8: all requests count as one";

/// One request, however it is encoded.
pub(super) struct Hit<'h> {
    pub(super) sent_unix: f64,
    pub(super) took: f64,
    /// 0 where there was no answer.
    pub(super) code: u16,
    pub(super) error: &'h str,
    pub(super) method: &'h str,
    pub(super) url: &'h str,
}

/// Adds a hit.
///
/// # Errors
/// When its times are impossible.
pub(super) fn add(hit: &Hit<'_>, requests: &mut Requests) -> Result<(), String> {
    let path = path_of(hit.url).unwrap_or_default();
    let name = format!("{} {path}", hit.method).trim().to_owned();
    requests.add(Request {
        sent_unix: hit.sent_unix,
        took: hit.took,
        endpoint: if name.is_empty() { ALL_REQUESTS.to_owned() } else { name },
        class: class(hit.code, hit.error),
        said: hit.error.to_owned(),
    })
}

/// What an answer without a status was, by what vegeta says of it (Go's words).
fn class(code: u16, error: &str) -> ResponseClass {
    let says = |words: &[&str]| words.iter().any(|word| error.contains(word));
    match code {
        0 if says(&["Client.Timeout", "deadline exceeded", "timeout"]) => ResponseClass::Timeout,
        0 if says(&["tls", "x509"]) => ResponseClass::Tls,
        0 if says(&["refused", "no route", "unreachable", "dial "]) => ResponseClass::Connect,
        0 if says(&["malformed"]) => ResponseClass::Protocol,
        0 => ResponseClass::Reset,
        code => ResponseClass::Status(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{find, import};

    #[test]
    fn hits_become_requests_without_their_queries() {
        let text = r#"
{"attack":"","seq":0,"code":200,"timestamp":"2026-03-01T10:00:00.25+02:00","latency":12000000,"bytes_out":0,"bytes_in":5,"error":"","method":"GET","url":"http://127.0.0.1:8080/cart?token=hush"}
{"attack":"","seq":1,"code":0,"timestamp":"2026-03-01T10:00:01.5+02:00","latency":500000,"error":"Get \"http://127.0.0.1:8080/cart\": dial tcp 127.0.0.1:8080: connect: connection refused","method":"GET","url":"http://127.0.0.1:8080/cart"}
"#;
        let recording = import(find("vegeta").unwrap(), "it", &mut text.as_bytes()).unwrap();
        assert!((recording.environment.started_unix - 1_772_352_000.0).abs() < 1e-3);
        assert_eq!(recording.plan.requests, [("GET /cart".to_owned(), 1.0)]);
        let classes: Vec<_> = recording
            .timeline
            .ticks
            .iter()
            .flat_map(|tick| tick.endpoints.iter().map(|endpoint| endpoint.class))
            .collect();
        assert_eq!(classes, [ResponseClass::Status(200), ResponseClass::Connect]);
    }
}
