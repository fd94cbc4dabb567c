//! `watch`: another tool's load, from its command to the verdict.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use super::args::{StdoutFormat, WatchArgs};
use super::console::{say, show_error};
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use super::import::spec_named;
use super::results::{self, TOOL_FILES, load_rules};
use super::run::{self, plan_for_url};
use super::stop;
use crate::collect::CHILDREN;
use crate::import::Format;
use crate::plan::{CollectorConfig, OptionValue, Plan, Target, parse_duration};
use crate::prepare::{self, Observed};
use crate::recording::PlanSummary;
use crate::watch::{self, Adapted, Command, LoadError, Results, Session, WatchError, Watched};

/// What a recording says of the load until it is known.
const EXECUTOR: &str = "watched";

pub(super) fn main(args: &WatchArgs) -> CommandResult {
    let rules = load_rules(args.rules.as_deref())?;
    let at_most = args.duration.as_deref().map(parse_duration).transpose();
    let at_most = at_most.map_err(|why| CliError::usage(format!("`--duration`: {why}")))?;
    refuse_without_load(args)?;
    let format = args.from.as_deref().map(spec_named).transpose()?.map(Format::name);
    let mut plan = plan_of(args)?;
    plan.agents.extend(run::agents(&args.agent)?);
    plan.collectors.push(
        CollectorConfig::new("generator")
            .with(CHILDREN, OptionValue::Switch(!args.command.is_empty())),
    );
    let folder = args.plan.as_deref().and_then(Path::parent).unwrap_or(Path::new("."));
    let observed = prepare::observe(&plan, folder, args.lenient)
        .map_err(|problems| CliError::problems(ExitStatus::Preflight, &problems))?;
    observed.warnings.iter().for_each(|warning| say(format_args!("kneepoint: {warning}")));
    let (path, out) = results::begin(&args.output.out)?;
    let files = args.output.out.join(TOOL_FILES);
    fs::create_dir_all(&files).map_err(|error| {
        CliError::failed(format!("cannot make the directory `{}`: {error}", files.display()))
    })?;
    let load = load_of(args, format, &files);
    if !args.output.quiet {
        introduce(&plan, &observed, &load);
    }
    let session = Session {
        plan: summary(&plan, args),
        port: port_of(&plan.target, observed.port),
        scrapers: scrapers(&plan),
        collectors: observed.collectors,
        agents: observed.agents,
        environment: observed.environment,
        started: observed.started,
        command: match args.output.format {
            StdoutFormat::Terminal => load.command,
            _ => load.command.map(Command::apart),
        },
        results: load.results,
        at_most,
        signals: stop::signals(),
    };
    let watched = watch::watch(session, out).map_err(failed)?;
    let told = tell(&watched);
    let recording = results::read(&path)?;
    let out = Some(args.output.out.as_path());
    let diagnosis = results::conclude(&recording, &rules, &path, args.output.format, out)?;
    Ok(match watched.ended.map(watch::Ended::code) {
        Some(code) if code > 0 => ExitStatus::Command(code),
        _ => told.unwrap_or_else(|| results::status_of(&diagnosis, &rules, None)),
    })
}

/// Either a command makes the load, or somebody else does: it is said which.
fn refuse_without_load(args: &WatchArgs) -> Result<(), CliError> {
    let Some(program) = args.command.first() else {
        return match args.no_command {
            true => Ok(()),
            false => Err(CliError::usage("there is no command to run").with_hint(
                "add it after `--`, such as `-- k6 run script.js`; or `--no-command` for a load \
                 that somebody else makes",
            )),
        };
    };
    match is_found(program) {
        true => Ok(()),
        false => Err(CliError::usage(format!(
            "there is no program `{}`; nothing was started",
            program.to_string_lossy()
        ))
        .with_hint("check its name, or give its path")),
    }
}

/// Whether a shell would find the program.
fn is_found(program: &OsStr) -> bool {
    let path = Path::new(program);
    if path.components().count() > 1 {
        return path.is_file();
    }
    let places = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&places).any(|place| place.join(program).is_file())
}

/// The plan file, or a plan for the target of the command line.
fn plan_of(args: &WatchArgs) -> Result<Plan, CliError> {
    if let Some(path) = &args.plan {
        let given = args.observe.given();
        if !given.is_empty() {
            return Err(CliError::usage(format!(
                "`{}` works with `--target`, not with `--plan`",
                given.join("`, `")
            ))
            .with_hint(format!("add it to `{}` under [collect]", path.display())));
        }
        return Ok(prepare::read_plan(path)?);
    }
    let url = args.target.clone().or_else(|| watch::url_in(&args.command));
    let Some(url) = url else {
        return Err(CliError::usage("it is not clear which service is under load")
            .with_hint("add `--target http://HOST:PORT/` before `--`"));
    };
    plan_for_url(&url, &args.observe)
}

/// The command, and where its load can be read.
fn load_of(args: &WatchArgs, format: Option<&str>, files: &Path) -> Adapted {
    let asked = |paths: &[PathBuf], of: fn(Vec<PathBuf>, Option<String>) -> Results| {
        (!paths.is_empty()).then(|| of(paths.to_vec(), format.map(str::to_owned)))
    };
    let named = asked(&args.results, Results::among).or(asked(&args.access_log, Results::added_to));
    match named {
        None => watch::adapt(&args.command, &absolute(files)),
        results => Adapted {
            tool: None,
            command: (!args.command.is_empty()).then(|| Command::new(args.command.clone())),
            results,
        },
    }
}

/// A path that means the same in another directory: some tools change theirs.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn introduce(plan: &Plan, observed: &Observed, load: &Adapted) {
    run::introduce(&plan.target.url.to_string(), &observed.environment);
    let source = match (&load.results, load.tool) {
        (Some(results), Some(tool)) => format!("{} writes it into {}", tool.name, names(results)),
        (Some(results), None) => format!("read from {}", names(results)),
        (None, _) => "as the target's sockets show it".to_owned(),
    };
    say(format_args!("load      {source}"));
    if let Some(command) = &load.command {
        say(format_args!("running   {command}"));
    }
}

fn names(results: &Results) -> String {
    let names: Vec<String> = results.files.iter().map(|file| file.display().to_string()).collect();
    names.join(", ")
}

/// What the recording says of the plan: the target and what must hold, and nothing of a load.
fn summary(plan: &Plan, args: &WatchArgs) -> PlanSummary {
    let whole = PlanSummary::of(plan);
    let name = match (&args.plan, args.command.first()) {
        (None, Some(program)) => file_name(program),
        _ => whole.name,
    };
    PlanSummary {
        name,
        target: whole.target,
        objectives: whole.objectives,
        executor: EXECUTOR.to_owned(),
        ..PlanSummary::default()
    }
}

fn file_name(program: &OsString) -> String {
    let name = Path::new(program).file_name().unwrap_or(program);
    name.to_string_lossy().into_owned()
}

/// How the series of the target's sockets name the place that the load reaches.
fn port_of(target: &Target, port: u16) -> String {
    match &target.unix_socket {
        Some(path) => format!("unix:{path}"),
        None => port.to_string(),
    }
}

/// The collectors that ask the target itself: their requests are none of the load's.
fn scrapers(plan: &Plan) -> Vec<String> {
    let target = plan.target.url.with_port();
    let asks_it = |config: &&CollectorConfig| {
        let url = match config.options.get("url") {
            Some(OptionValue::Secret(secret)) => secret.reveal().to_owned(),
            _ => return false,
        };
        let url = url::Url::parse(&url).ok();
        url.and_then(|url| Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?)))
            .is_some_and(|authority| authority == target)
    };
    plan.collectors.iter().filter(asks_it).map(|config| config.instance.clone()).collect()
}

/// Says how the command ended and where the load comes from. Returns the exit status if there is no
/// load.
fn tell(watched: &Watched) -> Option<ExitStatus> {
    if let Some(ended) = watched.ended.filter(|ended| ended.code() > 0) {
        say(format_args!("kneepoint: the command ended {ended}"));
    }
    const OTHERS: &str = "name the file that the tool writes with `--results`, or the service's \
                          access log with `--access-log`";
    if let Some(why) = &watched.instead {
        say(format_args!("kneepoint: {why}; the load is taken from the target's sockets"));
        say(format_args!("  hint: {OTHERS}"));
    }
    let why: &LoadError = watched.without_load.as_ref()?;
    show_error(
        &CliError::new(ExitStatus::Inconclusive, format!("there is no load to judge: {why}"))
            .with_hint(OTHERS),
    );
    Some(ExitStatus::Inconclusive)
}

fn failed(error: WatchError) -> CliError {
    match error {
        WatchError::Start { .. } => CliError::usage(error),
        _ => CliError::failed(error),
    }
}
