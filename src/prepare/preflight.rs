//! Before any load: everything that a run needs is read, resolved, opened and tried.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::agents;
use super::config::{RunConfig, environment, read_load, run_config};
use super::files::PlanFiles;
use super::problems::Problems;
use super::setup::Teardown;
use super::target::{
    TargetAddress, blindness, connect, few_ports, find, meet, path_in, refuse_foreign_hosts,
    shares_connections, whereabouts,
};
use super::warning::Warning;
use crate::collect::{
    FoundServices, Located, Opened, OwnPage, TargetHint, open_all, with_defaults,
};
use crate::plan::{Canary, Plan, Target, WebSocket};
use crate::recording::{AgentNote, CollectorNote, Environment};
use crate::remote::{Bus, RunningAgent};
use crate::timeline::names;

/// The series of the target carry this label where the plan gives its process no other name.
const TARGET_PROCESS: &str = "target";

/// What a plan does not say of its run.
pub struct Options {
    /// Where relative paths in the plan start.
    pub folder: PathBuf,
    /// Whether the run goes on without a collector that cannot be opened.
    pub lenient: bool,
    /// Whether the run goes on although a request fails each time that it is tried.
    pub allow_failing: bool,
    /// Set it to end the run early.
    pub interrupt: Arc<AtomicBool>,
    /// The bus that agents dial in to, if there is one.
    pub bus: Option<Arc<Bus>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            folder: ".".into(),
            lenient: false,
            allow_failing: false,
            interrupt: Arc::default(),
            bus: None,
        }
    }
}

/// A run that can start.
pub struct Prepared {
    /// What [`run::run`](crate::run::run) takes.
    pub config: RunConfig,
    /// What is to be done once the run is over.
    pub teardown: Teardown,
    /// What a person should know beforehand.
    pub warnings: Vec<Warning>,
}

/// Checks and opens everything that `plan` needs.
///
/// # Errors
/// Everything that is wrong. Nothing was sent by then but the beginning of a request (see
/// [`locate`](crate::collect::locate)), one request of each kind, a few more of those that failed, and
/// the plan's setup where nothing else was wrong.
pub fn prepare(plan: Plan, options: Options) -> Result<Prepared, Problems> {
    let Options { folder, lenient, allow_failing, interrupt, bus } = options;
    let mut problems = Problems::default();
    refuse_foreign_hosts(&plan, &mut problems);
    let mut load = read_load(&plan, &PlanFiles::below(&folder), &mut problems);
    let has_files = problems.is_empty();
    let address = find(&load.target, &mut problems);
    let Opening {
        collectors: opened,
        agents,
        notes_of_agents,
        is_local,
        own_page,
        warnings: of_collectors,
        ..
    } = look_into(&plan, &load.target, address.as_ref(), (lenient, bus.as_ref()), &mut problems);
    let mut failing = Vec::new();
    let target_said = match address {
        Some(_) if has_files => meet(&plan, &mut load, allow_failing, &mut problems, &mut failing),
        Some(address) => {
            connect(&address, &mut problems);
            String::new()
        }
        None => String::new(),
    };
    let warnings = blindness(&load.target, !plan.websockets.is_empty())
        .into_iter()
        .chain(few_ports(&plan))
        .chain(of_collectors)
        .chain(failing)
        .collect();
    let teardown = Teardown { steps: plan.teardown.clone(), load: load.clone() };
    let environment = Environment {
        collectors: notes(&opened, &agents, &plan.canaries, &plan.websockets),
        agents: notes_of_agents,
        ..environment(target_said, is_local)
    };
    let config = run_config(plan, load, interrupt);
    let config = RunConfig { collectors: opened, agents, own_page, environment, ..config };
    problems.or(Prepared { config, teardown, warnings })
}

/// A target whose load somebody else makes, ready to be watched.
pub struct Observed {
    /// The collectors, opened.
    pub collectors: Vec<Opened>,
    /// The agents, which collect already.
    pub agents: Vec<RunningAgent>,
    /// Where it happens; `started_unix` is moment zero.
    pub environment: Environment,
    /// The instant of moment zero.
    pub started: Instant,
    /// The port that the load reaches, where the target listens.
    pub port: u16,
    /// What a person should know beforehand.
    pub warnings: Vec<Warning>,
}

/// Opens what watches the target of `plan`, and sends it nothing but a connection. Nothing of the
/// plan's load is used.
///
/// # Errors
/// Everything that is wrong.
pub fn observe(plan: &Plan, folder: &Path, lenient: bool) -> Result<Observed, Problems> {
    let mut problems = Problems::default();
    let target = Target {
        unix_socket: plan.target.unix_socket.as_ref().map(|path| path_in(folder, path)),
        ..plan.target.clone()
    };
    let address = find(&target, &mut problems);
    let Opening { collectors, agents, notes_of_agents, is_local, port, warnings, .. } =
        look_into(plan, &target, address.as_ref(), (lenient, None), &mut problems);
    if let Some(address) = &address {
        connect(address, &mut problems);
    }
    let warnings = blindness(&target, false).into_iter().chain(warnings).collect();
    let environment = Environment {
        collectors: notes(&collectors, &agents, &[], &[]),
        agents: notes_of_agents,
        ..environment(String::new(), is_local)
    };
    let started = Instant::now();
    problems.or(Observed { collectors, agents, environment, started, port, warnings })
}

/// The collectors of a target that was found.
struct Opening {
    collectors: Vec<Opened>,
    agents: Vec<RunningAgent>,
    notes_of_agents: Vec<AgentNote>,
    is_local: bool,
    /// The port on which the target itself listens.
    port: u16,
    own_page: OwnPage,
    warnings: Vec<Warning>,
}

/// Finds out where the target runs, and opens what watches it there.
fn look_into(
    plan: &Plan,
    target: &Target,
    address: Option<&TargetAddress>,
    (lenient, bus): (bool, Option<&Arc<Bus>>),
    problems: &mut Problems,
) -> Opening {
    let mut warnings = Vec::new();
    let contact = address.filter(|_| problems.is_empty()).and_then(|it| it.contact(target));
    let greeted = agents::greet(plan, contact, (lenient, bus), problems, &mut warnings);
    // The series of the target come from one place.
    let located = match greeted.has_target() {
        true => {
            let port = greeted.target_port().unwrap_or(target.url.port);
            Located { port, ..Located::default() }
        }
        false => {
            let located = whereabouts(address, target, problems.is_empty());
            Located { is_local: located.is_local || names_container(plan), ..located }
        }
    };
    let is_local = located.is_local || greeted.has_target_on_this_machine();
    let port = located.port;
    warnings.extend(located.is_hidden.then_some(Warning::NoRights));
    let own_page = OwnPage::default();
    let (collectors, left_out) =
        open_collectors(plan, target, (located, own_page.clone()), lenient, problems);
    warnings.extend(left_out);
    let task = agents::Task {
        port: target.url.port,
        address: contact.map(|(address, _)| address.ip()),
        is_local,
        is_shared: is_shared(plan, target),
        process: TARGET_PROCESS,
        lenient,
        taken: collectors.iter().map(|opened| opened.config.instance.clone()).collect(),
    };
    let (agents, notes_of_agents) = greeted.open(&task, problems, &mut warnings);
    Opening { collectors, agents, notes_of_agents, is_local, port, own_page, warnings }
}

/// Whether connections carry more than one request at a time.
fn is_shared(plan: &Plan, target: &Target) -> bool {
    shares_connections(target) || !plan.websockets.is_empty()
}

/// Whether the plan says in which container of this machine the target is.
fn names_container(plan: &Plan) -> bool {
    let mut processes = plan.collectors.iter().filter(|config| config.name == "process");
    processes.any(|config| config.text("container").is_some())
}

/// Opens what watches the target; what cannot be opened, and nobody needs, is a warning.
fn open_collectors(
    plan: &Plan,
    target: &Target,
    (located, own_page): (Located, OwnPage),
    lenient: bool,
    problems: &mut Problems,
) -> (Vec<Opened>, Vec<Warning>) {
    let configs = with_defaults(plan.collectors.clone(), located.is_local);
    let hint = TargetHint {
        port: located.port,
        network: located.network,
        forwarders: located.forwarders,
        socket: target.unix_socket.clone(),
        is_shared: is_shared(plan, target),
        is_local: located.is_local,
        process: TARGET_PROCESS.to_owned(),
        process_config: configs.iter().find(|config| config.name == "process").cloned(),
        services: FoundServices::default(),
        own_page,
    };
    let (opened, failed) = open_all(&configs, &hint);
    // Where the target cannot be looked into, most collectors fail for one reason.
    let mut left_out: Vec<(String, Vec<String>)> = Vec::new();
    for (config, error) in failed {
        let asked_for = plan.collectors.iter().any(|asked| asked.name == config.name);
        if error.is_absent && !asked_for {
            continue;
        }
        let name = format!("`{}`", config.instance);
        if !lenient && asked_for {
            problems.add(format!("collector {name}: {}", error.what), error.hint);
        } else if let Some((_, names)) = left_out.iter_mut().find(|(why, _)| *why == error.what) {
            names.push(name);
        } else {
            left_out.push((error.what, vec![name]));
        }
    }
    let left_out = left_out.into_iter().map(|(why, names)| {
        let plural = if names.len() == 1 { "" } else { "s" };
        Warning::LeftOut { what: format!("collector{plural} {}: {why}", names.join(", ")) }
    });
    (opened, left_out.collect())
}

/// What is watched, and what the canaries probe.
fn notes(
    opened: &[Opened],
    agents: &[RunningAgent],
    canaries: &[Canary],
    websockets: &[WebSocket],
) -> Vec<CollectorNote> {
    let probed = canaries.iter().map(|Canary { request, rate }| {
        let path = String::from(request.path.clone());
        format!("{} {path} at {rate} requests/s", request.method)
    });
    let canary = (!canaries.is_empty()).then(|| CollectorNote {
        name: names::CANARY.to_owned(),
        instance: names::CANARY.to_owned(),
        watches: probed.collect::<Vec<_>>().join(", "),
        interval_secs: 1.0,
    });
    let held = websockets.iter().map(|WebSocket { request, sessions, .. }| {
        let path = String::from(request.path.clone());
        let plural = if *sessions == 1 { "" } else { "s" };
        format!("{sessions} session{plural} at {path}")
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
    collectors.chain(agents::notes(agents)).chain(canary).chain(websocket).collect()
}
