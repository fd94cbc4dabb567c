//! What a converter has to say beside its plan.

use std::fmt;

/// How many different things are told; one file may have thousands of the same kind.
const MOST_NOTES: usize = 100;
/// How many mistakes are told at once.
pub(super) const MOST_PROBLEMS: usize = 20;

/// Something that is not in the plan as it was in the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Line of the input, from 1, where it has one.
    pub line: Option<usize>,
    /// What, and what to do about it.
    pub text: String,
    /// How often the same was found, behind the first place.
    pub more: usize,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        match self.more {
            0 => Ok(()),
            1 => f.write_str(" (and once more)"),
            more => write!(f, " (and {more} times more)"),
        }
    }
}

/// A mistake in the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1, where it has one.
    pub line: Option<usize>,
    /// Column in characters, from 1.
    pub column: Option<usize>,
    /// What is wrong, and what was expected.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (Some(line), Some(column)) => write!(f, "line {line}, column {column}: {}", self.text),
            (Some(line), None) => write!(f, "line {line}: {}", self.text),
            (None, _) => f.write_str(&self.text),
        }
    }
}

/// The notes of one conversion.
#[derive(Debug, Default)]
pub(super) struct Told {
    notes: Vec<Note>,
    left_off: usize,
}

impl Told {
    /// Says something about a line of the input.
    pub(super) fn at(&mut self, line: usize, text: impl Into<String>) {
        self.add((line > 0).then_some(line), text.into());
    }

    /// Says something about the whole.
    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.add(None, text.into());
    }

    fn add(&mut self, line: Option<usize>, text: String) {
        if let Some(same) = self.notes.iter_mut().find(|note| note.text == text) {
            same.more += 1;
        } else if self.notes.len() < MOST_NOTES {
            self.notes.push(Note { line, text, more: 0 });
        } else {
            self.left_off += 1;
        }
    }

    /// In order of the input, what concerns the whole first.
    pub(super) fn into_notes(mut self) -> Vec<Note> {
        self.notes.sort_by_key(|note| note.line);
        if self.left_off > 0 {
            let text = format!("{} more of such notes are left off", self.left_off);
            self.notes.push(Note { line: None, text, more: 0 });
        }
        self.notes
    }
}
