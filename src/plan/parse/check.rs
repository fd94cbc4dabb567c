//! `capture` and `check` of a request.

use std::ops::Range;

use toml::de::DeValue;

use super::walk::{Section, Value, Walk};
use crate::plan::{Capture, CaptureSource, Check, is_secret_name};

const SOURCE: &str = "exactly one of `json`, `regex`, `header` and `cookie`";

/// Reads `capture = { token = { json = "$.token" } }`.
pub(super) fn read_captures(section: &mut Section<'_, '_>) -> Vec<(Capture, Range<usize>)> {
    let walk = section.walk;
    let table = section.take("capture").and_then(|value| {
        walk.section(value, "a table such as `{ token = { json = \"$.token\" } }`")
    });
    let mut captures = Vec::new();
    for (name, span, value) in table.iter().flat_map(Section::entries) {
        if name.is_empty() || name.contains(['{', '}', '.']) {
            walk.wrong_with_help(
                span.clone(),
                "the name of a capture cannot be empty or contain `{`, `}` or `.`",
                "write a name such as `token`",
            );
        }
        let Some(source) = read_source(walk, value) else { continue };
        captures.push((Capture { name: name.to_owned(), source }, span));
    }
    captures
}

fn read_source<'t>(walk: &Walk<'t>, value: &Value<'t>) -> Option<CaptureSource> {
    let mut section = walk.section(value, "a table such as `{ json = \"$.token\" }`")?;
    let json = section.take("json").map(|value| read_json_path(walk, value));
    let regex = section.take("regex").map(|value| read_regex(walk, value));
    let header = section.take("header").map(|value| walk.name(value));
    let cookie = section.take("cookie").map(|value| walk.name(value));
    let span = section.span.clone();
    section.finish();
    match (json, regex, header, cookie) {
        (Some(path), None, None, None) => path.map(CaptureSource::Json),
        (None, Some(regex), None, None) => regex.map(CaptureSource::Regex),
        (None, None, Some(name), None) => name.map(CaptureSource::Header),
        (None, None, None, Some(name)) => name.map(CaptureSource::Cookie),
        _ => {
            let help = "write `{ json = \"$.token\" }` or `{ regex = \"id=(\\\\d+)\" }`";
            walk.wrong_with_help(span, format!("a capture needs {SOURCE}"), help);
            None
        }
    }
}

/// Reads `check = { status = 200, contains = "ok" }`, or a list of such tables.
pub(super) fn read_checks(section: &mut Section<'_, '_>) -> Vec<Check> {
    let walk = section.walk;
    let Some(value) = section.take("check") else { return Vec::new() };
    let what = "a table such as `{ status = 200, contains = \"ok\" }`";
    let tables = match value.get_ref() {
        DeValue::Array(list) => list.iter().collect(),
        _ => vec![value],
    };
    let mut checks = Vec::new();
    for value in tables {
        let Some(mut section) = walk.section(value, what) else { continue };
        let status = section.take("status").and_then(|value| read_status(walk, value));
        checks.extend(status.map(Check::Status));
        let text = section.take("contains").and_then(|value| walk.text(value, "a string"));
        checks.extend(text.map(|text| Check::Contains(text.value)));
        let regex = section.take("matches").and_then(|value| read_regex(walk, value));
        checks.extend(regex.map(Check::Matches));
        read_headers(&mut section, &mut checks);
        read_json(&mut section, &mut checks);
        section.finish();
    }
    checks
}

fn read_headers(section: &mut Section<'_, '_>, checks: &mut Vec<Check>) {
    let walk = section.walk;
    let table = section
        .take("headers")
        .and_then(|value| walk.section(value, "a table such as `{ content-type = \"json\" }`"));
    for (name, _, value) in table.iter().flat_map(Section::entries) {
        if is_secret_name(name) {
            walk.hide(value.span());
        }
        let text = walk.text(value, "a string that the header must contain");
        checks.extend(text.map(|text| Check::Header(name.to_owned(), text.value)));
    }
}

fn read_json(section: &mut Section<'_, '_>, checks: &mut Vec<Check>) {
    let walk = section.walk;
    let table = section
        .take("json")
        .and_then(|value| walk.section(value, "a table such as `{ \"$.ok\" = true }`"));
    for (path, span, value) in table.iter().flat_map(Section::entries) {
        if let Err(why) = is_json_path(path) {
            walk.wrong_with_help(span, why, JSON_PATH_HELP);
            continue;
        }
        let what = "a string, a number, `true` or `false`";
        let expected = match value.get_ref() {
            DeValue::Boolean(switch) => Some((*switch).into()),
            DeValue::Integer(_) => walk.signed(value, what).map(Into::into),
            DeValue::Float(_) => walk.number(value, what).map(Into::into),
            _ => walk.text(value, what).map(|text| text.value.into()),
        };
        checks.extend(expected.map(|expected| Check::Json(path.to_owned(), expected)));
    }
}

/// A status or a list of them; `2xx` is every status that begins with 2.
fn read_status<'t>(walk: &Walk<'t>, value: &Value<'t>) -> Option<Vec<u16>> {
    const WHAT: &str = "a status such as `200` or `\"2xx\"`, or a list of them";
    let list = match value.get_ref() {
        DeValue::Array(list) => list.iter().collect(),
        _ => vec![value],
    };
    let mut statuses = Vec::new();
    for value in list {
        if let DeValue::Integer(_) = value.get_ref() {
            match walk.integer(value, WHAT) {
                Some(code @ 100..=999) => statuses.extend(u16::try_from(code)),
                Some(code) => {
                    walk.wrong(
                        value.span(),
                        format!("`{code}` is not an HTTP status; write `200`"),
                    );
                }
                None => {}
            }
            continue;
        }
        let text = walk.text(value, WHAT)?;
        let digit = text.value.strip_suffix("xx").and_then(|digit| digit.parse::<u16>().ok());
        match digit {
            Some(digit @ 1..=5) => statuses.extend(digit * 100..(digit + 1) * 100),
            _ => walk.wrong(value.span(), format!("expected {WHAT}")),
        }
    }
    Some(statuses)
}

const JSON_PATH_HELP: &str = "write a JSONPath (RFC 9535) such as `$.items[0].id`";

fn is_json_path(text: &str) -> Result<(), String> {
    match jsonpath_rust::parser::parse_json_path(text) {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("`{text}` is not a valid JSONPath")),
    }
}

fn read_json_path(walk: &Walk<'_>, value: &Value<'_>) -> Option<String> {
    let text = walk.text(value, "a JSONPath such as `$.token`")?;
    if let Err(why) = is_json_path(&text.value) {
        walk.wrong_with_help(text.span, why, JSON_PATH_HELP);
        return None;
    }
    Some(text.value)
}

fn read_regex(walk: &Walk<'_>, value: &Value<'_>) -> Option<String> {
    let text = walk.text(value, "a regular expression such as `id=(\\d+)`")?;
    match regex::bytes::Regex::new(&text.value) {
        Ok(_) => Some(text.value),
        Err(error) => {
            let why = error.to_string();
            let last = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
            walk.wrong_with_help(
                text.span,
                format!("`{}` is not a valid regular expression: {last}", text.raw),
                "write one such as `id=(\\d+)`",
            );
            None
        }
    }
}
