//! A NATS server of a test, and a node that speaks its protocol by hand.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A server with JetStream in a directory of its own. It ends with this value.
pub struct Bus {
    child: Option<Child>,
    pub port: u16,
    directory: TempDir,
    arguments: Vec<String>,
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Bus {
    /// `None` where there is no server on this machine.
    pub fn start() -> Option<Self> {
        Self::with("", true)
    }

    /// One with more lines in its configuration.
    pub fn with(config: &str, has_jetstream: bool) -> Option<Self> {
        let Some(program) = program() else {
            skipped();
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = directory.path().join("nats.conf");
        let config = config.replace("DIR", directory.path().to_str().unwrap());
        let store = directory.path().join("store");
        let storage = match has_jetstream && !config.contains("jetstream") {
            true => format!("jetstream {{ store_dir: '{}' }}\n", store.display()),
            false => String::new(),
        };
        fs::write(&file, format!("{storage}{config}")).unwrap();
        let arguments = [program.to_str().unwrap(), "-a", "127.0.0.1", "-p"].map(str::to_owned);
        let mut arguments = arguments.to_vec();
        arguments.extend([port.to_string(), "-c".to_owned(), file.display().to_string()]);
        let mut bus = Self { child: None, port, directory, arguments };
        bus.start_again();
        Some(bus)
    }

    pub fn start_again(&mut self) {
        let mut command = Command::new(&self.arguments[0]);
        command.args(&self.arguments[1..]).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "the server does not start");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _gone = child.kill().is_err();
            let _reaped = child.wait().is_err();
        }
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Whether it has the stream of a run.
    pub fn has(&self, run: &str) -> bool {
        let name = format!("kneepoint-{run}");
        files(self.directory()).iter().any(|path| path.to_string_lossy().contains(&name))
    }

    /// Whether anything that it keeps contains a text.
    pub fn keeps(&self, text: &str) -> bool {
        let holds = |path: &PathBuf| {
            let bytes = fs::read(path).unwrap_or_default();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        };
        files(self.directory()).iter().any(holds)
    }
}

/// The files below a directory.
pub fn files(directory: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all
}

#[expect(clippy::print_stderr, reason = "a test that did not run says so")]
fn skipped() {
    eprintln!(
        "SKIPPED: there is no `nats-server` here: install it, or run `tests/run`, which does"
    );
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/bin".into()]);
    places.map(|place| place.join("nats-server")).find(|file| file.is_file())
}

/// A generator that says this `hello` on the bus, and answers when it is asked whether it is there.
pub fn greet_by_hand(port: u16, run: &str, hello: &str) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let line =
        format!("{{\"run\":\"\",\"from\":\"\",\"epoch\":0,\"seq\":1,\"message\":{hello}}}\n");
    write!(
        stream,
        "CONNECT {{\"verbose\":false,\"headers\":true,\"no_responders\":true}}\r\n\
         SUB kneepoint-now.{run}.0f 1\r\n\
         PUB kneepoint.{run}.from.generator.=.0f {}\r\n{line}\r\n",
        line.len()
    )
    .unwrap();
    let mut text = String::new();
    while reader.read_line(&mut text).is_ok_and(|length| length > 0) {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words[..] {
            ["PING"] => stream.write_all(b"PONG\r\n").unwrap(),
            ["MSG", _, _, reply, length] => {
                let mut payload = vec![0; length.parse::<usize>().unwrap() + 2];
                reader.read_exact(&mut payload).unwrap();
                write!(stream, "PUB {reply} 4\r\nhere\r\n").unwrap();
            }
            ["MSG", _, _, length] => {
                let mut payload = vec![0; length.parse::<usize>().unwrap() + 2];
                reader.read_exact(&mut payload).unwrap();
            }
            _ => {}
        }
        text.clear();
    }
}

/// A server of another age: it only introduces itself.
pub fn introduce(info: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _gone = write!(stream, "INFO {info}\r\n").is_err();
            let reader = BufReader::new(stream.try_clone().unwrap());
            for line in reader.lines().map_while(Result::ok) {
                if line == "PING" {
                    let _gone = stream.write_all(b"PONG\r\n").is_err();
                }
            }
        }
    });
    port
}
