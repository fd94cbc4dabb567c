//! IIS' logs in the W3C's extended format. Times are taken for those of the end.

use super::ImporterSpec;
use super::server_log::each_entry;
use super::w3c::{W3cFields, names};

pub(super) static SPEC: ImporterSpec = ImporterSpec {
    name: "iis",
    summary: "IIS' logs in the W3C format with the field `time-taken`: u_exYYMMDD.log",
    looks_like: |begin| {
        let names = names(begin);
        names.contains(&"cs-uri-stem") && !names.contains(&"x-edge-location")
    },
    read: |input, requests| {
        let mut columns = W3cFields::new(&[]);
        let mut aborted = 0_u64;
        each_entry(input, requests, EXPECTED, |line, log| {
            let Some(row) = columns.row(line)? else { return Ok(()) };
            row.add(MILLIS, log)?;
            aborted += u64::from(row.cell("sc-win32-status").is_ok_and(|it| it == CLIENT_GONE));
            Ok(())
        })?;
        requests.note("the time of a line is taken for the end of the request");
        if aborted > 0 {
            requests.note(format!(
                "in {aborted} requests the client went away before the end of the response \
                 (win32 status {CLIENT_GONE}): they count by their status"
            ));
        }
        Ok(())
    },
};

const EXPECTED: &str = "the fields that `#Fields` names";
/// Unit of `time-taken` in seconds.
const MILLIS: f64 = 1e-3;
/// ERROR_NETNAME_DELETED (Windows' system error codes): the connection is gone.
const CLIENT_GONE: &str = "64";

#[cfg(test)]
mod tests {
    use crate::import::tests::{Read, refusal, sample};

    #[test]
    fn fields_may_change_in_the_middle() {
        let read = Read::told(&sample("accesslog-iis.sample.log"));
        let requests =
            [("GET /books", 5), ("GET /books/17", 5), ("GET /books/18", 5), ("POST /cart", 5)];
        read.assert_served(&requests, &[("200", 17), ("404", 1), ("503", 2)]);
        read.assert_ms(0.5, 38.0);
        for words in ["whole seconds", "in 1 requests the client went away"] {
            assert!(read.notes.contains(words), "{}", read.notes);
        }
    }

    #[test]
    fn a_log_without_durations_is_refused_with_the_field_to_add() {
        let text = String::from_utf8(sample("accesslog-iis.sample.log")).unwrap();
        let why = refusal(text.replace("time-taken", "x-time").as_bytes());
        assert!(why.contains("no field `time-taken`"), "{why}");
    }
}
