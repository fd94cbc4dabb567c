//! CloudFront's standard logs. Times are those of the end, durations are seconds.

use super::ImporterSpec;
use super::server_log::each_entry;
use super::table::first_cells;
use super::w3c::{W3cFields, names};

pub(super) static SPEC: ImporterSpec = ImporterSpec {
    name: "cloudfront",
    summary: "CloudFront's standard access logs",
    looks_like: |begin| {
        let cells = first_cells(begin, '\t');
        names(begin).contains(&"x-edge-location")
            || cells.len() == COLUMNS.len() && cells[0].parse::<jiff::civil::Date>().is_ok()
    },
    read: |input, requests| {
        let mut columns = W3cFields::new(COLUMNS);
        let (mut hits, mut all) = (0_u64, 0_u64);
        each_entry(input, requests, EXPECTED, |line, log| {
            let Some(row) = columns.row(line)? else { return Ok(()) };
            row.add(1.0, log)?;
            all += 1;
            hits += u64::from(row.cell("x-edge-result-type").is_ok_and(|it| it == "Hit"));
            Ok(())
        })?;
        if hits > 0 {
            requests.note(format!(
                "CloudFront's cache answered {hits} of {all} requests: the origin did not see \
                 them, and they make the response times short; to see the origin alone, import the \
                 lines without `Hit`"
            ));
        }
        Ok(())
    },
};

const EXPECTED: &str = "the fields that `#Fields` names, apart by tabs";
/// W3cFields of a piece of a file that does not name them.
const COLUMNS: &[&str] = &[
    "date",
    "time",
    "x-edge-location",
    "sc-bytes",
    "c-ip",
    "cs-method",
    "cs(Host)",
    "cs-uri-stem",
    "sc-status",
    "cs(Referer)",
    "cs(User-Agent)",
    "cs-uri-query",
    "cs(Cookie)",
    "x-edge-result-type",
    "x-edge-request-id",
    "x-host-header",
    "cs-protocol",
    "cs-bytes",
    "time-taken",
    "x-forwarded-for",
    "ssl-protocol",
    "ssl-cipher",
    "x-edge-response-result-type",
    "cs-protocol-version",
    "fle-status",
    "fle-encrypted-fields",
    "c-port",
    "time-to-first-byte",
    "x-edge-detailed-result-type",
    "sc-content-type",
    "sc-content-len",
    "sc-range-start",
    "sc-range-end",
];

#[cfg(test)]
mod tests {
    use crate::import::tests::{Read, sample};

    #[test]
    fn answers_of_the_cache_are_counted() {
        let log = sample("accesslog-cloudfront.sample.log");
        let lines: Vec<_> = log.split_inclusive(|byte| *byte == b'\n').skip(2).collect();
        for log in [&log, &lines.concat()] {
            let read = Read::told(log);
            let requests =
                [("GET /books", 5), ("GET /books/17", 5), ("GET /books/18", 5), ("POST /cart", 5)];
            read.assert_served(&requests, &[("200", 16), ("404", 1), ("503", 2), ("reset", 1)]);
            read.assert_ms(0.5, 35.0);
            assert!(read.notes.contains("cache answered 9 of 20"), "{}", read.notes);
        }
    }
}
