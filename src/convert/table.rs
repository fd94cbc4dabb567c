//! Files of values: read from beside the input, written next to the plan.

use super::artifact::Artifact;
use super::draft::{Data, RowOrder};
use super::template::identifier;
use super::values::Values;

/// Most lines of a file of values: a run holds them in memory.
const MOST_ROWS: usize = 1_000_000;

/// A file of values as an input names it.
pub(super) struct ValueFile<'f> {
    pub(super) path: &'f str,
    pub(super) delimiter: u8,
    /// What the input calls its columns; empty where the first line says it.
    pub(super) fields: Vec<String>,
    /// Whether the first line holds names and not values.
    pub(super) has_header: bool,
    pub(super) order: RowOrder,
}

/// A name of the input, and that of its value in the plan.
pub(super) type Columns = Vec<(String, String)>;

impl ValueFile<'_> {
    /// Copies the file next to the plan, with the header line that plans need. Gives its data, and
    /// what each of its columns is called in the plan.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(super) fn copy(
        mut self,
        artifact: &mut Artifact<'_>,
        values: &Values,
    ) -> Result<((String, Data), Columns), String> {
        let unreadable =
            |why: String| format!("`{}` cannot be read: {why}", self.path.escape_debug());
        let rows = rows(artifact, self.path, self.delimiter).map_err(unreadable)?;
        let mut rows = rows.into_iter();
        if self.has_header || self.fields.is_empty() {
            let header = rows.next().unwrap_or_default();
            if self.fields.is_empty() {
                self.fields = header.iter().map(str::to_owned).collect();
            }
        }
        let stem = self.path.rsplit(['/', '\\']).next().unwrap_or(self.path);
        let stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem);
        let rows = rows.map(|row| row.iter().map(str::to_owned).collect());
        let table = Table { stem, fields: self.fields, order: self.order };
        table.write(artifact, values, rows)
    }
}

/// Rows of values with named columns.
pub(super) struct Table<'s> {
    /// What the data are called, if no others are.
    pub(super) stem: &'s str,
    pub(super) fields: Vec<String>,
    pub(super) order: RowOrder,
}

impl Table<'_> {
    /// Writes them as a file next to the plan.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn write(
        self,
        artifact: &mut Artifact<'_>,
        values: &Values,
        mut rows: impl Iterator<Item = Vec<String>>,
    ) -> Result<((String, Data), Columns), String> {
        let columns: Vec<String> = self.fields.iter().map(|field| identifier(field)).collect();
        let name = values.data_name(&identifier(self.stem));
        let file = format!("{name}.csv");
        let written = artifact.write(&file, |csv| {
            csv.write_record(&columns)?;
            rows.try_for_each(|row| {
                let cell = |index: usize| row.get(index).map_or("", String::as_str);
                csv.write_record((0..columns.len()).map(cell))
            })
        });
        written.map_err(|why| why.to_string())?;
        let column = (columns.len() == 1).then(|| columns[0].clone());
        let value = |column: &String| match columns.len() {
            1 => name.clone(),
            _ => format!("{name}.{column}"),
        };
        let known = columns.iter().map(value).collect::<Vec<_>>();
        let known = self.fields.into_iter().zip(known).collect();
        Ok(((name, Data::Csv { file, column, order: self.order }), known))
    }
}

fn rows(
    artifact: &mut Artifact<'_>,
    path: &str,
    delimiter: u8,
) -> Result<Vec<csv::StringRecord>, String> {
    let file = artifact.files.open(path).map_err(|error| error.to_string())?;
    let mut reader = csv::ReaderBuilder::new();
    let reader = reader.has_headers(false).flexible(true).delimiter(delimiter).from_reader(file);
    let mut rows = Vec::new();
    for row in reader.into_records() {
        rows.push(row.map_err(|error| error.to_string())?);
        if rows.len() > MOST_ROWS {
            return Err(format!("the file has more than {MOST_ROWS} lines"));
        }
    }
    if rows.is_empty() { Err("the file is empty".to_owned()) } else { Ok(rows) }
}
