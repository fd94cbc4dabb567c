//! The requests of the target, from its counters and histograms, scrape by scrape.

use std::collections::{BTreeMap, BTreeSet};

use super::catalogue::{Catalogue, StoredSeries};
use super::load_families::{self, Holds, LOAD_FAMILIES, STATUS_COUNTERS};
use super::native::Native;
use super::requests::{Grid, Increment, apart};
use crate::timeline::{LoadTick, ResponseClass};

/// Longest time between two samples, in milliseconds, over which an increment is spread: Prometheus
/// itself looks back so far. Of a longer one it is not known when its requests ended.
const LONGEST_GAP: i64 = 300_000;
/// Samples this close to the grid, as a share of its step, lie on it.
const ON_GRID: f64 = 0.05;

/// What one series of the load is.
#[derive(Debug)]
enum Part {
    /// Of the response times of requests with this name and class.
    Times { request: String, class: Option<ResponseClass>, holds: Holds },
    /// Of a counter of responses by class.
    Status(ResponseClass),
    /// A native histogram of the response times.
    Native { request: String, class: Option<ResponseClass>, scale: f64 },
}

/// One endpoint of the target.
#[derive(Debug, Default)]
struct Endpoint {
    /// When it was last scraped, in milliseconds.
    scraped: Option<i64>,
    /// Last value of each series.
    last: BTreeMap<usize, f64>,
    /// Last sample of each native histogram.
    natives: BTreeMap<usize, Native>,
    started: Option<f64>,
}

/// What ended between two scrapes, by request and class.
#[derive(Default)]
struct Ended {
    totals: BTreeMap<u64, f64>,
    sum: Option<f64>,
    count: f64,
    /// Buckets of native histograms.
    natives: Vec<(f64, f64, f64)>,
}

impl Ended {
    fn increment(&self) -> Increment {
        let mut buckets = self.natives.clone();
        if !self.totals.is_empty() || self.count > 0.0 {
            buckets.extend(apart(&self.totals, self.count));
        }
        Increment { buckets, sum: self.sum }
    }
}

/// The load of a target.
#[derive(Debug)]
pub(super) struct Load {
    /// What the ticks call it: each selector of the target has a grid of its own.
    generator: String,
    parts: BTreeMap<usize, Part>,
    /// The series with the start of a process.
    starts: BTreeSet<usize>,
    endpoints: BTreeMap<String, Endpoint>,
    grid: Option<Grid>,
    step: i64,
    /// What is to be said where no series turns out to hold native histograms.
    lacking: Option<String>,
    /// The families that are read.
    pub(super) families: Vec<&'static str>,
}

impl Load {
    /// The load that the series of `catalogue` tell of.
    pub(super) fn of(catalogue: &Catalogue, notes: &mut Vec<String>) -> Self {
        let series = || catalogue.series.iter().enumerate();
        let classic = series().filter_map(|(_, series)| {
            let (place, _) = load_families::part_of(&series.name)?;
            LOAD_FAMILIES[place].holds(&series.name, &series.labels)?;
            Some((series.instance.as_str(), place))
        });
        let classic: Vec<(&str, usize)> = classic.collect();
        let has_classic: BTreeSet<&str> = classic.iter().map(|(instance, _)| *instance).collect();
        // Who stores both would count each request twice.
        let native = |series: &StoredSeries| {
            let place = load_families::native_of(&series.name, &series.labels)?;
            (!has_classic.contains(series.instance.as_str())).then_some(place)
        };
        let natives = series().filter_map(|(_, it)| Some((it.instance.as_str(), native(it)?)));
        let best = load_families::best(classic.iter().copied().chain(natives));
        let mut parts = BTreeMap::new();
        for (index, stored) in series() {
            let Some(place) = native(stored) else { continue };
            let family = &LOAD_FAMILIES[place];
            if best.get(stored.instance.as_str()) == Some(&place)
                && let Some(request) = family.request(&stored.labels)
            {
                let class = load_families::class(&stored.labels);
                parts.insert(index, Part::Native { request, class, scale: family.scale });
            }
        }
        for (index, stored) in series() {
            let Some((place, _)) = load_families::part_of(&stored.name) else { continue };
            let family = &LOAD_FAMILIES[place];
            let holds = family.holds(&stored.name, &stored.labels);
            if let Some(holds) =
                holds.filter(|_| best.get(stored.instance.as_str()) == Some(&place))
                && let Some(request) = family.request(&stored.labels)
            {
                let class = load_families::class(&stored.labels);
                parts.insert(index, Part::Times { request, class, holds });
            }
        }
        let families: BTreeSet<usize> = best.values().copied().collect();
        let families: Vec<&str> = families.iter().map(|at| LOAD_FAMILIES[*at].base).collect();
        let lacks_class = |part: &Part| {
            matches!(part, Part::Times { class: None, .. } | Part::Native { class: None, .. })
        };
        if parts.values().any(lacks_class) {
            let counters: Vec<_> = series()
                .filter(|(_, series)| STATUS_COUNTERS.contains(&series.name.as_str()))
                .filter_map(|(at, series)| Some((at, load_families::class(&series.labels)?)))
                .collect();
            notes.push(match counters.is_empty() {
                true => format!(
                    "`{}` has no label with the status: every request counts as a success; add \
                     the status to its labels",
                    families.join("`, `")
                ),
                false => format!(
                    "`{}` has no label with the status: failures are taken from a counter by \
                     status, as if all requests failed alike",
                    families.join("`, `")
                ),
            });
            parts.extend(counters.into_iter().map(|(at, class)| (at, Part::Status(class))));
        }
        if parts.is_empty() {
            notes.push(no_load(catalogue));
        }
        let generator = format!("observed at {}", catalogue.matcher_text());
        let starts = series()
            .filter(|(_, series)| series.name == "process_start_time_seconds")
            .map(|(index, _)| index)
            .collect();
        // Whether a series holds native histograms is known when it is read.
        let lacking = parts.values().all(|part| matches!(part, Part::Native { .. }));
        let lacking = (lacking && !parts.is_empty()).then(|| no_load(catalogue));
        let endpoints = BTreeMap::new();
        Self { generator, parts, starts, endpoints, grid: None, step: 0, lacking, families }
    }

    /// Whether any series tells of load.
    pub(super) fn is_known(&self) -> bool {
        !self.parts.is_empty()
    }

    /// Why there is no load, where that was only found out while reading.
    pub(super) fn lacking(&self) -> Option<&str> {
        self.lacking.as_deref()
    }

    /// Sets the grid, once: `origin` is a scrape, `step` the time between two, in milliseconds.
    pub(super) fn set_grid(&mut self, origin: i64, step: i64) {
        if self.grid.is_none() && self.is_known() {
            self.step = step;
            self.grid = Some(Grid::new(&self.generator, origin, step));
        }
    }

    /// Adds one scrape: the endpoint, the time in milliseconds, and values by series. Returns whether
    /// the process was restarted since the one before.
    pub(super) fn scrape(
        &mut self,
        instance: &str,
        at: i64,
        values: &[(usize, f64)],
        natives: &[(usize, Native)],
    ) -> bool {
        let Some(grid) = &mut self.grid else { return false };
        let endpoint = self.endpoints.entry(instance.to_owned()).or_default();
        let start = values.iter().find(|(series, _)| self.starts.contains(series));
        let is_restart = start.is_some_and(|(_, now)| {
            endpoint.started.replace(*now).is_some_and(|before| *now > before + 1.0)
        });
        let before = endpoint.scraped.replace(at);
        let mut ended: BTreeMap<(&str, Option<ResponseClass>), Ended> = BTreeMap::new();
        let mut classes: BTreeMap<ResponseClass, f64> = BTreeMap::new();
        for (series, value) in values {
            let Some(part) = self.parts.get(series) else { continue };
            let more = match endpoint.last.insert(*series, *value) {
                Some(last) if *value >= last && !is_restart => value - last,
                // A counter that falls, or that appears between two scrapes, began at zero.
                _ => *value,
            };
            match part {
                Part::Status(class) => *classes.entry(*class).or_default() += more,
                Part::Times { request, class, holds } => {
                    let ended = ended.entry((request, *class)).or_default();
                    match holds {
                        Holds::Bucket(bound) => {
                            *ended.totals.entry(bound.to_bits()).or_default() += more;
                        }
                        Holds::Sum => *ended.sum.get_or_insert(0.0) += more,
                        Holds::Count => ended.count += more,
                    }
                }
                // A value of another type under the same name.
                Part::Native { .. } => {}
            }
        }
        if !natives.is_empty() {
            self.lacking = None;
        }
        for (index, native) in natives {
            let last = endpoint.natives.insert(*index, native.clone());
            let Some(Part::Native { request, class, scale }) = self.parts.get(index) else {
                continue;
            };
            let more = native.since(last.as_ref().filter(|_| !is_restart));
            let ended = ended.entry((request, *class)).or_default();
            *ended.sum.get_or_insert(0.0) += more.sum * scale;
            let buckets = more.buckets.into_iter();
            ended.natives.extend(buckets.map(|(low, high, n)| (low * scale, high * scale, n)));
        }
        let Some(before) = before.filter(|before| at - before <= LONGEST_GAP && at > *before)
        else {
            return is_restart;
        };
        let span = (snapped(before, grid, self.step), snapped(at, grid, self.step));
        grid.look(span);
        let all: f64 = classes.values().sum();
        for ((request, class), ended) in ended {
            let increment = ended.increment();
            let place = grid.endpoint(request);
            match class {
                None if all > 0.0 => {
                    for (class, count) in &classes {
                        grid.add(span, (place, *class), &increment.share(count / all));
                    }
                }
                class => {
                    let class = class.unwrap_or(ResponseClass::Status(200));
                    grid.add(span, (place, class), &increment);
                }
            }
        }
        is_restart
    }

    /// The ticks up to `until`, in milliseconds, that no further sample can change.
    pub(super) fn ticks(&mut self, until: i64, is_last: bool) -> Vec<LoadTick> {
        let Some(grid) = &mut self.grid else { return Vec::new() };
        let open = self.endpoints.values().filter_map(|endpoint| endpoint.scraped);
        let oldest = open.filter(|at| until - at <= LONGEST_GAP).min().unwrap_or(until);
        let until = if is_last { until + self.step } else { oldest.min(until) };
        grid.take(snapped(until, grid, self.step))
    }

    /// Each request with its share of all so far.
    pub(super) fn shares(&self) -> Vec<(String, f64)> {
        self.grid.as_ref().map(Grid::shares).unwrap_or_default()
    }
}

/// The moment, or that of the grid which is as good as the same.
fn snapped(at: i64, grid: &Grid, step: i64) -> i64 {
    let nearest = grid.nearest(at);
    if (at - nearest).abs() as f64 <= ON_GRID * step as f64 { nearest } else { at }
}

/// That no load is known, and what would tell it.
fn no_load(catalogue: &Catalogue) -> String {
    let untimed = load_families::UNTIMED
        .iter()
        .find(|name| catalogue.series.iter().any(|series| series.name == **name));
    match untimed {
        Some(name) => format!(
            "`{name}` counts requests, but not how long they take: the recording has no load; \
             match what exports a histogram of response times, such as \
             `http_server_request_duration_seconds`"
        ),
        None => "no known metric of requests: the recording has no load; match what exports a \
                 histogram of response times, such as `http_server_request_duration_seconds`"
            .to_owned(),
    }
}
