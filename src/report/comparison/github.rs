//! A comparison as workflow commands of GitHub Actions: printed in a job, they become annotations.
//! They name no file, because a comparison knows none.

use std::io;

use super::format::ComparisonFormat;
use super::view::ComparisonReport;
use crate::compare::Verdict;

pub(super) static SPEC: ComparisonFormat = ComparisonFormat {
    name: "github",
    summary: "annotations of a GitHub job; print them in the job",
    file_name: "comparison.github.txt",
    is_left_as_file: false,
    render,
};

/// Annotations of one level that GitHub shows of a step; it drops the others without a word
/// (docs.github.com, "Usage limits" of workflow commands).
const MOST_OF_A_LEVEL: usize = 10;
const TITLE: &str = "kneepoint compare";

fn render(report: &ComparisonReport, w: &mut dyn io::Write) -> io::Result<()> {
    let of = |wanted: Verdict| {
        let rows = report.rows.iter().filter(move |row| row.verdict == wanted);
        rows.map(|row| (row.name.clone(), row.message.clone()))
    };
    let broken = report.objectives.iter().filter(|objective| objective.is_broken);
    let broken = broken.map(|objective| (objective.text.clone(), objective.sentence.clone()));
    let likely = report.rows.iter().filter(|row| row.exceeds_noise);
    let likely = likely.map(|row| (row.name.clone(), row.message.clone()));
    let undecided = (report.comparison.verdict == Verdict::CannotTell)
        .then(|| ("no answer".to_owned(), report.headline.clone()));
    let summary: Vec<&str> =
        std::iter::once(&report.headline).chain(&report.details).map(String::as_str).collect();
    let why: Vec<String> = report.why().cloned().collect();
    let because = (!why.is_empty()).then(|| ("why".to_owned(), why.join("\n")));
    let whole = ("summary".to_owned(), summary.join("\n"));
    let notices = [whole].into_iter().chain(because).chain(of(Verdict::Better));
    level("error", of(Verdict::Worse).chain(broken).collect(), w)?;
    level("warning", undecided.into_iter().chain(likely).collect(), w)?;
    level("notice", notices.collect(), w)
}

/// The annotations of one level; the last tells how many are left out.
fn level(command: &str, all: Vec<(String, String)>, w: &mut dyn io::Write) -> io::Result<()> {
    let shown = if all.len() > MOST_OF_A_LEVEL { MOST_OF_A_LEVEL - 1 } else { all.len() };
    let rest = all.len() - shown;
    for (title, message) in all.into_iter().take(shown) {
        annotation(command, &title, &message, w)?;
    }
    match rest {
        0 => Ok(()),
        rest => {
            let message = format!("{rest} more; `kneepoint compare --format markdown` lists them");
            annotation(command, "more", &message, w)
        }
    }
}

fn annotation(command: &str, title: &str, message: &str, w: &mut dyn io::Write) -> io::Result<()> {
    let title = property(&format!("{TITLE}: {title}"));
    writeln!(w, "::{command} title={title}::{}", data(message))
}

/// A message as the runner reads it back (`toolkit/packages/core/src/command.ts`).
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property, which ends at a colon or a comma.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_its_command_or_begins_another() {
        assert_eq!(data("50 % a\r\n::error::b"), "50 %25 a%0D%0A::error::b");
        assert_eq!(property("a:b,c%0A"), "a%3Ab%2Cc%250A");
    }

    #[test]
    fn what_github_would_drop_is_counted() {
        let all = (0..12).map(|number| (number.to_string(), "x".to_owned())).collect();
        let mut bytes = Vec::new();
        level("error", all, &mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text.lines().count(), MOST_OF_A_LEVEL, "{text}");
        assert!(text.ends_with("::3 more; `kneepoint compare --format markdown` lists them\n"));
    }
}
