//! `import`: results from another tool → a recording and its diagnosis, or the figures of a summary.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use super::args::{ImportArgs, ImportSource};
use super::beside::{self, Sources, refused};
use super::console::{LiveLine, say, width};
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use super::reading::Reading;
use super::{history, results, summary};
use crate::history as history_room;
use crate::import::{self, Files, Format, ToolLoad};
use crate::recording::{Recording, Stop, StopReason, WriteError, Writer};
use crate::run;
use crate::watch;

pub(super) fn main(args: &ImportArgs) -> CommandResult {
    if let Some(ImportSource::Prometheus(args)) = &args.source {
        return history::main(args);
    }
    let (from, paths) = format_and_files(args);
    let named = from.map(spec_named).transpose()?;
    if let Some(into) = &args.into
        && let Some(status) = lay_beside(args, into, named, paths)?
    {
        return Ok(status);
    }
    if args.clocks.map.is_some() {
        return Err(CliError::usage("`--map` is for CSV files that are added to a recording")
            .with_hint("name the recording with `--into`"));
    }
    let mut files = Files::new(named);
    for path in paths {
        let read = files.add(&mut *input(path)?);
        read.map_err(|error| refused(&path.display().to_string(), files.format(), &error))?;
    }
    if !files.have_times() && !files.summaries().is_empty() {
        return summary::print(files.summaries(), args.output.format);
    }
    // The diagnosis alone goes to stdout.
    files.summaries().iter().for_each(|it| say(summary::text(it, width())));
    let first = paths.first().map(PathBuf::as_path).unwrap_or(Path::new("-"));
    let name = first.file_stem().map_or_else(String::new, |it| it.display().to_string());
    let format = files.format();
    let load = files
        .into_load(&name)
        .map_err(|error| refused(&first.display().to_string(), format, &error))?;
    for note in &load.notes {
        say(format_args!("kneepoint: note: {note}"));
    }
    let (path, recording) = match &args.into {
        Some(watched) => {
            let path = join(watched, load, &args.output.out)?;
            let recording = results::read(&path)?;
            (path, recording)
        }
        None => {
            let recording = load.into_recording();
            results::prepare(&args.output.out)?;
            let path = results::recording_in(&args.output.out);
            results::write_file(&path, |out| {
                write(&recording, out).map_err(|error| CliError::failed(error.to_string()))
            })?;
            (path, recording)
        }
    };
    let out = Some(args.output.out.as_path());
    let rules = run::rules();
    let diagnosis = results::conclude(&recording, &rules, &path, args.output.format, out)?;
    Ok(results::status_of(&diagnosis, &rules, None))
}

/// Adds the files to a copy of a recording of the same time; `None` where they are the load of a
/// recording of `watch`.
fn lay_beside(
    args: &ImportArgs,
    into: &Path,
    named: Option<Format>,
    paths: &[PathBuf],
) -> Result<Option<ExitStatus>, CliError> {
    let before = match into.is_dir() {
        true => results::recording_in(into),
        false => into.to_owned(),
    };
    let mut sources = Sources::new(&args.clocks)?;
    sources.format = named;
    for path in paths {
        let of = match (&args.clocks.map, named) {
            (Some(_), _) => &mut sources.csv,
            (None, None) if path != Path::new("-") && beside::is_log(path)? => &mut sources.log,
            (None, _) => &mut sources.access_log,
        };
        of.push(path.clone());
    }
    let overview = beside::overview(&before)?;
    let is_history = history_room::is_history(&overview);
    if !is_history && !sources.access_log.is_empty() {
        return match sources.log.is_empty() {
            true => Ok(None),
            false => Err(CliError::usage("access logs and logs of databases are given together")
                .with_hint("add one after the other, each with `--into`")),
        };
    }
    let line = LiveLine::new(false);
    fs::create_dir_all(&args.output.out)?;
    let new = args.output.out.join("recording.new");
    let notes = sources.join(&before, &overview, &new, &line)?;
    results::prepare(&args.output.out)?;
    let path = results::recording_in(&args.output.out);
    fs::rename(&new, &path)?;
    beside::tell(&notes);
    say(format_args!("kneepoint: wrote {}", path.display()));
    let next = if is_history { "incident" } else { "diagnose" };
    say(format_args!("  next: kneepoint {next} {}", args.output.out.display()));
    Ok(Some(ExitStatus::Done))
}

/// Adds the load to a copy of what was collected meanwhile; returns the copy.
fn join(watched: &Path, load: ToolLoad, out: &Path) -> Result<PathBuf, CliError> {
    let watched = match watched.is_dir() {
        true => results::recording_in(watched),
        false => watched.to_owned(),
    };
    let before = results::read(&watched)?;
    if !before.timeline.ticks.is_empty() {
        return Err(CliError::usage(format!("`{}` has a load already", watched.display()))
            .with_hint(
                "name a recording of `kneepoint watch` without a load, or leave out `--into`",
            ));
    }
    let bytes = fs::read(&watched)?;
    results::prepare(out)?;
    let path = results::recording_in(out);
    let zero_unix = before.environment.started_unix;
    results::write_file(&path, |file| {
        file.write_all(&bytes)?;
        let mut writer = Writer::resume(file);
        let load = load.dated(zero_unix);
        let joined = watch::join(&mut writer, load, zero_unix, &before.plan.target);
        let at = before.timeline.end();
        let stop = before.stop.clone().unwrap_or(Stop { at, reason: StopReason::Completed });
        joined
            .and_then(|()| writer.finish(&stop).map(drop))
            .map_err(|error| CliError::failed(error.to_string()))
    })?;
    Ok(path)
}

/// The format that is named, and the files. Its name may also stand before the files.
fn format_and_files(args: &ImportArgs) -> (Option<&str>, &[PathBuf]) {
    if let (None, Some((first, rest))) = (&args.from, args.files.split_first())
        && !rest.is_empty()
        && let Some(name) = first.to_str().filter(|name| import::find(name).is_some())
        && !first.exists()
    {
        return (Some(name), rest);
    }
    (args.from.as_deref(), &args.files)
}

pub(super) fn spec_named(name: &str) -> Result<Format, CliError> {
    import::find(name).ok_or_else(|| {
        let names: Vec<_> = Format::all().map(Format::name).collect();
        CliError::unknown("format of results", name, &names)
    })
}

/// A file, or standard input for `-`.
fn input(path: &Path) -> Result<Box<dyn BufRead>, CliError> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(std::io::stdin())));
    }
    let file = Reading::open(path)
        .map_err(|error| CliError::usage(format!("cannot open `{}`: {error}", path.display())))?;
    Ok(Box::new(BufReader::new(file)))
}

fn write(recording: &Recording, out: &mut dyn Write) -> Result<(), WriteError> {
    let mut writer = Writer::create(out, &recording.plan, &recording.environment)?;
    for event in &recording.events {
        writer.event(event)?;
    }
    for tick in &recording.timeline.ticks {
        writer.tick(tick)?;
    }
    for stage in &recording.timeline.stages {
        writer.stage(stage)?;
    }
    if let Some(stop) = &recording.stop {
        writer.finish(stop)?;
    }
    Ok(())
}
