//! The model: what was seen so far, and what a viewer is shown of it.

use std::collections::{BTreeMap, BTreeSet};

use super::history::{History, Past, Point};
use super::levels::Levels;
use super::log::Log;
use super::now::{ErrorRow, LineKind, Now, NumberRow, Shown, State, Suspects};
use super::seen::Seen;
use super::stages::Stages;
use crate::report::wording;
use crate::timeline::{LoadTick, Moment, ResponseClass, Stage};

/// What is known of a run before it begins.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// Name of the plan.
    pub title: String,
    /// What is loaded.
    pub target: String,
    /// The stages, where they are known beforehand.
    pub planned: Vec<Stage>,
}

/// The newest part of one line of one chart.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    /// The values, the oldest first.
    pub values: Vec<Option<f64>>,
    /// The highest of them.
    pub highest: Shown,
    /// The newest of them.
    pub newest: Shown,
}

/// A run as a viewer sees it.
#[derive(Debug)]
pub struct Live {
    title: String,
    target: String,
    state: State,
    /// Why there is no more load.
    ended: String,
    at: Moment,
    stages: Stages,
    history: History,
    levels: Levels,
    log: Log,
    /// The second that generators still report, and how many have.
    open: Option<(LoadTick, usize)>,
    /// The generators that have reported a second so far.
    generators: BTreeSet<String>,
    /// The last whole second.
    second: Option<Point>,
    errors: BTreeMap<ResponseClass, u64>,
    /// Failed requests of the last second by kind.
    errors_now: BTreeMap<ResponseClass, u64>,
    suspects: Option<Suspects>,
    lost: u64,
}

impl Live {
    /// A run that has not begun.
    pub fn new(about: About) -> Self {
        Self {
            title: wording::clean(&about.title),
            target: wording::clean(&about.target),
            state: State::Starting,
            ended: String::new(),
            at: Moment::START,
            stages: Stages::planned(about.planned),
            history: History::new(),
            levels: Levels::default(),
            log: Log::default(),
            open: None,
            generators: BTreeSet::new(),
            second: None,
            errors: BTreeMap::new(),
            errors_now: BTreeMap::new(),
            suspects: None,
            lost: 0,
        }
    }

    /// Takes in one thing.
    pub fn see(&mut self, seen: Seen) {
        match seen {
            Seen::Begins(stage) => {
                self.reach(stage.window.begin);
                if self.state == State::Starting {
                    self.state = State::Running;
                }
                self.stages.begin(stage);
            }
            Seen::Ended(stage) => {
                self.reach(stage.window.end);
                self.stages.end(stage);
            }
            Seen::Tick(tick) => self.tick(*tick),
            Seen::Batch(batch) => {
                self.reach(batch.window.end);
                self.levels.take(&batch);
                self.log.batch(&batch);
            }
            Seen::Gap(gap) => self.log.gap(&gap),
            Seen::Quote(quote) => self.log.quote(quote),
            Seen::Event(text) => self.log.add(self.at, LineKind::Event, &text, 1),
            Seen::Paused(is_paused) if matches!(self.state, State::Running | State::Paused) => {
                self.state = if is_paused { State::Paused } else { State::Running };
            }
            Seen::Paused(_) => {}
            Seen::Suspects(suspects) => self.suspects = Some(suspects),
            Seen::Over(why) => {
                self.close();
                self.state = State::Over;
                self.ended = wording::clean(&why);
            }
            Seen::Reported => self.state = State::Reported,
            Seen::Lost(count) => self.lost = self.lost.saturating_add(count),
        }
    }

    fn reach(&mut self, at: Moment) {
        self.at = self.at.max(at);
    }

    /// Takes in what one generator did. A second is shown when all generators have reported it.
    fn tick(&mut self, tick: LoadTick) {
        self.reach(tick.window.end);
        let at = tick.window.end;
        tick.failures.iter().for_each(|failure| self.log.failure(at, failure));
        if !self.generators.contains(&tick.generator) {
            self.generators.insert(tick.generator.clone());
        }
        let is_later = |open: &LoadTick| tick.window.begin >= open.window.end;
        if self.open.as_ref().is_some_and(|(open, _)| is_later(open)) {
            self.close();
        }
        self.open = Some(match self.open.take() {
            Some((mut open, reported)) => {
                open.join(tick);
                (open, reported + 1)
            }
            None => (tick, 1),
        });
        if self.open.as_ref().is_some_and(|(_, reported)| *reported >= self.generators.len()) {
            self.close();
        }
    }

    /// Shows the second that is open.
    fn close(&mut self) {
        let Some((tick, _)) = self.open.take() else { return };
        // A generator that reports for the first time adds to a second that is shown already.
        let is_late = |second: &Point| tick.window.begin < second.window.end;
        let is_late = self.second.as_ref().is_some_and(is_late);
        if !is_late {
            self.errors_now.clear();
        }
        for endpoint in tick.endpoints.iter().filter(|endpoint| !endpoint.class.is_success()) {
            let count = endpoint.response_time.count();
            *self.errors.entry(endpoint.class).or_default() += count;
            *self.errors_now.entry(endpoint.class).or_default() += count;
        }
        let label = self.stages.label_at(tick.window.middle());
        let point = Point::new(&tick, self.levels.cores(self.at), label);
        // Before the first stage nothing is offered: the charts begin with the load.
        if self.state != State::Starting || tick.offered > 0 {
            self.history.push(point.clone());
            match self.second.as_mut().filter(|_| is_late) {
                Some(second) => second.append(&point),
                None => self.second = Some(point),
            }
        }
    }

    /// What a viewer sees now.
    pub fn now(&self) -> Now {
        Now {
            title: self.title.clone(),
            target: self.target.clone(),
            state: self.state,
            state_text: self.state_text(),
            at: Shown {
                value: Some(self.at.secs()),
                text: wording::duration(self.at.secs().floor()),
            },
            stage: self.stages.now(self.at),
            stages: self.stages.marks(),
            second: self.second.as_ref().map(|it| (it.window.begin.secs(), it.window.end.secs())),
            numbers: self.second.as_ref().map(numbers).unwrap_or_default(),
            errors: self.error_rows(),
            levels: self.levels.rows(self.at),
            suspects: self.suspects.clone(),
            lines: self.log.lines(),
            point: self.history.newest(),
            points: self.history.size(),
            lost: self.lost,
        }
    }

    /// All points of the charts so far.
    pub fn past(&self) -> Past {
        self.history.past()
    }

    /// The newest values of one line of one chart, the oldest first, and how the highest of them
    /// and the newest read.
    pub fn recent(&self, panel: &str, line: &str, most: usize) -> Recent {
        let lines = || super::PANELS.iter().flat_map(|it| it.lines.iter().map(move |of| (it, of)));
        let found = lines().enumerate().find(|(_, (it, of))| it.id == panel && of.name == line);
        let Some((place, (panel, _))) = found else { return Recent::default() };
        let values = self.history.recent(place, most);
        let highest = values.iter().flatten().copied().fold(None, |highest: Option<f64>, value| {
            Some(highest.map_or(value, |highest| highest.max(value)))
        });
        let newest = values.last().copied().flatten();
        Recent { highest: shown(highest, panel.text), newest: shown(newest, panel.text), values }
    }

    fn state_text(&self) -> String {
        match self.state {
            State::Starting => "watching the system at rest".to_owned(),
            State::Running => "running".to_owned(),
            State::Paused => "paused: the load stays as it is".to_owned(),
            State::Over => format!("load over ({}), writing the report", self.ended),
            State::Reported => format!("done ({})", self.ended),
        }
    }

    fn error_rows(&self) -> Vec<ErrorRow> {
        let row = |(class, total): (&ResponseClass, &u64)| {
            let now = self.errors_now.get(class).copied().unwrap_or(0);
            let rate = self.second.as_ref().and_then(|second| second.per_second(now));
            ErrorRow { class: class.to_string(), total: *total, rate: shown(rate, wording::rate) }
        };
        let mut rows: Vec<ErrorRow> = self.errors.iter().map(row).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.total));
        rows
    }
}

fn shown(value: Option<f64>, text: fn(f64) -> String) -> Shown {
    Shown { value, text: value.map_or_else(|| "-".to_owned(), text) }
}

fn numbers(second: &Point) -> Vec<NumberRow> {
    let row = |id, name, value, text: fn(f64) -> String| NumberRow {
        id,
        name,
        shown: shown(value, text),
    };
    vec![
        row("offered", "offered", second.offered(), wording::rate),
        row("completed", "answered", second.completed(), wording::rate),
        row("succeeded", "successful", second.succeeded(), wording::rate),
        row("failed", "failed", second.failed(), wording::rate),
        row("p50", "p50", second.time(0.5), wording::duration),
        row("p95", "p95", second.time(0.95), wording::duration),
        row("p99", "p99", second.time(0.99), wording::duration),
        row("in_flight", "in flight", second.in_flight(), wording::number),
        row("backlog", "waiting to be sent", Some(second.backlog()), wording::number),
    ]
}
