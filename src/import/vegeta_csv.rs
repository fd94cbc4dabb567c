//! vegeta's results as `vegeta encode --to csv` writes them: one row a hit, without a header.

use super::ImporterSpec;
use super::requests::Requests;
use super::table::{Columns, Row, Style, each_row, first_cells, number, shown};
use super::vegeta::{Hit, WITHOUT_NAMES, add};

pub(super) static SPEC: ImporterSpec = ImporterSpec {
    name: "vegeta-csv",
    summary: "vegeta results as CSV: vegeta encode --to csv results.bin",
    looks_like,
    read: |input, requests| {
        let style = Style { delimiter: b',', quotes: true };
        let columns = Columns::of(FIRST.iter().copied());
        let mut has_names = false;
        let cut = each_row(input, &style, Some(columns), |row| {
            has_names |= !row.at(URL).is_empty();
            take(row, requests)
        })?;
        cut.into_iter().for_each(|note| requests.note(note));
        if !has_names {
            requests.note(WITHOUT_NAMES);
        }
        Ok(())
    },
};

/// The columns that every version has. The later ones add method and URL at the places below.
const FIRST: &[&str] = &["timestamp", "code", "latency", "bytes_out", "bytes_in", "error"];
const METHOD: usize = 9;
const URL: usize = 10;
/// Fewest digits of a time in nanoseconds since 1970.
const NANO_DIGITS: usize = 18;

fn looks_like(begin: &str) -> bool {
    let cells = first_cells(begin, ',');
    let are_digits = |cell: &str| !cell.is_empty() && cell.bytes().all(|it| it.is_ascii_digit());
    cells.len() >= FIRST.len()
        && cells[0].len() >= NANO_DIGITS
        && cells[1].len() <= 3
        && cells[..5].iter().all(|cell| are_digits(cell))
}

fn take(row: &Row<'_>, requests: &mut Requests) -> Result<(), String> {
    let code = row.text("code");
    add(
        &Hit {
            sent_unix: number(&row.text("timestamp"), "timestamp")? / 1e9,
            took: row.number("latency")? / 1e9,
            code: code.parse().map_err(|_| format!("`{}` is not a status", shown(&code)))?,
            error: &row.text("error"),
            method: &row.at(METHOD),
            url: &row.at(URL),
        },
        requests,
    )
}

#[cfg(test)]
mod tests {
    use crate::import::tests::{Read, refusal, sample};

    #[test]
    fn both_encodings_hold_the_same_hits() {
        for name in ["vegeta-csv.sample.csv", "vegeta-json.sample.json"] {
            let read = Read::told(&sample(name));
            // One was never sent: the load generator had no port left for it.
            read.assert_counts(23, 3, &[("POST /cart", 7, 0), ("GET /books", 16, 3)]);
            let due: u64 = read.recording.timeline.ticks.iter().map(|tick| tick.offered).sum();
            let sent: u64 = read.recording.timeline.ticks.iter().map(|tick| tick.sent).sum();
            assert_eq!((due, sent), (24, 23));
            assert!(read.notes.contains("could not send 1 of its requests"), "{}", read.notes);
            read.assert_ms(0.5, 60.3892);
        }
    }

    #[test]
    fn rows_that_are_none_are_refused() {
        let why = refusal(b"1777885800000094464,200,x,64,5,\n1777885800000094464,2000,1,1,1,\n");
        assert!(why.contains("cannot tell the format"), "{why}");
        let good = "1777885800000094464,200,20412664,64,5,\n";
        let why = refusal(format!("{good}1777885800000094464,200,x,64,5,\n{good}").as_bytes());
        assert_eq!(why, "line 2: `latency` is not a number: `x`");
    }
}
