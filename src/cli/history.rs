//! `import prometheus`: what a server stored of a service → a recording.

use std::fs;
use std::path::{Path, PathBuf};

use super::args::{BesideArgs, ClockArgs, PrometheusArgs, StoredArgs};
use super::beside::{self, Sources};
use super::console::{LiveLine, say};
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use super::{moment, results};
use crate::history::{self, Access, Keep, Progress, Question, Summary};
use crate::plan::{HistoryFile, Secret, parse_history_file};
use crate::report::wording;

/// Directory of what an interrupted import has read, inside that of the recording.
const SLICES: &str = "slices";
/// Directory for the recording.
const OUT: &str = "kneepoint-out";

pub(super) fn main(args: &PrometheusArgs) -> CommandResult {
    let file = args.file.as_deref().map(read_file).transpose()?.unwrap_or_default();
    let sources = sources(&args.beside, &file)?;
    sources.check()?;
    let out = args.out.clone().or_else(|| file.out.as_ref().map(PathBuf::from));
    let out = out.unwrap_or_else(|| PathBuf::from(OUT));
    let (from, to) = (args.from.clone(), args.to.clone());
    let file = HistoryFile { from: from.or(file.from.clone()), to: to.or(file.to.clone()), ..file };
    let question = question(args, file)?;
    results::prepare(&out)?;
    let path = results::recording_in(&out);
    let slices = Slices { directory: out.join(SLICES) };
    let mut read = None;
    let name = "a stored history";
    let line = LiveLine::new(args.quiet);
    results::write_file(&path, |out| {
        let mut progress = |progress| show(&line, progress);
        match history::record_kept(&question, name, out, &mut progress, Some(&slices)) {
            Ok(summary) => {
                read = Some(Ok(summary));
                Ok(())
            }
            Err(error) => {
                let text = error.to_string();
                read = Some(Err(error));
                Err(CliError::failed(text))
            }
        }
    })
    .map_err(|refusal| match read.take() {
        // What the server said, not that a file was not written.
        Some(Err(error)) => slices.told(CliError::from(&error), &question),
        _ => refusal,
    })?;
    line.clear();
    let Some(Ok(summary)) = read else { return Ok(ExitStatus::Failed) };
    slices.forget();
    tell(&summary, &question);
    if !sources.is_empty() {
        let new = out.join("recording.new");
        let notes = sources.join(&path, &beside::overview(&path)?, &new, &line)?;
        fs::rename(&new, &path)?;
        beside::tell(&notes);
    }
    say(format_args!("kneepoint: wrote {}", path.display()));
    say(format_args!("  next: kneepoint incident {}", out.display()));
    Ok(ExitStatus::Done)
}

/// Keeps the slices of an import in files, until it is whole.
struct Slices {
    directory: PathBuf,
}

impl Slices {
    fn forget(&self) {
        let _left_behind = fs::remove_dir_all(&self.directory).is_err();
    }

    /// The refusal of an import that was interrupted, with how it goes on.
    fn told(&self, refusal: CliError, question: &Question) -> CliError {
        if !self.directory.exists() {
            return refusal;
        }
        let hint = format!(
            "{}; what was read so far is kept in `{}`: the same command with `--from {:.3} --to \
             {:.3}` goes on there",
            refusal.hint.as_deref().unwrap_or("try again"),
            self.directory.display(),
            question.from,
            question.to
        );
        refusal.with_hint(hint)
    }
}

impl Keep for Slices {
    fn get(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.directory.join(name)).ok()
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        // Renamed when it is whole, so that an interruption leaves no half of it.
        let part = self.directory.join("part");
        let _not_kept = fs::create_dir_all(&self.directory)
            .and_then(|()| fs::write(&part, bytes))
            .and_then(|()| fs::rename(&part, self.directory.join(name)))
            .is_err();
    }
}

/// The options of a file.
pub(super) fn read_file(path: &Path) -> Result<HistoryFile, CliError> {
    let text = fs::read_to_string(path)
        .map_err(|error| CliError::usage(format!("cannot read `{}`: {error}", path.display())))?;
    let environment = |name: &str| std::env::var(name).ok();
    parse_history_file(&text, &path.display().to_string(), &environment).map_err(CliError::usage)
}

/// The files beside the series, of the command line or else of the file.
fn sources(typed: &BesideArgs, file: &HistoryFile) -> Result<Sources, CliError> {
    let clocks = ClockArgs {
        map: typed.clocks.map.clone().or_else(|| file.map.as_ref().map(PathBuf::from)),
        log_zone: typed.clocks.log_zone.clone().or_else(|| file.log_zone.clone()),
        shift_log: typed.clocks.shift_log.clone(),
    };
    let of = |typed: &[PathBuf], file: &[String]| match typed {
        [] => file.iter().map(PathBuf::from).collect(),
        typed => typed.to_vec(),
    };
    let mut sources = Sources::new(&clocks)?;
    sources.access_log = of(&typed.access_log, &file.access_log);
    sources.log = of(&typed.log, &file.log);
    sources.csv = of(&typed.csv, &file.csv);
    Ok(sources)
}

/// The options of a file, where none was typed in their place.
pub(super) fn merged(typed: &StoredArgs, file: HistoryFile) -> Result<HistoryFile, CliError> {
    let of =
        |typed: &[String], file: Vec<String>| if typed.is_empty() { file } else { typed.to_vec() };
    let mut headers = Vec::new();
    for header in &typed.header {
        // The header itself is not shown: it may hold a token.
        let (name, value) = header.split_once(':').ok_or_else(|| {
            CliError::usage("a `--header` has no `:`")
                .with_hint("write `NAME: VALUE`, such as `X-Scope-OrgID: team-a`")
        })?;
        headers.push((name.trim().to_owned(), secret("--header", value.trim())?));
    }
    let bearer = typed.bearer.as_deref().map(|token| secret("--bearer", token)).transpose()?;
    Ok(HistoryFile {
        target: of(&typed.target, file.target),
        host: of(&typed.host, file.host),
        database: of(&typed.database, file.database),
        downstream: of(&typed.downstream, file.downstream),
        headers: if headers.is_empty() { file.headers } else { headers },
        bearer: bearer.or(file.bearer),
        ca_file: typed.ca_file.clone().or(file.ca_file),
        cert_file: typed.cert_file.clone().or(file.cert_file),
        key_file: typed.key_file.clone().or(file.key_file),
        ..file
    })
}

/// What to ask of which server about a time in seconds since 1970.
pub(super) fn asked(options: &HistoryFile, from: f64, to: f64) -> Result<Question, CliError> {
    let Some(url) = &options.url else {
        return Err(CliError::usage("no server is named")
            .with_hint("add `--url http://prometheus:9090`, or `url` in the TOML file"));
    };
    if options.target.is_empty() {
        return Err(CliError::usage("no service is selected").with_hint(
            "add `--match '{job=\"shop\"}'`, or `match` in the TOML file: the service that answers \
             the requests",
        ));
    }
    let identity = match (&options.cert_file, &options.key_file) {
        (Some(cert), Some(key)) => Some((cert.clone(), key.clone())),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            return Err(CliError::usage("a certificate needs its key, and a key its certificate")
                .with_hint("give both `cert_file` and `key_file`"));
        }
    };
    Ok(Question {
        access: Access {
            url: url.reveal().to_owned(),
            bearer: options.bearer.clone(),
            headers: options.headers.clone(),
            ca_file: options.ca_file.clone(),
            identity,
        },
        target: options.target.clone(),
        host: options.host.clone(),
        database: options.database.clone(),
        downstream: options.downstream.clone(),
        from,
        to,
    })
}

fn question(args: &PrometheusArgs, file: HistoryFile) -> Result<Question, CliError> {
    let url = args.url.as_deref().map(|url| secret("--url", url)).transpose()?;
    let file = HistoryFile { url: url.or(file.url.clone()), ..file };
    let options = merged(&args.stored, file)?;
    let now = moment::now();
    let Some(from) = &options.from else {
        return Err(CliError::usage("no begin of the time is given")
            .with_hint("add `--from 18:00`, or `from` in the TOML file"));
    };
    let from = moment::seconds("--from", from, &now)?;
    let to = moment::seconds("--to", options.to.as_deref().unwrap_or("now"), &now)?;
    if to <= from {
        let zone = now.time_zone();
        return Err(CliError::usage(format!(
            "`--to` ({}) is not later than `--from` ({})",
            moment::shown(to, zone),
            moment::shown(from, zone)
        ))
        .with_hint("a time without a zone is local time: add Z for UTC"));
    }
    let zone = now.time_zone();
    if from > now.timestamp().as_second() as f64 {
        let from = moment::shown(from, zone);
        return Err(CliError::usage(format!("`--from` ({from}) lies in the future"))
            .with_hint("a time without a zone is local time: add Z for UTC"));
    }
    asked(&options, from, to)
}

/// A text of the command line with the variables of the environment filled in.
pub(super) fn secret(option: &str, text: &str) -> Result<Secret, CliError> {
    history::expand(text, &|name: &str| std::env::var(name).ok()).map_err(|why| {
        CliError::usage(format!("`{option}`: {why}"))
            .with_hint("`${NAME}` stands for a variable of the environment; quote it for the shell")
    })
}

fn tell(summary: &Summary, question: &Question) {
    for note in &summary.notes {
        say(format_args!("kneepoint: note: {note}"));
    }
    let every = summary.interval.map_or_else(String::new, |interval| {
        format!(", one every {}", wording::duration(interval))
    });
    say(format_args!(
        "kneepoint: read {} of {} over {}{every}, with {}",
        wording::plural(summary.samples, "sample", "samples"),
        wording::plural(summary.series as u64, "series", "series"),
        wording::duration(question.to - question.from),
        wording::plural(summary.requests, "request", "requests"),
    ));
    if !summary.systems.is_empty() {
        say(format_args!("kneepoint: recognised {}", summary.systems.join(", ")));
    }
}

/// Says how far the reading is.
fn show(line: &LiveLine, progress: Progress) {
    let (done, all) = progress.slices;
    line.replace(&format!(
        "  read {done} of {}, {}",
        wording::plural(all as u64, "hour", "hours"),
        wording::plural(progress.samples, "sample", "samples")
    ));
}
