//! The formats, each with a real file of `tests/convert`, and what no input may do.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, BufRead, Cursor, Write};
use std::rc::Rc;

use proptest::prelude::*;

use super::*;
use crate::plan;

/// Files in memory.
#[derive(Clone, Debug, Default)]
pub(super) struct FilesInMemory(Rc<RefCell<BTreeMap<String, Vec<u8>>>>);

struct FileInMemory(FilesInMemory, String);

impl Write for FileInMemory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut files = self.0.0.borrow_mut();
        files.entry(self.1.clone()).or_default().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Files for FilesInMemory {
    fn open(&mut self, path: &str) -> io::Result<Box<dyn BufRead>> {
        if let Some(bytes) = self.0.borrow().get(path) {
            return Ok(Box::new(Cursor::new(bytes.clone())));
        }
        match path.trim_start_matches("./") {
            "order.json" => {
                Ok(Box::new(include_bytes!("../../tests/convert/order.json").as_slice()))
            }
            "members.json" => {
                Ok(Box::new(include_bytes!("../../tests/convert/members.json").as_slice()))
            }
            "users.csv" => Ok(Box::new(include_bytes!("../../tests/convert/users.csv").as_slice())),
            "searches.csv" => {
                Ok(Box::new(include_bytes!("../../tests/convert/searches.csv").as_slice()))
            }
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn create(&mut self, name: &str) -> io::Result<Box<dyn Write>> {
        self.0.borrow_mut().insert(name.to_owned(), Vec::new());
        Ok(Box::new(FileInMemory(self.clone(), name.to_owned())))
    }
}

impl FilesInMemory {
    pub(super) fn text(&self, name: &str) -> String {
        String::from_utf8(self.0.borrow()[name].clone()).unwrap()
    }

    fn names(&self) -> Vec<String> {
        self.0.borrow().keys().cloned().collect()
    }
}

pub(super) fn options(origin: &str) -> Options {
    Options { origin: origin.to_owned(), ..Options::default() }
}

/// Converts a text in the format that it looks like.
pub(super) fn converted(
    text: &str,
    options: &Options,
) -> Result<(Converted, FilesInMemory), ConvertError> {
    converted_beside(text, options, &[])
}

/// The same for a text with files beside it.
pub(super) fn converted_beside(
    text: &str,
    options: &Options,
    files: &[(&str, &str)],
) -> Result<(Converted, FilesInMemory), ConvertError> {
    let (spec, mut input) = sniff(Cursor::new(text.as_bytes().to_vec())).unwrap();
    let mut memory = FilesInMemory::default();
    let kept = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
    memory.0.borrow_mut().extend(kept);
    let spec = spec.expect("a known format");
    let converted = convert(spec, &mut *input, &mut memory, options)?;
    assert_plan(&converted.plan);
    Ok((converted, memory))
}

/// A text that a plan may be.
#[track_caller]
fn assert_plan(text: &str) {
    if let Err(why) = plan::parse(text, "it", &[], &|_| Some("value".to_owned())) {
        panic!("{why}\n{text}");
    }
}

/// Plan, notes and what was seen, for a snapshot.
fn page(converted: &Converted) -> String {
    let mut page = String::new();
    for note in &converted.notes {
        let line = note.line.map_or_else(String::new, |line| format!(":{line}"));
        page.push_str(&format!("note{line}: {note}\n"));
    }
    for seen in &converted.seen {
        page.push_str(&format!("seen: {seen}\n"));
    }
    assert!(!(page.clone() + &converted.plan).contains("hush"), "a secret got through:\n{page}");
    format!("{page}\n{}", converted.plan)
}

const FILES: [(&str, &str, &str); 15] = [
    ("vegeta", "targets.txt", include_str!("../../tests/convert/targets.txt")),
    ("vegeta", "targets.jsonl", include_str!("../../tests/convert/targets.jsonl")),
    ("artillery", "shop.artillery.yml", include_str!("../../tests/convert/shop.artillery.yml")),
    ("har", "shop.har", include_str!("../../tests/convert/shop.har")),
    ("access-log", "access.log", include_str!("../../tests/convert/access.log")),
    ("openapi", "shop.openapi.yaml", include_str!("../../tests/convert/shop.openapi.yaml")),
    ("openapi", "pets.swagger.json", include_str!("../../tests/convert/pets.swagger.json")),
    ("jmeter", "shop.jmx", include_str!("../../tests/convert/shop.jmx")),
    ("k6", "shop.k6.js", include_str!("../../tests/convert/shop.k6.js")),
    ("locust", "locustfile.py", include_str!("../../tests/convert/locustfile.py")),
    (
        "postman",
        "shop.postman_collection.json",
        include_str!("../../tests/convert/shop.postman_collection.json"),
    ),
    ("har", "bare.har", include_str!("../../tests/convert/bare.har")),
    ("gatling", "GatlingShop.java", include_str!("../../tests/convert/GatlingShop.java")),
    ("gatling", "GatlingShop.scala", include_str!("../../tests/convert/GatlingShop.scala")),
    ("gatling", "shop.gatling.js", include_str!("../../tests/convert/shop.gatling.js")),
];

#[test]
fn real_files_become_plans_without_their_secrets() {
    for (format, name, text) in FILES {
        let (spec, _) = sniff(text.as_bytes()).unwrap();
        assert_eq!(spec.map(|spec| spec.name), Some(format), "{name}");
        let (converted, _) = converted(text, &options(name)).unwrap();
        insta::assert_snapshot!(name, page(&converted));
    }
}

#[test]
fn popularity_is_kept_in_the_values() {
    let text = FILES[4].2;
    let (_, files) = converted(text, &options("access.log")).unwrap();
    let ids = files.text("product_id.csv");
    let seen = text.matches("GET /product/17 ").count();
    assert!(seen > 3);
    assert_eq!(ids.lines().filter(|line| *line == "17").count(), seen);
    let orders = files.text("user_order.csv");
    assert!(orders.starts_with("id,id2\n"), "{orders}");
    assert!(!files.names().iter().any(|name| files.text(name).contains("hush")));
}

#[test]
fn a_log_is_replayed_at_its_own_times() {
    let options = Options { timed: true, speed: Some(2.0), ..options("access.log") };
    let (converted, files) = converted(FILES[4].2, &options).unwrap();
    assert!(converted.plan.contains("executor = \"replay\"\ntrace = \"trace.csv\"\nspeed = 2\n"));
    let trace = files.text("trace.csv");
    assert_eq!(trace.lines().next(), Some("at,request,id,id2,id3,query"));
    let mut reader = csv::Reader::from_reader(trace.as_bytes());
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 150, "155 requests, five of a method that a plan does not know");
    let times: Vec<f64> = rows.iter().map(|row| row[0].parse().unwrap()).collect();
    assert!(times[0] == 0.0 && times.is_sorted() && times[times.len() - 1] < 60.2, "{times:?}");
    for row in &rows {
        assert!(converted.plan.contains(&format!("name = \"{}\"", &row[1])), "{row:?}");
    }
    assert!(!trace.contains("hush"));
    assert!(converted.plan.contains("path = \"/product/{log.id}\""), "{}", converted.plan);
    assert!(converted.plan.contains("[data.log]\ncsv = \"trace.csv\"\n"));
}

#[test]
fn many_kinds_of_paths_share_one_request() {
    let mut text = String::new();
    for number in 0..400 {
        let (a, b) = (char::from(b'a' + (number % 26) as u8), number / 26);
        let word = "x".repeat(b + 1);
        text.push_str(&format!(
            "h - - [01/Mar/2026:10:00:00 +0000] \"GET /tag/{a}{word}?k={number} HTTP/1.1\" 200 1\n"
        ));
    }
    let (converted, files) = converted(&text, &options("access.log")).unwrap();
    assert!(converted.plan.contains("name = \"GET /tag/ other\"\nweight = 250\n"));
    assert_eq!(files.text("tag_id.csv").lines().count(), 251);
    assert!(converted.notes.iter().any(|note| note.text.contains("named `other`")));
}

/// What is wrong with a text of a format.
#[track_caller]
fn refusal(format: &str, text: &str) -> String {
    let spec = find(format).unwrap();
    let done = convert(spec, &mut text.as_bytes(), &mut FilesInMemory::default(), &options("it"));
    done.expect_err("a mistake").to_string()
}

#[test]
fn mistakes_are_told_at_once_with_their_place() {
    let text = refusal("vegeta", "GET http://a/\nnonsense\n\nGTE http://a/\n\nGET ftp://a/\n");
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("line 2: expected a header"), "{text}");
    assert!(lines[1].starts_with("line 4: ") && lines[1].contains("did you mean `GET`"), "{text}");
    assert!(lines[2].starts_with("line 6: `ftp`"), "{text}");

    let text = refusal(
        "artillery",
        "config:\n  target: nowhere\n  phases:\n    - duration: 0\nscenarios:\n  - flow:\n      - get: {}\n      - think: long\n",
    );
    for says in ["line 2, column 11", "line 4, column 7", "line 7, column 14", "line 8, column 16"]
    {
        assert!(text.contains(says), "missing: {says}\n{text}");
    }
    assert!(refusal("artillery", "config: [\n").starts_with("line "));
    assert!(refusal("har", "{\"log\": {}}").contains("missing field `entries`"));
    assert!(refusal("har", "{\n\"log\": x").starts_with("line 2, column "));
    assert!(refusal("openapi", "openapi: 4.0.0\n").contains("expected `openapi: 3.0.x`"));
    assert!(refusal("openapi", "openapi: 3.0.0\npaths: {x: {}}\n").contains("must begin with `/`"));
    assert!(refusal("access-log", "a\nb\n").starts_with("line 1: no request in this line"));
    assert_eq!(
        refusal("vegeta", ""),
        "the file holds no target; expected lines such as `GET http://127.0.0.1:8080/`"
    );
}

#[test]
fn a_body_with_values_in_it_keeps_them_and_no_secret() {
    let script = "config: {target: 'http://127.0.0.1:1'}\nscenarios:\n  - flow:\n      \
                  - post: {url: /a, body: '{\"u\": {{ user }}, \"password\": \"hush\"}'}\n      \
                  - post: {url: /b, body: 'u={{ user }}&password=hush&token={{ token }}'}\n";
    let (converted, _) = converted(script, &options("it")).unwrap();
    let plan = page(&converted);
    assert!(plan.contains(r#"{{"u": {user}, "password": "${PASSWORD}"}}"#), "{plan}");
    assert!(plan.contains("u={user}&password=${PASSWORD}&token={token}"), "{plan}");
}

#[test]
fn a_form_with_files_that_was_not_recorded_is_not_made_up() {
    let entry = serde_json::json!({
        "startedDateTime": "2026-03-01T10:00:00Z",
        "request": {"method": "POST", "url": "http://127.0.0.1/photo", "postData": {
            "mimeType": "multipart/form-data; boundary=x",
            "params": [{"name": "title", "value": "me"}, {"name": "file", "fileName": "a.png"}],
        }},
    });
    let har = serde_json::json!({"log": {"creator": {}, "entries": [entry]}});
    let (converted, _) = converted(&har.to_string(), &options("it")).unwrap();
    assert!(converted.plan.contains("write the body by hand"), "{}", converted.plan);
    assert!(!converted.plan.contains("title=me"), "{}", converted.plan);
}

#[test]
fn an_option_that_means_nothing_is_refused() {
    let options = Options { keep_static: true, ..options("it") };
    let why = converted(FILES[4].2, &options).unwrap_err().to_string();
    assert_eq!(why, "`--keep-static` does not apply to access-log files");
}

#[test]
fn every_converter_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<_> = CONVERTERS.iter().map(|spec| spec.name).collect();
    assert_eq!(names.len(), CONVERTERS.len());
}

/// Whatever comes out of any input is a plan.
fn survives(bytes: &[u8]) {
    for spec in CONVERTERS {
        for timed in [false, true] {
            let timed = timed && spec.options.contains(&"--timed");
            let options = Options { timed, ..options("a {b} ${C}\n") };
            let mut input = bytes;
            if let Ok(done) = convert(spec, &mut input, &mut FilesInMemory::default(), &options) {
                assert_plan(&done.plan);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        survives(&bytes);
    }

    /// Real files with a part taken out, put in twice, or overwritten.
    #[test]
    fn no_damaged_file_breaks_it(
        file in 0..FILES.len(),
        cuts in prop::collection::vec((any::<u16>(), 0..30_usize, "[ -~\n{}$\"':\\[\\]é\u{1}]{0,12}"), 1..6),
    ) {
        let mut bytes = FILES[file].2.as_bytes().to_vec();
        for (at, length, text) in cuts {
            let at = usize::from(at) % (bytes.len() + 1);
            let end = (at + length).min(bytes.len());
            bytes.splice(at..end, text.bytes());
        }
        survives(&bytes);
    }

    /// Odd texts in every place of a target.
    #[test]
    fn no_text_of_a_request_is_read_as_more(path in "\\PC{0,20}", value in "\\PC{0,20}", body in "\\PC{0,30}") {
        let line = serde_json::json!({
            "method": "POST",
            "url": format!("http://127.0.0.1/{path}"),
            "header": {"x-a": [value.clone(), value]},
            "body": base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &body),
        });
        let (done, _) = converted(&line.to_string(), &options("it")).unwrap();
        let plan = plan::parse(&done.plan, "it", &[], &|_| Some("value".to_owned())).unwrap();
        if let Some(read) = &plan.requests[0].body {
            let text: String = read.template.0.iter().map(|segment| match segment {
                plan::Segment::Text(text) => text.clone(),
                other => panic!("{other:?}"),
            }).collect();
            prop_assert_eq!(text, body);
        }
    }
}
