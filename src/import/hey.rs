//! hey's results as `hey -o csv` writes them: one row an answer, with its seconds since the begin
//! of the run.

use super::ImporterSpec;
use super::requests::{ALL_REQUESTS, Request, Requests};
use super::table::{Row, Style, each_row, first_cells, shown};
use super::waiting::LoadModel;
use crate::timeline::ResponseClass;

pub(super) static SPEC: ImporterSpec = ImporterSpec {
    name: "hey",
    summary: "hey results as CSV: hey -o csv http://…",
    looks_like: |begin| first_cells(begin, ',').starts_with(&["response-time", "DNS+dialup"]),
    read,
};

fn read(
    input: &mut dyn std::io::BufRead,
    requests: &mut Requests,
) -> Result<(), super::ImportError> {
    let style = Style { delimiter: b',', quotes: true };
    let cut = each_row(input, &style, None, |row| take(row, requests))?;
    cut.into_iter().for_each(|note| requests.note(note));
    requests.note("hey writes no date and no URL: times are seconds since the begin of the run, and all requests \
         count as one");
    requests.note(
        "hey leaves out requests that got no answer, and keeps no more than a million: failures \
         may be missing",
    );
    requests.set_model(LoadModel::Closed);
    requests.note(
        "hey has a fixed number of workers that wait for their answers: a rate is what the \
         target allowed, and nobody asked for it",
    );
    Ok(())
}

fn take(row: &Row<'_>, requests: &mut Requests) -> Result<(), String> {
    let status = row.text("status-code");
    let offset = row.text("offset");
    if offset.is_empty() {
        return Err(
            "there is no `offset`, as in old versions of hey: without it the rows have no \
                    times"
                .to_owned(),
        );
    }
    requests.add(Request {
        sent_unix: row.number("offset")?,
        took: row.number("response-time")?,
        endpoint: ALL_REQUESTS.to_owned(),
        class: status
            .parse()
            .map(ResponseClass::Status)
            .map_err(|_| format!("`{}` is not a status", shown(&status)))?,
        said: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use crate::import::tests::{Read, refusal, sample};

    #[test]
    fn answers_are_read_and_what_is_missing_is_said() {
        let read = Read::told(&sample("hey-csv.sample.csv"));
        read.assert_counts(30, 2, &[("all requests", 30, 2)]);
        read.assert_ms(0.5, 33.4);
        assert!(read.notes.contains("failures may be missing"), "{}", read.notes);
        let old = "response-time,DNS+dialup,DNS,Request-write,Response-delay,Response-read\n";
        let why = refusal(format!("{old}0.1,0,0,0,0.1,0\n").as_bytes());
        assert!(why.contains("old versions of hey"), "{why}");
    }
}
