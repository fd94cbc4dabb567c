//! A log that is read entry by entry, in any of the forms that are known.

use std::borrow::Cow;
use std::io::{self, BufRead, Cursor, Read};

use jiff::tz::TimeZone;

use super::entry::{Entry, LONGEST};
use super::{journal, postgres};
use crate::history::error::HistoryError;

/// How much of a file is looked at to tell its format, in bytes.
const LOOKED_AT: u64 = 64 << 10;
/// Lines of a log that may stand before the first one with a message.
const UNREAD_AT_FIRST: u64 = 10_000;

const EXPECTED: &str = "expected PostgreSQL's log (stderr with `%m` or `%t` in `log_line_prefix`, \
                        csvlog or jsonlog), or the output of `journalctl -o export` or `-o json`";

/// The form of a log.
enum Form<'r> {
    Stderr(Box<dyn BufRead + 'r>),
    Json(Box<dyn BufRead + 'r>),
    Csv(Box<csv::Reader<Box<dyn BufRead + 'r>>>),
    JournalJson(Box<dyn BufRead + 'r>),
    Export(Box<dyn BufRead + 'r>),
}

/// A log that is being read.
pub struct Log<'r> {
    name: String,
    form: Form<'r>,
    zone: Option<TimeZone>,
    /// The next entry.
    pub(super) next: Option<Entry>,
    /// Lines that were read, and those with an entry.
    lines: u64,
    taken: u64,
    buffer: Vec<u8>,
}

/// Whether a file that begins like this is a log whose lines are evidence.
pub fn is_log(begin: &str) -> bool {
    form_of(begin).is_some()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Stderr,
    Json,
    Csv,
    JournalJson,
    Export,
}

fn form_of(begin: &str) -> Option<Kind> {
    let first = begin.lines().find(|line| !line.trim().is_empty())?;
    if begin.starts_with("__CURSOR=") || begin.starts_with("__REALTIME_TIMESTAMP=") {
        return Some(Kind::Export);
    }
    if first.starts_with('{') {
        if first.contains("\"__REALTIME_TIMESTAMP\"") {
            return Some(Kind::JournalJson);
        }
        return first.contains("\"error_severity\"").then_some(Kind::Json);
    }
    let mut csv = csv::ReaderBuilder::new().has_headers(false).from_reader(begin.as_bytes());
    if let Some(Ok(record)) = csv.records().next()
        && record.len() >= postgres::COLUMNS
        && postgres::of_record(&record, Some(&TimeZone::UTC)).is_ok()
    {
        return Some(Kind::Csv);
    }
    let is_spoken = |line: &str| {
        let read = postgres::of_line(line, None, Some(&TimeZone::UTC));
        !matches!(read, Err(postgres::Without::Continued))
    };
    begin.lines().any(is_spoken).then_some(Kind::Stderr)
}

impl<'r> Log<'r> {
    /// Reads the begin of a log, which messages call `name`. Times without a known zone are of `zone`.
    ///
    /// # Errors
    /// When it cannot be read, or is not such a log.
    pub fn open(
        name: &str,
        mut input: Box<dyn BufRead + 'r>,
        zone: Option<TimeZone>,
    ) -> Result<Self, HistoryError> {
        let mut begin = Vec::new();
        let looked = (&mut input).take(LOOKED_AT).read_to_end(&mut begin);
        looked.map_err(|error| unreadable(name, &error))?;
        let text = String::from_utf8_lossy(&begin).trim_start_matches('\u{feff}').to_owned();
        let Some(kind) = form_of(&text) else {
            return Err(HistoryError::File {
                what: format!("cannot tell the format of the log `{name}`"),
                hint: EXPECTED.to_owned(),
            });
        };
        let input: Box<dyn BufRead + 'r> = Box::new(Cursor::new(begin).chain(input));
        let form = match kind {
            Kind::Stderr => Form::Stderr(input),
            Kind::Json => Form::Json(input),
            Kind::JournalJson => Form::JournalJson(input),
            Kind::Export => Form::Export(input),
            Kind::Csv => {
                let mut builder = csv::ReaderBuilder::new();
                builder.has_headers(false).flexible(true);
                Form::Csv(Box::new(builder.from_reader(input)))
            }
        };
        let name = name.to_owned();
        let mut log = Self { name, form, zone, next: None, lines: 0, taken: 0, buffer: Vec::new() };
        log.advance()?;
        Ok(log)
    }

    /// Reads up to the next entry.
    pub(super) fn advance(&mut self) -> Result<(), HistoryError> {
        self.next = None;
        let mut why = postgres::Without::Continued;
        loop {
            let read = self.read().map_err(|error| match error.kind() {
                // The end of a compressed file is missing: what came before was read.
                io::ErrorKind::UnexpectedEof if self.taken > 0 => None,
                _ => Some(unreadable(&self.name, &error)),
            });
            match read {
                Ok(Some(Ok(entry))) => {
                    self.lines += 1;
                    self.taken += 1;
                    self.next = Some(entry);
                    return Ok(());
                }
                Ok(Some(Err(without))) => {
                    self.lines += 1;
                    if without != postgres::Without::Continued {
                        why = without;
                    }
                    if self.taken == 0 && self.lines >= UNREAD_AT_FIRST {
                        return Err(self.nothing(why));
                    }
                }
                Ok(None) if self.taken == 0 => return Err(self.nothing(why)),
                Ok(None) | Err(None) => return Ok(()),
                Err(Some(error)) => return Err(error),
            }
        }
    }

    fn nothing(&self, why: postgres::Without) -> HistoryError {
        let (what, hint) = match why {
            postgres::Without::Time => (
                "has no times",
                "write `%m` into `log_line_prefix` of postgresql.conf; a log without times cannot \
                 be laid beside anything",
            ),
            postgres::Without::Zone => (
                "has times in a zone that is not known",
                "name the zone with `--log-zone`, such as `--log-zone Europe/Berlin` or \
                 `--log-zone +02:00`",
            ),
            postgres::Without::Continued => ("has no message in its first lines", EXPECTED),
        };
        HistoryError::File {
            what: format!("the log `{}` {what}", self.name),
            hint: hint.to_owned(),
        }
    }

    /// The next line or record; `None` at the end.
    fn read(&mut self) -> io::Result<Option<Result<Entry, postgres::Without>>> {
        let zone = self.zone.as_ref();
        let continued = postgres::Without::Continued;
        Ok(match &mut self.form {
            Form::Stderr(input) => {
                let line = next_line(input.as_mut(), &mut self.buffer)?;
                line.map(|line| postgres::of_line(&line, None, zone))
            }
            Form::Json(input) => {
                let line = next_line(input.as_mut(), &mut self.buffer)?;
                line.map(|line| {
                    let read = serde_json::from_str::<postgres::JsonLine>(&line);
                    read.map_err(|_| continued)?.entry(zone)
                })
            }
            Form::JournalJson(input) => {
                let line = next_line(input.as_mut(), &mut self.buffer)?;
                line.map(|line| {
                    let read = serde_json::from_str::<journal::Fields>(&line).ok();
                    read.and_then(|fields| fields.entry()).ok_or(continued)
                })
            }
            Form::Export(input) => journal::next_of_export(input.as_mut())?
                .map(|fields| fields.entry().ok_or(continued)),
            Form::Csv(reader) => {
                let mut record = csv::StringRecord::new();
                match reader.read_record(&mut record) {
                    Ok(true) => Some(postgres::of_record(&record, zone)),
                    Ok(false) => None,
                    Err(error) => match error.into_kind() {
                        csv::ErrorKind::Io(error) => return Err(error),
                        _ => Some(Err(continued)),
                    },
                }
            }
        })
    }
}

/// The next line without its end; what is longer than [`LONGEST`] is cut.
fn next_line<'b>(
    input: &mut dyn BufRead,
    buffer: &'b mut Vec<u8>,
) -> io::Result<Option<Cow<'b, str>>> {
    buffer.clear();
    if (&mut *input).take(LONGEST).read_until(b'\n', buffer)? == 0 {
        return Ok(None);
    }
    if !buffer.ends_with(b"\n") && buffer.len() as u64 >= LONGEST {
        journal::skip_line(input)?;
    }
    while buffer.pop_if(|last| matches!(*last, b'\r' | b'\n')).is_some() {}
    Ok(Some(String::from_utf8_lossy(buffer)))
}

fn unreadable(name: &str, error: &io::Error) -> HistoryError {
    HistoryError::File {
        what: format!("cannot read the log `{name}`: {error}"),
        hint: "give the path of a log that kneepoint may read, also compressed by gzip or zstd"
            .to_owned(),
    }
}
