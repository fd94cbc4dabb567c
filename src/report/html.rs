//! The report as one page: readable without script, nothing loaded from elsewhere, light and
//! dark. The script adds a crosshair over all panels; style and script are admitted by their
//! digests, everything else is refused by the page's own policy.

use std::io;

use minijinja::context;
use minijinja::value::{Serde, Value};
use serde::Serialize;

use super::chart::{self, Layout};
use super::format::FormatSpec;
use super::model::Report;
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

/// What the script reads: for each panel the text of each line at each time.
#[derive(Serialize)]
struct Crosshair {
    /// Seconds since the start at which the axis ends.
    end: f64,
    /// Where the data begins and ends, as shares of the width of the picture.
    wide: (f64, f64),
    narrow: (f64, f64),
    /// The readout of each time.
    times: Vec<String>,
    panels: Vec<Readout>,
}

#[derive(Serialize)]
struct Readout {
    id: &'static str,
    /// Share of the axis that the run takes; the rest shows what comes after it.
    reach: f64,
    lines: Vec<Vec<String>>,
}

fn crosshair(report: &Report) -> Crosshair {
    let panels = report.time.panels.iter().map(|panel| Readout {
        id: panel.id,
        reach: panel.ahead.as_ref().map_or(1.0, |ahead| report.time.end / ahead.end),
        lines: panel.lines.iter().map(|line| line.texts(panel.quantity)).collect(),
    });
    Crosshair {
        end: report.time.end,
        wide: chart::data_ends(Layout::Wide),
        narrow: chart::data_ends(Layout::Narrow),
        times: report.time.readouts(),
        panels: panels.collect(),
    }
}

fn render(report: &Report, w: &mut dyn io::Write) -> io::Result<()> {
    let style = web_page::style();
    let data = serde_json::to_string(&crosshair(report))?;
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
