//! Files of the same time that are laid beside a recording: access logs, PostgreSQL's log, the
//! journal, CSV files.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::args::ClockArgs;
use super::console::{LiveLine, say};
use super::error::CliError;
use crate::history::{self, Beside, CsvFile, Log};
use crate::import::{Files, Format, ImportError, unpacked};
use crate::plan::{CsvMap, parse_csv_map, time_zone};
use crate::recording::{self, Overview};

/// Bytes of a file that are read at once.
const PIECE: usize = 256 << 10;
/// Bytes after which progress is shown again.
const SHOWN_EVERY: u64 = 16 << 20;
/// How much of a file is looked at to tell what it is, in bytes.
const LOOKED_AT: u64 = 64 << 10;

/// Which files, and how their times are read.
#[derive(Debug, Default)]
pub(super) struct Sources {
    pub(super) access_log: Vec<PathBuf>,
    /// The format of the access logs, where it is named.
    pub(super) format: Option<Format>,
    pub(super) log: Vec<PathBuf>,
    pub(super) csv: Vec<PathBuf>,
    map: Option<PathBuf>,
    zone: Option<TimeZone>,
    later: Option<f64>,
}

impl Sources {
    /// No file yet.
    pub(super) fn new(clocks: &ClockArgs) -> Result<Self, CliError> {
        let zone = clocks.log_zone.as_deref().map(|name| {
            time_zone(name).ok_or_else(|| {
                CliError::usage(format!("`--log-zone {name}` is not a time zone"))
                    .with_hint("write `UTC`, `Europe/Berlin` or `+02:00`")
            })
        });
        let later = clocks.shift_log.as_deref().map(|text| {
            text.parse::<SignedDuration>().map(|by| by.as_secs_f64()).map_err(|_| {
                CliError::usage(format!("`--shift-log {text}` is not a duration"))
                    .with_hint("write `1h`, `-1h` or `-40s`")
            })
        });
        Ok(Self {
            map: clocks.map.clone(),
            zone: zone.transpose()?,
            later: later.transpose()?,
            ..Self::default()
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.access_log.is_empty() && self.log.is_empty() && self.csv.is_empty()
    }

    /// Looks at the head of each file, so that a mistake is told before anything long begins.
    pub(super) fn check(&self) -> Result<(), CliError> {
        let meter = Meter::quiet();
        for path in &self.access_log {
            drop(opened(path, &meter)?);
        }
        self.logs(&meter)?;
        self.tables(&meter)?;
        Ok(())
    }

    fn logs(&self, meter: &Meter) -> Result<Vec<Log<'static>>, CliError> {
        let open = |path: &PathBuf| {
            let input = opened(path, meter)?;
            Log::open(&path.display().to_string(), input, self.zone.clone())
                .map_err(|error| CliError::from(&error))
        };
        self.log.iter().map(open).collect()
    }

    fn tables(&self, meter: &Meter) -> Result<(Vec<CsvFile<'static>>, Option<CsvMap>), CliError> {
        let open = |path: &PathBuf| {
            let input = opened(path, meter)?;
            CsvFile::open(&path.display().to_string(), input)
                .map_err(|error| CliError::from(&error))
        };
        let files: Vec<CsvFile<'static>> =
            self.csv.iter().map(open).collect::<Result<_, CliError>>()?;
        let path = match (&self.map, files.is_empty()) {
            (Some(path), false) => path,
            (None, true) => return Ok((files, None)),
            (None, false) => {
                return Err(CliError::usage("`--csv` needs `--map`").with_hint(
                    "name a TOML file with `[time]` and a `[[series]]` for each column; the guide's \
                     page \"Last night\" has an example",
                ));
            }
            (Some(_), true) => {
                return Err(CliError::usage(
                    "`--map` says what the columns of CSV files mean, and \
                                            there is none",
                )
                .with_hint("name them with `--csv`"));
            }
        };
        let text = fs::read_to_string(path).map_err(|error| {
            CliError::usage(format!("cannot read `{}`: {error}", path.display()))
        })?;
        let mut columns: Vec<String> = Vec::new();
        for column in files.iter().flat_map(|file| &file.columns) {
            if !columns.contains(column) {
                columns.push(column.clone());
            }
        }
        let map = parse_csv_map(&text, &path.display().to_string(), &columns);
        Ok((files, Some(map.map_err(CliError::usage)?)))
    }

    /// Writes the recording at `before` to `after`, with these files beside it. Returns the remarks.
    pub(super) fn join(
        &self,
        before: &Path,
        overview: &Overview,
        after: &Path,
        line: &LiveLine,
    ) -> Result<Vec<String>, CliError> {
        let all = self.access_log.iter().chain(&self.log).chain(&self.csv);
        let sizes = all.filter_map(|path| fs::metadata(path).ok()).map(|file| file.len());
        let meter = Meter::new(line, sizes.sum());
        let requests = self.requests(overview, &meter)?;
        let (csv, map) = self.tables(&meter)?;
        let logs = self.logs(&meter)?;
        let beside = Beside { requests, later: self.later, logs, csv, map };
        let input = File::open(before).map_err(CliError::from)?;
        let file = File::create(after).map_err(|error| {
            CliError::failed(format!("cannot write `{}`: {error}", after.display()))
                .with_hint("free some space or choose another place with `--out`")
        })?;
        let mut out = BufWriter::new(file);
        let joined = history::join(BufReader::new(input), overview, beside, &mut out)
            .map_err(|error| CliError::from(&error))
            .and_then(|notes| out.flush().map(|()| notes).map_err(CliError::from));
        line.clear();
        if joined.is_err() {
            let _left_behind = fs::remove_file(after).is_err();
        }
        joined
    }

    /// The requests of the access logs.
    fn requests(
        &self,
        overview: &Overview,
        meter: &Meter,
    ) -> Result<Option<crate::import::Observed>, CliError> {
        let Some(first) = self.access_log.first() else { return Ok(None) };
        let begin = overview.environment.started_unix;
        let times = begin - history::MARGIN..begin + overview.end.secs() + history::MARGIN;
        let mut files = Files::new(self.format).within(times).observed(history::cell(overview));
        for path in &self.access_log {
            let read = files.add(&mut *file(path, meter)?);
            read.map_err(|error| refused(&path.display().to_string(), files.format(), &error))?;
        }
        let format = files.format();
        let failed = |error| refused(&first.display().to_string(), format, &error);
        files.into_observed().map(Some).map_err(failed)
    }
}

/// What a recording holds, without its values.
pub(super) fn overview(path: &Path) -> Result<Overview, CliError> {
    let file = File::open(path).map_err(|error| {
        CliError::usage(format!("cannot open the recording `{}`: {error}", path.display()))
    })?;
    recording::overview(BufReader::new(file))
        .map_err(|error| CliError::usage(format!("`{}`: {error}", path.display())))
}

/// Says the remarks on what was laid beside a recording.
pub(super) fn tell(notes: &[String]) {
    for note in notes {
        say(format_args!("kneepoint: note: {note}"));
    }
}

/// Whether a file is a log whose lines are evidence.
pub(super) fn is_log(path: &Path) -> Result<bool, CliError> {
    let mut begin = Vec::new();
    // A file that cannot be unpacked is told where it is read as a whole.
    let _cut = opened(path, &Meter::quiet())?.take(LOOKED_AT).read_to_end(&mut begin).is_err();
    Ok(history::is_log(&String::from_utf8_lossy(&begin)))
}

/// Why a file of results cannot be read, and what to do.
pub(super) fn refused(file: &str, format: Option<Format>, error: &ImportError) -> CliError {
    match (format, error) {
        (_, ImportError::Unknown { .. }) => {
            let names: Vec<_> = Format::all().map(Format::name).collect();
            let refusal = CliError::usage(format!("cannot import `{file}`: {error}"));
            match is_log(Path::new(file)) {
                Ok(true) => refusal.with_hint(
                    "this is a log without requests: add it to a recording of the same time with \
                     `--into RECORDING`",
                ),
                _ => refusal.with_hint(format!("name it with `--from`: {}", names.join(", "))),
            }
        }
        (Some(format), _) => {
            let name = format.name();
            CliError::usage(format!("cannot read `{file}` as results of {name}: {error}"))
                .with_hint(format!("expected: {}", format.summary()))
        }
        (None, _) => CliError::usage(format!("cannot import `{file}`: {error}")),
    }
}

/// A file without its compression.
fn opened(path: &Path, meter: &Meter) -> Result<Box<dyn BufRead>, CliError> {
    unpacked(file(path, meter)?).map_err(|error| cannot_open(path, &error))
}

fn file(path: &Path, meter: &Meter) -> Result<Box<dyn BufRead>, CliError> {
    let file = File::open(path).map_err(|error| cannot_open(path, &error))?;
    let metered = Metered { file, meter: meter.clone() };
    Ok(Box::new(BufReader::with_capacity(PIECE, metered)))
}

fn cannot_open(path: &Path, error: &io::Error) -> CliError {
    CliError::usage(format!("cannot open `{}`: {error}", path.display()))
}

/// Shows how many bytes of the files were read.
#[derive(Clone)]
struct Meter(Rc<RefCell<Bytes>>);

struct Bytes {
    line: LiveLine,
    read: u64,
    shown: u64,
    all: u64,
}

impl Meter {
    fn new(line: &LiveLine, all: u64) -> Self {
        Self(Rc::new(RefCell::new(Bytes { line: line.clone(), read: 0, shown: 0, all })))
    }

    fn quiet() -> Self {
        Self::new(&LiveLine::new(true), 0)
    }

    fn add(&self, bytes: usize) {
        let Ok(mut of) = self.0.try_borrow_mut() else { return };
        of.read += bytes as u64;
        if of.read >= of.shown + SHOWN_EVERY {
            of.shown = of.read;
            let megabytes = |bytes: u64| bytes / 1_000_000;
            of.line.replace(&format!(
                "  read {} of {} MB of files",
                megabytes(of.read),
                megabytes(of.all.max(of.read))
            ));
        }
    }
}

/// A file whose bytes are counted.
struct Metered {
    file: File,
    meter: Meter,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        self.meter.add(length);
        Ok(length)
    }
}
