//! Makes a recording of the seconds of a run: ticks, and the stages of its load.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::ImportError;
use super::stages;
use super::waiting::{self, LoadModel};
use crate::recording::{Environment, Event, PlanSummary, Recording, Stop, StopReason};
use crate::timeline::{
    EndpointTick, FailureCount, FailureKind, Histogram, LoadTick, Moment, ResponseClass, Stage,
    Timeline, Window,
};

/// Longest run that is read, in seconds. Each second has a tick: one time that is wrong by years
/// would take the memory of all seconds up to it.
pub(super) const LONGEST_RUN: f64 = 7.0 * 86_400.0;
/// Times before this are not dates: some tools count from the beginning of their run. It is a day
/// in 1973.
pub(super) const EARLIEST_DATE: f64 = 1e8;
/// Seconds without a request after which the next one belongs to another run: tools append to
/// files of earlier runs.
const RUNS_APART: i64 = 600;

/// What is said of users that nobody counted.
const WAITING: &str = "the number of requests in flight stays the same while the rate changes: the load \
                       is connections that wait for their answers (closed model), and they are counted \
                       as users";

/// What is counted in one second.
#[derive(Debug, Default)]
pub(super) struct SecondTally {
    /// Requests that the generator had to send.
    pub(super) offered: u64,
    /// Those that it sent.
    pub(super) sent: u64,
    /// Seconds that requests were in flight, without those that were so throughout.
    pub(super) in_flight: f64,
    /// How many more requests than in the second before were in flight throughout.
    pub(super) throughout: i64,
    /// Those that ended, by endpoint and class.
    pub(super) ended: BTreeMap<(usize, ResponseClass), Histogram>,
    /// What failed ones said.
    pub(super) failures: BTreeMap<Arc<FailureKind>, u64>,
    /// Whether its histograms take their full memory.
    pub(super) is_open: bool,
}

impl SecondTally {
    /// Gives back the memory that its histograms do not need.
    pub(super) fn compact(&mut self) {
        self.ended.values_mut().for_each(Histogram::compact);
        self.is_open = false;
    }

    fn tick(mut self, index: usize, endpoints: &[String]) -> LoadTick {
        self.compact();
        let ended = self.ended.into_iter().map(|((endpoint, class), times)| EndpointTick {
            endpoint: endpoints[endpoint].clone(),
            class,
            service_time: times.clone(),
            response_time: times,
        });
        let failures = self.failures.into_iter();
        LoadTick {
            offered: self.offered,
            sent: self.sent,
            in_flight: self.in_flight,
            endpoints: ended.collect(),
            failures: failures.map(|(kind, count)| FailureCount { kind, count }).collect(),
            ..LoadTick::empty(stages::span(index, index + 1), "imported")
        }
    }
}

/// The load of another tool, second by second.
#[derive(Clone, Debug)]
pub struct ToolLoad {
    /// The format that it was read from.
    from: String,
    /// What a recording says of it.
    pub plan: PlanSummary,
    /// Wall-clock time of moment zero, in seconds since 1970 (UTC).
    pub zero_unix: f64,
    /// Its seconds.
    pub ticks: Vec<LoadTick>,
    /// Its levels.
    pub stages: Vec<Stage>,
    /// What a reader of its report has to know.
    pub notes: Vec<String>,
}

impl ToolLoad {
    /// The same, with another moment zero. What lies before it is left out.
    pub fn since(self, zero_unix: f64) -> Self {
        let later = self.zero_unix - zero_unix;
        let moment = |at: Moment| Moment::from_secs_f64((at.secs() + later).max(0.0));
        let moved = |window: Window| Window::new(moment(window.begin), moment(window.end));
        let is_left = |window: Window| window.begin.secs() + later >= 0.0;
        let ticks = self.ticks.into_iter().filter(|tick| is_left(tick.window));
        let ticks = ticks.map(|tick| LoadTick { window: moved(tick.window), ..tick });
        let stages = self.stages.into_iter().filter(|stage| stage.window.end.secs() + later > 0.0);
        let stages = stages.map(|stage| Stage { window: moved(stage.window), ..stage });
        Self { ticks: ticks.collect(), stages: stages.collect(), zero_unix, ..self }
    }

    /// The same; if the tool wrote no dates, its run began at this time, in seconds since 1970.
    pub fn dated(self, begin_unix: f64) -> Self {
        match self.zero_unix < EARLIEST_DATE {
            true => Self { zero_unix: begin_unix + self.zero_unix, ..self },
            false => self,
        }
    }

    /// A recording of nothing but this load.
    pub fn into_recording(self) -> Recording {
        let timeline = Timeline { stages: self.stages, ticks: self.ticks, ..Timeline::default() };
        let notes = self.notes.into_iter();
        Recording {
            plan: self.plan,
            environment: Environment {
                kneepoint: env!("CARGO_PKG_VERSION").to_owned(),
                started_unix: self.zero_unix,
                target: format!("as {} saw it", self.from),
                ..Environment::default()
            },
            events: notes.map(|text| Event { at: Moment::START, text }).collect(),
            stop: Some(Stop { at: timeline.end(), reason: StopReason::Completed }),
            timeline,
        }
    }
}

/// All that was gathered from the files of a run.
pub(super) struct Run {
    pub(super) seconds: BTreeMap<i64, SecondTally>,
    /// Names of the endpoints, by their place.
    pub(super) endpoints: Vec<String>,
    /// Virtual users by second and by file.
    pub(super) users: Vec<BTreeMap<i64, f64>>,
    /// Whether the tool sends at a rate.
    pub(super) model: LoadModel,
    /// Connections that always wait for an answer, by second.
    pub(super) connections: Option<BTreeMap<i64, f64>>,
    /// Whether a server wrote them down.
    pub(super) is_server_log: bool,
    /// Seconds of the intervals in which the tool counts; 0 where it lists requests.
    pub(super) grain: usize,
    pub(super) notes: Vec<String>,
}

impl Run {
    /// The load; `from` is the name of the format.
    ///
    /// # Errors
    /// When there is no request, or the last ended too long after the first began.
    pub(super) fn into_load(mut self, from: &str, name: &str) -> Result<ToolLoad, ImportError> {
        self.keep_one_run();
        let ends = self.seconds.first_key_value().zip(self.seconds.last_key_value());
        let (begin, end) =
            ends.map(|((begin, _), (end, _))| (*begin, *end)).ok_or(ImportError::Empty)?;
        let length = end - begin;
        if length as f64 > LONGEST_RUN {
            return Err(ImportError::Long { days: (length / 86_400).unsigned_abs() });
        }
        let count = length as usize + 1;
        let counted = stages::users(&self.users, begin, count);
        let ticks = self.ticks(begin, count);
        let seen = self.connections.take().and_then(|it| stages::users(&[it], begin, count));
        let is_counted = counted.is_some();
        let users = match self.model {
            LoadModel::Open => None,
            model => counted.or(seen).or_else(|| waiting::users(&ticks, model)),
        };
        let stages = stages::stages(&ticks, users.as_deref(), self.model, self.grain);
        let plan = self.plan(name, &ticks, &stages);
        let mut notes = vec![origin(from, self.is_server_log, &stages)];
        if !is_counted && stages.iter().any(Stage::is_closed) {
            notes.push(WAITING.to_owned());
        }
        notes.append(&mut self.notes);
        Ok(ToolLoad { from: from.to_owned(), plan, zero_unix: begin as f64, ticks, stages, notes })
    }

    /// Leaves out all runs but the one with the most requests.
    fn keep_one_run(&mut self) {
        let mut runs: Vec<(i64, u64)> = Vec::new();
        let (mut last, mut throughout) = (i64::MIN, 0);
        for (second, tally) in &self.seconds {
            if runs.is_empty() || (throughout == 0 && second - last > RUNS_APART) {
                runs.push((*second, 0));
            }
            last = *second;
            throughout += tally.throughout;
            if let Some(run) = runs.last_mut() {
                run.1 += tally.offered;
            }
        }
        let Some(kept) = (0..runs.len()).rev().max_by_key(|place| runs[*place].1) else { return };
        if runs.len() == 1 {
            return;
        }
        if let Some((after, _)) = runs.get(kept + 1) {
            drop(self.seconds.split_off(after));
        }
        self.seconds = self.seconds.split_off(&runs[kept].0);
        let counts: Vec<String> = runs.iter().take(10).map(|run| run.1.to_string()).collect();
        self.notes.push(format!(
            "the file holds {} runs, more than {} minutes apart, with {} requests: only number {} \
             was read; split the file to import the others",
            runs.len(),
            RUNS_APART / 60,
            counts.join(", "),
            kept + 1
        ));
    }

    /// One tick a second from `begin` on.
    fn ticks(&mut self, begin: i64, count: usize) -> Vec<LoadTick> {
        let mut throughout = 0;
        let mut seconds = std::mem::take(&mut self.seconds);
        (0..count)
            .map(|index| {
                let mut second = seconds.remove(&(begin + index as i64)).unwrap_or_default();
                throughout += second.throughout;
                second.in_flight += throughout as f64;
                second.tick(index, &self.endpoints)
            })
            .collect()
    }

    fn plan(&self, name: &str, ticks: &[LoadTick], stages: &[Stage]) -> PlanSummary {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for endpoint in ticks.iter().flat_map(|tick| &tick.endpoints) {
            *counts.entry(&endpoint.endpoint).or_default() += endpoint.response_time.count();
        }
        let all: u64 = counts.values().sum();
        let share = |count: u64| count as f64 / all.max(1) as f64;
        let requests = counts.into_iter().map(|(name, count)| (name.to_owned(), share(count)));
        PlanSummary {
            name: name.to_owned(),
            requests: requests.collect(),
            executor: "imported".to_owned(),
            max_rate: stages.iter().map(Stage::rate).fold(0.0, f64::max),
            max_vus: stages.iter().map(Stage::vus).fold(0.0, f64::max).ceil() as u32,
            tags: Vec::new(),
            ..PlanSummary::default()
        }
    }
}

/// What the numbers are and are not.
fn origin(from: &str, is_server_log: bool, stages: &[Stage]) -> String {
    if is_server_log {
        return format!(
            "imported from {from}: a server's log. It has the requests that reached the server, \
             and their times from there on: refused connections, and waits before the server read \
             a request, are not included"
        );
    }
    match stages.iter().any(Stage::is_closed) {
        true => format!(
            "imported from {from}: it measures response times from the send. Its load is virtual \
             users, which wait for their answers: stages are numbers of users, and nobody asked \
             for a rate"
        ),
        false => format!(
            "imported from {from}: it measures response times from the send. Requests that its \
             schedule asked for but that were not sent are not included"
        ),
    }
}
