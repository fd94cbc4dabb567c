//! The servers under load: nginx, and servers of this program.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

use crate::ROLE;

/// The answer to the first step of the journey.
const LOGIN: &str = r#"{"user": {"token": "t5f0c2a91"}, "ok": true}"#;
/// The cookie that comes with it.
const COOKIE: &str = "sid=8f2b11c7; Path=/; HttpOnly";
/// The answer to the second step.
const ORDERS: &str = r#"{"orders": [{"id": 7, "total": 12.5}], "count": 1}"#;

/// A server in a separate process, which ends when this value is dropped.
pub struct Server {
    child: Child,
    pub port: u16,
    pub name: &'static str,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    /// nginx if it is installed, otherwise a server of this program.
    pub fn start(directory: &Path) -> Self {
        let free =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let port = free.expect("a free port").port();
        let conf = directory.join("nginx.conf");
        std::fs::write(&conf, nginx_conf(directory, port)).expect("the directory takes files");
        let nginx = Command::new("nginx").arg("-c").arg(&conf).stderr(Stdio::null()).spawn();
        if let Ok(child) = nginx {
            thread::sleep(Duration::from_millis(300));
            return Self { child, port, name: "nginx, 1 worker" };
        }
        let program = std::env::current_exe().expect("this program has a path");
        let mut command = Command::new(program);
        let mut child = command
            .env(ROLE, "server")
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts");
        let mut port = [0; 2];
        let output = child.stdout.as_mut().expect("it is piped");
        output.read_exact(&mut port).expect("the server tells its port");
        Self { child, port: u16::from_be_bytes(port), name: "hyper, 1 thread (no nginx found)" }
    }
}

fn nginx_conf(directory: &Path, port: u16) -> String {
    format!(
        "master_process off; daemon off; pid {0}/pid; error_log /dev/null;\n\
         events {{ worker_connections 16384; }}\n\
         http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {0}/body;\n\
         proxy_temp_path {0}/proxy; fastcgi_temp_path {0}/fcgi; uwsgi_temp_path {0}/uwsgi;\n\
         scgi_temp_path {0}/scgi; server {{ listen 127.0.0.1:{port} backlog=16384;\n\
         default_type application/json;\n\
         location / {{ return 200 \"hello\"; }}\n\
         location /login {{ add_header set-cookie \"{COOKIE}\"; return 200 '{LOGIN}'; }}\n\
         location /orders {{ return 200 '{ORDERS}'; }} }} }}\n",
        directory.display()
    )
}

/// Runs as the server of this program, in a child process.
pub fn serve_as_child() {
    serve(
        |address| {
            let mut output = std::io::stdout();
            let told = output.write_all(&address.port().to_be_bytes());
            told.and_then(|()| output.flush()).expect("the parent listens");
        },
        || {},
    );
}

/// Serves until the process ends.
fn serve(tell: impl FnOnce(SocketAddr), before_each: impl Fn() + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .expect("a runtime");
    let before_each = std::rc::Rc::new(before_each);
    runtime.block_on(async move {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
        let listener = socket.listen(16_384).expect("it listens");
        tell(listener.local_addr().expect("a bound listener has an address"));
        while let Ok((tcp, _)) = listener.accept().await {
            let before_each = before_each.clone();
            tokio::task::spawn_local(async move {
                let service = service_fn(|request: Request<_>| {
                    before_each();
                    let response = answer(request.uri().path());
                    async { Ok::<_, hyper::Error>(response) }
                });
                // A client may leave at any time.
                drop(http1::Builder::new().serve_connection(TokioIo::new(tcp), service).await);
            });
        }
    });
}

fn answer(path: &str) -> Response<Full<Bytes>> {
    let text = match path {
        "/login" => LOGIN,
        "/orders" => ORDERS,
        _ => "hello",
    };
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    if path == "/login" {
        let cookie = hyper::header::HeaderValue::from_static(COOKIE);
        response.headers_mut().insert(hyper::header::SET_COOKIE, cookie);
    }
    response
}

/// Starts a server that accepts connections and never answers, until the process ends. Returns
/// its port.
pub fn silent() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("a bound listener has an address").port();
    thread::spawn(move || {
        let mut kept = Vec::new();
        kept.extend(listener.incoming());
    });
    port
}

/// A stalling server stands still at these times after its first request, each for this long.
const STALLS: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(15)];
const STALL: Duration = Duration::from_secs(1);

/// A server that stands still at times, and knows when it did.
pub struct Stalling {
    pub port: u16,
    begun: Arc<OnceLock<Instant>>,
    /// From when to when.
    stalls: Arc<Mutex<Vec<(Instant, Instant)>>>,
}

impl Stalling {
    pub fn start() -> Self {
        let (told, address) = std::sync::mpsc::sync_channel(1);
        let begun = Arc::new(OnceLock::new());
        let stalls = Arc::new(Mutex::new(Vec::new()));
        let (first, log) = (Arc::clone(&begun), Arc::clone(&stalls));
        thread::spawn(move || {
            let note_first = move || {
                if first.set(Instant::now()).is_ok() {
                    tokio::task::spawn_local(stand_still(Arc::clone(&log)));
                }
            };
            serve(move |address| told.send(address).expect("the caller waits"), note_first);
        });
        let port = address.recv().expect("the server tells its port").port();
        Self { port, begun, stalls }
    }

    /// The p99 in seconds of `count` requests at an even `rate`, computed from the times at which
    /// it stood still: a request that came then had to wait for the end of the stall. The time to
    /// answer is left out, because it is a thousandth of that.
    pub fn true_p99(&self, rate: f64, count: usize) -> Option<f64> {
        let begun = *self.begun.get()?;
        let stalls = self.stalls.lock().ok()?;
        let mut waits: Vec<f64> = (0..count)
            .map(|index| {
                let intended = begun + Duration::from_secs_f64(index as f64 / rate);
                let stall = stalls.iter().find(|(from, to)| *from <= intended && intended < *to);
                stall.map_or(0.0, |(_, to)| (*to - intended).as_secs_f64())
            })
            .collect();
        waits.sort_by(f64::total_cmp);
        waits.get((count * 99).div_ceil(100) - 1).copied()
    }
}

/// Stops the whole server, which is one thread, at the planned times.
async fn stand_still(log: Arc<Mutex<Vec<(Instant, Instant)>>>) {
    let begun = tokio::time::Instant::now();
    for at in STALLS {
        tokio::time::sleep_until(begun + at).await;
        let from = Instant::now();
        thread::sleep(STALL);
        log.lock().expect("no one panics").push((from, Instant::now()));
    }
}
