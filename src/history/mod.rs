//! What a Prometheus server stored → a recording: the diagnosis of a time in which nobody made load.
//!
//! The series of the target become what the collector `prometheus` would have recorded of it. Those
//! of exporters also become what kneepoint's own collectors read, so that the same rules know them.
//! Ticks of load come from the target's counters and histograms of requests, one for each scrape
//! interval; there are no stages, since nobody held a load.
//!
//! Everything is read slice by slice and written at once, so that a week of thousands of series
//! takes no more memory than an hour of them.

mod answer;
mod busiest;
mod catalogue;
mod cells;
mod clock;
mod csv_file;
mod error;
mod evidence;
mod families;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod join;
mod kept;
mod load;
mod load_families;
mod native;
mod requests;
mod role;
mod role_families;
mod selector;
mod server;
mod slices;

use std::collections::BTreeSet;
use std::io::Write;

pub use csv_file::CsvFile;
pub use error::HistoryError;
pub use evidence::{Log, is_log};
pub use families::{Family, addition, families_of};
pub use join::{Beside, EXECUTOR, MARGIN, cell, is_history, join};
pub use kept::Keep;
pub use server::Access;

use answer::Matrix;
use catalogue::{Batch, Catalogue};
use join::OF_LOAD;
use load::Load;
use native::Stored;
use role::{COLLECTOR, Readings, RoleReadings};
use role_families::Role;
use server::Server;
use slices::{Reader, Way};

use crate::plan::Secret;
use crate::recording::{CollectorNote, Environment, Event, PlanSummary, Stop, StopReason, Writer};
use crate::timeline::{Moment, names};

/// Length of a slice in milliseconds.
const SLICE: i64 = 3_600_000;
/// Readings that are made of samples at once: each has its name and labels, and takes fifty times the
/// memory of a sample.
const READINGS_AT_ONCE: u64 = 20_000;
/// Most events of one kind that a recording holds.
const MOST_EVENTS: usize = 200;

/// What to read.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// Where, and who asks.
    pub access: Access,
    /// Selectors of the service that answers the requests.
    pub target: Vec<String>,
    /// Selectors of its machine, as node_exporter sees it.
    pub host: Vec<String>,
    /// Selectors of its database, as postgres_exporter sees it.
    pub database: Vec<String>,
    /// Selectors of services that it calls.
    pub downstream: Vec<String>,
    /// Begin, in seconds since 1970.
    pub from: f64,
    /// End, in seconds since 1970.
    pub to: f64,
}

/// How far the reading is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Slices that were read, of how many.
    pub slices: (usize, usize),
    /// Samples that were read.
    pub samples: u64,
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Stored series.
    pub series: usize,
    /// Their samples.
    pub samples: u64,
    /// Requests that the load has.
    pub requests: u64,
    /// Seconds between two scrapes of the target.
    pub interval: Option<f64>,
    /// Pools, servers and runtimes that were recognised.
    pub systems: Vec<&'static str>,
    /// What a reader has to know.
    pub notes: Vec<String>,
}

/// Reads what `question` asks for and writes it as a recording called `name`.
///
/// # Errors
/// When the server cannot be reached or does not answer, a selector is not valid or matches nothing,
/// or the recording cannot be written.
pub fn record(
    question: &Question,
    name: &str,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(Progress),
) -> Result<Summary, HistoryError> {
    record_kept(question, name, out, progress, None)
}

/// The same, which does not ask again for slices that `keep` has, and keeps those that are read.
///
/// # Errors
/// As above.
pub fn record_kept(
    question: &Question,
    name: &str,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(Progress),
    keep: Option<&dyn Keep>,
) -> Result<Summary, HistoryError> {
    if question.to - question.from < 0.001 {
        return Err(HistoryError::Unusable {
            what: "the end of the time is not later than its begin".to_owned(),
            hint: "give a later `--to`".to_owned(),
        });
    }
    let server = Server::open(&question.access)?;
    let mut notes = Vec::new();
    let catalogues = catalogues(&server, question, &mut notes)?;
    let asked = kept::fingerprint((question.from, question.to), &catalogues);
    let mut history = History::of(&server, question, catalogues, notes);
    let mut reader = Reader::new(&server);
    let slices = slices(history.length());
    let mut summary = Summary { series: history.series(), ..Summary::default() };
    let mut done = Progress { slices: (0, slices.len()), samples: 0 };
    let mut out = Some(out);
    let mut writer = None;
    for (place, slice) in slices.iter().enumerate() {
        let is_last = place + 1 == slices.len();
        let slot = keep.map(|keep| (keep, format!("{asked}-{place}")));
        let kept = slot.as_ref().and_then(|(keep, name)| history.restore(&keep.get(name)?));
        let read = match kept {
            Some(read) => read,
            None => history.read(&mut reader, *slice)?,
        };
        if let Some((keep, name)) = slot.filter(|_| kept.is_none()) {
            keep.put(&name, &kept::encoded(history.parts.iter().map(|part| &part.stored)));
        }
        done.samples += read;
        let mut readings = history.add();
        let ticks = history.ticks(slice.1, is_last);
        if let Some(out) = out.take() {
            // The first slice tells the scrape interval and the mix of requests.
            let environment = history.environment(&server, question);
            let mut first = Writer::create(out, &history.plan(name), &environment)?;
            for text in history.opening(&server, reader.way) {
                first.event(&Event { at: Moment::START, text })?;
            }
            writer = Some(first);
        }
        let Some(writer) = &mut writer else { continue };
        for until in parts(*slice, read) {
            history.take(until, is_last && until == slice.1, &mut readings);
            readings.write(writer)?;
        }
        for tick in &ticks {
            summary.requests += tick.completed();
            writer.tick(tick)?;
        }
        done.slices.0 = place + 1;
        progress(done);
    }
    let end = Moment::from_secs_f64(history.length() as f64 / 1e3);
    history.close();
    if let Some(mut writer) = writer {
        for text in &history.late {
            writer.event(&Event { at: end, text: text.clone() })?;
        }
        writer.finish(&Stop { at: end, reason: StopReason::Completed })?;
    }
    summary.samples = done.samples;
    summary.interval = history.interval();
    summary.systems = history.systems();
    summary.notes = history.opening(&server, reader.way);
    summary.notes.append(&mut history.late);
    Ok(summary)
}

/// The slices of a time of so many milliseconds.
fn slices(length: i64) -> Vec<(i64, i64)> {
    let count = (length + SLICE - 1) / SLICE;
    // The first sample may lie exactly at the begin.
    let from = |place: i64| if place == 0 { -1 } else { place * SLICE };
    (0..count).map(|place| (from(place), ((place + 1) * SLICE).min(length))).collect()
}

/// The ends of the parts of a slice with so many samples.
fn parts((from, to): (i64, i64), samples: u64) -> impl Iterator<Item = i64> {
    let count = (samples / READINGS_AT_ONCE).clamp(1, 1000) as i64;
    (1..=count).map(move |place| from + (to - from) * place / count)
}

fn catalogues(
    server: &Server,
    question: &Question,
    notes: &mut Vec<String>,
) -> Result<Vec<Catalogue>, HistoryError> {
    let roles = [
        (Role::Target, &question.target),
        (Role::Host, &question.host),
        (Role::Database, &question.database),
        (Role::Downstream, &question.downstream),
    ];
    let mut found = Vec::new();
    for (role, selectors) in roles {
        for selector in selectors {
            let span = (question.from, question.to);
            found.push(catalogue::find(server, role, selector, span, notes)?);
        }
    }
    Ok(found)
}

/// One selector's series, its readings, and the samples of the present slice.
struct Part {
    catalogue: Catalogue,
    readings: RoleReadings,
    load: Option<Load>,
    stored: Stored,
}

/// A history that is being read. Its times are milliseconds since its begin.
struct History {
    zero: i64,
    length: i64,
    parts: Vec<Part>,
    batches: Vec<Batch>,
    notes: Vec<String>,
    /// What is only known at the end.
    late: Vec<String>,
    events: usize,
}

impl History {
    fn of(
        server: &Server,
        question: &Question,
        catalogues: Vec<Catalogue>,
        mut notes: Vec<String>,
    ) -> Self {
        let types = catalogue::types(server, &catalogues);
        let mut taken = BTreeSet::new();
        let batches =
            catalogues.iter().enumerate().flat_map(|(place, it)| it.batches(place)).collect();
        let mut parts: Vec<Part> = catalogues
            .into_iter()
            .map(|catalogue| {
                let is_target = catalogue.role == Role::Target;
                Part {
                    readings: RoleReadings::of(&catalogue, &mut taken, &types, &mut notes),
                    load: is_target.then(|| Load::of(&catalogue, &mut notes)),
                    stored: Stored::default(),
                    catalogue,
                }
            })
            .collect();
        // Several selectors of the target: those that tell of no load need not.
        let loads = || parts.iter().filter_map(|part| part.load.as_ref());
        if loads().any(Load::is_known) && !loads().all(Load::is_known) {
            notes.retain(|note| !note.contains("the recording has no load"));
        }
        let cpu = parts.iter().map(|part| part.readings.cpu_and_limit());
        let (has_cpu, has_limit) = cpu.fold((false, false), |(a, b), (c, d)| (a || c, b || d));
        for part in parts.iter_mut().filter(|part| part.catalogue.role == Role::Host) {
            part.readings.gives_cores = has_cpu && !has_limit;
        }
        let millis = |seconds: f64| (seconds * 1e3).round() as i64;
        let zero = millis(question.from);
        let length = millis(question.to) - zero;
        Self { zero, length, parts, batches, notes, late: Vec::new(), events: 0 }
    }

    fn length(&self) -> i64 {
        self.length
    }

    fn series(&self) -> usize {
        self.parts.iter().map(|part| part.catalogue.series.len()).sum()
    }

    /// Reads the samples of a slice. Returns how many there were.
    fn read(&mut self, reader: &mut Reader, (from, to): (i64, i64)) -> Result<u64, HistoryError> {
        let (zero, parts) = (self.zero, &mut self.parts);
        let is_inside = |at: i64| at > from && at <= to;
        for batch in &self.batches {
            let Some(part) = parts.get_mut(batch.catalogue) else { continue };
            reader.read(&batch.selector, (zero + from, zero + to), &mut |matrix: Matrix| {
                if matrix.result_type != "matrix" {
                    return;
                }
                for series in &matrix.result {
                    let Some(place) = part.catalogue.place(&series.metric) else { continue };
                    let values = series.samples().map(|(at, value)| (at - zero, value));
                    let values = values.filter(|(at, _)| is_inside(*at));
                    part.stored.values.entry(place).or_default().extend(values);
                    let natives = series.natives().map(|(at, native)| (at - zero, native));
                    let mut natives = natives.filter(|(at, _)| is_inside(*at)).peekable();
                    if natives.peek().is_some() {
                        part.stored.natives.entry(place).or_default().extend(natives);
                    }
                }
            })?;
        }
        parts.iter_mut().for_each(|part| part.stored.sort());
        Ok(self.stored())
    }

    /// How many samples of the slice there are.
    fn stored(&self) -> u64 {
        self.parts.iter().map(|part| part.stored.count()).sum()
    }

    /// Takes the samples of a slice that was kept. Returns how many there are.
    fn restore(&mut self, bytes: &[u8]) -> Option<u64> {
        let slice = kept::decoded(bytes, self.parts.len())?;
        for (part, stored) in self.parts.iter_mut().zip(slice) {
            part.stored = stored;
        }
        Some(self.stored())
    }

    /// Adds the samples of the slice to the grids of the roles. Returns what happened in it.
    fn add(&mut self) -> Readings {
        let mut readings = Readings::default();
        for part in &mut self.parts {
            let stored = std::mem::take(&mut part.stored);
            part.readings.add(&part.catalogue, stored, part.load.as_mut(), &mut readings);
        }
        readings.events.sort();
        let left = MOST_EVENTS.saturating_sub(self.events);
        readings.events.truncate(left);
        self.events += readings.events.len();
        readings
    }

    /// Turns what was added up to `until` into readings.
    fn take(&mut self, until: i64, is_last: bool, readings: &mut Readings) {
        for part in &mut self.parts {
            let until = if is_last { i64::MAX / 4 } else { until };
            part.readings.take(&part.catalogue, until, readings);
        }
        readings.batches.sort_by_key(|batch| batch.window.end);
    }

    fn ticks(&mut self, until: i64, is_last: bool) -> Vec<crate::timeline::LoadTick> {
        let loads = self.parts.iter_mut().filter_map(|part| part.load.as_mut());
        let mut ticks: Vec<_> = loads.flat_map(|load| load.ticks(until, is_last)).collect();
        ticks.sort_by_key(|tick| tick.window.begin);
        ticks
    }

    fn interval(&self) -> Option<f64> {
        let with_load = |part: &&Part| part.load.as_ref().is_some_and(Load::is_known);
        let first = self.parts.iter().find(with_load).or_else(|| self.parts.first())?;
        first.readings.interval()
    }

    fn systems(&self) -> Vec<&'static str> {
        let systems: BTreeSet<&str> =
            self.parts.iter().flat_map(|part| part.readings.systems()).collect();
        systems.into_iter().collect()
    }

    fn plan(&self, name: &str) -> PlanSummary {
        let mut requests = Vec::new();
        for load in self.parts.iter().filter_map(|part| part.load.as_ref()) {
            requests.extend(load.shares());
        }
        PlanSummary {
            name: name.to_owned(),
            requests,
            executor: EXECUTOR.to_owned(),
            ..PlanSummary::default()
        }
    }

    fn environment(&self, server: &Server, question: &Question) -> Environment {
        let collectors = self.parts.iter().map(|part| CollectorNote {
            name: COLLECTOR.to_owned(),
            instance: part.catalogue.matcher_text().to_owned(),
            watches: format!(
                "{} series of `{}` as `{}` stored them",
                part.catalogue.series.len(),
                part.catalogue.matcher_text(),
                server.shown()
            ),
            interval_secs: part.readings.interval().unwrap_or_default(),
        });
        Environment {
            kneepoint: env!("CARGO_PKG_VERSION").to_owned(),
            started_unix: question.from,
            target: question.target.join(", "),
            collectors: collectors.collect(),
            ..Environment::default()
        }
    }

    /// What a reader has to know from the beginning.
    fn opening(&self, server: &Server, way: Way) -> Vec<String> {
        let families: BTreeSet<&str> = self
            .parts
            .iter()
            .filter_map(|part| part.load.as_ref())
            .flat_map(|load| load.families.iter().copied())
            .collect();
        let mut notes = vec![format!(
            "read from `{}`: nobody made this load, and it is as the target counted it",
            server.shown()
        )];
        if !families.is_empty() {
            let names: Vec<&str> = families.into_iter().collect();
            notes.push(format!(
                "{OF_LOAD} (`{}`): waiting before the target takes a \
                 request is not in them; quantiles are exact to a bucket, means are exact",
                names.join("`, `")
            ));
        }
        if way == Way::Evaluated {
            notes.push(
                "the server does not allow range selectors in instant queries, so the samples are \
                 those of `query_range`: the end of a series shows up to 5 minutes late, and \
                 times are exact to 15 s"
                    .to_owned(),
            );
        }
        let downstream = self.parts.iter().find(|part| part.catalogue.role == Role::Downstream);
        if downstream.is_some_and(|part| part.readings.shares(&names::CLIENT_CALLS)) {
            notes.push(
                "calls to other services are as these count them: calls of other clients are \
                 among them"
                    .to_owned(),
            );
        }
        notes.extend(self.notes.iter().cloned());
        notes
    }

    /// Gathers what is only known at the end.
    fn close(&mut self) {
        for part in &self.parts {
            let lacking = part.load.as_ref().and_then(Load::lacking);
            self.late.extend(lacking.map(str::to_owned));
            let refused = part.readings.refused();
            if refused > 0 {
                self.late.push(format!(
                    "an endpoint of `{}` has more series than are recorded: {refused} are left out",
                    part.catalogue.matcher_text()
                ));
            }
        }
        if self.events >= MOST_EVENTS {
            self.late.push(format!("more than {MOST_EVENTS} restarts: only the first are told"));
        }
    }
}

/// A value of the command line, in which `${NAME}` stands for a variable of the environment, so that
/// a secret need not stand in the history of a shell.
///
/// # Errors
/// When a variable is not set, with its name.
pub fn expand(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Secret, String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').ok_or_else(|| "a `${` has no `}`".to_owned())?;
        expanded += before;
        expanded += &variable(name).ok_or_else(|| format!("`{name}` is not set"))?;
        rest = after;
    }
    Ok(Secret::new(expanded + rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_cover_the_time_once() {
        assert_eq!(slices(1000), [(-1, 1000)]);
        let two_hours = slices(2 * SLICE);
        assert_eq!(two_hours, [(-1, SLICE), (SLICE, 2 * SLICE)]);
        assert_eq!(slices(2 * SLICE + 1).last(), Some(&(2 * SLICE, 2 * SLICE + 1)));
    }

    #[test]
    fn variables_stand_for_secrets() {
        let of = |name: &str| (name == "TOKEN").then(|| "hunter2".to_owned());
        assert_eq!(expand("x-${TOKEN}-y", &of).unwrap().reveal(), "x-hunter2-y");
        assert_eq!(expand("${TOKE}", &of).unwrap_err(), "`TOKE` is not set");
        assert!(expand("${TOKEN", &of).is_err());
    }
}
