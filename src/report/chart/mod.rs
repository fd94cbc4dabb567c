//! Charts as SVG. Only drawing happens here: every value comes from the model.

mod canvas;
mod capacity;
mod curve;
mod flame;
mod frame;
mod overlay;
mod part_bars;
mod scale;
mod time;

pub(super) use canvas::{INKS, TextLine, backdrop, dashes, lines_of_text};
pub(super) use frame::{Entry, Layout, data_ends};
pub(super) use overlay::{Overlay, OverlayKnee, OverlayLine, OverlayPoint, overlay};
pub(super) use part_bars::{PartBar, PartBars, Segment, Step, part_bars};

use super::model::{CapacityChart, Report};

/// One chart of a report.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    /// Stem of its file and anchor in a page.
    pub id: &'static str,
    pub title: &'static str,
    pub legend: Vec<Entry>,
    pub svg: String,
}

/// Charts over offered load.
pub(super) fn over_load(report: &Report, layout: Layout) -> Vec<Chart> {
    let mut charts = Vec::new();
    if let Some(curve) = &report.curve {
        let [throughput, response] = curve.axis.titles();
        charts.push(Chart {
            id: "throughput",
            title: throughput,
            legend: curve::throughput_entries(),
            svg: curve::throughput(curve, layout),
        });
        charts.extend(curve::response(curve, layout).map(|svg| Chart {
            id: "response-time",
            title: response,
            legend: curve::response_entries(),
            svg,
        }));
    }
    charts.extend(report.capacity.iter().filter_map(|view| view.chart.as_ref()).map(|chart| {
        Chart {
            id: "capacity",
            title: capacity::TITLE,
            legend: capacity::entries(chart),
            svg: capacity::capacity(chart, layout),
        }
    }));
    charts.extend(report.layers.iter().map(|chart| Chart {
        id: chart.id,
        title: chart.title,
        legend: curve::layer_entries(chart),
        svg: curve::layers(chart, layout),
    }));
    charts
}

/// What is in use against the load, as its own file.
pub(super) fn capacity_chart(chart: &CapacityChart) -> String {
    capacity::capacity(chart, Layout::Standalone)
}

/// What uses the processor from the knee on, if stacks were read.
pub(super) fn flame(report: &Report, layout: Layout) -> Option<Chart> {
    let flame = report.stacks.as_ref()?.flame.as_ref()?;
    let title = "CPU time by function, callers above";
    let svg = flame::flame(flame, title, layout);
    Some(Chart { id: "flame", title, legend: flame::entries(flame), svg })
}

/// Charts over time, all on one axis.
pub(super) fn over_time(report: &Report, layout: Layout) -> Vec<Chart> {
    let draw = |panel: &super::model::Panel| Chart {
        id: panel.id,
        title: panel.title,
        legend: time::entries(panel),
        svg: time::panel(&report.time, panel, layout),
    };
    report.time.panels.iter().map(draw).collect()
}

/// Every chart of the report as its own file: the stem of the name, and the SVG.
pub fn charts(report: &Report) -> Vec<(String, String)> {
    let over_load = over_load(report, Layout::Standalone);
    let over_time = over_time(report, Layout::Standalone);
    let named =
        |prefix: &'static str| move |chart: Chart| (format!("{prefix}-{}", chart.id), chart.svg);
    over_load
        .into_iter()
        .map(named("load"))
        .chain(over_time.into_iter().map(named("time")))
        .chain(flame(report, Layout::Standalone).into_iter().map(named("code")))
        .collect()
}
