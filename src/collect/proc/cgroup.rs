//! Control groups of a process, versions 1 and 2 (Documentation/admin-guide/cgroup-v2.rst and
//! cgroup-v1/ of the kernel): quota, throttling, memory limit, out-of-memory kills.

use std::path::{Component, Path, PathBuf};

use super::Text;
use super::machine::parse_oom_kills;

/// Version 1 writes "no limit" as the largest multiple of a page; no machine has this much memory.
const NO_MEMORY_LIMIT: u64 = 1 << 60;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// The groups that limit a process for one controller.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Branch {
    version: Version,
    /// Its own group first, then every group above it.
    levels: Vec<PathBuf>,
}

/// The control groups of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    cpu: Option<Branch>,
    memory: Option<Branch>,
}

/// Processor time figures of the groups.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CpuGroup {
    /// Cores that the tightest quota allows; `None` without a quota.
    pub quota_cores: Option<f64>,
    /// Periods of that quota that have passed.
    pub periods: u64,
    /// Periods in which the group was throttled.
    pub throttled_periods: u64,
    /// Seconds in which the group was throttled.
    pub throttled_seconds: f64,
}

/// Memory figures of the groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryGroup {
    /// The tightest limit in bytes; `None` without one.
    pub limit_bytes: Option<u64>,
    /// Out-of-memory kills in the group; `None` if the kernel does not report them.
    pub oom_kills: Option<u64>,
}

impl Groups {
    /// Finds the groups from the contents of `/proc/PID/cgroup` and `/proc/self/mountinfo`.
    pub fn locate(membership: &str, mountinfo: &str) -> Groups {
        let mounts: Vec<Mount> = mountinfo.lines().filter_map(parse_mount).collect();
        Groups {
            cpu: branch(membership, &mounts, "cpu"),
            memory: branch(membership, &mounts, "memory"),
        }
    }

    /// Quota and throttling; `None` if the process has no visible group for them.
    ///
    /// If several levels have a quota, the tightest applies. If none has one, the process cannot be
    /// throttled, and the counters are those of its own group.
    pub fn cpu(&self, text: &mut Text) -> Option<CpuGroup> {
        let branch = self.cpu.as_ref()?;
        let mut tightest: Option<(f64, &Path)> = None;
        for level in &branch.levels {
            let quota = match branch.version {
                Version::Two => read(text, level, "cpu.max").and_then(|text| parse_cpu_max(&text)),
                Version::One => read(text, level, "cpu.cfs_quota_us")
                    .zip(read(text, level, "cpu.cfs_period_us"))
                    .and_then(|(quota, period)| cores(quota.trim(), period.trim())),
            };
            if let Some(quota) = quota
                && tightest.is_none_or(|(least, _)| quota < least)
            {
                tightest = Some((quota, level));
            }
        }
        let level = tightest.map_or(branch.levels.first()?.as_path(), |(_, level)| level);
        // The root group has no such file. It cannot be throttled, so zeros are correct.
        let stat = read(text, level, "cpu.stat").map(|text| parse_cpu_stat(&text));
        let quota_cores = tightest.map(|(quota, _)| quota);
        Some(CpuGroup { quota_cores, ..stat.unwrap_or_default() })
    }

    /// Memory limit and kills; `None` if the process has no visible group for them.
    pub fn memory(&self, text: &mut Text) -> Option<MemoryGroup> {
        let branch = self.memory.as_ref()?;
        let (limit, events) = match branch.version {
            Version::Two => ("memory.max", "memory.events"),
            Version::One => ("memory.limit_in_bytes", "memory.oom_control"),
        };
        let limits = branch.levels.iter().filter_map(|level| {
            let bytes = read(text, level, limit)?.trim().parse::<u64>().ok()?;
            (bytes < NO_MEMORY_LIMIT).then_some(bytes)
        });
        let limit_bytes = limits.min();
        // A kill counts in the group of the killed process, whichever limit caused it. The root
        // group of version 2 has no such file; its kills are counted for the whole machine.
        let oom_kills = branch.levels.first().and_then(|own| {
            let mut of_machine =
                || text.read("/proc/vmstat").ok().and_then(|all| parse_oom_kills(&all));
            match std::fs::read_to_string(own.join(events)) {
                Ok(events) => keyed(&events, "oom_kill"),
                Err(_) if branch.levels.len() == 1 => of_machine(),
                Err(_) => None,
            }
        });
        Some(MemoryGroup { limit_bytes, oom_kills })
    }
}

fn read(text: &mut Text, group: &Path, file: &str) -> Option<String> {
    text.read(group.join(file).to_str()?).ok().map(std::borrow::Cow::into_owned)
}

/// One mounted hierarchy of control groups.
struct Mount<'a> {
    version: Version,
    /// The group that is visible at the mount point.
    root: &'a str,
    point: &'a str,
    controllers: &'a str,
}

fn parse_mount(line: &str) -> Option<Mount<'_>> {
    let (place, kind) = line.split_once(" - ")?;
    let mut kind = kind.split(' ');
    let version = match kind.next()? {
        "cgroup" => Version::One,
        "cgroup2" => Version::Two,
        _ => return None,
    };
    let mut place = place.split(' ').skip(3);
    let (root, point) = (place.next()?, place.next()?);
    Some(Mount { version, root, point, controllers: kind.nth(1).unwrap_or("") })
}

/// The branch of `controller`: version 1 if the controller is mounted there, else version 2.
fn branch(membership: &str, mounts: &[Mount], controller: &str) -> Option<Branch> {
    let has = |list: &str| list.split(',').any(|one| one == controller);
    let lines = || {
        membership.lines().filter_map(|line| {
            let (_, rest) = line.split_once(':')?;
            rest.split_once(':')
        })
    };
    let find = |version, group: &str| {
        let mount = mounts.iter().find(|mount| {
            mount.version == version && (version == Version::Two || has(mount.controllers))
        })?;
        Some(Branch { version, levels: levels(mount, group)? })
    };
    let one = lines().find(|(controllers, _)| has(controllers));
    if let Some(branch) = one.and_then(|(_, group)| find(Version::One, group)) {
        return Some(branch);
    }
    let (_, group) = lines().find(|(controllers, _)| controllers.is_empty())?;
    find(Version::Two, group)
}

/// The directories of `group` and of all its ancestors that the mount shows; `None` if it does not
/// show the group itself.
fn levels(mount: &Mount, group: &str) -> Option<Vec<PathBuf>> {
    let point = Path::new(mount.point);
    // In a container, the mount may show only part of the tree. The group of a process in another
    // container is outside of it (it then reads as `/..`): its limits are not those of the part.
    let inside = Path::new(group).strip_prefix(mount.root).ok()?;
    if inside.components().any(|part| part == Component::ParentDir) {
        return None;
    }
    let inside = inside.strip_prefix("/").unwrap_or(inside);
    Some(inside.ancestors().map(|group| point.join(group)).collect())
}

/// `cpu.max` of version 2: `max 100000`, or microseconds of quota and period.
fn parse_cpu_max(text: &str) -> Option<f64> {
    let mut fields = text.split_ascii_whitespace();
    cores(fields.next()?, fields.next()?)
}

fn cores(quota: &str, period: &str) -> Option<f64> {
    // `max` and `-1` mean no quota.
    let (quota, period) = (quota.parse::<u64>().ok()?, period.parse::<u64>().ok()?);
    (quota > 0 && period > 0).then(|| quota as f64 / period as f64)
}

/// Parses `cpu.stat`: version 1 counts nanoseconds, version 2 microseconds.
fn parse_cpu_stat(text: &str) -> CpuGroup {
    let count = |name| keyed(text, name).unwrap_or(0);
    let micros = keyed(text, "throttled_usec").map(|micros| micros as f64 / 1e6);
    let nanos = keyed(text, "throttled_time").map(|nanos| nanos as f64 / 1e9);
    CpuGroup {
        quota_cores: None,
        periods: count("nr_periods"),
        throttled_periods: count("nr_throttled"),
        throttled_seconds: micros.or(nanos).unwrap_or(0.0),
    }
}

/// The number after `key` in a file with one pair per line.
fn keyed(text: &str, key: &str) -> Option<u64> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(' '));
    pairs.find(|(name, _)| *name == key)?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
         32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
         35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
         40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n\
         41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

    fn paths(branch: Option<&Branch>) -> Vec<String> {
        branch.unwrap().levels.iter().map(|level| level.display().to_string()).collect()
    }

    #[test]
    fn version_one_is_found_by_controller_and_version_two_by_its_empty_list() {
        let groups = Groups::locate("4:memory:/a/b\n1:cpu,cpuacct:/\n0::/x\n", HYBRID);
        assert_eq!(groups.cpu.as_ref().unwrap().version, Version::One);
        assert_eq!(paths(groups.cpu.as_ref()), ["/sys/fs/cgroup/cpu,cpuacct/"]);
        let memory = "/sys/fs/cgroup/memory/";
        assert_eq!(
            paths(groups.memory.as_ref()),
            [format!("{memory}a/b"), format!("{memory}a"), memory.to_owned()]
        );
        let unified = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
        let groups = Groups::locate("0::/system.slice/shop.service\n", unified);
        assert_eq!(groups.cpu, groups.memory);
        assert_eq!(paths(groups.cpu.as_ref())[0], "/sys/fs/cgroup/system.slice/shop.service");
        assert_eq!(Groups::locate("0::/x\n", "").cpu, None);
    }

    #[test]
    fn in_a_container_only_what_is_mounted_counts() {
        let bound = "9 8 0:26 /docker/abc /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
        let groups = Groups::locate("1:cpu:/docker/abc/web\n", bound);
        assert_eq!(paths(groups.cpu.as_ref()), ["/sys/fs/cgroup/cpu/web", "/sys/fs/cgroup/cpu/"]);
        let outside = "9 8 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        let groups = Groups::locate("0::/../other\n", outside);
        assert_eq!(groups, Groups::default());
        let elsewhere = Groups::locate("1:cpu:/docker/xyz\n", bound);
        assert_eq!(elsewhere.cpu, None, "the mount shows the group of another container");
    }

    /// A hierarchy made of plain files, because a test may lack the permission to create real
    /// groups.
    fn hierarchy(
        kind: &str,
        membership: &str,
        files: &[(&str, &str)],
    ) -> (tempfile::TempDir, Groups) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let mount = format!("1 1 0:1 / {} rw - {kind}\n", root.path().display());
        let groups = Groups::locate(membership, &mount);
        (root, groups)
    }

    #[test]
    fn version_two_takes_the_tightest_quota_and_its_counters() {
        let (_root, groups) = hierarchy(
            "cgroup2 cgroup2 rw",
            "0::/pod/shop\n",
            &[
                ("pod/cpu.max", "50000 100000\n"),
                (
                    "pod/cpu.stat",
                    "usage_usec 9\nnr_periods 40\nnr_throttled 8\nthrottled_usec 1500000\n",
                ),
                ("pod/memory.max", "1073741824\n"),
                ("pod/shop/cpu.max", "max 100000\n"),
                (
                    "pod/shop/cpu.stat",
                    "usage_usec 9\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n",
                ),
                ("pod/shop/memory.max", "max\n"),
                ("pod/shop/memory.events", "low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\n"),
            ],
        );
        let mut text = Text::default();
        let cpu = groups.cpu(&mut text).unwrap();
        assert_eq!(cpu.quota_cores, Some(0.5));
        assert_eq!((cpu.periods, cpu.throttled_periods), (40, 8));
        assert!((cpu.throttled_seconds - 1.5).abs() < 1e-9);
        let memory = groups.memory(&mut text).unwrap();
        assert_eq!(memory, MemoryGroup { limit_bytes: Some(1 << 30), oom_kills: Some(2) });
    }

    #[test]
    fn version_one_reads_its_own_files() {
        let (_root, groups) = hierarchy(
            "cgroup cgroup rw,cpu,memory",
            "1:cpu,memory:/shop\n",
            &[
                ("cpu.cfs_quota_us", "-1\n"),
                ("cpu.cfs_period_us", "100000\n"),
                ("memory.limit_in_bytes", "9223372036854771712\n"),
                ("shop/cpu.cfs_quota_us", "150000\n"),
                ("shop/cpu.cfs_period_us", "100000\n"),
                ("shop/cpu.stat", "nr_periods 7\nnr_throttled 3\nthrottled_time 250000000\n"),
                ("shop/memory.limit_in_bytes", "9223372036854771712\n"),
                ("shop/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n"),
            ],
        );
        let mut text = Text::default();
        let cpu = groups.cpu(&mut text).unwrap();
        assert_eq!((cpu.quota_cores, cpu.throttled_periods), (Some(1.5), 3));
        assert!((cpu.throttled_seconds - 0.25).abs() < 1e-9);
        let memory = groups.memory(&mut text).unwrap();
        assert_eq!(memory, MemoryGroup { limit_bytes: None, oom_kills: Some(4) });
    }

    #[test]
    fn without_a_quota_nothing_was_throttled() {
        let (_root, groups) = hierarchy("cgroup2 cgroup2 rw", "0::/\n", &[("cgroup.procs", "1\n")]);
        assert_eq!(groups.cpu(&mut Text::default()), Some(CpuGroup::default()));
    }
}
