//! What a browser recorded, HAR 1.2 (<http://www.softwareishard.com/blog/har-12-spec/>): one
//! journey, whose steps are the requests in their order with the pauses between them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::artifact::Artifact;
use super::draft::{Draft, JourneyDraft, RequestDraft, StepDraft, Think};
use super::http::{self, Names};
use super::notes::MOST_PROBLEMS;
use super::template::Template;
use super::{ConvertError, ConverterSpec};
use crate::plan::METHODS;

pub(super) static SPEC: ConverterSpec = ConverterSpec {
    name: "har",
    summary: "HAR 1.2 files, which browsers record: one journey with its pauses",
    options: &["--keep-static"],
    looks,
    convert,
};

/// Most steps of the journey; what was recorded after them is left out.
const MOST_STEPS: usize = 500;
/// A shorter pause is the browser's own.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// A longer pause is a break that the person took.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What is fetched along with a page, by the end of its path.
const STATIC: [&str; 20] = [
    ".js", ".mjs", ".css", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".avif", ".ico",
    ".woff", ".woff2", ".ttf", ".otf", ".eot", ".map", ".mp4", ".webm", ".mp3",
];
/// The same by the type of the response.
const STATIC_TYPES: [&str; 6] =
    ["image/", "font/", "video/", "audio/", "text/css", "application/javascript"];

/// Headers that describe the browser and change nothing at the service.
const BROWSER: [&str; 9] = [
    "user-agent",
    "referer",
    "dnt",
    "priority",
    "upgrade-insecure-requests",
    "cache-control",
    "pragma",
    "accept-language",
    "accept",
];

#[derive(Deserialize)]
struct Har<'t> {
    #[serde(borrow)]
    log: Log<'t>,
}

#[derive(Deserialize)]
struct Log<'t> {
    #[serde(default, deserialize_with = "or_nothing")]
    version: String,
    /// Each read on its own, so that one with a mistake does not cost the others.
    #[serde(borrow)]
    entries: Vec<&'t RawValue>,
}

/// Only `request` is needed: tools other than browsers leave out the rest.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(default, deserialize_with = "or_nothing")]
    started_date_time: String,
    /// Milliseconds; -1 where it is not known.
    #[serde(default)]
    time: Option<f64>,
    request: HarRequest,
    #[serde(default)]
    response: Option<Response>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HarRequest {
    method: String,
    url: String,
    #[serde(default, deserialize_with = "or_nothing")]
    headers: Vec<Pair>,
    #[serde(default)]
    post_data: Option<PostData>,
}

#[derive(Deserialize)]
struct Pair {
    #[serde(default, deserialize_with = "or_nothing")]
    name: String,
    #[serde(default, deserialize_with = "or_nothing")]
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostData {
    #[serde(default, deserialize_with = "or_nothing")]
    mime_type: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default, deserialize_with = "or_nothing")]
    params: Vec<Pair>,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default, deserialize_with = "or_nothing")]
    status: i64,
    #[serde(default)]
    content: Option<Content>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    #[serde(default, deserialize_with = "or_nothing")]
    mime_type: String,
}

/// Some tools write `null` for a text that they do not have.
fn or_nothing<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

fn looks(begin: &str) -> bool {
    begin.trim_start().starts_with('{')
        && begin.contains("\"log\"")
        && (begin.contains("\"creator\"")
            || begin.contains("\"startedDateTime\"")
            || (begin.contains("\"entries\"") && begin.contains("\"request\"")))
}

/// One entry that can be sent, with its place in time.
struct Sent {
    begin: f64,
    end: f64,
    address: http::Address,
    request: HarRequest,
    status: i64,
}

/// What is not in the journey, by its reason.
#[derive(Default)]
struct Left {
    assets: usize,
    unsent: usize,
    untimed: usize,
    other: BTreeMap<String, usize>,
    headers: BTreeSet<String>,
    secrets: BTreeSet<String>,
}

fn convert(artifact: &mut Artifact<'_>) -> Result<Draft, ConvertError> {
    let text = artifact.text()?;
    let har: Har<'_> = serde_json::from_str(&text).map_err(|error| {
        let text = format!("{error}; expected `{{\"log\": {{\"entries\": […]}}}}`");
        ConvertError::at(error.line(), Some(error.column()), text)
    })?;
    if !(har.log.version.is_empty() || har.log.version.starts_with("1.")) {
        let version = har.log.version.escape_debug();
        artifact.notes.add(format!("the file is HAR `{version}`; it is read as 1.2"));
    }
    let recorded = har.log.entries.len();
    let mut left = Left::default();
    let mut broken: Vec<(&RawValue, serde_json::Error)> = Vec::new();
    let mut sent: Vec<Sent> = Vec::new();
    for entry in har.log.entries {
        match serde_json::from_str(entry.get()) {
            Ok(entry) => {
                let before = sent.last().map_or(0.0, |before: &Sent| before.begin);
                sent.extend(accept(entry, before, artifact, &mut left));
            }
            Err(why) => broken.push((entry, why)),
        }
    }
    for (entry, why) in broken.into_iter().take(MOST_PROBLEMS) {
        let line = line_of(&text, entry.get()) + why.line().saturating_sub(1);
        // The text of another mistake may hold a value.
        let why = why.to_string();
        let why = why.split(" at line ").next().filter(|why| why.starts_with("missing field"));
        let why = why.unwrap_or("one of its values is not what HAR 1.2 has there");
        artifact.notes.at(line, format!("left out an entry: {why}"));
    }
    drop(text);
    sent.sort_by(|a, b| a.begin.total_cmp(&b.begin));
    let base = main_host(&sent);
    sent.retain(|entry| {
        let ours = Some(&entry.address.base) == base.as_ref();
        if !ours {
            *left.other.entry(entry.address.base.clone()).or_default() += 1;
        }
        ours
    });
    if sent.is_empty() {
        return Err(ConvertError::Empty(format!(
            "none of the {recorded} recorded requests can be sent ({} are for images, scripts or \
             styles: `--keep-static` keeps them)",
            left.assets
        )));
    }
    if sent.iter().any(|entry| entry.address.credentials) {
        http::note_credentials(&mut artifact.notes, 0);
    }
    let dropped = sent.len().saturating_sub(MOST_STEPS);
    sent.truncate(MOST_STEPS);
    if dropped > 0 {
        let text = format!("left out {dropped} requests: a journey has at most {MOST_STEPS} steps");
        artifact.notes.add(text);
    }
    let steps = steps(sent, &mut left);
    tell(&left, artifact);
    artifact.seen.push(format!("{recorded} requests recorded, {} of them steps", steps.len()));
    Ok(Draft {
        comments: vec![
            "Paths and bodies are as recorded. Look for ids, tokens and names that came from an \
             earlier response: capture them, or draw them from [data.NAME]."
                .to_owned(),
            "Set [load]. Without it, kneepoint searches for the breakpoint.".to_owned(),
        ],
        url: base,
        journeys: vec![JourneyDraft {
            name: "recorded".to_owned(),
            steps,
            ..JourneyDraft::default()
        }],
        ..Draft::default()
    })
}

/// The line at which a part of the text begins, from 1.
fn line_of(text: &str, part: &str) -> usize {
    let at = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    let before = text.as_bytes().get(..at).unwrap_or_default();
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The entry, where it can be sent and is wanted. Without a time it follows `before` at once.
fn accept(entry: Entry, before: f64, artifact: &mut Artifact<'_>, left: &mut Left) -> Option<Sent> {
    let status = entry.response.as_ref().map_or(0, |response| response.status);
    let Ok(address) = http::address(&entry.request.url) else {
        // Such as `data:`, `blob:` and `wss:`.
        left.unsent += 1;
        return None;
    };
    let method = entry.request.method.to_ascii_uppercase();
    if !METHODS.contains(&method.as_str()) {
        left.unsent += 1;
        return None;
    }
    if !artifact.options.keep_static && is_static(&entry, &address) {
        left.assets += 1;
        return None;
    }
    let begin = entry.started_date_time.parse::<Timestamp>();
    left.untimed += usize::from(begin.is_err());
    let begin = begin.map_or(before, |begin| begin.as_millisecond() as f64 / 1e3);
    let took = entry.time.filter(|time| time.is_finite()).unwrap_or(0.0).max(0.0) / 1e3;
    let request = HarRequest { method, ..entry.request };
    Some(Sent { begin, end: begin + took, address, request, status })
}

fn is_static(entry: &Entry, address: &http::Address) -> bool {
    let kind = entry.response.as_ref().and_then(|response| response.content.as_ref());
    let kind = kind.map_or("", |content| content.mime_type.as_str());
    let path = address.path.shown().to_ascii_lowercase();
    let path = path.split('?').next().unwrap_or_default();
    STATIC.iter().any(|end| path.ends_with(end))
        || STATIC_TYPES.iter().any(|begin| kind.starts_with(begin))
        || kind.contains("javascript")
}

/// The host that most requests go to; the first of equals.
fn main_host(sent: &[Sent]) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in sent {
        *counts.entry(&entry.address.base).or_default() += 1;
    }
    let most = counts.values().max()?;
    sent.iter()
        .map(|entry| entry.address.base.as_str())
        .find(|base| counts.get(base) == Some(most))
        .map(str::to_owned)
}

fn steps(sent: Vec<Sent>, left: &mut Left) -> Vec<StepDraft> {
    let mut names = Names::default();
    let mut steps: Vec<StepDraft> = Vec::new();
    let mut quiet_since = f64::INFINITY;
    for entry in sent {
        if let Some(before) = steps.last_mut() {
            let pause = Duration::try_from_secs_f64(entry.begin - quiet_since);
            let pause = pause.ok().filter(|it| *it >= SHORTEST_PAUSE);
            before.think = pause.map(|it| Think::Fixed(it.min(LONGEST_PAUSE)));
            quiet_since = quiet_since.max(entry.end);
        } else {
            quiet_since = entry.end;
        }
        let statuses = match entry.status {
            // The browser had it in its cache; a journey starts without one.
            304 => vec![200],
            200..400 => u16::try_from(entry.status).into_iter().collect(),
            _ => Vec::new(),
        };
        let request = request_draft(entry.request, entry.address.path, &mut names, left);
        steps.push(StepDraft { request: Some(request), statuses, ..StepDraft::default() });
    }
    steps
}

fn request_draft(
    recorded: HarRequest,
    path: Template,
    names: &mut Names,
    left: &mut Left,
) -> RequestDraft {
    let shown = path.shown();
    let wanted = format!("{} {}", recorded.method, shown.split('?').next().unwrap_or_default());
    let mut request = RequestDraft {
        name: names.request(&wanted),
        method: recorded.method,
        path,
        ..RequestDraft::default()
    };
    for Pair { name, value } in recorded.headers {
        let lower = name.to_ascii_lowercase();
        let browser = lower.starts_with("sec-") || BROWSER.contains(&lower.as_str());
        // An API reads the format of its answer from `accept`; for a page the browser sets it.
        let says_form = lower == "accept" && value.contains("json");
        match http::header(&name, Template::plain(&value)) {
            Some(header) if !browser || says_form => request.headers.push(header),
            // These belong to the connection.
            None if lower.starts_with(':') || lower == "content-length" || lower == "host" => {}
            _ => {
                left.headers.insert(lower.escape_debug().to_string());
            }
        }
    }
    let Some(post) = recorded.post_data else { return request };
    let form = || {
        let pairs = post.params.iter().map(|pair| (&pair.name, &pair.value));
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    };
    let text = match post.text.as_deref().filter(|text| !text.is_empty()) {
        Some(text) => text.to_owned(),
        // The recording does not have the files, and without them the form is not valid.
        None if post.mime_type.contains("multipart/") => {
            let text =
                "The recording does not contain this form with files: write the body by hand.";
            request.comments.push(text.to_owned());
            return request;
        }
        None => form(),
    };
    let (body, secrets) = http::body(&text, &post.mime_type, &Template::plain);
    left.secrets.extend(secrets);
    if !body.is_empty() {
        request.body = Some(body);
        let has_type = request.has_header("content-type") || post.mime_type.is_empty();
        let kind = Template::plain(&post.mime_type);
        request.headers.extend((!has_type).then(|| http::header("content-type", kind)).flatten());
    }
    request
}

fn tell(left: &Left, artifact: &mut Artifact<'_>) {
    let notes = &mut artifact.notes;
    if left.assets > 0 {
        notes.add(format!(
            "left out requests for images, scripts and styles ({}); `--keep-static` keeps them",
            left.assets
        ));
    }
    if left.unsent > 0 {
        notes.add(format!(
            "left out {} entries with a method or a URL (such as `data:` or `wss:`) that a plan cannot \
             have",
            left.unsent
        ));
    }
    if left.untimed > 0 {
        notes.add(format!(
            "{} entries have no time: their order is that of the file, without a pause before them",
            left.untimed
        ));
    }
    if !left.other.is_empty() {
        let hosts: Vec<_> =
            left.other.iter().map(|(host, count)| format!("{host} ({count})")).collect();
        notes.add(format!(
            "left out requests to other hosts, because a plan has one target: {}",
            hosts.join(", ")
        ));
    }
    if left.headers.contains("cookie") {
        notes.add(
            "left out cookies: they belong to one session. A journey keeps the cookies that the \
             target sets",
        );
    }
    let headers: Vec<_> =
        left.headers.iter().filter(|name| *name != "cookie").map(String::as_str).collect();
    if !headers.is_empty() {
        notes.add(format!(
            "left out headers that only describe the browser: {}",
            headers.join(", ")
        ));
    }
    if !left.secrets.is_empty() {
        let names: Vec<_> = left.secrets.iter().map(String::as_str).collect();
        notes.add(format!(
            "replaced fields of bodies with secret-looking names by environment variables: {}",
            names.join(", ")
        ));
    }
}
