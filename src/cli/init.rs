//! `init`: a first plan, from what a running service shows.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use super::args::InitArgs;
use super::console::{print, say};
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use crate::collect::OpenError;
use crate::survey::{self, Survey};

pub(super) fn main(args: &InitArgs) -> CommandResult {
    let is_file = args.out != Path::new("-");
    // Before the service is asked: nothing should be done in vain.
    if is_file && args.out.exists() {
        return Err(exists(&args.out));
    }
    let found = survey::survey(&url_of(&args.service)).map_err(refused)?;
    let text = survey::plan_text(&found, |name| std::env::var_os(name).is_some());
    if !is_file {
        tell(&found);
        return print(text.as_bytes());
    }
    write(&args.out, &text)?;
    tell(&found);
    let path = args.out.display();
    say(format_args!("kneepoint: wrote {path}"));
    say(format_args!("  next: read it, then kneepoint check {path} and kneepoint coverage {path}"));
    Ok(ExitStatus::Done)
}

/// A port of this machine, or a URL as it is.
pub(super) fn url_of(service: &str) -> String {
    match service.parse::<u16>() {
        Ok(port) => format!("http://127.0.0.1:{port}/"),
        Err(_) => service.to_owned(),
    }
}

/// What cannot be looked at, with what to do.
pub(super) fn refused(error: OpenError) -> CliError {
    CliError::new(ExitStatus::Preflight, error.what).with_hint(error.hint)
}

fn exists(path: &Path) -> CliError {
    CliError::usage(format!("`{}` exists already", path.display()))
        .with_hint("choose another file with `--out`, or `--out -` to print the plan")
}

/// Writes a new file; never over one that exists.
fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).open(path).map_err(|error| match error
            .kind()
        {
            ErrorKind::AlreadyExists => exists(path),
            _ => CliError::failed(format!("cannot write `{}`: {error}", path.display()))
                .with_hint("choose another place with `--out`"),
        })?;
    file.write_all(text.as_bytes()).map_err(CliError::from)
}

fn tell(found: &Survey) {
    for line in found.seen() {
        say(format_args!("kneepoint: found {line}"));
    }
    for line in &found.missing {
        say(format_args!("kneepoint: did not find {line}"));
    }
}
