//! The run as a table with a row for each second, for spreadsheets and scripts.

use std::io;

use super::format::FormatSpec;
use super::model::{Report, SecondRow};

pub(super) static SPEC: FormatSpec = FormatSpec {
    name: "csv",
    summary: "a row for each second: load, answers, failures, response times in seconds",
    extension: "csv",
    left_by_every_run: false,
    needs_seconds: true,
    render,
};

const HEADER: &str = "time_unix,elapsed_seconds,stage,users,offered,sent,completed,failed,in_flight,\
                      mean_seconds,p50_seconds,p90_seconds,p95_seconds,p99_seconds,max_seconds";

fn render(report: &Report, w: &mut dyn io::Write) -> io::Result<()> {
    writeln!(w, "{HEADER}")?;
    let Some(seconds) = &report.seconds else { return Ok(()) };
    for row in &seconds.rows {
        writeln!(w, "{}", line(seconds.started_unix, row))?;
    }
    Ok(())
}

/// Nothing in it needs quoting: stages are words, everything else is numbers.
fn line(started_unix: f64, row: &SecondRow) -> String {
    let maybe = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.6}"));
    let times = &row.times;
    [
        format!("{:.3}", started_unix + row.begin),
        format!("{:.3}", row.begin),
        row.stage.clone(),
        row.users.map_or_else(String::new, |users| format!("{users:.1}")),
        row.offered.to_string(),
        row.sent.to_string(),
        row.completed.to_string(),
        row.failed.to_string(),
        format!("{:.3}", row.in_flight),
        maybe(times.mean),
        maybe(times.p50),
        maybe(times.p90),
        maybe(times.p95),
        maybe(times.p99),
        maybe(times.max),
    ]
    .join(",")
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn every_second_is_a_row_and_the_counts_add_up() {
        let (recording, report) = fixture::with_seconds();
        let mut bytes = Vec::new();
        render(&report, &mut bytes).unwrap();
        let mut table = csv::Reader::from_reader(bytes.as_slice());
        let rows: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), recording.timeline.ticks.len());
        let completed: u64 = rows.iter().map(|row| row[6].parse::<u64>().unwrap()).sum();
        let ticks = recording.timeline.ticks.iter();
        assert_eq!(completed, ticks.map(|tick| tick.completed()).sum::<u64>());
    }
}
