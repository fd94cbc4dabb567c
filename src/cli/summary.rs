//! What `import` prints of results that only sum up a run: the figures, what speaks against them,
//! and how to get a diagnosis.

use serde::Serialize;

use super::args::StdoutFormat;
use super::console::{self, width, wrapped};
use super::error::CommandResult;
use super::exit::ExitStatus;
use crate::import::{EndpointSummary, ErrorSummary, ResponseTimes, Summary};
use crate::report::escape_markdown;
use crate::report::wording::{clean, duration, percent, plural, rate};

/// Grows by one when a field changes its meaning or goes away; new fields leave it as it is.
const SCHEMA: u32 = 1;
/// How many endpoints and errors are shown; the JSON has them all.
const MOST_SHOWN: usize = 12;
/// Lower percentiles are not shown: nobody waits for them.
const LEAST_PERCENT: f64 = 50.0;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    summaries: &'a [Summary],
}

/// Prints the summaries. There is no diagnosis, so that the result is inconclusive.
pub(super) fn print(summaries: &[Summary], format: StdoutFormat) -> CommandResult {
    let text = match format {
        StdoutFormat::Terminal => {
            let texts = summaries.iter().map(|it| undiagnosed(it, width()));
            texts.collect::<Vec<_>>().join("\n")
        }
        StdoutFormat::Json => json(summaries)?,
        StdoutFormat::Markdown => summaries.iter().map(markdown).collect::<Vec<_>>().join("\n"),
    };
    console::print(text.as_bytes())?;
    Ok(ExitStatus::Inconclusive)
}

fn json(summaries: &[Summary]) -> Result<String, std::io::Error> {
    Ok(serde_json::to_string_pretty(&Document { schema: SCHEMA, summaries })? + "\n")
}

/// A summary for people, where there is nothing else.
fn undiagnosed(summary: &Summary, columns: usize) -> String {
    let next = wrapped(&format!("For a diagnosis: {}.", summary.instead), columns);
    format!("No diagnosis: {}\n{next}\n", text(summary, columns))
}

/// A summary for people.
pub(super) fn text(summary: &Summary, columns: usize) -> String {
    let mut text = format!("{} sums up a whole run\n\n", summary.format);
    let rows = rows(summary);
    let wide = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, value) in &rows {
        text.push_str(&format!("  {name:wide$}  {value}\n"));
    }
    for (heading, lines) in lists(summary) {
        text.push_str(&format!("\n{heading}\n"));
        lines.iter().for_each(|line| text.push_str(&indented("  ", line, columns)));
    }
    text.push_str("\nWhat speaks against these figures\n");
    for warning in &summary.warnings {
        text.push_str(&indented("  - ", &clean(warning), columns));
    }
    text
}

/// An item of a list, with its further lines below its first word.
fn indented(begin: &str, item: &str, columns: usize) -> String {
    let lines = wrapped(item, columns.saturating_sub(4));
    format!("{begin}{}\n", lines.replace('\n', "\n    "))
}

/// A summary for a comment under a change.
fn markdown(summary: &Summary) -> String {
    let mut text = format!("### NO DIAGNOSIS: {} sums up a whole run\n\n", summary.format);
    text.push_str("| figure | value |\n|---|---|\n");
    for (name, value) in rows(summary) {
        text.push_str(&format!("| {} | {} |\n", escape_markdown(&name), escape_markdown(&value)));
    }
    for (heading, lines) in lists(summary) {
        text.push_str(&format!("\n**{heading}**\n\n"));
        lines.iter().for_each(|line| text.push_str(&format!("- {}\n", escape_markdown(line))));
    }
    text.push_str("\n**What speaks against these figures**\n\n");
    for warning in &summary.warnings {
        text.push_str(&format!("- {}\n", escape_markdown(&clean(warning))));
    }
    text.push_str(&format!("\nFor a diagnosis: {}.\n", summary.instead));
    text
}

/// The figures that the tool gives, by their names.
fn rows(summary: &Summary) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: Option<String>| {
        rows.extend(value.map(|value| (name.to_owned(), value)));
    };
    row("target", summary.target.as_deref().map(clean));
    row("started", summary.started.map(|at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()));
    row("duration", summary.duration_s.map(duration));
    row("requests", summary.requests.map(|count| count.to_string()));
    row("rate", summary.requests_per_s.map(rate));
    let share = summary.failure_share().map(|share| format!(" ({})", percent(share)));
    let failed = summary.failures.map(|it| format!("{it}{}", share.unwrap_or_default()));
    row("failed", failed);
    row("without an answer", summary.unanswered.map(|count| count.to_string()));
    let statuses =
        summary.by_status.iter().map(|(code, count)| format!("{}: {count}", clean(code)));
    let statuses: Vec<_> = statuses.take(MOST_SHOWN).collect();
    row("answers by status", (!statuses.is_empty()).then(|| statuses.join(", ")));
    let times = &summary.response_times;
    row("response time", times_of(times));
    row("percentiles", percentiles(times));
    for (name, count) in &summary.counts {
        row(name, Some(count.to_string()));
    }
    rows
}

fn times_of(times: &ResponseTimes) -> Option<String> {
    let parts = [("mean", times.mean_s), ("shortest", times.min_s), ("longest", times.max_s)];
    let parts =
        parts.iter().filter_map(|(name, time)| Some(format!("{name} {}", duration((*time)?))));
    let parts: Vec<_> = parts.collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn percentiles(times: &ResponseTimes) -> Option<String> {
    let quantiles = times.quantiles.iter().filter(|it| it.percent >= LEAST_PERCENT);
    let parts = quantiles.map(|it| format!("{} %: {}", it.percent, duration(it.seconds)));
    let parts: Vec<_> = parts.collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Endpoints and errors, each list with its heading.
fn lists(summary: &Summary) -> Vec<(&'static str, Vec<String>)> {
    let endpoints = shown(&summary.endpoints, endpoint, "more endpoints");
    let errors = shown(&summary.errors, error, "more errors");
    let lists = [("Requests by endpoint", endpoints), ("Errors", errors)];
    lists.into_iter().filter(|(_, lines)| !lines.is_empty()).collect()
}

/// The first few, and how many there are beside them.
fn shown<T>(all: &[T], line: fn(&T) -> String, more: &str) -> Vec<String> {
    let mut lines: Vec<_> = all.iter().take(MOST_SHOWN).map(line).collect();
    let left = all.len().saturating_sub(MOST_SHOWN);
    lines.extend((left > 0).then(|| format!("{left} {more}: `--format json` has them")));
    lines
}

fn endpoint(endpoint: &EndpointSummary) -> String {
    let name = clean(&endpoint.name);
    let name = if name.is_empty() { "(without a name)".to_owned() } else { name };
    let times = [times_of(&endpoint.response_times), percentiles(&endpoint.response_times)];
    let times: Vec<_> = times.into_iter().flatten().collect();
    let requests = plural(endpoint.requests, "request", "requests");
    let counts = format!("{name}: {requests}, {} failed", endpoint.failures);
    if times.is_empty() { counts } else { format!("{counts}; {}", times.join(", ")) }
}

fn error(error: &ErrorSummary) -> String {
    let count = error.count.map(|count| format!("{count} x ")).unwrap_or_default();
    format!("{count}{}", clean(&error.text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::Files;

    /// The summaries in a sample.
    fn read(name: &str) -> Vec<Summary> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/formats/");
        let bytes = std::fs::read(format!("{path}{name}")).unwrap();
        let mut files = Files::new(None);
        files.add(&mut &*bytes).unwrap();
        files.summaries().to_vec()
    }

    #[test]
    fn figures_come_with_what_speaks_against_them_and_what_to_do() {
        let summaries = read("hey.sample.txt");
        let shown = undiagnosed(&summaries[0], 80);
        for words in [
            "No diagnosis: hey-text",
            "requests           1130",
            "failed             46 (4.1 %)",
            "without an answer  10",
            "200: 1084, 503: 36",
            "mean 42.2 ms, shortest 8.1 ms, longest 2.01 s",
            "99 %: 390 ms",
            "7 x Get \"http://shop.test/books\"",
            "no knee, no stages",
            "For a diagnosis: run `hey -o csv URL`",
        ] {
            assert!(shown.contains(words), "{words}:\n{shown}");
        }
        assert!(shown.lines().filter(|it| it.starts_with("  - ")).all(|line| line.len() <= 80));
        let shown = markdown(&summaries[0]);
        assert!(shown.contains("| failed | 46 (4.1 %) |"), "{shown}");
    }

    #[test]
    fn the_json_of_each_summary_keeps_to_its_schema() {
        let schema = include_str!("../../reports/schema/summary.v1.schema.json");
        let schema = serde_json::from_str(schema).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        for name in ["ab.sample.txt", "autocannon.sample.json", "locust-stats.sample.csv"] {
            let document = json(&read(name)).unwrap();
            let document = serde_json::from_str(&document).unwrap();
            let wrong: Vec<_> =
                validator.iter_errors(&document).map(|error| error.to_string()).collect();
            assert_eq!(wrong, [""; 0], "{name}");
        }
    }
}
