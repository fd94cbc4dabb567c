//! `demo`: a real shop with a real fault, tested like any other service.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::args::DemoArgs;
use super::console::{print, say};
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use super::look::Looking;
use super::run::{LiveRun, execute};
use super::stop::interrupt_flag;
use crate::demo::{self, CHANGES, FAULTS, Fault, Launcher};
use crate::prepare;
use crate::run;

/// How often it is looked whether the user has had enough of a shop that is left running.
const LOOK: Duration = Duration::from_millis(100);
/// The default fault.
const DEFAULT: &str = "pool-small";
/// The default fault if PostgreSQL is not installed.
const DEFAULT_WITHOUT_POSTGRES: &str = "single-thread";

pub(super) fn main(args: &DemoArgs) -> CommandResult {
    if args.list {
        return list();
    }
    let fault = choose(args.fault.as_deref())?;
    let rules = run::rules();
    let looking = Looking::of(&args.look, args.output.quiet, &rules)?;
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
    let launcher = launcher.at(args.port.unwrap_or_default());
    let running = launcher.start(fault, None).map_err(CliError::failed)?;
    let ended = if args.print_plan {
        print(running.plan.as_bytes())
    } else if args.serve {
        serve(&running.url, &running.plan, args, &interrupt)
    } else {
        let origin = format!("demo {}", fault.name);
        prepare::parse_plan(&running.plan, &origin).map_err(CliError::from).and_then(|plan| {
            execute(LiveRun {
                plan,
                realism: None,
                folder: Path::new("."),
                lenient: false,
                allow_failing: false,
                interrupt,
                output: &args.output,
                looking,
                expected: None,
                generators: None,
            })
        })
    };
    running.stop();
    ended
}

/// Leaves the shop running for a load tool of the user's own, until Ctrl-C.
fn serve(url: &str, plan: &str, args: &DemoArgs, interrupt: &AtomicBool) -> CommandResult {
    let file = args.output.out.join("plan.toml");
    fs::create_dir_all(&args.output.out)?;
    // It holds the password of the shop's own database.
    fs::write(&file, plan)?;
    say(format_args!("the shop runs at {url} until Ctrl-C; load it with a tool of your own:"));
    say(format_args!("  kneepoint watch --plan {} -- wrk -c 20 -d 30s {url}", file.display()));
    print(format!("{url}\n").as_bytes())?;
    while !interrupt.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK);
    }
    fs::remove_file(&file)?;
    Ok(ExitStatus::Done)
}

fn list() -> CommandResult {
    let width = FAULTS.iter().map(|fault| fault.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for fault in FAULTS {
        let needs = if fault.needs_postgres { " (PostgreSQL)" } else { "" };
        text.push_str(&format!("{:width$}  {}{needs}\n", fault.name, fault.summary));
    }
    text.push_str(
        "\nchanges of the shop, for `kneepoint gate`; `--healthy` is the shop before them:\n",
    );
    for shop in CHANGES.iter().map(|change| &change.shop) {
        text.push_str(&format!("{:width$}  {} (PostgreSQL)\n", shop.name, shop.summary));
    }
    print(text.as_bytes())
}

fn choose(name: Option<&str>) -> Result<&'static Fault, CliError> {
    let has_postgres = demo::find_postgres().is_some();
    let find = |name: &str| {
        demo::find(name).ok_or_else(|| {
            let faults = FAULTS.iter().map(|fault| fault.name);
            let names: Vec<_> = faults.chain(CHANGES.iter().map(|it| it.shop.name)).collect();
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
