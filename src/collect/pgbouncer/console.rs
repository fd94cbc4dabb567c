//! What the tables of a pooler's admin console say.

use std::collections::BTreeMap;

use tokio_postgres::SimpleQueryMessage;

use crate::timeline::{BatchBuilder, Labels, MetricSpec, names};

/// The console itself appears as a database.
const CONSOLE: &str = "pgbouncer";
/// The times of the console are in microseconds.
const MICRO: f64 = 1e-6;

/// One row by the names of its columns.
type Row = BTreeMap<String, String>;

/// The first column of the first row.
pub(super) fn first(messages: &[SimpleQueryMessage]) -> Option<&str> {
    messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    })
}

fn rows(messages: &[SimpleQueryMessage]) -> Vec<Row> {
    let of = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            let columns = row.columns().iter().enumerate();
            let named = columns.filter_map(|(index, column)| {
                Some((column.name().to_owned(), row.get(index)?.to_owned()))
            });
            Some(named.collect())
        }
        _ => None,
    };
    messages.iter().filter_map(of).collect()
}

fn number(row: &Row, column: &str) -> Option<f64> {
    row.get(column)?.parse().ok().filter(|value: &f64| *value >= 0.0)
}

/// The pools of one look: rows of `SHOW POOLS`.
pub(super) struct Pools(Vec<Row>);

impl Pools {
    /// Reads `SHOW POOLS`; `None` if it has none of the columns.
    pub(super) fn read(messages: &[SimpleQueryMessage]) -> Option<Self> {
        Self::of(rows(messages))
    }

    fn of(mut rows: Vec<Row>) -> Option<Self> {
        let known = |row: &Row| row.contains_key("database") && row.contains_key("cl_active");
        if !rows.iter().all(known) {
            return None;
        }
        rows.retain(|row| row.get("database").is_some_and(|name| name != CONSOLE));
        Some(Self(rows))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Pushes what each pool has, and its limit.
    pub(super) fn push(&self, totals: &Totals, batch: &mut BatchBuilder) {
        for row in &self.0 {
            let database = row.get("database").map_or("", String::as_str);
            let user = row.get("user").map_or("", String::as_str);
            let pool = Labels::none().with("pool", format!("{database}/{user}"));
            let mut push = |metric: &MetricSpec, state: Option<&str>, value: Option<f64>| {
                let labels = match state {
                    Some(state) => pool.clone().with("state", state),
                    None => pool.clone(),
                };
                if let Some(value) = value {
                    batch.push_labelled(metric, labels, value);
                }
            };
            let sum = |columns: [&str; 3]| -> Option<f64> {
                columns.into_iter().filter_map(|column| number(row, column)).reduce(|a, b| a + b)
            };
            push(&names::POOLER_CLIENTS, Some("active"), number(row, "cl_active"));
            push(&names::POOLER_CLIENTS, Some("waiting"), number(row, "cl_waiting"));
            push(&names::POOLER_SERVERS, Some("active"), number(row, "sv_active"));
            push(&names::POOLER_SERVERS, Some("idle"), number(row, "sv_idle"));
            let other = sum(["sv_used", "sv_tested", "sv_login"]);
            push(&names::POOLER_SERVERS, Some("other"), other);
            push(&names::POOLER_LIMIT, None, totals.limit(database));
            let max_wait = number(row, "maxwait")
                .map(|seconds| seconds + MICRO * number(row, "maxwait_us").unwrap_or(0.0));
            push(&names::POOLER_MAX_WAIT, None, max_wait);
        }
    }
}

/// The limits, and what has been counted since the pooler started.
#[derive(Default)]
pub(super) struct Totals {
    /// PgBouncer begins to count the time of a query before the query has a connection.
    counts_wait: bool,
    /// Connections to each database that one pool may have.
    limits: BTreeMap<String, f64>,
    /// What holds for databases that are not listed: those that a `*` admits.
    default_limit: Option<f64>,
    stats: BTreeMap<String, Row>,
    /// What was pushed of each difference of two totals.
    differences: BTreeMap<(String, &'static str), f64>,
}

impl Totals {
    /// No totals yet, of a pooler that names itself so.
    pub(super) fn of_server(version: &str) -> Self {
        Self { counts_wait: version.contains("PgBouncer"), ..Self::default() }
    }

    /// Reads `SHOW DATABASES`, `SHOW CONFIG` and `SHOW STATS`.
    pub(super) fn read(
        &mut self,
        databases: &[SimpleQueryMessage],
        config: &[SimpleQueryMessage],
        stats: &[SimpleQueryMessage],
    ) {
        self.take(&rows(databases), &rows(config), rows(stats));
    }

    fn take(&mut self, databases: &[Row], config: &[Row], stats: Vec<Row>) {
        let setting = |key: &str| {
            let row = config.iter().find(|row| row.get("key").is_some_and(|name| name == key))?;
            number(row, "value")
        };
        let positive = |value: &f64| *value > 0.0;
        let per_user = setting("max_user_connections").filter(positive);
        let least = |one: Option<f64>, other: Option<f64>| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        self.limits.clear();
        for row in databases {
            let size = number(row, "pool_size").filter(positive);
            // 0 is no limit.
            let most = number(row, "max_connections").filter(positive);
            let limit = least(least(size, most), per_user);
            if let (Some(name), Some(limit)) = (row.get("name"), limit) {
                self.limits.insert(name.clone(), limit);
            }
        }
        self.default_limit = least(setting("default_pool_size").filter(positive), per_user);
        let named = |row: Row| Some((row.get("database")?.clone(), row));
        self.stats = stats.into_iter().filter_map(named).collect();
    }

    fn limit(&self, database: &str) -> Option<f64> {
        self.limits.get(database).copied().or(self.default_limit)
    }

    /// Pushes the totals of each database.
    pub(super) fn push(&mut self, batch: &mut BatchBuilder) {
        for (database, row) in self.stats.iter().filter(|(database, _)| *database != CONSOLE) {
            let labels = Labels::none().with("database", database.as_str());
            let of = |column: &str| number(row, column);
            let seconds = |column: &str| of(column).map(|micro| micro * MICRO);
            let mut push = |metric: &MetricSpec, value: Option<f64>| {
                if let Some(value) = value {
                    batch.push_labelled(metric, labels.clone(), value);
                }
            };
            push(&names::POOLER_QUERIES, of("total_query_count"));
            let wait = seconds("total_wait_time");
            push(&names::POOLER_WAIT_TIME, wait);
            // A console that counts no times writes zeros.
            let Some(query) = seconds("total_query_time").filter(|time| *time > 0.0) else {
                continue;
            };
            let less = if self.counts_wait { wait.unwrap_or(0.0) } else { 0.0 };
            // The two totals grow at different moments, and their difference falls for a moment.
            let mut difference = |which: &'static str, of: f64, less: f64| {
                let highest = self.differences.entry((database.clone(), which)).or_insert(0.0);
                // A total that is less than all that was counted began anew.
                *highest = if of < *highest { of - less } else { highest.max(of - less) };
                Some(highest.max(0.0))
            };
            push(&names::POOLER_QUERY_TIME, difference("query", query, less));
            if let Some(transaction) = seconds("total_xact_time") {
                let idle = difference("idle", transaction, query);
                push(&names::POOLER_IDLE_IN_TRANSACTION, idle);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pairs: &[(&str, &str)]) -> Row {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn pushed(push: impl FnOnce(&mut BatchBuilder)) -> BTreeMap<String, f64> {
        let mut batch = BatchBuilder::new();
        push(&mut batch);
        batch.finish().into_iter().map(|it| (it.key.to_string(), it.value)).collect()
    }

    #[test]
    fn pools_have_clients_servers_and_a_limit() {
        let pools = Pools::of(vec![
            row(&[
                ("database", "shop"),
                ("user", "app"),
                ("cl_active", "2"),
                ("cl_waiting", "48"),
                ("sv_active", "2"),
                ("sv_idle", "0"),
                ("sv_used", "1"),
                ("sv_login", "1"),
                ("maxwait", "1"),
                ("maxwait_us", "500000"),
            ]),
            row(&[("database", "pgbouncer"), ("user", "pgbouncer"), ("cl_active", "1")]),
        ])
        .unwrap();
        assert_eq!(pools.len(), 1);
        let databases = [row(&[("name", "shop"), ("pool_size", "2"), ("max_connections", "0")])];
        let mut totals = Totals::default();
        totals.take(&databases, &[], Vec::new());
        let values = pushed(|batch| pools.push(&totals, batch));
        let expected = [
            ("pooler.clients{pool=shop/app,state=active}", 2.0),
            ("pooler.clients{pool=shop/app,state=waiting}", 48.0),
            ("pooler.limit{pool=shop/app}", 2.0),
            ("pooler.max_wait{pool=shop/app}", 1.5),
            ("pooler.servers{pool=shop/app,state=active}", 2.0),
            ("pooler.servers{pool=shop/app,state=idle}", 0.0),
            ("pooler.servers{pool=shop/app,state=other}", 2.0),
        ];
        assert_eq!(values, expected.map(|(key, value)| (key.to_owned(), value)).into());
        assert!(Pools::of(vec![row(&[("id", "1")])]).is_none(), "another server's table");
    }

    #[test]
    fn the_least_of_the_limits_binds() {
        let config = [
            row(&[("key", "default_pool_size"), ("value", "20")]),
            row(&[("key", "max_user_connections"), ("value", "15")]),
        ];
        let databases = [
            row(&[("name", "a"), ("pool_size", "30"), ("max_connections", "10")]),
            row(&[("name", "b"), ("pool_size", "30"), ("max_connections", "0")]),
        ];
        let mut totals = Totals::default();
        totals.take(&databases, &config, Vec::new());
        let limits = ["a", "b", "else"].map(|name| totals.limit(name));
        assert_eq!(limits, [Some(10.0), Some(15.0), Some(15.0)]);
        assert_eq!(Totals::default().limit("a"), None);
    }

    fn stats(query: &str, transaction: &str, wait: &str) -> Vec<Row> {
        vec![
            row(&[
                ("database", "shop"),
                ("total_query_count", "10"),
                ("total_query_time", query),
                ("total_xact_time", transaction),
                ("total_wait_time", wait),
            ]),
            row(&[("database", "other"), ("total_query_count", "1"), ("total_query_time", "0")]),
            row(&[("database", "pgbouncer"), ("total_query_count", "1")]),
        ]
    }

    #[test]
    fn totals_are_in_seconds_and_zeros_are_no_times() {
        for (version, query_time) in [("PgBouncer 1.18.0", 1.5), ("Odyssey 1.3", 2.5)] {
            let mut totals = Totals::of_server(version);
            totals.take(&[], &[], stats("2500000", "3000000", "1000000"));
            let expected = [
                ("pooler.idle_in_transaction{database=shop}", 0.5),
                ("pooler.queries{database=other}", 1.0),
                ("pooler.queries{database=shop}", 10.0),
                ("pooler.query_time{database=shop}", query_time),
                ("pooler.wait_time{database=shop}", 1.0),
            ];
            let values = pushed(|batch| totals.push(batch));
            let expected = expected.map(|(key, value)| (key.to_owned(), value));
            assert_eq!(values, expected.into(), "{version}");
        }
    }

    #[test]
    fn a_difference_of_totals_never_falls_but_when_they_begin_anew() {
        let mut totals = Totals::of_server("PgBouncer 1.18.0");
        let mut query_time = |query: &str, wait: &str| {
            totals.take(&[], &[], stats(query, "9000000", wait));
            pushed(|batch| totals.push(batch))["pooler.query_time{database=shop}"]
        };
        assert_eq!(query_time("3000000", "1000000"), 2.0);
        // A wait has ended whose query has not.
        assert_eq!(query_time("3000000", "1400000"), 2.0);
        assert_eq!(query_time("3900000", "1400000"), 2.5);
        assert_eq!(query_time("300000", "100000"), 0.2);
    }
}
