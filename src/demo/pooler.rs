//! The demo's own PgBouncer, between the shop and its database.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::cluster::Urls;
use super::pipe;
use super::process::{self, Account};

/// Time limit for the start.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where packages install PgBouncer, beside the directories of `PATH`.
const PLACES: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin"];

/// The program, if it is installed.
pub(super) fn find() -> Option<PathBuf> {
    let searched = std::env::var_os("PATH").unwrap_or_default();
    let places = PLACES.iter().map(PathBuf::from).chain(std::env::split_paths(&searched));
    places.map(|place| place.join("pgbouncer")).find(|path| path.is_file())
}

/// How to install PgBouncer, in one line.
pub(super) fn install_hint() -> &'static str {
    if cfg!(target_os = "macos") {
        "install it with `brew install pgbouncer`"
    } else {
        "install it with `apt-get install pgbouncer` or `dnf install pgbouncer`"
    }
}

/// A running PgBouncer.
pub(super) struct Pooler {
    server: Child,
    port: u16,
}

impl Pooler {
    /// Starts PgBouncer with `connections` connections to the database of `urls`. Its settings and
    /// passwords are files in `directory`.
    pub fn start(directory: &Path, urls: &Urls, connections: usize) -> Result<Self, String> {
        let program =
            find().ok_or_else(|| format!("PgBouncer is not installed: {}", install_hint()))?;
        let account = process::unprivileged_account();
        let mut attempts_left = 3;
        loop {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
            let port =
                listener.and_then(|it| it.local_addr()).map_err(|error| error.to_string())?;
            let port = port.port();
            let settings = write_settings(directory, urls, connections, port, account)?;
            let mut command = Command::new(&program);
            command.arg("-q").arg(&settings).current_dir(directory);
            command.stdin(Stdio::null()).stdout(Stdio::null());
            if let Some(Account { uid, gid }) = account {
                command.gid(gid).uid(uid);
            }
            let server = process::ending_with_parent(&mut command, libc::SIGQUIT)
                .spawn()
                .map_err(|error| format!("cannot start `{}`: {error}", program.display()))?;
            let mut pooler = Self { server, port: port.to_owned() };
            match pooler.wait_until_it_listens() {
                Ok(()) => return Ok(pooler),
                // Another program may have taken the port in the meantime.
                Err(_) if attempts_left > 1 && !process::stdin_is_closed() => attempts_left -= 1,
                Err(why) => return Err(why),
            }
        }
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn wait_until_it_listens(&mut self) -> Result<(), String> {
        pipe::wait_for("the start of PgBouncer", PATIENCE, || {
            if let Ok(Some(status)) = self.server.try_wait() {
                return Err(format!("PgBouncer ended immediately ({status})"));
            }
            Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok().then_some(()))
        })
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // SIGTERM: an immediate shutdown.
        process::stop(&mut self.server, libc::SIGTERM, Duration::from_secs(4));
    }
}

/// Writes the settings and the passwords, which only the pooler's account can read.
fn write_settings(
    directory: &Path,
    urls: &Urls,
    connections: usize,
    port: u16,
    account: Option<Account>,
) -> Result<PathBuf, String> {
    let (host, database_port) = urls.peer.split_once(':').unwrap_or(("127.0.0.1", "5432"));
    let users = directory.join("pgbouncer-users.txt");
    let settings = directory.join("pgbouncer.ini");
    let password = &urls.password;
    let passwords = format!("\"shop\" \"{password}\"\n\"monitor\" \"{password}\"\n");
    let text = format!(
        "[databases]\n\
         shop = host={host} port={database_port} dbname=shop\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_type = scram-sha-256\n\
         auth_file = {}\n\
         stats_users = monitor\n\
         pool_mode = transaction\n\
         default_pool_size = {connections}\n\
         max_client_conn = 200\n",
        users.display()
    );
    for (path, text) in [(&users, passwords), (&settings, text)] {
        let write = || -> std::io::Result<()> {
            fs::write(path, text)?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
            account.map_or(Ok(()), |it| chown(path, Some(it.uid), Some(it.gid)))
        };
        write().map_err(|error| format!("cannot write `{}`: {error}", path.display()))?;
    }
    Ok(settings)
}
