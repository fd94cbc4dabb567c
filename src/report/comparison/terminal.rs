//! A comparison for a terminal: the answer first.

use std::io::{self, Write};

use super::super::model::Tone;
use super::super::terminal::TerminalStyle;
use super::super::terminal::page::{DIM, GREEN, Page, RED, YELLOW};
use super::super::wording::clean;
use super::view::ComparisonReport;

/// Narrowest and widest page.
const WIDTHS: (usize, usize) = (60, 120);
/// Differences of the runs that are listed.
const MOST_DIFFERENCES: usize = 6;
/// Reasons for what is undecided that are listed.
const MOST_UNDECIDED: usize = 5;

/// Writes the comparison as `style` wants it.
///
/// # Errors
/// Only those of the writer.
pub fn render(
    report: &ComparisonReport,
    style: &TerminalStyle<'_>,
    w: &mut dyn Write,
) -> io::Result<()> {
    let width = style.width.clamp(WIDTHS.0, WIDTHS.1);
    let mut page = Page { w, colour: style.colour, width };
    let code = match report.tone {
        Tone::Good => GREEN,
        Tone::Bad => RED,
        Tone::Unknown => YELLOW,
    };
    page.styled(code, "", &report.headline)?;
    for detail in &report.details {
        page.text("  ", detail)?;
    }
    if !report.differences.is_empty() {
        page.title("The runs differ in more than the build")?;
        for text in report.differences.iter().take(MOST_DIFFERENCES) {
            page.hanging("  * ", text)?;
        }
        more(&mut page, report.differences.len().saturating_sub(MOST_DIFFERENCES), "")?;
    }
    quantities(&mut page, report)?;
    if !report.objectives.is_empty() {
        page.title("Objectives, at the compared loads")?;
        for objective in &report.objectives {
            page.hanging(if objective.is_broken { "  ! " } else { "  * " }, &objective.sentence)?;
        }
    }
    why(&mut page, report)?;
    if !report.undecided.is_empty() {
        page.title("Cannot tell")?;
        for text in report.undecided.iter().take(MOST_UNDECIDED) {
            page.hanging("  ? ", text)?;
        }
        more(&mut page, report.undecided.len().saturating_sub(MOST_UNDECIDED), "")?;
    }
    if !style.files.is_empty() {
        page.title("Files")?;
        for file in style.files {
            page.text("  ", &clean(file))?;
        }
    }
    Ok(())
}

fn quantities(page: &mut Page<'_>, report: &ComparisonReport) -> io::Result<()> {
    if report.rows.is_empty() {
        return Ok(());
    }
    page.title("What was compared")?;
    let news = report.rows.iter().filter(|row| row.is_news);
    let rows: Vec<Vec<String>> = news
        .map(|row| {
            [&row.name, &row.base, &row.candidate, &row.change, &row.interval, &row.answer]
                .map(Clone::clone)
                .to_vec()
        })
        .collect();
    let rest = report.rows.len() - rows.len();
    page.table(&["", "base", "candidate", "change", "95 % interval", "answer"], &rows, None)?;
    more(page, rest, ", without a clear change")
}

/// How many are not listed.
fn more(page: &mut Page<'_>, rest: usize, what: &str) -> io::Result<()> {
    match rest {
        0 => Ok(()),
        rest => {
            page.styled(DIM, "  ", &format!("and {rest} more{what} (all with `--format json`)"))
        }
    }
}

fn why(page: &mut Page<'_>, report: &ComparisonReport) -> io::Result<()> {
    if report.why().next().is_none() {
        return Ok(());
    }
    page.title("Why")?;
    for text in report.why() {
        page.hanging("  * ", text)?;
    }
    if report.parts.is_empty() {
        return Ok(());
    }
    let rows: Vec<Vec<String>> = report
        .parts
        .iter()
        .map(|row| {
            vec![row.name.clone(), row.base.clone(), row.candidate.clone(), row.gain.clone()]
        })
        .collect();
    page.table(&["", "base", "candidate", "mean per request"], &rows, None)
}
