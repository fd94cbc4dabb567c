//! How much can be carried, for people at a terminal, and for programs.

use std::io;

use serde::Serialize;

use super::chart::capacity_chart;
use super::model::{CapacityChart, CapacityRow, CapacityView, WantedView};
use super::terminal::page::{DIM, Page};
use super::wording::{number, percent};
use crate::diagnose::Headroom;

/// Grows by one when a field changes its meaning or goes away; new fields leave it as it is.
const SCHEMA: u32 = 1;
/// Columns and rows of the drawing.
const COLUMNS: usize = 64;
const ROWS: usize = 13;
/// Columns of the text.
const WIDTH: usize = 100;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    capacity: &'a Headroom,
}

/// Writes it as JSON.
///
/// # Errors
/// When the writer fails.
pub fn headroom_json(room: &Headroom, w: &mut dyn io::Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *w, &Document { schema: SCHEMA, capacity: room })?;
    writeln!(w)
}

/// The chart as a picture; `None` where no resource tells a limit.
pub fn headroom_svg(room: &Headroom) -> Option<String> {
    CapacityView::new(room).chart.as_ref().map(capacity_chart)
}

/// Writes it as text.
///
/// # Errors
/// When the writer fails.
pub fn headroom_text(room: &Headroom, w: &mut dyn io::Write) -> io::Result<()> {
    let view = CapacityView::new(room);
    let mut page = Page { w, colour: false, width: WIDTH };
    page.text("", &view.headline)?;
    for detail in &view.details {
        page.text("  ", detail)?;
    }
    if !view.rows.is_empty() {
        page.title("What each resource carries")?;
        table(&mut page, &view)?;
    }
    if let Some(chart) = &view.chart {
        drawing(&mut page, chart)?;
    }
    if let Some(wanted) = &view.wanted {
        self::wanted(&mut page, wanted)?;
    }
    for note in &view.notes {
        writeln!(page.w)?;
        page.hanging("Note: ", note)?;
    }
    Ok(())
}

/// The table of resources.
fn table(page: &mut Page<'_>, view: &CapacityView) -> io::Result<()> {
    let [_, columns @ ..] = &view.columns;
    let header: Vec<&str> = [""].into_iter().chain(columns.iter().map(String::as_str)).collect();
    let cells = |row: &CapacityRow| {
        [&row.name, &row.size, &row.demand, &row.in_use, &row.full_at, &row.safe]
            .map(String::clone)
            .to_vec()
    };
    let rows: Vec<Vec<String>> = view.rows.iter().map(cells).collect();
    page.table(&header, &rows, None)?;
    page.styled(DIM, "  ", view.legend)
}

fn wanted(page: &mut Page<'_>, wanted: &WantedView) -> io::Result<()> {
    page.title(&format!("To carry {} without queues", wanted.rate))?;
    let needs = wanted.needs.iter();
    let rows: Vec<Vec<String>> =
        needs.map(|(name, needed, now)| vec![name.clone(), needed.clone(), now.clone()]).collect();
    page.table(&["", "needed in all", "now"], &rows, None)?;
    for text in [&wanted.instances, &wanted.shared] {
        if !text.is_empty() {
            page.hanging("  ", text)?;
        }
    }
    Ok(())
}

/// The resource that is full first, drawn with letters: what was measured, how it goes on, and where it
/// is full.
fn drawing(page: &mut Page<'_>, chart: &CapacityChart) -> io::Result<()> {
    let Some(line) = chart.lines.first().filter(|_| chart.most > 0.0) else { return Ok(()) };
    page.title(&format!("Share in use of {}, by load", line.name))?;
    let column =
        |rate: f64| ((rate / chart.most * (COLUMNS - 1) as f64).round() as usize).min(COLUMNS - 1);
    let row = |share: f64| ((1.0 - share.clamp(0.0, 1.0)) * (ROWS - 1) as f64).round() as usize;
    let mut cells = vec![[' '; COLUMNS]; ROWS];
    let full = column(line.full.0);
    cells[0][full..=column(line.full.1).max(full)].fill('=');
    let [from, to] = line.ahead;
    let row_at = |at: usize| {
        let rate = at as f64 / (COLUMNS - 1) as f64 * chart.most;
        let along = ((rate - from.0) / (to.0 - from.0).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
        row(from.1 + along * (to.1 - from.1))
    };
    for (at, row) in (column(from.0)..=column(to.0)).map(|at| (at, row_at(at))) {
        if cells[row][at] == ' ' {
            cells[row][at] = '.';
        }
    }
    for (rate, share) in &line.points {
        cells[row(*share)][column(*rate)] = 'o';
    }
    for (index, cells) in cells.iter().enumerate() {
        let share = 1.0 - index as f64 / (ROWS - 1) as f64;
        let label =
            if index % 3 == 0 || index == ROWS - 1 { percent(share) } else { String::new() };
        let text: String = cells.iter().collect();
        page.line(None, format!("  {label:>5} |{text}").trim_end())?;
    }
    page.line(None, &format!("        +{}", "-".repeat(COLUMNS)))?;
    let (middle, most) = (number(chart.most / 2.0), number(chart.most));
    let half = COLUMNS / 2;
    let axis =
        format!("0{:>w1$}{:>w2$} requests/s", middle, most, w1 = half, w2 = COLUMNS - half - 1);
    page.line(None, &format!("         {axis}"))?;
    page.line(None, "  o measured   . extrapolated   = full here")
}
