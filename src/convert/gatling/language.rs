//! Calls of Java, Scala and JavaScript themselves, as far as simulations use them.

use std::rc::Rc;

use super::time;
use super::words::word;
use crate::convert::draft::Data;
use crate::convert::script::machine::Machine;
use crate::convert::script::syntax::{Call, Expr};
use crate::convert::script::value::{Known, Link};
use crate::convert::template::Template;
use crate::plan::is_secret_name;

/// Most numbers of a list such as `1 to 10`.
const MOST_NUMBERS: f64 = 1000.0;

/// What a call of a function of the language comes to; `None` where it is none.
pub(super) fn call(
    machine: &mut Machine<'_, '_>,
    path: &[&str],
    call: &Call,
    expr: &Expr,
) -> Option<Known> {
    if let Some(known) = setting(machine, path, call, expr.line) {
        return Some(known);
    }
    if matches!(path, ["Stream" | "Iterator", "generate" | "continually"] | ["Iterator", "iterate"])
    {
        return Some(generated(machine, call, expr.line));
    }
    let values: Vec<Known> = match path {
        // The values of a constructor that nothing here knows are not looked at.
        [
            "Duration" | "List" | "Arrays" | "Set" | "Stream" | "Map" | "Collections" | "UUID"
            | "Choice",
            _,
        ]
        | ["Integer" | "Long" | "Double" | "Float" | "Boolean" | "String" | "JSON" | "Math", _]
        | ["List" | "Seq" | "Vector" | "Array" | "IndexedSeq" | "Set" | "Map" | "Iterator"]
        | ["FiniteDuration" | "Duration" | "parseInt" | "parseFloat" | "Number" | "String"] => {
            call.arguments.iter().map(|it| machine.eval(it)).collect()
        }
        ["Random"] | ["ThreadLocalRandom", "current"] => {
            return Some(word("random", Vec::new(), expr.line));
        }
        ["Random" | "random", name] | ["util", "Random", name] => {
            let values = call.arguments.iter().map(|it| machine.eval(it)).collect();
            return Some(random(name, values, expr.line));
        }
        ["java", "util", "UUID", "randomUUID"] | ["randomUUID"] => Vec::new(),
        ["println" | "print"] | ["System", "out", _] | ["console", _] => {
            return Some(Known::Nothing);
        }
        _ => return None,
    };
    let first = values.first().cloned();
    Some(match path {
        ["Duration", name] if name.starts_with("of") => time::of_java(name, &values),
        ["FiniteDuration" | "Duration"] => time::with_unit(&values),
        ["Map", "of" | "ofEntries"] | ["Map"] | ["Collections", "singletonMap"] => map(values),
        ["Map", "entry"] | ["Choice", _] => Known::List(Rc::new(values)),
        ["List" | "Set" | "Stream", "of"]
        | ["Arrays", "asList" | "stream"]
        | ["Collections", "singletonList"]
        | ["List" | "Seq" | "Vector" | "Array" | "IndexedSeq" | "Set" | "Iterator"] => {
            Known::List(Rc::new(values))
        }
        ["String", "format"] => match values.split_first() {
            Some((format, values)) => formatted(machine, format, values, expr),
            None => Known::Unknown,
        },
        ["String", "valueOf"] | ["String"] => match first {
            Some(value) => Known::Text(machine.render(value, expr)),
            None => Known::Unknown,
        },
        ["Integer" | "Long" | "Double" | "Float", _] | ["parseInt" | "parseFloat" | "Number"] => {
            first.map_or(Known::Unknown, |value| value.number().map_or(value, Known::Number))
        }
        ["Boolean", _] => match first.and_then(|value| value.fixed()).as_deref() {
            Some("true") => Known::Switch(true),
            Some(_) => Known::Switch(false),
            None => Known::Unknown,
        },
        ["JSON", "stringify"] => match first {
            Some(value) => Known::Text(machine.json(&value, expr)),
            None => Known::Unknown,
        },
        ["Math", "random"] => Known::Uniform(0.0, 1.0),
        ["Math", "floor" | "trunc"] => floor(first.unwrap_or(Known::Unknown)),
        [.., "randomUUID"] => Known::Made(machine.source_of(expr), "uuid".to_owned(), Data::Uuid),
        _ => Known::Unknown,
    })
}

/// Properties of the command line and variables of the environment, with their defaults.
fn setting(
    machine: &mut Machine<'_, '_>,
    path: &[&str],
    call: &Call,
    line: usize,
) -> Option<Known> {
    match path {
        ["System", "getProperty" | "getenv"]
        | ["Integer", "getInteger"]
        | ["Long", "getLong"]
        | ["Boolean", "getBoolean"]
        | ["getParameter" | "getEnvironmentVariable"]
        | ["sys", "env" | "props"]
        | ["sys", "env" | "props", "getOrElse" | "get" | "apply"]
        | [.., "Properties", "envOrElse" | "propOrElse"] => {}
        // A value that may be missing: what it is comes later in the chain.
        ["Optional", "ofNullable"] | ["Option"] | ["Objects", "requireNonNullElse"] => {
            let value = machine.eval(call.arguments.first()?);
            return Some(match call.arguments.get(1) {
                Some(default) => or_else(machine, value, default, line),
                None => value,
            });
        }
        _ => return None,
    }
    let name = machine.eval(call.arguments.first()?).fixed()?;
    let default = call.arguments.get(1).map(|it| machine.eval(it));
    let is_variable = path.iter().any(|it| it.contains("env") || it.contains("Env"));
    Some(match default {
        Some(default) if default.fixed().is_some() && !is_secret_name(&name) => {
            let name = name.escape_debug();
            let whose = match is_variable {
                true => format!("the variable `{name}` of the environment"),
                false => format!("the property `{name}`"),
            };
            let text = format!("{whose} has its default in the plan");
            machine.artifact.notes.at(line, text);
            default
        }
        None if matches!(path, ["Boolean", _]) => Known::Switch(false),
        _ => Known::Text(Template::secret(&name)),
    })
}

/// A variable with its default.
fn or_else(machine: &mut Machine<'_, '_>, value: Known, default: &Expr, line: usize) -> Known {
    let default = machine.eval(default);
    defaulted(machine, value, default, line)
}

fn defaulted(machine: &mut Machine<'_, '_>, value: Known, default: Known, line: usize) -> Known {
    match value {
        Known::Text(text) if text.is_variable() && default.fixed().is_some() => {
            machine.default_of(&text, default, line)
        }
        Known::Unknown | Known::Nothing => default,
        value => value,
    }
}

/// `Stream.generate(() -> Map.of(…))`: the values that each call makes.
fn generated(machine: &mut Machine<'_, '_>, call: &Call, line: usize) -> Known {
    let made = match call.arguments.first().map(|it| machine.eval(it)) {
        Some(Known::Function(function)) => machine.enter(&function, Vec::new()),
        Some(value) => value,
        None => Known::Unknown,
    };
    word("generated", vec![made], line)
}

/// Values by name: from pairs, or from names and values in turn.
fn map(values: Vec<Known>) -> Known {
    let mut entries: Vec<(String, Known)> = Vec::new();
    let mut values = values.into_iter();
    while let Some(first) = values.next() {
        let (key, value) = match &first {
            Known::List(pair) => (pair.first().cloned(), pair.get(1).cloned()),
            _ => (Some(first), values.next()),
        };
        if let (Some(key), Some(value)) = (key.and_then(|key| key.fixed()), value) {
            entries.push((key, value));
        }
    }
    Known::Map(Rc::new(entries))
}

/// A number without its fraction.
fn floor(value: Known) -> Known {
    match value {
        Known::Number(number) => Known::Number(number.floor()),
        Known::Uniform(low, high) if low < high && low.abs() < 1e15 && high.abs() < 1e15 => {
            Known::Range(low.floor() as i64, (high.ceil() as i64 - 1).max(low.floor() as i64))
        }
        value => value,
    }
}

/// A random value: `nextInt(100)`, `nextInt(1, 7)`.
pub(super) fn random(name: &str, values: Vec<Known>, line: usize) -> Known {
    let number = |index: usize| values.get(index).and_then(Known::number);
    let is_whole = |number: &f64| number.abs() < 1e15;
    match (name, number(0).filter(is_whole), number(1).filter(is_whole)) {
        ("nextInt" | "nextLong" | "between", Some(end), None) if end >= 1.0 => {
            Known::Range(0, end as i64 - 1)
        }
        ("nextInt" | "nextLong" | "between", Some(first), Some(end)) if end > first => {
            Known::Range(first as i64, end as i64 - 1)
        }
        ("nextDouble" | "nextFloat", None, None) => Known::Uniform(0.0, 1.0),
        _ => word("random", Vec::new(), line).linked(Link::new(name, values, line)),
    }
}

/// `String.format("/item/%s", id)`, with `%s` and `%d` alone.
fn formatted(
    machine: &mut Machine<'_, '_>,
    format: &Known,
    values: &[Known],
    expr: &Expr,
) -> Known {
    let Some(format) = format.fixed() else { return Known::Unknown };
    let (mut out, mut rest, mut values) = (Template::default(), format.as_str(), values.iter());
    while let Some((before, behind)) = rest.split_once('%') {
        out.text(before);
        let mut letters = behind.chars();
        match letters.next() {
            Some('%') => out.text("%"),
            Some('n') => out.text("\n"),
            Some('s' | 'd') => match values.next() {
                Some(value) => out.append(machine.render(value.clone(), expr)),
                None => return Known::Unknown,
            },
            _ => return Known::Unknown,
        }
        rest = letters.as_str();
    }
    out.text(rest);
    Known::Text(out)
}

/// What a method of a value comes to.
pub(super) fn method(
    machine: &mut Machine<'_, '_>,
    value: Known,
    name: &str,
    arguments: Vec<Known>,
    at: &Expr,
) -> Known {
    match name {
        "toString" | "as" | "asOption" | "asString" | "trim" | "strip" | "intern" | "iterator"
        | "listIterator" | "toList" | "toSeq" | "toArray" | "toVector" | "asJava" | "asScala"
        | "stream" | "validate" | "toIndexedSeq" => return value,
        "orElse" | "getOrElse" | "orElseGet" => {
            // Of a value, or of what a table has by a key.
            let key = arguments.first().filter(|_| arguments.len() > 1).and_then(Known::fixed);
            if let Some(known) = key.and_then(|key| value.get(&key).cloned()) {
                return known;
            }
            let default = arguments.into_iter().last().unwrap_or(Known::Unknown);
            return match value {
                Known::Map(_) => default,
                value => defaulted(machine, value, default, at.line),
            };
        }
        _ => {}
    }
    match value {
        Known::Number(number) => of_number(number, name, &arguments),
        Known::Text(text) => of_text(machine, text, name, arguments, at),
        Known::List(items) => match (name, arguments.first()) {
            ("random" | "circular" | "queue" | "shuffle", _) => {
                let list = word("listFeeder", vec![Known::List(items)], at.line);
                list.linked(Link::new(name, arguments, at.line))
            }
            ("get" | "apply" | "", Some(Known::Number(index))) if *index >= 0.0 => {
                items.get(*index as usize).cloned().unwrap_or(Known::Unknown)
            }
            ("size" | "length", _) => Known::Number(items.len() as f64),
            ("concat" | "plus", Some(Known::List(more))) => {
                Known::List(Rc::new(items.iter().chain(more.iter()).cloned().collect()))
            }
            _ => Known::Unknown,
        },
        value @ Known::Map(_) => match (name, arguments.first().and_then(Known::fixed)) {
            ("get" | "apply" | "", Some(key)) => value.get(&key).cloned().unwrap_or(Known::Unknown),
            ("getOrDefault", Some(key)) => match value.get(&key) {
                Some(known) => known.clone(),
                None => arguments.get(1).cloned().unwrap_or(Known::Unknown),
            },
            _ => Known::Unknown,
        },
        _ => Known::Unknown,
    }
}

fn of_number(number: f64, name: &str, arguments: &[Known]) -> Known {
    match (name, arguments.first().and_then(Known::number)) {
        ("to" | "until", Some(last)) => {
            let last = if name == "to" { last + 1.0 } else { last };
            let count = (last - number).clamp(0.0, MOST_NUMBERS) as usize;
            let numbers = (0..count).map(|index| Known::Number(number + index as f64));
            Known::List(Rc::new(numbers.collect()))
        }
        ("toInt" | "toLong" | "toDouble" | "intValue" | "longValue" | "doubleValue", _) => {
            Known::Number(number)
        }
        // A time with its unit is a number of seconds.
        _ => time::unit(name).map_or(Known::Unknown, |unit| Known::Number(number * unit)),
    }
}

fn of_text(
    machine: &mut Machine<'_, '_>,
    text: Template,
    name: &str,
    arguments: Vec<Known>,
    at: &Expr,
) -> Known {
    match name {
        "stripMargin" => Known::Text(text.map_text(|text| {
            let line = |line: &str| match line.trim_start().strip_prefix('|') {
                Some(rest) => rest.to_owned(),
                None => line.to_owned(),
            };
            text.split('\n').map(line).collect::<Vec<_>>().join("\n")
        })),
        "concat" => match arguments.into_iter().next() {
            Some(more) => {
                let mut text = text;
                text.append(machine.render(more, at));
                Known::Text(text)
            }
            None => Known::Text(text),
        },
        "formatted" => formatted(machine, &Known::Text(text), &arguments, at),
        "toInt" | "toLong" | "toDouble" => {
            let value = Known::Text(text);
            value.number().map_or(value, Known::Number)
        }
        "length" => {
            let text = text.fixed();
            text.map_or(Known::Unknown, |text| Known::Number(text.chars().count() as f64))
        }
        // Whether a value of the session is some text.
        "equals" | "equalsIgnoreCase" => {
            let mut values = vec![Known::Text(text)];
            values.extend(arguments);
            word("equals", values, at.line)
        }
        _ => Known::Unknown,
    }
}
