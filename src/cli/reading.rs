//! A file that may take long to read: a terminal shows how far it is and how long it still takes.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use super::console::LiveLine;
use crate::diagnose::wording as terms;
use crate::report::wording;

/// A file that is read within this time needs no line.
const PATIENCE: Duration = Duration::from_secs(1);
/// Time between two lines.
const BEAT: Duration = Duration::from_millis(200);

/// A file that says on stderr how much of it was read, where a person looks at a terminal.
///
/// What is done with a piece counts as reading it: packed files and slow formats are timed too.
pub(super) struct Reading {
    file: File,
    name: String,
    /// Bytes of the file; 0 where it is a pipe.
    size: u64,
    done: u64,
    since: Instant,
    told: Instant,
    is_shown: bool,
    line: LiveLine,
}

impl Reading {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// Those of opening it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let (now, line) = (Instant::now(), LiveLine::new(false));
        Ok(Self { file, name, size, done: 0, since: now, told: now, is_shown: false, line })
    }

    fn tell(&mut self) {
        if self.since.elapsed() < PATIENCE || self.told.elapsed() < BEAT {
            return;
        }
        (self.told, self.is_shown) = (Instant::now(), true);
        self.line.replace(&progress(&self.name, self.done, self.size, self.since.elapsed()));
    }
}

impl Read for Reading {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(bytes)?;
        self.done += count as u64;
        self.tell();
        Ok(count)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if self.is_shown {
            self.line.clear();
        }
    }
}

/// How far it is: `  reading shop.jtl: 40 % of 2.1 GB, 12 s left`.
fn progress(name: &str, done: u64, size: u64, passed: Duration) -> String {
    let name = wording::clean(name);
    if size == 0 || done > size {
        return format!("  reading {name}: {}", terms::bytes(done as f64));
    }
    let share = done as f64 / size as f64;
    let left = passed.as_secs_f64() * (1.0 - share) / share.max(1e-9);
    format!(
        "  reading {name}: {:.0} % of {}, {} left",
        share * 100.0,
        terms::bytes(size as f64),
        wording::duration(left.ceil())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_follows_from_what_was_read() {
        let said = progress("shop.jtl", 25, 100, Duration::from_secs(4));
        assert!(said.starts_with("  reading shop.jtl: 25 % of "), "{said}");
        assert!(said.ends_with(", 12 s left"), "{said}");
        // A pipe has no size, and a file that grows has more than it had.
        for (done, size) in [(5, 0), (9, 8)] {
            assert!(!progress("x", done, size, Duration::from_secs(4)).contains("left"));
        }
    }
}
