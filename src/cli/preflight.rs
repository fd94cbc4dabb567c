//! Before any load: everything that a run needs is read, resolved, opened and tried, and all
//! that is wrong is told at once.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::args::CheckArgs;
use super::{Ended, ExitStatus, Refusal, print, say};
use crate::collect::{COLLECTORS, Opened, TargetHint, is_own_address, open_all};
use crate::load::{self, LoadConfig, LoadError, ResolvedData, ResolvedValues};
use crate::plan::{
    self, Canary, CollectorConfig, CollectorShape, Connections, DataSource, DataValues, Executor,
    Plan, Target, Tls,
};
use crate::recording::{CollectorNote, Environment, PlanSummary};
use crate::report::wording;
use crate::run::RunConfig;
use crate::timeline::names;

/// A connection of the preflight may take so long where no request can be made yet.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The series of the target carry this label where the plan gives its process no other name.
const TARGET_PROCESS: &str = "target";
/// Local ports stay taken for a minute after their connection was closed.
const TIME_WAIT: f64 = 60.0;

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
    resolve_data(&plan.data, folder, &mut problems);
    read_ca(&plan.target, folder, &mut problems);
    problems.refuse_if_any(ExitStatus::Usage)?;
    let text = format!(
        "{} is fine: {} against {}, {}{}\n",
        args.plan.display(),
        wording::plural(plan.requests.len() as u64, "request", "requests"),
        plan.target.url,
        load_in_words(&plan.load),
        canaries_in_words(&plan.canaries),
    );
    print(text.as_bytes())
}

fn canaries_in_words(canaries: &[Canary]) -> String {
    match canaries.len() as u64 {
        0 => String::new(),
        count => format!(", with {}", wording::plural(count, "canary", "canaries")),
    }
}

fn load_in_words(executor: &Executor) -> String {
    match executor {
        Executor::ConstantArrivalRate { rate, duration } => {
            format!("{} for {}", wording::rate(*rate), wording::duration(duration.as_secs_f64()))
        }
        Executor::RampingArrivalRate { stages, .. } => {
            let highest = stages.iter().map(|stage| stage.target).fold(0.0, f64::max);
            let total: f64 = stages.iter().map(|stage| stage.duration.as_secs_f64()).sum();
            format!("ramping to {} within {}", wording::rate(highest), wording::duration(total))
        }
        Executor::Steps { rates, hold } => format!(
            "{}, each held {}",
            wording::plural(rates.len() as u64, "step", "steps"),
            wording::duration(hold.as_secs_f64())
        ),
        Executor::Soak(soak) => format!(
            "soaking at {} for {}{}",
            wording::rate(soak.rate),
            wording::duration(soak.duration.as_secs_f64()),
            if soak.until_settled { ", or until it is settled what leaks" } else { "" }
        ),
        Executor::Breakpoint(search) => format!(
            "searching for the breakpoint from {} up to {}",
            wording::rate(search.start_rate),
            wording::rate(search.max_rate)
        ),
    }
}

/// All that is wrong, so that it is told at once.
#[derive(Default)]
struct Problems(Vec<(String, Option<String>)>);

impl Problems {
    fn add(&mut self, what: impl Into<String>, hint: impl Into<String>) {
        self.0.push((what.into(), Some(hint.into())));
    }

    /// Adds an error that says itself what to do.
    fn tell(&mut self, error: impl std::fmt::Display) {
        self.0.push((error.to_string(), None));
    }

    fn refuse_if_any(self, status: ExitStatus) -> Result<(), Refusal> {
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
    let load = LoadConfig {
        data: resolve_data(&plan.data, folder, &mut problems),
        ca_pem: read_ca(&plan.target, folder, &mut problems),
        target: plan.target.clone(),
        requests: plan.requests.clone(),
        max_in_flight: plan.limits.max_in_flight,
        max_rate: plan.limits.max_rate,
        workers: None,
        seed: plan.seed,
        arrivals: plan.arrivals,
        generator: host_name(),
    };
    let has_files = problems.0.is_empty();
    // What the canaries ask has to work as well, and needs its own descriptors.
    let all = LoadConfig {
        requests: plan
            .requests
            .iter()
            .chain(plan.canaries.iter().map(|canary| &canary.request))
            .cloned()
            .collect(),
        max_in_flight: load.max_in_flight + plan.canaries.len() * Canary::MAX_IN_FLIGHT,
        ..load.clone()
    };
    if let Err(error) = load::make_room(&all) {
        problems.tell(error);
    }
    let address = resolve(&plan.target, &mut problems);
    let is_local = address.is_some_and(|address| is_own_address(address.ip()));
    let target_said = match address {
        Some(_) if has_files => probe(&all, &mut problems),
        Some(address) => {
            connect(address, &mut problems);
            String::new()
        }
        None => String::new(),
    };
    warn_of_ports(&plan);

    let configs = with_defaults(plan.collectors.clone(), is_local);
    let hint = TargetHint {
        port: plan.target.url.port,
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
    problems.refuse_if_any(ExitStatus::Preflight)?;
    for what in left_out {
        say(format_args!("kneepoint: {what}; it is left out"));
    }
    // Moment zero comes after all that may take its time.
    let started = Instant::now();
    let started_unix =
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    Ok(RunConfig {
        plan: PlanSummary::of(&plan),
        environment: Environment {
            collectors: notes(&opened, &plan.canaries),
            ..environment(started_unix, target_said, is_local)
        },
        executor: plan.load,
        limits: plan.limits,
        load,
        canaries: plan.canaries,
        collectors: opened,
        started,
        interrupt,
    })
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
fn notes(opened: &[Opened], canaries: &[Canary]) -> Vec<CollectorNote> {
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
    let collectors = opened.iter().map(|opened| CollectorNote {
        name: opened.spec.name.to_owned(),
        instance: opened.config.instance.clone(),
        watches: opened.collector.watches(),
        interval_secs: opened.interval().as_secs_f64(),
    });
    collectors.chain(canary).collect()
}

fn environment(started_unix: f64, target: String, target_is_local: bool) -> Environment {
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

fn resolve_data(
    sources: &BTreeMap<String, DataSource>,
    folder: &Path,
    problems: &mut Problems,
) -> BTreeMap<String, ResolvedData> {
    let mut resolved = BTreeMap::new();
    for (name, source) in sources {
        let values = match &source.values {
            DataValues::Range(first, last) => ResolvedValues::Range(*first, *last),
            DataValues::List(values) => ResolvedValues::List(values.clone().into()),
            DataValues::Hidden(values) => {
                ResolvedValues::List(values.iter().map(|value| value.reveal().to_owned()).collect())
            }
            DataValues::Csv { path, column } => match read_column(&folder.join(path), column) {
                Ok(values) => ResolvedValues::List(values.into()),
                Err(why) => {
                    problems.add(
                        format!("data `{name}`: {why}"),
                        "the path is relative to the plan, and the file starts with a header line",
                    );
                    continue;
                }
            },
        };
        resolved.insert(name.clone(), ResolvedData { values, order: source.order });
    }
    resolved
}

fn read_column(path: &PathBuf, column: &str) -> Result<Vec<String>, String> {
    let shown = path.display();
    let mut reader =
        csv::Reader::from_path(path).map_err(|error| format!("cannot read `{shown}`: {error}"))?;
    let header = reader.headers().map_err(|error| format!("cannot read `{shown}`: {error}"))?;
    let index = header.iter().position(|name| name == column).ok_or_else(|| {
        let names: Vec<_> = header.iter().collect();
        format!("`{shown}` has no column `{column}`, but {}", names.join(", "))
    })?;
    let mut values = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| format!("cannot read `{shown}`: {error}"))?;
        values.push(record.get(index).unwrap_or_default().to_owned());
    }
    if values.is_empty() { Err(format!("`{shown}` has no line of data")) } else { Ok(values) }
}

fn read_ca(target: &Target, folder: &Path, problems: &mut Problems) -> Option<Vec<u8>> {
    let Tls::CaFile(path) = &target.tls else { return None };
    match std::fs::read(folder.join(path)) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            problems.add(
                format!("cannot read the CA file `{path}`: {error}"),
                "the path is relative to the plan",
            );
            None
        }
    }
}

fn resolve(target: &Target, problems: &mut Problems) -> Option<SocketAddr> {
    let url = &target.url;
    match (url.host.as_str(), url.port).to_socket_addrs().map(|mut found| found.next()) {
        Ok(Some(address)) => Some(address),
        Ok(None) => {
            problems.add(format!("`{}` has no address", url.host), "check the target's url");
            None
        }
        Err(error) => {
            problems.add(
                format!("cannot resolve `{}`: {error}", url.host),
                "check the target's url, or give an address instead of a name",
            );
            None
        }
    }
}

/// Tries whether anybody listens, where a file is missing without which no request can be made.
fn connect(address: SocketAddr, problems: &mut Problems) {
    if let Err(error) = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
        problems.add(
            format!("cannot connect to `{address}`: {error}"),
            "start the target, or check host and port of `url` in [target]",
        );
    }
}

/// Sends one request of each kind; returns what the target said of itself.
fn probe(load: &LoadConfig, problems: &mut Problems) -> String {
    let reports = match load::probe(load, load.target.timeout) {
        Ok(reports) => reports,
        Err(errors) => {
            without_response(errors, problems);
            return String::new();
        }
    };
    let mut said: Vec<String> = Vec::new();
    for report in &reports {
        let server = report.server.as_deref().unwrap_or("no Server header");
        let line = format!("{} ({server})", report.peer);
        if !said.contains(&line) {
            said.push(line);
        }
        if report.status >= 400 {
            problems.add(
                format!("request `{}` is answered with {}", report.endpoint, report.status),
                "a run measures a system that works: mend the path, headers or body, or leave \
                 the request out",
            );
        }
    }
    said.join(", ")
}

/// Tells requests that failed in the same way together.
fn without_response(errors: Vec<LoadError>, problems: &mut Problems) {
    let mut groups: Vec<(String, &'static str, Vec<String>)> = Vec::new();
    for error in errors {
        let LoadError::NoResponse { endpoint, address, class, reason, hint } = error else {
            problems.tell(error);
            continue;
        };
        let how = format!("no response from `{address}` ({class}): {reason}");
        match groups.iter_mut().find(|(known, ..)| *known == how) {
            Some((.., endpoints)) => endpoints.push(endpoint),
            None => groups.push((how, hint, vec![endpoint])),
        }
    }
    for (how, hint, endpoints) in groups {
        let requests = if endpoints.len() == 1 { "request" } else { "requests" };
        problems.add(format!("{requests} `{}` got {how}", endpoints.join("`, `")), hint);
    }
}

/// A connection per request uses up local ports, which shows as connection failures that are not
/// the target's.
fn warn_of_ports(plan: &Plan) {
    if plan.target.connections != Connections::PerRequest {
        return;
    }
    let Ok(range) = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range") else {
        return;
    };
    let bounds: Vec<f64> = range.split_whitespace().filter_map(|port| port.parse().ok()).collect();
    if let [first, last] = bounds[..] {
        let sustained = (last - first + 1.0) / TIME_WAIT;
        if plan.limits.max_rate > sustained {
            say(format_args!(
                "kneepoint: with a connection per request this machine's ports carry about {} \
                 for longer than a minute",
                wording::rate(sustained)
            ));
        }
    }
}
