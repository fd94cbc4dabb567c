//! Follows the time along the chain of services, and names the cause at the last one in which it
//! still lies.
//!
//! From the target on: where waiting for one peer holds most of what the time in a service gained, and
//! that peer is a service that was looked into, the search goes on there. The rules then judge that
//! service by its own series. A fault that they find further in is the cause, and the wait for the
//! service on the way there follows from it.

use std::collections::BTreeSet;

use crate::diagnose::measure::facts::{Facts, Narrow};
use crate::diagnose::measure::peers::postgres_url;
use crate::diagnose::measure::pools;
use crate::diagnose::measure::services::{Service, Services};
use crate::diagnose::measure::signal::Signal;
use crate::diagnose::measure::split::{self, Split, split};
use crate::diagnose::rules::layer::{Layer, Resource};
use crate::diagnose::rules::order::follows;
use crate::diagnose::rules::rule::{ConditionRole, Rule, RuleRole};
use crate::diagnose::rules::ruleset::RuleSet;
use crate::diagnose::rules::ruling::{self, Ruling};
use crate::diagnose::terms::account::{Chain, Hop};
use crate::diagnose::terms::bounds;
use crate::diagnose::terms::model::{
    Confidence, Evidence, Finding, FindingRole, Knee, StageSummary, Windows,
};
use crate::diagnose::terms::operand::{Operand, Over, bare, labelled};
use crate::diagnose::terms::part::PartKind;
use crate::diagnose::terms::span::Span;
use crate::diagnose::terms::wording;
use crate::recording::Recording;
use crate::timeline::{MetricSpec, Selector, Unit, names};

use super::lacking::Sources;
use super::rank::Ranked;
use super::{predict, rank, retell};

/// What the target is called among the services.
const TARGET: &str = "the target";
/// The search goes on at a peer that holds this share of the growth.
const HOLDS_THE_GROWTH: f64 = bounds::EXPLAINS_MOST.value;
/// Calls in flight from which on they can be pinned: one, less what changes between two looks.
const A_PINNED_CALL: f64 = 0.8;
/// How much evidence about the inside of a service is told with the wait for it.
const MOST_INSIDE: usize = 2;
/// Series of the load that say what arrives at the door of the target and no service behind it.
const OF_THE_LOAD: [&str; 3] =
    [names::LOAD_OFFERED.name, names::LOAD_THROUGHPUT.name, names::LOAD_IN_FLIGHT.name];

/// One service of the chain and its facts.
struct Step<'s> {
    service: &'s Service,
    facts: Facts<'s>,
}

/// The services of a recording, and the way that the time leads through them.
pub struct Walk<'s> {
    services: &'s Services,
    steps: Vec<Step<'s>>,
    /// The steps on the way of the time, from the target on.
    way: Vec<usize>,
    /// Where the way ended, and why.
    ends: String,
}

/// What a peer is to the search.
enum Next {
    /// A service that was looked into.
    Service(usize),
    /// Something else, and what would open it.
    Closed(String),
    /// The time lies in the service itself.
    Inside,
    /// The service was not seen while it mattered.
    Unseen,
}

impl<'s> Walk<'s> {
    /// Follows the growth of the response time from the target on.
    pub fn new(
        recording: &Recording,
        services: &'s Services,
        windows: &'s Windows,
        target: &Facts,
    ) -> Self {
        let step = |service: &'s Service| {
            let facts = Facts::of_service(recording, &service.timeline, windows);
            Step { service, facts: split::with_growth(pools::with_pools(facts)) }
        };
        let steps: Vec<Step> = services.all.iter().map(step).collect();
        let mut walk = Walk { services, steps, way: Vec::new(), ends: String::new() };
        walk.ends = loop {
            let at = walk.way.last().map(|index| &walk.steps[*index]);
            let (name, facts) =
                at.map_or((TARGET, target), |step| (step.service.name.as_str(), &step.facts));
            match walk.next(facts) {
                Next::Service(index) if !walk.way.contains(&index) => walk.way.push(index),
                Next::Service(_) => break "the services call each other in a circle".to_owned(),
                Next::Closed(why) => break why,
                Next::Inside => break inside(name, facts),
                Next::Unseen => {
                    break format!(
                        "{name} was not seen at the knee, so the time may lie in what it calls"
                    );
                }
            }
        };
        walk
    }

    /// Where the time that `facts` gained lies.
    fn next(&self, facts: &Facts) -> Next {
        let Some(growth) = facts.growth() else { return self.next_at_the_knee(facts) };
        let peers: BTreeSet<&str> =
            growth.parts.iter().filter_map(|gain| gain.peer.as_deref()).collect();
        let share = |peer: &str| {
            let shares = [
                growth.share(&[PartKind::Downstream], Some(peer)),
                growth.held_share(&[PartKind::Downstream], Some(peer)),
            ];
            shares.into_iter().flatten().fold(0.0, f64::max)
        };
        let by_share = |a: &(f64, &str), b: &(f64, &str)| a.0.total_cmp(&b.0);
        let most = peers.iter().map(|peer| (share(peer), *peer)).max_by(by_share);
        let holds = most
            .filter(|(share, _)| *share >= HOLDS_THE_GROWTH)
            .filter(|(_, peer)| !has_more_calls(facts, peer) && !leaves_answers(facts, peer));
        // Else the queue for a pool that is full of slow calls may hold it.
        let slow = || peers.iter().copied().find(|peer| is_full_of_slow_calls(facts, peer));
        // Or the queue for the one connection to a service that has no CPU left.
        let full = || {
            let is_full = |peer: &&str| self.index_of(peer).is_some_and(|at| self.lacks_cpu(at));
            let are_pinned = |peer: &&str| {
                pinned_calls(facts, peer).is_some_and(|pinned| pinned >= A_PINNED_CALL)
            };
            peers.iter().copied().filter(is_full).find(are_pinned)
        };
        let Some(peer) = holds.map(|(_, peer)| peer).or_else(slow).or_else(full) else {
            return Next::Inside;
        };
        self.at(peer)
    }

    /// The same of a service that was not seen at low load: what it gained cannot be told, and what a
    /// request waits for at the knee can.
    fn next_at_the_knee(&self, facts: &Facts) -> Next {
        let Some(knee) = split(facts, &facts.nearest_the_knee()) else { return Next::Unseen };
        let waits = knee.parts.iter().filter(|part| part.kind == PartKind::Downstream);
        let most = waits.max_by(|a, b| a.seconds.total_cmp(&b.seconds));
        let holds = most.filter(|part| part.seconds >= HOLDS_THE_GROWTH * knee.response);
        let peer = holds.and_then(|part| part.peer.as_deref());
        match peer.filter(|peer| !leaves_answers(facts, peer)) {
            Some(peer) => self.at(peer),
            None => Next::Inside,
        }
    }

    fn at(&self, peer: &str) -> Next {
        match self.index_of(peer) {
            Some(index) => Next::Service(index),
            None => Next::Closed(self.closed(peer)),
        }
    }

    fn index_of(&self, peer: &str) -> Option<usize> {
        let called = self.services.called(peer)?;
        self.steps.iter().position(|step| step.service.name == called.name)
    }

    /// Whether a service, or the thread that does its work, is full. Its calls may then be as quick
    /// as at low load: a client that sends them over one connection keeps the queue to itself.
    fn lacks_cpu(&self, at: usize) -> bool {
        let facts = &self.steps[at].facts;
        let level = |metric| facts.metric(metric, &facts.windows(Span::Knee));
        let thread = level(&names::PROCESS_THREAD_BUSIEST);
        let used = level(&names::PROCESS_CPU_TIME).zip(level(&names::PROCESS_CPU_ALLOWED));
        thread.is_some_and(|cores| cores >= bounds::FULL_THREAD.value)
            || used.is_some_and(|(used, allowed)| used >= bounds::FULL_TARGET.value * allowed)
    }

    /// What would open a peer that was not looked into.
    fn closed(&self, peer: &str) -> String {
        match self.services.why_closed(peer) {
            Some(why) => format!("{peer} cannot be looked into: {why}"),
            None => format!(
                "{peer} was not looked into: it is not on the target's machine, or in another network \
                 namespace; run a kneepoint agent on its host"
            ),
        }
    }

    /// What is known of the service of this name.
    pub fn facts_of(&self, service: &str) -> Option<&Facts<'s>> {
        let step = self.steps.iter().find(|step| step.service.name == service);
        step.map(|step| &step.facts)
    }

    /// Whether any service was looked into.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Puts the findings of the services on the way in their place among those of the target.
    pub fn accuse(
        &self,
        ranked: &mut Ranked,
        rules: &RuleSet,
        stages: &[StageSummary],
        knee: &Knee,
        sources: &Sources<'_>,
    ) {
        ranked.caveats.extend(self.full_forwarders());
        let findings = &mut ranked.findings;
        let mut levels: Vec<Vec<Finding>> = Vec::new();
        for index in &self.way {
            let step = &self.steps[*index];
            let rulings: Vec<Ruling> = rules
                .rules()
                .iter()
                .filter(|rule| applies(rule, step.service))
                .flat_map(|rule| ruling::rule_on(rule, &step.facts))
                .collect();
            let mut found = rank::rank(&rulings, Some(knee), sources).findings;
            predict::foresee(&mut found, rules, &step.facts, stages, knee);
            levels.push(found);
        }
        // That something in a service limits it is told with the wait for that service.
        let unknown = |finding: &Finding| {
            let rule = rules.rules().iter().find(|rule| rule.id == finding.rule);
            rule.is_some_and(|rule| rule.resource == Resource::Unknown)
        };
        let mut inside: Vec<(usize, Finding)> = Vec::new();
        for (level, found) in levels.iter_mut().enumerate() {
            if found.first().is_some_and(unknown) {
                let service = self.steps[self.way[level]].service;
                inside.push((self.way[level], retell::of_service(found.remove(0), service)));
                found.clear();
            }
        }
        // A mere possibility further in does not replace what is known further out.
        let sure = |found: &Vec<Finding>| {
            found.first().is_some_and(|first| first.confidence >= Confidence::Medium)
        };
        let known = findings
            .iter()
            .any(|it| it.role == FindingRole::Cause && it.confidence >= Confidence::Medium);
        let last = levels.iter().rposition(sure);
        let last = last.or_else(|| levels.iter().rposition(|it| !it.is_empty() && !known));
        let inner = last.map_or_else(Vec::new, |last| self.of_level(last, &mut levels));
        let apart = findings.iter().position(|it| it.role == FindingRole::Apart);
        let mut outer: Vec<Finding> = findings.drain(..apart.unwrap_or(findings.len())).collect();
        if let (Some(cause), Some(last)) = (inner.first(), last) {
            let cause = cause.rule.clone();
            let mut between = Vec::new();
            for level in (0..last).rev() {
                let to = self.steps[self.way[level + 1]].service;
                let found = self.of_level(level, &mut levels);
                between.extend(subordinate(found, to, &cause, rules));
            }
            let first = self.steps[self.way[0]].service;
            outer = subordinate(outer, first, &cause, rules);
            outer = between.into_iter().chain(outer).collect();
        }
        let told = inner.into_iter().chain(outer).collect::<Vec<_>>();
        findings.splice(0..0, told);
        self.tell_peers(findings, rules, &inside);
        let named: BTreeSet<&str> = findings.iter().map(|it| it.rule.as_str()).collect();
        ranked.ruled_out.retain(|entry| !named.contains(entry.rule.as_str()));
        ranked.not_checked.retain(|entry| !named.contains(entry.rule.as_str()));
    }

    /// The findings of one service on the way, told as of that service.
    fn of_level(&self, level: usize, levels: &mut [Vec<Finding>]) -> Vec<Finding> {
        let step = &self.steps[self.way[level]];
        let found = std::mem::take(&mut levels[level]);
        let mut found: Vec<Finding> =
            found.into_iter().map(|it| retell::of_service(it, step.service)).collect();
        if let (Some(first), Some(evidence)) = (found.first_mut(), holds_the_time(step)) {
            first.evidence.insert(0, evidence);
        }
        found
    }

    /// Adds what is known of the services to the findings about waiting for them, and what would
    /// tell more.
    fn tell_peers(&self, findings: &mut [Finding], rules: &RuleSet, inside: &[(usize, Finding)]) {
        for finding in findings.iter_mut() {
            let rule = rules.rules().iter().find(|rule| rule.id == finding.rule);
            let subject = finding.subject.clone().filter(|_| {
                rule.is_some_and(|rule| rule.layer == Layer::Peer)
                    && finding.role != FindingRole::Apart
            });
            let of_service =
                self.steps.iter().find(|step| Some(&step.service.name) == finding.service.as_ref());
            let index = subject.as_deref().and_then(|peer| self.index_of(peer));
            let step = index.map(|index| &self.steps[index]);
            finding.evidence.extend(step.and_then(cpu));
            if let Some((_, found)) = inside.iter().find(|(of, _)| Some(*of) == index) {
                finding.evidence.extend(found.evidence.iter().take(MOST_INSIDE).cloned());
                finding.next += &format!(" {}: {}", found.title, found.next);
            }
            let is_first = matches!(finding.role, FindingRole::Cause | FindingRole::Contributing);
            if let Some(about) = step.or(of_service).filter(|_| is_first)
                && about.service.is_postgres()
                && !about.facts.database_is_watched()
            {
                finding.next += &format!(" {}", sessions_of(about.service));
            } else if let (Some(peer), true, None) = (&subject, is_first, step) {
                finding.next += &format!(" The chain ends here: {}.", self.closed(peer));
            }
        }
    }

    /// What passes the load on to the target and has no CPU left for more.
    fn full_forwarders(&self) -> impl Iterator<Item = String> {
        let all = self.steps.iter().enumerate();
        let full = all.filter(|(at, step)| step.service.is_forwarder && self.lacks_cpu(*at));
        full.map(|(_, step)| {
            format!(
                "{}, which passes the load on to the target, has no CPU left at the knee: send the \
                 load to the target's own address to leave it out",
                step.service.name
            )
        })
    }

    /// The chain as a report shows it.
    pub fn chain(
        &self,
        target: &Facts,
        rules: &RuleSet,
        is_bent: bool,
        first: Option<&Finding>,
    ) -> Chain {
        let mut hops = vec![hop(TARGET, target, None, 0, true)];
        let mut told = BTreeSet::new();
        let stop = first.and_then(|first| self.stops_at(first, rules));
        let way = &self.way[..stop.map_or(self.way.len(), |stop| stop + 1)];
        self.add_called(target, TARGET, 1, &mut told, &mut hops);
        let followed: BTreeSet<&str> =
            way.iter().map(|index| self.steps[*index].service.name.as_str()).collect();
        for hop in hops.iter_mut().skip(1) {
            hop.is_followed = followed.contains(hop.service.as_str());
        }
        for step in self.steps.iter().filter(|step| step.service.is_forwarder) {
            let name = format!("{}, passes the load on", step.service.name);
            hops.push(hop(&name, &step.facts, None, 0, false));
        }
        let ends = match stop {
            _ if !is_bent => String::new(),
            Some(stop) => self.stopped(stop),
            None => self.ends.clone(),
        };
        Chain { hops, ends }
    }

    /// The place on the way of the service that a cause lies in, where the time was followed further
    /// than that and no limit was found there. A service that only waits for the next one is no such
    /// place.
    fn stops_at(&self, cause: &Finding, rules: &RuleSet) -> Option<usize> {
        let rule = rules.rules().iter().find(|rule| rule.id == cause.rule)?;
        let is_its_own = cause.role == FindingRole::Cause && rule.layer != Layer::Peer;
        let service = cause.service.as_ref().filter(|_| is_its_own)?;
        let place = |index: &usize| self.steps[*index].service.name == *service;
        self.way.iter().position(place).filter(|place| place + 1 < self.way.len())
    }

    fn stopped(&self, stop: usize) -> String {
        let name = |place: usize| self.steps[self.way[place]].service.name.as_str();
        format!(
            "the cause lies in {}: calls to {} got slower too, and no limit was found there",
            name(stop),
            name(stop + 1)
        )
    }

    /// Adds the services that `caller` calls, each followed by those that it calls.
    fn add_called(
        &self,
        facts: &Facts,
        caller: &str,
        depth: u32,
        told: &mut BTreeSet<usize>,
        hops: &mut Vec<Hop>,
    ) {
        let sockets = [bare(&names::TCP_CALLS), bare(&names::TCP_SOCKETS)];
        let sockets: Vec<_> = sockets.iter().collect();
        let peers = facts.label_values(&sockets, "peer");
        let called: BTreeSet<usize> = peers.iter().filter_map(|peer| self.index_of(peer)).collect();
        for index in called {
            if !told.insert(index) {
                continue;
            }
            let step = &self.steps[index];
            hops.push(hop(&step.service.name, &step.facts, Some(caller), depth, false));
            self.add_called(&step.facts, &step.service.name, depth + 1, told, hops);
        }
    }
}

/// That the search ends in the service `name`, and what it calls where that is not known.
fn inside(name: &str, facts: &Facts) -> String {
    let uncounted = facts.uncounted_peers();
    if uncounted.is_empty() {
        return format!("the time lies in {name}, not in what it calls");
    }
    format!(
        "the time lies in {name}, or in what it calls over UNIX connections that stay open: how many \
         calls are under way to {} cannot be counted",
        uncounted.join(", ")
    )
}

/// Whether a request waits longer for a peer only because it calls it more often: the peer answers
/// each call as quickly as at low load.
fn has_more_calls(facts: &Facts, peer: &str) -> bool {
    growth_of_a_call(facts, peer).is_some_and(|grown| grown < bounds::UNCHANGED.value)
}

/// Whether most calls to a peer are answered and the caller has not read that: it lacks the time, and
/// the peer does not.
fn leaves_answers(facts: &Facts, peer: &str) -> bool {
    let unread = all_of(labelled(&names::TCP_UNREAD, &[("role", "outbound")]));
    let share = Signal::Ratio(unread, all_of(bare(&names::TCP_CALLS)));
    let share = share.measure(facts, Span::Knee, &to(peer));
    share.is_some_and(|share| share.value >= bounds::MOST.value)
}

/// Whether calls to a peer fill a pool because each takes longer, and not because the caller has no
/// time to read the answers.
fn is_full_of_slow_calls(facts: &Facts, peer: &str) -> bool {
    pinned_calls(facts, peer).is_some_and(|pinned| pinned >= 1.0)
        && growth_of_a_call(facts, peer).is_some_and(|grown| grown >= bounds::MUCH_SLOWER.value)
        && !leaves_answers(facts, peer)
}

/// How many calls to a peer are in flight from the knee on, where there are never more.
fn pinned_calls(facts: &Facts, peer: &str) -> Option<f64> {
    let pinned = Signal::Pinned(all_of(bare(&names::TCP_CALLS)));
    pinned.measure(facts, Span::Knee, &to(peer)).map(|pinned| pinned.value)
}

/// How many times as long as at low load a call to a peer takes.
fn growth_of_a_call(facts: &Facts, peer: &str) -> Option<f64> {
    let per_call = Signal::PerCall(all_of(bare(&names::TCP_CALLS)));
    let grown = Signal::Growth(Box::new(per_call)).measure(facts, Span::Knee, &to(peer));
    grown.map(|grown| grown.value)
}

fn all_of(selector: Selector) -> Operand {
    Operand { selectors: vec![selector], over: Over::Sum, by: None }
}

fn to(peer: &str) -> [Narrow; 1] {
    [Narrow { label: "peer".to_owned(), value: peer.to_owned() }]
}

/// Whether a rule can be asked of a service: not where it is about the load at the target's door, and of
/// a database only whether it lacks CPU.
fn applies(rule: &Rule, service: &Service) -> bool {
    let is_of_load = |metric: &str| metric.starts_with("load.") && !OF_THE_LOAD.contains(&metric);
    let requires_load = rule.tests().into_iter().any(|(role, test)| {
        let mut metrics = test.signal.selectors().into_iter().map(|it| it.metric.as_str());
        role == ConditionRole::Require && metrics.any(is_of_load)
    });
    let is_cpu = matches!(rule.resource, Resource::Cpu | Resource::Quota | Resource::Thread);
    rule.role == RuleRole::Limit && !requires_load && (is_cpu || !service.is_database)
}

/// The findings of a service that the way of the time leads through to `to`: waiting for it, and
/// what follows from waiting, follow from the cause.
fn subordinate(findings: Vec<Finding>, to: &Service, cause: &str, rules: &RuleSet) -> Vec<Finding> {
    let rule_of = |finding: &Finding| rules.rules().iter().find(|rule| rule.id == finding.rule);
    let waits = |finding: &Finding| {
        rule_of(finding).is_some_and(|rule| rule.layer == Layer::Peer)
            && finding.subject.as_deref().is_some_and(|peer| to.is_called(peer))
    };
    let waiting: Vec<&Rule> = rules.rules().iter().filter(|it| it.layer == Layer::Peer).collect();
    let place = |finding: Finding| match finding.role {
        FindingRole::Cause | FindingRole::Contributing => {
            let is_outside = rule_of(&finding)
                .is_some_and(|rule| waiting.iter().any(|other| follows(rule, other)));
            if waits(&finding) || is_outside {
                rank::consequence(finding, cause.to_owned())
            } else {
                Finding { role: FindingRole::Contributing, ..finding }
            }
        }
        FindingRole::Consequence { .. } | FindingRole::Apart => finding,
    };
    findings.into_iter().map(place).collect()
}

/// What to type to see the sessions of a PostgreSQL server.
fn sessions_of(service: &Service) -> String {
    let address = service.addresses.first().map_or("127.0.0.1:5432", String::as_str);
    let url = postgres_url("USER", address, "DATABASE");
    format!("{address} is PostgreSQL: add `--postgres {url}` to see its sessions.")
}

/// How long a request is in a service.
fn holds_the_time(step: &Step) -> Option<Evidence> {
    let seconds = |span| Some(split(&step.facts, &step.facts.windows(span))?.response);
    let (knee, baseline) = (seconds(Span::Knee)?, seconds(Span::Baseline));
    let low = baseline.map(|low| format!(", {} at low load", wording::duration(low)));
    let text = format!(
        "a request spends {} in {}{}",
        wording::duration(knee),
        step.service.name,
        low.unwrap_or_default()
    );
    Some(seen(text, &names::TCP_REQUESTS, (knee, baseline), Unit::Seconds))
}

/// How much CPU a service uses.
fn cpu(step: &Step) -> Option<Evidence> {
    let used = |span| step.facts.metric(&names::PROCESS_CPU_TIME, &step.facts.windows(span));
    let (knee, baseline) = (used(Span::Knee)?, used(Span::Baseline));
    let allowed =
        step.facts.metric(&names::PROCESS_CPU_ALLOWED, &step.facts.windows(Span::Knee))?;
    let low = baseline.map(|low| format!(" ({} at low load)", wording::cores(low)));
    let text = format!(
        "{} uses {} of the {} that it may use{}",
        step.service.name,
        wording::cores(knee),
        wording::cores(allowed),
        low.unwrap_or_default()
    );
    Some(seen(text, &names::PROCESS_CPU_TIME, (knee, baseline), Unit::Cores))
}

/// What was measured of a service at the knee and at low load, as evidence that no bound judges.
fn seen(
    text: String,
    metric: &MetricSpec,
    (knee, baseline): (f64, Option<f64>),
    unit: Unit,
) -> Evidence {
    Evidence {
        text,
        signal: format!("{}{}", names::CHAIN, metric.name),
        window: Span::Knee.key().to_owned(),
        value: Some(knee),
        baseline,
        bound: String::new(),
        unit,
        holds: Some(true),
        series: Vec::new(),
    }
}

/// One hop as a report shows it.
fn hop(name: &str, facts: &Facts, called_by: Option<&str>, depth: u32, is_followed: bool) -> Hop {
    let knee = split(facts, &facts.nearest_the_knee());
    let waits = |split: &Split| {
        let kinds = [PartKind::Downstream, PartKind::PeerConnect];
        let waiting = split.parts.iter().filter(|part| kinds.contains(&part.kind));
        waiting.map(|part| part.seconds).sum::<f64>().min(split.response)
    };
    Hop {
        service: name.to_owned(),
        called_by: called_by.map(str::to_owned),
        depth,
        baseline: split(facts, &facts.windows(Span::Baseline)).map(|split| split.response),
        waits: knee.as_ref().map(waits),
        knee: knee.map(|split| split.response),
        cores: facts.metric(&names::PROCESS_CPU_TIME, &facts.nearest_the_knee()),
        is_followed,
    }
}

#[cfg(test)]
mod tests;
