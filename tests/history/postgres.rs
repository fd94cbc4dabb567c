//! A PostgreSQL of the test's own, which writes its log in all three forms. It is ended by its process
//! id.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A value that statements have, and a recording may not.
pub const SECRET: &str = "hunter2";
/// PostgreSQL refuses to run as root; `nobody` has this id on every Linux.
const NOBODY: u32 = 65_534;
const START_WITHIN: Duration = Duration::from_secs(30);
const SETTINGS: &[&str] = &[
    "listen_addresses=",
    "logging_collector=on",
    "log_destination=stderr,csvlog,jsonlog",
    "log_directory=log",
    "log_filename=pg.log",
    "log_line_prefix=%m [%p] %q%u@%d ",
    "log_min_duration_statement=100",
    "log_lock_waits=on",
    "deadlock_timeout=150ms",
    "log_temp_files=0",
    "log_checkpoints=on",
    "log_autovacuum_min_duration=0",
    "work_mem=64kB",
    "max_connections=6",
    "superuser_reserved_connections=0",
    "fsync=off",
];

pub struct Server {
    directory: TempDir,
    binaries: PathBuf,
    port: u16,
    child: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        // An immediate shutdown: PostgreSQL then ends its other processes itself.
        let id = self.child.id().to_string();
        let _ended = Command::new("kill").args(["-QUIT", &id]).status().is_err();
        let _reaped = self.child.wait().is_err();
    }
}

impl Server {
    /// `None` where there is no PostgreSQL on this machine.
    pub fn start() -> Option<Self> {
        let Some(binaries) = binaries() else {
            skipped();
            return None;
        };
        let directory = tempfile::Builder::new().prefix("kp-log-").tempdir().unwrap();
        let is_root = fs::metadata("/proc/self")
            .is_ok_and(|of| std::os::unix::fs::MetadataExt::uid(&of) == 0);
        if is_root {
            chown(directory.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let run = |program: &str| {
            let mut command = Command::new(binaries.join(program));
            command.stdout(Stdio::null()).stderr(Stdio::null()).current_dir(directory.path());
            if is_root {
                command.uid(NOBODY).gid(NOBODY);
            }
            command
        };
        let data = directory.path().join("data");
        let made = run("initdb").arg("-D").arg(&data).args(["-U", "shop", "-A", "trust"]).status();
        assert!(made.unwrap().success(), "initdb failed");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = run("postgres");
        command.arg("-D").arg(&data).arg("-p").arg(port.to_string());
        command.arg("-k").arg(directory.path());
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        let child = command.spawn().unwrap();
        let server = Self { directory, binaries, port, child };
        server.wait();
        Some(server)
    }

    fn wait(&self) {
        let begin = Instant::now();
        while begin.elapsed() < START_WITHIN {
            if self.psql("SELECT 1").output().unwrap().status.success() {
                return;
            }
            sleep(Duration::from_millis(100));
        }
        panic!("PostgreSQL is not ready after {START_WITHIN:?}");
    }

    fn psql(&self, statements: &str) -> Command {
        let mut command = Command::new(self.binaries.join("psql"));
        command.arg("-h").arg(self.directory.path()).args(["-p", &self.port.to_string()]);
        command.args(["-U", "shop", "-d", "postgres", "-X", "-q", "-c", statements]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn run(&self, statements: &str) {
        self.psql(statements).status().unwrap();
    }

    /// A slow statement, a wait for a lock, a deadlock, refused connections, sorting on the disk, an
    /// error that quotes a value, and a checkpoint.
    pub fn go_wrong(&self) {
        self.run("CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items VALUES (1, 'a'), (2, 'b')");
        self.run(&format!("SELECT pg_sleep(0.2), '{SECRET}'\n, '{SECRET}'"));
        self.run(&format!("SELECT '{SECRET}'::int"));
        self.run(&format!("INSERT INTO items VALUES (1, '{SECRET}')"));
        self.run("SELECT count(*) FROM (SELECT generate_series(1, 100000) AS n ORDER BY n) AS s");
        let update = |id: u32| format!("UPDATE items SET name = '{SECRET}' WHERE id = {id};");
        let both = |first: u32, second: u32| {
            format!("BEGIN; {} SELECT pg_sleep(0.5); {} COMMIT", update(first), update(second))
        };
        let mut one = self.psql(&both(1, 2)).spawn().unwrap();
        let mut other = self.psql(&both(2, 1)).spawn().unwrap();
        one.wait().unwrap();
        other.wait().unwrap();
        let sleepers: Vec<Child> =
            (0..9).map(|_| self.psql("SELECT pg_sleep(1)").spawn().unwrap()).collect();
        for mut sleeper in sleepers {
            sleeper.wait().unwrap();
        }
        self.run("CHECKPOINT");
        sleep(Duration::from_millis(300));
    }

    /// The log in each form: its name, and its file.
    pub fn logs(&self) -> Vec<(&'static str, PathBuf)> {
        let log = self.directory.path().join("data/log");
        [("stderr", "pg.log"), ("csvlog", "pg.csv"), ("jsonlog", "pg.json")]
            .map(|(form, file)| (form, log.join(file)))
            .to_vec()
    }
}

#[expect(clippy::print_stderr, reason = "a test that did not run says so")]
fn skipped() {
    eprintln!("SKIPPED: there is no PostgreSQL below /usr/lib/postgresql: run `tests/run`");
}

fn binaries() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> =
        versions.flatten().map(|version| version.path().join("bin")).collect();
    found.retain(|path| path.join("initdb").is_file());
    found.sort();
    found.pop()
}
