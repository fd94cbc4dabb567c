//! `http("name").get(url)…`: requests.

use std::rc::Rc;

use super::simulation::Simulation;
use crate::convert::http;
use crate::convert::script::send::Sending;
use crate::convert::script::value::{Known, Link};
use crate::convert::template::{Template, without_secret};

/// Methods of HTTP by their names in the library.
const VERBS: [&str; 7] = ["get", "post", "put", "patch", "delete", "head", "options"];
/// What changes nothing that a plan knows.
const HARMLESS: [&str; 7] = [
    "disableFollowRedirect",
    "silent",
    "notSilent",
    "disableUrlEncoding",
    "asMultipartForm",
    "disableAutoOrigin",
    "disableAutoReferer",
];
const FORM: &str = "application/x-www-form-urlencoded";

/// A request while its calls are read.
#[derive(Default)]
struct RequestCalls {
    sending: Sending,
    form: Template,
    checks: Vec<(Known, usize)>,
    /// Further requests, which Gatling sends beside it.
    resources: Vec<Known>,
    without_headers: bool,
    without_checks: bool,
}

impl Simulation<'_, '_> {
    /// The step of a request.
    pub(super) fn request(&mut self, links: &[Rc<Link>]) {
        let Some((first, rest)) = links.split_first() else { return };
        let line = rest.first().map_or(first.line, |link| link.line);
        let mut calls = RequestCalls::default();
        let name = first.arguments.first().map(|name| self.text(name, first.line).shown());
        calls.sending.name = name.clone();
        rest.iter().for_each(|link| self.request_call(link, &mut calls));
        if calls.sending.method.is_empty() {
            return self.lost(line, "a request without a method");
        }
        let headers = std::mem::take(&mut calls.sending.headers);
        if !calls.without_headers {
            calls.sending.headers = self.common_headers();
        }
        calls.sending.headers.extend(headers);
        if !calls.form.is_empty() {
            calls.sending.body = Some((calls.form, Some(FORM)));
        }
        let Known::Response(plan_name) = self.machine.send(calls.sending, line) else { return };
        self.sent.push((name.unwrap_or_default(), plan_name.clone()));
        let common = match calls.without_checks {
            true => Vec::new(),
            false => self.protocol.checks.clone(),
        };
        for (check, line) in common.into_iter().chain(calls.checks) {
            self.check(&plan_name, &check, line);
        }
        if !calls.resources.is_empty() {
            self.note(line, "`resources`: the plan sends them in turn");
            for resource in calls.resources {
                self.chain(&resource, line);
            }
        }
    }

    /// The headers that the protocol gives each request.
    fn common_headers(&mut self) -> Vec<(String, Template)> {
        let protocol = self.protocol.clone();
        let mut headers: Vec<(String, Template)> = Vec::new();
        if protocol.is_basic {
            headers.push(("authorization".to_owned(), basic()));
        }
        for (name, value, line) in protocol.headers {
            headers.push((name, self.text(&value, line)));
        }
        headers
    }

    fn request_call(&mut self, link: &Link, calls: &mut RequestCalls) {
        let (line, arguments) = (link.line, link.arguments.as_slice());
        match (link.name.as_str(), arguments) {
            (verb, [url, ..]) if VERBS.contains(&verb) => {
                verb.clone_into(&mut calls.sending.method);
                calls.sending.url = self.url(url, line);
            }
            ("httpRequest", [method, url, ..]) => {
                calls.sending.method = self.fixed(Some(method), line).unwrap_or_default();
                calls.sending.url = self.url(url, line);
            }
            ("queryParam" | "multivaluedQueryParam", [name, values, ..]) => {
                let name = self.text(name, line).shown();
                for value in one_or_more(values) {
                    let value = self.text(&value, line).map_text(http::encoded);
                    calls.sending.query.push((name.clone(), value));
                }
            }
            ("queryParamMap" | "queryParamSeq", [values, ..]) => {
                for (name, value) in pairs(values) {
                    let value = self.text(&value, line).map_text(http::encoded);
                    calls.sending.query.push((name, value));
                }
            }
            ("formParam" | "multivaluedFormParam", [name, values, ..]) => {
                let name = self.text(name, line).shown();
                for value in one_or_more(values) {
                    self.form_field(&name, &value, line, &mut calls.form);
                }
            }
            ("formParamMap" | "formParamSeq", [values, ..]) => {
                for (name, value) in pairs(values) {
                    self.form_field(&name, &value, line, &mut calls.form);
                }
            }
            ("header", [name, value, ..]) => {
                let name = self.text(name, line).shown();
                let value = self.text(value, line);
                calls.sending.headers.push((name, value));
            }
            ("headers", [headers, ..]) => {
                for (name, value) in pairs(headers) {
                    let value = self.text(&value, line);
                    calls.sending.headers.push((name, value));
                }
            }
            ("basicAuth", _) => {
                calls.sending.headers.push(("authorization".to_owned(), basic()));
            }
            ("asJson" | "asJSON", _) => both_types(calls, "application/json"),
            ("asXml" | "asXML", _) => both_types(calls, "application/xml"),
            ("asFormUrlEncoded", _) => {
                calls.sending.headers.push(("content-type".to_owned(), Template::plain(FORM)));
            }
            ("body", [body, ..]) => self.body(body, line, calls),
            ("check", checks) => calls.checks.extend(checks.iter().map(|it| (it.clone(), line))),
            ("checkIf", _) => self.lost(line, "checks with a condition"),
            ("resources", requests) => calls.resources.extend(requests.iter().cloned()),
            ("ignoreProtocolHeaders" | "ignoreDefaultHeaders", _) => calls.without_headers = true,
            ("ignoreProtocolChecks" | "ignoreDefaultChecks", _) => calls.without_checks = true,
            ("formUpload" | "bodyPart" | "bodyParts", _) => {
                self.lost(line, "a part of a form with files: write the body by hand");
            }
            (name, _) if HARMLESS.contains(&name) => {}
            (name, _) => {
                let text = format!("`{}` of a request", name.escape_debug());
                self.lost(line, text);
            }
        }
    }

    fn form_field(&mut self, name: &str, value: &Known, line: usize, form: &mut Template) {
        let value = self.text(value, line).map_text(http::encoded);
        form.text(if form.is_empty() { "" } else { "&" });
        form.text(&format!("{}=", http::encoded(name)));
        form.append(without_secret(name, value));
    }

    /// The address of a request: behind the base URL, unless it is whole.
    fn url(&mut self, url: &Known, line: usize) -> Template {
        let url = self.text(url, line);
        let base = self.protocol.base.clone();
        let Some(base) = base.filter(|_| !url.leading().contains("://")) else { return url };
        if url.leading().is_empty() && url.varies() {
            let text = "the path begins with a value: the plan puts `/` before it, so the value \
                        must not begin with `/`";
            self.note(line, text);
            let mut path = Template::plain("/");
            path.append(url);
            return path;
        }
        let mut whole = match base.fixed() {
            Some(base) if url.leading().starts_with('/') => {
                Template::plain(base.trim_end_matches('/'))
            }
            _ => base,
        };
        whole.append(url);
        whole
    }

    fn body(&mut self, body: &Known, line: usize, calls: &mut RequestCalls) {
        let (name, argument) = match body.links() {
            [first, ..] => (first.name.as_str(), first.arguments.first()),
            [] => ("StringBody", Some(body)),
        };
        let text = match (name, argument) {
            ("StringBody", Some(Known::Unknown | Known::Fluent(_))) => None,
            ("StringBody", Some(text)) => Some(self.text(text, line)),
            ("ElFileBody" | "RawFileBody" | "ELFileBody", Some(path)) => {
                let path = self.fixed(Some(path), line).unwrap_or_default();
                match self.resource(&path) {
                    Ok(text) if name == "RawFileBody" => Some(Template::plain(&text)),
                    Ok(text) => Some(self.text(&Known::text(&text), line)),
                    Err(why) => {
                        let text = format!("the file `{}` of a body: {why}", path.escape_debug());
                        return self.lost(line, text);
                    }
                }
            }
            _ => None,
        };
        match text {
            Some(text) => calls.sending.body = Some((text, None)),
            None => self.lost(line, "the body of a request, which only a run knows"),
        }
    }

    /// The text of a file of the simulation.
    pub(super) fn resource(&mut self, path: &str) -> Result<String, String> {
        let place = self.place(path);
        self.machine.artifact.body_file(&place)
    }

    /// Where a file of the simulation is: beside it, or among the resources of its project.
    pub(super) fn place(&mut self, path: &str) -> String {
        let path = path.trim_start_matches("classpath:");
        let bare = ["src/test/resources/", "src/main/resources/", "resources/"];
        let bare = bare.iter().find_map(|it| path.strip_prefix(it)).unwrap_or(path);
        let mut places = vec![path.to_owned(), bare.to_owned()];
        // The file of a class stands in a directory for each part of its package.
        let up = (0..=DEEPEST_PACKAGE).map(|depth| "../".repeat(depth));
        places.extend(up.map(|up| format!("{up}resources/{bare}")));
        let files = &mut self.machine.artifact.files;
        let found = places.into_iter().find(|place| files.open(place).is_ok());
        found.unwrap_or_else(|| path.to_owned())
    }
}

/// The most parts that the name of a package has, as far as its resources are looked for.
const DEEPEST_PACKAGE: usize = 7;

/// Credentials that stand in the environment.
fn basic() -> Template {
    let mut text = Template::plain("Basic ");
    text.variable("BASIC_AUTH");
    text
}

/// What is sent and what is wanted have the same type.
fn both_types(calls: &mut RequestCalls, kind: &str) {
    for header in ["accept", "content-type"] {
        calls.sending.headers.push((header.to_owned(), Template::plain(kind)));
    }
}

fn one_or_more(values: &Known) -> Vec<Known> {
    match values {
        Known::List(items) => items.to_vec(),
        one => vec![one.clone()],
    }
}

/// Names and values: of a table, or of a list of pairs.
fn pairs(of: &Known) -> Vec<(String, Known)> {
    let pair = |pair: &Known| match pair.items() {
        [name, value] => Some((name.fixed()?, value.clone())),
        _ => None,
    };
    match of {
        Known::List(items) => items.iter().filter_map(pair).collect(),
        table => table.entries().to_vec(),
    }
}
