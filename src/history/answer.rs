//! The JSON that Prometheus' API answers with, as far as a history needs it.
//!
//! Format: <https://prometheus.io/docs/prometheus/latest/querying/api/>. Thanos, Mimir, Cortex and
//! VictoriaMetrics answer alike.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::native::{Native, NativeText};
use crate::timeline::{cut, mask_secrets};

/// Longest text of a server that a message quotes, in bytes.
const LONGEST_QUOTE: usize = 200;

/// Labels of a series, its name as `__name__` among them.
pub(super) type LabelSet = BTreeMap<String, String>;

/// What an answer holds.
#[derive(Debug, Deserialize)]
struct Envelope<T> {
    status: String,
    data: Option<T>,
    #[serde(rename = "errorType", default)]
    error_type: String,
    #[serde(default)]
    error: String,
}

/// Series with their samples.
#[derive(Debug, Deserialize)]
pub(super) struct Matrix {
    #[serde(rename = "resultType")]
    pub(super) result_type: String,
    pub(super) result: Vec<MatrixSeries>,
}

/// One of them.
#[derive(Debug, Deserialize)]
pub(super) struct MatrixSeries {
    pub(super) metric: LabelSet,
    /// Seconds since 1970, and the value as text.
    #[serde(default)]
    values: Vec<(f64, String)>,
    /// Seconds since 1970, and the native histogram.
    #[serde(default)]
    histograms: Vec<(f64, NativeText)>,
}

/// The type of a metric.
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    #[serde(rename = "type")]
    pub(super) kind: String,
}

impl MatrixSeries {
    /// Time in milliseconds since 1970, and value. A value that is not finite is no value: it marks
    /// the end of a series, or the service had none.
    pub(super) fn samples(&self) -> impl Iterator<Item = (i64, f64)> {
        self.values.iter().filter_map(|(at, value)| {
            let value: f64 = value.parse().ok()?;
            let millis = at * 1e3;
            (value.is_finite() && millis.is_finite()).then_some((millis.round() as i64, value))
        })
    }

    /// The same of native histograms.
    pub(super) fn natives(&self) -> impl Iterator<Item = (i64, Native)> {
        self.histograms.iter().filter_map(|(at, text)| {
            let millis = at * 1e3;
            Some((millis.round() as i64, text.read()?)).filter(|_| millis.is_finite())
        })
    }
}

/// Why an answer is of no use.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It asks for more than the server allows at a time.
    TooMuch(String),
    /// The server does not allow this, or does not understand it.
    Refused(String),
    /// The server failed, or its answer is damaged: it may succeed later.
    Failed(String),
    /// It is not an answer of this API.
    Foreign(String),
}

/// The data of an answer with this status and body.
pub(super) fn data<T: DeserializeOwned>(status: u16, body: &[u8]) -> Result<T, Refusal> {
    let envelope: Envelope<T> = match serde_json::from_slice(body) {
        Ok(envelope) => envelope,
        Err(error) => return Err(unreadable(status, body, &error)),
    };
    match envelope.data {
        Some(data) if envelope.status == "success" && status < 400 => Ok(data),
        _ => Err(refused(status, &envelope.error_type, &envelope.error)),
    }
}

/// The refusal of a body that is not the JSON that was expected.
fn unreadable(status: u16, body: &[u8], error: &serde_json::Error) -> Refusal {
    if let Ok(envelope) = serde_json::from_slice::<Envelope<serde::de::IgnoredAny>>(body)
        && envelope.status == "error"
    {
        return refused(status, &envelope.error_type, &envelope.error);
    }
    let is_json = body.trim_ascii_start().first() == Some(&b'{');
    match status {
        413 => Refusal::TooMuch("says that the request is too large (status 413)".to_owned()),
        400.. => refused(status, "", &String::from_utf8_lossy(body)),
        _ if is_json && error.is_eof() => Refusal::Failed(format!(
            "sent only a part of its answer: the JSON ends after {} bytes",
            body.len()
        )),
        _ if is_json && error.is_syntax() => Refusal::Failed(format!(
            "sent JSON that is damaged at line {}, column {}",
            error.line(),
            error.column()
        )),
        _ if body.is_empty() => Refusal::Failed("sent an empty answer".to_owned()),
        _ => Refusal::Foreign("does not answer as Prometheus' API does".to_owned()),
    }
}

/// Words of servers that allow less at a time: Prometheus, Thanos, Mimir and VictoriaMetrics.
const TOO_MUCH: &[&str] = &[
    "too many samples",
    "too many points",
    "too many chunks",
    "too many series",
    "exceeded maximum resolution",
    "exceeds the limit",
    "exceeded the",
    "limit exceeded",
    "exceeds limit",
    "max-query",
    "-search.max",
    "query timed out",
    "response is too large",
];

fn refused(status: u16, kind: &str, error: &str) -> Refusal {
    let lower = error.to_lowercase();
    let quoted = quote(error);
    let says = match (quoted.is_empty(), kind.is_empty()) {
        (true, _) => format!("answered with status {status}"),
        (false, true) => format!("answered with status {status}: {quoted}"),
        (false, false) => format!("answered with status {status} ({kind}): {quoted}"),
    };
    if status == 413 || kind == "timeout" || TOO_MUCH.iter().any(|words| lower.contains(words)) {
        return Refusal::TooMuch(says);
    }
    match status {
        429 | 500.. => Refusal::Failed(says),
        _ => Refusal::Refused(says),
    }
}

/// A text of the server, short and without secrets.
fn quote(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(|c| !c.is_control()).collect();
    if line.starts_with('<') {
        // Proxies say in its title why they did not pass the question on.
        let title = line.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
        return match title {
            Some((title, _)) => {
                format!("an HTML page, `{}`", cut(&mask_secrets(title.trim()), LONGEST_QUOTE))
            }
            None => "an HTML page".to_owned(),
        };
    }
    cut(&mask_secrets(&line), LONGEST_QUOTE).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MATRIX: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[
        {"metric":{"__name__":"up","job":"shop"},
         "values":[[1.001,"1"],[2,"NaN"],[3.5,"+Inf"],[4,"2.5"],[5,"x"]]}]}}"#;

    #[test]
    fn a_value_that_is_not_finite_is_no_value() {
        let matrix: Matrix = data(200, MATRIX.as_bytes()).unwrap();
        assert_eq!(matrix.result_type, "matrix");
        let samples: Vec<_> = matrix.result[0].samples().collect();
        assert_eq!(samples, [(1001, 1.0), (4000, 2.5)]);
    }

    #[test]
    fn an_answer_that_is_cut_off_says_after_how_many_bytes() {
        for end in [1, 20, 60, MATRIX.len() - 1] {
            let Err(Refusal::Failed(what)) = data::<Matrix>(200, &MATRIX.as_bytes()[..end]) else {
                panic!("{end} bytes were taken for an answer");
            };
            assert!(what.contains(&format!("after {end} bytes")), "{what}");
        }
    }

    #[test]
    fn limits_failures_and_refusals_are_told_apart() {
        let error = |kind: &str, text: &str| {
            format!(r#"{{"status":"error","errorType":"{kind}","error":"{text}"}}"#)
        };
        let too_many = error("execution", "query processing would load too many samples");
        assert!(matches!(data::<Matrix>(422, too_many.as_bytes()), Err(Refusal::TooMuch(_))));
        let bad = error("bad_data", "range vectors are not allowed");
        assert!(matches!(data::<Matrix>(400, bad.as_bytes()), Err(Refusal::Refused(_))));
        let down = error("internal", "no storage");
        assert!(matches!(data::<Matrix>(500, down.as_bytes()), Err(Refusal::Failed(_))));
        assert!(matches!(data::<Matrix>(502, b"<html>bad gateway"), Err(Refusal::Failed(_))));
        assert!(matches!(data::<Matrix>(200, b"<html>login"), Err(Refusal::Foreign(_))));
        let page = b"<html><head><title>400 No SSL certificate</title></head></html>";
        let Err(Refusal::Refused(why)) = data::<Matrix>(400, page) else { panic!("an answer") };
        assert!(why.ends_with("an HTML page, `400 No SSL certificate`"), "{why}");
        let wrong_type = br#"{"status":"success","data":[1]}"#;
        assert!(matches!(data::<Matrix>(200, wrong_type), Err(Refusal::Foreign(_))));
    }
}
