//! An nginx of the test's own, and what it logged.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tempfile::TempDir;

/// Another program may take a port before nginx does.
const ATTEMPTS: usize = 5;
const START_WITHIN: Duration = Duration::from_secs(20);

/// Fields of [`Entry`], in nginx's words.
const LOG_FORMAT: &str = r#"'{"connection":$connection,"at":$msec,"protocol":"$server_protocol",'
        '"host":"$http_host","method":"$request_method","uri":"$request_uri","status":$status,'
        '"length":"$content_length","kind":"$content_type","shop":"$http_x_shop",'
        '"id":"$request_id","sent":$body_bytes_sent,"mark":"$http_x_kneepoint",'
        '"cookie":"$http_cookie","session":"$ssl_session_reused","client":"$ssl_client_verify",'
        '"coding":"$sent_http_content_encoding","transfer":"$sent_http_transfer_encoding"}'"#;

/// One request as nginx logged it. A text is empty where nginx has no value.
#[derive(Clone, Debug, Deserialize)]
pub struct Entry {
    /// Number of the connection it came over.
    pub connection: u64,
    /// When it was over, in seconds since 1970.
    pub at: f64,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub protocol: String,
    pub host: String,
    pub method: String,
    pub uri: String,
    pub status: u16,
    /// Bytes of the request's body, as its header says.
    pub length: String,
    /// Content type of the request.
    pub kind: String,
    /// The request's header `x-shop`.
    pub shop: String,
    /// What nginx calls it, and no other.
    pub id: String,
    /// Bytes of the body that were sent.
    pub sent: u64,
    /// Whether it says that it is synthetic.
    pub mark: String,
    pub cookie: String,
    /// `r` where the TLS session was resumed, `.` where it was not.
    pub session: String,
    /// `SUCCESS`, `NONE` or why the client's certificate is of no use.
    pub client: String,
    pub coding: String,
    pub transfer: String,
}

/// What is served, in nginx's words; every path is below the server's own directory.
#[derive(Clone, Copy, Default)]
pub struct Site<'a> {
    /// What follows the address in `listen`, such as `ssl`.
    pub listen: &'a str,
    /// In the block `http`.
    pub http: &'a str,
    /// In the block `server`, whose `root` is the directory.
    pub server: &'a str,
}

/// Serves a [`Site`] until it is dropped. `cert.pem` and `key.pem` in its directory are for
/// `localhost`.
pub struct Nginx {
    port: u16,
    directory: TempDir,
    child: Child,
}

impl Nginx {
    pub fn start(site: Site<'_>) -> Self {
        Self::with_files(site, &[])
    }

    /// The same, with files that its configuration names or that it serves.
    pub fn with_files(site: Site<'_>, files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let certified =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let key = certified.signing_key.serialize_pem();
        let cert = certified.cert.pem();
        let own = [("cert.pem", cert.as_str()), ("key.pem", key.as_str())];
        for (name, text) in own.iter().chain(files) {
            fs::write(directory.path().join(name), text).expect("own directory");
        }
        for _ in 0..ATTEMPTS {
            let port = free_port();
            fs::write(directory.path().join("nginx.conf"), config(site, port)).expect("own");
            let mut child = spawn(directory.path());
            if has_begun(&mut child, directory.path()) {
                return Self { port, directory, child };
            }
        }
        let said = fs::read_to_string(directory.path().join("stderr")).expect("own file");
        panic!("nginx does not start: {said}");
    }

    /// Its directory, for plans whose paths are relative to it.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The address with the name that its certificate is for.
    pub fn https_url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// All requests so far, in the order in which they ended.
    pub fn log(&self) -> Vec<Entry> {
        let log = fs::read_to_string(self.directory().join("access.log")).expect("a log");
        let entry = |line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"));
        log.lines().map(entry).collect()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill().is_err();
        self.child.wait().expect("own child");
    }
}

/// A port of this machine that is free.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}

fn config(Site { listen, http, server }: Site<'_>, port: u16) -> String {
    // One process, so that none is left behind. As root, a worker's account of its own could not
    // read the directory.
    format!(
        "daemon off;\nmaster_process off;\nuser root;\npid nginx.pid;\nerror_log error.log;\n\
         events {{}}\n\
         http {{\n\
         log_format kneepoint escape=json {LOG_FORMAT};\n\
         access_log access.log kneepoint;\n\
         client_body_temp_path .;\nproxy_temp_path .;\nfastcgi_temp_path .;\n\
         uwsgi_temp_path .;\nscgi_temp_path .;\n\
         {http}\n\
         server {{\n\
         listen 127.0.0.1:{port} {listen};\nroot .;\n\
         ssl_certificate cert.pem;\nssl_certificate_key key.pem;\n\
         {server}\n}}\n}}\n"
    )
}

fn spawn(directory: &Path) -> Child {
    let stderr = File::create(directory.join("stderr")).expect("own directory");
    let mut command = Command::new("nginx");
    // Debian has it where only root looks.
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/usr/local/sbin"));
    command.arg("-p").arg(directory).arg("-c").arg(directory.join("nginx.conf"));
    command.current_dir(directory).stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
    command.spawn().expect("nginx is installed: tests/run does it")
}

/// Waits until it listens, which is before it writes its number down; `false` where it ends.
fn has_begun(child: &mut Child, directory: &Path) -> bool {
    let until = Instant::now() + START_WITHIN;
    while !directory.join("nginx.pid").exists() {
        if child.try_wait().expect("own child").is_some() {
            return false;
        }
        if Instant::now() > until {
            child.kill().expect("own child");
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
    true
}
