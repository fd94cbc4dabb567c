//! A comparison for a comment on a pull request.

use std::io;

use super::super::markdown::escape;
use super::super::model::Tone;
use super::format::ComparisonFormat;
use super::view::ComparisonReport;

pub(super) static SPEC: ComparisonFormat = ComparisonFormat {
    name: "markdown",
    summary: "the short form for a comment on a pull request",
    file_name: "comparison.md",
    is_left_as_file: true,
    render,
};

fn render(report: &ComparisonReport, w: &mut dyn io::Write) -> io::Result<()> {
    let mark = match report.tone {
        Tone::Good => "OK",
        Tone::Bad => "WORSE",
        Tone::Unknown => "NO ANSWER",
    };
    writeln!(w, "### {mark}: comparison of two builds\n")?;
    writeln!(w, "**{}**\n", escape(&report.headline))?;
    for detail in &report.details {
        writeln!(w, "{}\n", escape(detail))?;
    }
    list("The runs differ in more than the build:", report.differences.iter(), w)?;
    quantities(report, w)?;
    let objectives = report.objectives.iter().map(|objective| &objective.sentence);
    list("At the compared loads:", objectives, w)?;
    list("Why:", report.why(), w)?;
    parts(report, w)?;
    list("Cannot tell:", report.undecided.iter(), w)
}

fn quantities(report: &ComparisonReport, w: &mut dyn io::Write) -> io::Result<()> {
    let news = || report.rows.iter().filter(|row| row.is_news);
    if news().next().is_some() {
        writeln!(w, "| | base | candidate | change | 95 % interval | answer |")?;
        writeln!(w, "|---|---:|---:|---:|---:|---|")?;
    }
    for row in news() {
        writeln!(
            w,
            "| {} | {} | {} | {} | {} | {} |",
            escape(&row.name),
            row.base,
            row.candidate,
            row.change,
            row.interval,
            row.answer
        )?;
    }
    match report.rows.iter().filter(|row| !row.is_news).count() {
        0 => writeln!(w),
        rest => writeln!(w, "\n{rest} more without a clear change.\n"),
    }
}

fn parts(report: &ComparisonReport, w: &mut dyn io::Write) -> io::Result<()> {
    if report.parts.is_empty() {
        return Ok(());
    }
    writeln!(w, "| mean per request | base | candidate | |")?;
    writeln!(w, "|---|---:|---:|---:|")?;
    for row in &report.parts {
        let name = escape(&row.name);
        writeln!(w, "| {name} | {} | {} | {} |", row.base, row.candidate, row.gain)?;
    }
    writeln!(w)
}

fn list<'t>(
    title: &str,
    texts: impl Iterator<Item = &'t String>,
    w: &mut dyn io::Write,
) -> io::Result<()> {
    let mut texts = texts.peekable();
    if texts.peek().is_none() {
        return Ok(());
    }
    writeln!(w, "{title}\n")?;
    for text in texts {
        writeln!(w, "- {}", escape(text))?;
    }
    writeln!(w)
}
