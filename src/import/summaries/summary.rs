//! What a tool says of one run as a whole, and what follows from the figures in every format.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use regex::Regex;
use serde::Serialize;

use crate::import::own_limits::says_own_limit;
use crate::timeline::{cut, mask_secrets};

/// Longest text of a file that is kept, in bytes.
const LONGEST_WORDS: usize = 300;
/// Most different errors and endpoints that are kept of a run: names with an id in each are many.
const MOST_LISTED: usize = 500;
/// From this share of the answers on, a rate limiter's are more than its occasional ones, and shape
/// the rate and the percentiles.
const RATE_LIMITED: f64 = 0.05;
/// From this share on, failures move the percentiles that people read.
const MANY_FAILURES: f64 = 0.05;
/// What every summary lacks.
const NO_TIMES: &str = "the file sums up the whole run and has no times in it: no knee, no stages and \
                        nothing over time can be told";
/// Statuses of limiters and firewalls (RFC 6585, RFC 9110).
const LIMITER_STATUSES: [&str; 2] = ["429", "403"];

/// What a tool says of one run as a whole. What it does not say is `None` or empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Name of the format.
    pub format: &'static str,
    /// What was called, without the query.
    pub target: Option<String>,
    /// When the run began.
    pub started: Option<Timestamp>,
    /// How long it took, in seconds.
    pub duration_s: Option<f64>,
    /// Requests as the tool counts them.
    pub requests: Option<u64>,
    /// Those that failed.
    pub failures: Option<u64>,
    /// Requests that got no answer, where the tool tells them from bad answers.
    pub unanswered: Option<u64>,
    /// Requests per second.
    pub requests_per_s: Option<f64>,
    /// Answers by status, or by class of status: `5xx`.
    pub by_status: BTreeMap<String, u64>,
    /// What failed requests said, without secrets.
    pub errors: Vec<ErrorSummary>,
    /// Response times of all requests.
    pub response_times: ResponseTimes,
    /// Counts that only some tools have, such as `connections`.
    pub counts: BTreeMap<&'static str, u64>,
    /// The same figures by endpoint.
    pub endpoints: Vec<EndpointSummary>,
    /// What speaks against taking the figures as they stand, a sentence each.
    pub warnings: Vec<String>,
    /// What to do to get a diagnosis.
    pub instead: &'static str,
}

/// One kind of error.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ErrorSummary {
    /// What was said.
    pub text: String,
    /// How often, where the tool counts it.
    pub count: Option<u64>,
}

/// Response times, in seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ResponseTimes {
    /// Mean.
    pub mean_s: Option<f64>,
    /// Shortest.
    pub min_s: Option<f64>,
    /// Longest.
    pub max_s: Option<f64>,
    /// Those that the tool gives, in rising order.
    pub quantiles: Vec<Quantile>,
    /// Whether requests with a bad answer are among them.
    pub with_failures: bool,
}

/// A percentile.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quantile {
    /// Share of the requests that took at most so long, 0 to 100.
    pub percent: f64,
    /// Seconds.
    pub seconds: f64,
}

/// Figures of one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct EndpointSummary {
    /// Its name.
    pub name: String,
    /// Requests.
    pub requests: u64,
    /// Those that failed.
    pub failures: u64,
    /// Its response times.
    pub response_times: ResponseTimes,
}

impl ResponseTimes {
    /// The times of all requests, failures among them, that stand under these names: mean, shortest and
    /// longest, then percentiles. `seconds` reads one; a name that is not there has none.
    pub(super) fn of_all<E>(
        [mean, min, max]: [&str; 3],
        percents: &[(&str, f64)],
        seconds: impl Fn(&str) -> Result<Option<f64>, E>,
    ) -> Result<Self, E> {
        let mut times = Self {
            mean_s: seconds(mean)?,
            min_s: seconds(min)?,
            max_s: seconds(max)?,
            with_failures: true,
            ..Self::default()
        };
        for (name, percent) in percents {
            if let Some(seconds) = seconds(name)? {
                times.add(*percent, seconds);
            }
        }
        Ok(times)
    }

    /// Notes a percentile, unless it is not a time.
    pub(super) fn add(&mut self, percent: f64, seconds: f64) {
        if (0.0..=100.0).contains(&percent) && seconds >= 0.0 && seconds.is_finite() {
            self.quantiles.push(Quantile { percent, seconds });
        }
    }
}

impl Summary {
    /// Notes a sentence, once.
    pub(super) fn warn(&mut self, sentence: impl Into<String>) {
        let sentence = clean(&sentence.into());
        if !self.warnings.contains(&sentence) {
            self.warnings.push(sentence);
        }
    }

    /// Notes a count that only some tools have.
    pub(super) fn count(&mut self, what: &'static str, count: Option<u64>) {
        if let Some(count) = count {
            self.counts.insert(what, count);
        }
    }

    /// Notes an error.
    pub(super) fn error(&mut self, text: &str, count: Option<u64>) {
        let text = words(text);
        if let Some(known) = self.errors.iter_mut().find(|known| known.text == text) {
            known.count = known.count.zip(count).map(|(known, more)| known.saturating_add(more));
        } else if self.errors.len() < MOST_LISTED {
            self.errors.push(ErrorSummary { text, count });
        } else {
            self.warn(format!(
                "more than {MOST_LISTED} different errors: the others are not listed"
            ));
        }
    }

    /// Notes an endpoint.
    pub(super) fn endpoint(&mut self, endpoint: EndpointSummary) {
        match self.endpoints.len() < MOST_LISTED {
            true => {
                let name = words(&endpoint.name);
                self.endpoints.push(EndpointSummary { name, ..endpoint });
            }
            false => {
                self.warn(format!("more than {MOST_LISTED} endpoints: the others are not listed"));
            }
        }
    }

    /// Notes what was called.
    pub(super) fn target(&mut self, url: &str) {
        self.target = Some(words(url)).filter(|url| !url.is_empty());
    }

    /// All errors that are counted.
    pub(super) fn errors_counted(&self) -> u64 {
        self.errors.iter().filter_map(|error| error.count).fold(0, u64::saturating_add)
    }

    /// All answers whose status is known.
    pub(super) fn answers(&self) -> u64 {
        self.by_status.values().copied().fold(0, u64::saturating_add)
    }

    /// Notes answers of a class of status, if there are any.
    pub(super) fn answered(&mut self, class: &str, count: u64) {
        if count > 0 {
            self.by_status.insert(class.to_owned(), count);
        }
    }

    /// Answers of the classes that are failures.
    pub(super) fn bad_answers(&self) -> u64 {
        let of = |class: &str| self.by_status.get(class).copied().unwrap_or(0);
        of("4xx").saturating_add(of("5xx"))
    }

    /// How long the run took, by its requests and their rate.
    pub(super) fn duration_by_rate(&self) -> Option<f64> {
        let rate = self.requests_per_s.filter(|rate| *rate > 0.0)?;
        Some(self.requests? as f64 / rate)
    }

    /// Answers with a status of which `is_failure` says so; a text that is not a number counts as 0.
    pub(super) fn answers_of(&self, is_failure: impl Fn(u64) -> bool) -> u64 {
        let failed =
            self.by_status.iter().filter(|(code, _)| is_failure(code.parse().unwrap_or(0)));
        failed.map(|(_, count)| *count).fold(0, u64::saturating_add)
    }

    /// The share of the requests that failed, 0 to 1. Some tools do not count requests without an
    /// answer among the requests.
    pub fn failure_share(&self) -> Option<f64> {
        let answers = self.answers().saturating_add(self.unanswered.unwrap_or(0));
        let requests = self.requests?.max(answers);
        Some(self.failures? as f64 / requests as f64).filter(|share| share.is_finite())
    }

    /// Says that the load was a closed loop.
    pub(super) fn warn_closed_loop(&mut self) {
        self.warn(
            "the load is a closed loop: each connection waits for its answer before it sends \
             again. The rate is what the target allowed, and a slow target hides its own queue",
        );
    }

    /// Fills in what every format has, and warns of what the figures themselves show.
    pub(super) fn conclude(&mut self, format: &'static str, instead: &'static str) {
        self.format = format;
        self.instead = instead;
        self.response_times.quantiles.sort_by(|a, b| a.percent.total_cmp(&b.percent));
        self.errors.sort_by_key(|error| std::cmp::Reverse(error.count));
        self.warnings.insert(0, NO_TIMES.to_owned());
        self.warn_of_own_limits();
        self.warn_of_limiters();
        let requests = self.requests.unwrap_or(0) as f64;
        if let Some(count) = self.unanswered.filter(|count| *count > 0) {
            self.warn(format!(
                "{count} requests got no answer, and no response time includes them: users waited \
                 longer than the percentiles say"
            ));
        }
        let bad = self.failures.unwrap_or(0).saturating_sub(self.unanswered.unwrap_or(0));
        if self.response_times.with_failures && bad as f64 > MANY_FAILURES * requests {
            self.warn(format!(
                "{bad} failed requests are among the response times: a quick refusal makes the \
                 percentiles look better than what users who were served saw"
            ));
        }
    }

    fn warn_of_own_limits(&mut self) {
        let own: Vec<_> = self.errors.iter().filter(|error| says_own_limit(&error.text)).collect();
        let Some(first) = own.first() else { return };
        let count: u64 = own.iter().filter_map(|error| error.count).fold(0, u64::saturating_add);
        let some = if count > 0 { format!("{count} of its requests") } else { "requests".into() };
        self.warn(format!(
            "the load generator could not send {some}, because it ran out of ports, file \
             descriptors or buffers (`{}`): this is its own limit, not the target's",
            first.text
        ));
    }

    fn warn_of_limiters(&mut self) {
        let answers = self.answers();
        for status in LIMITER_STATUSES {
            let count = self.by_status.get(status).copied().unwrap_or(0);
            if count > 0 && count as f64 >= RATE_LIMITED * answers as f64 {
                self.warn(format!(
                    "{count} of {answers} answers have status {status}: a rate limiter or a \
                     firewall refused them. They show its limit, not the capacity of the service, \
                     and they are quick"
                ));
            }
        }
    }
}

/// Words of a file, on one line, without secrets and without the queries of URLs.
pub(super) fn words(text: &str) -> String {
    clean(&mask_secrets(&without_queries(cut(text, LONGEST_WORDS))))
}

/// A text that does not move a terminal.
fn clean(text: &str) -> String {
    text.replace(char::is_control, " ").trim().to_owned()
}

/// A text without the queries of the URLs in it: a `?` and what follows it up to the next `=`, in
/// one word.
fn without_queries(text: &str) -> String {
    #[expect(clippy::unwrap_used, reason = "a test compiles it")]
    static QUERY: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"\?[^\s"'<>()?]*=[^\s"'<>()]*"#).unwrap());
    QUERY.replace_all(text, "").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_file_have_no_queries_secrets_or_escapes() {
        assert_eq!(
            words("Get \"http://a.test/x?q=1&key=2\": reset"),
            "Get \"http://a.test/x\": reset"
        );
        assert_eq!(words("what? a=b"), "what? a=b");
        assert_eq!(words("a\u{1b}[31mb password=hush"), "a [31mb password=***");
    }

    #[test]
    fn figures_warn_of_what_they_show() {
        let mut run = Summary { requests: Some(100), failures: Some(60), ..Summary::default() };
        run.response_times.with_failures = true;
        run.by_status = [("200", 40), ("429", 50)].map(|(code, it)| (code.into(), it)).into();
        run.error("dial tcp: socket: too many open files", Some(10));
        run.unanswered = Some(10);
        run.conclude("it", "what");
        for words in ["10 of its requests", "status 429", "10 requests got no", "50 failed"] {
            assert!(run.warnings.iter().any(|it| it.contains(words)), "{words}: {run:?}");
        }
        assert_eq!(run.warnings.len(), 5);
    }
}
