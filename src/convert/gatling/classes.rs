//! The classes, objects and functions of a simulation, in the order in which their values are made.

use crate::convert::error::ConvertError;
use crate::convert::script::machine::Machine;
use crate::convert::script::syntax::{Class, Program, Statement, StatementKind};
use crate::convert::script::value::Known;

/// How deep classes may stand in each other.
const DEEPEST_CLASSES: usize = 8;

/// Follows a program: what it defines, and what its simulation does when it is made.
pub(super) fn follow(machine: &mut Machine<'_, '_>, program: &Program) {
    let classes = || program.statements.iter().filter_map(class_of);
    for class in classes().filter(|class| !is_simulation(class)) {
        self::class(machine, class, 0);
    }
    for class in classes().filter(|class| is_simulation(class)) {
        self::class(machine, class, 0);
    }
    machine.block(&program.statements, &mut Known::Nothing);
    for statement in &program.statements {
        if let StatementKind::Default(value) = &statement.kind {
            machine.eval(value);
        }
    }
}

fn class_of(statement: &Statement) -> Option<&Class> {
    match &statement.kind {
        StatementKind::Class(class) => Some(class),
        _ => None,
    }
}

fn is_simulation(class: &Class) -> bool {
    class.bases.iter().any(|base| base.path().last().is_some_and(|it| it.ends_with("Simulation")))
}

/// Defines what a class has, by its own name and by the name of the class before it.
fn class(machine: &mut Machine<'_, '_>, class: &Class, depth: usize) {
    if depth > DEEPEST_CLASSES {
        return;
    }
    for statement in &class.body {
        match &statement.kind {
            StatementKind::Class(inner) => self::class(machine, inner, depth + 1),
            StatementKind::Function(function) => {
                let value = Known::Function(std::rc::Rc::clone(function));
                machine.define(&function.name, value.clone());
                machine.define(&format!("{}.{}", class.name, function.name), value);
                if is_simulation(class) && matches!(function.name.as_str(), "before" | "after") {
                    let name = &function.name;
                    machine.lost(function.line, format!("`{name}`, which Gatling calls once"));
                }
            }
            _ => {}
        }
    }
    for statement in &class.body {
        let name = match &statement.kind {
            StatementKind::Class(_) | StatementKind::Function(_) => continue,
            StatementKind::Assign(target, _) => target.path().join("."),
            _ => String::new(),
        };
        machine.block(std::slice::from_ref(statement), &mut Known::Nothing);
        if !name.is_empty()
            && let Some(value) = machine.lookup(&name).cloned()
        {
            machine.define(&format!("{}.{name}", class.name), value);
        }
    }
}

/// Why a program without `setUp` has no load.
pub(super) fn without_set_up(program: &Program, text: &str) -> ConvertError {
    // The last is of the input itself; those before it are of files that it imports.
    let mut classes = program.statements.iter().rev().filter_map(class_of);
    match classes.find(|class| is_simulation(class)) {
        Some(class) => {
            let name = class.name.escape_debug();
            let what = format!(
                "the simulation `{name}` calls no `setUp`: without it there is no load; write \
                 `setUp(scenario.injectOpen(rampUsers(100).during(60)))`"
            );
            ConvertError::at(class.line, column(text, class.line, &class.name), what)
        }
        None => ConvertError::Empty(
            "the file holds no simulation: nothing in it calls `setUp`; convert the file of the \
             class that extends `Simulation`, or that exports `simulation(…)`"
                .to_owned(),
        ),
    }
}

/// The column of a word in a line, from 1.
pub(super) fn column(text: &str, line: usize, word: &str) -> Option<usize> {
    let line = text.lines().nth(line.checked_sub(1)?)?;
    let before = line.get(..line.find(word)?)?;
    Some(before.chars().count() + 1)
}
