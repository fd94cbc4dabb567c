//! The report that hey began, and oha and ghz took over: figures with labels, percentiles, then counts by
//! status and by error.

use super::summary::Summary;
use super::text::{after, count, each_line, number, seconds};
use crate::import::error::ImportError;

/// First line of a report.
pub(super) const BEGIN: &str = "Summary:";
/// A line that only ghz has.
pub(super) const COUNT: &str = "Count:";
/// From this status on, an answer is a failure.
pub(super) const FIRST_FAILURE: u64 = 400;

/// The part of a report that a line belongs to.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Figures,
    Percentiles,
    Statuses,
    Errors,
    Others,
}

/// Headings, in lower case, and what follows them.
const HEADINGS: &[(&str, Part)] = &[
    ("latency distribution:", Part::Percentiles),
    ("response time distribution:", Part::Percentiles),
    ("status code distribution:", Part::Statuses),
    ("error distribution:", Part::Errors),
    ("response time histogram:", Part::Others),
    ("details (", Part::Others),
    ("dns+dialup", Part::Others),
];

/// The runs in a text.
///
/// # Errors
/// When a figure is not a number.
pub(super) fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let (mut runs, mut part) = (Vec::new(), Part::Others);
    each_line(text, |line| {
        if after(line, BEGIN).is_some() {
            runs.push(Summary::default());
            part = Part::Figures;
            return Ok(());
        }
        let Some(run) = runs.last_mut() else { return Ok(()) };
        let lower = line.trim().to_lowercase();
        if let Some((_, begun)) = HEADINGS.iter().find(|(heading, _)| lower.starts_with(heading)) {
            part = *begun;
            return Ok(());
        }
        match part {
            Part::Figures => figure(line, run),
            Part::Percentiles => percentile(line, run),
            Part::Statuses | Part::Errors => {
                // What others printed after the report is not a part of it.
                let Some((bracketed, text)) = bracketed(line) else { return Ok(()) };
                match part {
                    Part::Errors => run.error(text, Some(count(bracketed)?)),
                    _ => {
                        let known = run.by_status.entry(bracketed.to_owned()).or_default();
                        *known = known.saturating_add(count(text)?);
                    }
                }
                Ok(())
            }
            Part::Others => Ok(()),
        }
    })?;
    runs.iter_mut().for_each(conclude);
    Ok(runs)
}

fn figure(line: &str, run: &mut Summary) -> Result<(), String> {
    let times = &mut run.response_times;
    if let Some(rest) = after(line, "Total:") {
        run.duration_s = Some(seconds(rest)?);
    } else if let Some(rest) = after(line, "Slowest:") {
        times.max_s = seconds_or_none(rest)?;
    } else if let Some(rest) = after(line, "Fastest:") {
        times.min_s = seconds_or_none(rest)?;
    } else if let Some(rest) = after(line, "Average:") {
        times.mean_s = seconds_or_none(rest)?;
    } else if let Some(rest) = after(line, "Requests/sec:") {
        run.requests_per_s = Some(number(rest)?);
    }
    Ok(())
}

/// `50% in 0.0311 secs`; hey also writes `50%% in`, and `0% in 0.0000 secs` where it has too few
/// requests for a percentile.
fn percentile(line: &str, run: &mut Summary) -> Result<(), String> {
    let Some((percent, time)) = line.split_once(" in ") else { return Ok(()) };
    let percent = number(percent.trim().trim_end_matches('%'))?;
    if let Some(seconds) = seconds_or_none(time)?.filter(|_| percent > 0.0) {
        run.response_times.add(percent, seconds);
    }
    Ok(())
}

/// A time; `NaN` where nothing was answered.
fn seconds_or_none(text: &str) -> Result<Option<f64>, String> {
    match text.trim_start_matches(['+', '-']).starts_with("NaN") {
        true => Ok(None),
        false => seconds(text).map(Some),
    }
}

/// `[200] 1084 responses`: what stands in the brackets, and after them.
fn bracketed(line: &str) -> Option<(&str, &str)> {
    let (inside, rest) = line.trim().strip_prefix('[')?.split_once(']')?;
    Some((inside.trim(), rest.trim()))
}

/// What the counts come to.
fn conclude(run: &mut Summary) {
    let (answers, errors) = (run.answers(), run.errors_counted());
    run.requests = Some(answers.saturating_add(errors));
    run.failures = Some(errors.saturating_add(run.answers_of(|code| code >= FIRST_FAILURE)));
    run.unanswered = Some(errors);
    run.response_times.with_failures = true;
    if answers == 0 {
        run.response_times = Default::default();
    }
}
