//! Reads the values that a plan names: files of data, traces, days.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::civil::Date;

use super::preflight::Problems;
use crate::load::{Arrival, FlowConfig, FlowKind, Iterations, ResolvedData, ResolvedValues};
use crate::plan::{DataSource, DataValues, Executor, Plan, RowFormat, Scenario, nearest};

const HINT: &str = "the path is relative to the plan, and the file starts with a header line";

/// The values of every data source of `plan`. Relative paths start at `folder`.
pub(super) fn resolve(
    plan: &Plan,
    folder: &Path,
    problems: &mut Problems,
) -> BTreeMap<String, ResolvedData> {
    let traces: Vec<&str> = plan
        .scenarios
        .iter()
        .filter_map(|scenario| match &scenario.executor {
            Executor::Replay { trace, .. } => Some(trace.as_str()),
            _ => None,
        })
        .collect();
    let mut resolved = BTreeMap::new();
    for (name, source) in &plan.data {
        match values(source, folder) {
            Ok(values) => {
                let is_trace = match &source.values {
                    DataValues::Rows { path, .. } => traces.contains(&path.as_str()),
                    _ => false,
                };
                let (order, per, exhausted) = (source.order, source.per, source.exhausted);
                let data = ResolvedData { values, order, per, exhausted, is_trace };
                resolved.insert(name.clone(), data);
            }
            Err(why) => problems.add(format!("data `{name}`: {why}"), HINT),
        }
    }
    resolved
}

fn values(source: &DataSource, folder: &Path) -> Result<ResolvedValues, String> {
    Ok(match &source.values {
        DataValues::Range(first, last) => ResolvedValues::Range(*first, *last),
        DataValues::List(values) => ResolvedValues::List(values.clone().into()),
        DataValues::Hidden(values) => {
            ResolvedValues::List(values.iter().map(|value| value.reveal().to_owned()).collect())
        }
        DataValues::Csv { path, column } => {
            ResolvedValues::List(read_column(&folder.join(path), column)?.into())
        }
        DataValues::Rows { path, format: RowFormat::Csv } => read_rows(&folder.join(path))?,
        DataValues::Rows { path, format: RowFormat::JsonLines } => {
            read_json_lines(&folder.join(path))?
        }
        DataValues::Uuid => ResolvedValues::Uuid,
        DataValues::Dates { first, last, format } => {
            ResolvedValues::List(days(first, last, format)?.into())
        }
    })
}

fn open(path: &Path) -> Result<(csv::Reader<std::fs::File>, Vec<String>), String> {
    let cannot = |error: csv::Error| format!("cannot read `{}`: {error}", path.display());
    let mut reader = csv::Reader::from_path(path).map_err(cannot)?;
    let header = reader.headers().map_err(cannot)?.iter().map(str::to_owned).collect();
    Ok((reader, header))
}

fn read_column(path: &Path, column: &str) -> Result<Vec<String>, String> {
    let shown = path.display();
    let (mut reader, header) = open(path)?;
    let index = header
        .iter()
        .position(|name| name == column)
        .ok_or_else(|| format!("`{shown}` has no column `{column}`, but {}", header.join(", ")))?;
    let mut values = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| format!("cannot read `{shown}`: {error}"))?;
        values.push(record.get(index).unwrap_or_default().to_owned());
    }
    if values.is_empty() { Err(format!("`{shown}` has no line of data")) } else { Ok(values) }
}

fn read_rows(path: &Path) -> Result<ResolvedValues, String> {
    let shown = path.display();
    let (mut reader, header) = open(path)?;
    let mut cells = Vec::new();
    for record in reader.records() {
        // A line of another length than the header's is an error of the reader's.
        let record = record.map_err(|error| format!("cannot read `{shown}`: {error}"))?;
        cells.extend(record.iter().map(str::to_owned));
    }
    if cells.is_empty() {
        return Err(format!("`{shown}` has no line of data"));
    }
    Ok(ResolvedValues::Rows { columns: header.into(), cells: cells.into() })
}

/// Rows out of lines of JSON: the columns are the keys of the first one, which all have to have.
fn read_json_lines(path: &Path) -> Result<ResolvedValues, String> {
    let shown = path.display();
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("cannot read `{shown}`: {error}"))?;
    let mut columns: Vec<String> = Vec::new();
    let mut cells = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let line_of = |why: String| format!("`{shown}`, line {}: {why}", number + 1);
        let row: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line)
            .map_err(|error| line_of(format!("expected a JSON object: {error}")))?;
        if columns.is_empty() {
            columns = row.keys().cloned().collect();
        }
        for column in &columns {
            cells.push(match row.get(column) {
                Some(serde_json::Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
                None => return Err(line_of(format!("there is no `{column}`"))),
            });
        }
    }
    if cells.is_empty() {
        return Err(format!("`{shown}` has no object with a key"));
    }
    Ok(ResolvedValues::Rows { columns: columns.into(), cells: cells.into() })
}

fn days(first: &str, last: &str, format: &str) -> Result<Vec<String>, String> {
    let day = |text: &str| text.parse::<Date>().map_err(|error| format!("`{text}`: {error}"));
    let (first, last) = (day(first)?, day(last)?);
    first
        .series(jiff::Span::new().days(1))
        .take_while(|day| *day <= last)
        .map(|day| {
            jiff::fmt::strtime::format(format, day).map_err(|error| format!("`{format}`: {error}"))
        })
        .collect()
}

/// The flows of a plan's scenarios.
pub(super) fn flows(plan: &Plan, folder: &Path, problems: &mut Problems) -> Vec<FlowConfig> {
    let flow = |scenario: &Scenario| {
        let kind = match &scenario.executor {
            Executor::ConstantVus { .. } | Executor::RampingVus { .. } => {
                FlowKind::Closed(Iterations::Unlimited)
            }
            Executor::PerVuIterations { vus, iterations, .. } => {
                FlowKind::Closed(Iterations::PerVu(*iterations, *vus))
            }
            Executor::SharedIterations { vus, iterations, .. } => {
                FlowKind::Closed(Iterations::Shared(*iterations, *vus))
            }
            Executor::Replay { trace, speed } => {
                match read_trace(&folder.join(trace), *speed, plan) {
                    Ok(arrivals) => FlowKind::Replay(arrivals),
                    Err(why) => {
                        problems.add(why, TRACE);
                        FlowKind::Replay(Arc::new([]))
                    }
                }
            }
            _ => FlowKind::Open(scenario.arrivals),
        };
        FlowConfig { journeys: scenario.journeys.clone(), kind }
    };
    plan.scenarios.iter().map(flow).collect()
}

const TRACE: &str = "a trace is a CSV file, its path relative to the plan: `at` (seconds from the \
                     begin, rising), `request` (a name of the plan's), and values for `[data]` of the \
                     same file";

fn read_trace(path: &Path, speed: f64, plan: &Plan) -> Result<Arc<[Arrival]>, String> {
    let shown = path.display();
    let (mut reader, header) = open(path)?;
    let column = |wanted: &str| {
        header
            .iter()
            .position(|name| name == wanted)
            .ok_or_else(|| format!("`{shown}` has no column `{wanted}`, but {}", header.join(", ")))
    };
    let (at, request) = (column("at")?, column("request")?);
    let mut arrivals: Vec<Arrival> = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| format!("cannot read `{shown}`: {error}"))?;
        let line = record.position().map_or(0, csv::Position::line);
        let wrong = |why: String| format!("`{shown}`, line {line}: {why}");
        let text = record.get(at).unwrap_or_default();
        let secs = text.trim().parse::<f64>().ok().filter(|secs| secs.is_finite() && *secs >= 0.0);
        let secs = secs.ok_or_else(|| wrong(format!("`{text}` is no number of seconds")))?;
        let name = record.get(request).unwrap_or_default();
        let names = || plan.journeys.iter().map(|journey| journey.name.as_str());
        let journey = names().position(|known| known == name).ok_or_else(|| {
            let help = nearest(name, names()).unwrap_or_default();
            wrong(format!("there is no request `{name}`; {help}"))
        })?;
        let at = (secs / speed * 1e9) as u64;
        if arrivals.last().is_some_and(|last| last.at > at) {
            return Err(wrong("it comes before the line above it".to_owned()));
        }
        arrivals.push(Arrival { at, journey });
    }
    if arrivals.is_empty() {
        return Err(format!("`{shown}` has no line of data"));
    }
    Ok(arrivals.into())
}
