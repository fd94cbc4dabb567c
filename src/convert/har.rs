//! What a browser recorded, HAR 1.2 (<http://www.softwareishard.com/blog/har-12-spec/>): one
//! journey, whose steps are the requests in their order with the pauses between them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::artifact::Artifact;
use super::draft::{Ask, Draft, Journey, Step};
use super::http::{self, Names};
use super::template::Template;
use super::{ConvertError, ConverterSpec};
use crate::plan::METHODS;

pub(super) static SPEC: ConverterSpec = ConverterSpec {
    name: "har",
    summary: "what a browser recorded, HAR 1.2: one journey with its pauses",
    options: &["--keep-static"],
    looks,
    convert,
};

/// Steps of the journey; what was recorded behind them is left out.
const MOST_STEPS: usize = 500;
/// A shorter pause is the browser's own.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// A recording may hold a coffee break.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What is fetched along with a page, by the end of its path.
const STATIC: [&str; 20] = [
    ".js", ".mjs", ".css", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".avif", ".ico",
    ".woff", ".woff2", ".ttf", ".otf", ".eot", ".map", ".mp4", ".webm", ".mp3",
];
/// The same by the type of the response.
const STATIC_TYPES: [&str; 6] =
    ["image/", "font/", "video/", "audio/", "text/css", "application/javascript"];

/// Headers that say something of the browser and nothing to the service.
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
struct Har {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    #[serde(default)]
    version: String,
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    started_date_time: String,
    /// Milliseconds; -1 where it is not known.
    #[serde(default)]
    time: Option<f64>,
    request: Request,
    #[serde(default)]
    response: Option<Response>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<Pair>,
    #[serde(default)]
    post_data: Option<PostData>,
}

#[derive(Deserialize)]
struct Pair {
    name: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostData {
    #[serde(default)]
    mime_type: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    params: Vec<Pair>,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    status: i64,
    #[serde(default)]
    content: Option<Content>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    #[serde(default)]
    mime_type: String,
}

fn looks(begin: &str) -> bool {
    begin.trim_start().starts_with('{')
        && begin.contains("\"log\"")
        && (begin.contains("\"creator\"") || begin.contains("\"startedDateTime\""))
}

/// One entry that can be sent, with its place in time.
struct Sent {
    begin: f64,
    end: f64,
    address: http::Address,
    request: Request,
    status: i64,
}

/// What is not in the journey, by its reason.
#[derive(Default)]
struct Left {
    assets: usize,
    unsent: usize,
    other: BTreeMap<String, usize>,
    headers: BTreeSet<String>,
    secrets: BTreeSet<String>,
}

fn convert(artifact: &mut Artifact<'_>) -> Result<Draft, ConvertError> {
    let text = artifact.text()?;
    let har: Har = serde_json::from_str(&text).map_err(|error| {
        let text = format!("{error}; expected is `{{\"log\": {{\"entries\": […]}}}}`");
        ConvertError::at(error.line(), Some(error.column()), text)
    })?;
    drop(text);
    if !(har.log.version.is_empty() || har.log.version.starts_with("1.")) {
        let version = har.log.version.escape_debug();
        artifact.told.say(format!("it is HAR `{version}`; read as 1.2"));
    }
    let recorded = har.log.entries.len();
    let mut left = Left::default();
    let mut sent = Vec::new();
    for entry in har.log.entries {
        sent.extend(accept(entry, artifact, &mut left));
    }
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
            "of its {recorded} requests none can be sent ({} are images, scripts and the like: \
             `--keep-static` takes them)",
            left.assets
        )));
    }
    if sent.iter().any(|entry| entry.address.credentials) {
        http::tell_credentials(&mut artifact.told, 0);
    }
    let dropped = sent.len().saturating_sub(MOST_STEPS);
    sent.truncate(MOST_STEPS);
    if dropped > 0 {
        let text = format!("a journey has {MOST_STEPS} steps at the most: {dropped} are left out");
        artifact.told.say(text);
    }
    let steps = steps(sent, &mut left);
    tell(&left, artifact);
    artifact.seen.push(format!("{recorded} requests recorded, {} of them steps", steps.len()));
    Ok(Draft {
        comments: vec![
            "Bodies and paths stand here as they were recorded: look for ids, tokens and names of \
             people that the browser got from an earlier response, and capture or draw them."
                .to_owned(),
            "Set [load], or leave it away for a search for the breakpoint.".to_owned(),
        ],
        url: base,
        journeys: vec![Journey { name: "recorded".to_owned(), weight: None, steps }],
        ..Draft::default()
    })
}

/// The entry, where it can be sent and is wanted.
fn accept(entry: Entry, artifact: &mut Artifact<'_>, left: &mut Left) -> Option<Sent> {
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
    let Ok(begin) = entry.started_date_time.parse::<Timestamp>() else {
        left.unsent += 1;
        return None;
    };
    let begin = begin.as_millisecond() as f64 / 1e3;
    let took = entry.time.filter(|time| time.is_finite()).unwrap_or(0.0).max(0.0) / 1e3;
    let request = Request { method, ..entry.request };
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

fn steps(sent: Vec<Sent>, left: &mut Left) -> Vec<Step> {
    let mut names = Names::default();
    let mut steps: Vec<Step> = Vec::new();
    let mut quiet_since = f64::INFINITY;
    for entry in sent {
        if let Some(before) = steps.last_mut() {
            let pause = Duration::try_from_secs_f64(entry.begin - quiet_since);
            before.think =
                pause.ok().filter(|it| *it >= SHORTEST_PAUSE).map(|it| it.min(LONGEST_PAUSE));
            quiet_since = quiet_since.max(entry.end);
        } else {
            quiet_since = entry.end;
        }
        let statuses = match entry.status {
            // What the browser had already, this one asks for whole.
            304 => vec![200],
            200..400 => u16::try_from(entry.status).into_iter().collect(),
            _ => Vec::new(),
        };
        let ask = ask(entry.request, entry.address.path, &mut names, left);
        steps.push(Step { ask: Some(ask), statuses, ..Step::default() });
    }
    steps
}

fn ask(request: Request, path: Template, names: &mut Names, left: &mut Left) -> Ask {
    let shown = path.shown();
    let wanted = format!("{} {}", request.method, shown.split('?').next().unwrap_or_default());
    let mut ask =
        Ask { name: names.request(&wanted), method: request.method, path, ..Ask::default() };
    for Pair { name, value } in request.headers {
        let lower = name.to_ascii_lowercase();
        let browser = lower.starts_with("sec-") || BROWSER.contains(&lower.as_str());
        // An API tells by `accept` in which form to answer; a page's is the browser's own.
        let says_form = lower == "accept" && value.contains("json");
        match http::header(&name, Template::plain(&value)) {
            Some(header) if !browser || says_form => ask.headers.push(header),
            // Those belong to the connection.
            None if lower.starts_with(':') || lower == "content-length" || lower == "host" => {}
            _ => {
                left.headers.insert(lower.escape_debug().to_string());
            }
        }
    }
    let Some(post) = request.post_data else { return ask };
    let form = || {
        let pairs = post.params.iter().map(|pair| (&pair.name, &pair.value));
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    };
    let text = match post.text.as_deref().filter(|text| !text.is_empty()) {
        Some(text) => text.to_owned(),
        // Its files are not in the recording, and without them it is no such form.
        None if post.mime_type.contains("multipart/") => {
            let text =
                "The recording lacks its form with files: the body has to be written by hand.";
            ask.comments.push(text.to_owned());
            return ask;
        }
        None => form(),
    };
    let (body, secrets) = http::body(&text, &post.mime_type, &Template::plain);
    left.secrets.extend(secrets);
    if !body.is_empty() {
        ask.body = Some(body);
        let told = ask.headers.iter().any(|(name, _)| name == "content-type");
        let kind = Template::plain(&post.mime_type);
        ask.headers.extend((!told).then(|| http::header("content-type", kind)).flatten());
    }
    ask
}

fn tell(left: &Left, artifact: &mut Artifact<'_>) {
    let told = &mut artifact.told;
    if left.assets > 0 {
        told.say(format!(
            "images, scripts, styles and the like are left out ({}): `--keep-static` takes them",
            left.assets
        ));
    }
    if left.unsent > 0 {
        told.say(format!(
            "{} entries are left out: a method, a time or an address (such as `data:` or `wss:`) \
             that a plan does not know",
            left.unsent
        ));
    }
    if !left.other.is_empty() {
        let hosts: Vec<_> =
            left.other.iter().map(|(host, count)| format!("{host} ({count})")).collect();
        told.say(format!(
            "a plan has one target; requests to other hosts are left out: {}",
            hosts.join(", ")
        ));
    }
    if left.headers.contains("cookie") {
        told.say(
            "cookies are left out: they belong to one session of one person. A journey keeps those \
             that the target sets",
        );
    }
    let headers: Vec<_> =
        left.headers.iter().filter(|name| *name != "cookie").map(String::as_str).collect();
    if !headers.is_empty() {
        told.say(format!("headers of the browser itself are left out: {}", headers.join(", ")));
    }
    if !left.secrets.is_empty() {
        let names: Vec<_> = left.secrets.iter().map(String::as_str).collect();
        told.say(format!(
            "fields of bodies that are secret by their names stand as variables of the \
             environment: {}",
            names.join(", ")
        ));
    }
}
