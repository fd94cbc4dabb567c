//! The process behind a port: what runs it, what it is connected to, and where it writes its logs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::found::{Runtime, Survey, Variable};
use crate::collect::proc::held::{environment, peers, written_files};
use crate::collect::proc::network::is_on_machine;
use crate::collect::proc::tree::Tree;
use crate::collect::proc::wanted::Wanted;
use crate::collect::{Located, speaks_postgres};

/// Variables in which frameworks look for their database (Heroku and its followers, Spring Boot,
/// Prisma, libpq).
const DATABASE_VARIABLES: [&str; 10] = [
    "DATABASE_URL",
    "POSTGRES_URL",
    "POSTGRESQL_URL",
    "PG_URL",
    "DB_URL",
    "DATABASE_URI",
    "SQLALCHEMY_DATABASE_URI",
    "SPRING_DATASOURCE_URL",
    "DATABASE_DSN",
    "PGHOST",
];
/// PostgreSQL's port, and PgBouncer's.
const USUAL_PORTS: [u16; 2] = [5432, 6432];
/// Peers that are asked whether they are PostgreSQL.
const MOST_ASKED: usize = 16;
/// Log files that are listed.
const MOST_LOGS: usize = 8;
/// What stands in each program that Go has made, at a multiple of 16 bytes and followed by the size
/// of a pointer and by flags (`debug/buildinfo` of Go's library).
const GO_MAGIC: &[u8; 14] = b"\xff Go buildinf:";
const GO_ALIGNMENT: usize = 16;
const GO_POINTER: u8 = 8;
const GO_FLAGS: u8 = 3;
/// How much of a program is searched for it, and how much at once, in bytes.
const MOST_PROGRAM: u64 = 128 << 20;
const PIECE: u64 = 1 << 20;

/// Looks at the processes behind the service, where they run on this machine.
pub(super) fn look(found: &mut Survey, located: &Located) {
    if !located.is_local {
        found.missing.push(
            "the process: the service runs on another machine; run `kneepoint init` there to find its \
             runtime, logs, connections and environment, and the load test too, if you can"
                .to_owned(),
        );
        return;
    }
    let tree = match Tree::open(Wanted::Port(located.port), located.network) {
        Ok(tree) => tree,
        Err(error) => {
            found.missing.push(format!("the process: {}; {}", error.what, error.hint));
            return;
        }
    };
    found.processes = Some(tree.describe());
    let pids: BTreeSet<u32> = tree.pids().collect();
    found.runtimes = runtimes(&pids);
    let mut refused = Vec::new();
    logs(found, &pids, &mut refused);
    connections(found, &pids, located, &mut refused);
    variables(found, &pids, &mut refused);
    if !refused.is_empty() {
        found.missing.push(format!(
            "{} of the process: kneepoint may not read them; run it as the process's user or as root",
            refused.join(", ")
        ));
    }
}

fn runtimes(pids: &BTreeSet<u32>) -> Vec<Runtime> {
    let found: BTreeSet<Runtime> = pids.iter().filter_map(|pid| runtime_of(*pid)).collect();
    found.into_iter().collect()
}

fn runtime_of(pid: u32) -> Option<Runtime> {
    let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let name = program.file_name()?.to_string_lossy().into_owned();
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    if name == "java" || maps.contains("/libjvm.so") {
        Some(Runtime::Jvm)
    } else if name.starts_with("python") || maps.contains("/libpython3") {
        Some(Runtime::CPython)
    } else if name == "node" || name == "nodejs" {
        Some(Runtime::Node)
    } else {
        let file = File::open(format!("/proc/{pid}/exe")).ok()?;
        is_of_go(file.take(MOST_PROGRAM)).then_some(Runtime::Go)
    }
}

/// Whether a program was made by Go.
fn is_of_go(mut program: impl Read) -> bool {
    let mut piece = Vec::new();
    loop {
        piece.clear();
        let read = (&mut program).take(PIECE).read_to_end(&mut piece);
        if read.is_err() || piece.is_empty() {
            return false;
        }
        let (blocks, _) = piece.as_chunks::<GO_ALIGNMENT>();
        let is_mark = |block: &[u8; GO_ALIGNMENT]| {
            block.starts_with(GO_MAGIC) && block[14] <= GO_POINTER && block[15] <= GO_FLAGS
        };
        if blocks.iter().any(is_mark) {
            return true;
        }
    }
}

fn logs(found: &mut Survey, pids: &BTreeSet<u32>, refused: &mut Vec<&'static str>) {
    let mut files: BTreeSet<PathBuf> = BTreeSet::new();
    for pid in pids {
        match written_files(*pid) {
            Ok(more) => files.extend(more),
            Err(_) => return refused.push("the log files"),
        }
    }
    found.logs = files.into_iter().filter(|path| is_log(path)).take(MOST_LOGS).collect();
    if found.logs.is_empty() {
        found.missing.push(
            "log files: the process has none open for writing; with systemd add `journal = \"UNIT\"`, \
             with Docker `docker = \"CONTAINER\"` to [collect.logs]"
                .to_owned(),
        );
    }
}

/// Whether a file is a log by its name: a database writes its tables, and they are none.
fn is_log(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase());
    let directory = path.parent().map(|path| path.to_string_lossy().to_lowercase());
    let name = name.unwrap_or_default();
    let is_named = [".log", ".out", ".err"].iter().any(|end| name.ends_with(end));
    is_named || name.contains(".log.") || directory.unwrap_or_default().starts_with("/var/log")
}

fn connections(
    found: &mut Survey,
    pids: &BTreeSet<u32>,
    located: &Located,
    refused: &mut Vec<&'static str>,
) {
    let mut all: BTreeMap<SocketAddr, usize> = BTreeMap::new();
    for pid in pids {
        match peers(*pid) {
            Ok(more) => {
                more.into_iter().for_each(|(peer, count)| *all.entry(peer).or_default() += count);
            }
            Err(_) => return refused.push("the connections"),
        }
    }
    let mut asked = 0;
    for (peer, count) in all {
        let is_near = !located.network.is_own() || is_on_machine(peer.ip());
        let is_asked = is_near && asked < MOST_ASKED;
        asked += usize::from(is_asked);
        // From elsewhere the same address may lead to somebody else. Whoever is on another machine is
        // known by the port alone: nobody has asked kneepoint to open connections there.
        let answers =
            is_asked && located.network.within(|| Ok(speaks_postgres(peer))).unwrap_or(false);
        match answers || (!is_asked && USUAL_PORTS.contains(&peer.port())) {
            true => found.databases.push(peer),
            false => {
                found.peers.insert(peer, count);
            }
        }
    }
    if found.databases.is_empty() {
        found.missing.push(
            "a PostgreSQL: the process has no TCP connection to one now; if it uses one, add \
             [collect.postgres] with its URL"
                .to_owned(),
        );
    }
}

fn variables(found: &mut Survey, pids: &BTreeSet<u32>, refused: &mut Vec<&'static str>) {
    for pid in pids {
        let Ok(all) = environment(*pid) else { return refused.push("the environment") };
        for (name, value) in all {
            if !DATABASE_VARIABLES.contains(&name.as_str())
                || found.variables.iter().any(|known| known.name == name)
            {
                continue;
            }
            let value = value.reveal();
            let is_postgres_url =
                ["postgres://", "postgresql://"].iter().any(|begin| value.starts_with(begin));
            found.variables.push(Variable { name, is_postgres_url });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_go_are_known_by_their_mark() {
        let mark = [&GO_MAGIC[..], &[8, 2]].concat();
        for place in [0, 16, PIECE as usize - 16, PIECE as usize, 2 * PIECE as usize + 48] {
            let mut bytes = vec![b'.'; 3 * PIECE as usize];
            bytes[place..place + 16].copy_from_slice(&mark);
            assert!(is_of_go(bytes.as_slice()), "{place}");
            // A text that only mentions it.
            bytes[place + 14] = b'"';
            assert!(!is_of_go(bytes.as_slice()), "{place}");
        }
        assert!(!is_of_go(&GO_MAGIC[..]) && !is_of_go(&b""[..]));
        // This program holds the text, and Rust has made it.
        assert_eq!(runtimes(&BTreeSet::from([std::process::id()])), []);
    }

    #[test]
    fn logs_are_told_from_other_files() {
        for log in ["/srv/app/app.log", "/var/log/shop/today", "/x/server.out", "/x/a.log.1"] {
            assert!(is_log(Path::new(log)), "{log}");
        }
        for other in ["/srv/data/base/1/1259", "/srv/app/users.db", "/srv/catalogue"] {
            assert!(!is_log(Path::new(other)), "{other}");
        }
    }
}
