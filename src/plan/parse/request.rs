//! The `[[request]]` tables and the `[data.…]` tables.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::template;
use super::walk::{Section, Value, Walk};
use crate::plan::{
    Body, DataOrder, DataSource, DataValues, Header, Request, Secret, Segment, Streaming, Template,
    is_secret_name, nearest,
};

pub(super) fn read(
    root: &mut Section<'_, '_>,
    data: &BTreeMap<String, DataSource>,
) -> Vec<Request> {
    let walk = root.walk;
    let Some(value) = root.take("request") else {
        root.missing("request", "add a table `[[request]]` with `path = \"/\"`");
        return Vec::new();
    };
    let Some(tables) = walk.list(value, "a list of tables: write `[[request]]`") else {
        return Vec::new();
    };
    if tables.is_empty() {
        walk.wrong(value.span(), "there must be at least one request");
    }
    let mut requests: Vec<Request> = Vec::new();
    for value in tables {
        let Some(request) = read_one(walk, value, data) else { continue };
        if requests.iter().any(|other| other.name == request.name) {
            walk.wrong_with_help(
                value.span(),
                format!("another request has the name `{}`", request.name),
                "give each request a `name` of its own: results are kept by it",
            );
        }
        requests.push(request);
    }
    requests
}

fn read_one<'t>(
    walk: &Walk<'t>,
    value: &Value<'t>,
    data: &BTreeMap<String, DataSource>,
) -> Option<Request> {
    let mut section = walk.section(value, "a table `[[request]]`")?;
    let name = section.take("name").and_then(|value| read_name(walk, value));
    let weight = section.take("weight").map_or(Some(1.0), |value| {
        let weight = walk.number(value, "a weight above zero")?;
        if weight <= 0.0 {
            walk.wrong(value.span(), "the weight must be above zero");
        }
        Some(weight)
    });
    let method = section.take("method").map(|value| read_method(walk, value));
    let path =
        section.require("path", "path = \"/\"").and_then(|value| read_path(walk, value, data));
    let headers = read_headers(&mut section, data);
    let body = section
        .take("body")
        .and_then(|value| template::read(walk, value, "a text", data))
        .map(|template| Body { template });
    let stream = section.take("stream").map(|value| read_stream(walk, value));
    section.finish();
    let usual_method = if body.is_some() { "POST" } else { "GET" };
    let method = method.unwrap_or_else(|| Some(usual_method.to_owned()))?;
    let path = path?;
    let name = name.unwrap_or_else(|| format!("{method} {}", String::from(path.clone())));
    let stream = match stream {
        Some(stream) => Some(stream?),
        None => None,
    };
    Some(Request { name, weight: weight?, method, path, headers, body, stream })
}

/// How far a response that goes on is followed.
fn read_stream<'t>(walk: &Walk<'t>, value: &Value<'t>) -> Option<Streaming> {
    const WHAT: &str = "a table such as `{ events = 10 }` or `{ for = \"30s\" }`";
    let mut section = walk.section(value, WHAT)?;
    let events = section.take("events").map(|value| {
        let events = walk.integer(value, "a number of events such as `10`")?;
        if events == 0 {
            walk.wrong(value.span(), "the number of events must be above zero");
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
                "it is not said when enough was seen of the stream",
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
        walk.wrong(value.span(), "a name takes no braces");
        return None;
    }
    Some(name)
}

pub(super) fn read_method(walk: &Walk<'_>, value: &Value<'_>) -> Option<String> {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    let method = walk.text(value, "a method such as `GET`")?.value.to_ascii_uppercase();
    if KNOWN.contains(&method.as_str()) {
        return Some(method);
    }
    let help =
        nearest(&method.to_lowercase(), KNOWN.map(str::to_lowercase).iter().map(String::as_str))
            .map_or_else(|| format!("known: `{}`", KNOWN.join("`, `")), |help| help.to_uppercase());
    walk.wrong_with_help(value.span(), format!("`{method}` is no HTTP method"), help);
    None
}

pub(super) fn read_path(
    walk: &Walk<'_>,
    value: &Value<'_>,
    data: &BTreeMap<String, DataSource>,
) -> Option<Template> {
    let path = template::read(walk, value, "a path such as `/product/{id}`", data)?;
    match path.0.first() {
        Some(Segment::Text(text)) if text.starts_with('/') => {}
        Some(Segment::Hidden(_)) => {}
        _ => {
            walk.wrong_with_help(
                value.span(),
                "a path must begin with `/`",
                "the host is named once, as `url` in `[target]`",
            );
            return None;
        }
    }
    if path.0.iter().any(|segment| matches!(segment, Segment::Text(text) if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#'))) {
        walk.wrong_with_help(
            value.span(),
            "a path has no blanks and no `#`",
            "write `%20` for a blank and `%23` for `#`",
        );
        return None;
    }
    Some(template::hide_query(path))
}

pub(super) fn read_headers(
    section: &mut Section<'_, '_>,
    data: &BTreeMap<String, DataSource>,
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
            walk.wrong(span, format!("`{}` is no name of a header", name.escape_debug()));
        }
        let secret = is_secret_name(name);
        if secret {
            walk.hide(value.span());
        }
        let Some(text) = walk.text(value, "a text") else { continue };
        if text.value.contains(|c: char| c.is_control() && c != '\t') {
            walk.wrong(value.span(), "a header has no line breaks");
            continue;
        }
        // Values from the environment are secrets whatever the header's name.
        let header = if secret || text.from_environment {
            Some(Header::Secret(Secret::new(text.value)))
        } else {
            template::read(walk, value, "a text", data).map(Header::Plain)
        };
        headers.extend(header.map(|header| (name.to_owned(), header)));
    }
    headers
}

pub(super) fn read_data(root: &mut Section<'_, '_>) -> BTreeMap<String, DataSource> {
    let walk = root.walk;
    let mut data = BTreeMap::new();
    let Some(value) = root.take("data") else { return data };
    let Some(section) = walk.section(value, "tables such as `[data.id]`") else { return data };
    for (name, _, value) in section.entries() {
        if is_secret_name(name) {
            walk.hide(value.span());
        }
        // A name with a mistake in its values is known all the same.
        let source = read_source(walk, name, value).unwrap_or(DataSource {
            values: DataValues::List(Vec::new()),
            order: DataOrder::Random,
        });
        data.insert(name.to_owned(), source);
    }
    data
}

fn read_source<'t>(walk: &Walk<'t>, name: &str, value: &Value<'t>) -> Option<DataSource> {
    let mut section = walk.section(value, "a table such as `{ range = [1, 1000] }`")?;
    let range = section.take("range");
    let list = section.take("list");
    let csv = section.take("csv");
    let column = section.take("column");
    let orders = [("random", DataOrder::Random), ("sequential", DataOrder::Sequential)];
    let order =
        section.take("order").map_or(Some(DataOrder::Random), |value| walk.choice(value, &orders));
    let span = section.span.clone();
    section.finish();
    let values = match (range, list, csv, column) {
        (Some(range), None, None, None) => read_range(walk, range),
        (None, Some(list), None, None) => read_list(walk, name, list),
        (None, None, Some(csv), Some(column)) => {
            let path = walk.text(csv, "the path of a CSV file");
            let column = walk.text(column, "the name of a column");
            Some(DataValues::Csv { path: path?.value, column: column?.value })
        }
        (None, None, Some(_), None) => {
            walk.wrong_with_help(
                span,
                "`column` is missing",
                "name the column of the CSV file: `column = \"id\"`",
            );
            None
        }
        _ => {
            walk.wrong_with_help(
                span,
                "the values must come from one of `range`, `list` and `csv`",
                "such as `range = [1, 1000]`, `list = [\"a\", \"b\"]` or `csv = \"ids.csv\"` with `column = \"id\"`",
            );
            None
        }
    };
    Some(DataSource { values: values?, order: order? })
}

fn read_range<'t>(walk: &Walk<'t>, value: &Value<'t>) -> Option<DataValues> {
    const WHAT: &str = "two whole numbers such as `[1, 1000]`";
    let ends = walk.list(value, WHAT)?;
    let &[first, last] = ends.as_slice() else {
        walk.wrong(value.span(), format!("expected {WHAT}, found {} values", ends.len()));
        return None;
    };
    let (first, last) = (walk.signed(first, WHAT)?, walk.signed(last, WHAT)?);
    if first > last {
        walk.wrong(value.span(), format!("the range is empty: {first} is above {last}"));
        return None;
    }
    Some(DataValues::Range(first, last))
}

fn read_list<'t>(walk: &Walk<'t>, name: &str, value: &Value<'t>) -> Option<DataValues> {
    let values = walk.list(value, "a list of texts such as `[\"a\", \"b\"]`")?;
    if values.is_empty() {
        walk.wrong(value.span(), "the list must have at least one value");
    }
    let mut secret = is_secret_name(name);
    let mut texts = Vec::new();
    for value in values {
        if let DeValue::Integer(_) = value.get_ref() {
            texts.extend(walk.signed(value, "a whole number").map(|number| number.to_string()));
        } else if let Some(text) = walk.text(value, "a text or a whole number") {
            secret |= text.from_environment;
            texts.push(text.value);
        }
    }
    Some(if secret {
        DataValues::Hidden(texts.into_iter().map(Secret::new).collect())
    } else {
        DataValues::List(texts)
    })
}
