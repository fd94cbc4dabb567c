//! All that a run needs, as one value.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::controls::Controls;
use super::data;
use super::files::PlanFiles;
use super::problems::Problems;
use super::target::read_pem;
use crate::collect::{Opened, OwnPage};
use crate::load::{LoadConfig, Share, Takeover};
use crate::plan::{Canary, Limits, Plan, Scenario, Target, WebSocket};
use crate::recording::{Environment, PlanSummary};
use crate::remote::RunningAgent;

/// All that a run needs, opened and checked.
pub struct RunConfig {
    /// How much load, and when: by flow of the load.
    pub scenarios: Vec<Scenario>,
    /// Requests of one journey on average, by scenario.
    pub requests_per_journey: Vec<f64>,
    /// What may never be exceeded.
    pub limits: Limits,
    /// The load generator's part.
    pub load: LoadConfig,
    /// What is probed beside the load.
    pub canaries: Vec<Canary>,
    /// The sessions that are held beside the load.
    pub websockets: Vec<WebSocket>,
    /// The collectors, opened.
    pub collectors: Vec<Opened>,
    /// The agents, which collect already.
    pub agents: Vec<RunningAgent>,
    /// Where the collectors learn of the page that shows the run.
    pub own_page: OwnPage,
    /// What the recording says of the plan.
    pub plan: PlanSummary,
    /// Where the run happens; `started_unix` is moment zero.
    pub environment: Environment,
    /// The instant of moment zero.
    pub started: Instant,
    /// Set from outside to end the run early.
    pub interrupt: Arc<AtomicBool>,
    /// What somebody who watches the run asks of it.
    pub controls: Arc<Controls>,
}

impl RunConfig {
    /// Moves moment zero to now, after something that took its time.
    pub fn begin_now(&mut self) {
        (self.started, self.environment.started_unix) = (Instant::now(), unix_now());
    }
}

/// The load generator's part of a plan. Relative paths in it start at `folder`.
///
/// # Errors
/// Every file that cannot be read, and every value that cannot be used.
pub fn load_config(plan: &Plan, folder: &Path) -> Result<LoadConfig, Problems> {
    let mut problems = Problems::default();
    let load = read_load(plan, &PlanFiles::below(folder), &mut problems);
    problems.or(load)
}

/// The same, for those who have more to try: what cannot be read is a problem.
pub(super) fn read_load(plan: &Plan, files: &PlanFiles, problems: &mut Problems) -> LoadConfig {
    LoadConfig {
        data: data::resolve(plan, files, problems),
        flows: data::flows(plan, files, problems),
        journeys: plan.journeys.clone(),
        pem: read_pem(&plan.target, files, problems),
        target: Target {
            unix_socket: plan.target.unix_socket.as_ref().map(|path| files.shown(path)),
            ..plan.target.clone()
        },
        requests: plan.requests.clone(),
        max_in_flight: plan.limits.max_in_flight,
        max_rate: plan.limits.max_rate,
        workers: None,
        share: Share::WHOLE,
        takeover: Takeover::default(),
        seed: plan.seed,
        generator: host_name(),
    }
}

/// A run of `plan` that begins now and watches nothing yet.
pub fn run_config(plan: Plan, load: LoadConfig, interrupt: Arc<AtomicBool>) -> RunConfig {
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
        agents: Vec::new(),
        own_page: OwnPage::default(),
        started: Instant::now(),
        interrupt,
        controls: Arc::default(),
    }
}

/// Where the run happens. It begins now: moment zero comes after all that may take its time.
pub(super) fn environment(target: String, target_is_local: bool) -> Environment {
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
        started_unix: unix_now(),
        target,
        target_is_local,
        collectors: Vec::new(),
        generators: Vec::new(),
        agents: Vec::new(),
    }
}

fn unix_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn host_name() -> String {
    sysinfo::System::host_name().unwrap_or_else(|_| "localhost".to_owned())
}
