//! What a PostgreSQL holds and how it is set: tables with their rows, sizes and indexes, the settings
//! that change how statements run, and which statements there are. Only the catalogue and the
//! statistics are read, in a session that cannot write.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Client;

use super::connect::{Address, Session, in_words, runtime_for};
use crate::collect::OpenError;

/// Settings that change plans, memory, durability or what waits ("Server Configuration" in
/// PostgreSQL's manual).
pub const SETTINGS: [&str; 22] = [
    "autovacuum",
    "checkpoint_timeout",
    "default_statistics_target",
    "default_transaction_isolation",
    "deadlock_timeout",
    "effective_cache_size",
    "effective_io_concurrency",
    "fsync",
    "full_page_writes",
    "idle_in_transaction_session_timeout",
    "jit",
    "lock_timeout",
    "maintenance_work_mem",
    "max_connections",
    "max_parallel_workers_per_gather",
    "max_wal_size",
    "random_page_cost",
    "shared_buffers",
    "statement_timeout",
    "synchronous_commit",
    "wal_compression",
    "work_mem",
];
/// Tables and statements that are read at most.
const MOST_TABLES: i64 = 20_000;
const MOST_STATEMENTS: i64 = 1000;

/// kneepoint changes some settings for its own session: what counts is what others get.
const READ_SETTINGS: &str = "
select name, coalesce(case when source = 'session' then reset_val else setting end, ''),
       coalesce(unit, '')
from pg_settings where name = any($1)";

/// An estimate of the rows: that of the last analysis, or of the statistics where it is larger.
const READ_TABLES: &str = "
select n.nspname::text, c.relname::text,
       greatest(c.reltuples::float8, coalesce(s.n_live_tup, 0)::float8, 0),
       pg_total_relation_size(c.oid)::float8,
       (coalesce(s.seq_scan, 0) + coalesce(s.idx_scan, 0))::float8
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_stat_user_tables s on s.relid = c.oid
where c.relkind in ('r', 'm') and n.nspname not in ('pg_catalog', 'information_schema')
  and n.nspname not like 'pg\\_toast%' and n.nspname not like 'pg\\_temp%'
order by 1, 2 limit $1";

const READ_INDEXES: &str = "
select n.nspname::text, t.relname::text, i.indisunique, am.amname::text,
       pg_get_indexdef(i.indexrelid)
from pg_index i
join pg_class t on t.oid = i.indrelid
join pg_class x on x.oid = i.indexrelid
join pg_am am on am.oid = x.relam
join pg_namespace n on n.oid = t.relnamespace
where i.indisvalid and n.nspname not in ('pg_catalog', 'information_schema')
  and n.nspname not like 'pg\\_toast%'";

const READ_STATEMENTS: &str = "
select query from pg_stat_statements
where dbid = (select oid from pg_database where datname = current_database())
order by calls desc limit $1";

/// A table, as the catalogue has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoredTable {
    /// Number of rows, an estimate.
    pub rows: f64,
    /// Bytes with indexes and TOAST.
    pub bytes: f64,
    /// Its valid indexes, such as `btree (customer_id)`; unique ones begin with `unique`.
    pub indexes: BTreeSet<String>,
    /// How often it was scanned since its statistics were reset.
    pub scans: f64,
}

/// What a database holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inventory {
    /// `user@host:port/database`, without a password.
    pub shown: String,
    /// The server's version, such as `16.4`.
    pub version: String,
    /// Settings by name, each with its unit.
    pub settings: BTreeMap<String, String>,
    /// Tables by `schema.name`.
    pub tables: BTreeMap<String, StoredTable>,
    /// The statements that it has run most often; `None` without pg_stat_statements.
    pub statements: Option<Vec<String>>,
}

/// Reads the database at `url`.
///
/// # Errors
/// If it cannot be reached, or its catalogue cannot be read. No message holds a password.
pub fn inventory(url: &str, ca_file: Option<&str>) -> Result<Inventory, OpenError> {
    let address = Address::parse(url, ca_file)?;
    let runtime = runtime_for("PostgreSQL")?;
    runtime.block_on(async {
        let Session { client, .. } =
            &address.connect().await.map_err(|refusal| OpenError::new(refusal.what, refusal.hint))?;
        let read = read(client, address.to_string()).await;
        read.map_err(|error| {
            OpenError::new(
                format!("cannot read the catalogue of `{address}`: {}", in_words(&error)),
                "let the role read the catalogue (pg_monitor); a statement may take a second at most",
            )
        })
    })
}

async fn read(client: &Client, shown: String) -> Result<Inventory, tokio_postgres::Error> {
    let version = client.query_one("select current_setting('server_version')", &[]).await?;
    let mut inventory = Inventory { shown, version: version.try_get(0)?, ..Inventory::default() };
    let names: Vec<&str> = SETTINGS.to_vec();
    for row in client.query(READ_SETTINGS, &[&names]).await? {
        let (name, value, unit): (String, String, String) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        inventory.settings.insert(name, with_unit(&value, &unit));
    }
    for row in client.query(READ_TABLES, &[&MOST_TABLES]).await? {
        let (schema, name): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let table = StoredTable {
            rows: row.try_get(2)?,
            bytes: row.try_get(3)?,
            scans: row.try_get(4)?,
            indexes: BTreeSet::new(),
        };
        inventory.tables.insert(format!("{schema}.{name}"), table);
    }
    for row in client.query(READ_INDEXES, &[]).await? {
        let (schema, table): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let (is_unique, definition): (bool, String) = (row.try_get(2)?, row.try_get(4)?);
        if let Some(table) = inventory.tables.get_mut(&format!("{schema}.{table}")) {
            table.indexes.insert(form_of(is_unique, &definition));
        }
    }
    // Without the extension, or without the right to see others' statements, scans have to tell.
    let statements = client.query(READ_STATEMENTS, &[&MOST_STATEMENTS]).await.ok();
    inventory.statements = statements.map(|rows| {
        rows.iter().filter_map(|row| row.try_get::<_, Option<String>>(0).ok().flatten()).collect()
    });
    Ok(inventory)
}

/// `128MB` instead of 16384 blocks of 8 kB.
fn with_unit(value: &str, unit: &str) -> String {
    let factor = match unit {
        "8kB" => 8,
        "kB" => 1,
        "MB" => 1024,
        unit => return format!("{value}{unit}"),
    };
    let Some(kib) = value.parse::<i64>().ok().and_then(|value| value.checked_mul(factor)) else {
        return format!("{value}{unit}");
    };
    match kib {
        // -1 means that another setting decides.
        kib if kib < 0 => value.to_owned(),
        kib if kib > 0 && kib % (1 << 20) == 0 => format!("{}GB", kib >> 20),
        kib if kib > 0 && kib % (1 << 10) == 0 => format!("{}MB", kib >> 10),
        kib => format!("{kib}kB"),
    }
}

/// An index without its name and its table, which may be other ones elsewhere.
fn form_of(is_unique: bool, definition: &str) -> String {
    let form = definition.split_once(" USING ").map_or(definition, |(_, form)| form);
    if is_unique { format!("unique {form}") } else { form.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::private_cluster::PrivateCluster;
    use super::*;
    use crate::realism::{GapKind, compare_databases};

    #[test]
    fn values_read_as_people_write_them() {
        assert_eq!(with_unit("16384", "8kB"), "128MB");
        assert_eq!(with_unit("4096", "kB"), "4MB");
        assert_eq!(with_unit("1048576", "kB"), "1GB");
        assert_eq!(with_unit("-1", "8kB"), "-1");
        assert_eq!(
            (with_unit("on", ""), with_unit("300", "s")),
            ("on".to_owned(), "300s".to_owned())
        );
        let definition = "CREATE UNIQUE INDEX a ON s.t USING btree (lower(x)) WHERE y";
        assert_eq!(form_of(true, definition), "unique btree (lower(x)) WHERE y");
    }

    fn fill(cluster: &PrivateCluster, statements: &str) {
        let address = Address::parse(&cluster.socket_url("postgres"), None).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let session = address.connect().await.unwrap();
            let manners = "set default_transaction_read_only = off; set statement_timeout = 0;";
            session.client.batch_execute(manners).await.unwrap();
            session.client.batch_execute(statements).await.unwrap();
        });
    }

    /// Two servers: production has more rows, another index, and other settings. What differs is
    /// told, and what does not is not.
    #[test]
    fn two_real_databases_are_told_apart() {
        let shared = "create table product (id int primary key, name text, shop int);
                      create table country (id int primary key, name text);
                      create table audit (id int);
                      insert into country select i, 'c' from generate_series(1, 200) i;";
        let Some(production) = PrivateCluster::start(&["work_mem=64MB", "jit=off"]) else { return };
        let Some(test) = PrivateCluster::start(&["jit=off"]) else { return };
        let filled = |rows: u32, index: &str| {
            format!(
                "{shared}
                 insert into product select i, 'p', i % 7 from generate_series(1, {rows}) i;
                 insert into audit select i from generate_series(1, {rows}) i;
                 {index} analyze; select count(*) from product; select count(*) from country;"
            )
        };
        fill(&production, &filled(34_000, "create index on product (shop);"));
        fill(&test, &filled(1200, "create index on product (name);"));
        // A session hands over its statistics when it ends.
        let read = |cluster: &PrivateCluster| loop {
            let read = inventory(&cluster.url("postgres"), None);
            let read = read.unwrap_or_else(|error| panic!("{error}"));
            if read.tables["public.country"].scans > 0.0 {
                break read;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        };
        let (production, test) = (read(&production), read(&test));
        assert_eq!(production.tables["public.product"].rows, 34_000.0);
        assert_eq!(production.settings["work_mem"], "64MB");
        // kneepoint's own session has another timeout than the others.
        assert_eq!(production.settings["statement_timeout"], "0ms");
        assert!(!production.shown.contains(super::super::private_cluster::PASSWORD));
        let gaps = compare_databases(&production, &test).gaps;
        let of = |kind| gaps.iter().filter(|gap| gap.kind == kind).collect::<Vec<_>>();
        let sizes = of(GapKind::TableSize);
        assert!(sizes.iter().any(|gap| gap.seen.contains("public.product")), "{gaps:#?}");
        assert!(!gaps.iter().any(|gap| gap.seen.contains("country")), "{gaps:#?}");
        assert_eq!(of(GapKind::Index).len(), 2, "{gaps:#?}");
        assert_eq!(of(GapKind::Setting).len(), 1, "{gaps:#?}");
        assert!(of(GapKind::Version).is_empty());
        assert!(compare_databases(&production, &production).gaps.is_empty());
    }

    #[test]
    fn no_message_holds_the_password() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = inventory(&format!("postgres://a:hunter2@{closed}/b"), None).unwrap_err();
        assert!(!error.what.contains("hunter2") && !error.hint.contains("hunter2"), "{error:?}");
    }
}
