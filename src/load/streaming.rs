//! Streaming responses: what counts as an event, and when to stop reading.

use std::task::Context;
use std::time::{Duration, Instant};

use httparse::Header;

use super::deadline::Deadline;
use super::response::Observer;
use crate::plan::Streaming;

/// A stream ends this long before the deadline of its request.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// Follows a response for as long as the plan says, and passes it to the observer.
pub(super) struct Follower<'a, W> {
    observer: &'a mut W,
    streaming: Option<Streaming>,
    /// The response that is coming is a stream.
    is_on: bool,
    events: Events,
    /// Fires when the stream was followed for long enough.
    timer: Option<Deadline>,
}

impl<'a, W: Observer> Follower<'a, W> {
    /// Follows the response to one request. Without `streaming` it follows to the end.
    pub(super) fn new(streaming: Option<Streaming>, observer: &'a mut W) -> Self {
        Self { observer, streaming, is_on: false, events: Events::default(), timer: None }
    }

    /// How to follow the response, once it has begun. `None` if its status reports a failure.
    fn stream(&self) -> Option<Streaming> {
        self.streaming.filter(|_| self.is_on)
    }

    /// Whether enough was seen. If not, the task is woken when it may be. The first call after the
    /// response has begun starts the time, and extends `deadline` to allow for it.
    pub(super) fn poll_enough(&mut self, cx: &mut Context<'_>, deadline: &mut Deadline) -> bool {
        let Some(streaming) = self.stream() else { return false };
        let Some(duration) = streaming.duration else { return self.has_enough() };
        let timer = self.timer.get_or_insert_with(|| {
            let until = Instant::now() + duration;
            deadline.extend(until + AFTERWARDS);
            let mut timer = Deadline::new();
            timer.set(until);
            timer
        });
        timer.poll(cx).is_ready() || self.has_enough()
    }

    /// Whether all wanted events have come.
    fn has_enough(&self) -> bool {
        let wanted = self.stream().and_then(|streaming| streaming.events);
        wanted.is_some_and(|wanted| self.events.count >= wanted)
    }

    /// Whether the response may end here: it was followed for long enough, or no more events are
    /// wanted.
    pub(super) fn may_end(&self) -> bool {
        let wants_more = |streaming: Streaming| streaming.events.is_some() && !self.has_enough();
        let is_late = self.timer.as_ref().is_some_and(Deadline::is_over);
        is_late || !self.stream().is_some_and(wants_more)
    }
}

impl<W: Observer> Observer for Follower<'_, W> {
    fn head(&mut self, status: u16, headers: &[Header<'_>]) {
        if self.streaming.is_some() {
            self.is_on = status < 400;
            self.events.is_sse = headers.iter().any(|header| {
                let value = header.value.trim_ascii_start();
                header.name.eq_ignore_ascii_case("content-type")
                    && value.len() >= SSE.len()
                    && value[..SSE.len()].eq_ignore_ascii_case(SSE)
            });
        }
        self.observer.head(status, headers);
    }

    fn body(&mut self, bytes: &[u8]) {
        if self.is_on {
            self.events.read(bytes);
        }
        self.observer.body(bytes);
    }
}

const SSE: &[u8] = b"text/event-stream";
/// The start of a line with event data (HTML, section 9.2.6).
const DATA: &[u8] = b"data";

/// Counts events as they come. It keeps only the start of a line.
#[derive(Debug, Default)]
struct Events {
    is_sse: bool,
    count: u64,
    /// The start of the current line, as long as [`DATA`] and the byte after it.
    begin: [u8; 5],
    length: usize,
    /// Whether the current event has data.
    has_data: bool,
    after_cr: bool,
}

impl Events {
    fn read(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let after_cr = std::mem::take(&mut self.after_cr);
            match byte {
                b'\n' if after_cr => {}
                b'\r' | b'\n' => {
                    self.after_cr = byte == b'\r';
                    self.end_line();
                }
                byte => {
                    if let Some(at) = self.begin.get_mut(self.length) {
                        *at = byte;
                        self.length += 1;
                    }
                }
            }
        }
    }

    fn end_line(&mut self) {
        let begin = &self.begin[..std::mem::take(&mut self.length)];
        match (self.is_sse, begin) {
            (false, []) => {}
            (false, _) => self.count += 1,
            (true, []) => self.count += u64::from(std::mem::take(&mut self.has_data)),
            (true, begin) => {
                let is_data = begin == DATA || begin.strip_prefix(DATA) == Some(b":");
                self.has_data |= is_data;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(is_sse: bool, text: &str, piece: usize) -> u64 {
        let mut events = Events { is_sse, ..Events::default() };
        text.as_bytes().chunks(piece).for_each(|piece| events.read(piece));
        events.count
    }

    #[test]
    fn events_are_counted_however_the_bytes_are_cut() {
        let cases = [
            (true, "data: a\n\ndata: b\ndata: c\n\n", 2),
            (true, "id: 1\r\ndata\r\n\r\ndata: half", 1),
            (true, ": still here\n\n:\n\nretry: 9\n\n", 0),
            (true, "data:a\r\rdatabase: b\r\r", 1),
            (true, "event: x\ndata: 1\nid: 7\n\n\n\n", 1),
            (false, "{}\n{}\n\n{}", 2),
            (false, "a\r\nb\r\n", 2),
        ];
        for (is_sse, text, expected) in cases {
            for piece in [1, 2, 3, 100] {
                assert_eq!(count(is_sse, text, piece), expected, "{text:?} by {piece}");
            }
        }
    }
}
