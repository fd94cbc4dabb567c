//! Nighthawk's result as it prints it by default.

use std::collections::BTreeMap;

use super::SummarySpec;
use super::nighthawk::conclude;
use super::summary::Summary;
use super::text::{after, count, each_line, has_line, malformed, number, seconds};
use crate::import::error::ImportError;

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "nighthawk-text",
    summary: "Nighthawk's result as it prints it: nighthawk_client http://…",
    instead: super::NOTHING_WITH_TIMES,
    looks_like: |begin| {
        has_line(begin, "Nighthawk - ")
            || has_line(begin, RESPONSE_TIMES) && begin.contains("pstdev:")
    },
    read,
};

/// Headings of the response times, and of the sends that had to wait.
const RESPONSE_TIMES: &str = "Request start to response end";
const BLOCKED: &str = "Blocking. Results are skewed when significant numbers are reported here.";
/// First word of the headings of the counters.
const COUNTERS: &str = "Counter";

/// The part that a line belongs to.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    ResponseTimes,
    Counters,
    Others,
}

fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let (mut run, mut part) = (Summary::default(), Part::Others);
    let (mut counters, mut blocked, mut duration) = (BTreeMap::new(), 0, None);
    each_line(text, |line| {
        if let Some(samples) = line.strip_suffix(" samples)").and_then(|it| it.rsplit_once('(')) {
            part = Part::Others;
            if after(line, RESPONSE_TIMES).is_some() {
                part = Part::ResponseTimes;
            } else if after(line, BLOCKED).is_some() {
                blocked = count(samples.1)?;
            }
            return Ok(());
        }
        if after(line, COUNTERS).is_some_and(|rest| rest.starts_with("Value")) {
            part = Part::Counters;
            return Ok(());
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        match (part, words.as_slice()) {
            (Part::ResponseTimes, _) => times(line, &words, &mut run)?,
            (Part::Counters, [name, value, per_second]) => {
                let (value, per_second) = (count(value)?, number(per_second)?);
                if value > 0 && per_second > 0.0 {
                    duration = Some(value as f64 / per_second);
                }
                counters.insert((*name).to_owned(), value);
            }
            (Part::Counters | Part::Others, _) => {}
        }
        Ok(())
    })?;
    if counters.is_empty() {
        return Err(malformed("there is no table of counters: the run was cut off"));
    }
    run.duration_s = duration;
    conclude(&counters, blocked, false, &mut run);
    run.warn("Nighthawk does not print whether it sent at a rate or waited for connections");
    Ok(vec![run])
}

/// `min: 0s 000ms 076us | mean: 0s 000ms 112us | …`, then a row for each percentile:
/// `0.99   49499   0s 000ms 200us`.
fn times(line: &str, words: &[&str], run: &mut Summary) -> Result<(), String> {
    let times = &mut run.response_times;
    if line.trim_start().starts_with("min:") {
        for part in line.split('|') {
            let Some((name, value)) = part.split_once(':') else { continue };
            match name.trim() {
                "min" => times.min_s = Some(seconds(value)?),
                "mean" => times.mean_s = Some(seconds(value)?),
                "max" => times.max_s = Some(seconds(value)?),
                _ => {}
            }
        }
    } else if let [share, _, value @ ..] = words
        && let Ok(share) = share.parse::<f64>()
        && share > 0.0
        && share < 1.0
    {
        times.add(share * 100.0, seconds(&value.join(" "))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::{assert_expected, read};

    #[test]
    fn figures_stand_in_tables() {
        let runs = assert_expected("nighthawk-text.sample.txt", "nighthawk-text");
        assert_eq!(runs[0].counts["pool overflows"], 2);
        assert_eq!(runs[0].by_status["2xx"], 49_990);
    }

    #[test]
    fn a_run_without_counters_is_refused() {
        let text = "Nighthawk - A layer 7 protocol benchmarking tool.\n";
        assert!(read(text).unwrap_err().to_string().contains("no table of counters"));
    }
}
