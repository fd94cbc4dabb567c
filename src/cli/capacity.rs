//! `capacity`: how much a recorded system can carry.

use super::args::{CapacityArgs, StdoutFormat};
use super::console::{print, say};
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use super::{inspect, results};
use crate::diagnose::headroom;
use crate::plan::parse_rate;
use crate::report::{headroom_json, headroom_svg, headroom_text};

pub(super) fn main(args: &CapacityArgs) -> CommandResult {
    if args.format == StdoutFormat::Markdown {
        return Err(CliError::usage("`capacity` has no `--format markdown`")
            .with_hint("write `--format terminal` or `--format json`"));
    }
    let wanted = args
        .want
        .as_deref()
        .map(|text| parse_rate(text).map_err(|why| CliError::usage(format!("`--want`: {why}"))));
    let wanted = wanted.transpose()?;
    let rules = results::load_rules(args.rules.as_deref())?;
    let recording = results::read(&inspect::recording_path(&args.recording))?;
    let room = headroom(&recording, &rules, wanted);
    if let Some(file) = &args.chart {
        match headroom_svg(&room) {
            Some(svg) => std::fs::write(file, svg).map_err(|error| {
                CliError::failed(format!("cannot write `{}`: {error}", file.display()))
            })?,
            None => say(format_args!("no chart: no resource tells a limit")),
        }
    }
    let mut bytes = Vec::new();
    match args.format {
        StdoutFormat::Json => headroom_json(&room, &mut bytes)?,
        StdoutFormat::Terminal | StdoutFormat::Markdown => headroom_text(&room, &mut bytes)?,
    }
    print(&bytes)?;
    Ok(match room.limit.is_none() {
        true => ExitStatus::Inconclusive,
        false => ExitStatus::Done,
    })
}
