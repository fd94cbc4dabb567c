//! Programs that kneepoint calls or that a person needs next.

use std::env;
use std::path::PathBuf;

use super::checked::{Checked, missing, ok};

/// A program: its name, what it is for, what is lost without it, and how to have it.
const TOOLS: [(&str, &str, &str, &str, &str); 2] = [
    (
        "journalctl",
        "tool-journalctl",
        "logs of systemd's units",
        "`journal = \"UNIT\"` in [collect.logs] does not work",
        "give the log as `files` in [collect.logs], where the system has no systemd",
    ),
    (
        "docker",
        "tool-docker",
        "logs of containers",
        "`docker = \"CONTAINER\"` in [collect.logs] does not work",
        "sudo apt-get install docker-cli, where the services run in Docker",
    ),
];

pub(super) fn tools() -> Vec<Checked> {
    let mut all: Vec<Checked> = TOOLS
        .iter()
        .map(|(name, id, about, costs, add)| match program(name) {
            Some(path) => ok(id, about, path.display().to_string()),
            None => missing(id, about, format!("`{name}` is not installed"), *costs, *add),
        })
        .collect();
    all.push(postgres());
    all
}

fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The server's programs are not in the path on Debian.
fn postgres() -> Checked {
    let (id, about) = ("tool-postgres", "kneepoint's demo");
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let beside = versions.map(|version| version.path().join("bin/initdb")).find(|it| it.is_file());
    match beside.or_else(|| program("initdb")) {
        Some(path) => ok(id, about, path.display().to_string()),
        None => missing(
            id,
            about,
            "PostgreSQL's server is not installed",
            "`kneepoint demo` does not start; your own services are not concerned",
            "sudo apt-get install postgresql",
        ),
    }
}
