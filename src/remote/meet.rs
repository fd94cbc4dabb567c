//! Before any load: starts the agents, sets their clocks, finds out on whose host the target runs, and
//! tells each what to do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::agents::{Connection, RunningAgent};
use super::bus::Bus;
use super::clock::NodeClock;
use super::link::{Link, LinkError};
use super::message::{CollectTask, Hello, Message, OpenMessage, SeekMessage, SoughtMessage, Task};
use super::source::NodeSource;
use super::start::{nanos, open_with, set_clock, source_of, start, wait};
use crate::collect::{Fingerprint, Opening};
use crate::plan::Agent;

/// How long the search for the target may take in each agent.
const SEARCH: Duration = Duration::from_secs(5);

/// An agent that has greeted.
pub struct MetAgent {
    agent: Agent,
    source: NodeSource,
    link: Link,
    clock: NodeClock,
    run: String,
    base: Instant,
    port: Option<u16>,
}

/// Starts all agents at once, or takes them from the bus of the run, and sets their clocks. Each that
/// fails says why, with its index.
pub fn meet_agents(
    agents: &[Agent],
    bus: Option<&Arc<Bus>>,
) -> (Vec<MetAgent>, Vec<(usize, LinkError)>) {
    let run = format!("{:016x}", rand::random::<u64>());
    let base = Instant::now();
    let results: Vec<Result<MetAgent, LinkError>> = thread::scope(|scope| {
        let meet = |agent: &Agent| {
            let source = source_of(agent, bus)?;
            let mut link = start(&source, &run, 1)?;
            let clock = set_clock(&mut link, base)?;
            let (agent, run) = (agent.clone(), run.clone());
            Ok(MetAgent { agent, source, link, clock, run, base, port: None })
        };
        let started: Vec<_> = agents.iter().map(|agent| scope.spawn(move || meet(agent))).collect();
        let died = || LinkError {
            what: "the thread that starts it has failed".to_owned(),
            hint: "this is a bug in kneepoint: please report it with the output above".to_owned(),
        };
        started.into_iter().map(|it| it.join().unwrap_or_else(|_| Err(died()))).collect()
    });
    let (mut met, mut failed) = (Vec::new(), Vec::new());
    for (index, result) in results.into_iter().enumerate() {
        match result {
            Ok(agent) => met.push(agent),
            Err(error) => failed.push((index, error)),
        }
    }
    (met, failed)
}

/// Sends the beginning of a request to the target, and asks every agent for the socket that has
/// received it. What an agent has found is kept in it.
///
/// A target that cannot be reached is found by nobody; the preflight tells that otherwise.
pub fn seek_target(agents: &mut [MetAgent], address: SocketAddr, opening: Opening) {
    let Ok(mut fingerprint) = Fingerprint::open(address, opening) else { return };
    let client = fingerprint.client();
    for is_last in [false, true] {
        let Ok(bytes) = fingerprint.send_more() else { return };
        let seek = SeekMessage { bytes, client, is_last };
        // All of them look at the same time.
        let asked: Vec<bool> =
            agents.iter_mut().map(|met| met.link.send(Message::Seek(seek)).is_ok()).collect();
        for (met, _) in agents.iter_mut().zip(asked).filter(|(_, is_asked)| *is_asked) {
            let answer = wait(&mut met.link, SEARCH, |message, _| match message {
                Message::Sought(sought) => Some(sought),
                _ => None,
            });
            met.port = answer.ok().and_then(|SoughtMessage { port, .. }| port);
        }
    }
}

impl MetAgent {
    /// Its part of the plan.
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// What it said of its machine.
    pub fn hello(&self) -> &Hello {
        self.link.hello()
    }

    /// The port on which the target listens on its host, if it has found it there.
    pub fn target_port(&self) -> Option<u16> {
        self.port
    }

    /// How far its clock may be off what is known of it, in seconds.
    pub fn clock_error(&self) -> f64 {
        let now = nanos(self.base, Instant::now());
        self.clock.estimate(now).map_or(f64::INFINITY, |estimate| estimate.error / 1e9)
    }

    /// Tells it what to do, and waits until it can. `taken` tells which names of collectors are in use.
    ///
    /// # Errors
    /// Each reason why it cannot.
    pub fn open(
        mut self,
        task: CollectTask,
        taken: &[String],
    ) -> Result<RunningAgent, Vec<LinkError>> {
        let is_target = task.is_target;
        let open = OpenMessage { name: self.agent.name.clone(), task: Task::Collect(task) };
        let ready = open_with(&mut self.link, &open)?;
        let connection = Connection::new(self.link, self.clock, self.base);
        RunningAgent::start(
            (self.agent, self.source),
            self.run,
            open,
            connection,
            (ready, is_target),
            taken,
        )
        .map_err(|what| vec![LinkError { what, hint: String::new() }])
    }
}
