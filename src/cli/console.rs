//! All output to stdout and stderr. No other module writes there.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;

/// Prints on stdout. If the reader has closed the pipe, as `head` does, that is not a failure.
pub(super) fn print(bytes: &[u8]) -> CommandResult {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(ExitStatus::Done),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitStatus::Done),
        Err(error) => Err(CliError::failed(format!("cannot write to stdout: {error}"))),
    }
}

/// Prints a line on stderr. If that fails, there is no way to report it.
pub(super) fn say(line: impl fmt::Display) {
    let _told = writeln!(io::stderr().lock(), "{line}").is_ok();
}

pub(super) fn show_error(error: &CliError) {
    say(format_args!("kneepoint: {}", error.message));
    if let Some(hint) = &error.hint {
        say(format_args!("  hint: {hint}"));
    }
}

/// A line on stderr that is written anew as work goes on, where a person looks at a terminal.
#[derive(Clone)]
pub(super) struct LiveLine {
    is_shown: bool,
}

impl LiveLine {
    /// The line of a command that may be told to be quiet.
    pub(super) fn new(quiet: bool) -> Self {
        Self { is_shown: io::stderr().is_terminal() && !quiet }
    }

    /// Replaces the line with `text`.
    pub(super) fn replace(&self, text: &str) {
        if self.is_shown {
            let mut stderr = io::stderr().lock();
            let _shown = write!(stderr, "\r\x1b[2K{text}").and_then(|()| stderr.flush()).is_ok();
        }
    }

    pub(super) fn clear(&self) {
        self.replace("");
    }
}

/// Whether a person wants plain lines: no colour (<https://no-color.org>), or a terminal that
/// cannot do more.
pub(super) fn is_plain() -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    is_dumb || said_no_colour()
}

/// Whether a person sees stderr.
pub(super) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

fn said_no_colour() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// Whether stdout may have colour: it is a terminal, and the user has not disabled colour
/// (<https://no-color.org>).
pub(super) fn colour_wanted() -> bool {
    io::stdout().is_terminal() && !said_no_colour()
}

/// Columns of the terminal on stdout, or a width that fits on paper.
pub(super) fn width() -> usize {
    match terminal_size::terminal_size_of(io::stdout()) {
        Some((terminal_size::Width(columns), _)) if columns > 0 => {
            usize::from(columns).clamp(60, 140)
        }
        _ => 100,
    }
}

/// Lines of at most `width` characters, unless a word is longer.
pub(super) fn wrapped(text: &str, width: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut().filter(|line| line.len() + 1 + word.len() <= width) {
            Some(line) => *line = format!("{line} {word}"),
            None => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_no_longer_than_the_terminal() {
        let text = "the highest load that is still good";
        assert_eq!(wrapped(text, 12), "the highest\nload that is\nstill good");
        assert_eq!(wrapped("overlong word", 3), "overlong\nword");
    }
}
