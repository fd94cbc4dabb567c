//! Keeps what failed requests got in place of a good response: the first distinct bodies and errors
//! of each endpoint and status, and how often each came.
//!
//! A success costs one comparison. A failure whose body came before costs a hash of the body. Only
//! a kind of failure that is new takes a lock, and is masked. All that is kept has bounds.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use httparse::Header;

use super::decode::Decoder;
use super::failure::Failure;
use super::response::Observer;
use crate::timeline::{FailureCount, FailureKind, ResponseClass, cut, mask_secrets, text_template};

/// Distinct kinds of failures that are kept of one endpoint and class.
const MOST_KINDS: usize = 20;
/// Distinct kinds that are kept of all endpoints together.
const MOST_KINDS_TOGETHER: usize = 400;
/// Bytes of a text that are kept.
const MOST_TEXT: usize = 300;
/// Bytes of a body that are looked at: markup takes more room than what it says.
const MOST_BODY: usize = 2048;
/// Headers that are kept, and bytes of each.
const MOST_HEADERS: usize = 12;
const MOST_HEADER: usize = 100;
/// Bodies that are known byte by byte. Beyond that, they are forgotten and recognised again.
const MOST_KNOWN: usize = 1024;

/// Headers that say something about a limit, or about who answered.
const HEADERS: [&str; 10] = [
    "retry-after",
    "server",
    "via",
    "x-ratelimit*",
    "x-rate-limit*",
    "ratelimit*",
    "x-envoy-*",
    "x-amzn-errortype",
    "grpc-status",
    "grpc-message",
];

/// The kinds of failures that all workers have seen.
#[derive(Default)]
pub(super) struct FailureTable {
    kinds: Mutex<Vec<(Key, Arc<FailureKind>)>>,
}

/// What makes two failures the same: endpoint, class, and the words before masking. `None` stands
/// for the rest.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    endpoint: String,
    class: ResponseClass,
    template: Option<String>,
}

impl FailureTable {
    /// The index of a kind, and the kind. A new one is added while there is room.
    fn find(
        &self,
        key: Key,
        text: &str,
        headers: &[(String, String)],
    ) -> (usize, Arc<FailureKind>) {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let at = |kinds: &[(Key, Arc<FailureKind>)], key: &Key| {
            kinds.iter().position(|(known, _)| known == key)
        };
        let same = |(known, _): &&(Key, Arc<FailureKind>)| {
            known.endpoint == key.endpoint && known.class == key.class && known.template.is_some()
        };
        let has_room =
            kinds.len() < MOST_KINDS_TOGETHER && kinds.iter().filter(same).count() < MOST_KINDS;
        let (key, is_rest) = match at(&kinds, &key) {
            Some(_) => (key, false),
            None if has_room => (key, false),
            None => (Key { template: None, ..key }, true),
        };
        let index = at(&kinds, &key).unwrap_or_else(|| {
            let hide = |text: &str| cut(&mask_secrets(text), MOST_TEXT).to_owned();
            let headers = match is_rest {
                true => Vec::new(),
                false => headers
                    .iter()
                    .map(|(name, value)| (name.clone(), mask_secrets(value)))
                    .collect(),
            };
            let kind = FailureKind {
                endpoint: key.endpoint.clone(),
                class: key.class,
                template: key.template.as_deref().map(hide).unwrap_or_default(),
                example: if is_rest { String::new() } else { hide(text) },
                headers,
                is_rest,
            };
            kinds.push((key, Arc::new(kind)));
            kinds.len() - 1
        });
        (index, Arc::clone(&kinds[index].1))
    }
}

/// What one worker knows of failures, and counts in the current second.
pub(super) struct FailureMeter {
    table: Arc<FailureTable>,
    /// By endpoint, class and hash of the raw text.
    known: HashMap<(usize, ResponseClass, u64), usize>,
    /// By endpoint, class and template.
    templates: HashMap<(usize, ResponseClass, String), usize>,
    /// Endpoints and classes whose further kinds are all counted together, and where.
    full: HashMap<(usize, ResponseClass), usize>,
    kinds: HashMap<usize, Arc<FailureKind>>,
    counts: BTreeMap<usize, u64>,
}

impl FailureMeter {
    /// Knows nothing yet. `table` is shared by all workers.
    pub(super) fn new(table: Arc<FailureTable>) -> Self {
        Self {
            table,
            known: HashMap::new(),
            templates: HashMap::new(),
            full: HashMap::new(),
            kinds: HashMap::new(),
            counts: BTreeMap::new(),
        }
    }

    /// Counts a failure of the endpoint `name`, which is number `place`.
    pub(super) fn count(
        &mut self,
        place: usize,
        name: &str,
        class: ResponseClass,
        capture: &Capture,
    ) {
        let raw = (place, class, capture.hash());
        let index = match self.known.get(&raw) {
            Some(index) => *index,
            None => {
                let index = self.recognise(place, name, class, capture);
                if self.known.len() >= MOST_KNOWN {
                    self.known.clear();
                }
                self.known.insert(raw, index);
                index
            }
        };
        *self.counts.entry(index).or_default() += 1;
    }

    fn recognise(
        &mut self,
        place: usize,
        name: &str,
        class: ResponseClass,
        capture: &Capture,
    ) -> usize {
        let text = capture.text();
        let template = (place, class, text_template(&text, MOST_TEXT));
        if let Some(index) = self.templates.get(&template) {
            return *index;
        }
        if let Some(index) = self.full.get(&(place, class)) {
            return *index;
        }
        let key = Key { endpoint: name.to_owned(), class, template: Some(template.2.clone()) };
        let (index, kind) = self.table.find(key, &text, &capture.headers);
        match kind.is_rest {
            true => drop(self.full.insert((place, class), index)),
            false => drop(self.templates.insert(template, index)),
        }
        self.kinds.insert(index, kind);
        index
    }

    /// The counts of the current second. They begin again at zero.
    pub(super) fn take(&mut self) -> Vec<FailureCount> {
        let counts = std::mem::take(&mut self.counts);
        let counted = |(index, count)| {
            let kind = Arc::clone(self.kinds.get(&index)?);
            Some(FailureCount { kind, count })
        };
        counts.into_iter().filter_map(counted).collect()
    }
}

/// What one request got, if it failed.
#[derive(Default)]
pub(super) struct Capture {
    /// Whether the response is a failure, so that its body is kept.
    is_failure: bool,
    is_markup: bool,
    body: Vec<u8>,
    headers: Vec<(String, String)>,
    decoder: Option<Decoder>,
}

impl Capture {
    /// Forgets the last request.
    pub(super) fn clear(&mut self) {
        if self.is_failure || !self.body.is_empty() {
            *self = Self::default();
        }
    }

    /// Keeps why there is no response.
    pub(super) fn fail(&mut self, failure: &Failure) {
        *self =
            Self { is_failure: true, body: failure.to_string().into_bytes(), ..Self::default() };
    }

    /// Keeps the checks that failed.
    pub(super) fn fail_check(&mut self, check: &str) {
        if self.body.is_empty() {
            self.is_failure = true;
            self.body = format!("check failed: {check}").into_bytes();
        }
    }

    /// Ends a response.
    pub(super) fn finish(&mut self) {
        if let Some(decoder) = self.decoder.take() {
            // A body that is cut off or broken is shown up to that point.
            decoder.finish(&mut self.body).unwrap_or(());
            self.body.truncate(MOST_BODY);
        }
    }

    fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.body.hash(&mut hasher);
        hasher.finish()
    }

    /// What it says, without markup.
    fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let odd =
            text.chars().filter(|c| *c == '\u{FFFD}' || (c.is_control() && !c.is_whitespace()));
        if odd.count() * 10 > text.chars().count() {
            return "(binary)".to_owned();
        }
        let text = match self.is_markup || text.trim_start().starts_with('<') {
            true => without_markup(&text),
            false => text.into_owned(),
        };
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

impl Observer for Capture {
    fn head(&mut self, status: u16, headers: &[Header<'_>]) {
        if status < 400 {
            return;
        }
        self.is_failure = true;
        for header in headers {
            let value = || String::from_utf8_lossy(header.value);
            if speaks(header.name) && self.headers.len() < MOST_HEADERS {
                let name = header.name.to_ascii_lowercase();
                self.headers.push((name, cut(&value(), MOST_HEADER).to_owned()));
            } else if header.name.eq_ignore_ascii_case("content-encoding") {
                self.decoder = Decoder::for_encoding(&value(), MOST_BODY);
            } else if header.name.eq_ignore_ascii_case("content-type") {
                self.is_markup = value().contains("html") || value().contains("xml");
            }
        }
    }

    fn body(&mut self, bytes: &[u8]) {
        if !self.is_failure || self.body.len() >= MOST_BODY {
            return;
        }
        match &mut self.decoder {
            // A body that is too long is kept up to the limit.
            Some(decoder) => decoder.push(bytes, &mut self.body).unwrap_or(()),
            None => {
                let room = MOST_BODY - self.body.len();
                self.body.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
        }
    }
}

/// Two observers of the same response.
pub(super) struct Both<'a, A, B>(pub(super) &'a mut A, pub(super) &'a mut B);

impl<A: Observer, B: Observer> Observer for Both<'_, A, B> {
    fn head(&mut self, status: u16, headers: &[Header<'_>]) {
        self.0.head(status, headers);
        self.1.head(status, headers);
    }

    fn body(&mut self, bytes: &[u8]) {
        self.0.body(bytes);
        self.1.body(bytes);
    }
}

/// Whether a header is one of [`HEADERS`].
fn speaks(name: &str) -> bool {
    let begins = |prefix: &str| {
        name.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
    };
    HEADERS.iter().any(|known| match known.strip_suffix('*') {
        Some(prefix) => begins(prefix),
        None => name.eq_ignore_ascii_case(known),
    })
}

/// The text of a page: without tags, and without the content of scripts and styles.
fn without_markup(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(begin) = rest.find('<') {
        plain.push_str(&rest[..begin]);
        rest = &rest[begin..];
        let lower = |text: &str, length: usize| cut(text, length).to_ascii_lowercase();
        let silent = ["script", "style"]
            .into_iter()
            .find(|tag| lower(&rest[1..], tag.len()) == **tag)
            .and_then(|tag| rest.to_ascii_lowercase().find(&format!("</{tag}")));
        rest = &rest[silent.unwrap_or(0)..];
        // What follows an open tag that does not end is cut off.
        rest = rest.find('>').map_or("", |end| &rest[end + 1..]);
        plain.push(' ');
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const FULL: ResponseClass = ResponseClass::Status(503);

    fn capture(status: u16, headers: &[(&str, &str)], body: &str) -> Capture {
        let mut capture = Capture::default();
        capture.clear();
        let headers: Vec<Header<'_>> =
            headers.iter().map(|(name, value)| Header { name, value: value.as_bytes() }).collect();
        capture.head(status, &headers);
        let (begin, end) = body.as_bytes().split_at(body.len() / 2);
        capture.body(begin);
        capture.body(end);
        capture.finish();
        capture
    }

    fn meter() -> FailureMeter {
        FailureMeter::new(Arc::default())
    }

    #[test]
    fn the_same_words_are_counted_together() {
        let mut meter = meter();
        for id in 0..5 {
            let body = format!("{{\"error\":\"pool timed out\",\"request\":{id}}}");
            meter.count(0, "cart", FULL, &capture(503, &[("Retry-After", "1")], &body));
        }
        meter.count(0, "cart", FULL, &capture(503, &[], "gone"));
        let counts = meter.take();
        let told: Vec<(&str, u64)> =
            counts.iter().map(|it| (it.kind.example.as_str(), it.count)).collect();
        let first = "{\"error\":\"pool timed out\",\"request\":0}";
        assert_eq!(told, [(first, 5), ("gone", 1)]);
        assert_eq!(counts[0].kind.headers, [("retry-after".to_owned(), "1".to_owned())]);
        assert!(meter.take().is_empty());
    }

    #[test]
    fn successes_leave_nothing() {
        let kept = capture(200, &[("Retry-After", "1")], "all is well");
        assert!(kept.body.is_empty() && kept.headers.is_empty());
    }

    #[test]
    fn secrets_are_hidden() {
        let mut meter = meter();
        let headers = [("Via", "1.1 proxy token=hunter2"), ("Set-Cookie", "sid=hunter2")];
        let body = "login of ann@example.com with password=hunter2 failed";
        meter.count(0, "cart", FULL, &capture(503, &headers, body));
        let told = format!("{:?}", meter.take());
        assert!(!told.contains("hunter2") && !told.contains("ann@"), "{told}");
        assert!(told.contains("password=***") && told.contains("1.1 proxy"), "{told}");
    }

    #[test]
    fn a_page_is_told_without_its_markup() {
        let page = "<html><head><style>b { x }</style><title>503 Service Temporarily Unavailable\
                    </title></head>\r\n<body><hr><center>nginx</center></body></html>";
        let text = capture(503, &[("content-type", "text/html")], page).text();
        assert_eq!(text, "503 Service Temporarily Unavailable nginx");
        assert_eq!(capture(503, &[], "\u{1}\u{2}\u{3}").text(), "(binary)");
        assert_eq!(capture(503, &[("content-type", "text/html")], "<scr").text(), "");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let table = Arc::new(FailureTable::default());
        let mut meters: Vec<FailureMeter> =
            (0..2).map(|_| FailureMeter::new(Arc::clone(&table))).collect();
        let word = |n: usize| -> String {
            let letters = n.to_string().into_bytes().into_iter();
            letters.map(|digit| char::from(digit - b'0' + b'a')).collect()
        };
        for n in 0..3000 {
            let body = format!("{} {}", word(n), "long ".repeat(1000));
            meters[n % 2].count(0, "cart", FULL, &capture(503, &[], &body));
        }
        let mut counts = meters[0].take();
        counts.extend(meters[1].take());
        assert_eq!(counts.iter().map(|it| it.count).sum::<u64>(), 3000);
        let kinds: HashSet<_> = counts.iter().map(|it| Arc::clone(&it.kind)).collect();
        assert_eq!(kinds.len(), MOST_KINDS + 1);
        assert_eq!(kinds.iter().filter(|kind| kind.is_rest).count(), 1);
        assert!(kinds.iter().all(|kind| kind.example.len() <= MOST_TEXT));
        assert!(meters.iter().all(|it| it.known.len() <= MOST_KNOWN && it.templates.len() <= 40));
    }

    #[test]
    fn errors_of_connections_are_words_too() {
        let mut meter = meter();
        let mut capture = Capture::default();
        capture.fail(&Failure::Closed("without a response"));
        meter.count(0, "cart", ResponseClass::Reset, &capture);
        assert_eq!(meter.take()[0].kind.example, "the connection was closed without a response");
    }
}
