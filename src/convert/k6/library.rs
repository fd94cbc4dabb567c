//! What k6's modules do in a call, and those of JavaScript that scripts use.

use std::rc::Rc;

use crate::convert::draft::{Data, RowOrder};
use crate::convert::script::machine::Machine;
use crate::convert::script::send::Sending;
use crate::convert::script::syntax::{Call, Expr, ExprKind, Function, StatementKind};
use crate::convert::script::value::{Known, Part};

/// Methods of `http` with their HTTP methods, and whether a body comes before the parameters.
const VERBS: [(&str, &str, bool); 8] = [
    ("get", "GET", false),
    ("head", "HEAD", false),
    ("options", "OPTIONS", true),
    ("post", "POST", true),
    ("put", "PUT", true),
    ("patch", "PATCH", true),
    ("del", "DELETE", true),
    ("delete", "DELETE", true),
];
/// Modules whose calls a plan has nothing like.
const OTHER_PROTOCOLS: [&str; 6] = ["ws", "grpc", "browser", "redis", "sql", "client"];
/// Parameters of a request that change nothing that a plan knows.
const HARMLESS: [&str; 3] = ["responseType", "redirects", "responseCallback"];

/// What a call does; `None` where it is not k6's.
pub(super) fn call(machine: &mut Machine<'_, '_>, call: &Call, expr: &Expr) -> Option<Known> {
    let path = call.callee.path();
    let argument = |index: usize| call.arguments.get(index);
    match path.as_slice() {
        ["http", "batch"] => Some(batch(machine, argument(0)?, expr)),
        ["http", "request" | "asyncRequest"] => {
            let method = machine.eval(argument(0)?).fixed()?;
            let body = argument(2).map(|it| machine.eval(it));
            Some(request(machine, &method, (argument(1)?, body, argument(3)), expr))
        }
        ["http", verb] => {
            let (_, method, has_body) = VERBS.iter().find(|(name, _, _)| name == verb)?;
            let body = argument(1).filter(|_| *has_body).map(|it| machine.eval(it));
            let parameters = argument(if *has_body { 2 } else { 1 });
            Some(request(machine, method, (argument(0)?, body, parameters), expr))
        }
        ["check"] => Some(check(machine, argument(0)?, argument(1)?)),
        ["group"] => Some(group(machine, argument(0)?, argument(1)?)),
        ["sleep"] => {
            let time = argument(0).map_or(Known::Unknown, |it| machine.eval(it));
            match time.pause() {
                Some(think) => machine.pause(think, expr.line),
                None => machine.lost(expr.line, "a pause whose length only a run knows"),
            }
            Some(Known::Nothing)
        }
        ["fail"] => Some(Known::Nothing),
        ["console", _] => Some(Known::Nothing),
        ["Trend" | "Rate" | "Counter" | "Gauge"] => {
            machine.lost(expr.line, "a metric of the script's own");
            Some(Known::Unknown)
        }
        [module, ..] if OTHER_PROTOCOLS.contains(module) && path.len() > 1 => {
            let text = format!("`{}`: a plan sends HTTP", path.join("."));
            machine.lost(expr.line, text);
            Some(Known::Unknown)
        }
        _ => language(machine, call, expr),
    }
}

/// Calls of JavaScript itself, and of k6's modules of data and random values.
fn language(machine: &mut Machine<'_, '_>, call: &Call, expr: &Expr) -> Option<Known> {
    let path = call.callee.path();
    let argument = |index: usize| call.arguments.get(index);
    match path.as_slice() {
        ["SharedArray"] => match machine.eval(argument(1)?) {
            Known::Function(function) => Some(machine.enter(&function, Vec::new())),
            _ => None,
        },
        ["open"] => machine.eval(argument(0)?).fixed().map(Known::File),
        ["JSON", "parse"] => Some(match machine.eval(argument(0)?) {
            Known::File(path) => file(machine, &path, expr, json),
            Known::Text(text) => text.fixed().map_or(Known::Unknown, |text| json(&text)),
            Known::Part(request, Part::Body) => Known::Part(request, Part::Json("$".to_owned())),
            _ => Known::Unknown,
        }),
        ["JSON", "stringify"] => {
            let value = machine.eval(argument(0)?);
            Some(Known::Text(machine.json(&value, argument(0)?)))
        }
        ["papaparse", "parse"] | ["Papa", "parse"] => match machine.eval(argument(0)?) {
            Known::File(path) => {
                let rows = file(machine, &path, expr, rows);
                Some(Known::Map(Rc::new(vec![("data".to_owned(), rows)])))
            }
            _ => None,
        },
        ["Math", "random"] => Some(Known::Uniform(0.0, 1.0)),
        ["Math", how @ ("floor" | "round" | "ceil" | "trunc")] => {
            Some(whole(how, machine.eval(argument(0)?)))
        }
        ["randomIntBetween"] => {
            let (first, last) = (machine.eval(argument(0)?), machine.eval(argument(1)?));
            let (first, last) = (first.number()? as i64, last.number()? as i64);
            Some(Known::Range(first.min(last), first.max(last)))
        }
        ["randomItem"] => {
            let list = machine.eval(argument(0)?);
            Some(machine.pick(&list, RowOrder::Random, argument(0)?, expr))
        }
        ["uuidv4" | "randomString"] | ["crypto", "randomUUID"] => {
            Some(Known::Made(machine.source_of(expr), "uuid".to_owned(), Data::Uuid))
        }
        ["parseInt" | "parseFloat" | "Number"] => {
            let value = machine.eval(argument(0)?);
            Some(value.number().map_or(value, Known::Number))
        }
        ["String"] => Some(Known::Text(machine.text_of(argument(0)?))),
        ["encodeURIComponent"] => {
            let text = machine.text_of(argument(0)?);
            let encode = |text: &str| crate::convert::http::encoded(text).replace('+', "%20");
            Some(Known::Text(text.map_text(encode)))
        }
        ["Date" | "URL" | "require" | "Array" | "Object"] => Some(Known::Unknown),
        _ => method(machine, call),
    }
}

/// Methods of values: of responses, texts and lists.
fn method(machine: &mut Machine<'_, '_>, call: &Call) -> Option<Known> {
    let ExprKind::Member(of, name) = &call.callee.kind else { return None };
    if !matches!(name.as_str(), "json" | "toString" | "trim" | "map") {
        return None;
    }
    let value = machine.eval(of);
    match (name.as_str(), value) {
        ("json", Known::Response(request)) => {
            let path = match call.arguments.first() {
                None => "$".to_owned(),
                Some(path) => {
                    let path = machine.eval(path).fixed();
                    return Some(
                        path.as_deref()
                            .and_then(json_path)
                            .map_or(Known::Unknown, |path| Known::Part(request, Part::Json(path))),
                    );
                }
            };
            Some(Known::Part(request, Part::Json(path)))
        }
        ("toString" | "trim", value) => Some(value),
        ("map", Known::List(items)) => {
            let Known::Function(function) = machine.eval(call.arguments.first()?) else {
                return Some(Known::Unknown);
            };
            let mapped = items.iter().map(|item| machine.enter(&function, vec![item.clone()]));
            Some(Known::List(Rc::new(mapped.collect())))
        }
        _ => None,
    }
}

/// k6's path in JSON, `items.0.id`, as a JSONPath.
fn json_path(path: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if path.is_empty() || !path.chars().all(is_plain) {
        return None;
    }
    let mut json = "$".to_owned();
    for part in path.split('.') {
        let is_number = !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
        let is_name = part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        json.push_str(&match () {
            () if is_number => format!("[{part}]"),
            () if is_name => format!(".{part}"),
            () => format!("['{part}']"),
        });
    }
    Some(json)
}

/// A number without its fraction.
fn whole(how: &str, value: Known) -> Known {
    match value {
        Known::Number(number) => Known::Number(match how {
            "floor" => number.floor(),
            "round" => number.round(),
            "ceil" => number.ceil(),
            _ => number.trunc(),
        }),
        Known::Uniform(low, high) if low < high && low.abs() < 1e15 && high.abs() < 1e15 => {
            let (first, last) = match how {
                "ceil" => (low.floor() + 1.0, high.ceil()),
                "round" => (low.round(), high.round()),
                _ => (low.floor(), high.ceil() - 1.0),
            };
            Known::Range(first as i64, (last as i64).max(first as i64))
        }
        value => value,
    }
}

/// What a file of the script holds.
fn file(
    machine: &mut Machine<'_, '_>,
    path: &str,
    expr: &Expr,
    read: impl FnOnce(&str) -> Known,
) -> Known {
    match machine.artifact.body_file(path) {
        Ok(text) => read(&text),
        Err(why) => {
            let text = format!("the file `{}` cannot be read: {why}", path.escape_debug());
            machine.lost(expr.line, text);
            Known::Unknown
        }
    }
}

fn json(text: &str) -> Known {
    serde_json::from_str(text).map_or(Known::Unknown, Known::of_json)
}

/// The rows of a CSV file with a header line, as tables.
fn rows(text: &str) -> Known {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let Ok(names) = reader.headers().cloned() else { return Known::Unknown };
    let row = |row: csv::StringRecord| {
        let cells = names.iter().zip(row.iter());
        Known::Map(Rc::new(cells.map(|(name, it)| (name.to_owned(), Known::text(it))).collect()))
    };
    Known::List(Rc::new(reader.records().filter_map(Result::ok).map(row).collect()))
}

/// One request: its address, body and parameters.
fn request(
    machine: &mut Machine<'_, '_>,
    method: &str,
    (url, body, parameters): (&Expr, Option<Known>, Option<&Expr>),
    expr: &Expr,
) -> Known {
    let url_text = machine.text_of(url);
    let mut sending = Sending { method: method.to_owned(), url: url_text, ..Sending::default() };
    sending.body = body.and_then(|body| match body {
        Known::Nothing => None,
        Known::Map(_) => {
            let form = machine.form(&body, expr);
            Some((form, Some("application/x-www-form-urlencoded")))
        }
        Known::Unknown | Known::File(_) => {
            machine.lost(expr.line, "the body of a request, which only a run knows");
            None
        }
        body => Some((machine.render(body, expr), None)),
    });
    if let Some(parameters) = parameters {
        let known = machine.eval(parameters);
        for (name, value) in known.entries() {
            match name.as_str() {
                "headers" => sending.headers = machine.texts(value, parameters),
                "tags" => {
                    for (name, value) in value.entries() {
                        match (name.as_str(), value.fixed()) {
                            ("name", Some(text)) => sending.name = Some(text),
                            (name, Some(text)) => sending.tags.push((name.to_owned(), text)),
                            (name, None) => {
                                machine.lost(parameters.line, format!("the tag `{name}`"));
                            }
                        }
                    }
                }
                name if HARMLESS.contains(&name) => {}
                name => {
                    let name = name.escape_debug();
                    machine.lost(parameters.line, format!("`{name}` of a request"));
                }
            }
        }
    }
    machine.send(sending, expr.line)
}

/// Several requests at once: a plan sends them one after the other.
fn batch(machine: &mut Machine<'_, '_>, list: &Expr, expr: &Expr) -> Known {
    let requests: Vec<(Option<String>, &Expr)> = match &list.kind {
        ExprKind::List(items) => items.iter().map(|item| (None, item)).collect(),
        ExprKind::Map(entries) => {
            let key = |key: &Expr| match &key.kind {
                ExprKind::Text(text) => Some(text.clone()),
                _ => None,
            };
            entries.iter().map(|(name, value)| (key(name), value)).collect()
        }
        _ => {
            machine.lost(expr.line, "requests at once, of a list that only a run knows");
            return Known::Unknown;
        }
    };
    machine.artifact.notes.at(expr.line, "`http.batch`: the plan sends its requests in turn");
    let mut responses = Vec::new();
    for (name, item) in requests {
        responses.push((name, one_of_batch(machine, item)));
    }
    match responses.iter().any(|(name, _)| name.is_some()) {
        true => Known::Map(Rc::new(
            responses.into_iter().filter_map(|(name, it)| Some((name?, it))).collect(),
        )),
        false => Known::List(Rc::new(responses.into_iter().map(|(_, it)| it).collect())),
    }
}

fn one_of_batch(machine: &mut Machine<'_, '_>, item: &Expr) -> Known {
    match &item.kind {
        ExprKind::List(parts) => {
            let method = parts.first().and_then(|it| machine.eval(it).fixed());
            let (Some(method), Some(url)) = (method, parts.get(1)) else { return Known::Unknown };
            let body = parts.get(2).map(|it| machine.eval(it));
            request(machine, &method, (url, body, parts.get(3)), item)
        }
        ExprKind::Map(entries) => {
            let find = |wanted: &str| {
                let is_it =
                    |key: &Expr| matches!(&key.kind, ExprKind::Text(text) if text == wanted);
                entries.iter().find(|(key, _)| is_it(key)).map(|(_, value)| value)
            };
            let method = find("method").and_then(|it| machine.eval(it).fixed());
            let body = find("body").map(|it| machine.eval(it));
            let Some(url) = find("url") else { return Known::Unknown };
            let method = method.unwrap_or_else(|| "GET".to_owned());
            request(machine, &method, (url, body, find("params")), item)
        }
        _ => request(machine, "GET", (item, None, None), item),
    }
}

fn group(machine: &mut Machine<'_, '_>, name: &Expr, inside: &Expr) -> Known {
    let (name, inside) = (machine.eval(name).fixed(), machine.eval(inside));
    let Known::Function(function) = inside else { return Known::Unknown };
    let before = machine.tags.clone();
    if let Some(name) = name {
        // As k6 writes it, for thresholds of a group.
        let outer = before.iter().find(|(tag, _)| tag == "group").map(|(_, text)| text.as_str());
        let text = format!("{}::{name}", outer.unwrap_or_default());
        machine.tags.retain(|(tag, _)| tag != "group");
        machine.tags.push(("group".to_owned(), text));
    }
    let returned = machine.enter(&function, Vec::new());
    machine.tags = before;
    returned
}

/// `check(response, { "status is 200": (r) => r.status === 200 })`. A plan goes on as if it held.
fn check(machine: &mut Machine<'_, '_>, value: &Expr, checks: &Expr) -> Known {
    let response = machine.eval(value);
    let ExprKind::Map(entries) = &checks.kind else {
        machine.lost(checks.line, "checks that are not written where they are used");
        return Known::Switch(true);
    };
    for (name, test) in entries {
        let tests = match &test.kind {
            ExprKind::Function(function) => returned(function).and_then(|returned| {
                let parameter = function.parameters.iter().cloned();
                let frame = parameter.zip([response.clone()]).collect();
                machine.frames.push(frame);
                let tests = machine.tests(returned, false);
                machine.frames.pop();
                tests
            }),
            _ => machine.tests(test, false),
        };
        match tests {
            Some(tests) => machine.check(tests),
            None => {
                let name = match &name.kind {
                    ExprKind::Text(text) => text.escape_debug().to_string(),
                    _ => machine.shown(name),
                };
                machine.lost(test.line, format!("the check `{name}`"));
            }
        }
    }
    Known::Switch(true)
}

/// What a function of one statement returns.
fn returned(function: &Function) -> Option<&Expr> {
    match function.body.as_slice() {
        [statement] => match &statement.kind {
            StatementKind::Return(Some(expr)) => Some(expr),
            _ => None,
        },
        _ => None,
    }
}
