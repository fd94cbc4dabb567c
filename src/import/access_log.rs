//! Access logs in the common or the combined format with the time of each request behind it, as
//! nginx, Apache and Traefik write them. Which field is that time is told from many lines.

use std::io::BufRead;

use super::ImporterSpec;
use super::error::ImportError;
use super::lines::LineReader;
use super::requests::Requests;
use super::server_log::{Served, ServerLog};
use crate::access_log::{self, Line, Stamp, Times, Untimed};

pub(super) static SPEC: ImporterSpec = ImporterSpec {
    name: "access-log",
    summary: "access logs of nginx, Apache or Traefik (CLF) with the time of each request",
    looks_like: |begin| has_times(begin) == Some(true),
    read,
};

/// Whether the lines of an access log that begins like this have the times that requests took;
/// `None` where it is not an access log.
pub(super) fn has_times(begin: &str) -> Option<bool> {
    let is_line = |line: &&str| access_log::read(line).is_some();
    begin.lines().take(LINES_OF_BEGIN).find(is_line)?;
    // The last line may be cut off.
    let whole = begin.rfind('\n').and_then(|end| begin.get(..end)).unwrap_or(begin);
    let lines = whole.lines().take(LINES_TO_TELL).filter_map(access_log::read);
    Some(Times::told(lines.map(|line| (line.rest, line.size))).is_ok())
}

/// Lines at the begin of a file among which one is a request.
const LINES_OF_BEGIN: usize = 20;
/// Lines from which it is told where their times stand, and the most of their bytes.
const LINES_TO_TELL: usize = 2000;
const BYTES_TO_TELL: usize = 1 << 20;
const EXPECTED: &str = "`host - user [10/Oct/2026:13:55:36 +0000] \"GET / HTTP/1.1\" 200 12` and \
                        the time of the request behind it";

fn read(input: &mut dyn BufRead, requests: &mut Requests) -> Result<(), ImportError> {
    let (mut lines, mut log) = (LineReader::new(input), ServerLog::new(requests, EXPECTED));
    let (mut first, mut bytes) = (Vec::new(), 0);
    while first.len() < LINES_TO_TELL
        && bytes < BYTES_TO_TELL
        && let Some((number, text)) = lines.next_line()?
    {
        let text = String::from_utf8_lossy(text).into_owned();
        bytes += text.len();
        first.push((number, text));
    }
    let read: Vec<Line<'_>> = first.iter().filter_map(|it| access_log::read(&it.1)).collect();
    let times = match Times::told(read.iter().map(|line| (line.rest, line.size))) {
        Ok(times) => Some(times),
        Err(why) if !read.is_empty() => return Err(untimed(why)),
        Err(_) => None,
    };
    for (number, text) in &first {
        let outcome = take(text, times.as_ref(), &mut log);
        log.note(*number, outcome)?;
    }
    while let Some((number, text)) = lines.next_line()? {
        let outcome = take(&String::from_utf8_lossy(text), times.as_ref(), &mut log);
        log.note(number, outcome)?;
    }
    if let Some(times) = times {
        let moment = match times.stamp {
            Stamp::Start => "start of the request, as in Apache and Traefik",
            Stamp::End => "end of the request, as in nginx",
        };
        log.requests.note(format!(
            "the time that a request took is {}; the time of a line was taken for the {moment}",
            times.taken
        ));
    }
    log.end(lines)
}

fn take(text: &str, times: Option<&Times>, log: &mut ServerLog<'_>) -> Result<(), String> {
    let line = access_log::read(text).ok_or("not a line of a request")?;
    let times = times.ok_or("not a line of a request")?;
    let took = times.took(line.rest).ok_or("the time of the request is missing")?;
    let end = times.end(line.rest);
    log.add(Served {
        at: end.unwrap_or(line.second as f64),
        stamp: if end.is_some() { Stamp::End } else { times.stamp },
        is_whole_second: end.is_none(),
        took,
        request: line.request,
        status: line.status,
        said: String::new(),
    })
}

fn untimed(why: Untimed) -> ImportError {
    let what = match why {
        Untimed::None => "an access log without the times that requests took",
        Untimed::Unit => {
            "an access log with whole numbers behind its lines, and which of them is the time of \
             the request, and in which unit, cannot be told"
        }
    };
    let instead = "a knee needs these times; add `rt=$request_time` to the `log_format` of nginx, \
                   or `took_us=%D` to the `LogFormat` of Apache. For a plan that sends the same \
                   requests, run `kneepoint convert`";
    ImportError::Unfit { what, instead }
}

#[cfg(test)]
mod tests {
    use crate::import::tests::{Read, refusal, sample};

    /// The samples of servers have the same twenty requests, some of which failed.
    const REQUESTS: [(&str, u64); 4] =
        [("GET /books", 5), ("GET /books/17", 5), ("GET /books/18", 5), ("POST /cart", 5)];

    #[test]
    fn times_of_nginx_are_those_of_the_end() {
        let read = Read::told(&sample("accesslog-nginx-timed.sample.log"));
        read.assert_served(&REQUESTS, &[("200", 16), ("404", 1), ("499", 1), ("503", 2)]);
        read.assert_ms(0.5, 35.0);
        assert!(read.notes.contains("whole seconds"), "{}", read.notes);
        assert!(read.notes.contains("last field but one, in seconds"), "{}", read.notes);
        let read = Read::told(&sample("accesslog-nginx-timed-keyed.sample.log"));
        let requests = REQUESTS.map(|(name, _)| (name, 3));
        read.assert_served(&requests, &[("200", 11), ("404", 1)]);
        assert!(read.notes.contains("`rt=…`"), "{}", read.notes);
    }

    #[test]
    fn times_of_apache_and_traefik_are_those_of_the_start() {
        let read = Read::told(&sample("accesslog-apache-d.sample.log"));
        read.assert_served(&REQUESTS, &[("200", 16), ("404", 1), ("499", 1), ("503", 2)]);
        read.assert_ms(0.5, 35.0);
        assert!(read.notes.contains("microseconds"), "{}", read.notes);
        let read = Read::told(&sample("accesslog-traefik-clf.sample.log"));
        read.assert_served(&REQUESTS, &[("200", 16), ("404", 1), ("reset", 1), ("503", 2)]);
        read.assert_ms(0.5, 35.0);
        assert!(read.notes.contains("start of the request, as in Apache"), "{}", read.notes);
    }

    #[test]
    fn other_lines_are_left_out_and_counted() {
        let mut log = sample("accesslog-nginx-timed.sample.log");
        log.extend_from_slice(b"2026/05/04 09:20:11 [error] 31#31: *46 connect() failed\n");
        let read = Read::told(&log);
        assert!(read.notes.contains("1 of 21 lines are not requests"), "{}", read.notes);
        assert!(read.notes.contains("the first is line 21"), "{}", read.notes);
    }

    #[test]
    fn logs_without_times_are_refused_with_what_to_write() {
        let why = refusal(&sample("accesslog-combined.sample.log"));
        assert!(why.contains("$request_time") && why.contains("%D"), "{why}");
    }
}
