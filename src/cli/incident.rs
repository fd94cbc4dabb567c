//! `incident`: what happened in a recorded time that nobody chose for a test.

use super::args::{IncidentArgs, StdoutFormat};
use super::console::print;
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use super::{inspect, moment, results};
use crate::incident::{Asked, incident};
use crate::report::IncidentReport;
use crate::timeline::Moment;

pub(super) fn main(args: &IncidentArgs) -> CommandResult {
    if args.format == StdoutFormat::Markdown {
        return Err(CliError::usage("`incident` has no `--format markdown`")
            .with_hint("write `--format terminal` or `--format json`"));
    }
    let rules = results::load_rules(args.rules.as_deref())?;
    let path = inspect::recording_path(&args.recording);
    let recording = results::read(&path)?;
    let now = moment::now();
    let zero = recording.environment.started_unix;
    let read = |option: &str, text: &Option<String>| -> Result<Option<Moment>, CliError> {
        let Some(text) = text else { return Ok(None) };
        let seconds = moment::seconds(option, text, &now)?;
        let end = zero + recording.timeline.end().secs();
        if !(zero..=end).contains(&seconds) {
            let zone = now.time_zone();
            let (from, to) = (moment::shown(zero, zone), moment::shown(end, zone));
            return Err(CliError::usage(format!("`{option} {text}` lies outside the recording"))
                .with_hint(format!("it reaches from {from} to {to}")));
        }
        Ok(Some(Moment::from_secs_f64(seconds - zero)))
    };
    let asked = Asked {
        at: read("--at", &args.at)?,
        from: read("--from", &args.from)?,
        to: read("--to", &args.to)?,
    };
    let found = incident(&recording, &rules, &asked);
    let zone = now.time_zone().clone();
    let report = IncidentReport { incident: &found, recording: &recording, zone };
    let mut bytes = Vec::new();
    match args.format {
        StdoutFormat::Json => report.json(&mut bytes)?,
        StdoutFormat::Terminal | StdoutFormat::Markdown => report.text(&mut bytes)?,
    }
    print(&bytes)?;
    // Nothing found is an answer; nothing to look at is none.
    Ok(match recording.timeline.ticks.is_empty() {
        false => ExitStatus::Done,
        true => ExitStatus::Inconclusive,
    })
}
