//! Reads tables of delimited cells row by row, with their columns by name.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use super::error::{ImportError, LONGEST_LINE, Mistakes};
use super::lines::{CUT_OFF, is_cut};

/// How much of a text a message quotes, in characters.
const QUOTED: usize = 60;

/// The names of a table's columns.
#[derive(Debug, Default)]
pub(super) struct Columns {
    /// In their order. They are few, and each cell is asked for by name: going along them is quicker
    /// than a search in a tree of texts.
    names: Vec<String>,
}

impl Columns {
    /// Columns in this order.
    pub(super) fn of<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        Self { names: names.into_iter().map(|name| name.trim().to_owned()).collect() }
    }

    /// Where a column is; of several of one name, the last.
    fn place(&self, name: &str) -> Option<usize> {
        self.names.iter().rposition(|known| known == name)
    }

    /// Whether there is a column of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.place(name).is_some()
    }

    /// The first of these columns that is missing.
    ///
    /// # Errors
    /// When one is.
    pub(super) fn need(&self, names: &[&str]) -> Result<(), ImportError> {
        let missing: Vec<_> = names.iter().filter(|name| !self.has(name)).collect();
        let Some(first) = missing.first() else { return Ok(()) };
        let mistake =
            format!("line 1: there is no column `{first}`, without which nothing can be told");
        Err(ImportError::Malformed { mistakes: vec![mistake] })
    }
}

/// One row.
pub(super) struct Row<'t> {
    cells: &'t csv::ByteRecord,
    columns: &'t Columns,
}

impl Row<'_> {
    /// The cell of a column; empty where there is none.
    pub(super) fn text(&self, column: &str) -> Cow<'_, str> {
        self.at(self.columns.place(column).unwrap_or(usize::MAX))
    }

    /// The cell at a place, from 0.
    pub(super) fn at(&self, place: usize) -> Cow<'_, str> {
        String::from_utf8_lossy(self.cells.get(place).unwrap_or_default())
    }

    /// Gives the name and the cell of each column to `take`.
    pub(super) fn each(&self, mut take: impl FnMut(&str, &str)) {
        for (place, name) in self.columns.names.iter().enumerate() {
            take(name, &self.at(place));
        }
    }

    /// A number that is finite.
    ///
    /// # Errors
    /// When the cell is no such number.
    pub(super) fn number(&self, column: &str) -> Result<f64, String> {
        number(&self.text(column), column)
    }
}

/// A finite number.
///
/// # Errors
/// When `text` is none.
pub(super) fn number(text: &str, what: &str) -> Result<f64, String> {
    let number: Option<f64> = text.trim().parse().ok();
    number
        .filter(|number| number.is_finite())
        .ok_or_else(|| format!("`{what}` is not a number: `{}`", shown(text)))
}

/// A text of a file as a message can quote it: its beginning, without what moves a terminal.
pub(super) fn shown(text: &str) -> String {
    let begin = text.trim().chars().take(QUOTED);
    begin.map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// How a table is written.
pub(super) struct Style {
    /// Between two cells.
    pub(super) delimiter: u8,
    /// Whether cells may stand in double quotes.
    pub(super) quotes: bool,
}

/// Gives each row to `take`. The columns are those of the first row, unless `columns` says them.
/// Rows with fewer cells than columns are mistakes. Only one row is in memory.
///
/// # Errors
/// When the input cannot be read, when a row is too long, or when `take` refused rows.
pub(super) fn each_row(
    input: &mut dyn BufRead,
    style: &Style,
    mut columns: Option<Columns>,
    mut take: impl FnMut(&Row<'_>) -> Result<(), String>,
) -> Result<Option<String>, ImportError> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(style.delimiter)
        .quoting(style.quotes)
        .from_reader(Bounded { input, left: LONGEST_LINE });
    let (mut mistakes, mut cells) = (Mistakes::default(), csv::ByteRecord::new());
    loop {
        reader.get_mut().left = LONGEST_LINE;
        let place = usize::try_from(reader.position().line()).unwrap_or(usize::MAX);
        match reader.read_byte_record(&mut cells) {
            Ok(true) => {}
            Ok(false) => return mistakes.end(),
            Err(error) => return ended_by(error, mistakes, place),
        }
        let line = cells.position().map_or(place, |at| at.line() as usize);
        let Some(columns) = &columns else {
            let names: Vec<_> = cells.iter().map(String::from_utf8_lossy).collect();
            columns = Some(Columns::of(names.iter().map(Cow::as_ref)));
            continue;
        };
        let expected = columns.names.len();
        let outcome = match cells.len() < expected {
            true => Err(format!("{} cells, expected {expected}", cells.len())),
            false => take(&Row { cells: &cells, columns }),
        };
        mistakes.note(line, outcome)?;
    }
}

/// What an input comes to that could not be read on.
fn ended_by(
    error: csv::Error,
    mistakes: Mistakes,
    line: usize,
) -> Result<Option<String>, ImportError> {
    let csv::ErrorKind::Io(source) = error.into_kind() else {
        let source = io::Error::new(io::ErrorKind::InvalidData, "not a table");
        return Err(ImportError::Unreadable { line, source });
    };
    match source.kind() {
        io::ErrorKind::FileTooLarge => Err(ImportError::LongLine { line }),
        _ if is_cut(&source) && mistakes.any_right() => {
            mistakes.end().map(|_| Some(CUT_OFF.to_owned()))
        }
        _ => Err(ImportError::Unreadable { line, source }),
    }
}

/// An input that ends with an error where a row is longer than any that a tool writes: a quote
/// without its end would otherwise bring the rest of the file into memory.
pub(super) struct Bounded<'r> {
    pub(super) input: &'r mut dyn BufRead,
    /// Bytes that may be read before it is set anew.
    pub(super) left: usize,
}

impl Read for Bounded<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let most = into.len().min(self.left);
        let count = self.input.read(&mut into[..most])?;
        self.left -= count;
        Ok(count)
    }
}

/// The cells of the first line, without their quotes; for telling a format.
pub(super) fn first_cells(begin: &str, delimiter: char) -> Vec<&str> {
    let line = begin.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    line.split(delimiter).map(|cell| cell.trim().trim_matches('"')).collect()
}
