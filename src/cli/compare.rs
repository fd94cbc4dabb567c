//! `compare`: the recordings of two builds.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::args::{CompareArgs, ComparisonStdout};
use super::console::{colour_wanted, print, width};
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use super::given::{Mistakes, max_worse, read_store, recordings, samples};
use super::noise;
use super::results::{self, load_rules};
use crate::baseline::{History, Key, Store};
use crate::compare::{Comparison, Options, Sample, Verdict, compare};
use crate::report::{self, ComparisonReport, TerminalStyle};

pub(super) fn main(args: &CompareArgs) -> CommandResult {
    let mut mistakes = Mistakes::default();
    let rules = mistakes.keep(load_rules(args.rules.as_deref()));
    let budget = mistakes.keep(max_worse(&args.max_worse));
    let source = mistakes.keep(noise::source(args.noise.as_deref()));
    let Sides { base, candidate, stores } = sides(args, &mut mistakes);
    let samples = rules.map(|rules| {
        let files = [base.as_slice(), candidate.as_slice()].concat();
        samples(&files, &rules, &mut mistakes)
    });
    mistakes.refuse()?;
    let mut base_samples = samples.unwrap_or_default();
    let mut candidate_samples = base_samples.split_off(base.len());
    for store in &stores {
        base_samples.extend(baseline(
            store,
            &args.against,
            args.machine.as_deref(),
            &candidate_samples,
        )?);
    }
    if !stores.is_empty() {
        // They were made together as far as anybody knows, and count as one sitting.
        let together = |sample: Sample| sample.in_session("candidate");
        candidate_samples = candidate_samples.into_iter().map(together).collect();
    }
    let mut options = Options::default();
    options.budget = budget.unwrap_or(options.budget);
    // A baseline knows its own noise, from sitting to sitting.
    if let Some(source) = source.filter(|source| stores.is_empty() || source.is_given()) {
        let runs = (base_samples.as_slice(), candidate_samples.as_slice());
        options.noise = source.noise(&Store::at(&args.store), args.machine.as_deref(), runs)?;
    }
    let comparison = compare(&base_samples, &candidate_samples, &options);
    conclude(&ComparisonReport::new(&comparison), args.format, args.out.as_deref())?;
    Ok(status_of(&comparison))
}

/// The exit code of a comparison. A broken objective stands behind what got worse: the plan demands
/// it of the candidate alone, whatever the base did.
pub(super) fn status_of(comparison: &Comparison) -> ExitStatus {
    let mut objectives = comparison.objectives.iter();
    let breaks_one = objectives.any(|objective| objective.candidate_met.is_mostly_broken());
    match comparison.verdict {
        Verdict::Worse => ExitStatus::Worse,
        _ if breaks_one => ExitStatus::ObjectiveFailed,
        Verdict::Better | Verdict::Same => ExitStatus::Done,
        Verdict::CannotTell => ExitStatus::Inconclusive,
    }
}

/// The recordings of both builds, and directories of baselines that stand for the base.
#[derive(Default)]
struct Sides {
    base: Vec<PathBuf>,
    candidate: Vec<PathBuf>,
    stores: Vec<Store>,
}

fn sides(args: &CompareArgs, mistakes: &mut Mistakes) -> Sides {
    let (base, candidate) = match args.runs.as_slice() {
        runs if !args.with.is_empty() => (runs, args.with.as_slice()),
        [base, candidate] => (std::slice::from_ref(base), std::slice::from_ref(candidate)),
        runs => {
            mistakes.tell(
                "cannot tell which of the runs belong to the build before".to_owned(),
                "write `kneepoint compare BASE... --with CANDIDATE...`; two runs alone need no \
                 `--with`",
            );
            (runs, [].as_slice())
        }
    };
    let mut sides = Sides::default();
    for path in base {
        match store(path) {
            Some(store) => sides.stores.push(store),
            None => sides.base.extend(mistakes.keep(recordings(path)).unwrap_or_default()),
        }
    }
    for path in candidate {
        sides.candidate.extend(mistakes.keep(recordings(path)).unwrap_or_default());
    }
    sides
}

/// The store in a directory that holds baselines and no recording.
fn store(path: &Path) -> Option<Store> {
    let store = Store::at(path);
    let is_store = path.is_dir()
        && recordings(path).is_err()
        && store.read().is_ok_and(|(kept, _)| !kept.is_empty());
    is_store.then_some(store)
}

/// The baseline of a branch for the plan and the machine of these runs.
fn baseline(
    store: &Store,
    branch: &str,
    machine: Option<&str>,
    runs: &[Sample],
) -> Result<Vec<Sample>, CliError> {
    let Some(run) = runs.first() else { return Ok(Vec::new()) };
    let key = Key::of(run.plan(), run.environment(), branch, machine);
    let histories = History::all(read_store(store)?);
    let found = histories.iter().find(|history| history.key == key);
    found.map(|history| history.baseline(&history.series())).ok_or_else(|| {
        let has = |is: &dyn Fn(&Key) -> bool| histories.iter().any(|it| is(&it.key));
        let what = match () {
            () if !has(&|other| other.plan == key.plan) => format!("of the plan `{}`", key.plan),
            () if !has(&|other| other.plan == key.plan && other.branch == branch) => {
                format!("of branch `{branch}`")
            }
            () => format!("from machines like this one (`{}`)", key.machine),
        };
        CliError::usage(format!("`{}` holds no baseline {what}", store.directory().display()))
            .with_hint(
                "`kneepoint baseline list` shows what it holds; `--against` names another branch",
            )
    })
}

/// Prints the comparison, and writes its files into the directory `out` if there is one.
pub(super) fn conclude(
    report: &ComparisonReport,
    format: ComparisonStdout,
    out: Option<&Path>,
) -> Result<(), CliError> {
    let mut files = Vec::new();
    // The answer is printed even if the files cannot be written.
    let written = out.map_or(Ok(()), |out| write(report, out, &mut files));
    let mut bytes = Vec::new();
    match format {
        ComparisonStdout::Terminal => {
            let style = TerminalStyle { colour: colour_wanted(), width: width(), files: &files };
            report::render_comparison(report, &style, &mut bytes)?;
        }
        ComparisonStdout::Format(format) => (format.render)(report, &mut bytes)?,
    }
    print(&bytes)?;
    written
}

/// Writes the files of a comparison into a directory.
pub(super) fn write_comparison(
    comparison: &Comparison,
    directory: &Path,
    files: &mut Vec<String>,
) -> Result<(), CliError> {
    write(&ComparisonReport::new(comparison), directory, files)
}

fn write(
    report: &ComparisonReport,
    directory: &Path,
    files: &mut Vec<String>,
) -> Result<(), CliError> {
    results::make_directory(directory)?;
    for format in report::COMPARISON_FORMATS.iter().filter(|format| format.is_left_as_file) {
        let path = directory.join(format.file_name);
        results::write_file(&path, |mut out: &mut dyn Write| {
            (format.render)(report, &mut out).map_err(Into::into)
        })?;
        files.push(path.display().to_string());
    }
    match report::comparison_charts(report) {
        charts if charts.is_empty() => Ok(()),
        charts => results::write_charts(directory, charts, files),
    }
}
