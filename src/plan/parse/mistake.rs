//! What is wrong with a plan, and where.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// One mistake in a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// What is wrong. Lower case, without a full stop or a secret.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// The part of the text that is wrong, in bytes.
    span: Range<usize>,
}

/// A mistake before its line and column are known.
#[derive(Debug)]
pub(super) struct UnplacedMistake {
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// Every mistake of one plan, in order of the text. It prints them the way rustc prints errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanErrors {
    origin: String,
    /// The plan with every secret masked.
    text: String,
    mistakes: Vec<Mistake>,
}

impl PlanErrors {
    /// `masked` is the plan's text with secrets masked by as many bytes.
    pub(super) fn new(masked: String, origin: &str, mut found: Vec<UnplacedMistake>) -> Self {
        found.sort_by_key(|found| (found.span.start, found.span.end));
        let mistakes = found.into_iter().map(|found| locate(&masked, found)).collect();
        Self { origin: origin.to_owned(), text: masked, mistakes }
    }

    /// An error without a known mistake.
    pub(super) fn unexplained(origin: &str) -> Self {
        let message = "the plan is incomplete".to_owned();
        Self::new(String::new(), origin, vec![UnplacedMistake { span: 0..0, message, help: None }])
    }

    /// The mistakes in order of the text; at least one.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.mistakes.iter()
    }
}

/// Adds line and column, and cuts the span to one line.
fn locate(text: &str, found: UnplacedMistake) -> Mistake {
    let start = floor(text, found.span.start);
    let line_begin = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[start..].find(['\n', '\r']).map_or(text.len(), |at| start + at);
    let end = floor(text, found.span.end).clamp(start, line_end);
    Mistake {
        line: text[..start].matches('\n').count() + 1,
        column: text[line_begin..start].chars().count() + 1,
        message: found.message,
        help: found.help,
        span: start..end,
    }
}

/// The last boundary of a character that is not after `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

impl std::error::Error for PlanErrors {}

impl fmt::Display for PlanErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let renderer = Renderer::plain();
        for (index, mistake) in self.mistakes.iter().enumerate() {
            let snippet = Snippet::source(self.text.as_str())
                .path(self.origin.as_str())
                .annotation(AnnotationKind::Primary.span(mistake.span.clone()));
            let mut group = Level::ERROR.primary_title(mistake.message.as_str()).element(snippet);
            if let Some(help) = &mistake.help {
                group = group.element(Level::HELP.message(help.as_str()));
            }
            let blank_line = if index == 0 { "" } else { "\n\n" };
            write!(f, "{blank_line}{}", renderer.render(&[group]))?;
        }
        Ok(())
    }
}
