//! Follows a log file through rotation, truncation and recreation.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;

use super::split::{Lines, Rest};
use crate::collect::OpenError;

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;
/// Most bytes of one look. What is more is skipped, so that a look stays short.
const MOST_PER_LOOK: u64 = 128 << 20;

/// A log file that is read from its end on.
pub(super) struct FollowedFile {
    path: String,
    file: Option<File>,
    /// Device and inode of the open file.
    identity: (u64, u64),
    /// Bytes of it that were read.
    at: u64,
    rest: Rest,
    buffer: Vec<u8>,
    /// The last failure, so that it is told once.
    failure: Option<String>,
}

impl FollowedFile {
    /// Opens the file and goes to its end.
    ///
    /// # Errors
    /// If it cannot be read, or is not a file.
    pub(super) fn open(path: &str) -> Result<Self, OpenError> {
        let fail = |why: String| {
            OpenError::new(
                format!("cannot read the log `{path}`: {why}"),
                "give the path of a log file that kneepoint may read (a path starts where kneepoint \
                 was started)",
            )
        };
        let mut file = File::open(path).map_err(|error| fail(error.to_string()))?;
        let metadata = file.metadata().map_err(|error| fail(error.to_string()))?;
        if !metadata.is_file() {
            return Err(fail("it is not a file".to_owned()));
        }
        let at = file.seek(SeekFrom::End(0)).map_err(|error| fail(error.to_string()))?;
        Ok(Self {
            path: path.to_owned(),
            file: Some(file),
            identity: (metadata.dev(), metadata.ino()),
            at,
            rest: Rest::default(),
            buffer: vec![0; PIECE],
            failure: None,
        })
    }

    /// Reads what is new. Returns what a reader should know, once.
    pub(super) fn read(&mut self, lines: &mut Lines<impl FnMut(&[u8])>) -> Option<String> {
        let result = self.read_open(lines).and_then(|skipped| {
            self.change_file(lines)?;
            Ok(skipped)
        });
        match result {
            Ok(0) => {
                self.failure = None;
                None
            }
            Ok(skipped) => Some(format!(
                "grows faster than it can be read: {} MiB were skipped",
                skipped.div_ceil(1 << 20)
            )),
            Err(error) => {
                let failure = format!("cannot be read: {error}");
                let is_new = self.failure.as_ref() != Some(&failure);
                self.failure = Some(failure.clone());
                is_new.then_some(failure)
            }
        }
    }

    /// Reads the open file to its end; returns how many bytes were skipped.
    fn read_open(&mut self, lines: &mut Lines<impl FnMut(&[u8])>) -> std::io::Result<u64> {
        let Some(file) = &mut self.file else { return Ok(0) };
        if file.metadata()?.len() < self.at {
            // It was truncated, and begins again.
            self.at = file.seek(SeekFrom::Start(0))?;
            self.rest.clear();
        }
        let most = self.at + MOST_PER_LOOK;
        while self.at < most {
            let length = match file.read(&mut self.buffer) {
                Ok(0) => return Ok(0),
                Ok(length) => length,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.at += length as u64;
            lines.piece(&mut self.rest, &self.buffer[..length]);
        }
        let end = file.seek(SeekFrom::End(0))?;
        let skipped = end.saturating_sub(self.at);
        self.at = end;
        self.rest.clear();
        Ok(skipped)
    }

    /// Where another file has taken the path, reads that one from its begin. Until then the old
    /// file is followed: a program may write to it for a while after it was renamed.
    fn change_file(&mut self, lines: &mut Lines<impl FnMut(&[u8])>) -> std::io::Result<()> {
        let metadata = match std::fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let identity = (metadata.dev(), metadata.ino());
        if identity == self.identity && self.file.is_some() {
            return Ok(());
        }
        let file = File::open(&self.path)?;
        self.identity = identity;
        self.file = Some(file);
        self.at = 0;
        self.rest.clear();
        self.read_open(lines).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write;
    use std::path::Path;

    use super::*;

    fn write(path: &Path, text: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn read(file: &mut FollowedFile) -> (Vec<String>, Option<String>) {
        let mut seen = Vec::new();
        let news = file.read(&mut Lines::new(|line: &[u8]| {
            seen.push(String::from_utf8_lossy(line).into_owned());
        }));
        (seen, news)
    }

    fn lines(file: &mut FollowedFile) -> Vec<String> {
        let (seen, news) = read(file);
        assert_eq!(news, None);
        seen
    }

    #[test]
    fn a_file_is_followed_from_its_end_through_all_that_may_happen_to_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("app.log");
        write(&path, "of yesterday\n");
        let mut file = FollowedFile::open(path.to_str().unwrap()).unwrap();
        assert!(lines(&mut file).is_empty());
        write(&path, "one\ntw");
        assert_eq!(lines(&mut file), ["one"]);
        write(&path, "o\n");
        assert_eq!(lines(&mut file), ["two"]);

        // Rotated: the last lines go into the old file, the next into a new one.
        let old = directory.path().join("app.log.1");
        fs::rename(&path, &old).unwrap();
        write(&old, "three\n");
        assert_eq!(lines(&mut file), ["three"]);
        write(&old, "four\n");
        write(&path, "five\n");
        assert_eq!(lines(&mut file), ["four", "five"]);

        // Copied and truncated.
        OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
        write(&path, "6\n");
        assert_eq!(lines(&mut file), ["6"]);

        // Deleted, and made again.
        fs::remove_file(&path).unwrap();
        assert!(lines(&mut file).is_empty());
        write(&path, "seven\n");
        assert_eq!(lines(&mut file), ["seven"]);
    }

    #[test]
    fn what_cannot_be_followed_is_refused_with_a_way_out() {
        for bad in ["/nonexistent/app.log", "/tmp"] {
            let Err(error) = FollowedFile::open(bad) else { panic!("{bad}") };
            assert!(error.what.contains(bad) && !error.hint.is_empty());
        }
    }

    #[test]
    fn a_failure_is_told_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("app.log");
        write(&path, "x\n");
        let mut file = FollowedFile::open(path.to_str().unwrap()).unwrap();
        // A path that leads through a file.
        file.path = path.join("below").display().to_string();
        assert!(read(&mut file).1.is_some_and(|news| news.contains("cannot be read")));
        assert_eq!(read(&mut file).1, None);
    }
}
