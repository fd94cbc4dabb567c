//! Before any load: everything that a run needs is read, resolved, opened and tried, and all
//! that is wrong is told at once.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::args::CheckArgs;
use super::{Ended, ExitStatus, Refusal, data, once, print, say};
use crate::collect::{COLLECTORS, Opened, TargetHint, is_own_address, open_all};
use crate::load::{self, LoadConfig, LoadError, PemFiles};
use crate::plan::{
    self, Canary, CollectorConfig, CollectorShape, Connections, Executor, HttpVersion, Journey,
    Plan, Target, Trust, WebSocket, is_allowed_host,
};
use crate::recording::{CollectorNote, Environment, PlanSummary};
use crate::report::wording;
use crate::run::RunConfig;
use crate::timeline::names;

/// A connection of the preflight may take so long where no request can be made yet.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The series of the target carry this label where the plan gives its process no other name.
const TARGET_PROCESS: &str = "target";
/// The hosts that anyone on this machine may load, with commas between them; any where it is not set.
const HOSTS: &str = "KNEEPOINT_HOSTS";
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
    data::resolve(&plan, folder, &mut problems);
    data::flows(&plan, folder, &mut problems);
    read_pem(&plan.target, folder, &mut problems);
    problems.refuse_if_any(ExitStatus::Usage)?;
    let text = format!(
        "{} is fine: {} against {}, {}{}\n",
        args.plan.display(),
        wording::plural(plan.requests.len() as u64, "request", "requests"),
        plan.target.url,
        in_words(&plan),
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

fn in_words(plan: &Plan) -> String {
    let several = plan.scenarios.len() > 1;
    let scenarios = plan.scenarios.iter().map(|scenario| {
        let name = if several { format!("{}: ", scenario.name) } else { String::new() };
        let start = match scenario.start.is_zero() {
            true => String::new(),
            false => format!(" from {} on", wording::duration(scenario.start.as_secs_f64())),
        };
        format!("{name}{}{start}", load_in_words(&scenario.executor))
    });
    scenarios.collect::<Vec<_>>().join("; ")
}

pub(super) fn load_in_words(executor: &Executor) -> String {
    let time = |duration: &Duration| wording::duration(duration.as_secs_f64());
    let users = |vus: u32| wording::plural(u64::from(vus), "virtual user", "virtual users");
    match executor {
        Executor::ConstantArrivalRate { rate, duration } => {
            format!("{} for {}", wording::rate(*rate), time(duration))
        }
        Executor::RampingArrivalRate { .. } => {
            let total = executor.length().unwrap_or_default();
            format!("ramping to {} within {}", wording::rate(executor.highest_rate()), time(&total))
        }
        Executor::Steps { rates, hold } => format!(
            "{}, each held {}",
            wording::plural(rates.len() as u64, "step", "steps"),
            time(hold)
        ),
        Executor::ConstantVus { vus, duration } => {
            format!("{} for {}", users(*vus), time(duration))
        }
        Executor::RampingVus { .. } => {
            let total = executor.length().unwrap_or_default();
            format!("ramping to {} within {}", users(executor.most_vus()), time(&total))
        }
        Executor::PerVuIterations { vus, iterations, .. } => format!(
            "{}, each {}",
            users(*vus),
            wording::plural(*iterations, "iteration", "iterations")
        ),
        Executor::SharedIterations { vus, iterations, .. } => format!(
            "{} by {}",
            wording::plural(*iterations, "iteration", "iterations"),
            users(*vus)
        ),
        Executor::Replay { trace, speed } if *speed == 1.0 => format!("replaying `{trace}`"),
        Executor::Replay { trace, speed } => {
            format!("replaying `{trace}` {speed} times as fast")
        }
        Executor::Soak(soak) => format!(
            "soaking at {} for {}{}",
            wording::rate(soak.rate),
            time(&soak.duration),
            if soak.until_settled { ", or until it is settled what leaks" } else { "" }
        ),
        Executor::Breakpoint(search) => format!(
            "searching for the breakpoint from {} up to {}",
            wording::rate(search.start_rate),
            wording::rate(search.max_rate)
        ),
        Executor::Capacity(search) => format!(
            "searching for the highest rate that meets the objectives, from {} up to {}",
            wording::rate(search.start_rate),
            wording::rate(search.max_rate)
        ),
    }
}

/// All that is wrong, so that it is told at once.
#[derive(Default)]
pub(super) struct Problems(Vec<(String, Option<String>)>);

impl Problems {
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
    warn_of_blindness(&load.target);
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
        teardown: plan.teardown,
        load,
        canaries: plan.canaries,
        websockets: plan.websockets,
        collectors: Vec::new(),
        started: Instant::now(),
        interrupt,
    }
}

/// A target that neither the plan nor this machine allows is a problem.
fn refuse_foreign_hosts(plan: &Plan, problems: &mut Problems) {
    let host = &plan.target.url.host;
    let variable = std::env::var(HOSTS).ok();
    let machine: Vec<String> = variable
        .iter()
        .flat_map(|hosts| hosts.split(','))
        .map(|host| host.trim().to_owned())
        .filter(|host| !host.is_empty())
        .collect();
    let lists = [(&plan.limits.hosts, "`hosts` in [limits]"), (&machine, HOSTS)];
    for (allowed, whose) in lists {
        if !allowed.is_empty() && !is_allowed_host(host, allowed) {
            problems.add(
                format!("`{host}` may not be loaded: {whose} allows `{}`", allowed.join("`, `")),
                "check `url` in [target], or add the host if it is meant",
            );
        }
    }
}

/// Does the setup, and tries everything that will be sent. Returns what the target said of itself.
/// A setup changes something, so that nothing else may be wrong by then.
fn meet(plan: &Plan, load: &mut LoadConfig, problems: &mut Problems) -> String {
    // What the canaries ask has to work as well, and needs its own descriptors.
    let room = LoadConfig {
        max_in_flight: load.max_in_flight
            + plan.canaries.len() * Canary::MAX_IN_FLIGHT
            + plan.websockets.iter().map(|websocket| websocket.sessions).sum::<usize>(),
        ..load.clone()
    };
    if let Err(error) = load::make_room(&room) {
        problems.tell(error);
    }
    if !plan.setup.is_empty() {
        if problems.0.is_empty() {
            once::set_up(plan, load, problems);
        }
        if !problems.0.is_empty() {
            return String::new();
        }
    }
    let canaries = plan.canaries.iter().map(|canary| canary.request.clone());
    let journeys = plan.canaries.iter().enumerate().map(|(index, canary)| {
        Journey::of_one(canary.request.name.clone(), 1.0, plan.requests.len() + index)
    });
    let all = LoadConfig {
        requests: load.requests.iter().cloned().chain(canaries).collect(),
        journeys: load.journeys.iter().cloned().chain(journeys).collect(),
        ..load.clone()
    };
    let before = problems.0.len();
    let said = probe(&all, problems);
    // What keeps requests from being answered keeps sessions from being opened.
    let is_fine = problems.0.len() == before;
    for websocket in plan.websockets.iter().filter(|_| is_fine) {
        if let Err(error) = load::probe_websocket(websocket, load) {
            problems.tell(error);
        }
    }
    said
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

/// Whether the target runs on this machine.
fn is_local(place: &Place, target: &Target) -> bool {
    match place {
        // Where this machine does not know the target's name, the proxy does.
        Place::Host(_) if target.proxy.is_some() => {
            let url = &target.url;
            let mut found = (url.host.as_str(), url.port).to_socket_addrs().into_iter().flatten();
            found.any(|address| is_own_address(address.ip()))
        }
        Place::Host(address) => is_own_address(address.ip()),
        Place::Socket(_) => true,
    }
}

/// Tells what will not be seen of this target.
fn warn_of_blindness(target: &Target) {
    if let Some(path) = &target.unix_socket {
        say(format_args!(
            "kneepoint: `{path}` is no TCP port: connections to the target and its accept queue \
             cannot be watched"
        ));
    }
    if target.version != HttpVersion::Http1 && target.streams > 1 {
        say(format_args!(
            "kneepoint: requests of HTTP/2 share connections: what sockets tell of requests that \
             are being served is a lower bound"
        ));
    }
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

/// The certificates and the key that the plan names, read and tried.
fn read_pem(target: &Target, folder: &Path, problems: &mut Problems) -> PemFiles {
    let before = problems.0.len();
    let mut read = |path: Option<&String>, what: &str| {
        let path = path?;
        std::fs::read(folder.join(path))
            .map_err(|error| {
                problems.add(
                    format!("cannot read the {what} `{path}`: {error}"),
                    "the path is relative to the plan",
                );
            })
            .ok()
    };
    let identity = target.tls.identity.as_ref();
    let ca_file = match &target.tls.trust {
        Trust::CaFile(path) => Some(path),
        Trust::SystemRoots | Trust::Insecure => None,
    };
    let files = PemFiles {
        ca: read(ca_file, "CA file"),
        cert: read(identity.map(|identity| &identity.cert_file), "certificate file"),
        key: read(identity.map(|identity| &identity.key_file), "key file"),
    };
    if problems.0.len() == before
        && let Err(error) = load::check_tls(target, &files)
    {
        problems.tell(error);
    }
    files
}

/// Where the target is.
enum Place {
    Host(SocketAddr),
    Socket(String),
}

fn find(target: &Target, problems: &mut Problems) -> Option<Place> {
    match (&target.unix_socket, &target.proxy) {
        (Some(path), _) => Some(Place::Socket(path.clone())),
        (None, Some(proxy)) => resolve(&proxy.host, proxy.port, "proxy", problems),
        (None, None) => resolve(&target.url.host, target.url.port, "url", problems),
    }
}

/// A path of the plan as one of this process.
fn path_in(folder: &Path, path: &str) -> String {
    folder.join(path).display().to_string()
}

/// The address of a host that `key` of [target] names.
fn resolve(host: &str, port: u16, key: &str, problems: &mut Problems) -> Option<Place> {
    match (host, port).to_socket_addrs().map(|mut found| found.next()) {
        Ok(Some(address)) => Some(Place::Host(address)),
        Ok(None) => {
            problems.add(format!("`{host}` has no address"), format!("check `{key}` in [target]"));
            None
        }
        Err(error) => {
            problems.add(
                format!("cannot resolve `{host}`: {error}"),
                format!("check `{key}` in [target], or give an address instead of a name"),
            );
            None
        }
    }
}

/// Tries whether anybody listens, where a file is missing without which no request can be made.
fn connect(place: &Place, problems: &mut Problems) {
    match place {
        Place::Host(address) => {
            if let Err(error) = TcpStream::connect_timeout(address, CONNECT_TIMEOUT) {
                problems.add(
                    format!("cannot connect to `{address}`: {error}"),
                    "start the target, or check host and port of `url` (or `proxy`) in [target]",
                );
            }
        }
        Place::Socket(path) => {
            if let Err(error) = UnixStream::connect(path) {
                problems.add(
                    format!("cannot connect to `{path}`: {error}"),
                    "start the target, or check `unix_socket` in [target]",
                );
            }
        }
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
        for missed in &report.missed {
            problems.add(
                format!("request `{}`: {missed}", report.endpoint),
                "a run measures a system that works: mend the request, or what the plan expects",
            );
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
pub(super) fn without_response(errors: Vec<LoadError>, problems: &mut Problems) {
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
