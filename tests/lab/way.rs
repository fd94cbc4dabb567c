//! Where a system of the lab runs: beside kneepoint, or in namespaces of its own.
//!
//! The shop listens on 127.0.0.1 of its namespace, as many a service does in its container. The
//! kernel of the namespace, or a forwarder, takes the load there.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kneepoint::demo::{DemoError, Fault, Launcher, Running};

use crate::space::{Process, Space, free_port, succeeds, wait_for};

/// A user without rights.
const NOBODY: u32 = 65_534;
/// The first of the networks that the lab uses; those below are of other tests.
const FIRST_NETWORK: u8 = 100;
/// Ports in a namespace: of the shop and of its database.
const SHOP: u16 = 8080;
const DATABASE: u16 = 5432;
/// A port of this machine whose address is translated.
const TRANSLATED: u16 = 8068;

/// The way from kneepoint to a system.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// None: it runs beside kneepoint.
    Here,
    /// The address of a network namespace.
    Direct,
    /// A forwarder of this machine, then the address of a namespace, as with `docker-proxy`.
    OneForwarder,
    /// The same, with a second forwarder in the namespace.
    TwoForwarders,
    /// An address of this machine that the kernel translates into that of a namespace, as with
    /// Docker's rules.
    Translated,
    /// A namespace that belongs to an unprivileged user, who runs kneepoint too, behind two
    /// forwarders and a UNIX socket between them.
    Rootless,
}

impl Way {
    pub const ALL: [Self; 6] = [
        Self::Here,
        Self::Direct,
        Self::OneForwarder,
        Self::TwoForwarders,
        Self::Translated,
        Self::Rootless,
    ];

    /// What it is called in the environment variable.
    pub fn name(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Direct => "direct",
            Self::OneForwarder => "one",
            Self::TwoForwarders => "two",
            Self::Translated => "translated",
            Self::Rootless => "rootless",
        }
    }

    pub fn find(name: &str) -> Self {
        let found = Self::ALL.into_iter().find(|way| way.name() == name);
        found.unwrap_or_else(|| panic!("no way `{name}`"))
    }

    /// What this machine lacks for it; `None` if nothing.
    pub fn lacking(self) -> Option<&'static str> {
        let lacks = |program: &str| !succeeds(program, &["-V"]);
        match self {
            Self::Here => None,
            _ if Space::obstacle().is_some() => Space::obstacle(),
            _ if lacks("socat") => Some("`socat` is not installed"),
            Self::TwoForwarders | Self::Rootless => None,
            _ if lacks("nft") => Some("`nft` is not installed"),
            _ => None,
        }
    }
}

/// A place of its own for one run of a system. What was started there ends with it.
pub struct Place {
    way: Way,
    /// Where the programs of an unprivileged user and the wrapper of the shop are.
    directory: tempfile::TempDir,
    program: PathBuf,
    /// Before the namespace, so that they end first.
    forwarders: Vec<Process>,
    table: Option<Table>,
    space: Option<Space>,
}

/// A table of nft, removed when dropped.
struct Table(String);

impl Drop for Table {
    fn drop(&mut self) {
        let _deleted = succeeds("nft", &["delete", "table", "ip", &self.0]);
    }
}

impl Place {
    pub fn new(way: Way, program: &Path) -> Self {
        static NETWORK: AtomicU8 = AtomicU8::new(FIRST_NETWORK);
        let directory = tempfile::tempdir().expect("a temporary directory");
        // PostgreSQL runs as a user of its own, too.
        open_to_everybody(directory.path());
        let has_space = !matches!(way, Way::Here | Way::Rootless);
        let number = || NETWORK.fetch_add(1, Ordering::Relaxed);
        let space = has_space.then(|| Space::new(number()).expect("asked before"));
        let program = match way {
            Way::Rootless => {
                let copy = directory.path().join("kneepoint");
                fs::copy(program, &copy).expect("a copy");
                open_to_everybody(&copy);
                copy
            }
            _ => program.to_owned(),
        };
        Self { way, directory, program, forwarders: Vec::new(), table: None, space }
    }

    /// Starts the system there.
    pub fn start(&self, launcher: Launcher, fault: &Fault) -> Result<Running, DemoError> {
        let script = match (self.way, &self.space) {
            (Way::Rootless, _) => format!(
                "chown -R {NOBODY}:{NOBODY} \"$4\"\n\
                 exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups unshare -U -r -n \
                 sh -c 'ip link set lo up && exec \"$0\" \"$@\"' {} \"$@\"\n",
                self.program.display()
            ),
            (_, Some(space)) => {
                format!("exec ip netns exec {} {} \"$@\"\n", space.name, self.program.display())
            }
            (_, None) => return launcher.with_program(&self.program).start(fault, None),
        };
        let wrapper = self.directory.path().join("start-shop");
        fs::write(&wrapper, format!("#!/bin/sh\n{script}")).expect("own directory");
        open_to_everybody(&wrapper);
        let launcher = launcher.with_program(&wrapper);
        match self.way {
            // PostgreSQL refuses to run as the root of a namespace.
            Way::Rootless => launcher.with_postgres(None),
            _ => launcher,
        }
        .start(fault, Some(self.directory.path()))
    }

    /// Leads the way to the system, and says where it is reached: the address of the shop, and its
    /// plan with this address.
    pub fn lead_to(&mut self, shop: &Running) -> (String, String) {
        let port = shop.url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let reached = match self.way {
            Way::Here => return (shop.url.clone(), shop.plan.clone()),
            Way::Direct => self.hand_over(port),
            Way::OneForwarder => {
                let inside = self.hand_over(port);
                self.forward(&inside)
            }
            Way::TwoForwarders => {
                let inside = self.forward_inside(SHOP, &format!("127.0.0.1:{port}"));
                self.forward(&inside)
            }
            Way::Translated => {
                let inside = self.hand_over(port);
                self.translate(&inside)
            }
            Way::Rootless => self.bridge(shop.guard_pid(), port),
        };
        wait_for(&reached);
        let url = format!("http://{reached}");
        let mut plan = shop.plan.replace(&shop.url, &url);
        if let Some((_, rest)) = shop.postgres_url.as_deref().and_then(|url| url.split_once('@')) {
            let peer = rest.split('/').next().expect("an address");
            let database = self.forward_inside(DATABASE, peer);
            plan = plan.replace(&format!("@{peer}/"), &format!("@{database}/"));
        }
        (url, plan)
    }

    /// The program, as the user who owns the system.
    pub fn kneepoint(&self, out: &Path) -> Command {
        let mut command = Command::new(&self.program);
        if self.way == Way::Rootless {
            open_to_everybody(out);
            command.uid(NOBODY).gid(NOBODY).current_dir(out);
        }
        command
    }

    fn space(&self) -> &Space {
        self.space.as_ref().expect("ways with rights have one")
    }

    /// Has the kernel of the namespace hand what comes to its address to a port of its loopback.
    fn hand_over(&self, port: u16) -> String {
        let space = self.space();
        let rules = format!(
            "table ip inside {{ chain pre {{ type nat hook prerouting priority -100; \
             tcp dport {SHOP} dnat to 127.0.0.1:{port}; }}; }}"
        );
        let local = "echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet";
        for (program, arguments) in [("nft", &[&rules[..]][..]), ("sh", &["-c", local])] {
            let status = space.command(program).args(arguments).status();
            assert!(status.is_ok_and(|status| status.success()), "{program} {arguments:?}");
        }
        format!("{}:{SHOP}", space.address())
    }

    /// A forwarder of this machine.
    fn forward(&mut self, to: &str) -> String {
        let port = free_port();
        let from = format!("TCP-LISTEN:{port}");
        self.socat(Command::new("socat"), &from, &format!("TCP:{to}"));
        format!("127.0.0.1:{port}")
    }

    /// A forwarder in the namespace.
    fn forward_inside(&mut self, port: u16, to: &str) -> String {
        let address = self.space().address();
        let command = self.space().command("socat");
        self.socat(command, &format!("TCP-LISTEN:{port},bind={address}"), &format!("TCP:{to}"));
        format!("{address}:{port}")
    }

    fn translate(&mut self, to: &str) -> String {
        let from = self.space().gateway();
        let table = format!("kneepoint_lab_{}", from.replace('.', "_"));
        let rules = format!(
            "table ip {table} {{ chain output {{ type nat hook output priority -100; \
             ip daddr {from} tcp dport {TRANSLATED} dnat to {to}; }}; }}"
        );
        assert!(succeeds("nft", &[&rules]), "nft {rules}");
        self.table = Some(Table(table));
        format!("{from}:{TRANSLATED}")
    }

    /// Like a rootless engine: what comes in is carried over a UNIX socket into the namespace.
    fn bridge(&mut self, guard: u32, port: u16) -> String {
        let socket = self.directory.path().join("bridge.sock");
        let mut inside = Command::new("nsenter");
        inside.args(["-U", "-n", "--preserve-credentials", "-t", &guard.to_string(), "socat"]);
        inside.uid(NOBODY).gid(NOBODY);
        let listen = format!("UNIX-LISTEN:{}", socket.display());
        self.socat(inside, &listen, &format!("TCP:127.0.0.1:{port}"));
        let began = Instant::now();
        while !socket.exists() {
            assert!(began.elapsed() < Duration::from_secs(20), "nobody opens {}", socket.display());
            thread::sleep(Duration::from_millis(20));
        }
        let outer = free_port();
        let mut outside = Command::new("socat");
        outside.uid(NOBODY).gid(NOBODY);
        let connect = format!("UNIX-CONNECT:{}", socket.display());
        self.socat(outside, &format!("TCP-LISTEN:{outer}"), &connect);
        format!("127.0.0.1:{outer}")
    }

    fn socat(&mut self, mut command: Command, from: &str, to: &str) {
        let reuse = if from.starts_with("TCP") { ",reuseaddr" } else { "" };
        command.arg(format!("{from},fork,backlog=1024{reuse}")).arg(to);
        let child = command.stderr(Stdio::null()).spawn().expect("socat starts");
        self.forwarders.push(Process(child));
    }
}

fn open_to_everybody(path: &Path) {
    fs::set_permissions(path, Permissions::from_mode(0o777)).expect("own file");
}
