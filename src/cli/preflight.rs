//! Before any load: everything that a run needs is read, resolved, opened and tried, and all
//! that is wrong is told at once.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::args::CheckArgs;
use super::target::{
    connect, find, is_local, meet, path_in, read_pem, refuse_foreign_hosts, shares_connections,
    warn_of_blindness, warn_of_ports,
};
use super::{Ended, ExitStatus, Refusal, data, print, say, words};
use crate::collect::{COLLECTORS, Opened, TargetHint, open_all};
use crate::load::LoadConfig;
use crate::plan::{self, Canary, CollectorConfig, CollectorShape, Plan, Target, WebSocket};
use crate::recording::{CollectorNote, Environment, PlanSummary};
use crate::report::wording;
use crate::run::RunConfig;
use crate::timeline::names;

/// The series of the target carry this label where the plan gives its process no other name.
const TARGET_PROCESS: &str = "target";

/// The collectors as a plan may name them.
pub(super) fn shapes() -> Vec<CollectorShape> {
    COLLECTORS.iter().map(|spec| spec.shape()).collect()
}

/// Reads a plan file.
pub(super) fn read_plan(path: &Path) -> Result<Plan, Refusal> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Refusal::usage(format!("cannot read the plan `{}`: {error}", path.display()))
            .with_hint("name a plan file, or an address such as `http://127.0.0.1:8080/`")
    })?;
    parse_plan(&text, &path.display().to_string())
}

/// Reads a plan from text; `origin` is its name in messages.
pub(super) fn parse_plan(text: &str, origin: &str) -> Result<Plan, Refusal> {
    plan::parse(text, origin, &shapes(), &|name| std::env::var(name).ok()).map_err(|errors| {
        let mistakes = match errors.iter().count() {
            1 => "a mistake".to_owned(),
            count => format!("{count} mistakes"),
        };
        Refusal::usage(format!("`{origin}` has {mistakes}; nothing was sent\n{errors}"))
    })
}

/// `kneepoint check`.
pub(super) fn check(args: &CheckArgs) -> Ended {
    let plan = read_plan(&args.plan)?;
    let mut problems = Problems::default();
    let folder = args.plan.parent().unwrap_or(Path::new("."));
    load_config(&plan, folder, &mut problems);
    problems.refuse_if_any(ExitStatus::Usage)?;
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

/// All that is wrong, so that it is told at once.
#[derive(Default)]
pub(super) struct Problems(Vec<(String, Option<String>)>);

impl Problems {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn add(&mut self, what: impl Into<String>, hint: impl Into<String>) {
        self.0.push((what.into(), Some(hint.into())));
    }

    /// Adds an error that says itself what to do.
    pub(super) fn tell(&mut self, error: impl std::fmt::Display) {
        self.0.push((error.to_string(), None));
    }

    pub(super) fn refuse_if_any(self, status: ExitStatus) -> Result<(), Refusal> {
        if self.0.is_empty() {
            return Ok(());
        }
        let lines: Vec<String> = self
            .0
            .into_iter()
            .map(|(what, hint)| match hint {
                Some(hint) => format!("{what}\n  hint: {hint}"),
                None => what,
            })
            .collect();
        let what = lines.join("\nkneepoint: ");
        Err(Refusal::new(status, format!("{what}\nkneepoint: no load was sent")))
    }
}

/// Checks and opens everything that `plan` needs. Relative paths in it start at `folder`.
///
/// With `lenient`, a collector that cannot be opened is told of and left out.
pub(super) fn prepare(
    plan: Plan,
    folder: &Path,
    lenient: bool,
    interrupt: Arc<AtomicBool>,
) -> Result<RunConfig, Refusal> {
    let mut problems = Problems::default();
    refuse_foreign_hosts(&plan, &mut problems);
    let mut load = load_config(&plan, folder, &mut problems);
    let has_files = problems.0.is_empty();
    let place = find(&load.target, &mut problems);
    let is_local = place.as_ref().is_some_and(|place| is_local(place, &load.target));
    let (opened, left_out) = open_collectors(&plan, &load.target, is_local, lenient, &mut problems);
    let target_said = match place {
        Some(_) if has_files => meet(&plan, &mut load, &mut problems),
        Some(place) => {
            connect(&place, &mut problems);
            String::new()
        }
        None => String::new(),
    };
    warn_of_blindness(&load.target, !plan.websockets.is_empty());
    warn_of_ports(&plan);
    problems.refuse_if_any(ExitStatus::Preflight)?;
    for what in left_out {
        say(format_args!("kneepoint: {what}; it is left out"));
    }
    let environment = Environment {
        collectors: notes(&opened, &plan.canaries, &plan.websockets),
        ..environment(target_said, is_local)
    };
    Ok(RunConfig { collectors: opened, environment, ..run_config(plan, load, interrupt) })
}

/// The load generator's part of a plan; what cannot be read is a problem.
pub(super) fn load_config(plan: &Plan, folder: &Path, problems: &mut Problems) -> LoadConfig {
    LoadConfig {
        data: data::resolve(plan, folder, problems),
        flows: data::flows(plan, folder, problems),
        journeys: plan.journeys.clone(),
        pem: read_pem(&plan.target, folder, problems),
        target: Target {
            unix_socket: plan.target.unix_socket.as_ref().map(|path| path_in(folder, path)),
            ..plan.target.clone()
        },
        requests: plan.requests.clone(),
        max_in_flight: plan.limits.max_in_flight,
        max_rate: plan.limits.max_rate,
        workers: None,
        seed: plan.seed,
        generator: host_name(),
    }
}

/// A run of `plan`, which begins now and watches nothing yet.
pub(super) fn run_config(plan: Plan, load: LoadConfig, interrupt: Arc<AtomicBool>) -> RunConfig {
    RunConfig {
        plan: PlanSummary::of(&plan),
        environment: environment(String::new(), false),
        requests_per_journey: plan
            .scenarios
            .iter()
            .map(|scenario| plan.requests_per_journey(scenario))
            .collect(),
        scenarios: plan.scenarios,
        limits: plan.limits,
        load,
        canaries: plan.canaries,
        websockets: plan.websockets,
        collectors: Vec::new(),
        started: Instant::now(),
        interrupt,
    }
}

/// Opens what watches the target; what cannot be opened, and nobody needs, is told apart.
fn open_collectors(
    plan: &Plan,
    target: &Target,
    is_local: bool,
    lenient: bool,
    problems: &mut Problems,
) -> (Vec<Opened>, Vec<String>) {
    let configs = with_defaults(plan.collectors.clone(), is_local);
    let hint = TargetHint {
        port: plan.target.url.port,
        socket: target.unix_socket.clone(),
        is_shared: shares_connections(target) || !plan.websockets.is_empty(),
        is_local,
        process: TARGET_PROCESS.to_owned(),
        process_config: configs.iter().find(|config| config.name == "process").cloned(),
    };
    let (opened, failed) = open_all(&configs, &hint);
    let mut left_out = Vec::new();
    for (config, error) in failed {
        let asked_for = plan.collectors.iter().any(|asked| asked.name == config.name);
        let what = format!("collector `{}`: {}", config.instance, error.what);
        if error.is_absent && !asked_for {
            continue;
        }
        if lenient || !asked_for {
            left_out.push(what);
        } else {
            problems.add(what, error.hint);
        }
    }
    (opened, left_out)
}

/// The plan's collectors, and those that need nothing said: the machine, kneepoint itself, and,
/// where the target runs here, its processes, threads, sockets, JVMs and disks.
fn with_defaults(mut configs: Vec<CollectorConfig>, is_local: bool) -> Vec<CollectorConfig> {
    let usual: &[&str] = if is_local {
        &["host", "process", "tcp", "threads", "jvm", "disk", "generator"]
    } else {
        &["generator"]
    };
    for name in usual {
        if !configs.iter().any(|config| config.name == *name) {
            configs.push(CollectorConfig::new(name));
        }
    }
    configs
}

/// What is watched, and what the canaries probe.
fn notes(opened: &[Opened], canaries: &[Canary], websockets: &[WebSocket]) -> Vec<CollectorNote> {
    let probed = canaries.iter().map(|Canary { request, rate }| {
        let path = String::from(request.path.clone());
        format!("{} {path} at {}", request.method, wording::rate(*rate))
    });
    let canary = (!canaries.is_empty()).then(|| CollectorNote {
        name: names::CANARY.to_owned(),
        instance: names::CANARY.to_owned(),
        watches: probed.collect::<Vec<_>>().join(", "),
        interval_secs: 1.0,
    });
    let held = websockets.iter().map(|WebSocket { request, sessions, .. }| {
        let path = String::from(request.path.clone());
        format!("{} at {path}", wording::plural(*sessions as u64, "session", "sessions"))
    });
    let websocket = (!websockets.is_empty()).then(|| CollectorNote {
        name: names::WEBSOCKET.to_owned(),
        instance: names::WEBSOCKET.to_owned(),
        watches: held.collect::<Vec<_>>().join(", "),
        interval_secs: 1.0,
    });
    let collectors = opened.iter().map(|opened| CollectorNote {
        name: opened.spec.name.to_owned(),
        instance: opened.config.instance.clone(),
        watches: opened.collector.watches(),
        interval_secs: opened.interval().as_secs_f64(),
    });
    collectors.chain(canary).chain(websocket).collect()
}

/// Where the run happens. It begins now: moment zero comes after all that may take its time.
fn environment(target: String, target_is_local: bool) -> Environment {
    let started_unix =
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    let memory_bytes = sysinfo::System::new().map_or(0, |mut system| {
        system.refresh_memory();
        system.total_memory()
    });
    Environment {
        kneepoint: env!("CARGO_PKG_VERSION").to_owned(),
        host: host_name(),
        kernel: sysinfo::System::kernel_long_version().unwrap_or_default(),
        cores: std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32),
        memory_bytes,
        started_unix,
        target,
        target_is_local,
        collectors: Vec::new(),
    }
}

fn host_name() -> String {
    sysinfo::System::host_name().unwrap_or_else(|_| "localhost".to_owned())
}
