//! Connections that end, that are shared, and that prove who is who.

use std::collections::BTreeMap;

use super::run::{plan, refused, run};
use super::server::{Nginx, Site};
use super::target::Server;

const GET: &str = "[[request]]\npath = \"/\"\n";
const FINE: &str = "location / { return 200 fine; }";

#[test]
fn connections_that_nginx_ends_are_made_anew_and_no_request_fails() {
    for (server, load, fewest, most) in [
        ("keepalive_requests 5;", (40, 2), 16, 40),
        // Idle for longer than that before each request.
        ("keepalive_timeout 50ms;", (4, 2), 8, 8),
        // Requests meet the end of their connection, or come just before it: none may fail.
        ("keepalive_timeout 50ms;", (20, 3), 1, 60),
    ] {
        let nginx = Nginx::start(Site { server: &format!("{server}{FINE}"), ..Site::default() });
        let results = run(&nginx, &plan(&nginx.url(), "", GET, load));
        results.assert_good(u64::from(load.0 * load.1));
        let connections = results.connections();
        assert!((fewest..=most).contains(&connections), "{server} {load:?}: {connections}");
    }
}

#[test]
fn a_connection_is_for_one_request_or_for_many_as_the_plan_says() {
    let nginx = Nginx::start(Site { server: FINE, ..Site::default() });
    let one_each = "connections = \"per-request\"";
    let results = run(&nginx, &plan(&nginx.url(), one_each, GET, (20, 2)));
    results.assert_good(40);
    assert_eq!(results.connections(), 40);
    let results = run(&nginx, &plan(&nginx.url(), "", GET, (20, 2)));
    results.assert_good(40);
    assert!(results.connections() < 10, "{}", results.connections());
}

#[test]
fn requests_of_http2_share_a_connection_until_nginx_ends_it() {
    let slow = Server::start();
    let server = format!("location / {{ proxy_pass {}; }}", slow.url());
    let few = format!("keepalive_requests 5; {server}");
    let requests = "[[request]]\npath = \"/slow\"\n";
    let target = "version = \"http/2\"\nstreams = 50";
    // Each takes 400 ms, so that many go on at a time.
    for (server, fewest, most) in [(&server, 1, 2), (&few, 8, 40)] {
        let nginx = Nginx::start(Site { listen: "http2", server, ..Site::default() });
        let before = slow.requests();
        let results = run(&nginx, &plan(&nginx.url(), target, requests, (20, 2)));
        results.assert_good(40);
        assert_eq!(slow.requests() - before, 41, "with the one of the preflight");
        assert_eq!(results.logged(|entry| entry.protocol.clone()), one("HTTP/2.0", 40));
        let connections = results.connections();
        assert!((fewest..=most).contains(&connections), "{server}: {connections}");
    }
}

fn one(word: &str, count: u64) -> BTreeMap<String, u64> {
    BTreeMap::from([(word.to_owned(), count)])
}

#[test]
fn the_version_is_agreed_upon_by_alpn() {
    let trusted = "tls = { ca_file = \"cert.pem\" }";
    let both = Nginx::start(Site { listen: "ssl http2", server: FINE, ..Site::default() });
    for (version, expected) in
        [("http/1.1", "HTTP/1.1"), ("http/2", "HTTP/2.0"), ("auto", "HTTP/2.0")]
    {
        let target = format!("{trusted}\nversion = \"{version}\"");
        let results = run(&both, &plan(&both.https_url(), &target, GET, (20, 1)));
        results.assert_good(20);
        results.connections();
        assert_eq!(results.logged(|entry| entry.protocol.clone()), one(expected, 20), "{version}");
    }
    let old = Nginx::start(Site { listen: "ssl", server: FINE, ..Site::default() });
    let with = |version: &str| {
        let target = format!("{trusted}\nversion = \"{version}\"");
        plan(&old.https_url(), &target, GET, (20, 1))
    };
    let results = run(&old, &with("auto"));
    results.assert_good(20);
    assert_eq!(results.logged(|entry| entry.protocol.clone()), one("HTTP/1.1", 20));
    let said = refused(&old, &with("http/2"), 0);
    assert!(said.contains("the target does not speak HTTP/2"), "{said}");
}

#[test]
fn a_client_certificate_is_shown_and_its_lack_is_told_before_the_load() {
    let server = format!("ssl_verify_client on; ssl_client_certificate me.pem; {FINE}");
    let site = Site { listen: "ssl", server: &server, ..Site::default() };
    let identity = |name: &str| {
        let name = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
        [name.cert.pem(), name.signing_key.serialize_pem()]
    };
    let (me, other) = (identity("me"), identity("other"));
    let files = ["me.pem", "me.key", "other.pem", "other.key"].into_iter();
    let files: Vec<_> = files.zip(me.iter().chain(&other).map(String::as_str)).collect();
    let nginx = Nginx::with_files(site, &files);
    let with = |more: &str| {
        let target = format!("tls = {{ ca_file = \"cert.pem\"{more} }}");
        plan(&nginx.https_url(), &target, GET, (20, 1))
    };
    let results = run(&nginx, &with(", cert_file = \"me.pem\", key_file = \"me.key\""));
    results.assert_good(20);
    assert_eq!(results.logged(|entry| entry.client.clone()), one("SUCCESS", 20));
    let none = refused(&nginx, &with(""), 1);
    assert!(none.contains("got status 400"), "{none}");
    let other = refused(&nginx, &with(", cert_file = \"other.pem\", key_file = \"other.key\""), 1);
    assert!(other.contains("got status 400"), "{other}");
    let mixed = refused(&nginx, &with(", cert_file = \"me.pem\", key_file = \"other.key\""), 0);
    assert!(mixed.contains("`other.key` is not the key"), "{mixed}");
}

#[test]
fn tls_sessions_are_resumed_only_where_the_plan_says_so() {
    for protocol in ["TLSv1.2", "TLSv1.3"] {
        let server = format!("ssl_protocols {protocol}; ssl_session_cache shared:s:1m; {FINE}");
        let nginx = Nginx::start(Site { listen: "ssl", server: &server, ..Site::default() });
        let with = |resumption: bool| {
            let tls = format!("tls = {{ ca_file = \"cert.pem\", resumption = {resumption} }}");
            let target = format!("{tls}\nconnections = \"per-request\"");
            let results = run(&nginx, &plan(&nginx.https_url(), &target, GET, (20, 2)));
            results.assert_good(40);
            assert_eq!(results.connections(), 40);
            assert_eq!(results.phases().tls.count(), 40);
            results.logged(|entry| entry.session.clone())
        };
        assert_eq!(with(false), one(".", 40), "{protocol}");
        let resumed = with(true);
        // The first of each thread is a new client.
        assert!(resumed["r"] >= 20, "{protocol}: {resumed:?}");
    }
}

#[test]
fn a_unix_socket_is_asked_with_the_host_and_path_of_the_address() {
    let server = format!("listen unix:nginx.sock; {FINE}");
    let nginx = Nginx::start(Site { server: &server, ..Site::default() });
    let target = "unix_socket = \"nginx.sock\"";
    let results = run(&nginx, &plan("http://shop.example/base", target, GET, (20, 1)));
    results.assert_good(20);
    assert!(results.connections() < 10);
    let asked = results.logged(|entry| format!("{}{}", entry.host, entry.uri));
    assert_eq!(asked, one("shop.example/base/", 20));
}
