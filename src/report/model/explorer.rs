//! What a reader with script can look into beyond the charts that are drawn: the series that the
//! findings rest on, each endpoint over time, and the windows that were judged. All of it on the
//! grid of the charts over time.

use std::collections::{BTreeMap, BTreeSet};

use super::super::wording::{self, clean, duration, short_rate};
use super::grid::Grid;
use super::panel::Values;
use crate::diagnose::{Diagnosis, Finding, Span, Windows};
use crate::recording::Recording;
use crate::timeline::{Histogram, Kind, Selector, SeriesKey, Timeline, Unit, names};

/// Most series that the findings rest on which are sent along.
const MOST_SERIES: usize = 60;
/// Most endpoints that can be chosen.
const MOST_ENDPOINTS: usize = 20;
/// Most hosts that can be chosen.
const MOST_HOSTS: usize = 20;
/// What the host of the target is called.
const TARGET_HOST: &str = "host of the target";
/// Modes in which a core is in use.
const BUSY: [&str; 6] = ["user", "nice", "system", "irq", "softirq", "steal"];

/// Everything that can be looked into.
#[derive(Clone, Debug, Default)]
pub(in crate::report) struct Explorer {
    /// The windows of each span by its name, in seconds since the start.
    pub windows: BTreeMap<&'static str, Vec<(f64, f64)>>,
    /// The series of the findings' evidence.
    pub series: Vec<RawLine>,
    /// Each endpoint: its name and its lines. Empty where there is only one.
    pub endpoints: Vec<(String, Vec<RawLine>)>,
    /// Each host: its name and its lines, the cores in use first. Empty where there is only one.
    pub hosts: Vec<(String, Vec<RawLine>)>,
}

/// A line, and how its highest value reads.
#[derive(Clone, Debug)]
pub(in crate::report) struct RawLine {
    pub name: String,
    pub values: Values,
    pub most: String,
}

impl RawLine {
    fn new(name: impl Into<String>, values: Values, text: impl Fn(f64) -> String) -> Self {
        let most = values.iter().flatten().copied().fold(None, |most: Option<f64>, value| {
            Some(most.map_or(value, |most| most.max(value)))
        });
        let most = most.map_or_else(|| wording::NOTHING.to_owned(), text);
        Self { name: name.into(), values, most }
    }
}

impl Explorer {
    pub(super) fn new(recording: &Recording, diagnosis: &Diagnosis) -> Self {
        let timeline = &recording.timeline;
        let grid = Grid::new(timeline.end().secs());
        if grid.len == 0 {
            return Self::default();
        }
        let cited = cited(&diagnosis.findings);
        let series = cited.into_iter().filter_map(|name| line(timeline, grid, name));
        Self {
            windows: windows(&diagnosis.windows, timeline.end().secs()),
            series: series.take(MOST_SERIES).collect(),
            endpoints: endpoints(recording, grid),
            hosts: hosts(timeline, grid),
        }
    }
}

/// The series that findings rest on.
fn cited(findings: &[Finding]) -> BTreeSet<&str> {
    let evidence = findings.iter().flat_map(|it| it.evidence.iter().chain(&it.refutations));
    evidence.flat_map(|evidence| &evidence.series).map(String::as_str).collect()
}

/// One recorded series; `None` for what the generator measured, which the charts show.
fn line(timeline: &Timeline, grid: Grid, name: &str) -> Option<RawLine> {
    let selector: Selector = name.parse().ok()?;
    let key = SeriesKey::new(&selector.metric, selector.labels.clone());
    let (_, series) =
        timeline.series.get_key_value(&key).or_else(|| timeline.select(&selector).next())?;
    let values = grid.sum(timeline, &selector)?;
    let unit = series.unit;
    let text = move |value: f64| match (series.kind, unit) {
        (Kind::Counter, Unit::Seconds) => wording::cores(value),
        (Kind::Counter, Unit::Bytes) => format!("{}/s", wording::bytes(value)),
        (Kind::Counter, _) => short_rate(value),
        (Kind::Gauge | Kind::Census, unit) => wording::value(value, unit),
    };
    Some(RawLine::new(clean(name), values, text))
}

/// The windows by the names that evidence gives them. What is judged at the knee is judged at the
/// knee and beyond it.
fn windows(windows: &Windows, end: f64) -> BTreeMap<&'static str, Vec<(f64, f64)>> {
    let of = |span: Span| match span {
        Span::Baseline => windows.baseline.clone(),
        Span::Approach => windows.approach.clone(),
        Span::Knee => [windows.knee.clone(), windows.beyond.clone()].concat(),
        Span::Beyond => windows.beyond.clone(),
        Span::Recovery => windows.recovery.clone(),
        Span::Run => Vec::new(),
    };
    let seconds = |span: Span| match span {
        Span::Run => vec![(0.0, end)],
        _ => {
            let mut windows = of(span);
            windows.sort_by_key(|window| window.begin);
            windows.iter().map(|it| (it.begin.secs(), it.end.secs())).collect()
        }
    };
    Span::ALL.into_iter().map(|span| (span.key(), seconds(span))).collect()
}

/// The target's host, and those that agents watch.
fn hosts(timeline: &Timeline, grid: Grid) -> Vec<(String, Vec<RawLine>)> {
    let apart = format!("{}.", names::AGENT);
    let cpu = format!("{apart}{}", names::SYSTEM_CPU_TIME.name);
    let agents: BTreeSet<&str> =
        timeline.series.keys().filter(|key| key.metric == cpu).filter_map(agent_of).collect();
    if agents.is_empty() {
        return Vec::new();
    }
    let here = [(TARGET_HOST, host(timeline, grid, "", None))];
    let others = agents.into_iter().map(|agent| (agent, host(timeline, grid, &apart, Some(agent))));
    let all = here.into_iter().chain(others).filter(|(_, lines)| !lines.is_empty());
    all.take(MOST_HOSTS).map(|(name, lines)| (clean(name), lines)).collect()
}

fn agent_of(key: &SeriesKey) -> Option<&str> {
    key.labels.get(names::AGENT)
}

/// Cores and memory in use on one host, whose series begin with `prefix`.
fn host(timeline: &Timeline, grid: Grid, prefix: &str, agent: Option<&str>) -> Vec<RawLine> {
    let sum = |metric: &str, is: &dyn Fn(&SeriesKey) -> bool| -> Option<Values> {
        let metric = format!("{prefix}{metric}");
        let mut total = None;
        let keys = timeline.series.keys();
        for key in keys.filter(|key| key.metric == metric && agent_of(key) == agent && is(key)) {
            let (metric, labels) = (key.metric.clone(), key.labels.clone());
            let selector = Selector { metric, labels };
            if let Some(values) = grid.sum(timeline, &selector) {
                super::grid::add(&mut total, values);
            }
        }
        total
    };
    let is_busy = |key: &SeriesKey| key.labels.get("mode").is_some_and(|it| BUSY.contains(&it));
    let cores = sum(names::SYSTEM_CPU_TIME.name, &is_busy);
    let memory = |metric| sum(metric, &|_| true);
    let used = memory(names::SYSTEM_MEMORY_TOTAL.name)
        .zip(memory(names::SYSTEM_MEMORY_AVAILABLE.name))
        .map(|(total, free)| -> Values {
            total.iter().zip(free).map(|(total, free)| Some((*total)? - free?)).collect()
        });
    let cores = cores.map(|values| RawLine::new("cores in use", values, wording::cores));
    let used = used.map(|values| RawLine::new("memory in use", values, wording::bytes));
    cores.into_iter().chain(used).collect()
}

/// What the responses of one endpoint came to in each step.
struct Steps {
    completed: Vec<u64>,
    failed: Vec<u64>,
    times: Vec<Histogram>,
}

fn endpoints(recording: &Recording, grid: Grid) -> Vec<(String, Vec<RawLine>)> {
    let mut known: BTreeMap<&str, Steps> = BTreeMap::new();
    let mut covered = vec![0.0; grid.len];
    for tick in &recording.timeline.ticks {
        let Some(index) = grid.index(tick.window.middle()) else { continue };
        covered[index] += tick.window.secs();
        for endpoint in &tick.endpoints {
            let steps = known.entry(&endpoint.endpoint).or_insert_with(|| Steps {
                completed: vec![0; grid.len],
                failed: vec![0; grid.len],
                times: vec![Histogram::new(); grid.len],
            });
            let count = endpoint.response_time.count();
            steps.completed[index] += count;
            match endpoint.class.is_success() {
                true => steps.times[index].merge(&endpoint.response_time),
                false => steps.failed[index] += count,
            }
        }
    }
    if known.len() < 2 {
        return Vec::new();
    }
    let lines = |(name, steps): (&str, Steps)| {
        // Several generators report the same second: a step is as long as the grid says.
        let rate = |counts: &[u64]| -> Values {
            let rate = |(count, covered): (&u64, &f64)| {
                (*covered > 0.0).then(|| *count as f64 / covered.min(grid.step))
            };
            counts.iter().zip(&covered).map(rate).collect()
        };
        let quantile = |at: f64| steps.times.iter().map(|it| it.quantile(at)).collect::<Values>();
        let lines = vec![
            RawLine::new("p50", quantile(0.5), duration),
            RawLine::new("p95", quantile(0.95), duration),
            RawLine::new("p99", quantile(0.99), duration),
            RawLine::new("answered", rate(&steps.completed), short_rate),
            RawLine::new("failed", rate(&steps.failed), short_rate),
        ];
        (clean(name), lines)
    };
    known.into_iter().take(MOST_ENDPOINTS).map(lines).collect()
}
