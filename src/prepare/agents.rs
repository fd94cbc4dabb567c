//! The agents of a plan, before any load: each is started, and one of them may be on the target's host.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::thread;

use super::problems::Problems;
use super::warning::Warning;
use crate::collect::{Opening, machine_addresses};
use crate::plan::{Agent, OptionValue, Plan};
use crate::recording::{AgentNote, CollectorNote};
use crate::remote::{
    Bus, CollectTask, Hello, LinkError, MetAgent, Role, RunningAgent, SentCollector, meet_agents,
    seek_target,
};
use crate::timeline::names;

/// The agents of a plan that have greeted.
#[derive(Default)]
pub(super) struct Greeted {
    agents: Vec<MetAgent>,
    /// Which of them is on the target's host.
    target: Option<usize>,
    own_boot_id: String,
}

/// What the agents need to know of the run.
pub(super) struct Task<'a> {
    /// Port of the target in the URL.
    pub(super) port: u16,
    /// Its address.
    pub(super) address: Option<IpAddr>,
    /// Whether it runs on this machine.
    pub(super) is_local: bool,
    pub(super) is_shared: bool,
    pub(super) process: &'a str,
    pub(super) lenient: bool,
    /// Names of the collectors of this machine.
    pub(super) taken: Vec<String>,
}

/// Starts the agents of `plan`. Looks for the target on their hosts if `target` is where it is and may
/// be contacted.
pub(super) fn greet(
    plan: &Plan,
    target: Option<(SocketAddr, Opening)>,
    (lenient, bus): (bool, Option<&Arc<Bus>>),
    problems: &mut Problems,
    warnings: &mut Vec<Warning>,
) -> Greeted {
    if plan.agents.is_empty() {
        return Greeted::default();
    }
    if plan.agents.iter().filter(|agent| agent.target == Some(true)).count() > 1 {
        problems.add(
            "several agents say `target = true`, and the series of the target come from one place",
            "keep it for one agent",
        );
    }
    if let Some(bus) = bus.filter(|_| plan.agents.iter().any(has_open_secrets))
        && let Err(LinkError { what, hint }) = bus.refuse_open_secrets()
    {
        problems.add(what, hint);
        return Greeted::default();
    }
    let (mut agents, failed) = meet_agents(&plan.agents, bus);
    for (index, error) in failed {
        if let Some(agent) = plan.agents.get(index) {
            tell(agent, &error, lenient, problems, warnings);
        }
    }
    if let Some((address, opening)) = target {
        seek_target(&mut agents, address, opening);
    }
    let target = target_of(&agents, is_watched_here(plan));
    Greeted { agents, target, own_boot_id: Hello::of_this_machine(Role::Agent).boot_id }
}

/// Whether a bus would carry secrets to an agent.
fn has_open_secrets(agent: &Agent) -> bool {
    let mut options = agent.collectors.iter().flat_map(|config| config.options.values());
    agent.command.is_none() && options.any(|value| matches!(value, OptionValue::Secret(_)))
}

/// Whether the plan names a process of this machine as the target's.
fn is_watched_here(plan: &Plan) -> bool {
    plan.collectors.iter().any(|config| config.name == "process")
}

/// The agent whose series are the target's: the plan says so, or it has found the target.
fn target_of(agents: &[MetAgent], is_watched_here: bool) -> Option<usize> {
    let says = |met: &MetAgent| met.agent().target == Some(true);
    let found = |met: &MetAgent| met.target_port().is_some() && met.agent().target.is_none();
    let named = agents.iter().position(says);
    named.or_else(|| agents.iter().position(found).filter(|_| !is_watched_here))
}

impl Greeted {
    /// Whether the target runs on the host of an agent.
    pub(super) fn has_target(&self) -> bool {
        self.target.is_some()
    }

    /// The port on which the target listens there, if it was found.
    pub(super) fn target_port(&self) -> Option<u16> {
        self.agents.get(self.target?)?.target_port()
    }

    /// Whether that is a container or namespace of this machine.
    pub(super) fn has_target_on_this_machine(&self) -> bool {
        let target = self.target.and_then(|index| self.agents.get(index));
        target.is_some_and(|met| self.is_this_machine(met.hello()))
    }

    fn is_this_machine(&self, hello: &Hello) -> bool {
        !hello.boot_id.is_empty() && hello.boot_id == self.own_boot_id
    }

    /// Tells each what to do. What it cannot do is a problem, or a warning for `lenient`.
    pub(super) fn open(
        self,
        task: &Task<'_>,
        problems: &mut Problems,
        warnings: &mut Vec<Warning>,
    ) -> (Vec<RunningAgent>, Vec<AgentNote>) {
        let notes: Vec<AgentNote> =
            self.agents.iter().enumerate().map(|(index, met)| self.note(index, met)).collect();
        let target = self.target;
        let callers = self.callers(task);
        let opened: Vec<(Agent, Result<RunningAgent, Vec<LinkError>>)> = thread::scope(|scope| {
            let open = |(index, met): (usize, MetAgent)| {
                let agent = met.agent().clone();
                let collect = CollectTask {
                    collectors: agent.collectors.iter().map(SentCollector::from).collect(),
                    is_target: target == Some(index),
                    port: met.target_port().unwrap_or(task.port),
                    callers: callers.difference(&met.hello().addresses).copied().collect(),
                    is_shared: task.is_shared,
                    lenient: task.lenient,
                    process: task.process.to_owned(),
                };
                scope.spawn(move || (agent, met.open(collect, &task.taken)))
            };
            let started: Vec<_> = self.agents.into_iter().enumerate().map(open).collect();
            started.into_iter().filter_map(|it| it.join().ok()).collect()
        });
        let (mut running, mut kept) = (Vec::new(), Vec::new());
        for ((agent, result), note) in opened.into_iter().zip(notes) {
            match result {
                Ok(one) => {
                    let told = one.ready().warnings.iter();
                    warnings.extend(told.map(|what| Warning::OfAgent {
                        agent: agent.name.clone(),
                        what: what.clone(),
                    }));
                    running.push(one);
                    kept.push(note);
                }
                Err(errors) => {
                    for error in errors {
                        tell(&agent, &error, task.lenient, problems, warnings);
                    }
                }
            }
        }
        (running, kept)
    }

    /// From where the services on the hosts of agents are called: the target's host, and those of all
    /// agents.
    fn callers(&self, task: &Task<'_>) -> BTreeSet<IpAddr> {
        let of_agents = self.agents.iter().flat_map(|met| &met.hello().addresses).copied();
        let mut callers: BTreeSet<IpAddr> = of_agents.chain(task.address).collect();
        if task.is_local {
            callers.extend(machine_addresses());
        }
        callers.retain(|ip| !ip.is_loopback());
        callers
    }

    fn note(&self, index: usize, met: &MetAgent) -> AgentNote {
        let hello = met.hello();
        AgentNote {
            name: met.agent().name.clone(),
            host: hello.host.clone(),
            kernel: hello.kernel.clone(),
            cores: hello.cores,
            memory_bytes: hello.memory_bytes,
            kneepoint: hello.version.clone(),
            is_target: self.target == Some(index),
            is_same_machine: self.is_this_machine(hello),
        }
    }
}

fn tell(
    agent: &Agent,
    error: &LinkError,
    lenient: bool,
    problems: &mut Problems,
    warnings: &mut Vec<Warning>,
) {
    let name = &agent.name;
    let command = agent.command.as_ref().map_or(String::new(), |it| format!(" (`{it}`)"));
    match lenient {
        true => warnings.push(Warning::OfAgent {
            agent: name.clone(),
            what: format!("{error}; the run goes on without it"),
        }),
        false => problems.add(format!("agent `{name}`{command}: {error}"), error.hint.clone()),
    }
}

/// What the agents watch, as the recording notes it.
pub(super) fn notes(agents: &[RunningAgent]) -> impl Iterator<Item = CollectorNote> {
    agents.iter().flat_map(|agent| {
        let own = CollectorNote {
            name: names::AGENT.to_owned(),
            instance: agent.agent().name.clone(),
            watches: "its own clock and cost".to_owned(),
            interval_secs: 1.0,
        };
        let watched = agent.ready().watched.iter().zip(agent.instances());
        let others = watched.map(|(watched, (instance, is_apart))| CollectorNote {
            // What reads another host says nothing of the target.
            name: if *is_apart { names::AGENT.to_owned() } else { watched.name.clone() },
            instance: instance.clone(),
            watches: format!("{} (agent `{}`)", watched.watches, agent.agent().name),
            interval_secs: watched.interval_secs,
        });
        std::iter::once(own).chain(others)
    })
}
