//! File systems as a process sees them: where they are mounted and how much space is left.

use std::ffi::CString;
use std::mem::MaybeUninit;

/// Where file systems are mounted, in the view of one process.
#[derive(Debug, Default)]
pub struct Mounts(Vec<String>);

impl Mounts {
    /// Reads a `/proc/PID/mountinfo` (proc_pid_mountinfo(5)): the fifth field is the mount point.
    pub fn parse(text: &str) -> Mounts {
        let point = |line: &str| line.split_ascii_whitespace().nth(4).map(unescaped);
        Mounts(text.lines().filter_map(point).collect())
    }

    /// The mount point that contains `path`: the longest one that matches whole path components.
    pub fn of(&self, path: &str) -> Option<&str> {
        let holds = |point: &&String| {
            let rest = path.strip_prefix(point.trim_end_matches('/'));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.0.iter().filter(holds).max_by_key(|point| point.len()).map(String::as_str)
    }
}

/// The kernel writes space, tab, newline and backslash as `\` and three octal digits.
fn unescaped(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

/// Used space of a file system, and space that is left for ordinary users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes in use.
    pub used_bytes: u64,
    /// Bytes that ordinary users can still use.
    pub free_bytes: u64,
    /// Inodes in use.
    pub used_inodes: u64,
    /// Inodes that ordinary users can still use.
    pub free_inodes: u64,
    is_read_only: bool,
}

impl Space {
    /// Whether data can be written to it. /proc and similar file systems have no blocks at all.
    pub fn is_writable(&self) -> bool {
        !self.is_read_only && self.used_bytes + self.free_bytes > 0
    }
}

/// The space on the file system that contains `path` (statvfs(3)); `None` if the call fails.
pub fn space(path: &str) -> Option<Space> {
    let path = CString::new(path).ok()?;
    let mut answer = MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: the path ends in a zero byte. The answer is a live statvfs that the call only writes
    // to, and all zeros are a valid one.
    let (done, answer) =
        unsafe { (libc::statvfs(path.as_ptr(), answer.as_mut_ptr()), answer.assume_init()) };
    (done == 0).then(|| Space {
        used_bytes: answer.f_blocks.saturating_sub(answer.f_bfree).saturating_mul(answer.f_frsize),
        free_bytes: answer.f_bavail.saturating_mul(answer.f_frsize),
        used_inodes: answer.f_files.saturating_sub(answer.f_ffree),
        free_inodes: answer.f_favail,
        is_read_only: answer.f_flag & libc::ST_RDONLY != 0,
    })
}

/// Whether a descriptor is open for writing, from the octal flags of `/proc/PID/fdinfo/FD`.
pub fn parse_fdinfo_writes(text: &str) -> bool {
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| matches!(flags & libc::O_ACCMODE, libc::O_WRONLY | libc::O_RDWR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_lies_below_its_longest_mount_point() {
        let text = "21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n\
                    22 21 8:2 / /var rw - ext4 /dev/sda2 rw\n\
                    23 22 0:31 / /var/my\\040data rw shared:3 - tmpfs tmpfs rw\n";
        let mounts = Mounts::parse(text);
        for (path, point) in [
            ("/", "/"),
            ("/srv/log", "/"),
            ("/var", "/var"),
            ("/variable", "/"),
            ("/var/log/a", "/var"),
            ("/var/my data/a", "/var/my data"),
        ] {
            assert_eq!(mounts.of(path), Some(point), "{path}");
        }
        assert_eq!(Mounts::parse("cut short\n").of("/"), None);
    }

    #[test]
    fn what_cannot_be_written_to_is_no_disk() {
        assert!(space("/proc").is_none_or(|space| !space.is_writable()));
        assert_eq!(space("/does/not/exist"), None);
        let here = space(".").unwrap();
        assert!(here.is_writable(), "{here:?}");
    }

    #[test]
    fn the_flags_of_a_descriptor_tell_whether_it_writes() {
        assert!(parse_fdinfo_writes("pos:\t0\nflags:\t0100001\nmnt_id:\t9\n"));
        assert!(parse_fdinfo_writes("pos:\t0\nflags:\t02100002\n"));
        assert!(!parse_fdinfo_writes("pos:\t0\nflags:\t0100000\n"));
        assert!(!parse_fdinfo_writes("pos:\t0\n"));
    }
}
