//! Access logs without the time that each request took: how many requests there were, of what
//! kind, and how they ended.

use std::collections::BTreeMap;

use super::SummarySpec;
use super::summary::{EndpointSummary, Summary};
use crate::access_log::{self, Line};
use crate::import::access_log::has_times;
use crate::import::error::ImportError;
use crate::import::requests::MOST_PATHS;
use crate::import::server_log::endpoint;

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "access-log-rates",
    summary: "access logs in the common or the combined format, without times of requests",
    instead: "add `rt=$request_time` to the `log_format` of nginx, or `took_us=%D` to the \
              `LogFormat` of Apache, and import the next log. For a plan that sends the same \
              requests, run `kneepoint convert`",
    looks_like: |begin| has_times(begin) == Some(false),
    read,
};

/// The first status that is a failure: those from 400 on may be of clients.
const FIRST_FAILURE: u16 = 500;

/// What is counted of an endpoint.
#[derive(Default)]
struct Count {
    requests: u64,
    failures: u64,
}

fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let mut run = Summary::default();
    let (mut endpoints, mut seconds) = (BTreeMap::<String, Count>::new(), BTreeMap::new());
    let (mut unread, mut first_unread) = (0_u64, 0);
    for (place, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let Some(line) = access_log::read(text) else {
            first_unread = if unread == 0 { place + 1 } else { first_unread };
            unread += 1;
            continue;
        };
        let is_failure = line.status == 0 || line.status >= FIRST_FAILURE;
        let count = endpoints.entry(endpoint(line.request)).or_default();
        count.requests += 1;
        count.failures += u64::from(is_failure);
        *run.by_status.entry(status(&line)).or_default() += 1;
        *seconds.entry(line.second).or_insert(0_u64) += 1;
    }
    let sum = |of: fn(&Count) -> u64| endpoints.values().map(of).sum::<u64>();
    let (requests, failures) = (sum(|it| it.requests), sum(|it| it.failures));
    let ends = seconds.first_key_value().zip(seconds.last_key_value());
    let (first, last) = ends.map(|(first, last)| (*first.0, *last.0)).ok_or(ImportError::Empty)?;
    run.requests = Some(requests);
    run.failures = Some(failures);
    run.started = jiff::Timestamp::from_second(first).ok();
    run.duration_s = Some((last - first) as f64).filter(|seconds| *seconds > 0.0);
    run.requests_per_s = run.duration_s.map(|seconds| requests as f64 / seconds);
    run.count("requests in the busiest second", seconds.values().copied().max());
    let mut endpoints: Vec<_> = grouped(endpoints).into_iter().collect();
    endpoints.sort_by_key(|(_, count)| std::cmp::Reverse(count.requests));
    for (name, Count { requests, failures }) in endpoints {
        run.endpoint(EndpointSummary { name, requests, failures, ..EndpointSummary::default() });
    }
    warn(&mut run, (unread, first_unread));
    Ok(vec![run])
}

/// The endpoints, without the values in their paths where there are many.
fn grouped(endpoints: BTreeMap<String, Count>) -> BTreeMap<String, Count> {
    if endpoints.len() <= MOST_PATHS {
        return endpoints;
    }
    let mut groups = BTreeMap::<String, Count>::new();
    for (name, Count { requests, failures }) in endpoints {
        let group = groups.entry(access_log::grouped(&name)).or_default();
        group.requests += requests;
        group.failures += failures;
    }
    groups
}

fn status(line: &Line<'_>) -> String {
    match line.status {
        0 => "-".to_owned(),
        status => status.to_string(),
    }
}

fn warn(run: &mut Summary, (unread, first_unread): (u64, usize)) {
    run.warn(
        "the log does not say how long requests took: there are rates and a mix of requests, and no \
         response time",
    );
    run.warn(
        "times are whole seconds, and the log does not say whether they are those of the start or \
         of the end of a request",
    );
    if unread > 0 {
        run.warn(format!(
            "{unread} lines are not requests and were left out; the first is line {first_unread}"
        ));
    }
}

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::assert_expected;

    #[test]
    fn a_log_without_times_has_a_rate_and_a_mix() {
        let runs = assert_expected("accesslog-combined.sample.log", "accesslog-combined");
        let warnings = runs[0].warnings.join("\n");
        for words in ["how long requests took", "whole seconds", "1 lines are not requests"] {
            assert!(warnings.contains(words), "{warnings}");
        }
    }
}
