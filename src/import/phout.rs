//! The `phout` of Yandex.Tank's guns: one row a request, twelve cells, tabs, no quotes, no header.
//! Times are those of the start; durations are in microseconds.

use super::ImporterSpec;
use super::requests::{Request, Requests};
use super::table::{Columns, Row, Style, each_row, first_cells, shown};
use crate::timeline::ResponseClass;

pub(super) static SPEC: ImporterSpec = ImporterSpec {
    name: "phout",
    summary: "phout logs of Yandex.Tank (phantom, pandora): phout_*.log",
    looks_like,
    read: |input, requests| {
        let style = Style { delimiter: b'\t', quotes: false };
        let columns = Columns::of(COLUMNS.iter().copied());
        let cut = each_row(input, &style, Some(columns), |row| take(row, requests))?;
        cut.into_iter().for_each(|note| requests.note(note));
        Ok(())
    },
};

const COLUMNS: &[&str] = &[
    "time",
    "tag",
    "interval_real",
    "connect_time",
    "send_time",
    "latency",
    "receive_time",
    "interval_event",
    "size_out",
    "size_in",
    "net_code",
    "proto_code",
];

fn looks_like(begin: &str) -> bool {
    let cells = first_cells(begin, '\t');
    cells.len() == COLUMNS.len()
        && cells[0].parse::<f64>().is_ok_and(|time| time > 0.0)
        && cells[2..].iter().all(|cell| cell.parse::<i64>().is_ok())
}

fn take(row: &Row<'_>, requests: &mut Requests) -> Result<(), String> {
    let code = |column| {
        let text = row.text(column);
        text.trim()
            .parse::<u16>()
            .map_err(|_| format!("`{column}` is not a code: `{}`", shown(&text)))
    };
    let (net, status) = (code("net_code")?, code("proto_code")?);
    let tag = row.text("tag");
    // What follows `#` is the number of the request in the ammunition file.
    let endpoint = tag.rsplit_once('#').map_or(&*tag, |(name, _)| name);
    requests.add(Request {
        sent_unix: row.number("time")?,
        took: row.number("interval_real")? / 1e6,
        endpoint: endpoint.to_owned(),
        class: if net == 0 && status > 0 { ResponseClass::Status(status) } else { class(net) },
        said: said(net),
    })
}

/// What a request without an answer was, by Linux' error number.
fn class(net: u16) -> ResponseClass {
    match net {
        110 => ResponseClass::Timeout,
        24 | 99 | 101 | 105 | 111 | 113 => ResponseClass::Connect,
        71 => ResponseClass::Protocol,
        _ => ResponseClass::Reset,
    }
}

/// The words of the error numbers that are known.
fn said(net: u16) -> String {
    match net {
        0 => String::new(),
        24 => "too many open files (errno 24)".to_owned(),
        99 => "cannot assign requested address (errno 99)".to_owned(),
        105 => "no buffer space available (errno 105)".to_owned(),
        110 => "connection timed out (errno 110)".to_owned(),
        111 => "connection refused (errno 111)".to_owned(),
        net => format!("errno {net}"),
    }
}

#[cfg(test)]
mod tests {
    use crate::import::tests::{Read, sample};

    #[test]
    fn tags_are_without_their_numbers() {
        let read = Read::told(&sample("phout.sample.log"));
        let rows = [("books", 6, 1), ("cart", 6, 2), ("", 6, 0), ("\"quoted, tag", 6, 0)];
        read.assert_counts(24, 3, &rows);
        read.assert_ms(0.5, 19.568);
        assert_eq!(read.recording.timeline.ticks.len(), 14);
        assert!(read.notes.contains("2 requests ended without an answer"), "{}", read.notes);
    }

    #[test]
    fn a_generator_without_ports_is_not_the_targets_failure() {
        let row = |second: u32, net: u16| {
            format!("17778859{second:02}.000\t\t120\t120\t0\t0\t0\t0\t110\t0\t{net}\t0\n")
        };
        let text = [row(0, 99), row(1, 24), row(2, 111)].concat();
        let read = Read::told(text.as_bytes());
        read.assert_counts(1, 1, &[("", 1, 1)]);
        assert!(read.notes.contains("could not send 2 of its requests"), "{}", read.notes);
    }
}
