//! drill's statistics as it prints them: `drill --stats`.

use super::summary::Summary;
use super::text::{after, count, each_line, has_line, number, seconds};
use super::{NOTHING_WITH_TIMES, SummarySpec};
use crate::import::error::ImportError;

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "drill",
    summary: "drill's statistics: drill --benchmark test.yml --stats",
    instead: NOTHING_WITH_TIMES,
    looks_like: |begin| {
        has_line(begin, "Time taken for tests ") && has_line(begin, "Successful requests")
    },
    read,
};

fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let mut run = Summary::default();
    each_line(text, |line| {
        if let Some(rest) = after(line, "Time taken for tests") {
            run.duration_s = Some(seconds(rest)?);
        } else if let Some(rest) = after(line, "Total requests") {
            run.requests = Some(count(rest)?);
        } else if let Some(rest) = after(line, "Failed requests") {
            run.failures = Some(count(rest)?);
        } else if let Some(rest) = after(line, "Requests per second") {
            run.requests_per_s = Some(number(rest)?);
        } else {
            times(line, &mut run)?;
        }
        Ok(())
    })?;
    run.response_times.with_failures = true;
    run.warn_closed_loop();
    Ok(vec![run])
}

/// `Median time per request   5ms`, `99.0'th percentile   15ms`. Requests by name have the same lines with
/// their name before them.
fn times(line: &str, run: &mut Summary) -> Result<(), String> {
    let times = &mut run.response_times;
    if let Some(rest) = after(line, "Average time per request") {
        times.mean_s = Some(seconds(rest)?);
    } else if let Some(rest) = after(line, "Median time per request") {
        times.add(50.0, seconds(rest)?);
    } else if let Some((percent, rest)) = line.split_once("'th percentile")
        && let Ok(percent) = percent.trim().parse()
    {
        times.add(percent, seconds(rest)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::assert_expected;

    #[test]
    fn figures_of_all_requests_are_read() {
        assert_expected("drill.sample.txt", "drill");
    }
}
