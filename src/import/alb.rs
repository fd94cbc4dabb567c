//! Access logs of AWS' Application Load Balancer. Times are those of the end; the time that a
//! request took is the sum of three fields, and reaches to the first byte of the response.

use jiff::Timestamp;

use super::ImporterSpec;
use super::server_log::{Served, ServerLog, each_entry, status};
use crate::access_log::{Stamp, fields, method_and_target};

pub(super) static SPEC: ImporterSpec = ImporterSpec {
    name: "alb",
    summary: "access logs of AWS' Application Load Balancer",
    looks_like: |begin| {
        let line = begin.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        has_its_begin(&fields(line))
    },
    read: |input, requests| {
        let mut seen = Seen::default();
        each_entry(input, requests, EXPECTED, |line, log| take(line, &mut seen, log))?;
        requests.note(
            "the times reach to the first byte of the response: the transfer of the body is not \
             in them",
        );
        if seen.never_reached > 0 {
            requests.note(format!(
                "no target answered {} requests: the balancer answered them itself, or the client \
                 went away",
                seen.never_reached
            ));
        }
        if seen.without_times > 0 {
            requests.note(format!(
                "{} requests have no times (-1): they count with the time from their creation to \
                 their line",
                seen.without_times
            ));
        }
        Ok(())
    },
};

const EXPECTED: &str = "`https 2026-05-04T09:20:00.010000Z app/NAME/ID …`, 29 fields apart by \
                        blanks";
/// Protocols that its lines begin with.
const PROTOCOLS: &[&str] = &["http", "https", "h2", "grpcs", "ws", "wss"];
/// Places of fields.
const TIME: usize = 1;
const TIMES: std::ops::RangeInclusive<usize> = 5..=7;
const STATUS: usize = 8;
const TARGET_STATUS: usize = 9;
const REQUEST: usize = 12;
const CREATION: usize = 21;

/// What is told at the end.
#[derive(Default)]
struct Seen {
    never_reached: u64,
    without_times: u64,
}

fn has_its_begin(fields: &[&str]) -> bool {
    fields.first().is_some_and(|protocol| PROTOCOLS.contains(protocol))
        && fields.get(TIME).is_some_and(|time| time.parse::<Timestamp>().is_ok())
        && fields.len() > REQUEST
}

fn take(line: &str, seen: &mut Seen, log: &mut ServerLog<'_>) -> Result<(), String> {
    let fields = fields(line);
    if !has_its_begin(&fields) {
        return Err("not a line of a request".to_owned());
    }
    let field = |place: usize| fields.get(place).copied().unwrap_or_default();
    let time = |place: usize| {
        let time = field(place).parse::<Timestamp>();
        time.map(|time| time.as_nanosecond() as f64 / 1e9)
            .map_err(|_| format!("field {} is not a time", place + 1))
    };
    let at = time(TIME)?;
    let parts: Result<Vec<f64>, _> = TIMES.map(|place| field(place).parse::<f64>()).collect();
    let parts = parts.map_err(|_| "fields 6 to 8 are not seconds")?;
    let has_times = parts.iter().all(|part| *part >= 0.0);
    let took = match has_times {
        true => parts.iter().sum(),
        false => (at - time(CREATION)?).max(0.0),
    };
    log.add(Served {
        at,
        stamp: Stamp::End,
        is_whole_second: false,
        took,
        request: method_and_target(field(REQUEST)),
        status: status(field(STATUS))?,
        said: String::new(),
    })?;
    seen.never_reached += u64::from(field(TARGET_STATUS) == "-");
    seen.without_times += u64::from(!has_times);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::import::tests::{Read, sample};

    #[test]
    fn parts_of_times_are_added_and_missing_ones_are_not_subtracted() {
        let read = Read::told(&sample("accesslog-alb.sample.log"));
        let requests =
            [("GET /books", 5), ("GET /books/17", 5), ("GET /books/18", 5), ("POST /cart", 5)];
        read.assert_served(&requests, &[("200", 16), ("404", 1), ("460", 1), ("503", 2)]);
        read.assert_ms(0.5, 35.0);
        for words in ["no target answered 3 requests", "2 requests have no times"] {
            assert!(read.notes.contains(words), "{}", read.notes);
        }
        let began = read.recording.environment.started_unix;
        assert!((began - 1_777_886_400.0).abs() < 1e-6, "{began}");
    }
}
