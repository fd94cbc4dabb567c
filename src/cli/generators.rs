//! `--generator`: the load of a run from generators on other machines; and `generate`, which is one of
//! them.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Arc;

use super::args::{BusRunArgs, GenerateArgs, GeneratorLoss, LiveArgs, RunArgs};
use super::bus;
use super::console::say;
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use crate::plan::Plan;
use crate::prepare::{LoadPart, RunConfig};
use crate::remote::{Bus, BusAddress, NodeCarrier, NodeEnd, NodeSource, Role};
use crate::run::{self, Fleet, FleetProblem, OnLoss};

/// Most bytes of files that a bus carries to one node: the server drops a node for which more waits.
const MOST_FILE_BYTES: usize = 32 << 20;

/// What makes a load elsewhere, and the plan that it gets its part of.
pub(super) struct Generators {
    /// Where generators come from. Empty if this process makes the load, and only agents dial in.
    sources: Vec<NodeSource>,
    /// The text of the plan.
    text: String,
    /// What they dial in to.
    bus: Option<Arc<Bus>>,
    /// What becomes of the run without one of them.
    on_loss: OnLoss,
}

impl Generators {
    /// The generators that the command line names; `None` if this process makes the load.
    pub(super) fn of(args: &RunArgs, plan: &Plan) -> Result<Option<Self>, CliError> {
        let mut sources: Vec<NodeSource> =
            args.generator.iter().map(|text| started_by(text)).collect::<Result<_, _>>()?;
        let bus = match bus::address(&args.bus.bus)? {
            Some(address) if !args.live.dry_run => Some(open(&address, &args.bus)?),
            _ => None,
        };
        if let (Some(bus), Some(count)) = (&bus, args.bus.generators) {
            let (bus, role, name) = (Arc::clone(bus), Role::Generator, String::new());
            sources = vec![NodeSource::Bus { bus, role, name }; usize::from(count)];
        }
        let makes_load_itself = args.generator.is_empty() && args.bus.generators.is_none();
        if makes_load_itself && args.on_generator_loss == GeneratorLoss::Refill {
            return Err(CliError::usage("`--on-generator-loss refill` needs several generators")
                .with_hint(
                    "add `--generator 'ssh HOST kneepoint generate'` twice or more, or `--bus URL \
                     --generators NUMBER`",
                ));
        }
        if sources.is_empty() && bus.is_none() {
            return Ok(None);
        }
        let on_loss = args.on_generator_loss.into();
        Ok(Some(Self { sources, text: text_of(&args.live, plan)?, bus, on_loss }))
    }

    /// What nodes dial in to.
    pub(super) fn bus(&self) -> Option<&Arc<Bus>> {
        self.bus.as_ref()
    }

    /// Whether they make the load, and not this process.
    pub(super) fn make_load(&self) -> bool {
        !self.sources.is_empty()
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
        if let Some(bus) = &self.bus {
            refuse_on_bus(bus, &part)?;
        }
        let fleet = Fleet::connect(&self.sources, &part, &config.load, self.on_loss)
            .map_err(|some| refused(&some))?;
        for note in fleet.notes() {
            let cores = if note.cores == 1 { "core" } else { "cores" };
            say(format_args!("generator {} on {}, {} {cores}", note.name, note.host, note.cores));
        }
        // Starting them took its time, in which nothing was measured.
        config.begin_now();
        Ok(fleet)
    }
}

impl From<GeneratorLoss> for OnLoss {
    fn from(asked: GeneratorLoss) -> Self {
        match asked {
            GeneratorLoss::End => Self::End,
            GeneratorLoss::Refill => Self::Refill,
        }
    }
}

/// Connects to the bus of a run, and says how nodes find it.
fn open(address: &BusAddress, args: &BusRunArgs) -> Result<Arc<Bus>, CliError> {
    let run = match &args.run {
        Some(name) => bus::run_name(name)?,
        None => bus::run_name(&format!("{:08x}", rand::random::<u32>()))?,
    };
    let bus = Bus::open(address, &run, args.bus_may_carry_secrets).map_err(bus::refused)?;
    say(format_args!("bus       {address}, run {run}"));
    if let Some(count) = args.generators {
        let plural = if count == 1 { "generator" } else { "generators" };
        say(format_args!(
            "waiting   for {count} {plural}: kneepoint generate --bus {address} --run {run}"
        ));
    }
    Ok(bus)
}

/// A bus carries what is secret only where nobody else can read it, and no large files.
fn refuse_on_bus(bus: &Bus, part: &LoadPart) -> Result<(), CliError> {
    let is_key = |text: &[u8]| text.windows(11).any(|window| window == b"PRIVATE KEY");
    if !part.variables.is_empty() || part.files.values().any(|file| is_key(file)) {
        bus.refuse_open_secrets().map_err(bus::refused)?;
    }
    let bytes: usize = part.files.values().map(Vec::len).sum();
    if bytes > MOST_FILE_BYTES {
        return Err(CliError::new(
            ExitStatus::Preflight,
            format!(
                "the files of the plan have {} MiB, and a bus carries at most {} MiB",
                bytes >> 20,
                MOST_FILE_BYTES >> 20
            ),
        )
        .with_hint("use fewer rows, or start the generators with `--generator 'ssh HOST …'`"));
    }
    Ok(())
}

fn started_by(command: &str) -> Result<NodeSource, CliError> {
    let words = shlex::split(command).filter(|words| !words.is_empty());
    let hint = "check the command of `--generator`";
    words.map(|words| NodeSource::Command { words, hint }).ok_or_else(|| {
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
pub(super) fn main(args: &GenerateArgs) -> CommandResult {
    if let Some((node, carrier)) = bus::dial(&args.node, Role::Generator, "")? {
        let why = run::generate(NodeEnd::start(carrier, Role::Generator)?);
        say(format_args!("kneepoint: the generator ends: {why}"));
        return bus::hang_up(node, ExitStatus::Done);
    }
    if io::stdin().is_terminal() {
        return Err(CliError::usage("`kneepoint generate` is started by another kneepoint")
            .with_hint(
                "write `kneepoint run plan.toml --generator 'ssh HOST kneepoint generate'`, or dial in \
                 to a bus with `--bus nats://HOST:4222 --run NAME`",
            ));
    }
    let end = NodeEnd::start(NodeCarrier::stdio(io::stdin(), io::stdout()), Role::Generator)?;
    run::generate(end);
    Ok(ExitStatus::Done)
}
