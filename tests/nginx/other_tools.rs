//! Scripts of other tools, converted and run, and run by their own tool: nginx sees the same
//! requests. Tools are not a part of the tests' needs: one that is not installed, or does not start,
//! is named and left out; what the script says is checked without it. For Debian's JMeter see
//! `tests/tools/debian-jmeter.sh`.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use super::run::run;
use super::server::{Entry, Nginx, Site};
use super::target::kneepoint;

/// A login returns a token and sets a cookie.
const SHOP: &str = r#"
    default_type application/json;
    location = /login {
        add_header set-cookie "sid=$request_id; Path=/";
        return 200 '{"token": "$request_id"}';
    }
    location / { return 200 fine; }
"#;
/// Digits of a token.
const TOKEN: usize = 32;
/// Standard deviations by which a share may be off by chance.
const CHANCE: f64 = 5.0;
/// Users of the scripts.
const USERS: u64 = 3;

/// A request as nginx saw it: method, path with query, content type, bytes of the body, the header
/// `x-shop`, and whether it had a cookie. Tokens are `ID`.
type Sort = (String, String, String, u64, String, bool);
type Counts = BTreeMap<Sort, u64>;

fn without_token(uri: &str) -> String {
    let is_token =
        |part: &str| part.len() == TOKEN && part.bytes().all(|it| it.is_ascii_hexdigit());
    let parts = uri.split('/').map(|part| if is_token(part) { "ID" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

fn counts(log: &[Entry]) -> Counts {
    let mut counts = Counts::new();
    for entry in log {
        let kind = entry.kind.split(';').next().unwrap_or_default().trim().to_owned();
        let sort = (
            entry.method.clone(),
            without_token(&entry.uri),
            kind,
            entry.length.parse().unwrap_or(0),
            entry.shop.clone(),
            !entry.cookie.is_empty(),
        );
        *counts.entry(sort).or_default() += 1;
    }
    counts
}

/// What a script says: `(method, path, content type, bytes, x-shop, cookie, count)`.
fn expected(rows: &[(&str, &str, &str, u64, &str, bool, u64)]) -> Counts {
    let mut counts = Counts::new();
    for &(method, path, kind, length, shop, cookie, count) in rows {
        let [method, path, kind, shop] = [method, path, kind, shop].map(str::to_owned);
        counts.insert((method, path, kind, length, shop, cookie), count);
    }
    counts
}

/// An nginx with a script and its files in its directory.
struct Both {
    nginx: Nginx,
    script: &'static str,
}

impl Both {
    fn new(script: &'static str, text: &str) -> Self {
        let files = [("products.csv", include_str!("scripts/products.csv"))];
        let nginx = Nginx::with_files(Site { server: SHOP, ..Site::default() }, &files);
        let port = nginx.url().rsplit(':').next().expect("a port").to_owned();
        let path = nginx.directory().join(script);
        fs::write(path, text.replace("PORT", &port)).expect("own directory");
        Self { nginx, script }
    }

    /// The script converted, with a load if it has none, and run.
    fn by_kneepoint(&self, load: &str) -> Counts {
        let out = self.nginx.directory().join("converted");
        let script = self.nginx.directory().join(self.script);
        let output = kneepoint(&["convert"]).arg(script).arg("--out").arg(&out).output();
        let output = output.expect("the program starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let plan = fs::read_to_string(out.join("plan.toml")).expect("a plan");
        // The plan is run from the directory above, where JMeter's own file without a header lies.
        let plan = plan.replace("\"products.csv\"", "\"converted/products.csv\"");
        let results = run(&self.nginx, &format!("{plan}{load}"));
        counts(&results.log)
    }

    /// The same by its own tool; `None` where that cannot be had here.
    #[expect(
        clippy::print_stderr,
        reason = "whoever runs the tests wants to know what was left out"
    )]
    fn by_its_tool(&self, command: &[&str]) -> Option<Counts> {
        let before = self.nginx.log().len();
        let mut call = Command::new(command[0]);
        call.args(&command[1..]).arg(self.script).current_dir(self.nginx.directory());
        let output = match call.output() {
            Ok(output) => output,
            Err(why) => {
                eprintln!("left out: `{}` cannot be run here: {why}", command[0]);
                return None;
            }
        };
        let log = self.nginx.log().split_off(before);
        if log.is_empty() {
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            let said = said.lines().last().unwrap_or_default();
            eprintln!("left out: `{}` sent nothing ({}): {said}", command[0], output.status);
            return None;
        }
        Some(counts(&log))
    }
}

#[test]
fn a_jmeter_plan_sends_what_jmeter_sends() {
    let both = Both::new("shop.jmx", include_str!("scripts/shop.jmx"));
    let rows = [
        ("POST", "/login", "application/json", 31, "", false, 60),
        ("GET", "/product/17?q=tea+%26+milk", "", 0, "jmeter", true, 40),
        ("GET", "/product/23?q=tea+%26+milk", "", 0, "jmeter", true, 40),
        ("GET", "/product/42?q=tea+%26+milk", "", 0, "jmeter", true, 40),
        ("POST", "/order", "application/x-www-form-urlencoded", 50, "", true, 60),
        ("DELETE", "/cart/ID", "", 0, "", true, 60),
    ];
    let expected = expected(&rows);
    assert_eq!(both.by_kneepoint(""), expected);
    if let Some(own) = both.by_its_tool(&["jmeter", "-n", "-l", "own.jtl", "-t"]) {
        assert_eq!(own, expected, "JMeter itself");
    }
}

#[test]
fn a_k6_script_sends_what_k6_sends() {
    let both = Both::new("shop.k6.js", include_str!("scripts/shop.k6.js"));
    let rows = [
        ("POST", "/login", "application/json", 23, "", false, 60),
        ("GET", "/product/17?q=tea+%26+milk", "", 0, "k6", true, 120),
        ("POST", "/order", "application/x-www-form-urlencoded", 50, "k6", true, 60),
        ("DELETE", "/cart/ID", "", 0, "", true, 60),
    ];
    let expected = expected(&rows);
    assert_eq!(both.by_kneepoint(""), expected);
    if let Some(own) = both.by_its_tool(&["k6", "run", "--quiet"]) {
        assert_eq!(own, expected, "k6 itself");
    }
}

/// Its tasks are drawn, and the run is cut off: the kinds of requests are the same, each of a task as
/// often but for those in progress, and the tasks by their weights.
#[test]
fn a_locustfile_sends_what_locust_sends() {
    let both = Both::new("shop.py", include_str!("scripts/shop.py"));
    // Whether a request has a cookie depends on what its user did before: locust keeps cookies for
    // good, a plan for one journey.
    let without_cookies = |counts: Counts| {
        let mut merged = BTreeMap::new();
        for ((method, path, kind, length, shop, _), count) in counts {
            *merged.entry((method, path, kind, length, shop)).or_insert(0) += count;
        }
        merged
    };
    let load = format!("\n[load]\nexecutor = \"constant-vus\"\nvus = {USERS}\nduration = \"5s\"\n");
    let mut all = vec![("kneepoint", without_cookies(both.by_kneepoint(&load)))];
    let users = USERS.to_string();
    let locust =
        ["locust", "--headless", "--only-summary", "-u", &users, "-r", &users, "-t", "5s", "-f"];
    all.extend(both.by_its_tool(&locust).map(|own| ("locust", without_cookies(own))));
    for (who, counts) in all {
        let rows = [
            ("DELETE", "/cart/ID", "", 0_u64, ""),
            ("GET", "/product/17?q=tea+%26+milk", "", 0, "locust"),
            ("POST", "/login", "application/json", 26, ""),
            ("POST", "/order", "application/x-www-form-urlencoded", 50, "locust"),
        ];
        let sorts = rows.map(|(method, path, kind, length, shop)| {
            (method.to_owned(), path.to_owned(), kind.to_owned(), length, shop.to_owned())
        });
        assert_eq!(counts.keys().cloned().collect::<Vec<_>>(), sorts, "{who}");
        let [deletes, looks, logins, orders] = sorts.map(|sort| counts[&sort]);
        let in_progress = |count: u64| (logins - USERS..=logins).contains(&count);
        assert!(in_progress(orders) && in_progress(deletes), "{who}: {counts:?}");
        let tasks = (looks + logins) as f64;
        let (share, meant) = (looks as f64 / tasks, 2.0 / 3.0_f64);
        let deviation = (meant * (1.0 - meant) / tasks).sqrt();
        assert!((share - meant).abs() < CHANCE * deviation, "{who}: {counts:?}");
    }
}
