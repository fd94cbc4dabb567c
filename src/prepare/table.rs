//! Parses data files: rows of CSV and of JSON lines, arrivals of a trace. It reads from what it is
//! given and opens no file.

use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use crate::load::{Arrival, ResolvedValues};
use crate::plan::nearest;

/// One file of data, by the name it has in messages.
pub(super) struct Table<R> {
    pub(super) shown: String,
    pub(super) input: R,
}

impl<R: Read> Table<R> {
    fn csv(self) -> Result<(String, csv::Reader<R>, Vec<String>), String> {
        let mut reader = csv::Reader::from_reader(self.input);
        let header = reader.headers().map_err(|error| unreadable(&self.shown, &error))?;
        let header = header.iter().map(str::to_owned).collect();
        Ok((self.shown, reader, header))
    }

    /// The values of one column of CSV.
    pub(super) fn column(self, column: &str) -> Result<Vec<String>, String> {
        let (shown, mut reader, header) = self.csv()?;
        let index = position(&shown, &header, column)?;
        let mut values = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| unreadable(&shown, &error))?;
            values.push(record.get(index).unwrap_or_default().to_owned());
        }
        if values.is_empty() { Err(format!("`{shown}` has no rows of data")) } else { Ok(values) }
    }

    /// The rows of CSV.
    pub(super) fn rows(self) -> Result<ResolvedValues, String> {
        let (shown, mut reader, header) = self.csv()?;
        let mut cells = Vec::new();
        for record in reader.records() {
            // The reader refuses a row that is longer or shorter than the header.
            let record = record.map_err(|error| unreadable(&shown, &error))?;
            cells.extend(record.iter().map(str::to_owned));
        }
        if cells.is_empty() {
            return Err(format!("`{shown}` has no rows of data"));
        }
        Ok(ResolvedValues::Rows { columns: header.into(), cells: cells.into() })
    }

    /// Rows of JSON lines. The columns are the keys of the first object; every other object has to
    /// have them.
    pub(super) fn json_lines(self) -> Result<ResolvedValues, String> {
        let shown = self.shown;
        let mut columns: Vec<String> = Vec::new();
        let mut cells = Vec::new();
        for (number, line) in BufReader::new(self.input).lines().enumerate() {
            let line_of = |why: String| format!("`{shown}`, line {}: {why}", number + 1);
            let line = line.map_err(|error| unreadable(&shown, &error))?;
            if line.trim().is_empty() {
                continue;
            }
            let row: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&line)
                .map_err(|error| line_of(format!("expected a JSON object: {error}")))?;
            if columns.is_empty() {
                columns = row.keys().cloned().collect();
            }
            for column in &columns {
                cells.push(match row.get(column) {
                    Some(serde_json::Value::String(text)) => text.clone(),
                    Some(other) => other.to_string(),
                    None => return Err(line_of(format!("the key `{column}` is missing"))),
                });
            }
        }
        if cells.is_empty() {
            return Err(format!("`{shown}` has no object with a key"));
        }
        Ok(ResolvedValues::Rows { columns: columns.into(), cells: cells.into() })
    }

    /// The arrivals of a trace, `speed` times faster, of journeys with these names.
    pub(super) fn trace(self, speed: f64, journeys: &[&str]) -> Result<Arc<[Arrival]>, String> {
        let (shown, mut reader, header) = self.csv()?;
        let at = position(&shown, &header, "at")?;
        let request = position(&shown, &header, "request")?;
        let mut arrivals: Vec<Arrival> = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| unreadable(&shown, &error))?;
            let line = record.position().map_or(0, csv::Position::line);
            let wrong = |why: String| format!("`{shown}`, line {line}: {why}");
            let text = record.get(at).unwrap_or_default();
            let secs = text.trim().parse::<f64>().ok();
            let secs = secs
                .filter(|secs| secs.is_finite() && *secs >= 0.0)
                .ok_or_else(|| wrong(format!("`{text}` is not a number of seconds")))?;
            let name = record.get(request).unwrap_or_default();
            let journey = journeys.iter().position(|known| *known == name).ok_or_else(|| {
                let help = nearest(name, journeys.iter().copied()).unwrap_or_default();
                wrong(format!("there is no request `{name}`; {help}"))
            })?;
            let at = (secs / speed * 1e9) as u64;
            if arrivals.last().is_some_and(|last| last.at > at) {
                return Err(wrong("its `at` is smaller than in the line before".to_owned()));
            }
            arrivals.push(Arrival { at, journey });
        }
        if arrivals.is_empty() {
            return Err(format!("`{shown}` has no rows of data"));
        }
        Ok(arrivals.into())
    }
}

fn unreadable(shown: &str, error: &impl std::fmt::Display) -> String {
    format!("cannot read `{shown}`: {error}")
}

fn position(shown: &str, header: &[String], wanted: &str) -> Result<usize, String> {
    header
        .iter()
        .position(|name| name == wanted)
        .ok_or_else(|| format!("`{shown}` has no column `{wanted}`; it has {}", header.join(", ")))
}
