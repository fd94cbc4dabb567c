//! A separate PostgreSQL server for one test: fresh data, its own port, removed when dropped.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The password of every user of the cluster.
pub(super) const PASSWORD: &str = "hunter2";

/// PostgreSQL refuses to run as root; `nobody` has this id on every Linux.
const NOBODY: u32 = 65_534;

/// A running server.
pub(super) struct PrivateCluster {
    directory: tempfile::TempDir,
    binaries: PathBuf,
    settings: Vec<String>,
    /// TCP port on 127.0.0.1, and number of the unix socket.
    pub port: u16,
    server: Option<Child>,
}

impl PrivateCluster {
    /// A new server with extra `settings` (`name=value`). If PostgreSQL is not installed, prints
    /// the reason and returns `None`.
    #[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
    pub(super) fn start(settings: &[&str]) -> Option<Self> {
        let Some(binaries) = binaries() else {
            eprintln!("skipped: no PostgreSQL below /usr/lib/postgresql");
            return None;
        };
        let directory = tempfile::Builder::new().prefix("kp-pg-").tempdir().unwrap();
        give_away(directory.path());
        let mut cluster = Self {
            directory,
            binaries,
            settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
            port: free_port(),
            server: None,
        };
        cluster.initialise();
        cluster.launch();
        Some(cluster)
    }

    /// URL of a user over TCP.
    pub(super) fn url(&self, user: &str) -> String {
        format!("postgres://{user}:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }

    /// URL of a user over the unix socket, which needs no password.
    pub(super) fn socket_url(&self, user: &str) -> String {
        let directory = self.directory.path().display();
        format!("host={directory} port={} user={user} dbname=postgres", self.port)
    }

    /// Writes a file that only the server may read into its directory; returns its path.
    pub(super) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        give_away(&path);
        path
    }

    /// Changes settings and makes the server reload them.
    pub(super) fn reload_with(&self, settings: &[&str]) {
        let path = self.directory.path().join("data/postgresql.auto.conf");
        fs::write(path, settings.join("\n") + "\n").unwrap();
        self.signal(libc::SIGHUP);
    }

    /// Stops the server at once, as a crash would.
    pub(super) fn stop(&mut self) {
        self.signal(libc::SIGQUIT);
        if let Some(mut server) = self.server.take() {
            server.wait().unwrap();
        }
    }

    /// Starts the server and waits until it answers.
    pub(super) fn launch(&mut self) {
        let data = self.directory.path().join("data");
        let mut command = self.command("postgres");
        command.arg("-D").arg(&data).arg("-k").arg(self.directory.path());
        command.arg("-p").arg(self.port.to_string());
        for setting in &self.settings {
            command.arg("-c").arg(setting);
        }
        let log = fs::File::create(self.directory.path().join("log")).unwrap();
        command.stdout(Stdio::null()).stderr(log);
        self.server = Some(command.spawn().unwrap());
        let patience = Instant::now() + Duration::from_secs(60);
        while !self.answers() {
            assert!(Instant::now() < patience, "{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the server has written to its log.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Process id of the server's first process.
    pub(super) fn pid(&self) -> u32 {
        self.server.as_ref().unwrap().id()
    }

    fn answers(&self) -> bool {
        let mut command = self.command("pg_isready");
        command.arg("-q").arg("-h").arg(self.directory.path());
        command.arg("-p").arg(self.port.to_string());
        command.status().unwrap().success()
    }

    fn initialise(&self) {
        let password = self.file("password", PASSWORD);
        let mut command = self.command("initdb");
        command.args(["-U", "postgres", "-A", "scram-sha-256", "--auth-local=trust"]);
        command.args(["--no-sync", "--locale=C", "-E", "UTF8"]);
        command.arg("--pwfile").arg(password);
        command.arg("-D").arg(self.directory.path().join("data"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let more = "listen_addresses = '127.0.0.1'\nfsync = off\nfull_page_writes = off\n";
        let path = self.directory.path().join("data/postgresql.conf");
        let text = fs::read_to_string(&path).unwrap() + more;
        fs::write(&path, text).unwrap();
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.binaries.join(name));
        command.current_dir(self.directory.path()).stdin(Stdio::null());
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn signal(&self, signal: i32) {
        if let Some(server) = &self.server {
            // SAFETY: kill touches no memory. The child is not yet waited for, so its process id is
            // still valid.
            unsafe { libc::kill(server.id().cast_signed(), signal) };
        }
    }
}

impl Drop for PrivateCluster {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The directory with the programs of the newest PostgreSQL version.
fn binaries() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let mut versions: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, binaries)| binaries.join("initdb").exists())
        .collect();
    versions.sort();
    Some(versions.pop()?.1)
}

fn is_root() -> bool {
    // SAFETY: geteuid reads a number and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

fn give_away(path: &Path) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
