//! What comes back: compressed, in pieces, with no body, refused, or not at all.

use std::collections::BTreeMap;

use kneepoint::timeline::ResponseClass;

use super::run::{RunResults, plan, run};
use super::server::{Nginx, Site, free_port};
use super::target::Server;

/// Text of `length` bytes that ends in `the end`.
fn text(length: usize) -> String {
    let end = "the end";
    format!("{}{end}", "all work and no play ".repeat(length / 21 + 1).split_at(length - 7).0)
}

/// Values for `{n}`, of which the preflight and the first request of the load take `first`.
fn then(first: &str, others: &str, count: usize) -> String {
    let others = format!("\"{others}\", ").repeat(count - 1);
    format!("[data.n]\nlist = [\"{first}\", {others}]\norder = \"sequential\"\n")
}

fn statuses(results: &RunResults) -> BTreeMap<u16, u64> {
    results.logged(|entry| entry.status)
}

#[test]
fn compressed_bodies_are_read_as_text() {
    let site = Site {
        listen: "http2",
        server: "gzip on; gzip_types text/plain; default_type text/plain;",
        ..Site::default()
    };
    let nginx = Nginx::with_files(site, &[("long", &text(30_000))]);
    let old = Site { listen: "", ..site };
    let old = Nginx::with_files(old, &[("long", &text(30_000))]);
    let requests = "[[request]]\npath = \"/long\"\nheaders = { accept-encoding = \"gzip\" }\n\
                    check = { contains = \"the end\", matches = \"^(all|work|and|no|play| )+\" }\n";
    for (nginx, version, transfer) in [(&old, "http/1.1", "chunked"), (&nginx, "http/2", "")] {
        let target = format!("version = \"{version}\"");
        let results = run(nginx, &plan(&nginx.url(), &target, requests, (20, 1)));
        results.assert_good(20);
        for entry in &results.log {
            assert_eq!((entry.coding.as_str(), entry.transfer.as_str()), ("gzip", transfer));
            assert!(entry.sent < 3_000, "{entry:?}");
        }
    }
}

#[test]
fn a_body_in_chunks_is_read_to_its_end_however_slowly_it_comes() {
    // What is put together on the way has no length; half of it is held back.
    let site = Site {
        server: "ssi on; ssi_types text/plain; default_type text/plain; limit_rate 20k;",
        ..Site::default()
    };
    let nginx = Nginx::with_files(site, &[("long", &text(30_000))]);
    let requests = "[[request]]\npath = \"/long\"\ncheck = { contains = \"the end\" }\n";
    let results = run(&nginx, &plan(&nginx.url(), "", requests, (10, 2)));
    results.assert_good(20);
    assert_eq!(results.logged(|entry| entry.transfer.clone())["chunked"], 20);
    let receive = results.phases().receive;
    assert!(receive.quantile(0.0).is_some_and(|least| least > 0.2), "{receive:?}");
}

#[test]
fn a_stream_is_left_when_its_time_is_over() {
    for (listen, version) in [("", "http/1.1"), ("http2", "http/2")] {
        let site = Site { listen, server: "limit_rate 10k;", ..Site::default() };
        // The second half of it comes a second after the first.
        let nginx = Nginx::with_files(site, &[("long", &text(20_000))]);
        let target = format!("version = \"{version}\"");
        let requests = "[[request]]\npath = \"/long\"\nstream = { for = \"300ms\" }\n";
        let results = run(&nginx, &plan(&nginx.url(), &target, requests, (10, 2)));
        assert_eq!(results.classes(), BTreeMap::from([(ResponseClass::Status(200), 20)]));
        assert_eq!(results.log.len(), 20, "{version}");
        assert!(results.log.iter().all(|entry| entry.sent < 20_000), "{:?}", results.log);
        let connections = results.connections();
        assert_eq!(connections == 20, version == "http/1.1", "{version}: {connections}");
        let receive = results.phases().receive;
        let least = receive.quantile(0.0);
        assert!(least.is_some_and(|least| least > 0.25), "{version}: {receive:?}");
    }
}

#[test]
fn answers_without_a_body_leave_their_connection_as_it_was() {
    let server = "if_modified_since before; location = /none { return 204; }\n\
                  location = /moved { return 301 /page; }";
    let nginx = Nginx::with_files(Site { server, ..Site::default() }, &[("page", &text(9_000))]);
    let requests = "[[request]]\nname = \"head\"\nmethod = \"HEAD\"\npath = \"/page\"\n\
         [[request]]\nname = \"get\"\npath = \"/page\"\n\
         [[request]]\nname = \"none\"\npath = \"/none\"\n\
         [[request]]\nname = \"moved\"\npath = \"/moved\"\n\
         [[request]]\nname = \"range\"\npath = \"/page\"\nheaders = { range = \"bytes=0-9\" }\n\
         [[request]]\nname = \"known\"\npath = \"/page\"\n\
         headers = { if-modified-since = \"Fri, 31 Dec 2199 23:59:59 GMT\" }\n";
    let results = run(&nginx, &plan(&nginx.url(), "", requests, (60, 2)));
    results.assert_agreed(120);
    let kinds: Vec<_> = statuses(&results).into_keys().collect();
    assert_eq!(kinds, [200, 204, 206, 301, 304]);
    assert!(results.connections() < 10, "{}", results.connections());
    for endpoint in results.recording.timeline.ticks.iter().flat_map(|tick| &tick.endpoints) {
        let expected = match endpoint.endpoint.as_str() {
            "none" => 204,
            "moved" => 301,
            "range" => 206,
            "known" => 304,
            _ => 200,
        };
        assert_eq!(endpoint.class, ResponseClass::Status(expected), "{}", endpoint.endpoint);
    }
}

#[test]
fn refusals_are_counted_by_their_status() {
    let slow = Server::start();
    let limits = "limit_req_zone $server_port zone=rate:32k rate=5r/s;\n\
                  limit_conn_zone $server_port zone=connections:32k;";
    let proxy = format!("proxy_pass {};", slow.url());
    for (name, limit, status) in [
        ("rate", "limit_req zone=rate;".to_owned(), 503),
        ("rate, told apart", "limit_req zone=rate; limit_req_status 429;".to_owned(), 429),
        ("connections", format!("limit_conn connections 2; {proxy}"), 503),
    ] {
        let server = format!("location / {{ {limit} }}");
        let site = Site { http: limits, server: &server, ..Site::default() };
        let nginx = Nginx::with_files(site, &[("slow", "fine")]);
        let requests = "[[request]]\npath = \"/slow\"\n";
        let results = run(&nginx, &plan(&nginx.url(), "", requests, (30, 2)));
        results.assert_agreed(60);
        let statuses = statuses(&results);
        assert_eq!(statuses.len(), 2, "{name}: {statuses:?}");
        // A few a second pass.
        assert!(statuses[&200] < 20 && statuses[&status] > 40, "{name}: {statuses:?}");
    }
}

#[test]
fn what_nginx_cannot_get_is_counted_as_it_says_it() {
    let slow = Server::start();
    let server = format!(
        "location = /fine {{ return 200; }}\n\
         location = /down {{ proxy_pass http://127.0.0.1:{}; }}\n\
         location = /late {{ proxy_read_timeout 100ms; proxy_pass {}/slow; }}\n\
         location = /gone {{ return 444; }}",
        free_port(),
        slow.url()
    );
    let nginx = Nginx::start(Site { server: &server, ..Site::default() });
    let requests = "[[request]]\npath = \"/{n}\"\n";
    for (path, class) in [
        ("down", ResponseClass::Status(502)),
        ("late", ResponseClass::Status(504)),
        ("gone", ResponseClass::Reset),
    ] {
        let data = then("fine", path, 20);
        // One that is kept and ends so is asked again: it may have ended before.
        let target = "connections = \"per-request\"";
        let text = format!("{}{data}", plan(&nginx.url(), target, requests, (20, 1)));
        let results = run(&nginx, &text);
        let expected = [(ResponseClass::Status(200), 1), (class, 19)];
        assert_eq!(results.classes(), BTreeMap::from(expected), "{path}");
        assert_eq!(results.logged(|entry| entry.uri.clone())[&format!("/{path}")], 19);
        assert_eq!(results.connections(), 20);
    }
}

#[test]
fn a_body_that_is_too_large_is_refused_while_it_is_sent() {
    let server = "client_max_body_size 1k; location / { return 200 fine; }";
    let requests = "[[request]]\npath = \"/\"\nbody = \"{n}\"\n";
    for (listen, version) in [("", "http/1.1"), ("http2", "http/2")] {
        let nginx = Nginx::start(Site { listen, server, ..Site::default() });
        let target = format!("version = \"{version}\"");
        let data = then("short", &"x".repeat(400_000), 20);
        let text = format!("{}{data}", plan(&nginx.url(), &target, requests, (20, 1)));
        let results = run(&nginx, &text);
        results.assert_agreed(20);
        assert_eq!(statuses(&results), BTreeMap::from([(200, 1), (413, 19)]), "{version}");
    }
}
