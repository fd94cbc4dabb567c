//! Looks for leaks and drift in a long stage at one load: each watched resource is analysed by
//! itself (see [`leak`]), and one verdict follows.

mod cross_check;
mod gates;

use crate::diagnose::measure::facts::Facts;
use crate::diagnose::terms::bounds::MOST;
use crate::diagnose::terms::model::Windows;
use crate::diagnose::terms::operand::{Over, bare};
use crate::diagnose::terms::soak::{
    Pace, ResourceKind, RunsOut, Soak, SoakVerdict, Trend, TrendVerdict,
};
use crate::diagnose::terms::{stats, wording};
use crate::recording::{PlanSummary, Recording};
use crate::timeline::{MetricSpec, Moment, Point, Selector, Stage, Timeline, Window, names};

use self::cross_check::CrossCheck;
use super::collections::{collections, is_uncollected};
use super::exhausted::{self, descriptors_ran_out};
use super::held::{Held, looks};
use super::leak::{self, LeakAnalysis, LeakVerdict};
use super::resources::{PER_REQUEST, RESOURCES, Resource, not_watched};
use super::restarts::restarts;

/// Name of the load shape that asks for this answer.
pub const EXECUTOR: &str = "soak";
/// A shorter stage cannot show a leak.
const SHORTEST_SECS: f64 = 60.0;
/// Most series of one resource that are analysed, such as its peers: those that grew most.
const MOST_SERIES: usize = 8;
/// More collections than this are not shown one by one.
const MOST_COLLECTIONS: usize = 60;
/// Share of its last level below which a resource must have begun to have grown to its limit in
/// the stage.
const BEGAN: f64 = 0.7;
/// Share of the requests that fail from which on a load is not carried: as for the knee.
const NOT_CARRIED: f64 = 0.1;
/// Points of what each request costs over a whole stage, and the fewest seconds of one.
const COST_POINTS: f64 = 240.0;
const COST_SECS: f64 = 5.0;

/// The answer on the longest stage at one rate; `None` where none was held for a minute.
pub fn soak(recording: &Recording, facts: &Facts) -> Option<Soak> {
    let timeline = &recording.timeline;
    let held = |stage: &&Stage| stage.role.is_measured() && !stage.is_ramping();
    let stage = timeline
        .stages
        .iter()
        .filter(held)
        .max_by_key(|stage| stage.window.end.since(stage.window.begin))?;
    (stage.window.secs() >= SHORTEST_SECS).then(|| answer(facts, &recording.plan, stage))
}

/// Whether `timeline`, of which `stage` is still held, says enough: no resource is undecided.
pub fn is_settled(timeline: &Timeline, plan: &PlanSummary, stage: &Stage) -> bool {
    let windows = Windows::default();
    let facts = Facts::of_timeline(timeline, &windows);
    !matches!(answer(&facts, plan, stage).verdict, SoakVerdict::Undecided { .. })
}

fn answer(facts: &Facts, plan: &PlanSummary, stage: &Stage) -> Soak {
    let window = stage.window;
    let load = looks(facts, bare(&names::LOAD_OFFERED), window);
    let descriptors_ran_out = descriptors_ran_out(facts).map(|it| it.0);
    let restarts = restarts(facts);
    let run = LongStage { facts, window, load: &load, restarts, descriptors_ran_out };
    let mut trends: Vec<Trend> = RESOURCES.iter().flat_map(|it| run.trends(it)).collect();
    trends.extend(PER_REQUEST.iter().filter_map(|it| run.per_request(it)));
    confirm(&mut trends);
    trends
        .retain(|trend| !trend.kind.is_told_only_growing() || trend.verdict == TrendVerdict::Leak);
    // What runs out first; within it, in the order of the catalogue.
    trends.sort_by(|a, b| {
        let place = |trend: &Trend| (trend.verdict.rank(), !trend.kind.can_run_out());
        let left = |trend: &Trend| trend.seconds_left().unwrap_or(f64::INFINITY);
        place(a).cmp(&place(b)).then(left(a).total_cmp(&left(b)))
    });
    Soak {
        asked: plan.executor == EXECUTOR,
        verdict: honest(verdict(&trends), facts, window),
        rate: rate(facts, stage),
        window,
        not_watched: not_watched(|metric| facts.metric(metric, &[window]).is_some()),
        trends,
    }
}

/// Requests per second: those that were due, or those that users sent where no rate was asked for.
fn rate(facts: &Facts, stage: &Stage) -> f64 {
    let asked = Some(stage.rate()).filter(|rate| *rate > 0.0);
    asked.or_else(|| facts.throughput(&[stage.window])).unwrap_or(0.0)
}

/// One stage under analysis.
struct LongStage<'a> {
    facts: &'a Facts<'a>,
    window: Window,
    load: &'a [Point],
    restarts: Vec<Moment>,
    /// When the target had no descriptor left.
    descriptors_ran_out: Option<Moment>,
}

impl LongStage<'_> {
    /// What each series of a resource says, those that grew most first.
    fn trends(&self, resource: &Resource) -> Vec<Trend> {
        let selector = resource.selector();
        if resource.by.is_empty() {
            return self.trend(resource, &selector, &[]).into_iter().collect();
        }
        let groups = self.facts.label_groups(&selector, resource.by);
        if groups.is_empty() && resource.kind == ResourceKind::Pool {
            // A service with one pool need not name it.
            return self.trend(resource, &selector, &[]).into_iter().collect();
        }
        let mut trends: Vec<Trend> =
            groups.iter().filter_map(|subject| self.trend(resource, &selector, subject)).collect();
        let grown = |trend: &Trend| trend.level - trend.begin;
        trends.sort_by(|a, b| grown(b).total_cmp(&grown(a)));
        trends.truncate(MOST_SERIES);
        trends
    }

    fn trend(
        &self,
        resource: &Resource,
        selector: &Selector,
        labels: &[(&str, String)],
    ) -> Option<Trend> {
        let series = of_subject(selector, labels);
        let points = looks(self.facts, series.clone(), self.window);
        let process = labels.iter().find(|it| it.0 == "process").map(|it| it.1.as_str());
        let is_used_up = match resource.kind {
            ResourceKind::Pool => {
                let pool = labels.iter().find(|it| it.0 == "pool").map(|it| it.1.as_str());
                Some(exhausted::never_given_back(self.facts, pool).is_some())
            }
            ResourceKind::Descriptors => Some(self.is_used_up_quickly(resource, &series, labels)),
            _ => None,
        };
        let held = Held::of(self.facts, &selector.metric, process, self.window);
        let limit = self.limit(resource, labels);
        let values: Vec<&str> = labels.iter().map(|(_, value)| value.as_str()).collect();
        let subject = (!values.is_empty()).then(|| values.join(", "));
        let held_in = resource.held_in.iter().filter_map(|other| {
            let other = bare(other);
            // What does not tell whose it is may be asked where there is only one.
            let told = !self.facts.label_groups(&other, resource.by).is_empty();
            let alone = || self.facts.label_groups(selector, resource.by).len() == 1;
            if told { Some(of_subject(&other, labels)) } else { alone().then_some(other) }
        });
        let held_in = held_in.collect();
        let series = series.to_string();
        self.judge(Candidate {
            resource,
            subject,
            series,
            limit,
            points,
            is_used_up,
            held,
            held_in,
        })
    }

    /// Whether it reached its limit, be it before the stage, and stays there to the end of it.
    fn is_used_up_quickly(
        &self,
        resource: &Resource,
        series: &Selector,
        labels: &[(&str, String)],
    ) -> bool {
        let window = exhausted::from_start(self.window.end);
        let process = labels.iter().find(|it| it.0 == "process").map(|it| it.1.as_str());
        let held = Held::of(self.facts, resource.metric.name, process, window);
        let points = looks(self.facts, series.clone(), window);
        let limit = self.limit(resource, labels);
        limit.is_some_and(|limit| exhausted::used_up(&points, limit, &held).is_some())
    }

    /// Where a resource is exhausted: its own limit, or one that all share.
    fn limit(&self, resource: &Resource, subject: &[(&str, String)]) -> Option<f64> {
        let level =
            |selector: &Selector| self.facts.level_of(selector, Over::Sum, &[self.window], &[]);
        let of = |metric: &&MetricSpec| {
            let shared = bare(metric);
            let own = level(&of_subject(&shared, subject));
            own.or_else(|| level(&shared)).filter(|limit| *limit > 0.0)
        };
        resource.limits.iter().find_map(of)
    }

    /// What is added to a running total for each request, in equal pieces of the stage.
    fn per_request(&self, resource: &Resource) -> Option<Trend> {
        let total = resource.selector();
        let piece = (self.window.secs() / COST_POINTS).max(COST_SECS);
        let count = (self.window.secs() / piece) as usize;
        let begin = self.window.begin.secs();
        let points = (0..count).filter_map(|index| {
            let from = Moment::from_secs_f64(begin + index as f64 * piece);
            let to = Moment::from_secs_f64(begin + (index + 1) as f64 * piece);
            let window = Window::new(from, to);
            let pace = self.facts.level_of(&total, Over::Sum, &[window], &[])?;
            let rate = self.facts.throughput(&[window]).filter(|rate| *rate > 0.0)?;
            Some(Point {
                at: Moment::from_secs_f64(from.secs().midpoint(to.secs())),
                value: pace / rate,
            })
        });
        let series = format!("{total} / {}", names::LOAD_THROUGHPUT.name);
        self.judge(Candidate {
            resource,
            subject: None,
            series,
            limit: None,
            points: points.collect(),
            is_used_up: None,
            held: Held::default(),
            held_in: Vec::new(),
        })
    }

    /// When the runtime collected its whole heap; empty where that happened too often to show.
    fn collections(&self) -> Vec<Moment> {
        let all = collections(self.facts, self.window);
        if all.len() > MOST_COLLECTIONS { Vec::new() } else { all }
    }

    fn judge(&self, candidate: Candidate) -> Option<Trend> {
        let Candidate { resource, subject, series, limit, points, is_used_up, held, held_in } =
            candidate;
        let (first, last) = (points.first()?, points.last()?);
        let is_memory = matches!(
            resource.kind,
            ResourceKind::Memory | ResourceKind::Resident | ResourceKind::Heap
        );
        // Kneepoint goes on when the target restarts.
        let is_own = resource.kind == ResourceKind::OwnMemory;
        let restarts = if is_own { &[] } else { self.restarts.as_slice() };
        let context = leak::Context {
            load: self.load,
            limit,
            restarts,
            uncollected: is_memory && is_uncollected(self.facts, &[self.window]),
            ..leak::Context::default()
        };
        // Connections that the target cannot accept for want of a descriptor pile up as well.
        let cut = self.descriptors_ran_out.filter(|_| resource.kind == ResourceKind::Unclosed);
        let judged = match cut {
            Some(at) => &points[..points.partition_point(|point| point.at < at)],
            None if is_memory => self.facts.before_queue(&points),
            None => &points[..],
        };
        let analysis = held.analyse(judged, &context);
        let is_leak = matches!(analysis.verdict, LeakVerdict::Leak { .. });
        let second = analysis.pace.filter(|_| is_leak && resource.kind.can_run_out());
        let second = second.map(|claimed| self.cross_check(claimed, &held_in, &context));
        let (begin, level) = ends(&points);
        // Grown to its limit in the stage, and it stays there.
        let is_full =
            || limit.is_some_and(|limit| level >= leak::AT_LIMIT * limit && begin <= BEGAN * level);
        let is_used_up = is_used_up.unwrap_or_else(is_full);
        let trend = Trend {
            kind: resource.kind,
            resource: resource.name.to_owned(),
            subject,
            series,
            unit: resource.unit,
            window: Window::new(first.at, last.at),
            readings: points.len() as u64,
            begin,
            level,
            limit,
            pace: None,
            confirmed_by: None,
            restarts: restarts.iter().copied().filter(|at| self.window.contains(*at)).collect(),
            collections: if is_memory { self.collections() } else { Vec::new() },
            steps: gates::told(&analysis, resource.unit, limit.is_some()),
            floors: analysis.floors.iter().map(|floor| (floor.at, floor.value)).collect(),
            verdict: TrendVerdict::Exhausted,
        };
        if is_used_up {
            return Some(trend);
        }
        let mut trend = concluded(trend, analysis);
        if cut.is_some() && !is_leak {
            let why = "the target ran out of descriptors, and cannot accept and close connections \
                       since then";
            trend.verdict = TrendVerdict::Undecided { why: why.to_owned(), more_seconds: 0.0 };
        }
        Some(match second {
            Some(second) => seconded(trend, &second),
            None => trend,
        })
    }

    /// Compares a growth with the other series that count the same.
    fn cross_check(
        &self,
        claimed: leak::Pace,
        held_in: &[Selector],
        context: &leak::Context,
    ) -> CrossCheck {
        let others = held_in.iter().map(|selector| {
            let points = looks(self.facts, selector.clone(), self.window);
            (selector.to_string(), leak::analyse(&points, context).pace)
        });
        cross_check::ask(claimed, others)
    }
}

/// A series that may leak, with what is known about it.
struct Candidate<'r> {
    resource: &'r Resource,
    subject: Option<String>,
    series: String,
    limit: Option<f64>,
    points: Vec<Point>,
    /// Whether it ran out, where that is known from more than the stage.
    is_used_up: Option<bool>,
    /// What open requests hold of it.
    held: Held,
    /// The other series that count the same.
    held_in: Vec<Selector>,
}

fn concluded(mut trend: Trend, analysis: LeakAnalysis) -> Trend {
    trend.verdict = match analysis.verdict {
        LeakVerdict::Leak { slope, low, high, exhaustion } => {
            let runs_out = exhaustion.map(|it| RunsOut {
                expected: it.expected,
                soonest: it.soonest,
                latest: it.latest.is_finite().then_some(it.latest),
            });
            trend.pace = Some(Pace { slope, low, high, runs_out });
            TrendVerdict::Leak
        }
        LeakVerdict::NoLeak { minimum_detectable_slope } => {
            TrendVerdict::NoLeak { detectable: minimum_detectable_slope }
        }
        LeakVerdict::Undecided { why, more_seconds } => {
            TrendVerdict::Undecided { why, more_seconds }
        }
    };
    trend
}

/// A leak after it was compared with a second series: one that would have shown the growth, and
/// does not, leaves it undecided.
fn seconded(mut trend: Trend, second: &CrossCheck) -> Trend {
    trend.steps.push(second.told(trend.unit));
    match second {
        CrossCheck::Agrees { series, .. } => trend.confirmed_by = Some(series.clone()),
        CrossCheck::Disagrees { series, .. } => {
            let why = format!("{series} counts the same and does not grow as fast");
            trend.verdict = TrendVerdict::Undecided { why, more_seconds: trend.window.secs() };
            trend.pace = None;
        }
        CrossCheck::Unavailable => {}
    }
    trend
}

/// The series of a selector that have these labels.
fn of_subject(selector: &Selector, subject: &[(&str, String)]) -> Selector {
    let narrowed = subject
        .iter()
        .fold(selector.labels.clone(), |labels, (label, value)| labels.with(label, value.as_str()));
    Selector { labels: narrowed, ..selector.clone() }
}

/// The median of the first tenth of a series and that of the last.
fn ends(points: &[Point]) -> (f64, f64) {
    let tenth = points.len().div_ceil(10);
    let level = |part: &[Point]| {
        stats::median(&part.iter().map(|point| point.value).collect::<Vec<_>>()).unwrap_or(0.0)
    };
    (level(&points[..tenth]), level(&points[points.len() - tenth..]))
}

/// Notes for each leak the other series of its kind that leaks as well.
fn confirm(trends: &mut [Trend]) {
    let leaking: Vec<(ResourceKind, String)> = trends
        .iter()
        .filter(|trend| trend.verdict == TrendVerdict::Leak)
        .map(|trend| (trend.kind, trend.series.clone()))
        .collect();
    let unconfirmed =
        |trend: &&mut Trend| trend.verdict == TrendVerdict::Leak && trend.confirmed_by.is_none();
    for trend in trends.iter_mut().filter(unconfirmed) {
        let other = leaking
            .iter()
            .find(|(kind, series)| kind.confirms(trend.kind) && *series != trend.series);
        trend.confirmed_by = other.map(|(_, series)| series.clone());
    }
}

fn verdict(trends: &[Trend]) -> SoakVerdict {
    if trends.iter().any(Trend::is_running_out) {
        return SoakVerdict::Leak;
    }
    let counted = || trends.iter().filter(|trend| trend.kind.can_run_out());
    let open = counted().filter_map(|trend| match &trend.verdict {
        TrendVerdict::Undecided { why, more_seconds } => Some((*more_seconds, trend, why)),
        _ => None,
    });
    let open: Vec<_> = open.collect();
    // All of them have to be settled; the one that grew is the one to ask about.
    let more_seconds = open.iter().map(|it| it.0).reduce(f64::max).filter(|seconds| *seconds > 0.0);
    let most = open.iter().max_by(|a, b| a.1.share_grown().total_cmp(&b.1.share_grown()));
    if let Some((_, trend, why)) = most {
        let why = format!("{}: {why}", trend.name());
        return SoakVerdict::Undecided { why, more_seconds };
    }
    match counted().next() {
        Some(_) => SoakVerdict::NoLeak,
        None => SoakVerdict::Undecided {
            why: "nothing that can run out was watched".to_owned(),
            more_seconds: None,
        },
    }
}

/// The verdict in the light of what became of the requests: of a load that was not carried, what
/// does not grow proves nothing.
fn honest(verdict: SoakVerdict, facts: &Facts, window: Window) -> SoakVerdict {
    match not_carried(facts, window) {
        Some(why) if verdict != SoakVerdict::Leak => {
            SoakVerdict::Undecided { why, more_seconds: None }
        }
        _ => verdict,
    }
}

/// What speaks against a stage as a soak: too many requests fail or are never answered.
fn not_carried(facts: &Facts, window: Window) -> Option<String> {
    let (mut completed, mut failed) = (0, 0);
    let mut failing_since = None;
    for tick in facts.ticks(&[window]) {
        let (done, good) = (tick.completed(), tick.succeeded());
        completed += done;
        failed += done - good;
        // Since when most requests fail; a second in which they do not begins anew.
        if 2 * good >= done.max(1) {
            failing_since = None;
        } else {
            failing_since = failing_since.or(Some(tick.window.begin));
        }
    }
    let share = failed as f64 / completed.max(1) as f64;
    if share > NOT_CARRIED {
        let since = failing_since
            .map(|at| at.since(window.begin).as_secs_f64().round())
            .filter(|seconds| *seconds > 0.0)
            .map_or_else(String::new, |seconds| {
                format!(", nearly all of them from {} on", wording::duration(seconds))
            });
        let share = wording::percent(share);
        return Some(format!(
            "{share} of the requests fail{since}: a load that is not carried shows no leak; find \
             out why they fail, or hold a lower rate"
        ));
    }
    // Answers to what was sent in the first half are there by the second.
    let half = Window::new(window.middle(), window.end);
    let (due, done) = facts
        .ticks(&[half])
        .fold((0, 0), |sum, tick| (sum.0 + tick.offered, sum.1 + tick.completed()));
    let unanswered = 1.0 - done as f64 / due.max(1) as f64;
    (due > 0 && unanswered > MOST.value).then(|| {
        format!(
            "{} of the requests of its second half are not answered: a load that is not carried \
             shows no leak; hold a lower rate",
            wording::percent(unanswered)
        )
    })
}

#[cfg(test)]
mod tests;
