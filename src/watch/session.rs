//! One watch: collects from before the command starts until after it ends, and adds the load.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use super::command::{Command, Ended, Running};
use super::load::{LoadError, Results, join};
use super::sockets::Sockets;
use crate::collect::{Observation, Opened, Sampler};
use crate::import::ToolLoad;
use crate::recording::{Environment, Event, PlanSummary, Stop, StopReason, WriteError, Writer};
use crate::remote::RunningAgent;
use crate::run::{HEAD_START, WAITING_OBSERVATIONS, record};
use crate::timeline::{Epoch, Moment};

/// Longest wait for an observation before everything else is checked.
const BEAT: Duration = Duration::from_millis(50);
/// How long the system is watched after the command has ended.
const TAIL: Duration = Duration::from_millis(1500);

/// All that a watch needs.
pub struct Session {
    /// The collectors, opened.
    pub collectors: Vec<Opened>,
    /// The agents, which collect already.
    pub agents: Vec<RunningAgent>,
    /// What the recording says of the plan, until the load is known.
    pub plan: PlanSummary,
    /// Where it happens; `started_unix` is moment zero.
    pub environment: Environment,
    /// The instant of moment zero.
    pub started: Instant,
    /// Where the load reaches the target: a port, or `unix:` and a path.
    pub port: String,
    /// Instances of the collectors that ask the target itself, over a connection of their own.
    pub scrapers: Vec<String>,
    /// The command that makes the load; without one, somebody else does.
    pub command: Option<Command>,
    /// Where the load can be read; without them, from the target's sockets.
    pub results: Option<Results>,
    /// How long to watch at most.
    pub at_most: Option<Duration>,
    /// Signals to pass on to the command. Without a command, the first ends the watch.
    pub signals: Receiver<i32>,
}

/// What came of a watch.
#[derive(Debug)]
pub struct Watched {
    /// How the command ended.
    pub ended: Option<Ended>,
    /// Why the load is not in the recording.
    pub without_load: Option<LoadError>,
    /// Why the results of the tool were not used and the sockets were.
    pub instead: Option<LoadError>,
}

/// Why nothing, or not everything, could be recorded.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The command does not start.
    #[error("cannot start `{program}`: {source}")]
    Start {
        /// Its first word.
        program: String,
        /// What the system says.
        source: io::Error,
    },
    /// The command's end cannot be seen.
    #[error("cannot wait for the command: {0}")]
    Wait(io::Error),
    /// The storage failed.
    #[error("{0}; free space or choose another place with `--out`")]
    Recording(#[from] WriteError),
}

/// Runs the command, collects until it has ended, and writes the recording to `out`.
///
/// # Errors
/// The command does not start, or the storage fails. What was recorded until then stays.
pub fn watch<W: Write>(session: Session, out: W) -> Result<Watched, WatchError> {
    let epoch = Epoch::new(session.started);
    let writer = Writer::create(out, &session.plan, &session.environment)?;
    let (sink, observations) = sync_channel(WAITING_OBSERVATIONS);
    let sampler = Sampler::start(session.collectors, epoch, sink.clone());
    session.agents.iter().for_each(|agent| agent.attach(epoch, sink.clone()));
    drop(sink);
    let mut log = Log {
        epoch,
        zero_unix: session.environment.started_unix,
        writer,
        observations,
        sockets: Sockets::at(session.port, session.scrapers),
    };
    let begun = log.listen_for(HEAD_START);
    let command_begin = log.now();
    let held = begun.and_then(|()| {
        let until = session.at_most.map(|time| command_begin + time);
        let ended = match &session.command {
            Some(command) => log.run(command, &session.signals, until)?,
            None => log.wait(&session.signals, until)?,
        };
        log.listen_for(TAIL)?;
        Ok(ended)
    });
    RunningAgent::stop_all(session.agents);
    sampler.stop();
    let (ended, interrupted) = held?;
    log.take_rest()?;
    let at = log.now();
    let Log { zero_unix, mut writer, sockets, .. } = log;
    if let Some(ended) = ended {
        writer.event(&Event { at, text: format!("the command ended {ended}") })?;
    }
    let times = zero_unix + command_begin.secs()..zero_unix + at.secs();
    let name = session.plan.name;
    let read = session.results.map(|results| results.read(times, &name, sockets.waiting()));
    let (load, instead) = told(read, || sockets.into_load(&name));
    let without_load = match load {
        Ok(load) => join(&mut writer, load, zero_unix, &session.plan.target).map(|()| None)?,
        Err(error) => Some(error),
    };
    if let Some(why) = &instead {
        let text = format!("the load is taken from the target's sockets, because kneepoint {why}");
        writer.event(&Event { at, text })?;
    }
    let reason = if interrupted { StopReason::Interrupted } else { StopReason::Completed };
    writer.finish(&Stop { at, reason })?;
    Ok(Watched { ended, without_load, instead })
}

/// The load from the tool's results, or else from the sockets, with the reason.
fn told(
    read: Option<Result<ToolLoad, LoadError>>,
    sockets: impl FnOnce() -> Result<ToolLoad, LoadError>,
) -> (Result<ToolLoad, LoadError>, Option<LoadError>) {
    match read {
        None => (sockets(), None),
        Some(Ok(load)) => (Ok(load), None),
        Some(Err(why)) => match sockets() {
            Ok(load) => (Ok(load), Some(why)),
            Err(_) => (Err(why), None),
        },
    }
}

/// The recording while it is made.
struct Log<W: Write> {
    epoch: Epoch,
    zero_unix: f64,
    writer: Writer<W>,
    observations: Receiver<Observation>,
    sockets: Sockets,
}

impl<W: Write> Log<W> {
    fn now(&self) -> Moment {
        self.epoch.moment(Instant::now())
    }

    /// Runs the command to its end. Returns how it ended, and whether a signal came.
    fn run(
        &mut self,
        command: &Command,
        signals: &Receiver<i32>,
        until: Option<Moment>,
    ) -> Result<(Option<Ended>, bool), WatchError> {
        let mut running: Running = command
            .start()
            .map_err(|source| WatchError::Start { program: command.program(), source })?;
        let mut interrupted = false;
        let mut until = until;
        loop {
            if let Some(ended) = running.ended().map_err(WatchError::Wait)? {
                return Ok((Some(ended), interrupted));
            }
            if let Ok(signal) = signals.try_recv() {
                interrupted = true;
                running.pass_on(signal);
            }
            if until.take_if(|until| self.now() >= *until).is_some() {
                running.pass_on(libc::SIGTERM);
            }
            self.take(BEAT)?;
        }
    }

    /// Waits for a signal or the end of the time.
    fn wait(
        &mut self,
        signals: &Receiver<i32>,
        until: Option<Moment>,
    ) -> Result<(Option<Ended>, bool), WatchError> {
        while signals.try_recv().is_err() && until.is_none_or(|until| self.now() < until) {
            self.take(BEAT)?;
        }
        Ok((None, false))
    }

    fn listen_for(&mut self, time: Duration) -> Result<(), WatchError> {
        let end = self.now() + time;
        while self.now() < end {
            self.take(BEAT)?;
        }
        Ok(())
    }

    /// Writes what arrives within `wait`.
    fn take(&mut self, wait: Duration) -> Result<(), WatchError> {
        match self.observations.recv_timeout(wait) {
            Ok(observation) => self.write(&observation)?,
            Err(RecvTimeoutError::Timeout) => {}
            // No collector could be opened: the command still runs.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(wait),
        }
        let now = self.now();
        Ok(self.writer.flush_if_due(now)?)
    }

    /// Writes what the collectors had observed when they stopped.
    fn take_rest(&mut self) -> Result<(), WatchError> {
        while let Ok(observation) = self.observations.try_recv() {
            self.write(&observation)?;
        }
        Ok(())
    }

    fn write(&mut self, observation: &Observation) -> Result<(), WatchError> {
        if let Observation::Batch(batch) = observation {
            self.sockets.see(batch, self.zero_unix);
        }
        Ok(record(&mut self.writer, observation)?)
    }
}
