//! The `[[agent]]` tables.

use toml::de::DeValue;

use super::collect;
use super::walk::{Section, Value, Walk, optional};
use crate::plan::{Agent, CollectorShape, NodeCommand};

const COMMAND: &str = "a command such as `[\"ssh\", \"db1\", \"kneepoint\", \"agent\"]`";

pub(super) fn read(root: &mut Section<'_, '_>, shapes: &[CollectorShape]) -> Vec<Agent> {
    let walk = root.walk;
    let tables = root.tables("agent").unwrap_or_default();
    walk.named(
        tables,
        |value| read_one(walk, value, shapes),
        |agent| &agent.name,
        ("another agent is already", "give this one another `name`"),
    )
}

fn read_one<'t>(walk: &Walk<'t>, value: &Value<'t>, shapes: &[CollectorShape]) -> Option<Agent> {
    let mut section = walk.section(value, "a table `[[agent]]`")?;
    let name = section.require("name", "name = \"db1\"").and_then(|value| walk.name(value));
    let dials_in = optional(section.take("bus").map(|value| walk.switch(value)))?;
    let command = match section.take("command") {
        Some(value) if dials_in == Some(true) => {
            walk.wrong_with_help(
                value.span(),
                "an agent that dials in to a bus is not started by a command",
                "keep `bus = true` or `command`",
            );
            None
        }
        None if dials_in == Some(true) => Some(None),
        Some(value) => command(walk, value).map(Some),
        None => {
            section.missing(
                "command",
                "add `command = [\"ssh\", \"db1\", \"kneepoint\", \"agent\"]`, or `bus = true` if it \
                 dials in to the bus of the run",
            );
            None
        }
    };
    let target = optional(section.take("target").map(|value| walk.switch(value)));
    let collectors = collect::read(&mut section, shapes);
    section.finish();
    Some(Agent { name: name?, command: command?, target: target?, collectors })
}

/// A list of words, or one line. A word with a variable of the environment is secret.
fn command<'t>(walk: &Walk<'t>, value: &Value<'t>) -> Option<NodeCommand> {
    if let DeValue::String(_) = value.get_ref() {
        let line = walk.text(value, COMMAND)?;
        if line.from_environment {
            walk.wrong_with_help(
                line.span,
                "a command in one line cannot contain `${…}` variables",
                "write it as a list of words",
            );
            return None;
        }
        return walk.parsed(value, COMMAND, NodeCommand::of_line);
    }
    let words = walk.list(value, COMMAND)?;
    let read: Vec<_> = words
        .iter()
        .filter_map(|word| walk.text(word, "a word of the command"))
        .map(|word| (word.value, word.from_environment))
        .collect();
    if read.len() < words.len() {
        return None;
    }
    let command = NodeCommand::new(read);
    if command.is_none() {
        walk.wrong_with_help(value.span(), "the command is empty", format!("write {COMMAND}"));
    }
    command
}
