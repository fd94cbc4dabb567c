//! What one client does after another request: order, think times, retries, and how many clients are
//! there at once.

use std::collections::{BTreeMap, HashMap};

use super::kinds::Counted;

/// A client that was away for longer begins a new session, in seconds: the usual time of web
/// analytics.
const SESSION: i64 = 30 * 60;
/// A failed request that comes again within this time is a retry, in seconds.
const RETRY_WITHIN: i64 = 10;
/// Clients that are known at once. Further ones are left out.
const MOST_CLIENTS: usize = 400_000;
/// Pairs of kinds that are counted.
const MOST_PAIRS: usize = 100_000;
/// Seconds over which clients are counted as being there at once.
const AT_ONCE: i64 = 60;

/// What clients do in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Sessions {
    clients: HashMap<u64, Client>,
    pub(super) pairs: BTreeMap<(usize, usize), u64>,
    /// Think times by whole seconds.
    pub(super) thinks: BTreeMap<u64, u64>,
    pub(super) sessions: u64,
    /// Sessions with more than one request.
    pub(super) longer: u64,
    pub(super) failures: u64,
    pub(super) retries: u64,
    /// Requests whose client was left out.
    pub(super) left_out: u64,
    minute: i64,
    in_minute: u64,
    /// Most clients within a minute.
    pub(super) at_once: u64,
    /// Clients that were ever there; those who come again after a long time count again.
    pub(super) seen: u64,
}

#[derive(Clone, Copy, Debug)]
struct Client {
    second: i64,
    kind: Option<usize>,
    key: u64,
    has_failed: bool,
    is_longer: bool,
    /// The last minute in which it was counted.
    minute: i64,
}

impl Sessions {
    /// Adds the next request of a client.
    pub(super) fn add(&mut self, client: u64, second: i64, counted: Counted, has_failed: bool) {
        self.failures += u64::from(has_failed);
        let minute = second.div_euclid(AT_ONCE);
        if minute > self.minute {
            (self.minute, self.in_minute) = (minute, 0);
        }
        let Some(known) = self.clients.get_mut(&client) else {
            return self.begin(client, second, counted, has_failed, minute);
        };
        let pause = second - known.second;
        if pause > SESSION {
            self.sessions += 1;
            known.is_longer = false;
        } else {
            if known.has_failed && known.key == counted.key && pause <= RETRY_WITHIN {
                self.retries += 1;
            }
            if !known.is_longer {
                known.is_longer = true;
                self.longer += 1;
            }
            // A line that comes late has no pause before it.
            *self.thinks.entry(pause.max(0).unsigned_abs()).or_default() += 1;
            if let Some(pair) = known.kind.zip(counted.kind)
                && (self.pairs.len() < MOST_PAIRS || self.pairs.contains_key(&pair))
            {
                *self.pairs.entry(pair).or_default() += 1;
            }
        }
        let is_new_here = known.minute < minute;
        known.second = known.second.max(second);
        (known.kind, known.key, known.has_failed) = (counted.kind, counted.key, has_failed);
        known.minute = known.minute.max(minute);
        self.here(is_new_here);
    }

    fn begin(&mut self, client: u64, second: i64, counted: Counted, has_failed: bool, minute: i64) {
        if self.clients.len() >= MOST_CLIENTS {
            self.clients.retain(|_, client| second - client.second <= SESSION);
            if self.clients.len() >= MOST_CLIENTS {
                self.left_out += 1;
                return;
            }
        }
        let Counted { kind, key } = counted;
        let new = Client { second, kind, key, has_failed, is_longer: false, minute };
        self.clients.insert(client, new);
        self.sessions += 1;
        self.seen += 1;
        self.here(true);
    }

    fn here(&mut self, is_new: bool) {
        self.in_minute += u64::from(is_new);
        self.at_once = self.at_once.max(self.in_minute);
    }

    /// The median think time in seconds, of pauses of at least one: within a second a browser asks
    /// for the parts of a page. `None` where there are none.
    pub(super) fn median_think(&self) -> Option<f64> {
        let pauses = || self.thinks.iter().filter(|(seconds, _)| **seconds > 0);
        let all: u64 = pauses().map(|(_, count)| count).sum();
        let mut before = 0;
        for (seconds, count) in pauses() {
            before += count;
            if before * 2 >= all {
                return Some(*seconds as f64);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(kind: usize, key: u64) -> Counted {
        Counted { kind: Some(kind), key }
    }

    #[test]
    fn sessions_have_an_order_pauses_and_retries() {
        let mut sessions = Sessions::default();
        sessions.add(1, 100, counted(0, 10), false);
        sessions.add(2, 101, counted(0, 11), false);
        sessions.add(1, 105, counted(1, 20), true);
        sessions.add(1, 107, counted(1, 20), false);
        // An hour later it is another session.
        sessions.add(1, 3707, counted(0, 10), false);
        assert_eq!((sessions.sessions, sessions.longer, sessions.seen), (3, 1, 2));
        assert_eq!((sessions.failures, sessions.retries), (1, 1));
        assert_eq!(sessions.pairs, BTreeMap::from([((0, 1), 1), ((1, 1), 1)]));
        assert_eq!(sessions.median_think(), Some(2.0));
        assert_eq!(sessions.at_once, 2);
        assert_eq!(Sessions::default().median_think(), None);
    }

    #[test]
    fn clients_have_a_bound() {
        let mut sessions = Sessions::default();
        for client in 0..MOST_CLIENTS as u64 + 10 {
            sessions.add(client, 5, counted(0, client), false);
        }
        assert_eq!((sessions.left_out, sessions.clients.len()), (10, MOST_CLIENTS));
        // Those who have gone make room.
        sessions.add(u64::MAX, 5 + SESSION + 1, counted(0, 1), false);
        assert_eq!((sessions.left_out, sessions.clients.len()), (10, 1));
    }
}
