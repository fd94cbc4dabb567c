//! Why a stage does not count.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::wording;

/// Why a stage does not count. A report shows it in words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub enum Invalid {
    /// Nothing was recorded in it.
    Empty,
    /// It measured the generator instead of the target.
    Generator(GeneratorFault),
    /// One of several generators did not make its part.
    OneGenerator {
        /// Its name.
        name: String,
        /// What it did.
        fault: GeneratorFault,
    },
    /// The run's own highest rate made requests wait.
    Capped {
        /// How many.
        waited: u64,
        /// How many were due.
        due: u64,
    },
    /// It still answered the backlog of the stage before it.
    WorkedOff {
        /// Responses beyond the requests that were due.
        surplus: f64,
    },
    /// The system had not recovered from the overload before it.
    Collapsed {
        /// The load, in requests per second, at which most requests still failed.
        load: f64,
    },
    /// It was not carried, and its load was each time that it was held afterwards.
    Passed {
        /// The load, in requests per second.
        load: f64,
    },
    /// The words of a report that was read back.
    Told(String),
}

/// How the generator or its machine made a stage useless.
#[derive(Clone, Debug, PartialEq)]
pub enum GeneratorFault {
    /// It never sent some of the requests.
    Unsent {
        /// Share (0 to 1) of those that were due.
        share: f64,
    },
    /// One of its threads was busy all the time.
    BusyThread {
        /// Cores that the thread used.
        cores: f64,
    },
    /// The CPU quota of its control group stopped it.
    Throttled {
        /// Share (0 to 1) of the time.
        share: f64,
    },
    /// It reported nothing for a part of the stage: it was lost, or its way to the coordinator was.
    Silent {
        /// Seconds without a report.
        seconds: f64,
    },
    /// It was asked for less than its equal part.
    Short {
        /// Share (0 to 1) of its part that is missing.
        share: f64,
    },
    /// It ran out of file descriptors.
    Descriptors,
    /// Requests waited for a free connection.
    NoConnection {
        /// Mean seconds that they waited.
        waited: f64,
        /// Mean response time in seconds.
        response: f64,
    },
    /// It sent its requests late.
    Late {
        /// Mean lateness in seconds.
        mean: f64,
        /// p99 of the lateness in seconds.
        p99: f64,
        /// Mean response time in seconds.
        response: f64,
    },
}

impl Invalid {
    /// Whether the generator is to blame.
    pub fn is_generator(&self) -> bool {
        matches!(self, Invalid::Generator(_) | Invalid::OneGenerator { .. })
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Invalid::Empty => f.write_str("nothing was recorded in it"),
            Invalid::Generator(fault) => write!(f, "the generator {fault}"),
            Invalid::OneGenerator { name, fault } => write!(f, "the generator `{name}` {fault}"),
            Invalid::Capped { waited, due } => {
                write!(f, "`max_rate` of the run delayed {waited} of {due} requests")
            }
            Invalid::WorkedOff { surplus } => write!(
                f,
                "it still worked off the backlog of the stage before it: {surplus:.0} more \
                 responses than requests were due"
            ),
            Invalid::Collapsed { load } => write!(
                f,
                "the system had not recovered from the overload before it: most requests failed \
                 even at {}, which it had carried before",
                wording::short_rate(*load)
            ),
            Invalid::Passed { load } => write!(
                f,
                "{} were not carried in it, and were each time that they were held again: what was in \
                 the way has passed, such as a pause of the machine or a cold start",
                wording::short_rate(*load)
            ),
            Invalid::Told(words) => f.write_str(words),
        }
    }
}

impl fmt::Display for GeneratorFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GeneratorFault::Unsent { share } => {
                write!(f, "did not send {} of the requests that were due", wording::percent(*share))
            }
            GeneratorFault::BusyThread { cores } => {
                write!(f, "had a thread that was busy all the time ({cores:.2} of a core)")
            }
            GeneratorFault::Throttled { share } => write!(
                f,
                "was stopped for {} of the time by the CPU quota of its control group (raise the \
                 quota, or use more generators)",
                wording::percent(*share)
            ),
            GeneratorFault::Silent { seconds } => {
                write!(f, "reported nothing for {seconds:.1} s of it")
            }
            GeneratorFault::Short { share } => {
                write!(f, "was asked for {} less than its part", wording::percent(*share))
            }
            GeneratorFault::Descriptors => {
                f.write_str("ran out of file descriptors (raise `ulimit -n`)")
            }
            GeneratorFault::NoConnection { waited, response } => write!(
                f,
                "had no free connection: requests waited {:.1} ms on average for one, out of a \
                 mean response time of {:.1} ms, while the target answered as quickly as without \
                 load (raise `max_connections` or `max_in_flight`)",
                waited * 1e3,
                response * 1e3
            ),
            GeneratorFault::Late { mean, p99, response } => write!(
                f,
                "sent its requests {:.1} ms late on average (p99 {:.1} ms), out of a mean response \
                 time of {:.1} ms",
                mean * 1e3,
                p99 * 1e3,
                response * 1e3
            ),
        }
    }
}

impl From<Invalid> for String {
    fn from(invalid: Invalid) -> Self {
        invalid.to_string()
    }
}

impl From<String> for Invalid {
    fn from(words: String) -> Self {
        Invalid::Told(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_carries_the_reason_in_words_and_keeps_them_when_it_is_read() {
        let fault = Invalid::Generator(GeneratorFault::BusyThread { cores: 0.98 });
        let text = serde_json::to_string(&fault).unwrap();
        assert_eq!(
            text,
            "\"the generator had a thread that was busy all the time (0.98 of a core)\""
        );
        let read: Invalid = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }
}
