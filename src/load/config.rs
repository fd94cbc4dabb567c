//! What a load consists of: the requests, who sends them and when, and the limits.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::data::ResolvedData;
use super::share::Share;
use super::tls::PemFiles;
use crate::plan;
use crate::timeline::Moment;

/// What is sent, where to, and within which limits.
#[derive(Clone, Debug)]
pub struct LoadConfig {
    /// Where the requests go.
    pub target: plan::Target,
    /// Every request.
    pub requests: Vec<plan::Request>,
    /// What users do with them.
    pub journeys: Vec<plan::Journey>,
    /// Values for the templates, by their name in `{…}`.
    pub data: BTreeMap<String, ResolvedData>,
    /// The loads that run side by side, at least one.
    pub flows: Vec<FlowConfig>,
    /// Maximum number of journeys at a time in the open model. Further due journeys wait, and count
    /// as backlog.
    pub max_in_flight: usize,
    /// Maximum requests per second, whatever a stage asks for.
    pub max_rate: f64,
    /// Threads that make load. `None` means as many as `max_rate` needs, but at most one per core.
    /// Several generators of one load need the same number, so it has to be set there.
    pub workers: Option<usize>,
    /// The part of the load that this process makes. Rates, users and limits here are those of the
    /// whole load.
    pub share: Share,
    /// Where it begins, if it takes over from another generator.
    pub takeover: Takeover,
    /// Seed of every random choice.
    pub seed: u64,
    /// Name of this generator in its ticks.
    pub generator: String,
    /// Contents of the PEM files that [`plan::Tls`] names.
    pub pem: PemFiles,
}

/// Where a part of a load begins that a lost generator has made until then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Takeover {
    /// Nothing begins before this moment, although its stages may.
    pub from: Moment,
    /// The lost generator may have used the rows of sequential data before this one.
    pub first_row: u64,
}

/// Spreads seeds: 2^64 divided by the golden ratio (Knuth, volume 3, section 6.4).
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

impl LoadConfig {
    /// The load of one that takes over part `share`, for the `round`-th time in this run. Its random
    /// draws are new, so that it makes no identifier a second time.
    #[must_use]
    pub fn taken_over(&self, share: Share, takeover: Takeover, round: u32) -> Self {
        let seed = self.seed.wrapping_add(u64::from(round).wrapping_mul(GOLDEN));
        Self { share, takeover, seed, ..self.clone() }
    }

    /// Whether others can make a part of it from some moment on. Nobody knows which of a fixed number of
    /// iterations a lost generator has done.
    pub fn can_be_taken_over(&self) -> bool {
        let is_counted = |flow: &FlowConfig| match &flow.kind {
            FlowKind::Closed(iterations) => *iterations != Iterations::Unlimited,
            FlowKind::Open(_) | FlowKind::Replay(_) => false,
        };
        !self.flows.iter().any(is_counted)
    }

    /// Cuts what workers of other processes cannot share: the work of virtual users. Everything
    /// else is cut by the number of a worker.
    pub(super) fn cut(mut self) -> Self {
        for flow in &mut self.flows {
            if let FlowKind::Closed(iterations) = &mut flow.kind {
                *iterations = iterations.part(self.share);
            }
        }
        self
    }

    /// Maximum number of journeys at a time in the open model, each over one connection.
    pub(super) fn most_at_a_time(&self) -> usize {
        self.max_in_flight.min(self.target.max_connections.unwrap_or(usize::MAX))
    }

    /// The same with one load in the open model: these requests by their weights, each as a
    /// separate journey.
    #[must_use]
    pub fn with_mix(mut self, requests: Vec<(plan::Request, f64)>) -> Self {
        let journeys = requests.iter().enumerate().map(|(index, (request, weight))| {
            plan::Journey::of_one(request.name.clone(), *weight, index)
        });
        self.journeys = journeys.collect();
        self.flows = vec![FlowConfig::open(plan::Arrivals::Even, requests.len())];
        self.requests = requests.into_iter().map(|(request, _)| request).collect();
        self
    }
}

/// One of the loads that run side by side.
#[derive(Clone, Debug)]
pub struct FlowConfig {
    /// Indices of its journeys among those of the configuration.
    pub journeys: Vec<usize>,
    /// When they begin.
    pub kind: FlowKind,
}

/// When the journeys of a flow begin.
#[derive(Clone, Debug)]
pub enum FlowKind {
    /// When the schedule says so (open model).
    Open(plan::Arrivals),
    /// When the previous one has ended (closed model). A stage sets the number of virtual users.
    Closed(Iterations),
    /// At these times after the start of the stage, in nanoseconds, each with its journey.
    Replay(Arc<[Arrival]>),
}

/// One arrival of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Nanoseconds from the start.
    pub at: u64,
    /// Index of its journey.
    pub journey: usize,
}

/// How many journeys the virtual users do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Iterations {
    /// As many as time allows.
    Unlimited,
    /// This many for each user, and the number of users.
    PerVu(u64, u32),
    /// This many in total, and the number of users.
    Shared(u64, u32),
}

impl FlowConfig {
    /// All journeys in the open model.
    pub fn open(arrivals: plan::Arrivals, journeys: usize) -> Self {
        Self { journeys: (0..journeys).collect(), kind: FlowKind::Open(arrivals) }
    }
}

impl Iterations {
    /// One part of the work. A total is shared in proportion to the users.
    fn part(self, share: Share) -> Self {
        let own = |vus: u32| {
            let (first, end) = share.range(u64::from(vus));
            (end - first) as u32
        };
        match self {
            Iterations::Unlimited => Iterations::Unlimited,
            Iterations::PerVu(each, vus) => Iterations::PerVu(each, own(vus)),
            Iterations::Shared(total, vus) => {
                let of_users = |users: u64| {
                    let part = u128::from(total) * u128::from(users);
                    // Not above `total`, which has 64 bits.
                    part.checked_div(u128::from(vus)).unwrap_or(0) as u64
                };
                let (first, end) = share.range(u64::from(vus));
                Iterations::Shared(of_users(end) - of_users(first), own(vus))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(of: usize) -> impl Iterator<Item = Share> {
        (0..of).filter_map(move |index| Share::new(index, of))
    }

    #[test]
    fn iterations_add_up_and_only_users_have_some() {
        for (total, vus) in [(0, 1), (1, 1), (10, 3), (1000, 7), (u64::MAX, 5), (9, 40)] {
            for of in [1, 2, 3, 20] {
                let (mut sum, mut users) = (0u64, 0u32);
                for share in shares(of) {
                    match Iterations::Shared(total, vus).part(share) {
                        Iterations::Shared(own, own_vus) => {
                            assert!(own_vus > 0 || own == 0, "{own} for nobody");
                            sum += own;
                            users += own_vus;
                        }
                        other => panic!("{other:?}"),
                    }
                }
                assert_eq!((sum, users), (total, vus), "{of} generators");
            }
        }
    }

    #[test]
    fn users_are_counted_as_workers_share_them() {
        use crate::load::crew::Crew;
        use crate::timeline::{Moment, Stage, StageRole, Window};
        use std::time::Duration;

        let window = Window::new(Moment::START, Moment::START + Duration::from_secs(9));
        let stage = |vus: f64| Stage {
            vus_from: vus,
            vus_to: vus,
            ..Stage::constant(StageRole::Ramp, window, 0.0)
        };
        for vus in [0, 1, 2, 5, 7, 40] {
            for (of, own) in [(1, 2), (2, 2), (3, 1), (20, 2)] {
                for share in shares(of) {
                    let wanted = |worker: usize| {
                        let mut crew = Crew::new(share.worker(worker), share.workers(own));
                        crew.push(&stage(f64::from(vus)));
                        crew.wanted(0)
                    };
                    let users: usize = (0..own).map(wanted).sum();
                    let counted = Iterations::PerVu(1, vus).part(share);
                    assert_eq!(counted, Iterations::PerVu(1, users as u32), "{vus} over {of}");
                }
            }
        }
    }
}
