//! One scenario, as one worker serves it: when its journeys begin, and how many wait.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::config::{Arrival, FlowConfig, FlowKind, Iterations, LoadConfig};
use super::crew::Crew;
use super::pacer::{NEVER, Schedule};
use crate::timeline::Stage;

/// What the workers must know about each other's virtual users.
#[derive(Debug)]
pub(super) struct Tally {
    /// Journeys begun so far, if the workers share a total.
    begun: AtomicU64,
    /// Virtual users that still have work, if their work is limited.
    left: AtomicU64,
}

impl Tally {
    pub(super) fn of(kind: &FlowKind) -> Self {
        let left = match kind {
            FlowKind::Closed(Iterations::PerVu(_, vus) | Iterations::Shared(_, vus)) => {
                u64::from(*vus)
            }
            _ => u64::MAX,
        };
        Self { begun: AtomicU64::new(0), left: AtomicU64::new(left) }
    }

    /// Whether every virtual user has done all its work.
    pub(super) fn is_done(&self) -> bool {
        self.left.load(Ordering::Acquire) == 0
    }
}

/// A journey that is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    /// Nanoseconds of the clock.
    pub(super) intended: u64,
    /// Its row in a trace, and its journey there.
    pub(super) replayed: Option<(u64, usize)>,
}

/// One scenario of one worker.
pub(super) struct Flow {
    source: Source,
    /// Nothing begins before.
    from: u64,
    /// Journeys that are due and wait for a lane.
    pub(super) backlog: VecDeque<Due>,
    /// There are no more journeys: the data are used up.
    pub(super) is_exhausted: bool,
}

enum Source {
    Open(Schedule),
    Replay(Replay),
    Closed { crew: Crew, iterations: Iterations, tally: Arc<Tally>, next_change: u64 },
}

/// The position of one worker in a trace.
struct Replay {
    arrivals: Arc<[Arrival]>,
    next: usize,
    of: usize,
    /// When it began. `None` before that.
    begin: Option<u64>,
}

impl Flow {
    /// The share of worker `worker` out of `of`.
    pub(super) fn new(
        config: &LoadConfig,
        flow: &FlowConfig,
        tally: &Arc<Tally>,
        worker: usize,
        of: usize,
    ) -> Self {
        let from = config.takeover.from.nanos();
        let source = match &flow.kind {
            FlowKind::Open(arrivals) => Source::Open(
                Schedule::new(worker, of, config.max_rate)
                    .with_arrivals(*arrivals, config.seed)
                    .after(from),
            ),
            FlowKind::Replay(arrivals) => {
                let arrivals = Arc::clone(arrivals);
                Source::Replay(Replay { arrivals, next: worker, of, begin: None })
            }
            FlowKind::Closed(iterations) => Source::Closed {
                crew: Crew::new(worker, of),
                iterations: *iterations,
                tally: Arc::clone(tally),
                next_change: NEVER,
            },
        };
        Self { source, from, backlog: VecDeque::new(), is_exhausted: false }
    }

    /// Adds a stage.
    pub(super) fn hold(&mut self, stage: &Stage) {
        match &mut self.source {
            Source::Open(schedule) => schedule.push(stage),
            Source::Closed { crew, next_change, .. } => {
                crew.push(stage);
                *next_change = self.from;
            }
            Source::Replay(replay) if stage.rate() > 0.0 => {
                replay.begin.get_or_insert(stage.window.begin.nanos());
                replay.skip_until(self.from);
            }
            Source::Replay(replay) => replay.next = usize::MAX,
        }
    }

    /// Ends the flow. Returns how many journeys waited.
    pub(super) fn clear(&mut self) -> u64 {
        match &mut self.source {
            Source::Open(schedule) => schedule.clear(),
            Source::Replay(replay) => replay.next = usize::MAX,
            Source::Closed { crew, next_change, .. } => {
                crew.clear();
                *next_change = NEVER;
            }
        }
        std::mem::take(&mut self.backlog).len() as u64
    }

    /// When the next journey is due, or the number of virtual users may change.
    pub(super) fn next(&self) -> u64 {
        match &self.source {
            _ if self.is_exhausted => NEVER,
            Source::Open(schedule) => schedule.next(),
            Source::Replay(replay) => replay.next(),
            Source::Closed { next_change, .. } => *next_change,
        }
    }

    /// When a journey is due after [`Flow::next`], if that is already known.
    pub(super) fn after_next(&self) -> u64 {
        match &self.source {
            Source::Open(schedule) if !self.is_exhausted => schedule.after_next(),
            _ => NEVER,
        }
    }

    /// Takes what is due at [`Flow::next`]. That time has come.
    pub(super) fn take(&mut self, now: u64) -> Taken {
        let intended = self.next();
        match &mut self.source {
            Source::Open(schedule) => {
                schedule.advance();
                Taken::Due(Due { intended, replayed: None })
            }
            Source::Replay(replay) => {
                let replayed = replay.advance();
                Taken::Due(Due { intended, replayed })
            }
            Source::Closed { crew, next_change, .. } => {
                *next_change = crew.next_change(now);
                Taken::Vus(crew.muster(now))
            }
        }
    }

    /// Highest rate of the current stage, as the share of this worker.
    pub(super) fn rate(&self) -> f64 {
        match &self.source {
            Source::Open(schedule) => schedule.rate(),
            Source::Replay(_) | Source::Closed { .. } => 0.0,
        }
    }

    /// Whether virtual user `number`, who has done `done` journeys, begins another at `now`.
    pub(super) fn begins(&mut self, number: usize, done: u64, now: u64) -> bool {
        let is_exhausted = self.is_exhausted;
        let Source::Closed { crew, iterations, tally, .. } = &mut self.source else {
            return false;
        };
        let is_over = is_exhausted
            || match iterations {
                Iterations::Unlimited => false,
                Iterations::PerVu(most, _) => done >= *most,
                Iterations::Shared(most, _) => tally.begun.fetch_add(1, Ordering::Relaxed) >= *most,
            };
        if is_over {
            crew.done(number);
            tally.left.fetch_sub(1, Ordering::AcqRel);
        }
        !is_over && crew.goes_on(number, now)
    }
}

/// What was due.
pub(super) enum Taken {
    /// A journey.
    Due(Due),
    /// The numbers of the virtual users who begin work.
    Vus(Vec<usize>),
}

impl Replay {
    fn next(&self) -> u64 {
        match (self.begin, self.arrivals.get(self.next)) {
            (Some(begin), Some(arrival)) => begin.saturating_add(arrival.at),
            _ => NEVER,
        }
    }

    /// Leaves out what another made before `from`.
    fn skip_until(&mut self, from: u64) {
        while self.next() < from {
            self.next = self.next.saturating_add(self.of);
        }
    }

    fn advance(&mut self) -> Option<(u64, usize)> {
        let arrival = self.arrivals.get(self.next)?;
        let row = self.next as u64;
        self.next = self.next.saturating_add(self.of);
        Some((row, arrival.journey))
    }
}
