//! `import`: results from another tool → a recording and its diagnosis.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use super::args::ImportArgs;
use super::error::{CliError, CommandResult};
use super::results;
use crate::import::{self, IMPORTERS};
use crate::recording::{Recording, WriteError, Writer};
use crate::run;

pub(super) fn main(args: &ImportArgs) -> CommandResult {
    let spec = import::find(&args.from).ok_or_else(|| {
        let names: Vec<_> = IMPORTERS.iter().map(|spec| spec.name).collect();
        CliError::unknown("format of results", &args.from, &names)
    })?;
    let name = args.file.file_stem().map_or_else(String::new, |it| it.display().to_string());
    let refused = |error| {
        CliError::usage(format!(
            "cannot read `{}` as results of {}: {error}",
            args.file.display(),
            spec.name
        ))
        .with_hint(format!("expected: {}", spec.summary))
    };
    let recording = import::import(spec, &name, &mut *input(&args.file)?).map_err(refused)?;
    results::prepare(&args.output.out)?;
    let path = results::recording_in(&args.output.out);
    results::write_file(&path, |out| {
        write(&recording, out).map_err(|error| CliError::failed(error.to_string()))
    })?;
    let out = Some(args.output.out.as_path());
    let rules = run::rules();
    let diagnosis = results::conclude(&recording, &rules, &path, args.output.format, out)?;
    Ok(results::status_of(&diagnosis, &rules, None))
}

/// A file, or standard input for `-`.
fn input(path: &Path) -> Result<Box<dyn BufRead>, CliError> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(std::io::stdin())));
    }
    let file = File::open(path)
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
