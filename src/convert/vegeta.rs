//! Targets of vegeta, in both of its formats: `http` (a request line, headers, `@file` for the
//! body, an empty line) and `json` (one object a line).

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::artifact::Artifact;
use super::draft::{Ask, Draft};
use super::http::{self, Names};
use super::template::Template;
use super::told::{MOST_PROBLEMS, Problem};
use super::{ConvertError, ConverterSpec};
use crate::plan::{METHODS, nearest};

pub(super) static SPEC: ConverterSpec = ConverterSpec {
    name: "vegeta",
    summary: "targets of vegeta attack, -format=http or -format=json",
    options: &[],
    looks,
    convert,
};

/// Requests in one plan; behind them the targets are counted and not taken.
const MOST_REQUESTS: usize = 1000;

fn looks(begin: &str) -> bool {
    let first =
        begin.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let Some(first) = first else { return false };
    if first.starts_with('{') {
        return serde_json::from_str::<JsonTarget>(first).is_ok();
    }
    request_line(first).is_some_and(|(method, url)| {
        METHODS.contains(&method) && (url.starts_with("http://") || url.starts_with("https://"))
    })
}

fn request_line(line: &str) -> Option<(&str, &str)> {
    let (method, url) = line.split_once(char::is_whitespace)?;
    Some((method, url.trim()))
}

/// Body and header values as vegeta's schema has them; the body in base64.
#[derive(Deserialize)]
struct JsonTarget {
    method: String,
    url: String,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    header: Option<std::collections::BTreeMap<String, Vec<String>>>,
}

/// One target as either format has it.
#[derive(Default)]
struct Target {
    line: usize,
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

#[derive(Default)]
struct Reader {
    problems: Vec<Problem>,
    /// Each request once, with how often it is in the file.
    asks: Vec<(String, Ask)>,
    base: Option<String>,
    other_hosts: BTreeSet<String>,
    left_off: usize,
    names: Names,
}

fn convert(artifact: &mut Artifact<'_>) -> Result<Draft, ConvertError> {
    let mut reader = Reader::default();
    let mut line = String::new();
    let mut number = 0;
    let mut current: Option<Target> = None;
    while artifact.next_line(&mut line)? && reader.problems.len() < MOST_PROBLEMS {
        number += 1;
        let text = line.trim();
        if text.is_empty() {
            reader.take(current.take(), artifact);
        } else if text.starts_with('{') {
            reader.take(current.take(), artifact);
            match json_target(text, number) {
                Ok(target) => reader.take(Some(target), artifact),
                Err(text) => reader.wrong(number, text),
            }
        } else if text.starts_with('#') {
        } else if let Some(target) = &mut current
            && !starts_target(text)
        {
            reader.part(target, text, number, artifact);
        } else {
            // The empty line between two targets may be missing, as vegeta allows.
            reader.take(current.take(), artifact);
            current = reader.begin(text, number);
        }
    }
    reader.take(current, artifact);
    reader.finish(artifact)
}

fn starts_target(text: &str) -> bool {
    request_line(text).is_some_and(|(method, url)| METHODS.contains(&method) && url.contains("://"))
}

fn json_target(text: &str, line: usize) -> Result<Target, String> {
    let target: JsonTarget = serde_json::from_str(text).map_err(|error| {
        format!("{error}; expected is `{{\"method\": \"GET\", \"url\": \"http://…\"}}`")
    })?;
    let body = target.body.filter(|body| !body.is_empty()).map(|body| {
        let bytes = STANDARD.decode(body).map_err(|why| format!("`body` is no base64: {why}"))?;
        String::from_utf8(bytes).map_err(|_| "`body` is no UTF-8 text".to_owned())
    });
    let headers = target.header.into_iter().flatten();
    Ok(Target {
        line,
        method: target.method,
        url: target.url,
        headers: headers
            .flat_map(|(name, values)| values.into_iter().map(move |value| (name.clone(), value)))
            .collect(),
        body: body.transpose()?,
    })
}

impl Reader {
    fn wrong(&mut self, line: usize, text: impl Into<String>) {
        self.problems.push(Problem { line: Some(line), column: None, text: text.into() });
    }

    fn begin(&mut self, text: &str, line: usize) -> Option<Target> {
        let Some((method, url)) = request_line(text) else {
            self.wrong(line, "expected a method and an address such as `GET http://127.0.0.1/`");
            return None;
        };
        Some(Target { line, method: method.to_owned(), url: url.to_owned(), ..Target::default() })
    }

    /// A header, or the file of the body.
    fn part(&mut self, target: &mut Target, text: &str, line: usize, artifact: &mut Artifact<'_>) {
        if let Some(path) = text.strip_prefix('@') {
            match artifact.body_file(path.trim()) {
                Ok(body) => target.body = Some(body),
                Err(why) => self.wrong(line, format!("the body `{path}` cannot be read: {why}")),
            }
        } else if let Some((name, value)) = text.split_once(':') {
            target.headers.push((name.trim().to_owned(), value.trim().to_owned()));
        } else {
            self.wrong(line, "expected a header such as `accept: text/html`, or `@` and a file");
        }
    }

    fn take(&mut self, target: Option<Target>, artifact: &mut Artifact<'_>) {
        let Some(target) = target else { return };
        let method = target.method.to_ascii_uppercase();
        if !METHODS.contains(&method.as_str()) {
            let lower = METHODS.map(str::to_lowercase);
            let near = nearest(&method, lower.iter().map(String::as_str));
            let help = near
                .map(|help| help.to_uppercase().replace("DID YOU MEAN", "did you mean"))
                .unwrap_or_else(|| format!("a plan knows {}", METHODS.join(", ")));
            // What stands there may be anything, a secret included.
            self.wrong(target.line, format!("this is no HTTP method; {help}"));
            return;
        }
        let address = match http::address(&target.url) {
            Ok(address) => address,
            Err(why) => return self.wrong(target.line, why),
        };
        if address.credentials {
            http::tell_credentials(&mut artifact.told, target.line);
        }
        let base = self.base.get_or_insert_with(|| address.base.clone());
        if *base != address.base {
            artifact.told.at(
                target.line,
                format!("`{}` is another host than `{base}`: left out", address.base),
            );
            self.other_hosts.insert(address.base);
            return;
        }
        self.add(target, method, address.path, artifact);
    }

    fn add(&mut self, target: Target, method: String, path: Template, artifact: &mut Artifact<'_>) {
        let mut ask = Ask { method, path, ..Ask::default() };
        for (name, value) in target.headers {
            match http::header(&name, Template::plain(&value)) {
                Some(header) => ask.headers.push(header),
                None => {
                    let name = name.escape_debug();
                    artifact.told.at(target.line, format!("the header `{name}` is left out"));
                }
            }
        }
        if let Some(body) = target.body {
            let kind = ask.headers.iter().find(|(name, _)| name == "content-type");
            let kind = kind.map_or_else(String::new, |(_, value)| value.shown());
            let (body, secrets) = http::body(&body, &kind, &Template::plain);
            if !secrets.is_empty() {
                let text = "a secret in the body stands as a variable of the environment";
                artifact.told.at(target.line, text);
            }
            ask.body = Some(body);
        }
        // Twice the same target is a share of the load.
        let same = format!("{ask:?}");
        if let Some((_, known)) = self.asks.iter_mut().find(|(known, _)| *known == same) {
            known.weight = Some(known.weight.unwrap_or(1.0) + 1.0);
        } else if self.asks.len() < MOST_REQUESTS {
            let path = ask.path.shown();
            let wanted = format!("{} {}", ask.method, path.split('?').next().unwrap_or_default());
            ask.name = self.names.request(&wanted);
            self.asks.push((same, ask));
        } else {
            self.left_off += 1;
        }
    }

    fn finish(self, artifact: &mut Artifact<'_>) -> Result<Draft, ConvertError> {
        if !self.problems.is_empty() {
            return Err(ConvertError::Malformed(self.problems));
        }
        if self.asks.is_empty() {
            let text = "it holds no target such as `GET http://127.0.0.1:8080/`";
            return Err(ConvertError::Empty(text.to_owned()));
        }
        if self.left_off > 0 {
            let text = format!(
                "only the first {MOST_REQUESTS} different targets are taken; {} are left out. \
                 Values that differ are better drawn from `[data.NAME]`",
                self.left_off
            );
            artifact.told.say(text);
        }
        artifact.seen.push(format!("{} different requests", self.asks.len()));
        Ok(Draft {
            url: self.base,
            requests: self.asks.into_iter().map(|(_, ask)| ask).collect(),
            comments: vec![
                "vegeta takes its rate from the command line: set [load], or leave it away for a \
                 search for the breakpoint."
                    .to_owned(),
            ],
            ..Draft::default()
        })
    }
}
