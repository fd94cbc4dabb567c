//! The short form for a pull request or a chat.

use std::io;

use super::format::FormatSpec;
use super::glossary;
use super::model::{FindingKind, Report, Tone};

pub(super) const SPEC: FormatSpec = FormatSpec {
    name: "markdown",
    summary: "the short form for a comment on a pull request",
    extension: "md",
    left_by_every_run: true,
    needs_seconds: false,
    render,
};

/// How many words are explained at the end.
const MOST_WORDS: usize = 8;
/// How many kinds of failures are shown, the most frequent first.
const FAILURES_SHOWN: usize = 8;

fn render(report: &Report, w: &mut dyn io::Write) -> io::Result<()> {
    let mut body = Vec::new();
    self::body(report, &mut body)?;
    w.write_all(&body)?;
    words(&String::from_utf8_lossy(&body), w)?;
    let facts: Vec<_> =
        report.run.iter().map(|fact| format!("{}: {}", fact.name, fact.value)).collect();
    writeln!(w, "<sub>{}</sub>", escape(&facts.join("; ")))
}

/// What the words of the report mean.
fn words(body: &str, w: &mut dyn io::Write) -> io::Result<()> {
    writeln!(w, "<details><summary>Words</summary>\n")?;
    for term in glossary::used_in(body).iter().take(MOST_WORDS) {
        writeln!(w, "- **{}**: {}", escape(term.name), escape(term.short))?;
    }
    writeln!(w, "\n</details>\n")
}

fn body(report: &Report, w: &mut dyn io::Write) -> io::Result<()> {
    let mark = match report.answer.tone {
        Tone::Good => "OK",
        Tone::Bad => "LIMIT FOUND",
        Tone::Unknown => "NO ANSWER",
    };
    writeln!(w, "### {mark}: {}\n", escape(&report.title))?;
    writeln!(w, "**{}**\n", escape(&report.answer.headline))?;
    for detail in &report.answer.details {
        writeln!(w, "{}\n", escape(detail))?;
    }
    for finding in &report.findings {
        let role = (finding.kind != FindingKind::Cause).then(|| format!(" ({})", finding.role));
        writeln!(w, "- **{}**{}", escape(&finding.title), escape(&role.unwrap_or_default()))?;
        for row in &finding.evidence {
            writeln!(w, "  - {}", escape(&row.text))?;
        }
        for line in &finding.code {
            writeln!(w, "  - In the code: {}", escape(line))?;
        }
        for fix in &finding.fixes {
            let text = format!("{} {}", fix.text, fix.assumption);
            writeln!(w, "  - What a fix would bring: {}", escape(text.trim_end()))?;
        }
        if finding.kind != FindingKind::Consequence {
            writeln!(w, "  - Next: {}", escape(&finding.next))?;
        }
    }
    if !report.findings.is_empty() {
        writeln!(w)?;
    }
    failures(report, w)?;
    attribution(report, w)?;
    chain(report, w)?;
    soak(report, w)?;
    logs(report, w)?;
    stages(report, w)?;
    capacity(report, w)?;
    requests(report, w)?;
    let rules = |rules: Vec<&str>| rules.join("`, `");
    if !report.ruled_out.is_empty() {
        let ids = report.ruled_out.iter().map(|row| row.rule.as_str()).collect();
        writeln!(w, "Ruled out: `{}`\n", rules(ids))?;
    }
    if !report.not_checked.is_empty() {
        let all = report.not_checked.iter().flat_map(|row| &row.hypotheses);
        writeln!(w, "Not checked: `{}`\n", rules(all.map(|h| h.rule.as_str()).collect()))?;
    }
    if !report.watching.is_empty() {
        writeln!(w, "{}\n", escape(&report.watching))?;
    }
    Ok(())
}

/// How much each resource carries.
fn capacity(report: &Report, w: &mut dyn io::Write) -> io::Result<()> {
    let Some(capacity) = &report.capacity else { return Ok(()) };
    writeln!(w, "<details><summary>What each resource carries</summary>\n")?;
    writeln!(w, "{}\n", escape(&capacity.headline))?;
    writeln!(w, "| {} |", capacity.columns.join(" | "))?;
    writeln!(w, "|---|---:|---:|---:|---:|---:|")?;
    for row in &capacity.rows {
        let cells = [&row.size, &row.demand, &row.in_use, &row.full_at, &row.safe];
        writeln!(w, "| {} | {} |", escape(&row.name), cells.map(String::as_str).join(" | "))?;
    }
    writeln!(w, "\n</details>\n")
}

/// What failed requests got, in the words of who answered.
fn failures(report: &Report, w: &mut dyn io::Write) -> io::Result<()> {
    if report.failures.is_empty() {
        return Ok(());
    }
    writeln!(w, "<details><summary>What failed requests got</summary>\n")?;
    for row in report.failures.iter().take(FAILURES_SHOWN) {
        let text = match row.text.as_str() {
            "" => "without a body".to_owned(),
            text => format!("\"{}\"", escape(text)),
        };
        let notes = if row.notes.is_empty() { String::new() } else { format!(" ({})", row.notes) };
        writeln!(w, "- {}: {text}{}", escape(&row.how_often), escape(&notes))?;
    }
    writeln!(w, "\n</details>\n")
}

/// Where the response time goes, the parts that were measured as nothing left out.
fn attribution(report: &Report, w: &mut dyn io::Write) -> io::Result<()> {
    let Some(attribution) = &report.attribution else { return Ok(()) };
    if !attribution.at_knee.is_empty() {
        writeln!(w, "{}\n", escape(&attribution.at_knee))?;
    }
    if attribution.growth.is_empty() {
        return Ok(());
    }
    writeln!(w, "<details><summary>Where the time goes</summary>\n")?;
    writeln!(w, "| part | low load | from the knee on | share of growth |")?;
    writeln!(w, "|---|---:|---:|---:|")?;
    for row in attribution.growth.iter().filter(|row| !row.is_zero) {
        let name = escape(&row.name);
        writeln!(w, "| {name} | {} | {} | {} |", row.baseline, row.knee, row.share)?;
    }
    for text in &attribution.broken_assumptions {
        writeln!(w, "\n{}", escape(text))?;
    }
    writeln!(w, "\n</details>\n")
}

/// How long a request is in each service of the chain.
fn chain(report: &Report, w: &mut dyn io::Write) -> io::Result<()> {
    let Some(chain) = &report.chain else { return Ok(()) };
    writeln!(w, "<details><summary>The chain of services</summary>\n")?;
    writeln!(w, "| service | low load | {} | of it waiting | CPU | |", chain.at)?;
    writeln!(w, "|---|---:|---:|---:|---:|---|")?;
    for row in &chain.rows {
        let service = escape(&row.service);
        writeln!(
            w,
            "| {service} | {} | {} | {} | {} | {} |",
            row.baseline, row.knee, row.waits, row.cores, row.mark
        )?;
    }
    if !chain.ends.is_empty() {
        writeln!(w, "\n{}", escape(&chain.ends))?;
    }
    writeln!(w, "\n</details>\n")
}

fn soak(report: &Report, w: &mut dyn io::Write) -> io::Result<()> {
    let Some(soak) = &report.soak else { return Ok(()) };
    writeln!(w, "<details><summary>Leaks and drift</summary>\n")?;
    writeln!(w, "{}\n", escape(&soak.headline))?;
    writeln!(w, "| resource | begin | end | verdict | |")?;
    writeln!(w, "|---|---:|---:|---|---|")?;
    for row in &soak.rows {
        let (name, note) = (escape(&row.name), escape(&row.note));
        writeln!(w, "| {name} | {} | {} | {} | {note} |", row.begin, row.end, row.verdict)?;
    }
    writeln!(w, "\n</details>\n")
}

fn stages(report: &Report, w: &mut dyn io::Write) -> io::Result<()> {
    if report.stages.rows.is_empty() {
        return Ok(());
    }
    writeln!(w, "<details><summary>Stages</summary>\n")?;
    writeln!(
        w,
        "| {} | throughput/s | p50 | p95 | p99 | errors | in flight |",
        report.stages.load
    )?;
    writeln!(w, "|---:|---:|---:|---:|---:|---:|---:|")?;
    for (index, row) in report.stages.rows.iter().enumerate() {
        if report.stages.knee_before == Some(index) {
            writeln!(w, "| **{}** | | | | | | |", escape(&report.stages.knee))?;
        }
        writeln!(
            w,
            "| {} | {} | {} | {} | {} | {} | {} |",
            row.offered, row.throughput, row.p50, row.p95, row.p99, row.errors, row.in_flight
        )?;
    }
    writeln!(w, "\n</details>\n")
}

fn logs(report: &Report, w: &mut dyn io::Write) -> io::Result<()> {
    let Some(logs) = &report.logs else { return Ok(()) };
    writeln!(w, "<details><summary>What the logs say</summary>\n")?;
    writeln!(w, "{} {}\n", escape(&logs.headline), escape(&logs.note))?;
    for row in &logs.rows {
        let (source, line, meaning) =
            (escape(&row.source), escape(&row.line), escape(&row.meaning));
        writeln!(
            w,
            "- {} ({}, {source}, at {}, {} from the knee on): \"{line}\" {meaning}",
            row.change, row.level, row.first, row.knee
        )?;
    }
    writeln!(w, "\n</details>\n")
}

fn requests(report: &Report, w: &mut dyn io::Write) -> io::Result<()> {
    if report.requests.len() < 2 {
        return Ok(());
    }
    writeln!(w, "<details><summary>Requests</summary>\n")?;
    writeln!(w, "| request | answered | p50 | p95 | p99 | p99 beyond the knee | errors |")?;
    writeln!(w, "|---|---:|---:|---:|---:|---:|---:|")?;
    for row in report.requests.iter().map(|row| &row.cells) {
        writeln!(
            w,
            "| {} | {} | {} | {} | {} | {} | {} |",
            escape(&row.name),
            row.completed,
            row.p50,
            row.p95,
            row.p99,
            row.beyond_p99,
            row.errors
        )?;
    }
    writeln!(w, "\n</details>\n")
}

/// Keeps a text from outside from being markup, a table cell or a mention. Backticks become
/// quotes: between them an escape would show.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '`' => escaped.push('\''),
            '@' => escaped.push_str("&#64;"),
            '|' | '*' | '_' | '[' | ']' | '\\' | '!' | '#' | '~' => {
                escaped.push('\\');
                escaped.push(c);
            }
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_from_outside_are_no_markup() {
        let got = escape("<script>|@team [x](http://y) **z**");
        assert_eq!(got, "&lt;script&gt;\\|&#64;team \\[x\\](http://y) \\*\\*z\\*\\*");
    }
}
