//! What a fix would bring: the capacity without the limit that was found, what binds next, and how
//! many connections or cores the load would need.
//!
//! The utilization law (Denning and Buzen 1978): a resource of which there are `m`, and of which a
//! request needs `D` seconds, carries at most `m / D` requests per second, and the least of
//! these is what the whole carries. `D` is taken below the knee, where nothing queues for anything.
//! Nothing is predicted from what was not measured, and nothing without its assumption.

use crate::diagnose::curve::stages::by_load;
use crate::diagnose::measure::facts::Facts;
use crate::diagnose::measure::level::level;
use crate::diagnose::measure::mean::MeanLevel;
use crate::diagnose::rules::layer::Resource as Exhausted;
use crate::diagnose::rules::rule::{PredictLimit, Rule};
use crate::diagnose::rules::ruleset::RuleSet;
use crate::diagnose::terms::bounds;
use crate::diagnose::terms::model::{
    Counterfactual, Finding, FindingRole, Knee, NextLimit, StageSummary,
};
use crate::diagnose::terms::operand::{Operand, bare, labelled};
use crate::diagnose::terms::part::PartKind;
use crate::diagnose::terms::span::Span;
use crate::diagnose::terms::wording;
use crate::timeline::{MetricSpec, Selector, Unit, Window, names};

use super::scaling;

mod beside;

/// What a request needs is the same at two loads where it differs by no more than this share.
const ALIKE: f64 = 0.2;
/// Two estimates differ where they are this many standard errors apart.
const SURE: f64 = 2.0;
/// A pool is used up where this share of it is in use.
const USED_UP: f64 = bounds::FULL_POOL.value;
/// A thread that does this share of the work of its process cannot pass it on to others.
const MOST_OF_THE_WORK: f64 = bounds::ONE_THREAD.value;
/// Two counts of connections in use are of the same ones where they differ by this share at most.
const SAME_COUNT: f64 = 0.2;
/// Share of the database's cores that may be busy in a prediction.
const BUSY_DATABASE: f64 = bounds::ROOMY_MACHINE.value;

/// States of sessions that are busy for a caller, whether they compute or wait for it.
const BUSY_STATES: [&str; 2] = ["active", "idle in transaction*"];

/// What a request needs of something there is only so much of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Resource {
    kind: Kind,
    /// As a report names it: `the target's CPU`.
    pub(super) name: String,
    /// Seconds of it that one request keeps busy, below the knee.
    pub(super) demand: f64,
    /// The same at low load, where that was measured.
    low: Option<f64>,
    /// Standard error of the difference of the two.
    difference_error: f64,
    /// How much of it there is.
    pub(super) limit: f64,
    pub(super) unit: Unit,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    TargetCpu,
    Thread,
    Pool,
    /// A pooler's connections to the database.
    Pooler,
    /// Places of a pool that holds no connections to a database.
    Slots,
    Workers,
    /// The cores of the machine, with all who use them.
    MachineCpu,
    DatabaseCpu,
    /// Connections that the database admits.
    Connections,
    /// What only a rule of the user's own knows, by its name.
    Own(String),
}

impl Resource {
    /// Whether there is more of it where the target has more instances: what the database has, a
    /// pooler's connections, and what only a user's rule knows, are shared.
    pub(super) fn is_of_an_instance(&self) -> bool {
        match self.kind {
            Kind::TargetCpu | Kind::Thread | Kind::Pool | Kind::Slots | Kind::Workers => true,
            Kind::Pooler | Kind::Own(_) => false,
            Kind::MachineCpu | Kind::DatabaseCpu | Kind::Connections => false,
        }
    }

    /// Share of it in use at which it is full, as the rules say.
    pub(super) fn full(&self) -> f64 {
        let bound = match self.kind {
            Kind::TargetCpu | Kind::DatabaseCpu => &bounds::FULL_TARGET,
            Kind::MachineCpu => &bounds::FULL_MACHINE,
            Kind::Thread => &bounds::FULL_THREAD,
            Kind::Connections => &bounds::FULL_LIMIT,
            Kind::Pool | Kind::Pooler | Kind::Slots | Kind::Workers | Kind::Own(_) => {
                &bounds::FULL_POOL
            }
        };
        bound.value
    }

    /// Requests per second at which it is used up.
    fn carries(&self) -> f64 {
        self.limit / self.demand
    }

    /// Whether a request needs the more of it the higher the load, by more than chance.
    fn grows(&self) -> bool {
        self.low.is_some_and(|low| {
            self.demand > low * (1.0 + ALIKE) && self.demand - low > SURE * self.difference_error
        })
    }

    fn describe(&self) -> NextLimit {
        NextLimit {
            name: self.name.clone(),
            demand: self.demand,
            limit: self.limit,
            unit: self.unit,
        }
    }

    /// On what a prediction with it rests.
    fn assumption(&self) -> String {
        let demand = seconds(self.demand);
        match self.low {
            Some(low) => format!(
                "a request still needs {demand} of {} ({} at low load)",
                self.name,
                seconds(low)
            ),
            None => format!("a request still needs {demand} of {}", self.name),
        }
    }
}

fn seconds(seconds: f64) -> String {
    wording::duration(seconds)
}

fn rate(per_second: f64) -> String {
    wording::rate(per_second)
}

/// The resource that is used up first.
fn bottleneck(resources: &[Resource]) -> Option<&Resource> {
    resources.iter().min_by(|a, b| a.carries().total_cmp(&b.carries()))
}

/// What a rule accuses: the resource that it names, and what of the time would go away.
struct Accused<'r> {
    resource: &'r Exhausted,
    /// Whether a capacity follows from what the rule measures of its resource.
    predicts: bool,
    /// Parts of the time in which a connection is held that would go away.
    held: Vec<PartKind>,
}

impl<'r> Accused<'r> {
    fn by(rule: &'r Rule) -> Self {
        let held = [PartKind::DbExecuting, PartKind::DbLockWait, PartKind::DbHeld];
        Accused {
            resource: &rule.resource,
            predicts: rule.predictions().next().is_some(),
            held: held.into_iter().filter(|part| rule.explains.contains(part)).collect(),
        }
    }

    /// Whether this is what the rule accuses, so that it no longer binds once the fault is gone.
    fn is(&self, kind: &Kind) -> bool {
        match kind {
            Kind::TargetCpu => matches!(self.resource, Exhausted::Cpu | Exhausted::Quota),
            Kind::Thread => {
                matches!(self.resource, Exhausted::Cpu | Exhausted::Quota | Exhausted::Thread)
            }
            // A pool is empty for what its connections do: once that is gone it still has a size.
            Kind::Pool => *self.resource == Exhausted::Pool && self.held.is_empty(),
            Kind::Pooler => *self.resource == Exhausted::Pooler && self.held.is_empty(),
            Kind::Slots => *self.resource == Exhausted::Slots,
            Kind::Workers => *self.resource == Exhausted::Workers,
            // A prediction of what binds next does not ask for these.
            Kind::MachineCpu | Kind::DatabaseCpu | Kind::Connections => false,
            Kind::Own(name) => *self.resource == Exhausted::Own(name.clone()),
        }
    }
}

/// Adds to each finding that limits anything what a fix would bring.
pub fn foresee(
    findings: &mut [Finding],
    rules: &RuleSet,
    facts: &Facts,
    stages: &[StageSummary],
    knee: &Knee,
) {
    let stages = by_load(stages);
    let Some(highest) = stages.last().map(|stage| stage.offered) else { return };
    let carried = stages.iter().map(|stage| stage.throughput).fold(knee.rate, f64::max);
    let run = Run::new(facts, rules, carried, highest);
    let limits = |finding: &&mut Finding| {
        matches!(finding.role, FindingRole::Cause | FindingRole::Contributing)
    };
    for finding in findings.iter_mut().filter(limits) {
        if let Some(rule) = rules.rules().iter().find(|rule| rule.id == finding.rule) {
            finding.counterfactuals = run.answers(&Accused::by(rule), finding.predicted_capacity);
        }
    }
}

/// Everything of which a demand and a limit were measured, with the demands of one window.
pub(super) fn resources_within(facts: &Facts, rules: &RuleSet, window: Window) -> Vec<Resource> {
    let below = vec![window];
    let run = Run { facts, rules, low: below.clone(), below, carried: 0.0, highest: 0.0 };
    let mut found = run.resources();
    found.extend(run.shared());
    found
}

/// A run, as predictions need it.
struct Run<'f> {
    facts: &'f Facts<'f>,
    rules: &'f RuleSet,
    /// Where demands are taken, and where they are compared with.
    below: Vec<Window>,
    low: Vec<Window>,
    /// Most requests per second that ended in a stage.
    carried: f64,
    /// Highest load that was offered, in requests per second.
    highest: f64,
}

impl<'f> Run<'f> {
    fn new(facts: &'f Facts<'f>, rules: &'f RuleSet, carried: f64, highest: f64) -> Self {
        let (approach, low) = (facts.windows(Span::Approach), facts.windows(Span::Baseline));
        let below = if approach.is_empty() { low.clone() } else { approach };
        Self { facts, rules, below, low, carried, highest }
    }

    fn answers(&self, accused: &Accused, own: Option<f64>) -> Vec<Counterfactual> {
        let mut answers = Vec::new();
        let others = self.others(accused);
        let next = bottleneck(&others);
        for kind in [Kind::Pool, Kind::Pooler] {
            if accused.is(&kind) {
                answers.extend(self.pool_needed(&kind));
            }
        }
        if accused.predicts && accused.is(&Kind::TargetCpu) {
            answers.extend(self.cores_needed());
        }
        if let Some(next) = next {
            answers.push(self.gone(next));
        }
        answers.extend(own.and_then(|own| halved(own, next)));
        answers
    }

    /// What is left to bind where the accused is gone.
    fn others(&self, accused: &Accused) -> Vec<Resource> {
        let mut others = self.resources();
        others.retain(|resource| !accused.is(&resource.kind));
        // A demand that grows with the load holds a queue for something else.
        others.retain(|resource| !resource.grows());
        let freed: f64 = accused.held.iter().filter_map(|part| self.database(*part)).sum();
        let is_pool = |resource: &&mut Resource| matches!(resource.kind, Kind::Pool | Kind::Pooler);
        for pool in others.iter_mut().filter(is_pool) {
            let whole = pool.demand;
            if freed <= 0.0 {
                continue;
            }
            pool.demand -= freed;
            pool.low = None;
            // What is left of a difference of two estimates that are nearly alike is noise.
            if pool.demand < ALIKE * whole {
                pool.demand = 0.0;
            }
        }
        // What would bind below a load that was carried does not bind there.
        others.retain(|resource| {
            let carries = resource.carries();
            resource.demand > 0.0 && carries.is_finite() && carries > self.carried
        });
        others
    }

    fn gone(&self, next: &Resource) -> Counterfactual {
        let carries = next.carries();
        let mut assumption =
            format!("{}, and nothing that was not measured is full before that", next.assumption());
        if carries > 2.0 * self.highest {
            assumption += &format!(
                "; this limit is far above the highest load of this run, {}",
                rate(self.highest)
            );
        }
        Counterfactual::Gone { carries, next: next.describe(), assumption }
    }

    /// Seconds per request of one part of the database's time, below the knee.
    fn database(&self, part: PartKind) -> Option<f64> {
        self.per_request(&level(self.facts, &part.sessions()?, &self.below)?, &self.below)
    }

    fn level(&self, metric: &MetricSpec, windows: &[Window]) -> Option<f64> {
        level(self.facts, &bare(metric), windows).map(|level| level.value)
    }

    /// The database's sessions that are busy for a caller.
    fn busy_sessions(&self, windows: &[Window]) -> Option<MeanLevel> {
        let mut sum = MeanLevel::default();
        for state in BUSY_STATES {
            let sessions = labelled(&names::DB_SESSIONS, &[("state", state)]);
            let one = level(self.facts, &sessions, windows)?;
            sum.value += one.value;
            sum.error = sum.error.hypot(one.error);
        }
        Some(sum)
    }

    fn per_request(&self, level: &MeanLevel, windows: &[Window]) -> Option<f64> {
        self.level_per_request(level, windows).map(|level| level.value)
    }

    fn level_per_request(&self, level: &MeanLevel, windows: &[Window]) -> Option<MeanLevel> {
        let throughput = self.facts.throughput(windows).filter(|throughput| *throughput > 0.0)?;
        Some(MeanLevel { value: level.value / throughput, error: level.error / throughput })
    }

    fn resource(
        &self,
        kind: Kind,
        (name, unit): (String, Unit),
        busy: impl Fn(&[Window]) -> Option<MeanLevel>,
        limit: f64,
    ) -> Option<Resource> {
        let demand = |windows: &[Window]| self.level_per_request(&busy(windows)?, windows);
        let low = (self.low != self.below).then(|| demand(&self.low)).flatten();
        let demand = demand(&self.below)?;
        (demand.value >= 0.0 && limit > 0.0).then(|| Resource {
            kind,
            name,
            demand: demand.value,
            difference_error: low.as_ref().map_or(0.0, |low| demand.error.hypot(low.error)),
            low: low.map(|low| low.value),
            limit,
            unit,
        })
    }

    /// Everything of which a demand and a limit were measured.
    fn resources(&self) -> Vec<Resource> {
        let run = self.facts.windows(Span::Run);
        let total = |metric: &MetricSpec| {
            let selector = bare(metric);
            move |windows: &[Window]| level(self.facts, &selector, windows)
        };
        let cpu = total(&names::PROCESS_CPU_TIME);
        let mut found = Vec::new();
        if let Some(allowed) = self.level(&names::PROCESS_CPU_ALLOWED, &run) {
            let name = ("the target's CPU".to_owned(), Unit::Cores);
            found.extend(self.resource(Kind::TargetCpu, name, &cpu, allowed));
        }
        let thread = total(&names::PROCESS_THREAD_BUSIEST);
        let name = ("the busiest thread".to_owned(), Unit::Cores);
        let thread = self.resource(Kind::Thread, name, thread, 1.0).filter(|thread| {
            let all = cpu(&self.below).and_then(|all| self.per_request(&all, &self.below));
            all.is_some_and(|all| thread.demand >= MOST_OF_THE_WORK * all)
        });
        found.extend(thread);
        for kind in [Kind::Pool, Kind::Pooler, Kind::Slots, Kind::Workers] {
            found.extend(self.labelled(&kind));
        }
        found.extend(self.rules.rules().iter().flat_map(|rule| self.own(rule)));
        found
    }

    /// What a rule of the user's own knows of a resource that only it has: what is busy of it, and how
    /// much there is. A level that is only pinned at the knee is no size that would bind elsewhere.
    fn own(&self, rule: &Rule) -> Option<Resource> {
        let Exhausted::Own(name) = &rule.resource else { return None };
        let measured = |operand: &Operand, windows: &[Window]| {
            let mut sum = MeanLevel::default();
            for selector in &operand.selectors {
                let one = level(self.facts, selector, windows)?;
                sum.value += one.value;
                sum.error = sum.error.hypot(one.error);
            }
            Some(sum)
        };
        let run = self.facts.windows(Span::Run);
        rule.predictions().find_map(|predict| {
            let limit = match &predict.limit {
                PredictLimit::Fixed(limit) => *limit,
                PredictLimit::Measured(operand) => measured(operand, &run)?.value,
                PredictLimit::Pinned => return None,
            };
            let busy = |windows: &[Window]| measured(&predict.busy, windows);
            self.resource(Kind::Own(name.clone()), (name.clone(), Unit::Count), busy, limit)
        })
    }

    /// What is in use and the limit of pools of a kind, and what a report calls such a pool.
    fn gauges(kind: &Kind) -> (Selector, &'static MetricSpec, &'static str) {
        match kind {
            Kind::Workers => {
                (bare(&names::WORKERS_BUSY), &names::WORKERS_LIMIT, "pool of {} workers")
            }
            Kind::Slots => (bare(&names::SLOTS_USED), &names::SLOTS_LIMIT, "pool of {} places"),
            Kind::Pooler => (
                labelled(&names::POOLER_SERVERS, &[("state", "active")]),
                &names::POOLER_LIMIT,
                "pooler's pool of {} connections",
            ),
            _ => (
                labelled(&names::POOL_CONNECTIONS, &[("state", "used")]),
                &names::POOL_LIMIT,
                "pool of {} connections",
            ),
        }
    }

    /// Pools of connections, of workers or of anything else, by name.
    fn labelled(&self, kind: &Kind) -> Vec<Resource> {
        let (used, limit, noun) = Self::gauges(kind);
        let pools = self.facts.label_values(&[&bare(limit)], "pool");
        let is_only = pools.len() == 1;
        let run = self.facts.windows(Span::Run);
        let pool = |pool: String| {
            let of = |set: &Selector| {
                let labels = set.labels.clone().with("pool", pool.as_str());
                Selector { labels, ..set.clone() }
            };
            let most = level(self.facts, &of(&bare(limit)), &run)?.value;
            let used = of(&used);
            let told = |windows: &[Window]| level(self.facts, &used, windows);
            let sessions = *kind == Kind::Pool && is_only && self.are_sessions(&told);
            let is_pooler = *kind == Kind::Pooler && is_only;
            let counted = |windows: &[Window]| is_pooler.then(|| self.pooler(windows)).flatten();
            let busy = |windows: &[Window]| match sessions {
                true => self.busy_sessions(windows),
                false => counted(windows).or_else(|| told(windows)),
            };
            let size = noun.replace("{}", &format!("{most:.0}"));
            let name = format!("the {size} `{pool}`");
            self.resource(kind.clone(), (name, Unit::Count), busy, most)
        };
        pools.into_iter().filter_map(pool).collect()
    }

    /// Whether the database's busy sessions are the connections that `told` says are in use: there
    /// are more looks at them, and they are as many where the pool is used up.
    fn are_sessions(&self, told: &impl Fn(&[Window]) -> Option<MeanLevel>) -> bool {
        let at_knee = self.facts.windows(Span::Knee);
        let both = self.busy_sessions(&at_knee).zip(told(&at_knee));
        both.is_some_and(|(sessions, told)| {
            (sessions.value - told.value).abs() <= SAME_COUNT * told.value
        })
    }

    /// How many connections would carry the highest load.
    fn pool_needed(&self, kind: &Kind) -> Option<Counterfactual> {
        let at_knee = self.facts.windows(Span::Knee);
        let pools = self.labelled(kind);
        let used = level(self.facts, &Self::gauges(kind).0, &at_knee).map(|used| used.value);
        let pool = bottleneck(&pools)?;
        let cores = self.level(&names::SYSTEM_CPU_CORES, &self.facts.windows(Span::Run));
        let database = |windows: &[Window]| self.level(&names::DB_CPU_TIME, windows);
        let work = database(&self.below)
            .zip(self.facts.throughput(&self.below))
            .map(|(busy, throughput)| busy / throughput * self.highest);
        pool_answer(&Pool {
            resource: pool,
            used: used?,
            rate: self.highest,
            database: work.zip(cores),
        })
    }

    /// How many cores would carry the highest load.
    fn cores_needed(&self) -> Option<Counterfactual> {
        let cpu = self.resources().into_iter().find(|it| it.kind == Kind::TargetCpu)?;
        let count = scaling::cores(self.highest * cpu.demand)?;
        if f64::from(count) <= cpu.limit {
            return None;
        }
        let share = scaling::safe_utilization(count) * 100.0;
        Some(Counterfactual::Needed {
            what: "cores".to_owned(),
            count: u64::from(count),
            now: cpu.limit,
            rate: self.highest,
            wait_p99: None,
            assumption: format!(
                "{}; the work spreads over all cores; {count} cores carry at most {share:.0} % safely",
                cpu.assumption()
            ),
        })
    }
}

/// A pool that is accused, as its size is reckoned.
struct Pool<'r> {
    resource: &'r Resource,
    /// Connections in use at and beyond the knee, on average.
    used: f64,
    /// The load to carry, in requests per second.
    rate: f64,
    /// Cores that the database would use at that load, and how many there are.
    database: Option<(f64, f64)>,
}

/// The size that would carry the load, or why none would; `None` where the pool is not used up.
fn pool_answer(pool: &Pool) -> Option<Counterfactual> {
    let Pool { resource, used, rate, database } = pool;
    if *used < USED_UP * resource.limit {
        return None;
    }
    let what = "a larger pool".to_owned();
    let hold = resource.demand;
    if let Some(low) = resource.low.filter(|_| resource.grows()) {
        let why = format!(
            "a request holds a connection for {} at low load and for {} below the knee: what the \
             connection waits for is the limit",
            seconds(low),
            seconds(hold)
        );
        return Some(Counterfactual::NoHelp { what, why });
    }
    if let Some((work, cores)) = database.filter(|(work, cores)| *work > BUSY_DATABASE * cores) {
        let why = format!(
            "at {} PostgreSQL would need {work:.1} of {cores:.0} cores: its CPU is the next limit",
            self::rate(*rate)
        );
        return Some(Counterfactual::NoHelp { what, why });
    }
    let count = scaling::pool_size(*rate, hold, hold)?;
    let low =
        resource.low.map_or_else(String::new, |low| format!(" ({} at low load)", seconds(low)));
    let room = match database {
        Some((work, cores)) => {
            format!("PostgreSQL (it would use {work:.2} of {cores:.0} cores)")
        }
        None => "PostgreSQL (its CPU was not measured)".to_owned(),
    };
    Some(Counterfactual::Needed {
        what: "connections".to_owned(),
        count: u64::from(count),
        now: resource.limit,
        rate: *rate,
        wait_p99: scaling::pool_wait(count, *rate, hold).map(|wait| wait.p99),
        assumption: format!(
            "a request still holds a connection for {}{low}; requests arrive at random (Erlang C); \
             {room} still answers as quickly",
            seconds(hold)
        ),
    })
}

/// Half of what a request needs doubles the capacity, unless something else binds before.
fn halved(own: f64, next: Option<&Resource>) -> Option<Counterfactual> {
    let doubled = 2.0 * own;
    let next = next?;
    let binds = next.carries() < doubled;
    Some(Counterfactual::Halved {
        carries: doubled.min(next.carries()),
        next: binds.then(|| next.describe()),
        assumption: format!("{}; nothing else changes", next.assumption()),
    })
}

#[cfg(test)]
mod tests;
