//! The demo's own PostgreSQL server: finds, initialises, starts, fills and stops it.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio_postgres::NoTls;

use super::process::{self, Account};
use super::system::DatabaseTraits;
use super::{catalogue, pipe};

/// Time limit for `initdb` and for the start of the server.
const PATIENCE: Duration = Duration::from_secs(60);

/// The environment variable that names the password of the database.
const PASSWORD_VARIABLE: &str = "KNEEPOINT_DEMO_PASSWORD";

/// Longest path of a Unix socket's directory: the kernel's limit of 107 bytes for the whole path,
/// minus the name of the socket.
const LONGEST_SOCKET_DIRECTORY_BYTES: usize = 107 - "/.s.PGSQL.65535".len();

/// The directory of PostgreSQL's server programs, searched in the usual places of packages and
/// builds. If there are several, the newest.
pub fn find_postgres() -> Option<PathBuf> {
    find_below(Path::new("/"), std::env::var_os("PATH").as_deref())
}

/// How to install PostgreSQL, in one line.
pub fn install_hint() -> &'static str {
    if cfg!(target_os = "macos") {
        "install it with `brew install postgresql`"
    } else {
        "install it with `apt-get install postgresql` or `dnf install postgresql-server`"
    }
}

/// [`find_postgres`] for a file system whose root is `root`.
fn find_below(root: &Path, search_path: Option<&OsStr>) -> Option<PathBuf> {
    // Where each kind of package installs the server: a directory, the prefix of an entry's name in
    // it, and the path of the programs below that entry.
    const PLACES: [(&str, &str, &str); 5] = [
        ("usr/lib/postgresql", "", "bin"),
        ("usr", "pgsql-", "bin"),
        ("usr/local", "pgsql", "bin"),
        ("opt/homebrew/opt", "postgresql", "bin"),
        ("usr/local/opt", "postgresql", "bin"),
    ];
    let installed = PLACES.iter().flat_map(|(parent, prefix, programs)| {
        let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(root.join(parent))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name();
                let version = name.to_str()?.strip_prefix(prefix)?.trim_start_matches('@');
                Some((version.parse().unwrap_or(0), entry.path().join(programs)))
            })
            .collect();
        versions.sort_by(|a, b| b.cmp(a));
        versions.into_iter().map(|(_, path)| path)
    });
    let searched = search_path.into_iter().flat_map(std::env::split_paths);
    installed.chain(searched).find(|path| {
        path.is_absolute() && ["initdb", "postgres"].iter().all(|name| path.join(name).is_file())
    })
}

/// How to connect to the demo's database; the URLs contain a password.
pub(super) struct Urls {
    /// As superuser.
    pub admin: String,
    /// As the shop, which owns the tables.
    pub shop: String,
    /// As a role that may see all sessions and statements.
    pub monitor: String,
    /// `address:port` of the server.
    pub peer: String,
    /// The password of each role.
    pub password: String,
}

impl Urls {
    /// How the shop connects through something else on this machine that leads to the database.
    pub fn shop_through(&self, port: u16) -> String {
        self.shop.replace(&self.peer, &format!("127.0.0.1:{port}"))
    }
}

/// A running PostgreSQL server.
pub(super) struct Cluster {
    server: Child,
    port: u16,
    password: String,
}

impl Cluster {
    /// Initialises a database below `directory` and starts its server.
    pub fn start(
        binaries: &Path,
        directory: &Path,
        traits: &DatabaseTraits,
        port: Option<u16>,
    ) -> Result<Self, String> {
        let account = process::unprivileged_account();
        let failed =
            |error: io::Error| format!("cannot prepare `{}`: {error}", directory.display());
        if let Some(Account { uid, gid }) = account {
            chown(directory, Some(uid), Some(gid)).map_err(failed)?;
        }
        let password = password()?;
        initialise(binaries, directory, account, &password)?;
        let mut attempts_left = 3;
        loop {
            let port = match port {
                Some(port) => port,
                None => free_port().map_err(failed)?,
            };
            let mut command = server_command(binaries, directory, account, port)?;
            command.args(settings(traits).iter().flat_map(|setting| ["-c", setting]));
            if traits.one_core {
                process::on_one_core(&mut command);
            }
            let server = process::ending_with_parent(&mut command, libc::SIGQUIT)
                .spawn()
                .map_err(|error| format!("cannot start `postgres`: {error}"))?;
            let mut cluster = Self { server, port, password: password.clone() };
            match cluster.wait_until_it_answers() {
                Ok(()) => return Ok(cluster),
                // Another program may have taken the port in the meantime.
                Err(_) if attempts_left > 1 && !process::stdin_is_closed() => attempts_left -= 1,
                Err(why) => return Err(why),
            }
        }
    }

    pub fn urls(&self) -> Urls {
        let Self { port, password, .. } = self;
        let url = |user: &str, database: &str| {
            format!("postgres://{user}:{password}@127.0.0.1:{port}/{database}")
        };
        Urls {
            admin: url("postgres", "shop"),
            shop: url("shop", "shop"),
            monitor: url("monitor", "shop"),
            peer: format!("127.0.0.1:{port}"),
            password: password.clone(),
        }
    }

    fn wait_until_it_answers(&mut self) -> Result<(), String> {
        let url = format!(
            "postgres://postgres:{}@127.0.0.1:{}/postgres?connect_timeout=2",
            self.password, self.port
        );
        pipe::wait_for("the start of PostgreSQL", PATIENCE, || {
            if let Ok(Some(status)) = self.server.try_wait() {
                return Err(format!("PostgreSQL ended immediately ({status})"));
            }
            Ok(run_sql(&url, &[]).is_ok().then_some(()))
        })?;
        run_sql(&url, &["CREATE DATABASE shop"])
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // SIGINT: a fast shutdown, which aborts transactions.
        process::stop(&mut self.server, libc::SIGINT, Duration::from_secs(4));
    }
}

fn initialise(
    binaries: &Path,
    directory: &Path,
    account: Option<Account>,
    password: &str,
) -> Result<(), String> {
    let password_file = directory.join("password");
    write_secret(&password_file, password, account)
        .map_err(|error| format!("cannot write the database's password: {error}"))?;
    let mut command = step_down(Command::new(binaries.join("initdb")), account);
    command.arg("--pgdata").arg(directory.join("data")).arg("--pwfile").arg(&password_file).args([
        "--username=postgres",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--no-locale",
        "--no-sync",
    ]);
    command.current_dir(directory).stdin(Stdio::null());
    let mut initdb = process::ending_with_parent(&mut command, libc::SIGKILL)
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot start `initdb`: {error}"))?;
    let status = pipe::wait_for("initdb", PATIENCE, || {
        initdb.try_wait().map_err(|error| format!("cannot wait for initdb: {error}"))
    });
    process::stop(&mut initdb, libc::SIGTERM, Duration::from_secs(2));
    let status = status?;
    fs::remove_file(&password_file)
        .map_err(|error| format!("cannot remove `{}`: {error}", password_file.display()))?;
    if status.success() { Ok(()) } else { Err(format!("initdb failed ({status})")) }
}

/// The password of the roles: the one that the environment names, so that a plan that was printed
/// before this start stays right, else a new one.
fn password() -> Result<String, String> {
    let Some(password) = std::env::var_os(PASSWORD_VARIABLE) else {
        return Ok(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 18]>()));
    };
    // It stands in URLs, in SQL and in a file as it is.
    let is_plain = |text: &&str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        !text.is_empty() && text.bytes().all(is_plain)
    };
    password
        .to_str()
        .filter(is_plain)
        .map(str::to_owned)
        .ok_or_else(|| format!("`{PASSWORD_VARIABLE}` may only have letters, digits, `-` and `_`"))
}

/// Writes a file that only the database's account can read.
fn write_secret(path: &Path, secret: &str, account: Option<Account>) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    io::Write::write_all(&mut file, secret.as_bytes())?;
    if let Some(Account { uid, gid }) = account {
        chown(path, Some(uid), Some(gid))?;
    }
    Ok(())
}

fn server_command(
    binaries: &Path,
    directory: &Path,
    account: Option<Account>,
    port: u16,
) -> Result<Command, String> {
    let sockets = directory.join("socket");
    let prepare = || -> io::Result<()> {
        fs::create_dir_all(&sockets)?;
        fs::set_permissions(&sockets, Permissions::from_mode(0o700))?;
        account.map_or(Ok(()), |account| chown(&sockets, Some(account.uid), Some(account.gid)))
    };
    prepare().map_err(|error| format!("cannot create `{}`: {error}", sockets.display()))?;
    // If the directory's path is too long for a socket, only TCP is used.
    let fits = sockets.as_os_str().as_bytes().len() <= LONGEST_SOCKET_DIRECTORY_BYTES;
    let sockets = if fits { sockets.to_string_lossy() } else { "".into() };
    let mut settings = vec![
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        format!("unix_socket_directories={sockets}"),
        // One process per query, so that the cost of a query does not depend on idle workers.
        "max_parallel_workers_per_gather=0".to_owned(),
        // Leaves nothing outside the directory, even if the server is killed.
        "dynamic_shared_memory_type=mmap".to_owned(),
    ];
    if has_statement_statistics(binaries) {
        settings.push("shared_preload_libraries=pg_stat_statements".to_owned());
    }
    let mut command = step_down(Command::new(binaries.join("postgres")), account);
    command.arg("-D").arg(directory.join("data")).current_dir(directory).stdin(Stdio::null());
    command.args(settings.iter().flat_map(|setting| ["-c", setting]));
    // Standard error goes to the same place as the guard's: the log.
    command.stdout(Stdio::null());
    Ok(command)
}

/// The settings that differ between faults.
fn settings(traits: &DatabaseTraits) -> Vec<String> {
    let mut settings = vec![
        format!("max_connections={}", traits.max_connections),
        "full_page_writes=off".to_owned(),
    ];
    match traits.durable {
        Some(delay) => settings.extend([
            format!("commit_delay={}", delay.as_micros()),
            "commit_siblings=0".to_owned(),
        ]),
        // Most faults are not about the disk, and the data has no value.
        None => {
            settings.extend(["fsync=off".to_owned(), "synchronous_commit=off".to_owned()]);
        }
    }
    settings
}

/// `command` without any environment of this process that could change its behaviour, and with the
/// rights of `account`.
fn step_down(mut command: Command, account: Option<Account>) -> Command {
    command.env_clear().env("LC_ALL", "C").env("PATH", "/usr/bin:/bin");
    if let Some(Account { uid, gid }) = account {
        command.gid(gid).uid(uid);
    }
    command
}

/// Whether the extension `pg_stat_statements` is installed with the server. Its library is in one
/// of the places that distributions use, relative to the programs.
fn has_statement_statistics(binaries: &Path) -> bool {
    ["../lib", "../lib/postgresql", "../lib64", "../lib64/pgsql", "../lib/pgsql"].iter().any(
        |library| {
            ["so", "dylib"].iter().any(|kind| {
                binaries.join(library).join(format!("pg_stat_statements.{kind}")).is_file()
            })
        },
    )
}

/// A TCP port of the loopback address that is free now.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Creates roles and tables, and fills the catalogue.
pub(super) fn fill(urls: &Urls, category_index: bool) -> Result<(), String> {
    let roles = format!(
        "CREATE ROLE shop LOGIN PASSWORD '{password}';
         CREATE ROLE monitor LOGIN PASSWORD '{password}' IN ROLE pg_monitor;
         ALTER DATABASE shop OWNER TO shop;
         GRANT CREATE ON SCHEMA public TO shop;",
        password = urls.password
    );
    run_sql(&urls.admin, &[&roles])
        .map_err(|error| format!("cannot create database roles: {error}"))?;
    // Fails without the library, which is optional.
    let _available = run_sql(&urls.admin, &["CREATE EXTENSION pg_stat_statements"]).is_ok();
    let tables = catalogue::tables();
    let mut statements = vec![tables.as_str()];
    if category_index {
        statements.push(catalogue::CATEGORY_INDEX);
    }
    statements.push("VACUUM (ANALYZE) product");
    run_sql(&urls.shop, &statements).map_err(|error| format!("cannot fill the catalogue: {error}"))
}

/// Runs statements on a new connection.
fn run_sql(url: &str, statements: &[&str]) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let run = async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        let connection = tokio::spawn(connection);
        for statement in statements {
            client.batch_execute(statement).await?;
        }
        drop(client);
        // Errors of the connection also appear as errors of the statements.
        let _ended = connection.await.is_ok();
        Ok(())
    };
    runtime.block_on(run).map_err(|error: tokio_postgres::Error| match error.as_db_error() {
        Some(error) => error.to_string(),
        None => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(root: &Path, programs: &str) -> PathBuf {
        let path = root.join(programs);
        fs::create_dir_all(&path).unwrap();
        for name in ["initdb", "postgres"] {
            File::create(path.join(name)).unwrap();
        }
        path
    }

    #[test]
    fn the_newest_postgres_is_found() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(find_below(root.path(), None), None);
        let on_path = install(root.path(), "somewhere/bin");
        let search = on_path.clone().into_os_string();
        assert_eq!(find_below(root.path(), Some(&search)), Some(on_path));
        let fedora = install(root.path(), "usr/pgsql-16/bin");
        assert_eq!(find_below(root.path(), Some(&search)), Some(fedora));
        install(root.path(), "usr/lib/postgresql/9/bin");
        let newest = install(root.path(), "usr/lib/postgresql/15/bin");
        // Client programs alone are not enough.
        fs::create_dir_all(root.path().join("usr/lib/postgresql/17/bin")).unwrap();
        assert_eq!(find_below(root.path(), None), Some(newest));
    }
}
