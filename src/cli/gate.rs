//! `gate`: two builds in turn, or one against the baseline of a branch.

use super::args::GateArgs;
use super::builds::{Next, Runner, Source};
use super::compare::{conclude, status_of};
use super::console::say;
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use super::given::{max_worse, read_store};
use super::noise;
use super::results;
use crate::baseline::{Entry, History, Key, Series, Store};
use crate::compare::{Comparison, Options, Sample, compare};
use crate::gate::{Side, alternating};
use crate::plan::Plan;
use crate::recording::PlanSummary;
use crate::report::{self, ComparisonReport, wording};

/// Sittings from which on the noise of a baseline is known.
const SITTINGS_OF_A_BASELINE: usize = crate::plan::Gate::USUAL_RUNS;

pub(super) fn main(args: &GateArgs) -> CommandResult {
    let runner = Runner::new(&args.runs)?;
    let options = options(args, &runner.plan)?;
    let noise = noise::source(args.noise.as_deref())?;
    let source = args.add.then(|| Source::of(&args.store)).transpose()?;
    let store = Store::at(&args.store.store);
    results::make_directory(&args.out)?;
    let judged = match &args.base_command {
        Some(base) => in_turn(args, &runner, base, (options, noise))?,
        None => against_baseline(args, &runner, (options, noise), &store)?,
    };
    let (comparison, candidate) = match judged {
        Judged::Compared(comparison, candidate) => (comparison, candidate),
        Judged::First(candidate) => {
            say(format_args!(
                "kneepoint: branch `{}` had no baseline yet, so nothing was compared",
                args.against
            ));
            keep(args, &store, source.as_ref(), &candidate)?;
            return Ok(ExitStatus::Done);
        }
    };
    let mut report = ComparisonReport::new(&comparison);
    report.plan_file = Some(args.runs.plan.display().to_string());
    conclude(&report, args.format, Some(&args.out))?;
    let status = status_of(&comparison);
    match status {
        ExitStatus::Worse | ExitStatus::ObjectiveFailed if args.add => {
            say("kneepoint: the runs are not added to the baseline: it holds what was good enough");
        }
        _ => keep(args, &store, source.as_ref(), &candidate)?,
    }
    Ok(status)
}

fn options(args: &GateArgs, plan: &Plan) -> Result<Options, CliError> {
    let given = args.max_worse.as_deref().map(max_worse).transpose()?;
    let budget = given.unwrap_or(plan.gate.max_worse);
    Ok(Options { budget, ..Options::default() })
}

/// What became of a candidate, with its runs.
enum Judged {
    Compared(Box<Comparison>, Vec<Sample>),
    /// There is no baseline yet.
    First(Vec<Sample>),
}

/// Runs both builds in turn.
fn in_turn(
    args: &GateArgs,
    runner: &Runner<'_>,
    base: &str,
    (mut options, noise): (Options, noise::Source),
) -> Result<Judged, CliError> {
    let candidate = args.candidate_command.as_deref().unwrap_or_default();
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for (index, (side, pair)) in alternating(runner.runs).enumerate() {
        say(format_args!("run {} of {}: {side}", index + 1, 2 * runner.runs));
        let (command, samples) = match side {
            Side::Base => (base, &mut before),
            Side::Candidate => (candidate, &mut after),
        };
        let out = args.out.join(format!("{side}-{}", pair + 1));
        samples.push(runner.run(&Next { side, command: Some(command), out: &out })?);
    }
    let (store, machine) = (Store::at(&args.store.store), args.store.machine.as_deref());
    options.noise = noise.noise(&store, machine, (&before, &after))?;
    Ok(Judged::Compared(Box::new(compare(&before, &after, &options)), after))
}

fn against_baseline(
    args: &GateArgs,
    runner: &Runner<'_>,
    (mut options, noise): (Options, noise::Source),
    store: &Store,
) -> Result<Judged, CliError> {
    let plan = PlanSummary::of(&runner.plan);
    let histories = History::all(read_store(store)?);
    let is_known = |history: &&History| {
        history.key.branch == args.against && history.key.plan == Key::plan_name(&plan)
    };
    if !args.add && !histories.iter().any(|history| is_known(&history)) {
        return Err(no_baseline(args, &plan, &histories));
    }
    let session = super::builds::new_session();
    let mut candidate = Vec::new();
    for run in 1..=runner.runs {
        say(format_args!("run {run} of {}: candidate", runner.runs));
        let command = args.candidate_command.as_deref();
        let out = args.out.join(format!("candidate-{run}"));
        let sample = runner.run(&Next { side: Side::Candidate, command, out: &out })?;
        candidate.push(sample.in_session(&session));
    }
    let machine = args.store.machine.as_deref();
    let Some(environment) = candidate.first().map(Sample::environment) else {
        return Err(CliError::failed("no run was made"));
    };
    let key = Key::of(&plan, environment, &args.against, machine);
    let Some(history) = histories.into_iter().find(|history| history.key == key) else {
        if args.add {
            return Ok(Judged::First(candidate));
        }
        return Err(CliError::new(
            ExitStatus::Inconclusive,
            format!("`{}` has a baseline of this plan, but not from this class of machine (`{}`)", args.against, key.machine),
        )
        .with_hint("machines of another class are not compared; add a baseline from this one with `--add`, or name the class with `--machine`"));
    };
    let series = history.series();
    tell(&history, &series);
    // A baseline knows its own noise, from sitting to sitting.
    if let noise::Source::Given(noise) = noise {
        options.noise = noise;
    }
    let comparison = compare(&history.baseline(&series), &candidate, &options);
    Ok(Judged::Compared(Box::new(comparison), candidate))
}

/// What there is to say of a baseline before the comparison.
fn tell(history: &History, series: &[Series]) {
    let sittings = history.sittings().len();
    if sittings < SITTINGS_OF_A_BASELINE {
        let count = wording::plural(sittings as u64, "sitting", "sittings");
        say(format_args!(
            "kneepoint: the baseline of `{}` has {count}; from {SITTINGS_OF_A_BASELINE} on it is \
             known how much they differ, and a change can be told",
            history.key.branch
        ));
    }
    for text in report::moves(history, series) {
        say(format_args!(
            "kneepoint: on `{}`, {text}, and nobody accepted it; the candidate is compared with \
             what came since",
            history.key.branch
        ));
    }
}

fn no_baseline(args: &GateArgs, plan: &PlanSummary, histories: &[History]) -> CliError {
    let name = Key::plan_name(plan);
    let branches: Vec<&str> = histories
        .iter()
        .filter(|history| history.key.plan == name)
        .map(|history| history.key.branch.as_str())
        .collect();
    let store = args.store.store.display();
    let message = format!("`{store}` holds no baseline of `{name}` on branch `{}`", args.against);
    let hint = match crate::plan::nearest(&args.against, branches.iter().copied()) {
        _ if branches.is_empty() => "make one: `kneepoint gate PLAN --add` on that branch; or \
             start both builds here with `--base-command` and `--candidate-command`"
            .to_owned(),
        Some(nearest) => nearest,
        None => format!("there are baselines of {}", branches.join(", ")),
    };
    CliError::usage(message).with_hint(hint)
}

/// Adds the runs to the baseline of their branch, if that was asked for.
fn keep(
    args: &GateArgs,
    store: &Store,
    source: Option<&Source>,
    candidate: &[Sample],
) -> Result<(), CliError> {
    let Some(source) = source else { return Ok(()) };
    let machine = args.store.machine.as_deref();
    for sample in candidate {
        let key = Key::of(sample.plan(), sample.environment(), &source.branch, machine);
        let entry = Entry::new(key, source.origin.clone(), sample.clone());
        store.add(&entry).map_err(CliError::failed)?;
    }
    let runs = wording::plural(candidate.len() as u64, "run", "runs");
    say(format_args!(
        "kneepoint: added {runs} to the baseline of `{}` in `{}`",
        source.branch,
        store.directory().display()
    ));
    Ok(())
}
