//! Inspects a response: extracts values from it, and checks whether it is what the plan expects.

use httparse::Header;
use jsonpath_rust::parser::model::{JpQuery, Segment, Selector};
use jsonpath_rust::parser::parse_json_path;
use jsonpath_rust::query::js_path_process;
use regex::bytes::Regex;
use serde_json::Value;

use super::decode::Decoder;
use super::response::Observer;
use crate::plan::{Capture, CaptureSource, Check, Request};

/// At most this much of a body is kept. Anything searched for has to be within it.
const MOST_BODY: usize = 1024 * 1024;

/// A search in JSON may take about this much memory.
const MOST_PATHS: usize = 32 * 1024 * 1024;

/// What to look for in the responses to one request, compiled.
#[derive(Debug, Default)]
pub(super) struct Inspection {
    captures: Vec<(usize, Source)>,
    checks: Vec<(String, Expected)>,
    reads_body: bool,
    reads_json: bool,
}

#[derive(Debug)]
enum Source {
    Json(JpQuery),
    Regex(Regex),
    Header(String),
    Cookie(String),
}

#[derive(Debug)]
enum Expected {
    Status(Vec<u16>),
    Contains(Vec<u8>),
    Matches(Regex),
    Header(String, String),
    Json(JpQuery, Value),
}

/// The result of an inspection.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ReviewOutcome {
    /// The failed checks, by index.
    pub(super) failed: Vec<usize>,
    /// The captured values, by slot. `None` if nothing was found.
    pub(super) captured: Vec<(usize, Option<String>)>,
}

impl Inspection {
    /// What to look for in the responses to `request`. `slot` gives the slot of a capture.
    ///
    /// # Errors
    ///
    /// A path or expression that is not valid.
    pub(super) fn compile(
        request: &Request,
        mut slot: impl FnMut(&str) -> usize,
    ) -> Result<Self, String> {
        let mut inspection = Self::default();
        for Capture { name, source } in &request.captures {
            inspection.reads_body |= source.reads_body();
            inspection.reads_json |= matches!(source, CaptureSource::Json(_));
            let source = match source {
                CaptureSource::Json(path) => Source::Json(json_path(path)?),
                CaptureSource::Regex(regex) => Source::Regex(expression(regex)?),
                CaptureSource::Header(name) => Source::Header(name.clone()),
                CaptureSource::Cookie(name) => Source::Cookie(name.clone()),
            };
            inspection.captures.push((slot(name), source));
        }
        for check in &request.checks {
            inspection.reads_body |= check.reads_body();
            inspection.reads_json |= matches!(check, Check::Json(..));
            let expected = match check {
                Check::Status(statuses) => Expected::Status(statuses.clone()),
                Check::Contains(text) => Expected::Contains(text.clone().into_bytes()),
                Check::Matches(regex) => Expected::Matches(expression(regex)?),
                Check::Header(name, text) => {
                    Expected::Header(name.clone(), text.to_ascii_lowercase())
                }
                Check::Json(path, value) => Expected::Json(json_path(path)?, value.clone()),
            };
            inspection.checks.push((format!("{}: {check}", request.name), expected));
        }
        Ok(inspection)
    }

    /// Whether there is anything to look for.
    pub(super) fn is_empty(&self) -> bool {
        self.captures.is_empty() && self.checks.is_empty()
    }

    /// Whether it captures anything.
    pub(super) fn captures(&self) -> bool {
        !self.captures.is_empty()
    }

    /// The highest number of `..` in one path, among the paths that may lead to several values.
    fn descents(&self) -> Option<u32> {
        let captures = self.captures.iter().filter_map(|(_, source)| match source {
            Source::Json(path) => Some(path),
            _ => None,
        });
        let checks = self.checks.iter().filter_map(|(_, expected)| match expected {
            Expected::Json(path, _) => Some(path),
            _ => None,
        });
        let is_plain = |segment: &Segment| {
            matches!(segment, Segment::Selector(Selector::Name(_) | Selector::Index(_)))
        };
        let is_descent = |segment: &&Segment| matches!(segment, Segment::Descendant(_));
        captures
            .chain(checks)
            .filter(|path| !path.segments.iter().all(is_plain))
            .map(|path| path.segments.iter().filter(is_descent).count() as u32)
            .max()
    }

    /// The text of a check.
    pub(super) fn text_of(&self, check: usize) -> &str {
        self.checks.get(check).map_or("", |(text, _)| text)
    }
}

fn json_path(text: &str) -> Result<JpQuery, String> {
    parse_json_path(text).map_err(|_| format!("`{text}` is not a valid JSONPath"))
}

fn expression(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|_| format!("`{text}` is not a valid regular expression"))
}

/// Keeps the parts of one response that are inspected.
pub(super) struct Review<'s> {
    inspection: &'s Inspection,
    status: u16,
    headers: Vec<(String, String)>,
    /// The `Set-Cookie` headers, if they matter.
    pub(super) cookies: Vec<String>,
    pub(super) keeps_cookies: bool,
    body: Vec<u8>,
    /// Set if the body is encoded and inspected.
    decoder: Option<Decoder>,
}

impl<'s> Review<'s> {
    /// A review before any data.
    pub(super) fn new(inspection: &'s Inspection, keeps_cookies: bool) -> Self {
        let (headers, cookies, body) = (Vec::new(), Vec::new(), Vec::new());
        Self { inspection, status: 0, headers, cookies, keeps_cookies, body, decoder: None }
    }

    /// The result for the whole response.
    pub(super) fn conclude(&mut self) -> ReviewOutcome {
        if let Some(decoder) = self.decoder.take() {
            // A body that is cut off or broken is inspected up to that point.
            decoder.finish(&mut self.body).unwrap_or(());
        }
        let inspection = self.inspection;
        let json = match inspection.reads_json {
            true => serde_json::from_slice(&self.body).unwrap_or(Value::Null),
            false => Value::Null,
        };
        let is_too_much = |descents| effort(&json, 0, 1, descents) > MOST_PATHS;
        let json = match inspection.descents().is_some_and(is_too_much) {
            true => Value::Null,
            false => json,
        };
        let is_met = |expected: &Expected| match expected {
            Expected::Status(statuses) => statuses.contains(&self.status),
            Expected::Contains(text) => contains(&self.body, text),
            Expected::Matches(regex) => regex.is_match(&self.body),
            Expected::Header(name, text) => {
                self.named(name).any(|value| value.to_ascii_lowercase().contains(text.as_str()))
            }
            Expected::Json(path, wanted) => {
                first(path, &json).is_some_and(|found| equal(found, wanted))
            }
        };
        let checks = inspection.checks.iter().enumerate();
        ReviewOutcome {
            failed: checks
                .filter(|(_, (_, expected))| !is_met(expected))
                .map(|(index, _)| index)
                .collect(),
            captured: inspection
                .captures
                .iter()
                .map(|(slot, source)| (*slot, self.find(source, &json)))
                .collect(),
        }
    }

    fn find(&self, source: &Source, json: &Value) -> Option<String> {
        match source {
            Source::Json(path) => first(path, json).and_then(|value| match value {
                Value::Null => None,
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            }),
            Source::Regex(regex) => {
                let found = regex.captures(&self.body)?;
                let group = found.get(1).or_else(|| found.get(0))?;
                Some(String::from_utf8_lossy(group.as_bytes()).into_owned())
            }
            Source::Header(name) => self.named(name).next().map(str::to_owned),
            Source::Cookie(name) => self
                .cookies
                .iter()
                .filter_map(|header| cookie::Cookie::parse(header.as_str()).ok())
                .find(|cookie| cookie.name() == name)
                .map(|cookie| cookie.value().to_owned()),
        }
    }

    fn named<'h>(&'h self, wanted: &'h str) -> impl Iterator<Item = &'h str> {
        self.headers
            .iter()
            .filter(move |(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.as_str())
    }

    fn wants(&self, header: &str) -> bool {
        let captured = self.inspection.captures.iter().any(|(_, source)| match source {
            Source::Header(name) => name.eq_ignore_ascii_case(header),
            _ => false,
        });
        captured
            || self.inspection.checks.iter().any(|(_, expected)| match expected {
                Expected::Header(name, _) => name.eq_ignore_ascii_case(header),
                _ => false,
            })
    }
}

impl Observer for Review<'_> {
    fn head(&mut self, status: u16, headers: &[Header<'_>]) {
        self.status = status;
        let captures_cookie =
            self.inspection.captures.iter().any(|(_, source)| matches!(source, Source::Cookie(_)));
        for header in headers {
            let text = || String::from_utf8_lossy(header.value).into_owned();
            if (self.keeps_cookies || captures_cookie)
                && header.name.eq_ignore_ascii_case("set-cookie")
            {
                self.cookies.push(text());
            }
            if self.inspection.reads_body && header.name.eq_ignore_ascii_case("content-encoding") {
                self.decoder = Decoder::for_encoding(&text(), MOST_BODY);
            }
            if self.wants(header.name) {
                self.headers.push((header.name.to_owned(), text()));
            }
        }
    }

    fn body(&mut self, bytes: &[u8]) {
        if let Some(decoder) = &mut self.decoder {
            // The decoder has the same limit. A broken body shows as values not found.
            decoder.push(bytes, &mut self.body).unwrap_or(());
        } else if self.inspection.reads_body {
            let room = MOST_BODY - self.body.len();
            self.body.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }
}

fn first<'v>(path: &JpQuery, value: &'v Value) -> Option<&'v Value> {
    let found = js_path_process(path, value).ok()?;
    found.into_iter().next().map(|found| found.val())
}

/// Estimates the memory for a search in a value at `level` whose own path has `path` bytes. The
/// library keeps the path of each part it visits as text, so that a long key above many parts would
/// take gigabytes. With several `..` it reaches a part once for each way of dividing the levels
/// above it between them.
fn effort(value: &Value, path: usize, level: usize, descents: u32) -> usize {
    const REFERENCE: usize = 32;
    let own = (REFERENCE + path).saturating_mul(level.saturating_pow(descents.saturating_sub(1)));
    let part = |path: usize, part: &Value| effort(part, path, level + 1, descents);
    let parts = match value {
        Value::Array(items) => {
            items.iter().map(|item| part(path + 9, item)).fold(0, usize::saturating_add)
        }
        Value::Object(entries) => entries
            .iter()
            .map(|(key, item)| part(path + key.len() + 4, item))
            .fold(0, usize::saturating_add),
        _ => 0,
    };
    own.saturating_add(parts)
}

/// Whether two values are equal. Numbers are compared by value, however they are written.
fn equal(found: &Value, wanted: &Value) -> bool {
    match (found.as_f64(), wanted.as_f64()) {
        (Some(found), Some(wanted)) => found == wanted,
        _ => found == wanted,
    }
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|part| part == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Segment, Template};

    const BODY: &str = r#"{"token": "t1", "items": [{"id": 7}, {"id": 8}], "ok": true, "n": 2.0}"#;

    fn review(captures: &[CaptureSource], checks: &[Check]) -> (Vec<Option<String>>, Vec<usize>) {
        let capture =
            |source: &CaptureSource| Capture { name: "it".to_owned(), source: source.clone() };
        let path = Template(vec![Segment::Text("/".to_owned())]);
        let request = Request {
            captures: captures.iter().map(capture).collect(),
            checks: checks.to_vec(),
            ..Request::get("it", path)
        };
        let inspection = Inspection::compile(&request, |_| 3).unwrap();
        let mut review = Review::new(&inspection, false);
        let header = |name, value: &'static str| Header { name, value: value.as_bytes() };
        let headers = [
            header("Content-Type", "application/json; x=1"),
            header("set-cookie", "sid=s1; Path=/"),
        ];
        review.head(201, &headers);
        let (a, b) = BODY.split_at(20);
        review.body(a.as_bytes());
        review.body(b.as_bytes());
        let verdict = review.conclude();
        assert!(verdict.captured.iter().all(|(slot, _)| *slot == 3));
        (verdict.captured.into_iter().map(|(_, found)| found).collect(), verdict.failed)
    }

    #[test]
    fn values_are_found_where_the_plan_says() {
        let text = |text: &str| text.to_owned();
        let cases = [
            (CaptureSource::Json(text("$.token")), Some("t1")),
            (CaptureSource::Json(text("$.items[*].id")), Some("7")),
            (CaptureSource::Json(text("$.items[?@.id > 7].id")), Some("8")),
            (CaptureSource::Json(text("$.none")), None),
            (CaptureSource::Regex(text("\"id\": (\\d)")), Some("7")),
            (CaptureSource::Regex(text("tok..")), Some("token")),
            (CaptureSource::Regex(text("nothing")), None),
            (CaptureSource::Header(text("content-type")), Some("application/json; x=1")),
            (CaptureSource::Header(text("location")), None),
            (CaptureSource::Cookie(text("sid")), Some("s1")),
        ];
        for (source, expected) in cases {
            let (found, _) = review(std::slice::from_ref(&source), &[]);
            assert_eq!(found, [expected.map(str::to_owned)], "{source:?}");
        }
    }

    #[test]
    fn checks_fail_where_they_should() {
        let text = |text: &str| text.to_owned();
        let good = [
            Check::Status(vec![200, 201]),
            Check::Contains(text("items")),
            Check::Matches(text("\"id\": *8")),
            Check::Header(text("content-type"), text("JSON")),
            Check::Json(text("$.ok"), true.into()),
            Check::Json(text("$.n"), 2.into()),
            Check::Json(text("$.token"), "t1".into()),
        ];
        assert_eq!(review(&[], &good).1, [0; 0]);
        let bad = [
            Check::Status(vec![200]),
            Check::Contains(text("item ")),
            Check::Matches(text("^x")),
            Check::Header(text("content-type"), text("html")),
            Check::Json(text("$.ok"), "true".into()),
            Check::Json(text("$.none"), 2.into()),
        ];
        assert_eq!(review(&[], &bad).1, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn an_encoded_body_is_looked_at_in_clear() {
        use std::io::Write as _;

        let path = Template(vec![Segment::Text("/".to_owned())]);
        let checks = vec![Check::Json("$.ok".to_owned(), true.into())];
        let request = Request { checks, ..Request::get("it", path) };
        let inspection = Inspection::compile(&request, |_| 0).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(BODY.as_bytes()).unwrap();
        let encoded = gzip.finish().unwrap();
        let mut review = Review::new(&inspection, false);
        review.head(200, &[Header { name: "Content-Encoding", value: b"gzip" }]);
        encoded.chunks(7).for_each(|chunk| review.body(chunk));
        assert_eq!(review.conclude().failed, [0; 0]);
    }

    #[test]
    fn an_endless_body_is_kept_in_part() {
        let check = Check::Contains("x".to_owned());
        let path = Template(vec![Segment::Text("/".to_owned())]);
        let request = Request { checks: vec![check], ..Request::get("it", path) };
        let inspection = Inspection::compile(&request, |_| 0).unwrap();
        let mut review = Review::new(&inspection, false);
        for _ in 0..40 {
            review.body(&[0; 64 * 1024]);
        }
        assert_eq!(review.body.len(), MOST_BODY);
        assert_eq!(review.conclude().failed, [0]);
    }

    #[test]
    fn json_that_is_a_bomb_holds_nothing() {
        let path = Template(vec![Segment::Text("/".to_owned())]);
        let is_found = |path_in: &str, body: &str| {
            let checks = vec![Check::Json(path_in.to_owned(), 7.into())];
            let request = Request { checks, ..Request::get("it", path.clone()) };
            let inspection = Inspection::compile(&request, |_| 0).unwrap();
            let mut review = Review::new(&inspection, false);
            review.body(body.as_bytes());
            review.conclude().failed.is_empty()
        };
        let zeros = "0,".repeat(300_000);
        let flat = format!("{{\"id\": 7, \"all\": [{zeros}0]}}");
        assert!(is_found("$..id", &flat) && is_found("$.id", &flat));
        // 120 GB of paths.
        let long = format!("{{\"id\": 7, \"{}\": [{zeros}0]}}", "k".repeat(400_000));
        assert!(is_found("$.id", &long) && !is_found("$..id", &long) && !is_found("$..*", &long));
        let deep = format!("{}{zeros}{{\"id\": 7}}{}", "[".repeat(100), "]".repeat(100));
        assert!(!is_found("$..*..id", &deep));
    }
}
