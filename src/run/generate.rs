//! A generator on another machine: makes its part of a load for a coordinator, and reports each second
//! of it. It ends when the coordinator says so, is gone, or is silent for longer than the lease.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::conductor::WAITING_OBSERVATIONS;
use crate::collect::{Observation, Sampler, TargetHint, open_all};
use crate::load::{Generator, LoadConfig, LoadError, Share, Takeover, make_room_for};
use crate::plan::CollectorConfig;
use crate::prepare::{LoadPart, PartOrder, Problem, Problems, part_config};
use crate::recording::{Entry, Event};
use crate::remote::{
    DoneMessage, FileMessage, FromCoordinator, Message, NodeEnd, Outbox, ReadyMessage,
    RefillMessage, RefuseMessage, RowsMessage, StageMessage, StartMessage, Task,
};
use crate::timeline::{Epoch, LoadTick, Moment, TickMerger};

/// Between two looks at what was measured.
const BEAT: Duration = Duration::from_millis(20);
/// How long requests in flight may take to end if the coordinator stops the load.
const GRACE: Duration = Duration::from_secs(2);
/// How long a coordinator that greeted may take for its next word: others are still preparing.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// Shortest and longest lease that a coordinator may ask for, in seconds.
const LEASES: (f64, f64) = (1.0, 60.0);

/// Makes load for the coordinator at the other end until one of both ends it. Returns why it ended,
/// in words.
pub fn generate(mut end: NodeEnd) -> String {
    let why = serve(&mut end);
    end.finish(&why);
    why
}

fn serve(end: &mut NodeEnd) -> String {
    let (part, order) = match listen_for_task(end) {
        Ok(Some(task)) => task,
        Ok(None) => return refuse(end, vec![not_a_part()]),
        Err(why) => return why,
    };
    let config = match part_config(part, order) {
        Ok(config) => config,
        Err(problems) => return refuse(end, told(&problems)),
    };
    end.send(Message::Ready(ReadyMessage::default()));
    let start = match listen_for_start(end) {
        Ok(start) => start,
        Err(why) => return why,
    };
    match Making::start(config, start, end) {
        Ok(mut making) => {
            let (why, grace) = making.listen(end);
            making.stop(grace);
            why
        }
        Err(why) => why,
    }
}

/// Says why it cannot make the load.
fn refuse(end: &NodeEnd, problems: Vec<(String, String)>) -> String {
    end.send(Message::Refuse(RefuseMessage { problems }));
    "it cannot make this load".to_owned()
}

fn told(problems: &Problems) -> Vec<(String, String)> {
    let pair = |problem: &Problem| (problem.what.clone(), problem.hint.clone().unwrap_or_default());
    problems.iter().map(pair).collect()
}

fn not_a_part() -> (String, String) {
    let what = "it was asked for a part of a load that does not exist, or not for a load";
    (what.to_owned(), "use the same version of kneepoint on all machines".to_owned())
}

/// Gathers the files of the plan until it is told what to do; `None` if that makes no sense.
fn listen_for_task(end: &mut NodeEnd) -> Result<Option<(LoadPart, PartOrder)>, String> {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let task = hear(end, |message| match message {
        Message::File(part) => {
            add(&mut files, &part);
            None
        }
        Message::Open(open) => Some(*open),
        _ => None,
    })?;
    let Task::Generate(generate) = task.task else { return Ok(None) };
    let Some(share) = Share::new(generate.segment as usize, generate.segments as usize) else {
        return Ok(None);
    };
    let (plan, variables) = (generate.plan().to_owned(), generate.variables());
    let order = PartOrder { share, workers: generate.workers as usize, name: task.name };
    Ok(Some((LoadPart { plan, variables, files }, order)))
}

fn add(files: &mut BTreeMap<String, Vec<u8>>, part: &FileMessage) {
    if let Some(bytes) = part.bytes() {
        files.entry(part.path.clone()).or_default().extend(bytes);
    }
}

fn listen_for_start(end: &mut NodeEnd) -> Result<StartMessage, String> {
    hear(end, |message| match message {
        Message::Start(start) => Some(start),
        _ => None,
    })
}

/// Takes in what the coordinator says until `take` has what it wants.
fn hear<T>(end: &mut NodeEnd, mut take: impl FnMut(Message) -> Option<T>) -> Result<T, String> {
    let mut heard = Instant::now();
    while heard.elapsed() < LONGEST_PAUSE {
        match end.next(BEAT) {
            None => {}
            Some(FromCoordinator::Gone(why)) => return Err(why),
            Some(FromCoordinator::Message(Message::Stop(stop))) => return Err(stop.reason),
            Some(FromCoordinator::Message(message)) => {
                heard = Instant::now();
                if let Some(wanted) = take(message) {
                    return Ok(wanted);
                }
            }
        }
    }
    Err(format!("the coordinator did not go on for {} s", LONGEST_PAUSE.as_secs()))
}

/// A part of the load that is being made.
struct PartMaker {
    config: LoadConfig,
    generator: Generator,
    ticks: Receiver<LoadTick>,
}

impl PartMaker {
    fn start(config: LoadConfig, epoch: Epoch) -> Result<Self, LoadError> {
        let (generator, ticks) = Generator::start(config.clone(), epoch)?;
        Ok(Self { config, generator, ticks })
    }
}

/// A load that is being made.
struct Making {
    /// Its own part, and those that it has taken over.
    parts: Vec<PartMaker>,
    /// Makes one tick a second of those of all parts.
    merger: TickMerger,
    epoch: Epoch,
    /// What it was told, for a part that it takes over later.
    stages: Vec<StageMessage>,
    /// The rows that were told to be used; `None` if nobody wants to know.
    told_rows: Option<u64>,
    sampler: Sampler,
    observations: Receiver<Observation>,
    outbox: Arc<Outbox>,
    lease: Duration,
    /// By flow: whether the coordinator knows that its users have done all their work.
    done: Vec<bool>,
}

impl Making {
    fn start(config: LoadConfig, start: StartMessage, end: &NodeEnd) -> Result<Self, String> {
        let epoch = epoch_of(end.clock(), start.zero)
            .ok_or("the run began before the clock of this machine")?;
        let done = vec![false; config.flows.len()];
        // Without it, nobody could tell whether this machine was the limit. A machine that has no
        // such data can still make load.
        let (itself, _) = open_all(&[CollectorConfig::new("generator")], &TargetHint::default());
        let (sink, observations) = sync_channel(WAITING_OBSERVATIONS);
        let merger = TickMerger::new(std::slice::from_ref(&config.generator));
        let own = PartMaker::start(config, epoch).map_err(|error| error.to_string())?;
        let sampler = Sampler::start(itself, epoch, sink);
        let lease = Duration::from_secs_f64(start.lease_secs.clamp(LEASES.0, LEASES.1));
        let outbox = end.outbox();
        let told_rows = start.tells_rows.then_some(0);
        let (parts, stages) = (vec![own], Vec::new());
        Ok(Self {
            parts,
            merger,
            epoch,
            stages,
            told_rows,
            sampler,
            observations,
            outbox,
            lease,
            done,
        })
    }

    /// Makes load until there is a reason to end it. Returns the reason, and how long requests in
    /// flight may take.
    fn listen(&mut self, end: &mut NodeEnd) -> (String, Duration) {
        let mut heard = Instant::now();
        loop {
            match end.next(BEAT) {
                None => {}
                Some(FromCoordinator::Gone(why)) => return (why, Duration::ZERO),
                Some(FromCoordinator::Message(message)) => {
                    heard = Instant::now();
                    match message {
                        Message::Stage(stage) => self.hold(stage),
                        Message::Refill(refill) => self.answer(refill, end),
                        Message::Stop(stop) => return (stop.reason, GRACE),
                        _ => {}
                    }
                }
            }
            if heard.elapsed() > self.lease {
                let secs = self.lease.as_secs();
                let why = format!("the lease ended: the coordinator was silent for {secs} s");
                return (why, Duration::ZERO);
            }
            self.report(end);
            for flow in 0..self.done.len() {
                let is_done = || self.parts.iter().all(|part| part.generator.is_done(flow));
                if !self.done[flow] && is_done() {
                    self.done[flow] = true;
                    let flow = u32::try_from(flow).unwrap_or(u32::MAX);
                    end.send(Message::Done(DoneMessage { flow }));
                }
            }
        }
    }

    fn hold(&mut self, stage: StageMessage) {
        for part in &self.parts {
            part.generator.hold(stage.flow as usize, &stage.stage);
        }
        self.stages.push(stage);
    }

    /// Takes over a piece of the part of a lost generator, or says why it cannot.
    fn answer(&mut self, refill: RefillMessage, end: &NodeEnd) {
        if let Err((what, hint)) = self.take_over(refill) {
            end.send(Message::Refuse(RefuseMessage { problems: vec![(what, hint)] }));
        }
    }

    fn take_over(&mut self, refill: RefillMessage) -> Result<(), (String, String)> {
        let share = Share::new(refill.segment as usize, refill.segments as usize);
        let (Some(share), Some(own)) = (share, self.parts.first()) else {
            return Err(not_a_part());
        };
        let takeover = Takeover { from: refill.from, first_row: refill.first_row };
        let generator = format!("{} {}", own.config.generator, self.parts.len() + 1);
        let config = own.config.taken_over(share, takeover, refill.round);
        let config = LoadConfig { generator, ..config };
        let refused = |error: LoadError| (error.to_string(), String::new());
        let all = self.parts.iter().map(|part| &part.config).chain([&config]);
        make_room_for(all).map_err(refused)?;
        let name = config.generator.clone();
        let part = PartMaker::start(config, self.epoch).map_err(refused)?;
        for stage in &self.stages {
            part.generator.hold(stage.flow as usize, &stage.stage);
        }
        self.merger.join(&name);
        self.parts.push(part);
        Ok(())
    }

    /// Passes on what was measured since the last call.
    fn report(&mut self, end: &NodeEnd) {
        // First, so that no tick tells of a row that is not told.
        let rows = self.parts.iter().map(|part| part.generator.rows_used()).max().unwrap_or(0);
        if self.told_rows.is_some_and(|told| told < rows) {
            self.told_rows = Some(rows);
            end.send(Message::Rows(RowsMessage { used: rows }));
        }
        for part in &self.parts {
            for tick in part.ticks.try_iter() {
                report_all(&self.outbox, self.merger.push(tick).1);
            }
        }
        for observation in self.observations.try_iter() {
            let entry = match observation {
                Observation::Batch(batch) => Entry::Batch(batch),
                Observation::Gap(gap) => Entry::Gap(gap),
                Observation::Quote(quote) => Entry::Quote(quote),
                Observation::Event { at, text } => Entry::Event(Event { at, text }),
            };
            self.outbox.report(&entry);
        }
    }

    fn stop(self, grace: Duration) {
        let Self { parts, mut merger, sampler, outbox, .. } = self;
        thread::scope(|scope| {
            let stop = |part: PartMaker| {
                let PartMaker { generator, ticks, .. } = part;
                let late = generator.stop(grace);
                ticks.try_iter().chain(late).collect::<Vec<_>>()
            };
            let stopping: Vec<_> =
                parts.into_iter().map(|part| scope.spawn(move || stop(part))).collect();
            // Whoever panicked has said so; the ticks of the others are good.
            for tick in stopping.into_iter().filter_map(|it| it.join().ok()).flatten() {
                report_all(&outbox, merger.push(tick).1);
            }
        });
        report_all(&outbox, merger.finish());
        sampler.stop();
    }
}

fn report_all(outbox: &Outbox, ticks: Vec<LoadTick>) {
    for tick in ticks {
        outbox.report(&Entry::Tick(Box::new(tick)));
    }
}

/// The epoch of a run whose moment zero lies `zero` nanoseconds after the beginning of `clock`, or
/// before it.
fn epoch_of(clock: Epoch, zero: i64) -> Option<Epoch> {
    let base = clock.instant(Moment::START);
    let away = Duration::from_nanos(zero.unsigned_abs());
    let at = if zero < 0 { base.checked_sub(away) } else { base.checked_add(away) };
    at.map(Epoch::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_may_have_begun_before_its_generator() {
        let clock = Epoch::new(Instant::now());
        for zero in [-1_500_000_000, 0, 2_000_000_000] {
            let epoch = epoch_of(clock, zero).unwrap();
            let later = clock.instant(Moment::from_secs_f64(5.0));
            let expected = 5_000_000_000 - zero;
            assert_eq!(epoch.moment(later).nanos() as i64, expected);
        }
    }
}
