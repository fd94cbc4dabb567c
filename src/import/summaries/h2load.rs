//! h2load's summary as it prints it.

use super::summary::Summary;
use super::text::{after, count, each_line, has_line, number, seconds};
use super::{NOTHING_WITH_TIMES, SummarySpec};
use crate::import::error::ImportError;

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "h2load",
    summary: "h2load's summary: h2load -n 10000 -c 10 -m 10 https://…",
    instead: NOTHING_WITH_TIMES,
    looks_like: |begin| has_line(begin, "finished in ") && has_line(begin, "status codes:"),
    read,
};

fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let mut runs: Vec<Summary> = Vec::new();
    each_line(text, |line| {
        if let Some(rest) = after(line, "finished in ") {
            let mut parts = rest.split(',').map(str::trim);
            let duration = parts.next().map(seconds).transpose()?;
            let rate =
                parts.find_map(|part| part.strip_suffix(" req/s")).map(number).transpose()?;
            runs.push(Summary { duration_s: duration, requests_per_s: rate, ..Summary::default() });
            return Ok(());
        }
        let Some(run) = runs.last_mut() else { return Ok(()) };
        if let Some(rest) = after(line, "requests:") {
            requests(rest, run)?;
        } else if let Some(rest) = after(line, "status codes:") {
            for (hits, class) in pairs(rest) {
                run.answered(class, count(hits)?);
            }
        } else if let Some(rest) = after(line, "time for request:") {
            let mut times = rest.split_whitespace().take(3).map(seconds);
            let times_of = &mut run.response_times;
            times_of.with_failures = true;
            times_of.min_s = times.next().transpose()?;
            times_of.max_s = times.next().transpose()?;
            times_of.mean_s = times.next().transpose()?;
        }
        Ok(())
    })?;
    for run in &mut runs {
        run.warn("h2load prints no percentiles of its response times");
        run.warn_closed_loop();
    }
    Ok(runs)
}

/// `10 failed, 0 errored`: each number with its word.
fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(',').filter_map(|pair| pair.trim().split_once(' '))
}

/// `10000 total, 10000 started, 10000 done, 9990 succeeded, 10 failed, 0 errored, 0 timeout`. What failed
/// had a bad answer, an error or no answer in time.
fn requests(text: &str, run: &mut Summary) -> Result<(), String> {
    for (hits, word) in pairs(text) {
        let hits = count(hits)?;
        match word {
            "total" => run.requests = Some(hits),
            "failed" => run.failures = Some(hits),
            "errored" | "timeout" if hits > 0 => run.error(word, Some(hits)),
            _ => {}
        }
    }
    run.unanswered = Some(run.errors_counted());
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::assert_expected;

    #[test]
    fn figures_stand_behind_their_labels() {
        let runs = assert_expected("h2load.sample.txt", "h2load");
        assert_eq!(runs[0].unanswered, Some(4));
    }
}
