//! bombardier's summary as it prints it.

use super::summary::Summary;
use super::text::{after, count, each_line, number, seconds};
use super::{NOTHING_WITH_TIMES, SummarySpec};
use crate::import::error::ImportError;

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "bombardier",
    summary: "bombardier's summary: bombardier --latencies http://…",
    instead: NOTHING_WITH_TIMES,
    looks_like: |begin| begin.lines().any(|line| after(line, BEGIN).is_some()),
    read,
};

/// Begin of a report: `Bombarding http://shop.test for 10s using 125 connection(s)`.
const BEGIN: &str = "Bombarding ";

/// The part of a report that a line belongs to.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Figures,
    Percentiles,
    Statuses,
    Errors,
}

fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let (mut runs, mut part) = (Vec::new(), Part::Figures);
    each_line(text, |line| {
        if let Some(rest) = after(line, BEGIN) {
            part = Part::Figures;
            runs.push(begun(rest));
            return Ok(());
        }
        let Some(run) = runs.last_mut() else { return Ok(()) };
        let trimmed = line.trim();
        match trimmed {
            "Latency Distribution" => part = Part::Percentiles,
            "HTTP codes:" => part = Part::Statuses,
            "Errors:" => part = Part::Errors,
            _ if trimmed.starts_with("Throughput:") => part = Part::Figures,
            _ => take(trimmed, part, run)?,
        }
        Ok(())
    })?;
    runs.iter_mut().for_each(conclude);
    Ok(runs)
}

/// What the first line says. A run of a number of requests has no duration in it.
fn begun(rest: &str) -> Summary {
    let mut run = Summary::default();
    let words: Vec<&str> = rest.split_whitespace().collect();
    run.target(words.first().copied().unwrap_or_default());
    let behind = |word: &str| {
        let at = words.iter().position(|it| *it == word)?;
        words.get(at + 1).copied()
    };
    run.duration_s = behind("for").and_then(|time| seconds(time).ok());
    run.count("connections", behind("using").and_then(|number| number.parse().ok()));
    run
}

fn take(line: &str, part: Part, run: &mut Summary) -> Result<(), String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let times = &mut run.response_times;
    match (part, words.as_slice()) {
        (Part::Figures, ["Reqs/sec", mean, ..]) => run.requests_per_s = Some(number(mean)?),
        (Part::Figures, ["Latency", mean, _, max, ..]) => {
            (times.mean_s, times.max_s) = (Some(seconds(mean)?), Some(seconds(max)?));
        }
        (Part::Percentiles, [percent, time]) if percent.ends_with('%') => {
            times.add(number(percent)?, seconds(time)?);
        }
        // `1xx - 0, 2xx - 198789`.
        (Part::Statuses, _) => {
            for (class, hits) in line.split(',').filter_map(|pair| pair.split_once(" - ")) {
                run.answered(class.trim(), count(hits)?);
            }
        }
        (Part::Errors, _) => {
            if let Some((text, hits)) = line.rsplit_once(" - ") {
                run.error(text, Some(count(hits)?));
            }
        }
        _ => {}
    }
    Ok(())
}

fn conclude(run: &mut Summary) {
    // Requests without an answer.
    let others = run.by_status.remove("others").unwrap_or(0);
    run.unanswered = Some(others);
    run.failures = Some(run.bad_answers().saturating_add(others));
    run.requests = Some(run.answers().saturating_add(others));
    run.duration_s = run.duration_s.or(run.duration_by_rate());
    run.response_times.with_failures = true;
    run.warn_closed_loop();
}

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::assert_expected;

    #[test]
    fn what_was_not_answered_is_counted_apart() {
        let runs = assert_expected("bombardier.sample.txt", "bombardier");
        assert_eq!((runs[0].unanswered, runs[0].counts["connections"]), (Some(12), 125));
    }
}
