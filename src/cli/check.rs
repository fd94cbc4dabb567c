//! `check`: whether a plan is valid, without sending anything.

use std::path::Path;

use super::args::CheckArgs;
use super::console::print;
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use super::words;
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
    print(text.as_bytes())
}
