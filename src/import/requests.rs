//! Gathers single requests, or counts of an interval, as other tools list them, into seconds: no
//! request is kept, so that a file may be larger than the machine's memory.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

pub use super::entries::Interval;
pub(super) use super::entries::{Ended, Request, path_of};
use super::error::ImportError;
use super::own_limits::is_own_limit;
use super::seconds::{EARLIEST_DATE, LONGEST_RUN, Run, SecondTally, ToolLoad};
use super::waiting::LoadModel;
use crate::access_log::grouped;
use crate::timeline::{FailureKind, Histogram, ResponseClass, cut, mask_secrets, text_template};

/// Latest time that is taken for one, in seconds since 1970: the year 5138.
const LATEST: f64 = 1e11;
/// Seconds whose histograms are complete and fast to add to. Tools write in order of the ends, so
/// that earlier seconds rarely change.
const OPEN_SECONDS: usize = 64;
/// Most endpoints that are told apart; scripts that put an id in each name make thousands.
const MOST_ENDPOINTS: usize = 500;
/// What the others are counted as.
const OTHER_ENDPOINTS: &str = "other requests";
/// What requests count as where the file does not tell their endpoint.
pub(super) const ALL_REQUESTS: &str = "all requests";
/// Most different paths that a server's log may have before their values are left out.
pub(super) const MOST_PATHS: usize = 200;
/// Longest name of an endpoint, in bytes.
const LONGEST_NAME: usize = 200;
/// Most kinds of failures whose words are kept, and the most of their bytes.
const MOST_KINDS: usize = 100;
const LONGEST_WORDS: usize = 300;
/// Longest interval over which requests are spread, in seconds: one in which a tool slept is
/// longer, and its requests came at the end.
const LONGEST_INTERVAL: i64 = 3600;
/// Most requests of one interval: a count above it is a damaged one.
pub(super) const MOST_OF_INTERVAL: u64 = 1_000_000_000;
/// Most virtual users, for the same reason.
const MOST_USERS: f64 = 1e9;

/// Status of a rate limit (RFC 6585).
const TOO_MANY_REQUESTS: u16 = 429;

/// All requests of a run, second by second.
#[derive(Debug, Default)]
pub struct Requests {
    seconds: BTreeMap<i64, SecondTally>,
    /// Those whose histograms are not compact, the longest such first.
    open: VecDeque<i64>,
    endpoints: BTreeMap<String, usize>,
    kinds: BTreeMap<(usize, ResponseClass, String), Arc<FailureKind>>,
    /// Virtual users that run, by second and by file.
    users: Vec<BTreeMap<i64, f64>>,
    /// Whether the tool sends at a rate or waits for its answers.
    model: LoadModel,
    /// Connections of the load that always wait for an answer, as somebody else saw them.
    connections: Option<BTreeMap<i64, f64>>,
    /// Whether a server wrote them down, and not a load generator.
    is_server_log: bool,
    /// Whether paths stand without their values.
    is_grouped: bool,
    /// Seconds of the intervals in which the tool counts; 0 where it lists requests.
    grain: usize,
    notes: Vec<String>,
    /// Requests that the generator could not send, and what it said of the first.
    unsent: Option<(u64, String)>,
    /// Connections that Go's dialer gave up: the target's doing, unless ports have run out.
    dial_timeouts: u64,
    /// Which requests count, by the time of their send, and how many others there were.
    within: Option<Range<f64>>,
    outside: u64,
    /// Seconds of a cell in which requests are gathered, where that is not one; and how many ended
    /// in each second then.
    cell: Option<i64>,
    ended: BTreeMap<i64, u32>,
}

impl Requests {
    /// Adds one.
    ///
    /// # Errors
    /// When its times are not times.
    pub(super) fn add(&mut self, request: Request) -> Result<(), String> {
        let Request { sent_unix, took, endpoint, class, said } = request;
        if !(sent_unix.is_finite() && took.is_finite() && took >= 0.0) {
            return Err(format!(
                "a request sent at {sent_unix} s that took {took} s: expected a time and a \
                 duration of at least 0"
            ));
        }
        if sent_unix.abs() > LATEST || took > LONGEST_RUN {
            let days = sent_unix.abs().max(took) / 86_400.0;
            return Err(format!("a time of {days:.0} days: it is probably wrong"));
        }
        if self.limits(sent_unix).is_some_and(|within| !within.contains(&sent_unix)) {
            self.outside += 1;
            return Ok(());
        }
        let endpoint = self.endpoint(&endpoint);
        if self.cell.is_some() {
            *self.ended.entry((sent_unix + took).floor() as i64).or_default() += 1;
        }
        // From here on, all times are in cells: those in flight are a mean over each.
        let cell = self.cell() as f64;
        let (sent, length) = (sent_unix / cell, took / cell);
        let first = sent.floor() as i64;
        if is_own_limit(class, &said) {
            self.second(first)?.offered += 1;
            self.add_unsent(1, &said);
            return Ok(());
        }
        self.dial_timeouts += u64::from(said.contains("dial") && said.contains("i/o timeout"));
        let done = sent + length;
        let last = done.floor() as i64;
        let begin = self.second(first)?;
        begin.offered += 1;
        begin.sent += 1;
        if first == last {
            begin.in_flight += length;
        } else {
            begin.in_flight += (first + 1) as f64 - sent;
            // Only its ends are noted, not each second between them: a request may take days.
            self.second(first + 1)?.throughout += 1;
            let end = self.second(last)?;
            end.in_flight += done - last as f64;
            end.throughout -= 1;
        }
        self.end(last, (endpoint, class), |times| times.record(Duration::from_secs_f64(took)))?;
        self.say(last, (endpoint, class), &said, 1)
    }

    /// Adds those of an interval, spread evenly over its seconds.
    ///
    /// # Errors
    /// When its counts and times are not possible.
    pub fn add_interval(&mut self, interval: &Interval<'_>) -> Result<(), String> {
        let (from, length) = span(interval.seconds)?;
        let is_time = interval.mean.is_finite() && (0.0..LONGEST_RUN).contains(&interval.mean);
        if !is_time || interval.count > MOST_OF_INTERVAL {
            let Interval { count, mean, .. } = interval;
            return Err(format!("{count} requests of {mean} s each: not a count and a mean time"));
        }
        if self.is_outside(interval.seconds) {
            self.outside += interval.count;
            return Ok(());
        }
        let key = (self.endpoint(interval.endpoint), interval.class);
        let mut before = 0;
        for (second, place) in (from..).zip(1..=length) {
            let until = interval.count * place / length;
            let count = until - before;
            before = until;
            if count > 0 {
                let tally = self.second(second)?;
                tally.offered += count;
                tally.sent += count;
                // Little's law: in flight = completions per second times their mean time.
                tally.in_flight += count as f64 * interval.mean;
                let mean = Duration::from_secs_f64(interval.mean);
                self.end(second, key, |known| known.record_many(mean, count))?;
            }
        }
        Ok(())
    }

    /// Adds requests that were due within an interval and those of them that were sent. They end in
    /// it or later: see [`Requests::add_ended`].
    ///
    /// # Errors
    /// When its counts and times are none.
    pub(super) fn add_sent(
        &mut self,
        seconds: (i64, i64),
        due: u64,
        sent: u64,
    ) -> Result<(), String> {
        let (from, length) = span(seconds)?;
        if due > MOST_OF_INTERVAL {
            return Err(format!("{due} requests in {length} s: it is probably wrong"));
        }
        if self.is_outside(seconds) {
            self.outside += due;
            return Ok(());
        }
        let sent = sent.min(due);
        for (second, place) in (from..).zip(1..=length) {
            let share = |count: u64| count * place / length - count * (place - 1) / length;
            let tally = self.second(second)?;
            tally.offered += share(due);
            tally.sent += share(sent);
        }
        Ok(())
    }

    /// Adds requests that ended within an interval: each of its seconds has the same distribution.
    ///
    /// # Errors
    /// When its counts and times are none.
    pub(super) fn add_ended(&mut self, ended: &Ended<'_>) -> Result<(), String> {
        let (from, length) = span(ended.seconds)?;
        if self.is_outside(ended.seconds) {
            return Ok(());
        }
        let key = (self.endpoint(ended.endpoint), ended.class);
        let mut turns = (0..length).chain((0..length).rev()).cycle();
        for (took, count) in ended.times {
            if !(0.0..LONGEST_RUN).contains(took) || *count > MOST_OF_INTERVAL {
                return Err(format!("{count} requests of {took} s each: not a count and a time"));
            }
            let took = Duration::from_secs_f64(*took);
            // What does not divide evenly goes to the seconds in turn, to and fro: always in the
            // same order, the longest times of each round would come to the last second.
            let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
            if *count >= length {
                counts.extend((0..length).map(|place| (place, count / length)));
            }
            for place in turns.by_ref().take((count % length) as usize) {
                *counts.entry(place).or_default() += 1;
            }
            for (place, count) in counts {
                let second = from.saturating_add_unsigned(place);
                self.end(second, key, |times| times.record_many(took, count))?;
                self.say(second, key, ended.said, count)?;
            }
        }
        Ok(())
    }

    /// Notes the mean number of requests in flight within an interval.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn add_in_flight(&mut self, seconds: (i64, i64), mean: f64) -> Result<(), String> {
        let (from, length) = span(seconds)?;
        if !(0.0..=MOST_OF_INTERVAL as f64).contains(&mean) {
            return Err(format!("{mean} requests in flight: it is probably wrong"));
        }
        if self.is_outside(seconds) {
            return Ok(());
        }
        for (second, _) in (from..).zip(0..length) {
            self.second(second)?.in_flight += mean;
        }
        Ok(())
    }

    /// Notes requests that the load generator could not send, for want of a port, a descriptor or a
    /// buffer.
    pub(super) fn add_unsent(&mut self, count: u64, said: &str) {
        let (known, _) = self.unsent.get_or_insert_with(|| (0, mask_secrets(said)));
        *known = known.saturating_add(count);
    }

    /// Says that the tool counts by intervals of so many seconds: no stage ends within one.
    pub(super) fn set_grain(&mut self, seconds: usize) {
        self.grain = self.grain.max(seconds);
    }

    /// Which times count, where `at_unix` is a date.
    fn limits(&self, at_unix: f64) -> Option<&Range<f64>> {
        self.within.as_ref().filter(|_| at_unix > EARLIEST_DATE)
    }

    /// Whether none of the seconds of an interval counts.
    fn is_outside(&self, (from, to): (i64, i64)) -> bool {
        let limits = self.limits(from as f64);
        limits.is_some_and(|it| (to as f64) < it.start || from as f64 >= it.end)
    }

    /// Notes how many virtual users run at a time.
    ///
    /// # Errors
    /// When one of the numbers is impossible.
    pub fn add_users(&mut self, at_unix: f64, users: f64) -> Result<(), String> {
        if !(at_unix.abs() <= LATEST && (0.0..=MOST_USERS).contains(&users)) {
            return Err(format!("{users} virtual users at {at_unix} s: not a count and a time"));
        }
        if self.users.is_empty() {
            self.users.push(BTreeMap::new());
        }
        if let Some(known) = self.users.last_mut()
            && (known.len() as f64) < 2.0 * LONGEST_RUN
        {
            known.insert(at_unix.floor() as i64, users);
        }
        Ok(())
    }

    /// Leaves out requests that were not sent within these times, in seconds since 1970: a log
    /// holds more than one run.
    pub(super) fn keep_within(&mut self, within: Range<f64>) {
        self.within = Some(within);
    }

    /// Says whether the tool sends at a rate, whatever the number of its virtual users.
    pub(super) fn set_model(&mut self, model: LoadModel) {
        self.model = model;
    }

    /// Says that the users are connections, which a tool that sends at a rate has too.
    pub fn users_are_connections(&mut self) {
        self.model = LoadModel::Connections;
    }

    /// Notes, by second, the connections of a load that always wait for an answer: they are the users
    /// of a server's log.
    pub(super) fn set_connections(&mut self, connections: BTreeMap<i64, f64>) {
        self.connections = Some(connections);
    }

    /// Says that a server wrote the requests down.
    pub(super) fn set_server_log(&mut self) {
        self.is_server_log = true;
    }

    /// The name of an endpoint that is a method and a path. As soon as there are many, values such
    /// as numbers are left out of all of them.
    pub(super) fn path_name(&mut self, name: &str) -> String {
        if !self.is_grouped && self.endpoints.len() > MOST_PATHS {
            self.is_grouped = true;
            self.rename_endpoints(grouped);
            self.note(format!(
                "more than {MOST_PATHS} different paths: their parts that vary (numbers, hashes, \
                 long names) are called `:id`"
            ));
        }
        if self.is_grouped { grouped(name) } else { name.to_owned() }
    }

    /// Gives endpoints other names; those of the same name become one.
    fn rename_endpoints(&mut self, rename: impl Fn(&str) -> String) {
        let mut places = BTreeMap::new();
        for (name, place) in std::mem::take(&mut self.endpoints) {
            let next = self.endpoints.len();
            places.insert(place, *self.endpoints.entry(rename(&name)).or_insert(next));
        }
        let place_of = |place: usize| places.get(&place).copied().unwrap_or(place);
        let mut kinds = BTreeMap::new();
        for ((place, class, template), kind) in std::mem::take(&mut self.kinds) {
            let renamed = FailureKind { endpoint: rename(&kind.endpoint), ..(*kind).clone() };
            let renamed =
                self.kinds.entry((place_of(place), class, template)).or_insert(renamed.into());
            kinds.insert(kind, renamed.clone());
        }
        for tally in self.seconds.values_mut() {
            for ((place, class), times) in std::mem::take(&mut tally.ended) {
                match tally.ended.entry((place_of(place), class)) {
                    Entry::Vacant(vacant) => {
                        vacant.insert(times);
                    }
                    Entry::Occupied(mut known) => known.get_mut().merge(&times),
                }
            }
            if !tally.is_open {
                tally.compact();
            }
            for (kind, count) in std::mem::take(&mut tally.failures) {
                let kind = kinds.get(&kind).cloned().unwrap_or(kind);
                *tally.failures.entry(kind).or_default() += count;
            }
        }
    }

    /// What the reader of the report has to know; each remark once.
    pub fn note(&mut self, note: impl Into<String>) {
        let note: String = note.into();
        // Words of a file must not move the terminal that shows them.
        let note = note.replace(char::is_control, " ");
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// The next file begins: its virtual users run beside those of the others.
    pub(super) fn next_file(&mut self) {
        self.users.push(BTreeMap::new());
    }

    /// Gathers requests in cells of so many seconds.
    pub(super) fn set_cell(&mut self, seconds: i64) {
        self.cell = Some(seconds.max(1));
    }

    /// Seconds of a cell.
    pub(super) fn cell(&self) -> i64 {
        self.cell.unwrap_or(1)
    }

    /// How many requests ended in each second, where cells are longer.
    pub(super) fn take_ended(&mut self) -> BTreeMap<i64, u32> {
        std::mem::take(&mut self.ended)
    }

    /// The cells, and the names of the endpoints by their place.
    pub(super) fn into_parts(self) -> (BTreeMap<i64, SecondTally>, Vec<String>) {
        let mut names = vec![String::new(); self.endpoints.len()];
        for (name, place) in self.endpoints {
            names[place] = name;
        }
        (self.seconds, names)
    }

    /// The load that these requests make.
    ///
    /// # Errors
    /// When there is no request, or the last ended too long after the first began.
    pub fn into_load(mut self, from: &str, name: &str) -> Result<ToolLoad, ImportError> {
        let notes = self.close();
        let (model, is_server_log, grain) = (self.model, self.is_server_log, self.grain);
        let users = std::mem::take(&mut self.users);
        let connections = self.connections.take().filter(|_| is_server_log);
        let (seconds, endpoints) = self.into_parts();
        Run { seconds, endpoints, users, model, connections, is_server_log, grain, notes }
            .into_load(from, name)
    }

    /// All was read: what there is to know about it.
    pub(super) fn close(&mut self) -> Vec<String> {
        if self.endpoints.len() > MOST_ENDPOINTS {
            self.note(format!(
                "more than {MOST_ENDPOINTS} different requests: the rest is counted as \
                 `{OTHER_ENDPOINTS}`"
            ));
        }
        if self.outside > 0 {
            self.note(format!(
                "{} earlier or later requests in the file are left out",
                self.outside
            ));
        }
        self.tell_classes();
        if let Some((count, said)) = self.unsent.take() {
            let said = cut(&said, LONGEST_WORDS).to_owned();
            if self.dial_timeouts > 0 {
                self.note(format!(
                    "{} more of its connections timed out: where ports have run out, that may be \
                     the load generator too",
                    self.dial_timeouts
                ));
            }
            self.note(format!(
                "the load generator could not send {count} of its requests, because it ran out of \
                 ports, file descriptors or buffers (`{said}`): this is its own limit, not the \
                 target's"
            ));
        }
        std::mem::take(&mut self.notes)
    }

    /// Says what is not an answer of the service: those of a limit, and none at all.
    fn tell_classes(&mut self) {
        let count = |is: fn(ResponseClass) -> bool| -> u64 {
            let ended = self.seconds.values().flat_map(|second| &second.ended);
            ended.filter(|((_, class), _)| is(*class)).map(|(_, times)| times.count()).sum()
        };
        let limited = count(|class| class == ResponseClass::Status(TOO_MANY_REQUESTS));
        let unanswered =
            count(|class| !matches!(class, ResponseClass::Status(_) | ResponseClass::Check));
        if limited > 0 {
            self.note(format!(
                "{limited} answers have the status 429 (Too Many Requests): a rate limit rejected \
                 them, and the load at which they begin is that limit, not what the service can do"
            ));
        }
        if unanswered > 0 {
            self.note(format!(
                "{unanswered} requests ended without an answer (timeouts, refused or closed \
                 connections): they count as failures, and their times are not those of answers"
            ));
        }
    }

    /// The place of an endpoint; names are one line, and not longer than a report can show.
    fn endpoint(&mut self, name: &str) -> usize {
        if let Some(known) = self.endpoints.get(name) {
            return *known;
        }
        let words: Vec<&str> = cut(name, LONGEST_NAME).split_whitespace().collect();
        let name = words.join(" ");
        if let Some(known) = self.endpoints.get(&name) {
            return *known;
        }
        let name =
            if self.endpoints.len() < MOST_ENDPOINTS { name } else { OTHER_ENDPOINTS.into() };
        let next = self.endpoints.len();
        *self.endpoints.entry(name).or_insert(next)
    }

    fn second(&mut self, second: i64) -> Result<&mut SecondTally, String> {
        if self.seconds.len() as f64 > 2.0 * LONGEST_RUN && !self.seconds.contains_key(&second) {
            return Err("more seconds than 14 days have: the times are probably wrong".to_owned());
        }
        Ok(self.seconds.entry(second).or_default())
    }

    /// Records requests that ended in a second.
    fn end(
        &mut self,
        second: i64,
        key: (usize, ResponseClass),
        record: impl FnOnce(&mut Histogram),
    ) -> Result<(), String> {
        let tally = self.second(second)?;
        record(tally.ended.entry(key).or_default());
        if !tally.is_open {
            tally.is_open = true;
            self.open.push_back(second);
        }
        if self.open.len() > OPEN_SECONDS
            && let Some(oldest) = self.open.pop_front()
            && let Some(tally) = self.seconds.get_mut(&oldest)
        {
            tally.compact();
        }
        Ok(())
    }

    /// Keeps the words of a failure.
    fn say(
        &mut self,
        second: i64,
        (endpoint, class): (usize, ResponseClass),
        said: &str,
        count: u64,
    ) -> Result<(), String> {
        if class.is_success() || said.is_empty() {
            return Ok(());
        }
        let masked = mask_secrets(cut(said, LONGEST_WORDS));
        let key = (endpoint, class, text_template(&masked, LONGEST_WORDS));
        if !self.kinds.contains_key(&key) {
            if self.kinds.len() >= MOST_KINDS {
                return Ok(());
            }
            let name = self.endpoints.iter().find(|(_, place)| **place == endpoint);
            let kind = FailureKind {
                endpoint: name.map_or_else(String::new, |(name, _)| name.clone()),
                class,
                template: key.2.clone(),
                example: masked,
                headers: Vec::new(),
                is_rest: false,
            };
            self.kinds.insert(key.clone(), Arc::new(kind));
        }
        if let Some(kind) = self.kinds.get(&key).cloned() {
            *self.second(second)?.failures.entry(kind).or_default() += count;
        }
        Ok(())
    }
}

/// The first second of an interval, and how many it has.
fn span((from, to): (i64, i64)) -> Result<(i64, u64), String> {
    let from = from.max(to.saturating_sub(LONGEST_INTERVAL));
    let length = u64::try_from(to.saturating_sub(from)).unwrap_or(0);
    if length == 0 || length as f64 > LONGEST_RUN || from.unsigned_abs() as f64 > LATEST {
        return Err(format!("an interval from {from} to {to} s: expected times in order"));
    }
    Ok((from, length))
}

#[cfg(test)]
mod tests;
