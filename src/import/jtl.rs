//! JMeter's results as CSV, as JMeter and Taurus write them. Columns and their order are settings.

use std::io::{BufRead, Cursor, Read};

use super::ImporterSpec;
use super::error::{ImportError, LONGEST_LINE};
use super::jtl_samples::{Sample, Samples, class, is_transaction, millis};
use super::requests::Requests;
use super::table::{Columns, Row, Style, each_row, first_cells, shown};

pub(super) static SPEC: ImporterSpec = ImporterSpec {
    name: "jtl",
    summary: "JMeter results (JTL) as CSV: jmeter -n -t plan.jmx -l results.jtl",
    looks_like: |begin| header(begin).is_some() || delimiter_without_header(begin).is_some(),
    read,
};

/// Delimiters that people set (`jmeter.save.saveservice.default_delimiter`).
const DELIMITERS: &[char] = &[',', '\t', ';', '|'];
/// Names that only a header has; one with this many of them is one.
const NAMES: &[&str] = &[
    "timeStamp",
    "elapsed",
    "label",
    "responseCode",
    "responseMessage",
    "threadName",
    "success",
    "allThreads",
    "grpThreads",
    "Latency",
];
const NAMES_OF_HEADER: usize = 3;
/// Columns of a file without a header: JMeter's default since 3.0, and that before.
const COLUMNS: &[&str] = &[
    "timeStamp",
    "elapsed",
    "label",
    "responseCode",
    "responseMessage",
    "threadName",
    "dataType",
    "success",
    "failureMessage",
    "bytes",
    "sentBytes",
    "grpThreads",
    "allThreads",
    "URL",
    "Latency",
    "IdleTime",
    "Connect",
];
const OLD_COLUMNS: &[&str] = &[
    "timeStamp",
    "elapsed",
    "label",
    "responseCode",
    "responseMessage",
    "threadName",
    "dataType",
    "success",
    "bytes",
    "Latency",
];
/// Those of 2.13, which was the first to write numbers of threads.
const COLUMNS_OF_2_13: &[&str] = &[
    "timeStamp",
    "elapsed",
    "label",
    "responseCode",
    "responseMessage",
    "threadName",
    "dataType",
    "success",
    "bytes",
    "grpThreads",
    "allThreads",
    "Latency",
];
/// Place of `bytes` in the old order: a number where the later one has a text.
const OLD_BYTES: usize = 8;
/// The delimiter of a header and its cells.
fn header(begin: &str) -> Option<(char, Vec<&str>)> {
    DELIMITERS.iter().find_map(|delimiter| {
        let cells = first_cells(begin, *delimiter);
        let known = cells.iter().filter(|cell| NAMES.contains(cell)).count();
        (known >= NAMES_OF_HEADER).then_some((*delimiter, cells))
    })
}

/// The delimiter of a first row that begins with a time in milliseconds and a response time, and
/// says whether it was a success.
fn delimiter_without_header(begin: &str) -> Option<char> {
    let is_number = |cell: &str| cell.parse::<u64>().is_ok();
    DELIMITERS.iter().copied().find(|delimiter| {
        let cells = first_cells(begin, *delimiter);
        (9..=COLUMNS.len()).contains(&cells.len())
            && cells[0].len() == 13
            && is_number(cells[0])
            && is_number(cells[1])
            && cells.iter().any(|cell| matches!(*cell, "true" | "false"))
    })
}

fn read(input: &mut dyn BufRead, requests: &mut Requests) -> Result<(), ImportError> {
    let mut first = Vec::new();
    let unreadable = |source| ImportError::Unreadable { line: 1, source };
    input.take(LONGEST_LINE as u64).read_until(b'\n', &mut first).map_err(unreadable)?;
    let begin = String::from_utf8_lossy(&first).into_owned();
    let (delimiter, columns) = match header(&begin) {
        Some((delimiter, names)) => {
            Columns::of(names).need(&["timeStamp", "elapsed"])?;
            (delimiter, None)
        }
        None => {
            let delimiter = delimiter_without_header(&begin).unwrap_or(',');
            requests.note("the file has no header: its columns were taken by their place");
            (delimiter, Some(places(&first_cells(&begin, delimiter))))
        }
    };
    let style = Style { delimiter: delimiter as u8, quotes: true };
    let mut samples = Samples::new(requests);
    let mut kept = Kept::default();
    let mut input = Cursor::new(first).chain(input);
    let cut = each_row(&mut input, &style, columns, |row| take(row, &mut kept, &mut samples))?;
    samples.end().map_err(|mistake| ImportError::Malformed { mistakes: vec![mistake] })?;
    cut.into_iter().for_each(|note| requests.note(note));
    kept.tell(requests);
    Ok(())
}

/// The columns of a row, by how many it has and where its numbers stand.
fn places(cells: &[&str]) -> Columns {
    let is_old = cells.get(OLD_BYTES).is_some_and(|cell| cell.parse::<u64>().is_ok());
    let names = match is_old {
        true if cells.len() >= COLUMNS_OF_2_13.len() => COLUMNS_OF_2_13,
        true => OLD_COLUMNS,
        false => COLUMNS,
    };
    Columns::of(names.iter().copied().take(cells.len()))
}

/// What is told of the rows at the end.
#[derive(Default)]
struct Kept {
    has_local_times: bool,
}

impl Kept {
    fn tell(&self, requests: &mut Requests) {
        if self.has_local_times {
            requests.note("times are local and have no zone: they were read as UTC");
        }
    }
}

fn take(row: &Row<'_>, kept: &mut Kept, samples: &mut Samples<'_>) -> Result<(), String> {
    let stamp = row.text("timeStamp");
    // JMeter appends to an existing file, header included.
    if stamp == "timeStamp" {
        return Ok(());
    }
    let message = row.text("responseMessage");
    let took = millis(&row.text("elapsed"), "elapsed")?;
    let (at, is_local) = time(&stamp)?;
    kept.has_local_times |= is_local;
    let code = row.text("responseCode");
    let is_success = row.text("success") != "false";
    let class = class(&code, &message, is_success);
    samples.add(Sample {
        at,
        took,
        label: row.text("label").into_owned(),
        thread: row.text("threadName").into_owned(),
        class,
        is_accepted: is_success,
        said: if class.is_success() { String::new() } else { said(row, &code, &message) },
        users: row.text("allThreads").trim().parse().ok(),
        is_transaction: is_transaction(&message),
    })
}

/// What the row says of its failure.
fn said(row: &Row<'_>, code: &str, message: &str) -> String {
    let failure = row.text("failureMessage");
    match (failure.trim().is_empty(), code.parse::<u16>()) {
        (false, _) => failure.into_owned(),
        (true, Ok(_)) => message.to_owned(),
        (true, Err(_)) => format!("{code}: {message}"),
    }
}

/// Seconds since 1970, and whether the time is a local one.
fn time(stamp: &str) -> Result<(f64, bool), String> {
    if let Ok(millis) = stamp.trim().parse::<f64>() {
        return Ok((millis / 1e3, false));
    }
    let local = stamp.trim().replace('/', "-").parse::<jiff::civil::DateTime>();
    let local = local.map_err(|_| {
        format!(
            "`timeStamp` is not a time: `{}`; expected milliseconds since 1970, or \
             `2026/05/04 09:05:00`",
            shown(stamp)
        )
    })?;
    let time = local.to_zoned(jiff::tz::TimeZone::UTC).map_err(|error| error.to_string())?;
    Ok((time.timestamp().as_nanosecond() as f64 / 1e9, true))
}

#[cfg(test)]
mod tests {
    use crate::import::tests::{Read, refusal, sample};

    fn read(name: &str) -> Read {
        Read::told(&sample(&format!("jmeter-jtl-csv{name}")))
    }

    #[test]
    fn sums_are_not_counted_beside_their_parts() {
        let read = read(".sample.jtl");
        let rows = [("Home-0", 1, 0), ("Home-1", 1, 0), ("Book", 3, 1), ("Cart", 2, 2)];
        read.assert_counts(10, 4, &rows);
        read.assert_counts(10, 4, &[("Pay", 3, 1)]);
        read.assert_ms(0.5, 44.0);
        assert!(read.notes.contains("1 transactions were left out"), "{}", read.notes);
        assert!(read.notes.contains("1 samples that are sums"), "{}", read.notes);
    }

    #[test]
    fn transactions_that_replace_their_samples_are_requests() {
        let file = |rows: &[(i64, i64, &str, &str)]| {
            let mut text = "timeStamp,elapsed,label,responseCode,responseMessage,threadName,\
                            success\n"
                .to_owned();
            for (at, took, label, thread) in rows {
                let message = match label.starts_with("buy") {
                    true => {
                        "\"Number of samples in transaction : 2, number of failing samples : 0\""
                    }
                    false => "OK",
                };
                let at = 1_777_885_500_000 + at;
                text.push_str(&format!("{at},{took},{label},200,{message},{thread},true\n"));
            }
            Read::told(text.as_bytes())
        };
        // JMeter writes a transaction after its samples; whoever sorts by time moves it before them.
        let parts = [(0, 100, "a", "g 1-1"), (150, 50, "b", "g 1-1"), (0, 80, "a", "g 1-2")];
        let sum = (0, 200, "buy", "g 1-1");
        for at in [0, 2] {
            let mut rows = parts.to_vec();
            rows.insert(at, sum);
            let read = file(&rows);
            read.assert_counts(3, 0, &[("a", 2, 0), ("b", 1, 0)]);
            assert!(read.notes.contains("1 transactions were left out"), "{}", read.notes);
        }
        // With "Generate parent sample" the samples are not in the file.
        let alone = [(0, 200, "buy", "g 1-1"), (300, 200, "buy", "g 1-1"), (600, 30, "a", "g 1-1")];
        let read = file(&alone);
        read.assert_counts(3, 0, &[("buy", 2, 0), ("a", 1, 0)]);
        assert!(read.notes.contains("2 transactions have no samples"), "{}", read.notes);
    }

    #[test]
    fn columns_and_labels_of_all_shapes_are_read() {
        let tabs = read("-tabs.sample.jtl");
        tabs.assert_counts(
            4,
            1,
            &[("Bücher, alle", 1, 0), ("Buch \"17\"", 1, 0), ("購物車", 2, 1)],
        );
        tabs.assert_ms(0.5, 41.0);
        let plain = read("-noheader.sample.jtl");
        plain.assert_counts(5, 1, &[("GET /books", 2, 0), ("GET /cart", 1, 1)]);
        assert!(plain.notes.contains("no header"), "{}", plain.notes);
        let label = "no element: {\"id\":\"review\"} session 0815 more: a, b";
        read("-multiline.sample.jtl").assert_counts(3, 1, &[("Search", 2, 0), (label, 1, 1)]);
        let dates = read("-dates.sample.csv");
        dates.assert_counts(4, 1, &[("Books", 4, 1)]);
        assert!(dates.notes.contains("read as UTC"), "{}", dates.notes);
        assert!((dates.recording.environment.started_unix - 1_777_885_500.0).abs() < 1e-6);
    }

    #[test]
    fn threads_are_counted_where_no_row_has_their_number() {
        let vus = |text: &str| Read::told(text.as_bytes()).recording.timeline.stages[0].vus();
        let rows = |cells: &str| -> String {
            let row = |at: i64| {
                format!(
                    "{},100,a,200,OK,G 1-{},text,true,185{cells}\n",
                    1_777_885_500_000 + 100 * at,
                    at % 3
                )
            };
            (0..90).map(row).collect()
        };
        // JMeter 2.13, and the versions before it.
        assert_eq!((vus(&rows(",3,7,50")), vus(&rows(",50"))), (7.0, 3.0));
        let header = "timeStamp,elapsed,label,responseCode,responseMessage,threadName,dataType,success,bytes\n";
        assert_eq!(vus(&format!("{header}{}", rows(""))), 3.0);
    }

    #[test]
    fn stamps_of_the_end_are_seen() {
        let read = read("-endstamps.sample.jtl");
        read.assert_counts(16, 0, &[("Books", 16, 0)]);
        assert!(read.notes.contains("times of the ends"), "{}", read.notes);
        // The first began 4 ms after a whole second, and is not of the second before it.
        assert_eq!(read.recording.timeline.ticks.len(), 2);
        assert!((read.recording.environment.started_unix - 1_777_885_500.0).abs() < 1e-6);
    }

    #[test]
    fn of_several_runs_one_is_read() {
        let read = read("-appended.sample.jtl");
        read.assert_counts(8, 0, &[("Books", 8, 0)]);
        assert!(read.notes.contains("2 runs") && read.notes.contains("6, 8"), "{}", read.notes);
    }

    #[test]
    fn impossible_files_are_refused() {
        let why = refusal(&sample("jmeter-jtl-csv-baddate.sample.csv"));
        assert!(why.starts_with("line 2: ") && why.contains("2026/21/21"), "{why}");
        let why = refusal(&sample("jmeter-jtl-csv-notimes.sample.csv"));
        assert!(why.contains("no column `timeStamp`"), "{why}");
    }

    #[test]
    fn half_a_row_at_the_end_is_left_out() {
        let mut bytes = sample("jmeter-jtl-csv.sample.jtl");
        bytes.truncate(bytes.len() - 60);
        let read = Read::told(&bytes);
        read.assert_counts(9, 4, &[("Pay", 2, 1)]);
        assert!(read.notes.contains("line 13"), "{}", read.notes);
    }
}
