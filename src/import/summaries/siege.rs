//! siege's summary as it prints it: lines of labels, and since 4.1 the same as JSON.

use super::summary::Summary;
use super::text::{count, each_line, number, seconds};
use super::{NOTHING_WITH_TIMES, SummarySpec};
use crate::import::error::ImportError;

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "siege",
    summary: "siege's summary: siege -c 20 -t 60S http://…",
    instead: NOTHING_WITH_TIMES,
    looks_like: |begin| {
        let has = |wanted: &str| {
            begin.lines().any(|line| labelled(line).is_some_and(|(label, _)| label == wanted))
        };
        has("transactions") && has("availability")
    },
    read,
};

/// A label in small letters, and its value: `Elapsed time:  9.54 secs` and `"elapsed_time": 9.54,`.
fn labelled(line: &str) -> Option<(String, &str)> {
    let (label, value) = line.split_once(':')?;
    let label = label
        .trim_start_matches(['{', ' ', '\t'])
        .trim()
        .trim_matches('"')
        .replace('_', " ")
        .to_lowercase();
    Some((label, value.trim().trim_end_matches(',')))
}

/// A time with its unit, or in seconds.
fn time(value: &str) -> Result<f64, String> {
    seconds(value).or_else(|_| number(value))
}

fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let mut runs: Vec<Summary> = Vec::new();
    let mut answered = Vec::new();
    each_line(text, |line| {
        let Some((label, value)) = labelled(line) else { return Ok(()) };
        if label == "transactions" {
            runs.push(Summary::default());
            answered.push(count(value)?);
        }
        let Some(run) = runs.last_mut() else { return Ok(()) };
        match label.as_str() {
            "elapsed time" => run.duration_s = Some(time(value)?),
            "response time" => run.response_times.mean_s = Some(time(value)?),
            "transaction rate" => run.requests_per_s = Some(number(value)?),
            "longest transaction" => run.response_times.max_s = Some(time(value)?),
            "shortest transaction" => run.response_times.min_s = Some(time(value)?),
            "failed transactions" => run.failures = Some(count(value)?),
            _ => {}
        }
        Ok(())
    })?;
    for (run, hits) in runs.iter_mut().zip(answered) {
        // A transaction is a request with an answer below 400; the failed ones are counted beside them.
        let failures = run.failures.unwrap_or(0);
        run.requests = Some(hits.saturating_add(failures));
        if failures > 0 {
            run.warn("siege's rate is that of the requests that succeeded");
        }
        run.response_times.with_failures = true;
        run.warn("siege rounds its times to hundredths of a second, and has no percentiles");
        run.warn_closed_loop();
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::{assert_expected, read};

    #[test]
    fn both_layouts_are_read() {
        assert_expected("siege.sample.txt", "siege");
        let json = "{\t\"transactions\":\t\t\t 980,\n\t\"availability\":\t\t98.00,\n\t\"elapsed_time\":\t9.54,\n\t\
                    \"response_time\":\t0.01,\n\t\"failed_transactions\":\t20,\n\t\"longest_transaction\":\t0.05\n}\n";
        let run = &read(json).unwrap()[0];
        assert_eq!(
            (run.requests, run.failures, run.duration_s),
            (Some(1000), Some(20), Some(9.54))
        );
    }
}
