//! What is drawn over time: panels of lines on one shared axis, with stages and knee.

use std::collections::{BTreeMap, BTreeSet};

use super::super::wording;
use super::grid::{Grid, add};
use super::panel::{Line, LineStyle, Panel, Quantity, Values, has_values, line, spreads};
use super::{canaries_and_sessions, trends};
use crate::diagnose::{Diagnosis, Windows};
use crate::recording::Recording;
use crate::timeline::{Histogram, LoadTick, ResponseClass, StageRole, Timeline, Window};

/// All panels over time.
#[derive(Clone, Debug, Default)]
pub(in crate::report) struct TimeCharts {
    /// Seconds since the start of each point.
    pub times: Vec<f64>,
    /// Seconds at which the axis ends.
    pub end: f64,
    /// Stages in order of time.
    pub bands: Vec<Band>,
    /// Named spans that the findings speak of.
    pub spans: Vec<Span>,
    pub panels: Vec<Panel>,
    /// Panels without data, each with what would fill it.
    pub missing: Vec<String>,
}

/// One stage on the axis, in seconds.
#[derive(Clone, Debug)]
pub(in crate::report) struct Band {
    pub from: f64,
    pub to: f64,
    /// Its rate, or its role where the load is not measured.
    pub label: String,
}

/// A window of the diagnosis on the axis, in seconds.
#[derive(Clone, Debug)]
pub(in crate::report) struct Span {
    pub from: f64,
    pub to: f64,
    pub kind: SpanKind,
}

/// What a span on the axis is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) enum SpanKind {
    Baseline,
    Knee,
    Beyond,
    /// The target's process started anew.
    Restart,
}

impl TimeCharts {
    /// The text for each time: when it is, and which stage is held.
    pub fn readouts(&self) -> Vec<String> {
        let readout = |time: &f64| {
            let stage = self.bands.iter().find(|band| band.from <= *time && *time < band.to);
            let stage = stage.map(|band| format!(", {}", band.label)).unwrap_or_default();
            format!("{}{stage}", wording::duration(time.floor()))
        };
        self.times.iter().map(readout).collect()
    }

    pub(super) fn new(recording: &Recording, diagnosis: &Diagnosis) -> Self {
        let timeline = &recording.timeline;
        let end = timeline.end().secs();
        let grid = Grid::new(end);
        if grid.len == 0 {
            return TimeCharts::default();
        }
        let panels = [
            (load(timeline, grid), "load (no load was recorded)"),
            (response(timeline, grid), "response time (nothing was answered)"),
            (errors(timeline, grid), "errors (none occurred)"),
            (in_flight(timeline, grid), "requests in flight (no load was recorded)"),
            (cpu(timeline, grid), "CPU (add the host and process collectors)"),
            (sessions(timeline, grid), "database sessions (add the postgres collector)"),
            (memory(timeline, grid), "memory (add the process collector)"),
        ];
        let mut charts = TimeCharts {
            times: grid.times(),
            end: grid.len as f64 * grid.step,
            bands: bands(timeline),
            // Without a knee nothing was compared.
            spans: diagnosis.knee.as_ref().map_or_else(Vec::new, |_| spans(&diagnosis.windows)),
            ..TimeCharts::default()
        };
        for (panel, name) in panels {
            match panel {
                Some(panel) => charts.panels.push(panel),
                None => charts.missing.push(name.to_owned()),
            }
        }
        charts.panels.extend(canaries_and_sessions::panels(timeline, grid));
        charts.panels.extend(trends::panels(diagnosis, timeline, grid));
        charts.spans.extend(restarts(diagnosis, grid));
        charts
    }
}

fn bands(timeline: &Timeline) -> Vec<Band> {
    let band = |stage: &crate::timeline::Stage| Band {
        from: stage.window.begin.secs(),
        to: stage.window.end.secs(),
        label: match stage.role {
            StageRole::Drain | StageRole::Recovery | StageRole::Probe => stage.role.to_string(),
            _ if stage.is_closed() && stage.is_ramping() => {
                let number = wording::number;
                format!("{} to {} users", number(stage.vus_from), number(stage.vus_to))
            }
            _ if stage.is_closed() => format!("{} users", wording::number(stage.vus())),
            _ if stage.is_ramping() => {
                format!(
                    "{} to {}",
                    wording::number(stage.rate_from),
                    wording::short_rate(stage.rate_to)
                )
            }
            _ => wording::short_rate(stage.rate()),
        },
    };
    timeline.stages.iter().map(band).collect()
}

fn spans(windows: &Windows) -> Vec<Span> {
    let kinds: [(SpanKind, &[Window]); 3] = [
        (SpanKind::Baseline, &windows.baseline),
        (SpanKind::Knee, &windows.knee),
        (SpanKind::Beyond, &windows.beyond),
    ];
    kinds
        .into_iter()
        .flat_map(|(kind, windows)| {
            windows.iter().map(move |window| Span {
                from: window.begin.secs(),
                to: window.end.secs(),
                kind,
            })
        })
        .collect()
}

/// The moments at which the target's process started anew.
fn restarts(diagnosis: &Diagnosis, grid: Grid) -> Vec<Span> {
    let trends = diagnosis.soak.iter().flat_map(|soak| &soak.trends);
    let moments: BTreeSet<_> = trends.flat_map(|trend| &trend.restarts).collect();
    let span = |at: f64| Span { from: at, to: at + grid.step, kind: SpanKind::Restart };
    moments.into_iter().map(|at| span(at.secs())).collect()
}

/// Share of a step that ticks must cover for a rate.
const LEAST_COVERED: f64 = 0.5;

/// Sums what `count` gives of each tick, as a rate per second.
fn tick_rate(timeline: &Timeline, grid: Grid, count: impl Fn(&LoadTick) -> u64) -> Values {
    let mut by_generator: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for tick in &timeline.ticks {
        let Some(index) = grid.index(tick.window.middle()) else { continue };
        let sums =
            by_generator.entry(&tick.generator).or_insert_with(|| vec![(0.0, 0.0); grid.len]);
        sums[index].0 += count(tick) as f64;
        sums[index].1 += tick.window.secs();
    }
    let mut total = None;
    for sums in by_generator.into_values() {
        // The last tick is cut off where the run ends: a rate over a moment says nothing.
        let is_enough = |time: f64| time > 0.0 && time >= LEAST_COVERED * grid.step;
        let rates = sums.into_iter().map(|(sum, time)| is_enough(time).then(|| sum / time));
        add(&mut total, rates.collect());
    }
    total.unwrap_or_else(|| vec![None; grid.len])
}

fn load(timeline: &Timeline, grid: Grid) -> Option<Panel> {
    let offered = tick_rate(timeline, grid, |tick| tick.offered);
    has_values(&offered).then(|| Panel {
        id: "load",
        title: "Offered load, throughput, goodput",
        quantity: Quantity::Rate,
        stacked: false,
        log: false,
        lines: vec![
            line("offered", 8, LineStyle::Dashed, offered),
            line("throughput", 1, LineStyle::Solid, tick_rate(timeline, grid, LoadTick::completed)),
            line("goodput", 3, LineStyle::Solid, tick_rate(timeline, grid, LoadTick::succeeded)),
        ],
        about: "Requests that the schedule asked for, responses and failures, and successful \
                responses, each per second."
            .to_owned(),
        ..Panel::default()
    })
}

fn response(timeline: &Timeline, grid: Grid) -> Option<Panel> {
    let mut merged = vec![Histogram::new(); grid.len];
    for tick in &timeline.ticks {
        let Some(index) = grid.index(tick.window.middle()) else { continue };
        tick.successes().for_each(|times| merged[index].merge(times));
    }
    let quantile = |q: f64| merged.iter().map(|h| h.quantile(q)).collect::<Values>();
    let lines = vec![
        line("p50", 1, LineStyle::Solid, quantile(0.5)),
        line("p95", 2, LineStyle::Dashed, quantile(0.95)),
        line("p99", 4, LineStyle::Solid, quantile(0.99)),
    ];
    let known = || lines.iter().flat_map(|line| line.values.iter().flatten().copied());
    let (least, most) = known().fold((f64::INFINITY, 0.0_f64), |(a, b), v| (a.min(v), b.max(v)));
    (most > 0.0).then(|| Panel {
        id: "response",
        title: "Response time of successful requests",
        quantity: Quantity::Seconds,
        stacked: false,
        log: spreads(least, most),
        about: "Median, 95 % and 99 % of the time from the intended start of a request to the \
                end of its response."
            .to_owned(),
        lines,
        ..Panel::default()
    })
}

fn errors(timeline: &Timeline, grid: Grid) -> Option<Panel> {
    let mut totals: BTreeMap<ResponseClass, u64> = BTreeMap::new();
    for endpoint in timeline.ticks.iter().flat_map(|tick| &tick.endpoints) {
        if !endpoint.class.is_success() {
            *totals.entry(endpoint.class).or_default() += endpoint.response_time.count();
        }
    }
    totals.retain(|_, count| *count > 0);
    let mut classes: Vec<_> = totals.into_iter().collect();
    classes.sort_by_key(|(class, count)| (std::cmp::Reverse(*count), *class));
    let count = |tick: &LoadTick, wanted: &dyn Fn(ResponseClass) -> bool| {
        let endpoints = tick.endpoints.iter().filter(|e| !e.class.is_success() && wanted(e.class));
        endpoints.map(|endpoint| endpoint.response_time.count()).sum()
    };
    let shown: Vec<_> = classes.iter().take(5).map(|(class, _)| *class).collect();
    let inks = [(4, LineStyle::Solid), (2, LineStyle::Dashed), (5, LineStyle::Solid)];
    let inks = inks.into_iter().chain([(6, LineStyle::Dashed), (1, LineStyle::Dotted)]);
    let mut lines: Vec<_> = shown
        .iter()
        .zip(inks)
        .map(|(class, (ink, style))| {
            let rate = tick_rate(timeline, grid, |tick| count(tick, &|c| c == *class));
            line(class.to_string(), ink, style, rate)
        })
        .collect();
    if classes.len() > shown.len() {
        let rate = tick_rate(timeline, grid, |tick| count(tick, &|c| !shown.contains(&c)));
        lines.push(line("others", 8, LineStyle::Dotted, rate));
    }
    (!lines.is_empty()).then(|| Panel {
        id: "errors",
        title: "Errors by kind",
        quantity: Quantity::Rate,
        stacked: false,
        log: false,
        lines,
        about: "Failed requests per second by status code or kind of failure.".to_owned(),
        ..Panel::default()
    })
}

fn in_flight(timeline: &Timeline, grid: Grid) -> Option<Panel> {
    let level = |value: fn(&LoadTick) -> f64| {
        let mut by_generator: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
        for tick in &timeline.ticks {
            let Some(index) = grid.index(tick.window.middle()) else { continue };
            let sums =
                by_generator.entry(&tick.generator).or_insert_with(|| vec![(0.0, 0.0); grid.len]);
            sums[index].0 += value(tick);
            sums[index].1 += 1.0;
        }
        let mut total = None;
        for sums in by_generator.into_values() {
            let means = sums.into_iter().map(|(sum, n)| (n > 0.0).then(|| sum / n));
            add(&mut total, means.collect());
        }
        total.unwrap_or_else(|| vec![None; grid.len])
    };
    let values = level(|tick| tick.in_flight);
    if !has_values(&values) {
        return None;
    }
    let mut lines = vec![line("in flight", 1, LineStyle::Solid, values)];
    let backlog = level(|tick| tick.backlog as f64);
    if backlog.iter().flatten().any(|value| *value > 0.0) {
        lines.push(line("waiting for a connection", 2, LineStyle::Dashed, backlog));
    }
    let more = [
        ("tcp.requests", "in the target", 3, LineStyle::Solid),
        ("tcp.calls", "calls of the target to others", 5, LineStyle::Dashed),
        ("tcp.accept_queue", "accept queue", 4, LineStyle::Dotted),
    ];
    lines.extend(selected(timeline, grid, &more));
    Some(Panel {
        id: "in-flight",
        title: "Requests in flight",
        quantity: Quantity::Count,
        stacked: false,
        log: false,
        lines,
        about: "Requests that are sent or due and have no response yet.".to_owned(),
        ..Panel::default()
    })
}

fn cpu(timeline: &Timeline, grid: Grid) -> Option<Panel> {
    let mut lines = Vec::new();
    let busy = select(timeline, grid, "system.cpu.time")
        .is_some()
        .then(|| busy_cores(timeline, grid))
        .flatten()
        .or_else(|| utilized_cores(timeline, grid));
    lines.extend(busy.map(|values| line("host", 8, LineStyle::Solid, values)));
    let more = [
        ("process.cpu.time", "target", 1, LineStyle::Solid),
        ("process.thread.busiest", "busiest thread", 2, LineStyle::Dashed),
        ("db.cpu.time", "database", 3, LineStyle::Solid),
        ("generator.cpu.time", "generator", 5, LineStyle::Dotted),
    ];
    lines.extend(selected(timeline, grid, &more));
    if lines.is_empty() {
        return None;
    }
    let limits = [
        ("process.cpu.allowed", "allowed to the target", 4, LineStyle::Limit),
        ("system.cpu.cores", "cores of the host", 8, LineStyle::Limit),
    ];
    lines.extend(selected(timeline, grid, &limits));
    Some(Panel {
        id: "cpu",
        title: "CPU",
        quantity: Quantity::Cores,
        stacked: false,
        log: false,
        lines,
        about: "Cores in use, and cores that may be used.".to_owned(),
        ..Panel::default()
    })
}

/// Cores of the host that are not idle, from the seconds of each mode.
fn busy_cores(timeline: &Timeline, grid: Grid) -> Option<Values> {
    let mut busy = None;
    for mode in ["user", "nice", "system", "irq", "softirq", "steal"] {
        let text = format!("system.cpu.time{{mode={mode}}}");
        if let Some(values) = select(timeline, grid, &text) {
            add(&mut busy, values);
        }
    }
    busy
}

fn utilized_cores(timeline: &Timeline, grid: Grid) -> Option<Values> {
    let share = select(timeline, grid, "system.cpu.utilization")?;
    let cores = select(timeline, grid, "system.cpu.cores")?;
    Some(share.into_iter().zip(cores).map(|(a, b)| Some(a? * b?)).collect())
}

fn sessions(timeline: &Timeline, grid: Grid) -> Option<Panel> {
    let all = select(timeline, grid, "db.sessions")?;
    let layers = [
        ("db.sessions{state=active,wait_type=!Lock}", "active", 1),
        ("db.sessions{state=active,wait_type=Lock}", "active, waiting for a lock", 4),
        ("db.sessions{state=idle in transaction*}", "idle in transaction", 2),
        ("db.sessions{state=idle}", "idle", 6),
    ];
    let mut rest = all;
    let mut lines = Vec::new();
    for (selector, name, ink) in layers {
        let Some(values) = select(timeline, grid, selector) else { continue };
        for (rest, value) in rest.iter_mut().zip(&values) {
            *rest = rest.map(|rest| (rest - value.unwrap_or(0.0)).max(0.0));
        }
        lines.push(line(name, ink, LineStyle::Solid, values));
    }
    if rest.iter().flatten().any(|value| *value > 1e-9) {
        lines.push(line("others", 8, LineStyle::Solid, rest));
    }
    let limits = [("pool.limit", "limit of the pool", 5, LineStyle::Limit)];
    lines.extend(selected(timeline, grid, &limits));
    Some(Panel {
        id: "sessions",
        title: "Database sessions",
        quantity: Quantity::Count,
        stacked: true,
        log: false,
        lines,
        about: "PostgreSQL sessions by what they do, stacked.".to_owned(),
        ..Panel::default()
    })
}

fn memory(timeline: &Timeline, grid: Grid) -> Option<Panel> {
    let wanted = [
        ("process.memory.rss", "resident", 1, LineStyle::Solid),
        ("process.memory.anonymous", "anonymous", 3, LineStyle::Dashed),
        ("runtime.heap.used", "heap in use", 5, LineStyle::Dotted),
    ];
    let mut lines: Vec<_> = selected(timeline, grid, &wanted).collect();
    if lines.is_empty() {
        return None;
    }
    let limits = [("cgroup.memory.limit", "limit of the control group", 4, LineStyle::Limit)];
    lines.extend(selected(timeline, grid, &limits));
    Some(Panel {
        id: "memory",
        title: "Memory of the target",
        quantity: Quantity::Bytes,
        stacked: false,
        log: false,
        lines,
        about:
            "Resident memory of the target, and the part that is not backed by a file (anonymous)."
                .to_owned(),
        ..Panel::default()
    })
}

type Wanted = (&'static str, &'static str, usize, LineStyle);

/// The lines of those of the wanted series that the recording has.
fn selected(timeline: &Timeline, grid: Grid, wanted: &[Wanted]) -> impl Iterator<Item = Line> {
    wanted.iter().filter_map(move |(selector, name, ink, style)| {
        select(timeline, grid, selector).map(|values| line(*name, *ink, *style, values))
    })
}

fn select(timeline: &Timeline, grid: Grid, selector: &str) -> Option<Values> {
    let selector = selector.parse().ok()?;
    grid.sum(timeline, &selector).filter(|values| has_values(values))
}
