//! Where the target's threads stand, as file and line: who waits for which lock, and what uses the
//! processor. Each runtime has its own file in `stacks/`.
//!
//! No raw dump is stored. Each look becomes counts of threads by state and place, and cores by
//! stack, both bounded (see `tally`). Names of functions and files come from the target, which may
//! choose any: they are cut and cleaned.
//!
//! A dump can stop the target for a moment. So there is at most one look a second, by default one
//! in five, none while a JVM collects garbage, and `off = true` in `[collect.stacks]` means none at
//! all. `stacks.pause` is what it cost the target at most.

use std::collections::BTreeSet;
use std::time::Duration;

use super::proc::tree::Tree;
use super::{Collector, CollectorSpec, OFF, OpenError, OpenResult, Opens, SampleError, TargetHint};
use crate::plan::{CollectorConfig, OptionKind, OptionSpec};
use crate::registry::registry;
use crate::timeline::{BatchBuilder, Labels, names};

mod dump_text;
mod pprof;
mod stack;
mod tally;

use stack::Dump;
use tally::Tally;

registry! {
    /// Every runtime whose stacks can be read.
    static RUNTIMES: [RuntimeSpec] = [jvm, go, python]
}

pub(super) static SPEC: CollectorSpec = CollectorSpec {
    name: "stacks",
    summary: "where threads stand and what uses the processor, as file and line, of JVMs and \
              CPython on this machine (needs the right to trace them) and of Go by its pprof \
              endpoint",
    hint: "[collect.stacks] on the machine the target runs on, with the right to trace it; for Go \
           with `go = \"http://127.0.0.1:6060/debug/pprof\"`",
    opens: Opens::ForLocalTarget,
    options: &[
        OptionSpec {
            name: "go",
            kind: OptionKind::Secret,
            required: false,
            about: "URL of a Go program's pprof endpoint, such as \
                    `http://127.0.0.1:6060/debug/pprof`",
        },
        OptionSpec {
            name: OFF,
            kind: OptionKind::Switch,
            required: false,
            about: "do not read any stacks",
        },
    ],
    metrics: &[names::STACKS_THREADS, names::STACKS_CPU, names::STACKS_PAUSE],
    interval: Duration::from_secs(5),
    open,
};

/// A dump may stop the target, so there is no shorter interval.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
/// Processes of one runtime that one look reads; the next look goes on with the others.
const MOST_PROCESSES: usize = 8;
/// Processes of which is remembered what they are.
const MOST_KNOWN: usize = 10_000;

/// A runtime that is ready to be read, or `None` if the plan does not ask for it.
type OpenRuntime = Result<Option<Box<dyn Runtime>>, OpenError>;

/// A kind of runtime.
struct RuntimeSpec {
    /// The value of the label `runtime`.
    name: &'static str,
    /// What it calls its threads.
    thing: &'static str,
    /// Prepares to read stacks; `None` if the plan does not ask for this runtime.
    open: fn(&CollectorConfig) -> OpenRuntime,
}

/// Reads the stacks of one kind of runtime.
trait Runtime: Send {
    /// Whether this process is of the kind.
    fn runs_in(&mut self, pid: u32) -> bool;

    /// Whether it is read over the network, so that no process needs to be found.
    fn is_remote(&self) -> bool {
        false
    }

    /// One look at each of these processes, or why there is none.
    fn look(&mut self, pids: &[u32]) -> Vec<Result<Dump, String>>;
}

fn open(config: &CollectorConfig, hint: &TargetHint) -> OpenResult {
    if let Some(interval) = config.interval.filter(|interval| *interval < SHORTEST_INTERVAL) {
        return Err(OpenError::new(
            format!("`interval = {}ms` is too short for stacks", interval.as_millis()),
            "a dump may stop the target: write `interval = \"1s\"` or more",
        ));
    }
    let mut watched = Vec::new();
    for spec in RUNTIMES {
        if let Some(runtime) = (spec.open)(config)? {
            watched.push(Watched { spec, runtime, turn: 0, told: false });
        }
    }
    // A remote Go program has no process here.
    let tree = Tree::of_target(hint.process_config.as_ref(), hint).ok();
    let mut stacks = Stacks { tree, watched, tally: Tally::default(), events: Vec::new() };
    let pids = stacks.pids();
    stacks.watched.retain_mut(|one| {
        one.runtime.is_remote() || pids.iter().any(|pid| one.runtime.runs_in(*pid))
    });
    if stacks.watched.is_empty() {
        return Err(OpenError::absent(
            "none of the target's processes is a JVM or a CPython whose stacks can be read",
            "for a Go program add `go = \"http://127.0.0.1:6060/debug/pprof\"` to [collect.stacks]",
        ));
    }
    Ok(Box::new(stacks))
}

struct Stacks {
    tree: Option<Tree>,
    watched: Vec<Watched>,
    tally: Tally,
    events: Vec<String>,
}

/// One kind of runtime among the target's processes.
struct Watched {
    spec: &'static RuntimeSpec,
    runtime: Box<dyn Runtime>,
    /// The process that the next look starts with.
    turn: usize,
    /// Whether a failure was reported.
    told: bool,
}

impl Collector for Stacks {
    fn watches(&self) -> String {
        let kinds: Vec<String> = self
            .watched
            .iter()
            .map(|one| format!("{} of {}", one.spec.thing, one.spec.name))
            .collect();
        match &self.tree {
            Some(tree) => format!("stacks: {} in {}", kinds.join(", "), tree.describe()),
            None => format!("stacks: {}", kinds.join(", ")),
        }
    }

    fn sample(&mut self, batch: &mut BatchBuilder) -> Result<(), SampleError> {
        let pids = self.pids();
        let (mut done, mut failure) = (0, None);
        for one in &mut self.watched {
            let (dumps, scale) = one.look(&pids);
            let mut pause = 0.0;
            for dump in dumps {
                match dump {
                    Ok(dump) => {
                        pause += dump.pause;
                        done += 1;
                        self.tally.add(one.spec.name, &dump, scale);
                    }
                    Err(why) => {
                        if !std::mem::replace(&mut one.told, true) {
                            self.events.push(format!("some stacks are missing: {why}"));
                        }
                        failure.get_or_insert(why);
                    }
                }
            }
            let labels = Labels::none().with("runtime", one.spec.name);
            batch.push_labelled(&names::STACKS_PAUSE, labels, pause);
        }
        self.tally.push(batch);
        match failure {
            Some(why) if done == 0 => Err(SampleError(why)),
            None if done == 0 => Err(SampleError("no process with readable stacks".to_owned())),
            _ => Ok(()),
        }
    }

    fn events(&mut self) -> Vec<String> {
        std::mem::take(&mut self.events)
    }
}

impl Stacks {
    /// The target's processes as of now. Other collectors report its restarts.
    fn pids(&mut self) -> BTreeSet<u32> {
        let Some(tree) = &mut self.tree else { return BTreeSet::new() };
        if tree.refresh().is_err() {
            return BTreeSet::new();
        }
        tree.events();
        tree.pids().collect()
    }
}

impl Watched {
    /// The dumps of some of the processes, and how many times that number there are.
    fn look(&mut self, pids: &BTreeSet<u32>) -> (Vec<Result<Dump, String>>, f64) {
        let own: Vec<u32> = pids.iter().copied().filter(|pid| self.runtime.runs_in(*pid)).collect();
        let number = own.len().min(MOST_PROCESSES);
        let chosen: Vec<u32> =
            (0..number).map(|index| own[(self.turn + index) % own.len()]).collect();
        self.turn = (self.turn + number) % own.len().max(1);
        let scale = own.len() as f64 / number.max(1) as f64;
        (self.runtime.look(&chosen), if number == 0 { 1.0 } else { scale })
    }
}
