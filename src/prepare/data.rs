//! Reads the values that a plan names: data files, traces, dates.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use jiff::civil::Date;

use super::files::PlanFiles;
use super::problems::Problems;
use super::table::Table;
use crate::load::{FlowConfig, FlowKind, Iterations, ResolvedData, ResolvedValues};
use crate::plan::{DataSource, DataValues, Executor, Plan, RowFormat, Scenario};

const HINT: &str = "the path is relative to the plan, and the file starts with a header line";

/// The values of every data source of `plan`.
pub(super) fn resolve(
    plan: &Plan,
    files: &PlanFiles,
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
        match values(source, files) {
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

fn values(source: &DataSource, files: &PlanFiles) -> Result<ResolvedValues, String> {
    Ok(match &source.values {
        DataValues::Range(first, last) => ResolvedValues::Range(*first, *last),
        DataValues::List(values) => ResolvedValues::List(values.clone().into()),
        DataValues::Hidden(values) => {
            ResolvedValues::List(values.iter().map(|value| value.reveal().to_owned()).collect())
        }
        DataValues::Csv { path, column } => {
            let values = table(files, path, |table| table.column(column))?;
            ResolvedValues::List(values.into())
        }
        DataValues::Rows { path, format: RowFormat::Csv } => {
            table(files, path, |table| table.rows())?
        }
        DataValues::Rows { path, format: RowFormat::JsonLines } => {
            table(files, path, |table| table.json_lines())?
        }
        DataValues::Uuid => ResolvedValues::Uuid,
        DataValues::Dates { first, last, format } => {
            ResolvedValues::List(days(*first, *last, format)?.into())
        }
    })
}

/// Reads the file at `path` with `read`.
fn table<T>(
    files: &PlanFiles,
    path: &str,
    read: impl FnOnce(Table<Box<dyn Read + '_>>) -> Result<T, String>,
) -> Result<T, String> {
    let shown = files.shown(path);
    let input = files.open(path).map_err(|error| format!("cannot read `{shown}`: {error}"))?;
    read(Table { shown, input })
}

fn days(first: Date, last: Date, format: &str) -> Result<Vec<String>, String> {
    first
        .series(jiff::Span::new().days(1))
        .take_while(|day| *day <= last)
        .map(|day| {
            jiff::fmt::strtime::format(format, day).map_err(|error| format!("`{format}`: {error}"))
        })
        .collect()
}

/// The flows of a plan's scenarios.
pub(super) fn flows(plan: &Plan, files: &PlanFiles, problems: &mut Problems) -> Vec<FlowConfig> {
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
                let journeys: Vec<&str> =
                    plan.journeys.iter().map(|journey| journey.name.as_str()).collect();
                match table(files, trace, |table| table.trace(*speed, &journeys)) {
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
                     start, rising), `request` (a name of the plan's), and values for `[data]` of the \
                     same file";
