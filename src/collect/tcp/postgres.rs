//! Which peers speak PostgreSQL's protocol. A database may listen on any port, and between it and
//! the target there may be a proxy, a tunnel or a pooler. Whoever answers as PostgreSQL does is the
//! database, or leads to it.
//!
//! Each peer is asked once, with the request for encryption that every client of PostgreSQL may
//! begin with. PostgreSQL answers with one byte and waits; a forwarder passes both on. Only peers
//! on this machine and peers that the plan names are asked.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::Duration;

use crate::collect::proc::network::Network;
use crate::timeline::{BatchBuilder, Labels, names};

/// `SSLRequest`: its length in bytes, and the code that PostgreSQL reserves for it ("Message
/// Formats" in PostgreSQL's manual).
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// Time limit of connecting, and of the answer.
const PATIENCE: Duration = Duration::from_millis(500);
/// A protocol in which the server speaks first sends more than one byte within this time.
const NOTHING_MORE: Duration = Duration::from_millis(50);
/// At most this many peers are asked in a run.
const MOST_ASKED: usize = 32;
/// Every so many looks the result is recorded again.
const LOOKS: u32 = 10;

/// Asks peers, on a thread of its own, and keeps the answers.
pub struct Asker {
    /// Absent if the plan forbids to ask.
    questions: Option<SyncSender<SocketAddr>>,
    answers: Receiver<SocketAddr>,
    asked: BTreeSet<SocketAddr>,
    found: BTreeMap<SocketAddr, Labels>,
    looks: u32,
}

impl Asker {
    /// An asker that asks from inside `network`, or one that never does.
    pub fn new(asks: bool, network: Network) -> Self {
        let (questions, to_ask) = mpsc::sync_channel::<SocketAddr>(MOST_ASKED);
        let (tell, answers) = mpsc::sync_channel(MOST_ASKED);
        let asking = thread::Builder::new().name("tcp-postgres".to_owned());
        let runs = asks
            && asking
                .spawn(move || {
                    for peer in to_ask {
                        // From elsewhere the same address may lead to somebody else. A thread that
                        // stayed there would keep the namespace of a container that has ended.
                        let answers = network.within(|| Ok(speaks_postgres(peer)));
                        if answers.unwrap_or(false) && tell.send(peer).is_err() {
                            return;
                        }
                    }
                })
                .is_ok();
        Self {
            questions: runs.then_some(questions),
            answers,
            asked: BTreeSet::new(),
            found: BTreeMap::new(),
            looks: 0,
        }
    }

    /// Has `peer` asked, if it was not yet.
    pub fn consider(&mut self, peer: SocketAddr) {
        let Some(questions) = &self.questions else { return };
        if self.asked.len() < MOST_ASKED && self.asked.insert(peer) {
            // The thread ends only with the asker, and the queue has a place for each peer.
            let _sent = questions.try_send(peer).is_ok();
        }
    }

    /// Whether this peer was asked or will be.
    pub fn knows(&self, peer: &SocketAddr) -> bool {
        self.asked.contains(peer)
    }

    /// Records the peers that answered as PostgreSQL does. `labels` gives their labels.
    pub fn push(&mut self, batch: &mut BatchBuilder, mut labels: impl FnMut(SocketAddr) -> Labels) {
        let known = self.found.len();
        while let Ok(peer) = self.answers.try_recv() {
            self.found.insert(peer, labels(peer).with("by", "answer"));
        }
        if self.found.len() > known || self.looks.is_multiple_of(LOOKS) {
            for labels in self.found.values() {
                batch.push_labelled(&names::TCP_PEER_POSTGRES, labels.clone(), 1.0);
            }
        }
        self.looks = self.looks.wrapping_add(1);
    }
}

/// Whether `peer` answers the request for encryption with the one byte with which PostgreSQL does.
pub fn speaks_postgres(peer: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&peer, PATIENCE)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&SSL_REQUEST)?;
        let mut answer = [0; 16];
        if stream.read(&mut answer)? != 1 || !matches!(answer[0], b'S' | b'N') {
            return Ok(false);
        }
        stream.set_read_timeout(Some(NOTHING_MORE))?;
        match stream.peek(&mut answer) {
            Err(error) => Ok(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)),
            Ok(_) => Ok(false),
        }
    };
    ask().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Instant;

    use super::*;

    /// A server that reads `wait` bytes, sends `answer`, and keeps the connection.
    fn server(wait: usize, answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let _read = stream.read_exact(&mut vec![0; wait]).is_ok();
            let _sent = stream.write_all(answer).is_ok();
            let _closed = stream.read(&mut [0; 64]).is_ok();
        });
        address
    }

    #[test]
    fn one_byte_is_postgres_and_nothing_else_is() {
        assert!(speaks_postgres(server(8, b"N")));
        assert!(speaks_postgres(server(8, b"S")));
        for other in
            [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"-ERR unknown command\r\n", b"E", b""]
        {
            assert!(!speaks_postgres(server(8, other)), "{other:?}");
        }
        // SSH and MySQL speak first, and may begin with the same byte.
        assert!(!speaks_postgres(server(0, b"SSH-2.0-OpenSSH_9.2\r\n")));
        assert!(!speaks_postgres(server(0, b"N\0\0\0\x0a8.0.36\0")));
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(!speaks_postgres(closed));
    }

    #[test]
    fn each_peer_is_asked_once_and_none_where_the_plan_forbids_it() {
        let peer = server(8, b"N");
        let mut asker = Asker::new(true, Network::OWN);
        let began = Instant::now();
        loop {
            asker.consider(peer);
            let mut batch = BatchBuilder::new();
            asker.push(&mut batch, |peer| Labels::none().with("peer", peer.to_string()));
            if let [reading] = batch.finish().as_slice() {
                assert_eq!(reading.key.labels.get("peer"), Some(peer.to_string().as_str()));
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "no answer");
            thread::sleep(Duration::from_millis(10));
        }
        let mut silent = Asker::new(false, Network::OWN);
        silent.consider(peer);
        assert!(!silent.knows(&peer));
    }
}
