//! Each parser of kneepoint as a function of bytes, with its seeds. tests/damaged.rs includes this
//! file, so that `cargo test` runs what the fuzzers run, for a few seconds.

use std::fs;
use std::io::{self, BufRead, Read as _, Write};
use std::path::{Path, PathBuf};

use kneepoint::{collect, convert, import, recording, remote};

/// One parser.
pub struct Target {
    /// Name of its file in `fuzz_targets`.
    pub name: &'static str,
    /// Parses any bytes; panics if the parser has a bug.
    pub run: fn(&[u8]),
    /// The inputs that mutations start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every parser.
pub const TARGETS: &[Target] = &[
    Target { name: "plan", run: plan, seeds: plan_seeds },
    Target { name: "vegeta", run: vegeta, seeds: || files("tests/convert", &["targets"]) },
    Target { name: "artillery", run: artillery, seeds: || files("tests/convert", &["artillery"]) },
    Target { name: "har", run: har, seeds: || files("tests/convert", &["har"]) },
    Target { name: "access_log", run: access_log, seeds: || files("tests/convert", &["log"]) },
    Target {
        name: "openapi",
        run: openapi,
        seeds: || files("tests/convert", &["openapi", "swagger"]),
    },
    Target { name: "jmeter", run: jmeter, seeds: || files("tests/convert", &["jmx"]) },
    Target { name: "k6", run: k6, seeds: || files("tests/convert", &["k6"]) },
    Target { name: "locust", run: locust, seeds: || files("tests/convert", &["locust"]) },
    Target {
        name: "gatling",
        run: gatling,
        seeds: || files("tests/convert", &[".java", ".scala", ".gatling.js"]),
    },
    Target { name: "postman", run: postman, seeds: || files("tests/convert", &["postman"]) },
    Target { name: "imports", run: imports, seeds: import_seeds },
    Target { name: "recording", run: recording, seeds: recording_seeds },
    Target { name: "recording_lines", run: recording_lines, seeds: recording_line_seeds },
    Target { name: "node", run: node, seeds: node_seeds },
    Target { name: "response", run: response, seeds: response_seeds },
    Target { name: "decode", run: decode, seeds: decode_seeds },
    Target { name: "cookies", run: cookies, seeds: cookie_seeds },
    Target { name: "review", run: review, seeds: review_seeds },
    Target { name: "data", run: data, seeds: data_seeds },
    Target { name: "prometheus", run: prometheus, seeds: prometheus_seeds },
];

/// What a node sends: messages, lines of a recording in them, and stamps of its clock.
pub fn node(bytes: &[u8]) {
    let mut decoder = recording::EntryDecoder::default();
    let mut clock = remote::NodeClock::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Ok(envelope) = remote::Envelope::of_line(line) else { continue };
        match envelope.message {
            remote::Message::Lines(message) => {
                message.lines.iter().for_each(|line| drop(decoder.decode(line)));
            }
            remote::Message::Pong(pong) => {
                let remote::PongMessage { sent, received, replied } = pong;
                let returned = i64::try_from(envelope.seq).unwrap_or(i64::MAX);
                let _step = clock.add(remote::Exchange { sent, received, replied, returned });
                let _estimate = clock.estimate(returned);
            }
            other => drop(other.name()),
        }
    }
}

fn node_seeds() -> Vec<Vec<u8>> {
    let line = |seq: u32, message: &str| {
        format!(
            "{{\"run\":\"r\",\"from\":\"db1\",\"epoch\":1,\"seq\":{seq},\"message\":{message}}}\n"
        )
    };
    let hello = r#"{"hello":{"protocol":"1.0","version":"0.1.0","role":"agent","cores":4,"addresses":["10.0.0.5"]}}"#;
    let ready = r#"{"ready":{"watched":[{"name":"tcp","instance":"tcp","watches":"x","interval_secs":1.0}],"warnings":["w"]}}"#;
    let lines = r#"{"lines":[{"type":"series","id":0,"metric":"tcp.sockets","labels":{"peer":"a"},"unit":"count","kind":"census","collector":"tcp"},{"type":"batch","collector":"tcp","begin":5,"end":6,"values":[[0,1.5]]},{"type":"gap","collector":"tcp","begin":7,"end":8,"reason":"busy"},{"type":"event","at":9,"text":"e"}]}"#;
    let pong = r#"{"pong":{"sent":1,"received":100,"replied":101}}"#;
    let messages = [hello, ready, lines, pong];
    let all = messages.iter().zip(1..).map(|(message, seq)| line(seq, message).into_bytes());
    vec![all.collect::<Vec<_>>().concat()]
}

/// The text of a plan.
pub fn plan(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let shapes: Vec<_> = collect::COLLECTORS.iter().map(|spec| spec.shape()).collect();
    match kneepoint::plan::parse(text, "it", &shapes, &|_| Some("value".to_owned())) {
        Ok(plan) => drop(recording::PlanSummary::of(&plan)),
        // Printing a message reads the line that is wrong.
        Err(errors) => drop(errors.to_string()),
    }
}

/// Targets of vegeta.
pub fn vegeta(bytes: &[u8]) {
    converted("vegeta", bytes);
}

/// A script of artillery.
pub fn artillery(bytes: &[u8]) {
    converted("artillery", bytes);
}

/// What a browser recorded.
pub fn har(bytes: &[u8]) {
    converted("har", bytes);
}

/// An access log.
pub fn access_log(bytes: &[u8]) {
    converted("access-log", bytes);
}

/// The description of an API.
pub fn openapi(bytes: &[u8]) {
    converted("openapi", bytes);
}

/// A test plan of JMeter.
pub fn jmeter(bytes: &[u8]) {
    converted("jmeter", bytes);
}

/// A script of k6.
pub fn k6(bytes: &[u8]) {
    converted("k6", bytes);
}

/// A locustfile.
pub fn locust(bytes: &[u8]) {
    converted("locust", bytes);
}

/// A simulation of Gatling.
pub fn gatling(bytes: &[u8]) {
    converted("gatling", bytes);
}

/// A collection of Postman.
pub fn postman(bytes: &[u8]) {
    converted("postman", bytes);
}

/// Converts, and checks that the result parses as a plan.
fn converted(format: &str, bytes: &[u8]) {
    drop(convert::sniff(bytes));
    let spec = convert::find(format).expect("a converter");
    let timed = bytes.len() % 2 == 1;
    let options = convert::Options { origin: "it".to_owned(), timed, ..Default::default() };
    let done = match convert::convert(spec, &mut &*bytes, &mut Nowhere, &options) {
        // Not every format has times.
        Err(convert::ConvertError::Unfit(_)) => {
            let options = convert::Options { timed: false, ..options };
            convert::convert(spec, &mut &*bytes, &mut Nowhere, &options)
        }
        done => done,
    };
    match done {
        Ok(done) => {
            let read = kneepoint::plan::parse(&done.plan, "it", &[], &|_| Some("value".to_owned()));
            if let Err(why) = read {
                panic!("the converted plan does not parse: {why}\n{}", done.plan);
            }
        }
        Err(why) => drop(why.to_string()),
    }
}

/// Stands in for the files beside the input. What is written is discarded.
struct Nowhere;

impl convert::Files for Nowhere {
    fn open(&mut self, path: &str) -> io::Result<Box<dyn BufRead>> {
        match path.len() % 2 {
            0 => Ok(Box::new(&b"id,name\n1,a\n2,b\n"[..])),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn create(&mut self, _name: &str) -> io::Result<Box<dyn Write>> {
        Ok(Box::new(io::sink()))
    }
}

/// The results of other tools.
pub fn imports(bytes: &[u8]) {
    let mut told = import::Files::new(None);
    match told.add(&mut &*bytes).and_then(|()| told.into_recording("it")) {
        Ok(recording) => drop(recording),
        Err(why) => drop(why.to_string()),
    }
    for format in import::Format::all() {
        match import::import(format, "it", &mut &*bytes) {
            Ok(recording) => drop(recording),
            Err(why) => drop(why.to_string()),
        }
    }
}

/// The answers of a Prometheus server, and selectors.
pub fn prometheus(bytes: &[u8]) {
    kneepoint::history::fuzzing::prometheus(bytes);
}

fn prometheus_seeds() -> Vec<Vec<u8>> {
    let seeds: [&str; 4] = [
        r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"up","code":"5xx"},"values":[[1.5,"1"],[2,"NaN"]]}]}}"#,
        r#"{"status":"error","errorType":"execution","error":"query processing would load too many samples"}"#,
        r#"{"status":"success","data":[{"__name__":"up","job":"shop"}]}"#,
        r#"http_requests_total{job="shop",path=~"/a\\.b|c",env!='x'}"#,
    ];
    seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect()
}

/// The bytes of a recording.
pub fn recording(bytes: &[u8]) {
    match recording::read(bytes) {
        Ok((_, notes)) => notes.iter().for_each(|note| drop(note.to_string())),
        Err(why) => drop(why.to_string()),
    }
}

/// The lines of a recording. Damaged bytes seldom get this far, because frames have checksums.
pub fn recording_lines(bytes: &[u8]) {
    recording(&zstd::bulk::compress(bytes, 1).expect("memory"));
}

/// A response of HTTP/1.1. The first byte sets the size of the pieces that it arrives in.
pub fn response(bytes: &[u8]) {
    let Some((how, bytes)) = bytes.split_first() else { return };
    let piece = [1, 7, 100, usize::MAX][usize::from(how % 4)];
    kneepoint::load::fuzzing::response(bytes, piece, how & 4 > 0);
}

/// An encoded body. The first byte sets the size of the pieces that it arrives in.
pub fn decode(bytes: &[u8]) {
    let Some((how, bytes)) = bytes.split_first() else { return };
    kneepoint::load::fuzzing::decode(bytes, [1, 7, 100, usize::MAX][usize::from(how % 4)]);
}

/// `Set-Cookie` headers.
pub fn cookies(bytes: &[u8]) {
    kneepoint::load::fuzzing::cookies(&String::from_utf8_lossy(bytes));
}

/// The first line is a JSONPath, the second a regular expression, the rest a body.
pub fn review(bytes: &[u8]) {
    let mut lines = bytes.splitn(3, |byte| *byte == b'\n').map(String::from_utf8_lossy);
    let mut next = || lines.next().unwrap_or_default();
    let (json, regex, body) = (next(), next(), next());
    kneepoint::load::fuzzing::review(&json, &regex, body.as_bytes());
}

/// Files of data and traces.
pub fn data(bytes: &[u8]) {
    kneepoint::prepare::fuzzing::data(bytes);
}

/// The root of the repository.
fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    if own.join("fuzz_targets").exists() { own.join("..") } else { own.to_owned() }
}

/// The files of a folder whose names contain one of these words.
fn files(folder: &str, words: &[&str]) -> Vec<Vec<u8>> {
    let folder = root().join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|why| panic!("{folder:?}: {why}"));
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let is_meant = |path: &PathBuf| words.iter().any(|word| path.to_string_lossy().contains(word));
    let found: Vec<_> = paths.iter().filter(|path| is_meant(path)).flat_map(fs::read).collect();
    assert!(!found.is_empty(), "no seed in {folder:?}");
    found
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn plan_seeds() -> Vec<Vec<u8>> {
    files("examples", &[".toml"])
}

fn import_seeds() -> Vec<Vec<u8>> {
    let mut seeds = files("tests/data/formats", &[".sample."]);
    seeds.extend(texts(&[
        r#"{"attack":"","seq":0,"code":200,"timestamp":"2026-03-01T10:00:00.3Z","latency":1500000,"bytes_out":0,"bytes_in":5,"error":"","body":"","method":"GET","url":"http://127.0.0.1/cart"}
{"code":0,"timestamp":"2026-03-01T10:00:09.3Z","latency":30000000000,"error":"context deadline exceeded","method":"GET","url":"http://127.0.0.1/cart"}
"#,
        r#"{"type":"Metric","data":{"name":"http_req_duration","type":"trend"},"metric":"http_req_duration"}
{"metric":"http_req_duration","type":"Point","data":{"time":"2026-03-01T10:00:00.3Z","value":250.5,"tags":{"method":"GET","name":"http://127.0.0.1/cart","status":"200"}}}
{"metric":"http_req_duration","type":"Point","data":{"time":"2026-03-01T10:00:04Z","value":0,"tags":{"name":"cart","status":"0","error_code":"1212"}}}
"#,
    ]));
    seeds
}

fn recording_seeds() -> Vec<Vec<u8>> {
    files("tests/recordings", &["compute.", "leak."])
}

fn recording_line_seeds() -> Vec<Vec<u8>> {
    let begin = |file: &Vec<u8>| {
        let mut text = Vec::new();
        zstd::Decoder::new(file.as_slice())
            .and_then(|decoder| decoder.take(60_000).read_to_end(&mut text))
            .expect("a recording");
        text
    };
    recording_seeds().iter().map(begin).collect()
}

fn response_seeds() -> Vec<Vec<u8>> {
    texts(&[
        "0HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 14\r\nset-cookie: sid=1; Path=/\r\n\r\n{\"id\": \"id=7\"}",
        "1HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 302 Found\r\nlocation: /next\r\nconnection: close\r\n\r\nuntil the end",
        "2HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6;x=\"1\"\r\nhello \r\n00a\r\n0123456789\r\n0\r\nsum: 1\r\n\r\n",
        "7HTTP/1.0 204 None\r\nconnection: keep-alive\r\ncontent-encoding: gzip\r\n\r\n",
    ])
}

fn decode_seeds() -> Vec<Vec<u8>> {
    let text = "{\"product\": 42, \"price\": 1.5}\n".repeat(20).into_bytes();
    let level = flate2::Compression::default();
    let mut seeds = vec![text.clone(), zstd::bulk::compress(&text, 3).expect("memory")];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), level);
    gzip.write_all(&text).expect("memory");
    seeds.push(gzip.finish().expect("memory"));
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), level);
    zlib.write_all(&text).expect("memory");
    seeds.push(zlib.finish().expect("memory"));
    let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), level);
    deflate.write_all(&text).expect("memory");
    seeds.push(deflate.finish().expect("memory"));
    // Three million zeros by br, as Node.js writes them.
    seeds.push(b"\x9b\xbf\xc6\x2d\xf8\x27\x00\xe2\xb1\x40\x20\xcf\xb7\x05".to_vec());
    seeds.iter_mut().for_each(|seed| seed.insert(0, b'1'));
    seeds
}

fn cookie_seeds() -> Vec<Vec<u8>> {
    texts(&[
        "sid=1; Path=/; HttpOnly; Secure\ncart=\"2 3\"; Path=/shop; Max-Age=3600\n",
        "a=1; Expires=Thu, 01 Jan 2099 00:00:00 GMT; Domain=example.org\na=; Max-Age=0\n",
    ])
}

fn review_seeds() -> Vec<Vec<u8>> {
    texts(&[
        "$.items[?@.id > 7].name\nid=(\\d+)\n{\"items\": [{\"id\": 7, \"name\": \"a\"}, {\"id\": 8, \"name\": \"b\"}]}",
        "$..price[0,-1,1:3:2]\n(?i)token\\s*[:=]\\s*\"?([a-z]+)\n{\"a\": {\"price\": [1, 2, 3.5]}, \"token\": \"t\"}",
        "$[?search(@.a, 'x.*') && (length(@.b) == 2 || !@.c)]\n^$\n[{\"a\": \"xy\", \"b\": \"zz\"}, null, true]",
    ])
}

fn data_seeds() -> Vec<Vec<u8>> {
    let mut seeds = files("examples", &[".csv"]);
    seeds.extend(files("tests/convert", &["users.csv"]));
    seeds.extend(texts(&[
        "at,request,id\n0,list,1\n0.5,product,2\n7.25,list,\"3\"\n",
        "{\"id\": 1, \"name\": \"a\"}\n{\"name\": [true, null], \"id\": \"2\"}\n",
    ]));
    seeds
}
