//! `incident`: what happened in a recorded time that nobody chose for a test.

use super::args::{IncidentArgs, StdoutFormat};
use super::console::print;
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use super::{inspect, moment, results};
use crate::history;
use crate::incident::{Asked, incident};
use crate::report::IncidentReport;
use crate::timeline::Moment;

pub(super) fn main(args: &IncidentArgs) -> CommandResult {
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
    let mut found = incident(&recording, &rules, &asked);
    if recording.plan.executor == history::EXECUTOR {
        // What a plan would collect helps nobody whose data comes from exporters.
        for open in &mut found.coverage.open {
            open.add = history::addition(open.missing.iter().map(String::as_str));
        }
    }
    let zone = now.time_zone().clone();
    let report = IncidentReport { incident: &found, recording: &recording, zone };
    let mut bytes = Vec::new();
    match args.format {
        StdoutFormat::Json => report.json(&mut bytes)?,
        StdoutFormat::Terminal => report.text(&mut bytes)?,
        StdoutFormat::Markdown => report.markdown(&mut bytes)?,
    }
    print(&bytes)?;
    // Nothing found is an answer; nothing to look at is none.
    Ok(match recording.timeline.ticks.is_empty() {
        false => ExitStatus::Done,
        true => ExitStatus::Inconclusive,
    })
}
