//! Who listens on a TCP port: `/proc/net/tcp` and `/proc/net/tcp6`.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader};

/// State of listening sockets in `/proc/net/tcp` (TCP_LISTEN of include/net/tcp_states.h).
const LISTEN: &str = "0A";

/// One row of `/proc/net/tcp`, as far as a listener needs it.
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
    /// Who made them.
    pub uids: BTreeSet<u32>,
}

/// The listeners among the rows of a `/proc/net/tcp`. Reads no further than it must: the kernel
/// lists listening sockets first, and the others may be tens of thousands.
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

/// The sockets that listen on TCP `port` in kneepoint's own network namespace.
///
/// # Errors
/// When neither table can be read.
pub fn listeners(port: u16) -> io::Result<Listeners> {
    let mut found = Listeners::default();
    let mut read = |path| collect(BufReader::new(File::open(path)?), port, &mut found);
    let (four, six) = (read("/proc/net/tcp"), read("/proc/net/tcp6"));
    // A machine without IPv6 has one table only.
    four.or(six).map(|()| found)
}

/// The inode of a descriptor's link text such as `socket:[650]`.
pub fn socket_inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
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
    fn a_listener_of_this_process_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(listeners(port).unwrap().inodes.len(), 1);
        drop(listener);
        assert_eq!(listeners(port).unwrap(), Listeners::default());
    }
}
