//! Targets of vegeta, in both of its formats: `http` (a request line, headers, `@file` for the
//! body, an empty line) and `json` (one object a line).

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::artifact::Artifact;
use super::draft::{Draft, RequestDraft};
use super::http::{self, Names};
use super::notes::{MOST_PROBLEMS, Problem};
use super::template::Template;
use super::{ConvertError, ConverterSpec};
use crate::plan::{METHODS, nearest};

pub(super) static SPEC: ConverterSpec = ConverterSpec {
    name: "vegeta",
    summary: "targets for vegeta attack, -format=http or -format=json",
    options: &[],
    looks,
    convert,
};

/// Most requests in one plan; further targets are only counted.
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
    requests: Vec<(String, RequestDraft)>,
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
        format!("{error}; expected `{{\"method\": \"GET\", \"url\": \"http://…\"}}`")
    })?;
    let body = target.body.filter(|body| !body.is_empty()).map(|body| {
        let bytes =
            STANDARD.decode(body).map_err(|why| format!("`body` is not valid base64: {why}"))?;
        String::from_utf8(bytes).map_err(|_| "`body` is not UTF-8 text".to_owned())
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
            self.wrong(line, "expected a method and a URL, such as `GET http://127.0.0.1/`");
            return None;
        };
        Some(Target { line, method: method.to_owned(), url: url.to_owned(), ..Target::default() })
    }

    /// A header, or the file of the body.
    fn part(&mut self, target: &mut Target, text: &str, line: usize, artifact: &mut Artifact<'_>) {
        if let Some(path) = text.strip_prefix('@') {
            match artifact.body_file(path.trim()) {
                Ok(body) => target.body = Some(body),
                Err(why) => self.wrong(line, format!("cannot read the body `{path}`: {why}")),
            }
        } else if let Some((name, value)) = text.split_once(':') {
            target.headers.push((name.trim().to_owned(), value.trim().to_owned()));
        } else {
            self.wrong(
                line,
                "expected a header such as `accept: text/html`, or `@` and a file name",
            );
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
                .unwrap_or_else(|| format!("expected one of {}", METHODS.join(", ")));
            // What stands there may be anything, a secret included.
            self.wrong(target.line, format!("not a valid HTTP method; {help}"));
            return;
        }
        let address = match http::address(&target.url) {
            Ok(address) => address,
            Err(why) => return self.wrong(target.line, why),
        };
        if address.credentials {
            http::note_credentials(&mut artifact.notes, target.line);
        }
        let base = self.base.get_or_insert_with(|| address.base.clone());
        if *base != address.base {
            artifact.notes.at(
                target.line,
                format!(
                    "left out a target at `{}`: a plan has one target, and the first is `{base}`",
                    address.base
                ),
            );
            self.other_hosts.insert(address.base);
            return;
        }
        self.add(target, method, address.path, artifact);
    }

    fn add(&mut self, target: Target, method: String, path: Template, artifact: &mut Artifact<'_>) {
        let mut request = RequestDraft { method, path, ..RequestDraft::default() };
        for (name, value) in target.headers {
            match http::header(&name, Template::plain(&value)) {
                Some(header) => request.headers.push(header),
                None => {
                    let name = name.escape_debug();
                    artifact.notes.at(target.line, format!("left out the header `{name}`"));
                }
            }
        }
        if let Some(body) = target.body {
            let kind = request.headers.iter().find(|(name, _)| name == "content-type");
            let kind = kind.map_or_else(String::new, |(_, value)| value.shown());
            let (body, secrets) = http::body(&body, &kind, &Template::plain);
            if !secrets.is_empty() {
                let text = "replaced a secret in the body by an environment variable";
                artifact.notes.at(target.line, text);
            }
            request.body = Some(body);
        }
        // A target that comes twice gets twice the weight.
        let same = format!("{request:?}");
        if let Some((_, known)) = self.requests.iter_mut().find(|(known, _)| *known == same) {
            known.weight = Some(known.weight.unwrap_or(1.0) + 1.0);
        } else if self.requests.len() < MOST_REQUESTS {
            let path = request.path.shown();
            let wanted =
                format!("{} {}", request.method, path.split('?').next().unwrap_or_default());
            request.name = self.names.request(&wanted);
            self.requests.push((same, request));
        } else {
            self.left_off += 1;
        }
    }

    fn finish(self, artifact: &mut Artifact<'_>) -> Result<Draft, ConvertError> {
        if !self.problems.is_empty() {
            return Err(ConvertError::Malformed(self.problems));
        }
        if self.requests.is_empty() {
            let text =
                "the file holds no target; expected lines such as `GET http://127.0.0.1:8080/`";
            return Err(ConvertError::Empty(text.to_owned()));
        }
        if self.left_off > 0 {
            let text = format!(
                "left out {} targets: a plan has at most {MOST_REQUESTS} different requests; draw \
                 values that differ from `[data.NAME]`",
                self.left_off
            );
            artifact.notes.add(text);
        }
        artifact.seen.push(format!("{} different requests", self.requests.len()));
        Ok(Draft {
            url: self.base,
            requests: self.requests.into_iter().map(|(_, request)| request).collect(),
            comments: vec![
                "vegeta takes its rate from the command line: set [load]. Without it, kneepoint \
                 searches for the breakpoint."
                    .to_owned(),
            ],
            ..Draft::default()
        })
    }
}
