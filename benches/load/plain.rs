//! What a request at a rate costs a simple client: one thread sleeps until a request is due, sends
//! it, and waits for the response.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use kneepoint::timeline::Histogram;

use crate::outcome::Outcome;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx-kneepoint: synthetic\r\n\r\n";

/// One connection that repeats the same request. One read returns the whole response, because the
/// server's responses are short.
pub fn load(port: u16, rate: f64, secs: u64) -> Outcome {
    let mut tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the server listens");
    tcp.set_nodelay(true).expect("a connected socket takes options");
    let (mut lateness, mut response_time) = (Histogram::new(), Histogram::new());
    let mut room = [0; 4096];
    let begun = Instant::now();
    let requests = (rate * secs as f64) as u64;
    let mut failed = 0;
    for index in 0..requests {
        let intended = begun + Duration::from_secs_f64(index as f64 / rate);
        thread::sleep(intended.saturating_duration_since(Instant::now()));
        lateness.record(intended.elapsed());
        tcp.write_all(REQUEST).expect("the connection is kept");
        let count = tcp.read(&mut room).expect("the server answers");
        response_time.record(intended.elapsed());
        failed += u64::from(!room[..count].starts_with(b"HTTP/1.1 200 "));
    }
    let micros = |quantile| lateness.quantile(quantile).unwrap_or(0.0) * 1e6;
    let [p50, p99] = [0.5, 0.99].map(|at| response_time.quantile(at).unwrap_or(0.0));
    Outcome { requests, failed, lateness: [0.5, 0.99, 1.0].map(micros), p50, p99 }
}
