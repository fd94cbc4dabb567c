//! What a generator costs its machine and its network, beside Locust's workers.

use std::path::PathBuf;
use std::process::Command;

use super::program::program;
use super::*;

/// Generators or workers, what each is asked for, in requests a second, and how long is measured.
const GENERATORS: usize = 5;
const RATE_OF_EACH: u32 = 40;
const SECS: u64 = 10;
/// Where Locust's coordinator listens.
const PORT: u16 = 5_557;

/// Of one generator, in a second.
struct Cost {
    bytes: f64,
    cores: f64,
}

/// Processor time that processes have used, in seconds.
fn cpu_seconds(pids: &[u32]) -> f64 {
    // SAFETY: reads a number.
    let ticks_per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
    let ticks = |pid: &u32| -> f64 {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        // Fields 14 and 15 of proc(5), and the first here is field 3.
        let fields = rest.split_whitespace().skip(11).take(2);
        fields.filter_map(|field| field.parse::<f64>().ok()).sum()
    };
    pids.iter().map(ticks).sum::<f64>() / ticks_per_second
}

/// What `pids` use and `bytes` says while the load runs.
fn measure(pids: &[u32], bytes: impl Fn() -> f64) -> Cost {
    let (before, cpu, began) = (bytes(), cpu_seconds(pids), Instant::now());
    thread::sleep(Duration::from_secs(SECS));
    let secs = began.elapsed().as_secs_f64() * GENERATORS as f64;
    Cost { bytes: (bytes() - before) / secs, cores: (cpu_seconds(pids) - cpu) / secs }
}

fn of_kneepoint() -> Cost {
    let (server, directory) = (Server::start(), tempfile::tempdir().unwrap());
    let place = directory.path();
    let file = |kind: &str, number: usize| place.join(format!("{kind}-{number}"));
    let generators: Vec<String> = (0..GENERATORS)
        .map(|number| {
            let [wire, back, pid] = ["wire", "back", "pid"].map(|kind| file(kind, number));
            let inner = place.join(format!("start-{number}"));
            let script =
                format!("echo $$ > {}; exec {} generate\n", pid.display(), program().display());
            fs::write(&inner, script).unwrap();
            let (wire, back, inner) = (wire.display(), back.display(), inner.display());
            format!("sh -c 'tee {wire} | sh {inner} | tee {back}'")
        })
        .collect();
    let rate = RATE_OF_EACH * GENERATORS as u32;
    let run = start_with(place, &plan(&server, rate, SECS as u32 + 6, ""), &generators);
    wait_until("load", 30, || server.requests() > 2 * u64::from(rate));
    let pid = |number| fs::read_to_string(file("pid", number)).unwrap().trim().parse().unwrap();
    let pids: Vec<u32> = (0..GENERATORS).map(pid).collect();
    let cost = measure(&pids, || {
        let length = |path: PathBuf| fs::metadata(path).map_or(0, |it| it.len()) as f64;
        let of = |number| length(file("wire", number)) + length(file("back", number));
        (0..GENERATORS).map(of).sum()
    });
    let output = run.wait_with_output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 123)), "{}", text(&output.stderr));
    cost
}

/// `None` where Locust is not there.
fn of_locust() -> Option<Cost> {
    let locust = std::env::var("KNEEPOINT_LOCUST").unwrap_or_else(|_| "locust".to_owned());
    Command::new(&locust).arg("--version").output().ok()?;
    let (server, directory) = (Server::start(), tempfile::tempdir().unwrap());
    let script = directory.path().join("locustfile.py");
    // Each user asks once a second.
    let users = RATE_OF_EACH as usize * GENERATORS;
    fs::write(
        &script,
        "from locust import FastHttpUser, constant_throughput, task\n\n\
         class User(FastHttpUser):\n    wait_time = constant_throughput(1)\n\n    @task\n    \
         def home(self):\n        self.client.get(\"/\")\n",
    )
    .unwrap();
    let start = |arguments: &[&str]| {
        let mut command = Command::new(&locust);
        command.arg("-f").arg(&script).args(["--loglevel", "ERROR"]).args(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let (url, secs) = (server.url(), format!("{}s", SECS + 8));
    let count = |number: usize| number.to_string();
    let (workers, users) = (count(GENERATORS), count(users));
    let mut master =
        start(
            &[
                &[
                    "--master",
                    "--headless",
                    "--expect-workers",
                    &workers,
                    "-u",
                    &users,
                    "-r",
                    &users,
                ][..],
                &["-t", &secs, "--host", &url],
            ]
            .concat(),
        );
    let mut children: Vec<Child> =
        (0..GENERATORS).map(|_| start(&["--worker", "--master-port", &PORT.to_string()])).collect();
    let enough = 3 * u64::from(RATE_OF_EACH) * GENERATORS as u64;
    wait_until("load", 60, || server.requests() > enough);
    let pids: Vec<u32> = children.iter().map(Child::id).collect();
    let cost = measure(&pids, || {
        let filter = format!("sport = :{PORT}");
        let output = Command::new("ss").args(["-tinH", &filter]).output().unwrap();
        let listed = text(&output.stdout);
        let of = |name: &str| -> f64 {
            let counts = listed.split_whitespace().filter_map(|word| word.strip_prefix(name));
            counts.filter_map(|count| count.parse::<f64>().ok()).sum()
        };
        of("bytes_sent:") + of("bytes_received:")
    });
    for child in children.iter_mut().chain([&mut master]) {
        let _killed = child.kill().is_ok();
        let _waited = child.wait().is_ok();
    }
    Some(cost)
}

#[test]
#[ignore = "a table for whoever runs it by hand: `KNEEPOINT_BIN` names a release build, `KNEEPOINT_LOCUST` Locust"]
#[expect(clippy::print_stderr, reason = "a table is for whoever runs it by hand")]
fn the_table_of_costs_beside_locust() {
    let own = of_kneepoint();
    eprintln!("{GENERATORS} generators, {RATE_OF_EACH} requests/s each: of one, in a second");
    eprintln!("{:<10} {:>8.0} bytes {:>8.4} cores", "kneepoint", own.bytes, own.cores);
    let Some(locust) = of_locust() else {
        eprintln!("locust is not there");
        return;
    };
    eprintln!("{:<10} {:>8.0} bytes {:>8.4} cores", "locust", locust.bytes, locust.cores);
    eprintln!(
        "{:<10} {:>8.2} {:>14.2}",
        "ratio",
        own.bytes / locust.bytes,
        own.cores / locust.cores
    );
}
