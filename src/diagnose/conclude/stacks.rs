//! Ends a finding in the line of code: where the threads wait, who holds the lock, what uses the
//! processor.

use std::collections::BTreeMap;

use crate::diagnose::measure::facts::Facts;
use crate::diagnose::rules::layer::Resource;
use crate::diagnose::rules::ruleset::RuleSet;
use crate::diagnose::terms::bounds;
use crate::diagnose::terms::model::{Finding, FindingRole};
use crate::diagnose::terms::operand::bare;
use crate::diagnose::terms::span::Span;
use crate::diagnose::terms::stacks::{FoldedStack, HotFunction, Stacks, ThreadPlace};
use crate::diagnose::terms::wording::{number, percent};
use crate::timeline::{Labels, MetricSpec, Window, names};

use super::chain::Walk;

/// Places, functions and stacks that a diagnosis keeps.
const MOST_PLACES: usize = 12;
const MOST_FUNCTIONS: usize = 12;
const MOST_STACKS: usize = 80;
/// Lines of code that one finding names.
const MOST_LINES: usize = 3;
/// Share of the processor time from which a function is worth naming.
const HOT: f64 = 0.1;
/// Share of the threads with work from which a place is worth naming.
const CROWDED: f64 = 0.3;
/// Threads that have nothing to do.
const IDLE: &str = "idle";

/// The level of each set of labels at low load (`None` where nobody looked) and at the knee.
type Levels = BTreeMap<Labels, (Option<f64>, f64)>;

/// What the stacks say; `None` where nobody read them at the knee.
fn stacks(facts: &Facts<'_>) -> Option<Stacks> {
    let (low, knee) = (facts.windows(Span::Baseline), facts.windows(Span::Knee));
    let looks = |windows: &[Window]| facts.looks(names::STACKS_THREADS.name, windows) as u64;
    let (looks_low, looks_knee) = (looks(&low), looks(&knee));
    if looks_knee == 0 {
        return None;
    }
    let levels = |metric| levels(facts, metric, (looks_low > 0).then_some(low.as_slice()), &knee);
    let mut threads = levels(&names::STACKS_THREADS);
    threads.retain(|labels, _| labels.get("state") != Some(IDLE));
    let cpu = levels(&names::STACKS_CPU);
    let (busy_low, busy_knee) = sums(threads.values());
    let (cores_low, cores_knee) = sums(cpu.values());
    let looked = |sum: f64| (looks_low > 0).then_some(sum);
    Some(Stacks {
        service: None,
        looks_low,
        looks_knee,
        busy_low: looked(busy_low),
        busy_knee,
        places: places(&threads),
        cores_low: looked(cores_low),
        cores_knee,
        functions: functions(&cpu),
        folded: folded(&cpu),
    })
}

fn levels(
    facts: &Facts<'_>,
    metric: &MetricSpec,
    low: Option<&[Window]>,
    knee: &[Window],
) -> Levels {
    let selector = bare(metric);
    let mut levels = Levels::new();
    for (key, value) in facts.levels(&selector, knee, &[]) {
        levels.entry(key.labels).or_insert((low.map(|_| 0.0), 0.0)).1 += value;
    }
    for (key, value) in low.into_iter().flat_map(|low| facts.levels(&selector, low, &[])) {
        let level = levels.entry(key.labels).or_insert((Some(0.0), 0.0));
        level.0 = Some(level.0.unwrap_or(0.0) + value);
    }
    levels
}

fn sums<'l>(levels: impl Iterator<Item = &'l (Option<f64>, f64)>) -> (f64, f64) {
    levels.fold((0.0, 0.0), |sum, level| (sum.0 + level.0.unwrap_or(0.0), sum.1 + level.1))
}

/// The sum of levels, and for each part of one name how much of the knee it holds.
#[derive(Default)]
struct Group {
    low: Option<f64>,
    knee: f64,
    names: BTreeMap<String, f64>,
    others: BTreeMap<String, f64>,
}

impl Group {
    fn add(&mut self, (low, knee): (Option<f64>, f64), name: Option<&str>, other: Option<&str>) {
        self.low = low.map(|low| self.low.unwrap_or(0.0) + low).or(self.low);
        self.knee += knee;
        let weight = knee + low.unwrap_or(0.0) * 1e-3;
        for (names, name) in [(&mut self.names, name), (&mut self.others, other)] {
            if let Some(name) = name {
                *names.entry(name.to_owned()).or_default() += weight;
            }
        }
    }
}

/// The name with the largest weight.
fn heaviest(names: &BTreeMap<String, f64>) -> Option<String> {
    let most = names.iter().max_by(|a, b| a.1.total_cmp(b.1).then_with(|| b.0.cmp(a.0)));
    most.map(|(name, _)| name.clone())
}

fn places(threads: &Levels) -> Vec<ThreadPlace> {
    let mut groups: BTreeMap<[&str; 4], Group> = BTreeMap::new();
    for (labels, level) in threads {
        let label = |name| labels.get(name).unwrap_or_default();
        let key = [label("runtime"), label("state"), label("function"), label("at")];
        let group = groups.entry(key).or_default();
        group.add(*level, labels.get("held_at"), labels.get("near_at"));
    }
    let place = |([runtime, state, function, at], group): ([&str; 4], Group)| ThreadPlace {
        runtime: runtime.to_owned(),
        state: state.to_owned(),
        function: function.to_owned(),
        at: at.to_owned(),
        held_at: heaviest(&group.names),
        near_at: heaviest(&group.others),
        low: group.low,
        knee: group.knee,
    };
    let mut places: Vec<ThreadPlace> = groups.into_iter().map(place).collect();
    places.sort_by(|a, b| b.knee.total_cmp(&a.knee));
    places.truncate(MOST_PLACES);
    places
}

fn functions(cpu: &Levels) -> Vec<HotFunction> {
    let mut groups: BTreeMap<&str, Group> = BTreeMap::new();
    for (labels, level) in cpu {
        let function = labels.get("function").unwrap_or_default();
        groups.entry(function).or_default().add(*level, labels.get("at"), None);
    }
    let hot = |(function, group): (&str, Group)| HotFunction {
        function: function.to_owned(),
        at: heaviest(&group.names).unwrap_or_default(),
        low: group.low,
        knee: group.knee,
    };
    let mut functions: Vec<HotFunction> = groups.into_iter().map(hot).collect();
    functions.sort_by(|a, b| b.knee.total_cmp(&a.knee));
    functions.truncate(MOST_FUNCTIONS);
    functions
}

fn folded(cpu: &Levels) -> Vec<FoldedStack> {
    let mut groups: BTreeMap<&str, Group> = BTreeMap::new();
    for (labels, level) in cpu {
        let stack = labels.get("stack").or(labels.get("function")).unwrap_or_default();
        groups.entry(stack).or_default().add(*level, None, None);
    }
    let stack = |(stack, group): (&str, Group)| FoldedStack {
        functions: stack.split(';').map(str::to_owned).collect(),
        low: group.low,
        knee: group.knee,
    };
    let mut stacks: Vec<FoldedStack> = groups.into_iter().map(stack).collect();
    stacks.sort_by(|a, b| b.knee.total_cmp(&a.knee));
    stacks.truncate(MOST_STACKS);
    stacks
}

/// Adds to each finding that bends the curve where it shows in the code, and gives what the stacks
/// say on the whole, of the service behind the target that limits it or else of the target; `None`
/// where nobody read them at the knee.
pub fn name_lines(
    findings: &mut [Finding],
    rules: &RuleSet,
    target: &Facts<'_>,
    walk: &Walk<'_>,
) -> Option<Stacks> {
    let of_target = stacks(target);
    let mut of_cause = None;
    for finding in findings {
        if !matches!(finding.role, FindingRole::Cause | FindingRole::Contributing) {
            continue;
        }
        let facts = finding.service.as_deref().and_then(|service| walk.facts_of(service));
        let of_service = facts
            .and_then(stacks)
            .map(|stacks| Stacks { service: finding.service.clone(), ..stacks });
        let own = if finding.service.is_some() { &of_service } else { &of_target };
        if let (Some(rule), Some(stacks)) = (rules.find(&finding.rule), own) {
            finding.code = lines(&rule.resource, stacks);
        }
        if finding.role == FindingRole::Cause {
            of_cause = of_cause.or(of_service);
        }
    }
    of_cause.or(of_target)
}

fn lines(resource: &Resource, stacks: &Stacks) -> Vec<String> {
    match resource {
        Resource::Cpu | Resource::Quota => hot(stacks),
        Resource::Thread => {
            let mut lines = hot(stacks);
            lines.extend(crowd(stacks, &["interpreter"]));
            lines
        }
        Resource::Lock => {
            let lock = crowd(stacks, &["lock"]);
            if lock.is_empty() { crowd(stacks, &["lock", "wait"]) } else { lock }
        }
        Resource::Workers
        | Resource::Slots
        | Resource::Admissions
        | Resource::Pool
        | Resource::Pooler
        | Resource::Calls
        | Resource::Database
        | Resource::Sessions
        | Resource::Peer
        | Resource::Backlog
        | Resource::Unknown
        | Resource::Own(_) => crowd(stacks, &["lock", "wait", "io", "sleep"]),
        Resource::Heap
        | Resource::Memory
        | Resource::Disk
        | Resource::Network
        | Resource::Descriptors
        | Resource::Rate
        | Resource::Generator
        | Resource::Nothing => Vec::new(),
    }
}

/// The functions that use the processor.
fn hot(stacks: &Stacks) -> Vec<String> {
    let functions = stacks.functions.iter().filter(|function| !function.at.is_empty());
    let hot = functions.filter(|function| stacks.share_knee(function.knee) >= HOT);
    hot.take(MOST_LINES)
        .map(|function| {
            let low = match stacks.share_low(function.low) {
                Some(share) => format!("{} at low load", percent(share)),
                None => "at low load too little computed to tell".to_owned(),
            };
            format!(
                "{} of the CPU time is spent in {} at {} ({low})",
                percent(stacks.share_knee(function.knee)),
                function.function,
                function.at
            )
        })
        .collect()
}

/// The places in which many threads stand that wait, more of them than at low load.
fn crowd(stacks: &Stacks, states: &[&str]) -> Vec<String> {
    let crowded = |place: &&ThreadPlace| {
        states.contains(&place.state.as_str())
            && !place.at.is_empty()
            && place.knee >= bounds::SEVERAL.value
            && place.knee >= CROWDED * stacks.busy_knee
            && place.low.is_none_or(|low| place.knee >= bounds::SLOWER.value * low)
    };
    stacks
        .places
        .iter()
        .filter(crowded)
        .take(MOST_LINES)
        .map(|place| crowd_at(stacks, place))
        .collect()
}

fn crowd_at(stacks: &Stacks, place: &ThreadPlace) -> String {
    let things = if place.runtime == "go" { "goroutines" } else { "threads" };
    let waits = match place.state.as_str() {
        "lock" => "wait for a lock",
        "interpreter" => "wait for the interpreter lock",
        "io" => "wait for a socket or a file",
        "sleep" => "sleep",
        _ => "wait for another thread, a queue or a permit",
    };
    let low = match place.low {
        Some(low) => format!(" ({} at low load)", number(low)),
        None => String::new(),
    };
    let holder = match (&place.held_at, &place.near_at) {
        (Some(held), _) => format!("; the thread that holds it stands at {held}"),
        (None, Some(near)) => {
            format!("; in the same function, a thread that does not wait for it stands at {near}")
        }
        (None, None) => String::new(),
    };
    format!(
        "{} of {} {things} with work {waits} at {}, in {}{low}{holder}",
        number(place.knee),
        number(stacks.busy_knee),
        place.at,
        place.function
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(state: &str, at: &str, low: f64, knee: f64) -> ThreadPlace {
        ThreadPlace {
            runtime: "go".into(),
            state: state.into(),
            function: "add".into(),
            at: at.into(),
            held_at: None,
            near_at: None,
            low: Some(low),
            knee,
        }
    }

    fn read(places: Vec<ThreadPlace>) -> Stacks {
        Stacks {
            service: None,
            looks_low: 4,
            looks_knee: 4,
            busy_low: Some(2.0),
            busy_knee: places.iter().map(|place| place.knee).sum(),
            places,
            cores_low: Some(0.5),
            cores_knee: 2.0,
            functions: vec![HotFunction {
                function: "render".into(),
                at: "views.py:88".into(),
                low: Some(0.1),
                knee: 1.42,
            }],
            folded: Vec::new(),
        }
    }

    #[test]
    fn a_lock_is_named_by_its_waiters_and_its_holder() {
        let mut waiters = place("lock", "ledger.go:57", 0.0, 96.0);
        waiters.near_at = Some("ledger.go:60".into());
        let stacks = read(vec![waiters, place("running", "main.go:9", 1.0, 4.0)]);
        assert_eq!(
            lines(&Resource::Lock, &stacks),
            [
                "96 of 100 goroutines with work wait for a lock at ledger.go:57, in add (0 at low load); \
              in the same function, a thread that does not wait for it stands at ledger.go:60"
            ]
        );
    }

    #[test]
    fn a_hot_function_is_named_with_its_share_at_both_loads() {
        let stacks = read(vec![place("running", "views.py:88", 1.0, 4.0)]);
        assert_eq!(
            lines(&Resource::Cpu, &stacks),
            ["71 % of the CPU time is spent in render at views.py:88 (20 % at low load)"]
        );
    }

    #[test]
    fn threads_that_stood_there_at_low_load_too_are_not_accused() {
        let stacks = read(vec![place("io", "main.go:9", 8.0, 8.0)]);
        assert!(lines(&Resource::Workers, &stacks).is_empty());
        let one = read(vec![place("io", "main.go:9", 0.0, 1.0)]);
        assert!(lines(&Resource::Peer, &one).is_empty(), "one thread is not a crowd");
    }
}
