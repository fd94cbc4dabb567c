//! Baselines and calibrations for a terminal.

use std::io::{self, Write};

use super::comparison::quantity_name;
use super::terminal::TerminalStyle;
use super::terminal::page::{Page, YELLOW};
use super::wording::{clean, duration, number, optional, percent, plural, short_rate, value};
use crate::baseline::{Calibration, Entry, History, Series};
use crate::compare::{Measure, Subject};
use crate::timeline::Unit;

/// Sittings that a history shows, the newest.
const MOST_SITTINGS: usize = 30;
/// Requests and tags of which a calibration shows the noise.
const MOST_NOISES: usize = 30;

/// The measures that a history shows in columns.
const COLUMNS: [Measure; 4] = [Measure::P50, Measure::P95, Measure::P99, Measure::ErrorRatio];

fn page<'a>(style: &TerminalStyle<'_>, w: &'a mut dyn Write) -> Page<'a> {
    Page { w, colour: style.colour, width: style.width }
}

/// What a store holds, one line for each plan, branch and class of machine.
///
/// # Errors
/// Only those of the writer.
pub fn render_baselines(
    histories: &[History],
    style: &TerminalStyle<'_>,
    w: &mut dyn Write,
) -> io::Result<()> {
    let mut page = page(style, w);
    let row = |history: &History| {
        let (series, sittings) = (history.series(), history.sittings());
        let newest = |measure: &Measure| {
            let value = find(&series, measure).and_then(|series| series.values.last());
            optional(value.map(|(_, value)| *value), Unit::Seconds)
        };
        let noise = find(&series, &Measure::P95).and_then(|series| series.noise);
        vec![
            clean(&history.key.plan),
            clean(&history.key.branch),
            clean(&history.key.machine),
            sittings.len().to_string(),
            sittings.last().map_or_else(String::new, |entry| entry.date()),
            newest(&Measure::P50),
            newest(&Measure::P95),
            noise.map_or_else(|| "-".to_owned(), percent),
        ]
    };
    let rows: Vec<Vec<String>> = histories.iter().map(row).collect();
    let header = ["", "branch", "machine", "sittings", "newest", "p50", "p95", "p95 differs by"];
    page.table(&header, &rows, None)
}

/// The sittings of one history, and where it moved.
///
/// # Errors
/// Only those of the writer.
pub fn render_history(
    history: &History,
    style: &TerminalStyle<'_>,
    w: &mut dyn Write,
) -> io::Result<()> {
    let mut page = page(style, w);
    let key = &history.key;
    page.text(
        "",
        &format!("{} of {} on {}", clean(&key.branch), clean(&key.plan), clean(&key.machine)),
    )?;
    let (series, sittings) = (history.series(), history.sittings());
    let rows: Vec<Vec<String>> =
        sittings.iter().enumerate().map(|(sitting, entry)| row(sitting, entry, &series)).collect();
    let left_out = rows.len().saturating_sub(MOST_SITTINGS);
    let header = ["", "commit", "p50", "p95", "p99", "errors"];
    page.title("Sittings")?;
    page.table(&header, &rows[left_out..], None)?;
    if left_out > 0 {
        page.text("  ", &format!("and {left_out} before"))?;
    }
    page.title("Moved for good")?;
    let moves = moves(history, &series);
    if moves.is_empty() {
        page.text("  ", "nothing, as far as so many sittings tell")?;
    }
    for text in moves {
        page.hanging("  * ", &text)?;
    }
    page.title("From sitting to sitting")?;
    for one in series.iter().filter(|one| one.subject == Subject::All) {
        if let Some(noise) = one.noise {
            let name = quantity_name(&one.subject, &one.measure);
            page.text("  ", &format!("{name} differs by {}", percent(noise)))?;
        }
    }
    Ok(())
}

/// Where the quantities of all requests moved for good since somebody last accepted a change, the
/// newest move of each: `p99 rose by 8 % at main 1a2b3c 2026-11-28`.
pub fn moves(history: &History, series: &[Series]) -> Vec<String> {
    let sittings = history.sittings();
    let tell = |series: &Series| {
        let change = series.changes.last()?;
        let entry = sittings.get(series.newest_change()?)?;
        let name = quantity_name(&series.subject, &series.measure);
        let (before, after) = (change.before_mean, change.after_mean);
        let verb = if after > before { "rose" } else { "fell" };
        let (from, to) = (amount(&series.measure, before), amount(&series.measure, after));
        let commit = entry.origin.commit.as_deref().unwrap_or("an unknown commit");
        Some(format!("{name} {verb} from {from} to {to} at {} ({})", clean(commit), entry.date()))
    };
    series.iter().filter(|series| series.subject == Subject::All).filter_map(tell).collect()
}

fn find<'s>(series: &'s [Series], measure: &Measure) -> Option<&'s Series> {
    series.iter().find(|series| series.subject == Subject::All && series.measure == *measure)
}

fn row(sitting: usize, entry: &Entry, series: &[Series]) -> Vec<String> {
    let commit = entry.origin.commit.as_deref().unwrap_or("-");
    let date = match &entry.accepted {
        Some(accepted) => format!("{} accepted: {}", entry.date(), clean(&accepted.reason)),
        None => entry.date(),
    };
    let cells = COLUMNS.iter().map(|measure| {
        let values = find(series, measure).map(|series| &series.values);
        let found = values.and_then(|values| values.iter().find(|(index, _)| *index == sitting));
        found.map_or_else(|| "-".to_owned(), |(_, value)| amount(measure, *value))
    });
    [date, clean(commit)].into_iter().chain(cells).collect()
}

fn amount(measure: &Measure, measured: f64) -> String {
    match measure.is_rate() {
        true => short_rate(measured),
        false => value(measured, measure.unit()),
    }
}

/// How much runs of one build differ, and which changes can be seen.
///
/// # Errors
/// Only those of the writer.
pub fn render_calibration(
    calibration: &Calibration,
    style: &TerminalStyle<'_>,
    w: &mut dyn Write,
) -> io::Result<()> {
    let mut page = page(style, w);
    let runs = plural(calibration.runs, "run", "runs");
    page.text("", &format!("{runs} of one build: how much they differ on this machine"))?;
    let rows: Vec<Vec<String>> = calibration
        .quantities
        .iter()
        .take(MOST_NOISES)
        .map(|noise| {
            vec![
                quantity_name(&noise.subject, &noise.measure),
                amount(&noise.measure, noise.value),
                percent(noise.sigma),
                noise.visible.map_or_else(|| "-".to_owned(), percent),
            ]
        })
        .collect();
    page.table(&["", "mean", "runs differ by", "visible from"], &rows, None)?;
    let rest = calibration.quantities.len().saturating_sub(MOST_NOISES);
    if rest > 0 {
        page.text("  ", &format!("and {rest} more in calibration.json"))?;
    }
    page.text(
        "",
        &format!(
            "\"runs differ by\" is the standard deviation from run to run. \"visible from\" is the \
             smallest change that a gate with {} runs of each build calls worse 8 times in 10; a \
             rise of {} is allowed.",
            number(calibration.gate_runs as f64),
            percent(calibration.budget)
        ),
    )?;
    page.text(
        "",
        "`kneepoint compare --noise FILE` takes comparison.json of these runs where there is one run \
         of each build.",
    )?;
    let p95 = calibration
        .quantities
        .iter()
        .find(|noise| noise.subject == Subject::All && noise.measure == Measure::P95);
    match p95.and_then(|noise| Some((noise, noise.visible?))) {
        Some((noise, visible)) if visible > 2.0 * calibration.budget => page.styled(
            YELLOW,
            "",
            &format!(
                "This machine is too noisy for a budget of {}: the p95 of {} must change by {} \
                 before it is seen. Hold the load longer (`duration` in `[gate]`), make more runs \
                 (`runs`), or use a machine that does nothing else.",
                percent(calibration.budget),
                duration(noise.value),
                percent(visible)
            ),
        ),
        Some(_) => Ok(()),
        None => page.styled(
            YELLOW,
            "",
            "The runs have too few requests for a p95; raise `rate` or `duration` in `[gate]`.",
        ),
    }
}
