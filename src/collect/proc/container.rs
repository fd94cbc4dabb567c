//! Containers of this machine: which one a process is in, and which processes one has.
//!
//! Container engines put the id of a container, 64 hexadecimal digits, into the names of its control
//! groups: `/docker/ID`, `docker-ID.scope`, `libpod-ID.scope`, `cri-containerd-ID.scope`,
//! `crio-ID.scope`, `/kubepods/…/ID`. Nobody has to be asked for it. Names are known only to the
//! engine, which is asked over its socket where that may be opened (Docker Engine API,
//! `GET /containers/{id}/json`; Podman serves the same).

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Text, all_pids};

/// Digits of the id of a container.
const ID: usize = 64;
/// Fewer digits than this do not name a container.
const SHORTEST: usize = 6;
/// Digits that engines show.
const SHOWN: usize = 12;
/// Where engines listen.
const SOCKETS: [&str; 2] = ["/var/run/docker.sock", "/run/podman/podman.sock"];
/// How long an engine may take to answer, and how much it may say.
const PATIENCE: Duration = Duration::from_millis(500);
const LONGEST_ANSWER: u64 = 1 << 20;

/// The id of the container that a process is in, from its `/proc/PID/cgroup`: the innermost, where
/// one container runs in another.
pub fn id_in(membership: &str) -> Option<&str> {
    let groups = membership.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    groups.filter_map(|group| group.rsplit('/').find_map(id_of_group)).next()
}

/// The id in the name of one control group.
fn id_of_group(name: &str) -> Option<&str> {
    let name = name.strip_suffix(".scope").unwrap_or(name);
    let id = name.rsplit('-').next()?;
    // The groups of conmon, which watches a container of Podman, carry the id too.
    let is_id = id.len() == ID && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_id && !name.contains("conmon")).then_some(id)
}

/// The container of a process, as engines show it: the first digits of its id.
pub fn of_process(text: &mut Text, pid: u32) -> Option<String> {
    let membership = text.read(&format!("/proc/{pid}/cgroup")).ok()?;
    id_in(&membership).map(|id| id[..SHOWN].to_owned())
}

/// The processes of the container that `wanted` names: by its id, the first digits of it, or the name
/// that its engine knows. Empty if there is none.
pub fn processes(text: &mut Text, wanted: &str) -> BTreeSet<u32> {
    let by_id = |text: &mut Text, wanted: &str| -> BTreeSet<u32> {
        let in_it = |pid: &u32| {
            let membership = text.read(&format!("/proc/{pid}/cgroup"));
            membership.is_ok_and(|all| id_in(&all).is_some_and(|id| id.starts_with(wanted)))
        };
        all_pids().filter(in_it).collect()
    };
    let lower = wanted.to_ascii_lowercase();
    if lower.len() >= SHORTEST && lower.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let found = by_id(text, &lower);
        if !found.is_empty() {
            return found;
        }
    }
    match sockets().iter().find_map(|socket| id_of_name(socket, wanted).ok().flatten()) {
        Some(id) => by_id(text, &id),
        None => BTreeSet::new(),
    }
}

/// The sockets of engines, the user's own ones included.
fn sockets() -> Vec<PathBuf> {
    let own = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let own = own
        .iter()
        .flat_map(|folder| ["docker.sock", "podman/podman.sock"].map(|it| folder.join(it)));
    SOCKETS.iter().map(PathBuf::from).chain(own).collect()
}

/// The id of the container with this name; `None` if the engine has none.
fn id_of_name(socket: &Path, name: &str) -> io::Result<Option<String>> {
    // A name with other characters is not one (Docker: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`), and must not
    // become a part of the request.
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_name) {
        return Ok(None);
    }
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /containers/{name}/json HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(LONGEST_ANSWER).read_to_end(&mut answer)?;
    Ok(id_in_answer(&String::from_utf8_lossy(&answer)))
}

/// The member `Id` of the engine's answer.
fn id_in_answer(answer: &str) -> Option<String> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let is_found = head.split(' ').nth(1) == Some("200");
    // The body may come in chunks: the object begins at its brace.
    let object = body.get(body.find('{')?..).filter(|_| is_found)?;
    let mut values = serde_json::Deserializer::from_str(object).into_iter::<serde_json::Value>();
    let id = values.next()?.ok()?.get("Id")?.as_str()?.to_ascii_lowercase();
    (id.len() == ID && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    const ONE: &str = "3d72a2a064c135dffa2c6294da92c41d3d72a2a064c135dffa2c6294da92c41d";

    #[test]
    fn the_id_is_read_from_what_each_engine_calls_its_groups() {
        for group in [
            format!("/docker/{ONE}"),
            format!("/system.slice/docker-{ONE}.scope"),
            format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ONE}.scope"),
            format!("/machine.slice/libpod-{ONE}.scope/container"),
            format!("/kubepods/besteffort/pod8a/{ONE}"),
            format!("/kubepods.slice/crio-{ONE}.scope"),
            format!("/docker/{}/docker/{ONE}/init.scope", ONE.replace('3', "4")),
        ] {
            assert_eq!(id_in(&format!("0::{group}\n")), Some(ONE), "{group}");
        }
        let version_one = format!("9:name=systemd:/\n4:memory:/docker/{ONE}\n0::/\n");
        assert_eq!(id_in(&version_one), Some(ONE));
        for group in [
            "/".to_owned(),
            "/system.slice/shop.service".to_owned(),
            format!("/machine.slice/libpod-conmon-{ONE}.scope"),
            format!("/docker/{}", &ONE[1..]),
        ] {
            assert_eq!(id_in(&format!("0::{group}\n")), None, "{group}");
        }
    }

    #[test]
    fn an_engine_is_asked_for_a_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("docker.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let engine = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 256];
            let length = stream.read(&mut request).unwrap();
            let body = format!("{{\"Id\":\"{ONE}\",\"Name\":\"/shop-1\"}}\n");
            write!(stream, "HTTP/1.0 200 OK\r\n\r\n{body}").unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        assert_eq!(id_of_name(&path, "shop-1").unwrap().as_deref(), Some(ONE));
        assert!(engine.join().unwrap().starts_with("GET /containers/shop-1/json HTTP/1.0\r\n"));
        assert_eq!(id_of_name(&path, "a/../b\r\n").unwrap(), None);
        assert!(id_of_name(&directory.path().join("none"), "shop-1").is_err());
        let chunked = format!("HTTP/1.1 200 OK\r\n\r\n5d\r\n{{\"Id\":\"{ONE}\"}}\r\n0\r\n\r\n");
        assert_eq!(id_in_answer(&chunked).as_deref(), Some(ONE));
        for answer in
            ["", "HTTP/1.0 404 Not Found\r\n\r\n{\"message\":\"no\"}", "HTTP/1.0 200 OK\r\n\r\n{"]
        {
            assert_eq!(id_in_answer(answer), None, "{answer}");
        }
    }
}
