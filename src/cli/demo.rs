//! `demo`: a real shop with a real fault, tested like any other service.

use std::path::Path;

use super::args::DemoArgs;
use super::console::{print, say};
use super::error::{CliError, CommandResult};
use super::run::{LiveRun, execute};
use super::stop::interrupt_flag;
use crate::demo::{self, FAULTS, Fault, Launcher};
use crate::prepare;
use crate::run;

/// The default fault.
const DEFAULT: &str = "pool-small";
/// The default fault if PostgreSQL is not installed.
const DEFAULT_WITHOUT_POSTGRES: &str = "single-thread";

pub(super) fn main(args: &DemoArgs) -> CommandResult {
    if args.list {
        return list();
    }
    let fault = choose(args.fault.as_deref())?;
    // Installed before anything is started, so that an early Ctrl-C has an effect.
    let interrupt = interrupt_flag(None);
    if !args.output.quiet {
        say(format_args!(
            "starting the demo shop {} the fault `{}`: {}",
            if args.healthy { "without" } else { "with" },
            fault.name,
            fault.summary
        ));
    }
    let launcher = Launcher::new().map_err(CliError::failed)?;
    let launcher = if args.healthy { launcher.healthy() } else { launcher };
    let running = launcher.start(fault, None).map_err(CliError::failed)?;
    let ended = if args.print_plan {
        print(running.plan.as_bytes())
    } else {
        let origin = format!("demo {}", fault.name);
        prepare::parse_plan(&running.plan, &origin).map_err(CliError::from).and_then(|plan| {
            execute(LiveRun {
                plan,
                folder: Path::new("."),
                lenient: false,
                allow_failing: false,
                interrupt,
                output: &args.output,
                rules: &run::rules(),
                expected: None,
            })
        })
    };
    running.stop();
    ended
}

fn list() -> CommandResult {
    let width = FAULTS.iter().map(|fault| fault.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for fault in FAULTS {
        let needs = if fault.needs_postgres { " (PostgreSQL)" } else { "" };
        text.push_str(&format!("{:width$}  {}{needs}\n", fault.name, fault.summary));
    }
    print(text.as_bytes())
}

fn choose(name: Option<&str>) -> Result<&'static Fault, CliError> {
    let has_postgres = demo::find_postgres().is_some();
    let find = |name: &str| {
        FAULTS.iter().copied().find(|fault| fault.name == name).ok_or_else(|| {
            let names: Vec<_> = FAULTS.iter().map(|fault| fault.name).collect();
            CliError::unknown("fault", name, &names)
        })
    };
    match name {
        Some(name) => {
            let fault = find(name)?;
            match demo::lacking(fault) {
                Some(why) => Err(CliError::failed(format!("fault `{name}`: {why}"))),
                None => Ok(fault),
            }
        }
        None if has_postgres => find(DEFAULT),
        None => {
            say(format_args!(
                "PostgreSQL was not found: showing a fault that does not need it; for the others {}",
                demo::install_hint()
            ));
            find(DEFAULT_WITHOUT_POSTGRES)
        }
    }
}
