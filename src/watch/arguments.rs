//! The words of a tool's command, and what is added to them.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::Command;

/// Programs that start another, which is named among their arguments.
const STARTERS: &[&str] = &[
    "bunx", "chrt", "env", "exec", "ionice", "nice", "nohup", "npm", "npx", "numactl", "pipx",
    "pnpm", "poetry", "setsid", "stdbuf", "sudo", "taskset", "time", "timeout", "uv", "uvx",
    "yarn",
];
/// What such programs do with the next word.
const ORDERS: &[&str] = &["dlx", "exec", "run", "tool", "x"];

/// The command of one tool.
#[derive(Debug)]
pub struct Arguments {
    words: Vec<OsString>,
    /// Place of the tool's program.
    program: usize,
    variables: Vec<(&'static str, &'static str)>,
    stdout: Option<PathBuf>,
}

impl Arguments {
    /// The command, if it runs one of these programs.
    pub(super) fn of(words: &[OsString], programs: &[&str]) -> Option<Self> {
        let is_it = |word: &OsString| {
            let name = name_of(word);
            // `npx` takes a version after the name.
            programs.contains(&name.split('@').next().unwrap_or(name))
        };
        let program = words.iter().position(is_it)?;
        let before = &words[..program];
        if !before.iter().all(|word| starts_another(word)) {
            return None;
        }
        Some(Self { words: words.to_vec(), program, variables: Vec::new(), stdout: None })
    }

    /// The values of an option, in each of its spellings: `--out x`, `--out=x`.
    pub(super) fn values(&self, spellings: &[&str]) -> Vec<String> {
        let texts: Vec<&str> =
            self.words[self.program + 1..].iter().map(|word| word.to_str().unwrap_or("")).collect();
        let mut values = Vec::new();
        for (place, text) in texts.iter().enumerate() {
            for spelling in spellings {
                if text == spelling {
                    values.extend(texts.get(place + 1).map(|value| (*value).to_owned()));
                } else if let Some(rest) = text.strip_prefix(spelling)
                    && let Some(value) = rest.strip_prefix('=')
                {
                    values.push(value.to_owned());
                }
            }
        }
        values
    }

    /// The file that an option names.
    pub(super) fn file(&self, spellings: &[&str]) -> Option<PathBuf> {
        self.values(spellings).pop().map(PathBuf::from)
    }

    /// Whether a word is there.
    pub(super) fn has(&self, word: &str) -> bool {
        self.place(word).is_some()
    }

    fn place(&self, word: &str) -> Option<usize> {
        let rest = &self.words[self.program + 1..];
        rest.iter().position(|it| it == word).map(|place| self.program + 1 + place)
    }

    /// Adds words after `word`, which is there.
    pub(super) fn insert_after<W: Into<OsString>>(
        &mut self,
        word: &str,
        added: impl IntoIterator<Item = W>,
    ) {
        let place = self.place(word).map_or(self.words.len(), |place| place + 1);
        self.words.splice(place..place, added.into_iter().map(Into::into));
    }

    /// Adds words right after the program.
    pub(super) fn insert_first<W: Into<OsString>>(&mut self, added: impl IntoIterator<Item = W>) {
        let place = self.program + 1;
        self.words.splice(place..place, added.into_iter().map(Into::into));
    }

    /// Adds words at the end.
    pub(super) fn push<W: Into<OsString>>(&mut self, added: impl IntoIterator<Item = W>) {
        self.words.extend(added.into_iter().map(Into::into));
    }

    /// Sets an environment variable.
    pub(super) fn set(&mut self, name: &'static str, value: &'static str) {
        self.variables.push((name, value));
    }

    /// Sends what the tool prints into a file.
    pub(super) fn print_into(&mut self, file: PathBuf) {
        self.stdout = Some(file);
    }

    pub(super) fn into_command(self) -> Command {
        Command { variables: self.variables, stdout: self.stdout, ..Command::new(self.words) }
    }
}

/// File name of a program.
fn name_of(word: &OsStr) -> &str {
    Path::new(word).file_name().and_then(|name| name.to_str()).unwrap_or("")
}

/// Whether a word may stand before the program that is started: a script of that name's argument is
/// not the program.
fn starts_another(word: &OsStr) -> bool {
    let (text, name) = (word.to_str().unwrap_or(""), name_of(word));
    let is_option = text.starts_with('-');
    let is_number = text.starts_with(|first: char| first.is_ascii_digit());
    let is_variable = text.contains('=');
    let is_starter = STARTERS.contains(&name) || name.starts_with("python");
    is_starter || is_option || is_number || is_variable || ORDERS.contains(&text)
}

/// A word of an option and its value, such as `csv=/tmp/k6.csv`.
pub(super) fn pair(prefix: &str, file: &Path) -> OsString {
    let mut word = OsString::from(prefix);
    word.push(file);
    word
}
