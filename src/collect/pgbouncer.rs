//! PgBouncer from its admin console: for each pool the clients that are served and that wait, the
//! connections to the database, and how many there may be. Odyssey and PgCat have the same console;
//! a column that one of them lacks is left out.
//!
//! # Errors
//! A look that fails gives no reading. A lost connection is opened again at the next look, at most
//! every two seconds; until then every look fails with the reason.

mod console;

use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::time::timeout;

use console::{Pools, Totals};

use super::postgres::connect::{Address, PATIENCE, Session, in_words, runtime_for};
use super::{Collector, CollectorSpec, OpenError, Opens, SampleError, TargetHint};
use crate::plan::{CollectorConfig, OptionKind, OptionSpec};
use crate::timeline::{BatchBuilder, names};

/// The collector `pgbouncer`.
pub static SPEC: CollectorSpec = CollectorSpec {
    name: "pgbouncer",
    summary: "a connection pooler's pools, from its admin console (PgBouncer, Odyssey, PgCat); needs a \
              user of `stats_users` or `admin_users`",
    hint: "[collect.pgbouncer] with the url of the pooler's console, such as \
           postgres://stats@127.0.0.1:6432/pgbouncer",
    opens: Opens::WhenAsked,
    options: &[
        OptionSpec {
            name: "url",
            kind: OptionKind::Secret,
            required: true,
            about: "postgres://user:password@host:6432/pgbouncer, a user of stats_users or admin_users",
        },
        OptionSpec {
            name: "ca_file",
            kind: OptionKind::Text,
            required: false,
            about: "PEM file of the authority that signed the pooler's certificate",
        },
    ],
    metrics: &[
        names::POOLER_CLIENTS,
        names::POOLER_SERVERS,
        names::POOLER_LIMIT,
        names::POOLER_MAX_WAIT,
        names::POOLER_WAIT_TIME,
        names::POOLER_QUERIES,
        names::POOLER_QUERY_TIME,
        names::POOLER_IDLE_IN_TRANSACTION,
    ],
    interval: Duration::from_millis(250),
    open,
};

/// Time between two readings of the limits and the totals.
const TOTALS_EVERY: Duration = Duration::from_secs(2);
/// Time between two attempts to connect again.
const PAUSE: Duration = Duration::from_secs(2);

fn open(config: &CollectorConfig, _: &TargetHint) -> Result<Box<dyn Collector>, OpenError> {
    let url = config.text("url").unwrap_or_default();
    let address = Address::parse(url, config.text("ca_file"))?.of_pooler();
    let runtime = runtime_for("the pooler")?;
    let mut collector = Pooler {
        address,
        runtime,
        session: None,
        tried: None,
        why: String::new(),
        version: String::new(),
        totals_read: None,
        totals: Totals::default(),
        pools: 0,
    };
    let refused = |refusal: super::postgres::connect::ConnectError| {
        OpenError::new(refusal.what, refusal.hint)
    };
    collector.session = Some(collector.connect().map_err(refused)?);
    collector.version = collector.ask("SHOW VERSION").map_or_else(
        |_| "a pooler".to_owned(),
        |rows| console::first(&rows).unwrap_or("a pooler").to_owned(),
    );
    collector.totals = Totals::of_server(&collector.version);
    collector.sample(&mut BatchBuilder::new()).map_err(|error| {
        OpenError::new(
            error.0,
            "connect to the pooler's console (database `pgbouncer`) as a user of `stats_users` or \
             `admin_users`",
        )
    })?;
    Ok(Box::new(collector))
}

struct Pooler {
    address: Address,
    runtime: Runtime,
    session: Option<Session>,
    tried: Option<Instant>,
    why: String,
    version: String,
    totals_read: Option<Instant>,
    totals: Totals,
    /// How many pools the last look showed.
    pools: usize,
}

impl Pooler {
    fn connect(&self) -> Result<Session, super::postgres::connect::ConnectError> {
        self.runtime.block_on(self.address.connect())
    }

    /// Connects again if it is time to.
    fn reconnect(&mut self) -> Result<(), SampleError> {
        if self.session.is_some() {
            return Ok(());
        }
        if self.tried.is_some_and(|tried| tried.elapsed() < PAUSE) {
            return Err(SampleError(self.why.clone()));
        }
        self.tried = Some(Instant::now());
        match self.connect() {
            Ok(session) => {
                self.session = Some(session);
                Ok(())
            }
            Err(refusal) => {
                self.why = refusal.what;
                Err(SampleError(self.why.clone()))
            }
        }
    }

    /// The rows of one command of the console.
    fn ask(
        &mut self,
        command: &str,
    ) -> Result<Vec<tokio_postgres::SimpleQueryMessage>, SampleError> {
        let Some(session) = &self.session else {
            return Err(SampleError(self.why.clone()));
        };
        let asked = self
            .runtime
            .block_on(async { timeout(PATIENCE, session.client.simple_query(command)).await });
        let why = match asked {
            Ok(Ok(rows)) => return Ok(rows),
            Ok(Err(error)) => {
                let why = format!("the pooler refused `{command}`: {}", in_words(&error));
                if error.as_db_error().is_some() && !session.client.is_closed() {
                    return Err(SampleError(why));
                }
                why
            }
            Err(_) => format!("the pooler did not answer within {} s", PATIENCE.as_secs()),
        };
        self.session = None;
        self.why.clone_from(&why);
        Err(SampleError(why))
    }
}

impl Collector for Pooler {
    fn watches(&self) -> String {
        let plural = if self.pools == 1 { "pool" } else { "pools" };
        format!("{} at `{}`, {} {plural}", self.version, self.address, self.pools)
    }

    fn sample(&mut self, batch: &mut BatchBuilder) -> Result<(), SampleError> {
        self.reconnect()?;
        let pools = Pools::read(&self.ask("SHOW POOLS")?)
            .ok_or_else(|| SampleError("the pooler's `SHOW POOLS` names no pool".to_owned()))?;
        let due = self.totals_read.is_none_or(|read| read.elapsed() >= TOTALS_EVERY);
        if due {
            // A console may lack one of these commands, and still show its pools.
            let databases = self.ask("SHOW DATABASES").unwrap_or_default();
            let config = self.ask("SHOW CONFIG").unwrap_or_default();
            let stats = self.ask("SHOW STATS").unwrap_or_default();
            self.totals.read(&databases, &config, &stats);
            self.totals_read = Some(Instant::now());
        }
        self.pools = pools.len();
        pools.push(&self.totals, batch);
        if due {
            self.totals.push(batch);
        }
        Ok(())
    }
}
