//! A sample shop with real faults on a real PostgreSQL. It serves `kneepoint demo`, the README, and
//! tests that need a system with a known limit.
//!
//! All processes are this program or the installed PostgreSQL. The *guard* owns the others and a
//! directory; it stops and removes everything when the process that started it ends, for any
//! reason. The *shop* answers requests. *payments* is the service that the shop calls for each
//! order, and asks the *bank* in some faults. Others need a *proxy* in front, a *pooler* before the
//! database or a busy *neighbour*. A [`Fault`] says what is wrong
//! with the shop and has a healthy twin; each is a file in `faults/`. A [`Change`] is what a
//! comparison of two builds has to see; each is a file in `changes/`.

mod bank;
mod catalogue;
mod changes;
mod cluster;
mod faults;
mod guard;
mod neighbour;
mod payments;
mod pipe;
mod plan_text;
mod pooler;
mod ports;
mod process;
mod proxy;
mod quota;
mod server;
mod shop;
mod system;
mod token_bucket;

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ExitCode};
use std::time::{Duration, Instant};

pub use changes::{CHANGES, Change, Shows, find as find_change, find_shop as find};
pub use cluster::{find_postgres, install_hint};
pub use faults::{BuiltInKnee, FAULTS, Fault, Truth};
pub use ports::Ports;

/// How long the guard may take to stop everything before it is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(15);

/// Why the sample shop could not be started.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The fault needs PostgreSQL, and it was not found.
    #[error("fault `{fault}` needs PostgreSQL, which was not found; {}", install_hint())]
    NoPostgres {
        /// Name of the fault.
        fault: &'static str,
    },
    /// The directory for the database and the log could not be created.
    #[error("cannot create a directory in `{}`: {source}; set `TMPDIR` to a directory that you may write to", parent.display())]
    Directory {
        /// The directory in which it should have been created.
        parent: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A process could not be started.
    #[error("cannot start `{}`: {source}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A process was started but did not become ready.
    #[error("the sample shop did not start: {why}")]
    NotReady {
        /// What failed, with the end of the log if that says more.
        why: String,
    },
}

/// Starts the sample shop with a fault. Creates everything in a new directory inside `directory`,
/// or inside the system's temporary directory. Returns when the shop answers.
pub fn start(fault: &Fault, directory: Option<&Path>) -> Result<Running, DemoError> {
    Launcher::new()?.start(fault, directory)
}

/// What this machine lacks for a fault, and what to do about it; `None` if nothing is missing.
pub fn lacking(fault: &Fault) -> Option<String> {
    if fault.needs_postgres && find_postgres().is_none() {
        return Some(format!("PostgreSQL is not installed: {}", install_hint()));
    }
    let has_pooler = |healthy| {
        matches!(
            fault.system(healthy).surroundings.before_database,
            system::BeforeDatabase::Pooler(_)
        )
    };
    if (has_pooler(false) || has_pooler(true)) && pooler::find().is_none() {
        return Some(format!("PgBouncer is not installed: {}", pooler::install_hint()));
    }
    let has_quota = |healthy| fault.system(healthy).surroundings.cpu_quota.is_some();
    if has_quota(false) || has_quota(true) { quota::obstacle() } else { None }
}

/// If `args` (the program's arguments after its name) are those of one of the demo's own processes:
/// runs that process and returns how it ended.
pub fn child_main(args: &[OsString]) -> Option<ExitCode> {
    let (entry, rest) = args.split_first()?;
    match entry.to_str()? {
        guard::ENTRY => Some(guard::main(rest)),
        shop::ENTRY => Some(shop::main()),
        payments::ENTRY => Some(payments::main()),
        bank::ENTRY => Some(bank::main()),
        proxy::ENTRY => Some(proxy::main()),
        neighbour::ENTRY => Some(neighbour::main()),
        _ => None,
    }
}

/// Starts the sample shop with given programs.
pub struct Launcher {
    program: PathBuf,
    postgres: Option<PathBuf>,
    healthy: bool,
    ports: Ports,
}

impl Launcher {
    /// Uses this program, which must call [`child_main`], and the installed PostgreSQL.
    pub fn new() -> Result<Self, DemoError> {
        let program = std::env::current_exe()
            .map_err(|source| DemoError::Spawn { program: PathBuf::from("kneepoint"), source })?;
        Ok(Self { program, postgres: find_postgres(), healthy: false, ports: Ports::Any })
    }

    /// Uses another program, which must call [`child_main`].
    #[must_use]
    pub fn with_program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// Takes PostgreSQL's programs from this directory, or uses no PostgreSQL.
    #[must_use]
    pub fn with_postgres(mut self, binaries: Option<PathBuf>) -> Self {
        self.postgres = binaries;
        self
    }

    /// Starts the healthy twin of each fault: the shop with the fault off or with a large enough
    /// limit, and a load that it carries.
    #[must_use]
    pub fn healthy(mut self) -> Self {
        self.healthy = true;
        self
    }

    /// Listens on these ports.
    #[must_use]
    pub fn at(mut self, ports: Ports) -> Self {
        self.ports = ports;
        self
    }

    /// See [`start`].
    pub fn start(&self, fault: &Fault, directory: Option<&Path>) -> Result<Running, DemoError> {
        if fault.needs_postgres && self.postgres.is_none() {
            return Err(DemoError::NoPostgres { fault: fault.name });
        }
        let directory = Directory::make(directory)?;
        let mut guard = guard::spawn(
            &self.program,
            fault,
            self.healthy,
            self.ports,
            &directory.0,
            self.postgres.as_deref(),
        )
        .map_err(|source| DemoError::Spawn { program: self.program.clone(), source })?;
        let lifeline = guard.stdin.take();
        let output = guard.stdout.take();
        let guard_process = GuardProcess { guard, lifeline, directory };
        let mut line = String::new();
        if let Some(output) = output {
            BufReader::new(output)
                .read_line(&mut line)
                .map_err(|error| DemoError::NotReady { why: error.to_string() })?;
        }
        let report = serde_json::from_str(&line).map_err(|_| DemoError::NotReady {
            why: "its guard process ended immediately".to_owned(),
        })?;
        let ready = match report {
            guard::Report::Ready(ready) => ready,
            guard::Report::Failed(why) => return Err(DemoError::NotReady { why }),
        };
        Ok(Running {
            plan: plan_text::write(fault, self.healthy, &ready),
            url: ready.url,
            pid: ready.pid,
            payments_pid: ready.payments_pid,
            postgres_url: ready.postgres_url,
            metrics_url: ready.metrics_url,
            log: guard_process.directory.0.join(guard::LOG),
            guard_process,
        })
    }
}

/// A running sample shop. It ends when it is stopped or dropped, or when the process that started
/// it ends.
pub struct Running {
    /// Base address of the shop.
    pub url: String,
    /// Process id of the shop.
    pub pid: u32,
    /// Process id of the payments service.
    pub payments_pid: u32,
    /// Connection string for watching the database, with a password in it; `None` without a
    /// database.
    pub postgres_url: Option<String>,
    /// Address of the shop's metrics.
    pub metrics_url: String,
    /// A plan, in TOML, that ramps the load until the fault shows. It contains the password.
    pub plan: String,
    /// Log of the processes; removed with the directory.
    pub log: PathBuf,
    guard_process: GuardProcess,
}

impl Running {
    /// Stops everything and removes the directory, as dropping does.
    pub fn stop(self) {
        drop(self.guard_process);
    }

    /// Process id of the guard, which owns the other processes.
    pub fn guard_pid(&self) -> u32 {
        self.guard_process.guard.id()
    }

    /// The directory, which is removed at the end.
    pub fn directory(&self) -> &Path {
        &self.guard_process.directory.0
    }
}

/// The guard process and its directory. Dropping it stops the guard and everything that the guard
/// started, and removes the directory.
struct GuardProcess {
    guard: Child,
    /// The guard stops everything when this end of the pipe closes.
    lifeline: Option<ChildStdin>,
    directory: Directory,
}

impl Drop for GuardProcess {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let deadline = Instant::now() + STOP_PATIENCE;
        while matches!(self.guard.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                // Its children are killed with it. An error means that it has already ended.
                let _gone = self.guard.kill().is_err();
                let _reaped = self.guard.wait().is_ok();
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A directory that only its owner can read, removed when dropped.
struct Directory(PathBuf);

impl Directory {
    fn make(parent: Option<&Path>) -> Result<Self, DemoError> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_path_buf);
        // The database's programs run in another working directory.
        let parent = match std::path::absolute(&parent) {
            Ok(parent) => parent,
            Err(source) => return Err(DemoError::Directory { parent, source }),
        };
        loop {
            let path = parent.join(format!("kneepoint-demo-{:08x}", rand::random::<u32>()));
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(source) => return Err(DemoError::Directory { parent, source }),
            }
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Normally the guard has already removed it.
        let _absent = fs::remove_dir_all(&self.0).is_err();
    }
}
