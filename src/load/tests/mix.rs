//! The compiled mix: what is drawn, and what is put on the wire.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;

use super::super::mix::{Draft, Mix};
use super::*;
use crate::plan::{Header, Secret};

fn template(text: &str) -> Template {
    let mut segments = Vec::new();
    for (i, part) in text.split(['{', '}']).enumerate() {
        match (part.is_empty(), i % 2) {
            (true, _) => {}
            (false, 0) => segments.push(Segment::Text(part.into())),
            (false, _) => segments.push(Segment::Value(part.into())),
        }
    }
    Template(segments)
}

fn request(name: &str, weight: f64, path: &str) -> plan::Request {
    let (method, path) = ("GET".into(), template(path));
    plan::Request { name: name.into(), weight, method, path, headers: vec![], body: None }
}

fn config(requests: Vec<plan::Request>) -> LoadConfig {
    let list = |items: &[&str], order| ResolvedData {
        values: ResolvedValues::List(items.iter().map(|&item| item.into()).collect()),
        order,
    };
    let range = ResolvedValues::Range(-1, 3);
    let data = BTreeMap::from([
        ("id".to_owned(), ResolvedData { values: range, order: DataOrder::Sequential }),
        ("word".to_owned(), list(&["a b", "ü", "x&y=1"], DataOrder::Random)),
        ("line".to_owned(), list(&["two\nlines"], DataOrder::Random)),
        ("none".to_owned(), list(&[], DataOrder::Random)),
    ]);
    let host = "shop.test".to_owned();
    let url = TargetUrl { https: false, host, port: 8080, base_path: "/base".into() };
    let connections = Connections::KeepAlive;
    let timeout = Duration::from_secs(1);
    LoadConfig {
        target: Target { url, connections, timeout, tls: Tls::SystemRoots },
        requests,
        data,
        max_in_flight: 10,
        max_rate: 100.0,
        workers: None,
        seed: 7,
        generator: "test".into(),
        ca_pem: None,
    }
}

fn compile(config: &LoadConfig, worker: usize, of: usize) -> Mix {
    Mix::compile(config, worker, of).map_err(|errors| format!("{errors:?}")).unwrap()
}

fn drawn(mix: &mut Mix) -> Request<Full<Bytes>> {
    let mut draft = Draft::default();
    mix.draw(&mut draft);
    mix.build(&draft)
}

#[test]
fn one_name_has_one_value_within_a_request() {
    let mut post = request("post", 1.0, "/item/{id}?q={word}");
    post.method = "POST".into();
    post.headers = vec![("x-id".into(), Header::Plain(template("no-{id}")))];
    post.body = Some(Body { template: template("<{id}|{word}>") });
    let mut mix = compile(&config(vec![post]), 0, 1);
    let mut paths = HashSet::new();
    for expected in (-1..=3).cycle().take(40) {
        let request = drawn(&mut mix);
        let id = expected.to_string();
        assert!(request.uri().path().ends_with(&format!("/base/item/{id}")), "{request:?}");
        assert_eq!(request.headers()["x-id"], format!("no-{id}"));
        let word = match request.uri().query() {
            Some("q=a%20b") => "a b",
            Some("q=%C3%BC") => "ü",
            Some("q=x&y=1") => "x&y=1",
            other => panic!("{other:?}"),
        };
        let body = whole(request.body().clone());
        assert_eq!(body, format!("<{id}|{word}>"));
        paths.insert(request.uri().to_string());
    }
    assert!(paths.len() > 10, "{paths:?}");
}

fn whole(body: Full<Bytes>) -> Bytes {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(body.collect()).unwrap().to_bytes()
}

#[test]
fn workers_share_sequential_values_and_weights_hold() {
    let requests = || vec![request("a", 1.0, "/{id}"), request("b", 3.0, "/b")];
    let mut ids = Vec::new();
    for worker in 0..2 {
        let mut mix = compile(&config(vec![request("a", 1.0, "/{id}")]), worker, 2);
        ids.extend((0..5).map(|_| drawn(&mut mix).uri().path().to_owned()));
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5, "{ids:?}");

    let mut mix = compile(&config(requests()), 0, 1);
    let b = (0..4000).filter(|_| drawn(&mut mix).uri().path() == "/base/b").count();
    assert!((2850..3150).contains(&b), "{b} of 4000 instead of 3000");
    let draws = |seed| {
        let mut mix = compile(&LoadConfig { seed, ..config(requests()) }, 0, 1);
        (0..50).map(|_| drawn(&mut mix).uri().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(draws(1), draws(1));
    assert_ne!(draws(1), draws(2));
}

#[test]
fn each_request_says_that_it_is_synthetic() {
    let mut own = request("own", 1.0, "/");
    own.headers = vec![
        ("Host".into(), Header::Plain(template("other"))),
        ("X-Kneepoint".into(), Header::Plain(template("real-{id}"))),
        ("authorization".into(), Header::Secret(Secret::new("Bearer hunter2"))),
    ];
    let sent = drawn(&mut compile(&config(vec![own]), 0, 1));
    assert_eq!(sent.headers()["x-kneepoint"], "synthetic");
    assert_eq!(sent.headers().get_all("x-kneepoint").iter().count(), 1);
    assert_eq!(sent.headers()["host"], "other");
    assert_eq!(sent.headers()["authorization"], "Bearer hunter2");
    assert!(!format!("{sent:?}").contains("hunter2"));
    let sent = drawn(&mut compile(&config(vec![request("plain", 1.0, "x")]), 0, 1));
    assert_eq!(sent.headers()["host"], "shop.test:8080");
    assert!(sent.headers()["user-agent"].to_str().unwrap().starts_with("kneepoint/"));
    assert_eq!(sent.headers().get("connection"), None);
}

#[test]
fn what_cannot_be_sent_is_told_at_once() {
    let with = |name: &str, value: &str| {
        let mut request = request(name, 1.0, "/");
        request.headers = vec![(name.into(), Header::Plain(template(value)))];
        request
    };
    let mut method = request("method", 1.0, "/");
    method.method = "GET IT".into();
    let requests = vec![
        method,
        request("unknown", 1.0, "/{nobody}"),
        request("empty", 1.0, "/{none}"),
        with("no name", "x"),
        with("content-length", "5"),
        with("x-broken", "a\nb"),
        with("x-line", "{line}"),
        request("good", 1.0, "/{line}"),
    ];
    let errors = Mix::compile(&config(requests), 0, 1).err().unwrap();
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 7, "{errors:#?}");
    assert_eq!(errors[1], "request `unknown`: `{nobody}` has no values; add [data.nobody]");
    let errors = Mix::compile(&config(vec![]), 0, 1).err().unwrap();
    assert!(matches!(errors[..], [LoadError::NoRequests]));
}
