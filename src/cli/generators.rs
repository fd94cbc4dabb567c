//! `--generator`: the load of a run from generators on other machines; and `generate`, which is one of
//! them.

use std::io::{self, IsTerminal};
use std::path::Path;

use super::args::{LiveArgs, RunArgs};
use super::console::say;
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use crate::plan::Plan;
use crate::prepare::{LoadPart, RunConfig};
use crate::remote::{NodeEnd, Role};
use crate::run::{self, Fleet, FleetProblem};

/// Generators to start, and the plan that they get their part of.
pub(super) struct Generators {
    /// Programs with their arguments.
    commands: Vec<Vec<String>>,
    /// The text of the plan.
    text: String,
}

impl Generators {
    /// The generators that the command line names; `None` if this process makes the load.
    pub(super) fn of(args: &RunArgs, plan: &Plan) -> Result<Option<Self>, CliError> {
        let commands: Vec<Vec<String>> =
            args.generator.iter().map(|text| words(text)).collect::<Result<_, _>>()?;
        if commands.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self { commands, text: text_of(&args.live, plan)? }))
    }

    /// Starts them, and gives each its part of the load of a run that was prepared.
    pub(super) fn connect(
        &self,
        plan: &Plan,
        folder: &Path,
        config: &mut RunConfig,
    ) -> Result<Fleet, CliError> {
        let part = LoadPart::of(&self.text, plan, &config.load, folder)
            .map_err(|problems| CliError::problems(ExitStatus::Preflight, &problems))?;
        let fleet =
            Fleet::connect(&self.commands, &part, &config.load).map_err(|some| refused(&some))?;
        for note in fleet.notes() {
            let cores = if note.cores == 1 { "core" } else { "cores" };
            say(format_args!("generator {} on {}, {} {cores}", note.name, note.host, note.cores));
        }
        // Starting them took its time, in which nothing was measured.
        config.begin_now();
        Ok(fleet)
    }
}

fn words(command: &str) -> Result<Vec<String>, CliError> {
    let words = shlex::split(command).filter(|words| !words.is_empty());
    words.ok_or_else(|| {
        CliError::usage(format!("`--generator '{command}'` is not a command"))
            .with_hint("write `--generator 'ssh gen1 kneepoint generate'`, with every quote closed")
    })
}

/// The text of the plan: of its file, or of the plan that a URL stands for.
fn text_of(args: &LiveArgs, plan: &Plan) -> Result<String, CliError> {
    if args.what.contains("://") {
        return Ok(Plan::text_for_url(&args.what, plan.limits.max_rate));
    }
    std::fs::read_to_string(&args.what)
        .map_err(|error| CliError::failed(format!("cannot read the plan `{}`: {error}", args.what)))
}

fn refused(problems: &[FleetProblem]) -> CliError {
    let line = |problem: &FleetProblem| match problem.hint.as_str() {
        "" => problem.what.clone(),
        hint => format!("{}\n  hint: {hint}", problem.what),
    };
    let lines: Vec<String> = problems.iter().map(line).collect();
    let what = lines.join("\nkneepoint: ");
    CliError::new(ExitStatus::Preflight, format!("{what}\nkneepoint: no load was sent"))
}

/// `kneepoint generate`.
pub(super) fn main() -> CommandResult {
    if io::stdin().is_terminal() {
        return Err(CliError::usage("`kneepoint generate` is started by another kneepoint")
            .with_hint(
                "write `kneepoint run plan.toml --generator 'ssh HOST kneepoint generate'`",
            ));
    }
    let end = NodeEnd::start(io::stdin(), io::stdout(), Role::Generator)?;
    run::generate(end);
    Ok(ExitStatus::Done)
}
