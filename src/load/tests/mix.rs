//! The compiled mix: what is drawn, and what goes on the wire.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::super::mix::Mix;
use super::super::program::Todo;
use super::super::session::Session;
use super::*;
use crate::plan::{Action, Header, Journey, Secret, Step, StepCondition, ValueTest};

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

fn request(name: &str, path: &str) -> plan::Request {
    plan::Request::get(name, template(path))
}

fn config(requests: Vec<plan::Request>) -> LoadConfig {
    weighted(requests.into_iter().map(|request| (request, 1.0)).collect())
}

fn weighted(requests: Vec<(plan::Request, f64)>) -> LoadConfig {
    let list = |items: &[&str]| {
        ResolvedData::of(ResolvedValues::List(items.iter().map(|&item| item.into()).collect()))
    };
    let range = ResolvedValues::Range(-1, 3);
    let data = BTreeMap::from([
        ("id".to_owned(), ResolvedData { order: DataOrder::Sequential, ..ResolvedData::of(range) }),
        ("word".to_owned(), list(&["a b", "ü", "x&y=1"])),
        ("line".to_owned(), list(&["two\nlines"])),
        ("none".to_owned(), list(&[])),
    ]);
    let host = "shop.test".to_owned();
    let url = TargetUrl { https: false, host, port: 8080, base_path: "/base".into() };
    let connections = Connections::KeepAlive;
    let timeout = Duration::from_secs(1);
    LoadConfig {
        target: Target { connections, timeout, ..Target::usual(url) },
        requests: Vec::new(),
        journeys: Vec::new(),
        flows: Vec::new(),
        data,
        max_in_flight: 10,
        max_rate: 100.0,
        workers: None,
        share: Share::WHOLE,
        takeover: crate::load::Takeover::default(),
        seed: 7,
        generator: "test".into(),
        pem: PemFiles::default(),
    }
    .with_mix(requests)
}

fn compile(config: &LoadConfig, worker: usize, of: usize) -> Mix {
    Mix::compile(config, worker, of).map_err(|errors| format!("{errors:?}")).unwrap()
}

/// A request as a server reads it.
#[derive(Debug)]
struct Read {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Read {
    fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap()
    }

    fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }
}

fn drawn(mix: &mut Mix) -> Read {
    let mut session = Session::default();
    mix.begin(0, None, &mut session);
    let Ok(Todo::Request(endpoint)) = mix.next(&mut session) else { panic!("it is a request") };
    let text = String::from_utf8(mix.build(endpoint, &session).bytes.to_vec()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n").map(str::to_owned);
    let line = lines.next().unwrap();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_owned(), value.to_owned())
    });
    Read { line, headers: headers.collect(), body: body.to_owned() }
}

#[test]
fn one_name_has_one_value_within_a_request() {
    let mut post = request("post", "/item/{id}?q={word}");
    post.method = "POST".into();
    post.headers = vec![("x-id".into(), Header::Plain(template("no-{id}")))];
    post.body = Some(Body { template: template("<{id}|{word}>") });
    let mut mix = compile(&config(vec![post]), 0, 1);
    let mut paths = HashSet::new();
    for expected in (-1..=3).cycle().take(40) {
        let request = drawn(&mut mix);
        let id = expected.to_string();
        let path = request.path().strip_prefix(&format!("/base/item/{id}?q="));
        assert_eq!(request.all("x-id"), [format!("no-{id}")]);
        let word = match path {
            Some("a%20b") => "a b",
            Some("%C3%BC") => "ü",
            Some("x&y=1") => "x&y=1",
            other => panic!("{other:?}"),
        };
        assert_eq!(request.body, format!("<{id}|{word}>"));
        assert_eq!(request.all("content-length"), [request.body.len().to_string()]);
        assert_eq!(request.line, format!("POST {} HTTP/1.1", request.path()));
        paths.insert(request.line);
    }
    assert!(paths.len() > 10, "{paths:?}");
}

#[test]
fn workers_share_sequential_values_and_weights_hold() {
    let requests = || vec![(request("a", "/{id}"), 1.0), (request("b", "/b"), 3.0)];
    let mut ids = Vec::new();
    for worker in 0..2 {
        let mut mix = compile(&config(vec![request("a", "/{id}")]), worker, 2);
        ids.extend((0..5).map(|_| drawn(&mut mix).path().to_owned()));
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5, "{ids:?}");

    let mut mix = compile(&weighted(requests()), 0, 1);
    for _ in 0..40 {
        let b = (0..100).filter(|_| drawn(&mut mix).path() == "/base/b").count();
        assert_eq!(b, 75, "a stage has the shares that its plan gives");
    }
    let draws = |seed| {
        let mut mix = compile(&LoadConfig { seed, ..weighted(requests()) }, 0, 1);
        (0..50).map(|_| drawn(&mut mix).line).collect::<Vec<_>>()
    };
    assert_eq!(draws(1), draws(1));
    assert_ne!(draws(1), draws(2));
}

#[test]
fn no_two_generators_use_a_row_that_is_used_once() {
    let mut config = config(vec![request("row", "/{row}")]);
    let rows = ResolvedData {
        order: plan::DataOrder::Sequential,
        exhausted: plan::WhenExhausted::Stop,
        ..ResolvedData::of(ResolvedValues::Range(1, 1000))
    };
    config.data.insert("row".to_owned(), rows);
    for (generators, workers) in [(1, 1), (2, 1), (3, 2), (20, 3)] {
        let mut used = Vec::new();
        for index in 0..generators {
            let share = Share::new(index, generators).unwrap();
            for own in 0..workers {
                let mut mix = compile(&config, share.worker(own), share.workers(workers));
                let mut session = Session::default();
                mix.begin(0, None, &mut session);
                while let Ok(Todo::Request(endpoint)) = mix.next(&mut session) {
                    let bytes = mix.build(endpoint, &session).bytes.to_vec();
                    let line = String::from_utf8(bytes).unwrap();
                    used.push(line.split(' ').nth(1).unwrap().to_owned());
                    session = Session::default();
                    mix.begin(0, None, &mut session);
                }
            }
        }
        let each: HashSet<&String> = used.iter().collect();
        assert_eq!((used.len(), each.len()), (1000, 1000), "{generators} generators");
    }
}

#[test]
fn each_request_says_that_it_is_synthetic() {
    let mut own = request("own", "/");
    own.headers = vec![
        ("Host".into(), Header::Plain(template("other"))),
        ("X-Kneepoint".into(), Header::Plain(template("real-{id}"))),
        ("authorization".into(), Header::Secret(Secret::new("Bearer hunter2"))),
    ];
    let sent = drawn(&mut compile(&config(vec![own]), 0, 1));
    assert_eq!(sent.all("x-kneepoint"), ["synthetic"]);
    assert_eq!(sent.all("host"), ["other"]);
    assert_eq!(sent.all("authorization"), ["Bearer hunter2"]);
    let sent = drawn(&mut compile(&config(vec![request("plain", "x")]), 0, 1));
    assert_eq!(sent.line, "GET /basex HTTP/1.1");
    assert_eq!(sent.headers[0], ("host".into(), "shop.test:8080".into()));
    assert!(sent.all("user-agent")[0].starts_with("kneepoint/"));
    assert!(sent.all("connection").is_empty() && sent.all("content-length").is_empty());
    let mut closing = config(vec![request("closing", "/")]);
    closing.target.connections = Connections::PerRequest;
    assert_eq!(drawn(&mut compile(&closing, 0, 1)).all("connection"), ["close"]);
}

#[test]
fn a_condition_speaks_of_the_value_that_the_journey_has() {
    let when = |name: &str, test| vec![StepCondition { name: name.to_owned(), test }];
    let ids = |conditions| {
        let mut config = config(vec![request("item", "/item/{id}")]);
        let step = Step { when: conditions, ..Step::of(Action::Request(0)) };
        config.journeys = vec![Journey { steps: vec![step], ..Journey::of_one("item", 1.0, 0) }];
        let mut mix = compile(&config, 0, 1);
        // One after another, from -1 to 3.
        let asked = (0..5).filter_map(|_| {
            let mut session = Session::default();
            mix.begin(0, None, &mut session);
            match mix.next(&mut session) {
                Ok(Todo::Request(endpoint)) => Some(mix.build(endpoint, &session).target()),
                todo => {
                    assert_eq!(todo, Ok(Todo::Done));
                    None
                }
            }
        });
        asked.collect::<Vec<_>>()
    };
    assert_eq!(ids(when("id", ValueTest::Is("2".to_owned()))), ["/base/item/2"]);
    assert_eq!(ids(when("id", ValueTest::Present(true))).len(), 5);
    assert!(ids(when("id", ValueTest::Present(false))).is_empty());
}

#[test]
fn what_has_no_body_says_so_where_one_is_usual() {
    for (method, expected) in [("POST", &["0"][..]), ("PUT", &["0"]), ("GET", &[]), ("DELETE", &[])]
    {
        let mut request = request("none", "/");
        request.method = method.into();
        let sent = drawn(&mut compile(&config(vec![request]), 0, 1));
        assert_eq!(sent.all("content-length"), expected, "{method}");
    }
}

#[test]
fn a_value_may_be_a_whole_path() {
    let mut config = config(vec![request("paths", "{path}")]);
    config.target.url.base_path = String::new();
    let values = ResolvedValues::List(["/a", "b?c", ""].map(String::from).into());
    config.data.insert(
        "path".into(),
        ResolvedData { order: DataOrder::Sequential, ..ResolvedData::of(values) },
    );
    let mut mix = compile(&config, 0, 1);
    assert_eq!([(); 3].map(|()| drawn(&mut mix).path().to_owned()), ["/a", "/b?c", "/"]);
}

#[test]
fn what_cannot_be_sent_is_told_at_once() {
    let with = |name: &str, value: &str| {
        let mut request = request(name, "/");
        request.headers = vec![(name.into(), Header::Plain(template(value)))];
        request
    };
    let mut method = request("method", "/");
    method.method = "GET IT".into();
    let requests = vec![
        method,
        request("unknown", "/{nobody}"),
        request("empty", "/{none}"),
        with("no name", "x"),
        with("content-length", "5"),
        with("x-broken", "a\nb"),
        with("x-line", "{line}"),
        request("good", "/{line}"),
    ];
    let errors = Mix::compile(&config(requests), 0, 1).err().unwrap();
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 7, "{errors:#?}");
    assert_eq!(errors[1], "request `unknown`: `{nobody}` has no values; add [data.nobody]");
    let errors = Mix::compile(&config(vec![]), 0, 1).err().unwrap();
    assert!(matches!(errors[..], [LoadError::NoRequests]));
}
