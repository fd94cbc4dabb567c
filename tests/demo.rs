//! The sample shop is started for real: it serves, and nothing of it stays behind.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kneepoint::collect::{COLLECTORS, CollectorSpec};
use kneepoint::demo::{self, DemoError, Launcher, Running};
use kneepoint::plan::{self, Plan};

/// The launcher for the program that was built with this test.
fn launcher() -> Launcher {
    Launcher::new().expect("own path").with_program(env!("CARGO_BIN_EXE_kneepoint"))
}

/// Starts a fault below `directory`, with PostgreSQL.
fn start(fault: &str, directory: &Path) -> Running {
    assert!(demo::find_postgres().is_some(), "no PostgreSQL: {}", demo::install_hint());
    let fault = demo::find(fault).expect("a fault");
    launcher().start(fault, Some(directory)).expect("the shop starts")
}

/// A directory that the database's account can enter.
fn directory() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().expect("a directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("own");
    directory
}

/// Status and body of one request on a new connection.
fn ask(shop: &Running, method: &str, path: &str, body: &str) -> (u16, String) {
    let authority = shop.url.strip_prefix("http://").expect("http");
    let mut stream = TcpStream::connect(authority).expect("the shop listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("not zero");
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
    .expect("the shop reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the shop answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.expect("a status"), body.to_owned())
}

/// The plan that comes with the shop.
fn plan_of(shop: &Running) -> Plan {
    let shapes: Vec<_> = COLLECTORS.iter().copied().map(CollectorSpec::shape).collect();
    plan::parse(&shop.plan, "demo", &shapes, &|_| None).unwrap_or_else(|error| panic!("{error}"))
}

/// Whether the process is there and no zombie.
fn is_alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
}

/// The session that the process belongs to.
fn session_of(pid: u32) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("alive");
    let fields = stat.rsplit(')').next().expect("a name in brackets");
    let session = fields.split_whitespace().nth(3).and_then(|session| session.parse().ok());
    session.expect("a number")
}

/// The process and all of its descendants.
fn tree(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.unwrap_or_default();
        found.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        next += 1;
    }
    found
}

/// Waits until none of the processes is alive, and names those that stay.
fn wait_until_gone(pids: &[u32]) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let alive = || pids.iter().copied().filter(|&pid| is_alive(pid)).collect::<Vec<_>>();
    while !alive().is_empty() {
        assert!(Instant::now() < deadline, "still alive: {:?} of {pids:?}", alive());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).expect("readable").flatten().map(|entry| entry.path()).collect()
}

#[test]
fn the_shop_serves_from_postgres_and_leaves_nothing() {
    let directory = directory();
    let shop = start("none", directory.path());
    let processes = tree(shop.guard_pid());
    assert!(processes.contains(&shop.pid) && processes.contains(&shop.payments_pid));
    assert_eq!(session_of(shop.guard_pid()), shop.guard_pid(), "Ctrl-C would reach the guard");

    let (status, product) = ask(&shop, "GET", "/product/200000", "");
    assert_eq!(status, 200, "{product}");
    assert!(product.contains("No. 200000"), "{product}");
    assert_eq!(ask(&shop, "GET", "/product/200001", "").0, 404);
    let (status, found) = ask(&shop, "GET", "/search?category=category-17", "");
    assert_eq!((status, found.matches("\"id\"").count()), (200, 20), "{found}");
    let (status, order) = ask(&shop, "POST", "/order", r#"{"product": 7, "quantity": 2}"#);
    assert_eq!(status, 201, "{order}");
    assert_eq!(ask(&shop, "GET", "/health", "").0, 200);

    let (_, metrics) = ask(&shop, "GET", "/metrics", "");
    assert_metrics(&metrics);
    let watched: Vec<_> =
        plan_of(&shop).collectors.into_iter().map(|collector| collector.name).collect();
    assert_eq!(watched, ["host", "process", "tcp", "prometheus", "postgres"]);

    shop.stop();
    wait_until_gone(&processes);
    assert_eq!(entries(directory.path()), Vec::<PathBuf>::new());
}

fn assert_metrics(text: &str) {
    let lines = text.lines().map(|line| Ok(line.to_owned()));
    let scrape = prometheus_parse::Scrape::parse(lines).expect("the text format");
    let value = |name: &str, label: Option<(&str, &str)>| {
        let sample = scrape.samples.iter().find(|sample| {
            sample.metric == name
                && label.is_none_or(|(key, value)| sample.labels.get(key) == Some(value))
        });
        match sample.unwrap_or_else(|| panic!("no {name}: {text}")).value {
            prometheus_parse::Value::Gauge(value) => value,
            ref other => panic!("{name}: {other:?}"),
        }
    };
    assert_eq!(value("db_client_connection_max", None), 16.0);
    assert_eq!(value("db_client_connection_pending_requests", None), 0.0);
    assert_eq!(value("db_client_connection_count", Some(("state", "used"))), 0.0);
    assert!(value("db_client_connection_count", Some(("state", "idle"))) >= 1.0);
    for route in ["/product/{id}", "/search", "/order"] {
        let wanted = format!("http_route=\"{route}\"");
        let counted = text.lines().any(|line| {
            line.starts_with("http_server_request_duration_seconds_count{")
                && line.contains(&wanted)
        });
        assert!(counted, "{route} is not counted: {text}");
    }
    assert!(text.contains("http_client_request_duration_seconds_count{"), "{text}");
}

#[test]
fn faults_that_need_no_postgres_work_without_one() {
    let directory = directory();
    for fault in demo::FAULTS.iter().filter(|fault| !fault.needs_postgres) {
        let shop = launcher()
            .with_postgres(None)
            .start(fault, Some(directory.path()))
            .unwrap_or_else(|error| panic!("{}: {error}", fault.name));
        assert_eq!(shop.postgres_url, None);
        let plan = plan_of(&shop);
        assert_eq!(plan.target.url.to_string(), shop.url, "{}", fault.name);
        assert!(plan.collectors.iter().all(|collector| collector.name != "postgres"));
        assert_eq!(ask(&shop, "GET", "/product/7", "").0, 200, "{}", fault.name);
        assert_eq!(ask(&shop, "POST", "/order", r#"{"product": 7}"#).0, 201, "{}", fault.name);
    }
    assert_eq!(entries(directory.path()), Vec::<PathBuf>::new());
}

#[test]
fn every_fault_of_the_database_answers() {
    let directory = directory();
    for fault in demo::FAULTS.iter().filter(|fault| fault.needs_postgres) {
        let shop = start(fault.name, directory.path());
        let asked = plan_of(&shop).collectors;
        let postgres = asked.iter().find(|collector| collector.name == "postgres");
        assert_eq!(postgres.and_then(|one| one.text("url")), shop.postgres_url.as_deref());
        for (method, path, body, status) in [
            ("GET", "/product/199999", "", 200),
            ("GET", "/search?category=category-2000", "", 200),
            ("POST", "/order", r#"{"product": 199999}"#, 201),
        ] {
            let (answered, text) = ask(&shop, method, path, body);
            assert_eq!(answered, status, "{}: {method} {path}: {text}", fault.name);
        }
    }
    assert_eq!(entries(directory.path()), Vec::<PathBuf>::new());
}

#[test]
fn the_rate_limit_refuses_at_once() {
    let directory = directory();
    let fault = demo::find("rate-limit").expect("a fault");
    let shop = launcher().with_postgres(None).start(fault, Some(directory.path())).expect("starts");
    // Faster than 120/s on any machine that answers within a second each: all at once.
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let asked: Vec<_> =
            (0..400).map(|_| scope.spawn(|| ask(&shop, "GET", "/product/7", "").0)).collect();
        asked.into_iter().map(|asked| asked.join().expect("answered")).collect()
    });
    assert!(statuses.contains(&200) && statuses.contains(&429), "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 429].contains(status)), "{statuses:?}");
    assert_eq!(ask(&shop, "GET", "/health", "").0, 200);
}

#[test]
fn a_missing_postgres_is_said_with_what_to_do() {
    let directory = directory();
    let fault = demo::find("row-lock").expect("a fault");
    let error = launcher().with_postgres(None).start(fault, Some(directory.path())).err();
    assert!(matches!(error, Some(DemoError::NoPostgres { fault: "row-lock" })));
    let message = error.expect("refused").to_string();
    assert!(message.contains("install"), "{message}");
    assert_eq!(entries(directory.path()), Vec::<PathBuf>::new());
}

#[test]
fn a_postgres_that_does_not_start_is_said_with_its_log() {
    let directory = directory();
    let binaries = tempfile::tempdir().expect("a directory");
    let fault = demo::find("none").expect("a fault");
    let launcher = launcher().with_postgres(Some(binaries.path().to_owned()));
    let error = launcher.start(fault, Some(directory.path())).err().expect("refused").to_string();
    assert!(error.contains("`initdb`"), "{error}");
    assert_eq!(entries(directory.path()), Vec::<PathBuf>::new());
}

/// What a second copy of this test program does for the test below: it starts the demo, says
/// which processes there are, and waits to be killed.
#[test]
#[ignore = "run by `nothing_survives_kill_9`"]
fn holder() {
    let Some(directory) = std::env::var_os("KNEEPOINT_TEST_DIRECTORY") else { return };
    let shop = start("none", Path::new(&directory));
    let pids: Vec<String> = tree(shop.guard_pid()).iter().map(u32::to_string).collect();
    let pids_file = Path::new(&directory).join("pids");
    fs::write(pids_file.with_extension("new"), pids.join(" ")).expect("own directory");
    fs::rename(pids_file.with_extension("new"), pids_file).expect("own directory");
    std::thread::sleep(Duration::from_secs(120));
}

#[test]
fn nothing_survives_kill_9() {
    let directory = directory();
    let mut holder = Command::new(std::env::current_exe().expect("own path"))
        .args(["--exact", "holder", "--ignored"])
        .env("KNEEPOINT_TEST_DIRECTORY", directory.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("own program");
    let pids_file = directory.path().join("pids");
    let deadline = Instant::now() + Duration::from_secs(100);
    while !pids_file.exists() {
        assert!(Instant::now() < deadline, "the demo did not start");
        assert!(holder.try_wait().expect("own child").is_none(), "the holder ended early");
        std::thread::sleep(Duration::from_millis(20));
    }
    let pids = fs::read_to_string(&pids_file).expect("written whole");
    let pids: Vec<u32> = pids.split(' ').map(|pid| pid.parse().expect("a number")).collect();
    assert!(pids.len() >= 3 && pids.iter().all(|&pid| is_alive(pid)), "{pids:?}");

    holder.kill().expect("SIGKILL");
    holder.wait().expect("own child");
    wait_until_gone(&pids);
    assert_eq!(entries(directory.path()), [pids_file]);
}

#[test]
fn nothing_survives_a_guard_that_is_killed() {
    let directory = directory();
    let shop = start("none", directory.path());
    let processes = tree(shop.guard_pid());
    let killed = Command::new("kill").args(["-9", &shop.guard_pid().to_string()]).status();
    assert!(killed.expect("kill").success());
    wait_until_gone(&processes);
    shop.stop();
    assert_eq!(entries(directory.path()), Vec::<PathBuf>::new());
}
