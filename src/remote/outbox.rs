//! What a node has not sent yet. What measures never waits for it: beyond a bound the oldest lines are
//! dropped, and become a gap with its reason as soon as there is room.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use super::message::{LinesMessage, Message, PingMessage};
use crate::recording::{EncodedEntry, Entry, EntryEncoder};
use crate::timeline::{Gap, Window};

/// Bytes of lines that may wait. At the 50 kB/s of a busy agent this is over two minutes.
const MOST_BYTES: usize = 8 << 20;
/// Bytes of lines in one message, unless a single one is longer.
const MESSAGE_BYTES: usize = 256 << 10;
/// Lines wait this long for others, so that one message carries several.
const GATHERED: Duration = Duration::from_millis(200);

/// What is to be sent next.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// A message.
    Message(Message),
    /// The answer to a ping that arrived at this time of the node's clock: it is stamped when it is sent.
    Pong(PingMessage, i64),
}

/// Waits for the thread that sends.
#[derive(Debug, Default)]
pub struct Outbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    control: VecDeque<Outgoing>,
    waiting: VecDeque<Waiting>,
    bytes: usize,
    oldest: Option<Instant>,
    encoder: EntryEncoder,
    /// Readings that were dropped, by collector: from when to when, and how many.
    lost: BTreeMap<String, (Window, u64)>,
    /// What is said once everything else has been sent.
    last: Option<Message>,
    is_closed: bool,
}

/// An entry that waits.
#[derive(Debug)]
struct Waiting {
    encoded: EncodedEntry,
    bytes: usize,
    /// What is told if it is dropped.
    about: Option<(String, Window)>,
}

impl Outbox {
    /// Adds an entry. Never waits.
    pub fn report(&self, entry: &Entry) {
        let mut state = self.lock();
        state.push(entry);
        while state.bytes > MOST_BYTES && state.drop_oldest() {}
        drop(state);
        self.changed.notify_one();
    }

    /// Adds a message, which goes out before every entry that waits.
    pub fn send(&self, message: Message) {
        self.add(Outgoing::Message(message));
    }

    pub(super) fn pong(&self, ping: PingMessage, received: i64) {
        self.add(Outgoing::Pong(ping, received));
    }

    fn add(&self, outgoing: Outgoing) {
        self.lock().control.push_back(outgoing);
        self.changed.notify_one();
    }

    /// Nothing more will be added: what waits is sent, and then `last`.
    pub(super) fn close(&self, last: Option<Message>) {
        let mut state = self.lock();
        (state.is_closed, state.last) = (true, last);
        drop(state);
        self.changed.notify_all();
    }

    /// Waits for what is to be sent next; `None` once it is closed and empty.
    pub(super) fn next(&self) -> Option<Outgoing> {
        let mut state = self.lock();
        loop {
            if let Some(first) = state.control.pop_front() {
                return Some(first);
            }
            state.tell_lost();
            let age = state.oldest.map(|oldest| oldest.elapsed());
            match age {
                Some(age) if age >= GATHERED || state.is_closed => {
                    return Some(Outgoing::Message(state.take_lines()));
                }
                None if state.is_closed => return state.last.take().map(Outgoing::Message),
                _ => {}
            }
            let wait = age.map_or(Duration::from_secs(1), |age| GATHERED.saturating_sub(age));
            let waited = self.changed.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, entry: &Entry) {
        // Entries are plain data, which JSON can always hold.
        let Ok(encoded) = self.encoder.encode(entry) else { return };
        let about = match entry {
            Entry::Batch(batch) => Some((batch.collector.clone(), batch.window)),
            Entry::Tick(tick) => Some((tick.generator.clone(), tick.window)),
            Entry::Gap(gap) => Some((gap.collector.clone(), gap.window)),
            Entry::Quote(_) | Entry::Event(_) => None,
        };
        let length = |line: &RawValue| line.get().len();
        let bytes = length(&encoded.line)
            + encoded.declarations.iter().map(|line| length(line)).sum::<usize>();
        self.bytes += bytes;
        self.oldest.get_or_insert_with(Instant::now);
        self.waiting.push_back(Waiting { encoded, bytes, about });
    }

    /// Drops the oldest entry, and keeps what later ones refer to. `false` if only one is left.
    fn drop_oldest(&mut self) -> bool {
        if self.waiting.len() < 2 {
            return false;
        }
        let Some(oldest) = self.waiting.pop_front() else { return false };
        self.bytes -= oldest.bytes;
        if let Some((collector, window)) = oldest.about {
            let (lost, count) = self.lost.entry(collector).or_insert((window, 0));
            let (begin, end) = (lost.begin.min(window.begin), lost.end.max(window.end));
            *lost = Window::new(begin, end);
            *count += 1;
        }
        if let Some(next) = self.waiting.front_mut() {
            let kept: usize = oldest.encoded.declarations.iter().map(|line| line.get().len()).sum();
            next.bytes += kept;
            self.bytes += kept;
            next.encoded.declarations.splice(0..0, oldest.encoded.declarations);
        }
        true
    }

    /// Tells what was dropped, once there is room again.
    fn tell_lost(&mut self) {
        if self.lost.is_empty() || self.bytes > MOST_BYTES / 2 {
            return;
        }
        for (collector, (window, count)) in std::mem::take(&mut self.lost) {
            let reason = format!(
                "{count} readings are lost: they came faster than the connection to this node took them"
            );
            self.push(&Entry::Gap(Gap { collector, window, reason }));
        }
    }

    fn take_lines(&mut self) -> Message {
        let (mut lines, mut bytes) = (Vec::new(), 0);
        while let Some(first) = self.waiting.front() {
            if bytes > 0 && bytes + first.bytes > MESSAGE_BYTES {
                break;
            }
            let Some(first) = self.waiting.pop_front() else { break };
            bytes += first.bytes;
            self.bytes -= first.bytes;
            lines.extend(first.encoded.declarations);
            lines.push(first.encoded.line);
        }
        if self.waiting.is_empty() {
            self.oldest = None;
        }
        Message::Lines(LinesMessage { lines })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::EntryDecoder;
    use crate::timeline::{Batch, BatchBuilder, Labels, Moment, names};

    fn batch(second: u64, text: &str) -> Entry {
        let mut builder = BatchBuilder::new();
        let labels = Labels::none().with("peer", text);
        builder.push_labelled(&names::TCP_SOCKETS, labels, second as f64);
        let at = |second: u64| Moment::from_nanos(second * 1_000_000_000);
        let window = Window::new(at(second), at(second + 1));
        Entry::Batch(Batch { collector: "tcp".to_owned(), window, readings: builder.finish() })
    }

    /// Everything that a closed outbox still sends, decoded.
    fn sent(outbox: &Outbox) -> Vec<Entry> {
        outbox.close(None);
        let mut decoder = EntryDecoder::default();
        let mut entries = Vec::new();
        while let Some(outgoing) = outbox.next() {
            let Outgoing::Message(Message::Lines(message)) = outgoing else { panic!() };
            for line in message.lines {
                entries.extend(decoder.decode(&line).unwrap());
            }
        }
        entries
    }

    #[test]
    fn entries_go_out_in_order_and_messages_before_them() {
        let outbox = Outbox::default();
        outbox.report(&batch(1, "a"));
        outbox.report(&batch(2, "a"));
        outbox.pong(PingMessage { sent: 5 }, 6);
        assert!(matches!(outbox.next(), Some(Outgoing::Pong(PingMessage { sent: 5 }, 6))));
        assert_eq!(sent(&outbox), [batch(1, "a"), batch(2, "a")]);
        outbox.close(Some(Message::Bye(Default::default())));
        assert!(matches!(outbox.next(), Some(Outgoing::Message(Message::Bye(_)))));
        assert!(outbox.next().is_none());
    }

    #[test]
    fn what_does_not_fit_becomes_a_gap_and_never_a_zero() {
        let outbox = Outbox::default();
        let long = "x".repeat(1 << 20);
        // Each declares a series of a mebibyte: declarations are kept, so it takes more of them.
        outbox.report(&batch(0, "short"));
        for second in 1..=8 {
            outbox.report(&batch(second, &format!("{long}{second}")));
        }
        for second in 9..40 {
            outbox.report(&batch(second, "short"));
        }
        let entries = sent(&outbox);
        let gaps: Vec<&Gap> = entries
            .iter()
            .filter_map(|entry| if let Entry::Gap(gap) = entry { Some(gap) } else { None })
            .collect();
        let [gap] = gaps[..] else { panic!("{} gaps", gaps.len()) };
        let lost = entries.iter().filter(|entry| matches!(entry, Entry::Batch(_))).count();
        assert!(gap.reason.starts_with(&format!("{} readings", 40 - lost)), "{}", gap.reason);
        assert_eq!(gap.window.begin, Moment::START);
        assert!(entries.contains(&batch(39, "short")), "the latest is kept");
    }
}
