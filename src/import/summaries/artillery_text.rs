//! Artillery's summary as it prints it at the end of a run, of version 1 and of version 2.

use super::SummarySpec;
use super::summary::Summary;
use super::text::{after, count, each_line, has_line, number, seconds};
use crate::import::error::ImportError;

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "artillery-text",
    summary: "Artillery's summary as it prints it: artillery run test.yml",
    instead: "run `artillery run --output FILE test.yml` and import FILE",
    looks_like: |begin| {
        has_line(begin, BEGIN)
            || has_line(begin, "Metrics for period to:")
            || has_line(begin, "Test run id:")
    },
    read,
};

/// Heading of the summary; reports of ten seconds each stand before it.
const BEGIN: &str = "Summary report @";

fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let (mut runs, mut group, mut took) = (Vec::new(), String::new(), None);
    each_line(text, |line| {
        if after(line, BEGIN).is_some() {
            runs.push(Summary { duration_s: took.take(), ..Summary::default() });
            return Ok(());
        }
        if let Some((_, time)) = line.split_once("Total time:") {
            took = seconds(time).ok();
        }
        let Some(run) = runs.last_mut() else { return Ok(()) };
        let Some((name, value)) = line.split_once(':') else { return Ok(()) };
        let (is_inner, name) = (name.starts_with("  "), name.trim());
        let value = value.trim().trim_start_matches('.').trim();
        match value.is_empty() {
            true => group = name.to_lowercase(),
            false if is_inner => take(&group, name, value, run)?,
            false => take("", name, value, run)?,
        }
        Ok(())
    })?;
    runs.iter_mut().for_each(conclude);
    if runs.is_empty() {
        return Err(ImportError::Malformed {
            mistakes: vec![format!("there is no line `{BEGIN}`: the run was cut off")],
        });
    }
    Ok(runs)
}

/// A figure. Version 1 has those of a kind behind a heading, version 2 in the name.
fn take(group: &str, name: &str, value: &str, run: &mut Summary) -> Result<(), String> {
    let of = |begin: &str| name.strip_prefix(begin).filter(|rest| !rest.is_empty());
    match group {
        "http.response_time" | "response time (msec)" => {
            let millis = number(value)? / 1e3;
            let times = &mut run.response_times;
            match name {
                "min" => times.min_s = Some(millis),
                "max" => times.max_s = Some(millis),
                "mean" => times.mean_s = Some(millis),
                "median" => times.add(50.0, millis),
                name => {
                    if let Some(percent) = name.strip_prefix('p').and_then(|it| it.parse().ok()) {
                        times.add(percent, millis);
                    }
                }
            }
        }
        "codes" => status(name, value, run)?,
        "errors" => run.error(name, Some(count(value)?)),
        _ => match name {
            "http.requests" => run.requests = Some(count(value)?),
            "http.responses" => run.count("responses", Some(count(value)?)),
            "Requests completed" => run.requests = Some(count(value)?),
            "http.request_rate" | "Mean response/sec" | "RPS sent" => {
                let rate = value.trim_end_matches("/sec");
                run.requests_per_s = Some(number(rate)?);
            }
            "vusers.created" | "Scenarios launched" => {
                run.count("virtual users created", Some(count(value)?));
            }
            "vusers.failed" => run.count("virtual users failed", Some(count(value)?)),
            _ => {
                if let Some(code) = of("http.codes.") {
                    status(code, value, run)?;
                } else if let Some(error) = of("errors.") {
                    run.error(error, Some(count(value)?));
                }
            }
        },
    }
    Ok(())
}

fn status(code: &str, value: &str, run: &mut Summary) -> Result<(), String> {
    let hits = count(value)?;
    let known = run.by_status.entry(code.to_owned()).or_default();
    *known = known.saturating_add(hits);
    Ok(())
}

fn conclude(run: &mut Summary) {
    let answered = run.counts.remove("responses").unwrap_or_else(|| run.answers());
    let bad = run.answers_of(|code| code >= super::distributions::FIRST_FAILURE);
    // Version 1 counts only what was answered; an error is a request that was not.
    let unanswered = match run.requests {
        Some(requests) if requests > answered => requests - answered,
        _ => run.errors_counted(),
    };
    run.unanswered = Some(unanswered);
    run.failures = Some(bad.saturating_add(unanswered));
    run.response_times.with_failures = true;
    // The rate that Artillery prints is that of its last seconds.
    if let (Some(requests), Some(took)) = (run.requests, run.duration_s.filter(|it| *it > 0.0)) {
        run.requests_per_s = Some(requests as f64 / took);
    }
}

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::{assert_expected, read};

    #[test]
    fn only_the_summary_counts_and_not_the_periods_before_it() {
        let runs = assert_expected("artillery-text.sample.txt", "artillery-text");
        assert_eq!((runs[0].unanswered, runs[0].errors_counted()), (Some(4), 4));
    }

    #[test]
    fn version_1_has_its_figures_behind_headings() {
        let text = "Summary report @ 12:07:18(+0300) 2021-05-01\n  Scenarios launched:  50\n  Requests \
                    completed:  250\n  Mean response/sec: 24.1\n  Response time (msec):\n    min: 11\n    \
                    max: 120\n    median: 22\n    p95: 40\n    p99: 66\n  Codes:\n    200: 240\n    503: \
                    10\n  Errors:\n    ECONNRESET: 3\n";
        let run = &read(text).unwrap()[0];
        assert_eq!((run.requests, run.failures, run.unanswered), (Some(250), Some(13), Some(3)));
        assert_eq!(run.response_times.max_s, Some(0.12));
        assert_eq!(run.response_times.quantiles.len(), 3);
    }

    #[test]
    fn a_run_that_was_cut_off_is_refused() {
        let why = read("Test run id: t1\nMetrics for period to: 10:00:10\n").unwrap_err();
        assert!(why.to_string().contains("no line `Summary report @`"), "{why}");
    }
}
