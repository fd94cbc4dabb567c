//! httperf's summary as it prints it.

use super::summary::Summary;
use super::text::{after, count, each_line, has_line, number};
use super::{NOTHING_WITH_TIMES, SummarySpec};
use crate::import::error::ImportError;

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "httperf",
    summary: "httperf's summary: httperf --server … --rate 100 --num-conns 1000",
    instead: NOTHING_WITH_TIMES,
    looks_like: |begin| has_line(begin, "Total: connections ") && has_line(begin, "Reply status:"),
    read,
};

/// Errors that httperf counts, and what they are. The first are its own machine's.
const ERRORS: [(&str, &str); 7] = [
    ("fd-unavail", "too many open files"),
    ("addrunavail", "cannot assign requested address"),
    ("ftab-full", "too many open files in the system (ENFILE)"),
    ("client-timo", "timeout of the client"),
    ("socket-timo", "timeout of the socket"),
    ("connrefused", "connection refused"),
    ("connreset", "connection reset"),
];

fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let mut runs: Vec<Summary> = Vec::new();
    each_line(text, |line| {
        if let Some(rest) = after(line, "Total:") {
            runs.push(Summary {
                requests: value(rest, "requests").map(count).transpose()?,
                duration_s: value(rest, "test-duration").map(number).transpose()?,
                ..Summary::default()
            });
            return Ok(());
        }
        let Some(run) = runs.last_mut() else { return Ok(()) };
        if let Some(rest) = after(line, "Reply time [ms]:") {
            let millis = value(rest, "response").map(number).transpose()?;
            let transfer = value(rest, "transfer").map(number).transpose()?;
            let both = millis.zip(transfer).map(|(first, rest)| first + rest);
            run.response_times.mean_s = both.map(|millis| millis / 1e3);
            run.response_times.with_failures = true;
        } else if let Some(rest) = after(line, "Reply status:") {
            for (class, hits) in rest.split_whitespace().filter_map(|pair| pair.split_once('=')) {
                run.answered(class, count(hits)?);
            }
        } else if let Some(rest) = after(line, "Errors:") {
            for (name, text) in ERRORS {
                let hits = value(rest, name).map(count).transpose()?;
                if let Some(hits) = hits.filter(|hits| *hits > 0) {
                    run.error(text, Some(hits));
                }
            }
        } else if let Some(rest) = after(line, "Request rate:") {
            run.requests_per_s = Some(number(rest)?);
        }
        Ok(())
    })?;
    for run in &mut runs {
        let errors = run.errors_counted();
        run.unanswered = Some(errors);
        run.failures = Some(run.bad_answers().saturating_add(errors));
        // A connection that was never made has no request.
        run.requests = Some(run.requests.unwrap_or(0).max(run.answers().saturating_add(errors)));
        run.warn("httperf prints no percentiles of its response times");
    }
    Ok(runs)
}

/// The word behind a name: `requests 1000`.
fn value<'l>(text: &'l str, name: &str) -> Option<&'l str> {
    let mut words = text.split_whitespace();
    words.find(|word| *word == name)?;
    words.next()
}

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::assert_expected;

    #[test]
    fn its_own_limits_are_told_from_those_of_the_target() {
        let runs = assert_expected("httperf.sample.txt", "httperf");
        assert!(runs[0].warnings.iter().any(|it| it.contains("5 of its requests")), "{runs:?}");
    }
}
