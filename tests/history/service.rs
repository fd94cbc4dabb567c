//! A service that only has metrics: requests, a pool of connections, and the database behind it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// Upper bounds of the buckets in seconds.
const BUCKETS: [f64; 6] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
const POOL: u32 = 8;
/// Requests per second and their time in seconds, while all is well and with the pool full. Each
/// holds a connection for 50 ms.
const GOOD: (f64, f64) = (40.0, 0.06);
const FULL: (f64, f64) = (160.0, 0.4);

/// How long an uneven rate stays the same.
const CHANGES: Duration = Duration::from_millis(1300);

#[derive(Default)]
struct Counts {
    buckets: [u64; BUCKETS.len()],
    sum: f64,
    count: u64,
    /// When each request ended, and the seconds that it took.
    ended: Vec<(f64, f64)>,
}

pub struct Service {
    pub port: u16,
    is_full: Arc<AtomicBool>,
    counts: Arc<Mutex<Counts>>,
}

impl Service {
    pub fn start() -> Self {
        Self::with_load(false)
    }

    /// One whose rate changes all the time, as chance arrivals do.
    pub fn start_uneven() -> Self {
        Self::with_load(true)
    }

    fn with_load(is_uneven: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let is_full = Arc::new(AtomicBool::new(false));
        let counts = Arc::new(Mutex::new(Counts::default()));
        let (state, counted) = (Arc::clone(&is_full), Arc::clone(&counts));
        thread::spawn(move || serve_requests(&state, &counted, is_uneven));
        let shared = Arc::clone(&counts);
        let state = Arc::clone(&is_full);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream, &counts, state.load(Ordering::SeqCst));
            }
        });
        Self { port, is_full, counts: shared }
    }

    /// How many requests ended between two times, in seconds since 1970.
    pub fn ended_between(&self, from: f64, to: f64) -> u64 {
        let counts = self.counts.lock().unwrap();
        counts.ended.iter().filter(|(at, _)| (from..to).contains(at)).count() as u64
    }

    /// The requests as nginx writes them down, by a clock that is so many seconds ahead.
    pub fn access_log(&self, ahead: f64) -> String {
        let counts = self.counts.lock().unwrap();
        let line = |(at, took): &(f64, f64)| {
            let at = Timestamp::from_second((at + ahead) as i64).unwrap();
            let at = at.strftime("%d/%b/%Y:%H:%M:%S +0000");
            format!(
                "10.0.0.1 - - [{at}] \"GET /cart?token=hunter2 HTTP/1.1\" 200 512 \"-\" \"-\" \
                 rt={took:.3}\n"
            )
        };
        counts.ended.iter().map(line).collect()
    }

    pub fn fill_the_pool(&self) {
        self.is_full.store(true, Ordering::SeqCst);
    }
}

fn serve_requests(is_full: &AtomicBool, counts: &Mutex<Counts>, is_uneven: bool) {
    let (mut last, mut due) = (Instant::now(), 0.0);
    let mut random = SmallRng::seed_from_u64(1);
    let (mut changed, mut factor) = (Instant::now(), 1.0);
    loop {
        thread::sleep(Duration::from_millis(20));
        let now = Instant::now();
        let (rate, time) = if is_full.load(Ordering::SeqCst) { FULL } else { GOOD };
        if is_uneven && changed.elapsed() >= CHANGES {
            (changed, factor) = (Instant::now(), random.random_range(0.0..2.0));
        }
        let rate = rate * factor;
        due += rate * now.duration_since(last).as_secs_f64();
        last = now;
        let mut counts = counts.lock().unwrap();
        while due >= 1.0 {
            due -= 1.0;
            counts.count += 1;
            let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
            counts.ended.push((at, time));
            counts.sum += time;
            for (bucket, bound) in counts.buckets.iter_mut().zip(BUCKETS) {
                *bucket += u64::from(time <= bound);
            }
        }
    }
}

fn answer(mut stream: TcpStream, counts: &Mutex<Counts>, is_full: bool) {
    let mut request = [0; 4096];
    let length = stream.read(&mut request).unwrap_or(0);
    let is_database = request[..length].starts_with(b"GET /db");
    let text = if is_database { database(is_full) } else { service(counts, is_full) };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        text.len()
    );
    let _gone = stream.write_all((head + &text).as_bytes()).is_err();
}

fn service(counts: &Mutex<Counts>, is_full: bool) -> String {
    let counts = counts.lock().unwrap();
    let name = "http_server_request_duration_seconds";
    let labels =
        "http_request_method=\"GET\",http_route=\"/cart\",http_response_status_code=\"200\"";
    let mut text = format!("# TYPE {name} histogram\n");
    for (bucket, bound) in counts.buckets.iter().zip(BUCKETS) {
        text += &format!("{name}_bucket{{{labels},le=\"{bound}\"}} {bucket}\n");
    }
    let (count, sum) = (counts.count, counts.sum);
    text += &format!("{name}_bucket{{{labels},le=\"+Inf\"}} {count}\n");
    text += &format!("{name}_sum{{{labels}}} {sum}\n{name}_count{{{labels}}} {count}\n");
    let (used, pending) = if is_full { (POOL, 56) } else { (2, 0) };
    text += &format!("hikaricp_connections_active{{pool=\"main\"}} {used}\n");
    text += &format!("hikaricp_connections_idle{{pool=\"main\"}} {}\n", POOL - used);
    text += &format!("hikaricp_connections_max{{pool=\"main\"}} {POOL}\n");
    text += &format!("hikaricp_connections_pending{{pool=\"main\"}} {pending}\n");
    text += "shop_build_info{version=\"1.42\"} 1\nprocess_start_time_seconds 1.7e9\n";
    text
}

fn database(is_full: bool) -> String {
    let active = if is_full { POOL } else { 2 };
    format!(
        "pg_stat_activity_count{{datname=\"shop\",state=\"active\",application_name=\"shop\",\
         wait_event_type=\"\",wait_event=\"\"}} {active}\n\
         pg_stat_activity_count{{datname=\"shop\",state=\"idle\",application_name=\"shop\",\
         wait_event_type=\"Client\",wait_event=\"ClientRead\"}} {}\n\
         pg_settings_max_connections 100\npg_stat_database_numbackends{{datname=\"shop\"}} 8\n",
        POOL - active
    )
}
