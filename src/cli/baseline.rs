//! `baseline`: what earlier runs came to.

use std::path::{Path, PathBuf};

use super::args::{BaselineArgs, BaselineCommand, StoreArgs};
use super::builds::Source;
use super::console::{colour_wanted, print, say, width};
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use super::given::{Mistakes, read_store, recordings, samples};
use super::results::load_rules;
use crate::baseline::{Entry, History, Kept, Key, Store};
use crate::report::{self, TerminalStyle, wording};

pub(super) fn main(args: &BaselineArgs) -> CommandResult {
    match &args.what {
        BaselineCommand::Add { recordings, store } => add(recordings, store, None),
        BaselineCommand::Accept { recordings, reason, store } => {
            add(recordings, store, Some(reason))
        }
        BaselineCommand::List { store } => list(store),
        BaselineCommand::Show { branch, plan, store } => show(store, branch, plan.as_deref()),
        BaselineCommand::Prune { keep, dry_run, store } => prune(store, *keep, *dry_run),
    }
}

fn add(paths: &[PathBuf], args: &StoreArgs, reason: Option<&str>) -> CommandResult {
    let mut mistakes = Mistakes::default();
    let files: Vec<PathBuf> =
        paths.iter().filter_map(|path| mistakes.keep(recordings(path))).flatten().collect();
    let source = mistakes.keep(Source::of(args));
    if reason.is_some_and(|reason| reason.trim().is_empty()) {
        mistakes.tell("`--reason` is empty".to_owned(), "say why the change is intended");
    }
    let samples = samples(&files, &load_rules(None)?, &mut mistakes);
    mistakes.refuse()?;
    let Some(source) = source else { return Err(CliError::failed("no branch is known")) };
    let store = Store::at(&args.store);
    for sample in samples {
        let key =
            Key::of(sample.plan(), sample.environment(), &source.branch, args.machine.as_deref());
        let entry = Entry::new(key, source.origin.clone(), sample);
        let entry = match reason {
            Some(reason) => entry.accepted(reason),
            None => entry,
        };
        let path = store.add(&entry).map_err(CliError::failed)?;
        say(format_args!("added {}", path.display()));
    }
    Ok(ExitStatus::Done)
}

/// The histories of a store that holds something.
fn histories(directory: &Path) -> Result<Vec<History>, CliError> {
    let kept = read_store(&Store::at(directory))?;
    if kept.is_empty() {
        return Err(CliError::usage(format!("`{}` holds no baseline", directory.display()))
            .with_hint("`kneepoint gate PLAN --add` or `kneepoint baseline add RECORDING` makes one; `--store` names another directory"));
    }
    Ok(History::all(kept))
}

fn style() -> TerminalStyle<'static> {
    TerminalStyle { colour: colour_wanted(), width: width(), files: &[] }
}

fn list(store: &Path) -> CommandResult {
    let histories = histories(store)?;
    let mut bytes = Vec::new();
    report::render_baselines(&histories, &style(), &mut bytes)?;
    print(&bytes)
}

fn show(store: &Path, branch: &str, plan: Option<&str>) -> CommandResult {
    let histories = histories(store)?;
    let of_plan = |history: &&History| plan.is_none_or(|plan| history.key.plan.starts_with(plan));
    let wanted: Vec<&History> =
        histories.iter().filter(of_plan).filter(|history| history.key.branch == branch).collect();
    if wanted.is_empty() {
        let of_plan: Vec<&History> = histories.iter().filter(of_plan).collect();
        let (what, name, right): (_, _, Vec<&str>) = match plan.filter(|_| of_plan.is_empty()) {
            Some(plan) => {
                ("plan", plan, histories.iter().map(|history| history.key.plan.as_str()).collect())
            }
            None => {
                let branches = of_plan.iter().map(|history| history.key.branch.as_str());
                ("baseline of branch", branch, branches.collect())
            }
        };
        return Err(CliError::unknown(what, name, &right));
    }
    let mut bytes = Vec::new();
    for (index, history) in wanted.into_iter().enumerate() {
        if index > 0 {
            bytes.push(b'\n');
        }
        report::render_history(history, &style(), &mut bytes)?;
    }
    print(&bytes)
}

fn prune(directory: &Path, keep: usize, is_dry: bool) -> CommandResult {
    let store = Store::at(directory);
    let mut removed = 0;
    for history in histories(directory)? {
        for kept in old(&history, keep) {
            let verb = if is_dry { "would remove" } else { "removed" };
            if !is_dry {
                store.remove(kept).map_err(CliError::failed)?;
            }
            say(format_args!("{verb} {}", kept.path.display()));
            removed += 1;
        }
    }
    if removed == 0 {
        let sittings = wording::plural(keep as u64, "sitting", "sittings");
        say(format_args!(
            "nothing to remove: no plan, branch and machine has more than {sittings}"
        ));
    }
    Ok(ExitStatus::Done)
}

/// The runs of all but the newest sittings.
fn old(history: &History, keep: usize) -> &[Kept] {
    let mut sessions: Vec<&str> = Vec::new();
    let mut first_kept = history.runs.len();
    for (index, kept) in history.runs.iter().enumerate().rev() {
        let session = kept.entry.origin.session.as_str();
        if !sessions.contains(&session) {
            sessions.push(session);
        }
        if sessions.len() > keep {
            break;
        }
        first_kept = index;
    }
    &history.runs[..first_kept]
}
