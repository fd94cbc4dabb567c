//! What JMeter's rows are: the starts or the ends of samples, and samples or sums of others.

use std::collections::BTreeMap;

use super::requests::{Request, Requests, path_of};
use super::table::number;
use crate::timeline::ResponseClass;

/// Rows from which it is told whether times are starts or ends.
const ROWS_TO_TELL: usize = 20_000;
/// Times are ends where samples of one thread overlap this many times more often if they are
/// starts: a thread takes one sample at a time.
const OVERLAPS_MORE: usize = 10;
/// Most threads whose last sample is kept.
const MOST_THREADS: usize = 200_000;
/// By how many seconds a part may reach beyond its parent: times are whole milliseconds.
const ROUNDING: f64 = 0.0015;

/// One row.
pub(super) struct Sample {
    /// Its time stamp, in seconds since 1970.
    pub(super) at: f64,
    /// Response time in seconds.
    pub(super) took: f64,
    pub(super) label: String,
    pub(super) thread: String,
    pub(super) class: ResponseClass,
    /// Whether the test takes it for a success.
    pub(super) is_accepted: bool,
    pub(super) said: String,
    /// Threads that ran at its end.
    pub(super) users: Option<f64>,
    /// Whether it is the sum of what a transaction controller holds ([`is_transaction`]).
    pub(super) is_transaction: bool,
}

/// Message of a transaction, a row that is the sum of others.
const TRANSACTION: &str = "Number of samples in transaction";

/// Whether a row with this message is a transaction.
pub(super) fn is_transaction(message: &str) -> bool {
    message.starts_with(TRANSACTION)
}

impl Sample {
    /// Begin and end.
    fn window(&self, are_ends: bool) -> (f64, f64) {
        match are_ends {
            true => (self.at - self.took, self.at),
            false => (self.at, self.at + self.took),
        }
    }

    /// Whether `self` is the sum of which `part` is a part: a redirect or an embedded resource is
    /// saved under its parent's label with a number, in the same thread, within its time.
    fn has_part(&self, part: &Sample, are_ends: bool) -> bool {
        let number = part.label.strip_prefix(&self.label).and_then(|rest| rest.strip_prefix('-'));
        let is_numbered =
            number.is_some_and(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit()));
        (is_numbered || self.is_transaction) && self.spans(part, are_ends)
    }

    /// Whether `other` lies within its time.
    fn spans(&self, other: &Sample, are_ends: bool) -> bool {
        let (own, its) = (self.window(are_ends), other.window(are_ends));
        its.0 >= own.0 - ROUNDING && its.1 <= own.1 + ROUNDING
    }
}

/// The rows of a file on their way to requests.
pub(super) struct Samples<'r> {
    requests: &'r mut Requests,
    /// Rows before it was told what their times are.
    first: Vec<Sample>,
    are_ends: Option<bool>,
    /// The last sample of each thread, which may be a sum.
    last: BTreeMap<String, Sample>,
    sums: u64,
    /// Transactions whose samples are counted, and those that have none in the file.
    transactions: u64,
    lone_transactions: u64,
    /// The first and the last second of each thread, until a row says how many ran: older files and
    /// other settings do not.
    threads: BTreeMap<String, (i64, i64)>,
    has_users: bool,
    /// Samples that the test takes for a success, and those of them with a status of 400 or above.
    accepted: u64,
    accepted_errors: u64,
}

impl<'r> Samples<'r> {
    pub(super) fn new(requests: &'r mut Requests) -> Self {
        Self {
            requests,
            first: Vec::new(),
            are_ends: None,
            last: BTreeMap::new(),
            sums: 0,
            transactions: 0,
            lone_transactions: 0,
            threads: BTreeMap::new(),
            has_users: false,
            accepted: 0,
            accepted_errors: 0,
        }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When its numbers are impossible.
    pub(super) fn add(&mut self, sample: Sample) -> Result<(), String> {
        let Some(are_ends) = self.are_ends else {
            self.first.push(sample);
            return match self.first.len() < ROWS_TO_TELL {
                true => Ok(()),
                false => self.tell(),
            };
        };
        let is_full = self.last.len() >= MOST_THREADS;
        let Some(last) = self.last.get_mut(&sample.thread) else {
            if is_full {
                return self.send(sample, are_ends);
            }
            self.last.insert(sample.thread.clone(), sample);
            return Ok(());
        };
        // A transaction is written after its samples, which began within it; its time may be without
        // the pauses between them. Where it was told to replace them, they are not in the file.
        let begin = sample.window(are_ends).0 - ROUNDING;
        if sample.is_transaction && last.window(are_ends).0 >= begin {
            self.transactions += 1;
            return Ok(());
        }
        let is_sum = last.has_part(&sample, are_ends);
        let before = std::mem::replace(last, sample);
        match is_sum {
            // In a file that is in order of the starts it comes before them.
            true if before.is_transaction => self.transactions += 1,
            true => self.sums += 1,
            false => return self.send(before, are_ends),
        }
        Ok(())
    }

    /// The end of the file.
    ///
    /// # Errors
    /// When the numbers of rows that were kept are impossible.
    pub(super) fn end(mut self) -> Result<(), String> {
        if self.are_ends.is_none() {
            self.tell()?;
        }
        let are_ends = self.are_ends.unwrap_or(false);
        for sample in std::mem::take(&mut self.last).into_values() {
            self.send(sample, are_ends)?;
        }
        self.count_threads()?;
        self.tell_transactions();
        if self.sums > 0 {
            self.requests.note(format!(
                "{} samples that are sums of others (redirects, embedded resources) were left \
                 out: their parts are counted",
                self.sums
            ));
        }
        if self.accepted_errors > 0 {
            self.requests.note(format!(
                "{} answers with a status of 400 or above count as failures here, although the \
                 test accepts them",
                self.accepted_errors
            ));
        }
        if self.accepted == 0 {
            self.requests.note(
                "no sample is a success: where JMeter was told to save errors only, the share of \
                 failures cannot be told",
            );
        }
        Ok(())
    }

    fn tell_transactions(&mut self) {
        if self.transactions > 0 {
            self.requests.note(format!(
                "{} transactions were left out: their samples are counted",
                self.transactions
            ));
        }
        if self.lone_transactions > 0 {
            self.requests.note(format!(
                "{} transactions have no samples in the file (\"Generate parent sample\"): each \
                 counts as one request, with the time of all that it holds",
                self.lone_transactions
            ));
        }
    }

    /// Tells whether the times are those of the ends, and adds the rows that waited for it.
    fn tell(&mut self) -> Result<(), String> {
        let first = std::mem::take(&mut self.first);
        let (starts, ends) = (overlaps(&first, false), overlaps(&first, true));
        let are_ends = starts > OVERLAPS_MORE * ends;
        if are_ends {
            self.requests.note(
                "the time stamps are times of the ends of the samples, since samples of one \
                 thread would overlap otherwise; they were read so",
            );
        }
        self.are_ends = Some(are_ends);
        first.into_iter().try_for_each(|sample| self.add(sample))
    }

    /// Notes that a thread ran at a time.
    fn see_thread(&mut self, thread: &str, begin: f64, end: f64) {
        let (begin, end) = (begin.floor() as i64, end.floor() as i64);
        if let Some((first, last)) = self.threads.get_mut(thread) {
            (*first, *last) = ((*first).min(begin), (*last).max(end));
        } else if !thread.is_empty() && self.threads.len() < MOST_THREADS {
            self.threads.insert(thread.to_owned(), (begin, end));
        }
    }

    /// Counts the threads that ran, each from its first sample to its last.
    fn count_threads(&mut self) -> Result<(), String> {
        let mut changes: BTreeMap<i64, i64> = BTreeMap::new();
        for (first, last) in std::mem::take(&mut self.threads).into_values() {
            *changes.entry(first).or_default() += 1;
            *changes.entry(last.saturating_add(1)).or_default() -= 1;
        }
        let mut running = 0;
        for (second, change) in changes {
            running += change;
            self.requests.add_users(second as f64, running as f64)?;
        }
        Ok(())
    }

    fn send(&mut self, sample: Sample, are_ends: bool) -> Result<(), String> {
        let (begin, end) = sample.window(are_ends);
        self.lone_transactions += u64::from(sample.is_transaction);
        self.accepted += u64::from(sample.is_accepted);
        self.accepted_errors += u64::from(sample.is_accepted && !sample.class.is_success());
        match sample.users {
            Some(users) => {
                self.requests.add_users(end, users)?;
                self.has_users = true;
                self.threads.clear();
            }
            None if !self.has_users => self.see_thread(&sample.thread, begin, end),
            None => {}
        }
        self.requests.add(Request {
            sent_unix: begin,
            took: sample.took,
            endpoint: path_of(&sample.label).unwrap_or(sample.label),
            class: sample.class,
            said: sample.said,
        })
    }
}

/// How often a sample begins before the one before it in its thread has ended, if times are read
/// this way.
fn overlaps(samples: &[Sample], are_ends: bool) -> usize {
    let mut last: BTreeMap<&str, &Sample> = BTreeMap::new();
    let mut count = 0;
    for sample in samples.iter().filter(|sample| !sample.is_transaction) {
        let Some(before) = last.insert(&sample.thread, sample) else { continue };
        let is_within = before.has_part(sample, are_ends);
        let begins_early = sample.window(are_ends).0 < before.window(are_ends).1 - ROUNDING;
        count += usize::from(begins_early && !is_within);
    }
    count
}

/// By status where there is one, else by the exception's name. `success` decides, not the code: it
/// has the test's assertions in it.
pub(super) fn class(code: &str, message: &str, is_success: bool) -> ResponseClass {
    if let Ok(status) = code.trim().parse::<u16>() {
        return match is_success || status >= 400 {
            true => ResponseClass::Status(status),
            false => ResponseClass::Check,
        };
    }
    let says = |words: &[&str]| words.iter().any(|it| code.contains(it) || message.contains(it));
    match is_success {
        // Samples of other protocols have no status.
        true => ResponseClass::Status(200),
        false if says(&["Timeout", "timed out"]) => ResponseClass::Timeout,
        false if says(&["SSL", "Certificate"]) => ResponseClass::Tls,
        false
            if says(&["UnknownHost", "ConnectException", "NoRoute", "HttpHostConnect", "Bind"]) =>
        {
            ResponseClass::Connect
        }
        false if says(&["NoHttpResponse", "SocketException", "reset", "EOF"]) => {
            ResponseClass::Reset
        }
        false => ResponseClass::Check,
    }
}

/// Seconds of a time in milliseconds.
///
/// # Errors
/// When it is not a number.
pub(super) fn millis(text: &str, what: &str) -> Result<f64, String> {
    Ok(number(text, what)? / 1e3)
}
