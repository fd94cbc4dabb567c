//! The report as one page: readable without script, nothing loaded from elsewhere, light and
//! dark. The script adds a crosshair over all panels, zooms, and shows what the evidence rests on; style and script are admitted by their
//! digests, everything else is refused by the page's own policy.

use std::collections::BTreeMap;
use std::io;

use minijinja::context;
use minijinja::value::{Serde, Value};
use serde::Serialize;

use super::chart::{self, Layout};
use super::format::FormatSpec;
use super::model::{RawLine, Report};
use super::web_page::{self, digest, drawing};

pub(super) const SPEC: FormatSpec = FormatSpec {
    name: "html",
    summary: "one page with charts, for people; works offline and without script",
    extension: "html",
    left_by_every_run: true,
    needs_seconds: false,
    render,
};

const TEMPLATE: &str = include_str!("../../reports/html/report.html");
const SCRIPT: &str = include_str!("../../reports/html/report.js");

/// What the script reads: for each panel the value and the text of each line at each time, and
/// what can be looked into beyond the panels.
#[derive(Serialize)]
struct Explored<'a> {
    /// Seconds since the start at which the axis ends.
    end: f64,
    /// Where the data begins and ends, as shares of the width of the picture.
    wide: (f64, f64),
    narrow: (f64, f64),
    /// The readout of each time.
    times: Vec<String>,
    /// The middle of each step in seconds.
    seconds: &'a [f64],
    panels: Vec<Readout<'a>>,
    /// Each stage: its load, its begin and its end.
    stages: Vec<(&'a str, f64, f64)>,
    windows: &'a BTreeMap<&'static str, Vec<(f64, f64)>>,
    series: Vec<Raw<'a>>,
    endpoints: Vec<(&'a str, Vec<Raw<'a>>)>,
    hosts: Vec<(&'a str, Vec<Raw<'a>>)>,
}

/// A line that the script draws.
#[derive(Serialize)]
struct Raw<'a> {
    name: &'a str,
    values: Vec<Option<f64>>,
    most: &'a str,
}

impl<'a> From<&'a RawLine> for Raw<'a> {
    fn from(line: &'a RawLine) -> Self {
        Raw { name: &line.name, values: rounded(&line.values), most: &line.most }
    }
}

/// Values with as many digits as can be seen in a chart.
fn rounded(values: &[Option<f64>]) -> Vec<Option<f64>> {
    let round = |value: f64| format!("{value:.4e}").parse().unwrap_or(value);
    values.iter().map(|value| value.map(round)).collect()
}

#[derive(Serialize)]
struct Readout<'a> {
    id: &'static str,
    names: Vec<&'a str>,
    /// Share of the axis that the run takes; the rest shows what comes after it.
    reach: f64,
    lines: Vec<Vec<String>>,
    values: Vec<Vec<Option<f64>>>,
}

fn named(all: &[(String, Vec<RawLine>)]) -> Vec<(&str, Vec<Raw<'_>>)> {
    all.iter().map(|(name, lines)| (name.as_str(), lines.iter().map(Raw::from).collect())).collect()
}

fn explored(report: &Report) -> Explored<'_> {
    let panels = report.time.panels.iter().map(|panel| Readout {
        id: panel.id,
        names: panel.lines.iter().map(|line| line.name.as_str()).collect(),
        reach: panel.ahead.as_ref().map_or(1.0, |ahead| report.time.end / ahead.end),
        lines: panel.lines.iter().map(|line| line.texts(panel.quantity)).collect(),
        values: panel.lines.iter().map(|line| rounded(&line.values)).collect(),
    });
    let explorer = &report.explorer;
    let bands = report.time.bands.iter();
    Explored {
        end: report.time.end,
        wide: chart::data_ends(Layout::Wide),
        narrow: chart::data_ends(Layout::Narrow),
        times: report.time.readouts(),
        seconds: &report.time.times,
        panels: panels.collect(),
        stages: bands.map(|band| (band.label.as_str(), band.from, band.to)).collect(),
        windows: &explorer.windows,
        series: explorer.series.iter().map(Raw::from).collect(),
        endpoints: named(&explorer.endpoints),
        hosts: named(&explorer.hosts),
    }
}

fn render(report: &Report, w: &mut dyn io::Write) -> io::Result<()> {
    let style = web_page::style();
    let data = serde_json::to_string(&explored(report))?;
    let narrow = chart::over_time(report, Layout::Narrow).into_iter().map(Some);
    let over_time = chart::over_time(report, Layout::Wide).into_iter().zip(narrow);
    let over_load = chart::over_load(report, Layout::Wide).into_iter();
    let flame = chart::flame(report, Layout::Wide)
        .map(|wide| drawing(wide, chart::flame(report, Layout::Narrow)));
    let page = context! {
        report => Serde(report),
        missing => Serde(&report.time.missing),
        style_digest => digest(&style),
        script_digest => digest(SCRIPT),
        style => Value::from_safe_string(style),
        script => Value::from_safe_string(SCRIPT.to_owned()),
        // Inside a script element only `<` could end it; JSON has it in strings alone.
        data => Value::from_safe_string(data.replace('<', "\\u003c")),
        flame => Serde(flame),
        over_load => Serde(over_load.map(|chart| drawing(chart, None)).collect::<Vec<_>>()),
        over_time => Serde(over_time.map(|(wide, narrow)| drawing(wide, narrow)).collect::<Vec<_>>()),
    };
    web_page::write("report.html", TEMPLATE, page, w)
}
