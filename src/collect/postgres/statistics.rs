//! PostgreSQL's cumulative statistics, its connection limit, and pg_stat_statements if the database
//! has it.
//!
//! A backend reports its counters when a transaction ends, at most once a second. A backend that
//! becomes idle keeps the rest for up to ten seconds (pgstat.c). A long statement therefore appears
//! here late and all at once. Use these views for windows of many seconds, and the sessions for
//! single moments.

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Statement};

use crate::timeline::{BatchBuilder, MetricSpec, names};

const LIMIT: &str = "
select current_setting('max_connections')::float8
     - current_setting('superuser_reserved_connections')::float8
     - coalesce(current_setting('reserved_connections', true)::float8, 0) as connections";

const DATABASE: &str = "
select (xact_commit + xact_rollback)::float8, blks_read::float8, blks_hit::float8,
       (tup_returned + tup_fetched)::float8, temp_bytes::float8,
       temp_files::float8, deadlocks::float8
from pg_stat_database where datname = current_database()";

/// The columns of [`DATABASE`].
const DATABASE_COUNTERS: [&MetricSpec; 7] = [
    &names::DB_TRANSACTIONS,
    &names::DB_BLOCKS_READ,
    &names::DB_BLOCKS_HIT,
    &names::DB_ROWS_READ,
    &names::DB_TEMP_BYTES,
    &names::DB_TEMP_FILES,
    &names::DB_DEADLOCKS,
];

/// The schema of pg_stat_statements, and the name of its time column, which version 1.8 split in
/// two.
const EXTENSION: &str = "
select quote_ident(n.nspname) as schema,
       string_to_array(e.extversion, '.')::int[] >= '{1,8}' as split
from pg_extension e join pg_namespace n on n.oid = e.extnamespace
where e.extname = 'pg_stat_statements'";

/// A running total that never falls. If the source is reset, counting continues from zero. A small
/// fall (evicted statements) adds nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Total {
    last: Option<f64>,
    total: f64,
}

impl Total {
    /// Takes the source's value and returns the total.
    pub(super) fn follow(&mut self, value: f64) -> f64 {
        self.total += match self.last {
            None => value,
            Some(last) if value >= last => value - last,
            Some(last) if value < last / 2.0 => value,
            Some(_) => 0.0,
        };
        self.last = Some(value);
        self.total
    }
}

/// The counters so far. They outlive a connection, so that a server restart does not make them
/// fall.
#[derive(Debug, Default)]
pub(super) struct Totals {
    database: [Total; 7],
    calls: Total,
    time: Total,
    /// Transactions of kneepoint itself.
    own: f64,
    told: f64,
}

impl Totals {
    /// Counts `queries` of kneepoint; each query is one transaction.
    pub(super) fn count_own(&mut self, queries: u64) {
        self.own += queries as f64;
    }

    /// The transactions of others. Kneepoint counts its own at once, while the server reports them
    /// up to a second later. The difference may therefore dip; then the result stays unchanged.
    fn foreign(&mut self, transactions: f64) -> f64 {
        self.told = self.told.max(transactions - self.own);
        self.told
    }
}

/// The prepared queries of one connection.
pub(super) struct Statistics {
    limit: f64,
    database: Statement,
    statements: Option<Statements>,
    looks: u64,
}

struct Statements {
    sums: Statement,
    own: Statement,
    /// Query ids of kneepoint's own statements, which the sums leave out.
    own_ids: Vec<i64>,
}

impl Statistics {
    /// Prepares the queries on this connection. The second result is why pg_stat_statements cannot
    /// be read, if it is installed.
    pub(super) async fn prepare(client: &Client) -> Result<(Self, Option<String>), Error> {
        let limit = client.query_one(LIMIT, &[]).await?.try_get("connections")?;
        let database = client.prepare(DATABASE).await?;
        let (statements, trouble) = match Statements::prepare(client).await {
            Ok(statements) => (statements, None),
            // Installed, but not loaded at server start, or not readable for this user.
            Err(error) if error.as_db_error().is_some() => {
                let why = super::connect::in_words(&error);
                (None, Some(format!("pg_stat_statements cannot be read: {why}")))
            }
            Err(error) => return Err(error),
        };
        Ok((Self { limit, database, statements, looks: 0 }, trouble))
    }

    /// Whether the database has pg_stat_statements.
    pub(super) fn has_statements(&self) -> bool {
        self.statements.is_some()
    }

    /// Reads the views.
    pub(super) async fn sample(
        &mut self,
        client: &Client,
        totals: &mut Totals,
        batch: &mut BatchBuilder,
    ) -> Result<(), Error> {
        self.looks += 1;
        totals.count_own(1);
        batch.push(&names::DB_CONNECTIONS_LIMIT, self.limit);
        let row = client.query_one(&self.database, &[]).await?;
        for (column, metric) in DATABASE_COUNTERS.iter().enumerate() {
            let total = totals.database[column].follow(row.try_get(column)?);
            let is_transactions = metric.name == names::DB_TRANSACTIONS.name;
            batch.push(metric, if is_transactions { totals.foreign(total) } else { total });
        }
        let Some(statements) = &mut self.statements else {
            return Ok(());
        };
        // From the second look on, the server has kneepoint's own statements in its table. Later
        // looks find those that were evicted and came back under a new id.
        if self.looks == 2 || self.looks.is_multiple_of(30) {
            let row = client.query_one(&statements.own, &[]).await?;
            statements.own_ids = row.try_get("ids")?;
            totals.count_own(1);
        }
        totals.count_own(1);
        let parameters: [&(dyn ToSql + Sync); 1] = [&statements.own_ids];
        let row = client.query_one(&statements.sums, &parameters).await?;
        batch.push(&names::DB_STATEMENT_CALLS, totals.calls.follow(row.try_get("calls")?));
        batch.push(&names::DB_STATEMENT_TIME, totals.time.follow(row.try_get("seconds")?));
        Ok(())
    }
}

impl Statements {
    /// `None` if the database does not have the extension.
    async fn prepare(client: &Client) -> Result<Option<Self>, Error> {
        let Some(row) = client.query_opt(EXTENSION, &[]).await? else {
            return Ok(None);
        };
        let schema: String = row.try_get("schema")?;
        let time = if row.try_get("split")? { "total_exec_time" } else { "total_time" };
        // Without the query texts, the view is read from memory alone.
        let sums = format!(
            "select coalesce(sum(calls), 0)::float8 as calls,
                    coalesce(sum({time}), 0)::float8 / 1000 as seconds
             from {schema}.pg_stat_statements(false)
             where dbid = (select oid from pg_database where datname = current_database())
               and (queryid is null or queryid <> all($1::bigint[]))"
        );
        let own = format!(
            "select coalesce(array_agg(queryid), '{{}}')::bigint[] as ids
             from {schema}.pg_stat_statements
             where query ~ 'pg_stat_activity|pg_stat_statements|pg_stat_database'
               and userid = (select oid from pg_roles where rolname = current_user)
               and queryid is not null"
        );
        let statements = Self {
            sums: client.prepare(&sums).await?,
            own: client.prepare(&own).await?,
            own_ids: Vec::new(),
        };
        client.query_one(&statements.sums, &[&statements.own_ids]).await?;
        Ok(Some(statements))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_survives_resets_and_evictions() {
        let mut total = Total::default();
        let values = [100.0, 150.0, 145.0, 155.0, 5.0, 10.0];
        let totals: Vec<f64> = values.iter().map(|value| total.follow(*value)).collect();
        assert_eq!(totals, [100.0, 150.0, 150.0, 160.0, 165.0, 170.0]);
    }
}
