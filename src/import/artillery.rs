//! Artillery's report: `artillery run --output FILE`, in the shapes of Artillery 1 and 2. It counts
//! by intervals of ten seconds, with the percentiles of each.

use std::collections::BTreeMap;
use std::io::{BufRead, Read};

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use self::shapes::{INTERVAL, Period, V1, V2, periods_of_v1, periods_of_v2, total};
use super::ImporterSpec;
use super::error::ImportError;
use super::own_limits::says_own_limit;
use super::requests::{ALL_REQUESTS, Ended, MOST_OF_INTERVAL, Requests};
use super::table::shown;
use super::waiting::LoadModel;
use crate::timeline::ResponseClass;

mod quantiles;
mod shapes;

pub(super) static SPEC: ImporterSpec = ImporterSpec {
    name: "artillery",
    summary: "Artillery's report: artillery run --output FILE script.yml",
    looks_like: |begin| {
        let first = begin.trim_start().strip_prefix('{').map(str::trim_start).unwrap_or_default();
        let is_report =
            ["\"aggregate\"", "\"intermediate\""].iter().any(|it| first.starts_with(it));
        let words = ["\"counters\"", "\"scenariosCreated\"", "\"requestsCompleted\""];
        is_report && words.iter().any(|word| begin.contains(word))
    },
    read,
};

/// Longest report that is read, in bytes. Artillery 1 lists every response time.
const LONGEST_REPORT: u64 = 256 << 20;
/// Most errors of the script that are told apart in remarks.
const MOST_REMARKS: usize = 5;

/// What tells the shapes apart.
#[derive(Deserialize)]
struct Probe {
    aggregate: Aggregate,
}

#[derive(Deserialize)]
struct Aggregate {
    /// Only Artillery 1 has it.
    rps: Option<IgnoredAny>,
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ImportError> {
    serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))
}

fn read(input: &mut dyn BufRead, requests: &mut Requests) -> Result<(), ImportError> {
    let mut bytes = Vec::new();
    let unreadable = |source| ImportError::Unreadable { line: 1, source };
    input.take(LONGEST_REPORT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST_REPORT {
        return Err(malformed(format!("the report is longer than {} MB", LONGEST_REPORT >> 20)));
    }
    let (mut is_exact, is_v1) = (false, parse::<Probe>(&bytes)?.aggregate.rps.is_some());
    let (all, mut periods) = match is_v1 {
        true => {
            let report: V1 = parse(&bytes)?;
            is_exact = report.intermediate.iter().any(|it| !it.latencies.is_empty());
            periods_of_v1(report).map_err(malformed)?
        }
        false => periods_of_v2(parse::<V2>(&bytes)?),
    };
    drop(bytes);
    if periods.is_empty() {
        return Err(malformed(
            "`intermediate` is empty: without its intervals the report has only sums, and nothing can \
             be told of a load over time",
        ));
    }
    if !periods.iter().any(Period::has_http) {
        return Err(malformed(
            "no interval has HTTP requests in it: runs of other protocols cannot be read",
        ));
    }
    periods.sort_by_key(|period| period.seconds);
    let mut totals = Totals::default();
    for period in &periods {
        totals.add(period, requests).map_err(malformed)?;
    }
    requests.set_model(LoadModel::Open);
    requests.set_grain(INTERVAL as usize);
    notes(&totals, &all, is_exact, requests);
    Ok(())
}

fn malformed(mistake: impl Into<String>) -> ImportError {
    ImportError::Malformed { mistakes: vec![mistake.into()] }
}

/// Counts of the intervals so far.
#[derive(Default)]
struct Totals {
    sent: u64,
    answers: u64,
    errors: u64,
    /// Errors of the script, which are not ends of requests.
    script: BTreeMap<String, u64>,
    /// The longest response time that was seen, in seconds.
    longest: f64,
    has_names: bool,
}

impl Totals {
    fn add(&mut self, period: &Period, requests: &mut Requests) -> Result<(), String> {
        let open_before = self.open();
        let seconds = period.seconds;
        let own = |text: &String| says_own_limit(text);
        let unsent = total(period.errors().filter(|(text, _)| own(text)).map(|it| it.1));
        requests.add_sent(seconds, period.sent, period.sent.saturating_sub(unsent))?;
        self.sent = self.sent.saturating_add(period.sent);
        let mut answered_s = 0.0;
        for group in &period.groups {
            self.has_names |= group.endpoint.is_some();
            let endpoint = group.endpoint.as_deref().unwrap_or(ALL_REQUESTS);
            let classes: Vec<_> = group.codes.iter().map(|(code, count)| (*code, *count)).collect();
            let counts: Vec<u64> = classes.iter().map(|(_, count)| *count).collect();
            if let Some(wrong) = counts.iter().find(|count| **count > MOST_OF_INTERVAL) {
                return Err(format!("{wrong} answers in an interval: it is probably wrong"));
            }
            for ((code, count), times) in classes.iter().zip(group.times.deal(&counts)) {
                self.answers = self.answers.saturating_add(*count);
                answered_s += times.iter().map(|(took, count)| took * *count as f64).sum::<f64>();
                let (class, said) = (ResponseClass::Status(*code), "");
                let times = &times;
                requests.add_ended(&Ended { seconds, endpoint, class, times, said })?;
            }
            self.longest = self.longest.max(group.times.longest().unwrap_or(0.0));
            for (text, count) in &group.errors {
                self.add_error(seconds, endpoint, (text, *count), group.times.middle(), requests)?;
            }
        }
        // What waits from one interval to a later one is known at their ends; what is quicker is
        // known by Little's law: in flight = answers per second times their mean time.
        let length = seconds.1.saturating_sub(seconds.0).max(1) as f64;
        let open = (open_before as f64 + self.open() as f64) / 2.0;
        requests.add_in_flight(seconds, open.max(answered_s / length))
    }

    /// Requests that were sent and have not ended.
    fn open(&self) -> u64 {
        self.sent.saturating_sub(self.answers).saturating_sub(self.errors)
    }

    /// Adds requests that ended without an answer. How long they took is not in the file.
    fn add_error(
        &mut self,
        seconds: (i64, i64),
        endpoint: &str,
        (said, count): (&str, u64),
        middle: Option<f64>,
        requests: &mut Requests,
    ) -> Result<(), String> {
        let Some(class) = class(said) else {
            let known = self.script.entry(shown(said)).or_default();
            *known = known.saturating_add(count);
            return Ok(());
        };
        self.errors = self.errors.saturating_add(count);
        if says_own_limit(said) {
            requests.add_unsent(count, said);
            return Ok(());
        }
        let took = match class {
            ResponseClass::Timeout => self.longest,
            _ => middle.unwrap_or(self.longest),
        };
        let times = &[(took, count)];
        requests.add_ended(&Ended { seconds, endpoint, class, times, said })
    }
}

/// How a request ended, by the codes of Node.js and of Artillery's HTTP client; `None` for an error
/// of the script, such as a capture that found nothing.
fn class(error: &str) -> Option<ResponseClass> {
    let has = |words: &[&str]| words.iter().any(|word| error.contains(word));
    if has(&["TIMEDOUT", "TIMEOUT", "timeout"]) {
        Some(ResponseClass::Timeout)
    } else if has(&["CERT", "TLS", "SSL", "EPROTO", "VERIFY"]) {
        Some(ResponseClass::Tls)
    } else if has(&["ECONNRESET", "EPIPE", "ECONNABORTED", "socket hang up"]) {
        Some(ResponseClass::Reset)
    } else if has(&["HPE_", "ERR_BODY", "ERR_READING"]) {
        Some(ResponseClass::Protocol)
    } else if has(&["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "UNREACH"]) || says_own_limit(error) {
        Some(ResponseClass::Connect)
    } else {
        None
    }
}

fn notes(totals: &Totals, all: &Period, is_exact: bool, requests: &mut Requests) {
    requests.note(
        "Artillery counts by intervals of 10 s: the requests of an interval are spread evenly over \
         it, and each of its seconds has the same response times",
    );
    if !is_exact {
        requests.note(
            "Artillery gives percentiles of an interval (to 1 %, of answers alone): between them \
             response times are interpolated",
        );
    }
    requests.note(
        "Artillery measures until the first byte of the answer, without DNS, connect and body, and \
         does not tell response times by status",
    );
    if !totals.has_names {
        requests.note(
            "the report has no endpoints: Artillery writes them with the plugin \
             `metrics-by-endpoint`",
        );
    }
    if totals.errors > 0 {
        requests.note(
            "Artillery counts a request without an answer in the interval in which it ended, and \
             does not say how long it took: a timeout counts with the longest response time up to \
             then, another error with the median of its interval",
        );
    }
    if totals.answers == 0 {
        requests.note("nothing was answered: there is no response time in the report");
    }
    if totals.open() > 0 {
        requests.note(format!("{} requests have no end in the report", totals.open()));
    }
    for (text, count) in totals.script.iter().take(MOST_REMARKS) {
        requests.note(format!(
            "the script failed {count} times (`{text}`): this is not counted as a failed request, \
             and the rest of the scenario did not run"
        ));
    }
    let errors = total(totals.script.values().copied().chain([totals.errors]));
    let missing = [
        (all.sent, totals.sent, "requests"),
        (all.answers(), totals.answers, "answers"),
        (total(all.errors().map(|it| it.1)), errors, "errors"),
    ];
    for (whole, counted, what) in missing {
        if whole > counted {
            requests.note(format!(
                "{} of {whole} {what} of the whole run are in no interval: the report lacks one, \
                 and they are left out",
                whole - counted
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::import::tests::{Read, refusal, sample};
    use crate::timeline::Histogram;

    /// Checks each interval against what is expected of the sample.
    fn assert_intervals(read: &Read, expected: &str, begin: i64, own_limit: u64) {
        let expected: Value = serde_json::from_slice(&sample(expected)).unwrap();
        let ticks = &read.recording.timeline.ticks;
        let mut before = begin;
        for period in expected["per_interval"].as_array().unwrap() {
            let begun = period["unix"].as_f64().map(|from| from as i64 + INTERVAL);
            let end = period["end_unix"].as_f64().map(|end| end as i64).or(begun).unwrap();
            let place = |second: i64| usize::try_from(second - begin).unwrap();
            let within = ticks.iter().skip(place(before)).take(place(end) - place(before));
            before = end;
            let (mut answers, mut lost, mut times) = (0, 0, Histogram::new());
            for ended in within.clone().flat_map(|tick| &tick.endpoints) {
                match ended.class {
                    ResponseClass::Status(_) => {
                        answers += ended.response_time.count();
                        times.merge(&ended.response_time);
                    }
                    _ => lost += ended.response_time.count(),
                }
            }
            let offered: u64 = within.clone().map(|tick| tick.offered).sum();
            let unsent = offered - within.map(|tick| tick.sent).sum::<u64>();
            assert_eq!(Some(offered), period["requests"].as_u64(), "{period}");
            assert_eq!(Some(answers), period["responses"].as_u64(), "{period}");
            assert_eq!(Some(lost + unsent), period["errors"].as_u64(), "{period}");
            let (got, right) =
                (times.quantile(0.95).unwrap() * 1e3, period["p95_ms"].as_f64().unwrap());
            assert!((got - right).abs() <= 0.011 * right, "{got}: {period}");
        }
        let unsent = format!("could not send {own_limit} of its requests");
        assert_eq!(read.notes.contains(&unsent), own_limit > 0, "{}", read.notes);
    }

    #[test]
    fn artillery_2_counts_by_intervals() {
        let read = Read::told(&sample("artillery-v2.sample.json"));
        // 650 requests, of which 20 found no port.
        read.assert_counts(630, 166, &[("/books", 630, 166)]);
        assert_intervals(&read, "artillery-v2.expected.json", 1_777_885_700, 20);
        let stages = &read.recording.timeline.stages;
        let rates: Vec<f64> = stages.iter().map(|stage| stage.rate()).collect();
        assert_eq!(rates, [10.0, 25.0, 30.0]);
        let ended = read.recording.timeline.ticks.iter().flat_map(|tick| &tick.endpoints);
        let bad = ended.filter(|it| it.class == ResponseClass::Status(503));
        assert_eq!(bad.map(|it| it.response_time.count()).sum::<u64>(), 45);
    }

    #[test]
    fn an_interval_that_is_missing_is_said() {
        let read = Read::told(&sample("artillery-v2-early.sample.json"));
        read.assert_counts(606, 151, &[("all requests", 606, 151)]);
        assert_intervals(&read, "artillery-v2-early.expected.json", 1_777_885_700, 20);
        assert!(read.notes.contains("9 of 509 answers"), "{}", read.notes);
        assert!(read.notes.contains("15 of 141 errors"), "{}", read.notes);
    }

    #[test]
    fn artillery_1_lists_every_response_time() {
        let read = Read::told(&sample("artillery-v1.sample.json"));
        read.assert_counts(80, 20, &[("all requests", 80, 20)]);
        assert_intervals(&read, "artillery-v1.expected.json", 1_777_885_700, 0);
        for (share, right) in [(0.5, 141.0), (0.9, 280.0), (0.95, 308.0), (0.99, 384.0)] {
            read.assert_ms(share, right);
        }
    }

    #[test]
    fn a_report_without_http_is_refused() {
        let why = refusal(br#"{"aggregate":{"counters":{}},"intermediate":[]}"#);
        assert!(why.contains("`intermediate` is empty"), "{why}");
        let why = refusal(br#"{"aggregate":{"counters":{}},"intermediate":[{"counters":{}}]}"#);
        assert!(why.contains("no interval has HTTP requests"), "{why}");
        let why = refusal(br#"{"aggregate":{"counters":{"#);
        assert!(why.contains("EOF while parsing") && why.contains("line 1"), "{why}");
    }

    #[test]
    fn errors_of_the_script_are_not_requests() {
        let text = br#"{"aggregate":{"counters":{"http.requests":2}},"intermediate":[{"counters":
            {"http.requests":2,"http.responses":2,"http.codes.200":2,"errors.Failed capture":1},
            "period":"1777885700000","summaries":{"http.response_time":{"min":1,"max":2}}}]}"#;
        let read = Read::told(text);
        read.assert_counts(2, 0, &[]);
        assert!(read.notes.contains("the script failed 1 times (`Failed capture`)"));
    }
}
