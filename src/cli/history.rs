//! `import prometheus`: what a server stored of a service → a recording.

use super::args::PrometheusArgs;
use super::console::{LiveLine, say};
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use super::{moment, results};
use crate::history::{self, Access, HistoryError, Progress, Question, Summary};
use crate::plan::Secret;
use crate::recording::WriteError;
use crate::report::wording;

pub(super) fn main(args: &PrometheusArgs) -> CommandResult {
    let question = question(args)?;
    results::prepare(&args.out)?;
    let path = results::recording_in(&args.out);
    let mut read = None;
    let name = "a stored history";
    let line = LiveLine::new(args.quiet);
    results::write_file(&path, |out| {
        match history::record(&question, name, out, &mut |progress| show(&line, progress)) {
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
        Some(Err(error)) => refused(&error),
        _ => refusal,
    })?;
    line.clear();
    let Some(Ok(summary)) = read else { return Ok(ExitStatus::Failed) };
    tell(&summary, &question);
    say(format_args!("kneepoint: wrote {}", path.display()));
    say(format_args!("  next: kneepoint incident {}", args.out.display()));
    Ok(ExitStatus::Done)
}

fn question(args: &PrometheusArgs) -> Result<Question, CliError> {
    let access = access(&args.url, &args.header, args.bearer.as_deref(), args.ca_file.clone())?;
    let now = moment::now();
    let from = moment::seconds("--from", &args.from, &now)?;
    let to = moment::seconds("--to", &args.to, &now)?;
    if to <= from {
        let zone = now.time_zone();
        return Err(CliError::usage(format!(
            "`--to` ({}) is not later than `--from` ({})",
            moment::shown(to, zone),
            moment::shown(from, zone)
        ))
        .with_hint("a time without a zone is local time: add Z for UTC"));
    }
    Ok(Question {
        access,
        target: args.target.clone(),
        host: args.host.clone(),
        database: args.database.clone(),
        downstream: args.downstream.clone(),
        from,
        to,
    })
}

/// The server as the command line names it, with the variables of the environment filled in.
pub(super) fn access(
    url: &str,
    headers: &[String],
    bearer: Option<&str>,
    ca_file: Option<String>,
) -> Result<Access, CliError> {
    let mut named = Vec::new();
    for header in headers {
        // The header itself is not shown: it may hold a token.
        let (name, value) = header.split_once(':').ok_or_else(|| {
            CliError::usage("a `--header` has no `:`")
                .with_hint("write `NAME: VALUE`, such as `X-Scope-OrgID: team-a`")
        })?;
        named.push((name.trim().to_owned(), secret("--header", value.trim())?));
    }
    Ok(Access {
        url: secret("--url", url)?.reveal().to_owned(),
        bearer: bearer.map(|token| secret("--bearer", token)).transpose()?,
        headers: named,
        ca_file,
    })
}

/// A text of the command line with the variables of the environment filled in.
pub(super) fn secret(option: &str, text: &str) -> Result<Secret, CliError> {
    history::expand(text, &|name: &str| std::env::var(name).ok()).map_err(|why| {
        CliError::usage(format!("`{option}`: {why}"))
            .with_hint("`${NAME}` stands for a variable of the environment; quote it for the shell")
    })
}

/// What the server or the question does not allow, with what to do.
pub(super) fn refused(error: &HistoryError) -> CliError {
    let refusal = match error {
        HistoryError::Selector { .. } => CliError::usage(error),
        HistoryError::Write(WriteError::Storage(_) | WriteError::Incomplete)
        | HistoryError::Unusable { .. }
        | HistoryError::Answer { .. } => CliError::failed(error),
    };
    match error.hint() {
        Some(hint) => refusal.with_hint(hint),
        None => refusal,
    }
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
