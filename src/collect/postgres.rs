//! PostgreSQL from inside: what every session does or waits for, at least ten times a second, and
//! the server's own statistics every two seconds.
//!
//! # Errors
//! A look that fails gives no reading. A lost connection is reopened at most every two seconds;
//! until then every look fails with the reason.

pub(super) mod connect;
mod cpu;
pub mod inventory;
#[cfg(test)]
mod private_cluster;
mod sessions;
mod statistics;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::time::timeout;

use connect::{Address, ConnectError, PATIENCE, Session, runtime_for};
use cpu::ServerProcesses;
use sessions::{Sessions, Visibility};
use statistics::{Statistics, Totals};

use crate::collect::{Collector, CollectorSpec, OpenError, Opens, SampleError, TargetHint};
use crate::plan::{CollectorConfig, OptionKind, OptionSpec};
use crate::timeline::{BatchBuilder, names};

/// The collector `postgres`.
pub static SPEC: CollectorSpec = CollectorSpec {
    name: "postgres",
    summary: "PostgreSQL's sessions, locks and statistics; needs a login, best with pg_monitor",
    hint: "[collect.postgres] with the database's url (a role in pg_monitor)",
    opens: Opens::WhenAsked,
    options: &[
        OptionSpec {
            name: "url",
            kind: OptionKind::Secret,
            required: true,
            about: "postgres://user:password@host:5432/database, the one that the target uses",
        },
        OptionSpec {
            name: "ca_file",
            kind: OptionKind::Text,
            required: false,
            about: "PEM file of the authority that signed the server's certificate",
        },
    ],
    metrics: &[
        names::DB_SESSIONS,
        names::DB_SESSIONS_UNUSED,
        names::DB_ROOT_BLOCKERS,
        names::DB_BLOCKED,
        names::DB_TRANSACTION_AGE,
        names::DB_IDLE_IN_TRANSACTION_AGE,
        names::DB_QUERY_AGE,
        names::DB_CONNECTIONS,
        names::DB_CONNECTIONS_LIMIT,
        names::DB_TRANSACTIONS,
        names::DB_BLOCKS_READ,
        names::DB_BLOCKS_HIT,
        names::DB_ROWS_READ,
        names::DB_TEMP_BYTES,
        names::DB_TEMP_FILES,
        names::DB_DEADLOCKS,
        names::DB_STATEMENT_CALLS,
        names::DB_STATEMENT_TIME,
        names::DB_CPU_TIME,
        names::DB_CPU_ALLOWED,
    ],
    interval: Duration::from_millis(75),
    open,
};

const STATISTICS_EVERY: Duration = Duration::from_secs(2);
const CPU_EVERY: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);

/// Facts about the server that are not numbers.
const SERVER: &str = "
select current_setting('server_version') as version, pg_backend_pid() as backend,
       current_user::text as role, current_database()::text as database,
       extract(epoch from pg_postmaster_start_time())::float8 as started,
       (pg_has_role(current_user, 'pg_read_all_stats', 'usage')
        or current_setting('is_superuser') = 'on') as sees_all";

fn open(config: &CollectorConfig, _: &TargetHint) -> Result<Box<dyn Collector>, OpenError> {
    let url = config.text("url").unwrap_or_default();
    let address = Address::parse(url, config.text("ca_file"))?;
    let runtime = runtime_for("PostgreSQL")?;
    let mut collector = Postgres {
        address,
        runtime,
        link: Link::Down { since: Instant::now(), tried: None, why: String::new() },
        server: None,
        totals: Totals::default(),
        pause: SHORTEST_PAUSE,
        told_hidden: false,
        events: Vec::new(),
    };
    collector.connect().map_err(|refusal| OpenError::new(refusal.what, refusal.hint))?;
    // Anything that must not fail later is tried now, before there is any load.
    let mut trial = BatchBuilder::new();
    collector.sample(&mut trial).map_err(|error| {
        let hint =
            "let the user read PostgreSQL's statistics (pg_monitor), or see the server's log";
        OpenError::new(error.0, hint)
    })?;
    Ok(Box::new(collector))
}

struct Postgres {
    address: Address,
    runtime: Runtime,
    link: Link,
    server: Option<Server>,
    totals: Totals,
    pause: Duration,
    told_hidden: bool,
    events: Vec<String>,
}

enum Link {
    Up(Box<Connected>),
    Down { since: Instant, tried: Option<Instant>, why: String },
}

/// One connection and everything bound to it.
struct Connected {
    session: Session,
    sessions: Sessions,
    statistics: Statistics,
    statistics_read: Option<Instant>,
    processes: Option<ServerProcesses>,
    cpu_read: Option<Instant>,
}

/// The server, as it was at the last connection.
struct Server {
    version: String,
    role: String,
    database: String,
    started: f64,
    sees_all: bool,
}

impl Postgres {
    fn connect(&mut self) -> Result<(), ConnectError> {
        let address = &self.address;
        let made = self.runtime.block_on(async {
            let session = address.connect().await?;
            let prepared = timeout(PATIENCE, prepare(session, address.is_local())).await;
            match prepared {
                Ok(Ok(all)) => Ok(all),
                Ok(Err(error)) => Err(address.refusal(&error)),
                Err(_) => Err(ConnectError {
                    what: format!("PostgreSQL at `{address}` does not answer"),
                    hint: "is the server overloaded or being stopped?".to_owned(),
                }),
            }
        });
        let (connected, server, trouble) = made?;
        self.events.extend(trouble.filter(|_| self.server.is_none()));
        if let Some(before) = &self.server
            && before.started != server.started
        {
            self.events.push(format!("PostgreSQL at `{address}` was restarted"));
        }
        // Preparing takes six transactions.
        self.totals.count_own(6);
        self.server = Some(server);
        self.link = Link::Up(Box::new(connected));
        self.pause = SHORTEST_PAUSE;
        Ok(())
    }

    /// Reconnects if it is time to; otherwise says why there is no connection.
    fn reconnect(&mut self) -> Result<(), SampleError> {
        let Link::Down { since, tried, why } = &self.link else {
            return Ok(());
        };
        let since = *since;
        if tried.is_some_and(|tried| tried.elapsed() < self.pause) {
            return Err(SampleError(why.clone()));
        }
        match self.connect() {
            Ok(()) => {
                let seconds = since.elapsed().as_secs_f64();
                self.events.push(format!(
                    "connected to PostgreSQL at `{}` again after {seconds:.1} s",
                    self.address
                ));
                Ok(())
            }
            Err(refusal) => {
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                let tried = Some(Instant::now());
                self.link = Link::Down { since, tried, why: refusal.what.clone() };
                Err(SampleError(refusal.what))
            }
        }
    }

    fn look(&mut self, batch: &mut BatchBuilder) -> Result<Visibility, SampleError> {
        let Link::Up(connected) = &mut self.link else {
            return Err(SampleError("not connected".to_owned()));
        };
        let totals = &mut self.totals;
        let looked =
            self.runtime.block_on(async { timeout(PATIENCE, connected.look(totals, batch)).await });
        let why = match looked {
            Ok(Ok(visibility)) => return Ok(visibility),
            Ok(Err(error)) => {
                let why = connect::in_words(&error);
                // If the server cancels only the query (for example at its timeout), the session
                // survives.
                let survives = error
                    .as_db_error()
                    .is_some_and(|error| !matches!(error.severity(), "FATAL" | "PANIC"))
                    && !connected.session.client.is_closed();
                if survives {
                    return Err(SampleError(format!("PostgreSQL refused a query: {why}")));
                }
                format!("lost the connection to PostgreSQL: {why}")
            }
            Err(_) => {
                format!("PostgreSQL did not answer within {} s", PATIENCE.as_secs())
            }
        };
        self.link = Link::Down { since: Instant::now(), tried: None, why: why.clone() };
        Err(SampleError(why))
    }

    /// The sentence that explains how to see the sessions of other users.
    fn grant(&self) -> String {
        let role = self.server.as_ref().map_or(self.address.user(), |server| &server.role);
        format!("to see them, run `grant pg_monitor to {role}`")
    }
}

impl Collector for Postgres {
    fn watches(&self) -> String {
        let Some(server) = &self.server else {
            return format!("PostgreSQL at `{}`", self.address);
        };
        let mut text = format!(
            "PostgreSQL {} at `{}`, database `{}`",
            server.version, self.address, server.database
        );
        if let Link::Up(connected) = &self.link {
            if let Some(processes) = &connected.processes {
                text += &format!(", its processes under pid {}", processes.postmaster());
            }
            if !connected.statistics.has_statements() {
                text += ", without pg_stat_statements";
            }
        }
        if !server.sees_all {
            text += &format!(
                "; only sessions of `{}` are visible, those of other users are hidden: {}",
                server.role,
                self.grant()
            );
        }
        text
    }

    fn sample(&mut self, batch: &mut BatchBuilder) -> Result<(), SampleError> {
        self.reconnect()?;
        let visibility = self.look(batch)?;
        if visibility.hidden > 0.0 && !self.told_hidden {
            self.told_hidden = true;
            self.events.push(format!(
                "PostgreSQL hides what {} of {} sessions are doing: {}",
                visibility.hidden,
                visibility.hidden + visibility.shown,
                self.grant()
            ));
        }
        // Counting only the few visible sessions would suggest that the others do nothing.
        if visibility.hidden > visibility.shown {
            return Err(SampleError(format!(
                "PostgreSQL hides what most of its sessions are doing: {}",
                self.grant()
            )));
        }
        Ok(())
    }

    fn events(&mut self) -> Vec<String> {
        std::mem::take(&mut self.events)
    }
}

/// Prepares every query on a new session. The third part of the result is why one statistic is left
/// out.
async fn prepare(
    session: Session,
    is_local: bool,
) -> Result<(Connected, Server, Option<String>), tokio_postgres::Error> {
    let row = session.client.query_one(SERVER, &[]).await?;
    let server = Server {
        version: row.try_get("version")?,
        role: row.try_get("role")?,
        database: row.try_get("database")?,
        started: row.try_get("started")?,
        sees_all: row.try_get("sees_all")?,
    };
    let title = format!("{} {}", server.role, server.database);
    let processes = match is_local {
        true => ServerProcesses::find(row.try_get("backend")?, &title),
        false => None,
    };
    let sessions = Sessions::prepare(&session.client).await?;
    let (statistics, trouble) = Statistics::prepare(&session.client).await?;
    let connected = Connected {
        session,
        sessions,
        statistics,
        statistics_read: None,
        processes,
        cpu_read: None,
    };
    Ok((connected, server, trouble))
}

impl Connected {
    async fn look(
        &mut self,
        totals: &mut Totals,
        batch: &mut BatchBuilder,
    ) -> Result<Visibility, tokio_postgres::Error> {
        let client = &self.session.client;
        let (visibility, queries) = self.sessions.sample(client, batch).await?;
        totals.count_own(queries);
        if is_due(&mut self.statistics_read, STATISTICS_EVERY) {
            self.statistics.sample(client, totals, batch).await?;
        }
        if let Some(processes) = &mut self.processes
            && is_due(&mut self.cpu_read, CPU_EVERY)
            && let Some(seconds) = processes.seconds()
        {
            batch.push(&names::DB_CPU_TIME, seconds);
            if let Some(cores) = processes.allowed_cores() {
                batch.push(&names::DB_CPU_ALLOWED, cores);
            }
        }
        Ok(visibility)
    }
}

/// Whether `every` has passed since `last`. If so, sets `last` to now.
fn is_due(last: &mut Option<Instant>, every: Duration) -> bool {
    let due = last.is_none_or(|last| last.elapsed() >= every);
    if due {
        *last = Some(Instant::now());
    }
    due
}
