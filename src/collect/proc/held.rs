//! What a process holds: its environment, the files that it writes, and its connections to others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use super::listen::ports_of;
use super::socket_inodes;
use crate::plan::Secret;

/// State of a connection in `/proc/net/tcp` (TCP_ESTABLISHED of include/net/tcp_states.h).
const ESTABLISHED: &str = "01";
/// The bits of the open flags that say how a file was opened (O_ACCMODE of fcntl.h).
const ACCESS_MODE: u32 = 0o3;
/// Longest environment that is read, in bytes. Linux allows a program 6 MiB of it at most.
const MOST_ENVIRONMENT: u64 = 8 << 20;

/// The environment that a process was started with. Any value may be a secret.
///
/// # Errors
/// If kneepoint may not read it: that needs the process's user, or root.
pub fn environment(pid: u32) -> io::Result<Vec<(String, Secret)>> {
    let mut bytes = Vec::new();
    File::open(format!("/proc/{pid}/environ"))?.take(MOST_ENVIRONMENT).read_to_end(&mut bytes)?;
    let pairs = bytes.split(|byte| *byte == 0).filter_map(|pair| {
        let (name, value) = std::str::from_utf8(pair).ok()?.split_once('=')?;
        Some((name.to_owned(), Secret::new(value)))
    });
    Ok(pairs.collect())
}

/// The regular files that a process has open for writing, without those that were removed.
///
/// # Errors
/// If kneepoint may not read the process's descriptors.
pub fn written_files(pid: u32) -> io::Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))?.flatten() {
        let Ok(path) = fs::read_link(entry.path()) else { continue };
        let number = entry.file_name();
        let info = format!("/proc/{pid}/fdinfo/{}", number.to_string_lossy());
        let is_written = fs::read_to_string(info).is_ok_and(|text| is_for_writing(&text));
        // A file of another mount namespace does not exist here under this path.
        if is_written && fs::metadata(&path).is_ok_and(|file| file.is_file()) {
            files.insert(path);
        }
    }
    Ok(files)
}

/// Whether a `/proc/PID/fdinfo/FD` is of a descriptor for writing: `flags:` holds the open flags in
/// octal (proc(5)).
fn is_for_writing(info: &str) -> bool {
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & ACCESS_MODE != 0)
}

/// Where a process has opened connections to, with their number. Connections that others have opened
/// to it are left out, and those to itself too.
///
/// # Errors
/// If kneepoint may not read the process's descriptors.
pub fn peers(pid: u32) -> io::Result<BTreeMap<SocketAddr, usize>> {
    // Says whether the descriptors may be read at all: no socket is no error.
    fs::read_dir(format!("/proc/{pid}/fd"))?;
    let (own, listening) = (socket_inodes(pid).collect::<BTreeSet<u64>>(), ports_of(pid));
    let mut peers = BTreeMap::new();
    for name in ["tcp", "tcp6"] {
        let Ok(table) = File::open(format!("/proc/{pid}/net/{name}")) else { continue };
        for line in BufReader::new(table).lines().skip(1).map_while(Result::ok) {
            let Some((local, remote, inode)) = connection(&line) else { continue };
            let is_own = own.contains(&inode);
            if is_own && !listening.contains(&local.port()) {
                *peers.entry(remote).or_default() += 1;
            }
        }
    }
    Ok(peers)
}

/// The two ends and the inode of an established connection in a row of `/proc/net/tcp`.
fn connection(line: &str) -> Option<(SocketAddr, SocketAddr, u64)> {
    let mut fields = line.split_ascii_whitespace();
    let (local, remote) = (fields.nth(1)?, fields.next()?);
    if fields.next()? != ESTABLISHED {
        return None;
    }
    let inode = fields.nth(5)?.parse().ok()?;
    Some((address(local)?, address(remote)?, inode))
}

/// An address such as `0100007F:1F90`: words of 32 bits in the machine's own order.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(ip.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip = match ip.len() {
        8 => IpAddr::from(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let mut octets = [0; 16];
            for (place, byte) in octets.iter_mut().zip(words.as_flattened()) {
                *place = *byte;
            }
            IpAddr::from(Ipv6Addr::from(octets)).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn rows_of_both_tables_are_read() {
        let row = "   2: 0100007F:D431 0100007F:1538 01 00000000:00000000 00:00000000 00000000    42   \
                   0 22182 1 0000000005f1edca 20 4 1 15 -1";
        let (local, remote, inode) = connection(row).unwrap();
        assert_eq!(
            (local.port(), remote, inode),
            (54321, "127.0.0.1:5432".parse().unwrap(), 22182)
        );
        let mapped = "0000000000000000FFFF00000100007F:1538";
        assert_eq!(address(mapped), Some("127.0.0.1:5432".parse().unwrap()));
        assert_eq!(connection(&row.replace(" 01 ", " 06 ")), None);
        for bad in ["", "0100007F", "01:1538", "0100007G:1538", "é100007F:1538"] {
            assert_eq!(address(bad), None, "{bad}");
        }
        assert!(is_for_writing("pos:\t0\nflags:\t0102001\nmnt_id:\t13\n"));
        assert!(!is_for_writing("pos:\t0\nflags:\t0100000\n") && !is_for_writing(""));
    }

    #[test]
    fn what_this_process_holds_is_found() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "a line").unwrap();
        let path = file.path().canonicalize().unwrap();
        assert!(written_files(std::process::id()).unwrap().contains(&path));
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = other.local_addr().unwrap();
        let _kept = TcpStream::connect(at).unwrap();
        // The other end is this process's too, and is not a connection that it has opened.
        let peers = peers(std::process::id()).unwrap();
        assert_eq!(peers.get(&at), Some(&1), "{peers:?}");
        assert!(environment(std::process::id()).unwrap().iter().any(|(name, _)| name == "PATH"));
        assert!(peers.keys().all(|peer| peer.port() != 0));
    }
}
