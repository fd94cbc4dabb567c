//! A page of text for a terminal: lines of a limited width, with colour where it is wanted.

use std::io::{self, Write};

const BOLD: &str = "1";
pub(in crate::report) const DIM: &str = "2";
pub(in crate::report) const RED: &str = "1;31";
pub(in crate::report) const GREEN: &str = "1;32";
pub(in crate::report) const YELLOW: &str = "1;33";

/// Lines of a limited width.
pub(in crate::report) struct Page<'a> {
    pub(in crate::report) w: &'a mut dyn Write,
    pub(in crate::report) colour: bool,
    pub(in crate::report) width: usize,
}

impl Page<'_> {
    pub(in crate::report) fn title(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.w)?;
        self.styled(BOLD, "", text)
    }

    pub(in crate::report) fn text(&mut self, indent: &str, text: &str) -> io::Result<()> {
        self.wrapped(None, indent, indent, text)
    }

    pub(in crate::report) fn styled(
        &mut self,
        code: &str,
        indent: &str,
        text: &str,
    ) -> io::Result<()> {
        self.wrapped(Some(code), indent, indent, text)
    }

    /// The first line starts with `bullet`, the others below its text.
    pub(in crate::report) fn hanging(&mut self, bullet: &str, text: &str) -> io::Result<()> {
        self.wrapped(None, bullet, &" ".repeat(bullet.len()), text)
    }

    pub(in crate::report) fn labelled(&mut self, label: &str, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.wrapped(None, &format!("  {label}: "), "    ", text)
    }

    /// How many are not listed.
    pub(in crate::report) fn more(&mut self, rest: usize) -> io::Result<()> {
        match rest {
            0 => Ok(()),
            rest => self.text("  ", &format!("and {rest} more in the report file")),
        }
    }

    pub(in crate::report) fn wrapped(
        &mut self,
        code: Option<&str>,
        first: &str,
        others: &str,
        text: &str,
    ) -> io::Result<()> {
        let mut lines = vec![first.to_owned()];
        let mut is_empty = true;
        for word in text.split_whitespace() {
            let line = lines.last_mut().filter(|line| {
                is_empty || line.chars().count() + 1 + word.chars().count() <= self.width
            });
            match line {
                Some(line) => {
                    line.push_str(if is_empty { "" } else { " " });
                    line.push_str(word);
                }
                None => lines.push(format!("{others}{word}")),
            }
            is_empty = false;
        }
        for line in lines {
            match code.filter(|_| self.colour) {
                Some(code) => writeln!(self.w, "\x1b[{code}m{line}\x1b[0m")?,
                None => writeln!(self.w, "{}", line.trim_end())?,
            }
        }
        Ok(())
    }

    /// A table: the first and the last column to the left where they hold words, numbers to the
    /// right; `mark` is a text drawn as a rule before the row of that index.
    pub(in crate::report) fn table(
        &mut self,
        header: &[&str],
        rows: &[Vec<String>],
        mark: Option<(usize, &str)>,
    ) -> io::Result<()> {
        let mut widths: Vec<_> = header.iter().map(|cell| cell.len()).collect();
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let words_first = header.first().is_some_and(|cell| cell.is_empty());
        let last = widths.len().saturating_sub(1);
        let total = widths.iter().take(last).map(|width| width + 2).sum::<usize>();
        let lay_out = |cells: &mut dyn Iterator<Item = &str>| {
            let mut line = String::from("  ");
            for (index, (cell, width)) in cells.zip(&widths).enumerate() {
                let left = (index == 0 && words_first) || (index == last && cell.len() != *width);
                let padded = match left {
                    true => format!("{cell:<width$}"),
                    false => format!("{cell:>width$}"),
                };
                line.push_str(&padded);
                line.push_str("  ");
            }
            line.trim_end().to_owned()
        };
        let head = lay_out(&mut header.iter().copied());
        self.line(Some(DIM), &head)?;
        for (index, row) in rows.iter().enumerate() {
            if let Some((_, text)) = mark.filter(|(before, _)| *before == index) {
                let dashes = "-".repeat(total.saturating_sub(text.len() + 5));
                self.line(Some(RED), &format!("  -- {text} {dashes}"))?;
            }
            let line = lay_out(&mut row.iter().map(String::as_str));
            self.line(None, &line)?;
        }
        Ok(())
    }

    pub(in crate::report) fn line(&mut self, code: Option<&str>, line: &str) -> io::Result<()> {
        match code.filter(|_| self.colour) {
            Some(code) => writeln!(self.w, "\x1b[{code}m{line}\x1b[0m"),
            None => writeln!(self.w, "{line}"),
        }
    }
}
