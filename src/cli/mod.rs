//! The outer layer: arguments, environment, files, stdout and exit codes. No other module prints or
//! exits.

mod agent;
mod args;
mod baseline;
mod beside;
mod builds;
mod bus;
mod calibrate;
mod capacity;
mod check;
mod compare;
mod console;
mod convert;
mod coverage;
mod demo;
mod doctor;
mod dry_run;
mod error;
mod exit;
mod explain;
mod gate;
mod generators;
mod given;
mod guide;
mod history;
mod import;
mod incident;
mod init;
mod inspect;
mod list;
mod look;
mod manual;
mod moment;
mod noise;
mod progress;
mod reading;
mod realism;
mod results;
mod run;
mod soak;
mod stop;
mod summary;
mod view;
mod watch;
mod words;

use std::ffi::OsString;

use clap::{CommandFactory, Parser};

use args::{Cli, Command};
use console::{print, show_error};
use error::CommandResult;
pub use exit::ExitStatus;

/// Runs the program with `arguments` (the first is the program's name).
pub fn main(arguments: Vec<OsString>) -> ExitStatus {
    // A screen starts this program again to guard the terminal.
    if arguments.get(1).is_some_and(|first| first == look::GUARD) {
        return look::guard_main();
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // If the reader has closed the pipe, as `head` does, it has seen what it wanted.
            let _shown = error.print().is_ok();
            // Help and version go to stdout and are not a failure.
            return if error.use_stderr() { ExitStatus::Usage } else { ExitStatus::Done };
        }
    };
    // The load and the collectors use the same TLS provider, the only one compiled in. An error
    // means that it is already installed.
    let _installed = rustls::crypto::ring::default_provider().install_default().is_ok();
    match dispatch(cli.command) {
        Ok(status) => status,
        Err(error) => {
            show_error(&error);
            error.status
        }
    }
}

fn dispatch(command: Command) -> CommandResult {
    match command {
        Command::Demo(args) => demo::main(&args),
        Command::Init(args) => init::main(&args),
        Command::Doctor(args) => doctor::main(&args),
        Command::Coverage(args) => coverage::main(&args),
        Command::Realism(args) => realism::main(&args),
        Command::Run(args) => run::main(&args),
        Command::Soak(args) => soak::main(&args),
        Command::Diagnose(args) => inspect::diagnose(&args),
        Command::Report(args) => inspect::report(&args),
        Command::View(args) => view::main(&args),
        Command::Compare(args) => compare::main(&args),
        Command::Gate(args) => gate::main(&args),
        Command::Baseline(args) => baseline::main(&args),
        Command::Calibrate(args) => calibrate::main(&args),
        Command::Watch(args) => watch::main(&args),
        Command::Generate(args) => generators::main(&args),
        Command::Agent(args) => agent::main(&args),
        Command::Import(args) => import::main(&args),
        Command::Incident(args) => incident::main(&args),
        Command::Capacity(args) => capacity::main(&args),
        Command::Convert(args) => convert::main(&args),
        Command::Check(args) => check::main(&args),
        Command::List(args) => list::main(args.what),
        Command::Rules(args) => list::rules(&args),
        Command::Explain(args) => explain::main(&args),
        Command::Man(args) => manual::main(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "kneepoint", &mut script);
            print(&script)
        }
    }
}
