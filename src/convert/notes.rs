//! What a converter has to say about its plan.

use std::fmt;

/// Most different notes: one file may give thousands of a kind.
const MOST_NOTES: usize = 100;
/// Most mistakes that one message lists.
pub(super) const MOST_PROBLEMS: usize = 20;

/// Something that is not in the plan as it was in the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The file that it is about, where that is one that the input imports.
    pub file: Option<String>,
    /// Line of the file, from 1, where it has one.
    pub line: Option<usize>,
    /// What, and what to do about it.
    pub text: String,
    /// How often the same was found again.
    pub more: usize,
    /// Whether it is a part of the input that the plan does not have.
    is_lost: bool,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        match self.more {
            0 => Ok(()),
            1 => f.write_str(" (1 more like this)"),
            more => write!(f, " ({more} more like this)"),
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
pub(super) struct Notes {
    list: Vec<Note>,
    left_out: usize,
    /// Files whose lines follow those of the input, each with its first line, in this order.
    files: Vec<(usize, String)>,
}

impl Notes {
    /// Says that the lines from here on are those of another file.
    pub(super) fn file_from(&mut self, first_line: usize, path: String) {
        self.files.push((first_line, path));
    }

    /// The file of a line, if it is not the input, and the line in it.
    fn place(&self, line: Option<usize>) -> (Option<&str>, Option<usize>) {
        let is_before = |(first, _): &&(usize, String)| line.is_some_and(|line| *first <= line);
        match self.files.iter().rev().find(is_before) {
            Some((first, path)) => (Some(path), line.map(|line| line - first + 1)),
            None => (None, line),
        }
    }

    /// Adds a note about a line of the input.
    pub(super) fn at(&mut self, line: usize, text: impl Into<String>) {
        self.push((line > 0).then_some(line), text.into(), false);
    }

    /// Adds a note about a part of the input that the plan does not have; it stands in the plan
    /// too.
    pub(super) fn lost_at(&mut self, line: usize, text: impl Into<String>) {
        self.push((line > 0).then_some(line), format!("not converted: {}", text.into()), true);
    }

    /// What the plan does not have, by line.
    pub(super) fn lost(&self) -> impl Iterator<Item = String> {
        let mut lost: Vec<&Note> = self.list.iter().filter(|note| note.is_lost).collect();
        lost.sort_by_key(|note| note.line);
        lost.into_iter().map(|note| match self.place(note.line) {
            (Some(file), Some(line)) => format!("{file}, line {line}: {note}"),
            (None, Some(line)) => format!("line {line}: {note}"),
            (_, None) => note.to_string(),
        })
    }

    /// Adds a note about the whole input.
    pub(super) fn add(&mut self, text: impl Into<String>) {
        self.push(None, text.into(), false);
    }

    fn push(&mut self, line: Option<usize>, text: String, is_lost: bool) {
        if let Some(same) = self.list.iter_mut().find(|note| note.text == text) {
            same.more += 1;
        } else if self.list.len() < MOST_NOTES {
            self.list.push(Note { file: None, line, text, more: 0, is_lost });
        } else {
            self.left_out += 1;
        }
    }

    /// In order of the input, what concerns the whole first.
    pub(super) fn into_notes(mut self) -> Vec<Note> {
        self.list.sort_by_key(|note| note.line);
        if self.left_out > 0 {
            let text = format!("{} more notes are not shown", self.left_out);
            self.list.push(Note { file: None, line: None, text, more: 0, is_lost: false });
        }
        let list = std::mem::take(&mut self.list);
        let placed = list.into_iter().map(|note| {
            let (file, line) = self.place(note.line);
            Note { file: file.map(str::to_owned), line, ..note }
        });
        placed.collect()
    }
}
