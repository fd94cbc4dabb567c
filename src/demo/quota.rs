//! A control group with a quota of CPU time, version 1 or 2 (cgroup-v1/ and cgroup-v2.rst of the
//! kernel's documentation), if this process may create one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where controllers are usually mounted, and the file and text that set a quota there.
const PLACES: [(&str, Version); 3] = [
    ("/sys/fs/cgroup", Version::Two),
    ("/sys/fs/cgroup/cpu", Version::One),
    ("/sys/fs/cgroup/cpu,cpuacct", Version::One),
];

/// Length of a quota's period.
const PERIOD_MICROS: u32 = 100_000;

#[derive(Clone, Copy)]
enum Version {
    One,
    Two,
}

/// The demo's own control group, removed when dropped.
pub(super) struct Quota {
    group: PathBuf,
}

impl Quota {
    /// A group whose processes together may use `cores`.
    pub fn new(cores: f64) -> io::Result<Self> {
        Self::named(&format!("kneepoint-demo-{}", std::process::id()), cores)
    }

    fn named(name: &str, cores: f64) -> io::Result<Self> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "no control groups are mounted");
        for (mount, version) in PLACES {
            let made = Self::make(&Path::new(mount).join(name), version, cores);
            match made {
                Ok(quota) => return Ok(quota),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn make(group: &Path, version: Version, cores: f64) -> io::Result<Self> {
        fs::create_dir(group)?;
        let quota = Self { group: group.to_owned() };
        let micros = (cores * f64::from(PERIOD_MICROS)).round();
        match version {
            Version::One => {
                write(&group.join("cpu.cfs_period_us"), &PERIOD_MICROS.to_string())?;
                write(&group.join("cpu.cfs_quota_us"), &micros.to_string())?;
            }
            Version::Two => {
                write(&group.join("cpu.max"), &format!("{micros} {PERIOD_MICROS}"))?;
            }
        }
        Ok(quota)
    }

    /// Applies the quota to a process and to everything it will start.
    pub fn admit(&self, pid: u32) -> io::Result<()> {
        write(&self.group.join("cgroup.procs"), &pid.to_string())
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // Fails while a process is in it, but the guard has stopped them.
        let _removed = fs::remove_dir(&self.group).is_ok();
    }
}

/// Writes to a file that the kernel has created. A file that does not exist must not be created.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).open(path)?;
    io::Write::write_all(&mut file, text.as_bytes())
}

/// Why no quota can be set here; `None` if one can.
pub(super) fn obstacle() -> Option<String> {
    let name = format!("kneepoint-try-{}-{:08x}", std::process::id(), rand::random::<u32>());
    Quota::named(&name, 1.0).err().map(|error| {
        format!("cannot create a control group with a CPU quota: {error}; run as root, or choose another fault")
    })
}
