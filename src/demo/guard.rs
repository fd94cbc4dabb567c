//! The guard: the process that owns the sample shop's other processes and their directory.
//!
//! Its standard input is a pipe from the process that started it. When that pipe closes, because
//! its owner closed it or died, the guard stops everything, removes the directory and exits. It has
//! its own session, so that Ctrl-C on the terminal does not kill it before that. If the guard
//! itself is killed, the kernel sends its children a signal.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cluster::{self, Cluster, Urls};
use super::faults::Fault;
use super::pipe::{Listening, PORT_VARIABLE, read_line_within, tell};
use super::pooler::Pooler;
use super::proxy::Backend;
use super::quota::Quota;
use super::system::{BeforeDatabase, CallsOver};
use super::{Ports, bank, changes, neighbour, payments, process, proxy, shop};

/// First argument of the guard process.
pub(super) const ENTRY: &str = "__demo-guard";

/// Name of the log in the demo's directory.
pub(super) const LOG: &str = "demo.log";

/// Name of the shop's UNIX socket in the demo's directory.
const SOCKET: &str = "shop.sock";

/// How many bytes from the end of the log go into an error.
const LOG_TAIL_BYTES: usize = 1_500;

/// How long a service may take until it listens.
const SERVICE_PATIENCE: Duration = Duration::from_secs(20);

/// What the guard reports to the process that started it, as one line of JSON.
#[derive(Serialize, Deserialize)]
pub(super) enum Report {
    Ready(Ready),
    Failed(String),
}

/// The addresses and process ids of everything.
#[derive(Serialize, Deserialize)]
pub(super) struct Ready {
    pub url: String,
    pub pid: u32,
    pub payments_pid: u32,
    /// `address:port` of the payments service.
    pub payments_peer: String,
    /// `address:port` of the database, where the shop connects to it.
    pub postgres_peer: Option<String>,
    /// Connection string of the pooler's console.
    pub pooler_url: Option<String>,
    pub postgres_url: Option<String>,
    pub metrics_url: String,
}

/// Argument of the guard for the broken system of a fault.
const BROKEN: &str = "broken";
/// Argument of the guard for the healthy twin.
const HEALTHY: &str = "healthy";

/// Starts the guard for `fault`, or for its healthy twin.
pub(super) fn spawn(
    program: &Path,
    fault: &Fault,
    healthy: bool,
    ports: Ports,
    directory: &Path,
    postgres: Option<&Path>,
) -> io::Result<Child> {
    let mut command = Command::new(program);
    command.arg(ENTRY).arg(fault.name);
    command.arg(if healthy { HEALTHY } else { BROKEN });
    command.arg(ports.to_string()).arg(directory);
    command.args(postgres);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.stderr(File::create(directory.join(LOG))?);
    process::in_own_session(&mut command).spawn()
}

/// The guard process: `FAULT broken|healthy PORT DIRECTORY [POSTGRES_BINARIES]`.
pub(super) fn main(args: &[OsString]) -> ExitCode {
    process::set_name("demo-guard");
    let (name, which, port, directory, postgres) = match args {
        [name, which, port, directory] => (name, which, port, directory, None),
        [name, which, port, directory, postgres] => {
            (name, which, port, directory, Some(Path::new(postgres)))
        }
        _ => return ExitCode::FAILURE,
    };
    let fault = name.to_str().and_then(changes::find_shop);
    let ports = port.to_str().and_then(|port| port.parse().ok());
    let (Some(fault), Some(ports)) = (fault, ports) else {
        return ExitCode::FAILURE;
    };
    let mut started = StartedSystem::new(Path::new(directory), ports);
    let report = match started.start(fault, which == HEALTHY, postgres) {
        Ok(ready) => Report::Ready(ready),
        Err(why) => Report::Failed(started.explain(&why)),
    };
    let told = tell(&report);
    if told.is_ok() && matches!(report, Report::Ready(_)) {
        // No data is ever sent: this returns when the other end is closed.
        let _closed = io::stdin().read_to_end(&mut Vec::new()).is_ok();
    }
    ExitCode::SUCCESS
}

/// How the shop reaches its database; both URLs contain a password.
struct WayToDatabase {
    shop_url: String,
    /// The console of the pooler, if there is one.
    console_url: Option<String>,
}

/// Everything that has to be stopped and removed. Dropping it does so, in reverse order of the
/// start.
struct StartedSystem {
    directory: PathBuf,
    ports: Ports,
    services: Vec<Child>,
    quota: Option<Quota>,
    pooler: Option<Pooler>,
    cluster: Option<Cluster>,
}

impl StartedSystem {
    fn new(directory: &Path, ports: Ports) -> Self {
        Self {
            directory: directory.to_owned(),
            ports,
            services: Vec::new(),
            quota: None,
            pooler: None,
            cluster: None,
        }
    }

    fn start(
        &mut self,
        fault: &Fault,
        healthy: bool,
        postgres: Option<&Path>,
    ) -> Result<Ready, String> {
        let system = fault.system(healthy);
        let name = || fault.name.to_owned();
        let urls = match postgres {
            Some(binaries) => {
                let cluster = Cluster::start(
                    binaries,
                    &self.directory,
                    &system.database,
                    self.ports.database(),
                )?;
                let urls = cluster.urls();
                self.cluster = Some(cluster);
                cluster::fill(&urls, system.database.category_index)?;
                Some(urls)
            }
            None => None,
        };
        let way = urls.as_ref().map(|urls| self.way_to(urls, system.surroundings.before_database));
        let way = way.transpose()?;
        let bank_port = match &system.payments.bank {
            Some(traits) => {
                let settings = bank::Settings { takes: traits.takes };
                Some(self.start_service(bank::ENTRY, &settings, None)?.1)
            }
            None => None,
        };
        let settings = payments::Settings { fault: name(), healthy, bank_port };
        let (payments_pid, payments_port) =
            self.start_service(payments::ENTRY, &settings, self.ports.payments())?;
        let settings = shop::Settings {
            fault: name(),
            healthy,
            postgres_url: way.as_ref().map(|way| way.shop_url.clone()),
            payments_url: format!("http://127.0.0.1:{payments_port}"),
            socket: (system.surroundings.proxy == Some(CallsOver::Unix))
                .then(|| self.directory.join(SOCKET)),
        };
        let has_proxy = system.surroundings.proxy.is_some();
        let shop_at = if has_proxy { self.ports.behind_proxy() } else { self.ports.front() };
        let (pid, shop_port) = self.start_service(shop::ENTRY, &settings, shop_at)?;
        if let Some(cores) = system.surroundings.cpu_quota {
            let cannot = |error| format!("cannot limit the CPU of the shop: {error}");
            let quota = Quota::new(cores).map_err(cannot)?;
            quota.admit(pid).map_err(cannot)?;
            self.quota = Some(quota);
        }
        let mut port = shop_port;
        if has_proxy {
            let backend = match settings.socket {
                Some(path) => Backend::Unix(path),
                None => Backend::Tcp(format!("127.0.0.1:{shop_port}")),
            };
            let settings = proxy::Settings { backend };
            (_, port) = self.start_service(proxy::ENTRY, &settings, self.ports.front())?;
        }
        let threads = system.surroundings.busy_neighbours;
        if threads > 0 {
            self.start_service(neighbour::ENTRY, &neighbour::Settings { threads }, None)?;
        }
        Ok(Ready {
            url: format!("http://127.0.0.1:{port}"),
            pid,
            payments_pid,
            payments_peer: format!("127.0.0.1:{payments_port}"),
            postgres_peer: urls
                .as_ref()
                .zip(way.as_ref())
                .and_then(|(urls, way)| (way.shop_url == urls.shop).then(|| urls.peer.clone())),
            pooler_url: way.and_then(|way| way.console_url),
            postgres_url: urls.map(|urls| urls.monitor),
            metrics_url: format!("http://127.0.0.1:{shop_port}/metrics"),
        })
    }

    /// Starts what stands between the shop and its database.
    fn way_to(&mut self, urls: &Urls, before: BeforeDatabase) -> Result<WayToDatabase, String> {
        let direct = WayToDatabase { shop_url: urls.shop.clone(), console_url: None };
        match before {
            BeforeDatabase::Nothing => Ok(direct),
            BeforeDatabase::Proxy => {
                let settings = proxy::Settings { backend: Backend::Tcp(urls.peer.clone()) };
                let (_, port) = self.start_service(proxy::ENTRY, &settings, None)?;
                Ok(WayToDatabase { shop_url: urls.shop_through(port), ..direct })
            }
            BeforeDatabase::Pooler(connections) => {
                let pooler = Pooler::start(&self.directory, urls, connections)?;
                let port = pooler.port();
                self.pooler = Some(pooler);
                let password = &urls.password;
                let console = format!("postgres://monitor:{password}@127.0.0.1:{port}/pgbouncer");
                Ok(WayToDatabase { shop_url: urls.shop_through(port), console_url: Some(console) })
            }
        }
    }

    /// Starts this program again as one of the services, on this port or any. Returns its process
    /// id and its port.
    fn start_service(
        &mut self,
        entry: &str,
        settings: &impl Serialize,
        port: Option<u16>,
    ) -> Result<(u32, u16), String> {
        let cannot = |error: io::Error| format!("cannot start {entry}: {error}");
        let program = std::env::current_exe().map_err(cannot)?;
        let mut command = Command::new(program);
        command.arg(entry).stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(port) = port {
            command.env(PORT_VARIABLE, port.to_string());
        }
        let child = process::ending_with_parent(&mut command, libc::SIGKILL);
        let mut child = child.spawn().map_err(cannot)?;
        let (pid, stdin, stdout) = (child.id(), child.stdin.take(), child.stdout.take());
        self.services.push(child);
        let settings = serde_json::to_vec(settings).map_err(|error| error.to_string())?;
        if let Some(mut stdin) = stdin {
            stdin.write_all(&settings).map_err(cannot)?;
        }
        let Some(stdout) = stdout else { return Err(format!("{entry} has no standard output")) };
        let line = read_line_within(stdout, SERVICE_PATIENCE, entry)?;
        let listening: Listening =
            serde_json::from_str(&line).map_err(|_| format!("{entry} ended before it listened"))?;
        Ok((pid, listening.port))
    }

    /// `why`, followed by the end of the log.
    fn explain(&self, why: &str) -> String {
        let log = fs::read(self.directory.join(LOG)).unwrap_or_default();
        let tail = &log[log.len().saturating_sub(LOG_TAIL_BYTES)..];
        let tail = String::from_utf8_lossy(tail);
        match tail.trim() {
            "" => why.to_owned(),
            tail => format!("{why}; its log ends with:\n{tail}"),
        }
    }
}

impl Drop for StartedSystem {
    fn drop(&mut self) {
        while let Some(mut service) = self.services.pop() {
            process::stop(&mut service, libc::SIGTERM, Duration::from_secs(2));
        }
        drop(self.quota.take());
        drop(self.pooler.take());
        drop(self.cluster.take());
        // The process that started the guard, if it still runs, removes what remains.
        let _removed = fs::remove_dir_all(&self.directory).is_ok();
    }
}
