//! Starts the collectors, holds one stage after the other, asks the diagnosis for the sign of a
//! knee, stops, and writes everything down as it comes.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use super::canary::Canaries;
use super::clock::Clocks;
use super::drops::ConnectionDrops;
use super::ending::{ending, ends_by_series};
use super::fleet::{Fleet, RunningFleet};
use super::load_source::{LoadSource, Loss};
use super::losses::Losses;
use super::news::{Progress, RunError};
use super::observed::record;
use super::pilot::{Decision, FixedPilot, Pilot, PlannedStage, pilot_for};
use super::segments;
use super::watch::Watch;
use super::websocket::WebSockets;
use crate::collect::{Observation, Sampler};
use crate::diagnose::objectives;
use crate::load::Generator;
use crate::plan::Limits;
use crate::prepare::{Controls, RunConfig};
use crate::recording::{Event, PlanSummary, Stop, StopReason, WriteError, Writer};
use crate::remote::RunningAgent;
use crate::timeline::{
    Condenser, Epoch, LoadTick, Moment, Refill, Stage, StageRole, TickMerger, Timeline, Window,
};

/// Observations that can wait for the conductor. The fastest collector makes 13 a second, so this
/// is several minutes of them.
pub const WAITING_OBSERVATIONS: usize = 10_000;
/// Longest wait for a tick before the conductor checks everything else.
const BEAT: Duration = Duration::from_millis(50);
/// How long the collectors watch the system at rest before the first request.
pub const HEAD_START: Duration = Duration::from_millis(1500);
/// How often a pilot that reads series is asked whether a stage was held long enough.
const LOOK: Duration = Duration::from_secs(30);
/// How long requests in flight may take to end after the run.
const GRACE: Duration = Duration::from_secs(2);

/// How long the ticks of the last second of a stage may take from generators elsewhere.
const LAST_TICKS: Duration = Duration::from_millis(1500);

/// By how much a stage is prolonged at a time while somebody holds the rise.
const PROLONGED: Duration = Duration::from_secs(1);

/// Ticks to keep of a long stage. The search for the knee needs only hundreds per stage.
const KEPT: usize = 2000;

/// The stages of a run that are known beforehand, in requests per second and virtual users. Empty
/// if a scenario chooses its stages by what it measures.
pub fn schedule(config: &RunConfig) -> Vec<PlannedStage> {
    if config.scenarios.iter().any(|scenario| scenario.executor.is_adaptive()) {
        return Vec::new();
    }
    segments::together(&courses(config), &config.requests_per_journey)
}

/// The segments of each scenario.
fn courses(config: &RunConfig) -> Vec<Vec<segments::LoadSegment>> {
    let pairs = config.scenarios.iter().zip(&config.load.flows);
    let max_rate = config.limits.max_rate;
    pairs.map(|(scenario, flow)| segments::segments(scenario, &flow.kind, max_rate)).collect()
}

/// Runs until the plan is done or something ends the run early, and returns why it ended. Writes
/// the recording to `out`.
///
/// # Errors
///
/// Only if nothing could be recorded at all. Later problems end the run with a [`StopReason`], and
/// what was recorded until then stays.
pub fn run<W: Write>(
    config: RunConfig,
    out: W,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<StopReason, RunError> {
    run_on(config, None, out, progress)
}

/// The same with the load of generators elsewhere.
///
/// # Errors
///
/// As for [`run`].
pub fn run_with<W: Write>(
    mut config: RunConfig,
    fleet: Fleet,
    out: W,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<StopReason, RunError> {
    config.environment.generators = fleet.notes();
    run_on(config, Some(fleet), out, progress)
}

fn run_on<W: Write>(
    config: RunConfig,
    fleet: Option<Fleet>,
    out: W,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<StopReason, RunError> {
    let epoch = Epoch::new(config.started);
    let courses = courses(&config);
    let writer =
        Writer::create(out, &config.plan, &config.environment).map_err(RunError::Recording)?;
    let (sink, observations) = sync_channel(WAITING_OBSERVATIONS);
    let sampler = Sampler::start(config.collectors, epoch, sink.clone());
    config.agents.iter().for_each(|agent| agent.attach(epoch, sink.clone()));
    let first = epoch.moment(Instant::now()) + HEAD_START;
    let canaries = Canaries::start(&config.canaries, &config.load, epoch, first)?;
    let websockets = WebSockets::start(&config.websockets, &config.load, epoch, first)?;
    let storms = ConnectionDrops::of(&config.load.target);
    let generators = config.environment.generator_names();
    let (source, ticks): (Box<dyn LoadSource>, _) = match fleet {
        None => {
            let (generator, ticks) = Generator::start(config.load, epoch)?;
            (Box::new(generator), ticks)
        }
        Some(fleet) => {
            let (running, ticks) =
                RunningFleet::start(fleet, epoch, config.load.flows.len(), &sink)?;
            (Box::new(running), ticks)
        }
    };
    drop(sink);
    let searching = config.scenarios.iter().enumerate().find_map(|(flow, scenario)| {
        let executor = segments::in_requests(&scenario.executor, config.requests_per_journey[flow]);
        Some((flow, pilot_for(&executor, &config.limits)?))
    });
    let levels = || segments::together(&courses, &config.requests_per_journey);
    let (lead, mut pilot) = match searching {
        Some((flow, pilot)) => (Some(flow), pilot),
        None => (None, Box::new(FixedPilot(levels().into())) as Box<dyn Pilot>),
    };
    let requests_per_journey = lead.map_or(1.0, |flow| config.requests_per_journey[flow]);
    let mut conductor = Conductor {
        epoch,
        writer: Some(writer),
        write_error: None,
        merger: (!generators.is_empty()).then(|| TickMerger::new(&generators)),
        losses: Losses::default(),
        timeline: Timeline { generators, ..Timeline::default() },
        condenser: Condenser::new(KEPT),
        observations,
        ticks,
        source: Some(source),
        courses,
        lead,
        requests_per_journey,
        ends: ending(&config.scenarios),
        canaries,
        websockets,
        keeps_series: pilot.looks_at_series() || ends_by_series(&config.plan),
        begin: None,
        plan: config.plan,
        clocks: Clocks::default(),
        storms,
        sampler: Some(sampler),
        agents: config.agents,
        interrupt: config.interrupt,
        controls: config.controls,
        watch: Watch::new(&config.limits),
        limits: config.limits,
        progress,
    };
    let reason = conductor.conduct(pilot.as_mut());
    Ok(conductor.finish(reason))
}

struct Conductor<'a, W: Write> {
    epoch: Epoch,
    /// `None` once the recording is closed.
    writer: Option<Writer<W>>,
    write_error: Option<WriteError>,
    /// Stages and ticks, which the search for the knee needs. Collected series go to the file and
    /// are kept only if `keeps_series`.
    timeline: Timeline,
    /// Makes one tick a second of those of several generators.
    merger: Option<TickMerger>,
    losses: Losses,
    /// Keeps the timeline small, however long a stage is held.
    condenser: Condenser,
    observations: Receiver<Observation>,
    ticks: Receiver<LoadTick>,
    source: Option<Box<dyn LoadSource>>,
    /// The stages that are known beforehand, by flow.
    courses: Vec<Vec<segments::LoadSegment>>,
    /// The flow whose stages the pilot chooses.
    lead: Option<usize>,
    /// Requests per journey of that flow.
    requests_per_journey: f64,
    /// Flows with a fixed number of iterations, if every flow has one: the load ends with the last.
    ends: Vec<usize>,
    canaries: Canaries,
    websockets: WebSockets,
    /// Whether the pilot or an objective needs collected series in the timeline.
    keeps_series: bool,
    /// When the load began.
    begin: Option<Moment>,
    /// What the recording says of the plan.
    plan: PlanSummary,
    clocks: Clocks,
    storms: ConnectionDrops,
    sampler: Option<Sampler>,
    agents: Vec<RunningAgent>,
    interrupt: Arc<AtomicBool>,
    controls: Arc<Controls>,
    limits: Limits,
    watch: Watch,
    progress: &'a mut dyn FnMut(Progress<'_>),
}

impl<W: Write> Conductor<'_, W> {
    fn now(&self) -> Moment {
        self.epoch.moment(Instant::now())
    }

    fn conduct(&mut self, pilot: &mut dyn Pilot) -> StopReason {
        let zero = self.now() + HEAD_START.max(self.notice());
        if let Some(source) = &self.source {
            for (flow, course) in self.courses.iter().enumerate() {
                course.iter().for_each(|segment| source.hold(flow, &segment.stage(zero)));
            }
        }
        if let Some(reason) = self.listen_until(zero, None) {
            return reason;
        }
        self.begin = Some(zero);
        loop {
            match pilot.next(&self.timeline, &self.plan) {
                Decision::Done(reason) => return reason,
                Decision::Hold(_) if self.is_done() => return StopReason::Completed,
                Decision::Hold(level) => {
                    if let Some(reason) = self.hold(level, pilot) {
                        return reason;
                    }
                }
            }
        }
    }

    /// Holds one stage; `Some` if the run has to end.
    fn hold(&mut self, level: PlannedStage, pilot: &mut dyn Pilot) -> Option<StopReason> {
        let mut begin = self.now();
        if self.lead.is_some() {
            begin = begin + self.notice();
        }
        if let Some(from) = self.losses.pending(begin) {
            return self.hold_from(level, begin, from, pilot);
        }
        let mut stage = level.stage(begin);
        self.hold_flows(&stage);
        if let Some(reason) = self.listen_until(begin, None) {
            return Some(reason);
        }
        (self.progress)(Progress::StageBegins(&stage));
        // Written at its beginning, so that a killed run shows what it was doing, and again at its
        // end, which may differ from the plan.
        self.write(|writer| writer.stage(&stage));
        self.timeline.stages.push(stage);
        let ended = match self.listen_while(&stage, pilot) {
            None => self.prolong(&mut stage),
            ended => ended,
        };
        stage.window = Window::new(begin, self.now().min(stage.window.end));
        let ended = ended.or_else(|| self.listen_for_last_ticks(stage.window.end));
        self.write(|writer| writer.stage(&stage));
        let ticks: Vec<LoadTick> = self.timeline.ticks_within(stage.window).cloned().collect();
        (self.progress)(Progress::StageEnded { stage: &stage, ticks: &ticks });
        if let Some(held) = self.timeline.stages.last_mut() {
            *held = stage;
        }
        match (ended, self.losses.pending(begin)) {
            (None, Some(from)) => self.hold_from(level, begin, from, pilot),
            (ended, _) => ended,
        }
    }

    /// Holds a stage, which began at `begin` and does not count, once others make the part of a lost
    /// generator: what is left of it, or all of it if a pilot chose it.
    fn hold_from(
        &mut self,
        level: PlannedStage,
        begin: Moment,
        from: Moment,
        pilot: &mut dyn Pilot,
    ) -> Option<StopReason> {
        let (until, rest) = match self.lead {
            Some(_) => {
                // The pilot judges the one that is held again.
                self.timeline.stages.pop_if(|last| last.window.begin == begin);
                (from, Some(level))
            }
            None => (from.min(begin + level.duration), level.after(from.since(begin))),
        };
        let ended = self.listen_until(until, None);
        ended.or_else(|| rest.and_then(|level| self.hold(level, pilot)))
    }

    /// How long before its beginning the load has to know a stage.
    fn notice(&self) -> Duration {
        self.source.as_ref().map_or(Duration::ZERO, |source| source.notice())
    }

    /// Holds a stage for as long as somebody pauses the rise. Only a pilot's stages can be: others
    /// have their place in a plan that the generator already has.
    fn prolong(&mut self, stage: &mut Stage) -> Option<StopReason> {
        let may_pause = self.lead.is_some()
            && self.notice().is_zero()
            && stage.role.is_measured()
            && !stage.is_ramping();
        let mut ended = None;
        let mut is_paused = false;
        while may_pause && ended.is_none() && self.controls.is_paused() {
            if !std::mem::replace(&mut is_paused, true) {
                self.tell_event("somebody holds the load at this stage");
            }
            let begin = self.now();
            let window = Window::new(begin, begin + PROLONGED);
            self.hold_flows(&Stage { window, ..*stage });
            stage.window.end = window.end;
            ended = self.listen_until(window.end, Some(&*stage));
        }
        if is_paused {
            self.tell_event("the search goes on");
        }
        ended
    }

    /// Passes the pilot's stage to what makes the load. A recovery stops the load of every flow.
    fn hold_flows(&self, stage: &Stage) {
        let (Some(source), Some(lead)) = (&self.source, self.lead) else { return };
        let mut stage = *stage;
        let notice = source.notice();
        if !notice.is_zero() && !stage.is_ramping() && stage.role != StageRole::Probe {
            // It goes on until the next one takes over, so that the target does not rest in between.
            stage.window.end = stage.window.end + notice + LAST_TICKS;
        }
        match stage.role {
            StageRole::Recovery => {
                (0..self.courses.len()).for_each(|flow| source.hold(flow, &stage));
            }
            _ => {
                source.hold(lead, &segments::in_journeys(&stage, self.requests_per_journey));
            }
        }
    }

    /// Whether all planned iterations are done.
    fn is_done(&self) -> bool {
        let all = |source: &dyn LoadSource| self.ends.iter().all(|flow| source.is_done(*flow));
        !self.ends.is_empty() && self.source.as_deref().is_some_and(all)
    }

    /// Takes in the ticks of generators elsewhere up to the end of a stage that a pilot judges now.
    fn listen_for_last_ticks(&mut self, end: Moment) -> Option<StopReason> {
        if self.merger.is_none() || self.lead.is_none() {
            return None;
        }
        let until = self.now() + LAST_TICKS;
        loop {
            // A tick that ends within the next second belongs to the next stage.
            let last = self.timeline.ticks.last().map_or(Moment::START, |tick| tick.window.end);
            let now = self.now();
            if last + Duration::from_secs(1) > end || now >= until {
                return None;
            }
            if let Some(reason) = self.listen_until(until.min(now + BEAT), None) {
                return Some(reason);
            }
        }
    }

    /// Takes in what arrives until the end of a stage, or until the pilot has seen enough of it.
    fn listen_while(&mut self, stage: &Stage, pilot: &mut dyn Pilot) -> Option<StopReason> {
        if !pilot.looks_at_series() {
            return self.listen_until(stage.window.end, Some(stage));
        }
        loop {
            let now = self.now();
            if now >= stage.window.end || self.losses.pending(stage.window.begin).is_some() {
                return None;
            }
            let held = Stage { window: Window::new(stage.window.begin, now), ..*stage };
            if pilot.is_enough(&self.timeline, &self.plan, &held) {
                (self.progress)(Progress::Event(
                    "settled: it is clear for every resource whether it leaks",
                ));
                return None;
            }
            let until = stage.window.end.min(now + LOOK);
            if let Some(reason) = self.listen_until(until, Some(stage)) {
                return Some(reason);
            }
        }
    }

    /// Takes in what arrives until `end`. Returns early without a reason if a drain is done or others
    /// have to take over from a lost generator, and with a reason if the run has to end.
    fn listen_until(&mut self, end: Moment, stage: Option<&Stage>) -> Option<StopReason> {
        loop {
            let now = self.now();
            if now >= end {
                return None;
            }
            let wait = end.since(now).min(BEAT);
            match self.ticks.recv_timeout(wait) {
                Ok(tick) => {
                    if let Some(reason) = self.take_tick(tick, stage) {
                        return Some(reason);
                    }
                    let drained = stage.is_some_and(|stage| stage.role == StageRole::Drain)
                        && self.watch.is_drained();
                    if drained {
                        return None;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    while self.look_for_loss(stage) {}
                    let why = self.losses.why();
                    let why = why.unwrap_or_else(|| "the load generator stopped".to_owned());
                    return Some(StopReason::Failed(why));
                }
            }
            self.take_observations();
            if stage.is_some() && self.is_done() {
                return None;
            }
            let now = self.now();
            self.write(|writer| writer.flush_if_due(now));
            if let Some(error) = &self.write_error {
                return Some(StopReason::Failed(error.to_string()));
            }
            if self.interrupt.load(Ordering::Relaxed) {
                return Some(StopReason::Interrupted);
            }
            self.look_for_loss(stage);
            if let Some(reason) = self.losses.stop(now) {
                return Some(reason);
            }
            if stage.is_some_and(|stage| self.losses.pending(stage.window.begin).is_some()) {
                return None;
            }
            if now.since(Moment::START) >= self.limits.max_duration {
                return Some(StopReason::MaxDuration);
            }
        }
    }

    /// Looks whether a generator was lost. The stage does not count then, and the run ends, or others take
    /// over. Returns whether one was.
    fn look_for_loss(&mut self, stage: Option<&Stage>) -> bool {
        let now = self.now();
        let Some(loss) = self.source.as_ref().and_then(|source| source.take_loss(now)) else {
            return false;
        };
        match loss {
            Loss::Final(why) => {
                let void = if stage.is_some() { "the stage does not count, and " } else { "" };
                if self.losses.end(now, &why) {
                    self.tell(now, format!("{why}; {void}the run ends"));
                }
            }
            Loss::Refilled { name, why, from } => {
                // All that it has reported was reported before.
                while let Ok(tick) = self.ticks.try_recv() {
                    // If that is a reason to end, the next second is one, too.
                    let _reason = self.take_tick(tick, stage);
                }
                let generator = self.merger.as_mut().and_then(|merger| merger.lose(&name));
                let refill = generator.map(|generator| Refill { generator, lost: now, from });
                self.timeline.refills.extend(refill);
                self.write(|writer| writer.refill(&name, now, from));
                self.losses.refill(from);
                self.tell(
                    now,
                    format!(
                        "generator `{name}` was lost: {why}; the others take over its part at \
                         {from}, and nothing counts until then"
                    ),
                );
            }
        }
        true
    }

    /// Takes in what one generator did: as it is into the recording, and as a part of the whole load
    /// into everything that judges the load.
    fn take_tick(&mut self, tick: LoadTick, stage: Option<&Stage>) -> Option<StopReason> {
        self.write(|writer| writer.tick(&tick));
        let Some(merger) = &mut self.merger else { return self.take_load(tick, stage) };
        let (part, whole) = merger.push(tick);
        self.timeline.parts.extend(part);
        whole.into_iter().fold(None, |reason, tick| reason.or(self.take_load(tick, stage)))
    }

    /// Takes in what the whole load did.
    fn take_load(&mut self, tick: LoadTick, stage: Option<&Stage>) -> Option<StopReason> {
        let reason = self.watch.see(&tick, stage);
        if let Some(stage) = stage {
            (self.progress)(Progress::Tick { stage, tick: &tick });
        }
        let end = tick.window.end;
        self.condenser.push_tick(&mut self.timeline, tick);
        let stage = stage.filter(|stage| stage.role.is_measured());
        reason.or_else(|| {
            let begin = stage?.window.begin;
            let broken = objectives::aborting(&self.timeline, &self.plan, self.begin?, begin, end)?;
            Some(StopReason::Objective(broken))
        })
    }

    fn take_observations(&mut self) {
        for batch in self.canaries.take(self.now()).into_iter().chain(self.websockets.take()) {
            self.write(|writer| writer.batch(&batch));
        }
        for mark in self.controls.take_marks() {
            let text =
                if mark.is_empty() { "marked".to_owned() } else { format!("marked: {mark}") };
            self.tell(self.now(), text);
        }
        if let Some(text) = self.clocks.look() {
            self.tell(self.now(), text);
        }
        if let Some(begin) = self.begin
            && let Some((at, text)) = self.storms.look(self.now().since(begin))
        {
            self.tell(begin + at, text);
        }
        loop {
            let observation = match self.observations.try_recv() {
                Ok(observation) => observation,
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return,
            };
            self.write(|writer| record(writer, &observation));
            (self.progress)(Progress::Reported(&observation));
            match observation {
                Observation::Batch(batch) if self.keeps_series => {
                    self.condenser.push_batch(&mut self.timeline, batch);
                }
                Observation::Event { text, .. } => (self.progress)(Progress::Event(&text)),
                _ => {}
            }
        }
    }

    fn tell_event(&mut self, text: &str) {
        self.tell(self.now(), text.to_owned());
    }

    fn tell(&mut self, at: Moment, text: String) {
        (self.progress)(Progress::Event(&text));
        self.write(|writer| writer.event(&Event { at, text }));
    }

    /// Writes, and keeps the first failure. The run then ends at the next beat, and what is already
    /// written stays as it is.
    fn write(&mut self, put: impl FnOnce(&mut Writer<W>) -> Result<(), WriteError>) {
        if let (Some(writer), None) = (&mut self.writer, &self.write_error) {
            self.write_error = put(writer).err();
        }
    }

    fn finish(mut self, reason: StopReason) -> StopReason {
        if let Some(source) = self.source.take() {
            let late = source.stop(GRACE);
            while let Ok(tick) = self.ticks.try_recv() {
                self.write(|writer| writer.tick(&tick));
            }
            for tick in late {
                self.write(|writer| writer.tick(&tick));
            }
        }
        for batch in self.canaries.stop().into_iter().chain(self.websockets.stop()) {
            self.write(|writer| writer.batch(&batch));
        }
        RunningAgent::stop_all(std::mem::take(&mut self.agents));
        if let Some(sampler) = self.sampler.take() {
            sampler.stop();
        }
        self.take_observations();
        let at = self.now();
        let stop = Stop { at, reason: reason.clone() };
        if let (Some(writer), None) = (self.writer.take(), &self.write_error) {
            self.write_error = writer.finish(&stop).err();
        }
        match self.write_error {
            Some(error) => StopReason::Failed(error.to_string()),
            None => reason,
        }
    }
}
