//! Prometheus and the exporters of the night. Each is ended by its process id.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::http::{answer, free_port, get};

const START_WITHIN: Duration = Duration::from_secs(30);
const PROMETHEUS: &str = "prometheus";
const NODE: &str = "prometheus-node-exporter";
const POSTGRES: &str = "prometheus-postgres-exporter";
const NGINX: &str = "nginx";
/// File of the access log, in the directory that nginx is given.
pub const ACCESS_LOG: &str = "access.log";
/// Clock ticks a second and bytes of a page, as Linux has them on every usual machine.
const TICKS: f64 = 100.0;
const PAGE: u64 = 4096;

/// What Debian's postgres_exporter does not have and later versions do: what sessions wait for.
const QUERIES: &str = r#"
pg_stat_activity:
  query: |
    SELECT datname, state, application_name, wait_event_type, wait_event, count(*) AS count
    FROM pg_stat_activity WHERE datname IS NOT NULL AND pid <> pg_backend_pid() GROUP BY 1, 2, 3, 4, 5
  metrics:
    - datname: { usage: "LABEL", description: "database" }
    - state: { usage: "LABEL", description: "state" }
    - application_name: { usage: "LABEL", description: "application" }
    - wait_event_type: { usage: "LABEL", description: "kind of wait" }
    - wait_event: { usage: "LABEL", description: "wait" }
    - count: { usage: "GAUGE", description: "sessions" }
pg_stat_statements:
  query: "SELECT sum(calls) AS calls_total, sum(total_exec_time) / 1000.0 AS seconds_total FROM pg_stat_statements"
  metrics:
    - calls_total: { usage: "COUNTER", description: "statements" }
    - seconds_total: { usage: "COUNTER", description: "their seconds" }
"#;

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/local/bin", "/usr/bin", "/usr/sbin"].map(PathBuf::from);
    let places = std::env::split_paths(&path).chain(usual);
    places.map(|place| place.join(name)).find(|file| file.is_file())
}

/// What this machine lacks.
pub fn lacking() -> Option<&'static str> {
    [PROMETHEUS, NODE, POSTGRES, NGINX].into_iter().find(|name| program(name).is_none())
}

/// A process that ends with this value.
pub struct Server {
    child: Child,
    pub port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.child.kill().is_err();
        let _reaped = self.child.wait().is_err();
    }
}

impl Server {
    fn start(name: &str, ready: &str, configure: impl FnOnce(&mut Command)) -> Self {
        let port = free_port();
        Self::spawned(name, port, ready, |command| {
            configure(command.arg(format!("--web.listen-address=127.0.0.1:{port}")));
        })
    }

    fn spawned(name: &str, port: u16, ready: &str, configure: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(program(name).unwrap());
        configure(command.stdout(Stdio::null()).stderr(Stdio::null()));
        let mut server = Self { child: command.spawn().unwrap(), port };
        let begin = Instant::now();
        while get(port, ready).is_none() {
            assert!(server.child.try_wait().unwrap().is_none(), "{name} ended at once");
            assert!(begin.elapsed() < START_WITHIN, "{name} is not ready");
            thread::sleep(Duration::from_millis(100));
        }
        server
    }

    pub fn node_exporter() -> Self {
        Self::start(NODE, "/metrics", |_| {})
    }

    pub fn postgres_exporter(url: &str, directory: &Path) -> Self {
        let queries = directory.join("queries.yaml");
        fs::write(&queries, QUERIES).unwrap();
        Self::start(POSTGRES, "/metrics", |command| {
            command
                .env("DATA_SOURCE_NAME", format!("{url}?sslmode=disable"))
                .arg(format!("--extend.query-path={}", queries.display()));
        })
    }

    /// An nginx in front of the shop, which writes the access log. The time of a line is whole
    /// seconds, too coarse for a clock that runs fifteen times as fast: `$msec` has its thousandths.
    pub fn nginx(shop_url: &str, directory: &Path) -> Self {
        let port = free_port();
        let log = directory.join(ACCESS_LOG);
        let config = directory.join("nginx.conf");
        let place = directory.display();
        let text = format!(
            "daemon off;\nmaster_process off;\nuser root;\npid {place}/nginx.pid;\n\
             error_log {place}/nginx.error;\nworker_rlimit_nofile 8192;\n\
             events {{ worker_connections 4096; }}\nhttp {{\n\
             log_format timed '$remote_addr - - [$time_local] \"$request\" $status \
             $body_bytes_sent \"-\" \"-\" $msec $request_time';\n\
             access_log {log} timed;\nclient_body_temp_path {place}/body;\n\
             proxy_temp_path {place}/proxy;\nfastcgi_temp_path {place}/fastcgi;\n\
             uwsgi_temp_path {place}/uwsgi;\nscgi_temp_path {place}/scgi;\n\
             upstream shop {{ server {shop}; keepalive 1024; }}\n\
             server {{\nlisten 127.0.0.1:{port} backlog=4096;\nkeepalive_requests 1000000;\n\
             location / {{ proxy_pass http://shop; proxy_http_version 1.1;\n\
             proxy_set_header Connection ''; proxy_next_upstream off; }}\n\
             location = /ready {{ access_log off; return 200; }}\n}}\n}}\n",
            log = log.display(),
            shop = shop_url.strip_prefix("http://").unwrap().trim_end_matches('/'),
        );
        fs::write(&config, text).unwrap();
        Self::spawned(NGINX, port, "/ready", |command| {
            command.arg("-c").arg(&config).arg("-p").arg(directory);
        })
    }

    /// A Prometheus that scrapes each of these jobs once a second, and stores in `data`.
    pub fn prometheus(jobs: &[(&str, u16)], directory: &Path, data: &Path) -> Self {
        let config = directory.join("prometheus.yml");
        let mut text =
            "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\nscrape_configs:\n".to_owned();
        for (name, port) in jobs {
            text += &format!(
                "  - job_name: {name}\n    static_configs:\n      - targets: ['127.0.0.1:{port}']\n"
            );
        }
        fs::write(&config, text).unwrap();
        Self::start(PROMETHEUS, "/-/ready", |command| {
            command
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.tsdb.path={}", data.display()))
                .stderr(File::create(directory.join("log")).unwrap());
        })
    }
}

/// The shop's metrics with those of its process, as client libraries add them. Returns the port.
pub fn shop_with_process(metrics_url: &str, pid: u32) -> u16 {
    let authority = metrics_url.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let from: u16 = authority.rsplit(':').next().unwrap().parse().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let shop = get(from, "/metrics").unwrap_or_default().replace("# EOF\n", "");
            // Its process may have ended.
            answer(stream, &(shop + &process(pid).unwrap_or_default()));
        }
    });
    port
}

fn process(pid: u32) -> Option<String> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
    let stat = read("stat")?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
    let limits = read("limits")?;
    let files = limits.lines().find(|line| line.starts_with("Max open files"))?;
    let open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
    let boot = fs::read_to_string("/proc/stat").ok()?;
    let boot = boot.lines().find_map(|line| line.strip_prefix("btime "))?.parse::<f64>().ok()?;
    Some(format!(
        "process_cpu_seconds_total {}\nprocess_resident_memory_bytes {}\n\
         process_start_time_seconds {}\nprocess_open_fds {open}\nprocess_max_fds {}\n",
        (number(11)? + number(12)?) as f64 / TICKS,
        number(21)? * PAGE,
        boot + number(19)? as f64 / TICKS,
        files.split_whitespace().nth(3)?
    ))
}
