//! Tests the collector against a real server.

use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

use super::private_cluster::{PASSWORD, PrivateCluster};
use super::*;
use crate::plan::{OptionValue, Secret};
use crate::timeline::{Labels, Reading, Selector};

fn config(url: &str) -> CollectorConfig {
    CollectorConfig::new("postgres").with("url", OptionValue::Secret(Secret::new(url)))
}

fn open_at(url: &str) -> Result<Box<dyn Collector>, OpenError> {
    open(&config(url), &TargetHint::default())
}

fn refused(url: &str) -> OpenError {
    match open_at(url) {
        Ok(collector) => panic!("opened {}", collector.watches()),
        Err(error) => {
            assert!(!format!("{} {}", error.what, error.hint).contains(PASSWORD), "{error:?}");
            error
        }
    }
}

fn look(collector: &mut Box<dyn Collector>) -> Result<Vec<Reading>, SampleError> {
    let mut batch = BatchBuilder::new();
    collector.sample(&mut batch).map(|()| batch.finish())
}

/// The sum over the series that a selector matches in one look.
fn sum(readings: &[Reading], selector: &str) -> f64 {
    let selector: Selector = selector.parse().unwrap();
    readings.iter().filter(|reading| selector.matches(&reading.key)).map(|r| r.value).sum()
}

fn value(readings: &[Reading], selector: &str) -> Option<f64> {
    let parsed: Selector = selector.parse().unwrap();
    readings.iter().find(|reading| parsed.matches(&reading.key)).map(|reading| reading.value)
}

/// Looks until `done`; panics with the last look after ten seconds.
fn until(
    collector: &mut Box<dyn Collector>,
    done: impl Fn(&Result<Vec<Reading>, SampleError>) -> bool,
) -> Result<Vec<Reading>, SampleError> {
    let patience = Instant::now() + Duration::from_secs(10);
    loop {
        let result = look(collector);
        if done(&result) {
            return result;
        }
        assert!(Instant::now() < patience, "{result:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A client of the service under test.
fn client(runtime: &Runtime, url: &str, app: &str) -> Client {
    let mut config: tokio_postgres::Config = url.parse().unwrap();
    config.application_name(app);
    let (client, connection) = runtime.block_on(config.connect(NoTls)).unwrap();
    runtime.spawn(connection);
    client
}

fn run(runtime: &Runtime, client: &Client, sql: &str) {
    runtime.block_on(client.batch_execute(sql)).unwrap();
}

#[test]
fn an_idle_transaction_that_blocks_others_is_told_from_the_blocked() {
    let Some(cluster) = PrivateCluster::start(&[]) else { return };
    let runtime = Runtime::new().unwrap();
    let url = cluster.url("postgres");
    let holder = client(&runtime, &url, "shop");
    run(&runtime, &holder, "create table stock (id int, n int); insert into stock values (1, 1)");
    let waiter = client(&runtime, &url, "shop");
    let idle = client(&runtime, &url, "");
    let mut collector = open_at(&url).unwrap();

    let calm = look(&mut collector).unwrap();
    assert_eq!(sum(&calm, "db.sessions"), 3.0);
    assert_eq!(sum(&calm, "db.sessions{app=none,state=idle,wait_type=Client}"), 1.0);
    assert_eq!(value(&calm, "db.root_blockers{state=idle in transaction}"), Some(0.0));
    assert_eq!(value(&calm, "db.blocked"), Some(0.0));
    assert_eq!(value(&calm, "db.connections"), Some(4.0));
    assert_eq!(value(&calm, "db.transaction.age"), None);

    run(&runtime, &holder, "begin; update stock set n = 2");
    let blocked =
        runtime.spawn(async move { waiter.batch_execute("update stock set n = 3").await });
    let stuck = until(&mut collector, |look| {
        look.as_ref().is_ok_and(|look| value(look, "db.blocked") == Some(1.0))
    });
    let stuck = stuck.unwrap();
    assert_eq!(value(&stuck, "db.root_blockers{state=idle in transaction}"), Some(1.0));
    assert_eq!(value(&stuck, "db.root_blockers{state=active}"), Some(0.0));
    assert_eq!(sum(&stuck, "db.sessions{state=active,wait_type=Lock}"), 1.0);
    assert_eq!(sum(&stuck, "db.sessions{app=shop,state=idle in transaction}"), 1.0);
    std::thread::sleep(Duration::from_millis(20));
    let later = look(&mut collector).unwrap();
    // The blockers are not queried again this soon; the last result is repeated.
    assert_eq!(value(&later, "db.root_blockers{state=idle in transaction}"), Some(1.0));
    for age in ["db.idle_in_transaction.age", "db.query.age", "db.transaction.age{state=active}"] {
        assert!(value(&later, age) > value(&stuck, age), "{age}: {stuck:?} {later:?}");
    }

    run(&runtime, &holder, "commit");
    runtime.block_on(blocked).unwrap().unwrap();
    let free = look(&mut collector).unwrap();
    assert_eq!(sum(&free, "db.root_blockers"), 0.0);
    drop(idle);
}

#[test]
fn a_session_that_nobody_uses_is_told_by_its_application() {
    let Some(cluster) = PrivateCluster::start(&[]) else { return };
    let runtime = Runtime::new().unwrap();
    let url = cluster.url("postgres");
    let lost = client(&runtime, &url, "shop");
    run(&runtime, &lost, "begin; select 1");
    let _never_used = client(&runtime, &url, "cron");
    let own = client(&runtime, &url, "kneepoint");
    let found = |unused_after: f64| {
        let mut batch = BatchBuilder::new();
        runtime.block_on(async {
            let mut sessions = super::sessions::Sessions::prepare(&own).await.unwrap();
            sessions.unused_after = unused_after;
            sessions.sample(&own, &mut batch).await.unwrap();
        });
        batch.finish()
    };
    assert_eq!(sum(&found(60.0), "db.sessions.unused"), 0.0);
    let unused = found(0.0);
    assert_eq!(sum(&unused, "db.sessions.unused{app=shop,state=idle in transaction}"), 1.0);
    assert_eq!(sum(&unused, "db.sessions.unused{app=cron,state=idle}"), 1.0);
}

#[test]
fn statistics_leave_kneepoint_out_and_survive_a_reset() {
    let Some(cluster) = PrivateCluster::start(&["shared_preload_libraries=pg_stat_statements"])
    else {
        return;
    };
    let runtime = Runtime::new().unwrap();
    let url = cluster.socket_url("postgres");
    let shop = client(&runtime, &url, "shop");
    run(&runtime, &shop, "create schema x; create extension pg_stat_statements schema x");
    let mut collector = open_at(&url).unwrap();
    let pid = format!("under pid {}", cluster.pid());
    assert!(collector.watches().contains(&pid), "{}", collector.watches());

    let has = |look: &Result<Vec<Reading>, SampleError>| {
        look.as_ref().is_ok_and(|look| value(look, "db.statement.calls").is_some())
    };
    let pair = |look: &[Reading]| {
        let get = |name| value(look, name).unwrap();
        (get("db.statement.calls"), get("db.transactions"), get("db.statement.time"))
    };
    // From the first of these on, the collector knows kneepoint's own statements.
    let first = until(&mut collector, has).unwrap();
    assert_eq!(value(&first, "db.connections.limit"), Some(97.0));
    let (calls, transactions, _) = pair(&first);
    for _ in 0..300 {
        run(&runtime, &shop, "select 1");
    }
    // The server receives these counters with the first transaction that ends a second later.
    run(&runtime, &shop, "select pg_sleep(1.1)");
    let (more_calls, more_transactions, _) = pair(&until(&mut collector, has).unwrap());
    assert!((295.0..315.0).contains(&(more_calls - calls)), "{calls} {more_calls}");
    let grown = more_transactions - transactions;
    assert!((280.0..315.0).contains(&grown), "{transactions} {more_transactions}");

    run(&runtime, &shop, "select pg_stat_reset(), x.pg_stat_statements_reset()");
    run(&runtime, &shop, "select pg_sleep(0.3)");
    let (reset_calls, reset_transactions, seconds) = pair(&until(&mut collector, has).unwrap());
    assert!(reset_calls >= more_calls && reset_transactions >= more_transactions);
    assert!(seconds >= 0.3, "{seconds}");
    let cpu = until(&mut collector, |look| {
        look.as_ref().is_ok_and(|look| value(look, "db.cpu.time").is_some())
    });
    assert!(value(&cpu.unwrap(), "db.cpu.time").unwrap() > 0.0);
}

#[test]
fn a_restart_is_a_gap_and_then_an_event() {
    let Some(mut cluster) = PrivateCluster::start(&[]) else { return };
    let mut collector = open_at(&cluster.url("postgres")).unwrap();
    look(&mut collector).unwrap();
    cluster.stop();
    let lost = look(&mut collector).unwrap_err().to_string();
    assert!(lost.contains("lost the connection"), "{lost}");
    let refused = until(&mut collector, |look| {
        look.as_ref().is_err_and(|error| error.to_string().contains("refused"))
    });
    assert!(!refused.unwrap_err().to_string().contains(PASSWORD));
    cluster.launch();
    until(&mut collector, Result::is_ok).unwrap();
    let events = collector.events();
    assert!(events.iter().any(|event| event.contains("was restarted")), "{events:?}");
    assert!(events.iter().any(|event| event.contains("again after")), "{events:?}");
}

#[test]
fn what_cannot_be_opened_says_why_and_never_the_password() {
    let Some(cluster) = PrivateCluster::start(&["max_connections=5"]) else { return };
    let url = cluster.url("postgres");
    let wrong = refused(&url.replace(PASSWORD, "wrong-password"));
    assert!(wrong.what.contains("password authentication failed"), "{wrong:?}");
    assert!(wrong.what.contains("28P01") && wrong.hint.contains("`postgres`"), "{wrong:?}");
    assert!(!wrong.what.contains("wrong-password"), "{wrong:?}");
    let missing = refused(&format!("{}/nowhere", url.trim_end_matches("/postgres")));
    assert!(missing.what.contains("\"nowhere\" does not exist"), "{missing:?}");
    let plain = refused(&format!("{url}?sslmode=require"));
    assert!(plain.what.contains("does not support TLS"), "{plain:?}");
    assert!(plain.hint.contains("sslmode=prefer"), "{plain:?}");
    let closed = refused(&url.replace(&cluster.port.to_string(), "1"));
    assert!(closed.what.contains("refused"), "{closed:?}");
    for nonsense in ["postgres://a:hunter2", "http://hunter2", "hunter2", "host=x hunter2"] {
        refused(nonsense);
    }

    let runtime = Runtime::new().unwrap();
    let shop = client(&runtime, &url, "shop");
    run(&runtime, &shop, "create role guest login password 'hunter2'");
    let _full = [client(&runtime, &cluster.url("guest"), "shop"), shop];
    let crowded = refused(&cluster.url("guest"));
    assert!(crowded.what.contains("53300"), "{crowded:?}");
}

#[test]
fn hidden_sessions_are_missing_rather_than_wrong() {
    let Some(cluster) = PrivateCluster::start(&[]) else { return };
    let runtime = Runtime::new().unwrap();
    let shop = client(&runtime, &cluster.url("postgres"), "shop");
    run(&runtime, &shop, "create role guest login password 'hunter2'");
    let hidden = refused(&cluster.url("guest"));
    assert!(hidden.what.contains("grant pg_monitor to guest"), "{hidden:?}");
    let own = [1, 2].map(|_| client(&runtime, &cluster.url("guest"), "shop"));
    let mut collector = open_at(&cluster.url("guest")).unwrap();
    assert!(collector.watches().contains("grant pg_monitor to guest"), "{}", collector.watches());
    let most = look(&mut collector).unwrap();
    assert_eq!(sum(&most, "db.sessions{state=idle}"), 2.0);
    assert_eq!(sum(&most, "db.sessions{state=hidden}"), 1.0);
    assert!(collector.events().iter().any(|event| event.contains("1 of 3")));
    run(&runtime, &shop, "grant pg_monitor to guest");
    let all = open_at(&cluster.url("guest")).unwrap();
    assert!(!all.watches().contains("grant"), "{}", all.watches());
    drop(own);
}

#[test]
fn tls_is_checked_as_far_as_sslmode_asks() {
    let Some(cluster) = PrivateCluster::start(&[]) else { return };
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["db.example".to_owned()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap().pem();
    let certificate = cluster.file("server.crt", &certificate);
    let key = cluster.file("server.key", &key.serialize_pem());
    cluster.reload_with(&[
        "ssl = on",
        &format!("ssl_cert_file = '{}'", certificate.display()),
        &format!("ssl_key_file = '{}'", key.display()),
    ]);
    let url = cluster.url("postgres");
    let patience = Instant::now() + Duration::from_secs(10);
    while let Err(error) = open_at(&format!("{url}?sslmode=require")) {
        assert!(Instant::now() < patience, "{error:?} {}", cluster.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    let authority = OptionValue::Text(certificate.display().to_string());
    let attempt = |mode: &str, known: bool| {
        let mut config = config(&format!("{url}?sslmode={mode}"));
        if known {
            config = config.with("ca_file", authority.clone());
        }
        open(&config, &TargetHint::default()).map(drop).map_err(|error| error.what)
    };
    assert_eq!(attempt("prefer", false), Ok(()));
    assert_eq!(attempt("disable", false), Ok(()));
    assert_eq!(attempt("verify-ca", true), Ok(()));
    assert_eq!(attempt("require", true), Ok(()));
    let stranger = attempt("verify-ca", false).unwrap_err();
    assert!(stranger.contains("TLS handshake"), "{stranger}");
    let other_name = attempt("verify-full", true).unwrap_err();
    assert!(other_name.contains("not valid for name"), "{other_name}");
}

#[test]
fn a_group_of_sessions_says_none_where_postgresql_says_null() {
    let labels = connect::session_labels(
        connect::or_none(Some(String::new())),
        "active",
        (connect::or_none(None), connect::or_none(Some("WalSync".to_owned()))),
    );
    let expected = Labels::none()
        .with("app", "none")
        .with("state", "active")
        .with("wait_type", "none")
        .with("wait_event", "WalSync");
    assert_eq!(labels, expected);
}
