//! The `[[request]]` tables.

use std::collections::BTreeMap;
use std::ops::Range;

use super::names::KnownNames;
use super::walk::{Section, Value, Walk, optional};
use super::{check, template};
use crate::plan::{
    Body, Header, Journey, METHODS, Request, Secret, Segment, Streaming, Template, is_secret_name,
    nearest,
};

/// Reads `[[request]]`. Each request is added to `requests` and becomes a journey with one step.
pub(super) fn read(
    root: &mut Section<'_, '_>,
    names: &KnownNames<'_>,
    requests: &mut Vec<Request>,
) -> Vec<Journey> {
    let walk = root.walk;
    let Some(value) = root.take("request") else {
        return Vec::new();
    };
    let Some(tables) = walk.list(value, "a list of `[[request]]` tables") else {
        return Vec::new();
    };
    if tables.is_empty() {
        walk.wrong_with_help(
            value.span(),
            "there must be at least one request",
            "add `[[request]]` with `path = \"/\"`",
        );
    }
    walk.named(
        tables,
        |value| {
            let (request, weight) = read_one(walk, value, names)?;
            let journey = Journey::of_one(request.name.clone(), weight, requests.len());
            requests.push(request);
            Some(journey)
        },
        |journey| &journey.name,
        (
            "another request is already",
            "give each request its own `name`: results are reported under it",
        ),
    )
}

fn read_one<'t>(
    walk: &Walk<'t>,
    value: &Value<'t>,
    names: &KnownNames<'_>,
) -> Option<(Request, f64)> {
    let mut section = walk.section(value, "a table `[[request]]`")?;
    let weight = read_weight(&mut section);
    let request = read_request(&mut section, names);
    section.finish();
    let (request, captures) = request?;
    if let Some((_, span)) = captures.into_iter().next() {
        walk.wrong_with_help(
            span,
            "a `[[request]]` cannot capture a value: no later step could use it",
            "move it into a `[[journey]]` as a `[[journey.step]]`",
        );
    }
    Some((request, weight?))
}

/// The `weight` of a request or journey.
pub(super) fn read_weight(section: &mut Section<'_, '_>) -> Option<f64> {
    let walk = section.walk;
    section.take("weight").map_or(Some(1.0), |value| {
        let weight = walk.number(value, "a weight such as `1`")?;
        if weight <= 0.0 {
            walk.wrong(value.span(), "the weight must be above zero, such as `1`");
        }
        Some(weight)
    })
}

/// The names that a request captures, and their places in the text.
type Captured = Vec<(String, Range<usize>)>;

/// Reads the keys that a `[[request]]` and a step of a journey have in common.
pub(super) fn read_request(
    section: &mut Section<'_, '_>,
    known: &KnownNames<'_>,
) -> Option<(Request, Captured)> {
    let walk = section.walk;
    let name = section.take("name").and_then(|value| read_name(walk, value));
    let tags = read_tags(section);
    let method = section.take("method").map(|value| read_method(walk, value));
    let path =
        section.require("path", "path = \"/\"").and_then(|value| read_path(walk, value, known));
    let headers = read_headers(section, known);
    let body = section
        .take("body")
        .and_then(|value| template::read(walk, value, "a string", known))
        .map(|template| Body { template });
    let (captures, names) = check::read_captures(section)
        .into_iter()
        .map(|(capture, span)| (capture.clone(), (capture.name, span)))
        .unzip();
    let checks = check::read_checks(section);
    let stream = section.take("stream").map(|value| read_stream(walk, value));
    let usual_method = if body.is_some() { "POST" } else { "GET" };
    let method = method.unwrap_or_else(|| Some(usual_method.to_owned()))?;
    let path = path?;
    let name = name.unwrap_or_else(|| format!("{method} {}", String::from(path.clone())));
    let stream = optional(stream)?;
    let request = Request { name, tags, method, path, headers, body, stream, captures, checks };
    Some((request, names))
}

/// `tags = { kind = "read" }`.
fn read_tags(section: &mut Section<'_, '_>) -> BTreeMap<String, String> {
    let walk = section.walk;
    let table = section
        .take("tags")
        .and_then(|value| walk.section(value, "a table such as `{ kind = \"read\" }`"));
    let mut tags = BTreeMap::new();
    for (name, _, value) in table.iter().flat_map(Section::entries) {
        tags.extend(walk.name(value).map(|value| (name.to_owned(), value)));
    }
    tags
}

/// When to stop reading a streamed response.
fn read_stream<'t>(walk: &Walk<'t>, value: &Value<'t>) -> Option<Streaming> {
    const WHAT: &str = "a table such as `{ events = 10 }` or `{ for = \"30s\" }`";
    let mut section = walk.section(value, WHAT)?;
    let events = section.take("events").map(|value| {
        let events = walk.integer(value, "a number of events such as `10`")?;
        if events == 0 {
            walk.wrong(value.span(), "the number of events must be above zero, such as `10`");
            return None;
        }
        Some(events)
    });
    let duration = section.take("for").map(|value| walk.duration(value));
    section.finish();
    match (events, duration) {
        (None, None) => {
            walk.wrong_with_help(
                value.span(),
                "`stream` does not say when to stop reading",
                "write `{ events = 10 }`, `{ for = \"30s\" }`, or both for whichever comes first",
            );
            None
        }
        (Some(None), _) | (_, Some(None)) => None,
        (events, duration) => {
            Some(Streaming { events: events.flatten(), duration: duration.flatten() })
        }
    }
}

pub(super) fn read_name(walk: &Walk<'_>, value: &Value<'_>) -> Option<String> {
    let name = walk.name(value)?;
    if name.contains(['{', '}']) {
        walk.wrong_with_help(
            value.span(),
            "a name cannot contain `{` or `}`",
            "write a fixed name, such as `product`",
        );
        return None;
    }
    Some(name)
}

pub(super) fn read_method(walk: &Walk<'_>, value: &Value<'_>) -> Option<String> {
    let method = walk.text(value, "a method such as `GET`")?.value.to_ascii_uppercase();
    if METHODS.contains(&method.as_str()) {
        return Some(method);
    }
    let help = nearest(&method, METHODS)
        .unwrap_or_else(|| format!("write one of `{}`", METHODS.join("`, `")));
    walk.wrong_with_help(value.span(), format!("`{method}` is not a valid HTTP method"), help);
    None
}

pub(super) fn read_path(
    walk: &Walk<'_>,
    value: &Value<'_>,
    names: &KnownNames<'_>,
) -> Option<Template> {
    let path = template::read(walk, value, "a path such as `/product/{id}`", names)?;
    match path.0.first() {
        Some(Segment::Text(text)) if text.starts_with('/') => {}
        Some(Segment::Hidden(_)) => {}
        _ => {
            walk.wrong_with_help(
                value.span(),
                "a path must begin with `/`",
                "write `path = \"/…\"`; the host belongs in `url` of `[target]`",
            );
            return None;
        }
    }
    if path.0.iter().any(|segment| matches!(segment, Segment::Text(text) if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#'))) {
        walk.wrong_with_help(
            value.span(),
            "a path cannot contain spaces or `#`",
            "write `%20` for a space and `%23` for `#`",
        );
        return None;
    }
    Some(path.with_secret_query_hidden())
}

pub(super) fn read_headers(
    section: &mut Section<'_, '_>,
    names: &KnownNames<'_>,
) -> Vec<(String, Header)> {
    let walk = section.walk;
    let mut headers = Vec::new();
    let table = section
        .take("headers")
        .and_then(|value| walk.section(value, "a table such as `{ accept = \"text/html\" }`"));
    let Some(section) = table else { return headers };
    for (name, span, value) in section.entries() {
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(token) {
            walk.wrong_with_help(
                span,
                format!("`{}` is not a valid header name", name.escape_debug()),
                "use letters, digits and `-`, such as `x-request-id`",
            );
        }
        let secret = is_secret_name(name);
        if secret {
            walk.hide(value.span());
        }
        let Some(text) = walk.text(value, "a string") else { continue };
        if text.value.contains(|c: char| c.is_control() && c != '\t') {
            walk.wrong_with_help(
                value.span(),
                "a header value cannot contain line breaks or control characters",
                "write it on one line",
            );
            continue;
        }
        // Values from the environment are secrets whatever the header's name.
        let header = match secret || text.from_environment {
            // Such as a token that an earlier step captured. The text around it is hidden.
            true if template::has_names(&text.raw) => {
                template::read(walk, value, "a string", names)
                    .map(|template| Header::Plain(template.hidden()))
            }
            true => Some(Header::Secret(Secret::new(text.value))),
            false => template::read(walk, value, "a string", names).map(Header::Plain),
        };
        headers.extend(header.map(|header| (name.to_owned(), header)));
    }
    headers
}
