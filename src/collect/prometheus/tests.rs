//! Tests the collector against a real HTTP server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;
use crate::plan::{OptionValue, Secret};
use crate::timeline::{Kind, Labels, Reading, SeriesKey, Unit};

/// The response of the Python client library, version 0.26, to a request for OpenMetrics.
const PYTHON: &str = include_str!("python_openmetrics.txt");

/// Answers every request with the same bytes until it is dropped.
struct Server {
    address: SocketAddr,
    answer: Arc<Mutex<Vec<u8>>>,
    requests: Arc<Mutex<Vec<String>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(answer: &str) -> Self {
        Self::with_tls(answer, None)
    }

    fn with_tls(answer: &str, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut server = Self {
            address: listener.local_addr().unwrap(),
            answer: Arc::new(Mutex::new(answer.as_bytes().to_vec())),
            requests: Arc::default(),
            is_over: Arc::default(),
            thread: None,
        };
        let answer = server.answer.clone();
        let (requests, is_over) = (server.requests.clone(), server.is_over.clone());
        server.thread = Some(std::thread::spawn(move || {
            for stream in listener.incoming() {
                if is_over.load(Ordering::Acquire) {
                    return;
                }
                let stream = stream.unwrap();
                // Some tests use a client that gives up early.
                let answered = match &tls {
                    None => talk(stream, &requests, &answer),
                    Some(tls) => {
                        let connection = ServerConnection::new(tls.clone()).unwrap();
                        talk(StreamOwned::new(connection, stream), &requests, &answer)
                    }
                };
                drop(answered);
            }
        }));
        server
    }

    /// Answers `body` with status 200 from now on.
    fn tell(&self, body: &str) {
        *self.answer.lock().unwrap() = ok("text/plain", body).into_bytes();
    }

    fn url(&self) -> String {
        format!("http://{}/metrics", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok(), "the server of the test failed");
        }
    }
}

fn talk(
    stream: impl Read + Write,
    requests: &Mutex<Vec<String>>,
    answer: &Mutex<Vec<u8>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") && stream.read_line(&mut request)? > 0 {}
    requests.lock().unwrap().push(request);
    let answer = answer.lock().unwrap().clone();
    stream.get_mut().write_all(&answer)?;
    stream.get_mut().flush()
}

fn ok(kind: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
}

fn config(url: &str) -> CollectorConfig {
    let mut config =
        CollectorConfig::new("prometheus").with("url", OptionValue::Secret(Secret::new(url)));
    config.instance = "shop".to_owned();
    config
}

fn open_at(url: &str) -> Result<Box<dyn Collector>, OpenError> {
    open(&config(url), &TargetHint::default())
}

fn refused(url: &str) -> OpenError {
    match open_at(url) {
        Ok(collector) => panic!("opened {}", collector.watches()),
        Err(error) => {
            let message = format!("{} {}", error.what, error.hint);
            assert!(!message.contains("hunter2"), "{message}");
            error
        }
    }
}

fn look(collector: &mut Box<dyn Collector>) -> Result<Vec<Reading>, SampleError> {
    let mut batch = BatchBuilder::new();
    collector.sample(&mut batch).map(|()| batch.finish())
}

fn reading(metric: &str, labels: &[(&str, &str)], unit: Unit, kind: Kind, value: f64) -> Reading {
    let endpoint = Labels::none().with("endpoint", "shop");
    let labels = labels.iter().fold(endpoint, |labels, (name, value)| labels.with(name, *value));
    Reading { key: SeriesKey::new(metric, labels), unit, kind, value }
}

#[test]
fn every_sample_of_a_real_answer_is_recorded() {
    let server = Server::start(&ok("application/openmetrics-text", PYTHON));
    let mut collector = open_at(&server.url()).unwrap();
    let readings = look(&mut collector).unwrap();
    let lines = PYTHON.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(readings.len(), lines);
    assert_eq!(collector.events(), Vec::<String>::new());
    let order = [("method", "GET"), ("path", "/orders/{id}")];
    let quoted = [("method", "PUT"), ("path", "C:\\dir\n\"end\"")];
    let bucket = [("le", "+Inf"), ("path", "/orders/{id}")];
    for expected in [
        reading("shop_requests_total", &order, Unit::Count, Kind::Counter, 12.0),
        reading("shop_requests_total", &quoted, Unit::Count, Kind::Counter, 1.0),
        reading("shop_request_seconds_bucket", &bucket, Unit::Count, Kind::Counter, 2.0),
        reading("shop_request_seconds_sum", &bucket[1..], Unit::Seconds, Kind::Counter, 3.05),
        reading("shop_body_bytes_sum", &[], Unit::Bytes, Kind::Counter, 1000.0),
        reading("shop_stock_ratio", &[], Unit::Ratio, Kind::Gauge, 0.25),
        reading("shop_build_info", &[("version", "1.2,3")], Unit::Unknown, Kind::Gauge, 1.0),
    ] {
        assert!(readings.contains(&expected), "{expected:?} is not among {readings:?}");
    }
}

#[test]
fn what_is_no_metrics_endpoint_says_what_it_is() {
    let cases = [
        (ok("text/html; charset=utf-8", "<html>"), "HTML page, not metrics", "/actuator"),
        (ok("text/plain", "\n <!doctype html>"), "HTML page, not metrics", "/actuator"),
        (ok("application/json", "{\"status\":\"UP\"}"), "returned JSON", "/actuator"),
        (ok("text/plain", ""), "returned nothing", "/metrics"),
        (ok("text/plain", "hello there\n"), "without a single metric", "/metrics"),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(), "status 404", "path"),
        ("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n".to_owned(), "status 401", "bearer_token"),
        ("SSH-2.0-OpenSSH_9.2\r\n".to_owned(), "cannot get", "[collect.prometheus]"),
    ];
    for (answer, what, hint) in cases {
        let server = Server::start(&answer);
        let error = refused(&server.url().replace("http://", "http://me:hunter2@"));
        assert!(error.what.contains(what), "{answer}: {error:?}");
        assert!(error.what.contains("me:***@127.0.0.1"), "{error:?}");
        assert!(error.hint.contains(hint), "{answer}: {error:?}");
    }
    let closed = refused("http://me:hunter2@127.0.0.1:1/metrics");
    assert!(closed.what.contains("refused"), "{closed:?}");
    for nonsense in ["hunter2", "ftp://me:hunter2@host/", "http://me:hunter2@[bad/"] {
        refused(nonsense);
    }
}

#[test]
fn an_answer_without_end_is_given_up() {
    let lines = "a 1\n".repeat((17 << 20) / 4);
    let server = Server::start(&ok("text/plain", &lines));
    let large = refused(&server.url());
    assert!(large.what.contains("more than 16 MiB"), "{large:?}");

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = refused(&format!("http://{}/", silent.local_addr().unwrap()));
    assert!(error.what.contains("within 1 s"), "{error:?}");
}

#[test]
fn secrets_are_sent_and_not_shown() {
    let server = Server::start(&ok("text/plain", "a 1\n"));
    let url = server.url();
    let token = OptionValue::Secret(Secret::new("hunter2"));
    let collector = open(&config(&url).with("bearer_token", token), &TargetHint::default());
    assert!(!collector.unwrap().watches().contains("hunter2"));
    let collector = open_at(&url.replace("http://", "http://me:hunter2@")).unwrap();
    assert!(collector.watches().contains("me:***@"), "{}", collector.watches());
    let requests = server.requests.lock().unwrap();
    let sent = |header: &str| requests.iter().any(|text| text.to_lowercase().contains(header));
    assert!(sent("authorization: bearer hunter2"), "{requests:?}");
    assert!(sent("authorization: basic bwu6ahvudgvymg=="), "{requests:?}");
}

#[test]
fn the_known_are_kept_where_there_are_too_many() {
    let many: String = (0..4000).map(|n| format!("other{{n=\"{n}\"}} {n}\n")).collect();
    let known = "hikaricp_connections_active{pool=\"p\",endpoint=\"x\"} 3\n";
    let server = Server::start(&ok("text/plain", &(many.clone() + known)));
    let mut collector = open_at(&server.url()).unwrap();
    assert!(collector.watches().contains("3000 series"), "{}", collector.watches());
    assert!(collector.watches().contains("HikariCP"), "{}", collector.watches());
    let events = collector.events();
    assert!(events.iter().any(|event| event.contains("1001 of them")), "{events:?}");
    let first = look(&mut collector).unwrap();
    assert_eq!(first.len(), 3001);
    let raw = [("pool", "p"), ("exported_endpoint", "x")];
    let raw = reading("hikaricp_connections_active", &raw, Unit::Unknown, Kind::Gauge, 3.0);
    assert!(first.contains(&raw));
    let used = [("pool", "p"), ("state", "used")];
    let shared = reading("pool.connections", &used, Unit::Count, Kind::Gauge, 3.0);
    assert!(first.contains(&shared));
    // The same series are kept if their order changes, and nothing is reported twice.
    server.tell(&(known.to_owned() + &many.lines().rev().collect::<Vec<_>>().join("\n")));
    let mut second = look(&mut collector).unwrap();
    let mut first = first;
    first.sort_by(|a, b| a.key.cmp(&b.key));
    second.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(first, second);
    assert_eq!(collector.events(), Vec::<String>::new());
}

#[test]
fn lost_lines_restarts_and_failures_are_told() {
    let server = Server::start(&ok("text/plain", "process_start_time_seconds 100\na{b=\"} 1\n"));
    let mut collector = open_at(&server.url()).unwrap();
    let events = collector.events();
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(events[0].contains("1 of 2 lines") && events[0].contains("line 2"), "{events:?}");
    look(&mut collector).unwrap();
    assert_eq!(collector.events(), Vec::<String>::new());
    server.tell("process_start_time_seconds 200\n");
    look(&mut collector).unwrap();
    assert!(collector.events()[0].contains("was restarted"));
    server.tell("<html>");
    assert!(look(&mut collector).unwrap_err().to_string().contains("HTML"));
    drop(server);
    assert!(look(&mut collector).unwrap_err().to_string().contains("refused"));
}

#[test]
fn a_private_authority_has_to_be_named() {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let server = Server::with_tls(&ok("text/plain", "a 1\n"), Some(Arc::new(tls)));
    let url = server.url().replace("http:", "https:");
    let stranger = refused(&url);
    assert!(stranger.what.contains("certificate"), "{stranger:?}");
    assert!(stranger.hint.contains("ca_file"), "{stranger:?}");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    std::fs::write(&path, certificate.pem()).unwrap();
    let authority = OptionValue::Text(path.display().to_string());
    let mut known = open(&config(&url).with("ca_file", authority), &TargetHint::default()).unwrap();
    assert_eq!(look(&mut known).unwrap().len(), 1);
    let missing = OptionValue::Text("/nowhere.pem".to_owned());
    let error = open(&config(&url).with("ca_file", missing), &TargetHint::default());
    assert!(error.err().unwrap().what.contains("/nowhere.pem"));
}
