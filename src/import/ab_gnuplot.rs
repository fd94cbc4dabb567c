//! ApacheBench's measurements as `ab -g` writes them: one row a request in the order of the times
//! that they took, with whole seconds and milliseconds.

use super::ImporterSpec;
use super::requests::{ALL_REQUESTS, Request, Requests};
use super::table::{Row, Style, each_row, first_cells};
use super::waiting::LoadModel;
use crate::timeline::ResponseClass;

pub(super) static SPEC: ImporterSpec = ImporterSpec {
    name: "ab-gnuplot",
    summary: "ApacheBench's measurements for gnuplot: ab -g FILE",
    looks_like: |begin| first_cells(begin, '\t').starts_with(&["starttime", "seconds", "ctime"]),
    read: |input, requests| {
        let style = Style { delimiter: b'\t', quotes: false };
        let cut = each_row(input, &style, None, |row| take(row, requests))?;
        cut.into_iter().for_each(|note| requests.note(note));
        requests.note(
            "ab writes whole seconds: the order of requests and those in flight within a second \
             are not known; each start was taken for the middle of its second",
        );
        requests.note(
            "ab writes no status and no URL here: every row counts as 200 of one request, and \
             failures may be missing",
        );
        requests.set_model(LoadModel::Closed);
        requests.note(
            "ab has a fixed number of connections that wait for their answers: a rate is what the \
             target allowed, and nobody asked for it",
        );
        Ok(())
    },
};

fn take(row: &Row<'_>, requests: &mut Requests) -> Result<(), String> {
    // A further run that was appended brings its header again.
    if row.text("seconds") == "seconds" {
        return Ok(());
    }
    requests.add(Request {
        sent_unix: row.number("seconds")? + 0.5,
        took: row.number("ttime")? / 1e3,
        endpoint: ALL_REQUESTS.to_owned(),
        class: ResponseClass::Status(200),
        said: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use crate::import::tests::{Read, sample};

    #[test]
    fn rows_are_read_whatever_their_order() {
        let read = Read::told(&sample("ab-gnuplot.sample.tsv"));
        read.assert_counts(20, 0, &[("all requests", 20, 0)]);
        read.assert_ms(0.5, 42.0);
        assert_eq!(read.recording.timeline.ticks.len(), 5);
        for words in ["whole seconds", "failures may be missing"] {
            assert!(read.notes.contains(words), "{}", read.notes);
        }
    }
}
