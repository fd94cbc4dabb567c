//! Gatling's summary as it prints it at the end of a run, in both layouts.

use super::SummarySpec;
use super::summary::{EndpointSummary, Summary};
use super::text::{each_line, has_line};
use crate::import::error::ImportError;
use crate::import::table::shown;

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "gatling-text",
    summary: "Gatling's summary as it prints it at the end of a run",
    instead: "import the run's `simulation.log`, which is in the folder of its report",
    looks_like: |begin| has_line(begin, REQUESTS) || has_line(begin, ALL),
    read,
};

/// Headings of the parts.
const REQUESTS: &str = "---- Requests ---";
const ALL: &str = "---- Global Information ---";
const ERRORS: &str = "---- Errors ---";
/// The row of all requests among the endpoints.
const GLOBAL: &str = "Global";

/// The part that a line belongs to.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Requests,
    All,
    Errors,
    Others,
}

/// A row: its label, and the numbers of all requests, of good and of failed ones.
struct Row<'l> {
    label: &'l str,
    all: Option<f64>,
    ok: Option<f64>,
    failed: Option<f64>,
}

impl<'l> Row<'l> {
    /// `> request count   1200 (OK=1190 KO=10 )`, and since 3.12 `> request count | 1,200 | 1,190 | 10`.
    fn of(line: &'l str) -> Option<Self> {
        let line = line.trim_start().strip_prefix('>')?.trim();
        let number = |text: &str| -> Option<f64> { text.trim().replace(',', "").parse().ok() };
        if let Some((label, cells)) = line.split_once('|') {
            let mut cells = cells.split('|').map(number);
            let mut next = || cells.next().flatten();
            return Some(Self { label: label.trim(), all: next(), ok: next(), failed: next() });
        }
        let (first, rest) = line.split_once("(OK=").unwrap_or((line, ""));
        let (ok, failed) = rest.trim_end_matches(')').split_once("KO=").unwrap_or((rest, ""));
        let first = first.trim_end();
        let (label, all) = first.rsplit_once("  ").unwrap_or((first, ""));
        let (label, all) = if number(all).is_some() { (label, all) } else { (first, "") };
        Some(Self { label: label.trim(), all: number(all), ok: number(ok), failed: number(failed) })
    }
}

fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let (mut run, mut part, mut elapsed) = (Summary::default(), Part::Others, None);
    each_line(text, |line| {
        let trimmed = line.trim_start();
        if trimmed.starts_with("----") {
            part = match () {
                () if trimmed.starts_with(REQUESTS) => Part::Requests,
                () if trimmed.starts_with(ALL) => Part::All,
                () if trimmed.starts_with(ERRORS) => Part::Errors,
                () => Part::Others,
            };
            // While the run goes on, the first part and the errors are printed again and again.
            match part {
                Part::Requests => run.endpoints.clear(),
                Part::Errors => run.errors.clear(),
                Part::All | Part::Others => {}
            }
            return Ok(());
        }
        if let Some(time) = trimmed.trim_end().strip_suffix("s elapsed") {
            elapsed = time.split_whitespace().last().and_then(|time| time.parse().ok());
        }
        let Some(row) = Row::of(line) else { return Ok(()) };
        match part {
            Part::Requests if row.label != GLOBAL => run.endpoint(endpoint(&row)?),
            Part::All => take(&row, &mut run)?,
            Part::Errors => error(line, &mut run),
            Part::Requests | Part::Others => {}
        }
        Ok(())
    })?;
    if run.requests.is_none() {
        let (requests, failures) = run.endpoints.iter().fold((0_u64, 0_u64), |sum, it| {
            (sum.0.saturating_add(it.requests), sum.1.saturating_add(it.failures))
        });
        if run.endpoints.is_empty() {
            return Err(ImportError::Empty);
        }
        (run.requests, run.failures) = (Some(requests), Some(failures));
        run.warn("the run was cut off: its last figures while it ran are shown");
    }
    run.duration_s = elapsed.filter(|it: &f64| *it >= 0.0 && it.is_finite());
    run.response_times.with_failures = true;
    run.warn(
        "Gatling's summary has no status codes, and does not say whether users came at a rate or \
         waited for their answers",
    );
    Ok(vec![run])
}

/// A count as a whole number.
fn whole(number: Option<f64>, row: &Row<'_>) -> Result<u64, String> {
    let count = number.filter(|it| *it >= 0.0 && it.fract() == 0.0 && *it <= 1e15);
    count.map(|it| it as u64).ok_or_else(|| format!("`{}` has no count", shown(row.label)))
}

fn endpoint(row: &Row<'_>) -> Result<EndpointSummary, String> {
    let failures = whole(row.failed.or(Some(0.0)), row)?;
    let requests = whole(row.ok, row)?.saturating_add(failures);
    Ok(EndpointSummary {
        name: row.label.to_owned(),
        requests,
        failures,
        ..EndpointSummary::default()
    })
}

/// A row of all requests. Times are in milliseconds.
fn take(row: &Row<'_>, run: &mut Summary) -> Result<(), String> {
    let label = row.label.trim_end_matches(" (ms)").trim_end_matches(" (rps)");
    let seconds = row.all.filter(|it| *it >= 0.0).map(|millis| millis / 1e3);
    match label {
        "request count" => {
            run.requests = Some(whole(row.all, row)?);
            run.failures = Some(whole(row.failed.or(Some(0.0)), row)?);
        }
        "min response time" => run.response_times.min_s = seconds,
        "max response time" => run.response_times.max_s = seconds,
        "mean response time" => run.response_times.mean_s = seconds,
        "mean requests/sec" | "mean throughput" => run.requests_per_s = row.all,
        _ => {
            let percentile = label.strip_prefix("response time ");
            let percentile = percentile.and_then(|rest| rest.strip_suffix(" percentile"));
            let percent = percentile.map(|it| it.trim_end_matches(char::is_alphabetic));
            let percent: Option<f64> = percent.and_then(|it| it.parse().ok());
            if let Some((percent, seconds)) = percent.zip(seconds) {
                run.response_times.add(percent, seconds);
            }
        }
    }
    Ok(())
}

/// `> Request timeout to shop after 60000 ms      10 (100.0%)`.
fn error(line: &str, run: &mut Summary) {
    let text = line.trim_start().trim_start_matches('>').trim();
    let text = text.rsplit_once('(').map_or(text, |(text, _)| text).trim_end().replace('|', " ");
    let (words, count) = text.rsplit_once("  ").unwrap_or((&text, ""));
    match count.trim().replace(',', "").parse() {
        Ok(count) => run.error(words.trim(), Some(count)),
        Err(_) => run.error(&text, None),
    }
}

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::{assert_expected, read};

    #[test]
    fn both_layouts_are_read() {
        for name in ["gatling-console", "gatling-console-v312"] {
            let runs = assert_expected(&format!("{name}.sample.txt"), name);
            let pay = runs[0].endpoints.iter().find(|it| it.name == "Pay").unwrap();
            assert_eq!((pay.requests, pay.failures), (600, 10), "{name}");
        }
    }

    #[test]
    fn figures_of_a_run_that_was_cut_off_are_the_last_ones() {
        let part = |ok: u64| {
            format!(
                "---- Requests -----\n> Global (OK={ok} KO=1 )\n> A b  (OK={ok} KO=1  )\n---- Errors \
                 ------\n> x  y      1 (100.0%)\n"
            )
        };
        let runs = read(&format!("{}{}", part(10), part(20))).unwrap();
        assert_eq!((runs[0].requests, runs[0].failures), (Some(21), Some(1)));
        assert_eq!((runs[0].errors[0].text.as_str(), runs[0].errors[0].count), ("x  y", Some(1)));
        assert!(runs[0].warnings.iter().any(|it| it.contains("cut off")), "{runs:?}");
    }
}
