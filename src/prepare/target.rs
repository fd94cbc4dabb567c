//! The target before any load: where it is, whether it may be loaded, and what it answers.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::files::PlanFiles;
use super::problems::Problems;
use super::setup::set_up;
use super::trial::try_requests;
use super::warning::Warning;
use crate::collect::{Located, Opening, is_own_address, locate};
use crate::load::{self, LoadConfig, PemFiles};
use crate::plan::{
    Canary, Connections, HttpVersion, Journey, Plan, Target, Trust, is_allowed_host,
};

/// How long a trial connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The hosts that may be loaded from this machine, separated by commas; without it, any host.
const HOSTS: &str = "KNEEPOINT_HOSTS";
/// A local port stays taken for so many seconds after its connection was closed.
const TIME_WAIT: f64 = 60.0;

/// A target that the plan or this machine does not allow is a problem.
pub(super) fn refuse_foreign_hosts(plan: &Plan, problems: &mut Problems) {
    let host = &plan.target.url.host;
    let variable = std::env::var(HOSTS).ok();
    let machine: Vec<String> = variable
        .iter()
        .flat_map(|hosts| hosts.split(','))
        .map(|host| host.trim().to_owned())
        .filter(|host| !host.is_empty())
        .collect();
    let lists = [(&plan.limits.hosts, "`hosts` in [limits]"), (&machine, HOSTS)];
    for (allowed, whose) in lists {
        if !allowed.is_empty() && !is_allowed_host(host, allowed) {
            problems.add(
                format!(
                    "`{host}` is not an allowed target: {whose} allows `{}`",
                    allowed.join("`, `")
                ),
                "check `url` in [target], or add the host to the list",
            );
        }
    }
}

/// Does the setup, and tries every request. Returns how the target described itself. A setup
/// changes the target, so it runs only if nothing else is wrong.
pub(super) fn meet(
    plan: &Plan,
    load: &mut LoadConfig,
    allows_failing: bool,
    problems: &mut Problems,
    warnings: &mut Vec<Warning>,
) -> String {
    // The canaries' requests have to work as well, and need descriptors of their own.
    let room = LoadConfig {
        max_in_flight: load.max_in_flight
            + plan.canaries.len() * Canary::MAX_IN_FLIGHT
            + plan.websockets.iter().map(|websocket| websocket.sessions).sum::<usize>(),
        ..load.clone()
    };
    if let Err(error) = load::make_room(&room) {
        problems.add_error(error);
    }
    if !plan.setup.is_empty() {
        if problems.count() == 0 {
            set_up(plan, load, problems);
        }
        if problems.count() > 0 {
            return String::new();
        }
    }
    let canaries = plan.canaries.iter().map(|canary| canary.request.clone());
    let journeys = plan.canaries.iter().enumerate().map(|(index, canary)| {
        Journey::of_one(canary.request.name.clone(), 1.0, plan.requests.len() + index)
    });
    let all = LoadConfig {
        requests: load.requests.iter().cloned().chain(canaries).collect(),
        journeys: load.journeys.iter().cloned().chain(journeys).collect(),
        ..load.clone()
    };
    let before = problems.count();
    let said = try_requests(&all, allows_failing, problems, warnings);
    // If requests fail, sessions fail for the same reason.
    let is_fine = problems.count() == before;
    for websocket in plan.websockets.iter().filter(|_| is_fine) {
        if let Err(error) = load::probe_websocket(websocket, load) {
            problems.add_error(error);
        }
    }
    said
}

/// Where the target runs. `may_connect` tells whether the target may be contacted to find out.
pub(super) fn whereabouts(
    address: Option<&TargetAddress>,
    target: &Target,
    may_connect: bool,
) -> Located {
    let port = target.url.port;
    let here = |is_local| Located { is_local, port, ..Located::default() };
    match address {
        None => here(false),
        Some(TargetAddress::Socket(_)) => here(true),
        // The proxy may know a name that this machine does not.
        Some(TargetAddress::Host(_)) if target.proxy.is_some() => {
            let url = &target.url;
            let mut found = (url.host.as_str(), url.port).to_socket_addrs().into_iter().flatten();
            here(found.any(|address| is_own_address(address.ip())))
        }
        Some(TargetAddress::Host(address)) if may_connect => locate(*address, opening(target)),
        Some(TargetAddress::Host(address)) => here(is_own_address(address.ip())),
    }
}

/// How a connection to the target begins.
fn opening(target: &Target) -> Opening {
    match (target.url.https, target.version) {
        (true, _) => Opening::Tls,
        (false, HttpVersion::Http2) => Opening::Http2,
        (false, _) => Opening::Http1,
    }
}

/// What the collectors cannot see of this target.
pub(super) fn blindness(target: &Target, has_sessions: bool) -> Option<Warning> {
    match &target.unix_socket {
        Some(path) => Some(Warning::NoTcpPort { path: path.clone() }),
        None if shares_connections(target) => Some(Warning::SharedConnections),
        None => has_sessions.then_some(Warning::HeldConnections),
    }
}

/// Whether several requests may be under way on one connection.
pub(super) fn shares_connections(target: &Target) -> bool {
    target.version != HttpVersion::Http1 && target.streams > 1
}

/// The certificates and the key that the plan names, read and tried.
pub(super) fn read_pem(target: &Target, files: &PlanFiles, problems: &mut Problems) -> PemFiles {
    let before = problems.count();
    let mut read = |path: Option<&String>, what: &str| {
        let path = path?;
        files
            .read(path)
            .map_err(|error| {
                problems.add(
                    format!("cannot read the {what} `{path}`: {error}"),
                    "the path is relative to the plan",
                );
            })
            .ok()
    };
    let identity = target.tls.identity.as_ref();
    let ca_file = match &target.tls.trust {
        Trust::CaFile(path) => Some(path),
        Trust::SystemRoots | Trust::Insecure => None,
    };
    let pem = PemFiles {
        ca: read(ca_file, "CA file"),
        cert: read(identity.map(|identity| &identity.cert_file), "certificate file"),
        key: read(identity.map(|identity| &identity.key_file), "key file"),
    };
    if problems.count() == before
        && let Err(error) = load::check_tls(target, &pem)
    {
        problems.add_error(error);
    }
    pem
}

/// Where the target is.
pub(super) enum TargetAddress {
    Host(SocketAddr),
    Socket(String),
}

impl TargetAddress {
    /// Where to connect to the target itself, and how that begins; `None` where a proxy stands between,
    /// or for a UNIX socket.
    pub(super) fn contact(&self, target: &Target) -> Option<(SocketAddr, Opening)> {
        match self {
            TargetAddress::Host(address) if target.proxy.is_none() => {
                Some((*address, opening(target)))
            }
            _ => None,
        }
    }
}

pub(super) fn find(target: &Target, problems: &mut Problems) -> Option<TargetAddress> {
    match (&target.unix_socket, &target.proxy) {
        (Some(path), _) => Some(TargetAddress::Socket(path.clone())),
        (None, Some(proxy)) => resolve(&proxy.host, proxy.port, "proxy", problems),
        (None, None) => resolve(&target.url.host, target.url.port, "url", problems),
    }
}

/// A path of the plan as one of this process.
pub(super) fn path_in(folder: &Path, path: &str) -> String {
    folder.join(path).display().to_string()
}

/// The address of a host that `key` of the plan's target names.
fn resolve(host: &str, port: u16, key: &str, problems: &mut Problems) -> Option<TargetAddress> {
    match (host, port).to_socket_addrs().map(|mut found| found.next()) {
        Ok(Some(address)) => Some(TargetAddress::Host(address)),
        Ok(None) => {
            problems.add(format!("`{host}` has no address"), format!("check `{key}` in [target]"));
            None
        }
        Err(error) => {
            problems.add(
                format!("cannot resolve `{host}`: {error}"),
                format!("check `{key}` in [target], or give an address instead of a name"),
            );
            None
        }
    }
}

/// Tries whether anybody listens. Used if a missing file makes requests impossible.
pub(super) fn connect(address: &TargetAddress, problems: &mut Problems) {
    match address {
        TargetAddress::Host(address) => {
            if let Err(error) = TcpStream::connect_timeout(address, CONNECT_TIMEOUT) {
                problems.add(
                    format!("cannot connect to `{address}`: {error}"),
                    "start the target, or check host and port of `url` (or `proxy`) in [target]",
                );
            }
        }
        TargetAddress::Socket(path) => {
            if let Err(error) = UnixStream::connect(path) {
                problems.add(
                    format!("cannot connect to `{path}`: {error}"),
                    "start the target, or check `unix_socket` in [target]",
                );
            }
        }
    }
}

/// A connection per request uses up local ports, which shows as connection failures that are not
/// the target's.
pub(super) fn few_ports(plan: &Plan) -> Option<Warning> {
    if plan.target.connections != Connections::PerRequest {
        return None;
    }
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let bounds: Vec<f64> = range.split_whitespace().filter_map(|port| port.parse().ok()).collect();
    let [first, last] = bounds[..] else { return None };
    let sustained = (last - first + 1.0) / TIME_WAIT;
    (plan.limits.max_rate > sustained).then_some(Warning::FewPorts { sustained })
}
