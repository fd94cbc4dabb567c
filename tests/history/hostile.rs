//! A server that answers as Prometheus does, and goes wrong in one way.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Begin of what it has stored, in seconds since 1970, and its length in seconds.
pub const BEGIN: f64 = 1_795_888_800.0;
pub const LENGTH: f64 = 5400.0;
/// Seconds between two of its samples, and requests that end between them.
const STEP: f64 = 15.0;
pub const EACH: u64 = 30;
/// Longest time that it gives at once where it has limits, in seconds.
const AT_ONCE: f64 = 700.0;

/// Requests between its first and its last sample.
pub fn requests() -> u64 {
    (LENGTH / STEP) as u64 * EACH
}

/// What it does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Nothing: it answers as it should.
    Nothing,
    /// So many answers are errors.
    Fails(usize),
    /// So many answers end in the middle.
    CutsOff(usize),
    /// It refuses to give much at once.
    Limits,
    /// It does not allow range selectors.
    RefusesRanges,
    /// Some values are not numbers.
    NotNumbers,
    /// The counter begins at zero half-way.
    Restarts,
    /// It is not a Prometheus.
    IsAPage,
    /// It has nothing left of that time.
    Forgot,
}

pub struct Hostile {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Hostile {
    pub fn start(wrong: Wrong) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let counter = Arc::new(AtomicUsize::new(0));
        let asked = Arc::clone(&counter);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let asked = Arc::clone(&asked);
                thread::spawn(move || serve(stream, wrong, &asked));
            }
        });
        Self { port, asked: counter }
    }

    /// How often it was asked for samples.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

fn serve(mut stream: TcpStream, wrong: Wrong, asked: &AtomicUsize) {
    let mut request = Vec::new();
    let mut part = [0; 4096];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut part) {
            Ok(length) if length > 0 => request.extend_from_slice(&part[..length]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&request).into_owned();
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let url = url::Url::parse(&format!("http://x{target}")).unwrap();
    let (status, mut body) = answer(&url, wrong);
    let is_samples = url.path().ends_with("/query");
    let place = if is_samples { asked.fetch_add(1, Ordering::SeqCst) } else { usize::MAX };
    let status = match wrong {
        Wrong::Fails(times) if is_samples && place < times => {
            body = error("internal", "disk on fire");
            500
        }
        Wrong::CutsOff(times) if is_samples && place < times => {
            body.truncate(body.len() / 2);
            200
        }
        _ => status,
    };
    let head = format!(
        "HTTP/1.1 {status} Status\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _gone = stream.write_all((head + &body).as_bytes()).is_err();
}

fn error(kind: &str, text: &str) -> String {
    format!(r#"{{"status":"error","errorType":"{kind}","error":"{text}"}}"#)
}

fn success(data: &str) -> String {
    format!(r#"{{"status":"success","data":{data}}}"#)
}

const NAMES: [&str; 3] = ["_bucket", "_sum", "_count"];

fn series() -> Vec<String> {
    let of = |end: &str| {
        let le = if end == "_bucket" { r#","le":"+Inf""# } else { "" };
        format!(
            r#"{{"__name__":"http_request_duration_seconds{end}","job":"shop","instance":"a:1","code":"200"{le}}}"#
        )
    };
    let nan = r#"{"__name__":"only_nan","job":"shop","instance":"a:1"}"#.to_owned();
    NAMES.into_iter().map(of).chain([nan]).collect()
}

fn answer(url: &url::Url, wrong: Wrong) -> (u16, String) {
    let get = |wanted: &str| {
        let found = url.query_pairs().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.into_owned())
    };
    if wrong == Wrong::IsAPage {
        return (200, "<!doctype html><title>Sign in</title>".to_owned());
    }
    let seconds = |name: &str| get(name).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    match url.path().rsplit('/').next().unwrap_or_default() {
        "series" if wrong == Wrong::Forgot && get("start").is_some() => (200, success("[]")),
        "series" => (200, success(&format!("[{}]", series().join(",")))),
        "metadata" => (404, "not here".to_owned()),
        "query" => {
            let query = get("query").unwrap_or_default();
            let range = query.rsplit('[').next().unwrap_or_default();
            let millis: f64 = range.trim_end_matches("ms]").parse().unwrap_or(0.0);
            let to = seconds("time");
            if wrong == Wrong::RefusesRanges {
                return (400, error("bad_data", "range selectors are not allowed here"));
            }
            if wrong == Wrong::Limits && millis / 1e3 > AT_ONCE {
                let text = "query processing would load too many samples into memory";
                return (422, error("execution", text));
            }
            (200, matrix(to - millis / 1e3, to, wrong))
        }
        "query_range" => (200, matrix(seconds("start"), seconds("end"), wrong)),
        _ => (404, error("not_found", "no such path")),
    }
}

fn matrix(from: f64, to: f64, wrong: Wrong) -> String {
    let all = (LENGTH / STEP) as u64;
    let half = all / 2;
    let count = |place: u64| match wrong {
        Wrong::Restarts if place >= half => (place - half + 1) * EACH,
        _ => 1000 + place * EACH,
    };
    let places: Vec<u64> =
        (0..=all).filter(|place| (from..=to).contains(&(BEGIN + *place as f64 * STEP))).collect();
    let values = |value: &dyn Fn(u64) -> String| {
        let pairs = places
            .iter()
            .map(|place| format!(r#"[{:.3},"{}"]"#, BEGIN + *place as f64 * STEP, value(*place)));
        pairs.collect::<Vec<_>>().join(",")
    };
    let nan = |place: u64| match place % 3 {
        0 => "NaN".to_owned(),
        1 => "+Inf".to_owned(),
        _ => "nonsense".to_owned(),
    };
    let result = series().into_iter().map(|labels| {
        let values = match &labels {
            labels if labels.contains("only_nan") => values(&nan),
            labels if labels.contains("_sum") => {
                values(&|place| format!("{}.5", count(place) / 10))
            }
            _ => values(&|place| count(place).to_string()),
        };
        format!(r#"{{"metric":{labels},"values":[{values}]}}"#)
    });
    let result = result.collect::<Vec<_>>().join(",");
    success(&format!(r#"{{"resultType":"matrix","result":[{result}]}}"#))
}
