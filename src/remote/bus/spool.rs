//! What a node has sent, in two files of bounded size: a server that was killed may have lost what it
//! had acknowledged, since it writes to its disk only now and then.
//!
//! A file begins with a line that says whose it is. Then follow messages: number (8 bytes), length
//! (4 bytes, both little-endian), bytes.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::subject::{Sender, Subjects};

/// Bytes of one of the two files. A generator writes 1 kB/s, a busy agent 50 kB/s.
const FILE_BYTES: u64 = 32 << 20;
/// What a file begins with.
const MAGIC: &str = "kneepoint-spool 1 ";
/// Bytes before each message.
const HEAD: u64 = 12;

/// The messages of one node.
pub(super) struct Spool {
    paths: [PathBuf; 2],
    files: [File; 2],
    /// The file that is written, and how long it is.
    current: usize,
    length: u64,
    limit: u64,
    head: String,
    kept: VecDeque<Kept>,
    next: u64,
}

#[derive(Clone, Copy)]
struct Kept {
    number: u64,
    file: usize,
    offset: u64,
    length: usize,
}

impl Spool {
    /// Makes the files of a node in a directory.
    ///
    /// # Errors
    /// If they cannot be made.
    pub(super) fn create(folder: &Path, subjects: &Subjects, sender: &Sender) -> io::Result<Self> {
        Self::with_limit(folder, &subjects.from(sender), &sender.token, FILE_BYTES)
    }

    fn with_limit(folder: &Path, subject: &str, token: &str, limit: u64) -> io::Result<Self> {
        let path = |number: usize| folder.join(format!("kneepoint-{token}.spool{number}"));
        let open = |path: &Path| {
            OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
        };
        let paths = [path(0), path(1)];
        let files = [open(&paths[0])?, open(&paths[1])?];
        let head = format!("{MAGIC}{subject}\n");
        let kept = VecDeque::new();
        let mut spool = Self { paths, files, current: 0, length: 0, limit, head, kept, next: 1 };
        spool.begin(0)?;
        Ok(spool)
    }

    /// Makes one of the files empty, and goes on there.
    fn begin(&mut self, file: usize) -> io::Result<()> {
        self.files[file].set_len(0)?;
        self.files[file].write_all_at(self.head.as_bytes(), 0)?;
        (self.current, self.length) = (file, self.head.len() as u64);
        self.kept.retain(|kept| kept.file != file);
        Ok(())
    }

    /// Adds a message, and returns its number. Beyond the bound, the oldest are dropped.
    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<u64> {
        if self.length > self.limit {
            self.begin(1 - self.current)?;
        }
        let number = self.next;
        let mut record = Vec::with_capacity(bytes.len() + HEAD as usize);
        record.extend(number.to_le_bytes());
        record.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
        record.extend(bytes);
        self.files[self.current].write_all_at(&record, self.length)?;
        let offset = self.length + HEAD;
        self.kept.push_back(Kept { number, file: self.current, offset, length: bytes.len() });
        self.length += record.len() as u64;
        self.next += 1;
        Ok(number)
    }

    /// The first message with this number or a higher one that is still there.
    pub(super) fn at(&self, number: u64) -> Option<(u64, Vec<u8>)> {
        let index = self.kept.partition_point(|kept| kept.number < number);
        let kept = self.kept.get(index)?;
        let mut bytes = vec![0; kept.length];
        self.files[kept.file].read_exact_at(&mut bytes, kept.offset).ok()?;
        Some((kept.number, bytes))
    }

    /// How many messages it was given.
    pub(super) fn count(&self) -> u64 {
        self.next - 1
    }

    /// Where its files are.
    pub(super) fn paths(&self) -> &[PathBuf; 2] {
        &self.paths
    }

    /// Deletes its files.
    pub(super) fn delete(&self) {
        for path in &self.paths {
            let _gone_already = fs::remove_file(path).is_err();
        }
    }
}

/// Messages with their numbers.
type Spooled = Vec<(u64, Vec<u8>)>;

/// The subject of a spool that a node has left, and its messages with their numbers. What was torn off
/// is left out.
///
/// # Errors
/// If it cannot be read, or is something else.
pub(super) fn read(path: &Path) -> io::Result<(String, Spooled)> {
    let mut bytes = Vec::new();
    File::open(path)?.take(2 * FILE_BYTES).read_to_end(&mut bytes)?;
    let foreign = || io::Error::new(io::ErrorKind::InvalidData, "it is not a spool of kneepoint");
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(foreign)?;
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| foreign())?;
    let subject = head.strip_prefix(MAGIC).ok_or_else(foreign)?.to_owned();
    let mut messages = Vec::new();
    let mut rest = &bytes[end + 1..];
    while let Some((head, after)) = rest.split_first_chunk::<12>() {
        let mut number = [0; 8];
        let mut length = [0; 4];
        number.copy_from_slice(&head[..8]);
        length.copy_from_slice(&head[8..]);
        let Some((message, after)) = after.split_at_checked(u32::from_le_bytes(length) as usize)
        else {
            break;
        };
        messages.push((u64::from_le_bytes(number), message.to_vec()));
        rest = after;
    }
    Ok((subject, messages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_pushed_is_there_until_the_bound_and_can_be_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::with_limit(folder.path(), "a.b", "0f", 100).unwrap();
        for number in 1..=9_u8 {
            assert_eq!(spool.push(&[number; 20]).unwrap(), u64::from(number));
        }
        assert_eq!(spool.count(), 9);
        let (first, bytes) = spool.at(1).unwrap();
        assert!(first > 1, "the oldest are dropped");
        assert_eq!(bytes, [first as u8; 20]);
        assert_eq!(spool.at(9).unwrap().1, [9; 20]);
        assert!(spool.at(10).is_none());
        let longest = spool.paths().iter().map(|path| fs::metadata(path).unwrap().len()).max();
        assert!(longest.unwrap() <= 100 + 32, "{longest:?}");
        let mut numbers: Vec<u64> = Vec::new();
        for path in spool.paths() {
            let (subject, messages) = read(path).unwrap();
            assert_eq!(subject, "a.b");
            numbers.extend(messages.iter().map(|(number, _)| *number));
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (first..=9).collect::<Vec<u64>>());
        // A torn end is left out.
        let path = &spool.paths()[spool.current];
        let length = fs::metadata(path).unwrap().len();
        OpenOptions::new().write(true).open(path).unwrap().set_len(length - 1).unwrap();
        assert!(!read(path).unwrap().1.iter().any(|(number, _)| *number == 9));
        fs::write(path, "something else\n").unwrap();
        assert!(read(path).is_err());
        spool.delete();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
