//! The bus: its options, nodes that dial in, and runs that it holds.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::{BusArgs, NodeArgs};
use super::console::say;
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use super::results;
use crate::remote::{BusAddress, DialledNode, LinkError, NodeCarrier, PastRun, Role, RunName};
use crate::run::complete;

/// How long a node waits, once its work is done, until the bus has what it said.
const LAST_MESSAGES: Duration = Duration::from_secs(60);

/// The bus of the command line, if there is one.
pub(super) fn address(args: &BusArgs) -> Result<Option<BusAddress>, CliError> {
    let Some(url) = &args.bus else { return Ok(None) };
    let mut address =
        BusAddress::parse(url).map_err(|why| CliError::usage(format!("`--bus`: {why}")))?;
    address.credentials.clone_from(&args.bus_credentials);
    address.nkey.clone_from(&args.bus_nkey);
    address.ca.clone_from(&args.bus_ca);
    Ok(Some(address))
}

pub(super) fn run_name(text: &str) -> Result<RunName, CliError> {
    RunName::parse(text).map_err(|why| CliError::usage(format!("`--run`: {why}")))
}

/// What is wrong with the bus, before any load.
pub(super) fn refused(error: LinkError) -> CliError {
    let refusal = CliError::new(ExitStatus::Preflight, error.what);
    if error.hint.is_empty() { refusal } else { refusal.with_hint(error.hint) }
}

/// Dials in as a node; `None` if the options name no bus.
pub(super) fn dial(
    args: &NodeArgs,
    role: Role,
    name: &str,
) -> Result<Option<(DialledNode, NodeCarrier)>, CliError> {
    let Some(address) = address(&args.bus)? else { return Ok(None) };
    let Some(run) = &args.run else {
        return Err(CliError::usage("`--bus` needs the name of a run")
            .with_hint("write `--run NAME`, with the name that `kneepoint run --bus` was given"));
    };
    let folder = args.spool.clone().unwrap_or_else(std::env::temp_dir);
    let dialled = DialledNode::dial(&address, &run_name(run)?, (role, name), &folder);
    dialled.map(Some).map_err(refused)
}

/// Waits until the bus has everything that a node said. What it does not take stays in files.
pub(super) fn hang_up(node: DialledNode, status: ExitStatus) -> CommandResult {
    let Some(unsent) = node.finish(LAST_MESSAGES) else { return Ok(status) };
    let files: Vec<String> = unsent.files.iter().map(|path| path.display().to_string()).collect();
    let why = if unsent.why.is_empty() { "it is away".to_owned() } else { unsent.why };
    Err(CliError::failed(format!(
        "the bus did not acknowledge {} messages ({why}); they are in {}",
        unsent.messages,
        files.join(" and ")
    ))
    .with_hint(
        "add them to the diagnosis with `kneepoint diagnose --bus URL RUN --spool FILE FILE`",
    ))
}

/// Reads a run from a bus, and leaves its recording in a directory.
pub(super) fn fetch(
    address: &BusAddress,
    run: &str,
    spools: &[PathBuf],
    out: &Path,
) -> Result<PathBuf, CliError> {
    let past = PastRun::read(address, &run_name(run)?, spools).map_err(refused)?;
    for note in &past.notes {
        say(format_args!("kneepoint: {note}"));
    }
    let (file, added) = complete(&past)
        .map_err(|error| CliError::failed(format!("the run `{run}` on the bus: {error}")))?;
    if added > 0 {
        say(format_args!(
            "kneepoint: {added} seconds of generators that the coordinator had not recorded are added"
        ));
    }
    results::prepare(out)?;
    let path = results::recording_in(out);
    results::write_file(&path, |to| to.write_all(&file).map_err(CliError::from))?;
    Ok(path)
}
