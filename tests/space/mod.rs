//! A network namespace for a test, and a service to put into it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// The path of the process below among the tests.
pub const SERVICE: &str = "space::a_service_with_one_lock";
/// Tells it where to listen.
pub const LISTEN: &str = "KNEEPOINT_TEST_LISTEN";

/// Not a test: the service that the tests put into a namespace. It answers one request at a time,
/// each after 8 ms, and ends with its standard input.
#[test]
#[ignore = "the process that other tests watch"]
fn a_service_with_one_lock() {
    let Ok(address) = std::env::var(LISTEN) else { return };
    let listener = TcpListener::bind(address).expect("a free port");
    writeln!(std::io::stdout(), "\nlistens").expect("the test reads");
    thread::spawn(move || {
        static LOCK: Mutex<()> = Mutex::new(());
        for client in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let mut lines = BufReader::new(client.try_clone().expect("a descriptor")).lines();
                let mut client = client;
                while let Some(Ok(line)) = lines.next() {
                    if line.is_empty() {
                        let held = LOCK.lock();
                        thread::sleep(Duration::from_millis(8));
                        drop(held);
                        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                        if client.write_all(answer).is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    std::io::stdin().read_to_end(&mut Vec::new()).expect("until the test ends");
}

/// A network namespace with an address, joined to this machine by a pair of devices.
pub struct Space {
    pub name: String,
    net: u8,
}

impl Space {
    /// What keeps this process from making one; `None` if nothing is known to.
    pub fn obstacle() -> Option<&'static str> {
        // SAFETY: reads a number.
        let is_root = unsafe { libc::geteuid() } == 0;
        (!is_root || !succeeds("ip", &["netns", "list"]))
            .then_some("only root, with `ip` of iproute2, can make network namespaces")
    }

    /// A namespace in 10.213.`net`.0/24; `None`, with a message, where this machine has none.
    #[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
    pub fn new(net: u8) -> Option<Self> {
        if let Some(why) = Self::obstacle() {
            eprintln!("skipped: {why}");
            return None;
        }
        let space = Self { name: format!("kneepoint-{}-{net}", std::process::id()), net };
        let name = &space.name;
        if !succeeds("ip", &["netns", "add", name]) {
            eprintln!("skipped: this machine makes no network namespaces");
            return None;
        }
        let (outer, inner) = (format!("kp{net}a"), format!("kp{net}b"));
        let _left_over = succeeds("ip", &["link", "del", &outer]);
        for command in [
            format!("link add {outer} type veth peer name {inner} netns {name}"),
            format!("addr add {}/24 dev {outer}", space.gateway()),
            format!("link set {outer} up"),
            format!("-n {name} addr add {}/24 dev {inner}", space.address()),
            format!("-n {name} link set {inner} up"),
            format!("-n {name} link set lo up"),
            format!("-n {name} route add default via {}", space.gateway()),
        ] {
            assert!(succeeds("ip", &command.split(' ').collect::<Vec<_>>()), "ip {command}");
        }
        Some(space)
    }

    /// The address of the namespace.
    pub fn address(&self) -> String {
        format!("10.213.{}.2", self.net)
    }

    /// The address of this machine's end.
    pub fn gateway(&self) -> String {
        format!("10.213.{}.1", self.net)
    }

    /// Its address on a link of its own to another namespace.
    pub fn link_address(&self) -> String {
        format!("10.214.0.{}", self.net)
    }

    /// Joins it to another namespace, beside this machine.
    pub fn join(&self, other: &Self) -> bool {
        let (near, far) = (format!("kp{}l", self.net), format!("kp{}l", other.net));
        let (here, there) = (&self.name, &other.name);
        [
            format!("link add {near} netns {here} type veth peer name {far} netns {there}"),
            format!("-n {here} addr add {}/24 dev {near}", self.link_address()),
            format!("-n {there} addr add {}/24 dev {far}", other.link_address()),
            format!("-n {here} link set {near} up"),
            format!("-n {there} link set {far} up"),
        ]
        .iter()
        .all(|command| succeeds("ip", &command.split(' ').collect::<Vec<_>>()))
    }

    /// A program inside of it.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program.as_ref());
        command
    }

    /// The service with one lock, inside of it.
    pub fn service(&self, port: u16) -> Process {
        let own = std::env::current_exe().expect("own path");
        let mut command = self.command(own);
        // Not the same first argument as that of a test that runs alone, which would look like the
        // master of this one.
        command.args([SERVICE, "--exact", "--ignored", "--nocapture"]);
        command.env(LISTEN, format!("0.0.0.0:{port}")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the service starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        while line != "listens\n" {
            line.clear();
            assert!(stdout.read_line(&mut line).expect("a pipe") > 0, "it listens");
        }
        // The test harness in it writes a line after a minute, and must not fail.
        child.stdout = Some(stdout.into_inner());
        Process(child)
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let _deleted = succeeds("ip", &["netns", "del", &self.name]);
    }
}

/// A process that ends with the test.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _killed = self.0.kill().is_ok();
        let _waited = self.0.wait().is_ok();
    }
}

pub fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Waits until somebody accepts connections there.
pub fn wait_for(address: &str) -> SocketAddr {
    let address: SocketAddr = address.parse().expect("an address");
    let began = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(began.elapsed() < Duration::from_secs(20), "nobody listens on {address}");
        thread::sleep(Duration::from_millis(20));
    }
    address
}

/// A port that is free now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}
