//! A comparison as one page: readable without script, nothing loaded from elsewhere, light and
//! dark, in the style of the report of a run.

use std::io;

use minijinja::context;
use minijinja::value::{Serde, Value};

use super::super::chart::Layout;
use super::super::web_page::{self, Drawing, digest, drawing};
use super::charts;
use super::format::ComparisonFormat;
use super::rows::QuantityRow;
use super::view::ComparisonReport;
use crate::compare::Verdict;

pub(super) static SPEC: ComparisonFormat = ComparisonFormat {
    name: "html",
    summary: "one page with charts, for people; works offline and without script",
    file_name: "comparison.html",
    is_left_as_file: true,
    render,
};

const TEMPLATE: &str = include_str!("../../../reports/html/comparison.html");

fn render(report: &ComparisonReport, w: &mut dyn io::Write) -> io::Result<()> {
    let style = web_page::style();
    let narrow = charts::over_load(report, Layout::Narrow).into_iter().map(Some);
    let over_load: Vec<Drawing> = charts::over_load(report, Layout::Wide)
        .into_iter()
        .zip(narrow)
        .map(|(wide, narrow)| drawing(wide, narrow))
        .collect();
    let parts = charts::parts(report, Layout::Wide)
        .map(|wide| drawing(wide, charts::parts(report, Layout::Narrow)));
    let (mut news, rest): (Vec<&QuantityRow>, Vec<&QuantityRow>) =
        report.rows.iter().partition(|row| row.is_news);
    news.sort_by_key(|row| urgency(row));
    let comparison = &report.comparison;
    let page = context! {
        report => Serde(report),
        news => Serde(news),
        rest => Serde(rest),
        several => comparison.base.len().max(comparison.candidate.len()) > 1,
        style_digest => digest(&style),
        style => Value::from_safe_string(style),
        over_load => Serde(over_load),
        parts => Serde(parts),
    };
    web_page::write("comparison.html", TEMPLATE, page, w)
}

/// Where a quantity stands in the table: what is worse first, what did not change last.
fn urgency(row: &QuantityRow) -> u8 {
    match row.verdict {
        Verdict::Worse => 0,
        Verdict::CannotTell if row.exceeds_noise => 1,
        Verdict::Better => 2,
        Verdict::CannotTell => 3,
        Verdict::Same => 4,
    }
}
