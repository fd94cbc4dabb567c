//! A worker's naps. If a worker waits only for short responses, it does not wake for each of them.
//! It sleeps until the next journey is due, reads what has come by then, and takes the arrival
//! times from the kernel. Waking a thread costs more than sending a request.

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::config::{FlowKind, LoadConfig};
use super::inbox::Inbox;
use crate::plan::Connections;

/// A nap is at most this long, so that responses do not keep connections busy for too long.
pub(super) const LONGEST_NAP: u64 = 2_000_000;

/// Up to this rate each journey begins on time. Above it, journeys within one short nap begin
/// together.
const EXACT_UP_TO: f64 = 20_000.0;

/// The shortest nap at this many journeys a second, in nanoseconds.
pub(super) fn shortest_nap(rate: f64) -> u64 {
    if rate > EXACT_UP_TO { 50_000 } else { 0 }
}

/// A response up to this size fits into any receive buffer: the sender is not blocked while it is
/// unread.
const SHORT: usize = 16 * 1024;

/// After this many short responses in a row, the next one is likely to be short.
const LIKELY: u8 = 3;

/// A stamp older than this is not valid: the clock was set since it was made.
const OLDEST: Duration = Duration::from_secs(1);

/// Decides whether a worker may nap.
pub(super) struct Patience {
    /// Requests that were sent and whose responses are likely to be short.
    waiting: Cell<usize>,
    /// For each endpoint: short responses in a row. `None` once one was long.
    short: RefCell<Vec<Option<u8>>>,
    /// Data read now may have arrived a while ago.
    wants_stamps: Cell<bool>,
    /// When the data read last had arrived.
    stamp: Cell<Option<Instant>>,
    alarm: RefCell<Alarm>,
    /// Whether the dispatcher leaves its own timer unset.
    is_on: Cell<bool>,
    inbox: Arc<Inbox>,
}

impl Patience {
    /// `None` if a worker must not nap: something other than a response may come, or something
    /// follows a response.
    pub(super) fn of(config: &LoadConfig, inbox: &Arc<Inbox>) -> Option<Self> {
        let target = &config.target;
        let is_single = |flow: &super::FlowConfig| {
            !matches!(flow.kind, FlowKind::Closed(_))
                && flow.journeys.iter().all(|index| config.journeys[*index].is_single())
        };
        let may_nap = target.connections == Connections::KeepAlive
            && target.unix_socket.is_none()
            && target.retries.is_none()
            && target.storm.is_none()
            && config.flows.iter().all(is_single);
        let alarm = may_nap.then(Alarm::new)?.ok()?;
        Some(Self {
            waiting: Cell::new(0),
            short: RefCell::new(vec![Some(0); config.requests.len()]),
            wants_stamps: Cell::new(false),
            stamp: Cell::new(None),
            alarm: RefCell::new(alarm),
            is_on: Cell::new(false),
            inbox: Arc::clone(inbox),
        })
    }

    /// Requests whose responses may wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.get()
    }

    /// Whether the response of an endpoint is likely to be short.
    pub(super) fn expects_short(&self, endpoint: usize) -> bool {
        let short = self.short.borrow();
        short.get(endpoint).copied().flatten().is_some_and(|count| count >= LIKELY)
    }

    /// Records the size of a response.
    pub(super) fn learn(&self, endpoint: usize, bytes: usize) {
        if let Some(short) = self.short.borrow_mut().get_mut(endpoint) {
            *short = short.filter(|_| bytes <= SHORT).map(|count| count.saturating_add(1));
        }
    }

    /// Whether the worker naps. Then only the end of a nap tells it what is due.
    pub(super) fn is_on(&self) -> bool {
        self.is_on.get()
    }

    /// Sleeps from `now` until `until`, whatever comes. `after` is when the next nap will end.
    pub(super) fn nap(&self, now: u64, until: u64, after: u64) -> io::Result<()> {
        self.is_on.set(true);
        self.wants_stamps.set(true);
        self.alarm.borrow_mut().sleep(now, until, after)
    }

    /// Makes the dispatcher handle due work again.
    pub(super) fn end(&self) {
        if self.is_on.replace(false) {
            self.inbox.bell.notify_one();
        }
    }

    /// The worker wakes when data arrive, and reads them at once.
    pub(super) fn is_awake(&self) {
        self.end();
        self.wants_stamps.set(false);
    }

    pub(super) fn wants_stamps(&self) -> bool {
        self.wants_stamps.get()
    }

    /// Stores when the data just read had arrived, `since_epoch` by the system clock.
    pub(super) fn keep_stamp(&self, since_epoch: Option<Duration>) {
        let age = since_epoch.and_then(|stamp| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?;
            now.checked_sub(stamp).filter(|age| *age < OLDEST)
        });
        self.stamp.set(age.and_then(|age| Instant::now().checked_sub(age)));
    }
}

/// How a worker that may nap reads one response.
pub(super) struct Reading<'p> {
    patience: Option<&'p Patience>,
    /// Whether the response may wait before it is read.
    may_wait: bool,
    /// Whether it is counted among the waiting ones.
    waits: bool,
}

impl<'p> Reading<'p> {
    pub(super) fn new(patience: Option<&'p Patience>, may_wait: bool) -> Self {
        Self { patience, may_wait, waits: false }
    }

    /// Nothing of the response has come yet. `is_sent` says whether the whole request is sent.
    pub(super) fn waits(&mut self, is_sent: bool) {
        if let Some(patience) = self.patience
            && self.may_wait
            && is_sent
            && !self.waits
        {
            patience.waiting.set(patience.waiting.get() + 1);
            self.waits = true;
        }
    }

    /// Drops the arrival time of earlier data.
    pub(super) fn begins(&self) {
        if let Some(patience) = self.patience {
            patience.stamp.set(None);
        }
    }

    /// Part of it was read. Returns when that part had arrived, if the kernel reports it.
    pub(super) fn read(&mut self) -> Option<Instant> {
        self.may_wait = false;
        self.leave();
        self.patience?.stamp.take()
    }

    /// More of it follows, which may keep this thread busy for long.
    pub(super) fn goes_on(&self) {
        if let Some(patience) = self.patience {
            patience.end();
        }
    }

    fn leave(&mut self) {
        if let Some(patience) = self.patience
            && std::mem::take(&mut self.waits)
        {
            patience.waiting.set(patience.waiting.get() - 1);
        }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Two timers that take turns. In a virtual machine most of the cost of a timer is setting the
/// clock hardware. A timer that is set behind another one is free: the interrupt of the first sets
/// the hardware for the second.
#[cfg(target_os = "linux")]
struct Alarm {
    fds: [std::os::fd::OwnedFd; 2],
    /// When each fires, in nanoseconds of the clock.
    rings: [u64; 2],
}

#[cfg(target_os = "linux")]
impl Alarm {
    fn new() -> io::Result<Self> {
        Ok(Self { fds: [super::timer::create(0)?, super::timer::create(0)?], rings: [0; 2] })
    }

    fn sleep(&mut self, now: u64, until: u64, after: u64) -> io::Result<()> {
        let first = match self.rings.iter().position(|rings| *rings == until) {
            Some(first) => first,
            None => {
                let first = usize::from(self.rings[0] == after);
                self.set(first, now, until)?;
                first
            }
        };
        // Not set again if a nap that ended early already set it.
        if after > until && after - until <= LONGEST_NAP && self.rings[1 - first] != after {
            self.set(1 - first, now, after)?;
        }
        super::timer::wait(&self.fds[first])
    }

    fn set(&mut self, which: usize, now: u64, at: u64) -> io::Result<()> {
        // After a nap fails, the timer is set from scratch.
        self.rings[which] = 0;
        super::timer::set(&self.fds[which], Duration::from_nanos(at.saturating_sub(now)))?;
        self.rings[which] = at;
        Ok(())
    }
}

/// There are no stamps either: a worker never naps.
#[cfg(not(target_os = "linux"))]
struct Alarm;

#[cfg(not(target_os = "linux"))]
impl Alarm {
    fn new() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&mut self, _now: u64, _until: u64, _after: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_nap_ends_when_it_is_to_end() {
        const MILLI: u64 = 1_000_000;
        let mut alarm = Alarm::new().unwrap();
        let begun = Instant::now();
        let now = || begun.elapsed().as_nanos() as u64;
        // Foreseen, not foreseen, earlier than foreseen, and with nothing to foresee.
        let naps = [(1, 2), (2, 3), (3, 9), (5, 6), (7, u64::MAX / MILLI), (8, 9)];
        for (until, after) in naps.map(|(until, after)| (until * MILLI, after * MILLI)) {
            let before = now();
            if before < until {
                alarm.sleep(before, until, after).unwrap();
                assert!(now() >= until, "{until}");
            }
        }
        assert!(now() < 500 * MILLI, "{}", now());
    }

    #[test]
    fn only_what_was_short_so_far_is_expected_to_be_short() {
        let config = super::super::tests::config(([127, 0, 0, 1], 80).into());
        let patience = Patience::of(&config, &Arc::default()).unwrap();
        for _ in 0..LIKELY {
            assert!(!patience.expects_short(0));
            patience.learn(0, SHORT);
        }
        assert!(patience.expects_short(0));
        patience.learn(0, SHORT + 1);
        (0..u16::MAX).for_each(|_| patience.learn(0, 1));
        assert!(!patience.expects_short(0));
        assert!(!patience.expects_short(1));
    }

    #[test]
    fn a_stamp_is_an_instant_of_this_clock() {
        let config = super::super::tests::config(([127, 0, 0, 1], 80).into());
        let patience = Patience::of(&config, &Arc::default()).unwrap();
        let system = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok();
        let mut reading = Reading::new(Some(&patience), true);
        let before = Instant::now();
        patience.keep_stamp(system());
        let stamp = reading.read().unwrap();
        let off = stamp.max(before) - stamp.min(before);
        assert!(off < Duration::from_millis(100), "{off:?}");
        // The clock was set in the meantime, or the kernel reports nothing.
        let hour = Duration::from_secs(3600);
        for stamp in [system().map(|now| now + hour), system().map(|now| now - hour), None] {
            patience.keep_stamp(stamp);
            assert_eq!(reading.read(), None);
        }
    }
}
