//! Collectors that run elsewhere.

use std::fmt;

use serde::{Serialize, Serializer};

use super::CollectorConfig;
use crate::timeline::mask_secrets;

/// One agent: kneepoint on another host or in a container, which collects there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agent {
    /// Its name in reports and messages.
    pub name: String,
    /// What starts it; `None` if it dials in to the bus of the run.
    pub command: Option<NodeCommand>,
    /// Whether the target runs on its host; `None` to find out.
    pub target: Option<bool>,
    /// What to collect there, beside what opens by itself.
    pub collectors: Vec<CollectorConfig>,
}

impl Agent {
    /// The agents of commands that a person types, such as `ssh app1 kneepoint agent`.
    ///
    /// # Errors
    /// If one is empty, or its quotes do not match.
    pub fn of_lines(lines: &[String]) -> Result<Vec<Self>, String> {
        let several = lines.len() > 1;
        let agent = |(index, line): (usize, &String)| {
            Ok(Self {
                name: if several { format!("agent-{}", index + 1) } else { "agent".to_owned() },
                command: Some(NodeCommand::of_line(line)?),
                target: None,
                collectors: Vec::new(),
            })
        };
        lines.iter().enumerate().map(agent).collect()
    }
}

/// A command that starts kneepoint elsewhere. It prints without what is secret in it.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeCommand {
    words: Vec<String>,
    shown: String,
}

impl NodeCommand {
    /// A program with its arguments, each with whether it is secret; `None` without a program.
    pub fn new(words: Vec<(String, bool)>) -> Option<Self> {
        words.first().filter(|(program, _)| !program.trim().is_empty())?;
        let shown: Vec<&str> = words
            .iter()
            .map(|(word, is_secret)| if *is_secret { "***" } else { word.as_str() })
            .collect();
        let shown = mask_secrets(&shown.join(" "));
        Some(Self { words: words.into_iter().map(|(word, _)| word).collect(), shown })
    }

    /// Takes a line apart as a shell does, but replaces nothing in it.
    ///
    /// # Errors
    /// If it is empty, or its quotes do not match.
    pub fn of_line(line: &str) -> Result<Self, String> {
        let words = shlex::split(line).ok_or("the quotes do not match")?;
        Self::new(words.into_iter().map(|word| (word, false)).collect())
            .ok_or_else(|| "the command is empty".to_owned())
    }

    /// The program and its arguments.
    pub fn words(&self) -> &[String] {
        &self.words
    }
}

impl fmt::Display for NodeCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for NodeCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Serialize for NodeCommand {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart_and_secrets_do_not_print() {
        let command = NodeCommand::of_line("ssh -o 'Port 22' app1 kneepoint agent").unwrap();
        assert_eq!(command.words(), ["ssh", "-o", "Port 22", "app1", "kneepoint", "agent"]);
        assert_eq!(command.to_string(), "ssh -o Port 22 app1 kneepoint agent");
        assert!(NodeCommand::of_line("ssh 'app1").unwrap_err().contains("quotes"));
        assert!(NodeCommand::of_line("  ").unwrap_err().contains("empty"));
        let words = vec![("sshpass".to_owned(), false), ("hunter2".to_owned(), true)];
        let command = NodeCommand::new(words).unwrap();
        assert_eq!(format!("{command} {command:?}"), "sshpass *** sshpass ***");
        assert_eq!(serde_json::to_string(&command).unwrap(), "\"sshpass ***\"");
    }

    #[test]
    fn agents_of_a_command_line_have_names() {
        let named = |lines: &[&str]| -> Vec<String> {
            let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            Agent::of_lines(&lines).unwrap().into_iter().map(|agent| agent.name).collect()
        };
        assert_eq!(named(&["kneepoint agent"]), ["agent"]);
        assert_eq!(named(&["a", "b"]), ["agent-1", "agent-2"]);
    }
}
