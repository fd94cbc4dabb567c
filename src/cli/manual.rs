//! `man`: manual pages, generated from the same definition of the command line as its help.

use std::fs;
use std::path::Path;

use clap::CommandFactory;

use super::args::{Cli, ManArgs};
use super::console::print;
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;

pub(super) fn main(args: &ManArgs) -> CommandResult {
    match &args.out {
        Some(directory) => write_all(directory),
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            print(&page)
        }
    }
}

/// Writes one page for the program and one for each of its commands.
fn write_all(directory: &Path) -> CommandResult {
    fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), directory))
        .map_err(|error| {
            CliError::failed(format!("cannot write into `{}`: {error}", directory.display()))
                .with_hint("choose another directory with `--out`")
        })?;
    Ok(ExitStatus::Done)
}
