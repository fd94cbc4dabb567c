//! Right plans mean what they say; wrong ones are told what is wrong, all at once and in place.

use std::time::Duration;

use proptest::prelude::*;

use super::super::*;
use super::parse;

const SHAPES: [CollectorShape; 4] = [
    CollectorShape { name: "host", options: &[] },
    CollectorShape {
        name: "process",
        options: &[
            OptionSpec { name: "pid", kind: OptionKind::Integer, required: false, about: "pid" },
            OptionSpec { name: "port", kind: OptionKind::Integer, required: false, about: "port" },
        ],
    },
    CollectorShape {
        name: "postgres",
        options: &[
            OptionSpec {
                name: "url",
                kind: OptionKind::Secret,
                required: true,
                about: "add `url = \"postgres://…\"`",
            },
            OptionSpec { name: "tls", kind: OptionKind::Switch, required: false, about: "TLS" },
        ],
    },
    CollectorShape {
        name: "prometheus",
        options: &[
            OptionSpec { name: "url", kind: OptionKind::Text, required: true, about: "an URL" },
            OptionSpec { name: "keep", kind: OptionKind::Texts, required: false, about: "names" },
        ],
    },
];

fn environment(name: &str) -> Option<String> {
    match name {
        "TOKEN" | "SHOP_TOKEN" => Some("hunter2{}".to_owned()),
        "SHOP_DATABASE_URL" => Some("postgres://shop:hunter2@db/shop".to_owned()),
        _ => None,
    }
}

pub(super) fn read(text: &str) -> Result<Plan, PlanErrors> {
    parse(text, "plan.toml", &SHAPES, &environment)
}

/// A plan around `rest`, which begins in line 5.
fn with(rest: &str) -> String {
    format!(
        "[target]\nurl = \"http://a:8080\"\n[[request]]\npath = \"/{{id}}\"\n{rest}\n[data.id]\nrange = [1, 9]\n"
    )
}

#[test]
fn the_example_means_what_it_says() {
    let text = include_str!("../../../examples/shop.toml");
    let plan = read(text).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(plan.name, "shop");
    assert_eq!(plan.seed, 42);
    assert_eq!(plan.target.url.to_string(), "http://127.0.0.1:8080");
    assert_eq!(plan.requests.len(), 2);
    assert_eq!(plan.journeys[0].weight, 3.0);
    assert_eq!(plan.requests[0].method, "GET");
    assert_eq!(
        plan.requests[0].path.0,
        [Segment::Text("/product/".to_owned()), Segment::Value("id".to_owned())]
    );
    assert_eq!(plan.requests[1].method, "POST");
    let body = &plan.requests[1].body.as_ref().unwrap().template.0;
    assert_eq!(body[0], Segment::Text("{\"product\": ".to_owned()));
    assert_eq!(body[4], Segment::Text("\"}".to_owned()));
    assert_eq!(plan.data["id"], DataSource::of(DataValues::Range(1, 200_000)));
    assert_eq!(plan.scenarios[0].executor, Executor::Breakpoint(Breakpoint::usual()));
    assert_eq!(plan.limits, Limits::usual());
    let canary = &plan.canaries[0];
    assert_eq!((canary.request.name.as_str(), canary.rate), ("health", 2.0));
    assert_eq!(canary.request.path.0, [Segment::Text("/health".to_owned())]);
    let feed = &plan.websockets[0];
    assert_eq!((feed.request.name.as_str(), feed.sessions), ("feed", 100));
    assert_eq!((feed.open_rate, feed.backoff), (WebSocket::USUAL_OPEN_RATE, Backoff::usual()));
    let message = feed.message.as_ref().unwrap();
    assert_eq!((message.interval, message.expect), (WebSocket::USUAL_INTERVAL, true));
    assert_eq!(plan.objectives.len(), 4);
    assert_eq!(plan.objectives[2].endpoints, ["product"]);
    assert_eq!(plan.objectives[2].measure, ObjectiveMeasure::ResponseTimeQuantile(0.99));
    assert_eq!(plan.objectives[2].bound, 1.0);
    assert_eq!(plan.objectives[3].bound, 0.01);
    assert_eq!((plan.objectives[2].max_worse, plan.objectives[3].max_worse), (Some(0.05), None));
    assert_eq!(plan.gate, Gate { rate: Some(100.0), ..Gate::default() });
    let names: Vec<_> = plan.collectors.iter().map(|collector| collector.name.as_str()).collect();
    assert_eq!(names, ["host", "process", "postgres"]);
    assert_eq!(plan.collectors[1].integer("port"), Some(8080));
    assert_eq!(plan.collectors[2].interval, Some(Duration::from_secs(1)));
    assert_eq!(plan.collectors[2].text("url"), Some("postgres://shop:hunter2@db/shop"));
}

#[test]
fn a_rise_is_allowed_only_where_builds_are_compared() {
    let text = with(
        "[objectives]\nhttp_req_duration = [{ condition = \"avg < 1s\", max_worse = \"5%\" }, \
         { condition = \"p(95) < 1s\", max_worse = \"5%\" }]",
    );
    let errors = read(&text).unwrap_err();
    let told: Vec<_> = errors.iter().map(|mistake| mistake.message.clone()).collect();
    assert_eq!(told, ["`max_worse` does not go with this condition"]);
}

#[test]
fn the_journeys_of_the_example_are_read() {
    let text = include_str!("../../../examples/journeys.toml");
    let plan = read(text).unwrap_or_else(|errors| panic!("{errors}"));
    let names: Vec<_> = plan.journeys.iter().map(|journey| journey.name.as_str()).collect();
    assert_eq!(names, ["buy", "look"]);
    // login, three times a list and 0.6 products, pay.
    let buy: f64 = plan.journeys[0].requests().iter().map(|(_, times)| times).sum();
    assert!((buy - 6.8).abs() < 1e-9, "{buy}");
    assert_eq!((plan.setup.len(), plan.teardown.len()), (1, 1));
    assert_eq!(plan.scenarios[1].journeys, [1]);
    assert_eq!(plan.scenarios[1].start, Duration::from_secs(60));
    assert_eq!(plan.scenarios[0].executor.most_vus(), 50);
    assert_eq!(plan.objectives[0].endpoints, ["list", "product"]);
    assert_eq!(plan.data["id"].order, DataOrder::Zipf(1.1));
    let shares: f64 = plan.shares().iter().map(|(_, share)| share).sum();
    assert!((shares - 1.0).abs() < 1e-9, "{shares}");
}

#[test]
fn objectives_take_windows_tags_series_and_may_end_the_run() {
    let objective = |text: &str| {
        read(&with(&format!("[objectives]\n{text}"))).map(|plan| plan.objectives[0].clone())
    };
    let windowed = objective("http_req_duration = \"p(99) < 500ms for 10s\"").unwrap();
    assert_eq!(windowed.window, Some(Duration::from_secs(10)));
    let ending =
        objective("http_req_failed = { condition = \"rate < 1%\", abort = true, delay = \"5s\" }");
    assert_eq!(ending.unwrap().abort_after, Some(Duration::from_secs(5)));
    let memory = objective("\"process.memory.rss{process=target}\" = \"max < 2GiB\"").unwrap();
    assert_eq!(memory.bound, 2_147_483_648.0);
    let selector = "process.memory.rss{process=target}".to_owned();
    assert_eq!(memory.measure, ObjectiveMeasure::Series(selector, Reduction::Max));
    assert!(objective("\"process.memory.rsss\" = \"max < 2GiB\"").is_err());
    assert!(objective("http_req_duration = \"p(99) < 500ms for soon\"").is_err());
}

#[test]
fn every_executor_is_read() {
    let load = |text: &str| {
        read(&with(&format!("[load]\n{text}"))).map(|plan| plan.scenarios[0].executor.clone())
    };
    let second = Duration::from_secs;
    assert_eq!(
        load("executor = \"constant-arrival-rate\"\nrate = \"3000/m\"\nduration = \"1m30s\""),
        Ok(Executor::ConstantArrivalRate { rate: 50.0, duration: second(90) })
    );
    assert_eq!(
        load("executor = \"steps\"\nrates = [10, \"20.5/s\"]\nhold = \"10s\""),
        Ok(Executor::Steps { rates: vec![10.0, 20.5], hold: second(10) })
    );
    let stages = "stages = [{ target = \"100/s\", duration = \"30s\" }]";
    let ramp = RampStage { target: 100.0, duration: second(30) };
    assert_eq!(
        load(&format!("executor = \"ramping-arrival-rate\"\nstart_rate = \"10/s\"\n{stages}")),
        Ok(Executor::RampingArrivalRate { start_rate: 10.0, stages: vec![ramp] })
    );
    assert_eq!(
        load("start = \"5/s\"\nmax = \"50/s\"\nfactor = 2\nhold = \"3s\"\nrecovery = \"0s\""),
        Ok(Executor::Breakpoint(Breakpoint {
            start_rate: 5.0,
            max_rate: 50.0,
            factor: 2.0,
            hold: second(3),
            recovery: Duration::ZERO,
            probe: true,
        }))
    );
}

/// What stands between target and data, and the mistake's line, column, message and help.
const MISTAKES: &[(&str, usize, usize, &str, &str)] = &[
    ("wieght = 2", 5, 1, "unknown key `wieght`", "did you mean `weight`?"),
    ("weight = 0", 5, 10, "must be above zero", ""),
    ("weight = \"2\"", 5, 10, "expected a weight such as `1`, found a string", ""),
    ("method = \"FETCH\"", 5, 10, "`FETCH` is not a valid HTTP method", "`PATCH`"),
    ("body = 'a {ib}'", 5, 11, "`{ib}` has no values", "did you mean `id`?"),
    ("body = 'a {id'", 5, 11, "`{` has no closing `}`", "`{{`"),
    ("body = 'ä }'", 5, 11, "`}` has no opening `{`", "`}}`"),
    ("headers = { \"a b\" = \"x\" }", 5, 13, "not a valid header name", "x-request-id"),
    ("headers = { x = \"${HOME_}\" }", 5, 18, "`HOME_` is not set", "$${HOME_}"),
    (
        "[[request]]\npath = \"/{id}\"",
        5,
        1,
        "another request is already named `GET /{id}`",
        "`name`",
    ),
    ("[[request]]\npath = \"x\"", 6, 8, "must begin with `/`", "[target]"),
    ("[[request]]\nweight = 1", 5, 1, "`path` is missing", "path = "),
    ("[load]\nstart = \"0/s\"", 6, 9, "must be above zero", ""),
    ("[load]\nstart = \"fast\"", 6, 9, "`fast` is not a rate", ""),
    ("[load]\nfactor = 1", 6, 10, "above 1", ""),
    ("[load]\nhold = 5", 6, 8, "expected a duration with its unit", ""),
    ("[load]\nhold = \"5\"", 6, 8, "`5` is not a duration", ""),
    ("[load]\nstart = \"50/s\"\nmax = \"10/s\"", 7, 7, "below `start`", "`max`"),
    ("[load]\nmax = \"9000/s\"", 6, 7, "above the limit of 5000/s", "`max_rate`"),
    ("[load]\nexecutor = \"breakpiont\"", 6, 12, "`breakpiont` is not", "`breakpoint`?"),
    ("[load]\nexecutor = \"steps\"\nhold = \"1s\"", 5, 1, "`rates` is missing", "rates = "),
    ("[load]\nexecutor = \"steps\"\nrates = []\nhold = \"1s\"", 7, 9, "at least one rate", ""),
    (
        "[load]\nexecutor = \"constant-arrival-rate\"\nrate = 5\nduration = \"2h\"",
        5,
        1,
        "longer than the limit",
        "`max_duration`",
    ),
    ("[limits]\nmax_in_flight = 0", 6, 17, "at least 1", ""),
    ("[limits]\nerror_budget = \"150%\"", 6, 16, "`150%` is not a share", ""),
    (
        "[objectives]\nhttp_req_duratoin = \"avg < 1s\"",
        6,
        1,
        "is not a known metric",
        "http_req_duration`?",
    ),
    ("[objectives]\nhttp_req_duration = \"p95 < 1s\"", 6, 21, "asks for `p95`", "p(95)"),
    ("[objectives]\nhttp_req_duration = \"avg < 300\"", 6, 21, "with its unit", "300ms"),
    ("[objectives]\nhttp_req_failed = \"rate < x\"", 6, 19, "needs a share", ""),
    (
        "[objectives]\n\"http_req_failed{b}\" = \"rate < 1%\"",
        6,
        1,
        "no request or tag `b`",
        "`name`",
    ),
    ("[collect.postgras]\nurl = \"hunter2\"", 5, 10, "no collector `postgras`", "`postgres`?"),
    ("[collect.postgres]", 5, 1, "`url` is missing", "postgres://"),
    ("[collect.process]\nprt = 1", 6, 1, "unknown key `prt`", "`port`?"),
    ("[collect.process]\npid = -1", 6, 7, "expected a whole number", ""),
    (
        "[[collect.host]]\n[[collect.host]]",
        6,
        1,
        "another collector is already named `host`",
        "`as = ",
    ),
    ("[canary]\npath = \"/up\"", 5, 1, "`[[canary]]` tables, found a table", ""),
    ("[[canary]]\nrate = \"1/s\"", 5, 1, "`path` is missing", "path = \"/health\""),
    ("[[canary]]\npath = \"up\"", 6, 8, "must begin with `/`", "[target]"),
    (
        "[[canary]]\npath = \"/up\"\nrate = \"50/s\"",
        7,
        8,
        "above the limit of 20/s for a canary",
        "[[request]]",
    ),
    ("[[canary]]\npath = \"/up\"\nrat = \"5/s\"", 7, 1, "unknown key `rat`", "`rate`?"),
    ("[[canary]]\npath = \"/up\"\nbody = \"x\"", 7, 1, "unknown key `body`", "known keys"),
    (
        "[[canary]]\npath = \"/up\"\n[[canary]]\npath = \"/up\"",
        7,
        1,
        "another canary is already named `/up`",
        "`name`",
    ),
    (
        "[limits]\nmax_rate = \"1/s\"\n[load]\nmax = \"1/s\"\nstart = \"1/s\"\n[[canary]]\npath = \"/up\"\nrate = 2",
        12,
        8,
        "2/s is above the limit of 1/s",
        "",
    ),
    ("[data.name]\nlist = []", 6, 8, "at least one value", ""),
    ("[data.name]\nrange = [9, 1]", 6, 9, "the range is empty", ""),
    ("[data.name]\nrange = [1]", 6, 9, "found 1 values", ""),
    (
        "[data.name]\nlist = [\"a\"]\ncolumn = \"b\"",
        7,
        10,
        "`column` works only with `csv`",
        "remove",
    ),
    (
        "[load]\nexecutor = \"constant-vus\"\nvus = 9999\nduration = \"1m\"",
        7,
        7,
        "9999 virtual users",
        "max_in_flight",
    ),
    (
        "[load]\nexecutor = \"constant-vus\"\nvus = 9\nduration = \"1m\"\narrivals = \"poisson\"",
        9,
        12,
        "does not work with virtual users",
        "rate",
    ),
    ("[load]\nshape = \"spik\"", 6, 9, "`spik` is not one of", "spike"),
    ("[load]\nshape = \"stress\"\nrate = 4000", 6, 9, "goes up to 8000/s", "max_rate"),
    (
        "[[scenario]]\nname = \"a\"\njourneys = [\"buy\"]",
        7,
        13,
        "no journey or request `buy`",
        "known names",
    ),
    (
        "[[journey]]\nname = \"b\"\n[[journey.step]]\npath = \"/{tokn}\"\n",
        8,
        10,
        "`{tokn}` has no values",
        "[data.tokn]",
    ),
    (
        "[[journey]]\nname = \"b\"\nstep = [{ path = \"/\", capture = { id = { json = \"$.a\" } } }]",
        7,
        35,
        "`[data.id]` already",
        "another name",
    ),
    (
        "[[journey]]\nname = \"b\"\nstep = [{ path = \"/\", capture = { t = { json = \"a[\" } } }]",
        7,
        48,
        "`a[` is not a valid JSONPath",
        "RFC 9535",
    ),
    (
        "[[journey]]\nname = \"b\"\nstep = [{ path = \"/\", think = { normal = [\"1s\"] } }]",
        7,
        42,
        "expected two durations",
        "uniform",
    ),
    (
        "[[journey]]\nname = \"b\"\nstep = [{ path = \"/\", check = { status = \"2x\" } }]",
        7,
        42,
        "expected a status",
        "",
    ),
    ("[data.name]\norder = \"random\"", 5, 1, "exactly one of `range`, `list`", "range = "),
    ("[[websocket]]\npath = \"/ws\"", 5, 1, "`sessions` is missing", "sessions = 100"),
    ("[[websocket]]\npath = \"/ws\"\nsessions = 0", 7, 12, "between 1 and 50000", ""),
    (
        "[[websocket]]\npath = \"/ws\"\nsessions = 1\ninterval = \"1s\"",
        8,
        12,
        "no effect without `message`",
        "add `message",
    ),
    (
        "[[websocket]]\npath = \"/ws\"\nsessions = 1\ndrop = { share = \"150%\", at = \"1s\" }",
        8,
        18,
        "is not a share",
        "",
    ),
    (
        "[[websocket]]\npath = \"/ws\"\nsessions = 1\nbackoff = { from = \"9s\", to = \"1s\" }",
        8,
        11,
        "at least 1 ms",
        "backoff = ",
    ),
    (
        "[[websocket]]\npath = \"/a\"\nsessions = 1\n[[websocket]]\npath = \"/a\"\nsessions = 1",
        8,
        1,
        "another `[[websocket]]` is already named `/a`",
        "`name`",
    ),
    ("stream = {}", 5, 10, "when to stop reading", "{ events = 10 }"),
    ("stream = { events = 0 }", 5, 21, "must be above zero", ""),
    ("stream = { fro = \"1s\" }", 5, 12, "unknown key `fro`", "`for`?"),
    ("sed = 1\n[sede]", 6, 2, "unknown key `sede`", "`seed`?"),
    ("[load]\nstart = = 1", 6, 9, "", ""),
];

#[test]
fn mistakes_are_told_with_place_and_help() {
    let mut missed = Vec::new();
    for (rest, line, column, message, help) in MISTAKES {
        let errors = read(&with(rest)).expect_err(rest);
        let found = errors.iter().any(|mistake| {
            (mistake.line, mistake.column) == (*line, *column)
                && mistake.message.contains(message)
                && mistake.help.as_deref().unwrap_or_default().contains(help)
        });
        if !found {
            missed.push(format!("{rest}\n{message}\n{errors}"));
        }
        assert!(!errors.to_string().contains("hunter2"));
        for mistake in errors.iter() {
            let first = mistake.message.chars().next();
            assert!(!first.is_some_and(char::is_uppercase), "{}", mistake.message);
            assert!(!mistake.message.ends_with('.'), "{}", mistake.message);
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n\n"));
}

#[test]
fn five_mistakes_are_five_messages() {
    let text = "nmae = \"x\"\n[target]\nurl = \"ftp://a\"\n[[request]]\npath = \"/{id}\"\nweight = -1\n[load]\nfactor = 0.5\n";
    let errors = read(text).unwrap_err();
    let lines: Vec<_> = errors.iter().map(|mistake| mistake.line).collect();
    assert_eq!(lines, [1, 3, 5, 6, 8], "{errors}");
    insta::assert_snapshot!(errors.to_string());
}

#[test]
fn no_shown_line_has_a_secret_in_it() {
    let plans = [
        "[target]\nurl = \"http://u:hunter2@a\"\n[[request]]\npath = \"/\"",
        "[target]\nurl = \"http://a\"\n[[request]]\nheaders = { Authorization = \"hunter2\", x = 1 }",
        "[target]\nurl = \"http://a\"\n[[request]]\npath = \"/\"\nheaders = { cookie = \"hunter2",
        "[target]\nurl = \"http://a\"\n[[request]]\npath = \"/\"\nheaders = { x-api-key = hunter2 }",
        "[target]\nurl = \"http://a\"\n[[request]]\npath = \"/\"\n[collect.postgres]\nulr = \"hunter2\"",
        "[target]\nurl = \"http://a\"\n[[request]]\npath = \"/\"\n[collect.postgres]\nurl = \"postgres://a:hunter2@b",
        "[target]\nurl = \"http://a\"\ntimeout = \"${TOKEN}\"\n[[request]]\npath = \"/\"",
        "[target]\nurl = \"ftp://${TOKEN}\"\n[[request]]\nmethod = \"${TOKEN}\"\npath = \"/\"",
    ];
    for text in plans {
        let errors = read(text).expect_err(text);
        assert!(!errors.to_string().contains("hunter2"), "{errors}");
        assert!(!format!("{errors:?}").contains("hunter2"), "{errors:?}");
    }
}

#[test]
fn a_secret_header_may_take_what_was_captured() {
    let text = with(
        "[[journey]]\nname = \"b\"\nstep = [{ path = \"/login\", capture = { token = { json = \"$.t\" } } }, \
         { path = \"/a\", headers = { authorization = \"Bearer {token}\", cookie = \"a={b c}\" } }]",
    );
    let plan = read(&text).unwrap_or_else(|errors| panic!("{errors}"));
    let request = plan.requests.last().unwrap();
    let bearer = Segment::Hidden(Secret::new("Bearer "));
    let token = Template(vec![bearer, Segment::Value("token".to_owned())]);
    assert_eq!(request.headers[0].1, Header::Plain(token));
    assert_eq!(request.headers[1].1, Header::Secret(Secret::new("a={b c}")));
    let wrong = text.replace("Bearer {token}", "Bearer {tokn}");
    let errors = read(&wrong).unwrap_err();
    assert!(errors.iter().any(|mistake| mistake.message == "`{tokn}` has no values"), "{errors}");
}

#[test]
fn a_serialised_plan_has_no_secret_in_it() {
    let text = with(
        "headers = { Authorization = \"Bearer hunter2\", x = \"${TOKEN}\" }\n\
         body = 'password=${TOKEN}&id={id}'\n\
         [[request]]\npath = \"/login?a=1&token=hunter2&b=2\"\n\
         [collect.postgres]\nurl = \"postgres://a:hunter2@b/c\"\n\
         [collect.prometheus]\nurl = \"${TOKEN}\"",
    );
    let plan = read(&text).unwrap_or_else(|errors| panic!("{errors}"));
    let json = serde_json::to_string(&plan).unwrap();
    assert!(!json.contains("hunter2"), "{json}");
    assert!(!format!("{plan:?}").contains("hunter2"));
    assert_eq!(plan.requests[1].name, "GET /login?a=1&token=***&b=2");
    // The value is there all the same, braces and all.
    let body = &plan.requests[0].body.as_ref().unwrap().template.0;
    assert_eq!(body[1], Segment::Hidden(Secret::new("hunter2{}")));

    let plan = Plan::for_url("http://a/x?api_key=hunter2#top", Vec::new()).unwrap();
    assert!(!serde_json::to_string(&plan).unwrap().contains("hunter2"));
}

#[test]
fn a_doubled_dollar_is_no_variable() {
    let plan = read(&with("body = 'costs $${{x}} and $5 ${{y}}'")).unwrap();
    let body = plan.requests[0].body.as_ref().unwrap().template.clone();
    assert_eq!(body.0, [Segment::Text("costs ${x} and $5 ${y}".to_owned())]);
}

#[test]
fn an_address_is_a_plan() {
    let plan = Plan::for_url("https://a.example/b/c?d=1", Vec::new()).unwrap();
    assert_eq!(plan.target.url.to_string(), "https://a.example");
    assert_eq!(String::from(plan.requests[0].path.clone()), "/b/c?d=1");
    assert_eq!(plan.requests[0].name, "GET /b/c?d=1");
    assert_eq!(plan.scenarios[0].executor, Executor::Breakpoint(Breakpoint::usual()));
    assert!(Plan::for_url("a.example", Vec::new()).is_err());
    assert!(
        Plan::for_url("http://u:hunter2@a", Vec::new()).is_err_and(|why| !why.contains("hunter2"))
    );
}

#[test]
fn a_canary_needs_a_path_alone() {
    let plan = read(&with("[[canary]]\npath = \"/up\"\n[limits]\nmax_rate = \"9000/s\"")).unwrap();
    assert_eq!(plan.canaries, Canary::at_paths(&["/up".to_owned()]).unwrap());
    assert_eq!(plan.canaries[0].rate, 2.0);
    assert_eq!(plan.canaries[0].request.name, "/up");

    let at = |paths: &[&str]| {
        Canary::at_paths(&paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>())
    };
    assert!(at(&["/up", "/up"]).is_err_and(|why| why.contains("given twice")));
    assert!(at(&["http://u:hunter2@a/up"]).is_err_and(|why| !why.contains("hunter2")));
    assert!(at(&["/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h", "/i"]).is_err());
    let secret = at(&["/up?token=hunter2"]).unwrap();
    assert!(!serde_json::to_string(&secret).unwrap().contains("hunter2"));
    assert_eq!(secret[0].request.name, "/up?token=***");
}

#[test]
fn an_agent_needs_a_name_and_a_command_and_hides_what_is_secret() {
    let plan = read(&with(
        "[[agent]]\nname = \"db1\"\ncommand = [\"sshpass\", \"-p${TOKEN}\", \"ssh\", \"db1\", \"kneepoint\", \"agent\"]\n\
         target = false\n[agent.collect.process]\nport = 5432\n\
         [[agent]]\nname = \"app1\"\ncommand = \"docker exec -i 'my app' kneepoint agent\"",
    ))
    .unwrap_or_else(|errors| panic!("{errors}"));
    let [db1, app1] = &plan.agents[..] else { panic!("{:?}", plan.agents) };
    assert_eq!((db1.name.as_str(), db1.target), ("db1", Some(false)));
    assert_eq!(db1.command.as_ref().unwrap().words()[1], "-phunter2{}");
    assert_eq!(db1.command.as_ref().unwrap().to_string(), "sshpass *** ssh db1 kneepoint agent");
    assert_eq!(db1.collectors[0].integer("port"), Some(5432));
    assert_eq!(app1.command.as_ref().unwrap().words()[3], "my app");
    assert_eq!(app1.target, None);
    assert!(!serde_json::to_string(&plan).unwrap().contains("hunter2"));
    for (wrong, expected) in [
        ("[[agent]]\ncommand = [\"a\"]", "`name` is missing"),
        ("[[agent]]\nname = \"a\"", "`command` is missing"),
        ("[[agent]]\nname = \"a\"\nbus = false", "`command` is missing"),
        ("[[agent]]\nname = \"a\"\nbus = true\ncommand = \"a\"", "dials in to a bus"),
        ("[[agent]]\nname = \"a\"\ncommand = []", "the command is empty"),
        ("[[agent]]\nname = \"a\"\ncommand = \"'\"", "quotes do not match"),
        ("[[agent]]\nname = \"a\"\ncommand = \"a ${TOKEN}\"", "list of words"),
        (
            "[[agent]]\nname = \"a\"\ncommand = \"a\"\n[[agent]]\nname = \"a\"\ncommand = \"a\"",
            "named `a`",
        ),
        ("[[agent]]\nname = \"a\"\ncommand = \"a\"\n[agent.collect.hosd]", "no collector `hosd`"),
    ] {
        let errors = read(&with(wrong)).unwrap_err().to_string();
        assert!(errors.contains(expected), "{wrong}: {errors}");
        assert!(!errors.contains("hunter2"), "{errors}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*") {
        if let Err(errors) = read(&text) {
            prop_assert!(errors.iter().count() > 0);
            prop_assert!(!errors.to_string().is_empty());
        }
    }

    /// A right plan with wrong pieces in it gets deeper than any text.
    #[test]
    fn no_broken_plan_makes_it_panic(
        cut in any::<prop::sample::Index>(),
        noise in "[\\[\\]{}=\"'$\\\\#\n.a-zé0-9/ -]{0,12}",
        length in 0..12usize,
    ) {
        let text = include_str!("../../../examples/shop.toml");
        let at = cut.index(text.len());
        let broken = format!("{}{noise}{}", &text[..at], &text[(at + length).min(text.len())..]);
        if let Err(errors) = read(&broken) {
            prop_assert!(errors.iter().count() > 0);
            prop_assert!(!errors.to_string().contains("hunter2"));
        }
    }
}
