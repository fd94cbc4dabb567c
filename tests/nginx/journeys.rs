//! Users that send one request after the other, and what the report says about them.

use std::collections::{BTreeMap, BTreeSet};

use kneepoint::timeline::ResponseClass;

use super::run::{RunResults, plan, run};
use super::server::{Nginx, Site};
use super::target::Server;

/// Returns the id of the request in five ways, and accepts every path.
const TOKENS: &str = r#"
    default_type application/json;
    location = /login {
        add_header set-cookie "sid=$request_id; Path=/";
        add_header x-token "$request_id";
        return 200 '{"token": "$request_id", "list": [1, {"deep": "$request_id"}]}';
    }
    location / { return 200 fine; }
"#;

/// Runs requests or journeys against an nginx with this configuration.
fn run_against(server: &str, requests: &str, load: (u32, u32)) -> RunResults {
    let nginx = Nginx::start(Site { server, ..Site::default() });
    run(&nginx, &plan(&nginx.url(), "", requests, load))
}

#[test]
fn what_one_answer_says_is_in_the_requests_after_it() {
    let journey = r#"
        [[journey]]
        name = "buy"
        cookies = true
        [[journey.step]]
        name = "login"
        path = "/login"
        [journey.step.capture]
        json = { json = "$.token" }
        deep = { json = "$.list[1].deep" }
        regex = { regex = 'token": "([0-9a-f]+)"' }
        header = { header = "X-Token" }
        cookie = { cookie = "sid" }
        [[journey.step]]
        name = "all"
        path = "/all/{json}/{deep}/{regex}/{header}/{cookie}"
        [[journey.step]]
        name = "three"
        repeat = 3
        path = "/three/{json}"
        [[journey.step]]
        name = "never"
        path = "/never"
        when = { json = "something else" }
        [[journey.step]]
        name = "some"
        path = "/some/{kind}"
        when = { kind = "b", json = true }
        [data.kind]
        list = ["a", "b"]
        order = "sequential"
    "#;
    let results = run_against(TOKENS, journey, (10, 2));
    let logins: BTreeSet<_> =
        results.log.iter().filter(|entry| entry.uri == "/login").map(|entry| &entry.id).collect();
    assert_eq!(logins.len(), 20);
    let mut seen = BTreeMap::new();
    for entry in results.log.iter().filter(|entry| entry.uri != "/login") {
        let id = entry.cookie.strip_prefix("sid=").unwrap_or_else(|| panic!("{entry:?}"));
        assert!(logins.contains(&id.to_owned()), "{entry:?}");
        let uri = entry.uri.replace(id, "ID");
        *seen.entry(uri).or_insert(0) += 1;
    }
    let expected = [("/all/ID/ID/ID/ID/ID", 20), ("/some/b", 10), ("/three/ID", 60)];
    assert_eq!(seen, expected.map(|(uri, count)| (uri.to_owned(), count)).into());
    assert!(
        results.log.iter().filter(|entry| entry.uri == "/login").all(|it| it.cookie.is_empty())
    );
    results.assert_good(20 * 5 + 10);
    assert_eq!(results.sum(|tick| tick.journeys.completed), 20);
}

#[test]
fn a_check_that_fails_is_a_failure_in_its_own_words() {
    let server = "default_type application/json;\n\
                  location = /item/1 { return 200 '{\"name\": \"good\"}'; }\n\
                  location / { return 200 '{\"name\": \"bad\"}'; }";
    let journey = r#"
        [[journey]]
        name = "look"
        stop_on_failure = true
        [[journey.step]]
        name = "item"
        path = "/item/{n}"
        check = { contains = "good", json = { "$.name" = "good" }, status = 200 }
        [[journey.step]]
        name = "after"
        path = "/after"
        [data.n]
        range = [1, 20]
        order = "sequential"
    "#;
    let results = run_against(server, journey, (20, 1));
    let expected = [(ResponseClass::Status(200), 2), (ResponseClass::Check, 19)];
    assert_eq!(results.classes(), BTreeMap::from(expected));
    assert_eq!(results.logged(|entry| entry.uri == "/after"), [(true, 1), (false, 20)].into());
    let failed = results.failed_checks();
    assert_eq!(failed.values().copied().collect::<Vec<_>>(), [19, 19], "{failed:?}");
    assert!(failed.keys().any(|check| check.contains("body contains `good`")), "{failed:?}");
    assert_eq!(results.sum(|tick| tick.journeys.abandoned), 19);
    assert_eq!(results.sum(|tick| tick.journeys.completed), 1);
}

#[test]
fn arrivals_are_even_or_at_random() {
    let server = "location / { return 200 fine; }";
    let nginx = Nginx::start(Site { server, ..Site::default() });
    let requests = "[[request]]\npath = \"/\"\n";
    // Share of the requests that come within a quarter of the mean distance after another, and
    // how many there were.
    let close = |arrivals: &str| {
        let load = plan(&nginx.url(), "", requests, (50, 3));
        let results = run(&nginx, &format!("{load}arrivals = \"{arrivals}\"\n"));
        let offered = results.sum(|tick| tick.offered);
        results.assert_good(offered);
        let mut times: Vec<f64> = results.log.iter().map(|entry| entry.at).collect();
        times.sort_by(f64::total_cmp);
        let close = times.windows(2).filter(|pair| pair[1] - pair[0] < 0.005).count();
        (close as f64 / times.len() as f64, offered)
    };
    let (even, count) = close("even");
    assert_eq!(count, 150);
    let (random, count) = close("poisson");
    // Four standard deviations.
    assert!((101..=199).contains(&count), "{count}");
    assert!(random > 0.1 && random > even + 0.05, "{random} and {even}");
}

#[test]
fn the_report_has_each_request_and_each_tag_apart() {
    let slow = Server::start();
    let server = format!(
        "location = /slow {{ proxy_pass {}; }} location / {{ return 200 fine; }}",
        slow.url()
    );
    let requests = "[[request]]\nname = \"quick\"\npath = \"/quick\"\ntags = { kind = \"read\" }\n\
         [[request]]\nname = \"other\"\npath = \"/other\"\ntags = { kind = \"read\" }\n\
         [[request]]\nname = \"slow\"\npath = \"/slow\"\ntags = { kind = \"write\" }\n";
    let results = run_against(&server, requests, (40, 3));
    results.assert_good(120);
    let rows = results.report["requests"].as_array().expect("rows");
    let row = |name: &str| {
        let row = rows.iter().find(|row| row["name"] == name);
        row.unwrap_or_else(|| panic!("no {name}: {rows:?}"))
    };
    let completed = |name: &str| row(name)["completed"].as_u64().expect("a count");
    let p50 = |name: &str| row(name)["p50_seconds"].as_f64().expect("seconds");
    let logged = results.logged(|entry| entry.uri.clone());
    for name in ["quick", "other", "slow"] {
        // Those that ended after the stage are not in its table.
        let logged = logged[&format!("/{name}")];
        assert!((logged / 2..=logged).contains(&completed(name)), "{logged}: {rows:?}");
        assert_eq!(row(name)["is_tag"], false);
    }
    assert_eq!(completed("kind:read"), completed("quick") + completed("other"));
    assert_eq!(completed("kind:write"), completed("slow"));
    assert!(p50("slow") >= 0.4 && p50("kind:write") == p50("slow"), "{rows:?}");
    assert!(p50("quick") < 0.4 && p50("kind:read") < 0.4, "{rows:?}");
    assert!(row("slow")["p99_seconds"].as_f64() >= Some(p50("slow")));
}
