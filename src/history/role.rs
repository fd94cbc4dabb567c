//! The readings of one role, cell by cell of a grid of scrape intervals: all endpoints of a role
//! become one reading in each, as if a collector had looked at all of them at once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use super::busiest::Busiest;
use super::catalogue::{Catalogue, StoredSeries};
use super::load::Load;
use super::load_families::{self, LOAD_FAMILIES};
use super::native::{Native, Stored};
use super::role_families::{self, ROLE_FAMILIES, Role, RoleFamily};
use crate::collect::{StoredEndpoint, StoredSample};
use crate::recording::{Event, WriteError, Writer};
use crate::timeline::names;
use crate::timeline::{Batch, BatchBuilder, Gap, Labels, MetricSpec, Moment, SeriesKey, Window};

/// Name of the collector whose readings these are.
pub(super) const COLLECTOR: &str = "prometheus";
/// Scrape interval in milliseconds where it cannot be told, as Prometheus has it by default.
const USUAL_STEP: i64 = 60_000;
/// Shortest scrape interval in milliseconds.
const SHORTEST_STEP: i64 = 100;
/// Series from which the scrape interval is told.
const MEASURED_SERIES: usize = 50;
/// Times the scrape interval after which a sample is missing.
const MISSING: f64 = 2.5;

/// What one scrape of an endpoint holds, by series.
#[derive(Default)]
struct Scrape {
    values: Vec<(usize, f64)>,
    natives: Vec<(usize, Native)>,
}

/// A series that becomes a shared one.
struct Shared {
    metric: &'static MetricSpec,
    labels: Labels,
    scale: f64,
    zero_is_none: bool,
}

/// One cell: what each endpoint had in it last.
#[derive(Default)]
struct Cell {
    from: Option<i64>,
    to: i64,
    values: BTreeMap<String, BTreeMap<usize, f64>>,
    /// When that was.
    at: BTreeMap<String, i64>,
    /// Count and sum of native histograms.
    natives: BTreeMap<String, BTreeMap<usize, (f64, f64)>>,
}

/// What a role contributes to the recording, in order of time within each kind.
#[derive(Default)]
pub(super) struct Readings {
    pub(super) batches: Vec<Batch>,
    pub(super) gaps: Vec<Gap>,
    /// Time in milliseconds, and what happened.
    pub(super) events: Vec<(i64, String)>,
}

impl Readings {
    /// Writes them, and forgets them.
    pub(super) fn write<W: Write>(&mut self, writer: &mut Writer<W>) -> Result<(), WriteError> {
        for (at, text) in self.events.drain(..) {
            writer.event(&Event { at: Moment::from_secs_f64(at as f64 / 1e3), text })?;
        }
        for batch in self.batches.drain(..) {
            writer.batch(&batch)?;
        }
        for gap in self.gaps.drain(..) {
            writer.gap(&gap)?;
        }
        Ok(())
    }
}

/// The readings of one role.
pub(super) struct RoleReadings {
    role: Role,
    shared: BTreeMap<usize, Vec<Shared>>,
    /// The endpoint whose shared series count, for what there can only be one of.
    only: Option<String>,
    /// Whether its own names are recorded of a series: another role has it otherwise.
    is_raw: Vec<bool>,
    endpoints: BTreeMap<String, StoredEndpoint>,
    last: BTreeMap<String, i64>,
    cells: BTreeMap<i64, Cell>,
    grid: Option<(i64, i64)>,
    /// Processor time of the machine: not idle, and all.
    cpu: Option<(f64, f64)>,
    /// What the busiest process of the target uses.
    busiest: Busiest,
    /// Processor time of processes that only export their share of the machine: when they last did,
    /// in milliseconds, and seconds so far.
    of_shares: BTreeMap<String, (i64, f64)>,
    /// Whether the machine's cores are all that the target may use.
    pub(super) gives_cores: bool,
    refused: usize,
}

impl RoleReadings {
    /// The readings of the series of `catalogue`; those in `taken` are recorded by another role.
    pub(super) fn of(
        catalogue: &Catalogue,
        taken: &mut BTreeSet<super::answer::LabelSet>,
        types: &BTreeMap<String, String>,
        notes: &mut Vec<String>,
    ) -> Self {
        let role = catalogue.role;
        let is_raw = catalogue.series.iter().map(|series| taken.insert(series.labels.clone()));
        let is_raw = is_raw.collect();
        let endpoints = catalogue
            .instances()
            .into_iter()
            .map(|name| (name.to_owned(), StoredEndpoint::new(name, types)))
            .collect();
        let mut readings = Self {
            role,
            shared: BTreeMap::new(),
            only: None,
            is_raw,
            endpoints,
            last: BTreeMap::new(),
            cells: BTreeMap::new(),
            grid: None,
            cpu: None,
            busiest: Busiest::default(),
            of_shares: BTreeMap::new(),
            gives_cores: false,
            refused: 0,
        };
        readings.share(catalogue, notes);
        readings
    }

    fn share(&mut self, catalogue: &Catalogue, notes: &mut Vec<String>) {
        let present: BTreeSet<&str> =
            catalogue.series.iter().map(|series| series.name.as_str()).collect();
        let families: Vec<&RoleFamily> = ROLE_FAMILIES
            .iter()
            .filter(|family| family.role == self.role && present.contains(family.name))
            .collect();
        let waits = catalogue.series.iter().any(|series| {
            series.labels.get("wait_event_type").is_some_and(|wait| !wait.is_empty())
        });
        if !waits && present.contains("pg_stat_activity_count") {
            notes.push(
                "`pg_stat_activity_count` has no label `wait_event_type`, so nobody can say what \
                 sessions wait for: postgres_exporter has it from version 0.13 on"
                    .to_owned(),
            );
        }
        for (index, series) in catalogue.series.iter().enumerate() {
            let pod = ["pod", "name"].into_iter().find_map(|label| series.labels.get(label));
            let is_of_container =
                series.name.starts_with("container_") || series.name.starts_with("kube_");
            let owner = pod.filter(|_| is_of_container).unwrap_or(&series.instance);
            for family in families.iter().filter(|family| family.name == series.name) {
                if families.iter().any(|other| other.outranks(family)) {
                    continue;
                }
                // Without the waits, no session would seem to wait for a lock.
                if family.metric.name == names::DB_SESSIONS.name && !waits {
                    continue;
                }
                let Some(labels) = family.labels(&series.labels, owner) else { continue };
                self.shared.entry(index).or_default().push(Shared {
                    metric: family.metric,
                    labels,
                    scale: family.scale,
                    zero_is_none: family.zero_is_none,
                });
            }
            if let Some(to) = self.call_of(&series.name, series) {
                self.shared.entry(index).or_default().push(to);
            }
        }
        self.choose_one(catalogue, notes);
    }

    /// Calls to a service that the target calls, as that service counts them: what a series says of
    /// them that has this name.
    fn call_of(&self, name: &str, series: &StoredSeries) -> Option<Shared> {
        if self.role != Role::Downstream {
            return None;
        }
        let (place, part) = load_families::part_of(name)?;
        let family = &LOAD_FAMILIES[place];
        family.holds(name, &series.labels)?;
        family.request(&series.labels)?;
        let peer = series.labels.get("job").unwrap_or(&series.instance);
        let labels =
            Labels::none().with("peer", peer.as_str()).with("endpoint", series.instance.as_str());
        let (metric, labels, scale) = match part {
            "_sum" => (&names::CLIENT_CALL_TIME, labels, family.scale),
            "_count" => {
                let class = load_families::class(&series.labels);
                let labels = match class {
                    Some(class) => labels.with("class", class.to_string()),
                    None => labels,
                };
                (&names::CLIENT_CALLS, labels, 1.0)
            }
            _ => return None,
        };
        Some(Shared { metric, labels, scale, zero_is_none: false })
    }

    /// A recording has one machine and one database.
    fn choose_one(&mut self, catalogue: &Catalogue, notes: &mut Vec<String>) {
        if !matches!(self.role, Role::Host | Role::Database) {
            return;
        }
        let of: BTreeSet<&str> = self
            .shared
            .keys()
            .filter_map(|index| catalogue.series.get(*index))
            .map(|series| series.instance.as_str())
            .collect();
        self.only = of.first().map(|first| (*first).to_owned());
        if of.len() > 1 {
            let what = if self.role == Role::Host { "machines" } else { "databases" };
            notes.push(format!(
                "`{}` matches {} {what}: the rules look at `{}`; select one to look at another",
                catalogue.matcher_text(),
                of.len(),
                of.first().copied().unwrap_or_default()
            ));
        }
    }

    /// Adds the samples of a slice. The first tells the scrape interval.
    pub(super) fn add(
        &mut self,
        catalogue: &Catalogue,
        stored: Stored,
        load: Option<&mut Load>,
        readings: &mut Readings,
    ) {
        if stored.count() == 0 {
            return;
        }
        let (origin, step) = *self.grid.get_or_insert_with(|| grid(&stored));
        let mut load = load;
        if let Some(load) = load.as_deref_mut() {
            load.set_grid(origin, step);
        }
        for (instance, scrapes) in scrapes(catalogue, stored) {
            for (at, scrape) in scrapes {
                let Scrape { values, natives } = scrape;
                if load.as_deref_mut().is_some_and(|it| it.scrape(instance, at, &values, &natives))
                {
                    let text = format!("the process behind `{instance}` was restarted");
                    readings.events.push((at, text));
                }
                if let Some(before) = self.last.insert(instance.to_owned(), at)
                    && (at - before) as f64 > MISSING * step as f64
                {
                    readings.gaps.push(missing(instance, before, at));
                }
                // Half a step before a scrape, so that those a little early or late stay in their cell.
                let cell = (at - origin + step / 2).div_euclid(step);
                let cell = self.cells.entry(cell).or_default();
                cell.from = Some(cell.from.map_or(at, |from| from.min(at)));
                cell.to = cell.to.max(at);
                cell.at.insert(instance.to_owned(), at);
                cell.values.entry(instance.to_owned()).or_default().extend(values);
                if !natives.is_empty() {
                    let natives =
                        natives.into_iter().map(|(index, it)| (index, (it.count, it.sum)));
                    cell.natives.entry(instance.to_owned()).or_default().extend(natives);
                }
            }
        }
    }

    /// Turns the cells that end at `until` or before into batches. Times in milliseconds.
    pub(super) fn take(&mut self, catalogue: &Catalogue, until: i64, readings: &mut Readings) {
        let Some((origin, step)) = self.grid else { return };
        let later = self.cells.split_off(&(until - origin - step / 2).div_euclid(step));
        let done = std::mem::replace(&mut self.cells, later);
        for cell in done.into_values() {
            self.read(catalogue, &cell, readings);
        }
    }

    fn read(&mut self, catalogue: &Catalogue, cell: &Cell, readings: &mut Readings) {
        let (mut raw, mut own) = (BatchBuilder::new(), BatchBuilder::new());
        let mut shared: BTreeMap<SeriesKey, (&'static MetricSpec, f64)> = BTreeMap::new();
        let mut cores = 0;
        for (instance, values) in &cell.values {
            let natives = cell.natives.get(instance);
            let mut scrape = self.native_totals(catalogue, natives, &mut shared);
            for (index, value) in values {
                let Some(series) = catalogue.series.get(*index) else { continue };
                if self.is_raw.get(*index).copied().unwrap_or(false) {
                    scrape.push(StoredSample {
                        name: series.name.clone(),
                        labels: series.own.clone(),
                        value: *value,
                    });
                }
                let is_idle = series.labels.get("mode").is_some_and(|mode| mode == "idle");
                cores += usize::from(is_idle && series.name == "node_cpu_seconds_total");
                if self.only.as_ref().is_some_and(|only| only != instance) {
                    continue;
                }
                for to in self.shared.get(index).into_iter().flatten() {
                    if to.zero_is_none && *value == 0.0 {
                        continue;
                    }
                    let key = SeriesKey::new(to.metric.name, to.labels.clone());
                    shared.entry(key).or_insert((to.metric, 0.0)).1 += value * to.scale;
                }
            }
            if self.role == Role::Target
                && let Some(seconds) = self.cpu_of_share(catalogue, instance, values, cell.to)
            {
                let labels = Labels::none().with("process", instance.as_str());
                let key = SeriesKey::new(names::PROCESS_CPU_TIME.name, labels);
                shared.entry(key).or_insert((&names::PROCESS_CPU_TIME, seconds));
            }
            if let Some(endpoint) = self.endpoints.get_mut(instance) {
                self.refused = self.refused.max(endpoint.record(scrape, &mut raw));
            }
        }
        if self.role == Role::Target {
            for (instance, values) in &cell.values {
                let at = cell.at.get(instance).copied().unwrap_or(cell.to);
                self.busiest.look(catalogue, instance, at, values);
            }
            if let Some(cores) = self.busiest.take() {
                let labels = Labels::none().with("process", "the busiest one");
                own.push_labelled(&names::PROCESS_CPU_BUSIEST, labels, cores);
            }
        }
        if self.role == Role::Host {
            let here = cell.values.iter().find(|(name, _)| Some(*name) == self.only.as_ref());
            let here = here.map_or(0, |(_, values)| cores_of(catalogue, values));
            self.machine(&shared, here, &mut own);
        }
        for (key, (metric, value)) in shared {
            own.push_foreign(key, metric.unit, metric.kind, value);
        }
        let mut push = |collector: &str, batch: BatchBuilder| {
            if !batch.is_empty() {
                let window = Window::new(at(cell.from.unwrap_or(cell.to)), at(cell.to));
                let collector = collector.to_owned();
                readings.batches.push(Batch { collector, window, readings: batch.finish() });
            }
        };
        push(COLLECTOR, raw);
        push(role_families::collector(self.role), own);
        if self.gives_cores && cores > 0 {
            let mut allowed = BatchBuilder::new();
            let labels = Labels::none().with("process", "every process of these machines");
            allowed.push_labelled(&names::PROCESS_CPU_ALLOWED, labels, cores as f64);
            push(role_families::collector(Role::Target), allowed);
        }
    }

    /// The counts and sums of native histograms, as classic ones have them.
    fn native_totals(
        &self,
        catalogue: &Catalogue,
        natives: Option<&BTreeMap<usize, (f64, f64)>>,
        shared: &mut BTreeMap<SeriesKey, (&'static MetricSpec, f64)>,
    ) -> Vec<StoredSample> {
        let mut scrape = Vec::new();
        for (index, (count, sum)) in natives.into_iter().flatten() {
            let Some(series) = catalogue.series.get(*index) else { continue };
            for (part, value) in [("_count", *count), ("_sum", *sum)] {
                let name = format!("{}{part}", series.name);
                if let Some(to) = self.call_of(&name, series) {
                    let key = SeriesKey::new(to.metric.name, to.labels);
                    shared.entry(key).or_insert((to.metric, 0.0)).1 += value * to.scale;
                }
                if self.is_raw.get(*index).copied().unwrap_or(false) {
                    scrape.push(StoredSample { name, labels: series.own.clone(), value });
                }
            }
        }
        scrape
    }

    /// Processor time of a process that exports its share of all cores instead, as Micrometer does of
    /// a JVM: the share times the cores, added up. `None` where the time itself is known.
    fn cpu_of_share(
        &mut self,
        catalogue: &Catalogue,
        instance: &str,
        values: &BTreeMap<usize, f64>,
        now: i64,
    ) -> Option<f64> {
        let value = |name: &str| {
            let mut series = values
                .iter()
                .filter_map(|(index, value)| Some((&catalogue.series.get(*index)?.name, *value)));
            series.find(|(known, _)| *known == name).map(|(_, value)| value)
        };
        if self.shares(&names::PROCESS_CPU_TIME) {
            return None;
        }
        let (share, cores) = (value("process_cpu_usage")?, value("system_cpu_count")?);
        let (last, seconds) = self.of_shares.get(instance).copied().unwrap_or((now, 0.0));
        let more = share.clamp(0.0, 1.0) * cores * (now - last) as f64 / 1e3;
        self.of_shares.insert(instance.to_owned(), (now, seconds + more));
        Some(seconds + more)
    }

    /// What follows from the processor times of the machine.
    fn machine(
        &mut self,
        shared: &BTreeMap<SeriesKey, (&'static MetricSpec, f64)>,
        cores: usize,
        batch: &mut BatchBuilder,
    ) {
        let times = shared.iter().filter(|(key, _)| key.metric == names::SYSTEM_CPU_TIME.name);
        let (mut busy, mut all) = (0.0, 0.0);
        for (key, (_, seconds)) in times {
            all += seconds;
            if !matches!(key.labels.get("mode"), Some("idle" | "iowait")) {
                busy += seconds;
            }
        }
        if all <= 0.0 {
            return;
        }
        if let Some((busy_before, all_before)) = self.cpu.replace((busy, all))
            && all > all_before
        {
            let share = (busy - busy_before) / (all - all_before);
            batch.push(&names::SYSTEM_CPU_UTILIZATION, share.clamp(0.0, 1.0));
        }
        batch.push(&names::SYSTEM_CPU_CORES, cores as f64);
    }

    /// Whether the processor time of the target, and its limit, are among the shared series.
    pub(super) fn cpu_and_limit(&self) -> (bool, bool) {
        let has = |metric: &MetricSpec| {
            self.shared.values().flatten().any(|shared| shared.metric.name == metric.name)
        };
        (has(&names::PROCESS_CPU_TIME), has(&names::PROCESS_CPU_ALLOWED))
    }

    /// Whether any series became a shared one of this metric.
    pub(super) fn shares(&self, metric: &MetricSpec) -> bool {
        self.shared.values().flatten().any(|shared| shared.metric.name == metric.name)
    }

    /// Seconds between two scrapes.
    pub(super) fn interval(&self) -> Option<f64> {
        self.grid.map(|(_, step)| step as f64 / 1e3)
    }

    /// What was recognised, and how many series were not recorded.
    pub(super) fn systems(&self) -> BTreeSet<&'static str> {
        self.endpoints.values().flat_map(StoredEndpoint::systems).collect()
    }

    /// How many series of one endpoint were not recorded at most, because there were too many.
    pub(super) fn refused(&self) -> usize {
        self.refused
    }
}

/// Moments are milliseconds since the begin of the recording, as the samples that are added are.
fn at(millis: i64) -> Moment {
    Moment::from_secs_f64(millis as f64 / 1e3)
}

fn cores_of(catalogue: &Catalogue, values: &BTreeMap<usize, f64>) -> usize {
    let series = values.keys().filter_map(|index| catalogue.series.get(*index));
    series
        .filter(|series| series.name == "node_cpu_seconds_total")
        .filter(|series| series.labels.get("mode").is_some_and(|mode| mode == "idle"))
        .count()
}

fn missing(instance: &str, from: i64, to: i64) -> Gap {
    Gap {
        collector: COLLECTOR.to_owned(),
        window: Window::new(at(from), at(to)),
        reason: format!("no samples of `{instance}`: its scrapes failed, or it was gone"),
    }
}

/// The first moment of what is stored, and the scrape interval, in milliseconds.
fn grid(stored: &Stored) -> (i64, i64) {
    let of_values = stored.values.values().map(|it| times(it));
    let of_natives = stored.natives.values().map(|it| times(it));
    let all: Vec<Vec<i64>> = of_values.take(MEASURED_SERIES).chain(of_natives).collect();
    let firsts = stored.values.values().filter_map(|it| it.first()).map(|(at, _)| *at);
    let first = firsts.chain(all.iter().filter_map(|it| it.first().copied())).min();
    (first.unwrap_or(0), scrape_interval(&all))
}

fn times<T>(samples: &[(i64, T)]) -> Vec<i64> {
    samples.iter().map(|(at, _)| *at).collect()
}

/// What is stored, scrape by scrape of each endpoint.
fn scrapes(catalogue: &Catalogue, stored: Stored) -> BTreeMap<&str, BTreeMap<i64, Scrape>> {
    let mut scrapes: BTreeMap<&str, BTreeMap<i64, Scrape>> = BTreeMap::new();
    let of = |index: usize| catalogue.series.get(index).map(|series| series.instance.as_str());
    for (index, values) in stored.values {
        let Some(instance) = of(index) else { continue };
        let scrapes = scrapes.entry(instance).or_default();
        for (at, value) in values {
            scrapes.entry(at).or_default().values.push((index, value));
        }
    }
    for (index, samples) in stored.natives {
        let Some(instance) = of(index) else { continue };
        let scrapes = scrapes.entry(instance).or_default();
        for (at, native) in samples {
            scrapes.entry(at).or_default().natives.push((index, native));
        }
    }
    scrapes
}

/// The median distance of two samples of a series, in milliseconds; of an even number the lower one,
/// since samples that are missing only make distances longer.
fn scrape_interval(times: &[Vec<i64>]) -> i64 {
    let mut distances: Vec<i64> = times
        .iter()
        .flat_map(|times| times.windows(2).map(|pair| pair[1] - pair[0]))
        .filter(|distance| *distance >= SHORTEST_STEP)
        .collect();
    distances.sort_unstable();
    distances.get(distances.len().saturating_sub(1) / 2).copied().unwrap_or(USUAL_STEP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scrape_interval_is_the_median_distance() {
        let of = |times: &[i64]| scrape_interval(&[times.to_vec()]);
        assert_eq!(of(&[0, 15_000, 30_001, 90_000, 105_000]), 15_000);
        assert_eq!(of(&[7]), USUAL_STEP);
    }
}
