//! Where PostgreSQL is, how to connect to it, and what to report when that fails.

use std::error::Error as _;
use std::net::ToSocketAddrs;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::collect::OpenError;
use crate::collect::proc::network::is_on_machine;
use crate::collect::tls::{Check, client_config};
use crate::timeline::Labels;

/// The application name of kneepoint's own sessions, so that every count can leave them out.
pub(in crate::collect) const APPLICATION: &str = "kneepoint";

/// Longest wait for a connection, and for the result of any query.
pub(in crate::collect) const PATIENCE: Duration = Duration::from_secs(2);

const URL_HINT: &str = "write `postgres://user:password@host:5432/database`, with the characters \
                        `@ / ? # %` of a password percent-encoded, or `host=… user=… dbname=…`";

/// Makes a session a polite guest: it only reads, gives up early and never queues long for a lock.
const MANNERS: &str = "set application_name = 'kneepoint'; set statement_timeout = '1s'; \
                       set lock_timeout = '100ms'; set default_transaction_read_only = on; \
                       set jit = off";

/// What drives the sessions of one collector, on its own thread. `whom` is for the message.
///
/// # Errors
/// If the system has no descriptors left for it.
pub(in crate::collect) fn runtime_for(whom: &str) -> Result<Runtime, OpenError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| {
        OpenError::new(
            format!("cannot start a runtime to talk to {whom}: {error}"),
            "raise the limit of open files (`ulimit -n`)",
        )
    })
}

/// A PostgreSQL server, database and user, and how to reach them.
pub(in crate::collect) struct Address {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    server: Server,
}

/// What listens at an address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Server {
    Postgres,
    /// A pooler's admin console, which knows a few commands and no settings of a session.
    Console,
}

impl Server {
    /// What it is, and the table of a plan that has its `url`.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Server::Postgres => ("PostgreSQL", "[collect.postgres]"),
            Server::Console => ("the pooler", "[collect.pgbouncer]"),
        }
    }
}

/// Why there is no connection. Neither text holds a password.
#[derive(Debug)]
pub(in crate::collect) struct ConnectError {
    /// What failed and why.
    pub what: String,
    /// The next step.
    pub hint: String,
}

/// A session, and the task that transfers its bytes while a query is awaited.
pub(in crate::collect) struct Session {
    /// Sends the queries.
    pub client: Client,
    driver: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Address {
    /// Parses a connection URL or `key=value` text; `ca_file` names the certificates to trust.
    ///
    /// `sslmode` has the same meaning as in libpq: `require` alone checks no certificate, and
    /// together with a certificate authority it means `verify-ca`.
    pub(in crate::collect) fn parse(url: &str, ca_file: Option<&str>) -> Result<Self, OpenError> {
        if url.contains("sslrootcert") {
            return Err(OpenError::new(
                "the PostgreSQL `url` has `sslrootcert`, which kneepoint takes from its own option",
                "move the path to `ca_file = \"…\"` in [collect.postgres]",
            ));
        }
        let (url, asked) = split_verification(url);
        // The parser's messages may quote the text, and with it the password.
        let mut config: Config = url.parse().map_err(|_| {
            OpenError::new("the PostgreSQL `url` cannot be read as a connection URL", URL_HINT)
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(OpenError::new("the PostgreSQL `url` names no host", URL_HINT));
        }
        config.application_name(APPLICATION).connect_timeout(PATIENCE);
        let check = match (asked, ca_file) {
            (Some(check), _) => check,
            (None, Some(_)) => Check::Authority,
            (None, None) => Check::Nothing,
        };
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(MakeRustlsConnect::new(client_config(check, ca_file)?)),
        };
        Ok(Self { config, tls, server: Server::Postgres })
    }

    /// The same address as that of a pooler's admin console.
    pub(in crate::collect) fn of_pooler(self) -> Self {
        Self { server: Server::Console, ..self }
    }

    /// Connects and sets the session's limits.
    pub(in crate::collect) async fn connect(&self) -> Result<Session, ConnectError> {
        match tokio::time::timeout(PATIENCE, self.connect_patiently()).await {
            Ok(result) => result.map_err(|error| self.refusal(&error)),
            Err(_) => Err(ConnectError {
                what: format!(
                    "cannot connect to {} at `{self}`: no answer within {} s",
                    self.server.names().0,
                    PATIENCE.as_secs()
                ),
                hint: "check host, port and firewall".to_owned(),
            }),
        }
    }

    async fn connect_patiently(&self) -> Result<Session, tokio_postgres::Error> {
        // An error of the connection reaches the code that waits for a result on it.
        let (client, driver) = match &self.tls {
            Some(tls) => {
                let (client, connection) = self.config.connect(tls.clone()).await?;
                (client, tokio::spawn(async move { drop(connection.await) }))
            }
            None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                (client, tokio::spawn(async move { drop(connection.await) }))
            }
        };
        let session = Session { client, driver };
        if self.server == Server::Postgres {
            session.client.batch_execute(MANNERS).await?;
        }
        Ok(session)
    }

    /// The user name of the connection, if the URL has one.
    pub(in crate::collect) fn user(&self) -> &str {
        self.config.get_user().unwrap_or("?")
    }

    /// Whether the server's processes may be on this machine.
    pub(in crate::collect) fn is_local(&self) -> bool {
        let named = self.config.get_hosts().iter().any(|host| match host {
            Host::Unix(_) => true,
            Host::Tcp(name) => (name.as_str(), 0)
                .to_socket_addrs()
                .is_ok_and(|mut addresses| addresses.any(|address| is_on_machine(address.ip()))),
        });
        named || self.config.get_hostaddrs().iter().any(|ip| is_on_machine(*ip))
    }

    /// Says why the server could not be reached, and what to do about it.
    pub(in crate::collect) fn refusal(&self, error: &tokio_postgres::Error) -> ConnectError {
        let user = self.user();
        let (server, table) = self.server.names();
        let hint = match error.code() {
            Some(&SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => {
                format!("check user `{user}`, its password and pg_hba.conf")
            }
            Some(&SqlState::INVALID_CATALOG_NAME) => {
                "check the database name at the end of `url`".to_owned()
            }
            Some(&SqlState::TOO_MANY_CONNECTIONS) => "every connection that PostgreSQL admits is \
                taken: raise max_connections, or let a user with pg_use_reserved_connections watch"
                .to_owned(),
            Some(&SqlState::CANNOT_CONNECT_NOW) => "wait until the server has started".to_owned(),
            Some(_) => format!("check `url` in {table}"),
            None => hint_without_code(error, table),
        };
        ConnectError {
            what: format!("cannot connect to {server} at `{self}`: {}", in_words(error)),
            hint,
        }
    }
}

/// `user@host:port/database`, which is safe to show in a report.
impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@", self.user())?;
        match (self.config.get_hosts().first(), self.config.get_hostaddrs().first()) {
            (Some(Host::Tcp(name)), _) => f.write_str(name)?,
            (Some(Host::Unix(path)), _) => write!(f, "{}", path.display())?,
            (None, Some(ip)) => write!(f, "{ip}")?,
            (None, None) => {}
        }
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        write!(f, ":{port}/{}", self.config.get_dbname().unwrap_or(self.user()))
    }
}

/// Removes the two `sslmode`s that tokio-postgres does not know from the text. Both connect as
/// `require` does, and differ in what is checked. `allow` becomes `prefer`, the better of the two.
fn split_verification(url: &str) -> (String, Option<Check>) {
    let forms = [
        ("sslmode=verify-full", "sslmode=require", Some(Check::AuthorityAndHost)),
        ("sslmode=verify-ca", "sslmode=require", Some(Check::Authority)),
        ("sslmode=allow", "sslmode=prefer", None),
    ];
    for (form, plain, check) in forms {
        if url.contains(form) {
            return (url.replacen(form, plain, 1), check);
        }
    }
    (url.to_owned(), None)
}

/// The chain of an error's causes, including the server's own message and code if there is one.
pub(in crate::collect) fn in_words(error: &tokio_postgres::Error) -> String {
    if let Some(server) = error.as_db_error() {
        return format!("{} ({})", server.message(), server.code().code());
    }
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

fn hint_without_code(error: &tokio_postgres::Error, table: &str) -> String {
    let words = in_words(error);
    let hint = if words.contains("does not support TLS") {
        "the server has no TLS: use `sslmode=prefer`, or set `ssl = on` there"
    } else if words.contains("password missing") {
        "put the password into `url`, from the environment"
    } else if words.contains("TLS handshake") {
        "name the authority's certificate as `ca_file`, or use `sslmode=require` to check none"
    } else if words.contains("refused") || words.contains("No such file") {
        "is PostgreSQL running, and does it listen there? check host and port"
    } else {
        return format!("check `url` in {table}");
    };
    hint.to_owned()
}

/// `none` if PostgreSQL returns null or an empty name.
pub(in crate::collect) fn or_none(text: Option<String>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or_else(|| "none".to_owned())
}

/// Labels of one group of sessions.
pub(in crate::collect) fn session_labels(
    app: String,
    state: &str,
    wait: (String, String),
) -> Labels {
    Labels::none()
        .with("app", app)
        .with("state", state)
        .with("wait_type", wait.0)
        .with("wait_event", wait.1)
}
