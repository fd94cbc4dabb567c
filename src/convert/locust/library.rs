//! What locust's client does in a call, and the modules of Python that locustfiles use.

use crate::convert::draft::{Data, RowOrder};
use crate::convert::script::machine::Machine;
use crate::convert::script::send::Sending;
use crate::convert::script::syntax::{Call, Expr, ExprKind};
use crate::convert::script::value::{Known, Part};
use crate::convert::template::Template;

/// Methods of the client.
const VERBS: [&str; 7] = ["get", "post", "put", "patch", "delete", "head", "options"];
/// Arguments of a request that change nothing that a plan knows.
const HARMLESS: [&str; 8] =
    ["name", "catch_response", "json", "data", "params", "headers", "allow_redirects", "verify"];

/// What a call does; `None` where it is not locust's or Python's.
pub(super) fn call(machine: &mut Machine<'_, '_>, call: &Call, expr: &Expr) -> Option<Known> {
    if let ExprKind::Member(of, name) = &call.callee.kind
        && is_client(of)
    {
        return client(machine, name, call, expr);
    }
    let path = call.callee.path();
    let argument = |index: usize| call.arguments.get(index);
    match path.as_slice() {
        ["time" | "gevent", "sleep"] | ["sleep"] => {
            let time = argument(0).map_or(Known::Unknown, |it| machine.eval(it));
            match time.pause() {
                Some(think) => machine.pause(think, expr.line),
                None => machine.lost(expr.line, "a pause whose length only a run knows"),
            }
            Some(Known::Nothing)
        }
        ["assert"] => {
            match machine.tests(argument(0)?, false) {
                Some(tests) => machine.check(tests),
                None => {
                    let shown = machine.shown(argument(0)?);
                    machine.lost(expr.line, format!("the check `{shown}`"));
                }
            }
            Some(Known::Nothing)
        }
        ["print"] | ["logging" | "logger" | "log", _] => Some(Known::Nothing),
        ["json", "dumps"] => {
            let value = machine.eval(argument(0)?);
            Some(Known::Text(machine.json(&value, argument(0)?)))
        }
        ["json", "loads"] => Some(match machine.eval(argument(0)?) {
            Known::Part(request, Part::Body) => Known::Part(request, Part::Json("$".to_owned())),
            _ => Known::Unknown,
        }),
        ["os", "getenv"] | ["os", "environ", "get"] => {
            let variable = Template::secret(&machine.eval(argument(0)?).fixed()?);
            let default = argument(1).map(|it| machine.eval(it));
            Some(match default.filter(|it| it.fixed().is_some()) {
                Some(default) => machine.default_of(&variable, default, expr.line),
                None => Known::Text(variable),
            })
        }
        ["str" | "int" | "float"] => {
            let value = machine.eval(argument(0)?);
            Some(match path.as_slice() {
                ["str"] => Known::Text(machine.render(value, argument(0)?)),
                _ => value.number().map_or(value, Known::Number),
            })
        }
        ["len"] => Some(match machine.eval(argument(0)?) {
            Known::List(items) => Known::Number(items.len() as f64),
            _ => Known::Unknown,
        }),
        _ => random(machine, &path, call, expr).or_else(|| method(machine, call, expr)),
    }
}

/// Whether an expression is a client: `self.client`, `self.user.client`, `l.client`.
fn is_client(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Member(_, name) if name == "client")
}

/// Random values.
fn random(machine: &mut Machine<'_, '_>, path: &[&str], call: &Call, expr: &Expr) -> Option<Known> {
    let name = match path {
        ["random", name] | [name] => *name,
        ["uuid", name] => *name,
        _ => return None,
    };
    let mut number =
        |index: usize| call.arguments.get(index).and_then(|it| machine.eval(it).number());
    match name {
        "random" => Some(Known::Uniform(0.0, 1.0)),
        "uniform" => Some(Known::Uniform(number(0)?, number(1)?)),
        "randint" => {
            let (first, last) = (number(0)? as i64, number(1)? as i64);
            Some(Known::Range(first.min(last), first.max(last)))
        }
        "randrange" => {
            let (first, end) = match (number(0)?, number(1)) {
                (end, None) => (0.0, end),
                (first, Some(end)) => (first, end),
            };
            let last = (end as i64).saturating_sub(1);
            Some(Known::Range((first as i64).min(last), last))
        }
        "choice" => {
            let of = call.arguments.first()?;
            let list = machine.eval(of);
            Some(machine.pick(&list, RowOrder::Random, of, expr))
        }
        "uuid4" | "uuid1" => {
            Some(Known::Made(machine.source_of(expr), "uuid".to_owned(), Data::Uuid))
        }
        _ => None,
    }
}

/// Methods of responses and texts.
fn method(machine: &mut Machine<'_, '_>, call: &Call, expr: &Expr) -> Option<Known> {
    let ExprKind::Member(of, name) = &call.callee.kind else { return None };
    if !matches!(
        name.as_str(),
        "json" | "format" | "get" | "success" | "failure" | "interrupt" | "wait"
    ) {
        return None;
    }
    let value = machine.eval(of);
    match (name.as_str(), value) {
        ("json", Known::Response(request)) => {
            Some(Known::Part(request, Part::Json("$".to_owned())))
        }
        ("format", Known::Text(text)) => Some(format(machine, &text.fixed()?, call)),
        ("get", value @ (Known::Map(_) | Known::Part(..))) => {
            let name = machine.eval(call.arguments.first()?).fixed()?;
            let default = call.arguments.get(1).map(|it| machine.eval(it));
            Some(match machine.member(&value, &name) {
                Some(Known::Nothing) | None => default.unwrap_or(Known::Unknown),
                Some(known) => known,
            })
        }
        ("failure", Known::Response(_)) => {
            machine.lost(expr.line, "a response that the script itself calls a failure");
            Some(Known::Nothing)
        }
        ("success" | "interrupt" | "wait", _) => Some(Known::Nothing),
        _ => None,
    }
}

/// `"/item/{}".format(id)`, with places and names.
fn format(machine: &mut Machine<'_, '_>, text: &str, call: &Call) -> Known {
    let mut next = 0;
    let mut out = Template::default();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        let Some((inside, behind)) = behind.split_once('}') else { break };
        out.text(before);
        let name = inside.split([':', '!']).next().unwrap_or_default();
        let index = match name.parse::<usize>() {
            Ok(index) => index,
            Err(_) => {
                next += 1;
                next - 1
            }
        };
        match call.argument(index, name) {
            Some(value) => out.append(machine.text_of(value)),
            None => return Known::Unknown,
        }
        rest = behind;
    }
    out.text(rest);
    Known::Text(out)
}

/// A request of the client.
fn client(machine: &mut Machine<'_, '_>, name: &str, call: &Call, expr: &Expr) -> Option<Known> {
    let (method, first) = match name {
        "request" => (machine.eval(call.argument(0, "method")?).fixed()?, 1),
        verb if VERBS.contains(&verb) => (verb.to_owned(), 0),
        _ => return None,
    };
    let Some(url) = call.argument(first, "url").or_else(|| call.argument(first, "path")) else {
        machine.lost(expr.line, "a request without a URL");
        return Some(Known::Unknown);
    };
    let mut sending = Sending { method, url: machine.text_of(url), ..Sending::default() };
    let named = |name: &str| call.named.iter().find(|(known, _)| known == name).map(|(_, it)| it);
    sending.name = named("name").and_then(|it| machine.eval(it).fixed());
    // `post(url, data, json)`; the second place of `get` is its `params`.
    let second = call.arguments.get(first + 1);
    let is_with_body = matches!(name, "post" | "put" | "patch");
    let data = named("data").or(second.filter(|_| is_with_body));
    let query = named("params").or(second.filter(|_| name == "get"));
    if let Some(headers) = named("headers") {
        let known = machine.eval(headers);
        sending.headers = machine.texts(&known, headers);
    }
    if let Some(query) = query {
        let known = machine.eval(query);
        let encoded = |text: &str| crate::convert::http::encoded(text);
        let texts = machine.texts(&known, query).into_iter();
        sending.query = texts.map(|(name, text)| (name, text.map_text(encoded))).collect();
    }
    if let Some(json) = named("json").or_else(|| call.arguments.get(first + 2)) {
        let known = machine.eval(json);
        if known.is_unknown() {
            machine.lost(expr.line, "the body of a request, which only a run knows");
        } else {
            sending.body = Some((machine.json(&known, json), Some("application/json")));
        }
    } else if let Some(data) = data {
        sending.body = match machine.eval(data) {
            Known::Nothing => None,
            Known::Unknown => {
                machine.lost(expr.line, "the body of a request, which only a run knows");
                None
            }
            known @ Known::Map(_) => {
                let form = machine.form(&known, data);
                Some((form, Some("application/x-www-form-urlencoded")))
            }
            known => Some((machine.render(known, data), None)),
        };
    }
    for (name, value) in call.named.iter().filter(|(name, _)| !HARMLESS.contains(&name.as_str())) {
        if !matches!(name.as_str(), "url" | "path" | "method") {
            machine.lost(value.line, format!("`{name}` of a request"));
        }
    }
    Some(machine.send(sending, expr.line))
}
