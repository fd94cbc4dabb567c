//! Starts generators elsewhere, all at the same time, and gives each its part of a load.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::node::{self, Greeted, Node, Order};
use super::problem::FleetProblem;
use crate::load::{LoadConfig, Share, workers_for};
use crate::prepare::LoadPart;
use crate::recording::GeneratorNote;
use crate::remote::NodeSource;

/// How long a generator may take to greet: a login over a slow network.
const GREETING: Duration = Duration::from_secs(30);
/// How often generators that are ready hear that others are not.
const KEEPING: Duration = Duration::from_millis(100);

/// What becomes of a run that loses a generator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLoss {
    /// It ends.
    #[default]
    End,
    /// The others take over the part of the lost one.
    Refill,
}

/// Generators that can make a load.
pub struct Fleet {
    pub(super) nodes: Vec<Node>,
    pub(super) on_loss: OnLoss,
    /// Into how many parts the load can be cut.
    pub(super) most_parts: usize,
}

/// Tells runs apart. It is no secret, and need not be random.
fn run_id() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{:x}", std::process::id(), now.as_nanos())
}

impl Fleet {
    /// Gets generators from these sources at the same time, and gives each its part of `load`.
    ///
    /// # Errors
    /// Everything that is wrong, with any of them. All of them are ended then.
    pub fn connect(
        sources: &[NodeSource],
        part: &LoadPart,
        load: &LoadConfig,
        on_loss: OnLoss,
    ) -> Result<Self, Vec<FleetProblem>> {
        let of = sources.len();
        refuse_too_many(of, load)?;
        if on_loss == OnLoss::Refill {
            refuse_counted(load)?;
        }
        let run = run_id();
        let greeted = at_once(sources.iter().enumerate(), |(index, source)| {
            let carrier = source
                .start()
                .map_err(|error| FleetProblem::of_generator(index, &error.what, &error.hint))?;
            node::greet(carrier, &run, index, GREETING)
        })?;
        let names = names_of(&greeted.iter().map(Greeted::host).collect::<Vec<_>>());
        let cores = greeted.iter().map(Greeted::cores).min().unwrap_or(1);
        let share = Share::new(0, of).unwrap_or(Share::WHOLE);
        let workers = workers_for(load.max_rate, share, cores);
        let preparing = AtomicUsize::new(of);
        let nodes =
            at_once(greeted.into_iter().zip(names).enumerate(), |(index, (node, name))| {
                let opened = node.open(part, Order { index, of, workers, name });
                preparing.fetch_sub(1, Ordering::AcqRel);
                let mut node = opened?;
                // One that is ready early must hear that its coordinator is still there.
                while preparing.load(Ordering::Acquire) > 0 {
                    node.keep();
                    thread::sleep(KEEPING);
                }
                Ok(node)
            })?;
        Ok(Self { nodes, on_loss, most_parts: most_parts(load) })
    }

    /// What a recording says of them.
    pub fn notes(&self) -> Vec<GeneratorNote> {
        self.nodes.iter().map(Node::note).collect()
    }
}

/// Each part of a load needs a connection.
fn most_parts(load: &LoadConfig) -> usize {
    load.target.max_connections.unwrap_or(usize::MAX).min(load.max_in_flight)
}

/// A part of a load with a fixed number of iterations cannot change hands.
fn refuse_counted(load: &LoadConfig) -> Result<(), Vec<FleetProblem>> {
    if load.can_be_taken_over() {
        return Ok(());
    }
    let problem = FleetProblem {
        what:
            "this plan has a fixed number of iterations, and nobody knows how many of them a lost \
               generator has done"
                .to_owned(),
        hint: "leave out `--on-generator-loss refill`, or use `constant-vus` with a duration"
            .to_owned(),
    };
    Err(vec![problem])
}

/// A load that cannot be cut into so many parts is a problem.
fn refuse_too_many(of: usize, load: &LoadConfig) -> Result<(), Vec<FleetProblem>> {
    let most = most_parts(load);
    if of <= most {
        return Ok(());
    }
    let problem = FleetProblem {
        what: format!("{of} generators cannot share {most} connections"),
        hint: "raise `max_connections` in [target] or `max_in_flight` in [limits], or use fewer \
               generators"
            .to_owned(),
    };
    Err(vec![problem])
}

/// Does something with each of `items` at the same time. Returns all results in order, or all
/// problems.
fn at_once<I: Send, T: Send>(
    items: impl Iterator<Item = I>,
    work: impl Fn(I) -> Result<T, Vec<FleetProblem>> + Sync,
) -> Result<Vec<T>, Vec<FleetProblem>> {
    let work = &work;
    let results: Vec<Result<T, Vec<FleetProblem>>> = thread::scope(|scope| {
        let threads: Vec<_> = items.map(|item| scope.spawn(move || work(item))).collect();
        let broken = || {
            vec![FleetProblem {
                what: "a thread ended while it prepared a generator".to_owned(),
                hint: "start the run again".to_owned(),
            }]
        };
        threads.into_iter().map(|it| it.join().unwrap_or_else(|_| Err(broken()))).collect()
    });
    let (mut all, mut problems) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(one) => all.push(one),
            Err(some) => problems.extend(some),
        }
    }
    if problems.is_empty() { Ok(all) } else { Err(problems) }
}

/// A name for each: its machine's. Those on one machine, or on one whose name is unknown, get a
/// number.
fn names_of(hosts: &[String]) -> Vec<String> {
    let same = |some: &[String], host: &String| some.iter().filter(|it| *it == host).count();
    let name = |(index, host): (usize, &String)| match (host.as_str(), same(hosts, host)) {
        ("", _) => format!("generator-{}", index + 1),
        (_, 1) => host.clone(),
        _ => format!("{host}-{}", same(&hosts[..=index], host)),
    };
    let names: Vec<String> = hosts.iter().enumerate().map(name).collect();
    match names.iter().any(|name| same(&names, name) > 1) {
        // A machine may be called what another got as a number.
        true => (1..=hosts.len()).map(|number| format!("generator-{number}")).collect(),
        false => names,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_generator_has_a_name_of_its_own() {
        let names = |hosts: &[&str]| -> Vec<String> {
            names_of(&hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(names(&["a", "b"]), ["a", "b"]);
        assert_eq!(names(&["a", "b", "a"]), ["a-1", "b", "a-2"]);
        assert_eq!(names(&["", "a"]), ["generator-1", "a"]);
        assert_eq!(names(&["a", "a", "a-1"]), ["generator-1", "generator-2", "generator-3"]);
    }
}
