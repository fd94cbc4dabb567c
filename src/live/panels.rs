//! The charts of a live view: which lines they have, and how their values read.

use serde::Serialize;

use crate::diagnose::wording as terms;
use crate::report::wording;

/// One chart over time.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PanelSpec {
    /// By which a viewer finds it.
    pub id: &'static str,
    /// What it shows.
    pub title: &'static str,
    /// Its lines, in the order of a point's values.
    pub lines: &'static [PanelLine],
    /// How its values read.
    #[serde(skip)]
    pub(super) text: fn(f64) -> String,
}

/// One line of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PanelLine {
    /// What it shows.
    pub name: &'static str,
    /// Its colour in the palette of the reports.
    pub ink: u8,
    /// Whether it is dashed.
    pub dashed: bool,
}

const fn line(name: &'static str, ink: u8, dashed: bool) -> PanelLine {
    PanelLine { name, ink, dashed }
}

/// The charts, from the top down.
pub static PANELS: [PanelSpec; 5] = [
    PanelSpec {
        id: "load",
        title: "Offered load, throughput, goodput",
        lines: &[line("offered", 8, true), line("throughput", 1, false), line("goodput", 3, false)],
        text: wording::rate,
    },
    PanelSpec {
        id: "response",
        title: "Response time of successful requests",
        lines: &[line("p50", 1, false), line("p95", 2, true), line("p99", 4, false)],
        text: wording::duration,
    },
    PanelSpec {
        id: "errors",
        title: "Failed requests",
        lines: &[line("failed", 4, false)],
        text: wording::rate,
    },
    PanelSpec {
        id: "in-flight",
        title: "Requests in flight",
        lines: &[line("in flight", 1, false), line("waiting for a connection", 2, true)],
        text: wording::number,
    },
    PanelSpec {
        id: "cpu",
        title: "CPU",
        lines: &[
            line("host", 8, false),
            line("target", 1, false),
            line("database", 3, false),
            line("generator", 5, true),
        ],
        text: terms::cores,
    },
];
