//! Where the response time goes, told from outside by Little's law (Little 1961): the mean number
//! of requests in a part, divided by the throughput, is the seconds that a request spends there.
//!
//! The whole is taken the same way, requests in flight divided by throughput, so that the parts
//! and the whole agree even while a queue grows. Parts may overlap, as an asynchronous service
//! computes for one request while another waits; then they rank and do not stack.

use crate::timeline::{Kind, Labels, MetricSpec, Selector, Window, names};

use super::facts::{Facts, bare, measured};
use super::part::PartKind;
use super::signal::{Over, Span};
use super::{Attribution, Part, PartGrowth, StageParts, StageSummary};

/// The part of the growth that may stay unexplained before it has to be said.
const UNEXPLAINED: f64 = 0.3;
/// Completions and arrivals differ by no more than this where flow is balanced.
const FLOW_BALANCE: f64 = 0.02;

/// The response time of one span in parts.
#[derive(Clone, Debug, PartialEq)]
struct Split {
    /// Requests in flight by throughput, in seconds.
    response: f64,
    /// Parts that have data, in order of [`PartKind::ALL`].
    parts: Vec<(PartKind, Option<String>, f64)>,
}

/// What the response time gained from baseline to the knee.
#[derive(Clone, Debug, PartialEq)]
pub struct Growth {
    /// Seconds gained, without the wait for kneepoint's own connections.
    total: f64,
    parts: Vec<Gain>,
}

#[derive(Clone, Debug, PartialEq)]
struct Gain {
    kind: PartKind,
    peer: Option<String>,
    baseline: f64,
    knee: f64,
}

impl Growth {
    /// Share of the growth that `parts` explain together, of one peer only where one is named;
    /// `None` where none of them has data.
    pub fn share(&self, parts: &[PartKind], peer: Option<&str>) -> Option<f64> {
        let gains: Vec<f64> = self
            .parts
            .iter()
            .filter(|gain| parts.contains(&gain.kind))
            .filter(|gain| peer.is_none() || gain.peer.is_none() || gain.peer.as_deref() == peer)
            .map(|gain| gain.knee - gain.baseline)
            .collect();
        (!gains.is_empty() && self.total > 0.0)
            .then(|| (gains.iter().sum::<f64>() / self.total).clamp(0.0, 1.0))
    }

    /// Share of the growth that lies where nothing was looked at.
    pub fn unexplained(&self) -> f64 {
        self.share(&[PartKind::Unexplained], None).unwrap_or(1.0)
    }
}

/// Compares baseline and knee; `None` without load at one of them.
pub fn growth(facts: &Facts) -> Option<Growth> {
    let baseline = split(facts, &facts.windows(Span::Baseline))?;
    let knee = split(facts, &facts.windows(Span::Knee))?;
    let value = |split: &Split, kind, peer: &Option<String>| {
        split.parts.iter().find(|part| part.0 == kind && part.1 == *peer).map(|part| part.2)
    };
    let mut parts: Vec<Gain> = knee
        .parts
        .iter()
        .map(|(kind, peer, seconds)| Gain {
            kind: *kind,
            peer: peer.clone(),
            baseline: value(&baseline, *kind, peer).unwrap_or(0.0),
            knee: *seconds,
        })
        .collect();
    let own = |split: &Split| value(split, PartKind::Generator, &None).unwrap_or(0.0);
    let total = (knee.response - own(&knee)) - (baseline.response - own(&baseline));
    // The rest of the growth, not the growth of the rests: parts that overlap at one end only
    // would leave more unexplained than there is.
    let explained: f64 = parts
        .iter()
        .filter(|gain| !matches!(gain.kind, PartKind::Generator | PartKind::Unexplained))
        .map(|gain| (gain.knee - gain.baseline).max(0.0))
        .sum();
    if let Some(rest) = parts.iter_mut().find(|gain| gain.kind == PartKind::Unexplained) {
        rest.knee = rest.baseline + (total - explained).max(0.0);
    }
    Some(Growth { total, parts })
}

/// The parts of the response time in `windows`, the unexplained rest last.
fn split(facts: &Facts, windows: &[Window]) -> Option<Split> {
    let throughput = facts.throughput(windows).filter(|throughput| *throughput > 0.0)?;
    let response = match facts.metric(&names::LOAD_IN_FLIGHT, windows) {
        Some(in_flight) => {
            let waiting = facts.metric(&names::LOAD_BACKLOG, windows).unwrap_or(0.0);
            (in_flight + waiting) / throughput
        }
        None => facts.metric(&names::LOAD_RESPONSE_TIME, windows)?,
    };
    let mut parts = Vec::new();
    let mut push = |kind: PartKind, level: Option<f64>| {
        if let Some(level) = level {
            parts.push((kind, None, level / throughput));
        }
    };
    let level = |text: &str| {
        let selector: Selector = text.parse().ok()?;
        facts.level_of(&selector, Over::Sum, windows, &[])
    };
    push(PartKind::AppCpu, facts.metric(&names::PROCESS_CPU_TIME, windows));
    push(PartKind::RunQueue, facts.metric(&names::PROCESS_RUN_QUEUE_TIME, windows));
    push(PartKind::Throttled, facts.metric(&names::CGROUP_CPU_THROTTLED_TIME, windows));
    push(PartKind::DbExecuting, level("db.sessions{state=active,wait_type=!Lock}"));
    push(PartKind::DbLockWait, level("db.sessions{state=active,wait_type=Lock}"));
    push(PartKind::DbHeld, level("db.sessions{state=idle in transaction*}"));
    push(
        PartKind::PoolWait,
        facts
            .metric(&names::POOL_WAIT_TIME, windows)
            .or_else(|| facts.metric(&names::POOL_PENDING, windows)),
    );
    for (peer, calls) in peers(facts, windows) {
        parts.push((PartKind::Downstream, Some(peer), calls / throughput));
    }
    let mut push = |kind: PartKind, level: Option<f64>| {
        if let Some(level) = level {
            parts.push((kind, None, level / throughput));
        }
    };
    push(PartKind::WorkerWait, facts.metric(&names::WORKERS_QUEUE, windows));
    push(PartKind::Unread, level("tcp.unread{role=inbound}"));
    push(PartKind::AcceptQueue, facts.metric(&names::TCP_ACCEPT_QUEUE, windows));
    push(PartKind::Generator, facts.metric(&names::LOAD_BACKLOG, windows));
    let explained: f64 = parts.iter().map(|part| part.2).sum();
    parts.push((PartKind::Unexplained, None, (response - explained).max(0.0)));
    Some(Split { response, parts })
}

/// Calls in flight to each peer; not to the database where its sessions tell more.
fn peers(facts: &Facts, windows: &[Window]) -> Vec<(String, f64)> {
    let mut peers = Vec::new();
    let metric = |metric: &MetricSpec, peers: &mut Vec<(String, f64)>| {
        debug_assert!(metric.kind != Kind::Gauge, "a count or a running total of seconds");
        for peer in facts.label_values(&[&bare(metric)], "peer") {
            if facts.database_is_watched() && facts.is_database(&peer) {
                continue;
            }
            let labels = Labels::none().with("peer", peer.as_str());
            let selector = Selector { metric: metric.name.to_owned(), labels };
            if let Some(level) = facts.level_of(&selector, Over::Sum, windows, &[]) {
                peers.push((peer, level));
            }
        }
    };
    metric(&names::TCP_CALLS, &mut peers);
    if peers.is_empty() {
        metric(&names::CLIENT_CALL_TIME, &mut peers);
    }
    peers
}

/// The name of a part in reports.
fn name(kind: PartKind, peer: Option<&str>) -> String {
    match peer {
        Some(peer) => format!("waiting for {peer}"),
        None => kind.to_string(),
    }
}

/// The whole attribution; `None` without load at baseline or knee.
pub fn attribute(facts: &Facts, stages: &[StageSummary]) -> Option<Attribution> {
    let growth = facts.growth()?;
    let valid = measured(stages);
    let splits: Vec<StageParts> = valid
        .iter()
        .filter_map(|stage| {
            let split = split(facts, &[stage.window])?;
            let parts = split.parts.iter().map(|(kind, peer, seconds)| Part {
                name: name(*kind, peer.as_deref()),
                seconds: *seconds,
            });
            Some(StageParts {
                offered: stage.offered,
                response: split.response,
                parts: parts.collect(),
            })
        })
        .collect();
    let mut gains: Vec<PartGrowth> = growth
        .parts
        .iter()
        .map(|gain| PartGrowth {
            name: name(gain.kind, gain.peer.as_deref()),
            baseline: gain.baseline,
            knee: gain.knee,
            share: if growth.total > 0.0 {
                ((gain.knee - gain.baseline) / growth.total).clamp(0.0, 1.0)
            } else {
                0.0
            },
        })
        .collect();
    gains.sort_by(|a, b| b.share.total_cmp(&a.share));
    Some(Attribution {
        broken_assumptions: broken_assumptions(facts, growth, &splits, &valid),
        stages: splits,
        growth: gains,
        unexplained: growth.unexplained(),
    })
}

fn broken_assumptions(
    facts: &Facts,
    growth: &Growth,
    splits: &[StageParts],
    stages: &[&StageSummary],
) -> Vec<String> {
    let mut broken = Vec::new();
    if growth.total > 0.0 && growth.unexplained() > UNEXPLAINED {
        broken.push(format!(
            "{:.0} % of the growth lies where nothing was looked at, such as queues inside the \
             target",
            growth.unexplained() * 100.0
        ));
    }
    let overlap = |stage: &&StageParts| {
        stage.parts.iter().map(|part| part.seconds).sum::<f64>() > stage.response * 1.05
    };
    if splits.iter().any(|stage| overlap(&stage)) {
        broken.push("parts overlap: they rank and do not add up to the response time".to_owned());
    }
    let unbalanced = stages
        .iter()
        .filter(|stage| stage.throughput < stage.offered * (1.0 - FLOW_BALANCE))
        .count();
    if unbalanced > 0 {
        broken.push(format!(
            "in {unbalanced} of {} stages fewer requests ended than began, so a queue grew: their \
             parts are those of the growing queue",
            stages.len()
        ));
    }
    if facts.database_is_watched() && facts.windows(Span::Knee).len() == 1 {
        broken.push("only one stage at or beyond the knee: its parts may be chance".to_owned());
    }
    broken
}
