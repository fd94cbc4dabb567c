//! What a person reads who makes a mistake, or runs kneepoint where something is not as the plan
//! has it: everything at once, each with the next step, and no load is sent.

#[allow(dead_code, reason = "other tests use more of it")]
mod target;

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use kneepoint::demo::{self, Launcher};
use target::{KNEEPOINT, Server, kneepoint, write_plan};

/// A port of this machine that nobody listens on.
fn closed_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}

fn run(plan: &Path, more: &[&str]) -> Output {
    let out = plan.with_file_name("out");
    let mut command = kneepoint(&["run"]);
    command.arg(plan).arg("--out").arg(out).args(more);
    command.output().expect("the program starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn assert_refused(output: &Output, code: i32, says: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for says in says {
        assert!(text.contains(says), "not told: {says}\n{text}");
    }
    assert!(output.stdout.is_empty(), "{}", stdout(output));
}

#[test]
fn five_mistakes_are_told_at_once_and_nothing_is_sent() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    let plan = write_plan(
        directory.path(),
        &format!(
            "[target]\n\
             url = \"{}\"\n\
             timeot = \"5s\"\n\
             [[request]]\n\
             path = \"/product/{{idd}}\"\n\
             [data.id]\n\
             range = [1, 9]\n\
             [load]\n\
             executor = \"constant-arrival-rat\"\n\
             [collect.postgress]\n\
             url = \"postgres://a:hunter2@b/c\"\n\
             [objectives]\n\
             http_req_duration = \"p(95) < 300\"\n",
            server.url()
        ),
    );
    for command in ["run", "check"] {
        let output = kneepoint(&[command]).arg(&plan).output().expect("the program starts");
        assert_refused(
            &output,
            104,
            &[
                "has 5 mistakes; nothing was sent",
                "plan.toml:3:1",
                "did you mean `timeout`?",
                "plan.toml:5:18",
                "did you mean `id`?",
                "plan.toml:9:12",
                "did you mean `constant-arrival-rate`?",
                "plan.toml:10:10",
                "did you mean `postgres`?",
                "plan.toml:13:21",
            ],
        );
        assert!(!stderr(&output).contains("hunter2"), "{}", stderr(&output));
    }
    assert_eq!(server.requests(), 0);
}

#[test]
fn what_is_not_as_the_plan_has_it_is_told_at_once_before_any_load() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    let closed = closed_port();
    let plan = write_plan(
        directory.path(),
        &format!(
            "[target]\nurl = \"{url}\"\n\
             [[request]]\nname = \"fine\"\npath = \"/\"\n\
             [[request]]\nname = \"wrong\"\npath = \"/missing\"\n\
             [limits]\nmax_in_flight = 40\n\
             [collect.process]\npid = 2147483646\n\
             [[collect.prometheus]]\nurl = \"{url}/page\"\n\
             [[collect.prometheus]]\nas = \"second\"\nurl = \"http://127.0.0.1:{closed}/metrics\"\n",
            url = server.url()
        ),
    );
    let output = run(&plan, &[]);
    assert_refused(
        &output,
        106,
        &[
            "request `wrong` got status 404",
            "fix the path",
            "there is no process 2147483646",
            "take the id that `ps` shows",
            "`prometheus`: `http://127.0.0.1",
            "returned an HTML page, not metrics",
            "`/actuator/prometheus`",
            "collector `second`: cannot get",
            "refused",
            "no load was sent",
        ],
    );
    // One of each request, to see whether it works, and one look for metrics.
    assert_eq!(server.requests(), 3);
    assert!(!plan.with_file_name("out").exists(), "a refused run leaves nothing");
}

#[test]
fn missing_files_and_a_closed_port_are_told_together() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("ids.csv"), "id,name\n1,a\n").expect("own directory");
    let port = closed_port();
    let plan = write_plan(
        directory.path(),
        &format!(
            "[target]\nurl = \"https://127.0.0.1:{port}\"\ntls = {{ ca_file = \"no-ca.pem\" }}\n\
             [[request]]\npath = \"/{{id}}\"\n\
             [data.id]\ncsv = \"ids.csv\"\ncolumn = \"idd\"\n"
        ),
    );
    assert_refused(
        &run(&plan, &[]),
        106,
        &[
            "cannot read the CA file `no-ca.pem`",
            "relative to the plan",
            "has no column `idd`; it has id, name",
            &format!("cannot connect to `127.0.0.1:{port}`"),
            "start the target",
        ],
    );
    // What can be checked without the network is a mistake of the plan.
    let output = kneepoint(&["check"]).arg(&plan).output().expect("the program starts");
    assert_refused(&output, 104, &["`no-ca.pem`", "no column `idd`"]);
}

#[test]
fn requests_that_nobody_answers_are_told_in_one_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let request = |path| format!("[[request]]\npath = \"{path}\"\n");
    let plan = format!(
        "[target]\nurl = \"http://127.0.0.1:{}\"\n{}{}",
        closed_port(),
        request("/a"),
        request("/b")
    );
    let output = run(&write_plan(directory.path(), &plan), &[]);
    assert_refused(&output, 106, &["requests `GET /a`, `GET /b` got no response", "refused"]);
    assert_eq!(stderr(&output).matches("got no response").count(), 1);
}

#[test]
fn a_host_without_an_address_is_told() {
    let output = kneepoint(&["run", "http://kneepoint.invalid/"]).output().expect("starts");
    assert_refused(
        &output,
        106,
        &["cannot resolve `kneepoint.invalid`", "check `url` in [target]"],
    );
}

#[test]
fn too_few_descriptors_are_told_with_how_many_are_needed() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    let plan = write_plan(
        directory.path(),
        &format!(
            "[target]\nurl = \"{}\"\n[[request]]\npath = \"/\"\n[limits]\nmax_in_flight = 2000\n",
            server.url()
        ),
    );
    let mut command = Command::new(KNEEPOINT);
    command.arg("run").arg(plan);
    // SAFETY: `setrlimit` may be called between fork and exec.
    unsafe {
        command.pre_exec(|| {
            let limit = libc::rlimit { rlim_cur: 256, rlim_max: 256 };
            match libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
    let output = command.output().expect("the program starts");
    assert_refused(
        &output,
        106,
        &["file descriptors are needed", "256 are allowed", "`ulimit -n 2", "`max_in_flight`"],
    );
    assert_eq!(server.requests(), 1);
}

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
fn a_process_that_may_not_be_looked_at_is_told() {
    // SAFETY: reads a number.
    if unsafe { libc::geteuid() } != 0 {
        eprintln!("skipped: only root can start a program as somebody else");
        return;
    }
    let server = Server::start();
    // Another user must get at the program, wherever it was built.
    let directory = tempfile::tempdir().expect("a directory");
    use std::os::unix::fs::PermissionsExt;
    let open = |path: &Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("own");
    };
    open(directory.path());
    let program = directory.path().join("kneepoint");
    std::fs::copy(KNEEPOINT, &program).expect("a copy");
    open(&program);
    let plan = write_plan(
        directory.path(),
        &format!(
            "[target]\nurl = \"{}\"\n[[request]]\npath = \"/\"\n[collect.process]\nport = {}\n",
            server.url(),
            server.port
        ),
    );
    let output = Command::new(&program)
        .arg("run")
        .arg(plan)
        .current_dir("/")
        .uid(65_534)
        .output()
        .expect("the program starts");
    assert_refused(
        &output,
        106,
        &["belongs to user", "kneepoint may not read it", "as that user or as root"],
    );
}

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
fn a_wrong_password_is_told_without_it() {
    if demo::find_postgres().is_none() {
        eprintln!("skipped: {}", demo::install_hint());
        return;
    }
    let launcher = Launcher::new().expect("own path").with_program(KNEEPOINT);
    let shop = launcher.start(demo::find("none").expect("a fault"), None).expect("it starts");
    let url = shop.postgres_url.clone().expect("with PostgreSQL");
    let (user, server) = url.split_once('@').expect("credentials");
    let right = user.rsplit(':').next().expect("a password");
    let wrong = format!("{}@{server}", user.replace(right, "hunter2"));
    let output = kneepoint(&["run", &shop.url, "--postgres", &wrong]).output().expect("starts");
    assert_refused(&output, 106, &["password authentication failed", "check user `", "pg_hba"]);
    assert!(!stderr(&output).contains("hunter2"), "{}", stderr(&output));
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let plan = write_plan(directory.path(), "[target]\n");
    let plan = plan.to_str().expect("UTF-8");
    let url = "http://127.0.0.1:1/";
    for (arguments, says) in [
        (vec!["run", plan, "--start", "5/s", "--pid", "1"], "`--pid`, `--start` works with a URL"),
        (vec!["run", url, "--start", "0/s"], "`--start`: the rate must be above zero"),
        (vec!["run", url, "--max", "fast"], "`--max`: `fast` is not a rate"),
        (vec!["run", url, "--start", "50/s", "--max", "20/s"], "raise it with `--max`"),
        (vec!["run", url, "--hold", "0"], "`--hold`"),
        (vec!["run", url, "--canary", "health"], "`health` is not a path; write `/health`"),
        (vec!["run", plan, "--canary", "/health"], "`--canary` works with a URL"),
        (vec!["run", "ftp://127.0.0.1/"], "`ftp` is not supported"),
        (vec!["run", "http://token@127.0.0.1/"], "contains credentials"),
        (vec!["run", "127.0.0.1:8080"], "a URL such as `http://"),
        (vec!["run", url, "--expect", "0/s"], "`--expect`"),
        (vec!["rules", "explain", "db-lock-wiat"], "did you mean `db-lock-wait`?"),
        (vec!["demo", "pool-smal"], "did you mean `pool-small`?"),
        (vec!["explain", "gooodput"], "did you mean `goodput`?"),
        (vec!["explain", "db-lock-wait"], "`kneepoint rules explain db-lock-wait`"),
        (vec!["report", plan, "--format", "htm=x"], "did you mean `html`?"),
        (vec!["report", plan, "--format", "html"], "write FORMAT=FILE"),
        (vec!["diagnose", plan, "--format", "jsn"], "json"),
        (vec!["diagnos", plan], "diagnose"),
        (vec!["run"], "PLAN|URL"),
    ] {
        let output = kneepoint(&arguments).output().expect("the program starts");
        assert_refused(&output, 104, &[says]);
        assert!(!stderr(&output).contains("token@"), "{}", stderr(&output));
    }
}

#[test]
fn what_there_is_can_be_asked_for() {
    let cases: [(&[&str], &str); 14] = [
        (&["--help"], "Exit codes:"),
        (&["run", "--help"], "--kill-switch"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
        (&["list", "collectors"], "postgres"),
        (&["list", "formats"], "html"),
        (&["list", "converters"], "access-log"),
        (&["list", "rules"], "db-pool-too-small"),
        (&["list", "metrics"], "db.sessions"),
        (&["demo", "--list"], "pool-small"),
        (&["rules", "explain", "db-lock-wait"], "What would disprove it"),
        (&["completions", "bash"], "_kneepoint"),
        (&["explain"], "open-model"),
        (&["explain", "Open", "Model"], "see also: kneepoint explain "),
        (&["man"], ".TH kneepoint 1"),
    ];
    for (arguments, says) in cases {
        let output = kneepoint(arguments).output().expect("the program starts");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
        assert!(stdout(&output).contains(says), "{arguments:?}: {}", stdout(&output));
        assert!(output.stderr.is_empty(), "{arguments:?}: {}", stderr(&output));
        assert!(!stdout(&output).contains('\u{1b}'), "colour where there is no terminal");
    }
    let output = kneepoint(&["rules", "test"]).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(stdout(&output).contains(" cases pass, 0 fail"), "{}", stdout(&output));
}

#[test]
fn results_of_another_tool_tell_a_knee_and_no_cause() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("attack.json");
    // One server that carries 100 requests per second, and ever more of them.
    let (mut text, mut free) = (String::new(), 0.0_f64);
    for (stage, rate) in [20, 30, 45, 60, 75, 90, 110, 130, 150, 170].into_iter().enumerate() {
        for number in 0..rate * 8 {
            let sent = stage as f64 * 8.0 + f64::from(number) / f64::from(rate);
            free = free.max(sent) + 0.01;
            let (second, took) = (sent as u64, ((free - sent) * 1e9) as u64);
            text.push_str(&format!(
                "{{\"code\":200,\"timestamp\":\"2026-03-01T10:{:02}:{:02}.{:09}Z\",\
                 \"latency\":{took},\"method\":\"GET\",\"url\":\"http://127.0.0.1/?key=hush\"}}\n",
                second / 60,
                second % 60,
                (sent.fract() * 1e9) as u64
            ));
        }
    }
    std::fs::write(&file, text).expect("the file is written");
    let out = directory.path().join("out");
    let mut command = kneepoint(&["import"]);
    let output = command.arg(&file).args(["--format", "json", "--out"]).arg(&out).output();
    let output = output.expect("the program starts");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(!stdout(&output).contains("hush"));
    let diagnosis = &report["diagnosis"];
    let knee = diagnosis["knee"]["rate"].as_f64().expect("a knee");
    assert!((95.0..105.0).contains(&knee), "{knee}");
    assert_eq!(diagnosis["findings"].as_array().map(Vec::len), Some(0), "no cause can be told");
    let again = kneepoint(&["diagnose"]).arg(&out).args(["--format", "json"]).output();
    assert_eq!(again.expect("the program starts").stdout, output.stdout, "it is a recording");
    let wrong = kneepoint(&["import", "--from", "vegata"]).arg(&file).output();
    let wrong = wrong.expect("the program starts");
    assert_refused(&wrong, 104, &["vegata", "did you mean `vegeta`"]);
    let other = kneepoint(&["import", "k6"]).arg(&file).output().expect("the program starts");
    assert_refused(&other, 104, &["line 1", "as results of k6", "k6 run --out json"]);
}

#[test]
fn a_summary_of_another_tool_is_shown_and_not_diagnosed() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let out = directory.path().join("out");
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/formats/k6-summary.sample.json");
    let import = |format: &str| {
        let mut command = kneepoint(&["import", "--format", format, sample]);
        command.arg("--out").arg(&out).output().expect("the program starts")
    };
    let shown = import("terminal");
    assert_eq!(shown.status.code(), Some(123));
    for words in ["No diagnosis: k6-summary", "1200", "no knee", "k6 run --out json=FILE"] {
        assert!(stdout(&shown).contains(words), "{words}: {}", stdout(&shown));
    }
    let json = import("json");
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(json["summaries"][0]["failures"], 50);
    assert!(!stdout(&shown).contains("made-up-secret") && !json.to_string().contains("made-up"));
    assert!(!out.exists(), "nothing was recorded");
}

/// Users who think for half a second, of a server that carries 100 requests per second: a longer
/// response is what limits their rate, and no rate was asked for.
#[test]
fn the_knee_of_another_tools_users_is_a_number_of_users() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("k6.csv");
    let mut text = String::from("metric_name,timestamp,metric_value,method,name,status\n");
    for second in 0..80_u64 {
        let users = [5, 10, 20, 30, 40, 60, 90, 120][second as usize / 10];
        let (at, rate) = (1_777_885_500_000 + second * 1000, (users * 19 / 10).min(100));
        let took = 1000.0 * users as f64 / rate as f64 - 500.0;
        text.push_str(&format!("vus,{at},{users},,,\n"));
        for place in 0..rate {
            let end = at + 1000 * place / rate;
            text.push_str(&format!("http_req_duration,{end},{took},GET,home,200\n"));
        }
    }
    std::fs::write(&file, text).expect("the file is written");
    let out = directory.path().join("out");
    let import = |format: &str| {
        let mut command = kneepoint(&["import", "--format", format]);
        command.arg(&file).arg("--out").arg(&out).output().expect("the program starts")
    };
    let report: serde_json::Value = serde_json::from_slice(&import("json").stdout).expect("JSON");
    let knee = report["diagnosis"]["knee"]["rate"].as_f64().expect("a knee");
    assert!((70.0..130.0).contains(&knee), "{knee}");
    let shown = stdout(&import("terminal"));
    assert!(shown.contains("40 users is below the knee; 60 is above"), "{shown}");
}

#[test]
fn what_others_have_becomes_a_plan_that_can_be_checked() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let log = directory.path().join("access.log");
    let lines: String = (0..40)
        .map(|number| {
            format!(
                "10.0.0.1 - - [01/Mar/2026:10:00:{:02} +0000] \"GET /item/{} HTTP/1.1\" 200 5\n",
                number / 2,
                number % 3
            )
        })
        .collect();
    std::fs::write(&log, lines + "cut\n").expect("the file is written");
    let out = directory.path().join("made");
    let convert = |more: &[&str]| {
        let mut command = kneepoint(&["convert"]);
        command.arg(&log).args(["--target", &server.url()]).args(more);
        command.output().expect("the program starts")
    };
    let made = out.to_str().expect("UTF-8");
    let output = convert(&["--out", made]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for says in ["2.00 requests/s", "100.0 %  GET /item/:id", "item_id.csv", "plan.toml"] {
        assert!(stdout(&output).contains(says), "not told: {says}\n{}", stdout(&output));
    }
    assert!(
        stderr(&output).contains("access.log:41: left out 1 of 41 lines"),
        "{}",
        stderr(&output)
    );
    let plan = out.join("plan.toml");
    let check = kneepoint(&["check"]).arg(&plan).output().expect("the program starts");
    assert_eq!(check.status.code(), Some(0), "{}", stderr(&check));

    let again = convert(&["--out", made]);
    assert_refused(&again, 1, &["item_id.csv", "`--force`"]);
    assert!(plan.exists(), "what was there stays");
    assert_eq!(convert(&["--out", made, "--force"]).status.code(), Some(0));

    let targets = directory.path().join("targets.txt");
    std::fs::write(&targets, "GET http://127.0.0.1/a{b}\n").expect("the file is written");
    let targets = targets.to_str().expect("UTF-8");
    let output = kneepoint(&["convert", targets, "--out", "-"]).output().expect("it starts");
    assert!(stdout(&output).starts_with("# Made from targets.txt (vegeta)"), "{}", stdout(&output));

    let odd = directory.path().join("odd.bin");
    std::fs::write(&odd, [0, 1, 2, 255]).expect("the file is written");
    let odd = odd.to_str().expect("UTF-8");
    for (arguments, code, says) in [
        (
            vec!["convert", odd],
            104,
            "--from`: har, postman, openapi, jmeter, k6, locust, gatling, artillery",
        ),
        (vec!["convert", odd, "--from", "vegata"], 104, "did you mean `vegeta`?"),
        (vec!["convert", odd, "--from", "har"], 104, "odd.bin:1: "),
        (vec!["convert", targets, "--from", "har"], 104, "it looks like vegeta"),
        (vec!["convert", targets, "--timed"], 104, "`--timed` does not apply to vegeta files"),
        (vec!["convert", targets, "--target", "nowhere"], 104, "`--target`: "),
        (vec!["convert", "nowhere.log"], 104, "cannot open `nowhere.log`"),
    ] {
        let output = kneepoint(&arguments).output().expect("the program starts");
        assert_refused(&output, code, &[says]);
    }
}
