//! `check`: whether a plan is valid, and still like production, without sending anything.

use std::path::Path;

use super::args::CheckArgs;
use super::console::{print, say};
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use super::{realism, words};
use crate::prepare;
use crate::report::wording;

pub(super) fn main(args: &CheckArgs) -> CommandResult {
    let plan = prepare::read_plan(&args.plan)?;
    let folder = args.plan.parent().unwrap_or(Path::new("."));
    prepare::load_config(&plan, folder)
        .map_err(|problems| CliError::problems(ExitStatus::Usage, &problems))?;
    let text = format!(
        "{} is fine: {} against {}, {}{}\n",
        args.plan.display(),
        wording::plural(plan.requests.len() as u64, "request", "requests"),
        plan.target.url,
        words::loads(&plan),
        words::canaries(&plan.canaries),
    );
    print(text.as_bytes())?;
    if args.against.is_empty() {
        return Ok(ExitStatus::Done);
    }
    let realism = realism::against_logs(&plan, &args.plan, &args.against)?;
    print(format!("{}\n", realism::summary(&realism)).as_bytes())?;
    for gap in &realism.gaps {
        print(format!("  - {}\n", wording::clean(&gap.seen)).as_bytes())?;
    }
    if realism.gaps.is_empty() {
        return Ok(ExitStatus::Done);
    }
    say("kneepoint: traffic is not like the plan; `kneepoint realism` says what closes each gap");
    Ok(ExitStatus::Unlike)
}
