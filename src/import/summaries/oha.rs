//! oha's summary as JSON.

use serde_json::Value;

use super::distributions::FIRST_FAILURE;
use super::summary::Summary;
use super::text::malformed;
use super::{NOTHING_WITH_TIMES, SummarySpec, json};
use crate::import::error::ImportError;

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "oha",
    summary: "oha's summary as JSON: oha --output-format json http://…",
    instead: NOTHING_WITH_TIMES,
    looks_like: |begin| {
        json::begins_with(begin, &["\"successRate\""])
            && (begin.contains("\"latencyPercentiles\"") || begin.contains("\"requestsPerSec\""))
    },
    read,
};

/// What oha says of requests that the end of the run cut off.
const CUT_OFF: &str = "aborted due to deadline";

fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let document = json::parse(text)?;
    let figures = &document["summary"];
    if !figures.is_object() {
        return Err(malformed("there is no object `summary`"));
    }
    let mut run = Summary {
        duration_s: json::number(&figures["total"]),
        requests_per_s: json::number(&figures["requestsPerSec"]),
        ..Summary::default()
    };
    for (status, count) in document["statusCodeDistribution"].as_object().into_iter().flatten() {
        let count = json::count(count).ok_or_else(|| malformed("a status without its count"))?;
        run.by_status.insert(status.clone(), count);
    }
    for (error, count) in document["errorDistribution"].as_object().into_iter().flatten() {
        let count = json::count(count).ok_or_else(|| malformed("an error without its count"))?;
        run.error(error, Some(count));
    }
    let errors = run.errors_counted();
    run.requests = Some(run.answers().saturating_add(errors));
    run.failures = Some(errors.saturating_add(run.answers_of(|code| code >= FIRST_FAILURE)));
    run.unanswered = Some(errors);
    if run.answers() > 0 {
        times(&document, &mut run);
    }
    warn(&mut run);
    Ok(vec![run])
}

/// Times are in seconds.
fn times(document: &Value, run: &mut Summary) {
    let figures = &document["summary"];
    let times = &mut run.response_times;
    times.mean_s = json::number(&figures["average"]);
    times.min_s = json::number(&figures["fastest"]);
    times.max_s = json::number(&figures["slowest"]);
    times.with_failures = true;
    for (name, seconds) in document["latencyPercentiles"].as_object().into_iter().flatten() {
        let percent = name.strip_prefix('p').and_then(|percent| percent.parse().ok());
        if let Some((percent, seconds)) = percent.zip(json::number(seconds)) {
            times.add(percent, seconds);
        }
    }
}

/// What the reader has to know of oha's summaries.
pub(super) fn warn(run: &mut Summary) {
    run.warn(
        "oha does not say how it sent. Unless it ran with `-q`, the load is a closed loop: each \
         connection waits for its answer, the rate is what the target allowed, and a slow target \
         hides its own queue",
    );
    run.warn(
        "oha's success rate counts every answer, whatever its status: here an answer with status \
         400 or above is a failure",
    );
    let cut = run.errors.iter().find(|error| error.text == CUT_OFF).and_then(|error| error.count);
    if let Some(count) = cut {
        // They may have been answered in time.
        run.unanswered = run.unanswered.map(|all| all.saturating_sub(count));
        run.warn(format!(
            "{count} requests were cut off by the end of the run: they count as failures, and may \
             not be the target's"
        ));
    }
}

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::assert_expected;

    #[test]
    fn answers_and_errors_are_all_requests() {
        assert_expected("oha.sample.json", "oha-json");
    }
}
