//! Runs of builds, one after the other: what `gate` and `calibrate` share.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use super::args::{RunsArgs, StoreArgs};
use super::console::say;
use super::error::CliError;
use super::exit::ExitStatus;
use super::given::{Mistakes, samples};
use super::look::Looking;
use super::results::load_rules;
use super::run::{self, Load, Recorded};
use super::stop::{KillSwitch, interrupt_flag};
use crate::baseline::Origin;
use crate::compare::{Sample, requests_for};
use crate::diagnose::RuleSet;
use crate::diagnose::stages::SETTLING_SHARE;
use crate::gate::{Build, BuildError, Place, Side, Start, requests, smoke};
use crate::plan::{Gate, Plan, parse_duration};
use crate::prepare;
use crate::recording::StopReason;
use crate::report::wording;

/// Everything that the runs of a command have in common.
pub(super) struct Runner<'a> {
    args: &'a RunsArgs,
    /// The plan as every run makes it.
    pub(super) plan: Plan,
    folder: PathBuf,
    rules: RuleSet,
    start_within: Duration,
    /// Runs of each build.
    pub(super) runs: usize,
    interrupt: Arc<AtomicBool>,
}

/// Share of a run that is measured: the system first settles to its load.
const MEASURED_SHARE: f64 = 1.0 - SETTLING_SHARE;

/// How long a run that could not start waits before it is tried once more.
const BEFORE_AGAIN: Duration = Duration::from_secs(1);

/// One run to make.
pub(super) struct Next<'a> {
    pub(super) side: Side,
    /// Starts the build, if it does not run already.
    pub(super) command: Option<&'a str>,
    /// Where its results go.
    pub(super) out: &'a Path,
}

impl<'a> Runner<'a> {
    /// Reads everything before anything runs.
    pub(super) fn new(args: &'a RunsArgs) -> Result<Self, CliError> {
        let mut mistakes = Mistakes::default();
        let rules = mistakes.keep(load_rules(args.rules.as_deref()));
        let within = parse_duration(&args.start_within)
            .map_err(|why| CliError::usage(format!("`--start-within`: {why}")));
        let within = mistakes.keep(within);
        let plan = mistakes.keep(plan(args));
        if args.runs.is_some_and(|runs| !(1..=Gate::MOST_RUNS).contains(&runs)) {
            mistakes.tell(
                format!("`--runs` must be 1 to {}", Gate::MOST_RUNS),
                "five runs of each build are usual",
            );
        }
        mistakes.refuse()?;
        if let Some(plan) = plan.as_ref().filter(|_| !args.full) {
            warn_of_few_requests(plan);
        }
        let (Some(rules), Some(start_within), Some(plan)) = (rules, within, plan) else {
            return Err(CliError::failed("what was read cannot be used"));
        };
        let kill_switch = plan.limits.kill_switch.as_deref().map(KillSwitch::of).transpose()?;
        if let Some(kill_switch) = &kill_switch {
            kill_switch.refuse_if_set()?;
        }
        Ok(Self {
            args,
            runs: args.runs.unwrap_or(plan.gate.runs),
            plan,
            folder: args.plan.parent().unwrap_or(Path::new(".")).to_owned(),
            rules,
            start_within,
            interrupt: interrupt_flag(kill_switch),
        })
    }

    /// Starts the build if it has a command, makes one run, and ends the build.
    pub(super) fn run(&self, next: &Next<'_>) -> Result<Sample, CliError> {
        super::results::make_directory(next.out)?;
        let mut build = next.command.map(|command| self.start(next, command)).transpose()?;
        let mut is_running = || build.as_mut().is_none_or(Build::is_running);
        let mut sample = self.measure(next)?;
        if sample.is_void() && is_running() {
            // One run of ten in which a neighbour took the machine would leave nothing to compare.
            let why = sample.trouble().unwrap_or("no load of it counts");
            say(format_args!("kneepoint: this run of the {} is made once more: {why}", next.side));
            sample = self.measure(next)?;
        }
        if !is_running() {
            say(format_args!(
                "kneepoint: the {} ended during the run; its output is in `{}`",
                next.side,
                log_in(next.out).display()
            ));
        }
        Ok(sample)
    }

    /// One run of a build that listens.
    fn measure(&self, next: &Next<'_>) -> Result<Sample, CliError> {
        let Recorded { path, reason, .. } = self.record(next.out).or_else(|error| {
            if error.status != ExitStatus::Preflight {
                return Err(error);
            }
            // On a busy machine one of many runs may find something not open in time. The others are
            // worth more than to be thrown away for it.
            say(format_args!("kneepoint: {}", error.message));
            say(format_args!("kneepoint: this run of the {} is tried once more", next.side));
            std::thread::sleep(BEFORE_AGAIN);
            self.record(next.out)
        })?;
        match reason {
            StopReason::Interrupted => return Err(self.interrupted()),
            StopReason::Failed(why) => {
                return Err(CliError::failed(format!("a run of the {} failed: {why}", next.side)));
            }
            _ => {}
        }
        let mut mistakes = Mistakes::default();
        let made = samples(&[path], &self.rules, &mut mistakes);
        mistakes.refuse()?;
        made.into_iter().next().ok_or_else(|| CliError::failed("a run left no recording"))
    }

    fn record(&self, out: &Path) -> Result<Recorded, CliError> {
        run::record(Load {
            plan: self.plan.clone(),
            realism: None,
            folder: &self.folder,
            lenient: self.args.lenient,
            allow_failing: self.args.allow_failing,
            interrupt: Arc::clone(&self.interrupt),
            out,
            // The runs of a command are shown as lines: each ends soon, and the next begins.
            looking: Looking {
                quiet: self.args.quiet,
                screen: false,
                page: None,
                control: false,
                rules: &self.rules,
            },
            generators: None,
        })
    }

    fn start(&self, next: &Next<'_>, command: &str) -> Result<Build, CliError> {
        let log = log_in(next.out);
        let start = Start {
            side: next.side,
            command,
            log: &log,
            within: self.start_within,
            interrupt: &self.interrupt,
        };
        Build::start(&Place::of(&self.plan.target), &start).map_err(|error| {
            let hint = match &error {
                BuildError::Taken(_) => {
                    "end what listens there, or leave out the commands to measure it as it is"
                }
                BuildError::Silent { .. } => {
                    "a build must listen where `[target]` of the plan says; give it longer with \
                     `--start-within`"
                }
                BuildError::Ended { .. } | BuildError::Start { .. } => {
                    "the command must stay in the foreground; try it in a shell first"
                }
                BuildError::Interrupted(_) => return self.interrupted(),
            };
            CliError::new(ExitStatus::Preflight, error).with_hint(hint)
        })
    }

    fn interrupted(&self) -> CliError {
        CliError::new(
            ExitStatus::Interrupted,
            "interrupted; the runs that were made are kept, and nothing is concluded",
        )
    }
}

/// Says where the runs are too short for the quantiles that people ask about.
fn warn_of_few_requests(plan: &Plan) {
    let Some(made) = requests(plan) else { return };
    let measured = made * MEASURED_SHARE;
    let lacking = [("p99", 0.99), ("p95", 0.95)];
    let lacking = lacking.iter().filter(|(_, share)| measured < requests_for(*share));
    let names: Vec<&str> = lacking.map(|(name, _)| *name).collect();
    if names.is_empty() {
        return;
    }
    let needed = requests_for(0.99) / MEASURED_SHARE / made;
    say(format_args!(
        "kneepoint: runs of {} requests are too few for a {}; raise `rate` or `duration` in `[gate]`, \
         {} times for a p99",
        made.round(),
        names.join(" and a "),
        wording::number(needed)
    ));
}

/// What a build printed.
fn log_in(out: &Path) -> PathBuf {
    out.join("build.log")
}

/// The plan as each run makes it.
fn plan(args: &RunsArgs) -> Result<Plan, CliError> {
    let plan = prepare::read_plan(&args.plan)?;
    match args.full {
        true => Ok(plan),
        false => smoke(&plan).map_err(CliError::usage),
    }
}

/// The branch and the commit of the build.
pub(super) struct Source {
    pub(super) branch: String,
    pub(super) origin: Origin,
}

/// Variables in which CI systems say the branch: GitHub (of a pull request, then of a push),
/// GitLab, Jenkins.
const BRANCHES: [&str; 4] =
    ["GITHUB_HEAD_REF", "GITHUB_REF_NAME", "CI_COMMIT_REF_NAME", "BRANCH_NAME"];
/// Variables in which they say the commit.
const COMMITS: [&str; 3] = ["GITHUB_SHA", "CI_COMMIT_SHA", "GIT_COMMIT"];
/// Digits of a commit that are kept: enough to find it.
const COMMIT_DIGITS: usize = 12;

impl Source {
    /// What the user says, else CI's environment, else git.
    pub(super) fn of(args: &StoreArgs) -> Result<Self, CliError> {
        let branch = args.branch.clone().or_else(|| first_set(&BRANCHES));
        let branch = branch.or_else(|| git(&["rev-parse", "--abbrev-ref", "HEAD"]));
        let Some(branch) = branch.filter(|branch| branch != "HEAD") else {
            return Err(CliError::usage("cannot tell the branch of this build")
                .with_hint("say it with `--branch NAME`"));
        };
        let commit = args.commit.clone().or_else(|| first_set(&COMMITS));
        let commit = commit.or_else(|| git(&["rev-parse", "HEAD"]));
        let commit = commit.map(|commit| commit.chars().take(COMMIT_DIGITS).collect());
        Ok(Self { branch, origin: Origin { commit, session: new_session() } })
    }
}

fn first_set(names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (output.status.success() && !text.is_empty()).then(|| text.to_owned())
}

/// A name for the runs that are made now.
pub(super) fn new_session() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{}-{}", now.as_nanos(), std::process::id())
}
