//! `calibrate`: one build, several times, to learn how much its runs differ on this machine.

use std::io::Write;

use super::args::CalibrateArgs;
use super::builds::{Next, Runner};
use super::compare::write_comparison;
use super::console::{colour_wanted, print, say, width};
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use super::results;
use crate::baseline::{Calibration, Store, StoredNoise};
use crate::compare::{Options, Sample, compare};
use crate::gate::Side;
use crate::report::{self, TerminalStyle};

/// Runs for each run of a gate: the scatter of ten is known to a quarter of itself.
const TIMES: usize = 2;
/// File of the noise that was measured.
const CALIBRATION: &str = "calibration.json";

pub(super) fn main(args: &CalibrateArgs) -> CommandResult {
    let runner = Runner::new(&args.runs)?;
    results::make_directory(&args.out)?;
    let count = TIMES * runner.runs;
    let mut samples = Vec::new();
    for run in 1..=count {
        say(format_args!("run {run} of {count}"));
        let out = args.out.join(format!("run-{run}"));
        let command = args.command.as_deref();
        samples.push(runner.run(&Next { side: Side::Base, command, out: &out })?);
    }
    let budget = runner.plan.gate.max_worse;
    let calibration = Calibration::of(&samples, runner.runs, budget);
    if calibration.quantities.is_empty() {
        return Err(CliError::new(
            ExitStatus::Inconclusive,
            "these runs have no quantity in common that could be compared",
        )
        .with_hint("raise `rate` or `duration` in `[gate]`, or make more runs with `--runs`"));
    }
    let mut files = Vec::new();
    if let Some(noise) = StoredNoise::of(&samples, calibration.clone(), args.machine.as_deref()) {
        let path = Store::at(&args.store).add_noise(&noise).map_err(CliError::failed)?;
        files.push(path.display().to_string());
        say(format_args!(
            "kneepoint: `gate` and `compare` use this noise from now on, for this plan on {}; \
             `--noise none` switches that off",
            noise.machine
        ));
    }
    write(args, &calibration, &samples, budget, &mut files)?;
    let mut bytes = Vec::new();
    let style = TerminalStyle { colour: colour_wanted(), width: width(), files: &files };
    report::render_calibration(&calibration, &style, &mut bytes)?;
    print(&bytes)?;
    for file in files {
        say(format_args!("wrote {file}"));
    }
    Ok(ExitStatus::Done)
}

/// Writes the noise, and the comparison of every other run with the rest, which `--noise` takes.
fn write(
    args: &CalibrateArgs,
    calibration: &Calibration,
    samples: &[Sample],
    budget: f64,
    files: &mut Vec<String>,
) -> Result<(), CliError> {
    let path = args.out.join(CALIBRATION);
    results::write_file(&path, |out: &mut dyn Write| {
        serde_json::to_writer_pretty(&mut *out, calibration).map_err(std::io::Error::from)?;
        writeln!(out).map_err(Into::into)
    })?;
    files.push(path.display().to_string());
    let every_other =
        |first: usize| -> Vec<Sample> { samples.iter().skip(first).step_by(2).cloned().collect() };
    let options = Options { budget, ..Options::default() };
    let comparison = compare(&every_other(0), &every_other(1), &options);
    write_comparison(&comparison, &args.out, files)
}
