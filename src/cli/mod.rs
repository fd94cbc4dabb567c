//! The edge: argv, environment, files, stdout and exit codes. Nobody else prints or exits.

mod args;
mod convert;
mod data;
mod demo;
mod dry_run;
mod exit;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod import;
mod inspect;
mod list;
mod once;
mod preflight;
mod progress;
mod results;
mod run;
mod soak;
mod stop;
mod table;
mod target;
mod words;

use std::ffi::OsString;
use std::fmt;
use std::io::{self, IsTerminal, Write};

use clap::{CommandFactory, Parser};

use args::{Cli, Command};
pub use exit::ExitStatus;

use crate::plan::nearest;

/// A message for the person at the terminal, with the exit code it comes with.
#[derive(Debug)]
struct Refusal {
    status: ExitStatus,
    message: String,
    hint: Option<String>,
}

impl Refusal {
    fn new(status: ExitStatus, message: impl fmt::Display) -> Self {
        Self { status, message: message.to_string(), hint: None }
    }

    fn usage(message: impl fmt::Display) -> Self {
        Self::new(ExitStatus::Usage, message)
    }

    fn failed(message: impl fmt::Display) -> Self {
        Self::new(ExitStatus::Failed, message)
    }

    /// Nothing has the name that was given; the hint is the nearest right one, or all of them.
    fn unknown(what: &str, name: &str, right: &[&str]) -> Self {
        let hint = nearest(name, right.iter().copied())
            .unwrap_or_else(|| format!("there are {}", right.join(", ")));
        Self::usage(format!("there is no {what} `{name}`")).with_hint(hint)
    }

    fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::failed(error)
    }
}

type Ended = Result<ExitStatus, Refusal>;

/// Runs the program on `arguments` (the first is its own name).
pub fn main(arguments: Vec<OsString>) -> ExitStatus {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // A reader that has gone away, such as `head`, has seen what it wanted.
            let _shown = error.print().is_ok();
            // Help and version go to stdout and are no failure.
            return if error.use_stderr() { ExitStatus::Usage } else { ExitStatus::Done };
        }
    };
    // Both the load and the collectors speak TLS with the one provider that is compiled in; an
    // error means that it is installed already.
    let _installed = rustls::crypto::ring::default_provider().install_default().is_ok();
    match dispatch(cli.command) {
        Ok(status) => status,
        Err(refusal) => {
            tell(&refusal);
            refusal.status
        }
    }
}

fn dispatch(command: Command) -> Ended {
    match command {
        Command::Demo(args) => demo::main(&args),
        Command::Run(args) => run::main(&args),
        Command::Soak(args) => soak::main(&args),
        Command::Diagnose(args) => inspect::diagnose(&args),
        Command::Report(args) => inspect::report(&args),
        Command::Import(args) => import::main(&args),
        Command::Convert(args) => convert::main(&args),
        Command::Check(args) => preflight::check(&args),
        Command::List(args) => list::main(args.what),
        Command::Rules(args) => list::rules(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "kneepoint", &mut script);
            print(&script)
        }
    }
}

/// Prints on stdout. A reader that has gone away, such as `head`, is no failure.
fn print(bytes: &[u8]) -> Ended {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(ExitStatus::Done),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitStatus::Done),
        Err(error) => Err(Refusal::failed(format!("cannot write to stdout: {error}"))),
    }
}

/// Prints a line on stderr. Where that fails there is nobody left to tell.
fn say(line: impl fmt::Display) {
    let _told = writeln!(io::stderr().lock(), "{line}").is_ok();
}

fn tell(refusal: &Refusal) {
    say(format_args!("kneepoint: {}", refusal.message));
    if let Some(hint) = &refusal.hint {
        say(format_args!("  hint: {hint}"));
    }
}

/// Whether stdout may have colour: a terminal, and nobody said no (<https://no-color.org>).
fn colour_wanted() -> bool {
    let said_no = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal() && !said_no
}
