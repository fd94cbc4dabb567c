//! Logs and plans with a planted difference of each kind, and without any.

use super::*;
use crate::plan::{Arrivals, Executor, Plan};

/// A log of two hours: 50 users who look at two items, and one of them buys.
struct Log {
    traffic: Traffic,
}

impl Log {
    fn new() -> Self {
        Self { traffic: Traffic::default() }
    }

    fn line(&mut self, second: u64, client: u64, request: &str, status: u16) {
        let at = format!("{:02}:{:02}:{:02}", 10 + second / 3600, second / 60 % 60, second % 60);
        let text = format!(
            "10.0.{}.{} - - [10/Oct/2026:{at} +0000] \"{request} HTTP/1.1\" {status} 5 \"-\" \"x\"",
            client / 250,
            client % 250
        );
        self.traffic.line(&text);
    }

    /// One user every second: an item, 5 s later another, and 5 s later the cart.
    fn usual(users: u64) -> Self {
        let mut log = Self::new();
        for second in 0..users {
            log.line(second, second, &format!("GET /item/{}", second * 7919 % 500), 200);
            if second >= 5 {
                log.line(second, second - 5, &format!("GET /item/{}", second * 104_729 % 500), 200);
            }
            if second >= 10 {
                log.line(second, second - 10, "POST /cart", 200);
            }
        }
        log
    }
}

fn plan(rate: f64) -> Plan {
    let mut plan = Plan::for_url("http://127.0.0.1/", Vec::new()).unwrap();
    let duration = std::time::Duration::from_secs(60);
    plan.scenarios[0].executor = Executor::ConstantArrivalRate { rate, duration };
    plan.scenarios[0].arrivals = Arrivals::Even;
    plan
}

/// A plan of users who do what those of the log do.
fn planned(plan: &Plan, keys: u64, pause: u64) -> Planned {
    let mut planned = Planned::of(plan);
    for user in 0..3000u64 {
        planned.begin();
        planned.request("GET", &format!("/item/{}", user * 7919 % keys));
        planned.think(std::time::Duration::from_secs(pause));
        planned.request("GET", &format!("/item/{}", user * 104_729 % keys));
        planned.think(std::time::Duration::from_secs(pause));
        planned.request("POST", "/cart");
    }
    planned
}

fn kinds(realism: &Realism) -> Vec<GapKind> {
    realism.gaps.iter().map(|gap| gap.kind).collect()
}

#[test]
fn a_plan_that_does_what_users_do_has_no_gap() {
    let log = Log::usual(1000);
    let realism = compare(&log.traffic, &planned(&plan(10.0), 500, 5));
    assert_eq!(kinds(&realism), [], "{realism:#?}");
    assert_eq!((realism.covered, realism.reaches_peak), (Some(1.0), Some(true)));
}

#[test]
fn requests_that_only_one_side_has_are_told_with_their_shares() {
    let mut log = Log::usual(1000);
    (0..1000).for_each(|second| log.line(second, 10_000 + second, "GET /search?q=shoes", 200));
    let mut plan = planned(&plan(10.0), 500, 5);
    (0..3000).for_each(|_| {
        plan.begin();
        plan.request("GET", "/admin/export");
    });
    let realism = compare(&log.traffic, &plan);
    assert_eq!(
        kinds(&realism),
        [GapKind::MissingRequests, GapKind::ForeignRequests],
        "{realism:#?}"
    );
    assert!(realism.gaps[0].seen.contains("GET /search? (25 % of requests, 0 % in the plan)"));
    assert!(realism.gaps[0].close.contains("path = \"/search?{query}\"\nweight = 25."));
    assert!(realism.gaps[1].seen.contains("GET /admin/export (25 %"), "{realism:#?}");
    assert!((realism.covered.unwrap() - 0.75).abs() < 0.01, "{realism:#?}");
}

#[test]
fn peaks_that_the_plan_never_reaches_are_told() {
    let mut log = Log::usual(1000);
    (0..300).for_each(|client| log.line(500, 2000 + client, "POST /cart", 200));
    let realism = compare(&log.traffic, &planned(&plan(10.0), 500, 5));
    assert_eq!(kinds(&realism), [GapKind::Bursts], "{realism:#?}");
    assert!(realism.gaps[0].seen.contains("303 requests/s in 1 s"), "{realism:#?}");
    assert!(realism.gaps[0].close.contains("target = \"303/s\""), "{realism:#?}");
    assert_eq!(realism.reaches_peak, Some(false));
}

#[test]
fn few_keys_many_keys_and_hot_keys_are_told() {
    let log = Log::usual(1000);
    let few = compare(&log.traffic, &planned(&plan(10.0), 5, 5));
    assert_eq!(kinds(&few), [GapKind::Keys], "{few:#?}");
    assert!(few.gaps[0].hides.contains("misses of every cache"));
    let mut hot = Log::usual(1000);
    (0..1000).for_each(|second| hot.line(second, second, "GET /item/7", 200));
    let many = compare(&hot.traffic, &planned(&plan(10.0), 100_000, 5));
    assert!(kinds(&many).contains(&GapKind::Popularity), "{many:#?}");
    assert!(many.gaps.iter().any(|gap| gap.close.contains("popularity")), "{many:#?}");
}

#[test]
fn another_order_and_other_pauses_are_told() {
    let log = Log::usual(1000);
    let slow = compare(&log.traffic, &planned(&plan(10.0), 500, 60));
    assert_eq!(kinds(&slow), [GapKind::ThinkTimes], "{slow:#?}");
    assert!(slow.gaps[0].seen.contains("users pause 5.0 s"), "{slow:#?}");
    let mut reversed = Planned::of(&plan(10.0));
    for user in 0..3000u64 {
        reversed.begin();
        reversed.request("POST", "/cart");
        for item in [7919, 104_729] {
            reversed.think(std::time::Duration::from_secs(5));
            reversed.request("GET", &format!("/item/{}", user * item % 500));
        }
    }
    let realism = compare(&log.traffic, &reversed);
    assert_eq!(kinds(&realism), [GapKind::Order], "{realism:#?}");
    assert!(realism.gaps[0].seen.contains("GET /item/:id → POST /cart"), "{realism:#?}");
}

#[test]
fn what_users_do_in_order_is_told_where_the_plan_has_no_journeys() {
    let mut single = Planned::of(&plan(10.0));
    for user in 0..3000u64 {
        for item in [7919, 104_729] {
            single.begin();
            single.request("GET", &format!("/item/{}", user * item % 500));
        }
        single.begin();
        single.request("POST", "/cart");
    }
    let realism = compare(&Log::usual(1000).traffic, &single);
    assert_eq!(kinds(&realism), [], "{realism:#?}");
    let notes = realism.notes.join("\n");
    assert!(notes.contains("users pause 5.0 s between two requests"), "{notes}");
    let step = "after GET /item/:id, 50 % ask for POST /cart (33 % of all requests do)";
    assert!(notes.contains(step), "{notes}");
}

#[test]
fn retries_and_clients_beyond_the_connections_are_told() {
    let mut log = Log::usual(1000);
    for second in 0..200 {
        let request = format!("GET /item/{second}");
        log.line(second, 5000 + second, &request, 503);
        log.line(second, 5000 + second, &request, 200);
    }
    let mut narrow = plan(10.0);
    narrow.target.max_connections = Some(2);
    let realism = compare(&log.traffic, &planned(&narrow, 500, 5));
    assert_eq!(kinds(&realism), [GapKind::Retries, GapKind::Connections], "{realism:#?}");
    assert!(realism.gaps[0].seen.contains("200 retries of 200 failures"), "{realism:#?}");
}

#[test]
fn what_cannot_be_compared_is_a_note() {
    let mut log = Log::new();
    for second in 0..6000 {
        // All behind one proxy.
        log.line(second, 1, "GET /item/1", 200);
        log.line(second, 1, "GET /wp-login.php", 404);
    }
    let mut single = Planned::of(&plan(10.0));
    (0..1000).for_each(|_| {
        single.begin();
        single.request("GET", "/item/1");
    });
    let realism = compare(&log.traffic, &single);
    assert_eq!(kinds(&realism), [], "{realism:#?}");
    let notes = realism.notes.join("\n");
    assert!(notes.contains("those of a proxy"), "{notes}");
    assert!(notes.contains("6000 requests that were answered with 4xx"), "{notes}");
    let mut closed = plan(10.0);
    let duration = std::time::Duration::from_secs(60);
    closed.scenarios[0].executor = Executor::ConstantVus { vus: 5, duration };
    let realism = compare(&Log::usual(1000).traffic, &planned(&closed, 500, 5));
    assert_eq!(realism.reaches_peak, None);
    assert!(realism.notes.iter().any(|note| note.contains("virtual users wait for answers")));
}
