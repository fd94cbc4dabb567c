//! The report for a terminal: the verdict first, a screen to a screen and a half, plain
//! ASCII but for what comes from outside. The other formats have what is left out here.

use std::io::{self, Write};

pub(super) mod page;

use page::{DIM, GREEN, Page, RED, YELLOW};

use super::format::FormatSpec;
use super::glossary;
use super::model::{
    AttributionView, ChainTable, EvidenceRow, FailureRow, FindingKind, FindingView, GrowthRow,
    Holds, LogTable, OutcomeKind, Report, RequestRow, SoakTable, Speaks, StageTable, Tone,
    TrendKind,
};

pub(super) const SPEC: FormatSpec = FormatSpec {
    name: "terminal",
    summary: "plain text with the verdict first, for people and pipes",
    extension: "txt",
    left_by_every_run: false,
    needs_seconds: false,
    render,
};

/// How a terminal wants it.
#[derive(Clone, Debug)]
pub struct TerminalStyle<'a> {
    /// Whether escape sequences for colour are wanted.
    pub colour: bool,
    /// Columns; taken as at least 60 and at most 120.
    pub width: usize,
    /// Files that were written, named at the end.
    pub files: &'a [String],
}

/// How many of the things ruled out or not checked are listed; the other formats have them all.
const MOST_LISTED: usize = 2;
/// How many parts of the response time are shown beside the unexplained rest, and from which
/// percentage of the growth on.
const MOST_PARTS: usize = 4;
const LEAST_PART: u32 = 1;
/// So many requests are shown, the slowest first.
const REQUESTS_SHOWN: usize = 8;
/// How many kinds of failures are shown, the most frequent first.
const FAILURES_SHOWN: usize = 4;
/// How many kinds of log lines are shown.
const MOST_LOG_LINES: usize = 4;
/// How many stages are shown on either side of the knee, beside the first and the last.
const STAGES_BESIDE_KNEE: usize = 2;
/// How many refutations are shown.
const MOST_REFUTATIONS: usize = 2;
/// How many answers to what a fix would bring are shown.
const MOST_FIXES: usize = 1;
/// How many words are explained at the end.
const MOST_WORDS: usize = 3;
/// How much evidence is shown of the cause.
const MOST_EVIDENCE: usize = 5;
/// How much evidence is shown of what is not the cause.
const MOST_BESIDE_CAUSE: usize = 1;

fn render(report: &Report, w: &mut dyn Write) -> io::Result<()> {
    render_with(report, &TerminalStyle { colour: false, width: 100, files: &[] }, w)
}

/// Writes the report as `style` wants it.
///
/// # Errors
/// Only those of the writer.
pub fn render_with(
    report: &Report,
    style: &TerminalStyle<'_>,
    w: &mut dyn Write,
) -> io::Result<()> {
    let mut body = Vec::new();
    let width = style.width.clamp(60, 120);
    let mut page = Page { w: &mut body, colour: style.colour, width };
    head(&mut page, report)?;
    for finding in &report.findings {
        let title = match finding.kind {
            FindingKind::Cause => "Cause",
            FindingKind::Contributing => "Contributes",
            FindingKind::Consequence => "Consequence",
            FindingKind::Apart if report.answer.outcome == OutcomeKind::Knee => {
                "Apart from the knee"
            }
            FindingKind::Apart => "Found",
        };
        self::finding(&mut page, title, finding)?;
    }
    failures(&mut page, &report.failures)?;
    if let Some(logs) = &report.logs {
        self::logs(&mut page, logs)?;
    }
    if let Some(attribution) = &report.attribution {
        self::attribution(&mut page, attribution)?;
    }
    if let Some(chain) = &report.chain {
        self::chain(&mut page, chain)?;
    }
    if let Some(soak) = &report.soak {
        self::soak(&mut page, soak)?;
    }
    stages(&mut page, &report.stages)?;
    requests(&mut page, &report.requests)?;
    objectives(&mut page, report)?;
    ruled_out(&mut page, report)?;
    not_checked(&mut page, report)?;
    remarks(&mut page, report)?;
    w.write_all(&body)?;
    let mut page = Page { w, colour: style.colour, width };
    words(&mut page, &String::from_utf8_lossy(&body))?;
    if !style.files.is_empty() {
        page.title("Files")?;
        for file in style.files {
            page.text("  ", &super::wording::clean(file))?;
        }
    }
    Ok(())
}

fn head(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    let code = match report.answer.tone {
        Tone::Good => GREEN,
        Tone::Bad => RED,
        Tone::Unknown => YELLOW,
    };
    page.styled(code, "", &report.answer.headline)?;
    for detail in &report.answer.details {
        page.text("  ", detail)?;
    }
    let facts: Vec<_> = report.run.iter().map(|fact| fact.value.as_str()).collect();
    writeln!(page.w)?;
    page.styled(DIM, "  ", &format!("{}: {}", report.title, facts.join("; ")))
}

fn finding(page: &mut Page<'_>, title: &str, finding: &FindingView) -> io::Result<()> {
    page.title(&format!("{title}: {}", finding.title))?;
    let rule = match finding.kind {
        FindingKind::Consequence => format!("{}, {}", finding.rule, finding.role),
        _ => format!("{}, confidence {}", finding.rule, finding.confidence),
    };
    page.styled(DIM, "  ", &rule)?;
    match finding.kind {
        FindingKind::Consequence => {
            return evidence(page, "+ ", &finding.evidence, MOST_BESIDE_CAUSE, said);
        }
        FindingKind::Contributing => {
            evidence(page, "+ ", &finding.evidence, MOST_BESIDE_CAUSE, said)?;
            for line in finding.code.iter().take(1) {
                page.labelled("In the code", line)?;
            }
            return page.labelled("Next", &finding.next);
        }
        FindingKind::Cause | FindingKind::Apart => {}
    }
    // A line of code tells more than the last pieces of evidence.
    let most = if finding.code.is_empty() { MOST_EVIDENCE } else { MOST_EVIDENCE - 2 };
    evidence(page, "+ ", &finding.evidence, most, said)?;
    for line in &finding.code {
        page.labelled("In the code", line)?;
    }
    if !finding.refutations.is_empty() {
        page.text("  ", "Checked and not found (it would contradict this):")?;
        evidence(page, "- ", &finding.refutations, MOST_REFUTATIONS, missed)?;
    }
    if !finding.predictions.is_empty() {
        page.text("  ", &finding.predictions.join(" "))?;
    }
    if !finding.fixes.is_empty() {
        for fix in finding.fixes.iter().take(MOST_FIXES) {
            page.labelled("With a fix", &format!("{} {}", fix.text, fix.assumption))?;
        }
    }
    page.labelled("Next", &finding.next)?;
    page.labelled("Disproved by", &finding.disproved_by)
}

/// Each value once: two conditions on one signal read alike.
fn evidence(
    page: &mut Page<'_>,
    bullet: &str,
    rows: &[EvidenceRow],
    most: usize,
    say: fn(&EvidenceRow) -> String,
) -> io::Result<()> {
    let mut told: Vec<(&str, &str)> = Vec::new();
    for row in rows {
        let what = (row.signal.as_str(), row.value.as_str());
        if told.len() < most && !told.contains(&what) {
            page.hanging(&format!("  {bullet}"), &say(row))?;
            told.push(what);
        }
    }
    Ok(())
}

/// A condition that holds.
fn said(row: &EvidenceRow) -> String {
    match row.note.as_str() {
        "" => row.text.clone(),
        note if row.text.ends_with(')') => format!("{}; {note})", row.text.trim_end_matches(')')),
        note => format!("{} ({note})", row.text),
    }
}

/// A condition that does not hold, with what it needs to hold.
fn missed(row: &EvidenceRow) -> String {
    match (row.holds, row.bound.as_str()) {
        (Holds::NoData, _) => format!("{} (no data)", row.text),
        (_, "") => row.text.clone(),
        (_, bound) if row.text.ends_with(')') => {
            format!("{}; needs {bound})", row.text.trim_end_matches(')'))
        }
        (_, bound) => format!("{} (needs {bound})", row.text),
    }
}

fn attribution(page: &mut Page<'_>, attribution: &AttributionView) -> io::Result<()> {
    page.title("Where the time goes (mean per request)")?;
    if !attribution.at_knee.is_empty() {
        page.text("  ", &attribution.at_knee)?;
    }
    if attribution.growth.is_empty() {
        return Ok(());
    }
    let is_told = |(index, row): &(usize, &GrowthRow)| {
        let is_rest = *index + 1 == attribution.growth.len();
        !row.is_zero && (is_rest || (*index < MOST_PARTS && row.bar >= LEAST_PART))
    };
    let told = attribution.growth.iter().enumerate().filter(is_told).map(|(_, part)| {
        let bar = "#".repeat((part.bar / 20) as usize);
        vec![part.name.clone(), part.baseline.clone(), part.knee.clone(), part.share.clone(), bar]
    });
    let told: Vec<_> = told.collect();
    if told.is_empty() {
        return Ok(());
    }
    page.table(&["", "low load", "from the knee on", "of growth", ""], &told, None)
}

fn chain(page: &mut Page<'_>, chain: &ChainTable) -> io::Result<()> {
    page.title("The chain of services (mean per request)")?;
    let cells = chain.rows.iter().map(|row| {
        let mark = if row.mark.is_empty() { "" } else { "<-" };
        [&row.service, &row.baseline, &row.knee, &row.waits, &row.cores]
            .into_iter()
            .cloned()
            .chain([mark.to_owned()])
            .collect()
    });
    let header = ["", "low load", chain.at, "of it waiting", "CPU", ""];
    page.table(&header, &cells.collect::<Vec<_>>(), None)?;
    match chain.ends.as_str() {
        "" => Ok(()),
        ends => page.text("  ", ends),
    }
}

fn soak(page: &mut Page<'_>, soak: &SoakTable) -> io::Result<()> {
    page.title("Leaks and drift")?;
    page.text("  ", &soak.headline)?;
    let cells = soak.rows.iter().map(|row| {
        vec![row.name.clone(), row.begin.clone(), row.end.clone(), row.verdict.to_string()]
    });
    page.table(&["", "begin", "end", "verdict"], &cells.collect::<Vec<_>>(), None)?;
    for row in soak.rows.iter().filter(|row| !row.verdict.is_quiet()) {
        page.hanging("  * ", &format!("{}: {}", row.name, row.note))?;
        // Resident memory takes the same steps as the memory that it confirms.
        if matches!(row.verdict, TrendKind::Undecided | TrendKind::Drifts) {
            continue;
        }
        for step in row.steps.iter().filter(|step| step.speaks != Speaks::Neither) {
            let bullet = if step.speaks == Speaks::ForLeak { "    + " } else { "    - " };
            page.hanging(bullet, &step.text)?;
        }
    }
    for text in &soak.not_watched {
        page.hanging("  ? ", text)?;
    }
    Ok(())
}

fn logs(page: &mut Page<'_>, logs: &LogTable) -> io::Result<()> {
    page.title("What the logs say")?;
    for row in logs.rows.iter().take(MOST_LOG_LINES) {
        let bullet = if row.level == "error" { "  ! " } else { "  * " };
        let rates = format!("{} at low load, {} from the knee on", row.low, row.knee);
        page.hanging(
            bullet,
            &format!("{} ({}, first at {}; {rates})", row.line, row.source, row.first),
        )?;
        if !row.meaning.is_empty() {
            page.text("    ", &row.meaning)?;
        }
    }
    match logs.rows.len().saturating_sub(MOST_LOG_LINES) {
        0 => {}
        rest => page.text("  ", &format!("{rest} more kinds of lines in the report file"))?,
    }
    if logs.note.is_empty() {
        return Ok(());
    }
    page.text("  ", &logs.note)
}

fn stages(page: &mut Page<'_>, stages: &StageTable) -> io::Result<()> {
    if stages.rows.is_empty() {
        return Ok(());
    }
    page.title(&format!("Stages, by {}", stages.by))?;
    let is_marked = stages.rows.iter().any(|row| row.broken || !row.counts);
    let last = if is_marked { "objectives" } else { "" };
    let header = [stages.load, "through/s", "p50", "p95", "p99", "errors", "in flight", last];
    let shown = near_the_knee(stages);
    let rows: Vec<_> = shown
        .iter()
        .filter_map(|index| stages.rows.get(*index))
        .map(|row| {
            let mark = match (row.counts, row.broken) {
                (false, _) => "not counted",
                (true, true) => "broken",
                (true, false) => "",
            };
            [
                &row.offered,
                &row.throughput,
                &row.p50,
                &row.p95,
                &row.p99,
                &row.errors,
                &row.in_flight,
            ]
            .into_iter()
            .cloned()
            .chain([mark.to_owned()])
            .collect()
        })
        .collect();
    let knee = stages.knee_before.and_then(|knee| {
        let row = shown.iter().position(|index| *index >= knee)?;
        Some((row, stages.knee.as_str()))
    });
    page.table(&header, &rows, knee)?;
    match stages.rows.len() - shown.len() {
        0 => Ok(()),
        rest => page.text("  ", &format!("{rest} more stages in the report file")),
    }
}

/// The first and the last stage and those beside the knee; all of them without a knee.
fn near_the_knee(stages: &StageTable) -> Vec<usize> {
    let last = stages.rows.len().saturating_sub(1);
    let is_near = |index: &usize| {
        stages.knee_before.is_none_or(|knee| {
            *index == 0
                || *index == last
                || (*index + STAGES_BESIDE_KNEE >= knee && *index < knee + STAGES_BESIDE_KNEE)
        })
    };
    (0..stages.rows.len()).filter(is_near).collect()
}

/// What failed requests got, in the words of who answered.
fn failures(page: &mut Page<'_>, failures: &[FailureRow]) -> io::Result<()> {
    if failures.is_empty() {
        return Ok(());
    }
    page.title("What failed requests got")?;
    for row in failures.iter().take(FAILURES_SHOWN) {
        let text = match row.text.as_str() {
            "" => format!("{}, without a body", row.how_often),
            text => format!("{}: `{text}`", row.how_often),
        };
        page.hanging("  ", &text)?;
        if !row.notes.is_empty() {
            page.styled(DIM, "      ", &row.notes)?;
        }
    }
    match failures.len().saturating_sub(FAILURES_SHOWN) {
        0 => Ok(()),
        rest => page.text("  ", &format!("{rest} more kinds of failures in the report file")),
    }
}

/// The slowest of several requests, and the tags.
fn requests(page: &mut Page<'_>, requests: &[RequestRow]) -> io::Result<()> {
    if requests.len() < 2 {
        return Ok(());
    }
    let has_beyond = requests.iter().any(|row| row.numbers.beyond_p99_seconds.is_some());
    let (title, beyond) = match has_beyond {
        true => ("Requests, up to the knee and beyond it", "p99 beyond"),
        false => ("Requests", ""),
    };
    page.title(title)?;
    let header = ["answered", "p50", "p95", "p99", beyond, "errors", ""];
    let mut shown: Vec<&RequestRow> = requests.iter().collect();
    shown.sort_by(|a, b| {
        let slow = |row: &RequestRow| row.numbers.p99_seconds.unwrap_or(0.0);
        a.numbers.is_tag.cmp(&b.numbers.is_tag).then_with(|| slow(b).total_cmp(&slow(a)))
    });
    let nothing = String::new();
    let tags = shown.iter().filter(|row| row.numbers.is_tag).count();
    let names = shown.len() - tags;
    let is_shown =
        |(index, row): &(usize, &&RequestRow)| row.numbers.is_tag || *index < REQUESTS_SHOWN;
    let rows: Vec<Vec<String>> = shown
        .iter()
        .enumerate()
        .filter(is_shown)
        .map(|(_, row)| {
            let cells = &row.cells;
            let numbers = [
                &cells.completed,
                &cells.p50,
                &cells.p95,
                &cells.p99,
                if has_beyond { &cells.beyond_p99 } else { &nothing },
                &cells.errors,
                &cells.name,
            ];
            numbers.into_iter().cloned().collect()
        })
        .collect();
    page.table(&header, &rows, None)?;
    match names.saturating_sub(REQUESTS_SHOWN) {
        0 => Ok(()),
        rest => page.text("  ", &format!("{rest} more requests in the report file")),
    }
}

fn objectives(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    if report.objectives.is_empty() {
        return Ok(());
    }
    page.title("Objectives")?;
    for row in &report.objectives {
        let mark = if row.met { "  ok   " } else { "  FAIL " };
        page.hanging(mark, &format!("{}: {}, {}", row.text, row.value, row.result))?;
    }
    Ok(())
}

fn ruled_out(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    if report.ruled_out.is_empty() {
        return Ok(());
    }
    page.title("Ruled out")?;
    let (told, named) = report.ruled_out.split_at(report.ruled_out.len().min(MOST_LISTED));
    for row in told {
        let Some(first) = row.evidence.first() else {
            page.hanging("  - ", &row.rule)?;
            continue;
        };
        let whole = format!("{}: {}", row.rule, missed(first));
        match whole.len() + 4 <= page.width {
            true => page.hanging("  - ", &whole)?,
            false => page.hanging("  - ", &format!("{}: {}", row.rule, first.text))?,
        }
    }
    let named: Vec<_> = named.iter().map(|row| row.rule.as_str()).collect();
    match named.is_empty() {
        true => Ok(()),
        false => page.hanging("  - ", &format!("{} more: {}", named.len(), named.join(", "))),
    }
}

fn not_checked(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    if report.not_checked.is_empty() {
        return Ok(());
    }
    page.title("Not checked, because data is missing")?;
    for row in report.not_checked.iter().take(MOST_LISTED) {
        let rules: Vec<_> = row.hypotheses.iter().map(|h| h.rule.as_str()).collect();
        // What it is good for stands in the other formats.
        let add = row.add.split_once(", so that").map_or(row.add.as_str(), |(add, _)| add);
        page.hanging("  ? ", &format!("{}: {add}", rules.join(", ")))?;
    }
    page.more(report.not_checked.len().saturating_sub(MOST_LISTED))
}

fn remarks(page: &mut Page<'_>, report: &Report) -> io::Result<()> {
    page.title("How far to trust this")?;
    for caveat in &report.caveats {
        page.hanging("  * ", caveat)?;
    }
    page.hanging("  * ", &report.generator.join(" "))?;
    if report.watching.is_empty() {
        return Ok(());
    }
    page.hanging("  * ", &report.watching)
}

/// What the words mean that a newcomer may not know, as far as the report uses them.
fn words(page: &mut Page<'_>, body: &str) -> io::Result<()> {
    page.title("Words (more with `kneepoint explain WORD`)")?;
    for term in glossary::used_in(body).iter().take(MOST_WORDS) {
        page.hanging("  ", &format!("{}: {}", term.name, term.short))?;
    }
    Ok(())
}
