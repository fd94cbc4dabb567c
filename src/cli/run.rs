//! `run`: a plan or a URL, from preflight to the verdict.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::args::{OutputArgs, RunArgs, UrlArgs};
use super::progress::ProgressLine;
use super::results::{self, load_rules};
use super::{Ended, Refusal, preflight, say};
use crate::diagnose::RuleSet;
use crate::plan::{
    CollectorConfig, Executor, OptionValue, Plan, Secret, parse_duration, parse_rate,
};
use crate::run;

/// How often the kill-switch file is looked for.
const LOOK: Duration = Duration::from_millis(200);

pub(super) fn main(args: &RunArgs) -> Ended {
    let expected = args.expect.as_deref().map(parse_rate).transpose().map_err(Refusal::usage)?;
    let rules = load_rules(args.rules.as_deref())?;
    let is_url = args.what.starts_with("http://") || args.what.starts_with("https://");
    let (plan, folder) = if is_url {
        (plan_for_url(&args.what, &args.url)?, PathBuf::from("."))
    } else {
        let path = Path::new(&args.what);
        let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
        (preflight::read_plan(path)?, folder)
    };
    let interrupt = interrupt_flag(args.kill_switch.as_deref());
    execute(plan, &folder, args.lenient, &interrupt, &args.output, &rules, expected)
}

fn plan_for_url(url: &str, args: &UrlArgs) -> Result<Plan, Refusal> {
    let mut collectors = Vec::new();
    let secret = |url: &str| OptionValue::Secret(Secret::new(url));
    if let Some(pid) = args.pid {
        let pid = OptionValue::Integer(u64::from(pid));
        collectors.push(CollectorConfig::new("process").with("pid", pid));
    }
    if let Some(postgres) = &args.postgres {
        collectors.push(CollectorConfig::new("postgres").with("url", secret(postgres)));
    }
    for (index, metrics) in args.metrics.iter().enumerate() {
        let mut config = CollectorConfig::new("prometheus").with("url", secret(metrics));
        if index > 0 {
            config.instance = format!("prometheus-{}", index + 1);
        }
        collectors.push(config);
    }
    let mut plan = Plan::for_url(url, collectors).map_err(Refusal::usage)?;
    if let Executor::Breakpoint(search) = &mut plan.load {
        let rate = |text: &Option<String>| text.as_deref().map(parse_rate).transpose();
        if let Some(start) = rate(&args.start).map_err(Refusal::usage)? {
            search.start_rate = start;
        }
        if let Some(max) = rate(&args.max).map_err(Refusal::usage)? {
            search.max_rate = max;
            plan.limits.max_rate = max;
        }
        if let Some(hold) = &args.hold {
            search.hold = parse_duration(hold).map_err(Refusal::usage)?;
        }
        if search.start_rate > search.max_rate {
            return Err(Refusal::usage("`--start` is above `--max`"));
        }
    }
    Ok(plan)
}

/// Runs `plan` and concludes; shared with the demo.
#[expect(clippy::too_many_arguments, reason = "each is a decision of its own, made by one caller")]
pub(super) fn execute(
    plan: Plan,
    folder: &Path,
    lenient: bool,
    interrupt: &Arc<AtomicBool>,
    output: &OutputArgs,
    rules: &RuleSet,
    expected: Option<f64>,
) -> Ended {
    let config = preflight::prepare(plan, folder, lenient, Arc::clone(interrupt))?;
    results::prepare(&output.out)?;
    let path = results::recording_in(&output.out);
    let file = File::create(&path).map_err(|error| {
        Refusal::failed(format!("cannot write the recording `{}`: {error}", path.display()))
            .with_hint("choose another directory with `--out`")
    })?;
    if !output.quiet {
        introduce(&config);
    }
    let mut line = ProgressLine::new(output.quiet);
    run::run(config, BufWriter::new(file), &mut |progress| line.show(&progress))
        .map_err(Refusal::failed)?;
    let recording = results::read(&path)?;
    let diagnosis = results::conclude(&recording, rules, &path, output)?;
    Ok(results::status_of(&recording, &diagnosis, expected))
}

/// Shows what is about to be loaded and what is watched.
fn introduce(config: &run::RunConfig) {
    say(format_args!("target    {} {}", config.plan.target, config.environment.target));
    for collector in &config.environment.collectors {
        say(format_args!("watching  {:<10} {}", collector.instance, collector.watches));
    }
}

/// A flag that Ctrl-C, SIGTERM or the appearance of the kill-switch file sets. The second signal
/// ends the program at once; the recording so far stays.
pub(super) fn interrupt_flag(kill_switch: Option<&Path>) -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    signals::on_signal(Arc::clone(&flag));
    if let Some(path) = kill_switch.map(Path::to_owned) {
        let flag = Arc::clone(&flag);
        std::thread::spawn(move || {
            while !path.exists() {
                std::thread::sleep(LOOK);
            }
            flag.store(true, Ordering::Relaxed);
        });
    }
    flag
}

mod signals {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::signal::unix::{SignalKind, signal};

    /// Waits for signals on a thread of its own.
    pub(super) fn on_signal(flag: Arc<AtomicBool>) {
        std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build()
            else {
                return;
            };
            runtime.block_on(async {
                let interrupt = signal(SignalKind::interrupt());
                let terminate = signal(SignalKind::terminate());
                let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) else {
                    return;
                };
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                    }
                    if flag.swap(true, Ordering::Relaxed) {
                        // SAFETY: ends the process without running anything else; the recording
                        // is append-only and stays readable.
                        unsafe { libc::_exit(130) }
                    }
                }
            });
        });
    }
}
