//! What requests of every format have in common: addresses, paths, headers, bodies, names.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use regex::{Captures, Regex};
use url::{Url, form_urlencoded};

use super::notes::Notes;
use super::template::{Template, without_secret};
use super::tree::{Node, Value};
use crate::plan::is_secret_name;

/// What a path of a plan must not hold as it is.
const NOT_IN_PATH: &AsciiSet =
    &CONTROLS.add(b' ').add(b'#').add(b'<').add(b'>').add(b'`').add(b'^').add(b'\\').add(b'"');

/// A path or a part of one as it can be sent; what is encoded already stays so.
pub(super) fn sendable(path: &str) -> String {
    utf8_percent_encode(path, NOT_IN_PATH).to_string()
}

/// An address taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// `http://host:port`, without credentials.
    pub(super) base: String,
    /// Path and query; begins with `/`.
    pub(super) path: Template,
    /// Whether a name or a password stood in it.
    pub(super) credentials: bool,
}

impl Address {
    /// What stands before every path where this is the address of a whole service: no query, and
    /// no `/` at the end.
    pub(super) fn before_paths(&self) -> String {
        let path = self.path.shown();
        let path = path.split('?').next().unwrap_or_default().trim_end_matches('/');
        format!("{}{path}", self.base)
    }
}

/// Takes `http://…` apart. Messages never hold the address itself: it may hold a password.
pub(super) fn address(text: &str) -> Result<Address, String> {
    let url = Url::parse(text)
        .map_err(|why| format!("this is not a full URL ({why}); write `http://host:port/path`"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!(
            "`{}` is not supported; expected `http://` or `https://`",
            url.scheme()
        ));
    }
    let host = url.host_str().unwrap_or_default();
    if url.port() == Some(0) {
        return Err("0 is not a valid port; write one from 1 to 65535".to_owned());
    }
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    let mut path = url.path().to_owned();
    if let Some(query) = url.query() {
        path.push('?');
        path.push_str(query);
    }
    Ok(Address {
        base: format!("{}://{host}{port}", url.scheme()),
        path: request_path(&path),
        credentials: !url.username().is_empty() || url.password().is_some(),
    })
}

/// A path with its query, in which no value stands that is secret by its parameter's name.
pub(super) fn request_path(path: &str) -> Template {
    path_of(Template::plain(path))
}

/// The same of a text that may hold values.
pub(super) fn path_of(text: Template) -> Template {
    let text = text.split_once('#').map_or(text, |(before, _)| before);
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    };
    let mut template = Template::default();
    if !path.leading().starts_with('/') {
        template.text("/");
    }
    template.append(path.map_text(sendable));
    let pairs = query.into_iter().flat_map(|query| query.split('&'));
    for (index, pair) in pairs.enumerate() {
        template.text(if index == 0 { "?" } else { "&" });
        match pair.split_once('=') {
            Some((name, value)) => {
                let shown = name.shown();
                template.append(name.map_text(sendable));
                template.text("=");
                template.append(without_secret(&shown, value.map_text(sendable)));
            }
            None => template.append(pair.map_text(sendable)),
        }
    }
    template
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// To the target: the text is a path.
    Target,
    /// To `http://host:port`.
    Fixed(String),
    /// The host is a value, which only a run of the other tool knows.
    Varies,
}

/// The address of a request whose text may hold values.
#[derive(Debug)]
pub(super) struct RequestAddress {
    pub(super) base: Base,
    pub(super) path: Template,
    /// Whether a name or a password stood in it.
    pub(super) credentials: bool,
}

/// Takes the address of a request apart, whose text may hold values.
pub(super) fn request_address(text: &Template) -> Result<RequestAddress, String> {
    if let Some(behind) = text.behind_value() {
        // `{host}:8080/a` and `{url}/a`; `{path}` alone is a path.
        if behind.leading().starts_with(['/', ':', '?']) {
            let path = behind.split_once('/').map(|(_, path)| path).unwrap_or_default();
            return Ok(RequestAddress {
                base: Base::Varies,
                path: path_of(path),
                credentials: false,
            });
        }
    }
    let leading = text.leading();
    let Some(host) = leading.find("://").map(|at| at + "://".len()) else {
        return Ok(RequestAddress {
            base: Base::Target,
            path: path_of(text.clone()),
            credentials: false,
        });
    };
    let end = leading[host..].find(['/', '?', '#']).map(|at| host + at);
    let is_whole = end.is_some() || !text.varies();
    if !is_whole {
        let behind = text.split_once('/').and_then(|(_, rest)| rest.split_once('/'));
        let behind = behind.and_then(|(_, rest)| rest.split_once('/'));
        let path = behind.map(|(_, path)| path).unwrap_or_default();
        return Ok(RequestAddress { base: Base::Varies, path: path_of(path), credentials: false });
    }
    let end = end.unwrap_or(leading.len());
    let address = address(&leading[..end])?;
    Ok(RequestAddress {
        base: Base::Fixed(address.base),
        path: path_of(text.without_first(end)),
        credentials: address.credentials,
    })
}

/// The one target of a plan: the first that a request of the input goes to.
#[derive(Debug, Default)]
pub(super) struct OneTarget {
    pub(super) base: Option<String>,
    varies: bool,
}

impl OneTarget {
    /// The path of a request to the target; `None`, with a note, where it goes elsewhere.
    pub(super) fn path(
        &mut self,
        text: &Template,
        line: usize,
        notes: &mut Notes,
    ) -> Option<Template> {
        let address = match request_address(text) {
            Ok(address) => address,
            Err(why) => {
                notes.lost_at(line, format!("a request: {why}"));
                return None;
            }
        };
        if address.credentials {
            note_credentials(notes, line);
        }
        match address.base {
            Base::Target => {}
            Base::Varies => {
                if !std::mem::replace(&mut self.varies, true) {
                    let text = "the host of the request is a value of the script: check the \
                                target, or set it with `--target URL`";
                    notes.at(line, text);
                }
            }
            Base::Fixed(base) => {
                let target = self.base.get_or_insert_with(|| base.clone());
                let rest = target.strip_prefix(&base).map(str::to_owned);
                let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with('/'))
                else {
                    notes.lost_at(line, format!("a request to `{base}`: a plan has one target"));
                    return None;
                };
                // The target's own path stands before every path of the plan.
                let behind = address.path.leading().strip_prefix(&rest);
                if behind.is_some_and(|behind| behind.starts_with('/')) {
                    return Some(address.path.without_first(rest.len()));
                }
            }
        }
        Some(address.path)
    }
}

/// Headers that a connection or the generator makes for itself, or that would make the same
/// request differ from one user to the next.
const OWN_HEADERS: [&str; 17] = [
    "host",
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "cookie",
    "if-none-match",
    "if-modified-since",
    "accept-encoding",
    "x-kneepoint",
    "expect",
];

/// A header as a plan has it; `None` for those that have no place there.
pub(super) fn header(name: &str, value: Template) -> Option<(String, Template)> {
    let name = name.trim().to_ascii_lowercase();
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let own = OWN_HEADERS.contains(&name.as_str());
    if own || name.is_empty() || !name.chars().all(token) {
        return None;
    }
    let control = |c: char| c.is_control() && c != '\t';
    let value = value.map_text(|text| text.replace(control, " "));
    let value = without_secret(&name, value);
    Some((name, value))
}

/// How a text of the input is read: as it is, or with values in it.
pub(super) type Read<'r> = &'r dyn Fn(&str) -> Template;

/// A body without the values that are secret by the names of their fields, and those names.
pub(super) fn body(text: &str, content_type: &str, read: Read<'_>) -> (Template, BTreeSet<String>) {
    let is_form = || {
        let fixed = read(text).shown();
        !fixed.contains(['\n', ' ', '{', '<']) && fixed.contains('=')
    };
    if content_type.contains("x-www-form-urlencoded") || is_form() {
        form_body(text, read)
    } else if content_type.contains("multipart/") {
        multipart(text, read)
    } else {
        fields(text, read)
    }
}

/// The same of a text that may hold values.
pub(super) fn body_of(text: &Template, content_type: &str) -> (Template, BTreeSet<String>) {
    let (text, read) = text.marked();
    body(&text, content_type, &read)
}

fn form_body(text: &str, read: Read<'_>) -> (Template, BTreeSet<String>) {
    let mut secrets = BTreeSet::new();
    let mut template = Template::default();
    for (index, pair) in text.split('&').enumerate() {
        template.text(if index == 0 { "" } else { "&" });
        let Some((name, value)) = pair.split_once('=') else {
            template.append(read(pair));
            continue;
        };
        template.append(read(name));
        template.text("=");
        let (value, hidden) = (read(value), without_secret(name, read(value)));
        if hidden != value {
            secrets.insert(name.to_owned());
        }
        template.append(hidden);
    }
    (template, secrets)
}

/// The fields of JSON and of XML: text by text, so that it works for any number of documents, and
/// for one that is whole only when its values are filled in.
fn fields(text: &str, read: Read<'_>) -> (Template, BTreeSet<String>) {
    static FIELD: LazyLock<Regex> = LazyLock::new(|| {
        // Matches texts that are not keys as well, so that no match begins inside another text.
        let form = r#"(?x)
            "(?<key>(?:[^"\\]|\\.)*)"
                (?: \s*:\s* (?: "(?<text>(?:[^"\\]|\\.)+)" | (?<number>-?[0-9][0-9.eE+-]*) ) )?
            | <(?<tag>[A-Za-z_][\w:.-]*)(?:\s[^<>]*)?>(?<inside>[^<]*[^<\s][^<]*)</"#;
        // Checked by every test of this room.
        Regex::new(form).unwrap_or_else(|why| unreachable!("{why}"))
    });
    let mut secrets = BTreeSet::new();
    let mut template = Template::default();
    let mut taken = 0;
    let part = |found: &Captures<'_>, names: &[&str]| {
        names.iter().find_map(|name| found.name(name)).map(|part| part.range())
    };
    for found in FIELD.captures_iter(text) {
        let name = part(&found, &["key", "tag"]);
        let value = part(&found, &["text", "number", "inside"]);
        let (Some(name), Some(value)) = (name.map(|name| &text[name]), value) else { continue };
        if !is_secret_name(name) || read(&text[value.clone()]).varies() {
            continue;
        }
        template.append(read(&text[taken..value.start]));
        template.variable(name);
        secrets.insert(name.to_owned());
        taken = value.end;
    }
    template.append(read(&text[taken..]));
    (template, secrets)
}

/// The parts of a form with files: line by line, as only the names of the fields matter here.
fn multipart(text: &str, read: Read<'_>) -> (Template, BTreeSet<String>) {
    let mut secrets = BTreeSet::new();
    let mut template = Template::default();
    let boundary = text.lines().next().unwrap_or_default().trim_end();
    // The name of the secret whose value comes next, and whether its headers are over.
    let mut inside: Option<(String, bool)> = None;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end();
        let ends = line.starts_with("--") && bare.starts_with(boundary);
        if ends && let Some((name, true)) = inside.take() {
            template.variable(&name);
            template.text("\r\n");
        }
        match &mut inside {
            Some((_, true)) => continue,
            Some((_, over)) => *over = bare.is_empty(),
            None => {
                // `filename=` is not the name of the field.
                let lower = bare.to_ascii_lowercase().replace("; ", ";");
                let name = lower.split_once(";name=").map(|(_, rest)| rest.trim_matches('"'));
                let name = name.and_then(|name| name.split(['"', ';']).next());
                if let Some(name) = name.filter(|name| is_secret_name(name)) {
                    secrets.insert(name.to_owned());
                    inside = Some((name.to_owned(), false));
                }
            }
        }
        template.append(read(line));
    }
    if let Some((name, true)) = inside {
        template.variable(&name);
    }
    (template, secrets)
}

/// Whether a value could give something away: a switch and nothing at all do not.
fn is_told(value: &Node) -> bool {
    matches!(&value.value, Value::Scalar { text, .. } if !text.is_empty())
        && !value.is_null()
        && value.switch().is_none()
}

/// A tree as JSON, in which texts are read by `text` and secrets are variables.
pub(super) fn json_body(node: &Node, text: Read<'_>) -> Template {
    let mut out = Template::default();
    write_json(node, text, &mut out);
    out
}

fn write_json(node: &Node, text: Read<'_>, out: &mut Template) {
    match &node.value {
        Value::Scalar { .. } if !node.is_text() => out.text(&node.json_scalar()),
        Value::Scalar { text: plain, .. } => {
            out.text("\"");
            out.append(text(plain).map_text(json_inside));
            out.text("\"");
        }
        Value::List(items) => {
            out.text("[");
            for (index, item) in items.iter().enumerate() {
                out.text(if index == 0 { "" } else { ", " });
                write_json(item, text, out);
            }
            out.text("]");
        }
        Value::Map(entries) => {
            out.text("{");
            for (index, (key, value)) in entries.iter().enumerate() {
                out.text(if index == 0 { "\"" } else { ", \"" });
                out.text(&json_inside(&key.text));
                out.text("\": ");
                let literal = is_told(value) && !text(value.scalar()).varies();
                if literal && is_secret_name(&key.text) {
                    out.text("\"");
                    out.variable(&key.text);
                    out.text("\"");
                } else {
                    write_json(value, text, out);
                }
            }
            out.text("}");
        }
    }
}

/// A text as it stands between the quotes of JSON.
fn json_inside(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// A table as a form, in which texts are read by `text` and secrets are variables.
pub(super) fn form(node: &Node, text: Read<'_>) -> Template {
    let mut form = Template::default();
    for (index, (key, value)) in node.entries().iter().enumerate() {
        form.text(if index == 0 { "" } else { "&" });
        form.text(&format!("{}=", encoded(&key.text)));
        form.append(without_secret(&key.text, text(value.scalar()).map_text(encoded)));
    }
    form
}

/// A text as a name or a value of a form or a query.
pub(super) fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Gives each name once.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// A unique name for a request or a journey: results are kept by name.
    pub(super) fn request(&mut self, wanted: &str) -> String {
        let harmless = |c: char| if c.is_control() || "{}\"".contains(c) { ' ' } else { c };
        let wanted: String = wanted.chars().map(harmless).take(120).collect();
        let wanted = wanted.split_whitespace().collect::<Vec<_>>().join(" ");
        let wanted = if wanted.is_empty() { "request".to_owned() } else { wanted };
        self.unique(&wanted, ' ')
    }

    /// A unique name for data.
    pub(super) fn data(&mut self, wanted: &str) -> String {
        self.unique(&super::template::identifier(wanted), '_')
    }

    fn unique(&mut self, wanted: &str, between: char) -> String {
        let mut name = wanted.to_owned();
        let mut number = 2;
        while !self.0.insert(name.clone()) {
            name = format!("{wanted}{between}{number}");
            number += 1;
        }
        name
    }
}

/// Says that an address had credentials in it, and where they belong.
pub(super) fn note_credentials(notes: &mut Notes, line: usize) {
    notes.at(
        line,
        "left out the name or password in the URL; if the target needs it, add the header `authorization = \"Basic ${BASIC_AUTH}\"`",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_bodies_are_found_whatever_holds_them() {
        for (text, written, names) in [
            (
                r#"{"user":"ada", "password" : "hu\"sh","n":[1]}"#,
                r#"{{"user":"ada", "password" : "${PASSWORD}","n":[1]}}"#,
                &["password"][..],
            ),
            (
                "{\"token\": 17}\n{\"a\": \"b\", \"api_key\": \"hush\"}\n",
                "{{\"token\": ${TOKEN}}}\n{{\"a\": \"b\", \"api_key\": \"${API_KEY}\"}}\n",
                &["api_key", "token"],
            ),
            (
                "<o:password type=\"text\">hush</o:password><to>b</to>",
                "<o:password type=\"text\">${O_PASSWORD}</o:password><to>b</to>",
                &["o:password"],
            ),
            (
                r#"["a", ":"], "password": "hush""#,
                r#"["a", ":"], "password": "${PASSWORD}""#,
                &["password"],
            ),
            ("user=ada&password=hush", "user=ada&password=${PASSWORD}", &["password"]),
            // Nothing here could give anything away.
            (
                r#"{"token": "", "password": null, "has_password": true}"#,
                r#"{{"token": "", "password": null, "has_password": true}}"#,
                &[],
            ),
            ("<token> </token> a token: b", "<token> </token> a token: b", &[]),
        ] {
            let (body, secrets) = body(text, "", &Template::plain);
            assert_eq!(body.written(), written);
            assert!(secrets.iter().eq(names), "{secrets:?}");
        }
    }
}
