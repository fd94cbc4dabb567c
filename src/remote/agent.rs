//! The agent itself: runs the collectors where it was started, and sends what they read.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use super::carrier::NodeCarrier;
use super::message::{
    CollectTask, Message, OpenMessage, ReadyMessage, RefuseMessage, Role, SeekMessage,
    SoughtMessage, Task, Watched,
};
use super::node::{FromCoordinator, NodeEnd};
use super::outbox::Outbox;
use crate::collect::proc::{process_cpu_seconds, resident_bytes};
use crate::collect::{
    FROM, FoundServices, Located, Observation, Opened, OwnPage, Sampler, SocketSearch, TargetHint,
    locate_listener, open_all, with_defaults,
};
use crate::plan::{CollectorConfig, OptionValue};
use crate::recording::{Entry, Event};
use crate::timeline::{Batch, BatchBuilder, Window, names};

/// Observations that can wait until they are put into lines.
const WAITING: usize = 10_000;
/// How often an agent tells what it costs.
const COST_EVERY: Duration = Duration::from_secs(1);
/// How long the last readings may take to be put into lines: a collector may be stuck for good.
const LAST_READINGS: Duration = Duration::from_millis(500);
/// Between two looks whether they are.
const LOOK: Duration = Duration::from_millis(2);
/// The collector that only makes sense where the load is made.
const OF_THE_LOAD: &str = "generator";

/// Why an agent ended.
pub enum AgentEnd {
    /// The coordinator asked for it.
    Stopped,
    /// The coordinator is gone.
    Gone(String),
    /// It cannot do what it should, and has said so.
    Refused,
}

/// Serves one coordinator over `carrier` until it says stop, or is gone.
///
/// # Errors
/// If threads cannot be started.
pub fn serve_agent(carrier: NodeCarrier) -> io::Result<AgentEnd> {
    let mut node = NodeEnd::start(carrier, Role::Agent)?;
    let mut search = TargetSearch::default();
    let task = loop {
        match node.next(COST_EVERY) {
            None => {}
            Some(FromCoordinator::Message(Message::Seek(seek))) => {
                node.send(Message::Sought(search.seek(seek)));
            }
            Some(FromCoordinator::Message(Message::Open(open))) => break *open,
            Some(FromCoordinator::Message(Message::Stop(_))) => {
                node.finish("it was told to stop");
                return Ok(AgentEnd::Stopped);
            }
            Some(FromCoordinator::Message(_)) => {}
            Some(FromCoordinator::Gone(why)) => return Ok(AgentEnd::Gone(why)),
        }
    };
    let OpenMessage { task: Task::Collect(task), .. } = task else {
        return Ok(refuse(node, vec![("this agent makes no load".to_owned(), String::new())]));
    };
    match open(task, search.located) {
        Ok((opened, warnings)) => Ok(collect(node, opened, warnings)),
        Err(problems) => Ok(refuse(node, problems)),
    }
}

fn refuse(node: NodeEnd, problems: Vec<(String, String)>) -> AgentEnd {
    node.send(Message::Refuse(RefuseMessage { problems }));
    node.finish("it cannot do what it should");
    AgentEnd::Refused
}

/// Looks for the target on this host.
#[derive(Default)]
struct TargetSearch {
    search: Option<SocketSearch>,
    located: Option<Located>,
}

impl TargetSearch {
    fn seek(&mut self, seek: SeekMessage) -> SoughtMessage {
        let SeekMessage { bytes, client, is_last } = seek;
        let search = self.search.get_or_insert_with(|| SocketSearch::new(false));
        let found = search.look(canonical(client), bytes).unwrap_or(false);
        if !is_last {
            return SoughtMessage { found, port: None };
        }
        self.located = search.located(client).filter(|_| found);
        self.search = None;
        let port = self.located.as_ref().map(|located| located.port);
        SoughtMessage { found: port.is_some(), port }
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// What was opened, with the warnings; or every problem with what to do.
type OpenedOrProblems = Result<(Vec<Opened>, Vec<String>), Vec<(String, String)>>;

/// Opens what the task asks for, and what opens by itself on the host of the target.
fn open(task: CollectTask, located: Option<Located>) -> OpenedOrProblems {
    let CollectTask { collectors, is_target, port, callers, is_shared, lenient, process } = task;
    let planned: Vec<CollectorConfig> = collectors.into_iter().map(CollectorConfig::from).collect();
    let located = located.filter(|_| is_target).unwrap_or_else(|| locate_listener(port));
    let mut configs = with_defaults(planned.clone(), is_target);
    if !is_target {
        let from = callers.iter().map(ToString::to_string).collect();
        let chain = CollectorConfig::new("chain").with(FROM, OptionValue::Texts(from));
        let beside = [CollectorConfig::new("host"), chain, CollectorConfig::new("chain_stacks")];
        let is_planned = |config: &CollectorConfig| planned.iter().any(|it| it.name == config.name);
        configs.extend(beside.into_iter().filter(|config| !is_planned(config)));
    }
    configs.retain(|config| config.name != OF_THE_LOAD);
    let hint = TargetHint {
        port: located.port,
        network: located.network,
        forwarders: located.forwarders,
        socket: None,
        is_shared,
        is_local: is_target,
        process,
        services: FoundServices::default(),
        own_page: OwnPage::default(),
        process_config: configs.iter().find(|config| config.name == "process").cloned(),
    };
    let (opened, failed) = open_all(&configs, &hint);
    let (mut warnings, mut problems) = (Vec::new(), Vec::new());
    if located.is_hidden && is_target {
        warnings.push(
            "the target is in another network namespace there: the agent needs CAP_SYS_PTRACE and \
             CAP_SYS_ADMIN to look into it; run it as root"
                .to_owned(),
        );
    }
    for (config, error) in failed {
        let asked_for = planned.iter().any(|asked| asked.instance == config.instance);
        if error.is_absent && !asked_for {
            continue;
        }
        let what = format!("collector `{}`: {}", config.instance, error.what);
        match asked_for && !lenient {
            true => problems.push((what, error.hint)),
            false => warnings.push(format!("{what}; the run goes on without it")),
        }
    }
    if problems.is_empty() { Ok((opened, warnings)) } else { Err(problems) }
}

/// Collects until the coordinator ends it, or is gone.
fn collect(mut node: NodeEnd, opened: Vec<Opened>, warnings: Vec<String>) -> AgentEnd {
    let watched = opened
        .iter()
        .map(|one| Watched {
            name: one.spec.name.to_owned(),
            instance: one.config.instance.clone(),
            watches: one.collector.watches(),
            interval_secs: one.interval().as_secs_f64(),
        })
        .collect();
    node.send(Message::Ready(ReadyMessage { watched, warnings }));
    let (sink, observations) = sync_channel(WAITING);
    let sampler = Sampler::start(opened, node.clock(), sink);
    let outbox = node.outbox();
    let forwarding = thread::Builder::new().name("kp-agent-lines".to_owned()).spawn({
        let outbox = Arc::clone(&outbox);
        move || observations.into_iter().for_each(|seen| outbox.report(&entry(seen)))
    });
    let mut next_cost = Instant::now();
    let end = loop {
        if Instant::now() >= next_cost {
            next_cost = Instant::now() + COST_EVERY;
            report_cost(&node, &outbox);
        }
        match node.next(next_cost.saturating_duration_since(Instant::now())) {
            Some(FromCoordinator::Message(Message::Stop(_))) => break AgentEnd::Stopped,
            Some(FromCoordinator::Gone(why)) => break AgentEnd::Gone(why),
            Some(FromCoordinator::Message(_)) | None => {}
        }
    };
    // Ends what collectors have started, too.
    sampler.stop();
    if matches!(end, AgentEnd::Stopped) {
        // The last readings, once the sampler has let go of its end of the channel.
        let deadline = Instant::now() + LAST_READINGS;
        while forwarding.as_ref().is_ok_and(|it| !it.is_finished()) && Instant::now() < deadline {
            thread::sleep(LOOK);
        }
        node.finish("it was told to stop");
    }
    end
}

/// What the agent itself costs its host.
fn report_cost(node: &NodeEnd, outbox: &Outbox) {
    let at = node.clock().moment(Instant::now());
    let mut batch = BatchBuilder::new();
    if let Some(seconds) = process_cpu_seconds() {
        batch.push(&names::AGENT_CPU_TIME, seconds);
    }
    if let Some(bytes) = resident_bytes() {
        batch.push(&names::AGENT_MEMORY, bytes);
    }
    let window = Window::new(at, at);
    let collector = names::AGENT.to_owned();
    outbox.report(&Entry::Batch(Batch { collector, window, readings: batch.finish() }));
}

fn entry(observation: Observation) -> Entry {
    match observation {
        Observation::Batch(batch) => Entry::Batch(batch),
        Observation::Gap(gap) => Entry::Gap(gap),
        Observation::Quote(quote) => Entry::Quote(quote),
        Observation::Event { at, text } => Entry::Event(Event { at, text }),
    }
}
