//! `run`: a plan or a URL, from preflight to the verdict.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::args::{LiveArgs, ObserveArgs, OutputArgs, ProbeArgs, RunArgs, UrlArgs};
use super::console::{say, show_error};
use super::dry_run;
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use super::generators::Generators;
use super::look::{Look, Looking, Page};
use super::realism;
use super::results::{self, load_rules};
use super::stop::{KillSwitch, interrupt_flag};
use crate::plan::{
    Agent, Arrivals, Breakpoint, Canary, CollectorConfig, Executor, OptionValue, Plan, Scenario,
    Secret, parse_duration, parse_rate,
};
use crate::prepare::{self, Prepared, Teardown};
use crate::recording::{Environment, StopReason};
use crate::remote::RecordingCopy;
use crate::report::wording;
use crate::run;

pub(super) fn main(args: &RunArgs) -> CommandResult {
    let expected = args.expect.as_deref().map(|text| rate("--expect", text)).transpose()?;
    let plan = plan_of(&args.live, &args.url.given(), |url| plan_for_search(url, &args.url))?;
    let generators = Generators::of(args, &plan)?;
    live(plan, &args.live, expected, generators)
}

/// Runs a plan with the options of the command line. Without `generators`, this process makes the
/// load.
pub(super) fn live(
    mut plan: Plan,
    args: &LiveArgs,
    expected: Option<f64>,
    generators: Option<Generators>,
) -> CommandResult {
    plan.agents.extend(agents(&args.agent)?);
    let rules = load_rules(args.rules.as_deref())?;
    let planned = plan.limits.kill_switch.as_deref();
    let kill_switch = args.kill_switch.as_deref().or(planned).map(KillSwitch::of).transpose()?;
    let folder = match args.what.contains("://") {
        true => Path::new("."),
        false => Path::new(&args.what).parent().unwrap_or(Path::new(".")),
    };
    if args.dry_run {
        return dry_run::show(plan, folder);
    }
    if let Some(kill_switch) = &kill_switch {
        kill_switch.refuse_if_set()?;
    }
    let realism = match args.against.as_slice() {
        [] => None,
        logs => Some(realism::against_logs(&plan, Path::new(&args.what), logs)?),
    };
    execute(LiveRun {
        plan,
        realism: realism.map(|realism| realism::summary(&realism)),
        folder,
        lenient: args.lenient,
        allow_failing: args.allow_failing,
        interrupt: interrupt_flag(kill_switch),
        output: &args.output,
        looking: Looking::of(&args.look, args.output.quiet, &rules)?,
        expected,
        generators,
    })
}

/// The plan in the file, or the plan that `of_url` makes from a URL. `given` lists the options that
/// work only with a URL.
pub(super) fn plan_of(
    args: &LiveArgs,
    given: &[&'static str],
    of_url: impl Fn(&str) -> Result<Plan, CliError>,
) -> Result<Plan, CliError> {
    if args.what.contains("://") {
        return of_url(&args.what);
    }
    let path = Path::new(&args.what);
    refuse_url_options(given, path)?;
    Ok(prepare::read_plan(path)?)
}

/// The agents of the command line.
pub(super) fn agents(lines: &[String]) -> Result<Vec<Agent>, CliError> {
    Agent::of_lines(lines).map_err(|why| {
        CliError::usage(format!("`--agent`: {why}"))
            .with_hint("write the whole command as one word: `--agent 'ssh app1 kneepoint agent'`")
    })
}

/// A rate above zero from the command line.
pub(super) fn rate(option: &str, text: &str) -> Result<f64, CliError> {
    let wrong = |why: String| CliError::usage(format!("`{option}`: {why}"));
    match parse_rate(text).map_err(wrong)? {
        rate if rate > 0.0 => Ok(rate),
        _ => Err(wrong("the rate must be above zero, such as `50/s`".to_owned())),
    }
}

/// Rejects options that the plan itself sets.
fn refuse_url_options(given: &[&'static str], plan: &Path) -> Result<(), CliError> {
    if given.is_empty() {
        return Ok(());
    }
    let message = format!("`{}` works with a URL, not with a plan", given.join("`, `"));
    Err(CliError::usage(message).with_hint(format!(
        "set it in `{}`: `pid` and `url` under [collect], rates under [load]",
        plan.display()
    )))
}

/// A plan for one URL, with the collectors of the command line.
pub(super) fn plan_for_url(url: &str, args: &ObserveArgs) -> Result<Plan, CliError> {
    let mut collectors = Vec::new();
    let secret = |url: &str| OptionValue::Secret(Secret::new(url));
    if let Some(pid) = args.pid {
        let pid = OptionValue::Integer(u64::from(pid));
        collectors.push(CollectorConfig::new("process").with("pid", pid));
    }
    if let Some(postgres) = &args.postgres {
        collectors.push(CollectorConfig::new("postgres").with("url", secret(postgres)));
    }
    for (index, metrics) in args.metrics.iter().enumerate() {
        let mut config = CollectorConfig::new("prometheus").with("url", secret(metrics));
        if index > 0 {
            config.instance = format!("prometheus-{}", index + 1);
        }
        collectors.push(config);
    }
    Plan::for_url(url, collectors).map_err(CliError::usage)
}

/// The same, with the canaries of the command line.
pub(super) fn plan_for_probing(url: &str, args: &ProbeArgs) -> Result<Plan, CliError> {
    let mut plan = plan_for_url(url, &args.observe)?;
    plan.canaries = Canary::at_paths(&args.canary)
        .map_err(|why| CliError::usage(format!("`--canary`: {why}")))?;
    Ok(plan)
}

fn plan_for_search(url: &str, args: &UrlArgs) -> Result<Plan, CliError> {
    let mut plan = plan_for_probing(url, &args.probe)?;
    let mut search = Breakpoint::usual();
    if let Some(max) = &args.max {
        search.max_rate = rate("--max", max)?;
        search.start_rate = search.start_rate.min(search.max_rate);
        plan.limits.max_rate = search.max_rate;
    }
    if let Some(start) = &args.start {
        search.start_rate = rate("--start", start)?;
    }
    if let Some(hold) = &args.hold {
        search.hold = parse_duration(hold).map_err(CliError::usage)?;
    }
    if search.hold.is_zero() {
        return Err(CliError::usage("`--hold`: the time must be above zero, such as `5s`"));
    }
    if search.start_rate > search.max_rate {
        return Err(CliError::usage(format!(
            "`--start` is above the highest rate, {}",
            wording::rate(search.max_rate)
        ))
        .with_hint("raise it with `--max`"));
    }
    plan.scenarios =
        vec![Scenario::only(Executor::Breakpoint(search), Arrivals::Even, plan.journeys.len())];
    for canary in &mut plan.canaries {
        canary.rate = canary.rate.min(plan.limits.max_rate);
    }
    Ok(plan)
}

/// One run with the options of the command line.
pub(super) struct LiveRun<'a> {
    pub(super) plan: Plan,
    /// How the plan compares to what users do, for the report.
    pub(super) realism: Option<String>,
    /// The directory that relative paths in the plan refer to.
    pub(super) folder: &'a Path,
    /// Whether the run continues without a collector that cannot be opened.
    pub(super) lenient: bool,
    /// Whether the run continues although a request always fails.
    pub(super) allow_failing: bool,
    /// Set to end the run early.
    pub(super) interrupt: Arc<AtomicBool>,
    pub(super) output: &'a OutputArgs,
    /// How the run is shown, and the rules that judge it.
    pub(super) looking: Looking<'a>,
    /// The knee must not be below this rate, in requests per second.
    pub(super) expected: Option<f64>,
    /// What makes the load instead of this process.
    pub(super) generators: Option<Generators>,
}

/// Runs the load and reports the result; shared with the demo.
pub(super) fn execute(live: LiveRun<'_>) -> CommandResult {
    let (output, looking, expected) = (live.output, live.looking, live.expected);
    let (rules, interrupt) = (looking.rules, Arc::clone(&live.interrupt));
    let recorded = record(Load {
        plan: live.plan,
        realism: live.realism,
        folder: live.folder,
        lenient: live.lenient,
        allow_failing: live.allow_failing,
        interrupt: live.interrupt,
        out: &output.out,
        looking,
        generators: live.generators,
    })?;
    let Recorded { path, reason, page } = recorded;
    let recording = results::read(&path)?;
    let out = Some(output.out.as_path());
    let diagnosis = results::conclude(&recording, rules, &path, output.format, out)?;
    let status = results::status_of(&diagnosis, rules, expected);
    if let Some(page) = page {
        page.show_report(results::html(&recording, &diagnosis)?);
        page.stay(&interrupt);
    }
    Ok(match reason {
        StopReason::Failed(_) => ExitStatus::Failed,
        StopReason::Interrupted => ExitStatus::Interrupted,
        StopReason::ErrorBudget | StopReason::Objective(_) => ExitStatus::ObjectiveFailed,
        // A target that broke at a known load is a result. A target that just disappeared is not.
        StopReason::TargetGone(_) if status == ExitStatus::Done && diagnosis.knee.is_none() => {
            ExitStatus::Inconclusive
        }
        _ => status,
    })
}

/// A load, and where its recording goes.
pub(super) struct Load<'a> {
    pub(super) plan: Plan,
    /// How the plan compares to what users do, for the report.
    pub(super) realism: Option<String>,
    /// The directory that relative paths in the plan refer to.
    pub(super) folder: &'a Path,
    pub(super) lenient: bool,
    pub(super) allow_failing: bool,
    /// Set to end the run early.
    pub(super) interrupt: Arc<AtomicBool>,
    /// Directory of the recording.
    pub(super) out: &'a Path,
    pub(super) looking: Looking<'a>,
    /// What makes the load instead of this process.
    pub(super) generators: Option<Generators>,
}

/// A recording that was made.
pub(super) struct Recorded {
    pub(super) path: PathBuf,
    /// Why it ended.
    pub(super) reason: StopReason,
    /// The page that showed it, if there was one.
    pub(super) page: Option<Page>,
}

/// Makes a recording.
pub(super) fn record(load: Load<'_>) -> Result<Recorded, CliError> {
    let options = prepare::Options {
        folder: load.folder.to_owned(),
        lenient: load.lenient,
        allow_failing: load.allow_failing,
        interrupt: load.interrupt,
        bus: load.generators.as_ref().and_then(|them| them.bus().cloned()),
    };
    let bus = options.bus.clone();
    let generators = load.generators.filter(Generators::make_load);
    let plan = generators.is_some().then(|| load.plan.clone());
    let Prepared { mut config, teardown, warnings } = prepare::prepare(load.plan, options)
        .map_err(|problems| CliError::problems(ExitStatus::Preflight, &problems))?;
    for warning in warnings {
        say(format_args!("kneepoint: {warning}"));
    }
    config.plan.realism = load.realism;
    let connected = generators.zip(plan);
    let connected = connected
        .map(|(generators, plan)| generators.connect(&plan, load.folder, &mut config))
        .transpose();
    let fleet = connected.inspect_err(|_| tear_down(&teardown))?;
    let (path, file) = results::begin(load.out)?;
    let copy = bus.map(|bus| RecordingCopy::start(bus, &path)).transpose()?;
    if !load.looking.quiet {
        introduce(
            &format!("{} {}", config.plan.target, config.environment.target),
            &config.environment,
        );
    }
    let mut look =
        Look::begin(load.looking, &config, &path).inspect_err(|_| tear_down(&teardown))?;
    // No buffer is needed: the recording is written one frame at a time.
    let progress = &mut |progress: run::Progress<'_>| look.show(&progress);
    let reason = match fleet {
        None => run::run(config, file, progress),
        Some(fleet) => run::run_with(config, fleet, file, progress),
    };
    let reason = reason.map_err(CliError::failed)?;
    if let Some(why) = copy.and_then(RecordingCopy::finish) {
        say(format_args!("kneepoint: {why}; this machine has it in {}", path.display()));
    }
    let page = look.end(&reason);
    tear_down(&teardown);
    if let StopReason::Failed(why) = &reason {
        show_error(&CliError::failed(format!("the run ended early: {why}")));
    }
    Ok(Recorded { path, reason, page })
}

fn tear_down(teardown: &Teardown) {
    for why in teardown.run() {
        say(format_args!("kneepoint: teardown: {why}"));
    }
}

/// Prints the target and what kneepoint watches.
pub(super) fn introduce(target: &str, environment: &Environment) {
    say(format_args!("target    {target}"));
    for collector in &environment.collectors {
        say(format_args!("watching  {:<10} {}", collector.instance, collector.watches));
    }
}
