//! Finds the listeners of a TCP port (`/proc/net/tcp`, `/proc/net/tcp6`) or of a UNIX socket
//! (`/proc/net/unix`).

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::network::Network;
use super::socket_inodes;

/// State of listening sockets in `/proc/net/tcp` (TCP_LISTEN of include/net/tcp_states.h).
const LISTEN: &str = "0A";

/// One row of `/proc/net/tcp`, with the fields that finding a listener needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    is_listening: bool,
    port: u16,
    uid: u32,
    inode: u64,
}

fn parse_row(line: &str) -> Option<Row> {
    let mut fields = line.split_ascii_whitespace();
    let local = fields.nth(1)?;
    let state = fields.nth(1)?;
    let uid = fields.nth(3)?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    let port = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
    Some(Row { is_listening: state == LISTEN, port, uid, inode })
}

/// The sockets that listen on one port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listeners {
    /// Inode numbers of the sockets.
    pub inodes: BTreeSet<u64>,
    /// Users who own the sockets.
    pub uids: BTreeSet<u32>,
}

/// Collects the listeners among the rows of a `/proc/net/tcp`. Stops at the first socket that does
/// not listen: the kernel lists listening sockets first, and there may be tens of thousands of
/// others.
fn collect(rows: impl BufRead, port: u16, into: &mut Listeners) -> io::Result<()> {
    for line in rows.lines().skip(1) {
        let Some(row) = parse_row(&line?) else { continue };
        if !row.is_listening {
            break;
        }
        if row.port == port {
            into.inodes.insert(row.inode);
            into.uids.insert(row.uid);
        }
    }
    Ok(())
}

/// The sockets that listen on TCP `port` in a network namespace.
///
/// # Errors
/// If neither table can be read.
pub fn listeners(network: Network, port: u16) -> io::Result<Listeners> {
    let mut found = Listeners::default();
    let mut read = |name| collect(BufReader::new(network.table(name)?), port, &mut found);
    let (four, six) = (read("tcp"), read("tcp6"));
    // A machine without IPv6 has only one table.
    four.or(six).map(|()| found)
}

/// The ports on which process `pid` listens, in its own network namespace; empty if kneepoint may not
/// read its descriptors.
pub fn ports_of(pid: u32) -> BTreeSet<u16> {
    let sockets: BTreeSet<u64> = socket_inodes(pid).collect();
    let mut ports = BTreeSet::new();
    for name in ["tcp", "tcp6"] {
        let Ok(table) = File::open(format!("/proc/{pid}/net/{name}")) else { continue };
        let rows = BufReader::new(table).lines().skip(1).map_while(Result::ok);
        // The kernel lists listening sockets first.
        let listening = rows.filter_map(|line| parse_row(&line)).take_while(|row| row.is_listening);
        ports.extend(listening.filter(|row| sockets.contains(&row.inode)).map(|row| row.port));
    }
    ports
}

/// This flag is set for a UNIX socket that listens (`__SO_ACCEPTCON` of include/linux/net.h).
const ACCEPTS: u32 = 0x1_0000;

/// The UNIX sockets of a network namespace that listen under `path`, spelled as they were bound, with
/// the owner of the file.
///
/// # Errors
/// If the table cannot be read.
pub fn unix_listeners(network: Network, path: &str) -> io::Result<Listeners> {
    // A path of another namespace is, as a rule, one of another file system too.
    let is_here = network.is_own();
    let whole = Some(path).filter(|_| is_here).and_then(|path| std::fs::canonicalize(path).ok());
    let is_it = |bound: &str| bound == path || whole.as_deref() == Some(Path::new(bound));
    let inodes = unix_inodes(BufReader::new(network.table("unix")?), is_it)?;
    let owner = Some(path).filter(|_| is_here).and_then(|path| std::fs::metadata(path).ok());
    Ok(Listeners { inodes, uids: owner.into_iter().map(|file| file.uid()).collect() })
}

fn unix_inodes(rows: impl BufRead, is_it: impl Fn(&str) -> bool) -> io::Result<BTreeSet<u64>> {
    let mut inodes = BTreeSet::new();
    for line in rows.split(b'\n').skip(1) {
        // A path may contain any bytes. One that is not UTF-8 cannot be the plan's.
        let Ok(line) = String::from_utf8(line?) else { continue };
        let mut fields = line.split_ascii_whitespace();
        let flags = fields.nth(3).and_then(|flags| u32::from_str_radix(flags, 16).ok());
        let inode = fields.nth(2).and_then(|inode| inode.parse::<u64>().ok());
        let (Some(flags), Some(inode)) = (flags, inode) else { continue };
        // The path is the rest of the line, including spaces.
        let path = line.split_once(&format!(" {inode} ")).map_or("", |(_, path)| path);
        if flags & ACCEPTS != 0 && is_it(path) {
            inodes.insert(inode);
        }
    }
    Ok(inodes)
}

#[cfg(test)]
mod tests {
    use super::super::socket_inode;
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
   0: 00000000:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 650 1 000000003f92979b 100 0 0 10 0\n\
   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000    33        0 777 1 000000003f92979b 100 0 0 10 0\n\
   2: 020200C0:1F90 507100CB:0050 01 00000000:00000000 00:00000000 00000000    42        0 22182 1 0000000005f1edca 20 4 1 15 -1\n\
   3: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000    33        0 999 1 000000003f92979b 100 0 0 10 0\n";

    #[test]
    fn only_listeners_of_the_port_count_and_the_rest_is_not_read() {
        let mut found = Listeners::default();
        collect(TABLE.as_bytes(), 8080, &mut found).unwrap();
        assert_eq!(found.inodes, BTreeSet::from([777]));
        assert_eq!(found.uids, BTreeSet::from([33]));
    }

    #[test]
    fn ipv6_rows_and_links_are_read() {
        let line = "   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A \
                    00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0";
        let row = parse_row(line).unwrap();
        assert_eq!((row.is_listening, row.port, row.inode), (true, 8080, 4711));
        assert_eq!(socket_inode("socket:[650]"), Some(650));
        assert_eq!(socket_inode("/dev/null"), None);
    }

    #[test]
    fn only_listening_sockets_of_a_path_count() {
        let table = "Num       RefCount Protocol Flags    Type St Inode Path\n\
                     ffff8880: 00000002 00000000 00010000 0001 01 4711 /run/my app.sock\n\
                     ffff8881: 00000003 00000000 00000000 0001 03 4712 /run/my app.sock\n\
                     ffff8882: 00000002 00000000 00010000 0001 01 4713 @abstract\n\
                     ffff8883: 00000003 00000000 00000000 0001 03 4714\n";
        let found = unix_inodes(table.as_bytes(), |path| path == "/run/my app.sock").unwrap();
        assert_eq!(found, BTreeSet::from([4711]));
    }

    #[test]
    fn a_listener_of_this_process_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sock");
        let socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(unix_listeners(Network::OWN, path.to_str().unwrap()).unwrap().inodes.len(), 1);
        drop(socket);
        assert!(unix_listeners(Network::OWN, path.to_str().unwrap()).unwrap().inodes.is_empty());

        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(listeners(Network::OWN, port).unwrap().inodes.len(), 1);
        assert!(ports_of(std::process::id()).contains(&port));
        drop(listener);
        assert_eq!(listeners(Network::OWN, port).unwrap(), Listeners::default());
    }
}
