//! `kneepoint init`, `doctor` and `coverage` on real services: the sample shop on its PostgreSQL, and
//! a service of this file with an environment, a log and a description.

#[allow(dead_code, reason = "other tests use more of it")]
mod target;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use kneepoint::demo::{self, Launcher, Running};
use serde_json::Value;
use target::{KNEEPOINT, kneepoint};

/// Tells the service of this file what to do: `PORT LOG PEER`.
const SERVICE: &str = "KNEEPOINT_TEST_SERVICE";
/// Stands in the environment of the service and nowhere else.
const PASSWORD: &str = "hunter2-and-more";

/// No test but the service that others start: metrics, health, a description, a log, a connection.
#[test]
#[ignore = "a service for the other tests"]
fn service() {
    let Ok(order) = std::env::var(SERVICE) else { return };
    let mut words = order.split(' ');
    let mut word = || words.next().expect("a word").to_owned();
    let (port, log, peer) = (word(), word(), word());
    let mut log = File::create(log).expect("a log");
    let peer: SocketAddr = peer.parse().expect("an address");
    let _kept = TcpStream::connect(peer).expect("the database listens");
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).expect("a free port");
    for stream in listener.incoming().flatten() {
        let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
        let mut first = String::new();
        if reader.read_line(&mut first).is_err() {
            continue;
        }
        let path = first.split(' ').nth(1).unwrap_or_default();
        writeln!(log, "asked for {path}").expect("the log can be written");
        let (status, body) = match path {
            "/metrics" => (200, "hikaricp_connections_active{pool=\"a\"} 1\n"),
            "/healthz" => (200, "ok"),
            "/openapi.json" => (
                200,
                r#"{"openapi":"3.0.3","paths":{"/products":{"get":{}},"/products/{id}":{"get":{}}}}"#,
            ),
            _ => (404, "no"),
        };
        let length = body.len();
        let _gone = write!(
            &stream,
            "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
        .is_err();
    }
}

struct Service {
    child: Child,
    port: u16,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _gone = self.child.kill().is_err();
        let _reaped = self.child.wait().is_err();
    }
}

fn start_service(log: &Path, peer: SocketAddr) -> Service {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    drop(listener);
    let child = Command::new(std::env::current_exe().expect("own path"))
        .args(["--ignored", "--exact", "service"])
        .env(SERVICE, format!("{port} {} {peer}", log.display()))
        .env("DATABASE_URL", format!("postgres://shop:{PASSWORD}@{peer}/shop"))
        .stdout(Stdio::null())
        // Where it is a file, it would be found as a log of the service.
        .stderr(Stdio::null())
        .spawn()
        .expect("the service starts");
    let service = Service { child, port };
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "the service does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    service
}

/// The sample shop, where there is a PostgreSQL.
#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
fn start_shop(directory: &Path) -> Option<Running> {
    use std::os::unix::fs::PermissionsExt;
    if demo::find_postgres().is_none() {
        eprintln!("SKIPPED: no PostgreSQL: {}", demo::install_hint());
        return None;
    }
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).expect("own directory");
    let fault = demo::find("none").expect("the healthy shop");
    let launcher = Launcher::new().expect("own path").with_program(KNEEPOINT);
    Some(launcher.start(fault, Some(directory)).expect("the shop starts"))
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn run(arguments: &[&str]) -> Output {
    kneepoint(arguments).env_remove("DATABASE_URL").output().expect("the program starts")
}

/// The address of the database in a URL such as `postgres://shop:…@127.0.0.1:5433/shop`.
fn address_of(url: &str) -> SocketAddr {
    let rest = url.rsplit('@').next().expect("an address");
    rest.split('/').next().expect("an address").parse().expect("host and port")
}

#[test]
fn the_shop_and_its_database_are_found_and_the_plan_is_accepted() {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(shop) = start_shop(directory.path()) else { return };
    let postgres = shop.postgres_url.clone().expect("a database");
    // Its pool opens a connection with the first request.
    let authority = shop.url.strip_prefix("http://").expect("http");
    let mut first = TcpStream::connect(authority).expect("the shop listens");
    let request =
        format!("GET /product/1 HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    first.write_all(request.as_bytes()).expect("the shop reads");
    std::io::copy(&mut first, &mut std::io::sink()).expect("the shop answers");
    let plan = directory.path().join("plan.toml");
    let plan = plan.to_str().expect("text");
    let made = run(&["init", &shop.url, "--out", plan]);
    let said = told(&made);
    assert!(made.status.success(), "{said}");
    let text = fs::read_to_string(plan).expect("the plan");
    let database = format!("PostgreSQL at {}", address_of(&postgres));
    for words in ["/health", "/metrics\"", &database, "OpenTelemetry", "# [collect.postgres]"] {
        assert!(text.contains(words), "{words} is missing\n{text}\n{said}");
    }
    let checked = run(&["check", plan]);
    assert!(checked.status.success(), "{}", told(&checked));
    // It is never written over.
    let again = run(&["init", &shop.url, "--out", plan]);
    assert_eq!(again.status.code(), Some(104), "{}", told(&again));
    assert_eq!(fs::read_to_string(plan).expect("the plan"), text);

    let covered = run(&["coverage", plan, "--format", "json"]);
    assert!(covered.status.success(), "{}", told(&covered));
    let covered: Value = serde_json::from_slice(&covered.stdout).expect("JSON");
    let known = covered["diagnosable"].as_array().expect("a list");
    let has = |rule: &str| known.iter().any(|one| one["rule"] == rule);
    assert!(has("cpu-saturated") && has("rate-limited") && has("downstream-wait"), "{covered:#}");
    assert!(!has("db-lock-wait"), "{covered:#}");
    let open = covered["open"].as_array().expect("a list");
    let adds = |rule: &str| {
        let causes = |one: &Value| one["causes"].as_array().cloned().unwrap_or_default();
        let found = open.iter().find(|one| causes(one).iter().any(|it| it["rule"] == rule));
        found.map_or_else(String::new, |one| one["add"].as_str().unwrap_or_default().to_owned())
    };
    assert!(adds("db-lock-wait").starts_with("[collect.postgres]"), "{covered:#}");

    let doctor = run(&["doctor", &shop.url, "--format", "json"]);
    let code = doctor.status.code();
    let checks: Value = serde_json::from_slice(&doctor.stdout).expect("JSON");
    let checks = checks["checks"].as_array().expect("a list");
    let lacks = checks.iter().any(|one| one["state"] == "missing");
    assert_eq!(code, Some(if lacks { 123 } else { 0 }), "{}", told(&doctor));
    // The shop runs as the user of this test.
    let of = |id: &str| checks.iter().find(|one| one["id"] == id).expect("the check");
    assert_eq!(of("descriptors")["state"], "ok", "{checks:#?}");
}

#[test]
fn what_a_process_holds_is_found_without_its_secrets() {
    let directory = tempfile::tempdir().expect("a directory");
    // Speaks first, so that nobody takes it for PostgreSQL.
    let other = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let peer = other.local_addr().expect("bound");
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for mut stream in other.incoming().flatten() {
            let _gone = stream.write_all(b"+OK ready\r\n").is_err();
            kept.push(stream);
        }
    });
    let log = directory.path().join("service.log");
    let service = start_service(&log, peer);
    let made = run(&["init", &service.port.to_string(), "--out", "-"]);
    assert!(made.status.success(), "{}", told(&made));
    let plan = String::from_utf8_lossy(&made.stdout).into_owned();
    let log = log.canonicalize().expect("the log");
    let in_one_line = plan.replace("\n#   ", " ");
    for words in [
        "path = \"/products\"",
        "path = \"/healthz\"",
        "HikariCP",
        "operations that can be sent as they are: 1;",
        "`DATABASE_URL` of the process",
        &format!("1 connection to {peer}"),
        &format!("files = [\"{}\"]", log.display()),
    ] {
        assert!(in_one_line.contains(words), "{words} is missing\n{plan}");
    }
    assert!(!told(&made).contains(PASSWORD), "{}", told(&made));
    let path = directory.path().join("plan.toml");
    fs::write(&path, &plan).expect("own directory");
    let checked = run(&["check", path.to_str().expect("text")]);
    assert!(checked.status.success(), "{}", told(&checked));
    // Where the variable is set, the table is not a comment, and still holds no secret.
    let url = format!("http://127.0.0.1:{}/", service.port);
    let mut set = kneepoint(&["init", &url, "--out", "-"]);
    let set = set.env("DATABASE_URL", "postgres://a@127.0.0.1/b").output().expect("a program");
    let plan = String::from_utf8_lossy(&set.stdout).into_owned();
    assert!(plan.contains("\n[collect.postgres]\nurl = \"${DATABASE_URL}\"\n"), "{plan}");
}

#[test]
fn a_service_that_is_not_there_is_told() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let port = closed.port().to_string();
    for command in ["init", "doctor"] {
        let output = run(&[command, &port]);
        assert_eq!(output.status.code(), Some(106), "{command}: {}", told(&output));
        assert!(told(&output).contains("hint: "), "{}", told(&output));
    }
    let bad = run(&["coverage"]);
    assert_eq!(bad.status.code(), Some(104), "{}", told(&bad));
    let guide = run(&["coverage", "--guide"]);
    assert!(told(&guide).contains("postgres_exporter"), "{}", told(&guide));
}
