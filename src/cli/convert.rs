//! `convert`: a file from another tool → a plan with its data files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::args::ConvertArgs;
use super::console::{print, say};
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use super::reading::Reading;
use crate::convert::{
    self, CONVERTERS, ConvertError, Converted, ConverterSpec, Files, Options, Problem,
};
use crate::plan::parse_target_url;

/// Name of the plan inside an output directory.
const PLAN: &str = "plan.toml";

pub(super) fn main(args: &ConvertArgs) -> CommandResult {
    let options = options(args)?;
    let named = args.from.as_deref().map(spec_named).transpose()?;
    let (sniffed, mut input) = convert::sniff(input(&args.file)?)
        .map_err(|error| CliError::usage(format!("cannot read `{}`: {error}", shown(args))))?;
    let spec = named.or(sniffed).ok_or_else(|| {
        let formats: Vec<_> = CONVERTERS.iter().map(|spec| spec.name).collect();
        CliError::usage(format!("cannot tell the format of `{}`", shown(args)))
            .with_hint(format!("name it with `--from`: {}", formats.join(", ")))
    })?;
    let mut files = PlanFiles::new(args);
    let done = convert::convert(spec, &mut *input, &mut files, &options);
    let written = done
        .map_err(|error| refusal(args, spec, sniffed, &error))
        .and_then(|converted| finish(args, spec, &mut files, &converted));
    if written.is_err() {
        files.remove_all();
    }
    written
}

fn options(args: &ConvertArgs) -> Result<Options, CliError> {
    if let Some(target) = &args.target {
        parse_target_url(target).map_err(|why| CliError::usage(format!("`--target`: {why}")))?;
    }
    if let Some(speed) = args.speed
        && !(speed.is_finite() && speed > 0.0)
    {
        return Err(CliError::usage("`--speed` must be a factor above zero such as 2"));
    }
    let origin = match args.file.file_name() {
        Some(_) if args.file == Path::new("-") => "standard input".to_owned(),
        Some(name) => name.to_string_lossy().into_owned(),
        None => shown(args),
    };
    Ok(Options {
        origin,
        target: args.target.clone(),
        timed: args.timed,
        speed: args.speed,
        keep_static: args.keep_static,
    })
}

fn spec_named(name: &str) -> Result<&'static ConverterSpec, CliError> {
    convert::find(name).ok_or_else(|| {
        let names: Vec<_> = CONVERTERS.iter().map(|spec| spec.name).collect();
        CliError::unknown("format to convert", name, &names)
    })
}

fn shown(args: &ConvertArgs) -> String {
    args.file.display().to_string()
}

/// A file, or standard input for `-`.
fn input(path: &Path) -> Result<Box<dyn BufRead>, CliError> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let cannot = |error| CliError::usage(format!("cannot open `{}`: {error}", path.display()));
    let file = Reading::open(path).map_err(cannot)?;
    if path.is_dir() {
        return Err(CliError::usage(format!("`{}` is a directory", path.display())));
    }
    Ok(Box::new(BufReader::with_capacity(256 * 1024, file)))
}

fn refusal(
    args: &ConvertArgs,
    spec: &ConverterSpec,
    sniffed: Option<&ConverterSpec>,
    error: &ConvertError,
) -> CliError {
    let file = shown(args);
    let refusal = match error {
        ConvertError::Malformed(problems) => {
            let places: Vec<_> = problems.iter().map(|problem| place(&file, problem)).collect();
            let count = match problems.len() {
                1 => "1 mistake".to_owned(),
                several => format!("{several} mistakes"),
            };
            let text =
                format!("`{file}`, read as {}, has {count}\n{}", spec.name, places.join("\n"));
            CliError::usage(text)
        }
        ConvertError::Unwritable { .. } => {
            return CliError::failed(error)
                .with_hint("choose another place with `--out`, or overwrite with `--force`");
        }
        ConvertError::Unfit(_) => CliError::usage(error),
        ConvertError::Empty(_) | ConvertError::Unreadable(_) => {
            CliError::usage(format!("`{file}`, read as {}: {error}", spec.name))
        }
    };
    match sniffed {
        Some(sniffed) if sniffed.name != spec.name => {
            refusal.with_hint(format!("it looks like {}: `--from {}`", sniffed.name, sniffed.name))
        }
        _ => refusal.with_hint(format!("expected: {}", spec.summary)),
    }
}

fn place(file: &str, problem: &Problem) -> String {
    let text = &problem.text;
    match (problem.line, problem.column) {
        (Some(line), Some(column)) => format!("  {file}:{line}:{column}: {text}"),
        (Some(line), None) => format!("  {file}:{line}: {text}"),
        (None, _) => format!("  {file}: {text}"),
    }
}

/// Writes the plan, and prints what was converted and what to do next.
fn finish(
    args: &ConvertArgs,
    spec: &ConverterSpec,
    files: &mut PlanFiles,
    converted: &Converted,
) -> CommandResult {
    for note in &converted.notes {
        let line = note.line.map_or_else(String::new, |line| format!(":{line}"));
        let file = note.file.as_ref().map(|file| args.file.with_file_name(file));
        let file = file.as_ref().unwrap_or(&args.file).display();
        say(format_args!("kneepoint: {file}{line}: {note}"));
    }
    if files.to_stdout {
        return print(converted.plan.as_bytes());
    }
    let plan = files.plan.clone();
    let mut file = files.make(&plan).map_err(|error| cannot_write(&plan, &error))?;
    file.write_all(converted.plan.as_bytes())
        .and_then(|()| file.flush())
        .map_err(|error| cannot_write(&plan, &error))?;
    let mut text = format!("{}, {}\n", shown(args), spec.name);
    for line in &converted.seen {
        text.push_str(&format!("  {line}\n"));
    }
    text.push_str("Written:\n");
    for path in &files.made {
        text.push_str(&format!("  {}\n", path.display()));
    }
    text.push_str(&format!("Next: kneepoint check {}\n", plan.display()));
    print(text.as_bytes())?;
    Ok(ExitStatus::Done)
}

fn cannot_write(path: &Path, error: &io::Error) -> CliError {
    let hint = match error.kind() {
        io::ErrorKind::AlreadyExists => {
            "overwrite it with `--force`, or choose another place with `--out`"
        }
        _ => "choose another place with `--out`",
    };
    CliError::failed(format!("cannot write `{}`: {error}", path.display())).with_hint(hint)
}

/// The files that a conversion reads in addition to its input, and the files that it writes.
struct PlanFiles {
    /// The directory that relative paths in the input refer to.
    input: PathBuf,
    plan: PathBuf,
    to_stdout: bool,
    force: bool,
    /// Files that were written. They are listed at the end, and removed on failure.
    made: Vec<PathBuf>,
}

impl PlanFiles {
    fn new(args: &ConvertArgs) -> Self {
        let is_plan = args.out.extension().is_some_and(|extension| extension == "toml");
        let plan = if is_plan { args.out.clone() } else { args.out.join(PLAN) };
        Self {
            input: args.file.parent().map(Path::to_owned).unwrap_or_default(),
            plan,
            to_stdout: args.out == Path::new("-"),
            force: args.force,
            made: Vec::new(),
        }
    }

    /// Creates a file. An existing file is kept, unless `--force` was given.
    fn make(&mut self, path: &Path) -> io::Result<BufWriter<File>> {
        if let Some(directory) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
            fs::create_dir_all(directory)?;
        }
        let mut how = OpenOptions::new();
        how.write(true).truncate(true).create(true).create_new(!self.force);
        let file = how.open(path)?;
        self.made.push(path.to_owned());
        Ok(BufWriter::new(file))
    }

    /// Removes files that could be mistaken for a complete result.
    fn remove_all(&self) {
        for path in &self.made {
            let _left_behind = fs::remove_file(path).is_err();
        }
    }
}

impl Files for PlanFiles {
    fn open(&mut self, path: &str) -> io::Result<Box<dyn BufRead>> {
        Ok(Box::new(BufReader::new(File::open(self.input.join(path))?)))
    }

    fn create(&mut self, name: &str) -> io::Result<Box<dyn Write>> {
        if self.to_stdout {
            let text = "the plan needs data files next to it; name a directory with `--out`";
            return Err(io::Error::other(text));
        }
        let path = self.plan.with_file_name(name);
        Ok(Box::new(self.make(&path)?))
    }
}
