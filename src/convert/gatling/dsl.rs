//! What calls of Gatling's library come to: each keeps the calls that made it, for those who look
//! at scenarios, requests and loads later.

use super::language;
use super::words::word;
use crate::convert::script::machine::Machine;
use crate::convert::script::syntax::{
    Call, Expr, ExprKind, Function, Operator, Statement, StatementKind,
};
use crate::convert::script::value::{Known, Link};
use crate::convert::template::Template;

/// Types whose members are words of the library.
const OWNERS: [&str; 5] = ["CoreDsl", "HttpDsl", "JdbcDsl", "Predef", "core"];
/// Where the value of `setUp` is kept.
const SET_UP: &str = " setUp";
/// Where it is kept that a function of a session is followed.
const IN_SESSION: &str = " session";
/// Methods of a session that give a value of it.
const GETTERS: [&str; 9] =
    ["", "apply", "get", "getString", "getInt", "getLong", "getDouble", "getBoolean", "getList"];

/// The value of `setUp`, if the simulation has one.
pub(super) fn set_up(machine: &Machine<'_, '_>) -> Option<Known> {
    machine.lookup(SET_UP).cloned()
}

/// What a call comes to: every chain is followed here, from its beginning to its end.
pub(super) fn call(machine: &mut Machine<'_, '_>, _: &Call, expr: &Expr) -> Option<Known> {
    let mut parts: Vec<(&str, Option<&[Expr]>, &Expr)> = Vec::new();
    let mut at = expr;
    let root = loop {
        match &at.kind {
            ExprKind::Call(call) => {
                if let Some(known) = first_call(machine, call, at) {
                    break known;
                }
                match &call.callee.kind {
                    ExprKind::Member(of, name) => {
                        parts.push((name, Some(call.arguments.as_slice()), at));
                        at = of;
                    }
                    ExprKind::Call(_) => {
                        parts.push(("", Some(call.arguments.as_slice()), at));
                        at = &call.callee;
                    }
                    ExprKind::Name(name) => {
                        undefined(machine, name, at.line);
                        break Known::Unknown;
                    }
                    _ => break Known::Unknown,
                }
            }
            ExprKind::Member(of, name) if at.path().is_empty() => {
                parts.push((name, None, at));
                at = of;
            }
            _ => break machine.eval(at),
        }
    };
    let mut value = called(machine, root);
    for (name, arguments, at) in parts.into_iter().rev() {
        value = linked(machine, value, name, arguments.unwrap_or_default(), at);
    }
    keep_set_up(machine, &value, expr.line);
    Some(value)
}

/// Keeps what `setUp` is given: the first one of a simulation.
fn keep_set_up(machine: &mut Machine<'_, '_>, value: &Known, line: usize) {
    let Some(first) = value.links().first() else { return };
    match first.name.as_str() {
        "setUp" if set_up(machine).is_some() => machine.lost(line, "a second `setUp`"),
        "setUp" => {
            if let Some(frame) = machine.frames.first_mut() {
                frame.insert(SET_UP.to_owned(), value.clone());
            }
        }
        name @ ("before" | "after") => {
            machine.lost(line, format!("`{name}`, which Gatling calls once"));
        }
        _ => {}
    }
}

fn undefined(machine: &mut Machine<'_, '_>, name: &str, line: usize) {
    if machine.lookup(IN_SESSION).is_none() {
        let text = format!("a call of `{}`, which this file does not define", name.escape_debug());
        machine.lost(line, text);
    }
}

/// A function without parameters by its name alone, as Scala calls it.
fn called(machine: &mut Machine<'_, '_>, value: Known) -> Known {
    match value {
        Known::Function(function) if function.parameters.is_empty() => {
            machine.enter(&function, Vec::new())
        }
        value => value,
    }
}

/// The first call of a chain: a function of the simulation, of its language, or of the library.
fn first_call(machine: &mut Machine<'_, '_>, call: &Call, at: &Expr) -> Option<Known> {
    if let ExprKind::Function(function) = &call.callee.kind {
        return Some(machine.enter(function, Vec::new()));
    }
    let path = call.callee.path();
    let path = match path.split_first() {
        Some((first, rest)) if !rest.is_empty() && (OWNERS.contains(first) || *first == "this") => {
            rest
        }
        _ => path.as_slice(),
    };
    let known = match path {
        [] => return None,
        path => machine.lookup(&path.join(".")).cloned(),
    };
    match (known, path) {
        (Some(Known::Function(function)), _) => {
            let arguments = call.arguments.iter().map(|it| machine.eval(it)).collect();
            Some(machine.enter(&function, arguments))
        }
        (None, ["simulation"]) => {
            if let Known::Function(function) = machine.eval(call.arguments.first()?) {
                machine.enter(&function, vec![word("setUp", Vec::new(), at.line)]);
            }
            Some(Known::Nothing)
        }
        // Scala calls what an object has without parentheses.
        (Some(value), [_, _, ..]) if call.arguments.is_empty() => Some(value),
        (Some(value @ Known::Fluent(_)), [_]) => {
            Some(linked(machine, value, "", &call.arguments, at))
        }
        (None, path) => language::call(machine, path, call, at),
        _ => None,
    }
}

/// A value with a method called on it.
fn linked(
    machine: &mut Machine<'_, '_>,
    value: Known,
    name: &str,
    arguments: &[Expr],
    at: &Expr,
) -> Known {
    let arguments: Vec<Known> = arguments.iter().map(|it| argument(machine, it)).collect();
    let Known::Fluent(links) = &value else {
        return language::method(machine, value, name, arguments, at);
    };
    let is_session = links.first().is_some_and(|link| link.name == "session");
    if is_session && links.len() == 1 && GETTERS.contains(&name) {
        return match arguments.first().and_then(Known::fixed) {
            Some(attribute) => session_value(&attribute),
            None => Known::Unknown,
        };
    }
    if links.len() == 1 && links[0].name == "random" {
        return language::random(name, arguments, at.line);
    }
    // The arguments of a word, such as `exec(…)`.
    let is_bare = name.is_empty() && links.len() == 1 && links[0].arguments.is_empty();
    if is_bare && !arguments.is_empty() {
        return word(&links[0].name, arguments, at.line);
    }
    if is_bare && links[0].line == 0 {
        return word(&links[0].name, Vec::new(), at.line);
    }
    value.linked(Link::new(name, arguments, at.line))
}

/// A value of the session: which one it is, is known only where it is used.
fn session_value(name: &str) -> Known {
    let mut text = Template::default();
    text.value(&format!(" {name}"));
    Known::Text(text)
}

/// An argument. A function gets a session: what it makes of it is known, or nothing is.
fn argument(machine: &mut Machine<'_, '_>, expr: &Expr) -> Known {
    match machine.eval(expr) {
        Known::Function(function) => {
            let session = word("session", Vec::new(), function.line);
            if let Some(equals) = equality(machine, &function, &session) {
                return equals;
            }
            if let Some(frame) = machine.frames.first_mut() {
                frame.insert(IN_SESSION.to_owned(), Known::Nothing);
            }
            let value = machine.enter(&function, vec![session]);
            if let Some(frame) = machine.frames.first_mut() {
                frame.remove(IN_SESSION);
            }
            match value {
                // What only a run knows, with the line of the function.
                Known::Unknown | Known::Nothing => word("function", Vec::new(), function.line),
                value => value,
            }
        }
        value => value,
    }
}

/// `session => session.get("kind") === "tea"`: a value of the session, and what it must be.
fn equality(machine: &mut Machine<'_, '_>, function: &Function, session: &Known) -> Option<Known> {
    let [Statement { kind: StatementKind::Return(Some(value)), .. }] = function.body.as_slice()
    else {
        return None;
    };
    let ExprKind::Binary(Operator::Equal, left, right) = &value.kind else { return None };
    let parameter = function.parameters.iter().cloned();
    machine.frames.push(parameter.zip([session.clone()]).collect());
    let sides = vec![machine.eval(left), machine.eval(right)];
    machine.frames.pop();
    let is_value = |side: &Known| match side {
        Known::Text(text) => text.only_value().is_some(),
        _ => false,
    };
    sides.iter().any(is_value).then(|| word("equals", sides, function.line))
}
