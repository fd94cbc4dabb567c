//! What other systems export as CSV, as series of a recording.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, Cursor, Read, Write};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;

use super::cells::Cells;
use super::error::HistoryError;
use crate::plan::{CsvMap, CsvSeries, TimeForm, time_zone};
use crate::recording::Writer;
use crate::timeline::{Batch, BatchBuilder, Labels, Moment, SeriesKey, Window};

/// Name of the collector whose readings these are.
pub(super) const COLLECTOR: &str = "csv";
/// Most values that are read: they are held until all files were read, since a file may be in any
/// order.
const MOST_VALUES: usize = 8_000_000;
/// Most mistakes that one message lists.
const MOST_MISTAKES: usize = 10;
/// How a cell says that there is no value.
const NONE: &[&str] = &["", "-", "null", "none", "nan", "n/a", "na"];
/// Bytes from which the sign between columns is told.
const LOOKED_AT: u64 = 64 << 10;

/// A CSV file whose head was read.
pub struct CsvFile<'r> {
    name: String,
    reader: csv::Reader<Box<dyn BufRead + 'r>>,
    /// Names of its columns.
    pub columns: Vec<String>,
    /// Whether numbers may have a decimal comma.
    has_commas: bool,
}

impl<'r> CsvFile<'r> {
    /// Reads the head of a file, which messages call `name`.
    ///
    /// # Errors
    /// When it cannot be read, or has no columns.
    pub fn open(name: &str, mut input: Box<dyn BufRead + 'r>) -> Result<Self, HistoryError> {
        let unusable = |why: String| HistoryError::File {
            what: format!("cannot read the CSV file `{name}`: {why}"),
            hint: "its first line must name the columns".to_owned(),
        };
        let mut begin = Vec::new();
        let looked = (&mut input).take(LOOKED_AT).read_to_end(&mut begin);
        looked.map_err(|error| unusable(error.to_string()))?;
        if begin.starts_with("\u{feff}".as_bytes()) {
            begin.drain(..3);
        }
        let head = begin.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let count = |sign: &u8| head.iter().filter(|byte| *byte == sign).count();
        let delimiter = [b',', b';', b'\t'].into_iter().max_by_key(count).unwrap_or(b',');
        let input: Box<dyn BufRead + 'r> = Box::new(Cursor::new(begin).chain(input));
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(input);
        let columns: Vec<String> = reader
            .headers()
            .map_err(|error| unusable(error.to_string()))?
            .iter()
            .map(str::to_owned)
            .collect();
        if columns.iter().all(String::is_empty) {
            return Err(unusable("it is empty".to_owned()));
        }
        Ok(Self { name: name.to_owned(), reader, columns, has_commas: delimiter != b',' })
    }

    fn place(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|known| known == column)
    }
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Imported {
    pub(super) values: usize,
    /// Rows before or after the time.
    pub(super) outside: u64,
    /// Cells without a value.
    pub(super) empty: u64,
    /// First and last time of a row, in seconds since 1970.
    pub(super) span: Option<(f64, f64)>,
    /// Series that the recording has already.
    pub(super) known: BTreeSet<String>,
    pub(super) series: BTreeSet<SeriesKey>,
}

/// Values by time in milliseconds since moment zero, with the place of their series.
type Values = BTreeMap<i64, Vec<(usize, f64)>>;

struct Table<'m> {
    map: &'m CsvMap,
    zone: Option<TimeZone>,
    keys: Vec<(SeriesKey, usize)>,
    places: BTreeMap<SeriesKey, usize>,
    values: Values,
    mistakes: Vec<String>,
    read: Imported,
}

/// Reads the files and writes their values. Series in `known` are left out.
pub(super) fn write<W: Write>(
    files: Vec<CsvFile<'_>>,
    map: &CsvMap,
    known: &BTreeSet<SeriesKey>,
    cells: Cells,
    writer: &mut Writer<W>,
) -> Result<Imported, HistoryError> {
    let mut table = Table {
        map,
        zone: map.zone.as_deref().and_then(time_zone),
        keys: Vec::new(),
        places: BTreeMap::new(),
        values: Values::new(),
        mistakes: Vec::new(),
        read: Imported::default(),
    };
    for file in files {
        table.file(file, cells)?;
    }
    if !table.mistakes.is_empty() {
        return Err(HistoryError::File {
            what: table.mistakes.join("\n"),
            hint: "an empty cell, `-`, `null` or `NaN` stands for no value".to_owned(),
        });
    }
    let Table { map, keys, values, mut read, .. } = table;
    for (millis, values) in values {
        let mut batch = BatchBuilder::new();
        for (place, value) in values {
            let Some((key, series)) = keys.get(place) else { continue };
            let Some(series) = map.series.get(*series) else { continue };
            if known.contains(key) {
                read.known.insert(key.to_string());
                continue;
            }
            read.series.insert(key.clone());
            batch.push_foreign(key.clone(), series.unit, series.kind, value * series.scale);
        }
        let at = Moment::from_secs_f64(millis as f64 / 1e3);
        let (collector, window) = (COLLECTOR.to_owned(), Window::new(at, at));
        if !batch.is_empty() {
            writer.batch(&Batch { collector, window, readings: batch.finish() })?;
        }
    }
    Ok(read)
}

impl Table<'_> {
    fn file(&mut self, mut file: CsvFile<'_>, cells: Cells) -> Result<(), HistoryError> {
        let map = self.map;
        let Some(time) = file.place(&map.time_column) else {
            self.wrong(format!("`{}` has no column `{}`", file.name, map.time_column));
            return Ok(());
        };
        let columns: Vec<(usize, usize, &CsvSeries)> = map
            .series
            .iter()
            .enumerate()
            .filter_map(|(place, series)| Some((place, file.place(&series.column)?, series)))
            .collect();
        let mut record = csv::StringRecord::new();
        while self.mistakes.len() < MOST_MISTAKES {
            match file.reader.read_record(&mut record) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    self.wrong(format!("{}: {error}", file.name));
                    break;
                }
            }
            let line = record.position().map_or(0, csv::Position::line);
            let text = record.get(time).unwrap_or_default();
            let Some(at) = self.time(text) else {
                let expected = expected(&map.time_form);
                self.wrong_cell(&file.name, line, &map.time_column, text, expected);
                continue;
            };
            let (first, last) = self.read.span.unwrap_or((at, at));
            self.read.span = Some((first.min(at), last.max(at)));
            let at = at - cells.zero_unix;
            if !(0.0..=cells.end).contains(&at) {
                self.read.outside += 1;
                continue;
            }
            for (place, column, series) in &columns {
                let text = record.get(*column).unwrap_or_default();
                if NONE.contains(&text.to_lowercase().as_str()) {
                    self.read.empty += 1;
                    continue;
                }
                let Some(value) = number(text, file.has_commas) else {
                    self.wrong_cell(&file.name, line, &series.column, text, "a number");
                    continue;
                };
                let place = self.series(series, *place, &record, &file);
                self.add((at * 1e3).round() as i64, place, value)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, millis: i64, place: usize, value: f64) -> Result<(), HistoryError> {
        self.read.values += 1;
        if self.read.values > MOST_VALUES {
            return Err(HistoryError::File {
                what: format!("the CSV files have more than {MOST_VALUES} values"),
                hint: "import a shorter time, or fewer columns".to_owned(),
            });
        }
        let values = self.values.entry(millis).or_default();
        match values.iter_mut().find(|(known, _)| *known == place) {
            // The later one counts, as where a file holds the end of another one.
            Some((_, known)) => *known = value,
            None => values.push((place, value)),
        }
        Ok(())
    }

    /// The place of the series of a cell.
    fn series(
        &mut self,
        series: &CsvSeries,
        place: usize,
        record: &csv::StringRecord,
        file: &CsvFile<'_>,
    ) -> usize {
        let mut labels = Labels::none();
        for (name, value) in &series.labels {
            labels = labels.with(name, value.as_str());
        }
        for (name, column) in &series.labels_from {
            let value = file.place(column).and_then(|at| record.get(at)).unwrap_or_default();
            labels = labels.with(name, value);
        }
        let key = SeriesKey::new(&series.metric, labels);
        if let Some(known) = self.places.get(&key) {
            return *known;
        }
        self.keys.push((key.clone(), place));
        self.places.insert(key, self.keys.len() - 1);
        self.keys.len() - 1
    }

    /// Seconds since 1970.
    fn time(&self, text: &str) -> Option<f64> {
        let number = || text.parse::<f64>().ok().filter(|number| number.is_finite());
        match &self.map.time_form {
            TimeForm::Unix => number(),
            TimeForm::UnixMillis => number().map(|millis| millis / 1e3),
            TimeForm::Rfc3339 => match text.parse::<Timestamp>() {
                Ok(at) => Some(at.as_duration().as_secs_f64()),
                Err(_) => self.civil(text.parse().ok()?),
            },
            TimeForm::Pattern(pattern) => {
                let read = BrokenDownTime::parse(pattern, text).ok()?;
                match read.to_timestamp() {
                    Ok(at) => Some(at.as_duration().as_secs_f64()),
                    Err(_) => self.civil(read.to_datetime().ok()?),
                }
            }
        }
    }

    fn civil(&self, at: DateTime) -> Option<f64> {
        let at = self.zone.as_ref()?.to_timestamp(at).ok()?;
        Some(at.as_duration().as_secs_f64())
    }

    fn wrong_cell(&mut self, file: &str, line: u64, column: &str, text: &str, expected: &str) {
        // A cell may hold anything: only its begin is shown, without what looks like a secret.
        let text = crate::timeline::mask_secrets(crate::timeline::cut(text, 40));
        self.wrong(format!("{file}:{line}: column `{column}`: `{text}` is not {expected}"));
    }

    fn wrong(&mut self, mistake: String) {
        if self.mistakes.len() < MOST_MISTAKES {
            self.mistakes.push(mistake);
        }
    }
}

fn expected(form: &TimeForm) -> &'static str {
    match form {
        TimeForm::Rfc3339 => {
            "a time such as `2026-11-28T18:03:15Z` (a time without a zone needs `zone` in `[time]`)"
        }
        TimeForm::Unix => "a number of seconds since 1970",
        TimeForm::UnixMillis => "a number of milliseconds since 1970",
        TimeForm::Pattern(_) => {
            "a time of this `format` (a time without a zone needs `zone` in `[time]`)"
        }
    }
}

/// A number; `has_commas` where `1,5` is one.
fn number(text: &str, has_commas: bool) -> Option<f64> {
    let text = text.strip_suffix('%').unwrap_or(text).trim();
    let value = match text.parse::<f64>() {
        Ok(value) => value,
        Err(_) if has_commas && !text.contains('.') && text.matches(',').count() == 1 => {
            text.replace(',', ".").parse().ok()?
        }
        Err(_) => return None,
    };
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::parse_csv_map;
    use crate::recording::{self, Environment, PlanSummary, Recording, Stop, StopReason};

    const MAP: &str = "[time]\ncolumn = \"time\"\nzone = \"UTC\"\n\
        [[series]]\ncolumn = \"cpu\"\nmetric = \"system.cpu.utilization\"\nunit = \"percent\"\n\
        [[series]]\ncolumn = \"used\"\nmetric = \"pool_used\"\nlabels_from = { pool = \"pool\" }\n";

    fn read(texts: &[&'static str], map: &str) -> Result<(Recording, Imported), HistoryError> {
        let open = |text: &&'static str| CsvFile::open("a.csv", Box::new(text.as_bytes()));
        let files: Vec<CsvFile<'_>> = texts.iter().map(open).collect::<Result<_, _>>()?;
        let map = parse_csv_map(map, "map.toml", &files[0].columns).unwrap();
        let mut writer =
            Writer::create(Vec::new(), &PlanSummary::default(), &Environment::default())?;
        let cells = Cells { zero_unix: 1_795_888_800.0, end: 600.0, step: 15.0 };
        let known = BTreeSet::from([SeriesKey::bare("known")]);
        let read = write(files, &map, &known, cells, &mut writer)?;
        let stop = Stop { at: Moment::from_secs_f64(600.0), reason: StopReason::Completed };
        let bytes = writer.finish(&stop)?;
        Ok((recording::read(bytes.as_slice()).unwrap().0, read))
    }

    #[test]
    fn columns_become_series_in_the_order_of_their_times() {
        let second = "time;cpu;used;pool\n2026-11-28 18:00:15;\"50,5\";2;b\n";
        let first = "time,cpu,used,pool\n2026-11-28 18:01:00,NaN,3,a\n2026-11-28 18:00:30,80,,a\n\
                     2026-11-28 17:00:00,1,1,a\n";
        let (recording, read) = read(&[first, second], MAP).unwrap();
        assert_eq!((read.outside, read.empty, read.series.len()), (1, 2, 3));
        let points = |name: &str| -> Vec<(f64, f64)> {
            let series = recording.timeline.series.iter().find(|(key, _)| key.to_string() == name);
            series.unwrap().1.points.iter().map(|point| (point.at.secs(), point.value)).collect()
        };
        assert_eq!(points("system.cpu.utilization"), [(15.0, 0.505), (30.0, 0.8)]);
        assert_eq!(points("pool_used{pool=a}"), [(60.0, 3.0)]);
        assert_eq!(points("pool_used{pool=b}"), [(15.0, 2.0)]);
    }

    #[test]
    fn every_wrong_cell_is_told_with_its_line_and_column() {
        let text = "time,cpu,used,pool\nyesterday,1,2,a\n2026-11-28 18:00:15,many,2,a\n\
                    2026-11-28 18:00:30,1,few,a\n";
        let Err(error) = read(&[text], MAP) else { panic!("taken") };
        let told = error.to_string();
        for part in [
            "a.csv:2: column `time`: `yesterday`",
            "a.csv:3: column `cpu`: `many`",
            "a.csv:4: column `used`: `few`",
        ] {
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn times_have_the_form_that_the_map_says() {
        for (form, time) in [
            ("unix", "1795888815"),
            ("unix-ms", "1795888815000"),
            ("%d.%m.%Y %H:%M:%S", "28.11.2026 18:00:15"),
            ("%Y-%m-%dT%H:%M:%S%z", "2026-11-28T19:00:15+0100"),
        ] {
            let map = MAP.replace("zone", &format!("format = \"{form}\"\nzone"));
            let text: &'static str = format!("time,cpu,used,pool\n{time},5,,a\n").leak();
            let (recording, _) = read(&[text], &map).unwrap();
            let series = recording.timeline.series.values().next().unwrap();
            assert_eq!(series.points[0].at.secs(), 15.0, "{form}");
        }
    }
}
