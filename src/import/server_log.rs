//! What the logs of all servers have in common: other lines stand between those of requests, and
//! each request has a path, a status and a time.

use std::io::BufRead;

use super::error::{ImportError, MOST_MISTAKES};
use super::lines::LineReader;
use super::requests::{Request, Requests};
use crate::access_log::{Stamp, path};
use crate::timeline::ResponseClass;

/// Lines without a request, before the first with one, after which the file is not of the format.
const MOST_UNREAD_AT_FIRST: u64 = 1000;
/// Name of requests that are not HTTP: probes and TLS on a port without it.
const NOT_HTTP: &str = "(not HTTP)";

/// One request as a server wrote it down.
#[derive(Clone, Debug)]
pub(super) struct Served<'t> {
    /// The time of the line, in seconds since 1970 (UTC).
    pub(super) at: f64,
    /// Which moment that is.
    pub(super) stamp: Stamp,
    /// Whether the time is a whole second.
    pub(super) is_whole_second: bool,
    /// Seconds that it took.
    pub(super) took: f64,
    /// Method and target; `None` where no HTTP came.
    pub(super) request: Option<(&'t str, &'t str)>,
    /// 0 where there was no answer.
    pub(super) status: u16,
    /// What the server says of its failure.
    pub(super) said: String,
}

/// A log that is being read.
pub(super) struct ServerLog<'r> {
    pub(super) requests: &'r mut Requests,
    /// What a line of a request looks like.
    expected: &'static str,
    taken: u64,
    unread: u64,
    first_unread: usize,
    mistakes: Vec<String>,
    client_errors: u64,
    not_http: u64,
    has_whole_seconds: bool,
}

/// Gives each line to `take`, which adds its request or says why there is none in it.
///
/// # Errors
/// When the input cannot be read, or no line is one of a request.
pub(super) fn each_entry(
    input: &mut dyn BufRead,
    requests: &mut Requests,
    expected: &'static str,
    mut take: impl FnMut(&str, &mut ServerLog<'_>) -> Result<(), String>,
) -> Result<(), ImportError> {
    let (mut lines, mut log) = (LineReader::new(input), ServerLog::new(requests, expected));
    while let Some((number, bytes)) = lines.next_line()? {
        let outcome = take(&String::from_utf8_lossy(bytes), &mut log);
        log.note(number, outcome)?;
    }
    log.end(lines)
}

impl<'r> ServerLog<'r> {
    pub(super) fn new(requests: &'r mut Requests, expected: &'static str) -> Self {
        requests.set_server_log();
        Self {
            requests,
            expected,
            taken: 0,
            unread: 0,
            first_unread: 0,
            mistakes: Vec::new(),
            client_errors: 0,
            not_http: 0,
            has_whole_seconds: false,
        }
    }

    /// Adds a request.
    ///
    /// # Errors
    /// When its times are impossible.
    pub(super) fn add(&mut self, served: Served<'_>) -> Result<(), String> {
        let Served { at, stamp, is_whole_second, took, request, status, said } = served;
        // A time is cut to its second: on average half a second is missing.
        let at = if is_whole_second { at + 0.5 } else { at };
        let name = self.requests.path_name(&endpoint(request));
        self.requests.add(Request {
            sent_unix: if stamp == Stamp::End { at - took } else { at },
            took,
            endpoint: name,
            class: match status {
                0 => ResponseClass::Reset,
                status => ResponseClass::Status(status),
            },
            said,
        })?;
        self.taken += 1;
        self.client_errors += u64::from((400..500).contains(&status));
        self.not_http += u64::from(request.is_none());
        self.has_whole_seconds |= is_whole_second;
        Ok(())
    }

    /// Notes what a line came to.
    ///
    /// # Errors
    /// When there were many lines, and none is one of a request.
    pub(super) fn note(
        &mut self,
        number: usize,
        outcome: Result<(), String>,
    ) -> Result<(), ImportError> {
        let Err(mistake) = outcome else { return Ok(()) };
        if self.unread == 0 {
            self.first_unread = number;
        }
        self.unread += 1;
        if self.mistakes.len() < MOST_MISTAKES {
            // The line itself may hold a secret.
            self.mistakes.push(format!("line {number}: {mistake}; expected {}", self.expected));
        }
        match self.taken == 0 && self.unread >= MOST_UNREAD_AT_FIRST {
            true => Err(ImportError::Malformed { mistakes: std::mem::take(&mut self.mistakes) }),
            false => Ok(()),
        }
    }

    /// The end of the log: what there is to know about it.
    ///
    /// # Errors
    /// When no line is one of a request.
    pub(super) fn end(self, lines: LineReader<'_>) -> Result<(), ImportError> {
        let cut = lines.end(self.taken > 0)?;
        if self.taken == 0 && self.unread > 0 {
            return Err(ImportError::Malformed { mistakes: self.mistakes });
        }
        let requests = self.requests;
        cut.into_iter().for_each(|note| requests.note(note));
        if self.unread > 0 {
            requests.note(format!(
                "{} of {} lines are not requests and were left out; the first is line {}",
                self.unread,
                self.unread + self.taken,
                self.first_unread
            ));
        }
        if self.has_whole_seconds {
            requests.note(
                "times are whole seconds: the order of requests and those in flight within a \
                 second are not known; each time was taken for the middle of its second",
            );
        }
        if self.not_http > 0 {
            let count = self.not_http;
            requests.note(format!("{count} requests are not HTTP: they count as `{NOT_HTTP}`"));
        }
        if self.client_errors > 0 {
            requests.note(format!(
                "{} answers have a status of 400 to 499: they count as failures here, also pages \
                 that do not exist and clients that went away",
                self.client_errors
            ));
        }
        Ok(())
    }
}

/// The name of the endpoint of a method and a target.
pub(super) fn endpoint(request: Option<(&str, &str)>) -> String {
    let Some((method, target)) = request else { return NOT_HTTP.to_owned() };
    let path = path(target).unwrap_or(target).split('?').next().unwrap_or_default();
    format!("{method} {path}")
}

/// A status as servers write it: `-`, `000` and `-1` mean that there was no answer.
///
/// # Errors
/// When it is not a status.
pub(super) fn status(text: &str) -> Result<u16, String> {
    match text {
        "-" | "-1" => Ok(0),
        text => text.parse().map_err(|_| "its status is not a number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use crate::import::tests::{Read, refusal};

    /// A log in the combined format whose lines are requests of these paths, at one a second.
    fn log(paths: &[String]) -> String {
        let line = |(place, path): (usize, &String)| {
            let (minute, second) = (place / 60 % 60, place % 60);
            format!(
                "192.0.2.1 - - [04/May/2026:11:{minute:02}:{second:02} +0200] \"GET {path} \
                 HTTP/1.1\" 200 5 \"-\" \"-\" 0.010\n"
            )
        };
        paths.iter().enumerate().map(line).collect()
    }

    #[test]
    fn many_paths_are_grouped_by_what_they_have_in_common() {
        let paths: Vec<_> = (0..1200).map(|id| format!("/books/{id}/cover?size={id}")).collect();
        let read = Read::told(log(&paths).as_bytes());
        read.assert_counts(1200, 0, &[("GET /books/:id/cover", 1200, 0)]);
        assert!(read.notes.contains("`:id`"), "{}", read.notes);
    }

    #[test]
    fn files_without_a_request_are_refused_without_their_words() {
        let line = log(&["/".to_owned()]);
        let why = refusal(format!("{}token=hush\n", line.replace("0.010", "3.5")).as_bytes());
        assert!(why.contains("request_time") && !why.contains("hush"), "{why}");
    }
}
