//! Who is connected, and what each session does or waits for, with one query per look.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio_postgres::{Client, Error, Row, Statement};

use super::connect::{or_none, session_labels};
use crate::timeline::{BatchBuilder, Labels, names};

/// Groups the sessions of the connected database by what they do. Sessions of other databases and
/// kneepoint's own form one group, `elsewhere`, because they use connections too. Sessions that
/// PostgreSQL does not show to this user form the group `hidden`.
const LOOK: &str = "
with own as (select oid from pg_database where datname = current_database()),
seen as (
  select application_name, state, wait_event_type, wait_event, xact_start, state_change,
         query_start, clock_timestamp() as now,
         case when datid is distinct from (select oid from own)
                or application_name = 'kneepoint' then 'elsewhere'
              when query = '<insufficient privilege>' then 'hidden'
              else 'here' end as kind
  from pg_stat_activity
  where usesysid is not null
    and (backend_type = 'client backend' or query = '<insufficient privilege>'))
select kind,
       case when kind <> 'elsewhere' then application_name end as app,
       case when kind = 'here' then state end as state,
       case when kind = 'here' then wait_event_type end as wait_type,
       case when kind = 'here' then wait_event end as wait_event,
       count(*)::float8 as sessions,
       count(xact_start)::float8 as transactions,
       coalesce(sum(extract(epoch from now - xact_start)), 0)::float8 as transaction_age,
       coalesce(sum(extract(epoch from now - state_change)), 0)::float8 as state_age,
       coalesce(sum(extract(epoch from now - query_start)), 0)::float8 as query_age,
       count(*) filter (where kind = 'here' and state like 'idle%'
                        and extract(epoch from now - state_change)::float8 >= $1::float8)::float8 as unused
from seen group by 1, 2, 3, 4, 5";

/// The sessions that block others and wait for no lock themselves, by state. Blocker 0 is a
/// prepared transaction, which has no session. Each call of pg_blocking_pids stops the lock
/// manager, so the query looks at no more than 64 of the waiting sessions.
const ROOTS: &str = "
with waiting as materialized (
  select pg_blocking_pids(pid) as blockers from pg_stat_activity
  where wait_event_type = 'Lock' limit 64),
blocker as (select distinct unnest(blockers) as pid from waiting)
select case when blocker.pid = 0 then 'prepared transaction' else session.state end as state,
       count(*)::float8 as sessions
from blocker left join pg_stat_activity session using (pid)
where session.wait_event_type is distinct from 'Lock'
  and (blocker.pid = 0 or session.pid is not null)
group by 1";

/// A session counts as unused if it was not used for this many seconds. A pool that is in use
/// reuses its sessions sooner; a leaked session is never used again.
const UNUSED_AFTER: f64 = 60.0;

/// Time between two queries for the root blockers.
const ROOTS_EVERY: Duration = Duration::from_millis(250);

/// The states in which a session can block others. Each is reported at every look, even at zero, so
/// that the record shows that nothing blocks.
const STATES: [&str; 2] = ["active", "idle in transaction"];

/// Counts and ages of the sessions in one state.
#[derive(Clone, Copy, Debug, Default)]
struct Ages {
    sessions: f64,
    transactions: f64,
    transaction_age: f64,
    state_age: f64,
    query_age: f64,
}

/// What PostgreSQL did not show.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Visibility {
    /// Sessions of the database whose state was shown.
    pub shown: f64,
    /// Sessions of the database whose state was not.
    pub hidden: f64,
}

/// The prepared queries, and the root blockers that the last query found.
pub(super) struct Sessions {
    look: Statement,
    roots: Statement,
    /// See [`UNUSED_AFTER`].
    pub(super) unused_after: f64,
    roots_asked: Option<Instant>,
    roots_found: BTreeMap<String, f64>,
}

impl Sessions {
    /// Prepares the queries on this connection.
    pub(super) async fn prepare(client: &Client) -> Result<Self, Error> {
        Ok(Self {
            look: client.prepare(LOOK).await?,
            roots: client.prepare(ROOTS).await?,
            unused_after: UNUSED_AFTER,
            roots_asked: None,
            roots_found: BTreeMap::new(),
        })
    }

    /// Takes one look; the second result is the number of queries it took.
    pub(super) async fn sample(
        &mut self,
        client: &Client,
        batch: &mut BatchBuilder,
    ) -> Result<(Visibility, u64), Error> {
        let rows = client.query(&self.look, &[&self.unused_after]).await?;
        let (visibility, blocked) = census(&rows, batch)?;
        let mut queries = 1;
        if blocked == 0.0 {
            self.roots_found.clear();
            self.roots_asked = None;
        } else if self.roots_asked.is_none_or(|asked| asked.elapsed() >= ROOTS_EVERY) {
            self.roots_asked = Some(Instant::now());
            queries += 1;
            self.roots_found = client
                .query(&self.roots, &[])
                .await?
                .iter()
                .map(|row| Ok((or_none(row.try_get("state")?), row.try_get("sessions")?)))
                .collect::<Result<_, Error>>()?;
        }
        // A census needs a value at every look, so the last result is repeated between two queries.
        let mut roots = self.roots_found.clone();
        for state in STATES {
            roots.entry(state.to_owned()).or_insert(0.0);
        }
        for (state, sessions) in roots {
            batch.push_labelled(
                &names::DB_ROOT_BLOCKERS,
                Labels::none().with("state", state),
                sessions,
            );
        }
        Ok((visibility, queries))
    }
}

/// Pushes what one look found; returns what was hidden, and how many sessions wait for a lock.
fn census(rows: &[Row], batch: &mut BatchBuilder) -> Result<(Visibility, f64), Error> {
    let mut visibility = Visibility::default();
    let mut connections = 0.0;
    let mut blocked = 0.0;
    let mut states: BTreeMap<String, Ages> = BTreeMap::new();
    let mut unused: BTreeMap<(String, String), f64> = BTreeMap::new();
    for row in rows {
        let sessions: f64 = row.try_get("sessions")?;
        connections += sessions;
        let state = match row.try_get("kind")? {
            "elsewhere" => continue,
            "hidden" => {
                visibility.hidden += sessions;
                "hidden".to_owned()
            }
            _ => {
                visibility.shown += sessions;
                or_none(row.try_get("state")?)
            }
        };
        let wait = (or_none(row.try_get("wait_type")?), or_none(row.try_get("wait_event")?));
        if wait.0 == "Lock" {
            blocked += sessions;
        }
        let app = or_none(row.try_get("app")?);
        *unused.entry((app.clone(), state.clone())).or_insert(0.0) +=
            row.try_get::<_, f64>("unused")?;
        let labels = session_labels(app, &state, wait);
        batch.push_labelled(&names::DB_SESSIONS, labels, sessions);
        let ages = states.entry(state).or_default();
        ages.sessions += sessions;
        ages.transactions += row.try_get::<_, f64>("transactions")?;
        ages.transaction_age += row.try_get::<_, f64>("transaction_age")?;
        ages.state_age += row.try_get::<_, f64>("state_age")?;
        ages.query_age += row.try_get::<_, f64>("query_age")?;
    }
    if states.is_empty() {
        // Without any series, the sessions would seem not to be watched at all.
        let nothing = ("none".to_owned(), "none".to_owned());
        let labels = session_labels("none".to_owned(), "idle", nothing);
        batch.push_labelled(&names::DB_SESSIONS, labels, 0.0);
    }
    for ((app, state), sessions) in unused.into_iter().filter(|(_, sessions)| *sessions > 0.0) {
        let labels = Labels::none().with("app", app).with("state", state);
        batch.push_labelled(&names::DB_SESSIONS_UNUSED, labels, sessions);
    }
    batch.push(&names::DB_CONNECTIONS, connections);
    batch.push(&names::DB_BLOCKED, blocked);
    ages(&states, batch);
    Ok((visibility, blocked))
}

/// Pushes the mean ages; a state without sessions has no age.
fn ages(states: &BTreeMap<String, Ages>, batch: &mut BatchBuilder) {
    let mut idle = Ages::default();
    for (state, ages) in states {
        if ages.transactions > 0.0 {
            let labels = Labels::none().with("state", state.as_str());
            let age = (ages.transaction_age / ages.transactions).max(0.0);
            batch.push_labelled(&names::DB_TRANSACTION_AGE, labels, age);
        }
        // `idle in transaction (aborted)` holds its connection too.
        if state.starts_with("idle in transaction") {
            idle.sessions += ages.sessions;
            idle.state_age += ages.state_age;
        }
        if state == "active" {
            batch.push(&names::DB_QUERY_AGE, (ages.query_age / ages.sessions).max(0.0));
        }
    }
    if idle.sessions > 0.0 {
        let age = (idle.state_age / idle.sessions).max(0.0);
        batch.push(&names::DB_IDLE_IN_TRANSACTION_AGE, age);
    }
}
