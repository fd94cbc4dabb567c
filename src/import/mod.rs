//! Results of other load tools, read as recordings: one file a format. They hold what a load
//! generator saw and nothing about the target: they show a knee, but not its cause. Results that
//! only sum up a run ([`SUMMARIES`]) show not even that, and are read as figures.

mod binary;
mod entries;
mod error;
mod foreign;
mod jtl_samples;
mod lines;
mod observed;
mod own_limits;
mod requests;
mod seconds;
mod server_log;
mod stages;
mod summaries;
mod table;
mod utf16;
mod w3c;
mod waiting;

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::ops::Range;

pub use self::error::ImportError;
pub use self::observed::Observed;
pub use self::requests::{Interval, Requests};
pub use self::seconds::ToolLoad;
pub use self::summaries::{
    EndpointSummary, ErrorSummary, Quantile, ResponseTimes, SUMMARIES, Summary, SummarySpec,
};
use crate::recording::Recording;
use crate::registry::registry;

/// One format that can be read.
#[derive(Debug)]
pub struct ImporterSpec {
    /// Name on the command line.
    pub name: &'static str,
    /// One line for `kneepoint list importers`, with the command that writes the format.
    pub summary: &'static str,
    /// Whether a file that begins like this is of the format. At most one importer says yes.
    looks_like: fn(&str) -> bool,
    /// Reads the input from its beginning to its end, once, and adds the requests that it finds.
    /// It keeps no more than a part of the input in memory: files may be larger than the machine.
    read: fn(&mut dyn BufRead, &mut Requests) -> Result<(), ImportError>,
}

registry! {
    /// Every format, in the order lists show them.
    pub static IMPORTERS: [ImporterSpec] = [
        k6,
        k6_csv,
        jtl,
        jtl_xml,
        locust,
        gatling,
        gatling_binary,
        vegeta,
        vegeta_csv,
        vegeta_gob,
        hey,
        ab_gnuplot,
        phout,
        access_log,
        haproxy,
        alb,
        caddy,
        traefik,
        cloudfront,
        iis,
        artillery,
        jmeter_summariser,
    ]
}

/// How much of a file is looked at to tell its format, in bytes.
const LOOKED_AT: u64 = 64 * 1024;
/// First bytes of gzip (RFC 1952) and of zstd (RFC 8878).
const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Longest text of a summary, in bytes: those of Locust with a name for each id are the longest.
const LONGEST_SUMMARY: u64 = 64 << 20;

/// A format that can be read.
#[derive(Clone, Copy, Debug)]
pub enum Format {
    /// Requests or intervals with their times: they become a recording.
    Recording(&'static ImporterSpec),
    /// The figures of whole runs.
    Summary(&'static SummarySpec),
}

impl Format {
    /// Every format, in the order lists show them.
    pub fn all() -> impl Iterator<Item = Self> {
        let recordings = IMPORTERS.iter().map(|spec| Self::Recording(spec));
        recordings.chain(SUMMARIES.iter().map(|spec| Self::Summary(spec)))
    }

    /// Name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Recording(spec) => spec.name,
            Self::Summary(spec) => spec.name,
        }
    }

    /// One line for lists, with the command that writes the format.
    pub fn summary(self) -> &'static str {
        match self {
            Self::Recording(spec) => spec.summary,
            Self::Summary(spec) => spec.summary,
        }
    }

    /// Whether a file that begins like this is of the format.
    fn looks_like(self, begin: &str) -> bool {
        match self {
            Self::Recording(spec) => (spec.looks_like)(begin),
            Self::Summary(spec) => spec.looks_like(begin),
        }
    }
}

/// The format called `name`.
pub fn find(name: &str) -> Option<Format> {
    Format::all().find(|format| format.name() == name)
}

/// Reads the results of another tool, under `name`.
///
/// # Errors
/// When the input cannot be read, does not hold requests in this format, or is a summary.
pub fn import(
    format: Format,
    name: &str,
    input: &mut dyn BufRead,
) -> Result<Recording, ImportError> {
    let mut files = Files::new(Some(format));
    files.add(input)?;
    files.into_recording(name)
}

/// The files of one run.
#[derive(Debug)]
pub struct Files {
    named: Option<Format>,
    /// The format of those with times.
    found: Option<&'static ImporterSpec>,
    /// The format of the last one.
    last: Option<Format>,
    requests: Requests,
    summaries: Vec<Summary>,
}

impl Files {
    /// None yet. Their format is `named`, or told from how each begins.
    pub fn new(named: Option<Format>) -> Self {
        let requests = Requests::default();
        Self { named, found: None, last: None, requests, summaries: Vec::new() }
    }

    /// The same, which leaves out requests that were not sent within these times, in seconds since
    /// 1970 (UTC).
    pub fn within(mut self, times: Range<f64>) -> Self {
        self.requests.keep_within(times);
        self
    }

    /// The same, where connections of the load were seen that always wait for an answer, by second
    /// since 1970: they are the users of a server's log.
    pub fn with_connections(mut self, connections: BTreeMap<i64, f64>) -> Self {
        self.requests.set_connections(connections);
        self
    }

    /// The same, for requests that nobody made for a test: gathered in cells of so many seconds.
    pub fn observed(mut self, cell: i64) -> Self {
        self.requests.set_cell(cell);
        self
    }

    /// The requests of all files, where they were gathered in cells.
    ///
    /// # Errors
    /// When there is no request, or only a summary.
    pub fn into_observed(self) -> Result<Observed, ImportError> {
        match (self.found, self.summaries.first()) {
            (Some(found), _) => Observed::of(self.requests, found.name),
            (None, Some(first)) => Err(ImportError::Unfit {
                what: "a summary, which has no times",
                instead: first.instead,
            }),
            (None, None) => Err(ImportError::Empty),
        }
    }

    /// The format of those that were added, or the one that was named.
    pub fn format(&self) -> Option<Format> {
        self.named.or(self.last)
    }

    /// Whether one of the files has times, and so becomes a recording.
    pub fn have_times(&self) -> bool {
        self.found.is_some()
    }

    /// What the files say that only sum up a run.
    pub fn summaries(&self) -> &[Summary] {
        &self.summaries
    }

    /// Reads the next file, which may be compressed.
    ///
    /// # Errors
    /// When it cannot be read, its format cannot be told, or it does not hold what the format has.
    pub fn add(&mut self, input: &mut dyn BufRead) -> Result<(), ImportError> {
        let (mut input, begin) = opened(input)?;
        let format = match self.named {
            Some(format) => format,
            None => told(&begin)?,
        };
        self.last = Some(format);
        let spec = match format {
            Format::Recording(spec) => spec,
            Format::Summary(spec) => {
                self.summaries.append(&mut summaries::read(spec, &whole(&mut *input)?)?);
                return Ok(());
            }
        };
        if let Some(before) = self.found.filter(|before| before.name != spec.name) {
            return Err(ImportError::Mixed { this: spec.name, before: before.name });
        }
        self.found = Some(spec);
        self.requests.next_file();
        (spec.read)(&mut *input, &mut self.requests)
    }

    /// The recording of the whole run, under `name`. Summaries are not a part of it.
    ///
    /// # Errors
    /// When there is no request, only a summary, or the run is longer than a week.
    pub fn into_recording(self, name: &str) -> Result<Recording, ImportError> {
        Ok(self.into_load(name)?.into_recording())
    }

    /// The load of the whole run, under `name`. Summaries are not a part of it.
    ///
    /// # Errors
    /// When there is no request, only a summary, or the run is longer than a week.
    pub fn into_load(self, name: &str) -> Result<ToolLoad, ImportError> {
        match (self.found, self.summaries.first()) {
            (None, Some(first)) => Err(ImportError::Unfit {
                what: "a summary, which has no times",
                instead: first.instead,
            }),
            (found, _) => self.requests.into_load(found.map_or("nothing", |spec| spec.name), name),
        }
    }
}

/// The format of a file that begins like this.
fn told(begin: &str) -> Result<Format, ImportError> {
    if let Some(format) = Format::all().find(|format| format.looks_like(begin)) {
        return Ok(format);
    }
    if let Some((what, instead)) = foreign::known(begin) {
        return Err(ImportError::Unfit { what, instead });
    }
    let line = begin.lines().find(|line| !line.trim().is_empty());
    let Some(line) = line else { return Err(ImportError::Empty) };
    Err(ImportError::Unknown { begin: table::shown(line) })
}

/// The whole text of a summary.
fn whole(input: &mut dyn BufRead) -> Result<String, ImportError> {
    let mut bytes = Vec::new();
    let unreadable = |source| ImportError::Unreadable { line: 1, source };
    input.take(LONGEST_SUMMARY + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    match bytes.len() as u64 > LONGEST_SUMMARY {
        true => Err(ImportError::LargeSummary { limit: LONGEST_SUMMARY >> 20 }),
        false => Ok(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

/// An input without its compression, which is known by the first bytes: gzip, zstd or none.
///
/// # Errors
/// What the system said.
pub fn unpacked<'r>(mut input: impl BufRead + 'r) -> io::Result<Box<dyn BufRead + 'r>> {
    let mut magic = Vec::new();
    (&mut input).take(ZSTD.len() as u64).read_to_end(&mut magic)?;
    let (is_gzip, is_zstd) = (magic.starts_with(GZIP), magic.starts_with(ZSTD));
    let input = Cursor::new(magic).chain(input);
    Ok(match () {
        () if is_gzip => Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(input))),
        () if is_zstd => Box::new(BufReader::new(zstd::Decoder::with_buffer(input)?)),
        () => Box::new(input),
    })
}

/// An input as UTF-8, if it is UTF-16; otherwise as it is.
fn decoded<'r>(mut input: Box<dyn BufRead + 'r>) -> io::Result<Box<dyn BufRead + 'r>> {
    const LOOKED_AT: u64 = 4;
    let mut begin = Vec::new();
    (&mut *input).take(LOOKED_AT).read_to_end(&mut begin)?;
    let is_big_endian = utf16::is_big_endian(&begin);
    let input = Cursor::new(begin).chain(input);
    Ok(match is_big_endian {
        Some(is_big_endian) => Box::new(BufReader::new(utf16::Utf16::new(input, is_big_endian))),
        None => Box::new(input),
    })
}

/// The text of an input, and how it begins.
fn opened<'r>(input: &'r mut dyn BufRead) -> Result<(Box<dyn BufRead + 'r>, String), ImportError> {
    let unreadable = |source| ImportError::Unreadable { line: 1, source };
    let mut text = decoded(unpacked(input).map_err(unreadable)?).map_err(unreadable)?;
    let mut begin = Vec::new();
    match (&mut *text).take(LOOKED_AT).read_to_end(&mut begin) {
        // The importer meets the same end, and knows the line.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
        ended => drop(ended.map_err(unreadable)?),
    }
    let shown = String::from_utf8_lossy(&begin).trim_start_matches('\u{feff}').to_owned();
    const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
    if begin.starts_with(BYTE_ORDER_MARK) {
        begin.drain(..BYTE_ORDER_MARK.len());
    }
    Ok((Box::new(Cursor::new(begin).chain(text)), shown))
}

#[cfg(test)]
mod tests;
