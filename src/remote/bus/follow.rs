//! Follows what a stream stores, across lost connections, and puts lines together again.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::header::HeaderMap;
use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::push::OrderedConfig;
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::watch;

use super::subject::PLACE;
use crate::remote::carrier::Delivery;
use crate::remote::message::MAX_LINE;

/// Pause before the stream is asked again, and before a full reader is.
const PAUSE: Duration = Duration::from_millis(100);
const FULL: Duration = Duration::from_millis(5);
/// A server that was killed may have lost its latest messages and counts on from an earlier one. So
/// many are read again after each loss of the connection; what was seen is left out by its place.
const READ_AGAIN: u64 = 4096;

/// What a reader does with a message.
pub(super) enum Taken {
    /// It has it.
    Yes,
    /// It has no room now.
    Later,
    /// It wants no more.
    Enough,
}

/// The place of a message among those of its subject.
pub(super) fn place(headers: Option<&HeaderMap>) -> Option<u64> {
    headers?.get(PLACE)?.as_str().parse().ok()
}

/// Passes on every message of `filter`, each once and in order.
pub(super) async fn follow(
    jetstream: Context,
    stream: String,
    filter: String,
    mut made: watch::Receiver<u64>,
    mut give: impl FnMut(&str, &Bytes) -> Taken,
) {
    let mut last = 0_u64;
    let mut places: HashMap<String, u64> = HashMap::new();
    loop {
        let _since = *made.borrow_and_update();
        let start_sequence = last.saturating_sub(READ_AGAIN) + 1;
        let config = OrderedConfig {
            deliver_subject: jetstream.client().new_inbox(),
            filter_subject: filter.clone(),
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence },
            ..OrderedConfig::default()
        };
        let consumer = jetstream.create_consumer_on_stream(config, &stream).await;
        let messages = match consumer {
            Ok(consumer) => consumer.messages().await.ok(),
            Err(_) => None,
        };
        let Some(mut messages) = messages else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        loop {
            let message = tokio::select! {
                changed = made.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
                message = messages.next() => message,
            };
            let Some(Ok(message)) = message else {
                tokio::time::sleep(PAUSE).await;
                break;
            };
            if let Ok(info) = message.info() {
                last = info.stream_sequence;
            }
            if let Some(place) = place(message.headers.as_ref()) {
                let latest = places.entry(message.subject.to_string()).or_default();
                if place <= *latest {
                    continue;
                }
                *latest = place;
            }
            loop {
                match give(&message.subject, &message.payload) {
                    Taken::Yes => break,
                    Taken::Later => tokio::time::sleep(FULL).await,
                    Taken::Enough => return,
                }
            }
        }
    }
}

/// Puts lines together that came in parts: a part that ends a line ends with its `\n`.
#[derive(Default)]
pub(super) struct Assembler {
    line: Vec<u8>,
    is_too_long: bool,
}

impl Assembler {
    /// Adds a part. Returns the line that it ends.
    pub(super) fn push(&mut self, part: &[u8]) -> Option<Delivery> {
        self.is_too_long |= self.line.len() + part.len() > MAX_LINE;
        if self.is_too_long {
            self.line.clear();
        } else {
            self.line.extend_from_slice(part);
        }
        if part.last() != Some(&b'\n') {
            return None;
        }
        let mut line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.is_too_long) {
            return Some(Delivery::TooLong);
        }
        line.pop();
        Some(Delivery::Line(line))
    }

    /// Takes a line back that found no reader, until the part that ends it is added again.
    pub(super) fn put_back(&mut self, delivery: Delivery, part: &[u8]) {
        match delivery {
            Delivery::Line(mut line) => {
                line.push(b'\n');
                line.truncate(line.len().saturating_sub(part.len()));
                self.line = line;
            }
            Delivery::TooLong | Delivery::Closed => self.is_too_long = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_become_the_line_again() {
        let mut lines = Assembler::default();
        assert!(lines.push(b"ab").is_none());
        let Some(line) = lines.push(b"c\n") else { panic!() };
        lines.put_back(line, b"c\n");
        assert!(matches!(lines.push(b"c\n"), Some(Delivery::Line(line)) if line == b"abc"));
        let long = vec![b'x'; MAX_LINE];
        assert!(lines.push(&long).is_none() && lines.push(b"x").is_none());
        assert!(matches!(lines.push(b"\n"), Some(Delivery::TooLong)));
        assert!(matches!(lines.push(b"d\n"), Some(Delivery::Line(line)) if line == b"d"));
    }
}
